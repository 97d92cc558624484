//! A sound source: decoded once, as wide as its widest listener hears, and brought to 48 kHz; kept for a fifth of a second so that each mix
//! reads at its own place.
//!
//! ```text
//!  packet ─▶ voice: decode, resample ─▶ │ track: samples numbered from 0 │ ◀─ mixes read by number
//!  lost   ─▶ noted; made up from the next packet (FEC) if that comes in time, else by concealment when a mix needs it
//! ```

use super::pace::Moment;
use super::voice::Voice;
use crate::clip::{self, Clip};
use crate::message::{LEVEL_TIME, Listening, Report, SourceId, SourceStats, Stage};
use base::{Codec, EncodedFrame, MediaTime, Size};
use codecs::DecodeError;
use kernels::{dtmf, sound};
use std::time::Duration;

/// Samples per second of all sound inside.
pub(crate) const RATE: u32 = 48_000;
/// How much of a track is kept.
const KEPT: usize = RATE as usize / 5;
/// How long ago silence was captured before anybody was heard, and what the box itself says: longer than sound is on its way, because
/// time may jump forward to the first word and not back.
pub(super) const UNHEARD: Duration = Duration::from_millis(250);
/// Most lost packets in a row that are made up.
const MAX_LOST: u32 = 3;
/// A packet's length before the first one came.
const USUAL: usize = RATE as usize / 50;

pub(super) struct SoundSource {
    source: SourceId,
    voice: Option<Voice>,
    /// Samples per second of its widest listener; 0 if it has none.
    heard_at: u32,
    track: Vec<f32>,
    /// Number of the sample after the last.
    pub end: u64,
    /// Length of the last packet in samples.
    pub packet: usize,
    /// Number and capture time of the last packet's first sample.
    origin: (u64, MediaTime),
    /// When the last packet reached the box, and when it came here.
    pub arrived: MediaTime,
    pub heard: Option<MediaTime>,
    /// Packets noted as lost and not yet made up.
    lost: u32,
    level: Level,
    playing: Option<Playing>,
    keys: Option<Keys>,
    pub stats: SourceStats,
}

/// What the box itself says.
#[derive(Debug)]
struct Playing {
    clip: Clip,
    /// Index of the next packet, and when it is due.
    at: usize,
    next: MediaTime,
}

/// Keys that are listened for, and those heard and not yet told.
#[derive(Debug, Default)]
struct Keys {
    detector: Option<(u32, dtmf::Detector)>,
    heard: Vec<char>,
}

/// Loudness since the last report.
#[derive(Debug, Default)]
struct Level {
    energy: f32,
    samples: usize,
}

impl SoundSource {
    pub fn new(source: SourceId) -> Self {
        Self {
            source,
            voice: None,
            heard_at: 0,
            track: Vec::new(),
            end: 0,
            packet: USUAL,
            origin: (0, MediaTime(0)),
            arrived: MediaTime(0),
            heard: None,
            lost: 0,
            level: Level::default(),
            playing: None,
            keys: None,
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

    /// Takes a packet, or an empty one in place of one that is lost.
    pub fn take(&mut self, at: &Moment, frame: &EncodedFrame, report: &mut dyn FnMut(Report)) {
        self.stats.frames += 1;
        self.heard = Some(at.now);
        self.arrived = frame.arrived;
        if frame.data.is_empty() {
            self.lose(1);
            return;
        }
        if self.prepare(frame.codec).is_err() {
            self.stats.broken += 1;
            return;
        }
        if !frame.contiguous && self.lost == 0 {
            self.lose(self.missing_before(frame.captured));
        }
        let mut stage = self.stats.decode;
        let decoded = at.measure(&mut stage, || self.decode(frame));
        self.stats.decode = stage;
        if decoded.is_err() {
            self.stats.broken += 1;
            self.lose(1);
        }
        self.tell_level(report);
        self.tell_keys(report);
    }

    /// Samples per second of what its sender may send; `None` before anything came. There is nothing in it above half of that.
    pub fn rate(&self) -> Option<u32> {
        self.voice.as_ref().map(Voice::source_rate)
    }

    /// Nobody listens to it, as far as is known; each who does says so with [`hear_at`](Self::hear_at).
    pub fn unhear(&mut self) {
        self.heard_at = 0;
    }

    /// Somebody listens who hears so many samples per second.
    pub fn hear_at(&mut self, rate: u32) {
        self.heard_at = self.heard_at.max(rate);
    }

    /// Says `clip` from `now` on.
    pub fn play(&mut self, now: MediaTime, clip: Clip) {
        self.playing = Some(Playing { clip, at: 0, next: now });
    }

    /// Listens for keys, or no longer.
    pub fn listen(&mut self, keys: Listening) {
        self.keys = match (keys, self.keys.take()) {
            (Listening::On, Some(keys)) => Some(keys),
            (Listening::On, None) => Some(Keys::default()),
            (Listening::Off, _) => None,
        };
    }

    /// When it wants to be turned next.
    pub fn wake(&self) -> Option<MediaTime> {
        self.playing.as_ref().map(|playing| playing.next)
    }

    /// Goes on with what it says.
    pub fn turn(&mut self, at: &Moment, report: &mut dyn FnMut(Report)) {
        while let Some(playing) = self.playing.as_mut().filter(|playing| playing.next <= at.now) {
            let due = playing.next;
            let Some(packet) = playing.clip.packets().get(playing.at).cloned() else {
                self.playing = None;
                report(Report::Played { source: self.source });
                return;
            };
            (playing.at, playing.next) = (playing.at + 1, due + clip::PACKET);
            let captured = earlier(due, UNHEARD);
            let (codec, arrived) = (clip::CODEC, at.now);
            let frame = EncodedFrame { codec, captured, arrived, key: true, contiguous: true, data: packet };
            self.take(at, &frame, report);
        }
    }

    fn lose(&mut self, packets: u32) {
        self.lost = (self.lost + packets).min(MAX_LOST);
    }

    /// How many packets are missing before one captured at `captured`, by its time.
    fn missing_before(&self, captured: MediaTime) -> u32 {
        if self.end == 0 {
            return 0;
        }
        let gap = captured.saturating_since(self.captured(self.end));
        let packet = samples_time(self.packet as u64).max(Duration::from_millis(5));
        ((gap + packet / 2).as_nanos() / packet.as_nanos()).min(u128::from(MAX_LOST)) as u32
    }

    fn prepare(&mut self, codec: Codec) -> Result<(), DecodeError> {
        if self.voice.as_ref().is_none_or(|voice| voice.codec() != codec) {
            self.voice = Some(Voice::new(codec, self.heard_at)?);
        }
        Ok(())
    }

    fn decode(&mut self, frame: &EncodedFrame) -> Result<(), DecodeError> {
        // all but the last of several lost packets; that one the packet at hand may know of
        while self.lost > 1 {
            self.make_up(None);
        }
        if self.lost == 1 {
            self.make_up(Some(&frame.data));
        }
        let Some(voice) = &mut self.voice else { return Err(DecodeError::NeedsKey) };
        voice.widen(self.heard_at)?;
        let mut block = Vec::with_capacity(USUAL);
        voice.decode(&frame.data, &mut block)?;
        self.level.note(&block);
        if let Some(keys) = &mut self.keys {
            keys.hear(voice.rate(), &block);
        }
        self.origin = (self.end, earlier(frame.captured, samples_time(voice.delay() as u64)));
        let from = self.track.len();
        voice.resample(&block, &mut self.track);
        self.packet = self.track.len() - from;
        self.grew(from);
        Ok(())
    }

    /// Makes up one lost packet, from the next if it is at hand.
    fn make_up(&mut self, next: Option<&[u8]>) {
        self.lost = self.lost.saturating_sub(1);
        self.stats.concealed += 1;
        self.conceal(self.packet, next);
    }

    fn conceal(&mut self, samples: usize, next: Option<&[u8]>) {
        let from = self.track.len();
        match &mut self.voice {
            Some(voice) => {
                let native = samples * voice.rate() as usize / RATE as usize;
                let mut block = Vec::with_capacity(native);
                voice.make_up(next, native, &mut block);
                if let Some(keys) = &mut self.keys {
                    keys.hear(voice.rate(), &block);
                }
                voice.resample(&block, &mut self.track);
            }
            None => self.track.resize(from + samples, 0.0),
        }
        self.grew(from);
    }

    /// Numbers what was added to the track from `from` on, and forgets what is too old.
    fn grew(&mut self, from: usize) {
        self.end += (self.track.len() - from) as u64;
        // a fifth of a second at once, not sample by sample
        if self.track.len() > 2 * KEPT {
            self.track.drain(..self.track.len() - KEPT);
        }
    }

    /// Has at least `needed` samples after number `from`: makes up lost packets, and then what has not come yet.
    pub fn cover(&mut self, from: u64, needed: usize) {
        let wanted = from + needed as u64;
        while self.lost > 0 && self.end < wanted {
            self.make_up(None);
        }
        if self.end < wanted {
            self.stats.concealed += 1;
            self.conceal((wanted - self.end) as usize, None);
        }
    }

    /// Samples from number `from` on; fewer than `count` if the track ends or is forgotten.
    pub fn samples(&self, from: u64, count: usize) -> &[f32] {
        let first = self.end - self.track.len() as u64;
        let start = usize::try_from(from.saturating_sub(first)).unwrap_or(usize::MAX).min(self.track.len());
        &self.track[start..(start + count).min(self.track.len())]
    }

    /// Number of the oldest sample kept.
    pub fn oldest(&self) -> u64 {
        self.end - self.track.len() as u64
    }

    /// When sample `number` was captured, reckoned from the last packet.
    pub fn captured(&self, number: u64) -> MediaTime {
        let (origin, captured) = self.origin;
        match number.checked_sub(origin) {
            Some(after) => captured + samples_time(after),
            None => earlier(captured, samples_time(origin - number)),
        }
    }

    fn tell_keys(&mut self, report: &mut dyn FnMut(Report)) {
        let heard = self.keys.as_mut().map(|keys| std::mem::take(&mut keys.heard)).unwrap_or_default();
        heard.into_iter().for_each(|key| report(Report::Key { source: self.source, key }));
    }

    fn tell_level(&mut self, report: &mut dyn FnMut(Report)) {
        let rate = self.voice.as_ref().map_or(RATE, Voice::rate);
        if self.level.samples as u128 * 1_000_000_000 >= LEVEL_TIME.as_nanos() * u128::from(rate) {
            let Level { energy, samples } = std::mem::take(&mut self.level);
            report(Report::Level { source: self.source, dbov: sound::dbov(energy / samples as f32) });
        }
    }
}

impl Keys {
    fn hear(&mut self, rate: u32, block: &[f32]) {
        if self.detector.as_ref().is_none_or(|(of, _)| *of != rate) {
            self.detector = Some((rate, dtmf::Detector::new(rate)));
        }
        if let Some((_, detector)) = &mut self.detector {
            detector.take(block, |key| self.heard.push(key));
        }
    }
}

impl Level {
    fn note(&mut self, block: &[f32]) {
        self.energy += sound::energy(block) * block.len() as f32;
        self.samples += block.len();
    }
}

/// `by` before `time`.
pub(super) fn earlier(time: MediaTime, by: Duration) -> MediaTime {
    MediaTime(time.0.saturating_sub(super::pace::nanos(by)))
}

/// How long `samples` at 48 kHz last.
pub(super) fn samples_time(samples: u64) -> Duration {
    Duration::from_nanos(samples.saturating_mul(1_000_000_000 / 1000) / (u64::from(RATE) / 1000))
}
