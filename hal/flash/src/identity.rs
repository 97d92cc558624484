//! Who a box is: its serial number, and the claim code of which the box keeps a digest only.

use domain::appliance::access::{CODE_DIGITS, Verifier};
use std::io::{self, Read};

/// The folder on STATE, and its mode.
pub const FOLDER: (&str, u32) = ("identity", 0o750);
/// The group `gantry`, whose programs read it.
pub const GROUP: u32 = 800;

/// Who a box is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its serial number.
    pub serial: String,
    /// Its claim code, as the label shows it.
    pub code: String,
}

/// A file of [`FOLDER`]; root's, and the group's to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its name.
    pub name: &'static str,
    /// Its mode.
    pub mode: u32,
    /// What is in it.
    pub content: String,
}

impl Identity {
    /// Of a box with this serial number, or one that is made up; the code is always new.
    ///
    /// # Errors
    /// If there is no randomness.
    pub fn new(serial: Option<String>, random: &mut impl Read) -> io::Result<Self> {
        let serial = match serial {
            Some(serial) => serial,
            None => made_up(random)?,
        };
        Ok(Self { serial, code: code(random)? })
    }

    /// The files that tell the box.
    ///
    /// # Errors
    /// If the code is none.
    pub fn records(&self) -> Result<[Record; 2], String> {
        let claim = Verifier::of(&self.code)?.to_text();
        let record = |name, content| Record { name, mode: 0o640, content };
        Ok([record("claim", claim), record("serial", format!("{}\n", self.serial))])
    }
}

/// A serial number as a label and a firmware table hold it.
///
/// # Errors
/// If `text` is none.
pub fn serial_number(text: &str) -> Result<String, String> {
    let good = (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let bad = || format!("{text:?} is no serial number; write 1 to 32 letters, digits and hyphens");
    good.then(|| text.to_owned()).ok_or_else(bad)
}

/// Eight digits, each as likely as the other.
fn code(random: &mut impl Read) -> io::Result<String> {
    let digits = letters(random, CODE_DIGITS, |byte| (byte < 250).then_some(char::from(b'0' + byte % 10)))?;
    Ok(format!("{}-{}", &digits[..CODE_DIGITS / 2], &digits[CODE_DIGITS / 2..]))
}

/// A serial number for boxes whose maker gave none: letters and digits that are not taken for one another.
fn made_up(random: &mut impl Read) -> io::Result<String> {
    const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    Ok(format!("G{}", letters(random, 9, |byte| Some(char::from(LETTERS[usize::from(byte % 32)])))?))
}

fn letters(random: &mut impl Read, count: usize, letter: impl Fn(u8) -> Option<char>) -> io::Result<String> {
    let mut text = String::new();
    let mut byte = [0];
    while text.len() < count {
        random.read_exact(&mut byte)?;
        text.extend(letter(byte[0]));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_learns_its_serial_number_and_a_digest_of_its_claim_code_but_not_the_code() {
        let who = Identity { serial: "G000000001".into(), code: "1234-5678".into() };
        let [claim, serial] = who.records().unwrap();
        assert_eq!((serial.name, serial.content.as_str()), ("serial", "G000000001\n"));
        assert!(!claim.content.contains("12345678") && !claim.content.contains("1234-5678"));
        assert!(Verifier::parse(&claim.content).is_some());
        assert!(Identity { serial: "G1".into(), code: "12".into() }.records().is_err());
    }

    #[test]
    fn codes_and_serial_numbers_are_as_the_label_shows_them() {
        for seed in 0..250u8 {
            let source: Vec<u8> = (0..=255).map(|byte: u8| byte.wrapping_mul(7) ^ seed).collect();
            let who = Identity::new(None, &mut &source[..]).unwrap();
            assert!(Verifier::of(&who.code).is_ok() && who.code.len() == 9, "{}", who.code);
            assert_eq!(who.serial.len(), 10);
            assert!(serial_number(&who.serial).is_ok());
        }
        let given = Identity::new(Some("GX-1".into()), &mut &[1u8; 20][..]).unwrap();
        assert_eq!(given.serial, "GX-1");
        assert!(Identity::new(None, &mut io::empty()).is_err());
    }

    #[test]
    fn what_a_label_cannot_hold_is_no_serial_number() {
        assert!(serial_number("GX-2026-1").is_ok());
        for bad in ["", "a b", "a/b", &"x".repeat(33)] {
            assert!(serial_number(bad).is_err(), "{bad}");
        }
    }
}
