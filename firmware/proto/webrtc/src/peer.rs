//! One WebRTC session: ICE, DTLS, SRTP and a data channel on one UDP socket, frames in and out.
//!
//! str0m does the protocols; this keeps it to the house contract: each step takes one input and drains str0m whole. But while a session
//! stands, datagrams and frames are only taken in, and str0m is drained once for all of them at the wake-up then asked for at once. RTP goes in
//! str0m's frame mode. Its ICE credentials, DTLS key and SSRCs come from the operating system by way of str0m, the
//! only randomness here that no seed governs.
//!
//! ```text
//!            Answer             ICE + DTLS              PathLost, Closed, Broken, Close
//!  Offered ─────────▶ Connecting ──────────▶ Connected ────────────────────────────────▶ Over
//!                        │  NeverConnected (20 s)                                         ▲
//!                        └────────────────────────────────────────────────────────────────┘
//! ```

use crate::cap::{Cap, Class};
use crate::clock::PeerClock;
use crate::incoming::{Delivery, Slot};
use crate::outgoing::{Outgoing, Verdict};
use crate::patience::Patience;
use crate::stats::TrackStats;
use crate::unsent::Unsent;
use base::leg::Direction;
use base::{Beat, EncodedFrame, Machine, MediaKind, Output, Size, earliest};
use bytes::Bytes;
use rtp::ExpectedLoss;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use str0m::bwe::{Bitrate, BweKind};
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::channel::{ChannelConfig, ChannelId};
use str0m::format::Codec as RtcCodec;
use str0m::media::{
    Direction as RtcDirection, KeyframeRequestKind, MediaData, MediaKind as RtcKind, Mid, Pt, Simulcast,
    SimulcastLayer,
};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event as RtcEvent, IceConnectionState, Input as RtcInput, Output as RtcOutput, Rtc};

/// Longest from the answer until the session stands.
pub const CONNECT: Duration = Duration::from_secs(20);
/// Longest without a datagram from the peer, which answers our consent checks every few seconds (RFC 7675).
pub const SILENCE: Duration = Duration::from_secs(10);
/// Longest that ICE may be disconnected before the path counts as lost.
const DISCONNECTED: Duration = Duration::from_secs(5);
/// What the network is taken to carry before it is measured, in bits per second.
pub const FIRST_ESTIMATE_BPS: u64 = 1_500_000;
/// Largest data-channel message taken, in bytes (`a=max-message-size`).
const MESSAGE_BYTES: u32 = 256 * 1024;
/// Most outputs drained in one step; more is a fault in str0m, and the rest waits for the next step.
const OUTPUTS: usize = 20_000;
/// A wake-up so soon is no time to wait for: str0m's pacer lets one packet through and asks to go on a microsecond later. Its debt sets the
/// pace, not how often it is woken.
const SOON: Duration = Duration::from_micros(10);
/// First bytes of RTP and RTCP (RFC 7983).
const MEDIA: std::ops::RangeInclusive<u8> = 128..=191;
/// str0m's "never".
const NEVER: Duration = Duration::from_secs(24 * 3600);

/// What a session is made of.
#[derive(Debug, Clone)]
pub struct Config {
    /// The address the session's one UDP socket is bound to; a host address, not `0.0.0.0`.
    pub bound: SocketAddr,
    /// What the bound address looks like from outside, behind a NAT with a fixed mapping.
    pub public: Option<SocketAddr>,
    /// Begin of the box's media clock.
    pub epoch: Instant,
    /// Most bits per second sent, IP headers included, over any second.
    pub max_bps: u64,
    /// What is offered.
    pub offer: Offer,
}

/// What a session offers to send and receive.
#[derive(Debug, Clone)]
pub struct Offer {
    /// The simulcast layers of the one VP8 picture sent, smallest first; empty for no picture.
    pub layers: Vec<Layer>,
    /// How many m-lines that receive sound.
    pub recv_audios: u8,
    /// How many m-lines that receive pictures.
    pub recv_videos: u8,
    /// Label of the data channel.
    pub channel: &'static str,
}

/// One simulcast layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    /// Its name (RFC 8852), at most 8 letters.
    pub rid: &'static str,
    /// Largest picture.
    pub size: Size,
    /// Most bits per second of encoded media.
    pub max_bps: u64,
    /// Most pictures per second.
    pub max_fps: u32,
}

/// Something we send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SendTrack {
    /// The sound.
    Sound,
    /// The picture's layer with this index.
    Layer(u8),
}

/// One receive m-line, by its index: those with sound first, then those with pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecvTrack(pub u8);

/// What a session takes.
#[derive(Debug)]
pub enum Input<'a> {
    /// The answer to the offer.
    Answer(&'a str),
    /// A datagram.
    Packet {
        /// Who sent it.
        from: SocketAddr,
        /// The whole of it.
        data: &'a [u8],
    },
    /// A frame to send.
    Frame {
        /// As what.
        track: SendTrack,
        /// The frame; Opus for sound, VP8 for a layer.
        frame: &'a EncodedFrame,
    },
    /// A picture that stands alone is needed of this track.
    RequestKeyframe(RecvTrack),
    /// Another participant took the slot: what came before must not be taken for its media.
    Restart(RecvTrack),
    /// A text for the data channel; dropped and counted if the channel isn't open or is full.
    Text(&'a str),
    /// Goodbye: RTCP BYE, SCTP and DTLS shutdown.
    Close,
    /// Time passes.
    Timeout,
}

/// What a session wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Send a datagram from the session's socket.
    Transmit {
        /// Where to.
        to: SocketAddr,
        /// The whole of it.
        data: Bytes,
    },
    /// A frame from the peer.
    Frame {
        /// Of which track.
        track: RecvTrack,
        /// The frame.
        frame: EncodedFrame,
    },
}

/// What a session tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The answer is no good.
    BadAnswer(String),
    /// ICE and DTLS are up.
    Connected,
    /// The data channel is open.
    ChannelOpen,
    /// The peer closed the data channel.
    ChannelClosed,
    /// A text on the data channel.
    Text(String),
    /// A message on the data channel that is no UTF-8 text.
    BadMessage,
    /// The peer needs a picture that stands alone.
    KeyframeWanted(SendTrack),
    /// What the network carries towards the peer, in bits per second, headers included; never above
    /// [`Config::max_bps`].
    Estimate(u64),
    /// How much of the sound we send is to be expected to get lost, in percent ([`ExpectedLoss`]). Told when it changes.
    SoundLoss(u8),
    /// The session is over; the last event.
    Lost(Lost),
}

/// Why a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// It never came up.
    NeverConnected,
    /// The peer is not heard any more.
    PathLost,
    /// The peer closed it.
    Closed,
    /// The peer broke DTLS or str0m refused to go on.
    Broken,
}

/// What went wrong without ending anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Datagrams that are no STUN, DTLS, RTP or RTCP.
    pub bad_packets: u64,
    /// Datagrams from somebody who is no part of the session.
    pub strangers: u64,
    /// Inputs that str0m refused.
    pub refused: u64,
    /// Pictures skipped for want of room under the limit.
    pub skipped_frames: u64,
    /// Datagrams held back at the exit by the limit: padding and retransmissions, hardly ever media.
    pub capped_packets: u64,
    /// Texts not sent: channel not open, or full.
    pub unsent_texts: u64,
    /// Received frames thrown away: too large, or of no known codec.
    pub dropped_frames: u64,
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// The bound or public address can't be an ICE candidate.
    #[error("address {0} can't be an ICE candidate; bind the socket to a host address")]
    Address(SocketAddr),
    /// There is nothing to offer.
    #[error("nothing to offer: no m-line asked for")]
    NothingToOffer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Offered,
    Connecting { until: Instant },
    Connected { disconnected: Option<Instant> },
    Over,
}

/// One WebRTC session, made by offering.
#[derive(Debug)]
pub struct Peer {
    rtc: Rtc,
    bound: SocketAddr,
    epoch: Instant,
    max_bps: u64,
    state: State,
    pending: Option<SdpPendingOffer>,
    channel: ChannelId,
    channel_open: bool,
    sound: Mid,
    opus: Option<Pt>,
    vp8: Option<Pt>,
    outgoing: Outgoing,
    unsent: Unsent,
    slots: Vec<Slot>,
    clock: PeerClock,
    cap: Cap,
    now: Instant,
    /// When it was last turned.
    turned: Instant,
    heard: Instant,
    counters: Counters,
    stats: Vec<TrackStats>,
    round_trip: Option<Duration>,
    expected_loss: ExpectedLoss,
    patience: Patience,
}

impl Peer {
    /// A session and its offer.
    ///
    /// # Errors
    /// [`PeerError`] if an address can't be a candidate.
    pub fn offer(now: Instant, config: &Config) -> Result<(Self, String), PeerError> {
        let mut rtc = Rtc::builder()
            .clear_codecs()
            .enable_opus(true, false)
            .enable_vp8(true)
            .enable_bwe(Some(Bitrate::bps(FIRST_ESTIMATE_BPS.min(config.max_bps))))
            .set_stats_interval(Some(Duration::from_secs(1)))
            .set_rtcp_report_interval_audio(Duration::from_secs(1))
            .set_reordering_size_audio(0)
            .set_sctp_max_message_size(MESSAGE_BYTES)
            .build(now);
        for candidate in candidates(config)? {
            rtc.add_local_candidate(candidate);
        }
        rtc.bwe().set_bitrate(Bitrate::ZERO, Bitrate::bps(config.max_bps));

        let mut api = rtc.sdp_api();
        let channel = api.add_channel_with_config(ChannelConfig {
            label: config.offer.channel.to_owned(),
            ..ChannelConfig::default()
        });
        let sound = api.add_media(RtcKind::Audio, RtcDirection::SendOnly, None, None, None);
        let picture = (!config.offer.layers.is_empty()).then(|| {
            let simulcast = Some(simulcast(&config.offer.layers));
            api.add_media(RtcKind::Video, RtcDirection::SendOnly, None, None, simulcast)
        });
        let mut slots = Vec::new();
        for kind in receive_kinds(&config.offer) {
            let mid = api.add_media(rtc_kind(kind), RtcDirection::RecvOnly, None, None, None);
            slots.push(Slot::new(mid, kind, Beat::of(config.epoch)));
        }
        let (offer, pending) = api.apply().ok_or(PeerError::NothingToOffer)?;
        let peer = Self {
            rtc,
            bound: config.bound,
            epoch: config.epoch,
            max_bps: config.max_bps,
            state: State::Offered,
            pending: Some(pending),
            channel,
            channel_open: false,
            sound,
            opus: None,
            vp8: None,
            outgoing: Outgoing::new(picture, &config.offer.layers),
            unsent: Unsent::default(),
            slots,
            clock: PeerClock::new(config.epoch),
            cap: Cap::new(config.max_bps, config.bound),
            now,
            turned: now,
            heard: now,
            counters: Counters::default(),
            stats: Vec::new(),
            round_trip: None,
            expected_loss: ExpectedLoss::default(),
            patience: Patience::default(),
        };
        Ok((peer, offer.to_sdp_string()))
    }

    /// The m-line's mid of a receive track, as the answer names it, and what it carries.
    #[must_use]
    pub fn slot(&self, track: RecvTrack) -> Option<(&str, MediaKind)> {
        self.slots.get(usize::from(track.0)).map(|slot| (slot.name(), slot.kind()))
    }

    /// The receive track with this mid.
    #[must_use]
    pub fn track(&self, mid: &str) -> Option<RecvTrack> {
        let at = self.slots.iter().position(|slot| slot.name() == mid)?;
        u8::try_from(at).ok().map(RecvTrack)
    }

    /// Whether the answer takes our picture.
    #[must_use]
    pub const fn sends_picture(&self) -> bool {
        self.vp8.is_some()
    }

    /// What went wrong so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let mut counters = self.counters;
        counters.skipped_frames = self.outgoing.skipped();
        counters
    }

    /// Figures of every stream that had media, at most a second old.
    #[must_use]
    pub fn stats(&self) -> &[TrackStats] {
        &self.stats
    }

    /// Takes an input that `came` at this moment, which may be before others that were taken already.
    fn apply(&mut self, came: Instant, input: Input<'_>, sink: &mut impl FnMut(Output<Effect, Event>)) {
        match (self.state, input) {
            (State::Over, _) | (_, Input::Timeout) => {}
            (State::Offered, Input::Answer(answer)) => self.answer(answer, sink),
            (_, Input::Answer(_)) => self.counters.refused += 1,
            (_, Input::Packet { from, data }) => self.packet(came, from, data),
            (State::Connected { .. }, Input::Frame { track: SendTrack::Sound, frame }) => {
                self.write_sound(frame)
            }
            (State::Connected { .. }, Input::Frame { track: SendTrack::Layer(layer), frame }) => {
                self.outgoing.push(self.now, usize::from(layer), frame);
            }
            (_, Input::Frame { .. }) => {}
            (_, Input::RequestKeyframe(track)) => {
                if let Some(slot) = self.slots.get_mut(usize::from(track.0)) {
                    slot.want_key(self.now);
                }
            }
            (_, Input::Restart(track)) => {
                if let Some(slot) = self.slots.get_mut(usize::from(track.0)) {
                    slot.restart();
                }
            }
            (_, Input::Text(text)) => self.text(text),
            (_, Input::Close) => self.close(sink),
        }
    }

    fn answer(&mut self, answer: &str, sink: &mut impl FnMut(Output<Effect, Event>)) {
        match self.accept(answer) {
            Ok(()) => self.state = State::Connecting { until: self.now + CONNECT },
            Err(reason) => {
                self.state = State::Over;
                sink(Output::Event(Event::BadAnswer(reason)));
            }
        }
    }

    fn accept(&mut self, answer: &str) -> Result<(), String> {
        let answer = SdpAnswer::from_sdp_string(answer).map_err(|error| error.to_string())?;
        let pending = self.pending.take().ok_or("no offer is open")?;
        self.rtc.sdp_api().accept_answer(pending, answer).map_err(|error| error.to_string())?;
        self.opus = payload_type(&mut self.rtc, self.sound, RtcCodec::Opus);
        self.unsent.withhold(&mut self.rtc, self.sound, None);
        if let Some(picture) = self.outgoing.mid() {
            self.vp8 = payload_type(&mut self.rtc, picture, RtcCodec::Vp8);
            self.outgoing.learn_ssrcs(&mut self.rtc, &mut self.unsent);
        }
        if self.opus.is_none() { Err("the answer takes no Opus".to_owned()) } else { Ok(()) }
    }

    fn packet(&mut self, came: Instant, from: SocketAddr, data: &[u8]) {
        let Ok(receive) = Receive::new(Protocol::Udp, from, self.bound, data) else {
            self.counters.bad_packets += 1;
            return;
        };
        // Media are dated when they came, which is what feedback on the network is made of; all else goes by one clock.
        let media = data.first().is_some_and(|first| MEDIA.contains(first));
        let input = RtcInput::Receive(if media { came } else { self.now }, receive);
        if !self.rtc.accepts(&input) {
            self.counters.strangers += 1;
            return;
        }
        self.heard = self.now;
        let taken = self.rtc.handle_input(input);
        self.counters.refused += u64::from(taken.is_err());
    }

    fn write_sound(&mut self, frame: &EncodedFrame) {
        let (Some(pt), false) = (self.opus, frame.data.is_empty()) else { return };
        let captured = self.moment(frame);
        self.unsent.begin(&mut self.rtc, self.sound, None);
        let written = crate::outgoing::write(&mut self.rtc, self.sound, None, pt, captured, frame);
        self.counters.refused += u64::from(!written);
    }

    /// Writes the next picture that has room; says whether there was one.
    fn write_picture(&mut self) -> bool {
        let (Some(mid), Some(pt)) = (self.outgoing.mid(), self.vp8) else { return false };
        match self.outgoing.next(self.now, &mut self.cap) {
            Verdict::Send { rid, frame } => {
                let captured = self.moment(&frame);
                self.unsent.begin(&mut self.rtc, mid, Some(rid));
                let written = crate::outgoing::write(&mut self.rtc, mid, Some(rid), pt, captured, &frame);
                self.counters.refused += u64::from(!written);
                true
            }
            Verdict::Nothing => false,
        }
    }

    /// When a frame was captured; now, if it says that it is still to be.
    fn moment(&self, frame: &EncodedFrame) -> Instant {
        frame.captured.to_instant(self.epoch).min(self.now)
    }

    fn text(&mut self, text: &str) {
        let sent = self.channel_open
            && self
                .rtc
                .channel(self.channel)
                .is_some_and(|mut channel| matches!(channel.write(false, text.as_bytes()), Ok(true)));
        self.counters.unsent_texts += u64::from(!sent);
    }

    fn close(&mut self, sink: &mut impl FnMut(Output<Effect, Event>)) {
        let closed = self.rtc.close();
        self.counters.refused += u64::from(closed.is_err());
        self.drain(sink);
        self.state = State::Over;
    }

    /// Turns str0m until it has nothing more to do now; returns when it wants to be woken.
    fn turn(&mut self, sink: &mut impl FnMut(Output<Effect, Event>)) -> Option<Instant> {
        for _ in 0..OUTPUTS {
            if self.state == State::Over {
                return None;
            }
            let taken = self.rtc.handle_input(RtcInput::Timeout(self.now));
            self.counters.refused += u64::from(taken.is_err());
            let wake = self.drain(sink);
            if !self.rtc.is_alive() {
                self.lose(Lost::Broken, sink);
                return None;
            }
            if self.write_picture() {
                continue;
            }
            match wake {
                Some(at) if at <= self.now + SOON => self.now = self.now.max(at),
                wake => return wake,
            }
        }
        Some(self.now + Duration::from_millis(1))
    }

    /// Takes every output str0m has; returns its wake-up.
    fn drain(&mut self, sink: &mut impl FnMut(Output<Effect, Event>)) -> Option<Instant> {
        for _ in 0..OUTPUTS {
            match self.rtc.poll_output() {
                Ok(RtcOutput::Timeout(at)) => {
                    return (at.saturating_duration_since(self.now) < NEVER).then(|| self.wake(at));
                }
                Ok(RtcOutput::Transmit(transmit)) => {
                    self.exit(transmit.destination, transmit.contents.into(), sink);
                }
                Ok(RtcOutput::Event(event)) => self.event(event, sink),
                Err(_) => {
                    self.counters.refused += 1;
                    if !self.rtc.is_alive() {
                        return None;
                    }
                }
            }
        }
        Some(self.now)
    }

    /// When str0m, which wants to be woken `at` this moment, is.
    fn wake(&mut self, at: Instant) -> Instant {
        let patient = self.patience.wake(self.now, at, self.rtc.last_timeout_reason());
        let stands = matches!(self.state, State::Connected { .. });
        if stands && at > self.now + SOON { patient } else { at }
    }

    /// A datagram wants out.
    fn exit(&mut self, to: SocketAddr, data: Vec<u8>, sink: &mut impl FnMut(Output<Effect, Event>)) {
        let class = self.classify(&data);
        if class == Class::Picture {
            self.outgoing.leaves(&data, self.cap.datagram_bytes(data.len()));
        }
        if self.cap.pass(self.now, class, data.len()) {
            sink(Output::Effect(Effect::Transmit { to, data: data.into() }));
        } else {
            self.counters.capped_packets += 1;
        }
    }

    /// What a datagram is, by its first two bytes (RFC 7983, RFC 5761).
    fn classify(&self, data: &[u8]) -> Class {
        match *data {
            [128..=191, 192..=223, ..] => Class::Control,
            [128..=191, marker_and_pt, ..] => {
                let pt = Pt::from(marker_and_pt & 0x7f);
                if Some(pt) == self.opus {
                    Class::Sound
                } else if Some(pt) == self.vp8 {
                    Class::Picture
                } else {
                    Class::Repair
                }
            }
            _ => Class::Control,
        }
    }

    fn event(&mut self, event: RtcEvent, sink: &mut impl FnMut(Output<Effect, Event>)) {
        match event {
            RtcEvent::Connected => {
                if matches!(self.state, State::Connecting { .. }) {
                    self.state = State::Connected { disconnected: None };
                    self.heard = self.now;
                    sink(Output::Event(Event::Connected));
                }
            }
            RtcEvent::IceConnectionStateChange(ice) => self.ice(ice),
            RtcEvent::MediaData(data) => self.media(data, sink),
            RtcEvent::ChannelOpen(id, _) if id == self.channel => {
                self.channel_open = true;
                sink(Output::Event(Event::ChannelOpen));
            }
            RtcEvent::ChannelClose(id) if id == self.channel => {
                self.channel_open = false;
                sink(Output::Event(Event::ChannelClosed));
            }
            RtcEvent::ChannelData(message) if message.id == self.channel => {
                let text = (!message.binary).then(|| String::from_utf8(message.data).ok()).flatten();
                sink(Output::Event(text.map_or(Event::BadMessage, Event::Text)));
            }
            RtcEvent::KeyframeRequest(request) => {
                if let Some(layer) = self.outgoing.ask_key(self.now, request.mid, request.rid) {
                    sink(Output::Event(Event::KeyframeWanted(SendTrack::Layer(layer))));
                }
            }
            RtcEvent::EgressBitrateEstimate(BweKind::Twcc { estimate, .. }) => {
                sink(Output::Event(Event::Estimate(estimate.as_u64().min(self.max_bps))));
            }
            RtcEvent::Closed => self.lose(Lost::Closed, sink),
            RtcEvent::PeerStats(stats) => self.round_trip = stats.rtt,
            RtcEvent::MediaEgressStats(stats) => {
                let layer = stats.rid.and_then(|rid| self.outgoing.layer(rid));
                let track = if stats.mid == self.sound {
                    Some(SendTrack::Sound)
                } else {
                    layer.map(SendTrack::Layer)
                };
                if let (Some(SendTrack::Sound), Some(share)) = (track, stats.loss)
                    && let Some(percent) = self.expected_loss.report(self.now, share)
                {
                    sink(Output::Event(Event::SoundLoss(percent)));
                }
                if let Some(track) = track {
                    self.keep(TrackStats::sent(track, &stats, self.round_trip));
                }
            }
            RtcEvent::MediaIngressStats(stats) => {
                let slot = self.slots.iter().enumerate().find(|(_, slot)| slot.mid() == stats.mid);
                if let Some((Ok(at), slot)) = slot.map(|(at, slot)| (u8::try_from(at), slot)) {
                    let kept = TrackStats::received(
                        RecvTrack(at),
                        slot.kind(),
                        slot.lost(),
                        &stats,
                        self.round_trip,
                    );
                    self.keep(kept);
                }
            }
            _ => {}
        }
    }

    fn keep(&mut self, stats: TrackStats) {
        match self.stats.iter_mut().find(|kept| kept.track == stats.track) {
            Some(kept) => *kept = stats,
            None => self.stats.push(stats),
        }
    }

    fn ice(&mut self, ice: IceConnectionState) {
        if let State::Connected { disconnected } = &mut self.state {
            *disconnected = ice.is_disconnected().then(|| disconnected.unwrap_or(self.now));
        }
    }

    fn media(&mut self, data: MediaData, sink: &mut impl FnMut(Output<Effect, Event>)) {
        let Some(at) = self.slots.iter().position(|slot| slot.mid() == data.mid) else { return };
        let Ok(track) = u8::try_from(at).map(RecvTrack) else { return };
        match self.slots[at].deliver(self.now, data, &mut self.clock) {
            Delivery::Frame(frame) => sink(Output::Effect(Effect::Frame { track, frame })),
            Delivery::Later => {}
            Delivery::Dropped => self.counters.dropped_frames += 1,
        }
    }

    /// What is due by our own clocks, str0m's aside.
    fn own_timers(&mut self, sink: &mut impl FnMut(Output<Effect, Event>)) {
        while let Some(layer) = self.outgoing.key_due(self.now) {
            sink(Output::Event(Event::KeyframeWanted(SendTrack::Layer(layer))));
        }
        for (at, slot) in self.slots.iter_mut().enumerate() {
            if slot.key_due(self.now) {
                // An error is a slot without a source yet; its first picture is a key frame anyway.
                let writer = self.rtc.writer(slot.mid());
                let _ = writer.map(|mut writer| writer.request_keyframe(None, KeyframeRequestKind::Pli));
            }
            let Ok(track) = u8::try_from(at).map(RecvTrack) else { continue };
            slot.play(self.now, self.clock.at(self.now), |frame| {
                sink(Output::Effect(Effect::Frame { track, frame }))
            });
        }
        match self.state {
            State::Connecting { until } if until <= self.now => self.lose(Lost::NeverConnected, sink),
            State::Connected { disconnected: Some(since) } if since + DISCONNECTED <= self.now => {
                self.lose(Lost::PathLost, sink);
            }
            State::Connected { .. } if self.heard + SILENCE <= self.now => self.lose(Lost::PathLost, sink),
            _ => {}
        }
    }

    fn own_wake(&self) -> Option<Instant> {
        let state = match self.state {
            State::Offered | State::Over => None,
            State::Connecting { until } => Some(until),
            State::Connected { disconnected } => {
                earliest(Some(self.heard + SILENCE), disconnected.map(|since| since + DISCONNECTED))
            }
        };
        let slots = self.slots.iter().fold(None, |wake, slot| earliest(wake, slot.wake()));
        earliest(state, earliest(slots, self.outgoing.wake(&self.cap)))
    }

    fn lose(&mut self, lost: Lost, sink: &mut impl FnMut(Output<Effect, Event>)) {
        if self.state != State::Over {
            self.state = State::Over;
            sink(Output::Event(Event::Lost(lost)));
        }
    }
}

impl Machine for Peer {
    type Input<'a> = Input<'a>;
    type Effect = Effect;
    type Event = Event;

    fn step(
        &mut self,
        now: Instant,
        input: Input<'_>,
        mut sink: impl FnMut(Output<Effect, Event>),
    ) -> Option<Instant> {
        if self.state == State::Over {
            return None;
        }
        self.now = self.now.max(now);
        // What a datagram or a frame makes is left to the wake-up that is asked for at once: one turn serves all that come together. str0m asks
        // to be drained after each input; once the session stands that makes no difference (0.25: all it keeps are queues), and before that
        // it does, as SRTP keys are put in place when it is drained.
        let stands = matches!(self.state, State::Connected { .. });
        let waits = stands && matches!(input, Input::Packet { .. } | Input::Frame { .. });
        self.apply(now, input, &mut sink);
        if matches!(self.state, State::Offered | State::Over) {
            return None;
        }
        if waits {
            return Some(self.turned);
        }
        self.turned = self.now;
        self.own_timers(&mut sink);
        let wake = self.turn(&mut sink);
        self.own_timers(&mut sink);
        if self.state == State::Over {
            return None;
        }
        earliest(wake, self.own_wake())
    }
}

fn candidates(config: &Config) -> Result<Vec<Candidate>, PeerError> {
    let host = Candidate::host(config.bound, "udp").map_err(|_| PeerError::Address(config.bound))?;
    let mut candidates = vec![host];
    if let Some(public) = config.public.filter(|public| *public != config.bound) {
        let mapped = Candidate::server_reflexive(public, config.bound, "udp");
        candidates.push(mapped.map_err(|_| PeerError::Address(public))?);
    }
    Ok(candidates)
}

fn simulcast(layers: &[Layer]) -> Simulcast {
    let mut simulcast = Simulcast::new();
    for layer in layers {
        simulcast.add_send_layer(SimulcastLayer::new(layer.rid));
    }
    simulcast
}

fn receive_kinds(offer: &Offer) -> impl Iterator<Item = MediaKind> {
    let sounds = std::iter::repeat_n(MediaKind::Audio, offer.recv_audios.into());
    sounds.chain(std::iter::repeat_n(MediaKind::Video, offer.recv_videos.into()))
}

const fn rtc_kind(kind: MediaKind) -> RtcKind {
    match kind {
        MediaKind::Audio => RtcKind::Audio,
        MediaKind::Video | MediaKind::Content => RtcKind::Video,
    }
}

fn payload_type(rtc: &mut Rtc, mid: Mid, codec: RtcCodec) -> Option<Pt> {
    let writer = rtc.writer(mid)?;
    writer.payload_params().find(|params| params.spec().codec == codec).map(|params| params.pt())
}

/// Which way a track goes, with its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Track {
    /// To the peer.
    Send(SendTrack),
    /// From the peer.
    Recv(RecvTrack),
}

impl Track {
    /// Which way.
    #[must_use]
    pub const fn direction(self) -> Direction {
        match self {
            Track::Send(_) => Direction::Send,
            Track::Recv(_) => Direction::Receive,
        }
    }
}
