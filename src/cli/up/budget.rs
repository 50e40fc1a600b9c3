//! The budget service, where the configuration has it started here.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tollgate_budget::grpc;
use tollgate_core::config::deploy::LocalBudget;

use super::Options;
use super::address::reachable;
use super::child::Child;

/// It reads what is live of its store before it answers.
const READY_WITHIN: Duration = Duration::from_secs(30);
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// Starts it and waits until it answers: Envoy's filter asks it from the first moment on.
pub(super) async fn start(
    local: &LocalBudget,
    directory: &Path,
    options: &Options,
) -> Result<Child, String> {
    let arguments: Vec<OsString> = vec![
        "budget-service".into(),
        "--config".into(),
        options.config.clone().into(),
        "--data".into(),
        directory.into(),
    ];
    let log = directory.join("budget-service.log");
    let program = &options.program;
    let mut child = Child::start("the budget service", program, arguments, log, options)?;
    let address = reachable(local.listen);
    let answers = async {
        while !grpc::answers(address).await {
            sleep(ASK_AGAIN_AFTER).await;
        }
    };
    tokio::select! {
        ended = child.ended() => return Err(ended),
        answered = timeout(READY_WITHIN, answers) => {
            if answered.is_ok() {
                return Ok(child);
            }
        }
    }
    let seconds = READY_WITHIN.as_secs();
    let words = format!("the budget service did not answer within {seconds} s");
    Err(child.with_its_last_words(&words))
}
