//! A picture sink: tiles composed on a canvas that stays, and encoded when its main picture comes.
//!
//! ```text
//!  main picture comes ──────────────▶ draw changed tiles ─▶ encode      (never sooner than the gate opens)
//!  other tile comes, main is silent ─▶ the same
//!  other tile comes, main is live ───▶ waits for main, MAIN_SILENT at most
//!  layout, key asked for ────────────▶ the same, at once
//!  nothing for IDLE_PICTURE ─────────▶ encode what is there
//! ```

use super::encoder::{SinkEncoder, Stamp};
use super::geometry::{on_canvas, overlap, place};
use super::pace::{Gate, Moment, SHED};
use super::picture::PictureSource;
use crate::message::{IDLE_PICTURE, MAIN_SILENT, MAX_TILES, PictureSink, Rect, Report, SourceId, Tile};
use base::{MediaTime, Size};
use kernels::{I420, PictureError};
use std::collections::BTreeMap;
use std::time::Duration;

/// Dark grey, so that black bars of a peer's own are told from ours.
const BACKGROUND: (u8, u8, u8) = (36, 128, 128);
/// The part of a frame's time that a picture may wait for the gate before it is left out for the next.
const WAIT_PART: u32 = 8;

pub(super) struct Canvas {
    pub encoder: SinkEncoder,
    canvas: I420,
    tiles: Vec<Drawn>,
    clear: bool,
    gate: Gate,
    main_seen: Option<MediaTime>,
    last_made: Option<MediaTime>,
    pending: Option<Pending>,
}

/// A tile and what of its source is on the canvas.
struct Drawn {
    source: SourceId,
    rect: Rect,
    fit: crate::message::Fit,
    version: u64,
    size: Size,
}

/// A picture that is to be made.
#[derive(Debug, Clone, Copy)]
struct Pending {
    /// Not before.
    due: MediaTime,
    /// The frame that drives it; `None` if none does.
    stamp: Option<Stamp>,
}

impl Canvas {
    /// # Errors
    /// [`PictureError`] if the canvas is of no size we make.
    pub fn new(now: MediaTime, sink: PictureSink) -> Result<Self, PictureError> {
        let PictureSink { sink: id, codec, canvas, max_fps, bps, max_nal_bytes, tiles } = sink;
        let mut made = Self {
            encoder: SinkEncoder::new(id, codec, max_fps, bps, max_nal_bytes),
            canvas: I420::default(),
            tiles: Vec::new(),
            clear: true,
            gate: Gate::new(max_fps),
            main_seen: None,
            last_made: None,
            pending: None,
        };
        made.set_layout(now, canvas, tiles)?;
        Ok(made)
    }

    /// # Errors
    /// [`PictureError`] if the canvas is of no size we make; the layout stays as it was.
    pub fn set_layout(&mut self, now: MediaTime, canvas: Size, tiles: Vec<Tile>) -> Result<(), PictureError> {
        let (width, height) = (canvas.width & !1, canvas.height & !1);
        self.canvas.resize(width, height)?;
        let main = self.main();
        self.tiles = tiles
            .into_iter()
            .take(MAX_TILES)
            .map(|Tile { source, rect, fit }| Drawn {
                source,
                rect: on_canvas(rect, Size::new(width, height)),
                fit,
                version: 0,
                size: Size::new(0, 0),
            })
            .collect();
        if self.main() != main {
            self.main_seen = None;
        }
        self.clear = true;
        self.want(now, None);
        Ok(())
    }

    pub fn force_key(&mut self, now: MediaTime) {
        self.encoder.force_key();
        self.want(now, None);
    }

    pub fn set_bitrate(&mut self, now: MediaTime, bps: u32) {
        let was_still = self.encoder.is_still();
        self.encoder.set_bitrate(bps);
        if was_still && bps > 0 {
            self.want(now, None);
        }
    }

    fn main(&self) -> Option<SourceId> {
        self.tiles.first().map(|tile| tile.source)
    }

    /// A source has a new picture.
    pub fn moved(&mut self, at: &Moment, source: SourceId, stamp: Stamp) {
        let now = at.now;
        if self.main() == Some(source) {
            let gap = self.main_seen.replace(now).map(|seen| now.saturating_since(seen));
            let shed = self
                .last_made
                .map(|made| made + self.gate.frame() * SHED)
                .filter(|_| at.is_late(stamp.arrived));
            self.encoder.stats.shed += u64::from(shed.is_some_and(|due| due > now));
            self.want(shed.unwrap_or(now).max(self.hold(now, gap)), Some(stamp));
        } else if self.tiles.iter().any(|tile| tile.source == source) {
            let due = self.main_seen.map_or(now, |seen| now.max(seen + MAIN_SILENT));
            if self.pending.is_none() {
                self.want(due, Some(stamp));
            }
        }
    }

    /// When to make the picture for a main picture that came now, `gap` after the one before.
    ///
    /// Where pictures made out of turn (a key, another layout) or a fast clock have used up what the gate allows, each main picture would
    /// from then on wait for the gate. One is left out instead: the next is on time, and this one serves if none comes.
    fn hold(&self, now: MediaTime, gap: Option<Duration>) -> MediaTime {
        let frame = self.gate.frame();
        if self.gate.opens() <= now + frame / WAIT_PART {
            return now;
        }
        now + gap.unwrap_or(frame).min(frame) * 5 / 4
    }

    /// A picture is to be made, not before `due` and not before the gate opens.
    fn want(&mut self, due: MediaTime, stamp: Option<Stamp>) {
        let due = due.max(self.gate.opens());
        let before = self.pending.map_or(due, |pending| pending.due.min(due));
        let stamp = stamp.or(self.pending.and_then(|pending| pending.stamp));
        self.pending = Some(Pending { due: before, stamp });
    }

    /// When it wants to be turned again.
    pub fn wake(&self) -> Option<MediaTime> {
        if self.encoder.is_still() {
            return None;
        }
        let idle = self.last_made.map(|made| made + IDLE_PICTURE);
        [self.pending.map(|pending| pending.due), idle].into_iter().flatten().min()
    }

    /// Makes what is due.
    pub fn turn(
        &mut self,
        at: &Moment,
        sources: &BTreeMap<SourceId, PictureSource>,
        report: &mut dyn FnMut(Report),
    ) {
        if self.wake().is_none_or(|due| due > at.now) {
            return;
        }
        let stamp =
            self.pending.take().and_then(|pending| pending.stamp).unwrap_or_else(|| self.own_stamp(at.now));
        self.gate.pass(at.now);
        self.last_made = Some(at.now);
        let mut stage = self.encoder.stats.compose;
        at.measure(&mut stage, || self.draw(sources));
        self.encoder.stats.compose = stage;
        self.encoder.encode(at, &self.canvas.view(), stamp, report);
        if self.encoder.is_owed_key() {
            self.want(at.now, None);
        }
    }

    /// The time of a picture that no frame drives: as long after the last one as it is made after it.
    fn own_stamp(&self, now: MediaTime) -> Stamp {
        let captured = match (self.encoder.last_captured(), self.last_made) {
            (Some(captured), Some(made)) => captured + now.saturating_since(made),
            _ => now,
        };
        Stamp { captured, arrived: now }
    }

    fn draw(&mut self, sources: &BTreeMap<SourceId, PictureSource>) {
        if std::mem::take(&mut self.clear) {
            fill(&mut self.canvas, None);
        }
        for i in 0..self.tiles.len() {
            let tile = &mut self.tiles[i];
            let Some(source) = sources.get(&tile.source) else { continue };
            let Some(picture) = source.picture() else { continue };
            if tile.version == source.version {
                continue;
            }
            let Some(placement) = place(source.size(), tile.rect, tile.fit) else { continue };
            if tile.size != source.size() {
                // the bars lie elsewhere now
                fill(&mut self.canvas, Some(tile.rect));
            }
            (tile.version, tile.size) = (source.version, source.size());
            let (from, to, rect) = (placement.from, placement.to, tile.rect);
            let from = picture.part(from.x, from.y, from.width, from.height);
            let to = self.canvas.view_mut().part(to.x, to.y, to.width, to.height);
            if let (Some(from), Some(mut to)) = (from, to) {
                kernels::yuv::scale(&from, &mut to);
            }
            for above in self.tiles.iter_mut().skip(i + 1).filter(|above| overlap(above.rect, rect)) {
                above.version = 0;
            }
        }
    }
}

fn fill(canvas: &mut I420, rect: Option<Rect>) {
    let view = canvas.view_mut();
    let part = match rect {
        Some(rect) => view.part(rect.x, rect.y, rect.width, rect.height),
        None => Some(view),
    };
    if let Some(mut part) = part {
        part.fill(BACKGROUND.0, BACKGROUND.1, BACKGROUND.2);
    }
}
