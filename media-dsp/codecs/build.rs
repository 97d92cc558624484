//! Refuses to build without nasm: openh264-sys2 would then build silently without assembly, three times slower.
//! Links libvpx statically, because `src/vp8/memory.rs` takes the place of its allocator.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=PATH");
    let target = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let has_nasm = Command::new("nasm").arg("-v").output().is_ok_and(|out| out.status.success());
    assert!(
        has_nasm || !matches!(&*target, "x86_64" | "x86"),
        "nasm is not on the PATH, and OpenH264 without assembly is three times slower; install nasm, then run \
         `cargo clean -p openh264-sys2`"
    );
    link_libvpx();
}

fn link_libvpx() {
    let found = pkg_config::Config::new().cargo_metadata(false).probe("vpx");
    let folder = found.and_then(|_| pkg_config::get_variable("vpx", "libdir"));
    let folder = folder.unwrap_or_else(|error| panic!("libvpx is not there; install libvpx-dev: {error}"));
    // Debian's description names the folder above the one of the architecture.
    let arch = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let folders = [Path::new(&folder).join(format!("{arch}-linux-gnu")), PathBuf::from(&folder)];
    let Some(found) = folders.iter().find(|folder| folder.join("libvpx.a").exists()) else {
        panic!("{folder} has no libvpx.a; install libvpx-dev, or build libvpx with --enable-static");
    };
    println!("cargo:rustc-link-search=native={}", found.display());
    println!("cargo:rustc-link-lib=static=vpx");
}
