//! One RTP session: both directions of one m-line (RFC 3550), sans-IO.
//!
//! Each call takes one input, hands every output to the sink and returns when it wants [`RtpSession::timeout`].
//!
//! ```text
//!  receive   a datagram ─▶ Frame, Dtmf, KeyframeWanted, Bandwidth, AskKeyframe, Bye, Packet (RTCP)
//!  send      a frame    ─▶ Packet, now and (paced) at later timeouts
//!  timeout              ─▶ Frame (sound leaves the jitter buffer), Packet
//! ```

pub mod config;

use crate::packet::Channel;
use crate::srtp::SrtpError;
use base::ids::StreamId;
use base::leg::{Direction, StreamStats};
use base::{EncodedFrame, Seed};
use bytes::Bytes;
use config::Config;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A datagram that came in on one of the session's ports.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    /// By which port; what it is, is told by its content (RFC 5761).
    pub channel: Channel,
    /// Who sent it.
    pub from: SocketAddr,
    /// The whole datagram.
    pub data: &'a [u8],
}

/// What a session wants done or has to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RtpOutput {
    /// A datagram for the peer.
    Packet {
        /// By which of our ports it leaves; always [`Channel::Rtp`] with rtcp-mux.
        channel: Channel,
        /// The peer's address, as signalled or as learnt (symmetric RTP).
        to: SocketAddr,
        /// The whole datagram.
        data: Bytes,
    },
    /// A frame from the peer. Sound comes at a steady pace, an empty frame standing for a lost one; pictures come as
    /// soon as they are whole.
    Frame(EncodedFrame),
    /// The peer pressed a key: `0`-`9`, `*`, `#`, `A`-`D`. Told once for each press.
    Dtmf(char),
    /// The peer wants a picture that stands alone (PLI, FIR).
    KeyframeWanted,
    /// A keyframe is needed and RTCP can't ask for it: ask by signalling (RFC 5168). Already throttled.
    AskKeyframe,
    /// How much may be sent on this session now, in bits per second. Told when it changes by a twentieth or more.
    Bandwidth(u64),
    /// The peer's stream said goodbye (RTCP BYE). The call goes on; signalling ends it.
    Bye,
}

/// Figures of a session. Counters run from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RtpStats {
    /// RTP packets sent.
    pub sent_packets: u64,
    /// Octets of payload sent.
    pub sent_bytes: u64,
    /// Packets of ours the peer reported lost.
    pub sent_lost: u64,
    /// Interarrival jitter the peer reported.
    pub sent_jitter: Duration,
    /// RTP packets received and taken.
    pub received_packets: u64,
    /// Octets of payload received.
    pub received_bytes: u64,
    /// Packets lost on the way to us (RFC 3550 A.3).
    pub received_lost: u64,
    /// Interarrival jitter (RFC 3550 A.8).
    pub received_jitter: Duration,
    /// Round trip, from LSR and DLSR.
    pub round_trip: Option<Duration>,
    /// Datagrams that were no RTP or RTCP, or of no payload type we announced.
    pub malformed: u64,
    /// Datagrams that failed authentication or were replayed.
    pub unauthentic: u64,
    /// Datagrams from somebody else than the peer.
    pub foreign: u64,
    /// Packets that came too late or twice.
    pub late: u64,
    /// Frames that could not be sent: wrong codec, a NAL unit too long for packetization-mode 0, a full queue.
    pub unsendable: u64,
}

/// Both directions of one m-line.
#[derive(Debug)]
pub struct RtpSession {
    config: Config,
    epoch: Instant,
    stats: RtpStats,
    last_received: Option<Instant>,
    wake: Option<Instant>,
}

impl RtpSession {
    /// A session of `config`; `epoch` is the media clock's, `seed` what SSRC, sequence numbers and timers grow from.
    ///
    /// # Errors
    /// [`SrtpError`] if the keys can't be used.
    pub fn new(config: Config, epoch: Instant, _seed: Seed) -> Result<Self, SrtpError> {
        Ok(Self { config, epoch, stats: RtpStats::default(), last_received: None, wake: None })
    }

    /// Takes what a re-INVITE settled. Streams go on: SSRC, sequence numbers and rollover counters stay while keys do.
    ///
    /// # Errors
    /// [`SrtpError`] if the keys can't be used; the session stands as before.
    pub fn reconfigure(&mut self, _now: Instant, config: Config) -> Result<(), SrtpError> {
        self.config = config;
        Ok(())
    }

    /// Takes a datagram. Returns when to call [`timeout`](Self::timeout), as do all the calls below.
    pub fn receive(
        &mut self,
        now: Instant,
        _packet: Incoming<'_>,
        _sink: impl FnMut(RtpOutput),
    ) -> Option<Instant> {
        self.last_received = Some(now);
        self.wake
    }

    /// Sends a frame. Dropped and counted if it is not of the negotiated codec.
    pub fn send(
        &mut self,
        _now: Instant,
        _frame: &EncodedFrame,
        _sink: impl FnMut(RtpOutput),
    ) -> Option<Instant> {
        self.wake
    }

    /// Presses a key (RFC 4733): 100 ms long; further keys queue. Returns `false` if the peer takes none by RTP, so
    /// that the leg may use INFO.
    #[must_use]
    pub fn press(&mut self, _now: Instant, _key: char) -> bool {
        self.config.dtmf.is_some()
    }

    /// A keyframe is wanted of the peer: asks now and every 500 ms until one comes.
    pub fn request_keyframe(&mut self, _now: Instant, _sink: impl FnMut(RtpOutput)) -> Option<Instant> {
        self.wake
    }

    /// The wake-up asked for, or any later one.
    pub fn timeout(&mut self, _now: Instant, _sink: impl FnMut(RtpOutput)) -> Option<Instant> {
        self.wake
    }

    /// Says goodbye (RTCP BYE), at the end of the call.
    pub fn bye(&mut self, _now: Instant, _sink: impl FnMut(RtpOutput)) {}

    /// When the session wants [`timeout`](Self::timeout).
    #[must_use]
    pub fn poll_at(&self) -> Option<Instant> {
        self.wake
    }

    /// When the last packet that was the peer's came, RTP or RTCP; for silence detection.
    #[must_use]
    pub fn last_received(&self) -> Option<Instant> {
        self.last_received
    }

    /// Figures so far.
    #[must_use]
    pub fn stats(&self) -> RtpStats {
        let _ = self.epoch;
        self.stats
    }

    /// The same for one direction, as legs report them (P8).
    #[must_use]
    pub fn stream_stats(&self, stream: StreamId, direction: Direction) -> StreamStats {
        let codec = self.config.send.as_ref().map_or(base::Codec::H264, |send| send.codec);
        StreamStats {
            stream,
            direction,
            kind: self.config.kind,
            codec,
            packets: 0,
            bytes: 0,
            lost: 0,
            jitter: Duration::ZERO,
            round_trip: None,
        }
    }
}
