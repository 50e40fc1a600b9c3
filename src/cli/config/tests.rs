use std::collections::BTreeSet;

use super::*;

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

/// `#name: value` is an optional field, `# words` are words.
fn all_options_on(text: &str) -> String {
    let line = |line: &str| match line.split_once('#') {
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
    let missing: Vec<_> = asked.difference(&shown).collect();
    assert!(missing.is_empty(), "not in envoy/gateway.yaml: {missing:?}");
    assert!(asked.len() > 30, "{asked:?}");
}

fn fields(node: &tollgate_core::config::node::Node, path: &str, found: &mut BTreeSet<String>) {
    use tollgate_core::config::node::Value;
    match &node.value {
        Value::Map(entries) => {
            for entry in entries {
                let named = ["providers", "models", "prices"].contains(&path);
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
