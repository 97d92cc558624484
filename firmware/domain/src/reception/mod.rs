//! The Virtual Reception (P5): one caller's visit, from the answer to the door of its meeting.
//!
//! ```text
//!                 key            #, or NEXT_KEY runs out        taken by a rule       admitted
//!  ASKING ──────────────▶ COLLECTING ──────────▶ CHECKING ──────────────▶ HANDING OVER ─────▶ (over)
//!    │ ▲ │ said               │ ▲  └─ * ─▶          │ wrong                  │  │ the conference does not know it
//!    │ │ ▼         key        │ │                   │                        │  │
//!    │ │ WAITING ─────────────┘ │                   │                        │  │
//!    │ └────────────────────────┴──── tries left ───┴────────────────────────┼──┘
//!    │   │ FIRST_KEY runs out         no tries left │          refused, timed out
//!    └───┴──────── VISIT runs out ──────▶ SORRY ◀───┴────────────────────────┘
//!                                           └─ said, or SAID runs out ─▶ End
//! ```
//!
//! Timers: FIRST_KEY and NEXT_KEY are the reception's own settings; SAID ([`SAID`]) holds for a voice that nobody tells the end of;
//! VISIT ([`VISIT`]) for a caller that keys for ever. Keys are taken while a prompt is still heard, and cut it short.

mod desk;

pub use desk::{Desk, FIRST_KEY, NEXT_KEY, TRIES};

use crate::prompt::Prompt;
use base::machine::{Machine, Output, earliest};
use base::{Cause, Fault, Kind};
use std::time::{Duration, Instant};

/// Most keys of one entry; more are not taken.
pub const MAX_KEYS: usize = 32;
/// SAID: longest that the end of a prompt's voice is waited for: the longest voice, and a little.
pub const SAID: Duration = Duration::from_secs(crate::theme::MAX_SECONDS as u64 + 5);
/// VISIT: longest time from the answer to the last key.
pub const VISIT: Duration = Duration::from_secs(300);

/// What a visit takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The caller is connected: it sees and hears.
    Begin,
    /// It pressed a key.
    Key(char),
    /// The voice of this number has been heard to its end.
    Said(u32),
    /// What the rules and the conference say of what was keyed.
    Verdict(Verdict),
    /// The wake-up it asked for, or any later one.
    Timeout,
}

/// What becomes of what was keyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A rule takes it; the conference is asked.
    Taken,
    /// It leads nowhere: the caller may try again.
    Wrong(Cause),
    /// Somebody must admit the caller.
    Lobby,
    /// It leads to a meeting that the caller does not get into.
    Refused(Cause),
}

/// What a visit wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Route this alias, and answer with a [`Verdict`].
    Route(String),
    /// End the call.
    End(Cause),
}

/// One caller's visit. Turn it with [`Machine::step`]; what the caller sees and hears is [`screen`](Self::screen).
#[derive(Debug, Clone)]
pub struct Visit {
    /// `None` for one that never was at a desk.
    desk: Option<Desk>,
    state: State,
    keyed: String,
    wrong: u8,
    leaves: Option<Instant>,
    screen: Screen,
}

/// What the caller sees and hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// The picture.
    pub prompt: Prompt,
    /// The voice: the number of this saying, until it is over or cut short.
    pub says: Option<u32>,
    sayings: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Asking { said: Instant },
    Waiting { first_key: Instant },
    Collecting { next_key: Instant },
    Checking,
    HandingOver,
    Sorry { said: Instant, cause: Cause },
    Over,
}

type Out<'s> = &'s mut dyn FnMut(Output<Effect, std::convert::Infallible>);

impl Machine for Visit {
    type Input<'a> = Input;
    type Effect = Effect;
    type Event = std::convert::Infallible;

    fn step(
        &mut self,
        now: Instant,
        input: Input,
        mut sink: impl FnMut(Output<Effect, std::convert::Infallible>),
    ) -> Option<Instant> {
        self.turn(now, input, &mut sink);
        self.wake()
    }
}

impl Visit {
    /// A visit to `desk`, before the caller is connected.
    #[must_use]
    pub fn new(desk: Desk) -> Self {
        let screen = Screen { prompt: Prompt::Welcome, says: None, sayings: 0 };
        Self { desk: Some(desk), state: State::New, keyed: String::new(), wrong: 0, leaves: None, screen }
    }

    /// A visit of somebody who dialled a meeting and waits in its lobby: only what comes after the hand-over is left of it.
    #[must_use]
    pub fn in_the_lobby() -> Self {
        let screen = Screen { prompt: Prompt::Lobby, says: None, sayings: 0 };
        let mut visit = Self {
            desk: None,
            state: State::HandingOver,
            keyed: String::new(),
            wrong: 0,
            leaves: None,
            screen,
        };
        visit.hand_over(Prompt::Lobby);
        visit
    }

    /// What it sees and hears now; `None` before it is connected.
    #[must_use]
    pub fn screen(&self) -> Option<Screen> {
        (self.state != State::New).then_some(self.screen)
    }

    /// What it keyed so far.
    #[must_use]
    pub fn keyed(&self) -> &str {
        &self.keyed
    }

    /// The reception.
    #[must_use]
    pub fn desk(&self) -> Option<&Desk> {
        self.desk.as_ref()
    }

    /// How many entries were wrong so far.
    #[must_use]
    pub const fn wrong_entries(&self) -> u8 {
        self.wrong
    }

    /// Whether keys are taken now.
    #[must_use]
    pub fn listens(&self) -> bool {
        matches!(self.state, State::Asking { .. } | State::Waiting { .. } | State::Collecting { .. })
    }

    /// When it wants to be turned next.
    #[must_use]
    pub fn wake(&self) -> Option<Instant> {
        match self.state {
            State::Asking { said: timer }
            | State::Waiting { first_key: timer }
            | State::Collecting { next_key: timer } => earliest(Some(timer), self.leaves),
            State::Sorry { said, .. } => Some(said),
            State::New | State::Checking | State::HandingOver | State::Over => None,
        }
    }

    fn turn(&mut self, now: Instant, input: Input, out: Out<'_>) {
        match (self.state, input) {
            (State::New, Input::Begin) => {
                self.leaves = Some(now + VISIT);
                self.ask(now, Prompt::Welcome);
            }
            (State::Asking { .. } | State::Waiting { .. } | State::Collecting { .. }, Input::Timeout)
                if self.leaves.is_some_and(|leaves| now >= leaves) =>
            {
                self.sorry(now, NOTHING_KEYED)
            }
            (State::Asking { .. } | State::Waiting { .. } | State::Collecting { .. }, Input::Key(key)) => {
                self.key(now, key, out);
            }
            (State::Asking { .. }, Input::Said(number)) if self.screen.says == Some(number) => self.wait(now),
            (State::Asking { said }, Input::Timeout) if now >= said => self.wait(now),
            (State::Waiting { first_key }, Input::Timeout) if now >= first_key => {
                self.sorry(now, NOTHING_KEYED);
            }
            (State::Collecting { next_key }, Input::Timeout) if now >= next_key => self.submit(now, out),

            (State::Checking, Input::Verdict(Verdict::Taken)) => self.hand_over(Prompt::Connecting),
            (State::HandingOver, Input::Verdict(Verdict::Lobby)) => self.hand_over(Prompt::Lobby),
            (State::Checking | State::HandingOver, Input::Verdict(Verdict::Wrong(cause))) => {
                self.wrong(now, cause);
            }
            (State::Checking | State::HandingOver, Input::Verdict(Verdict::Refused(cause))) => {
                self.sorry(now, cause);
            }

            (State::Sorry { cause, .. }, Input::Said(number)) if self.screen.says == Some(number) => {
                self.leave(cause, out);
            }
            (State::Sorry { said, cause }, Input::Timeout) if now >= said => self.leave(cause, out),

            // A voice that ends where nothing waits for it is quiet from then on.
            (State::HandingOver, Input::Said(number)) if self.screen.says == Some(number) => {
                self.screen.says = None;
            }
            // Nothing to do: voices that were cut short, keys while nobody listens, timers that were set anew, and
            // verdicts on what is no longer asked.
            (
                State::Asking { .. }
                | State::Waiting { .. }
                | State::Collecting { .. }
                | State::Sorry { .. }
                | State::HandingOver,
                Input::Said(_) | Input::Timeout,
            )
            | (State::Checking, Input::Said(_) | Input::Timeout | Input::Verdict(Verdict::Lobby))
            | (State::HandingOver, Input::Verdict(Verdict::Taken))
            | (State::New, Input::Said(_) | Input::Timeout | Input::Verdict(_))
            | (
                State::Asking { .. } | State::Waiting { .. } | State::Collecting { .. } | State::Sorry { .. },
                Input::Verdict(_),
            )
            | (State::New | State::Checking | State::HandingOver | State::Sorry { .. }, Input::Key(_))
            | (
                State::Asking { .. }
                | State::Waiting { .. }
                | State::Collecting { .. }
                | State::Checking
                | State::HandingOver
                | State::Sorry { .. },
                Input::Begin,
            )
            | (State::Over, _) => {}
        }
    }

    fn key(&mut self, now: Instant, key: char, out: Out<'_>) {
        match key {
            '#' if self.keyed.is_empty() => {}
            '#' => self.submit(now, out),
            '*' if self.keyed.is_empty() => {}
            '*' => {
                self.keyed.pop();
                self.collect(now);
            }
            _ if self.keyed.len() < MAX_KEYS => {
                self.keyed.push(key);
                self.collect(now);
            }
            _ => {}
        }
    }

    fn ask(&mut self, now: Instant, prompt: Prompt) {
        self.keyed.clear();
        self.say(prompt);
        self.state = State::Asking { said: now + SAID };
    }

    fn wait(&mut self, now: Instant) {
        self.screen.says = None;
        self.state =
            State::Waiting { first_key: now + self.desk.as_ref().map_or(FIRST_KEY, |desk| desk.first_key) };
    }

    fn collect(&mut self, now: Instant) {
        if self.keyed.is_empty() {
            return self.wait(now);
        }
        self.screen.says = None;
        self.state =
            State::Collecting { next_key: now + self.desk.as_ref().map_or(NEXT_KEY, |desk| desk.next_key) };
    }

    fn submit(&mut self, now: Instant, out: Out<'_>) {
        self.screen.says = None;
        self.state = State::Checking;
        match self.desk.as_ref().and_then(|desk| desk.alias_of(&self.keyed)) {
            Some(alias) => out(Output::Effect(Effect::Route(alias))),
            None => self.wrong(now, Cause::new(Fault::Caller, Kind::NoRoute)),
        }
    }

    fn hand_over(&mut self, prompt: Prompt) {
        self.say(prompt);
        self.state = State::HandingOver;
    }

    fn wrong(&mut self, now: Instant, cause: Cause) {
        self.wrong = self.wrong.saturating_add(1);
        if self.wrong < self.desk.as_ref().map_or(0, |desk| desk.tries) {
            self.ask(now, Prompt::TryAgain);
        } else {
            self.sorry(now, cause);
        }
    }

    fn sorry(&mut self, now: Instant, cause: Cause) {
        self.keyed.clear();
        self.say(farewell(cause));
        self.state = State::Sorry { said: now + SAID, cause };
    }

    fn leave(&mut self, cause: Cause, out: Out<'_>) {
        self.screen.says = None;
        self.state = State::Over;
        out(Output::Effect(Effect::End(cause)));
    }

    fn say(&mut self, prompt: Prompt) {
        let sayings = self.screen.sayings + 1;
        self.screen = Screen { prompt, says: Some(sayings), sayings };
    }
}

const NOTHING_KEYED: Cause = Cause::new(Fault::Caller, Kind::NothingKeyed);

/// What a caller is told that does not get into a meeting.
fn farewell(cause: Cause) -> Prompt {
    match cause.kind {
        Kind::NothingKeyed => Prompt::NothingKeyed,
        Kind::NoRoute | Kind::MeetingNotFound => Prompt::NotFound,
        Kind::LobbyTimeout => Prompt::NotAdmitted,
        Kind::CallRejected => Prompt::Refused,
        Kind::InteropDisabled => Prompt::InteropOff,
        Kind::MeetingFull => Prompt::Full,
        Kind::HungUp
        | Kind::Cancelled
        | Kind::BadToken
        | Kind::TokenUnreadable
        | Kind::MeetingEnded
        | Kind::Unreachable
        | Kind::ConnectionLost
        | Kind::MediaTimeout
        | Kind::SessionExpired
        | Kind::SignallingTimeout
        | Kind::NotAcceptable
        | Kind::ProtocolError
        | Kind::Unauthorized
        | Kind::NoCapacity
        | Kind::NoLicence
        | Kind::Draining
        | Kind::InternalError => Prompt::Unavailable,
    }
}

#[cfg(test)]
mod tests;
