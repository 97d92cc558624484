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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::testing::{Authority, locally};
    use base::Secret;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// A conference's server that reads one request and says `answer`, as whoever `certificate` says it is.
    struct Conference {
        authority: Authority,
        port: u16,
        asked: tokio::sync::oneshot::Receiver<String>,
    }

    impl Conference {
        async fn new(certificate: &str, answer: Vec<u8>) -> Self {
            let authority = Authority::new();
            let tls = authority.server(certificate);
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let port = listener.local_addr().expect("an address").port();
            let (tell, asked) = tokio::sync::oneshot::channel();
            tokio::task::spawn_local(async move {
                let (stream, _) = listener.accept().await.expect("a connection");
                // The far side may not like the certificate.
                let Ok(mut stream) = tls.accept(stream).await else { return };
                let mut request = vec![0; 4_096];
                let count = stream.read(&mut request).await.expect("a request");
                drop(tell.send(String::from_utf8_lossy(&request[..count]).into_owned()));
                if answer.is_empty() {
                    return std::future::pending().await;
                }
                drop(stream.write_all(&answer).await);
                drop(stream.shutdown().await);
            });
            Self { authority, port, asked }
        }

        async fn ask(&self, host: &str, trusted: bool) -> Result<HttpResponse, HttpFailure> {
            let ca = trusted.then(|| self.authority.file());
            fetch(ca.as_deref(), format!("https://{host}:{}/join?a=b", self.port)).await
        }
    }

    async fn fetch(ca: Option<&Path>, url: String) -> Result<HttpResponse, HttpFailure> {
        let https = Https::new(ca, Arc::new(LocalPorts::new(33_000..=39_999))).expect("trust");
        let request = HttpRequest {
            id: 7,
            method: "POST",
            url,
            headers: vec![("authorization", Secret::new("Bearer t".to_owned()))],
            body: Bytes::from_static(b"{}"),
            timeout: Duration::from_secs(15),
        };
        let reply = https.fetch(request).await;
        assert_eq!(reply.id, 7);
        reply.result
    }

    fn answer(status: &str, body: &[u8]) -> Vec<u8> {
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
        [head.as_bytes(), body].concat()
    }

    #[test]
    fn a_request_is_sent_whole_and_its_answer_comes_back_whatever_its_status() {
        locally(async {
            let conference = Conference::new("127.0.0.1", answer("404 Not Found", b"no such meeting")).await;
            let response = conference.ask("127.0.0.1", true).await.expect("an answer");
            assert_eq!((response.status, &response.body[..]), (404, &b"no such meeting"[..]));
            let asked = conference.asked.await.expect("a request").to_ascii_lowercase();
            assert!(asked.starts_with("post /join?a=b http/1.1\r\n"), "{asked}");
            for line in ["authorization: bearer t", "content-type: application/json", "content-length: 2"] {
                assert!(asked.contains(line), "{line} is missing in {asked}");
            }
            assert!(asked.contains(&format!("host: 127.0.0.1:{}", conference.port)), "{asked}");
        });
    }

    #[test]
    fn a_certificate_that_nobody_trusted_signed_is_untrusted() {
        locally(async {
            let conference = Conference::new("127.0.0.1", answer("200 OK", b"")).await;
            assert_eq!(conference.ask("127.0.0.1", false).await, Err(HttpFailure::Untrusted));
        });
    }

    #[test]
    fn a_good_certificate_with_another_name_is_untrusted() {
        locally(async {
            let conference = Conference::new("another.example.com", answer("200 OK", b"")).await;
            assert_eq!(conference.ask("127.0.0.1", true).await, Err(HttpFailure::Untrusted));
        });
    }

    #[test]
    fn a_refused_connection_and_an_unknown_name_are_unreachable() {
        locally(async {
            let gone =
                TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
            assert_eq!(fetch(None, format!("https://{gone}/")).await, Err(HttpFailure::Unreachable));
            let unknown = "https://nowhere.invalid/".to_owned();
            assert_eq!(fetch(None, unknown).await, Err(HttpFailure::Unreachable));
        });
    }

    #[test]
    fn an_answer_longer_than_the_limit_is_broken_and_one_at_the_limit_is_not() {
        locally(async {
            for (bytes, whole) in [(CONFERENCE_MESSAGE_BYTES, true), (CONFERENCE_MESSAGE_BYTES + 1, false)] {
                let conference = Conference::new("127.0.0.1", answer("200 OK", &vec![b'x'; bytes])).await;
                let got = conference.ask("127.0.0.1", true).await.map(|response| response.body.len());
                assert_eq!(got, if whole { Ok(bytes) } else { Err(HttpFailure::Broken) });
            }
        });
    }

    #[test]
    fn what_is_no_http_is_broken() {
        locally(async {
            let conference = Conference::new("127.0.0.1", b"SIP/2.0 200 OK\r\n\r\n".to_vec()).await;
            assert_eq!(conference.ask("127.0.0.1", true).await, Err(HttpFailure::Broken));
        });
    }

    #[test]
    fn a_server_that_never_answers_is_given_up_in_time() {
        locally(async {
            let conference = Conference::new("127.0.0.1", Vec::new()).await;
            let asked = async {
                conference.asked.await.expect("a request");
                // Nothing more will come: time may go on at once.
                tokio::time::pause();
            };
            let url = format!("https://127.0.0.1:{}/", conference.port);
            let file = conference.authority.file();
            let (result, ()) = tokio::join!(fetch(Some(&file), url), asked);
            assert_eq!(result, Err(HttpFailure::TimedOut));
        });
    }

    #[test]
    fn k4_connections_leave_by_the_ports_of_the_range_and_pass_over_those_taken() {
        locally(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let to = listener.local_addr().expect("an address");
            let taken = TcpListener::bind("0.0.0.0:0").await.expect("a port");
            let first = taken.local_addr().expect("an address").port().min(65_520);
            let ports = LocalPorts::new(first..=first + 15);
            for _ in 0..3 {
                let stream = ports.connect(to).await.expect("one of sixteen is free");
                let from = stream.local_addr().expect("an address").port();
                assert!(
                    (first..=first + 15).contains(&from) && from != taken.local_addr().expect("it").port()
                );
            }
        });
    }
}
