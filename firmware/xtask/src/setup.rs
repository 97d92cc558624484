//! What a fresh Debian 12 machine lacks, installed and said.

use crate::shell::{Cargo, Program};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// Debian packages for one purpose.
#[derive(Clone, Copy)]
pub struct Packages {
    purpose: &'static str,
    names: &'static [&'static str],
}

/// Without these the workspace does not build.
pub const BUILD: Packages = Packages {
    purpose: "building",
    names: &["build-essential", "clang", "cmake", "nasm", "pkg-config", "libvpx-dev", "libyuv-dev"],
};

/// The real peers of the end-to-end calls.
pub const PEERS: Packages = Packages {
    purpose: "real peers: rooms, browser, referee, LDAP's client and server, the bootloader's tools, LCDd, a station for SNMP",
    names: &[
        "baresip-core",
        "baresip-ffmpeg",
        "sip-tester",
        "chromium",
        "curl",
        "python3-venv",
        "tshark",
        "efibootguard",
        "ffmpeg",
        "iproute2",
        "lcdproc",
        "ldap-utils",
        "nftables",
        "sipvicious",
        "slapd",
        "snmp",
        "snmptrapd",
    ],
};

/// The peers that speed is measured against, and their clips.
pub const BENCH: Packages = Packages {
    purpose: "peers and clips of the benchmarks",
    names: &[
        "x264",
        "vpx-tools",
        "opus-tools",
        "gstreamer1.0-tools",
        "gstreamer1.0-plugins-base",
        "gstreamer1.0-plugins-good",
        "gstreamer1.0-plugins-bad",
        "gstreamer1.0-plugins-ugly",
        "gstreamer1.0-libav",
        "opencv-doc",
        "asterisk-core-sounds-en-g722",
    ],
};

/// What the built-in prompts are made with.
pub const PROMPTS: Packages = Packages {
    purpose: "making the prompts: a voice and a typeface",
    names: &["espeak-ng", "fonts-dejavu-core"],
};

/// What composes an image.
pub const IMAGE: Packages = Packages {
    purpose: "composing images: file systems, partitions, verity, kernel images, modules",
    names: &[
        "cryptsetup-bin",
        "debian-archive-keyring",
        "dosfstools",
        "e2fsprogs",
        "efibootguard",
        "fdisk",
        "kmod",
        "mtools",
        "sbsigntool",
        "squashfs-tools",
        "xz-utils",
        "zstd",
    ],
};

/// What builds the programs of an ARM64 image on another machine, beside [`YOCTO_ARM64`].
const IMAGE_ARM64: Packages = Packages {
    purpose: "building the programs of ARM64 images",
    names: &["g++-aarch64-linux-gnu", "libvpx-dev:arm64", "libyuv-dev:arm64", "libjpeg62-turbo-dev:arm64"],
};

/// The virtual rig that images start on. QEMU has igb, which stamps packets, from 8.0 on.
pub const RIG: Packages = Packages {
    purpose: "the virtual rig",
    names: &["openssl", "ovmf", "python3-venv", "qemu-efi-aarch64", "sip-tester", "swtpm", "swtpm-tools"],
};

/// What of the rig Debian 12 has new enough in its backports only.
const RIG_BACKPORTS: Packages =
    Packages { purpose: "the virtual rig, from backports", names: &["qemu-system-x86", "qemu-system-arm"] };
/// Where backports are made known to apt.
const BACKPORTS_FILE: &str = "/etc/apt/sources.list.d/gantry-backports.list";

/// What the gate of the Yocto layers runs beside its tools from PyPI.
pub const YOCTO: Packages = Packages {
    purpose: "the gate of the Yocto layers",
    names: &["cpio", "cryptsetup-bin", "dosfstools", "efibootguard", "git", "mtools", "python3-venv", "wget"],
};

/// What builds and tests for ARM64 on another machine; the architecture must be known to dpkg before.
pub const YOCTO_ARM64: Packages = Packages {
    purpose: "building and testing for ARM64",
    names: &[
        "cargo-web",
        "gcc-aarch64-linux-gnu",
        "libc6-dev-arm64-cross",
        "libstd-rust-web-dev:arm64",
        "qemu-user-static",
        "rustc-web",
    ],
};

/// Installs what of `sets` is missing; quiet when nothing is.
///
/// # Errors
/// If a package is missing and cannot be installed: no Debian, not root, no mirror. The message lists them.
pub fn install(sets: &[Packages]) -> Result<()> {
    sets.iter().try_for_each(|set| install_from(set, None))
}

/// Installs the virtual rig. QEMU comes from backports, which are made known to apt if they are not yet.
///
/// # Errors
/// If a package is missing and cannot be installed.
pub fn rig() -> Result<()> {
    install(&[RIG])?;
    if RIG_BACKPORTS.names.iter().all(|name| is_installed(name)) {
        return Ok(());
    }
    let known =
        Program::new("apt-get").args(["indextargets", "--format", "$(RELEASE) $(REPO_URI)"]).read()?;
    let known = String::from_utf8_lossy(&known).into_owned();
    let uri = |suite: &str| known.lines().find_map(|line| line.strip_prefix(suite)?.strip_prefix(' '));
    if uri("bookworm-backports").is_none() {
        let main = uri("bookworm").context("apt knows no mirror of bookworm; is this Debian 12?")?;
        let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
        let line = format!("deb [signed-by={keyring}] {main} bookworm-backports main\n");
        let file = std::env::temp_dir().join("gantry-backports.list");
        std::fs::write(&file, line)?;
        as_root("install").args(["-m", "644"]).args([file.as_os_str(), BACKPORTS_FILE.as_ref()]).run()?;
    }
    install_from(&RIG_BACKPORTS, Some("bookworm-backports"))
}

/// Installs what builds ARM64 programs on another machine.
///
/// # Errors
/// If a package is missing and cannot be installed.
pub fn image_arm64() -> Result<()> {
    let foreign = Program::new("dpkg").args(["--print-foreign-architectures"]).read()?;
    if !String::from_utf8_lossy(&foreign).lines().any(|line| line == "arm64") {
        as_root("dpkg").args(["--add-architecture", "arm64"]).run()?;
    }
    install(&[YOCTO_ARM64, IMAGE_ARM64])
}

fn install_from(set: &Packages, suite: Option<&str>) -> Result<()> {
    let missing: Vec<&str> = set.names.iter().copied().filter(|name| !is_installed(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("installing for {}: {}", set.purpose, missing.join(" "));
    let by_hand = || format!("install by hand, then try again: apt-get install {}", missing.join(" "));
    if !Program::new("apt-get").args(["--version"]).succeeds() {
        bail!("this machine has no apt-get; {}", by_hand());
    }
    let apt = |arguments: &[&str]| {
        as_root("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive").run()
    };
    apt(&["update", "-q"]).with_context(by_hand)?;
    let mut arguments = vec!["install", "-q", "-y", "--no-install-recommends"];
    arguments.extend(suite.into_iter().flat_map(|suite| ["-t", suite]));
    arguments.extend(&missing);
    apt(&arguments).with_context(by_hand)
}

/// A program that may change the machine.
fn as_root(program: &str) -> Program {
    if is_root() { Program::new(program) } else { Program::new("sudo").args([program]) }
}

/// The Python of an environment of its own in `home` that has what `pins` names, made anew when they change.
///
/// # Errors
/// If there is no Python, or PyPI is not reached.
pub fn python(purpose: &str, pins: &Path, home: &Path) -> Result<PathBuf> {
    let (python, stamp) = (home.join("bin/python"), home.join("requirements.txt"));
    let wanted = std::fs::read(pins).with_context(|| format!("cannot read {}", pins.display()))?;
    if std::fs::read(&stamp).ok() == Some(wanted) {
        return Ok(python);
    }
    eprintln!("installing for {purpose}, into {}", home.display());
    Program::new("python3").args(["-m", "venv", "--clear"]).args([home]).run()?;
    let install = ["-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes", "-r"];
    Program::new(&python).args(install).args([pins]).run()?;
    std::fs::copy(pins, &stamp)?;
    Ok(python)
}

/// Makes `cargo nextest` available.
///
/// # Errors
/// If it is missing and cannot be built.
pub fn nextest() -> Result<()> {
    cargo_tool("cargo-nextest", "nextest")
}

/// Makes a cargo subcommand available, building it from its crate where it is missing.
///
/// # Errors
/// If it is missing and cannot be built.
pub fn cargo_tool(package: &str, subcommand: &str) -> Result<()> {
    if Cargo::new(subcommand).args(["--version"]).succeeds() {
        return Ok(());
    }
    eprintln!("installing for testing: {package} (cargo install, a few minutes)");
    Cargo::new("install").args(["--locked", package]).run()
}

/// Whether a package is there; one that is named without an architecture for this machine's own.
fn is_installed(package: &str) -> bool {
    let read = |program: &str, arguments: &[&str]| {
        let said = Program::new(program).args(arguments).read().unwrap_or_default();
        String::from_utf8_lossy(&said).trim().to_owned()
    };
    let native = read("dpkg", &["--print-architecture"]);
    let found = read("dpkg-query", &["-W", "-f=${Status} ${Architecture}\n", package]);
    let good = |line: &str| {
        line.strip_prefix("install ok installed ")
            .is_some_and(|arch| package.contains(':') || arch == "all" || arch == native)
    };
    found.lines().any(good)
}

fn is_root() -> bool {
    Program::new("id").args(["-u"]).succeeds_with("0")
}
