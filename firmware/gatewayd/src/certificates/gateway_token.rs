//! The gateway token (P3): a key of the box, and the chain that the conference's operator signed for it. One is held at a time.

use super::data_key::DataKey;
use super::key_store::{KeyStore, KeyStoreError, Status};
use domain::appliance::instant::UnixTime;
use domain::certificate::{Chain, CheckedChain, CsrRequest, Purpose, Refused};
use meet::interop::{GatewayToken, TokenError};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

/// The gateway token that joins are signed with; clones share it.
#[derive(Debug, Clone, Default)]
pub struct HeldToken(Arc<RwLock<Option<GatewayToken>>>);

impl HeldToken {
    /// The next join is signed with `token`, or with none.
    pub fn replace(&self, token: Option<GatewayToken>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = token;
    }

    /// What a join is signed with now.
    #[must_use]
    pub fn current(&self) -> Option<GatewayToken> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Request, upload and status of the gateway token.
#[derive(Debug)]
pub struct TokenHolder {
    keys: KeyStore,
    held: HeldToken,
}

/// Why the token is not what it was asked to be.
#[derive(Debug, thiserror::Error)]
pub enum HolderError {
    /// The upload is no good.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It cannot be kept.
    #[error("gateway token: {0}")]
    Store(#[from] KeyStoreError),
    /// Nothing can be signed with it.
    #[error(transparent)]
    Token(#[from] TokenError),
}

impl TokenHolder {
    /// Opens `folder`, and hands what is in it to `held`.
    ///
    /// # Errors
    /// If what is there cannot be read or used.
    pub fn open(folder: &Path, data_key: Arc<DataKey>, held: HeldToken) -> Result<Self, HolderError> {
        let holder = Self { keys: KeyStore::open(folder, data_key)?, held };
        let token = holder.keys.chain().map_or(Ok(None), |chain| holder.token(chain))?;
        holder.held.replace(token);
        Ok(holder)
    }

    /// The request, in PEM, to be handed out as [`domain::certificate::GATEWAY_TOKEN_REQUEST_FILE`]. It is made with the key that
    /// waits for its token, or with a new one; the token in use stays in use.
    ///
    /// # Errors
    /// If no key can be made, or one of another kind waits.
    pub fn request(&mut self, request: &CsrRequest) -> Result<String, HolderError> {
        let id = match self.keys.pending() {
            Some(id) => id.clone(),
            None => self.keys.generate(request.key())?,
        };
        Ok(self.keys.csr(&id, request)?)
    }

    /// Gives up the key that waits, so that a new request is made with another.
    ///
    /// # Errors
    /// If it cannot be taken away.
    pub fn discard_request(&mut self) -> Result<(), HolderError> {
        Ok(self.keys.discard_pending()?)
    }

    /// Takes a signed token into use, in the place of the one before: the next join is signed with it.
    ///
    /// # Errors
    /// [`HolderError`]; nothing is changed then.
    pub fn upload(&mut self, upload: &[u8], now: UnixTime) -> Result<CheckedChain, HolderError> {
        let checked = self.keys.check(upload, Purpose::GatewayToken, now)?;
        let token = self.token(checked.chain())?;
        self.keys.install(&checked)?;
        self.held.replace(token);
        Ok(checked)
    }

    /// Takes the token out of use: from now on access tokens alone decide.
    ///
    /// # Errors
    /// If it cannot be taken away.
    pub fn remove(&mut self) -> Result<(), HolderError> {
        self.keys.remove_current()?;
        self.held.replace(None);
        Ok(())
    }

    /// What an administrator is shown at `now`; an alarm stands where it is not good (P3, P17).
    #[must_use]
    pub fn status(&self, now: UnixTime) -> Status {
        self.keys.status(now)
    }

    /// Why a key that is kept can't be opened, if one can't.
    #[must_use]
    pub fn unreadable(&self) -> Option<&str> {
        self.keys.unreadable()
    }

    /// When the token in use ends.
    #[must_use]
    pub fn ends(&self) -> Option<UnixTime> {
        self.keys.chain().map(Chain::not_after)
    }

    /// What signs: the leaf's common name is the gateway's name. `None` if the key is not here, which installing refuses.
    fn token(&self, chain: &Chain) -> Result<Option<GatewayToken>, TokenError> {
        let name = chain.common_name().unwrap_or_default();
        let key = self.keys.signer_for(chain);
        key.map(|key| GatewayToken::new(name, &key.pem(), &chain.pem())).transpose()
    }
}

#[cfg(test)]
mod tests;
