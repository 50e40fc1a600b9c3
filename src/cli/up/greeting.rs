//! What a person reads when everything is up: where it is, and a request that works.

use sha2::{Digest, Sha256};
use tollgate_core::config::deploy::Checked;
use tollgate_core::config::{Gateway, Key};

use super::address::reachable;
use crate::render::Environment;

/// The key of the shipped examples.
const DEMO_KEY: &str = "sk-tg-demo";

/// The last line is for programs: exactly `ready URL`.
pub(super) fn text(checked: &Checked, environment: Environment<'_>) -> String {
    let url = format!("http://{}", reachable(checked.deployment.listen));
    let admin = format!("http://{}", reachable(checked.deployment.admin));
    let (key, first) = match known_key(checked, environment) {
        Some((clear, key)) => (clear, model(checked, Some(key))),
        None => ("$TOLLGATE_KEY".to_owned(), model(checked, None)),
    };
    let mut text = format!("The gateway is up; Envoy's own pages are at {admin}.\n");
    if let Some(model) = first {
        let body = format!(
            r#"{{"model": {}, "messages": [{{"role": "user", "content": "Say hello."}}]}}"#,
            serde_json::Value::from(model),
        );
        text.push_str(&format!(
            "Try it:\n\n  curl {url}/v1/chat/completions \\\n    \
             -H \"Authorization: Bearer {key}\" \\\n    \
             -H \"Content-Type: application/json\" \\\n    \
             -d {body}\n\n",
            body = in_single_quotes(&body),
        ));
        if key.starts_with('$') {
            text.push_str("TOLLGATE_KEY is one of your keys: only their hashes stand here.\n");
        }
    }
    if counts_for_itself(&checked.gateway) {
        text.push_str(
            "Limits by the minute hold for this gateway by itself: over several they hold with a `budget_service`.\n",
        );
    }
    text.push_str(&format!("ready {url}"));
    text
}

/// Whether there are limits that nobody shares out.
fn counts_for_itself(gateway: &Gateway) -> bool {
    let of_keys = gateway.keys.iter().any(|key| !key.limits.is_empty());
    gateway.budget_service.is_none() && (of_keys || !gateway.commons.limits.is_empty())
}

/// A key in clear, if one is known and belongs to this configuration.
fn known_key<'a>(checked: &'a Checked, environment: Environment<'_>) -> Option<(String, &'a Key)> {
    let candidates = [environment("TOLLGATE_DEMO_KEY"), Some(DEMO_KEY.to_owned())];
    candidates.into_iter().flatten().find_map(|clear| {
        let hash = sha256(&clear);
        let mut keys = checked.gateway.keys.iter();
        let key = keys.find(|key| key.sha256 == hash && !key.disabled)?;
        Some((clear, key))
    })
}

fn sha256(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The first model that this key may use.
fn model<'a>(checked: &'a Checked, key: Option<&Key>) -> Option<&'a str> {
    let allowed = |name: &str| match key.and_then(|key| key.models.as_ref()) {
        Some(models) => models.iter().any(|model| model == name),
        None => true,
    };
    let mut names = checked
        .gateway
        .models
        .iter()
        .map(|model| model.name.as_str());
    names.find(|name| allowed(name))
}

/// One word for a shell.
fn in_single_quotes(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use tollgate_core::config::Model;
    use tollgate_core::config::deploy::{AccessLog, Deployment};

    use super::*;

    fn checked(key: &str) -> Checked {
        let model = |name: &str| Model {
            name: name.to_owned(),
            ..Model::default()
        };
        Checked {
            gateway: Gateway {
                models: vec![model("it's large"), model("small")],
                keys: vec![Key {
                    sha256: sha256(key),
                    name: "demo".to_owned(),
                    models: Some(vec!["small".to_owned()]),
                    ..Key::default()
                }],
                ..Gateway::default()
            },
            deployment: Deployment {
                listen: "0.0.0.0:10000".parse().unwrap(),
                admin: "127.0.0.1:9901".parse().unwrap(),
                access_log: AccessLog::Off,
                upstreams: Vec::new(),
                budget: None,
            },
            tenants: Vec::new(),
        }
    }

    #[test]
    fn a_known_key_is_shown_with_a_model_it_may_use() {
        let named = |name: &str| (name == "TOLLGATE_DEMO_KEY").then(|| "sk-tg-mine".to_owned());
        for (key, shown, model) in [
            ("sk-tg-demo", "Bearer sk-tg-demo\"", r#""model": "small""#),
            ("sk-tg-mine", "Bearer sk-tg-mine\"", r#""model": "small""#),
            (
                "sk-tg-hidden",
                "Bearer $TOLLGATE_KEY\"",
                r#""model": "it'\''s large""#,
            ),
        ] {
            let text = text(&checked(key), &named);
            assert!(text.contains(shown) && text.contains(model), "{text}");
            assert!(text.ends_with("\nready http://127.0.0.1:10000"), "{text}");
        }
    }

    #[test]
    fn a_disabled_key_is_not_offered() {
        let mut checked = checked(DEMO_KEY);
        checked.gateway.keys[0].disabled = true;
        assert!(text(&checked, &|_| None).contains("$TOLLGATE_KEY"));
    }

    #[test]
    fn the_hash_is_the_one_everybody_computes() {
        let want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256("abc"), want);
    }
}
