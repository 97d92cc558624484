//! Sound that can be recognised: a steady tone that says whose it is, and a beep a second for the lips.

use anyhow::{Context, Result, bail, ensure};
use std::path::Path;

/// Pitch of the beep in Hz; the flash of [`crate::pattern`] is lit while it sounds.
pub const BEEP_HZ: f32 = 1_800.0;
/// A beep every this many seconds ...
pub const BEEP_EVERY: f32 = 1.0;
/// ... for this many seconds.
pub const BEEP_FOR: f32 = 0.1;
const TONE: f32 = 0.15;
const BEEP: f32 = 0.5;

/// Mono sound.
#[derive(Debug, Clone, PartialEq)]
pub struct Sound {
    /// Samples a second.
    pub rate: u32,
    /// Samples in -1..1.
    pub samples: Vec<f32>,
}

/// Whether the beep sounds and the flash is lit, `at` seconds after the start.
#[must_use]
pub fn is_beep(at: f32) -> bool {
    at.rem_euclid(BEEP_EVERY) < BEEP_FOR
}

/// A steady tone of `hz`, interrupted by beeps where `beeps` is set.
#[must_use]
pub fn tone(rate: u32, seconds: f32, hz: f32, beeps: bool) -> Sound {
    let count = (rate as f32 * seconds) as usize;
    let sample = |i: usize| {
        let at = i as f32 / rate as f32;
        let (pitch, level) = if beeps && is_beep(at) { (BEEP_HZ, BEEP) } else { (hz, TONE) };
        (std::f32::consts::TAU * (pitch * at).fract()).sin() * level
    };
    Sound { rate, samples: (0..count).map(sample).collect() }
}

impl Sound {
    /// Level of `hz` in the samples `from..to` (seconds), as amplitude: a sine of amplitude 0.5 gives 0.5 (Goertzel).
    #[must_use]
    pub fn level(&self, hz: f32, from: f32, to: f32) -> f32 {
        let index = |at: f32| ((at * self.rate as f32) as usize).min(self.samples.len());
        let window = &self.samples[index(from)..index(to)];
        if window.is_empty() {
            return 0.0;
        }
        let coefficient = 2.0 * (f64::from(std::f32::consts::TAU * hz) / f64::from(self.rate)).cos();
        let (mut previous, mut before) = (0.0_f64, 0.0_f64);
        for sample in window {
            let next = f64::from(*sample) + coefficient * previous - before;
            (before, previous) = (previous, next);
        }
        let power = previous * previous + before * before - coefficient * previous * before;
        (2.0 * power.max(0.0).sqrt() / window.len() as f64) as f32
    }

    /// Length in seconds.
    #[must_use]
    pub fn seconds(&self) -> f32 {
        self.samples.len() as f32 / self.rate as f32
    }

    /// In which share of the 100 ms windows between `from` and the end the tone of `hz` stands out from silence.
    #[must_use]
    pub fn share_with(&self, hz: f32, from: f32) -> f32 {
        let windows = ((self.seconds() - from) / 0.1).floor().max(0.0) as usize;
        let heard =
            |i: &usize| self.level(hz, from + *i as f32 * 0.1, from + (*i + 1) as f32 * 0.1) > TONE / 4.0;
        (0..windows).filter(heard).count() as f32 / windows.max(1) as f32
    }

    /// When each beep begins, in seconds, to about 2 ms.
    #[must_use]
    pub fn beeps(&self) -> Vec<f32> {
        const STEP: f32 = 0.002;
        const WINDOW: f32 = 0.008;
        let (mut onsets, mut sounding, mut quiet) = (Vec::new(), false, 1.0_f32);
        let steps = ((self.seconds() - WINDOW) / STEP).max(0.0) as usize;
        for i in 0..steps {
            let at = i as f32 * STEP;
            let lit = self.level(BEEP_HZ, at, at + WINDOW) > BEEP / 3.0;
            if lit && !sounding && quiet > 0.3 {
                onsets.push(at + WINDOW / 2.0);
            }
            quiet = if lit { 0.0 } else { quiet + STEP };
            sounding = lit;
        }
        onsets
    }

    /// Writes a 16-bit PCM WAV file with `channels` equal channels.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_wav(&self, path: &Path, channels: u16) -> Result<()> {
        let bytes = self.samples.len() as u32 * u32::from(channels) * 2;
        let mut wav = Vec::with_capacity(bytes as usize + 44);
        wav.extend_from_slice(b"RIFF");
        wav.extend_from_slice(&(bytes + 36).to_le_bytes());
        wav.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0");
        wav.extend_from_slice(&channels.to_le_bytes());
        wav.extend_from_slice(&self.rate.to_le_bytes());
        wav.extend_from_slice(&(self.rate * u32::from(channels) * 2).to_le_bytes());
        wav.extend_from_slice(&(channels * 2).to_le_bytes());
        wav.extend_from_slice(b"\x10\0data");
        wav.extend_from_slice(&bytes.to_le_bytes());
        for sample in &self.samples {
            let value = (sample * 32_767.0) as i16;
            (0..channels).for_each(|_| wav.extend_from_slice(&value.to_le_bytes()));
        }
        std::fs::write(path, wav).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Reads a 16-bit PCM WAV file; of several channels the first. A file whose writer was stopped before it wrote the lengths
    /// is read to its end.
    ///
    /// # Errors
    /// If it is no such file.
    pub fn read_wav(path: &Path) -> Result<Self> {
        let wav = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        ensure!(
            wav.len() > 44 && &wav[..4] == b"RIFF" && &wav[8..12] == b"WAVE",
            "{} is no WAV",
            path.display()
        );
        let (mut at, mut format) = (12, None);
        while at + 8 <= wav.len() {
            let size = u32::from_le_bytes([wav[at + 4], wav[at + 5], wav[at + 6], wav[at + 7]]) as usize;
            let body = &wav[at + 8..];
            match &wav[at..at + 4] {
                b"fmt " if body.len() >= 16 => {
                    let channels = usize::from(u16::from_le_bytes([body[2], body[3]]));
                    format = Some((channels, u32::from_le_bytes([body[4], body[5], body[6], body[7]])));
                }
                b"data" => {
                    let (channels, rate) = format.context("WAV without format")?;
                    let length = if size == 0 { body.len() } else { size.min(body.len()) };
                    let frames = body[..length].chunks_exact(2 * channels.max(1));
                    let samples =
                        frames.map(|frame| f32::from(i16::from_le_bytes([frame[0], frame[1]])) / 32_768.0);
                    return Ok(Self { rate, samples: samples.collect() });
                }
                _ => {}
            }
            at += 8 + size + size % 2;
        }
        bail!("{} holds no sound", path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_is_found_at_its_pitch_and_nowhere_else() {
        let sound = tone(16_000, 1.0, 440.0, false);
        assert!((sound.level(440.0, 0.0, 1.0) - TONE).abs() < 0.01);
        assert!(sound.level(880.0, 0.0, 1.0) < 0.01);
        assert!(sound.share_with(440.0, 0.0) > 0.99);
        assert!(sound.share_with(1_000.0, 0.0) < 0.01);
    }

    #[test]
    fn beeps_are_found_where_they_begin() {
        let found = tone(48_000, 3.5, 440.0, true).beeps();
        assert_eq!(found.len(), 4);
        for (i, at) in found.iter().enumerate() {
            assert!((at - i as f32).abs() < 0.006, "beep {i} found at {at}");
        }
    }

    #[test]
    fn a_wav_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tone.wav");
        let sound = tone(48_000, 0.5, 440.0, false);
        sound.write_wav(&path, 2).expect("written");
        let read = Sound::read_wav(&path).expect("read");
        assert_eq!((read.rate, read.samples.len()), (sound.rate, sound.samples.len()));
        assert!(read.share_with(440.0, 0.0) > 0.9);
    }
}
