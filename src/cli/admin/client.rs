//! Where the admin API is, who may ask it, and what it says.
#![allow(
    clippy::indexing_slicing,
    reason = "JSON by name: what is not there is null"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

/// Where the budget service answers unless somebody says otherwise.
const URL: &str = "http://127.0.0.1:7601";
const URL_VARIABLE: &str = "TOLLGATE_ADMIN_URL";
const TOKEN_VARIABLE: &str = "TOLLGATE_ADMIN_TOKEN";
/// In the data folder, where the service put it.
const TOKEN_FILE: &str = "admin-token";
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// How to reach the admin API.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Access {
    /// Where the admin API is; else TOLLGATE_ADMIN_URL, or http://127.0.0.1:7601.
    #[arg(long, value_name = "URL", global = true)]
    pub url: Option<String>,
    /// The data folder of `tollgate up`, where the admin token is; TOLLGATE_ADMIN_TOKEN goes before it.
    #[arg(long, value_name = "DIR", default_value = ".tollgate", global = true)]
    pub data: PathBuf,
}

/// Asks the admin API.
pub(crate) struct Client {
    agent: ureq::Agent,
    url: String,
    token: String,
}

impl Client {
    /// With this process's environment.
    pub(crate) fn of(access: &Access) -> Result<Self, String> {
        Self::with(access, &|name| std::env::var(name).ok())
    }

    fn with(access: &Access, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, String> {
        let url = access.url.clone().or_else(|| environment(URL_VARIABLE));
        let url = url.unwrap_or_else(|| URL.to_owned());
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(ANSWER_WITHIN))
            .http_status_as_error(false)
            // The token goes to whom it was meant for.
            .max_redirects(0);
        Ok(Self {
            agent: config.build().into(),
            url: url.trim_end_matches('/').to_owned(),
            token: match environment(TOKEN_VARIABLE) {
                Some(token) => token.trim().to_owned(),
                None => token_in(&access.data)?,
            },
        })
    }

    /// What is there.
    pub(crate) fn get(&self, path: &str) -> Result<Value, String> {
        self.ask("GET", path, &Value::Null)
    }

    /// All pages of a list.
    pub(crate) fn list(&self, path: &str) -> Result<Vec<Value>, String> {
        let gap = if path.contains('?') { '&' } else { '?' };
        let mut rows = Vec::new();
        let mut after = String::new();
        loop {
            let page = self.get(&format!("{path}{gap}limit=1000{after}"))?;
            rows.extend(page["data"].as_array().cloned().unwrap_or_default());
            match page["next"].as_str() {
                Some(next) => after = format!("&after={}", segment(next)),
                None => return Ok(rows),
            }
        }
    }

    /// Changes something.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let text = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}/api/v1{path}", self.url))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json")
            .body(text)
            .map_err(|error| format!("cannot ask {}: {error}", self.url))?;
        let mut reply = self.agent.run(request).map_err(|error| {
            format!(
                "cannot reach the budget service at {}: {error}\n  fix: start it (`tollgate up`), or say where it is: \
                 --url, or {URL_VARIABLE}",
                self.url
            )
        })?;
        let status = reply.status();
        let text = reply
            .body_mut()
            .read_to_string()
            .map_err(|error| format!("the answer of {} broke off: {error}", self.url))?;
        let answer: Value = serde_json::from_str(&text)
            .map_err(|_| format!("{} is no budget service: it answered {status}", self.url))?;
        if status.is_success() {
            return Ok(answer);
        }
        Err(told(&answer["error"]))
    }
}

/// Every mistake with its cure, as `tollgate check` tells them.
fn told(error: &Value) -> String {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let line = |at: &str, message: String, fix: String| {
        let at = if at.is_empty() {
            String::new()
        } else {
            format!("{at}: ")
        };
        format!("{at}{message}\n  fix: {fix}")
    };
    let problems = error["problems"].as_array().into_iter().flatten();
    let lines: Vec<String> = problems
        .map(|it| line(&word(&it["at"]), word(&it["message"]), word(&it["fix"])))
        .collect();
    if lines.is_empty() {
        return line("", word(&error["message"]), word(&error["fix"]));
    }
    lines.join("\n")
}

fn token_in(data: &Path) -> Result<String, String> {
    let file = data.join(TOKEN_FILE);
    fs::read_to_string(&file)
        .map(|token| token.trim().to_owned())
        .map_err(|error| {
            format!(
                "no admin token: cannot read {}: {error}\n  fix: set {TOKEN_VARIABLE}, or say which folder `tollgate up` \
                 uses: --data DIR",
                file.display()
            )
        })
}

/// A name as one part of a path, or as a value behind the `?`.
pub(crate) fn segment(name: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~:".contains(byte);
    name.bytes()
        .map(|byte| {
            if plain(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_part_of_a_path() {
        for (name, want) in [
            ("bot", "bot"),
            ("team:search", "team:search"),
            ("a/b c", "a%2Fb%20c"),
            ("ü&=?", "%C3%BC%26%3D%3F"),
        ] {
            assert_eq!(segment(name), want);
        }
    }

    #[test]
    fn the_token_is_found_where_it_may_be() {
        let folder = tempfile::tempdir().unwrap();
        let access = Access {
            url: None,
            data: folder.path().to_owned(),
        };
        let none = |_: &str| None;
        let missing = Client::with(&access, &none).err().unwrap();
        assert!(
            missing.contains("fix: set TOLLGATE_ADMIN_TOKEN"),
            "{missing}"
        );
        fs::write(folder.path().join(TOKEN_FILE), "abc\n").unwrap();
        let client = Client::with(&access, &none).unwrap();
        assert_eq!((client.token.as_str(), client.url.as_str()), ("abc", URL));
        let set = |name: &str| match name {
            TOKEN_VARIABLE => Some("xyz".to_owned()),
            URL_VARIABLE => Some("http://there/".to_owned()),
            _ => None,
        };
        let client = Client::with(&access, &set).unwrap();
        assert_eq!(
            (client.token.as_str(), client.url.as_str()),
            ("xyz", "http://there")
        );
    }
}
