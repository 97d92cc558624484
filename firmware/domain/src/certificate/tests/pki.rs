//! Authorities and certificates as tests want them, made by `rcgen`.

use super::super::KeyId;
use crate::appliance::instant::UnixTime;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SanType, date_time_ymd,
};

/// 2027-06-15.
pub const NOW: UnixTime = UnixTime(1_813_017_600);
/// The gateway domain.
pub const DOMAIN: &str = "meet.example.com";

/// A key, and a certificate that says whose it is.
pub struct Party {
    pub key: KeyPair,
    pub params: CertificateParams,
    pub certificate: Certificate,
}

impl Party {
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    pub fn key_id(&self) -> KeyId {
        KeyId::of(&self.key.subject_public_key_info())
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }
}

/// Parameters for `name`, good in 2027 and 2028.
pub fn params(name: &str, names: &[&str]) -> CertificateParams {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = (date_time_ymd(2027, 1, 1), date_time_ymd(2028, 12, 31));
    params
}

/// Parameters of an authority.
pub fn authority(name: &str) -> CertificateParams {
    let mut params = params(name, &[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// Parameters of a gateway's certificate.
pub fn leaf(names: &[&str]) -> CertificateParams {
    let mut params = params(DOMAIN, names);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params
}

/// The same with SIP URIs among its names.
pub fn with_uris(mut params: CertificateParams, uris: &[&str]) -> CertificateParams {
    let uris = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap()));
    params.subject_alt_names.extend(uris);
    params
}

pub fn self_signed(params: CertificateParams) -> Party {
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Party { key, params, certificate }
}

pub fn signed(params: CertificateParams, by: &Party) -> Party {
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &by.issuer()).unwrap();
    Party { key, params, certificate }
}

/// A root, an authority below it, and the gateway's own certificate.
pub struct Pki {
    pub root: Party,
    pub intermediate: Party,
    pub leaf: Party,
}

impl Pki {
    pub fn new() -> Self {
        Self::with(leaf(&[DOMAIN]))
    }

    pub fn with(leaf: CertificateParams) -> Self {
        let root = self_signed(authority("root"));
        let intermediate = signed(authority("intermediate"), &root);
        let leaf = signed(leaf, &intermediate);
        Self { root, intermediate, leaf }
    }

    /// The leaf and the authority that signed it.
    pub fn chain(&self) -> String {
        self.leaf.pem() + &self.intermediate.pem()
    }
}
