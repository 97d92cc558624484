//! How fast the gateway is, beside named peers: what `cargo xtask bench` runs.
//!
//! ```text
//!  clips ──▶ load: room ─SIP, RTP─▶ gatewayd ◀─SRTP─ simulator ◀── load: meeting (eight people and who watches them)
//!    │                               │ cpu clock, memory            tap: every packet of both sides, with its time
//!    ├────▶ peers: ffmpeg, GStreamer ┤ the same clips, sizes, rates
//!    └────▶ bare: our codecs alone ──┴▶ measure: pairs, run in turn ─▶ report: value, spread, goal, gate
//! ```
//!
//! Start with [`measure`]; README.md beside this crate says how to read what comes out.

#![allow(clippy::disallowed_methods, reason = "a measurement takes wall time, and a load is paced by it")]

pub mod barcode;
pub mod bare;
pub mod clips;
pub mod cpu;
pub mod load;
pub mod measure;
pub mod noise;
pub mod peers;
pub mod quality;
pub mod report;
pub mod settings;
pub mod stats;
pub mod streams;
pub mod tap;
pub mod under_test;
