//! Two ends, a network between them, and a clock that jumps from one wake-up to the next.

use crate::packet::Channel;
use crate::payload::h264::START_CODE;
use crate::session::config::*;
use crate::session::{Incoming, RtpOutput, RtpSession};
use base::{Codec, EncodedFrame, MediaKind, MediaTime, Seed};
use bytes::Bytes;
use rand::rngs::ChaCha12Rng;
use rand::{RngExt, SeedableRng};
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// Shared, so that a session made apart has it too.
static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    A,
    B,
}

#[derive(Debug, Clone, Copy)]
pub struct Network {
    pub delay_ms: u64,
    pub jitter_ms: u64,
    pub loss_percent: u32,
}

pub fn address(end: End, port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, end as u8 + 1], 40_000 + port))
}

pub fn sound_config(codec: Codec) -> Config {
    config(MediaKind::Audio, codec, Duration::from_millis(20))
}

pub fn video_config(codec: Codec) -> Config {
    config(MediaKind::Video, codec, Duration::from_millis(33))
}

fn config(kind: MediaKind, codec: Codec, frame_time: Duration) -> Config {
    let payload_type = match codec {
        Codec::Pcmu => 0,
        Codec::Pcma => 8,
        Codec::G722 => 9,
        Codec::Opus | Codec::H264 | Codec::Vp8 => 97,
    };
    let format = |payload_type, format| RecvFormat { payload_type, format, parameter_sets: Vec::new() };
    Config {
        kind,
        send: Some(SendFormat { payload_type, codec, h264: H264Mode::NonInterleaved, frame_time }),
        recv: vec![format(payload_type, Format::Media(codec)), format(101, Format::TelephoneEvent)],
        dtmf: None,
        remote: Remote::default(),
        rtcp: RtcpTransport::Separate,
        keyframe_requests: KeyframeRequests::Pli,
        srtp: None,
        cname: "box".to_owned(),
        max_bps: 2_000_000,
    }
}

pub fn session(end: End, config: Config, seed: u8) -> RtpSession {
    RtpSession::new(towards(end, config), *EPOCH, Seed([seed; 32])).unwrap()
}

fn towards(end: End, config: Config) -> Config {
    let other = if end == End::A { End::B } else { End::A };
    Config { remote: Remote { rtp: Some(address(other, 0)), rtcp: Some(address(other, 1)) }, ..config }
}

/// A frame that bears its number and when it was made; keyframes are large.
pub fn picture(codec: Codec, captured: MediaTime, number: u32, key: bool) -> EncodedFrame {
    let size = if key { 20_000 } else { 3_000 };
    let mut data = match (codec, key) {
        (Codec::Vp8, true) => vec![0x10],
        (Codec::Vp8, false) => vec![0x11],
        (_, true) => {
            [&START_CODE[..], &[0x67, 0x42, 0, 31, 0x8c], &START_CODE, &[0x68, 0xce], &START_CODE, &[0x65]]
                .concat()
        }
        (_, false) => [&START_CODE[..], &[0x41]].concat(),
    };
    // what follows the slice header's first bit must hold no start code
    data.push(0x9a);
    data.extend(digits(u64::from(number)));
    data.extend(digits(captured.0));
    data.resize(size, 0x55);
    EncodedFrame { codec, captured, arrived: captured, key, contiguous: true, data: data.into() }
}

fn sound(codec: Codec, captured: MediaTime, number: u32) -> EncodedFrame {
    let mut data = vec![0xf8, 0x9a];
    data.extend(digits(u64::from(number)));
    data.extend(digits(captured.0));
    data.resize(160, 0x55);
    EncodedFrame { codec, captured, arrived: captured, key: true, contiguous: true, data: data.into() }
}

/// Seven bits each, the top one set, so that no zero is among them.
fn digits(number: u64) -> [u8; 9] {
    std::array::from_fn(|at| 0x80 | (number >> (7 * (8 - at)) & 0x7f) as u8)
}

fn read_digits(data: &[u8]) -> u64 {
    data.iter().take(9).fold(0, |number, digit| number << 7 | u64::from(digit & 0x7f))
}

#[derive(Debug)]
pub struct Seen {
    pub at: Duration,
    pub frame: EncodedFrame,
}

impl Seen {
    fn mark(&self) -> &[u8] {
        let at = self.frame.data.iter().position(|byte| *byte == 0x9a).unwrap();
        &self.frame.data[at + 1..]
    }

    pub fn number(&self) -> u32 {
        read_digits(self.mark()) as u32
    }

    pub fn sent(&self) -> MediaTime {
        MediaTime(read_digits(&self.mark()[9..]))
    }
}

struct Flying {
    at: Instant,
    to: End,
    channel: Channel,
    data: Bytes,
}

pub struct Rig {
    sessions: [RtpSession; 2],
    pub network: Network,
    rng: ChaCha12Rng,
    now: Instant,
    flying: Vec<Flying>,
    next_frame: u32,
    next_frame_at: Instant,
    pub key_next: bool,
    pub frames: [Vec<Seen>; 2],
    pub keyframes_asked: [u32; 2],
    pub by_signalling: u32,
    pub bandwidth: Vec<u64>,
    pub keys: String,
    pub byes: u32,
    /// What A was told to expect to lose, in percent.
    pub expected_loss: Vec<u8>,
}

impl Rig {
    pub fn new(a: Config, b: Config, network: Network) -> Self {
        Self {
            sessions: [session(End::A, a, 1), session(End::B, b, 2)],
            network,
            rng: ChaCha12Rng::from_seed([4; 32]),
            now: *EPOCH + Duration::from_secs(1),
            flying: Vec::new(),
            next_frame: 0,
            next_frame_at: *EPOCH + Duration::from_secs(1),
            key_next: true,
            frames: [Vec::new(), Vec::new()],
            keyframes_asked: [0; 2],
            by_signalling: 0,
            bandwidth: Vec::new(),
            keys: String::new(),
            byes: 0,
            expected_loss: Vec::new(),
        }
    }

    pub fn session(&self, end: End) -> &RtpSession {
        &self.sessions[end as usize]
    }

    pub fn now(&self) -> Duration {
        self.now - *EPOCH
    }

    pub fn since_epoch(&self, at: Instant) -> Duration {
        at - *EPOCH
    }

    pub fn numbers(&self, end: End) -> Vec<u32> {
        self.frames[end as usize].iter().map(Seen::number).collect()
    }

    /// Both ends send sound.
    pub fn talk(&mut self, time: Duration) {
        self.run(time, Duration::from_millis(20));
    }

    /// Both ends send pictures; A makes a keyframe when it is asked.
    pub fn show(&mut self, time: Duration) {
        self.run(time, Duration::from_nanos(33_333_333));
    }

    fn run(&mut self, time: Duration, every: Duration) {
        let until = self.now + time;
        loop {
            let arrival = self.flying.iter().map(|packet| packet.at).min();
            let wakes = self.sessions.iter().filter_map(RtpSession::poll_at);
            let next = wakes.chain(arrival).chain([self.next_frame_at]).min().unwrap_or(until);
            if next >= until {
                self.now = until;
                return;
            }
            self.now = self.now.max(next);
            if self.next_frame_at <= self.now {
                self.next_frame_at += every;
                self.send_frames();
            }
            while let Some(at) = self.flying.iter().position(|packet| packet.at <= self.now) {
                let packet = self.flying.swap_remove(at);
                let other = if packet.to == End::A { End::B } else { End::A };
                let from = address(other, if packet.channel == Channel::Rtp { 0 } else { 1 });
                self.inject(packet.to, Incoming { channel: packet.channel, from, data: &packet.data });
            }
            for end in [End::A, End::B] {
                self.turn(end, |session, now, sink| {
                    session.timeout(now, sink);
                });
            }
        }
    }

    fn send_frames(&mut self) {
        let (number, captured) = (self.next_frame, MediaTime::at(*EPOCH, self.now));
        self.next_frame += 1;
        let key = std::mem::take(&mut self.key_next);
        for end in [End::A, End::B] {
            let Some(codec) = self.sessions[end as usize].config.send.as_ref().map(|send| send.codec) else {
                continue;
            };
            let frame = match codec {
                Codec::H264 | Codec::Vp8 => {
                    picture(codec, captured, number, key || number == 0 && end == End::B)
                }
                _ => sound(codec, captured, number),
            };
            self.turn(end, |session, now, sink| {
                session.send(now, &frame, sink);
            });
        }
    }

    pub fn inject(&mut self, to: End, incoming: Incoming<'_>) {
        self.turn(to, |session, now, sink| {
            session.receive(now, incoming, sink);
        });
    }

    pub fn request_keyframe(&mut self, end: End) {
        self.turn(end, |session, now, sink| {
            session.request_keyframe(now, sink);
        });
    }

    pub fn bye(&mut self, end: End) {
        self.turn(end, |session, now, sink| session.bye(now, sink));
    }

    pub fn press(&mut self, end: End, key: char) -> bool {
        self.sessions[end as usize].press(self.now, key)
    }

    pub fn reconfigure(&mut self, end: End, config: Config) {
        self.sessions[end as usize].reconfigure(towards(end, config)).unwrap();
    }

    /// The peer restarts: another session at the same address.
    pub fn replace(&mut self, end: End, config: Config, seed: u8) {
        self.sessions[end as usize] = session(end, config, seed);
    }

    fn turn(&mut self, end: End, act: impl FnOnce(&mut RtpSession, Instant, &mut dyn FnMut(RtpOutput))) {
        let mut out = Vec::new();
        act(&mut self.sessions[end as usize], self.now, &mut |output| out.push(output));
        for output in out {
            self.take(end, output);
        }
    }

    fn take(&mut self, end: End, output: RtpOutput) {
        match output {
            RtpOutput::Packet { channel, to, data } => {
                let receiver = if end == End::A { End::B } else { End::A };
                assert_eq!(to, address(receiver, if channel == Channel::Rtp { 0 } else { 1 }));
                let Network { delay_ms, jitter_ms, loss_percent } = self.network;
                if self.rng.random_range(0..100) < loss_percent {
                    return;
                }
                let delay = Duration::from_millis(delay_ms + self.rng.random_range(0..=jitter_ms));
                self.flying.push(Flying { at: self.now + delay, to: receiver, channel, data });
            }
            RtpOutput::Frame(frame) => {
                let at = self.now();
                self.frames[end as usize].push(Seen { at, frame });
            }
            RtpOutput::KeyframeWanted => {
                self.keyframes_asked[end as usize] += 1;
                self.key_next |= end == End::A;
            }
            RtpOutput::AskKeyframe => self.by_signalling += 1,
            RtpOutput::Bandwidth(bps) if end == End::A => self.bandwidth.push(bps),
            RtpOutput::SoundLoss(percent) if end == End::A => self.expected_loss.push(percent),
            RtpOutput::Bandwidth(_) | RtpOutput::SoundLoss(_) => {}
            RtpOutput::Dtmf(key) => self.keys.push(key),
            RtpOutput::Bye => self.byes += 1,
        }
    }
}
