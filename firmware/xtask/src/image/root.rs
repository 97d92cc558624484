//! The root of the box, composed in memory: files of Debian, of `board/rootfs`, our programs, and what follows from the board.

use super::kernel::Kernel;
use super::mirror::Mirror;
use super::packages::{Lock, Only, Wanted};
use super::programs::Program;
use super::tree::{Kind, Node, Origin, Tree, merged};
use super::{Flavour, Release, deb, elf, users};
use crate::shell::root;
use anyhow::{Context, Result, bail, ensure};
use board::{Board, Content};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Folders that are mounted over.
const FOLDERS: &[(&str, u32)] = &[
    ("dev", 0o755),
    ("proc", 0o555),
    ("sys", 0o555),
    ("run", 0o755),
    ("tmp", 0o1777),
    ("var", 0o755),
    ("data", 0o755),
    ("boot/a", 0o755),
    ("boot/b", 0o755),
    ("etc", 0o755),
];
/// Old names of folders.
const LINKS: &[(&str, &str)] =
    &[("bin", "usr/bin"), ("sbin", "usr/sbin"), ("lib", "usr/lib"), ("lib64", "usr/lib64")];

/// What a root is composed from.
pub struct Parts<'a> {
    /// The board.
    pub board: &'a Board,
    /// The board's folder.
    pub folder: &'a Path,
    /// The board's packages.
    pub lock: &'a Lock,
    /// Where they come from.
    pub mirror: &'a Mirror,
    /// Its kernel.
    pub kernel: &'a Kernel,
    /// Our programs, and the folder they are in.
    pub programs: (&'a [Program], &'a Path),
    /// With a shell or without.
    pub flavour: Flavour,
    /// What this release is called.
    pub release: &'a Release,
}

/// Composes the root. `scratch` may be written to.
///
/// # Errors
/// If something is missing; the message says what, and where to name it.
pub fn compose(parts: &Parts<'_>, scratch: &Path) -> Result<Tree> {
    let mut tree = Tree::default();
    for (path, mode) in FOLDERS {
        tree.folder(path, *mode)?;
    }
    for (path, to) in LINKS {
        tree.link(path, to, Origin::Made)?;
    }
    let libraries = debian(parts, &mut tree)?;
    programs(parts, &mut tree)?;
    tree.take(&root().join("board/rootfs"), "", &Origin::Board)?;
    if parts.flavour == Flavour::Debug {
        tree.take(&root().join("board/rootfs-debug"), "", &Origin::Board)?;
        shell(&mut tree)?;
    }
    of_the_board(parts, &mut tree)?;
    made(parts, &mut tree)?;
    parts.kernel.lay(parts.board, &mut tree, scratch)?;
    link(&mut tree, libraries)?;
    if parts.flavour == Flavour::Release {
        bare(&tree)?;
    }
    Ok(tree)
}

/// Libraries that may be needed, by their paths, and those of which nothing says that they are, by their names.
#[derive(Default)]
struct Libraries {
    known: BTreeMap<String, Node>,
    opened: Vec<String>,
}

/// Lays what is wanted of Debian; the libraries that may be needed come back.
fn debian(parts: &Parts<'_>, tree: &mut Tree) -> Result<Libraries> {
    let wanted = Wanted::read(&root().join("board/debian.toml"))?;
    let (mut libraries, mut opened) = (BTreeMap::new(), Vec::new());
    let on_this = |only: Option<Only>| only.is_none() || parts.flavour == Flavour::Debug;
    for package in wanted.packages.iter().filter(|package| on_this(package.only)) {
        let file = parts.mirror.fetch(parts.lock.package(&package.name)?, parts.board.name.as_str())?;
        let keep: BTreeSet<_> = package.keep.iter().map(|path| merged(path)).collect();
        let files = deb::read(&file, &package.name, |path| keep.contains(path) || is_library(path))?;
        if let Some(lost) = keep.iter().find(|path| !files.contains_key(*path)) {
            bail!("{} has no file {lost} any more; correct board/debian.toml", package.name);
        }
        for (path, node) in files {
            if keep.contains(&path) {
                tree.lay(&path, node)?;
            } else {
                libraries.insert(path, node);
            }
        }
        for (path, to) in &package.links {
            tree.link(path, to, Origin::Debian(package.name.clone()))?;
        }
        opened.extend(package.opened.iter().cloned());
    }
    Ok(Libraries { known: libraries, opened })
}

fn is_library(path: &str) -> bool {
    let (folder, file) = path.rsplit_once('/').unwrap_or_default();
    // ARM64's loader stands in usr/lib itself, that of x86 in usr/lib64.
    (folder.starts_with("usr/lib/") && folder.matches('/').count() <= 3
        || ["usr/lib", "usr/lib64"].contains(&folder))
        && (file.ends_with(".so") || file.contains(".so."))
}

fn programs(parts: &Parts<'_>, tree: &mut Tree) -> Result<()> {
    let (programs, folder) = parts.programs;
    for program in programs {
        let file = folder.join(program.binary);
        let content = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        tree.file(program.path, content, 0o755, Origin::Program(program.package.to_owned()))?;
    }
    Ok(())
}

/// The names under which busybox is each of its tools.
fn shell(tree: &mut Tree) -> Result<()> {
    let origin = || Origin::Debian("busybox-static".to_owned());
    for applet in include_str!("applets.txt").split_ascii_whitespace() {
        if tree.get(&format!("usr/bin/{applet}")).is_none()
            && tree.get(&format!("usr/sbin/{applet}")).is_none()
        {
            tree.link(&format!("usr/bin/{applet}"), "busybox", origin())?;
        }
    }
    Ok(())
}

/// What follows from the board's description, and the description itself.
fn of_the_board(parts: &Parts<'_>, tree: &mut Tree) -> Result<()> {
    let text = std::fs::read(parts.folder.join("board.toml"))?;
    tree.file("usr/share/gantry/board.toml", text, 0o644, Origin::Board)?;
    for file in parts.board.files() {
        match file.content {
            Content::Text(text) => tree.file(&file.path, text.into_bytes(), 0o644, Origin::Made)?,
            Content::Link(to) => tree.link(&file.path, &to, Origin::Made)?,
        }
    }
    Ok(())
}

/// What only a whole image has: its users and its name.
fn made(parts: &Parts<'_>, tree: &mut Tree) -> Result<()> {
    let users = std::fs::read_to_string(root().join("board/rootfs/usr/lib/sysusers.d/gantry.conf"))?;
    let users = users::accounts(&users).context("board/rootfs/usr/lib/sysusers.d/gantry.conf")?;
    tree.file("etc/passwd", users.passwd.into_bytes(), 0o644, Origin::Made)?;
    tree.file("etc/group", users.group.into_bytes(), 0o644, Origin::Made)?;
    let Release { version, build, .. } = parts.release;
    let flavour = match parts.flavour {
        Flavour::Release => "release",
        Flavour::Debug => "debug",
    };
    let os = format!(
        "ID=gantry\nNAME=Gantry\nPRETTY_NAME=\"Gantry {version}\"\nVERSION_ID={version}\nBUILD_ID={build}\n\
         IMAGE_ID={}\nIMAGE_VERSION={version}\nVARIANT_ID={flavour}\n",
        parts.board.name
    );
    tree.file("usr/lib/os-release", os.into_bytes(), 0o644, Origin::Made)?;
    tree.link("etc/os-release", "../usr/lib/os-release", Origin::Made)?;
    // The initrd lays the box's own over it.
    tree.file("etc/machine-id", Vec::new(), 0o444, Origin::Made)
}

/// Adds the libraries that programs need, and those that these need.
fn link(tree: &mut Tree, libraries: Libraries) -> Result<()> {
    let Libraries { known: libraries, opened } = libraries;
    let by_name: BTreeMap<&str, &str> =
        libraries.keys().map(|path| (path.rsplit('/').next().unwrap_or(path), path.as_str())).collect();
    let mut open: Vec<(String, elf::Needs)> = tree
        .files()
        .filter(|(path, ..)| !path.ends_with(".ko"))
        .filter_map(|(path, content, _)| Some((path.to_owned(), elf::needs(content)?)))
        .collect();
    let by_description = elf::Needs { loader: None, libraries: opened };
    open.push(("board/debian.toml".to_owned(), by_description));
    let mut missing = BTreeSet::new();
    while let Some((user, needs)) = open.pop() {
        // The loader is found by its path, the others by their names.
        let loader = needs.loader.iter().map(|path| (path.as_str(), Some(merged(path))));
        let named = needs.libraries.iter().map(|name| {
            let path = by_name.get(name.as_str());
            (name.as_str(), path.map(|path| (*path).to_owned()))
        });
        for (name, path) in loader.chain(named) {
            match path.filter(|path| libraries.contains_key(path)) {
                Some(path) => lay_library(tree, &libraries, &path, &mut open)?,
                None => drop(missing.insert(format!("{user} needs {name}"))),
            }
        }
    }
    ensure!(
        missing.is_empty(),
        "libraries are missing; name their packages in board/debian.toml and refresh the lock:\n  {}",
        missing.into_iter().collect::<Vec<_>>().join("\n  ")
    );
    Ok(())
}

/// Lays a library, and what its links lead to.
fn lay_library(
    tree: &mut Tree,
    libraries: &BTreeMap<String, Node>,
    path: &str,
    open: &mut Vec<(String, elf::Needs)>,
) -> Result<()> {
    let mut path = path.to_owned();
    while tree.get(&path).is_none() {
        let node = libraries.get(&path).with_context(|| format!("/{path} is a link to nothing"))?;
        tree.lay(&path, node.clone())?;
        match &node.kind {
            Kind::Link(to) if to.starts_with('/') => path = merged(to),
            Kind::Link(to) => path = beside(&path, to),
            Kind::File(content) => open.extend(elf::needs(content).map(|needs| (path.clone(), needs))),
            Kind::Folder => {}
        }
    }
    Ok(())
}

/// Where `link` leads from the file at `path`.
fn beside(path: &str, link: &str) -> String {
    let mut parts: Vec<_> = path.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." | "" => {}
            part => parts.push(part),
        }
    }
    merged(&parts.join("/"))
}

/// A release has nothing that runs a text, and nothing that runs as somebody else than who started it.
fn bare(tree: &Tree) -> Result<()> {
    const SHELLS: [&str; 12] =
        ["sh", "bash", "dash", "busybox", "perl", "python3", "awk", "mawk", "sed", "apt", "dpkg", "su"];
    for (path, content, node) in tree.files() {
        let name = path.rsplit('/').next().unwrap_or(path);
        ensure!(!content.starts_with(b"#!"), "/{path} is a script; a release has nothing to run it");
        ensure!(
            !SHELLS.contains(&name),
            "/{path} is on the image; a release has no shell and no interpreter"
        );
        ensure!(node.mode & 0o6000 == 0, "/{path} runs as somebody else; a release has nothing of the kind");
    }
    for (path, node) in tree.iter() {
        if let Kind::Link(to) = &node.kind {
            let name = path.rsplit('/').next().unwrap_or(path);
            ensure!(!SHELLS.contains(&name), "/{path} is a link to {to}; a release has no shell");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_a_shell_or_a_borrowed_user_is_refused_on_a_release() {
        for (path, content, mode, said) in [
            ("usr/bin/tool", &b"#!/bin/sh\n"[..], 0o755, "script"),
            ("usr/bin/bash", b"elf", 0o755, "no shell"),
            ("usr/bin/mount", b"elf", 0o4755, "somebody else"),
        ] {
            let mut tree = Tree::default();
            tree.file(path, content.to_vec(), mode, Origin::Made).unwrap();
            assert!(bare(&tree).unwrap_err().to_string().contains(said), "{path}");
        }
        let mut tree = Tree::default();
        tree.link("usr/bin/sh", "busybox", Origin::Made).unwrap();
        assert!(bare(&tree).is_err());
        assert!(bare(&Tree::default()).is_ok());
    }

    #[test]
    fn links_of_libraries_lead_where_the_loader_would_go() {
        assert_eq!(beside("usr/lib/x/liba.so", "liba.so.1"), "usr/lib/x/liba.so.1");
        assert_eq!(beside("usr/lib64/ld.so.2", "../lib/x/ld.so.2"), "usr/lib/x/ld.so.2");
    }

    #[test]
    fn a_missing_library_is_named_with_who_needs_it() {
        let mut tree = Tree::default();
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        tree.file("usr/bin/program", program, 0o755, Origin::Made).unwrap();
        let error = link(&mut tree, Libraries::default()).unwrap_err().to_string();
        assert!(
            error.contains("usr/bin/program needs libc.so.6") && error.contains("debian.toml"),
            "{error}"
        );
    }

    #[test]
    fn a_library_that_a_program_opens_while_it_runs_is_missed_too() {
        let opened = vec!["libtss2-esys.so.0".to_owned()];
        let libraries = Libraries { opened, ..Libraries::default() };
        let error = link(&mut Tree::default(), libraries).unwrap_err().to_string();
        assert!(error.contains("board/debian.toml needs libtss2-esys.so.0"), "{error}");
    }
}
