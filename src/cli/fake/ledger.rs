//! What the provider saw and what it served: the truth that tests compare with.

use std::collections::VecDeque;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::{Value, json};

use super::connection::{Request, find};

/// The most bytes of request bodies that are kept; the oldest requests make room.
const KEPT_BYTES_MAX: usize = 256 * 1024 * 1024;

/// A request the provider saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Counted from 1, in order of arrival.
    pub number: u64,
    /// The TCP connection it came by, counted from 1.
    pub connection: u64,
    /// When it was there whole.
    pub at: SystemTime,
    /// The method.
    pub method: String,
    /// The path, with its query.
    pub path: String,
    /// The headers, in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// The body, without what framed it.
    pub body: Vec<u8>,
    /// The status of the reply; none if the reply broke before its head.
    pub status: Option<u16>,
    /// Tokens of the answer that were handed to the network.
    pub tokens: u64,
    /// How it ended.
    pub ending: Ending,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Not yet.
    Open,
    /// The reply went out whole.
    Served,
    /// We broke it: a fault, or the provider was shut.
    CutByUs,
    /// The client went away first.
    ClientLeft,
}

/// Sums over all requests, also over those no longer kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Requests seen.
    pub requests: u64,
    /// Prompt tokens of the requests that got an answer, or the beginning of one.
    pub prompt_tokens: u64,
    /// Tokens of answers that were handed to the network.
    pub completion_tokens: u64,
}

impl Seen {
    /// The value of a header, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    fn to_json(&self) -> Value {
        let since = self.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        json!({
            "number": self.number,
            "connection": self.connection,
            "at_ms": u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            "method": self.method,
            "path": self.path,
            "headers": self.headers,
            "body": String::from_utf8_lossy(&self.body),
            "body_bytes": self.body.len(),
            "status": self.status,
            "tokens": self.tokens,
            "ending": self.ending,
        })
    }
}

/// The requests seen, the last of them in full.
#[derive(Debug)]
pub(crate) struct Ledger {
    keep: usize,
    kept: VecDeque<Seen>,
    kept_bytes: usize,
    totals: Totals,
}

/// What became known of a request while it was answered.
#[derive(Clone, Copy)]
pub(crate) struct Progress {
    pub(crate) number: u64,
    pub(crate) status: Option<u16>,
    /// On top of those already counted.
    pub(crate) prompt_tokens: u64,
    /// On top of those already counted.
    pub(crate) completion_tokens: u64,
    pub(crate) ending: Ending,
}

impl Ledger {
    pub(crate) fn keeping(keep: usize) -> Self {
        Self {
            keep,
            kept: VecDeque::new(),
            kept_bytes: 0,
            totals: Totals::default(),
        }
    }

    /// The number of a request that just came.
    pub(crate) fn number(&mut self) -> u64 {
        self.totals.requests = self.totals.requests.saturating_add(1);
        self.totals.requests
    }

    /// Enters a request under its number.
    pub(crate) fn enter(&mut self, number: u64, connection: u64, request: Request) {
        if self.keep == 0 {
            return;
        }
        self.kept_bytes = self.kept_bytes.saturating_add(request.body.len());
        self.kept.push_back(Seen {
            number,
            connection,
            at: SystemTime::now(),
            method: request.method,
            path: request.path,
            headers: request.headers,
            body: request.body,
            status: None,
            tokens: 0,
            ending: Ending::Open,
        });
        while self.kept.len() > self.keep || self.kept_bytes > KEPT_BYTES_MAX {
            let Some(oldest) = self.kept.pop_front() else {
                break;
            };
            self.kept_bytes = self.kept_bytes.saturating_sub(oldest.body.len());
        }
    }

    pub(crate) fn note(&mut self, progress: Progress) {
        let totals = &mut self.totals;
        totals.prompt_tokens = totals.prompt_tokens.saturating_add(progress.prompt_tokens);
        totals.completion_tokens = totals
            .completion_tokens
            .saturating_add(progress.completion_tokens);
        if let Some(seen) = self.find(progress.number) {
            seen.status = progress.status;
            seen.tokens = seen.tokens.saturating_add(progress.completion_tokens);
            seen.ending = progress.ending;
        }
    }

    /// Tokens that were thought to be handed over, and were not.
    pub(crate) fn take_back(&mut self, number: u64, tokens: u64) {
        let total = &mut self.totals.completion_tokens;
        *total = total.saturating_sub(tokens);
        if let Some(seen) = self.find(number) {
            seen.tokens = seen.tokens.saturating_sub(tokens);
        }
    }

    /// Nobody works at this request any more.
    pub(crate) fn abandon(&mut self, number: u64) {
        if let Some(seen) = self.find(number)
            && seen.ending == Ending::Open
        {
            seen.ending = Ending::CutByUs;
        }
    }

    /// From the end: what changes is nearly always among the last.
    fn find(&mut self, number: u64) -> Option<&mut Seen> {
        self.kept.iter_mut().rfind(|seen| seen.number == number)
    }

    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.kept.iter().cloned().collect()
    }

    pub(crate) fn totals(&self) -> Totals {
        self.totals
    }

    pub(crate) fn to_json(&self) -> Value {
        let requests: Vec<_> = self.kept.iter().map(Seen::to_json).collect();
        json!({"totals": self.totals, "requests": requests})
    }
}

#[cfg(test)]
mod tests {
    use super::super::connection::{After, Version};
    use super::*;

    fn enter(ledger: &mut Ledger, body: usize) {
        let request = Request {
            method: "POST".to_owned(),
            path: "/".to_owned(),
            headers: Vec::new(),
            body: vec![b'x'; body],
            version: Version::Http11,
            after: After::KeepAlive,
        };
        let number = ledger.number();
        ledger.enter(number, 1, request);
    }

    #[test]
    fn only_the_last_are_kept_but_all_are_counted() {
        for (keep, want) in [
            (0, vec![]),
            (1, vec![5]),
            (3, vec![3, 4, 5]),
            (9, vec![1, 2, 3, 4, 5]),
        ] {
            let mut ledger = Ledger::keeping(keep);
            for _ in 1..=5 {
                enter(&mut ledger, 1);
            }
            let numbers: Vec<_> = ledger.requests().iter().map(|seen| seen.number).collect();
            assert_eq!(
                (numbers, ledger.totals().requests),
                (want, 5),
                "keep {keep}"
            );
        }
    }

    #[test]
    fn large_bodies_push_out_the_oldest() {
        let mut ledger = Ledger::keeping(100);
        for _ in 0..3 {
            enter(&mut ledger, KEPT_BYTES_MAX / 2);
        }
        let numbers: Vec<_> = ledger.requests().iter().map(|seen| seen.number).collect();
        assert_eq!(numbers, [2, 3]);
    }

    #[test]
    fn progress_of_a_request_no_longer_kept_still_counts() {
        let mut ledger = Ledger::keeping(1);
        enter(&mut ledger, 0);
        enter(&mut ledger, 0);
        for (number, tokens) in [(1, 3), (2, 5)] {
            ledger.note(Progress {
                number,
                status: Some(200),
                prompt_tokens: 1,
                completion_tokens: tokens,
                ending: Ending::Served,
            });
        }
        assert_eq!(
            ledger.totals(),
            Totals {
                requests: 2,
                prompt_tokens: 2,
                completion_tokens: 8
            }
        );
        let kept = ledger.requests();
        assert_eq!((kept[0].tokens, kept[0].ending), (5, Ending::Served));
    }
}
