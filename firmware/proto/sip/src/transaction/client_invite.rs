//! The INVITE client transaction (RFC 3261 17.1.1, RFC 6026 7.2).
//!
//! ```text
//!            INVITE sent
//!                 ▼         A: again
//!          ┌── Calling ──┬──────────▶ B: timed out
//!          │    1xx│     │
//!          │       ▼     │
//!       2xx│  Proceeding │300-699: ACK
//!          ▼   2xx│  │   ▼
//!       Accepted ◀┘  └▶ Completed
//!          │ M           │ D
//!          └─▶ Terminated ◀┘
//! ```

use super::{Class, ClientAction, ClientInput, Reliability, T1, TIMER_D, TRANSACTION_LIFE};
use crate::deadlines::Deadlines;
use std::time::{Duration, Instant};

/// Where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Sent, nothing heard.
    Calling,
    /// A provisional response came.
    Proceeding,
    /// A failure came and was acknowledged.
    Completed,
    /// A 2xx came; its retransmissions and those of other forks pass through.
    Accepted,
    /// Over.
    Terminated,
}

/// Its timers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timer {
    /// Repeats the request: T1, doubling.
    A,
    /// Gives up: 64 × T1.
    B,
    /// Acknowledges repeated failures: 32 s.
    D,
    /// Hears repeated 2xx: 64 × T1.
    M,
}

/// The machine. It begins as the INVITE is sent for the first time.
#[derive(Debug)]
pub struct ClientInvite {
    state: State,
    reliability: Reliability,
    interval: Duration,
    timers: Deadlines<Timer>,
}

enum Cue {
    Response(Class),
    TransportError,
    Fired(Timer),
}

impl ClientInvite {
    /// A transaction whose INVITE was sent at `now`.
    #[must_use]
    pub fn new(now: Instant, reliability: Reliability) -> Self {
        let mut timers = Deadlines::default();
        timers.arm(Timer::B, now + TRANSACTION_LIFE);
        if reliability == Reliability::Unreliable {
            timers.arm(Timer::A, now + T1);
        }
        Self { state: State::Calling, reliability, interval: T1, timers }
    }

    /// Where it stands.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// When its next timer fires.
    #[must_use]
    pub fn wake(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Takes one input.
    pub fn step(&mut self, now: Instant, input: ClientInput, mut act: impl FnMut(ClientAction)) {
        let cue = match input {
            ClientInput::Response(class) => Cue::Response(class),
            ClientInput::TransportError => Cue::TransportError,
            ClientInput::Timeout => {
                while let Some(timer) = self.timers.take_due(now) {
                    self.advance(now, Cue::Fired(timer), &mut act);
                }
                return;
            }
        };
        self.advance(now, cue, &mut act);
    }

    fn advance(&mut self, now: Instant, cue: Cue, act: &mut impl FnMut(ClientAction)) {
        match (self.state, cue) {
            (State::Calling, Cue::Fired(Timer::A)) => {
                act(ClientAction::Send);
                self.interval *= 2;
                self.timers.arm(Timer::A, now + self.interval);
            }
            (State::Calling, Cue::Fired(Timer::B)) => {
                act(ClientAction::TimedOut);
                self.terminate(act);
            }
            (State::Calling | State::Proceeding, Cue::Response(Class::Provisional)) => {
                self.timers.clear();
                self.state = State::Proceeding;
                act(ClientAction::Pass);
            }
            (State::Calling | State::Proceeding, Cue::Response(Class::Success)) => {
                self.timers.clear();
                self.timers.arm(Timer::M, now + TRANSACTION_LIFE);
                self.state = State::Accepted;
                act(ClientAction::Pass);
            }
            (State::Calling | State::Proceeding, Cue::Response(Class::Failure)) => {
                act(ClientAction::Ack);
                act(ClientAction::Pass);
                self.complete(now, act);
            }
            (State::Calling | State::Proceeding | State::Completed, Cue::TransportError) => {
                act(ClientAction::TransportFailed);
                self.terminate(act);
            }
            // D and M run in later states; A and B stop at the first response.
            (State::Calling, Cue::Fired(Timer::D | Timer::M)) | (State::Proceeding, Cue::Fired(_)) => {}

            (State::Completed, Cue::Response(Class::Failure)) => act(ClientAction::Ack),
            (State::Completed, Cue::Fired(Timer::D)) => self.terminate(act),
            (State::Completed, Cue::Response(Class::Provisional | Class::Success))
            | (State::Completed, Cue::Fired(Timer::A | Timer::B | Timer::M)) => {}

            (State::Accepted, Cue::Response(Class::Success)) => act(ClientAction::Pass),
            (State::Accepted, Cue::Fired(Timer::M)) => self.terminate(act),
            // The ACK of a 2xx is the session's: that it could not be sent is not this transaction's failure.
            (State::Accepted, Cue::TransportError)
            | (State::Accepted, Cue::Response(Class::Provisional | Class::Failure))
            | (State::Accepted, Cue::Fired(Timer::A | Timer::B | Timer::D)) => {}

            (State::Terminated, _) => {}
        }
    }

    fn complete(&mut self, now: Instant, act: &mut impl FnMut(ClientAction)) {
        self.timers.clear();
        self.state = State::Completed;
        match self.reliability {
            Reliability::Unreliable => self.timers.arm(Timer::D, now + TIMER_D),
            Reliability::Reliable => self.terminate(act),
        }
    }

    fn terminate(&mut self, act: &mut impl FnMut(ClientAction)) {
        self.timers.clear();
        self.state = State::Terminated;
        act(ClientAction::Terminated);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(machine: &mut ClientInvite, at: Instant, input: ClientInput) -> Vec<ClientAction> {
        let mut actions = Vec::new();
        machine.step(at, input, |action| actions.push(action));
        actions
    }

    #[test]
    fn timer_a_doubles_without_bound_and_timer_b_gives_up_after_32_seconds() {
        let start = Instant::now();
        let mut machine = ClientInvite::new(start, Reliability::Unreliable);
        let mut sent_at = Vec::new();
        while let Some(wake) = machine.wake() {
            let actions = step(&mut machine, wake, ClientInput::Timeout);
            if actions == [ClientAction::Send] {
                sent_at.push((wake - start).as_millis());
            } else {
                assert_eq!((wake - start).as_secs(), 32);
                assert_eq!(actions, [ClientAction::TimedOut, ClientAction::Terminated]);
            }
        }
        assert_eq!(sent_at, [500, 1500, 3500, 7500, 15_500, 31_500]);
    }

    #[test]
    fn a_provisional_response_stops_both_timers() {
        let start = Instant::now();
        let mut machine = ClientInvite::new(start, Reliability::Unreliable);
        step(&mut machine, start, ClientInput::Response(Class::Provisional));
        assert_eq!((machine.state(), machine.wake()), (State::Proceeding, None));
    }

    #[test]
    fn each_repeated_failure_is_acknowledged_but_told_once_until_timer_d() {
        let start = Instant::now();
        let mut machine = ClientInvite::new(start, Reliability::Unreliable);
        let failure = ClientInput::Response(Class::Failure);
        assert_eq!(step(&mut machine, start, failure), [ClientAction::Ack, ClientAction::Pass]);
        assert_eq!(step(&mut machine, start, failure), [ClientAction::Ack]);
        let end = start + Duration::from_secs(32);
        assert_eq!(machine.wake(), Some(end));
        assert_eq!(step(&mut machine, end, ClientInput::Timeout), [ClientAction::Terminated]);
    }

    #[test]
    fn every_2xx_is_told_until_timer_m_so_that_a_lost_ack_is_sent_again() {
        let start = Instant::now();
        let mut machine = ClientInvite::new(start, Reliability::Unreliable);
        let success = ClientInput::Response(Class::Success);
        assert_eq!(step(&mut machine, start, success), [ClientAction::Pass]);
        assert_eq!(step(&mut machine, start, success), [ClientAction::Pass]);
        assert_eq!(machine.wake(), Some(start + Duration::from_secs(32)));
    }

    #[test]
    fn over_a_reliable_transport_a_failure_ends_it_at_once() {
        let start = Instant::now();
        let mut machine = ClientInvite::new(start, Reliability::Reliable);
        let actions = step(&mut machine, start, ClientInput::Response(Class::Failure));
        assert_eq!(actions, [ClientAction::Ack, ClientAction::Pass, ClientAction::Terminated]);
    }
}
