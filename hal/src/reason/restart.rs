//! Why the whole box restarted.

use super::dump::{About, KernelDump, Panic};
use super::{End, Life, Reached, SlotFault, Why};
use crate::slots::{Slot, SlotState, SlotStatus, Slots};
use crate::watchdog::ResetCause;

/// All that is known after a start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Evidence {
    /// What each hardware watchdog says of the last reset.
    pub resets: Vec<ResetCause>,
    /// What pstore kept since the last start.
    pub dumps: Vec<KernelDump>,
    /// The slots as the bootloader left them; `None` if they cannot be read.
    pub slots: Option<Slots>,
    /// The last life that was written down; `None` if none ever was.
    pub last: Option<Life>,
    /// What was found when the slot that is out of service was looked at, now or by whoever gave it up; `None` if nobody looked.
    pub inspected: Option<Inspected>,
}

/// What the disk of a slot looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inspected {
    /// All there.
    Sound,
    /// The boot image is missing, or not whole.
    ImageDamaged,
    /// The root file system does not fit its hashes.
    RootDamaged,
}

impl Inspected {
    /// Its word on a disk.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Sound => "sound",
            Self::ImageDamaged => "image-damaged",
            Self::RootDamaged => "root-damaged",
        }
    }

    /// What a word means; `None` if it means nothing.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        [Self::Sound, Self::ImageDamaged, Self::RootDamaged].into_iter().find(|found| found.word() == word)
    }
}

/// Why the box restarted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Why.
    pub why: Why,
    /// The slot that runs now.
    pub slot: Option<Slot>,
    /// Whether it is the slot that was meant to run.
    pub fell_back: FellBack,
}

/// Whether another slot runs than was meant to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FellBack {
    /// The slot that was meant to run does.
    No,
    /// The bootloader, or the recovery system, went back from this one.
    From(Slot),
}

/// The one reason that explains all of `evidence`.
///
/// In this order: a slot that was meant to run and does not; a panic, as it tells most; what the last life was asked
/// for; a watchdog, and other hardware, that says it made the reset; and if nothing says anything, the power was lost.
#[must_use]
pub fn why_restarted(evidence: &Evidence) -> Reason {
    let slot = evidence.slots.and_then(|slots| slots.booted);
    let failed = fallen_back(evidence);
    let fell_back = failed.map_or(FellBack::No, FellBack::From);
    let why = match (failed, &evidence.last) {
        (Some(failed), last) => {
            Why::SlotFailed { slot: failed, fault: fault(failed, last.as_ref(), evidence) }
        }
        (None, last) => within_a_slot(last.as_ref(), evidence),
    };
    Reason { why, slot, fell_back }
}

/// The slot that was meant to run, if it is out of service and another one runs.
fn fallen_back(Evidence { slots, last, .. }: &Evidence) -> Option<Slot> {
    let slots = slots.as_ref()?;
    let out = |slot: Slot| match slots.of(slot) {
        SlotStatus::Known { state, revision } => state == SlotState::Failed || revision == 0,
        SlotStatus::Damaged => true,
    };
    let meant = last.as_ref()?.staged.or(last.as_ref()?.slot)?;
    (slots.booted != Some(meant) && out(meant)).then_some(meant)
}

/// What was wrong with the slot `failed`.
fn fault(failed: Slot, last: Option<&Life>, evidence: &Evidence) -> SlotFault {
    // A life of that slot was written down, and ended before it had proven itself.
    let tried = last.filter(|last| last.slot == Some(failed) && last.reached == Reached::Started);
    let panic = panic(evidence);
    match (panic.as_ref().map(|panic| panic.about), tried, evidence.inspected) {
        (Some(About::Root), _, _) | (_, _, Some(Inspected::RootDamaged)) => SlotFault::RootCorrupted,
        (_, Some(Life { end: Some(End::GaveUp { checks }), .. }), _) => {
            SlotFault::Unhealthy { checks: checks.clone() }
        }
        (Some(About::Other), _, _) => {
            panic.map_or(SlotFault::EndedEarly, |Panic { message, .. }| SlotFault::Panicked { message })
        }
        (None, _, Some(Inspected::ImageDamaged)) | (None, None, None) => SlotFault::ImageUnloadable,
        (Some(About::Hang) | None, Some(_), _) => SlotFault::Unhealthy { checks: Vec::new() },
        (Some(About::Hang), None, _) | (None, None, Some(Inspected::Sound)) => SlotFault::EndedEarly,
    }
}

/// Why a box restarted that runs from the slot it was meant to.
fn within_a_slot(last: Option<&Life>, evidence: &Evidence) -> Why {
    let booted = evidence.slots.and_then(|slots| slots.booted);
    let end = last.and_then(|last| last.end.as_ref());
    let told = |cause: &&ResetCause| !matches!(cause, ResetCause::Watchdog | ResetCause::NotTold);
    let hardware = evidence.resets.iter().find(told);
    match (panic(evidence), booted, end) {
        (Some(Panic { about: About::Hang, .. }), ..) => Why::SystemHung,
        (Some(Panic { about: About::Root, .. }), Some(slot), _) => {
            Why::SlotFailed { slot, fault: SlotFault::RootCorrupted }
        }
        (Some(Panic { message, .. }), ..) => Why::KernelPanic { message },
        (None, _, Some(End::Asked(act))) => Why::Asked(*act),
        (None, Some(slot), Some(End::GaveUp { checks })) => {
            Why::SlotFailed { slot, fault: SlotFault::Unhealthy { checks: checks.clone() } }
        }
        _ if evidence.resets.contains(&ResetCause::Watchdog) => Why::SystemHung,
        _ => match (hardware, last) {
            (Some(cause), _) => Why::Hardware(*cause),
            (None, Some(_)) => Why::PowerLost,
            (None, None) => Why::FirstStart,
        },
    }
}

/// The panic that explains most: when several starts panicked, a damaged root explains the others.
fn panic(evidence: &Evidence) -> Option<Panic> {
    let panics: Vec<_> = evidence.dumps.iter().filter_map(KernelDump::panic).collect();
    let root = panics.iter().find(|panic| panic.about == About::Root);
    root.or(panics.first()).cloned()
}
