//! What came of an offer and its answer: the streams of the call.

use super::Crypto;
use crate::description::{Direction, Feedback};
use crate::h264::H264Params;
use base::{Codec, MediaKind, Size};
use std::net::SocketAddr;
use std::time::Duration;

/// The agreed streams; at least one is there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Negotiated {
    /// Sound.
    pub audio: Option<Stream>,
    /// Picture.
    pub video: Option<Stream>,
}

/// One agreed line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// Place of the `m=` section.
    pub line: usize,
    /// Sound or picture.
    pub kind: MediaKind,
    /// What we send.
    pub codec: Codec,
    /// Payload type we send it by.
    pub send_pt: u8,
    /// Payload types the peer may send by.
    pub recv: Vec<(u8, Codec)>,
    /// Which way it flows, seen from us.
    pub direction: Direction,
    /// Where the peer receives RTP; `None` on hold, or if only its packets will tell.
    pub remote_rtp: Option<SocketAddr>,
    /// Where the peer receives RTCP, if not multiplexed.
    pub remote_rtcp: Option<SocketAddr>,
    /// RTCP shares RTP's port (RFC 5761).
    pub rtcp_mux: bool,
    /// Keys, if it is encrypted.
    pub crypto: Option<Crypto>,
    /// RTCP feedback both take.
    pub feedback: Feedback,
    /// Named events, for keys pressed.
    pub dtmf: Option<Dtmf>,
    /// What the peer declares to decode, if it is H.264.
    pub h264: Option<H264Params>,
    /// The peer's format parameters as written, for what is not read here (`sprop-parameter-sets`).
    pub fmtp: Option<String>,
    /// Most bits per second to send.
    pub max_bps: u64,
    /// Largest picture to send; zero for sound.
    pub max_size: Size,
    /// Most pictures per second to send, 0 for sound.
    pub max_fps: u32,
    /// Sound in one packet, 20 ms unless the peer asks otherwise.
    pub ptime: Duration,
}

/// RFC 4733 named events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dtmf {
    /// Payload type we send them by.
    pub send_pt: u8,
    /// Payload type the peer sends them by.
    pub recv_pt: u8,
    /// RTP clock in Hz.
    pub clock: u32,
}

impl Negotiated {
    /// Nothing is agreed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.audio.is_none() && self.video.is_none()
    }

    /// All agreed streams.
    pub fn streams(&self) -> impl Iterator<Item = &Stream> {
        self.audio.iter().chain(&self.video)
    }

    pub(super) fn put(&mut self, stream: Stream) {
        match stream.kind {
            MediaKind::Audio => self.audio = Some(stream),
            MediaKind::Video | MediaKind::Content => self.video = Some(stream),
        }
    }
}
