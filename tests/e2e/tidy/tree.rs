//! What lies in the tree: how long, where, and whether it is finished.

use crate::source::{first_name, has_word, none, read, root, rust_under, tracked};
use std::{collections::BTreeSet, fs, path::Path};
use tollgate_core::dialect::speak::Provider;
use tollgate_core::dialect::tables::providers;
use tollgate_core::endpoint::ENDPOINTS;

const TOP_LEVEL: &[&str] = &[
    ".ci",
    ".clippy.toml",
    ".config",
    ".deny.toml",
    ".gitignore",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "Makefile",
    "README.md",
    "envoy",
    "scripts",
    "src",
    "tests",
];

const LINES_MAX: usize = 700;

const FILE_BYTES_MAX: u64 = 200_000;

/// Tables of data, which nobody reads from top to bottom.
const LONG_FILES: &[&str] = &[];

const BIG_FILES: &[&str] = &["Cargo.lock", "src/core/catalogue/models.jsonl"];

/// Written by a program: what they say, they say elsewhere.
const MADE_FILES: &[&str] = &["src/wire/messages.rs", "src/budget/rpc.rs"];

#[test]
fn no_source_file_is_long_and_each_says_what_it_is() {
    let sources = rust_under("");
    none(
        sources
            .iter()
            .flat_map(|(path, text)| long_or_nameless(path, text)),
    );
    assert_eq!(
        long_or_nameless("a.rs", &format!("//! A.\n{}", "\n".repeat(LINES_MAX))).len(),
        1
    );
    assert_eq!(long_or_nameless("a.rs", "use std::fs;\n").len(), 1);
}

#[test]
fn every_path_named_in_the_architecture_exists() {
    let text = read("src/ARCHITECTURE.md");
    assert!(
        paths_in(&text).len() > 5,
        "the rule reads backticks: {:?}",
        paths_in(&text)
    );
    none(
        paths_in(&text)
            .into_iter()
            .filter(|path| !root().join(path).exists())
            .map(|path| format!("ARCHITECTURE.md names `{path}`, which does not exist")),
    );
    assert_eq!(
        paths_in("`src/core/` and `x-header`, `:status: 503`, `a -> b/c`"),
        ["src/core/"]
    );
}

#[test]
fn the_page_on_dialects_names_every_endpoint_and_every_dialect() {
    let text = read("src/DIALECTS.md");
    let endpoints = ENDPOINTS.iter().map(|endpoint| endpoint.path);
    let missing = |name: &&str| !has_word(&text, name);
    none(
        endpoints
            .chain(providers().map(Provider::name))
            .filter(missing)
            .map(|name| format!("src/DIALECTS.md does not name `{name}`")),
    );
    assert!(missing(&"/v1/batches"));
}

#[test]
fn nothing_is_left_undone() {
    let kept = tracked().into_iter().filter(|path| {
        ["src/", "tests/", "scripts/", "envoy/"]
            .iter()
            .any(|top| path.starts_with(top))
    });
    none(
        kept.filter_map(|path| Some((fs::read_to_string(root().join(&path)).ok()?, path)))
            .flat_map(|(text, path)| undone(&path, &text)),
    );
    for word in unfinished_words() {
        assert_eq!(
            undone("a.rs", &format!("let a = 1; // {word} b")).len(),
            1,
            "{word}"
        );
    }
    assert_eq!(undone("a.rs", "let key = \"aXXXXb\";").len(), 0);
}

#[test]
fn the_tree_holds_no_big_file_and_no_stray_one() {
    let files = tracked();
    none(files.iter().flat_map(|path| {
        stray_or_big(
            path,
            fs::metadata(root().join(path)).map_or(0, |file| file.len()),
        )
    }));
    assert_eq!(stray_or_big("notes.txt", 1).len(), 1);
    assert_eq!(
        stray_or_big("src/core/table.rs", FILE_BYTES_MAX + 1).len(),
        1
    );
}

#[test]
fn every_make_target_is_explained_and_runs_a_script_that_exists() {
    none(make_complaints(&read("Makefile")));
    assert_eq!(make_complaints(".PHONY: a\na: b\n\t@c\n").len(), 1);
    assert_eq!(make_complaints("a: ## Does a\n").len(), 1);
    assert_eq!(
        make_complaints(".PHONY: a\na: ## Does a\n\t@scripts/nowhere\n").len(),
        1
    );
}

#[test]
fn every_script_stops_at_its_first_error() {
    let scripts = tracked().into_iter().filter(|path| {
        path == ".ci/run" || (path.starts_with("scripts/") && Path::new(path).extension().is_none())
    });
    none(scripts.flat_map(|path| careless_script(&path, &read(&path))));
    assert_eq!(careless_script("scripts/a", "#!/bin/sh\nls\n").len(), 1);
}

fn long_or_nameless(path: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    if text.lines().count() > LINES_MAX && !LONG_FILES.contains(&path) {
        complaints.push(format!(
            "{path}: {} lines, at most {LINES_MAX}: divide it by what it does",
            text.lines().count()
        ));
    }
    if !text.starts_with("//!") && !MADE_FILES.contains(&path) {
        complaints.push(format!(
            "{path}: begin with `//!` and say what the file is for"
        ));
    }
    complaints
}

fn paths_in(text: &str) -> Vec<&str> {
    let quoted = text
        .lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2));
    quoted
        .filter(|word| {
            word.contains('/') && !word.contains([' ', ':', '<', '*']) && !word.starts_with('/')
        })
        .collect()
}

/// Put together here, so that this file does not complain about itself.
fn unfinished_words() -> Vec<String> {
    [
        ("TO", "DO"),
        ("FIX", "ME"),
        ("XX", "X"),
        ("todo", "!"),
        ("unimplemented", "!"),
    ]
    .iter()
    .map(|(a, b)| format!("{a}{b}"))
    .collect()
}

fn undone(path: &str, text: &str) -> Vec<String> {
    let words = unfinished_words();
    let lines = text.lines().enumerate();
    lines
        .filter_map(|(number, line)| {
            Some((number + 1, words.iter().find(|word| has_word(line, word))?))
        })
        .map(|(number, word)| format!("{path}:{number}: {word}: do it, or write an issue"))
        .collect()
}

fn stray_or_big(path: &str, bytes: u64) -> Vec<String> {
    let mut complaints = Vec::new();
    if !TOP_LEVEL.contains(&path.split('/').next().unwrap()) {
        complaints.push(format!("{path}: the top level holds only {TOP_LEVEL:?}"));
    }
    if bytes > FILE_BYTES_MAX && !BIG_FILES.contains(&path) {
        complaints.push(format!("{path}: {bytes} bytes, at most {FILE_BYTES_MAX}"));
    }
    complaints
}

fn make_complaints(makefile: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let phony: BTreeSet<_> = makefile
        .lines()
        .filter_map(|line| line.strip_prefix(".PHONY: "))
        .flat_map(str::split_whitespace)
        .collect();
    for line in makefile.lines() {
        let target = first_name(line).filter(|name| {
            line[name.len()..].starts_with(':') && !line[name.len()..].starts_with(":=")
        });
        if let Some(target) = target {
            if !line.contains("## ") {
                complaints.push(format!("make {target}: say what it does, after `##`"));
            }
            if !phony.contains(target.as_str()) {
                complaints.push(format!("make {target}: missing in .PHONY"));
            }
        }
        let scripts = line
            .match_indices("scripts/")
            .map(|(at, _)| line[at..].split([' ', ')', ';']).next().unwrap());
        complaints.extend(
            scripts
                .filter(|script| !root().join(script).exists())
                .map(|script| format!("Makefile: no {script}")),
        );
    }
    complaints
}

fn careless_script(path: &str, text: &str) -> Vec<String> {
    let careful =
        text.starts_with("#!/usr/bin/env bash\n") && text.contains("\nset -euo pipefail\n");
    if careful {
        Vec::new()
    } else {
        vec![format!(
            "{path}: begin with `#!/usr/bin/env bash` and `set -euo pipefail`"
        )]
    }
}
