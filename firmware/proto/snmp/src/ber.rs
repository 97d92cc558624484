//! BER as SNMP uses it (RFC 3417 8): definite lengths, primitive strings.

/// ASN.1 and SMI tags (ITU-T X.690 8.1.2, RFC 2578 7.1, RFC 3416 3).
pub(crate) mod tag {
    pub(crate) const INTEGER: u8 = 0x02;
    pub(crate) const OCTETS: u8 = 0x04;
    pub(crate) const OID: u8 = 0x06;
    pub(crate) const SEQUENCE: u8 = 0x30;
    pub(crate) const UNSIGNED: u8 = 0x42;
    pub(crate) const TIME_TICKS: u8 = 0x43;
    pub(crate) const TRAP: u8 = 0xa7;
}

/// `content` under `tag`.
pub(crate) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 6);
    out.push(tag);
    length(content.len(), &mut out);
    out.extend_from_slice(content);
    out
}

/// Several elements as one sequence.
pub(crate) fn sequence(tag: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    element(tag, &parts.concat())
}

/// A signed number in as few octets as hold it (ITU-T X.690 8.3).
pub(crate) fn integer(value: i64) -> Vec<u8> {
    signed(tag::INTEGER, value)
}

/// An unsigned number under one of SMI's tags.
pub(crate) fn unsigned(tag: u8, value: u32) -> Vec<u8> {
    signed(tag, i64::from(value))
}

/// A string of octets.
pub(crate) fn octets(value: &[u8]) -> Vec<u8> {
    element(tag::OCTETS, value)
}

fn signed(tag: u8, value: i64) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    // An octet may go if the next one still shows the sign.
    let spare = |at: usize| matches!((bytes[at], bytes[at + 1] >> 7), (0x00, 0) | (0xff, 1));
    let from = (0..bytes.len() - 1).find(|at| !spare(*at)).unwrap_or(bytes.len() - 1);
    element(tag, &bytes[from..])
}

/// ITU-T X.690 8.1.3: short form below 128, else how many octets and they.
fn length(length: usize, out: &mut Vec<u8>) {
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let bytes = length.to_be_bytes();
            let from = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len() - 1);
            let count = u8::try_from(bytes.len() - from).unwrap_or_default();
            out.push(0x80 | count);
            out.extend_from_slice(&bytes[from..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_as_short_as_they_can_be_and_keep_their_sign() {
        for (value, bytes) in [
            (0, &[2, 1, 0][..]),
            (127, &[2, 1, 0x7f]),
            (128, &[2, 2, 0, 0x80]),
            (256, &[2, 2, 1, 0]),
            (-1, &[2, 1, 0xff]),
            (-128, &[2, 1, 0x80]),
            (-129, &[2, 2, 0xff, 0x7f]),
        ] {
            assert_eq!(integer(value), bytes, "{value}");
        }
        assert_eq!(unsigned(tag::TIME_TICKS, u32::MAX), [0x43, 5, 0, 0xff, 0xff, 0xff, 0xff]);
    }

    #[test]
    fn lengths_are_short_below_128_and_long_from_there() {
        assert_eq!(octets(&[7; 127])[..2], [4, 127]);
        assert_eq!(octets(&[7; 128])[..3], [4, 0x81, 128]);
        assert_eq!(octets(&[7; 256])[..4], [4, 0x82, 1, 0]);
    }

    proptest! {
        #[test]
        fn a_number_reads_back(value: i64) {
            let bytes = integer(value);
            let sign = if bytes[2] & 0x80 == 0 { 0 } else { -1 };
            let read = bytes[2..].iter().fold(sign, |read: i64, byte| read << 8 | i64::from(*byte));
            prop_assert_eq!(read, value);
            prop_assert_eq!(usize::from(bytes[1]), bytes.len() - 2);
        }
    }
}
