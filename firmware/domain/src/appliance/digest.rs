//! SHA-256 as text and bytes, over parts put together.

use sha2::{Digest, Sha256};
use std::fmt::Write;

/// The digest of `parts`, one after the other.
pub(super) fn sha256(parts: &[&str]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    parts.iter().for_each(|part| hasher.update(part.as_bytes()));
    hasher.finalize().into()
}

/// The digest of `bytes`.
pub(crate) fn sha256_of(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// As [`sha256`], in hexadecimal.
pub(super) fn sha256_hex(parts: &[&str]) -> String {
    hex(&sha256(parts))
}

/// Bytes in hexadecimal, lower case.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What [`hex`] wrote.
pub(super) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != N * 2 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[index * 2..index * 2 + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_fips_180() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_hex(&["a", "bc"]), abc);
        assert_eq!(unhex::<32>(abc), Some(sha256(&["abc"])));
        assert_eq!((unhex::<1>("0g"), unhex::<1>("+1"), unhex::<2>("00")), (None, None, None));
    }
}
