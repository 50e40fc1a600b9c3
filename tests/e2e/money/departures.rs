//! What callers pay who leave before their answer is complete.

use tollgate::fake::Reply as Scripted;
use tollgate_tests::{Gateway, wait_for};

use crate::books::settled;
use crate::team;

#[test]
fn a_caller_who_leaves_a_stream_pays_all_that_was_held_where_the_budget_says_so() {
    let gateway = Gateway::with(&team(
        "{budgets: [{max: 1, window: total, charge_on_disconnect: reserved}]}",
    ));
    gateway
        .provider("alpha")
        .always(Scripted::tokens(400).pace_ms(10));
    let call = gateway.chat("small", "hi").key("one");
    let mut stream = call.field("max_tokens", 500).stream();
    stream.read_tokens(5);
    stream.leave();
    let posted = settled(&gateway, 1).posted;
    let record = gateway.record();
    assert_eq!(record["cost_basis"], "reserved", "{record}");
    assert_eq!(record["reserved_nanousd"], posted, "{record}");
    assert!(posted >= 500 * 40_000, "{posted}");
}

#[test]
fn a_caller_who_leaves_an_answer_in_one_piece_pays_all_that_was_held() {
    let gateway = Gateway::with(&team("{max_budget: 1}"));
    gateway.provider("alpha").always(Scripted {
        head_ms: 60_000,
        ..Scripted::tokens(5)
    });
    let call = gateway.chat("small", "hi").key("one");
    let mut wire = gateway.wire();
    wire.send(call.field("max_tokens", 500).to_bytes());
    wait_for("the provider to be asked", || {
        (!gateway.seen().is_empty()).then_some(())
    });
    drop(wire);
    let posted = settled(&gateway, 1).posted;
    let record = gateway.record();
    assert_eq!(
        (&record["end"], &record["cost_basis"]),
        (&"client_left".into(), &"reserved".into()),
        "{record}"
    );
    assert_eq!(record["reserved_nanousd"], posted, "{record}");
    assert!(posted >= 500 * 40_000, "{posted}");
}
