//! Session descriptions (RFC 8866) and the offer/answer machine (RFC 3264).
//!
//! ```text
//!  bytes ─▶ parse ─▶ SessionDescription ─▶ Negotiator ─▶ answer + Negotiated (what to send and receive)
//!  bytes ◀─ write ◀─ SessionDescription ◀───┘
//! ```
//! `sdp-types` splits the text into lines and fields. Ours are what is too odd for it ([`parse`]), the attributes as
//! types ([`description`], [`payload`], [`h264`]) and the choice of what both sides can do ([`negotiate`]).
//!
//! SRTP keys (RFC 4568) pass through as text: who owns the cipher makes and reads them ([`negotiate::Keys`]).
//! Deliberately absent: ICE and DTLS (answered as if not offered, which both allow), SDP capability negotiation
//! (RFC 5939) beyond RTP/AVP with `a=crypto`, multicast.

pub mod description;
pub mod h264;
mod lines;
pub mod negotiate;
pub mod parse;
pub mod payload;
pub mod picture;
mod write;

pub use description::{
    Bandwidth, Direction, Feedback, Format, Media, Origin, Proto, Rtcp, SessionDescription,
};
pub use h264::H264Params;
pub use negotiate::{
    Capabilities, Crypto, Dtmf, Encryption, Keys, Local, LocalPorts, Negotiated, Negotiator, NoKeys, Refusal,
    Stream,
};
pub use parse::ParseError;
pub use payload::{OpusParams, Payload, Vp8Params};
