//! Alarms (P17): what is wrong with the box, told once, listed until it is over, and kept in a history.
//!
//! ```text
//!              bad, for as long as its kind has patience            good, for its kind's hold
//!  (nothing) ─────────────────────────────────────────▶ standing ─────────────────────────────▶ history
//!                  something happened ────────────────▶    │  ▲ │
//!                                                          └──┘ └── a moment: acknowledged ────▶ history
//!                                              the same again, acknowledged
//! ```
//! [`Alarms`] is a machine over [`Fact`]s. How things stand may be told again and again; an alarm is raised once and, however its
//! cause flaps, not cleared before that was good for [`AlarmKind::hold`]. What only happened stays until somebody acknowledges it.
//! Each change is a [`Notice`] with a sequence number that only grows, over restarts too: [`Alarms::save`], [`Alarms::restore`].

mod fact;
mod kind;
mod machine;
#[cfg(test)]
mod tests;

pub use fact::{CertificateState, DISK_FULL, DISK_NEARLY_FULL, Fact, Health, SOON, Warmth};
pub use kind::{AlarmKind, Family, Level, Nature};
pub use machine::{AlarmInput, Alarms, Told};

use crate::appliance::instant::UnixTime;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Alarms that stand at a time; further ones are counted, not raised.
pub const MAX_STANDING: usize = 512;
/// Alarms of one kind of moment that stand at a time; what happens further is one more time of an alarm about [`OTHERS`].
pub const MAX_MOMENTS: usize = 32;
/// Alarms that are remembered once they are over; the oldest is forgotten first.
pub const MAX_HISTORY: usize = 500;
/// What the moments are about that have no alarm of their own.
pub const OTHERS: &str = "others";
/// Longest name of what an alarm is about, in characters.
const INSTANCE_CHARS: usize = 128;
/// Longest details, in characters.
const DETAILS_CHARS: usize = 512;

/// An alarm's number: that of the notice that it was raised by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AlarmId(pub u64);

impl fmt::Display for AlarmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An alarm that stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// Its number.
    pub id: AlarmId,
    /// What it is about.
    pub kind: AlarmKind,
    /// How grave it is.
    pub level: Level,
    /// Which one of them: a token's name, a connector's, a sensor's.
    pub instance: String,
    /// What is wrong and what to do, for people.
    pub details: String,
    /// When it was raised.
    pub raised: UnixTime,
    /// How often it happened; 1 for a condition.
    pub times: u32,
    /// When it last happened, or was last told.
    pub last: UnixTime,
    /// Who has seen it.
    pub acknowledged: Option<Acknowledged>,
}

/// That somebody has seen an alarm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// Who.
    pub by: String,
    /// When.
    pub at: UnixTime,
}

/// An alarm that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastAlarm {
    /// As it stood at last.
    #[serde(flatten)]
    pub alarm: Alarm,
    /// When it was cleared.
    pub cleared: UnixTime,
}

/// That something has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Greater than that of every notice before, over restarts too.
    pub seq: u64,
    /// When.
    pub at: UnixTime,
    /// What.
    pub change: Change,
    /// The alarm as it is then.
    pub alarm: Alarm,
}

/// What may become of an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Change {
    /// It stands from now on.
    Raised,
    /// Its level is another one.
    Changed,
    /// Somebody has seen it.
    Acknowledged,
    /// It is over.
    Cleared,
}

impl Change {
    /// One word for machines to read; it never changes.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Raised => "alarm_raised",
            Self::Changed => "alarm_changed",
            Self::Acknowledged => "alarm_acknowledged",
            Self::Cleared => "alarm_cleared",
        }
    }
}

/// Everything that must outlive a restart.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Saved {
    /// The last notice's number.
    pub sequence: u64,
    /// Alarms that stand, the oldest first.
    pub standing: Vec<Alarm>,
    /// Alarms that are over, the latest last.
    pub history: Vec<PastAlarm>,
}

/// An alarm as programs outside are shown it, in times and words of theirs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown<'a> {
    /// Its number.
    pub id: u64,
    /// [`AlarmKind::identifier`].
    pub identifier: &'static str,
    /// [`AlarmKind::name`].
    pub name: &'static str,
    /// How grave it is.
    pub level: Level,
    /// Which one.
    pub instance: &'a str,
    /// What is wrong and what to do.
    pub details: &'a str,
    /// How often it happened.
    pub times: u32,
    /// In RFC 3339.
    pub time_raised: String,
    /// In RFC 3339, once it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_lowered: Option<String>,
    /// Who has seen it.
    pub acknowledged_by: Option<&'a str>,
    /// In RFC 3339.
    pub time_acknowledged: Option<String>,
}

impl Alarm {
    /// As programs outside are shown it.
    #[must_use]
    pub fn shown(&self) -> Shown<'_> {
        Shown {
            id: self.id.0,
            identifier: self.kind.identifier(),
            name: self.kind.name(),
            level: self.level,
            instance: &self.instance,
            details: &self.details,
            times: self.times,
            time_raised: self.raised.to_string(),
            time_lowered: None,
            acknowledged_by: self.acknowledged.as_ref().map(|seen| &*seen.by),
            time_acknowledged: self.acknowledged.as_ref().map(|seen| seen.at.to_string()),
        }
    }
}

impl PastAlarm {
    /// As programs outside are shown it.
    #[must_use]
    pub fn shown(&self) -> Shown<'_> {
        Shown { time_lowered: Some(self.cleared.to_string()), ..self.alarm.shown() }
    }
}

impl Notice {
    /// The alarm as programs outside are shown it.
    #[must_use]
    pub fn shown(&self) -> Shown<'_> {
        let lowered = (self.change == Change::Cleared).then(|| self.at.to_string());
        Shown { time_lowered: lowered, ..self.alarm.shown() }
    }
}

/// `disk is nearly full: /var: 95 % are in use ...`
impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.kind.name(), self.instance, self.details)
    }
}
