//! Coverage-guided fuzzing on the stable compiler.
//!
//! libFuzzer needs its coverage hooks in our code only. So cargo is told to run this very program in place of rustc for the
//! crates of this workspace ([`wrap_compiler`]), which adds the hooks; dependencies are the ones already built for the
//! tests, and no nightly compiler or second build of them is needed.

use crate::shell::{Cargo, Program, root, target};
use anyhow::{Context, Result, bail};
use std::process::Command;

/// Set while this program stands in for rustc.
const WRAPPER: &str = "GANTRY_FUZZ_WRAPPER";
/// Memory a target may use, in MiB: far above what any bounded parser needs.
const MEMORY_MIB: u32 = 512;
/// One input may take no longer than this, in seconds.
const INPUT_SECONDS: u32 = 5;

/// What is fuzzed: the binaries of tests/fuzz.
pub const TARGETS: &[&str] = &["sip", "sdp", "rtp", "rtcp", "payload", "conference", "ldap"];

/// Whether cargo called us in place of rustc.
pub fn is_compiler_wrapper() -> bool {
    std::env::var_os(WRAPPER).is_some()
}

/// Calls the real rustc (the first argument) with coverage hooks added.
///
/// # Errors
/// If rustc cannot be started.
pub fn wrap_compiler(arguments: &[String]) -> Result<()> {
    let (rustc, rest) = arguments.split_first().context("cargo gave no compiler to wrap")?;
    let mut command = Command::new(rustc);
    command.args(rest);
    // Questions about the compiler itself (`-vV`, `--print`) name no crate.
    if rest.iter().any(|argument| argument == "--crate-name") {
        command.args([
            "-Cpasses=sancov-module",
            "-Cllvm-args=-sanitizer-coverage-level=4",
            "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
            "-Cllvm-args=-sanitizer-coverage-pc-table",
            "-Cllvm-args=-sanitizer-coverage-trace-compares",
            "-Ccodegen-units=1",
            "--cfg=fuzzing",
        ]);
    }
    let status = command.status().with_context(|| format!("cannot start {rustc}"))?;
    std::process::exit(status.code().unwrap_or(1));
}

/// `fuzz [target] [--for 60s]`, or `fuzz --build`.
///
/// # Errors
/// If a target finds a panic, too much memory or too long an input; the message names the file that shows it.
pub fn command(arguments: &[String]) -> Result<()> {
    let (mut chosen, mut seconds) = (Vec::new(), 60);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--for" => {
                let time = arguments.next().context("--for wants a time, as in --for 60s")?;
                seconds = time
                    .trim_end_matches('s')
                    .parse()
                    .with_context(|| format!("--for {time}: not a time"))?;
            }
            "--build" => return build(),
            name if TARGETS.contains(&name) => chosen.push(name.to_owned()),
            other => bail!("there is no fuzz target {other:?}; there are {}", TARGETS.join(", ")),
        }
    }
    if chosen.is_empty() {
        chosen = TARGETS.iter().map(|name| (*name).to_owned()).collect();
    }
    build()?;
    for pair in chosen.chunks(2) {
        fuzz(pair, seconds)?;
    }
    Ok(())
}

fn build() -> Result<()> {
    let wrapper = std::env::current_exe().context("where am I")?;
    let programs = TARGETS.iter().flat_map(|name| ["--bin".to_owned(), format!("fuzz-{name}")]);
    // Among the whole workspace, so that nearly all dependencies have the features that they have for tests.
    Cargo::new("build")
        .args(["--workspace", "--features", "fuzz/fuzzing"])
        .args(programs)
        .env("RUSTC_WORKSPACE_WRAPPER", wrapper)
        .env(WRAPPER, "1")
        .env("CARGO_TARGET_DIR", target())
        .run()
}

/// Two targets at a time: one for each core of the smallest machine.
fn fuzz(names: &[String], seconds: u32) -> Result<()> {
    let mut running = Vec::new();
    for name in names {
        let corpus = target().join("fuzz").join(name);
        std::fs::create_dir_all(&corpus).with_context(|| format!("cannot make {}", corpus.display()))?;
        let seeds = root().join("tests/fuzz/seeds").join(name);
        let crashes = target().join("fuzz").join(format!("{name}-"));
        let child = Program::built(&format!("fuzz-{name}"))
            .args([corpus, seeds])
            .args([format!("-max_total_time={seconds}"), format!("-rss_limit_mb={MEMORY_MIB}")])
            .args([format!("-timeout={INPUT_SECONDS}"), format!("-artifact_prefix={}", crashes.display())])
            .args(["-malloc_limit_mb=64", "-max_len=65536", "-print_final_stats=1", "-verbosity=0"])
            .start()?;
        running.push((name, child));
    }
    for (name, mut child) in running {
        let status = child.wait().with_context(|| format!("fuzz target {name}"))?;
        if !status.success() {
            bail!("fuzz target {name} found something ({status}); the input is in target/fuzz/{name}-*");
        }
    }
    Ok(())
}
