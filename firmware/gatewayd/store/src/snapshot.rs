//! All documents at one moment, in one file with a checksum.
//!
//! ```text
//!  "GANTRYS1" schema:u32 revision:u64 length:u64 sha256[32]   what follows: for each document
//!                                                             key:u32+bytes revision:u64 body:u32+bytes
//! ```
//! Numbers are big-endian. The digest is over everything else in the file.

use crate::document::{Document, Documents, Key, MAX_TOTAL, Revision};
use sha2::{Digest, Sha256};

const MAGIC: &[u8; 8] = b"GANTRYS1";
const HEAD: usize = 8 + 4 + 8 + 8 + 32;
/// Most bytes of a snapshot that are read. A document costs at most 16 bytes besides key and body.
pub(crate) const MAX_BYTES: u64 = 4 * MAX_TOTAL as u64;

/// A snapshot that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) schema: u32,
    pub(crate) revision: Revision,
    pub(crate) documents: Documents,
}

/// The digest of a snapshot with this head and these documents.
fn digest(head: &[u8], body: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(head).chain_update(body).finalize().into()
}

/// `documents` as they are written.
pub(crate) fn write(schema: u32, revision: Revision, documents: &Documents) -> Vec<u8> {
    let mut body = Vec::new();
    for (key, document) in documents {
        put_bytes(&mut body, key.as_str().as_bytes());
        body.extend(document.revision.0.to_be_bytes());
        put_bytes(&mut body, &document.body);
    }
    let mut bytes = Vec::with_capacity(HEAD + body.len());
    bytes.extend(MAGIC);
    bytes.extend(schema.to_be_bytes());
    bytes.extend(revision.0.to_be_bytes());
    bytes.extend((body.len() as u64).to_be_bytes());
    let digest = digest(&bytes, &body);
    bytes.extend(digest);
    bytes.extend(body);
    bytes
}

/// What `bytes` say; `None` if they are not whole.
pub(crate) fn read(bytes: &[u8]) -> Option<Snapshot> {
    let mut reader = Reader(bytes);
    if reader.take(MAGIC.len())? != MAGIC {
        return None;
    }
    let (schema, revision) = (reader.u32()?, Revision(reader.u64()?));
    let length = usize::try_from(reader.u64()?).ok()?;
    let head = &bytes[..HEAD - 32];
    let sum = reader.take(32)?;
    let body = reader.take(length)?;
    if sum != digest(head, body) {
        return None;
    }
    let mut reader = Reader(body);
    let mut documents = Documents::new();
    while !reader.0.is_empty() {
        let key = Key::read(reader.bytes()?)?;
        let revision = Revision(reader.u64()?);
        documents.insert(key, Document { revision, body: reader.bytes()?.into() });
    }
    Some(Snapshot { schema, revision, documents })
}

/// Writes a length and that many bytes.
pub(crate) fn put_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    // Keys and bodies are far below 4 GiB (`document::admit`).
    to.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    to.extend(bytes);
}

/// What is left to be read.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_be_bytes)
    }

    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let count = usize::try_from(self.u32()?).ok()?;
        self.take(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn documents(bodies: &[&str]) -> Documents {
        let document = |body: &str| Document { revision: Revision(7), body: body.as_bytes().into() };
        let key = |index: usize| Key::new("rules", &format!("rule {index}")).unwrap();
        bodies.iter().enumerate().map(|(index, body)| (key(index), document(body))).collect()
    }

    #[test]
    fn what_was_written_is_read() {
        for documents in [documents(&[]), documents(&["{}", "", "a longer body"])] {
            let bytes = write(3, Revision(9), &documents);
            assert_eq!(read(&bytes), Some(Snapshot { schema: 3, revision: Revision(9), documents }));
        }
    }

    #[test]
    fn bytes_after_its_end_are_not_its_own() {
        let mut bytes = write(1, Revision(2), &documents(&["{}"]));
        let whole = read(&bytes);
        bytes.extend(b"what an older and longer snapshot left");
        assert_eq!(read(&bytes), whole);
    }

    proptest! {
        #[test]
        fn whatever_one_byte_becomes_it_is_seen(at in any::<proptest::sample::Index>(), with in 1..=255u8) {
            let mut bytes = write(1, Revision(2), &documents(&["{\"name\":\"guests\"}", "x"]));
            let at = at.index(bytes.len());
            bytes[at] ^= with;
            prop_assert_eq!(read(&bytes), None);
        }

        #[test]
        fn anything_at_all_is_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes);
            let _ = read(&[MAGIC.as_slice(), &bytes].concat());
        }
    }
}
