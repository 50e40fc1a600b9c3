//! Makes the tables: merges of both vocabularies, and the class of every character.
//! They are made anew in each build and not kept in the repository: 1.7 MB of data that nobody can
//! review, against two seconds of work that always fits the oracle of the tests.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::print_stdout,
    reason = "a build script may fail: it stops the build, not a gateway"
)]

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

mod classes;
#[path = "../hash.rs"]
mod hash;
mod perfect_hash;
mod vocabulary;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=hash.rs");
    let out = PathBuf::from(env::var("OUT_DIR")?);

    fs::write(out.join("classes.bin"), classes::table()?)?;
    let mut source = String::new();
    for (name, vocabulary) in [
        ("O200K", tiktoken_rs::o200k_base()?),
        ("CL100K", tiktoken_rs::cl100k_base()?),
    ] {
        let vocabulary = vocabulary::read(&vocabulary)?;
        let table = perfect_hash::build(&vocabulary.merges)?;
        let file = name.to_lowercase();
        fs::write(out.join(format!("{file}.pairs.bin")), &table.pairs)?;
        fs::write(out.join(format!("{file}.pilots.bin")), &table.pilots)?;
        writeln!(
            source,
            "pub(crate) static {name}: Layout = Layout {{
    byte_tokens: {:?},
    lowest: {},
    pairs: include_bytes!(\"{file}.pairs.bin\"),
    buckets: {},
    pilots: include_bytes!(\"{file}.pilots.bin\"),
    slots: {},
}};",
            vocabulary.byte_tokens, vocabulary.lowest, table.bucket_count, table.slot_count,
        )?;
    }
    fs::write(out.join("layouts.rs"), source)?;
    Ok(())
}
