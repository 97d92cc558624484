//! Connections of the administration: taken, made secret, served, and bounded in number and time.

use super::Admin;
use super::access::From;
use crate::net::tls::{self, Certificates};
use anyhow::{Context, Result};
use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rcgen::{CertificateParams, KeyPair};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tower::ServiceExt;
use tracing::{debug, warn};

/// Most connections at a time; more wait in the kernel.
const CONNECTIONS: usize = 256;
/// Longest that TLS may take, and the head of a request.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sockets that are bound.
pub struct Listeners(Vec<std::net::TcpListener>);

/// Takes the addresses.
///
/// # Errors
/// If one is taken by somebody else; the message names it.
pub fn bind(addresses: &[SocketAddr]) -> Result<Listeners> {
    let one = |at: &SocketAddr| {
        let listener = std::net::TcpListener::bind(at)
            .with_context(|| format!("cannot take the administration on {at}"))?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    addresses.iter().map(one).collect::<Result<_>>().map(Listeners)
}

impl Listeners {
    /// Where it is reached.
    ///
    /// # Errors
    /// If the kernel does not say.
    pub fn addresses(&self) -> Result<Vec<SocketAddr>> {
        self.0.iter().map(|listener| Ok(listener.local_addr()?)).collect()
    }

    /// Serves for ever. Must be called inside a runtime.
    ///
    /// # Errors
    /// If a socket can't be used.
    pub fn serve(self, admin: &Arc<Admin>, router: &Router, tls: &Certificates) -> Result<()> {
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        for listener in self.0 {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            tokio::spawn(accept(listener, tls.clone(), Arc::clone(admin), router.clone(), Arc::clone(&room)));
        }
        Ok(())
    }
}

async fn accept(
    listener: tokio::net::TcpListener,
    tls: Certificates,
    admin: Arc<Admin>,
    router: Router,
    room: Arc<Semaphore>,
) {
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            // Who is blocked is hung up on before anything is read.
            Ok((_, from)) if !admin.hears(from) => {}
            Ok((stream, from)) => {
                let (tls, router) = (tls.clone(), router.clone());
                tokio::spawn(async move {
                    if let Err(error) = connection(stream, from, tls, router).await {
                        debug!(%from, %error, "administration");
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                warn!(%error, "administration");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(
    stream: tokio::net::TcpStream,
    from: SocketAddr,
    tls: Certificates,
    router: Router,
) -> Result<()> {
    stream.set_nodelay(true)?;
    let stream = tokio::time::timeout(PATIENCE, tls.accept(stream)).await.context("TLS took too long")??;
    let router = router.map_request(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(From(from));
        request
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_headers(64);
    http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)).await?;
    Ok(())
}

/// Has `shown` show a certificate that the box signs itself and keeps in `folder`, if it has no other.
///
/// # Errors
/// If there is none to show.
pub fn certificate(config: &domain::config::Config, folder: &Path, shown: &Certificates) -> Result<()> {
    if shown.current().is_none() {
        let (chain, key) = own(folder);
        if !chain.exists() || !key.exists() {
            sign(config, folder).context("the box could not sign a certificate of its own")?;
        }
        shown.replace(tls::from_files(&chain, &key)?)?;
    }
    Ok(())
}

fn own(folder: &Path) -> (PathBuf, PathBuf) {
    (folder.join("own-certificate.pem"), folder.join("own-key.pem"))
}

fn sign(config: &domain::config::Config, folder: &Path) -> Result<()> {
    let (chain, key_file) = own(folder);
    let key = KeyPair::generate()?;
    let mut names = config.gateway.domains.clone();
    names.extend(config.gateway.public_address.map(|address| address.to_string()));
    let certificate = CertificateParams::new(names)?.self_signed(&key)?;
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&key_file)?;
    std::io::Write::write_all(&mut file, key.serialize_pem().as_bytes())?;
    std::fs::write(chain, certificate.pem())?;
    Ok(())
}
