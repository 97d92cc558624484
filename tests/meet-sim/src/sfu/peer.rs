//! One participant's connection: its WebRTC session, what it sends, and the slots it receives in.

use super::PeerId;
use super::clock::{Report, SenderClock};
use super::ingress::{LayerIn, Meter, offered};
use super::layers::{LayerChoice, Wish};
use super::rewrite::Counters;
use super::slot::{AudioSlot, Forwarded, LayerName, VideoSlot};
use super::speaker::{Loudness, SILENCE};
use super::unreported::{Early, Unreported};
use super::vp8::Vp8Packet;
use anyhow::{Context, Result, bail};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};
use str0m::bwe::{Bitrate, BweKind};
use str0m::change::SdpOffer;
use str0m::channel::ChannelId;
use str0m::format::Codec;
use str0m::media::{KeyframeRequest, KeyframeRequestKind, MediaKind, Mid, Pt, Rid};
use str0m::net::Transmit;
use str0m::rtp::{RtpPacket, Ssrc};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc};

/// What the network is taken to carry before it is measured.
const FIRST_ESTIMATE: Bitrate = Bitrate::kbps(2_500);
/// Set aside for sound and overhead.
const RESERVED_BPS: u64 = 80_000;
/// An estimate that falls must stay down this long before layers follow: a busy machine delays packets as a full
/// network does, but not for as long.
const DIP: Duration = Duration::from_secs(3);
/// Sender reports at least every second, with room for a late timer.
const REPORT_EVERY: Duration = Duration::from_millis(800);
/// Most slots of each kind towards one receiver.
const SLOTS: usize = 16;

/// The media side of one participant.
pub struct Peer {
    rtc: Rtc,
    channel: Option<ChannelId>,
    streams: HashMap<Ssrc, (Mid, LayerName)>,
    outgoing: HashMap<Mid, (Ssrc, Option<Ssrc>)>,
    clock: SenderClock,
    unreported: Unreported<Ssrc, RtpPacket>,
    opus: Option<Pt>,
    vp8: Option<Pt>,
    estimate_bps: u64,
    sustained: (u64, Instant),
    ended: Option<Lost>,
    /// Slots for sound, in the order of their m-lines.
    pub audio_slots: Vec<AudioSlot>,
    /// Slots for pictures, in the order of their m-lines.
    pub video_slots: Vec<VideoSlot>,
    /// The layers it sends.
    pub layers: Vec<LayerIn>,
    /// How much sound it sends.
    pub audio: Meter,
    /// How loud it is.
    pub loudness: Loudness,
    /// When the session wants its timeout.
    pub wake: Instant,
}

/// Why a connection is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// The far side said goodbye (DTLS close_notify).
    Closed,
    /// Its session broke.
    Vanished,
}

/// What a connection has to tell after an input.
pub enum Happened {
    /// ICE and DTLS are up.
    Connected,
    /// The data channel is open.
    ChannelOpen,
    /// A text came on the data channel.
    Text(String),
    /// A media packet came.
    Packet(Box<Incoming>),
    /// The receiver of the slot on this m-line can't decode and needs a key frame.
    NeedsKey(Mid),
    /// Nothing is heard of the far side for a while, or is heard again.
    Silent(bool),
    /// The connection is gone.
    Lost(Lost),
}

/// A media packet with what is known of it.
pub struct Incoming {
    /// As it came.
    pub packet: RtpPacket,
    /// When it was captured, on our clock.
    pub captured: Instant,
    /// What it carries.
    pub content: Content,
}

/// What a media packet carries.
pub enum Content {
    /// Sound, with its level in -dBov.
    Sound,
    /// Part of a picture of this layer.
    Picture {
        /// The layer.
        layer: LayerName,
        /// Its headers.
        vp8: Vp8Packet,
        /// It begins the first key frame of its layer.
        first: bool,
    },
}

impl Peer {
    /// Answers `offer`; the session's packets come and go at `local`.
    ///
    /// # Errors
    /// If the offer is no usable session description.
    pub fn accept(now: Instant, local: SocketAddr, offer: &str, first: Counters) -> Result<(Self, String)> {
        let offer = SdpOffer::from_sdp_string(offer).context("offer does not parse")?;
        let mut rtc = Rtc::builder()
            .set_rtp_mode(true)
            .set_ice_lite(true)
            .clear_codecs()
            .enable_opus(true, false)
            .enable_vp8(true)
            .enable_bwe(Some(FIRST_ESTIMATE))
            .set_rtcp_report_interval_audio(REPORT_EVERY)
            .set_rtcp_report_interval_video(REPORT_EVERY)
            .build(now);
        rtc.add_local_candidate(Candidate::host(local, "udp").context("media address")?);
        let answer = rtc.sdp_api().accept_offer(offer).context("offer can't be answered")?.to_sdp_string();
        let mut peer = Self {
            rtc,
            channel: None,
            streams: HashMap::new(),
            outgoing: HashMap::new(),
            clock: SenderClock::new(now),
            unreported: Unreported::new(),
            opus: None,
            vp8: None,
            estimate_bps: FIRST_ESTIMATE.as_u64(),
            sustained: (FIRST_ESTIMATE.as_u64(), now),
            ended: None,
            audio_slots: Vec::new(),
            video_slots: Vec::new(),
            layers: Vec::new(),
            audio: Meter::default(),
            loudness: Loudness::default(),
            wake: now,
        };
        peer.take_media(&answer, first)?;
        Ok((peer, answer))
    }

    fn take_media(&mut self, answer: &str, first: Counters) -> Result<()> {
        let pt_of = |codec| {
            let config = self.rtc.codec_config().params();
            config.iter().find(|params| params.spec().codec == codec).map(|params| params.pt())
        };
        (self.opus, self.vp8) = (pt_of(Codec::Opus), pt_of(Codec::Vp8));
        for mid in answer.lines().filter_map(|line| line.strip_prefix("a=mid:")) {
            let mid = Mid::from(mid);
            let Some(media) = self.rtc.media(mid).filter(|media| media.direction().is_sending()) else {
                continue;
            };
            let kind = media.kind();
            let slots = match kind {
                MediaKind::Audio => self.audio_slots.len(),
                MediaKind::Video => self.video_slots.len(),
            };
            if slots >= SLOTS {
                bail!("offer has more than {SLOTS} {kind} lines to receive on; offer fewer");
            }
            match kind {
                MediaKind::Audio => self.audio_slots.push(AudioSlot::new(mid, first)),
                MediaKind::Video => self.video_slots.push(VideoSlot::new(mid, first)),
            }
            self.withhold(mid);
        }
        Ok(())
    }

    /// Takes the outgoing stream away until there is something to send: reports of an unused stream would say that
    /// its RTP time stands still at 0, and receivers learn their clocks from reports.
    fn withhold(&mut self, mid: Mid) {
        let mut api = self.rtc.direct_api();
        if let Some(tx) = api.stream_tx_by_mid(mid, None) {
            let (ssrc, rtx) = (tx.ssrc(), tx.rtx());
            api.remove_stream_tx(ssrc);
            self.outgoing.insert(mid, (ssrc, rtx));
        }
    }

    /// Whether a datagram is for this participant.
    #[must_use]
    pub fn accepts(&self, datagram: &Input<'_>) -> bool {
        self.rtc.accepts(datagram)
    }

    /// Takes a datagram.
    pub fn receive(&mut self, datagram: Input<'_>) {
        if self.rtc.handle_input(datagram).is_err() {
            self.lose(Lost::Vanished);
        }
    }

    /// Lets time pass.
    pub fn tick(&mut self, now: Instant) {
        self.receive(Input::Timeout(now));
    }

    /// Begins to say goodbye; what is left to send comes out of [`drain`](Self::drain).
    pub fn close(&mut self) {
        // An error means it is closed already.
        let _ = self.rtc.close();
    }

    fn lose(&mut self, lost: Lost) {
        self.ended.get_or_insert(lost);
    }

    /// Hands out all that is to be sent and told.
    pub fn drain(&mut self, now: Instant, send: &mut dyn FnMut(Transmit), tell: &mut dyn FnMut(Happened)) {
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(at)) => {
                    self.wake = at;
                    break;
                }
                Ok(Output::Transmit(transmit)) => send(transmit),
                Ok(Output::Event(Event::RtpPacket(packet))) => {
                    for packet in self.dated(now, packet) {
                        if let Some(incoming) = self.on_packet(now, packet) {
                            tell(Happened::Packet(Box::new(incoming)));
                        }
                    }
                }
                Ok(Output::Event(event)) => {
                    if let Some(happened) = self.on_event(event) {
                        tell(happened);
                    }
                }
                Err(_) => {
                    self.lose(Lost::Vanished);
                    self.wake = now + Duration::from_secs(3600);
                    break;
                }
            }
        }
        if !self.rtc.is_alive() {
            self.lose(Lost::Closed);
        }
        if let Some(lost) = self.ended {
            tell(Happened::Lost(lost));
        }
    }

    fn on_event(&mut self, event: Event) -> Option<Happened> {
        match event {
            Event::Connected => Some(Happened::Connected),
            Event::ChannelOpen(id, _) => {
                self.channel.get_or_insert(id);
                Some(Happened::ChannelOpen)
            }
            Event::ChannelData(data) if !data.binary => String::from_utf8(data.data).ok().map(Happened::Text),
            Event::KeyframeRequest(KeyframeRequest { mid, .. }) => Some(Happened::NeedsKey(mid)),
            Event::EgressBitrateEstimate(BweKind::Twcc { estimate, .. }) => {
                self.estimate_bps = estimate.as_u64();
                None
            }
            Event::IceConnectionStateChange(state) => {
                Some(Happened::Silent(state == IceConnectionState::Disconnected))
            }
            Event::Closed => {
                self.lose(Lost::Closed);
                None
            }
            _ => None,
        }
    }

    /// What can be dated now that `packet` came: itself, and what waited for the report it comes with.
    fn dated(&mut self, now: Instant, packet: RtpPacket) -> Vec<RtpPacket> {
        let ssrc = packet.header.ssrc;
        let report = packet.last_sender_info;
        let Some((mid, _)) = self.stream_of(ssrc) else { return Vec::new() };
        let sound = self.rtc.media(mid).is_some_and(|media| media.kind() == MediaKind::Audio);
        let early = if sound { Early::Leave } else { Early::Wait };
        let mut dated = self.unreported.take(now, ssrc, report.is_some(), early, packet);
        for packet in &mut dated {
            packet.last_sender_info = packet.last_sender_info.or(report);
        }
        dated
    }

    fn on_packet(&mut self, now: Instant, packet: RtpPacket) -> Option<Incoming> {
        let ssrc = packet.header.ssrc;
        let (mid, layer) = self.stream_of(ssrc)?;
        let media = self.rtc.media(mid)?;
        let kind = media.kind();
        let hz = if kind == MediaKind::Audio { 48_000 } else { 90_000 };
        let report = packet.last_sender_info.as_ref().and_then(|info| {
            let wall = info.ntp_time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
            // The low 32 bits are what was on the wire.
            Some(Report { wall, rtp: info.rtp_time.numer() as u32 })
        });
        let captured = self.clock.captured(packet.timestamp, report, packet.header.timestamp, hz);
        let content = match kind {
            MediaKind::Audio => {
                self.audio.count(now, packet.payload.len(), true);
                let level = packet.header.ext_vals.audio_level.map_or(SILENCE, |dbov| dbov.unsigned_abs());
                self.loudness.hear(now, level);
                Content::Sound
            }
            MediaKind::Video => {
                let vp8 = Vp8Packet::parse(&packet.payload)?;
                let known = self.layers.iter().position(|known| known.mid == mid && known.rid == layer);
                let at = known.unwrap_or_else(|| {
                    self.layers.push(LayerIn::new(now, mid, layer));
                    self.layers.len() - 1
                });
                let first = self.layers[at].take(now, packet.payload.len(), vp8);
                Content::Picture { layer, vp8, first }
            }
        };
        Some(Incoming { packet, captured, content })
    }

    fn stream_of(&mut self, ssrc: Ssrc) -> Option<(Mid, LayerName)> {
        if let Some(known) = self.streams.get(&ssrc) {
            return Some(*known);
        }
        let mut api = self.rtc.direct_api();
        let stream = api.stream_rx(&ssrc)?;
        let found = (stream.mid(), stream.rid());
        self.streams.insert(ssrc, found);
        Some(found)
    }

    /// Sends `incoming` of `from` on to this receiver; tells what came of it.
    pub fn forward(&mut self, now: Instant, from: PeerId, incoming: &Incoming) -> Forwarded {
        match incoming.content {
            Content::Sound => self.forward_sound(now, from, incoming),
            Content::Picture { layer, vp8, .. } => self.forward_picture(now, from, layer, vp8, incoming),
        }
    }

    fn forward_sound(&mut self, now: Instant, from: PeerId, incoming: &Incoming) -> Forwarded {
        let slot = self.audio_slots.iter_mut().find(|slot| slot.source == Some(from));
        let (Some(slot), Some(pt)) = (slot, self.opus) else { return Forwarded::No };
        let mut api = self.rtc.direct_api();
        let Some((ssrc, rtx)) = self.outgoing.get(&slot.mid).copied() else { return Forwarded::No };
        let tx = api.declare_stream_tx(ssrc, rtx, slot.mid, None);
        slot.forward(now, incoming.captured, &incoming.packet, (tx, pt));
        Forwarded::Sent
    }

    fn forward_picture(
        &mut self,
        now: Instant,
        from: PeerId,
        layer: LayerName,
        vp8: Vp8Packet,
        incoming: &Incoming,
    ) -> Forwarded {
        let slot = self.video_slots.iter_mut().find(|slot| slot.source == Some(from));
        let (Some(slot), Some(pt)) = (slot, self.vp8) else { return Forwarded::No };
        if slot.layer != Some(layer) && slot.target != Some(layer) {
            return Forwarded::No;
        }
        let Some((ssrc, rtx)) = self.outgoing.get(&slot.mid).copied() else { return Forwarded::No };
        let mut api = self.rtc.direct_api();
        let fresh = api.stream_tx(&ssrc).is_none();
        if fresh && vp8.key.is_none() {
            return Forwarded::No;
        }
        let tx = match fresh {
            true => api.declare_stream_tx(ssrc, rtx, slot.mid, None),
            false => match api.stream_tx(&ssrc) {
                Some(tx) => tx,
                None => return Forwarded::No,
            },
        };
        slot.forward(now, incoming.captured, layer, vp8, &incoming.packet, (tx, pt))
    }

    /// Asks this sender for a key frame of `layer`, unless it was asked a moment ago.
    pub fn ask_key(&mut self, now: Instant, layer: LayerName) {
        let Some(known) = self.layers.iter_mut().find(|known| known.rid == layer) else { return };
        if known.is_alive(now) && known.may_ask_key(now) {
            let mid = known.mid;
            if let Some(stream) = self.rtc.direct_api().stream_rx_by_mid(mid, layer) {
                stream.request_keyframe(KeyframeRequestKind::Pli);
            }
        }
    }

    /// What this sender offers, as a wish of a receiver who watches at the size `shown`.
    #[must_use]
    pub fn wish(
        &self,
        now: Instant,
        choice: LayerChoice,
        shown: (u16, u16),
        current: Option<LayerName>,
    ) -> Wish {
        let layers = offered(&self.layers, now);
        let current = current.and_then(|name| layers.iter().position(|layer| layer.rid == name));
        let layers = layers.iter().filter_map(|layer| layer.offer()).collect();
        Wish { layers, choice, shown, current }
    }

    /// The names of the layers of [`wish`](Self::wish), in the same order.
    #[must_use]
    pub fn layer_names(&self, now: Instant) -> Vec<Option<Rid>> {
        offered(&self.layers, now).iter().map(|layer| layer.rid).collect()
    }

    /// Bits per second that this receiver's network carries in pictures: the highest estimate of the last seconds.
    pub fn budget_bps(&mut self, now: Instant) -> u64 {
        let (highest, since) = self.sustained;
        if self.estimate_bps >= highest || now.saturating_duration_since(since) >= DIP {
            self.sustained = (self.estimate_bps, now);
        }
        self.sustained.0.saturating_sub(RESERVED_BPS)
    }

    /// Bits per second that this receiver's network is measured to carry.
    #[must_use]
    pub fn estimate_bps(&self) -> u64 {
        self.estimate_bps
    }

    /// Tells the bandwidth measurement how much would be of use.
    pub fn set_desired_bps(&mut self, bps: u64) {
        // More than is needed, or every layer is always at the edge of what is known to be possible.
        let desired = Bitrate::bps(bps * 2 + 5 * RESERVED_BPS);
        self.rtc.bwe().set_bitrate(Bitrate::ZERO, desired);
    }

    /// Sends a text on the data channel; false if it is not open.
    pub fn say(&mut self, text: &str) -> bool {
        let channel = self.channel.and_then(|id| self.rtc.channel(id));
        channel.is_some_and(|mut channel| channel.write(false, text.as_bytes()).unwrap_or(false))
    }
}
