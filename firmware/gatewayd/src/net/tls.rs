//! TLS settings, with ring as the only provider: named at every use, because str0m brings a second one into the
//! program and rustls then refuses to guess.
//!
//! What the box shows can be replaced while it serves ([`Certificates`], K2): each connection begins with what is current when it is
//! taken, and one that stands needs none any more. Each certificate has settings of its own, with its own remembered sessions, so that
//! no session of the one before is resumed under the next.

use anyhow::{Context, Result, bail};
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::{fmt, io};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// What the box shows to those who connect to it over TLS; clones share it.
#[derive(Clone, Default)]
pub struct Certificates(Arc<RwLock<Option<Shown>>>);

#[derive(Clone)]
struct Shown {
    key: Arc<CertifiedKey>,
    server: Arc<ServerConfig>,
}

impl Certificates {
    /// Shows `key` from the next connection on; those that stand go on.
    ///
    /// # Errors
    /// If the library can't serve with it.
    pub fn replace(&self, key: Arc<CertifiedKey>) -> Result<()> {
        let server = server(Arc::clone(&key))?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Shown { key, server });
        Ok(())
    }

    /// What is shown now.
    #[must_use]
    pub fn current(&self) -> Option<Arc<CertifiedKey>> {
        self.shown().map(|shown| shown.key)
    }

    /// Shakes hands over `stream` with what is shown now.
    ///
    /// # Errors
    /// If the peer does not, or nothing is shown.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let shown = self.shown().ok_or_else(|| io::Error::other("no certificate was uploaded yet"))?;
        TlsAcceptor::from(shown.server).accept(stream).await
    }

    fn shown(&self) -> Option<Shown> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("there", &self.current().is_some()).finish_non_exhaustive()
    }
}

/// The only one there is.
#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// How those who connect to the box are served with `key`: TLS 1.2 and 1.3, no client certificate asked.
fn server(key: Arc<CertifiedKey>) -> Result<Arc<ServerConfig>> {
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Always(key)));
    Ok(Arc::new(config))
}

/// Chain and key from files, to be shown.
///
/// # Errors
/// If a file cannot be read, holds no certificate or key, or the two do not belong together.
pub fn from_files(chain: &Path, key: &Path) -> Result<Arc<CertifiedKey>> {
    let certificates = certificates(chain)?;
    let key = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("{} holds no readable private key in PEM", key.display()))?;
    certified(certificates, key).with_context(|| format!("{} does not go with its key", chain.display()))
}

/// Chain, the box's own first, and key, to be shown.
///
/// # Errors
/// If the key is of a kind that is not known, or another's.
pub fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<CertifiedKey>, rustls::Error> {
    CertifiedKey::from_der(chain, key, &provider()).map(Arc::new)
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
        format!("{:#}", from_files(chain, key).expect_err("these are no good"))
    }

    #[test]
    fn a_chain_with_its_own_key_serves() {
        let (chain, key) = Authority::new().certify("gateway.example.com");
        assert!(from_files(&chain, &key).is_err(), "its folder went with the authority");
        let authority = Authority::new();
        let (chain, key) = authority.certify("gateway.example.com");
        from_files(&chain, &key).expect("both are good");
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
