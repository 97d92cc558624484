//! A slot: one m-line towards a receiver, in which senders take turns.
//!
//! ```text
//!            bind(sender)            key frame of the target layer
//! empty ────────────────▶ waiting ───────────────────────────────▶ forwarding
//!   ▲                        ▲          target changes                │  ▲  │
//!   └── bind(nobody) ────────┴──── bind(other sender) ────────────────┘  └──┘ key frame of the new target
//! ```
//! Until the key frame of a new target comes, the layer before goes on.

use super::PeerId;
use super::ingress::Meter;
use super::rewrite::{Counters, Rewriter};
use super::vp8::{PictureSize, Vp8Packet};
use std::time::Instant;
use str0m::media::{Mid, Pt, Rid};
use str0m::rtp::{ExtensionValues, RtpPacket, RtpWrite, SeqNo, StreamTx, Vp8Descriptor};

/// A simulcast layer by name; the inner none is a sender without simulcast.
pub type LayerName = Option<Rid>;

/// A slot that carries a picture.
#[derive(Debug)]
pub struct VideoSlot {
    /// Its m-line.
    pub mid: Mid,
    /// Whose picture is in it.
    pub source: Option<PeerId>,
    /// The layer that is forwarded.
    pub layer: Option<LayerName>,
    /// The layer that shall be.
    pub target: Option<LayerName>,
    /// Size of the last key frame forwarded.
    pub size: Option<PictureSize>,
    /// How much is forwarded.
    pub meter: Meter,
    /// Changes of layer or sender since the beginning.
    pub switches: u64,
    rewriter: Rewriter,
}

/// A slot that carries sound.
#[derive(Debug)]
pub struct AudioSlot {
    /// Its m-line.
    pub mid: Mid,
    /// Whose sound is in it.
    pub source: Option<PeerId>,
    /// How much is forwarded.
    pub meter: Meter,
    rewriter: Rewriter,
}

/// What became of a packet offered to a [`VideoSlot`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarded {
    /// Not for this slot, or nothing yet to show.
    No,
    /// Sent on.
    Sent,
    /// Sent on, and it is the first of another layer or sender.
    Switched,
}

impl VideoSlot {
    /// An empty slot on `mid` whose counters begin at `first`.
    #[must_use]
    pub fn new(mid: Mid, first: Counters) -> Self {
        let rewriter = Rewriter::new(90_000, first);
        let meter = Meter::default();
        Self { mid, source: None, layer: None, target: None, size: None, meter, switches: 0, rewriter }
    }

    /// Puts `source` into the slot.
    pub fn bind(&mut self, source: Option<PeerId>) {
        if self.source != source {
            self.source = source;
            self.layer = None;
            self.target = None;
            self.size = None;
            self.rewriter.pause();
        }
    }

    /// The layer a key frame is needed of, if the slot waits for one.
    #[must_use]
    pub fn waits_for(&self) -> Option<LayerName> {
        self.target.filter(|target| self.layer != Some(*target))
    }

    /// Sends `packet` of `layer` on to `tx` if it is this slot's turn.
    pub fn forward(
        &mut self,
        now: Instant,
        captured: Instant,
        layer: LayerName,
        vp8: Vp8Packet,
        packet: &RtpPacket,
        out: (&mut StreamTx, Pt),
    ) -> Forwarded {
        let descriptor = Vp8Descriptor::parse(&packet.payload).ok();
        let counters = Counters {
            seq: *packet.seq_no,
            rtp: packet.header.timestamp,
            picture: descriptor.and_then(|vp8| vp8.picture_id()),
            tl0: descriptor.and_then(|vp8| vp8.tl0_pic_idx()),
        };
        let switches = self.waits_for() == Some(layer) && vp8.key.is_some();
        if switches {
            self.rewriter.start(counters, captured);
            self.layer = Some(layer);
            self.switches += 1;
        }
        if self.layer != Some(layer) {
            return Forwarded::No;
        }
        let Some(renumbered) = self.rewriter.next(counters) else { return Forwarded::No };
        if vp8.key.is_some() {
            self.size = vp8.key;
        }
        self.meter.count(now, packet.payload.len(), vp8.starts_frame);
        let (tx, pt) = out;
        let write = write_of(renumbered, captured, packet, pt).nackable(true);
        tx.write_rtp(match patch(descriptor, renumbered) {
            Some(patch) => write.vp8_patch(patch),
            None => write,
        });
        if switches { Forwarded::Switched } else { Forwarded::Sent }
    }
}

impl AudioSlot {
    /// An empty slot on `mid` whose counters begin at `first`.
    #[must_use]
    pub fn new(mid: Mid, first: Counters) -> Self {
        Self { mid, source: None, meter: Meter::default(), rewriter: Rewriter::new(48_000, first) }
    }

    /// Puts `source` into the slot.
    pub fn bind(&mut self, source: Option<PeerId>) {
        if self.source != source {
            self.source = source;
            self.rewriter.pause();
        }
    }

    /// Leaves the source out for now without a gap in the numbers.
    pub fn pause(&mut self) {
        self.rewriter.pause();
    }

    /// Sends `packet` on to `tx`.
    pub fn forward(&mut self, now: Instant, captured: Instant, packet: &RtpPacket, out: (&mut StreamTx, Pt)) {
        let counters =
            Counters { seq: *packet.seq_no, rtp: packet.header.timestamp, picture: None, tl0: None };
        if !self.rewriter.is_running() {
            self.rewriter.start(counters, captured);
        }
        let Some(renumbered) = self.rewriter.next(counters) else { return };
        self.meter.count(now, packet.payload.len(), true);
        let (tx, pt) = out;
        let levels = ExtensionValues {
            audio_level: packet.header.ext_vals.audio_level,
            voice_activity: packet.header.ext_vals.voice_activity,
            ..ExtensionValues::default()
        };
        tx.write_rtp(write_of(renumbered, captured, packet, pt).ext_vals(levels));
    }
}

fn write_of(counters: Counters, captured: Instant, packet: &RtpPacket, pt: Pt) -> RtpWrite {
    RtpWrite::new(pt, SeqNo::from(counters.seq), counters.rtp, captured, packet.payload.clone())
        .marker(packet.header.marker)
}

fn patch(descriptor: Option<Vp8Descriptor>, to: Counters) -> Option<str0m::rtp::Vp8Patch> {
    let descriptor = descriptor?;
    let mut builder = descriptor.patch();
    if let Some(id) = to.picture {
        builder = builder.picture_id(id);
    }
    if let Some(id) = to.tl0 {
        builder = builder.tl0_pic_idx(id);
    }
    // A sender that writes 7-bit picture ids gets them back in 7 bits.
    builder.build().ok().or_else(|| {
        let mut builder = descriptor.patch().picture_id(to.picture? & 0x7f);
        if let Some(id) = to.tl0 {
            builder = builder.tl0_pic_idx(id);
        }
        builder.build().ok()
    })
}
