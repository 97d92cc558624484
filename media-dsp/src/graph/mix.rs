//! A mix: the sum of its inputs without the listener's own, encoded block by block without a gap.
//!
//! It has a clock of its own, `next`, that follows its inputs. A block is made as soon as every live input has it, which
//! for one input is when its packet comes; it waits `SLACK` for the late and makes up what then still lacks.
//!
//! ```text
//!       early = next - block      next            late = next + SLACK
//!  ─────────┬──────────────────────┼──────────────────┬────────▶ now
//!   wait    │ made when all live inputs have it       │ made whatever lacks
//!                                  └ made now if no input is live: silence
//! ```
//!
//! - An input that lags behind is made up by its codec, and stays that much later: so what jitters gets its buffer.
//! - An input that never has less than `SPARE` over for two seconds is cut by it, with a cross-fade; one that has more
//!   than `MAX_BACKLOG` at once is cut at once. So clock drift and old jitter go away.
//! - `captured` steps evenly, block by block. It is that of the loudest input; when another input is loudest, or clocks
//!   drift, it moves in a silence: forward by a jump, backward by leaving silent blocks out.

use super::pace::{Moment, nanos};
use super::sound::{RATE, SoundSource, UNHEARD, earlier};
use crate::message::{MAX_INPUTS, Mix as Settings, Opening, Report, SinkId, SinkStats, SourceId, Stage};
use base::{Codec, EncodedFrame, MediaTime, Size};
use bytes::Bytes;
use codecs::{AudioEncoder, EncodeError, g711, g722, opus};
use kernels::{Resampler, sound};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a block waits for an input that is late: a packet and half of the next, so that FEC has its chance.
const SLACK: Duration = Duration::from_millis(30);
/// How long after its last packet an input counts as live.
const LIVE: Duration = Duration::from_millis(100);
/// Least sound that an input must have over for two seconds before it is cut.
const SPARE: usize = RATE as usize / 100;
const SPARE_TIME: Duration = Duration::from_secs(2);
/// Most sound an input may have over at once, besides one packet.
const MAX_BACKLOG: usize = RATE as usize * 60 / 1000;
/// How long a cut is faded over.
const FADE: usize = RATE as usize / 200;
/// A mix this far behind its clock was not turned, and does not catch up.
const STALLED: Duration = Duration::from_millis(200);
/// Mean square below which a block is silent: -60 dBov.
const SILENT: f32 = 1e-6;
/// How far captured may be off: less than ears and eyes notice (ITU-R BT.1359: 45 ms).
const OFF: Duration = Duration::from_millis(15);
/// How long a mix of [`Opening::FirstWord`] waits for somebody before it begins with silence.
const FIRST_WORD: Duration = Duration::from_millis(500);
/// How long captured may be off while nobody pauses before it jumps forward all the same.
const PATIENCE: Duration = Duration::from_secs(1);
/// A source whose clock goes back by this much or more is not waited for.
const MAX_HOLD: Duration = Duration::from_secs(1);
/// How much louder another input must be to become the one that sets captured.
const LOUDER: f32 = 2.0;

pub(super) struct Mix {
    sink: SinkId,
    codec: Codec,
    own: Option<SourceId>,
    inputs: Vec<Input>,
    encoder: Box<dyn AudioEncoder>,
    /// What the encoder was told of its inputs.
    source_rate: u32,
    resampler: Resampler,
    /// How much later a sound is in the packets than it was in the mix.
    delay: Duration,
    frame_time: Duration,
    /// Samples in a block.
    block: usize,
    next: MediaTime,
    grid: Grid,
    pub stats: SinkStats,
}

/// Where a mix reads a source.
struct Input {
    source: SourceId,
    /// Number of the next sample; `None` while the source is not heard.
    at: Option<u64>,
    /// Least it had over since `since`.
    spare: usize,
    since: MediaTime,
}

/// How captured goes on from block to block.
#[derive(Debug, Default)]
struct Grid {
    next: Option<MediaTime>,
    loudest: Option<SourceId>,
    off_since: Option<MediaTime>,
    was_silent: bool,
    /// Until when it waits for its first word.
    begins: MediaTime,
}

impl Mix {
    /// # Errors
    /// [`EncodeError`] if there is no such encoder.
    pub fn new(now: MediaTime, settings: Settings) -> Result<Self, EncodeError> {
        let Settings { sink, codec, frame_time, bps, expected_loss, inputs, own, opening } = settings;
        let frame_time = match frame_time.as_millis() {
            ms @ (10 | 20 | 40 | 60) => Duration::from_millis(ms as u64),
            _ => Duration::from_millis(20),
        };
        let mut encoder = make(codec, bps)?;
        encoder.set_expected_loss(expected_loss);
        let resampler = Resampler::new(RATE, encoder.rate()).ok_or(EncodeError::Failed(0))?;
        let delay = encoder.delay() + resampler.delay();
        let delay = Duration::from_secs(1) * delay as u32 / encoder.rate();
        let begins = match opening {
            Opening::Silence => now,
            Opening::FirstWord => now + FIRST_WORD,
        };
        let zero = Stage::default();
        let mut mix = Self {
            sink,
            codec,
            own,
            inputs: Vec::new(),
            encoder,
            source_rate: RATE,
            resampler,
            delay,
            frame_time,
            block: RATE as usize / 1000 * frame_time.as_millis() as usize,
            next: now + frame_time,
            grid: Grid { begins, ..Grid::default() },
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
        };
        mix.set_inputs(&inputs);
        Ok(mix)
    }

    /// Inputs that stay go on without a seam.
    pub fn set_inputs(&mut self, inputs: &[SourceId]) {
        let mut before = std::mem::take(&mut self.inputs);
        for &source in inputs.iter().filter(|&&source| Some(source) != self.own).take(MAX_INPUTS) {
            if self.inputs.iter().any(|input| input.source == source) {
                continue;
            }
            let same = before.iter().position(|input| input.source == source);
            self.inputs.push(match same {
                Some(i) => before.swap_remove(i),
                None => Input { source, at: None, spare: usize::MAX, since: MediaTime(0) },
            });
        }
    }

    /// What it hears.
    pub fn sources(&self) -> impl Iterator<Item = SourceId> {
        self.inputs.iter().map(|input| input.source)
    }

    /// Samples per second of what is heard of it.
    pub fn rate(&self) -> u32 {
        self.encoder.rate()
    }

    pub fn set_bitrate(&mut self, bps: u32) {
        self.encoder.set_bitrate(bps);
    }

    pub fn set_expected_loss(&mut self, percent: u8) {
        self.encoder.set_expected_loss(percent);
    }

    /// When it wants to be turned again.
    pub fn wake(&self, sources: &BTreeMap<SourceId, SoundSource>, now: MediaTime) -> MediaTime {
        match self.state(sources, now) {
            State::Silent => self.next,
            State::Ready => self.early(),
            State::Waiting => self.next + SLACK,
        }
    }

    fn early(&self) -> MediaTime {
        MediaTime(self.next.0.saturating_sub(nanos(self.frame_time)))
    }

    /// Makes every block that is due.
    pub fn turn(
        &mut self,
        at: &Moment,
        sources: &mut BTreeMap<SourceId, SoundSource>,
        report: &mut dyn FnMut(Report),
    ) {
        if at.now.saturating_since(self.next) > STALLED {
            self.next = at.now;
        }
        self.listen(sources, at.now);
        loop {
            let state = self.state(sources, at.now);
            let due = match state {
                State::Silent => self.next,
                State::Ready => self.early(),
                State::Waiting => self.next + SLACK,
            };
            if at.now < due {
                return;
            }
            self.make_block(at, sources, report);
            self.follow(at.now, state, sources);
        }
    }

    /// Begins to read sources that have come alive, and leaves those that have gone.
    fn listen(&mut self, sources: &BTreeMap<SourceId, SoundSource>, now: MediaTime) {
        for input in &mut self.inputs {
            let live = sources.get(&input.source).filter(|source| is_live(source, now));
            input.at = match (live, input.at) {
                (None, _) => None,
                (Some(source), None) => {
                    (input.spare, input.since) = (usize::MAX, now);
                    Some(source.end.saturating_sub(source.packet as u64))
                }
                (Some(source), Some(at)) => Some(at.max(source.oldest()).min(source.end)),
            };
        }
    }

    fn state(&self, sources: &BTreeMap<SourceId, SoundSource>, now: MediaTime) -> State {
        let mut state = State::Silent;
        for input in &self.inputs {
            let Some(source) = sources.get(&input.source).filter(|source| is_live(source, now)) else {
                continue;
            };
            let Some(at) = input.at else { continue };
            if source.end < at + self.block as u64 {
                return State::Waiting;
            }
            state = State::Ready;
        }
        state
    }

    /// Steps the clock on. A block made when the last input came moves the clock a little towards that moment, so that it
    /// keeps pace with the senders' clocks.
    fn follow(&mut self, now: MediaTime, state: State, sources: &BTreeMap<SourceId, SoundSource>) {
        let over = |input: &Input| {
            let source = sources.get(&input.source)?;
            Some(source.end.saturating_sub(input.at?) as usize)
        };
        let driven = state == State::Ready
            && self.inputs.iter().filter_map(over).min().is_some_and(|n| n < self.block);
        let late = now.saturating_since(self.next) / 16;
        let early = self.next.saturating_since(now) / 16;
        self.next = self.next + self.frame_time;
        if driven {
            self.next = MediaTime((self.next + late).0.saturating_sub(nanos(early)));
        }
    }

    fn make_block(
        &mut self,
        at: &Moment,
        sources: &mut BTreeMap<SourceId, SoundSource>,
        report: &mut dyn FnMut(Report),
    ) {
        let mut stage = self.stats.compose;
        let (mixed, heard) = at.measure(&mut stage, || self.sum(sources, at.now));
        self.stats.compose = stage;
        let silent = sound::energy(&mixed) < SILENT;
        let Some(captured) = self.grid.step(at.now, self.frame_time, heard.captured, silent) else { return };
        self.tell_source_rate(sources);
        let mut packet = Vec::with_capacity(256);
        let mut stage = self.stats.encode;
        let encoded = at.measure(&mut stage, || {
            let mut block = Vec::with_capacity(self.block);
            self.resampler.process(&mixed, &mut block);
            self.encoder.encode(&block, &mut packet)
        });
        self.stats.encode = stage;
        if let Err(error) = encoded {
            report(Report::Failed { sink: Some(self.sink), source: None, why: error.to_string() });
            return;
        }
        self.stats.frames += 1;
        self.stats.bytes += packet.len() as u64;
        if let Some(arrived) = heard.arrived {
            self.stats.latency.note(at.since(arrived));
        }
        let frame = EncodedFrame {
            codec: self.codec,
            captured: earlier(captured, self.delay),
            arrived: heard.arrived.unwrap_or(at.now),
            key: true,
            contiguous: true,
            data: Bytes::from(packet),
        };
        report(Report::Frame { sink: self.sink, frame });
    }

    /// Nothing is coded wider than anybody is heard. Where packets get lost a block of Opus takes 207 us at its full width, 184 for a room
    /// with G.722, which has nothing above 8 kHz, and 108 for a telephone (59, 51 and 46 where none do); and what bits there are go to
    /// what can be heard.
    fn tell_source_rate(&mut self, sources: &BTreeMap<SourceId, SoundSource>) {
        let rates = self.inputs.iter().filter_map(|input| sources.get(&input.source)?.rate());
        let rate = rates.max().unwrap_or(RATE);
        if rate != self.source_rate {
            self.source_rate = rate;
            self.encoder.set_source_rate(rate);
        }
    }

    /// The sum of the next block of all inputs, and who is loudest in it.
    fn sum(&mut self, sources: &mut BTreeMap<SourceId, SoundSource>, now: MediaTime) -> (Vec<f32>, Heard) {
        let mut mixed = vec![0.0; self.block];
        let mut heard = Heard::default();
        let mut loudest = 0.0;
        for input in &mut self.inputs {
            let (Some(source), Some(from)) = (sources.get_mut(&input.source), input.at) else { continue };
            source.cover(from, self.block);
            let block = input.read(source, from, self.block, now);
            sound::add(&mut mixed, &block);
            heard.arrived = heard.arrived.max(Some(source.arrived));
            let held = if self.grid.loudest == Some(input.source) { LOUDER } else { 1.0 };
            let energy = sound::energy(&block) * held;
            if energy > loudest || heard.captured.is_none() {
                loudest = energy.max(loudest);
                heard.captured = Some(source.captured(from));
                heard.loudest = Some(input.source);
            }
        }
        if loudest >= SILENT {
            self.grid.loudest = heard.loudest;
        } else if let Some(source) = self.grid.loudest.and_then(|id| sources.get(&id)) {
            // nobody speaks: whoever spoke last keeps the time
            let input = self.inputs.iter().find(|input| Some(input.source) == self.grid.loudest);
            if let Some(after) = input.and_then(|input| input.at) {
                heard.captured = Some(source.captured(after.saturating_sub(self.block as u64)));
            }
        }
        sound::soft_clip(&mut mixed);
        (mixed, heard)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No input is live.
    Silent,
    /// Every live input has the next block.
    Ready,
    /// Some live input lacks it.
    Waiting,
}

/// What was heard in a block.
#[derive(Debug, Default)]
struct Heard {
    loudest: Option<SourceId>,
    captured: Option<MediaTime>,
    arrived: Option<MediaTime>,
}

fn is_live(source: &SoundSource, now: MediaTime) -> bool {
    source.end > 0 && source.heard.is_some_and(|heard| now.saturating_since(heard) < LIVE)
}

impl Input {
    /// Reads a block and moves on, cutting out sound that has been over for too long.
    fn read<'a>(
        &mut self,
        source: &'a SoundSource,
        from: u64,
        block: usize,
        now: MediaTime,
    ) -> Cow<'a, [f32]> {
        let over = (source.end.saturating_sub(from) as usize).saturating_sub(block);
        self.spare = self.spare.min(over);
        let backlog = MAX_BACKLOG + source.packet;
        let cut = if over > backlog {
            over - source.packet.min(over)
        } else if now.saturating_since(self.since) >= SPARE_TIME {
            let spare = std::mem::replace(&mut self.spare, usize::MAX);
            self.since = now;
            if spare >= SPARE && spare != usize::MAX { spare } else { 0 }
        } else {
            0
        };
        let mut samples = Cow::Borrowed(source.samples(from, block));
        if cut > 0 {
            let after = source.samples(from + cut as u64, block);
            for (i, (old, new)) in samples.to_mut().iter_mut().zip(after).enumerate() {
                let share = (i as f32 / FADE as f32).min(1.0);
                *old = *old * (1.0 - share) + new * share;
            }
            (self.spare, self.since) = (usize::MAX, now);
        }
        if samples.len() < block {
            samples.to_mut().resize(block, 0.0);
        }
        self.at = Some(from + (cut + block) as u64);
        samples
    }
}

impl Grid {
    /// The time of the next block, or `None` if it is to be left out. `truth` is when it was captured, if anybody is live.
    fn step(
        &mut self,
        now: MediaTime,
        frame: Duration,
        truth: Option<MediaTime>,
        silent: bool,
    ) -> Option<MediaTime> {
        if self.next.is_none() && truth.is_none() && now < self.begins {
            return None;
        }
        let unheard = MediaTime(now.0.saturating_sub(nanos(UNHEARD)));
        let planned = *self.next.get_or_insert(truth.unwrap_or(unheard));
        let truth = truth.unwrap_or(planned);
        let (behind, ahead) = (truth.saturating_since(planned), planned.saturating_since(truth));
        // a word's first block may move as well as the pause before it
        let pause = silent || std::mem::replace(&mut self.was_silent, silent);
        self.was_silent = silent;
        let mut captured = planned;
        if behind.max(ahead) < OFF {
            self.off_since = None;
        } else {
            let since = *self.off_since.get_or_insert(now);
            let long = now.saturating_since(since) >= PATIENCE;
            if behind >= OFF && (pause || long) {
                captured = truth;
                self.off_since = None;
            } else if (OFF..MAX_HOLD).contains(&ahead) && silent {
                return None;
            }
        }
        self.next = Some(captured + frame);
        Some(captured)
    }
}

fn make(codec: Codec, bps: u32) -> Result<Box<dyn AudioEncoder>, EncodeError> {
    Ok(match codec {
        Codec::Opus => Box::new(opus::Encoder::new(bps)?),
        Codec::G722 => Box::new(g722::Encoder::default()),
        Codec::Pcma => Box::new(g711::Encoder::new(g711::Law::A)),
        Codec::Pcmu => Box::new(g711::Encoder::new(g711::Law::Mu)),
        Codec::H264 | Codec::Vp8 => return Err(EncodeError::Failed(0)),
    })
}
