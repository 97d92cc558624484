//! Gateway tokens' chains, checked against the authority that issues them: `x5c` in section 2 of the protocol (RFC 7515 4.1.6).

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, DecodingKey};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};
use std::sync::Arc;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

/// Most certificates of a chain.
const CHAIN: usize = 8;

/// Who issues gateway tokens.
pub struct Authority(Arc<dyn ClientCertVerifier>);

/// What a chain that was found good says.
pub struct Leaf {
    /// The gateway's name: its common name.
    pub name: String,
    /// Its public key.
    pub key: DecodingKey,
    /// What goes with that.
    pub algorithm: Algorithm,
}

impl Authority {
    /// The authority whose root this is.
    ///
    /// # Errors
    /// If it is no certificate in PEM.
    pub fn new(root: &str) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(root.as_bytes()).context("the root of gateway tokens")?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
        Ok(Self(verifier))
    }

    /// Checks a chain, leaf first, base64 DER, as of now.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn judge(&self, x5c: &[String]) -> Result<Leaf> {
        ensure!((1..=CHAIN).contains(&x5c.len()), "its x5c holds {} certificates", x5c.len());
        let der =
            |text: &String| STANDARD.decode(text).map(CertificateDer::from).context("its x5c is no base64");
        let chain = x5c.iter().map(der).collect::<Result<Vec<_>>>()?;
        self.0
            .verify_client_cert(&chain[0], &chain[1..], UnixTime::now())
            .context("its x5c leads to no authority that is known")?;
        let (_, leaf) = X509Certificate::from_der(&chain[0]).context("its leaf")?;
        let name = leaf.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
        let bits = &leaf.public_key().subject_public_key.data;
        let (key, algorithm) = match leaf.public_key().parsed() {
            Ok(PublicKey::EC(point)) if point.key_size() == 256 => {
                (DecodingKey::from_ec_der(bits), Algorithm::ES256)
            }
            Ok(PublicKey::RSA(_)) => (DecodingKey::from_rsa_der(bits), Algorithm::RS256),
            _ => bail!("its leaf's key is neither P-256 nor RSA"),
        };
        Ok(Leaf { name: name.context("its leaf has no name")?.to_owned(), key, algorithm })
    }
}
