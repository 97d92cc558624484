//! What can be wrong with an upload, and what is only worth knowing: each with its own sentence, which ends with the way out.

use super::{UPLOAD_BYTES, UPLOAD_CERTIFICATES};
use crate::appliance::instant::UnixTime;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use std::fmt;

/// One certificate of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Which {
    /// Where it stands in the upload, from 1.
    pub place: usize,
    /// Its subject, cut where it is long.
    pub subject: String,
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "certificate {} ({:?})", self.place, self.subject)
    }
}

/// Why an upload is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Nothing in it.
    #[error("the upload is empty; give the PEM file that came back for the request")]
    Empty,
    /// Too many bytes.
    #[error(
        "the upload has {bytes} bytes, and at most {UPLOAD_BYTES} are taken; leave out all but the certificates"
    )]
    TooLarge {
        /// As many as it has.
        bytes: usize,
    },
    /// Too many certificates.
    #[error(
        "the upload holds {count} certificates, and at most {UPLOAD_CERTIFICATES} are taken; leave out all but the box's own and \
         those that lead from it to its root"
    )]
    TooMany {
        /// As many as it holds.
        count: usize,
    },
    /// No PEM, and no certificate in DER.
    #[error(
        "the upload is no certificate: it holds no line \"-----BEGIN CERTIFICATE-----\"; save what came back for the request as PEM \
         (Base-64 encoded X.509)"
    )]
    NoCertificate,
    /// A PKCS #10 request.
    #[error(
        "the upload is a certificate request (CSR), which is what the box hands out; send it to the authority, and give the signed \
         certificate that comes back"
    )]
    Request,
    /// Somebody's private key.
    #[error(
        "the upload holds a private key; the box makes its own and takes no other: leave it out, and trust that key no more, as it \
         has travelled"
    )]
    PrivateKey,
    /// PKCS #7.
    #[error(
        "the upload is PKCS #7 (.p7b, .p7c); write its certificates as PEM, such as by openssl pkcs7 -print_certs -in chain.p7b \
         -out chain.pem"
    )]
    Pkcs7,
    /// PKCS #12.
    #[error(
        "the upload is PKCS #12 (.p12, .pfx), which holds a private key; the box makes its own: have its request signed, and give \
         the certificates that come back as PEM"
    )]
    Pkcs12,
    /// A PEM block of another kind.
    #[error("the upload holds a block {label:?}, which is no certificate; leave it out")]
    Block {
        /// What its first line says.
        label: String,
    },
    /// A block that cannot be read.
    #[error("certificate {place} is damaged: {why}; copy it once more, from its line BEGIN to its line END")]
    Damaged {
        /// Where it stands, from 1.
        place: usize,
        /// What does not fit.
        why: String,
    },
    /// None belongs to a key of the box.
    #[error(
        "no certificate of the upload belongs to a key of this box; make a request here, have that very request signed, and give what \
         comes back for it"
    )]
    NotOurKey,
    /// An issuer that did not sign.
    #[error(
        "{which} names {issuer} as its issuer, but is not signed by its key; give the issuer's certificate that goes with it"
    )]
    BadSignature {
        /// What is signed.
        which: Which,
        /// Whose key it is not.
        issuer: Which,
    },
    /// A signature that nobody here can check.
    #[error(
        "{which} is signed by {algorithm}, which is not known here; have it issued with SHA-256 and RSA or ECDSA"
    )]
    UnknownSignature {
        /// What is signed.
        which: Which,
        /// How.
        algorithm: String,
    },
    /// Certificates that do not hang together.
    #[error(
        "{which} is issued by {issuer:?}, which is not in the upload, while others are; give the issuer's certificate instead"
    )]
    Broken {
        /// Where the chain ends.
        which: Which,
        /// What should follow.
        issuer: String,
    },
    /// It signed, but may not.
    #[error(
        "{which} has signed another but is no authority that may sign certificates; give the certificates as they were issued"
    )]
    NotAuthority {
        /// Whose right it is not.
        which: Which,
    },
    /// More authorities than one allows below itself.
    #[error(
        "{which} allows {allowed} authorities between itself and the box's certificate, and there are {found}; ask its authority"
    )]
    TooDeep {
        /// Who allows.
        which: Which,
        /// As many as it allows.
        allowed: u32,
        /// As many as there are.
        found: usize,
    },
    /// Its time has not come.
    #[error("{which} is not valid before {from}, and it is {now}; wait, or set the box's clock right")]
    NotYetValid {
        /// What.
        which: Which,
        /// From when on.
        from: UnixTime,
        /// What the box's clock says.
        now: UnixTime,
    },
    /// Its time is over.
    #[error(
        "{which} has expired at {at}, and it is {now}; have it issued anew, or set the box's clock right"
    )]
    Expired {
        /// What.
        which: Which,
        /// When.
        at: UnixTime,
        /// What the box's clock says.
        now: UnixTime,
    },
    /// A key that can be broken, or of a kind that cannot be judged.
    #[error(
        "{which} has a key that is too weak or not known here, {key}; have it issued with RSA of 2048 bits or more, or ECDSA on P-256 or P-384"
    )]
    WeakKey {
        /// Whose.
        which: Which,
        /// What it is.
        key: String,
    },
    /// A signature that can be forged.
    #[error("{which} is signed by {algorithm}, which can be forged; have it issued with SHA-256 or better")]
    WeakSignature {
        /// What.
        which: Which,
        /// How.
        algorithm: String,
    },
    /// No subject alternative names.
    #[error(
        "{which} has no subject alternative names, and a common name counts no more (RFC 9525); have it issued for {domain}"
    )]
    NoNames {
        /// Whose.
        which: Which,
        /// The gateway domain.
        domain: String,
    },
    /// A gateway domain is not among the names.
    #[error(
        "{which} is not issued for {domain}, but for {names}; have it issued with {domain} among its subject alternative names"
    )]
    NotNamed {
        /// What.
        which: Which,
        /// The gateway domain.
        domain: String,
        /// What it is issued for.
        names: String,
    },
    /// A gateway domain is there by a wildcard only.
    #[error(
        "{which} names {domain} by the wildcard {wildcard:?} only, and SIP matches no wildcard (RFC 5922 7.2); have it issued with \
         {domain} itself among its subject alternative names"
    )]
    OnlyByWildcard {
        /// What.
        which: Which,
        /// The gateway domain.
        domain: String,
        /// Its name with a `*`.
        wildcard: String,
    },
    /// A gateway domain is a DNS name, but others are SIP URIs.
    #[error(
        "{which} has SIP URIs among its names, beside which DNS names do not count (RFC 5922 7.1), and none is sip:{domain}; have it \
         issued with sip:{domain} too, or without SIP URIs"
    )]
    NotForSip {
        /// What.
        which: Which,
        /// The gateway domain.
        domain: String,
    },
    /// Not for TLS servers.
    #[error(
        "{which} is not for servers (extended key usage); have it issued for server and client authentication"
    )]
    NotForServers {
        /// What.
        which: Which,
    },
    /// Not for signatures.
    #[error(
        "{which} is not for digital signatures (key usage), which TLS 1.3 and tokens need; have it issued with that usage"
    )]
    NotForSignatures {
        /// What.
        which: Which,
    },
    /// A gateway token without a name.
    #[error(
        "{which} has no common name, which is the gateway's name in its tokens; have the request signed with its subject as it is"
    )]
    NoCommonName {
        /// What.
        which: Which,
    },
}

/// What is worth knowing of a chain that is taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// Nobody vouches for it.
    #[error(
        "{which} is self-signed: only those who are told to will trust it; have the request signed by an authority"
    )]
    SelfSigned {
        /// What.
        which: Which,
    },
    /// Its issuer is not there.
    #[error(
        "{which} came without its issuer {issuer:?}: those who know that one only by its root will not trust it; give the \
         intermediate certificate as well, unless this is a root"
    )]
    MissingIntermediate {
        /// What.
        which: Which,
        /// Who signed it.
        issuer: String,
    },
    /// Not for TLS clients.
    #[error(
        "{which} is not for clients (extended key usage): peers that ask the box for its certificate may refuse it; have it issued \
         for server and client authentication"
    )]
    NotForClients {
        /// What.
        which: Which,
    },
    /// An authority as a leaf.
    #[error(
        "{which} is an authority's certificate: some peers take none for a server; have the request signed as a server's"
    )]
    Authority {
        /// What.
        which: Which,
    },
    /// A certificate that leads nowhere.
    #[error("{which} does not belong to the chain and is left out")]
    Stray {
        /// What.
        which: Which,
    },
    /// Browsers will not take it.
    #[error(
        "{which} names {domain} as a SIP URI only: browsers and HTTPS go by DNS names; have it issued with both"
    )]
    NotForBrowsers {
        /// What.
        which: Which,
        /// The gateway domain.
        domain: String,
    },
    /// The chain will expire within the time of an alarm.
    #[error("the chain expires in {days} days, at {at}; have it renewed")]
    ExpiresSoon {
        /// Whole days.
        days: u64,
        /// When.
        at: UnixTime,
    },
}

impl Problem {
    /// One word for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLarge { .. } => "too-large",
            Self::TooMany { .. } => "too-many",
            Self::NoCertificate => "no-certificate",
            Self::Request => "request",
            Self::PrivateKey => "private-key",
            Self::Pkcs7 => "pkcs7",
            Self::Pkcs12 => "pkcs12",
            Self::Block { .. } => "block",
            Self::Damaged { .. } => "damaged",
            Self::NotOurKey => "not-our-key",
            Self::BadSignature { .. } => "bad-signature",
            Self::UnknownSignature { .. } => "unknown-signature",
            Self::Broken { .. } => "broken",
            Self::NotAuthority { .. } => "not-authority",
            Self::TooDeep { .. } => "too-deep",
            Self::NotYetValid { .. } => "not-yet-valid",
            Self::Expired { .. } => "expired",
            Self::WeakKey { .. } => "weak-key",
            Self::WeakSignature { .. } => "weak-signature",
            Self::NoNames { .. } => "no-names",
            Self::NotNamed { .. } => "not-named",
            Self::OnlyByWildcard { .. } => "only-by-wildcard",
            Self::NotForSip { .. } => "not-for-sip",
            Self::NotForServers { .. } => "not-for-servers",
            Self::NotForSignatures { .. } => "not-for-signatures",
            Self::NoCommonName { .. } => "no-common-name",
        }
    }
}

impl Warning {
    /// One word for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::SelfSigned { .. } => "self-signed",
            Self::MissingIntermediate { .. } => "missing-intermediate",
            Self::NotForClients { .. } => "not-for-clients",
            Self::Authority { .. } => "authority",
            Self::Stray { .. } => "stray",
            Self::NotForBrowsers { .. } => "not-for-browsers",
            Self::ExpiresSoon { .. } => "expires-soon",
        }
    }
}

fn coded<S: Serializer>(serializer: S, code: &str, message: &str) -> Result<S::Ok, S::Error> {
    let mut object = serializer.serialize_struct("Finding", 2)?;
    object.serialize_field("code", code)?;
    object.serialize_field("message", message)?;
    object.end()
}

/// `{"code": ..., "message": ...}`.
impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        coded(serializer, self.code(), &self.to_string())
    }
}

/// `{"code": ..., "message": ...}`.
impl Serialize for Warning {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        coded(serializer, self.code(), &self.to_string())
    }
}
