//! Names: they become labels, paths, cluster names and header values, so they are plain.

use crate::config::problem::{Problems, looks_secret};
use crate::config::raw::Written;

/// What is named.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Provider,
    Model,
    /// The provider's own name for a model: theirs to choose.
    ProviderModel,
    /// A key, an org, a team, a user.
    Tenant,
}

/// Cluster names that the rendered configuration needs for itself.
const RESERVED_PROVIDERS: &[&str] = &["hop"];

/// Reports a name that does not fit.
pub(super) fn check(kind: Kind, name: &Written<String>, problems: &mut Problems) {
    let text = name.value.as_str();
    let fix = match kind {
        Kind::Provider => "write up to 40 of a-z, 0-9 and `-`, beginning with a letter or a digit",
        Kind::Model | Kind::Tenant => {
            "write up to 128 of a-z, A-Z, 0-9 and `._/@:-`, beginning with a letter or a digit"
        }
        Kind::ProviderModel => "write up to 128 visible ASCII characters, without quotes and `\\`",
    };
    if looks_secret(text) {
        problems.push(name.place.problem("a key stands where a name belongs", fix));
    } else if !fits(kind, text) {
        let found = format!("{} does not fit as a name", name.shown());
        problems.push(name.place.problem(found, fix));
    } else if matches!(kind, Kind::Provider) && RESERVED_PROVIDERS.contains(&text) {
        let found = format!("{} is the name of a part of Tollgate", name.shown());
        problems.push(name.place.problem(found, "choose another name"));
    }
}

fn fits(kind: Kind, text: &str) -> bool {
    let starts = text.starts_with(|letter: char| letter.is_ascii_alphanumeric());
    let all = |fits: fn(u8) -> bool| text.bytes().all(fits);
    match kind {
        Kind::Provider => {
            let starts = starts && !text.starts_with(|letter: char| letter.is_ascii_uppercase());
            starts
                && text.len() <= 40
                && all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        }
        Kind::Model | Kind::Tenant => {
            starts
                && text.len() <= 128
                && all(|byte| byte.is_ascii_alphanumeric() || b"._/@:-".contains(&byte))
        }
        Kind::ProviderModel => {
            (1..=128).contains(&text.len())
                && all(|byte| byte.is_ascii_graphic() && !b"\"'`\\".contains(&byte))
        }
    }
}
