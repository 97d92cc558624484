//! What is secret in a resource lies apart from it, sealed: `secrets/<collection>/<id>`.

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

    /// `body` without what is secret in it, and that with its place, sealed.
    ///
    /// # Errors
    /// If it is too large to be sealed.
    pub fn part(
        &self,
        kind: Kind,
        name: &str,
        mut body: Value,
    ) -> Result<(Value, Option<(String, Vec<u8>)>), SealError> {
        let secret = kind.secret().and_then(|field| body.as_object_mut()?.remove(field));
        let id = id(kind, name);
        let sealed =
            secret.as_ref().and_then(Value::as_str).map(|plain| self.seal(&id, plain)).transpose()?;
        Ok((body, sealed.map(|sealed| (id, sealed))))
    }

    /// What is secret of a resource, with its place.
    ///
    /// # Errors
    /// If it can't be opened.
    pub fn of(
        &self,
        kind: Kind,
        name: &str,
        documents: &Documents,
    ) -> Result<Option<(String, String)>, SecretsError> {
        let id = id(kind, name);
        let place = kind.secret().and_then(|_| Key::new(COLLECTION, &id).ok());
        let Some(sealed) = place.and_then(|key| documents.get(&key)) else { return Ok(None) };
        let plain = self.open(&id, &sealed.body).ok_or_else(|| SecretsError(id.clone()))?;
        Ok(Some((id, plain)))
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
        if let (Some(field), Some((_, plain))) = (kind.secret(), self.of(kind, name, documents)?)
            && let Some(fields) = body.as_object_mut()
        {
            fields.insert(field.to_owned(), Value::String(plain));
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
pub fn id(kind: Kind, name: &str) -> String {
    format!("{}/{name}", kind.collection())
}
