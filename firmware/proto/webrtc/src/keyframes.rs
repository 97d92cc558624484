//! How often key frames are asked for, both ways; requests that come in go through a [`Throttle`](rtp::Throttle).

use std::time::{Duration, Instant};

/// Least time between two requests, either way.
pub(crate) const INTERVAL: Duration = Duration::from_millis(500);
/// Least time before a request for a picture that never came is repeated.
const REPEAT: Duration = Duration::from_millis(700);
/// Most repeats.
const REPEATS: u8 = 8;

/// A key frame that we want of one of the peer's streams: asked for until it comes.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    next: Option<Instant>,
    last: Option<Instant>,
    left: u8,
}

impl Wanted {
    /// Wants one; [`timeout`](Wanted::timeout) says when to ask.
    pub fn want(&mut self, now: Instant) {
        if self.next.is_none() {
            let earliest = self.last.map_or(now, |last| last + INTERVAL);
            self.next = Some(earliest.max(now));
        }
        self.left = REPEATS;
    }

    /// It came.
    pub fn came(&mut self) {
        self.next = None;
        self.left = 0;
    }

    /// Says whether to ask now.
    pub fn timeout(&mut self, now: Instant) -> bool {
        if self.next.is_none_or(|at| at > now) {
            return false;
        }
        self.last = Some(now);
        self.left = self.left.saturating_sub(1);
        self.next = (self.left > 0).then(|| now + REPEAT);
        true
    }

    /// When to ask.
    pub fn due(&self) -> Option<Instant> {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_that_does_not_come_is_asked_for_again_but_not_for_ever() {
        let mut now = Instant::now();
        let mut wanted = Wanted::default();
        wanted.want(now);
        let mut asked = 0;
        while let Some(at) = wanted.due() {
            now = at;
            asked += u32::from(wanted.timeout(now));
        }
        assert_eq!(asked, u32::from(REPEATS));
    }

    #[test]
    fn a_picture_that_came_is_not_asked_for_again() {
        let now = Instant::now();
        let mut wanted = Wanted::default();
        wanted.want(now);
        assert!(wanted.timeout(now));
        wanted.came();
        assert_eq!(wanted.due(), None);
        wanted.want(now);
        assert!(!wanted.timeout(now), "too soon after the last");
        assert!(wanted.timeout(now + INTERVAL));
    }
}
