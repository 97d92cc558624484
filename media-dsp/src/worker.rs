//! The thin shell round a [`Graph`]: one loop, which takes commands from a [`Link`] and puts reports on it.
//!
//! ```text
//!  engine ─Command─▶ Link ─▶ serve: Graph ─Report─▶ Link ─▶ engine, called once for what comes together
//! ```
//!
//! The link is two bounded rings where the worker is a thread ([`Worker`]), and whatever its program has where it is a process. A panic
//! anywhere in the graph or in a codec's Rust half ends the worker, not the daemon: its last report is [`Report::Died`]. A crash
//! of a codec's C half takes the process with it, which is why messages are plain data and the box has a process for each worker.

use crate::graph::{Graph, Input};
use crate::message::{Command, Report};
use crate::queue::Queue;
use crate::ring::Ring;
pub use crate::ring::Taken;
use base::{Machine, Output, Pulse, earliest};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A worker that has nothing to do comes round so often all the same, to show that it lives.
pub const ROUND: Duration = Duration::from_millis(500);

/// How long sound may wait for that of other streams that is worked on next, so that the engine wakes up once for all of them.
const GATHER: Duration = Duration::from_millis(2);

/// A worker's way to its engine.
pub trait Link {
    /// The next command; waits for one until `until`.
    fn next(&mut self, until: Instant) -> Taken<Command>;

    /// A command waits.
    fn is_waiting(&self) -> bool;

    /// Takes a report. The engine is [`call`](Self::call)ed for it.
    fn put(&mut self, report: Report);

    /// Has the engine look at what was put.
    fn call(&mut self);

    /// The worker has come round: before each command, and at least every [`ROUND`].
    fn beat(&mut self);

    /// Frames that were dropped on the way, in both directions.
    fn dropped(&self) -> u64;
}

/// Turns a graph on the media clock that began at `epoch`, until the link is closed or it dies of a bug, which it then tells.
pub fn serve(epoch: Instant, link: &mut impl Link) {
    // the graph is dropped with the panic, so nobody sees it broken
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| turn(Graph::new(epoch, Instant::now), link))) {
        link.put(Report::Died { why: panic_text(&*panic) });
    }
}

fn turn(mut graph: Graph, link: &mut impl Link) {
    let mut wake = None;
    let mut untold: Option<Instant> = None;
    let mut told = Instant::now();
    loop {
        link.beat();
        let round = Instant::now() + ROUND;
        let input = match link.next(earliest(wake, Some(round)).unwrap_or(round)) {
            Taken::Item(command) => Input::Command(command),
            Taken::TimedOut if wake.is_none_or(|wake| Instant::now() < wake) => continue,
            Taken::TimedOut => Input::Timeout,
            Taken::Closed => return,
        };
        let mut made_picture = false;
        wake = graph.step(Instant::now(), input, |output| {
            let Output::Event(mut report) = output;
            if let Report::Stats(stats) = &mut report {
                stats.dropped = link.dropped();
            }
            let is_picture = report.is_picture();
            link.put(report);
            // A picture leaves at once: the largest layer must not wait until the smaller ones are encoded as well. Those take less, and what
            // comes within a moment goes together. Nor must the sound of many calls, which one step makes, wait until that of the last one is.
            let since = *untold.get_or_insert_with(Instant::now);
            if since.elapsed() >= GATHER || is_picture && told.elapsed() >= GATHER {
                (untold, told) = (None, Instant::now());
                link.call();
            }
            made_picture |= is_picture;
        });
        let at_work = wake.is_some_and(|wake| wake <= Instant::now()) || link.is_waiting();
        if untold.is_some_and(|since| !at_work || made_picture || since.elapsed() >= GATHER) {
            (untold, told) = (None, Instant::now());
            link.call();
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(|s| &**s));
    text.unwrap_or("panic without words").to_owned()
}

/// Called from the worker's thread whenever reports wait. It must be quick and must not block.
pub type Waker = Box<dyn Fn() + Send>;

/// Starts workers that are threads.
#[derive(Debug, Clone, Copy)]
pub struct Worker;

/// The engine's end of a worker. Dropping it stops the worker and waits for its thread.
#[derive(Debug)]
pub struct WorkerHandle {
    commands: Arc<Ring<Command>>,
    reports: Arc<Ring<Report>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts a thread called `name` with an empty graph on the media clock that began at `epoch`. It beats `pulse` before each
    /// command, and at least twice a second.
    ///
    /// # Errors
    /// Those of starting a thread.
    pub fn spawn(name: &str, epoch: Instant, pulse: Pulse, waker: Waker) -> std::io::Result<WorkerHandle> {
        let commands = Arc::new(Ring::new(Queue::default()));
        let reports = Arc::new(Ring::new(Queue::default()));
        let end = End { commands: Arc::clone(&commands), reports: Arc::clone(&reports), pulse, waker };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || end.run(epoch))?;
        Ok(WorkerHandle { commands, reports, thread: Some(thread) })
    }
}

impl WorkerHandle {
    /// Gives the worker a command. False if it has died, or does not come to its commands any more.
    pub fn send(&self, command: Command) -> bool {
        self.commands.push(command)
    }

    /// As [`send`](Self::send), but a worker that sleeps is left alone until it is [`call`](Self::call)ed: many commands then cost one
    /// wake-up.
    pub fn put(&self, command: Command) -> bool {
        self.commands.put(command)
    }

    /// Has the worker look at what was [`put`](Self::put).
    pub fn call(&self) {
        self.commands.call();
    }

    /// The next report, if there is one.
    #[must_use]
    pub fn try_recv(&self) -> Option<Report> {
        self.reports.try_pop()
    }

    /// The next report; waits until `until` at most. `None` if none came, or the worker is gone and all is read.
    #[must_use]
    pub fn recv(&self, until: Instant) -> Option<Report> {
        match self.reports.pop(until) {
            Taken::Item(report) => Some(report),
            Taken::TimedOut | Taken::Closed => None,
        }
    }
}

impl Drop for WorkerHandle {
    fn drop(&mut self) {
        self.commands.close();
        if let Some(thread) = self.thread.take() {
            // its panics were caught and told
            let _ = thread.join();
        }
    }
}

/// The thread's end.
struct End {
    commands: Arc<Ring<Command>>,
    reports: Arc<Ring<Report>>,
    pulse: Pulse,
    waker: Waker,
}

impl End {
    fn run(mut self, epoch: Instant) {
        serve(epoch, &mut self);
        self.commands.close();
        self.reports.close();
        (self.waker)();
    }
}

impl Link for End {
    fn next(&mut self, until: Instant) -> Taken<Command> {
        self.commands.pop(until)
    }

    fn is_waiting(&self) -> bool {
        !self.commands.is_empty()
    }

    fn put(&mut self, report: Report) {
        self.reports.push(report);
    }

    fn call(&mut self) {
        (self.waker)();
    }

    fn beat(&mut self) {
        self.pulse.beat();
    }

    fn dropped(&self) -> u64 {
        self.commands.dropped() + self.reports.dropped()
    }
}
