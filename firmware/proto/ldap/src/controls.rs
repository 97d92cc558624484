//! Controls of a request (RFC 4511 4.1.11): which are known, and paged results (RFC 2696).

use crate::ber::{BOOLEAN, INTEGER, Malformed, OCTETS, Reader, SEQUENCE, Tag, Writer};

/// Controls in a message.
pub(crate) const CONTROLS: Tag = 0xa0;
/// Paged results (RFC 2696).
pub(crate) const PAGED: &str = "1.2.840.113556.1.4.319";
/// Referrals are told as entries (RFC 3296); there are none, so it changes nothing.
const MANAGE_DSA_IT: &str = "2.16.840.1.113730.3.4.2";
/// What the root DSE names.
pub(crate) const SUPPORTED: &[&str] = &[PAGED, MANAGE_DSA_IT];

/// Most controls of a message.
const MAX_CONTROLS: usize = 16;
/// Longest cookie read, in octets; ours are shorter.
const MAX_COOKIE: usize = 64;

/// What a request asked for beside its operation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Controls {
    pub paged: Option<Paged>,
    /// One that is critical and not known.
    pub unknown: Option<String>,
}

/// Results in pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Paged {
    pub size: u32,
    pub cookie: Vec<u8>,
    pub critical: bool,
}

impl Controls {
    /// Reads the list; nothing is without controls.
    pub(crate) fn read(mut list: Reader<'_>) -> Result<Self, Malformed> {
        let (mut controls, mut count) = (Self::default(), 0);
        while !list.is_empty() {
            count += 1;
            if count > MAX_CONTROLS {
                return Err(Malformed("a message with too many controls"));
            }
            let mut control = list.inner(SEQUENCE)?;
            let name = control.text(OCTETS)?;
            let critical = control.peek() == Some(BOOLEAN) && control.boolean(BOOLEAN)?;
            let value = control.take_if(OCTETS)?;
            match name {
                PAGED => controls.paged = Some(Paged::read(value.unwrap_or_default(), critical)?),
                MANAGE_DSA_IT => {}
                name if critical => controls.unknown = Some(name.chars().take(64).collect()),
                _ => {}
            }
        }
        Ok(controls)
    }
}

impl Paged {
    fn read(value: &[u8], critical: bool) -> Result<Self, Malformed> {
        let mut value = Reader::new(value).inner(SEQUENCE)?;
        let (size, cookie) = (value.integer(INTEGER)?, value.take(OCTETS)?);
        let size = u32::try_from(size).map_err(|_| Malformed("a page of less than nothing"))?;
        if cookie.len() > MAX_COOKIE {
            return Err(Malformed("a cookie that is none of ours"));
        }
        Ok(Self { size, cookie: cookie.to_vec(), critical })
    }
}

/// The control that goes with a page: how many there are in all is not told.
pub(crate) fn page_done(writer: &mut Writer, cookie: &[u8]) {
    let mut value = Writer::default();
    value.group(SEQUENCE, |w| {
        w.integer(INTEGER, 0);
        w.octets(OCTETS, cookie);
    });
    writer.group(CONTROLS, |w| {
        w.group(SEQUENCE, |w| {
            w.octets(OCTETS, PAGED.as_bytes());
            w.octets(OCTETS, &value.into_bytes());
        });
    });
}
