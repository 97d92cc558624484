//! What the tests of the simulator need: a gateway of their own, on str0m, and pictures and sounds for it to send.

#![allow(clippy::unwrap_used, reason = "a test fails where its helper does")]
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod browser;
pub mod clip;
pub mod gateway;
pub mod https;
