//! Adaptive jitter buffer for sound: packets as the network gives them in, frames at a steady pace out.
//!
//! Each packet's transit (arrival less timestamp) is compared with the least of the last seconds; a histogram of the
//! differences, which forgets slowly, gives the delay that all but 3 % of the packets keep to. It grows within a few
//! late packets by concealing once, and shrinks by a frame at most once a second, first where a frame is lost anyway.
//! What is due is played out at the next [`Beat`], so that the streams of many calls are worked on together.
//!
//! ```text
//!           packet                    5 frames concealed, still nothing
//!  (Empty) ───────▶ (Playing) ──────────────────────────────────────▶ (Paused: the peer is silent)
//!                       ▲  └ each frame time: Frame, or Lost                  │ packet: anchored anew
//!                       └────────────────────────────────────────────────────┘
//! ```

mod delay;

use crate::packet::{SeqNo, Timestamp};
use base::{Beat, limits};
use delay::Delay;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// A frame's length until two packets tell it.
const DEFAULT_FRAME: Duration = Duration::from_millis(20);
/// Longest frame there is: Opus and G.711 alike.
const MAX_FRAME: Duration = Duration::from_millis(120);
/// Shortest: Opus.
const MIN_FRAME: Duration = Duration::from_micros(2_500);
/// Frames concealed in a row; after that the decoder has faded out anyway.
const MAX_CONCEALED: u32 = 5;
/// A sequence number this far off is another stream's, or the peer started over (RFC 3550 A.1 takes 3000).
const MAX_JUMP: i64 = 1_000;
/// A transit this far off means that the peer's timestamps started over.
const MAX_TRANSIT_JUMP_NS: i64 = 2_000_000_000;
/// Least time between two frames left out to shrink.
const SHRINK_EVERY: Duration = Duration::from_secs(1);
/// Least slack before a frame is left out.
const SHRINK_SLACK_NS: i64 = 10_000_000;
/// Sequence numbers given up that are remembered, to tell a late packet from a duplicate.
const GIVEN_UP: usize = 64;

/// What the listener hears next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Playout<T> {
    /// A frame.
    Frame {
        /// Its RTP timestamp.
        timestamp: u32,
        /// What was pushed with it.
        payload: T,
        /// False if frames before it were left out without a [`Playout::Lost`] for each.
        contiguous: bool,
    },
    /// A frame's time without the frame: conceal it.
    Lost {
        /// The RTP timestamp it would have.
        timestamp: u32,
    },
}

/// Counters of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JitterStats {
    /// Packets that came after their turn.
    pub late: u64,
    /// Packets that came twice.
    pub duplicate: u64,
    /// Frames concealed.
    pub concealed: u64,
    /// Frames left out to shrink the delay.
    pub skipped: u64,
}

/// The buffer. `T` is what the owner wants back with each frame. Holds at most [`limits::JITTER_PACKETS`].
#[derive(Debug)]
pub struct JitterBuffer<T> {
    clock: u32,
    beat: Beat,
    seq: SeqNo,
    ts: Timestamp,
    packets: BTreeMap<i64, Entry<T>>,
    state: State,
    /// Where the two clocks are counted from.
    origin: Option<(Instant, i64)>,
    delay: Delay,
    /// How long a frame lasts, by the latest two neighbours.
    frame: Duration,
    /// Sequence number and timestamp of the packet that came last.
    latest: Option<(i64, i64)>,
    /// A packet far off, until a second one confirms the jump.
    suspect: Option<(Instant, u16, u32, T)>,
    given_up: VecDeque<i64>,
    /// Sequence numbers of packets that are no sound.
    others: VecDeque<i64>,
    stats: JitterStats,
}

#[derive(Debug)]
struct Entry<T> {
    ts: i64,
    payload: T,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Empty,
    Playing(Playing),
    Paused { next_seq: i64 },
}

#[derive(Debug, Clone, Copy)]
struct Playing {
    next_seq: i64,
    next_ts: i64,
    /// When the next frame is due.
    due: Instant,
    /// Something was handed out since it was anchored.
    started: bool,
    /// Concealed in a row.
    concealed: u32,
    /// Concealed without knowing whether anything was lost.
    ahead: u32,
    /// Frames were left out since the last one handed out.
    skipped: bool,
    shrunk: Instant,
}

impl<T> JitterBuffer<T> {
    /// A buffer for an RTP clock of `clock` Hz, whose frames are played out on `beat`.
    #[must_use]
    pub fn new(clock: u32, beat: Beat) -> Self {
        Self {
            clock: clock.max(1),
            beat,
            seq: SeqNo::default(),
            ts: Timestamp::default(),
            packets: BTreeMap::new(),
            state: State::Empty,
            origin: None,
            delay: Delay::default(),
            frame: DEFAULT_FRAME,
            latest: None,
            suspect: None,
            given_up: VecDeque::new(),
            others: VecDeque::new(),
            stats: JitterStats::default(),
        }
    }

    /// Takes a packet that came at `now`.
    pub fn push(&mut self, now: Instant, sequence: u16, timestamp: u32, payload: T) {
        let (seq, ts) = (self.seq.peek(sequence), self.ts.peek(timestamp));
        if self.is_jump(now, seq, ts) {
            match self.suspect.take() {
                Some((at, first, its_ts, its_payload)) if first.wrapping_add(1) == sequence => {
                    self.reset();
                    self.take(at, first, its_ts, its_payload);
                    self.take(now, sequence, timestamp, payload);
                }
                _ => self.suspect = Some((now, sequence, timestamp, payload)),
            }
            return;
        }
        self.suspect = None;
        self.take(now, sequence, timestamp, payload);
    }

    /// Takes note of a packet that shares the sequence numbers and is no sound (RFC 4733), so that it is not missed.
    pub fn push_other(&mut self, sequence: u16) {
        if !matches!(self.state, State::Empty) {
            self.others.push_back(self.seq.peek(sequence));
            if self.others.len() > GIVEN_UP {
                self.others.pop_front();
            }
        }
    }

    /// Hands out what is due by `now`; call until `None`.
    pub fn pop(&mut self, now: Instant) -> Option<Playout<T>> {
        while let State::Playing(mut playing) = self.state {
            if now < self.beat.at_or_after(playing.due) {
                return None;
            }
            let step = self.play(&mut playing);
            self.state = match step {
                Step::Pause => State::Paused { next_seq: playing.next_seq },
                Step::Again | Step::Out(_) => State::Playing(playing),
            };
            if let Step::Out(playout) = step {
                return Some(playout);
            }
        }
        None
    }

    /// When [`pop`](Self::pop) has something next.
    #[must_use]
    pub fn poll_at(&self) -> Option<Instant> {
        match self.state {
            State::Playing(playing) => Some(self.beat.at_or_after(playing.due)),
            State::Empty | State::Paused { .. } => None,
        }
    }

    /// Forgets the stream (another SSRC); what was learnt of the network's jitter stays.
    pub fn reset(&mut self) {
        self.seq = SeqNo::default();
        self.ts = Timestamp::default();
        self.packets.clear();
        self.state = State::Empty;
        self.origin = None;
        self.delay.forget_transit();
        self.latest = None;
        self.suspect = None;
        self.given_up.clear();
        self.others.clear();
    }

    /// The delay it aims at.
    #[must_use]
    pub fn target(&self) -> Duration {
        self.delay.target()
    }

    /// Counters so far.
    #[must_use]
    pub fn stats(&self) -> JitterStats {
        self.stats
    }

    fn is_jump(&self, now: Instant, seq: i64, ts: i64) -> bool {
        let next_seq = match self.state {
            State::Empty => return false,
            State::Playing(Playing { next_seq, .. }) | State::Paused { next_seq } => next_seq,
        };
        let transit_jump = match (self.transit(now, ts), self.delay.least()) {
            (Some(transit), Some(least)) => transit.saturating_sub(least).abs(),
            _ => 0,
        };
        (seq - next_seq).abs() > MAX_JUMP || transit_jump > MAX_TRANSIT_JUMP_NS
    }

    fn take(&mut self, now: Instant, sequence: u16, timestamp: u32, payload: T) {
        let (seq, ts) = (self.seq.unwrap(sequence), self.ts.unwrap(timestamp));
        self.origin.get_or_insert((now, ts));
        match self.state {
            State::Playing(playing) if seq < playing.next_seq && playing.started => {
                return self.too_late(now, seq, ts);
            }
            State::Paused { next_seq } if seq < next_seq => return self.too_late(now, seq, ts),
            _ if self.packets.contains_key(&seq) => {
                self.stats.duplicate += 1;
                return;
            }
            _ => {}
        }
        self.measure(now, ts);
        self.learn_frame(seq, ts);
        self.packets.insert(seq, Entry { ts, payload });
        if self.packets.len() > limits::JITTER_PACKETS {
            self.packets.pop_first();
            self.stats.skipped += 1;
        }
        self.anchor(now, seq, ts);
    }

    /// Decides when this packet is played if nothing is playing.
    fn anchor(&mut self, now: Instant, seq: i64, ts: i64) {
        let skipped = match &mut self.state {
            State::Playing(playing) if seq < playing.next_seq => {
                // it overtook the first one, which was not played yet
                playing.next_seq = seq;
                playing.next_ts = ts;
                return;
            }
            State::Playing(_) => return,
            State::Empty => false,
            State::Paused { next_seq } => (*next_seq..seq).any(|missing| !self.others.contains(&missing)),
        };
        let due = self.desired(ts).unwrap_or(now).max(now);
        self.state = State::Playing(Playing {
            next_seq: seq,
            next_ts: ts,
            due,
            started: false,
            concealed: 0,
            ahead: 0,
            skipped,
            shrunk: now,
        });
    }

    fn too_late(&mut self, now: Instant, seq: i64, ts: i64) {
        if let Some(at) = self.given_up.iter().position(|lost| *lost == seq) {
            self.given_up.remove(at);
            self.stats.late += 1;
            self.measure(now, ts);
        } else {
            self.stats.duplicate += 1;
        }
    }

    fn measure(&mut self, now: Instant, ts: i64) {
        if let (Some(transit), Some((origin, _))) = (self.transit(now, ts), self.origin) {
            self.delay.measure(signed_ns(now, origin), transit);
        }
    }

    fn learn_frame(&mut self, seq: i64, ts: i64) {
        let before =
            self.latest.filter(|(latest, _)| *latest == seq - 1).map(|(_, before)| self.length(ts - before));
        if let Some(length) = before.filter(|length| (MIN_FRAME..=MAX_FRAME).contains(length)) {
            self.frame = length;
        }
        self.latest = Some((seq, ts));
    }

    fn length(&self, ticks: i64) -> Duration {
        Duration::from_nanos(u64::try_from(self.ns(ticks)).unwrap_or(0))
    }

    fn ns(&self, ticks: i64) -> i64 {
        let ns = i128::from(ticks) * 1_000_000_000 / i128::from(self.clock);
        i64::try_from(ns).unwrap_or(i64::MAX)
    }

    fn ticks(&self, length: Duration) -> i64 {
        i64::try_from(length.as_nanos() * u128::from(self.clock) / 1_000_000_000).unwrap_or(i64::MAX)
    }

    /// Arrival less timestamp, both from the origin.
    fn transit(&self, now: Instant, ts: i64) -> Option<i64> {
        let (origin, origin_ts) = self.origin?;
        Some(signed_ns(now, origin).saturating_sub(self.ns(ts - origin_ts)))
    }

    /// When the frame of `ts` would be played with just the delay aimed at.
    fn desired(&self, ts: i64) -> Option<Instant> {
        let (origin, origin_ts) = self.origin?;
        let ns = self
            .ns(ts - origin_ts)
            .saturating_add(self.delay.least()?)
            .saturating_add(self.delay.target_ns());
        Some(origin + Duration::from_nanos(u64::try_from(ns).unwrap_or(0)))
    }

    /// By how much more than the delay aimed at the next frame is delayed.
    fn excess(&self, playing: &Playing) -> i64 {
        self.desired(playing.next_ts).map_or(0, |desired| signed_ns(playing.due, desired))
    }
}

/// What came of looking at the next frame.
enum Step<T> {
    Out(Playout<T>),
    Again,
    Pause,
}

impl<T> JitterBuffer<T> {
    /// One look at a frame whose time has come.
    fn play(&mut self, playing: &mut Playing) -> Step<T> {
        playing.started = true;
        let excess = self.excess(playing);
        let frame_ns = i64::try_from(self.frame.as_nanos()).unwrap_or(i64::MAX);
        let Some((&head, entry)) = self.packets.first_key_value() else { return self.underrun(playing) };
        let gap = entry.ts - playing.next_ts;
        if head > playing.next_seq {
            return self.missing(playing, head, gap, excess > frame_ns);
        }
        if gap != 0 {
            // a pause the peer made (DTX), or another frame length
            let paused = self.length(gap) >= 2 * self.frame;
            playing.due += self.length(gap);
            playing.next_ts = entry.ts;
            if paused && let Some(desired) = self.desired(playing.next_ts) {
                playing.due = desired.max(playing.due - self.length(gap));
            }
            if gap > 0 {
                return Step::Again;
            }
        }
        let excess = self.excess(playing);
        if excess <= -frame_ns {
            return self.conceal(playing);
        }
        let overfull = excess > i64::try_from(limits::JITTER_MAX.as_nanos()).unwrap_or(i64::MAX);
        let rested = playing.due.saturating_duration_since(playing.shrunk) >= SHRINK_EVERY;
        if overfull || rested && excess > frame_ns + SHRINK_SLACK_NS {
            self.packets.pop_first();
            self.stats.skipped += 1;
            playing.shrunk = playing.due;
            playing.skipped = true;
            self.advance(playing, Duration::ZERO);
            return Step::Again;
        }
        self.hand_out(playing)
    }

    fn hand_out(&mut self, playing: &mut Playing) -> Step<T> {
        let Some((seq, entry)) = self.packets.pop_first() else { return Step::Again };
        let follower = self.packets.get(&(seq + 1)).map(|next| self.length(next.ts - entry.ts));
        let length = follower.filter(|length| (MIN_FRAME..=MAX_FRAME).contains(length)).unwrap_or(self.frame);
        let contiguous = !std::mem::take(&mut playing.skipped);
        (playing.concealed, playing.ahead) = (0, 0);
        playing.next_seq = seq + 1;
        playing.next_ts = entry.ts + self.ticks(length);
        playing.due += length;
        Step::Out(Playout::Frame { timestamp: entry.ts as u32, payload: entry.payload, contiguous })
    }

    /// The next packet is not here, but one after it is.
    fn missing(&mut self, playing: &mut Playing, head: i64, gap: i64, slack: bool) -> Step<T> {
        if let Some(at) = self.others.iter().position(|other| *other == playing.next_seq) {
            self.others.remove(at);
            playing.next_seq += 1;
            return Step::Again;
        }
        if playing.concealed >= MAX_CONCEALED && playing.ahead == 0 || gap <= 0 {
            playing.next_seq = head;
            playing.skipped = true;
            return Step::Again;
        }
        self.given_up.push_back(playing.next_seq);
        if self.given_up.len() > GIVEN_UP {
            self.given_up.pop_front();
        }
        if playing.ahead > 0 {
            // it was concealed when the buffer ran dry
            playing.ahead -= 1;
            self.advance(playing, Duration::ZERO);
            return Step::Again;
        }
        if slack {
            self.stats.skipped += 1;
            playing.skipped = true;
            playing.shrunk = playing.due;
            self.advance(playing, Duration::ZERO);
            return Step::Again;
        }
        let out = self.lost(playing);
        self.advance(playing, self.frame);
        out
    }

    /// Nothing is here at all: late, lost or silent, nobody knows yet.
    fn underrun(&mut self, playing: &mut Playing) -> Step<T> {
        if playing.concealed >= MAX_CONCEALED {
            return Step::Pause;
        }
        playing.ahead += 1;
        self.conceal(playing)
    }

    /// Conceals without going on in the stream: the delay grows by a frame.
    fn conceal(&mut self, playing: &mut Playing) -> Step<T> {
        let out = self.lost(playing);
        playing.due += self.frame;
        out
    }

    fn lost(&mut self, playing: &mut Playing) -> Step<T> {
        self.stats.concealed += 1;
        playing.concealed += 1;
        Step::Out(Playout::Lost { timestamp: playing.next_ts as u32 })
    }

    fn advance(&mut self, playing: &mut Playing, time: Duration) {
        playing.next_seq += 1;
        playing.next_ts += self.ticks(self.frame);
        playing.due += time;
    }
}

fn signed_ns(a: Instant, b: Instant) -> i64 {
    match a.checked_duration_since(b) {
        Some(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        None => -i64::try_from(b.saturating_duration_since(a).as_nanos()).unwrap_or(i64::MAX),
    }
}

#[cfg(test)]
mod tests;
