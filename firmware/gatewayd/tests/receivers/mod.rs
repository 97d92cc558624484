//! Those that a box tells its alarms to, as real programs where there are some.
#![allow(dead_code, reason = "not every test needs every receiver")]

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest wait for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// net-snmp's station, in front of a port of loopback. It goes with this.
pub struct Snmptrapd {
    child: Child,
    /// Where it listens.
    pub at: SocketAddr,
    lines: Receiver<String>,
    _folder: TempDir,
}

/// Where the modules are that `GANTRY-MIB` stands on, and itself.
pub fn mibs() -> String {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = |path: &str| here.join(path).display().to_string();
    format!("{}:{}", folder("tests/receivers/mibs"), folder("../proto/snmp"))
}

/// A UDP port that nobody has just now.
fn free_port() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.local_addr().expect("an address")
}

impl Snmptrapd {
    /// Knows what `config` says: `authCommunity log public`, `createUser ...`.
    pub fn start(config: &str) -> Self {
        // Somebody may take the port in between; then another one is tried.
        (0..5).find_map(|_| Self::try_start(config)).expect("snmptrapd (Debian package snmptrapd) starts")
    }

    fn try_start(config: &str) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let file: PathBuf = folder.path().join("snmptrapd.conf");
        std::fs::write(&file, format!("{config}\ndisableAuthorization no\n")).expect("written");
        let at = free_port();
        let child = Command::new("/usr/sbin/snmptrapd")
            .args(["-f", "-C", "-Lo", "-n", "-M", &mibs(), "-m", "GANTRY-MIB"])
            .args(["-F", "%v\n", "-c"])
            .arg(&file)
            .arg(format!("udp:{at}"))
            .env("SNMP_PERSISTENT_DIR", folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("snmptrapd (Debian package snmptrapd)");
        let (mut child, (tell, lines)) = (child, channel());
        let out = BufReader::new(child.stdout.take().expect("its output"));
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
        let station = Self { child, at, lines, _folder: folder };
        station.line(|line| line.starts_with("NET-SNMP version")).map(|_| station)
    }

    /// The first line that is `wanted`; `None` if there is none in time, or it has ended.
    pub fn line(&self, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if wanted(&line) => return Some(line),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// The next notification's line.
    pub fn notification(&self) -> String {
        self.line(|line| line.contains("gantryAlarm")).expect("a notification")
    }
}

impl Drop for Snmptrapd {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
