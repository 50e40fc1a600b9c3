//! The README is run: its requests are answered, its commands work, its links lead somewhere.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "in tests a failure is what an unwrap is for"
)]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use tollgate_tests::{Gateway, Setup, program};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A block between fences: what stands behind the first fence, and what is inside.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    tag: String,
    text: String,
}

fn blocks(markdown: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in markdown.lines() {
        open = match (open.take(), line.strip_prefix("```")) {
            (None, None) => None,
            (None, Some(tag)) => Some(Block {
                tag: tag.to_owned(),
                text: String::new(),
            }),
            (Some(block), Some(_)) => {
                blocks.push(block);
                None
            }
            (Some(mut block), None) => {
                block.text += line;
                block.text += "\n";
                Some(block)
            }
        };
    }
    assert_eq!(open, None, "a block is not closed");
    blocks
}

fn blocks_of(tag: &str) -> Vec<String> {
    let found = blocks(&read("README.md"))
        .into_iter()
        .filter(|block| block.tag == tag);
    let found: Vec<_> = found.map(|block| block.text).collect();
    assert!(!found.is_empty(), "the README has no block `{tag}`");
    found
}

/// Replaces what must be there, so that no test runs against what happens to listen there.
fn replaced(text: &str, places: &[(&str, String)]) -> String {
    places
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// Runs it at the root of the tree; what it printed.
fn runs(command: &mut Command) -> String {
    let output = command
        .current_dir(root())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{errors}",
        output.status
    );
    String::from_utf8(output.stdout).unwrap()
}

fn shell(text: &str) -> Command {
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", text]);
    command
}

/// The example as it is shipped, on other ports.
fn example() -> Gateway {
    let shipped = read("envoy/gateway.yaml");
    let places = [
        ("address: 127.0.0.1:10000", "address: {listen}"),
        ("address: 127.0.0.1:9901", "address: {admin}"),
        ("listen: 127.0.0.1:7600", "listen: {budget}"),
        ("admin: 127.0.0.1:7601", "admin: {budget-admin}"),
        ("fake: 127.0.0.1:7711", "url: http://{alpha}/v1"),
        ("fake: 127.0.0.1:7712", "url: http://{beta}/v1"),
        ("fake: 127.0.0.1:7713", "url: http://{local}/v1"),
    ];
    for (from, _) in places {
        assert_eq!(shipped.matches(from).count(), 1, "{from}");
    }
    let config = replaced(&shipped, &places.map(|(from, to)| (from, to.to_owned())));
    Setup::of(&config).start()
}

fn places(gateway: &Gateway) -> [(&'static str, String); 2] {
    [
        ("127.0.0.1:10000", gateway.address().to_string()),
        (
            "127.0.0.1:7711",
            gateway.provider("alpha").address().to_string(),
        ),
    ]
}

/// What a block asks, and the practice provider repeats.
fn question(block: &str) -> &str {
    let (_, rest) = block
        .split_once("\"content\": \"")
        .unwrap_or_else(|| panic!("nothing is asked in {block}"));
    rest.split_once('"').unwrap().0
}

#[test]
fn every_request_in_the_readme_is_answered() {
    let gateway = example();
    for block in blocks_of("sh curl") {
        let said = runs(&mut shell(&replaced(&block, &places(&gateway))));
        let answer = format!("heard: {}", question(&block));
        assert!(said.contains(&answer), "{block}\n{said}");
    }
    let python = env::var_os("TOLLGATE_SDK_PYTHON")
        .map_or_else(|| root().join(".tools/python/bin/python"), PathBuf::from);
    for block in blocks_of("python sdk") {
        let said = runs(
            Command::new(&python)
                .arg("-c")
                .arg(replaced(&block, &places(&gateway))),
        );
        assert_eq!(said, format!("alpha heard: {}", question(&block)));
    }
    // The README breaks alpha, sees beta answer, and mends alpha again.
    assert_eq!(
        gateway.attempts(),
        ["alpha 200", "alpha 503", "beta 200", "alpha 200"]
    );
}

#[test]
fn every_command_in_the_readme_works() {
    let folder = TempDir::with_prefix("tollgate-readme-").unwrap();
    let program = program().canonicalize().unwrap();
    let path = env::join_paths(
        [program.parent().unwrap().to_owned()]
            .into_iter()
            .chain(env::split_paths(&env::var_os("PATH").unwrap())),
    );
    let out = folder.path().join("out");
    for block in blocks_of("sh tollgate") {
        let block = replaced(&block, &[("/tmp/tollgate-out", out.display().to_string())]);
        runs(shell(&block).env("PATH", path.as_ref().unwrap()));
    }
    assert!(
        out.join("envoy.yaml").is_file(),
        "what it says it renders is there"
    );
}

/// What follows `make` in blocks and between backticks, up to a comment.
fn make_commands(markdown: &str) -> Vec<String> {
    let outside: String = markdown.split("```").step_by(2).collect();
    let blocks = blocks(markdown);
    let spans = outside.split('`').skip(1).step_by(2);
    let lines = blocks
        .iter()
        .filter(|block| block.tag == "sh")
        .flat_map(|block| block.text.lines());
    let arguments = |text: &str| {
        let text = text.split(" #").next().unwrap_or_default().trim();
        let (before, arguments) = text.split_once("make ")?;
        let assignments = before.split_whitespace().all(|word| word.contains('='));
        assignments.then(|| arguments.to_owned())
    };
    spans.chain(lines).filter_map(arguments).collect()
}

#[test]
fn every_make_target_in_the_readme_exists() {
    let text = "`make` and `make a`, `KEY=x make b C=d`; remake c\n```sh\nmake e  # does e\n```\n```text\nmake f\n```\n`make g`";
    assert_eq!(make_commands(text), ["a", "b C=d", "g", "e"]);
    let commands = make_commands(&read("README.md"));
    assert!(
        ["run", "test", "help"]
            .iter()
            .all(|target| commands.iter().any(|command| command == target)),
        "{commands:?}"
    );
    for command in commands {
        runs(
            Command::new("make")
                .arg("--dry-run")
                .args(command.split_whitespace())
                .env_remove("MAKEFLAGS"),
        );
        let files = command
            .split_whitespace()
            .filter_map(|word| word.strip_prefix("CONFIG="));
        for file in files {
            assert!(root().join(file).is_file(), "make {command}");
        }
    }
}

#[test]
fn no_block_of_the_readme_escapes_its_test() {
    let run = ["sh curl", "python sdk", "sh tollgate", "sh", "text"];
    for block in blocks(&read("README.md")) {
        assert!(
            run.contains(&block.tag.as_str()),
            "no test runs a block of `{}`",
            block.tag
        );
        if block.tag == "sh" {
            assert!(
                block.text.lines().all(|line| line.starts_with("make ")),
                "{}",
                block.text
            );
        }
    }
}

#[test]
fn the_readme_names_the_envoys_that_are_tested() {
    let scripts = read("scripts/common.sh");
    let (_, rest) = scripts.split_once("ENVOY_VERSIONS=\"").unwrap();
    let versions: Vec<_> = rest.split('"').next().unwrap().split_whitespace().collect();
    let readme = read("README.md");
    let (_, said) = readme.split_once("tested on ").unwrap();
    let said = said.split_once(". ").unwrap().0.replace(" and ", ", ");
    assert_eq!(said.split(", ").collect::<Vec<_>>(), versions);
}

/// Targets of links that are no address and no place in the same file.
fn relative_links(markdown: &str) -> Vec<String> {
    let targets = markdown
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'));
    let targets = targets.map(|(target, _)| target.split('#').next().unwrap_or_default());
    targets
        .filter(|target| !target.is_empty() && !target.contains(':'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_relative_link_leads_somewhere() {
    let text = "[a](b/c.md) [d](https://e.f/g) [`h`](#i)\n[j](k.md#l)";
    assert_eq!(relative_links(text), ["b/c.md", "k.md"]);
    let documents = fs::read_dir(root().join("src"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let documents =
        documents.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let mut documents: Vec<_> = documents.collect();
    assert!(documents.len() >= 3, "{documents:?}");
    documents.push(root().join("README.md"));
    assert!(relative_links(&read("README.md")).len() >= 3);
    for document in documents {
        for link in relative_links(&fs::read_to_string(&document).unwrap()) {
            assert!(
                document.with_file_name(&link).exists(),
                "{}: {link}",
                document.display()
            );
        }
    }
}
