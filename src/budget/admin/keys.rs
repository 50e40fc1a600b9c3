//! What keys can do beside other tenants: rotate, disable, enable, expire.

use serde_json::json;
use tollgate_core::config::moment;
use tollgate_core::tenancy::{KeyHash, Level, Managed, Secret, Tenant};

use super::operation::Operation;
use super::reply::{Refused, Reply, put};
use super::request::{Context, Request, read_duration};
use super::tenants::{Off, disable as turn, existing, managed_by_file, new_secret, plan, shown};

const SECOND: u64 = 1_000_000_000;
/// How long an old secret is good after it was rotated out, where nothing is said.
const OVERLAP_SECONDS: u64 = 86_400;
/// Longer is no rotation.
const OVERLAP_SECONDS_MAX: u64 = 90 * 86_400;

pub(super) fn rotate(
    context: &Context,
    _: &Operation,
    request: &Request,
) -> Result<Reply, Refused> {
    request.check_body(&["overlap"])?;
    let overlap = match request.text("overlap")? {
        None => OVERLAP_SECONDS,
        Some(text) => read_duration(text)
            .filter(|overlap| *overlap <= OVERLAP_SECONDS_MAX)
            .ok_or_else(|| {
                let fix = "write `24h`, `0s` for none, at most `90d`";
                Refused::new(400, "invalid_body", "`overlap` cannot be read", fix)
            })?,
    };
    let secret = new_secret()?;
    let sha256 = KeyHash::of(secret.as_bytes());
    let now = request.now.0 / SECOND;
    let until = now.saturating_add(overlap);
    let (name, actor) = (request.name().to_owned(), request.actor.clone());
    context.backend.change(Box::new(move |directory| {
        let mut key = existing(directory, Level::Key, &name)?.clone();
        if key.managed == Managed::File {
            return Err(managed_by_file("key", &name));
        }
        // Whoever rotates twice in a day has at most two secrets out: the newest two.
        let newest = key.secrets.pop();
        key.secrets = newest
            .map(|old| Secret {
                expires: Some(old.expires.map_or(until, |expires| expires.min(until))),
                ..old
            })
            .filter(|_| until > now)
            .into_iter()
            .collect();
        key.secrets.push(Secret {
            sha256,
            expires: None,
        });
        plan(directory, &actor, "rotate", Level::Key, &name, Some(key))
    }))?;
    let mut reply = shown(context, Level::Key, request.name())?;
    put(&mut reply.body, "secret", json!(secret));
    Ok(reply)
}

pub(super) fn disable(
    context: &Context,
    _: &Operation,
    request: &Request,
) -> Result<Reply, Refused> {
    switch(context, request, Off::Disabled)
}

pub(super) fn enable(
    context: &Context,
    _: &Operation,
    request: &Request,
) -> Result<Reply, Refused> {
    switch(context, request, Off::Enabled)
}

fn switch(context: &Context, request: &Request, off: Off) -> Result<Reply, Refused> {
    request.check_body(&[])?;
    let (name, actor) = (request.name().to_owned(), request.actor.clone());
    context.backend.change(Box::new(move |directory| {
        turn(directory, &actor, Level::Key, &name, off)
    }))?;
    shown(context, Level::Key, request.name())
}

pub(super) fn expire(
    context: &Context,
    _: &Operation,
    request: &Request,
) -> Result<Reply, Refused> {
    request.check_body(&["at"])?;
    let at = match request.text("at")? {
        None => request.now.0 / SECOND,
        Some(text) => moment::read(text).ok_or_else(|| {
            let fix = "write `2027-01-31` or `2027-01-31T18:00:00Z`";
            Refused::new(400, "invalid_body", "`at` cannot be read", fix)
        })?,
    };
    let (name, actor) = (request.name().to_owned(), request.actor.clone());
    context.backend.change(Box::new(move |directory| {
        let key = existing(directory, Level::Key, &name)?.clone();
        if key.managed == Managed::File {
            return Err(managed_by_file("key", &name));
        }
        let key = Tenant {
            expires: Some(at),
            ..key
        };
        plan(directory, &actor, "expire", Level::Key, &name, Some(key))
    }))?;
    shown(context, Level::Key, request.name())
}
