//! SIP (RFC 3261): from bytes to a leg.
//!
//! ```text
//!  bytes ─▶ framing ─▶ message ─▶ transaction ─▶ dialog, session ─▶ leg ─▶ base::leg
//!                                 └──────────── endpoint ───────┘   └ sdp, rtp
//! ```
//! [`session`] is the seam between the endpoint and the legs.
//!
//! # What of rsip is used, and what is not
//! Of the 23 messages in `tests/battery.rs`, such as real rooms send, rsip 0.4 reads 2 whole: no IPv6, no compact
//! names, no folding, no unknown method or transport, no list. So bytes go through a front end of ours ([`framing`],
//! [`message`], [`headers`], [`uri`]), and rsip's types serve where they are right: [`Transport`](locate::Transport)
//! with its ports and security, [`Qop`](digest::Qop), the known [methods](message::Method), and its parser as a second
//! opinion on what we write. Not used: its messages and headers (they lose what they do not know), its status codes
//! (they rewrite reason phrases), its digest (decimal nonce counts, empty bodies, no SHA-512-256).

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "virtual time must begin at some moment"))]

pub mod deadlines;
pub mod dialog;
pub mod digest;
pub mod endpoint;
pub mod framing;
pub mod headers;
pub mod leg;
pub mod locate;
pub mod message;
mod quirks;
pub mod registrar;
pub mod reliable;
pub mod session;
pub mod status;
pub mod timer;
pub mod transaction;
pub mod uri;
