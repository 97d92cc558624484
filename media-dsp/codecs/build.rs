//! Refuses to build without nasm: openh264-sys2 would then build silently without assembly, three times slower.

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
}
