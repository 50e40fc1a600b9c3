//! A gateway in the making: its configuration, its Envoy, its environment.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpSocket;
use tollgate::fake::{Fake, Settings};

use crate::gateway::{Gateway, Parts};
use crate::tools::{self, Envoy};
use crate::{template, within};

/// A start takes two seconds; on a machine that runs many, longer.
const START: Duration = Duration::from_secs(60);
/// Another program may insist on a port that we chose.
const TRIES: usize = 5;

/// What is started, and how.
pub struct Setup {
    template: String,
    launch: Launch,
    files: Vec<(String, Vec<u8>)>,
    directory: TempDir,
}

/// How `tollgate up` is started.
pub(crate) struct Launch {
    envoy: Option<Envoy>,
    program: Option<PathBuf>,
    workers: u32,
    environment: Vec<(String, String)>,
}

/// A gateway that did not start.
#[derive(Debug)]
pub struct Refused {
    /// The exit code; none if it neither ended nor got ready, or was killed.
    pub code: Option<i32>,
    /// What it said on standard error.
    pub message: String,
}

/// What became of one start.
pub(crate) enum Outcome {
    Ready(Child),
    Refused(Refused),
}

impl Setup {
    /// From a file in `tests/harness/gateways`.
    pub fn named(name: &str) -> Self {
        let path = tools::root().join("tests/harness/gateways").join(name);
        let text =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self::of(&text)
    }

    /// From the text of a `gateway.yaml`, with places to fill in: see `template.rs`.
    pub fn of(template: &str) -> Self {
        Self {
            template: template.to_owned(),
            launch: Launch {
                envoy: None,
                program: None,
                workers: 2,
                environment: Vec::new(),
            },
            files: Vec::new(),
            directory: TempDir::with_prefix("tollgate-test-").unwrap(),
        }
    }

    /// On this Envoy.
    #[must_use]
    pub fn envoy(mut self, envoy: Envoy) -> Self {
        self.launch.envoy = Some(envoy);
        self
    }

    /// With so many worker threads in Envoy.
    #[must_use]
    pub fn workers(mut self, count: u32) -> Self {
        self.launch.workers = count;
        self
    }

    /// With this environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.launch
            .environment
            .push((name.to_owned(), value.to_owned()));
        self
    }

    /// With this file in `{dir}`.
    #[must_use]
    pub fn file(mut self, name: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.push((name.to_owned(), content.into()));
        self
    }

    /// With another program in place of `tollgate`.
    #[must_use]
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.launch.program = Some(program.into());
        self
    }

    /// The folder `{dir}`.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Starts it. Fails the test if it does not get ready.
    pub fn start(self) -> Gateway {
        self.try_start().unwrap_or_else(|refused| {
            panic!(
                "the gateway did not start (exit code {:?}):\n{}",
                refused.code, refused.message
            )
        })
    }

    /// Starts it, or says why it does not start.
    pub fn try_start(self) -> Result<Gateway, Refused> {
        for (name, content) in &self.files {
            fs::write(self.directory().join(name), content).unwrap();
        }
        let fakes = self.start_fakes();
        let mut tried = 0;
        loop {
            tried += 1;
            let (listen, admin) = (Reserved::new(), Reserved::new());
            let budget = [Reserved::new(), Reserved::new()];
            self.write_config(&fakes, |name| match name {
                "listen" => Some(listen.address()),
                "admin" => Some(admin.address()),
                "budget" => Some(budget[0].address()),
                "budget-admin" => Some(budget[1].address()),
                _ => None,
            });
            match self.launch.start(self.directory()) {
                Outcome::Ready(child) => {
                    return Ok(Gateway::new(Parts {
                        fakes,
                        child,
                        launch: self.launch,
                        listen,
                        admin,
                        budget,
                        directory: self.directory,
                    }));
                }
                Outcome::Refused(refused) if tried < TRIES && port_was_taken(&refused) => {}
                Outcome::Refused(refused) => return Err(refused),
            }
        }
    }

    fn start_fakes(&self) -> BTreeMap<String, Fake> {
        let ours = ["listen", "admin", "budget", "budget-admin", "log", "dir"];
        let names = template::names(&self.template)
            .into_iter()
            .filter(|name| !ours.contains(name));
        names
            .map(|name| {
                let settings = Settings {
                    name: name.to_owned(),
                    ..Settings::default()
                };
                (
                    name.to_owned(),
                    Fake::start("127.0.0.1:0", settings).unwrap(),
                )
            })
            .collect()
    }

    fn write_config(
        &self,
        fakes: &BTreeMap<String, Fake>,
        own: impl Fn(&str) -> Option<SocketAddr>,
    ) {
        let directory = self.directory();
        let config = template::fill(&self.template, |name| match name {
            "log" => access_log(directory).display().to_string(),
            "dir" => directory.display().to_string(),
            place => own(place)
                .unwrap_or_else(|| fakes[place].address())
                .to_string(),
        });
        fs::write(directory.join("gateway.yaml"), config).unwrap();
    }
}

impl Launch {
    /// On the configuration that lies in this folder.
    pub(crate) fn start(&self, directory: &Path) -> Outcome {
        let complaints = directory.join("up.log");
        let mut command = Command::new(self.program.clone().unwrap_or_else(tools::program));
        command
            .arg("up")
            .arg("--config")
            .arg(directory.join("gateway.yaml"))
            .arg("--data")
            .arg(data(directory))
            .args(["--concurrency", &self.workers.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&complaints).unwrap());
        if self.program.is_none() {
            let envoy = self.envoy.clone().unwrap_or_else(Envoy::usual);
            command
                .env("TOLLGATE_ENVOY", envoy.program())
                .env("TOLLGATE_WASM", tools::wasm());
        }
        let mut child = command
            .envs(self.environment.iter().cloned())
            .spawn()
            .unwrap();
        let ready = is_ready(&mut child);
        if ready {
            return Outcome::Ready(child);
        }
        let code = stop(child).code();
        let message = fs::read(&complaints).unwrap_or_default();
        let mut message = String::from_utf8_lossy(&message).into_owned();
        if code.is_none() {
            message.push_str(&format!(
                "not ready within {START:?}\n{}",
                envoy_log(directory)
            ));
        }
        Outcome::Refused(Refused { code, message })
    }
}

/// Reads what it says until it is ready, has ended, or took too long. What it says later is read as well, so that it
/// never waits for us.
fn is_ready(child: &mut Child) -> bool {
    let output = child.stdout.take().expect("standard output is a pipe");
    let (said, hears) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            // Nobody listens any more once it is ready.
            let _ = said.send(line);
        }
    });
    loop {
        match hears.recv_timeout(START) {
            Ok(line) if line.starts_with("ready http://") => return true,
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return false,
        }
    }
}

/// Asks a process to end, waits, and insists.
pub(crate) fn stop(mut child: Child) -> ExitStatus {
    let ended = |child: &mut Child| child.try_wait().unwrap();
    // It may be on its way out by itself: its own exit code is worth more than ours.
    if let Some(status) = within(Duration::from_millis(200), || ended(&mut child)) {
        return status;
    }
    ask_to_end(child.id());
    if let Some(status) = within(Duration::from_secs(8), || ended(&mut child)) {
        return status;
    }
    let _ = child.kill();
    child.wait().unwrap()
}

/// By the program, since the standard library knows only the signal that nobody can catch.
pub(crate) fn ask_to_end(process: u32) {
    let _ = Command::new("kill")
        .args(["-TERM", &process.to_string()])
        .status();
}

fn port_was_taken(refused: &Refused) -> bool {
    let told = refused.message.to_lowercase();
    ["is taken", "in use", "cannot bind"]
        .iter()
        .any(|words| told.contains(words))
}

/// A port that is ours: bound and not listening, it is given to nobody else, and does not stop Envoy from listening
/// on it, since both sockets may share an address. Envoys share even a port they listen on, so two tests that got the
/// same one would answer each other's requests.
pub(crate) struct Reserved {
    address: SocketAddr,
    _socket: TcpSocket,
}

impl Reserved {
    pub(crate) fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.set_reuseport(true).unwrap();
        // With port 0 the system prefers ports that nobody has, shared or not.
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        Self {
            address: socket.local_addr().unwrap(),
            _socket: socket,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

pub(crate) fn access_log(directory: &Path) -> PathBuf {
    directory.join("access.log")
}

fn data(directory: &Path) -> PathBuf {
    directory.join("data")
}

/// What Envoy has written, as far as it was started.
pub(crate) fn envoy_log(directory: &Path) -> String {
    let bytes = fs::read(data(directory).join("envoy.log")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
