//! Counts a chat request as it comes from a client: its texts, and what a vendor puts around them.
//! The numbers are those of OpenAI's cookbook, "How to count tokens with tiktoken".

use tollgate_tokens::{Counter, EXACT_BYTES_MAX, Known, Tally, Text};

use super::family::{Family, Vendor};
use super::images::{self, Detail, UNKNOWN_SIZE};
use super::json::{Next, Reader};
use crate::units::Tokens;

/// Around each message.
const MESSAGE: u64 = 3;
/// For the name of who speaks.
const NAME: u64 = 1;
/// Before the reply.
const PRIMING: u64 = 3;
/// Ten tokens a second, at the 128 kbit/s of which most recordings are not far.
const AUDIO_BYTES_PER_TOKEN: u64 = 1600;

/// The tokens of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// As near as can be told.
    pub tokens: Tokens,
    /// What to hold money for: what was counted exactly, else a token for every byte of text,
    /// which no encoding made of bytes can pass.
    pub at_most: Tokens,
    /// How it is known.
    pub how: How,
}

/// How a count is known; the weakest reason counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// Every text was counted, in the model's own encoding, and framed by documented rules.
    Exact,
    /// The request is large: a sample was counted. About one in a hundred off.
    Sampled,
    /// Something in it has no documented rule, or the vendor has no public encoding.
    Estimated,
}

/// Counts the body of a request to a chat, completion or embedding endpoint. Never fails: what it
/// cannot understand it counts as text. The seed places the windows of a sample.
pub fn count_chat(counter: &mut Counter, family: Family, body: &[u8], seed: u64) -> Count {
    let Ok(body) = std::str::from_utf8(body) else {
        return count_garbled(counter, family, body, seed);
    };
    let text_bytes = match length(body) {
        // Texts are never longer than the body, so most requests need no measuring.
        bytes @ ..=EXACT_BYTES_MAX => bytes,
        _ => Framing::read(family, None, body).text_bytes,
    };
    let tally = Tally::new(counter, family.encoding, text_bytes, seed);
    Framing::read(family, Some(tally), body).count()
}

/// A body that is not UTF-8 is no JSON either; what can be read of it counts as text.
fn count_garbled(counter: &mut Counter, family: Family, body: &[u8], seed: u64) -> Count {
    let body = String::from_utf8_lossy(body);
    let tally = Tally::new(counter, family.encoding, length(&body), seed);
    let mut framing = Framing::new(family, Some(tally));
    framing.estimate(Text::Plain(&body));
    framing.count()
}

/// A request as far as it has been read.
pub(super) struct Framing<'c> {
    pub(super) family: Family,
    /// Where texts are counted; without it they are only measured.
    tally: Option<Tally<'c>>,
    text_bytes: u64,
    /// Tokens that are no text.
    frame: u64,
    pub(super) how: How,
}

impl<'c> Framing<'c> {
    fn new(family: Family, tally: Option<Tally<'c>>) -> Self {
        let how = match family.vendor {
            Vendor::OpenAi => How::Exact,
            Vendor::Other => How::Estimated,
        };
        Self {
            family,
            tally,
            text_bytes: 0,
            frame: 0,
            how,
        }
    }

    fn read(family: Family, tally: Option<Tally<'c>>, body: &str) -> Self {
        let mut framing = Self::new(family, tally);
        let mut json = Reader::new(body);
        framing.request(&mut json);
        if !json.rest().is_empty() {
            framing.estimate(Text::Plain(json.rest()));
        }
        framing
    }

    fn count(self) -> Count {
        let total = self.tally.map(Tally::total);
        let tokens = total.map_or(self.text_bytes, |total| total.tokens);
        let scaled = tokens
            .saturating_mul(self.family.thousandths)
            .div_ceil(1000);
        let tokens = Tokens(scaled.saturating_add(self.frame));
        let how = match total.map(|total| total.known) {
            Some(Known::Counted) => self.how,
            Some(Known::Sampled) | None => self.how.max(How::Sampled),
        };
        let at_most = match how {
            How::Exact => tokens,
            How::Sampled | How::Estimated => {
                Tokens(self.text_bytes.saturating_add(self.frame)).max(tokens)
            }
        };
        Count {
            tokens,
            at_most,
            how,
        }
    }

    fn request(&mut self, json: &mut Reader<'_>) {
        if !json.enter(Next::Object) {
            return;
        }
        while let Some(key) = json.key() {
            match &*key.unescaped() {
                "messages" => self.messages(json),
                "tools" | "functions" => self.functions(json),
                "response_format" => self.response_format(json),
                "prompt" | "suffix" | "input" | "instructions" | "system" | "documents"
                | "query" => {
                    self.texts(json);
                }
                // Settings, not seen by the model.
                _ => json.value(|_| ()),
            }
        }
    }

    fn messages(&mut self, json: &mut Reader<'_>) {
        if !json.enter(Next::Array) {
            return self.estimate_value(json);
        }
        self.add_frame(PRIMING);
        while json.item() {
            self.add_frame(MESSAGE);
            self.message(json);
        }
    }

    fn message(&mut self, json: &mut Reader<'_>) {
        if !json.enter(Next::Object) {
            return self.estimate_value(json);
        }
        while let Some(key) = json.key() {
            match &*key.unescaped() {
                "role" | "refusal" => self.text(json),
                "name" => {
                    self.add_frame(NAME);
                    self.text(json);
                }
                "content" if json.enter(Next::Array) => {
                    while json.item() {
                        self.part(json);
                    }
                }
                "content" => self.text(json),
                "tool_calls" if json.enter(Next::Array) => {
                    while json.item() {
                        self.call(json);
                    }
                }
                "function_call" => self.called(json),
                // It ties messages together and is not shown to the model.
                "tool_call_id" => json.value(|_| ()),
                _ => self.text(json),
            }
        }
    }

    /// A part of a message.
    fn part(&mut self, json: &mut Reader<'_>) {
        if !json.enter(Next::Object) {
            return self.text(json);
        }
        while let Some(key) = json.key() {
            match &*key.unescaped() {
                "type" | "cache_control" => json.value(|_| ()),
                "text" | "refusal" => self.text(json),
                "image_url" => self.image(json),
                "input_audio" => self.audio(json),
                _ => self.estimate_value(json),
            }
        }
    }

    fn image(&mut self, json: &mut Reader<'_>) {
        let mut url = None;
        let mut detail = Detail::High;
        if json.enter(Next::Object) {
            while let Some(key) = json.key() {
                match &*key.unescaped() {
                    "url" => url = json.text_or_skip(),
                    "detail" => detail = Detail::named(json.text_or_skip()),
                    _ => self.estimate_value(json),
                }
            }
        } else if json.next() == Next::Text {
            url = json.text();
        } else {
            return self.estimate_value(json);
        }
        let size = url.and_then(images::size_in);
        if size.is_none() && self.family.images.depends_on_size(detail) {
            self.how = How::Estimated;
        }
        let size = size.unwrap_or(UNKNOWN_SIZE);
        self.add_frame(self.family.images.tokens(size, detail));
    }

    fn audio(&mut self, json: &mut Reader<'_>) {
        if !json.enter(Next::Object) {
            return self.estimate_value(json);
        }
        self.how = How::Estimated;
        while let Some(key) = json.key() {
            let text = json.text_or_skip();
            if let ("data", Some(data)) = (&*key.unescaped(), text) {
                // Four characters of base64 are three bytes.
                let bytes = length(data.written()).saturating_mul(3).div_ceil(4);
                self.add_frame(bytes.div_ceil(AUDIO_BYTES_PER_TOKEN));
            }
        }
    }

    /// A call that the model made before.
    fn call(&mut self, json: &mut Reader<'_>) {
        if !json.enter(Next::Object) {
            return self.estimate_value(json);
        }
        while let Some(key) = json.key() {
            match &*key.unescaped() {
                "id" | "type" | "index" => json.value(|_| ()),
                "function" => self.called(json),
                _ => self.estimate_member(key, json),
            }
        }
    }

    /// How a call is shown to the model again is not documented.
    fn called(&mut self, json: &mut Reader<'_>) {
        self.how = How::Estimated;
        if !json.enter(Next::Object) {
            return self.estimate_value(json);
        }
        while let Some(key) = json.key() {
            match &*key.unescaped() {
                "name" | "arguments" => self.text(json),
                _ => self.estimate_member(key, json),
            }
        }
    }

    /// A text, or texts in a row.
    fn texts(&mut self, json: &mut Reader<'_>) {
        if json.enter(Next::Array) {
            while json.item() {
                self.text(json);
            }
        } else {
            self.text(json);
        }
    }

    /// A text. Nothing in its place is nothing; anything else there is counted as it is written.
    fn text(&mut self, json: &mut Reader<'_>) {
        match json.text() {
            Some(text) => self.add(&[text]),
            None => self.estimate_value(json),
        }
    }

    pub(super) fn estimate_member(&mut self, key: Text<'_>, json: &mut Reader<'_>) {
        self.estimate(key);
        self.estimate_value(json);
    }

    pub(super) fn estimate_value(&mut self, json: &mut Reader<'_>) {
        json.value(|text| {
            if text != Text::Plain("null") {
                self.estimate(text);
            }
        });
    }

    fn estimate(&mut self, text: Text<'_>) {
        self.how = How::Estimated;
        self.add(&[text]);
    }

    /// Adds texts that stand together as one.
    pub(super) fn add(&mut self, texts: &[Text<'_>]) {
        for text in texts {
            self.text_bytes = self.text_bytes.saturating_add(length(text.written()));
        }
        if let Some(tally) = &mut self.tally {
            tally.add(texts);
        }
    }

    pub(super) fn add_frame(&mut self, tokens: u64) {
        self.frame = self.frame.saturating_add(tokens);
    }
}

fn length(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
