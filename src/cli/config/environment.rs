//! `${NAME}` in a value becomes what the environment holds. It happens after the file is taken
//! apart, so that nothing in the environment can add a line or a field.

use tollgate_core::config::node::{Node, Value};
use tollgate_core::config::problem::{Place, Problem};
use tollgate_core::config::raw::is_variable;

use super::Lookup;

/// Fills in every value; what cannot be is reported and marked, so that it is told once.
pub(super) fn fill(root: &mut Node, lookup: Lookup<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let place = Place::root(root.line);
    fill_node(root, &place, lookup, &mut problems);
    problems
}

/// The depth of a tree is bounded by who read it.
fn fill_node(node: &mut Node, place: &Place, lookup: Lookup<'_>, problems: &mut Vec<Problem>) {
    match &mut node.value {
        Value::Empty | Value::Mistaken => {}
        Value::List(nodes) => {
            for (position, node) in nodes.iter_mut().enumerate() {
                let place = place.item(position, node.line);
                fill_node(node, &place, lookup, problems);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                let place = place.named(&entry.key, entry.line);
                fill_node(&mut entry.value, &place, lookup, problems);
            }
        }
        Value::Scalar(scalar) => match filled(&scalar.text, lookup) {
            Ok(None) => {}
            Ok(Some(text)) => {
                let written = std::mem::replace(&mut scalar.text, text);
                scalar.written = Some(written);
            }
            Err((found, fix)) => {
                problems.push(place.problem(found, fix));
                node.value = Value::Mistaken;
            }
        },
    }
}

/// The text with its variables filled in; none where it has no `$`.
fn filled(text: &str, lookup: Lookup<'_>) -> Result<Option<String>, (String, String)> {
    if !text.contains("${") {
        return Ok(None);
    }
    let mut result = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        // `$${` stands for `${` itself.
        if let Some(before) = before.strip_suffix('$') {
            result.push_str(before);
            result.push_str("${");
            rest = after;
            continue;
        }
        result.push_str(before);
        let name = after.split_once('}').filter(|(name, _)| is_variable(name));
        let Some((name, after)) = name else {
            return Err((
                "`${` begins a variable, and no name and `}` follow".to_owned(),
                "write `${NAME}`, or `$${` for the characters themselves".to_owned(),
            ));
        };
        let Some(value) = lookup(name) else {
            return Err((
                format!("the environment variable `{name}` is not set"),
                format!("set `{name}`, or write the value here"),
            ));
        };
        result.push_str(&value);
        rest = after;
    }
    result.push_str(rest);
    Ok(Some(result))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in() {
        let lookup = |name: &str| match name {
            "HOST" => Some("alpha".to_owned()),
            "EMPTY" => Some(String::new()),
            "NESTED" => Some("${HOST}".to_owned()),
            _ => None,
        };
        for (text, want) in [
            ("plain", Ok(None)),
            ("$HOST", Ok(None)),
            ("${HOST}", Ok(Some("alpha"))),
            ("http://${HOST}:1/${EMPTY}x", Ok(Some("http://alpha:1/x"))),
            ("$${HOST}", Ok(Some("${HOST}"))),
            ("${NESTED}", Ok(Some("${HOST}"))),
            (
                "${ABSENT}",
                Err("the environment variable `ABSENT` is not set"),
            ),
            (
                "${HOST",
                Err("`${` begins a variable, and no name and `}` follow"),
            ),
            (
                "${}",
                Err("`${` begins a variable, and no name and `}` follow"),
            ),
            (
                "${A:-b}",
                Err("`${` begins a variable, and no name and `}` follow"),
            ),
        ] {
            let got = filled(text, &lookup).map_err(|(found, _)| found);
            let want = want
                .map(|text| text.map(str::to_owned))
                .map_err(str::to_owned);
            assert_eq!(got, want, "{text}");
        }
    }
}
