//! A model asks for a tool, and gets the result back: the same in every pair.

use serde_json::{Value, json};

use crate::client::{Client, Returned, SHAPES, Shape, shaped};
use crate::heard::Call;
use crate::pairs::Served;
use crate::{PROVIDERS, only, start};

fn arguments(call: &Call) -> Value {
    serde_json::from_str(&call.arguments).unwrap_or_else(|error| panic!("{error} in {call:?}"))
}

#[test]
fn calls_arrive_in_pieces_and_their_results_go_back() {
    let gateway = start();
    for provider in PROVIDERS {
        for (client, reason) in [(Client::Chat, "tool_calls"), (Client::Messages, "tool_use")] {
            for (shape, words, count) in SHAPES.into_iter().flat_map(|shape| {
                [
                    (shape, "where am I", 1),
                    (shape, "look both ways in parallel", 2),
                ]
            }) {
                let case = format!("{client:?} to {provider}, {shape:?}, {words}");
                let mut question = client.question_with_tool(&only(provider), words);
                let served = Served::begin(&gateway, provider);
                let call = client.call(&gateway, question.clone());
                let heard = client.hear(&shaped(client, call, shape).send(), shape);
                let (prompt, answered) = served.end(&gateway, provider);
                assert_eq!(heard.usage, client.figures(prompt, 0, answered), "{case}");
                assert_eq!((heard.reason.as_str(), heard.calls.len()), (reason, count));
                let ids: Vec<_> = heard.calls.iter().map(|call| call.id.as_str()).collect();
                assert!(ids.iter().all(|id| !id.is_empty()), "{case}");
                assert!(count == 1 || ids[0] != ids[1], "{case}: {ids:?}");
                let given: Vec<_> = heard.calls.iter().map(arguments).collect();
                for (call, arguments) in heard.calls.iter().zip(&given) {
                    assert_eq!(
                        (call.name.as_str(), arguments),
                        ("look", &json!({"at": words})),
                        "{case}"
                    );
                    // Gemini says them in one piece.
                    let at_once = shape == Shape::Whole || ["gemini", "vertex"].contains(&provider);
                    let pieces = at_once || call.pieces > 2;
                    assert!(pieces, "{case}: {call:?}");
                }

                let results = ["in the hall", "on the stairs"];
                let returned: Vec<_> = heard
                    .calls
                    .iter()
                    .zip(&given)
                    .zip(results)
                    .map(|((call, arguments), result)| Returned {
                        id: &call.id,
                        name: &call.name,
                        arguments,
                        result,
                    })
                    .collect();
                client.give_back(&mut question, &returned);
                let served = Served::begin(&gateway, provider);
                let call = client.call(&gateway, question);
                let heard = client.hear(&shaped(client, call, shape).send(), shape);
                assert_eq!(heard.text, format!("{provider} heard: {words}"), "{case}");
                let (prompt, answered) = served.end(&gateway, provider);
                assert_eq!(heard.usage, client.figures(prompt, 0, answered), "{case}");
                let seen = gateway.provider(provider).requests().pop().unwrap();
                let body = String::from_utf8(seen.body).unwrap();
                for result in &results[..count] {
                    assert_eq!(body.matches(result).count(), 1, "{case}: {body}");
                }
            }
        }
    }
}
