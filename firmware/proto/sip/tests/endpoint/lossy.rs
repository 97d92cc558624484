//! Calls over a wire that loses, doubles and reorders, under schedules that proptest makes up.

use super::rig::{Fate, Side, World, sdp};
use base::ids::SessionId;
use base::{Cause, Fault, Kind};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use sip::endpoint::Event;
use sip::session::{SessionCommand, SessionEvent};
use std::time::Duration;

/// What the owner of a session does, and when, in milliseconds since the call began.
#[derive(Debug, Clone)]
struct Plan {
    callee: Vec<(u64, Act)>,
    caller: Vec<(u64, Act)>,
    fates: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Ring,
    Accept,
    Offer,
    End,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![1 => Just(Act::Ring), 3 => Just(Act::Accept), 1 => Just(Act::Offer), 1 => Just(Act::End)]
}

fn plan() -> impl Strategy<Value = Plan> {
    let acts = || prop::collection::vec((0_u64..9000, act()), 0..5);
    (acts(), acts(), prop::collection::vec(any::<u8>(), 64)).prop_map(|(mut callee, mut caller, fates)| {
        callee.sort_by_key(|(at, _)| *at);
        caller.sort_by_key(|(at, _)| *at);
        Plan { callee, caller, fates }
    })
}

/// One fifth lost, one tenth doubled, the rest late by up to 300 ms, so that later ones overtake.
fn fate(dice: u8) -> Fate {
    let late = |by: u8| Duration::from_millis(u64::from(by) * 3 / 2);
    match dice % 10 {
        0 | 1 => Fate::Lost,
        2 => Fate::Twice(late(dice), late(dice / 2)),
        _ => Fate::Arrives(late(dice)),
    }
}

fn command(act: Act) -> SessionCommand {
    match act {
        Act::Ring => SessionCommand::Ring,
        Act::Accept => SessionCommand::Accept(sdp("answer")),
        Act::Offer => SessionCommand::Offer(sdp("offer")),
        Act::End => SessionCommand::End(Cause::CALLER_HUNG_UP),
    }
}

fn react(event: &Event) -> Vec<(SessionId, SessionCommand)> {
    match event {
        Event::Session { id, event: SessionEvent::Offer(_) | SessionEvent::OfferWanted } => {
            vec![(*id, SessionCommand::Answer(sdp("changed")))]
        }
        _ => Vec::new(),
    }
}

fn ends(events: &[Event], of: SessionId) -> usize {
    let ended =
        |event: &&Event| matches!(event, Event::Session { id, event: SessionEvent::Ended(_) } if *id == of);
    events.iter().filter(ended).count()
}

fn ended_last(events: &[Event], of: SessionId) -> bool {
    let own = events.iter().rev().find(|event| matches!(event, Event::Session { id, .. } if *id == of));
    matches!(own, Some(Event::Session { event: SessionEvent::Ended(_), .. }))
}

fn sessions_at_b(world: &World) -> Vec<SessionId> {
    let id = |event: &Event| match event {
        Event::Session { id, event: SessionEvent::Invite { .. } } => Some(*id),
        _ => None,
    };
    world.events(Side::B).iter().filter_map(id).collect()
}

/// Follows the plan, then hangs up at both ends and waits until every timer must have run out.
fn play(plan: &Plan) -> (World, SessionId) {
    let mut dice = plan.fates.clone().into_iter().cycle();
    let mut world = World::with_wire(Box::new(move |_, _| fate(dice.next().unwrap_or(0))));
    let a = world.call("sip:meeting@192.0.2.2");
    let acts = plan.caller.iter().map(|(at, act)| (*at, Side::A, *act));
    let mut acts: Vec<_> = acts.chain(plan.callee.iter().map(|(at, act)| (*at, Side::B, *act))).collect();
    acts.sort_by_key(|(at, ..)| *at);
    for (at, side, act) in acts {
        let since = world.now - world.start;
        world.run_with(Duration::from_millis(at).saturating_sub(since), |_, event| react(event));
        let id = if side == Side::A { Some(a) } else { sessions_at_b(&world).first().copied() };
        if let Some(id) = id {
            world.command(side, id, command(act));
        }
    }
    world.run_with(Duration::from_secs(40), |_, event| react(event));
    let end = Cause::new(Fault::Gateway, Kind::HungUp);
    world.command(Side::A, a, SessionCommand::End(end));
    for b in sessions_at_b(&world) {
        world.command(Side::B, b, SessionCommand::End(end));
    }
    world.run_with(Duration::from_secs(200), |_, event| react(event));
    (world, a)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_call_ends_once_on_both_sides_and_leaves_nothing_behind(plan in plan()) {
        let (world, a) = play(&plan);
        prop_assert_eq!(ends(world.events(Side::A), a), 1);
        prop_assert!(ended_last(world.events(Side::A), a));
        let incoming = sessions_at_b(&world);
        prop_assert!(incoming.len() <= 1, "one call came in as {}", incoming.len());
        for b in incoming {
            prop_assert_eq!(ends(world.events(Side::B), b), 1);
            prop_assert!(ended_last(world.events(Side::B), b));
        }
        for side in [Side::A, Side::B] {
            prop_assert!(world.end(side).is_idle(), "{:?}: {:?}", side, world.end(side).gauges());
        }
    }
}

#[test]
fn the_schedules_do_lead_to_calls_that_stand_and_to_lost_messages() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut stood, mut again) = (0, 0);
    for _ in 0..100 {
        let plan = plan().new_tree(&mut runner).unwrap().current();
        let (world, a) = play(&plan);
        let confirmed = Event::Session { id: a, event: SessionEvent::Confirmed };
        stood += usize::from(world.events(Side::A).contains(&confirmed));
        again += usize::from(world.end(Side::A).counters().retransmissions_out > 0);
    }
    assert!(stood >= 25 && again >= 50, "{stood} of 100 calls stood, {again} had to repeat something");
}
