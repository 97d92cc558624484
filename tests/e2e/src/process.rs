//! Other people's programs: started by a test, watched by their output, ended with it.

use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A running program. Its output is kept; dropping it ends it.
pub struct Process {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    output: Arc<Output>,
    log: Option<PathBuf>,
}

#[derive(Default)]
struct Output {
    text: Mutex<String>,
    grown: Condvar,
}

/// Sends a process a signal by name, as `kill` takes it: `TERM`, `KILL`, `STOP`.
///
/// # Errors
/// If `kill` fails.
pub fn signal(pid: u32, name: &str) -> Result<()> {
    let status = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status()?;
    if !status.success() {
        bail!("process {pid} could not be sent {name}");
    }
    Ok(())
}

impl Process {
    /// Starts `program` with a pipe to its standard input; both its outputs are kept as one text.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(program: impl AsRef<OsStr>, configure: impl FnOnce(&mut Command)) -> Result<Self> {
        let name = Path::new(program.as_ref()).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut command = Command::new(program);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        configure(&mut command);
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {name}; `cargo xtask setup` installs it"))?;
        let output = Arc::new(Output::default());
        if let Some(stdout) = child.stdout.take() {
            collect(stdout, Arc::clone(&output));
        }
        if let Some(stderr) = child.stderr.take() {
            collect(stderr, Arc::clone(&output));
        }
        let stdin = child.stdin.take();
        Ok(Self { name, child, stdin, output, log: None })
    }

    /// Keeps what it printed in this file when it ends.
    #[must_use]
    pub fn with_log(mut self, path: PathBuf) -> Self {
        self.log = Some(path);
        self
    }

    /// Writes a line to its standard input.
    ///
    /// # Errors
    /// If it has ended.
    pub fn say(&mut self, line: &str) -> Result<()> {
        let stdin = self.stdin.as_mut().with_context(|| format!("{} takes no input", self.name))?;
        writeln!(stdin, "{line}")
            .and_then(|()| stdin.flush())
            .with_context(|| format!("{} has ended", self.name))
    }

    /// Everything it printed so far.
    #[must_use]
    pub fn printed(&self) -> String {
        self.output.text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until its output holds `text` and returns the line that does.
    ///
    /// # Errors
    /// After `limit`; the message ends with what it printed last.
    pub fn wait_for(&self, text: &str, limit: Duration) -> Result<String> {
        self.wait_for_more(0, text, limit)
    }

    /// As [`wait_for`](Self::wait_for), in what it prints after its first `from` bytes.
    ///
    /// # Errors
    /// After `limit`; the message ends with what it printed last.
    pub fn wait_for_more(&self, from: usize, text: &str, limit: Duration) -> Result<String> {
        let deadline = Instant::now() + limit;
        let mut printed = self.output.text.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let found = printed.get(from..).and_then(|new| new.lines().find(|line| line.contains(text)));
            if let Some(line) = found {
                return Ok(line.to_owned());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let tail: String = tail(&printed, 3_000);
                bail!("{} did not print {text:?} within {limit:?}; it printed:\n{tail}", self.name);
            }
            let waited = self.output.grown.wait_timeout(printed, left);
            printed = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal by name, as `kill` takes it: `TERM`, `KILL`, `STOP`.
    ///
    /// # Errors
    /// If `kill` fails.
    pub fn signal(&self, name: &str) -> Result<()> {
        signal(self.child.id(), name).with_context(|| self.name.clone())
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// After `limit`.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + limit;
        drop(self.stdin.take());
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                bail!(
                    "{} did not end within {limit:?}; it printed:\n{}",
                    self.name,
                    tail(&self.printed(), 3_000)
                );
            }
            let printed = self.output.text.lock().unwrap_or_else(PoisonError::into_inner);
            drop(self.output.grown.wait_timeout(printed, Duration::from_millis(50)));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // Asked first: a browser or tshark has children of its own to end.
            let asked = self.signal("TERM").is_ok() && self.wait(Duration::from_secs(3)).is_ok();
            if !asked && self.child.kill().is_ok() {
                drop(self.child.wait());
            }
        }
        if let Some(path) = &self.log {
            // Only for people to read; a test does not fail for it.
            drop(std::fs::write(path, self.printed()));
        }
    }
}

fn tail(text: &str, bytes: usize) -> String {
    let mut from = text.len().saturating_sub(bytes);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    text[from..].to_owned()
}

fn collect(stream: impl Read + Send + 'static, output: Arc<Output>) {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let mut text = output.text.lock().unwrap_or_else(PoisonError::into_inner);
            text.push_str(&String::from_utf8_lossy(&line));
            drop(text);
            output.grown.notify_all();
            line.clear();
        }
    });
}

/// Where cargo built the programs of this workspace.
///
/// # Errors
/// If the program is not there; it is built by `cargo xtask e2e`.
pub fn built(name: &str) -> Result<PathBuf> {
    let here = std::env::current_exe().context("where am I")?;
    let found = here.ancestors().skip(1).take(3).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.with_context(|| {
        format!("{name} is not built; run `cargo xtask e2e`, or `cargo build -p {name}` first")
    })
}

/// Polls `check` until it gives something.
///
/// # Errors
/// After `limit`; the message names `what`.
pub async fn eventually<T>(what: &str, limit: Duration, mut check: impl FnMut() -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + limit;
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    loop {
        tick.tick().await;
        if let Some(found) = check() {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            bail!("{what}: not within {limit:?}");
        }
    }
}
