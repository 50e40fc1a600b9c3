//! What holds for every file, good or bad.

use tollgate_core::config::{Plugin, raw};

use super::*;

/// A change to the lines of a file, of the kind that hands and merges make.
#[derive(Clone, Debug)]
enum Change {
    Remove(usize),
    Double(usize),
    Swap(usize, usize),
    Indent(usize, usize),
    Value(usize, String),
    Insert(usize, usize, String),
}

fn changed(text: &str, changes: &[Change]) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for change in changes {
        let count = lines.len();
        let at = |position: usize| position.checked_rem(count).unwrap_or_default();
        match change {
            _ if count == 0 => break,
            Change::Remove(line) => {
                lines.remove(at(*line));
            }
            Change::Double(line) => lines.insert(at(*line), lines[at(*line)].clone()),
            Change::Swap(one, other) => lines.swap(at(*one), at(*other)),
            Change::Indent(line, by) => lines[at(*line)].insert_str(0, &" ".repeat(*by)),
            Change::Value(line, value) => {
                let line = &mut lines[at(*line)];
                let name = line.split_once(':').map_or("", |(name, _)| name).to_owned();
                *line = format!("{name}: {value}");
            }
            Change::Insert(line, place, text) => {
                let line = &mut lines[at(*line)];
                // A secret broken in two is none that could be known.
                if line.contains("verysecret") {
                    continue;
                }
                let places: Vec<usize> = line.char_indices().map(|(place, _)| place).collect();
                let place = place.checked_rem(places.len());
                line.insert_str(place.map_or(0, |place| places[place]), text);
            }
        }
    }
    lines.join("\n")
}

fn change() -> impl proptest::strategy::Strategy<Value = Change> {
    use proptest::prelude::*;
    let line = 0_usize..200;
    let value = prop_oneof![
        Just(String::new()),
        Just("[]".to_owned()),
        Just("{}".to_owned()),
        Just("{env: sk-tg-verysecret}".to_owned()),
        Just("sk-tg-verysecret".to_owned()),
        Just("http://u:verysecret@host/?key=verysecret".to_owned()),
        Just("${SHORT}".to_owned()),
        Just("&a [*a]".to_owned()),
        Just("99999999999999999999999h".to_owned()),
        Just("alpha".to_owned()),
        "[0-9]{1,22}(ms|s|m|h|MiB|kB)?",
        "\\PC{0,12}",
        any::<String>(),
    ];
    let piece = prop_oneof!["[-:{}\\[\\],#&*!|>'\"%@`\t ]{1,3}", "\\PC{1,3}"];
    prop_oneof![
        line.clone().prop_map(Change::Remove),
        line.clone().prop_map(Change::Double),
        (line.clone(), line.clone()).prop_map(|(one, other)| Change::Swap(one, other)),
        (line.clone(), 1_usize..5).prop_map(|(line, by)| Change::Indent(line, by)),
        (line.clone(), value).prop_map(|(line, value)| Change::Value(line, value)),
        (line, 0_usize..100, piece).prop_map(|(line, at, text)| Change::Insert(line, at, text)),
    ]
}

/// Whatever stands in a file: no panic, and either a configuration with all that is written, or
/// mistakes that have a cure and tell no secret.
fn holds(text: &str) {
    match check_text(text, &golden_environment) {
        Ok(checked) => {
            let raw = raw::read(&yaml::read(text).unwrap());
            let written = |count: Option<usize>| count.unwrap_or_default();
            let gateway = &checked.gateway;
            assert_eq!(gateway.providers.len(), written(entries(&raw.providers)));
            assert_eq!(gateway.models.len(), written(entries(&raw.models)));
            assert_eq!(gateway.providers.len(), checked.deployment.upstreams.len());
            for target in gateway.models.iter().flat_map(|model| &model.targets) {
                assert!(target.provider < gateway.providers.len());
            }
            let plugin = Plugin::Gateway(Box::new(checked.gateway));
            let json = serde_json::to_string(&plugin).unwrap();
            assert_eq!(serde_json::from_str::<Plugin>(&json).unwrap(), plugin);
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            for problem in &problems {
                assert!(!problem.fix.is_empty() && !problem.found.is_empty());
                assert!(!problem.to_string().contains("verysecret"), "{problem}");
            }
        }
    }
}

fn entries<T>(given: &raw::Given<Vec<T>>) -> Option<usize> {
    match given {
        raw::Given::Written(written) => Some(written.value.len()),
        raw::Given::Absent | raw::Given::Mistaken => None,
    }
}

proptest::proptest! {
    #[test]
    fn no_change_to_the_example_breaks_the_check(
        changes in proptest::collection::vec(change(), 1..6),
        all in proptest::bool::ANY,
    ) {
        let text = if all { all_options_on(EXAMPLE) } else { EXAMPLE.to_owned() };
        holds(&changed(&text, &changes));
    }

    #[test]
    fn no_bytes_break_the_check(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
        holds(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_yaml_of_sorts_breaks_the_check(text in "[-:{}\\[\\],#&*!|>'\"%@` \t\na-c0-9~?<.$]{0,200}") {
        holds(&text);
    }
}
