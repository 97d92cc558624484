//! Every fault that the box must survive, and the reason that must be found for it.

use super::*;
use crate::slots::{BootControl, FakeBootControl, SlotState, SlotStatus, Slots};
use proptest::prelude::*;

fn label(text: &str) -> Label {
    Label::sanitised(text).unwrap()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn stop(result: &str, status: &str) -> StopRecord {
    StopRecord::from_environment("gatewayd.service", Some(result), Some(status), seconds(1000)).unwrap()
}

fn note(at: u64, what: Noted) -> Note {
    Note { at: seconds(at), what }
}

fn starved(part: &str) -> Noted {
    Noted::Starved { unit: label("gatewayd.service"), part: label(part) }
}

fn jumped() -> Noted {
    Noted::ClockJumped(Jump { direction: Direction::Forward, by: seconds(315_360_000) })
}

fn stopped(result: &str, status: &str, notes: &[Note]) -> String {
    why_stopped(&stop(result, status), notes).map_or_else(|| "nothing".to_owned(), |why| why.to_string())
}

// A service stops; the box lives.

#[test]
fn gatewayd_killed() {
    assert_eq!(stopped("signal", "KILL", &[]), "gatewayd.service was killed by KILL");
    assert_eq!(stopped("signal", "SEGV", &[]), "gatewayd.service crashed: SEGV");
    assert_eq!(stopped("core-dump", "ABRT", &[]), "gatewayd.service crashed: ABRT");
}

#[test]
fn gatewayd_frozen() {
    assert_eq!(stopped("watchdog", "ABRT", &[]), "gatewayd.service was frozen; its watchdog ended it");
    let other = Noted::Starved { unit: label("otad.service"), part: label("poll") };
    let long_ago = note(900, starved("engine"));
    let back = Noted::Recovered { unit: label("gatewayd.service"), part: label("engine") };
    for notes in [vec![note(999, other)], vec![long_ago], vec![note(990, starved("engine")), note(992, back)]]
    {
        assert!(stopped("watchdog", "KILL", &notes).contains("was frozen"), "{notes:?}");
    }
}

#[test]
fn gatewayd_deadlocked() {
    let notes = [note(990, starved("picture worker")), note(991, starved("engine"))];
    let why = stopped("watchdog", "ABRT", &notes);
    assert_eq!(
        why, "gatewayd.service stood still in picture worker; its watchdog ended it",
        "the first is the cause"
    );
}

#[test]
fn disk_full() {
    let full = Noted::DiskFull { mount: label("/data") };
    assert_eq!(full.why().unwrap().to_string(), "disk full: /data", "even if nothing stops");
    for result in ["exit-code", "resources", "timeout"] {
        assert_eq!(stopped(result, "1", &[note(980, full.clone())]), "disk full: /data");
        assert!(stopped(result, "1", &[note(800, full.clone())]).contains("failed"), "long ago");
    }
    assert!(stopped("signal", "KILL", &[note(980, full)]).contains("killed"), "a signal has another cause");
}

#[test]
fn clock_jump() {
    assert_eq!(jumped().why().unwrap().to_string(), "the clock jumped 315360000 s forward");
    assert!(stopped("watchdog", "ABRT", &[note(5, jumped())]).contains("the clock jumped"));
    assert!(stopped("exit-code", "1", &[note(u64::MAX, jumped())]).contains("the clock jumped"));
    let both = [note(5, jumped()), note(999, starved("engine"))];
    assert!(
        stopped("watchdog", "ABRT", &both).contains("stood still in engine"),
        "what starved is nearer the cause"
    );
}

#[test]
fn a_stop_that_was_meant_and_other_failures() {
    assert_eq!(stopped("success", "0", &[]), "nothing");
    assert_eq!(stopped("exit-code", "101", &[]), "gatewayd.service failed: exit-code 101");
    assert_eq!(stopped("oom-kill", "KILL", &[]), "gatewayd.service used up its memory");
    assert_eq!(stopped("start-limit-hit", "", &[]), "gatewayd.service failed: start-limit-hit");
    assert_eq!(StopRecord::from_environment("gatewayd.service", None, None, seconds(0)), None);
    assert_eq!(StopRecord::from_environment("\n", Some("success"), None, seconds(0)), None);
}

// The whole box restarts.

const FAILED: SlotStatus = SlotStatus::Known { state: SlotState::Failed, revision: 0 };
const OK: SlotStatus = SlotStatus::Known { state: SlotState::Ok, revision: 4 };

fn life(slot: Slot, reached: Reached, end: Option<End>) -> Option<Life> {
    Some(Life { slot: Some(slot), reached, staged: None, end })
}

fn runs(booted: Slot) -> Option<Slots> {
    Some(Slots { a: OK, b: OK, booted: Some(booted) })
}

/// A proven, and running again, after a life that did not see its end coming.
fn in_a(resets: &[ResetCause], dumps: &[&str]) -> Evidence {
    Evidence {
        resets: resets.to_vec(),
        dumps: dumps.iter().map(|log| KernelDump::new(log.as_bytes())).collect(),
        slots: runs(Slot::A),
        last: life(Slot::A, Reached::Well, None),
        inspected: None,
    }
}

fn panicked(message: &str) -> String {
    format!("<0>[ 1.0] Kernel panic - not syncing: {message}\n")
}

#[track_caller]
fn assert_why(evidence: &Evidence, word: &str, text: &str) {
    let reason = why_restarted(evidence);
    assert_eq!((reason.why.word(), &*reason.why.to_string()), (word, text), "{evidence:?}");
}

#[test]
fn pid_1_hung() {
    let hung = "the system hung; the hardware watchdog reset it";
    assert_why(&in_a(&[ResetCause::NotTold, ResetCause::Watchdog], &[]), "system-hung", hung);
    let warned = panicked("watchdog pretimeout event");
    assert_why(&in_a(&[], &[&warned]), "system-hung", hung);
}

#[test]
fn kernel_panic() {
    let log = panicked("sysrq triggered crash");
    for resets in [&[][..], &[ResetCause::Watchdog]] {
        assert_why(&in_a(resets, &[&log]), "kernel-panic", "kernel panic: sysrq triggered crash");
    }
    let asked =
        Evidence { last: life(Slot::A, Reached::Well, Some(End::Asked(Act::Restart))), ..in_a(&[], &[&log]) };
    assert_why(&asked, "kernel-panic", "kernel panic: sysrq triggered crash");
}

#[test]
fn power_lost_asked_for_and_first() {
    assert_why(&in_a(&[], &[]), "power-lost", "power was lost, or the reset button pressed");
    assert_why(&Evidence { last: None, ..in_a(&[], &[]) }, "first-start", "first start");
    for act in Act::ALL {
        let last = life(Slot::A, Reached::Well, Some(End::Asked(act)));
        let asked = Evidence { last, ..in_a(&[ResetCause::Watchdog], &[]) };
        assert_eq!(why_restarted(&asked).why, Why::Asked(act), "even if the watchdog had to end it");
    }
    let hot = in_a(&[ResetCause::NotTold, ResetCause::Overheated], &[]);
    assert_why(&hot, "hardware", "the hardware reset the box: too hot");
}

/// Slot A is proven, B was staged for an update. What the bootloader makes of B that ends in `restarts` restarts.
fn update_to_b(restarts: usize) -> (FakeBootControl, Evidence) {
    let mut boot = FakeBootControl::new(Slots { a: OK, b: FAILED, booted: Some(Slot::A) });
    boot.stage_other().unwrap();
    for _ in 0..restarts {
        boot.restart();
    }
    let end = Some(End::Asked(Act::Update));
    let last = Some(Life { slot: Some(Slot::A), reached: Reached::Well, staged: Some(Slot::B), end });
    let slots = Some(boot.slots().unwrap());
    (boot, Evidence { last, slots, ..Evidence::default() })
}

#[test]
fn an_update_that_went_well() {
    let (_, evidence) = update_to_b(1);
    assert_why(&evidence, "asked-update", "an update was installed");
    assert_eq!(
        why_restarted(&evidence),
        Reason { why: Why::Asked(Act::Update), slot: Some(Slot::B), fell_back: FellBack::No }
    );
}

#[test]
fn slot_image_truncated() {
    let (_, evidence) = update_to_b(2);
    let evidence = Evidence { resets: vec![ResetCause::Watchdog], ..evidence };
    let text = "slot B failed: its boot image could not be started";
    for inspected in [None, Some(Inspected::ImageDamaged)] {
        assert_why(&Evidence { inspected, ..evidence.clone() }, "slot-image-unloadable", text);
    }
    assert_eq!(why_restarted(&evidence).fell_back, FellBack::From(Slot::B));
    assert_eq!(why_restarted(&evidence).slot, Some(Slot::A));

    // A slot that was proven, marked failed by the recovery system.
    let slots = Some(Slots { a: FAILED, b: OK, booted: Some(Slot::B) });
    for end in [None, Some(End::Asked(Act::Restart))] {
        let last = life(Slot::A, Reached::Well, end);
        let evidence = Evidence { slots, last, ..Evidence::default() };
        assert_why(&evidence, "slot-image-unloadable", "slot A failed: its boot image could not be started");
    }
}

#[test]
fn slot_root_corrupted() {
    let text = |slot| format!("slot {slot} failed: its root file system is damaged");
    let (_, evidence) = update_to_b(2);
    let dumps = vec![KernelDump::new(panicked("dm-verity device corrupted").as_bytes())];
    assert_why(&Evidence { dumps: dumps.clone(), ..evidence.clone() }, "slot-root-corrupted", &text("B"));
    let inspected = Some(Inspected::RootDamaged);
    assert_why(&Evidence { inspected, ..evidence }, "slot-root-corrupted", &text("B"));

    // Power was lost before it had proven itself anew, and what is damaged was found at the next start.
    let slots = Some(Slots { a: FAILED, b: OK, booted: Some(Slot::B) });
    for (inspected, word) in
        [(Inspected::RootDamaged, "slot-root-corrupted"), (Inspected::ImageDamaged, "slot-image-unloadable")]
    {
        let last = life(Slot::A, Reached::Started, None);
        let evidence = Evidence { slots, last, inspected: Some(inspected), ..Evidence::default() };
        assert_eq!(why_restarted(&evidence).why.word(), word);
    }

    // While it ran, and had long been proven.
    let slots = Some(Slots { a: FAILED, b: OK, booted: Some(Slot::B) });
    for reached in [Reached::Well, Reached::Started] {
        let last = life(Slot::A, reached, None);
        let evidence = Evidence { slots, last, dumps: dumps.clone(), ..Evidence::default() };
        assert_why(&evidence, "slot-root-corrupted", &text("A"));
    }

    // A bad read that the next start did not see again.
    let again = in_a(&[], &[&panicked("dm-verity device corrupted")]);
    assert_why(&again, "slot-root-corrupted", &text("A"));
    assert_eq!(why_restarted(&again).fell_back, FellBack::No);
}

#[test]
fn slot_unhealthy() {
    let (_, evidence) = update_to_b(2);
    let of_b = |end| Evidence { last: life(Slot::B, Reached::Started, end), ..evidence.clone() };
    let checks = vec![label("SIP OPTIONS"), label("no unit failed")];
    assert_why(
        &of_b(Some(End::GaveUp { checks })),
        "slot-unhealthy",
        "slot B failed: it did not pass SIP OPTIONS, no unit failed",
    );
    for (resets, dumps) in
        [(vec![ResetCause::Watchdog], vec![]), (vec![], vec![panicked("hung_task: blocked tasks")])]
    {
        let dumps = dumps.iter().map(|log: &String| KernelDump::new(log.as_bytes())).collect();
        let hung = Evidence { resets, dumps, ..of_b(None) };
        assert_why(&hung, "slot-unhealthy", "slot B failed: it did not prove itself well in time");
    }
}

#[test]
fn slot_that_panics_or_ends_early() {
    let (_, evidence) = update_to_b(2);
    let dumps = vec![KernelDump::new(panicked("Attempted to kill init!").as_bytes())];
    let text = "slot B failed: kernel panic: Attempted to kill init!";
    assert_why(&Evidence { dumps, ..evidence.clone() }, "slot-panicked", text);
    let sound = Evidence { inspected: Some(Inspected::Sound), ..evidence };
    assert_why(&sound, "slot-ended-early", "slot B failed: it restarted before its services started");
}

#[test]
fn a_slot_that_gave_up_but_runs_again_is_told_as_unhealthy() {
    let last = life(Slot::A, Reached::Started, Some(End::GaveUp { checks: vec![label("clock")] }));
    let evidence = Evidence { last, ..in_a(&[], &[]) };
    assert_why(&evidence, "slot-unhealthy", "slot A failed: it did not pass clock");
}

#[test]
fn what_was_found_is_read_back_from_its_word() {
    for found in [Inspected::Sound, Inspected::ImageDamaged, Inspected::RootDamaged] {
        assert_eq!(Inspected::of(found.word()), Some(found));
    }
    assert_eq!(Inspected::of("rotten"), None);
}

#[test]
fn words_are_never_shared() {
    let mut words: Vec<_> = Act::ALL.iter().map(|act| act.word()).collect();
    let unit = || label("u");
    let slot = |fault| Why::SlotFailed { slot: Slot::A, fault };
    let others = [
        Why::FirstStart,
        Why::PowerLost,
        Why::KernelPanic { message: unit() },
        Why::SystemHung,
        Why::Hardware(ResetCause::FanFailed),
        slot(SlotFault::ImageUnloadable),
        slot(SlotFault::EndedEarly),
        slot(SlotFault::RootCorrupted),
        slot(SlotFault::Panicked { message: unit() }),
        slot(SlotFault::Unhealthy { checks: vec![] }),
        Why::ServiceKilled { unit: unit(), signal: unit() },
        Why::ServiceCrashed { unit: unit(), signal: unit() },
        Why::ServiceFrozen { unit: unit() },
        Why::ServiceDeadlocked { unit: unit(), part: unit() },
        Why::ServiceOutOfMemory { unit: unit() },
        Why::ServiceFailed { unit: unit(), how: unit() },
        Why::DiskFull { mount: unit() },
        Why::ClockJumped(Jump { direction: Direction::Back, by: seconds(60) }),
    ];
    words.extend(others.iter().map(Why::word));
    let count = words.len();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), count);
}

fn any_status() -> impl Strategy<Value = SlotStatus> {
    let state = prop::sample::select(vec![
        SlotState::Installed,
        SlotState::Testing,
        SlotState::Ok,
        SlotState::Failed,
    ]);
    let known = (state, 0u32..5).prop_map(|(state, revision)| SlotStatus::Known { state, revision });
    prop_oneof![9 => known, 1 => Just(SlotStatus::Damaged)]
}

fn any_slot() -> impl Strategy<Value = Option<Slot>> {
    prop::sample::select(vec![None, Some(Slot::A), Some(Slot::B)])
}

prop_compose! {
    fn any_life()(
        slot in any_slot(),
        staged in any_slot(),
        reached in prop::sample::select(vec![Reached::Started, Reached::Well]),
        end in prop::sample::select(vec![None, Some(End::Asked(Act::Restart)), Some(End::GaveUp { checks: vec![] })]),
    ) -> Life {
        Life { slot, reached, staged, end }
    }
}

proptest! {
    #[test]
    fn whatever_the_evidence_a_slot_is_blamed_only_if_something_speaks_against_it(
        a in any_status(), b in any_status(), booted in any_slot(),
        last in prop::option::of(any_life()),
        watchdog in any::<bool>(),
        said in prop::sample::select(vec![None, Some("dm-verity device corrupted"), Some("oops"), Some("hung_task")]),
    ) {
        let slots = Slots { a, b, booted };
        let evidence = Evidence {
            resets: if watchdog { vec![ResetCause::Watchdog] } else { vec![] },
            dumps: said.iter().map(|said| KernelDump::new(panicked(said).as_bytes())).collect(),
            slots: Some(slots),
            last: last.clone(),
            inspected: None,
        };
        let reason = why_restarted(&evidence);
        prop_assert_eq!(reason.slot, booted);
        if let FellBack::From(slot) = reason.fell_back {
            prop_assert!(booted != Some(slot));
            let blamed = matches!(reason.why, Why::SlotFailed { slot: blamed, .. } if blamed == slot);
            prop_assert!(blamed, "{:?}", reason);
            prop_assert!(!slots.of(slot).can_boot() || slots.of(slot).to_string() == "FAILED");
        }
        let gave_up = last.is_some_and(|last| matches!(last.end, Some(End::GaveUp { .. })));
        match reason.why {
            Why::KernelPanic { .. } => prop_assert!(said.is_some()),
            Why::SystemHung => prop_assert!(watchdog || said == Some("hung_task")),
            Why::SlotFailed { .. } if reason.fell_back == FellBack::No => {
                prop_assert!(said.is_some_and(|said| said.contains("verity")) || gave_up);
            }
            Why::FirstStart | Why::PowerLost => prop_assert!(!watchdog && said.is_none()),
            _ => {}
        }
        prop_assert!(!reason.why.to_string().is_empty());
    }
}
