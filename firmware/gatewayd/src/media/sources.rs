//! Who feeds what is decoded. Calls in one meeting receive the same participants, so each is decoded once.
//!
//! A source has one feeder per call that shows it; the *leader's* frames go to the decoder. The leader is who shows it
//! largest, because that call's copy is the largest layer; a change waits for a picture that stands alone, which is asked
//! for. Where a leader goes, another takes its place at once, and the decoder is told that frames are missing in between.

use super::lane::Urgency;
use super::steps::Input;
use super::{LaneId, Place};
use base::ids::{CallId, ParticipantId};
use base::leg::RecvStream;
use base::{EncodedFrame, MediaKind};
use domain::media::Side;
use media_dsp::message::MAIN_SILENT;
use media_dsp::{SourceId, SourceKind};
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::time::Instant;

/// A meeting of a conference: calls with equal keys see the same participants.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MeetingKey {
    /// The connector's name.
    pub connector: String,
    /// The meeting's id.
    pub meeting: String,
}

impl MeetingKey {
    /// For a call that is in no meeting yet, and shares nothing.
    #[must_use]
    pub fn alone(call: CallId) -> Self {
        Self { connector: String::new(), meeting: call.to_string() }
    }
}

/// What a source is the same by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    /// A stream that nobody else receives.
    Own(Place),
    /// A participant's stream in a meeting.
    Shared(MeetingKey, ParticipantId, MediaKind),
}

struct Source {
    lane: LaneId,
    kind: SourceKind,
    key: Key,
    /// Never empty.
    feeders: Vec<Feeder>,
    /// Index of the feeder whose frames are decoded.
    leader: usize,
    /// The leader is another than the one whose frame came last.
    broken_off: bool,
}

struct Feeder {
    place: Place,
    area: u64,
    urgency: Urgency,
}

/// All sources of a plane.
#[derive(Default)]
pub struct Sources {
    sources: HashMap<SourceId, Source>,
    by_key: HashMap<Key, SourceId>,
    by_place: HashMap<Place, SourceId>,
    next: u64,
    /// Feeders that lead, or would, with a picture that stands alone.
    asking: Vec<Place>,
    /// When the main picture that a call is shown last moved.
    mains: HashMap<CallId, Instant>,
}

impl Source {
    /// Whether this feeder shows the source larger than the leader does.
    fn outgrows(&self, feeder: &Feeder) -> bool {
        self.feeders.get(self.leader).is_some_and(|leader| feeder.area > leader.area)
    }

    /// Index of the feeder that shows it largest, the oldest of them.
    fn largest(&self) -> usize {
        let areas = self.feeders.iter().enumerate().rev();
        areas.max_by_key(|(_, feeder)| feeder.area).map_or(0, |(at, _)| at)
    }
}

impl Sources {
    /// Makes `call` a feeder of what `input` names. Returns the source if it is a new one, to be added to its lane.
    pub fn take(
        &mut self,
        call: CallId,
        input: &Input,
        lane: LaneId,
        meeting: &MeetingKey,
        stream: Option<&RecvStream>,
    ) -> Option<(SourceId, SourceKind)> {
        let place = (call, input.side, input.stream);
        if let Some(id) = self.by_place.get(&place).copied() {
            self.resize(id, place, input);
            return None;
        }
        let key = match stream.and_then(|stream| Some((stream.participant.clone()?, stream.kind))) {
            Some((participant, kind)) => Key::Shared(meeting.clone(), participant, kind),
            None => Key::Own(place),
        };
        let feeder = Feeder { place, area: input.area, urgency: input.urgency };
        if let Some(id) = self.by_key.get(&key).copied()
            && let Some(source) = self.sources.get_mut(&id)
        {
            if source.outgrows(&feeder) {
                self.asking.push(place);
            }
            source.feeders.push(feeder);
            self.by_place.insert(place, id);
            return None;
        }
        let id = self.number();
        let kind = if input.picture { SourceKind::Picture } else { SourceKind::Sound };
        self.by_key.insert(key.clone(), id);
        self.by_place.insert(place, id);
        self.sources
            .insert(id, Source { lane, kind, key, feeders: vec![feeder], leader: 0, broken_off: false });
        Some((id, kind))
    }

    /// A number that no source had yet.
    pub fn number(&mut self) -> SourceId {
        self.next += 1;
        SourceId(self.next)
    }

    /// A place shows its source in another size, or elsewhere.
    fn resize(&mut self, id: SourceId, place: Place, &Input { area, urgency, .. }: &Input) {
        let Some(source) = self.sources.get_mut(&id) else { return };
        let Some(at) = source.feeders.iter().position(|feeder| feeder.place == place) else { return };
        let grown = area > source.feeders[at].area;
        (source.feeders[at].area, source.feeders[at].urgency) = (area, urgency);
        if grown && source.outgrows(&source.feeders[at]) {
            self.asking.push(place);
        }
    }

    /// The places whose next picture should stand alone; each is told once.
    pub fn asking(&mut self) -> impl Iterator<Item = Place> {
        std::mem::take(&mut self.asking).into_iter()
    }

    /// The places of `call` that are not in `kept` feed no longer. Returns the sources that nobody feeds now.
    pub fn release_all_but(&mut self, call: CallId, kept: &HashSet<Place>) -> Vec<(LaneId, SourceId)> {
        if kept.is_empty() {
            self.mains.remove(&call);
        }
        let gone: Vec<Place> =
            self.by_place.keys().filter(|place| place.0 == call && !kept.contains(place)).copied().collect();
        gone.into_iter().filter_map(|place| self.release(place)).collect()
    }

    fn release(&mut self, place: Place) -> Option<(LaneId, SourceId)> {
        let id = self.by_place.remove(&place)?;
        self.asking.retain(|asking| *asking != place);
        let source = self.sources.get_mut(&id)?;
        let at = source.feeders.iter().position(|feeder| feeder.place == place)?;
        source.feeders.remove(at);
        match at.cmp(&source.leader) {
            Ordering::Less => source.leader -= 1,
            Ordering::Equal => {
                source.leader = source.largest();
                source.broken_off = true;
                let next = source.feeders.get(source.leader).filter(|_| source.kind == SourceKind::Picture);
                self.asking.extend(next.map(|feeder| feeder.place));
            }
            Ordering::Greater => {}
        }
        if !source.feeders.is_empty() {
            return None;
        }
        let source = self.sources.remove(&id)?;
        self.by_key.remove(&source.key);
        Some((source.lane, id))
    }

    /// Whether this frame is to be decoded, where and how soon. A feeder that shows the source larger than the leader takes over
    /// with a picture that stands alone. What a new leader sends first does not follow from what came before.
    pub fn feed(
        &mut self,
        now: Instant,
        place: Place,
        frame: &mut EncodedFrame,
    ) -> Option<(LaneId, SourceId, Urgency)> {
        let id = *self.by_place.get(&place)?;
        let source = self.sources.get_mut(&id)?;
        let at = source.feeders.iter().position(|feeder| feeder.place == place)?;
        if at != source.leader && frame.key && source.outgrows(&source.feeders[at]) {
            source.leader = at;
            source.broken_off = true;
        }
        if at != source.leader {
            return None;
        }
        frame.contiguous &= !std::mem::take(&mut source.broken_off);
        Some((source.lane, id, self.urgency(now, id)))
    }

    /// That of whoever needs it soonest. Where a main picture is silent, those beside it drive what is composed.
    fn urgency(&mut self, now: Instant, id: SourceId) -> Urgency {
        let Some(source) = self.sources.get(&id) else { return Urgency::Now };
        let mut soonest = Urgency::Rides;
        for Feeder { place: (call, side, _), urgency, .. } in &source.feeders {
            let main = self.mains.entry(*call).or_insert(now);
            if *urgency == Urgency::Now && source.kind == SourceKind::Picture && *side == Side::Conference {
                *main = now;
            }
            if *urgency == Urgency::Now || now.saturating_duration_since(*main) >= MAIN_SILENT {
                soonest = Urgency::Now;
            }
        }
        soonest
    }

    /// The source that this place feeds.
    pub fn of(&self, place: Place) -> Option<SourceId> {
        self.by_place.get(&place).copied()
    }

    /// The place whose frames are decoded, if that is done in this lane.
    pub fn leader_in(&self, lane: LaneId, source: SourceId) -> Option<Place> {
        let source = self.sources.get(&source).filter(|source| source.lane == lane)?;
        source.feeders.get(source.leader).map(|feeder| feeder.place)
    }

    /// All sources of a lane.
    pub fn in_lane(&self, lane: LaneId) -> Vec<(SourceId, SourceKind)> {
        let here = self.sources.iter().filter(|(_, source)| source.lane == lane);
        here.map(|(id, source)| (*id, source.kind)).collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.sources.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::ids::StreamId;
    use base::{Codec, MediaTime};
    use bytes::Bytes;
    use std::time::Duration;

    fn meeting() -> MeetingKey {
        MeetingKey { connector: "meet".into(), meeting: "1234567890123".into() }
    }

    fn stream(id: u32) -> RecvStream {
        let participant = Some(ParticipantId("spaces/1/devices/2".into()));
        RecvStream { id: StreamId(id), kind: MediaKind::Video, codec: Codec::Vp8, participant }
    }

    fn input(stream: u32, area: u64) -> Input {
        Input {
            side: Side::Conference,
            stream: StreamId(stream),
            picture: true,
            area,
            urgency: Urgency::Rides,
        }
    }

    fn frame(key: bool) -> EncodedFrame {
        let data = Bytes::from_static(b"x");
        let time = MediaTime::default();
        EncodedFrame { codec: Codec::Vp8, captured: time, arrived: time, key, contiguous: true, data }
    }

    const fn place(call: u64, stream: u32) -> Place {
        (CallId(call), Side::Conference, StreamId(stream))
    }

    /// Two calls show the same participant, the first small, the second large.
    fn shared() -> (Sources, SourceId) {
        let mut sources = Sources::default();
        let (id, _) = sources
            .take(CallId(1), &input(7, 100), LaneId(1), &meeting(), Some(&stream(7)))
            .expect("a new source");
        assert_eq!(sources.take(CallId(2), &input(3, 900), LaneId(1), &meeting(), Some(&stream(3))), None);
        (sources, id)
    }

    #[test]
    fn two_calls_in_a_meeting_decode_a_participant_once() {
        let (sources, id) = shared();
        assert_eq!(sources.len(), 1);
        assert_eq!((sources.of(place(1, 7)), sources.of(place(2, 3))), (Some(id), Some(id)));
    }

    #[test]
    fn who_shows_a_participant_largest_leads_from_a_key_picture_on() {
        let (mut sources, id) = shared();
        assert!(sources.feed(Instant::now(), place(1, 7), &mut frame(false)).is_some());
        assert!(
            sources.feed(Instant::now(), place(2, 3), &mut frame(false)).is_none(),
            "not without a key picture"
        );
        assert_eq!(
            sources.feed(Instant::now(), place(2, 3), &mut frame(true)),
            Some((LaneId(1), id, Urgency::Rides))
        );
        assert!(
            sources.feed(Instant::now(), place(1, 7), &mut frame(true)).is_none(),
            "the smaller copy is not decoded"
        );
        assert_eq!(sources.leader_in(LaneId(1), id), Some(place(2, 3)));
        assert_eq!(sources.leader_in(LaneId(0), id), None, "no other worker speaks for it");
    }

    #[test]
    fn who_would_lead_is_asked_for_a_key_picture_once() {
        let (mut sources, _) = shared();
        assert_eq!(sources.asking().collect::<Vec<_>>(), [place(2, 3)]);
        assert_eq!(sources.asking().count(), 0);
        sources.take(CallId(1), &input(7, 2_000), LaneId(1), &meeting(), Some(&stream(7)));
        assert_eq!(sources.asking().count(), 0, "it leads already");
        sources.take(CallId(2), &input(3, 8_000), LaneId(1), &meeting(), Some(&stream(3)));
        assert_eq!(sources.asking().collect::<Vec<_>>(), [place(2, 3)]);
    }

    #[test]
    fn what_a_new_leader_sends_first_does_not_follow_from_what_came_before() {
        let (mut sources, _) = shared();
        let fed = |sources: &mut Sources, from: Place| {
            let mut frame = frame(false);
            sources.feed(Instant::now(), from, &mut frame).map(|_| frame.contiguous)
        };
        assert_eq!(fed(&mut sources, place(1, 7)), Some(true));
        sources.asking().for_each(drop);
        sources.release_all_but(CallId(1), &HashSet::new());
        assert_eq!(sources.asking().collect::<Vec<_>>(), [place(2, 3)], "a picture is asked for");
        assert_eq!(fed(&mut sources, place(2, 3)), Some(false));
        assert_eq!(fed(&mut sources, place(2, 3)), Some(true));
    }

    #[test]
    fn when_the_leader_goes_another_takes_over_and_with_the_last_the_source_goes() {
        let (mut sources, id) = shared();
        sources.feed(Instant::now(), place(2, 3), &mut frame(true));
        assert_eq!(sources.release_all_but(CallId(2), &HashSet::new()), []);
        assert_eq!(sources.leader_in(LaneId(1), id), Some(place(1, 7)));
        assert_eq!(sources.release_all_but(CallId(1), &HashSet::new()), [(LaneId(1), id)]);
        assert_eq!(sources.len(), 0);
        assert!(sources.feed(Instant::now(), place(1, 7), &mut frame(true)).is_none());
    }

    #[test]
    fn a_picture_that_rides_along_in_one_call_is_urgent_while_another_goes_by_it() {
        let (mut sources, id) = shared();
        let urgency = |sources: &mut Sources| sources.feed(Instant::now(), place(1, 7), &mut frame(false));
        assert_eq!(urgency(&mut sources), Some((LaneId(1), id, Urgency::Rides)));
        // when it becomes the main picture of the other call
        let main = Input { urgency: Urgency::Now, ..input(3, 900) };
        assert_eq!(sources.take(CallId(2), &main, LaneId(1), &meeting(), Some(&stream(3))), None);
        assert_eq!(urgency(&mut sources), Some((LaneId(1), id, Urgency::Now)));
        // and when that call has gone
        assert_eq!(sources.release_all_but(CallId(2), &HashSet::new()), []);
        assert_eq!(urgency(&mut sources), Some((LaneId(1), id, Urgency::Rides)));
    }

    #[test]
    fn where_the_main_picture_is_silent_those_beside_it_wait_for_nothing() {
        let mut sources = Sources::default();
        let other = RecvStream { participant: None, ..stream(8) };
        let main = Input { urgency: Urgency::Now, ..input(8, 900) };
        sources.take(CallId(1), &main, LaneId(1), &meeting(), Some(&other));
        sources.take(CallId(1), &input(7, 100), LaneId(1), &meeting(), Some(&stream(7)));
        let began = Instant::now();
        let mut fed = |ms, stream| {
            let now = began + Duration::from_millis(ms);
            sources.feed(now, place(1, stream), &mut frame(false)).map(|(_, _, urgency)| urgency)
        };
        assert_eq!(
            [fed(0, 8), fed(30, 7), fed(66, 7)],
            [Urgency::Now, Urgency::Rides, Urgency::Rides].map(Some)
        );
        assert_eq!([fed(67, 7), fed(90, 7)], [Some(Urgency::Now); 2], "nothing came to ride on");
        assert_eq!([fed(100, 8), fed(101, 7)], [Urgency::Now, Urgency::Rides].map(Some));
    }

    #[test]
    fn a_room_is_never_shared() {
        let mut sources = Sources::default();
        let room =
            RecvStream { id: StreamId(1), kind: MediaKind::Video, codec: Codec::H264, participant: None };
        let input =
            Input { side: Side::Caller, stream: StreamId(1), picture: true, area: 1, urgency: Urgency::Now };
        for call in 1..=2 {
            assert!(sources.take(CallId(call), &input, LaneId(1), &meeting(), Some(&room)).is_some());
        }
        assert_eq!(sources.len(), 2);
    }
}
