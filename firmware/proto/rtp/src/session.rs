//! One RTP session: both directions of one m-line (RFC 3550), sans-IO.
//!
//! Each call takes one input, hands every output to the sink and returns when it wants [`RtpSession::timeout`].
//!
//! ```text
//!  receive   a datagram ─▶ Frame, Dtmf, KeyframeWanted, Bandwidth, AskKeyframe, Bye, Packet (RTCP)
//!  send      a frame    ─▶ Packet, now and (paced) at later timeouts
//!  timeout              ─▶ Frame (sound leaves the jitter buffer), Packet
//! ```

mod bandwidth;
mod clock;
pub mod config;
mod keyframe;
mod receive;
mod reception;
mod reports;
mod send;

use crate::dtmf;
use crate::latch::Latch;
use crate::loss::ExpectedLoss;
use crate::packet::Channel;
use crate::srtp::{SrtpError, SrtpKeys, SrtpSession};
use bandwidth::Bandwidth;
use base::ids::StreamId;
use base::leg::{Direction, StreamStats};
use base::{Codec, EncodedFrame, MediaKind, Seed, earliest};
use bytes::Bytes;
use config::{Config, Format, MAX_FORMATS};
use keyframe::Asked;
use rand::SeedableRng;
use rand::rngs::ChaCha12Rng;
use receive::RecvHalf;
use send::SendHalf;
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
    /// So much of the sound that is sent should be expected to get lost, in percent ([`ExpectedLoss`]). Told when it changes.
    SoundLoss(u8),
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
    rng: ChaCha12Rng,
    srtp: Option<SrtpSession>,
    rtp_latch: Latch,
    rtcp_latch: Latch,
    send: SendHalf,
    recv: RecvHalf,
    asked: Asked,
    bandwidth: Bandwidth,
    expected_loss: ExpectedLoss,
    fir_sequence: u8,
    report_at: Option<Instant>,
    last_received: Option<Instant>,
    stats: RtpStats,
}

impl RtpSession {
    /// A session of `config`; `epoch` is the media clock's, `seed` what SSRC, sequence numbers and timers grow from.
    ///
    /// # Errors
    /// [`SrtpError`] if the keys can't be used.
    pub fn new(config: Config, epoch: Instant, seed: Seed) -> Result<Self, SrtpError> {
        let mut rng = ChaCha12Rng::from_seed(seed.0);
        let send = SendHalf::new(&mut rng);
        let srtp = config.srtp.clone().map(SrtpSession::new).transpose()?;
        let bandwidth = Bandwidth::new(config.max_bps);
        let mut this = Self {
            config,
            epoch,
            rng,
            srtp,
            rtp_latch: Latch::default(),
            rtcp_latch: Latch::default(),
            send,
            recv: RecvHalf::default(),
            asked: Asked::default(),
            bandwidth,
            expected_loss: ExpectedLoss::default(),
            fir_sequence: 0,
            report_at: None,
            last_received: None,
            stats: RtpStats::default(),
        };
        this.apply();
        Ok(this)
    }

    /// Takes what a re-INVITE settled. Streams go on: SSRC, sequence numbers and rollover counters stay while keys do.
    ///
    /// # Errors
    /// [`SrtpError`] if the keys can't be used; the session stands as before.
    pub fn reconfigure(&mut self, config: Config) -> Result<(), SrtpError> {
        self.rekey(config.srtp.clone())?;
        self.config = config;
        self.apply();
        Ok(())
    }

    fn rekey(&mut self, keys: Option<SrtpKeys>) -> Result<(), SrtpError> {
        match (&mut self.srtp, keys) {
            (Some(srtp), Some(keys)) => srtp.rekey(keys)?,
            (None, Some(keys)) => self.srtp = Some(SrtpSession::new(keys)?),
            (_, None) => self.srtp = None,
        }
        Ok(())
    }

    fn apply(&mut self) {
        self.config.recv.truncate(MAX_FORMATS);
        self.rtp_latch.signalled(self.config.remote.rtp);
        self.rtcp_latch.signalled(self.config.remote.rtcp);
        self.bandwidth.set_max(self.config.max_bps);
        self.send.keys = match (self.config.dtmf, self.send.keys.take()) {
            (Some(format), Some(keys)) if keys.clock() == format.clock => Some(keys),
            (format, _) => format.map(|format| dtmf::Sender::new(format.clock)),
        };
    }

    /// Takes a datagram. Returns when to call [`timeout`](Self::timeout), as do all the calls below.
    pub fn receive(
        &mut self,
        now: Instant,
        incoming: Incoming<'_>,
        mut sink: impl FnMut(RtpOutput),
    ) -> Option<Instant> {
        self.receive_datagram(now, incoming, &mut sink);
        self.receive_due(now, &mut sink);
        self.poll_at()
    }

    /// Sends a frame. Dropped and counted if it is not of the negotiated codec.
    pub fn send(
        &mut self,
        now: Instant,
        frame: &EncodedFrame,
        mut sink: impl FnMut(RtpOutput),
    ) -> Option<Instant> {
        self.send_frame(now, frame, &mut sink);
        self.send_due(now, &mut sink);
        self.poll_at()
    }

    /// Presses a key (RFC 4733): 100 ms long; further keys queue. Its packets come with the following
    /// [`timeout`](Self::timeout)s. `false` if the peer takes no keys by RTP, so that the leg may use INFO.
    #[must_use]
    pub fn press(&mut self, now: Instant, key: char) -> bool {
        self.send.keys.as_mut().is_some_and(|keys| keys.press(now, key))
    }

    /// A keyframe is wanted of the peer: asks now and every 500 ms until one comes. The session wants one by itself
    /// after each loss and at the start.
    pub fn request_keyframe(&mut self, now: Instant, mut sink: impl FnMut(RtpOutput)) -> Option<Instant> {
        if self.config.kind != MediaKind::Audio {
            self.recv.asking.want();
            self.receive_due(now, &mut sink);
        }
        self.poll_at()
    }

    /// The wake-up asked for, or any later one.
    pub fn timeout(&mut self, now: Instant, mut sink: impl FnMut(RtpOutput)) -> Option<Instant> {
        self.receive_due(now, &mut sink);
        self.send_due(now, &mut sink);
        if self.asked.due(now) {
            sink(RtpOutput::KeyframeWanted);
        }
        self.report_due(now, &mut sink);
        self.poll_at()
    }

    /// Says goodbye (RTCP BYE), at the end of the call.
    pub fn bye(&mut self, now: Instant, mut sink: impl FnMut(RtpOutput)) {
        self.put_rtcp(now, crate::rtcp::Compound::bye, &mut sink);
        self.report_at = None;
    }

    /// When the session wants [`timeout`](Self::timeout).
    #[must_use]
    pub fn poll_at(&self) -> Option<Instant> {
        let sound = self.recv.sound.as_ref().and_then(|sound| sound.jitter.poll_at());
        let picture = self.recv.picture.as_ref().and_then(|pictures| pictures.reorder.poll_at());
        let keys = self.send.keys.as_ref().and_then(dtmf::Sender::poll_at);
        let requests = earliest(self.recv.asking.poll_at(), self.asked.poll_at());
        [sound, picture, keys, requests, self.send.pacer.poll_at(), self.report_at]
            .into_iter()
            .fold(None, earliest)
    }

    /// When the last packet that was the peer's came, RTP or RTCP; for silence detection.
    #[must_use]
    pub fn last_received(&self) -> Option<Instant> {
        self.last_received
    }

    /// Our SSRC.
    #[must_use]
    pub fn ssrc(&self) -> u32 {
        self.send.ssrc
    }

    /// Where packets go now.
    #[must_use]
    pub fn remote(&self, channel: Channel) -> Option<SocketAddr> {
        match channel {
            Channel::Rtp => self.rtp_latch.address(),
            Channel::Rtcp => self.rtcp_latch.address(),
        }
    }

    /// Figures so far.
    #[must_use]
    pub fn stats(&self) -> RtpStats {
        let recv = &self.recv;
        let reception = recv.reception.as_ref();
        let jitter =
            recv.sound.as_ref().map_or(0, |sound| sound.jitter.stats().late + sound.jitter.stats().duplicate);
        let clock = recv.clock.as_ref().map_or(1, clock::PeerClock::hz);
        RtpStats {
            sent_packets: self.send.packets,
            sent_bytes: self.send.bytes,
            received_packets: recv.packets_before + reception.map_or(0, reception::Reception::received),
            received_bytes: recv.bytes,
            received_lost: recv.lost_before + reception.map_or(0, |r| r.lost().max(0).unsigned_abs()),
            received_jitter: reception.map_or(Duration::ZERO, |r| r.jitter(clock)),
            late: jitter + recv.picture.as_ref().map_or(0, |pictures| pictures.reorder.late()),
            ..self.stats
        }
    }

    /// The same for one direction, as legs report them (P8); `None` if nothing is negotiated that way.
    #[must_use]
    pub fn stream_stats(&self, stream: StreamId, direction: Direction) -> Option<StreamStats> {
        let stats = self.stats();
        let (codec, packets, bytes, lost, jitter) = match direction {
            Direction::Send => {
                let codec = self.config.send.as_ref()?.codec;
                (codec, stats.sent_packets, stats.sent_bytes, stats.sent_lost, stats.sent_jitter)
            }
            Direction::Receive => {
                let codec = self.received_codec()?;
                let (packets, bytes) = (stats.received_packets, stats.received_bytes);
                (codec, packets, bytes, stats.received_lost, stats.received_jitter)
            }
        };
        let (kind, round_trip) = (self.config.kind, stats.round_trip);
        Some(StreamStats { stream, direction, kind, codec, packets, bytes, lost, jitter, round_trip })
    }

    /// What comes, or before anything came the first that may.
    fn received_codec(&self) -> Option<Codec> {
        let negotiated = self.config.recv.iter().find_map(|format| match format.format {
            Format::Media(codec) => Some(codec),
            Format::TelephoneEvent => None,
        });
        self.recv.codec().or(negotiated)
    }
}

#[cfg(test)]
mod tests;
