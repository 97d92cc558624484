//! What is secret in a resource lies apart from it, sealed: `secrets/<collection>/<id>#<field>`.

use crate::certificates::data_key::SealError;
use crate::certificates::{DataKey, Protection};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use domain::api::Kind;
use ring::hmac;
use ring::rand::SystemRandom;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use store::{Documents, Key};

/// Where sealed values are kept.
pub const COLLECTION: &str = domain::config::schema::SECRETS;

/// Seals and opens what is secret.
pub struct Secrets {
    key: Arc<DataKey>,
    /// Makes what stands for secrets that can't be opened; nothing else is ever made with it.
    stand_ins: Option<hmac::Key>,
}

/// A body, and what was secret in it.
pub struct Parted {
    /// What is shown.
    pub body: Value,
    /// Each secret's place with it sealed; nothing where it is taken away.
    pub sealed: Vec<(String, Option<Vec<u8>>)>,
}

/// Where a secret of a resource is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretPlace {
    /// What it is a secret of.
    pub kind: Kind,
    /// The name of that.
    pub name: String,
    /// The field.
    pub field: &'static str,
}

impl SecretPlace {
    /// Where it is kept.
    #[must_use]
    pub fn id(&self) -> String {
        id(self.kind, &self.name, self.field)
    }
}

impl fmt::Display for SecretPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}/{}", self.field, self.kind.collection(), self.name)
    }
}

impl Secrets {
    /// Sealed by `key`.
    #[must_use]
    pub fn new(key: Arc<DataKey>) -> Self {
        Self { key, stand_ins: hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok() }
    }

    /// What guards the key.
    #[must_use]
    pub fn protection(&self) -> Protection {
        self.key.protection()
    }

    /// `body` without what is secret in it, and that, each with its place, sealed.
    ///
    /// # Errors
    /// If it is too large to be sealed.
    pub fn part(&self, kind: Kind, name: &str, mut body: Value) -> Result<Parted, SealError> {
        let mut sealed = Vec::new();
        for field in kind.secrets() {
            let secret = body.as_object_mut().and_then(|fields| fields.remove(*field));
            if let Some(plain) = secret.as_ref().and_then(Value::as_str) {
                let id = id(kind, name, field);
                // An empty one is none: it is taken away.
                let secret = if plain.is_empty() { None } else { Some(self.seal(&id, plain)?) };
                sealed.push((id, secret));
            }
        }
        Ok(Parted { body, sealed })
    }

    /// What is secret of a resource, each with its place; nothing where it can't be opened.
    pub fn of(&self, kind: Kind, name: &str, documents: &Documents) -> Vec<(SecretPlace, Option<String>)> {
        let mut found = Vec::new();
        for field in kind.secrets() {
            let place = SecretPlace { kind, name: name.to_owned(), field };
            let id = place.id();
            if let Some(sealed) = Key::new(COLLECTION, &id).ok().and_then(|key| documents.get(&key)) {
                found.push((place, self.open(&id, &sealed.body)));
            }
        }
        found
    }

    /// Puts what is secret back into `body`. Says what can't be opened: for that stands what nobody can guess, so that it opens nothing to
    /// anybody. One that is not there is for the reader to miss.
    pub fn join(&self, kind: Kind, name: &str, body: &mut Value, documents: &Documents) -> Vec<SecretPlace> {
        let mut unreadable = Vec::new();
        for (place, plain) in self.of(kind, name, documents) {
            let is_open = plain.is_some();
            if let (Some(secret), Some(fields)) =
                (plain.or_else(|| self.stand_in(&place)), body.as_object_mut())
            {
                fields.insert(place.field.to_owned(), Value::String(secret));
            }
            if !is_open {
                unreadable.push(place);
            }
        }
        unreadable
    }

    /// The same for a place as long as the daemon runs, and another one for each.
    fn stand_in(&self, place: &SecretPlace) -> Option<String> {
        let tag = hmac::sign(self.stand_ins.as_ref()?, place.id().as_bytes());
        Some(BASE64.encode(tag))
    }

    /// `plain`, sealed for the place `id`.
    ///
    /// # Errors
    /// If it is too large, or the system has no randomness.
    pub fn seal(&self, id: &str, plain: &str) -> Result<Vec<u8>, SealError> {
        self.key.seal(id, plain.as_bytes())
    }

    /// What the key before sealed for the place `id`, sealed by that of now, if there is anything to do.
    pub fn reseal(&self, id: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        self.key.reseal(id, sealed)
    }

    /// What was sealed for the place `id`.
    pub fn open(&self, id: &str, sealed: &[u8]) -> Option<String> {
        String::from_utf8(self.key.open(id, sealed).ok()?.expose().clone()).ok()
    }
}

/// Where the secret of a resource is kept.
pub fn id(kind: Kind, name: &str, field: &str) -> String {
    format!("{}/{name}#{field}", kind.collection())
}

/// Where all secrets of a resource are kept.
pub fn ids(kind: Kind, name: &str) -> impl Iterator<Item = String> {
    kind.secrets().iter().map(move |field| id(kind, name, field))
}
