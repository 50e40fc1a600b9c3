//! What a dialect has to say, before anything is done to it.

/// An answer in the words of its dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) flow: Flow,
    pub(crate) pieces: Pieces,
    /// What this dialect sends in place of the rest when a running reply fails.
    pub(crate) error: Vec<u8>,
    pub(crate) prompt_tokens: u64,
}

/// In one body, or event by event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    Whole,
    Events,
    /// Events in Amazon's binary frames: they have no lines, and nothing stands between them.
    Frames,
}

/// A body with the places at which it may be taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pieces {
    pub(crate) bytes: Vec<u8>,
    pub(crate) marks: Vec<Mark>,
}

/// The end of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) end: usize,
    pub(crate) tokens: u64,
    pub(crate) stage: Stage,
}

/// The part that a piece plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Opens the stream, before any token.
    Opening,
    /// Carries tokens.
    Tokens,
    /// Comes after the last token: why it ended, what was used.
    Closing,
    /// Tells that the stream is complete.
    Terminator,
}

impl Pieces {
    /// A body in one piece.
    pub(crate) fn whole(bytes: Vec<u8>, tokens: u64) -> Self {
        let mut pieces = Self {
            bytes,
            marks: Vec::new(),
        };
        pieces.mark(Stage::Tokens, tokens);
        pieces
    }

    /// Ends a piece with what was last written into `bytes`.
    pub(crate) fn mark(&mut self, stage: Stage, tokens: u64) {
        self.marks.push(Mark {
            end: self.bytes.len(),
            tokens,
            stage,
        });
    }

    /// Adds a piece.
    pub(crate) fn push(&mut self, bytes: &[u8], mark: Mark) {
        self.bytes.extend_from_slice(bytes);
        self.mark(mark.stage, mark.tokens);
    }

    /// Each piece with its mark.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], Mark)> {
        let mut start = 0;
        self.marks.iter().map(move |mark| {
            let piece = self.bytes.get(start..mark.end).unwrap_or_default();
            start = mark.end;
            (piece, *mark)
        })
    }
}
