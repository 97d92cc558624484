//! The files of a root before they become a file system: where each goes, and where it came from.

use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

/// Folders that are one with those under `usr`.
const MERGED: [&str; 4] = ["bin", "sbin", "lib", "lib64"];

/// Where a file came from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A Debian package.
    Debian(String),
    /// A program of this workspace.
    Program(String),
    /// A file of `board/`.
    Board,
    /// Written by the builder.
    Made,
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Folder,
    /// A file.
    File(Vec<u8>),
    /// A symbolic link.
    Link(String),
}

/// A file, folder or link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Its permissions.
    pub mode: u32,
    /// Where it came from.
    pub origin: Origin,
}

/// Files by their paths, without a slash at the beginning.
#[derive(Debug, Default)]
pub struct Tree(BTreeMap<String, Node>);

impl Tree {
    /// Lays a file.
    ///
    /// # Errors
    /// If something else is there already.
    pub fn file(&mut self, path: &str, content: Vec<u8>, mode: u32, origin: Origin) -> Result<()> {
        self.lay(path, Node { kind: Kind::File(content), mode, origin })
    }

    /// Lays a symbolic link.
    ///
    /// # Errors
    /// If something else is there already.
    pub fn link(&mut self, path: &str, to: &str, origin: Origin) -> Result<()> {
        self.lay(path, Node { kind: Kind::Link(to.to_owned()), mode: 0o777, origin })
    }

    /// Lays a folder, unless it is there.
    ///
    /// # Errors
    /// If something else is there.
    pub fn folder(&mut self, path: &str, mode: u32) -> Result<()> {
        self.lay(path, Node { kind: Kind::Folder, mode, origin: Origin::Made })
    }

    /// Lays a node. The same at the same place is no fault.
    ///
    /// # Errors
    /// If something else is there already.
    pub fn lay(&mut self, path: &str, node: Node) -> Result<()> {
        let path = merged(path);
        if let Some((parent, _)) = path.rsplit_once('/')
            && !self.0.contains_key(parent)
        {
            self.folder(parent, 0o755)?;
        }
        match self.0.get(&path) {
            Some(there) if there.kind != node.kind => {
                bail!(
                    "/{path} comes from {:?} and from {:?}; name it in one of them only",
                    there.origin,
                    node.origin
                )
            }
            Some(_) => Ok(()),
            None => {
                self.0.insert(path, node);
                Ok(())
            }
        }
    }

    /// What stands at `path`.
    pub fn get(&self, path: &str) -> Option<&Node> {
        self.0.get(&merged(path))
    }

    /// Everything, by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.0.iter().map(|(path, node)| (path.as_str(), node))
    }

    /// Every file with its content.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8], &Node)> {
        self.iter().filter_map(|(path, node)| match &node.kind {
            Kind::File(content) => Some((path, content.as_slice(), node)),
            Kind::Folder | Kind::Link(_) => None,
        })
    }

    /// Takes in the folder `from` as it stands, under `below`.
    ///
    /// # Errors
    /// If it cannot be read, or something else is there already.
    pub fn take(&mut self, from: &Path, below: &str, origin: &Origin) -> Result<()> {
        let mut entries: Vec<_> = std::fs::read_dir(from)
            .with_context(|| format!("cannot read {}", from.display()))?
            .collect::<std::io::Result<_>>()?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name().into_string().ok().context("a file's name is no text")?;
            let path = if below.is_empty() { name } else { format!("{below}/{name}") };
            let kind = entry.file_type()?;
            if kind.is_symlink() {
                let to = std::fs::read_link(entry.path())?;
                self.link(&path, to.to_str().context("a link's target is no text")?, origin.clone())?;
            } else if kind.is_dir() {
                self.folder(&path, 0o755)?;
                self.take(&entry.path(), &path, origin)?;
            } else {
                // git keeps of the permissions only whether a file is a program.
                let program = entry.metadata()?.permissions().mode() & 0o100 != 0;
                let mode = if program { 0o755 } else { 0o644 };
                self.file(&path, std::fs::read(entry.path())?, mode, origin.clone())?;
            }
        }
        Ok(())
    }

    /// Writes everything into the folder `to`, which must not be there yet.
    ///
    /// # Errors
    /// If something cannot be written.
    pub fn write(&self, to: &Path) -> Result<()> {
        std::fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
        for (path, node) in self.iter() {
            let at = to.join(path);
            let written = match &node.kind {
                Kind::Folder => std::fs::create_dir_all(&at),
                Kind::File(content) => std::fs::write(&at, content),
                Kind::Link(target) => symlink(target, &at),
            };
            written.with_context(|| format!("cannot write {}", at.display()))?;
            if !matches!(node.kind, Kind::Link(_)) {
                std::fs::set_permissions(&at, std::fs::Permissions::from_mode(node.mode))?;
            }
        }
        Ok(())
    }
}

/// `path` as it is where `/bin`, `/sbin`, `/lib` and `/lib64` are links into `/usr`.
pub fn merged(path: &str) -> String {
    let path = path.trim_start_matches("./").trim_matches('/');
    let first = path.split('/').next().unwrap_or_default();
    if MERGED.contains(&first) && path != first { format!("usr/{path}") } else { path.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_old_folders_come_to_stand_under_usr_and_never_replace_the_links_there() {
        let mut tree = Tree::default();
        tree.link("lib", "usr/lib", Origin::Made).unwrap();
        tree.file("./lib/systemd/systemd", b"elf".to_vec(), 0o755, Origin::Debian("systemd".into())).unwrap();
        assert_eq!(tree.get("lib").unwrap().kind, Kind::Link("usr/lib".into()));
        assert!(tree.get("usr/lib/systemd/systemd").is_some());
        assert_eq!(tree.get("usr/lib").unwrap().kind, Kind::Folder);
    }

    #[test]
    fn two_different_files_at_one_place_are_told_with_both_origins() {
        let mut tree = Tree::default();
        tree.file("etc/a", b"1".to_vec(), 0o644, Origin::Board).unwrap();
        tree.file("etc/a", b"1".to_vec(), 0o644, Origin::Made).unwrap();
        let error = tree.file("etc/a", b"2".to_vec(), 0o644, Origin::Made).unwrap_err().to_string();
        assert!(error.contains("/etc/a") && error.contains("Board") && error.contains("Made"), "{error}");
    }
}
