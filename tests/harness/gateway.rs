//! A running gateway, and what the world saw of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Child;
use std::process::Output;
use std::sync::Mutex;
use std::time::Duration;
use std::{fs, thread};

use serde_json::Value;
use tempfile::TempDir;
use tollgate::fake::{Fake, Seen};

use crate::budget;
use crate::client::{Call, Reply};
use crate::setup::{Launch, Outcome, Reserved, Setup, access_log, ask_to_end, envoy_log, stop};
use crate::wire::Wire;
use crate::{wait_for, within};

/// So much of Envoy's log is shown when a test fails.
const LOG_LINES_MAX: usize = 400;

/// A gateway with its Envoy and its providers. Dropped, it leaves nothing behind.
pub struct Gateway {
    fakes: BTreeMap<String, Fake>,
    child: Mutex<Option<Child>>,
    launch: Launch,
    listen: Reserved,
    admin: Reserved,
    budget: [Reserved; 2],
    directory: TempDir,
}

pub(crate) struct Parts {
    pub(crate) fakes: BTreeMap<String, Fake>,
    pub(crate) child: Child,
    pub(crate) launch: Launch,
    pub(crate) listen: Reserved,
    pub(crate) admin: Reserved,
    pub(crate) budget: [Reserved; 2],
    pub(crate) directory: TempDir,
}

impl Gateway {
    /// From a file in `tests/harness/gateways`, on the usual Envoy. For more say [`Setup::named`].
    pub fn start(name: &str) -> Self {
        Setup::named(name).start()
    }

    /// From the text of a `gateway.yaml`. For more say [`Setup::of`].
    pub fn with(config: &str) -> Self {
        Setup::of(config).start()
    }

    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            fakes: parts.fakes,
            child: Mutex::new(Some(parts.child)),
            launch: parts.launch,
            listen: parts.listen,
            admin: parts.admin,
            budget: parts.budget,
            directory: parts.directory,
        }
    }

    /// The fake provider of this name.
    pub fn provider(&self, name: &str) -> &Fake {
        let known: Vec<_> = self.fakes.keys().collect();
        self.fakes
            .get(name)
            .unwrap_or_else(|| panic!("no provider `{name}` in the configuration, only {known:?}"))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listen.address()
    }

    /// Where Envoy's admin interface is.
    pub fn admin(&self) -> SocketAddr {
        self.admin.address()
    }

    /// The folder `{dir}`.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The process id of `tollgate up`.
    pub fn process(&self) -> u32 {
        let child = self.child.lock().unwrap();
        child.as_ref().map(Child::id).expect("it runs")
    }

    /// Waits until `tollgate up` ends by itself; its exit code, and what it said.
    pub fn ended(self) -> (Option<i32>, String) {
        self.await_end()
    }

    /// Waits until `tollgate up` has ended by itself, and starts it again as it was.
    pub fn start_again(&self) {
        let _ = self.await_end();
        match self.launch.start(self.directory()) {
            Outcome::Ready(child) => *self.child.lock().unwrap() = Some(child),
            Outcome::Refused(refused) => panic!("the gateway did not start again: {refused:?}"),
        }
    }

    fn await_end(&self) -> (Option<i32>, String) {
        let mut child = self.child.lock().unwrap().take().expect("it runs");
        let ended = wait_for("the end of `tollgate up`", || child.try_wait().unwrap());
        let said = fs::read_to_string(self.directory().join("up.log")).unwrap();
        (ended.code(), said)
    }

    /// A question to a model.
    pub fn chat(&self, model: &str, text: &str) -> Call {
        Call::chat(self.listen.address(), model, text)
    }

    /// Any request.
    pub fn call(&self, method: &str, path: &str) -> Call {
        Call::new(self.listen.address(), method, path)
    }

    /// A connection with nothing in between.
    pub fn wire(&self) -> Wire {
        Wire::connect(self.listen.address())
    }

    /// Where the budget service is asked by filters, if the configuration has one at `{budget}`.
    pub fn budget(&self) -> SocketAddr {
        self.budget[0].address()
    }

    /// Where the budget service is asked by operators, if the configuration has it at `{budget-admin}`.
    pub fn budget_admin(&self) -> SocketAddr {
        self.budget[1].address()
    }

    /// What the admin API of the budget service answers that this gateway started: one line a call, `METHOD PATH [BODY]`.
    pub fn operator(&self, line: &str) -> Reply {
        budget::ask(self.budget_admin(), &self.directory().join("data"), line)
    }

    /// What a command of `tollgate` says that is run against that service.
    pub fn command(&self, arguments: &[&str]) -> Output {
        budget::command(
            self.budget_admin(),
            &self.directory().join("data"),
            arguments,
        )
    }

    /// What Envoy's admin interface answers.
    pub fn ask_envoy(&self, path: &str) -> Reply {
        Call::new(self.admin.address(), "GET", path).send()
    }

    /// What providers saw of all requests, in order: `alpha 429`, `beta 200`; `alpha -` for a reply that broke before
    /// its head. A provider that refuses connections sees nothing.
    pub fn attempts(&self) -> Vec<String> {
        let seen = self.seen();
        let told = seen.iter().map(|(name, seen)| match seen.status {
            Some(status) => format!("{name} {status}"),
            None => format!("{name} -"),
        });
        told.collect()
    }

    /// Every request that a provider saw, in order, with the name of the provider.
    pub fn seen(&self) -> Vec<(String, Seen)> {
        let all = self.fakes.iter();
        let mut all: Vec<_> = all
            .flat_map(|(name, fake)| {
                fake.requests()
                    .into_iter()
                    .map(move |seen| (name.clone(), seen))
            })
            .collect();
        all.sort_by_key(|(_, seen)| seen.at);
        all
    }

    /// Waits until the access log has so many lines; gives all there are, in order. It is an error in the test if the
    /// configuration does not write it to `{log}`.
    pub fn records(&self, count: usize) -> Vec<Value> {
        wait_for(&format!("{count} lines in the access log"), || {
            let records = self.records_now();
            (records.len() >= count).then_some(records)
        })
    }

    /// The record of the only request so far.
    pub fn record(&self) -> Value {
        let mut records = self.records(1);
        assert_eq!(records.len(), 1, "{records:#?}");
        records.remove(0)
    }

    /// The record of the request whose reply had this `x-tollgate-trace-id`.
    pub fn record_of(&self, trace: Option<&str>) -> Value {
        wait_for(&format!("the record of {trace:?}"), || {
            let mut records = self.records_now().into_iter();
            records.find(|record| record["trace_id"].as_str() == trace)
        })
    }

    /// The lines that are there. One that is not finished is not there.
    pub fn records_now(&self) -> Vec<Value> {
        let text = fs::read_to_string(access_log(self.directory())).unwrap_or_default();
        let lines = text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'));
        lines
            .map(|line| {
                serde_json::from_str(line)
                    .unwrap_or_else(|error| panic!("{error} in the access log: {line}"))
            })
            .collect()
    }

    /// The sum of a metric over the series that carry all these labels, from Envoy's Prometheus page.
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let page = self.ask_envoy("/stats/prometheus").text();
        sum_of(&page, name, labels)
    }

    /// What Envoy has written so far.
    pub fn envoy_log(&self) -> String {
        envoy_log(self.directory())
    }
}

/// `name{a="b",c="d"} 3`; labels in any order.
fn sum_of(page: &str, name: &str, labels: &[(&str, &str)]) -> u64 {
    let values = page.lines().filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let (known, inside) = series.split_once('{').unwrap_or((series, ""));
        let has = |(label, value): &(&str, &str)| inside.contains(&format!("{label}=\"{value}\""));
        (known == name && labels.iter().all(has)).then(|| value.parse::<u64>().unwrap())
    });
    values.sum()
}

/// The end of a log, without what each Envoy tells of itself when it starts: hundreds of lines of extension names.
fn worth_reading(log: &str) -> Vec<&str> {
    let mut lines: Vec<_> = log
        .lines()
        .filter(|line| !line.contains("[info][main]"))
        .collect();
    lines.drain(..lines.len().saturating_sub(LOG_LINES_MAX));
    lines
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let child = self.child.lock().map_or(None, |mut child| child.take());
        if let Some(mut child) = child {
            let ended = within(Duration::ZERO, || child.try_wait().ok().flatten());
            if ended.is_none() {
                ask_to_end(child.id());
            }
            stop(child);
        }
        if thread::panicking() {
            eprintln!("--- Envoy's log");
            for line in worth_reading(&self.envoy_log()) {
                eprintln!("{line}");
            }
            let said = fs::read_to_string(self.directory().join("up.log")).unwrap_or_default();
            eprintln!("--- what `tollgate up` said\n{said}---");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_log_the_end_is_shown_without_the_extensions() {
        let mut log = "[info][main] extensions\n[warning][main] no limit\n".to_owned();
        assert_eq!(worth_reading(&log), ["[warning][main] no limit"]);
        log.push_str(&"[info][wasm] hello\n".repeat(LOG_LINES_MAX));
        assert_eq!(
            worth_reading(&log),
            vec!["[info][wasm] hello"; LOG_LINES_MAX]
        );
    }

    #[test]
    fn a_metric_is_summed_over_its_series() {
        let page = "# TYPE t counter\nt{a=\"1\",b=\"2\"} 3\nt{b=\"2\",a=\"9\"} 4\nt_sum{a=\"1\"} 100\nt{a=\"1\"} 5\nu 6\n";
        for (name, labels, want) in [
            ("t", &[][..], 12),
            ("t", &[("a", "1")], 8),
            ("t", &[("a", "1"), ("b", "2")], 3),
            ("t", &[("a", "0")], 0),
            ("u", &[], 6),
        ] {
            assert_eq!(sum_of(page, name, labels), want, "{name} {labels:?}");
        }
    }
}
