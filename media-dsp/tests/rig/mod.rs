//! A graph in virtual time, and peers that feed it and look at what it makes.
#![allow(dead_code, reason = "each test crate uses its own part of it")]

use base::{Codec, EncodedFrame, Machine, MediaTime, Output};
use bytes::Bytes;
use codecs::{
    AudioDecoder, AudioEncoder, Decoded, Encoded, Picture, VideoDecoder, VideoEncoder, VideoSettings, g711,
    g722, h264, opus, vp8,
};
use kernels::I420;
use media_dsp::graph::Input;
use media_dsp::{Command, Graph, Report, SinkId, SourceId, SourceKind, Step};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A graph whose clock is turned by hand.
pub struct Rig {
    pub graph: Graph,
    epoch: Instant,
    now: Instant,
    wake: Option<Instant>,
    /// What it reported, and when.
    pub reports: Vec<(Duration, Report)>,
}

impl Rig {
    pub fn new() -> Self {
        let epoch = Instant::now();
        let graph = Graph::new(epoch, Instant::now);
        Self { graph, epoch, now: epoch, wake: None, reports: Vec::new() }
    }

    pub fn now(&self) -> MediaTime {
        MediaTime::at(self.epoch, self.now)
    }

    fn step(&mut self, input: Input) {
        let (now, reports) = (self.now, &mut self.reports);
        let since = now - self.epoch;
        self.wake = self.graph.step(now, input, |output| {
            let Output::Event(report) = output;
            reports.push((since, report));
        });
    }

    /// Gives it a command, and wakes it if it wants that at once.
    pub fn send(&mut self, command: Command) {
        self.step(Input::Command(command));
        if self.wake.is_some_and(|wake| wake <= self.now) {
            self.step(Input::Timeout);
        }
        assert!(self.wake.is_none_or(|wake| wake > self.now), "what is due was not done");
    }

    pub fn apply(&mut self, steps: impl IntoIterator<Item = Step>) {
        self.send(Command::Apply(steps.into_iter().collect()));
    }

    pub fn add_source(&mut self, source: u64, kind: SourceKind) {
        self.apply([Step::AddSource { source: SourceId(source), kind }]);
    }

    /// Goes to `to` after the start, waking the graph whenever it wants.
    pub fn go(&mut self, to: Duration) {
        let to = self.epoch + to;
        while let Some(wake) = self.wake.filter(|&wake| wake <= to) {
            self.now = self.now.max(wake);
            self.step(Input::Timeout);
        }
        self.now = self.now.max(to);
    }

    pub fn frame(&mut self, source: u64, frame: EncodedFrame) {
        self.send(Command::Frame { source: SourceId(source), frame });
    }

    /// Frames of a sink so far, with the time each was made.
    pub fn frames(&self, sink: u64) -> Vec<(Duration, EncodedFrame)> {
        let of_sink = |(at, report): &(Duration, Report)| match report {
            Report::Frame { sink: id, frame } if *id == SinkId(sink) => Some((*at, frame.clone())),
            _ => None,
        };
        self.reports.iter().filter_map(of_sink).collect()
    }

    pub fn count(&self, wanted: impl Fn(&Report) -> bool) -> usize {
        self.reports.iter().filter(|(_, report)| wanted(report)).count()
    }

    pub fn failures(&self) -> usize {
        self.count(|report| matches!(report, Report::Failed { .. } | Report::Died { .. }))
    }
}

/// A peer that sends pictures.
pub struct Camera {
    pub codec: Codec,
    encoder: Box<dyn VideoEncoder>,
}

impl Camera {
    pub fn new(codec: Codec, width: u32, height: u32, max_nal_bytes: Option<usize>) -> Self {
        let bps = width * height * 3;
        let settings = VideoSettings { width, height, fps: 30, bps, max_nal_bytes };
        let encoder: Box<dyn VideoEncoder> = match codec {
            Codec::Vp8 => Box::new(vp8::Encoder::new(settings).unwrap()),
            _ => Box::new(h264::Encoder::new(settings).unwrap()),
        };
        Self { codec, encoder }
    }

    /// A frame of `picture`, captured and arrived at `at`; `None` if the encoder left it out.
    pub fn shoot(&mut self, picture: &I420, at: MediaTime, how: Picture) -> Option<EncodedFrame> {
        let mut data = Vec::new();
        let made = self.encoder.encode(&picture.view(), at.since_epoch(), how, &mut data).unwrap();
        (made != Encoded::Skipped).then(|| EncodedFrame {
            codec: self.codec,
            captured: at,
            arrived: at,
            key: made == Encoded::Key,
            contiguous: true,
            data: Bytes::from(data),
        })
    }
}

/// A peer that looks at pictures.
pub struct Screen {
    decoder: Box<dyn VideoDecoder>,
    pub shown: I420,
}

impl Screen {
    pub fn new(codec: Codec) -> Self {
        let decoder: Box<dyn VideoDecoder> = match codec {
            Codec::Vp8 => Box::new(vp8::Decoder::new().unwrap()),
            _ => Box::new(h264::Decoder::new().unwrap()),
        };
        Self { decoder, shown: I420::default() }
    }

    pub fn look(&mut self, frame: &EncodedFrame) {
        assert_eq!(self.decoder.decode(&frame.data), Ok(Decoded::Whole));
        self.shown.copy_from(&self.decoder.picture().unwrap());
    }
}

/// A peer that speaks: a tone, in packets.
pub struct Microphone {
    codec: Codec,
    encoder: Box<dyn AudioEncoder>,
    hz: f32,
    amplitude: f32,
    sent: usize,
}

impl Microphone {
    pub fn new(codec: Codec, hz: f32, amplitude: f32) -> Self {
        let encoder: Box<dyn AudioEncoder> = match codec {
            Codec::Opus => Box::new(opus::Encoder::new(64_000).unwrap()),
            Codec::G722 => Box::new(g722::Encoder::default()),
            Codec::Pcma => Box::new(g711::Encoder::new(g711::Law::A)),
            _ => Box::new(g711::Encoder::new(g711::Law::Mu)),
        };
        Self { codec, encoder, hz, amplitude, sent: 0 }
    }

    pub fn expect_loss(&mut self, percent: u8) {
        self.encoder.set_expected_loss(percent);
    }

    pub fn set_amplitude(&mut self, amplitude: f32) {
        self.amplitude = amplitude;
    }

    /// The next packet of `time`, captured at `captured`.
    pub fn speak(&mut self, time: Duration, captured: MediaTime, arrived: MediaTime) -> EncodedFrame {
        let rate = self.encoder.rate();
        let samples = (u128::from(rate) * time.as_millis() / 1000) as usize;
        let block = crate::pattern::sine(self.hz, self.amplitude, rate, self.sent, samples);
        self.sent += samples;
        let mut data = Vec::new();
        self.encoder.encode(&block, &mut data).unwrap();
        EncodedFrame {
            codec: self.codec,
            captured,
            arrived,
            key: true,
            contiguous: true,
            data: Bytes::from(data),
        }
    }
}

/// A packet that is lost.
pub fn lost(codec: Codec, captured: MediaTime) -> EncodedFrame {
    EncodedFrame { codec, captured, arrived: captured, key: true, contiguous: true, data: Bytes::new() }
}

/// What a peer hears in a row of packets, and at which rate.
pub fn listen(frames: &[(Duration, EncodedFrame)]) -> (Vec<f32>, u32) {
    let mut decoder: Box<dyn AudioDecoder> = match frames[0].1.codec {
        Codec::Opus => Box::new(opus::Decoder::new(opus::RATE).unwrap()),
        Codec::G722 => Box::new(g722::Decoder::default()),
        Codec::Pcma => Box::new(g711::Decoder::new(g711::Law::A)),
        _ => Box::new(g711::Decoder::new(g711::Law::Mu)),
    };
    let mut heard = Vec::new();
    frames.iter().for_each(|(_, frame)| decoder.decode(&frame.data, &mut heard).unwrap());
    (heard, decoder.rate())
}

/// Frames by sink.
pub fn by_sink(reports: &[(Duration, Report)]) -> BTreeMap<SinkId, Vec<EncodedFrame>> {
    let mut all: BTreeMap<SinkId, Vec<EncodedFrame>> = BTreeMap::new();
    for (_, report) in reports {
        if let Report::Frame { sink, frame } = report {
            all.entry(*sink).or_default().push(frame.clone());
        }
    }
    all
}

/// Writes a picture as PNG, for a person to look at.
pub fn write_png(picture: &I420, path: &std::path::Path) {
    let view = picture.view();
    let [ys, cs] = view.strides();
    let [luma, u, v] = view.planes();
    let mut rgb = Vec::new();
    for y in 0..view.height() as usize {
        for x in 0..view.width() as usize {
            let l = 1.164 * (f32::from(luma[y * ys + x]) - 16.0);
            let (cb, cr) =
                (f32::from(u[y / 2 * cs + x / 2]) - 128.0, f32::from(v[y / 2 * cs + x / 2]) - 128.0);
            rgb.extend(
                [l + 1.596 * cr, l - 0.392 * cb - 0.813 * cr, l + 2.017 * cb]
                    .map(|c| c.clamp(0.0, 255.0) as u8),
            );
        }
    }
    let mut encoder = png::Encoder::new(std::fs::File::create(path).unwrap(), view.width(), view.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header().unwrap().write_image_data(&rgb).unwrap();
}
