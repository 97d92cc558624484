//! What `hal/flasher` does: an image onto a disk, and the orders of installers' sticks. It is built when it is wanted, as `cargo xtask` is what
//! everybody waits for first.

use crate::setup;
use crate::shell::{Cargo, Program, target};
use anyhow::Result;
use std::path::Path;

/// `flash ...`.
///
/// # Errors
/// If the disk is in use, too small, or does not give back what was written.
pub fn command(arguments: &[String]) -> Result<()> {
    setup::install(&[setup::IMAGE])?;
    built()?.args(["write"]).args([target().join("image")]).args(arguments).run()
}

/// What a stick is told to do: by `file`, or to write nothing.
///
/// # Errors
/// If the file is no order.
pub fn order(file: Option<&Path>) -> Result<Vec<u8>> {
    built()?.args(["order"]).args(file).read()
}

/// It is told paths as they were typed, so it starts where they were.
fn built() -> Result<Program> {
    Cargo::build_as_for_tests().args(["--quiet", "--bin", "flasher"]).run()?;
    Ok(Program::built("flasher").within(&std::env::current_dir()?))
}
