//! Our programs, built for the box: optimised, without symbols, and the same from whatever folder they are built.

use crate::shell::{self, Cargo, root, target};
use anyhow::{Context, Result, ensure};
use board::Arch;
use std::path::{Path, PathBuf};

/// A program of the box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    /// Its crate.
    pub package: &'static str,
    /// Its file.
    pub binary: &'static str,
    /// Where it goes.
    pub path: &'static str,
}

/// What runs on the box.
const PROGRAMS: [Program; 3] = [
    Program { package: "gatewayd", binary: "gatewayd", path: "usr/bin/gatewayd" },
    Program { package: "console", binary: "gantry", path: "usr/bin/gantry" },
    Program { package: "otad", binary: "otad", path: "usr/bin/otad" },
];

/// Only on debug images: what drills need of a box. Examples, so that no release can have them.
pub const HELPERS: [Program; 2] = [
    // Holds one thread of a program: a deadlock.
    Program { package: "linux", binary: "hold", path: "usr/bin/hold" },
    // Asks a socket in the file system, as busybox cannot.
    Program { package: "linux", binary: "ask", path: "usr/bin/ask" },
];

/// The programs that the workspace has.
///
/// # Errors
/// If cargo cannot say.
pub fn present() -> Result<Vec<Program>> {
    let metadata = Cargo::new("metadata").args(["--no-deps", "--format-version", "1", "--locked"]).read()?;
    let metadata: serde_json::Value = serde_json::from_slice(&metadata)?;
    let packages = metadata["packages"].as_array().context("cargo names no packages")?;
    let is = |program: &Program| packages.iter().any(|package| package["name"] == program.package);
    Ok(PROGRAMS.into_iter().filter(is).collect())
}

/// How a program is linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Linking {
    /// With the libraries of the root.
    Shared,
    /// With nothing: there are no libraries where it runs.
    Static,
}

/// Builds `programs`; the folder they are in comes back.
///
/// # Errors
/// If one does not build.
pub fn build(programs: &[Program], arch: Arch, epoch: u64) -> Result<PathBuf> {
    let (examples, programs): (Vec<Program>, Vec<Program>) =
        programs.iter().partition(|program| HELPERS.contains(program));
    for example in examples {
        let wanted = ["-p", example.package, "--example", example.binary];
        let built = compile(&wanted, arch, epoch, Linking::Shared)?;
        std::fs::copy(built.join("examples").join(example.binary), built.join(example.binary))?;
    }
    let packages: Vec<_> = programs.iter().flat_map(|program| ["-p", program.package]).collect();
    compile(&packages, arch, epoch, Linking::Shared)
}

/// Builds the initrd's program.
///
/// # Errors
/// If it does not build.
pub fn init(arch: Arch, epoch: u64) -> Result<Vec<u8>> {
    read_init(&compile(&["-p", "init"], arch, epoch, Linking::Static)?.join("init"))
}

/// The program of an installer's initrd.
///
/// # Errors
/// If it does not build.
pub fn installer(arch: Arch, epoch: u64) -> Result<Vec<u8>> {
    read_init(&compile(&["-p", "installer"], arch, epoch, Linking::Static)?.join("installer"))
}

/// An initrd's program as it was built.
///
/// # Errors
/// If it is not there, or needs a library: there are none where it runs.
pub fn read_init(file: &Path) -> Result<Vec<u8>> {
    let program = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let needs = super::elf::needs(&program).with_context(|| format!("{} is no program", file.display()))?;
    ensure!(needs == super::elf::Needs::default(), "{} is not static: it needs {needs:?}", file.display());
    Ok(program)
}

fn compile(packages: &[&str], arch: Arch, epoch: u64, linking: Linking) -> Result<PathBuf> {
    let (name, flags) = match linking {
        Linking::Shared => ("shared", ""),
        Linking::Static => ("static", " -Ctarget-feature=+crt-static -Crelocation-model=static"),
    };
    let foreign = arch == Arch::Aarch64 && !cfg!(target_arch = "aarch64");
    // Two compilers in one folder would build everything again and again.
    let folder = target().join(if foreign { "image/build-arm64" } else { "image/build" }).join(name);
    let folders = [(root(), "/gantry"), (cargo_home()?, "/cargo"), (folder.clone(), "/target")];
    let rust: Vec<_> =
        folders.iter().map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display())).collect();
    let c: Vec<_> =
        folders.iter().map(|(from, to)| format!("-ffile-prefix-map={}={to}", from.display())).collect();
    let triple = arch.target();
    let variable = |name: &str| format!("{name}_{}", triple.replace('-', "_"));
    // rustup's standard library for ARM64 is in no package registry; Debian's is, with the cargo and compiler it belongs to.
    let cargo = if foreign {
        shell::Program::new("/usr/bin/cargo")
            .without(&["RUSTUP_TOOLCHAIN", "CARGO", "RUSTDOC"])
            .args(["build"])
    } else {
        Cargo::new("build")
    };
    let mut cargo = cargo
        .args(["--release", "--locked", "--target", triple])
        .args(packages)
        .env("CARGO_TARGET_DIR", &folder)
        .env("CARGO_PROFILE_RELEASE_DEBUG", "0")
        .env("CARGO_PROFILE_RELEASE_STRIP", "symbols")
        .env("RUSTFLAGS", rust.join(" ") + flags)
        .env(&variable("CFLAGS"), c.join(" "))
        .env(&variable("CXXFLAGS"), c.join(" "))
        .env("SOURCE_DATE_EPOCH", epoch.to_string());
    if foreign {
        for (name, value) in cross() {
            cargo = cargo.env(&name, value);
        }
    }
    cargo.run()?;
    Ok(folder.join(triple).join("release"))
}

/// Debian's cross compiler, and its compiler of Rust, which has a standard library for ARM64.
fn cross() -> Vec<(String, &'static str)> {
    let named = [
        ("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc"),
        ("CC_aarch64_unknown_linux_gnu", "aarch64-linux-gnu-gcc"),
        ("CXX_aarch64_unknown_linux_gnu", "aarch64-linux-gnu-g++"),
        ("AR_aarch64_unknown_linux_gnu", "aarch64-linux-gnu-ar"),
        ("PKG_CONFIG_ALLOW_CROSS", "1"),
        ("PKG_CONFIG_PATH", ""),
        ("PKG_CONFIG_LIBDIR", "/usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig"),
        ("RUSTC", "/usr/bin/rustc"),
    ];
    named.map(|(name, value)| (name.to_owned(), value)).into()
}

fn cargo_home() -> Result<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
    std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(home)
        .context("neither CARGO_HOME nor HOME is set")
}
