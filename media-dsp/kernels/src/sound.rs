//! Loops over sound: adding, gain, limiting, loudness, and the way to and from 16 bit samples.
//!
//! Samples are `f32`, full scale ±1.0; a block is 10 to 60 ms of one channel.

/// Where [`soft_clip`] begins to bend, as a share of full scale.
const KNEE: f32 = 0.75;

/// Adds `from` to `to`, sample by sample, up to the shorter.
pub fn add(to: &mut [f32], from: &[f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += from;
    }
}

/// Multiplies by a gain that goes evenly from `from` to `to` over the block, so that no step is heard.
pub fn ramp(block: &mut [f32], from: f32, to: f32) {
    let step = (to - from) / block.len().max(1) as f32;
    for (i, sample) in block.iter_mut().enumerate() {
        *sample *= from + step * i as f32;
    }
}

/// Bends what is above three quarters of full scale so that nothing reaches it; the rest is left as it is.
///
/// Continuous with its slope at the knee: `KNEE + (1 - KNEE) * t / (1 + t)`, where `t` is how far above the knee.
pub fn soft_clip(block: &mut [f32]) {
    for sample in block {
        let size = sample.abs();
        if size > KNEE {
            let t = (size - KNEE) / (1.0 - KNEE);
            *sample = (KNEE + (1.0 - KNEE) * t / (1.0 + t)).copysign(*sample);
        }
    }
}

/// Mean square of a block, 0 for an empty one.
#[must_use]
pub fn energy(block: &[f32]) -> f32 {
    // eight sums so that the loop vectorises
    let (mut sums, chunks) = ([0.0_f32; 8], block.chunks_exact(8));
    let tail: f32 = chunks.remainder().iter().map(|s| s * s).sum();
    for chunk in chunks {
        for (sum, s) in sums.iter_mut().zip(chunk) {
            *sum += s * s;
        }
    }
    (sums.iter().sum::<f32>() + tail) / block.len().max(1) as f32
}

/// Loudness of a mean square in dBov (RFC 6464, RFC 3551 4.1 scale): 0 is a full-scale square wave, -127 silence.
#[must_use]
pub fn dbov(mean_square: f32) -> i8 {
    if mean_square <= 0.0 {
        return -127;
    }
    (10.0 * mean_square.log10()).round().clamp(-127.0, 0.0) as i8
}

/// To 16 bit, rounded and held at full scale; up to the shorter.
pub fn to_i16(from: &[f32], to: &mut [i16]) {
    for (from, to) in from.iter().zip(to) {
        *to = (from * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16;
    }
}

/// From 16 bit; up to the shorter.
pub fn from_i16(from: &[i16], to: &mut [f32]) {
    for (from, to) in from.iter().zip(to) {
        *to = f32::from(*from) / 32_768.0;
    }
}

/// How strongly `hz` is in a block sampled at `rate`: the amplitude of that sine (Goertzel's algorithm).
#[must_use]
pub fn tone(block: &[f32], hz: f32, rate: f32) -> f32 {
    let coefficient = 2.0 * (2.0 * std::f64::consts::PI * f64::from(hz) / f64::from(rate)).cos();
    let (mut a, mut b) = (0.0_f64, 0.0_f64);
    for &sample in block {
        (a, b) = (f64::from(sample) + coefficient * a - b, a);
    }
    let power = a * a + b * b - coefficient * a * b;
    (power.max(0.0).sqrt() * 2.0 / block.len().max(1) as f64) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(hz: f32, amplitude: f32, samples: usize) -> Vec<f32> {
        (0..samples).map(|i| amplitude * (std::f32::consts::TAU * hz * i as f32 / 48_000.0).sin()).collect()
    }

    #[test]
    fn soft_clip_leaves_quiet_sound_alone_and_never_reaches_full_scale() {
        let mut block = [0.0, 0.5, -0.7, 0.75, 0.76, 1.5, -8.0];
        soft_clip(&mut block);
        assert_eq!(block[..4], [0.0, 0.5, -0.7, 0.75]);
        assert!((block[4] - 0.76).abs() < 0.001, "the knee is smooth");
        assert!(block.iter().all(|s| s.abs() < 1.0));
        assert!(block[6] < -0.98);
    }

    #[test]
    fn a_full_scale_sine_is_minus_three_dbov_and_silence_minus_127() {
        assert_eq!(dbov(energy(&sine(1000.0, 1.0, 4800))), -3);
        assert_eq!(dbov(energy(&[0.0; 960])), -127);
        assert_eq!(dbov(energy(&[])), -127);
    }

    #[test]
    fn the_energy_of_any_length_is_that_of_the_plain_sum() {
        for n in 0..40 {
            let block = sine(700.0, 0.8, n);
            let want = block.iter().map(|s| s * s).sum::<f32>() / n.max(1) as f32;
            assert!((energy(&block) - want).abs() < 1e-6, "{n}");
        }
    }

    #[test]
    fn sixteen_bits_go_there_and_back_unchanged() {
        let all: Vec<i16> = (i16::MIN..=i16::MAX).collect();
        let (mut float, mut back) = (vec![0.0; all.len()], vec![0; all.len()]);
        from_i16(&all, &mut float);
        to_i16(&float, &mut back);
        assert_eq!(all, back);
        to_i16(&[2.0, -2.0, f32::NAN], &mut back);
        assert_eq!(back[..3], [i16::MAX, i16::MIN, 0]);
    }

    #[test]
    fn a_ramp_goes_from_one_gain_to_the_other() {
        let mut block = [1.0; 100];
        ramp(&mut block, 1.0, 0.0);
        assert!(block[0] == 1.0 && block[99] > 0.0 && block[99] < 0.011);
    }

    #[test]
    fn goertzel_finds_a_tone_at_its_pitch_and_not_beside_it() {
        let block = sine(1000.0, 0.5, 4800);
        assert!((tone(&block, 1000.0, 48_000.0) - 0.5).abs() < 0.01);
        assert!(tone(&block, 1300.0, 48_000.0) < 0.01);
    }
}
