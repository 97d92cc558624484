//! Changes of a call that stands: offers both ways, glare, refreshes, INFO.

use super::rig::{Fate, LATENCY, Side, World, label, sdp};
use base::{Cause, Fault, Kind};
use bytes::Bytes;
use sip::session::{SessionCommand, SessionEvent};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(70);

fn answer_everything(event: &sip::endpoint::Event) -> Vec<(base::ids::SessionId, SessionCommand)> {
    match event {
        sip::endpoint::Event::Session { id, event: SessionEvent::Offer(_) | SessionEvent::OfferWanted } => {
            vec![(*id, SessionCommand::Answer(sdp("changed")))]
        }
        _ => Vec::new(),
    }
}

#[test]
fn an_offer_is_made_by_update_and_answered_both_ways() {
    for side in [Side::A, Side::B] {
        let mut world = World::new();
        let (a, b) = world.established();
        let id = if side == Side::A { a } else { b };
        world.command(side, id, SessionCommand::Offer(sdp("hold")));
        world.run_with(SECOND, |_, event| answer_everything(event));
        assert_eq!(world.session_events(side.other()), [SessionEvent::Offer(sdp("hold"))]);
        assert_eq!(world.session_events(side), [SessionEvent::Answer(sdp("changed"))]);
        assert_eq!(world.sent(side, "UPDATE"), 1);
    }
}

#[test]
fn a_refused_offer_leaves_the_session_standing() {
    let mut world = World::new();
    let (a, b) = world.established();
    world.command(Side::A, a, SessionCommand::Offer(sdp("odd")));
    world.run(Duration::from_millis(100));
    world.command(Side::B, b, SessionCommand::RefuseOffer);
    world.run(SECOND);
    assert_eq!(world.session_events(Side::A), [SessionEvent::OfferRefused(488)]);
    world.command(Side::A, a, SessionCommand::End(Cause::CALLER_HUNG_UP));
    world.run(LONG);
    world.assert_idle();
}

#[test]
fn offers_that_cross_are_refused_with_491_and_tried_again_until_both_are_answered() {
    let mut world = World::new();
    let (a, b) = world.established();
    world.command(Side::A, a, SessionCommand::Offer(sdp("from a")));
    world.command(Side::B, b, SessionCommand::Offer(sdp("from b")));
    world.run_with(10 * SECOND, |_, event| answer_everything(event));
    assert_eq!((world.sent(Side::A, "491 UPDATE"), world.sent(Side::B, "491 UPDATE")), (1, 1));
    for (side, theirs) in [(Side::A, "from b"), (Side::B, "from a")] {
        let events = world.session_events(side);
        assert!(events.contains(&SessionEvent::Answer(sdp("changed"))), "{side:?}: {events:?}");
        assert!(events.contains(&SessionEvent::Offer(sdp(theirs))), "{side:?}: {events:?}");
    }
    world.command(Side::A, a, SessionCommand::End(Cause::CALLER_HUNG_UP));
    world.run(LONG);
    world.assert_idle();
}

#[test]
fn an_offer_made_before_the_ack_waits_for_it() {
    let mut world = World::new();
    world.call("sip:meeting@192.0.2.2");
    world.run(SECOND);
    let b = world.incoming(Side::B);
    world.command(Side::B, b, SessionCommand::Accept(sdp("answer")));
    world.command(Side::B, b, SessionCommand::Offer(sdp("early")));
    assert_eq!(world.sent(Side::B, "UPDATE"), 0);
    world.run_with(SECOND, |_, event| answer_everything(event));
    assert!(world.session_events(Side::B).contains(&SessionEvent::Answer(sdp("changed"))));
}

#[test]
fn an_info_reaches_the_peer_if_its_type_is_taken() {
    let mut world = World::new();
    let (a, _) = world.established();
    let body = Bytes::from_static(b"<media_control/>");
    let info = |content_type| SessionCommand::Info { content_type, body: body.clone() };
    world.command(Side::A, a, info("application/media_control+xml"));
    world.command(Side::A, a, info("application/other"));
    world.run(SECOND);
    let content_type = "application/media_control+xml".to_owned();
    assert_eq!(world.session_events(Side::B), [SessionEvent::Info { content_type, body }]);
    assert_eq!(world.sent(Side::B, "415 INFO"), 1);
}

#[test]
fn a_session_is_refreshed_at_half_its_interval_and_lives_on() {
    let mut world = World::new();
    let (a, _) = world.established();
    world.run(Duration::from_secs(3 * 900 + 10));
    assert_eq!(world.sent_at(Side::A, "UPDATE").len(), 3);
    assert_eq!(world.sent(Side::B, "200 UPDATE"), 3);
    assert!(world.session_events(Side::A).is_empty() && world.session_events(Side::B).is_empty());
    world.command(Side::A, a, SessionCommand::End(Cause::CALLER_HUNG_UP));
    world.run(LONG);
    world.assert_idle();
}

#[test]
fn a_session_whose_peer_died_silently_ends_with_its_cause() {
    let mut dead = false;
    let mut world = World::with_wire(Box::new(move |side, message| {
        dead |= side == Side::A && label(message) == "UPDATE";
        if dead { Fate::Lost } else { Fate::Arrives(LATENCY) }
    }));
    world.established();
    world.run(Duration::from_secs(1900));
    let timed_out = SessionEvent::Ended(Cause::new(Fault::Network, Kind::SignallingTimeout));
    assert_eq!(world.session_events(Side::A), [timed_out]);
    let expired = SessionEvent::Ended(Cause::new(Fault::Network, Kind::SessionExpired));
    assert_eq!(world.session_events(Side::B), [expired]);
    world.run(LONG);
    world.assert_idle();
}

#[test]
fn a_change_that_nobody_answers_ends_the_call() {
    let mut world = World::with_wire(Box::new(|_, message| match label(message).as_str() {
        "UPDATE" => Fate::Lost,
        _ => Fate::Arrives(LATENCY),
    }));
    let (a, _) = world.established();
    world.command(Side::A, a, SessionCommand::Offer(sdp("lost")));
    world.run(LONG);
    assert!(matches!(world.session_events(Side::A).last(), Some(SessionEvent::Ended(_))));
    assert!(matches!(world.session_events(Side::B).last(), Some(SessionEvent::Ended(_))));
    world.run(LONG);
    world.assert_idle();
}
