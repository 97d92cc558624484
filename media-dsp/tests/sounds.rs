//! What a worker promises of sound, in virtual time.

#![allow(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

#[path = "../codecs/tests/pattern/mod.rs"]
mod pattern;
mod rig;

use base::{Codec, EncodedFrame, MediaTime};
use kernels::sound::{energy, tone};
use media_dsp::{Clip, Mix, Opening, Report, SinkId, SourceId, SourceKind, Step};
use rig::{Microphone, Rig, listen, lost, ms};
use std::time::Duration;

fn mix(sink: u64, codec: Codec, inputs: &[u64], own: Option<u64>) -> Step {
    Step::AddMix(Mix {
        sink: SinkId(sink),
        codec,
        frame_time: ms(20),
        bps: 32_000,
        inputs: inputs.iter().map(|&id| SourceId(id)).collect(),
        own: own.map(SourceId),
        expected_loss: 0,
        opening: Opening::Silence,
    })
}

/// Largest step between neighbouring samples, in shares of the steepest a tone of that pitch and strength has.
fn click(heard: &[f32], hz: f32, amplitude: f32, rate: u32) -> f32 {
    let step = heard.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
    step / (amplitude * std::f32::consts::TAU * hz / rate as f32)
}

#[test]
fn a_tone_goes_from_every_codec_to_every_codec() {
    let all = [Codec::Opus, Codec::G722, Codec::Pcma, Codec::Pcmu];
    for from in all {
        let mut rig = Rig::new();
        rig.add_source(1, SourceKind::Sound);
        rig.apply(all.iter().enumerate().map(|(i, &to)| mix(10 + i as u64, to, &[1], None)));
        let mut microphone = Microphone::new(from, 440.0, 0.4);
        for n in 0..100 {
            rig.go(ms(n * 20));
            let now = rig.now();
            rig.frame(1, microphone.speak(ms(20), now, now));
        }
        for (i, to) in all.iter().enumerate() {
            let frames = rig.frames(10 + i as u64);
            assert!((99..=101).contains(&frames.len()), "{from} to {to}: {} packets", frames.len());
            let (heard, rate) = listen(&frames);
            let late = &heard[heard.len() / 4..];
            let strength = tone(late, 440.0, rate as f32);
            assert!((strength - 0.4).abs() < 0.07, "{from} to {to}: {strength}");
            let rest = energy(late) - strength * strength / 2.0;
            assert!(rest < 0.01 * energy(late), "{from} to {to}: noise of {rest}");
            assert!(click(late, 440.0, 0.4, rate) < 1.5, "{from} to {to} clicks");
        }
        assert_eq!(rig.graph.stats().sources[0].decode.count, 100, "decoded once for four mixes");
        assert_eq!(rig.graph.stats().sources[0].concealed, 0);
    }
}

/// How wide a packet of Opus is coded, in Hz (RFC 6716 3.1, table 2).
fn width(frame: &EncodedFrame) -> u32 {
    match frame.data[0] >> 3 {
        0..=3 | 16..=19 => 4_000,
        4..=7 => 6_000,
        8..=11 | 20..=23 => 8_000,
        12..=13 | 24..=27 => 12_000,
        _ => 20_000,
    }
}

#[test]
fn a_mix_is_coded_as_wide_as_its_widest_voice_and_no_wider() {
    let mut rig = Rig::new();
    let mut microphones = [(Codec::Pcmu, 0), (Codec::G722, 50), (Codec::Opus, 100)]
        .map(|(codec, from)| (Microphone::new(codec, 440.0, 0.2), from));
    (1..=3).for_each(|source| rig.add_source(source, SourceKind::Sound));
    rig.apply([mix(10, Codec::Opus, &[1, 2, 3], None)]);
    for n in 0..150 {
        rig.go(ms(n * 20));
        let now = rig.now();
        for (source, (microphone, from)) in (1..).zip(&mut microphones) {
            if n >= *from {
                rig.frame(source, microphone.speak(ms(20), now, now));
            }
        }
    }
    let widths: Vec<_> = rig.frames(10).iter().map(|(_, frame)| width(frame)).collect();
    assert!(widths[5..45].iter().all(|width| *width == 4_000), "a telephone: {widths:?}");
    assert!(widths[60..95].iter().all(|width| *width == 8_000), "a room with G.722 comes: {widths:?}");
    assert!(widths[110..].iter().all(|width| *width >= 12_000), "somebody with Opus comes: {widths:?}");
}

/// The loudest that a source was told to be, in dBov, from `from` on.
fn loudest(rig: &Rig, from: Duration) -> i8 {
    let levels = rig.reports.iter().filter_map(|(at, report)| match report {
        Report::Level { dbov, .. } if *at >= from => Some(*dbov),
        _ => None,
    });
    levels.max().unwrap()
}

#[test]
fn opus_is_decoded_as_wide_as_its_widest_listener_hears_and_no_wider() {
    let mut rig = Rig::new();
    rig.add_source(1, SourceKind::Sound);
    rig.apply([mix(10, Codec::G722, &[1], None)]);
    // above all that G.722 has, so that it tells who decodes it
    let mut microphone = Microphone::new(Codec::Opus, 10_000.0, 0.4);
    let mut speak = |rig: &mut Rig, packets: std::ops::Range<u64>| {
        for n in packets {
            rig.go(ms(n * 20));
            let now = rig.now();
            rig.frame(1, microphone.speak(ms(20), now, now));
        }
    };
    speak(&mut rig, 0..50);
    assert!(loudest(&rig, ms(200)) < -60, "decoded for G.722: {}", loudest(&rig, ms(200)));

    rig.apply([mix(11, Codec::Opus, &[1], None)]);
    speak(&mut rig, 50..100);
    let (heard, rate) = listen(&rig.frames(11));
    let late = &heard[heard.len() / 2..];
    assert!((tone(late, 10_000.0, rate as f32) - 0.4).abs() < 0.07, "somebody with Opus hears all of it");
    let (heard, _) = listen(&rig.frames(10));
    assert!(energy(&heard[heard.len() * 3 / 4..]) < 1e-4, "nothing of it folds into what G.722 has");

    rig.apply([Step::RemoveSink(SinkId(11))]);
    speak(&mut rig, 100..150);
    assert!(loudest(&rig, ms(2_200)) > -15, "it stays as wide when who heard more leaves");
}

#[test]
fn who_listens_already_hears_no_seam_when_somebody_comes_who_hears_more() {
    // without loss libopus codes by CELT, with loss by SILK
    for (narrow, hz, loss) in [(Codec::G722, 440.0, 0), (Codec::Pcmu, 1_200.0, 0), (Codec::G722, 440.0, 5)] {
        let mut rig = Rig::new();
        rig.add_source(1, SourceKind::Sound);
        rig.apply([mix(10, narrow, &[1], None)]);
        let mut microphone = Microphone::new(Codec::Opus, hz, 0.4);
        microphone.expect_loss(loss);
        for n in 0..100 {
            if n == 50 {
                rig.apply([mix(11, Codec::Opus, &[1], None)]);
            }
            rig.go(ms(n * 20));
            let now = rig.now();
            rig.frame(1, microphone.speak(ms(20), now, now));
        }
        let frames = rig.frames(10);
        assert!((99..=101).contains(&frames.len()), "{narrow}: {} packets", frames.len());
        let (heard, rate) = listen(&frames);
        let late = &heard[rate as usize / 4..];
        let blocks = late.chunks_exact(rate as usize / 200).map(|block| energy(block).sqrt());
        let (weakest, strongest) = blocks.fold((1.0_f32, 0.0_f32), |(a, b), e| (a.min(e), b.max(e)));
        assert!(weakest > 0.2 && strongest < 0.36, "{narrow}: between {weakest} and {strongest}");
        assert!(click(late, hz, 0.4, rate) < 1.5, "{narrow} clicks: {}", click(late, hz, 0.4, rate));
    }
}

#[test]
fn what_is_lost_when_somebody_comes_who_hears_more_is_made_up() {
    let mut rig = Rig::new();
    rig.add_source(1, SourceKind::Sound);
    rig.apply([mix(10, Codec::G722, &[1], None)]);
    let mut microphone = Microphone::new(Codec::Opus, 440.0, 0.4);
    for n in 0..100 {
        rig.go(ms(n * 20));
        let now = rig.now();
        let packet = microphone.speak(ms(20), now, now);
        match n {
            50 => rig.apply([mix(11, Codec::Opus, &[1], None)]),
            51 => rig.frame(1, EncodedFrame { contiguous: false, ..packet }),
            _ => rig.frame(1, packet),
        }
    }
    let (heard, rate) = listen(&rig.frames(10));
    let late = &heard[rate as usize / 4..];
    let weakest = late.chunks_exact(rate as usize / 50).map(|block| energy(block).sqrt()).fold(1.0, f32::min);
    assert!(weakest > 0.1, "a hole, {weakest}");
}

#[test]
fn what_is_played_before_a_mix_hears_it_is_coded_wide_from_its_first_packet() {
    let mut rig = Rig::new();
    rig.add_source(1, SourceKind::Sound);
    let tone = pattern::sine(1_000.0, 0.4, 48_000, 0, 48_000)
        .iter()
        .map(|s| (s * 32_767.0) as i16)
        .collect::<Vec<_>>();
    let clip = Clip::from_pcm(48_000, &tone).unwrap();
    rig.apply([Step::Play { source: SourceId(1), clip }]);
    rig.apply([mix(10, Codec::Opus, &[1], None)]);
    rig.go(ms(800));
    let widths: Vec<_> = rig.frames(10).iter().map(|(_, frame)| width(frame)).collect();
    assert!(widths.len() > 20 && widths.iter().all(|width| *width >= 12_000), "{widths:?}");
}

#[test]
fn nobody_hears_himself_and_everybody_hears_the_others() {
    let mut rig = Rig::new();
    let tones = [500.0, 800.0, 1200.0];
    let mut microphones = tones.map(|hz| Microphone::new(Codec::Opus, hz, 0.2));
    (1..=3).for_each(|source| rig.add_source(source, SourceKind::Sound));
    rig.apply((1..=3).map(|own| mix(10 + own, Codec::G722, &[1, 2, 3], Some(own))));
    for n in 0..100 {
        for (i, microphone) in microphones.iter_mut().enumerate() {
            // each at its own phase
            rig.go(ms(n * 20 + i as u64 * 6));
            let now = rig.now();
            rig.frame(i as u64 + 1, microphone.speak(ms(20), now, now));
        }
    }
    for own in 0..3 {
        let (heard, rate) = listen(&rig.frames(11 + own as u64));
        for (i, hz) in tones.iter().enumerate() {
            let strength = tone(&heard[8_000..], *hz, rate as f32);
            match i == own {
                true => assert!(strength < 0.005, "listener {own} hears himself: {strength}"),
                false => assert!((strength - 0.2).abs() < 0.05, "listener {own} hears {i} at {strength}"),
            }
        }
    }
}

#[test]
fn a_single_voice_is_passed_on_in_the_instant_it_comes() {
    let mut rig = Rig::new();
    rig.add_source(1, SourceKind::Sound);
    rig.apply([mix(10, Codec::Opus, &[1], None)]);
    let mut microphone = Microphone::new(Codec::Pcmu, 440.0, 0.4);
    for n in 0..200 {
        rig.go(ms(107 + n * 20));
        let now = rig.now();
        rig.frame(1, microphone.speak(ms(20), now, now));
    }
    let made = rig.frames(10);
    let steady: Vec<_> = made.iter().filter(|(at, _)| *at > ms(1_000)).collect();
    assert!(steady.len() >= 140);
    for (at, frame) in steady {
        assert!(at.as_millis() % 20 == 7, "it waited until {at:?}");
        let late = at.saturating_sub(frame.captured.since_epoch());
        assert!(late < ms(20), "captured {late:?} before it was made");
    }
}

#[test]
fn packets_come_without_a_gap_and_silent_when_nobody_speaks() {
    let mut rig = Rig::new();
    rig.go(ms(1_000));
    rig.add_source(1, SourceKind::Sound);
    rig.apply([mix(10, Codec::Pcma, &[1], None)]);
    rig.go(ms(2_000));
    let mut microphone = Microphone::new(Codec::Opus, 440.0, 0.4);
    for n in 0..50 {
        rig.go(ms(2_003 + n * 20));
        let now = rig.now();
        rig.frame(1, microphone.speak(ms(20), now, now));
    }
    rig.go(ms(4_000));
    let frames = rig.frames(10);
    assert!((148..=152).contains(&frames.len()), "{} packets in three seconds", frames.len());
    for pair in frames.windows(2) {
        let step = pair[1].1.captured.since_epoch() - pair[0].1.captured.since_epoch();
        assert!(step >= ms(20), "{step:?}");
        assert!(pair[1].0 - pair[0].0 <= ms(55), "a gap before {:?}", pair[1].0);
    }
    let (heard, rate) = listen(&frames);
    assert!(energy(&heard[..rate as usize / 2]) < 1e-6, "silence first");
    assert!(energy(&heard[heard.len() - rate as usize / 2..]) < 1e-6, "silence last");
}

#[test]
fn a_mix_whose_first_word_comes_soon_begins_with_it() {
    let mut rig = Rig::new();
    rig.go(ms(1_000));
    rig.add_source(1, SourceKind::Sound);
    let Step::AddMix(mix) = mix(10, Codec::Opus, &[1], None) else { unreachable!("a mix is added") };
    rig.apply([Step::AddMix(Mix { opening: Opening::FirstWord, ..mix })]);
    let mut microphone = Microphone::new(Codec::Opus, 440.0, 0.4);
    for n in 0..50 {
        rig.go(ms(1_300 + n * 20));
        let now = rig.now();
        rig.frame(1, microphone.speak(ms(20), MediaTime(now.0 - 60_000_000), now));
    }
    let frames = rig.frames(10);
    let (made, first) = &frames[0];
    let late = made.saturating_sub(first.captured.since_epoch());
    assert!((ms(60)..ms(70)).contains(&late), "the first word was captured {late:?} ago");
    for pair in frames.windows(2) {
        let step = pair[1].1.captured.since_epoch() - pair[0].1.captured.since_epoch();
        assert_eq!(step, ms(20), "no jump");
    }
}

#[test]
fn jitter_within_thirty_milliseconds_is_not_heard() {
    let mut rig = Rig::new();
    rig.add_source(1, SourceKind::Sound);
    rig.apply([mix(10, Codec::Pcmu, &[1], None)]);
    let mut microphone = Microphone::new(Codec::Pcmu, 440.0, 0.4);
    for n in 0..500 {
        let jitter = [0, 11, 27, 4, 19, 29, 8][n as usize % 7];
        rig.go(ms(100 + n * 20 + jitter));
        let now = rig.now();
        rig.frame(1, microphone.speak(ms(20), now, now));
    }
    let (heard, rate) = listen(&rig.frames(10));
    let late = &heard[rate as usize..heard.len() - 800];
    assert!(click(late, 440.0, 0.4, rate) < 1.6, "{}", click(late, 440.0, 0.4, rate));
    assert!(rig.graph.stats().sources[0].concealed <= 3, "{}", rig.graph.stats().sources[0].concealed);
}

#[test]
fn clocks_that_drift_apart_lose_little_and_never_build_up_delay() {
    for (name, packet_us) in [("fast", 19_980_u64), ("slow", 20_020)] {
        let mut rig = Rig::new();
        (1..=2).for_each(|source| rig.add_source(source, SourceKind::Sound));
        rig.apply([mix(10, Codec::Pcmu, &[1, 2], None)]);
        let mut drifting = Microphone::new(Codec::Pcmu, 440.0, 0.4);
        let mut steady = Microphone::new(Codec::Pcmu, 440.0, 0.0);
        // sixty seconds at a thousand parts per million: 60 ms of drift
        let (mut a, mut b) = (0_u64, 0_u64);
        while a < 3000 {
            let (at_a, at_b) = (100_000 + a * packet_us, 105_000 + b * 20_000);
            rig.go(Duration::from_micros(at_a.min(at_b)));
            let now = rig.now();
            if at_a <= at_b {
                rig.frame(1, drifting.speak(ms(20), now, now));
                a += 1;
            } else {
                rig.frame(2, steady.speak(ms(20), now, now));
                b += 1;
            }
        }
        let frames = rig.frames(10);
        let last = frames.last().unwrap();
        let delay = last.0.saturating_sub(last.1.captured.since_epoch());
        assert!(delay < ms(90), "{name}: delay has grown to {delay:?}");
        let seconds = last.0.as_millis() as usize;
        assert!(frames.len().abs_diff(seconds / 20) < 12, "{name}: {} packets", frames.len());
        let (heard, rate) = listen(&frames);
        assert!(
            (tone(&heard[rate as usize..9 * rate as usize], 440.0, rate as f32) - 0.4).abs() < 0.08,
            "{name}"
        );
    }
}

#[test]
fn lost_packets_are_made_up_and_the_tone_goes_on() {
    for codec in [Codec::Opus, Codec::G722, Codec::Pcma] {
        let mut rig = Rig::new();
        rig.add_source(1, SourceKind::Sound);
        rig.apply([mix(10, Codec::G722, &[1], None)]);
        let mut microphone = Microphone::new(codec, 440.0, 0.4);
        for n in 0..200 {
            rig.go(ms(100 + n * 20));
            let now = rig.now();
            let packet = microphone.speak(ms(20), now, now);
            match n % 10 {
                // one in ten is told as lost, and one in ten is missing without a word
                3 => rig.frame(1, lost(codec, now)),
                7 => {}
                8 => rig.frame(1, EncodedFrame { contiguous: false, ..packet }),
                _ => rig.frame(1, packet),
            }
        }
        let frames = rig.frames(10);
        assert!(frames.len() >= 198, "{codec}: {} packets", frames.len());
        let (heard, rate) = listen(&frames);
        let late = &heard[rate as usize..];
        // what is left of the tone in every 20 ms
        let weakest =
            late.chunks_exact(rate as usize / 50).map(|block| energy(block).sqrt()).fold(1.0, f32::min);
        // libopus sends no FEC for some tones and then fades
        assert!(weakest > 0.05, "{codec}: a hole, {weakest}");
        assert!(click(late, 440.0, 0.4, rate) < 4.0, "{codec} clicks: {}", click(late, 440.0, 0.4, rate));
    }
}

#[test]
fn loud_voices_together_do_not_overflow() {
    let mut rig = Rig::new();
    (1..=4).for_each(|source| rig.add_source(source, SourceKind::Sound));
    rig.apply([mix(10, Codec::Opus, &[1, 2, 3, 4], None)]);
    let mut microphones = [300.0, 301.0, 302.0, 303.0].map(|hz| Microphone::new(Codec::Pcmu, hz, 0.9));
    for n in 0..50 {
        rig.go(ms(100 + n * 20));
        for (i, microphone) in microphones.iter_mut().enumerate() {
            let now = rig.now();
            rig.frame(i as u64 + 1, microphone.speak(ms(20), now, now));
        }
    }
    let (heard, _) = listen(&rig.frames(10));
    let loudest = heard.iter().fold(0.0_f32, |m, s| m.max(s.abs()));
    assert!(loudest > 0.8 && loudest < 1.15, "{loudest}");
}

#[test]
fn captured_follows_who_speaks_and_never_goes_back() {
    let mut rig = Rig::new();
    rig.go(ms(1_000));
    (1..=2).for_each(|source| rig.add_source(source, SourceKind::Sound));
    rig.apply([mix(10, Codec::Pcmu, &[1, 2], None)]);
    let mut near = Microphone::new(Codec::Pcmu, 440.0, 0.4);
    let mut far = Microphone::new(Codec::Pcmu, 880.0, 0.0);
    // what the far one says was captured 200 ms ago, the near one's 20 ms ago; they take turns, with pauses
    for n in 0..600_u64 {
        let speaker = n / 150 % 2;
        let pause = n % 150 > 120;
        near.set_amplitude(if speaker == 0 && !pause { 0.4 } else { 0.0 });
        far.set_amplitude(if speaker == 1 && !pause { 0.4 } else { 0.0 });
        rig.go(ms(1_500 + n * 20));
        let now = rig.now();
        rig.frame(1, near.speak(ms(20), MediaTime(now.0 - 20_000_000), now));
        rig.frame(2, far.speak(ms(20), MediaTime(now.0 - 200_000_000), now));
    }
    let frames = rig.frames(10);
    for pair in frames.windows(2) {
        let step = pair[1].1.captured.since_epoch().checked_sub(pair[0].1.captured.since_epoch()).unwrap();
        assert!(step >= ms(20), "{step:?}");
    }
    let delay_at = |n: u64| {
        let at = ms(1_500 + n * 20);
        let (at, frame) = frames.iter().find(|(made, _)| *made >= at).unwrap();
        (*at - frame.captured.since_epoch()).as_millis()
    };
    // the far one's first word can't go back in time, so it follows from its first pause on
    assert!((5..=35).contains(&delay_at(100)), "near: {}", delay_at(100));
    assert!((5..=35).contains(&delay_at(400)), "near again: {}", delay_at(400));
    assert!((185..=240).contains(&delay_at(298)), "far after its pause: {}", delay_at(298));
}

#[test]
fn a_listener_who_joins_hears_at_once_and_one_who_leaves_is_forgotten() {
    let mut rig = Rig::new();
    (1..=2).for_each(|source| rig.add_source(source, SourceKind::Sound));
    rig.apply([mix(10, Codec::Pcmu, &[1], None)]);
    let mut microphones = [440.0, 1000.0].map(|hz| Microphone::new(Codec::Opus, hz, 0.3));
    for n in 0..150 {
        rig.go(ms(100 + n * 20));
        for (i, microphone) in microphones.iter_mut().enumerate() {
            let now = rig.now();
            rig.frame(i as u64 + 1, microphone.speak(ms(20), now, now));
        }
        match n {
            50 => rig.apply([Step::SetMix { sink: SinkId(10), inputs: vec![SourceId(1), SourceId(2)] }]),
            100 => rig.apply([Step::SetMix { sink: SinkId(10), inputs: vec![SourceId(2)] }]),
            _ => {}
        }
    }
    let (heard, rate) = listen(&rig.frames(10));
    let third = heard.len() / 3;
    let strength =
        |part: usize, hz| tone(&heard[part * third + 2_000..(part + 1) * third - 2_000], hz, rate as f32);
    assert!(strength(0, 440.0) > 0.25 && strength(0, 1000.0) < 0.01);
    assert!(strength(1, 440.0) > 0.25 && strength(1, 1000.0) > 0.25);
    assert!(strength(2, 440.0) < 0.01 && strength(2, 1000.0) > 0.25);
    assert!(click(&heard[..third], 440.0, 0.3, rate) < 1.8);
}

#[test]
fn loudness_is_told_ten_times_a_second() {
    let mut rig = Rig::new();
    rig.add_source(1, SourceKind::Sound);
    let mut microphone = Microphone::new(Codec::G722, 440.0, 1.0);
    for n in 0..50 {
        rig.go(ms(n * 20));
        let now = rig.now();
        rig.frame(1, microphone.speak(ms(20), now, now));
    }
    let levels: Vec<i8> = rig
        .reports
        .iter()
        .filter_map(|(_, report)| match report {
            Report::Level { dbov, .. } => Some(*dbov),
            _ => None,
        })
        .collect();
    assert_eq!(levels.len(), 10);
    assert!(levels[1..].iter().all(|level| (-5..=-2).contains(level)), "{levels:?}");
}

#[test]
fn packets_of_10_40_and_60_ms_are_taken_and_made() {
    for time in [10, 40, 60] {
        let mut rig = Rig::new();
        rig.add_source(1, SourceKind::Sound);
        let Step::AddMix(settings) = mix(10, Codec::Pcmu, &[1], None) else { unreachable!() };
        rig.apply([Step::AddMix(Mix { frame_time: ms(time), ..settings })]);
        let mut microphone = Microphone::new(Codec::Opus, 440.0, 0.4);
        for n in 0..2400 / time {
            rig.go(ms(100 + n * time));
            let now = rig.now();
            rig.frame(1, microphone.speak(ms(time), now, now));
        }
        let frames = rig.frames(10);
        assert!(frames.iter().all(|(_, frame)| frame.data.len() == time as usize * 8), "{time} ms");
        let (heard, rate) = listen(&frames);
        let late = &heard[rate as usize / 2..];
        assert!((tone(late, 440.0, rate as f32) - 0.4).abs() < 0.05, "{time} ms");
        assert!(click(late, 440.0, 0.4, rate) < 1.6, "{time} ms clicks: {}", click(late, 440.0, 0.4, rate));
    }
}

#[test]
fn a_sound_is_dated_by_its_capture_whatever_filters_and_codecs_take() {
    for from in [Codec::G722, Codec::Pcmu] {
        for to in [Codec::Opus, Codec::G722, Codec::Pcmu] {
            let mut rig = Rig::new();
            rig.go(ms(1_000));
            rig.add_source(1, SourceKind::Sound);
            rig.apply([mix(10, to, &[1], None)]);
            let mut microphone = Microphone::new(from, 1_000.0, 0.0);
            // given a tone that begins with packet 50, captured 40 ms before it came
            let captured = |n: u64| MediaTime(1_060_000_000 + n * 20_000_000);
            for n in 0..100 {
                microphone.set_amplitude(if n >= 50 { 0.4 } else { 0.0 });
                rig.go(ms(1_100 + n * 20));
                let now = rig.now();
                rig.frame(1, microphone.speak(ms(20), captured(n), now));
            }
            // when it is heard, then its date is that
            let frames = rig.frames(10);
            let (heard, rate) = listen(&frames);
            let onset = heard.iter().position(|sample| sample.abs() > 0.1).unwrap();
            let block = rate as usize / 50;
            let into = Duration::from_micros((onset % block) as u64 * 1_000_000 / u64::from(rate));
            let date = frames[onset / block].1.captured + into;
            let off = date.since_epoch().abs_diff(captured(50).since_epoch());
            // but for what the microphone's own encoder takes
            assert!(off < ms(2), "{from} to {to}: off by {off:?}");
        }
    }
}

#[test]
fn lips_stay_together_sound_and_picture_keep_their_distance() {
    use base::Size;
    use codecs::Picture;
    use media_dsp::Layer;
    let mut rig = Rig::new();
    rig.go(ms(1_000));
    rig.add_source(1, SourceKind::Sound);
    rig.add_source(2, SourceKind::Picture);
    let layers = vec![Layer { sink: SinkId(20), size: Size::P180, bps: 150_000 }];
    rig.apply([
        mix(10, Codec::Opus, &[1], None),
        Step::AddLadder { source: SourceId(2), codec: Codec::Vp8, max_fps: 30, layers },
    ]);
    let mut microphone = Microphone::new(Codec::G722, 440.0, 0.4);
    let mut camera = rig::Camera::new(Codec::H264, 320, 180, None);
    // what is seen and heard at one moment: the tone begins with picture 30; pictures take 40 ms longer on their way
    let captured = |n: u64| MediaTime(1_500_000_000 + n * 20_000_000);
    let (mut first_loud, mut first_seen) = (None, None);
    for n in 0..100 {
        microphone.set_amplitude(if n >= 50 { 0.4 } else { 0.0 });
        rig.go(ms(1_560 + n * 20));
        let now = rig.now();
        rig.frame(1, microphone.speak(ms(20), captured(n), now));
        rig.go(ms(1_560 + n * 20 + 5));
        let picture = pattern::picture(320, 180, if n >= 52 { 1 } else { 0 });
        let at = MediaTime(captured(n).0 - 40_000_000);
        if let Some(frame) = camera.shoot(&picture, at, Picture::Any) {
            rig.frame(2, frame);
        }
    }
    let sounds = rig.frames(10);
    let (heard, rate) = listen(&sounds);
    for (i, block) in heard.chunks(rate as usize / 50).enumerate() {
        if first_loud.is_none() && energy(block) > 0.01 {
            first_loud = Some(sounds[i].1.captured);
        }
    }
    let mut screen = rig::Screen::new(Codec::Vp8);
    for (_, frame) in rig.frames(20) {
        screen.look(&frame);
        if first_seen.is_none() && pattern::number(&screen.shown.view()) == Some(1) {
            first_seen = Some(frame.captured);
        }
    }
    let (loud, seen) = (first_loud.unwrap().since_epoch(), first_seen.unwrap().since_epoch());
    assert!(loud.abs_diff(seen) <= ms(35), "heard at {loud:?}, seen at {seen:?}");
}
