//! WebRTC behind the house contract: str0m's ICE, DTLS, SRTP and data channel, our frames and our limits.
//!
//! ```text
//!  datagram ─▶ Peer ─▶ sender clock ─▶ jitter buffer (sound) ─▶ EncodedFrame
//!  EncodedFrame ─▶ room under the limit ─▶ Peer ─▶ pacing ─▶ exit gate ─▶ datagram
//! ```
//!
//! [`Peer`] is a [`Machine`](base::Machine): no socket, no clock. It is made by offering, as the conference connectors
//! need it.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "virtual time must begin at some moment"))]

mod cap;
mod clock;
mod incoming;
mod keyframes;
mod outgoing;
mod patience;
mod peer;
mod sound;
mod stats;
#[cfg(feature = "testing")]
pub mod testing;
mod unsent;

pub use cap::{WINDOW, media_bps};
pub use peer::{
    CONNECT, Config, Counters, Effect, Event, FIRST_ESTIMATE_BPS, Input, Layer, Lost, Offer, Peer, PeerError,
    RecvTrack, SILENCE, SendTrack, Track,
};
pub use stats::TrackStats;
