//! A ladder: one source's picture in several sizes, each encoded when the picture comes.
//!
//! Sizes are made from the next larger one that was made, largest first, which costs a quarter of making each from the
//! source. A layer may be forced to a key picture, stilled or rated alone; the others go on as they were.

use super::encoder::{SinkEncoder, Stamp};
use super::geometry::shrink;
use super::pace::{Gate, Moment, SHED};
use super::picture::PictureSource;
use crate::message::{Layer, MAX_LAYERS, Report, SinkId, SourceId};
use base::{Codec, MediaTime, Size};
use kernels::{I420, View};
use std::time::Duration;

/// How long a key picture that was asked for waits for the source's next picture before the last one serves.
const KEY_WAIT: Duration = Duration::from_millis(100);

pub(super) struct Ladder {
    pub source: SourceId,
    gate: Gate,
    /// Late pictures in a row, modulo [`SHED`].
    late: u32,
    /// Largest first.
    rungs: Vec<Rung>,
}

struct Rung {
    bound: Size,
    encoder: SinkEncoder,
    picture: I420,
    key_due: Option<MediaTime>,
}

impl Ladder {
    pub fn new(source: SourceId, codec: Codec, max_fps: u32, layers: Vec<Layer>) -> Self {
        let mut rungs: Vec<Rung> = layers
            .into_iter()
            .take(MAX_LAYERS)
            .map(|Layer { sink, size, bps }| Rung {
                bound: size,
                encoder: SinkEncoder::new(sink, codec, max_fps, bps, None),
                picture: I420::default(),
                key_due: None,
            })
            .collect();
        rungs.sort_by_key(|rung| std::cmp::Reverse(rung.bound.area()));
        Self { source, gate: Gate::new(max_fps), late: 0, rungs }
    }

    pub fn is_empty(&self) -> bool {
        self.rungs.is_empty()
    }

    pub fn encoders(&self) -> impl Iterator<Item = &SinkEncoder> {
        self.rungs.iter().map(|rung| &rung.encoder)
    }

    pub fn remove(&mut self, sink: SinkId) {
        self.rungs.retain(|rung| rung.encoder.sink() != sink);
    }

    fn rung(&mut self, sink: SinkId) -> Option<&mut Rung> {
        self.rungs.iter_mut().find(|rung| rung.encoder.sink() == sink)
    }

    /// Asks for a key picture of one layer, if it is of this ladder.
    pub fn force_key(&mut self, now: MediaTime, sink: SinkId) {
        if let Some(rung) = self.rung(sink) {
            rung.encoder.force_key();
            rung.key_due = Some(now + KEY_WAIT);
        }
    }

    /// Sets the rate of one layer, if it is of this ladder.
    pub fn set_bitrate(&mut self, now: MediaTime, sink: SinkId, bps: u32) {
        if let Some(rung) = self.rung(sink) {
            if rung.encoder.is_still() && bps > 0 {
                rung.key_due = Some(now + KEY_WAIT);
            }
            rung.encoder.set_bitrate(bps);
        }
    }

    pub fn wake(&self) -> Option<MediaTime> {
        self.rungs.iter().filter(|rung| !rung.encoder.is_still()).filter_map(|rung| rung.key_due).min()
    }

    /// The source has a new picture.
    pub fn moved(&mut self, at: &Moment, source: &PictureSource, report: &mut dyn FnMut(Report)) {
        let stamp = Stamp { captured: source.captured, arrived: source.arrived };
        self.late = if at.is_late(source.arrived) { (self.late + 1) % SHED } else { 0 };
        if self.late > 0 {
            self.rungs.iter_mut().for_each(|rung| rung.encoder.stats.shed += 1);
        } else if self.gate.pass(at.now) {
            self.encode(at, source, stamp, |_| true, report);
        }
    }

    /// Makes key pictures that have waited long enough for a source that stands still.
    pub fn turn(&mut self, at: &Moment, source: &PictureSource, report: &mut dyn FnMut(Report)) {
        if self.wake().is_none_or(|due| due > at.now) {
            return;
        }
        let captured = source.captured + at.now.saturating_since(source.decoded);
        let stamp = Stamp { captured, arrived: at.now };
        self.encode(at, source, stamp, |rung| rung.key_due.is_some_and(|due| due <= at.now), report);
        // what has no picture yet gets its key picture with the first
        for rung in self.rungs.iter_mut().filter(|rung| rung.key_due.is_some_and(|due| due <= at.now)) {
            rung.key_due = None;
        }
    }

    fn encode(
        &mut self,
        at: &Moment,
        source: &PictureSource,
        stamp: Stamp,
        wanted: impl Fn(&Rung) -> bool,
        report: &mut dyn FnMut(Report),
    ) {
        let Some(picture) = source.picture() else { return };
        let sizes: Vec<Size> = self.rungs.iter().map(|rung| shrink(source.size(), rung.bound)).collect();
        let mut made: Option<usize> = None;
        for i in 0..self.rungs.len() {
            let size = sizes[i];
            // no larger than the next smaller layer: that one serves
            let repeats = sizes.get(i + 1).is_some_and(|smaller| smaller.area() >= size.area());
            let (larger, rest) = self.rungs.split_at_mut(i);
            let Some(rung) = rest.first_mut() else { return };
            if repeats || rung.encoder.is_still() || !wanted(rung) {
                continue;
            }
            let from = made.and_then(|i| larger.get(i)).map_or(picture, |rung| rung.picture.view());
            if (size.width, size.height) == (picture.width(), picture.height()) {
                rung.encoder.encode(at, &picture, stamp, report);
            } else if rung.scale(at, &from, size) {
                made = Some(i);
                rung.encoder.encode(at, &rung.picture.view(), stamp, report);
            }
            if !rung.encoder.wants_key() {
                rung.key_due = None;
            }
        }
    }
}

impl Rung {
    fn scale(&mut self, at: &Moment, from: &View<'_>, size: Size) -> bool {
        let mut stage = self.encoder.stats.compose;
        let done = at.measure(&mut stage, || {
            let sized = self.picture.resize(size.width, size.height).is_ok();
            if sized {
                kernels::yuv::scale(from, &mut self.picture.view_mut());
            }
            sized
        });
        self.encoder.stats.compose = stage;
        done
    }
}
