//! Putting the firmware onto a disk: the same for a disk at a bench (`cargo xtask flash`) and for the box that a stick installs.
//!
//! ```text
//!  order (install.toml) ─▶ the one disk ─▶ copy: write, read back ─▶ table: to the end of the disk ─▶ identity ─▶ label
//! ```
//! What is written to, read from and random comes in from outside.

pub mod copy;
pub mod identity;
pub mod label;
pub mod order;
pub mod table;
