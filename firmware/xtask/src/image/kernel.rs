//! The kernel and its modules: only those that a board names, and what these need.

use super::packages::Pinned;
use super::tree::{Origin, Tree};
use crate::shell::{Program, target};
use anyhow::{Context, Result, ensure};
use board::Board;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A kernel, unpacked.
pub struct Kernel {
    /// The kernel itself.
    pub image: PathBuf,
    /// What it calls itself, such as `6.12.117+deb12-amd64`.
    pub version: String,
    /// Which package it is of.
    package: String,
    /// The folder of its modules.
    modules: PathBuf,
    known: Known,
}

/// What there is to load.
#[derive(Debug, Default, PartialEq, Eq)]
struct Known {
    /// Path of each module, from the folder of the modules, and the paths of what it needs.
    paths: BTreeMap<String, (String, Vec<String>)>,
    /// What should be loaded before.
    soft: BTreeMap<String, Vec<String>>,
    /// Modules that are part of the kernel.
    built_in: BTreeSet<String>,
}

impl Kernel {
    /// Unpacks a kernel's package once; the folder is kept.
    ///
    /// # Errors
    /// If it cannot be unpacked.
    pub fn unpack(deb: &Path, package: &Pinned) -> Result<Self> {
        let folder = target().join("image/kernel").join(&package.sha256[..16]);
        let version =
            package.name.trim_start_matches("linux-image-").trim_end_matches("-unsigned").to_owned();
        let modules = folder.join("lib/modules").join(&version);
        if !folder.join("done").exists() {
            eprintln!("unpacking {}", package.name);
            drop(std::fs::remove_dir_all(&folder));
            std::fs::create_dir_all(&folder)?;
            Program::new("dpkg-deb").args(["-x".as_ref(), deb.as_os_str(), folder.as_os_str()]).read()?;
            Program::new("depmod").args(["-b".as_ref(), folder.as_os_str(), version.as_ref()]).read()?;
            std::fs::write(folder.join("done"), "")?;
        }
        let read = |name: &str| -> Result<String> {
            let file = modules.join(name);
            std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))
        };
        let known = Known::read(&read("modules.dep")?, &read("modules.softdep")?, &read("modules.builtin")?);
        let image = folder.join(format!("boot/vmlinuz-{version}"));
        ensure!(image.exists(), "{} has no kernel {}", package.name, image.display());
        Ok(Self { image, version, package: package.name.clone(), modules, known })
    }

    /// A module as it is loaded, unpacked.
    fn module(&self, path: &str) -> Result<Vec<u8>> {
        let file = self.modules.join(path);
        if path.ends_with(".xz") {
            return Program::new("xz").args(["-dc".as_ref(), file.as_os_str()]).read();
        }
        std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))
    }

    /// The modules of `names` with what each needs before it: path without compression, and content.
    ///
    /// # Errors
    /// If one of them is unknown.
    pub fn ordered(&self, names: &[&str]) -> Result<Vec<(String, Vec<u8>)>> {
        let paths = self.known.ordered(names)?;
        let unpacked =
            paths.iter().map(|path| Ok((path.trim_end_matches(".xz").to_owned(), self.module(path)?)));
        unpacked.collect()
    }

    /// Lays the board's modules into the root, with the indices by which they are found.
    ///
    /// # Errors
    /// If a module is unknown, or the indices cannot be made.
    pub fn lay(&self, board: &Board, tree: &mut Tree, scratch: &Path) -> Result<()> {
        let names: Vec<_> =
            board.kernel.initrd.iter().chain(&board.kernel.modules).map(board::Name::as_str).collect();
        let origin = || Origin::Debian(self.package.clone());
        let below = format!("usr/lib/modules/{}", self.version);
        let folder = scratch.join("lib/modules").join(&self.version);
        let mut kept = BTreeSet::new();
        for (path, content) in self.ordered(&names)? {
            let at = folder.join(&path);
            std::fs::create_dir_all(at.parent().context("a module stands in a folder")?)?;
            std::fs::write(&at, &content)?;
            tree.file(&format!("{below}/{path}"), content, 0o644, origin())?;
            kept.insert(path);
        }
        for name in ["modules.builtin", "modules.builtin.modinfo"] {
            std::fs::copy(self.modules.join(name), folder.join(name))?;
        }
        let order = std::fs::read_to_string(self.modules.join("modules.order"))?;
        let order: Vec<_> = order.lines().filter(|line| kept.contains(*line)).collect();
        std::fs::write(folder.join("modules.order"), order.join("\n") + "\n")?;
        Program::new("depmod").args(["-b".as_ref(), scratch.as_os_str(), self.version.as_ref()]).read()?;
        let indices =
            ["alias", "builtin", "builtin.alias", "dep", "symbols"].map(|name| format!("modules.{name}.bin"));
        for name in indices.iter().map(String::as_str).chain(["modules.softdep", "modules.devname"]) {
            tree.file(&format!("{below}/{name}"), std::fs::read(folder.join(name))?, 0o644, Origin::Made)?;
        }
        Ok(())
    }
}

impl Known {
    fn read(dep: &str, softdep: &str, builtin: &str) -> Self {
        let mut known = Self::default();
        for line in dep.lines() {
            let Some((path, needed)) = line.split_once(':') else { continue };
            let needed = needed.split_ascii_whitespace().map(str::to_owned).collect();
            known.paths.insert(name(path), (path.to_owned(), needed));
        }
        for line in softdep.lines() {
            let mut words = line.split_ascii_whitespace();
            let ("softdep", Some(module)) = (words.next().unwrap_or_default(), words.next()) else {
                continue;
            };
            let soft = words.filter(|word| !word.ends_with(':')).map(name);
            known.soft.entry(name(module)).or_default().extend(soft);
        }
        known.built_in = builtin.lines().map(name).collect();
        known
    }

    /// The paths of `names` and of what they need, each after what it needs. What is part of the kernel needs no path.
    fn ordered(&self, names: &[&str]) -> Result<Vec<String>> {
        let mut ordered = Vec::new();
        for wanted in names {
            let wanted = name(wanted);
            ensure!(
                self.built_in.contains(&wanted) || self.paths.contains_key(&wanted),
                "the kernel has no module {wanted}; correct kernel.modules or kernel.initrd in board.toml"
            );
            self.add(&wanted, &mut ordered);
        }
        Ok(ordered)
    }

    fn add(&self, wanted: &str, ordered: &mut Vec<String>) {
        let Some((path, needed)) = self.paths.get(wanted) else { return };
        if ordered.contains(path) {
            return;
        }
        // modules.dep lists what is needed farthest last. Soft ones may be names of other kinds: those are passed over.
        for soft in self.soft.get(wanted).into_iter().flatten() {
            self.add(soft, ordered);
        }
        for path in needed.iter().rev() {
            self.add(&name(path), ordered);
        }
        if !ordered.contains(path) {
            ordered.push(path.clone());
        }
    }
}

/// A module's name: the kernel takes `-` and `_` for the same.
fn name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split(".ko").next().unwrap_or(file).replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        Known::read(
            "kernel/md/dm-verity.ko.xz: kernel/md/dm-bufio.ko.xz kernel/md/dm-mod.ko.xz\nkernel/md/dm-bufio.ko.xz: \
             kernel/md/dm-mod.ko.xz\nkernel/md/dm-mod.ko.xz:\nkernel/fs/ext4.ko.xz:\nkernel/lib/crc32c.ko.xz:\n",
            "# Soft\nsoftdep ext4 pre: crc32c\n",
            "kernel/drivers/virtio/virtio_pci.ko\n",
        )
    }

    #[test]
    fn a_module_comes_after_all_that_it_needs_and_only_once() {
        let ordered = known().ordered(&["dm-verity", "ext4", "dm_mod"]).unwrap();
        assert_eq!(
            ordered,
            [
                "kernel/md/dm-mod.ko.xz",
                "kernel/md/dm-bufio.ko.xz",
                "kernel/md/dm-verity.ko.xz",
                "kernel/lib/crc32c.ko.xz",
                "kernel/fs/ext4.ko.xz"
            ]
        );
    }

    #[test]
    fn what_is_part_of_the_kernel_is_no_fault_and_what_is_nowhere_is_named() {
        assert_eq!(known().ordered(&["virtio-pci"]).unwrap(), Vec::<String>::new());
        assert!(known().ordered(&["nosuch"]).unwrap_err().to_string().contains("nosuch"));
    }
}
