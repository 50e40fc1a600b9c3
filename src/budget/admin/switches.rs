//! What is switched off, everywhere.

use serde_json::{Value, json};
use tollgate_core::tenancy::{Entity, Switch, SwitchedOff};

use super::operation::Operation;
use super::reply::{Refused, Reply};
use super::request::{Context, Request};
use crate::engine::Plan;
use crate::store::AuditEntry;

/// A longer reason is a text for another place.
const REASON_CHARACTERS_MAX: usize = 500;

pub(super) fn list(context: &Context, _: &Operation, _: &Request) -> Result<Reply, Refused> {
    let data = context.look(|directory| {
        let switches = directory.switches();
        switches
            .map(|(switch, off)| show(switch, Some(off)))
            .collect::<Vec<_>>()
    });
    Ok(Reply::ok(json!({"data": data.unwrap_or_default()})))
}

fn show(switch: &Switch, off: Option<&SwitchedOff>) -> Value {
    match off {
        Some(off) => json!({"switch": switch.to_string(), "off": true, "reason": off.reason}),
        None => json!({"switch": switch.to_string(), "off": false}),
    }
}

pub(super) fn off(context: &Context, _: &Operation, request: &Request) -> Result<Reply, Refused> {
    request.check_body(&["reason"])?;
    let reason = request.text("reason")?.unwrap_or_default();
    if reason.chars().count() > REASON_CHARACTERS_MAX {
        let fix = format!("write at most {REASON_CHARACTERS_MAX} characters");
        return Err(Refused::new(
            400,
            "invalid_body",
            "`reason` is too long",
            fix,
        ));
    }
    let off = SwitchedOff {
        reason: reason.to_owned(),
    };
    turn(context, request, Some(off))
}

pub(super) fn on(context: &Context, _: &Operation, request: &Request) -> Result<Reply, Refused> {
    turn(context, request, None)
}

fn turn(context: &Context, request: &Request, off: Option<SwitchedOff>) -> Result<Reply, Refused> {
    let switch = Switch::read(request.name()).ok_or_else(|| {
        let fix = "write `provider:NAME`, `deployment:PROVIDER/MODEL` or `model:NAME`";
        let message = format!("`{}` cannot be switched", request.name());
        Refused::new(400, "invalid_switch", message, fix)
    })?;
    if let (Switch::Model(model), Some(models), Some(_)) = (&switch, &context.models, &off)
        && !models.contains(model)
    {
        return Err(Refused::new(
            400,
            "invalid_switch",
            format!("no model is named `{model}`"),
            "write the name that callers use, from `models` in gateway.yaml",
        ));
    }
    let reply = show(&switch, off.as_ref());
    let actor = request.actor.clone();
    context.backend.change(Box::new(move |directory| {
        let before = directory.switches().find(|(known, _)| **known == switch);
        let detail = json!({
            "before": before.map(|(_, off)| json!(off)),
            "after": off,
        });
        Ok(Plan {
            audit: vec![AuditEntry {
                actor,
                action: if off.is_some() {
                    "switch_off"
                } else {
                    "switch_on"
                }
                .to_owned(),
                kind: "switch".to_owned(),
                id: switch.to_string(),
                detail: detail.to_string(),
            }],
            entities: vec![Entity::Switch(switch, off)],
        })
    }))?;
    Ok(Reply::ok(reply))
}
