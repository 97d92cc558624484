//! Gateways join by the `interop` protocol, see and hear each other, and are told how things stand.

mod support;

use meet_sim::{Config, GatewayTrust, MeetingConfig, SimEvent, Simulator, TokenConfig};
use serde_json::{Value, json};
use std::time::Duration;
use str0m::media::MediaKind;
use support::gateway::{Ask, Gateway, until};
use support::https;

const MEETING: &str = "1234567890123";
const TOKEN: &str = "tok-trusted-1";
const STRANGER: &str = "tok-untrusted-1";

fn config() -> Config {
    Config {
        meetings: vec![MeetingConfig::new(MEETING), MeetingConfig::new("77").with_pin("4711")],
        tokens: vec![TokenConfig::trusted("corp", TOKEN), TokenConfig::untrusted("guests", STRANGER)],
        ..Config::default()
    }
}

#[allow(clippy::unwrap_used, reason = "a test fails where its helper does")]
fn simulator() -> Simulator {
    Simulator::start(config()).unwrap()
}

fn refusal(simulator: &Simulator, ask: &Ask) -> (u16, String) {
    match Gateway::join(simulator, ask) {
        Ok(_) => panic!("{ask:?} was let in"),
        Err(answer) => {
            let (status, code) = answer.refusal();
            assert_eq!(answer.body["status"], status, "the problem repeats the status");
            (status, code.to_owned())
        }
    }
}

fn pictures(device: &str, width: u32, height: u32) -> Value {
    json!({ "type": "watch", "pictures": [{ "participant": device, "width": width, "height": height }] })
}

#[test]
fn two_gateways_see_and_hear_each_other_and_get_the_layer_they_watch_at() {
    let simulator = simulator();
    let mut room = Gateway::join(&simulator, &Ask::new(MEETING, "Room", TOKEN)).unwrap();
    let mut hall = Gateway::join(&simulator, &Ask::new(MEETING, "Hall", TOKEN)).unwrap();
    assert_eq!(room.reply["state"], "joined");
    let (first, second) = (room.device(), hall.device());
    assert!(first.starts_with("spaces/") && first.contains("/devices/"), "{first}");

    assert!(until(&mut [&mut room, &mut hall], |g| {
        g[0].size_of(&second).is_some() && g[1].from(&first, MediaKind::Audio).len() > 50
    }));
    // Without a watch: 640x360. Then small, then large.
    for (width, height) in [(320, 180), (1280, 720), (640, 360)] {
        room.say(&pictures(&second, width.into(), height.into()));
        assert!(
            until(&mut [&mut room, &mut hall], |g| g[0].size_of(&second) == Some((width, height))),
            "{width}x{height}, not {:?}; {:#?}",
            room.size_of(&second),
            simulator.participants(MEETING)
        );
    }

    let seen = room.from(&second, MediaKind::Video);
    assert!(seen[0].key.is_some(), "a picture begins with a key frame");
    let slots_at = room.messages.iter().position(|message| {
        message["type"] == "slots" && message["slots"].as_array().is_some_and(|slots| !slots.is_empty())
    });
    assert!(slots_at.unwrap() < seen[0].messages, "slots come before the first picture");
    assert!(seen.iter().skip(1).all(|frame| frame.contiguous), "no gap at any change of layer");
    assert!(seen.windows(2).all(|pair| pair[0].at < pair[1].at), "time runs on");
    let (span, frames) = (seen[seen.len() - 1].at - seen[0].at, seen.len() as f64);
    assert!((span / frames - 1.0 / 30.0).abs() < 0.004, "time runs at its pace: {frames} frames in {span} s");

    let people = simulator.participants(MEETING);
    let sends: Vec<_> =
        people[0].sends.iter().filter_map(|stream| Some((stream.rid.clone()?, stream.size?))).collect();
    assert_eq!(sends.len(), 3, "three layers arrive: {sends:?}");
    assert_eq!(room.newest("roster").unwrap()["participants"][0]["id"], second);
    assert_eq!(room.newest("roster").unwrap()["participants"].as_array().unwrap().len(), 1, "without itself");
}

#[test]
fn w1_an_untrusted_token_waits_in_the_lobby_until_it_is_admitted() {
    let simulator = simulator();
    let mut events = simulator.events();
    let mut guest = Gateway::join(&simulator, &Ask::new(MEETING, "Guest", STRANGER)).unwrap();
    assert_eq!(
        (guest.reply["state"].as_str(), guest.reply["lobbyDeadlineSeconds"].as_u64()),
        (Some("lobby"), Some(30))
    );
    guest.hush();
    assert!(until(&mut [&mut guest], |g| g[0].state() == "lobby"));
    assert_eq!(guest.messages.len(), 1, "nothing else is told in the lobby: {:?}", guest.messages);
    assert!(matches!(events.blocking_recv(), Ok(SimEvent::Waiting { name, .. }) if name == "Guest"));

    assert!(simulator.admit(&guest.device()));
    assert!(until(&mut [&mut guest], |g| g[0].state() == "joined" && g[0].newest("indicators").is_some()));
    let kinds: Vec<_> = guest.messages[1..].iter().map(|message| message["type"].as_str().unwrap()).collect();
    assert_eq!(kinds[..4], ["state", "roster", "slots", "indicators"]);
    assert!(!simulator.admit(&guest.device()), "nobody is admitted twice");
}

#[test]
fn asking_for_the_lobby_leads_there_even_with_a_trusted_token() {
    let simulator = simulator();
    let guest =
        Gateway::join(&simulator, &Ask::new(MEETING, "Guest", TOKEN).with("trust", "untrusted")).unwrap();
    assert_eq!(guest.reply["state"], "lobby");
}

#[test]
fn p6_nobody_waits_in_the_lobby_for_ever_and_who_is_rejected_is_told_so() {
    let simulator = Simulator::start(Config { lobby: Duration::from_secs(2), ..config() }).unwrap();
    let mut late = Gateway::join(&simulator, &Ask::new(MEETING, "Late", STRANGER)).unwrap();
    let mut out = Gateway::join(&simulator, &Ask::new(MEETING, "Out", STRANGER)).unwrap();
    assert!(until(&mut [&mut late, &mut out], |g| g.iter().all(|g| g.state() == "lobby")));
    assert!(simulator.reject(&out.device()));
    assert!(until(&mut [&mut late, &mut out], |g| g.iter().all(|g| g.state() == "ended" && g.closed)));
    assert_eq!(out.newest("state").unwrap()["reason"], "REJECTED");
    assert_eq!(late.newest("state").unwrap()["reason"], "LOBBY_TIMEOUT");
}

#[test]
fn each_refusal_has_its_code() {
    let simulator = simulator();
    let ask = || Ask::new(MEETING, "Room", TOKEN);
    let refused = |ask: &Ask| refusal(&simulator, ask);
    assert_eq!(refused(&ask().with("accessToken", "nonsense")), (403, "BAD_TOKEN".to_owned()));
    assert_eq!(refused(&Ask::new("999", "Room", TOKEN)), (404, "MEETING_NOT_FOUND".to_owned()));
    assert_eq!(refused(&Ask::new("77", "Room", TOKEN)), (403, "BAD_PIN".to_owned()));
    assert_eq!(refused(&Ask::new("77", "Room", TOKEN).with("pin", "1")), (403, "BAD_PIN".to_owned()));
    assert_eq!(refused(&ask().with("version", 2)), (400, "UNSUPPORTED_VERSION".to_owned()));
    assert_eq!(refused(&ask().with("callId", "")), (400, "BAD_REQUEST".to_owned()));
    assert_eq!(refused(&ask().with("maxBitrate", 3_000_000)), (400, "BAD_REQUEST".to_owned()));
    assert_eq!(refused(&ask().with("sdpOffer", "v=0\r\n")), (422, "BAD_OFFER".to_owned()));
    simulator.set_interop(MEETING, false);
    assert_eq!(refused(&ask()), (403, "INTEROP_DISABLED".to_owned()));
    simulator.set_interop(MEETING, true);
    simulator.set_video_lock(MEETING, true);
    assert_eq!(refused(&ask()), (403, "VIDEO_LOCKED".to_owned()));
    simulator.set_video_lock(MEETING, false);
    simulator.end_meeting(MEETING);
    assert_eq!(refused(&ask()), (410, "MEETING_ENDED".to_owned()));
    simulator.reopen_meeting(MEETING);
    let pin = Gateway::join(&simulator, &Ask::new("77", "Room", TOKEN).with("pin", "4711"));
    assert!(pin.is_ok() && Gateway::join(&simulator, &ask()).is_ok());
}

#[test]
fn a_meeting_takes_no_more_than_its_capacity() {
    let mut small = config();
    small.meetings[0].capacity = 1;
    let simulator = Simulator::start(small).unwrap();
    let _room = Gateway::join(&simulator, &Ask::new(MEETING, "Room", TOKEN)).unwrap();
    assert_eq!(refusal(&simulator, &Ask::new(MEETING, "Hall", TOKEN)), (409, "MEETING_FULL".to_owned()));
}

#[test]
fn a_wrong_jwt_is_refused_and_without_one_the_access_token_decides() {
    let key = rcgen::KeyPair::generate().unwrap();
    let simulator =
        Simulator::start(Config { gateways: Some(GatewayTrust::Key(key.public_key_pem())), ..config() })
            .unwrap();
    let mut ask = Ask::new(MEETING, "Room", TOKEN);
    assert!(Gateway::join(&simulator, &ask).is_ok());
    ask.jwt = Some("e30.e30.e30".to_owned());
    assert_eq!(refusal(&simulator, &ask), (401, "BAD_JWT".to_owned()));
}

#[test]
fn what_people_say_and_do_reaches_the_others() {
    let simulator = simulator();
    let mut events = simulator.events();
    let mut room = Gateway::join(&simulator, &Ask::new(MEETING, "Room", TOKEN)).unwrap();
    let mut hall = Gateway::join(&simulator, &Ask::new(MEETING, "Hall", TOKEN)).unwrap();
    hall.hush();
    assert!(until(&mut [&mut room, &mut hall], |g| g.iter().all(|g| g.state() == "joined")));

    room.say(&json!({ "type": "chat", "text": "hello" }));
    room.say(&json!({ "type": "dtmf", "key": "#" }));
    simulator.set_recording(MEETING, true);
    assert!(until(&mut [&mut room, &mut hall], |g| {
        let recording = g[1].newest("indicators").is_some_and(|message| message["recording"] == true);
        recording && g[1].newest("chat").is_some() && g[1].newest("speaker").is_some()
    }));
    let expected = json!({ "type": "chat", "from": room.device(), "name": "Room", "text": "hello" });
    assert_eq!(hall.newest("chat"), Some(&expected));
    assert_eq!(hall.newest("speaker").unwrap()["participant"], room.device());
    assert_eq!(room.newest("chat"), None, "who writes is not told of it");
    let happened: Vec<_> = std::iter::from_fn(|| events.try_recv().ok()).collect();
    assert!(
        happened.contains(&SimEvent::Dtmf { device: room.device(), key: "#".to_owned() }),
        "{happened:#?}"
    );

    assert!(simulator.kick(&room.device()));
    assert!(until(&mut [&mut room, &mut hall], |g| {
        let alone = g[1].newest("roster").is_some_and(|roster| roster["participants"] == json!([]));
        g[0].closed && alone
    }));
    assert_eq!(room.newest("state").unwrap()["reason"], "REMOVED");
    assert_eq!(hall.newest("slots").unwrap()["slots"], json!([]));
}

#[test]
fn a_gateway_leaves_by_a_message_or_by_its_session() {
    let simulator = simulator();
    let mut room = Gateway::join(&simulator, &Ask::new(MEETING, "Room", TOKEN)).unwrap();
    let mut hall = Gateway::join(&simulator, &Ask::new(MEETING, "Hall", TOKEN)).unwrap();
    assert!(until(&mut [&mut room, &mut hall], |g| g.iter().all(|g| g.state() == "joined")));
    room.say(&json!({ "type": "leave" }));
    let session = hall.reply["session"].as_str().unwrap().to_owned();
    assert_eq!(https::request(&simulator, "DELETE", &session, None, "").status, 204);
    assert_eq!(https::request(&simulator, "DELETE", &session, None, "").status, 404);
    assert!(until(&mut [&mut room, &mut hall], |g| g.iter().all(|g| g.closed)));
    assert_eq!(room.newest("state").unwrap()["reason"], "LEFT");
    assert_eq!(simulator.participants(MEETING), []);
}

#[test]
fn w5_a_video_lock_and_w4_interop_off_end_a_gateways_call() {
    let simulator = simulator();
    let mut room = Gateway::join(&simulator, &Ask::new(MEETING, "Room", TOKEN)).unwrap();
    assert!(until(&mut [&mut room], |g| g[0].state() == "joined"));
    simulator.set_video_lock(MEETING, true);
    assert!(until(&mut [&mut room], |g| g[0].newest("videoLock").is_some()));
    assert!(until(&mut [&mut room], |g| g[0].state() == "ended"), "who does not leave is put out");
    assert_eq!(room.newest("state").unwrap()["reason"], "VIDEO_LOCKED");

    simulator.set_video_lock(MEETING, false);
    let mut hall = Gateway::join(&simulator, &Ask::new(MEETING, "Hall", TOKEN)).unwrap();
    assert!(until(&mut [&mut hall], |g| g[0].state() == "joined"));
    simulator.set_interop(MEETING, false);
    assert!(until(&mut [&mut hall], |g| g[0].state() == "ended"));
    assert_eq!(hall.newest("state").unwrap()["reason"], "INTEROP_DISABLED");
}

#[test]
fn who_is_put_out_before_its_channel_is_open_hears_why_all_the_same() {
    let simulator = simulator();
    let mut room = Gateway::join(&simulator, &Ask::new(MEETING, "Room", TOKEN)).unwrap();
    assert!(simulator.end_meeting(MEETING));
    assert!(until(&mut [&mut room], |g| g[0].state() == "ended"));
    assert_eq!(room.newest("state").unwrap()["reason"], "MEETING_ENDED");
    assert!(until(&mut [&mut room], |g| g[0].closed));
}

#[test]
fn a_stop_tells_everybody_and_a_kill_tells_nobody() {
    for sudden in [false, true] {
        let simulator = simulator();
        let mut room = Gateway::join(&simulator, &Ask::new(MEETING, "Room", TOKEN)).unwrap();
        assert!(until(&mut [&mut room], |g| g[0].state() == "joined"));
        let address = simulator.addresses().udp;
        let end = std::thread::spawn(move || if sudden { simulator.kill() } else { simulator.stop() });
        let told = until(&mut [&mut room], |g| g[0].closed || end.is_finished());
        assert!(told);
        end.join().unwrap();
        room.turn();
        assert_eq!(room.state() == "ended", !sudden);
        assert!(std::net::UdpSocket::bind(address).is_ok(), "its ports are free again");
    }
}

#[test]
fn key_frames_are_asked_for_only_when_somebody_needs_one() {
    let simulator = simulator();
    let mut room = Gateway::join(&simulator, &Ask::new(MEETING, "Room", TOKEN)).unwrap();
    let mut hall = Gateway::join(&simulator, &Ask::new(MEETING, "Hall", TOKEN)).unwrap();
    let first = room.device();
    assert!(until(&mut [&mut room, &mut hall], |g| g[1].from(&first, MediaKind::Video).len() > 60));
    let asked: u32 = room.keys_asked.values().sum();
    assert!(asked <= 6, "{:?}", room.keys_asked);
}

#[test]
fn another_process_drives_it_over_the_control_interface() {
    let simulator = simulator();
    let guest = Gateway::join(&simulator, &Ask::new(MEETING, "Guest", STRANGER)).unwrap();
    let people = format!("/control/participants?meeting={MEETING}");
    assert_eq!(https::control(&simulator, "GET", &people, "").body[0]["stage"], "lobby");

    let admit = json!({ "do": "admit", "participant": guest.device() }).to_string();
    assert_eq!(https::control(&simulator, "POST", "/control", &admit).status, 204);
    assert_eq!(https::control(&simulator, "POST", "/control", &admit).status, 404);
    assert_eq!(https::control(&simulator, "GET", &people, "").body[0]["stage"], "joined");
    let meetings = https::control(&simulator, "GET", "/control/meetings", "").body;
    assert_eq!(meetings[0]["participants"], 1);
    let events = https::control(&simulator, "GET", "/control/events?since=1", "").body;
    assert_eq!((&events["events"][0]["event"], &events["next"]), (&json!("joined"), &json!(2)));
}
