//! Keys as rooms and lines make them, and what sounds a little like keys and is none.

use super::*;
use proptest::prelude::*;

/// What a key sounds like.
#[derive(Clone, Copy)]
struct Press {
    rate: u32,
    /// Amplitudes of the low and the high tone.
    strength: (f64, f64),
    /// Both pitches times this.
    pitch: f64,
    ms: u32,
}

const PRESS: Press = Press { rate: 8_000, strength: (0.2, 0.2), pitch: 1.0, ms: 60 };
const ALL: &str = "123A456B789C*0#D";

fn place(key: char) -> (usize, usize) {
    let at = ALL.find(key).expect("a key");
    (at / 4, at % 4)
}

impl Press {
    fn sound(self, key: char) -> Vec<f32> {
        let (row, column) = place(key);
        let sine = |hz: f64, i: u32| (TAU * hz * self.pitch * f64::from(i) / f64::from(self.rate)).sin();
        let sample =
            |i| (self.strength.0 * sine(LOW[row], i) + self.strength.1 * sine(HIGH[column], i)) as f32;
        (0..self.rate * self.ms / 1_000).map(sample).collect()
    }

    fn pause(self, ms: u32) -> Vec<f32> {
        vec![0.0; (self.rate * ms / 1_000) as usize]
    }

    /// `keys` with pauses of `ms` around each.
    fn sounds(self, keys: &str, ms: u32) -> Vec<f32> {
        let mut sound = self.pause(ms);
        for key in keys.chars() {
            sound.extend(self.sound(key));
            sound.extend(self.pause(ms));
        }
        sound
    }
}

/// The keys found in a sound that comes in blocks of 20 ms.
fn heard(rate: u32, sound: &[f32]) -> String {
    let (mut detector, mut keys) = (Detector::new(rate), String::new());
    sound.chunks(rate as usize / 50).for_each(|block| detector.take(block, |key| keys.push(key)));
    keys
}

/// Noise of a seed, uniform within ±`size`.
fn noise(seed: u32, size: f32, samples: usize) -> impl Iterator<Item = f32> {
    let mut state = u64::from(seed) * 2 + 1;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32 / (1 << 23) as f32 - 1.0) * size
    })
    .take(samples)
}

#[test]
fn p5_all_sixteen_keys_are_heard_at_every_rate_a_codec_has() {
    for rate in [8_000, 16_000, 48_000] {
        for ms in [40, 60, 250, 1_000] {
            let press = Press { rate, ms, ..PRESS };
            assert_eq!(heard(rate, &press.sounds(ALL, 60)), ALL, "{rate} Hz, {ms} ms");
        }
    }
}

#[test]
fn a_key_is_heard_wherever_blocks_begin_in_it() {
    for shift in 0..102 {
        let press = Press { ms: 40, ..PRESS };
        let sound = [vec![0.0; shift], press.sounds("5508", 40)].concat();
        assert_eq!(heard(8_000, &sound), "5508", "{shift} samples later");
    }
}

#[test]
fn q24_a_key_of_23_ms_is_none_and_one_of_40_ms_is_one() {
    for shift in 0..102 {
        let short = Press { ms: 23, ..PRESS };
        assert_eq!(
            heard(8_000, &[vec![0.0; shift], short.sounds(ALL, 60)].concat()),
            "",
            "{shift} samples later"
        );
    }
}

#[test]
fn q24_a_gap_of_40_ms_parts_two_presses_and_one_of_10_ms_does_not() {
    for shift in 0..102 {
        let (press, start) = (Press { ms: 45, ..PRESS }, vec![0.0; shift]);
        let twice = |gap: u32| {
            [&start[..], &press.sound('7'), &press.pause(gap), &press.sound('7'), &press.pause(60)].concat()
        };
        assert_eq!(
            (heard(8_000, &twice(40)), heard(8_000, &twice(10))),
            ("77".into(), "7".into()),
            "{shift} samples later"
        );
    }
}

#[test]
fn q24_levels_from_full_scale_down_to_28_db_below_are_heard_and_60_db_below_are_not() {
    for (strength, keys) in [(0.45, ALL), (0.1, ALL), (0.04, ALL), (0.001, "")] {
        let press = Press { strength: (strength, strength), ..PRESS };
        assert_eq!(heard(8_000, &press.sounds(ALL, 60)), keys, "{strength}");
    }
    let clipped: Vec<f32> = Press { strength: (0.8, 0.8), ..PRESS }
        .sounds("159", 60)
        .iter()
        .map(|s| s.clamp(-1.0, 1.0))
        .collect();
    assert_eq!(heard(8_000, &clipped), "159");
}

#[test]
fn q24_a_twist_of_8_db_either_way_is_heard_and_14_db_is_not() {
    let (eight, fourteen) = (10_f64.powf(-8.0 / 20.0), 10_f64.powf(-14.0 / 20.0));
    for (weak, keys) in [(eight, ALL), (fourteen, "")] {
        for strength in [(0.3, 0.3 * weak), (0.3 * weak, 0.3)] {
            assert_eq!(heard(8_000, &Press { strength, ..PRESS }.sounds(ALL, 60)), keys, "{strength:?}");
        }
    }
}

#[test]
fn q24_pitches_off_by_1_5_percent_are_heard_and_by_3_5_percent_are_not() {
    for (off, keys) in [(1.015, ALL), (0.985, ALL), (1.035, ""), (0.965, "")] {
        assert_eq!(heard(8_000, &Press { pitch: off, ..PRESS }.sounds(ALL, 60)), keys, "{off}");
    }
}

#[test]
fn keys_are_heard_through_noise_15_db_below() {
    let press = Press { ms: 80, ..PRESS };
    for seed in 0..20 {
        let clean = press.sounds(ALL, 60);
        // Two sines of 0.2 have a mean square of 0.04; noise of ±s has s²/3.
        let size = (0.04_f32 * 3.0 / 31.6).sqrt();
        let noisy: Vec<f32> = clean.iter().zip(noise(seed, size, clean.len())).map(|(a, b)| a + b).collect();
        assert_eq!(heard(8_000, &noisy), ALL, "seed {seed}");
    }
}

#[test]
fn noise_alone_holds_no_keys() {
    for seed in 0..20 {
        let sound: Vec<f32> = noise(seed, 0.5, 8_000 * 10).collect();
        assert_eq!(heard(8_000, &sound), "", "seed {seed}");
    }
}

/// A voice as vowels make it: a pitch with its harmonics, 6 dB less an octave, shaped by formants, gliding from vowel to vowel.
fn voice(pitch: f64, seconds: u32) -> Vec<f32> {
    const VOWELS: [[f64; 3]; 5] = [
        [730.0, 1_090.0, 2_440.0],
        [270.0, 2_290.0, 3_010.0],
        [300.0, 870.0, 2_240.0],
        [530.0, 1_840.0, 2_480.0],
        [660.0, 1_720.0, 2_410.0],
    ];
    let (mut phase, mut sound) = (0.0, Vec::new());
    for i in 0..8_000 * seconds {
        let t = f64::from(i) / 8_000.0;
        let (vowel, share) = ((t * 4.0) as usize, (t * 4.0).fract());
        let formant = |n: usize| VOWELS[vowel % 5][n] * (1.0 - share) + VOWELS[(vowel + 1) % 5][n] * share;
        let hz = pitch * (1.0 + 0.06 * (TAU * 2.7 * t).sin());
        phase += hz / 8_000.0;
        let harmonic = |n: u32| {
            let at = hz * f64::from(n);
            let gain: f64 = (0..3).map(|f| 1.0 / (1.0 + ((at - formant(f)) / 60.0).powi(2)).sqrt()).sum();
            gain / f64::from(n) * (TAU * phase * f64::from(n)).sin()
        };
        let sum: f64 = (1..=(3_400.0 / hz) as u32).map(harmonic).sum();
        sound.push((sum * 0.8).clamp(-1.0, 1.0) as f32);
    }
    sound
}

#[test]
fn voices_are_no_keys() {
    for pitch in [85.0, 110.0, 140.0, 180.0, 220.0, 260.0, 330.0] {
        assert_eq!(heard(8_000, &voice(pitch, 30)), "", "{pitch} Hz");
    }
}

#[test]
fn one_tone_two_of_one_group_and_dial_tone_are_no_keys() {
    let tones = |pitches: &[f64]| -> Vec<f32> {
        let sample = |i: u32| {
            pitches.iter().map(|hz| 0.2 * (TAU * hz * f64::from(i) / 8_000.0).sin()).sum::<f64>() as f32
        };
        (0..8_000).map(sample).collect()
    };
    for pitches in [
        &[697.0][..],
        &[1_336.0],
        &[697.0, 941.0],
        &[1_209.0, 1_633.0],
        &[350.0, 440.0],
        &[440.0, 480.0],
        &[425.0],
        &[770.0, 1_336.0, 1_000.0, 2_000.0],
    ] {
        assert_eq!(heard(8_000, &tones(pitches)), "", "{pitches:?}");
    }
}

proptest! {
    #[test]
    fn any_number_is_heard_whatever_its_timing_and_strength(
        keys in "[0-9A-D*#]{1,20}", ms in 45..200_u32, gap in 45..200_u32, low in 0.06..0.4_f64, twist in 0.5..2.0_f64,
    ) {
        let press = Press { ms, strength: (low, low * twist), ..PRESS };
        prop_assert_eq!(heard(8_000, &press.sounds(&keys, gap)), keys);
    }

    #[test]
    fn how_the_sound_is_cut_into_blocks_makes_no_difference(cuts in prop::collection::vec(1..900_usize, 1..40)) {
        let sound = PRESS.sounds("90210", 50);
        let (mut detector, mut keys, mut rest) = (Detector::new(8_000), String::new(), &sound[..]);
        for cut in cuts.into_iter().cycle() {
            if rest.is_empty() { break; }
            let (block, after) = rest.split_at(cut.min(rest.len()));
            detector.take(block, |key| keys.push(key));
            rest = after;
        }
        prop_assert_eq!(keys, "90210");
    }
}
