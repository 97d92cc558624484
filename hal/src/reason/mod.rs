//! Why the box restarted, or a service of it: one true reason out of what watchdogs, kernel, bootloader and service
//! manager each know.
//!
//! ```text
//!  bootstatus ─┐
//!  pstore ─────┤                        StopRecord, Notes ─▶ why_stopped ─▶ Why   (a service, the box lived)
//!  Slots ──────┼─▶ why_restarted ─▶ Reason
//!  last Life ──┘                        (the whole box)
//! ```
//!
//! A [`Life`] is what the box writes down of itself: at its start, when it has proven itself well, and when it is asked to
//! end. What is missing in it is as telling as what is there.

mod clock;
mod dump;
mod restart;
mod stop;
#[cfg(test)]
mod tests;

pub use clock::{ClockWatch, JUMP};
pub use dump::{About, DUMP_BYTES, KernelDump, Panic};
pub use restart::{Evidence, FellBack, Inspected, Reason, why_restarted};
pub use stop::{NEAR, Note, Noted, ServiceResult, StopRecord, why_stopped};

use crate::Label;
use crate::slots::Slot;
use crate::watchdog::ResetCause;
use std::fmt;
use std::time::Duration;

/// Why something restarted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// The box starts for the first time, or forgot all it knew.
    FirstStart,
    /// It was asked to.
    Asked(Act),
    /// Nothing says why, so it lost power or was reset by its button.
    PowerLost,
    /// The kernel panicked.
    KernelPanic {
        /// What it said.
        message: Label,
    },
    /// PID 1 or the whole kernel hung, and the hardware watchdog reset the box.
    SystemHung,
    /// The hardware itself asked for it.
    Hardware(ResetCause),
    /// A slot could not be kept running.
    SlotFailed {
        /// Which one.
        slot: Slot,
        /// Why.
        fault: SlotFault,
    },
    /// A service was killed by a signal that it did not expect.
    ServiceKilled {
        /// Which service.
        unit: Label,
        /// Which signal: "KILL".
        signal: Label,
    },
    /// A service crashed.
    ServiceCrashed {
        /// Which service.
        unit: Label,
        /// Of which signal: "SEGV".
        signal: Label,
    },
    /// A service stood still as a whole: it could not even say what starved.
    ServiceFrozen {
        /// Which service.
        unit: Label,
    },
    /// A part of a service stood still.
    ServiceDeadlocked {
        /// Which service.
        unit: Label,
        /// Which part of it.
        part: Label,
    },
    /// A service used up its memory.
    ServiceOutOfMemory {
        /// Which service.
        unit: Label,
    },
    /// A service ended with an error, or could not be started or stopped.
    ServiceFailed {
        /// Which service.
        unit: Label,
        /// What the service manager says: "exit-code 1".
        how: Label,
    },
    /// A disk was full.
    DiskFull {
        /// Where it is mounted.
        mount: Label,
    },
    /// The clock was set far from where it was.
    ClockJumped(Jump),
}

/// What a box may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Act {
    /// To restart.
    Restart,
    /// To switch itself off.
    PowerOff,
    /// To restart into the slot that was just installed.
    Update,
    /// To restart into the other slot.
    SwitchSlot,
    /// To forget its settings.
    FactoryReset,
}

/// What was wrong with a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlotFault {
    /// Nothing of it ran: its boot image is truncated, unsigned or missing.
    ImageUnloadable,
    /// It restarted before it could start its services.
    EndedEarly,
    /// Its kernel ran, and found its root file system to be damaged.
    RootCorrupted,
    /// Its kernel panicked.
    Panicked {
        /// What it said.
        message: Label,
    },
    /// It ran, and did not prove itself well in time.
    Unhealthy {
        /// The checks that failed, as far as it could say.
        checks: Vec<Label>,
    },
}

/// How far a clock jumped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jump {
    /// Which way.
    pub direction: Direction,
    /// How far.
    pub by: Duration,
}

/// Which way a clock jumped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Into the future.
    Forward,
    /// Into the past.
    Back,
}

/// What the box wrote down of one of its lives, from one start to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    /// The slot that ran; `None` for something that is no slot.
    pub slot: Option<Slot>,
    /// How far it came.
    pub reached: Reached,
    /// The slot that it staged for the next start.
    pub staged: Option<Slot>,
    /// How it came to its end; `None` if it did not see it coming.
    pub end: Option<End>,
}

/// How far a life came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reached {
    /// The services were started.
    Started,
    /// The health gate passed.
    Well,
}

/// An end that was seen coming.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It was asked to.
    Asked(Act),
    /// The health gate did not pass, and gave the slot up.
    GaveUp {
        /// The checks that failed.
        checks: Vec<Label>,
    },
}

impl Why {
    /// One word for machines to read; it never changes.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::FirstStart => "first-start",
            Self::Asked(act) => act.word(),
            Self::PowerLost => "power-lost",
            Self::KernelPanic { .. } => "kernel-panic",
            Self::SystemHung => "system-hung",
            Self::Hardware(_) => "hardware",
            Self::SlotFailed { fault: SlotFault::ImageUnloadable, .. } => "slot-image-unloadable",
            Self::SlotFailed { fault: SlotFault::EndedEarly, .. } => "slot-ended-early",
            Self::SlotFailed { fault: SlotFault::RootCorrupted, .. } => "slot-root-corrupted",
            Self::SlotFailed { fault: SlotFault::Panicked { .. }, .. } => "slot-panicked",
            Self::SlotFailed { fault: SlotFault::Unhealthy { .. }, .. } => "slot-unhealthy",
            Self::ServiceKilled { .. } => "service-killed",
            Self::ServiceCrashed { .. } => "service-crashed",
            Self::ServiceFrozen { .. } => "service-frozen",
            Self::ServiceDeadlocked { .. } => "service-deadlocked",
            Self::ServiceOutOfMemory { .. } => "service-out-of-memory",
            Self::ServiceFailed { .. } => "service-failed",
            Self::DiskFull { .. } => "disk-full",
            Self::ClockJumped(_) => "clock-jumped",
        }
    }
}

impl Act {
    /// All there are.
    pub const ALL: [Self; 5] =
        [Self::Restart, Self::PowerOff, Self::Update, Self::SwitchSlot, Self::FactoryReset];

    /// One word for machines to read; it never changes.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Restart => "asked-restart",
            Self::PowerOff => "asked-power-off",
            Self::Update => "asked-update",
            Self::SwitchSlot => "asked-switch-slot",
            Self::FactoryReset => "asked-factory-reset",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FirstStart => f.write_str("first start"),
            Self::Asked(Act::Restart) => f.write_str("restart was asked for"),
            Self::Asked(Act::PowerOff) => f.write_str("power off was asked for"),
            Self::Asked(Act::Update) => f.write_str("an update was installed"),
            Self::Asked(Act::SwitchSlot) => f.write_str("the other slot was asked for"),
            Self::Asked(Act::FactoryReset) => f.write_str("factory reset was asked for"),
            Self::PowerLost => f.write_str("power was lost, or the reset button pressed"),
            Self::KernelPanic { message } => write!(f, "kernel panic: {message}"),
            Self::SystemHung => f.write_str("the system hung; the hardware watchdog reset it"),
            Self::Hardware(cause) => write!(f, "the hardware reset the box: {cause}"),
            Self::SlotFailed { slot, fault } => write!(f, "slot {slot} failed: {fault}"),
            Self::ServiceKilled { unit, signal } => write!(f, "{unit} was killed by {signal}"),
            Self::ServiceCrashed { unit, signal } => write!(f, "{unit} crashed: {signal}"),
            Self::ServiceFrozen { unit } => write!(f, "{unit} was frozen; its watchdog ended it"),
            Self::ServiceDeadlocked { unit, part } => {
                write!(f, "{unit} stood still in {part}; its watchdog ended it")
            }
            Self::ServiceOutOfMemory { unit } => write!(f, "{unit} used up its memory"),
            Self::ServiceFailed { unit, how } => write!(f, "{unit} failed: {how}"),
            Self::DiskFull { mount } => write!(f, "disk full: {mount}"),
            Self::ClockJumped(Jump { direction: Direction::Forward, by }) => {
                write!(f, "the clock jumped {} s forward", by.as_secs())
            }
            Self::ClockJumped(Jump { direction: Direction::Back, by }) => {
                write!(f, "the clock jumped {} s back", by.as_secs())
            }
        }
    }
}

impl fmt::Display for SlotFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ImageUnloadable => f.write_str("its boot image could not be started"),
            Self::EndedEarly => f.write_str("it restarted before its services started"),
            Self::RootCorrupted => f.write_str("its root file system is damaged"),
            Self::Panicked { message } => write!(f, "kernel panic: {message}"),
            Self::Unhealthy { checks } if checks.is_empty() => {
                f.write_str("it did not prove itself well in time")
            }
            Self::Unhealthy { checks } => {
                f.write_str("it did not pass")?;
                for (number, check) in checks.iter().enumerate() {
                    write!(f, "{} {check}", if number == 0 { "" } else { "," })?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for ResetCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Watchdog => "its watchdog was not fed",
            Self::Overheated => "too hot",
            Self::FanFailed => "a fan stood still",
            Self::PowerLow => "supply voltage too low",
            Self::PowerHigh => "supply voltage too high",
            Self::External => "a line from outside",
            Self::NotTold => "no cause told",
        })
    }
}
