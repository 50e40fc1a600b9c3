//! What has how many tokens at most, and what is named as unbounded.

use proptest::prelude::*;

use super::*;

const WINDOW: Option<Tokens> = Some(Tokens(128_000));
/// One pixel.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

fn bound(model: &str, body: &str) -> Bound {
    Bound::of(Family::of(model), body.as_bytes())
}

fn part(part: &str) -> String {
    format!(r#"{{"model":"m","messages":[{{"role":"user","content":[{part}]}}]}}"#)
}

#[test]
fn words_have_no_more_tokens_than_bytes() {
    for body in [
        r#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#,
        r#"{"model":"m","input":["a","b"]}"#,
        r#"{"model":"m","input":[[1,2],[3]]}"#,
        r#"{"model":"m","input":[1,2,3]}"#,
        r#"{"model":"m","prompt":["a"],"service_tier":"auto","prediction":null,"audio":null}"#,
        r#"{"model":"m","system":[{"type":"text","text":"x"}],"messages":[{"role":"user","content":[{"type":"tool_result","content":[{"type":"text","text":"x"}]}]}]}"#,
        r#"{"model":"m","messages":[],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"image_url":{"type":"image"}}}}},{"name":"g"}]}"#,
    ] {
        let found = bound("gpt-4o", body);
        let want = u64::try_from(body.len()).unwrap() + TEMPLATE;
        assert_eq!(found.input(None), Some(Tokens(want)), "{body}");
        assert_eq!((found.beyond, found.audio), (None, None), "{body}");
    }
}

#[test]
fn images_are_bounded_by_the_rule_of_the_vendor() {
    let openai = |url: &str| {
        part(&format!(
            r#"{{"type":"image_url","image_url":{{"url":"{url}"}}}}"#
        ))
    };
    let data = format!("data:image/png;base64,{PNG}");
    let anthropic = part(&format!(
        r#"{{"source":{{"type":"base64","media_type":"image/png","data":"{PNG}"}},"type":"image"}}"#
    ));
    for (model, body, away, image) in [
        ("gpt-4o", openai("https://a/b.png"), 0, IMAGE_LEAST),
        (
            "gpt-4o-mini",
            openai("https://a/b.png"),
            0,
            2_833 + 8 * 5_667,
        ),
        ("gpt-4o", openai(&data), data.len(), IMAGE_LEAST),
        (
            "claude-sonnet-4-5",
            anthropic.clone(),
            PNG.len(),
            IMAGE_LEAST,
        ),
    ] {
        let want = u64::try_from(body.len() - away).unwrap() + TEMPLATE + image;
        let found = bound(model, &body);
        assert_eq!(found.input(None), Some(Tokens(want)), "{model} {body}");
    }
    // no rule, or none that bounds it
    for (model, body) in [
        ("gemini-2.5-pro", openai("https://a/b.png")),
        ("llama-3.3-70b", openai(&data)),
        ("gpt-4o", part(r#"{"type":"input_image","file_id":"f"}"#)),
        (
            "claude-sonnet-4-5",
            part(r#"{"type":"image","source":{"type":"file","file_id":"f"}}"#),
        ),
    ] {
        let found = bound(model, &body);
        assert_eq!(found.media, Some(Media::Image), "{model} {body}");
        assert_eq!((found.input(None), found.input(WINDOW)), (None, WINDOW));
    }
}

#[test]
fn what_has_no_bound_is_named() {
    for (body, media, beyond) in [
        (
            part(r#"{"type":"input_audio","input_audio":{"data":"AA","format":"wav"}}"#),
            Some(Media::Audio),
            None,
        ),
        (
            part(r#"{"type":"file","file":{"file_id":"f"}}"#),
            Some(Media::File),
            None,
        ),
        (
            part(r#"{"type":"docum\u0065nt","source":{}}"#),
            Some(Media::File),
            None,
        ),
        (part(r#"{"type":"video_url"}"#), Some(Media::Video), None),
        (part(r#"{"type":"hologram"}"#), Some(Media::Unknown), None),
        (part(r#"{"type":7}"#), Some(Media::Unknown), None),
        (
            part(r#"{"type":"tool_result","content":[{"type":"document"}]}"#),
            Some(Media::File),
            None,
        ),
        (
            r#"{"input":[{"type":"item_reference","id":"x"}]}"#.to_owned(),
            Some(Media::Stored),
            None,
        ),
        (
            r#"{"previous_response_id":"x"}"#.to_owned(),
            Some(Media::Stored),
            None,
        ),
        (
            r#"{"prompt":{"id":"x"}}"#.to_owned(),
            Some(Media::Stored),
            None,
        ),
        (
            r#"{"messages":[{"content":[{"content":[{"content":[{"content":[]}]}]}]}]}"#.to_owned(),
            Some(Media::Unknown),
            None,
        ),
    ] {
        let found = bound("gpt-4o", &body);
        assert_eq!((found.media, found.beyond), (media, beyond), "{body}");
    }
    assert_eq!(
        Bound::of(Family::of("gpt-4o"), b"\xff").media,
        Some(Media::Unknown)
    );
}

#[test]
fn what_costs_more_than_its_tokens_is_named() {
    for (body, media, beyond) in [
        (
            r#"{"web_search_options":{}}"#.to_owned(),
            None,
            Some(Beyond::HostedTool),
        ),
        (
            r#"{"tools":[{"type":"web_search_20250305"}]}"#.to_owned(),
            None,
            Some(Beyond::HostedTool),
        ),
        (
            r#"{"tools":[{"type":"function"},{"type":"code_interpreter"}]}"#.to_owned(),
            None,
            Some(Beyond::HostedTool),
        ),
        (
            r#"{"service_tier":"priority"}"#.to_owned(),
            None,
            Some(Beyond::OtherPrices),
        ),
        (
            r#"{"speed":"fast"}"#.to_owned(),
            None,
            Some(Beyond::OtherPrices),
        ),
        (
            r#"{"prediction":{"content":"x"}}"#.to_owned(),
            None,
            Some(Beyond::Prediction),
        ),
        ("[]".to_owned(), Some(Media::Unknown), None),
        (
            r#"{"messages":[]} x"#.to_owned(),
            Some(Media::Unknown),
            None,
        ),
    ] {
        let found = bound("gpt-4o", &body);
        assert_eq!((found.media, found.beyond), (media, beyond), "{body}");
    }
    let speaks = bound(
        "gpt-4o",
        r#"{"modalities":["audio"],"audio":{"voice":"x"}}"#,
    );
    assert_eq!(speaks.audio, Some(Audio::Spoken));
}

proptest! {
    #[test]
    fn any_body_is_bounded_or_said_not_to_be(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let found = Bound::of(Family::of("gpt-4o"), &body);
        let bytes = u64::try_from(body.len()).unwrap();
        prop_assert!(found.media.is_some() || found.tokens.0 >= bytes);
    }

    /// The very count that tells what was sent, and the bound that held money for it.
    #[test]
    fn no_text_counts_more_than_its_bound(text in ".{0,300}") {
        let body = serde_json::json!({"model": "m", "messages": [{"role": "user", "content": text}]}).to_string();
        let family = Family::of("gpt-4o");
        let counted = super::super::count_chat(&mut super::super::Counter::new(), family, body.as_bytes(), 0);
        let found = Bound::of(family, body.as_bytes());
        prop_assert!(counted.tokens <= found.tokens && counted.at_most <= found.tokens);
    }
}
