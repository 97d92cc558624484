//! P15 in a whole shard: call licences are taken and returned exactly once, whatever becomes of a call.

use super::*;
use crate::licences::tests::Vendor;
use domain::appliance::instant::UnixTime;
use domain::licence::{Licences, VendorKey};
use std::collections::BTreeSet;

/// Licences for so many ways of calls, to the end of `year`.
fn licences(calls: u32, year: &str) -> Arc<Licences> {
    let vendor = Vendor::new();
    let mut licences = Licences::new(vec![VendorKey::parse(&vendor.key()).expect("a key")], None);
    if calls > 0 {
        let then = UnixTime::parse("2020-06-01").expect("a day");
        licences.add(&vendor.licence("L", calls, year, None), then).expect("a licence");
    }
    Arc::new(licences)
}

impl Rig {
    fn license(&mut self, calls: u32) {
        self.put_in_force(licences(calls, "9000"));
    }

    fn put_in_force(&mut self, licences: Arc<Licences>) {
        self.shard.handle(Instant::now(), Event::Licences(licences));
    }

    /// Taken and free.
    fn call_licences(&mut self) -> (u64, Option<u64>) {
        let status = self.shard.licensed.status();
        (status.taken, status.free)
    }

    async fn refused(&mut self, call: &str) -> String {
        self.send(&self.request("INVITE", call, "", OFFER));
        let refused = self
            .hear(&format!("503 for {call}"), |text| text.contains(call) && text.starts_with("SIP/2.0 503"))
            .await;
        let rang = |text: &String| text.contains(call) && text.starts_with("SIP/2.0 180");
        assert!(!self.heard.iter().any(rang), "it does not ring first");
        refused
    }
}

#[test]
fn p15_a_call_without_a_licence_is_refused_with_a_clear_cause_and_nothing_of_it_is_left() {
    on_loopback(async |mut rig| {
        rig.license(5);
        let first = rig.invite("first").await;
        rig.invite("second").await;
        assert_eq!(rig.call_licences(), (4, Some(1)), "one is of no use to a call");
        let ports = rig.shard.parts.ports.out();

        let refused = rig.refused("third").await;

        assert!(refused.starts_with("SIP/2.0 503 No call licence is free"), "{refused}");
        assert!(refused.contains("Retry-After: 60"), "{refused}");
        let ended = rig.shard.ended.back().map(|ended| ended.cause.clone());
        assert_eq!(ended.as_deref(), Some("Operator/NoLicence"));
        assert_eq!((rig.shard.parts.ports.out(), rig.shard.calls.len()), (ports, 2));
        assert_eq!((rig.call_licences(), rig.shard.licensed.refused()), ((4, Some(1)), 1));

        rig.break_call(first);
        assert_eq!(rig.call_licences(), (2, Some(3)), "a bug gives them back too");
        rig.invite("fourth").await;
        assert_eq!(rig.call_licences(), (4, Some(1)));
    });
}

#[test]
fn p15_without_metering_no_call_is_refused() {
    on_loopback(async |mut rig| {
        rig.invite("any").await;
        assert_eq!(rig.call_licences(), (2, None));
    });
}

#[test]
fn p15_who_dials_what_no_rule_takes_takes_no_licence() {
    on_loopback(async |mut rig| {
        rig.license(0);
        rig.send(&rig.request("INVITE", "stray", "", OFFER).replace("sip:1234567890123@", "sip:nobody@"));
        rig.hear("404", |text| text.starts_with("SIP/2.0 404")).await;
        assert_eq!((rig.call_licences(), rig.shard.licensed.refused()), ((0, Some(0)), 0));
    });
}

#[test]
fn p15_calls_go_on_when_their_licence_ends_and_new_ones_are_refused() {
    on_loopback(async |mut rig| {
        rig.license(4);
        let standing = rig.invite("standing").await;
        rig.put_in_force(licences(4, "2020"));
        assert_eq!(rig.call_licences(), (2, Some(0)));

        rig.refused("late").await;

        assert!(rig.shard.calls.contains_key(&standing), "it goes on");
        rig.break_call(standing);
        assert_eq!(rig.call_licences(), (0, Some(0)));
    });
}

#[test]
fn p15_a_licence_that_is_uploaded_while_calls_stand_holds_for_the_next_call_and_seats_are_counted_once() {
    on_loopback(async |mut rig| {
        rig.license(2);
        let first = rig.invite("first").await;
        rig.refused("surplus").await;

        rig.license(4);

        assert_eq!(rig.call_licences(), (2, Some(2)), "the call that stands is counted as before");
        let second = rig.invite("second").await;
        assert_eq!(rig.call_licences(), (4, Some(0)));
        // Told again, or taken away, nothing of what stands is counted twice or ended.
        rig.license(4);
        rig.license(0);
        assert_eq!(rig.call_licences(), (4, Some(0)));
        assert!(rig.shard.calls.contains_key(&first) && rig.shard.calls.contains_key(&second));
        rig.break_call(first);
        rig.break_call(second);
        assert_eq!(rig.call_licences(), (0, Some(0)));
    });
}

/// P15, P17
#[test]
fn p15_that_no_licence_is_left_is_an_alarm_at_once() {
    on_loopback(async |mut rig| {
        let mut news = rig.alarms.subscribe();
        rig.license(2);
        rig.invite("only").await;
        let notice = tokio::time::timeout(PATIENCE, news.recv()).await.expect("in time").expect("a notice");
        assert_eq!(notice.alarm.kind, AlarmKind::LicencesExhausted);
        assert!(notice.alarm.details.starts_with("2 of 2 call licences are in use"), "{}", notice.alarm);
    });
}

/// Calls that come, hang up, meet bugs and are refused, while licences come and go.
async fn interleave(rig: &mut Rig, seed: u64) {
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    let (mut taken, mut cancelled) = (BTreeSet::new(), BTreeSet::new());
    rig.license(4);
    for step in 0..30 {
        let name = format!("call-{seed}-{step}");
        let standing: Vec<_> = taken.iter().filter(|id| rig.shard.calls.contains_key(id)).copied().collect();
        let one = standing.get(usize::try_from(rng.next_u32()).unwrap_or(0) % standing.len().max(1)).copied();
        match (rng.next_u32() % 8, one) {
            (0..=3, _) => {
                let free = rig.call_licences().1.unwrap_or_default();
                if free >= 2 {
                    taken.insert(rig.invite(&name).await);
                } else {
                    rig.refused(&name).await;
                }
            }
            (4, Some(id)) => rig.break_call(id),
            (5, Some(id)) if cancelled.insert(id) => {
                let hang_up = CallInput::Operator(Operator::HangUp);
                rig.shard.turn(Instant::now(), id, Work::Call(hang_up));
            }
            (6, _) => rig.license(rng.next_u32() % 9),
            _ => rig.turn().await,
        }
        let standing = taken.iter().filter(|id| rig.shard.calls.contains_key(id)).count();
        assert_eq!(rig.call_licences().0, 2 * standing as u64, "seed {seed}, step {step}");
    }
    let now = Instant::now();
    rig.shard.handle(now, Event::Drain { deadline: now });
    rig.shard.handle(now + domain::call::ENDING, Event::Wake);
    assert_eq!((rig.call_licences().0, rig.shard.calls.len()), (0, 0), "seed {seed}: all come back");
    rig.assert_empty();
}

/// P15
#[test]
fn p15_whatever_becomes_of_calls_their_licences_are_taken_and_returned_exactly_once() {
    for seed in 0..4 {
        on_loopback(async |mut rig| interleave(&mut rig, seed).await);
    }
}
