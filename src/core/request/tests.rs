//! How requests are read and spliced.

use proptest::prelude::*;

use super::*;

fn parsed(body: &str) -> Result<Request, Refusal> {
    parse(
        body.as_bytes(),
        Streams::OnRequest,
        UsageOption::StreamOptions,
    )
}

#[test]
fn a_body_that_only_makes_work_is_refused_before_it_is_read() {
    for (values, want) in [(50_000, Ok("small")), (70_000, Err("body_too_intricate"))] {
        let body = format!(r#"{{"model":"small","x":[{}1]}}"#, "{},".repeat(values));
        let got = parsed(&body);
        let got = got.as_ref().map(|request| request.model.as_str());
        assert_eq!(got.map_err(|refusal| refusal.code), want, "{values}");
    }
}

#[test]
fn only_the_model_and_the_usage_option_change() {
    for (body, want, reply) in [
        (
            r#"{"model":"small","messages":[],"unknown":{"a":[1]}}"#,
            r#"{"model":"gpt-x","messages":[],"unknown":{"a":[1]}}"#,
            Reply::Whole,
        ),
        (
            r#" {"stream" : true, "model" : "small"} "#,
            r#" {"stream_options":{"include_usage":true},"stream" : true, "model" : "gpt-x"} "#,
            Reply::Streamed(UsageEvent::Hidden),
        ),
        (
            r#"{"stream":true,"stream_options":{"include_usage":true},"model":"small"}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true},"model":"gpt-x"}"#,
            Reply::Streamed(UsageEvent::Asked),
        ),
        (
            r#"{"stream":true,"stream_options":{"include_usage":false,"z":1},"model":"small"}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true,"z":1},"model":"gpt-x"}"#,
            Reply::Streamed(UsageEvent::Hidden),
        ),
        (
            r#"{"stream":true,"model":"small","stream_options":null}"#,
            r#"{"stream":true,"model":"gpt-x","stream_options":{"include_usage":true}}"#,
            Reply::Streamed(UsageEvent::Hidden),
        ),
        (
            r#"{"stream":false,"stream_options":null,"model":"sm\u0061ll"}"#,
            r#"{"stream":false,"stream_options":null,"model":"gpt-x"}"#,
            Reply::Whole,
        ),
    ] {
        let request = parsed(body).unwrap();
        assert_eq!((request.model.as_str(), request.reply), ("small", reply));
        let written = request
            .splice
            .write(body.as_bytes(), "gpt-x", StreamUsage::Asked, None)
            .unwrap();
        assert_eq!(String::from_utf8(written).unwrap(), want);
        assert_eq!(
            request
                .splice
                .length(body.len(), "gpt-x", StreamUsage::Asked, None),
            want.len()
        );
    }
}

#[test]
fn a_body_that_needs_no_change_is_not_written() {
    let body = r#"{"model":"small","messages":[]}"#;
    let request = parsed(body).unwrap();
    assert_eq!(
        request
            .splice
            .write(body.as_bytes(), "small", StreamUsage::Asked, None),
        None
    );
    assert_eq!(
        request
            .splice
            .length(body.len(), "small", StreamUsage::Asked, None),
        body.len()
    );
}

#[test]
fn a_model_name_is_written_as_json() {
    let body = r#"{"model":"small"}"#;
    let request = parsed(body).unwrap();
    let written = request
        .splice
        .write(body.as_bytes(), "a\"b\u{1}ä", StreamUsage::Asked, None)
        .unwrap();
    assert_eq!(
        String::from_utf8(written.clone()).unwrap(),
        "{\"model\":\"a\\\"b\\u0001ä\"}"
    );
    assert_eq!(
        request
            .splice
            .length(body.len(), "a\"b\u{1}ä", StreamUsage::Asked, None),
        written.len()
    );
}

#[test]
fn what_cannot_be_served_is_refused_with_its_field() {
    for (body, code, param) in [
        ("", "invalid_json", None),
        ("{", "invalid_json", None),
        ("[]", "invalid_json", None),
        ("null", "invalid_json", None),
        ("\"text\"", "invalid_json", None),
        ("{}x", "invalid_json", None),
        ("\u{feff}{}", "invalid_json", None),
        ("{}", "missing_required_parameter", Some("model")),
        (
            r#"{"model":null}"#,
            "missing_required_parameter",
            Some("model"),
        ),
        (
            r#"{"model":""}"#,
            "missing_required_parameter",
            Some("model"),
        ),
        (r#"{"model":5}"#, "invalid_type", Some("model")),
        (r#"{"model":["a"]}"#, "invalid_type", Some("model")),
        (
            r#"{"model":"a","stream":1}"#,
            "invalid_type",
            Some("stream"),
        ),
        (
            r#"{"model":"a","stream":"true"}"#,
            "invalid_type",
            Some("stream"),
        ),
        (
            r#"{"model":"a","stream":true,"stream_options":[]}"#,
            "invalid_type",
            Some("stream_options"),
        ),
        (r#"{"model":"a","model":"b"}"#, "invalid_json", None),
        (r#"{"model":"a","mod\u0065l":"b"}"#, "invalid_json", None),
        (
            r#"{"model":"a","stream":false,"stream":true}"#,
            "invalid_json",
            None,
        ),
    ] {
        let refusal = parsed(body).unwrap_err();
        assert_eq!((refusal.code, refusal.param), (code, param), "{body}");
    }
    let refusal = parse(
        b"{\"model\":\"\xff\"}",
        Streams::OnRequest,
        UsageOption::StreamOptions,
    )
    .unwrap_err();
    assert!(refusal.message.contains("UTF-8 at byte 10"), "{refusal:?}");
}

#[test]
fn the_models_that_may_answer_instead_stay_here() {
    for (body, want) in [
        (r#"{"models":["b"],"model":"a"}"#, r#"{"model":"x"}"#),
        (
            r#"{"model":"a" , "models" : ["b", "c"] }"#,
            r#"{"model":"x"  }"#,
        ),
        (
            r#"{"model":"a","mod\u0065ls":null,"n":1}"#,
            r#"{"model":"x","n":1}"#,
        ),
        (
            r#"{"models":[],"model":"a","stream":true}"#,
            r#"{"stream_options":{"include_usage":true},"model":"x","stream":true}"#,
        ),
    ] {
        let request = parsed(body).unwrap();
        let splice = &request.splice;
        let written = splice.write(body.as_bytes(), "x", StreamUsage::Asked, None);
        let written = String::from_utf8(written.unwrap()).unwrap();
        assert_eq!(written, want);
        let length = splice.length(body.len(), "x", StreamUsage::Asked, None);
        assert_eq!(written.len(), length);
    }
}

#[test]
fn depth_costs_no_stack() {
    let deep = format!(
        r#"{{"model":"a","messages":{}{}}}"#,
        "[".repeat(30_000),
        "]".repeat(30_000)
    );
    assert_eq!(parsed(&deep).unwrap().model, "a");
}

#[test]
fn embeddings_never_stream() {
    let body = br#"{"model":"a","stream":true}"#;
    assert_eq!(
        parse(body, Streams::Never, UsageOption::StreamOptions)
            .unwrap()
            .reply,
        Reply::Whole
    );
}

proptest! {
    #[test]
    fn no_body_panics_and_lengths_are_true(body in prop::collection::vec(any::<u8>(), 0..200), model in ".{0,20}") {
        if let Ok(request) = parse(&body, Streams::OnRequest, UsageOption::StreamOptions) {
            let written = request.splice.write(&body, &model, StreamUsage::Asked, None).unwrap_or_else(|| body.clone());
            prop_assert_eq!(written.len(), request.splice.length(body.len(), &model, StreamUsage::Asked, None));
        }
    }

    #[test]
    fn what_is_written_says_the_new_model(extra in "[a-z\"\\\\:,{}\\[\\]0-9 ]{0,30}", stream in any::<bool>()) {
        let body = serde_json::json!({"extra": extra, "model": "old", "stream": stream}).to_string();
        let request = parsed(&body).unwrap();
        let written = request.splice.write(body.as_bytes(), "new", StreamUsage::Asked, None).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&written).unwrap();
        prop_assert_eq!(value["model"].as_str(), Some("new"));
        prop_assert_eq!(value["extra"].as_str(), Some(extra.as_str()));
        prop_assert_eq!(value["stream_options"]["include_usage"].as_bool(), stream.then_some(true));
    }
}

#[test]
fn a_cap_is_put_in_where_the_caller_wrote_none() {
    let cap = Cap {
        field: "max_completion_tokens",
        tokens: Some(Tokens(100)),
    };
    for (body, want, wishes) in [
        (
            r#"{"model":"small"}"#,
            r#"{"max_completion_tokens":100,"model":"gpt-x"}"#,
            (None, 1),
        ),
        (
            r#" { "model":"small","max_tokens":null,"n":3}"#,
            r#" {"max_completion_tokens":100, "model":"gpt-x","max_tokens":null,"n":3}"#,
            (None, 3),
        ),
        (
            r#"{"model":"small","max_completion_tokens":null}"#,
            r#"{"model":"gpt-x","max_completion_tokens":100}"#,
            (None, 1),
        ),
        // another's name for it gives way
        (
            r#"{"model":"small","max_output_tokens":7,"prompt":["a","b"]}"#,
            r#"{"max_completion_tokens":100,"model":"gpt-x","max_output_tokens":null,"prompt":["a","b"]}"#,
            (Some(7), 2),
        ),
        (
            r#"{"stream":true,"model":"small"}"#,
            r#"{"max_completion_tokens":100,"stream_options":{"include_usage":true},"stream":true,"model":"gpt-x"}"#,
            (None, 1),
        ),
    ] {
        let request = parsed(body).unwrap();
        assert_eq!(
            (request.wishes.cap.map(|cap| cap.0), request.wishes.choices),
            wishes
        );
        let splice = &request.splice;
        let written = splice.write(body.as_bytes(), "gpt-x", StreamUsage::Asked, Some(cap));
        assert_eq!(String::from_utf8(written.unwrap()).unwrap(), want);
        let length = splice.length(body.len(), "gpt-x", StreamUsage::Asked, Some(cap));
        assert_eq!(length, want.len());
    }
}

#[test]
fn a_cap_binds_where_its_name_is_known() {
    for (fields, field, want) in [
        ("", "max_tokens", false),
        (r#","max_tokens":null"#, "max_tokens", false),
        (r#","max_tokens":5"#, "max_tokens", true),
        (r#","max_tokens":5"#, "max_completion_tokens", true),
        (r#","max_completion_tokens":5"#, "max_tokens", false),
        (r#","max_tokens":5"#, "max_output_tokens", false),
        (r#","max_output_tokens":5"#, "max_output_tokens", true),
    ] {
        let request = parsed(&format!(r#"{{"model":"small"{fields}}}"#)).unwrap();
        assert_eq!(request.wishes.caps.bind(field), want, "{fields} {field}");
    }
}

#[test]
fn every_prompt_has_its_answers() {
    for (prompt, want) in [
        (r#""[\"a\",\"b\"]""#, 2),
        (r#"["a","b", "c"]"#, 6),
        ("[1,2,3,4]", 2),
        ("[ [1,2],[3]]", 4),
        ("[]", 2),
        ("null", 2),
    ] {
        let body = format!(r#"{{"model":"small","n":2,"prompt":{prompt}}}"#);
        assert_eq!(parsed(&body).unwrap().wishes.choices, want, "{prompt}");
    }
}

#[test]
fn who_does_not_know_the_newer_name_of_the_cap_gets_the_older() {
    for (body, field, want) in [
        (
            r#"{"model":"a", "max_completion_tokens" : 5}"#,
            "max_tokens",
            r#"{"model":"x", "max_tokens" : 5}"#,
        ),
        (
            r#"{"max_completion_tokens":5,"models":["b"],"model":"a"}"#,
            "max_tokens",
            r#"{"max_tokens":5,"model":"x"}"#,
        ),
        (
            r#"{"model":"a","max_completion_tokens":5}"#,
            "max_completion_tokens",
            r#"{"model":"x","max_completion_tokens":5}"#,
        ),
        (
            r#"{"model":"a","max_tokens":4,"max_completion_tokens":5}"#,
            "max_tokens",
            r#"{"model":"x","max_tokens":4,"max_completion_tokens":5}"#,
        ),
        (
            r#"{"model":"a","max_tokens":4}"#,
            "max_completion_tokens",
            r#"{"model":"x","max_tokens":4}"#,
        ),
    ] {
        let splice = parsed(body).unwrap().splice;
        let cap = Some(Cap {
            field,
            tokens: None,
        });
        let written = splice.write(body.as_bytes(), "x", StreamUsage::Asked, cap);
        assert_eq!(String::from_utf8(written.unwrap()).unwrap(), want);
        let length = splice.length(body.len(), "x", StreamUsage::Asked, cap);
        assert_eq!(length, want.len(), "{body}");
    }
}

#[test]
fn the_largest_cap_counts_and_a_cap_is_a_whole_number() {
    for (fields, want) in [
        (r#""max_tokens":5,"max_completion_tokens":7"#, Ok(7)),
        (r#""max_output_tokens":9,"max_tokens":null"#, Ok(9)),
        (r#""max_tokens":-1"#, Err("invalid_type")),
        (r#""max_tokens":1.5"#, Err("invalid_type")),
        (r#""max_tokens":"5""#, Err("invalid_type")),
        (r#""max_tokens":1,"n":1e9"#, Err("invalid_type")),
        (r#""max_tokens":1,"n":4096"#, Err("invalid_type")),
        (r#""max_tokens":99999999999999999999"#, Err("invalid_type")),
    ] {
        let request = parsed(&format!(r#"{{"model":"small",{fields}}}"#));
        let got = request
            .map(|request| request.wishes.cap.unwrap().0)
            .map_err(|refusal| refusal.code);
        assert_eq!(got, want, "{fields}");
    }
}
