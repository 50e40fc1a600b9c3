//! Where mutants come from: the inputs of the golden files.

use std::fs;
use std::path::Path;

fn golden(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("dialect/golden");
    let mut files: Vec<_> = fs::read_dir(root.join(folder))
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    let texts = files.iter().map(|file| fs::read_to_string(file).unwrap());
    texts
        .flat_map(|text| {
            let body = text.strip_prefix("=== ").unwrap();
            let sections = body.split("\n=== ").map(|section| {
                let (head, rest) = section.split_once('\n').unwrap();
                let input = rest.split("\n--- ").next().unwrap();
                (head.to_owned(), input.trim_end().to_owned())
            });
            sections.collect::<Vec<_>>()
        })
        .collect()
}

fn of(kind: impl Fn(&str) -> bool) -> Vec<Vec<u8>> {
    let all = golden("replies").into_iter();
    all.filter(|(head, _)| kind(head.split(' ').nth(1).unwrap()))
        .map(|(_, input)| format!("{input}\n\n").into_bytes())
        .collect()
}

pub(crate) fn requests() -> Vec<Vec<u8>> {
    let all = golden("requests").into_iter();
    all.map(|(_, input)| input.into_bytes()).collect()
}

pub(crate) fn streams() -> Vec<Vec<u8>> {
    of(|kind| kind == "stream")
}

pub(crate) fn wholes() -> Vec<Vec<u8>> {
    of(|kind| kind == "whole")
}

pub(crate) fn errors() -> Vec<Vec<u8>> {
    of(|kind| kind.parse::<u16>().is_ok())
}

pub(crate) fn json() -> Vec<Vec<u8>> {
    let mut all = requests();
    all.extend(wholes());
    all
}

pub(crate) fn wire() -> Vec<Vec<u8>> {
    let mut all = streams();
    all.truncate(20);
    all
}

pub(crate) fn native() -> Vec<Vec<u8>> {
    let mut all = streams();
    all.extend(wholes());
    all
}

/// As browsers and SDKs write them.
pub(crate) fn forms() -> Vec<Vec<u8>> {
    let part = |head: &str, value: &str| {
        format!("--xyz\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n")
    };
    let file = part(
        "name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav",
        "RIFF\r\n--xy\r\n\0",
    );
    let model = part("name=\"model\"", "whisper-1");
    let stream = part("name=\"stream\"", "true");
    let count = part("name=\"n\"", "2");
    [
        format!("{model}{file}--xyz--\r\n"),
        format!("{file}{stream}{count}{model}--xyz--"),
        format!(
            "{model}{}--xyz--\r\nepilogue",
            part("name=\"prompt\"", "model")
        ),
    ]
    .map(String::into_bytes)
    .to_vec()
}
