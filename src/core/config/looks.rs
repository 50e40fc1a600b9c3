//! What the conditions of policies and targets look at. There may be thousands of them, and a request has no time to ask
//! each: they are asked once.

use std::cell::OnceCell;

use super::routing::{Subject, When};

/// What somebody looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looks {
    /// Headers, in lower case, sorted.
    pub headers: Vec<String>,
    /// How hard a request is.
    pub complexity: bool,
}

impl Looks {
    pub(super) fn of<'a>(conditions: impl Iterator<Item = &'a When>) -> Self {
        let mut looks = Self::default();
        for when in conditions {
            looks.complexity |= !when.complexity.is_empty();
            looks
                .headers
                .extend(when.texts.iter().filter_map(|(subject, _)| match subject {
                    Subject::Header(name) => Some(name.clone()),
                    Subject::Model
                    | Subject::Endpoint
                    | Subject::Org
                    | Subject::Team
                    | Subject::User
                    | Subject::Key
                    | Subject::Tier
                    | Subject::Tag
                    | Subject::Metadata(_) => None,
                }));
        }
        looks.headers.sort();
        looks.headers.dedup();
        looks
    }
}

/// Found when it is first asked for. It follows from the rest of a configuration, so no two configurations differ by it.
#[derive(Debug, Default)]
pub struct Once(pub(super) OnceCell<Looks>);

/// A copy may be changed before anybody asks it.
impl Clone for Once {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Once {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Once {}
