//! Virtual keys: only their hashes, each once, for models that exist.

use std::collections::BTreeMap;

use super::tenant::{self, Known};
use super::{absent, must, name, required};
use crate::config::problem::{Place, Problems};
use crate::config::raw::{self, Given, Written};
use crate::tenancy::{Entity, KeyHash, Level, Secret, Tenant};

const HASH_HOW: &str = "write 64 hexadecimal digits, from `printf %s KEY | sha256sum`";
const KEYS_HOW: &str = "write who may call: `tenants: {keys: [{name: NAME, sha256: HASH}]}`";
/// Of nothing: what `sha256sum` prints when the variable with the key was not set.
const HASH_OF_NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Every key.
pub(super) fn check(written: &raw::Config, known: &Known, problems: &mut Problems) -> Vec<Entity> {
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
        if let Some(name) = name {
            name::check(name::Kind::Tenant, name, problems);
            once("name", name, &name.value, &mut names, problems);
        }
        let hash = must(
            &fields.sha256,
            "sha256",
            &written_key.place,
            HASH_HOW,
            problems,
        );
        let sha256 = hash.and_then(|text| {
            let hash = hash_text(text, problems)?;
            once("hash", text, &hash.to_string(), &mut hashes, problems);
            Some(hash)
        });
        let tenant = Tenant {
            secrets: sha256.into_iter().map(secret).collect(),
            expires: fields.expires.written().map(|expires| expires.value),
            ..tenant::of_file(&fields.tenant, known, problems)
        };
        if let Some(name) = name {
            keys.push(Entity::Tenant(
                Level::Key,
                name.value.clone(),
                Some(Box::new(tenant)),
            ));
        }
    }
    keys
}

pub(super) fn secret(sha256: KeyHash) -> Secret {
    Secret {
        sha256,
        expires: None,
    }
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

pub(super) fn hash_text(text: &Written<String>, problems: &mut Problems) -> Option<KeyHash> {
    let hash = KeyHash::read(&text.value);
    let found = match hash {
        // It may be the key itself, so it is not shown.
        None => format!(
            "this is no SHA-256: it has {} characters",
            text.value.chars().count()
        ),
        Some(hash) if hash.to_string() == HASH_OF_NOTHING => {
            "this is the hash of nothing: the key was empty".to_owned()
        }
        Some(_) => return hash,
    };
    problems.push(text.place.problem(found, HASH_HOW));
    None
}
