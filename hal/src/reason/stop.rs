//! Why a service stopped while the box lived on: what the service manager says, and what was noted just before.

use super::{Jump, Why};
use crate::Label;
use std::time::Duration;

/// A note counts for a stop that comes within so long after it.
pub const NEAR: Duration = Duration::from_secs(60);

/// What `ExecStopPost=` is told of a service that stopped (systemd.exec(5), "Environment variables set or propagated by
/// the service manager").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopRecord {
    /// Which service: "gatewayd.service".
    pub unit: Label,
    /// `SERVICE_RESULT`.
    pub result: ServiceResult,
    /// `EXIT_STATUS`: a number, or the name of a signal.
    pub status: Option<Label>,
    /// When, since the Unix epoch.
    pub at: Duration,
}

/// How a service ended, in the service manager's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceResult {
    /// As it was meant to.
    Success,
    /// It exited with an error.
    ExitCode,
    /// A signal ended it.
    Signal,
    /// A signal ended it, and it dumped its memory.
    CoreDump,
    /// It did not feed its watchdog.
    Watchdog,
    /// It used up its memory.
    OomKill,
    /// It could not be started for want of something.
    Resources,
    /// Something else: "timeout", "protocol", "start-limit-hit".
    Other(Label),
}

/// Something that was noticed while the box ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// When, since the Unix epoch.
    pub at: Duration,
    /// What.
    pub what: Noted,
}

/// What may be noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Noted {
    /// A part of a service starved: its keeper says so just before it stops feeding.
    Starved {
        /// Which service.
        unit: Label,
        /// Which part of it.
        part: Label,
    },
    /// A part that starved is back, and its service is fed again.
    Recovered {
        /// Which service.
        unit: Label,
        /// Which part of it.
        part: Label,
    },
    /// A disk is full.
    DiskFull {
        /// Where it is mounted.
        mount: Label,
    },
    /// The clock jumped.
    ClockJumped(Jump),
}

impl Noted {
    /// What it explains by itself, even if nothing stopped.
    #[must_use]
    pub fn why(&self) -> Option<Why> {
        match self {
            Self::DiskFull { mount } => Some(Why::DiskFull { mount: mount.clone() }),
            Self::ClockJumped(jump) => Some(Why::ClockJumped(*jump)),
            Self::Starved { .. } | Self::Recovered { .. } => None,
        }
    }
}

impl StopRecord {
    /// A record of what the environment of `ExecStopPost=` says; anything may be missing or odd.
    #[must_use]
    pub fn from_environment(
        unit: &str,
        service_result: Option<&str>,
        exit_status: Option<&str>,
        at: Duration,
    ) -> Option<Self> {
        let result = match service_result? {
            "success" => ServiceResult::Success,
            "exit-code" => ServiceResult::ExitCode,
            "signal" => ServiceResult::Signal,
            "core-dump" => ServiceResult::CoreDump,
            "watchdog" => ServiceResult::Watchdog,
            "oom-kill" => ServiceResult::OomKill,
            "resources" => ServiceResult::Resources,
            other => ServiceResult::Other(Label::sanitised(other)?),
        };
        let status = exit_status.and_then(Label::sanitised);
        Some(Self { unit: Label::sanitised(unit)?, result, status, at })
    }
}

/// Why a service stopped, or `None` if it was meant to. `notes` are in the order they were made.
#[must_use]
pub fn why_stopped(stop: &StopRecord, notes: &[Note]) -> Option<Why> {
    let unit = || stop.unit.clone();
    let noted = |wanted: fn(&Noted) -> bool| {
        let near = notes.iter().rev().filter(|note| near(note, stop.at) && wanted(&note.what));
        near.map(|note| &note.what).find_map(Noted::why)
    };
    let disk = || noted(|noted| matches!(noted, Noted::DiskFull { .. }));
    let jump = || noted(|noted| matches!(noted, Noted::ClockJumped(_)));
    let signal = || stop.status.clone().or_else(|| Label::sanitised("unknown signal"));
    let failed = |word: &str| {
        let status = stop.status.as_ref().map_or("", Label::as_str);
        Label::sanitised(&format!("{word} {status}")).map(|how| Why::ServiceFailed { unit: unit(), how })
    };
    match &stop.result {
        ServiceResult::Success => None,
        ServiceResult::Watchdog => match starved(stop, notes) {
            Some(part) => Some(Why::ServiceDeadlocked { unit: unit(), part }),
            None => jump().or_else(|| Some(Why::ServiceFrozen { unit: unit() })),
        },
        ServiceResult::Signal => signal().map(|signal| match signal.as_str() {
            "ABRT" | "SEGV" | "BUS" | "ILL" | "FPE" | "SYS" | "TRAP" => {
                Why::ServiceCrashed { unit: unit(), signal }
            }
            _ => Why::ServiceKilled { unit: unit(), signal },
        }),
        ServiceResult::CoreDump => signal().map(|signal| Why::ServiceCrashed { unit: unit(), signal }),
        ServiceResult::OomKill => Some(Why::ServiceOutOfMemory { unit: unit() }),
        ServiceResult::ExitCode => disk().or_else(jump).or_else(|| failed("exit-code")),
        ServiceResult::Resources => disk().or_else(|| failed("resources")),
        ServiceResult::Other(word) => disk().or_else(jump).or_else(|| failed(word.as_str())),
    }
}

/// The part of the service that still starved when it stopped, as far as its last note says.
fn starved(stop: &StopRecord, notes: &[Note]) -> Option<Label> {
    let near = notes.iter().filter(|note| near(note, stop.at)).map(|note| &note.what);
    let mut starving: Vec<&Label> = Vec::new();
    for noted in near {
        match noted {
            Noted::Starved { unit, part } if *unit == stop.unit => starving.push(part),
            Noted::Recovered { unit, part } if *unit == stop.unit => {
                starving.retain(|starved| *starved != part)
            }
            _ => {}
        }
    }
    starving.first().map(|part| (*part).clone())
}

/// Whether a note was made not long before. A clock that jumped makes nonsense of the difference, so a note that
/// seems to come later counts as well.
fn near(note: &Note, stop: Duration) -> bool {
    stop.saturating_sub(note.at) <= NEAR || matches!(note.what, Noted::ClockJumped(_))
}
