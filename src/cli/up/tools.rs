//! Finds what is not in this program: Envoy and the filter.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::Options;
use crate::render::{Environment, EnvoyVersion, supported_range};

/// Envoy prints its version in milliseconds; what takes longer is something else.
const VERSION_WITHIN: Duration = Duration::from_secs(10);
/// Where `make setup` puts Envoys.
const TOOLS: &str = ".tools/envoy";

/// What a start needs.
#[derive(Debug)]
pub(super) struct Tools {
    pub(super) envoy: PathBuf,
    pub(super) version: EnvoyVersion,
    pub(super) wasm: PathBuf,
}

impl Tools {
    /// What is named counts, and must fit; else the first that fits.
    pub(super) async fn find(
        options: &Options,
        environment: Environment<'_>,
    ) -> Result<Self, String> {
        let wasm = find_wasm(options, environment)?;
        let (envoy, version) = find_envoy(options, environment).await?;
        Ok(Self {
            envoy,
            version,
            wasm,
        })
    }
}

fn find_wasm(options: &Options, environment: Environment<'_>) -> Result<PathBuf, String> {
    let named = options
        .wasm
        .clone()
        .map(|path| (path, "--wasm"))
        .or_else(|| Some((environment("TOLLGATE_WASM")?.into(), "TOLLGATE_WASM")));
    if let Some((path, by)) = named {
        return std::fs::canonicalize(&path)
            .map_err(|error| format!("{by}: cannot find the filter {}: {error}", path.display()));
    }
    let built = Path::new("wasm32-unknown-unknown/release/tollgate_filter.wasm");
    let beside = options.program.parent().unwrap_or_else(|| Path::new("."));
    [
        beside.join("tollgate.wasm"),
        beside.join("tollgate_filter.wasm"),
        beside.join("..").join(built),
        Path::new("target").join(built),
    ]
    .iter()
    .find_map(|candidate| std::fs::canonicalize(candidate).ok())
    .ok_or_else(|| {
        "the filter is not there: run `make build`, or name it with --wasm or TOLLGATE_WASM"
            .to_owned()
    })
}

async fn find_envoy(
    options: &Options,
    environment: Environment<'_>,
) -> Result<(PathBuf, EnvoyVersion), String> {
    let named = options
        .envoy
        .clone()
        .map(|path| (path, "--envoy"))
        .or_else(|| Some((environment("TOLLGATE_ENVOY")?.into(), "TOLLGATE_ENVOY")));
    if let Some((path, by)) = named {
        let version = version(&path).await;
        return match version.map_err(|error| format!("{by}: {error}"))? {
            version if version.supported() => Ok((path, version)),
            version => Err(format!(
                "{by}: {} is Envoy {version}; supported are {}",
                path.display(),
                supported_range()
            )),
        };
    }
    let on_path = environment("PATH").unwrap_or_default();
    for folder in std::env::split_paths(&on_path) {
        let candidate = folder.join("envoy");
        if !candidate.is_file() {
            continue;
        }
        if let Some(version) = fitting(&candidate).await {
            return Ok((candidate, version));
        }
    }
    let mut found: Option<(PathBuf, EnvoyVersion)> = None;
    for candidate in fetched() {
        let newest = found.as_ref().map(|(_, version)| *version);
        if let Some(version) = fitting(&candidate).await.filter(|v| Some(*v) > newest) {
            found = Some((candidate, version));
        }
    }
    found.ok_or_else(|| {
        format!(
            "no Envoy {} is there: run `make setup`, or name one with --envoy or TOLLGATE_ENVOY",
            supported_range()
        )
    })
}

/// Those that `make setup` has fetched.
fn fetched() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(TOOLS).into_iter().flatten();
    entries
        .filter_map(|entry| Some(entry.ok()?.path().join("envoy")))
        .filter(|program| program.is_file())
        .collect()
}

async fn fitting(program: &Path) -> Option<EnvoyVersion> {
    version(program)
        .await
        .ok()
        .filter(|version| version.supported())
}

async fn version(program: &Path) -> Result<EnvoyVersion, String> {
    let shown = program.display();
    let output = Command::new(program)
        .arg(OsStr::new("--version"))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(VERSION_WITHIN, output)
        .await
        .map_err(|_| format!("{shown} does not say its version"))?
        .map_err(|error| format!("cannot run {shown}: {error}"))?;
    EnvoyVersion::from_banner(&String::from_utf8_lossy(&output.stdout))
        .ok_or_else(|| format!("{shown} is no Envoy: `--version` names no version"))
}
