//! The files of a Debian package. No script of it is ever run.

use super::tree::{Kind, Node, Origin, merged};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

/// Files and links of a package, by their merged paths.
pub type Files = BTreeMap<String, Node>;

/// The files and links of the package in `deb` that `wanted` says yes to.
///
/// # Errors
/// If it cannot be read.
pub fn read(deb: &Path, package: &str, wanted: impl Fn(&str) -> bool) -> Result<Files> {
    let mut child = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(deb)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start dpkg-deb")?;
    let mut archive = tar::Archive::new(child.stdout.take().context("dpkg-deb says nothing")?);
    let mut files = Files::new();
    for entry in archive.entries().context("dpkg-deb")? {
        let mut entry = entry?;
        let path = merged(&String::from_utf8_lossy(&entry.path_bytes()));
        let header = entry.header();
        let (kind, mode) = (header.entry_type(), header.mode()? & 0o755);
        let target = entry.link_name_bytes().map(|name| String::from_utf8_lossy(&name).into_owned());
        if !(kind.is_file() || kind.is_symlink() || kind.is_hard_link()) || !wanted(&path) {
            continue;
        }
        let kind = match target {
            // A hard link's other name was read before it.
            Some(to) if kind.is_hard_link() => {
                let other = files
                    .get(&merged(&to))
                    .with_context(|| format!("{path} is a link to {to}, which is not kept"))?;
                other.kind.clone()
            }
            Some(to) => Kind::Link(to),
            None => {
                let mut content = Vec::new();
                entry.read_to_end(&mut content)?;
                Kind::File(content)
            }
        };
        files.insert(path, Node { kind, mode, origin: Origin::Debian(package.to_owned()) });
    }
    let status = child.wait()?;
    ensure!(status.success(), "dpkg-deb cannot read {}: {status}", deb.display());
    Ok(files)
}
