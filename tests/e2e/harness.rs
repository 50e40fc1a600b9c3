//! The harness with a real Envoy: starts, asks, looks, and leaves nothing behind.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in tests a failure is what an unwrap is for"
)]

use tollgate::fake::{Ending, Reply};
use tollgate_tests::{End, Envoy, Gateway, Setup};

#[test]
fn when_the_first_provider_is_busy_the_second_answers() {
    let gateway = Gateway::start("two-providers.yaml");
    gateway.provider("alpha").next(Reply::status(429));
    gateway.provider("beta").next(Reply::text("hello"));
    let reply = gateway.chat("small", "hi").key("team-a").send();
    assert_eq!((reply.status(), reply.text().as_str()), (200, "hello"));
    assert_eq!(gateway.attempts(), ["alpha 429", "beta 200"]);
    let record = gateway.record();
    assert_eq!(
        (&record["status"], &record["provider"]),
        (&200.into(), &"beta".into()),
        "{record:#}"
    );
    let reply = gateway.chat("small", "hi").send();
    assert_eq!(reply.status(), 401, "{}", reply.text());
    assert_eq!(gateway.records(2).len(), 2);
}

#[test]
fn a_stream_arrives_token_by_token_and_a_client_may_leave() {
    let gateway = Gateway::start("two-providers.yaml");
    let alpha = gateway.provider("alpha");
    alpha.next(Reply::text("a b c d").pace_ms(30));
    let mut stream = gateway.chat("small", "hi").key("team-a").stream();
    let events = stream.read_tokens(4);
    assert!(
        events.last().unwrap().at - events[0].at >= std::time::Duration::from_millis(60),
        "{events:?}"
    );
    assert_eq!(
        (stream.text(), stream.end()),
        (String::new(), Some(End::Complete))
    );
    alpha.next(Reply::tokens(500).pace_ms(10));
    let mut stream = gateway.chat("small", "hi").key("team-a").stream();
    stream.read_tokens(5);
    stream.leave();
    let seen = alpha.wait(tollgate_tests::PATIENCE, |seen| {
        seen[1].ending == Ending::ClientLeft
    });
    assert!(seen.is_ok(), "{:?}", seen.map_err(|seen| seen[1].ending));
    assert_eq!(gateway.records(2)[1]["end"], "client_left");
}

#[test]
fn a_gateway_leaves_nothing_behind() {
    let gateway = Gateway::start("two-providers.yaml");
    let (process, address, directory) = (
        gateway.process(),
        gateway.address(),
        gateway.directory().to_owned(),
    );
    let envoy =
        gateway.ask_envoy("/server_info").json()["command_line_options"]["config_path"].clone();
    assert!(
        envoy
            .as_str()
            .unwrap()
            .starts_with(directory.to_str().unwrap()),
        "{envoy}"
    );
    drop(gateway);
    assert!(std::net::TcpStream::connect(address).is_err());
    assert!(!directory.exists() && !std::path::Path::new(&format!("/proc/{process}")).exists());
}

#[test]
fn a_mistake_in_the_configuration_is_told() {
    let refused = Setup::of("listen: {address: nowhere}")
        .try_start()
        .err()
        .unwrap();
    assert_eq!(refused.code, Some(1));
    assert!(refused.message.contains("nowhere"), "{}", refused.message);
}

#[test]
fn every_version_that_is_there_serves() {
    let mut envoys: Vec<_> = Envoy::fetched()
        .iter()
        .map(|version| Envoy::version(version))
        .collect();
    if envoys.is_empty() {
        envoys.push(Envoy::usual());
    }
    for envoy in envoys {
        let gateway = Setup::named("two-providers.yaml")
            .envoy(envoy.clone())
            .start();
        gateway.provider("alpha").always(Reply::status(500));
        let reply = gateway.chat("small", "hi").key("team-a").send();
        assert_eq!(reply.status(), 200, "{envoy:?}");
        assert_eq!(gateway.attempts(), ["alpha 500", "beta 200"], "{envoy:?}");
    }
}
