//! The real workspace, held against the plan.

use anyhow::{Context, Result, ensure};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use floors::edges::{self, Crate, Use, WhatFor, Whose};
use floors::plan::PURE_FOLDERS;
use floors::{manifests, sources};
use std::fs;
use std::path::{Path, PathBuf};

/// Folders without sources of ours.
const NOT_OURS: &[&str] = &["target", ".git"];

fn metadata() -> Result<Metadata> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
    MetadataCommand::new().manifest_path(manifest).no_deps().exec().context("cargo metadata")
}

fn root(metadata: &Metadata) -> PathBuf {
    metadata.workspace_root.clone().into_std_path_buf()
}

/// `path` from the root of the workspace.
fn from_root(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned()
}

fn as_crate(root: &Path, package: &Package) -> Crate {
    let folder = package
        .manifest_path
        .parent()
        .map_or_else(String::new, |folder| from_root(root, folder.as_std_path()));
    let uses = package.dependencies.iter().map(|dependency| Use {
        name: dependency.name.clone(),
        what_for: match dependency.kind {
            DependencyKind::Development => WhatFor::Tests,
            _ => WhatFor::Code,
        },
        whose: if dependency.path.is_some() { Whose::Ours } else { Whose::Outside },
    });
    Crate { name: package.name.to_string(), folder, uses: uses.collect() }
}

/// Every file under `folder` whose name ends in `end`.
fn files(folder: &Path, end: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if !NOT_OURS.contains(&name.as_str()) {
                found.extend(files(&path, end)?);
            }
        } else if name.ends_with(end) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn stands(faults: &[String]) -> Result<()> {
    ensure!(faults.is_empty(), "the house departs from its plan:\n  {}", faults.join("\n  "));
    Ok(())
}

#[test]
fn nobody_knows_whom_the_plan_does_not_let_it_know() -> Result<()> {
    let metadata = metadata()?;
    let root = root(&metadata);
    let crates: Vec<_> = metadata.packages.iter().map(|package| as_crate(&root, package)).collect();
    ensure!(crates.len() > 10, "only {} crates were found; is this the workspace?", crates.len());
    stands(&edges::check(&crates))
}

#[test]
fn every_crate_takes_its_version_lints_and_dependencies_from_the_workspace() -> Result<()> {
    let metadata = metadata()?;
    let root = root(&metadata);
    let members: Vec<_> =
        metadata.packages.iter().map(|package| package.manifest_path.as_std_path().to_owned()).collect();
    let mut faults = Vec::new();
    for manifest in
        files(&root, "Cargo.toml")?.into_iter().filter(|manifest| *manifest != root.join("Cargo.toml"))
    {
        let name = from_root(&root, &manifest);
        if !members.contains(&manifest) {
            faults.push(format!("{name} is no member of the workspace; add it to the root's Cargo.toml"));
        }
        faults.extend(manifests::check(&name, &fs::read_to_string(&manifest)?));
    }
    stands(&faults)
}

#[test]
fn every_source_file_is_short_named_by_its_contents_and_safe() -> Result<()> {
    let root = root(&metadata()?);
    let mut faults = Vec::new();
    for file in files(&root, ".rs")? {
        faults.extend(sources::check(&from_root(&root, &file), &fs::read_to_string(&file)?));
    }
    stands(&faults)
}

#[test]
fn pure_folders_ban_clocks_sockets_files_threads_and_os_randomness() -> Result<()> {
    let root = root(&metadata()?);
    let everywhere = fs::read_to_string(root.join("clippy.toml"))?;
    let bans = |folder: &str| fs::read_to_string(root.join(folder).join("clippy.toml")).ok();
    let first = bans(PURE_FOLDERS[0]);
    let mut faults = Vec::new();
    for folder in PURE_FOLDERS {
        faults.extend(manifests::check_bans(folder, bans(folder).as_deref(), &everywhere));
        if bans(folder) != first {
            faults.push(format!(
                "{folder}/clippy.toml differs from that of {}; keep the copies alike",
                PURE_FOLDERS[0]
            ));
        }
    }
    stands(&faults)
}
