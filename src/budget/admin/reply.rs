//! What the API answers: JSON, and where something is wrong, what and what to do about it.

use serde_json::{Value, json};
use tollgate_core::config::problem::Problem;
use tollgate_core::tenancy::Conflict;

use crate::store::StoreError;

/// What came of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// 200 or 201.
    pub status: u16,
    /// JSON.
    pub body: Value,
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The status.
    pub status: u16,
    /// For programs: it never changes.
    pub code: &'static str,
    /// For people.
    pub message: String,
    /// What to do.
    pub fix: String,
    /// Every mistake of a body, with its place.
    pub problems: Vec<Problem>,
}

impl Reply {
    /// It is as it was asked for.
    pub fn ok(body: Value) -> Self {
        Self { status: 200, body }
    }

    /// It was made.
    pub fn created(body: Value) -> Self {
        Self { status: 201, body }
    }
}

impl Refused {
    /// A refusal.
    pub fn new(
        status: u16,
        code: &'static str,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            fix: fix.into(),
            problems: Vec::new(),
        }
    }

    /// The body does not say what can be done.
    pub fn invalid(problems: Vec<Problem>) -> Self {
        let first = problems.first();
        Self {
            message: first.map_or_else(String::new, |it| match it.at.as_str() {
                "" => it.found.clone(),
                at => format!("{at}: {}", it.found),
            }),
            fix: first.map_or_else(String::new, |it| it.fix.clone()),
            problems,
            ..Self::new(400, "invalid_body", "", "")
        }
    }

    /// Nothing is called so.
    pub fn unknown(noun: &str, name: &str) -> Self {
        Self::new(
            404,
            "not_found",
            format!("no {noun} is named `{name}`"),
            format!("list what there is: GET /api/v1/{noun}s"),
        )
    }

    /// As JSON.
    pub fn body(&self) -> Value {
        let mut error = json!({"code": self.code, "message": self.message, "fix": self.fix});
        if !self.problems.is_empty() {
            let problem = |it: &Problem| json!({"at": it.at, "message": it.found, "fix": it.fix});
            let problems: Vec<Value> = self.problems.iter().map(problem).collect();
            put(&mut error, "problems", json!(problems));
        }
        json!({"error": error})
    }
}

/// Gives an object one more field.
pub(super) fn put(object: &mut Value, field: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(field.to_owned(), value);
    }
}

impl From<Conflict> for Refused {
    fn from(conflict: Conflict) -> Self {
        let fix = match &conflict {
            Conflict::HashTaken { .. } => "make another key, or delete that one",
            Conflict::ScopeTaken { .. } => "use another name",
        };
        Self::new(409, "conflict", conflict.to_string(), fix)
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        let fix = "look into the log of the budget service";
        if error.is_passing() {
            return Self::new(503, "store_unavailable", error.to_string(), "try again");
        }
        Self::new(500, "store_failed", error.to_string(), fix)
    }
}
