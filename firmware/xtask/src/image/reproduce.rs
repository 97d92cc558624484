//! Two builds are alike: the second is made from a copy of the sources, in another folder, with another target folder.

use super::Release;
use super::mirror::sha256;
use crate::shell::{Cargo, Program, root, target};
use anyhow::{Context, Result, bail};
use std::path::Path;

/// What is compared.
const ARTEFACTS: [&str; 9] = [
    "root.img",
    "initrd.zst",
    "guard.efi",
    "a.efi",
    "b.efi",
    "recovery.efi",
    "disk.img",
    "sbom.json",
    "image.json",
];

/// Builds `board` again and compares with `first`. With a folder of programs these are taken as they are, and only composing is
/// compared; else they are compiled again, in the other folder.
///
/// # Errors
/// If it does not build, or something differs; the message says what.
pub fn check(board: &str, first: &Path, programs: Option<&Path>, release: &Release) -> Result<()> {
    let again = target().join("image/again");
    let (sources, built) = (again.join("some-other-folder/sources"), again.join("built"));
    drop(std::fs::remove_dir_all(again.join("some-other-folder")));
    std::fs::create_dir_all(&sources)?;
    copy_sources(&sources)?;
    let cache = std::env::var_os("GANTRY_CACHE").map_or_else(|| target().join("image/cache"), Into::into);
    let given = programs.iter().flat_map(|folder| ["--programs".as_ref(), folder.as_os_str()]);
    Cargo::new("run")
        .within(&sources)
        .args(["--quiet", "--locked", "-p", "xtask", "--", "image", board])
        .args(given)
        .env("CARGO_TARGET_DIR", &built)
        .env("GANTRY_CACHE", cache)
        .env("GANTRY_BUILD", &release.build)
        .env("SOURCE_DATE_EPOCH", release.epoch.to_string())
        .run()?;
    compare(first, &built.join("image").join(board))
}

/// What git knows or would know, as it stands.
fn copy_sources(to: &Path) -> Result<()> {
    let listed =
        Program::new("git").args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).read()?;
    for path in String::from_utf8(listed).context("a file's name is no text")?.split_terminator('\0') {
        let (from, at) = (root().join(path), to.join(path));
        let Ok(about) = from.symlink_metadata() else { continue };
        std::fs::create_dir_all(at.parent().unwrap_or(to))?;
        if about.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(&from)?, &at)?;
        } else {
            std::fs::copy(&from, &at).with_context(|| format!("cannot copy {path}"))?;
        }
    }
    Ok(())
}

fn compare(first: &Path, second: &Path) -> Result<()> {
    let mut differ = Vec::new();
    for name in ARTEFACTS {
        let (a, b) = (sha256(&first.join(name))?, sha256(&second.join(name))?);
        if a == b {
            println!("  same        {name} {a}");
        } else {
            differ.push(name);
        }
    }
    if !differ.is_empty() {
        bail!(
            "two builds differ in {}; compare {} with {}",
            differ.join(", "),
            first.display(),
            second.display()
        );
    }
    println!("two builds are alike in all {} artefacts", ARTEFACTS.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_bit_that_differs_is_told_with_its_artefact() {
        let folder = std::env::temp_dir().join(format!("gantry-reproduce-{}", std::process::id()));
        let (a, b) = (folder.join("a"), folder.join("b"));
        for side in [&a, &b] {
            std::fs::create_dir_all(side).unwrap();
            ARTEFACTS.iter().for_each(|name| std::fs::write(side.join(name), name).unwrap());
        }
        compare(&a, &b).unwrap();
        std::fs::write(b.join("b.efi"), "c.efi").unwrap();
        let error = compare(&a, &b).unwrap_err().to_string();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(error.contains("differ in b.efi;"), "{error}");
    }
}
