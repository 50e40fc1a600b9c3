//! Providers: where they are, and that no key goes where it could be read on the way.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::{LISTEN, identity, must, name, required, routing};
use crate::config::deploy::{Credential, Secret, Tls, Upstream};
use crate::config::problem::{Place, Problems, shown};
use crate::config::raw::{self, Given, Named, Written};
use crate::config::url::{self, Scheme, Url};
use crate::config::{Dialect, Provider};

const CONNECT_TIMEOUT_MS: u64 = 2_000;
const FIRST_TOKEN_TIMEOUT_MS: u64 = 5_000;
const REPLY_TIMEOUT_MS: u64 = 600_000;
/// Where Debian, and with it Envoy's own image, keeps them.
const CA_FILE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Every provider, and how it is reached, in the order of the file.
pub(super) fn check(
    written: &raw::Config,
    problems: &mut Problems,
) -> (Vec<Provider>, Vec<Upstream>) {
    let all = required(
        &written.providers,
        "providers",
        &Place::root(1),
        "write at least one: `providers: {NAME: {dialect: openai, url: https://HOST/v1}}`",
        problems,
    );
    let listen = written.listen.written();
    let listen = listen.map_or(LISTEN, |listen| listen.value.address.value_or(LISTEN));
    all.iter()
        .filter_map(|named| provider(named, listen, problems))
        .unzip()
}

fn provider(
    named: &Named<raw::Provider>,
    listen: SocketAddr,
    problems: &mut Problems,
) -> Option<(Provider, Upstream)> {
    name::check(name::Kind::Provider, &named.name, problems);
    let written = &named.body.written()?.value;
    let place = &named.name.place;
    let dialect = must(
        &written.dialect,
        "dialect",
        place,
        "write what it speaks: `dialect: openai`",
        problems,
    );
    let url = location(written, place, problems);
    if let (Some(url), Given::Written(text)) = (&url, &written.url) {
        itself(url, text, listen, problems);
    }
    let tls = tls(written, url.as_ref(), problems);
    plaintext(written, url.as_ref(), problems);
    let (dialect, url) = (dialect?.value, url?);
    identity::base_path(written, dialect, &url, problems);
    let provider = Provider {
        name: named.name.value.clone(),
        dialect,
        cluster: format!("tollgate-{}", named.name.value),
        authority: url.authority,
        path: url.path,
        api_version: identity::api_version(written, dialect, problems),
        first_token_timeout_ms: written.first_token_timeout.value_or(FIRST_TOKEN_TIMEOUT_MS),
        reply_timeout_ms: written.reply_timeout.value_or(REPLY_TIMEOUT_MS),
        breaker: routing::rules(&written.breaker, problems),
        retry_percent: routing::retry_percent(&written.retry_budget),
    };
    let upstream = Upstream {
        host: url.host,
        port: url.port,
        tls,
        connect_timeout_ms: written.connect_timeout.value_or(CONNECT_TIMEOUT_MS),
        credential: written
            .key
            .written()
            .map(|key| credential(dialect, key.value.clone())),
        signing: identity::signing(written, dialect, place, problems),
        fake: written.fake.written().map(|fake| fake.value),
    };
    Some((provider, upstream))
}

/// The header in which a dialect carries its key.
fn credential(dialect: Dialect, secret: Secret) -> Credential {
    let (header, prefix) = dialect.provider().key_header();
    Credential {
        header: header.to_owned(),
        prefix: prefix.to_owned(),
        secret,
    }
}

/// Exactly one of `url` and `fake` says where it is.
fn location(written: &raw::Provider, place: &Place, problems: &mut Problems) -> Option<Url> {
    let text = match (&written.url, &written.fake) {
        (Given::Absent, Given::Absent) => {
            problems.missing(
                &["url", "fake"],
                place,
                "neither `url` nor `fake` says where it is",
                "write `url: https://HOST/v1`, or `fake: 127.0.0.1:7711` to practise",
            );
            return None;
        }
        (Given::Absent, Given::Mistaken) | (Given::Mistaken, Given::Absent) => return None,
        (Given::Absent, Given::Written(fake)) => return faked(written, fake, problems),
        (Given::Written(text), Given::Absent) => text,
        (Given::Written(_) | Given::Mistaken, Given::Written(_) | Given::Mistaken) => {
            problems
                .push(place.problem("both `url` and `fake` say where it is", "keep one of them"));
            return None;
        }
    };
    match url::read(&text.value, &text.shown()) {
        Ok(url) => Some(url),
        Err((found, fix)) => {
            problems.push(text.place.problem(found, fix));
            None
        }
    }
}

fn faked(
    written: &raw::Provider,
    fake: &Written<SocketAddr>,
    problems: &mut Problems,
) -> Option<Url> {
    if !fake.value.ip().is_loopback() {
        problems.push(fake.place.problem(
            format!("{} is not on this machine", shown(&fake.value.to_string())),
            "write a loopback address: `127.0.0.1:7711`; `tollgate up` plays the provider there",
        ));
        return None;
    }
    // The fake plays each vendor below a path of its own.
    let path = match written.dialect.written().map(|dialect| dialect.value) {
        Some(dialect) if is_played_apart(dialect) => {
            format!("{}{}", dialect.name(), dialect.provider().base_path_end())
        }
        _ => "openai/v1".to_owned(),
    };
    url::read(&format!("http://{}/{path}", fake.value), "").ok()
}

/// Most that speak OpenAI's dialect differ in nothing that a fake could show.
fn is_played_apart(dialect: Dialect) -> bool {
    let provider = dialect.provider();
    provider.understands() != "openai" || provider.api_version().is_some()
}

/// A gateway that asks itself never answers.
fn itself(url: &Url, text: &Written<String>, listen: SocketAddr, problems: &mut Problems) {
    let here = listen.ip().is_unspecified() || listen.ip().is_loopback();
    if here && url::is_loopback(&url.host) && url.port == listen.port() {
        problems.push(text.place.problem(
            format!("{} is this gateway itself", text.shown()),
            "write where the provider listens",
        ));
    }
}

fn tls(written: &raw::Provider, url: Option<&Url>, problems: &mut Problems) -> Option<Tls> {
    let section = written.tls.written();
    if let Some(section) = section {
        tls_values(&section.value, problems);
    }
    let url = url?;
    if url.scheme == Scheme::Http {
        if let Some(section) = section {
            problems.push(section.place.problem(
                "nothing is encrypted on the way to this provider",
                "write an https:// URL, or remove `tls`",
            ));
        }
        return None;
    }
    let server_name = section.map(|section| &section.value.server_name);
    let unnamed = matches!(server_name, None | Some(Given::Absent));
    if let Given::Written(text) = &written.url
        && unnamed
        && !is_certificate_name(&url.host)
    {
        problems.push(text.place.problem(
            format!(
                "{} names an address, and certificates are for names",
                text.shown()
            ),
            "write the name in its certificate beside it: `tls: {server_name: NAME}`",
        ));
    }
    let written_or = |given: Option<&Given<String>>, default: &str| {
        let written = given.and_then(Given::written);
        written.map_or_else(|| default.to_owned(), |written| written.value.clone())
    };
    let ca_file = section.map(|section| &section.value.ca_file);
    Some(Tls {
        server_name: written_or(server_name, &url.host),
        ca_file: PathBuf::from(written_or(ca_file, CA_FILE)),
    })
}

fn tls_values(tls: &raw::Tls, problems: &mut Problems) {
    if let Given::Written(file) = &tls.ca_file
        && !file.value.starts_with('/')
    {
        problems.push(file.place.problem(
            format!("{} is not an absolute path", file.shown()),
            format!("write a path that begins with `/`: `{CA_FILE}`"),
        ));
    }
    if let Given::Written(name) = &tls.server_name
        && !is_certificate_name(&name.value)
    {
        problems.push(name.place.problem(
            format!("{} is not a host name", name.shown()),
            "write the name in the server's certificate",
        ));
    }
}

fn is_certificate_name(name: &str) -> bool {
    url::is_host_name(name) && name.parse::<std::net::IpAddr>().is_err()
}

/// A key goes in the clear only where the user says that he knows.
fn plaintext(written: &raw::Provider, url: Option<&Url>, problems: &mut Problems) {
    let Some(url) = url else { return };
    let exposed = url.scheme == Scheme::Http && !url::is_loopback(&url.host);
    let keyless = matches!(written.key, Given::Absent);
    match (&written.allow_plaintext, &written.key) {
        (
            Given::Written(Written {
                place, value: true, ..
            }),
            _,
        ) if !exposed || keyless => {
            problems.push(place.problem(
                "no key is sent in the clear here, so nothing needs to be allowed",
                "remove it",
            ));
        }
        (Given::Absent | Given::Written(Written { value: false, .. }), Given::Written(key))
            if exposed =>
        {
            problems.push(key.place.problem(
                format!(
                    "the key would travel in the clear to {}",
                    shown(&url.authority)
                ),
                "write an https:// URL, or `allow_plaintext: true` where the way there is safe",
            ));
        }
        _ => {}
    }
}
