//! A picture source: decoded once, whoever reads it.
//!
//! ```text
//!            whole key frame                 gap, broken
//!  waiting ───────────────────▶ shown ───────────────────▶ VP8: frozen on the last picture until a key frame
//!    ▲  asks for a key frame                               H.264: goes on with what is concealed
//!    └──────────────── until one comes, it is asked for again every KEYFRAME_RETRY
//! ```

use super::pace::Moment;
use crate::Still;
use crate::message::{KEYFRAME_RETRY, Report, SourceId, SourceStats, Stage};
use base::{Codec, EncodedFrame, MediaTime, Size};
use codecs::{DecodeError, Decoded, VideoDecoder, h264, vp8};
use kernels::{I420, View};
use std::time::Duration;

/// After this long without trouble a picture that was concealed is taken for healed, as with intra refresh.
const HEALED: Duration = Duration::from_secs(5);

/// Where the picture is that a source shows.
enum Shown {
    /// With its decoder, which has none before the first one, nor after a frame that was broken without a sign of trouble before it.
    Decoded,
    /// Copied before a frame that may show nothing.
    Kept,
    /// Here.
    Still(Still),
}

pub(super) struct PictureSource {
    source: SourceId,
    decoder: Option<(Codec, Box<dyn VideoDecoder>)>,
    shown: Shown,
    kept: I420,
    /// Counts pictures, so that readers see which they have; 0 before the first.
    pub version: u64,
    /// When the last picture was captured, when it arrived, and when it was decoded.
    pub captured: MediaTime,
    pub arrived: MediaTime,
    pub decoded: MediaTime,
    /// Since when something has been wrong, if it is.
    trouble: Option<MediaTime>,
    asked: Option<MediaTime>,
    pub stats: SourceStats,
}

impl PictureSource {
    pub fn new(source: SourceId) -> Self {
        Self {
            source,
            decoder: None,
            shown: Shown::Decoded,
            kept: I420::default(),
            version: 0,
            captured: MediaTime(0),
            arrived: MediaTime(0),
            decoded: MediaTime(0),
            trouble: None,
            asked: None,
            stats: SourceStats {
                source,
                frames: 0,
                concealed: 0,
                broken: 0,
                size: Size::new(0, 0),
                decode: Stage::default(),
            },
        }
    }

    /// The last picture, if there is one.
    pub fn picture(&self) -> Option<View<'_>> {
        match &self.shown {
            Shown::Still(still) => still.view(),
            Shown::Kept => Some(self.kept.view()),
            Shown::Decoded => self.decoder.as_ref().and_then(|(_, decoder)| decoder.picture()),
        }
    }

    pub fn size(&self) -> Size {
        self.stats.size
    }

    /// Takes a frame; true if there is a new picture.
    pub fn take(&mut self, at: &Moment, frame: &EncodedFrame, report: &mut dyn FnMut(Report)) -> bool {
        self.stats.frames += 1;
        let shown = match self.decode(at, frame) {
            Ok(Decoded::Whole) => {
                self.heal(at, frame);
                true
            }
            Ok(Decoded::Concealed) => {
                self.stats.concealed += 1;
                self.trouble = Some(at.now);
                true
            }
            Ok(Decoded::Nothing) => false,
            Err(error) => {
                self.stats.broken += u64::from(error != DecodeError::NeedsKey);
                self.trouble = Some(at.now);
                false
            }
        };
        self.ask(at, report);
        if shown {
            self.show(at, frame, report);
        }
        shown
    }

    /// Shows `still` as if it had been captured and decoded at these times.
    pub fn show_still(&mut self, still: Still, captured: MediaTime, now: MediaTime) {
        self.stats.size = still.size();
        self.shown = Shown::Still(still);
        self.version += 1;
        (self.captured, self.arrived, self.decoded) = (captured, now, now);
    }

    fn decode(&mut self, at: &Moment, frame: &EncodedFrame) -> Result<Decoded, DecodeError> {
        let is_new = self.decoder.as_ref().is_none_or(|(codec, _)| *codec != frame.codec);
        if is_new || !frame.contiguous || self.trouble.is_some() {
            self.keep();
        }
        if is_new {
            self.decoder = Some((frame.codec, make(frame.codec)?));
        }
        let Some((codec, decoder)) = &mut self.decoder else { return Err(DecodeError::NeedsKey) };
        if !frame.contiguous && !frame.key {
            self.trouble = Some(at.now);
            if *codec == Codec::Vp8 {
                // it would smear: VP8 has no concealment, and the last good picture is better
                decoder.flush();
            }
        }
        let result = at.measure(&mut self.stats.decode, || decoder.decode(&frame.data));
        if matches!((codec, &result), (Codec::Vp8, Err(DecodeError::Broken(_)) | Ok(Decoded::Concealed))) {
            decoder.flush();
        }
        result
    }

    /// Keeps the picture that the decoder shows, which is gone once it has read a frame that shows nothing.
    fn keep(&mut self) {
        if matches!(self.shown, Shown::Decoded)
            && let Some(picture) = self.decoder.as_ref().and_then(|(_, decoder)| decoder.picture())
        {
            self.kept.copy_from(&picture);
            self.shown = Shown::Kept;
        }
    }

    fn heal(&mut self, at: &Moment, frame: &EncodedFrame) {
        let old = self.trouble.is_some_and(|since| at.now.saturating_since(since) >= HEALED);
        if frame.key || old {
            (self.trouble, self.asked) = (None, None);
        }
    }

    fn ask(&mut self, at: &Moment, report: &mut dyn FnMut(Report)) {
        let due = self.asked.is_none_or(|asked| at.now.saturating_since(asked) >= KEYFRAME_RETRY);
        if self.trouble.is_some() && due {
            self.asked = Some(at.now);
            report(Report::KeyframeNeeded { source: self.source });
        }
    }

    fn show(&mut self, at: &Moment, frame: &EncodedFrame, report: &mut dyn FnMut(Report)) {
        self.shown = Shown::Decoded;
        self.version += 1;
        (self.captured, self.arrived, self.decoded) = (frame.captured, frame.arrived, at.now);
        let size =
            self.picture().map_or(self.stats.size, |picture| Size::new(picture.width(), picture.height()));
        if size != self.stats.size {
            self.stats.size = size;
            report(Report::Picture { source: self.source, size });
        }
    }
}

fn make(codec: Codec) -> Result<Box<dyn VideoDecoder>, DecodeError> {
    Ok(match codec {
        Codec::H264 => Box::new(h264::Decoder::new()?),
        Codec::Vp8 => Box::new(vp8::Decoder::new()?),
        _ => return Err(DecodeError::Broken(0)),
    })
}
