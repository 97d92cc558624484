//! Visits to a reception, key by key, in virtual time.

use super::*;
use crate::routing::{Pattern, Template};
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);
const NO_ROUTE: Cause = Cause::new(Fault::Caller, Kind::NoRoute);
const NOT_FOUND: Cause = Cause::new(Fault::Callee, Kind::MeetingNotFound);

struct Bench {
    visit: Visit,
    now: Instant,
    wake: Option<Instant>,
    wanted: Vec<Effect>,
}

fn desk() -> Desk {
    let pattern = Pattern::parse(r"9?(\d{13})").expect("a pattern");
    let replace = Template::parse(r"\1@meet.example.com", &pattern).expect("a replace string");
    Desk {
        name: "front desk".into(),
        aliases: vec!["gmeet@example.com".into()],
        pattern,
        replace,
        tries: TRIES,
        first_key: FIRST_KEY,
        next_key: NEXT_KEY,
        encryption: None,
        theme: None,
    }
}

impl Bench {
    fn new() -> Self {
        Self { visit: Visit::new(desk()), now: Instant::now(), wake: None, wanted: Vec::new() }
    }

    /// A visit whose caller hears the greeting.
    fn begun() -> Self {
        let mut bench = Self::new();
        bench.give(Input::Begin);
        bench
    }

    fn give(&mut self, input: Input) -> &mut Self {
        let Self { visit, wanted, now, .. } = self;
        self.wake = visit.step(*now, input, |Output::Effect(effect)| wanted.push(effect));
        self
    }

    fn keys(&mut self, keys: &str) -> &mut Self {
        for key in keys.chars() {
            self.give(Input::Key(key));
        }
        self
    }

    /// The voice that is heard comes to its end.
    fn said(&mut self) -> &mut Self {
        let number = self.visit.screen().and_then(|screen| screen.says).expect("something is being said");
        self.give(Input::Said(number))
    }

    fn pass(&mut self, time: Duration) -> &mut Self {
        let end = self.now + time;
        while let Some(wake) = self.wake.filter(|wake| *wake <= end) {
            assert!(wake > self.now, "a wake-up asked for in the past makes a loop");
            self.now = wake;
            self.give(Input::Timeout);
        }
        self.now = end;
        self
    }

    fn wanted(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.wanted)
    }

    fn shows(&self) -> (Prompt, bool) {
        let screen = self.visit.screen().expect("a screen");
        (screen.prompt, screen.says.is_some())
    }
}

fn route(alias: &str) -> Vec<Effect> {
    vec![Effect::Route(alias.to_owned())]
}

/// P5
#[test]
fn p5_what_is_keyed_up_to_the_hash_is_routed_after_match_and_replace() {
    let mut bench = Bench::begun();
    assert_eq!(bench.shows(), (Prompt::Welcome, true));
    bench.said();
    assert_eq!(bench.shows(), (Prompt::Welcome, false));
    bench.keys("91234567890123");
    assert_eq!((bench.wanted(), bench.visit.keyed()), (vec![], "91234567890123"));
    bench.keys("#");
    assert_eq!(bench.wanted(), route("1234567890123@meet.example.com"));
    bench.give(Input::Verdict(Verdict::Taken));
    assert_eq!(bench.shows(), (Prompt::Connecting, true));
    assert_eq!(bench.visit.keyed(), "91234567890123", "it stays to be seen");
    bench.said();
    assert_eq!(bench.shows(), (Prompt::Connecting, false));
}

/// P5
#[test]
fn p5_a_key_cuts_the_voice_short_and_a_star_takes_the_last_digit_back() {
    let mut bench = Bench::begun();
    bench.keys("1");
    assert_eq!(bench.shows(), (Prompt::Welcome, false));
    bench.keys("3*2");
    assert_eq!(bench.visit.keyed(), "12");
    bench.keys("*****#");
    assert_eq!((bench.wanted(), bench.visit.keyed()), (vec![], ""), "nothing keyed is nothing entered");
    bench.keys("1234567890124*3#");
    assert_eq!(bench.wanted(), route("1234567890123@meet.example.com"));
}

/// P5
#[test]
fn p5_the_third_wrong_try_ends_politely_whoever_finds_it_wrong() {
    let mut bench = Bench::begun();
    bench.keys("4711#");
    assert_eq!(bench.shows(), (Prompt::TryAgain, true), "the reception itself: no such id");
    assert_eq!((bench.wanted(), bench.visit.keyed()), (vec![], ""));
    bench.keys("1234567890123#").give(Input::Verdict(Verdict::Wrong(NO_ROUTE)));
    assert_eq!(bench.shows(), (Prompt::TryAgain, true), "the rules");
    bench.keys("1234567890123#").give(Input::Verdict(Verdict::Taken));
    bench.wanted();
    bench.give(Input::Verdict(Verdict::Wrong(NOT_FOUND)));
    assert_eq!((bench.shows(), bench.wanted()), ((Prompt::NotFound, true), vec![]), "the conference");
    bench.keys("1234567890123#");
    assert_eq!(bench.wanted(), [], "what is keyed during the goodbye is not taken");
    bench.said();
    assert_eq!(bench.wanted(), [Effect::End(NOT_FOUND)]);
    assert_eq!(bench.wake, None);
}

/// P5
#[test]
fn p5_who_keys_nothing_is_said_goodbye_after_the_time_out() {
    let mut bench = Bench::begun();
    bench.said().pass(FIRST_KEY - Duration::from_millis(1));
    assert_eq!(bench.shows(), (Prompt::Welcome, false));
    bench.pass(Duration::from_millis(1));
    assert_eq!(bench.shows(), (Prompt::NothingKeyed, true));
    bench.said();
    assert_eq!(bench.wanted(), [Effect::End(NOTHING_KEYED)]);
}

/// P5
#[test]
fn p5_a_long_pause_ends_the_entry_as_the_hash_does() {
    let mut bench = Bench::begun();
    bench.keys("123456789012").pass(NEXT_KEY - Duration::from_millis(1)).keys("3");
    bench.pass(NEXT_KEY - Duration::from_millis(1));
    assert_eq!(bench.wanted(), []);
    bench.pass(Duration::from_millis(1));
    assert_eq!(bench.wanted(), route("1234567890123@meet.example.com"));
}

#[test]
fn who_takes_everything_back_is_waited_for_as_at_the_beginning() {
    let mut bench = Bench::begun();
    bench.keys("1*").pass(FIRST_KEY);
    assert_eq!(bench.shows(), (Prompt::NothingKeyed, true));
}

#[test]
fn who_keys_for_ever_is_said_goodbye() {
    let mut bench = Bench::begun();
    for _ in 0..VISIT.as_secs() {
        bench.keys("1*").pass(SECOND);
    }
    assert_eq!(bench.shows().0, Prompt::NothingKeyed);
}

#[test]
fn more_keys_than_any_id_has_are_not_taken() {
    let mut bench = Bench::begun();
    bench.keys(&"7".repeat(MAX_KEYS + 5));
    assert_eq!(bench.visit.keyed().len(), MAX_KEYS);
}

#[test]
fn a_voice_whose_end_nobody_tells_does_not_hold_the_call() {
    let mut bench = Bench::begun();
    bench.pass(SAID);
    assert_eq!(bench.shows(), (Prompt::Welcome, false));
    bench.pass(FIRST_KEY).pass(SAID);
    assert_eq!(bench.wanted(), [Effect::End(NOTHING_KEYED)]);
}

#[test]
fn the_end_of_a_voice_that_was_cut_short_is_no_longer_heard() {
    let mut bench = Bench::begun();
    let first = bench.visit.screen().and_then(|screen| screen.says).expect("a voice");
    bench.keys("1#");
    assert_eq!(bench.shows(), (Prompt::TryAgain, true));
    bench.give(Input::Said(first));
    assert_eq!(bench.shows(), (Prompt::TryAgain, true));
}

/// P6, W4
#[test]
fn p6_w4_who_is_not_let_in_is_told_why_and_then_the_call_ends_with_that_cause() {
    for (kind, prompt) in [
        (Kind::LobbyTimeout, Prompt::NotAdmitted),
        (Kind::CallRejected, Prompt::Refused),
        (Kind::InteropDisabled, Prompt::InteropOff),
        (Kind::MeetingFull, Prompt::Full),
        (Kind::Unreachable, Prompt::Unavailable),
    ] {
        let cause = Cause::new(Fault::Callee, kind);
        let mut bench = Bench::begun();
        bench
            .keys("1234567890123#")
            .give(Input::Verdict(Verdict::Taken))
            .give(Input::Verdict(Verdict::Lobby));
        assert_eq!(bench.shows(), (Prompt::Lobby, true));
        bench.wanted();
        bench.give(Input::Verdict(Verdict::Refused(cause)));
        assert_eq!((bench.shows(), bench.wanted()), ((prompt, true), vec![]));
        bench.said();
        assert_eq!(bench.wanted(), [Effect::End(cause)]);
    }
}

fn any_input() -> impl Strategy<Value = Result<Input, u64>> {
    prop_oneof![
        4 => prop::sample::select(vec!['0', '1', '*', '#', 'A']).prop_map(|key| Ok(Input::Key(key))),
        1 => (0..6_u32).prop_map(|number| Ok(Input::Said(number))),
        1 => prop::sample::select(vec![Verdict::Taken, Verdict::Lobby, Verdict::Wrong(NO_ROUTE), Verdict::Refused(NOT_FOUND)])
            .prop_map(|verdict| Ok(Input::Verdict(verdict))),
        1 => Just(Ok(Input::Begin)),
        2 => (0..40_u64).prop_map(Err),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_a_visit_ends_at_most_once_and_never_stays_for_ever(inputs in prop::collection::vec(any_input(), 0..60)) {
        let mut bench = Bench::begun();
        for input in inputs {
            match input {
                Ok(input) => { bench.give(input); }
                Err(seconds) => { bench.pass(SECOND * u32::try_from(seconds).expect("small")); }
            }
        }
        // Whoever is asked answers in the end.
        bench.give(Input::Verdict(Verdict::Refused(NOT_FOUND))).pass(VISIT + 2 * SAID);
        let ends = bench.wanted.iter().filter(|effect| matches!(effect, Effect::End(_))).count();
        prop_assert!(ends == 1 || bench.wanted.last().is_some_and(|last| matches!(last, Effect::Route(_))), "{ends}");
    }
}
