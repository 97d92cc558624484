//! Object identifiers (RFC 2578 3.5): numbers from the root of one tree.

use crate::ber::{element, tag};
use std::fmt;
use thiserror::Error;

/// Most numbers of an object identifier (RFC 2578 3.5).
const NUMBERS: usize = 128;

/// An object identifier that can be written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Oid(Vec<u32>);

/// Why numbers are no object identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OidError {
    /// RFC 2578 3.5.
    #[error("has {0} numbers; it must have 2 to {NUMBERS}")]
    Length(usize),
    /// ITU-T X.660: below 0 and 1 there is room for 40.
    #[error("begins with {0}.{1}; it must begin with 0, 1 or 2, and the number after 0 or 1 be below 40")]
    Root(u32, u32),
}

impl Oid {
    /// The identifier of these numbers.
    ///
    /// # Errors
    /// If there is none.
    pub fn new(numbers: &[u32]) -> Result<Self, OidError> {
        let [first, second, ..] = *numbers else { return Err(OidError::Length(numbers.len())) };
        if numbers.len() > NUMBERS {
            return Err(OidError::Length(numbers.len()));
        }
        if first > 2 || (first < 2 && second >= 40) {
            return Err(OidError::Root(first, second));
        }
        Ok(Self(numbers.to_vec()))
    }

    /// One of our own constants, which tests hold to be good.
    pub(crate) fn known(numbers: &[&[u32]]) -> Self {
        Self(numbers.concat())
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut content = Vec::with_capacity(self.0.len() + 4);
        if let [first, second, rest @ ..] = self.0.as_slice() {
            // ITU-T X.690 8.19.4: the first two share an octet, or more below 2.
            sub_identifier(u64::from(*first) * 40 + u64::from(*second), &mut content);
            rest.iter().for_each(|number| sub_identifier(u64::from(*number), &mut content));
        }
        element(tag::OID, &content)
    }
}

/// Seven bits an octet, the highest first; all but the last have their top bit set.
fn sub_identifier(number: u64, out: &mut Vec<u8>) {
    let groups = (64 - number.leading_zeros()).div_ceil(7).max(1);
    for group in (0..groups).rev() {
        let bits = u8::try_from(number >> (7 * group) & 0x7f).unwrap_or_default();
        out.push(if group > 0 { bits | 0x80 } else { bits });
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, number) in self.0.iter().enumerate() {
            let dot = if index == 0 { "" } else { "." };
            write!(f, "{dot}{number}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_written_as_x_690_writes_them() {
        // ITU-T X.690 8.19.5: {2 999 3} is 06 03 88 37 03.
        assert_eq!(Oid::new(&[2, 999, 3]).unwrap().encode(), [6, 3, 0x88, 0x37, 3]);
        assert_eq!(Oid::new(&[1, 3, 6, 1, 4, 1, 8072]).unwrap().encode(), [6, 7, 0x2b, 6, 1, 4, 1, 0xbf, 8]);
        assert_eq!(Oid::new(&[0, 0]).unwrap().encode(), [6, 1, 0]);
        assert_eq!(Oid::new(&[1, 3, u32::MAX]).unwrap().encode(), [6, 6, 0x2b, 0x8f, 0xff, 0xff, 0xff, 0x7f]);
        assert_eq!(Oid::new(&[1, 3, 6]).unwrap().to_string(), "1.3.6");
    }

    #[test]
    fn what_is_no_identifier_is_said() {
        assert_eq!(Oid::new(&[1]), Err(OidError::Length(1)));
        assert_eq!(Oid::new(&[1; 129]), Err(OidError::Length(129)));
        assert_eq!(Oid::new(&[3, 1]), Err(OidError::Root(3, 1)));
        assert_eq!(Oid::new(&[1, 40]), Err(OidError::Root(1, 40)));
    }
}
