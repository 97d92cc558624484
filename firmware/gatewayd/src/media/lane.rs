//! One worker thread, restarted when it dies.

use base::machine::earliest;
use base::{Pulse, limits};
use media_dsp::{Command, Report, Stats, Worker, WorkerHandle};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::warn;

/// So many commands are worth a wake-up: an eighth of what the worker's ring holds.
const MUCH: usize = limits::RING_FRAMES / 8;
/// Longest that what rides along waits for what it rides on: the next picture of a stream with 25 a second comes meanwhile.
const RIDE: Duration = Duration::from_millis(40);

/// When a worker is called for what it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// As soon as the turn in hand is over.
    Now,
    /// With the next that is urgent, or after [`RIDE`]: it is only needed then, and a worker that wakes up for each of eight streams has cold
    /// caches each time.
    Rides,
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

/// A worker and what is needed to start it again.
pub struct Lane {
    name: String,
    epoch: Instant,
    worker: Option<WorkerHandle>,
    wake: Arc<dyn Fn() + Send + Sync>,
    pulse: Pulse,
    uncalled: Uncalled,
    /// What it last said of itself.
    pub stats: Stats,
}

impl Lane {
    /// Starts a worker called `name` on the media clock that began at `epoch`.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn new(name: &str, epoch: Instant, wake: &Arc<dyn Fn() + Send + Sync>) -> io::Result<Self> {
        let (wake, pulse) = (Arc::clone(wake), Pulse::default());
        let worker = start(name, epoch, &pulse, &wake)?;
        let (name, worker) = (name.to_owned(), Some(worker));
        let (uncalled, stats) = (Uncalled::default(), Stats::default());
        Ok(Self { name, epoch, worker, wake, pulse, uncalled, stats })
    }

    /// Its name, and the signs of life of whichever worker it has.
    pub fn vital(&self) -> (String, Pulse) {
        (self.name.clone(), self.pulse.clone())
    }

    /// Tells the worker; what a dead or full one does not take is dropped, as on a network. A dead one is told everything
    /// again when it is restarted; one that is not, and yet has thousands of commands waiting, hangs.
    pub fn send(&mut self, command: Command) {
        let steps = matches!(command, Command::Apply(_));
        let taken = self.worker.as_ref().is_some_and(|worker| worker.send(command));
        // it was called, and takes what it was given before as well
        self.uncalled = Uncalled::default();
        if steps && !taken {
            warn!(worker = self.name, "a media worker is dead or hangs: steps were not taken");
        }
    }

    /// Gives the worker something that can wait until it is [`call`](Self::call)ed, or until there is much of it.
    pub fn put(&mut self, now: Instant, command: Command, urgency: Urgency) {
        if !self.worker.as_ref().is_some_and(|worker| worker.put(command)) {
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
        if let Some(worker) = &self.worker {
            worker.call();
        }
    }

    /// What it tells next.
    pub fn report(&mut self) -> Option<Report> {
        self.worker.as_ref()?.try_recv()
    }

    /// Replaces a dead worker by a fresh one. Where no thread can be had the lane stays empty and shows no life, so that the
    /// daemon's keeper has it started anew.
    pub fn restart(&mut self) {
        self.worker = None;
        self.uncalled = Uncalled::default();
        self.stats = Stats::default();
        self.worker = start(&self.name, self.epoch, &self.pulse, &self.wake).ok();
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        // First the thread: one that stands still is waited for, and must be seen to.
        self.worker = None;
        self.pulse.end();
    }
}

fn start(
    name: &str,
    epoch: Instant,
    pulse: &Pulse,
    wake: &Arc<dyn Fn() + Send + Sync>,
) -> io::Result<WorkerHandle> {
    let wake = Arc::clone(wake);
    Worker::spawn(name, epoch, pulse.clone(), Box::new(move || wake()))
}

/// Mean time from a picture's arrival to what was made of it.
pub fn mean_latency(lanes: &[Lane]) -> Option<Duration> {
    let sinks = lanes.iter().flat_map(|lane| &lane.stats.sinks);
    let (count, total) = sinks.fold((0_u64, Duration::ZERO), |(count, total), sink| {
        (count + sink.latency.count, total + sink.latency.total)
    });
    let nanos = total.as_nanos().checked_div(u128::from(count))?;
    Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
}
