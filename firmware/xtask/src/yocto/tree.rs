//! A checkout of the workspace: the one this program was built from, or a copy that a fault is planted in.

use anyhow::{Context, Result};
use board::Content;
use std::path::{Path, PathBuf};

/// A checkout.
#[derive(Debug, Clone)]
pub struct Tree {
    root: PathBuf,
}

impl Tree {
    /// The one this program was built from.
    pub fn here() -> Self {
        Self::at(crate::shell::root())
    }

    /// The one in this folder.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of the layers.
    pub fn yocto(&self) -> PathBuf {
        self.root.join("yocto")
    }

    /// A file's text.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(&self, path: &str) -> Result<String> {
        let full = self.root.join(path);
        std::fs::read_to_string(&full).with_context(|| format!("cannot read {}", full.display()))
    }

    /// Writes a file, and says so if it changed.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, path: &str, text: &str) -> Result<()> {
        let full = self.root.join(path);
        if std::fs::read_to_string(&full).is_ok_and(|old| old == text) {
            return Ok(());
        }
        if let Some(folder) = full.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        std::fs::write(&full, text).with_context(|| format!("cannot write {}", full.display()))?;
        eprintln!("written: {path}");
        Ok(())
    }

    /// What is at `path`, if anything is: a text or a link.
    pub fn found(&self, path: &str) -> Option<Content> {
        let full = self.root.join(path);
        match std::fs::read_link(&full) {
            Ok(to) => Some(Content::Link(to.to_string_lossy().into_owned())),
            Err(_) => std::fs::read_to_string(&full).ok().map(Content::Text),
        }
    }

    /// Makes a symbolic link, and says so if it is new.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn link(&self, path: &str, to: &str) -> Result<()> {
        if self.found(path) == Some(Content::Link(to.to_owned())) {
            return Ok(());
        }
        let full = self.root.join(path);
        if let Some(folder) = full.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        drop(std::fs::remove_file(&full));
        std::os::unix::fs::symlink(to, &full).with_context(|| format!("cannot link {}", full.display()))?;
        eprintln!("written: {path}");
        Ok(())
    }

    /// Files of a folder whose names end so, as paths from the root, sorted.
    ///
    /// # Errors
    /// If a folder cannot be read.
    pub fn files(&self, folder: &str, endings: &[&str]) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let mut folders = vec![self.root.join(folder)];
        while let Some(folder) = folders.pop() {
            let entries =
                std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
            for entry in entries {
                let path = entry?.path();
                let name = path.strip_prefix(&self.root).unwrap_or(&path).to_string_lossy().into_owned();
                if path.is_dir() && !path.is_symlink() {
                    folders.push(path);
                } else if endings.iter().any(|ending| name.ends_with(ending)) {
                    found.push(name);
                }
            }
        }
        found.sort();
        Ok(found)
    }
}
