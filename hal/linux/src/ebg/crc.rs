//! CRC-32 as zlib and UEFI have it (IEEE 802.3, reflected, 0xedb88320), and how to keep one as it was.
//!
//! A CRC is linear: whatever changes in a record, four bytes elsewhere in it can be chosen so that the CRC at its end
//! stays the same. A change and its four bytes may stand in one sector, and a disk writes a sector whole or not at all.

const POLYNOMIAL: u32 = 0xedb8_8320;

/// The CRC of one byte, by its value.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// Which byte's CRC has this highest byte: no two share it.
const BYTE_OF: [u8; 256] = {
    let mut byte_of = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        byte_of[(TABLE[byte] >> 24) as usize] = byte as u8;
        byte += 1;
    }
    byte_of
};

/// The CRC of `bytes`.
#[must_use]
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    !forward(!0, bytes)
}

/// Chooses the four bytes of `record` at `at` so that the CRC of the whole becomes `wanted`.
///
/// # Panics
/// If there are no four bytes at `at`.
pub(super) fn force(record: &mut [u8], at: usize, wanted: u32) {
    let before = forward(!0, &record[..at]);
    let after = backward(!wanted, &record[at + 4..]);
    // Four bytes take the register from `before` to `after`; they are what would take it back to all zeroes, against `before`.
    let patch = backward(after, &[0; 4]) ^ before;
    record[at..at + 4].copy_from_slice(&patch.to_le_bytes());
}

/// The register after `bytes`.
fn forward(register: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(register, |crc, byte| (crc >> 8) ^ TABLE[usize::from(crc.to_le_bytes()[0] ^ byte)])
}

/// The register before `bytes`, when it is `register` after them.
fn backward(register: u32, bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(register, |crc, byte| {
        let index = BYTE_OF[usize::from(crc.to_be_bytes()[0])];
        ((crc ^ TABLE[usize::from(index)]) << 8) | u32::from(index ^ byte)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_check_value_is_the_standards() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn the_highest_byte_of_an_entry_names_it() {
        let mut seen: Vec<_> = TABLE.iter().map(|entry| entry >> 24).collect();
        seen.sort_unstable();
        assert!(seen.iter().copied().eq(0..256));
    }

    proptest! {
        #[test]
        fn any_crc_can_be_had_by_four_bytes_anywhere(
            mut record in prop::collection::vec(any::<u8>(), 4..300), wanted in any::<u32>(), at in any::<prop::sample::Index>(),
        ) {
            let before = record.clone();
            let at = at.index(record.len() - 3);
            force(&mut record, at, wanted);
            prop_assert_eq!(crc32(&record), wanted);
            prop_assert_eq!(&record[..at], &before[..at]);
            prop_assert_eq!(&record[at + 4..], &before[at + 4..]);
        }
    }
}
