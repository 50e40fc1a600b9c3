//! The address of a provider, read strictly: what is not surely an address is refused here rather
//! than by Envoy, or by nobody.

use std::net::{IpAddr, Ipv6Addr};

/// `https://api.openai.com/v1`, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) scheme: Scheme,
    /// In lower case; an IPv6 address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// Host and port, the port left out where it is the usual one.
    pub(super) authority: String,
    /// Without a trailing slash, so possibly empty.
    pub(super) path: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
}

/// What is wrong, and what to write instead.
type Refusal = (String, &'static str);

const URL_FORM: &str =
    "write http:// or https://, a host, perhaps a port, and a path: `https://api.openai.com/v1`";

/// Reads it, or says what is wrong and what to write; `shown` is what messages may repeat of it.
pub(super) fn read(text: &str, shown: &str) -> Result<Url, Refusal> {
    let (scheme, rest) = scheme(text, shown)?;
    let split = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(split).unwrap_or((rest, ""));
    if authority.contains('@') {
        return Err((
            "the URL holds credentials".to_owned(),
            "take them out, and write `key: {env: NAME}` or `key: {file: PATH}` beside it",
        ));
    }
    if path.contains(['?', '#']) {
        return Err((
            "the URL holds a query or a fragment".to_owned(),
            "end it before the `?` or `#`; a key goes into `key: {env: NAME}`, never into a URL",
        ));
    }
    let (host, port) = host_and_port(authority)
        .ok_or_else(|| (format!("{shown} has no proper host"), URL_FORM))?;
    let usual_port = match scheme {
        Scheme::Http => 80,
        Scheme::Https => 443,
    };
    let port = port.unwrap_or(usual_port);
    let bracketed = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.clone()
    };
    let authority = if port == usual_port {
        bracketed
    } else {
        format!("{bracketed}:{port}")
    };
    Ok(Url {
        scheme,
        host,
        port,
        authority,
        path: base_path(path).ok_or_else(|| unfit_path(text, shown))?,
    })
}

fn scheme<'text>(text: &'text str, shown: &str) -> Result<(Scheme, &'text str), Refusal> {
    let split = text.split_once("://");
    match split.map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest)) {
        Some((scheme, rest)) if scheme == "https" => Ok((Scheme::Https, rest)),
        Some((scheme, rest)) if scheme == "http" => Ok((Scheme::Http, rest)),
        _ => Err((format!("{shown} is no http or https URL"), URL_FORM)),
    }
}

fn host_and_port(authority: &str) -> Option<(String, Option<u16>)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (address, after) = rest.split_once(']')?;
        let address: Ipv6Addr = address.parse().ok()?;
        let port = match after {
            "" => None,
            after => Some(port(after.strip_prefix(':')?)?),
        };
        return Some((address.to_string(), port));
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, text)) => (host, Some(port(text)?)),
        None => (authority, None),
    };
    is_host_name(host).then(|| (host.to_ascii_lowercase(), port))
}

fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port > 0)
}

/// A DNS name or an IPv4 address.
pub(super) fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(fits) && !label.starts_with('-')
    };
    let numeric_end = text
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    // A name that ends in a number can only be an address, and then it must be a proper one.
    let address = text.parse::<IpAddr>().is_ok();
    text.len() <= 253 && text.split('.').all(label) && (!numeric_end || address)
}

fn base_path(path: &str) -> Option<String> {
    let path = path.trim_end_matches('/');
    let mut segments = path.split('/').skip(1);
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%:@!$&'()*+,;=".contains(&byte);
    let fine = segments.all(|segment| {
        !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(fits)
    });
    let base = !path.ends_with("/chat/completions");
    (fine && base).then(|| path.to_owned())
}

fn unfit_path(text: &str, shown: &str) -> Refusal {
    if text.trim_end_matches('/').ends_with("/chat/completions") {
        return (
            "the URL names one operation, not where all of them are".to_owned(),
            "end it before `/chat/completions`",
        );
    }
    (format!("{shown} has no proper path"), URL_FORM)
}

/// Whether what is sent there stays on this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        for (text, want) in [
            (
                "https://api.openai.com/v1",
                "Https api.openai.com 443 api.openai.com /v1",
            ),
            ("HTTP://Local:8000/", "Http local 8000 local:8000 "),
            ("http://10.0.0.1:80/a/b//", "Http 10.0.0.1 80 10.0.0.1 /a/b"),
            ("https://[::1]:8443/v1", "Https ::1 8443 [::1]:8443 /v1"),
            (
                "https://[2001:DB8::1]",
                "Https 2001:db8::1 443 [2001:db8::1] ",
            ),
        ] {
            let url = read(text, "it").unwrap();
            let got = format!(
                "{:?} {} {} {} {}",
                url.scheme, url.host, url.port, url.authority, url.path
            );
            assert_eq!(got, want, "{text}");
        }
    }

    #[test]
    fn what_is_not_surely_an_address_is_refused() {
        for (text, found) in [
            ("", "no http or https URL"),
            ("api.openai.com/v1", "no http or https URL"),
            ("ftp://a", "no http or https URL"),
            ("http://", "no proper host"),
            ("http:///v1", "no proper host"),
            ("http://a:", "no proper host"),
            ("http://a:0", "no proper host"),
            ("http://a:+1", "no proper host"),
            ("http://a:65536", "no proper host"),
            ("http://a b/", "no proper host"),
            ("http://-a/", "no proper host"),
            ("http://1.2.3.256/", "no proper host"),
            ("http://[::1/", "no proper host"),
            ("http://[::1]x/", "no proper host"),
            ("http://größe/", "no proper host"),
            ("http://u:p@a/v1", "credentials"),
            ("http://a/v1?key=1", "query"),
            ("http://a?key=1", "query"),
            ("http://a/v1#x", "query or a fragment"),
            ("http://a/../b", "no proper path"),
            ("http://a/b//c", "no proper path"),
            ("http://a/b c", "no proper path"),
            ("http://a/v1/chat/completions", "one operation"),
        ] {
            let (got, _) = read(text, "it").unwrap_err();
            assert!(got.contains(found), "{text}: {got}");
            assert!(!got.contains("u:p") && !got.contains("key="), "{got}");
        }
    }

    #[test]
    fn loopback_is_known() {
        for (host, want) in [
            ("localhost", true),
            ("127.1.2.3", true),
            ("::1", true),
            ("10.0.0.1", false),
            ("localhost.example", false),
        ] {
            assert_eq!(is_loopback(host), want, "{host}");
        }
    }
}
