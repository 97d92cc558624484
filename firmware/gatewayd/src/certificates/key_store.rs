//! A folder with the key in use, its chain, and the key that waits for one (K2).
//!
//! ```text
//!  <kind>.<id>.key   a key pair, sealed             generate: key, then `pending`
//!  pending           the id of the key that waits    install:  current.pem (from then on it is so), `pending`, the old key
//!  current.pem       the chain in use; its leaf says which key
//! ```
//! Each file is replaced whole, and in this order, so that a power cut leaves the state before or after; what is left over is
//! taken away at the next start.

use super::data_key::{DataKey, OpenError, Protection, SealError};
use super::files;
use super::own_key::OwnKey;
use crate::net::tls;
use domain::appliance::instant::UnixTime;
use domain::certificate::{
    Chain, CheckedChain, CsrRequest, Expected, ExpiryState, KeyId, KeyKind, Purpose, Refused, check,
};
use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;
use serde::Serialize;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const CURRENT: &str = "current.pem";
const PENDING: &str = "pending";
/// Most files that are looked at; it holds four.
const FILES: usize = 64;

/// Keys and chain of one purpose. It blocks: a key of RSA takes up to some seconds, and each change waits for the disk.
#[derive(Debug)]
pub struct KeyStore {
    folder: PathBuf,
    data_key: Arc<DataKey>,
    current: Option<(OwnKey, Chain)>,
    pending: Option<OwnKey>,
    /// Why a key that is kept can't be opened; it stays until another is in its place.
    unreadable: Option<String>,
}

/// Why something of the store cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum KeyStoreError {
    /// A file.
    #[error("{}: {error}", .path.display())]
    File {
        /// Where.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A key that was sealed does not open.
    #[error("key {}: {error}; make a new key, and have its request signed", .path.display())]
    Sealed {
        /// Where.
        path: PathBuf,
        /// Why.
        error: OpenError,
    },
    /// A key cannot be sealed.
    #[error("a new key cannot be kept: {0}")]
    Seal(#[from] SealError),
    /// The chain is there and its key is not.
    #[error("{} is for key {id}, which is gone; make a new key, and have its request signed", .path.display())]
    KeyGone {
        /// Where the chain is.
        path: PathBuf,
        /// The key.
        id: KeyId,
    },
    /// The chain in use is damaged.
    #[error("{}: {error}", .path.display())]
    Chain {
        /// Where.
        path: PathBuf,
        /// How.
        error: Refused,
    },
    /// A key waits already.
    #[error("key {0} waits for its chain already; give that chain, or give the key up first")]
    Waits(KeyId),
    /// No such key.
    #[error("key {0} is not here any more; make a new request")]
    Unknown(KeyId),
    /// The request is for another kind of key.
    #[error(
        "the request is for a key of {asked}, and key {id} is one of {kind}; ask for the same kind, or make a new key"
    )]
    OtherKind {
        /// Which key.
        id: KeyId,
        /// What it is.
        kind: KeyKind,
        /// What is asked for.
        asked: KeyKind,
    },
    /// The library that makes keys and requests fails.
    #[error("a key or its request cannot be made: {0}")]
    Crypto(String),
}

/// Why an upload was not taken; nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// It is no good.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It is, but cannot be kept.
    #[error(transparent)]
    Store(#[from] KeyStoreError),
}

/// What an administrator is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The chain in use.
    pub current: Option<CurrentStatus>,
    /// The key that waits for its chain.
    pub pending: Option<KeyStatus>,
    /// How keys are kept.
    pub protection: Protection,
    /// Why a key that is kept can't be opened, if one can't.
    pub unreadable: Option<String>,
}

/// The chain in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CurrentStatus {
    /// Its key.
    pub key: KeyStatus,
    /// Its certificates.
    pub chain: Chain,
    /// Where it stands in its life.
    pub expiry: ExpiryState,
}

/// A key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyStatus {
    /// Which.
    pub id: KeyId,
    /// Of what kind.
    pub kind: KeyKind,
}

impl KeyStore {
    /// Opens `folder`, which is made if it is not there. A key that was sealed by another data key is as if it were not there, and is kept.
    ///
    /// # Errors
    /// If a file cannot be read or what it holds is damaged; nothing is changed then.
    pub fn open(folder: &Path, data_key: Arc<DataKey>) -> Result<Self, KeyStoreError> {
        files::folder(folder).map_err(at(folder))?;
        let folder = folder.to_owned();
        let mut store = Self { folder, data_key, current: None, pending: None, unreadable: None };
        let found = store.list()?;
        let current = store.folder.join(CURRENT);
        if let Some(pem) = read(&current)? {
            let chain = Chain::read_kept(&pem)
                .map_err(|error| KeyStoreError::Chain { path: current.clone(), error })?;
            let gone = KeyStoreError::KeyGone { path: current, id: chain.key().clone() };
            match store.load(&found, chain.key()) {
                Err(error @ KeyStoreError::Sealed { .. }) => store.unreadable = Some(error.to_string()),
                key => store.current = Some((key?.ok_or(gone)?, chain)),
            }
        }
        let waits = read(&store.folder.join(PENDING))?;
        let waits = waits.and_then(|id| KeyId::parse(String::from_utf8_lossy(&id).trim()));
        if let Some(id) = waits.filter(|id| !store.is_current(id)) {
            match store.load(&found, &id) {
                Err(error @ KeyStoreError::Sealed { .. }) => store.unreadable = Some(error.to_string()),
                key => store.pending = key?,
            }
        }
        if store.unreadable.is_none() {
            store.tidy(&found)?;
        }
        Ok(store)
    }

    /// Makes a key that waits for its chain; the one in use stays in use.
    ///
    /// # Errors
    /// If one waits already, or it cannot be made or kept.
    pub fn generate(&mut self, kind: KeyKind) -> Result<KeyId, KeyStoreError> {
        if let Some(waits) = &self.pending {
            return Err(KeyStoreError::Waits(waits.id().clone()));
        }
        let key = OwnKey::generate(kind).map_err(crypto)?;
        let sealed = self.data_key.seal(&context(key.kind(), key.id()), key.pkcs8().expose())?;
        self.write(&file_name(key.kind(), key.id()), &sealed)?;
        self.write(PENDING, key.id().as_str().as_bytes())?;
        Ok(self.pending.insert(key).id().clone())
    }

    /// Gives up the key that waits, if one does; no chain for its request will be taken.
    ///
    /// # Errors
    /// If it cannot be taken away.
    pub fn discard_pending(&mut self) -> Result<(), KeyStoreError> {
        self.remove(PENDING)?;
        self.pending.take().map_or(Ok(()), |key| self.remove(&file_name(key.kind(), key.id())))
    }

    /// A request in PEM, signed by the key `id`: the one that waits, or the one in use for a renewal.
    ///
    /// # Errors
    /// If there is no such key, or it is of another kind.
    pub fn csr(&self, id: &KeyId, request: &CsrRequest) -> Result<String, KeyStoreError> {
        let key = self.own_keys().find(|key| key.id() == id);
        let key = key.ok_or_else(|| KeyStoreError::Unknown(id.clone()))?;
        if key.kind() != request.key() {
            let (kind, asked) = (key.kind(), request.key());
            return Err(KeyStoreError::OtherKind { id: id.clone(), kind, asked });
        }
        key.request(request).map_err(crypto)
    }

    /// Holds an upload against the keys here, and changes nothing.
    ///
    /// # Errors
    /// [`Refused`]: all that is wrong with it.
    pub fn check(&self, upload: &[u8], purpose: Purpose<'_>, now: UnixTime) -> Result<CheckedChain, Refused> {
        let keys: Vec<_> = self.own_keys().map(|key| key.id().clone()).collect();
        check(upload, &Expected { keys: &keys, purpose, now })
    }

    /// Takes `chain` into use; if it is for the key that waits, that is the one in use from now on, and the old one is gone.
    ///
    /// # Errors
    /// If its key is not here, or it cannot be kept. What was in use is in use then.
    pub fn install(&mut self, chain: &CheckedChain) -> Result<(), KeyStoreError> {
        let chain = chain.chain().clone();
        let key = self.signer_for(&chain).ok_or_else(|| KeyStoreError::Unknown(chain.key().clone()))?;
        // Nothing is kept that TLS could not use.
        certified(key, &chain)?;
        let pending = self.pending.as_ref().is_some_and(|key| key.id() == chain.key());
        self.write(CURRENT, chain.pem().as_bytes())?;
        let Some(key) = self.pending.take_if(|_| pending) else {
            if let Some((_, current)) = &mut self.current {
                *current = chain;
            }
            return Ok(());
        };
        let old = self.current.replace((key, chain));
        self.unreadable = None;
        self.remove(PENDING)?;
        old.map_or(Ok(()), |(key, _)| self.remove(&file_name(key.kind(), key.id())))
    }

    /// Holds an upload against the keys here and takes it into use.
    ///
    /// # Errors
    /// [`UploadError`]; nothing is changed then.
    pub fn upload(
        &mut self,
        upload: &[u8],
        purpose: Purpose<'_>,
        now: UnixTime,
    ) -> Result<CheckedChain, UploadError> {
        let checked = self.check(upload, purpose, now)?;
        self.install(&checked)?;
        Ok(checked)
    }

    /// Takes chain and key out of use, and away.
    ///
    /// # Errors
    /// If they cannot be taken away.
    pub fn remove_current(&mut self) -> Result<(), KeyStoreError> {
        self.remove(CURRENT)?;
        self.unreadable = None;
        self.current.take().map_or(Ok(()), |(key, _)| self.remove(&file_name(key.kind(), key.id())))
    }

    /// Chain and key in use, for [`tls::Certificates::replace`]; `None` if there are none.
    ///
    /// # Errors
    /// If TLS can do nothing with them.
    pub fn certified(&self) -> Result<Option<Arc<CertifiedKey>>, KeyStoreError> {
        self.current.as_ref().map(|(key, chain)| certified(key, chain)).transpose()
    }

    /// The chain in use.
    #[must_use]
    pub fn chain(&self) -> Option<&Chain> {
        self.current.as_ref().map(|(_, chain)| chain)
    }

    /// The key that waits for its chain.
    #[must_use]
    pub fn pending(&self) -> Option<&KeyId> {
        self.pending.as_ref().map(OwnKey::id)
    }

    /// Why a key that is kept can't be opened, if one can't.
    #[must_use]
    pub fn unreadable(&self) -> Option<&str> {
        self.unreadable.as_deref()
    }

    /// What an administrator is shown at `now`.
    #[must_use]
    pub fn status(&self, now: UnixTime) -> Status {
        let shown = |key: &OwnKey| KeyStatus { id: key.id().clone(), kind: key.kind() };
        let current = self.current.as_ref().map(|(key, chain)| CurrentStatus {
            key: shown(key),
            chain: chain.clone(),
            expiry: chain.expiry(now),
        });
        let protection = self.data_key.protection();
        let (pending, unreadable) = (self.pending.as_ref().map(shown), self.unreadable.clone());
        Status { current, pending, protection, unreadable }
    }

    /// The key that `chain` is for, for a signer in this process.
    pub(super) fn signer_for(&self, chain: &Chain) -> Option<&OwnKey> {
        self.own_keys().find(|key| key.id() == chain.key())
    }

    fn own_keys(&self) -> impl Iterator<Item = &OwnKey> {
        self.pending.iter().chain(self.current.iter().map(|(key, _)| key))
    }

    fn is_current(&self, id: &KeyId) -> bool {
        self.current.as_ref().is_some_and(|(key, _)| key.id() == id)
    }

    /// The names of the keys that are there.
    fn list(&self) -> Result<Vec<(KeyKind, KeyId)>, KeyStoreError> {
        let entries = std::fs::read_dir(&self.folder).map_err(at(&self.folder))?;
        let names = entries.take(FILES).map(|entry| entry.map(|entry| entry.file_name()));
        let names = names.collect::<io::Result<Vec<_>>>().map_err(at(&self.folder))?;
        Ok(names.iter().filter_map(|name| key_of(name.to_str()?)).collect())
    }

    fn load(&self, found: &[(KeyKind, KeyId)], id: &KeyId) -> Result<Option<OwnKey>, KeyStoreError> {
        let Some((kind, _)) = found.iter().find(|(_, found)| found == id) else { return Ok(None) };
        let path = self.folder.join(file_name(*kind, id));
        let Some(sealed) = read(&path)? else { return Ok(None) };
        let pkcs8 = self
            .data_key
            .open(&context(*kind, id), &sealed)
            .map_err(|error| KeyStoreError::Sealed { path: path.clone(), error })?;
        if let Some(anew) = self.data_key.reseal(&context(*kind, id), &sealed) {
            files::replace(&path, &anew).map_err(at(&path))?;
        }
        OwnKey::read(*kind, &pkcs8).map(Some).map_err(crypto)
    }

    /// Takes away what a power cut has left over.
    fn tidy(&self, found: &[(KeyKind, KeyId)]) -> Result<(), KeyStoreError> {
        if self.pending.is_none() {
            self.remove(PENDING)?;
        }
        let mut over = found.iter().filter(|(_, id)| !self.own_keys().any(|key| key.id() == id));
        over.try_for_each(|(kind, id)| self.remove(&file_name(*kind, id)))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), KeyStoreError> {
        let path = self.folder.join(name);
        files::replace(&path, bytes).map_err(at(&path))
    }

    fn remove(&self, name: &str) -> Result<(), KeyStoreError> {
        let path = self.folder.join(name);
        files::remove(&path).map_err(at(&path))
    }
}

fn certified(key: &OwnKey, chain: &Chain) -> Result<Arc<CertifiedKey>, KeyStoreError> {
    let chain = chain.certificates().iter().map(|der| CertificateDer::from(der.clone())).collect();
    tls::certified(chain, key.for_tls()).map_err(crypto)
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, KeyStoreError> {
    files::read(path).map_err(at(path))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> KeyStoreError {
    move |error| KeyStoreError::File { path: path.to_owned(), error }
}

fn crypto(error: impl std::fmt::Display) -> KeyStoreError {
    KeyStoreError::Crypto(error.to_string())
}

fn file_name(kind: KeyKind, id: &KeyId) -> String {
    format!("{kind}.{id}.key")
}

fn key_of(file_name: &str) -> Option<(KeyKind, KeyId)> {
    let (kind, id) = file_name.strip_suffix(".key")?.split_once('.')?;
    let kind = KeyKind::ALL.into_iter().find(|known| known.name() == kind)?;
    Some((kind, KeyId::parse(id)?))
}

/// What a sealed key is bound to, so that none can be taken for another.
fn context(kind: KeyKind, id: &KeyId) -> String {
    format!("keys/{kind}/{id}")
}

#[cfg(test)]
mod tests;
