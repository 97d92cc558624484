//! Keyframe requests, both ways, throttled.
//!
//! ```text
//!  (content) ─want─▶ (wanted) ─a keyframe came─▶ (content)
//!                       └ every 500 ms, while packets come: ask
//! ```

use std::time::{Duration, Instant};

/// Least time between two requests of ours.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// Least time between two of the peer's that are told.
const TELL_EVERY: Duration = Duration::from_millis(250);
/// A full intra request with the sequence number of the one before is a repetition for so long (RFC 5104 4.3.1.1).
const SAME_FIR: Duration = Duration::from_secs(2);

/// Our requests to the peer.
#[derive(Debug, Default)]
pub(super) struct Asking {
    wanted: bool,
    asked: Option<Instant>,
    /// Packets came since it was asked: the peer is alive and did not understand, or the request was lost.
    heard: bool,
}

impl Asking {
    pub(super) fn want(&mut self) {
        self.wanted = true;
    }

    pub(super) fn came(&mut self) {
        self.wanted = false;
    }

    pub(super) fn packet(&mut self) {
        self.heard = true;
    }

    /// Whether to ask now; says yes once for each request.
    pub(super) fn due(&mut self, now: Instant) -> bool {
        let due = self.poll_at().is_some_and(|at| at <= now) || self.wanted && self.asked.is_none();
        if due {
            (self.asked, self.heard) = (Some(now), false);
        }
        due
    }

    pub(super) fn poll_at(&self) -> Option<Instant> {
        let asked = self.asked.filter(|_| self.wanted && self.heard)?;
        Some(asked + ASK_EVERY)
    }
}

/// The peer's requests to us.
#[derive(Debug, Default)]
pub(super) struct Asked {
    told: Option<Instant>,
    fir: Option<(u8, Instant)>,
}

impl Asked {
    /// A picture loss indication came; whether to tell it.
    pub(super) fn pli(&mut self, now: Instant) -> bool {
        let tell = self.told.is_none_or(|told| now.saturating_duration_since(told) >= TELL_EVERY);
        if tell {
            self.told = Some(now);
        }
        tell
    }

    /// A full intra request came; whether to tell it.
    pub(super) fn fir(&mut self, now: Instant, sequence: u8) -> bool {
        let again = self
            .fir
            .is_some_and(|(before, at)| before == sequence && now.saturating_duration_since(at) < SAME_FIR);
        if again {
            return false;
        }
        self.fir = Some((sequence, now));
        self.pli(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn it_asks_at_once_and_each_half_second_until_a_keyframe_comes() {
        let (mut asking, now) = (Asking::default(), Instant::now());
        assert!(!asking.due(now));
        asking.want();
        assert!(asking.due(now) && !asking.due(now));
        asking.packet();
        asking.want();
        assert!(!asking.due(now + 499 * MS));
        assert_eq!(asking.poll_at(), Some(now + ASK_EVERY));
        assert!(asking.due(now + ASK_EVERY));
        asking.packet();
        asking.came();
        assert_eq!(asking.poll_at(), None);
        assert!(!asking.due(now + 10 * ASK_EVERY));
    }

    #[test]
    fn a_peer_that_sends_nothing_is_not_asked_over_and_over() {
        let (mut asking, now) = (Asking::default(), Instant::now());
        asking.want();
        assert!(asking.due(now));
        assert_eq!(asking.poll_at(), None);
        assert!(!asking.due(now + 10 * ASK_EVERY));
    }

    #[test]
    fn a_repeated_full_intra_request_is_told_once() {
        let (mut asked, now) = (Asked::default(), Instant::now());
        assert!(asked.fir(now, 1));
        assert!(!asked.fir(now + 500 * MS, 1));
        assert!(asked.fir(now + 600 * MS, 2));
        assert!(!asked.pli(now + 700 * MS));
        assert!(asked.pli(now + 900 * MS));
    }
}
