//! A picture encoder as a sink has it: made when first needed, made anew when it fails, its times only growing.

use super::pace::Moment;
use crate::message::{MIN_PICTURE_BPS, Report, SinkId, SinkStats, Stage};
use base::{Codec, EncodedFrame, MediaTime, Size};
use bytes::Bytes;
use codecs::{EncodeError, Encoded, Picture, VideoEncoder, VideoSettings, h264, vp8};
use kernels::View;
use std::time::Duration;

/// Failures in a row after which a sink gives up until its size or codec changes.
const MAX_FAILURES: u32 = 5;
/// Over how long the real frame rate is counted.
const RATE_TIME: Duration = Duration::from_secs(1);

/// A gap between pictures that ends a count of them.
const PAUSE: Duration = Duration::from_millis(300);

/// When what is encoded was captured, and when it arrived.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp {
    pub captured: MediaTime,
    pub arrived: MediaTime,
}

pub(super) struct SinkEncoder {
    sink: SinkId,
    codec: Codec,
    bps: u32,
    max_fps: u32,
    max_nal_bytes: Option<usize>,
    inner: Option<(Size, Box<dyn VideoEncoder>)>,
    wants_key: bool,
    failures: u32,
    last_captured: Option<MediaTime>,
    rate: FrameRate,
    pub stats: SinkStats,
}

impl SinkEncoder {
    pub fn new(sink: SinkId, codec: Codec, max_fps: u32, bps: u32, max_nal_bytes: Option<usize>) -> Self {
        let zero = Stage::default();
        Self {
            sink,
            codec,
            bps,
            max_fps: max_fps.clamp(1, 60),
            max_nal_bytes,
            inner: None,
            wants_key: true,
            failures: 0,
            last_captured: None,
            rate: FrameRate::new(max_fps.clamp(1, 60)),
            stats: SinkStats {
                sink,
                frames: 0,
                keys: 0,
                bytes: 0,
                shed: 0,
                size: Size::new(0, 0),
                compose: zero,
                encode: zero,
                latency: zero,
            },
        }
    }

    pub fn sink(&self) -> SinkId {
        self.sink
    }

    /// No bits, no pictures.
    pub fn is_still(&self) -> bool {
        self.bps == 0
    }

    pub fn wants_key(&self) -> bool {
        self.wants_key
    }

    /// A key picture was asked for and the encoder left it out to keep its rate.
    pub fn is_owed_key(&self) -> bool {
        self.wants_key && self.bps > 0 && self.failures == 0
    }

    pub fn force_key(&mut self) {
        self.wants_key = true;
    }

    /// The time of the last picture made.
    pub fn last_captured(&self) -> Option<MediaTime> {
        self.last_captured
    }

    pub fn set_bitrate(&mut self, bps: u32) {
        if self.bps == 0 && bps > 0 {
            // whoever watches has seen nothing for a while
            self.wants_key = true;
        }
        self.bps = bps;
        if let (Some((_, encoder)), true) = (&mut self.inner, bps > 0) {
            // an encoder that takes no new rate is made anew
            if encoder.set_bitrate(bps.max(MIN_PICTURE_BPS)).is_err() {
                self.inner = None;
            }
        }
    }

    /// Encodes `view` and reports what comes of it.
    pub fn encode(&mut self, at: &Moment, view: &View<'_>, stamp: Stamp, report: &mut dyn FnMut(Report)) {
        if self.bps == 0 || self.failures >= MAX_FAILURES {
            return;
        }
        let size = Size::new(view.width(), view.height());
        // two pictures never have one time, and time never goes back
        let captured = self.last_captured.map_or(stamp.captured, |last| stamp.captured.max(last + TICK));
        let mut data = Vec::new();
        let mut stage = self.stats.encode;
        let result = at.measure(&mut stage, || self.run(view, size, captured, &mut data));
        self.stats.encode = stage;
        match result {
            Ok(Encoded::Skipped) => {}
            Ok(made) => {
                self.failures = 0;
                self.last_captured = Some(captured);
                let key = made == Encoded::Key;
                self.wants_key &= !key;
                self.note(at, size, key, data.len(), stamp.arrived);
                let frame = EncodedFrame {
                    codec: self.codec,
                    captured,
                    arrived: stamp.arrived,
                    key,
                    contiguous: true,
                    data: Bytes::from(data),
                };
                report(Report::Frame { sink: self.sink, frame });
            }
            Err(error) => {
                self.inner = None;
                self.failures += 1;
                report(Report::Failed { sink: Some(self.sink), source: None, why: error.to_string() });
            }
        }
    }

    fn run(
        &mut self,
        view: &View<'_>,
        size: Size,
        captured: MediaTime,
        data: &mut Vec<u8>,
    ) -> Result<Encoded, EncodeError> {
        if self.inner.as_ref().is_some_and(|(made_for, _)| *made_for != size) {
            self.inner = None;
        }
        let (_, encoder) = match &mut self.inner {
            Some(inner) => inner,
            empty => {
                self.wants_key = true;
                let settings = VideoSettings {
                    width: size.width,
                    height: size.height,
                    fps: self.rate.expected,
                    bps: self.bps.max(MIN_PICTURE_BPS),
                    max_nal_bytes: self.max_nal_bytes,
                };
                empty.insert((size, make(self.codec, settings)?))
            }
        };
        if let Some(fps) = self.rate.note(captured, self.max_fps) {
            encoder.set_frame_rate(fps)?;
        }
        let how = if self.wants_key { Picture::Key } else { Picture::Any };
        encoder.encode(view, captured.since_epoch(), how, data)
    }

    fn note(&mut self, at: &Moment, size: Size, key: bool, bytes: usize, arrived: MediaTime) {
        self.stats.frames += 1;
        self.stats.keys += u64::from(key);
        self.stats.bytes += bytes as u64;
        self.stats.size = size;
        self.stats.latency.note(at.since(arrived));
    }
}

/// Least distance of two pictures: more than a tick of RTP's 90 kHz clock, so that each has its own time stamp.
const TICK: Duration = Duration::from_millis(1);

fn make(codec: Codec, settings: VideoSettings) -> Result<Box<dyn VideoEncoder>, EncodeError> {
    Ok(match codec {
        Codec::Vp8 => Box::new(vp8::Encoder::new(settings)?),
        _ => Box::new(h264::Encoder::new(settings)?),
    })
}

/// Counts how many pictures really come, so that an encoder which shares its bits out by rate knows. A pause begins the
/// count anew: a picture now and then is no frame rate.
#[derive(Debug)]
struct FrameRate {
    expected: u32,
    from: MediaTime,
    last: MediaTime,
    count: u32,
}

impl FrameRate {
    fn new(expected: u32) -> Self {
        Self { expected, from: MediaTime(0), last: MediaTime(0), count: 0 }
    }

    /// Counts a picture; a rate that is off by a fifth is returned, once a second at most.
    fn note(&mut self, at: MediaTime, max_fps: u32) -> Option<u32> {
        let pause = at.saturating_since(self.last) > PAUSE;
        self.last = at;
        if pause || self.count == 0 {
            (self.from, self.count) = (at, 1);
            return None;
        }
        self.count += 1;
        let time = at.saturating_since(self.from);
        if time < RATE_TIME {
            return None;
        }
        let fps =
            (f64::from(self.count - 1) / time.as_secs_f64()).round().clamp(1.0, f64::from(max_fps)) as u32;
        (self.from, self.count) = (at, 1);
        if fps.abs_diff(self.expected) * 5 <= self.expected {
            return None;
        }
        self.expected = fps;
        Some(fps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(times: impl Iterator<Item = u64>) -> Vec<u32> {
        let mut rate = FrameRate::new(30);
        times.filter_map(|ms| rate.note(MediaTime(ms * 1_000_000), 30)).collect()
    }

    #[test]
    fn a_steady_rate_is_told_once_and_the_expected_one_never() {
        assert_eq!(told((0..200).map(|n| n * 100 / 3)), []);
        assert_eq!(told((0..100).map(|n| n * 66)), [15]);
    }

    #[test]
    fn a_picture_now_and_then_is_no_rate() {
        let idle_then_live = (0..5).map(|n| n * 1000).chain((0..100).map(|n| 5_000 + n * 100 / 3));
        assert_eq!(told(idle_then_live), []);
    }
}
