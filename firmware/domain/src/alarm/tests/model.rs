//! The machine against a naive one that keeps everything it was ever told and finds out what stands by going through it all.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What a sequence of tests is made of.
#[derive(Debug, Clone)]
enum Act {
    Tell(Subject, bool),
    Licences(u32),
    Happen(u8),
    Acknowledge(usize),
    Pass(u64),
}

#[derive(Debug, Clone, Copy)]
enum Subject {
    Clock,
    Meeting(u8),
    Delivery,
}

impl Subject {
    fn fact(self, wrong: bool) -> Fact {
        let health = if wrong { bad("refused") } else { Health::Good };
        match self {
            Self::Clock => Fact::Clock(health),
            Self::Meeting(name) => Fact::MeetingService { connector: name.to_string(), health },
            Self::Delivery => Fact::Delivery { sink: "siem".into(), health },
        }
    }

    fn key(self) -> (AlarmKind, String) {
        match self {
            Self::Clock => (AlarmKind::ClockNotInSync, "box".into()),
            Self::Meeting(name) => (AlarmKind::MeetingServiceUnreachable, name.to_string()),
            Self::Delivery => (AlarmKind::DeliveryFailing, "siem".into()),
        }
    }
}

/// Everything that was told of each thing, with the second it was told in; `true` is bad.
#[derive(Default)]
struct Naive {
    told: BTreeMap<(AlarmKind, String), Vec<(u64, bool)>>,
    happened: BTreeSet<(AlarmKind, String)>,
}

impl Naive {
    fn tell(&mut self, second: u64, key: (AlarmKind, String), wrong: bool) {
        self.told.entry(key).or_default().push((second, wrong));
    }

    /// What stands in this second, if nothing more is told until then.
    fn standing(&self, second: u64) -> BTreeSet<(AlarmKind, String)> {
        let conditions = self.told.iter().filter(|(key, told)| stands(key.0, told, second));
        conditions.map(|(key, _)| key.clone()).chain(self.happened.iter().cloned()).collect()
    }
}

fn stands(kind: AlarmKind, told: &[(u64, bool)], second: u64) -> bool {
    let (patience, hold) = (kind.patience().as_secs(), kind.hold().as_secs());
    let (mut standing, mut since) = (false, None::<u64>);
    let mut told = told.iter().copied().peekable();
    for now in 0..=second {
        let due = |since: Option<u64>, wait| since.is_some_and(|since| since + wait <= now);
        let turn = |standing: &mut bool, since: &mut Option<u64>| {
            if due(*since, if *standing { hold } else { patience }) {
                (*standing, *since) = (!*standing, None);
            }
        };
        turn(&mut standing, &mut since);
        while let Some((_, wrong)) = told.next_if(|(at, _)| *at == now) {
            // `since` is since when it is other than it stands.
            if wrong == standing {
                since = None;
            } else {
                since.get_or_insert(now);
            }
            turn(&mut standing, &mut since);
        }
    }
    standing
}

fn act() -> impl Strategy<Value = Act> {
    let subject =
        prop_oneof![Just(Subject::Clock), (0..2_u8).prop_map(Subject::Meeting), Just(Subject::Delivery)];
    prop_oneof![
        4 => (subject, any::<bool>()).prop_map(|(subject, wrong)| Act::Tell(subject, wrong)),
        2 => prop_oneof![Just(1), Just(9), Just(10)].prop_map(Act::Licences),
        1 => (0..2_u8).prop_map(Act::Happen),
        1 => (0..6_usize).prop_map(Act::Acknowledge),
        4 => prop_oneof![Just(0), Just(1), Just(59), Just(60), Just(61), Just(300), 0..400_u64].prop_map(Act::Pass),
    ]
}

fn keys(alarms: &Alarms) -> BTreeSet<(AlarmKind, String)> {
    alarms.standing().into_iter().map(|alarm| (alarm.kind, alarm.instance)).collect()
}

/// Raised and cleared take turns for each thing, and numbers only grow.
fn in_order(heard: &[Notice]) -> Result<(), TestCaseError> {
    let (mut standing, mut last) = (BTreeMap::new(), 0);
    for Notice { seq, change, alarm, .. } in heard {
        prop_assert!(*seq > last, "{seq} after {last}");
        last = *seq;
        let key = (alarm.kind, alarm.instance.clone());
        match change {
            Change::Raised => {
                prop_assert_eq!(alarm.id.0, *seq);
                prop_assert_eq!(standing.insert(key, alarm.id), None, "raised twice");
            }
            Change::Cleared => prop_assert_eq!(standing.remove(&key), Some(alarm.id)),
            Change::Changed | Change::Acknowledged => {
                prop_assert_eq!(standing.get(&key), Some(&alarm.id));
            }
        }
    }
    Ok(())
}

fn play(rig: &mut Rig, naive: &mut Naive, second: &mut u64, act: &Act) {
    match act {
        Act::Tell(subject, wrong) => {
            naive.tell(*second, subject.key(), *wrong);
            rig.step(AlarmInput::Fact(subject.fact(*wrong)));
        }
        Act::Licences(used) => {
            let key = |kind| (kind, "calls".to_owned());
            naive.tell(*second, key(AlarmKind::LicencesNearlyExhausted), *used == 9);
            naive.tell(*second, key(AlarmKind::LicencesExhausted), *used == 10);
            let so = NoLicence { taken: *used, total: 10 };
            let stock = match used {
                10 => Stock::None(so),
                9 => Stock::Few(so),
                _ => Stock::Plenty,
            };
            rig.step(AlarmInput::Fact(Fact::Licences(stock)));
        }
        Act::Happen(source) => {
            naive.happened.insert((AlarmKind::ScannerBlocked, source.to_string()));
            rig.step(AlarmInput::Fact(scanner(&source.to_string())));
        }
        Act::Acknowledge(place) => {
            if let Some(alarm) = rig.alarms.standing().get(*place) {
                naive.happened.remove(&(alarm.kind, alarm.instance.clone()));
                rig.step(AlarmInput::Acknowledge { id: alarm.id, by: "ann".into() });
            }
        }
        Act::Pass(seconds) => {
            *second += seconds;
            rig.now += Duration::from_secs(*seconds);
            rig.at.0 += seconds;
            rig.step(AlarmInput::Timeout);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// P17
    #[test]
    fn what_stands_is_what_a_machine_that_forgets_nothing_says(acts in prop::collection::vec(act(), 0..80)) {
        let (mut rig, mut naive, mut second) = (Rig::new(), Naive::default(), 0);
        for act in acts {
            play(&mut rig, &mut naive, &mut second, &act);
            let standing = keys(&rig.alarms);
            prop_assert_eq!(&standing, &naive.standing(second), "after {:?}", act);
            if let Some(wake) = rig.wake {
                let wait = (wake - rig.now).as_secs();
                prop_assert!(wait > 0, "it would spin");
                prop_assert_eq!(&standing, &naive.standing(second + wait - 1), "it sleeps too long");
                prop_assert_ne!(&standing, &naive.standing(second + wait), "it wakes for nothing");
            } else {
                prop_assert_eq!(&standing, &naive.standing(second + 1_000), "it would sleep over something");
            }
        }
        in_order(&rig.heard)?;
        prop_assert!(rig.alarms.history().len() <= MAX_HISTORY);
    }

    #[test]
    fn a_restart_at_any_moment_loses_nothing_and_no_number_comes_twice(
        before in prop::collection::vec(act(), 0..40),
        after in prop::collection::vec(act(), 0..40),
    ) {
        let (mut rig, mut naive, mut second) = (Rig::new(), Naive::default(), 0);
        before.iter().for_each(|act| play(&mut rig, &mut naive, &mut second, act));
        let text = serde_json::to_string(&rig.alarms.save()).unwrap();
        let alarms = Alarms::restore(serde_json::from_str(&text).unwrap());
        prop_assert_eq!(alarms.save(), rig.alarms.save());
        rig.alarms = alarms;
        after.iter().for_each(|act| play(&mut rig, &mut naive, &mut second, act));
        in_order(&rig.heard)?;
    }
}
