//! Where Envoy, the filter and the program are.

use std::env;
use std::path::{Path, PathBuf};

/// An Envoy to run a gateway on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envoy {
    program: PathBuf,
}

impl Envoy {
    /// The one that `TOLLGATE_ENVOY` names, else the newest of those that `make setup` has fetched.
    pub fn usual() -> Self {
        if let Some(program) = env::var_os("TOLLGATE_ENVOY") {
            return Self {
                program: program.into(),
            };
        }
        let newest = Self::fetched()
            .into_iter()
            .max_by_key(|version| numbers(version));
        let newest = newest.unwrap_or_else(|| {
            panic!("no Envoy: run `make setup`, or name one with TOLLGATE_ENVOY")
        });
        Self::version(&newest)
    }

    /// This version, as `make setup` has fetched it.
    pub fn version(version: &str) -> Self {
        let program = folder().join(version).join("envoy");
        assert!(
            program.is_file(),
            "no Envoy at {}: run `make setup`",
            program.display()
        );
        Self { program }
    }

    /// The versions that `make setup` has fetched.
    pub fn fetched() -> Vec<String> {
        let entries = folder().read_dir().into_iter().flatten();
        entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| folder().join(name).join("envoy").is_file())
            .collect()
    }

    /// An Envoy that lies elsewhere.
    pub fn at(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
        }
    }

    /// Where it is.
    pub fn program(&self) -> &Path {
        &self.program
    }
}

fn folder() -> PathBuf {
    root().join(".tools/envoy")
}

fn numbers(version: &str) -> Vec<u32> {
    version
        .split('.')
        .filter_map(|part| part.parse().ok())
        .collect()
}

/// The workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The filter: `TOLLGATE_WASM`, or what `make build` made last.
pub(crate) fn wasm() -> PathBuf {
    let built = "wasm32-unknown-unknown/release/tollgate_filter.wasm";
    named(
        "TOLLGATE_WASM",
        "the filter",
        vec![target().join(built), root().join("target").join(built)],
    )
}

/// The program: `TOLLGATE_BIN`, or the one that was built with this test, or what `make build` made last.
pub fn program() -> PathBuf {
    let candidates = vec![profile().join("tollgate"), target().join("native/tollgate")];
    named("TOLLGATE_BIN", "the program `tollgate`", candidates)
}

fn named(variable: &str, what: &str, candidates: Vec<PathBuf>) -> PathBuf {
    if let Some(path) = env::var_os(variable) {
        let path = PathBuf::from(path);
        assert!(
            path.is_file(),
            "{variable} names {}, which is no file",
            path.display()
        );
        return path;
    }
    let found = candidates.into_iter().find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!("{what} is not built: run `make build`, or name it with {variable}")
    })
}

/// A test is `target/PROFILE/deps/NAME`.
fn profile() -> PathBuf {
    let test = env::current_exe().expect("a test knows where it is");
    test.ancestors()
        .nth(2)
        .expect("a test lies in deps")
        .to_owned()
}

fn target() -> PathBuf {
    profile().join("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_numbers() {
        let mut versions = vec!["1.40.0", "1.9.3", "1.38.2", "1.38.10"];
        versions.sort_by_key(|version| numbers(version));
        assert_eq!(versions, ["1.9.3", "1.38.2", "1.38.10", "1.40.0"]);
    }
}
