//! Says when to feed a watchdog: only while every vital part of the program shows signs of life.
//!
//! ```text
//!  every part in time ──every third of the time-out──▶ Feed
//!  a part silent for its deadline ──▶ Starved (told once), no more feeding
//!  it beats again, and none other is silent ──▶ Recovered, Feed at once
//! ```
//!
//! The program beats for a part when that part has really done its round (a worker finished a step, a loop came round),
//! not on a timer. When the program itself hangs nobody turns the keeper, so nothing is fed either.

use crate::DeviceError;
use crate::watchdog::Armed;
use base::{Machine, Output, earliest};
use std::time::{Duration, Instant};

/// A watchdog is fed this many times within its time-out, so that a late feed or two do no harm.
pub const FEEDS_IN_TIMEOUT: u32 = 3;

/// A vital part, by the order in which it was added. Never used twice by one keeper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartId(usize);

/// What a keeper takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// The part lives.
    Beat(PartId),
    /// The part has ended on purpose; it is not waited for any more.
    Retire(PartId),
    /// Nothing happened, but it is time.
    Tick,
}

/// What a keeper wants done: the watchdog fed, now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feed;

/// What a keeper tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The part has been silent for its deadline; the watchdog is not fed any more.
    Starved {
        /// Which part.
        part: PartId,
        /// Its name.
        name: String,
        /// How long it has been silent.
        silent: Duration,
    },
    /// A part that starved beat again, or retired.
    Recovered {
        /// Which part.
        part: PartId,
        /// Its name.
        name: String,
    },
}

/// Watches the parts and says when to feed.
#[derive(Debug, Clone)]
pub struct Keeper {
    feed_every: Duration,
    next_feed: Instant,
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
struct Part {
    name: String,
    deadline: Duration,
    last_beat: Instant,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Alive,
    Starved,
    Retired,
}

impl Keeper {
    /// A keeper without parts for a watchdog of this time-out (the one it really took, [`Armed::actual`]).
    #[must_use]
    pub fn new(now: Instant, timeout: Duration) -> Self {
        Self { feed_every: timeout / FEEDS_IN_TIMEOUT, next_feed: now, parts: Vec::new() }
    }

    /// Adds a part that must beat at least once within each `deadline`, the first of which begins now.
    pub fn add(&mut self, now: Instant, name: &str, deadline: Duration) -> PartId {
        self.parts.push(Part { name: name.to_owned(), deadline, last_beat: now, state: State::Alive });
        PartId(self.parts.len() - 1)
    }

    /// The part lives, as by [`Input::Beat`], but nothing else is looked at before the next step: whoever finds that several parts
    /// have come round says so of all of them first.
    pub fn beat(&mut self, now: Instant, part: PartId) {
        self.take(now, Input::Beat(part));
    }

    /// The names of the parts that starve.
    pub fn starving(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter(|part| part.state == State::Starved).map(|part| &*part.name)
    }

    fn take(&mut self, now: Instant, input: Input) {
        match input {
            Input::Beat(PartId(part)) => {
                if let Some(part) = self.parts.get_mut(part) {
                    part.last_beat = part.last_beat.max(now);
                }
            }
            Input::Retire(PartId(part)) => {
                if let Some(part) = self.parts.get_mut(part).filter(|part| part.state == State::Alive) {
                    part.state = State::Retired;
                }
            }
            Input::Tick => {}
        }
    }

    fn wake(&self) -> Option<Instant> {
        let alive = self.parts.iter().filter(|part| part.state == State::Alive);
        let deadline = alive.map(|part| part.last_beat + part.deadline).min();
        let feed = self.starving().next().is_none().then_some(self.next_feed);
        earliest(deadline, feed)
    }
}

impl Machine for Keeper {
    type Input<'a> = Input;
    type Effect = Feed;
    type Event = Event;

    fn step(
        &mut self,
        now: Instant,
        input: Input,
        mut sink: impl FnMut(Output<Feed, Event>),
    ) -> Option<Instant> {
        self.take(now, input);
        let mut recovered = false;
        for (number, part) in self.parts.iter_mut().enumerate() {
            let id = PartId(number);
            let silent = now.saturating_duration_since(part.last_beat);
            let retires = input == Input::Retire(id);
            match part.state {
                State::Alive if silent >= part.deadline => {
                    part.state = State::Starved;
                    sink(Output::Event(Event::Starved { part: id, name: part.name.clone(), silent }));
                }
                State::Starved if retires || silent < part.deadline => {
                    part.state = if retires { State::Retired } else { State::Alive };
                    recovered = true;
                    sink(Output::Event(Event::Recovered { part: id, name: part.name.clone() }));
                }
                State::Alive | State::Starved | State::Retired => {}
            }
        }
        if self.starving().next().is_none() && (recovered || now >= self.next_feed) {
            sink(Output::Effect(Feed));
            self.next_feed = now + self.feed_every;
        }
        self.wake()
    }
}

/// A keeper with the watchdog it feeds.
pub struct Guard {
    keeper: Keeper,
    armed: Box<dyn Armed>,
}

impl Guard {
    /// Keeps `armed` from now on; add the parts to [`keeper`](Self::keeper).
    #[must_use]
    pub fn new(now: Instant, armed: Box<dyn Armed>) -> Self {
        Self { keeper: Keeper::new(now, armed.actual().timeout), armed }
    }

    /// The keeper, to add parts to.
    pub fn keeper(&mut self) -> &mut Keeper {
        &mut self.keeper
    }

    /// Turns the keeper and feeds the watchdog when it says so. Returns when to come back.
    ///
    /// # Errors
    /// If the watchdog could not be fed; the keeper was turned all the same, and wants to feed again in time.
    pub fn turn(
        &mut self,
        now: Instant,
        input: Input,
        mut told: impl FnMut(Event),
    ) -> Result<Option<Instant>, DeviceError> {
        let mut fed = Ok(());
        let wake = self.keeper.step(now, input, |output| match output {
            Output::Effect(Feed) => fed = self.armed.feed(),
            Output::Event(event) => told(event),
        });
        fed.map(|()| wake)
    }

    /// The watchdog back, to be disarmed.
    #[must_use]
    pub fn into_armed(self) -> Box<dyn Armed> {
        self.armed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watchdog::{Config, Doing, FakeWatchdog, WayOut};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const SECOND: Duration = Duration::from_secs(1);

    fn step(keeper: &mut Keeper, now: Instant, input: Input) -> (Vec<Output<Feed, Event>>, Option<Instant>) {
        let mut outputs = Vec::new();
        let wake = keeper.step(now, input, |output| outputs.push(output));
        (outputs, wake)
    }

    #[test]
    fn a_keeper_whose_parts_live_feeds_three_times_in_a_time_out() {
        let start = Instant::now();
        let mut keeper = Keeper::new(start, 9 * SECOND);
        let part = keeper.add(start, "engine", 5 * SECOND);
        assert_eq!(
            step(&mut keeper, start, Input::Tick),
            (vec![Output::Effect(Feed)], Some(start + 3 * SECOND))
        );
        assert_eq!(step(&mut keeper, start + SECOND, Input::Beat(part)).0, [], "a beat does not feed");
        let (outputs, wake) = step(&mut keeper, start + 3 * SECOND, Input::Tick);
        assert_eq!(outputs, [Output::Effect(Feed)]);
        assert_eq!(wake, Some(start + 6 * SECOND));
    }

    #[test]
    fn a_part_that_starves_is_named_once_and_nothing_is_fed_until_it_is_back() {
        let start = Instant::now();
        let mut keeper = Keeper::new(start, 9 * SECOND);
        let _engine = keeper.add(start, "engine", 60 * SECOND);
        let worker = keeper.add(start, "picture worker", 2 * SECOND);
        step(&mut keeper, start, Input::Tick);
        let starved = Event::Starved { part: worker, name: "picture worker".to_owned(), silent: 2 * SECOND };
        let (outputs, wake) = step(&mut keeper, start + 2 * SECOND, Input::Tick);
        assert_eq!(outputs, [Output::Event(starved)]);
        assert_eq!(wake, Some(start + 60 * SECOND), "only the next part's deadline is waited for");
        assert_eq!(keeper.starving().collect::<Vec<_>>(), ["picture worker"]);
        assert_eq!(step(&mut keeper, start + 8 * SECOND, Input::Tick).0, []);
        let recovered = Event::Recovered { part: worker, name: "picture worker".to_owned() };
        let (outputs, _) = step(&mut keeper, start + 9 * SECOND, Input::Beat(worker));
        assert_eq!(
            outputs,
            [Output::Event(recovered), Output::Effect(Feed)],
            "it is fed at once, it may be late"
        );
    }

    #[test]
    fn a_part_that_ended_on_purpose_is_not_waited_for() {
        let start = Instant::now();
        let mut keeper = Keeper::new(start, 9 * SECOND);
        let part = keeper.add(start, "call 7", SECOND);
        step(&mut keeper, start, Input::Retire(part));
        assert_eq!(step(&mut keeper, start + 9 * SECOND, Input::Tick).0, [Output::Effect(Feed)]);
        step(&mut keeper, start + 9 * SECOND, Input::Beat(part));
        assert_eq!(keeper.starving().count(), 0, "it does not come back by a late beat");
        assert_eq!(step(&mut keeper, start + 20 * SECOND, Input::Tick).0, [Output::Effect(Feed)]);
    }

    #[test]
    fn a_guarded_watchdog_bites_when_a_part_starves_and_never_before() {
        let start = Instant::now();
        let fake = FakeWatchdog::new(WayOut::None);
        let config = Config { timeout: 9 * SECOND, pretimeout: None };
        let mut guard = Guard::new(start, fake.watchdog().arm(config).unwrap());
        let part = guard.keeper().add(start, "engine", 2 * SECOND);
        let mut told = Vec::new();
        for second in 0..100u32 {
            let now = start + SECOND * second;
            let input = if second < 50 { Input::Beat(part) } else { Input::Tick };
            let _ = guard.turn(now, input, |event| told.push((second, event)));
            if second < 57 {
                assert_ne!(fake.doing(), Doing::Bitten, "in second {second}");
            }
            fake.advance(SECOND);
        }
        assert_eq!(fake.doing(), Doing::Bitten);
        assert!(matches!(&told[..], [(51, Event::Starved { name, .. })] if name == "engine"), "{told:?}");
    }

    /// What a test does to a keeper, and how many milliseconds after the last thing.
    #[derive(Debug, Clone)]
    enum Act {
        Add(u64),
        Beat(usize),
        Retire(usize),
        Nothing,
    }

    fn acts() -> impl Strategy<Value = Vec<(u64, Act)>> {
        let act = prop_oneof![
            1 => (1u64..3000).prop_map(Act::Add),
            8 => (0usize..6).prop_map(Act::Beat),
            1 => (0usize..6).prop_map(Act::Retire),
            2 => Just(Act::Nothing),
        ];
        prop::collection::vec((0u64..800, act), 1..120)
    }

    /// The plainest keeper there is: for each part, until when it lives, in milliseconds.
    #[derive(Default)]
    struct Model {
        parts: Vec<Option<(u64, u64)>>,
        starved: BTreeMap<usize, ()>,
        fed: u64,
        /// Since when no part has been overdue.
        well_since: u64,
    }

    impl Model {
        fn overdue(&self, ms: u64) -> Vec<usize> {
            let over = |part: &Option<(u64, u64)>| part.is_some_and(|(last, deadline)| ms >= last + deadline);
            (0..self.parts.len()).filter(|part| over(&self.parts[*part])).collect()
        }

        fn check(&mut self, ms: u64, feed_every: u64, outputs: &[Output<Feed, Event>]) {
            let overdue = self.overdue(ms);
            for output in outputs {
                match output {
                    Output::Effect(Feed) => {
                        assert!(overdue.is_empty(), "fed at {ms} while {overdue:?} were overdue");
                        self.fed = ms;
                    }
                    Output::Event(Event::Starved { part, .. }) => {
                        assert!(overdue.contains(&part.0), "{part:?} lives at {ms}");
                        assert_eq!(self.starved.insert(part.0, ()), None, "{part:?} was named twice");
                    }
                    Output::Event(Event::Recovered { part, .. }) => {
                        assert!(!overdue.contains(&part.0), "{part:?} is overdue at {ms}");
                        assert_eq!(self.starved.remove(&part.0), Some(()), "{part:?} had not starved");
                    }
                }
            }
            assert_eq!(
                self.starved.keys().copied().collect::<Vec<_>>(),
                overdue,
                "those that are named, at {ms}"
            );
            if overdue.is_empty() {
                let since = self.fed.max(self.well_since);
                assert!(ms - since <= feed_every, "all lived at {ms}, but it was last fed at {}", self.fed);
            } else {
                self.well_since = ms;
            }
        }
    }

    proptest! {
        #[test]
        fn it_never_feeds_while_a_part_is_overdue_and_always_feeds_in_time_otherwise(acts in acts(), timeout in 30u64..2000) {
            let start = Instant::now();
            let at = |ms| start + Duration::from_millis(ms);
            let mut keeper = Keeper::new(start, Duration::from_millis(timeout * 3));
            let mut model = Model::default();
            let (outputs, mut wake) = step(&mut keeper, start, Input::Tick);
            model.check(0, timeout, &outputs);
            let mut ms = 0;
            for (pause, act) in acts {
                let then = ms + pause;
                // The owner wakes it when it asks, a millisecond's fraction late at most.
                while let Some(asked) = wake.filter(|asked| *asked <= at(then)) {
                    ms = u64::try_from((asked - start).as_nanos().div_ceil(1_000_000)).unwrap();
                    let (outputs, next) = step(&mut keeper, at(ms), Input::Tick);
                    model.check(ms, timeout, &outputs);
                    prop_assert!(next.is_none_or(|next| next > at(ms)), "it asks to be woken at once, for ever");
                    wake = next;
                }
                ms = then;
                let input = match act {
                    Act::Add(deadline) if model.parts.len() < 6 => {
                        keeper.add(at(ms), "part", Duration::from_millis(deadline));
                        model.parts.push(Some((ms, deadline)));
                        Input::Tick
                    }
                    Act::Beat(part) => {
                        if let Some(Some((last, _))) = model.parts.get_mut(part) {
                            *last = ms;
                        }
                        Input::Beat(PartId(part))
                    }
                    Act::Retire(part) => {
                        if let Some(part) = model.parts.get_mut(part) {
                            *part = None;
                        }
                        Input::Retire(PartId(part))
                    }
                    Act::Add(_) | Act::Nothing => Input::Tick,
                };
                let (outputs, next) = step(&mut keeper, at(ms), input);
                model.check(ms, timeout, &outputs);
                wake = next;
            }
        }
    }
}
