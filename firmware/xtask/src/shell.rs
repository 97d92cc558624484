//! Starting other programs: each is printed before it runs, and its failure names it.

use anyhow::{Context, Result, bail};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// The workspace's folder.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// Where cargo builds.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A program about to be run in the workspace's folder.
pub struct Program(Command);

impl Program {
    /// `name`, found on the path.
    pub fn new(name: impl AsRef<std::ffi::OsStr>) -> Self {
        let mut command = Command::new(name);
        command.current_dir(root());
        Self(command)
    }

    /// A program of this workspace as the tests build it.
    pub fn built(name: &str) -> Self {
        Self::new(target().join("debug").join(name))
    }

    /// A program of this workspace, optimised.
    pub fn released(name: &str) -> Self {
        Self::new(target().join("release").join(name))
    }

    /// Adds arguments.
    pub fn args<S: AsRef<std::ffi::OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.0.args(arguments);
        self
    }

    /// Sets a variable of its environment.
    pub fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    /// Runs it and waits.
    ///
    /// # Errors
    /// If it cannot be started or ends with another status than 0.
    pub fn run(mut self) -> Result<()> {
        let line = self.line();
        eprintln!("+ {line}");
        let status = self.0.status().with_context(|| format!("cannot start `{line}`"))?;
        if !status.success() {
            bail!("`{line}` failed: {status}");
        }
        Ok(())
    }

    /// Takes variables out of its environment.
    pub fn without(mut self, names: &[&str]) -> Self {
        for name in names {
            self.0.env_remove(name);
        }
        self
    }

    /// Takes it out of the workspace's folder.
    pub fn within(mut self, folder: &Path) -> Self {
        self.0.current_dir(folder);
        self
    }

    /// Gives it what to read.
    pub fn input(mut self, file: std::fs::File) -> Self {
        self.0.stdin(file);
        self
    }

    /// Runs it, waits, and says nothing unless it fails; what it prints comes back.
    ///
    /// # Errors
    /// If it cannot be started or ends with another status than 0: what it said is in the message.
    pub fn read(mut self) -> Result<Vec<u8>> {
        let line = self.line();
        let output = self.0.output().with_context(|| format!("cannot start `{line}`"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("`{line}` failed: {}: {}", output.status, said.trim());
        }
        Ok(output.stdout)
    }

    /// Starts it and goes on.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(mut self) -> Result<Child> {
        let line = self.line();
        eprintln!("+ {line} &");
        self.0.spawn().with_context(|| format!("cannot start `{line}`"))
    }

    /// Whether it runs and ends with status 0; says nothing.
    pub fn succeeds(mut self) -> bool {
        self.0.output().is_ok_and(|output| output.status.success())
    }

    /// Whether it ends with status 0 and prints just `answer`.
    pub fn succeeds_with(mut self, answer: &str) -> bool {
        let output = self.0.output();
        output.is_ok_and(|output| output.status.success() && output.stdout.trim_ascii() == answer.as_bytes())
    }

    fn line(&self) -> String {
        let words = std::iter::once(self.0.get_program()).chain(self.0.get_args());
        words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    }
}

/// One of our own commands, beside what else is done: it has the processors when nobody else wants them, and ends when this goes.
pub struct Beside {
    line: String,
    child: Child,
    said: PathBuf,
}

impl Beside {
    /// Starts `cargo xtask <words>`, one after the other.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(commands: &[&str]) -> Result<Self> {
        let after = |program: &str| {
            commands.iter().map(|words| format!("{program} {words}")).collect::<Vec<_>>().join(" && ")
        };
        let (line, said) = (after("cargo xtask"), target().join("beside.log"));
        eprintln!("+ ({line}) &   (what it says is in {})", said.display());
        let log = std::fs::File::create(&said).with_context(|| format!("cannot make {}", said.display()))?;
        let mut command = Command::new("chrt");
        command.args(["--idle", "0", "sh", "-c", &after("\"$0\"")]);
        command.arg(std::env::current_exe().context("where am I")?);
        command.current_dir(root()).stdout(log.try_clone()?).stderr(log).process_group(0);
        let child = command.spawn().with_context(|| format!("cannot start `{line}`"))?;
        Ok(Self { line, child, said })
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// If it failed: what it said is in the message.
    pub fn finish(mut self) -> Result<()> {
        eprintln!("+ {}   (begun before)", self.line);
        let status = self.child.wait().with_context(|| format!("`{}`", self.line))?;
        if !status.success() {
            let said = std::fs::read_to_string(&self.said).unwrap_or_default();
            bail!("`{}` failed: {status}\n{said}", self.line);
        }
        Ok(())
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // Its compilers go with it.
            let group = format!("-{}", self.child.id());
            drop(Command::new("kill").args(["--", &group]).status());
            drop(self.child.wait());
        }
    }
}

/// `cargo`, the one that runs us.
pub struct Cargo;

impl Cargo {
    /// `cargo <command>`.
    #[allow(clippy::new_ret_no_self, reason = "a cargo call is a program like any other")]
    pub fn new(command: &str) -> Program {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        Program::new(cargo).args([command])
    }

    /// `cargo build` of what `--bin` and `--example` then name, as it is built for the tests. cargo unites the features of all that it is asked for,
    /// tests' own included; for another choice it would build most dependencies anew. The one test of the house stands for all of them.
    pub fn build_as_for_tests() -> Program {
        Self::new("build").args(["--workspace", "--test", "house"])
    }
}
