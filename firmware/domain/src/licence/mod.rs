//! Licences (P15): how many calls a box may carry and how many access tokens it may hold, by signed files.
//!
//! ```text
//!  pasted text ─▶ Licence (signed, for this box) ─▶ Licences ─at a time─▶ Entitlement
//!                                                                            │ calls: Allowance
//!  a call gets its route ─▶ Seats::take ◀────────────────────────────────────┘
//!  a call is over, however ─▶ Seats::give_back
//! ```
//! Licences add up, each from its first day to the end of its last. A gatewayed participant takes two call licences, one for
//! each way ([`PER_CALL`]), together or not at all. A licence that ends with calls in it ends none of them: they go on, and new
//! ones are refused.
//!
//! **A box that knows no vendor key is not metered**: any number of calls and access tokens ([`Allowance::Unmetered`]). That is
//! how Gantry comes; metering begins when whoever sells boxes gives them a key to check licences by. A box that knows a key and
//! holds no licence carries no call.

mod file;
mod seats;

pub use file::{COUNT_MAX, FILE_BYTES, Licence, LicenceError, VendorKey, VendorKeyError};
pub use seats::{NoLicence, PER_CALL, Seat, SeatEvent, Seats, Stock};

use crate::appliance::instant::UnixTime;
use std::fmt;
use std::time::Duration;

/// Most licences held at a time.
pub const MAX_LICENCES: usize = 64;
/// Licences that end within this are told about beforehand.
pub const SOON: Duration = Duration::from_secs(30 * 86_400);

/// How many of something there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowance {
    /// Any number: nobody counts.
    Unmetered,
    /// At most so many.
    Of(u32),
}

/// What a box may do at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entitlement {
    /// Call licences; each call takes [`PER_CALL`].
    pub calls: Allowance,
    /// Access tokens that may exist.
    pub gateway_tokens: Allowance,
    /// When a licence begins or ends next, so that this is no longer so.
    pub until: Option<UnixTime>,
}

/// There are, or would be, more access tokens than licences for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{held} access tokens are more than the {licensed} that gateway-token licences allow; remove one or add a licence"
)]
pub struct TooManyTokens {
    /// So many.
    pub held: u32,
    /// Allowed.
    pub licensed: u32,
}

/// What becomes of a licence whose first day is yet to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Early {
    /// It is refused, so that nobody takes it for one that counts.
    #[default]
    Refused,
    /// It is kept, and counts from that day on: a renewal that is there in time.
    Kept,
}

/// What a licence is worth at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It counts.
    Counts,
    /// It counts, and ends within [`SOON`].
    EndsSoon,
    /// Its first day is yet to come.
    Later,
    /// Its last day is over.
    Over,
}

/// The licences of a box, and by which keys they are checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Licences {
    keys: Vec<VendorKey>,
    serial: Option<String>,
    held: Vec<Licence>,
}

impl Allowance {
    /// How many are left when so many are taken; `None` if nobody counts.
    #[must_use]
    pub const fn free(self, taken: u32) -> Option<u32> {
        match self {
            Allowance::Unmetered => None,
            Allowance::Of(total) => Some(total.saturating_sub(taken)),
        }
    }
}

impl fmt::Display for Allowance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Allowance::Unmetered => f.write_str("unmetered"),
            Allowance::Of(total) => write!(f, "{total}"),
        }
    }
}

impl Entitlement {
    /// Whether so many access tokens may exist.
    ///
    /// # Errors
    /// [`TooManyTokens`] if not.
    pub const fn check_tokens(&self, held: u32) -> Result<(), TooManyTokens> {
        match self.gateway_tokens {
            Allowance::Of(licensed) if held > licensed => Err(TooManyTokens { held, licensed }),
            Allowance::Unmetered | Allowance::Of(_) => Ok(()),
        }
    }

    /// Whether there may be so many access tokens where there were so many `before`: a box whose licence ended keeps those that it has, and
    /// they may be changed and removed.
    ///
    /// # Errors
    /// [`TooManyTokens`] if there would be more than before, and more than are licensed.
    pub const fn check_more_tokens(&self, before: u32, held: u32) -> Result<(), TooManyTokens> {
        if held > before { self.check_tokens(held) } else { Ok(()) }
    }
}

impl Licences {
    /// None yet, checked by `keys`, on the box with this serial number. Without keys nothing is metered.
    #[must_use]
    pub const fn new(keys: Vec<VendorKey>, serial: Option<String>) -> Self {
        Self { keys, serial, held: Vec::new() }
    }

    /// A box that nobody meters.
    #[must_use]
    pub const fn unmetered() -> Self {
        Self::new(Vec::new(), None)
    }

    /// Takes one more licence, as it was pasted. One whose first day is yet to come is taken, and counts from that day on.
    ///
    /// # Errors
    /// [`LicenceError`], and nothing changes: it can't be read, is not by a vendor that is known, is for another box, is over,
    /// is here already, or there are too many.
    pub fn add(&mut self, text: &str, now: UnixTime) -> Result<&Licence, LicenceError> {
        self.upload(text, now, Early::Kept)
    }

    /// As [`add`](Self::add), but one whose first day is yet to come is taken only if that is meant.
    ///
    /// # Errors
    /// As [`add`](Self::add), and [`LicenceError::NotYetValid`] where it is early and to be refused.
    pub fn upload(&mut self, text: &str, now: UnixTime, early: Early) -> Result<&Licence, LicenceError> {
        let licence = self.read(text)?;
        match (licence.check(now), early) {
            (Ok(()), _) | (Err(LicenceError::NotYetValid { .. }), Early::Kept) => self.take(licence),
            (Err(error), Early::Kept | Early::Refused) => Err(error),
        }
    }

    /// Takes one that was taken before: it may be over by now, and then counts for nothing until somebody removes it.
    ///
    /// # Errors
    /// As [`add`](Self::add), whatever its days.
    pub fn restore(&mut self, text: &str) -> Result<&Licence, LicenceError> {
        let licence = self.read(text)?;
        self.take(licence)
    }

    fn read(&self, text: &str) -> Result<Licence, LicenceError> {
        Licence::read(text, &self.keys, self.serial.as_deref())
    }

    fn take(&mut self, licence: Licence) -> Result<&Licence, LicenceError> {
        if self.held.iter().any(|held| held.id() == licence.id()) {
            return Err(LicenceError::SameId(licence.id().to_owned()));
        }
        if self.held.len() >= MAX_LICENCES {
            return Err(LicenceError::TooMany);
        }
        let place = self.held.len();
        self.held.push(licence);
        Ok(&self.held[place])
    }

    /// Takes one away; `None` if there is none of this id.
    pub fn remove(&mut self, id: &str) -> Option<Licence> {
        let place = self.held.iter().position(|held| held.id() == id)?;
        Some(self.held.remove(place))
    }

    /// Those that are held, in the order they came; [`Licence::check`] says which count.
    #[must_use]
    pub fn held(&self) -> &[Licence] {
        &self.held
    }

    /// Whether anybody counts.
    #[must_use]
    pub const fn is_metered(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Whose licences are taken.
    pub fn vendors(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(VendorKey::name)
    }

    /// The box's serial number, where it knows it.
    #[must_use]
    pub fn serial(&self) -> Option<&str> {
        self.serial.as_deref()
    }

    /// What the box may do at `now`.
    #[must_use]
    pub fn entitlement(&self, now: UnixTime) -> Entitlement {
        if !self.is_metered() {
            return Entitlement {
                calls: Allowance::Unmetered,
                gateway_tokens: Allowance::Unmetered,
                until: None,
            };
        }
        let (mut calls, mut tokens) = (0_u32, 0_u32);
        for licence in self.held.iter().filter(|licence| licence.check(now).is_ok()) {
            calls = calls.saturating_add(licence.calls());
            tokens = tokens.saturating_add(licence.gateway_tokens());
        }
        let turns =
            self.held.iter().flat_map(|licence| [licence.not_before(), UnixTime(licence.not_after().0 + 1)]);
        let until = turns.filter(|turn| *turn > now).min();
        Entitlement { calls: Allowance::Of(calls), gateway_tokens: Allowance::Of(tokens), until }
    }

    /// Those that count at `now` and end within [`SOON`].
    pub fn ending(&self, now: UnixTime) -> impl Iterator<Item = &Licence> {
        let soon = UnixTime(now.0.saturating_add(SOON.as_secs()));
        self.held.iter().filter(move |licence| licence.check(now).is_ok() && licence.not_after() <= soon)
    }

    /// Those whose end costs the box something, seen from `now`: after it there is less, and no other licence has made up for it. One that is
    /// renewed in time is not among them; neither is one whose first day is yet to come.
    pub fn lost(&self, now: UnixTime) -> impl Iterator<Item = &Licence> {
        let less = |before: Allowance, after: Allowance| match (before, after) {
            (Allowance::Of(before), Allowance::Of(after)) => after < before,
            _ => false,
        };
        self.held.iter().filter(move |licence| {
            let end = licence.not_after();
            let before = self.entitlement(end);
            let after = self.entitlement(now.max(UnixTime(end.0.saturating_add(1))));
            now >= licence.not_before()
                && (less(before.calls, after.calls) || less(before.gateway_tokens, after.gateway_tokens))
        })
    }
}

#[cfg(test)]
mod tests;
