//! A stream reaches the caller event by event, whole or honestly broken, and is counted either way.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    reason = "in tests a failure is what an unwrap is for, in their helpers too"
)]

use std::thread;

use serde_json::{Value, json};
use tollgate::fake::{Between, Ending, Framing, Lines, Reply as Scripted, Seen, UsageClaim};
use tollgate_tests::{Call, End, Event, Gateway, PATIENCE, tried};

/// As a provider sent it: a role, text in several alphabets, an empty delta, a comment, a reason, figures, the end.
const RECORDED: &str = concat!(
    r#"data: {"id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":""}}],"usage":null}"#,
    "\n\n",
    r#"data: {"id":"c","choices":[{"index":0,"delta":{"content":"Grüße, "}}],"usage":null}"#,
    "\n\n: keep-alive\n\n",
    r#"data: {"id":"c","choices":[{"index":0,"delta":{"content":"\"\u4e16界\" ☕"}}],"usage":null}"#,
    "\n\n",
    r#"data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}"#,
    "\n\n",
    r#"data: {"id":"c","choices":[],"usage":{"prompt_tokens":11,"completion_tokens":7}}"#,
    "\n\ndata: [DONE]\n\n",
);

fn ask(gateway: &Gateway) -> Call {
    gateway.chat("small", "hi you").key("team-a")
}

fn data(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.data.as_str()).collect()
}

fn figures(record: &Value) -> (&Value, &Value, &Value, &Value) {
    let tokens = &record["tokens"];
    (
        &record["end"],
        &record["usage_source"],
        &tokens["input"],
        &tokens["output"],
    )
}

#[test]
fn where_the_network_cuts_a_stream_does_not_matter() {
    let gateway = Gateway::start("two-providers.yaml");
    // All but the figures, for which nobody asked.
    let want: Vec<_> = RECORDED
        .split("\n\n")
        .filter_map(|event| event.strip_prefix("data: "))
        .filter(|event| !event.contains("prompt_tokens"))
        .collect();
    for framing in [Framing::Chunked, Framing::ContentLength] {
        for size in 1..=RECORDED.len() {
            let recorded = Scripted::recorded("text/event-stream", RECORDED)
                .framed(framing)
                .in_pieces_of(size);
            gateway.provider("alpha").next(recorded);
            let mut stream = ask(&gateway).stream();
            let events: Vec<_> = stream.by_ref().collect();
            let how = format!("{framing:?} in pieces of {size}");
            assert_eq!(data(&events), want, "{how}");
            assert_eq!(stream.end(), Some(End::Complete), "{how}");
        }
    }
    let records = gateway.records(2 * RECORDED.len());
    assert_eq!(records.len(), 2 * RECORDED.len());
    for record in &records {
        assert_eq!(
            figures(record),
            (&"ok".into(), &"provider".into(), &11.into(), &7.into())
        );
    }
}

#[test]
fn however_a_stream_is_written_its_text_and_its_figures_arrive() {
    let gateway = Gateway::start("two-providers.yaml");
    let five = || Scripted::text("one two three four five");
    for reply in [
        five(),
        five().merging(2),
        five().merging(100),
        five().lines(Lines::Crlf),
        five().lines(Lines::Crlf).in_pieces_of(1),
        five().between(Between::Comments),
        five().between(Between::Comments).merging(3),
        five().framed(Framing::ContentLength),
        five().framed(Framing::ContentLength).in_pieces_of(100),
        five().framed(Framing::UntilClose),
        five().pace_ms(5),
    ] {
        gateway.provider("alpha").next(reply.clone());
        let mut stream = ask(&gateway).stream();
        let trace = stream.header("x-tollgate-trace-id").map(str::to_owned);
        assert_eq!(stream.text(), "one two three four five", "{reply:?}");
        assert_eq!(stream.end(), Some(End::Complete), "{reply:?}");
        let record = gateway.record_of(trace.as_deref());
        assert_eq!(
            figures(&record),
            (&"ok".into(), &"provider".into(), &2.into(), &5.into()),
            "{reply:?}"
        );
        assert_eq!(tried(&record), ["alpha 200"]);
    }
}

#[test]
fn the_figures_are_shown_to_who_asks_for_them_and_to_nobody_else() {
    let gateway = Gateway::start("two-providers.yaml");
    for (options, shown) in [
        (Value::Null, 0),
        (json!({}), 0),
        (json!({"include_usage": false}), 0),
        (json!({"include_usage": true}), 1),
    ] {
        let stream = ask(&gateway)
            .field("stream_options", options.clone())
            .stream();
        let events: Vec<_> = stream.collect();
        let with_figures = events
            .iter()
            .filter(|event| event.json()["usage"].is_object());
        assert_eq!(with_figures.count(), shown, "{options}");
        assert_eq!(data(&events).last(), Some(&"[DONE]"), "{options}");
        let asked = gateway.provider("alpha").requests().pop().unwrap();
        assert_eq!(asked.json()["stream_options"]["include_usage"], true);
    }
    for record in gateway.records(4) {
        assert_eq!(record["usage_source"], "provider");
    }
}

#[test]
fn the_first_token_is_with_the_caller_before_the_second_exists() {
    let gateway = Gateway::start("two-providers.yaml");
    let alpha = gateway.provider("alpha");
    alpha.next(Scripted::text("one two three").breaks("stall@1"));
    let mut stream = ask(&gateway).stream();
    let first = stream.read_tokens(1);
    assert_eq!(first.last().unwrap().delta(), "one");
    let seen = &alpha.requests()[0];
    assert_eq!((seen.tokens, seen.ending), (1, Ending::Open));
}

#[test]
fn a_stream_without_figures_is_counted_by_us_and_says_so() {
    let gateway = Gateway::start("two-providers.yaml");
    let silent = Scripted::tokens(40).usage(UsageClaim::None);
    gateway.provider("alpha").next(silent);
    let mut stream = ask(&gateway).stream();
    stream.text();
    let record = gateway.record();
    assert_eq!(
        (&record["end"], &record["usage_source"]),
        (&"ok".into(), &"counted".into())
    );
    let output = record["tokens"]["output"].as_u64().unwrap();
    assert!((40..=80).contains(&output), "{output} for 40");
    assert!(record["tokens"]["input"].as_u64().unwrap() > 0);
    assert!(record["cost_nanousd"].as_u64().unwrap() > 0);
}

#[test]
fn a_stream_that_ends_without_its_end_says_so_to_the_caller() {
    let gateway = Gateway::start("two-providers.yaml");
    // In the middle, and when all but the last word was said.
    for (fault, text) in [("end@2", "one two"), ("end@9", "one two three four")] {
        let broken = Scripted::text("one two three four").breaks(fault);
        gateway.provider("alpha").next(broken);
        let mut stream = ask(&gateway).stream();
        let trace = stream.header("x-tollgate-trace-id").map(str::to_owned);
        let events: Vec<_> = stream.by_ref().collect();
        let said: String = events.iter().map(Event::delta).collect();
        assert_eq!((said.as_str(), stream.end()), (text, Some(End::Complete)));
        let last = events.last().unwrap().json();
        assert_eq!(last["error"]["code"], "provider_stream_cut", "{fault}");
        assert!(!data(&events).contains(&"[DONE]"), "{fault}");
        let record = gateway.record_of(trace.as_deref());
        assert_eq!(record["end"], "cut", "{fault}");
        assert!(record["tokens"]["output"].as_u64().unwrap() >= 2, "{fault}");
    }
    assert_eq!(gateway.provider("beta").requests(), []);
}

#[test]
fn an_error_in_the_middle_of_a_stream_reaches_the_caller() {
    let gateway = Gateway::start("two-providers.yaml");
    let broken = Scripted::text("one two three four").breaks("error@2");
    gateway.provider("alpha").next(broken);
    let mut stream = ask(&gateway).stream();
    let events: Vec<_> = stream.by_ref().collect();
    let said: String = events.iter().map(Event::delta).collect();
    assert_eq!(
        (said.as_str(), stream.end()),
        ("one two", Some(End::Complete))
    );
    let errors = events
        .iter()
        .filter(|event| event.json()["error"].is_object());
    assert_eq!(errors.count(), 1, "{events:?}");
    let record = gateway.record();
    assert_eq!(
        (&record["end"], &record["status"]),
        (&"cut".into(), &200.into())
    );
    assert_eq!(record["usage_source"], "counted");
}

#[test]
fn a_stream_that_is_torn_is_no_success_and_is_counted() {
    let gateway = Gateway::start("two-providers.yaml");
    for fault in ["reset@2", "cut@2"] {
        let broken = Scripted::text("one two three four").breaks(fault);
        gateway.provider("alpha").next(broken);
        let mut stream = ask(&gateway).stream();
        let trace = stream.header("x-tollgate-trace-id").map(str::to_owned);
        assert_eq!(stream.text(), "one two", "{fault}");
        let end = stream.end();
        assert!(
            matches!(end, Some(End::Closed | End::Reset)),
            "{fault}: {end:?}"
        );
        let record = gateway.record_of(trace.as_deref());
        assert_eq!(record["end"], "cut", "{fault}");
        assert!(record["tokens"]["output"].as_u64().unwrap() >= 2, "{fault}");
    }
}

#[test]
fn a_stream_may_last_longer_than_any_timeout_while_it_goes_on() {
    let gateway = Gateway::start("impatient.yaml");
    // Two and a half seconds, where one is the limit for silence and for the first token.
    let slow = Scripted::tokens(25).pace_ms(100);
    gateway.provider("alpha").next(slow);
    let mut stream = ask(&gateway).stream();
    let tokens = stream.by_ref().filter(|event| !event.delta().is_empty());
    assert_eq!(tokens.count(), 25);
    assert_eq!(stream.end(), Some(End::Complete));
}

#[test]
fn who_leaves_in_the_middle_pays_for_what_came_and_the_provider_may_stop() {
    let gateway = Gateway::start("two-providers.yaml");
    let alpha = gateway.provider("alpha");
    alpha.next(Scripted::tokens(10_000).pace_ms(5));
    let mut stream = ask(&gateway).stream();
    stream.read_tokens(10);
    stream.leave();
    let left = |seen: &[Seen]| seen[0].ending == Ending::ClientLeft;
    let seen = alpha.wait(PATIENCE, left).unwrap();
    let record = gateway.record();
    assert_eq!(
        (&record["end"], &record["usage_source"]),
        (&"client_left".into(), &"counted".into())
    );
    let (counted, produced) = (record["tokens"]["output"].as_u64(), seen[0].tokens);
    assert!(
        counted >= Some(10) && counted <= Some(produced * 2),
        "counted {counted:?} of {produced}"
    );
    assert!(record["cost_nanousd"].as_u64() > Some(0));
    assert!(gateway.metric("tollgate_tokens_total", &[("kind", "output")]) >= 10);
}

#[test]
fn who_leaves_before_the_first_token_is_no_failure_of_the_provider() {
    let gateway = Gateway::start("two-providers.yaml");
    let alpha = gateway.provider("alpha");
    alpha.next(Scripted::breaking("stall@0"));
    let mut wire = gateway.wire();
    wire.send(ask(&gateway).field("stream", true).to_bytes());
    alpha.wait(PATIENCE, |seen| seen.len() == 1).unwrap();
    drop(wire);
    let left = |seen: &[Seen]| seen[0].ending == Ending::ClientLeft;
    alpha.wait(PATIENCE, left).unwrap();
    assert_eq!(gateway.record()["end"], "client_left");
    assert_eq!(gateway.provider("beta").requests(), []);
}

#[test]
fn two_hundred_streams_at_once_each_get_their_own_text() {
    let gateway = Gateway::start("two-providers.yaml");
    gateway
        .provider("alpha")
        .set(|settings| settings.pace_ms = 20);
    let words = |number: usize| vec![format!("w{number}"); 10 + number % 7].join(" ");
    thread::scope(|scope| {
        for number in 0..200 {
            let call = gateway.chat("small", &words(number)).key("team-a");
            let want = format!("alpha heard: {}", words(number));
            scope.spawn(move || {
                let mut stream = call.patience(3 * PATIENCE).stream();
                assert_eq!(stream.text(), want);
                assert_eq!(stream.end(), Some(End::Complete));
            });
        }
    });
    let records = gateway.records(200);
    let output: u64 = records
        .iter()
        .map(|record| record["tokens"]["output"].as_u64().unwrap())
        .sum();
    let served = gateway.provider("alpha").totals().completion_tokens;
    assert_eq!((records.len(), output), (200, served));
    assert!(records.iter().all(|record| record["end"] == "ok"));
}

#[test]
fn a_long_stream_arrives_whole() {
    let gateway = Gateway::start("two-providers.yaml");
    gateway.provider("alpha").next(Scripted::tokens(5_000));
    let mut stream = ask(&gateway).stream();
    assert_eq!(stream.text().split(' ').count(), 5_000);
    assert_eq!(stream.end(), Some(End::Complete));
    assert_eq!(gateway.record()["tokens"]["output"], 5_000);
}

#[test]
fn a_stream_that_falls_silent_is_given_up() {
    let gateway = Gateway::start("impatient.yaml");
    let alpha = gateway.provider("alpha");
    alpha.next(Scripted::text("one two three four").breaks("stall@2"));
    let mut stream = ask(&gateway).stream();
    assert_eq!(stream.text(), "one two");
    assert!(matches!(stream.end(), Some(End::Closed | End::Reset)));
    assert_eq!(gateway.record()["end"], "cut");
    let left = |seen: &[Seen]| seen[0].ending == Ending::ClientLeft;
    assert!(
        alpha.wait(PATIENCE, left).is_ok(),
        "nobody listens any more"
    );
}
