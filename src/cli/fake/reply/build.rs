//! Replies as tests write them.

use super::{Between, Encoding, Framing, Lines, Reply, UsageClaim};

/// What a test writes: `Reply::status(429).retry_after(2)`, `Reply::text("hello").breaks("cut@3")`.
impl Reply {
    /// A healthy reply.
    pub fn healthy() -> Self {
        Self::default()
    }

    /// A reply of this status.
    pub fn status(status: u16) -> Self {
        Self {
            status: Some(status),
            ..Self::default()
        }
    }

    /// This text.
    pub fn text(text: &str) -> Self {
        Self {
            text: Some(text.to_owned()),
            ..Self::default()
        }
    }

    /// A text of so many tokens.
    pub fn tokens(tokens: u64) -> Self {
        Self {
            tokens: Some(tokens),
            ..Self::default()
        }
    }

    /// These bytes, recorded from somewhere, under a status of 200.
    pub fn recorded(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::default().body(content_type, body)
    }

    /// Goes wrong as `text` says: `cut@3`, `reset@start`, `stall@head`, `end@0`, `error@2`.
    ///
    /// # Panics
    /// On any other text, since a test that misspells its fault tests nothing.
    #[allow(
        clippy::panic,
        reason = "a misspelt fault must end the test that wrote it"
    )]
    pub fn breaking(text: &str) -> Self {
        match text.parse() {
            Ok(breaks) => Self {
                breaks: Some(breaks),
                ..Self::default()
            },
            Err(reason) => panic!("{reason}"),
        }
    }

    /// The same, going wrong like [`Reply::breaking`].
    #[must_use]
    pub fn breaks(self, text: &str) -> Self {
        Self {
            breaks: Self::breaking(text).breaks,
            ..self
        }
    }

    /// With `retry-after`.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// With this header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.to_owned());
        self
    }

    /// With this body.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.content_type = Some(content_type.to_owned());
        self.body = Some(body.into());
        self
    }

    /// With so many of the prompt's tokens from the provider's cache.
    #[must_use]
    pub fn cached_tokens(mut self, tokens: u64) -> Self {
        self.cached_tokens = tokens;
        self
    }

    /// With so many reasoning tokens.
    #[must_use]
    pub fn reasoning_tokens(mut self, tokens: u64) -> Self {
        self.reasoning_tokens = tokens;
        self
    }

    /// Saying this about usage.
    #[must_use]
    pub fn usage(mut self, claim: UsageClaim) -> Self {
        self.usage = claim;
        self
    }

    /// With this time before the head of the reply.
    #[must_use]
    pub fn head_ms(mut self, time: u64) -> Self {
        self.head_ms = time;
        self
    }

    /// With this time before the first token.
    #[must_use]
    pub fn first_token_ms(mut self, time: u64) -> Self {
        self.first_token_ms = Some(time);
        self
    }

    /// With this time before each further token.
    #[must_use]
    pub fn pace_ms(mut self, time: u64) -> Self {
        self.pace_ms = Some(time);
        self
    }

    /// In pieces of so many bytes.
    #[must_use]
    pub fn in_pieces_of(mut self, bytes: usize) -> Self {
        self.piece_bytes = Some(bytes);
        self
    }

    /// With so many events in each chunk.
    #[must_use]
    pub fn merging(mut self, events: usize) -> Self {
        self.merge = Some(events);
        self
    }

    /// With these line ends.
    #[must_use]
    pub fn lines(mut self, lines: Lines) -> Self {
        self.lines = lines;
        self
    }

    /// With this between events.
    #[must_use]
    pub fn between(mut self, between: Between) -> Self {
        self.between = between;
        self
    }

    /// Coded like this.
    #[must_use]
    pub fn encoded(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// Framed like this.
    #[must_use]
    pub fn framed(mut self, framing: Framing) -> Self {
        self.framing = Some(framing);
        self
    }

    /// For so many requests.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// Only for every n-th request.
    #[must_use]
    pub fn every(mut self, nth: u64) -> Self {
        self.every = Some(nth);
        self
    }
}
