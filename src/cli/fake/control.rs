//! `POST /_control`, `GET /_ledger`, `POST /_reset`: for who cannot hold the handle.

use serde::Deserialize;
use serde_json::{Value, json};

use super::connection::Request;
use super::reply::Reply;
use super::state::Shared;

/// What `POST /_control` takes. Replies are objects, or strings in the compact form.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Control {
    /// Added to the script: each is given once, or `times` times.
    script: Vec<Value>,
    /// Takes the place of all that stands.
    always: Option<Vec<Value>>,
    name: Option<String>,
    /// A key, or an empty string to take everybody.
    api_key: Option<String>,
    first_token_ms: Option<u64>,
    pace_ms: Option<u64>,
}

/// A status and a body in JSON, if the path is ours.
pub(crate) fn answer(request: &Request, shared: &Shared) -> Option<(u16, String)> {
    let wanted = match request.path.as_str() {
        "/_control" | "/_reset" => "POST",
        "/_ledger" => "GET",
        _ => return None,
    };
    if request.method != wanted {
        return Some((405, json!({"problem": format!("use {wanted}")}).to_string()));
    }
    let done = match request.path.as_str() {
        "/_ledger" => Ok(shared.read(|ledger| ledger.to_json())),
        "/_reset" => {
            shared.reset();
            Ok(json!({"done": true}))
        }
        _ => control(&request.body, shared).map(|()| json!({"done": true})),
    };
    Some(match done {
        Ok(body) => (200, body.to_string()),
        Err(problem) => (400, json!({"problem": problem}).to_string()),
    })
}

/// All of it, or nothing.
fn control(body: &[u8], shared: &Shared) -> Result<(), String> {
    let control: Control = serde_json::from_slice(body).map_err(|problem| problem.to_string())?;
    let read = |list: Vec<Value>| -> Result<Vec<Reply>, String> {
        list.into_iter().map(Reply::from_json).collect()
    };
    let script = read(control.script)?;
    let always = control.always.map(read).transpose()?;
    if script.iter().any(|reply| reply.every.is_some()) {
        return Err("`every` has no meaning in a script".to_owned());
    }
    if script.iter().any(|reply| reply.times > Some(SCRIPT_MAX)) {
        return Err(format!("`times` in a script is at most {SCRIPT_MAX}"));
    }
    if let Some(replies) = always {
        shared.heal();
        for reply in replies {
            shared.stand(reply);
        }
    }
    shared.script(script);
    shared.set(|settings| {
        if let Some(name) = control.name {
            settings.name = name;
        }
        if let Some(key) = control.api_key {
            settings.api_key = Some(key).filter(|key| !key.is_empty());
        }
        settings.first_token_ms = control.first_token_ms.unwrap_or(settings.first_token_ms);
        settings.pace_ms = control.pace_ms.unwrap_or(settings.pace_ms);
    });
    Ok(())
}

/// The most repetitions of one reply in a script.
const SCRIPT_MAX: u64 = 10_000;
