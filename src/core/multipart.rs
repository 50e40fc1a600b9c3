//! The fields of a form with files (`multipart/form-data`), found while its bytes pass. Whatever two readers could
//! understand in two ways is refused: the provider must not find another model in it than we did.

use std::ops::Range;

use crate::refusal::Refusal;
use crate::request::CHOICES_MAX;

/// As many parts a form may have.
const PARTS_MAX: u32 = 1_000;
/// So long the head of a part may be.
const HEAD_BYTES_MAX: usize = 8_192;
/// So long a field may be that is read here.
const VALUE_BYTES_MAX: usize = 1_024;
/// So long a boundary may be, as RFC 2046 has it.
const BOUNDARY_BYTES_MAX: usize = 70;

/// What is known of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// The model that is asked for.
    pub model: String,
    /// Where its name stands.
    pub place: Range<usize>,
    /// Whether the answer is to come as events.
    pub stream: bool,
    /// `n`: how many answers are asked for.
    pub count: u64,
    /// Of all of it.
    pub bytes: usize,
}

/// Reads a form piece by piece, and holds little of it.
#[derive(Debug)]
pub struct Scanner {
    /// `--` and the boundary.
    delimiter: Vec<u8>,
    /// What has come and is not understood yet.
    held: Vec<u8>,
    /// Where that begins in the whole.
    at: usize,
    state: State,
    parts: u32,
    model: Option<(String, Range<usize>)>,
    stream: Option<String>,
    count: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    ExpectFirst,
    /// Behind a delimiter: another part, or the end.
    ExpectPart,
    ExpectHead,
    Content(Field),
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Model,
    Stream,
    Count,
    /// A file, or a field that only the provider reads.
    Other,
}

/// Whether there is more to be understood in what is held.
enum Found {
    Something,
    Nothing,
}

/// The boundary in a content type.
pub fn boundary(content_type: &str) -> Result<Vec<u8>, Refusal> {
    let wrong = || {
        Refusal::invalid_multipart("the content type is not `multipart/form-data; boundary=...`")
    };
    let (kind, rest) = content_type.split_once(';').ok_or_else(wrong)?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return Err(wrong());
    }
    let mut boundary = None;
    for (name, value) in parameters(rest).ok_or_else(wrong)? {
        if name.eq_ignore_ascii_case("boundary") && boundary.replace(value).is_some() {
            return Err(wrong());
        }
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&byte);
    boundary
        .filter(|text| (1..=BOUNDARY_BYTES_MAX).contains(&text.len()) && text.bytes().all(fits))
        .map(|text| text.as_bytes().to_vec())
        .ok_or_else(wrong)
}

/// `a=b; c="d"`. None where a quotation mark could be read in two ways.
fn parameters(mut rest: &str) -> Option<Vec<(&str, &str)>> {
    let mut found = Vec::new();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Some(found);
        }
        let (name, behind) = rest.split_once('=')?;
        let (value, behind) = match behind.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => {
                let end = behind.find(';').unwrap_or(behind.len());
                let (value, behind) = behind.split_at_checked(end)?;
                (value.trim_end(), behind)
            }
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_*".contains(&byte);
        if name.is_empty()
            || !name.bytes().all(plain)
            || value.ends_with('\\')
            || value.contains('"')
        {
            return None;
        }
        found.push((name, value));
        let behind = behind.trim_start();
        rest = match behind.strip_prefix(';') {
            Some(rest) => rest,
            None if behind.is_empty() => "",
            None => return None,
        };
    }
}

impl Scanner {
    /// For a form with this boundary.
    pub fn new(boundary: &[u8]) -> Self {
        let mut delimiter = b"--".to_vec();
        delimiter.extend_from_slice(boundary);
        Self {
            delimiter,
            held: Vec::new(),
            at: 0,
            state: State::ExpectFirst,
            parts: 0,
            model: None,
            stream: None,
            count: None,
        }
    }

    /// Takes the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        if self.state == State::Ended {
            self.at = self.at.saturating_add(bytes.len());
            return Ok(());
        }
        self.held.extend_from_slice(bytes);
        while let Found::Something = self.step().map_err(Refusal::invalid_multipart)? {}
        Ok(())
    }

    /// The bytes are over.
    pub fn finish(self) -> Result<Form, Refusal> {
        if self.state != State::Ended {
            return Err(Refusal::invalid_multipart(
                "it ends before its last boundary",
            ));
        }
        let (model, place) = self.model.ok_or_else(|| Refusal::missing("model"))?;
        if model.is_empty() {
            return Err(Refusal::missing("model"));
        }
        let stream = match self.stream.as_deref() {
            None | Some("false" | "False" | "0" | "") => false,
            Some("true" | "True" | "1") => true,
            Some(_) => return Err(Refusal::invalid_type("stream", "true or false")),
        };
        let count = match self.count.as_deref() {
            None | Some("") => 1,
            Some(text) => text
                .parse()
                .ok()
                .filter(|count| (1..=CHOICES_MAX).contains(count))
                .ok_or_else(|| Refusal::invalid_type("n", "a small whole number"))?,
        };
        Ok(Form {
            model,
            place,
            stream,
            count,
            bytes: self.at.saturating_add(self.held.len()),
        })
    }

    fn step(&mut self) -> Result<Found, &'static str> {
        match self.state {
            State::ExpectFirst => self.first(),
            State::ExpectPart => self.part(),
            State::ExpectHead => self.head(),
            State::Content(field) => self.content(field),
            State::Ended => {
                self.consume(self.held.len());
                Ok(Found::Nothing)
            }
        }
    }

    fn first(&mut self) -> Result<Found, &'static str> {
        let length = self.delimiter.len();
        if self.held.len() < length {
            return Ok(Found::Nothing);
        }
        if !self.held.starts_with(&self.delimiter) {
            return Err("it does not begin with its boundary");
        }
        self.consume(length);
        self.state = State::ExpectPart;
        Ok(Found::Something)
    }

    fn part(&mut self) -> Result<Found, &'static str> {
        let Some((end, _)) = self.held.split_at_checked(2) else {
            return Ok(Found::Nothing);
        };
        self.state = match end {
            b"\r\n" => State::ExpectHead,
            b"--" => State::Ended,
            _ => return Err("a boundary is followed by something else than a new line"),
        };
        self.parts = self.parts.saturating_add(1);
        if self.parts > PARTS_MAX {
            return Err("it has more than 1000 parts");
        }
        self.consume(2);
        Ok(Found::Something)
    }

    fn head(&mut self) -> Result<Found, &'static str> {
        let Some(end) = memchr::memmem::find(&self.held, b"\r\n\r\n") else {
            if self.held.len() > HEAD_BYTES_MAX {
                return Err("the head of a part is longer than is read here");
            }
            return Ok(Found::Nothing);
        };
        let head = self.held.get(..end).unwrap_or_default();
        if head.len() > HEAD_BYTES_MAX {
            return Err("the head of a part is longer than is read here");
        }
        let field = field(head)?;
        let twice = match field {
            Field::Model => self.model.is_some(),
            Field::Stream => self.stream.is_some(),
            Field::Count => self.count.is_some(),
            Field::Other => false,
        };
        if twice {
            return Err("a field stands in it twice");
        }
        self.consume(end.saturating_add(4));
        self.state = State::Content(field);
        Ok(Found::Something)
    }

    fn content(&mut self, field: Field) -> Result<Found, &'static str> {
        let length = self.delimiter.len();
        let Some(found) = memchr::memmem::find(&self.held, &self.delimiter) else {
            // A delimiter that has begun, and the new line before it.
            let kept = length.saturating_add(1);
            match field {
                Field::Other => self.consume(self.held.len().saturating_sub(kept)),
                Field::Model | Field::Stream | Field::Count
                    if self.held.len() > VALUE_BYTES_MAX.saturating_add(kept) =>
                {
                    return Err("a field is longer than is read here");
                }
                Field::Model | Field::Stream | Field::Count => {}
            }
            return Ok(Found::Nothing);
        };
        let content = self.held.get(..found).unwrap_or_default();
        // Some readers are content with less than a whole new line.
        let Some(value) = content.strip_suffix(b"\r\n") else {
            return Err("its boundary stands in the middle of a line");
        };
        let place = self.at..self.at.saturating_add(value.len());
        let text = || {
            let text = std::str::from_utf8(value).ok();
            let text = text.filter(|text| text.len() <= VALUE_BYTES_MAX);
            text.map(str::to_owned).ok_or("a field is no short text")
        };
        match field {
            Field::Model => self.model = Some((text()?, place)),
            Field::Stream => self.stream = Some(text()?),
            Field::Count => self.count = Some(text()?),
            Field::Other => {}
        }
        self.consume(found.saturating_add(length));
        self.state = State::ExpectPart;
        Ok(Found::Something)
    }

    fn consume(&mut self, bytes: usize) {
        let bytes = bytes.min(self.held.len());
        self.held.drain(..bytes);
        self.at = self.at.saturating_add(bytes);
    }
}

/// Which field a part is, by its head.
fn field(head: &[u8]) -> Result<Field, &'static str> {
    const UNCLEAR: &str = "the head of a part is not clear";
    let head = std::str::from_utf8(head).map_err(|_| UNCLEAR)?;
    let (mut disposition, mut coded) = (None, false);
    for line in head.split("\r\n") {
        let (name, value) = line.split_once(':').ok_or(UNCLEAR)?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if name.is_empty()
            || !name.bytes().all(plain)
            || value
                .bytes()
                .any(|byte| byte.is_ascii_control() && byte != b'\t')
        {
            return Err(UNCLEAR);
        }
        if name.eq_ignore_ascii_case("content-disposition") && disposition.replace(value).is_some()
        {
            return Err(UNCLEAR);
        }
        coded |= name.eq_ignore_ascii_case("content-transfer-encoding");
    }
    let (kind, rest) = disposition
        .and_then(|value| value.split_once(';'))
        .ok_or(UNCLEAR)?;
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return Err(UNCLEAR);
    }
    let parameters = parameters(rest).ok_or(UNCLEAR)?;
    let mut names = parameters
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("name"));
    let (Some((_, name)), None) = (names.next(), names.next()) else {
        return Err(UNCLEAR);
    };
    let strange = parameters
        .iter()
        .any(|(name, _)| name.to_ascii_lowercase().starts_with("name*"));
    if strange || name.contains('\\') {
        return Err(UNCLEAR);
    }
    let field = match *name {
        "model" => Field::Model,
        "stream" => Field::Stream,
        "n" => Field::Count,
        _ => return Ok(Field::Other),
    };
    let is_file = parameters
        .iter()
        .any(|(name, _)| name.to_ascii_lowercase().starts_with("filename"));
    if is_file || coded {
        return Err(UNCLEAR);
    }
    Ok(field)
}

#[cfg(test)]
mod tests;
