//! One worker thread, restarted when it dies.

use base::{Pulse, limits};
use media_dsp::{Command, Report, Stats, Worker, WorkerHandle};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::warn;

/// So many commands are worth a wake-up: an eighth of what the worker's ring holds.
const MUCH: usize = limits::RING_FRAMES / 8;

/// A worker and what is needed to start it again.
pub struct Lane {
    name: String,
    epoch: Instant,
    worker: Option<WorkerHandle>,
    wake: Arc<dyn Fn() + Send + Sync>,
    pulse: Pulse,
    /// How much it was given without being called.
    uncalled: usize,
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
        Ok(Self { name, epoch, worker, wake, pulse, uncalled: 0, stats: Stats::default() })
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
        if steps && !taken {
            warn!(worker = self.name, "a media worker is dead or hangs: steps were not taken");
        }
    }

    /// Gives the worker something that can wait until it is [`call`](Self::call)ed, or until there is much of it.
    pub fn put(&mut self, command: Command) {
        self.uncalled += usize::from(self.worker.as_ref().is_some_and(|worker| worker.put(command)));
        if self.uncalled >= MUCH {
            self.call();
        }
    }

    /// Has the worker look at what it was given.
    pub fn call(&mut self) {
        if std::mem::take(&mut self.uncalled) > 0
            && let Some(worker) = &self.worker
        {
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
