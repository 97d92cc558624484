//! SNMP notifications: a box tells a management station what has happened, by SNMPv2c or SNMPv3.
//!
//! ```text
//!  gantry::Notification ─▶ Trap ─▶ PDU (RFC 3416 4.2.6) ─┬─▶ v2c: community (RFC 1901)          ─▶ datagram to UDP 162
//!                                                        └─▶ Originator: USM (RFC 3414) and keys ─▶ datagram to UDP 162
//! ```
//! This side only sends: it takes no requests, so there is nothing here that reads what somebody else wrote. Engine id, boots, time and
//! message numbers are handed in. Security is that of RFC 3414 with HMAC-SHA-96, of RFC 7860 with HMAC-192-SHA-256, and of RFC 3826
//! with AES-128; MD5 and DES are left out. What the box tells is in [`gantry`] and, for people and stations, in `GANTRY-MIB.txt`.

mod ber;
pub mod gantry;
mod oid;
mod trap;
pub mod usm;
mod v2c;

pub use oid::{Oid, OidError};
pub use trap::{Trap, Value};
pub use v2c::v2c;

/// The port that notifications are sent to (RFC 3417 3.1).
pub const PORT: u16 = 162;
