//! `messages.rs` is what `budget.proto` says. `TOLLGATE_GOLDEN=write` writes it anew.

use std::path::Path;

#[test]
fn the_messages_in_git_are_those_of_the_protocol() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let files = protox::compile([here.join("budget.proto")], [here]).unwrap();
    prost_build::Config::new()
        .out_dir(folder.path())
        .compile_fds(files)
        .unwrap();
    let made = folder.path().join("tollgate.budget.v1.rs");
    let made = std::fs::read_to_string(made).unwrap();
    let kept = here.join("messages.rs");
    if std::env::var("TOLLGATE_GOLDEN").as_deref() == Ok("write") {
        std::fs::write(&kept, &made).unwrap();
    }
    let kept = std::fs::read_to_string(kept).unwrap();
    assert!(
        made == kept,
        "budget.proto has changed: run this test with TOLLGATE_GOLDEN=write"
    );
}
