//! A made box: a tree of files in place of a real one's, `gantry serve` on it, and a terminal in front of `gantry serial`.

use console::places::Places;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{OpenptyResult, openpty};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest wait for something to happen on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// The code on the label.
pub const CODE: &str = "4711-0815";
/// A password that will do.
pub const PASSWORD: &str = "correct horse battery";

/// A made box.
pub struct MadeBox {
    folder: TempDir,
    serve: Option<Child>,
}

impl Drop for MadeBox {
    fn drop(&mut self) {
        self.kill();
    }
}

impl MadeBox {
    /// As delivered, with two interfaces of which one has a link, and its service running.
    pub fn new() -> Self {
        let mut made = Self { folder: tempfile::tempdir().unwrap(), serve: None };
        for nic in ["lan0", "lan1"] {
            made.put(&format!("/sys/class/net/{nic}/device/vendor"), "");
            made.put(&format!("/sys/class/net/{nic}/address"), "52:54:00:12:34:56\n");
        }
        made.put("/sys/class/net/lan0/carrier", "1\n");
        made.put("/sys/class/net/lan0/speed", "1000\n");
        made.put("/sys/class/dmi/id/product_serial", "GW-00-4711\n");
        made.put("/proc/uptime", "20.00 10.00\n");
        made.put("/var/lib/gantry/identity/claim", CODE);
        made.put("/data/x", "");
        made.put("/usr/share/gantry/gantry.toml", "gateway.domains = ['meet.example.com']\n");
        fs::create_dir_all(made.places().at("/var/lib/gantry/gatewayd")).unwrap();
        made.boots("b0071e55-0000-4000-8000-000000000001");
        fs::create_dir_all(made.places().requests()).unwrap();
        fs::create_dir_all(made.places().notes()).unwrap();
        for program in ["systemctl", "networkctl"] {
            let told = made.places().at("/told");
            made.put(
                &format!("/usr/bin/{program}"),
                &format!("#!/bin/sh\necho {program} \"$@\" >> {}\n", told.display()),
            );
            let path = made.places().at("/usr/bin").join(program);
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        assert!(made.gantry(&["apply", "boot"]).status.success());
        made.start();
        made
    }

    pub fn places(&self) -> Places {
        Places::below(self.folder.path())
    }

    pub fn put(&self, path: &str, text: &str) {
        let path = self.places().at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The box has started anew; its service has not yet.
    pub fn boots(&self, id: &str) {
        self.put("/proc/sys/kernel/random/boot_id", &format!("{id}\n"));
        drop(fs::remove_file(self.places().requests().join(".since")));
    }

    /// Starts the service and waits until it answers.
    pub fn start(&mut self) {
        let mut child =
            self.command(&["serve"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("\"ready\":true"), "{line}");
        self.serve = Some(child);
    }

    /// Ends the service without a word.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.serve.take() {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gantry"));
        command.arg("--root").arg(self.folder.path()).args(words).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub fn gantry(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// Runs a command whose questions are answered by `lines`.
    pub fn answering(&self, words: &[&str], lines: &str) -> Output {
        let mut child = self
            .command(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// What a command said, which must have succeeded.
    pub fn said(&self, words: &[&str]) -> String {
        let output = self.gantry(words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn json(&self, words: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.said(&[words, &["--json"]].concat())).unwrap()
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.places().at(path)).unwrap_or_default()
    }

    /// A terminal in front of `gantry serial`.
    pub fn terminal(&self, kind: Kind) -> Terminal {
        let OpenptyResult { master, slave } = openpty(None, None).unwrap();
        let end = |fd: &std::os::fd::OwnedFd| Stdio::from(fd.try_clone().unwrap());
        let child = self
            .command(&["serial", "ttyS0"])
            .stdin(end(&slave))
            .stdout(end(&slave))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let screen = vt100::Parser::new(24.try_into().unwrap(), 80.try_into().unwrap(), 0);
        Terminal { master: File::from(master), child, kind, screen, sent: Vec::new() }
    }
}

/// What a terminal is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It says so when it is asked.
    Vt100,
    /// It prints what comes.
    Dumb,
}

/// Somebody's terminal.
pub struct Terminal {
    master: File,
    child: Child,
    kind: Kind,
    screen: vt100::Parser,
    /// Every byte that came over the line.
    pub sent: Vec<u8>,
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Terminal {
    /// Types keys.
    pub fn keys(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// Types a line and ends it.
    pub fn line(&mut self, line: &str) {
        self.keys(line);
        self.keys("\r");
    }

    /// Reads what comes within `wait`; whether anything did.
    pub fn hear(&mut self, wait: Duration) -> bool {
        let timeout = PollTimeout::try_from(wait).unwrap();
        let ready = poll(&mut [PollFd::new(self.master.as_fd(), PollFlags::POLLIN)], timeout).unwrap();
        if ready == 0 {
            return false;
        }
        let mut buffer = [0; 4_096];
        let Ok(count @ 1..) = self.master.read(&mut buffer) else { return false };
        let heard = &buffer[..count];
        self.screen.process(heard);
        self.sent.extend_from_slice(heard);
        // The question what it is: ESC [ c.
        if self.kind == Kind::Vt100 && heard.windows(3).any(|three| three == b"\x1b[c") {
            self.keys("\x1b[?1;2c");
        }
        true
    }

    /// What is on the screen, or what was printed since `from` on a dumb one.
    pub fn shows(&self) -> String {
        self.screen.screen().rows(0, 80).map(|row| row.trim_end().to_owned() + "\n").collect()
    }

    /// Waits until the screen shows `text`.
    pub fn wait_for(&mut self, text: &str) {
        let begun = Instant::now();
        while !self.shows().contains(text) {
            assert!(begun.elapsed() < PATIENCE, "{text:?} never came; the screen is\n{}", self.shows());
            self.hear(Duration::from_millis(100));
        }
    }

    /// Waits until `text` is printed after byte `from`, and says where the next begins.
    pub fn wait_printed(&mut self, from: usize, text: &str) -> usize {
        let begun = Instant::now();
        loop {
            let printed = String::from_utf8_lossy(&self.sent[from..]).into_owned();
            if let Some(at) = printed.find(text) {
                return from + at + text.len();
            }
            assert!(begun.elapsed() < PATIENCE, "{text:?} never came; printed was\n{printed}");
            self.hear(Duration::from_millis(100));
        }
    }

    /// Waits until nothing comes any more.
    pub fn quiet(&mut self) {
        while self.hear(Duration::from_millis(300)) {}
    }
}

/// Waits for a file to be there.
pub fn wait_for_file(path: &Path) {
    let begun = Instant::now();
    while !path.exists() {
        assert!(begun.elapsed() < PATIENCE, "{} never came", path.display());
        std::thread::park_timeout(Duration::from_millis(20));
    }
}
