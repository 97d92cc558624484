//! Keys heard as pairs of tones (ITU-T Q.23), found as Q.24 asks: Goertzel's algorithm over blocks that overlap by half.
//!
//! ```text
//!  no key ── 5 blocks of one pair, each tone at its pitch ──▶ key, told once ── 4 blocks without it ──▶ no key
//! ```
//! A block lasts 12.75 ms and holds a pair if two tones, one of each group and not too different in strength, make most of its
//! energy. How far the phase of a tone turns from block to block tells its pitch much closer than a block's spectrum can; speech, which
//! seldom holds two steady tones at the right pitches, falls through there. So 40 ms of a key are heard and 23 ms are not, a gap
//! of 40 ms parts two keys, and one of 10 ms does not part one (Q.24 table A-1).

use std::f64::consts::TAU;

/// The tones of the low group, top row first, and of the high group, left column first, in Hz (Q.23).
pub const LOW: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
/// See [`LOW`].
pub const HIGH: [f64; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
/// The keys, by row and column.
pub const KEYS: [[char; 4]; 4] =
    [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];

/// Samples in a block and from one to the next, at 8 kHz.
const BLOCK: u32 = 102;
const HOP: u32 = BLOCK / 2;
/// Blocks in a row that make a key.
const BEGINS: u32 = 5;
/// Blocks without it that end it.
const ENDS: u32 = 4;
/// Least amplitude of either tone: -40 dB below full scale.
const QUIETEST: f64 = 0.01;
/// Least share of a block's energy that the two tones have where they should be.
const SHARE: f64 = 0.7;
/// Least share over a key's blocks that they have where they are. Noise 15 dB below leaves 0.97.
const WHOLE: f64 = 0.92;
/// Most that one tone may be stronger than the other, as a ratio of energies: 10.8 dB, Q.24's 8 dB and what strong tones leak.
const TWIST: f64 = 12.0;
/// How much stronger than the others of its group a tone must be, as a ratio of energies: 6 dB.
const ABOVE: f64 = 4.0;
/// How far off its pitch a tone may be: Q.24 wants 1.5 % and 2 Hz taken, and 3.5 % not.
const OFF: f64 = 0.022;

/// Finds keys in one sound.
#[derive(Debug, Clone)]
pub struct Detector {
    rate: f64,
    hop: usize,
    /// The end of the sound so far, at most a block.
    sound: Vec<f32>,
    block: usize,
    /// The pair in the last block, and in how many before it.
    run: Option<Run>,
    /// The key that was told and has not ended, and blocks since it was last heard.
    told: Option<(char, u32)>,
}

/// One pair in block after block.
#[derive(Debug, Clone, Copy)]
struct Run {
    pair: (usize, usize),
    blocks: u32,
    /// Phases of both tones in the last block.
    phases: [f64; 2],
    /// By how much the phases turned more than they should, summed over the run.
    drift: [f64; 2],
    /// The tones' shares of the energy, summed over the run.
    shares: [f64; 2],
}

/// A block's two tones: row and column, phases, and shares of the energy.
#[derive(Debug, Clone, Copy)]
struct Pair {
    at: (usize, usize),
    phases: [f64; 2],
    shares: [f64; 2],
}

/// A tone in a block.
#[derive(Debug, Clone, Copy)]
struct Tone {
    energy: f64,
    phase: f64,
}

impl Detector {
    /// A detector of sound sampled at `rate` Hz, at least 8000.
    #[must_use]
    pub fn new(rate: u32) -> Self {
        let at = |samples: u32| (u64::from(samples) * u64::from(rate.max(8_000)) / 8_000) as usize;
        Self {
            rate: f64::from(rate.max(8_000)),
            hop: at(HOP),
            block: at(BLOCK),
            sound: Vec::new(),
            run: None,
            told: None,
        }
    }

    /// Takes more of the sound, full scale ±1.0, and tells each key once, as soon as it is sure.
    pub fn take(&mut self, sound: &[f32], mut tell: impl FnMut(char)) {
        self.sound.extend_from_slice(sound);
        let mut from = 0;
        while let Some(block) = self.sound.get(from..from + self.block) {
            let pair = self.pair(block);
            if let Some(key) = self.step(pair) {
                tell(key);
            }
            from += self.hop;
        }
        self.sound.drain(..from.min(self.sound.len()));
    }

    fn pair(&self, block: &[f32]) -> Option<Pair> {
        let all = block.iter().map(|s| f64::from(*s) * f64::from(*s)).sum::<f64>() / block.len() as f64;
        if all < QUIETEST * QUIETEST {
            return None;
        }
        let (row, low) = strongest(LOW.map(|hz| self.tone(block, hz)))?;
        let (column, high) = strongest(HIGH.map(|hz| self.tone(block, hz)))?;
        let least = low.energy.min(high.energy);
        let good = least >= QUIETEST * QUIETEST / 2.0
            && low.energy.max(high.energy) <= least * TWIST
            && low.energy + high.energy >= all * SHARE;
        let shares = [low.energy / all, high.energy / all];
        good.then_some(Pair { at: (row, column), phases: [low.phase, high.phase], shares })
    }

    /// Goertzel's algorithm. The energy is that of the sine, a mean square; the phase is at the block's end.
    fn tone(&self, block: &[f32], hz: f64) -> Tone {
        let turn = TAU * hz / self.rate;
        let coefficient = 2.0 * turn.cos();
        let (mut a, mut b) = (0.0_f64, 0.0_f64);
        for &sample in block {
            (a, b) = (f64::from(sample) + coefficient * a - b, a);
        }
        let (real, imaginary) = (a - b * turn.cos(), b * turn.sin());
        let half = block.len() as f64 / 2.0;
        let energy = (real * real + imaginary * imaginary) / (half * half) / 2.0;
        Tone { energy, phase: imaginary.atan2(real) }
    }

    /// Goes on by a block; tells the key that is sure now.
    fn step(&mut self, found: Option<Pair>) -> Option<char> {
        self.run = found.map(|pair| match self.run {
            Some(run) if run.pair == pair.at => self.longer(run, pair),
            _ => Run { pair: pair.at, blocks: 1, phases: pair.phases, drift: [0.0; 2], shares: pair.shares },
        });
        let sure = self.run.filter(|run| run.blocks >= BEGINS && self.is_key(run));
        let key = sure.map(|Run { pair: (row, column), .. }| KEYS[row][column]);
        match (self.told, key) {
            (Some((told, _)), Some(key)) if told == key => self.told = Some((told, 0)),
            (_, Some(key)) => {
                self.told = Some((key, 0));
                return Some(key);
            }
            (Some((told, _)), None) if self.run.is_some_and(|run| KEYS[run.pair.0][run.pair.1] == told) => {
                // The same key again after an interruption is the same press, until it has been away for long enough.
                self.told = Some((told, 0));
            }
            (Some((told, away)), None) => self.told = (away + 1 < ENDS).then_some((told, away + 1)),
            (None, None) => {}
        }
        None
    }

    fn longer(&self, run: Run, pair: Pair) -> Run {
        let (row, column) = run.pair;
        let Run { mut drift, mut shares, .. } = run;
        for (i, hz) in [LOW[row], HIGH[column]].into_iter().enumerate() {
            let due = TAU * hz * self.hop as f64 / self.rate;
            drift[i] += around(pair.phases[i] - run.phases[i] - due);
            shares[i] += pair.shares[i];
        }
        Run { blocks: run.blocks + 1, phases: pair.phases, drift, shares, ..run }
    }

    /// Both tones are at their pitch, and nothing else is there.
    fn is_key(&self, run: &Run) -> bool {
        let (row, column) = run.pair;
        let seconds = f64::from(run.blocks - 1) * self.hop as f64 / self.rate;
        let off = run.drift.map(|drift| drift / TAU / seconds);
        let on_pitch = off[0].abs() <= LOW[row] * OFF && off[1].abs() <= HIGH[column] * OFF;
        // What a block of this length shows of a tone that is so far off its place.
        let seen = |off: f64| sinc(off * self.block as f64 / self.rate).powi(2);
        let share = run.shares[0] / seen(off[0]) + run.shares[1] / seen(off[1]);
        on_pitch && share >= WHOLE * f64::from(run.blocks)
    }
}

fn sinc(x: f64) -> f64 {
    let angle = x * std::f64::consts::PI;
    if angle.abs() < 1e-9 { 1.0 } else { angle.sin() / angle }
}

/// The strongest tone of a group, if it stands out.
fn strongest(tones: [Tone; 4]) -> Option<(usize, Tone)> {
    let energies = || tones.iter().map(|tone| tone.energy).enumerate();
    let (best, most) = energies().max_by(|(_, a), (_, b)| a.total_cmp(b))?;
    let alone = energies().all(|(i, energy)| i == best || energy * ABOVE <= most);
    alone.then_some((best, tones[best]))
}

/// An angle brought to within half a turn of zero.
fn around(angle: f64) -> f64 {
    angle - TAU * (angle / TAU).round()
}

#[cfg(test)]
mod tests;
