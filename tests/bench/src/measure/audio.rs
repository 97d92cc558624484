//! CPU of a call without pictures: three voices mixed for the room, the room's sound to the conference.
//!
//! One call alone pays for each of its wake-ups by itself; calls that stand together share them. So it is measured both ways:
//! one call, and each of eight in meetings of their own, beside one ffmpeg and beside eight.

use super::Bench;
use crate::load::meeting::Meeting;
use crate::load::room::Room;
use crate::peers::ffmpeg::Ffmpeg;
use crate::peers::{self, Peer};
use crate::report::Metric;
use crate::stats::{Spread, ratios};
use crate::under_test::{UnderTest, alias, meeting};
use anyhow::{Context, Result, ensure};
use std::time::Duration;

/// Seconds of sound a peer works on, so that its start hardly counts.
const SECONDS: u64 = 60;
const SETTLE: Duration = Duration::from_secs(3);
const GOAL: f64 = 0.5;
/// Calls that stand together.
const TOGETHER: usize = 8;

/// Measures the group.
///
/// # Errors
/// If a program fails.
pub fn measure(bench: &mut Bench) -> Result<Vec<Metric>> {
    let mut metrics = calls(bench, 1, "cpu.audio")?;
    metrics.extend(calls(bench, TOGETHER, "cpu.audio.each_of_eight")?);
    Ok(metrics)
}

/// What each of `count` calls costs, and beside as many ffmpegs.
fn calls(bench: &mut Bench, count: usize, name: &str) -> Result<Vec<Metric>> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..bench.effort.rounds {
        eprintln!("{name}: round {} of {}", round + 1, bench.effort.rounds);
        bench.noise.sample()?;
        ours.push(gateway(bench, count)? * 100.0 / count as f64);
        bench.noise.sample()?;
        theirs.push(ffmpeg(bench, count)? * 100.0 / count as f64);
    }
    let own = Spread::of(&ours).context("no rounds")?;
    let other = Spread::of(&theirs).context("no rounds")?;
    let ratio = Spread::of(&ratios(&ours, &theirs)).context("no rounds")?;
    let told = format!("{}: {:.2} % ({:.2}-{:.2})", Ffmpeg.name(), other.median, other.min, other.max);
    Ok(vec![
        Metric::new(&format!("{name}.gateway"), "% core", own),
        Metric::new(&format!("{name}.vs_ffmpeg"), "ratio", ratio).goal(GOAL).peer(told),
    ])
}

/// Cores that `count` calls take in ffmpeg, both ways, as fast as they play.
fn ffmpeg(bench: &Bench, count: usize) -> Result<f64> {
    let mut commands = Vec::new();
    for n in 0..count {
        let folder = bench.work.join(format!("sound-{n}"));
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        commands.extend(Ffmpeg::sound(&bench.clips, SECONDS, &folder));
    }
    Ok(peers::timed(commands)? / SECONDS as f64)
}

/// Cores that `count` calls take in the gateway, its idle work taken off.
fn gateway(bench: &Bench, count: usize) -> Result<f64> {
    let box_ = UnderTest::start()?;
    let idle = box_.cores(Duration::from_secs(1))?;
    let page = box_.simulator.addresses().http;
    let sounds = |one: &meet_sim::ParticipantInfo| {
        one.sends.iter().any(|stream| stream.codec == "opus" && stream.alive)
    };
    let (mut people, mut rooms) = (Vec::new(), Vec::new());
    for n in 0..count {
        people.push(Meeting::gather(page, &meeting(n), bench.voices()?)?);
        rooms.push(Room::call(box_.sip, &alias(n), &bench.telephone()?)?);
        box_.wait_participant(n, "sound is sent", sounds)?;
    }
    std::thread::sleep(SETTLE);
    let before: Vec<u64> = rooms.iter().map(|room| room.log().sounds).collect();
    let window = bench.effort.audio_seconds;
    let cores = box_.cores(Duration::from_secs(window))?;
    for (n, (room, before)) in rooms.iter().zip(before).enumerate() {
        let heard = room.log().sounds - before;
        ensure!(heard > window * 45, "room {n} heard {heard} packets in {window} s");
        let one = box_.participant(n).context("the gateway left a meeting")?;
        let voices =
            one.receives.iter().filter(|stream| stream.codec == "opus" && stream.bps > 5_000).count();
        ensure!(people[n].is_alive() && voices == 3, "the gateway hears {voices} of 3 voices");
    }
    Ok(cores - idle)
}
