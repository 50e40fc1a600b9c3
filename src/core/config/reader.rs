//! Walks the tree: asks for fields by name, remembers every name asked for, and collects problems
//! instead of stopping. A field nobody asked for is unknown.

use std::collections::{BTreeMap, BTreeSet};

use super::node::{Entry, Node, Scalar, Value};
use super::problem::{MERGE, Place, Problem, Problems, VIRTUAL_KEY_PREFIX, looks_secret, shown};
use super::scalar::Read;
use super::suggest;

/// What stands at a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Given<T> {
    /// Nothing.
    #[default]
    Absent,
    /// Something wrong, and reported: nothing that depends on it can be judged.
    Mistaken,
    /// A value.
    Written(Written<T>),
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written<T> {
    /// For problems about it.
    pub place: Place,
    /// Of the right shape.
    pub value: T,
    /// As it stands in the file, where the environment was filled in.
    pub source: Option<String>,
}

impl Written<String> {
    /// For messages: never what the environment put in.
    pub(super) fn shown(&self) -> String {
        shown(self.source.as_ref().unwrap_or(&self.value))
    }
}

impl<T> Written<T> {
    /// What was not read from a single value.
    pub(super) fn at(place: Place, value: T) -> Self {
        Self {
            place,
            value,
            source: None,
        }
    }
}

impl<T> Given<T> {
    /// The value, where there is one.
    pub(super) fn written(&self) -> Option<&Written<T>> {
        match self {
            Self::Written(written) => Some(written),
            Self::Absent | Self::Mistaken => None,
        }
    }

    /// The value, or what holds where none is written.
    pub(super) fn value_or(&self, default: T) -> T
    where
        T: Clone,
    {
        self.written()
            .map_or(default, |written| written.value.clone())
    }
}

/// What was seen on the way.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) problems: Problems,
    /// Every field that was asked for, as a pattern: `providers.*.url`.
    pub(super) asked: BTreeSet<String>,
}

/// Names that belong to parts of Tollgate that this version does not have.
const PLANNED: &[&str] = &["cache", "limits", "priority"];

/// What other gateways call a thing, and what it is called here.
const FOREIGN: &[(&str, &str)] = &[
    ("api_key", "key"),
    ("api_base", "url"),
    ("base_url", "url"),
    ("endpoint", "url"),
    ("model_list", "models"),
    ("port", "address"),
    ("timeout", "reply_timeout"),
    ("stream_timeout", "first_token_timeout"),
    ("input_cost_per_token", "input"),
    ("output_cost_per_token", "output"),
    ("budget_limit", "max"),
    ("max_budget", "max"),
    ("budget_duration", "window"),
    ("reset_duration", "window"),
    ("duration", "window"),
    ("timezone", "time_zone"),
];

/// A mapping with fields that the schema names.
pub(super) struct Section<'node> {
    pub(super) place: Place,
    fields: BTreeMap<&'node str, &'node Entry>,
    asked: Vec<&'static str>,
}

/// An element of a list, or an entry of a map with names of the user's own.
pub(super) struct Part<'node> {
    pub(super) node: &'node Node,
    pub(super) place: Place,
}

impl<'node> Section<'node> {
    /// Opens a mapping. Nothing written is a mapping without fields: all in it may be commented out.
    pub(super) fn open(node: &'node Node, place: Place, findings: &mut Findings) -> Option<Self> {
        let entries = entries(node, &place, findings)?;
        Some(Self {
            place,
            fields: entries
                .into_iter()
                .map(|entry| (entry.key.as_str(), entry))
                .collect(),
            asked: Vec::new(),
        })
    }

    /// Whatever stands at a field, for who reads it himself.
    pub(super) fn part(
        &mut self,
        name: &'static str,
        findings: &mut Findings,
    ) -> Option<Part<'node>> {
        self.asked.push(name);
        let found = self.fields.get(name);
        let line = found.map_or_else(|| self.place.line(), |entry| entry.line);
        let place = self.place.field(name, line);
        findings.asked.insert(place.pattern().to_owned());
        found.map(|entry| Part {
            node: &entry.value,
            place,
        })
    }

    /// A single value.
    pub(super) fn single<T>(
        &mut self,
        name: &'static str,
        read: fn(&Scalar) -> Read<T>,
        findings: &mut Findings,
    ) -> Given<T> {
        match self.part(name, findings) {
            Some(part) => single(&part, read, findings),
            None => Given::Absent,
        }
    }

    /// A mapping within; `read` asks for its fields.
    pub(super) fn section<T>(
        &mut self,
        name: &'static str,
        read: fn(&mut Self, &mut Findings) -> T,
        findings: &mut Findings,
    ) -> Given<T> {
        match self.part(name, findings) {
            Some(part) => section(part, read, findings),
            None => Given::Absent,
        }
    }

    /// The elements of a list.
    pub(super) fn list(
        &mut self,
        name: &'static str,
        findings: &mut Findings,
    ) -> Given<Vec<Part<'node>>> {
        let Some(part) = self.part(name, findings) else {
            return Given::Absent;
        };
        let nodes: &'node [Node] = match &part.node.value {
            Value::List(nodes) => nodes,
            Value::Empty => &[],
            Value::Mistaken => return Given::Mistaken,
            Value::Scalar(_) | Value::Map(_) => {
                findings.problems.push(part.place.problem(
                    format!("{} stands where a list belongs", part.node.kind()),
                    "write each element on a line of its own, after `- `",
                ));
                return Given::Mistaken;
            }
        };
        let parts = nodes
            .iter()
            .enumerate()
            .map(|(position, node)| Part {
                node,
                place: part.place.item(position, node.line),
            })
            .collect();
        Given::Written(Written::at(part.place, parts))
    }

    /// The entries of a map whose names are the user's own.
    pub(super) fn names(
        &mut self,
        name: &'static str,
        findings: &mut Findings,
    ) -> Given<Vec<(&'node str, Part<'node>)>> {
        let Some(part) = self.part(name, findings) else {
            return Given::Absent;
        };
        let Some(entries) = entries(part.node, &part.place, findings) else {
            return Given::Mistaken;
        };
        let parts = entries
            .into_iter()
            .map(|entry| {
                let place = part.place.named(&entry.key, entry.line);
                let node = &entry.value;
                (entry.key.as_str(), Part { node, place })
            })
            .collect();
        Given::Written(Written::at(part.place, parts))
    }

    /// Reports every field that was not asked for.
    pub(super) fn close(self, findings: &mut Findings) {
        for (name, entry) in &self.fields {
            if self.asked.contains(name) {
                continue;
            }
            let place = self.place.named(name, entry.line);
            let found = format!("no field is named {}", shown(name));
            let meant = self.meant(name);
            let problem = place.problem(found, self.cure(name, meant));
            match meant {
                Some(meant) => findings.problems.push_misnamed(problem, &self.place, meant),
                None => findings.problems.push(problem),
            }
        }
    }

    fn meant(&self, name: &str) -> Option<&'static str> {
        if name == MERGE {
            return Some(MERGE);
        }
        if PLANNED.contains(&name) {
            return None;
        }
        FOREIGN
            .iter()
            .find(|(theirs, ours)| *theirs == name && self.asked.contains(ours))
            .map(|(_, ours)| *ours)
            .or_else(|| suggest::nearest(name, self.asked.iter().copied()))
    }

    fn cure(&self, name: &str, meant: Option<&str>) -> String {
        match meant {
            Some(MERGE) => "write the fields out: merge keys are not read here".to_owned(),
            Some(meant) => format!("write `{meant}`"),
            None if PLANNED.contains(&name) => {
                format!("remove it: this version of Tollgate has no `{name}` yet")
            }
            None => format!("remove it: known here are `{}`", self.asked.join("`, `")),
        }
    }
}

/// Reads a mapping whose place is known.
pub(super) fn section<'node, T>(
    part: Part<'node>,
    read: fn(&mut Section<'node>, &mut Findings) -> T,
    findings: &mut Findings,
) -> Given<T> {
    let place = part.place.clone();
    let Some(mut section) = Section::open(part.node, part.place, findings) else {
        return Given::Mistaken;
    };
    let value = read(&mut section, findings);
    section.close(findings);
    Given::Written(Written::at(place, value))
}

/// Reads a single value whose place is known.
pub(super) fn single<T>(
    part: &Part<'_>,
    read: fn(&Scalar) -> Read<T>,
    findings: &mut Findings,
) -> Given<T> {
    let place = part.place.clone();
    let problem = match &part.node.value {
        Value::Mistaken => return Given::Mistaken,
        Value::Empty => place.problem(
            "nothing is written here",
            "write a value, or remove the line",
        ),
        Value::List(_) | Value::Map(_) => place.problem(
            format!("{} stands where a single value belongs", part.node.kind()),
            "write the value after the colon, on the same line",
        ),
        Value::Scalar(scalar) if looks_secret(&scalar.text) => leaked(&scalar.text, &place),
        Value::Scalar(scalar) => match read(scalar) {
            Ok(value) => {
                let source = scalar.written.clone();
                return Given::Written(Written {
                    place,
                    value,
                    source,
                });
            }
            Err(wrong) => place.problem(wrong.found, wrong.fix),
        },
    };
    findings.problems.push(problem);
    Given::Mistaken
}

/// A secret in the file is a mistake wherever it stands.
fn leaked(text: &str, place: &Place) -> Problem {
    if text.contains(VIRTUAL_KEY_PREFIX) {
        return place.problem(
            "a virtual key stands here in the clear",
            "write its hash, from `printf %s KEY | sha256sum`, as `sha256` under `tenants.keys`",
        );
    }
    place.problem("a secret stands here in the clear", SECRETS_ONLY)
}

/// The cure for every secret in the file.
pub(super) const SECRETS_ONLY: &str = "secrets only as {env: NAME} or {file: PATH}";

/// The entries of a mapping, each name once.
fn entries<'node>(
    node: &'node Node,
    place: &Place,
    findings: &mut Findings,
) -> Option<Vec<&'node Entry>> {
    let entries: &'node [Entry] = match &node.value {
        Value::Map(entries) => entries,
        Value::Empty => &[],
        Value::Mistaken => return None,
        Value::Scalar(Scalar { text, .. }) if looks_secret(text) => {
            findings.problems.push(leaked(text, place));
            return None;
        }
        Value::Scalar(_) | Value::List(_) => {
            findings.problems.push(place.problem(
                format!("{} stands where a mapping belongs", node.kind()),
                "write `name: value` lines, indented, below it",
            ));
            return None;
        }
    };
    let mut first_lines: BTreeMap<&str, usize> = BTreeMap::new();
    let mut unique = Vec::with_capacity(entries.len());
    for entry in entries {
        if let Some(line) = first_lines.get(entry.key.as_str()) {
            findings
                .problems
                .push(place.named(&entry.key, entry.line).problem(
                    format!(
                        "{} is written twice, first in line {line}",
                        shown(&entry.key)
                    ),
                    "keep one of them",
                ));
            continue;
        }
        first_lines.insert(&entry.key, entry.line);
        unique.push(entry);
    }
    Some(unique)
}
