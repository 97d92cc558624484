//! Reliable provisional responses (RFC 3262): 100rel, RSeq, RAck, PRACK.
//!
//! ```text
//!  UAS  [idle] ──send──▶ [waiting for PRACK] ──PRACK──▶ [idle]
//!                          │ T1, doubling: again; 64 × T1: give the INVITE up
//!  UAC  1xx with RSeq: new (PRACK), repeated (ignore), out of order (ignore: it comes again)
//! ```

use crate::headers::RAck;
use crate::message::Method;
use crate::transaction::{T1, TRANSACTION_LIFE};
use std::time::{Duration, Instant};

/// What the timer of a reliable response wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Send it again.
    Again,
    /// No PRACK came: refuse the INVITE.
    GaveUp,
}

/// The server's side: at most one response waits for its PRACK.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sender {
    last: u32,
    waiting: Option<Waiting>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Waiting {
    rseq: u32,
    repeats: bool,
    again_at: Instant,
    interval: Duration,
    give_up_at: Instant,
}

impl Sender {
    /// Numbers a response that is sent now; the first number is `first`, 1 to 2^31 - 1 (section 3). `None` while
    /// another one still waits.
    pub fn send(&mut self, now: Instant, first: u32) -> Option<u32> {
        if self.waiting.is_some() {
            return None;
        }
        let rseq = if self.last == 0 { first.clamp(1, (1 << 31) - 1) } else { self.last.saturating_add(1) };
        self.last = rseq;
        let give_up_at = now + TRANSACTION_LIFE;
        self.waiting = Some(Waiting { rseq, repeats: true, again_at: now + T1, interval: T1, give_up_at });
        Some(rseq)
    }

    /// Takes a PRACK for the INVITE numbered `invite_seq`: whether it acknowledges what waits. If not, answer 481.
    pub fn take_prack(&mut self, rack: &RAck, invite_seq: u32) -> bool {
        let fits = |waiting: &mut Waiting| {
            waiting.rseq == rack.rseq && rack.cseq == invite_seq && rack.method == Method::Invite
        };
        self.waiting.take_if(fits).is_some()
    }

    /// A final response is sent: nothing is repeated any more, but a PRACK that is under way is still known.
    pub fn stop(&mut self) {
        if let Some(waiting) = &mut self.waiting {
            waiting.repeats = false;
        }
    }

    /// When it next wants something.
    #[must_use]
    pub fn wake(&self) -> Option<Instant> {
        self.waiting.as_ref().filter(|w| w.repeats).map(|w| w.again_at.min(w.give_up_at))
    }

    /// Takes what is due at `now`.
    pub fn take_due(&mut self, now: Instant) -> Option<Due> {
        let waiting = self.waiting.as_mut().filter(|waiting| waiting.repeats)?;
        if waiting.give_up_at <= now {
            self.waiting = None;
            return Some(Due::GaveUp);
        }
        if waiting.again_at > now {
            return None;
        }
        waiting.interval *= 2;
        waiting.again_at = now + waiting.interval;
        Some(Due::Again)
    }
}

/// What a reliable response is to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// The next one: send PRACK and use it.
    New,
    /// Seen already, or ahead of one that is missing: ignore it (section 4).
    NotNext,
}

/// The client's side, for one dialog.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Receiver {
    last: Option<u32>,
}

impl Receiver {
    /// Takes the RSeq of a response.
    pub fn take(&mut self, rseq: u32) -> Heard {
        let next = self.last.is_none_or(|last| last.checked_add(1) == Some(rseq));
        if next {
            self.last = Some(rseq);
            return Heard::New;
        }
        Heard::NotNext
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rack(rseq: u32) -> RAck {
        RAck { rseq, cseq: 7, method: Method::Invite }
    }

    #[test]
    fn a_reliable_response_repeats_doubling_and_is_given_up_after_32_seconds() {
        let start = Instant::now();
        let mut sender = Sender::default();
        assert_eq!(sender.send(start, 10), Some(10));
        let mut again = Vec::new();
        while let Some(wake) = sender.wake() {
            match sender.take_due(wake) {
                Some(Due::Again) => again.push((wake - start).as_millis()),
                Some(Due::GaveUp) => assert_eq!((wake - start).as_secs(), 32),
                None => unreachable!(),
            }
        }
        assert_eq!(again, [500, 1500, 3500, 7500, 15_500, 31_500]);
    }

    #[test]
    fn only_the_prack_that_fits_stops_it() {
        let mut sender = Sender::default();
        sender.send(Instant::now(), 10);
        assert!(!sender.take_prack(&rack(11), 7));
        assert!(!sender.take_prack(&rack(10), 8));
        assert!(sender.take_prack(&rack(10), 7));
        assert!(!sender.take_prack(&rack(10), 7));
        assert_eq!(sender.send(Instant::now(), 99), Some(11));
    }

    #[test]
    fn a_final_response_stops_the_repetition_but_a_late_prack_is_still_known() {
        let mut sender = Sender::default();
        sender.send(Instant::now(), 10);
        sender.stop();
        assert_eq!(sender.wake(), None);
        assert!(sender.take_prack(&rack(10), 7));
    }

    #[test]
    fn the_client_takes_responses_in_order_and_once() {
        let mut receiver = Receiver::default();
        assert_eq!(receiver.take(5), Heard::New);
        assert_eq!(receiver.take(5), Heard::NotNext);
        assert_eq!(receiver.take(7), Heard::NotNext);
        assert_eq!(receiver.take(6), Heard::New);
    }
}
