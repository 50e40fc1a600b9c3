//! What can be known of the containers without an engine to run them.

use crate::source::{none, read, root, tracked};

const COMPOSE: &str = "envoy/docker-compose.yaml";

#[test]
fn every_path_taken_from_the_tree_exists() {
    let files = tracked()
        .into_iter()
        .filter(|path| path == COMPOSE || path.ends_with(".Dockerfile"));
    let named: Vec<_> = files.flat_map(|path| paths(&read(&path))).collect();
    assert!(named.len() > 5, "the rule finds paths: {named:?}");
    none(
        named
            .into_iter()
            .filter(|path| !root().join(path).exists())
            .map(|path| format!("a container needs {path}, which does not exist")),
    );
}

#[test]
fn paths_are_found_wherever_they_are_named() {
    let cases: [(&str, &[&str]); 5] = [
        ("COPY Cargo.toml src /x/", &["Cargo.toml", "src"]),
        ("COPY --from=builder /x /y", &[]),
        (
            "      dockerfile: envoy/docker/a.Dockerfile",
            &["envoy/docker/a.Dockerfile"],
        ),
        (
            "      - ./gateway.yaml:/config/gateway.yaml:ro",
            &["envoy/gateway.yaml"],
        ),
        ("      - rendered:/etc/tollgate", &[]),
    ];
    for (line, want) in cases {
        assert_eq!(paths(line), want, "{line}");
    }
}

#[test]
fn the_published_port_is_the_one_that_the_example_listens_on() {
    let (compose, example) = (read(COMPOSE), read("envoy/gateway.yaml"));
    let opened = r"s/^  address: 127\.0\.0\.1:10000$$/  address: 0.0.0.0:10000/";
    assert!(example.contains("\n  address: 127.0.0.1:10000\n"));
    assert!(compose.contains(opened), "the containers open that address");
    assert!(
        compose.contains("- \"127.0.0.1:10000:10000\""),
        "and publish it on loopback alone"
    );
    let fakes = example
        .lines()
        .filter(|line| line.trim_start().starts_with("fake: 127.0.0.1:"));
    assert!(
        fakes.count() > 1,
        "the containers start a provider for each such line"
    );
}

/// Images are built from the top of the tree; a mount is relative to the compose file.
fn paths(text: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(dockerfile) = line.strip_prefix("dockerfile: ") {
            paths.push(dockerfile.to_owned());
        }
        if let Some((mounted, _)) = line
            .strip_prefix("- ./")
            .and_then(|mount| mount.split_once(':'))
        {
            paths.push(format!("envoy/{mounted}"));
        }
        if let Some(words) = line
            .strip_prefix("COPY ")
            .filter(|words| !words.starts_with("--from"))
        {
            let words: Vec<_> = words.split_whitespace().map(str::to_owned).collect();
            paths.extend_from_slice(&words[..words.len() - 1]);
        }
    }
    paths
}
