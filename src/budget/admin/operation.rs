//! What an operation of the API is.

use tollgate_core::tenancy::Level;

use super::reply::{Refused, Reply};
use super::request::{Context, Request};

/// What is done with a path.
pub struct Operation {
    /// `GET`, `POST`, `PUT`, `PATCH`, `DELETE`.
    pub method: &'static str,
    /// Below `/api/v1`, with `{name}` for what varies.
    pub path: String,
    /// For generated clients.
    pub id: String,
    /// One line.
    pub summary: String,
    /// Who may.
    pub access: Access,
    /// Parameters behind the `?`; others are refused.
    pub query: &'static [Parameter],
    /// The schema of the body.
    pub body: Option<&'static str>,
    /// The status and the schema of the answer.
    pub answer: (u16, &'static str),
    /// The statuses of refusals, besides those that every operation has.
    pub refusals: &'static [u16],
    /// Whose operation it is, where all levels have one.
    pub level: Option<Level>,
    /// Does it.
    pub run: fn(&Context, &Self, &Request) -> Result<Reply, Refused>,
}

/// Who may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Whoever has the admin token.
    Admin,
    /// Whoever reaches the port.
    Anybody,
}

/// A parameter behind the `?`.
#[derive(Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
}
