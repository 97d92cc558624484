//! TLS settings, with ring as the only provider: named at every use, because str0m brings a second one into the
//! program and rustls then refuses to guess.

use anyhow::{Context, Result, bail};
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use std::sync::Arc;

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// What the box shows to those who connect to it: TLS 1.2 and 1.3, no client certificate asked.
///
/// # Errors
/// If a file cannot be read, holds no certificate or key, or the two do not belong together.
pub fn server(chain: &Path, key: &Path) -> Result<Arc<ServerConfig>> {
    let certificates = certificates(chain)?;
    let key = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("{} holds no readable private key in PEM", key.display()))?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .with_context(|| format!("{} does not go with its key", chain.display()))?;
    Ok(Arc::new(config))
}

/// How the box connects to others: against the factory set of roots and, where given, one more CA file.
///
/// # Errors
/// If the CA file cannot be read or holds no certificate.
pub fn client(extra_ca: Option<&Path>) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = extra_ca {
        for certificate in certificates(path)? {
            roots
                .add(certificate)
                .with_context(|| format!("{} holds a broken certificate", path.display()))?;
        }
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build()?;
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_webpki_verifier(verifier)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_file_iter(path)
        .with_context(|| format!("cannot read {}", path.display()))?
        .collect::<Result<Vec<_>, _>>()
        .with_context(|| format!("{} holds a broken certificate", path.display()))?;
    if certificates.is_empty() {
        bail!("{} holds no certificate; it must be a PEM file", path.display());
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::testing::Authority;

    fn wrong(chain: &Path, key: &Path) -> String {
        format!("{:#}", server(chain, key).expect_err("these are no good"))
    }

    #[test]
    fn a_chain_with_its_own_key_serves() {
        let (chain, key) = Authority::new().certify("gateway.example.com");
        assert!(server(&chain, &key).is_err(), "its folder went with the authority");
        let authority = Authority::new();
        let (chain, key) = authority.certify("gateway.example.com");
        server(&chain, &key).expect("both are good");
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_its_name() {
        let authority = Authority::new();
        let (chain, key) = authority.certify("gateway.example.com");
        let (_, another) = authority.certify("other.example.com");
        let empty = authority.text("empty.pem", "");
        let broken =
            authority.text("broken.pem", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n");

        assert!(wrong(&chain, &another).contains("does not go with its key"));
        assert!(wrong(&authority.nowhere(), &key).contains("nowhere"));
        assert!(wrong(&chain, &authority.nowhere()).contains("nowhere"));
        assert!(wrong(&empty, &key).contains("holds no certificate"));
        assert!(wrong(&broken, &key).contains("broken.pem"));
        assert!(wrong(&chain, &empty).contains("no readable private key"));
    }

    #[test]
    fn more_trust_needs_a_certificate() {
        let authority = Authority::new();
        client(Some(&authority.file())).expect("a good authority");
        let empty = authority.text("empty.pem", "");
        for bad in [empty, authority.nowhere()] {
            client(Some(&bad)).expect_err("no certificate there");
        }
    }
}
