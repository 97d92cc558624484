//! One worker thread, restarted when it dies.

use media_dsp::{Command, Report, Stats, Worker};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// A worker and what is needed to start it again.
pub struct Lane {
    name: String,
    worker: Option<Worker>,
    wake: Arc<dyn Fn() + Send + Sync>,
    /// What it last said of itself.
    pub stats: Stats,
}

impl Lane {
    /// Starts a worker called `name`.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn new(name: &str, wake: &Arc<dyn Fn() + Send + Sync>) -> io::Result<Self> {
        let wake = Arc::clone(wake);
        let worker = start(name, &wake)?;
        Ok(Self { name: name.to_owned(), worker: Some(worker), wake, stats: Stats::default() })
    }

    /// Tells the worker; what a dead or full one does not take is dropped, as on a network.
    pub fn send(&mut self, command: Command) {
        if let Some(worker) = &self.worker {
            worker.send(command);
        }
    }

    /// What it tells next.
    pub fn report(&mut self) -> Option<Report> {
        self.worker.as_ref()?.report()
    }

    /// Replaces a dead worker by a fresh one. Where no thread can be had the lane stays empty: its calls have neither sound nor
    /// picture until the next restart, and the box lives.
    pub fn restart(&mut self) {
        self.worker = None;
        self.stats = Stats::default();
        self.worker = start(&self.name, &self.wake).ok();
    }
}

fn start(name: &str, wake: &Arc<dyn Fn() + Send + Sync>) -> io::Result<Worker> {
    let wake = Arc::clone(wake);
    Worker::spawn(name, Box::new(move || wake()))
}

/// Mean time from a picture's arrival to what was made of it.
pub fn mean_latency(lanes: &[Lane]) -> Option<Duration> {
    let sinks = lanes.iter().flat_map(|lane| &lane.stats.sinks);
    let (count, total) =
        sinks.fold((0_u64, Duration::ZERO), |(count, total), sink| (count + sink.latency.count, total + sink.latency.total));
    let nanos = total.as_nanos().checked_div(u128::from(count))?;
    Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
}
