//! The service's side of `budget.proto`, and the client that tests call it with. The messages are those of tollgate-wire.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=../wire/budget.proto");
    let files = protox::compile(["../wire/budget.proto"], ["../wire"])?;
    tonic_prost_build::configure()
        .extern_path(".tollgate.budget.v1", "::tollgate_wire::proto")
        .compile_fds(files)?;
    Ok(())
}
