//! A call between two scripted legs, in virtual time.

use super::*;
use base::frame::{Codec, Size};
use base::ids::ParticipantId;
use base::leg::{Protocol, RecvStream, SendStream, Trust};
use base::machine::{Machine, Output};
use base::{Alias, Fault, Kind, MediaKind, Pii, limits};
use proptest::prelude::*;

mod reception;

const CONFIG: &str = r#"
[gateway]
domains = ["meet.example.com"]
[[tokens]]
name = "own"
value = "own-value"
trust = "trusted"
[[tokens]]
name = "guest"
value = "guest-value"
trust = "untrusted"
[[connectors]]
name = "meet"
kind = "interop"
url = "https://conference.example.com"
[[rules]]
name = "meetings"
tag = "t1"
priority = 100
token = "own"
max_out_kbps = 1000
[[rules]]
name = "guests"
priority = 110
token = "guest"
match.regex = '9(?<pin>\d{4})(\d{13})@.*'
replace = '\2'
[[rules]]
name = "sound only"
priority = 120
token = "own"
call_type = "audio"
match.regex = '8(\d{13})@.*'
replace = '\1'
[[rules]]
name = "guests let in"
priority = 130
token = "guest"
treat_as_trusted = true
match.regex = '7(\d{13})@.*'
replace = '\1'
[[rules]]
name = "out"
priority = 140
target = "external"
match.regex = '6.*'
[[receptions]]
name = "front desk"
aliases = ["gmeet@example.com"]
"#;

const CALLER: Side = Side::Caller;
const CONFERENCE: Side = Side::Conference;
const SECOND: Duration = Duration::from_secs(1);

/// A call, the time, and what came out since it was last looked at.
struct Bench {
    call: Call,
    now: Instant,
    wake: Option<Instant>,
    effects: Vec<CallEffect>,
    events: Vec<CallEvent>,
}

impl Bench {
    fn new() -> Self {
        let config = Config::parse("test.toml", CONFIG).unwrap_or_else(|problems| panic!("{problems}"));
        let call = Call::new(CallId(7), Arc::new(config));
        Self { call, now: Instant::now(), wake: None, effects: Vec::new(), events: Vec::new() }
    }

    fn give(&mut self, input: CallInput) -> &mut Self {
        let Self { call, effects, events, .. } = self;
        self.wake = call.step(self.now, input, |output| match output {
            Output::Effect(effect) => effects.push(effect),
            Output::Event(event) => events.push(event),
        });
        self
    }

    fn leg(&mut self, side: Side, event: LegEvent) -> &mut Self {
        self.give(CallInput::Leg(side, event))
    }

    /// Lets time pass, waking the call whenever it asked to be.
    fn pass(&mut self, time: Duration) -> &mut Self {
        let end = self.now + time;
        while let Some(wake) = self.wake.filter(|wake| *wake <= end) {
            assert!(wake > self.now, "a wake-up asked for in the past makes a loop");
            self.now = wake;
            self.give(CallInput::Timeout);
        }
        self.now = end;
        self
    }

    fn effects(&mut self) -> Vec<CallEffect> {
        std::mem::take(&mut self.effects)
    }

    fn events(&mut self) -> Vec<CallEvent> {
        std::mem::take(&mut self.events)
    }

    /// The causes that each leg was told.
    fn ends(&mut self) -> Vec<(Side, Cause)> {
        let end = |effect| match effect {
            CallEffect::Leg(side, LegCommand::End(cause)) => Some((side, cause)),
            _ => None,
        };
        self.effects().into_iter().filter_map(end).collect()
    }

    fn ended(&mut self) -> Vec<CallEvent> {
        self.events().into_iter().filter(|event| matches!(event, CallEvent::Ended { .. })).collect()
    }
}

fn dialled(alias: &str) -> LegEvent {
    LegEvent::Incoming(Dialled {
        alias: Alias::parse(alias, "sip").unwrap(),
        caller: Alias::parse("room@example.com", "sip").unwrap(),
        display_name: Pii::new("Board room"),
        protocol: Protocol::Sip,
        source: "192.0.2.1:5060".parse().unwrap(),
        registered: false,
        user_agent: None,
    })
}

fn incoming() -> LegEvent {
    dialled("1234567890123@meet.example.com")
}

fn send(id: u32, codec: Codec, size: Size, max_bps: u64) -> SendStream {
    SendStream {
        id: StreamId(id),
        kind: codec.kind(),
        codec,
        max_bps,
        max_size: size,
        max_fps: if size.area() > 0 { 30 } else { 0 },
        max_nal_bytes: (codec == Codec::H264).then_some(1188),
        frame_time: Duration::from_millis(20),
    }
}

fn recv(id: u32, codec: Codec, who: Option<&str>) -> RecvStream {
    let participant = who.map(|who| ParticipantId(who.to_owned()));
    RecvStream { id: StreamId(id), kind: codec.kind(), codec, participant }
}

const NO_PICTURE: Size = Size::new(0, 0);

/// A room with G.722 and H.264 both ways.
fn room() -> MediaState {
    MediaState {
        send: vec![send(1, Codec::G722, NO_PICTURE, 64_000), send(2, Codec::H264, Size::HD720, 2_000_000)],
        recv: vec![recv(3, Codec::G722, None), recv(4, Codec::H264, None)],
    }
}

/// A conference that takes Opus and three sizes, and sends the pictures of `who`.
fn conference(who: &[&str]) -> MediaState {
    let pictures = who.iter().zip(20..).map(|(who, id)| recv(id, Codec::Vp8, Some(who)));
    MediaState {
        send: vec![
            send(13, Codec::Vp8, Size::HD720, 1_700_000),
            send(12, Codec::Vp8, Size::P360, 700_000),
            send(11, Codec::Vp8, Size::P180, 200_000),
            send(10, Codec::Opus, NO_PICTURE, 64_000),
        ],
        recv: [recv(15, Codec::Opus, None), recv(16, Codec::Opus, None)]
            .into_iter()
            .chain(pictures)
            .collect(),
    }
}

fn roster(who: &[&str]) -> LegEvent {
    let person = |who: &&str| Participant {
        id: ParticipantId((*who).to_owned()),
        name: Pii::new(*who),
        audio: true,
        video: !who.starts_with("silent"),
    };
    LegEvent::Roster(who.iter().map(person).collect())
}

/// A call that is up, with these participants.
fn connected(who: &[&str]) -> Bench {
    let mut bench = Bench::new();
    bench.leg(CALLER, incoming()).leg(CONFERENCE, LegEvent::Connected);
    bench.leg(CONFERENCE, LegEvent::Media(conference(&who[..who.len().min(limits::CONFERENCE_VIDEOS)])));
    bench.leg(CONFERENCE, roster(who));
    bench.leg(CALLER, LegEvent::Connected).leg(CALLER, LegEvent::Media(room()));
    assert_eq!(bench.call.state(), State::Connected);
    bench.effects();
    bench.events();
    bench
}

fn tiles(bench: &Bench) -> Vec<u32> {
    let picture = bench.call.plan().down.picture.as_ref();
    picture.iter().flat_map(|picture| &picture.tiles).map(|tile| tile.stream.0).collect()
}

#[test]
fn k1_a_call_rings_joins_is_accepted_and_connects() {
    let mut bench = Bench::new();
    bench.leg(CALLER, incoming());
    let effects = bench.effects();
    assert_eq!(effects[0], CallEffect::Leg(CALLER, LegCommand::Ring));
    let CallEffect::Join { connector, join } = &effects[1] else { panic!("{effects:?}") };
    assert_eq!((connector.as_str(), join.meeting.as_str(), join.call), ("meet", "1234567890123", CallId(7)));
    assert_eq!(join.display_name.reveal(), "Board room");
    assert_eq!(join.access_token.expose(), "own-value");
    assert_eq!(bench.call.state(), State::Joining);

    bench.leg(CONFERENCE, LegEvent::Connected);
    assert_eq!(bench.effects()[0], CallEffect::Leg(CALLER, LegCommand::Accept));
    bench.leg(CALLER, LegEvent::Connected);
    let routed =
        CallEvent::Routed { rule: "meetings".into(), tag: "t1".into(), meeting: "1234567890123".into() };
    assert_eq!(
        bench.events(),
        [
            routed,
            CallEvent::State(State::Joining),
            CallEvent::State(State::Connecting),
            CallEvent::State(State::Connected)
        ]
    );
}

#[test]
fn w1_the_tokens_trust_goes_with_the_join_and_a_rule_may_lift_it() {
    let join = |alias: &str| {
        let mut bench = Bench::new();
        bench.leg(CALLER, dialled(alias));
        bench.effects().into_iter().find_map(|effect| match effect {
            CallEffect::Join { join, .. } => Some(join),
            _ => None,
        })
    };
    assert_eq!(join("1234567890123@meet.example.com").unwrap().trust, Trust::Trusted);
    let guest = join("947111234567890123@m").unwrap();
    assert_eq!(guest.trust, Trust::Untrusted);
    assert_eq!(guest.access_token.expose(), "guest-value");
    assert_eq!(guest.pin.unwrap().expose(), "4711", "w2: the PIN goes apart from the id");
    assert_eq!(join("71234567890123@m").unwrap().trust, Trust::Trusted);
}

#[test]
fn p4_without_a_rule_the_caller_is_refused_and_no_conference_is_joined() {
    let mut bench = Bench::new();
    bench.leg(CALLER, dialled("nobody@meet.example.com"));
    let cause = Cause::new(Fault::Caller, Kind::NoRoute);
    assert_eq!(bench.effects(), [CallEffect::Leg(CALLER, LegCommand::End(cause))]);
    bench.leg(CALLER, LegEvent::Ended(cause));
    assert_eq!(bench.ended(), [CallEvent::Ended { cause, during: State::Incoming }]);

    let mut bench = Bench::new();
    bench.leg(CALLER, dialled("6@m"));
    assert_eq!(bench.ends(), [(CALLER, Cause::new(Fault::Gateway, Kind::NoRoute))]);
}

#[test]
fn a_call_whose_access_token_can_not_be_opened_is_refused_with_a_cause_of_its_own_and_others_are_not() {
    let mut config = Config::parse("test.toml", CONFIG).unwrap();
    let guests = config.tokens.iter().find(|token| token.trust == Trust::Untrusted).unwrap().name.clone();
    config.unreadable.insert((crate::api::Kind::AccessTokens, guests));
    let config = Arc::new(config);
    let dial = |alias: &str| {
        let mut bench = Bench { call: Call::new(CallId(7), Arc::clone(&config)), ..Bench::new() };
        bench.leg(CALLER, dialled(alias));
        bench.effects()
    };
    let cause = Cause::new(Fault::Operator, Kind::TokenUnreadable);
    assert_eq!(dial("947111234567890123@m"), [CallEffect::Leg(CALLER, LegCommand::End(cause))]);
    let joins = |effect: &CallEffect| matches!(effect, CallEffect::Join { .. });
    assert!(dial("1234567890123@meet.example.com").iter().any(joins));
}

#[test]
fn p6_a_guest_whom_nobody_admits_is_told_so_after_30_seconds() {
    let mut bench = Bench::new();
    bench.leg(CALLER, dialled("947111234567890123@m"));
    bench.pass(5 * SECOND);
    let until = bench.now + 60 * SECOND;
    bench.leg(CONFERENCE, LegEvent::Lobby { until });
    assert_eq!(bench.call.state(), State::Lobby);
    bench.pass(limits::LOBBY - Duration::from_millis(1));
    assert_eq!(bench.ends(), []);
    bench.pass(Duration::from_millis(1));
    let cause = Cause::new(Fault::Callee, Kind::LobbyTimeout);
    assert_eq!(bench.ends(), [(CONFERENCE, cause), (CALLER, cause)]);
}

#[test]
fn w1_a_guest_who_is_admitted_is_connected() {
    let mut bench = Bench::new();
    bench.leg(CALLER, dialled("947111234567890123@m"));
    let until = bench.now + 30 * SECOND;
    bench.leg(CONFERENCE, LegEvent::Lobby { until }).pass(29 * SECOND);
    bench.leg(CONFERENCE, LegEvent::Connected).leg(CALLER, LegEvent::Connected).pass(3600 * SECOND);
    assert_eq!(bench.call.state(), State::Connected);
}

#[test]
fn p11_what_the_conference_refuses_by_reaches_the_caller_as_it_is() {
    for kind in
        [Kind::CallRejected, Kind::MeetingNotFound, Kind::BadToken, Kind::InteropDisabled, Kind::MeetingFull]
    {
        let cause = Cause::new(Fault::Callee, kind);
        let mut bench = Bench::new();
        bench.leg(CALLER, incoming());
        bench.effects();
        bench.leg(CONFERENCE, LegEvent::Ended(cause));
        assert_eq!(bench.ends(), [(CALLER, cause)], "the conference leg is over and is told nothing");
        bench.leg(CALLER, LegEvent::Ended(cause));
        assert_eq!(bench.ended(), [CallEvent::Ended { cause, during: State::Joining }]);
    }
}

#[test]
fn p11_a_host_who_turns_video_off_ends_a_call_that_stands() {
    let mut bench = connected(&["a"]);
    let cause = Cause::new(Fault::Callee, Kind::CallRejected);
    bench.leg(CONFERENCE, LegEvent::Ended(cause));
    assert_eq!(
        bench.effects(),
        [CallEffect::Leg(CALLER, LegCommand::End(cause)), CallEffect::Media(MediaPlan::default())]
    );
}

#[test]
fn a_caller_who_cancels_leaves_the_conference() {
    for lobby in [false, true] {
        let mut bench = Bench::new();
        bench.leg(CALLER, incoming());
        if lobby {
            let until = bench.now + 30 * SECOND;
            bench.leg(CONFERENCE, LegEvent::Lobby { until });
        }
        let cause = Cause::new(Fault::Caller, Kind::Cancelled);
        bench.leg(CALLER, LegEvent::Ended(cause));
        assert_eq!(bench.ends(), [(CONFERENCE, cause)]);
        assert_eq!(bench.ended(), [], "the conference leg still stands");
        bench.leg(CONFERENCE, LegEvent::Ended(cause));
        assert_eq!(bench.ended().len(), 1);
    }
}

#[test]
fn a_caller_who_hangs_up_leaves_the_conference_and_the_end_is_told_once() {
    let mut bench = connected(&["a"]);
    bench.leg(CALLER, LegEvent::Ended(Cause::CALLER_HUNG_UP));
    assert_eq!(bench.ends(), [(CONFERENCE, Cause::CALLER_HUNG_UP)]);
    bench.leg(CONFERENCE, LegEvent::Ended(Cause::CALLER_HUNG_UP));
    let ended = CallEvent::Ended { cause: Cause::CALLER_HUNG_UP, during: State::Connected };
    assert_eq!(bench.ended(), [ended]);
    for late in [LegEvent::Ended(Cause::CALLER_HUNG_UP), LegEvent::Connected, incoming()] {
        bench.leg(CALLER, late.clone()).leg(CONFERENCE, late);
    }
    bench.pass(3600 * SECOND);
    assert_eq!((bench.effects(), bench.events(), bench.wake), (vec![], vec![], None));
}

#[test]
fn a_conference_that_does_not_answer_is_unreachable() {
    let mut bench = Bench::new();
    bench.leg(CALLER, incoming());
    bench.effects();
    bench.pass(JOIN);
    let cause = Cause::new(Fault::Upstream, Kind::Unreachable);
    assert_eq!(bench.ends(), [(CONFERENCE, cause), (CALLER, cause)]);
}

#[test]
fn a_caller_who_never_confirms_the_answer_is_given_up() {
    let mut bench = Bench::new();
    bench.leg(CALLER, incoming()).leg(CONFERENCE, LegEvent::Connected);
    bench.effects();
    bench.pass(ANSWER);
    let cause = Cause::new(Fault::Caller, Kind::SignallingTimeout);
    assert_eq!(bench.ends(), [(CONFERENCE, cause), (CALLER, cause)]);
}

#[test]
fn a_leg_that_does_not_end_does_not_keep_the_call() {
    let mut bench = connected(&["a"]);
    bench.leg(CALLER, LegEvent::Ended(Cause::CALLER_HUNG_UP));
    bench.pass(ENDING - SECOND);
    assert_eq!(bench.ended(), []);
    bench.pass(SECOND);
    assert_eq!(bench.ended().len(), 1);
    assert_eq!(bench.wake, None);
}

#[test]
fn draining_refuses_new_calls_and_ends_standing_ones_at_the_deadline() {
    let cause = Cause::new(Fault::Gateway, Kind::Draining);
    let mut bench = Bench::new();
    let deadline = bench.now + 30 * SECOND;
    bench.give(CallInput::Operator(Operator::Drain { deadline })).leg(CALLER, incoming());
    assert_eq!(bench.effects(), [CallEffect::Leg(CALLER, LegCommand::End(cause))]);

    let mut bench = connected(&["a"]);
    let deadline = bench.now + 30 * SECOND;
    bench.give(CallInput::Operator(Operator::Drain { deadline }));
    bench.pass(30 * SECOND - Duration::from_millis(1));
    assert_eq!(bench.ends(), []);
    bench.pass(Duration::from_millis(1));
    assert_eq!(bench.ends(), [(CONFERENCE, cause), (CALLER, cause)]);
}

#[test]
fn an_operators_hang_up_ends_both_legs() {
    let mut bench = connected(&["a"]);
    bench.give(CallInput::Operator(Operator::HangUp));
    let cause = Cause::new(Fault::Operator, Kind::HungUp);
    assert_eq!(bench.ends(), [(CONFERENCE, cause), (CALLER, cause)]);
}

#[test]
fn p1_sound_and_picture_flow_both_ways() {
    let bench = connected(&["a", "b"]);
    let plan = bench.call.plan();
    let up = plan.up.sound.as_ref().unwrap();
    assert_eq!((up.inputs.as_slice(), up.sink, up.codec), (&[StreamId(3)][..], StreamId(10), Codec::Opus));
    let ladder = plan.up.picture.as_ref().unwrap();
    assert_eq!((ladder.source, ladder.codec), (StreamId(4), Codec::Vp8));
    let sizes: Vec<_> = ladder.layers.iter().map(|layer| (layer.sink.0, layer.size)).collect();
    assert_eq!(
        sizes,
        [(11, Size::P180), (12, Size::P360), (13, Size::HD720)],
        "p8: three sizes, smallest first"
    );
    assert!(ladder.layers.iter().all(|layer| layer.bps > 0));

    let down = plan.down.sound.as_ref().unwrap();
    assert_eq!((down.inputs.as_slice(), down.sink), (&[StreamId(15), StreamId(16)][..], StreamId(1)));
    let picture = plan.down.picture.as_ref().unwrap();
    assert_eq!((picture.sink, picture.codec, picture.canvas), (StreamId(2), Codec::H264, Size::HD720));
    assert_eq!(picture.max_nal_bytes, Some(1188));
    assert_eq!(tiles(&bench), [20, 21]);
}

#[test]
fn p4_the_rules_call_rate_and_the_net_limit_what_the_room_is_sent() {
    let mut bench = connected(&["a"]);
    let bps = |bench: &Bench| bench.call.plan().down.picture.as_ref().map_or(0, |picture| picture.bps);
    let by_rule = bps(&bench);
    assert!((700_000..900_000).contains(&by_rule), "1000 kbit/s less sound and headers: {by_rule}");
    bench.leg(CALLER, LegEvent::Bandwidth(500_000));
    assert!(bps(&bench) < 400_000);
    bench.leg(CALLER, LegEvent::Bandwidth(5_000_000));
    assert_eq!(bps(&bench), by_rule);
    bench.leg(CALLER, LegEvent::Bandwidth(20_000));
    assert_eq!(bps(&bench), 0);
    assert!(bench.call.plan().down.sound.is_some(), "sound is never given up");
}

#[test]
fn p12_what_is_sent_to_the_conference_stays_below_two_megabits_whatever_it_would_take() {
    let mut bench = connected(&["a"]);
    bench.leg(CONFERENCE, LegEvent::Bandwidth(50_000_000));
    let plan = bench.call.plan();
    let pictures: u32 = plan.up.picture.iter().flat_map(|ladder| &ladder.layers).map(|layer| layer.bps).sum();
    let all = pictures + plan.up.sound.as_ref().map_or(0, |sound| sound.bps);
    assert!(u64::from(all) * 110 / 100 < limits::CONFERENCE_BPS, "{all}");
    bench.leg(CONFERENCE, LegEvent::Bandwidth(700_000));
    let layers = &bench.call.plan().up.picture.as_ref().unwrap().layers;
    assert!(layers[0].bps > 0 && layers[1].bps > 0 && layers[2].bps == 0, "{layers:?}");
}

#[test]
fn sound_alone_follows_loss_and_not_an_estimate_that_little_sent_keeps_low() {
    let mut bench = connected(&["a"]);
    let sound =
        |bench: &Bench| bench.call.plan().up.sound.as_ref().map(|sound| (sound.bps, sound.expected_loss));
    let full = sound(&bench).unwrap().0;
    let mut room = room();
    room.recv.retain(|stream| stream.kind == MediaKind::Audio);
    bench.leg(CALLER, LegEvent::Media(room)).leg(CONFERENCE, LegEvent::Bandwidth(30_000));
    assert_eq!(sound(&bench), Some((full, 0)));
    bench.leg(CONFERENCE, LegEvent::SoundLoss(20));
    assert_eq!(sound(&bench), Some((20_000, 20)));
    // and its sound begins anew without what was told of the one before
    bench.leg(CONFERENCE, LegEvent::Media(MediaState::default()));
    assert_eq!(sound(&bench), None);
    bench.leg(CONFERENCE, LegEvent::Media(conference(&["a"])));
    assert_eq!(sound(&bench), Some((full, 0)));
}

#[test]
fn p4_a_call_for_sound_only_moves_no_pictures() {
    let mut bench = Bench::new();
    bench.leg(CALLER, dialled("81234567890123@m")).leg(CONFERENCE, LegEvent::Connected);
    bench.leg(CONFERENCE, LegEvent::Media(conference(&["a"]))).leg(CONFERENCE, roster(&["a"]));
    bench.leg(CALLER, LegEvent::Connected).leg(CALLER, LegEvent::Media(room()));
    let plan = bench.call.plan();
    assert!(plan.up.sound.is_some() && plan.down.sound.is_some());
    assert!(plan.up.picture.is_none() && plan.down.picture.is_none());
    let watched =
        bench.effects().iter().any(|effect| matches!(effect, CallEffect::Leg(_, LegCommand::Watch(_))));
    assert!(!watched, "no pictures are asked for either");
}

#[test]
fn nothing_flows_towards_a_room_on_hold_and_all_of_it_again_afterwards() {
    let mut bench = connected(&["a"]);
    let before = bench.call.plan().clone();
    bench.leg(CALLER, LegEvent::Media(MediaState::default()));
    assert_eq!(bench.call.plan().down, crate::media::Down::default());
    assert_eq!(bench.call.plan().up.picture, None);
    assert!(
        bench.call.plan().up.sound.as_ref().is_some_and(|sound| sound.inputs.is_empty()),
        "silence goes on"
    );
    assert!(bench.effects().contains(&CallEffect::Leg(CONFERENCE, LegCommand::Watch(vec![]))));
    bench.leg(CALLER, LegEvent::Media(room()));
    assert_eq!(*bench.call.plan(), before);
}

#[test]
fn a_plan_is_told_only_when_it_changes() {
    let mut bench = connected(&["a"]);
    bench.leg(CALLER, LegEvent::Media(room())).leg(CONFERENCE, roster(&["a"]));
    bench.leg(CONFERENCE, LegEvent::Bandwidth(limits::CONFERENCE_BPS + 1));
    assert_eq!(bench.effects(), []);
}

#[test]
fn a_keyframe_that_a_far_side_wants_is_made_and_one_that_a_decoder_needs_is_asked_for() {
    let mut bench = connected(&["a"]);
    bench.leg(CALLER, LegEvent::KeyframeWanted(StreamId(2)));
    bench.leg(CONFERENCE, LegEvent::KeyframeWanted(StreamId(12)));
    bench.leg(CONFERENCE, LegEvent::KeyframeWanted(StreamId(99)));
    bench.give(CallInput::KeyframeNeeded(CONFERENCE, StreamId(20)));
    bench.give(CallInput::KeyframeNeeded(CALLER, StreamId(4)));
    assert_eq!(
        bench.effects(),
        [
            CallEffect::ForceKeyframe(CALLER, StreamId(2)),
            CallEffect::ForceKeyframe(CONFERENCE, StreamId(12)),
            CallEffect::Leg(CONFERENCE, LegCommand::RequestKeyframe(StreamId(20))),
            CallEffect::Leg(CALLER, LegCommand::RequestKeyframe(StreamId(4))),
        ]
    );
}

#[test]
fn p9_eight_are_watched_in_the_sizes_of_their_places_and_the_rest_is_only_heard() {
    let who: Vec<String> = (0..12).map(|n| format!("p{n}")).collect();
    let who: Vec<&str> = who.iter().map(String::as_str).collect();
    let mut bench = Bench::new();
    bench.leg(CALLER, incoming()).leg(CONFERENCE, LegEvent::Connected).leg(CONFERENCE, roster(&who));
    bench.leg(CALLER, LegEvent::Connected).leg(CALLER, LegEvent::Media(room()));
    let watch = bench.effects().into_iter().find_map(|effect| match effect {
        CallEffect::Leg(CONFERENCE, LegCommand::Watch(watch)) => Some(watch),
        _ => None,
    });
    let watch = watch.unwrap();
    assert_eq!(watch.len(), 8);
    assert_eq!((watch[0].participant.0.as_str(), watch[0].size), ("p0", Size::new(960, 540)));
    assert!(watch[1..].iter().all(|watch| watch.size == Size::P180));
}

#[test]
fn p9_the_speaker_comes_to_the_main_place_and_the_call_wakes_for_it() {
    let mut bench = connected(&["a", "b", "c"]);
    bench.leg(CONFERENCE, LegEvent::Speaker(ParticipantId("a".into())));
    bench.leg(CONFERENCE, LegEvent::Speaker(ParticipantId("c".into())));
    assert_eq!(tiles(&bench), [20, 21, 22]);
    bench.pass(crate::layout::SPEAKER_HOLD);
    assert_eq!(tiles(&bench), [22, 21, 20]);
}

#[test]
fn p9_layouts_are_switched_by_dtmf_and_keys_are_not_passed_on() {
    let mut bench = connected(&["a", "b", "c"]);
    let count = |bench: &Bench| (bench.call.layout(), tiles(bench).len());
    assert_eq!(count(&bench), (Layout::OnePlusSeven, 3));
    let press = |bench: &mut Bench| {
        bench.leg(CALLER, LegEvent::Dtmf('*')).leg(CALLER, LegEvent::Dtmf('8'));
    };
    press(&mut bench);
    assert_eq!(count(&bench), (Layout::Equal, 3));
    press(&mut bench);
    assert_eq!(count(&bench), (Layout::OneMain, 1));
    press(&mut bench);
    assert_eq!(count(&bench), (Layout::OnePlusSeven, 3));
    let passed =
        bench.effects().iter().any(|effect| matches!(effect, CallEffect::Leg(_, LegCommand::Dtmf(_))));
    assert!(!passed);
}

#[test]
fn somebody_whose_camera_is_off_leaves_the_screen_though_the_stream_still_stands() {
    let mut bench = connected(&["a", "b"]);
    bench.leg(CONFERENCE, roster(&["a", "silent b"]));
    assert_eq!(tiles(&bench), [20, 21], "a stream of somebody unknown is shown");
    let mut off = roster(&["a", "b"]);
    if let LegEvent::Roster(people) = &mut off {
        people[0].video = false;
    }
    bench.leg(CONFERENCE, off);
    assert_eq!(tiles(&bench), [21]);
}

#[test]
fn a_conference_without_a_roster_is_shown_as_it_comes() {
    let mut bench = connected(&["a", "b"]);
    bench.leg(CONFERENCE, roster(&[]));
    assert_eq!(tiles(&bench), [20, 21]);
}

#[test]
fn p13_recording_shows_in_the_rooms_picture() {
    let mut bench = connected(&["a"]);
    bench.leg(CONFERENCE, LegEvent::Indicators { recording: true, streaming: false });
    let picture = bench.call.plan().down.picture.as_ref().unwrap();
    assert_eq!(picture.indicators, Indicators { recording: true, streaming: false });
}

#[test]
fn p14_chat_goes_both_ways_and_the_room_is_told_who_wrote() {
    let mut bench = connected(&["a"]);
    let chat = |from: &str| LegEvent::Chat { from: Pii::new(from), text: Pii::new("hello") };
    bench.leg(CONFERENCE, chat("Ann")).leg(CALLER, chat("room"));
    assert_eq!(
        bench.effects(),
        [
            CallEffect::Leg(CALLER, LegCommand::Chat(Pii::new("Ann: hello"))),
            CallEffect::Leg(CONFERENCE, LegCommand::Chat(Pii::new("hello"))),
        ]
    );
}

fn any_input() -> impl Strategy<Value = Step> {
    prop_oneof![
        (any::<bool>(), 0..14_usize).prop_map(|(caller, event)| Step::Leg(caller, event)),
        (any::<bool>(), 0..30_u32).prop_map(|(caller, stream)| Step::Keyframe(caller, stream)),
        (0..40_u64).prop_map(Step::Pass),
        (0..60_u64).prop_map(Step::Drain),
        Just(Step::HangUp),
    ]
}

#[derive(Debug, Clone)]
enum Step {
    Leg(bool, usize),
    Keyframe(bool, u32),
    Pass(u64),
    Drain(u64),
    HangUp,
}

fn any_event(now: Instant, n: usize) -> LegEvent {
    let all = [
        incoming(),
        LegEvent::Ringing,
        LegEvent::Lobby { until: now + 10 * SECOND },
        LegEvent::Connected,
        LegEvent::Media(room()),
        LegEvent::Media(conference(&["a", "b"])),
        LegEvent::KeyframeWanted(StreamId(2)),
        LegEvent::Bandwidth(300_000),
        roster(&["b", "c", "silent d"]),
        LegEvent::Speaker(ParticipantId("c".into())),
        LegEvent::Dtmf('8'),
        LegEvent::Indicators { recording: true, streaming: true },
        LegEvent::Dtmf('*'),
        LegEvent::Ended(Cause::CALLER_HUNG_UP),
    ];
    all[n % all.len()].clone()
}

proptest! {
    #[test]
    fn whatever_happens_a_call_ends_once_and_leaves_no_leg_and_no_media(
        steps in prop::collection::vec(any_input(), 0..40),
    ) {
        let mut bench = Bench::new();
        let mut made = vec![CALLER];
        for step in steps {
            match step {
                Step::Leg(caller, event) => {
                    let side = if caller { CALLER } else { CONFERENCE };
                    let event = any_event(bench.now, event);
                    if made.contains(&side) {
                        bench.leg(side, event);
                    }
                }
                Step::Keyframe(caller, stream) => {
                    let side = if caller { CALLER } else { CONFERENCE };
                    bench.give(CallInput::KeyframeNeeded(side, StreamId(stream)));
                }
                Step::Pass(seconds) => { bench.pass(SECOND * u32::try_from(seconds).unwrap()); }
                Step::Drain(seconds) => {
                    let deadline = bench.now + SECOND * u32::try_from(seconds + 1).unwrap();
                    bench.give(CallInput::Operator(Operator::Drain { deadline }));
                }
                Step::HangUp => { bench.give(CallInput::Operator(Operator::HangUp)); }
            }
            if bench.effects.iter().any(|effect| matches!(effect, CallEffect::Join { .. })) && !made.contains(&CONFERENCE) {
                made.push(CONFERENCE);
            }
        }
        bench.give(CallInput::Operator(Operator::HangUp));
        bench.pass(ENDING);
        prop_assert_eq!(bench.call.state(), State::Ended);
        prop_assert_eq!(bench.wake, None);
        prop_assert_eq!(bench.call.plan(), &MediaPlan::default());
        prop_assert_eq!(bench.ended().len(), 1);
        let ends = |side: Side| bench.effects.iter().filter(|effect| matches!(effect, CallEffect::Leg(of, LegCommand::End(_)) if *of == side)).count();
        prop_assert!(ends(CALLER) <= 1 && ends(CONFERENCE) <= 1, "each leg is told its end at most once");
    }
}
