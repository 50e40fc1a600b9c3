//! Answers as a table for people, or as JSON for programs.

use serde_json::Value;

/// How an answer is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    /// Columns.
    #[default]
    Table,
    /// As the API said it.
    Json,
}

/// A column: its head, and the field it shows.
pub(crate) type Column = (&'static str, &'static str);

/// Prints a list.
pub(crate) fn print_rows(rows: &[Value], columns: &[Column], output: Output) {
    match output {
        Output::Table => say(&table(rows, columns)),
        Output::Json => say(&pretty(&Value::Array(rows.to_vec()))),
    }
}

/// Prints one thing, a field a line.
pub(crate) fn print_one(one: &Value, output: Output) {
    if output == Output::Json {
        return say(&pretty(one));
    }
    let fields: Vec<(&String, &Value)> = one.as_object().into_iter().flatten().collect();
    let width = fields
        .iter()
        .map(|(name, _)| name.len())
        .max()
        .unwrap_or_default();
    let lines: Vec<String> = fields
        .iter()
        .filter(|(name, _)| *name != "resolved")
        .map(|(name, value)| format!("{name:width$}  {}", cell(value)))
        .collect();
    say(&lines.join("\n"));
}

#[allow(clippy::print_stdout, reason = "the answer of a command")]
fn say(text: &str) {
    println!("{text}");
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

fn table(rows: &[Value], columns: &[Column]) -> String {
    let head = columns.iter().map(|(head, _)| (*head).to_owned());
    let mut lines: Vec<Vec<String>> = vec![head.collect()];
    for row in rows {
        lines.push(
            columns
                .iter()
                .map(|(_, field)| cell(&row[*field]))
                .collect(),
        );
    }
    let widths: Vec<usize> = (0..columns.len())
        .map(|column| {
            let cells = lines.iter().filter_map(|line| line.get(column));
            cells
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or_default()
        })
        .collect();
    let shown: Vec<String> = lines
        .iter()
        .map(|line| {
            let cells = line.iter().zip(&widths);
            let cells: Vec<String> = cells
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            cells.join("  ").trim_end().to_owned()
        })
        .collect();
    shown.join("\n")
}

/// A value in one cell, on one line.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => text
            .chars()
            .map(|it| if it.is_control() { ' ' } else { it })
            .collect(),
        Value::Array(values) if values.iter().all(Value::is_string) => {
            let texts: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
            texts.join(",")
        }
        Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let rows = [
            json!({"name": "bot", "team": "", "off": false, "models": ["a", "b"]}),
            json!({"name": "ünïcode", "team": "x\ny", "off": true, "more": 1}),
        ];
        let columns = [
            ("NAME", "name"),
            ("TEAM", "team"),
            ("OFF", "off"),
            ("MODELS", "models"),
        ];
        let want = "NAME     TEAM  OFF  MODELS\n\
                    bot      -     no   a,b\n\
                    ünïcode  x y   yes  -";
        assert_eq!(table(&rows, &columns), want);
    }
}
