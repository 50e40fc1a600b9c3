//! A program that this one starts, and that does not outlive it, however it ends.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, getppid, kill_process};
use tokio::process::Command;
use tokio::time::timeout;

use super::Options;

/// Between the request to stop and the end of patience.
const STOP_WITHIN: Duration = Duration::from_secs(5);
/// How many lines of the log an error quotes, and how much of each.
const LAST_LINES: usize = 5;
const LINE_CHARS: usize = 400;

pub(super) struct Child {
    /// What messages call it.
    what: &'static str,
    child: tokio::process::Child,
    log: PathBuf,
}

impl Child {
    /// Starts it through this program, so that the kernel ends it if this one is killed.
    pub(super) fn start(
        what: &'static str,
        program: &Path,
        arguments: Vec<OsString>,
        log: PathBuf,
        options: &Options,
    ) -> Result<Self, String> {
        let log_to = File::create(&log)
            .map_err(|error| format!("cannot write {}: {error}", log.display()))?;
        let child = Command::new(&options.program)
            .arg("exec-with-parent")
            .arg(std::process::id().to_string())
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(log_to)
            // A Ctrl-C reaches the whole group; this one is stopped by us, and in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("cannot start {what}: {error}"))?;
        Ok(Self { what, child, log })
    }

    /// Returns when it has ended, with the reason as far as its log tells it.
    pub(super) async fn ended(&mut self) -> String {
        let how = match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        self.with_its_last_words(&format!("{} has ended ({how})", self.what))
    }

    /// What happened, and what the log says about it.
    pub(super) fn with_its_last_words(&self, what: &str) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let words = last_words(&String::from_utf8_lossy(&log));
        let place = self.log.display();
        if words.is_empty() {
            return format!("{what}; its log is empty: {place}");
        }
        format!(
            "{what}; its log ({place}) ends with\n  {}",
            words.join("\n  ")
        )
    }

    /// Asks it to stop, then insists.
    pub(super) async fn stop(&mut self) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        let Some(pid) = id.and_then(Pid::from_raw) else {
            return;
        };
        // Gone already: nothing to wait for either.
        if kill_process(pid, Signal::TERM).is_ok()
            && timeout(STOP_WITHIN, self.child.wait()).await.is_ok()
        {
            return;
        }
        // Whatever comes back, there is nothing more that could be done.
        let _ = self.child.kill().await;
    }
}

/// The last lines that tell of trouble; where none does, the last lines.
fn last_words(log: &str) -> Vec<String> {
    let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    let trouble = |line: &&&str| {
        let levels = ["[warning]", "[error]", "[critical]"];
        levels.iter().any(|level| line.contains(level))
    };
    let told: Vec<&&str> = lines.iter().filter(trouble).collect();
    let told = if told.is_empty() {
        lines.iter().collect()
    } else {
        told
    };
    let skipped = told.len().saturating_sub(LAST_LINES);
    told.into_iter()
        .skip(skipped)
        .map(|line| line.chars().take(LINE_CHARS).collect())
        .collect()
}

/// Becomes `program`, which dies when its parent dies, even by SIGKILL. A child cannot be told so
/// from outside without unsafe code, so this process does it to itself before it becomes the program.
/// Returns only if that fails.
pub fn exec_with_parent(parent: u32, program: &Path, arguments: &[String]) -> io::Error {
    if let Err(error) = die_with_parent() {
        return error;
    }
    let is_parent =
        |pid: Pid| u32::try_from(pid.as_raw_nonzero().get()).is_ok_and(|pid| pid == parent);
    if !getppid().is_some_and(is_parent) {
        return io::Error::other("the parent has ended already");
    }
    std::process::Command::new(program).args(arguments).exec()
}

#[cfg(target_os = "linux")]
fn die_with_parent() -> io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(
        Signal::KILL,
    ))?)
}

/// Other systems know no such wish: there Envoy stays if this program is killed by SIGKILL.
#[cfg(not(target_os = "linux"))]
fn die_with_parent() -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_are_about_the_trouble() {
        let mut log = String::from("[info] begin\n\n[critical] refused\n[info] exiting\n");
        assert_eq!(last_words(&log), ["[critical] refused"]);
        for number in 0..9 {
            log.push_str(&format!("[error] {number}\n"));
        }
        let want: Vec<String> = (4..9).map(|number| format!("[error] {number}")).collect();
        assert_eq!(last_words(&log), want);
        assert_eq!(last_words("one\ntwo\n"), ["one", "two"]);
        assert_eq!(last_words(&"x".repeat(10_000)), ["x".repeat(LINE_CHARS)]);
        assert!(last_words("\n").is_empty());
    }
}
