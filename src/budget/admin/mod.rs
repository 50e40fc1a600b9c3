//! The admin API: JSON over HTTP under `/api/v1`, for operators, the command line tool and the dashboard.
//!
//! [`operations::all`] lists what there is; the server, the OpenAPI document and the tests walk that list. What is behind
//! it is a [`Backend`].

mod backend;
mod budgets;
mod health;
mod keys;
mod live;
mod openapi;
pub mod operation;
pub mod operations;
mod reply;
mod reports;
mod reprice;
mod request;
mod server;
mod switches;
mod tenants;
pub mod token;

pub use backend::{Backend, Decide, Reprice};
pub use openapi::document;
pub use reply::{Refused, Reply};
pub use request::{Context, Request};
pub use server::{BASE, Settings, router, serve};

#[cfg(test)]
mod tests;
