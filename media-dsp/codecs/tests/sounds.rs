//! What the sound codecs promise: a tone comes out at its pitch and strength, loss is covered, nonsense is refused.

#![allow(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod pattern;

use codecs::{AudioDecoder, AudioEncoder, DecodeError, EncodeError, g711, g722, opus};
use kernels::sound::{energy, tone};

type Pair = (&'static str, Box<dyn AudioEncoder>, Box<dyn AudioDecoder>);

fn pairs() -> Vec<Pair> {
    vec![
        (
            "opus",
            Box::new(opus::Encoder::new(32_000).unwrap()),
            Box::new(opus::Decoder::new(opus::RATE).unwrap()),
        ),
        ("G722", Box::new(g722::Encoder::default()), Box::new(g722::Decoder::default())),
        ("PCMA", Box::new(g711::Encoder::new(g711::Law::A)), Box::new(g711::Decoder::new(g711::Law::A))),
        ("PCMU", Box::new(g711::Encoder::new(g711::Law::Mu)), Box::new(g711::Decoder::new(g711::Law::Mu))),
    ]
}

/// A second of a 440 Hz tone in packets of 20 ms.
fn packets(encoder: &mut dyn AudioEncoder) -> Vec<Vec<u8>> {
    let rate = encoder.rate();
    let block = rate as usize / 50;
    (0..50)
        .map(|n| {
            let mut packet = Vec::new();
            encoder.encode(&pattern::sine(440.0, 0.4, rate, n * block, block), &mut packet).unwrap();
            packet
        })
        .collect()
}

#[test]
fn a_tone_goes_through_every_codec_at_its_pitch_and_strength() {
    for (name, mut encoder, mut decoder) in pairs() {
        let mut out = Vec::new();
        for packet in packets(&mut *encoder) {
            decoder.decode(&packet, &mut out).unwrap();
        }
        let rate = decoder.rate();
        assert_eq!(out.len(), rate as usize, "{name}");
        let late = &out[rate as usize / 5..];
        let strength = tone(late, 440.0, rate as f32);
        assert!((strength - 0.4).abs() < 0.06, "{name}: {strength}");
        assert!(tone(late, 700.0, rate as f32) < 0.01, "{name}");
    }
}

#[test]
fn a_sound_comes_out_as_much_later_as_the_encoder_says() {
    for (name, mut encoder, mut decoder) in pairs() {
        let rate = encoder.rate() as usize;
        // silence, then a tone: loud enough at its very beginning to be found by its strength
        let (block, begin) = (rate / 50, rate / 2);
        let sound = [vec![0.0; begin], pattern::sine(1_000.0, 0.4, rate as u32, 0, rate / 2)].concat();
        let mut out = Vec::new();
        for block in sound.chunks(block) {
            let mut packet = Vec::new();
            encoder.encode(block, &mut packet).unwrap();
            decoder.decode(&packet, &mut out).unwrap();
        }
        let onset = |sound: &[f32]| sound.iter().position(|sample| sample.abs() > 0.1).unwrap();
        let delay = onset(&out) - onset(&sound);
        assert!(delay.abs_diff(encoder.delay()) <= rate / 2_000, "{name}: {delay} samples");
    }
}

#[test]
fn a_lost_packet_is_concealed_and_the_tone_goes_on() {
    for (name, mut encoder, mut decoder) in pairs() {
        let mut out = Vec::new();
        let block = decoder.rate() as usize / 50;
        for (n, packet) in packets(&mut *encoder).iter().enumerate() {
            match n {
                25 => decoder.conceal(block, &mut out),
                _ => decoder.decode(packet, &mut out).unwrap(),
            }
        }
        assert_eq!(out.len(), 50 * block, "{name}: no time is lost");
        let lost = &out[25 * block..26 * block];
        assert!(energy(lost) > 0.25 * energy(&out[24 * block..25 * block]), "{name}: the gap is filled");
        let step = out[24 * block..28 * block].windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
        let steepest = 0.45 * std::f32::consts::TAU * 440.0 / decoder.rate() as f32;
        assert!(step < 2.5 * steepest, "{name}: a click of {step} where the tone has {steepest}");
    }
}

#[test]
fn opus_recovers_a_lost_packet_from_the_one_after_it() {
    let mut encoder = opus::Encoder::new(32_000).unwrap();
    encoder.set_expected_loss(10);
    // a tone that begins in the lost packet, which no concealment can know of
    let block = 960;
    let sound = |n: usize| {
        let amplitude = if n < 25 { 0.0 } else { 0.4 };
        // speech-like, so that the encoder chooses the mode that has FEC
        let mut block = pattern::sine(220.0, amplitude, 48_000, n * 960, block);
        kernels::sound::add(&mut block, &pattern::sine(660.0, amplitude / 3.0, 48_000, n * 960, 960));
        block
    };
    let packets: Vec<Vec<u8>> = (0..50)
        .map(|n| {
            let mut packet = Vec::new();
            encoder.encode(&sound(n), &mut packet).unwrap();
            packet
        })
        .collect();
    let lost = 27;
    for rate in [8_000, 16_000, opus::RATE] {
        let block = rate as usize / 50;
        let mut decoder = opus::Decoder::new(rate).unwrap();
        let mut out = Vec::new();
        for (n, packet) in packets.iter().enumerate().take(lost + 2) {
            match n {
                _ if n == lost => decoder.recover(&packets[n + 1], block, &mut out),
                _ => decoder.decode(packet, &mut out).unwrap(),
            }
        }
        assert_eq!(out.len(), (lost + 2) * block);
        let strength = tone(&out[lost * block..(lost + 1) * block], 220.0, rate as f32);
        assert!((strength - 0.4).abs() < 0.15, "recovered {strength} at {rate}");
    }
}

#[test]
fn opus_goes_over_to_the_coder_that_knows_fec_when_packets_get_lost_and_back_without_a_seam() {
    let (mut encoder, mut decoder) =
        (opus::Encoder::new(48_000).unwrap(), opus::Decoder::new(opus::RATE).unwrap());
    // RFC 6716 3.1: configurations from 16 on are CELT's
    let coder = |packet: &[u8]| if packet[0] >> 3 >= 16 { "CELT" } else { "SILK" };
    let (mut out, mut coders) = (Vec::new(), Vec::new());
    for n in 0..150 {
        match n {
            50 => encoder.set_expected_loss(5),
            100 => encoder.set_expected_loss(0),
            _ => {}
        }
        let mut packet = Vec::new();
        encoder.encode(&pattern::sine(440.0, 0.4, 48_000, n * 960, 960), &mut packet).unwrap();
        decoder.decode(&packet, &mut out).unwrap();
        coders.push(coder(&packet));
    }
    assert_eq!((coders[49], coders[99], coders[149]), ("CELT", "SILK", "CELT"));
    let step = out[9_600..].windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
    let steepest = 0.4 * std::f32::consts::TAU * 440.0 / 48_000.0;
    assert!(step < 2.0 * steepest, "a click of {step} where the tone has {steepest}");
    let weakest = out[9_600..].chunks_exact(960).map(energy).fold(1.0, f32::min);
    assert!(weakest > 0.06, "a hole: {weakest} where the tone has 0.08");
}

#[test]
fn opus_codes_little_speech_by_the_coder_for_speech() {
    let mut encoder = opus::Encoder::new(24_000).unwrap();
    let mut packet = Vec::new();
    for n in 0..10 {
        packet.clear();
        encoder.encode(&pattern::sine(220.0, 0.4, 48_000, n * 960, 960), &mut packet).unwrap();
    }
    assert!(packet[0] >> 3 < 16, "SILK or both (RFC 6716 3.1)");
}

#[test]
fn blocks_and_packets_of_no_known_length_are_refused() {
    let mut packet = Vec::new();
    assert_eq!(
        opus::Encoder::new(32_000).unwrap().encode(&[0.0; 961], &mut packet),
        Err(EncodeError::Block(961))
    );
    assert_eq!(g722::Encoder::default().encode(&[0.0; 3], &mut packet), Err(EncodeError::Block(3)));
    for (name, _, mut decoder) in pairs() {
        let mut out = Vec::new();
        assert_eq!(decoder.decode(&[0; 5000], &mut out), Err(DecodeError::TooLong(5000)), "{name}");
        assert!(out.is_empty(), "{name}");
    }
}

#[test]
fn a_thousand_broken_packets_break_no_decoder() {
    for (name, mut encoder, mut decoder) in pairs() {
        let packets = packets(&mut *encoder);
        let mut state = 99_u32;
        let mut random = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as usize
        };
        for round in 0..1000 {
            let mut packet = packets[random() % packets.len()].clone();
            if round % 2 == 0 {
                packet = (0..random() % 200).map(|_| random() as u8).collect();
            } else if !packet.is_empty() {
                let at = random() % packet.len();
                packet[at] = random() as u8;
            }
            let mut out = Vec::new();
            let _ = decoder.decode(&packet, &mut out);
            decoder.recover(&packet, random() % 6000, &mut out);
            assert!(out.iter().all(|s| s.is_finite()), "{name}");
        }
    }
}

#[test]
fn opus_holds_the_bit_rate_it_is_given() {
    let mut encoder = opus::Encoder::new(16_000).unwrap();
    let low: usize = packets(&mut encoder).iter().map(Vec::len).sum();
    encoder.set_bitrate(64_000);
    let high: usize = packets(&mut encoder).iter().map(Vec::len).sum();
    assert!(low * 8 < 24_000 && high * 8 > 40_000, "{low} and {high} bytes in a second");
}
