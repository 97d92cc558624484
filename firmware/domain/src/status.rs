//! The live view: what goes on in the box, as plain snapshots that a page, a terminal or a test can read.
//!
//! Calls into the same meeting stand together as one external conference (P7). A call has two legs, each with its
//! aliases and streams (P8). The daemon fills a [`Snapshot`] every so often; [`Meter`] makes rates of the counters.
//! Everything serialises with `serde`; on a terminal `Display` prints one line for each stream.

use crate::call;
use crate::media::Side;
use crate::routing::protocol_name;
use base::frame::{MediaKind, Size};
use base::ids::StreamId;
use base::leg::{Direction, Protocol, StreamStats};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};
use utoipa::ToSchema;

/// Everything that goes on.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct Snapshot {
    /// Conferences with calls in them, by name.
    pub conferences: Vec<Conference>,
    /// Calls that no rule has taken yet.
    pub unrouted: Vec<Call>,
}

/// An external conference, and who is in it through this box.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Conference {
    /// The connector it is reached by.
    pub connector: String,
    /// The meeting's id.
    pub meeting: String,
    /// The calls into it, the oldest first.
    pub calls: Vec<Call>,
}

/// A gateway call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Call {
    /// Its number.
    pub id: u64,
    /// Where it stands.
    pub state: String,
    /// How long it has been there, in seconds.
    pub age_s: u64,
    /// What was dialled.
    pub alias: Option<String>,
    /// Who dialled.
    pub caller: Option<String>,
    /// The name the caller gives itself.
    pub display_name: Option<String>,
    /// The rule that took it.
    pub rule: Option<String>,
    /// How many keys its caller has keyed in a reception.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyed: Option<usize>,
    /// How the room's picture is arranged.
    pub layout: String,
    /// Its legs: the caller's, then the conference's if there is one.
    pub legs: Vec<Leg>,
    /// Who else is in the meeting.
    pub participants: Vec<Participant>,
    /// The conference it is in, or was: its connector and the meeting's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    meeting: Option<Meeting>,
}

/// Which conference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Meeting {
    /// The connector it is reached by.
    pub connector: String,
    /// The meeting's id.
    pub id: String,
}

/// One leg of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Leg {
    /// What it speaks.
    pub protocol: String,
    /// What it is known by: the room's alias; of a conference's leg the meeting id, the room, and each participant's
    /// `spaces/<id>/devices/<id>`.
    pub aliases: Vec<String>,
    /// Its media streams.
    pub streams: Vec<Stream>,
}

/// Somebody in the meeting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Participant {
    /// `spaces/<id>/devices/<id>`.
    pub id: String,
    /// The name others see.
    pub name: String,
    /// Sends sound.
    pub audio: bool,
    /// Sends a picture.
    pub video: bool,
}

/// A media stream, over the time since the snapshot before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Stream {
    /// Its number within the leg and direction.
    pub id: u32,
    /// `send` or `receive`, seen from the box.
    pub direction: String,
    /// `audio`, `video` or `content`.
    pub kind: String,
    /// As SDP spells it.
    pub codec: String,
    /// Bits of payload per second.
    pub bps: u64,
    /// Width and height of the picture, once one was seen.
    pub resolution: Option<(u32, u32)>,
    /// Pictures per second.
    pub fps: Option<f64>,
    /// Packets since the stream began.
    pub packets: u64,
    /// Packets lost since the stream began.
    pub lost: u64,
    /// Packets lost of a hundred.
    pub loss_percent: f64,
    /// Interarrival jitter in milliseconds.
    pub jitter_ms: f64,
    /// Round trip in milliseconds, once known.
    pub round_trip_ms: Option<f64>,
}

/// What the media plane knows of a stream's pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture {
    /// The last one's size.
    pub size: Size,
    /// How many there were since the stream began.
    pub count: u64,
}

/// Makes rates of a leg's counters; one for each leg, read once for each snapshot.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    before: HashMap<(StreamId, Direction), Reading>,
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    at: Instant,
    packets: u64,
    bytes: u64,
    lost: u64,
    pictures: u64,
}

impl Meter {
    /// The leg's streams at `now`. `picture` is asked for each picture stream's.
    pub fn read(
        &mut self,
        now: Instant,
        stats: &[StreamStats],
        picture: impl Fn(StreamId, Direction) -> Option<Picture>,
    ) -> Vec<Stream> {
        let before = std::mem::take(&mut self.before);
        let mut streams = Vec::with_capacity(stats.len());
        for stats in stats {
            let key = (stats.stream, stats.direction);
            let picture = picture(stats.stream, stats.direction).filter(|_| stats.kind != MediaKind::Audio);
            let reading = Reading {
                at: now,
                packets: stats.packets,
                bytes: stats.bytes,
                lost: stats.lost,
                pictures: picture.map_or(0, |picture| picture.count),
            };
            streams.push(stream(stats, picture, reading, before.get(&key)));
            self.before.insert(key, reading);
        }
        streams
    }
}

fn stream(stats: &StreamStats, picture: Option<Picture>, now: Reading, before: Option<&Reading>) -> Stream {
    let since = before.map_or(Duration::ZERO, |before| now.at.saturating_duration_since(before.at));
    let grown = |now: u64, of: fn(&Reading) -> u64| now.saturating_sub(before.map_or(0, of));
    let per_second = |count: u64| if since.is_zero() { 0.0 } else { number(count) / since.as_secs_f64() };
    let (packets, lost) = (grown(now.packets, |r| r.packets), grown(now.lost, |r| r.lost));
    let expected = match stats.direction {
        Direction::Send => packets,
        Direction::Receive => packets + lost,
    };
    Stream {
        id: stats.stream.0,
        direction: match stats.direction {
            Direction::Send => "send",
            Direction::Receive => "receive",
        }
        .to_owned(),
        kind: match stats.kind {
            MediaKind::Audio => "audio",
            MediaKind::Video => "video",
            MediaKind::Content => "content",
        }
        .to_owned(),
        codec: stats.codec.to_string(),
        bps: whole(per_second(grown(now.bytes, |r| r.bytes)) * 8.0),
        resolution: picture.map(|picture| (picture.size.width, picture.size.height)),
        fps: picture.map(|_| tenth(per_second(grown(now.pictures, |r| r.pictures)))),
        packets: stats.packets,
        lost: stats.lost,
        loss_percent: if expected == 0 {
            0.0
        } else {
            tenth((100.0 * number(lost) / number(expected)).min(100.0))
        },
        jitter_ms: tenth(stats.jitter.as_secs_f64() * 1000.0),
        round_trip_ms: stats.round_trip.map(|time| tenth(time.as_secs_f64() * 1000.0)),
    }
}

fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[allow(clippy::cast_precision_loss, reason = "figures for people")]
fn number(count: u64) -> f64 {
    count as f64
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures for people, never negative"
)]
fn whole(value: f64) -> u64 {
    value.round() as u64
}

impl Call {
    /// `call` as it stands, `age` after it began, with the streams of its caller's and its conference's leg.
    #[must_use]
    pub fn new(call: &call::Call, age: Duration, caller: Vec<Stream>, conference: Vec<Stream>) -> Self {
        let dialled = call.dialled();
        let route = call.route();
        let room = dialled.map(|dialled| dialled.caller.short().to_owned());
        let mut legs = vec![Leg {
            protocol: dialled.map_or("", |dialled| protocol_name(dialled.protocol)).to_owned(),
            aliases: room.iter().cloned().collect(),
            streams: caller,
        }];
        if let Some((_, _, meeting)) = route {
            let participants = call.roster().iter().map(|person| person.id.0.clone());
            let aliases = std::iter::once(meeting.to_owned()).chain(room.clone()).chain(participants);
            let protocol = protocol_name(Protocol::Meet).to_owned();
            legs.push(Leg { protocol, aliases: aliases.collect(), streams: conference });
        }
        Self {
            id: call.id().0,
            state: call.state().to_string(),
            age_s: age.as_secs(),
            alias: dialled.map(|dialled| dialled.alias.short().to_owned()),
            caller: room,
            display_name: dialled.map(|dialled| dialled.display_name.reveal().to_owned()),
            rule: route.map(|(rule, _, _)| rule.to_owned()),
            keyed: call.keys(),
            layout: call.layout().name().to_owned(),
            legs,
            participants: call.roster().iter().map(Participant::new).collect(),
            meeting: route.map(|(_, connector, meeting)| Meeting {
                connector: connector.to_owned(),
                id: meeting.to_owned(),
            }),
        }
    }

    /// Its connector and meeting.
    #[must_use]
    pub fn meeting(&self) -> Option<(&str, &str)> {
        self.meeting.as_ref().map(|meeting| (&*meeting.connector, &*meeting.id))
    }

    /// The streams of one of its legs.
    #[must_use]
    pub fn streams(&self, side: Side) -> &[Stream] {
        let place = match side {
            Side::Caller => 0,
            Side::Conference => 1,
        };
        self.legs.get(place).map_or(&[], |leg| &leg.streams)
    }
}

impl Participant {
    fn new(person: &base::leg::Participant) -> Self {
        Self {
            id: person.id.0.clone(),
            name: person.name.reveal().to_owned(),
            audio: person.audio,
            video: person.video,
        }
    }
}

impl Snapshot {
    /// These calls, put together by conference.
    #[must_use]
    pub fn new(calls: impl IntoIterator<Item = Call>) -> Self {
        let mut snapshot = Self::default();
        let mut calls: Vec<_> = calls.into_iter().collect();
        calls.sort_by_key(|call| call.id);
        for call in calls {
            let Some(Meeting { connector, id: meeting }) = call.meeting.clone() else {
                snapshot.unrouted.push(call);
                continue;
            };
            let same = |known: &&mut Conference| known.connector == connector && known.meeting == meeting;
            match snapshot.conferences.iter_mut().find(same) {
                Some(conference) => conference.calls.push(call),
                None => snapshot.conferences.push(Conference { connector, meeting, calls: vec![call] }),
            }
        }
        snapshot.conferences.sort_by(|a, b| (&a.connector, &a.meeting).cmp(&(&b.connector, &b.meeting)));
        snapshot
    }

    /// Every call there is.
    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        self.conferences.iter().flat_map(|conference| &conference.calls).chain(&self.unrouted)
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.calls().next().is_none() {
            return f.write_str("no calls");
        }
        for conference in &self.conferences {
            writeln!(f, "meeting {} by {}", conference.meeting, conference.connector)?;
            conference.calls.iter().try_for_each(|call| write!(f, "{call}"))?;
        }
        self.unrouted.iter().try_for_each(|call| write!(f, "{call}"))
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, state, age_s, layout, .. } = self;
        let caller = self.caller.as_deref().unwrap_or("somebody");
        let seen = self.participants.len();
        writeln!(f, "  call-{id} {caller}: {state}, {age_s} s, layout {layout}, {seen} others")?;
        for leg in &self.legs {
            for stream in &leg.streams {
                writeln!(f, "    {:<6} {stream}", leg.protocol)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { direction, kind, codec, loss_percent, jitter_ms, .. } = self;
        let kbps = self.bps / 1000;
        write!(
            f,
            "{direction:<7} {kind:<7} {codec:<5} {kbps:>5} kbit/s  loss {loss_percent:>4.1} %  jitter {jitter_ms:>5.1} ms"
        )?;
        if let Some((width, height)) = self.resolution {
            write!(f, "  {width}x{height}")?;
        }
        self.fps.map_or(Ok(()), |fps| write!(f, " at {fps:.1}/s"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{Call as Machine, CallInput};
    use crate::config::Config;
    use base::Codec;
    use base::ids::{CallId, ParticipantId};
    use base::leg::{Dialled, LegEvent};
    use base::{Alias, Machine as _, Pii};
    use std::sync::Arc;

    fn config() -> Arc<Config> {
        let text = "gateway.domains = ['m.example']\n[[tokens]]\nname = 't'\nvalue = 'v'\ntrust = 'trusted'\n\
                    [[connectors]]\nname = 'meet'\nkind = 'interop'\nurl = 'https://c.example'\n\
                    [[rules]]\nname = 'all'\npriority = 1\n";
        Arc::new(Config::parse("test.toml", text).unwrap_or_else(|problems| panic!("{problems}")))
    }

    fn call(id: u64, meeting: &str) -> Machine {
        let mut call = Machine::new(CallId(id), config());
        let now = Instant::now();
        let person = base::leg::Participant {
            id: ParticipantId("spaces/s/devices/1".into()),
            name: Pii::new("Ann"),
            audio: true,
            video: true,
        };
        for (side, event) in [
            (
                Side::Caller,
                LegEvent::Incoming(Dialled {
                    alias: Alias::parse(&format!("{meeting}@m.example"), "sip").unwrap(),
                    caller: Alias::parse(&format!("room{id}@example.com"), "sip").unwrap(),
                    display_name: Pii::new("Room"),
                    protocol: Protocol::Sip,
                    source: "192.0.2.1:5060".parse().unwrap(),
                    registered: false,
                    user_agent: None,
                }),
            ),
            (Side::Conference, LegEvent::Connected),
            (Side::Conference, LegEvent::Roster(vec![person])),
        ] {
            call.step(now, CallInput::Leg(side, event), |_| ());
        }
        call
    }

    fn stats(packets: u64, bytes: u64, lost: u64) -> StreamStats {
        StreamStats {
            stream: StreamId(4),
            direction: Direction::Receive,
            kind: MediaKind::Video,
            codec: Codec::H264,
            packets,
            bytes,
            lost,
            jitter: Duration::from_micros(2_340),
            round_trip: Some(Duration::from_millis(12)),
        }
    }

    fn one(call: &Machine) -> Call {
        Call::new(call, Duration::from_secs(61), Vec::new(), Vec::new())
    }

    #[test]
    fn p7_calls_into_the_same_meeting_stand_together_as_one_conference() {
        let calls = [call(3, "2222222222222"), call(2, "1111111111111"), call(1, "2222222222222")];
        let snapshot = Snapshot::new(calls.iter().map(one));
        let ids = |conference: &Conference| conference.calls.iter().map(|call| call.id).collect::<Vec<_>>();
        assert_eq!(snapshot.conferences.iter().map(ids).collect::<Vec<_>>(), [vec![2], vec![1, 3]]);
        assert_eq!(snapshot.calls().count(), 3);
        let fresh = Machine::new(CallId(4), config());
        assert_eq!(Snapshot::new([one(&fresh)]).unrouted.len(), 1);
    }

    #[test]
    fn p8_the_conference_leg_is_known_by_meeting_device_and_participants() {
        let status = one(&call(1, "1234567890123"));
        assert_eq!(status.legs[1].aliases, ["1234567890123", "room1@example.com", "spaces/s/devices/1"]);
        assert_eq!(status.legs[0].aliases, ["room1@example.com"]);
        assert_eq!(status.participants[0].name, "Ann");
    }

    #[test]
    fn p8_streams_have_rates_over_the_time_since_the_last_look() {
        let now = Instant::now();
        let picture = |count| move |_, _| Some(Picture { size: Size::HD720, count });
        let mut meter = Meter::default();
        let first = meter.read(now, &[stats(100, 100_000, 0)], picture(30));
        assert_eq!((first[0].bps, first[0].fps), (0, Some(0.0)), "no rate from one look");
        let later = now + Duration::from_secs(2);
        let second = meter.read(later, &[stats(190, 350_000, 10)], picture(90));
        let stream = &second[0];
        assert_eq!((stream.bps, stream.fps, stream.resolution), (1_000_000, Some(30.0), Some((1280, 720))));
        assert_eq!((stream.loss_percent, stream.jitter_ms, stream.round_trip_ms), (10.0, 2.3, Some(12.0)));
        assert_eq!(
            stream.to_string(),
            "receive video   H264   1000 kbit/s  loss 10.0 %  jitter   2.3 ms  1280x720 at 30.0/s"
        );
        assert!(
            meter.read(later, &[], picture(0)).is_empty() && meter.before.is_empty(),
            "it forgets what is gone"
        );
    }

    #[test]
    fn a_snapshot_reads_on_a_terminal_and_as_json() {
        let now = Instant::now();
        let mut meter = Meter::default();
        let streams = meter.read(now, &[stats(1, 1, 0)], |_, _| None);
        let call = Call::new(&call(1, "1234567890123"), Duration::from_secs(61), streams, Vec::new());
        let snapshot = Snapshot::new([call]);
        let text = snapshot.to_string();
        assert!(text.starts_with("meeting 1234567890123 by meet\n  call-1 room1@example.com: connecting, 61 s, layout 1+7, 1 others\n    sip    receive video"), "{text}");
        assert_eq!(Snapshot::default().to_string(), "no calls");
        let json = serde_json::to_value(&snapshot).unwrap();
        assert_eq!(json["conferences"][0]["calls"][0]["legs"][0]["streams"][0]["codec"], "H264");
        assert_eq!(json["conferences"][0]["calls"][0]["state"], "connecting");
    }
}
