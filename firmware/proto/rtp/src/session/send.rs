//! The sending half: frames and keys to packets.

use super::{RtpOutput, RtpSession};
use crate::packet::{self, Channel, MAX_PAYLOAD, RtpHeader};
use crate::payload::{audio, h264, vp8};
use crate::session::config::SendFormat;
use crate::{dtmf, pacing::Pacer};
use base::{Codec, EncodedFrame, MediaKind, MediaTime};
use bytes::Bytes;
use rand::RngExt;
use rand::rngs::ChaCha12Rng;
use std::time::Instant;

/// The stream we send.
#[derive(Debug)]
pub(super) struct SendHalf {
    pub(super) ssrc: u32,
    pub(super) sequence: u16,
    timestamp_offset: u32,
    picture_id: u16,
    /// Timestamp that the next packet of sound has if it follows the last without a pause.
    follows: Option<u32>,
    pub(super) packets: u64,
    pub(super) bytes: u64,
    /// When a packet was sent last: decides between sender and receiver report.
    pub(super) last: Option<Instant>,
    pub(super) pacer: Pacer,
    pub(super) keys: Option<dtmf::Sender>,
}

impl SendHalf {
    pub(super) fn new(rng: &mut ChaCha12Rng) -> Self {
        Self {
            ssrc: rng.random(),
            // below 2^15, so that a lost first packet can't make the peer's rollover counter wrong (RFC 3711 3.3.1)
            sequence: rng.random_range(0..1 << 15),
            timestamp_offset: rng.random(),
            picture_id: rng.random(),
            follows: None,
            packets: 0,
            bytes: 0,
            last: None,
            pacer: Pacer::default(),
            keys: None,
        }
    }

    pub(super) fn timestamp(&self, at: MediaTime, clock: u32) -> u32 {
        at.rtp(clock).wrapping_add(self.timestamp_offset)
    }

    /// Sound's timestamps follow each other exactly, whatever the rounding of its capture times; a difference of half a
    /// frame or more is a pause. Also says whether the packet begins a talkspurt (RFC 3551 4.1).
    fn sound_timestamp(&mut self, captured: MediaTime, clock: u32, ticks: u32) -> (u32, bool) {
        let exact = self.timestamp(captured, clock);
        let follows =
            self.follows.filter(|next| (exact.wrapping_sub(*next) as i32).unsigned_abs() < ticks.div_ceil(2));
        let timestamp = follows.unwrap_or(exact);
        self.follows = Some(timestamp.wrapping_add(ticks));
        (timestamp, follows.is_none())
    }

    fn header(&mut self, payload_type: u8, timestamp: u32, marker: bool) -> RtpHeader {
        let sequence = self.sequence;
        self.sequence = self.sequence.wrapping_add(1);
        RtpHeader { marker, payload_type, sequence, timestamp, ssrc: self.ssrc }
    }
}

impl RtpSession {
    pub(super) fn send_frame(&mut self, now: Instant, frame: &EncodedFrame, sink: &mut dyn FnMut(RtpOutput)) {
        let Some(format) = self.config.send.clone() else { return };
        if frame.codec != format.codec {
            self.stats.unsendable += 1;
            return;
        }
        match format.codec.kind() {
            MediaKind::Audio => self.send_sound(now, &format, frame, sink),
            MediaKind::Video | MediaKind::Content => self.send_picture(now, &format, frame, sink),
        }
    }

    fn send_sound(
        &mut self,
        now: Instant,
        format: &SendFormat,
        frame: &EncodedFrame,
        sink: &mut dyn FnMut(RtpOutput),
    ) {
        if frame.data.is_empty() || self.send.keys.as_ref().is_some_and(dtmf::Sender::is_sending) {
            return;
        }
        let ticks = audio::ticks(format.codec, &frame.data).filter(|_| frame.data.len() <= MAX_PAYLOAD);
        let Some(ticks) = ticks else {
            self.stats.unsendable += 1;
            return;
        };
        let (timestamp, marker) = self.send.sound_timestamp(frame.captured, format.codec.rtp_clock(), ticks);
        let header = self.send.header(format.payload_type, timestamp, marker);
        if let Some(packet) = self.seal(&header, &[], &frame.data) {
            self.put_rtp(now, packet, sink);
        }
    }

    fn send_picture(
        &mut self,
        now: Instant,
        format: &SendFormat,
        frame: &EncodedFrame,
        sink: &mut dyn FnMut(RtpOutput),
    ) {
        let timestamp = self.send.timestamp(frame.captured, format.codec.rtp_clock());
        let picture_id = self.send.picture_id;
        let mut packets = Vec::new();
        let mut emit = |head: &[u8], body: &[u8], last: bool| {
            let header = self.send.header(format.payload_type, timestamp, last);
            packets.extend(self.seal(&header, head, body));
        };
        match format.codec {
            Codec::Vp8 => {
                vp8::packetize(&frame.data, picture_id, &mut emit);
                self.send.picture_id = picture_id.wrapping_add(1);
            }
            _ if h264::packetize(&frame.data, format.h264, &mut emit).is_err() => {
                self.stats.unsendable += 1;
                return;
            }
            _ => {}
        }
        if self.send.pacer.push(now, format.frame_time, packets).is_err() {
            // the peer misses a picture: the next one must stand alone
            self.stats.unsendable += 1;
            sink(RtpOutput::KeyframeWanted);
        }
    }

    /// Hands out the packets whose turn it is.
    pub(super) fn send_due(&mut self, now: Instant, sink: &mut dyn FnMut(RtpOutput)) {
        while let Some(packet) = self.send.pacer.pop(now) {
            self.put_rtp(now, packet, sink);
        }
        while let Some(out) = self.send.keys.as_mut().and_then(|keys| keys.pop(now)) {
            let Some(format) = self.config.dtmf else { return };
            let timestamp = self.send.timestamp(MediaTime::at(self.epoch, out.pressed), format.clock);
            let header = self.send.header(format.payload_type, timestamp, out.first);
            self.send.follows = None;
            if let Some(packet) = self.seal(&header, &[], &out.event.write()) {
                self.put_rtp(now, packet, sink);
            }
        }
    }

    fn seal(&mut self, header: &RtpHeader, head: &[u8], body: &[u8]) -> Option<Bytes> {
        let plain = packet::write(header, head, body);
        self.send.packets += 1;
        self.send.bytes += (head.len() + body.len()) as u64;
        match &mut self.srtp {
            Some(srtp) => srtp.protect_rtp(&plain),
            None => Some(plain),
        }
    }

    fn put_rtp(&mut self, now: Instant, data: Bytes, sink: &mut dyn FnMut(RtpOutput)) {
        self.send.last = Some(now);
        self.start_reports(now);
        if let Some(to) = self.rtp_latch.address() {
            sink(RtpOutput::Packet { channel: Channel::Rtp, to, data });
        }
    }
}
