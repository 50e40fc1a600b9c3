//! What callers hear of their limits.

use std::thread;
use std::time::Duration;

use tollgate::fake::Reply as Scripted;
use tollgate_tests::{Gateway, wait_for};

use crate::{alone, code, leased, storm};

#[test]
fn whoever_waits_as_long_as_told_is_let_through() {
    for config in [
        alone("{rpm_limit: 30, burst: 100%}"),
        leased("{rpm_limit: 30, burst: 100%}"),
    ] {
        let gateway = Gateway::with(&config);
        let (passed, _) = storm(&[&gateway], 40);
        assert!(passed >= 30, "{passed}");
        let ask = || gateway.chat("small", "hi").key("one").send();
        let refused = wait_for("a refusal", || {
            let reply = ask();
            (reply.status() == 429).then_some(reply)
        });
        let number = |name: &str| refused.header(name).unwrap().parse::<u64>().unwrap();
        let ms = number("retry-after-ms");
        assert!((1..=2_000).contains(&ms), "{ms}");
        assert_eq!(number("retry-after"), ms.div_ceil(1_000));
        thread::sleep(Duration::from_millis(ms));
        assert_eq!(ask().status(), 200, "after {ms} ms");
        let said = refused.text();
        assert!(
            said.contains("team:search") && said.contains("30 requests a minute"),
            "{said}"
        );
    }
}

#[test]
fn every_reply_tells_how_the_limits_stand_in_the_words_of_its_dialect() {
    let gateway = Gateway::with(&alone("{rpm_limit: 1, tpm_limit: 1000, burst: 1000%}"));
    let alpha = gateway.provider("alpha");
    let ask = || {
        let call = gateway.chat("small", "hi").key("one");
        call.field("max_tokens", 100).send()
    };
    let first = ask();
    let told = |reply: &tollgate_tests::Reply, name: &str| {
        let name = format!("x-ratelimit-{name}");
        reply.header(&name).unwrap_or("-").to_owned()
    };
    assert_eq!(told(&first, "limit-requests"), "1");
    assert_eq!(told(&first, "remaining-requests"), "9");
    assert_eq!(told(&first, "limit-tokens"), "1000");
    assert!(told(&first, "reset-requests").ends_with('s'));
    let left: u64 = told(&first, "remaining-tokens").parse().unwrap();
    assert!((9_850..9_900).contains(&left), "{left}");
    // Whoever fails says it as well, and of the provider's own limits nobody hears.
    alpha.always(Scripted::status(500));
    let failed = ask();
    assert_eq!(failed.status(), 502, "{}", failed.text());
    assert_eq!(told(&failed, "remaining-requests"), "8");
    alpha.heal();
    let body = serde_json::json!({
        "model": "small", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]
    });
    let call = gateway.call("POST", "/v1/messages").json(body).key("one");
    let anthropic = call.send();
    assert_eq!(anthropic.status(), 200, "{}", anthropic.text());
    assert_eq!(
        anthropic.header("anthropic-ratelimit-requests-remaining"),
        Some("7")
    );
    assert!(
        anthropic
            .header("anthropic-ratelimit-tokens-reset")
            .unwrap()
            .ends_with('Z')
    );
    assert_eq!(told(&anthropic, "remaining-requests"), "-");
    let free = gateway.chat("small", "hi").key("free").send();
    assert_eq!(told(&free, "remaining-requests"), "-");
}

#[test]
fn tokens_that_were_not_used_come_back_at_the_end() {
    let gateway = Gateway::with(&alone("{tpm_limit: 1000, burst: 100%}"));
    gateway.provider("alpha").always(Scripted::tokens(5));
    for number in 0..20 {
        let call = gateway.chat("small", "hi").key("one");
        let reply = call.field("max_tokens", 450).send();
        assert_eq!(reply.status(), 200, "{number}: {}", reply.text());
        // Its end is known a moment after its last byte.
        gateway.record_of(reply.header("x-tollgate-trace-id"));
    }
    let call = gateway.chat("small", &"word ".repeat(1_200)).key("one");
    let reply = call.send();
    assert_eq!(
        (reply.status(), code(&reply).as_str()),
        (429, "request_exceeds_rate_limit")
    );
    assert_eq!(reply.header("x-should-retry"), Some("false"));
    assert_eq!(reply.header("retry-after"), None);
}
