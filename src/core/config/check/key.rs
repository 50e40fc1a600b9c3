//! Virtual keys: only their hashes, each once, for models that exist.

use std::collections::BTreeMap;

use super::tenant::{self, Known};
use super::{absent, must, name, required};
use crate::config::problem::{Place, Problems};
use crate::config::raw::{self, Given, Written};
use crate::tenancy::{Entity, KeyHash, Level, Secret, Tenant};
use crate::vouched;

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
    let by_claims = all.iter().filter_map(Given::written);
    let by_claims = by_claims.filter(|key| !matches!(key.value.claims, Given::Absent));
    if let (Given::Written(payload), 0) = (&tenants.value.jwt_payload, by_claims.count()) {
        problems.push(payload.place.problem(
            "no key is known by claims",
            "remove it, or write a key with `claims`",
        ));
    }
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
        let sha256 = if is_vouched(fields) {
            vouched_hash(written_key, problems)
        } else {
            let hash = must(
                &fields.sha256,
                "sha256",
                &written_key.place,
                HASH_HOW,
                problems,
            );
            hash.and_then(|text| {
                let hash = hash_text(text, problems)?;
                once("hash", text, &hash.to_string(), &mut hashes, problems);
                Some(hash)
            })
        };
        if let (Given::Written(claim), Given::Absent) = (&fields.user_claim, &fields.claims) {
            problems.push(claim.place.problem(
                "a claim says who the user is, and no claim says whose token it is",
                "write `claims: {iss: ISSUER}` beside it",
            ));
        }
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

/// Whether Envoy says who it is, and no key.
fn is_vouched(key: &raw::Key) -> bool {
    !matches!(key.spiffe, Given::Absent) || !matches!(key.claims, Given::Absent)
}

fn vouched_hash(key: &Written<raw::Key>, problems: &mut Problems) -> Option<KeyHash> {
    let fields = &key.value;
    if let Given::Written(hash) = &fields.sha256 {
        problems.push(hash.place.problem(
            "either Envoy says who it is, or a key",
            "keep `sha256`, or `spiffe` and `claims`",
        ));
    }
    if let Given::Written(id) = &fields.spiffe
        && !id.value.starts_with("spiffe://")
    {
        problems.push(id.place.problem(
            format!("{} is no SPIFFE id", id.shown()),
            "write `spiffe://TRUST-DOMAIN/PATH`; `*` at its end stands for anything",
        ));
    }
    if let Given::Written(claims) = &fields.claims
        && claims.value.is_empty()
    {
        problems.push(claims.place.problem(
            "no claim is named, so everybody would be this key",
            "write at least the issuer: `claims: {iss: https://idp.example}`",
        ));
    }
    let name = fields.name.written()?;
    let hash = vouched::hash(&name.value);
    std::str::from_utf8(&hash).ok().and_then(KeyHash::read)
}

/// Who is taken for which key without presenting it.
pub(super) fn vouched(written: &raw::Config) -> vouched::Rules {
    let tenants = written.tenants.written().map(|tenants| &tenants.value);
    let keys = tenants.and_then(|tenants| tenants.keys.written());
    let keys = keys.into_iter().flat_map(|keys| &keys.value);
    let rules = keys
        .filter_map(Given::written)
        .map(|key| &key.value)
        .filter(|key| is_vouched(key))
        .map(|key| vouched::Rule {
            key: key.name.value_or(String::new()),
            spiffe: key.spiffe.written().map(|id| id.value.clone()),
            claims: claims(key),
            user_claim: key.user_claim.written().map(|claim| claim.value.clone()),
        });
    let rules: Vec<vouched::Rule> = rules.collect();
    let payload = tenants
        .filter(|_| !rules.is_empty())
        .map(|tenants| tenants.jwt_payload.value_or(PAYLOAD.to_owned()));
    vouched::Rules {
        rules,
        payload: payload.unwrap_or_default(),
    }
}

/// Where `jwt_authn` puts claims in Envoy's own examples.
const PAYLOAD: &str = "jwt_payload";

fn claims(key: &raw::Key) -> Vec<(String, Vec<String>)> {
    let claims = key.claims.written().into_iter().flat_map(|all| &all.value);
    let claims = claims.filter_map(|(name, texts)| {
        let texts = texts.written()?.value.iter();
        let texts = texts.map(|text| text.value.clone()).collect();
        Some((name.value.clone(), texts))
    });
    claims.collect()
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
