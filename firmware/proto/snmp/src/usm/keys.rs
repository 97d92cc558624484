//! Keys of passwords (RFC 3414 A.2), the MACs made with them (RFC 3414 6, RFC 7860 4), and AES-128 in CFB mode (RFC 3826 3).

use super::EngineTime;
use aes::Aes128;
use aes::cipher::BlockCipherEncrypt;
use base::Secret;
use hmac::{Hmac, KeyInit, Mac};
use sha1::{Digest, Sha1};
use sha2::Sha256;
use std::fmt;
use thiserror::Error;

/// A password is written again and again until there are so many bytes of it (RFC 3414 A.2).
const EXPANDED: usize = 1024 * 1024;
/// Shortest password (RFC 3414 11.2).
pub(super) const PASSWORD_BYTES: usize = 8;
/// A salt, in bytes (RFC 3826 3.1.2.1).
pub(super) const SALT_BYTES: usize = 8;
/// A block of AES, and a key of AES-128, in bytes.
const BLOCK: usize = 16;

/// How it is proven who sent a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AuthProtocol {
    /// `usmHMACSHAAuthProtocol` (RFC 3414 7): for stations that know nothing better.
    Sha1,
    /// `usmHMAC192SHA256AuthProtocol` (RFC 7860 4.1).
    Sha256,
}

/// A password that is too short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("password has {bytes} bytes; it must have at least {PASSWORD_BYTES}")]
pub struct PasswordError {
    /// How long it is.
    pub bytes: usize,
}

/// A key that is good at one engine only.
pub(super) struct Key {
    protocol: AuthProtocol,
    bytes: Secret<Vec<u8>>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.protocol).field(&self.bytes).finish()
    }
}

impl Key {
    /// The key of `password` at the engine with this id.
    pub(super) fn of(
        protocol: AuthProtocol,
        password: &Secret<String>,
        engine: &[u8],
    ) -> Result<Self, PasswordError> {
        let password = password.expose().as_bytes();
        if password.len() < PASSWORD_BYTES {
            return Err(PasswordError { bytes: password.len() });
        }
        let bytes = match protocol {
            AuthProtocol::Sha1 => localised::<Sha1>(password, engine),
            AuthProtocol::Sha256 => localised::<Sha256>(password, engine),
        };
        Ok(Self { protocol, bytes: Secret::new(bytes) })
    }

    /// How many octets its MACs have.
    pub(super) const fn mac_bytes(&self) -> usize {
        match self.protocol {
            AuthProtocol::Sha1 => 12,
            AuthProtocol::Sha256 => 24,
        }
    }

    /// The MAC of `message`.
    pub(super) fn mac(&self, message: &[u8]) -> Vec<u8> {
        let key = self.bytes.expose();
        let mut mac = match self.protocol {
            AuthProtocol::Sha1 => hmac::<Hmac<Sha1>>(key, message),
            AuthProtocol::Sha256 => hmac::<Hmac<Sha256>>(key, message),
        };
        mac.truncate(self.mac_bytes());
        mac
    }

    /// `message` with its MAC in the place of the zeros that end `behind` octets before its end.
    pub(super) fn sign(&self, mut message: Vec<u8>, behind: usize) -> Vec<u8> {
        let mac = self.mac(&message);
        let end = message.len().saturating_sub(behind);
        if let Some(place) = message.get_mut(end.saturating_sub(mac.len())..end) {
            place.copy_from_slice(&mac);
        }
        message
    }

    /// `data` as nobody reads it who has not the same key. Each block is hidden by the one before, the first by time and salt
    /// (RFC 3826 3.1.2.1).
    pub(super) fn encrypt(&self, at: EngineTime, salt: [u8; SALT_BYTES], data: &[u8]) -> Vec<u8> {
        // Either hash gives more than the 16 octets that are wanted (RFC 3826 1.2.1).
        let mut key = [0; BLOCK];
        key.iter_mut().zip(self.bytes.expose()).for_each(|(to, from)| *to = *from);
        let cipher = Aes128::new(&key.into());
        let mut before = [0; BLOCK];
        let initial = [&at.boots.to_be_bytes()[..], &at.time.to_be_bytes(), &salt].concat();
        before.copy_from_slice(&initial);
        let mut hidden = Vec::with_capacity(data.len());
        for block in data.chunks(BLOCK) {
            let mut pad = before.into();
            cipher.encrypt_block(&mut pad);
            for (index, (byte, pad)) in block.iter().zip(pad.iter()).enumerate() {
                before[index] = byte ^ pad;
            }
            hidden.extend_from_slice(&before[..block.len()]);
        }
        hidden
    }
}

/// RFC 3414 A.2: the hash of a megabyte of the password, then of that with the engine's id in between.
fn localised<H: Digest>(password: &[u8], engine: &[u8]) -> Vec<u8> {
    let mut hash = H::new();
    let whole = EXPANDED / password.len();
    (0..whole).for_each(|_| hash.update(password));
    hash.update(&password[..EXPANDED % password.len()]);
    let key = hash.finalize();
    H::new().chain_update(&key).chain_update(engine).chain_update(&key).finalize().to_vec()
}

fn hmac<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> Vec<u8> {
    // HMAC takes keys of every length (RFC 2104 2), so there is no other case.
    <M as KeyInit>::new_from_slice(key)
        .map(|mac| mac.chain_update(message).finalize().into_bytes().to_vec())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    const ENGINE: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

    #[test]
    fn a_password_makes_the_key_that_rfc_3414_a_3_2_shows() {
        let key = Key::of(AuthProtocol::Sha1, &Secret::new("maplesyrup".to_owned()), &ENGINE).unwrap();
        assert_eq!(hex(key.bytes.expose()), "6695febc9288e36282235fc7151f128497b38f3f");
    }

    #[test]
    fn macs_are_those_of_rfc_2202_and_4231_cut_as_usm_cuts_them() {
        let key = |protocol, bytes: Vec<u8>| Key { protocol, bytes: Secret::new(bytes) };
        let sha1 = key(AuthProtocol::Sha1, vec![0x0b; 20]);
        assert_eq!(hex(&sha1.mac(b"Hi There")), "b617318655057264e28bc0b6");
        let sha256 = key(AuthProtocol::Sha256, vec![0x0b; 20]);
        assert_eq!(hex(&sha256.mac(b"Hi There")), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da7");
    }

    /// NIST SP 800-38A F.3.13.
    #[test]
    fn blocks_are_hidden_as_nist_shows_and_a_last_short_one_too() {
        let bytes = |text: &str| -> Vec<u8> {
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
        };
        let key = bytes("2b7e151628aed2a6abf7158809cf4f3c");
        let key = Key { protocol: AuthProtocol::Sha1, bytes: Secret::new(key) };
        // The vector's IV is 000102...0f.
        let at = EngineTime { boots: 0x0001_0203, time: 0x0405_0607 };
        let plain = bytes("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51");
        let hidden = key.encrypt(at, [8, 9, 10, 11, 12, 13, 14, 15], &plain);
        assert_eq!(hex(&hidden), "3b3fd92eb72dad20333449f8e83cfb4ac8a64537a0b3a93fcde3cdad9f1ce58b");
        let short = key.encrypt(at, [8, 9, 10, 11, 12, 13, 14, 15], &plain[..19]);
        assert_eq!(short, hidden[..19]);
    }
}
