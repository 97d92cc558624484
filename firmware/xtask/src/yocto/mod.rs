//! `cargo xtask yocto`: what the Yocto layers take from the workspace, and the gate that holds them to it.
//!
//! ```text
//!  Cargo.lock ──▶ crates ──▶ gantry-crates.inc ─┐
//!  board/*/board.toml ─▶ layout ─▶ wic, figures ─┴─▶ check: bitbake's parser and fetchers, oelint-adv, kas, a frozen build
//! ```
//! What the gate can't know stands in yocto/README.md.

mod arm64;
mod crates;
mod faults;
mod gate;
mod layout;
mod run;
mod tree;

use crate::setup;
use anyhow::{Result, bail};
use faults::Which;
use gate::{Check, Gate};
use run::Tools;
use std::path::PathBuf;
use tree::Tree;

const HELP: &str = "\
cargo xtask yocto <command>

  crates            write the list of crates that the recipes fetch, from Cargo.lock
  layout            write disks and figures of the boards into the layer
  check [--arm64]   the gate; with --arm64 pure crates are also built and tested for ARM64, under QEMU
  faults [name]     plant faults, one at a time, in a copy of the layers: each must turn the gate red
";

/// `cargo xtask yocto`.
///
/// # Errors
/// If the command is unknown or fails.
pub fn command(arguments: &[String]) -> Result<()> {
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["crates"] => crates::write(&Tree::here()),
        ["layout"] => layout::write(&Tree::here()),
        ["check"] => check(&[Check::Sources, Check::Frozen]),
        ["check", "--arm64"] => check(&[Check::Sources, Check::Frozen, Check::Arm64]),
        ["faults"] => faults::command(&tools()?, &folder(), Which::All),
        ["faults", name] => faults::command(&tools()?, &folder(), Which::Named(name)),
        [] | ["help"] => {
            print!("{HELP}");
            Ok(())
        }
        _ => bail!("there is no command `yocto {}`; `cargo xtask yocto help` lists them", words.join(" ")),
    }
}

/// What `cargo xtask test` takes of it: the gate, and that it sees the faults that are soon planted.
///
/// # Errors
/// If the gate is red, or a fault leaves it green.
pub fn test() -> Result<()> {
    check(&[Check::Sources, Check::Frozen])?;
    faults::command(&tools()?, &folder(), Which::Quick)
}

fn check(slow: &[Check]) -> Result<()> {
    let tools = tools()?;
    if slow.contains(&Check::Arm64) {
        arm64::install()?;
    }
    let checks: Vec<_> = Check::QUICK.iter().chain(slow).copied().collect();
    Gate::new(&Tree::here(), &tools, &folder()).run(&checks)
}

/// Where the gate works.
fn folder() -> PathBuf {
    crate::shell::target().join("yocto")
}

fn tools() -> Result<Tools> {
    setup::install(&[setup::YOCTO])?;
    Tools::ready(&Tree::here().yocto().join("gate/requirements.txt"), &folder())
}
