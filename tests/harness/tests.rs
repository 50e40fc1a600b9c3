//! The harness itself: its client against the fake provider, its starting and stopping against a stand-in.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tollgate::fake::{Ending, Fake, Framing, Reply as Scripted, Settings};

use crate::{Call, End, Gateway, Setup, Wire, wait_for};

const CONFIG: &str = "listen: {listen}\nproviders: [{alpha}, {beta}]\n";

fn fake() -> Fake {
    Fake::start("127.0.0.1:0", Settings::default()).unwrap()
}

fn chat(fake: &Fake) -> Call {
    Call::chat(fake.address(), "m", "hi there")
}

#[test]
fn a_reply_is_read_however_it_is_framed() {
    for framing in [
        Framing::Chunked,
        Framing::ContentLength,
        Framing::UntilClose,
    ] {
        let fake = fake();
        fake.always(Scripted::text("hello you").framed(framing).in_pieces_of(5));
        let reply = chat(&fake).send();
        assert_eq!(
            (reply.status(), reply.text().as_str(), reply.end()),
            (200, "hello you", End::Complete)
        );
        let mut stream = chat(&fake).stream();
        assert_eq!(
            (stream.text().as_str(), stream.end()),
            ("hello you", Some(End::Complete)),
            "{framing:?}"
        );
        let reply = chat(&fake).field("stream", true).send();
        assert_eq!(
            (reply.text().as_str(), reply.events().len()),
            ("hello you", 5)
        );
    }
}

#[test]
fn a_broken_reply_is_told_from_a_whole_one() {
    for (fault, end) in [
        ("cut@1", End::Closed),
        ("reset@1", End::Reset),
        ("stall@1", End::Silent),
    ] {
        let fake = fake();
        fake.always(Scripted::text("a b").breaks(fault));
        let mut stream = chat(&fake).patience(Duration::from_millis(400)).stream();
        assert_eq!(
            (stream.text().as_str(), stream.end()),
            ("a", Some(end)),
            "{fault}"
        );
        let reply = chat(&fake).patience(Duration::from_millis(400)).send();
        assert_eq!(reply.end(), end, "{fault}");
        assert!(serde_json::from_slice::<serde_json::Value>(reply.body()).is_err());
    }
    let fake = fake();
    fake.always(Scripted::breaking("reset@start"));
    assert_eq!(chat(&fake).try_stream().err(), Some(End::Reset));
}

#[test]
fn events_carry_the_time_at_which_they_came() {
    let fake = fake();
    fake.next(Scripted::text("a b c").pace_ms(40));
    let mut stream = chat(&fake).stream();
    let times: Vec<_> = stream
        .read_tokens(3)
        .into_iter()
        .filter(|event| !event.delta().is_empty())
        .map(|event| event.at)
        .collect();
    assert!(
        times[2] - times[0] >= Duration::from_millis(70),
        "{times:?}"
    );
}

#[test]
fn who_leaves_in_the_middle_has_left() {
    let fake = fake();
    fake.next(Scripted::tokens(1_000).pace_ms(10));
    let mut stream = chat(&fake).stream();
    stream.read_tokens(3);
    stream.leave();
    let seen = fake
        .wait(crate::PATIENCE, |seen| seen[0].ending == Ending::ClientLeft)
        .unwrap();
    assert!((3..100).contains(&seen[0].tokens), "{}", seen[0].tokens);
}

#[test]
fn what_is_said_is_what_is_sent() {
    let fake = fake();
    let reply = chat(&fake)
        .key("team-a")
        .header("x-one", "1")
        .field("n", 2)
        .send();
    assert_eq!(reply.json()["choices"][1]["index"], 1);
    let seen = &fake.requests()[0];
    assert_eq!(
        (seen.header("authorization"), seen.header("x-one")),
        (Some("Bearer sk-tg-team-a"), Some("1"))
    );
    let reply = Call::new(fake.address(), "POST", "/v1/chat/completions")
        .bytes(b"\xff{".to_vec())
        .send();
    assert_eq!(reply.error(), "400 invalid_request_error -");
    assert_eq!(fake.requests()[1].body, b"\xff{");
}

#[test]
fn raw_bytes_go_out_as_they_are_and_replies_come_back_one_by_one() {
    let fake = fake();
    let mut wire = Wire::connect(fake.address());
    wire.send(Call::new(fake.address(), "GET", "/v1/models").to_bytes());
    wire.send_slowly(chat(&fake).to_bytes(), 40, Duration::from_millis(1));
    wire.send("NONSENSE\r\n\r\n");
    let statuses: Vec<_> = (0..3)
        .map(|_| wire.reply("POST").unwrap().status())
        .collect();
    assert_eq!(statuses, [200, 200, 400]);
    assert_eq!(wire.rest(), (Vec::new(), End::Closed));
    assert_eq!(fake.totals().requests, 2);
}

/// A stand-in for `tollgate`: `$4` is the data folder.
fn stand_in(setup: &Setup, script: &str) -> PathBuf {
    let path = setup.directory().join("stand-in");
    let text = format!("#!/bin/sh\nconfig=$3 data=$5\n{script}\n");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn with_stand_in(script: &str) -> Setup {
    let setup = Setup::of(CONFIG);
    let program = stand_in(&setup, script);
    setup.program(program)
}

#[test]
fn a_gateway_is_stopped_when_it_is_dropped_and_its_folder_goes() {
    let script = "mkdir $data; echo hello >$data/envoy.log; trap 'kill $!; exit 0' TERM\necho starting; echo ready http://127.0.0.1:1; sleep 60 & wait";
    let gateway = with_stand_in(script).start();
    let (process, directory) = (gateway.process(), gateway.directory().to_owned());
    assert_eq!(gateway.envoy_log(), "hello\n");
    let config = fs::read_to_string(directory.join("gateway.yaml")).unwrap();
    let (alpha, beta) = (
        gateway.provider("alpha").address(),
        gateway.provider("beta").address(),
    );
    assert_eq!(
        config,
        format!(
            "listen: {}\nproviders: [{alpha}, {beta}]\n",
            gateway.address()
        )
    );
    assert!(runs(process));
    drop(gateway);
    assert!(!runs(process) && !directory.exists());
}

fn runs(process: u32) -> bool {
    Path::new("/proc").join(process.to_string()).exists()
}

#[test]
fn what_does_not_start_says_why() {
    let refused = with_stand_in("echo models.small: nothing >&2; exit 3")
        .try_start()
        .err()
        .unwrap();
    assert_eq!(
        (refused.code, refused.message.as_str()),
        (Some(3), "models.small: nothing\n")
    );
}

#[test]
fn a_port_that_was_taken_is_not_the_end() {
    let script = "if [ -e $3.again ]; then echo ready http://127.0.0.1:1; exec sleep 60; fi; touch $3.again; echo 'listen.address: port 7 is taken on ::1' >&2; exit 1";
    let gateway = with_stand_in(script).start();
    assert!(gateway.directory().join("gateway.yaml.again").exists());
    let refused = with_stand_in("echo port 7 is taken >&2; exit 1")
        .try_start()
        .err()
        .unwrap();
    assert_eq!(refused.code, Some(1), "but not for ever");
}

#[test]
fn records_are_awaited_and_half_a_line_is_none() {
    let script = "echo '{\"n\":1}' >${3%/*}/access.log; echo ready http://127.0.0.1:1; sleep 0.3; printf '{\"n\":2}\\n{\"n' >>${3%/*}/access.log; exec sleep 60";
    let gateway: Gateway = with_stand_in(script).start();
    assert_eq!(gateway.records_now().len(), 1);
    let records = gateway.records(2);
    assert_eq!(records[1]["n"], 2);
    assert_eq!(wait_for("two", || Some(gateway.records_now().len())), 2);
}
