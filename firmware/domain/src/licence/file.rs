//! A licence file: a JSON payload signed with Ed25519, as a JSON Web Signature (RFC 7515 7.1, RFC 8037) that can be pasted.
//!
//! ```text
//! -----BEGIN GANTRY LICENCE-----
//! eyJhbGciOiJFZERTQSIsImtpZCI6ImFjbWUiLCJ0eXAiOiJnYW50cnktbGljZW5jZSJ9.      {"alg":"EdDSA","kid":"acme","typ":"gantry-licence"}
//! eyJpZCI6IkdMLTEiLCJob2xkZXIiOiJFeGFtcGxlIiwiY291bnRzIjp7ImNhbGxzIjoyMH0s... {"id":"GL-1","holder":"Example","counts":{"calls":20},
//! ...                                                                          "not_before":"2026-01-01","not_after":"2026-12-31"}
//! mqXvLgZ4...                                                                 the signature of both
//! -----END GANTRY LICENCE-----
//! ```
//! Spaces and line ends mean nothing, and the two lines round it may be missing. Counts are `calls` (call licences) and
//! `gateway-tokens` (access tokens that may exist); days are in UTC, the last one included; `serial` binds it to one box. Nothing
//! of the payload is read before its signature is checked, and what is not known in it is refused: it may be a condition.

use super::{SOON, Standing};
use crate::appliance::instant::UnixTime;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::fmt;

/// Largest file taken, in bytes.
pub const FILE_BYTES: usize = 16 * 1024;
/// Most of anything that one licence counts.
pub const COUNT_MAX: u32 = 1_000_000;
/// Longest id, holder, serial number and name of a key, in characters.
const NAME_CHARS: usize = 128;
const BEGIN: &str = "-----BEGIN GANTRY LICENCE-----";
const END: &str = "-----END GANTRY LICENCE-----";
const DAY_SECONDS: u64 = 86_400;
/// An Ed25519 public key, in bytes (RFC 8032 5.1.5).
const KEY_BYTES: usize = 32;

/// A key that licences are signed with, as far as the box may know it.
#[derive(Clone, PartialEq, Eq)]
pub struct VendorKey {
    name: String,
    key: [u8; KEY_BYTES],
}

/// Why a text is no vendor key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VendorKeyError {
    /// There is no name before the key.
    #[error("has no name; write <name>:<32 bytes in base64>, the name as it is in licences")]
    NoName,
    /// It is no key.
    #[error("{0:?} is followed by no Ed25519 key; write its 32 bytes in base64 (44 characters)")]
    NoKey(String),
}

/// A licence whose signature was checked, for this box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Licence {
    id: String,
    holder: String,
    calls: u32,
    gateway_tokens: u32,
    not_before: UnixTime,
    not_after: UnixTime,
    serial: Option<String>,
    compact: String,
}

/// What is wrong with a licence file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LicenceError {
    /// It is no licence file, or was damaged.
    #[error("this licence can't be read: {0}; paste all of it, from BEGIN to END")]
    Unreadable(String),
    /// It is signed, but says something this release doesn't know.
    #[error(
        "licence is signed, but not one that this release understands: {0}; update the box or ask the vendor"
    )]
    NotUnderstood(String),
    /// The box doesn't know who signed it.
    #[error("licence is signed by {signer:?}, whom this box doesn't know; it knows {known}")]
    UnknownSigner {
        /// Whose it says it is.
        signer: String,
        /// Who is known.
        known: String,
    },
    /// It is not what was signed.
    #[error("licence is not as {0:?} signed it: it was changed on its way; have it sent again")]
    BadSignature(String),
    /// Its first day is yet to come.
    #[error("licence {id:?} is not valid before {from}; upload it then, or have it kept until then")]
    NotYetValid {
        /// Which.
        id: String,
        /// From then on.
        from: UnixTime,
    },
    /// Its last day is over.
    #[error("licence {id:?} expired: it was valid until {until}; ask the vendor for a new one")]
    Expired {
        /// Which.
        id: String,
        /// Until then.
        until: UnixTime,
    },
    /// It is bound to another box.
    #[error("licence {id:?} is for the box {serial:?}, and this one is {own}")]
    OtherBox {
        /// Which.
        id: String,
        /// The other box's serial number.
        serial: String,
        /// What this box is.
        own: String,
    },
    /// There is one of this id.
    #[error("licence {0:?} is here already; it counts once")]
    SameId(String),
    /// There are too many.
    #[error("{} licences are here, and no more are taken; remove one that expired", super::MAX_LICENCES)]
    TooMany,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    kid: String,
    typ: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    id: String,
    holder: String,
    counts: Counts,
    not_before: String,
    not_after: String,
    #[serde(default)]
    serial: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Counts {
    #[serde(default)]
    calls: u32,
    #[serde(default)]
    gateway_tokens: u32,
}

impl VendorKey {
    /// Reads `<name>:<base64>`.
    ///
    /// # Errors
    /// [`VendorKeyError`] if it is none.
    pub fn parse(text: &str) -> Result<Self, VendorKeyError> {
        let (name, key) = text.trim().split_once(':').ok_or(VendorKeyError::NoName)?;
        if !is_name(name) {
            return Err(VendorKeyError::NoName);
        }
        let bytes = STANDARD.decode(key).ok().and_then(|bytes| bytes.try_into().ok());
        let key = bytes.ok_or_else(|| VendorKeyError::NoKey(name.to_owned()))?;
        Ok(Self { name: name.to_owned(), key })
    }

    /// What licences call it (`kid`).
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Debug for VendorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VendorKey({:?})", self.name)
    }
}

impl Licence {
    /// Reads a licence file for the box with this serial number. Its days are not looked at: see [`check`](Self::check).
    ///
    /// # Errors
    /// [`LicenceError`]: what is wrong with it, in a sentence of its own.
    pub fn read(text: &str, keys: &[VendorKey], serial: Option<&str>) -> Result<Self, LicenceError> {
        let compact = compact(text)?;
        let parts: Vec<_> = compact.split('.').collect();
        let [header, payload, signature] = parts[..] else {
            return Err(unreadable(format!("it has {} parts where a licence has three", parts.len())));
        };
        let signed = &compact[..header.len() + 1 + payload.len()];
        let key = signer(header, keys)?;
        let signature = decoded(signature, "signature")?;
        UnparsedPublicKey::new(&ED25519, key.key)
            .verify(signed.as_bytes(), &signature)
            .map_err(|_| LicenceError::BadSignature(key.name.clone()))?;
        let payload: Payload = json(&decoded(payload, "payload")?).map_err(LicenceError::NotUnderstood)?;
        let licence = payload.checked(compact)?;
        licence.is_for(serial)?;
        Ok(licence)
    }

    /// Whether it counts at `now`.
    ///
    /// # Errors
    /// [`LicenceError::NotYetValid`] and [`LicenceError::Expired`] if not.
    pub fn check(&self, now: UnixTime) -> Result<(), LicenceError> {
        if now < self.not_before {
            return Err(LicenceError::NotYetValid { id: self.id.clone(), from: self.not_before });
        }
        if now > self.not_after {
            return Err(LicenceError::Expired { id: self.id.clone(), until: self.not_after });
        }
        Ok(())
    }

    /// What it is worth at `now`.
    #[must_use]
    pub fn standing(&self, now: UnixTime) -> Standing {
        let soon = UnixTime(now.0.saturating_add(SOON.as_secs()));
        match self.check(now) {
            Ok(()) if self.not_after <= soon => Standing::EndsSoon,
            Ok(()) => Standing::Counts,
            Err(LicenceError::NotYetValid { .. }) => Standing::Later,
            Err(_) => Standing::Over,
        }
    }

    fn is_for(&self, serial: Option<&str>) -> Result<(), LicenceError> {
        match &self.serial {
            Some(bound) if Some(bound.as_str()) != serial => Err(LicenceError::OtherBox {
                id: self.id.clone(),
                serial: bound.clone(),
                own: serial.map_or_else(|| "without a serial number".to_owned(), |own| format!("{own:?}")),
            }),
            _ => Ok(()),
        }
    }

    /// Its name, unique among the vendor's.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whose it is.
    #[must_use]
    pub fn holder(&self) -> &str {
        &self.holder
    }

    /// How many call licences.
    #[must_use]
    pub const fn calls(&self) -> u32 {
        self.calls
    }

    /// How many access tokens may exist by it.
    #[must_use]
    pub const fn gateway_tokens(&self) -> u32 {
        self.gateway_tokens
    }

    /// Its first second.
    #[must_use]
    pub const fn not_before(&self) -> UnixTime {
        self.not_before
    }

    /// Its last second.
    #[must_use]
    pub const fn not_after(&self) -> UnixTime {
        self.not_after
    }

    /// The box it is bound to.
    #[must_use]
    pub fn serial(&self) -> Option<&str> {
        self.serial.as_deref()
    }

    /// The file, as short as it can be: to be kept and read again.
    #[must_use]
    pub fn compact(&self) -> &str {
        &self.compact
    }
}

impl Payload {
    fn checked(self, compact: String) -> Result<Licence, LicenceError> {
        let wrong = |message: &str| Err(LicenceError::NotUnderstood(message.to_owned()));
        let day = |text: &str| UnixTime::parse(text).filter(|_| text.len() == "2026-11-05".len());
        let Payload { id, holder, counts: Counts { calls, gateway_tokens }, not_before, not_after, serial } =
            self;
        let (Some(first), Some(last)) = (day(&not_before), day(&not_after)) else {
            return wrong("not_before and not_after must be days, such as 2026-11-05");
        };
        if last < first {
            return wrong("not_after is before not_before");
        }
        if ![&id, &holder].into_iter().chain(&serial).all(|name| is_name(name)) {
            return wrong("id, holder and serial must have 1 to 128 printable characters");
        }
        if calls.max(gateway_tokens) > COUNT_MAX || (calls, gateway_tokens) == (0, 0) {
            return wrong("counts must give calls or gateway-tokens, at most 1000000");
        }
        let not_after = UnixTime(last.0 + DAY_SECONDS - 1);
        Ok(Licence { id, holder, calls, gateway_tokens, not_before: first, not_after, serial, compact })
    }
}

fn unreadable(what: impl Into<String>) -> LicenceError {
    LicenceError::Unreadable(what.into())
}

/// The three parts without what stands round and between them.
fn compact(text: &str) -> Result<String, LicenceError> {
    if text.len() > FILE_BYTES {
        return Err(unreadable(format!("it has {} bytes, and a licence at most {FILE_BYTES}", text.len())));
    }
    let inner = match text.split_once(BEGIN) {
        Some((_, rest)) => {
            let (inner, after) =
                rest.split_once(END).ok_or_else(|| unreadable("it is cut off before its END"))?;
            if after.contains(BEGIN) {
                return Err(unreadable("there are two licences in it, add them one by one"));
            }
            inner
        }
        None => text,
    };
    let compact: String = inner.chars().filter(|c| !c.is_ascii_whitespace() && *c != '\u{feff}').collect();
    if compact.is_empty() { Err(unreadable("it is empty")) } else { Ok(compact) }
}

/// The key of whoever the header says signed it.
fn signer<'k>(header: &str, keys: &'k [VendorKey]) -> Result<&'k VendorKey, LicenceError> {
    let header = decoded(header, "header")?;
    let Header { alg, kid, typ } =
        json(&header).map_err(|error| unreadable(format!("its header is wrong: {error}")))?;
    if alg != "EdDSA" || typ != "gantry-licence" {
        let (alg, typ) = (short(&alg), short(&typ));
        return Err(unreadable(format!(
            "its header says {alg:?} and {typ:?}, not \"EdDSA\" and \"gantry-licence\""
        )));
    }
    keys.iter().find(|key| key.name == kid).ok_or_else(|| {
        let known: Vec<_> = keys.iter().map(|key| format!("{:?}", key.name)).collect();
        let known =
            if known.is_empty() { "nobody, so nothing is metered".to_owned() } else { known.join(", ") };
        LicenceError::UnknownSigner { signer: short(&kid), known }
    })
}

fn decoded(part: &str, what: &str) -> Result<Vec<u8>, LicenceError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| unreadable(format!("its {what} is no base64url")))
}

fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| short(&error.to_string()))
}

fn is_name(text: &str) -> bool {
    let chars = text.chars().count();
    (1..=NAME_CHARS).contains(&chars) && !text.trim().is_empty() && !text.chars().any(char::is_control)
}

/// Not more of a stranger's text than a message holds.
fn short(text: &str) -> String {
    text.chars().take(NAME_CHARS).collect()
}
