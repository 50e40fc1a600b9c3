//! `tollgate orgs`, `tollgate teams`, `tollgate users`: the same words for all three.

use serde_json::{Map, Value, json};
use tollgate_core::tenancy::Level;

use crate::admin::{Access, Client, Column, Output, print_one, print_rows, segment};

const COLUMNS: &[Column] = &[
    ("NAME", "name"),
    ("ORG", "org"),
    ("TEAM", "team"),
    ("TIER", "tier"),
    ("MODELS", "models"),
    ("MAX_BUDGET", "max_budget"),
    ("DISABLED", "disabled"),
    ("MANAGED", "managed"),
];

/// Lists, makes, shows, changes and deletes them.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[command(flatten)]
    access: Access,
    /// How the answer is shown.
    #[arg(long, value_enum, default_value_t, global = true)]
    output: Output,
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand, Clone, Debug)]
enum What {
    /// All of them.
    List,
    /// One of them.
    Show { name: String },
    /// Makes one.
    Create {
        name: String,
        /// Its fields, as in gateway.yaml: `org=acme`, `max_budget=100`, `models=["small"]`.
        #[arg(value_name = "FIELD=VALUE")]
        fields: Vec<String>,
    },
    /// Changes fields of one; `FIELD=` takes one away.
    Change {
        name: String,
        #[arg(value_name = "FIELD=VALUE", required = true)]
        fields: Vec<String>,
    },
    /// Deletes one that has no members.
    Delete { name: String },
}

/// Asks the admin API and prints what it says.
pub fn run(level: Level, args: &Args) -> Result<(), String> {
    let client = Client::of(&args.access)?;
    let many = level.plural();
    let one = |name: &str| format!("/{many}/{}", segment(name));
    let answer = match &args.what {
        What::List => {
            let rows = client.list(&format!("/{many}"))?;
            print_rows(&rows, COLUMNS, args.output);
            return Ok(());
        }
        What::Show { name } => client.get(&one(name))?,
        What::Create { name, fields } => {
            let mut body = body(fields)?;
            body.insert("name".to_owned(), json!(name));
            client.ask("POST", &format!("/{many}"), &Value::Object(body))?
        }
        What::Change { name, fields } => {
            client.ask("PATCH", &one(name), &Value::Object(body(fields)?))?
        }
        What::Delete { name } => client.ask("DELETE", &one(name), &Value::Null)?,
    };
    print_one(&answer, args.output);
    Ok(())
}

/// Fields of the command line as JSON: lists, mappings and truths as such, all else as text.
pub(super) fn body(fields: &[String]) -> Result<Map<String, Value>, String> {
    let mut body = Map::new();
    for field in fields {
        let (name, text) = field.split_once('=').ok_or_else(|| {
            format!("`{field}` is no field\n  fix: write FIELD=VALUE: `max_budget=100`")
        })?;
        let structured = text.starts_with(['[', '{']) || ["true", "false"].contains(&text);
        let value = match text {
            "" => Value::Null,
            text if structured => serde_json::from_str(text)
                .map_err(|error| format!("`{name}`: {error}\n  fix: write JSON: `[\"small\"]`"))?,
            text => json!(text),
        };
        body.insert(name.to_owned(), value);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_they_are_meant() {
        let fields = [
            "org=acme",
            "models=[\"a\"]",
            "disabled=true",
            "tier=",
            "max_budget=0.50",
        ];
        let body = body(&fields.map(str::to_owned)).unwrap();
        let want = json!({"org": "acme", "models": ["a"], "disabled": true, "tier": null, "max_budget": "0.50"});
        assert_eq!(Value::Object(body), want);
        for wrong in ["models", "models=[a"] {
            let problem = super::body(&[wrong.to_owned()]).unwrap_err();
            assert!(problem.contains("fix: "), "{problem}");
        }
    }
}
