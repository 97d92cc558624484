//! A call: the room's leg and the conference's leg joined, whatever either speaks.
//!
//! A call takes what its two legs tell, decides by the configuration it began with, and says what the legs and the
//! media plane are to do. Frames never pass through it.
//!
//! ```text
//!            Incoming, a rule takes it      Lobby                 Connected (conference)     Connected (caller)
//!  INCOMING ───────────────────────▶ JOINING ─────▶ LOBBY ──────────────────────▶ CONNECTING ──────────▶ CONNECTED
//!     │              Ring, Join         │             │           Accept              │                      │
//!     └─────────────────────────────────┴─────────────┴───────────────────────────────┴──────────────────────┘
//!        either leg ends, no rule, JOIN, LOBBY, ANSWER or DRAIN runs out, hang-up: End to whatever stands
//!                                                   ▼
//!                                                ENDING ──both legs over, or ENDING runs out──▶ ENDED
//! ```
//!
//! A caller of a Virtual Reception's alias (P5) is accepted first, and then goes the same way, prompts before it ([`attend`]):
//!
//! ```text
//!  INCOMING ── Accept ──▶ RECEPTION ── keyed, a rule takes it: Join ──▶ JOINING ─▶ LOBBY ── Connected (conference) ──▶ CONNECTED
//!                           │   ▲ not known: another try                  │          │
//!                           │   └──────── refused, timed out: goodbye ────┴──────────┘
//!                           └── said goodbye ──▶ ENDING
//! ```
//!
//! Where lobbies are shown ([`Lobby::Shown`](crate::config::Lobby)), a caller that dialled a meeting is accepted in LOBBY, and goes on
//! from there as one from a reception does.
//!
//! Routing takes no time: it happens on the way from INCOMING to JOINING. Each timer is one state's: JOIN
//! ([`JOIN`]), LOBBY ([`limits::LOBBY`](base::limits::LOBBY), P6), ANSWER ([`ANSWER`]), ENDING ([`ENDING`]); DRAIN runs
//! beside any of them.

mod attend;
mod bandwidth;
mod flow;
mod keys;
mod machine;

use crate::config::Config;
use crate::layout::{Layout, Seating};
use crate::media::{Indicators, MediaPlan, Side};
use crate::reception::Desk;
use crate::routing::Rule;
use base::Cause;
use base::ids::{CallId, StreamId};
use base::leg::{Dialled, Join, LegCommand, LegEvent, MediaState, Participant, Watch};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// JOIN: longest that a conference may take to let us in or into its lobby.
pub const JOIN: Duration = Duration::from_secs(20);
/// ANSWER: longest that a caller may take to confirm our answer: 64 T1 (RFC 3261 13.3.1.4).
pub const ANSWER: Duration = Duration::from_secs(32);
/// ENDING: longest that a leg may take to end: Timer F (RFC 3261 17.1.2.2) and a little.
pub const ENDING: Duration = Duration::from_secs(35);

/// What a call takes.
#[derive(Debug, Clone)]
pub enum CallInput {
    /// One of its legs tells something. A conference leg that could not be made is [`LegEvent::Ended`].
    Leg(Side, LegEvent),
    /// The media plane cannot decode this receive stream without a picture that stands alone.
    KeyframeNeeded(Side, StreamId),
    /// A key was heard in a leg's sound.
    Tone(Side, char),
    /// The voice of the prompt of this number has been heard to its end.
    Said(u32),
    /// The operator wants something.
    Operator(Operator),
    /// The wake-up it asked for, or any later one.
    Timeout,
}

/// What an operator may ask of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// End it now.
    HangUp,
    /// The box shuts down: take no new call, end this one at the deadline.
    Drain {
        /// When.
        deadline: Instant,
    },
}

/// What a call wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallEffect {
    /// Give this command to this leg.
    Leg(Side, LegCommand),
    /// Make the conference leg.
    Join {
        /// The connector's name in the configuration.
        connector: String,
        /// What it joins with.
        join: Join,
    },
    /// From now on this flows, and nothing else.
    Media(MediaPlan),
    /// The next picture on this send stream of this leg must stand alone.
    ForceKeyframe(Side, StreamId),
}

/// What a call tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallEvent {
    /// A Virtual Reception answers it.
    Received {
        /// The reception's name.
        reception: String,
    },
    /// A rule took it.
    Routed {
        /// The rule's name.
        rule: String,
        /// The rule's tag, for service records.
        tag: String,
        /// What the alias became.
        meeting: String,
    },
    /// What its caller keyed in a reception leads nowhere.
    WrongEntry,
    /// It is in this state now.
    State(State),
    /// It is over, in every part; told once, last of all.
    Ended {
        /// Why.
        cause: Cause,
        /// Which state it was in when the end began.
        during: State,
    },
}

/// Where a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Its caller has not said yet what it wants.
    Incoming,
    /// It is in a Virtual Reception.
    Reception,
    /// The conference has not answered yet.
    Joining,
    /// Somebody in the conference must admit it (W1).
    Lobby,
    /// The conference has it, the caller has not confirmed yet.
    Connecting,
    /// Both legs are up.
    Connected,
    /// It ends: legs are being told.
    Ending,
    /// It is over.
    Ended,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Incoming => "incoming",
            State::Reception => "in the reception",
            State::Joining => "joining",
            State::Lobby => "in the lobby",
            State::Connecting => "connecting",
            State::Connected => "connected",
            State::Ending => "ending",
            State::Ended => "ended",
        })
    }
}

/// A call. Turn it with [`Machine::step`](base::Machine::step).
#[derive(Debug)]
pub struct Call {
    id: CallId,
    config: Arc<Config>,
    phase: Phase,
    /// While it is in a reception.
    guest: Option<attend::Guest>,
    caller: Leg,
    conference: Leg,
    /// DRAIN: when it must be over.
    drain: Option<Instant>,
    route: Option<Route>,
    seen: Seen,
}

/// A state with its timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Incoming,
    /// With the timer ANSWER until the caller has confirmed.
    Reception {
        answer: Option<Instant>,
    },
    Joining {
        join: Instant,
    },
    Lobby {
        lobby: Instant,
    },
    Connecting {
        answer: Instant,
    },
    Connected,
    Ending {
        ending: Instant,
        cause: Cause,
        during: State,
    },
    Ended,
}

/// One of the two legs, as far as the call knows it.
#[derive(Debug, Clone, Default)]
struct Leg {
    life: Life,
    media: MediaState,
    /// How much may be sent to it, in bits per second, once it said so.
    bandwidth: Option<u64>,
    /// How much of the sound sent to it is to be expected to get lost, in percent.
    sound_loss: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Life {
    /// Not made yet.
    #[default]
    Unborn,
    /// Takes commands.
    Open,
    /// Told its end.
    Over,
}

/// What the rule said about the call.
#[derive(Debug, Clone)]
struct Route {
    dialled: Dialled,
    rule: Rule,
    connector: String,
    meeting: String,
}

/// What the room sees, and from what it was decided.
#[derive(Debug, Clone, Default)]
struct Seen {
    layout: Layout,
    seating: Seating,
    roster: Vec<Participant>,
    indicators: Indicators,
    keys: keys::Keys,
    watch: Vec<Watch>,
    plan: MediaPlan,
}

impl Call {
    /// A call whose caller has just reached the box; `config` is its own until it ends.
    #[must_use]
    pub fn new(id: CallId, config: Arc<Config>) -> Self {
        Self {
            id,
            config,
            phase: Phase::Incoming,
            guest: None,
            caller: Leg { life: Life::Open, ..Leg::default() },
            conference: Leg::default(),
            drain: None,
            route: None,
            seen: Seen::default(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> CallId {
        self.id
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> State {
        match self.phase {
            Phase::Incoming => State::Incoming,
            Phase::Reception { .. } => State::Reception,
            Phase::Joining { .. } => State::Joining,
            Phase::Lobby { .. } => State::Lobby,
            Phase::Connecting { .. } => State::Connecting,
            Phase::Connected => State::Connected,
            Phase::Ending { .. } => State::Ending,
            Phase::Ended => State::Ended,
        }
    }

    /// What flows in it now.
    #[must_use]
    pub fn plan(&self) -> &MediaPlan {
        &self.seen.plan
    }

    /// How the room's picture is arranged.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.seen.layout
    }

    /// Who is in the conference, ourselves left out.
    #[must_use]
    pub fn roster(&self) -> &[Participant] {
        &self.seen.roster
    }

    /// Who called and what, once a rule or a reception took it.
    #[must_use]
    pub fn dialled(&self) -> Option<&Dialled> {
        self.route.as_ref().map(|route| &route.dialled).or_else(|| self.guest_dialled())
    }

    /// The reception that it is in.
    #[must_use]
    pub fn reception(&self) -> Option<&Desk> {
        self.guest.as_ref().and_then(|guest| guest.visit.desk())
    }

    /// How many keys its caller has keyed there; which ones is nobody's business.
    #[must_use]
    pub fn keys(&self) -> Option<usize> {
        self.guest
            .as_ref()
            .filter(|guest| guest.visit.desk().is_some())
            .map(|guest| guest.visit.keyed().len())
    }

    /// The rule that took it, the connector and the meeting.
    #[must_use]
    pub fn route(&self) -> Option<(&str, &str, &str)> {
        self.route.as_ref().map(|route| (&*route.rule.name, &*route.connector, &*route.meeting))
    }

    /// The rule that took it, whole: what it says about encryption and call rates is for whoever owns the legs.
    #[must_use]
    pub fn rule(&self) -> Option<&Rule> {
        self.route.as_ref().map(|route| &route.rule)
    }

    /// The configuration it began with.
    #[must_use]
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    fn leg(&mut self, side: Side) -> &mut Leg {
        match side {
            Side::Caller => &mut self.caller,
            Side::Conference => &mut self.conference,
        }
    }
}

#[cfg(test)]
mod tests;
