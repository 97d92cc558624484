//! Our crates on ARM64: built with Debian's cross compiler and Debian's Rust, tested under QEMU's user emulation.
//!
//! rustup's standard library for ARM64 is in no package registry; Debian's is, with the compiler that it belongs to. Tests run without
//! `-L` and without `QEMU_LD_PREFIX`: with them the loader of one libc meets the other and the first thread hangs for ever.

use super::run::{Outcome, capture, quiet};
use super::tree::Tree;
use crate::setup;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;

/// Crates that need nothing but Rust: those of the gateway's and the box's logic.
const CRATES: &[&str] = &["base", "rtp", "sdp", "sip", "domain", "board", "hal"];
/// Longest time for building and for testing, each; a hung emulator must not hang the gate.
const LIMIT: &str = "1500";
const TARGET: &str = "aarch64-unknown-linux-gnu";

/// Makes Debian's compiler, its ARM64 library and the emulator available.
///
/// # Errors
/// If they cannot be installed.
pub fn install() -> Result<()> {
    let known = capture(Command::new("dpkg").arg("--print-foreign-architectures"))?;
    if !known.out.lines().any(|line| line == "arm64") {
        eprintln!("adding Debian's arm64 packages: dpkg --add-architecture arm64");
        quiet(Command::new("dpkg").args(["--add-architecture", "arm64"]))
            .context("add the architecture by hand, then try again: dpkg --add-architecture arm64")?;
    }
    setup::install(&[setup::YOCTO_ARM64])
}

/// Builds the crates and runs their tests.
///
/// # Errors
/// If the compiler cannot be started.
pub fn check(tree: &Tree) -> Result<Outcome> {
    let folder = crate::shell::target().join("yocto/arm64");
    let built = capture(&mut cargo(tree, &folder, &["test", "--no-run"]))?;
    if built.status != Some(0) {
        return Ok(Outcome::new("", told("does not build", &built.err, built.status)));
    }
    let tested = capture(&mut cargo(tree, &folder, &["test", "--no-fail-fast"]))?;
    if tested.status != Some(0) {
        let said = format!("{}\n{}", tested.out, tested.err);
        return Ok(Outcome::new("", told("fails its tests", &said, tested.status)));
    }
    Ok(Outcome::new(
        format!("{} tests of {} passed on ARM64", passed(&tested.out), CRATES.join(", ")),
        Vec::new(),
    ))
}

/// Debian's cargo, which must not take rustup's compiler.
fn cargo(tree: &Tree, folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new("timeout");
    command
        .args(["--kill-after=10", LIMIT, "/usr/bin/cargo"])
        .args(words)
        .args(["--locked", "--quiet", "--target", TARGET]);
    for name in CRATES {
        command.args(["-p", name]);
    }
    for name in ["RUSTUP_TOOLCHAIN", "CARGO", "RUSTC", "RUSTDOC"] {
        command.env_remove(name);
    }
    let tool = |name: &str| format!("aarch64-linux-gnu-{name}");
    command
        .env("RUSTC", "/usr/bin/rustc")
        .env("RUSTDOC", "/usr/bin/rustdoc")
        .env("CARGO_TARGET_DIR", folder)
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", tool("gcc"))
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", "timeout 600 qemu-aarch64-static")
        .env("CC_aarch64_unknown_linux_gnu", tool("gcc"))
        .env("AR_aarch64_unknown_linux_gnu", tool("ar"))
        // Emulated, a case takes ten times as long; the property tests run in full on the other architecture.
        .env("PROPTEST_CASES", "32")
        .current_dir(tree.root());
    command
}

fn told(what: &str, said: &str, status: Option<i32>) -> Vec<String> {
    let telling =
        |line: &&str| line.starts_with("error") || line.contains("FAILED") || line.contains("panicked");
    let mut lines: Vec<_> =
        said.lines().filter(telling).map(|line| format!("{what} on ARM64: {line}")).collect();
    if lines.is_empty() {
        lines.push(format!("{what} on ARM64 within {LIMIT} s: exit status {status:?}"));
    }
    lines
}

/// How many tests cargo's closing lines count.
fn passed(out: &str) -> usize {
    let counts = out.lines().filter_map(|line| {
        let rest = line.strip_prefix("test result: ok. ")?;
        rest.split(' ').next()?.parse::<usize>().ok()
    });
    counts.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passed_tests_are_summed_over_all_closing_lines() {
        let out =
            "test result: ok. 12 passed; 0 failed; 0 ignored\n....\ntest result: ok. 3 passed; 0 failed\n";
        assert_eq!(passed(out), 15);
    }

    #[test]
    fn what_failed_is_told_by_its_lines_and_a_hang_by_its_limit() {
        let said = told("fails its tests", "test a ... ok\ntest b ... FAILED\n", Some(101));
        assert_eq!(said, ["fails its tests on ARM64: test b ... FAILED"]);

        let said = told("does not build", "", Some(124));
        assert_eq!(said, ["does not build on ARM64 within 1500 s: exit status Some(124)"]);
    }
}
