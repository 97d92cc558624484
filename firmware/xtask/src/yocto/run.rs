//! Starting the gate's tools and keeping what they say.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a check found.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What was looked at, if all is well.
    pub said: String,
    /// What is wrong, one line each.
    pub problems: Vec<String>,
}

impl Outcome {
    /// What was looked at, and what is wrong with it.
    pub fn new(said: impl Into<String>, problems: Vec<String>) -> Self {
        Self { said: said.into(), problems }
    }
}

/// The genuine Python tools, in an environment of their own.
#[derive(Debug)]
pub struct Tools {
    environment: PathBuf,
}

impl Tools {
    /// Makes the environment where it is missing or the pins have changed.
    ///
    /// # Errors
    /// If there is no Python, or PyPI is not reached.
    pub fn ready(requirements: &Path, folder: &Path) -> Result<Self> {
        let environment = folder.join("venv");
        let pins = std::fs::read_to_string(requirements)
            .with_context(|| format!("cannot read {}", requirements.display()))?;
        let installed = environment.join("installed.txt");
        if std::fs::read_to_string(&installed).is_ok_and(|old| old == pins) {
            return Ok(Self { environment });
        }
        eprintln!(
            "installing for the Yocto gate, from PyPI into {}: bitbake's parser, oelint-adv, kas",
            environment.display()
        );
        drop(std::fs::remove_dir_all(&environment));
        quiet(Command::new("python3").args(["-m", "venv"]).arg(&environment))
            .context("install by hand, then try again: apt-get install python3-venv")?;
        let pip = environment.join("bin/pip");
        quiet(
            Command::new(pip)
                .args(["install", "--quiet", "--require-hashes", "--only-binary", ":all:", "-r"])
                .arg(requirements),
        )?;
        std::fs::write(&installed, pins)?;
        Ok(Self { environment })
    }

    /// One of the programs that came with the tools.
    pub fn program(&self, name: &str) -> Command {
        Command::new(self.environment.join("bin").join(name))
    }

    /// Runs one of the gate's scripts: it ends with 0 if all is well, and with 1 after saying what is wrong, one line each.
    ///
    /// # Errors
    /// If it fails in another way.
    pub fn script(&self, script: &Path, arguments: &[&Path], words: &[&str]) -> Result<Outcome> {
        let mut command = self.program("python");
        command.arg(script).args(arguments).args(words).env("PYTHONDONTWRITEBYTECODE", "1");
        let captured = capture(&mut command)?;
        match captured.status {
            Some(0) => {
                for line in captured.out.lines().filter(|line| line.starts_with("not fetched: ")) {
                    eprintln!("  {line}");
                }
                Ok(Outcome::new(captured.out.lines().last().unwrap_or_default(), Vec::new()))
            }
            Some(1) if !captured.out.trim().is_empty() => {
                Ok(Outcome::new("", captured.out.lines().map(str::to_owned).collect()))
            }
            _ => bail!("{} failed: {}", script.display(), captured.err.trim()),
        }
    }
}

/// What a program said.
#[derive(Debug)]
pub struct Captured {
    /// Its exit status, if it was not killed.
    pub status: Option<i32>,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

/// Runs a program and keeps what it says.
///
/// # Errors
/// If it cannot be started.
pub fn capture(command: &mut Command) -> Result<Captured> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Captured { status: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) })
}

/// Runs a program; what it says is told only if it fails.
///
/// # Errors
/// If it cannot be started, or ends with another status than 0.
pub fn quiet(command: &mut Command) -> Result<()> {
    let captured = capture(command)?;
    if captured.status != Some(0) {
        let name = command.get_program().to_string_lossy().into_owned();
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
        bail!("`{name} {}` failed: {}{}", words.join(" "), captured.out, captured.err);
    }
    Ok(())
}
