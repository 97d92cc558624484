//! The receiving half: datagrams to frames and keys.

use super::clock::PeerClock;
use super::keyframe::Asking;
use super::reception::Reception;
use super::{Incoming, RtpOutput, RtpSession};
use crate::dtmf;
use crate::jitter::{JitterBuffer, Playout};
use crate::latch::{Proof, Verdict};
use crate::packet::{self, Channel, Kind, RtpHeader};
use crate::payload::{After, Arrival, Picture, audio, h264, vp8};
use crate::reorder::ReorderBuffer;
use crate::session::config::{Format, RecvFormat};
use crate::srtp::Rejected;
use base::{Beat, Codec, EncodedFrame, MediaKind, MediaTime};
use bytes::Bytes;
use std::time::Instant;

/// The stream we receive.
#[derive(Debug, Default)]
pub(super) struct RecvHalf {
    pub(super) reception: Option<Reception>,
    /// A packet of another SSRC, until a second one confirms that the peer changed it (RFC 3550 A.1).
    candidate: Option<Candidate>,
    pub(super) clock: Option<PeerClock>,
    pub(super) sound: Option<Sound>,
    pub(super) picture: Option<Pictures>,
    keys: dtmf::Receiver,
    pub(super) asking: Asking,
    pub(super) bytes: u64,
    /// Of the SSRCs before this one.
    pub(super) packets_before: u64,
    pub(super) lost_before: u64,
}

#[derive(Debug)]
struct Candidate {
    header: RtpHeader,
    payload: Bytes,
}

/// Sound on its way to the listener.
#[derive(Debug)]
pub(super) struct Sound {
    codec: Codec,
    pub(super) jitter: JitterBuffer<Unit>,
}

/// Pictures on their way.
#[derive(Debug)]
pub(super) struct Pictures {
    codec: Codec,
    pub(super) reorder: ReorderBuffer<(RtpHeader, Unit)>,
    depacketizer: Depacketizer,
    had_key: bool,
}

/// A payload and when it came.
#[derive(Debug)]
pub(super) struct Unit {
    codec: Codec,
    payload: Bytes,
    arrived: MediaTime,
}

#[derive(Debug)]
enum Depacketizer {
    H264(h264::Depacketizer),
    Vp8(vp8::Depacketizer),
}

impl RecvHalf {
    /// Of what came last.
    pub(super) fn codec(&self) -> Option<Codec> {
        self.sound.as_ref().map(|sound| sound.codec).or(self.picture.as_ref().map(|pictures| pictures.codec))
    }
}

impl RtpSession {
    pub(super) fn receive_datagram(
        &mut self,
        now: Instant,
        incoming: Incoming<'_>,
        sink: &mut dyn FnMut(RtpOutput),
    ) {
        let kind = packet::kind(incoming.data);
        let opened = match (&mut self.srtp, kind) {
            (_, Kind::Other) => Err(Rejected::Malformed),
            (Some(srtp), Kind::Rtp) => srtp.unprotect_rtp(incoming.data),
            (Some(srtp), Kind::Rtcp) => srtp.unprotect_rtcp(incoming.data),
            (None, _) => Ok(Bytes::copy_from_slice(incoming.data)),
        };
        match (opened, kind) {
            (Err(Rejected::Unauthentic), _) => self.stats.unauthentic += 1,
            (Err(Rejected::Malformed), _) | (_, Kind::Other) => self.stats.malformed += 1,
            (Ok(data), Kind::Rtp) => self.receive_rtp(now, &incoming, &data, sink),
            (Ok(data), Kind::Rtcp) if self.is_peer(now, &incoming) => self.receive_rtcp(now, &data, sink),
            (Ok(_), Kind::Rtcp) => {}
        }
    }

    fn is_peer(&mut self, now: Instant, incoming: &Incoming<'_>) -> bool {
        let proof = if self.srtp.is_some() { Proof::Authentic } else { Proof::Form };
        let latch = match incoming.channel {
            Channel::Rtp => &mut self.rtp_latch,
            Channel::Rtcp => &mut self.rtcp_latch,
        };
        let is_peer = latch.judge(now, incoming.from, proof) == Verdict::Peer;
        if is_peer {
            self.last_received = Some(now);
        } else {
            self.stats.foreign += 1;
        }
        is_peer
    }

    fn receive_rtp(
        &mut self,
        now: Instant,
        incoming: &Incoming<'_>,
        data: &Bytes,
        sink: &mut dyn FnMut(RtpOutput),
    ) {
        let Some((header, payload)) = packet::parse(data) else {
            self.stats.malformed += 1;
            return;
        };
        let known = self.config.recv.iter().any(|format| format.payload_type == header.payload_type);
        if !known && !self.config.recv.is_empty() {
            return self.not_announced(now, incoming, &header);
        }
        if !self.is_peer(now, incoming) || self.config.recv.is_empty() {
            return;
        }
        self.start_reports(now);
        let payload = data.slice_ref(payload);
        match &self.recv.reception {
            Some(reception) if reception.ssrc != header.ssrc => self.other_source(now, header, payload, sink),
            _ => {
                self.recv.candidate = None;
                self.take_rtp(now, header, payload, sink);
            }
        }
    }

    /// A payload type we did not announce, such as comfort noise: no media, but a sign of life, and no loss.
    fn not_announced(&mut self, now: Instant, incoming: &Incoming<'_>, header: &RtpHeader) {
        self.stats.malformed += 1;
        let latch = match incoming.channel {
            Channel::Rtp => &self.rtp_latch,
            Channel::Rtcp => &self.rtcp_latch,
        };
        if latch.address() != Some(incoming.from) {
            return;
        }
        self.last_received = Some(now);
        let hz = self.recv.clock.as_ref().map_or(8_000, PeerClock::hz);
        if let Some(reception) = self.recv.reception.as_mut().filter(|r| r.ssrc == header.ssrc) {
            reception.packet(header.sequence, header.timestamp, MediaTime::at(self.epoch, now).rtp(hz));
            if let Some(sound) = &mut self.recv.sound {
                sound.jitter.push_other(header.sequence);
            }
        }
    }

    /// A packet of an SSRC that is not the stream's: the second in a row makes it the stream's.
    fn other_source(
        &mut self,
        now: Instant,
        header: RtpHeader,
        payload: Bytes,
        sink: &mut dyn FnMut(RtpOutput),
    ) {
        match self.recv.candidate.take() {
            Some(first)
                if first.header.ssrc == header.ssrc
                    && first.header.sequence.wrapping_add(1) == header.sequence =>
            {
                self.new_source();
                self.take_rtp(now, first.header, first.payload, sink);
                self.take_rtp(now, header, payload, sink);
            }
            _ => self.recv.candidate = Some(Candidate { header, payload }),
        }
    }

    fn new_source(&mut self) {
        if let Some(reception) = self.recv.reception.take() {
            self.recv.packets_before += reception.received();
            self.recv.lost_before += reception.lost().max(0).unsigned_abs();
        }
        self.recv.clock = None;
        if let Some(sound) = &mut self.recv.sound {
            sound.jitter.reset();
        }
        if let Some(pictures) = &mut self.recv.picture {
            pictures.reorder.reset();
            pictures.had_key = false;
            match &mut pictures.depacketizer {
                Depacketizer::H264(depacketizer) => depacketizer.reset(),
                Depacketizer::Vp8(depacketizer) => depacketizer.reset(),
            }
        }
    }

    fn take_rtp(&mut self, now: Instant, header: RtpHeader, payload: Bytes, sink: &mut dyn FnMut(RtpOutput)) {
        let format = self.config.recv.iter().find(|format| format.payload_type == header.payload_type);
        let Some(format) = format.cloned() else { return };
        let arrived = MediaTime::at(self.epoch, now);
        let hz = match format.format {
            Format::Media(codec) => codec.rtp_clock(),
            Format::TelephoneEvent => self.recv.clock.as_ref().map_or(8_000, PeerClock::hz),
        };
        let reception = self.recv.reception.get_or_insert_with(|| Reception::of(header.ssrc));
        reception.packet(header.sequence, header.timestamp, arrived.rtp(hz));
        self.recv.bytes += payload.len() as u64;
        match format.format {
            Format::TelephoneEvent => {
                if let Some(sound) = &mut self.recv.sound {
                    sound.jitter.push_other(header.sequence);
                }
                if let Some(key) = self.recv.keys.push(now, header.timestamp, &payload) {
                    sink(RtpOutput::Dtmf(key));
                }
            }
            Format::Media(codec) => {
                let clock = self.recv.clock.get_or_insert_with(|| PeerClock::new(hz));
                if clock.hz() != hz {
                    *clock = PeerClock::new(hz);
                }
                clock.packet(arrived, header.timestamp);
                let unit = Unit { codec, payload, arrived };
                match codec.kind() {
                    MediaKind::Audio => self.take_sound(now, header, unit),
                    MediaKind::Video | MediaKind::Content => self.take_picture(now, header, unit, &format),
                }
            }
        }
    }

    fn take_sound(&mut self, now: Instant, header: RtpHeader, unit: Unit) {
        let codec = unit.codec;
        if audio::ticks(codec, &unit.payload).is_none() {
            self.stats.malformed += 1;
            return;
        }
        let beat = Beat::of(self.epoch);
        let fresh = || Sound { codec, jitter: JitterBuffer::new(codec.rtp_clock(), beat) };
        let sound = self.recv.sound.get_or_insert_with(fresh);
        if sound.codec.rtp_clock() != codec.rtp_clock() {
            *sound = fresh();
        }
        sound.codec = codec;
        sound.jitter.push(now, header.sequence, header.timestamp, unit);
    }

    fn take_picture(&mut self, now: Instant, header: RtpHeader, unit: Unit, format: &RecvFormat) {
        let codec = unit.codec;
        let fresh = || Pictures {
            codec,
            reorder: ReorderBuffer::default(),
            depacketizer: match codec {
                Codec::Vp8 => Depacketizer::Vp8(vp8::Depacketizer::default()),
                _ => Depacketizer::H264(h264::Depacketizer::new(&format.parameter_sets)),
            },
            had_key: false,
        };
        let pictures = self.recv.picture.get_or_insert_with(fresh);
        if pictures.codec != codec {
            *pictures = fresh();
        }
        self.recv.asking.packet();
        pictures.reorder.push(now, header.sequence, (header, unit));
    }

    /// Hands out the frames that are due.
    pub(super) fn receive_due(&mut self, now: Instant, sink: &mut dyn FnMut(RtpOutput)) {
        while let Some(playout) = self.recv.sound.as_mut().and_then(|sound| sound.jitter.pop(now)) {
            self.hand_out_sound(now, playout, sink);
        }
        while let Some(ordered) = self.recv.picture.as_mut().and_then(|pictures| pictures.reorder.pop(now)) {
            let (header, unit) = ordered.item;
            self.hand_out_pictures(header, &unit, ordered.after, sink);
        }
        if self.recv.asking.due(now) {
            self.ask_for_keyframe(now, sink);
        }
    }

    fn hand_out_sound(&mut self, now: Instant, playout: Playout<Unit>, sink: &mut dyn FnMut(RtpOutput)) {
        let (Some(sound), Some(clock)) = (&self.recv.sound, &self.recv.clock) else { return };
        let frame = match playout {
            Playout::Frame { timestamp, payload: unit, contiguous } => EncodedFrame {
                codec: unit.codec,
                captured: clock.captured(timestamp),
                arrived: unit.arrived,
                key: true,
                contiguous,
                data: unit.payload,
            },
            Playout::Lost { timestamp } => EncodedFrame {
                codec: sound.codec,
                captured: clock.captured(timestamp),
                arrived: MediaTime::at(self.epoch, now),
                key: true,
                contiguous: true,
                data: Bytes::new(),
            },
        };
        sink(RtpOutput::Frame(frame));
    }

    fn hand_out_pictures(
        &mut self,
        header: RtpHeader,
        unit: &Unit,
        after: After,
        sink: &mut dyn FnMut(RtpOutput),
    ) {
        let (Some(pictures), Some(clock)) = (&mut self.recv.picture, &self.recv.clock) else { return };
        let asking = &mut self.recv.asking;
        if after == After::Gap {
            asking.want();
        }
        let arrival = Arrival { timestamp: header.timestamp, marker: header.marker, after };
        let had_key = &mut pictures.had_key;
        let tell = |picture: Picture| {
            if picture.key {
                asking.came();
            } else if !picture.contiguous || !*had_key {
                asking.want();
            }
            *had_key |= picture.key;
            sink(RtpOutput::Frame(EncodedFrame {
                codec: unit.codec,
                captured: clock.captured(picture.timestamp),
                arrived: unit.arrived,
                key: picture.key,
                contiguous: picture.contiguous,
                data: picture.data,
            }));
        };
        match &mut pictures.depacketizer {
            Depacketizer::H264(depacketizer) => depacketizer.push(arrival, &unit.payload, tell),
            Depacketizer::Vp8(depacketizer) => depacketizer.push(arrival, &unit.payload, tell),
        }
    }
}
