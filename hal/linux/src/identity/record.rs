//! The identity record in an EEPROM: our own layout, with a CRC.
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 8 | `GANTRYID` |
//! | 8 | 1 | version, 1 |
//! | 9 | 1 | zero |
//! | 10 | 2 | bytes of fields, little-endian |
//! | 12 | | fields: a tag, a length, that many bytes |
//! | after them | 4 | CRC-32 (IEEE 802.3) of all before, little-endian |
//!
//! Tags: 1 serial number, 2 board, 3 asset tag (printable ASCII), 4 address of a network card (6 bytes; one field each, in
//! order), 5 digest of the claim code (32 bytes). A tag that is not known is passed over, so that a later version may add some.

use crate::ebg::crc32;
use base::Secret;
use hal::Label;
use hal::identity::{CLAIM_DIGEST_BYTES, Claim, Identified, Mac, NICS};

/// Most bytes of a record; the smallest EEPROM on a board, a 24C02, holds as many.
pub const RECORD_BYTES: usize = 256;

const MAGIC: &[u8; 8] = b"GANTRYID";
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 12;
const CRC_BYTES: usize = 4;

const SERIAL: u8 = 1;
const BOARD: u8 = 2;
const ASSET_TAG: u8 = 3;
const MAC: u8 = 4;
const CLAIM: u8 = 5;

/// What an EEPROM holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contents {
    /// It was never written.
    Blank,
    /// A whole record.
    Record(Box<Identified>),
}

/// Why what an EEPROM holds is no record, or no record can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It begins with something else.
    #[error("it does not begin with GANTRYID")]
    Magic,
    /// It is of a version that is not known here.
    #[error("its version is {0}, and only 1 is known")]
    Version(u8),
    /// It is longer than the EEPROM.
    #[error("it says that it has {0} bytes of fields, which is more than there are")]
    Length(usize),
    /// Its CRC is wrong.
    #[error("its checksum is wrong")]
    Crc,
    /// A field ends beyond the record, or cannot be what it says it is.
    #[error("its field at byte {0} cannot be true")]
    Field(usize),
    /// It would not fit.
    #[error(
        "it would have {0} bytes and may have {RECORD_BYTES}; shorten the asset tag, or leave addresses out"
    )]
    TooLong(usize),
}

/// Reads what an EEPROM holds. All ones, or all zeroes, is one that was never written.
///
/// # Errors
/// What is wrong with it.
pub fn read_record(bytes: &[u8]) -> Result<Contents, RecordError> {
    let start = bytes.get(..HEADER_BYTES).ok_or(RecordError::Length(0))?;
    if [0x00, 0xff].iter().any(|blank| start.iter().all(|byte| byte == blank)) {
        return Ok(Contents::Blank);
    }
    if !start.starts_with(MAGIC) {
        return Err(RecordError::Magic);
    }
    if start[8] != VERSION {
        return Err(RecordError::Version(start[8]));
    }
    let length = usize::from(u16::from_le_bytes([start[10], start[11]]));
    let end = HEADER_BYTES + length;
    let record = bytes.get(..end + CRC_BYTES).ok_or(RecordError::Length(length))?;
    let (record, crc) = record.split_at(end);
    if crc != crc32(record).to_le_bytes() {
        return Err(RecordError::Crc);
    }
    fields(record).map(|who| Contents::Record(Box::new(who)))
}

fn fields(record: &[u8]) -> Result<Identified, RecordError> {
    let mut who = Identified::default();
    let mut at = HEADER_BYTES;
    while at < record.len() {
        let wrong = RecordError::Field(at);
        let [tag, length] = *record.get(at..at + 2).and_then(|head| head.as_array()).ok_or(wrong)?;
        let value = record.get(at + 2..at + 2 + usize::from(length)).ok_or(wrong)?;
        let text = || std::str::from_utf8(value).ok().and_then(Label::sanitised).ok_or(wrong);
        match tag {
            SERIAL => who.serial = Some(text()?),
            BOARD => who.board = Some(text()?),
            ASSET_TAG => who.asset_tag = Some(text()?),
            MAC if who.macs.len() == NICS => return Err(wrong),
            MAC => who.macs.push(value.try_into().ok().and_then(Mac::new).ok_or(wrong)?),
            CLAIM => {
                let digest: [u8; CLAIM_DIGEST_BYTES] = value.try_into().map_err(|_| wrong)?;
                who.claim = Claim::Present(Secret::new(digest));
            }
            _ => {}
        }
        at += 2 + value.len();
    }
    Ok(who)
}

/// The record that says `who` the box is.
///
/// # Errors
/// If it would not fit.
pub fn write_record(who: &Identified) -> Result<Vec<u8>, RecordError> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend([VERSION, 0, 0, 0]);
    let mut field = |tag: u8, value: &[u8]| {
        // A label has at most 64 characters, and the rest less.
        bytes.extend([tag, u8::try_from(value.len()).unwrap_or(u8::MAX)]);
        bytes.extend(value);
    };
    let texts = [(SERIAL, &who.serial), (BOARD, &who.board), (ASSET_TAG, &who.asset_tag)];
    for (tag, text) in texts {
        if let Some(text) = text {
            field(tag, text.as_str().as_bytes());
        }
    }
    for mac in who.macs.iter().take(NICS) {
        field(MAC, &mac.bytes());
    }
    if let Claim::Present(digest) = &who.claim {
        field(CLAIM, digest.expose());
    }
    let length = bytes.len() - HEADER_BYTES;
    bytes[10..12].copy_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes());
    let crc = crc32(&bytes);
    bytes.extend(crc.to_le_bytes());
    if bytes.len() > RECORD_BYTES { Err(RecordError::TooLong(bytes.len())) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn who() -> Identified {
        Identified {
            serial: Label::sanitised("GW-0042"),
            board: Label::sanitised("x86-rack"),
            asset_tag: Label::sanitised("room 7"),
            macs: vec![Mac::parse("52:54:00:00:00:01").unwrap(), Mac::parse("52:54:00:00:00:02").unwrap()],
            claim: Claim::Present(Secret::new([0xc1; CLAIM_DIGEST_BYTES])),
        }
    }

    fn read(bytes: &[u8]) -> Result<Identified, RecordError> {
        match read_record(bytes)? {
            Contents::Record(who) => Ok(*who),
            Contents::Blank => Ok(Identified::default()),
        }
    }

    /// `bytes` with its CRC made right.
    fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
        let end = bytes.len() - CRC_BYTES;
        let crc = crc32(&bytes[..end]);
        bytes[end..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    #[test]
    fn what_is_written_is_read_with_whatever_stands_behind_it() {
        let mut bytes = write_record(&who()).unwrap();
        assert_eq!(read(&bytes), Ok(who()));
        bytes.resize(RECORD_BYTES, 0xff);
        assert_eq!(read(&bytes), Ok(who()));
    }

    #[test]
    fn the_layout_is_the_one_that_is_written_down() {
        let who = Identified { serial: Label::sanitised("S1"), ..Identified::default() };
        let bytes = write_record(&who).unwrap();
        assert_eq!(&bytes[..16], b"GANTRYID\x01\0\x04\0\x01\x02S1");
        assert_eq!(bytes[16..], crc32(&bytes[..16]).to_le_bytes());
    }

    #[test]
    fn a_blank_one_is_not_damaged() {
        assert_eq!(read_record(&[0xff; 256]), Ok(Contents::Blank));
        assert_eq!(read_record(&[0; 256]), Ok(Contents::Blank));
    }

    #[test]
    fn each_thing_that_may_be_wrong_is_named() {
        let good = write_record(&who()).unwrap();
        let with = |at: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[at] = value;
            bytes
        };
        assert_eq!(read(&with(0, b'X')), Err(RecordError::Magic));
        assert_eq!(read(&with(8, 2)), Err(RecordError::Version(2)));
        assert_eq!(read(&with(11, 9)), Err(RecordError::Length(9 * 256 + usize::from(good[10]))));
        assert_eq!(read(&with(20, b'!')), Err(RecordError::Crc));
        assert_eq!(read(&good[..8]), Err(RecordError::Length(0)));
        assert_eq!(read(&sealed(with(13, 255))), Err(RecordError::Field(12)));
        assert_eq!(read(&sealed(with(14, 0xff))), Err(RecordError::Field(12)), "no text");
        let long = Identified {
            asset_tag: Label::sanitised(&"x".repeat(64)),
            board: Label::sanitised(&"y".repeat(64)),
            serial: Label::sanitised(&"z".repeat(64)),
            ..who()
        };
        assert_eq!(write_record(&long), Err(RecordError::TooLong(264)));
    }

    #[test]
    fn a_tag_of_a_later_version_is_passed_over() {
        let mut bytes = write_record(&who()).unwrap();
        let end = bytes.len() - CRC_BYTES;
        bytes.splice(end..end, [200, 3, 1, 2, 3]);
        bytes[10] += 5;
        assert_eq!(read(&sealed(bytes)), Ok(who()));
    }

    proptest! {
        #[test]
        fn hostile_bytes_do_no_harm(mut bytes in prop::collection::vec(any::<u8>(), 0..300), length in 0u16..300) {
            let _ = read_record(&bytes);
            if bytes.len() >= HEADER_BYTES + CRC_BYTES {
                bytes[..9].copy_from_slice(b"GANTRYID\x01");
                let length = usize::from(length).min(bytes.len() - HEADER_BYTES - CRC_BYTES);
                bytes[10..12].copy_from_slice(&u16::try_from(length).unwrap().to_le_bytes());
                bytes.truncate(HEADER_BYTES + length + CRC_BYTES);
                if let Ok(who) = read(&sealed(bytes)) {
                    prop_assert!(who.macs.len() <= NICS);
                    let again = write_record(&who).map(|bytes| read(&bytes));
                    prop_assert!(again.is_err() || again == Ok(Ok(who)), "it can be written as it was read");
                }
            }
        }

        #[test]
        fn a_bit_that_flipped_is_noticed(at in 0usize..100, bit in 0u8..8) {
            let mut bytes = write_record(&who()).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            // The ninth header byte is kept for later and covered by the CRC as all others are.
            prop_assert!(read_record(&bytes).is_err());
        }
    }
}
