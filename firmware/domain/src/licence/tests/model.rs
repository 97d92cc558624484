//! The ledger against a reference model: whatever calls, licences and bugs do, seats are taken and returned exactly once.

use super::*;
use base::ids::CallId;
use proptest::prelude::*;
use std::collections::HashMap;

/// What may happen, in any order.
#[derive(Debug, Clone)]
enum Act {
    /// A call gets its route, maybe for a second time.
    Begin(u64),
    /// A call is over: hung up, refused by the conference, or by a bug of ours that was caught. All give back the same way.
    End(u64),
    /// Both, of the same call at once: a bug while it ends.
    EndTwice(u64),
    /// The vendor's next licence is pasted.
    Add { calls: u32, days: (u64, u64) },
    /// One is removed.
    Remove(usize),
    /// So many days pass.
    Pass(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0_u64..12).prop_map(Act::Begin),
        4 => (0_u64..12).prop_map(Act::End),
        1 => (0_u64..12).prop_map(Act::EndTwice),
        2 => (0_u32..9, (0_u64..40, 0_u64..20)).prop_map(|(calls, days)| Act::Add { calls, days }),
        1 => (0_usize..4).prop_map(Act::Remove),
        2 => (0_u64..8).prop_map(Act::Pass),
    ]
}

const FIRST_DAY: u64 = 20_454;

fn day(day: u64) -> UnixTime {
    UnixTime((FIRST_DAY + day) * 86_400)
}

/// What must hold, as simply as it can be said: a number of calls, and licences with first and last days.
#[derive(Default)]
struct Model {
    today: u64,
    licences: Vec<(u32, u64, u64)>,
    standing: HashMap<u64, u32>,
}

impl Model {
    fn entitled(&self) -> u32 {
        let valid = self.licences.iter().filter(|(_, first, last)| (*first..=*last).contains(&self.today));
        valid.map(|(calls, ..)| calls).sum()
    }

    fn taken(&self) -> u32 {
        self.standing.values().sum()
    }
}

struct Rig {
    model: Model,
    licences: Licences,
    seats: Seats,
    added: usize,
    told: Vec<SeatEvent>,
}

impl Rig {
    fn act(&mut self, act: &Act) -> Result<(), TestCaseError> {
        match *act {
            Act::Begin(call) => self.begin(call)?,
            Act::End(call) => self.end(call),
            Act::EndTwice(call) => {
                self.end(call);
                self.end(call);
            }
            Act::Add { calls, days: (first, length) } => self.add(calls, (first, first + length))?,
            Act::Remove(place) if place < self.model.licences.len() => {
                let id = self.licences.held()[place].id().to_owned();
                self.licences.remove(&id);
                self.model.licences.remove(place);
            }
            Act::Remove(_) => {}
            Act::Pass(days) => self.model.today += days,
        }
        let allowed = self.allowed();
        self.seats.look(allowed, |event| self.told.push(event));
        prop_assert_eq!(allowed, Allowance::Of(self.model.entitled()));
        prop_assert_eq!(self.seats.taken(), self.model.taken());
        Ok(())
    }

    fn allowed(&self) -> Allowance {
        self.licences.entitlement(day(self.model.today)).calls
    }

    fn begin(&mut self, call: u64) -> Result<(), TestCaseError> {
        let allowed = self.allowed();
        let had = self.model.standing.contains_key(&call);
        let before = self.seats.taken();
        let result = self.seats.take(CallId(call), allowed, |event| self.told.push(event));
        let free = self.model.entitled().saturating_sub(self.model.taken());
        match result {
            Ok(Seat::Kept) => prop_assert!(had),
            Ok(Seat::Taken) => {
                prop_assert!(!had && free >= PER_CALL, "{free} were free");
                self.model.standing.insert(call, PER_CALL);
                prop_assert!(
                    self.seats.taken() <= self.model.entitled(),
                    "never more than entitled when taken"
                );
            }
            Err(NoLicence { taken, total }) => {
                prop_assert!(!had && free < PER_CALL, "{free} were free");
                prop_assert_eq!((taken, total), (before, self.model.entitled()));
                prop_assert_eq!(self.seats.taken(), before, "never half");
            }
        }
        Ok(())
    }

    fn end(&mut self, call: u64) {
        let allowed = self.allowed();
        self.seats.give_back(CallId(call), allowed, |event| self.told.push(event));
        self.model.standing.remove(&call);
    }

    fn add(&mut self, calls: u32, (first, last): (u64, u64)) -> Result<(), TestCaseError> {
        self.added += 1;
        let (from, to) = (day(first).to_string(), day(last).to_string());
        let file = acme().sign(&payload(&format!("L{}", self.added), calls, 1, (&from[..10], &to[..10])));
        let added = self.licences.add(&file, day(self.model.today)).map(|_| ());
        prop_assert_eq!(added.is_ok(), last >= self.model.today, "{:?}", added);
        if added.is_ok() {
            self.model.licences.push((calls, first, last));
        }
        Ok(())
    }

    /// Edges come in an order that makes sense, each once.
    fn edges(&self) -> Result<(), TestCaseError> {
        let mut level = 0;
        for event in &self.told {
            let next = match event {
                SeatEvent::NearlyExhausted(_) => (level == 0).then_some(1),
                SeatEvent::Exhausted(_) => (level < 2).then_some(2),
                SeatEvent::Available => (level == 2).then_some(1),
                SeatEvent::Plenty => (level == 1).then_some(0),
            };
            prop_assert!(next.is_some(), "{:?}", self.told);
            level = next.unwrap_or_default();
        }
        let exhausted = self.model.entitled().saturating_sub(self.model.taken()) < PER_CALL;
        prop_assert_eq!(level == 2, exhausted, "what was told last is so");
        let stock = self.seats.stock(Allowance::Of(self.model.entitled()));
        let so = NoLicence { taken: self.model.taken(), total: self.model.entitled() };
        let wanted = [Stock::Plenty, Stock::Few(so), Stock::None(so)][level];
        prop_assert_eq!(stock, wanted, "and so is what is left");
        Ok(())
    }
}

proptest! {
    /// P15
    #[test]
    fn p15_licences_are_taken_and_returned_exactly_once_on_every_path(acts in proptest::collection::vec(act(), 0..80)) {
        let mut rig = Rig {
            model: Model::default(), licences: licences(), seats: Seats::default(), added: 0, told: Vec::new(),
        };
        for act in &acts {
            rig.act(act)?;
            rig.edges()?;
        }
        for call in 0..12 {
            rig.act(&Act::End(call))?;
        }
        prop_assert_eq!(rig.seats.taken(), 0, "all come back");
    }
}

fn told(allowed: u32, steps: &[(bool, u64)]) -> Vec<SeatEvent> {
    let (mut seats, mut told) = (Seats::default(), Vec::new());
    for (begins, call) in steps {
        if *begins {
            let _ = seats.take(CallId(*call), Allowance::Of(allowed), |event| told.push(event));
        } else {
            seats.give_back(CallId(*call), Allowance::Of(allowed), |event| told.push(event));
        }
    }
    told
}

#[test]
fn p15_near_exhaustion_exhaustion_and_free_again_are_told_once_each() {
    let count = |taken| NoLicence { taken, total: 20 };
    let fill: Vec<_> = (0..12).map(|call| (true, call)).collect();
    let flap = [(false, 8), (true, 8), (false, 9), (false, 8)];
    let empty: Vec<_> = (0..8).map(|call| (false, call)).collect();
    let steps = [&fill[..], &flap, &empty].concat();
    assert_eq!(
        told(20, &steps),
        [
            SeatEvent::NearlyExhausted(count(18)),
            SeatEvent::Exhausted(count(20)),
            SeatEvent::Available,
            SeatEvent::Exhausted(count(20)),
            SeatEvent::Available,
            SeatEvent::Plenty,
        ]
    );
}

#[test]
fn p15_a_call_at_the_edge_of_few_that_comes_and_goes_tells_nothing_new() {
    let mut steps: Vec<_> = (0..9).map(|call| (true, call)).collect();
    steps.extend([(false, 8), (true, 8)].repeat(10));
    assert_eq!(told(20, &steps).len(), 1);
}

#[test]
fn p15_an_odd_licence_is_of_no_use_to_a_call() {
    let mut seats = Seats::default();
    assert_eq!(seats.take(CallId(1), Allowance::Of(3), |_| ()), Ok(Seat::Taken));
    let refused = seats.take(CallId(2), Allowance::Of(3), |_| ()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "2 of 3 call licences are taken, and a call takes 2; end a call or add a licence"
    );
}

#[test]
fn p15_calls_go_on_when_their_licence_ends_and_new_ones_are_refused() {
    let mut licences = licences();
    let file = acme().sign(&payload("a", 4, 0, ("2026-01-01", "2026-01-31")));
    licences.add(&file, on("2026-01-15")).unwrap();
    let (mut seats, mut told) = (Seats::default(), Vec::new());
    let at = |moment: &str| licences.entitlement(UnixTime::parse(moment).unwrap()).calls;
    let before = at("2026-01-31T23:59:59Z");
    assert_eq!(seats.take(CallId(1), before, |event| told.push(event)), Ok(Seat::Taken));
    let after = at("2026-02-01T00:00:00Z");
    assert_eq!(seats.take(CallId(2), after, |event| told.push(event)), Err(NoLicence { taken: 2, total: 0 }));
    assert_eq!(seats.take(CallId(1), after, |event| told.push(event)), Ok(Seat::Kept), "it stands");
    assert_eq!(told, [SeatEvent::Exhausted(NoLicence { taken: 2, total: 0 })]);
    seats.give_back(CallId(1), after, |event| told.push(event));
    assert_eq!((seats.taken(), told.len()), (0, 1), "free of nothing is not free");
}

#[test]
fn p15_without_metering_calls_are_counted_and_never_refused() {
    let mut seats = Seats::default();
    for call in 0..1_000 {
        assert!(seats.take(CallId(call), Allowance::Unmetered, |_| panic!("nothing to tell")).is_ok());
    }
    assert_eq!(seats.taken(), 2_000);
}
