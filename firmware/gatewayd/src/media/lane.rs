//! One worker, restarted when it dies.

use super::process::Process;
use crate::net::poller::{Ready, Registry, Token};
use base::machine::earliest;
use base::{Pulse, limits};
use media_dsp::{Command, Report, Stats, WorkerHandle};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{error, warn};

/// So many commands are worth a wake-up: an eighth of what the worker's ring holds.
const MUCH: usize = limits::RING_FRAMES / 8;
/// Longest that what rides along waits for what it rides on: the next picture of a stream with 25 a second comes meanwhile.
const RIDE: Duration = Duration::from_millis(40);
/// A worker that dies so soon after the one before has a cause that is still there: the next one waits, each time twice as long.
const AGAIN: Duration = Duration::from_secs(10);
/// How long the first that waits does, and the longest that any does.
const WAITS: [Duration; 2] = [Duration::from_millis(125), Duration::from_secs(1)];

/// When a worker is called for what it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// As soon as the turn in hand is over.
    Now,
    /// With the next that is urgent, or after [`RIDE`]: it is only needed then, and a worker that wakes up for each of eight streams has cold
    /// caches each time.
    Rides,
}

/// How far a worker is kept apart from the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// It is a thread of it: in tests.
    Thread,
    /// It is a process that can do nothing but code: on the box.
    Process,
}

/// Where workers are, and how they tell that they have something to tell.
#[derive(Clone)]
pub enum Workers {
    /// In threads, which ring this bell.
    Threads(Arc<dyn Fn() + Send + Sync>),
    /// In processes, whose pipes are in this set.
    Processes(Registry),
}

/// A worker, wherever it is.
enum Worker {
    Thread(WorkerHandle),
    Process(Box<Process>),
}

impl Worker {
    fn start(
        name: &str,
        epoch: Instant,
        pulse: &Pulse,
        (workers, token): &(Workers, Token),
    ) -> io::Result<Self> {
        Ok(match workers {
            Workers::Threads(bell) => {
                let bell = Arc::clone(bell);
                Self::Thread(media_dsp::Worker::spawn(name, epoch, pulse.clone(), Box::new(move || bell()))?)
            }
            Workers::Processes(registry) => {
                Self::Process(Box::new(Process::start(name, epoch, registry, *token)?))
            }
        })
    }

    fn put(&mut self, command: Command) -> bool {
        match self {
            Self::Thread(thread) => thread.put(command),
            Self::Process(process) => process.put(command),
        }
    }

    fn call(&mut self) {
        match self {
            Self::Thread(thread) => thread.call(),
            Self::Process(process) => process.call(),
        }
    }

    fn try_recv(&mut self, pulse: &Pulse) -> Option<Report> {
        match self {
            Self::Thread(thread) => thread.try_recv(),
            // Nobody but the engine sees that a process lives; that it died is not its own word.
            Self::Process(process) => process.try_recv().inspect(|report| {
                if !matches!(report, Report::Died { .. }) {
                    pulse.beat();
                }
            }),
        }
    }

    fn ready(&mut self, ready: Ready) {
        // A thread has no socket.
        if let Self::Process(process) = self {
            if ready.readable {
                process.told();
            }
            if ready.writable {
                process.call();
            }
        }
    }

    fn look(&mut self, now: Instant) {
        match self {
            // Its own pulse shows whether it lives.
            Self::Thread(_) => {}
            Self::Process(process) => process.look(now),
        }
    }
}

/// What a worker was given without being called for it.
#[derive(Default)]
struct Uncalled {
    commands: usize,
    /// When it is to be called.
    due: Option<Instant>,
    /// As soon as the turn in hand is over, whatever the time: a packet is dated when it came, which may be after the turn began.
    urgent: bool,
}

/// Workers of a lane that died one soon after the other.
#[derive(Default)]
struct Deaths {
    count: u32,
    last: Option<Instant>,
}

impl Deaths {
    /// Another died; when the next is started.
    fn another(&mut self, now: Instant) -> Instant {
        let again = self.last.is_some_and(|last| now.saturating_duration_since(last) < AGAIN);
        self.count = if again { self.count + 1 } else { 0 };
        self.last = Some(now);
        let [first, longest] = WAITS;
        match self.count.checked_sub(1) {
            None => now,
            Some(doublings) => now + first.saturating_mul(1 << doublings.min(10)).min(longest),
        }
    }
}

/// A worker and what is needed to start it again.
pub struct Lane {
    name: String,
    epoch: Instant,
    worker: Option<Worker>,
    place: (Workers, Token),
    pulse: Pulse,
    uncalled: Uncalled,
    deaths: Deaths,
    /// When the next worker is started, while there is none.
    next: Option<Instant>,
    /// What it last said of itself.
    pub stats: Stats,
}

impl Lane {
    /// Starts a worker called `name` on the media clock that began at `epoch`; where it is a process it is known by `token`.
    ///
    /// # Errors
    /// If the thread or the process cannot be started.
    pub fn new(name: &str, epoch: Instant, workers: &Workers, token: Token) -> io::Result<Self> {
        let (place, pulse) = ((workers.clone(), token), Pulse::default());
        let worker = Worker::start(name, epoch, &pulse, &place)?;
        let (name, worker) = (name.to_owned(), Some(worker));
        let (uncalled, stats) = (Uncalled::default(), Stats::default());
        Ok(Self { name, epoch, worker, place, pulse, uncalled, deaths: Deaths::default(), next: None, stats })
    }

    /// Its name, and the signs of life of whichever worker it has.
    pub fn vital(&self) -> (String, Pulse) {
        (self.name.clone(), self.pulse.clone())
    }

    /// Tells the worker; what a dead or full one does not take is dropped, as on a network. A dead one is told everything
    /// again when it is restarted; one that is not, and yet has thousands of commands waiting, hangs.
    pub fn send(&mut self, command: Command) {
        let steps = matches!(command, Command::Apply(_));
        let taken = self.worker.as_mut().is_some_and(|worker| worker.put(command));
        self.call();
        if steps && !taken && self.next.is_none() {
            warn!(worker = self.name, "a media worker is dead or hangs: steps were not taken");
        }
    }

    /// Gives the worker something that can wait until it is [`call`](Self::call)ed, or until there is much of it.
    pub fn put(&mut self, now: Instant, command: Command, urgency: Urgency) {
        if !self.worker.as_mut().is_some_and(|worker| worker.put(command)) {
            return;
        }
        let due = match urgency {
            Urgency::Now => now,
            Urgency::Rides => now + RIDE,
        };
        self.uncalled.commands += 1;
        self.uncalled.due = earliest(self.uncalled.due, Some(due));
        self.uncalled.urgent |= urgency == Urgency::Now;
        if self.uncalled.commands >= MUCH {
            self.call();
        }
    }

    /// When it wants to be called next.
    pub fn due(&self) -> Option<Instant> {
        self.uncalled.due
    }

    /// Has the worker look at what it was given, if it is time.
    pub fn call_if_due(&mut self, now: Instant) {
        if self.uncalled.urgent || self.uncalled.due.is_some_and(|due| due <= now) {
            self.call();
        }
    }

    fn call(&mut self) {
        self.uncalled = Uncalled::default();
        if let Some(worker) = &mut self.worker {
            worker.call();
        }
    }

    /// Its process's pipe is ready for this: what there is room for goes, and what came is for [`report`](Self::report).
    pub fn ready(&mut self, ready: Ready) {
        if let Some(worker) = &mut self.worker {
            worker.ready(ready);
        }
    }

    /// Sees to it that a worker which stands still is ended, if it is a process.
    pub fn look(&mut self, now: Instant) {
        if let Some(worker) = &mut self.worker {
            worker.look(now);
        }
    }

    /// What it tells next.
    pub fn report(&mut self) -> Option<Report> {
        self.worker.as_mut()?.try_recv(&self.pulse)
    }

    /// What its process is known by.
    pub fn token(&self) -> Token {
        self.place.1
    }

    /// Its worker is dead; another is [`replaced`](Self::replace) soon.
    pub fn died(&mut self, now: Instant) {
        self.worker = None;
        self.uncalled = Uncalled::default();
        self.stats = Stats::default();
        self.next = Some(self.deaths.another(now));
    }

    /// When a worker is to be started in place of a dead one.
    pub fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Starts another in place of a dead worker, if it is time; true if it was, and is to be told everything. Where none can be had it is
    /// tried again, and meanwhile the lane shows no life, so that the daemon's keeper has the last word.
    pub fn replace(&mut self, now: Instant) -> bool {
        if self.next.is_none_or(|next| now < next) {
            return false;
        }
        self.next = None;
        match Worker::start(&self.name, self.epoch, &self.pulse, &self.place) {
            Ok(worker) => self.worker = Some(worker),
            Err(error) => {
                error!(%error, worker = self.name, "a media worker can't be started");
                self.next = Some(self.deaths.another(now));
            }
        }
        self.worker.is_some()
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        // First the thread: one that stands still is waited for, and must be seen to.
        self.worker = None;
        self.pulse.end();
    }
}

/// Mean time from a picture's arrival to what was made of it.
pub fn mean_latency(lanes: &[Lane]) -> Option<Duration> {
    let sinks = lanes.iter().flat_map(|lane| &lane.stats.sinks);
    let (count, total) = sinks.fold((0_u64, Duration::ZERO), |(count, total), sink| {
        (count.saturating_add(sink.latency.count), total.saturating_add(sink.latency.total))
    });
    let nanos = total.as_nanos().checked_div(u128::from(count))?;
    Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_worker_that_dies_is_replaced_at_once_and_one_that_keeps_dying_every_second() {
        let (mut deaths, mut now, mut waits) = (Deaths::default(), Instant::now(), Vec::new());
        for _ in 0..6 {
            let next = deaths.another(now);
            waits.push((next - now).as_millis());
            now = next + Duration::from_millis(20);
        }
        assert_eq!(waits, [0, 125, 250, 500, 1_000, 1_000]);
        assert_eq!(deaths.another(now + AGAIN), now + AGAIN, "it had lived for long");
    }
}
