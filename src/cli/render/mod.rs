//! `gateway.yaml` -> what Envoy starts from: a bootstrap, a file for each secret, and the
//! filter's own JSON.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tollgate_core::config::deploy::{Checked, Problem};
use tollgate_core::config::{Attempt, Plugin};

mod bootstrap;
mod budget;
mod clusters;
mod errors;
mod listener;
mod plugin;
mod routes;
mod secrets;
mod version;
mod watch;
mod yaml;

pub use bootstrap::bootstrap;
pub use secrets::Environment;
pub use version::{EnvoyVersion, Mode, supported_range};
pub use watch::watch;

/// Where things stand when Envoy reads them.
#[derive(Clone, Debug)]
pub struct Options {
    /// The Envoy that will read it.
    pub version: EnvoyVersion,
    /// The filter.
    pub wasm: PathBuf,
    /// Where the rendered directory stands at run time.
    pub base: PathBuf,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            version: EnvoyVersion::NEWEST,
            wasm: PathBuf::from("/etc/tollgate/tollgate.wasm"),
            base: PathBuf::from("/etc/tollgate"),
        }
    }
}

/// A file to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// Below the directory that is rendered to.
    pub path: PathBuf,
    /// What goes into it.
    pub text: String,
    /// Who may read it.
    pub readers: Readers,
}

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Everybody, as far as the process's own mask allows.
    Anybody,
    /// Its owner alone, and so its directory.
    Owner,
}

/// Every file of a deployment. Secrets are read here and nowhere else.
pub fn render(
    checked: &Checked,
    options: &Options,
    environment: Environment<'_>,
) -> Result<Vec<Rendered>, Vec<Problem>> {
    let open = |path: String, text: String| Rendered {
        path: PathBuf::from(path),
        text,
        readers: Readers::Anybody,
    };
    let mut files = vec![
        open("envoy.yaml".to_owned(), bootstrap(checked, options)),
        open(
            "gateway.json".to_owned(),
            plugin::json(&Plugin::Gateway(Box::new(checked.gateway.clone()))),
        ),
    ];
    for (name, attempt) in attempts(checked, options.version.mode()) {
        let json = plugin::json(&Plugin::Attempt(attempt));
        files.push(open(format!("attempt-{name}.json"), json));
    }
    files.extend(secrets::files(checked, environment)?);
    Ok(files)
}

/// The attempt role's configurations: one for each provider, or one for the hop.
fn attempts(checked: &Checked, mode: Mode) -> Vec<(String, Attempt)> {
    match mode {
        Mode::Hop => vec![("hop".to_owned(), Attempt::Hop)],
        Mode::Matcher => checked
            .gateway
            .providers
            .iter()
            .map(|provider| {
                let provider = provider.name.clone();
                (provider.clone(), Attempt::Cluster { provider })
            })
            .collect(),
    }
}

/// Puts the files below `directory`, each in one step, so that Envoy never reads half of one.
pub fn write(files: &[Rendered], directory: &Path) -> io::Result<()> {
    for file in files {
        let path = directory.join(&file.path);
        write_one(&path, file).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("cannot write {}: {error}", path.display()),
            )
        })?;
    }
    Ok(())
}

fn write_one(path: &Path, file: &Rendered) -> io::Result<()> {
    let parent = path.parent().unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(parent)?;
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    // A leftover could have other permissions than the ones asked for below.
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Err(_) | Ok(()) => {}
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    if file.readers == Readers::Owner {
        for_its_owner_only(parent, &mut options)?;
    }
    options.open(&fresh)?.write_all(file.text.as_bytes())?;
    fs::rename(&fresh, path)
}

#[cfg(unix)]
fn for_its_owner_only(directory: &Path, file: &mut fs::OpenOptions) -> io::Result<()> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    file.mode(0o600);
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn for_its_owner_only(_: &Path, _: &mut fs::OpenOptions) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests;
