//! H.264 (ITU-T H.264) by OpenH264, through its C interface.
//!
//! The `openh264` crate's decoder throws concealed pictures away and its encoder has no runtime bit rate, so both are
//! done here over the raw interface.

mod decoder;
mod encoder;
mod sps;

pub use decoder::Decoder;
pub use encoder::{Encoder, MIN_NAL_BYTES};

use std::ffi::{c_int, c_void};

/// Each NAL unit of an Annex B byte stream, start codes left out (H.264 annex B).
pub fn nal_units(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = after_start_code(stream);
    std::iter::from_fn(move || {
        let unit = rest?;
        let (end, next) = match find_start_code(unit) {
            Some(at) => (at, after_start_code(&unit[at..])),
            None => (unit.len(), None),
        };
        rest = next;
        // zeros before a start code belong to it (trailing_zero_8bits, or the first byte of a long one)
        let unit = &unit[..end];
        let len = unit.iter().rposition(|&b| b != 0).map_or(0, |last| last + 1);
        Some(&unit[..len])
    })
    .filter(|unit| !unit.is_empty())
}

fn find_start_code(bytes: &[u8]) -> Option<usize> {
    bytes.windows(3).position(|w| w == [0, 0, 1])
}

fn after_start_code(bytes: &[u8]) -> Option<&[u8]> {
    find_start_code(bytes).map(|at| &bytes[at + 3..])
}

/// `WELS_LOG_QUIET`: the library writes to stderr otherwise.
const QUIET: c_int = 0;

/// A pointer to an option's value, as `SetOption` wants it.
fn option<T>(value: &mut T) -> *mut c_void {
    std::ptr::from_mut(value).cast()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nal_units_are_found_behind_short_and_long_start_codes() {
        let stream = [0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x68, 3, 0, 0, 0, 1, 0x65, 0, 0, 3, 9, 0];
        let units: Vec<&[u8]> = nal_units(&stream).collect();
        assert_eq!(units, [&[0x67, 1, 2][..], &[0x68, 3], &[0x65, 0, 0, 3, 9]]);
        assert_eq!(nal_units(&[1, 2, 3]).count(), 0);
        assert_eq!(nal_units(&[0, 0, 1]).count(), 0);
        assert_eq!(nal_units(&[0, 0, 1, 0, 0, 1, 5]).count(), 1);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn openh264_was_built_with_its_assembly() {
        unsafe extern "C" {
            /// Only `cpuid.asm` defines it, so this test does not even link without nasm.
            fn WelsCPUIdVerify() -> c_int;
            /// Nor without nasm's `-DHAVE_AVX2`.
            fn WelsQuantFour4x4Max_avx2();
        }
        // keeps the library linked
        let _decoder = Decoder::new().unwrap();
        // SAFETY: takes nothing and reads the processor's flags.
        assert_ne!(unsafe { WelsCPUIdVerify() }, 0);
        // Known not to be null, so that it would be left out.
        assert!(!std::hint::black_box(WelsQuantFour4x4Max_avx2 as *const ()).is_null());
    }
}
