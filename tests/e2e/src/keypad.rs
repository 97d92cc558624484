//! A telephone's keypad: keys as the tones of ITU-T Q.23, for rooms that signal theirs in no other way.

use crate::sound::Sound;

/// Amplitude of each of the two tones.
const STRENGTH: f32 = 0.2;
const LOW: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const HIGH: [f32; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];
const KEYS: &str = "123A456B789C*0#D";

/// `keys` after `before` seconds of silence, each 100 ms long with 100 ms behind it, and then silence up to `seconds`.
#[must_use]
pub fn tones(rate: u32, keys: &str, before: f32, seconds: f32) -> Sound {
    let samples = |time: f32| (rate as f32 * time) as usize;
    let mut sound = vec![0.0; samples(before)];
    for at in keys.chars().filter_map(|key| KEYS.find(key)) {
        let sine = |hz: f32, i: usize| (std::f32::consts::TAU * hz * i as f32 / rate as f32).sin() * STRENGTH;
        sound.extend((0..samples(0.1)).map(|i| sine(LOW[at / 4], i) + sine(HIGH[at % 4], i)));
        sound.resize(sound.len() + samples(0.1), 0.0);
    }
    sound.resize(sound.len().max(samples(seconds)), 0.0);
    Sound { rate, samples: sound }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_two_tones() {
        let five = tones(8_000, "5", 0.5, 2.0);
        assert!((five.seconds() - 2.0).abs() < 0.01);
        assert!(five.level(770.0, 0.5, 0.6) > 0.15 && five.level(1_336.0, 0.5, 0.6) > 0.15);
        assert!(five.level(770.0, 0.65, 2.0) < 0.01);
    }
}
