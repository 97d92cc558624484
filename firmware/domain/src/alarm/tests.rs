//! Alarms as operators see them: when they are raised, how long they stand, and what is remembered.

mod model;

use super::*;
use crate::licence::{Allowance, NoLicence, Stock};
use base::Machine;
use base::machine::Output;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const DAY: u64 = 86_400;
/// A day in 2026.
const TODAY: u64 = 1_780_000_000;

/// The machine with clocks of its own.
struct Rig {
    alarms: Alarms,
    now: Instant,
    at: UnixTime,
    wake: Option<Instant>,
    heard: Vec<Notice>,
}

impl Rig {
    fn new() -> Self {
        Self::with(Alarms::default())
    }

    fn with(alarms: Alarms) -> Self {
        Self { alarms, now: Instant::now(), at: UnixTime(TODAY), wake: None, heard: Vec::new() }
    }

    fn step(&mut self, what: AlarmInput) {
        let heard = &mut self.heard;
        self.wake = self.alarms.step(self.now, Told { at: self.at, what }, |output| match output {
            Output::Event(notice) => heard.push(notice),
            Output::Effect(never) => match never {},
        });
    }

    fn tell(&mut self, fact: Fact) -> Vec<String> {
        self.step(AlarmInput::Fact(fact));
        self.news()
    }

    fn acknowledge(&mut self, id: AlarmId) -> Vec<String> {
        self.step(AlarmInput::Acknowledge { id, by: "ann".into() });
        self.news()
    }

    fn pass(&mut self, seconds: u64) -> Vec<String> {
        self.now += Duration::from_secs(seconds);
        self.at.0 += seconds;
        self.step(AlarmInput::Timeout);
        self.news()
    }

    /// What was heard since the last time: `alarm_raised clock_not_in_sync box minor`.
    fn news(&mut self) -> Vec<String> {
        let line = |Notice { change, alarm, .. }: Notice| {
            format!("{} {} {} {}", change.word(), alarm.kind, alarm.instance, alarm.level)
        };
        self.heard.drain(..).map(line).collect()
    }

    fn only(&self) -> Alarm {
        let standing = self.alarms.standing();
        let [alarm] = standing.as_slice() else { panic!("one alarm, not {standing:#?}") };
        alarm.clone()
    }
}

fn bad(why: &str) -> Health {
    Health::Bad { why: why.into() }
}

fn meeting(health: Health) -> Fact {
    Fact::MeetingService { connector: "meet".into(), health }
}

fn token(ends: u64) -> Fact {
    Fact::GatewayToken { name: "meet".into(), ends: Some(UnixTime(ends)) }
}

fn certificate(state: CertificateState) -> Fact {
    Fact::Certificate { name: "meet.example.com".into(), state }
}

fn scanner(source: &str) -> Fact {
    Fact::ScannerBlocked { source: source.into(), why: "a scanner".into() }
}

const NOTHING: [String; 0] = [];

/// P17
#[test]
fn the_same_fact_told_again_and_again_raises_one_alarm() {
    let mut rig = Rig::new();
    assert_eq!(rig.tell(meeting(bad("refused"))), ["alarm_raised meeting_service_unreachable meet critical"]);
    for _ in 0..5 {
        assert_eq!(rig.pass(60), NOTHING);
        assert_eq!(rig.tell(meeting(bad("timed out"))), NOTHING);
    }
    let alarm = rig.only();
    assert_eq!((alarm.id, alarm.times, alarm.details.as_str()), (AlarmId(1), 1, "timed out"));
    assert_eq!((alarm.raised, alarm.last), (UnixTime(TODAY), UnixTime(TODAY + 300)));
}

/// P17
#[test]
fn an_alarm_is_cleared_into_the_history_when_its_cause_was_away_for_a_minute() {
    let mut rig = Rig::new();
    rig.tell(meeting(bad("refused")));
    assert_eq!(rig.tell(meeting(Health::Good)), NOTHING);
    assert_eq!(rig.wake, Some(rig.now + Duration::from_secs(60)));
    assert_eq!(rig.pass(59), NOTHING);
    assert_eq!(rig.pass(1), ["alarm_cleared meeting_service_unreachable meet critical"]);
    assert_eq!((rig.alarms.standing(), rig.wake), (vec![], None));
    let past: Vec<_> = rig.alarms.history().collect();
    assert_eq!((past[0].alarm.raised, past[0].cleared), (UnixTime(TODAY), UnixTime(TODAY + 60)));
}

#[test]
fn a_cause_that_flaps_is_one_alarm() {
    let mut rig = Rig::new();
    rig.tell(meeting(bad("refused")));
    for _ in 0..20 {
        assert_eq!(rig.tell(meeting(Health::Good)), NOTHING);
        assert_eq!(rig.pass(59), NOTHING);
        assert_eq!(rig.tell(meeting(bad("refused"))), NOTHING);
    }
    assert_eq!(rig.wake, None, "nothing is about to be cleared");
}

#[test]
fn that_something_is_still_good_does_not_hold_off_the_clearing() {
    let mut rig = Rig::new();
    rig.tell(meeting(bad("refused")));
    rig.tell(meeting(Health::Good));
    rig.pass(30);
    rig.tell(meeting(Health::Good));
    assert_eq!(rig.pass(30).len(), 1);
}

/// K7
#[test]
fn k7_a_clock_is_given_five_minutes_to_come_in_sync() {
    let mut rig = Rig::new();
    assert_eq!(rig.tell(Fact::Clock(bad("no server answers"))), NOTHING);
    assert_eq!(rig.pass(299), NOTHING);
    assert_eq!(rig.tell(Fact::Clock(Health::Good)), NOTHING);
    assert_eq!(rig.wake, None);
    rig.tell(Fact::Clock(bad("no server answers")));
    assert_eq!(rig.pass(300), ["alarm_raised clock_not_in_sync box minor"]);
}

/// P3
#[test]
fn p3_a_gateway_token_is_told_of_thirty_days_before_it_ends_and_again_when_it_has() {
    let mut rig = Rig::new();
    let ends = TODAY + 31 * DAY;
    assert_eq!(rig.tell(token(ends)), NOTHING);
    rig.pass(DAY);
    assert_eq!(rig.tell(token(ends)), ["alarm_raised gateway_token_expiring meet warning"]);
    assert!(rig.only().details.starts_with("ends on 2026-06-"), "{}", rig.only().details);
    rig.pass(30 * DAY);
    assert_eq!(rig.tell(token(ends)), ["alarm_raised gateway_token_expired meet major"]);
    assert_eq!(rig.pass(60), ["alarm_cleared gateway_token_expiring meet warning"]);
    rig.tell(token(ends + 365 * DAY));
    assert_eq!(rig.pass(60), ["alarm_cleared gateway_token_expired meet major"]);
}

#[test]
fn a_certificate_is_missing_then_short_lived_then_good() {
    let mut rig = Rig::new();
    let missing = CertificateState::Missing { why: "cannot read /c.pem".into() };
    assert_eq!(rig.tell(certificate(missing)), ["alarm_raised certificate_missing meet.example.com major"]);
    let short = CertificateState::Ends(UnixTime(TODAY + DAY));
    assert_eq!(rig.tell(certificate(short)), ["alarm_raised certificate_expiring meet.example.com warning"]);
    rig.tell(certificate(CertificateState::Ends(UnixTime(TODAY + 90 * DAY))));
    assert_eq!(rig.pass(60).len(), 2);
    assert_eq!(rig.alarms.standing(), []);
}

/// P15
#[test]
fn p15_licences_are_told_of_when_few_are_left_and_when_none_is() {
    let mut rig = Rig::new();
    let so = |taken| NoLicence { taken, total: 21 };
    assert_eq!(rig.tell(Fact::Licences(Stock::Plenty)), NOTHING);
    assert_eq!(
        rig.tell(Fact::Licences(Stock::Few(so(18)))),
        ["alarm_raised licences_nearly_exhausted calls warning"]
    );
    // One is left, which is of no use to a call.
    assert_eq!(
        rig.tell(Fact::Licences(Stock::None(so(20)))),
        ["alarm_raised licences_exhausted calls major"]
    );
    let standing = rig.alarms.standing();
    assert!(standing[1].details.starts_with("20 of 21 call licences are in use; callers are refused"));
    rig.pass(1);
    rig.tell(Fact::Licences(Stock::Plenty));
    assert_eq!(rig.pass(299), ["alarm_cleared licences_nearly_exhausted calls warning"]);
    assert_eq!(rig.pass(1), ["alarm_cleared licences_exhausted calls major"]);
}

/// P15
#[test]
fn p15_access_tokens_beyond_what_is_licensed_are_told_of_where_somebody_counts() {
    let mut rig = Rig::new();
    assert_eq!(rig.tell(Fact::AccessTokens { held: 3, licensed: Allowance::Unmetered }), NOTHING);
    assert_eq!(
        rig.tell(Fact::AccessTokens { held: 3, licensed: Allowance::Of(2) }),
        ["alarm_raised access_tokens_over_licence all major"]
    );
    rig.tell(Fact::AccessTokens { held: 2, licensed: Allowance::Of(2) });
    assert_eq!(rig.pass(60), ["alarm_cleared access_tokens_over_licence all major"]);
}

/// P15
#[test]
fn p15_a_licence_that_ends_is_told_of_beforehand_and_gravely_once_it_is_over() {
    let mut rig = Rig::new();
    let end = |days: u64| Fact::LicenceEnd { name: "GL-1".into(), ends: UnixTime(TODAY + days * DAY) };
    assert_eq!(rig.tell(end(31)), NOTHING);
    assert_eq!(rig.tell(end(30)), ["alarm_raised licences_expiring GL-1 warning"]);
    rig.pass(30 * DAY);
    assert_eq!(rig.tell(end(30)), ["alarm_changed licences_expiring GL-1 critical"]);
    assert!(rig.only().details.contains("upload a new one"), "{}", rig.only().details);
}

#[test]
fn an_alarm_that_grows_graver_says_so_and_stays_the_same_alarm() {
    let mut rig = Rig::new();
    let disk = |used| Fact::Disk { mount: "/data".into(), used };
    assert_eq!(rig.tell(disk(89)), NOTHING);
    assert_eq!(rig.tell(disk(90)), ["alarm_raised disk /data minor"]);
    assert_eq!(rig.tell(disk(96)), NOTHING);
    assert_eq!(rig.tell(disk(97)), ["alarm_changed disk /data critical"]);
    assert_eq!(rig.only().id, AlarmId(1));
}

/// P17
#[test]
fn what_only_happened_stays_until_somebody_has_seen_it() {
    let mut rig = Rig::new();
    assert_eq!(rig.tell(scanner("192.0.2.1")), ["alarm_raised scanner_blocked 192.0.2.1 warning"]);
    assert_eq!(rig.tell(scanner("192.0.2.1")), NOTHING);
    assert_eq!(rig.pass(90 * DAY), NOTHING);
    let alarm = rig.only();
    assert_eq!(alarm.times, 2);
    assert_eq!(
        rig.acknowledge(alarm.id),
        [
            "alarm_acknowledged scanner_blocked 192.0.2.1 warning",
            "alarm_cleared scanner_blocked 192.0.2.1 warning"
        ]
    );
    assert_eq!(rig.alarms.standing(), []);
    assert_eq!(rig.tell(scanner("192.0.2.1")), ["alarm_raised scanner_blocked 192.0.2.1 warning"]);
}

/// P17
#[test]
fn a_condition_that_somebody_has_seen_goes_on_standing_and_says_who() {
    let mut rig = Rig::new();
    rig.tell(meeting(bad("refused")));
    rig.pass(10);
    let id = rig.only().id;
    assert_eq!(rig.acknowledge(id), ["alarm_acknowledged meeting_service_unreachable meet critical"]);
    assert_eq!(rig.acknowledge(id), NOTHING, "it is known already");
    assert_eq!(rig.acknowledge(AlarmId(99)), NOTHING, "there is none");
    let seen = Acknowledged { by: "ann".into(), at: UnixTime(TODAY + 10) };
    assert_eq!(rig.only().acknowledged, Some(seen.clone()));
    rig.tell(meeting(Health::Good));
    rig.pass(60);
    assert_eq!(rig.alarms.history().next().and_then(|past| past.alarm.acknowledged.clone()), Some(seen));
}

#[test]
fn what_is_taken_out_of_the_configuration_takes_its_alarms_with_it() {
    let mut rig = Rig::new();
    rig.tell(meeting(bad("refused")));
    rig.tell(Fact::MeetingService { connector: "old".into(), health: bad("refused") });
    rig.tell(scanner("old"));
    rig.step(AlarmInput::Subjects(Family::MeetingService, BTreeSet::from(["meet".to_owned()])));
    assert_eq!(rig.news(), ["alarm_cleared meeting_service_unreachable old critical"]);
    assert_eq!(rig.alarms.standing().len(), 2);
}

#[test]
fn after_a_restart_alarms_stand_as_before_and_numbers_go_on() {
    let mut rig = Rig::new();
    rig.tell(meeting(bad("refused")));
    rig.tell(scanner("192.0.2.1"));
    rig.acknowledge(AlarmId(2));
    let text = serde_json::to_string(&rig.alarms.save()).unwrap();

    let mut rig = Rig::with(Alarms::restore(serde_json::from_str(&text).unwrap()));
    assert_eq!(serde_json::to_string(&rig.alarms.save()).unwrap(), text);
    assert_eq!(rig.tell(meeting(bad("refused"))), NOTHING, "it stands already");
    rig.tell(scanner("192.0.2.1"));
    let ids: Vec<_> = rig.alarms.standing().iter().map(|alarm| alarm.id.0).collect();
    assert_eq!(ids, [1, 5], "1 raised, 2 raised, 3 acknowledged, 4 cleared");
}

#[test]
fn what_was_saved_wrongly_does_no_harm() {
    let mut rig = Rig::new();
    rig.tell(meeting(bad("refused")));
    let saved = rig.alarms.save();
    let (alarm, sequence) = (saved.standing[0].clone(), 0);
    let past = PastAlarm { alarm: Alarm { id: AlarmId(7), ..alarm.clone() }, cleared: UnixTime(TODAY) };
    let saved = Saved { sequence, standing: vec![alarm; 2_000], history: vec![past; 2_000] };
    let alarms = Alarms::restore(saved);
    assert_eq!((alarms.standing().len(), alarms.history().len()), (1, MAX_HISTORY));
    assert_eq!(alarms.save().sequence, 7);
}

#[test]
fn a_thousand_scanners_are_no_more_than_a_screenful_of_alarms() {
    let mut rig = Rig::new();
    for number in 0..1_000 {
        rig.tell(scanner(&format!("source {number}")));
    }
    let standing = rig.alarms.standing();
    assert_eq!(standing.len(), MAX_MOMENTS);
    let others = standing.iter().find(|alarm| alarm.instance == OTHERS).unwrap();
    assert_eq!(others.times as usize, 1_000 - (MAX_MOMENTS - 1));
}

#[test]
fn alarms_and_their_history_are_bounded_and_what_is_left_out_is_counted() {
    let mut rig = Rig::new();
    for number in 0..MAX_STANDING + 3 {
        rig.tell(Fact::Delivery { sink: number.to_string(), health: bad("refused") });
    }
    assert_eq!((rig.alarms.standing().len(), rig.alarms.unraised()), (MAX_STANDING, 3));
    rig.step(AlarmInput::Subjects(Family::Delivery, BTreeSet::new()));
    let history = rig.alarms.history();
    assert_eq!(history.len(), MAX_HISTORY);
    assert_eq!(rig.alarms.history().next().unwrap().alarm.instance, "109", "the first cleared are forgotten");
}

#[test]
fn what_peers_choose_stays_on_one_line_and_short() {
    let mut rig = Rig::new();
    rig.tell(Fact::InternalError { part: "a\r\nb\u{1b}[2J".repeat(100), why: "x\n".repeat(2_000) });
    let alarm = rig.only();
    assert!(alarm.instance.starts_with("a  b [2J"), "{}", alarm.instance);
    assert_eq!((alarm.instance.chars().count(), alarm.details.chars().count()), (128, 512));
}

/// P3, P17
#[test]
fn p3_p17_a_gateway_token_that_is_taken_out_of_use_ends_its_alarm() {
    let mut rig = Rig::new();
    rig.tell(token(0));
    assert_eq!(rig.only().kind, AlarmKind::GatewayTokenExpired);
    rig.tell(Fact::GatewayToken { name: "meet".into(), ends: None });
    rig.pass(60);
    assert!(rig.alarms.standing().is_empty(), "{:?}", rig.alarms.standing());
}

#[test]
fn every_kind_is_called_the_same_in_words_and_in_json_and_belongs_to_one_family_or_is_a_moment() {
    let families = [
        Family::GatewayToken,
        Family::Certificate,
        Family::AccessTokens,
        Family::Licences,
        Family::LicenceEnd,
        Family::Clock,
        Family::MeetingService,
        Family::Capacity,
        Family::Disk,
        Family::Store,
        Family::Secrets,
        Family::Temperature,
        Family::Delivery,
        Family::Theme,
    ];
    for kind in AlarmKind::ALL {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.identifier());
        let of = families.iter().filter(|family| family.kinds().contains(&kind)).count();
        assert_eq!(of, usize::from(kind.nature() == Nature::Condition), "{kind}");
    }
    for level in Level::ALL {
        assert_eq!(serde_json::to_value(level).unwrap(), level.word());
    }
}

#[test]
fn programs_outside_are_shown_names_levels_and_times() {
    let mut rig = Rig::new();
    rig.tell(meeting(bad("refused")));
    rig.acknowledge(AlarmId(1));
    let shown = serde_json::to_value(rig.only().shown()).unwrap();
    assert_eq!(
        shown,
        serde_json::json!({
            "id": 1, "identifier": "meeting_service_unreachable", "name": "meeting service cannot be reached",
            "level": "critical", "instance": "meet", "details": "refused", "times": 1,
            "time_raised": "2026-05-28T20:26:40Z", "acknowledged_by": "ann",
            "time_acknowledged": "2026-05-28T20:26:40Z",
        })
    );
    rig.tell(meeting(Health::Good));
    rig.pass(60);
    let past = rig.alarms.history().next().unwrap();
    assert_eq!(past.shown().time_lowered.as_deref(), Some("2026-05-28T20:27:40Z"));
}
