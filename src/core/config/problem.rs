//! Mistakes: where, what stands there, what to write instead.

use std::collections::BTreeSet;
use std::fmt;

/// A mistake in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// As a path: `models.small.targets[1].provider`; empty for the file as a whole.
    pub at: String,
    /// The line in the file, from 1; 0 where there is none.
    pub line: usize,
    /// What is wrong with what stands there.
    pub found: String,
    /// What to write instead.
    pub fix: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(out, "{}: ", self.line)?;
        }
        if !self.at.is_empty() {
            write!(out, "{}: ", self.at)?;
        }
        write!(out, "{}\n    fix: {}", self.found, self.fix)
    }
}

/// The mistakes found so far.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    /// In the order they were found.
    pub all: Vec<Problem>,
    /// Fields that an unknown one was probably meant to be: it is wrong, they are not missing.
    meant: BTreeSet<String>,
}

impl Problems {
    pub(super) fn push(&mut self, problem: Problem) {
        self.all.push(problem);
    }

    /// A field under another name than its own.
    pub(super) fn push_misnamed(&mut self, problem: Problem, place: &Place, meant: &str) {
        self.meant.insert(place.field(meant, 0).at);
        self.all.push(problem);
    }

    /// None of these fields is there, and one must be.
    pub(super) fn missing(&mut self, fields: &[&str], place: &Place, found: &str, fix: &str) {
        let meant = |field: &&str| self.meant.contains(&place.field(field, 0).at);
        if !fields.iter().any(meant) && !self.meant.contains(&place.field(MERGE, 0).at) {
            self.all.push(place.problem(found, fix));
        }
    }
}

/// YAML's old way to put the fields of one mapping into another; it may be meant to be any field.
pub(super) const MERGE: &str = "<<";

/// How many mistakes are told at once: who has more has one cause for them.
const TOLD_MAX: usize = 100;

/// All mistakes of a file as text, each on a line that editors can jump to.
pub fn report(file: &str, problems: &[Problem]) -> String {
    let mut text = String::new();
    for problem in problems.iter().take(TOLD_MAX) {
        let gap = if problem.line > 0 { "" } else { " " };
        text.push_str(&format!("{file}:{gap}{problem}\n"));
    }
    let more = problems.len().saturating_sub(TOLD_MAX);
    if more > 0 {
        text.push_str(&format!("and {more} more\n"));
    }
    let noun = if problems.len() == 1 {
        "mistake"
    } else {
        "mistakes"
    };
    text.push_str(&format!("{file}: {} {noun}", problems.len()));
    text
}

/// A place in the tree, for problems about what stands there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    at: String,
    pattern: String,
    line: usize,
}

impl Place {
    /// The whole file.
    pub fn root(line: usize) -> Self {
        Self {
            line,
            ..Self::default()
        }
    }

    /// A field whose name the schema gives.
    pub(super) fn field(&self, name: &str, line: usize) -> Self {
        let below = |path: &str| {
            if path.is_empty() {
                name.to_owned()
            } else {
                format!("{path}.{name}")
            }
        };
        Self {
            at: below(&self.at),
            pattern: below(&self.pattern),
            line,
        }
    }

    /// An entry whose name the user gives; quoted where a dot or a space would mislead.
    pub fn named(&self, name: &str, line: usize) -> Self {
        let simple = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let at = if !name.is_empty() && name.bytes().all(simple) && !looks_secret(name) {
            self.field(name, line).at
        } else {
            format!("{}[{}]", self.at, shown(name).replace('`', "\""))
        };
        Self {
            at,
            pattern: format!("{}.*", self.pattern),
            line,
        }
    }

    /// An element of a list.
    pub fn item(&self, position: usize, line: usize) -> Self {
        Self {
            at: format!("{}[{position}]", self.at),
            pattern: format!("{}[]", self.pattern),
            line,
        }
    }

    /// The path with every name the user gave as `*`: the same for all entries of a map.
    pub(super) fn pattern(&self) -> &str {
        &self.pattern
    }

    /// The path.
    pub(super) fn at(&self) -> &str {
        &self.at
    }

    /// The line.
    pub(super) fn line(&self) -> usize {
        self.line
    }

    /// A mistake at this place.
    pub fn problem(&self, found: impl Into<String>, fix: impl Into<String>) -> Problem {
        Problem {
            at: self.at.clone(),
            line: self.line,
            found: found.into(),
            fix: fix.into(),
        }
    }
}

/// How much of a value a message repeats.
const SHOWN_CHARS_MAX: usize = 60;

/// What stands there, for a message: in backticks, on one line, short, and never a secret.
pub fn shown(text: &str) -> String {
    if looks_secret(text) {
        let head: String = text.chars().take(3).collect();
        return format!("`{}...`", head.escape_debug());
    }
    if text.is_empty() {
        return "an empty text".to_owned();
    }
    if text.contains("://") && text.contains(['@', '?']) {
        return "a URL with more than an address in it".to_owned();
    }
    let mut short: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    let line: String = short
        .chars()
        .flat_map(|letter| {
            if letter.is_control() {
                letter.escape_debug().to_string()
            } else {
                letter.to_string()
            }
            .chars()
            .collect::<Vec<_>>()
        })
        .collect();
    format!("`{line}`")
}

/// What our own keys begin with.
pub(super) const VIRTUAL_KEY_PREFIX: &str = "sk-tg-";

/// How the keys of providers begin; long enough ones are taken for keys wherever they stand.
const SECRET_PREFIXES: &[&str] = &[
    "sk-", "sk_", "Bearer ", "AIza", "AKIA", "ASIA", "gsk_", "xai-", "hf_", "eyJ", "pplx-",
    "nvapi-",
];

/// Shorter texts with such a beginning are names.
const SECRET_BYTES_MIN: usize = 20;

/// Whether this is more likely a key than anything a configuration should hold.
pub(super) fn looks_secret(text: &str) -> bool {
    let text = text.trim();
    text.contains(VIRTUAL_KEY_PREFIX)
        || text.len() >= SECRET_BYTES_MIN
            && SECRET_PREFIXES
                .iter()
                .any(|prefix| text.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_shows_one_short_line_and_no_secret() {
        for (text, want) in [
            ("small", "`small`"),
            ("a\nb\u{1b}[31m", "`a\\nb\\u{1b}[31m`"),
            ("sk-proj-0123456789abcdef", "`sk-...`"),
            ("sk-tg-demo", "`sk-...`"),
            ("sk-small", "`sk-small`"),
            ("Bearer 0123456789abcdef", "`Bea...`"),
            ("http://a:b@c", "a URL with more than an address in it"),
            ("http://c?key=1", "a URL with more than an address in it"),
        ] {
            assert_eq!(shown(text), want, "{text:?}");
        }
        assert_eq!(shown(&"x".repeat(61)), format!("`{}...`", "x".repeat(60)));
    }

    #[test]
    fn a_path_quotes_names_that_would_mislead() {
        let models = Place::root(1).field("models", 2);
        for (name, want) in [
            ("small", "models.small"),
            ("gpt-4.1", "models[\"gpt-4.1\"]"),
            ("", "models[an empty text]"),
            ("sk-tg-demo", "models[\"sk-...\"]"),
        ] {
            assert_eq!(models.named(name, 3).at(), want);
        }
    }

    #[test]
    fn many_mistakes_are_counted_and_the_first_hundred_told() {
        let problem = Place::root(0).problem("wrong", "right");
        let text = report("gateway.yaml", &vec![problem; 102]);
        assert_eq!(text.matches("fix: right").count(), 100);
        assert!(text.ends_with("and 2 more\ngateway.yaml: 102 mistakes"));
    }
}
