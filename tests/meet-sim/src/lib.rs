//! The conference side of a gateway call, for tests and for sitting in a meeting: a selective forwarding unit with an
//! HTTPS join for gateways (the `interop` protocol), a page for browsers, and a control interface.
//!
//! It is a test peer and knows nothing of the product: it was written from firmware/proto/meet/PROTOCOL.md alone.
//!
//! ```text
//!  gateway ─HTTPS join─┐                        ┌─ tests: Simulator, SimEvent, ProbeReport
//!  browser ─HTTP page──┼─▶ server ─▶ conference ┴─ other processes: /control
//!  both ────UDP media──┴─▶ run loop ─▶   └▶ sfu: peer ─packet─▶ slots of the others
//! ```
//!
//! Start with [`Simulator`], then [`conference`], then [`sfu`].

pub mod authority;
pub mod browser;
pub mod conference;
pub mod config;
pub mod issuer;
pub mod jwt;
pub mod probe;
pub mod report;
mod server;
pub mod sfu;
mod simulator;
pub mod tls;
pub mod wire;

pub use config::{Config, GatewayTrust, MeetingConfig, TokenConfig, Trust};
pub use probe::ProbeReport;
pub use report::{MeetingInfo, ParticipantInfo, SimEvent};
pub use sfu::layers::LayerChoice;
pub use simulator::{Addresses, Simulator};
