//! A request as an operation sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use tollgate_core::config::check::Known;
use tollgate_core::config::moment;
use tollgate_core::units::Timestamp;

use super::backend::Backend;
use super::operation::Parameter;
use super::reply::Refused;
use crate::store::{Page, Reader, StoreError};

const SECOND: u64 = 1_000_000_000;
const PAGE_ROWS_MAX: usize = 1_000;

/// What all operations share.
#[derive(Clone)]
pub struct Context {
    /// The service behind the API.
    pub backend: Arc<dyn Backend>,
    /// The models that callers can ask for, to find misspelt ones; nothing is checked where they are not known.
    pub models: Option<BTreeSet<String>>,
}

/// A request as an operation sees it.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// What varies in the path, in its order.
    pub path: Vec<String>,
    /// What stands behind the `?`.
    pub query: BTreeMap<String, String>,
    /// JSON; null where there is none.
    pub body: Value,
    /// Who asks, for the audit log.
    pub actor: String,
    /// When.
    pub now: Timestamp,
}

impl Context {
    /// What names may be referred to.
    pub fn known(&self) -> Known {
        Known {
            models: self.models.clone(),
            ..Known::default()
        }
    }

    /// One question to the store.
    pub fn read<T>(
        &self,
        mut ask: impl FnMut(&mut dyn Reader) -> Result<T, StoreError>,
    ) -> Result<T, Refused> {
        let mut answer = None;
        self.backend.read(&mut |reader| {
            answer = Some(ask(reader)?);
            Ok(())
        })?;
        answer.ok_or_else(|| {
            Refused::new(500, "store_failed", "the store did not answer", "try again")
        })
    }

    /// One look at the directory.
    pub fn look<T>(
        &self,
        mut look: impl FnMut(&tollgate_core::tenancy::Directory) -> T,
    ) -> Option<T> {
        let mut answer = None;
        self.backend
            .look(&mut |directory| answer = Some(look(directory)));
        answer
    }
}

impl Request {
    /// The name in the path.
    pub fn name(&self) -> &str {
        self.path.first().map_or("", String::as_str)
    }

    /// A parameter behind the `?`.
    pub fn asks(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    /// Refuses parameters that the operation does not have.
    pub fn check_query(&self, known: &[Parameter]) -> Result<(), Refused> {
        let is_known = |name: &String| known.iter().any(|parameter| parameter.name == name);
        match self.query.keys().find(|name| !is_known(name)) {
            None => Ok(()),
            Some(name) => {
                let names: Vec<&str> = known.iter().map(|parameter| parameter.name).collect();
                let fix = if names.is_empty() {
                    "this operation has no parameters".to_owned()
                } else {
                    format!("known here are `{}`", names.join("`, `"))
                };
                let message = format!("no parameter is named `{name}`");
                Err(Refused::new(400, "unknown_parameter", message, fix))
            }
        }
    }

    /// The page asked for.
    pub fn page(&self) -> Result<Page, Refused> {
        let size = match self.asks("limit").map(str::parse) {
            None => Page::default().size,
            Some(Ok(size @ 1..=PAGE_ROWS_MAX)) => size,
            Some(_) => return Err(wrong("limit", "write a number from 1 to 1000")),
        };
        Ok(Page {
            size,
            after: self.asks("after").map(str::to_owned),
        })
    }

    /// A moment: a day, a moment, or so long ago.
    pub fn moment(&self, name: &str) -> Result<Option<Timestamp>, Refused> {
        let Some(text) = self.asks(name) else {
            return Ok(None);
        };
        if let Some(seconds) = moment::read(text) {
            return Ok(seconds.checked_mul(SECOND).map(Timestamp));
        }
        let ago = read_duration(text).and_then(|seconds| seconds.checked_mul(SECOND));
        let ago = ago.map(|ago| Timestamp(self.now.0.saturating_sub(ago)));
        ago.map(Some).ok_or_else(|| {
            wrong(
                name,
                "write `2026-11-20`, `2026-11-20T09:00:00Z`, `24h` or `30d`",
            )
        })
    }

    /// A field of the body that is text.
    pub fn text(&self, name: &str) -> Result<Option<&str>, Refused> {
        match self.body.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Refused::new(
                400,
                "invalid_body",
                format!("`{name}` is no text"),
                "write it in quotes",
            )),
        }
    }

    /// Refuses fields that the operation does not have.
    pub fn check_body(&self, known: &[&str]) -> Result<(), Refused> {
        let fields = match &self.body {
            Value::Null => return Ok(()),
            Value::Object(fields) => fields,
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                return Err(no_object());
            }
        };
        match fields.keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => Err(Refused::new(
                400,
                "invalid_body",
                format!("no field is named `{name}`"),
                format!("known here are `{}`", known.join("`, `")),
            )),
        }
    }
}

/// A body of another shape.
pub(super) fn no_object() -> Refused {
    let fix = r#"write an object: {"name": "search"}"#;
    Refused::new(400, "invalid_body", "the body is no JSON object", fix)
}

/// A parameter that cannot be read.
pub(super) fn wrong(name: &str, fix: &str) -> Refused {
    let message = format!("`{name}` cannot be read");
    Refused::new(400, "invalid_parameter", message, fix)
}

/// Seconds of `90s`, `15m`, `24h`, `30d`.
pub(super) fn read_duration(text: &str) -> Option<u64> {
    let unit = text.chars().last()?;
    let number = text.strip_suffix(unit)?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    number
        .parse::<u64>()
        .ok()
        .filter(|_| digits)?
        .checked_mul(factor)
}
