//! Concealment for codecs that have none of their own: the last pitch period is repeated and fades out.
//!
//! After ITU-T G.711 appendix I in outline: the period is found by correlating the last 20 ms with what came before;
//! the first 10 ms are at full strength, after 60 ms there is silence; and when sound comes again the made-up sound is
//! faded over into it, so that neither seam clicks.

use std::time::Duration;

/// Pitch periods looked for: 66 to 400 Hz.
const PERIODS: (Duration, Duration) = (Duration::from_micros(2_500), Duration::from_micros(15_000));
const COMPARED: Duration = Duration::from_millis(20);
const FULL: Duration = Duration::from_millis(10);
const SILENT: Duration = Duration::from_millis(60);
const SEAM: Duration = Duration::from_millis(4);

/// Remembers what was heard and makes up what was not.
#[derive(Debug)]
pub struct Concealer {
    rate: u32,
    /// The last sound heard, as long as the longest period and what is compared.
    heard: Vec<f32>,
    /// The period repeated since the loss began, empty if nothing is lost.
    period: Vec<f32>,
    /// Samples made up since the loss began.
    made: usize,
}

impl Concealer {
    /// One for sound of `rate` samples per second.
    #[must_use]
    pub fn new(rate: u32) -> Self {
        Self { rate, heard: Vec::new(), period: Vec::new(), made: 0 }
    }

    fn samples(&self, time: Duration) -> usize {
        (u64::from(self.rate) * time.as_micros() as u64 / 1_000_000) as usize
    }

    /// Takes note of sound that came; after a loss its beginning is faded over from what was made up.
    pub fn heard(&mut self, sound: &mut [f32]) {
        if self.made > 0 {
            let seam = self.samples(SEAM).min(sound.len());
            let mut tail = Vec::with_capacity(seam);
            self.repeat(seam, &mut tail);
            for (i, (new, old)) in sound.iter_mut().zip(&tail).enumerate() {
                let share = (i + 1) as f32 / (seam + 1) as f32;
                *new = *new * share + old * (1.0 - share);
            }
            self.made = 0;
            self.period.clear();
        }
        let keep = self.samples(COMPARED) + self.samples(PERIODS.1);
        self.heard.extend_from_slice(&sound[sound.len().saturating_sub(keep)..]);
        let old = self.heard.len().saturating_sub(keep);
        self.heard.drain(..old);
    }

    /// Makes up `samples` samples and appends them to `out`.
    pub fn conceal(&mut self, samples: usize, out: &mut Vec<f32>) {
        if self.made == 0 {
            let period = self.find_period();
            self.period = self.heard[self.heard.len() - period..].to_vec();
        }
        self.repeat(samples, out);
    }

    fn repeat(&mut self, samples: usize, out: &mut Vec<f32>) {
        let (full, silent) = (self.samples(FULL), self.samples(SILENT));
        for at in self.made..self.made + samples {
            let gain = 1.0 - at.saturating_sub(full) as f32 / (silent - full) as f32;
            let sample = if self.period.is_empty() { 0.0 } else { self.period[at % self.period.len()] };
            out.push(sample * gain.max(0.0));
        }
        self.made += samples;
    }

    /// The lag at which the last sound is most like what came before it, by normalised correlation; 0 if too little was
    /// heard to tell.
    fn find_period(&self) -> usize {
        let (shortest, longest) = (self.samples(PERIODS.0), self.samples(PERIODS.1));
        let compared = self.samples(COMPARED);
        if self.heard.len() < compared + longest {
            return 0;
        }
        let last = &self.heard[self.heard.len() - compared..];
        let likeness = |lag: usize| {
            let before = &self.heard[self.heard.len() - compared - lag..][..compared];
            let product: f32 = last.iter().zip(before).map(|(a, b)| a * b).sum();
            product / (before.iter().map(|b| b * b).sum::<f32>() + 1e-9).sqrt()
        };
        (shortest..=longest).max_by(|&a, &b| likeness(a).total_cmp(&likeness(b))).unwrap_or(longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernels::sound::{energy, tone};

    fn sine(from: usize, samples: usize) -> Vec<f32> {
        (from..from + samples)
            .map(|i| 0.5 * (std::f32::consts::TAU * 200.0 * i as f32 / 8000.0).sin())
            .collect()
    }

    #[test]
    fn a_lost_packet_of_a_tone_goes_on_at_its_pitch_and_strength() {
        let mut concealer = Concealer::new(8000);
        concealer.heard(&mut sine(0, 800));
        let mut made = Vec::new();
        concealer.conceal(80, &mut made);
        assert!(tone(&made, 200.0, 8000.0) > 0.45);
        // no step at the seam: the next sample is as near as any two neighbours of the tone
        assert!((made[0] - sine(799, 1)[0]).abs() < 0.09);
    }

    #[test]
    fn a_long_loss_fades_to_silence_and_the_return_does_not_click() {
        let mut concealer = Concealer::new(8000);
        concealer.heard(&mut sine(0, 800));
        let mut made = Vec::new();
        concealer.conceal(800, &mut made);
        assert!(energy(&made[560..]) == 0.0);
        let mut back = sine(1610, 160);
        concealer.heard(&mut back);
        assert!(back[0].abs() < 0.1, "the first sample after silence is near silence");
    }

    #[test]
    fn a_loss_before_anything_was_heard_is_silence() {
        let mut made = Vec::new();
        Concealer::new(16_000).conceal(320, &mut made);
        assert!(made.len() == 320 && energy(&made) == 0.0);
    }
}
