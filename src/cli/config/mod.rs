//! `gateway.yaml` from the file to its used form.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use tollgate_core::catalogue::{Catalogue, Malformed};
use tollgate_core::config::check::{Beside, check_tree};
use tollgate_core::config::deploy::{Checked, Secret};
use tollgate_core::config::problem::{Problem, report};
use tollgate_core::units::Timestamp;

mod environment;
mod yaml;

/// Larger files are not read: no configuration is so long, and a log given by mistake may be.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Looks up an environment variable.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Why a file gives no configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It could not be read at all.
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// Why, in the system's words.
        reason: String,
    },
    /// It was read, and this is wrong with it.
    Mistaken {
        /// Which file.
        file: PathBuf,
        /// All of it, in the order of the file.
        problems: Vec<Problem>,
    },
}

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { file, reason } => {
                write!(out, "cannot read {}: {reason}", file.display())
            }
            Self::Mistaken { file, problems } => {
                out.write_str(&report(&file.display().to_string(), problems))
            }
        }
    }
}

impl std::error::Error for Refused {}

/// Loads a file with this process's environment.
pub fn load(file: &Path) -> Result<Checked, Refused> {
    load_with(file, &|name| std::env::var(name).ok())
}

/// Loads a file with this process's environment, and what the catalogue said at another moment.
pub fn load_as_of(file: &Path, moment: Timestamp) -> Result<Checked, Refused> {
    load_at(file, &|name| std::env::var(name).ok(), moment)
}

/// Loads a file with an environment of the caller's choice. Secret files with a relative path are
/// beside it.
pub fn load_with(file: &Path, lookup: Lookup<'_>) -> Result<Checked, Refused> {
    load_at(file, lookup, now())
}

fn load_at(file: &Path, lookup: Lookup<'_>, now: Timestamp) -> Result<Checked, Refused> {
    let unreadable = |reason: String| Refused::Unreadable {
        file: file.to_owned(),
        reason,
    };
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|open| {
            open.take(FILE_BYTES_MAX.saturating_add(1))
                .read_to_end(&mut bytes)
        })
        .map_err(|error| unreadable(error.to_string()))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > FILE_BYTES_MAX) {
        return Err(unreadable(format!(
            "it is larger than {FILE_BYTES_MAX} bytes"
        )));
    }
    let text = String::from_utf8(bytes)
        .map_err(|error| unreadable(format!("it is not UTF-8: {}", error.utf8_error())))?;
    let mut checked = check_at(&text, lookup, now).map_err(|problems| Refused::Mistaken {
        file: file.to_owned(),
        problems,
    })?;
    let folder = file.parent().unwrap_or_else(|| Path::new(""));
    if let Some(local) = checked
        .deployment
        .budget
        .as_mut()
        .and_then(|it| it.local.as_mut())
    {
        let token = local.admin_token.iter_mut();
        for secret in token.chain(local.alerts.iter_mut().map(|alert| &mut alert.url)) {
            if let Secret::File(path) = secret {
                *path = folder.join(&*path);
            }
        }
    }
    for upstream in &mut checked.deployment.upstreams {
        if let Some(credential) = &mut upstream.credential
            && let Secret::File(path) = &mut credential.secret
        {
            *path = folder.join(&*path);
        }
    }
    Ok(checked)
}

/// Checks the text of a file.
pub fn check_text(text: &str, lookup: Lookup<'_>) -> Result<Checked, Vec<Problem>> {
    check_at(text, lookup, now())
}

fn check_at(text: &str, lookup: Lookup<'_>, now: Timestamp) -> Result<Checked, Vec<Problem>> {
    let mut root = yaml::read(text).map_err(|problem| vec![problem])?;
    let known = Beside {
        catalogue: catalogue().map_err(|malformed| vec![malformed])?,
        now,
    };
    let mut problems = environment::fill(&mut root, lookup);
    if problems.is_empty() {
        return check_tree(&root, known);
    }
    if let Err(more) = check_tree(&root, known) {
        // What is wrong with or without its variable is told, and the variable is not.
        problems.retain(|unset| more.iter().all(|other| other.at != unset.at));
        problems.extend(more);
    }
    problems.sort_by(|one, other| (one.line, &one.at).cmp(&(other.line, &other.at)));
    Err(problems)
}

/// The prices that this program was built with, read once.
pub fn catalogue() -> Result<&'static Catalogue, Problem> {
    static SHIPPED: OnceLock<Result<Catalogue, Malformed>> = OnceLock::new();
    let shipped = SHIPPED.get_or_init(Catalogue::shipped);
    shipped.as_ref().map_err(|malformed| Problem {
        at: String::new(),
        line: 0,
        found: malformed.to_string(),
        fix: "make it anew by scripts/catalogue.py and build again".to_owned(),
    })
}

/// This moment; before the epoch, the epoch.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanos = since.map_or(0, |since| since.as_nanos());
    Timestamp(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
