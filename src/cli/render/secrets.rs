//! Provider keys, from where they are kept into files that only Envoy's user can read.

use std::path::PathBuf;

use tollgate_core::config::deploy::{Checked, Credential, Problem, Secret};

use super::yaml::text;
use super::{Readers, Rendered};

/// The environment, by name.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Where a provider's secret stands, below the rendered directory.
pub(super) fn file(provider: &str) -> PathBuf {
    PathBuf::from(format!("secrets/{provider}.yaml"))
}

/// What Envoy calls it.
pub(super) fn name(provider: &str) -> String {
    format!("tollgate-{provider}")
}

/// One file for each provider that asks for a key.
pub(super) fn files(
    checked: &Checked,
    environment: Environment<'_>,
) -> Result<Vec<Rendered>, Vec<Problem>> {
    let mut files = Vec::new();
    let mut problems = Vec::new();
    let providers = checked.gateway.providers.iter();
    for (provider, upstream) in providers.zip(&checked.deployment.upstreams) {
        let Some(credential) = &upstream.credential else {
            continue;
        };
        match read(&credential.secret, environment) {
            Ok(key) => files.push(Rendered {
                path: file(&provider.name),
                text: resource(&provider.name, credential, &key),
                readers: Readers::Owner,
            }),
            Err((found, fix)) => problems.push(Problem {
                at: format!("providers.{}.key", provider.name),
                line: 0,
                found,
                fix,
            }),
        }
    }
    if problems.is_empty() {
        Ok(files)
    } else {
        Err(problems)
    }
}

/// The key, or what is wrong and what to do. Messages never quote what was read.
fn read(secret: &Secret, environment: Environment<'_>) -> Result<String, (String, String)> {
    let (key, source) = match secret {
        Secret::Env(variable) => {
            let key = environment(variable).ok_or_else(|| {
                (
                    format!("the environment variable {variable} is not set"),
                    format!("export {variable}=<the provider's key>"),
                )
            })?;
            (key, format!("the environment variable {variable}"))
        }
        Secret::File(path) => {
            let shown = path.display();
            let key = std::fs::read_to_string(path).map_err(|error| {
                (
                    format!("the key file {shown} cannot be read: {error}"),
                    format!("put the provider's key into {shown}, or name another file"),
                )
            })?;
            (key, format!("the key file {shown}"))
        }
    };
    let key = key.trim_end();
    let visible = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    if key.is_empty() {
        return Err((
            format!("{source} is empty"),
            "put the provider's key there".to_owned(),
        ));
    }
    if !key.bytes().all(visible) {
        return Err((
            format!("{source} holds characters that no HTTP header may have"),
            "put only the provider's key there, on one line".to_owned(),
        ));
    }
    Ok(key.to_owned())
}

fn resource(provider: &str, credential: &Credential, key: &str) -> String {
    format!(
        r#"# Written by `tollgate render`; Envoy reads it again when it is replaced.
resources:
- "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret
  name: {name}
  generic_secret:
    secret:
      inline_string: {value}
"#,
        name = text(name(provider)),
        value = text(format!("{}{key}", credential.prefix)),
    )
}
