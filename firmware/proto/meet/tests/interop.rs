//! Whole calls over the `interop` protocol in virtual time, against a server on str0m.

#![allow(clippy::disallowed_methods, reason = "virtual time must begin at some moment")]
#![allow(clippy::unwrap_used, reason = "what a test leans on may fail it")]

mod rig;

use base::ids::StreamId;
use base::leg::{HttpFailure, Leg as _, LegCommand, LegEvent, MediaState, RecvStream, Trust, Watch};
use base::{Cause, Codec, Fault, Kind, MediaKind, Pii, Size, limits};
use rig::{Conference, ME, World, config, device, join};
use std::collections::HashMap;
use std::time::Duration;
use webrtc::testing::{Heard, vp8_frame, vp8_number};

const MS: Duration = Duration::from_millis(1);

fn media(world: &World) -> Option<&MediaState> {
    world.events.iter().rev().find_map(|(_, event)| match event {
        LegEvent::Media(media) => Some(media),
        _ => None,
    })
}

fn recv(world: &World) -> Vec<RecvStream> {
    media(world).map(|media| media.recv.clone()).unwrap_or_default()
}

/// Who is in which slot, as the conference says it.
fn say_slots(world: &mut World, slots: &[(&str, u32)]) {
    let entries: Vec<_> = slots
        .iter()
        .map(|(mid, who)| serde_json::json!({"mid": mid, "participant": device(*who).0, "source": "camera"}))
        .collect();
    world.say(&serde_json::json!({"type": "slots", "slots": entries}).to_string());
}

/// `seconds` of sound and three layers at 30 pictures a second, all from one clock.
fn send_for(world: &mut World, seconds: u32, sizes: [usize; 3]) {
    for n in 0..seconds * 30 {
        for (layer, size) in sizes.into_iter().enumerate() {
            let key = n == 0;
            world.send(1 + layer as u32, Codec::Vp8, 20 * MS, key, vp8_frame(key, n, size));
        }
        world.send(0, Codec::Opus, 5 * MS, true, vec![0xfc; 80]);
        world.run(Duration::from_micros(16_667));
        world.send(0, Codec::Opus, 5 * MS, true, vec![0xfc; 80]);
        world.run(Duration::from_micros(16_667));
    }
}

#[test]
fn p1_a_leg_joins_and_its_three_layers_and_sound_arrive() {
    let mut world = World::joined();
    let send = &media(&world).unwrap().send;
    assert_eq!(send.len(), 4);
    assert_eq!(send[3].max_size, Size::HD720);

    send_for(&mut world, 3, [500, 1_600, 4_000]);

    for rid in ["q", "h", "f"] {
        let numbers: Vec<_> = world
            .heard_frames()
            .filter(|(_, frame)| frame.rid.as_deref() == Some(rid))
            .filter_map(|(_, frame)| vp8_number(&frame.data))
            .collect();
        assert!(numbers.len() >= 88, "{rid}: {}", numbers.len());
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{rid}: {numbers:?}");
    }
    let sounds = world.heard_frames().filter(|(_, frame)| frame.rid.is_none()).count();
    assert!(sounds >= 176, "{sounds}");
    assert_eq!(world.leg.figures().transport.skipped_frames, 0);
    assert_eq!(world.leg.figures().transport.capped_packets, 0);
    let stats = world.leg.stats();
    assert!(stats.iter().any(|stats| stats.stream == StreamId(3) && stats.packets > 100), "{stats:?}");
}

#[test]
fn the_request_carries_the_token_and_no_secret_in_its_url() {
    let world = World::new(Conference::Silent);
    let request = &world.requests[0];
    assert_eq!(
        (request.method, &*request.url),
        ("POST", "https://meet.example.com/interop/v1/meetings/1234567890123:join")
    );
    let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["accessToken"], "tok-1");
    assert_eq!(body["maxBitrate"], 2_000_000);
    assert!(request.headers.iter().all(|(name, _)| *name != "Authorization"), "no gateway token, no JWT");
    let offer = body["sdpOffer"].as_str().unwrap();
    assert!(offer.contains("a=simulcast:send q;h;f"), "{offer}");
    assert_eq!(offer.matches("a=recvonly").count(), 11);
    assert!(offer.contains("webrtc-datachannel") && offer.contains("a=max-message-size:262144"), "{offer}");
}

#[test]
fn pictures_and_sound_of_each_participant_come_as_streams_of_their_own() {
    let mut world = World::joined();
    let (sounds, pictures) = world.far.as_ref().unwrap().slots();
    assert_eq!((sounds.len(), pictures.len()), (3, 8));
    say_slots(&mut world, &[(&sounds[0], 2), (&pictures[0], 2), (&pictures[1], 3)]);
    let streams = recv(&world);
    assert_eq!(streams.len(), 3);

    for n in 0..60_u32 {
        let (now, rtp) = (world.now, u64::from(n) * 3_000);
        let far = world.far.as_mut().unwrap();
        far.send_picture(0, now, rtp, &vp8_frame(n == 0, n, 3_000));
        far.send_picture(1, now, rtp, &vp8_frame(n == 0, 1_000 + n, 500));
        far.send_sound(0, now, u64::from(n) * 1_600, &[0xfc; 60]);
        world.turn_far();
        world.run(Duration::from_micros(33_333));
    }

    for stream in &streams {
        let frames: Vec<_> =
            world.frames.iter().filter(|(id, _)| *id == stream.id).map(|(_, frame)| frame).collect();
        assert!(frames.len() >= 55, "{stream:?}: {}", frames.len());
        if stream.kind == MediaKind::Video {
            assert!(frames[0].key && frames.iter().skip(1).all(|frame| frame.contiguous && !frame.key));
            let first = vp8_number(&frames[0].data).unwrap();
            assert_eq!(first >= 1_000, stream.participant == Some(device(3)));
        }
    }
}

#[test]
fn a_new_participant_in_a_slot_is_a_new_stream_that_begins_with_a_key_frame() {
    let mut world = World::joined();
    let (_, pictures) = world.far.as_ref().unwrap().slots();
    let picture = |world: &mut World, n: u32, key: bool| {
        let now = world.now;
        world.far.as_mut().unwrap().send_picture(0, now, u64::from(n) * 3_000, &vp8_frame(key, n, 1_000));
        world.turn_far();
        world.run(33 * MS);
    };
    say_slots(&mut world, &[(&pictures[0], 2)]);
    let first = recv(&world)[0].id;
    picture(&mut world, 0, true);
    picture(&mut world, 1, false);
    say_slots(&mut world, &[(&pictures[0], 3)]);
    let second = recv(&world)[0].id;
    assert_ne!(first, second);
    picture(&mut world, 2, false);
    world.run(500 * MS);
    assert!(
        world
            .heard
            .iter()
            .any(|(_, heard)| matches!(heard, Heard::KeyframeWanted(mid) if *mid == pictures[0]))
    );
    picture(&mut world, 3, true);
    picture(&mut world, 4, false);
    world.run(50 * MS);
    let of = |stream| {
        world
            .frames
            .iter()
            .filter(|(id, _)| *id == stream)
            .filter_map(|(_, f)| vp8_number(&f.data))
            .collect::<Vec<_>>()
    };
    assert_eq!(of(first), [0, 1]);
    assert_eq!(of(second), [3, 4]);
    say_slots(&mut world, &[(&pictures[0], 2)]);
    let third = recv(&world)[0].id;
    assert!(third != first && third != second, "names are never used again");
}

#[test]
fn roster_speaker_chat_and_indicators_are_told_and_we_are_not_in_the_roster() {
    let mut world = World::joined();
    let members = serde_json::json!([
        {"id": ME, "name": "Boardroom", "audio": true, "video": true},
        {"id": device(2).0, "name": "Ada", "audio": true, "video": false},
    ]);
    world.say(&serde_json::json!({"type": "roster", "participants": members}).to_string());
    world.say(&serde_json::json!({"type": "speaker", "participant": device(2).0}).to_string());
    world.say(r#"{"type":"chat","from":"spaces/1/devices/2","name":"Ada","text":"hello"}"#);
    world.say(r#"{"type":"indicators","recording":true,"streaming":false}"#);
    world.say(r#"{"type":"tomorrow"}"#);
    let told: Vec<_> = world.events.iter().map(|(_, event)| event).collect();
    assert!(
        told.iter()
            .any(|event| matches!(event, LegEvent::Roster(all) if all.len() == 1 && all[0].id == device(2)))
    );
    assert!(told.contains(&&LegEvent::Speaker(device(2))));
    assert!(told.contains(&&LegEvent::Chat { from: Pii::new("Ada"), text: Pii::new("hello") }));
    assert!(told.contains(&&LegEvent::Indicators { recording: true, streaming: false }));
    assert_eq!(world.leg.figures().wrong_messages, 0);
}

#[test]
fn what_is_watched_and_written_reaches_the_conference() {
    let mut world = World::joined();
    let size = Size::HD720;
    world.command(LegCommand::Watch(vec![Watch { participant: device(2), size }]));
    world.command(LegCommand::Watch(vec![Watch { participant: device(3), size }]));
    world.command(LegCommand::Chat(Pii::new("good morning")));
    world.command(LegCommand::Dtmf('#'));
    for _ in 0..20 {
        world.command(LegCommand::Chat(Pii::new("flood")));
    }
    world.run(Duration::from_secs(1));
    let texts = world.heard_texts();
    let watched: Vec<_> = texts.iter().filter(|text| text.contains("watch")).collect();
    assert_eq!(watched.len(), 2, "{texts:?}");
    assert!(watched[1].contains("devices/3"), "the newest comes last: {texts:?}");
    assert!(texts.contains(&r#"{"type":"chat","text":"good morning"}"#), "{texts:?}");
    assert!(texts.contains(&r##"{"type":"dtmf","key":"#"}"##), "{texts:?}");
    assert_eq!(texts.iter().filter(|text| text.contains("flood")).count(), 3, "five in a second, all told");
}

#[test]
fn w1_the_trust_asked_for_is_told_and_the_conference_decides() {
    for (trust, word) in [(Trust::Trusted, "trusted"), (Trust::Untrusted, "untrusted")] {
        let world = World::with(Conference::Silent, &config(), join(trust));
        let body: serde_json::Value = serde_json::from_slice(&world.requests[0].body).unwrap();
        assert_eq!(body["trust"], word);
    }
    let mut trusted = World::with(Conference::Lobby, &config(), join(Trust::Trusted));
    trusted.run(Duration::from_secs(2));
    assert!(matches!(trusted.events[0].1, LegEvent::Lobby { .. }), "{:?}", trusted.events);
}

#[test]
fn p6_w1_an_untrusted_caller_waits_in_the_lobby_and_is_admitted() {
    let mut world = World::with(Conference::Lobby, &config(), join(Trust::Untrusted));
    world.run(Duration::from_secs(3));
    let until = match world.events.as_slice() {
        [(_, LegEvent::Lobby { until })] => *until,
        events => panic!("{events:?}"),
    };
    assert!(until <= world.epoch + Duration::from_secs(131));
    world.say(r#"{"type":"state","state":"lobby"}"#);
    send_for(&mut world, 1, [500, 1_000, 2_000]);
    assert_eq!(world.heard_frames().count(), 0, "no media from the lobby");
    world.say(r#"{"type":"state","state":"joined"}"#);
    assert!(world.is_connected());
    send_for(&mut world, 1, [500, 1_000, 2_000]);
    assert!(world.heard_frames().count() > 100);
}

#[test]
fn p6_a_caller_nobody_admits_within_thirty_seconds_is_let_go() {
    let mut world = World::with(Conference::Lobby, &config(), join(Trust::Untrusted));
    let start = world.now;
    world.run(Duration::from_secs(40));
    assert_eq!(world.cause(), Some(Cause::new(Fault::Callee, Kind::LobbyTimeout)));
    let waited = world.ended_at().unwrap() - start;
    assert!(waited >= limits::LOBBY && waited < limits::LOBBY + 500 * MS, "{waited:?}");
    assert_eq!(world.requests.last().unwrap().method, "DELETE");
}

#[test]
fn p11_a_host_who_refuses_removes_or_locks_video_rejects_the_call() {
    let rejected = Some(Cause::new(Fault::Callee, Kind::CallRejected));
    for message in [
        r#"{"type":"state","state":"ended","reason":"REJECTED"}"#,
        r#"{"type":"state","state":"ended","reason":"REMOVED"}"#,
        r#"{"type":"videoLock","locked":true}"#,
    ] {
        let mut world = World::joined();
        world.say(message);
        world.run(Duration::from_secs(3));
        assert_eq!(world.cause(), rejected, "{message}");
    }
}

#[test]
fn each_refusal_has_its_own_cause() {
    let table = [
        (404, "MEETING_NOT_FOUND", Kind::MeetingNotFound),
        (403, "BAD_TOKEN", Kind::BadToken),
        (401, "BAD_JWT", Kind::BadToken),
        (403, "INTEROP_DISABLED", Kind::InteropDisabled),
        (409, "MEETING_FULL", Kind::MeetingFull),
        (403, "REJECTED", Kind::CallRejected),
        (403, "VIDEO_LOCKED", Kind::CallRejected),
        (410, "MEETING_ENDED", Kind::MeetingEnded),
        (422, "BAD_OFFER", Kind::NotAcceptable),
        (503, "UNAVAILABLE", Kind::Unreachable),
        (400, "UNSUPPORTED_VERSION", Kind::ProtocolError),
    ];
    for (status, code, kind) in table {
        let body = format!(r#"{{"status":{status},"code":"{code}","detail":"x"}}"#);
        let mut world = World::new(Conference::Refuses(status, body));
        world.run(Duration::from_secs(1));
        assert_eq!(world.cause().map(|cause| cause.kind), Some(kind), "{code}");
        assert_eq!(world.requests.len(), 1, "there is no session to delete");
    }
}

#[test]
fn w4_interoperability_that_is_off_is_a_cause_of_its_own() {
    let body = r#"{"status":403,"code":"INTEROP_DISABLED"}"#.to_owned();
    let mut world = World::new(Conference::Refuses(403, body));
    world.run(Duration::from_secs(1));
    assert_eq!(world.cause(), Some(Cause::new(Fault::Callee, Kind::InteropDisabled)));
}

#[test]
fn a_conference_that_cannot_be_reached_or_talks_nonsense_is_said_so() {
    let unreachable = Cause::new(Fault::Upstream, Kind::Unreachable);
    let protocol_error = Cause::new(Fault::Upstream, Kind::ProtocolError);
    for (conference, cause) in [
        (Conference::Fails(HttpFailure::Unreachable), unreachable),
        (Conference::Fails(HttpFailure::TimedOut), unreachable),
        (Conference::Fails(HttpFailure::Untrusted), unreachable),
        (Conference::Refuses(502, "<html>".to_owned()), unreachable),
        (Conference::Silent, unreachable),
        (Conference::Refuses(200, "{}".to_owned()), protocol_error),
        (Conference::Refuses(302, String::new()), protocol_error),
    ] {
        let mut world = World::new(conference.clone());
        world.run(Duration::from_secs(12));
        assert_eq!(world.cause(), Some(cause), "{conference:?}");
    }
}

#[test]
fn an_answer_that_is_no_description_ends_the_call_and_the_session() {
    let reply = format!(
        r#"{{"participant":"{ME}","session":"/interop/v1/sessions/1","sdpAnswer":"x","state":"joined"}}"#
    );
    let mut world = World::new(Conference::Refuses(200, reply));
    world.run(Duration::from_secs(1));
    assert_eq!(world.cause(), Some(Cause::new(Fault::Upstream, Kind::NotAcceptable)));
    assert_eq!(world.requests[1].url, "https://meet.example.com/interop/v1/sessions/1");
}

#[test]
fn a_media_path_that_never_comes_up_ends_the_call() {
    let mut world = World::new(Conference::Admits);
    world.down.lose(|_| true);
    world.run(Duration::from_secs(25));
    assert_eq!(world.cause(), Some(Cause::new(Fault::Network, Kind::Unreachable)));
    assert_eq!(world.requests.last().unwrap().method, "DELETE");
}

#[test]
fn a_path_lost_in_mid_call_is_a_lost_connection_within_ten_seconds() {
    let mut world = World::joined();
    send_for(&mut world, 2, [500, 1_500, 4_000]);
    let cut = world.now;
    world.up.lose(|_| true);
    world.down.lose(|_| true);
    world.answers_delete = false;
    send_for(&mut world, 15, [500, 1_500, 4_000]);
    assert_eq!(world.cause(), Some(Cause::new(Fault::Network, Kind::ConnectionLost)));
    let after = world.ended_at().unwrap() - cut;
    assert!(after <= Duration::from_millis(10_200), "{after:?}");
}

#[test]
fn a_short_break_of_the_path_is_survived() {
    let mut world = World::joined();
    send_for(&mut world, 1, [500, 1_500, 4_000]);
    let end = world.now + Duration::from_secs(4);
    let clock = std::rc::Rc::new(std::cell::Cell::new(false));
    let cut = clock.clone();
    world.up.lose(move |_| cut.get());
    clock.set(true);
    while world.now < end {
        send_for(&mut world, 1, [500, 1_500, 4_000]);
    }
    clock.set(false);
    send_for(&mut world, 15, [500, 1_500, 4_000]);
    assert_eq!(world.cause(), None);
    let last = world.heard_frames().last().map(|(at, _)| at);
    assert!(last.is_some_and(|at| world.now - at < 200 * MS), "frames flow again");
}

#[test]
fn a_conference_that_closes_the_transport_ends_the_call() {
    let mut world = World::joined();
    world.far.as_mut().unwrap().close();
    world.turn_far();
    world.run(Duration::from_secs(2));
    assert_eq!(world.cause(), Some(Cause::new(Fault::Upstream, Kind::ConnectionLost)));
}

#[test]
fn the_end_of_the_meeting_is_told() {
    let mut world = World::joined();
    world.say(r#"{"type":"state","state":"ended","reason":"MEETING_ENDED"}"#);
    assert_eq!(world.cause(), Some(Cause::new(Fault::Callee, Kind::MeetingEnded)));
}

#[test]
fn leaving_is_said_on_both_ways_and_ends_with_the_same_cause() {
    let mut world = World::joined();
    world.command(LegCommand::End(Cause::CALLER_HUNG_UP));
    world.run(Duration::from_secs(1));
    assert_eq!(world.cause(), Some(Cause::CALLER_HUNG_UP));
    assert_eq!(world.heard_texts().last(), Some(&r#"{"type":"leave"}"#));
    assert_eq!(
        (world.requests[1].method, &*world.requests[1].url),
        ("DELETE", "https://meet.example.com/interop/v1/sessions/9f86d081884c7d65")
    );
    world.command(LegCommand::End(Cause::CALLER_HUNG_UP));
    world.run(Duration::from_secs(60));
}

#[test]
fn ending_takes_two_seconds_at_most_when_the_conference_is_gone() {
    let mut world = World::joined();
    world.answers_delete = false;
    world.up.lose(|_| true);
    let start = world.now;
    world.command(LegCommand::End(Cause::CALLER_HUNG_UP));
    world.run(Duration::from_secs(5));
    assert_eq!(world.cause(), Some(Cause::CALLER_HUNG_UP));
    assert!(world.ended_at().unwrap() - start <= Duration::from_secs(2));
}

#[test]
fn a_call_given_up_while_joining_leaves_no_ghost_in_the_meeting() {
    let mut world = World::new(Conference::Admits);
    let cancelled = Cause::new(Fault::Caller, Kind::Cancelled);
    world.command(LegCommand::End(cancelled));
    assert_eq!(world.cause(), None);
    world.run(Duration::from_secs(3));
    assert_eq!(world.cause(), Some(cancelled));
    assert_eq!(world.requests.last().unwrap().method, "DELETE");
}

#[test]
fn a_key_frame_that_the_conference_asks_for_is_passed_on_once() {
    let mut world = World::joined();
    send_for(&mut world, 1, [500, 1_500, 4_000]);
    for _ in 0..5 {
        world.far.as_mut().unwrap().ask_keyframe("h");
        world.turn_far();
        world.run(20 * MS);
    }
    let wanted: Vec<_> = world
        .events
        .iter()
        .filter_map(|(_, event)| match event {
            LegEvent::KeyframeWanted(stream) => Some(*stream),
            _ => None,
        })
        .collect();
    assert_eq!(wanted, [StreamId(2)]);
}

#[test]
fn p12_no_second_exceeds_two_megabits_whatever_is_pushed() {
    let mut world = World::joined();
    for n in 0..600_u32 {
        // Six times what the layers may have, with a key frame of all three each second.
        let key = n % 30 == 0;
        let burst = if key { 4 } else { 1 };
        for (layer, size) in [2_500, 9_000, 24_000].into_iter().enumerate() {
            world.send(1 + layer as u32, Codec::Vp8, 20 * MS, key, vp8_frame(key, n, size * burst));
        }
        world.send(0, Codec::Opus, 5 * MS, true, vec![0xfc; 160]);
        world.run(Duration::from_micros(33_333));
    }
    let most = world.fullest_second() * 8;
    assert!(most <= 2_000_000, "{most}");
    assert!(most >= 1_500_000, "the limit is used: {most}");
    assert!(world.leg.figures().transport.skipped_frames > 0);
    let sounds = world.heard_frames().filter(|(_, frame)| frame.rid.is_none()).count();
    assert!(sounds >= 590, "sound goes before picture: {sounds}");
    let smallest = world.heard_frames().filter(|(_, frame)| frame.rid.as_deref() == Some("q")).count();
    assert!(smallest >= 300, "the smallest layer goes before the largest: {smallest}");
    for (_, event) in &world.events {
        assert!(!matches!(event, LegEvent::Bandwidth(bps) if *bps > 2_000_000), "{event:?}");
    }
}

#[test]
fn p12_key_frames_within_the_layers_rates_cost_no_picture() {
    let mut world = World::joined();
    for n in 0..300_u32 {
        // What the layers may have, in the manner of an encoder: a key frame of eight pictures' size every 3 s, each layer
        // at its own time but for the first, paid back over the next second.
        for (layer, frame) in [500, 1_450, 3_950].into_iter().enumerate() {
            let since_key = if n < 20 { n } else { (n + 90 - 20 * layer as u32) % 90 };
            let size = match since_key {
                0 => frame * 8,
                1..=30 => frame * 3 / 4,
                _ => frame,
            };
            let key = since_key == 0;
            world.send(1 + layer as u32, Codec::Vp8, 20 * MS, key, vp8_frame(key, n, size));
        }
        world.send(0, Codec::Opus, 5 * MS, true, vec![0xfc; 100]);
        world.run(Duration::from_micros(16_667));
        world.send(0, Codec::Opus, 5 * MS, true, vec![0xfc; 100]);
        world.run(Duration::from_micros(16_667));
    }
    assert_eq!(world.leg.figures().transport.skipped_frames, 0);
    assert!(world.fullest_second() * 8 <= 2_000_000);
}

#[test]
fn sound_and_picture_keep_their_times_both_ways() {
    let mut world = World::joined();
    send_for(&mut world, 3, [500, 1_500, 4_000]);
    // Sent: sound was captured 15 ms after the picture of the same moment, whatever each waited.
    let captured: Vec<_> =
        world.heard_frames().filter_map(|(at, f)| Some((f.rid.is_none(), f.captured_ns?, at))).collect();
    let sounds: Vec<i128> = captured.iter().filter(|(sound, ..)| *sound).map(|(_, ns, _)| *ns).collect();
    let pictures: Vec<i128> = captured.iter().filter(|(sound, ..)| !*sound).map(|(_, ns, _)| *ns).collect();
    assert!(pictures.len() > 100 && sounds.len() > 60);
    for picture in &pictures[20..] {
        let nearest = sounds.iter().map(|sound| (sound - picture - 15_000_000).abs()).min().unwrap();
        assert!(nearest < 2_000_000, "{nearest} ns");
    }

    // Received: captured at one moment, delayed differently, told with one time.
    let (sounds, pictures) = world.far.as_ref().unwrap().slots();
    say_slots(&mut world, &[(&sounds[0], 2), (&pictures[0], 2)]);
    let mut moments = Vec::new();
    for n in 0..150_u64 {
        let captured = world.now - 40 * MS;
        moments.push(captured);
        let far = world.far.as_mut().unwrap();
        far.send_sound(0, captured, 77 + n * 960, &[0xfc; 60]);
        far.send_picture(0, captured, 5_555 + n * 1_800, &vp8_frame(n == 0, n as u32, 6_000));
        world.turn_far();
        world.run(20 * MS);
    }
    let (sound, picture): (Vec<_>, Vec<_>) =
        world.frames.iter().filter(|(_, f)| !f.data.is_empty()).partition(|(_, f)| f.codec == Codec::Opus);
    assert!(sound.len() > 120 && picture.len() > 140, "{} {}", sound.len(), picture.len());
    // The sound of the last pictures is still in the jitter buffer.
    for (_, frame) in &picture[60..picture.len() - 20] {
        let nearest = sound.iter().map(|(_, s)| s.captured.0.abs_diff(frame.captured.0)).min().unwrap();
        assert!(nearest < 2_000_000, "{nearest} ns");
    }
}

#[test]
fn a_lost_sound_packet_is_one_empty_frame_and_a_lost_picture_packet_is_repaired() {
    let mut world = World::joined();
    let (sounds, pictures) = world.far.as_ref().unwrap().slots();
    say_slots(&mut world, &[(&sounds[0], 2), (&pictures[0], 2)]);
    let mut count = 0_u32;
    world.down.lose(move |data| {
        let rtp = matches!(data, [128..=191, second, ..] if !(192..=223).contains(second));
        count += u32::from(rtp);
        rtp && count % 40 == 39
    });
    for n in 0..250_u64 {
        let now = world.now;
        let far = world.far.as_mut().unwrap();
        far.send_sound(0, now, n * 960, &[0xfc; 60]);
        far.send_picture(0, now, n * 1_800, &vp8_frame(n == 0, n as u32, 2_500));
        world.turn_far();
        world.run(20 * MS);
    }
    world.run(500 * MS);
    let streams = recv(&world);
    let of = |kind| {
        let id = streams.iter().find(|stream| stream.kind == kind).unwrap().id;
        world.frames.iter().filter(move |(stream, _)| *stream == id).map(|(_, frame)| frame)
    };
    let empty = of(MediaKind::Audio).filter(|frame| frame.data.is_empty()).count();
    assert!((1..=40).contains(&empty), "{empty}");
    let whole = of(MediaKind::Video).filter(|frame| frame.contiguous).count();
    assert!(whole >= 240, "retransmission repairs pictures: {whole}");
}

#[test]
fn bytes_from_anywhere_upset_nothing() {
    let mut world = World::joined();
    let mut seed = 1_u32;
    for n in 0..3_000_usize {
        let data: Vec<u8> = (0..n % 300)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 24) as u8
            })
            .collect();
        let from = if n % 2 == 0 { rig::conference() } else { "203.0.113.9:9".parse().unwrap() };
        world.step(meet::Input::Leg(base::leg::LegInput::Packet {
            port: base::leg::Port(0),
            from,
            data: &data,
        }));
    }
    for text in
        ["7", "{", "[]", r#"{"type":7}"#, r#"{"type":"slots","slots":[{"mid":"","participant":"x"}]}"#]
    {
        world.say(text);
    }
    send_for(&mut world, 1, [500, 1_500, 4_000]);
    assert_eq!(world.cause(), None);
    assert_eq!(world.leg.figures().wrong_messages, 5, "{:?}", world.leg.figures());
}

#[test]
fn a_conference_that_talks_only_nonsense_is_left() {
    let mut world = World::joined();
    for _ in 0..110 {
        if world.cause().is_none() {
            world.far.as_mut().unwrap().say("nonsense");
            world.turn_far();
            world.run(20 * MS);
        }
    }
    world.run(Duration::from_secs(1));
    assert_eq!(world.cause(), Some(Cause::new(Fault::Upstream, Kind::ProtocolError)));
}

#[test]
fn pacing_adds_nothing_to_ordinary_pictures_and_a_tenth_of_a_second_to_large_key_frames() {
    let mut world = World::joined();
    let mut pushed = HashMap::new();
    for n in 0..450_u32 {
        for (layer, rid, size) in [(0, "q", 500), (1, "h", 1_450), (2, "f", 3_950)] {
            let since_key = (n + 75 - 20 * layer) % 150;
            let key = n == 0 || since_key == 0;
            let size = match since_key {
                _ if key => size * 8,
                1..=30 => size * 3 / 4,
                _ => size,
            };
            pushed.insert((rid, n), (world.now, key));
            world.send(1 + layer, Codec::Vp8, 20 * MS, key, vp8_frame(key, n, size));
        }
        world.send(0, Codec::Opus, 5 * MS, true, vec![0xfc; 100]);
        world.run(Duration::from_micros(33_333));
    }
    world.run(Duration::from_secs(1));

    for (rid, keys, share, limit) in [
        ("q", false, 95, 5 * MS),
        ("h", false, 95, 5 * MS),
        ("f", false, 90, 5 * MS),
        ("f", true, 100, 120 * MS),
    ] {
        let frames = world.heard_frames().filter(|(_, frame)| frame.rid.as_deref() == Some(rid));
        let mut waits: Vec<_> = frames
            .filter_map(|(at, frame)| {
                let (sent, key) = pushed[&(rid, vp8_number(&frame.data)?)];
                (key == keys).then(|| at - sent - world.up.delay)
            })
            .collect();
        waits.sort();
        let at = (waits.len() * share / 100).min(waits.len() - 1);
        assert!(waits[at] <= limit, "{rid}: {:?}", waits[at]);
    }
}
