//! Replies as providers send them, and what becomes of the request.

use proptest::prelude::*;

use super::*;
use crate::handoff::Ending;
use crate::testing::{admitted, at, head_of};
use crate::units::Tokens;

const WHOLE: &str = r#"{"model":"small","messages":[]}"#;
const STREAM: &str = r#"{"model":"small","stream":true}"#;
const ASKED: &str = r#"{"model":"small","stream":true,"stream_options":{"include_usage":true}}"#;
const HERE: config::Attempt = config::Attempt::Hop;

const ROLE: &str =
    "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
const WORD: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"word\"}}]}\n\n";
const STOP: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const USAGE: &str =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\n";
const DONE: &str = "data: [DONE]\n\n";
const ERROR: &str = "data: {\"error\":{\"message\":\"busy\"}}\n\n";

/// One attempt of a request and the caller's view of it.
struct World {
    exchange: Exchange,
    attempt: Attempt,
    held: Vec<u8>,
    /// What the caller got.
    got: String,
}

impl World {
    fn new(body: &str) -> Self {
        let mut exchange = admitted(body);
        let mut attempt = Attempt::new();
        attempt
            .request_head(&mut exchange, &HERE, at(1))
            .expect("a target");
        Self {
            exchange,
            attempt,
            held: Vec::new(),
            got: String::new(),
        }
    }

    /// The next attempt of the same request.
    fn again(&mut self) {
        self.attempt = Attempt::new();
        self.held.clear();
        self.attempt
            .request_head(&mut self.exchange, &HERE, at(2))
            .expect("a target");
    }

    fn head(&mut self, lines: &[(&str, &str)], follows: Follows) -> HeadStep {
        self.attempt
            .reply_head(&mut self.exchange, Head(&head_of(lines)), follows, at(3))
    }

    /// Envoy gives everything that is held, again, and then piece by piece.
    fn body(&mut self, piece: &str, follows: Follows) -> &'static str {
        self.held.extend_from_slice(piece.as_bytes());
        match self
            .attempt
            .reply_body(&mut self.exchange, &self.held, follows, at(9))
        {
            BodyStep::Hold => "hold",
            BodyStep::Retry => "retry",
            BodyStep::Pass(sse::Output::Same) => {
                self.got
                    .push_str(&String::from_utf8(std::mem::take(&mut self.held)).expect("text"));
                "pass"
            }
            BodyStep::Pass(sse::Output::Changed(bytes)) => {
                self.held.clear();
                self.got.push_str(&String::from_utf8(bytes).expect("text"));
                "pass"
            }
        }
    }

    fn story(&self) -> String {
        self.exchange.story()
    }
}

fn json(status: &str) -> [(&str, &str); 2] {
    [
        (":status", status),
        ("content-type", "application/json; charset=utf-8"),
    ]
}

const EVENTS: [(&str, &str); 2] = [(":status", "200"), ("content-type", "text/event-stream")];

#[test]
fn each_attempt_is_written_for_its_provider() {
    let mut world = World::new(STREAM);
    let written = Attempt::request_body(&world.exchange, |_| Vec::new())
        .map(|body| String::from_utf8(body.bytes.into_owned()).unwrap());
    assert_eq!(
        written.as_deref(),
        Some(r#"{"stream_options":{"include_usage":true},"model":"alpha-small","stream":true}"#)
    );
    let mut next = Attempt::new();
    let send = next
        .request_head(&mut world.exchange, &HERE, at(2))
        .unwrap();
    assert_eq!(
        send,
        Send {
            path: "/beta/v1/chat/completions".to_owned(),
            authority: "beta.example".to_owned(),
            content_length: written.unwrap().len() - 1,
            headers: Vec::new(),
            strange: &["anthropic-beta", "anthropic-version"],
            cluster: "tollgate-beta".to_owned(),
            next_cluster: None,
        }
    );
    assert_eq!(world.story(), "alpha connection, beta pending");
    let refused = Attempt::new().request_head(&mut world.exchange, &HERE, at(3));
    assert_eq!(refused.unwrap_err().code, "gateway_error");
}

#[test]
fn an_attempt_in_a_strange_cluster_goes_nowhere() {
    let mut exchange = admitted(WHOLE);
    let place = config::Attempt::Cluster {
        provider: "beta".to_owned(),
    };
    let refused = Attempt::new().request_head(&mut exchange, &place, at(0));
    assert_eq!(refused.unwrap_err().code, "gateway_error");
    assert!(exchange.attempts.is_empty());
}

#[test]
fn a_status_decides_who_is_asked_next() {
    for (status, first, second, story) in [
        (
            "429",
            HeadStep::Retry,
            HeadStep::Hold,
            "alpha 429, beta pending",
        ),
        (
            "408",
            HeadStep::Retry,
            HeadStep::Hold,
            "alpha 408, beta pending",
        ),
        (
            "500",
            HeadStep::Retry,
            HeadStep::Hold,
            "alpha 500, beta pending",
        ),
        (
            "529",
            HeadStep::Retry,
            HeadStep::Hold,
            "alpha 529, beta pending",
        ),
        (
            "302",
            HeadStep::Retry,
            HeadStep::Hold,
            "alpha unreadable, beta pending",
        ),
        (
            "400",
            HeadStep::Hold,
            HeadStep::Hold,
            "alpha connection, beta pending",
        ),
        (
            "401",
            HeadStep::Hold,
            HeadStep::Hold,
            "alpha connection, beta pending",
        ),
        (
            "404",
            HeadStep::Hold,
            HeadStep::Hold,
            "alpha connection, beta pending",
        ),
    ] {
        let mut world = World::new(WHOLE);
        assert_eq!(world.head(&json(status), Follows::More), first, "{status}");
        world.again();
        assert_eq!(world.head(&json(status), Follows::More), second, "{status}");
        assert_eq!(world.story(), story);
    }
}

#[test]
fn the_words_of_a_refusal_are_kept_only_if_they_are_an_error() {
    let fine = r#"{"error":{"message":"too long","code":"context_length_exceeded"}}"#;
    for (body, want) in [
        (fine, fine),
        ("<html>nginx 10.0.0.7</html>", ""),
        (r#"{"detail":"stack trace"}"#, ""),
        (r#"{"error":{"message":"cut of"#, ""),
        (r#"{"error":{"message":"m"}} and more"#, ""),
    ] {
        let mut world = World::new(WHOLE);
        world.head(&json("400"), Follows::More);
        world.body(body, Follows::Nothing);
        let end = &world.exchange.attempts[0].end;
        assert_eq!(
            end,
            &End::Refused {
                status: 400,
                body: want.as_bytes().to_vec()
            }
        );
    }
}

#[test]
fn a_whole_reply_passes_and_its_usage_is_read() {
    let mut world = World::new(WHOLE);
    assert_eq!(world.head(&json("200"), Follows::More), HeadStep::Hold);
    let steps = [
        world.body(r#"{"id":"x","#, Follows::More),
        world.body(
            r#""choices":[{"message":{"content":"\"usage\":{}"}}],"#,
            Follows::More,
        ),
        world.body(
            r#""usage":{"prompt_tokens":7,"completion_tokens":2}}"#,
            Follows::Nothing,
        ),
    ];
    assert_eq!(steps, ["hold", "pass", "pass"]);
    assert!(world.got.starts_with(r#"{"id":"x","choices""#) && world.got.ends_with("2}}"));
    let progress = &world.exchange.progress;
    assert_eq!(
        progress.usage.map(|usage| (usage.input, usage.output)),
        Some((Tokens(7), Tokens(2)))
    );
    assert_eq!(
        (progress.ending, progress.first_token),
        (Ending::Complete, Some(at(9)))
    );
}

#[test]
fn a_good_status_with_a_bad_body_is_a_failure() {
    let events = |bodies: &[&'static str]| (EVENTS, bodies.to_vec());
    let whole = |bodies: &[&'static str]| {
        (
            [(":status", "200"), ("content-type", "application/json")],
            bodies.to_vec(),
        )
    };
    for ((head, bodies), why) in [
        (events(&[ERROR]), "error_in_reply"),
        (events(&[ROLE, ERROR]), "error_in_reply"),
        (events(&[ROLE]), "no_first_token"),
        (events(&[ROLE, DONE]), "no_first_token"),
        (events(&[": ping\n\n"]), "no_first_token"),
        (events(&["data: {\"choi"]), "no_first_token"),
        (
            whole(&[r#"{"error":{"message":"busy"}}"#]),
            "error_in_reply",
        ),
        (
            whole(&[r#"{"id":1,"err"#, r#"or":"busy"}"#]),
            "error_in_reply",
        ),
        (whole(&["<html>"]), "unreadable"),
        (whole(&[r#"{"id":"#]), "unreadable"),
        (whole(&[""]), "unreadable"),
    ] {
        let mut world = World::new(WHOLE);
        assert_eq!(world.head(&head, Follows::More), HeadStep::Hold);
        let mut step = "hold";
        for (index, body) in bodies.iter().enumerate() {
            assert_eq!(step, "hold", "{bodies:?}");
            let last = index + 1 == bodies.len();
            step = world.body(
                body,
                if last {
                    Follows::Nothing
                } else {
                    Follows::More
                },
            );
        }
        assert_eq!(
            (step, world.story()),
            ("retry", format!("alpha {why}")),
            "{bodies:?}"
        );
        assert_eq!(world.got, "");
    }
}

#[test]
fn a_reply_that_cannot_be_read_is_not_passed_on_blindly() {
    for lines in [
        vec![(":status", "200"), ("content-type", "text/html")],
        vec![(":status", "200")],
        vec![
            (":status", "200"),
            ("content-type", "application/json"),
            ("content-encoding", "gzip"),
        ],
    ] {
        let mut world = World::new(WHOLE);
        assert_eq!(world.head(&lines, Follows::More), HeadStep::Retry);
        world.again();
        assert_eq!(world.head(&lines, Follows::More), HeadStep::Release);
        assert_eq!(world.story(), "alpha unreadable, beta unreadable");
    }
    let mut world = World::new(WHOLE);
    assert_eq!(world.head(&json("200"), Follows::Nothing), HeadStep::Retry);
}

#[test]
fn a_stream_is_held_until_its_first_token_and_no_longer() {
    for (body, usage_event) in [(STREAM, ""), (ASKED, USAGE)] {
        let mut world = World::new(body);
        assert_eq!(world.head(&EVENTS, Follows::More), HeadStep::Hold);
        assert!(world.attempt.may_rewrite());
        let steps =
            [ROLE, WORD, WORD, STOP, USAGE, DONE].map(|event| world.body(event, Follows::More));
        assert_eq!(steps, ["hold", "pass", "pass", "pass", "pass", "pass"]);
        assert_eq!(
            world.got,
            [ROLE, WORD, WORD, STOP, usage_event, DONE].concat()
        );
        let progress = &world.exchange.progress;
        assert_eq!(progress.usage.map(|usage| usage.total()), Some(Tokens(7)));
        assert_eq!(
            (
                progress.ending,
                progress.content_events,
                progress.text_bytes
            ),
            (Ending::Complete, 2, 8)
        );
        assert_eq!(world.body("", Follows::Nothing), "pass");
        assert_eq!(world.exchange.progress.ending, Ending::Complete);
    }
}

#[test]
fn a_stream_without_its_end_gets_an_error_that_sdks_raise() {
    for (tail, lost) in [
        ("", ""),
        ("data: {\"choices\":[{\"del", "data: {\"choices\":[{\"del"),
    ] {
        let mut world = World::new(STREAM);
        world.head(&EVENTS, Follows::More);
        world.body(WORD, Follows::More);
        world.body(tail, Follows::Nothing);
        let rest = world.got.strip_prefix(WORD).expect("the word");
        assert!(
            !lost.is_empty() && !rest.contains(lost) || lost.is_empty(),
            "{rest}"
        );
        let error: serde_json::Value = serde_json::from_str(
            rest.strip_prefix("data: ")
                .and_then(|rest| rest.strip_suffix("\n\n"))
                .expect("an event"),
        )
        .unwrap();
        assert_eq!(error["error"]["code"], "provider_stream_cut");
        assert_eq!(world.exchange.progress.ending, Ending::Failed);
    }
}

#[test]
fn an_error_after_the_first_token_is_passed_on_and_remembered() {
    let mut world = World::new(STREAM);
    world.head(&EVENTS, Follows::More);
    world.body(WORD, Follows::More);
    world.body(ERROR, Follows::More);
    world.body(DONE, Follows::Nothing);
    assert_eq!(world.got, [WORD, ERROR, DONE].concat());
    assert_eq!(world.exchange.progress.ending, Ending::Failed);
}

#[test]
fn a_reply_that_falls_silent_is_given_up_once() {
    let mut world = World::new(STREAM);
    world.head(&EVENTS, Follows::More);
    assert!(!world.exchange.give_up_if_silent(at(60_000)), "not begun");
    world.body(WORD, Follows::More);
    for (millis, want) in [(10_009, false), (10_010, true), (20_000, false)] {
        assert_eq!(world.exchange.give_up_if_silent(at(millis)), want);
    }
    assert_eq!(world.exchange.progress.ending, Ending::Failed);
    let mut world = World::new(STREAM);
    world.head(&EVENTS, Follows::More);
    world.body(&[WORD, DONE].concat(), Follows::More);
    assert!(!world.exchange.give_up_if_silent(at(60_000)), "complete");
}

proptest! {
    #[test]
    fn where_a_reply_is_cut_does_not_matter(
        events in prop::collection::vec(prop::sample::select(vec![ROLE, WORD, STOP, USAGE, DONE, ERROR, ": ping\n\n"]), 1..8),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
    ) {
        let stream = events.concat();
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        places.extend([0, stream.len()]);
        places.sort_unstable();
        let run = |places: &[usize]| {
            let mut world = World::new(STREAM);
            world.head(&EVENTS, Follows::More);
            let last = places.len() - 2;
            for (index, pair) in places.windows(2).enumerate() {
                let follows = if index == last { Follows::Nothing } else { Follows::More };
                if world.body(stream.get(pair[0]..pair[1]).expect("text"), follows) == "retry" {
                    break;
                }
            }
            (world.story(), world.got, world.exchange.progress)
        };
        prop_assert_eq!(run(&places), run(&[0, stream.len()]));
    }

    #[test]
    fn no_reply_panics(status in 0_u16..1000, body in prop::collection::vec(any::<u8>(), 0..100), kind in prop::sample::select(vec!["text/event-stream", "application/json", ""])) {
        let mut world = World::new(STREAM);
        let status = status.to_string();
        world.head(&[(":status", &status), ("content-type", kind)], Follows::More);
        for follows in [Follows::More, Follows::Nothing] {
            world.attempt.reply_body(&mut world.exchange, &body, follows, at(5));
        }
    }
}
