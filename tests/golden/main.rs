//! Golden files of the dialects: what every provider gets for every client request, and what every client
//! gets for every recorded reply. `TOLLGATE_GOLDEN=write` writes them anew; then the diff is the review.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "a test may stop at the first surprise"
)]

mod replies;
mod requests;

use std::fs;
use std::path::{Path, PathBuf};

/// What one input was and what came of it.
struct Section {
    head: String,
    input: String,
}

/// Reads each file's inputs, lets `answer` say what comes of them, and compares or writes.
fn walk(folder: &str, least: usize, answer: impl Fn(&Section) -> String) {
    let mut files: Vec<PathBuf> = fs::read_dir(root().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= least, "{folder} holds {} cases", files.len());
    let writes = std::env::var("TOLLGATE_GOLDEN").is_ok_and(|mode| mode == "write");
    let mut differ = Vec::new();
    for file in files {
        let before = fs::read_to_string(&file).unwrap();
        let after: String = sections(&before)
            .iter()
            .map(|section| {
                format!(
                    "=== {}\n{}\n{}",
                    section.head,
                    section.input,
                    answer(section)
                )
            })
            .collect();
        if writes {
            fs::write(&file, &after).unwrap();
        } else if after != before {
            differ.push(first_difference(&file, &before, &after));
        }
    }
    assert!(
        differ.is_empty(),
        "{}\n\nIf this is meant: TOLLGATE_GOLDEN=write cargo nextest run -p tollgate-core --test golden",
        differ.join("\n\n")
    );
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dialect/golden")
}

fn sections(text: &str) -> Vec<Section> {
    let body = text
        .strip_prefix("=== ")
        .expect("a case begins with `=== `");
    body.split("\n=== ")
        .map(|section| {
            let (head, rest) = section.split_once('\n').unwrap();
            let input = rest.split("\n--- ").next().unwrap();
            Section {
                head: head.to_owned(),
                input: input.trim_end_matches('\n').to_owned(),
            }
        })
        .collect()
}

fn first_difference(file: &Path, before: &str, after: &str) -> String {
    let name = file.file_name().unwrap().to_string_lossy();
    let pairs = before.lines().zip(after.lines());
    let (number, (was, is)) = pairs
        .enumerate()
        .find(|(_, (was, is))| was != is)
        .unwrap_or_else(|| (before.lines().count(), ("(end)", "(more or less)")));
    format!("{name}, line {}\n  was {was}\n  is  {is}", number + 1)
}
