//! A PostgreSQL of our own: on a free loopback port, in a folder of its own, gone with the test. The tests of money through
//! real Envoys include this file too.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A server takes a second to start; one that was killed reads its log first.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Server {
    folder: TempDir,
    binaries: PathBuf,
    port: u16,
    process: Child,
}

impl Server {
    /// `None`, and loudly so, where PostgreSQL is not installed.
    pub(crate) fn start() -> Option<Self> {
        Self::start_as(|_| {})
    }

    /// After something was done to its folder of data.
    pub(crate) fn start_as(prepare: impl FnOnce(&Path)) -> Option<Self> {
        let Some(binaries) = binaries() else {
            eprintln!("SKIPPED: no PostgreSQL on this machine: scripts/setup-postgres installs it");
            return None;
        };
        let folder = folder();
        if let Some((user, group)) = other_user() {
            chown(folder.path(), Some(user), Some(group)).unwrap();
        }
        let data = folder.path().join("data");
        let made = as_other_user(&binaries.join("initdb"))
            .args([
                "--no-sync",
                "--auth=trust",
                "--username=tollgate",
                "--encoding=UTF8",
                "--locale=C",
            ])
            .arg("--pgdata")
            .arg(&data)
            .output()
            .unwrap();
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        prepare(&data);
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let process = spawn(&binaries, folder.path(), port);
        let mut server = Self {
            folder,
            binaries,
            port,
            process,
        };
        server.await_answer().unwrap();
        Some(server)
    }

    /// The address of a database, made new.
    pub(crate) fn database(&self, name: &str) -> String {
        let mut client = self.client().unwrap();
        client
            .batch_execute(&format!("drop database if exists {name}"))
            .unwrap();
        client
            .batch_execute(&format!("create database {name}"))
            .unwrap();
        self.address(name)
    }

    pub(crate) fn address(&self, name: &str) -> String {
        format!("postgres://tollgate@127.0.0.1:{}/{name}", self.port)
    }

    /// As `kill -9` of every process of it: the first, which would start others, and then those it has.
    pub(crate) fn kill(&mut self) {
        let first = Pid::from_child(&self.process);
        // It must not start another one while we look.
        kill_process(first, Signal::STOP).unwrap();
        let others = children_of(self.process.id());
        self.process.kill().unwrap();
        for other in others {
            let other = Pid::from_raw(i32::try_from(other).unwrap()).unwrap();
            // It may have gone by itself.
            let _ = kill_process(other, Signal::KILL);
        }
        self.process.wait().unwrap();
    }

    pub(crate) fn restart(&mut self) {
        let began = Instant::now();
        loop {
            self.process = spawn(&self.binaries, self.folder.path(), self.port);
            match self.await_answer() {
                Ok(()) => return,
                // What was killed may not be gone yet, and then it refuses to start.
                Err(why) => assert!(began.elapsed() < PATIENCE, "{why}"),
            }
        }
    }

    fn client(&self) -> Result<Client, postgres::Error> {
        Client::connect(&self.address("postgres"), NoTls)
    }

    fn await_answer(&mut self) -> Result<(), String> {
        let began = Instant::now();
        while let Err(why) = self.client() {
            let ended = self.process.try_wait().unwrap();
            if ended.is_some() || began.elapsed() > PATIENCE {
                let log = fs::read_to_string(self.folder.path().join("log"));
                return Err(format!("{why}\n{}", log.unwrap_or_default()));
            }
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // At once, but not by a kill: then its shared memory would stay behind in the system.
        let first = Pid::from_child(&self.process);
        let _ = kill_process(first, Signal::QUIT);
        let _ = self.process.wait();
    }
}

/// A server of our tests needs a tenth of it.
const ROOM: u64 = 1 << 30;

/// In memory if there is room: what a killed process leaves is the same there, and nobody waits for a disk that others use.
pub(crate) fn folder() -> TempDir {
    let memory = PathBuf::from("/dev/shm");
    let room = rustix::fs::statvfs(&memory).map_or(0, |room| room.f_bavail * room.f_frsize);
    let place = if room > ROOM {
        memory
    } else {
        std::env::temp_dir()
    };
    let mut folder = tempfile::Builder::new();
    folder.prefix("tollgate-store-").tempdir_in(place).unwrap()
}

/// Each has a session of its own, so that a signal to a group would not reach them.
fn children_of(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let child = |entry: fs::DirEntry| {
        let process = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read_to_string(entry.path().join("stat")).ok()?;
        let (_, rest) = line.rsplit_once(") ")?;
        let is_child = rest.split(' ').nth(1)? == parent.to_string();
        is_child.then_some(process)
    };
    processes.filter_map(child).collect()
}

fn spawn(binaries: &Path, folder: &Path, port: u16) -> Child {
    let log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("log"))
        .unwrap();
    as_other_user(&binaries.join("postgres"))
        .arg("-D")
        .arg(folder.join("data"))
        .args(["-h", "127.0.0.1", "-p", &port.to_string()])
        .args([
            "-c",
            "unix_socket_directories=",
            "-c",
            "max_connections=30",
            "-c",
            "dynamic_shared_memory_type=mmap",
            "-c",
            "autovacuum=off",
            "-c",
            "max_wal_senders=0",
            "-c",
            "wal_level=minimal",
        ])
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// PostgreSQL refuses to run as root, so then it runs as somebody else. A test that is killed takes its server with it, where
/// `setpriv` can say so to the kernel.
fn as_other_user(program: &Path) -> Command {
    let mut command = if Path::new("/usr/bin/setpriv").exists() {
        let mut command = Command::new("/usr/bin/setpriv");
        command.arg("--pdeathsig=KILL");
        if let Some((user, group)) = other_user() {
            command.args([format!("--reuid={user}"), format!("--regid={group}")]);
            command.arg("--clear-groups");
        }
        command.arg("--").arg(program);
        command
    } else {
        let mut command = Command::new(program);
        if let Some((user, group)) = other_user() {
            command.uid(user).gid(group);
        }
        command
    };
    command
        .current_dir("/")
        .env_clear()
        .env("LC_ALL", "C")
        .env("PATH", "/usr/bin:/bin");
    command
}

/// User and group of whoever is meant to run it, if we are root.
pub(crate) fn other_user() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let find = |name: &str| {
        let line = users
            .lines()
            .find(|line| line.split(':').next() == Some(name))?;
        let fields: Vec<&str> = line.split(':').collect();
        Some((fields[2].parse().ok()?, fields[3].parse().ok()?))
    };
    Some(
        find("postgres")
            .or_else(|| find("nobody"))
            .expect("a user who is not root"),
    )
}

/// The newest that is installed.
fn binaries() -> Option<PathBuf> {
    let complete =
        |folder: &PathBuf| folder.join("postgres").exists() && folder.join("initdb").exists();
    let version = |folder: &PathBuf| {
        let name = folder.parent()?.file_name()?.to_str()?;
        name.parse::<u32>().ok()
    };
    let debian = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let debian = debian
        .map(|entry| entry.path().join("bin"))
        .filter(complete);
    debian.max_by_key(version).or_else(|| {
        let told = Command::new("pg_config").arg("--bindir").output().ok()?;
        let folder = PathBuf::from(String::from_utf8(told.stdout).ok()?.trim());
        Some(folder).filter(complete)
    })
}
