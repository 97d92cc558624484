//! Registration and digest, both ways.

use super::rig::{Lone, Side, World, request, sdp};
use base::{Cause, Fault, Kind, Secret, Seed};
use sip::digest::DigestClient;
use sip::endpoint::{Effect, Event, Input, Login, Offence, Outgoing, Policy, Transport};
use sip::headers::NameAddr;
use sip::message::{Message, Request, Response};
use sip::session::{SessionCommand, SessionEvent};
use sip::uri::Uri;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn register(branch: &str, seq: u32, lines: &str) -> Request {
    let text = request("REGISTER", branch, lines)
        .replace("sip:meeting@", "sip:room@")
        .replace("sip:guest@", "sip:room@")
        .replace("CSeq: 1 ", &format!("CSeq: {seq} "));
    match Message::parse(text.as_bytes()) {
        Ok(Message::Request(request)) => request,
        other => panic!("{other:?}"),
    }
}

fn send(lone: &mut Lone, request: &Request) -> Response {
    lone.answer(&String::from_utf8_lossy(&request.to_bytes()))
}

/// Registers `room` with its password, as a device does: challenged first.
fn log_in(lone: &mut Lone, password: &str, lines: &str) -> Response {
    let mut device = DigestClient::new("room", Secret::new(password.into()), Seed([5; 32]));
    let first = register("r1", 1, lines);
    let challenge = send(lone, &first);
    assert_eq!(challenge.status, 401);
    device.challenged(&first, &challenge).unwrap();
    let mut second = register("r2", 2, lines);
    device.authorize(&mut second);
    send(lone, &second)
}

#[test]
fn a_device_registers_with_its_password_and_is_told() {
    let mut lone = Lone::new();
    let ok = log_in(&mut lone, "secret", "Contact: <sip:room@10.0.0.9>\r\nExpires: 300\r\n");
    assert_eq!(ok.status, 200);
    assert_eq!(ok.headers.get("Contact"), Some("<sip:room@10.0.0.9>;expires=300"));
    let flow = lone.flow;
    let registered = Event::Registered { device: "room".into(), flow, expires: Duration::from_secs(300) };
    assert_eq!(lone.events, [registered]);
    lone.run(301 * SECOND);
    assert_eq!(lone.events.last(), Some(&Event::Unregistered { device: "room".into() }));
}

#[test]
fn a_wrong_password_and_an_unknown_device_do_not_register_and_are_told_as_offences() {
    let mut lone = Lone::new();
    assert_eq!(log_in(&mut lone, "wrong", "Contact: <sip:room@10.0.0.9>\r\n").status, 401);
    let stranger = request("REGISTER", "s", "Contact: <sip:x@10.0.0.9>\r\n").replace("CSeq: 1", "CSeq: 9");
    assert_eq!(lone.answer(&stranger).status, 403);
    assert_eq!(lone.endpoint.gauges().devices, 0);
    let offence = Event::Offence { flow: lone.flow, what: Offence::WrongCredentials };
    assert_eq!(lone.events, [offence.clone(), offence]);
}

#[test]
fn a_challenge_offers_the_best_algorithm_first_and_md5_alone_to_a_device_that_cannot_choose() {
    let algorithms = |lines: &str| -> Vec<String> {
        let challenge = send(&mut Lone::new(), &register("a", 1, lines));
        let challenges = challenge.headers.www_authenticate();
        challenges.iter().filter_map(|one| one.params.get("algorithm").map(str::to_owned)).collect()
    };
    assert_eq!(algorithms("Contact: <sip:room@10.0.0.9>\r\n"), ["SHA-256", "MD5"]);
    let baresip = "Contact: <sip:room@10.0.0.9>\r\nUser-Agent: baresip v1.0.0 (x86_64/linux)\r\n";
    assert_eq!(algorithms(baresip), ["MD5"]);
}

#[test]
fn an_open_box_registers_anybody_and_refuses_brief_registrations() {
    let mut lone = Lone::with(Transport::Udp, |config| config.challenge = Policy::Open);
    let brief = lone.answer(&request("REGISTER", "a", "Contact: <sip:x@10.0.0.9>;expires=10\r\n"));
    assert_eq!((brief.status, brief.headers.min_expires().unwrap()), (423, Some(60)));
    let fine = request("REGISTER", "b", "Contact: <sip:x@10.0.0.9>\r\n").replace("CSeq: 1", "CSeq: 2");
    assert_eq!(lone.answer(&fine).status, 200);
}

#[test]
fn k5_a_call_to_a_device_reuses_the_flow_it_registered_over() {
    let mut lone = Lone::over(Transport::Tcp);
    log_in(&mut lone, "secret", "Contact: <sip:room@10.0.0.9>\r\n");
    let id = lone.endpoint.allocate();
    let outgoing = Outgoing {
        id,
        to: Uri::parse("sip:room@box.example.com").unwrap(),
        from: NameAddr::new(Uri::parse("sip:meeting@box.example.com").unwrap()),
        offer: sdp("offer"),
        proxy: None,
        login: None,
    };
    lone.effects.clear();
    lone.input(Input::Call(Box::new(outgoing)));
    let flow = lone.flow;
    let Some(Effect::Send { flow: used, data }) = lone.effects.first() else { panic!("nothing sent") };
    assert_eq!(*used, flow);
    assert!(String::from_utf8_lossy(data).starts_with("INVITE sip:room@10.0.0.9 SIP/2.0"));
}

#[test]
fn who_calls_as_a_device_must_prove_it_and_is_then_known_as_registered() {
    let mut world = World::new();
    let login = Login { user: "room".into(), password: Secret::new("secret".into()) };
    let a = world.call_as("sip:meeting@192.0.2.2", "sip:room@192.0.2.2", Some(login));
    world.run(SECOND);
    assert_eq!(world.sent(Side::B, "401 INVITE"), 1);
    let events = world.session_events(Side::B);
    assert!(matches!(events.first(), Some(SessionEvent::Invite { dialled, .. }) if dialled.registered));
    world.command(Side::A, a, SessionCommand::End(Cause::CALLER_HUNG_UP));
    world.run(70 * SECOND);
    world.assert_idle();
}

#[test]
fn a_call_without_the_right_password_ends_as_unauthorized() {
    for login in [None, Some(Login { user: "room".into(), password: Secret::new("wrong".into()) })] {
        let mut world = World::new();
        world.call_as("sip:meeting@192.0.2.2", "sip:room@192.0.2.2", login);
        world.run(SECOND);
        let ended = SessionEvent::Ended(Cause::new(Fault::Operator, Kind::Unauthorized));
        assert_eq!(world.session_events(Side::A), [ended]);
        assert!(world.session_events(Side::B).is_empty());
        world.run(70 * SECOND);
        world.assert_idle();
    }
}
