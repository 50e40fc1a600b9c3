//! What the examples, every known mistake and a file on disk must give.

use std::collections::BTreeSet;

use super::*;

mod prices;
mod properties;

const EXAMPLE: &str = include_str!("../../../envoy/gateway.yaml");
const OPENAI: &str = include_str!("../../../envoy/gateway.openai.yaml");

fn nothing_set(_: &str) -> Option<String> {
    None
}

#[test]
fn the_examples_have_no_mistakes() {
    for (file, text) in [("gateway.yaml", EXAMPLE), ("gateway.openai.yaml", OPENAI)] {
        if let Err(problems) = check_text(text, &nothing_set) {
            panic!("{}", report(file, &problems));
        }
    }
}

/// Instead of a service of its own: the one option that cannot be turned on beside the others.
const ELSEWHERE: &str = "  #url: http://budget.internal:7600";

/// `#name: value` is an optional field, `# words` are words.
fn all_options_on(text: &str) -> String {
    let line = |line: &str| match line.split_once('#') {
        _ if line == ELSEWHERE => format!("{line}\n"),
        Some((indent, field)) if indent.trim().is_empty() && !field.starts_with([' ', '#']) => {
            format!("{indent}{field}\n")
        }
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[test]
fn the_example_shows_every_field_and_its_options_can_be_turned_on() {
    let text = all_options_on(EXAMPLE);
    if let Err(problems) = check_text(&text, &nothing_set) {
        panic!("{}", report("gateway.yaml", &problems));
    }
    let root = yaml::read(&text).unwrap();
    let asked = tollgate_core::config::raw::read(&root).asked;
    let mut shown = BTreeSet::new();
    fields(&root, "", &mut shown);
    let asked: BTreeSet<String> = asked.iter().map(|field| shared(field)).collect();
    let mut shown: BTreeSet<String> = shown.iter().map(|field| shared(field)).collect();
    if EXAMPLE.lines().any(|line| line == ELSEWHERE) {
        shown.insert("budget_service.url".to_owned());
    }
    let missing: Vec<_> = asked.difference(&shown).collect();
    assert!(missing.is_empty(), "not in envoy/gateway.yaml: {missing:?}");
    assert!(asked.len() > 30, "{asked:?}");
}

/// All tenants say the same things in the same fields: to show each at one of them is enough.
fn shared(field: &str) -> String {
    // Every secret is written in one of two ways.
    if let Some((_, way)) = field
        .rsplit_once('.')
        .filter(|(_, way)| ["env", "file"].contains(way))
    {
        return format!("+.{way}");
    }
    let whose = [
        "orgs.*",
        "teams.*",
        "users.*",
        "keys[]",
        "everyone",
        "models.*",
        "tags.*",
        "endpoints.*",
        "tiers.*",
    ];
    let of_all = whose.iter().find_map(|whose| {
        let below = field.strip_prefix("tenants.")?.strip_prefix(whose)?;
        let name = below.strip_prefix('.')?;
        (![
            "name",
            "sha256",
            "expires",
            "spiffe",
            "claims",
            "user_claim",
        ]
        .contains(&name))
        .then(|| format!("tenants.+.{name}"))
    });
    of_all.unwrap_or_else(|| field.to_owned())
}

fn fields(node: &tollgate_core::config::node::Node, path: &str, found: &mut BTreeSet<String>) {
    use tollgate_core::config::node::Value;
    match &node.value {
        Value::Map(entries) => {
            for entry in entries {
                let named = ["providers", "models", "prices"].contains(&path)
                    || [
                        "orgs",
                        "teams",
                        "users",
                        "models",
                        "tags",
                        "endpoints",
                        "tiers",
                    ]
                    .iter()
                    .any(|section| path == format!("tenants.{section}"));
                let name = if named { "*" } else { &entry.key };
                let below = match path {
                    "" => name.to_owned(),
                    path => format!("{path}.{name}"),
                };
                found.insert(below.clone());
                fields(&entry.value, &below, found);
            }
        }
        Value::List(nodes) => {
            for node in nodes {
                fields(node, &format!("{path}[]"), found);
            }
        }
        Value::Empty | Value::Scalar(_) | Value::Mistaken => {}
    }
}

/// `mistakes.golden`, its own head explains it.
#[test]
fn mistakes_are_told_in_these_words() {
    let golden = include_str!("mistakes.golden");
    let (head, cases) = golden.split_once("\n=== ").unwrap();
    let (_, base) = head.split_once("\n\n").unwrap();
    let base = format!("{}\n", base.trim_end());
    let mut written = format!("{}\n", head.trim_end());
    for case in cases.split("\n=== ") {
        let (title, body) = case.split_once('\n').unwrap_or((case, ""));
        let starting = |sign: &str| {
            body.lines()
                .filter_map(|line| line.strip_prefix(sign))
                .map(|line| format!("{line}\n"))
                .collect::<String>()
        };
        let (old, new) = (starting("- "), starting("+ "));
        let text = match old.as_str() {
            "" => format!("{base}{new}"),
            old => {
                assert!(base.contains(old), "{title}: no such line: {old}");
                base.replacen(old, &new, 1)
            }
        };
        let answer = match check_text(&text, &golden_environment) {
            Ok(_) => "no mistakes\n".to_owned(),
            Err(problems) => problems
                .iter()
                .map(|problem| format!("{problem}\n"))
                .collect(),
        };
        assert!(!answer.contains("verysecret"), "{title}: {answer}");
        let sign = |sign: &str, lines: &str| -> String {
            lines
                .lines()
                .map(|line| format!("{sign} {line}\n"))
                .collect()
        };
        written += &format!(
            "\n=== {title}\n{}{}{answer}",
            sign("-", &old),
            sign("+", &new)
        );
    }
    if std::env::var("TOLLGATE_GOLDEN").is_ok_and(|mode| mode == "write") {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/config/mistakes.golden");
        std::fs::write(file, &written).unwrap();
        return;
    }
    for (got, want) in written.split("\n=== ").zip(golden.split("\n=== ")) {
        assert_eq!(got, want);
    }
    assert_eq!(written, golden);
}

fn golden_environment(name: &str) -> Option<String> {
    match name {
        "SECRET" => Some("sk-proj-verysecretverysecret".to_owned()),
        "SHORT" => Some("verysecret".to_owned()),
        _ => None,
    }
}

/// Every provider, model and key of the example, so that a part that falls out silently is seen.
#[test]
fn what_is_written_is_what_is_used() {
    let checked = check_text(EXAMPLE, &nothing_set).unwrap();
    let gateway = &checked.gateway;
    let providers: Vec<_> = gateway
        .providers
        .iter()
        .zip(&checked.deployment.upstreams)
        .map(|(provider, upstream)| {
            format!(
                "{} {} {}{} {}:{}",
                provider.name,
                provider.cluster,
                provider.authority,
                provider.path,
                upstream.host,
                upstream.port
            )
        })
        .collect();
    assert_eq!(
        providers,
        [
            "alpha tollgate-alpha 127.0.0.1:7711/openai/v1 127.0.0.1:7711",
            "beta tollgate-beta 127.0.0.1:7712/openai/v1 127.0.0.1:7712",
            "local tollgate-local 127.0.0.1:7713/openai/v1 127.0.0.1:7713",
            "claude tollgate-claude 127.0.0.1:7714/anthropic 127.0.0.1:7714",
        ]
    );
    let models: Vec<_> = gateway
        .models
        .iter()
        .map(|model| {
            let targets: Vec<_> = model
                .targets
                .iter()
                .map(|target| format!("{}/{}", target.provider, target.model))
                .collect();
            format!("{}: {}", model.name, targets.join(", "))
        })
        .collect();
    assert_eq!(
        models,
        [
            "claude: 3/claude-sonnet-4-5, 0/alpha-large",
            "large: 1/beta-large, 0/alpha-large",
            "local: 2/llama-3.1-8b, 0/alpha-small",
            "small: 0/alpha-small, 1/beta-small",
        ]
    );
    let targets = || gateway.models.iter().flat_map(|model| &model.targets);
    assert!(targets().all(|target| target.price.is_some()));
    let price = targets()
        .next()
        .and_then(|target| target.price.clone())
        .unwrap();
    assert_eq!(price.rates.input.0.to_string(), "$3");
    assert_eq!(
        price
            .rates
            .cached_input
            .map(|price| price.0.to_string())
            .as_deref(),
        Some("$0.3")
    );
    assert_eq!((gateway.body_bytes_max, gateway.keys.len()), (8_388_608, 2));
    assert!(gateway.keys.is_sorted_by_key(|key| &key.sha256));
}

#[test]
fn a_provider_with_everything_written() {
    let text = EXAMPLE.replace(
        "    fake: 127.0.0.1:7712\n",
        "    url: https://Beta.Example:8443/base/v1/\n    key: {file: beta.key}\n    \
         connect_timeout: 500ms\n    first_token_timeout: 1m\n    reply_timeout: 1h\n    \
         tls: {server_name: inside.example, ca_file: /ca.pem}\n",
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.yaml");
    std::fs::write(&file, text).unwrap();
    let checked = load_with(&file, &nothing_set).unwrap();
    let provider = &checked.gateway.providers[1];
    assert_eq!(provider.authority, "beta.example:8443");
    assert_eq!(provider.path, "/base/v1");
    assert_eq!(
        (provider.first_token_timeout_ms, provider.reply_timeout_ms),
        (60_000, 3_600_000)
    );
    let upstream = &checked.deployment.upstreams[1];
    assert_eq!(
        (upstream.host.as_str(), upstream.port),
        ("beta.example", 8443)
    );
    assert_eq!((upstream.connect_timeout_ms, upstream.fake), (500, None));
    let tls = upstream.tls.as_ref().unwrap();
    assert_eq!(
        (tls.server_name.as_str(), tls.ca_file.as_path()),
        ("inside.example", Path::new("/ca.pem"))
    );
    let credential = upstream.credential.as_ref().unwrap();
    assert_eq!(
        (credential.header.as_str(), credential.prefix.as_str()),
        ("authorization", "Bearer ")
    );
    assert_eq!(
        credential.secret,
        Secret::File(folder.path().join("beta.key"))
    );
}

#[test]
fn an_empty_file_lacks_three_things() {
    let problems = check_text("", &nothing_set).unwrap_err();
    let found: Vec<_> = problems
        .iter()
        .map(|problem| problem.found.as_str())
        .collect();
    assert_eq!(
        found,
        [
            "`providers` is missing",
            "`models` is missing",
            "`tenants` is missing"
        ]
    );
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.yaml");
    let refused = |file: &Path| load_with(file, &nothing_set).unwrap_err().to_string();
    assert!(refused(&file).ends_with("gateway.yaml: No such file or directory (os error 2)"));
    std::fs::write(&file, b"listen: \xff").unwrap();
    assert!(refused(&file).contains("it is not UTF-8: invalid utf-8 sequence"));
    std::fs::write(&file, "xyz: 1").unwrap();
    assert!(refused(&file).contains("gateway.yaml:1: xyz: no field is named `xyz`\n    fix: "));
    assert!(refused(&file).ends_with("gateway.yaml: 4 mistakes"));
}

#[test]
fn what_the_filter_gets_is_what_was_checked() {
    use tollgate_core::config::Plugin;
    for text in [EXAMPLE, OPENAI, &all_options_on(EXAMPLE)] {
        let plugin = Plugin::Gateway(Box::new(check_text(text, &nothing_set).unwrap().gateway));
        let json = serde_json::to_string(&plugin).unwrap();
        assert_eq!(serde_json::from_str::<Plugin>(&json).unwrap(), plugin);
    }
}
