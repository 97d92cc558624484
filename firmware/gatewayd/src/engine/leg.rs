//! The legs there are, as closed enums: callers' here, a new protocol being one arm; conferences' in [`meet`].

use base::leg::{HttpReply, HttpRequest, Leg, LegEffect, LegEvent, LegInput, StreamStats};
use base::{Machine, Output};
use domain::config;
use domain::reception::Desk;
use domain::routing::{CallType, Encryption, Rule};
use meet::ConferenceLeg;
use sip::session::{SessionCommand, SessionEvent};
use std::time::Instant;

/// A caller's leg.
pub enum CallerLeg {
    /// A SIP room.
    Sip(Box<sip::leg::Leg>),
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
    pub fn step(
        &mut self,
        now: Instant,
        input: LegStep<'_>,
        mut sink: impl FnMut(LegOutput),
    ) -> Option<Instant> {
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

    /// Holds it to the rule that took its call (P4).
    pub fn set_policy(&mut self, rule: &Rule, settings: &config::Sip) {
        match self {
            CallerLeg::Sip(leg) => leg.set_policy(policy(rule, settings)),
        }
    }

    /// Holds it to what the reception that answers its call wants.
    pub fn set_reception(&mut self, desk: &Desk, settings: &config::Sip) {
        match self {
            CallerLeg::Sip(leg) => {
                let encryption = encryption(desk.encryption.unwrap_or(settings.encryption));
                leg.set_policy(sip::leg::Policy { encryption, ..sip::leg::Policy::default() });
            }
        }
    }

    /// Its streams' figures.
    pub fn stats(&self) -> Vec<StreamStats> {
        match self {
            CallerLeg::Sip(leg) => leg.stats(),
        }
    }
}

/// Turns a conference's leg, of whatever connector. What is not for such a leg is dropped.
pub fn step_conference(
    leg: &mut ConferenceLeg,
    now: Instant,
    input: LegStep<'_>,
    mut sink: impl FnMut(LegOutput),
) -> Option<Instant> {
    let input = match input {
        LegStep::Leg(input) => meet::Input::Leg(input),
        LegStep::Http(reply) => meet::Input::Http(reply),
        LegStep::Session(_) => return None,
    };
    leg.step(now, input, |output| {
        sink(match output {
            Output::Effect(meet::Effect::Leg(effect)) => LegOutput::Effect(effect),
            Output::Effect(meet::Effect::Http(request)) => LegOutput::Http(request),
            Output::Event(event) => LegOutput::Event(event),
        });
    })
}

/// What a rule allows, in the words of the SIP leg.
fn policy(rule: &Rule, settings: &config::Sip) -> sip::leg::Policy {
    let all = sip::leg::Policy::default();
    let encryption = encryption(rule.encryption.unwrap_or(settings.encryption));
    let video = if rule.call_type == CallType::Audio { Vec::new() } else { all.video.clone() };
    // One limit serves both ways: SDP's b= line, and what we send.
    let max_bps = [rule.max_in_bps, rule.max_out_bps].into_iter().flatten().fold(all.max_bps, u64::min);
    sip::leg::Policy { encryption, video, max_bps, ..all }
}

const fn encryption(wanted: Encryption) -> sdp::Encryption {
    match wanted {
        Encryption::On => sdp::Encryption::On,
        Encryption::Off => sdp::Encryption::Off,
        Encryption::BestEffort => sdp::Encryption::BestEffort,
    }
}
