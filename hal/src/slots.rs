//! The two slots of the box: what state each is in, which one runs, which one comes next.
//!
//! ```text
//!  stage ─▶ INSTALLED ──boot──▶ TESTING ──mark good──▶ OK
//!                                  └── next boot without a mark, or mark failed ──▶ FAILED
//! ```
//!
//! The bootloader takes the slot with the highest revision; a failed one has revision 0. INSTALLED, TESTING, OK and
//! FAILED are EFI Boot Guard's words.

use crate::DeviceError;
use std::fmt;

/// One of the two slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Slot {
    /// The first.
    A,
    /// The second.
    B,
}

/// How far a slot is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SlotState {
    /// Written, to be tried at the next boot.
    Installed,
    /// Being tried: if it restarts before it is marked good, it has failed.
    Testing,
    /// Proven.
    Ok,
    /// Not to be booted.
    Failed,
}

/// What is known of one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotStatus {
    /// Its record can be read.
    Known {
        /// How far it is trusted.
        state: SlotState,
        /// The higher one is booted; 0 is never booted.
        revision: u32,
    },
    /// Its record is damaged; the bootloader does not boot it.
    Damaged,
}

/// What is known of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slots {
    /// Slot A.
    pub a: SlotStatus,
    /// Slot B.
    pub b: SlotStatus,
    /// The one that runs; `None` if the box was started some other way (recovery, network).
    pub booted: Option<Slot>,
}

/// What the box may ask of its bootloader. Each act is on the disk when it returns.
pub trait BootControl: Send {
    /// The state of both slots now.
    ///
    /// # Errors
    /// If it cannot be read at all; a damaged record is a [`SlotStatus`].
    fn slots(&mut self) -> Result<Slots, SlotsError>;

    /// The running slot has proven itself: it is OK from now on. Does nothing if it is already.
    ///
    /// # Errors
    /// If it is not known which slot runs, its record is damaged or it has failed meanwhile, or the disk fails.
    fn mark_good(&mut self) -> Result<(), SlotsError>;

    /// `slot` is not to be booted again until something is staged in it.
    ///
    /// # Errors
    /// If the other slot could not be booted either, or the disk fails.
    fn mark_failed(&mut self, slot: Slot) -> Result<(), SlotsError>;

    /// The slot that does not run is tried at the next boot, once. What it is to boot must already be on the disk.
    /// Returns which one it is.
    ///
    /// # Errors
    /// If it is not known which slot runs, the running slot is not yet proven, or the disk fails.
    fn stage_other(&mut self) -> Result<Slot, SlotsError>;
}

/// Why a slot's state could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum SlotsError {
    /// The box runs from something that is no slot.
    #[error("the box does not run from a slot; start it from its disk")]
    NotFromSlot,
    /// The slot's record is damaged.
    #[error("the boot record of slot {0} is damaged; install into it again")]
    Damaged(Slot),
    /// The running slot is not OK.
    #[error("slot {slot} runs but is {state}; wait until it is marked good, or restart into the other slot")]
    NotProven {
        /// The running slot.
        slot: Slot,
        /// Its state.
        state: SlotState,
    },
    /// No slot could be booted any more.
    #[error(
        "slot {0} cannot be marked failed: the other slot could not be booted either; install into that one first"
    )]
    LastOne(Slot),
    /// The disk failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

impl Slot {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

impl SlotStatus {
    /// Whether the bootloader may boot it.
    #[must_use]
    pub fn can_boot(self) -> bool {
        matches!(self, Self::Known { state, revision } if state != SlotState::Failed && revision > 0)
    }

    /// The revision by which the bootloader chooses; 0 for one it does not boot.
    fn rank(self) -> u32 {
        match self {
            Self::Known { revision, .. } if self.can_boot() => revision,
            _ => 0,
        }
    }
}

impl Slots {
    /// What is known of `slot`.
    #[must_use]
    pub fn of(&self, slot: Slot) -> SlotStatus {
        match slot {
            Slot::A => self.a,
            Slot::B => self.b,
        }
    }

    /// The slot that the next boot takes; `None` if there is none.
    #[must_use]
    pub fn next(&self) -> Option<Slot> {
        // A slot that is still being tried when the box restarts has failed, so it is not taken again.
        let rank = |slot: Slot| match self.of(slot) {
            SlotStatus::Known { state: SlotState::Testing, .. } => 0,
            status => status.rank(),
        };
        let (a, b) = (rank(Slot::A), rank(Slot::B));
        match a.max(b) {
            0 => None,
            most if most == a => Some(Slot::A),
            _ => Some(Slot::B),
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::A => "A",
            Self::B => "B",
        })
    }
}

impl fmt::Display for SlotState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Installed => "INSTALLED",
            Self::Testing => "TESTING",
            Self::Ok => "OK",
            Self::Failed => "FAILED",
        })
    }
}

impl fmt::Display for SlotStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known { state, .. } => state.fmt(f),
            Self::Damaged => f.pad("DAMAGED"),
        }
    }
}
