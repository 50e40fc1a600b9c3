//! Every client and every provider: the words arrive, the end is legal, and the figures are the provider's.

use serde_json::Value;
use tollgate::fake::{Ending, Lines, Reply as Scripted, Seen, Totals};
use tollgate_tests::{End, Gateway, PATIENCE, tried};

use crate::client::{CLIENTS, Client, SHAPES, Shape, shaped};
use crate::heard::Heard;
use crate::{PROVIDERS, only, start};

/// What the provider's ledger says of one request.
pub(crate) struct Served {
    before: Totals,
}

impl Served {
    pub(crate) fn begin(gateway: &Gateway, provider: &str) -> Self {
        let before = gateway.provider(provider).totals();
        Self { before }
    }

    /// Tokens of the prompt and of the answer.
    pub(crate) fn end(self, gateway: &Gateway, provider: &str) -> (u64, u64) {
        // What was handed to the network is entered a moment after it may have arrived.
        let served = |seen: &[Seen]| seen.iter().all(|seen| seen.ending == Ending::Served);
        let served = gateway.provider(provider).wait(PATIENCE, served);
        assert!(served.is_ok(), "{served:?}");
        let now = gateway.provider(provider).totals();
        (
            now.prompt_tokens - self.before.prompt_tokens,
            now.completion_tokens - self.before.completion_tokens,
        )
    }
}

/// What a record says, less how the answer divides: not every provider tells how much of it was thought.
fn recorded(record: &Value) -> (u64, u64, u64) {
    let tokens = |name: &str| record["tokens"][name].as_u64().unwrap();
    assert_eq!(
        (
            &record["end"],
            &record["usage_source"],
            &record["usage_suspect"],
            tokens("cache_write")
        ),
        (&"ok".into(), &"provider".into(), &Value::Null, 0),
        "{record}"
    );
    (
        tokens("input"),
        tokens("cached_input"),
        tokens("output") + tokens("reasoning"),
    )
}

fn exact(
    gateway: &Gateway,
    client: Client,
    provider: &str,
    (shape, reply): (Shape, &Scripted),
) -> Owed {
    let case = format!("{client:?} to {provider}, {shape:?}, {reply:?}");
    gateway.provider(provider).next(reply.clone());
    let served = Served::begin(gateway, provider);
    let model = only(provider);
    let answer = client
        .ask(gateway, (&model, "how are you all"), shape)
        .send();
    assert_eq!(answer.end(), End::Complete, "{case}");
    let heard = client.hear(&answer, shape);
    let (prompt, answered) = served.end(gateway, provider);
    assert_eq!((prompt, answered > 0), (4, true), "{case}");
    let cached = reply.cached_tokens;
    let reason = match client {
        Client::Chat | Client::Completions => "stop",
        Client::Messages => "end_turn",
        Client::Responses => "completed",
    };
    let want = Heard {
        text: "one two three four five".to_owned(),
        usage: client.figures(prompt, cached, answered),
        reason: reason.to_owned(),
        calls: Vec::new(),
    };
    assert_eq!(heard, want, "{case}");
    Owed {
        trace: answer.header("x-tollgate-trace-id").map(str::to_owned),
        tokens: (prompt - cached, cached, answered),
        endpoint: client.path(),
        tried: format!("{provider} 200"),
        case,
    }
}

/// A record to come. Envoy writes them in batches: whoever waits for each waits long.
struct Owed {
    trace: Option<String>,
    tokens: (u64, u64, u64),
    endpoint: &'static str,
    tried: String,
    case: String,
}

fn all_are_recorded(gateway: &Gateway, owed: &[Owed]) {
    for owed in owed {
        let record = gateway.record_of(owed.trace.as_deref());
        let case = format!("{}: {record}", owed.case);
        assert_eq!(recorded(&record), owed.tokens, "{case}");
        assert_eq!(record["endpoint"], owed.endpoint, "{case}");
        assert_eq!(tried(&record), [owed.tried.as_str()], "{case}");
    }
    assert_eq!(gateway.records_now().len(), owed.len());
}

#[test]
fn every_client_hears_every_provider_and_the_figures_are_exact() {
    let gateway = start();
    let mut owed = Vec::new();
    let five = || Scripted::text("one two three four five");
    for provider in PROVIDERS {
        for client in CLIENTS {
            for shape in SHAPES {
                owed.push(exact(&gateway, client, provider, (shape, &five())));
                let cached = five().cached_tokens(3);
                owed.push(exact(&gateway, client, provider, (shape, &cached)));
                // Nobody thinks before an answer of the old kind.
                if client != Client::Completions || !["openai", "azure"].contains(&provider) {
                    let thought = five().reasoning_tokens(6).cached_tokens(1);
                    owed.push(exact(&gateway, client, provider, (shape, &thought)));
                }
            }
        }
    }
    all_are_recorded(&gateway, &owed);
}

#[test]
fn where_the_bytes_of_a_provider_are_cut_does_not_matter() {
    let gateway = start();
    let mut owed = Vec::new();
    let five = || Scripted::text("one two three four five").cached_tokens(1);
    for provider in PROVIDERS {
        for client in CLIENTS {
            let whole = five().in_pieces_of(1);
            owed.push(exact(&gateway, client, provider, (Shape::Whole, &whole)));
            for reply in [
                five().in_pieces_of(1),
                five().in_pieces_of(7).lines(Lines::Crlf),
                five().merging(100),
            ] {
                owed.push(exact(&gateway, client, provider, (Shape::Streamed, &reply)));
            }
        }
    }
    all_are_recorded(&gateway, &owed);
}

#[test]
fn what_is_longer_than_its_limit_says_so_in_every_dialect() {
    let gateway = start();
    for provider in PROVIDERS {
        for (client, field, reason) in [
            (Client::Chat, "max_completion_tokens", "length"),
            (Client::Messages, "max_tokens", "max_tokens"),
            (Client::Completions, "max_tokens", "length"),
        ] {
            for shape in SHAPES {
                let question = client.question(&only(provider), "say more than that");
                let call = client.call(&gateway, question).field(field, 2);
                let heard = client.hear(&shaped(client, call, shape).send(), shape);
                let said = format!("{provider} heard:");
                let case = format!("{client:?} to {provider}, {shape:?}");
                assert_eq!(
                    (heard.text, heard.reason.as_str()),
                    (said, reason),
                    "{case}"
                );
                assert_eq!(heard.usage[2], 2, "{case}");
            }
        }
    }
}
