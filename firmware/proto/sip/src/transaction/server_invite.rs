//! The INVITE server transaction (RFC 3261 17.2.1, RFC 6026 7.1).
//!
//! ```text
//!               INVITE
//!                 ▼
//!          ┌─ Proceeding ─┐
//!       2xx│              │300-699
//!          ▼              ▼        ACK
//!       Accepted      Completed ────────▶ Confirmed
//!          │ L            │ H                 │ I
//!          └──────────────┴─▶ Terminated ◀────┘
//! ```
//! G repeats the failure response until ACK; retransmitting a 2xx is the session's business (13.3.1.4).

use super::{Class, Reliability, ServerAction, ServerInput, T1, T2, T4, TRANSACTION_LIFE};
use crate::deadlines::Deadlines;
use std::time::{Duration, Instant};

/// Where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No final response yet.
    Proceeding,
    /// A failure was sent, its ACK is awaited.
    Completed,
    /// A 2xx was sent; its retransmissions and ACKs pass through.
    Accepted,
    /// The ACK for the failure came; later ones are absorbed.
    Confirmed,
    /// Over.
    Terminated,
}

/// Its timers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timer {
    /// Repeats the failure response: T1, doubling to T2.
    G,
    /// Gives up on the ACK: 64 × T1.
    H,
    /// Absorbs late ACKs: T4.
    I,
    /// Absorbs late INVITEs after a 2xx: 64 × T1.
    L,
}

/// The machine. It begins as the INVITE comes in.
#[derive(Debug)]
pub struct ServerInvite {
    state: State,
    reliability: Reliability,
    interval: Duration,
    answered_once: bool,
    timers: Deadlines<Timer>,
}

enum Cue {
    Request,
    Ack,
    Respond(Class),
    TransportError,
    Fired(Timer),
}

impl ServerInvite {
    /// A transaction for an INVITE that came in over such a transport.
    #[must_use]
    pub fn new(reliability: Reliability) -> Self {
        Self {
            state: State::Proceeding,
            reliability,
            interval: T1,
            answered_once: false,
            timers: Deadlines::default(),
        }
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
    pub fn step(&mut self, now: Instant, input: ServerInput, mut act: impl FnMut(ServerAction)) {
        let cue = match input {
            ServerInput::Request => Cue::Request,
            ServerInput::Ack => Cue::Ack,
            ServerInput::Respond(class) => Cue::Respond(class),
            ServerInput::TransportError => Cue::TransportError,
            ServerInput::Timeout => {
                while let Some(timer) = self.timers.take_due(now) {
                    self.advance(now, Cue::Fired(timer), &mut act);
                }
                return;
            }
        };
        self.advance(now, cue, &mut act);
    }

    fn advance(&mut self, now: Instant, cue: Cue, act: &mut impl FnMut(ServerAction)) {
        match (self.state, cue) {
            (State::Proceeding, Cue::Request) => {
                if self.answered_once {
                    act(ServerAction::Send);
                }
            }
            (State::Proceeding, Cue::Respond(Class::Provisional)) => {
                self.answered_once = true;
                act(ServerAction::Send);
            }
            (State::Proceeding, Cue::Respond(Class::Success)) => {
                act(ServerAction::Send);
                self.timers.arm(Timer::L, now + TRANSACTION_LIFE);
                self.state = State::Accepted;
            }
            (State::Proceeding, Cue::Respond(Class::Failure)) => {
                act(ServerAction::Send);
                self.complete(now);
            }
            (State::Proceeding, Cue::TransportError) => act(ServerAction::TransportFailed),
            // An ACK before any final response belongs to nothing here; no timer runs in this state.
            (State::Proceeding, Cue::Ack | Cue::Fired(_)) => {}

            (State::Completed, Cue::Request) => act(ServerAction::Send),
            (State::Completed, Cue::Ack) => self.confirm(now, act),
            (State::Completed, Cue::Fired(Timer::G)) => {
                act(ServerAction::Send);
                self.interval = (self.interval * 2).min(T2);
                self.timers.arm(Timer::G, now + self.interval);
            }
            (State::Completed, Cue::Fired(Timer::H)) => {
                act(ServerAction::TimedOut);
                self.terminate(act);
            }
            (State::Completed, Cue::TransportError) => act(ServerAction::TransportFailed),
            // The final response stands; I and L run in other states.
            (State::Completed, Cue::Respond(_) | Cue::Fired(Timer::I | Timer::L)) => {}

            (State::Accepted, Cue::Respond(Class::Success)) => act(ServerAction::Send),
            (State::Accepted, Cue::Ack) => act(ServerAction::PassAck),
            (State::Accepted, Cue::TransportError) => act(ServerAction::TransportFailed),
            (State::Accepted, Cue::Fired(Timer::L)) => self.terminate(act),
            // A retransmitted INVITE is absorbed: the session repeats its 2xx by itself.
            (State::Accepted, Cue::Request)
            | (State::Accepted, Cue::Respond(Class::Provisional | Class::Failure))
            | (State::Accepted, Cue::Fired(Timer::G | Timer::H | Timer::I)) => {}

            (State::Confirmed, Cue::Fired(Timer::I)) => self.terminate(act),
            (State::Confirmed, Cue::Request | Cue::Ack | Cue::Respond(_) | Cue::TransportError)
            | (State::Confirmed, Cue::Fired(Timer::G | Timer::H | Timer::L)) => {}

            (State::Terminated, _) => {}
        }
    }

    fn complete(&mut self, now: Instant) {
        self.state = State::Completed;
        self.timers.arm(Timer::H, now + TRANSACTION_LIFE);
        if self.reliability == Reliability::Unreliable {
            self.timers.arm(Timer::G, now + self.interval);
        }
    }

    fn confirm(&mut self, now: Instant, act: &mut impl FnMut(ServerAction)) {
        self.timers.clear();
        match self.reliability {
            Reliability::Unreliable => {
                self.state = State::Confirmed;
                self.timers.arm(Timer::I, now + T4);
            }
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

    struct Rig {
        machine: ServerInvite,
        start: Instant,
    }

    impl Rig {
        fn new(reliability: Reliability) -> Self {
            Self { machine: ServerInvite::new(reliability), start: Instant::now() }
        }

        fn at(&mut self, millis: u64, input: ServerInput) -> Vec<ServerAction> {
            let mut actions = Vec::new();
            self.machine
                .step(self.start + Duration::from_millis(millis), input, |action| actions.push(action));
            actions
        }

        fn wake_millis(&self) -> Option<u128> {
            self.machine.wake().map(|at| (at - self.start).as_millis())
        }
    }

    #[test]
    fn timer_g_repeats_a_failure_doubling_to_t2_and_timer_h_gives_up_after_32_seconds() {
        let mut rig = Rig::new(Reliability::Unreliable);
        assert_eq!(rig.at(0, ServerInput::Respond(Class::Failure)), [ServerAction::Send]);
        let mut sent_at = Vec::new();
        while let Some(wake) = rig.wake_millis() {
            let actions = rig.at(u64::try_from(wake).unwrap(), ServerInput::Timeout);
            if actions.contains(&ServerAction::Send) {
                sent_at.push(wake);
            }
            if actions.contains(&ServerAction::TimedOut) {
                assert_eq!(wake, 32_000);
                assert_eq!(actions, [ServerAction::TimedOut, ServerAction::Terminated]);
            }
        }
        assert_eq!(sent_at, [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    }

    #[test]
    fn an_ack_stops_the_failure_and_timer_i_absorbs_late_ones_for_t4() {
        let mut rig = Rig::new(Reliability::Unreliable);
        rig.at(0, ServerInput::Respond(Class::Failure));
        assert_eq!(rig.at(100, ServerInput::Ack), []);
        assert_eq!(rig.machine.state(), State::Confirmed);
        assert_eq!(rig.at(200, ServerInput::Ack), []);
        assert_eq!(rig.wake_millis(), Some(5100));
        assert_eq!(rig.at(5100, ServerInput::Timeout), [ServerAction::Terminated]);
    }

    #[test]
    fn over_a_reliable_transport_nothing_is_repeated_and_an_ack_ends_it_at_once() {
        let mut rig = Rig::new(Reliability::Reliable);
        rig.at(0, ServerInput::Respond(Class::Failure));
        assert_eq!(rig.wake_millis(), Some(32_000));
        assert_eq!(rig.at(10, ServerInput::Ack), [ServerAction::Terminated]);
    }

    #[test]
    fn a_2xx_leaves_it_accepted_for_timer_l_passing_acks_and_absorbing_invites() {
        let mut rig = Rig::new(Reliability::Unreliable);
        assert_eq!(rig.at(0, ServerInput::Respond(Class::Success)), [ServerAction::Send]);
        assert_eq!(rig.at(10, ServerInput::Request), []);
        assert_eq!(rig.at(20, ServerInput::Respond(Class::Success)), [ServerAction::Send]);
        assert_eq!(rig.at(30, ServerInput::Ack), [ServerAction::PassAck]);
        assert_eq!(rig.at(40, ServerInput::Respond(Class::Failure)), []);
        assert_eq!(rig.at(32_000, ServerInput::Timeout), [ServerAction::Terminated]);
    }

    #[test]
    fn a_retransmitted_invite_gets_the_last_provisional_again_once_there_is_one() {
        let mut rig = Rig::new(Reliability::Unreliable);
        assert_eq!(rig.at(0, ServerInput::Request), []);
        rig.at(0, ServerInput::Respond(Class::Provisional));
        assert_eq!(rig.at(500, ServerInput::Request), [ServerAction::Send]);
    }
}
