//! Which calls hold call licences: each takes two, one for each way, and gives them back once, however it ends.
//!
//! ```text
//!           9 of 10 taken: NearlyExhausted           no two free: Exhausted
//!  PLENTY ─────────────────────────────────▶ FEW ───────────────────────────▶ NONE
//!     ▲          fewer than 8 of 10: Plenty   │ ▲        two free: Available     │
//!     └───────────────────────────────────────┘ └────────────────────────────────┘
//! ```
//! Each edge is told once; between eight and nine of ten nothing changes, so a call that comes and goes there tells nothing.

use super::Allowance;
use base::ids::CallId;
use std::collections::BTreeSet;

/// Call licences that a gatewayed participant takes: in and out (P15).
pub const PER_CALL: u32 = 2;

/// The ledger.
#[derive(Debug, Clone, Default)]
pub struct Seats {
    held: BTreeSet<CallId>,
    level: Level,
}

/// How a call came by its licences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seat {
    /// It took them now.
    Taken,
    /// It had them: a caller that tries a second meeting stays the same participant.
    Kept,
}

/// There are no two free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{taken} of {total} call licences are taken, and a call takes {PER_CALL}; end a call or add a licence"
)]
pub struct NoLicence {
    /// Taken; more than there are, if some expired.
    pub taken: u32,
    /// There are.
    pub total: u32,
}

/// What an administrator is told, once for each edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeatEvent {
    /// Nine of ten are taken.
    NearlyExhausted(NoLicence),
    /// No call can be taken.
    Exhausted(NoLicence),
    /// A call can be taken again.
    Available,
    /// Fewer than eight of ten are taken again.
    Plenty,
}

/// How many are left, as it was when it was last looked: the edges of [`SeatEvent`] lead from one of these to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stock {
    /// Enough, or nobody counts.
    Plenty,
    /// Nine of ten were taken, and since then never fewer than eight of ten.
    Few(NoLicence),
    /// No call can be taken.
    None(NoLicence),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Level {
    #[default]
    Plenty,
    Few,
    None,
}

impl Seats {
    /// Takes two licences for `call`, if two are free of what is allowed now.
    ///
    /// # Errors
    /// [`NoLicence`]; nothing is taken then.
    pub fn take(
        &mut self,
        call: CallId,
        allowed: Allowance,
        mut tell: impl FnMut(SeatEvent),
    ) -> Result<Seat, NoLicence> {
        if self.held.contains(&call) {
            return Ok(Seat::Kept);
        }
        self.look(allowed, &mut tell);
        match allowed {
            Allowance::Of(total) if total.saturating_sub(self.taken()) < PER_CALL => {
                return Err(NoLicence { taken: self.taken(), total });
            }
            Allowance::Of(_) | Allowance::Unmetered => {}
        }
        self.held.insert(call);
        self.look(allowed, &mut tell);
        Ok(Seat::Taken)
    }

    /// Gives back what `call` has: nothing, if it was refused or gave it back before.
    pub fn give_back(&mut self, call: CallId, allowed: Allowance, mut tell: impl FnMut(SeatEvent)) {
        if self.held.remove(&call) {
            self.look(allowed, &mut tell);
        }
    }

    /// Looks at what is allowed now: licences come, begin and end without any call.
    pub fn look(&mut self, allowed: Allowance, mut tell: impl FnMut(SeatEvent)) {
        let (before, after) = (self.level, self.level(allowed));
        self.level = after;
        let count = || self.count(allowed);
        match (before, after) {
            (Level::Plenty | Level::Few, Level::None) => tell(SeatEvent::Exhausted(count())),
            (Level::None, Level::Few) => tell(SeatEvent::Available),
            (Level::None, Level::Plenty) => {
                tell(SeatEvent::Available);
                tell(SeatEvent::Plenty);
            }
            (Level::Plenty, Level::Few) => tell(SeatEvent::NearlyExhausted(count())),
            (Level::Few, Level::Plenty) => tell(SeatEvent::Plenty),
            (Level::Plenty, Level::Plenty) | (Level::Few, Level::Few) | (Level::None, Level::None) => {}
        }
    }

    /// How many are left of what is allowed now, after a [`look`](Self::look).
    #[must_use]
    pub fn stock(&self, allowed: Allowance) -> Stock {
        match self.level {
            Level::Plenty => Stock::Plenty,
            Level::Few => Stock::Few(self.count(allowed)),
            Level::None => Stock::None(self.count(allowed)),
        }
    }

    fn count(&self, allowed: Allowance) -> NoLicence {
        let total = match allowed {
            Allowance::Of(total) => total,
            Allowance::Unmetered => 0,
        };
        NoLicence { taken: self.taken(), total }
    }

    /// How many licences are taken.
    #[must_use]
    pub fn taken(&self) -> u32 {
        u32::try_from(self.held.len()).unwrap_or(u32::MAX).saturating_mul(PER_CALL)
    }

    fn level(&self, allowed: Allowance) -> Level {
        let Allowance::Of(total) = allowed else { return Level::Plenty };
        let (taken, all) = (u64::from(self.taken()), u64::from(total));
        // One that runs out comes through FEW on its way back, however small the box is.
        let few = if self.level == Level::Plenty { taken * 10 >= all * 9 } else { taken * 10 >= all * 8 };
        if total.saturating_sub(self.taken()) < PER_CALL {
            Level::None
        } else if few {
            Level::Few
        } else {
            Level::Plenty
        }
    }
}
