//! CPU of a call with pictures, all in, beside ffmpeg, GStreamer and the bare sum of the same codecs.
//!
//! First one call is recorded: its rates are what the peers are then set to, its pictures are what theirs are held against.
//! Then everybody runs in turn, as fast as the clips play and beside the same neighbours, and ratios are taken within each round.

use super::Bench;
use crate::bare::Bare;
use crate::load::meeting::{Meeting, Role};
use crate::load::neighbours::Neighbours;
use crate::load::room::Room;
use crate::peers::ffmpeg::Ffmpeg;
use crate::peers::gstreamer::Gstreamer;
use crate::peers::{self, Pace, Peer, Rates};
use crate::quality::{self, COMPOSED_SLACK, LAYER_SLACK, Luma, Quality};
use crate::report::{Gate, Metric, short};
use crate::settings::{CLIP_SECONDS, HEIGHT, LAYERS, WIDTH};
use crate::stats::{Spread, median, ratios};
use crate::streams;
use crate::under_test::{UnderTest, alias, meeting, sends_all_layers};
use anyhow::{Context, Result, ensure};
use std::time::{Duration, Instant};

/// Until rates have settled after the last layer came.
const SETTLE: Duration = Duration::from_secs(4);
/// One clip.
const WINDOW: Duration = Duration::from_secs(10);
const GOAL_FFMPEG: f64 = 0.77;
const GOAL_GSTREAMER: f64 = 0.71;
const GOAL_BARE: f64 = 1.10;

/// Measures the group.
///
/// # Errors
/// If a program fails.
pub fn measure(bench: &mut Bench) -> Result<Vec<Metric>> {
    eprintln!("cpu.call: one call is recorded");
    let ours = record(bench)?;
    let rates = ours.rates();
    let peers: [&dyn Peer; 2] = [&Ffmpeg, &Gstreamer];
    let mut gates = Vec::new();
    let mut told = Vec::new();
    for peer in peers {
        eprintln!("cpu.call: {} is set to the same rates", peer.name());
        told.push(peers::fit(peer, &bench.clips, &rates, &bench.work)?);
        peers::run(peer, &bench.clips, told.last().unwrap_or(&rates), Pace::Flat, &bench.work)?;
        gates.push(ours.gate(&peers::worth(&bench.clips, &bench.work)?));
    }
    let bare = Bare::read(&bench.clips)?;
    let mut runs = Runs::default();
    for round in 0..bench.effort.rounds {
        eprintln!("cpu.call: round {} of {}", round + 1, bench.effort.rounds);
        bench.noise.sample()?;
        runs.ours.push(gateway(bench)?);
        for ((peer, told), costs) in peers.iter().zip(&told).zip([&mut runs.ffmpeg, &mut runs.gstreamer]) {
            bench.noise.sample()?;
            let run = || peers::run(*peer, &bench.clips, told, Pace::Live, &bench.work);
            costs.push(beside_neighbours(bench, run)?);
        }
        bench.noise.sample()?;
        runs.bare.push(beside_neighbours(bench, || bare.run(&rates))?);
    }
    runs.metrics(peers, gates, &rates)
}

/// Does `work` while the machine bears what it bears beside the gateway.
fn beside_neighbours<T>(bench: &Bench, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let neighbours = Neighbours::gather(bench)?;
    let done = work()?;
    ensure!(neighbours.are_there(), "the neighbours left early");
    Ok(done)
}

#[derive(Default)]
struct Runs {
    ours: Vec<f64>,
    ffmpeg: Vec<f64>,
    gstreamer: Vec<f64>,
    bare: Vec<crate::bare::Sum>,
}

impl Runs {
    fn metrics(&self, peers: [&dyn Peer; 2], gates: Vec<Gate>, rates: &Rates) -> Result<Vec<Metric>> {
        let spread = |values: &[f64]| Spread::of(values).context("no rounds");
        let middle = |values: &[f64]| short(median(values).unwrap_or_default());
        let [f, h, q] = rates.layers.map(|bps| bps / 1_000);
        let mut metrics = vec![
            Metric::new("cpu.call.gateway", "cores", spread(&self.ours)?)
                .peer(format!("layers {f}+{h}+{q}, composed {} kbit/s", rates.composed / 1_000)),
        ];
        let against = [("ffmpeg", GOAL_FFMPEG, &self.ffmpeg), ("gstreamer", GOAL_GSTREAMER, &self.gstreamer)];
        for (((name, goal, costs), peer), gate) in against.into_iter().zip(peers).zip(gates) {
            let ratio = spread(&ratios(&self.ours, costs))?;
            let metric = Metric::new(&format!("cpu.call.vs_{name}"), "ratio", ratio);
            let told = format!("{}: {} cores", peer.name(), middle(costs));
            metrics.push(metric.goal(goal).peer(told).gate(gate));
        }
        let sums: Vec<f64> = self.bare.iter().map(crate::bare::Sum::call).collect();
        let part =
            |which: fn(&crate::bare::Sum) -> f64| middle(&self.bare.iter().map(which).collect::<Vec<f64>>());
        let peer = format!(
            "our codecs alone: {} cores (up {}, down {}, sound {})",
            middle(&sums),
            part(|s| s.up),
            part(|s| s.down),
            part(|s| s.sound)
        );
        let ratio = spread(&ratios(&self.ours, &sums))?;
        metrics.push(Metric::new("cpu.call.vs_bare", "ratio", ratio).goal(GOAL_BARE).peer(peer));
        Ok(metrics)
    }
}

/// CPU of the gateway in a call, its idle work taken off.
fn gateway(bench: &Bench) -> Result<f64> {
    let box_ = UnderTest::start()?;
    let idle = box_.cores(Duration::from_secs(1))?;
    let people = Meeting::gather(box_.simulator.addresses().http, &meeting(0), bench.people("main.ivf")?)?;
    let room = Room::call(box_.sip, &alias(0), &bench.room("room.h264")?)?;
    box_.wait_participant(0, "all layers are sent", sends_all_layers)?;
    std::thread::sleep(SETTLE);
    let before = room.log().shown.len();
    let cores = box_.cores(WINDOW)?;
    let shown = room.log().shown.len() - before;
    let one = box_.participant(0).context("the gateway left the meeting")?;
    ensure!(sends_all_layers(&one), "layers were lost in mid call: {:?}", one.sends);
    ensure!(people.is_alive() && shown > 250, "the room was shown {shown} pictures in {WINDOW:?}");
    let seen = one.receives.iter().filter(|stream| stream.codec == "VP8" && stream.fps > 25.0).count();
    ensure!(seen == 8, "the gateway sees {seen} of 8 pictures");
    Ok(cores - idle)
}

/// What a recorded call was worth.
struct Recorded {
    layers: Vec<Quality>,
    composed: Quality,
}

impl Recorded {
    fn rates(&self) -> Rates {
        let bps = |quality: &Quality| quality.bps.round() as u32;
        let layer = |n: usize| self.layers.get(n).map_or(LAYERS[n].bps, bps);
        Rates { layers: [layer(0), layer(1), layer(2)], composed: bps(&self.composed) }
    }

    fn gate(&self, (layers, composed): &(Vec<Quality>, Quality)) -> Gate {
        let up = quality::gate(&["720p", "360p", "180p"], &self.layers, layers, LAYER_SLACK);
        let down = quality::gate(&["composed"], &[self.composed], &[*composed], COMPOSED_SLACK);
        match (up, down) {
            (Gate::Passed(up), Gate::Passed(down)) => Gate::Passed(format!("{up}; {down}")),
            (Gate::Passed(up) | Gate::Failed(up), Gate::Passed(down) | Gate::Failed(down)) => {
                Gate::Failed(format!("{up}; {down}"))
            }
            (up, Gate::Open) => up,
            (Gate::Open, down) => down,
        }
    }
}

/// One call of which every layer is watched and what the room is shown is kept.
fn record(bench: &Bench) -> Result<Recorded> {
    let box_ = UnderTest::start()?;
    let page = box_.simulator.addresses().http;
    let _people = Meeting::gather(page, &meeting(0), bench.people("main.ivf")?)?;
    let room = Room::call(box_.sip, &alias(0), &bench.room("room.h264")?)?;
    let one = box_.wait_participant(0, "all layers are sent", sends_all_layers)?;
    let watch = |layer| Role::Watches { participant: one.device.clone(), layer };
    let watchers = Meeting::gather(page, &meeting(0), ["high", "mid", "low"].map(watch).to_vec())?;
    std::thread::sleep(SETTLE);
    let began = Instant::now();
    let octets = |one: &meet_sim::ParticipantInfo| -> Vec<u64> {
        let mut layers: Vec<_> =
            one.sends.iter().filter_map(|stream| Some((stream.size?.width, stream.bytes))).collect();
        layers.sort_unstable_by(|a, b| b.cmp(a));
        layers.into_iter().map(|(_, bytes)| bytes).collect()
    };
    let before = octets(&box_.participant(0).context("the gateway left the meeting")?);
    std::thread::sleep(WINDOW);
    let (after, seconds) =
        (octets(&box_.participant(0).context("the gateway left the meeting")?), began.elapsed());
    let end = Instant::now();
    let mut layers = Vec::new();
    for (n, layer) in LAYERS.iter().enumerate() {
        let log = watchers.log(n);
        let frames: Vec<Vec<u8>> =
            log.received.iter().filter(|frame| frame.at <= end).map(|frame| frame.data.to_vec()).collect();
        let inside = log.received.iter().filter(|frame| frame.at >= began && frame.at <= end).count();
        drop(log);
        ensure!(inside > 200, "who watched {} saw {inside} pictures", layer.rid);
        let file = bench.work.join(format!("ours-{}.ivf", layer.rid));
        streams::write_ivf(&file, &frames, (layer.width, layer.height))?;
        let mut seen = Luma::decode(&file, (layer.width, layer.height), "area")?;
        seen.frames.drain(..seen.frames.len().saturating_sub(inside));
        let psnr = quality::of_layer(&seen, &bench.clips.path("room.h264"))?;
        // the payload descriptor is no picture: three octets in each packet of at most 1200
        let bytes = after.get(n).zip(before.get(n)).map_or(0, |(after, before)| after - before);
        let bps = bytes as f64 * 8.0 / seconds.as_secs_f64();
        layers.push(Quality { psnr, bps, shown: quality::shown(inside, seconds.as_secs_f64()) });
    }
    let composed = composed(bench, &room, began, end)?;
    Ok(Recorded { layers, composed })
}

fn composed(bench: &Bench, room: &Room, began: Instant, end: Instant) -> Result<Quality> {
    let log = room.log();
    let (all, mut inside, mut bytes) = (&log.shown, 0_usize, 0_usize);
    let mut stream = Vec::new();
    for shown in all.iter().filter(|shown| shown.first <= end) {
        stream.extend_from_slice(&shown.data);
        if shown.first >= began {
            inside += 1;
            bytes += shown.data.len();
        }
    }
    drop(log);
    let file = bench.work.join("ours-composed.h264");
    std::fs::write(&file, stream)?;
    let mut seen = Luma::decode(&file, (WIDTH, HEIGHT), "area")?;
    seen.frames.drain(..seen.frames.len().saturating_sub(inside));
    let psnr = quality::of_composed(&seen, &bench.clips.conference_files("main.ivf"))?;
    let seconds = (end - began).as_secs_f64();
    let shown = quality::shown(inside, seconds);
    Ok(Quality { psnr, bps: bytes as f64 * 8.0 / seconds, shown })
}

/// Seconds of media in one run of a peer; the gateway is measured over as many.
const _: () = assert!(WINDOW.as_secs() as f64 == CLIP_SECONDS);
