//! A worker that is a process: this very program, started again, which confines itself and then does nothing but code.
//!
//! ```text
//!  start ─▶ at work ─┬─ its end of the pipe is closed, or says what can't be ──┐
//!                    └─ it is silent for SILENT, at first STARTS ─▶ killed ────┴─▶ Report::Died, once ─▶ a new one is started
//! ```
//! Codecs in C eat what strangers send. What takes over one of them has a process without files, network or anybody to ask
//! ([`confined`](super::confined)); what crashes one costs its streams the time that a process takes to start and a key
//! picture to come.

use super::confined;
use crate::net::clock;
use crate::net::pipe::{Broken, Pipe};
use crate::net::poller::{Awaited, Registry, Token, Watch};
use media_dsp::{Command, Report, Step, worker};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// This program, whatever became of its file.
const OURSELVES: &str = "/proc/self/exe";
/// A worker shows that it lives twice a second; one that is silent for so long stands still, and is killed before whoever watches this
/// daemon's vital parts gives all of it up.
const SILENT: Duration = Duration::from_secs(3);
/// How long it may take to come up.
const STARTS: Duration = Duration::from_secs(10);
/// Most steps in one message: it shows that it lives between messages.
const STEPS: usize = 16;

/// The engine's end.
pub struct Process {
    child: Child,
    pipe: Pipe<Command, Report>,
    watch: Watch,
    awaited: Awaited,
    /// Something may be there to read.
    told: bool,
    state: State,
    /// How long it may be silent now.
    patience: Duration,
    /// For how long nothing was heard, counted in looks: a pause of the engine's is none of the worker's.
    silent: Duration,
    looked: Instant,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    AtWork,
    /// It was killed for this, or ended by itself. It is over when its end of the pipe is closed, which comes after its memory is given
    /// back: to wait for it is short then.
    Ending(Option<String>),
    Over,
}

impl Process {
    /// Starts a worker called `name` on the media clock that began at `epoch`; `registry` tells of it by `token`.
    ///
    /// # Errors
    /// If no process, socket or clock can be had.
    pub fn start(name: &str, epoch: Instant, registry: &Registry, token: Token) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let pipe = Pipe::new(ours)?;
        let watch = registry.add(&pipe, token)?;
        let child = std::process::Command::new(OURSELVES)
            .arg0(format!("gatewayd: {name}"))
            .args([confined::ARGUMENT, name, &clock::to_monotonic(epoch)?.to_string()])
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            // What ends the daemon from a terminal ends its workers when it has drained.
            .process_group(0)
            .spawn()?;
        let (awaited, told, state) = (Awaited::Packets, false, State::AtWork);
        let (patience, silent, looked) = (STARTS, Duration::ZERO, Instant::now());
        Ok(Self { child, pipe, watch, awaited, told, state, patience, silent, looked })
    }

    /// Takes a command, which goes with the next [`call`](Self::call). False if the worker is dead, or does not come to its commands any more.
    pub fn put(&mut self, command: Command) -> bool {
        if self.state != State::AtWork {
            return false;
        }
        match command {
            Command::Apply(steps) => {
                let mut parts = in_messages(steps);
                parts.all(|steps| self.pipe.put(Command::Apply(steps)))
            }
            other => self.pipe.put(other),
        }
    }

    /// Sends what was put, as far as there is room; the rest when there is.
    pub fn call(&mut self) {
        if self.state != State::AtWork {
            return;
        }
        if self.pipe.flush().is_err() {
            // Why is read from the other direction: its last words are there.
            return;
        }
        let awaited = if self.pipe.is_flushed() { Awaited::Packets } else { Awaited::PacketsOrRoom };
        if awaited != self.awaited && self.watch.wait_for(&self.pipe, awaited).is_ok() {
            self.awaited = awaited;
        }
    }

    /// The kernel says that it told something.
    pub fn told(&mut self) {
        self.told = true;
    }

    /// What it tells next.
    pub fn try_recv(&mut self) -> Option<Report> {
        while self.told && self.state == State::AtWork {
            match self.pipe.take() {
                Ok(Some(Report::Died { why })) => self.kill(why),
                Ok(Some(report)) => {
                    (self.silent, self.patience) = (Duration::ZERO, SILENT);
                    return Some(self.with_dropped(report));
                }
                Ok(None) => self.told = false,
                Err(Broken::Closed) => self.state = State::Ending(None),
                Err(error) => self.kill(error.to_string()),
            }
        }
        self.ended()
    }

    /// Its last report, once it is over.
    fn ended(&mut self) -> Option<Report> {
        let State::Ending(why) = &mut self.state else { return None };
        if !std::mem::take(&mut self.told) || !self.pipe.discard() {
            return None;
        }
        let why = why.take();
        self.state = State::Over;
        let status = self.end();
        Some(Report::Died { why: why.unwrap_or(status) })
    }

    fn kill(&mut self, why: String) {
        self.state = State::Ending(Some(why));
        // What is over already can't be killed.
        drop(self.child.kill());
    }

    /// It counts what it drops itself, and not what was dropped because it did not come to it.
    fn with_dropped(&self, mut report: Report) -> Report {
        if let Report::Stats(stats) = &mut report {
            stats.dropped = stats.dropped.saturating_add(self.pipe.dropped());
        }
        report
    }

    /// Sees to it that a worker which stands still is ended.
    pub fn look(&mut self, now: Instant) {
        let since = now.saturating_duration_since(self.looked);
        self.looked = now;
        self.silent += since.min(worker::ROUND);
        if self.silent >= self.patience && self.state == State::AtWork {
            self.kill(format!("nothing was heard of it for {:?}", self.silent));
        }
    }

    /// Ends what is left of it, and says how it ended.
    fn end(&mut self) -> String {
        // What is over can't be killed; what is not has nothing to put in order.
        drop(self.child.kill());
        self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// Steps in messages of a few, and of their own where they carry pictures or sounds, so that none is too long; in their order.
fn in_messages(steps: Vec<Step>) -> impl Iterator<Item = Vec<Step>> {
    let heavy = |step: &Step| matches!(step, Step::Show { .. } | Step::Play { .. });
    let mut rest = steps.into_iter().peekable();
    std::iter::from_fn(move || {
        let first = rest.next()?;
        let mut message = vec![first];
        while message.len() < STEPS
            && !heavy(&message[0])
            && let Some(step) = rest.next_if(|step| !heavy(step))
        {
            message.push(step);
        }
        Some(message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Size;
    use media_dsp::{SourceId, Still};

    #[test]
    fn pictures_travel_alone_and_the_order_of_steps_stays() {
        let still = || Still::new(Size::new(2, 2), vec![0; 6].into()).expect("a still picture");
        let (show, remove) =
            (|n| Step::Show { source: SourceId(n), still: still() }, |n| Step::RemoveSource(SourceId(n)));
        let steps = vec![remove(1), remove(2), show(3), show(4), remove(5)];
        let messages: Vec<Vec<Step>> = in_messages(steps).collect();
        let many: Vec<Step> = (0..40).map(remove).collect();
        assert_eq!(in_messages(many.clone()).collect::<Vec<_>>().concat(), many);
        assert!(in_messages(many).all(|message| message.len() <= STEPS));
        assert_eq!(messages, [vec![remove(1), remove(2)], vec![show(3)], vec![show(4)], vec![remove(5)]]);
    }
}
