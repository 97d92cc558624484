//! Certificates before they are used: what an administrator uploads is read, ordered, and held against the box's own key, its
//! domains and the date (K2, P3). RFC 5280 for certificates, RFC 5922 for names in SIP, RFC 9525 (6125) for names elsewhere.
//!
//! ```text
//!  upload ─▶ blocks ─▶ certificates ─▶ chain: each signed by the next ─▶ leaf: key, names, uses ─▶ CheckedChain, warnings
//!               └───────────┴──────────────────┴─────────────────────────────┴── problems, all at once ─▶ Refused
//!  Draft ─▶ CsrRequest        not after, now ─▶ ExpiryState
//! ```
//! A [`CheckedChain`] comes out of [`check`] alone, so whoever has one need not ask whether it was checked. Names that an authority
//! is constrained to (RFC 5280 4.2.1.10) and revocation are left to those who are shown the chain.

mod blocks;
mod chain;
mod expiry;
mod facts;
mod key;
mod links;
mod names;
mod problem;
pub mod request;

pub use chain::{Chain, CheckedChain, Expected, Purpose, Refused, check};
pub use expiry::{ExpiryState, WARNING_DAYS};
pub use facts::{KeyAlgorithm, Summary};
pub use key::{KeyId, KeyKind};
pub use problem::{Problem, Warning, Which};
pub use request::CsrRequest;

/// Largest upload taken, in bytes.
pub const UPLOAD_BYTES: usize = 64 * 1024;
/// Most certificates of an upload.
pub const UPLOAD_CERTIFICATES: usize = 10;
/// What the file with a gateway token's request is called (P3).
pub const GATEWAY_TOKEN_REQUEST_FILE: &str = "gms_gateway_token_request.csr";

#[cfg(test)]
mod tests;
