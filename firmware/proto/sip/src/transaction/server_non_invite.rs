//! The non-INVITE server transaction (RFC 3261 17.2.2).
//!
//! ```text
//!  request ─▶ Trying ─1xx─▶ Proceeding ─┐
//!                └──200-699──▶ Completed ◀┘ ──J──▶ Terminated
//! ```

use super::{Class, Reliability, ServerAction, ServerInput, TRANSACTION_LIFE};
use crate::deadlines::Deadlines;
use std::time::Instant;

/// Where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No response yet.
    Trying,
    /// A provisional response was sent.
    Proceeding,
    /// The final response was sent; it answers retransmissions.
    Completed,
    /// Over.
    Terminated,
}

/// Its timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timer {
    /// Answers retransmissions: 64 × T1, not at all over reliable transports.
    J,
}

/// The machine. It begins as the request comes in.
#[derive(Debug)]
pub struct ServerNonInvite {
    state: State,
    reliability: Reliability,
    timers: Deadlines<Timer>,
}

enum Cue {
    Request,
    Ack,
    Respond(Class),
    TransportError,
    Fired(Timer),
}

impl ServerNonInvite {
    /// A transaction for a request that came in over such a transport.
    #[must_use]
    pub fn new(reliability: Reliability) -> Self {
        Self { state: State::Trying, reliability, timers: Deadlines::default() }
    }

    /// Where it stands.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// When its timer fires.
    #[must_use]
    pub fn wake(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Takes one input.
    pub fn step(&mut self, now: Instant, input: ServerInput, mut act: impl FnMut(ServerAction)) {
        let cue = match input {
            ServerInput::Request => Cue::Request,
            ServerInput::Ack => Cue::Ack,
            ServerInput::Respond(class) => Cue::Respond(class),
            ServerInput::TransportError => Cue::TransportError,
            ServerInput::Timeout => match self.timers.take_due(now) {
                Some(timer) => Cue::Fired(timer),
                None => return,
            },
        };
        self.advance(now, cue, &mut act);
    }

    fn advance(&mut self, now: Instant, cue: Cue, act: &mut impl FnMut(ServerAction)) {
        match (self.state, cue) {
            (State::Trying | State::Proceeding, Cue::Respond(Class::Provisional)) => {
                act(ServerAction::Send);
                self.state = State::Proceeding;
            }
            (State::Trying | State::Proceeding, Cue::Respond(Class::Success | Class::Failure)) => {
                act(ServerAction::Send);
                self.complete(now, act);
            }
            (State::Proceeding | State::Completed, Cue::Request) => act(ServerAction::Send),
            // Over a reliable transport the response that ended it may still be on its way.
            (_, Cue::TransportError) => act(ServerAction::TransportFailed),
            (State::Completed, Cue::Fired(Timer::J)) => self.terminate(act),

            // Trying has no response to repeat; ACK belongs to INVITE alone; the final response stands.
            (State::Trying, Cue::Request)
            | (State::Trying | State::Proceeding, Cue::Ack | Cue::Fired(Timer::J))
            | (State::Completed, Cue::Ack | Cue::Respond(_))
            | (State::Terminated, Cue::Request | Cue::Ack | Cue::Respond(_) | Cue::Fired(_)) => {}
        }
    }

    fn complete(&mut self, now: Instant, act: &mut impl FnMut(ServerAction)) {
        self.state = State::Completed;
        match self.reliability {
            Reliability::Unreliable => self.timers.arm(Timer::J, now + TRANSACTION_LIFE),
            Reliability::Reliable => self.terminate(act),
        }
    }

    fn terminate(&mut self, act: &mut impl FnMut(ServerAction)) {
        self.timers.clear();
        self.state = State::Terminated;
        act(ServerAction::Terminated);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn step(machine: &mut ServerNonInvite, at: Instant, input: ServerInput) -> Vec<ServerAction> {
        let mut actions = Vec::new();
        machine.step(at, input, |action| actions.push(action));
        actions
    }

    #[test]
    fn the_final_response_answers_retransmissions_until_timer_j() {
        let start = Instant::now();
        let mut machine = ServerNonInvite::new(Reliability::Unreliable);
        assert_eq!(step(&mut machine, start, ServerInput::Request), []);
        assert_eq!(step(&mut machine, start, ServerInput::Respond(Class::Success)), [ServerAction::Send]);
        assert_eq!(step(&mut machine, start, ServerInput::Request), [ServerAction::Send]);
        assert_eq!(machine.wake(), Some(start + Duration::from_secs(32)));
        let end = start + Duration::from_secs(32);
        assert_eq!(step(&mut machine, end, ServerInput::Timeout), [ServerAction::Terminated]);
    }

    #[test]
    fn over_a_reliable_transport_the_final_response_ends_it() {
        let start = Instant::now();
        let mut machine = ServerNonInvite::new(Reliability::Reliable);
        let actions = step(&mut machine, start, ServerInput::Respond(Class::Failure));
        assert_eq!(actions, [ServerAction::Send, ServerAction::Terminated]);
    }
}
