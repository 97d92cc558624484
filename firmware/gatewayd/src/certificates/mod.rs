//! The box's keys and what was signed for them (K2, P3): made here, kept sealed, used here, and never handed out.
//!
//! ```text
//!  KeyStore::generate ─▶ pending ─csr▶ the authority ─chain▶ check ─▶ install ─▶ current ─▶ net::tls::Certificates (TLS)
//!                           └─ waits as long as it takes        old chain and key serve on until then
//!  TokenHolder: the same for the gateway token ─▶ HeldToken ─▶ engine::join signs each join's JWT with it
//!  DataKey: AES-256-GCM over every secret at rest
//! ```

pub mod data_key;
pub(crate) mod files;
pub mod gateway_token;
pub mod key_store;
mod own_key;

pub use data_key::{DataKey, Protection};
pub use gateway_token::{HeldToken, TokenHolder};
pub use key_store::KeyStore;

use crate::net::tls::Certificates;

/// What the box proves itself by; clones share it, so that a replacement is seen wherever one is used.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// Chain and key for those who connect over TLS.
    pub tls: Certificates,
    /// The gateway token.
    pub gateway_token: HeldToken,
}
