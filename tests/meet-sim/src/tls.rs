//! A certificate authority of its own for each simulator, and the server certificate it signs.

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::net::IpAddr;
use std::sync::Arc;

/// What an HTTPS listener needs, and the CA its clients must trust.
pub struct Identity {
    /// For the listener.
    pub server: Arc<ServerConfig>,
    /// The CA, PEM.
    pub ca_pem: String,
}

impl Identity {
    /// Makes a fresh CA and a server certificate for `names` and `address`.
    ///
    /// # Errors
    /// If a name can't stand in a certificate.
    pub fn generate(names: &[String], address: IpAddr) -> Result<Self> {
        let ca = certificate_authority()?;
        let mut subjects = names.to_vec();
        subjects.push("localhost".to_owned());
        subjects.push(address.to_string());
        let mut params = CertificateParams::new(subjects).context("server certificate")?;
        params.distinguished_name.push(DnType::CommonName, "conference simulator");
        let key = KeyPair::generate().context("server key")?;
        let certificate = params.signed_by(&key, &ca).context("server certificate")?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        // aws-lc-rs is in the graph too, so the provider is always named.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context("TLS versions")?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone(), ca.der().clone()], key)
            .context("server certificate")?;
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { server: Arc::new(server), ca_pem: ca.pem() })
    }
}

fn certificate_authority() -> Result<CertifiedIssuer<'static, KeyPair>> {
    let mut params = CertificateParams::new(Vec::new()).context("CA certificate")?;
    params.distinguished_name.push(DnType::CommonName, "conference simulator CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().context("CA key")?;
    CertifiedIssuer::self_signed(params, key).context("CA certificate")
}
