//! Envoy, with the configuration that was rendered for it.

use std::ffi::OsString;
use std::path::Path;

use super::Options;
use super::child::Child;

pub(super) fn start(program: &Path, directory: &Path, options: &Options) -> Result<Child, String> {
    let mut arguments: Vec<OsString> = vec![
        "--config-path".into(),
        directory.join("envoy.yaml").into(),
        "--disable-hot-restart".into(),
        // A line a request should be seen while the request is remembered.
        "--file-flush-interval-msec".into(),
        "200".into(),
    ];
    if let Some(workers) = options.concurrency {
        arguments.extend(["--concurrency".into(), workers.to_string().into()]);
    }
    let log = directory.join("envoy.log");
    Child::start("Envoy", program, arguments, log, options)
}
