//! What bounds an attempt at a target, and why there may be nothing that does.

use super::Target;
use crate::price::Most;
use crate::tokens::{Audio, Beyond, Bound, Media};
use crate::units::Tokens;

/// Why nobody can tell what an attempt costs at most. A hard budget cannot cover it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoBound {
    /// Something in the prompt has no bound, and nobody knows what fits into the model.
    Media(Media),
    /// Speech, and no price of speech is known.
    Speech,
    /// More is billed than tokens.
    Beyond(Beyond),
}

impl NoBound {
    /// What the caller is to leave out.
    pub fn what(self) -> &'static str {
        match self {
            Self::Media(Media::Image) => "an image whose size nobody here knows",
            Self::Media(Media::Audio) | Self::Speech => "speech",
            Self::Media(Media::Video) => "a film",
            Self::Media(Media::File) => "a file",
            Self::Media(Media::Stored) => "what the provider has stored",
            Self::Media(Media::Unknown) => "a part of an unknown kind",
            Self::Beyond(Beyond::HostedTool) => "a tool that the provider runs",
            Self::Beyond(Beyond::OtherPrices) => "another price list",
            Self::Beyond(Beyond::Prediction) => "a prediction",
        }
    }
}

impl Target {
    /// The most that one attempt here can use. `words` is what the prompt is at most as far as it is words; it counts
    /// where there is nothing else in it.
    pub fn bounds(&self, prompt: &Bound, words: Tokens, output: Tokens) -> Result<Most, NoBound> {
        if let Some(beyond) = prompt.beyond {
            return Err(NoBound::Beyond(beyond));
        }
        let rates = self.price.as_ref().map(|price| price.rates);
        let hears = rates.is_some_and(|rates| rates.audio_input.is_some());
        let speaks = rates.is_some_and(|rates| rates.audio_output.is_some());
        match prompt.audio {
            Some(Audio::Heard) if !hears => return Err(NoBound::Speech),
            Some(Audio::Spoken) if !(hears && speaks) => return Err(NoBound::Speech),
            Some(Audio::Heard | Audio::Spoken) | None => {}
        }
        let input = match (prompt.media, prompt.images) {
            (None, 0) => words,
            (None, _) => prompt.tokens,
            (Some(media), _) => self.context_window.ok_or(NoBound::Media(media))?,
        };
        Ok(Most {
            input,
            output,
            requests: 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::price::{Price, Rates};
    use crate::units::{NanoUsd, PricePerMillion};

    fn target(window: Option<u64>, audio: [Option<u64>; 2]) -> Target {
        let [audio_input, audio_output] =
            audio.map(|nanos| nanos.map(|nanos| PricePerMillion(NanoUsd(nanos))));
        let rates = Rates {
            audio_input,
            audio_output,
            ..Rates::default()
        };
        Target {
            context_window: window.map(Tokens),
            price: Some(Price {
                rates,
                ..Price::default()
            }),
            ..Target::default()
        }
    }

    #[test]
    fn words_count_by_themselves_and_everything_else_by_its_bound() {
        let bytes = Bound {
            tokens: Tokens(900),
            ..Bound::default()
        };
        let image = Bound { images: 1, ..bytes };
        let file = Bound {
            media: Some(Media::File),
            ..bytes
        };
        let search = Bound {
            beyond: Some(Beyond::HostedTool),
            ..bytes
        };
        let heard = Bound {
            audio: Some(Audio::Heard),
            media: Some(Media::Audio),
            ..bytes
        };
        let spoken = Bound {
            audio: Some(Audio::Spoken),
            ..bytes
        };
        let (none, hears, speaks) = ([None, None], [Some(1), None], [Some(1), Some(1)]);
        let known = Some(128_000);
        for (prompt, window, audio, want) in [
            (bytes, None, none, Ok(100)),
            (image, known, none, Ok(900)),
            (file, known, none, Ok(128_000)),
            (file, None, none, Err(NoBound::Media(Media::File))),
            (
                search,
                known,
                none,
                Err(NoBound::Beyond(Beyond::HostedTool)),
            ),
            (heard, known, none, Err(NoBound::Speech)),
            (heard, known, hears, Ok(128_000)),
            (heard, None, hears, Err(NoBound::Media(Media::Audio))),
            (spoken, known, hears, Err(NoBound::Speech)),
            (spoken, known, speaks, Ok(100)),
        ] {
            let most = target(window, audio).bounds(&prompt, Tokens(100), Tokens(7));
            let want = want.map(|input| Most {
                input: Tokens(input),
                output: Tokens(7),
                requests: 1,
            });
            assert_eq!(most, want, "{prompt:?} {window:?} {audio:?}");
        }
    }
}
