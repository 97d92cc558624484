//! What is secret in a resource lies apart from it, sealed: `secrets/<collection>/<id>#<field>`.

use crate::certificates::data_key::SealError;
use crate::certificates::{DataKey, Protection};
use domain::api::Kind;
use serde_json::Value;
use std::sync::Arc;
use store::{Documents, Key};

/// Where sealed values are kept.
pub const COLLECTION: &str = "secrets";

/// Seals and opens what is secret.
pub struct Secrets(Arc<DataKey>);

/// A body, and what was secret in it.
pub struct Parted {
    /// What is shown.
    pub body: Value,
    /// Each secret's place with it sealed; nothing where it is taken away.
    pub sealed: Vec<(String, Option<Vec<u8>>)>,
}

/// A secret that can't be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the secret of {0} was sealed by another key or damaged; write it anew")]
pub struct SecretsError(pub String);

impl Secrets {
    /// Sealed by `key`.
    #[must_use]
    pub const fn new(key: Arc<DataKey>) -> Self {
        Self(key)
    }

    /// What guards the key.
    #[must_use]
    pub fn protection(&self) -> Protection {
        self.0.protection()
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

    /// What is secret of a resource: each with its field and place.
    ///
    /// # Errors
    /// If one can't be opened.
    pub fn of(
        &self,
        kind: Kind,
        name: &str,
        documents: &Documents,
    ) -> Result<Vec<(&'static str, String, String)>, SecretsError> {
        let mut found = Vec::new();
        for field in kind.secrets() {
            let id = id(kind, name, field);
            let Some(sealed) = Key::new(COLLECTION, &id).ok().and_then(|key| documents.get(&key)) else {
                continue;
            };
            let plain = self.open(&id, &sealed.body).ok_or_else(|| SecretsError(id.clone()))?;
            found.push((*field, id, plain));
        }
        Ok(found)
    }

    /// Puts what is secret back into `body`.
    ///
    /// # Errors
    /// If it can't be opened. One that is not there is for the reader to miss.
    pub fn join(
        &self,
        kind: Kind,
        name: &str,
        body: &mut Value,
        documents: &Documents,
    ) -> Result<(), SecretsError> {
        for (field, _, plain) in self.of(kind, name, documents)? {
            if let Some(fields) = body.as_object_mut() {
                fields.insert(field.to_owned(), Value::String(plain));
            }
        }
        Ok(())
    }

    /// `plain`, sealed for the place `id`.
    ///
    /// # Errors
    /// If it is too large, or the system has no randomness.
    pub fn seal(&self, id: &str, plain: &str) -> Result<Vec<u8>, SealError> {
        self.0.seal(id, plain.as_bytes())
    }

    /// What was sealed for the place `id`.
    pub fn open(&self, id: &str, sealed: &[u8]) -> Option<String> {
        String::from_utf8(self.0.open(id, sealed).ok()?.expose().clone()).ok()
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
