//! GStreamer: `vp8enc` at speed -6 towards the conference, `compositor` and `openh264enc` towards the room.

use super::{Pace, Peer, Rates, version};
use crate::clips::Clips;
use crate::settings::{LAYERS, OPUS_BPS, PLACES, Place, ROOM_BPS};
use std::path::Path;
use std::process::Command;

/// GStreamer, from files to files or from RTP to RTP.
#[derive(Debug, Clone, Copy, Default)]
pub struct Gstreamer;

/// Buffers of 20 ms in the ten seconds of a clip.
const SOUNDS: u32 = 500;

impl Peer for Gstreamer {
    fn name(&self) -> String {
        version("gst-launch-1.0", "--version").replace("gst-launch-1.0 ", "GStreamer ")
    }

    fn up(&self, clips: &Clips, rates: &Rates, pace: Pace, folder: &Path) -> Command {
        let file = clips.path("room.h264");
        let source = format!(
            "filesrc location={} ! h264parse ! video/x-h264,framerate=30/1 ! {}{DECODE}",
            file.display(),
            paced(pace)
        );
        let sink = |n: usize| {
            let rid = LAYERS[n].rid;
            format!("avmux_ivf ! filesink location={}/up-{rid}.ivf", folder.display())
        };
        let sound = format!(
            "pushfilesrc location={} time-segment=true ! audio/G722,rate=16000,channels=1 ! \
             identity datarate=8000 ! {}avdec_g722 ! \
             audioconvert ! audioresample ! audio/x-raw,rate=48000,format=S16LE ! {} ! oggmux ! filesink location={}/up.ogg",
            clips.path("room-clip.g722").display(),
            paced(pace),
            opus(),
            folder.display()
        );
        launch(&format!("{source} ! {} {sound}", ladder(&rates.layers, sink)))
    }

    fn down(&self, clips: &Clips, rates: &Rates, pace: Pace, folder: &Path) -> Command {
        let files = clips.conference_files("main.ivf");
        let inputs: String = files
            .iter()
            .enumerate()
            .map(|(n, file)| {
                format!("filesrc location={} ! ivfparse ! {}{} ", file.display(), paced(pace), tile(n))
            })
            .collect();
        let composed =
            format!("{} ! filesink location={}/down.h264", compose(rates.composed), folder.display());
        let voices: String = clips
            .voice_files()
            .iter()
            .map(|file| {
                format!(
                    "filesrc location={} ! oggdemux ! {}opusdec ! audio/x-raw,rate=48000 ! queue ! mix. ",
                    file.display(),
                    paced(pace)
                )
            })
            .collect();
        let sound = format!(
            "audiomixer name=mix ! audioconvert ! audioresample ! audio/x-raw,rate=16000,channels=1,format=S16LE ! \
             identity eos-after={} ! avenc_g722 ! filesink location={}/down.g722 {voices}",
            SOUNDS * 2,
            folder.display()
        );
        launch(&format!("{composed} {inputs} {sound}"))
    }
}

impl Gstreamer {
    /// Takes the room's H.264 as RTP on port `from` and sends its large layer to port `to`; the small ones go nowhere.
    #[must_use]
    pub fn live_up(from: u16, to: u16) -> String {
        let caps = "application/x-rtp,media=video,clock-rate=90000,encoding-name=H264,payload=97";
        let sink = |n: usize| match n {
            0 => {
                format!("rtpvp8pay mtu=1200 pt=96 ! udpsink host=127.0.0.1 port={to} sync=false async=false")
            }
            _ => "rtpvp8pay mtu=1200 ! fakesink sync=false async=false".to_owned(),
        };
        let rates = LAYERS.map(|layer| layer.bps);
        format!(
            "udpsrc address=127.0.0.1 port={from} caps=\"{caps}\" ! rtpjitterbuffer latency=0 ! rtph264depay ! h264parse ! \
             {DECODE} ! {}",
            ladder(&rates, sink)
        )
    }

    /// Takes the conference's pictures as RTP on `from`, the large one first, and sends the composed one to port `to`.
    #[must_use]
    pub fn live_down(from: &[u16], to: u16) -> String {
        let caps = "application/x-rtp,media=video,clock-rate=90000,encoding-name=VP8,payload=96";
        let input = |(n, port): (usize, &u16)| {
            format!(
                "udpsrc address=127.0.0.1 port={port} caps=\"{caps}\" ! rtpjitterbuffer latency=0 ! rtpvp8depay ! {} ",
                tile(n)
            )
        };
        let inputs: String = from.iter().enumerate().map(input).collect();
        format!(
            "{} ! rtph264pay mtu=1200 pt=97 config-interval=-1 ! udpsink host=127.0.0.1 port={to} sync=false async=false \
             {inputs}",
            compose(ROOM_BPS)
        )
    }
}

/// What goes before a decoder.
fn paced(pace: Pace) -> &'static str {
    match pace {
        Pace::Flat => "",
        Pace::Live => "identity sync=true ! ",
    }
}

/// From H.264 to raw pictures.
const DECODE: &str = "avdec_h264 max-threads=1 ! video/x-raw,format=I420";

/// Runs a pipeline to its end.
#[must_use]
pub fn launch(pipeline: &str) -> Command {
    let mut command = Command::new("gst-launch-1.0");
    command.arg("-q").args(words(pipeline));
    command
}

/// Words as a shell would take them; only double quotes are used.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            c => word.push(c),
        }
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    words
}

fn ladder(rates: &[u32; 3], sink: impl Fn(usize) -> String) -> String {
    let branch = |n: usize| {
        let layer = LAYERS[n];
        let scale = match n {
            0 => String::new(),
            _ => format!("videoscale ! video/x-raw,width={},height={} ! ", layer.width, layer.height),
        };
        format!("t. ! queue ! {scale}{} ! {} ", vp8(rates[n]), sink(n))
    };
    format!("tee name=t {}{}{}", branch(0), branch(1), branch(2))
}

fn vp8(bps: u32) -> String {
    format!(
        "vp8enc deadline=1 cpu-used=-6 threads=1 lag-in-frames=0 error-resilient=default static-threshold=1 \
         end-usage=cbr target-bitrate={bps} undershoot=100 overshoot=15 min-quantizer=2 max-quantizer=56 \
         buffer-size=1000 buffer-initial-size=500 buffer-optimal-size=600 keyframe-max-dist=900 noise-sensitivity=0 \
         token-partitions=1"
    )
}

fn opus() -> String {
    format!(
        "opusenc bitrate={OPUS_BPS} complexity=5 audio-type=voice inband-fec=true packet-loss-percentage=10 frame-size=20"
    )
}

/// Decodes one picture and puts it in its place.
fn tile(n: usize) -> String {
    let scale = if n == 0 { "videoscale ! video/x-raw,width=960,height=540 ! " } else { "" };
    format!("vp8dec threads=1 ! {scale}queue ! c.sink_{n}")
}

fn compose(bps: u32) -> String {
    let pad = |(n, place): (usize, &Place)| {
        format!(
            "sink_{n}::xpos={} sink_{n}::ypos={} sink_{n}::width={} sink_{n}::height={} ",
            place.x, place.y, place.width, place.height
        )
    };
    let pads: String = PLACES.iter().enumerate().map(pad).collect();
    format!(
        "compositor name=c background=black {pads} ! video/x-raw,format=I420,width=1280,height=720,framerate=30/1 ! \
         openh264enc complexity=low rate-control=bitrate bitrate={bps} max-bitrate={} usage-type=camera multi-thread=1 \
         slice-mode=n-slices num-slices=1 gop-size=900 scene-change-detection=false ! \
         video/x-h264,profile=constrained-baseline,stream-format=byte-stream",
        bps * 2
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_capabilities_are_one_word() {
        assert_eq!(words("a caps=\"x, y\" ! b"), ["a", "caps=x, y", "!", "b"]);
    }
}
