//! SIP (RFC 3261): from bytes to a leg.
//!
//! ```text
//!  bytes ─▶ framing ─▶ message ─▶ transaction ─▶ dialog, session ─▶ leg ─▶ base::leg
//!                                 └──────────── endpoint ───────┘   └ sdp, rtp
//! ```
//! [`session`] is the seam between the endpoint and the legs.

pub mod deadlines;
pub mod dialog;
pub mod framing;
pub mod headers;
pub mod message;
mod quirks;
pub mod reliable;
pub mod session;
pub mod status;
pub mod timer;
pub mod transaction;
pub mod uri;
