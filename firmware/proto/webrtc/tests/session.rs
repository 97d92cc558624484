//! One session against a server on str0m, in virtual time. Whole calls are tested where the connectors are.

#![allow(clippy::disallowed_methods, reason = "virtual time must begin at some moment")]
#![allow(clippy::unwrap_used, reason = "what a test leans on may fail it")]

use base::{Beat, Codec, EncodedFrame, Machine, MediaKind, MediaTime, Output, Size};
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use webrtc::testing::{FarSide, Heard, HeardFrame, Link, vp8_frame, vp8_number};
use webrtc::{
    CONNECT, Config, Effect, Event, Input, Layer, Lost, Offer, Peer, PeerError, RecvTrack, SendTrack,
};

const MS: Duration = Duration::from_millis(1);

struct Pair {
    now: Instant,
    epoch: Instant,
    peer: Peer,
    far: FarSide,
    up: Link,
    down: Link,
    wake: Option<Instant>,
    /// When it sent something.
    left: Vec<Instant>,
    events: Vec<Event>,
    frames: Vec<(RecvTrack, EncodedFrame)>,
    heard: Vec<Heard>,
}

fn near() -> SocketAddr {
    "192.0.2.10:40000".parse().unwrap()
}

fn distant() -> SocketAddr {
    "198.51.100.20:19302".parse().unwrap()
}

fn config(epoch: Instant) -> Config {
    let layer = |rid, size, max_bps| Layer { rid, size, max_bps, max_fps: 30 };
    let layers = vec![layer("q", Size::P180, 120_000), layer("f", Size::HD720, 950_000)];
    let offer = Offer { layers, recv_audios: 1, recv_videos: 1, channel: "test" };
    Config { bound: near(), public: None, epoch, max_bps: 2_000_000, offer }
}

impl Pair {
    fn connected() -> Self {
        let epoch = Instant::now();
        let (peer, offer) = Peer::offer(epoch, &config(epoch)).unwrap();
        let (far, answer) = FarSide::answer(epoch, distant(), &offer).unwrap();
        let (up, down) = (Link::new(10 * MS), Link::new(10 * MS));
        let (left, events, frames, heard) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut pair =
            Self { now: epoch, epoch, peer, far, up, down, wake: None, left, events, frames, heard };
        pair.step(Input::Answer(&answer));
        pair.run(Duration::from_secs(1));
        assert!(pair.events.contains(&Event::Connected) && pair.events.contains(&Event::ChannelOpen));
        pair
    }

    fn step(&mut self, input: Input<'_>) {
        let (now, up) = (self.now, &mut self.up);
        let (left, events, frames) = (&mut self.left, &mut self.events, &mut self.frames);
        self.wake = self.peer.step(now, input, |output| match output {
            Output::Effect(Effect::Transmit { data, .. }) => {
                left.push(now);
                up.send(now, near(), data.to_vec());
            }
            Output::Effect(Effect::Frame { track, frame }) => frames.push((track, frame)),
            Output::Event(event) => events.push(event),
        });
    }

    fn turn_far(&mut self) {
        let (now, down, heard) = (self.now, &mut self.down, &mut self.heard);
        self.far.turn(now, |what| match what {
            Heard::Transmit(_, data) => down.send(now, distant(), data),
            what => heard.push(what),
        });
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let next = [self.wake, Some(self.far.wake), self.up.next(), self.down.next()]
                .into_iter()
                .flatten()
                .min();
            let Some(next) = next.filter(|at| *at <= end) else { break };
            self.now = self.now.max(next);
            while let Some((from, data)) = self.up.arrived(self.now) {
                self.far.receive(self.now, from, &data);
                self.turn_far();
            }
            while let Some((from, data)) = self.down.arrived(self.now) {
                self.step(Input::Packet { from, data: &data });
            }
            if self.far.wake <= self.now {
                self.turn_far();
            }
            if self.wake.is_some_and(|at| at <= self.now) {
                self.step(Input::Timeout);
            }
        }
        self.now = end;
    }

    fn send(&mut self, track: SendTrack, codec: Codec, data: Vec<u8>) {
        let captured = MediaTime::at(self.epoch, self.now);
        let data = Bytes::from(data);
        let frame = EncodedFrame { codec, captured, arrived: captured, key: true, contiguous: true, data };
        self.step(Input::Frame { track, frame: &frame });
    }

    fn lost(&self) -> Option<Lost> {
        self.events.iter().find_map(|event| match event {
            Event::Lost(lost) => Some(*lost),
            _ => None,
        })
    }
}

#[test]
fn the_offer_names_the_public_address_beside_the_bound_one() {
    let epoch = Instant::now();
    let public = "203.0.113.7:40000".parse().unwrap();
    let (_, offer) = Peer::offer(epoch, &Config { public: Some(public), ..config(epoch) }).unwrap();
    assert!(offer.contains("192.0.2.10 40000 typ host"), "{offer}");
    assert!(offer.contains("203.0.113.7 40000 typ srflx"), "{offer}");
}

#[test]
fn a_socket_bound_to_any_address_is_refused_by_name() {
    let epoch = Instant::now();
    let bound = "0.0.0.0:40000".parse().unwrap();
    let refused = Peer::offer(epoch, &Config { bound, ..config(epoch) });
    assert!(matches!(refused, Err(PeerError::Address(address)) if address == bound));
}

#[test]
fn a_bad_answer_is_told_and_is_the_end() {
    for answer in ["", "v=0\r\n", "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"] {
        let epoch = Instant::now();
        let (mut peer, _) = Peer::offer(epoch, &config(epoch)).unwrap();
        let mut told = Vec::new();
        let wake = peer.step(epoch, Input::Answer(answer), |output| told.push(output));
        assert!(matches!(&*told, [Output::Event(Event::BadAnswer(_))]), "{told:?}");
        assert_eq!(wake, None);
    }
}

#[test]
fn nothing_is_sent_before_the_answer() {
    let epoch = Instant::now();
    let (mut peer, _) = Peer::offer(epoch, &config(epoch)).unwrap();
    for at in 0..100 {
        let wake = peer.step(epoch + at * 100 * MS, Input::Timeout, |output| panic!("{output:?}"));
        assert_eq!(wake, None);
    }
}

#[test]
fn tracks_are_found_by_the_mid_the_answer_names() {
    let pair = Pair::connected();
    let (sounds, pictures) = pair.far.slots();
    assert_eq!(pair.peer.track(&sounds[0]), Some(RecvTrack(0)));
    assert_eq!(pair.peer.track(&pictures[0]), Some(RecvTrack(1)));
    assert_eq!(pair.peer.slot(RecvTrack(1)), Some((&*pictures[0], MediaKind::Video)));
    assert_eq!(pair.peer.track("?"), None);
}

/// The number that [`every_frame_but_the_first_is_dated_truly_by_a_report`] put into a frame.
fn number(frame: &HeardFrame) -> Option<u32> {
    if frame.rid.is_some() {
        vp8_number(&frame.data)
    } else {
        frame.data.first().map(|byte| u32::from(*byte))
    }
}

#[test]
fn every_frame_but_the_first_is_dated_truly_by_a_report() {
    // given a session in which nothing is said for some seconds, and that is not at a whole one
    let mut pair = Pair::connected();
    pair.run(3_300 * MS);
    // when sound and a picture are sent every 20 ms
    for n in 0..100 {
        pair.send(SendTrack::Sound, Codec::Opus, vec![n; 40]);
        pair.send(SendTrack::Layer(0), Codec::Vp8, vp8_frame(n == 0, n.into(), 200));
        pair.run(20 * MS);
    }
    // then all of them lie on one time line from the second on
    let frames = pair.heard.iter().filter_map(|heard| match heard {
        Heard::Frame(frame) => Some(frame),
        _ => None,
    });
    let (sounds, pictures): (Vec<_>, Vec<_>) = frames.partition(|frame| frame.rid.is_none());
    assert_eq!((sounds.len(), pictures.len()), (100, 100));
    let begins = |frame: &HeardFrame| Some(frame.captured_ns? - i128::from(number(frame)?) * 20_000_000);
    let begin = begins(sounds[99]).unwrap();
    for frame in sounds[1..].iter().chain(&pictures[1..]) {
        let off = begins(frame).map(|at| (at - begin) / 1_000_000);
        assert_eq!(off, Some(0), "frame {:?} of layer {:?}, in ms", number(frame), frame.rid);
    }
}

#[test]
fn a_key_frame_is_asked_for_until_it_comes() {
    let mut pair = Pair::connected();
    let now = pair.now;
    pair.far.send_picture(0, now, 0, &vp8_frame(true, 0, 500));
    pair.turn_far();
    pair.run(100 * MS);
    pair.step(Input::RequestKeyframe(RecvTrack(1)));
    pair.step(Input::RequestKeyframe(RecvTrack(1)));
    pair.run(Duration::from_secs(2));
    let asked =
        |pair: &Pair| pair.heard.iter().filter(|heard| matches!(heard, Heard::KeyframeWanted(_))).count();
    assert!((2..=4).contains(&asked(&pair)), "{}", asked(&pair));
    let now = pair.now;
    pair.far.send_picture(0, now, 180_000, &vp8_frame(true, 1, 500));
    pair.turn_far();
    pair.run(100 * MS);
    let before = asked(&pair);
    pair.run(Duration::from_secs(5));
    assert_eq!(asked(&pair), before);
}

#[test]
fn a_stranger_neither_breaks_a_session_nor_keeps_it_alive() {
    let mut pair = Pair::connected();
    pair.down.lose(|_| true);
    let stranger = "203.0.113.9:9".parse().unwrap();
    for _ in 0..120 {
        pair.step(Input::Packet {
            from: stranger,
            data: &[0x80, 0x60, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9, 1, 2, 3],
        });
        pair.step(Input::Packet {
            from: stranger,
            data: &[21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 40],
        });
        pair.run(100 * MS);
    }
    assert!(pair.peer.counters().strangers >= 200);
    assert_eq!(pair.lost(), Some(Lost::PathLost));
}

#[test]
fn a_session_that_never_comes_up_is_given_up() {
    let mut pair = Pair::connected();
    let epoch = pair.now;
    let (peer, offer) = Peer::offer(epoch, &config(epoch)).unwrap();
    let (far, answer) = FarSide::answer(epoch, distant(), &offer).unwrap();
    (pair.peer, pair.far) = (peer, far);
    pair.events.clear();
    pair.down.lose(|_| true);
    pair.step(Input::Answer(&answer));
    pair.run(CONNECT - MS);
    assert_eq!(pair.lost(), None);
    pair.run(2 * MS);
    assert_eq!(pair.lost(), Some(Lost::NeverConnected));
}

#[test]
fn after_the_end_everything_is_taken_and_nothing_done() {
    let mut pair = Pair::connected();
    pair.step(Input::Close);
    pair.run(Duration::from_secs(1));
    assert!(pair.heard.contains(&Heard::Closed));
    pair.events.clear();
    pair.step(Input::Answer("x"));
    pair.step(Input::Text("x"));
    pair.step(Input::RequestKeyframe(RecvTrack(9)));
    pair.send(SendTrack::Layer(200), Codec::Vp8, vec![0; 10]);
    assert_eq!(pair.wake, None);
    assert!(pair.events.is_empty());
}

#[test]
fn frames_for_layers_that_are_not_there_are_dropped() {
    let mut pair = Pair::connected();
    pair.send(SendTrack::Layer(2), Codec::Vp8, vp8_frame(true, 0, 500));
    pair.send(SendTrack::Layer(0), Codec::Vp8, Vec::new());
    pair.send(SendTrack::Sound, Codec::Opus, Vec::new());
    pair.run(Duration::from_secs(1));
    assert!(!pair.heard.iter().any(|heard| matches!(heard, Heard::Frame(_))));
    assert_eq!(pair.peer.counters().refused, 0);
}

#[test]
fn what_comes_together_is_turned_once_at_the_wake_up_asked_for_at_once() {
    let mut pair = Pair::connected();
    // given nothing on its way
    pair.run(5 * MS);
    let quiet = pair.up.next();
    // when sound and a picture are to be sent
    pair.send(SendTrack::Sound, Codec::Opus, vec![1; 40]);
    pair.send(SendTrack::Layer(0), Codec::Vp8, vp8_frame(true, 0, 200));
    // then nothing leaves before the wake-up, which is due
    assert_eq!(pair.up.next(), quiet);
    assert!(pair.wake.is_some_and(|at| at <= pair.now));
    pair.step(Input::Timeout);
    assert!(pair.up.next().is_some() && pair.wake.is_none_or(|at| at > pair.now));
    pair.run(Duration::from_secs(1));
    let frames = pair.heard.iter().filter(|heard| matches!(heard, Heard::Frame(_))).count();
    assert_eq!(frames, 2);
}

#[test]
fn a_pictures_packets_leave_together_as_far_as_the_pace_allows_and_not_one_a_wake_up() {
    let mut pair = Pair::connected();
    pair.send(SendTrack::Layer(1), Codec::Vp8, vp8_frame(true, 0, 20_000));
    let mut left = 0;
    pair.wake = pair.peer.step(pair.now, Input::Timeout, |output| {
        left += usize::from(matches!(output, Output::Effect(Effect::Transmit { .. })));
    });
    assert!(left >= 4, "{left} packets");
}

#[test]
fn what_is_done_by_the_clock_can_wait_for_a_moment_that_others_have_as_well() {
    let mut pair = Pair::connected();
    let mut nearest = Beat::STEP;
    for n in 0..100 {
        // given pictures that no pace holds up, and sound
        pair.send(SendTrack::Sound, Codec::Opus, vec![1; 40]);
        pair.send(SendTrack::Layer(0), Codec::Vp8, vp8_frame(n == 0, n, 200));
        // when what they ask for is done
        pair.step(Input::Timeout);
        // then reports, feedback and estimates are not due within the next few milliseconds
        let wake = pair.wake.map_or(Beat::STEP, |at| at - pair.now);
        nearest = nearest.min(wake);
        pair.run(Beat::STEP + MS / 3);
    }
    assert!(nearest >= Beat::NEAR, "{nearest:?}");
}

#[test]
fn what_paces_packets_does_not_wait_so_a_probe_of_the_network_has_no_gap() {
    for offset in (0..33).step_by(4) {
        // given a session that sends and receives pictures, so that all that it does by the clock is due now and then
        let mut pair = Pair::connected();
        pair.run(offset * MS);
        for n in 0..200_u32 {
            pair.far.send_picture(0, pair.now, u64::from(n) * 3_000, &vp8_frame(n == 0, n, 1_000));
            pair.turn_far();
            pair.send(SendTrack::Layer(1), Codec::Vp8, vp8_frame(n == 0, n, 2_000));
            pair.step(Input::Timeout);
            pair.run(33 * MS);
        }
        // then the probe that str0m makes of it each five seconds leaves in steps of 2 ms, one after the other
        let late: Vec<Instant> =
            pair.left.iter().copied().filter(|at| *at > pair.epoch + 4_500 * MS).collect();
        let mut longest = Duration::ZERO;
        for run in late.chunk_by(|one, next| *next - *one < 3 * MS) {
            longest = longest.max(run[run.len() - 1] - run[0]);
        }
        assert!(longest >= 8 * MS, "{longest:?} without a gap, begun {offset} ms later");
    }
}
