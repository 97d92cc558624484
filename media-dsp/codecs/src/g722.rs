//! G.722 at 64 kbit/s (ITU-T G.722): two sub-bands by a 24 tap mirror filter, each by ADPCM.
//!
//! ```text
//!  16 kHz ─▶ QMF ─┬─ low 0-4 kHz ─▶ ADPCM 6 bits ─┬─▶ one octet per two samples: high 2, low 6
//!                 └─ high 4-8 kHz ▶ ADPCM 2 bits ─┘
//! ```
//!
//! Integer arithmetic throughout, so that both ends' predictors stay in step. Block names are the Recommendation's
//! (clauses 3.1 to 3.6, 4.1 to 4.4); tables are its tables 11 to 20.

use crate::conceal::Concealer;
use crate::{AudioDecoder, AudioEncoder, DecodeError, EncodeError, MAX_SOUND_BYTES};

/// Samples per second.
pub const RATE: u32 = 16_000;

/// What the mirror filters of encoder and decoder delay a sound by together, in samples: 24 taps, less a step of two.
const DELAY: usize = 22;
/// Mirror filter, one half of its 24 symmetric taps (table 11).
const QMF: [i32; 12] = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];
/// Decision levels of the low band's 60 level quantiser (table 14, column Q6).
const Q6: [i32; 30] = [
    0, 35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121,
    1219, 1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919,
];
/// Output levels of the low band at 6 bits (table 15, QM6).
const QM6: [i32; 64] = [
    -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360,
    -8576, -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688,
    -1360, -1040, -728, 24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856,
    7192, 6576, 6000, 5456, 4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136,
    -432, -136,
];
/// Output levels of the low band at 4 bits, which drive its predictor (table 15, QM4).
const QM4: [i32; 16] =
    [0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0];
/// Output levels of the high band (table 16, QM2).
const QM2: [i32; 4] = [-7408, -1616, 7408, 1616];
/// Scale factor steps of the low band by 4 bit code (tables 17 and 18, WL of RL42).
const WL: [i32; 16] = [-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60];
/// Scale factor steps of the high band by code (table 19, WH of RH2).
const WH: [i32; 4] = [798, -214, 798, -214];
/// Antilogarithms for the scale factor (table 20, ILB).
const ILB: [i32; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896,
    2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];

fn saturate(n: i32) -> i32 {
    n.clamp(-32_768, 32_767)
}

/// One band's adaptive predictor and quantiser scale: blocks 3 and 4 of the Recommendation.
#[derive(Debug, Clone)]
struct Band {
    /// Prediction.
    s: i32,
    /// Its part from the zeros.
    sz: i32,
    /// Past two reconstructed signals.
    r: [i32; 2],
    /// Past two partial reconstructions.
    p: [i32; 2],
    /// Pole coefficients.
    a: [i32; 2],
    /// Zero coefficients.
    b: [i32; 6],
    /// Past six quantised differences.
    d: [i32; 6],
    /// Logarithm of the scale.
    nb: i32,
    /// Scale.
    det: i32,
    /// Largest `nb`, and the bits its antilogarithm is shifted by: what differs between the bands.
    most: i32,
    shift: i32,
}

impl Band {
    fn low() -> Self {
        Self::new(32, 18_432, 8)
    }

    fn high() -> Self {
        Self::new(8, 22_528, 10)
    }

    fn new(det: i32, most: i32, shift: i32) -> Self {
        Self { s: 0, sz: 0, r: [0; 2], p: [0; 2], a: [0; 2], b: [0; 6], d: [0; 6], nb: 0, det, most, shift }
    }

    /// Blocks 3L/3H, LOGSC and SCALE: the scale follows the code just sent.
    fn adapt_scale(&mut self, step: i32) {
        self.nb = (((self.nb * 127) >> 7) + step).clamp(0, self.most);
        let mantissa = ILB[(self.nb >> 6 & 31) as usize];
        let exponent = self.shift - (self.nb >> 11);
        self.det = if exponent < 0 { mantissa << -exponent } else { mantissa >> exponent } << 2;
    }

    /// Block 4: the predictor follows the quantised difference `d`.
    fn adapt_predictor(&mut self, d: i32) {
        let r = saturate(self.s + d);
        let p = saturate(self.sz + d);
        let same = |past: i32| p >> 15 == past >> 15;

        // UPPOL2, UPPOL1
        let four = saturate(self.a[0] << 2);
        let turn = if same(self.p[0]) { (-four).min(32_767) } else { four };
        let push = if same(self.p[1]) { 128 } else { -128 };
        let a2 = (push + (turn >> 7) + ((self.a[1] * 32_512) >> 15)).clamp(-12_288, 12_288);
        let push = if same(self.p[0]) { 192 } else { -192 };
        let bound = saturate(15_360 - a2);
        let a1 = saturate(push + ((self.a[0] * 32_640) >> 15)).clamp(-bound, bound);

        // UPZERO
        let push = if d == 0 { 0 } else { 128 };
        for (b, past) in self.b.iter_mut().zip(&self.d) {
            let push = if d >> 15 == past >> 15 { push } else { -push };
            *b = saturate(push + ((*b * 32_640) >> 15));
        }

        // DELAYA
        self.d.copy_within(0..5, 1);
        self.d[0] = d;
        self.r = [r, self.r[0]];
        self.p = [p, self.p[0]];
        self.a = [a1, a2];

        // FILTEP, FILTEZ, PREDIC
        let poles: i32 = self.a.iter().zip(&self.r).map(|(a, r)| (a * saturate(r + r)) >> 15).sum();
        let zeros: i32 = self.b.iter().zip(&self.d).map(|(b, d)| (b * saturate(d + d)) >> 15).sum();
        self.sz = saturate(zeros);
        self.s = saturate(saturate(poles) + self.sz);
    }

    /// What both ends do with a low band's code: scale and predictor follow its four upper bits.
    fn follow_low(&mut self, code: usize) {
        let code = code >> 2;
        let d = (self.det * QM4[code]) >> 15;
        self.adapt_scale(WL[code]);
        self.adapt_predictor(d);
    }

    fn follow_high(&mut self, code: usize) {
        let d = (self.det * QM2[code]) >> 15;
        self.adapt_scale(WH[code]);
        self.adapt_predictor(d);
    }

    /// Block 1L: the code of the low band's `signal`.
    fn quantise_low(&self, signal: i32) -> usize {
        let e = saturate(signal - self.s);
        let size = if e >= 0 { e } else { -(e + 1) };
        let level = (1..30).find(|&i| size < (Q6[i] * self.det) >> 12).unwrap_or(30);
        // table 13: the codes go down as the levels go up; the two smallest negative ones are set apart
        match (e < 0, level) {
            (true, 1) => 63,
            (true, 2) => 62,
            (true, level) => 34 - level,
            (false, level) => 62 - level,
        }
    }

    /// Block 1H.
    fn quantise_high(&self, signal: i32) -> usize {
        let e = saturate(signal - self.s);
        let size = if e >= 0 { e } else { -(e + 1) };
        let large = size >= (564 * self.det) >> 12;
        match (e < 0, large) {
            (true, false) => 1,
            (true, true) => 0,
            (false, false) => 3,
            (false, true) => 2,
        }
    }
}

/// The mirror filter's memory: 24 samples, oldest first.
#[derive(Debug, Clone, Default)]
struct Mirror([i32; 24]);

impl Mirror {
    /// Takes two samples and returns the sums over even and odd ones.
    fn push(&mut self, first: i32, second: i32) -> (i32, i32) {
        self.0.copy_within(2.., 0);
        self.0[22] = first;
        self.0[23] = second;
        let (mut even, mut odd) = (0, 0);
        for (i, pair) in self.0.chunks_exact(2).enumerate() {
            odd += pair[0] * QMF[i];
            even += pair[1] * QMF[11 - i];
        }
        (even, odd)
    }
}

/// A G.722 encoder of one stream.
#[derive(Debug)]
pub struct Encoder {
    mirror: Mirror,
    low: Band,
    high: Band,
}

impl Default for Encoder {
    fn default() -> Self {
        Self { mirror: Mirror::default(), low: Band::low(), high: Band::high() }
    }
}

impl Encoder {
    /// Encodes two samples.
    fn octet(&mut self, first: i16, second: i16) -> u8 {
        let (even, odd) = self.mirror.push(i32::from(first), i32::from(second));
        let low = self.low.quantise_low(saturate((even + odd) >> 14));
        self.low.follow_low(low);
        let high = self.high.quantise_high(saturate((even - odd) >> 14));
        self.high.follow_high(high);
        (high << 6 | low) as u8
    }
}

impl AudioEncoder for Encoder {
    fn rate(&self) -> u32 {
        RATE
    }

    fn delay(&self) -> usize {
        DELAY
    }

    fn encode(&mut self, block: &[f32], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if !block.len().is_multiple_of(2) {
            return Err(EncodeError::Block(block.len()));
        }
        let linear = |sample: f32| (sample * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16;
        for pair in block.chunks_exact(2) {
            out.push(self.octet(linear(pair[0]), linear(pair[1])));
        }
        Ok(())
    }
}

/// A G.722 decoder of one stream.
#[derive(Debug)]
pub struct Decoder {
    mirror: Mirror,
    low: Band,
    high: Band,
    concealer: Concealer,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            mirror: Mirror::default(),
            low: Band::low(),
            high: Band::high(),
            concealer: Concealer::new(RATE),
        }
    }
}

impl Decoder {
    /// Decodes two samples.
    fn samples(&mut self, octet: u8) -> [i16; 2] {
        let (low, high) = (usize::from(octet & 0x3f), usize::from(octet >> 6));
        let low_signal = (self.low.s + ((self.low.det * QM6[low]) >> 15)).clamp(-16_384, 16_383);
        self.low.follow_low(low);
        let high_signal = (self.high.s + ((self.high.det * QM2[high]) >> 15)).clamp(-16_384, 16_383);
        self.high.follow_high(high);
        let (second, first) = self.mirror.push(low_signal + high_signal, low_signal - high_signal);
        [second >> 11, first >> 11].map(|sample| saturate(sample) as i16)
    }
}

impl AudioDecoder for Decoder {
    fn rate(&self) -> u32 {
        RATE
    }

    fn decode(&mut self, packet: &[u8], out: &mut Vec<f32>) -> Result<(), DecodeError> {
        if packet.len() > MAX_SOUND_BYTES {
            return Err(DecodeError::TooLong(packet.len()));
        }
        let from = out.len();
        for &octet in packet {
            out.extend(self.samples(octet).map(|sample| f32::from(sample) / 32_768.0));
        }
        self.concealer.heard(&mut out[from..]);
        Ok(())
    }

    fn conceal(&mut self, samples: usize, out: &mut Vec<f32>) {
        self.concealer.conceal(samples, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernels::sound::tone;
    use std::f32::consts::TAU;
    use std::process::Command;

    /// Tones that come and go in both bands, with a burst at full scale.
    fn sound() -> Vec<i16> {
        (0..32_000)
            .map(|i| {
                let t = i as f32 / RATE as f32;
                let swell = (t * 3.0).sin().abs();
                let sum = 0.35 * (t * 900.0 * TAU).sin() + 0.2 * (t * (2000.0 + 800.0 * t) * TAU).sin();
                let high = 0.15 * (t * 6100.0 * TAU).sin();
                let burst = if (12_000..12_400).contains(&i) { 3.0 } else { 1.0 };
                ((sum + high) * swell * burst * 32_768.0).clamp(-32_768.0, 32_767.0) as i16
            })
            .collect()
    }

    fn float(sound: &[i16]) -> Vec<f32> {
        sound.iter().map(|&s| f32::from(s) / 32_768.0).collect()
    }

    fn encode(sound: &[i16]) -> Vec<u8> {
        let mut out = Vec::new();
        Encoder::default().encode(&float(sound), &mut out).unwrap();
        out
    }

    fn ffmpeg(format_in: &str, format_out: &str, input: &[u8]) -> Option<Vec<u8>> {
        let dir = std::env::temp_dir().join(format!("g722-{}-{format_in}", std::process::id()));
        std::fs::create_dir_all(&dir).ok()?;
        let (from, to) = (dir.join("in"), dir.join("out"));
        std::fs::write(&from, input).ok()?;
        let raw = ["-ar", "16000", "-ac", "1"];
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-y", "-f", format_in]);
        if format_in == "s16le" {
            command.args(raw);
        }
        command.arg("-i").arg(&from);
        if format_out == "s16le" {
            command.args(raw);
        }
        let status = command.args(["-f", format_out]).arg(&to).status().ok()?;
        assert!(status.success(), "ffmpeg failed");
        let out = std::fs::read(&to).ok();
        let _ = std::fs::remove_dir_all(&dir);
        out
    }

    #[test]
    fn tones_in_both_bands_survive() {
        for hz in [300.0, 1000.0, 3000.0, 5500.0] {
            let sine: Vec<f32> =
                (0..16_000).map(|i| 0.4 * (TAU * hz * i as f32 / RATE as f32).sin()).collect();
            let (mut packet, mut out) = (Vec::new(), Vec::new());
            Encoder::default().encode(&sine, &mut packet).unwrap();
            assert_eq!(packet.len(), 8_000, "64 kbit/s");
            let mut decoder = Decoder::default();
            packet.chunks(160).for_each(|packet| decoder.decode(packet, &mut out).unwrap());
            let late = &out[1600..];
            let strength = tone(late, hz, RATE as f32);
            let noise = kernels::sound::energy(late) - strength * strength / 2.0;
            let snr = 10.0 * (strength * strength / 2.0 / noise.max(1e-9)).log10();
            assert!(
                (strength - 0.4).abs() < 0.05 && snr > if hz < 4000.0 { 25.0 } else { 12.0 },
                "{hz} Hz: {strength}, {snr} dB"
            );
        }
    }

    /// ffmpeg's decoder is an independent implementation that was checked with the Recommendation's vectors.
    #[test]
    fn decoding_is_bit_exact_with_ffmpeg() {
        let code = encode(&sound());
        let Some(theirs) = ffmpeg("g722", "s16le", &code) else { return };
        let mut decoder = Decoder::default();
        let ours: Vec<u8> =
            code.iter().flat_map(|&octet| decoder.samples(octet)).flat_map(i16::to_le_bytes).collect();
        let common = ours.len().min(theirs.len());
        assert!(common >= ours.len() - 64, "ffmpeg gave {} of {} bytes", theirs.len(), ours.len());
        let differs = (0..common).find(|&i| ours[i] != theirs[i]);
        assert_eq!(differs, None, "first difference at byte");
    }

    #[test]
    fn encoding_is_bit_exact_with_ffmpeg() {
        let sound = sound();
        let bytes: Vec<u8> = sound.iter().flat_map(|s| s.to_le_bytes()).collect();
        let Some(theirs) = ffmpeg("s16le", "g722", &bytes) else { return };
        let ours = encode(&sound);
        let same = ours.iter().zip(&theirs).filter(|(a, b)| a == b).count();
        assert_eq!(same, ours.len().min(theirs.len()), "of {} and {}", ours.len(), theirs.len());
    }

    #[test]
    fn any_octets_decode() {
        let octets: Vec<u8> = (0..4096_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let mut out = Vec::new();
        Decoder::default().decode(&octets, &mut out).unwrap();
        assert_eq!(out.len(), 8192);
        assert_eq!(Decoder::default().decode(&[0; 5000], &mut out), Err(DecodeError::TooLong(5000)));
    }
}
