//! HTTP as clients really speak it, and as attackers do: nothing is smuggled, nothing is mixed up.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "this is test code: it fails a test by panicking"
)]

use std::time::Duration;

use serde_json::{Value, json};
use tollgate::fake::{Ending, Reply as Scripted};
use tollgate_tests::{Call, End, Gateway, H2, PATIENCE, Setup, wait_for};

const CHAT: &str = "/v1/chat/completions";

/// One provider, two models: the provider's names are longer and shorter than the callers'.
const CONFIG: &str = "
listen: {address: {listen}}
admin: {address: {admin}}
providers:
  alpha: {dialect: openai, url: 'http://{alpha}/v1'}
models:
  longer: {targets: [{provider: alpha, model: a-name-that-is-very-much-longer}]}
  much-too-long-a-name: {targets: [{provider: alpha, model: x}]}
  same: {targets: [{provider: alpha, model: same}]}
tenants:
  keys: [{name: team-a, sha256: {key team-a}, team: a}]
telemetry: {access_log: {log}}
";

/// Of one worker, so that connections to the provider are shared by all who come.
fn start() -> Gateway {
    Setup::of(CONFIG).workers(1).start()
}

fn chat(gateway: &Gateway, model: &str, text: &str) -> Call {
    gateway.chat(model, text).key("team-a")
}

/// The record of this trace, once it is written.
fn record(gateway: &Gateway, trace: &str) -> Value {
    wait_for(&format!("the record of {trace}"), || {
        let records = gateway.records_now().into_iter();
        records
            .into_iter()
            .find(|record| record["trace_id"] == trace)
    })
}

/// What the provider saw, one line a request: model and text.
fn heard(gateway: &Gateway) -> Vec<String> {
    let seen = gateway.provider("alpha").requests();
    let told = seen.iter().map(|seen| {
        let json = seen.json();
        let word = |pointer: &str| {
            json.pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or("?")
                .to_owned()
        };
        format!("{} {}", word("/model"), word("/messages/0/content"))
    });
    told.collect()
}

/// Splits a request into its head, with chunked for its length, and its body.
fn chunked_head(call: Call) -> (Vec<u8>, Vec<u8>) {
    let bytes = call.header("transfer-encoding", "chunked").to_bytes();
    let end = bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap()
        + 4;
    (bytes[..end].to_vec(), bytes[end..].to_vec())
}

fn in_chunks(pieces: &[&[u8]]) -> Vec<u8> {
    let mut wire = Vec::new();
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        wire.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        wire.extend_from_slice(piece);
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"0\r\n\r\n");
    wire
}

#[test]
fn who_asks_before_sending_a_body_is_told_to_go_on() {
    let gateway = start();
    let mut wire = gateway.wire();
    let bytes = chat(&gateway, "same", "hi")
        .header("expect", "100-continue")
        .to_bytes();
    let end = bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap()
        + 4;
    wire.send(&bytes[..end]);
    assert_eq!(wire.head().unwrap().status, 100);
    wire.send(&bytes[end..]);
    assert_eq!(wire.reply("POST").unwrap().status(), 200);
    let seen = gateway.provider("alpha").requests();
    assert_eq!((seen.len(), seen[0].header("expect")), (1, None));
    // And who does not wait for it is served as well.
    wire.send(&bytes);
    assert_eq!(wire.reply("POST").unwrap().status(), 200);
    assert_eq!(heard(&gateway), ["same hi", "same hi"]);
}

#[test]
fn a_replaced_body_has_its_right_length_and_leaves_the_connection_to_the_provider_intact() {
    let gateway = start();
    let alpha = gateway.provider("alpha");
    let mut wire = gateway.wire();
    let mut want = Vec::new();
    let names = [
        ("longer", "a-name-that-is-very-much-longer"),
        ("much-too-long-a-name", "x"),
        ("same", "same"),
    ];
    // Something that would be a request of its own if a body were thought to end too early.
    let trap =
        "\r\n\r\nPOST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}";
    for round in 0..4 {
        for (name, served) in names {
            let text = format!("{round}{}", trap.repeat(round));
            let call = chat(&gateway, name, &text);
            if round % 2 == 0 {
                wire.send(call.to_bytes());
            } else {
                let (head, body) = chunked_head(call);
                let (start, end) = body.split_at(body.len() / 2);
                wire.send([head, in_chunks(&[start, end])].concat());
            }
            let reply = wire.reply("POST").unwrap();
            assert_eq!(
                (reply.status(), reply.end()),
                (200, End::Complete),
                "{name} {round}"
            );
            let body = json!({"model": served, "messages": [{"role": "user", "content": text}]});
            want.push(body);
        }
    }
    let seen = alpha.requests();
    assert_eq!(seen.len(), want.len());
    for (seen, want) in seen.iter().zip(&want) {
        assert_eq!(seen.json(), *want);
        let length = seen.body.len().to_string();
        assert_eq!(seen.header("content-length"), Some(length.as_str()));
        assert_eq!(seen.header("transfer-encoding"), None);
        assert_eq!(seen.connection, 1, "all of them came by one connection");
    }
}

#[test]
fn requests_in_a_row_are_answered_in_their_order() {
    let gateway = start();
    let alpha = gateway.provider("alpha");
    // The slowest first: an answer that overtakes would be another's.
    alpha.script([
        Scripted::text("one").first_token_ms(150),
        Scripted::text("two"),
        Scripted::text("three").first_token_ms(50),
    ]);
    let mut wire = gateway.wire();
    // What the gateway answers itself comes last: Envoy gives up a connection on which it has answered twice at once
    // while more is waiting.
    let calls = [
        chat(&gateway, "same", "1"),
        chat(&gateway, "longer", "2"),
        chat(&gateway, "same", "3").field("stream", true),
        chat(&gateway, "nobody", "4"),
    ];
    let bytes: Vec<_> = calls.iter().map(Call::to_bytes).collect();
    wire.send(bytes.concat());
    for (status, text) in [
        (200, "one"),
        (200, "two"),
        (200, "three"),
        (404, "does not exist"),
    ] {
        let reply = wire.reply("POST").unwrap();
        let told = reply.text();
        assert!(
            reply.status() == status && told.contains(text),
            "{} {told}",
            reply.status()
        );
    }
    assert_eq!(
        heard(&gateway),
        ["same 1", "a-name-that-is-very-much-longer 2", "same 3"]
    );
}

#[test]
fn a_body_in_chunks_is_the_same_body_wherever_it_is_cut() {
    let gateway = start();
    let (head, body) = chunked_head(chat(&gateway, "longer", "é\"\\ \u{1f600}"));
    let mut wire = gateway.wire();
    for cut in 0..=body.len() {
        let (start, end) = body.split_at(cut);
        wire.send([head.clone(), in_chunks(&[start, end])].concat());
        assert_eq!(wire.reply("POST").unwrap().status(), 200, "cut at {cut}");
    }
    let single: Vec<&[u8]> = body.chunks(1).collect();
    wire.send([head, in_chunks(&single)].concat());
    assert_eq!(wire.reply("POST").unwrap().status(), 200, "single bytes");
    let seen = gateway.provider("alpha").requests();
    assert_eq!(seen.len(), body.len() + 2);
    assert!(seen.iter().all(|other| other.body == seen[0].body));
    assert_eq!(seen[0].json()["messages"][0]["content"], "é\"\\ \u{1f600}");
}

#[test]
fn a_request_that_dribbles_in_is_served_like_any_other() {
    let gateway = start();
    let mut wire = gateway.wire();
    let bytes = chat(&gateway, "longer", "slowly").to_bytes();
    wire.send_slowly(&bytes, 1, Duration::from_millis(1));
    let reply = wire.reply("POST").unwrap();
    assert_eq!((reply.status(), heard(&gateway).len()), (200, 1));
    let (head, body) = chunked_head(chat(&gateway, "longer", "slowly"));
    let single: Vec<&[u8]> = body.chunks(3).collect();
    wire.send_slowly(
        [head, in_chunks(&single)].concat(),
        7,
        Duration::from_millis(1),
    );
    assert_eq!(wire.reply("POST").unwrap().status(), 200);
    let seen = gateway.provider("alpha").requests();
    assert_eq!(seen[0].body, seen[1].body);
}

#[test]
fn a_client_that_leaves_before_its_body_is_whole_is_recorded_and_nobody_is_asked() {
    let gateway = start();
    let call = chat(&gateway, "same", "half");
    let whole = call.clone().header("x-trace-id", "by-length").to_bytes();
    let (head, body) = chunked_head(call.header("x-trace-id", "in-chunks"));
    let in_chunks = [head, in_chunks(&[&body[..20], &body[20..]])].concat();
    for (trace, bytes) in [("by-length", whole), ("in-chunks", in_chunks)] {
        let mut wire = gateway.wire();
        wire.send(&bytes[..bytes.len() - 8]);
        let active = "^http.tollgate.downstream_rq_active";
        wait_for("the request to be there", || {
            (stat(&gateway, active) == 1).then_some(())
        });
        drop(wire);
        let record = record(&gateway, trace);
        let told = [&record["end"], &record["status"], &record["key"]];
        assert_eq!(
            told,
            [&json!("client_left"), &json!(0), &json!("team-a")],
            "{record}"
        );
        wait_for("the request to be gone", || {
            (stat(&gateway, active) == 0).then_some(())
        });
    }
    assert_eq!(gateway.attempts(), [""; 0]);
    assert_eq!(chat(&gateway, "same", "next").send().status(), 200);
    assert_eq!(heard(&gateway), ["same next"]);
}

fn stat(gateway: &Gateway, pattern: &str) -> u64 {
    let page = gateway
        .ask_envoy(&format!("/stats?filter={pattern}"))
        .text();
    let values = page.lines().filter_map(|line| line.rsplit_once(": "));
    values.map(|(_, value)| value.parse::<u64>().unwrap()).sum()
}

#[test]
fn what_is_no_question_gets_an_answer_and_goes_nowhere() {
    let gateway = start();
    for (request, want) in [
        (format!("HEAD {CHAT} HTTP/1.1\r\nhost: x\r\nx-api-key: sk-tg-team-a\r\n\r\n"), 405),
        (format!("OPTIONS {CHAT} HTTP/1.1\r\nhost: x\r\nx-api-key: sk-tg-team-a\r\norigin: http://y\r\naccess-control-request-method: POST\r\n\r\n"), 405),
        (format!("OPTIONS {CHAT} HTTP/1.1\r\nhost: x\r\norigin: http://y\r\n\r\n"), 401),
        ("TRACE / HTTP/1.1\r\nhost: x\r\nx-api-key: sk-tg-team-a\r\n\r\n".to_owned(), 404),
        ("CONNECT alpha:443 HTTP/1.1\r\nhost: alpha:443\r\nx-api-key: sk-tg-team-a\r\n\r\n".to_owned(), 404),
        (format!("GET {CHAT} HTTP/1.1\r\nhost: x\r\nx-api-key: sk-tg-team-a\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: x\r\nsec-websocket-version: 13\r\n\r\n"), 403),
        (format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\nx-api-key: sk-tg-team-a\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\ncontent-length: 2\r\n\r\n{{}}"), 400),
        (format!("POST {CHAT} HTTP/1.0\r\nx-api-key: sk-tg-team-a\r\ncontent-length: 2\r\n\r\n{{}}"), 426),
        (format!("POST {CHAT} HTTP/1.1\r\nx-api-key: sk-tg-team-a\r\ncontent-length: 2\r\n\r\n{{}}"), 400),
        ("GET http://other.test/v1/models HTTP/1.1\r\nhost: x\r\nx-api-key: sk-tg-team-a\r\n\r\n".to_owned(), 200),
        ("NONSENSE\r\n\r\n".to_owned(), 400),
        ("\0\0\0\0\r\n\r\n".to_owned(), 400),
    ] {
        let mut wire = gateway.wire();
        wire.send(&request);
        let method = request.split(' ').next().unwrap();
        assert_eq!(wire.reply(method).unwrap().status(), want, "{request}");
    }
    assert_eq!(gateway.attempts(), [""; 0]);
    assert_eq!(chat(&gateway, "same", "after it").send().status(), 200);
}

/// Requests whose length can be read in two ways, or whose head can: each with a second request inside.
const TWO_MEANINGS: &[(&str, &str)] = &[
    (
        "two lengths",
        "content-length: 2\r\ncontent-length: 60\r\n\r\n",
    ),
    (
        "two equal lengths",
        "content-length: 2\r\ncontent-length: 2\r\n\r\n",
    ),
    ("a list of lengths", "content-length: 2, 60\r\n\r\n"),
    ("a length with a sign", "content-length: +2\r\n\r\n"),
    ("a negative length", "content-length: -2\r\n\r\n"),
    ("a length that is none", "content-length: 0x2\r\n\r\n"),
    ("a length with a space in it", "content-length: 1 0\r\n\r\n"),
    (
        "a length beyond all numbers",
        "content-length: 18446744073709551618\r\n\r\n",
    ),
    ("a space before the colon", "content-length : 2\r\n\r\n"),
    (
        "length, then chunks",
        "content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n",
    ),
    (
        "chunks, then length",
        "transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n",
    ),
    (
        "chunks twice",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
    ),
    (
        "chunks and something",
        "transfer-encoding: chunked, identity\r\n\r\n",
    ),
    (
        "something and chunks",
        "transfer-encoding: gzip, chunked\r\n\r\n",
    ),
    ("chunks in disguise", "transfer-encoding: xchunked\r\n\r\n"),
    (
        "chunks behind a tab",
        "transfer-encoding:\tchunked\x0b\r\n\r\n",
    ),
    ("a zero byte", "x-a: b\0c\r\ncontent-length: 2\r\n\r\n"),
    (
        "a line without a colon",
        "nonsense\r\ncontent-length: 2\r\n\r\n",
    ),
    ("a field without a name", ": x\r\ncontent-length: 2\r\n\r\n"),
];

/// Chunks that can be read in two ways.
const TWO_SIZES: &[(&str, &str)] = &[
    ("a size with a sign", "+2\r\n{}\r\n0\r\n\r\n"),
    ("a size that is none", "0x2\r\n{}\r\n0\r\n\r\n"),
    (
        "a size beyond all numbers",
        "10000000000000002\r\n{}\r\n0\r\n\r\n",
    ),
    ("no size", "\r\n{}\r\n0\r\n\r\n"),
    ("bare line feeds", "2\n{}\n0\n\n"),
    ("a line feed in an extension", "2;a=\n{}\r\n0\r\n\r\n"),
];

#[test]
fn a_request_with_two_meanings_has_none() {
    let gateway = start();
    let next = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-api-key: sk-tg-team-a\r\n";
    let body =
        json!({"model": "same", "messages": [{"role": "user", "content": "smuggled"}]}).to_string();
    let next = format!("{next}content-length: {}\r\n\r\n{body}", body.len());
    let head = format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\nx-api-key: sk-tg-team-a\r\n");
    let framed = TWO_MEANINGS
        .iter()
        .map(|(what, fields)| (*what, format!("{head}{fields}{{}}{next}")));
    let chunked = TWO_SIZES.iter().map(|(what, chunks)| {
        let request = format!("{head}transfer-encoding: chunked\r\n\r\n{chunks}{next}");
        (*what, request)
    });
    let send = |(what, request): (&'static str, String)| {
        let mut wire = gateway.wire();
        wire.send(request);
        (what, wire)
    };
    // All at once: Envoy takes its time to close a connection.
    let sent: Vec<_> = framed.chain(chunked).map(send).collect();
    let expected = [
        "400 invalid_request_error bad_request",
        "501 server_error gateway_error",
    ];
    let mut otherwise = Vec::new();
    for (what, mut wire) in sent {
        let refused = wire.reply("POST").map(|reply| reply.error());
        let (rest, end) = wire.rest();
        let known = refused
            .as_ref()
            .is_ok_and(|refused| expected.contains(&refused.as_str()));
        if !known || !rest.is_empty() || end != End::Closed {
            otherwise.push(format!(
                "{what}: {refused:?}, then {end:?}, {} bytes",
                rest.len()
            ));
        }
    }
    assert_eq!(otherwise, [""; 0]);
    // What Envoy reads all the same it reads in one way: as a body `{}`, that lacks a model.
    for lenient in [
        "x-a: b\r\n content-length: 60\r\ncontent-length: 2\r\n\r\n{}",
        "x-a: b\rcontent-length: 60\r\ncontent-length: 2\r\n\r\n{}",
        "x-a: b\ncontent-length: 2\n\n{}",
        "host: y\r\ncontent-length: 2\r\n\r\n{}",
        "content-length:\r\n 2\r\n\r\n{}",
        "transfer-encoding: chunked\r\n\r\n2\r\n{}}}\r\n0\r\n\r\n",
    ] {
        let mut wire = gateway.wire();
        wire.send(format!("{head}{lenient}{next}"));
        let refused = wire.reply("POST").unwrap().error();
        let want = "400 invalid_request_error missing_required_parameter";
        assert_eq!(refused, want, "{lenient}");
        assert_eq!(wire.rest(), (Vec::new(), End::Closed), "{lenient}");
    }
    assert_eq!(heard(&gateway), [""; 0], "a provider saw what was inside");
    assert_eq!(chat(&gateway, "same", "after it").send().status(), 200);
    assert_eq!(heard(&gateway), ["same after it"]);
}

#[test]
fn over_http2_a_question_is_answered_plain_and_streamed() {
    let gateway = start();
    gateway
        .provider("alpha")
        .always(Scripted::text("hello you"));
    let client = H2::connect(gateway.address());
    let call = chat(&gateway, "longer", "hi");
    for call in [call.clone(), call.clone().field("stream", true)] {
        let reply = client.send(&call);
        assert_eq!(
            (reply.status(), reply.text().as_str(), reply.end()),
            (200, "hello you", End::Complete)
        );
        assert_eq!(reply.header("x-tollgate-provider"), Some("alpha"));
    }
    let refused = client.send(&gateway.chat("longer", "hi"));
    assert_eq!(refused.error(), "401 authentication_error missing_api_key");
    let want = "a-name-that-is-very-much-longer hi";
    assert_eq!(heard(&gateway), [want, want]);
}

#[test]
fn over_one_http2_connection_fifty_streams_run_at_once_and_none_gets_anothers_answer() {
    let gateway = start();
    let client = H2::connect(gateway.address());
    let names = ["same", "longer", "much-too-long-a-name", "nobody", "same"];
    let calls: Vec<_> = (0..50)
        .map(|number| {
            let call = chat(&gateway, names[number % 5], &format!("question {number}"));
            call.field("stream", number % 2 == 0)
        })
        .collect();
    gateway
        .provider("alpha")
        .always(Scripted::healthy().first_token_ms(100).pace_ms(5));
    for (number, reply) in client.send_all(&calls).iter().enumerate() {
        let served = names[number % 5] != "nobody";
        assert_eq!(
            (reply.status(), reply.end()),
            (if served { 200 } else { 404 }, End::Complete)
        );
        let text = reply.text();
        assert!(
            !served || text.ends_with(&format!(" question {number}")),
            "{number}: {text}"
        );
    }
    assert_eq!(heard(&gateway).len(), 40);
}

#[test]
fn fields_behind_a_body_are_refused_and_the_provider_sees_nothing_of_it() {
    let gateway = start();
    let client = H2::connect(gateway.address());
    let call = chat(&gateway, "same", "hi");
    let reply = client.send_with_trailers(&call, &[("x-api-key", "sk-tg-other"), ("x-late", "1")]);
    assert_eq!(
        reply.error(),
        "400 invalid_request_error unsupported_trailers"
    );
    let mut wire = gateway.wire();
    let (head, body) = chunked_head(call.clone());
    let mut chunks = in_chunks(&[&body]);
    chunks.truncate(chunks.len() - 2);
    wire.send([&head, &chunks, "x-late: 1\r\n\r\n".as_bytes()].concat());
    // HTTP/1 trailers Envoy drops by itself, as it is told nothing else.
    assert_eq!(wire.reply("POST").unwrap().status(), 200);
    assert_eq!(client.send(&call).status(), 200);
    let seen = gateway.provider("alpha").requests();
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|seen| seen.header("x-late").is_none()));
}

#[test]
fn a_stream_that_its_client_resets_is_counted_and_its_neighbours_go_on() {
    let gateway = start();
    let alpha = gateway.provider("alpha");
    alpha.script([
        Scripted::tokens(2_000).pace_ms(5),
        Scripted::tokens(40).pace_ms(10),
    ]);
    let client = H2::connect(gateway.address());
    let call = chat(&gateway, "same", "hi").field("stream", true);
    let mut leaves = client.stream(&call.clone().header("x-trace-id", "leaves"));
    let mut stays = client.stream(&call.header("x-trace-id", "stays"));
    leaves.read_tokens(3);
    stays.read_tokens(1);
    leaves.reset();
    let of_it = record(&gateway, "leaves");
    assert_eq!(
        [&of_it["end"], &of_it["usage_source"]],
        ["client_left", "counted"]
    );
    let counted = of_it["tokens"]["output"].as_u64().unwrap();
    let seen = alpha
        .wait(PATIENCE, |seen| seen[0].ending == Ending::ClientLeft)
        .unwrap();
    // Nobody said how many: they are counted from what passed, by their events and by their bytes.
    let sent = seen[0].tokens;
    assert!((3..=sent * 2).contains(&counted), "{counted} of {sent}");
    stays.read_tokens(39);
    let of_it = record(&gateway, "stays");
    assert_eq!(
        [&of_it["end"], &of_it["tokens"]["output"]],
        [&json!("ok"), &json!(40)]
    );
}

#[test]
fn over_http2_a_length_that_lies_moves_nothing_into_the_next_request() {
    let gateway = start();
    for length in [1, 20, 10_000] {
        let client = H2::connect(gateway.address());
        let call = chat(&gateway, "same", "hi").header("content-length", &length.to_string());
        let reply = client.try_send(&call);
        assert!(
            reply.as_ref().is_err() || reply.as_ref().unwrap().status() == 400,
            "{length}"
        );
    }
    assert_eq!(heard(&gateway), [""; 0]);
    assert_eq!(chat(&gateway, "same", "after it").send().status(), 200);
    assert_eq!(heard(&gateway), ["same after it"]);
}

#[test]
fn what_reaches_a_provider_has_one_line_a_field() {
    let gateway = start();
    let body =
        json!({"model": "same", "messages": [{"role": "user", "content": "hi"}]}).to_string();
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: x\r\nx-api-key: sk-tg-team-a\r\ncontent-length: {}\r\n",
        body.len()
    );
    for agent in [
        "a\rx-evil: b",
        "a\r\n x-evil: b",
        "a\r\n\tx-evil: b",
        "a\\r\\nx-evil: b",
    ] {
        let mut wire = gateway.wire();
        wire.send(format!("{head}user-agent: {agent}\r\n\r\n{body}"));
        assert_eq!(wire.reply("POST").unwrap().status(), 200, "{agent:?}");
        let seen = gateway.provider("alpha").requests();
        let told = seen[0].header("user-agent").unwrap();
        assert!(!told.contains(['\r', '\n']), "{agent:?} became {told:?}");
        assert_eq!(seen[0].header("x-evil"), None, "{agent:?}");
        gateway.provider("alpha").reset();
    }
}
