//! The bill of materials beside an image (CycloneDX 1.6): each Debian package, each crate that is linked into our programs, and
//! every file of the root with where it came from.

use super::Release;
use super::mirror::hex;
use super::packages::Lock;
use super::programs::Program;
use super::tree::{Origin, Tree};
use crate::shell::Cargo;
use anyhow::{Context, Result};
use board::Board;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// A crate that is linked into a program.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Linked {
    name: String,
    version: String,
    licence: String,
    /// From the registry, with its checksum; our own have none.
    checksum: Option<String>,
}

/// Makes the bill.
///
/// # Errors
/// If cargo can't say what is linked.
pub fn make(
    board: &Board,
    lock: &Lock,
    programs: &[Program],
    tree: &Tree,
    release: &Release,
) -> Result<Value> {
    let used: BTreeSet<_> = tree
        .iter()
        .filter_map(|(_, node)| match &node.origin {
            Origin::Debian(package) => Some(package.as_str()),
            _ => None,
        })
        .collect();
    let mut components = Vec::new();
    // The loader's package is on the disk, not in the root.
    for package in
        lock.packages.iter().filter(|package| used.contains(&*package.name) || package.name == "efibootguard")
    {
        let version = package.version.replace('+', "%2B").replace(':', "%3A");
        components.push(json!({
            "type": if package.name == lock.kernel { "operating-system" } else { "library" },
            "bom-ref": format!("deb:{}", package.name),
            "name": package.name,
            "version": package.version,
            "purl": format!("pkg:deb/debian/{}@{version}?arch={}&distro=debian-12", package.name, package.architecture),
            "hashes": [{ "alg": "SHA-256", "content": package.sha256 }],
        }));
    }
    let names: Vec<_> = programs.iter().map(|program| program.package).chain(["init"]).collect();
    for linked in crates(&names, board)? {
        let Linked { name, version, licence, checksum } = linked;
        let mut component = json!({
            "type": "library",
            "bom-ref": format!("crate:{name}@{version}"),
            "name": name,
            "version": version,
            "purl": format!("pkg:cargo/{name}@{version}"),
            "licenses": [{ "expression": licence }],
        });
        if let Some(checksum) = checksum {
            component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
        }
        components.push(component);
    }
    for (path, content, node) in tree.files() {
        let from = match &node.origin {
            Origin::Debian(package) => format!("deb:{package}"),
            Origin::Program(name) => format!("crate:{name}@{}", release.version),
            Origin::Board => "board/rootfs".to_owned(),
            Origin::Made => "image builder".to_owned(),
        };
        components.push(json!({
            "type": "file",
            "bom-ref": format!("file:/{path}"),
            "name": format!("/{path}"),
            "hashes": [{ "alg": "SHA-256", "content": hex(&Sha256::digest(content)) }],
            "properties": [{ "name": "gantry:from", "value": from }],
        }));
    }
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": format!("urn:uuid:{}", super::disk::guid(board, &format!("sbom {} {}", release.version, release.build))),
        "version": 1,
        "metadata": {
            "timestamp": release.time(),
            "component": {
                "type": "firmware",
                "bom-ref": "gantry",
                "name": format!("gantry-{}", board.name),
                "version": release.version,
            },
        },
        "components": components,
    }))
}

/// The crates that are linked into `programs`.
fn crates(programs: &[&str], board: &Board) -> Result<BTreeSet<Linked>> {
    let metadata = Cargo::new("metadata")
        .args(["--format-version", "1", "--locked", "--filter-platform", board.arch.target()])
        .read()?;
    let metadata: Value = serde_json::from_slice(&metadata)?;
    let locked = std::fs::read_to_string(crate::shell::root().join("Cargo.lock"))?;
    linked(&metadata, &checksums(&locked)?, programs).context("cargo's metadata is not understood")
}

/// Name and version of each package of Cargo.lock that has a checksum.
fn checksums(lock: &str) -> Result<BTreeMap<(String, String), String>> {
    let lock: toml::Table = toml::from_str(lock)?;
    let packages =
        lock.get("package").and_then(toml::Value::as_array).context("Cargo.lock holds no packages")?;
    let text = |package: &toml::Value, field: &str| {
        package.get(field).and_then(toml::Value::as_str).map(str::to_owned)
    };
    let known = packages.iter().filter_map(|package| {
        Some(((text(package, "name")?, text(package, "version")?), text(package, "checksum")?))
    });
    Ok(known.collect())
}

/// Walks from the programs over what is linked: neither what only tests use nor what only runs while building.
fn linked(
    metadata: &Value,
    checksums: &BTreeMap<(String, String), String>,
    programs: &[&str],
) -> Option<BTreeSet<Linked>> {
    let packages: BTreeMap<_, _> = metadata["packages"]
        .as_array()?
        .iter()
        .filter_map(|package| Some((package["id"].as_str()?, package)))
        .collect();
    let nodes: BTreeMap<_, _> = metadata["resolve"]["nodes"]
        .as_array()?
        .iter()
        .filter_map(|node| Some((node["id"].as_str()?, node)))
        .collect();
    let named = |id: &&str| {
        programs.iter().any(|name| packages[*id]["name"] == *name && packages[*id]["source"].is_null())
    };
    let mut open: Vec<&str> = packages.keys().copied().filter(named).collect();
    let (mut seen, mut found) = (BTreeSet::new(), BTreeSet::new());
    while let Some(id) = open.pop() {
        let package = packages.get(id)?;
        let is_macro = package["targets"].as_array()?.iter().any(|target| target["kind"][0] == "proc-macro");
        if is_macro || !seen.insert(id) {
            continue;
        }
        let text = |field: &str| package[field].as_str().map(str::to_owned);
        let (name, version) = (text("name")?, text("version")?);
        let licence = text("license").unwrap_or_else(|| "NOASSERTION".to_owned()).replace('/', " OR ");
        let checksum = checksums.get(&(name.clone(), version.clone())).cloned();
        found.insert(Linked { name, version, licence, checksum });
        for dependency in nodes.get(id)?["deps"].as_array()? {
            let kinds = dependency["dep_kinds"].as_array()?;
            if kinds.iter().any(|kind| kind["kind"].is_null()) {
                open.push(dependency["pkg"].as_str()?);
            }
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_linked_is_listed() {
        let package = |name: &str, kind: &str| {
            json!({ "id": name, "name": name, "version": "1.0.0", "license": "MIT/Apache-2.0", "source": null,
                    "targets": [{ "kind": [kind] }] })
        };
        let on = |name: &str, kind: Value| json!({ "pkg": name, "dep_kinds": [{ "kind": kind }] });
        let metadata = json!({
            "packages": [package("program", "bin"), package("used", "lib"), package("tested", "lib"), package("derive", "proc-macro")],
            "resolve": { "nodes": [
                { "id": "program", "deps": [on("used", Value::Null), on("tested", json!("dev")), on("derive", Value::Null)] },
                { "id": "used", "deps": [] },
            ] },
        });
        let sums =
            checksums("[[package]]\nname = \"used\"\nversion = \"1.0.0\"\nchecksum = \"ab\"\n").unwrap();
        let found = linked(&metadata, &sums, &["program"]).unwrap();
        let names: Vec<_> = found.iter().map(|linked| linked.name.as_str()).collect();
        assert_eq!(names, ["program", "used"]);
        let used = found.iter().find(|linked| linked.name == "used").unwrap();
        assert_eq!((used.checksum.as_deref(), used.licence.as_str()), (Some("ab"), "MIT OR Apache-2.0"));
    }
}
