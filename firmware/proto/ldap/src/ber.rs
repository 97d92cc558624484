//! BER as LDAP uses it (RFC 4511 5.1, X.690): definite lengths, tags of one octet, strings in one piece.

use thiserror::Error;

/// A tag's octet: class, form and a number below 31.
pub type Tag = u8;

/// BOOLEAN.
pub const BOOLEAN: Tag = 0x01;
/// INTEGER.
pub const INTEGER: Tag = 0x02;
/// OCTET STRING.
pub const OCTETS: Tag = 0x04;
/// ENUMERATED.
pub const ENUMERATED: Tag = 0x0a;
/// SEQUENCE.
pub const SEQUENCE: Tag = 0x30;
/// SET.
pub const SET: Tag = 0x31;

/// Most octets of a length that are read: enough for 4 GiB, and every frame is far below.
const LENGTH_OCTETS: usize = 4;

/// The bytes are not what their place in LDAP asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// A tag and a length, before all of the contents is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What follows.
    pub tag: Tag,
    /// Octets of the header itself.
    pub octets: usize,
    /// Octets of the contents.
    pub contents: usize,
}

/// Reads a header; `None` while some of it is still to come.
///
/// # Errors
/// [`Malformed`] for a tag of several octets, an indefinite length or one of more than four octets.
pub fn header(data: &[u8]) -> Result<Option<Header>, Malformed> {
    let (Some(tag), Some(length)) = (data.first().copied(), data.get(1).copied()) else { return Ok(None) };
    if tag & 0x1f == 0x1f {
        return Err(Malformed("a tag of several octets"));
    }
    if length < 0x80 {
        return Ok(Some(Header { tag, octets: 2, contents: usize::from(length) }));
    }
    let count = usize::from(length & 0x7f);
    if count == 0 || count > LENGTH_OCTETS {
        return Err(Malformed("a length that is indefinite or of more than four octets"));
    }
    let Some(octets) = data.get(2..2 + count) else { return Ok(None) };
    let contents = octets.iter().fold(0, |length, octet| length << 8 | usize::from(*octet));
    Ok(Some(Header { tag, octets: 2 + count, contents }))
}

/// Reads elements one after the other.
#[derive(Debug, Clone)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads `data`.
    #[must_use]
    pub const fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    /// Whether nothing is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next element's tag.
    #[must_use]
    pub fn peek(&self) -> Option<Tag> {
        self.0.first().copied()
    }

    /// The next element, whatever it is.
    ///
    /// # Errors
    /// [`Malformed`] if there is none, or not all of it.
    pub fn any(&mut self) -> Result<(Tag, &'a [u8]), Malformed> {
        let Header { tag, octets, contents } = header(self.0)?.ok_or(Malformed("an element is cut off"))?;
        let end = octets.checked_add(contents).filter(|end| *end <= self.0.len());
        let (element, rest) = self.0.split_at(end.ok_or(Malformed("an element is longer than its place"))?);
        self.0 = rest;
        Ok((tag, &element[octets..]))
    }

    /// The contents of the next element, which must have this tag.
    ///
    /// # Errors
    /// [`Malformed`] if it has another, or there is none.
    pub fn take(&mut self, tag: Tag) -> Result<&'a [u8], Malformed> {
        match self.any()? {
            (found, contents) if found == tag => Ok(contents),
            _ => Err(Malformed("an element is of another type than its place asks for")),
        }
    }

    /// As [`take`](Self::take), if the next element has this tag.
    ///
    /// # Errors
    /// [`Malformed`] if not all of it is there.
    pub fn take_if(&mut self, tag: Tag) -> Result<Option<&'a [u8]>, Malformed> {
        if self.peek() == Some(tag) { self.take(tag).map(Some) } else { Ok(None) }
    }

    /// A constructed element's own elements.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub fn inner(&mut self, tag: Tag) -> Result<Reader<'a>, Malformed> {
        self.take(tag).map(Reader)
    }

    /// A string in UTF-8 (LDAPString, LDAPDN, LDAPOID).
    ///
    /// # Errors
    /// As [`take`](Self::take), or if it is not UTF-8.
    pub fn text(&mut self, tag: Tag) -> Result<&'a str, Malformed> {
        text(self.take(tag)?)
    }

    /// A whole number of at most 32 bits, INTEGER or ENUMERATED.
    ///
    /// # Errors
    /// As [`take`](Self::take), or if it is longer.
    pub fn integer(&mut self, tag: Tag) -> Result<i32, Malformed> {
        integer(self.take(tag)?)
    }

    /// True or false; any octet but 0 is true.
    ///
    /// # Errors
    /// As [`take`](Self::take), or if it has not one octet.
    pub fn boolean(&mut self, tag: Tag) -> Result<bool, Malformed> {
        match self.take(tag)? {
            [octet] => Ok(*octet != 0),
            _ => Err(Malformed("a BOOLEAN has one octet")),
        }
    }
}

/// A number's contents.
///
/// # Errors
/// [`Malformed`] if there are none, or more than 32 bits.
pub fn integer(octets: &[u8]) -> Result<i32, Malformed> {
    let first = octets.first().ok_or(Malformed("a number without octets"))?;
    if octets.len() > 4 {
        return Err(Malformed("a number of more than 32 bits"));
    }
    let sign = if first & 0x80 == 0 { 0 } else { -1 };
    Ok(octets.iter().fold(sign, |number, octet| number << 8 | i32::from(*octet)))
}

/// `octets` as UTF-8.
///
/// # Errors
/// [`Malformed`] if they are not.
pub fn text(octets: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(octets).map_err(|_| Malformed("a string is not UTF-8"))
}

/// Writes elements one after the other.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// What was written.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Octets written so far.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was written.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// An element of these contents.
    pub fn octets(&mut self, tag: Tag, contents: &[u8]) {
        self.0.push(tag);
        length(contents.len(), |octet| self.0.push(octet));
        self.0.extend_from_slice(contents);
    }

    /// A constructed element, of what `contents` writes.
    pub fn group(&mut self, tag: Tag, contents: impl FnOnce(&mut Self)) {
        self.0.push(tag);
        let start = self.0.len();
        contents(self);
        let mut octets = Vec::with_capacity(1 + LENGTH_OCTETS);
        length(self.0.len() - start, |octet| octets.push(octet));
        self.0.splice(start..start, octets);
    }

    /// A number, in as few octets as it fits.
    pub fn integer(&mut self, tag: Tag, number: i32) {
        let octets = number.to_be_bytes();
        let spare = |pair: &&[u8]| matches!((pair[0], pair[1] & 0x80), (0, 0) | (0xff, 0x80));
        let skip = octets.windows(2).take_while(spare).count();
        self.octets(tag, &octets[skip..]);
    }

    /// True or false (RFC 4511 5.1: true is FF).
    pub fn boolean(&mut self, tag: Tag, value: bool) {
        self.octets(tag, &[if value { 0xff } else { 0 }]);
    }
}

/// The octets of a length: one below 128, else their count and as many as it takes.
fn length(length: usize, mut write: impl FnMut(u8)) {
    let Ok(short @ 0..0x80) = u8::try_from(length) else {
        let octets = length.to_be_bytes();
        let zeros = octets.iter().take_while(|octet| **octet == 0).count();
        let octets = &octets[zeros..];
        // At most eight, so it fits beside the flag.
        write(0x80 | u8::try_from(octets.len()).unwrap_or(0));
        return octets.iter().copied().for_each(write);
    };
    write(short);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_take_as_few_octets_as_they_fit_in() {
        for (number, octets) in [
            (0, &[2, 1, 0][..]),
            (127, &[2, 1, 127]),
            (128, &[2, 2, 0, 128]),
            (-1, &[2, 1, 255]),
            (-128, &[2, 1, 128]),
            (-129, &[2, 2, 255, 127]),
            (i32::MAX, &[2, 4, 127, 255, 255, 255]),
        ] {
            let mut writer = Writer::default();
            writer.integer(INTEGER, number);
            assert_eq!(writer.into_bytes(), octets, "{number}");
        }
    }

    #[test]
    fn lengths_that_ldap_does_not_use_are_refused_before_anything_is_kept() {
        assert_eq!(header(&[0x30]), Ok(None));
        assert_eq!(header(&[0x30, 0x82, 1]), Ok(None));
        assert_eq!(header(&[0x30, 0x82, 1, 2]), Ok(Some(Header { tag: 0x30, octets: 4, contents: 258 })));
        assert!(header(&[0x30, 0x80]).is_err(), "indefinite");
        assert!(header(&[0x30, 0x85]).is_err(), "five octets");
        assert!(header(&[0x3f, 0x81]).is_err(), "a long tag");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(number: i32, flag: bool, data: Vec<u8>, times in 0usize..300) {
            let mut writer = Writer::default();
            writer.group(SEQUENCE, |w| {
                w.integer(ENUMERATED, number);
                w.boolean(BOOLEAN, flag);
                w.group(SET, |w| w.octets(OCTETS, &data.repeat(times)));
            });
            let bytes = writer.into_bytes();
            let mut outer = Reader::new(&bytes);
            let mut inner = outer.inner(SEQUENCE)?;
            prop_assert!(outer.is_empty());
            prop_assert_eq!(inner.integer(ENUMERATED)?, number);
            prop_assert_eq!(inner.boolean(BOOLEAN)?, flag);
            prop_assert_eq!(inner.inner(SET)?.take(OCTETS)?, data.repeat(times));
        }

        #[test]
        fn no_bytes_upset_the_reader(data: Vec<u8>) {
            let mut reader = Reader::new(&data);
            while reader.any().is_ok() {}
        }
    }
}
