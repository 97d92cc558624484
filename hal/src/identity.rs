//! Which box this is: serial number, board, asset tag, network addresses, and whether it has a claim code.
//!
//! The EEPROM on the board knows best; what it does not say is taken from SMBIOS ([`Identified::or`]).

use crate::{DeviceError, Label};
use base::Secret;
use std::fmt;

/// Most network cards of one box.
pub const NICS: usize = 16;
/// Bytes of the digest of a claim code.
pub const CLAIM_DIGEST_BYTES: usize = 32;

/// Where a box learns who it is.
pub trait Identity: Send {
    /// What this source says; a box without that source says nothing, which is not an error.
    ///
    /// # Errors
    /// If the source is there and does not answer, or its record is damaged.
    fn read(&mut self) -> Result<Identified, IdentityError>;
}

/// Why a source of identity said nothing.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// It does not answer.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// Its record cannot be true.
    #[error("{device}: the identity record is damaged ({what}); write it anew with the flashing tool")]
    Damaged {
        /// Where the record is.
        device: String,
        /// What is wrong with it.
        what: String,
    },
}

/// Who a box is, as far as one source knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identified {
    /// Serial number of the box.
    pub serial: Option<Label>,
    /// Name of the board; it must fit the board description on the image.
    pub board: Option<Label>,
    /// What its owner calls it.
    pub asset_tag: Option<Label>,
    /// Addresses of its network cards, at most [`NICS`], in the order of their sockets on the box.
    pub macs: Vec<Mac>,
    /// Whether there is a code to claim it with.
    pub claim: Claim,
}

/// The code on the box's label that its first administrator proves possession with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Claim {
    /// This source holds none.
    #[default]
    Absent,
    /// It holds a digest of one, never the code itself.
    Present(Secret<[u8; CLAIM_DIGEST_BYTES]>),
}

/// Address of a network card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mac([u8; 6]);

impl Mac {
    /// The address of one card; `None` for what cannot be one: all zeroes, or a group address.
    #[must_use]
    pub fn new(bytes: [u8; 6]) -> Option<Self> {
        (bytes != [0; 6] && bytes[0] & 1 == 0).then_some(Self(bytes))
    }

    /// Reads `aa:bb:cc:dd:ee:ff`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 6];
        let mut parts = text.trim().split(':');
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2)?;
            *byte = u8::from_str_radix(part, 16).ok().filter(|_| !part.starts_with('+'))?;
        }
        parts.next().is_none().then_some(())?;
        Self::new(bytes)
    }

    /// Its six bytes.
    #[must_use]
    pub fn bytes(self) -> [u8; 6] {
        self.0
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl Identified {
    /// What this source says, and where it says nothing, what `other` says.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            serial: self.serial.or(other.serial),
            board: self.board.or(other.board),
            asset_tag: self.asset_tag.or(other.asset_tag),
            macs: if self.macs.is_empty() { other.macs } else { self.macs },
            claim: match self.claim {
                Claim::Absent => other.claim,
                present @ Claim::Present(_) => present,
            },
        }
    }
}

/// A source that says what a test told it to.
#[derive(Debug, Clone, Default)]
pub struct FakeIdentity {
    /// What it says.
    pub says: Identified,
}

impl Identity for FakeIdentity {
    fn read(&mut self) -> Result<Identified, IdentityError> {
        Ok(self.says.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_shown() {
        let mac = Mac::parse("52:54:00:12:AB:56\n").unwrap();
        assert_eq!(mac.to_string(), "52:54:00:12:ab:56");
        assert_eq!(Mac::parse(&mac.to_string()), Some(mac));
    }

    #[test]
    fn what_is_no_address_of_a_card_is_none() {
        for wrong in [
            "",
            "52:54",
            "00:00:00:00:00:00",
            "ff:ff:ff:ff:ff:ff",
            "01:00:5e:00:00:01",
            "52:54:00:12:34:56:78",
            "+5:54:00:12:34:56",
            "5:54:00:12:34:56",
            "525400123456",
        ] {
            assert_eq!(Mac::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_first_source_wins_and_the_second_fills_its_gaps() {
        let label = |text| Label::sanitised(text);
        let eeprom = Identified {
            serial: label("GW1"),
            claim: Claim::Present(Secret::new([7; CLAIM_DIGEST_BYTES])),
            ..Identified::default()
        };
        let smbios = Identified {
            serial: label("OEM1"),
            board: label("x86-rack"),
            macs: vec![Mac::parse("52:54:00:12:34:56").unwrap()],
            ..Identified::default()
        };
        let merged = eeprom.clone().or(smbios.clone());
        assert_eq!(merged, Identified { board: smbios.board, macs: smbios.macs, ..eeprom });
    }

    #[test]
    fn a_claim_never_prints() {
        let claim = Claim::Present(Secret::new([0xab; CLAIM_DIGEST_BYTES]));
        assert_eq!(format!("{claim:?}"), "Present([secret])");
    }

    #[test]
    fn the_fake_says_what_it_was_told() {
        let says = Identified { serial: Label::sanitised("GW7"), ..Identified::default() };
        let mut source: Box<dyn Identity> = Box::new(FakeIdentity { says: says.clone() });
        assert_eq!(source.read().unwrap(), says);
    }
}
