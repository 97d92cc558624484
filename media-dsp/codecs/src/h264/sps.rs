//! A picture's size from a sequence parameter set (H.264 7.3.2.1.1), read before the decoder allocates for it.

/// Bits of an RBSP with the emulation prevention bytes taken out (H.264 7.4.1). Reading past the end gives `None`.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    bit: u8,
    zeros: u8,
}

impl<'a> Bits<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, bit: 0, zeros: 0 }
    }

    fn bit(&mut self) -> Option<u32> {
        if self.bit == 0 && self.zeros >= 2 && self.bytes.get(self.at) == Some(&3) {
            self.at += 1;
            self.zeros = 0;
        }
        let byte = *self.bytes.get(self.at)?;
        let value = byte >> (7 - self.bit) & 1;
        self.bit += 1;
        if self.bit == 8 {
            self.bit = 0;
            self.at += 1;
            self.zeros = if byte == 0 { self.zeros + 1 } else { 0 };
        }
        Some(u32::from(value))
    }

    fn bits(&mut self, n: u32) -> Option<u32> {
        (0..n).try_fold(0_u32, |value, _| Some(value << 1 | self.bit()?))
    }

    /// ue(v) (H.264 9.1).
    fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.bit()? == 0 {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        Some(((1_u64 << zeros) - 1 + u64::from(self.bits(zeros)?)) as u32)
    }

    /// se(v) (H.264 9.1.1).
    fn se(&mut self) -> Option<i64> {
        let k = i64::from(self.ue()?);
        Some(if k % 2 == 0 { -k / 2 } else { (k + 1) / 2 })
    }
}

/// Coded width and height in pixels of an SPS, given without its NAL header; `None` if it ends early.
pub(super) fn coded_size(sps: &[u8]) -> Option<(u64, u64)> {
    let mut bits = Bits::new(sps);
    let profile = bits.bits(8)?;
    bits.bits(16)?;
    bits.ue()?;
    if matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135) {
        skip_high_profile(&mut bits)?;
    }
    bits.ue()?;
    match bits.ue()? {
        0 => drop(bits.ue()?),
        1 => skip_order_count(&mut bits)?,
        _ => {}
    }
    bits.ue()?;
    bits.bit()?;
    let width = u64::from(bits.ue()?) + 1;
    let height = u64::from(bits.ue()?) + 1;
    let frames_only = u64::from(bits.bit()?);
    Some((width * 16, height * 16 * (2 - frames_only)))
}

fn skip_high_profile(bits: &mut Bits<'_>) -> Option<()> {
    let chroma = bits.ue()?;
    if chroma == 3 {
        bits.bit()?;
    }
    bits.ue()?;
    bits.ue()?;
    bits.bit()?;
    if bits.bit()? == 1 {
        for list in 0..if chroma == 3 { 12 } else { 8 } {
            if bits.bit()? == 1 {
                skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
            }
        }
    }
    Some(())
}

/// H.264 7.3.2.1.1.1.
fn skip_scaling_list(bits: &mut Bits<'_>, size: usize) -> Option<()> {
    let (mut last, mut next) = (8_i64, 8_i64);
    for _ in 0..size {
        if next != 0 {
            next = (last + bits.se()? + 256).rem_euclid(256);
        }
        last = if next == 0 { last } else { next };
    }
    Some(())
}

fn skip_order_count(bits: &mut Bits<'_>) -> Option<()> {
    bits.bit()?;
    bits.se()?;
    bits.se()?;
    for _ in 0..bits.ue()?.min(255) {
        bits.se()?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_size_is_read_from_parameter_sets_of_real_encoders() {
        // x264 baseline 1280x720, x264 high 1920x1080 (coded as 1088 lines)
        let baseline = [0x42, 0xc0, 0x1f, 0xd9, 0x00, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00];
        let high = [0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x02, 0x27, 0xe5, 0x84, 0x00];
        assert_eq!(coded_size(&baseline), Some((1280, 720)));
        assert_eq!(coded_size(&high), Some((1920, 1088)));
        assert_eq!(coded_size(&[]), None);
    }

    proptest! {
        #[test]
        fn no_parameter_set_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = coded_size(&bytes);
        }
    }
}
