//! Requests for key pictures that come in: a key picture is large, and an impatient peer asks again and again.

use std::time::{Duration, Instant};

/// The first request passes at once, the rest at an interval, none is forgotten: what was made for the last one may have got lost.
#[derive(Debug)]
pub struct Throttle {
    interval: Duration,
    last: Option<Instant>,
    waiting: Option<Instant>,
}

impl Throttle {
    /// No two pass within less than `interval`.
    #[must_use]
    pub const fn new(interval: Duration) -> Self {
        Self { interval, last: None, waiting: None }
    }

    /// Takes a request; says whether to pass it on now.
    pub fn ask(&mut self, now: Instant) -> bool {
        let earliest = self.last.map_or(now, |last| last + self.interval);
        self.waiting.get_or_insert(earliest.max(now));
        self.timeout(now)
    }

    /// Says whether a request that waited is due.
    pub fn timeout(&mut self, now: Instant) -> bool {
        let due = self.due().is_some_and(|at| at <= now);
        if due {
            self.last = Some(now);
            self.waiting = None;
        }
        due
    }

    /// When the waiting request is due.
    #[must_use]
    pub const fn due(&self) -> Option<Instant> {
        self.waiting
    }

    /// When the last one passed.
    #[must_use]
    pub const fn last(&self) -> Option<Instant> {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_request_passes_at_once_and_a_flood_becomes_two_a_second() {
        let start = Instant::now();
        let mut throttle = Throttle::new(Duration::from_millis(500));
        let passed = (0..1_000).filter(|ms| throttle.ask(start + Duration::from_millis(*ms))).count();
        assert_eq!(passed, 2);
        assert!(throttle.timeout(throttle.due().expect("the last one waits")));
        assert_eq!(throttle.due(), None);
    }
}
