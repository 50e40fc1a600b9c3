//! A budget service of a test's own: it may be killed and started again while gateways go on.

use std::cell::Cell;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::client::{Call, Reply};
use crate::setup::{Reserved, stop};
use crate::{template, tools, within};

/// A start takes a tenth of a second; on a machine that runs many, longer.
const START: Duration = Duration::from_secs(60);

/// `tollgate budget-service` with addresses that stay the same over its lives. Dropped, it leaves nothing behind.
pub struct BudgetService {
    child: Option<Child>,
    listen: Reserved,
    admin: Reserved,
    directory: TempDir,
}

impl BudgetService {
    /// From a `gateway.yaml` whose `budget_service` is at `{budget}` and `{budget-admin}`. Fails the test if it does not
    /// get ready.
    pub fn start(template: &str) -> Self {
        let mut service = Self {
            child: None,
            listen: Reserved::new(),
            admin: Reserved::new(),
            directory: TempDir::with_prefix("tollgate-test-").unwrap(),
        };
        service.configure(template);
        service.start_again();
        service
    }

    /// With another configuration from its next start on.
    pub fn configure(&self, template: &str) {
        // Nobody is there, and no two are at the same place.
        let ports = Cell::new(0);
        let nowhere = || {
            ports.set(ports.get() + 1);
            SocketAddr::from(([127, 0, 0, 1], ports.get()))
        };
        let config = template::fill(template, |name| match name {
            "budget" => self.address().to_string(),
            "budget-admin" => self.admin().to_string(),
            "dir" => self.directory().display().to_string(),
            "log" => self.directory().join("access.log").display().to_string(),
            _ => nowhere().to_string(),
        });
        fs::write(self.config(), config).unwrap();
    }

    /// Where filters ask.
    pub fn address(&self) -> SocketAddr {
        self.listen.address()
    }

    /// Where operators ask.
    pub fn admin(&self) -> SocketAddr {
        self.admin.address()
    }

    /// A folder of its own.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Where its database is, if the configuration says nothing else.
    pub fn data(&self) -> PathBuf {
        self.directory().join("data")
    }

    /// As `kill -9`.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Asks it to end, and waits; its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        stop(self.child.take().expect("it runs")).code()
    }

    /// Starts it on the data that it left, and waits until it works.
    pub fn start_again(&mut self) {
        if let Err(said) = self.try_start() {
            panic!("the budget service did not start:\n{said}");
        }
    }

    /// Starts it and waits until it works, or has ended: then what it said.
    pub fn try_start(&mut self) -> Result<(), String> {
        assert!(self.child.is_none(), "it runs");
        let log = self.directory().join("service.log");
        let mut child = Command::new(tools::program())
            .arg("exec-with-parent")
            .arg(std::process::id().to_string())
            .arg(tools::program())
            .arg("budget-service")
            .arg("--config")
            .arg(self.config())
            .arg("--data")
            .arg(self.data())
            .stdin(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let works = within(START, || {
            let ended = child.try_wait().unwrap().is_some();
            if ended {
                return Some(false);
            }
            let ready = Call::new(self.admin(), "GET", "/api/v1/ready").try_send();
            (ready.ok()?.status() == 200).then_some(true)
        });
        if works == Some(true) {
            self.child = Some(child);
            return Ok(());
        }
        let _ = child.kill();
        child.wait().unwrap();
        Err(fs::read_to_string(log).unwrap_or_default())
    }

    /// What the admin API answers: one line a call, `METHOD PATH [BODY]`.
    pub fn asks(&self, line: &str) -> Reply {
        ask(self.admin(), &self.data(), line)
    }

    /// What a command of `tollgate` says that is run against it.
    pub fn command(&self, arguments: &[&str]) -> Output {
        command(self.admin(), &self.data(), arguments)
    }

    /// What it has said since its last start.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory().join("service.log")).unwrap_or_default()
    }

    fn config(&self) -> PathBuf {
        self.directory().join("gateway.yaml")
    }
}

impl Drop for BudgetService {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            stop(child);
        }
        if std::thread::panicking() {
            eprintln!("--- what the budget service said\n{}---", self.log());
        }
    }
}

/// One line a call: `METHOD PATH [BODY]`.
pub(crate) fn ask(admin: SocketAddr, data: &Path, line: &str) -> Reply {
    let mut words = line.splitn(3, ' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let call = Call::new(admin, method, &format!("/api/v1{path}"));
    let call = call.header("authorization", &format!("Bearer {}", token(data)));
    match words.next() {
        Some(body) => {
            let body: Value = serde_json::from_str(body).unwrap();
            call.json(body).send()
        }
        None => call.send(),
    }
}

/// What `tollgate` says to these arguments.
pub(crate) fn command(admin: SocketAddr, data: &Path, arguments: &[&str]) -> Output {
    Command::new(tools::program())
        .args(arguments)
        .args(["--url", &format!("http://{admin}")])
        .env("TOLLGATE_ADMIN_TOKEN", token(data))
        .output()
        .unwrap()
}

fn token(data: &Path) -> String {
    let token = fs::read_to_string(data.join("admin-token")).unwrap();
    token.trim().to_owned()
}
