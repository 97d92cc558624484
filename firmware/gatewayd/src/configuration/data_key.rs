//! The key that seals what is secret at rest: AES-256-GCM, each value bound to its place.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// What guards the key itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// Nothing but the file's mode: who can read the disk can read it.
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

/// The key.
pub struct DataKey {
    key: LessSafeKey,
    protection: Protection,
}

impl DataKey {
    /// The key in the file at `path`, which is made with a new one if it is not there.
    ///
    /// # Errors
    /// If the file can't be read or made, or holds no key.
    pub fn of_file(path: &Path) -> io::Result<Self> {
        let mut bytes = [0; 32];
        match std::fs::File::open(path) {
            Ok(mut file) => file.read_exact(&mut bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                SystemRandom::new().fill(&mut bytes).map_err(|_| io::Error::other("no randomness"))?;
                let mut file =
                    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
                file.write_all(&bytes)?;
                file.sync_all()?;
                if let Some(folder) = path.parent() {
                    std::fs::File::open(folder)?.sync_all()?;
                }
            }
            Err(error) => return Err(error),
        }
        let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| io::Error::other("no key"))?;
        Ok(Self { key: LessSafeKey::new(key), protection: Protection::Unsealed })
    }

    /// What guards it.
    #[must_use]
    pub const fn protection(&self) -> Protection {
        self.protection
    }

    /// `plain`, sealed for `place`.
    ///
    /// # Panics
    /// Without randomness: the system has none to give only before it has started.
    #[must_use]
    pub fn seal(&self, place: &str, plain: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        #[allow(clippy::expect_used, reason = "a system that has started has randomness")]
        SystemRandom::new().fill(&mut nonce).expect("randomness");
        let mut sealed = plain.to_vec();
        let nonce_of_it = Nonce::assume_unique_for_key(nonce);
        #[allow(clippy::expect_used, reason = "what is sealed is far shorter than the cipher's bound")]
        self.key.seal_in_place_append_tag(nonce_of_it, Aad::from(place), &mut sealed).expect("short");
        [&nonce[..], &sealed].concat()
    }

    /// What was sealed for `place`.
    ///
    /// # Errors
    /// If it was sealed by another key, for another place, or changed since.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, ring::error::Unspecified> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN).ok_or(ring::error::Unspecified)?;
        let (nonce, mut sealed) = (Nonce::try_assume_unique_for_key(nonce)?, sealed.to_vec());
        Ok(self.key.open_in_place(nonce, Aad::from(place), &mut sealed)?.to_vec())
    }
}
