//! The bare sum: the gateway's own codecs and kernels on the same clips, as fast as they play, with nothing round them.
//!
//! No packets and no rings: what a call would cost if everything but the codecs were free. Up, down and sound have a thread each,
//! as they have in the gateway.

use crate::clips::Clips;
use crate::cpu;
use crate::load::{Beat, PICTURE_TIME, SOUND_TIME};
use crate::peers::Rates;
use crate::settings::{CLIP_SECONDS, FPS, FRAMES, HEIGHT, LAYERS, Layer, OPUS_BPS, PLACES, VOICES, WIDTH};
use crate::streams;
use anyhow::{Context, Result, anyhow};
use codecs::{AudioDecoder, AudioEncoder, Picture, VideoDecoder, VideoEncoder, VideoSettings};
use codecs::{g722, h264, opus, vp8};
use kernels::I420;
use kernels::resample::Resampler;
use std::time::{Duration, Instant};

/// Samples of 20 ms at 48 kHz.
const BLOCK: usize = 960;

/// What the codecs alone cost, in CPU seconds per second of media.
#[derive(Debug, Clone, Copy)]
pub struct Sum {
    /// Room to conference, pictures.
    pub up: f64,
    /// Conference to room, pictures.
    pub down: f64,
    /// Sound both ways.
    pub sound: f64,
}

impl Sum {
    /// All of a call.
    #[must_use]
    pub fn call(&self) -> f64 {
        self.up + self.down + self.sound
    }
}

/// What the sum runs on, read into memory once.
pub struct Bare {
    room: Vec<Vec<u8>>,
    conference: Vec<Vec<Vec<u8>>>,
    voices: Vec<Vec<Vec<u8>>>,
    sound: Vec<Vec<u8>>,
}

impl Bare {
    /// Reads the clips.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn read(clips: &Clips) -> Result<Self> {
        Ok(Self {
            room: clips.room("room.h264")?.iter().map(|unit| streams::annex_b(unit)).collect(),
            conference: clips.conference("main.ivf")?,
            voices: clips.voices()?,
            sound: clips.room_sound()?,
        })
    }

    /// Runs everything once, at these rates.
    ///
    /// # Errors
    /// If a codec fails.
    pub fn run(&self, rates: &Rates) -> Result<Sum> {
        let timed = |work: &dyn Fn() -> Result<f64>| -> Result<f64> {
            let before = cpu::of_this_thread()?;
            let seconds = work()?;
            Ok((cpu::of_this_thread()? - before).as_secs_f64() / seconds)
        };
        std::thread::scope(|scope| {
            let up = scope.spawn(|| timed(&|| self.up(&rates.layers)));
            let down = scope.spawn(|| timed(&|| self.down(rates.composed)));
            let sound = scope.spawn(|| timed(&|| self.sound()));
            let joined = |thread: std::thread::ScopedJoinHandle<'_, Result<f64>>| {
                thread.join().map_err(|_| anyhow!("a codec panicked"))?
            };
            Ok(Sum { up: joined(up)?, down: joined(down)?, sound: joined(sound)? })
        })
    }

    fn up(&self, rates: &[u32; 3]) -> Result<f64> {
        let mut decoder = h264::Decoder::new()?;
        let encoder =
            |(layer, bps): (&Layer, &u32)| vp8::Encoder::new(video(layer.width, layer.height, *bps));
        let mut encoders = LAYERS.iter().zip(rates).map(encoder).collect::<Result<Vec<_>, _>>()?;
        let mut out = Vec::new();
        let (mut half, mut quarter) = (I420::new(640, 360)?, I420::new(320, 180)?);
        let mut beat = Beat::new(Instant::now(), PICTURE_TIME);
        for (n, unit) in self.room.iter().enumerate() {
            await_stroke(&mut beat);
            decoder.decode(unit)?;
            let source = decoder.picture().context("a picture of the room is not to be decoded")?;
            kernels::yuv::scale(&source, &mut half.view_mut());
            kernels::yuv::scale(&half.view(), &mut quarter.view_mut());
            for (encoder, picture) in encoders.iter_mut().zip([source, half.view(), quarter.view()]) {
                out.clear();
                encoder.encode(&picture, at(n), Picture::Any, &mut out)?;
            }
        }
        Ok(CLIP_SECONDS)
    }

    fn down(&self, bps: u32) -> Result<f64> {
        let mut decoders =
            self.conference.iter().map(|_| vp8::Decoder::new()).collect::<Result<Vec<_>, _>>()?;
        let mut encoder = h264::Encoder::new(video(WIDTH, HEIGHT, bps))?;
        let (mut canvas, mut out) = (I420::new(WIDTH, HEIGHT)?, Vec::new());
        let mut beat = Beat::new(Instant::now(), PICTURE_TIME);
        for n in 0..FRAMES {
            await_stroke(&mut beat);
            for ((decoder, stream), place) in decoders.iter_mut().zip(&self.conference).zip(PLACES) {
                decoder.decode(&stream[n])?;
                let picture =
                    decoder.picture().context("a picture of the conference is not to be decoded")?;
                let part = canvas.view_mut().part(place.x, place.y, place.width, place.height);
                kernels::yuv::scale(&picture, &mut part.context("a place is off the canvas")?);
            }
            out.clear();
            encoder.encode(&canvas.view(), at(n), Picture::Any, &mut out)?;
        }
        Ok(CLIP_SECONDS)
    }

    fn sound(&self) -> Result<f64> {
        let mut listeners =
            (0..VOICES).map(|_| opus::Decoder::new(opus::RATE)).collect::<Result<Vec<_>, _>>()?;
        let (mut to_room, mut from_room) = (g722::Encoder::default(), g722::Decoder::default());
        let mut to_conference = opus::Encoder::new(OPUS_BPS)?;
        let down = Resampler::new(48_000, 16_000).context("no resampler")?;
        let up = Resampler::new(16_000, 48_000).context("no resampler")?;
        let (mut down, mut up) = (down, up);
        let blocks = self.voices.iter().map(Vec::len).chain([self.sound.len()]).min().unwrap_or_default();
        let (mut mix, mut one, mut low, mut out) = (vec![0.0; BLOCK], Vec::new(), Vec::new(), Vec::new());
        let mut beat = Beat::new(Instant::now(), SOUND_TIME);
        for n in (0..blocks).cycle().take((CLIP_SECONDS * 50.0) as usize) {
            await_stroke(&mut beat);
            mix.fill(0.0);
            for (decoder, voice) in listeners.iter_mut().zip(&self.voices) {
                one.clear();
                decoder.decode(&voice[n], &mut one)?;
                kernels::sound::add(&mut mix, &one);
            }
            kernels::sound::soft_clip(&mut mix);
            low.clear();
            down.process(&mix, &mut low);
            out.clear();
            to_room.encode(&low, &mut out)?;
            low.clear();
            from_room.decode(&self.sound[n], &mut low)?;
            one.clear();
            up.process(&low, &mut one);
            out.clear();
            to_conference.encode(&one, &mut out)?;
        }
        Ok(CLIP_SECONDS)
    }
}

/// Sleeps until the next stroke and takes it.
fn await_stroke(beat: &mut Beat) {
    std::thread::sleep(beat.due().saturating_duration_since(Instant::now()));
    let _ = beat.stroke(Instant::now());
}

fn at(n: usize) -> Duration {
    Duration::from_secs_f64(n as f64 / f64::from(FPS))
}

fn video(width: u32, height: u32, bps: u32) -> VideoSettings {
    VideoSettings { width, height, fps: FPS, bps, max_nal_bytes: None }
}
