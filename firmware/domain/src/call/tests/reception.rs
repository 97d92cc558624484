//! Calls through a Virtual Reception (P5), lobby and refusals seen and heard there (P6, W1, W4).

use super::*;
use crate::prompt::Prompt;
use crate::reception::SAID;

/// A caller that was answered by the reception and hears the greeting.
fn received() -> Bench {
    let mut bench = Bench::new();
    bench.leg(CALLER, dialled("GMeet@example.com"));
    let effects = bench.effects();
    assert_eq!(effects, [CallEffect::Leg(CALLER, LegCommand::Accept)], "no ringing, no conference");
    bench.leg(CALLER, LegEvent::Connected).leg(CALLER, LegEvent::Media(room()));
    assert_eq!(bench.call.state(), State::Reception);
    bench
}

fn keys(bench: &mut Bench, keys: &str) {
    for key in keys.chars() {
        bench.leg(CALLER, LegEvent::Dtmf(key));
    }
}

fn joined(bench: &mut Bench) -> Vec<String> {
    let join = |effect| match effect {
        CallEffect::Join { join, .. } => Some(join.meeting),
        _ => None,
    };
    bench.effects().into_iter().filter_map(join).collect()
}

fn shown(bench: &Bench) -> Option<(Prompt, String)> {
    let prompt = bench.call.plan().prompt.as_ref()?;
    Some((prompt.prompt, prompt.keyed.reveal().to_owned()))
}

/// The voice comes to its end.
fn said(bench: &mut Bench) {
    let number = bench.call.plan().prompt.as_ref().and_then(|prompt| prompt.says).expect("a voice");
    bench.give(CallInput::Said(number));
}

/// P5
#[test]
fn p5_a_call_to_a_general_alias_is_handed_over_into_the_meeting_that_was_keyed() {
    let mut bench = received();
    let plan = bench.call.plan();
    assert_eq!(shown(&bench), Some((Prompt::Welcome, String::new())));
    assert_eq!(plan.up, crate::media::Up::default(), "nothing goes anywhere");
    let down = (plan.down.sound.as_ref().unwrap(), plan.down.picture.as_ref().unwrap());
    assert_eq!((down.0.sink, down.1.sink), (StreamId(1), StreamId(2)), "the room sees and hears");
    assert!(down.0.inputs.is_empty() && down.1.tiles.is_empty());

    keys(&mut bench, "1234567890123");
    assert_eq!(shown(&bench), Some((Prompt::Welcome, "1234567890123".into())));
    keys(&mut bench, "#");
    assert_eq!(joined(&mut bench), ["1234567890123"]);
    assert_eq!(bench.call.state(), State::Joining);
    assert_eq!(shown(&bench), Some((Prompt::Connecting, "1234567890123".into())));

    bench.leg(CONFERENCE, LegEvent::Connected);
    let again = bench.effects().iter().any(|effect| matches!(effect, CallEffect::Leg(CALLER, _)));
    assert!(!again, "the caller's leg goes on as it is");
    bench.leg(CONFERENCE, LegEvent::Media(conference(&["a"]))).leg(CONFERENCE, roster(&["a"]));
    assert_eq!(bench.call.state(), State::Connected);
    assert_eq!((shown(&bench), bench.call.plan().keys), (None, None));
    assert_eq!(tiles(&bench), [20]);
    assert!(bench.call.plan().up.picture.is_some());
    let told: Vec<_> = bench.events();
    assert_eq!(told[0], CallEvent::Received { reception: "front desk".into() });
    assert!(told.contains(&CallEvent::State(State::Connected)));
}

/// P5
#[test]
fn p5_three_wrong_tries_end_politely_and_a_meeting_that_is_not_known_is_one_of_them() {
    let mut bench = received();
    keys(&mut bench, "99#");
    assert_eq!(shown(&bench), Some((Prompt::TryAgain, String::new())), "no rule takes it");
    assert!(bench.events().contains(&CallEvent::WrongEntry), "it is told, whatever the caller does next");
    for tries in 2..=3 {
        keys(&mut bench, "1234567890123#");
        assert_eq!(joined(&mut bench).len(), 1);
        bench.leg(CONFERENCE, LegEvent::Ended(Cause::new(Fault::Callee, Kind::MeetingNotFound)));
        assert_eq!((tries, bench.call.state()), (tries, State::Reception));
    }
    assert_eq!(shown(&bench), Some((Prompt::NotFound, String::new())));
    assert_eq!(bench.ends(), []);
    said(&mut bench);
    let cause = Cause::new(Fault::Callee, Kind::MeetingNotFound);
    assert_eq!(bench.ends(), [(CALLER, cause)]);
    bench.leg(CALLER, LegEvent::Ended(cause));
    assert_eq!(bench.ended(), [CallEvent::Ended { cause, during: State::Reception }]);
}

/// P5
#[test]
fn p5_a_second_try_reaches_the_meeting() {
    let mut bench = received();
    keys(&mut bench, "1234567890120#");
    bench.leg(CONFERENCE, LegEvent::Ended(Cause::new(Fault::Callee, Kind::MeetingNotFound)));
    keys(&mut bench, "1234567890123#");
    assert_eq!(joined(&mut bench), ["1234567890120", "1234567890123"]);
    bench.leg(CONFERENCE, LegEvent::Connected);
    assert_eq!(bench.call.state(), State::Connected);
    let wrong = bench.events().into_iter().filter(|event| *event == CallEvent::WrongEntry).count();
    assert_eq!(wrong, 1, "the first is told, though the second was right");
}

/// P5
#[test]
fn p5_keys_heard_as_tones_count_until_the_room_signals_one_and_none_counts_twice() {
    let mut bench = received();
    assert_eq!(bench.call.plan().keys, Some(StreamId(3)), "the room's sound is listened to");
    bench.give(CallInput::Tone(CALLER, '1')).give(CallInput::Tone(CALLER, '2'));
    assert_eq!(shown(&bench).unwrap().1, "12");
    bench.pass(Duration::from_millis(200)).leg(CALLER, LegEvent::Dtmf('2'));
    assert_eq!(shown(&bench).unwrap().1, "12", "the same key, signalled");
    assert_eq!(bench.call.plan().keys, None, "who signals is not listened to");
    bench.give(CallInput::Tone(CALLER, '3')).leg(CALLER, LegEvent::Dtmf('3'));
    bench.give(CallInput::Tone(CONFERENCE, '4'));
    assert_eq!(shown(&bench).unwrap().1, "12", "a tone before its signal");
    bench.pass(2 * SECOND).leg(CALLER, LegEvent::Dtmf('3')).leg(CALLER, LegEvent::Dtmf('3'));
    assert_eq!(shown(&bench).unwrap().1, "1233");
}

/// P6, W1
#[test]
fn p6_w1_a_guest_sees_and_hears_that_it_waits_and_that_nobody_admitted_it() {
    let mut bench = received();
    keys(&mut bench, "947111234567890123#");
    let until = bench.now + 60 * SECOND;
    bench.leg(CONFERENCE, LegEvent::Lobby { until });
    assert_eq!(shown(&bench), Some((Prompt::Lobby, String::new())), "and the PIN is not shown");
    bench.effects();
    bench.pass(limits::LOBBY);
    let cause = Cause::new(Fault::Callee, Kind::LobbyTimeout);
    assert_eq!(bench.ends(), [(CONFERENCE, cause)]);
    assert_eq!(shown(&bench), Some((Prompt::NotAdmitted, String::new())));
    bench.leg(CONFERENCE, LegEvent::Ended(cause));
    said(&mut bench);
    assert_eq!(bench.ends(), [(CALLER, cause)]);
    bench.leg(CALLER, LegEvent::Ended(cause));
    assert_eq!(bench.ended().len(), 1);
}

/// W4
#[test]
fn w4_where_interoperability_is_off_the_caller_is_told_before_the_call_ends() {
    let mut bench = received();
    keys(&mut bench, "1234567890123#");
    bench.effects();
    let cause = Cause::new(Fault::Callee, Kind::InteropDisabled);
    bench.leg(CONFERENCE, LegEvent::Ended(cause));
    assert_eq!(shown(&bench), Some((Prompt::InteropOff, String::new())));
    bench.pass(SAID);
    assert_eq!(bench.ends(), [(CALLER, cause)], "though nobody tells that it was heard");
}

/// P6, W1
#[test]
fn p6_w1_where_lobbies_are_shown_who_dialled_a_meeting_is_answered_there() {
    let shown = CONFIG.replace("[gateway]", "[gateway]\nlobby = \"shown\"");
    for admitted in [true, false] {
        let config = Config::parse("test.toml", &shown).expect("a configuration");
        let mut bench = Bench { call: Call::new(CallId(7), Arc::new(config)), ..Bench::new() };
        bench.leg(CALLER, dialled("947111234567890123@m")).effects();
        assert_eq!(shown_to(&bench), None, "it rings until then");
        let until = bench.now + 30 * SECOND;
        bench.leg(CONFERENCE, LegEvent::Lobby { until });
        assert_eq!(bench.effects()[0], CallEffect::Leg(CALLER, LegCommand::Accept));
        bench.leg(CALLER, LegEvent::Connected).leg(CALLER, LegEvent::Media(room()));
        assert_eq!((bench.call.state(), shown_to(&bench)), (State::Lobby, Some(Prompt::Lobby)));
        if admitted {
            bench.leg(CONFERENCE, LegEvent::Connected);
            assert_eq!((bench.call.state(), shown_to(&bench)), (State::Connected, None));
            continue;
        }
        bench.pass(limits::LOBBY);
        let cause = Cause::new(Fault::Callee, Kind::LobbyTimeout);
        assert_eq!((bench.ends(), shown_to(&bench)), (vec![(CONFERENCE, cause)], Some(Prompt::NotAdmitted)));
        said(&mut bench);
        assert_eq!(bench.ends(), [(CALLER, cause)]);
    }
}

fn shown_to(bench: &Bench) -> Option<Prompt> {
    shown(bench).map(|(prompt, _)| prompt)
}

#[test]
fn a_conference_that_does_not_answer_is_told_to_the_caller() {
    let mut bench = received();
    keys(&mut bench, "1234567890123#");
    bench.effects();
    bench.pass(JOIN);
    let cause = Cause::new(Fault::Upstream, Kind::Unreachable);
    assert_eq!(bench.ends(), [(CONFERENCE, cause)]);
    assert_eq!(shown(&bench), Some((Prompt::Unavailable, String::new())));
    bench.leg(CONFERENCE, LegEvent::Connected);
    assert_eq!(bench.call.state(), State::Reception, "too late");
    said(&mut bench);
    assert_eq!(bench.ends(), [(CALLER, cause)]);
}

#[test]
fn who_hangs_up_in_the_reception_leaves_nothing() {
    for keyed in ["", "1234567890123#"] {
        let mut bench = received();
        keys(&mut bench, keyed);
        bench.effects();
        bench.leg(CALLER, LegEvent::Ended(Cause::CALLER_HUNG_UP));
        assert_eq!(bench.ends().len(), usize::from(!keyed.is_empty()));
        bench.leg(CONFERENCE, LegEvent::Ended(Cause::CALLER_HUNG_UP));
        assert_eq!((bench.ended().len(), bench.wake), (1, None));
        assert_eq!(bench.call.plan(), &MediaPlan::default());
    }
}

#[test]
fn who_never_confirms_the_receptions_answer_is_given_up() {
    let mut bench = Bench::new();
    bench.leg(CALLER, dialled("gmeet@example.com")).effects();
    bench.pass(ANSWER);
    assert_eq!(bench.ends(), [(CALLER, Cause::new(Fault::Caller, Kind::SignallingTimeout))]);
}

#[test]
fn draining_ends_a_visit_at_the_deadline() {
    let mut bench = received();
    let deadline = bench.now + 5 * SECOND;
    bench.give(CallInput::Operator(Operator::Drain { deadline })).effects();
    bench.pass(5 * SECOND);
    assert_eq!(bench.ends(), [(CALLER, Cause::new(Fault::Gateway, Kind::Draining))]);
}

#[test]
fn p4_a_rule_that_wants_encryption_is_not_met_by_a_caller_that_was_answered_without() {
    let strict = CONFIG.replace("name = \"meetings\"", "name = \"meetings\"\nencryption = \"on\"");
    for (more, state) in [("", State::Reception), ("encryption = \"on\"\n", State::Joining)] {
        let config = Config::parse("test.toml", &format!("{strict}{more}")).expect("a configuration");
        let call = Call::new(CallId(7), Arc::new(config));
        let mut bench = Bench { call, ..Bench::new() };
        bench.leg(CALLER, dialled("gmeet@example.com")).leg(CALLER, LegEvent::Connected);
        keys(&mut bench, "1234567890123#");
        assert_eq!(bench.call.state(), state);
    }
}

proptest! {
    #[test]
    fn whatever_happens_in_a_reception_the_call_ends_once_and_leaves_no_leg_and_no_media(
        steps in prop::collection::vec((0..9_usize, 0..14_usize, 0..30_u64), 0..40),
    ) {
        let mut bench = received();
        let mut born = 0;
        for (what, event, seconds) in steps {
            let event = any_event(bench.now, event);
            match what {
                0 | 1 => keys(&mut bench, "1234567890123#"),
                2 => keys(&mut bench, "7#"),
                3 => { bench.leg(CALLER, event); }
                4 if born > 0 => { bench.leg(CONFERENCE, event); }
                5 if born > 0 => { bench.leg(CONFERENCE, LegEvent::Ended(Cause::new(Fault::Callee, Kind::MeetingNotFound))); }
                6 => { bench.give(CallInput::Said(u32::try_from(seconds % 5).unwrap())); }
                7 => { bench.give(CallInput::Tone(CALLER, '5')); }
                _ => { bench.pass(SECOND * u32::try_from(seconds).unwrap()); }
            }
            born = bench.effects.iter().filter(|effect| matches!(effect, CallEffect::Join { .. })).count();
        }
        bench.give(CallInput::Operator(Operator::HangUp)).pass(ENDING);
        prop_assert_eq!((bench.call.state(), bench.wake), (State::Ended, None));
        prop_assert_eq!(bench.call.plan(), &MediaPlan::default());
        prop_assert_eq!(bench.ended().len(), 1);
        let ends = bench.effects.iter().filter(|effect| matches!(effect, CallEffect::Leg(CALLER, LegCommand::End(_)))).count();
        prop_assert!(ends <= 1, "the caller is told its end at most once");
    }
}
