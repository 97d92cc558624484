//! The engine: turns every machine of the box, and is the only one to see protocols, gateway logic and media at once.
//!
//! ```text
//!  sockets, streams, replies, timers ─▶ Event ─▶ Shard ─▶ endpoint, legs, calls ─▶ packets, requests, plans ─▶ out
//! ```
//! A [`shard::Shard`] is one thread with one loop: it owns its calls whole, so nothing in it is locked or shared.

pub mod call;
pub mod event;
pub mod join;
pub mod leg;
mod licensed;
pub mod reading;
pub mod shard;
pub mod sip_side;
pub mod status;
