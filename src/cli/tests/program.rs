//! The program as a person or a script starts it: what it says, how it ends, what it leaves.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    reason = "in tests a failure is what an unwrap is for, in their helpers too"
)]

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Long enough for a busy machine; reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// An empty folder with a gateway.yaml, a filter that no one loads, and free ports.
struct Place {
    folder: tempfile::TempDir,
    listen: SocketAddr,
    admin: SocketAddr,
    fake: SocketAddr,
}

impl Place {
    fn new() -> Self {
        // All at once, so that they differ.
        let held = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [listen, admin, fake] = held.each_ref().map(|held| held.local_addr().unwrap());
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
            listen,
            admin,
            fake,
        };
        place.configure("");
        fs::write(place.path("filter.wasm"), "").unwrap();
        place
    }

    /// Writes gateway.yaml, with `more` beside what every provider has.
    fn configure(&self, more: &str) {
        let Self {
            listen,
            admin,
            fake,
            ..
        } = self;
        let text = format!(
            "listen: {{address: \"{listen}\"}}\n\
             admin: {{address: \"{admin}\"}}\n\
             providers:\n  alpha:\n    dialect: openai\n    fake: {fake}\n{more}\
             models: {{small: {{targets: [{{provider: alpha}}]}}}}\n\
             tenants: {{keys: [{{name: demo, sha256: {hash}}}]}}\n",
            hash = "0".repeat(64),
        );
        fs::write(self.path("gateway.yaml"), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// An Envoy of this version, and what it does when it is started.
    fn envoy(&self, version: &str, then: &str) -> PathBuf {
        let path = self.path("envoy");
        let script = format!(
            "#!/bin/sh\n\
             if [ \"$1\" = --version ]; then echo 'envoy  version: abc/{version}/Clean'; exit; fi\n\
             echo $$ > {pid}\n{then}\n",
            pid = self.path("envoy.pid").display(),
        );
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        command
            .current_dir(self.folder.path())
            .args(arguments)
            .env_clear()
            .env("TOLLGATE_WASM", self.path("filter.wasm"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str]) -> Told {
        Told::from(self.command(arguments).output().unwrap())
    }

    fn up_with(&self, envoy: &Path) -> Command {
        let mut command = self.command(&["up"]);
        command
            .env("TOLLGATE_ENVOY", envoy)
            .env("PATH", "/usr/bin:/bin");
        command
    }

    /// The process of the Envoy that was started, once it runs.
    fn envoy_pid(&self) -> u32 {
        let file = self.path("envoy.pid");
        eventually("Envoy runs", || {
            fs::read_to_string(&file).is_ok_and(|pid| pid.ends_with('\n'))
        });
        fs::read_to_string(&file).unwrap().trim().parse().unwrap()
    }
}

/// How a run ended, and what it said.
#[derive(Debug)]
struct Told {
    code: Option<i32>,
    out: String,
    errors: String,
}

impl From<Output> for Told {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            errors: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Told {
    fn fails_with(&self, parts: &[&str]) {
        assert_eq!((self.code, self.out.as_str()), (Some(1), ""), "{self:?}");
        for part in parts {
            assert!(self.errors.contains(part), "no {part:?} in {}", self.errors);
        }
    }
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < PATIENCE, "in vain: {what}");
        sleep(Duration::from_millis(20));
    }
}

fn alive(pid: u32) -> bool {
    // A zombie has ended; here nobody may be left to collect it.
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn send(signal: &str, pid: u32) {
    let mut kill = Command::new("kill");
    assert!(
        kill.args([signal, &pid.to_string()])
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn wrong_arguments_are_told_and_nothing_is_started() {
    let place = Place::new();
    for (arguments, told) in [
        (&["up", "--concurrency", "0"][..], "--concurrency"),
        (&["up", "--port", "1"], "--port"),
        (&["render", "--target", "nginx", "-o", "x"], "nginx"),
        (
            &[
                "render",
                "--target",
                "envoy",
                "-o",
                "x",
                "--envoy-version",
                "1.35.0",
            ],
            "1.36 to 1.40",
        ),
        (
            &[
                "render",
                "--target",
                "envoy",
                "-o",
                "x",
                "--envoy-version",
                "new",
            ],
            "no Envoy version",
        ),
        (&["render", "--target", "envoy"], "--output"),
        (&["down"], "down"),
    ] {
        let run = place.run(arguments);
        assert_eq!(run.code, Some(2), "{run:?}");
        assert!(run.errors.contains(told), "{run:?}");
    }
    assert!(!place.path("x").exists() && !place.path(".tollgate").exists());
}

#[test]
fn every_mistake_of_the_configuration_is_told_before_anything_starts() {
    let place = Place::new();
    place.configure("    first_token_timeout: soon\n    dialekt: openai\n");
    for command in [
        &["up"][..],
        &["render", "--target", "envoy", "-o", "x"],
        &["check"],
    ] {
        let parts = ["alpha.first_token_timeout", "dialekt", "2 mistakes"];
        place.run(command).fails_with(&parts);
    }
    fs::remove_file(place.path("gateway.yaml")).unwrap();
    place.run(&["up"]).fails_with(&["cannot read gateway.yaml"]);
}

#[test]
fn a_port_that_is_taken_is_named_with_its_setting() {
    let place = Place::new();
    for (setting, address) in [
        ("listen.address", place.listen),
        ("admin.address", place.admin),
        ("providers.alpha.fake", place.fake),
    ] {
        let _held = TcpListener::bind(address).unwrap();
        let port = format!("{setting}: port {} is taken", address.port());
        place.run(&["up"]).fails_with(&[&port]);
    }
}

#[test]
fn a_missing_filter_or_envoy_is_told_with_the_cure() {
    let place = Place::new();
    place
        .run(&["up"])
        .fails_with(&["no Envoy 1.36 to 1.40 is there", "make setup", "--envoy"]);
    place
        .run(&["up", "--envoy", "/nowhere/envoy"])
        .fails_with(&["--envoy: cannot run /nowhere/envoy"]);
    place
        .run(&["up", "--wasm", "nowhere.wasm"])
        .fails_with(&["--wasm: cannot find the filter nowhere.wasm"]);
}

#[test]
fn an_envoy_that_is_none_or_not_supported_is_refused() {
    let place = Place::new();
    let old = place.envoy("1.35.2", "exit 0");
    let told = Told::from(place.up_with(&old).output().unwrap());
    told.fails_with(&[
        "TOLLGATE_ENVOY",
        "is Envoy 1.35.2; supported are 1.36 to 1.40",
    ]);
    let told = Told::from(place.up_with(Path::new("/bin/true")).output().unwrap());
    told.fails_with(&["TOLLGATE_ENVOY: /bin/true is no Envoy"]);
}

#[test]
fn an_envoy_on_path_is_passed_over_when_it_is_too_old_and_the_newest_fetched_one_is_taken() {
    let place = Place::new();
    let old = place.envoy("1.30.0", "exit 0");
    let bin = place.path("bin");
    fs::create_dir(&bin).unwrap();
    fs::rename(old, bin.join("envoy")).unwrap();
    for version in ["1.9.0", "1.36.4", "1.39.3", "1.38.2"] {
        let fetched = place.envoy(version, &format!("echo '[error] {version}' >&2; exit 3"));
        let folder = place.path(".tools/envoy").join(version);
        fs::create_dir_all(&folder).unwrap();
        fs::rename(fetched, folder.join("envoy")).unwrap();
    }
    let mut up = place.command(&["up"]);
    up.env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
    Told::from(up.output().unwrap()).fails_with(&["[error] 1.39.3"]);
}

#[test]
fn a_key_that_is_not_there_is_named() {
    let place = Place::new();
    place.configure(
        "  real:\n    dialect: openai\n    url: https://api.test/v1\n    key: {env: REAL_KEY}\n",
    );
    let envoy = place.envoy("1.40.0", "exit 0");
    let told = Told::from(place.up_with(&envoy).output().unwrap());
    told.fails_with(&[
        "providers.real.key",
        "REAL_KEY is not set",
        "export REAL_KEY",
    ]);
    assert!(!place.path("envoy.pid").exists(), "Envoy was started");
}

#[test]
fn an_envoy_that_refuses_ends_it_with_its_last_words() {
    let place = Place::new();
    let refuses = "echo '[info] loading' >&2; echo '[critical] no such field' >&2; exit 1";
    let envoy = place.envoy("1.40.0", refuses);
    let told = Told::from(place.up_with(&envoy).output().unwrap());
    told.fails_with(&[
        "Envoy has ended (exit status: 1)",
        "[critical] no such field",
        "envoy.log",
    ]);
    assert!(!told.errors.contains("[info]"), "{}", told.errors);
    let free = [place.listen, place.admin, place.fake].map(|at| TcpListener::bind(at).is_ok());
    assert_eq!(free, [true; 3], "something still listens");
}

#[test]
fn told_to_stop_it_stops_envoy_and_ends_well() {
    for (signal, envoy_does) in [
        ("-INT", "exec sleep 600"),
        ("-TERM", "exec sleep 600"),
        // This one is not asked twice.
        ("-TERM", "trap '' TERM; while :; do sleep 1; done"),
    ] {
        let place = Place::new();
        let envoy = place.envoy("1.40.0", envoy_does);
        let mut up = place.up_with(&envoy).spawn().unwrap();
        let pid = place.envoy_pid();
        send(signal, up.id());
        assert_eq!(up.wait().unwrap().code(), Some(0), "{envoy_does}");
        assert!(!alive(pid), "{envoy_does}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn killed_outright_it_takes_envoy_along() {
    let place = Place::new();
    let envoy = place.envoy("1.40.0", "exec sleep 600");
    let mut up = place.up_with(&envoy).spawn().unwrap();
    let pid = place.envoy_pid();
    up.kill().unwrap();
    up.wait().unwrap();
    eventually("Envoy is gone", || !alive(pid));
}

#[test]
fn render_writes_what_was_asked_for() {
    let place = Place::new();
    let run = place.run(&[
        "render",
        "--target",
        "envoy",
        "-o",
        "out",
        "--envoy-version",
        "1.37.0",
    ]);
    assert_eq!((run.code, run.errors.as_str()), (Some(0), ""), "{run:?}");
    let envoy = fs::read_to_string(place.path("out/envoy.yaml")).unwrap();
    assert!(
        envoy.contains("server_listener_name: tollgate-hop"),
        "{envoy}"
    );
    assert!(place.path("out/attempt-hop.json").exists());
}
