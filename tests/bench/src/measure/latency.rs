//! Delay added to the picture, from the last packet of a picture in to the first packet of the picture out that shows it.
//!
//! Every picture bears a number, and every packet is seen by the same tap, so the gateway and GStreamer are measured in the same
//! way and neither is asked. What is encrypted is told by its RTP header, which is not: the numbers come from
//! somebody in the meeting who watches, and his timestamps lie a constant apart from those on the wire.

use super::Bench;
use crate::barcode;
use crate::load::meeting::{Meeting, Received, Role};
use crate::load::player::{Player, Track};
use crate::load::room::Room;
use crate::peers::gstreamer::{self, Gstreamer};
use crate::report::Metric;
use crate::settings::{FRAMES, LAYERS, PLACES, Place, TILES};
use crate::stats::{Spread, percentile, ratios};
use crate::streams::{self, RtpHeader};
use crate::tap::{Captured, Tap};
use crate::under_test::{UnderTest, alias, meeting, put_first, sends_all_layers};
use anyhow::{Context, Result, ensure};
use codecs::{VideoDecoder, h264, vp8};
use e2e::lab::free_port;
use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant, SystemTime};

/// Until rates and jitter buffers have settled.
const SETTLE: Duration = Duration::from_secs(5);
/// How long pictures are counted.
const WINDOW: Duration = Duration::from_secs(10);
/// A delay longer than this is another picture of the same number.
const LONGEST: f64 = 2.0;
const GOAL_DOWN: f64 = 0.45;
const GOAL_UP: f64 = 1.0;

/// Measures the group.
///
/// # Errors
/// If a program fails.
pub fn measure(bench: &mut Bench) -> Result<Vec<Metric>> {
    let (mut ours, mut theirs) = (Both::default(), Both::default());
    let mut first = true;
    for round in 0..bench.effort.rounds {
        eprintln!("latency: round {} of {}", round + 1, bench.effort.rounds);
        bench.noise.sample()?;
        let (up, down, put) = gateway(bench)?;
        first &= put;
        ours.add(&up, &down)?;
        bench.noise.sample()?;
        let (up, down) = peer(bench)?;
        theirs.add(&up, &down)?;
    }
    let how = if first { "before all else on the machine" } else { "WITHOUT priority, neighbours count" };
    let mut metrics = Vec::new();
    for (way, goal, ours, theirs) in
        [("down", GOAL_DOWN, &ours.down, &theirs.down), ("up", GOAL_UP, &ours.up, &theirs.up)]
    {
        for (name, ours, theirs) in [("p50", &ours.p50, &theirs.p50), ("p99", &ours.p99, &theirs.p99)] {
            let own = Spread::of(ours).context("no rounds")?;
            let other = Spread::of(theirs).context("no rounds")?;
            metrics.push(Metric::new(&format!("latency.{way}.{name}"), "ms", own).peer(how));
            let ratio = Spread::of(&ratios(ours, theirs)).context("no rounds")?;
            let told = format!("GStreamer: {:.2} ms ({:.2}-{:.2})", other.median, other.min, other.max);
            let metric =
                Metric::new(&format!("latency.{way}.{name}.vs_gstreamer"), "ratio", ratio).peer(told);
            metrics.push(if name == "p50" { metric.goal(goal) } else { metric });
        }
    }
    Ok(metrics)
}

#[derive(Default)]
struct Way {
    p50: Vec<f64>,
    p99: Vec<f64>,
}

#[derive(Default)]
struct Both {
    up: Way,
    down: Way,
}

impl Both {
    fn add(&mut self, up: &[f64], down: &[f64]) -> Result<()> {
        for (way, delays) in [(&mut self.up, up), (&mut self.down, down)] {
            let milliseconds: Vec<f64> = delays.iter().map(|seconds| seconds * 1_000.0).collect();
            way.p50.push(percentile(&milliseconds, 50.0).context("no picture came through")?);
            way.p99.push(percentile(&milliseconds, 99.0).context("no picture came through")?);
        }
        Ok(())
    }
}

/// A picture with its number and the time of one of its packets.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sighting {
    number: u32,
    at: f64,
}

/// Each picture out by the same picture in: seconds between.
fn delays(ins: &[Sighting], outs: &[Sighting]) -> Vec<f64> {
    let mut seen: Option<u32> = None;
    let mut delays = Vec::new();
    for out in outs {
        if seen == Some(out.number) {
            continue;
        }
        seen = Some(out.number);
        let before = ins.iter().rev().find(|one| one.number == out.number && one.at <= out.at);
        delays.extend(before.map(|one| out.at - one.at).filter(|delay| *delay < LONGEST));
    }
    delays
}

/// One RTP stream's pictures: timestamp, time of the first packet, time of the last.
#[derive(Debug, Clone, PartialEq)]
struct Passing {
    timestamp: u32,
    first: f64,
    last: f64,
    /// Payloads in order of sequence.
    packets: Vec<(u16, Vec<u8>)>,
}

/// Pictures of the stream between two ports; of several streams the one with most octets.
fn passing(packets: &[Captured], wanted: impl Fn(&Captured) -> bool) -> Vec<Passing> {
    let mut streams: BTreeMap<u32, (usize, Vec<Passing>)> = BTreeMap::new();
    for packet in packets.iter().filter(|packet| wanted(packet)) {
        let Some(header) = RtpHeader::read(&packet.data) else { continue };
        let (octets, pictures) = streams.entry(header.ssrc).or_default();
        *octets += packet.data.len();
        let payload = (header.sequence, packet.data[header.payload..].to_vec());
        match pictures.iter_mut().rev().take(8).find(|picture| picture.timestamp == header.timestamp) {
            Some(picture) => {
                picture.last = packet.at;
                picture.packets.push(payload);
            }
            None => pictures.push(Passing {
                timestamp: header.timestamp,
                first: packet.at,
                last: packet.at,
                packets: vec![payload],
            }),
        }
    }
    streams.into_values().max_by_key(|(octets, _)| *octets).map(|(_, pictures)| pictures).unwrap_or_default()
}

/// Numbers of H.264 pictures by what they show at `place`, with the times of their first packets.
fn read_h264(pictures: &[Passing], place: Place) -> Result<Vec<Sighting>> {
    let (mut decoder, mut sightings) = (h264::Decoder::new()?, Vec::new());
    for picture in pictures {
        let mut data = Vec::new();
        for payload in in_order(&picture.packets) {
            e2e::wire::unpack_h264(payload, &mut data);
        }
        let number = read(&mut decoder, &data, place);
        sightings.extend(number.map(|number| Sighting { number, at: picture.first }));
    }
    Ok(sightings)
}

/// Timestamps and numbers of the pictures the room was shown, from the first on: what passed the tap can only be read by
/// whoever has what came before.
fn read_room(room: &Room, place: Place) -> Result<Vec<(u32, u32)>> {
    let (mut decoder, mut numbers) = (h264::Decoder::new()?, Vec::new());
    for picture in &room.log().shown {
        let number = read(&mut decoder, &picture.data, place);
        numbers.extend(number.map(|number| (picture.timestamp, number)));
    }
    Ok(numbers)
}

/// The same of VP8.
fn read_vp8(pictures: &[Passing], place: Place) -> Result<Vec<Sighting>> {
    let frames = pictures.iter().map(|picture| {
        let mut data = Vec::new();
        in_order(&picture.packets).for_each(|payload| streams::unpack_vp8(payload, &mut data));
        (picture.first, data)
    });
    let numbers = read_frames(frames.clone().map(|(_, data)| data), place)?;
    Ok(frames.zip(numbers).filter_map(|((at, _), number)| Some(Sighting { number: number?, at })).collect())
}

/// The number in each VP8 frame.
fn read_frames(frames: impl Iterator<Item = Vec<u8>>, place: Place) -> Result<Vec<Option<u32>>> {
    let mut decoder = vp8::Decoder::new()?;
    Ok(frames.map(|data| read(&mut decoder, &data, place)).collect())
}

/// The number in what a frame shows.
fn read(decoder: &mut impl VideoDecoder, frame: &[u8], place: Place) -> Option<u32> {
    decoder.decode(frame).ok()?;
    let picture = decoder.picture()?;
    barcode::read(picture.planes()[0], picture.strides()[0], place)
}

fn in_order(packets: &[(u16, Vec<u8>)]) -> impl Iterator<Item = &Vec<u8>> {
    let mut sorted: Vec<_> = packets.iter().collect();
    let first = packets.first().map_or(0, |packet| packet.0);
    sorted.sort_by_key(|packet| packet.0.wrapping_sub(first).wrapping_add(1 << 15));
    sorted.into_iter().map(|packet| &packet.1)
}

/// The numbers of pictures whose timestamps are known, at the time of their last packet.
fn sent(pictures: &[Passing], numbers: &[(u32, u32)]) -> Vec<Sighting> {
    sightings(pictures, numbers, |picture| picture.last)
}

/// The same at the time of their first packet.
fn at_first(pictures: &[Passing], numbers: &[(u32, u32)]) -> Vec<Sighting> {
    sightings(pictures, numbers, |picture| picture.first)
}

fn sightings(pictures: &[Passing], numbers: &[(u32, u32)], at: impl Fn(&Passing) -> f64) -> Vec<Sighting> {
    let numbers: BTreeMap<u32, u32> = numbers.iter().copied().collect();
    let sighting =
        |picture: &Passing| Some(Sighting { number: *numbers.get(&picture.timestamp)?, at: at(picture) });
    pictures.iter().filter_map(sighting).collect()
}

/// How far the timestamps of `theirs` are ahead of `ours`, where each of `theirs` passes shortly after the same picture of `ours`.
fn offset(ours: &[(u32, f64)], theirs: &[(u32, f64)]) -> Option<u32> {
    let mut votes: BTreeMap<u32, u32> = BTreeMap::new();
    for (timestamp, at) in theirs {
        let before = ours.iter().rev().find(|(_, before)| *before <= at + 1e-4 && at - before < 0.025);
        if let Some((earlier, _)) = before {
            *votes.entry(timestamp.wrapping_sub(*earlier)).or_default() += 1;
        }
    }
    votes.into_iter().max_by_key(|(_, votes)| *votes).map(|(offset, _)| offset)
}

const WHOLE: Place = Place { x: 0, y: 0, width: 1280, height: 720 };

/// Delays of the gateway up and down, and whether it went before all else.
fn gateway(bench: &Bench) -> Result<(Vec<f64>, Vec<f64>, bool)> {
    let box_ = UnderTest::start()?;
    let http = box_.simulator.addresses().http;
    let conference = box_.simulator.addresses().udp.port();
    let people = Meeting::gather(http, &meeting(0), bench.people("main-code.ivf")?)?;
    let room = Room::call(box_.sip, &alias(0), &bench.room("room-code.h264")?)?;
    let one = box_.wait_participant(0, "all layers are sent", sends_all_layers)?;
    let watch = Role::Watches { participant: one.device.clone(), layer: "high" };
    let watcher = Meeting::gather(http, &meeting(0), vec![watch])?;
    let put = box_.put_first();
    std::thread::sleep(SETTLE);
    let clock = (Instant::now(), SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs_f64());
    let tap = Tap::start()?;
    std::thread::sleep(WINDOW);
    let packets = tap.stop()?;
    let video = room.gateway_video.context("the gateway takes no pictures")?.port();
    let known: Vec<u16> = people.ports.iter().chain(&watcher.ports).copied().collect();

    let ins = passing(&packets, |packet| packet.to == video && packet.from == room.video.port());
    let outs = passing(&packets, |packet| packet.to == conference && !known.contains(&packet.from));
    let seen = watcher.log(0).received.clone();
    let up = delays(&sent(&ins, &room.log().sent), &numbered(&outs, &seen, clock)?);

    let speaker = people.ports[0];
    let sends = passing(&packets, |packet| packet.to == conference && packet.from == speaker);
    let forwarded = passing(&packets, |packet| packet.from == conference && !known.contains(&packet.to));
    let times = |pictures: &[Passing]| -> Vec<(u32, f64)> {
        pictures.iter().map(|picture| (picture.timestamp, picture.first)).collect()
    };
    let apart =
        offset(&times(&sends), &times(&forwarded)).context("the speaker's pictures are not forwarded")?;
    let numbers: Vec<(u32, u32)> = people
        .log(0)
        .sent
        .iter()
        .map(|(timestamp, number)| (timestamp.wrapping_add(apart), *number))
        .collect();
    let shown = passing(&packets, |packet| packet.to == room.video.port());
    let down = delays(&sent(&forwarded, &numbers), &at_first(&shown, &read_room(&room, PLACES[0])?));
    check(&up, &down)?;
    Ok((up, down, put))
}

/// The numbers of encrypted pictures, by what a watcher saw of them.
fn numbered(outs: &[Passing], seen: &[Received], clock: (Instant, f64)) -> Result<Vec<Sighting>> {
    let seconds = |at: Instant| match at.checked_duration_since(clock.0) {
        Some(after) => clock.1 + after.as_secs_f64(),
        None => clock.1 - clock.0.duration_since(at).as_secs_f64(),
    };
    let numbers = read_frames(seen.iter().map(|frame| frame.data.to_vec()), WHOLE)?;
    let times: Vec<(u32, f64)> =
        seen.iter().map(|frame| (frame.timestamp as u32, seconds(frame.at))).collect();
    let ours: Vec<(u32, f64)> = outs.iter().map(|picture| (picture.timestamp, picture.first)).collect();
    let apart = offset(&ours, &times).context("what the watcher sees is not what the gateway sends")?;
    let known = times
        .iter()
        .zip(&numbers)
        .filter_map(|((timestamp, _), number)| Some((timestamp.wrapping_sub(apart), (*number)?)));
    Ok(at_first(outs, &known.collect::<Vec<_>>()))
}

fn check(up: &[f64], down: &[f64]) -> Result<()> {
    let least = FRAMES * 2 / 3;
    ensure!(up.len() > least, "only {} of {FRAMES} pictures of the room were found again", up.len());
    ensure!(down.len() > least, "only {} of {FRAMES} pictures of the speaker were found again", down.len());
    Ok(())
}

/// A pipeline that runs until dropped.
struct Pipeline(Child);

impl Pipeline {
    fn start(pipeline: &str) -> Result<Self> {
        let child = gstreamer::launch(pipeline).stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let child = child.context("cannot start gst-launch-1.0")?;
        // its ports are open by then
        std::thread::sleep(Duration::from_millis(1_500));
        Ok(Self(child))
    }

    fn put_first(&mut self) -> Result<()> {
        ensure!(matches!(self.0.try_wait(), Ok(None)), "gst-launch-1.0 ended early");
        // Where it is not allowed the gateway does without as well.
        let _ = put_first(self.0.id());
        Ok(())
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        // It has ended, or does now.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Delays of GStreamer up and down, which it does at the same time as the gateway has to.
fn peer(bench: &Bench) -> Result<(Vec<f64>, Vec<f64>)> {
    let (up_from, up_to, down_to) = (free_port()?, free_port()?, free_port()?);
    let down_from = (0..TILES).map(|_| free_port()).collect::<Result<Vec<_>>>()?;
    let pictures =
        bench.clips.room("room-code.h264")?.iter().map(|unit| streams::h264_payloads(unit)).collect();
    let room = Track { pictures, payload_type: 97, to: ([127, 0, 0, 1], up_from).into() };
    let track = |(stream, port): (Vec<Vec<u8>>, &u16)| Track {
        pictures: stream.iter().map(|frame| streams::vp8_payloads(frame)).collect(),
        payload_type: 96,
        to: ([127, 0, 0, 1], *port).into(),
    };
    let people = bench.clips.conference("main-code.ivf")?.into_iter().zip(&down_from).map(track).collect();

    // What is seen counts from the first picture on, as only then can it be read.
    let tap = Tap::start()?;
    let mut up = Pipeline::start(&Gstreamer::live_up(up_from, up_to))?;
    let mut down = Pipeline::start(&Gstreamer::live_down(&down_from, down_to))?;
    up.put_first()?;
    down.put_first()?;
    let (room, people) = (Player::start(vec![room])?, Player::start(people)?);
    std::thread::sleep(SETTLE + WINDOW);
    let packets = tap.stop()?;

    let ins = sent(&passing(&packets, |packet| packet.to == up_from), &room.sent());
    let up = delays(&ins, &read_vp8(&passing(&packets, |packet| packet.to == up_to), WHOLE)?);
    ensure!(up.len() > FRAMES / 2, "GStreamer let {} of {FRAMES} pictures through", up.len());
    let ins = sent(&passing(&packets, |packet| packet.to == down_from[0]), &people.sent());
    let shown = passing(&packets, |packet| packet.to == down_to);
    let down = delays(&ins, &read_h264(&shown, PLACES[0])?);
    ensure!(down.len() > FRAMES / 2, "GStreamer showed {} of {FRAMES} pictures", down.len());
    Ok((up, down))
}

/// The large layer is the one whose delay counts.
const _: () = assert!(LAYERS[0].width == WHOLE.width);
