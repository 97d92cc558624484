//! The list of crates that the recipes fetch, written from Cargo.lock: each from the registry, each with its checksum.
//!
//! It has the form of oe-core's `bitbake -c update_crates`. All of the workspace's crates are in it, those for other systems and
//! for tests too: cargo resolves the whole lock file before it builds a part, and a crate that is missing then is an error.

use super::tree::Tree;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Where the list stands.
pub const LIST: &str = "yocto/meta-gantry/recipes-gantry/gantry/gantry-crates.inc";

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Every crate from the registry, by name and version, with its checksum.
#[derive(Debug, PartialEq, Eq)]
pub struct Crates(BTreeMap<(String, String), String>);

#[derive(Deserialize)]
struct Lock {
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
}

impl Crates {
    /// Those of a lock file.
    ///
    /// # Errors
    /// If it is no lock file, or names a crate that is not of the registry.
    pub fn locked(lock: &str) -> Result<Self> {
        let lock: Lock = toml::from_str(lock).context("Cargo.lock")?;
        let mut crates = BTreeMap::new();
        for Package { name, version, source, checksum } in lock.package {
            match (source.as_deref(), checksum) {
                (None, _) => {}
                (Some(REGISTRY), Some(checksum)) => {
                    crates.insert((name, version), checksum);
                }
                (Some(other), _) => bail!(
                    "Cargo.lock: {name} {version} comes from {other}; the recipes fetch from crates.io only, with a checksum"
                ),
            }
        }
        Ok(Self(crates))
    }

    /// Those of a list, with an empty checksum where it has none.
    pub fn listed(list: &str) -> Self {
        let mut crates = BTreeMap::new();
        let sums = list.lines().filter_map(|line| {
            let (id, sum) = line.strip_prefix("SRC_URI[")?.split_once(".sha256sum] = \"")?;
            Some((id, sum.trim_end_matches('"')))
        });
        let sums: BTreeMap<_, _> = sums.collect();
        for line in list.lines().filter_map(|line| line.trim().strip_prefix("crate://crates.io/")) {
            if let Some((name, version)) = line.trim_end_matches(" \\").split_once('/') {
                let sum = sums.get(format!("{name}-{version}").as_str()).copied().unwrap_or_default();
                crates.insert((name.to_owned(), version.to_owned()), sum.to_owned());
            }
        }
        Self(crates)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The list.
    pub fn list(&self) -> String {
        let mut text = String::from(
            "# Written by `cargo xtask yocto crates` from Cargo.lock, in the form of oe-core's `bitbake -c update_crates`.\n\n\
             # from Cargo.lock\nSRC_URI += \" \\\n",
        );
        for (name, version) in self.0.keys() {
            let _ = writeln!(text, "    crate://crates.io/{name}/{version} \\");
        }
        text.push_str("\"\n\n");
        for ((name, version), sum) in &self.0 {
            let _ = writeln!(text, "SRC_URI[{name}-{version}.sha256sum] = \"{sum}\"");
        }
        text
    }

    /// What `found` has otherwise than these, which are right.
    pub fn differences(&self, found: &Self) -> Vec<String> {
        let mut said = Vec::new();
        for ((name, version), sum) in &self.0 {
            match found.0.get(&(name.clone(), version.clone())) {
                None => said.push(format!("{name} {version} is in Cargo.lock and not in the list")),
                Some(other) if other.is_empty() => {
                    said.push(format!("{name} {version} has no checksum in the list"));
                }
                Some(other) if other != sum => {
                    said.push(format!(
                        "{name} {version} has checksum {other} in the list and {sum} in Cargo.lock"
                    ));
                }
                Some(_) => {}
            }
        }
        for (name, version) in found.0.keys().filter(|key| !self.0.contains_key(*key)) {
            said.push(format!("{name} {version} is in the list and not in Cargo.lock"));
        }
        said
    }
}

/// Writes the list.
///
/// # Errors
/// If Cargo.lock cannot be read, or the list not be written.
pub fn write(tree: &Tree) -> Result<()> {
    tree.write(LIST, &Crates::locked(&tree.read("Cargo.lock")?)?.list())
}

/// Programs of the box, by their folders: each has a recipe once the workspace has it.
const PROGRAMS: &[&str] = &["firmware/gatewayd", "firmware/console", "ota/otad", "hal/init"];

/// Programs that no recipe builds.
fn without_recipe(manifest: &str, recipes: &[String]) -> Vec<String> {
    let member = |folder: &&&str| manifest.contains(&format!("\"{folder}\","));
    let built =
        |folder: &str| recipes.iter().any(|text| text.contains(&format!("CARGO_SRC_DIR = \"{folder}\"")));
    let missing = PROGRAMS.iter().filter(member).filter(|folder| !built(folder));
    missing
        .map(|folder| {
            format!(
                "the workspace has {folder} and no recipe builds it; write one beside gatewayd's, with CARGO_SRC_DIR = \"{folder}\", \
                 and name it in gantry-image.bb"
            )
        })
        .collect()
}

/// What is wrong with the list and with what is built from it, and how many crates there are.
///
/// # Errors
/// If Cargo.lock, the list or a recipe cannot be read.
pub fn check(tree: &Tree) -> Result<(usize, Vec<String>)> {
    let locked = Crates::locked(&tree.read("Cargo.lock")?)?;
    let list = tree.read(LIST)?;
    let mut problems = locked.differences(&Crates::listed(&list));
    if problems.is_empty() && list != locked.list() {
        problems.push("it is not as it would be written".to_owned());
    }
    let mut told: Vec<_> =
        problems.into_iter().map(|said| format!("{LIST}: {said}; run `cargo xtask yocto crates`")).collect();
    let recipes = tree.files("yocto/meta-gantry/recipes-gantry", &[".bb"])?;
    let recipes = recipes.iter().map(|path| tree.read(path)).collect::<Result<Vec<_>>>()?;
    told.extend(without_recipe(&tree.read("Cargo.toml")?, &recipes));
    Ok((locked.count(), told))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"
version = 4

[[package]]
name = "base"
version = "0.1.0"
dependencies = ["itoa", "serde 1.0.228"]

[[package]]
name = "serde"
version = "1.0.228"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "bb"

[[package]]
name = "itoa"
version = "1.0.15"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "aa"

[[package]]
name = "serde"
version = "0.9.15"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "cc"
"#;

    fn crates() -> Crates {
        Crates::locked(LOCK).unwrap()
    }

    #[test]
    fn a_list_has_each_crate_of_the_registry_once_for_each_version_with_its_checksum() {
        let list = crates().list();

        let lines: Vec<_> = list.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "# from Cargo.lock",
                "SRC_URI += \" \\",
                "    crate://crates.io/itoa/1.0.15 \\",
                "    crate://crates.io/serde/0.9.15 \\",
                "    crate://crates.io/serde/1.0.228 \\",
                "\"",
                "",
                "SRC_URI[itoa-1.0.15.sha256sum] = \"aa\"",
                "SRC_URI[serde-0.9.15.sha256sum] = \"cc\"",
                "SRC_URI[serde-1.0.228.sha256sum] = \"bb\"",
            ]
        );
    }

    #[test]
    fn a_list_that_was_written_is_read_as_the_same_crates() {
        assert_eq!(Crates::listed(&crates().list()), crates());
    }

    #[test]
    fn every_difference_from_the_lock_file_is_told_at_once() {
        let list = crates().list();
        let list =
            list.replace("    crate://crates.io/serde/0.9.15 \\\n", "    crate://crates.io/gone/2.0.0 \\\n");
        let list = list.replace("SRC_URI[itoa-1.0.15.sha256sum] = \"aa\"\n", "");
        let list = list.replace("\"bb\"", "\"b0\"");

        let said = crates().differences(&Crates::listed(&list));

        assert_eq!(
            said,
            [
                "itoa 1.0.15 has no checksum in the list",
                "serde 0.9.15 is in Cargo.lock and not in the list",
                "serde 1.0.228 has checksum b0 in the list and bb in Cargo.lock",
                "gone 2.0.0 is in the list and not in Cargo.lock",
            ]
        );
    }

    #[test]
    fn a_crate_from_elsewhere_is_refused_by_name() {
        let lock = LOCK.replacen(
            "registry+https://github.com/rust-lang/crates.io-index",
            "git+https://example.com/serde",
            1,
        );

        let problem = Crates::locked(&lock).unwrap_err().to_string();

        assert!(
            problem.starts_with("Cargo.lock: serde 1.0.228 comes from git+https://example.com/serde"),
            "{problem}"
        );
    }

    #[test]
    fn a_program_of_the_workspace_that_no_recipe_builds_is_named_and_one_that_is_not_there_yet_is_not() {
        let manifest = "members = [\n    \"firmware/gatewayd\",\n    \"hal/init\",\n]\n";
        let recipes = ["CARGO_SRC_DIR = \"firmware/gatewayd\"\n".to_owned()];

        let said = without_recipe(manifest, &recipes);

        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with("the workspace has hal/init and no recipe builds it;"), "{said:?}");
    }

    #[test]
    fn the_list_in_the_layer_is_the_lock_file_s() {
        let (count, problems) = check(&Tree::here()).unwrap();
        assert_eq!(problems, Vec::<String>::new());
        assert!(count > 100, "{count}");
    }
}
