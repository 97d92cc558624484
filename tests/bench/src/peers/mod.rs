//! The peers: what else turns a room's picture into a conference's and back, from Debian's packages, with equal settings.

pub mod ffmpeg;
pub mod gstreamer;

use crate::clips::Clips;
use crate::cpu;
use crate::quality::{self, Luma, Quality};
use crate::settings::{CLIP_SECONDS, FRAMES, HEIGHT, LAYERS, WIDTH};
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::process::{Command, Stdio};

/// Rates a peer is told, in bits per second, so that what comes out is as large as what the gateway makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// The layers, largest first.
    pub layers: [u32; 3],
    /// The composed picture.
    pub composed: u32,
}

/// How fast a peer goes through its clips.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As fast as it can: for rates and pictures.
    Flat,
    /// As fast as they play, as a call has to: for what it costs.
    Live,
}

/// A program that does both directions of a call from files to files.
pub trait Peer {
    /// Its name and version.
    fn name(&self) -> String;
    /// Room to conference: `up-f.ivf`, `up-h.ivf`, `up-q.ivf` and sound in `folder`.
    fn up(&self, clips: &Clips, rates: &Rates, pace: Pace, folder: &Path) -> Command;
    /// Conference to room: `down.h264` and sound in `folder`.
    fn down(&self, clips: &Clips, rates: &Rates, pace: Pace, folder: &Path) -> Command;
}

/// Runs both directions once, at the same time, and gives their CPU seconds per second of media.
///
/// # Errors
/// If a program fails.
pub fn run(peer: &dyn Peer, clips: &Clips, rates: &Rates, pace: Pace, folder: &Path) -> Result<f64> {
    let both = vec![peer.up(clips, rates, pace, folder), peer.down(clips, rates, pace, folder)];
    Ok(timed(both)? / CLIP_SECONDS)
}

/// CPU seconds of all `commands`, which run at the same time.
///
/// # Errors
/// If one fails.
pub fn timed(commands: Vec<Command>) -> Result<f64> {
    let before = cpu::of_ended_children()?;
    let start = |mut command: Command| {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        Ok((name, child))
    };
    for (name, child) in commands.into_iter().map(start).collect::<Result<Vec<_>>>()? {
        let output = child.wait_with_output().with_context(|| format!("cannot wait for {name}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{name} failed ({}): {}", output.status, said.trim());
    }
    Ok((cpu::of_ended_children()? - before).as_secs_f64())
}

/// What the files of the last [`run`] are worth: the layers, then the composed picture.
///
/// # Errors
/// If one is not there or cannot be decoded.
pub fn worth(clips: &Clips, folder: &Path) -> Result<(Vec<Quality>, Quality)> {
    let mut layers = Vec::new();
    for layer in LAYERS {
        let file = folder.join(format!("up-{}.ivf", layer.rid));
        let seen = Luma::decode(&file, (layer.width, layer.height), "area")?;
        let psnr = quality::of_layer(&seen, &clips.path("room.h264"))?;
        let bytes: usize = crate::streams::ivf(&file)?.iter().map(Vec::len).sum();
        layers.push(quality(psnr, bytes as u64, seen.frames.len()));
    }
    let file = folder.join("down.h264");
    let seen = Luma::decode(&file, (WIDTH, HEIGHT), "area")?;
    let psnr = quality::of_composed(&seen, &clips.conference_files("main.ivf"))?;
    Ok((layers, quality(psnr, std::fs::metadata(&file)?.len(), seen.frames.len())))
}

fn quality(psnr: f64, bytes: u64, frames: usize) -> Quality {
    Quality { psnr, bps: bytes as f64 * 8.0 / CLIP_SECONDS, shown: frames as f64 / FRAMES as f64 }
}

/// Rates at which a peer's streams come out as large as `wanted`: what it was told, corrected by what it made of that.
///
/// # Errors
/// If the peer fails.
pub fn fit(peer: &dyn Peer, clips: &Clips, wanted: &Rates, folder: &Path) -> Result<Rates> {
    let mut told = *wanted;
    for _ in 0..3 {
        run(peer, clips, &told, Pace::Flat, folder)?;
        for (n, layer) in LAYERS.iter().enumerate() {
            let file = folder.join(format!("up-{}.ivf", layer.rid));
            let bytes: usize = crate::streams::ivf(&file)?.iter().map(Vec::len).sum();
            told.layers[n] = corrected(told.layers[n], wanted.layers[n], bytes as u64);
        }
        let bytes = std::fs::metadata(folder.join("down.h264"))?.len();
        told.composed = corrected(told.composed, wanted.composed, bytes);
    }
    Ok(told)
}

fn corrected(told: u32, wanted: u32, bytes: u64) -> u32 {
    let made = bytes as f64 * 8.0 / CLIP_SECONDS;
    let factor = (f64::from(wanted) / made.max(1.0)).clamp(0.5, 2.0);
    (f64::from(told) * factor).round() as u32
}

/// The first line a program prints of itself.
fn version(program: &str, argument: &str) -> String {
    let output = Command::new(program).arg(argument).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let words: Vec<&str> = text.lines().next().unwrap_or(program).split_whitespace().take(3).collect();
    words.join(" ").replace(" version", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_makes_too_little_is_told_more_and_the_other_way_round() {
        assert_eq!(corrected(1_000, 1_000, 1_250), 1_000);
        assert_eq!(corrected(1_000, 1_000, 1_000), 1_250);
        assert_eq!(corrected(1_000, 1_000, 2_500), 500);
        assert_eq!(corrected(1_000, 1_000, 1), 2_000);
    }
}
