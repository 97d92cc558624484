//! The contract of a machine: one input in, every output out, and when to come back.
//!
//! Everything that speaks a protocol or decides something is a machine: it owns no clock, socket, file or
//! thread, so a test turns it in virtual time and the engine turns it in real time, and both see the same.

use std::time::Instant;

/// What a machine hands out while it takes one input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output<Effect, Event> {
    /// Something to be done to the world: send a packet, open a connection.
    Effect(Effect),
    /// Something the owner of the machine should know.
    Event(Event),
}

/// A pure state machine.
///
/// One call of [`step`](Machine::step) takes one input and hands every output to `sink` before it returns, so
/// nobody can forget to drain it. It never blocks and never panics on any input; what a peer sent wrongly is an
/// event and a protocol answer, not an error.
pub trait Machine {
    /// What the machine takes: packets, commands, and the passing of time.
    type Input<'a>;
    /// What it wants done.
    type Effect;
    /// What it has to tell.
    type Event;

    /// Takes one input at `now` and returns when it wants to be woken, if at all. A wake-up in the past is one at once: when all that is at hand is
    /// taken in, and the work that this makes can be done once.
    ///
    /// `now` is the time the network card stamped on a packet, or the engine's clock for everything else. It may
    /// stand still between calls but never runs backwards by more than a packet may wait on its socket; machines use
    /// saturating arithmetic on it.
    fn step(
        &mut self,
        now: Instant,
        input: Self::Input<'_>,
        sink: impl FnMut(Output<Self::Effect, Self::Event>),
    ) -> Option<Instant>;
}

/// The earlier of two wake-ups, where `None` is never.
#[must_use]
pub fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_earlier_wake_up_wins_and_never_is_later_than_any() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        assert_eq!(earliest(Some(later), Some(now)), Some(now));
        assert_eq!(earliest(None, Some(later)), Some(later));
        assert_eq!(earliest(Some(later), None), Some(later));
        assert_eq!(earliest(None, None), None);
    }
}
