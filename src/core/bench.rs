//! What a request costs in the core, without Envoy: `cargo bench -p tollgate-core --bench core`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a benchmark of a request that does not go through measures nothing"
)]

use std::collections::BTreeMap;
use std::rc::Rc;

use divan::{Bencher, black_box};
use tollgate_core::attempt::{Attempt, Follows};
use tollgate_core::callers::Callers;
use tollgate_core::config::{self, Gateway, Plugin};
use tollgate_core::gateway::{Admission, Input, Step, reply_head};
use tollgate_core::handoff::Exchange;
use tollgate_core::head::Head;
use tollgate_core::money::holder::{
    Ending, Hold, Keeper, LeaseRow, Outbox, Outcome, ROW_BYTES, Rows,
};
use tollgate_core::money::ids::{Incarnation, LeaseId, Millis, ScopeId, StreamId, WindowId};
use tollgate_core::money::message::{Grant, SyncReply};
use tollgate_core::money::wanted::{NoStandings, Payer, Wanted};
use tollgate_core::record::{self, BrokenBy, Ended};
use tollgate_core::request::{Reply, UsageEvent};
use tollgate_core::routing::Weather;
use tollgate_core::tokens::Counter;
use tollgate_core::units::{NanoUsd, Timestamp};

const HEAD: &[(&[u8], &[u8])] = &[
    (b":authority", b"gateway:10000"),
    (b":path", b"/v1/chat/completions"),
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b"authorization", b"Bearer sk-tg-key-7"),
    (b"content-type", b"application/json"),
    (b"user-agent", b"OpenAI/Python 3.52.0"),
    (b"x-stainless-lang", b"python"),
    (b"x-request-id", b"6206ed7b-7117-44bd-a7af-e09fddf4dc44"),
];
const REPLY_HEAD: &[(&[u8], &[u8])] =
    &[(b":status", b"200"), (b"content-type", b"application/json")];
const EVENTS_HEAD: &[(&[u8], &[u8])] = &[
    (b":status", b"200"),
    (b"content-type", b"text/event-stream"),
];
const REPLY: &[u8] = br#"{"id":"chatcmpl-1","object":"chat.completion","created":1800000000,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Because it stands in the way of everything else that you do."},"finish_reason":"stop"}],"usage":{"prompt_tokens":180,"completion_tokens":12,"total_tokens":192}}"#;
const WORD: &[u8] = b"data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1800000000,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},\"finish_reason\":null}],\"usage\":null}\n\n";

fn main() {
    divan::main();
}

/// What a worker keeps from request to request.
struct Worker {
    config: Rc<Gateway>,
    callers: Callers,
    counter: Counter,
    weather: Weather,
}

impl Worker {
    fn new(keys: usize, models: usize, dialect: &str) -> Self {
        let config = config(keys, models, dialect);
        Self {
            callers: Callers::new(Rc::clone(&config)),
            counter: Counter::new(),
            weather: Weather::default(),
            config,
        }
    }

    fn heard(&mut self) -> Admission {
        let commons = Rc::new(self.config.commons.clone());
        let mut admission = Admission::new(Rc::clone(&self.config), commons);
        admission.on(Input::Head {
            head: Head(HEAD),
            now: Timestamp(1_800_000_000_000_000_000),
            callers: &mut self.callers,
        });
        admission
    }

    fn decided(&mut self, mut admission: Admission, body: Vec<u8>) -> Option<Step> {
        let (counter, standings) = (&mut self.counter, &NoStandings);
        admission.on(Input::Body {
            body,
            counter,
            standings,
            weather: &mut self.weather,
        })
    }

    fn admitted(&mut self, body: Vec<u8>) -> Exchange {
        let admission = self.heard();
        match self.decided(admission, body) {
            Some(Step::Forward(exchange)) => *exchange,
            other => panic!("{other:?}"),
        }
    }

    /// From the head of the request to its record.
    fn whole(&mut self, body: Vec<u8>) -> Vec<u8> {
        let mut exchange = self.admitted(body);
        let mut attempt = sent(&mut exchange);
        attempt.reply_head(&mut exchange, Head(REPLY_HEAD), Follows::More, Timestamp(2));
        attempt.reply_body(&mut exchange, REPLY, Follows::Nothing, Timestamp(2));
        let status = reply_head(&mut exchange, Timestamp(3)).unwrap();
        let ended = Ended {
            now: Timestamp(1_800_000_000_100_000_000),
            status,
            code: None,
            broken_by: BrokenBy::Nobody,
            detail: "",
        };
        let (record, samples) = record::of_forwarded(&exchange, ended);
        black_box(samples);
        record.line()
    }
}

fn config(keys: usize, models: usize, dialect: &str) -> Rc<Gateway> {
    let provider = format!(
        r#"{{"name":"alpha","dialect":"{dialect}","cluster":"tollgate-alpha","authority":"alpha.example","path":"/v1","first_token_timeout_ms":5000,"reply_timeout_ms":600000}}"#
    );
    let mut names: Vec<String> = (0..models)
        .map(|number| format!("model-{number}"))
        .collect();
    names.sort();
    let target = r#"{"provider":0,"model":"gpt-4o-mini","price":{"rates":{"input":150000000,"output":600000000}}}"#;
    let models: Vec<String> = names
        .iter()
        .map(|name| format!(r#"{{"name":"{name}","targets":[{target},{target}]}}"#))
        .collect();
    let mut keys: Vec<String> = (0..keys)
        .map(|number| {
            let hash = tollgate_core::auth::hash(format!("sk-tg-key-{number}").as_bytes());
            let hash = String::from_utf8(hash.to_vec()).unwrap();
            format!(
                r#"{{"sha256":"{hash}","name":"key-{number}","team":"team-{}"}}"#,
                number % 100
            )
        })
        .collect();
    keys.sort();
    let json = format!(
        r#"{{"role":"gateway","body_bytes_max":8388608,"idle_timeout_ms":10000,"providers":[{provider}],"models":[{}],"keys":[{}],"telemetry":{{"label_values_max":1000,"response_headers":true}}}}"#,
        models.join(","),
        keys.join(",")
    );
    match serde_json::from_str(&json).unwrap() {
        Plugin::Gateway(gateway) => Rc::from(gateway),
        Plugin::Attempt(_) => panic!("the wrong role"),
    }
}

fn body(bytes: usize, reply: Reply) -> Vec<u8> {
    let stream = reply != Reply::Whole;
    let sentence = "Tell me why a gateway should cost nothing. ";
    let prompt: String = sentence.chars().cycle().take(bytes).collect();
    format!(r#"{{"model":"model-7","stream":{stream},"messages":[{{"role":"user","content":"{prompt}"}}]}}"#)
        .into_bytes()
}

fn sent(exchange: &mut Exchange) -> Attempt {
    let place = config::Attempt::Cluster {
        provider: "alpha".to_owned(),
    };
    let mut attempt = Attempt::new();
    attempt
        .request_head(exchange, &place, Timestamp(1))
        .unwrap();
    black_box(Attempt::request_body(exchange, |_| Vec::new()));
    attempt
}

#[divan::bench(args = [60, 1_024, 32 * 1_024, 512 * 1_024])]
fn request_whole(bencher: Bencher<'_, '_>, bytes: usize) {
    let (mut worker, body) = (Worker::new(10, 10, "openai"), body(bytes, Reply::Whole));
    bencher.bench_local(|| worker.whole(body.clone()));
}

#[divan::bench(args = [60, 1_024, 32 * 1_024, 512 * 1_024])]
fn request_admitted(bencher: Bencher<'_, '_>, bytes: usize) {
    let (mut worker, body) = (Worker::new(10, 10, "openai"), body(bytes, Reply::Whole));
    bencher.bench_local(|| worker.admitted(body.clone()));
}

/// Callers and models that are not asked for cost nothing.
#[divan::bench(args = [(10, 10), (10_000, 1_000)])]
fn request_among(bencher: Bencher<'_, '_>, (keys, models): (usize, usize)) {
    let (mut worker, body) = (
        Worker::new(keys, models, "openai"),
        body(1_024, Reply::Whole),
    );
    bencher.bench_local(|| worker.whole(body.clone()));
}

#[divan::bench(args = ["openai", "anthropic", "gemini", "cohere"])]
fn request_admitted_for(bencher: Bencher<'_, '_>, dialect: &str) {
    let (mut worker, body) = (Worker::new(10, 10, dialect), body(1_024, Reply::Whole));
    bencher.bench_local(|| worker.admitted(body.clone()));
}

#[divan::bench]
fn event_of_a_stream(bencher: Bencher<'_, '_>) {
    let mut exchange =
        Worker::new(10, 10, "openai").admitted(body(60, Reply::Streamed(UsageEvent::Hidden)));
    let mut attempt = sent(&mut exchange);
    attempt.reply_head(
        &mut exchange,
        Head(EVENTS_HEAD),
        Follows::More,
        Timestamp(2),
    );
    bencher.bench_local(|| attempt.reply_body(&mut exchange, WORD, Follows::More, Timestamp(2)));
}

/// Rows as they stand in shared data.
#[derive(Default)]
struct Slots(BTreeMap<ScopeId, [u8; ROW_BYTES]>);

impl Rows for Slots {
    fn change<Said>(
        &mut self,
        scope: ScopeId,
        mut change: impl FnMut(LeaseRow) -> (LeaseRow, Said),
    ) -> (Option<u32>, Said) {
        let bytes = self.0.get(&scope).copied().unwrap_or([0; ROW_BYTES]);
        let row = LeaseRow::from_bytes(&bytes).unwrap();
        let row = if row.scope == scope {
            row
        } else {
            LeaseRow::new(scope)
        };
        let (changed, said) = change(row);
        self.0.insert(scope, changed.to_bytes());
        (Some(0), said)
    }
}

/// A worker with money for these scopes, and a service that grants what is wanted.
struct Purse {
    keeper: Keeper,
    rows: Slots,
    wanted: Wanted,
    now: Millis,
}

impl Purse {
    fn of(scopes: u64) -> Self {
        let (mut keeper, mut rows) = (Keeper::default(), Slots::default());
        let outbox = Outbox::new(Incarnation(1), StreamId(0));
        keeper.begin(&mut rows, outbox, LeaseId(1));
        let payer = |scope| Payer {
            scope: ScopeId(scope),
            debt: Some(NanoUsd::ZERO),
        };
        Self {
            keeper,
            rows,
            wanted: Wanted {
                payers: (1..=scopes).map(payer).collect(),
                amount: NanoUsd(2_000_000),
                wait_ms: 2_000,
            },
            now: Millis(1_000_000),
        }
    }

    /// One request: held, paid, reported. Every hundredth finds the batch answered.
    fn request(&mut self, number: u64) {
        let held = match self
            .keeper
            .hold(&mut self.rows, self.wanted.clone(), 7, self.now)
        {
            Some(Outcome::Held(hold)) => hold,
            Some(Outcome::Uncovered(why)) => panic!("{why:?}"),
            None => self.sync().expect("the money that was asked for"),
        };
        let ending = Ending {
            cost: NanoUsd(700_000),
            record: vec![b'x'; 500],
            ..Ending::default()
        };
        self.keeper.settle(&mut self.rows, held, ending);
        if number.is_multiple_of(100) {
            self.now = self.now.after(100);
            self.sync();
        }
    }

    fn sync(&mut self) -> Option<Hold> {
        let batch = self.keeper.outbox()?.poll(self.now)?.clone();
        self.keeper.sent(self.now);
        let grants = batch.wants.iter().map(|want| Grant {
            scope: want.scope,
            lease: LeaseId(want.scope.0),
            window: WindowId(1),
            nanos: want.want.max(want.need),
            ttl_ms: 60_000,
        });
        let reply = SyncReply {
            seq: batch.seq,
            grants: grants.collect(),
            ..SyncReply::default()
        };
        let arrival = self.keeper.outbox()?.on_reply(reply, self.now)?;
        let told = self.keeper.arrived(&mut self.rows, arrival, self.now);
        told.into_iter().find_map(|(_, outcome)| match outcome {
            Outcome::Held(hold) => Some(hold),
            Outcome::Uncovered(_) => None,
        })
    }
}

/// What money costs a request beside everything else: held, settled and reported in one scope, or in those of a key, a
/// team and an organisation.
#[divan::bench(args = [1, 3])]
fn money_held_and_settled(bencher: Bencher<'_, '_>, scopes: u64) {
    let mut purse = Purse::of(scopes);
    let mut number = 0;
    bencher.bench_local(|| {
        number += 1;
        purse.request(number);
    });
}

/// The dearest bodies that a stranger can send: 8 MB, read or refused.
#[divan::bench(args = ["text", "values", "escapes", "refused"], sample_count = 10)]
fn request_of_a_stranger(bencher: Bencher<'_, '_>, what: &str) {
    let mut worker = Worker::new(10, 10, "openai");
    let content = match what {
        "text" => format!("\"{}\"", "qxz ".repeat(2_090_000)),
        "values" => format!(
            "[{}\"{}\"]",
            "\"\",".repeat(124_000),
            "中".repeat(2_600_000)
        ),
        "escapes" => format!("\"{}{}\"", "\\n".repeat(990_000), "中".repeat(2_000_000)),
        _ => format!("[{}\"\"]", "\"\",".repeat(2_700_000)),
    };
    let body =
        format!(r#"{{"model":"model-7","messages":[{{"role":"user","content":{content}}}]}}"#);
    bencher.bench_local(|| {
        let admission = worker.heard();
        worker.decided(admission, body.clone().into_bytes())
    });
}
