//! What a worker promises of the box's own picture and voice, and of keys heard in a room's sound, in virtual time (P5).

#![allow(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

#[path = "../codecs/tests/pattern/mod.rs"]
mod pattern;
mod rig;

use base::{Codec, EncodedFrame, Size};
use bytes::Bytes;
use codecs::{AudioEncoder, g711, g722, opus};
use kernels::sound::tone;
use media_dsp::{
    Clip, Fit, Listening, Mix, Opening, PictureSink, Rect, Report, SinkId, SourceId, SourceKind, Step, Still,
    Tile,
};
use rig::{Microphone, Rig, Screen, listen, ms};

const PICTURE: u64 = 1;
const VOICE: u64 = 2;
const PERSON: u64 = 3;

fn mix(codec: Codec, source: u64) -> Step {
    let (sink, frame_time, opening) = (SinkId(10), ms(20), Opening::Silence);
    Step::AddMix(Mix {
        sink,
        codec,
        frame_time,
        bps: 32_000,
        expected_loss: 0,
        inputs: vec![SourceId(source)],
        own: None,
        opening,
    })
}

fn clip(hz: f64, seconds: f64) -> Clip {
    let sample = |i: i32| (9_000.0 * (std::f64::consts::TAU * hz * f64::from(i) / 16_000.0).sin()) as i16;
    let samples: Vec<i16> = (0..(seconds * 16_000.0) as i32).map(sample).collect();
    Clip::from_pcm(16_000, &samples).unwrap()
}

/// A still picture of one brightness.
fn still(luma: u8) -> Still {
    let grey = [vec![luma; 320 * 180], vec![128; 160 * 90 * 2]].concat();
    Still::new(Size::new(320, 180), grey.into()).unwrap()
}

fn shows(rig: &Rig, codec: Codec) -> u8 {
    let mut screen = Screen::new(codec);
    rig.frames(20).iter().for_each(|(_, frame)| screen.look(frame));
    screen.shown.view().luma_row(90)[160]
}

#[test]
fn p5_a_clip_is_heard_from_its_start_to_its_end_and_that_is_told() {
    for codec in [Codec::Opus, Codec::G722, Codec::Pcma, Codec::Pcmu] {
        let mut rig = Rig::new();
        rig.add_source(VOICE, SourceKind::Sound);
        rig.apply([Step::Play { source: SourceId(VOICE), clip: clip(1_000.0, 2.0) }, mix(codec, VOICE)]);
        rig.go(ms(3_000));
        let played: Vec<_> = rig
            .reports
            .iter()
            .filter(|(_, report)| matches!(report, Report::Played { source: SourceId(VOICE) }))
            .collect();
        assert_eq!(
            (played.len(), played[0].0),
            (1, ms(2_400)),
            "{codec}: two seconds, and silence behind them"
        );
        let (heard, rate) = listen(&rig.frames(10));
        let second = rate as usize;
        for from in [second / 5, second, second * 9 / 5] {
            let strength = tone(&heard[from..from + second / 10], 1_000.0, rate as f32);
            assert!((0.2..0.32).contains(&strength), "{codec}: {strength} after {from} samples");
        }
        assert!(tone(&heard[second * 5 / 2..second * 27 / 10], 1_000.0, rate as f32) < 0.01, "{codec}");
        assert_eq!(rig.failures(), 0);
    }
}

#[test]
fn another_clip_takes_the_place_of_one_that_is_being_said() {
    let mut rig = Rig::new();
    rig.add_source(VOICE, SourceKind::Sound);
    rig.apply([Step::Play { source: SourceId(VOICE), clip: clip(1_000.0, 5.0) }, mix(Codec::G722, VOICE)]);
    rig.go(ms(1_000));
    rig.apply([Step::Play { source: SourceId(VOICE), clip: clip(600.0, 1.0) }]);
    rig.go(ms(3_000));
    let (heard, rate) = listen(&rig.frames(10));
    let at = |from: usize, hz: f32| tone(&heard[from..from + 3_200], hz, rate as f32);
    assert!(at(8_000, 1_000.0) > 0.2 && at(20_000, 600.0) > 0.2 && at(20_000, 1_000.0) < 0.01);
    assert_eq!(rig.count(|report| matches!(report, Report::Played { .. })), 1);
}

#[test]
fn p5_a_still_picture_is_seen_at_once_and_again_every_second_and_changes_when_told() {
    for codec in [Codec::H264, Codec::Vp8] {
        let mut rig = Rig::new();
        let canvas = Size::new(640, 360);
        let tile = Tile { source: SourceId(PICTURE), rect: Rect::whole(canvas), fit: Fit::Letterbox };
        let (sink, max_nal_bytes) = (SinkId(20), (codec == Codec::H264).then_some(1_188));
        let picture =
            PictureSink { sink, codec, canvas, max_fps: 30, bps: 500_000, max_nal_bytes, tiles: vec![tile] };
        rig.add_source(PICTURE, SourceKind::Picture);
        rig.apply([Step::Show { source: SourceId(PICTURE), still: still(200) }, Step::AddPicture(picture)]);
        rig.go(ms(2_500));
        assert!((2..=4).contains(&rig.frames(20).len()), "{codec}: {} pictures", rig.frames(20).len());
        assert!(shows(&rig, codec).abs_diff(200) < 4, "{codec}");
        let before = rig.frames(20).len();
        rig.apply([Step::Show { source: SourceId(PICTURE), still: still(90) }]);
        rig.go(ms(2_600));
        assert_eq!(rig.frames(20).len(), before + 1, "{codec}: at once");
        assert!(shows(&rig, codec).abs_diff(90) < 4, "{codec}");
        let times: Vec<_> = rig.frames(20).iter().map(|(_, frame)| frame.captured).collect();
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{codec}: {times:?}");
    }
}

#[test]
fn p5_what_follows_a_clip_is_heard_without_a_hole_and_time_goes_on() {
    let mut rig = Rig::new();
    rig.add_source(VOICE, SourceKind::Sound);
    rig.add_source(PERSON, SourceKind::Sound);
    rig.apply([Step::Play { source: SourceId(VOICE), clip: clip(1_000.0, 5.0) }, mix(Codec::Pcmu, VOICE)]);
    rig.go(ms(1_000));
    rig.apply([
        Step::RemoveSource(SourceId(VOICE)),
        Step::SetMix { sink: SinkId(10), inputs: vec![SourceId(PERSON)] },
    ]);
    let mut person = Microphone::new(Codec::Opus, 440.0, 0.4);
    for n in 50..150 {
        rig.go(ms(n * 20));
        let now = rig.now();
        // A conference's sound was captured a tenth of a second ago.
        let captured = base::MediaTime(now.0 - 100_000_000);
        rig.frame(PERSON, person.speak(ms(20), captured, now));
    }
    let frames = rig.frames(10);
    assert!((145..=151).contains(&frames.len()), "{} packets in three seconds", frames.len());
    assert!(frames.windows(2).all(|pair| pair[0].1.captured < pair[1].1.captured));
    let (heard, rate) = listen(&frames);
    assert!(tone(&heard[12_000..20_000], 440.0, rate as f32) > 0.3);
}

/// Keys as a room without signals sends them, in packets of 20 ms.
fn press(codec: Codec, keys: &str) -> Vec<Bytes> {
    press_for(codec, keys, 80)
}

/// Each key `ms` long.
fn press_for(codec: Codec, keys: &str, ms: u32) -> Vec<Bytes> {
    let mut encoder: Box<dyn AudioEncoder> = match codec {
        Codec::Opus => Box::new(opus::Encoder::new(24_000).unwrap()),
        Codec::G722 => Box::new(g722::Encoder::default()),
        Codec::Pcma => Box::new(g711::Encoder::new(g711::Law::A)),
        _ => Box::new(g711::Encoder::new(g711::Law::Mu)),
    };
    let rate = encoder.rate();
    let mut sound = vec![0.0; rate as usize / 5];
    for key in keys.chars() {
        let at = "123A456B789C*0#D".find(key).unwrap();
        let (low, high) = (kernels::dtmf::LOW[at / 4], kernels::dtmf::HIGH[at % 4]);
        let sine =
            |hz: f64, i: u32| (std::f64::consts::TAU * hz * f64::from(i) / f64::from(rate)).sin() * 0.2;
        sound.extend((0..rate * ms / 1_000).map(|i| (sine(low, i) + sine(high, i)) as f32));
        sound.extend(vec![0.0; rate as usize * 80 / 1_000]);
    }
    sound.resize(sound.len().next_multiple_of(rate as usize / 50), 0.0);
    let packet = |block: &[f32]| {
        let mut data = Vec::new();
        encoder.encode(block, &mut data).unwrap();
        data.into()
    };
    sound.chunks_exact(rate as usize / 50).map(packet).collect()
}

fn heard(rig: &Rig) -> String {
    let key = |(_, report): &(std::time::Duration, Report)| match report {
        Report::Key { source: SourceId(PERSON), key } => Some(*key),
        _ => None,
    };
    rig.reports.iter().filter_map(key).collect()
}

/// Sends packets, some of them lost.
fn send(rig: &mut Rig, codec: Codec, packets: &[Bytes], lost: impl Fn(usize) -> bool) {
    for (n, data) in packets.iter().enumerate() {
        rig.go(ms(n as u64 * 20 + 20));
        let (captured, data) = (rig.now(), if lost(n) { Bytes::new() } else { data.clone() });
        rig.frame(
            PERSON,
            EncodedFrame { codec, captured, arrived: captured, key: true, contiguous: true, data },
        );
    }
}

#[test]
fn p5_keys_are_heard_in_every_codec_while_they_are_listened_for() {
    for codec in [Codec::Opus, Codec::G722, Codec::Pcma, Codec::Pcmu] {
        for keys in [Listening::On, Listening::Off] {
            let mut rig = Rig::new();
            rig.add_source(PERSON, SourceKind::Sound);
            rig.apply([Step::Listen { source: SourceId(PERSON), keys }]);
            send(&mut rig, codec, &press(codec, "1234567890123#*"), |_| false);
            let wanted = if keys == Listening::On { "1234567890123#*" } else { "" };
            assert_eq!(heard(&rig), wanted, "{codec}");
        }
    }
}

#[test]
fn a_lost_packet_makes_no_second_key() {
    let mut rig = Rig::new();
    rig.add_source(PERSON, SourceKind::Sound);
    rig.apply([Step::Listen { source: SourceId(PERSON), keys: Listening::On }]);
    send(&mut rig, Codec::Pcmu, &press_for(Codec::Pcmu, "55", 600), |n| n == 20);
    assert_eq!(heard(&rig), "55");
}

#[test]
fn steps_about_sources_that_are_not_there_are_told_and_harm_nothing() {
    let mut rig = Rig::new();
    let source = SourceId(99);
    rig.apply([
        Step::Play { source, clip: clip(1_000.0, 0.1) },
        Step::Show { source, still: still(9) },
        Step::Listen { source, keys: Listening::On },
    ]);
    assert_eq!(rig.count(|report| matches!(report, Report::Failed { source: Some(SourceId(99)), .. })), 3);
}
