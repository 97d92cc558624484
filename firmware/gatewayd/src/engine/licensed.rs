//! Call licences in the engine: which are in force, and which calls hold some. A call takes two when it gets its route and gives
//! them back when its slot is dropped, which is the one end of every call.
//!
//! What is allowed is looked up for each call by the box's clock, so licences begin and end without anybody turning anything.
//! One shard holds all calls so far; the ledger is its own.

use crate::control::CallLicences;
use crate::licences;
use base::ids::CallId;
use base::{Cause, Fault, Kind};
use domain::licence::{Allowance, Licences, SeatEvent, Seats};
use std::sync::Arc;
use tracing::{info, warn};

/// The ledger and what it is held against; not metered until licences are put in force.
#[derive(Default)]
pub struct Licensed {
    licences: Arc<Licences>,
    seats: Seats,
    refused: u64,
}

impl Licensed {
    /// From now on these count. Calls that stand go on, whatever is left for them.
    pub fn put_in_force(&mut self, licences: Arc<Licences>) {
        self.licences = licences;
        let allowed = self.allowed();
        info!(calls = %allowed, held = self.licences.held().len(), "call licences in force");
        self.seats.look(allowed, tell);
    }

    /// Two licences for a call; one that has some keeps them.
    ///
    /// # Errors
    /// [`Kind::NoLicence`] if no two are free.
    pub fn take(&mut self, call: CallId) -> Result<(), Cause> {
        let taken = self.seats.take(call, self.allowed(), tell);
        taken.map(drop).map_err(|error| {
            self.refused += 1;
            warn!(%call, %error, "a caller is refused");
            Cause::new(Fault::Operator, Kind::NoLicence)
        })
    }

    /// What a call that is over has, if anything.
    pub fn give_back(&mut self, call: CallId) {
        self.seats.give_back(call, self.allowed(), tell);
    }

    /// How many are taken and free.
    pub fn status(&mut self) -> CallLicences {
        let allowed = self.allowed();
        self.seats.look(allowed, tell);
        let total = match allowed {
            Allowance::Unmetered => None,
            Allowance::Of(total) => Some(u64::from(total)),
        };
        let taken = self.seats.taken();
        CallLicences { taken: u64::from(taken), total, free: allowed.free(taken).map(u64::from) }
    }

    /// How many calls were refused for want of licences.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    fn allowed(&self) -> Allowance {
        self.licences.entitlement(licences::now()).calls
    }
}

fn tell(event: SeatEvent) {
    match event {
        SeatEvent::NearlyExhausted(so) => {
            warn!(taken = so.taken, total = so.total, "call licences are nearly exhausted");
        }
        SeatEvent::Exhausted(so) => {
            warn!(taken = so.taken, total = so.total, "call licences are exhausted: new calls are refused");
        }
        SeatEvent::Available => info!("call licences are free again"),
        SeatEvent::Plenty => info!("enough call licences are free again"),
    }
}
