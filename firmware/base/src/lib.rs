//! The contracts every floor shares: what a machine is, what a leg is, what a frame is.
//!
//! A *leg* is one side of a call (a SIP room system, the conference). Protocol crates implement legs, gateway
//! logic joins two of them, and neither sees the other: all they share is in this crate. It knows no protocol,
//! no socket, no clock and no codec, and depends only on `std`, `bytes` and `thiserror`.
//!
//! ```text
//!  peer ─packet─▶ leg ─LegEvent──▶ call ─LegCommand─▶ leg ─packet─▶ peer
//!                  └──EncodedFrame─▶ media plane ─EncodedFrame─▲
//! ```
//!
//! Start with [`machine::Machine`], then [`leg`].

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "virtual time must begin at some moment"))]

pub mod alias;
pub mod beat;
pub mod cause;
pub mod frame;
pub mod ids;
pub mod leg;
pub mod limits;
pub mod machine;
pub mod pii;
pub mod pulse;
pub mod secret;

pub use alias::Alias;
pub use beat::Beat;
pub use cause::{Cause, Fault, Kind};
pub use frame::{Codec, EncodedFrame, MediaKind, MediaTime, Size};
pub use machine::{Machine, Output, earliest};
pub use pii::Pii;
pub use pulse::Pulse;
pub use secret::{Secret, Seed};
