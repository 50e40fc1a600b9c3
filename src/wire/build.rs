//! Messages from `budget.proto`. The compiler of protocol buffers is a library here: nothing has to be installed.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=budget.proto");
    let files = protox::compile(["budget.proto"], ["."])?;
    prost_build::Config::new().compile_fds(files)?;
    Ok(())
}
