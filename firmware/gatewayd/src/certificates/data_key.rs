//! One key over every secret that the box keeps: AES-256-GCM (NIST SP 800-38D), each secret bound to what it is by its context.
//!
//! ```text
//!  "GSD" version 1 | nonce, 12 bytes | ciphertext | tag, 16 bytes        header and context are authenticated, not encrypted
//! ```
//! A secret that is moved to another place, or an envelope of another version, does not open. Nonces are random, so a key may seal
//! 2^32 times (SP 800-38D 8.3), which is more than an administrator lives to do.
//!
//! The data key itself is a file that only the daemon may read: it keeps secrets from whoever gets a copy of the store, a support
//! bundle or a backup, but not from whoever takes the disk. Nothing is sealed by the TPM yet, and [`Protection`] says so.

use super::files;
use base::Secret;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use serde::Serialize;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Longest secret that is sealed, in bytes.
pub const SECRET_BYTES: usize = 64 * 1024;
const MAGIC: &[u8; 3] = b"GSD";
const VERSION: u8 = 1;
const HEADER: [u8; 4] = [MAGIC[0], MAGIC[1], MAGIC[2], VERSION];
const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 16;

/// How the data key itself is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protection {
    /// In a file of the daemon's, as it is.
    Unsealed,
}

impl Protection {
    /// In words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Unsealed => "nothing: whoever reads the disk can read the key",
        }
    }
}

/// The key that seals.
pub struct DataKey {
    key: LessSafeKey,
    random: SystemRandom,
    protection: Protection,
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataKey").field("protection", &self.protection).finish_non_exhaustive()
    }
}

/// Why there is no data key.
#[derive(Debug, thiserror::Error)]
pub enum DataKeyError {
    /// The file.
    #[error("data key {}: {error}", .path.display())]
    File {
        /// Where.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It is not of the right length.
    #[error(
        "data key {} is damaged: it has {bytes} bytes instead of {KEY_BYTES}; restore it from a backup, or reset the box: what it \
         sealed opens with no other", .path.display()
    )]
    Damaged {
        /// Where.
        path: PathBuf,
        /// As many as it has.
        bytes: usize,
    },
    /// The system has no random numbers.
    #[error("the system's randomness fails")]
    Random,
}

/// Why a secret cannot be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Longer than [`SECRET_BYTES`].
    #[error("a secret has {0} bytes, and at most {SECRET_BYTES} are sealed")]
    TooLarge(usize),
    /// The system has no random numbers.
    #[error("the system's randomness fails")]
    Random,
}

/// Why an envelope does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is none, or was cut short.
    #[error("this is no sealed secret, or a part of one only")]
    Shape,
    /// Another release sealed it.
    #[error(
        "this secret was sealed by a later release (version {0} of the envelope, and this one knows {VERSION})"
    )]
    Version(u8),
    /// It is not what it was, not where it was, or another key sealed it.
    #[error(
        "a sealed secret does not open: it was changed, belongs elsewhere, or another data key sealed it"
    )]
    Wrong,
}

impl DataKey {
    /// The key in `path`. Where there is none, one is made, in a folder that is there.
    ///
    /// # Errors
    /// [`DataKeyError`] if it cannot be read or made.
    pub fn load(path: &Path) -> Result<Self, DataKeyError> {
        let at = |error| DataKeyError::File { path: path.to_owned(), error };
        let random = SystemRandom::new();
        let bytes = match files::read(path).map_err(at)? {
            Some(bytes) => bytes,
            None => {
                let mut bytes = vec![0; KEY_BYTES];
                random.fill(&mut bytes).map_err(|_| DataKeyError::Random)?;
                files::replace(path, &bytes).map_err(at)?;
                bytes
            }
        };
        let damaged = DataKeyError::Damaged { path: path.to_owned(), bytes: bytes.len() };
        let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| damaged)?;
        Ok(Self { key: LessSafeKey::new(key), random, protection: Protection::Unsealed })
    }

    /// How the key itself is kept.
    #[must_use]
    pub const fn protection(&self) -> Protection {
        self.protection
    }

    /// Seals `plain`, which opens for the same `context` only: what it is and whose, such as `tokens/tenant a`.
    ///
    /// # Errors
    /// [`SealError`]
    pub fn seal(&self, context: &str, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        if plain.len() > SECRET_BYTES {
            return Err(SealError::TooLarge(plain.len()));
        }
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(|_| SealError::Random)?;
        let mut body = plain.to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), bound(context), &mut body)
            .map_err(|_| SealError::TooLarge(plain.len()))?;
        Ok([&HEADER[..], &nonce, &body].concat())
    }

    /// Opens what [`DataKey::seal`] sealed for the same `context`.
    ///
    /// # Errors
    /// [`OpenError`]
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Secret<Vec<u8>>, OpenError> {
        let most = HEADER.len() + NONCE_LEN + SECRET_BYTES + TAG_BYTES;
        let rest = sealed.strip_prefix(MAGIC).filter(|_| sealed.len() <= most).ok_or(OpenError::Shape)?;
        let (version, rest) = rest.split_first().ok_or(OpenError::Shape)?;
        if *version != VERSION {
            return Err(OpenError::Version(*version));
        }
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>().ok_or(OpenError::Shape)?;
        if body.len() < TAG_BYTES {
            return Err(OpenError::Shape);
        }
        let mut body = body.to_vec();
        let plain = self
            .key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), bound(context), &mut body)
            .map_err(|_| OpenError::Wrong)?
            .len();
        body.truncate(plain);
        Ok(Secret::new(body))
    }
}

/// What is authenticated beside the secret.
fn bound(context: &str) -> Aad<Vec<u8>> {
    Aad::from([&HEADER[..], context.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn bench() -> (TempDir, DataKey) {
        let folder = tempfile::tempdir().expect("a folder");
        let key = DataKey::load(&folder.path().join("data.key")).expect("a key");
        (folder, key)
    }

    /// P2
    #[test]
    fn a_secret_opens_for_its_own_context_and_key_only() {
        let (folder, key) = bench();
        let sealed = key.seal("tokens/tenant a", b"hunter2").expect("sealed");
        let again = DataKey::load(&folder.path().join("data.key")).expect("the same key");
        assert_eq!(again.open("tokens/tenant a", &sealed).expect("opened").expose(), b"hunter2");
        assert!(!sealed.windows(7).any(|part| part == b"hunter2"));
        for context in ["tokens/tenant b", "tokens/tenant ", "", "keys/tenant a"] {
            assert_eq!(key.open(context, &sealed).err(), Some(OpenError::Wrong), "{context}");
        }
        let (_other, stranger) = bench();
        assert_eq!(stranger.open("tokens/tenant a", &sealed).err(), Some(OpenError::Wrong));
    }

    #[test]
    fn a_secret_that_was_changed_or_cut_does_not_open() {
        let (_folder, key) = bench();
        let sealed = key.seal("c", b"a secret").expect("sealed");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(key.open("c", &changed).is_err(), "byte {at}");
            assert!(key.open("c", &sealed[..at]).is_err(), "{at} bytes");
        }
        assert_eq!(key.open("c", &[&sealed[..], &[0]].concat()).err(), Some(OpenError::Wrong));
        assert_eq!(key.open("c", b"").err(), Some(OpenError::Shape));
    }

    #[test]
    fn an_envelope_of_a_later_release_is_told_from_one_that_is_broken() {
        let (_folder, key) = bench();
        let mut sealed = key.seal("c", b"a secret").expect("sealed");
        sealed[3] = 2;
        assert_eq!(key.open("c", &sealed).err(), Some(OpenError::Version(2)));
    }

    #[test]
    fn the_same_secret_never_looks_the_same() {
        let (_folder, key) = bench();
        assert_ne!(key.seal("c", b"s").expect("sealed"), key.seal("c", b"s").expect("sealed"));
        assert_eq!(key.open("c", &key.seal("c", b"").expect("sealed")).expect("opened").expose(), b"");
    }

    #[test]
    fn secrets_are_bounded_and_neither_they_nor_the_key_print() {
        let (_folder, key) = bench();
        let most = vec![7; SECRET_BYTES];
        let sealed = key.seal("c", &most).expect("sealed");
        assert_eq!(key.open("c", &sealed).expect("opened").expose(), &most);
        assert_eq!(key.seal("c", &[&most[..], &[7]].concat()), Err(SealError::TooLarge(SECRET_BYTES + 1)));
        assert_eq!(format!("{key:?}"), "DataKey { protection: Unsealed, .. }");
    }

    #[test]
    fn a_damaged_data_key_is_not_replaced_in_silence() {
        let (folder, _key) = bench();
        let path = folder.path().join("data.key");
        std::fs::write(&path, [1; 31]).expect("written");
        let told = DataKey::load(&path).expect_err("damaged").to_string();
        assert!(told.contains("31 bytes instead of 32"), "{told}");
        assert_eq!(std::fs::read(&path).expect("still there").len(), 31);
    }
}
