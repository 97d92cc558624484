//! How a shard is: what the control socket is told.

use super::shard::{Shard, Slot};
use crate::control::Status;
use crate::media::Plane;
use base::ids::StreamId;
use base::leg::Direction;
use base::leg::Leg;
use domain::media::Side;
use domain::status::{Call, Snapshot};
use std::collections::BTreeMap;
use std::time::Instant;

/// Reads the shard.
pub fn read(shard: &mut Shard, now: Instant) -> Status {
    let (slots, plane) = shard.slots();
    let calls: Vec<Call> = slots.map(|slot| call(slot, plane, now)).collect();
    let lines = calls.iter().map(ToString::to_string).collect();
    let licences = shard.licensed.status();
    let (bugs, ended) = (shard.bugs, shard.ended.iter().cloned().collect());
    let mut departures = shard.departures;
    let parts = shard.parts();
    departures.add(parts.sip.departures());
    let (blocked, dropped) = parts.sip.blocked(now);
    let figures = parts.plane.figures();
    let (gauges, counters) = (parts.sip.endpoint().gauges(), parts.sip.endpoint().counters());
    let count = |value: usize| value as u64;
    Status {
        live: Snapshot::new(calls),
        calls: lines,
        held: BTreeMap::from([
            ("call_licences", licences.taken),
            ("dialogs", count(gauges.dialogs)),
            ("media_ports", count(parts.ports.out())),
            ("sessions", count(gauges.sessions)),
            ("sinks", count(figures.sinks)),
            ("sources", count(figures.sources)),
        ]),
        lingering: BTreeMap::from([(
            "transactions",
            count(gauges.server_transactions + gauges.client_transactions),
        )]),
        licences,
        ended,
        departures: departures.into(),
        picture_latency_ms: figures.latency.map(|latency| latency.as_secs_f64() * 1_000.0),
        blocked: blocked.into_iter().map(Into::into).collect(),
        counters: BTreeMap::from([
            ("sip_dropped", dropped),
            ("calls_without_licence", shard.licensed.refused()),
            ("internal_errors", bugs),
            ("sip_connections", count(parts.sip.connections())),
            ("sip_malformed", counters.malformed),
            ("sip_requests", counters.requests),
            ("sip_sessions", counters.sessions),
        ]),
        ..Status::default()
    }
}

pub(super) fn call(slot: &mut Slot, plane: &Plane, now: Instant) -> Call {
    let id = slot.call.machine().id();
    let of = |side: Side| {
        move |stream: StreamId, direction: Direction| plane.picture((id, side, stream), direction)
    };
    let stats = slot.call.caller().stats();
    let caller = slot.meters.0.read(now, &stats, of(Side::Caller));
    // When a call ends its conference's leg may be gone already; it is told as it was seen last.
    if let Some(leg) = slot.call.conference() {
        slot.conference = slot.meters.1.read(now, &leg.stats(), of(Side::Conference));
    }
    let conference = slot.conference.clone();
    Call::new(slot.call.machine(), now.saturating_duration_since(slot.call.began), caller, conference)
}
