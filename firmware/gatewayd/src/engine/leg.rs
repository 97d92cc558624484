//! The legs there are, as closed enums: a new protocol is one arm here.

use base::leg::{Caps, HttpReply, HttpRequest, Leg, LegEffect, LegEvent, LegInput, StreamStats};
use base::{Machine, Output};
use sip::session::{SessionCommand, SessionEvent};
use std::time::Instant;

/// A caller's leg.
pub enum CallerLeg {
    /// A SIP room.
    Sip(Box<sip::leg::Leg>),
}

/// A conference's leg.
pub enum ConferenceLeg {
    /// Our own protocol.
    Interop(Box<meet::interop::Leg>),
}

/// What a leg takes besides what every leg takes.
pub enum LegStep<'a> {
    /// What every leg takes.
    Leg(LegInput<'a>),
    /// The SIP endpoint tells something of its session.
    Session(SessionEvent),
    /// A reply to one of its requests.
    Http(HttpReply),
}

/// What came out of a leg.
pub enum LegOutput {
    /// What every leg does.
    Effect(LegEffect),
    /// A command for its SIP session.
    Session(SessionCommand),
    /// A request to be made.
    Http(HttpRequest),
    /// What every leg tells.
    Event(LegEvent),
}

impl CallerLeg {
    /// Turns it. What is not for this kind of leg is dropped.
    pub fn step(&mut self, now: Instant, input: LegStep<'_>, mut sink: impl FnMut(LegOutput)) -> Option<Instant> {
        match self {
            CallerLeg::Sip(leg) => {
                let input = match input {
                    LegStep::Leg(input) => sip::leg::Input::Leg(input),
                    LegStep::Session(event) => sip::leg::Input::Session(event),
                    LegStep::Http(_) => return None,
                };
                leg.step(now, input, |output| {
                    sink(match output {
                        Output::Effect(sip::leg::Effect::Leg(effect)) => LegOutput::Effect(effect),
                        Output::Effect(sip::leg::Effect::Session(command)) => LegOutput::Session(command),
                        Output::Event(event) => LegOutput::Event(event),
                    });
                })
            }
        }
    }

    /// Its streams' figures.
    pub fn stats(&self) -> Vec<StreamStats> {
        match self {
            CallerLeg::Sip(leg) => leg.stats(),
        }
    }

    /// What it can do.
    pub fn caps(&self) -> Caps {
        match self {
            CallerLeg::Sip(leg) => leg.caps(),
        }
    }
}

impl ConferenceLeg {
    /// Turns it. What is not for this kind of leg is dropped.
    pub fn step(&mut self, now: Instant, input: LegStep<'_>, mut sink: impl FnMut(LegOutput)) -> Option<Instant> {
        match self {
            ConferenceLeg::Interop(leg) => {
                let input = match input {
                    LegStep::Leg(input) => meet::interop::Input::Leg(input),
                    LegStep::Http(reply) => meet::interop::Input::Http(reply),
                    LegStep::Session(_) => return None,
                };
                leg.step(now, input, |output| {
                    sink(match output {
                        Output::Effect(meet::interop::Effect::Leg(effect)) => LegOutput::Effect(effect),
                        Output::Effect(meet::interop::Effect::Http(request)) => LegOutput::Http(request),
                        Output::Event(event) => LegOutput::Event(event),
                    });
                })
            }
        }
    }

    /// Its streams' figures.
    pub fn stats(&self) -> Vec<StreamStats> {
        match self {
            ConferenceLeg::Interop(leg) => leg.stats(),
        }
    }

    /// What it can do.
    pub fn caps(&self) -> Caps {
        match self {
            ConferenceLeg::Interop(leg) => leg.caps(),
        }
    }
}
