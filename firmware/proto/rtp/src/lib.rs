//! RTP and RTCP (RFC 3550) with what room systems put round them: SDES keys, payload formats, keys pressed, jitter.
//!
//! Pure: packets and time come in as arguments, packets and frames go out through a sink. A leg holds one
//! [`RtpSession`] per m-line:
//!
//! ```text
//!  datagram ─▶ latch ─▶ SRTP ─▶ demux ─┬─RTP──▶ jitter (sound) | reorder (picture) ─▶ depacketise ─▶ EncodedFrame
//!                                      └─RTCP─▶ reports, keyframe requests, bandwidth
//!  EncodedFrame ─▶ packetise ─▶ SRTP ─▶ pacing ─▶ datagram
//! ```
//!
//! Every parser takes any bytes at all and never panics; what is no RTP is dropped and counted.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "virtual time must begin at some moment"))]

pub mod dtmf;
pub mod jitter;
pub mod latch;
mod least;
pub mod loss;
pub mod pacing;
pub mod packet;
pub mod payload;
pub mod reorder;
pub mod rtcp;
pub mod session;
pub mod srtp;
pub mod throttle;

pub use jitter::{JitterBuffer, Playout};
pub use latch::Latch;
pub use loss::ExpectedLoss;
pub use packet::{Channel, RtpHeader};
pub use session::config::{
    Config, DtmfFormat, Format, H264Mode, KeyframeRequests, RecvFormat, Remote, RtcpTransport, SendFormat,
};
pub use session::{Incoming, RtpOutput, RtpSession, RtpStats};
pub use srtp::{CryptoAttribute, CryptoSuite, SrtpError, SrtpKeys};
pub use throttle::Throttle;
