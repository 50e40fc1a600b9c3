//! `tollgate keys`: virtual keys, while everything runs.

use serde_json::{Map, Value, json};

use crate::admin::{Access, Client, Column, Output, print_one, print_rows, segment};

const COLUMNS: &[Column] = &[
    ("NAME", "name"),
    ("ORG", "org"),
    ("TEAM", "team"),
    ("USER", "user"),
    ("TIER", "tier"),
    ("MAX_BUDGET", "max_budget"),
    ("EXPIRES", "expires"),
    ("DISABLED", "disabled"),
    ("MANAGED", "managed"),
];

/// Lists, makes, rotates, disables and expires virtual keys; every Envoy knows within two seconds.
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
    /// All keys, or those of an org, a team, a user.
    List {
        #[arg(long)]
        org: Option<String>,
        #[arg(long)]
        team: Option<String>,
        #[arg(long)]
        user: Option<String>,
    },
    /// One key.
    Show { name: String },
    /// Makes a key and shows its secret, once.
    Create(Box<Create>),
    /// Gives a key a new secret; the old one is good for a while yet.
    Rotate {
        name: String,
        /// For how long: `24h`, `0s`.
        #[arg(long, value_name = "TIME", default_value = "24h")]
        overlap: String,
    },
    /// Refuses a key from now on.
    Disable { name: String },
    /// Takes a disabled key back into use.
    Enable { name: String },
    /// Refuses a key from a moment on.
    Expire {
        name: String,
        /// `2027-01-31` or `2027-01-31T18:00:00Z`; now where nothing is said.
        #[arg(long, value_name = "MOMENT")]
        at: Option<String>,
    },
    /// Forgets a key.
    Delete { name: String },
}

#[derive(clap::Args, Clone, Debug)]
struct Create {
    name: String,
    #[arg(long)]
    org: Option<String>,
    #[arg(long)]
    team: Option<String>,
    #[arg(long)]
    user: Option<String>,
    #[arg(long)]
    tier: Option<String>,
    /// The models it may use.
    #[arg(long, value_delimiter = ',')]
    models: Vec<String>,
    /// What its requests are about.
    #[arg(long, value_delimiter = ',')]
    tags: Vec<String>,
    /// Dollars that it may spend.
    #[arg(long, value_name = "DOLLARS")]
    max_budget: Option<String>,
    /// day, week, month, total.
    #[arg(long, value_name = "WINDOW")]
    budget_duration: Option<String>,
    #[arg(long, value_name = "MOMENT")]
    expires: Option<String>,
}

/// Asks the admin API and prints what it says.
pub fn run(args: &Args) -> Result<(), String> {
    let client = Client::of(&args.access)?;
    let act = |name: &str, action: &str, body: Value| {
        client.ask("POST", &format!("/keys/{}/{action}", segment(name)), &body)
    };
    let answer = match &args.what {
        What::List { org, team, user } => {
            let filters = [("org", org), ("team", team), ("user", user)];
            let filters: Vec<String> = filters
                .into_iter()
                .filter_map(|(name, value)| Some(format!("{name}={}", segment(value.as_ref()?))))
                .collect();
            let rows = client.list(&format!("/keys?{}", filters.join("&")))?;
            print_rows(&rows, COLUMNS, args.output);
            return Ok(());
        }
        What::Show { name } => client.get(&format!("/keys/{}", segment(name)))?,
        What::Create(create) => client.ask("POST", "/keys", &body(create))?,
        What::Rotate { name, overlap } => act(name, "rotate", json!({"overlap": overlap}))?,
        What::Disable { name } => act(name, "disable", Value::Null)?,
        What::Enable { name } => act(name, "enable", Value::Null)?,
        What::Expire { name, at } => act(name, "expire", json!({"at": at}))?,
        What::Delete { name } => {
            client.ask("DELETE", &format!("/keys/{}", segment(name)), &Value::Null)?
        }
    };
    print_one(&answer, args.output);
    if answer.get("secret").is_some() {
        eprintln!("The secret is shown this once: only its hash is kept.");
    }
    Ok(())
}

fn body(create: &Create) -> Value {
    let mut body = Map::new();
    body.insert("name".to_owned(), json!(create.name));
    for (field, value) in [
        ("org", &create.org),
        ("team", &create.team),
        ("user", &create.user),
        ("tier", &create.tier),
        ("max_budget", &create.max_budget),
        ("budget_duration", &create.budget_duration),
        ("expires", &create.expires),
    ] {
        body.extend(value.as_ref().map(|value| (field.to_owned(), json!(value))));
    }
    for (field, values) in [("models", &create.models), ("tags", &create.tags)] {
        if !values.is_empty() {
            body.insert(field.to_owned(), json!(values));
        }
    }
    Value::Object(body)
}
