//! Whole-number resampling between 8, 16 and 48 kHz by a polyphase filter.
//!
//! Every rate a telephone codec has divides 48 kHz, so the general resamplers' machinery is not needed: one
//! Kaiser-windowed sinc low pass (stop band below -70 dB), whose delay is [`Resampler::delay`]: 1 ms at 16 kHz, 2 ms at
//! 8 kHz. Chosen over `rubato`, whose FFT resampler wants fixed block sizes and delays more; 20 ms take 2.5 µs.
//!
//! A. V. Oppenheim, R. W. Schafer, Discrete-Time Signal Processing, 4.7 (polyphase) and 7.5 (Kaiser window).

/// Taps on each side of the centre, in samples of the lower rate.
const SIDE: usize = 16;
/// The filter's taps that meet one lane of the input.
const TAPS: usize = 2 * SIDE + 1;
/// Output samples that are worked on together.
const TOGETHER: usize = 16;
/// Kaiser's beta for 70 dB of stop band.
const BETA: f64 = 6.76;
/// Where the pass band ends, as a share of the lower rate's half: 3.5 of 4 kHz, 7.0 of 8 kHz.
const PASS: f64 = 0.93;

/// A resampler of one channel in one direction. It keeps the tail of what went through, so blocks join without a seam.
///
/// ```text
///  up by 3:    input ─▶ lane ─┬ taps 0, 3, 6 .. ─▶ output 0, 3, 6 ..
///                             ├ taps 1, 4, 7 .. ─▶ output 1, 4, 7 ..
///                             └ taps 2, 5, 8 .. ─▶ output 2, 5, 8 ..
///
///  down by 3:  input 0, 3, 6 .. ─▶ lane ─ taps 0, 3, 6 .. ─┐
///              input 1, 4, 7 .. ─▶ lane ─ taps 2, 5, 8 .. ─┼▶ output
///              input 2, 5, 8 .. ─▶ lane ─ taps 1, 4, 7 .. ─┘
/// ```
#[derive(Debug, Clone)]
pub struct Resampler {
    up: usize,
    down: usize,
    /// One set for each phase of the output or each lane of the input, last tap first, so that it runs along the lane.
    taps: Vec<[f32; TAPS]>,
    /// The input, each lane with the end of what it had before.
    lanes: Vec<Vec<f32>>,
}

impl Resampler {
    /// From `from` Hz to `to` Hz; `None` unless one is a whole multiple of the other, up to 6.
    #[must_use]
    pub fn new(from: u32, to: u32) -> Option<Self> {
        let (up, down) = match (from, to) {
            (0, _) | (_, 0) => return None,
            (from, to) if to % from == 0 => ((to / from) as usize, 1),
            (from, to) if from % to == 0 => (1, (from / to) as usize),
            _ => return None,
        };
        if up.max(down) > 6 {
            return None;
        }
        let filter = low_pass(up.max(down), up as f64);
        let tap = |at: Option<usize>| at.and_then(|at| filter.get(at)).copied().unwrap_or(0.0);
        // Going down, an output sample has its newest input on lane 0; those on the others are older.
        let taps = (0..up.max(down)).map(|n| {
            std::array::from_fn(|i| {
                let back = TAPS - 1 - i;
                if up > 1 { tap(Some(back * up + n)) } else { tap((back * down).checked_sub(n)) }
            })
        });
        Some(Self { up, down, taps: taps.collect(), lanes: vec![vec![0.0; TAPS - 1]; down] })
    }

    /// How much later a sound comes out than it went in, in output samples.
    #[must_use]
    pub fn delay(&self) -> usize {
        match (self.up, self.down) {
            (1, 1) => 0,
            (up, _) => SIDE * up,
        }
    }

    /// Appends the resampled `block` to `out`: `block.len() * to / from` samples. When going down, a block must be a
    /// whole number of output samples long; what is beyond is left out.
    pub fn process(&mut self, block: &[f32], out: &mut Vec<f32>) {
        if (self.up, self.down) == (1, 1) {
            out.extend_from_slice(block);
            return;
        }
        let count = block.len() / self.down;
        for (n, lane) in self.lanes.iter_mut().enumerate() {
            lane.extend(block.chunks_exact(self.down).map(|group| group[n]));
            // the last ones that are worked on together may be fewer
            lane.resize(TAPS - 1 + count.next_multiple_of(TOGETHER), 0.0);
        }
        let from = out.len();
        out.resize(from + count * self.up, 0.0);
        for (at, made) in (0..).step_by(TOGETHER).zip(out[from..].chunks_mut(TOGETHER * self.up)) {
            for phase in 0..self.up {
                let mut sums = [0.0; TOGETHER];
                for (lane, taps) in self.lanes.iter().zip(&self.taps[phase..]) {
                    add_filtered(&mut sums, &lane[at..], taps);
                }
                for (made, sum) in made.iter_mut().skip(phase).step_by(self.up).zip(sums) {
                    *made = sum;
                }
            }
        }
        for lane in &mut self.lanes {
            lane.copy_within(count..count + TAPS - 1, 0);
            lane.truncate(TAPS - 1);
        }
    }
}

/// Adds what the filter makes of `input` to neighbouring output samples. Each tap is multiplied with all of them at once: their sums stay in
/// vector registers, and no vector's parts need be added up.
fn add_filtered(sums: &mut [f32; TOGETHER], input: &[f32], taps: &[f32; TAPS]) {
    let mut own = *sums;
    for (tap, input) in taps.iter().zip(input.windows(TOGETHER)) {
        for (sum, sample) in own.iter_mut().zip(input) {
            *sum += tap * sample;
        }
    }
    *sums = own;
}

/// A windowed sinc whose cut-off is half the lower rate, for a ratio of `ratio`, with a sum of `gain`.
fn low_pass(ratio: usize, gain: f64) -> Vec<f32> {
    if ratio == 1 {
        return vec![1.0];
    }
    let half = (SIDE * ratio) as f64;
    let cut = PASS / ratio as f64;
    let taps: Vec<f64> = (0..=2 * SIDE * ratio)
        .map(|i| {
            let x = i as f64 - half;
            let sinc = if x == 0.0 {
                cut
            } else {
                (std::f64::consts::PI * cut * x).sin() / (std::f64::consts::PI * x)
            };
            let edge = (x / half).powi(2);
            sinc * bessel((1.0 - edge).max(0.0).sqrt() * BETA) / bessel(BETA)
        })
        .collect();
    let sum: f64 = taps.iter().sum();
    taps.iter().map(|t| (t * gain / sum) as f32).collect()
}

/// Modified Bessel function of the first kind, order 0, by its series.
fn bessel(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..32 {
        term *= (x / (2.0 * f64::from(k))).powi(2);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sound::{energy, tone};

    fn sine(hz: f32, rate: u32, samples: usize) -> Vec<f32> {
        (0..samples).map(|i| 0.5 * (std::f32::consts::TAU * hz * i as f32 / rate as f32).sin()).collect()
    }

    fn through(from: u32, to: u32, sound: &[f32]) -> Vec<f32> {
        let mut resampler = Resampler::new(from, to).unwrap();
        let mut out = Vec::new();
        for block in sound.chunks(from as usize / 100) {
            resampler.process(block, &mut out);
        }
        out
    }

    #[test]
    fn a_tone_keeps_its_pitch_and_strength_between_all_rates() {
        for (from, to) in
            [(8_000, 48_000), (16_000, 48_000), (48_000, 8_000), (48_000, 16_000), (48_000, 48_000)]
        {
            let out = through(from, to, &sine(1000.0, from, from as usize));
            assert_eq!(out.len(), to as usize);
            let late = &out[to as usize / 10..];
            let strength = tone(late, 1000.0, to as f32);
            assert!((strength - 0.5).abs() < 0.01, "{from} to {to}: {strength}");
            assert!((energy(late) - 0.125).abs() < 0.003, "{from} to {to}: nothing else is there");
        }
    }

    #[test]
    fn what_the_lower_rate_cannot_carry_is_left_out_and_does_not_fold() {
        for (to, hz, folded) in [(16_000, 10_000.0, 6_000.0), (8_000, 5_000.0, 3_000.0)] {
            let out = through(48_000, to, &sine(hz, 48_000, 48_000));
            assert!(tone(&out[800..], folded, to as f32) < 0.5e-3, "{hz} Hz folds to {folded} Hz");
        }
    }

    #[test]
    fn images_of_an_upsampled_tone_are_60_db_down() {
        let out = through(16_000, 48_000, &sine(3000.0, 16_000, 16_000));
        assert!(tone(&out[4800..], 13_000.0, 48_000.0) < 0.5e-3);
    }

    #[test]
    fn the_delay_is_as_told() {
        for (from, to) in
            [(16_000, 48_000), (48_000, 16_000), (8_000, 48_000), (48_000, 8_000), (48_000, 48_000)]
        {
            let mut click = vec![0.0; from as usize / 10];
            click[0] = 1.0;
            let out = through(from, to, &click);
            let peak = (0..out.len()).max_by(|&a, &b| out[a].abs().total_cmp(&out[b].abs())).unwrap();
            assert_eq!(peak, Resampler::new(from, to).unwrap().delay(), "{from} to {to}");
        }
    }

    /// Each output sample as the sum that defines it: zeros between the input's samples, the filter, and of what comes out one in `down` kept.
    fn by_definition(from: u32, to: u32, sound: &[f32]) -> Vec<f32> {
        let (up, down) = ((to / from).max(1) as usize, (from / to).max(1) as usize);
        let filter = low_pass(up.max(down), up as f64);
        let sample = |at: usize| if at.is_multiple_of(up) { sound[at / up] } else { 0.0 };
        let output = |n: usize| {
            let newest = n * down;
            filter.iter().enumerate().take(newest + 1).map(|(back, tap)| tap * sample(newest - back)).sum()
        };
        (0..sound.len() * up / down).map(output).collect()
    }

    #[test]
    fn blocks_of_any_length_make_what_the_filter_makes_of_the_whole() {
        for (from, to) in [(16_000, 48_000), (48_000, 16_000), (8_000, 48_000), (48_000, 8_000)] {
            let down = (from / to).max(1) as usize;
            let mut resampler = Resampler::new(from, to).unwrap();
            let (mut sound, mut out) = (Vec::new(), Vec::new());
            for length in [1, 5, 0, 17, 16, 20, 33, 2, 160, 31] {
                let block: Vec<f32> =
                    sine(700.0, from, sound.len() + length * down).split_off(sound.len()).to_vec();
                // what is beyond whole output samples is left out
                let beyond = &[1.0; 5][..down - 1];
                resampler.process(&[&block[..], beyond].concat(), &mut out);
                sound.extend(block);
            }
            let wanted = by_definition(from, to, &sound);
            assert_eq!(out.len(), wanted.len(), "{from} to {to}");
            let off = out.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off < 1e-5, "{from} to {to}: off by {off}");
        }
    }

    #[test]
    fn rates_that_are_no_whole_multiple_are_refused() {
        for (from, to) in [(44_100, 48_000), (0, 8_000), (8_000, 0), (8_000, 96_000)] {
            assert!(Resampler::new(from, to).is_none(), "{from} to {to}");
        }
    }
}
