//! The non-INVITE client transaction (RFC 3261 17.1.2).
//!
//! ```text
//!  request sent ─▶ Trying ─1xx─▶ Proceeding ─┐      E: again, F: timed out
//!                     └──200-699─▶ Completed ◀┘ ──K──▶ Terminated
//! ```

use super::{Class, ClientAction, ClientInput, Reliability, T1, T2, T4, TRANSACTION_LIFE};
use crate::deadlines::Deadlines;
use std::time::{Duration, Instant};

/// Where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Sent, nothing heard.
    Trying,
    /// A provisional response came.
    Proceeding,
    /// A final response came; its retransmissions are absorbed.
    Completed,
    /// Over.
    Terminated,
}

/// Its timers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timer {
    /// Repeats the request: T1, doubling to T2; T2 once a provisional came.
    E,
    /// Gives up: 64 × T1.
    F,
    /// Absorbs repeated responses: T4.
    K,
}

/// The machine. It begins as the request is sent for the first time.
#[derive(Debug)]
pub struct ClientNonInvite {
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

impl ClientNonInvite {
    /// A transaction whose request was sent at `now`.
    #[must_use]
    pub fn new(now: Instant, reliability: Reliability) -> Self {
        let mut timers = Deadlines::default();
        timers.arm(Timer::F, now + TRANSACTION_LIFE);
        if reliability == Reliability::Unreliable {
            timers.arm(Timer::E, now + T1);
        }
        Self { state: State::Trying, reliability, interval: T1, timers }
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
            (State::Trying, Cue::Fired(Timer::E)) => {
                act(ClientAction::Send);
                self.interval = (self.interval * 2).min(T2);
                self.timers.arm(Timer::E, now + self.interval);
            }
            (State::Proceeding, Cue::Fired(Timer::E)) => {
                act(ClientAction::Send);
                self.timers.arm(Timer::E, now + T2);
            }
            (State::Trying | State::Proceeding, Cue::Fired(Timer::F)) => {
                act(ClientAction::TimedOut);
                self.terminate(act);
            }
            (State::Trying | State::Proceeding, Cue::Response(Class::Provisional)) => {
                self.state = State::Proceeding;
                act(ClientAction::Pass);
            }
            (State::Trying | State::Proceeding, Cue::Response(Class::Success | Class::Failure)) => {
                act(ClientAction::Pass);
                self.complete(now, act);
            }
            (State::Trying | State::Proceeding, Cue::TransportError) => {
                act(ClientAction::TransportFailed);
                self.terminate(act);
            }
            (State::Completed, Cue::Fired(Timer::K)) => self.terminate(act),

            // K runs in Completed alone, E and F never do; repeated responses are absorbed.
            (State::Trying | State::Proceeding, Cue::Fired(Timer::K))
            | (State::Completed, Cue::Response(_) | Cue::TransportError | Cue::Fired(Timer::E | Timer::F))
            | (State::Terminated, _) => {}
        }
    }

    fn complete(&mut self, now: Instant, act: &mut impl FnMut(ClientAction)) {
        self.timers.clear();
        self.state = State::Completed;
        match self.reliability {
            Reliability::Unreliable => self.timers.arm(Timer::K, now + T4),
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

    fn step(machine: &mut ClientNonInvite, at: Instant, input: ClientInput) -> Vec<ClientAction> {
        let mut actions = Vec::new();
        machine.step(at, input, |action| actions.push(action));
        actions
    }

    #[test]
    fn timer_e_doubles_to_t2_and_timer_f_gives_up_after_32_seconds() {
        let start = Instant::now();
        let mut machine = ClientNonInvite::new(start, Reliability::Unreliable);
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
        assert_eq!(sent_at, [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    }

    #[test]
    fn a_final_response_is_told_once_and_timer_k_absorbs_repetitions_for_t4() {
        let start = Instant::now();
        let mut machine = ClientNonInvite::new(start, Reliability::Unreliable);
        let success = ClientInput::Response(Class::Success);
        assert_eq!(step(&mut machine, start, success), [ClientAction::Pass]);
        assert_eq!(step(&mut machine, start, success), []);
        assert_eq!(machine.wake(), Some(start + T4));
        assert_eq!(step(&mut machine, start + T4, ClientInput::Timeout), [ClientAction::Terminated]);
    }

    #[test]
    fn after_a_provisional_response_the_request_repeats_every_t2() {
        let start = Instant::now();
        let mut machine = ClientNonInvite::new(start, Reliability::Unreliable);
        step(&mut machine, start, ClientInput::Response(Class::Provisional));
        assert_eq!(step(&mut machine, start + T1, ClientInput::Timeout), [ClientAction::Send]);
        assert_eq!(machine.wake(), Some(start + T1 + T2));
    }
}
