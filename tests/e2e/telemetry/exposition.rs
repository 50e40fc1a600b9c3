//! Prometheus' text format, read strictly.

use std::collections::BTreeMap;

use tollgate_tests::Gateway;

/// A series of Prometheus' text format: its name, its labels, its value.
pub(crate) type Metrics = BTreeMap<(String, BTreeMap<String, String>), u64>;

/// Every line of the page, read strictly; of the values those of ours.
pub(crate) fn metrics(gateway: &Gateway) -> Metrics {
    let page = gateway.ask_envoy("/stats/prometheus").text();
    let mut metrics = Metrics::new();
    for line in page
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("# "))
    {
        let (name, labels, value) =
            series(line).unwrap_or_else(|| panic!("no line of the format: {line}"));
        if name.starts_with("tollgate_") {
            let last = metrics.insert((name, labels), value.parse().unwrap_or(u64::MAX));
            assert_eq!(last, None, "a series stands twice: {line}");
        }
    }
    metrics
}

/// `name{label="value",...} 12`, with `\\`, `\"` and `\n` in values.
fn series(line: &str) -> Option<(String, BTreeMap<String, String>, &str)> {
    let is_name = |text: &str| {
        let plain = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == ':';
        !text.is_empty()
            && text.chars().all(plain)
            && !text.starts_with(|char: char| char.is_ascii_digit())
    };
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, behind) = rest.split_once("=\"")?;
            let mut value = String::new();
            let mut chars = behind.chars();
            loop {
                match chars.next()? {
                    '"' => break,
                    '\\' => value.push(match chars.next()? {
                        'n' => '\n',
                        char @ ('\\' | '"') => char,
                        _ => return None,
                    }),
                    char => value.push(char),
                }
            }
            rest = chars.as_str();
            rest = rest
                .strip_prefix(',')
                .or_else(|| rest.starts_with('}').then_some(rest))?;
            if !is_name(label) || labels.insert(label.to_owned(), value).is_some() {
                return None;
            }
        }
        rest = rest.strip_prefix('}')?;
    }
    let value = rest.strip_prefix(' ')?;
    let number = value.parse::<f64>().is_ok();
    (is_name(name) && number).then(|| (name.to_owned(), labels, value))
}

#[test]
fn the_reader_of_metrics_takes_no_nonsense() {
    for (line, taken) in [
        ("a 1", true),
        ("a{b=\"c\",d=\"\"} 1.5", true),
        ("a{b=\"c\\\"d\\\\\\n\"} NaN", true),
        ("a{} 1", true),
        ("a", false),
        ("a{b=\"c\"d\"} 1", false),
        ("a{b=\"c\\d\"} 1", false),
        ("a{b=\"c\",b=\"c\"} 1", false),
        ("a{1b=\"c\"} 1", false),
        ("a{b=\"c\"}1", false),
        ("a b 1", false),
        ("ü 1", false),
    ] {
        assert_eq!(series(line).is_some(), taken, "{line}");
    }
}
