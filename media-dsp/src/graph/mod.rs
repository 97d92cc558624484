//! The pure core: sources and sinks, turned by commands and the passing of time.
//!
//! It is a [`Machine`] without effects of its own: what it makes and what it tells are [`Report`]s. Everything due at a
//! step's time is done in that step, and it says when to come back. Sound is decoded in its own step, and mixed at the wake-up that
//! is then asked for at once, together with what came beside it.
//!
//! ```text
//!  Command::Frame ─▶ source decodes ─▶ ladders and canvases that show it, mixes that hear it ─▶ Report::Frame
//!  Command::Apply ─▶ sources and sinks come and go
//!  Input::Timeout ─▶ whatever is due: silent blocks, idle pictures, pictures held back by the frame rate
//! ```

mod canvas;
mod encoder;
mod geometry;
mod ladder;
mod mix;
mod pace;
mod picture;
mod sound;
mod voice;

use crate::Still;
use crate::message::{
    Command, Layer, MAX_INPUTS, MAX_LAYERS, MAX_SINKS, MAX_SOURCES, MAX_TILES, Report, STATS_TIME, SinkId,
    SourceId, SourceKind, Stats, Step,
};
use base::{EncodedFrame, Machine, MediaKind, MediaTime, Output};
use canvas::Canvas;
use encoder::Stamp;
use ladder::Ladder;
use mix::Mix;
use pace::Moment;
use picture::PictureSource;
pub(crate) use sound::RATE;
use sound::{SoundSource, UNHEARD, earlier};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::{Duration, Instant};

/// How long sound may wait for that of other streams: it comes on the beat, all at once, and one turn then mixes all of it. A graph
/// asks to be woken at once, which is when nothing else is at hand.
const GATHER: Duration = Duration::from_millis(2);

/// What a graph takes.
#[derive(Debug)]
pub enum Input {
    /// A command from the engine.
    Command(Command),
    /// The wake-up it asked for, or any later one.
    Timeout,
}

/// Sources, sinks and what joins them. See the [module](self).
pub struct Graph {
    epoch: Instant,
    stopwatch: fn() -> Instant,
    pictures: BTreeMap<SourceId, PictureSource>,
    sounds: BTreeMap<SourceId, SoundSource>,
    canvases: BTreeMap<SinkId, Canvas>,
    ladders: Vec<Ladder>,
    mixes: BTreeMap<SinkId, Mix>,
    stray: u64,
    next_stats: MediaTime,
    /// Since when sound is decoded and waits to be mixed.
    waiting: Option<MediaTime>,
}

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sources = self.pictures.len() + self.sounds.len();
        write!(f, "graph of {sources} sources and {} sinks", self.sink_count())
    }
}

impl Machine for Graph {
    type Input<'a> = Input;
    type Effect = Infallible;
    type Event = Report;

    fn step(
        &mut self,
        now: Instant,
        input: Input,
        mut sink: impl FnMut(Output<Infallible, Report>),
    ) -> Option<Instant> {
        let at = Moment::new(MediaTime::at(self.epoch, now), self.stopwatch);
        let report = &mut |report| sink(Output::Event(report));
        match input {
            Input::Command(command) => {
                let sound = matches!(&command, Command::Frame { frame, .. } if is_sound(frame));
                self.command(&at, command, report);
                let since = *self.waiting.get_or_insert(at.now);
                if sound && at.now.saturating_since(since) < GATHER {
                    return Some(now);
                }
            }
            Input::Timeout => {}
        }
        self.waiting = None;
        self.turn(&at, report);
        self.wake(at.now).map(|wake| wake.to_instant(self.epoch))
    }
}

impl Graph {
    /// An empty graph on the media clock that began at `epoch`. `stopwatch` only measures the time work takes, for
    /// [`Stats`]; no decision goes by it.
    #[must_use]
    pub fn new(epoch: Instant, stopwatch: fn() -> Instant) -> Self {
        Self {
            epoch,
            stopwatch,
            pictures: BTreeMap::new(),
            sounds: BTreeMap::new(),
            canvases: BTreeMap::new(),
            ladders: Vec::new(),
            mixes: BTreeMap::new(),
            stray: 0,
            next_stats: MediaTime(0),
            waiting: None,
        }
    }

    /// The figures so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let pictures = self.pictures.values().map(|source| source.stats);
        let canvases = self.canvases.values().map(|canvas| canvas.encoder.stats);
        let rungs = self.ladders.iter().flat_map(Ladder::encoders).map(|encoder| encoder.stats);
        Stats {
            sources: pictures.chain(self.sounds.values().map(|source| source.stats)).collect(),
            sinks: canvases.chain(rungs).chain(self.mixes.values().map(|mix| mix.stats)).collect(),
            stray: self.stray,
            dropped: 0,
        }
    }

    fn command(&mut self, at: &Moment, command: Command, report: &mut dyn FnMut(Report)) {
        match command {
            Command::Apply(steps) => {
                steps.into_iter().for_each(|step| self.apply(at, step, report));
                self.tell_who_hears();
            }
            Command::Frame { source, frame } => self.frame(at, source, &frame, report),
            Command::ForceKey { sink } => self.force_key(at.now, sink),
            Command::Bitrate { sink, bps } => self.set_bitrate(at.now, sink, bps),
        }
    }

    fn frame(&mut self, at: &Moment, source: SourceId, frame: &EncodedFrame, report: &mut dyn FnMut(Report)) {
        if !is_sound(frame) {
            return self.picture(at, source, frame, report);
        }
        match self.sounds.get_mut(&source) {
            Some(sound) => sound.take(at, frame, report),
            None => self.stray += 1,
        }
    }

    fn picture(&mut self, at: &Moment, id: SourceId, frame: &EncodedFrame, report: &mut dyn FnMut(Report)) {
        let Some(source) = self.pictures.get_mut(&id) else {
            self.stray += 1;
            return;
        };
        if !source.take(at, frame, report) {
            return;
        }
        for ladder in self.ladders.iter_mut().filter(|ladder| ladder.source == id) {
            ladder.moved(at, source, report);
        }
        let stamp = Stamp { captured: source.captured, arrived: source.arrived };
        for canvas in self.canvases.values_mut() {
            canvas.moved(at, id, stamp);
        }
    }

    /// Tells each sound how wide it is heard, so that it need be decoded no wider.
    fn tell_who_hears(&mut self) {
        self.sounds.values_mut().for_each(SoundSource::unhear);
        for mix in self.mixes.values() {
            for source in mix.sources() {
                if let Some(sound) = self.sounds.get_mut(&source) {
                    sound.hear_at(mix.rate());
                }
            }
        }
    }

    fn force_key(&mut self, now: MediaTime, sink: SinkId) {
        match self.canvases.get_mut(&sink) {
            Some(canvas) => canvas.force_key(now),
            None => self.ladders.iter_mut().for_each(|ladder| ladder.force_key(now, sink)),
        }
    }

    fn set_bitrate(&mut self, now: MediaTime, sink: SinkId, bps: u32) {
        if let Some(canvas) = self.canvases.get_mut(&sink) {
            canvas.set_bitrate(now, bps);
        } else if let Some(mix) = self.mixes.get_mut(&sink) {
            mix.set_bitrate(bps);
        } else {
            self.ladders.iter_mut().for_each(|ladder| ladder.set_bitrate(now, sink, bps));
        }
    }

    /// Does everything that is due.
    fn turn(&mut self, at: &Moment, report: &mut dyn FnMut(Report)) {
        for sound in self.sounds.values_mut() {
            sound.turn(at, report);
        }
        for canvas in self.canvases.values_mut() {
            canvas.turn(at, &self.pictures, report);
        }
        for ladder in &mut self.ladders {
            if let Some(source) = self.pictures.get(&ladder.source) {
                ladder.turn(at, source, report);
            }
        }
        for mix in self.mixes.values_mut() {
            mix.turn(at, &mut self.sounds, report);
        }
        if at.now >= self.next_stats && !self.is_empty() {
            self.next_stats = at.now + STATS_TIME;
            report(Report::Stats(self.stats()));
        }
    }

    fn wake(&self, now: MediaTime) -> Option<MediaTime> {
        let canvases = self.canvases.values().filter_map(Canvas::wake);
        let ladders =
            self.ladders.iter().filter(|l| self.pictures.contains_key(&l.source)).filter_map(Ladder::wake);
        let mixes = self.mixes.values().map(|mix| mix.wake(&self.sounds, now));
        let sounds = self.sounds.values().filter_map(SoundSource::wake);
        let stats = (!self.is_empty()).then_some(self.next_stats);
        canvases.chain(ladders).chain(mixes).chain(sounds).chain(stats).min()
    }

    fn is_empty(&self) -> bool {
        self.pictures.is_empty() && self.sounds.is_empty() && self.sink_count() == 0
    }

    fn sink_count(&self) -> usize {
        let rungs: usize = self.ladders.iter().map(|ladder| ladder.encoders().count()).sum();
        self.canvases.len() + rungs + self.mixes.len()
    }

    fn has_sink(&self, sink: SinkId) -> bool {
        self.canvases.contains_key(&sink)
            || self.mixes.contains_key(&sink)
            || self.ladders.iter().flat_map(Ladder::encoders).any(|encoder| encoder.sink() == sink)
    }
}

/// Why a step can't be taken.
type Refused = String;

/// The steps.
impl Graph {
    fn apply(&mut self, at: &Moment, step: Step, report: &mut dyn FnMut(Report)) {
        let (sink, source) = names(&step);
        if let Err(why) = self.try_apply(at, step) {
            report(Report::Failed { sink, source, why });
        }
    }

    fn try_apply(&mut self, at: &Moment, step: Step) -> Result<(), Refused> {
        let now = at.now;
        match step {
            Step::AddSource { source, kind } => self.add_source(source, kind)?,
            Step::Show { source, still } => self.show(at, source, still)?,
            Step::Play { source, clip } => {
                self.sounds.get_mut(&source).ok_or("there is no such sound source")?.play(now, clip);
            }
            Step::Listen { source, keys } => {
                self.sounds.get_mut(&source).ok_or("there is no such sound source")?.listen(keys);
            }
            Step::RemoveSource(source) => {
                self.pictures.remove(&source);
                self.sounds.remove(&source);
            }
            Step::AddPicture(sink) => {
                self.free_sinks(&[sink.sink])?;
                few(sink.tiles.len(), MAX_TILES, "tiles")?;
                let canvas = Canvas::new(now, sink.clone()).map_err(|error| error.to_string())?;
                self.canvases.insert(sink.sink, canvas);
            }
            Step::SetLayout { sink, canvas: size, tiles } => {
                few(tiles.len(), MAX_TILES, "tiles")?;
                let canvas = self.canvases.get_mut(&sink).ok_or("there is no such picture sink")?;
                canvas.set_layout(now, size, tiles).map_err(|error| error.to_string())?;
            }
            Step::AddLadder { source, codec, max_fps, layers } => {
                few(layers.len(), MAX_LAYERS, "layers")?;
                let sinks: Vec<SinkId> = layers.iter().map(|Layer { sink, .. }| *sink).collect();
                self.free_sinks(&sinks)?;
                self.ladders.push(Ladder::new(source, codec, max_fps, layers));
            }
            Step::AddMix(mix) => {
                self.free_sinks(&[mix.sink])?;
                few(mix.inputs.len(), MAX_INPUTS, "inputs")?;
                let sink = mix.sink;
                self.mixes.insert(sink, Mix::new(now, mix).map_err(|error| error.to_string())?);
            }
            Step::SetMix { sink, inputs } => {
                few(inputs.len(), MAX_INPUTS, "inputs")?;
                self.mixes.get_mut(&sink).ok_or("there is no such mix")?.set_inputs(&inputs);
            }
            Step::ExpectLoss { sink, percent } => {
                self.mixes.get_mut(&sink).ok_or("there is no such mix")?.set_expected_loss(percent);
            }
            Step::RemoveSink(sink) => self.remove_sink(sink),
        }
        Ok(())
    }

    fn show(&mut self, at: &Moment, id: SourceId, still: Still) -> Result<(), Refused> {
        let source = self.pictures.get_mut(&id).ok_or("there is no such picture source")?;
        // As late as a conference's pictures are, so that time need not stand still until those have caught up.
        source.show_still(still, earlier(at.now, UNHEARD), at.now);
        let stamp = Stamp { captured: source.captured, arrived: source.arrived };
        self.canvases.values_mut().for_each(|canvas| canvas.moved(at, id, stamp));
        Ok(())
    }

    fn add_source(&mut self, source: SourceId, kind: SourceKind) -> Result<(), Refused> {
        if self.pictures.contains_key(&source) || self.sounds.contains_key(&source) {
            return Err("the source is there already; remove it first".to_owned());
        }
        few(self.pictures.len() + self.sounds.len() + 1, MAX_SOURCES, "sources")?;
        match kind {
            SourceKind::Sound => drop(self.sounds.insert(source, SoundSource::new(source))),
            SourceKind::Picture => drop(self.pictures.insert(source, PictureSource::new(source))),
        }
        Ok(())
    }

    fn free_sinks(&self, sinks: &[SinkId]) -> Result<(), Refused> {
        few(self.sink_count() + sinks.len(), MAX_SINKS, "sinks")?;
        let twice = sinks.iter().enumerate().any(|(i, sink)| sinks[..i].contains(sink));
        match twice || sinks.iter().any(|&sink| self.has_sink(sink)) {
            true => Err("the sink is there already; remove it first".to_owned()),
            false => Ok(()),
        }
    }

    fn remove_sink(&mut self, sink: SinkId) {
        self.canvases.remove(&sink);
        self.mixes.remove(&sink);
        self.ladders.iter_mut().for_each(|ladder| ladder.remove(sink));
        self.ladders.retain(|ladder| !ladder.is_empty());
    }
}

fn is_sound(frame: &EncodedFrame) -> bool {
    frame.codec.kind() == MediaKind::Audio
}

fn few(count: usize, most: usize, what: &str) -> Result<(), Refused> {
    if count > most { Err(format!("{count} {what} are too many; at most {most} are taken")) } else { Ok(()) }
}

/// What a step is about, for its failure.
fn names(step: &Step) -> (Option<SinkId>, Option<SourceId>) {
    match step {
        Step::AddSource { source, .. }
        | Step::Show { source, .. }
        | Step::Play { source, .. }
        | Step::Listen { source, .. }
        | Step::RemoveSource(source) => (None, Some(*source)),
        Step::AddPicture(sink) => (Some(sink.sink), None),
        Step::SetLayout { sink, .. }
        | Step::SetMix { sink, .. }
        | Step::ExpectLoss { sink, .. }
        | Step::RemoveSink(sink) => (Some(*sink), None),
        Step::AddLadder { source, layers, .. } => (layers.first().map(|layer| layer.sink), Some(*source)),
        Step::AddMix(mix) => (Some(mix.sink), None),
    }
}
