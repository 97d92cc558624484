//! One key over every secret that the box keeps: AES-256-GCM (NIST SP 800-38D), each secret bound to what it is by its context.
//!
//! ```text
//!  "GSD" version 1 | nonce, 12 bytes | ciphertext | tag, 16 bytes        header and context are authenticated, not encrypted
//! ```
//! A secret that is moved to another place, or an envelope of another version, does not open. Nonces are random, so a key may seal
//! 2^32 times (SP 800-38D 8.3), which is more than an administrator lives to do.
//!
//! Where the key itself is kept:
//!
//! ```text
//!  $CREDENTIALS_DIRECTORY/gantry.data-key   the service manager gives it, sealed to the TPM (systemd-creds); empty where none is:
//!                                           32 bytes as they are, or 64 hexadecimal digits, which may end in a newline
//!  data.key                                 32 bytes in a file that only the daemon may read: keeps secrets from whoever gets a copy of the
//!                                           store, a support bundle or a backup, but not from whoever takes the disk
//! ```
//! Where both are there, the box was unsealed until now: what the file's key sealed still opens, [`DataKey::reseal`] seals it by the other
//! one, and the file goes once nobody needs it ([`DataKey::forget_file`]). A key that is lost is made anew: what it sealed does not open any
//! more, which is for those to tell who need it.

use super::files;
use base::Secret;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use serde::Serialize;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// Longest secret that is sealed, in bytes.
pub const SECRET_BYTES: usize = 64 * 1024;
const MAGIC: &[u8; 3] = b"GSD";
const VERSION: u8 = 1;
const HEADER: [u8; 4] = [MAGIC[0], MAGIC[1], MAGIC[2], VERSION];
const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 16;

/// What the credential is called.
const CREDENTIAL: &str = "gantry.data-key";
/// Digits of a key that is written as text.
const HEX_DIGITS: usize = 2 * KEY_BYTES;

/// How the data key itself is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protection {
    /// In a file of the daemon's, as it is.
    Unsealed,
    /// Sealed to the TPM by the service manager.
    Tpm2,
    /// Sealed to the TPM; a file has the key before as it is, because another release's store needs it.
    Tpm2BesideFile,
}

impl Protection {
    /// In words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Unsealed => "nothing: whoever reads the disk can read the key",
            Self::Tpm2 => "the TPM of this box",
            Self::Tpm2BesideFile => {
                "the TPM of this box; the key before is still in a file, for the release in the other slot"
            }
        }
    }

    /// For programs to read; it never changes.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unsealed => "unsealed file",
            Self::Tpm2 => "tpm2",
            Self::Tpm2BesideFile => "tpm2, and an unsealed file",
        }
    }
}

/// The key that seals.
pub struct DataKey {
    key: LessSafeKey,
    random: SystemRandom,
    sealed: Sealed,
}

/// How the key that seals is kept itself.
enum Sealed {
    /// In a file.
    No,
    /// To the TPM.
    Tpm2(Box<Before>),
}

/// What sealed before the key that seals.
#[derive(Default)]
struct Before {
    key: Option<LessSafeKey>,
    file: AtomicBool,
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataKey").field("protection", &self.protection()).finish_non_exhaustive()
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
    /// The credential is no key.
    #[error(
        "credential {} has {bytes} bytes, which are no key: give {KEY_BYTES} bytes or {HEX_DIGITS} hexadecimal digits",
        .path.display()
    )]
    Credential {
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
    /// The key that the service manager gives in the folder `credentials`, or without one that in `path`, as [`load`](Self::load) has it.
    ///
    /// # Errors
    /// [`DataKeyError`] if it cannot be read or made, or the credential is no key.
    pub fn of_box(path: &Path, credentials: Option<&Path>) -> Result<Self, DataKeyError> {
        let Some(credential) = credentials.map(|folder| folder.join(CREDENTIAL)) else {
            return Self::load(path);
        };
        // It belongs to the service manager, which lets nobody else read it.
        let given = match std::fs::read(&credential) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Self::load(path),
            // A box without a TPM, or one whose TPM fails, has an empty one.
            Ok(empty) if empty.is_empty() => return Self::load(path),
            given => given.map_err(|error| DataKeyError::File { path: credential.clone(), error })?,
        };
        let no_key = DataKeyError::Credential { path: credential, bytes: given.len() };
        let key = written_key(&given).and_then(|bytes| key_of(&bytes)).ok_or(no_key)?;
        let before =
            files::read(path).map_err(|error| DataKeyError::File { path: path.to_owned(), error })?;
        let before = before.and_then(|bytes| key_of(&bytes));
        let file = AtomicBool::new(before.is_some());
        let sealed = Sealed::Tpm2(Box::new(Before { key: before, file }));
        Ok(Self { key, random: SystemRandom::new(), sealed })
    }

    /// The key in `path`. Where there is none, one is made, in a folder that is there; what is there and is none is put aside.
    ///
    /// # Errors
    /// [`DataKeyError`] if it cannot be read or made.
    pub fn load(path: &Path) -> Result<Self, DataKeyError> {
        let at = |error| DataKeyError::File { path: path.to_owned(), error };
        let random = SystemRandom::new();
        let kept = files::read(path).map_err(at)?;
        let is_damaged = kept.as_ref().is_some_and(|bytes| key_of(bytes).is_none());
        if is_damaged {
            std::fs::rename(path, path.with_extension("key.damaged")).map_err(at)?;
        }
        let bytes = match kept.filter(|_| !is_damaged) {
            Some(bytes) => bytes,
            None => {
                let mut bytes = vec![0; KEY_BYTES];
                random.fill(&mut bytes).map_err(|_| DataKeyError::Random)?;
                files::replace(path, &bytes).map_err(at)?;
                bytes
            }
        };
        let key = key_of(&bytes).ok_or(DataKeyError::Random)?;
        Ok(Self { key, random, sealed: Sealed::No })
    }

    /// How the key itself is kept.
    #[must_use]
    pub fn protection(&self) -> Protection {
        match &self.sealed {
            Sealed::No => Protection::Unsealed,
            Sealed::Tpm2(before) if before.file.load(Ordering::Relaxed) => Protection::Tpm2BesideFile,
            Sealed::Tpm2(_) => Protection::Tpm2,
        }
    }

    /// Takes the file of the key before away, once nothing is sealed by that any more.
    ///
    /// # Errors
    /// If it can't be.
    pub fn forget_file(&self, path: &Path) -> io::Result<()> {
        if let Sealed::Tpm2(before) = &self.sealed {
            files::remove(path)?;
            before.file.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    /// What the key before sealed, sealed by this one; `None` where there is nothing to do, or it can't be done.
    #[must_use]
    pub fn reseal(&self, context: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, body) = envelope(sealed).ok()?;
        if open_by(&self.key, context, nonce, body).is_some() {
            return None;
        }
        let plain = open_by(self.before()?, context, nonce, body)?;
        self.seal(context, &plain).ok()
    }

    fn before(&self) -> Option<&LessSafeKey> {
        match &self.sealed {
            Sealed::No => None,
            Sealed::Tpm2(before) => before.key.as_ref(),
        }
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
        let (nonce, body) = envelope(sealed)?;
        let by = |key| open_by(key, context, nonce, body);
        by(&self.key).or_else(|| by(self.before()?)).map(Secret::new).ok_or(OpenError::Wrong)
    }
}

/// The nonce of an envelope, and what is encrypted in it.
fn envelope(sealed: &[u8]) -> Result<([u8; NONCE_LEN], &[u8]), OpenError> {
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
    Ok((*nonce, body))
}

fn open_by(key: &LessSafeKey, context: &str, nonce: [u8; NONCE_LEN], body: &[u8]) -> Option<Vec<u8>> {
    let mut body = body.to_vec();
    let nonce = Nonce::assume_unique_for_key(nonce);
    let plain = key.open_in_place(nonce, bound(context), &mut body).ok()?.len();
    body.truncate(plain);
    Some(body)
}

fn key_of(bytes: &[u8]) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, bytes).ok().map(LessSafeKey::new)
}

/// The key of a credential: as it is, or as hexadecimal digits.
fn written_key(given: &[u8]) -> Option<Vec<u8>> {
    if given.len() == KEY_BYTES {
        return Some(given.to_vec());
    }
    let text = std::str::from_utf8(given).ok()?.trim_end();
    let digits = text.len() == HEX_DIGITS && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).ok();
    digits.then(|| (0..HEX_DIGITS).step_by(2).map(byte).collect())?
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
    fn a_damaged_data_key_is_put_aside_and_one_is_made_in_its_place() {
        let (folder, key) = bench();
        let sealed = key.seal("c", b"s").expect("sealed");
        let path = folder.path().join("data.key");
        std::fs::write(&path, [1; 31]).expect("written");
        let key = DataKey::load(&path).expect("a new key");
        assert_eq!(key.open("c", &sealed).err(), Some(OpenError::Wrong));
        assert_eq!(std::fs::read(folder.path().join("data.key.damaged")).expect("still there"), [1; 31]);
        assert_eq!(std::fs::read(&path).expect("written").len(), KEY_BYTES);
    }

    fn given(key: &[u8]) -> TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(CREDENTIAL), key).expect("written");
        folder
    }

    #[test]
    fn an_empty_credential_is_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let credential = given(b"");
        let key = DataKey::of_box(&folder.path().join("data.key"), Some(credential.path())).expect("a key");
        assert_eq!(key.protection(), Protection::Unsealed);
        assert!(folder.path().join("data.key").exists());
    }

    #[test]
    fn a_credential_is_the_key_as_bytes_or_as_digits_and_no_file_is_made() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("data.key");
        let open = |given: &TempDir| DataKey::of_box(&path, Some(given.path()));
        let key = open(&given(&[0xab; 32])).expect("a key");
        assert_eq!(key.protection(), Protection::Tpm2);
        let sealed = key.seal("c", b"s").expect("sealed");
        let digits = format!("{}\n", "aB".repeat(32));
        let same = open(&given(digits.as_bytes())).expect("the same key");
        assert_eq!(same.open("c", &sealed).expect("opened").expose(), b"s");
        assert!(!path.exists());
        for wrong in [&[7; 31][..], b"\n", "aB".repeat(33).as_bytes(), "xy".repeat(32).as_bytes()] {
            let told = open(&given(wrong)).expect_err("no key").to_string();
            assert!(told.contains("gantry.data-key") && told.contains("are no key"), "{told}");
        }
        // Without one, the file is the key.
        let nothing = tempfile::tempdir().expect("a folder");
        assert_eq!(open(&nothing).expect("a key").protection(), Protection::Unsealed);
    }

    #[test]
    fn what_the_file_sealed_opens_beside_a_credential_and_is_sealed_by_that_from_then_on() {
        let (folder, file) = bench();
        let path = folder.path().join("data.key");
        let sealed = file.seal("c", b"s").expect("sealed");
        let credential = given(&[0xab; 32]);
        let key = DataKey::of_box(&path, Some(credential.path())).expect("a key");
        assert_eq!(key.protection(), Protection::Tpm2BesideFile);
        assert_eq!(key.open("c", &sealed).expect("opened").expose(), b"s");
        assert_eq!(key.reseal("other", &sealed), None);
        let anew = key.reseal("c", &sealed).expect("sealed anew");
        assert_eq!(key.reseal("c", &anew), None);
        key.forget_file(&path).expect("forgotten");
        assert!(!path.exists() && key.protection() == Protection::Tpm2);
        let again = DataKey::of_box(&path, Some(credential.path())).expect("a key");
        assert_eq!(again.open("c", &anew).expect("opened").expose(), b"s");
        assert!(again.open("c", &sealed).is_err());
        // A box whose key is the file's never takes it away.
        let (folder, file) = bench();
        file.forget_file(&folder.path().join("data.key")).expect("nothing is done");
        assert!(folder.path().join("data.key").exists());
    }
}
