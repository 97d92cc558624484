//! HTTPS requests of conference legs: join and leave, a handful a call.
//!
//! Each request has its own connection, from a port of the signalling range (K4), and is bounded in time and size. A
//! pool would save one handshake a call and cost idle connections to every conference.

use super::tls;
use anyhow::{Context, Result};
use base::leg::{HttpFailure, HttpReply, HttpRequest, HttpResponse};
use base::limits::CONFERENCE_MESSAGE_BYTES;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

/// Makes requests for one conference: its trust and the local ports to use.
#[derive(Clone)]
pub struct Https {
    tls: TlsConnector,
    ports: Arc<LocalPorts>,
}

/// A range of local TCP ports, walked in a circle.
pub struct LocalPorts {
    range: RangeInclusive<u16>,
    next: AtomicU16,
}

impl LocalPorts {
    /// The ports of `range`.
    #[must_use]
    pub fn new(range: RangeInclusive<u16>) -> Self {
        let next = AtomicU16::new(*range.start());
        Self { range, next }
    }

    fn take(&self) -> u16 {
        let (first, last) = (*self.range.start(), *self.range.end());
        let step = |at: u16| Some(if at >= last { first } else { at + 1 });
        self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step).unwrap_or(first)
    }

    /// Connects to `to` from a port of the range; where one is taken the next is tried, a few times.
    ///
    /// # Errors
    /// What the kernel says of the last try.
    pub async fn connect(&self, to: SocketAddr) -> std::io::Result<TcpStream> {
        const TRIES: usize = 16;
        let any: IpAddr = if to.is_ipv4() { [0, 0, 0, 0].into() } else { [0_u16; 8].into() };
        let mut last = std::io::ErrorKind::AddrInUse.into();
        for _ in 0..TRIES {
            let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            socket.set_reuseaddr(true)?;
            if let Err(error) = socket.bind(SocketAddr::new(any, self.take())) {
                last = error;
                continue;
            }
            match socket.connect(to).await {
                Err(error)
                    if matches!(
                        error.kind(),
                        std::io::ErrorKind::AddrNotAvailable | std::io::ErrorKind::AddrInUse
                    ) =>
                {
                    last = error;
                }
                result => return result,
            }
        }
        Err(last)
    }
}

impl Https {
    /// Trusts the factory roots and `ca`, and connects from `ports`.
    ///
    /// # Errors
    /// If `ca` cannot be read.
    pub fn new(ca: Option<&Path>, ports: Arc<LocalPorts>) -> Result<Self> {
        let tls = TlsConnector::from(tls::client(ca).context("trust of a conference")?);
        Ok(Self { tls, ports })
    }

    /// Makes `request`; whatever happens, there is a reply within its time-out.
    pub async fn fetch(&self, request: HttpRequest) -> HttpReply {
        let id = request.id;
        let result = tokio::time::timeout(request.timeout, self.exchange(request)).await;
        HttpReply { id, result: result.unwrap_or(Err(HttpFailure::TimedOut)) }
    }

    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, HttpFailure> {
        let uri: Uri = request.url.parse().map_err(|_| HttpFailure::Unreachable)?;
        let host = uri.host().ok_or(HttpFailure::Unreachable)?.trim_matches(['[', ']']).to_owned();
        let port = uri.port_u16().unwrap_or(443);
        let tcp = self.dial(&host, port).await?;
        tcp.set_nodelay(true).map_err(|_| HttpFailure::Unreachable)?;
        let name = ServerName::try_from(host).map_err(|_| HttpFailure::Unreachable)?;
        let tls = self.tls.connect(name, tcp).await.map_err(|error| tls_failure(&error))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tls))
            .await
            .map_err(|_| HttpFailure::Broken)?;
        let exchange = async {
            let response =
                sender.send_request(to_hyper(&uri, request)?).await.map_err(|_| HttpFailure::Broken)?;
            let status = response.status().as_u16();
            let body = Limited::new(response.into_body(), CONFERENCE_MESSAGE_BYTES);
            let body = body.collect().await.map_err(|_| HttpFailure::Broken)?.to_bytes();
            Ok(HttpResponse { status, body })
        };
        tokio::pin!(exchange, connection);
        tokio::select! {
            result = &mut exchange => result,
            // The connection ends by itself only when it broke, or right after the answer was read.
            _ = &mut connection => exchange.await,
        }
    }

    async fn dial(&self, host: &str, port: u16) -> Result<TcpStream, HttpFailure> {
        let addresses = tokio::net::lookup_host((host, port)).await.map_err(|_| HttpFailure::Unreachable)?;
        for address in addresses {
            if let Ok(stream) = self.ports.connect(address).await {
                return Ok(stream);
            }
        }
        Err(HttpFailure::Unreachable)
    }
}

fn to_hyper(uri: &Uri, request: HttpRequest) -> Result<Request<Full<Bytes>>, HttpFailure> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let method = Method::from_bytes(request.method.as_bytes()).map_err(|_| HttpFailure::Broken)?;
    let mut built = Request::builder().method(method).uri(path);
    if let Some(authority) = uri.authority() {
        built = built.header(HOST, authority.as_str());
    }
    if !request.body.is_empty()
        && !request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
    {
        built = built.header(CONTENT_TYPE, "application/json");
    }
    for (name, value) in &request.headers {
        let mut value = HeaderValue::from_str(value.expose()).map_err(|_| HttpFailure::Broken)?;
        value.set_sensitive(true);
        built = built.header(*name, value);
    }
    built.body(Full::new(request.body)).map_err(|_| HttpFailure::Broken)
}

fn tls_failure(error: &std::io::Error) -> HttpFailure {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(_)) => HttpFailure::Untrusted,
        _ => HttpFailure::Broken,
    }
}
