//! Trace ids of callers, which end up in headers and logs.

use serde_json::Value;
use tollgate_tests::wait_for;

use crate::guarded::Guarded;

#[test]
fn the_callers_trace_joins_reply_and_record_if_it_is_harmless() {
    let guarded = Guarded::start();
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let parent = format!("00-{trace}-b7ad6b7169203331-01");
    let long = "x".repeat(10_000);
    let limit = "y".repeat(128);
    let mut told_to_callers = Vec::new();
    for (headers, want) in [
        (
            vec![("x-trace-id", "order-66/a.b:c_d")],
            Some("order-66/a.b:c_d"),
        ),
        (vec![("x-trace-id", limit.as_str())], Some(limit.as_str())),
        (vec![("traceparent", parent.as_str())], Some(trace)),
        (
            vec![("x-trace-id", "mine"), ("traceparent", parent.as_str())],
            Some("mine"),
        ),
        (
            vec![("x-trace-id", "a\"b"), ("traceparent", parent.as_str())],
            Some(trace),
        ),
        (vec![("x-trace-id", "a\"b")], None),
        (vec![("x-trace-id", "a b")], None),
        (vec![("x-trace-id", "{\"json\":1}")], None),
        (vec![("x-trace-id", "a\\nb")], None),
        (vec![("x-trace-id", "a%0d%0ab")], None),
        (vec![("x-trace-id", "%FILTER_STATE(x)%")], None),
        (vec![("x-trace-id", "é")], None),
        (vec![("x-trace-id", long.as_str())], None),
        (vec![("traceparent", "00-short-b7ad6b7169203331-01")], None),
        (
            vec![(
                "traceparent",
                "00-zzf7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            )],
            None,
        ),
        (vec![("traceparent", long.as_str())], None),
        (vec![], None),
    ] {
        let mut served = guarded.gateway.chat("small", "hi").key("team-a");
        let mut refused = guarded.gateway.chat("nobody", "hi").key("team-a");
        for (name, value) in &headers {
            served = served.header(name, value);
            refused = refused.header(name, value);
        }
        for (call, status) in [(served, 200), (refused, 404)] {
            let reply = call.send();
            assert_eq!(reply.status(), status, "{headers:?}");
            let told = reply.header("x-tollgate-trace-id").unwrap().to_owned();
            match want {
                Some(want) => assert_eq!(told, want),
                // Envoy's own, which no caller can write.
                None => assert!(is_uuid(&told), "{headers:?} became {told:?}"),
            }
            told_to_callers.push((told, status));
        }
    }
    for (told, status) in told_to_callers {
        let of_this =
            |record: &Value| record["trace_id"] == told.as_str() && record["status"] == status;
        wait_for(&told, || {
            let records = guarded.gateway.records_now();
            records.iter().any(of_this).then_some(())
        });
    }
    guarded.gateway.provider("alpha").reset();
    guarded.is_well();
}

fn is_uuid(text: &str) -> bool {
    let lengths: Vec<_> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12]
        && text
            .bytes()
            .all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}
