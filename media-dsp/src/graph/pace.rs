//! Time inside a graph: the moment of a step, stage meters, and a gate that keeps to a frame rate.

use crate::message::Stage;
use base::MediaTime;
use std::time::{Duration, Instant};

/// A picture that comes this long after its arrival shows that the worker can't keep up. Less than half of what a full
/// ring holds, so that work is shed before frames are lost.
const LATE: Duration = Duration::from_millis(300);
/// Of pictures that come late one in this many is encoded.
pub(super) const SHED: u32 = 4;

/// The moment of one step, and how to measure time spent in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// The step's own time; all decisions go by it.
    pub now: MediaTime,
    began: Instant,
    stopwatch: fn() -> Instant,
}

impl Moment {
    pub fn new(now: MediaTime, stopwatch: fn() -> Instant) -> Self {
        Self { now, began: stopwatch(), stopwatch }
    }

    /// Runs `work` and notes how long it took. Only figures go by it.
    pub fn measure<T>(&self, stage: &mut Stage, work: impl FnOnce() -> T) -> T {
        let began = (self.stopwatch)();
        let result = work();
        stage.note((self.stopwatch)().saturating_duration_since(began));
        result
    }

    /// Whether the worker is behind: what arrived at `arrived` comes to it this late.
    pub fn is_late(&self, arrived: MediaTime) -> bool {
        self.now.saturating_since(arrived) > LATE
    }

    /// How long ago `then` is, counting the time spent in this step.
    pub fn since(&self, then: MediaTime) -> Duration {
        self.now.saturating_since(then) + (self.stopwatch)().saturating_duration_since(self.began)
    }
}

impl Stage {
    /// Notes one more that took `time`.
    pub(super) fn note(&mut self, time: Duration) {
        self.count += 1;
        self.total += time;
        self.longest = self.longest.max(time);
    }
}

/// Lets frames through at no more than a rate, without dropping those that jitter about it.
///
/// The generic cell rate algorithm (ITU-T I.371 annex A) with a tolerance of half a frame: frames may come up to half a
/// frame time early, and over any longer time there are no more than the rate allows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gate {
    frame: Duration,
    /// When the next frame is expected.
    next: MediaTime,
}

impl Gate {
    pub fn new(max_fps: u32) -> Self {
        Self { frame: Duration::from_secs(1) / max_fps.clamp(1, 60), next: MediaTime(0) }
    }

    /// The time of one frame.
    pub fn frame(&self) -> Duration {
        self.frame
    }

    /// The earliest time at which a frame may pass.
    pub fn opens(&self) -> MediaTime {
        MediaTime(self.next.0.saturating_sub(nanos(self.frame / 2)))
    }

    /// Whether a frame may pass at `now`; if so it is counted.
    pub fn pass(&mut self, now: MediaTime) -> bool {
        if now < self.opens() {
            return false;
        }
        let late = MediaTime(now.0.saturating_sub(nanos(self.frame / 2)));
        self.next = self.next.max(late) + self.frame;
        true
    }
}

pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(times: impl Iterator<Item = u64>, fps: u32) -> usize {
        let mut gate = Gate::new(fps);
        times.filter(|&ms| gate.pass(MediaTime(ms * 1_000_000))).count()
    }

    #[test]
    fn frames_that_jitter_about_the_rate_all_pass() {
        let jittered = (0..300_u64).map(|n| 1000 + n * 100 / 3 + [0, 12, 3, 14, 7][n as usize % 5]);
        assert_eq!(passed(jittered, 30), 300);
    }

    #[test]
    fn twice_the_rate_is_halved() {
        let count = passed((0..600_u64).map(|n| 1000 + n * 50 / 3), 30);
        assert!((300..=302).contains(&count), "{count}");
        assert!((150..=152).contains(&passed((0..600_u64).map(|n| 1000 + n * 50 / 3), 15)));
    }
}
