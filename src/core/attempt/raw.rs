//! Sound, pictures, scores: replies that pass as they come. Only an error in them is looked for, and figures.

use crate::dialect::event::Report;
use crate::dialect::figures::Figures;
use crate::dialect::json::{Json, Kind, Tape};
use crate::handoff::{Ending, Exchange, Failure};
use crate::head::Head;
use crate::json_tap::Tap;
use crate::sse::{Output, Splitter, Verdict};
use crate::usage::Usage;

use super::{Follows, Proof, native};

/// What passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Json,
    Events,
    /// Sound, a picture, plain text.
    Bytes,
}

impl Sort {
    pub(super) fn of(head: Head<'_>) -> Self {
        let content_type = head.text("content-type").unwrap_or_default();
        let content_type = content_type.to_ascii_lowercase();
        if content_type.starts_with("text/event-stream") {
            Self::Events
        } else if content_type.contains("json") {
            Self::Json
        } else {
            Self::Bytes
        }
    }

    pub(super) fn prove(self, bytes: &[u8], follows: Follows) -> Proof {
        match self {
            Self::Json => native::prove_whole(&native::tapped(bytes), bytes, follows),
            Self::Events => prove_events(bytes, follows),
            Self::Bytes if !bytes.is_empty() => Proof::Good,
            Self::Bytes if follows == Follows::More => Proof::Open,
            Self::Bytes => Proof::Failed(Failure::Unreadable),
        }
    }
}

fn prove_events(bytes: &[u8], follows: Follows) -> Proof {
    let mut proof = Proof::Open;
    let mut tape = Tape::default();
    Splitter::default().feed(bytes, |data| {
        if proof == Proof::Open && !data.trim_ascii().is_empty() {
            let json = tape.read(data).ok();
            let failed = json.is_some_and(|json| {
                let error = json
                    .get("error")
                    .is_some_and(|error| error.kind() != Kind::Null);
                error || json.text_of("type").as_deref() == Some("error")
            });
            proof = if failed {
                Proof::Failed(Failure::ErrorInReply)
            } else {
                Proof::Good
            };
        }
        Verdict::Keep
    });
    match (proof, follows) {
        (Proof::Open, Follows::Nothing) => Proof::Failed(Failure::NoFirstToken),
        (proof, _) => proof,
    }
}

/// A reply on its way.
pub(super) enum Raw {
    Json(Box<Tap>),
    Events(Splitter),
    Bytes,
}

impl Raw {
    pub(super) fn new(sort: Sort) -> Self {
        match sort {
            Sort::Json => Self::Json(Box::new(native::tapped(&[]))),
            Sort::Events => Self::Events(Splitter::default()),
            Sort::Bytes => Self::Bytes,
        }
    }

    /// Every byte goes on; events that are not whole yet a little later.
    pub(super) fn pass(
        &mut self,
        exchange: &mut Exchange,
        bytes: &[u8],
        follows: Follows,
    ) -> Output {
        let progress = &mut exchange.progress;
        let mut note = |json: &[u8]| {
            if let Some(report) = figures(json) {
                progress.report(&report);
            }
        };
        let output = match self {
            Self::Json(tap) => {
                tap.feed(bytes);
                if follows == Follows::Nothing
                    && let Some(usage) = tap.value("usage")
                {
                    note(usage);
                }
                Output::Same
            }
            Self::Events(splitter) => {
                let output = splitter.feed(bytes, |data| {
                    let mut tape = Tape::default();
                    let has = memchr::memmem::find(data, b"\"usage\"").is_some();
                    if has
                        && let Some(usage) = tape.read(data).ok().and_then(|json| json.get("usage"))
                    {
                        note(usage.raw().as_bytes());
                    }
                    Verdict::Keep
                });
                let rest = match follows {
                    Follows::More => Vec::new(),
                    Follows::Nothing => splitter.rest(),
                };
                with(output, bytes, &rest)
            }
            Self::Bytes => Output::Same,
        };
        if follows == Follows::Nothing {
            exchange.progress.ending = Ending::Complete;
        }
        output
    }
}

fn with(output: Output, bytes: &[u8], rest: &[u8]) -> Output {
    if rest.is_empty() {
        return output;
    }
    let mut all = match output {
        Output::Same => bytes.to_vec(),
        Output::Changed(all) => all,
    };
    all.extend_from_slice(rest);
    Output::Changed(all)
}

/// OpenAI's two ways to say it, and of those who only tell the sum. Seconds of sound are no tokens.
fn figures(json: &[u8]) -> Option<Report> {
    let mut tape = Tape::default();
    let usage = tape
        .read(json)
        .ok()
        .filter(|json| json.kind() == Kind::Object)?;
    let has = |name: &str| usage.get(name).and_then(Json::whole).is_some();
    let mut figures = Figures::default();
    let (prompt, answer) = if has("input_tokens") {
        ("input_tokens", "output_tokens")
    } else if has("prompt_tokens") {
        ("prompt_tokens", "completion_tokens")
    } else if has("total_tokens") {
        ("total_tokens", "")
    } else {
        return None;
    };
    let details = usage
        .get("input_tokens_details")
        .or_else(|| usage.get("input_token_details"))
        .or_else(|| usage.get("prompt_tokens_details"));
    let cached = figures.field(details, "cached_tokens");
    let heard = figures.field(details, "audio_tokens");
    let prompt = figures.field(Some(usage), prompt);
    let (input, cached_input) = figures.divide(prompt, cached);
    let (input, audio_input) = figures.within(prompt, input, heard);
    let used = Usage {
        input,
        audio_input,
        cached_input,
        output: figures.field(Some(usage), answer),
        ..Usage::default()
    };
    Some(figures.report(used, usage.get("total_tokens")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_in_every_shape_that_there_is() {
        for (json, want) in [
            (
                r#"{"input_tokens":5,"output_tokens":7,"total_tokens":12,"input_tokens_details":{"text_tokens":5,"image_tokens":0}}"#,
                Some((5, 0, 7)),
            ),
            (
                r#"{"type":"tokens","input_tokens":14,"output_tokens":3,"input_tokens_details":{"cached_tokens":4}}"#,
                Some((10, 4, 3)),
            ),
            (
                r#"{"type":"tokens","input_tokens":14,"output_tokens":3,"total_tokens":17,"input_token_details":{"text_tokens":2,"audio_tokens":12}}"#,
                Some((2, 12, 3)),
            ),
            (
                r#"{"prompt_tokens":5,"completion_tokens":0,"total_tokens":5}"#,
                Some((5, 0, 0)),
            ),
            (r#"{"total_tokens":9}"#, Some((9, 0, 0))),
            (r#"{"type":"duration","seconds":9}"#, None),
            (r#"{"input_tokens":-1}"#, None),
            ("null", None),
            ("{", None),
        ] {
            let got = figures(json.as_bytes()).map(|report| {
                let usage = report.usage;
                let apart = usage.cached_input.plus(usage.audio_input);
                (usage.input.0, apart.0, usage.output.0)
            });
            assert_eq!(got, want, "{json}");
        }
    }

    #[test]
    fn a_reply_is_good_unless_it_says_that_it_failed() {
        use Follows::{More, Nothing};
        let failed = Proof::Failed(Failure::ErrorInReply);
        for (sort, bytes, follows, want) in [
            (Sort::Bytes, "ID3", More, Proof::Good),
            (Sort::Bytes, "", More, Proof::Open),
            (Sort::Bytes, "", Nothing, Proof::Failed(Failure::Unreadable)),
            (Sort::Json, r#"{"text":"hi"}"#, Nothing, Proof::Good),
            (
                Sort::Json,
                r#"{"error":{"message":"busy"}}"#,
                Nothing,
                Proof::Failed(Failure::ErrorInReply),
            ),
            (
                Sort::Json,
                "<html>",
                Nothing,
                Proof::Failed(Failure::Unreadable),
            ),
            (
                Sort::Events,
                "data: {\"type\":\"speech.audio.delta\"}\n\n",
                More,
                Proof::Good,
            ),
            (Sort::Events, ": hello\n\n", More, Proof::Open),
            (
                Sort::Events,
                ": hello\n\n",
                Nothing,
                Proof::Failed(Failure::NoFirstToken),
            ),
            (
                Sort::Events,
                "event: error\ndata: {\"type\":\"error\"}\n\n",
                More,
                failed,
            ),
        ] {
            assert_eq!(
                sort.prove(bytes.as_bytes(), follows),
                want,
                "{sort:?} {bytes}"
            );
        }
    }
}
