//! Who is calling: a key in one of three headers, compared by its hash.

use sha2::{Digest, Sha256};

use crate::config::Key;
use crate::head::Head;
use crate::refusal::Refusal;
use crate::units::Timestamp;

/// A longer credential is none of ours, and not worth hashing.
const KEY_BYTES_MAX: usize = 512;

/// SHA-256 of a key, in lower-case hexadecimal.
pub type KeyHash = [u8; 64];

/// The hash of the key that a request carries.
pub fn hash_of(head: Head<'_>) -> Result<KeyHash, Refusal> {
    let presented = presented(head).ok_or_else(Refusal::missing_key)?;
    if presented.len() > KEY_BYTES_MAX {
        return Err(Refusal::invalid_key());
    }
    Ok(hash(presented))
}

/// Whether a request carries what may be a key of ours. A token that Envoy was told to pass on is none.
pub fn carries_key(head: Head<'_>) -> bool {
    presented(head).is_some_and(|key| !key.starts_with(b"eyJ"))
}

/// Whether a key may be used now.
pub fn admit(key: &Key, now: Timestamp) -> Result<(), Refusal> {
    if key.disabled {
        return Err(Refusal::disabled_key());
    }
    let seconds = now.0.checked_div(1_000_000_000).unwrap_or_default();
    if key.expires.is_some_and(|expires| seconds >= expires) {
        return Err(Refusal::expired_key());
    }
    Ok(())
}

/// `Authorization: Bearer`, then `x-api-key`, then `api-key`.
fn presented(head: Head<'_>) -> Option<&[u8]> {
    let bearer = head.get("authorization").and_then(|value| {
        let (scheme, key) = value.split_at_checked(7)?;
        scheme
            .eq_ignore_ascii_case(b"bearer ")
            .then(|| key.trim_ascii())
    });
    bearer
        .or_else(|| head.get("x-api-key").map(<[u8]>::trim_ascii))
        .or_else(|| head.get("api-key").map(<[u8]>::trim_ascii))
        .filter(|key| !key.is_empty())
}

/// SHA-256, in lower-case hexadecimal.
pub fn hash(key: &[u8]) -> KeyHash {
    let mut text = [0_u8; 64];
    let digest: [u8; 32] = Sha256::digest(key).into();
    let digit = |nibble: u8| {
        if nibble < 10 {
            b'0'.saturating_add(nibble)
        } else {
            b'a'.saturating_add(nibble.saturating_sub(10))
        }
    };
    for (pair, byte) in text.chunks_exact_mut(2).zip(digest) {
        if let [high, low] = pair {
            *high = digit(byte >> 4);
            *low = digit(byte & 0x0f);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Key;

    fn key(secret: &str) -> Key {
        Key {
            sha256: String::from_utf8(hash(secret.as_bytes()).to_vec()).unwrap(),
            name: secret.to_owned(),
            org: String::new(),
            team: String::new(),
            user: String::new(),
            models: None,
            disabled: secret.ends_with("-off"),
            ..Key::default()
        }
    }

    #[test]
    fn the_hash_is_sha256_in_hexadecimal() {
        assert_eq!(
            hash(b"abc").as_slice(),
            b"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn a_key_is_found_in_each_of_its_headers() {
        let keys = [key("sk-tg-a"), key("sk-tg-b"), key("sk-tg-off")];
        let long = "x".repeat(KEY_BYTES_MAX + 1);
        for (headers, want) in [
            (vec![("authorization", "Bearer sk-tg-a")], Ok("sk-tg-a")),
            (vec![("authorization", "bearer  sk-tg-a ")], Ok("sk-tg-a")),
            (vec![("x-api-key", "sk-tg-b")], Ok("sk-tg-b")),
            (vec![("api-key", "sk-tg-b")], Ok("sk-tg-b")),
            (
                vec![("authorization", "Basic c2s="), ("x-api-key", "sk-tg-a")],
                Ok("sk-tg-a"),
            ),
            (
                vec![
                    ("authorization", "Bearer sk-tg-x"),
                    ("x-api-key", "sk-tg-a"),
                ],
                Err("invalid_api_key"),
            ),
            (vec![("authorization", "Bearer ")], Err("missing_api_key")),
            (vec![("authorization", "Bear")], Err("missing_api_key")),
            (vec![], Err("missing_api_key")),
            (vec![("x-api-key", "sk-tg-A")], Err("invalid_api_key")),
            (vec![("x-api-key", "sk-tg-off")], Err("disabled_api_key")),
            (vec![("x-api-key", long.as_str())], Err("invalid_api_key")),
        ] {
            let pairs: Vec<(&[u8], &[u8])> = headers
                .iter()
                .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
                .collect();
            let got = hash_of(Head(&pairs)).and_then(|hash| {
                let found = keys.iter().find(|key| key.sha256.as_bytes() == hash);
                let found = found.ok_or_else(Refusal::invalid_key)?;
                admit(found, Timestamp(0)).map(|()| found.name.as_str())
            });
            let got = got.map_err(|refusal| refusal.code);
            assert_eq!(got, want, "{headers:?}");
        }
    }

    #[test]
    fn a_key_is_refused_from_the_second_on_at_which_it_expires() {
        let key = Key {
            expires: Some(100),
            ..Key::default()
        };
        for (millis, want) in [(99_999, Ok(())), (100_000, Err("expired_api_key"))] {
            let now = Timestamp(millis * 1_000_000);
            let got = admit(&key, now).map_err(|refusal| refusal.code);
            assert_eq!(got, want, "{millis}");
        }
    }
}
