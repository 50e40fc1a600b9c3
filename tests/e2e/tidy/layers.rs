//! Who may know whom.

use crate::source::{code_of, first_name, has_word, none, read, rust_under, tracked};
use std::collections::BTreeSet;

/// Modules of the core, lowest first. A module may import those of its own line and of the lines above it.
const CORE_LAYERS: &[&[&str]] = &[
    &["units", "ids", "money"],
    &["sse", "eventstream", "json_tap", "head", "trace"],
    &[
        "refusal",
        "usage",
        "price",
        "catalogue",
        "request",
        "endpoint",
        "dialect",
        "tokens",
        "config",
        "tenancy",
        "routing",
        "health",
        "auth",
        "bill",
        "callers",
        "cover",
        "limits",
        "vouched",
        "multipart",
        "cache",
        "handoff",
        "metrics",
    ],
    &["gateway", "attempt", "record", "testing"],
];

/// Not even within their line: a dialect speaks, it does not choose.
const CORE_FORBIDDEN: &[(&str, &str)] = &[
    ("dialect", "config"),
    ("request", "config"),
    ("usage", "config"),
];

/// What each crate may depend on, of ours.
const CRATE_LAYERS: &[(&str, &[&str])] = &[
    ("src/tokens", &[]),
    ("src/core", &["tollgate-tokens"]),
    ("src/wire", &["tollgate-core"]),
    (
        "src/filter",
        &["tollgate-core", "tollgate-wire", "tollgate-tokens"],
    ),
    ("src/budget", &["tollgate-core", "tollgate-wire"]),
    (
        "src/cli",
        &["tollgate-core", "tollgate-wire", "tollgate-budget"],
    ),
];

/// Words that have no place in the core, and why.
const CORE_WITHOUT: &[(&str, &str)] = &[
    ("tokio", "the core waits for nothing"),
    ("proxy_wasm", "the core knows no Envoy"),
    ("std::fs", "the core has no files"),
    ("std::process", "the core starts nothing"),
    ("std::thread", "the core has no threads"),
    ("std::env", "the core sees no environment"),
    ("TcpStream", "the core has no sockets"),
    ("TcpListener", "the core has no sockets"),
    ("UdpSocket", "the core has no sockets"),
];

/// What is called, and what is exported to be called.
const BORDER: &[&str] = &[
    "src/filter/host.rs",
    "src/filter/host/call.rs",
    "src/filter/host/shared.rs",
    "src/filter/callbacks.rs",
];

#[test]
fn core_modules_import_only_what_lies_below() {
    let sources = rust_under("src/core/");
    none(
        sources
            .iter()
            .flat_map(|(path, text)| upward_imports(path, text)),
    );
    assert_eq!(
        upward_imports("src/core/units.rs", "use crate::price::Price;").len(),
        1
    );
    assert_eq!(
        upward_imports(
            "src/core/sse.rs",
            "use crate::{units::Tokens,\n  routing::{Chain, Target}};"
        )
        .len(),
        1
    );
    assert_eq!(
        upward_imports("src/core/price.rs", "fn f() { crate::gateway::run(); }").len(),
        1
    );
    assert_eq!(
        upward_imports("src/core/dialect/openai.rs", "use crate::config::Config;").len(),
        1
    );
    assert_eq!(
        upward_imports("src/core/price.rs", "use super::attempt;").len(),
        1
    );
    assert_eq!(upward_imports("src/core/newcomer.rs", "").len(), 1);
    assert_eq!(
        upward_imports(
            "src/core/gateway/mod.rs",
            "use crate::{units, price::Price}; // crate::nothing"
        )
        .len(),
        0
    );
}

#[test]
fn the_core_does_no_input_and_output() {
    let sources = rust_under("src/core/");
    none(sources.iter().flat_map(|(path, text)| impure(path, text)));
    for bad in [
        "use tokio::time;",
        "std::fs::read(x)",
        "use std::net::{IpAddr, TcpStream};",
        "use std::net::ToSocketAddrs;",
    ] {
        assert_eq!(impure("x.rs", bad).len(), 1, "{bad}");
    }
    for good in [
        "use std::net::IpAddr;",
        "use std::net::{IpAddr, Ipv4Addr};",
        "// not tokio",
        "\"tokio\"",
    ] {
        assert_eq!(impure("x.rs", good).len(), 0, "{good}");
    }
}

#[test]
fn only_the_border_touches_the_host() {
    let sources = rust_under("");
    none(
        sources
            .iter()
            .flat_map(|(path, text)| unsafe_or_hostcalls(path, text)),
    );
    assert_eq!(
        unsafe_or_hostcalls("src/filter/gateway.rs", "#[unsafe(no_mangle)]").len(),
        1
    );
    assert_eq!(
        unsafe_or_hostcalls("src/core/sse.rs", "unsafe { x() }").len(),
        1
    );
    assert_eq!(
        unsafe_or_hostcalls(BORDER[0], "unsafe { hostcalls::log() }").len(),
        0
    );
    assert_eq!(
        unsafe_or_hostcalls("src/core/sse.rs", "// no unsafe, no hostcalls").len(),
        0
    );
}

#[test]
fn crates_depend_only_on_those_below() {
    let manifests = tracked()
        .into_iter()
        .filter(|path| path.starts_with("src/") && path.ends_with("/Cargo.toml"));
    none(manifests.flat_map(|path| upward_dependencies(&path, &read(&path))));
    assert_eq!(
        upward_dependencies("src/core/Cargo.toml", "tollgate.workspace = true").len(),
        1
    );
    assert_eq!(upward_dependencies("src/newcomer/Cargo.toml", "").len(), 1);
    assert_eq!(
        upward_dependencies(
            "src/cli/Cargo.toml",
            "name = \"tollgate\"\ntollgate-core.workspace = true"
        )
        .len(),
        0
    );
}

fn upward_imports(path: &str, text: &str) -> Vec<String> {
    let module = path
        .trim_start_matches("src/core/")
        .split(['/', '.'])
        .next()
        .unwrap();
    if ["lib", "bench", "benches", "build"].contains(&module) {
        return Vec::new();
    }
    let Some(layer) = layer_of(module) else {
        return vec![format!("{path}: give `{module}` a layer in CORE_LAYERS")];
    };
    imports(&code_of(text))
        .into_iter()
        // Only tests know it, and they may be anybody's.
        .filter(|other| other != module && other != "testing")
        .filter(|other| {
            let above = layer_of(other).is_some_and(|theirs| theirs > layer);
            above || CORE_FORBIDDEN.contains(&(module, other))
        })
        .map(|other| format!("{path}: `{module}` must not know `{other}`"))
        .collect()
}

fn layer_of(module: &str) -> Option<usize> {
    CORE_LAYERS.iter().position(|layer| layer.contains(&module))
}

/// The core modules that a source names: after `crate::` and `super::`, alone or in braces.
fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for prefix in ["crate::", "super::"] {
        for (at, _) in code.match_indices(prefix) {
            let rest = &code[at + prefix.len()..];
            match rest.strip_prefix('{') {
                Some(group) => found.extend(group_heads(group)),
                None => found.extend(first_name(rest)),
            }
        }
    }
    found
}

/// The first name of each member of a group in braces, whatever is nested in them.
fn group_heads(group: &str) -> Vec<String> {
    let (mut depth, mut member, mut heads) = (0_usize, String::new(), Vec::new());
    for character in group.chars() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.extend(first_name(&std::mem::take(&mut member))),
            _ if depth == 0 => member.push(character),
            _ => {}
        }
    }
    heads.extend(first_name(&member));
    heads
}

fn impure(path: &str, text: &str) -> Vec<String> {
    let code = code_of(text);
    let mut complaints: Vec<_> = CORE_WITHOUT
        .iter()
        .filter(|(word, _)| has_word(&code, word))
        .map(|(word, why)| format!("{path}: `{word}`: {why}"))
        .collect();
    let addresses = [
        "IpAddr",
        "Ipv4Addr",
        "Ipv6Addr",
        "SocketAddr",
        "SocketAddrV4",
        "SocketAddrV6",
        "AddrParseError",
    ];
    for (at, _) in code.match_indices("std::net::") {
        let rest = &code[at + "std::net::".len()..];
        let names = rest
            .strip_prefix('{')
            .map_or_else(|| first_name(rest).into_iter().collect(), group_heads);
        let sockets = names.iter().filter(|name| {
            !addresses.contains(&name.as_str())
                && !complaints.iter().any(|said| said.contains(*name))
        });
        let said: Vec<_> = sockets
            .map(|name| format!("{path}: of std::net the core knows addresses, not `{name}`"))
            .collect();
        complaints.extend(said);
    }
    complaints
}

fn unsafe_or_hostcalls(path: &str, text: &str) -> Vec<String> {
    if BORDER.contains(&path) {
        return Vec::new();
    }
    let code = code_of(text);
    ["unsafe", "hostcalls"]
        .iter()
        .filter(|word| has_word(&code, word))
        .map(|word| format!("{path}: `{word}` belongs into {}", BORDER.join(" or ")))
        .collect()
}

fn upward_dependencies(path: &str, manifest: &str) -> Vec<String> {
    let folder = path.trim_end_matches("/Cargo.toml");
    let Some((_, allowed)) = CRATE_LAYERS.iter().find(|(name, _)| *name == folder) else {
        return vec![format!("{path}: give this crate a line in CRATE_LAYERS")];
    };
    let dependencies = manifest
        .lines()
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| name.starts_with("tollgate"));
    dependencies
        .filter(|name| !allowed.contains(name))
        .map(|name| format!("{path}: must not depend on {name}"))
        .collect()
}
