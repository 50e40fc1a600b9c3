//! Bodies that are no question, or not one for this gateway.

use serde_json::json;

use crate::guarded::{CHAT, Guarded, post, post_in_chunks, question_of, refusal};

/// Refusals, and the bodies that deserve them.
const BODIES: &[(&str, &[&[u8]])] = &[
    (
        "400 invalid_request_error invalid_json -",
        &[
            b"",
            b" ",
            b"{",
            b"}",
            b"null",
            b"true",
            b"17",
            b"\"small\"",
            b"[]",
            b"[{\"model\":\"small\"}]",
            b"[\"small\",true,null]",
            b"model=small&messages=hi",
            b"<model>small</model>",
            b"{'model':'small'}",
            b"{model:\"small\"}",
            b"{\"model\":\"small\",}",
            b"{\"model\":\"small\"}{\"model\":\"secret\"}",
            b"{\"model\":\"small\"}\0",
            b"{\"model\":\"small\",\"a\":NaN}",
            b"{\"model\":\"small\",\"a\":01}",
            b"{\"model\":\"small\",\"a\":\"\n\"}",
            b"{\"model\":\"small\",\"a\":\"\\x\"}",
            b"// comment\n{\"model\":\"small\"}",
            b"\xef\xbb\xbf{\"model\":\"small\"}",
            b"{\"model\":\"sm\xffall\"}",
            b"{\"model\":\"small\",\"a\":\"\xc0\xaf\"}",
            b"{\"model\":\"small\",\"a\":\"\xed\xa0\x80\"}",
            b"\xff\xfe{\0}\0",
            b"{\"model\":\"secret\",\"model\":\"small\"}",
            b"{\"model\":\"small\",\"mod\\u0065l\":\"secret\"}",
            b"{\"model\":\"small\",\"stream\":false,\"stream\":true}",
        ],
    ),
    (
        "400 invalid_request_error missing_required_parameter model",
        &[
            b"{}",
            b"{\"Model\":\"small\"}",
            b"{\"a\":{\"model\":\"small\"}}",
            b"{\"model\":null}",
            b"{\"model\":\"\"}",
        ],
    ),
    (
        "400 invalid_request_error invalid_type model",
        &[
            b"{\"model\":1}",
            b"{\"model\":1e999}",
            b"{\"model\":true}",
            b"{\"model\":[\"small\"]}",
            b"{\"model\":{\"name\":\"small\"}}",
            b"{\"model\":\"\\ud800\"}",
        ],
    ),
    (
        "400 invalid_request_error invalid_type stream",
        &[
            b"{\"model\":\"small\",\"stream\":1}",
            b"{\"model\":\"small\",\"stream\":\"true\"}",
            b"{\"model\":\"small\",\"stream\":[]}",
        ],
    ),
    (
        "400 invalid_request_error invalid_type stream_options",
        &[
            b"{\"model\":\"small\",\"stream\":true,\"stream_options\":[]}",
            b"{\"model\":\"small\",\"stream\":true,\"stream_options\":true}",
            b"{\"model\":\"small\",\"stream\":true,\"stream_options\":\"x\"}",
        ],
    ),
    (
        "404 invalid_request_error model_not_found model",
        &[
            b"{\"model\":\"nobody\"}",
            b"{\"model\":\"Small\"}",
            b"{\"model\":\"small \"}",
            b"{\"model\":\"small\\u0000\"}",
            b"{\"model\":\"../secret\"}",
            b"{\"model\":\"a\\\"b\\\\\\r\\nx: y\"}",
        ],
    ),
    (
        "403 permission_error model_not_allowed model",
        &[b"{\"model\":\"secret\"}"],
    ),
];

#[test]
fn a_body_that_cannot_be_served_is_refused_with_a_code_and_the_field_to_blame() {
    let guarded = Guarded::start();
    for (want, bodies) in BODIES {
        for body in *bodies {
            let shown = String::from_utf8_lossy(body);
            let whole = guarded.refusal(post(&guarded, *body));
            assert_eq!(whole, *want, "{shown}");
            let in_chunks = guarded.refusal(post_in_chunks(&guarded, body));
            assert_eq!(in_chunks, *want, "{shown} in chunks");
        }
    }
    guarded.is_well();
}

#[test]
fn a_model_nobody_knows_is_not_repeated_in_full() {
    let guarded = Guarded::start();
    for name in ["x".repeat(1_900), "é".repeat(900), "\u{1f600}".repeat(450)] {
        let body = json!({ "model": name }).to_string();
        let reply = post(&guarded, body).send();
        let want = "404 invalid_request_error model_not_found model";
        assert_eq!(refusal(&reply), want);
        assert!(reply.body().len() < 1_000, "{}", reply.text());
    }
    guarded.is_well();
}

#[test]
fn a_body_that_cannot_be_read_is_not_passed_on_unread() {
    let guarded = Guarded::start();
    // `{"model":"small","messages":[]}` in gzip.
    let gzip = b"\x1f\x8b\x08\0\0\0\0\0\x02\x03\xabV\xca\xcdOI\xcdQ\xb2R*\xceM\xcc\xc9Q\xd2Q\xcaM-.NLO-V\xb2\x8a\x8e\xad\x05\0";
    let want = "415 invalid_request_error unsupported_content_encoding -";
    for encoding in [
        "gzip",
        "GZIP",
        "br",
        "deflate",
        "zstd",
        "identity, gzip",
        "x\"y",
    ] {
        let call = post(&guarded, *gzip).header("content-encoding", encoding);
        assert_eq!(guarded.refusal(call), want, "{encoding}");
    }
    assert_eq!(
        guarded.refusal(post(&guarded, *gzip)),
        "400 invalid_request_error invalid_json -",
        "compressed without a word"
    );
    for (kind, body) in [
        (
            "multipart/form-data; boundary=b",
            "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nsmall\r\n--b--\r\n",
        ),
        ("application/x-www-form-urlencoded", "model=small"),
    ] {
        let call = guarded.gateway.call("POST", CHAT).key("team-a");
        let call = call.header("content-type", kind).bytes(body);
        assert_eq!(
            guarded.refusal(call),
            "400 invalid_request_error invalid_json -",
            "{kind}"
        );
    }
    let reply = post(&guarded, question_of(100))
        .header("content-encoding", "identity")
        .send();
    assert_eq!(reply.status(), 200, "that is no encoding");
    guarded.gateway.provider("alpha").reset();
    guarded.is_well();
}
