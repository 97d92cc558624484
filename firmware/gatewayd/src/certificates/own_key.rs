//! One key pair of the box. Its private half leaves this folder in no form but a signature.

use base::Secret;
use domain::certificate::request::{Attribute, Usage};
use domain::certificate::{CsrRequest, KeyId, KeyKind};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, Error, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, PublicKeyData, RsaKeySize, SignatureAlgorithm,
};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::fmt;

/// A key pair.
pub(super) struct OwnKey {
    pair: KeyPair,
    kind: KeyKind,
    id: KeyId,
}

impl fmt::Debug for OwnKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnKey").field("kind", &self.kind).field("id", &self.id).finish_non_exhaustive()
    }
}

impl OwnKey {
    /// Makes a key; one of RSA takes up to some seconds.
    pub fn generate(kind: KeyKind) -> Result<Self, Error> {
        let pair = match kind {
            KeyKind::EcdsaP256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
            KeyKind::Rsa2048 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048),
            KeyKind::Rsa4096 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_4096),
        }?;
        Ok(Self::of(pair, kind))
    }

    /// The key whose PKCS #8 this is.
    pub fn read(kind: KeyKind, pkcs8: &Secret<Vec<u8>>) -> Result<Self, Error> {
        let der = PrivatePkcs8KeyDer::from(pkcs8.expose().as_slice());
        Ok(Self::of(KeyPair::from_pkcs8_der_and_sign_algo(&der, algorithm(kind))?, kind))
    }

    fn of(pair: KeyPair, kind: KeyKind) -> Self {
        let id = KeyId::of(&pair.subject_public_key_info());
        Self { pair, kind, id }
    }

    pub const fn id(&self) -> &KeyId {
        &self.id
    }

    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// PKCS #8, to be sealed.
    pub fn pkcs8(&self) -> Secret<Vec<u8>> {
        Secret::new(self.pair.serialize_der())
    }

    /// PKCS #8 in PEM, for a signer in this process.
    pub fn pem(&self) -> Secret<String> {
        Secret::new(self.pair.serialize_pem())
    }

    /// For a TLS server in this process.
    pub fn for_tls(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.pair.serialize_der()))
    }

    /// A request (PKCS #10) in PEM, signed by this key.
    pub fn request(&self, request: &CsrRequest) -> Result<String, Error> {
        let names: Vec<_> = request.names().iter().map(|name| name.as_str().to_owned()).collect();
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = DistinguishedName::new();
        for (attribute, text) in request.subject() {
            params.distinguished_name.push(name_type(*attribute), text.as_str());
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = match request.usage() {
            Usage::Gateway => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
            Usage::GatewayToken => vec![ExtendedKeyUsagePurpose::ClientAuth],
        };
        // TLS 1.2 without forward secrecy is not spoken, but many authorities expect it of RSA.
        if request.usage() == Usage::Gateway && self.kind != KeyKind::EcdsaP256 {
            params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
        }
        params.serialize_request(&self.pair)?.pem()
    }
}

fn algorithm(kind: KeyKind) -> &'static SignatureAlgorithm {
    match kind {
        KeyKind::EcdsaP256 => &PKCS_ECDSA_P256_SHA256,
        KeyKind::Rsa2048 | KeyKind::Rsa4096 => &PKCS_RSA_SHA256,
    }
}

const fn name_type(attribute: Attribute) -> DnType {
    match attribute {
        Attribute::Country => DnType::CountryName,
        Attribute::State => DnType::StateOrProvinceName,
        Attribute::Locality => DnType::LocalityName,
        Attribute::Organisation => DnType::OrganizationName,
        Attribute::OrganisationalUnit => DnType::OrganizationalUnitName,
        Attribute::CommonName => DnType::CommonName,
    }
}
