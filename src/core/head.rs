//! The head of a request or reply: what of it may travel on, and how it is put back for a retry.

/// Names and values in the order they came; names in lower case, as Envoy gives them.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a>(pub &'a [(&'a [u8], &'a [u8])]);

impl<'a> Head<'a> {
    /// The first value of this name.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.0
            .iter()
            .find(|(known, _)| *known == name.as_bytes())
            .map(|(_, value)| *value)
    }

    /// The first value of this name, if it is text.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.get(name)
            .and_then(|value| std::str::from_utf8(value).ok())
    }
}

/// Names the gateway role in the memory of the worker; never leaves Envoy.
pub const EXCHANGE: &str = "x-tollgate-exchange";

/// Names the cluster to the inner listener (Envoy before 1.39).
pub const CLUSTER: &str = "x-tollgate-cluster";

/// What a provider can use. Everything else stays inside: credentials, cookies, forwarded addresses
/// and internal identities are nobody's business there.
const FORWARDED: &[&str] = &[
    "accept",
    "anthropic-beta",
    "anthropic-version",
    "content-length",
    "content-type",
    "idempotency-key",
    "openai-beta",
    "traceparent",
    "tracestate",
    "user-agent",
    "x-request-id",
];

/// Envoy's own: without them it cannot route, and it replaces or removes them itself.
const ENVOYS: &[&str] = &[
    ":authority",
    ":method",
    ":path",
    ":scheme",
    "x-forwarded-proto",
];

/// Whether a request header travels on to a provider.
pub fn forwards(name: &[u8]) -> bool {
    let known = |list: &[&str]| list.iter().any(|entry| entry.as_bytes() == name);
    known(FORWARDED) || known(ENVOYS) || name.starts_with(b"x-stainless-")
}

/// Headers of one vendor's dialect, which travel on to nobody who does not understand it: to others they say what the
/// caller asked for first.
pub fn strange_to(dialect: &str) -> &'static [&'static str] {
    match dialect {
        "anthropic" => &["openai-beta"],
        "openai" => &["anthropic-beta", "anthropic-version"],
        _ => &["anthropic-beta", "anthropic-version", "openai-beta"],
    }
}

/// Reply headers that tell callers about the operator's account, or that only make sense on the
/// provider's own connection.
const KEPT_BACK: &[&str] = &[
    "alt-svc",
    "cf-cache-status",
    "cf-ray",
    "nel",
    "openai-organization",
    "openai-project",
    "report-to",
    "server",
    "set-cookie",
    "strict-transport-security",
    "via",
    "x-envoy-upstream-service-time",
];

/// Whether a reply header of a provider is kept from the caller.
pub fn kept_back(name: &[u8]) -> bool {
    KEPT_BACK.iter().any(|entry| entry.as_bytes() == name)
        || [
            b"x-ratelimit-".as_slice(),
            b"anthropic-ratelimit-",
            b"anthropic-organization-",
            b"x-tollgate-",
        ]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// One change that brings the head of an earlier attempt back to the original.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit<'a> {
    /// Put there by an earlier attempt, its filters or its provider's credential.
    Remove(&'a [u8]),
    /// Changed or removed by an earlier attempt.
    Set(&'a [u8], &'a [u8]),
}

/// All attempts of a request share one header map, and what an earlier attempt left in it (its
/// credential above all) must not reach the next provider. Values that differ are never logged.
pub fn restore<'a>(original: Head<'a>, current: Head<'a>) -> Vec<Edit<'a>> {
    let keeps = |name: &[u8]| ENVOYS.iter().any(|entry| entry.as_bytes() == name);
    let mut edits: Vec<Edit<'a>> = Vec::new();
    for (name, _) in current.0 {
        let stays = forwards(name) && find(original, name).is_some();
        let listed = edits.contains(&Edit::Remove(name));
        if !stays && !keeps(name) && !listed {
            edits.push(Edit::Remove(name));
        }
    }
    for (name, value) in original.0 {
        if forwards(name) && find(current, name) != Some(value) {
            edits.push(Edit::Set(name, value));
        }
    }
    edits
}

fn find<'a>(head: Head<'a>, name: &[u8]) -> Option<&'a [u8]> {
    head.0
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs<'a>(list: &'a [(&'a str, &'a str)]) -> Vec<(&'a [u8], &'a [u8])> {
        list.iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
            .collect()
    }

    #[test]
    fn only_what_a_provider_can_use_travels_on() {
        for (name, want) in [
            ("content-type", true),
            ("x-stainless-lang", true),
            ("traceparent", true),
            (":path", true),
            ("authorization", false),
            ("x-api-key", false),
            ("api-key", false),
            ("cookie", false),
            ("x-forwarded-for", false),
            ("x-forwarded-client-cert", false),
            ("x-envoy-max-retries", false),
            ("x-envoy-retry-on", false),
            ("x-tollgate-exchange", false),
            ("x-amz-security-token", false),
            ("openai-organization", false),
            ("accept-encoding", false),
            ("expect", false),
            ("x-team", false),
        ] {
            assert_eq!(forwards(name.as_bytes()), want, "{name}");
        }
    }

    #[test]
    fn what_names_a_vendor_is_for_that_vendor() {
        for name in FORWARDED {
            let mut vendors = ["anthropic", "openai"].into_iter();
            let vendor = vendors.find(|vendor| name.starts_with(&format!("{vendor}-")));
            for dialect in ["anthropic", "openai", ""] {
                let want = vendor.is_some_and(|vendor| vendor != dialect);
                assert_eq!(strange_to(dialect).contains(name), want, "{name} {dialect}");
            }
        }
    }

    #[test]
    fn nothing_of_an_earlier_attempt_is_left() {
        let original = pairs(&[
            (":path", "/v1/chat/completions"),
            ("authorization", "Bearer sk-tg-caller"),
            ("content-length", "100"),
            ("content-type", "application/json"),
            ("user-agent", "curl"),
        ]);
        let current = pairs(&[
            (":path", "/openai/v1/chat/completions"),
            ("authorization", "Bearer secret-of-alpha"),
            ("x-api-key", "another"),
            ("x-api-key", "twice"),
            ("content-length", "131"),
            ("content-type", "application/json"),
            ("x-amz-date", "today"),
        ]);
        assert_eq!(
            restore(Head(&original), Head(&current)),
            [
                Edit::Remove(b"authorization".as_slice()),
                Edit::Remove(b"x-api-key"),
                Edit::Remove(b"x-amz-date"),
                Edit::Set(b":path", b"/v1/chat/completions"),
                Edit::Set(b"content-length", b"100"),
                Edit::Set(b"user-agent", b"curl"),
            ]
        );
    }
}
