//! What the offer and answer settled for one m-line.

use crate::srtp::SrtpKeys;
use base::{Codec, MediaKind};
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::Duration;

/// Most payload types taken in one direction; more are ignored.
pub const MAX_FORMATS: usize = 32;

/// One m-line, as negotiated. Made by the leg from offer and answer, again at each re-INVITE.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Sound, people or content.
    pub kind: MediaKind,
    /// How we send; `None` while the peer holds us or takes nothing.
    pub send: Option<SendFormat>,
    /// The payload types we announced, by which the peer sends; empty while nothing is to come.
    pub recv: Vec<RecvFormat>,
    /// How keys are sent to the peer, if it takes them by RTP.
    pub dtmf: Option<DtmfFormat>,
    /// Where the peer said it receives.
    pub remote: Remote,
    /// Whether RTCP has a port of its own.
    pub rtcp: RtcpTransport,
    /// How the peer may be asked for a keyframe (`a=rtcp-fb`).
    pub keyframe_requests: KeyframeRequests,
    /// Keys in both directions, if the m-line is `RTP/SAVP` or `RTP/SAVPF`.
    pub srtp: Option<SrtpKeys>,
    /// Canonical name (RFC 3550 6.5.1), the same for all m-lines of a call: it is what ties sound to picture.
    pub cname: String,
    /// Most bits per second of media sent, from `b=` lines and `fmtp`; the bandwidth estimate starts here.
    pub max_bps: u64,
}

/// How frames are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendFormat {
    /// Payload type the peer announced for it, 0-127.
    pub payload_type: u8,
    /// Frames of other codecs are dropped.
    pub codec: Codec,
    /// For [`Codec::H264`]: how the peer wants NAL units packed. Ignored for others.
    pub h264: H264Mode,
    /// How long a frame lasts: `ptime` for sound, the frame interval for pictures (over which a keyframe is spread).
    pub frame_time: Duration,
}

/// RFC 6184 packetization-mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum H264Mode {
    /// Mode 0: one NAL unit in each packet, none longer than a packet.
    #[default]
    SingleNal,
    /// Mode 1: FU-A and STAP-A allowed.
    NonInterleaved,
}

/// One payload type we announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecvFormat {
    /// 0-127.
    pub payload_type: u8,
    /// What comes in it.
    pub format: Format,
    /// H.264 parameter sets from the peer's `sprop-parameter-sets`, without start codes; see
    /// [`crate::payload::h264::sprop`].
    pub parameter_sets: Vec<Bytes>,
}

/// What a payload type stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Frames of this codec.
    Media(Codec),
    /// Keys (RFC 4733).
    TelephoneEvent,
}

/// RFC 4733 `telephone-event` in the sending direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DtmfFormat {
    /// Payload type the peer announced for it.
    pub payload_type: u8,
    /// Its clock in Hz; the same as the sound's, or peers misread it.
    pub clock: u32,
}

/// Where the peer said it receives; unspecified addresses and port 0 are as good as `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Remote {
    /// RTP: `c=` and `m=`.
    pub rtp: Option<SocketAddr>,
    /// RTCP: `a=rtcp`, else the port above RTP's. Not used with [`RtcpTransport::Muxed`].
    pub rtcp: Option<SocketAddr>,
}

/// Where RTCP goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RtcpTransport {
    /// Its own port.
    #[default]
    Separate,
    /// RTP's port (RFC 5761).
    Muxed,
}

/// How a keyframe is asked of the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyframeRequests {
    /// RFC 4585 picture loss indication.
    #[default]
    Pli,
    /// RFC 5104 full intra request.
    Fir,
    /// Not by RTCP: the session tells [`RtpOutput::AskKeyframe`](crate::RtpOutput::AskKeyframe) and the leg uses
    /// signalling (RFC 5168).
    Signalling,
}
