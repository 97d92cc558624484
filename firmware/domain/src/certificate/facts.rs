//! What one certificate says (RFC 5280 4.1), as checks and people need it.

use super::blocks::Block;
use super::key::KeyId;
use super::names::{LeafNames, plain, sip_domain};
use super::problem::{Problem, Which};
use crate::appliance::digest::sha256_of;
use crate::appliance::instant::UnixTime;
use serde::{Serialize, Serializer};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use x509_parser::der_parser::oid::Oid;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{SubjectPublicKeyInfo, X509Name};

/// Most characters of a name that are shown.
const NAME_CHARS: usize = 160;
/// Most alternative names that are shown.
const NAMES_SHOWN: usize = 100;

/// What people are told of a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Whose it is, as RFC 4514 writes it.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// Its subject alternative names: DNS names and addresses as they are, URIs with their scheme.
    pub names: Vec<String>,
    /// Good from then on.
    pub not_before: UnixTime,
    /// Good until then.
    pub not_after: UnixTime,
    /// Its key.
    pub key: KeyAlgorithm,
    /// How it is signed.
    pub signature: String,
    /// Its number at its issuer, in hexadecimal.
    pub serial: String,
    /// SHA-256 of the whole, in hexadecimal with colons.
    pub fingerprint: String,
}

/// A public key's kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// RSA, and the bits of its modulus.
    Rsa(usize),
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
    /// Ed25519.
    Ed25519,
    /// Any other, by its object identifier.
    Other(String),
}

impl KeyAlgorithm {
    /// Whether it is as strong as 112 bits at least (NIST SP 800-131A 3), and of a kind that is known here.
    pub(super) const fn is_strong(&self) -> bool {
        match self {
            Self::Rsa(bits) => *bits >= 2048,
            Self::P256 | Self::P384 | Self::Ed25519 => true,
            Self::Other(_) => false,
        }
    }

    fn of(key: &SubjectPublicKeyInfo<'_>) -> Self {
        let curve = key.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
        match (key.parsed(), curve.map(|curve| curve.to_id_string()).as_deref()) {
            (Ok(PublicKey::RSA(rsa)), _) => {
                let zeros = rsa.modulus.iter().take_while(|byte| **byte == 0).count();
                let modulus = &rsa.modulus[zeros..];
                let unused = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
                Self::Rsa(modulus.len() * 8 - unused)
            }
            (Ok(PublicKey::EC(_)), Some("1.2.840.10045.3.1.7")) => Self::P256,
            (Ok(PublicKey::EC(_)), Some("1.3.132.0.34")) => Self::P384,
            (_, Some(curve)) => Self::Other(curve.to_owned()),
            _ if key.algorithm.algorithm.to_id_string() == "1.3.101.112" => Self::Ed25519,
            _ => Self::Other(key.algorithm.algorithm.to_id_string()),
        }
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa(bits) => write!(f, "RSA {bits}"),
            Self::P256 => f.write_str("ECDSA P-256"),
            Self::P384 => f.write_str("ECDSA P-384"),
            Self::Ed25519 => f.write_str("Ed25519"),
            Self::Other(oid) => write!(f, "of the kind {oid}"),
        }
    }
}

impl Serialize for KeyAlgorithm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A certificate of an upload that could be read.
#[derive(Debug)]
pub(super) struct Certificate<'a> {
    pub der: &'a [u8],
    pub x509: X509Certificate<'a>,
    pub which: Which,
    pub summary: Summary,
    /// The key that it is for.
    pub key: KeyId,
}

impl<'a> Certificate<'a> {
    pub fn read(block: &'a Block) -> Result<Self, Problem> {
        let damaged = |why: String| Problem::Damaged { place: block.place, why };
        let (rest, x509) = X509Certificate::from_der(&block.der)
            .map_err(|_| damaged("it is no X.509 certificate".to_owned()))?;
        if !rest.is_empty() {
            return Err(damaged(format!("{} bytes follow it", rest.len())));
        }
        // RFC 5280 4.1.1.2: they must be the same.
        if x509.signature_algorithm != x509.tbs_certificate.signature {
            return Err(damaged("it names two signature algorithms".to_owned()));
        }
        if let Some(broken) = unreadable(&x509) {
            return Err(damaged(format!("its extension {broken} cannot be read or stands twice")));
        }
        let summary = Summary::of(&x509, &block.der);
        let which = Which { place: block.place, subject: summary.subject.clone() };
        let key = KeyId::of(x509.public_key().raw);
        Ok(Self { der: &block.der, x509, which, summary, key })
    }

    /// Whether it says that it issued itself (RFC 5280 3.2: self-issued).
    pub fn is_self_issued(&self) -> bool {
        self.x509.subject().as_raw() == self.x509.issuer().as_raw()
    }

    /// Whether it may sign certificates.
    pub fn is_authority(&self) -> bool {
        let usage = self.x509.key_usage().ok().flatten();
        self.x509.is_ca() && usage.is_none_or(|usage| usage.value.key_cert_sign())
    }

    /// Most authorities below it, where it says so (RFC 5280 4.2.1.9).
    pub fn path_length(&self) -> Option<u32> {
        self.x509.basic_constraints().ok().flatten().and_then(|basic| basic.value.path_len_constraint)
    }

    /// The names that can be those of domains.
    pub fn leaf_names(&self) -> LeafNames {
        let mut names = LeafNames::default();
        for name in alternative_names(&self.x509) {
            match name {
                GeneralName::DNSName(name) => names.dns.push(plain(name)),
                GeneralName::URI(uri) => names.sip.extend(sip_domain(uri)),
                _ => {}
            }
        }
        names
    }

    /// The common name, as it stands there.
    pub fn common_name(&self) -> Option<String> {
        let name = self.x509.subject().iter_common_name().next()?.as_str().ok()?;
        (!name.is_empty()).then(|| name.to_owned())
    }

    /// Whether its signature can be forged: RSA or ECDSA with a digest that collides.
    pub fn has_weak_signature(&self) -> bool {
        let name = &self.summary.signature;
        ["SHA-1", "MD5", "MD2"].iter().any(|weak| name.contains(weak))
    }
}

impl Summary {
    fn of(x509: &X509Certificate<'_>, der: &[u8]) -> Self {
        let time = |stamp: i64| UnixTime(u64::try_from(stamp).unwrap_or_default());
        Self {
            subject: shown(x509.subject()),
            issuer: shown(x509.issuer()),
            names: alternative_names(x509).filter_map(written).take(NAMES_SHOWN).collect(),
            not_before: time(x509.validity().not_before.timestamp()),
            not_after: time(x509.validity().not_after.timestamp()),
            key: KeyAlgorithm::of(x509.public_key()),
            signature: signature(&x509.signature_algorithm.algorithm),
            serial: colons(x509.raw_serial()),
            fingerprint: colons(&sha256_of(der)),
        }
    }
}

/// A name as people read it, cut and made printable.
pub(super) fn shown(name: &X509Name<'_>) -> String {
    printable(&name.to_string())
}

fn printable(text: &str) -> String {
    let mut shown: String = text.chars().filter(|c| !c.is_control()).take(NAME_CHARS).collect();
    if text.chars().count() > NAME_CHARS {
        shown.push_str("...");
    }
    shown
}

/// The first extension that is of no use: one that this reader knows and cannot read, or one of the checked ones that stands twice.
fn unreadable(x509: &X509Certificate<'_>) -> Option<String> {
    let broken = x509.extensions().iter().find(|extension| {
        let parsed = extension.parsed_extension();
        let twice = x509.extensions().iter().filter(|other| other.oid == extension.oid).count() > 1;
        twice || matches!(parsed, ParsedExtension::ParseError { .. })
    });
    broken.map(|extension| extension.oid.to_id_string())
}

fn alternative_names<'x>(x509: &'x X509Certificate<'_>) -> impl Iterator<Item = &'x GeneralName<'x>> {
    let names = x509.subject_alternative_name().ok().flatten();
    names.into_iter().flat_map(|names| names.value.general_names.iter())
}

fn written(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) | GeneralName::URI(name) | GeneralName::RFC822Name(name) => {
            Some(printable(name))
        }
        GeneralName::IPAddress(octets) => address(octets),
        _ => None,
    }
}

fn address(octets: &[u8]) -> Option<String> {
    let four = <[u8; 4]>::try_from(octets).map(|octets| Ipv4Addr::from(octets).to_string());
    four.or_else(|_| <[u8; 16]>::try_from(octets).map(|octets| Ipv6Addr::from(octets).to_string())).ok()
}

/// How a certificate is signed, by the names of RFC 3279, 4055, 5758 and 8410.
fn signature(oid: &Oid<'_>) -> String {
    let oid = oid.to_id_string();
    let name = match &*oid {
        "1.2.840.113549.1.1.2" => "RSA with MD2",
        "1.2.840.113549.1.1.4" => "RSA with MD5",
        "1.2.840.113549.1.1.5" | "1.3.14.3.2.29" => "RSA with SHA-1",
        "1.2.840.113549.1.1.11" => "RSA with SHA-256",
        "1.2.840.113549.1.1.12" => "RSA with SHA-384",
        "1.2.840.113549.1.1.13" => "RSA with SHA-512",
        "1.2.840.113549.1.1.10" => "RSA-PSS",
        "1.2.840.10040.4.3" => "DSA with SHA-1",
        "1.2.840.10045.4.1" => "ECDSA with SHA-1",
        "1.2.840.10045.4.3.2" => "ECDSA with SHA-256",
        "1.2.840.10045.4.3.3" => "ECDSA with SHA-384",
        "1.2.840.10045.4.3.4" => "ECDSA with SHA-512",
        "1.3.101.112" => "Ed25519",
        _ => return oid,
    };
    name.to_owned()
}

fn colons(bytes: &[u8]) -> String {
    let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    digits.join(":")
}
