//! ffmpeg: libvpx at speed -6 towards the conference, x264 `veryfast` towards the room, one process each way.

use super::{Pace, Peer, Rates, version};
use crate::clips::Clips;
use crate::settings::{CLIP_SECONDS, OPUS_BPS, PLACES, VOICES};
use std::path::Path;
use std::process::Command;

/// ffmpeg with one thread for each codec and filter: its total is then least.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ffmpeg;

impl Peer for Ffmpeg {
    fn name(&self) -> String {
        version("ffmpeg", "-version")
    }

    fn up(&self, clips: &Clips, rates: &Rates, pace: Pace, folder: &Path) -> Command {
        let mut command = ffmpeg();
        let paced = paced(pace);
        command
            .args(paced)
            .args(["-threads", "1", "-f", "h264", "-r", "30", "-i"])
            .arg(clips.path("room.h264"));
        command.args(paced).args(["-f", "g722", "-i"]).arg(clips.path("room.g722"));
        let ladder = "[0:v]split=3[f][a][b];[a]scale=640:360[h];[b]scale=320:180[q]";
        command.args(["-filter_complex", ladder]);
        for (rid, bps) in ["f", "h", "q"].iter().zip(rates.layers) {
            command.args(["-map", &format!("[{rid}]")]).args(vp8(bps));
            command.args(["-t", &seconds(), "-f", "ivf"]).arg(folder.join(format!("up-{rid}.ivf")));
        }
        command.args(["-map", "1:a"]).args(opus()).args(["-t", &seconds()]).arg(folder.join("up.opus"));
        command
    }

    fn down(&self, clips: &Clips, rates: &Rates, pace: Pace, folder: &Path) -> Command {
        let mut command = ffmpeg();
        let paced = paced(pace);
        let pictures = clips.conference_files("main.ivf");
        for file in &pictures {
            command.args(paced).args(["-threads", "1", "-i"]).arg(file);
        }
        for file in clips.voice_files() {
            command.args(paced).arg("-i").arg(file);
        }
        let places: Vec<String> = PLACES.iter().map(|place| format!("{}_{}", place.x, place.y)).collect();
        let small: String = (1..PLACES.len()).map(|n| format!("[{n}:v]")).collect();
        let first = pictures.len();
        let graph = format!(
            "[0:v]scale=960:540[m];[m]{small}xstack=inputs={first}:layout={}[v];{}",
            places.join("|"),
            mix(first)
        );
        command.args(["-filter_complex", &graph, "-map", "[v]"]).args(x264(rates.composed));
        command.args(["-t", &seconds(), "-f", "h264"]).arg(folder.join("down.h264"));
        command
            .args(["-map", "[a]", "-c:a", "g722", "-t", &seconds(), "-f", "g722"])
            .arg(folder.join("down.g722"));
        command
    }
}

impl Ffmpeg {
    /// The sound of a call alone, `seconds` of it, both ways, as fast as it plays.
    #[must_use]
    pub fn sound(clips: &Clips, seconds: u64, folder: &Path) -> Vec<Command> {
        let seconds = seconds.to_string();
        let paced = paced(Pace::Live);
        let mut up = ffmpeg();
        up.args(paced).args(["-f", "g722", "-i"]).arg(clips.path("room.g722")).args(opus());
        up.args(["-t", &seconds]).arg(folder.join("up.opus"));
        let mut down = ffmpeg();
        for file in clips.voice_files() {
            down.args(paced).arg("-i").arg(file);
        }
        down.args(["-filter_complex", &mix(0), "-map", "[a]", "-c:a", "g722", "-t", &seconds, "-f", "g722"]);
        down.arg(folder.join("down.g722"));
        vec![up, down]
    }
}

fn ffmpeg() -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-y", "-nostdin", "-filter_threads", "1", "-filter_complex_threads", "1"]);
    command
}

/// What goes before an input.
fn paced(pace: Pace) -> &'static [&'static str] {
    match pace {
        Pace::Flat => &[],
        Pace::Live => &["-re"],
    }
}

fn seconds() -> String {
    CLIP_SECONDS.to_string()
}

fn mix(first: usize) -> String {
    let voices: String = (first..first + VOICES).map(|n| format!("[{n}:a]")).collect();
    format!("{voices}amix=inputs={VOICES}:normalize=0,aresample=16000[a]")
}

fn vp8(bps: u32) -> Vec<String> {
    let bps = bps.to_string();
    let fixed = "-c:v libvpx -deadline realtime -cpu-used -6 -threads 1 -lag-in-frames 0 -error-resilient default \
                 -static-thresh 1 -undershoot-pct 100 -overshoot-pct 15 -qmin 2 -qmax 56 -g 900";
    let rates = ["-b:v", &bps, "-minrate", &bps, "-maxrate", &bps, "-bufsize", &bps];
    fixed.split_whitespace().chain(rates).map(str::to_owned).collect()
}

fn x264(bps: u32) -> Vec<String> {
    let (rate, buffer) = (bps.to_string(), (bps / 2).to_string());
    let fixed = "-c:v libx264 -profile:v baseline -preset veryfast -tune zerolatency -threads 1 -g 900 -pix_fmt yuv420p";
    let rates = ["-b:v", &rate, "-maxrate", &rate, "-bufsize", &buffer];
    fixed.split_whitespace().chain(rates).map(str::to_owned).collect()
}

fn opus() -> Vec<String> {
    let rate = OPUS_BPS.to_string();
    let fixed = "-ar 48000 -c:a libopus -compression_level 5 -application voip -fec 1 -packet_loss 10 -frame_duration 20 -b:a";
    fixed.split_whitespace().chain([rate.as_str()]).map(str::to_owned).collect()
}
