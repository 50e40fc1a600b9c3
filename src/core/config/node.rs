//! A configuration file as a tree: what stands where. Whoever reads the file (YAML, one day
//! something else) makes this; everything after it neither knows nor asks the format.

/// One value and the line it begins on, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// In the file.
    pub line: usize,
    /// What stands there.
    pub value: Value,
}

/// What stands at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing was written, or `null`.
    Empty,
    /// Text, a number, a truth: all still as written.
    Scalar(Scalar),
    /// Things in order.
    List(Vec<Node>),
    /// Things by name, in order; a name may still occur twice.
    Map(Vec<Entry>),
    /// Reported already: whoever finds this keeps silent.
    Mistaken,
}

/// A value that is not made of others. Numbers stay text, so that money never becomes a float.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// The value, with the environment filled in.
    pub text: String,
    /// As it stands in the file, where the environment was filled in. Messages show this, because
    /// what the environment holds may be secret.
    pub written: Option<String>,
    /// Decides whether `true` is a truth or a word.
    pub style: Style,
}

/// How a scalar was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Bare.
    Plain,
    /// In quotes, or as a block: certainly text.
    Quoted,
}

/// A name in a map, and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name.
    pub key: String,
    /// Where the name stands.
    pub line: usize,
    /// What it stands for.
    pub value: Node,
}

/// A body of the admin API is read like a file, without lines.
impl From<&serde_json::Value> for Node {
    /// The depth of a tree is bounded by who read the JSON.
    fn from(json: &serde_json::Value) -> Self {
        use serde_json::Value as Json;
        let scalar = |text: String, style| {
            let written = None;
            Value::Scalar(Scalar {
                text,
                written,
                style,
            })
        };
        let entry = |(key, value): (&String, &Json)| Entry {
            key: key.clone(),
            line: 0,
            value: Self::from(value),
        };
        let value = match json {
            Json::Null => Value::Empty,
            Json::Bool(truth) => scalar(truth.to_string(), Style::Plain),
            Json::Number(number) => scalar(number.to_string(), Style::Plain),
            Json::String(text) => scalar(text.clone(), Style::Quoted),
            Json::Array(elements) => Value::List(elements.iter().map(Self::from).collect()),
            Json::Object(fields) => Value::Map(fields.iter().map(entry).collect()),
        };
        Self { line: 0, value }
    }
}

impl Node {
    /// What kind of thing this is, for messages about what was expected instead.
    pub(super) fn kind(&self) -> String {
        match &self.value {
            Value::Empty => "nothing".to_owned(),
            Value::Scalar(scalar) => scalar.shown(),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
            Value::Mistaken => "a mistake".to_owned(),
        }
    }
}

impl Scalar {
    /// For messages: as written, never what the environment put in.
    pub(super) fn shown(&self) -> String {
        super::problem::shown(self.written.as_ref().unwrap_or(&self.text))
    }
}
