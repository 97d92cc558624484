//! Keyframe requests, both ways, throttled.
//!
//! ```text
//!  ours     (content) ─want─▶ (wanted) ─a keyframe came─▶ (content)
//!                                └ every 500 ms, while packets come: ask
//!  theirs   PLI, FIR ─▶ told ─▶ for 50 ms and a round trip: about the same picture ─▶ then, up to 250 ms: kept, and told then
//! ```

use crate::throttle::Throttle;
use std::time::{Duration, Instant};

/// Least time between two requests of ours.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// Least time between two of the peer's that are told.
const TELL_EVERY: Duration = Duration::from_millis(250);
/// How long until the key picture that was asked for leaves: it is the next one that is taken.
const MADE: Duration = Duration::from_millis(50);
/// So many packets in 256 (2 %) are a heavy loss.
const HEAVY: u8 = 5;
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
#[derive(Debug)]
pub(super) struct Asked {
    told: Throttle,
    fir: Option<(u8, Instant)>,
    /// Whether it asked since its last report.
    lately: bool,
    /// Whether so many packets were lost by that report that a request may have been as well.
    heavy: bool,
}

impl Default for Asked {
    fn default() -> Self {
        Self { told: Throttle::new(TELL_EVERY), fir: None, lately: false, heavy: false }
    }
}

impl Asked {
    /// A picture loss indication came; whether to tell it. What comes before the peer can have seen the last key picture is about the same
    /// loss; what comes later may be about that key picture, so it is not forgotten.
    pub(super) fn pli(&mut self, now: Instant, round_trip: Option<Duration>) -> bool {
        self.lately = true;
        !self.is_on_its_way(now, round_trip) && self.told.ask(now)
    }

    /// A full intra request came; whether to tell it. One that is met by the key picture on its way is not remembered: should that get lost, the peer
    /// repeats the request.
    pub(super) fn fir(&mut self, now: Instant, sequence: u8, round_trip: Option<Duration>) -> bool {
        let again = self
            .fir
            .is_some_and(|(before, at)| before == sequence && now.saturating_duration_since(at) < SAME_FIR);
        if again {
            return false;
        }
        if !self.is_on_its_way(now, round_trip) {
            self.fir = Some((sequence, now));
        }
        self.pli(now, round_trip)
    }

    /// Whether the peer can't have seen yet what its last request made. The round trip is the peer's word, so it counts for no longer than
    /// requests are kept apart anyway.
    fn is_on_its_way(&self, now: Instant, round_trip: Option<Duration>) -> bool {
        let seen = MADE.saturating_add(round_trip.unwrap_or_default()).min(TELL_EVERY);
        self.told.last().is_some_and(|told| now.saturating_duration_since(told) < seen)
    }

    /// A report came, by which so many packets in 256 got lost; whether to tell that a key picture is needed.
    ///
    /// A peer that asked since the report before has what it wants. One that did not can't ask. And where much gets lost a request does as well: the last
    /// one of a storm, after which a picture that nobody asks for again stays broken for good.
    pub(super) fn report(&mut self, now: Instant, lost: u8) -> bool {
        let asked = std::mem::take(&mut self.lately);
        let heavy = std::mem::replace(&mut self.heavy, lost >= HEAVY) || lost >= HEAVY;
        lost > 0 && (heavy || !asked) && self.told.ask(now)
    }

    /// Whether to tell a request that was kept.
    pub(super) fn due(&mut self, now: Instant) -> bool {
        self.told.timeout(now)
    }

    pub(super) fn poll_at(&self) -> Option<Instant> {
        self.told.due()
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
        assert!(asked.fir(now, 1, None));
        assert!(!asked.fir(now + 500 * MS, 1, None));
        assert!(asked.fir(now + 600 * MS, 2, None));
        assert_eq!(asked.poll_at(), None);
    }

    #[test]
    fn a_request_that_comes_soon_after_another_is_told_later_unless_it_is_about_the_same_picture() {
        let (mut asked, now) = (Asked::default(), Instant::now());
        let far = Some(100 * MS);
        assert!(asked.pli(now, far));
        assert!(!asked.pli(now + 149 * MS, far));
        assert_eq!(asked.poll_at(), None, "the first key picture is still on its way");
        assert!(!asked.pli(now + 150 * MS, far), "that one came broken");
        assert_eq!(asked.poll_at(), Some(now + TELL_EVERY));
        assert!(asked.due(now + TELL_EVERY) && !asked.due(now + 2 * TELL_EVERY));
        assert!(asked.pli(now + 2 * TELL_EVERY, far));
    }

    #[test]
    fn a_full_intra_request_met_by_a_key_picture_that_got_lost_is_told_when_it_is_repeated() {
        let (mut asked, now) = (Asked::default(), Instant::now());
        assert!(asked.pli(now, None));
        assert!(!asked.fir(now + 20 * MS, 1, None), "its picture is on its way");
        assert!(asked.fir(now + 520 * MS, 1, None));
    }

    #[test]
    fn no_round_trip_that_a_peer_makes_up_silences_its_requests() {
        let (mut asked, now) = (Asked::default(), Instant::now());
        let long = Some(Duration::MAX);
        assert!(asked.pli(now, long));
        assert!(!asked.pli(now + TELL_EVERY - MS, long));
        assert!(asked.pli(now + TELL_EVERY, long));
    }

    #[test]
    fn a_report_of_loss_is_a_request_of_a_peer_that_did_not_ask() {
        let (mut asked, now) = (Asked::default(), Instant::now());
        let second = 1_000 * MS;
        assert!(!asked.report(now, 0));
        assert!(asked.report(now + second, 1));
        assert!(asked.pli(now + 2 * second, None));
        assert!(!asked.report(now + 3 * second, 1), "it has asked for itself");
        assert!(asked.report(now + 4 * second, 1));
    }

    #[test]
    fn after_a_heavy_loss_a_report_is_a_request_though_the_peer_has_asked() {
        let (mut asked, now) = (Asked::default(), Instant::now());
        let second = 1_000 * MS;
        for (n, (lost, told)) in
            (0..).zip([(26, true), (1, true), (1, false), (0, false), (26, true), (0, false)])
        {
            assert!(asked.pli(now + 2 * n * second, None));
            assert_eq!(asked.report(now + (2 * n + 1) * second, lost), told, "{n}: {lost} of 256");
        }
    }
}
