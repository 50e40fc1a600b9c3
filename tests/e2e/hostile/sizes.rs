//! Too much of everything.

use crate::guarded::{BODY_BYTES_MAX, Guarded, post, post_in_chunks, question_of};

#[test]
fn a_body_at_the_limit_is_served_and_one_byte_more_is_refused_however_it_is_framed() {
    let guarded = Guarded::start();
    let body = question_of(BODY_BYTES_MAX);
    for reply in [
        post(&guarded, body.clone()).send(),
        post_in_chunks(&guarded, &body).send(),
    ] {
        assert_eq!(reply.status(), 200, "{}", reply.text());
    }
    let alpha = guarded.gateway.provider("alpha");
    assert_eq!(alpha.requests().len(), 2);
    alpha.reset();
    for bytes in [BODY_BYTES_MAX + 1, 100 * BODY_BYTES_MAX, 2_000_000] {
        let body = question_of(bytes);
        let want = "413 invalid_request_error body_too_large -";
        assert_eq!(
            guarded.refusal(post(&guarded, body.clone())),
            want,
            "{bytes}"
        );
        assert_eq!(
            guarded.refusal(post_in_chunks(&guarded, &body)),
            want,
            "{bytes} in chunks"
        );
    }
    guarded.is_well();
}

#[test]
fn ten_megabytes_are_too_much_when_nobody_said_how_much_is() {
    let guarded = Guarded::with_usual_limit();
    let reply = post(&guarded, question_of(8 << 20)).send();
    assert_eq!(reply.status(), 200, "{}", reply.text());
    guarded.gateway.provider("alpha").reset();
    let body = question_of(10_000_000);
    let want = "413 invalid_request_error body_too_large -";
    assert_eq!(guarded.refusal(post(&guarded, body.clone())), want);
    assert_eq!(guarded.refusal(post_in_chunks(&guarded, &body)), want);
    guarded.is_well();
}

#[test]
fn depth_is_no_weapon() {
    let guarded = Guarded::with_usual_limit();
    for levels in [10_000, 50_000] {
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        let whole = format!(r#"{{"messages":{open}{close},"model":"small"}}"#);
        // What it says is the provider's to judge; ours is to pass it on unharmed.
        let reply = post(&guarded, whole.clone()).send();
        let seen = guarded.gateway.provider("alpha").requests();
        assert_eq!(
            (seen.len(), reply.status()),
            (1, seen[0].status.unwrap()),
            "{levels}"
        );
        assert_eq!(
            seen[0].body,
            whole.replace("small", "alpha-small").into_bytes(),
            "{levels}"
        );
        guarded.gateway.provider("alpha").reset();
        for (body, want) in [
            (
                format!(r#"{{"model":"small","messages":{open}"#),
                "invalid_json -",
            ),
            (
                format!(r#"{{"model":{open}{close}}}"#),
                "invalid_type model",
            ),
            (
                format!(r#"{{"model":"small","stream":{open}{close}}}"#),
                "invalid_type stream",
            ),
            (
                format!(
                    r#"{{"model":"small","stream":true,"stream_options":{{"a":{open}{close}}}}}"#
                ),
                "invalid_type stream_options",
            ),
            (open.clone(), "invalid_json -"),
            (r#"{"a":"#.repeat(levels), "invalid_json -"),
        ] {
            let got = guarded.refusal(post(&guarded, body));
            assert_eq!(got, format!("400 invalid_request_error {want}"), "{levels}");
        }
    }
    // Deeper than anybody means it: not even read.
    let levels = 1_000_000;
    let (open, close) = ("[".repeat(levels), "]".repeat(levels));
    for body in [
        format!(r#"{{"messages":{open}{close},"model":"small"}}"#),
        format!(r#"{{"model":{open}{close}}}"#),
        format!(r#"{{"model":"small","messages":{open}"#),
        open.clone(),
        r#"{"a":"#.repeat(levels),
    ] {
        let got = guarded.refusal(post(&guarded, body));
        assert_eq!(got, "413 invalid_request_error body_too_intricate -");
    }
    guarded.is_well();
}

#[test]
fn a_head_larger_than_envoy_reads_is_refused_and_one_that_is_merely_large_is_served() {
    let guarded = Guarded::start();
    for bytes in [100_000, 1_000_000] {
        let call = guarded.gateway.chat("small", "hi").key("team-a");
        let call = call.header("x-large", &"h".repeat(bytes));
        assert_eq!(
            guarded.refusal(call),
            "431 invalid_request_error bad_request -",
            "{bytes}"
        );
    }
    let mut call = guarded.gateway.chat("small", "hi").key("team-a");
    for number in 0..500 {
        call = call.header(&format!("x-{number}"), "many");
    }
    assert_eq!(
        guarded.refusal(call),
        "431 invalid_request_error bad_request -",
        "500 fields"
    );
    guarded.is_well();
    let large = "h".repeat(40_000);
    let reply = guarded
        .gateway
        .chat("small", "hi")
        .key("team-a")
        .header("x-large", &large)
        .send();
    assert_eq!(reply.status(), 200, "{}", reply.text());
    let seen = guarded.gateway.provider("alpha").requests();
    assert_eq!(
        seen[0].header("x-large"),
        None,
        "it is nobody's business outside"
    );
}
