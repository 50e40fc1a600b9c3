//! Streams that do not go well: they end as their reader expects, and are counted.

use tollgate::fake::{Ending, Reply as Scripted, Seen};
use tollgate_tests::{End, PATIENCE};

use crate::client::{CLIENTS, Client, Shape};
use crate::heard::Finale;
use crate::{PROVIDERS, only, start};

#[test]
fn a_stream_that_breaks_ends_legally_and_is_recorded_as_cut() {
    let gateway = start();
    let mut owed = Vec::new();
    for provider in PROVIDERS {
        for client in CLIENTS {
            for (fault, said, code) in [
                ("end@2", "one two", Some("provider_stream_cut")),
                (
                    "end@2;piece_bytes=1",
                    "one two",
                    Some("provider_stream_cut"),
                ),
                ("end@9", "one two three four", Some("provider_stream_cut")),
                ("error@2", "one two", None),
            ] {
                let case = format!("{client:?} to {provider}, {fault}");
                let broken: Scripted = fault.parse().unwrap();
                let broken = Scripted {
                    text: Some("one two three four".to_owned()),
                    ..broken
                };
                gateway.provider(provider).next(broken);
                let model = only(provider);
                let call = client.ask(&gateway, (&model, "hi you"), Shape::Streamed);
                let reply = call.send();
                assert_eq!(
                    (reply.status(), reply.end()),
                    (200, End::Complete),
                    "{case}"
                );
                let events = reply.events();
                assert_eq!(client.text_of(&events), said, "{case}");
                let Finale::Failed(failure) = client.finale(&events) else {
                    panic!("{case}: nothing tells that it failed: {events:#?}");
                };
                let code = code.filter(|code| *code != failure);
                assert_eq!(code, None, "{case}: {failure}");
                let trace = reply.header("x-tollgate-trace-id").map(str::to_owned);
                owed.push((trace, case));
            }
        }
    }
    for (trace, case) in owed {
        let record = gateway.record_of(trace.as_deref());
        assert_eq!(record["end"], "cut", "{case}: {record}");
        let output = record["tokens"]["output"].as_u64().unwrap();
        assert!((2..=8).contains(&output), "{case}: {record}");
        assert!(record["tokens"]["input"].as_u64() > Some(0), "{case}");
    }
}

#[test]
fn who_leaves_in_the_middle_pays_for_what_came_in_every_dialect() {
    let gateway = start();
    let mut owed = Vec::new();
    for provider in PROVIDERS {
        for client in CLIENTS {
            let case = format!("{client:?} to {provider}");
            let fake = gateway.provider(provider);
            fake.next(Scripted::tokens(400).pace_ms(5));
            let model = only(provider);
            let question = client.question(&model, "hi you");
            let mut stream = match client {
                // It says sixteen tokens and no more unless it is asked to.
                Client::Completions | Client::Messages => client
                    .call(&gateway, question)
                    .field("max_tokens", 1_000)
                    .stream(),
                Client::Chat | Client::Responses => client.call(&gateway, question).stream(),
            };
            let trace = stream.header("x-tollgate-trace-id").map(str::to_owned);
            let words = stream
                .by_ref()
                .filter(|event| !client.delta(event).is_empty());
            assert_eq!(words.take(5).count(), 5, "{case}");
            stream.leave();
            let left = |seen: &[Seen]| {
                seen.last()
                    .is_some_and(|seen| seen.ending == Ending::ClientLeft)
            };
            let seen = fake.wait(PATIENCE, left).unwrap();
            owed.push((trace, seen.last().unwrap().tokens, case));
        }
    }
    for (trace, produced, case) in owed {
        let record = gateway.record_of(trace.as_deref());
        assert_eq!(record["end"], "client_left", "{case}: {record}");
        let counted = record["tokens"]["output"].as_u64().unwrap();
        assert!(
            counted >= 5 && counted <= produced * 2,
            "{case}: {counted} of {produced}"
        );
        assert!(record["tokens"]["input"].as_u64() > Some(0), "{case}");
    }
}
