//! The small values of a board's description, each checked as it is read.

use serde::Deserialize;
use std::fmt;

/// A name of a board, module, package, device or driver: it becomes part of a path, so it is never one by itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Name(String);

impl Name {
    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let good = |c: char| c.is_ascii_alphanumeric() || "-_.+:".contains(c);
        if text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.len() <= 64 && text.chars().all(good)
        {
            return Ok(Self(text));
        }
        Err(format!(
            "{text:?} is no name; write up to 64 letters, digits and -_.+: beginning with a letter or digit"
        ))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A GUID, such as a partition's type (UEFI 2.10, 5.3.3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Guid(u128);

impl Guid {
    /// The one that is written as this number, its first digit the highest.
    #[must_use]
    pub const fn new(number: u128) -> Self {
        Self(number)
    }
}

impl TryFrom<String> for Guid {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let groups: Vec<_> = text.split('-').map(str::len).collect();
        let digits = text.replace('-', "");
        let number = u128::from_str_radix(&digits, 16).ok().filter(|_| !digits.starts_with('+'));
        match number {
            Some(number) if groups == [8, 4, 4, 4, 12] => Ok(Self(number)),
            _ => Err(format!("{text:?} is no GUID; write \"c12a7328-f81f-11d2-ba4b-00a0c93ec93b\"")),
        }
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:032x}", self.0);
        let [a, b, c, d, e] = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
        write!(f, "{a}-{b}-{c}-{d}-{e}")
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A size in MiB, at least one and at most 16 TiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "u32")]
pub struct MiB(u32);

impl MiB {
    /// How many MiB.
    #[must_use]
    pub fn count(self) -> u32 {
        self.0
    }

    /// The same in bytes.
    #[must_use]
    pub fn bytes(self) -> u64 {
        u64::from(self.0) << 20
    }
}

impl TryFrom<u32> for MiB {
    type Error = String;

    fn try_from(count: u32) -> Result<Self, String> {
        let good = (1..=16 << 20).contains(&count);
        good.then_some(Self(count)).ok_or_else(|| format!("{count} MiB is no size; write 1 to 16777216"))
    }
}

/// A time-out in seconds, 1 to 3600.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "u16")]
pub struct Seconds(u16);

impl Seconds {
    /// How many seconds.
    #[must_use]
    pub fn count(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for Seconds {
    type Error = String;

    fn try_from(count: u16) -> Result<Self, String> {
        let good = (1..=3600).contains(&count);
        good.then_some(Self(count)).ok_or_else(|| format!("{count} s is no time-out; write 1 to 3600"))
    }
}

/// The speed of a serial port in bit/s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
pub struct Speed(u32);

impl Speed {
    /// In bit/s.
    #[must_use]
    pub fn bits_per_second(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for Speed {
    type Error = String;

    fn try_from(speed: u32) -> Result<Self, String> {
        let known = [9600, 19_200, 38_400, 57_600, 115_200];
        let good = known.contains(&speed);
        good.then_some(Self(speed))
            .ok_or_else(|| format!("{speed} bit/s is not spoken; write one of {known:?}"))
    }
}

/// A 7-bit address on an I2C bus that is not reserved (NXP UM10204, 3.1.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u8")]
pub struct I2cAddress(u8);

impl I2cAddress {
    /// As it goes to the driver.
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for I2cAddress {
    type Error = String;

    fn try_from(address: u8) -> Result<Self, String> {
        let good = (0x08..=0x77).contains(&address);
        good.then_some(Self(address)).ok_or_else(|| format!("{address:#04x} is reserved; write 0x08 to 0x77"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_is_never_a_path() {
        for good in ["qemu-x86_64", "linux-image-6.12-amd64", "ttyS0", "pci-0000:01:00.0"] {
            assert!(Name::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "-a", "a b", "a\n", &"a".repeat(65)] {
            assert!(Name::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_guid_reads_what_it_writes(number: u128) {
            let guid = Guid::new(number);
            prop_assert_eq!(Guid::try_from(guid.to_string()), Ok(guid));
            prop_assert_eq!(Guid::try_from(guid.to_string().to_uppercase()), Ok(guid));
        }

        #[test]
        fn what_is_no_guid_is_refused_and_never_panics(text in "[-+0-9a-g]{0,40}") {
            if let Ok(guid) = Guid::try_from(text.clone()) {
                prop_assert_eq!(guid.to_string(), text);
            }
        }
    }
}
