//! The outbox and a webhook, on a socket.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread::spawn;

use serde_json::{Value, json};
use tollgate_core::money::ids::ScopeId;
use tollgate_core::units::Timestamp;

use super::sender::Post;
use super::*;
use crate::engine::Trouble;
use crate::store::{AlertId, AlertOutcome, AlertRow, AlertStanding};

const SECOND: u64 = 1_000_000_000;

#[derive(Default)]
struct Memory(Mutex<BTreeMap<AlertId, AlertRow>>);

impl Memory {
    fn with(bodies: &[Value]) -> Self {
        let rows = bodies.iter().zip(1..).map(|(body, id)| {
            let row = AlertRow {
                id: AlertId(id),
                at: Timestamp(0),
                body: body.to_string(),
                standing: AlertStanding::Pending,
                tries: 0,
                due: Timestamp(0),
                note: String::new(),
            };
            (row.id, row)
        });
        Self(Mutex::new(rows.collect()))
    }

    fn row(&self, id: u64) -> AlertRow {
        self.0.lock().unwrap()[&AlertId(id)].clone()
    }
}

impl Outbox for Memory {
    fn due(&self, now: Timestamp, at_most: usize) -> Result<Vec<AlertRow>, Trouble> {
        let rows = self.0.lock().unwrap();
        let due = rows
            .values()
            .filter(|row| row.standing == AlertStanding::Pending && row.due <= now);
        Ok(due.take(at_most).cloned().collect())
    }

    fn mark(&self, id: AlertId, outcome: AlertOutcome) -> Result<(), Trouble> {
        let mut rows = self.0.lock().unwrap();
        let row = rows.get_mut(&id).unwrap();
        row.tries += 1;
        match outcome {
            AlertOutcome::Sent => row.standing = AlertStanding::Sent,
            AlertOutcome::Retry { at, note } => (row.due, row.note) = (at, note),
            AlertOutcome::GivenUp { note } => {
                (row.standing, row.note) = (AlertStanding::GivenUp, note)
            }
        }
        Ok(())
    }

    fn scope_name(&self, scope: ScopeId) -> Option<String> {
        (scope == ScopeId(7)).then(|| "team:search".to_owned())
    }
}

/// Answers with these statuses in turn, the last one for ever, and keeps what came.
struct Webhook {
    url: String,
    came: Arc<Mutex<Vec<Value>>>,
}

impl Webhook {
    fn new(statuses: &'static [u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!(
            "http://{}/hook?token=secret",
            listener.local_addr().unwrap()
        );
        let came = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&came);
        spawn(move || {
            for (turn, stream) in listener.incoming().enumerate() {
                let mut stream = stream.unwrap();
                let mut text = String::new();
                let mut bytes = [0; 4096];
                let body = loop {
                    let read = stream.read(&mut bytes).unwrap();
                    text.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
                    let body = text.split_once("\r\n\r\n").map(|(_, body)| body);
                    if let Some(body) =
                        body.and_then(|body| serde_json::from_str::<Value>(body).ok())
                    {
                        break body;
                    }
                };
                kept.lock().unwrap().push(body);
                let status = statuses.get(turn).or_else(|| statuses.last()).unwrap();
                write!(
                    stream,
                    "HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                )
                .unwrap();
            }
        });
        Self { url, came }
    }

    fn sink(&self, shape: Shape, at: &[u64]) -> Sink {
        Sink {
            url: self.url.clone(),
            shape,
            at: (!at.is_empty()).then(|| at.iter().copied().collect()),
        }
    }

    fn came(&self) -> Vec<Value> {
        self.came.lock().unwrap().clone()
    }
}

fn step(percent: u64, action: &str) -> Value {
    json!({"kind": "budget_step", "scope": 7, "budget": u64::MAX, "window": 3, "percent": percent, "action": action,
        "spent_nanousd": 80 * SECOND, "limit_nanousd": 100 * SECOND})
}

#[test]
fn an_alert_goes_to_each_that_wants_it_once() {
    let (all, some) = (Webhook::new(&[200]), Webhook::new(&[204]));
    let post = Post::new(vec![
        all.sink(Shape::Json, &[]),
        some.sink(Shape::Slack, &[80]),
    ]);
    let outbox = Memory::with(&[
        step(50, "log"),
        step(75, "warn"),
        step(80, "warn"),
        json!({"kind": "overrun", "scope": 9, "over_nanousd": 5}),
    ]);
    for _ in 0..3 {
        post.round(&outbox, Timestamp(SECOND)).unwrap();
    }
    let percents: Vec<Value> = all.came().iter().map(|it| it["percent"].clone()).collect();
    assert_eq!(percents, [json!(75), json!(80), Value::Null]);
    let text = "Tollgate: team:search has spent $80 of $100, 80% of its budget";
    let lost = "Tollgate: a request of a scope that is gone (9) cost $0.000000005 more than was held for it";
    assert_eq!(some.came(), [json!({"text": text}), json!({"text": lost})]);
    let want = json!({
        "kind": "budget_step", "scope": "team:search", "budget": u64::MAX.to_string(), "window": 3, "percent": 80,
        "action": "warn", "spent": "80", "limit": "100", "id": 3, "at": "1970-01-01T00:00:00Z", "text": text,
    });
    assert_eq!(all.came()[1], want);
    assert_eq!(outbox.row(1).standing, AlertStanding::GivenUp);
    for id in 2..=4 {
        assert_eq!(outbox.row(id).standing, AlertStanding::Sent);
    }
}

#[test]
fn what_fails_is_tried_again_later_and_only_where_it_failed() {
    let (good, bad) = (Webhook::new(&[200]), Webhook::new(&[500, 302, 200]));
    let sinks = || vec![good.sink(Shape::Json, &[]), bad.sink(Shape::Json, &[])];
    let outbox = Memory::with(&[step(100, "refuse")]);
    let mut now = SECOND;
    for pause in [1, 2] {
        // Each time another process: what it must know is in the outbox.
        Post::new(sinks()).round(&outbox, Timestamp(now)).unwrap();
        let row = outbox.row(1);
        assert_eq!(row.due, Timestamp(now + pause * SECOND));
        assert!(
            !row.note.contains("secret") && row.note.contains("it answered"),
            "{}",
            row.note
        );
        Post::new(sinks()).round(&outbox, Timestamp(now)).unwrap();
        now = row.due.0;
    }
    Post::new(sinks()).round(&outbox, Timestamp(now)).unwrap();
    assert_eq!(outbox.row(1).standing, AlertStanding::Sent);
    assert_eq!((good.came().len(), bad.came().len()), (1, 3));
}

#[test]
fn after_two_days_nobody_tries_any_more_and_pauses_have_an_end() {
    let nowhere = Sink {
        url: "http://127.0.0.1:1/".to_owned(),
        shape: Shape::Json,
        at: None,
    };
    let outbox = Memory::with(&[step(80, "warn")]);
    let post = Post::new(vec![nowhere]);
    let mut now = 0;
    let mut tries = 0;
    while outbox.row(1).standing == AlertStanding::Pending {
        post.round(&outbox, Timestamp(now)).unwrap();
        let due = outbox.row(1).due.0;
        assert!(due.saturating_sub(now) <= 900 * SECOND);
        now = due.max(now + SECOND);
        tries += 1;
        assert!(tries < 300);
    }
    assert_eq!(outbox.row(1).standing, AlertStanding::GivenUp);
    assert!(
        outbox.row(1).note.contains("cannot be reached"),
        "{}",
        outbox.row(1).note
    );
}

#[test]
fn a_sender_sends_by_itself_and_ends() {
    let hook = Webhook::new(&[200]);
    let outbox = Arc::new(Memory::with(&[step(80, "warn")]));
    let sender = Sender::start(
        Arc::<Memory>::clone(&outbox),
        vec![hook.sink(Shape::Json, &[])],
    );
    let began = std::time::Instant::now();
    while outbox.row(1).standing != AlertStanding::Sent {
        assert!(began.elapsed().as_secs() < 20);
        std::thread::yield_now();
    }
    drop(sender);
    assert_eq!(hook.came().len(), 1);
}
