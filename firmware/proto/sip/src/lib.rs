//! SIP (RFC 3261): from bytes to a leg.
//!
//! ```text
//!  bytes ─▶ framing ─▶ message ─▶ transaction ─▶ dialog, session ─▶ leg ─▶ base::leg
//!                                 └──────────── endpoint ───────┘   └ sdp, rtp
//! ```
//! [`session`] is the seam between the endpoint and the legs.

pub mod headers;
pub mod message;
pub mod session;
pub mod status;
pub mod uri;
