//! The daemon and its service manager: it says when it is up, and is fed no longer when any one of its threads stands still.

use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest wait for something that comes.
const PATIENCE: Duration = Duration::from_secs(20);
/// The watchdog's time-out: it is fed each second.
const WATCHDOG_US: &str = "3000000";

const CONFIG: &str = "[gateway]\ndomains = [\"meet.example.com\"]\npublic_address = \"127.0.0.1\"\nworkers = 1\n\
                      [sip]\nudp = [\"127.0.0.1:0\"]\ntcp = []\n[log]\nto = \"stderr\"\n";

/// A daemon, its service manager's end of the socket, and what it logs.
struct Service {
    child: Child,
    socket: UnixDatagram,
    log: Receiver<String>,
    _folder: TempDir,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Service {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let socket = UnixDatagram::bind(at("notify")).expect("a socket");
        std::fs::write(at("gantry.toml"), CONFIG).expect("written");
        let mut child = Command::new(env!("CARGO_BIN_EXE_gatewayd"))
            .arg("--config")
            .arg(at("gantry.toml"))
            .arg("--control")
            .arg(at("control"))
            .env("NOTIFY_SOCKET", at("notify"))
            .env("WATCHDOG_USEC", WATCHDOG_US)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a process");
        let lines = BufReader::new(child.stderr.take().expect("its errors")).lines();
        let (sender, log) = channel();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, socket, log, _folder: folder }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"))
    }

    /// What it tells within `wait`.
    fn told(&self, wait: Duration) -> Option<String> {
        let mut buffer = [0; 256];
        self.socket.set_read_timeout(Some(wait)).expect("a time-out");
        let count = self.socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..count]).into_owned())
    }

    fn hears(&self, wanted: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.told(PATIENCE).as_deref() != Some(wanted) {
            assert!(Instant::now() < deadline, "it does not say {wanted}");
        }
    }

    /// Waits until it is fed no longer: for two seconds, where it is fed each.
    fn starves(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.told(Duration::from_secs(2)).is_some() {
            assert!(Instant::now() < deadline, "it is fed on");
        }
    }

    fn logs(&self, wanted: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.log.recv_timeout(left).unwrap_or_else(|_| panic!("it does not log {wanted:?}"));
            if line.contains(wanted) {
                return;
            }
        }
    }

    fn threads(&self) -> Vec<PathBuf> {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("its threads");
        threads.flatten().map(|entry| entry.path()).collect()
    }

    /// The thread of this name.
    fn thread(&self, name: &str) -> Pid {
        named(name, || self.threads())
    }

    /// The thread of this name, once it waits for something: one that is stopped in the middle of a deed may hold what others need to log that
    /// it stands still.
    fn idle_thread(&self, name: &str) -> Pid {
        let thread = self.thread(name);
        let stat = format!("/proc/{}/task/{thread}/stat", self.child.id());
        // proc(5): the state is the first letter behind the name.
        let sleeps = || std::fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") S "));
        let deadline = Instant::now() + PATIENCE;
        while !sleeps() {
            assert!(Instant::now() < deadline, "{name} never waits");
            std::thread::yield_now();
        }
        thread
    }

    /// The worker's process of this name.
    fn worker(&self, name: &str) -> Pid {
        named(name, || {
            let children = self
                .threads()
                .into_iter()
                .filter_map(|path| std::fs::read_to_string(path.join("children")).ok());
            let children: Vec<String> = children.collect();
            children
                .iter()
                .flat_map(|text| text.split_whitespace())
                .map(|pid| Path::new("/proc").join(pid))
                .collect()
        })
    }
}

/// The one among these of this name. Threads and workers name themselves as their first deed, which on a busy machine may be after the
/// daemon is ready.
fn named(name: &str, all: impl Fn() -> Vec<PathBuf>) -> Pid {
    let is =
        |path: &PathBuf| std::fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim_end() == name);
    let deadline = Instant::now() + PATIENCE;
    let found = loop {
        match all().into_iter().find(is) {
            Some(found) => break found,
            None => assert!(Instant::now() < deadline, "no {name}"),
        }
        std::thread::yield_now();
    };
    let number = found.file_name().and_then(|number| number.to_str()?.parse().ok());
    Pid::from_raw(number.expect("a number"))
}

#[test]
fn it_says_when_it_takes_calls_and_is_fed_while_it_lives() {
    let service = Service::start();
    service.hears("READY=1");
    for _ in 0..3 {
        service.hears("WATCHDOG=1");
    }
}

/// Each of its threads is held as by a lock that is never given back: the others go on, and none of them feeds for it.
#[test]
fn any_one_thread_that_stands_still_is_named_and_the_daemon_is_fed_no_longer_until_it_goes_on() {
    for (thread, part) in [
        ("shard-1", "shard-1"),
        // The first thread turns the control socket.
        ("gatewayd", "control"),
    ] {
        let service = Service::start();
        service.hears("READY=1");
        let held = service.idle_thread(thread);
        ptrace::seize(held, ptrace::Options::empty()).expect("attached");
        ptrace::interrupt(held).expect("told to stop");
        waitpid(held, Some(WaitPidFlag::__WALL)).expect("stopped");
        service.logs(&format!("{part} shows no life for"));
        service.starves();
        ptrace::detach(held, None).expect("let go");
        service.logs(&format!("{part} is back"));
        service.hears("WATCHDOG=1");
    }
}

/// Each media worker is a process of its own.
#[test]
fn a_worker_that_stands_still_is_named_and_replaced_and_the_daemon_is_fed_on() {
    for name in ["sound", "pictures-1"] {
        let service = Service::start();
        service.hears("READY=1");
        service.hears("WATCHDOG=1");
        kill(service.worker(name), Signal::SIGSTOP).expect("it is there");
        service.logs(&format!("{name} shows no life for"));
        service.logs("nothing was heard of it for");
        service.logs(&format!("{name} is back"));
        (0..3).for_each(|_| service.hears("WATCHDOG=1"));
    }
}

#[test]
fn a_daemon_that_is_stopped_as_a_whole_is_not_fed_and_accuses_nobody_when_it_goes_on() {
    let service = Service::start();
    service.hears("READY=1");
    service.hears("WATCHDOG=1");
    kill(service.pid(), Signal::SIGSTOP).expect("it is there");
    service.starves();
    assert!(service.told(Duration::from_secs(4)).is_none());
    kill(service.pid(), Signal::SIGCONT).expect("it is there");
    (0..3).for_each(|_| service.hears("WATCHDOG=1"));
    let accused: Vec<_> = service.log.try_iter().filter(|line| line.contains("shows no life")).collect();
    assert_eq!(accused, [""; 0]);
}
