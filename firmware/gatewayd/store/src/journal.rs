//! The changes since a snapshot, one record each, in one file that only grows.
//!
//! ```text
//!  "GANTRYJ1" base:u64 crc:u32    then for each change    length:u32 crc:u32 (revision:u64 edits)[length]
//!  an edit: 0 key:u32+bytes  or  1 key:u32+bytes body:u32+bytes
//! ```
//! Numbers are big-endian. Each CRC-32 goes on from the one before it, the first from that of the head: what an older journal left
//! further on in the file can't be taken for a record, nor can one whose predecessor is damaged.

use crate::document::{Edit, Expected, Key, MAX_CHANGE, Revision};
use crate::snapshot::{Reader, put_bytes};

const MAGIC: &[u8; 8] = b"GANTRYJ1";
const HEAD: usize = 8 + 8 + 4;
/// Of a record: its length and its checksum.
const RECORD_HEAD: usize = 4 + 4;
/// Most bytes of a journal that are read.
pub(crate) const MAX_BYTES: u64 = 8 * MAX_CHANGE as u64;

/// Where a journal goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tail {
    /// Its length in bytes.
    pub(crate) length: u64,
    crc: u32,
}

/// A journal that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Journal {
    /// The snapshot's change that the first record follows.
    pub(crate) base: Revision,
    /// The records that are whole, one after the other.
    pub(crate) records: Vec<(Revision, Vec<Edit>)>,
    pub(crate) tail: Tail,
    /// Bytes behind the last record that are none.
    pub(crate) torn: usize,
}

fn crc(before: u32, parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(before);
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}

/// A new journal's head, and where it goes on.
pub(crate) fn begin(base: Revision) -> (Vec<u8>, Tail) {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(base.0.to_be_bytes());
    let crc = crc(0, &[&bytes]);
    bytes.extend(crc.to_be_bytes());
    let length = bytes.len() as u64;
    (bytes, Tail { length, crc })
}

/// The record of a change, and where the journal goes on after it.
pub(crate) fn record(tail: Tail, revision: Revision, edits: &[Edit]) -> (Vec<u8>, Tail) {
    let mut payload = revision.0.to_be_bytes().to_vec();
    for Edit { key, body, .. } in edits {
        payload.push(u8::from(body.is_some()));
        put_bytes(&mut payload, key.as_str().as_bytes());
        if let Some(body) = body {
            put_bytes(&mut payload, body);
        }
    }
    // One change is far below 4 GiB (`document::admit`).
    let count = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    let crc = crc(tail.crc, &[&count, &payload]);
    let bytes = [count.as_slice(), &crc.to_be_bytes(), &payload].concat();
    let length = tail.length + bytes.len() as u64;
    (bytes, Tail { length, crc })
}

/// What `bytes` say; `None` if not even the head is whole.
pub(crate) fn read(bytes: &[u8]) -> Option<Journal> {
    let mut reader = Reader(bytes);
    if reader.take(MAGIC.len())? != MAGIC {
        return None;
    }
    let base = Revision(reader.u64()?);
    let sum = reader.u32()?;
    if sum != crc(0, &[&bytes[..HEAD - 4]]) {
        return None;
    }
    let mut tail = Tail { length: HEAD as u64, crc: sum };
    let mut records = Vec::new();
    let mut last = base;
    while let Some((revision, edits, next)) = read_record(&mut reader, tail) {
        if revision.0 != last.0 + 1 {
            break;
        }
        (last, tail) = (revision, next);
        records.push((revision, edits));
    }
    let torn = bytes.len() - usize::try_from(tail.length).unwrap_or(bytes.len()).min(bytes.len());
    Some(Journal { base, records, tail, torn })
}

fn read_record(reader: &mut Reader<'_>, tail: Tail) -> Option<(Revision, Vec<Edit>, Tail)> {
    let length = reader.take(4)?;
    let sum = reader.u32()?;
    let count = usize::try_from(u32::from_be_bytes(length.try_into().ok()?)).ok()?;
    let payload = reader.take(count)?;
    if sum != crc(tail.crc, &[length, payload]) {
        return None;
    }
    let mut fields = Reader(payload);
    let revision = Revision(fields.u64()?);
    let mut edits = Vec::new();
    while !fields.0.is_empty() {
        let with_body = fields.u8()? == 1;
        let key = Key::read(fields.bytes()?)?;
        let body = if with_body { Some(fields.bytes()?.into()) } else { None };
        edits.push(Edit { key, expected: Expected::Anything, body });
    }
    let length = tail.length + (RECORD_HEAD + count) as u64;
    Some((revision, edits, Tail { length, crc: sum }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn edits(body: &str) -> Vec<Edit> {
        let key = |id: &str| Key::new("rules", id).unwrap();
        vec![
            Edit::put(key("guests"), Expected::Anything, body.as_bytes()),
            Edit::remove(key("a/b"), Expected::Anything),
        ]
    }

    fn journal(base: u64, bodies: &[&str]) -> Vec<u8> {
        let (mut bytes, mut tail) = begin(Revision(base));
        for (revision, body) in (base + 1..).zip(bodies) {
            let (record, next) = record(tail, Revision(revision), &edits(body));
            bytes.extend(record);
            tail = next;
        }
        bytes
    }

    #[test]
    fn what_was_written_is_read_and_goes_on_at_its_end() {
        let bytes = journal(4, &["{}", "", "longer"]);
        let read = read(&bytes).unwrap();
        assert_eq!((read.base, read.torn, read.tail.length), (Revision(4), 0, bytes.len() as u64));
        assert_eq!(read.records.len(), 3);
        assert_eq!(read.records[2], (Revision(7), edits("longer")));
    }

    #[test]
    fn a_record_that_is_cut_short_is_not_there_and_those_before_it_are() {
        let whole = journal(0, &["one", "two"]);
        let first = journal(0, &["one"]).len();
        for length in first..whole.len() {
            let cut = read(&whole[..length]).unwrap();
            assert_eq!((cut.records.len(), cut.torn), (1, length - first), "of {length} bytes");
        }
    }

    #[test]
    fn records_of_an_older_journal_behind_the_end_are_none_of_it() {
        let older = journal(0, &["one", "two", "six"]);
        let mut bytes = journal(0, &["uno"]);
        bytes.extend(&older[bytes.len()..]);
        assert_eq!(read(&bytes).unwrap().records.len(), 1);
    }

    proptest! {
        #[test]
        fn whatever_one_byte_becomes_nothing_behind_it_is_believed(
            at in any::<proptest::sample::Index>(), with in 1..=255u8,
        ) {
            let whole = journal(0, &["one", "two", "three"]);
            let untouched = read(&whole).unwrap().records;
            let mut bytes = whole.clone();
            let at = at.index(bytes.len());
            bytes[at] ^= with;
            let records = read(&bytes).map(|journal| journal.records).unwrap_or_default();
            let before = read(&whole[..at.max(HEAD)]).map(|journal| journal.records).unwrap_or_default();
            prop_assert!(records.len() <= before.len());
            prop_assert_eq!(&untouched[..records.len()], &records[..]);
        }

        #[test]
        fn anything_at_all_is_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes);
            let _ = read(&[begin(Revision(1)).0, bytes].concat());
        }
    }
}
