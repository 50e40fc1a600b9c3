//! Keys that are replaced while Envoy runs: a token of Google's lives for an hour.

use std::path::Path;
use std::time::Duration;

use tollgate_core::config::deploy::{Checked, Secret};

use super::secrets::{self, Environment};
use super::{Rendered, write};

/// How long a new key may go unseen. Who replaces a token does so minutes before the old one ends.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Writes each key below `directory` again when the file behind it changes: Envoy reads it then. Without key files it
/// has nothing to do, and waits for ever. What cannot be read leaves the old key in place, and is told.
pub async fn watch(checked: &Checked, directory: &Path, environment: Environment<'_>) {
    let mut keys = Keys::new(checked, environment);
    if !keys.can_change() {
        std::future::pending::<()>().await;
    }
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if let Some(trouble) = keys.refresh(directory) {
            eprintln!("tollgate: {trouble}");
        }
    }
}

struct Keys<'a> {
    checked: &'a Checked,
    environment: Environment<'a>,
    written: Vec<Rendered>,
    /// What was told last: the same trouble is told once.
    told: Option<String>,
}

impl<'a> Keys<'a> {
    /// As they were rendered a moment ago.
    fn new(checked: &'a Checked, environment: Environment<'a>) -> Self {
        Self {
            checked,
            environment,
            written: secrets::files(checked, environment).unwrap_or_default(),
            told: None,
        }
    }

    fn can_change(&self) -> bool {
        let mut credentials = self
            .checked
            .deployment
            .upstreams
            .iter()
            .filter_map(|upstream| upstream.credential.as_ref());
        credentials.any(|credential| matches!(credential.secret, Secret::File(_)))
    }

    /// Gives new trouble, if there is any.
    fn refresh(&mut self, directory: &Path) -> Option<String> {
        let trouble = match secrets::files(self.checked, self.environment) {
            Err(problems) => problems.first().map(ToString::to_string),
            Ok(now) => {
                let known = |file: &&Rendered| !self.written.contains(file);
                let changed: Vec<Rendered> = now.iter().filter(known).cloned().collect();
                match write(&changed, directory) {
                    Err(error) => Some(error.to_string()),
                    Ok(()) => {
                        self.written = now;
                        None
                    }
                }
            }
        };
        if trouble == self.told {
            return None;
        }
        self.told.clone_from(&trouble);
        trouble
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::render::render;

    #[test]
    fn a_key_that_changes_is_written_again_and_one_that_is_gone_stays() {
        let folder = tempfile::TempDir::new().unwrap();
        let key = folder.path().join("token");
        fs::write(&key, "one\n").unwrap();
        let checked = crate::config::check_text(
            &format!(
                "providers: {{a: {{dialect: openai, url: 'https://a.example/v1', key: {{file: {}}}}}}}\n\
                 models: {{m: {{targets: [{{provider: a}}]}}}}\n\
                 tenants: {{keys: [{{name: k, sha256: {}}}]}}\n",
                key.display(),
                "0".repeat(64)
            ),
            &|_| None,
        )
        .unwrap();
        let nothing_set = |_: &str| None;
        let files = render(&checked, &crate::render::Options::default(), &nothing_set).unwrap();
        write(&files, folder.path()).unwrap();
        let mut keys = Keys::new(&checked, &nothing_set);
        assert!(keys.can_change());
        let rendered = folder.path().join("secrets/a.yaml");
        let says = |word: &str| fs::read_to_string(&rendered).unwrap().contains(word);

        fs::write(&key, "two").unwrap();
        assert_eq!(
            (keys.refresh(folder.path()), says("Bearer two")),
            (None, true)
        );
        fs::remove_file(&key).unwrap();
        let told = keys.refresh(folder.path()).unwrap();
        assert!(
            told.contains("cannot be read") && says("Bearer two"),
            "{told}"
        );
        assert_eq!(keys.refresh(folder.path()), None, "it is told once");
        fs::write(&key, "three").unwrap();
        assert_eq!(
            (keys.refresh(folder.path()), says("Bearer three")),
            (None, true)
        );
    }
}
