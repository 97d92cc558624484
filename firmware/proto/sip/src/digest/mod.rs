//! Digest authentication (RFC 7616, RFC 2617, RFC 2069; RFC 8760 for SHA in SIP): the sums, a client and a server.
//!
//! ```text
//!  A1 = user:realm:password          HA1 = H(A1), or H(H(A1):nonce:cnonce) for -sess
//!  A2 = method:uri[:H(body)]         HA2 = H(A2), with the body for auth-int
//!  response = H(HA1:nonce:nc:cnonce:qop:HA2), or H(HA1:nonce:HA2) without qop
//! ```
//! rsip's generator is not used for this: it writes the nonce count in decimal, hashes every body as empty, and knows
//! SHA-512 but not SHA-512-256.

mod client;
mod server;

pub use client::{DigestClient, Refusal};
pub use rsip::headers::auth::Qop;
pub use server::{Access, DigestServer, Role};

use crate::headers::{Challenge, Credentials};
use base::Secret;
use md5::Md5;
use sha2::{Digest, Sha256, Sha512_256};
use std::fmt;
use std::fmt::Write as _;

/// A hash function that SIP may use (RFC 8760).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// RFC 1321: broken as a hash, but all that most room systems know.
    Md5,
    /// FIPS 180-4.
    Sha256,
    /// FIPS 180-4, truncated to 256 bits.
    Sha512Trunc256,
}

/// What the key of a digest is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keying {
    /// User, realm and password alone.
    Plain,
    /// Nonces as well (`-sess`).
    Session,
}

/// The `algorithm` of a challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Algorithm {
    /// The hash.
    pub hash: Hash,
    /// What it is keyed with.
    pub keying: Keying,
}

impl Algorithm {
    /// MD5, which a challenge without `algorithm` means.
    pub const MD5: Self = Self { hash: Hash::Md5, keying: Keying::Plain };
    /// SHA-256.
    pub const SHA256: Self = Self { hash: Hash::Sha256, keying: Keying::Plain };
    /// SHA-512-256.
    pub const SHA512_256: Self = Self { hash: Hash::Sha512Trunc256, keying: Keying::Plain };

    /// Reads a name, quotes taken off; `None` if it is none of these.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let (base, keying) = match name.len().checked_sub(5).and_then(|at| name.split_at_checked(at)) {
            Some((base, suffix)) if suffix.eq_ignore_ascii_case("-sess") => (base, Keying::Session),
            _ => (name, Keying::Plain),
        };
        let hash = match base.to_ascii_uppercase().as_str() {
            "MD5" => Hash::Md5,
            "SHA-256" => Hash::Sha256,
            "SHA-512-256" => Hash::Sha512Trunc256,
            _ => return None,
        };
        Some(Self { hash, keying })
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.hash {
            Hash::Md5 => "MD5",
            Hash::Sha256 => "SHA-256",
            Hash::Sha512Trunc256 => "SHA-512-256",
        })?;
        f.write_str(if self.keying == Keying::Session { "-sess" } else { "" })
    }
}

impl Hash {
    /// The sum of `parts` with colons between them, in lower-case hexadecimal.
    fn of(self, parts: &[&[u8]]) -> String {
        match self {
            Self::Md5 => sum::<Md5>(parts),
            Self::Sha256 => sum::<Sha256>(parts),
            Self::Sha512Trunc256 => sum::<Sha512_256>(parts),
        }
    }
}

fn sum<D: Digest>(parts: &[&[u8]]) -> String {
    let mut digest = D::new();
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            digest.update(b":");
        }
        digest.update(part);
    }
    hex(&digest.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// Everything that goes into a response.
struct Inputs<'a> {
    algorithm: Algorithm,
    username: &'a str,
    realm: &'a str,
    password: &'a Secret<String>,
    nonce: &'a str,
    method: &'a str,
    uri: &'a str,
    body: &'a [u8],
    /// Quality of protection with the nonce count as written and the client's nonce; `None` is RFC 2069.
    qop: Option<(&'a Qop, &'a str, &'a str)>,
    /// The client's nonce, which `-sess` needs even without qop.
    cnonce: &'a str,
}

impl Inputs<'_> {
    fn response(&self) -> String {
        let h = |parts: &[&[u8]]| self.algorithm.hash.of(parts);
        let mut ha1 =
            h(&[self.username.as_bytes(), self.realm.as_bytes(), self.password.expose().as_bytes()]);
        if self.algorithm.keying == Keying::Session {
            ha1 = h(&[ha1.as_bytes(), self.nonce.as_bytes(), self.cnonce.as_bytes()]);
        }
        let ha2 = match self.qop {
            Some((Qop::AuthInt, ..)) => {
                h(&[self.method.as_bytes(), self.uri.as_bytes(), h(&[self.body]).as_bytes()])
            }
            _ => h(&[self.method.as_bytes(), self.uri.as_bytes()]),
        };
        match self.qop {
            Some((qop, nc, cnonce)) => {
                let qop = qop.to_string();
                let parts = [&ha1, self.nonce, nc, cnonce, &qop, &ha2].map(str::as_bytes);
                h(&parts)
            }
            None => h(&[ha1.as_bytes(), self.nonce.as_bytes(), ha2.as_bytes()]),
        }
    }
}

/// The algorithm that challenge or credentials name; MD5 if none, `None` if an unknown one.
fn algorithm_of(params: &crate::uri::Params) -> Option<Algorithm> {
    params.unquoted("algorithm").map_or(Some(Algorithm::MD5), |name| Algorithm::parse(&name))
}

/// Whether this is a digest we can answer.
fn is_digest(challenge: &Challenge) -> bool {
    challenge.scheme == crate::headers::AuthScheme::Digest && algorithm_of(&challenge.params).is_some()
}

/// Compares without telling by its time how much is equal.
fn same_in_constant_time(a: &str, b: &str) -> bool {
    let differing = a.bytes().zip(b.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
    a.len() == b.len() && std::hint::black_box(differing) == 0
}

/// The `realm` of credentials.
fn realm_of(credentials: &Credentials) -> Option<String> {
    credentials.params.unquoted("realm")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mufasa(algorithm: Algorithm) -> String {
        // RFC 7616 3.9.1; its MD5 and SHA-256 answers.
        Inputs {
            algorithm,
            username: "Mufasa",
            realm: "http-auth@example.org",
            password: &Secret::new("Circle of Life".into()),
            nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            method: "GET",
            uri: "/dir/index.html",
            body: b"",
            qop: Some((&Qop::Auth, "00000001", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")),
            cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        }
        .response()
    }

    #[test]
    fn the_sums_are_those_of_rfc_7616() {
        assert_eq!(mufasa(Algorithm::MD5), "8ca523f5e9506fed4657c9700eebdbec");
        assert_eq!(
            mufasa(Algorithm::SHA256),
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
        );
    }

    #[test]
    fn sha_512_256_is_the_truncated_hash_and_not_sha_512() {
        // FIPS 180-4, SHA-512/256 of "abc".
        let expected = "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23";
        assert_eq!(Hash::Sha512Trunc256.of(&[b"abc"]), expected);
    }

    #[test]
    fn without_qop_it_is_rfc_2069() {
        let response = Inputs {
            algorithm: Algorithm::MD5,
            username: "Mufasa",
            realm: "testrealm@host.com",
            password: &Secret::new("CircleOfLife".into()),
            nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093",
            method: "GET",
            uri: "/dir/index.html",
            body: b"",
            qop: None,
            cnonce: "",
        }
        .response();
        // Errata 749 of RFC 2069.
        assert_eq!(response, "1949323746fe6a43ef61f9606e7febea");
    }

    #[test]
    fn algorithm_names_are_read_and_written() {
        for name in ["MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256", "SHA-512-256-sess"] {
            assert_eq!(Algorithm::parse(name).map(|a| a.to_string()).as_deref(), Some(name));
        }
        assert_eq!(Algorithm::parse("md5"), Some(Algorithm::MD5));
        assert_eq!(Algorithm::parse("SHA256"), None);
        assert_eq!(Algorithm::parse("é-sess"), None);
    }

    #[test]
    fn comparison_tells_equal_from_different() {
        assert!(same_in_constant_time("abc", "abc"));
        assert!(!same_in_constant_time("abc", "abd") && !same_in_constant_time("abc", "ab"));
    }
}
