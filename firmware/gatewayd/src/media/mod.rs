//! From the plans of calls to the steps of workers, and from the workers' frames back to legs.
//!
//! ```text
//!  domain::call ─MediaPlan─▶ plane ─difference─▶ Step ─▶ worker (a process on the box, a thread in tests)
//!  leg ─EncodedFrame─▶ plane ─▶ source, once per meeting ─▶ worker ─Report─▶ plane ─▶ leg
//! ```
//! What a caller is shown and told before it is in a meeting ([`prompts`], [`shown`]) comes from sources of the box's own.
//!
//! Each worker is a *lane*. Sound has a lane of its own, because a picture takes milliseconds to encode and sound cannot
//! wait; what a room sends is worked on in one lane of pictures, what a meeting sends in another, by meeting, so that two
//! calls in one meeting find each other's decoded pictures.

pub mod confined;
mod lane;
mod process;
pub mod prompts;
mod shown;
mod sources;
mod steps;

pub use lane::{Isolation, Urgency, Workers};
pub use sources::MeetingKey;

use crate::net::poller::{Ready, Token};
use base::ids::{CallId, StreamId};
use base::leg::{Direction, RecvStream};
use base::{EncodedFrame, Pulse};
use domain::media::{MediaPlan, Side};
use domain::status::Picture;
use lane::Lane;
use media_dsp::{Command, Report, SinkId, SourceId, Step};
use prompts::Prompts;
use shown::Shown;
use sources::Sources;
use std::collections::{HashMap, HashSet};
use std::io;
use std::time::{Duration, Instant};

/// A stream of a leg of a call: who feeds a source, who gets a sink's frames.
pub type Place = (CallId, Side, StreamId);

/// Which worker, as an index; the first is sound's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaneId(usize);

const SOUND: LaneId = LaneId(0);
/// How much is read from one worker at once, in bytes of frames, and how much a report counts besides: one that somebody took over may tell
/// without end.
const AT_ONCE: usize = 4 * 1024 * 1024;
const REPORT: usize = 4 * 1024;
/// The first worker's token; media sockets' are far above, the endpoint's far below.
const TOKENS: u64 = 1 << 15;

/// What the plane tells the engine.
#[derive(Debug, Clone, PartialEq)]
pub enum PlaneEvent {
    /// A frame to be sent on this stream.
    Frame(Place, EncodedFrame),
    /// A stream's decoder can't go on without a picture that stands alone.
    KeyframeNeeded(Place),
    /// A key was heard in a stream's sound.
    Key(Place, char),
    /// A call's prompt of this number has been said to its end.
    Said(CallId, u32),
    /// A worker died of this; another is started with everything it had.
    WorkerDied(String),
    /// Something could not be set up; the rest goes on.
    Failed(Option<CallId>, String),
}

/// The media plane of one shard.
pub struct Plane {
    lanes: Vec<Lane>,
    prompts: Prompts,
    sources: Sources,
    sinks: HashMap<SinkId, Sink>,
    by_place: HashMap<Place, SinkId>,
    calls: HashMap<CallId, PlannedCall>,
    next_sink: u64,
}

struct Sink {
    lane: LaneId,
    place: Place,
}

struct PlannedCall {
    meeting: MeetingKey,
    plan: MediaPlan,
    prompt: Option<Shown>,
    up: LaneId,
    down: LaneId,
}

/// Figures of the plane, for status and tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PlaneFigures {
    /// Streams being decoded.
    pub sources: usize,
    /// Streams being encoded.
    pub sinks: usize,
    /// From the arrival of a picture to what was made of it, mean over all picture sinks.
    pub latency: Option<Duration>,
}

impl Plane {
    /// A plane on the media clock that began at `epoch`, with one worker for sound and `pictures` for pictures, which shows and says
    /// `prompts`.
    ///
    /// # Errors
    /// If a worker cannot be started.
    pub fn new(pictures: usize, epoch: Instant, prompts: Prompts, workers: &Workers) -> io::Result<Self> {
        let name = |i: usize| if i == 0 { "sound".to_owned() } else { format!("pictures-{i}") };
        let lanes = (0..=pictures.max(1))
            .map(|i| Lane::new(&name(i), epoch, workers, Token(TOKENS + i as u64)))
            .collect::<io::Result<Vec<_>>>()?;
        Ok(Self {
            lanes,
            prompts,
            sources: Sources::default(),
            sinks: HashMap::new(),
            by_place: HashMap::new(),
            calls: HashMap::new(),
            next_sink: 0,
        })
    }

    /// Shows and says these from now on; a call that is shown others already keeps them.
    pub fn set_prompts(&mut self, prompts: Prompts) {
        self.prompts = prompts;
    }

    /// Carries out `plan` from now on. `received` says what comes on the legs' streams; `meeting` is the key by which calls
    /// share what they receive.
    pub fn apply(
        &mut self,
        call: CallId,
        meeting: &MeetingKey,
        plan: MediaPlan,
        received: &HashMap<(Side, StreamId), RecvStream>,
    ) {
        let (up, down) = self.lanes_of(call, meeting);
        let mut batch = Batch::default();
        let (mut old, before) = match self.calls.remove(&call) {
            Some(planned) => (planned.plan, planned.prompt.map(|prompt| (prompt, planned.down))),
            None => Default::default(),
        };
        // Where the meeting turns out to be worked on elsewhere, the room's picture begins anew there.
        if before.as_ref().is_some_and(|(_, was)| *was != down)
            && let Some(picture) = old.down.picture.take()
        {
            self.remove_sink((call, Side::Caller, picture.sink), &mut batch);
        }
        let wanted = steps::inputs(&plan);
        for input in &wanted {
            let lane = match (input.picture, input.side) {
                (false, _) => SOUND,
                (true, Side::Caller) => up,
                (true, Side::Conference) => down,
            };
            let stream = received.get(&(input.side, input.stream));
            if let Some((source, kind)) = self.sources.take(call, input, lane, meeting, stream) {
                batch.add(lane, Step::AddSource { source, kind });
            }
        }
        let before = before.map(|(prompt, _)| prompt);
        let (gone, before) = if plan.prompt.is_none() { (before, None) } else { (None, before) };
        let fresh = || self.sources.number();
        let prompt = Shown::change(before, plan.prompt.as_ref(), down, &self.prompts, fresh, &mut batch);
        let planned = PlannedCall { meeting: meeting.clone(), plan: plan.clone(), prompt, up, down };
        self.calls.insert(call, planned);
        self.change_sinks(call, &old, &plan, (up, down), &mut batch);
        // What was shown goes when the conference has taken its place.
        gone.iter().for_each(|gone| gone.remove(&mut batch));
        let wanted: HashSet<_> = wanted.iter().map(|input| (call, input.side, input.stream)).collect();
        for (lane, source) in self.sources.release_all_but(call, &wanted) {
            batch.add(lane, Step::RemoveSource(source));
        }
        self.send(batch);
    }

    /// Forgets a call and gives back everything it had, even if a plan of it was only half carried out.
    pub fn remove(&mut self, call: CallId) {
        let planned = self.calls.remove(&call);
        let mut batch = Batch::default();
        planned.iter().flat_map(|planned| &planned.prompt).for_each(|prompt| prompt.remove(&mut batch));
        let places: Vec<Place> = self.by_place.keys().filter(|place| place.0 == call).copied().collect();
        places.into_iter().for_each(|place| self.remove_sink(place, &mut batch));
        for (lane, source) in self.sources.release_all_but(call, &HashSet::new()) {
            batch.add(lane, Step::RemoveSource(source));
        }
        self.send(batch);
    }

    /// A frame came on a leg's stream. Frames of streams that no plan names are dropped. Its worker is [`call`](Self::call)ed for it, as soon
    /// as is said.
    pub fn frame(&mut self, now: Instant, place: Place, mut frame: EncodedFrame) -> Option<Urgency> {
        let (lane, source, urgency) = self.sources.feed(now, place, &mut frame)?;
        self.lanes[lane.0].put(now, Command::Frame { source, frame }, urgency);
        Some(urgency)
    }

    /// Has the workers look at what came, once for all of it: sound comes on the beat, that of all streams at once, and small pictures wait
    /// for the main one beside which they are shown.
    pub fn call(&mut self, now: Instant) {
        for lane in &mut self.lanes {
            lane.call_if_due(now);
            lane.look(now);
        }
        self.replace(now);
    }

    /// Whether this is a worker's token. Its pipe is then written to as far as it has room; what it told is for [`poll`](Self::poll).
    pub fn ready(&mut self, ready: Ready) -> bool {
        let lane = self.lanes.iter_mut().find(|lane| lane.token() == ready.token);
        lane.map(|lane| lane.ready(ready)).is_some()
    }

    /// When it wants to be [`call`](Self::call)ed next.
    #[must_use]
    pub fn wake(&self) -> Option<Instant> {
        self.lanes.iter().flat_map(|lane| [lane.due(), lane.next()]).flatten().min()
    }

    /// The far side of this stream needs a picture that stands alone.
    pub fn force_key(&mut self, place: Place) {
        if let Some(sink) = self.by_place.get(&place).copied()
            && let Some(Sink { lane, .. }) = self.sinks.get(&sink)
        {
            self.lanes[lane.0].send(Command::ForceKey { sink });
        }
    }

    /// Takes what the workers have to tell; true if there may be more.
    pub fn poll(&mut self, now: Instant, mut tell: impl FnMut(PlaneEvent)) -> bool {
        let mut more = false;
        self.sources.asking().for_each(|place| tell(PlaneEvent::KeyframeNeeded(place)));
        for index in 0..self.lanes.len() {
            let mut read = 0;
            while read < AT_ONCE
                && let Some(report) = self.lanes[index].report()
            {
                read += REPORT + if let Report::Frame { frame, .. } = &report { frame.data.len() } else { 0 };
                self.take(now, LaneId(index), report, &mut tell);
            }
            more |= read >= AT_ONCE;
        }
        self.replace(now);
        more
    }

    /// The workers, and their signs of life.
    pub fn vital(&self) -> impl Iterator<Item = (String, Pulse)> {
        self.lanes.iter().map(Lane::vital)
    }

    /// How much there is.
    #[must_use]
    pub fn figures(&self) -> PlaneFigures {
        PlaneFigures {
            sources: self.sources.len()
                + self.prompts_shown().map(|(_, prompt)| prompt.sources()).sum::<usize>(),
            sinks: self.sinks.len(),
            latency: lane::mean_latency(&self.lanes[1..]),
        }
    }

    /// What is known of the pictures on a stream. A leg may give what it sends and what it receives one name.
    #[must_use]
    pub fn picture(&self, place: Place, direction: Direction) -> Option<Picture> {
        match direction {
            Direction::Send => {
                let sink = self.by_place.get(&place)?;
                let mut all = self.lanes.iter().flat_map(|lane| &lane.stats.sinks);
                let stats = all.find(|stats| stats.sink == *sink)?;
                Some(Picture { size: stats.size, count: stats.frames })
            }
            Direction::Receive => {
                let source = self.sources.of(place)?;
                let mut all = self.lanes.iter().flat_map(|lane| &lane.stats.sources);
                let stats = all.find(|stats| stats.source == source)?;
                Some(Picture { size: stats.size, count: stats.frames })
            }
        }
    }

    /// A worker speaks for what it was given, and for nothing of another's.
    fn take(&mut self, now: Instant, lane: LaneId, report: Report, tell: &mut impl FnMut(PlaneEvent)) {
        let place_of =
            |sink: SinkId| self.sinks.get(&sink).filter(|sink| sink.lane == lane).map(|sink| sink.place);
        let leader = |source: SourceId| self.sources.leader_in(lane, source);
        match report {
            Report::Frame { sink, frame } => {
                if let Some(place) = place_of(sink) {
                    tell(PlaneEvent::Frame(place, frame));
                }
            }
            Report::KeyframeNeeded { source } => {
                if let Some(place) = leader(source) {
                    tell(PlaneEvent::KeyframeNeeded(place));
                }
            }
            Report::Key { source, key } => {
                if let Some(place) = leader(source) {
                    tell(PlaneEvent::Key(place, key));
                }
            }
            Report::Played { source } if lane == SOUND => {
                let said = |(call, prompt): (CallId, &Shown)| {
                    prompt.voice.filter(|(_, voice)| *voice == source).map(|(number, _)| (call, number))
                };
                if let Some((call, number)) = self.prompts_shown().find_map(said) {
                    tell(PlaneEvent::Said(call, number));
                }
            }
            Report::Played { .. } => {}
            Report::Level { .. } | Report::Picture { .. } | Report::Alive => {}
            Report::Stats(stats) => self.lanes[lane.0].stats = stats,
            Report::Failed { sink, source, why } => {
                let call = sink.and_then(place_of).or_else(|| leader(source?)).map(|place| place.0);
                tell(PlaneEvent::Failed(call, why));
            }
            Report::Died { why } => {
                self.lanes[lane.0].died(now);
                tell(PlaneEvent::WorkerDied(why));
            }
        }
    }

    /// Starts others in place of dead workers, when it is time.
    fn replace(&mut self, now: Instant) {
        for index in 0..self.lanes.len() {
            if self.lanes[index].replace(now) {
                self.tell_all(LaneId(index));
            }
        }
    }

    /// Tells a new worker everything it has to do.
    fn tell_all(&mut self, lane: LaneId) {
        let mut all = Batch::default();
        for (source, kind) in self.sources.in_lane(lane) {
            all.add(lane, Step::AddSource { source, kind });
        }
        self.prompts_shown().for_each(|(_, prompt)| prompt.again(lane, &mut all));
        for (call, planned) in &self.calls {
            let names = self.names(*call);
            for (at, step) in steps::all(&planned.plan, (planned.up, planned.down), &names) {
                if at == lane {
                    all.add(at, step);
                }
            }
        }
        self.send(all);
    }

    /// Gives each encoder that begins a number of its own, so that nothing late of one before it, perhaps in another codec,
    /// comes out in its place.
    fn change_sinks(
        &mut self,
        call: CallId,
        old: &MediaPlan,
        new: &MediaPlan,
        lanes: (LaneId, LaneId),
        batch: &mut Batch,
    ) {
        let kept = steps::kept(call, old, new);
        for (_, place) in steps::outputs(call, old, lanes).into_iter().filter(|(_, at)| !kept.contains(at)) {
            self.remove_sink(place, batch);
        }
        for (lane, place) in steps::outputs(call, new, lanes).into_iter().filter(|(_, at)| !kept.contains(at))
        {
            self.next_sink += 1;
            let sink = SinkId(self.next_sink);
            self.by_place.insert(place, sink);
            self.sinks.insert(sink, Sink { lane, place });
        }
        let changes = steps::difference(old, new, lanes, &self.names(call));
        changes.steps.into_iter().for_each(|(lane, step)| batch.add(lane, step));
        batch.bitrates.extend(changes.bitrates);
    }

    fn remove_sink(&mut self, place: Place, batch: &mut Batch) {
        if let Some(id) = self.by_place.remove(&place)
            && let Some(sink) = self.sinks.remove(&id)
        {
            batch.add(sink.lane, Step::RemoveSink(id));
        }
    }

    fn names(&self, call: CallId) -> steps::Names<'_> {
        let prompt = self.calls.get(&call).and_then(|planned| planned.prompt.as_ref());
        steps::Names { call, sources: &self.sources, sinks: &self.by_place, prompt }
    }

    fn prompts_shown(&self) -> impl Iterator<Item = (CallId, &Shown)> {
        self.calls.iter().filter_map(|(call, planned)| Some((*call, planned.prompt.as_ref()?)))
    }

    fn send(&mut self, batch: Batch) {
        for (lane, steps) in batch.steps {
            self.lanes[lane.0].send(Command::Apply(steps));
        }
        for (lane, sink, bps) in batch.bitrates {
            self.lanes[lane.0].send(Command::Bitrate { sink, bps });
        }
    }

    /// The lanes of a call's pictures. One that comes from a reception into a meeting goes to where that is worked on.
    fn lanes_of(&self, call: CallId, meeting: &MeetingKey) -> (LaneId, LaneId) {
        match self.calls.get(&call) {
            Some(planned) if planned.meeting == *meeting => (planned.up, planned.down),
            Some(planned) => {
                let known =
                    self.calls.iter().find(|(other, there)| **other != call && there.meeting == *meeting);
                (planned.up, known.map_or(planned.down, |(_, there)| there.down))
            }
            None => self.lanes_for(meeting),
        }
    }

    /// The two lanes of a new call's pictures: the lightest for what the room sends; for what the meeting sends the one where
    /// that meeting is worked on, or the lightest but one.
    fn lanes_for(&self, meeting: &MeetingKey) -> (LaneId, LaneId) {
        let pictures = || (1..self.lanes.len()).map(LaneId);
        let load =
            |lane: &LaneId| self.calls.values().filter(|call| call.up == *lane || call.down == *lane).count();
        let up = pictures().min_by_key(load).unwrap_or(SOUND);
        let known = self.calls.values().find(|call| call.meeting == *meeting).map(|call| call.down);
        let other = || pictures().filter(|lane| *lane != up).min_by_key(load);
        (up, known.or_else(other).unwrap_or(up))
    }
}

/// Steps for each lane, in order.
#[derive(Default)]
pub(crate) struct Batch {
    steps: HashMap<LaneId, Vec<Step>>,
    bitrates: Vec<(LaneId, SinkId, u32)>,
}

impl Batch {
    fn add(&mut self, lane: LaneId, step: Step) {
        self.steps.entry(lane).or_default().push(step);
    }
}

#[cfg(test)]
mod tests;
