//! Calls of ours to peers written by hand: early dialogs, PRACK, forks, refusals.

use super::rig::{Lone, Side, request, sdp};
use base::ids::SessionId;
use base::{Cause, Fault, Kind};
use sip::endpoint::{Effect, Event, Flow, Input, Listen, Outgoing, Target, Transport};
use sip::headers::NameAddr;
use sip::locate;
use sip::message::{Method, Request, Response};
use sip::session::{SessionCommand, SessionEvent};
use sip::uri::Uri;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn call(lone: &mut Lone, to: &str) -> SessionId {
    let id = lone.endpoint.allocate();
    let outgoing = Outgoing {
        id,
        to: Uri::parse(to).unwrap(),
        from: NameAddr::new(Uri::parse("sip:box@192.0.2.1").unwrap()),
        offer: sdp("offer"),
        proxy: None,
        login: None,
    };
    lone.input(Input::Call(Box::new(outgoing)));
    id
}

fn reply(lone: &mut Lone, request: &Request, status: u16, tag: &str, lines: &[(&str, &str)], body: &str) {
    let mut response = Response::to(request, status, "").with_to_tag(tag);
    response.headers.push("Contact", format_args!("<sip:{tag}@198.51.100.9:5060>"));
    for (name, value) in lines {
        response.headers.push(name, value);
    }
    if !body.is_empty() {
        response = response.with_body("application/sdp", body.to_owned());
    }
    let flow = lone.flow;
    lone.input(Input::Received { flow, data: &response.to_bytes() });
}

/// A call of ours and its INVITE.
fn calling(lone: &mut Lone) -> (SessionId, Request) {
    let id = call(lone, "sip:room@198.51.100.9");
    let invite = lone.requests().remove(0);
    (id, invite)
}

#[test]
fn a_reliable_183_is_acknowledged_by_prack_and_its_answer_told_once() {
    let mut lone = Lone::new();
    let (_, invite) = calling(&mut lone);
    let reliable = [("Require", "100rel"), ("RSeq", "77")];
    reply(&mut lone, &invite, 183, "one", &reliable, "v=0 answer\r\n");
    let prack = lone.requests().remove(0);
    assert_eq!((prack.method.clone(), prack.headers.get("RAck")), (Method::Prack, Some("77 1 INVITE")));
    reply(&mut lone, &invite, 183, "one", &reliable, "v=0 answer\r\n");
    assert!(lone.requests().is_empty());
    reply(&mut lone, &prack, 200, "one", &[], "");
    reply(&mut lone, &invite, 200, "one", &[], "v=0 answer\r\n");
    let ack = lone.requests().remove(0);
    assert_eq!((ack.method.clone(), ack.uri.to_string()), (Method::Ack, "sip:one@198.51.100.9:5060".into()));
    assert_eq!(lone.session_events(), [SessionEvent::Answer(sdp("answer")), SessionEvent::Confirmed]);
}

#[test]
fn of_several_forks_the_first_2xx_wins_and_the_others_are_acknowledged_and_hung_up() {
    let mut lone = Lone::new();
    let (id, invite) = calling(&mut lone);
    reply(&mut lone, &invite, 180, "one", &[], "");
    reply(&mut lone, &invite, 180, "two", &[], "");
    assert_eq!(lone.events, [Event::Ringing(id)]);
    assert_eq!(lone.endpoint.gauges().dialogs, 2);
    reply(&mut lone, &invite, 200, "two", &[], "v=0 answer\r\n");
    assert_eq!(lone.endpoint.gauges().dialogs, 1);
    lone.requests();
    reply(&mut lone, &invite, 200, "one", &[], "v=0 answer\r\n");
    let sent: Vec<_> = lone.requests().iter().map(|r| (r.method.clone(), r.uri.user.clone())).collect();
    assert_eq!(sent, [(Method::Ack, Some("one".into())), (Method::Bye, Some("one".into()))]);
    reply(&mut lone, &invite, 200, "two", &[], "v=0 answer\r\n");
    let sent: Vec<_> = lone.requests().iter().map(|r| (r.method.clone(), r.uri.user.clone())).collect();
    assert_eq!(sent, [(Method::Ack, Some("two".into()))]);
}

#[test]
fn a_redirection_is_not_followed() {
    let mut lone = Lone::new();
    let (_, invite) = calling(&mut lone);
    reply(&mut lone, &invite, 302, "one", &[], "");
    assert_eq!(lone.requests().remove(0).method, Method::Ack);
    assert!(matches!(lone.session_events().last(), Some(SessionEvent::Ended(_))));
    lone.run(33 * SECOND);
    assert!(lone.endpoint.is_idle());
}

#[test]
fn a_422_is_answered_with_a_longer_interval() {
    let mut lone = Lone::new();
    let (_, invite) = calling(&mut lone);
    assert_eq!(invite.headers.get("Session-Expires"), Some("1800"));
    reply(&mut lone, &invite, 422, "one", &[("Min-SE", "3600")], "");
    let again = lone.requests().into_iter().find(|request| request.method == Method::Invite).unwrap();
    assert_eq!(
        (again.headers.get("Session-Expires"), again.headers.get("Min-SE")),
        (Some("3600"), Some("3600"))
    );
    assert_eq!(again.headers.cseq().unwrap().seq, 2);
    assert_ne!(again.headers.top_via().unwrap().branch(), invite.headers.top_via().unwrap().branch());
}

#[test]
fn a_peer_without_update_is_changed_and_refreshed_by_reinvite() {
    let mut lone = Lone::new();
    let (id, invite) = calling(&mut lone);
    let lines = [("Allow", "INVITE, ACK, BYE, CANCEL"), ("Session-Expires", "100;refresher=uac")];
    reply(&mut lone, &invite, 200, "one", &lines, "v=0 answer\r\n");
    lone.session_events();
    lone.requests();
    lone.command(id, SessionCommand::Offer(sdp("hold")));
    let reinvite = lone.requests().remove(0);
    assert_eq!((reinvite.method.clone(), reinvite.body.clone()), (Method::Invite, sdp("hold")));
    reply(&mut lone, &reinvite, 200, "one", &lines, "v=0 held\r\n");
    assert_eq!(lone.requests().remove(0).method, Method::Ack);
    assert_eq!(lone.session_events(), [SessionEvent::Answer(sdp("held"))]);
    lone.run(50 * SECOND);
    let refresh = lone.requests().remove(0);
    assert_eq!((refresh.method.clone(), refresh.body.clone()), (Method::Invite, sdp("hold")));
    reply(&mut lone, &refresh, 200, "one", &lines, "v=0 held\r\n");
    assert!(lone.session_events().is_empty());
}

#[test]
fn a_peer_that_refuses_update_gets_the_offer_by_reinvite() {
    let mut lone = Lone::new();
    let (id, invite) = calling(&mut lone);
    reply(&mut lone, &invite, 200, "one", &[("Allow", "INVITE, UPDATE")], "v=0 answer\r\n");
    lone.requests();
    lone.command(id, SessionCommand::Offer(sdp("hold")));
    let update = lone.requests().remove(0);
    assert_eq!(update.method, Method::Update);
    reply(&mut lone, &update, 501, "one", &[], "");
    assert_eq!(lone.requests().remove(0).method, Method::Invite);
}

#[test]
fn an_invite_whose_cancel_nobody_answers_is_forgotten_after_32_seconds() {
    let mut lone = Lone::new();
    let (id, invite) = calling(&mut lone);
    reply(&mut lone, &invite, 180, "one", &[], "");
    lone.command(id, SessionCommand::End(Cause::new(Fault::Caller, Kind::Cancelled)));
    assert_eq!(lone.requests().remove(0).method, Method::Cancel);
    lone.run(70 * SECOND);
    assert!(lone.endpoint.is_idle(), "{:?}", lone.endpoint.gauges());
}

#[test]
fn a_reinvite_that_stays_at_100_leaves_nothing_behind() {
    let mut lone = Lone::new();
    let (id, invite) = calling(&mut lone);
    reply(&mut lone, &invite, 200, "one", &[("Allow", "INVITE")], "v=0 answer\r\n");
    lone.requests();
    lone.command(id, SessionCommand::Offer(sdp("hold")));
    let reinvite = lone.requests().remove(0);
    reply(&mut lone, &reinvite, 100, "one", &[], "");
    lone.command(id, SessionCommand::End(Cause::CALLER_HUNG_UP));
    lone.run(400 * SECOND);
    assert!(lone.endpoint.is_idle(), "{:?}", lone.endpoint.gauges());
}

#[test]
fn a_callee_that_rings_for_three_minutes_is_cancelled() {
    let mut lone = Lone::new();
    let (_, invite) = calling(&mut lone);
    reply(&mut lone, &invite, 180, "one", &[], "");
    lone.run(179 * SECOND);
    assert!(lone.requests().is_empty());
    lone.run(2 * SECOND);
    assert_eq!(lone.requests().remove(0).method, Method::Cancel);
    assert!(matches!(lone.session_events().last(), Some(SessionEvent::Ended(_))));
}

#[test]
fn a_name_is_looked_up_and_its_targets_are_tried_in_order() {
    let mut lone = Lone::new();
    call(&mut lone, "sip:room@example.com");
    let Some(Effect::Lookup { id, uri }) = lone.effects.pop() else { panic!("no look-up") };
    assert_eq!(uri.to_string(), "sip:room@example.com");
    let target = |transport, address: &str| locate::Target {
        transport,
        address: address.parse().unwrap(),
        tls_name: Some("example.com".into()),
    };
    let targets = vec![
        target(locate::Transport::Tls, "203.0.113.1:5061"),
        target(locate::Transport::Udp, "203.0.113.2:5060"),
    ];
    lone.input(Input::Resolved { id, targets });
    let Some(Effect::Connect { id, target }) = lone.effects.pop() else { panic!("no connection") };
    let remote = "203.0.113.1:5061".parse().unwrap();
    assert_eq!(target, Target { transport: Transport::Tls, remote, tls_name: "example.com".into() });
    lone.input(Input::Connected { id, flow: None });
    let Some(Effect::Send { flow, .. }) = lone.effects.pop() else { panic!("nothing sent") };
    assert_eq!((flow.transport, flow.remote), (Transport::Udp, "203.0.113.2:5060".parse().unwrap()));
    assert_eq!(flow.local, Side::A.address());
}

#[test]
fn a_503_sends_the_call_to_the_next_target_with_a_new_branch() {
    let mut lone = Lone::new();
    call(&mut lone, "sip:room@example.com");
    let Some(Effect::Lookup { id, .. }) = lone.effects.pop() else { panic!("no look-up") };
    let target = |last| locate::Target {
        transport: locate::Transport::Udp,
        address: std::net::SocketAddr::from(([203, 0, 113, last], 5060)),
        tls_name: None,
    };
    lone.input(Input::Resolved { id, targets: vec![target(1), target(2)] });
    let first = lone.requests().remove(0);
    reply(&mut lone, &first, 503, "one", &[], "");
    let sent = lone.requests();
    let second = sent.iter().find(|request| request.method == Method::Invite).unwrap();
    assert_ne!(first.headers.top_via().unwrap().branch(), second.headers.top_via().unwrap().branch());
    assert!(lone.session_events().is_empty());
}

#[test]
fn responses_that_are_not_for_us_are_dropped() {
    let mut lone = Lone::new();
    let (_, invite) = calling(&mut lone);
    let mut foreign = invite.clone();
    let via = foreign.headers.get("Via").unwrap().replace("192.0.2.1:5060", "192.0.2.77:5060");
    foreign.headers.set("Via", via);
    reply(&mut lone, &foreign, 200, "one", &[], "v=0 answer\r\n");
    let mut doubled = invite;
    doubled.headers.push("Via", "SIP/2.0/UDP 203.0.113.1;branch=z9hG4bKother");
    reply(&mut lone, &doubled, 200, "one", &[], "v=0 answer\r\n");
    assert_eq!(lone.endpoint.counters().stray, 2);
    assert!(lone.session_events().is_empty());
}

#[test]
fn a_tls_connection_carries_our_requests_only_to_the_name_it_has_proven() {
    let mut lone = Lone::with(Transport::Tls, |config| {
        let tcp = config.listen[1].clone();
        config.listen.push(Listen { transport: Transport::Tls, ..tcp });
    });
    // given somebody who connects from the port that a server would listen at, and says something
    lone.flow.remote = "203.0.113.1:5061".parse().unwrap();
    lone.receive(&request("OPTIONS", "o", ""));
    lone.effects.clear();
    // when that server is called, then a connection of our own is asked for
    call(&mut lone, "sips:room@first.example.com;maddr=203.0.113.1");
    let Some(Effect::Connect { id, target }) = lone.effects.pop() else { panic!("no connection") };
    let own = Flow { connection: 2, ..lone.flow };
    lone.input(Input::Connected { id, flow: Some(own) });
    assert!(matches!(lone.effects.pop(), Some(Effect::Send { flow, .. }) if flow == own));
    // and it serves the next call of this name, and of no other, until it closes
    call(&mut lone, "sips:other@first.example.com;maddr=203.0.113.1");
    assert!(matches!(lone.effects.pop(), Some(Effect::Send { flow, .. }) if flow == own));
    call(&mut lone, "sips:room@second.example.com;maddr=203.0.113.1");
    assert!(matches!(lone.effects.pop(), Some(Effect::Connect { target: second, .. }) if second != target));
    lone.input(Input::FlowClosed(own));
    lone.effects.clear();
    call(&mut lone, "sips:room@first.example.com;maddr=203.0.113.1");
    assert!(matches!(lone.effects.pop(), Some(Effect::Connect { target: again, .. }) if again == target));
}
