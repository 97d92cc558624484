//! A call in a Virtual Reception (P5): the caller is answered, sees and hears prompts, and is handed over into the conference's leg
//! as it is, without another INVITE. What the visit itself does is in [`crate::reception`].
//!
//! ```text
//!  a reception's alias ─▶ Accept ─▶ RECEPTION ─Route─▶ routed as if dialled ─▶ JOINING, LOBBY ─▶ CONNECTED
//!                                       ▲                                          │
//!                                       └──── wrong: another try; refused: goodbye ┘
//! ```

use super::machine::Out;
use super::{ANSWER, Call, CallEffect, CallEvent, Leg, Life, Phase};
use crate::config::Lobby;
use crate::media::{MediaPlan, Side, Up};
use crate::prompt::Showing;
use crate::reception::{Desk, Effect, Input, Verdict, Visit};
use crate::routing::{Direction, Encryption, Target};
use base::frame::MediaKind;
use base::leg::{Dialled, LegCommand};
use base::machine::{Machine, Output};
use base::{Alias, Cause, Fault, Kind, Pii};
use std::time::{Duration, Instant};

/// A key that is heard as a tone and signalled within this time was pressed once.
const SAME_KEY: Duration = Duration::from_secs(1);

/// A caller in a reception.
#[derive(Debug, Clone)]
pub(super) struct Guest {
    pub visit: Visit,
    dialled: Dialled,
    ears: Ears,
}

/// By which ways keys come. Who signals its keys is not listened to: its tones are the same keys again.
#[derive(Debug, Clone, Copy, Default)]
struct Ears {
    signals: bool,
    /// The last key heard as a tone.
    heard: Option<(char, Instant)>,
}

impl Ears {
    /// Whether a key that was signalled is a new one.
    fn signalled(&mut self, now: Instant, key: char) -> bool {
        self.signals = true;
        let twin =
            |(heard, at): (char, Instant)| heard == key && now.saturating_duration_since(at) < SAME_KEY;
        !self.heard.take().is_some_and(twin)
    }

    /// Whether a key that was heard as a tone counts.
    fn tone(&mut self, now: Instant, key: char) -> bool {
        self.heard = Some((key, now));
        !self.signals
    }
}

impl Call {
    /// Answers for a reception.
    pub(super) fn receive(&mut self, now: Instant, desk: Desk, dialled: Dialled, out: Out<'_>) {
        out(Output::Event(CallEvent::Received { reception: desk.name.clone() }));
        out(Output::Effect(CallEffect::Leg(Side::Caller, LegCommand::Accept)));
        self.guest = Some(Guest { visit: Visit::new(desk), dialled, ears: Ears::default() });
        self.phase = Phase::Reception { answer: Some(now + ANSWER) };
    }

    /// The conference holds the caller in its lobby. Where that is to be seen, one that dialled the meeting is answered now.
    pub(super) fn wait_in_lobby(&mut self, now: Instant, out: Out<'_>) {
        match (&self.guest, &self.route) {
            (Some(_), _) => self.visit(now, Input::Verdict(Verdict::Lobby), out),
            (None, Some(route)) if self.config.gateway.lobby == Lobby::Shown => {
                let dialled = route.dialled.clone();
                out(Output::Effect(CallEffect::Leg(Side::Caller, LegCommand::Accept)));
                self.guest = Some(Guest { visit: Visit::in_the_lobby(), dialled, ears: Ears::default() });
            }
            (None, _) => {}
        }
    }

    /// Turns the visit, and does what it wants.
    pub(super) fn visit(&mut self, now: Instant, input: Input, out: Out<'_>) {
        let Some(guest) = &mut self.guest else { return };
        let (mut wanted, before) = (None, guest.visit.wrong_entries());
        guest.visit.step(now, input, |Output::Effect(effect)| wanted = Some(effect));
        if guest.visit.wrong_entries() > before {
            out(Output::Event(CallEvent::WrongEntry));
        }
        match wanted {
            Some(Effect::Route(alias)) => self.dial(now, &alias, out),
            Some(Effect::End(cause)) => self.end(now, cause, out),
            None => {}
        }
    }

    /// A key that the caller signalled, or that was heard in its sound.
    pub(super) fn keyed(&mut self, now: Instant, key: char, by: KeyedBy, out: Out<'_>) {
        let Some(guest) = &mut self.guest else { return };
        let counts = match by {
            KeyedBy::Signal => guest.ears.signalled(now, key),
            KeyedBy::Tone => guest.ears.tone(now, key),
        };
        if counts {
            self.visit(now, Input::Key(key), out);
        }
    }

    /// Routes what was keyed as if it had been dialled.
    fn dial(&mut self, now: Instant, alias: &str, out: Out<'_>) {
        let Some(guest) = &self.guest else { return };
        let Ok(alias) = Alias::parse(alias, "sip") else {
            return self.visit(now, Input::Verdict(Verdict::Wrong(NO_ROUTE)), out);
        };
        let dialled = Dialled { alias, ..guest.dialled.clone() };
        let asked = guest.visit.desk().and_then(|desk| desk.encryption);
        let encryption = asked.unwrap_or(self.config.sip.encryption);
        let config = self.config.clone();
        let verdict = match config.router.route(&dialled, Direction::Incoming) {
            None => Verdict::Wrong(NO_ROUTE),
            Some(decision) => match &decision.rule.target {
                Target::Device { .. } | Target::External { .. } => Verdict::Wrong(NO_ROUTE),
                // The caller was answered before its rule was known.
                Target::Conference { .. }
                    if decision.rule.encryption == Some(Encryption::On) && encryption != Encryption::On =>
                {
                    Verdict::Refused(Cause::new(Fault::Operator, Kind::NotAcceptable))
                }
                Target::Conference { connector, token } => {
                    match self.enter(now, dialled, &decision, (connector, token), out) {
                        Ok(()) => Verdict::Taken,
                        Err(cause) => Verdict::Refused(cause),
                    }
                }
            },
        };
        self.visit(now, Input::Verdict(verdict), out);
    }

    /// The conference's leg of a caller in a reception is over before the caller was in: the caller is told, and may try again if it
    /// was the id that was wrong.
    pub(super) fn turned_away(&mut self, now: Instant, cause: Cause, out: Out<'_>) {
        self.conference = Leg::default();
        self.phase = Phase::Reception { answer: None };
        let verdict = match cause.kind {
            Kind::MeetingNotFound => Verdict::Wrong(cause),
            _ => Verdict::Refused(cause),
        };
        self.route = None;
        self.visit(now, Input::Verdict(verdict), out);
    }

    /// The conference took too long: its leg is told, and its end waited for no more.
    pub(super) fn give_up_joining(&mut self, now: Instant, cause: Cause, out: Out<'_>) {
        if self.conference.life == Life::Open {
            out(Output::Effect(CallEffect::Leg(Side::Conference, LegCommand::End(cause))));
        }
        self.conference.life = Life::Over;
        self.phase = Phase::Reception { answer: None };
        self.visit(now, Input::Verdict(Verdict::Refused(cause)), out);
    }

    /// What flows while a prompt is shown; `None` once the caller is in or gone, or before it is answered.
    pub(super) fn attended(&self) -> Option<MediaPlan> {
        let here =
            matches!(self.phase, Phase::Reception { .. } | Phase::Joining { .. } | Phase::Lobby { .. });
        let guest = self.guest.as_ref().filter(|_| here)?;
        let screen = guest.visit.screen()?;
        let rules = self.rule().and_then(|rule| rule.theme.clone());
        let prompt = Showing {
            prompt: screen.prompt,
            theme: rules.or_else(|| guest.visit.desk()?.theme.clone()),
            keyed: Pii::new(if screen.prompt.shows_keys() { guest.visit.keyed() } else { "" }),
            says: screen.says,
        };
        let mut sounds = self.caller.media.recv.iter().filter(|stream| stream.kind == MediaKind::Audio);
        let keys = sounds.next().map(|stream| stream.id);
        Some(MediaPlan {
            up: Up::default(),
            down: self.down_from(&Leg::default()),
            prompt: Some(prompt),
            keys: keys.filter(|_| guest.visit.listens() && !guest.ears.signals),
        })
    }

    /// Who called, in a reception.
    pub(super) fn guest_dialled(&self) -> Option<&Dialled> {
        self.guest.as_ref().map(|guest| &guest.dialled)
    }
}

/// How a key came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyedBy {
    /// RFC 4733, INFO or another message.
    Signal,
    /// As a tone in the sound.
    Tone,
}

const NO_ROUTE: Cause = Cause::new(Fault::Caller, Kind::NoRoute);
