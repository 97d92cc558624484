//! What the tests of this folder share: a runtime as a shard has it, and a certificate authority of their own.

use super::tls;
use rcgen::{BasicConstraints, CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair};
use std::future::Future;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::task::LocalSet;

/// Runs `test` as a shard runs.
pub fn locally(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    LocalSet::new().block_on(&runtime, test);
}

/// Signs certificates, and keeps everything in files for as long as it lives.
pub struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut params = CertificateParams::new(vec![]).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).expect("written");
        Self { folder, issuer: Issuer::new(params, key) }
    }

    /// Its own certificate, which whoever trusts it is given.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Chain and key of a server called `name`, as files.
    pub fn certify(&self, name: &str) -> (PathBuf, PathBuf) {
        let params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        self.write(name, &certificate.pem(), &key.serialize_pem())
    }

    fn write(&self, name: &str, chain: &str, key: &str) -> (PathBuf, PathBuf) {
        let place = |kind: &str| self.folder.path().join(format!("{name}.{kind}.pem"));
        std::fs::write(place("chain"), chain).expect("written");
        std::fs::write(place("key"), key).expect("written");
        (place("chain"), place("key"))
    }

    /// The certificate for a request, as it comes back: PEM, with what was asked for.
    pub fn sign(&self, request: &str) -> String {
        let request = CertificateSigningRequestParams::from_pem(request).expect("a request");
        request.signed_by(&self.issuer).expect("a certificate").pem()
    }

    /// A server called `name`.
    pub fn server(&self, name: &str) -> tls::Certificates {
        let (chain, key) = self.certify(name);
        let shown = tls::Certificates::default();
        shown.replace(tls::from_files(&chain, &key).expect("chain and key")).expect("a server's settings");
        shown
    }

    /// A file with this text.
    pub fn text(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    }

    /// A path at which nothing is.
    pub fn nowhere(&self) -> PathBuf {
        Path::new(self.folder.path()).join("nowhere")
    }
}
