//! CPU of a call without pictures: three voices mixed for the room, the room's sound to the conference.

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

/// Measures the group.
///
/// # Errors
/// If a program fails.
pub fn measure(bench: &mut Bench) -> Result<Vec<Metric>> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..bench.effort.rounds {
        eprintln!("cpu.audio: round {} of {}", round + 1, bench.effort.rounds);
        bench.noise.sample()?;
        ours.push(gateway(bench)? * 100.0);
        bench.noise.sample()?;
        let cost = peers::timed(Ffmpeg::sound(&bench.clips, SECONDS, &bench.work))?;
        theirs.push(cost / SECONDS as f64 * 100.0);
    }
    let own = Spread::of(&ours).context("no rounds")?;
    let other = Spread::of(&theirs).context("no rounds")?;
    let ratio = Spread::of(&ratios(&ours, &theirs)).context("no rounds")?;
    let told = format!("{}: {:.2} % ({:.2}-{:.2})", Ffmpeg.name(), other.median, other.min, other.max);
    Ok(vec![
        Metric::new("cpu.audio.gateway", "% core", own),
        Metric::new("cpu.audio.vs_ffmpeg", "ratio", ratio).goal(GOAL).peer(told),
    ])
}

fn gateway(bench: &Bench) -> Result<f64> {
    let box_ = UnderTest::start()?;
    let idle = box_.cores(Duration::from_secs(1))?;
    let people = Meeting::gather(box_.simulator.addresses().http, &meeting(0), bench.voices()?)?;
    let room = Room::call(box_.sip, &alias(0), &bench.telephone()?)?;
    let sounds = |one: &meet_sim::ParticipantInfo| {
        one.sends.iter().any(|stream| stream.codec == "opus" && stream.alive)
    };
    box_.wait_participant(0, "sound is sent", sounds)?;
    std::thread::sleep(SETTLE);
    let before = room.log().sounds;
    let window = bench.effort.audio_seconds;
    let cores = box_.cores(Duration::from_secs(window))?;
    let heard = room.log().sounds - before;
    ensure!(heard > window * 45, "the room heard {heard} packets in {window} s");
    let one = box_.participant(0).context("the gateway left the meeting")?;
    let voices = one.receives.iter().filter(|stream| stream.codec == "opus" && stream.bps > 5_000).count();
    ensure!(people.is_alive() && voices == 3, "the gateway hears {voices} of 3 voices");
    Ok(cores - idle)
}
