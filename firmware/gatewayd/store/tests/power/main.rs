//! A6: whenever the power goes, every change that was acknowledged is kept, and the store opens.
//!
//! A history is written on a disk that notes every call; the power goes after each of them, in many ways; what is left is opened.

#![allow(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod lineage;
mod sim;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use sim::{Fault, Image, Left, Moments, Shared, Sim, cut};
use std::cell::RefCell;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;
use store::{ChangeError, Documents, Edit, Expected, Key, Truth};

const SCHEMA: u32 = 1;
/// So short that every few changes a snapshot is written.
const JOURNAL_BYTES: u64 = 8 * 1024;
/// Different cut states that are tried.
const STATES: usize = 100_000;
/// Changes of one history.
const CHANGES: u64 = 150;

fn edits(number: u64, dice: &mut SmallRng) -> Vec<Edit> {
    let key = |dice: &mut SmallRng| Key::new("rules", &format!("rule {}", dice.random_range(0..10))).unwrap();
    let length = dice.random_range(1..1_800);
    let body: Vec<u8> = format!("{number} ").bytes().cycle().take(length).collect();
    let mut edits = vec![Edit::put(key(dice), Expected::Anything, &body)];
    if dice.random_ratio(1, 4) {
        edits.push(Edit::remove(key(dice), Expected::Anything));
    }
    edits
}

fn watched(image: &Image) -> Shared {
    Shared(Rc::new(RefCell::new(Sim { moments: Some(Vec::new()), ..Sim::of(image) })))
}

/// What happened on a disk.
struct History {
    /// The disk after each call.
    moments: Vec<Moments>,
    /// How many calls had been made when the store was open, and when each change was acknowledged.
    acknowledged: Vec<usize>,
    /// The documents then.
    documents: Vec<Documents>,
}

impl History {
    /// Opens the store on `start` and makes `changes` changes.
    fn write(start: &Image, changes: u64, dice: &mut SmallRng) -> Self {
        let disk = watched(start);
        let calls = || disk.0.borrow().calls;
        let (mut truth, _) = Truth::open(disk.clone(), SCHEMA, JOURNAL_BYTES).unwrap();
        let (mut acknowledged, mut documents) = (vec![calls()], vec![truth.documents().clone()]);
        for number in 1..=changes {
            truth.change(&edits(number, dice)).unwrap();
            acknowledged.push(calls());
            documents.push(truth.documents().clone());
        }
        let moments = disk.0.borrow_mut().moments.take().unwrap();
        Self { moments, acknowledged, documents }
    }

    /// The documents that may be there after a cut that follows call number `call`, from 0: those that were acknowledged, or those of
    /// the change that was being made.
    fn allowed(&self, call: usize) -> &[Documents] {
        let acknowledged = self.acknowledged.iter().filter(|calls| **calls <= call + 1).count();
        &self.documents[acknowledged.saturating_sub(1)..(acknowledged + 1).min(self.documents.len())]
    }
}

/// Opens what a cut has left. Panics if it does not open or is not one of `allowed`.
fn opens(image: &Image, allowed: &[Documents], told: &str) -> (Truth<Shared>, Shared) {
    let disk = Shared(Rc::new(RefCell::new(Sim::of(image))));
    let (truth, found) = Truth::open(disk.clone(), SCHEMA, JOURNAL_BYTES)
        .unwrap_or_else(|error| panic!("{told}: does not open: {error}"));
    assert!(allowed.contains(truth.documents()), "{told}: not what was acknowledged; {found:?}");
    (truth, disk)
}

fn left(variant: usize) -> Left {
    match variant {
        0 => Left::Everything,
        1 => Left::Nothing,
        _ => Left::Some,
    }
}

fn fingerprint(image: &Image) -> u64 {
    let mut hasher = DefaultHasher::new();
    image.hash(&mut hasher);
    hasher.finish()
}

#[test]
fn a6_no_acknowledged_change_is_lost_in_any_of_100_000_power_cuts_and_the_store_always_opens() {
    let mut states = HashSet::new();
    let mut seed = 0;
    while states.len() < STATES {
        seed += 1;
        let mut dice = SmallRng::seed_from_u64(seed);
        let history = History::write(&Image::default(), CHANGES, &mut dice);
        for (call, moment) in history.moments.iter().enumerate() {
            for variant in 0..60 {
                let image = cut(moment, left(variant), &mut dice);
                if !states.insert(fingerprint(&image)) {
                    continue;
                }
                let told = format!("seed {seed}, call {call}, variant {variant}");
                let (mut truth, disk) = opens(&image, history.allowed(call), &told);
                // It goes on as if nothing had been: one change more, and a start without a cut.
                if variant % 4 == 0 {
                    truth.change(&edits(9_999, &mut dice)).unwrap();
                    let after = truth.documents().clone();
                    let image = cut(&disk.0.borrow().moment(), Left::Nothing, &mut dice);
                    opens(&image, &[after], &format!("{told}, one change later"));
                }
            }
        }
    }
    println!("{} different cut states of {seed} histories", states.len());
}

#[test]
fn a6_a_second_power_cut_while_the_store_opens_loses_nothing_either() {
    let mut dice = SmallRng::seed_from_u64(7);
    let history = History::write(&Image::default(), 60, &mut dice);
    for (call, moment) in history.moments.iter().enumerate() {
        for variant in 0..6 {
            let first = cut(moment, left(variant), &mut dice);
            let disk = watched(&first);
            Truth::open(disk.clone(), SCHEMA, JOURNAL_BYTES).unwrap();
            let moments = disk.0.borrow_mut().moments.take().unwrap();
            for (again, moment) in moments.iter().enumerate() {
                for variant in 0..6 {
                    let second = cut(moment, left(variant), &mut dice);
                    opens(&second, history.allowed(call), &format!("call {call}, then {again}"));
                }
            }
        }
    }
}

#[test]
fn a6_what_a_store_shows_after_its_process_was_killed_outlives_a_power_cut() {
    let mut dice = SmallRng::seed_from_u64(5);
    let calls = History::write(&Image::default(), 60, &mut dice).moments.len();
    for killed in 0..calls {
        let mut dice = SmallRng::seed_from_u64(5);
        let disk = Shared(Rc::new(RefCell::new(Sim { dead_after: Some(killed), ..Sim::default() })));
        if let Ok((mut truth, _)) = Truth::open(disk.clone(), SCHEMA, JOURNAL_BYTES) {
            (1..=60).all(|number| truth.change(&edits(number, &mut dice)).is_ok());
        }
        disk.0.borrow_mut().dead_after = None;
        let (truth, _) = Truth::open(disk.clone(), SCHEMA, JOURNAL_BYTES).unwrap();
        let shown = truth.documents().clone();
        opens(&cut(&disk.0.borrow().moment(), Left::Nothing, &mut dice), &[shown], &format!("call {killed}"));
    }
}

#[test]
fn a_snapshot_that_is_damaged_later_costs_nothing() {
    let mut dice = SmallRng::seed_from_u64(11);
    let history = History::write(&Image::default(), 60, &mut dice);
    let mut damaged = 0;
    for (calls, documents) in history.acknowledged.iter().zip(&history.documents) {
        for snapshot in 0..2 {
            let mut image = cut(&history.moments[calls - 1], Left::Nothing, &mut dice);
            let Some(bytes) = image[snapshot].as_mut().filter(|bytes| !bytes.is_empty()) else { continue };
            let at = dice.random_range(0..bytes.len());
            bytes[at] ^= 1;
            let (truth, found) = Truth::open(Sim::of(&image), SCHEMA, JOURNAL_BYTES).unwrap();
            assert!(truth.documents() == documents, "snapshot {snapshot} after {calls} calls");
            damaged += found.damaged.len();
        }
    }
    assert!(damaged > 100, "{damaged} damages were noticed");
}

#[test]
fn a_store_of_which_changes_are_missing_says_so_and_does_not_begin_anew() {
    let mut dice = SmallRng::seed_from_u64(13);
    let history = History::write(&Image::default(), 60, &mut dice);
    let whole = cut(history.moments.last().unwrap(), Left::Nothing, &mut dice);
    let mut without_snapshots = whole.clone();
    without_snapshots[..2].iter_mut().flatten().for_each(|bytes| bytes[40] ^= 1);
    let lost = Truth::open(Sim::of(&without_snapshots), SCHEMA, JOURNAL_BYTES).map(drop);
    assert!(lost.unwrap_err().to_string().contains("config.a, config.b"));
    // The newer snapshot is damaged, and so is a change that only the older side's journal has.
    let step =
        history.acknowledged.iter().position(|calls| history.moments[calls - 1][1].is_some()).unwrap() + 1;
    let mut hole = cut(&history.moments[history.acknowledged[step] - 1], Left::Nothing, &mut dice);
    hole[1].as_mut().unwrap()[40] ^= 1;
    hole[2].as_mut().unwrap()[60] ^= 1;
    let lost = Truth::open(Sim::of(&hole), SCHEMA, JOURNAL_BYTES).map(drop).unwrap_err().to_string();
    assert!(lost.contains("are missing"), "{lost}");
    let newer = Truth::open(Sim::of(&whole), SCHEMA + 1, JOURNAL_BYTES).map(drop);
    assert!(newer.unwrap_err().to_string().contains("is of schema 1, and this program reads schema 2"));
}

#[test]
fn what_was_removed_is_not_left_on_the_disk() {
    let secret = "the value of a token ".repeat(2_000);
    let key = Key::new("tokens", "tenant a").unwrap();
    let disk = watched(&Image::default());
    let (mut truth, _) = Truth::open(disk.clone(), SCHEMA, JOURNAL_BYTES).unwrap();
    truth.change(&[Edit::put(key.clone(), Expected::Absent, secret.as_bytes())]).unwrap();
    truth.change(&[Edit::remove(key, Expected::Anything)]).unwrap();
    let mut dice = SmallRng::seed_from_u64(1);
    // So many that each side is written twice.
    (1..40).for_each(|number| drop(truth.change(&edits(number, &mut dice)).unwrap()));
    let image = cut(&disk.0.borrow().moment(), Left::Everything, &mut dice);
    let left = |bytes: &Vec<u8>| bytes.windows(8).any(|window| window == b"of a tok");
    assert!(!image.iter().flatten().any(left));
}

/// Makes changes on a disk with `faults`; then the power goes. Says how often somebody was told of trouble, in how many calls.
fn goes_through(faults: Vec<(usize, Fault)>, told: &str) -> (usize, usize) {
    let mut dice = SmallRng::seed_from_u64(3);
    let disk = Shared(Rc::new(RefCell::new(Sim { faults, ..Sim::default() })));
    let (mut truth, found) = Truth::open(disk.clone(), SCHEMA, JOURNAL_BYTES).unwrap();
    let mut told_of = usize::from(found.trouble.is_some());
    let mut allowed = vec![truth.documents().clone()];
    for number in 1..=40 {
        let edits = edits(number, &mut dice);
        let after = truth.after(&edits).unwrap();
        match truth.change(&edits) {
            Ok(made) => {
                told_of += usize::from(made.trouble.is_some());
                allowed = vec![after];
            }
            Err(ChangeError::Disk(_)) => {
                told_of += 1;
                allowed.push(after);
            }
            Err(ChangeError::Refused(refused)) => panic!("{told}: {refused}"),
        }
        // Those that were taken, and no other, whatever the disk may have of it.
        assert!(truth.documents() == &allowed[0], "{told}: change {number}");
        let left = if dice.random() { Left::Some } else { Left::Nothing };
        let image = cut(&disk.0.borrow().moment(), left, &mut dice);
        opens(&image, &allowed, &format!("{told}, a cut after change {number}"));
    }
    (told_of, disk.0.borrow().calls)
}

#[test]
fn a6_a_disk_that_fails_at_any_call_is_told_of_and_no_acknowledged_change_is_lost() {
    let (told_of, calls) = goes_through(Vec::new(), "a good disk");
    assert_eq!(told_of, 0);
    for fault in [Fault::Broken, Fault::Full] {
        for length in [1, 2, 5, 40] {
            for first in 1..=calls {
                let faults = (first..first + length).map(|call| (call, fault)).collect();
                let told = format!("{fault:?} at calls {first} to {}", first + length - 1);
                let (told_of, _) = goes_through(faults, &told);
                assert!(told_of > 0, "{told}: nobody was told");
            }
        }
    }
}
