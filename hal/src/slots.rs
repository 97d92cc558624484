//! The two slots of the box: what state each is in, which one runs, which one comes next.
//!
//! ```text
//!  stage ─▶ INSTALLED ──boot──▶ TESTING ──mark good──▶ OK
//!                                  └── next boot without a mark, or mark failed ──▶ FAILED
//! ```
//!
//! The bootloader takes the slot with the highest revision; a failed one has revision 0. INSTALLED, TESTING, OK and
//! FAILED are EFI Boot Guard's words. It never leaves an OK slot by itself: one that no longer boots must be marked failed
//! by whoever runs instead of it (the recovery system, which the firmware starts when a boot image cannot be loaded).

use crate::DeviceError;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    /// If the other slot is not proven (a slot that is only to be tried is nothing to fall back to), or the disk fails.
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
    /// Its revision cannot grow any more.
    #[error(
        "the boot record of slot {0} has the highest revision there is; write the box anew with the flashing tool"
    )]
    Worn(Slot),
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
        self.revision() > 0
    }

    /// The revision by which the bootloader chooses; 0 for a slot that it does not boot.
    #[must_use]
    pub fn revision(self) -> u32 {
        match self {
            Self::Known { revision, .. } => revision,
            Self::Damaged => 0,
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

    /// The same, but with `slot` as `status`.
    #[must_use]
    pub fn with(mut self, slot: Slot, status: SlotStatus) -> Self {
        match slot {
            Slot::A => self.a = status,
            Slot::B => self.b = status,
        }
        self
    }

    /// The slot that the next boot takes: the one of the highest revision, or if that is still being tried (it has
    /// then failed), the other one. `None` if there is none.
    #[must_use]
    pub fn next(&self) -> Option<Slot> {
        let latest = if self.b.revision() > self.a.revision() { Slot::B } else { Slot::A };
        let next = match self.of(latest) {
            SlotStatus::Known { state: SlotState::Testing, .. } => latest.other(),
            _ => latest,
        };
        self.of(next).can_boot().then_some(next)
    }

    /// What marking the running slot good makes of it; `None` if it is good already.
    ///
    /// # Errors
    /// As [`BootControl::mark_good`].
    pub fn marked_good(&self) -> Result<Option<(Slot, SlotStatus)>, SlotsError> {
        let slot = self.booted.ok_or(SlotsError::NotFromSlot)?;
        match self.of(slot) {
            SlotStatus::Damaged => Err(SlotsError::Damaged(slot)),
            SlotStatus::Known { state: SlotState::Ok, .. } => Ok(None),
            SlotStatus::Known { state: state @ SlotState::Failed, .. }
            | SlotStatus::Known { state, revision: 0 } => Err(SlotsError::NotProven { slot, state }),
            SlotStatus::Known { revision, .. } => {
                Ok(Some((slot, SlotStatus::Known { state: SlotState::Ok, revision })))
            }
        }
    }

    /// What marking `slot` failed makes of it.
    ///
    /// # Errors
    /// As [`BootControl::mark_failed`].
    pub fn marked_failed(&self, slot: Slot) -> Result<SlotStatus, SlotsError> {
        let proven =
            matches!(self.of(slot.other()), SlotStatus::Known { state: SlotState::Ok, revision: 1.. });
        match proven || !self.of(slot).can_boot() {
            true => Ok(SlotStatus::Known { state: SlotState::Failed, revision: 0 }),
            false => Err(SlotsError::LastOne(slot)),
        }
    }

    /// What staging the slot that does not run makes of it.
    ///
    /// # Errors
    /// As [`BootControl::stage_other`].
    pub fn staged_other(&self) -> Result<(Slot, SlotStatus), SlotsError> {
        let slot = self.booted.ok_or(SlotsError::NotFromSlot)?;
        match self.of(slot) {
            SlotStatus::Damaged => Err(SlotsError::Damaged(slot)),
            SlotStatus::Known { state: SlotState::Ok, revision: running @ 1.. } => {
                let revision = running.checked_add(1).ok_or(SlotsError::Worn(slot))?;
                Ok((slot.other(), SlotStatus::Known { state: SlotState::Installed, revision }))
            }
            SlotStatus::Known { state, .. } => Err(SlotsError::NotProven { slot, state }),
        }
    }
}

/// A bootloader and its two slots, kept in memory; clones are the same. [`restart`](Self::restart) is what the real one does.
#[derive(Debug, Clone)]
pub struct FakeBootControl(Arc<Mutex<Slots>>);

impl FakeBootControl {
    /// Slots in this state.
    #[must_use]
    pub fn new(slots: Slots) -> Self {
        Self(Arc::new(Mutex::new(slots)))
    }

    /// Restarts the box: what the bootloader notes, and which slot then runs.
    pub fn restart(&self) -> Option<Slot> {
        let mut slots = self.inside();
        let next = slots.next();
        for slot in Slot::BOTH {
            let status = match slots.of(slot) {
                SlotStatus::Known { state: SlotState::Testing, .. } => {
                    SlotStatus::Known { state: SlotState::Failed, revision: 0 }
                }
                SlotStatus::Known { state: SlotState::Installed, revision } if next == Some(slot) => {
                    SlotStatus::Known { state: SlotState::Testing, revision }
                }
                status => status,
            };
            *slots = slots.with(slot, status);
        }
        slots.booted = next;
        next
    }

    fn inside(&self) -> MutexGuard<'_, Slots> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BootControl for FakeBootControl {
    fn slots(&mut self) -> Result<Slots, SlotsError> {
        Ok(*self.inside())
    }

    fn mark_good(&mut self) -> Result<(), SlotsError> {
        let mut slots = self.inside();
        if let Some((slot, status)) = slots.marked_good()? {
            *slots = slots.with(slot, status);
        }
        Ok(())
    }

    fn mark_failed(&mut self, slot: Slot) -> Result<(), SlotsError> {
        let mut slots = self.inside();
        *slots = slots.with(slot, slots.marked_failed(slot)?);
        Ok(())
    }

    fn stage_other(&mut self) -> Result<Slot, SlotsError> {
        let mut slots = self.inside();
        let (slot, status) = slots.staged_other()?;
        *slots = slots.with(slot, status);
        Ok(slot)
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OK1: SlotStatus = SlotStatus::Known { state: SlotState::Ok, revision: 1 };
    const FAILED: SlotStatus = SlotStatus::Known { state: SlotState::Failed, revision: 0 };

    fn running_a(b: SlotStatus) -> FakeBootControl {
        FakeBootControl::new(Slots { a: OK1, b, booted: Some(Slot::A) })
    }

    #[test]
    fn a_staged_slot_is_tried_once_and_kept_when_marked_good() {
        let fake = running_a(FAILED);
        let mut boot: Box<dyn BootControl> = Box::new(fake.clone());
        assert_eq!(boot.stage_other().unwrap(), Slot::B);
        assert_eq!(fake.restart(), Some(Slot::B));
        assert_eq!(boot.slots().unwrap().b, SlotStatus::Known { state: SlotState::Testing, revision: 2 });
        boot.mark_good().unwrap();
        boot.mark_good().unwrap();
        assert_eq!(fake.restart(), Some(Slot::B));
        assert_eq!(boot.slots().unwrap().b, SlotStatus::Known { state: SlotState::Ok, revision: 2 });
    }

    #[test]
    fn a_staged_slot_that_is_not_marked_good_has_failed_and_the_old_one_is_back() {
        let fake = running_a(FAILED);
        fake.clone().stage_other().unwrap();
        assert_eq!(fake.restart(), Some(Slot::B));
        assert_eq!(fake.restart(), Some(Slot::A));
        assert_eq!(fake.clone().slots().unwrap().b, FAILED);
    }

    #[test]
    fn only_a_proven_slot_may_stage_the_other() {
        let fake = running_a(FAILED);
        let mut boot = fake.clone();
        boot.stage_other().unwrap();
        fake.restart();
        let refused = boot.stage_other().unwrap_err().to_string();
        assert!(refused.starts_with("slot B runs but is TESTING; wait"), "{refused}");
    }

    #[test]
    fn the_last_slot_that_could_boot_is_never_marked_failed() {
        let mut boot = running_a(SlotStatus::Damaged);
        assert!(matches!(boot.mark_failed(Slot::A), Err(SlotsError::LastOne(Slot::A))));
        boot.mark_failed(Slot::B).unwrap();
        assert_eq!(boot.slots().unwrap().b, FAILED, "a damaged record is written anew");

        let fake = running_a(FAILED);
        fake.clone().stage_other().unwrap();
        fake.restart();
        assert!(
            matches!(fake.clone().mark_failed(Slot::A), Err(SlotsError::LastOne(_))),
            "B is only being tried"
        );
        fake.clone().mark_failed(Slot::B).unwrap();
        assert_eq!(fake.restart(), Some(Slot::A));
    }

    #[test]
    fn a_box_that_runs_from_no_slot_can_only_mark_one_failed() {
        let b = SlotStatus::Known { state: SlotState::Ok, revision: 9 };
        let mut boot = FakeBootControl::new(Slots { a: OK1, b, booted: None });
        assert!(matches!(boot.mark_good(), Err(SlotsError::NotFromSlot)));
        assert!(matches!(boot.stage_other(), Err(SlotsError::NotFromSlot)));
        boot.mark_failed(Slot::B).unwrap();
        assert_eq!(boot.slots().unwrap().next(), Some(Slot::A));
    }

    fn any_act() -> impl Strategy<Value = u8> {
        0u8..5
    }

    proptest! {
        #[test]
        fn whatever_is_asked_in_whatever_order_a_slot_can_always_be_booted(acts in prop::collection::vec(any_act(), 0..60)) {
            let fake = running_a(FAILED);
            for act in acts {
                let mut boot = fake.clone();
                match act {
                    0 => drop(boot.stage_other()),
                    1 => drop(boot.mark_good()),
                    2 => drop(boot.mark_failed(Slot::A)),
                    3 => drop(boot.mark_failed(Slot::B)),
                    _ => prop_assert!(fake.restart().is_some()),
                }
                prop_assert!(boot.slots().unwrap().next().is_some(), "{:?}", fake);
            }
        }
    }
}
