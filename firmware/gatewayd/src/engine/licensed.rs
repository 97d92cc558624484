//! Call licences in the engine: which are in force, and which calls hold some. A call takes two when it gets its route and gives
//! them back when its slot is dropped, which is the one end of every call.
//!
//! What is allowed is looked up for each call by the box's clock, and now and then without any, so licences begin and end without
//! anybody turning anything. One shard holds all calls so far; the ledger is its own.

use crate::alarms::Teller;
use crate::control::CallLicences;
use crate::licences;
use base::ids::CallId;
use base::{Cause, Fault, Kind};
use domain::alarm::Fact;
use domain::licence::{Allowance, Licences, SeatEvent, Seats};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// How many are left is looked at, and the alarms are told, at least so often.
const LOOK: Duration = Duration::from_secs(30);

/// The ledger and what it is held against; not metered until licences are put in force.
pub struct Licensed {
    licences: Arc<Licences>,
    seats: Seats,
    refused: u64,
    alarms: Teller,
    /// When it is looked at next, once licences are in force.
    look_at: Option<Instant>,
}

impl Licensed {
    /// With no licences in force; `alarms` hear how many are left.
    #[must_use]
    pub fn new(alarms: Teller) -> Self {
        Self { licences: Arc::default(), seats: Seats::default(), refused: 0, alarms, look_at: None }
    }

    /// From now on these count. Calls that stand go on, whatever is left for them.
    pub fn put_in_force(&mut self, now: Instant, licences: Arc<Licences>) {
        self.licences = licences;
        info!(calls = %self.allowed(), held = self.licences.held().len(), "call licences in force");
        self.look_at = Some(now);
        self.look_if_due(now);
    }

    /// Two licences for a call; one that has some keeps them.
    ///
    /// # Errors
    /// [`Kind::NoLicence`] if no two are free.
    pub fn take(&mut self, call: CallId) -> Result<(), Cause> {
        let taken = self.told(|seats, allowed, tell| seats.take(call, allowed, tell));
        taken.map(drop).map_err(|error| {
            self.refused += 1;
            warn!(%call, %error, "a caller is refused");
            Cause::new(Fault::Operator, Kind::NoLicence)
        })
    }

    /// What a call that is over has, if anything.
    pub fn give_back(&mut self, call: CallId) {
        self.told(|seats, allowed, tell| seats.give_back(call, allowed, tell));
    }

    /// Looks at how many are left, and tells the alarms, if that is due.
    pub fn look_if_due(&mut self, now: Instant) {
        if self.look_at.is_none_or(|at| now < at) {
            return;
        }
        self.look_at = Some(now + LOOK);
        let allowed = self.allowed();
        self.seats.look(allowed, log);
        self.alarms.tell(Fact::Licences(self.seats.stock(allowed)));
    }

    /// How many are taken and free.
    pub fn status(&mut self) -> CallLicences {
        self.told(|seats, allowed, tell| seats.look(allowed, tell));
        let allowed = self.allowed();
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

    /// Does something with the ledger; if an edge is told, the alarms hear how it stands then.
    fn told<T>(&mut self, act: impl FnOnce(&mut Seats, Allowance, &mut dyn FnMut(SeatEvent)) -> T) -> T {
        let (allowed, mut edges) = (self.allowed(), 0);
        let done = act(&mut self.seats, allowed, &mut |event| {
            edges += 1;
            log(event);
        });
        if edges > 0 {
            self.alarms.tell(Fact::Licences(self.seats.stock(allowed)));
        }
        done
    }
}

fn log(event: SeatEvent) {
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
