//! Callers without a key of ours, for whom Envoy vouches: by the claims of a token that it has verified (`jwt_authn`), or by
//! the certificate of its peer (SPIFFE). A rule makes each of them one of the keys of the configuration.

use serde::{Deserialize, Serialize};

use crate::auth::{self, KeyHash};
use crate::routing::ask::matches;

/// In front of what such a key is a hash of. No header can hold it, so nobody can present one.
const BEFORE: &[u8] = b"\0vouched for\0";
/// A longer claim or id is nobody's.
const TEXT_BYTES_MAX: usize = 512;

/// How callers are told apart for whom Envoy vouches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rules {
    /// Under which name `jwt_authn` puts the claims (`payload_in_metadata`).
    pub payload: String,
    /// The first that fits has the word.
    pub rules: Vec<Rule>,
}

/// Who is taken for a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rule {
    /// The name of that key.
    pub key: String,
    /// The id of the peer; `*` at its end stands for anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spiffe: Option<String>,
    /// Each of these claims is one of its texts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<(String, Vec<String>)>,
    /// The claim that says who the user is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_claim: Option<String>,
}

/// What Envoy says of who calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vouched {
    /// The id in the certificate of the peer.
    pub spiffe: Option<String>,
    /// Claims that rules ask for.
    pub claims: Vec<(String, String)>,
}

/// A caller for whom Envoy vouches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Of the key that it is.
    pub hash: KeyHash,
    /// Who it is, where a claim says so.
    pub user: Option<String>,
}

impl Rules {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The claims that are looked at.
    pub fn claims(&self) -> Vec<&str> {
        let asked = self.rules.iter().flat_map(|rule| {
            let users = rule.user_claim.iter();
            rule.claims.iter().map(|(name, _)| name).chain(users)
        });
        let mut names: Vec<&str> = asked.map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Whether a certificate is looked at.
    pub fn looks_at_peers(&self) -> bool {
        self.rules.iter().any(|rule| rule.spiffe.is_some())
    }

    /// Whose key it is that calls, if it is anybody's.
    pub fn find(&self, vouched: &Vouched) -> Option<Found> {
        let rule = self.rules.iter().find(|rule| rule.fits(vouched))?;
        let user = rule
            .user_claim
            .as_ref()
            .and_then(|name| vouched.claim(name));
        Some(Found {
            hash: hash(&rule.key),
            user: user.map(str::to_owned),
        })
    }
}

impl Rule {
    fn fits(&self, vouched: &Vouched) -> bool {
        let says_something = self.spiffe.is_some() || !self.claims.is_empty();
        let is_peer = self.spiffe.as_ref().is_none_or(|pattern| {
            let id = vouched.spiffe.as_deref();
            id.is_some_and(|id| id.len() <= TEXT_BYTES_MAX && matches(pattern, id))
        });
        let has = |(name, texts): &(String, Vec<String>)| {
            let claim = vouched.claim(name);
            claim.is_some_and(|claim| texts.iter().any(|text| matches(text, claim)))
        };
        says_something && is_peer && self.claims.iter().all(has)
    }
}

impl Vouched {
    fn claim(&self, name: &str) -> Option<&str> {
        let found = self.claims.iter().find(|(known, _)| known == name);
        let text = found.map(|(_, text)| text.as_str())?;
        (!text.is_empty() && text.len() <= TEXT_BYTES_MAX).then_some(text)
    }
}

/// The hash by which the key of this name is known, of which there is no secret.
pub fn hash(key: &str) -> KeyHash {
    let mut secret = BEFORE.to_vec();
    secret.extend(key.bytes());
    auth::hash(&secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        let claims = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            let pairs = pairs.map(|(name, text)| ((*name).to_owned(), vec![(*text).to_owned()]));
            pairs.collect()
        };
        let rule = |key: &str| Rule {
            key: key.to_owned(),
            ..Rule::default()
        };
        Rules {
            payload: "jwt".to_owned(),
            rules: vec![
                rule("says-nothing"),
                Rule {
                    spiffe: Some("spiffe://prod/ns/search/*".to_owned()),
                    ..rule("pods")
                },
                Rule {
                    claims: claims(&[("iss", "https://idp"), ("role", "admin*")]),
                    ..rule("admins")
                },
                Rule {
                    claims: claims(&[("iss", "https://idp")]),
                    user_claim: Some("email".to_owned()),
                    ..rule("staff")
                },
            ],
        }
    }

    #[test]
    fn the_first_rule_that_fits_has_the_word() {
        let long = "x".repeat(TEXT_BYTES_MAX + 1);
        let idp = ("iss", "https://idp");
        // (id of the peer, claims) -> key, user
        for (spiffe, claims, want) in [
            (None, vec![], None),
            (
                Some("spiffe://prod/ns/search/sa/a"),
                vec![],
                Some(("pods", None)),
            ),
            (Some("spiffe://prod/ns/other/sa/a"), vec![], None),
            (None, vec![idp], Some(("staff", None))),
            (
                None,
                vec![idp, ("role", "admin-eu")],
                Some(("admins", None)),
            ),
            (
                None,
                vec![idp, ("email", "ann@x")],
                Some(("staff", Some("ann@x"))),
            ),
            (
                None,
                vec![idp, ("email", long.as_str())],
                Some(("staff", None)),
            ),
            (None, vec![("iss", "https://idp.evil")], None),
            (None, vec![("role", "admin")], None),
        ] {
            let vouched = Vouched {
                spiffe: spiffe.map(str::to_owned),
                claims: claims
                    .iter()
                    .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
                    .collect(),
            };
            let got = rules().find(&vouched);
            let want = want.map(|(key, user): (&str, Option<&str>)| Found {
                hash: hash(key),
                user: user.map(str::to_owned),
            });
            assert_eq!(got, want, "{spiffe:?} {claims:?}");
        }
        assert_eq!(rules().claims(), ["email", "iss", "role"]);
    }

    #[test]
    fn nobody_can_present_what_stands_for_such_a_key() {
        assert_ne!(hash("staff"), auth::hash(b"staff"));
        assert!(BEFORE.iter().any(u8::is_ascii_control));
    }
}
