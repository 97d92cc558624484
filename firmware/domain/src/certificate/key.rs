//! Which key: what kinds the box makes, and what a key is called by.

use crate::appliance::digest::{hex, sha256_of};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What kind of key the box makes (K2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeyKind {
    /// RSA, 2048 bits.
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    /// RSA, 4096 bits.
    #[serde(rename = "rsa-4096")]
    Rsa4096,
    /// ECDSA on P-256 (FIPS 186-5).
    #[serde(rename = "ecdsa-p256")]
    EcdsaP256,
}

impl KeyKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Rsa2048, Self::Rsa4096, Self::EcdsaP256];

    /// As it is written in an API and in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa4096 => "rsa-4096",
            Self::EcdsaP256 => "ecdsa-p256",
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a key is called by: the SHA-256 of its public half, so that a certificate says itself whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct KeyId(String);

impl KeyId {
    /// The name of the key whose `SubjectPublicKeyInfo` (RFC 5280 4.1.2.7) is this DER.
    #[must_use]
    pub fn of(public_key: &[u8]) -> Self {
        Self(hex(&sha256_of(public_key)))
    }

    /// Reads 64 hexadecimal digits in lower case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        (text.len() == 64 && text.bytes().all(digit)).then(|| Self(text.to_owned()))
    }

    /// 64 hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
