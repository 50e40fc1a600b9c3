//! The HTTP around it: who may, how much is read, which operation it is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request as HttpRequest;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use serde_json::Value;
use tokio::net::TcpListener;
use tollgate_core::units::Timestamp;

use super::operation::{Access, Operation};
use super::operations::all;
use super::reply::{Refused, Reply};
use super::request::{Context, Request};
use super::token::AdminToken;

/// Below this path is the API.
pub const BASE: &str = "/api/v1";
/// A tenant with sixteen budgets has a few kilobytes.
const BODY_BYTES_MAX: usize = 256 << 10;
/// A body that comes slower is given up.
const BODY_WITHIN: Duration = Duration::from_secs(10);
/// Names who asks, for the audit log, where several people share the token.
const ACTOR_HEADER: &str = "x-tollgate-actor";
const ACTOR_CHARACTERS_MAX: usize = 100;

/// Who may, and what is behind it.
#[derive(Clone)]
pub struct Settings {
    /// Who has it may do everything.
    pub token: AdminToken,
    /// What operations share.
    pub context: Context,
}

struct Api {
    settings: Settings,
    operations: Vec<Operation>,
}

/// Serves until `stop` comes, and finishes what it began.
pub async fn serve(
    listener: TcpListener,
    settings: Settings,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, router(settings))
        .with_graceful_shutdown(stop)
        .await
}

/// The API as a service, for who has a listener of another kind.
pub fn router(settings: Settings) -> Router {
    let api = Arc::new(Api {
        settings,
        operations: all(),
    });
    Router::new().fallback(move |request: HttpRequest| {
        let api = Arc::clone(&api);
        async move { answer(api, request).await }
    })
}

async fn answer(api: Arc<Api>, request: HttpRequest) -> Response {
    let method = request.method().clone();
    let reply = match prepared(&api, request).await {
        Ok((position, request)) => {
            let run = move || {
                let operation = api.operations.get(position)?;
                let run = operation.run;
                Some(run(&api.settings.context, operation, &request))
            };
            // The store and the directory block.
            let done = tokio::task::spawn_blocking(run).await;
            done.ok().flatten().unwrap_or_else(|| {
                let fix = "look into the log of the budget service";
                Err(Refused::new(500, "failed", "the operation broke off", fix))
            })
        }
        Err(refused) => Err(refused),
    };
    respond(reply, &method)
}

/// Finds the operation, checks who asks, reads the body.
async fn prepared(api: &Api, http: HttpRequest) -> Result<(usize, Request), Refused> {
    let (head, body) = http.into_parts();
    let path = head.uri.path();
    let Some(below) = path.strip_prefix(BASE) else {
        let fix = format!("the API begins at {BASE}; its document is {BASE}/openapi.json");
        return Err(Refused::new(
            404,
            "not_found",
            format!("nothing is at {path}"),
            fix,
        ));
    };
    let (position, operation, names) = find(&api.operations, head.method.as_str(), below)?;
    if operation.access == Access::Admin {
        authorize(&api.settings.token, &head.headers)?;
    }
    let query = read_query(head.uri.query().unwrap_or_default())?;
    let body = read_body(operation, body).await?;
    let request = Request {
        path: names,
        query,
        body,
        actor: actor(&head.headers),
        now: now(),
    };
    request.check_query(operation.query)?;
    Ok((position, request))
}

fn find<'a>(
    operations: &'a [Operation],
    method: &str,
    path: &str,
) -> Result<(usize, &'a Operation, Vec<String>), Refused> {
    let mut methods = Vec::new();
    for (position, operation) in operations.iter().enumerate() {
        let Some(names) = fits(&operation.path, path) else {
            continue;
        };
        if operation.method == method || operation.method == "GET" && method == "HEAD" {
            return Ok((position, operation, names));
        }
        methods.push(operation.method);
    }
    if methods.is_empty() {
        let fix = format!("{BASE}/openapi.json lists what there is");
        let message = format!("nothing is at {BASE}{path}");
        return Err(Refused::new(404, "not_found", message, fix));
    }
    let fix = format!("ask with {}", methods.join(" or "));
    Err(Refused::new(
        405,
        "wrong_method",
        format!("{method} means nothing here"),
        fix,
    ))
}

/// The names in a path that fits a pattern.
fn fits(pattern: &str, path: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut parts = path.split('/');
    for wanted in pattern.split('/') {
        let part = parts.next()?;
        if wanted.starts_with('{') {
            let name = decoded(part)?;
            if name.is_empty() {
                return None;
            }
            names.push(name);
        } else if wanted != part {
            return None;
        }
    }
    parts.next().is_none().then_some(names)
}

/// Text whose special characters are written as `%2F`.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        bytes.push(u8::try_from(high.checked_mul(16)?.checked_add(low)?).ok()?);
    }
    String::from_utf8(bytes).ok()
}

fn read_query(text: &str) -> Result<BTreeMap<String, String>, Refused> {
    let mut query = BTreeMap::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let plain = |text: &str| decoded(&text.replace('+', " "));
        let (Some(name), Some(value)) = (plain(name), plain(value)) else {
            let fix = "write special characters as `%2F`";
            return Err(Refused::new(
                400,
                "invalid_parameter",
                "the query cannot be read",
                fix,
            ));
        };
        if query.insert(name.clone(), value).is_some() {
            let message = format!("`{name}` is there twice");
            return Err(Refused::new(
                400,
                "invalid_parameter",
                message,
                "keep one of them",
            ));
        }
    }
    Ok(query)
}

fn authorize(token: &AdminToken, headers: &HeaderMap) -> Result<(), Refused> {
    let presented = headers
        .get(header::AUTHORIZATION)
        .map(HeaderValue::as_bytes);
    let presented = presented.and_then(|value| {
        let (scheme, token) = value.split_at_checked(7)?;
        scheme
            .eq_ignore_ascii_case(b"bearer ")
            .then(|| token.trim_ascii())
    });
    let fix = "send `Authorization: Bearer TOKEN`: `budget_service.admin_token`, or the file `admin-token` in the data folder";
    match presented {
        Some(presented) if token.matches(presented) => Ok(()),
        Some(_) => Err(Refused::new(
            401,
            "wrong_token",
            "this is not the admin token",
            fix,
        )),
        None => Err(Refused::new(
            401,
            "missing_token",
            "the admin token is missing",
            fix,
        )),
    }
}

async fn read_body(operation: &Operation, body: Body) -> Result<Value, Refused> {
    let read = tokio::time::timeout(BODY_WITHIN, to_bytes(body, BODY_BYTES_MAX)).await;
    let bytes: Bytes = match read {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => {
            let message = format!("the body is larger than {BODY_BYTES_MAX} bytes, or broke off");
            return Err(Refused::new(413, "body_too_large", message, "send less"));
        }
        Err(_) => {
            let message = "the body did not come in time";
            return Err(Refused::new(
                408,
                "body_too_slow",
                message,
                "send it faster",
            ));
        }
    };
    if bytes.trim_ascii().is_empty() {
        return Ok(Value::Null);
    }
    if operation.body.is_none() && operation.method != "POST" {
        return Err(Refused::new(
            400,
            "invalid_body",
            "this operation has no body",
            "send none",
        ));
    }
    serde_json::from_slice(&bytes).map_err(|error| {
        let message = format!("the body is not JSON: {error}");
        Refused::new(400, "invalid_body", message, "send a JSON object")
    })
}

fn actor(headers: &HeaderMap) -> String {
    let named = headers
        .get(ACTOR_HEADER)
        .and_then(|name| name.to_str().ok());
    let named = named.map(str::trim).filter(|name| !name.is_empty());
    let named: Option<String> = named.map(|name| name.chars().take(ACTOR_CHARACTERS_MAX).collect());
    named.unwrap_or_else(|| "admin".to_owned())
}

fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

fn respond(reply: Result<Reply, Refused>, method: &Method) -> Response {
    let (status, body) = match reply {
        Ok(reply) => (reply.status, reply.body),
        Err(refused) => (refused.status, refused.body()),
    };
    let text = if *method == Method::HEAD {
        String::new()
    } else {
        format!("{body}\n")
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    // There may be a new key in it.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    if status == 401 {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}
