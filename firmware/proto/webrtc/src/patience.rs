//! Which of str0m's timers can wait for a moment at which the session is turned anyhow.
//!
//! What it does by the clock while a session stands, feedback and estimates, can wait a little and be done with the next packet. What its
//! pacer lets through can't.

use base::Beat;
use std::time::{Duration, Instant};
use str0m::{PacerReason, Reason};

/// While str0m probes the network its pacer sends every other millisecond; so long after it did it may be at it.
const PROBING: Duration = Duration::from_millis(20);

/// Moves a session's timers that can wait.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    /// When the pacer last wanted to send for a probe.
    probed: Option<Instant>,
}

impl Patience {
    /// When a session that wants to be woken `at` this moment for this `reason` is. It names the first reason alone, so while it probes nothing
    /// waits: a probe with a gap measures a slow network.
    pub(crate) fn wake(&mut self, now: Instant, at: Instant, reason: Reason) -> Instant {
        if matches!(reason, Reason::Pacer(PacerReason::Probe1 | PacerReason::Probe2)) {
            self.probed = Some(now);
        }
        let probes = self.probed.is_some_and(|probed| now < probed + PROBING);
        if probes || matches!(reason, Reason::Pacer(_)) { at } else { at.max(now + Beat::NEAR) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_pace_packets_waits_unless_a_probe_may_be_under_way() {
        let (mut patience, now) = (Patience::default(), Instant::now());
        let ms = |ms| now + Duration::from_millis(ms);
        assert_eq!(patience.wake(now, ms(1), Reason::Nack), now + Beat::NEAR);
        assert_eq!(patience.wake(now, ms(30), Reason::Twcc), ms(30));
        assert_eq!(patience.wake(now, ms(1), Reason::Pacer(PacerReason::Paced)), ms(1));
        assert_eq!(patience.wake(now, ms(2), Reason::Pacer(PacerReason::Probe1)), ms(2));
        assert_eq!(patience.wake(ms(2), ms(3), Reason::Nack), ms(3), "the pacer may be next");
        assert_eq!(patience.wake(ms(30), ms(31), Reason::Nack), ms(30) + Beat::NEAR);
    }
}
