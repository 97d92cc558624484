//! The gate: everything about the Yocto layers that can be known without oe-core, which no package registry has.

use super::run::{Outcome, Tools, capture, quiet};
use super::tree::Tree;
use super::{arm64, crates, layout};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// One of the gate's checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// The list of crates is Cargo.lock's.
    Crates,
    /// Disks and figures are the boards'.
    Layout,
    /// bitbake's parser reads every configuration and recipe.
    Parse,
    /// oelint-adv finds nothing.
    Lint,
    /// The kas files are such.
    Kas,
    /// The classes do what they say, as far as they can be run here.
    Classes,
    /// bitbake's fetchers get every source, with its checksum.
    Sources,
    /// A program of ours is built frozen from what was fetched.
    Frozen,
    /// Pure crates are built for ARM64, and their tests run there.
    Arm64,
}

impl Check {
    /// Those that take seconds.
    pub const QUICK: [Self; 6] =
        [Self::Crates, Self::Layout, Self::Parse, Self::Lint, Self::Kas, Self::Classes];

    fn name(self) -> &'static str {
        match self {
            Self::Crates => "crates",
            Self::Layout => "layout",
            Self::Parse => "parse",
            Self::Lint => "lint",
            Self::Kas => "kas",
            Self::Classes => "classes",
            Self::Sources => "sources",
            Self::Frozen => "frozen",
            Self::Arm64 => "arm64",
        }
    }
}

/// A gate round one tree.
#[derive(Debug)]
pub struct Gate<'a> {
    tree: &'a Tree,
    tools: &'a Tools,
    /// Where bitbake works.
    build: PathBuf,
    /// Where what was fetched is kept.
    downloads: PathBuf,
    /// Only what has one of these in its address is fetched, if any are given.
    only: Vec<String>,
}

impl<'a> Gate<'a> {
    /// A gate round `tree` that works in `folder`.
    pub fn new(tree: &'a Tree, tools: &'a Tools, folder: &Path) -> Self {
        let (build, downloads) = (folder.join("build"), folder.join("downloads"));
        Self { tree, tools, build, downloads, only: Vec::new() }
    }

    /// Keeps what it fetches in this folder.
    pub fn keeping(mut self, downloads: &Path) -> Self {
        downloads.clone_into(&mut self.downloads);
        self
    }

    /// Fetches no more than what has this in its address, and keeps it nowhere.
    pub fn fetching_only(mut self, part: &str) -> Self {
        self.only.push(part.to_owned());
        self.downloads = self.build.join("fresh-downloads");
        self
    }

    /// Runs some checks, says how each went, and fails with everything that is wrong.
    ///
    /// # Errors
    /// If something is wrong with the layers, or a check cannot be run.
    pub fn run(&self, checks: &[Check]) -> Result<()> {
        let mut problems = Vec::new();
        for check in checks {
            let began = Instant::now();
            let outcome = self
                .outcome(*check)
                .with_context(|| format!("the check {:?} could not be run", check.name()))?;
            let took = began.elapsed().as_secs_f32();
            let name = check.name();
            match outcome.problems.len() {
                0 => eprintln!("yocto {name:8} {took:6.1} s  {}", outcome.said),
                count => eprintln!("yocto {name:8} {took:6.1} s  {count} wrong"),
            }
            problems.extend(outcome.problems.into_iter().map(|problem| format!("{name}: {problem}")));
            // What is built from wrong sources says nothing.
            if !problems.is_empty() && check == Check::QUICK.last().unwrap_or(&Check::Classes) {
                break;
            }
        }
        if problems.is_empty() {
            return Ok(());
        }
        bail!("the Yocto layers are not as they must be:\n  {}", problems.join("\n  "))
    }

    /// What one check finds.
    ///
    /// # Errors
    /// If it cannot be run.
    pub fn outcome(&self, check: Check) -> Result<Outcome> {
        match check {
            Check::Crates => {
                let (count, problems) = crates::check(self.tree)?;
                Ok(Outcome::new(format!("{count} crates as Cargo.lock has them"), problems))
            }
            Check::Layout => {
                let (count, problems) = layout::check(self.tree)?;
                Ok(Outcome::new(format!("{count} disks as the boards have them"), problems))
            }
            Check::Parse => self.script("parse.py", &[&self.tree.yocto(), &self.build], &[]),
            Check::Lint => self.lint(),
            Check::Kas => self.script("kas_files.py", &[&self.tree.yocto().join("kas")], &[]),
            Check::Classes => self.script("classes.py", &[&self.tree.yocto(), &self.build], &[]),
            Check::Sources => self.sources(),
            Check::Frozen => self.frozen(),
            Check::Arm64 => arm64::check(self.tree),
        }
    }

    fn script(&self, name: &str, arguments: &[&Path], words: &[&str]) -> Result<Outcome> {
        self.tools.script(&self.tree.yocto().join("gate").join(name), arguments, words)
    }

    /// oelint-adv ends with 1 after naming what it found, one line each.
    fn lint(&self) -> Result<Outcome> {
        let mut files = Vec::new();
        for layer in ["meta-gantry", "meta-gantry-bsp", "meta-gantry-distro"] {
            files.extend(
                self.tree.files(&format!("yocto/{layer}"), &[".bb", ".bbappend", ".bbclass", ".conf"])?,
            );
        }
        let mut command = self.tools.program("oelint-adv");
        command.current_dir(self.tree.root()).args(&files);
        command.args(["--mode", "fast", "--release", "wrynose", "--quiet", "--relpaths", "--jobs", "2"]);
        command.args(["--rulefile", "yocto/gate/oelint-rules.json"]);
        // Where our programs are at home on the web is not settled.
        command.args(["--suppress", "oelint.var.mandatoryvar.HOMEPAGE"]);
        // Takes all words that follow, so it comes last.
        command.args(["--constantmods", "+yocto/gate/oelint-names.json"]);
        let said = capture(&mut command)?;
        let found: Vec<_> =
            said.err.lines().chain(said.out.lines()).filter(|line| !line.trim().is_empty()).collect();
        if said.status == Some(0) || !found.is_empty() {
            let problems = found.into_iter().map(str::to_owned).collect();
            return Ok(Outcome::new(format!("{} files", files.len()), problems));
        }
        bail!("oelint-adv failed without a word")
    }

    fn sources(&self) -> Result<Outcome> {
        let repository = self.repository()?;
        let only: Vec<_> = self.only.iter().map(String::as_str).collect();
        self.script("fetch.py", &[&self.tree.yocto(), &self.build, &self.downloads, &repository], &only)
    }

    /// A repository whose only commit is the tree as it lies there, committed or not: the recipes fetch from one.
    fn repository(&self) -> Result<PathBuf> {
        let repository = self.build.join("source.git");
        let git = || {
            let mut command = Command::new("git");
            command.arg("--git-dir").arg(&repository).arg("--work-tree").arg(self.tree.root());
            for who in ["GIT_AUTHOR", "GIT_COMMITTER"] {
                command.env(format!("{who}_NAME"), "gate").env(format!("{who}_EMAIL"), "gate@localhost");
                command.env(format!("{who}_DATE"), "2026-01-01T00:00:00Z");
            }
            command.current_dir(self.tree.root());
            command
        };
        std::fs::create_dir_all(&self.build)?;
        quiet(git().args(["init", "--quiet"]))?;
        quiet(git().args(["add", "--all", "."]))?;
        let written = capture(git().arg("write-tree"))?;
        let commit = capture(git().args(["commit-tree", "-m", "the tree as it is", written.out.trim()]))?;
        if commit.status != Some(0) {
            bail!("git cannot commit the tree: {}{}", written.err, commit.err);
        }
        quiet(git().args(["update-ref", "HEAD", commit.out.trim()]))?;
        Ok(repository)
    }

    /// Builds as oe-core's cargo class does: nothing but the fetched crates, nothing but the lock file.
    fn frozen(&self) -> Result<Outcome> {
        let unpacked =
            std::fs::read_to_string(self.build.join("unpacked.txt")).context("nothing was unpacked")?;
        let mut lines = unpacked.lines().map(PathBuf::from);
        let (home, manifest) = lines.next().zip(lines.next()).context("unpacked.txt names no manifest")?;
        let configuration = format!(
            "[source.bitbake]\ndirectory = \"{}\"\n\n[source.crates-io]\nreplace-with = \"bitbake\"\nlocal-registry = \"/nonexistent\"\n",
            home.join("bitbake").display()
        );
        std::fs::write(home.join("config.toml"), configuration)?;
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(["build", "--frozen", "--release", "--manifest-path"]).arg(&manifest);
        command
            .env("CARGO_HOME", &home)
            .env("CARGO_TARGET_DIR", self.build.join("frozen"))
            .current_dir(&home);
        let said = capture(&mut command)?;
        if said.status == Some(0) {
            return Ok(Outcome::new("hal/init built from the fetched crates alone", Vec::new()));
        }
        // What cargo says after its first error tells which crate it is about.
        let wrong: Vec<_> =
            said.err.lines().skip_while(|line| !line.starts_with("error")).take(6).map(str::trim).collect();
        Ok(Outcome::new("", vec![format!("cargo fails: {}", wrong.join("; "))]))
    }
}
