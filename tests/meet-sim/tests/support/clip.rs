//! Ten seconds of the numbered test pattern with its tone and beeps, encoded by ffmpeg, to be sent by a gateway.
//!
//! The beep sounds, and the flash is lit, for the first tenth of each second, to the sample and to the frame.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use str0m::media::Rid;

const SECONDS: u32 = 10;
const FPS: u32 = 30;
const TONE_HZ: f32 = 440.0;
const BEEP_HZ: f32 = 1_800.0;
/// How much later than its packet says a sample comes out of libopus's decoder, in seconds.
const OPUS_DELAY: f32 = 312.0 / 48_000.0;

/// Encoded pictures and sound.
pub struct Clip {
    pictures: BTreeMap<String, Vec<Vec<u8>>>,
    sounds: Vec<Vec<u8>>,
}

impl Clip {
    /// Pitch of the steady tone.
    pub const HZ: f32 = TONE_HZ;

    /// Makes the clip with these layers: name, width, height.
    pub fn encode(layers: &[(&str, u16, u16)]) -> Self {
        let pictures = layers
            .iter()
            .map(|(rid, width, height)| {
                let raw: Vec<u8> =
                    (0..SECONDS * FPS).flat_map(|n| draw((*width).into(), (*height).into(), n)).collect();
                let size = format!("{width}x{height}");
                let rate = FPS.to_string();
                let input = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", &size, "-r", &rate];
                let output = [
                    "-c:v",
                    "libvpx",
                    "-deadline",
                    "realtime",
                    "-cpu-used",
                    "8",
                    "-b:v",
                    "500k",
                    "-g",
                    "15",
                    "-f",
                    "ivf",
                ];
                ((*rid).to_owned(), ivf_frames(&ffmpeg(&input, raw, &output)))
            })
            .collect();
        let raw = samples().flat_map(f32::to_le_bytes).collect();
        let output = ["-c:a", "libopus", "-b:a", "64k", "-frame_duration", "20", "-f", "ogg"];
        let sound = ffmpeg(&["-f", "f32le", "-ar", "48000", "-ac", "1"], raw, &output);
        // The first two packets are headers (RFC 7845).
        let sounds = ogg_packets(&sound).split_off(2);
        Self { pictures, sounds }
    }

    /// The `n`-th frame of a layer, over and over.
    pub fn picture(&self, rid: Rid, n: u32) -> Option<Vec<u8>> {
        let frames = self.pictures.get(&rid.to_string())?;
        Some(frames[n as usize % frames.len()].clone())
    }

    /// The `n`-th packet of sound, over and over.
    pub fn sound(&self, n: u32) -> Vec<u8> {
        let most = (SECONDS * 50) as usize;
        self.sounds[n as usize % most.min(self.sounds.len())].clone()
    }
}

fn is_beep(at: f32) -> bool {
    at.rem_euclid(1.0) < 0.1
}

fn samples() -> impl Iterator<Item = f32> {
    (0..SECONDS * 48_000).map(|n| {
        let at = n as f32 / 48_000.0;
        let (hz, level) = if is_beep(at + OPUS_DELAY) { (BEEP_HZ, 0.5) } else { (TONE_HZ, 0.15) };
        (std::f32::consts::TAU * (hz * at).fract()).sin() * level
    })
}

/// One frame as I420.
fn draw(width: usize, height: usize, n: u32) -> Vec<u8> {
    let mut luma = vec![110_u8; width * height];
    let mut fill = |x0: usize, y0: usize, x1: usize, y1: usize, value: u8| {
        for row in luma.chunks_exact_mut(width).take(y1).skip(y0) {
            row[x0..x1].fill(value);
        }
    };
    let bits = (0..16).rev().map(|bit| n >> bit & 1 == 1);
    let blocks: Vec<bool> = [true, false].into_iter().chain(bits).chain([n.count_ones() % 2 == 1]).collect();
    for (i, lit) in blocks.into_iter().enumerate() {
        fill(width * i / 20, 0, width * (i + 1) / 20, height / 9, if lit { 235 } else { 16 });
    }
    let lit = is_beep(n as f32 / FPS as f32);
    fill(width * 5 / 8, height * 5 / 8, width * 7 / 8, height * 7 / 8, if lit { 235 } else { 16 });
    luma.resize(width * height * 3 / 2, 128);
    luma
}

fn ffmpeg(input: &[&str], raw: Vec<u8>, output: &[&str]) -> Vec<u8> {
    let mut child = Command::new("ffmpeg")
        .args(["-loglevel", "error"])
        .args(input)
        .args(["-i", "pipe:0"])
        .args(output)
        .arg("pipe:1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&raw));
    let out = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(out.status.success(), "ffmpeg {output:?}");
    out.stdout
}

fn ivf_frames(mut ivf: &[u8]) -> Vec<Vec<u8>> {
    ivf = &ivf[32..];
    let mut frames = Vec::new();
    while ivf.len() >= 12 {
        let length = u32::from_le_bytes(ivf[..4].try_into().unwrap()) as usize;
        frames.push(ivf[12..12 + length].to_vec());
        ivf = &ivf[12 + length..];
    }
    frames
}

fn ogg_packets(mut ogg: &[u8]) -> Vec<Vec<u8>> {
    let (mut packets, mut packet) = (Vec::new(), Vec::new());
    while ogg.len() >= 27 {
        let segments = usize::from(ogg[26]);
        let table = ogg[27..27 + segments].to_vec();
        ogg = &ogg[27 + segments..];
        for length in table {
            packet.extend_from_slice(&ogg[..length.into()]);
            ogg = &ogg[length.into()..];
            if length < 255 {
                packets.push(std::mem::take(&mut packet));
            }
        }
    }
    packets
}
