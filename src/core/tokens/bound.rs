//! The most tokens that a prompt can have at a provider, by its bytes: every vendor's encoding is made of bytes, so that a
//! text has no more tokens than bytes. What stands in a body for something else (a picture, a recording, a file, a search)
//! is found by where and as what it stands, in the dialects that clients speak.

use tollgate_tokens::Text;

use super::family::{Family, Vendor};
use super::images::{self, Detail};
use super::json::{Next, Reader};
use crate::units::Tokens;

/// What vendors put around a request that nobody sees. Frames of messages are shorter than their JSON.
const TEMPLATE: u64 = 1_024;
/// What vendors put around a tool of theirs that the caller runs.
const OWN_TOOL: u64 = 2_048;
/// The least that an image is taken for, whatever the rule says: newer models look closer than the documents of older.
const IMAGE_LEAST: u64 = 12_000;
/// Lists within lists of parts that are looked into.
const DEPTH_MAX: u8 = 4;

/// The most that a prompt can be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    /// Of what has a bound by itself.
    pub tokens: Tokens,
    /// Images among it.
    pub images: u64,
    /// Something in the prompt has none by itself; it is at most what fits into the model.
    pub media: Option<Media>,
    /// What makes a request cost more than its tokens do.
    pub beyond: Option<Beyond>,
    /// It is spoken to, or is to speak.
    pub audio: Option<Audio>,
}

/// What has no bound by its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// An image whose size nobody here knows, or for which no rule is documented.
    Image,
    /// A recording.
    Audio,
    /// A film.
    Video,
    /// A PDF or another file.
    File,
    /// What the provider has stored.
    Stored,
    /// A part of a kind that nobody here knows.
    Unknown,
}

/// What makes a request cost more than its tokens do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beyond {
    /// The provider runs a tool, as often as the model likes.
    HostedTool,
    /// Another price list: `service_tier`, `speed`, `inference_geo`.
    OtherPrices,
    /// Rejected tokens of a prediction are billed beyond the cap.
    Prediction,
}

/// Speech, which has prices of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Audio {
    /// In the prompt.
    Heard,
    /// In the answer, and perhaps in the prompt.
    Spoken,
}

impl Bound {
    /// The bound of a body.
    pub fn of(family: Family, body: &[u8]) -> Self {
        let bytes = u64::try_from(body.len()).unwrap_or(u64::MAX);
        let mut walk = Walk {
            family,
            found: Self {
                tokens: Tokens(bytes.saturating_add(TEMPLATE)),
                ..Self::default()
            },
        };
        match std::str::from_utf8(body) {
            Ok(body) => walk.request(&mut Reader::new(body)),
            // It is no JSON either: a provider that reads anything out of it reads what nobody saw.
            Err(_) => walk.has(Media::Unknown),
        }
        walk.found
    }

    /// The most prompt tokens at a model into which so many fit; none where nothing bounds them.
    pub fn input(&self, window: Option<Tokens>) -> Option<Tokens> {
        match self.media {
            None => Some(self.tokens),
            Some(_) => window,
        }
    }
}

struct Walk {
    family: Family,
    found: Bound,
}

impl Walk {
    fn has(&mut self, media: Media) {
        self.found.media = self.found.media.or(Some(media));
    }

    fn speech(&mut self, audio: Audio) {
        self.found.audio = self.found.audio.max(Some(audio));
    }

    fn goes_beyond(&mut self, beyond: Beyond) {
        self.found.beyond = self.found.beyond.or(Some(beyond));
    }

    fn add(&mut self, tokens: u64) {
        self.found.tokens = self.found.tokens.plus(Tokens(tokens));
    }

    fn request(&mut self, json: &mut Reader<'_>) {
        if !json.enter(Next::Object) {
            return self.has(Media::Unknown);
        }
        while let Some(key) = json.key() {
            let written = json.next();
            match &*key.unescaped() {
                "messages" | "input" | "system" => self.parts(json, DEPTH_MAX),
                "tools" => self.tools(json),
                "web_search_options" | "plugins" | "mcp_servers" | "container"
                | "search_parameters" => {
                    self.given(json, |walk| walk.goes_beyond(Beyond::HostedTool));
                }
                "speed" | "inference_geo" => {
                    self.given(json, |walk| walk.goes_beyond(Beyond::OtherPrices));
                }
                "service_tier" => {
                    let tier = json.text_or_skip();
                    let tier = tier.as_ref().map(|tier| tier.unescaped());
                    let usual = ["auto", "default", "standard", "standard_only", "flex"];
                    if tier.is_some_and(|tier| !usual.contains(&&*tier)) {
                        self.goes_beyond(Beyond::OtherPrices);
                    }
                }
                "prediction" => self.given(json, |walk| walk.goes_beyond(Beyond::Prediction)),
                "previous_response_id" | "conversation" => {
                    self.given(json, |walk| walk.has(Media::Stored));
                }
                "prompt" if written == Next::Object => {
                    json.value(|_| ());
                    self.has(Media::Stored);
                }
                "audio" => self.given(json, |walk| walk.speech(Audio::Spoken)),
                _ => json.value(|_| ()),
            }
        }
        if !json.rest().is_empty() {
            self.has(Media::Unknown);
        }
    }

    /// What is written, and not as `null`.
    fn given(&mut self, json: &mut Reader<'_>, then: fn(&mut Self)) {
        let mut null = json.next() == Next::Scalar;
        json.value(|text| null &= text.unescaped() == "null");
        if !null {
            then(self);
        }
    }

    fn tools(&mut self, json: &mut Reader<'_>) {
        if !json.enter(Next::Array) {
            return self.given(json, |walk| walk.goes_beyond(Beyond::HostedTool));
        }
        while json.item() {
            if !json.enter(Next::Object) {
                self.given(json, |walk| walk.goes_beyond(Beyond::HostedTool));
                continue;
            }
            while let Some(key) = json.key() {
                if &*key.unescaped() != "type" {
                    json.value(|_| ());
                    continue;
                }
                let kind = json.text_or_skip();
                let kind = kind.as_ref().map(|kind| kind.unescaped());
                let callers_own = ["bash_", "text_editor_", "memory_", "computer_"];
                match kind.as_deref() {
                    Some("function" | "custom") => {}
                    Some(kind) if callers_own.iter().any(|own| kind.starts_with(own)) => {
                        self.add(OWN_TOOL);
                    }
                    Some(_) | None => self.goes_beyond(Beyond::HostedTool),
                }
            }
        }
    }

    /// Messages, items, or the parts of one: an object, or a list of them.
    fn parts(&mut self, json: &mut Reader<'_>, depth: u8) {
        let Some(depth) = depth.checked_sub(1) else {
            json.value(|_| ());
            return self.has(Media::Unknown);
        };
        if json.enter(Next::Array) {
            while json.item() {
                self.part(json, depth);
            }
        } else {
            self.part(json, depth);
        }
    }

    fn part(&mut self, json: &mut Reader<'_>, depth: u8) {
        if json.next() == Next::Array {
            // A list of tokens is a prompt of `/v1/embeddings`.
            return json.value(|_| ());
        }
        if !json.enter(Next::Object) {
            return json.value(|_| ());
        }
        let mut seen = Seen::default();
        while let Some(key) = json.key() {
            match &*key.unescaped() {
                "type" => seen.kind = Kind::named(json.text_or_skip()),
                "content" | "output" => self.parts(json, depth),
                "image_url" => seen.picture(json),
                "source" => seen.source(json),
                "detail" => seen.detail = Some(Detail::named(json.text_or_skip())),
                "audio" => self.given(json, |walk| {
                    walk.has(Media::Audio);
                    walk.speech(Audio::Heard);
                }),
                _ => json.value(|_| ()),
            }
        }
        match seen.kind {
            Kind::Words => {}
            Kind::Image => self.image(&seen),
            Kind::Other(media) => {
                self.has(media);
                if media == Media::Audio {
                    self.speech(Audio::Heard);
                }
            }
        }
    }

    fn image(&mut self, seen: &Seen<'_>) {
        let Some(url) = seen.url else {
            // By its name with the provider.
            return self.has(Media::Image);
        };
        let size = if seen.is_bare {
            images::size_of(url)
        } else {
            images::size_in(url)
        };
        let detail = seen.detail.unwrap_or(Detail::High);
        let known = match (self.family.vendor, self.family.images, size) {
            // Nobody documents the rule of a model that nobody knows.
            (Vendor::Other, images::Images::Tiles { .. }, _) => None,
            (_, rule, Some(size)) => Some(rule.tokens(size, detail)),
            (_, rule, None) => rule.most(),
        };
        let Some(known) = known else {
            return self.has(Media::Image);
        };
        let is_here = size.is_some() || seen.is_bare || url.written().starts_with("data:");
        if is_here {
            // Its bytes are no text.
            let bytes = u64::try_from(url.written().len()).unwrap_or(u64::MAX);
            self.found.tokens = Tokens(self.found.tokens.0.saturating_sub(bytes));
        }
        self.found.images = self.found.images.saturating_add(1);
        self.add(known.max(IMAGE_LEAST));
    }
}

/// What a part turned out to be, in whatever order its fields stand.
#[derive(Default)]
struct Seen<'a> {
    kind: Kind,
    /// Where the picture is, or its base64.
    url: Option<Text<'a>>,
    /// It is base64 without an address around it.
    is_bare: bool,
    detail: Option<Detail>,
}

#[derive(Clone, Copy, Default)]
enum Kind {
    #[default]
    Words,
    Image,
    Other(Media),
}

impl Kind {
    fn named(name: Option<Text<'_>>) -> Self {
        let Some(name) = name else {
            return Self::Other(Media::Unknown);
        };
        match &*name.unescaped() {
            "text"
            | "input_text"
            | "output_text"
            | "refusal"
            | "thinking"
            | "redacted_thinking"
            | "reasoning"
            | "tool_use"
            | "tool_result"
            | "message"
            | "function_call"
            | "function_call_output"
            | "custom_tool_call"
            | "custom_tool_call_output"
            | "search_result" => Self::Words,
            "image_url" | "input_image" | "image" => Self::Image,
            "input_audio" | "audio" => Self::Other(Media::Audio),
            "video_url" | "input_video" | "video" => Self::Other(Media::Video),
            "file" | "input_file" | "document" | "container_upload" => Self::Other(Media::File),
            "item_reference" => Self::Other(Media::Stored),
            _ => Self::Other(Media::Unknown),
        }
    }
}

impl<'a> Seen<'a> {
    /// OpenAI's: an address, or an object with one.
    fn picture(&mut self, json: &mut Reader<'a>) {
        if json.enter(Next::Object) {
            while let Some(key) = json.key() {
                match &*key.unescaped() {
                    "url" => self.url = json.text_or_skip(),
                    "detail" => self.detail = Some(Detail::named(json.text_or_skip())),
                    _ => json.value(|_| ()),
                }
            }
        } else {
            self.url = json.text_or_skip();
        }
    }

    /// Anthropic's: an object with the base64 or the address.
    fn source(&mut self, json: &mut Reader<'a>) {
        if !json.enter(Next::Object) {
            return json.value(|_| ());
        }
        while let Some(key) = json.key() {
            match &*key.unescaped() {
                "data" => {
                    self.url = json.text_or_skip();
                    self.is_bare = true;
                }
                "url" => self.url = json.text_or_skip(),
                _ => json.value(|_| ()),
            }
        }
    }
}

#[cfg(test)]
mod tests;
