//! The configuration as one file to keep elsewhere: signed by the box, and under a passphrase with everything that is secret.
//!
//! ```text
//!  {"gantry-archive":1,"schema":2,"made":"2026-11-27T10:00:00Z","signer":"<Ed25519>","salt":"..","contents":"..","signature":".."}
//! ```
//! `contents` is base64 of JSON: the documents, and under a passphrase the secrets too; then it is encrypted by AES-256-GCM under
//! argon2id (RFC 9106) of the passphrase and `salt`. `signature` is Ed25519 (RFC 8032) over all members before it, a line each.

use super::{BOX, Bounds, Configuration, Done, NotDone, now, secrets};
use argon2::{Algorithm, Argon2, Params, Version};
use base::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use domain::api::Kind;
use domain::config::schema::{Documents, SCHEMA, STEPS, Unknown};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use store::{Edit, Expected, Key};

/// The form of an archive.
const FORM: u32 = 1;
/// Where the key that signs is kept, sealed, under `secrets`.
const SIGNING_KEY: &str = "box/archive-key";
/// Where one is put aside that can't be opened any more.
const LOST_SIGNING_KEY: &str = "box/archive-key.lost";
/// The only nonce of a key that is made anew, with its salt, for each archive.
const NONCE: [u8; 12] = [0; 12];
/// Shortest passphrase, in characters.
pub const PASSPHRASE_CHARS: usize = 10;
/// Most of what can't be said in this schema that the audit log has of an import.
const LINES: usize = 50;
/// Largest archive, in bytes.
pub const ARCHIVE_BYTES: usize = 32 * 1024 * 1024;

/// An archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// Its form.
    #[serde(rename = "gantry-archive")]
    pub form: u32,
    /// The schema of its documents.
    pub schema: u32,
    /// When it was made.
    pub made: String,
    /// The public key of the box that made it, in base64.
    pub signer: String,
    /// What the passphrase was salted with, in base64; empty without one.
    pub salt: String,
    /// What it holds, in base64.
    pub contents: String,
    /// Over all before it, in base64.
    pub signature: String,
}

/// What an archive holds.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contents {
    /// By collection and id.
    pub documents: BTreeMap<String, BTreeMap<String, Value>>,
    /// What is secret, by where it is kept; without a passphrase nothing.
    pub secrets: BTreeMap<String, String>,
}

/// An archive that is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is none.
    #[error("this is no archive of a gateway's configuration: {0}")]
    Unreadable(String),
    /// It is of a release that has another form of archives.
    #[error(
        "the archive has form {0}, and this release reads form {FORM}; import it with the release that made it"
    )]
    Form(u32),
    /// It is of a release that knows more schemas.
    #[error("the archive has a schema that is not known here: {0}")]
    Schema(#[from] Unknown),
    /// It was changed since it was made.
    #[error("the archive's signature is wrong: it was changed or damaged after it was made")]
    Signature,
    /// Another box made it.
    #[error(
        "another box made this archive (key {0}); import it with that key as the trusted signer if you know it"
    )]
    Stranger(String),
    /// It needs a passphrase.
    #[error("the archive is encrypted; give its passphrase")]
    Locked,
    /// The passphrase is not its.
    #[error("the passphrase is wrong")]
    Passphrase,
    /// A new passphrase won't do.
    #[error("the passphrase is too short; take at least {PASSPHRASE_CHARS} characters")]
    Short,
    /// The box can't make one.
    #[error("no archive could be made: {0}")]
    Make(String),
    /// What it holds can't be the configuration.
    #[error(transparent)]
    NotDone(#[from] NotDone),
}

impl Archive {
    /// Reads one.
    ///
    /// # Errors
    /// If it is none, or of another form, or was changed.
    pub fn parse(text: &[u8]) -> Result<Self, ArchiveError> {
        if text.len() > ARCHIVE_BYTES {
            return Err(ArchiveError::Unreadable(format!("it has more than {ARCHIVE_BYTES} bytes")));
        }
        let archive: Self =
            serde_json::from_slice(text).map_err(|error| ArchiveError::Unreadable(error.to_string()))?;
        if archive.form != FORM {
            return Err(ArchiveError::Form(archive.form));
        }
        STEPS.migrate(archive.schema, SCHEMA, &mut Documents::default())?;
        let signer = BASE64.decode(&archive.signer).map_err(|_| ArchiveError::Signature)?;
        let signature = BASE64.decode(&archive.signature).map_err(|_| ArchiveError::Signature)?;
        let good = UnparsedPublicKey::new(&ED25519, signer).verify(archive.signed().as_bytes(), &signature);
        good.map(|()| archive).map_err(|_| ArchiveError::Signature)
    }

    /// What the signature is over.
    fn signed(&self) -> String {
        let Self { form, schema, made, signer, salt, contents, .. } = self;
        format!("gantry-archive\n{form}\n{schema}\n{made}\n{signer}\n{salt}\n{contents}\n")
    }

    /// What it holds.
    ///
    /// # Errors
    /// If `passphrase` is missing or wrong.
    pub fn open(&self, passphrase: Option<&Secret<String>>) -> Result<Contents, ArchiveError> {
        let unreadable = |error: &dyn std::fmt::Display| ArchiveError::Unreadable(error.to_string());
        let mut contents = BASE64.decode(&self.contents).map_err(|error| unreadable(&error))?;
        let plain = match (self.salt.as_str(), passphrase) {
            ("", _) => &contents[..],
            (_, None) => return Err(ArchiveError::Locked),
            (salt, Some(passphrase)) => {
                let salt = BASE64.decode(salt).map_err(|error| unreadable(&error))?;
                let key = key(passphrase, &salt)?;
                let nonce = Nonce::assume_unique_for_key(NONCE);
                key.open_in_place(nonce, Aad::empty(), &mut contents).map_err(|_| ArchiveError::Passphrase)?
            }
        };
        serde_json::from_slice(plain).map_err(|error| unreadable(&error))
    }
}

impl Configuration {
    /// The configuration as an archive; with a passphrase, what is secret is in it.
    ///
    /// # Errors
    /// If the passphrase is too short, or the box has no randomness.
    pub fn export(&self, passphrase: Option<&Secret<String>>) -> Result<Archive, ArchiveError> {
        if passphrase.is_some_and(|passphrase| passphrase.expose().chars().count() < PASSPHRASE_CHARS) {
            return Err(ArchiveError::Short);
        }
        let contents = serde_json::to_vec(&self.contents(passphrase.is_some()));
        let mut contents = contents.map_err(|error| ArchiveError::Make(error.to_string()))?;
        let mut salt = Vec::new();
        if let Some(passphrase) = passphrase {
            salt = vec![0; 16];
            SystemRandom::new()
                .fill(&mut salt)
                .map_err(|_| ArchiveError::Make("no randomness".to_owned()))?;
            let nonce = Nonce::assume_unique_for_key(NONCE);
            let sealed = key(passphrase, &salt)?.seal_in_place_append_tag(nonce, Aad::empty(), &mut contents);
            sealed.map_err(|_| ArchiveError::Make("it could not be encrypted".to_owned()))?;
        }
        let signing = self.signing_key()?;
        let mut archive = Archive {
            form: FORM,
            schema: SCHEMA,
            made: now().to_string(),
            signer: BASE64.encode(signing.public_key()),
            salt: BASE64.encode(salt),
            contents: BASE64.encode(contents),
            signature: String::new(),
        };
        archive.signature = BASE64.encode(signing.sign(archive.signed().as_bytes()));
        Ok(archive)
    }

    /// Makes the configuration what `archive` holds. Secrets that are not in it stay as they are. One that another box made is taken
    /// only if its key is `trusted`.
    ///
    /// # Errors
    /// If it can't be; nothing is changed then.
    pub fn import(
        &self,
        by: &str,
        archive: &Archive,
        passphrase: Option<&Secret<String>>,
        trusted: Option<&str>,
    ) -> Result<Done, ArchiveError> {
        self.import_within(by, archive, passphrase, trusted, &|_, _| Ok(()))
    }

    /// As [`import`](Self::import), if `bounds` allow what the configuration becomes.
    ///
    /// # Errors
    /// As [`import`](Self::import), and what is out of bounds.
    pub fn import_within(
        &self,
        by: &str,
        archive: &Archive,
        passphrase: Option<&Secret<String>>,
        trusted: Option<&str>,
        bounds: Bounds<'_>,
    ) -> Result<Done, ArchiveError> {
        let own = BASE64.encode(self.signing_key()?.public_key());
        if archive.signer != own && trusted != Some(archive.signer.as_str()) {
            return Err(ArchiveError::Stranger(archive.signer.clone()));
        }
        let (contents, unsaid) = archive.open(passphrase)?.migrated(archive.schema)?;
        let edits = self.replacing(&contents)?;
        let mut detail = vec![format!("archive of {} by {}", archive.made, archive.signer)];
        detail.extend(unsaid.iter().take(LINES).map(ToString::to_string));
        Ok(self.commit_within(by, "import", detail, edits, bounds)?)
    }

    /// What makes the configuration `contents`.
    pub(super) fn replacing(&self, contents: &Contents) -> Result<Vec<Edit>, ArchiveError> {
        let unreadable = |error: &dyn std::fmt::Display| ArchiveError::Unreadable(error.to_string());
        let key = |collection: &str, id: &str| Key::new(collection, id).map_err(|error| unreadable(&error));
        let (_, documents) = self.store.all();
        let gone = documents.keys().filter(|key| Kind::of(key.collection(), key.id()).is_some());
        let gone = gone.filter(|key| {
            !contents.documents.get(key.collection()).is_some_and(|of| of.contains_key(key.id()))
        });
        let mut edits = Vec::new();
        for place in gone {
            edits.push(Edit::remove(place.clone(), Expected::Anything));
            let kind = Kind::of(place.collection(), place.id());
            for secret in kind.into_iter().flat_map(|kind| secrets::ids(kind, place.id())) {
                edits.push(Edit::remove(key(secrets::COLLECTION, &secret)?, Expected::Anything));
            }
        }
        let mut places = BTreeSet::new();
        for (collection, id, body) in
            contents.documents.iter().flat_map(|(of, all)| all.iter().map(move |(id, body)| (of, id, body)))
        {
            let kind = Kind::of(collection, id).ok_or_else(|| {
                ArchiveError::Unreadable(format!("{collection}/{id} is no resource of this release"))
            })?;
            let body = kind.shape(body).map_err(|error| unreadable(&error))?;
            places.extend(secrets::ids(kind, id));
            edits.push(Edit::put(key(collection, id)?, Expected::Anything, body.to_string().as_bytes()));
        }
        for (id, plain) in &contents.secrets {
            // Only what belongs to a resource of the archive: the box's own keys are not its.
            if !places.contains(id) {
                return Err(ArchiveError::Unreadable(format!("{id} is no secret of a resource in it")));
            }
            let sealed = self.secrets.seal(id, plain).map_err(|error| unreadable(&error))?;
            edits.push(Edit::put(key(secrets::COLLECTION, id)?, Expected::Anything, &sealed));
        }
        Ok(edits)
    }

    /// What an archive holds, with or without what is secret.
    pub(super) fn contents(&self, with_secrets: bool) -> Contents {
        let (_, documents) = self.store.all();
        let mut contents = Contents::default();
        for (key, document) in &documents {
            let Some(kind) = Kind::of(key.collection(), key.id()) else { continue };
            let Ok(body) = serde_json::from_slice::<Value>(&document.body) else { continue };
            contents
                .documents
                .entry(key.collection().to_owned())
                .or_default()
                .insert(key.id().to_owned(), body);
            // What can't be opened is not in it, and the box it is brought to asks for it.
            let secrets = self.secrets.of(kind, key.id(), &documents).into_iter().filter(|_| with_secrets);
            contents.secrets.extend(secrets.filter_map(|(place, plain)| Some((place.id(), plain?))));
        }
        contents
    }

    /// The key that signs archives, made when it is first needed.
    fn signing_key(&self) -> Result<Ed25519KeyPair, ArchiveError> {
        let broken = |what: &str| ArchiveError::Make(format!("the box's signing key {what}"));
        let place = Key::new(secrets::COLLECTION, SIGNING_KEY).map_err(|error| broken(&error.to_string()))?;
        let kept = self.store.get(&place).map_err(|error| broken(&error.to_string()))?;
        let opened = kept.as_ref().and_then(|kept| self.secrets.open(SIGNING_KEY, &kept.body));
        let pkcs8 = match opened {
            Some(pkcs8) => pkcs8,
            None => {
                let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
                    .map_err(|_| broken("can't be made"))?;
                let text = BASE64.encode(made.as_ref());
                let sealed =
                    self.secrets.seal(SIGNING_KEY, &text).map_err(|error| broken(&error.to_string()))?;
                let mut edits = vec![Edit::put(place, Expected::Anything, &sealed)];
                // One that can't be opened may be, once the key it was sealed by is found again.
                if let (Some(kept), Ok(aside)) = (kept, Key::new(secrets::COLLECTION, LOST_SIGNING_KEY)) {
                    edits.push(Edit::put(aside, Expected::Anything, &kept.body));
                }
                self.commit(BOX, "make-signing-key", Vec::new(), edits)?;
                text
            }
        };
        let pkcs8 = BASE64.decode(pkcs8).map_err(|_| broken("is damaged"))?;
        Ed25519KeyPair::from_pkcs8(&pkcs8).map_err(|_| broken("is damaged"))
    }
}

/// The key of a passphrase.
fn key(passphrase: &Secret<String>, salt: &[u8]) -> Result<LessSafeKey, ArchiveError> {
    let mut bytes = [0; 32];
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::default());
    argon
        .hash_password_into(passphrase.expose().as_bytes(), salt, &mut bytes)
        .map_err(|error| ArchiveError::Unreadable(format!("its salt: {error}")))?;
    let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| ArchiveError::Passphrase)?;
    Ok(LessSafeKey::new(key))
}
