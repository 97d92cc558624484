//! Faults planted in a copy of the tree, one at a time: each must turn the gate red, and by the right words.

use super::gate::{Check, Gate};
use super::run::{Tools, capture, quiet};
use super::tree::Tree;
use anyhow::{Context, Result, bail, ensure};
use std::path::Path;
use std::process::Command;

/// A fault.
struct Fault {
    name: &'static str,
    /// The file it is planted in.
    file: &'static str,
    change: Change,
    /// The checks that are run; the last one finds it.
    checks: &'static [Check],
    /// What is fetched, if not all.
    only: Option<&'static str>,
    /// What must be said.
    says: &'static str,
}

/// How a fault is planted.
enum Change {
    /// The first of these becomes that.
    Replace(&'static str, &'static str),
    /// In the first line that begins so, the first of these becomes that.
    InLine(&'static str, &'static str, &'static str),
    /// The first line that begins so goes.
    Cut(&'static str),
    /// This is written behind.
    Append(&'static str),
}

const GATEWAYD: &str = "yocto/meta-gantry/recipes-gantry/gantry/gatewayd_0.1.0.bb";
const LIBYUV: &str = "yocto/meta-gantry/recipes-multimedia/libyuv/libyuv_20230123.bb";
const CRATES: &str = super::crates::LIST;
const PARSE: &[Check] = &[Check::Parse];

const FAULTS: &[Fault] = &[
    Fault {
        name: "unknown-class",
        file: GATEWAYD,
        change: Change::Append("inherit cargoo\n"),
        checks: PARSE,
        only: None,
        says: "Could not inherit file classes/cargoo.bbclass",
    },
    Fault {
        name: "missing-file",
        file: "yocto/meta-gantry-bsp/recipes-kernel/linux/linux-yocto_%.bbappend",
        change: Change::Replace("file://kernel.cfg", "file://kernels.cfg"),
        checks: PARSE,
        only: None,
        says: "file://kernels.cfg is not there",
    },
    Fault {
        name: "crate-without-checksum",
        file: CRATES,
        change: Change::Cut("SRC_URI[itoa-"),
        checks: PARSE,
        only: None,
        says: "crate://crates.io/itoa/",
    },
    Fault {
        name: "wrong-checksum",
        file: CRATES,
        change: Change::InLine("SRC_URI[itoa-", "= \"", "= \"0"),
        checks: &[Check::Sources],
        only: Some("/itoa/"),
        says: "Checksum mismatch",
    },
    Fault {
        name: "crate-left-out",
        file: CRATES,
        change: Change::Cut("    crate://crates.io/itoa/"),
        checks: &[Check::Sources, Check::Frozen],
        only: None,
        says: "`itoa`",
    },
    Fault {
        name: "missing-require",
        file: GATEWAYD,
        change: Change::Replace("require gantry.inc", "require gantri.inc"),
        checks: PARSE,
        only: None,
        says: "Could not include required file gantri.inc",
    },
    Fault {
        name: "exception-in-expression",
        file: LIBYUV,
        change: Change::Append("SUMMARY:append = \"${@d.getVar('NOBODY_SETS_THIS').upper()}\"\n"),
        checks: PARSE,
        only: None,
        says: "SUMMARY cannot be expanded",
    },
    Fault {
        name: "old-override-syntax",
        file: LIBYUV,
        change: Change::Append("do_install_append() {\n    :\n}\n"),
        checks: PARSE,
        only: None,
        says: "do_install_append contains an operation using the old override syntax",
    },
    Fault {
        name: "unclosed-function",
        file: LIBYUV,
        change: Change::Append("do_install:append() {\n    :\n"),
        checks: PARSE,
        only: None,
        says: "Unparsed lines from unclosed function",
    },
    Fault {
        name: "shell-syntax",
        file: LIBYUV,
        change: Change::Append("do_install:append() {\n    if true; then\n}\n"),
        checks: PARSE,
        only: None,
        says: "a function cannot be read",
    },
    Fault {
        name: "python-syntax",
        file: LIBYUV,
        change: Change::Append("python () {\n    if True\n        pass\n}\n"),
        checks: PARSE,
        only: None,
        says: "expected ':'",
    },
    Fault {
        name: "unknown-dependency",
        file: GATEWAYD,
        change: Change::Replace("libyuv nasm-native", "libyuw nasm-native"),
        checks: PARSE,
        only: None,
        says: "DEPENDS names libyuw, which no recipe provides",
    },
    Fault {
        name: "unknown-package",
        file: "yocto/meta-gantry-distro/recipes-core/images/gantry-image.bb",
        change: Change::Replace("    nftables", "    nftable"),
        checks: PARSE,
        only: None,
        says: "IMAGE_INSTALL names nftable, which no recipe packages",
    },
    Fault {
        name: "other-release",
        file: "yocto/meta-gantry/conf/layer.conf",
        change: Change::Replace("\"wrynose\"", "\"scarthgap\""),
        checks: PARSE,
        only: None,
        says: "Layer gantry is not compatible with the core layer",
    },
    Fault {
        name: "lock-file-changed",
        file: "Cargo.lock",
        change: Change::Append(
            "\n[[package]]\nname = \"newcomer\"\nversion = \"1.0.0\"\nchecksum = \"00\"\n\
             source = \"registry+https://github.com/rust-lang/crates.io-index\"\n",
        ),
        checks: &[Check::Crates],
        only: None,
        says: "newcomer 1.0.0 is in Cargo.lock and not in the list",
    },
    Fault {
        name: "program-without-recipe",
        file: "yocto/meta-gantry/recipes-gantry/gantry/otad_0.1.0.bb",
        change: Change::Replace("\"ota/otad\"", "\"ota/other\""),
        checks: &[Check::Crates],
        only: None,
        says: "the workspace has ota/otad and no recipe builds it",
    },
    Fault {
        name: "board-changed",
        file: "board/x86-rack/board.toml",
        change: Change::Replace(
            "name = \"DATA\",     size_mib = 4096",
            "name = \"DATA\",     size_mib = 8192",
        ),
        checks: &[Check::Layout],
        only: None,
        says: "its board wants `part --fstype ext4 --label DATA",
    },
    Fault {
        name: "disk-changed",
        file: "yocto/meta-gantry-bsp/files/wic/gantry-arm-rack.wks.in",
        change: Change::Replace("--part-name ROOT-B", "--part-name ROOT-C"),
        checks: &[Check::Layout],
        only: None,
        says: "gantry-arm-rack.wks.in:8: has `part ",
    },
    Fault {
        name: "kas-misspelt",
        file: "yocto/kas/gantry.yml",
        change: Change::Replace("    commit: ", "    commmit: "),
        checks: &[Check::Kas],
        only: None,
        says: "'commmit' was unexpected",
    },
    Fault {
        name: "renamed-variable",
        file: "yocto/meta-gantry-distro/conf/distro/gantry.conf",
        change: Change::Append("DISTRO_FEATURES_DEFAULT = \"acl\"\n"),
        checks: PARSE,
        only: None,
        says: "Variable DISTRO_FEATURES_DEFAULT",
    },
    Fault {
        name: "warning-silenced",
        file: LIBYUV,
        change: Change::Append("INSANE_SKIP:${PN} = \"dev-so\"\n"),
        checks: &[Check::Lint],
        only: None,
        says: "insaneskip",
    },
    Fault {
        name: "wrong-slot",
        file: "yocto/meta-gantry-distro/classes-recipe/gantry_slots.bbclass",
        change: Change::Replace("gantry.root=$2", "gantry.root=ROOT-A"),
        checks: &[Check::Classes],
        only: None,
        says: "slot b is started with `",
    },
    Fault {
        name: "wrong-tree",
        file: "yocto/meta-gantry-distro/classes-recipe/gantry_verity.bbclass",
        change: Change::Replace("for level in reversed(levels)", "for level in levels"),
        checks: &[Check::Classes],
        only: None,
        says: "the tree is not the one that veritysetup makes",
    },
];

/// Plants faults, one at a time, and looks for each.
///
/// # Errors
/// If the copy is not green to begin with, or a fault is not found by its words.
pub fn command(tools: &Tools, folder: &Path, which: Which<'_>) -> Result<()> {
    let faults: Vec<_> = FAULTS.iter().filter(|fault| which.takes(fault)).collect();
    ensure!(!faults.is_empty(), "there is no fault called so; there are: {}", names());
    let tree = copy(&folder.join("faults/tree"))?;
    let work = folder.join("faults");
    for check in Check::QUICK {
        let problems = gate(&tree, tools, folder, &work, None).outcome(check)?.problems;
        ensure!(problems.is_empty(), "without a fault the copy is red already:\n  {}", problems.join("\n  "));
    }
    let mut missed = Vec::new();
    for fault in &faults {
        match find(fault, &tree, tools, folder, &work)? {
            Found::ByItsWords(line) => eprintln!("found  {:24} {line}", fault.name),
            Found::Otherwise(said) => {
                missed.push(format!("{}: said {said:?}, not {:?}", fault.name, fault.says))
            }
            Found::Not => missed.push(format!("{}: the gate stayed green", fault.name)),
        }
    }
    ensure!(missed.is_empty(), "the gate does not see every fault:\n  {}", missed.join("\n  "));
    eprintln!("{} faults planted, each found", faults.len());
    Ok(())
}

/// Which faults are planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which<'a> {
    /// All.
    All,
    /// Those that are found without fetching or building.
    Quick,
    /// Those with this in their name.
    Named(&'a str),
}

impl Which<'_> {
    fn takes(self, fault: &Fault) -> bool {
        match self {
            Self::All => true,
            Self::Quick => fault.checks.iter().all(|check| Check::QUICK.contains(check)),
            Self::Named(name) => fault.name.contains(name),
        }
    }
}

/// How a fault was found.
enum Found {
    ByItsWords(String),
    Otherwise(Vec<String>),
    Not,
}

fn names() -> String {
    FAULTS.iter().map(|fault| fault.name).collect::<Vec<_>>().join(", ")
}

/// Downloads are shared with the gate itself, all else is apart.
fn gate<'a>(tree: &'a Tree, tools: &'a Tools, folder: &Path, work: &Path, only: Option<&str>) -> Gate<'a> {
    let gate = Gate::new(tree, tools, work).keeping(&folder.join("downloads"));
    match only {
        Some(part) => gate.fetching_only(part),
        None => gate,
    }
}

fn find(fault: &Fault, tree: &Tree, tools: &Tools, folder: &Path, work: &Path) -> Result<Found> {
    let whole = tree.read(fault.file)?;
    let broken = plant(&whole, &fault.change)
        .with_context(|| format!("{} cannot be planted in {}", fault.name, fault.file))?;
    let path = tree.root().join(fault.file);
    std::fs::write(&path, broken)?;
    let gate = gate(tree, tools, folder, work, fault.only);
    let mut said = Vec::new();
    for check in fault.checks {
        let outcome = gate.outcome(*check);
        match outcome {
            Ok(outcome) => said.extend(outcome.problems),
            Err(error) => said.push(format!("{error:#}")),
        }
    }
    std::fs::write(&path, whole)?;
    Ok(match said.iter().find(|line| line.contains(fault.says)) {
        Some(line) => Found::ByItsWords(line.clone()),
        None if said.is_empty() => Found::Not,
        None => Found::Otherwise(said),
    })
}

fn plant(text: &str, change: &Change) -> Result<String> {
    match change {
        Change::Append(more) => Ok(format!("{text}{more}")),
        Change::Replace(from, to) => {
            ensure!(text.contains(from), "{from:?} is not in it");
            Ok(text.replacen(from, to, 1))
        }
        Change::InLine(start, from, to) => {
            let line = line(text, start)?;
            ensure!(line.contains(from), "{from:?} is not in {line:?}");
            Ok(text.replacen(line, &line.replacen(from, to, 1), 1))
        }
        Change::Cut(start) => Ok(text.replacen(&format!("{}\n", line(text, start)?), "", 1)),
    }
}

fn line<'a>(text: &'a str, start: &str) -> Result<&'a str> {
    text.lines()
        .find(|line| line.starts_with(start))
        .with_context(|| format!("no line begins with {start:?}"))
}

/// Copies the workspace, as a repository of its own.
fn copy(to: &Path) -> Result<Tree> {
    let here = Tree::here();
    drop(std::fs::remove_dir_all(to));
    let listed = capture(
        Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(here.root()),
    )?;
    if listed.status != Some(0) {
        bail!("git cannot list the tree: {}", listed.err);
    }
    for name in listed.out.split('\0').filter(|name| !name.is_empty()) {
        let (from, to) = (here.root().join(name), to.join(name));
        std::fs::create_dir_all(to.parent().unwrap_or(&to))?;
        if let Ok(target) = std::fs::read_link(&from) {
            std::os::unix::fs::symlink(target, &to)?;
        } else if from.is_file() {
            // A file that is deleted and not yet committed is listed too.
            std::fs::copy(&from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
        }
    }
    // The copy begins in step, whatever is being worked on.
    let copied = Tree::at(to);
    super::crates::write(&copied)?;
    super::layout::write(&copied)?;
    let git = |words: &[&str]| {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=gate", "-c", "user.email=gate@localhost"]).args(words).current_dir(to);
        quiet(&mut command)
    };
    git(&["init", "--quiet"])?;
    git(&["add", "--all"])?;
    git(&["commit", "--quiet", "--message", "the tree without a fault"])?;
    Ok(copied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_changes_just_what_it_names() {
        assert_eq!(plant("a\nb\n", &Change::Append("c\n")).unwrap(), "a\nb\nc\n");
        assert_eq!(plant("a\nb\na\n", &Change::Replace("a", "x")).unwrap(), "x\nb\na\n");
        assert_eq!(plant("a\nb a\n", &Change::InLine("b", "a", "x")).unwrap(), "a\nb x\n");
        assert_eq!(plant("one\ntwo\n", &Change::Cut("tw")).unwrap(), "one\n");
        assert!(plant("a\n", &Change::Replace("z", "x")).is_err());
        assert!(plant("a\n", &Change::Cut("z")).is_err());
    }

    #[test]
    fn every_fault_can_be_planted_in_the_tree_as_it_is() {
        let tree = Tree::here();
        for fault in FAULTS {
            let text = tree.read(fault.file).unwrap();
            let broken =
                plant(&text, &fault.change).unwrap_or_else(|error| panic!("{}: {error}", fault.name));
            assert_ne!(broken, text, "{}", fault.name);
        }
    }

    #[test]
    fn names_of_faults_are_told_apart() {
        let mut names: Vec<_> = FAULTS.iter().map(|fault| fault.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FAULTS.len());
    }
}
