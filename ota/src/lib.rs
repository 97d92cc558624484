//! What keeps a box on a release that works: so far the health gate, which says whether a start was a good one.
//!
//! Pure: checks are asked for and their answers come in, time is an argument. `otad` is the program round it.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "virtual time must begin at some moment"))]

pub mod gate;
