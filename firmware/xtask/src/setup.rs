//! What a fresh Debian 12 machine lacks, installed and said.

use crate::shell::{Cargo, Program};
use anyhow::{Context, Result, bail};

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
    purpose: "real peers: rooms, browser, referee",
    names: &[
        "baresip-core",
        "baresip-ffmpeg",
        "sip-tester",
        "chromium",
        "tshark",
        "ffmpeg",
        "iproute2",
        "nftables",
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

/// The virtual rig that images start on. QEMU has igb, which stamps packets, from 8.0 on.
pub const RIG: Packages =
    Packages { purpose: "the virtual rig", names: &["ovmf", "qemu-efi-aarch64", "swtpm", "swtpm-tools"] };

/// What of the rig Debian 12 has in its backports only.
pub const RIG_BACKPORTS: Packages =
    Packages { purpose: "the virtual rig, from backports", names: &["qemu-system-x86", "qemu-system-arm"] };

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
    for set in sets {
        let missing: Vec<&str> = set.names.iter().copied().filter(|name| !is_installed(name)).collect();
        if missing.is_empty() {
            continue;
        }
        eprintln!("installing for {}: {}", set.purpose, missing.join(" "));
        let by_hand = || format!("install by hand, then try again: apt-get install {}", missing.join(" "));
        if !Program::new("apt-get").args(["--version"]).succeeds() {
            bail!("this machine has no apt-get; {}", by_hand());
        }
        let apt = |arguments: &[&str]| {
            let sudo = if is_root() { None } else { Some("sudo") };
            let program =
                sudo.map_or_else(|| Program::new("apt-get"), |sudo| Program::new(sudo).args(["apt-get"]));
            program.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").run()
        };
        apt(&["update", "-q"]).with_context(by_hand)?;
        let mut arguments = vec!["install", "-q", "-y", "--no-install-recommends"];
        arguments.extend(&missing);
        apt(&arguments).with_context(by_hand)?;
    }
    Ok(())
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

fn is_installed(package: &str) -> bool {
    Program::new("dpkg-query").args(["-W", "-f=${Status}", package]).succeeds_with("install ok installed")
}

fn is_root() -> bool {
    Program::new("id").args(["-u"]).succeeds_with("0")
}
