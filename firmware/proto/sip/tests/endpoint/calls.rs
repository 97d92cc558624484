//! Calls from INVITE to BYE, and the ways one fails to stand.

use super::rig::{Fate, LATENCY, Side, World, label, sdp};
use base::{Cause, Fault, Kind};
use sip::endpoint::{Event, Input};
use sip::message::Message;
use sip::session::{SessionCommand, SessionEvent};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(70);

/// Loses the first `count` messages that `what` labels.
fn losing(side: Side, what: &'static str, count: usize) -> World {
    let mut left = count;
    World::with_wire(Box::new(move |from, message| {
        if from == side && label(message) == what && left > 0 {
            left -= 1;
            return Fate::Lost;
        }
        Fate::Arrives(LATENCY)
    }))
}

#[test]
fn a_call_rings_is_answered_and_hung_up_by_the_callee() {
    let mut world = World::new();
    let a = world.call("sip:meeting@192.0.2.2");
    world.run(SECOND);
    let b = world.incoming(Side::B);
    world.command(Side::B, b, SessionCommand::Ring);
    world.run(SECOND);
    assert_eq!(world.take_events(Side::A), [Event::Ringing(a)]);
    world.command(Side::B, b, SessionCommand::Accept(sdp("answer")));
    world.run(SECOND);
    assert_eq!(world.session_events(Side::A), [SessionEvent::Answer(sdp("answer")), SessionEvent::Confirmed]);

    world.command(Side::B, b, SessionCommand::End(Cause::new(Fault::Callee, Kind::MeetingEnded)));
    world.run(SECOND);
    let ended = SessionEvent::Ended(Cause::new(Fault::Callee, Kind::MeetingEnded));
    assert_eq!(world.session_events(Side::A), [ended]);
    world.run(LONG);
    world.assert_idle();
    assert_eq!((world.sent(Side::A, "INVITE"), world.sent(Side::B, "BYE")), (1, 1));
}

#[test]
fn the_caller_hangs_up() {
    let mut world = World::new();
    let (a, _) = world.established();
    world.command(Side::A, a, SessionCommand::End(Cause::CALLER_HUNG_UP));
    world.run(SECOND);
    assert_eq!(world.session_events(Side::B), [SessionEvent::Ended(Cause::CALLER_HUNG_UP)]);
    world.run(LONG);
    world.assert_idle();
}

#[test]
fn a_call_over_tcp_reuses_its_connection_for_bye_from_the_callee() {
    let mut world = World::new();
    world.call("sip:meeting@192.0.2.2;transport=tcp");
    world.run(SECOND);
    let b = world.incoming(Side::B);
    world.command(Side::B, b, SessionCommand::Accept(sdp("answer")));
    world.run(SECOND);
    world.command(Side::B, b, SessionCommand::End(Cause::CALLER_HUNG_UP));
    world.run(LONG);
    assert!(matches!(world.session_events(Side::A).last(), Some(SessionEvent::Ended(_))));
    assert_eq!(world.sent(Side::B, "BYE"), 1);
    world.assert_idle();
}

#[test]
fn a_refusal_reaches_the_caller_with_its_cause() {
    let mut world = World::new();
    world.call("sip:meeting@192.0.2.2");
    world.run(SECOND);
    let b = world.incoming(Side::B);
    let cause = Cause::new(Fault::Callee, Kind::MeetingFull);
    world.command(Side::B, b, SessionCommand::End(cause));
    world.run(SECOND);
    assert_eq!(world.session_events(Side::A), [SessionEvent::Ended(cause)]);
    assert_eq!(world.session_events(Side::B).last(), Some(&SessionEvent::Ended(cause)));
    assert_eq!(world.sent(Side::B, "486 INVITE"), 1);
    world.run(LONG);
    world.assert_idle();
}

#[test]
fn p11_a_rejected_call_is_refused_with_480_call_rejected() {
    let mut world = World::new();
    world.call("sip:meeting@192.0.2.2");
    world.run(SECOND);
    let b = world.incoming(Side::B);
    world.command(Side::B, b, SessionCommand::End(Cause::new(Fault::Callee, Kind::CallRejected)));
    world.run(SECOND);
    let refusal = world.log.iter().find_map(|(_, _, message)| match message {
        Message::Response(response) if response.status == 480 => Some(response.reason.clone()),
        _ => None,
    });
    assert_eq!(refusal.as_deref(), Some("Call rejected"));
}

#[test]
fn a_call_nobody_answers_fails_after_timer_b() {
    let mut world = World::with_wire(Box::new(|_, _| Fate::Lost));
    world.call("sip:meeting@192.0.2.2");
    world.run(LONG);
    let ended = SessionEvent::Ended(Cause::new(Fault::Network, Kind::SignallingTimeout));
    assert_eq!(world.session_events(Side::A), [ended]);
    assert_eq!(world.sent_at(Side::A, "INVITE"), [0, 500, 1500, 3500, 7500, 15_500, 31_500]);
    world.assert_idle();
}

#[test]
fn a_lost_200_is_sent_again_and_a_lost_ack_too() {
    let mut world = losing(Side::B, "200 INVITE", 1);
    world.call("sip:meeting@192.0.2.2");
    world.run(SECOND);
    let b = world.incoming(Side::B);
    world.command(Side::B, b, SessionCommand::Accept(sdp("answer")));
    world.run(SECOND);
    assert_eq!(world.sent(Side::B, "200 INVITE"), 2);
    assert_eq!(world.session_events(Side::B).last(), Some(&SessionEvent::Confirmed));

    let mut world = losing(Side::A, "ACK", 2);
    let a = world.call("sip:meeting@192.0.2.2");
    world.run(SECOND);
    let b = world.incoming(Side::B);
    world.command(Side::B, b, SessionCommand::Accept(sdp("answer")));
    world.run(4 * SECOND);
    assert_eq!(world.sent_at(Side::B, "200 INVITE"), [1000, 1500, 2500]);
    assert_eq!(world.sent(Side::A, "ACK"), 3);
    let confirmed = world.session_events(Side::B).iter().filter(|e| **e == SessionEvent::Confirmed).count();
    assert_eq!(confirmed, 1);
    world.command(Side::A, a, SessionCommand::End(Cause::CALLER_HUNG_UP));
    world.run(LONG);
    world.assert_idle();
}

#[test]
fn a_200_without_any_ack_ends_in_bye_after_32_seconds() {
    let mut world = losing(Side::A, "ACK", usize::MAX);
    world.call("sip:meeting@192.0.2.2");
    world.run(SECOND);
    let b = world.incoming(Side::B);
    world.command(Side::B, b, SessionCommand::Accept(sdp("answer")));
    world.run(LONG);
    let timeout = SessionEvent::Ended(Cause::new(Fault::Network, Kind::SignallingTimeout));
    assert_eq!(world.session_events(Side::B).last(), Some(&timeout));
    assert_eq!(world.sent_at(Side::B, "BYE"), [33_000]);
    assert!(matches!(world.session_events(Side::A).last(), Some(SessionEvent::Ended(_))));
    world.run(LONG);
    world.assert_idle();
}

#[test]
fn a_call_ended_before_its_ack_sends_bye_after_the_ack() {
    let mut world = World::new();
    world.call("sip:meeting@192.0.2.2");
    world.run(SECOND);
    let b = world.incoming(Side::B);
    world.command(Side::B, b, SessionCommand::Accept(sdp("answer")));
    world.command(Side::B, b, SessionCommand::End(Cause::new(Fault::Callee, Kind::MeetingEnded)));
    assert_eq!(world.sent(Side::B, "BYE"), 0);
    world.run(SECOND);
    assert_eq!(world.sent_at(Side::B, "BYE"), [1020]);
    world.run(LONG);
    world.assert_idle();
}

#[test]
fn cancel_before_the_answer_ends_the_call_on_both_sides() {
    let mut world = World::new();
    let a = world.call("sip:meeting@192.0.2.2");
    world.run(SECOND);
    let cancelled = Cause::new(Fault::Caller, Kind::Cancelled);
    world.command(Side::A, a, SessionCommand::End(cancelled));
    world.run(SECOND);
    assert_eq!(world.session_events(Side::B).last(), Some(&SessionEvent::Ended(cancelled)));
    assert_eq!(world.session_events(Side::A), [SessionEvent::Ended(cancelled)]);
    assert_eq!((world.sent(Side::B, "200 CANCEL"), world.sent(Side::B, "487 INVITE")), (1, 1));
    world.run(LONG);
    world.assert_idle();
}

#[test]
fn cancel_waits_for_a_provisional_response() {
    let mut world = losing(Side::B, "100 INVITE", 1);
    let a = world.call("sip:meeting@192.0.2.2");
    world.run(Duration::from_millis(100));
    world.command(Side::A, a, SessionCommand::End(Cause::new(Fault::Caller, Kind::Cancelled)));
    assert_eq!(world.sent(Side::A, "CANCEL"), 0);
    world.run(LONG);
    assert_eq!(world.sent_at(Side::A, "CANCEL"), [520]);
    world.run(LONG);
    world.assert_idle();
}

#[test]
fn a_cancel_that_crosses_the_200_leads_to_ack_and_bye() {
    let mut world = World::new();
    let a = world.call("sip:meeting@192.0.2.2");
    world.run(SECOND);
    let b = world.incoming(Side::B);
    world.command(Side::B, b, SessionCommand::Accept(sdp("answer")));
    world.command(Side::A, a, SessionCommand::End(Cause::new(Fault::Caller, Kind::Cancelled)));
    world.run(SECOND);
    assert_eq!(
        (world.sent(Side::A, "CANCEL"), world.sent(Side::A, "ACK"), world.sent(Side::A, "BYE")),
        (1, 1, 1)
    );
    assert!(matches!(world.session_events(Side::B).last(), Some(SessionEvent::Ended(_))));
    assert_eq!(world.session_events(Side::A).len(), 1);
    world.run(LONG);
    world.assert_idle();
}

#[test]
fn byes_that_cross_are_both_answered() {
    let mut world = World::new();
    let (a, b) = world.established();
    world.command(Side::A, a, SessionCommand::End(Cause::CALLER_HUNG_UP));
    world.command(Side::B, b, SessionCommand::End(Cause::CALLER_HUNG_UP));
    world.run(SECOND);
    assert_eq!((world.sent(Side::A, "200 BYE"), world.sent(Side::B, "200 BYE")), (1, 1));
    world.run(LONG);
    world.assert_idle();
}

#[test]
fn a_draining_endpoint_refuses_new_calls_and_keeps_old_ones() {
    let mut world = World::new();
    let (_, b) = world.established();
    world.input(Side::B, Input::Drain);
    world.call("sip:other@192.0.2.2");
    world.run(SECOND);
    let refusal = world.log.iter().find_map(|(_, _, message)| match message {
        Message::Response(response) if response.status == 503 => response.headers.retry_after(),
        _ => None,
    });
    assert!(refusal.is_some());
    assert!(matches!(world.session_events(Side::A).last(), Some(SessionEvent::Ended(_))));
    world.command(Side::B, b, SessionCommand::End(Cause::new(Fault::Gateway, Kind::Draining)));
    world.run(LONG);
    world.assert_idle();
}

#[test]
fn a_lost_connection_fails_the_call_that_waits_on_it() {
    let mut world = World::with_wire(Box::new(|_, _| Fate::Lost));
    world.call("sip:meeting@192.0.2.2;transport=tcp");
    let flow = sip::endpoint::Flow {
        transport: sip::endpoint::Transport::Tcp,
        local: "192.0.2.1:40000".parse().unwrap(),
        remote: Side::B.address(),
        connection: 1,
    };
    world.input(Side::A, Input::FlowClosed(flow));
    let ended = SessionEvent::Ended(Cause::new(Fault::Network, Kind::Unreachable));
    assert_eq!(world.session_events(Side::A), [ended]);
    world.assert_idle();
}

#[test]
fn a_name_that_leads_nowhere_fails_the_call() {
    let mut world = World::new();
    world.call("sip:meeting@nowhere.example.com");
    let ended = SessionEvent::Ended(Cause::new(Fault::Network, Kind::Unreachable));
    assert_eq!(world.session_events(Side::A), [ended]);
    world.assert_idle();
}
