//! Whether the process lives, and whether it works.

use serde_json::json;

use super::operation::Operation;
use super::reply::{Refused, Reply};
use super::request::{Context, Request};

pub(super) fn health(_: &Context, _: &Operation, _: &Request) -> Result<Reply, Refused> {
    Ok(Reply::ok(
        json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")}),
    ))
}

pub(super) fn ready(
    context: &Context,
    operation: &Operation,
    request: &Request,
) -> Result<Reply, Refused> {
    match context.backend.health() {
        Ok(()) => health(context, operation, request),
        Err(what) => {
            let fix = "look into the log of the budget service";
            Err(Refused::new(503, "not_ready", what, fix))
        }
    }
}
