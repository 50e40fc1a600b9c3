//! Virtual keys: only their hashes, each once, for models that exist.

use std::collections::BTreeMap;

use super::{absent, must, name, required, unknown};
use crate::config::Key;
use crate::config::problem::{Place, Problems};
use crate::config::raw::{self, Given, Written};

const HASH_HOW: &str = "write 64 hexadecimal digits, from `printf %s KEY | sha256sum`";
const KEYS_HOW: &str = "write who may call: `tenants: {keys: [{name: NAME, sha256: HASH}]}`";
/// Of nothing: what `sha256sum` prints when the variable with the key was not set.
const HASH_OF_NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Every key, sorted by hash.
pub(super) fn check(written: &raw::Config, problems: &mut Problems) -> Vec<Key> {
    let tenants = match &written.tenants {
        Given::Mistaken => return Vec::new(),
        Given::Absent => {
            absent("tenants", &Place::root(1), KEYS_HOW, problems);
            return Vec::new();
        }
        Given::Written(tenants) => tenants,
    };
    let all = required(
        &tenants.value.keys,
        "keys",
        &tenants.place,
        KEYS_HOW,
        problems,
    );
    let mut names = BTreeMap::new();
    let mut hashes = BTreeMap::new();
    let mut keys = Vec::new();
    for written_key in all.iter().filter_map(Given::written) {
        let fields = &written_key.value;
        let fix = "write what reports call it: `name: NAME`";
        let name = must(&fields.name, "name", &written_key.place, fix, problems);
        let name = name.map(|name| {
            name::check(name::Kind::Tenant, name, problems);
            once("name", name, &name.value, &mut names, problems);
            name.value.clone()
        });
        let hash = must(
            &fields.sha256,
            "sha256",
            &written_key.place,
            HASH_HOW,
            problems,
        );
        let sha256 = hash.and_then(|text| {
            let hash = hash_text(text, problems)?;
            once("hash", text, &hash, &mut hashes, problems);
            Some(hash)
        });
        let key = Key {
            sha256: sha256.unwrap_or_default(),
            name: name.unwrap_or_default(),
            org: tenant(&fields.org, problems),
            team: tenant(&fields.team, problems),
            user: tenant(&fields.user, problems),
            models: models(&fields.models, written, problems),
            disabled: fields.disabled.value_or(false),
            ..Key::default()
        };
        keys.push(key);
    }
    keys.sort_by(|one, other| one.sha256.cmp(&other.sha256));
    keys
}

/// Reports what another key has already.
fn once(
    noun: &str,
    written: &Written<String>,
    value: &str,
    seen: &mut BTreeMap<String, usize>,
    problems: &mut Problems,
) {
    if let Some(line) = seen.get(value) {
        problems.push(written.place.problem(
            format!("the key in line {line} has the same {noun}"),
            "give each key its own, or keep one of them",
        ));
        return;
    }
    seen.insert(value.to_owned(), written.place.line());
}

fn hash_text(text: &Written<String>, problems: &mut Problems) -> Option<String> {
    let hash = text.value.to_ascii_lowercase();
    let hexadecimal = hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    let found = if hash.len() != 64 || !hexadecimal {
        // It may be the key itself, so it is not shown.
        format!(
            "this is no SHA-256: it has {} characters",
            text.value.chars().count()
        )
    } else if hash == HASH_OF_NOTHING {
        "this is the hash of nothing: the key was empty".to_owned()
    } else {
        return Some(hash);
    };
    problems.push(text.place.problem(found, HASH_HOW));
    None
}

fn tenant(given: &Given<String>, problems: &mut Problems) -> String {
    match given.written() {
        None => String::new(),
        Some(written) => {
            name::check(name::Kind::Tenant, written, problems);
            written.value.clone()
        }
    }
}

fn models(
    given: &Given<Vec<Given<String>>>,
    written: &raw::Config,
    problems: &mut Problems,
) -> Option<Vec<String>> {
    let list = given.written()?;
    if list.value.is_empty() {
        problems.push(list.place.problem(
            "this key may use no model",
            "name the models it may use; remove `models` for all, or write `disabled: true`",
        ));
    }
    let known = written.models.written().map(|models| &models.value);
    let mut allowed: Vec<String> = Vec::new();
    for model in list.value.iter().filter_map(Given::written) {
        let names = || {
            known
                .into_iter()
                .flatten()
                .map(|known| known.name.value.as_str())
        };
        if allowed.contains(&model.value) {
            let found = format!("{} is in this list already", model.shown());
            problems.push(model.place.problem(found, "keep one of them"));
        } else if known.is_some_and(|known| !known.is_empty())
            && !names().any(|name| name == model.value)
        {
            problems.push(unknown("model", "models", model, names()));
        }
        allowed.push(model.value.clone());
    }
    Some(allowed)
}
