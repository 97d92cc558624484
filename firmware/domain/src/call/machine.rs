//! The call's states and timers; drawn in [`super`].

use super::attend::KeyedBy;
use super::keys::Code;
use super::{ANSWER, Call, CallEffect, CallEvent, CallInput, ENDING, JOIN, Life, Operator, Phase, Route};
use crate::api::Kind as Resource;
use crate::media::{Indicators, MediaPlan, Side};
use crate::reception::Input;
use crate::routing::{Decision, Direction, Target};
use base::leg::{Dialled, Join, LegCommand, LegEvent, Trust};
use base::machine::{Machine, Output, earliest};
use base::{Cause, Fault, Kind, MediaKind, Pii, limits};
use std::time::Instant;

/// What comes out of a call, before anybody took it.
pub(super) type Out<'s> = &'s mut dyn FnMut(Output<CallEffect, CallEvent>);

impl Machine for Call {
    type Input<'a> = CallInput;
    type Effect = CallEffect;
    type Event = CallEvent;

    fn step(
        &mut self,
        now: Instant,
        input: CallInput,
        mut sink: impl FnMut(Output<CallEffect, CallEvent>),
    ) -> Option<Instant> {
        let before = self.state();
        self.turn(now, input, &mut sink);
        let seats = self.replan(now, &mut sink);
        let state = self.state();
        if state != before {
            sink(Output::Event(CallEvent::State(state)));
        }
        if let (Phase::Ending { cause, during, .. }, Life::Over, Life::Over | Life::Unborn) =
            (self.phase, self.caller.life, self.conference.life)
        {
            self.phase = Phase::Ended;
            sink(Output::Event(CallEvent::State(self.state())));
            sink(Output::Event(CallEvent::Ended { cause, during }));
        }
        earliest(self.deadline(), seats)
    }
}

impl Call {
    fn turn(&mut self, now: Instant, input: CallInput, out: Out<'_>) {
        match (self.phase, input) {
            // A leg of the conference's that ends before its caller is in leaves the caller in the reception.
            (
                Phase::Joining { .. } | Phase::Lobby { .. },
                CallInput::Leg(Side::Conference, LegEvent::Ended(cause)),
            ) if self.guest.is_some() => {
                self.turned_away(now, cause, out);
            }
            (Phase::Reception { .. }, CallInput::Leg(Side::Conference, LegEvent::Ended(_))) => {
                self.conference.life = Life::Over;
            }
            // A leg's end ends the call, in whatever other state, with the same cause.
            (_, CallInput::Leg(side, LegEvent::Ended(cause))) => {
                self.leg(side).life = Life::Over;
                self.end(now, cause, out);
            }
            // What is over takes everything and does nothing.
            (Phase::Ended, _)
            | (
                Phase::Ending { .. },
                CallInput::Leg(..) | CallInput::KeyframeNeeded(..) | CallInput::Tone(..) | CallInput::Said(_),
            ) => {}
            (Phase::Ending { ending, .. }, CallInput::Timeout) => self.give_up(now, ending),
            (Phase::Ending { .. }, CallInput::Operator(_)) => {}

            (_, CallInput::Operator(Operator::HangUp)) => {
                self.end(now, Cause::new(Fault::Operator, Kind::HungUp), out);
            }
            (_, CallInput::Operator(Operator::Drain { deadline })) => self.drain = Some(deadline),
            (_, CallInput::Timeout) => self.timeout(now, out),
            (_, CallInput::KeyframeNeeded(side, stream)) => {
                out(Output::Effect(CallEffect::Leg(side, LegCommand::RequestKeyframe(stream))));
            }

            (_, CallInput::Tone(Side::Caller, key)) => self.keyed(now, key, KeyedBy::Tone, out),
            (_, CallInput::Tone(Side::Conference, _)) => {}
            (_, CallInput::Said(number)) => self.visit(now, Input::Said(number), out),

            (Phase::Incoming, CallInput::Leg(Side::Caller, LegEvent::Incoming(dialled))) => {
                self.begin(now, dialled, out);
            }
            (Phase::Joining { .. }, CallInput::Leg(Side::Conference, LegEvent::Lobby { until })) => {
                self.phase = Phase::Lobby { lobby: until.min(now + limits::LOBBY) };
                self.wait_in_lobby(now, out);
            }
            (Phase::Reception { answer: Some(_) }, CallInput::Leg(Side::Caller, LegEvent::Connected)) => {
                self.phase = Phase::Reception { answer: None };
                self.visit(now, Input::Begin, out);
            }
            (
                Phase::Joining { .. } | Phase::Lobby { .. },
                CallInput::Leg(Side::Conference, LegEvent::Connected),
            ) if self.guest.is_some() => {
                self.guest = None;
                self.phase = Phase::Connected;
            }
            (
                Phase::Joining { .. } | Phase::Lobby { .. },
                CallInput::Leg(Side::Conference, LegEvent::Connected),
            ) => {
                out(Output::Effect(CallEffect::Leg(Side::Caller, LegCommand::Accept)));
                self.phase = Phase::Connecting { answer: now + ANSWER };
            }
            (Phase::Connecting { .. }, CallInput::Leg(Side::Caller, LegEvent::Connected)) => {
                self.phase = Phase::Connected;
            }
            // What does not change the state is only noted.
            (
                Phase::Incoming
                | Phase::Reception { .. }
                | Phase::Joining { .. }
                | Phase::Lobby { .. }
                | Phase::Connecting { .. }
                | Phase::Connected,
                CallInput::Leg(side, event),
            ) => self.note(now, side, event, out),
        }
    }

    fn begin(&mut self, now: Instant, dialled: Dialled, out: Out<'_>) {
        if self.drain.is_some() {
            return self.end(now, Cause::new(Fault::Gateway, Kind::Draining), out);
        }
        let config = self.config.clone();
        if let Some(desk) = config.reception(&dialled.alias) {
            return self.receive(now, desk.clone(), dialled, out);
        }
        let Some(decision) = config.router.route(&dialled, Direction::Incoming) else {
            return self.end(now, Cause::new(Fault::Caller, Kind::NoRoute), out);
        };
        let Target::Conference { connector, token } = &decision.rule.target else {
            return self.end(now, Cause::new(Fault::Gateway, Kind::NoRoute), out);
        };
        if let Err(cause) = self.enter(now, dialled, &decision, (connector, token), out) {
            self.end(now, cause, out);
        }
    }

    /// Joins the conference that a rule decided on.
    pub(super) fn enter(
        &mut self,
        now: Instant,
        dialled: Dialled,
        decision: &Decision<'_>,
        (connector, token): (&str, &str),
        out: Out<'_>,
    ) -> Result<(), Cause> {
        let config = self.config.clone();
        let token = config.token(token).ok_or(Cause::new(Fault::Gateway, Kind::InternalError))?;
        if config.unreadable.contains(&(Resource::AccessTokens, token.name.clone())) {
            return Err(Cause::new(Fault::Operator, Kind::TokenUnreadable));
        }
        let trust = match (token.trust, decision.rule.treat_as) {
            (Trust::Untrusted, Trust::Untrusted) => Trust::Untrusted,
            (Trust::Trusted, _) | (_, Trust::Trusted) => Trust::Trusted,
        };
        let join = Join {
            call: self.id,
            meeting: decision.alias.clone(),
            pin: decision.pin.clone(),
            display_name: dialled.display_name.clone(),
            trust,
            access_token: token.value.clone(),
            max_bps: limits::CONFERENCE_BPS,
        };
        let routed = CallEvent::Routed {
            rule: decision.rule.name.clone(),
            tag: decision.rule.tag.clone(),
            meeting: decision.alias.clone(),
        };
        self.route = Some(Route {
            dialled,
            rule: decision.rule.clone(),
            connector: connector.to_owned(),
            meeting: decision.alias.clone(),
        });
        self.conference.life = Life::Open;
        self.phase = Phase::Joining { join: now + JOIN };
        out(Output::Event(routed));
        if self.guest.is_none() {
            out(Output::Effect(CallEffect::Leg(Side::Caller, LegCommand::Ring)));
        }
        out(Output::Effect(CallEffect::Join { connector: connector.to_owned(), join }));
        Ok(())
    }

    fn note(&mut self, now: Instant, side: Side, event: LegEvent, out: Out<'_>) {
        match (side, event) {
            (_, LegEvent::Media(media)) => {
                let leg = self.leg(side);
                // the next sound begins without a loss that anybody told
                if media.send.iter().all(|stream| stream.kind != MediaKind::Audio) {
                    leg.sound_loss = 0;
                }
                leg.media = media;
            }
            (_, LegEvent::Bandwidth(bps)) => self.leg(side).bandwidth = Some(bps),
            (_, LegEvent::SoundLoss(percent)) => self.leg(side).sound_loss = percent,
            (_, LegEvent::KeyframeWanted(stream)) => {
                if self.seen.plan.feeds(side, stream) {
                    out(Output::Effect(CallEffect::ForceKeyframe(side, stream)));
                }
            }
            (Side::Conference, LegEvent::Roster(mut roster)) => {
                roster.truncate(limits::ROSTER);
                let visible = roster.iter().filter(|person| person.video).map(|person| person.id.clone());
                self.seen.seating.set_visible(visible.collect());
                self.seen.roster = roster;
            }
            (Side::Conference, LegEvent::Speaker(who)) => self.seen.seating.speaks(now, who),
            (Side::Conference, LegEvent::Indicators { recording, streaming }) => {
                self.seen.indicators = Indicators { recording, streaming };
            }
            (Side::Caller, LegEvent::Dtmf(key)) if self.guest.is_some() => {
                self.keyed(now, key, KeyedBy::Signal, out);
            }
            (Side::Caller, LegEvent::Dtmf(key)) => match self.seen.keys.press(now, key) {
                Some(Code::NextLayout) => self.seen.layout = self.seen.layout.next(),
                None => {}
            },
            (_, LegEvent::Chat { from, text }) => self.chat(side, &from, text, out),
            // Nothing to decide: alerting, states told twice, and what only the other kind of leg has.
            (
                _,
                LegEvent::Incoming(_)
                | LegEvent::Ringing
                | LegEvent::Lobby { .. }
                | LegEvent::Connected
                | LegEvent::Roster(_)
                | LegEvent::Speaker(_)
                | LegEvent::Indicators { .. }
                | LegEvent::Dtmf(_)
                | LegEvent::Ended(_),
            ) => {}
        }
    }

    /// The conference knows who we are; the room is told who wrote (P14).
    fn chat(&mut self, side: Side, from: &Pii, text: Pii, out: Out<'_>) {
        let text = match side {
            Side::Caller => text,
            Side::Conference => Pii::new(format!("{}: {}", from.reveal(), text.reveal())),
        };
        let to = side.other();
        if self.leg(to).life == Life::Open {
            out(Output::Effect(CallEffect::Leg(to, LegCommand::Chat(text))));
        }
    }

    fn timeout(&mut self, now: Instant, out: Out<'_>) {
        let drained = self.drain.is_some_and(|drain| now >= drain) && self.phase != Phase::Incoming;
        let cause = match self.phase {
            _ if drained => Cause::new(Fault::Gateway, Kind::Draining),
            Phase::Joining { join } if now >= join => Cause::new(Fault::Upstream, Kind::Unreachable),
            Phase::Lobby { lobby } if now >= lobby => Cause::new(Fault::Callee, Kind::LobbyTimeout),
            Phase::Connecting { answer } | Phase::Reception { answer: Some(answer) } if now >= answer => {
                Cause::new(Fault::Caller, Kind::SignallingTimeout)
            }
            Phase::Reception { .. } => return self.visit(now, Input::Timeout, out),
            Phase::Incoming
            | Phase::Joining { .. }
            | Phase::Lobby { .. }
            | Phase::Connecting { .. }
            | Phase::Connected
            | Phase::Ending { .. }
            | Phase::Ended => return,
        };
        match self.phase {
            Phase::Joining { .. } | Phase::Lobby { .. } if self.guest.is_some() && !drained => {
                self.give_up_joining(now, cause, out);
            }
            _ => self.end(now, cause, out),
        }
    }

    /// Begins the end: tells whatever leg still stands, and stops all media.
    pub(super) fn end(&mut self, now: Instant, cause: Cause, out: Out<'_>) {
        if matches!(self.phase, Phase::Ending { .. } | Phase::Ended) {
            return;
        }
        for side in [Side::Conference, Side::Caller] {
            if self.leg(side).life == Life::Open {
                out(Output::Effect(CallEffect::Leg(side, LegCommand::End(cause))));
            }
        }
        if self.seen.plan != MediaPlan::default() {
            self.seen.plan = MediaPlan::default();
            out(Output::Effect(CallEffect::Media(MediaPlan::default())));
        }
        self.phase = Phase::Ending { ending: now + ENDING, cause, during: self.state() };
    }

    /// A leg that does not end is given up, so that no call stays for ever.
    fn give_up(&mut self, now: Instant, ending: Instant) {
        if now >= ending {
            self.caller.life = Life::Over;
            self.conference.life = Life::Over;
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Incoming | Phase::Ended => None,
            Phase::Joining { join: timer }
            | Phase::Lobby { lobby: timer }
            | Phase::Connecting { answer: timer } => earliest(Some(timer), self.drain),
            Phase::Reception { answer: timer } => {
                let visit = self.guest.as_ref().and_then(|guest| guest.visit.wake());
                earliest(earliest(timer, visit), self.drain)
            }
            Phase::Connected => self.drain,
            Phase::Ending { ending, .. } => Some(ending),
        }
    }
}
