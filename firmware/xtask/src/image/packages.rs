//! Which Debian packages an image is made of: what is wanted (`board/debian.toml`), and what was pinned (`packages.lock`).

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What is wanted of Debian.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// The packages.
    #[serde(rename = "package")]
    pub packages: Vec<Package>,
}

/// What is wanted of a package.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Files that go onto the image; libraries go where they are needed.
    #[serde(default)]
    pub keep: Vec<String>,
    /// Libraries that programs open by name while they run, so that nothing says that they need them.
    #[serde(default)]
    pub opened: Vec<String>,
    /// Links that the package's scripts or aliases would make.
    #[serde(default)]
    pub links: BTreeMap<String, String>,
    /// Which images it is for; all if it is left out.
    pub only: Option<Only>,
}

/// The images that a package is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Only {
    /// Those built with `--debug`.
    Debug,
}

impl Wanted {
    /// Reads `board/debian.toml`.
    ///
    /// # Errors
    /// If it cannot be read or is wrong.
    pub fn read(file: &Path) -> Result<Self> {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let wanted: Self = toml::from_str(&text).with_context(|| file.display().to_string())?;
        let mut seen = BTreeSet::new();
        for package in &wanted.packages {
            if !seen.insert(&package.name) {
                bail!("{}: package {} stands twice; make one of it", file.display(), package.name);
            }
        }
        Ok(wanted)
    }
}

/// The packages of a board, each at one version.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// The kernel's package.
    pub kernel: String,
    /// The packages.
    #[serde(rename = "package")]
    pub packages: Vec<Pinned>,
}

/// A package at one version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pinned {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its architecture, or `all`.
    pub architecture: String,
    /// Where it is published.
    pub archive: Archive,
    /// Where it stands there.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its hash.
    pub sha256: String,
}

/// A Debian archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Archive {
    /// Releases and their updates.
    Main,
    /// Security updates.
    Security,
}

impl Lock {
    /// The lock of a board.
    pub fn file(board: &Path) -> PathBuf {
        board.join("packages.lock")
    }

    /// Reads a board's lock.
    ///
    /// # Errors
    /// If it cannot be read or is wrong; the message names the command that makes it.
    pub fn read(board: &Path, name: &str) -> Result<Self> {
        let file = Self::file(board);
        let way_out = || format!("make it by `cargo xtask image --refresh-lock {name}`");
        let text = std::fs::read_to_string(&file)
            .with_context(|| format!("cannot read {}; {}", file.display(), way_out()))?;
        toml::from_str(&text).with_context(|| format!("{} is no lock; {}", file.display(), way_out()))
    }

    /// Writes a board's lock.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, board: &Path, name: &str) -> Result<()> {
        let head = format!(
            "# The Debian packages of this board's image, pinned. Written by `cargo xtask image --refresh-lock {name}`;\n\
             # old versions leave the mirror, so it is written anew when a build says so. Not for editing by hand.\n\n"
        );
        std::fs::write(Self::file(board), head + &toml::to_string(self)?)?;
        Ok(())
    }

    /// The package of this name.
    ///
    /// # Errors
    /// If it is not pinned.
    pub fn package(&self, name: &str) -> Result<&Pinned> {
        self.packages.iter().find(|package| package.name == name).with_context(|| {
            format!("package {name} is not in packages.lock; take it in by `cargo xtask image --refresh-lock <board>`")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_of_debian_can_be_read_and_names_no_shell_on_a_release() {
        let wanted = Wanted::read(&crate::shell::root().join("board/debian.toml")).unwrap();
        for package in wanted.packages.iter().filter(|package| package.only.is_none()) {
            for shell in
                ["bash", "dash", "busybox", "busybox-static", "perl-base", "python3-minimal", "dpkg", "apt"]
            {
                assert_ne!(
                    package.name, shell,
                    "a release image has no shell, interpreter or package manager"
                );
            }
        }
    }

    #[test]
    fn a_lock_reads_what_it_wrote() {
        let pinned = Pinned {
            name: "libc6".into(),
            version: "2.36-9+deb12u14".into(),
            architecture: "amd64".into(),
            archive: Archive::Security,
            path: "pool/main/g/glibc/libc6.deb".into(),
            size: 1,
            sha256: "00".repeat(32),
        };
        let lock = Lock { kernel: "linux-image".into(), packages: vec![pinned.clone()] };
        let read: Lock = toml::from_str(&toml::to_string(&lock).unwrap()).unwrap();
        assert_eq!(read.packages, [pinned]);
        assert!(read.package("libc7").unwrap_err().to_string().contains("--refresh-lock"));
    }
}
