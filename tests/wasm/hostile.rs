//! A trap kills the VM of a worker for everybody, so no head and no body may cause one.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::budget::{ATTEMPT, GATEWAY, HEAD, WORD, loaded};
use crate::host::Host;

/// A stream of numbers from a seed, printed when a test fails.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) >> 1).unwrap_or(0) % bound.max(1)
    }

    fn one_of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }

    /// Some of it changed, doubled or lost.
    fn bent(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bent = bytes.to_vec();
        for _ in 0..self.below(4) {
            let at = self.below(bent.len());
            match self.below(4) {
                0 => bent.truncate(at),
                1 if !bent.is_empty() => bent[at] = u8::try_from(self.below(256)).unwrap_or(0),
                2 => bent.extend_from_slice(bytes),
                _ => bent
                    .splice(at..at, b"\r\n\"{[\xff\x00".iter().copied())
                    .for_each(drop),
            }
        }
        bent
    }
}

const BODIES: [&[u8]; 6] = [
    br#"{"model":"small","stream":true,"messages":[{"role":"user","content":"hi"}]}"#,
    br#"{"model":"small","stream":true,"stream_options":{"include_usage":true}}"#,
    br#"{"model":"small","stream_options":null,"stream":true}"#,
    br#"{"model":"small"}"#,
    b"",
    b"[[[[[[[[",
];

const REPLIES: [&[u8]; 5] = [
    WORD,
    b"data: {\"error\":{\"message\":\"busy\"}}\n\n",
    br#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#,
    br#"{"error":{"message":"no","code":7}}"#,
    b"data: [DONE]\n\n",
];

fn exchange(host: &mut Host, random: &mut Random, number: i32) {
    let (gateway, attempt) = (number * 10, number * 10 + 1);
    let path = random.one_of(&[
        "/v1/chat/completions",
        "/v1/models",
        "/v1/embeddings?x",
        "//",
        "",
        "/v1/models/\u{e4}",
    ]);
    let method = random.one_of(&["POST", "GET", "", "P\u{f6}ST"]);
    let mut head = HEAD.to_vec();
    head[1].1 = path;
    head[2].1 = method;
    if random.below(4) > 0 {
        head[1].1 = "/v1/chat/completions";
        head[2].1 = "POST";
    }
    let body = random.one_of(&BODIES);
    let body = random.bent(body);
    host.set_request(&head, &body);
    host.stream(gateway, GATEWAY);
    let cut = random.below(3) == 0;
    let mut goes_on = host.request_head(gateway, cut) == 0;
    if !cut {
        goes_on = host.request_body(gateway, true) == 0;
    }
    if goes_on {
        host.stream(attempt, ATTEMPT);
        host.request_head(attempt, false);
        host.request_body(attempt, true);
        let status = random.one_of(&[
            "200", "200", "200", "429", "500", "400", "401", "302", "x", "",
        ]);
        let kind = random.one_of(&["text/event-stream", "application/json", "text/html", ""]);
        host.set_reply(
            &[
                (":status", status),
                ("content-type", kind),
                ("retry-after", "1"),
            ],
            b"",
        );
        let mut held = host.reply_head(attempt, random.below(8) == 0) == 1;
        let mut bytes = Vec::new();
        for last in [false, false, true] {
            let reply = random.one_of(&REPLIES);
            let reply = random.bent(reply);
            if !held {
                bytes.clear();
            }
            bytes.extend(reply);
            host.set_reply_body(&bytes);
            held = host.reply_body(attempt, last) == 1;
        }
        host.reply_head(gateway, false);
        host.end(attempt, false);
    }
    host.end(gateway, true);
}

#[test]
fn no_traffic_makes_it_trap() {
    let rounds: i32 = std::env::var("ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(3_000);
    let mut random = Random(
        std::env::var("SEED")
            .ok()
            .and_then(|seed| seed.parse().ok())
            .unwrap_or(7),
    );
    let mut host = loaded();
    for number in 1..rounds {
        let seed = random.0;
        let survived = catch_unwind(AssertUnwindSafe(|| {
            exchange(&mut host, &mut random, number)
        }));
        assert!(survived.is_ok(), "SEED={seed} traps");
    }
}
