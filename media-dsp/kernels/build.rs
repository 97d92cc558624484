//! Links the system's libyuv (Debian: `libyuv-dev`), whose row functions choose their SIMD at run time.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-link-lib=yuv");
}
