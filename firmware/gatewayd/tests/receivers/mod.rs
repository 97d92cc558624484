//! Those that a box tells its alarms to, as real programs where there are some.
#![allow(dead_code, reason = "not every test needs every receiver")]

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

/// Longest wait for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// net-snmp's station, in front of a port of loopback. It goes with this.
pub struct Snmptrapd {
    child: Child,
    /// Where it listens.
    pub at: SocketAddr,
    lines: Receiver<String>,
    _folder: TempDir,
}

/// Where the modules are that `GANTRY-MIB` stands on, and itself.
pub fn mibs() -> String {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = |path: &str| here.join(path).display().to_string();
    format!("{}:{}", folder("tests/receivers/mibs"), folder("../proto/snmp"))
}

/// A UDP port that nobody has just now.
fn free_port() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.local_addr().expect("an address")
}

impl Snmptrapd {
    /// Knows what `config` says: `authCommunity log public`, `createUser ...`.
    pub fn start(config: &str) -> Self {
        // Somebody may take the port in between; then another one is tried.
        (0..5).find_map(|_| Self::try_start(config)).expect("snmptrapd (Debian package snmptrapd) starts")
    }

    fn try_start(config: &str) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let file: PathBuf = folder.path().join("snmptrapd.conf");
        std::fs::write(&file, format!("{config}\ndisableAuthorization no\n")).expect("written");
        let at = free_port();
        let child = Command::new("/usr/sbin/snmptrapd")
            .args(["-f", "-C", "-Lo", "-n", "-M", &mibs(), "-m", "GANTRY-MIB"])
            .args(["-F", "%v\n", "-c"])
            .arg(&file)
            .arg(format!("udp:{at}"))
            .env("SNMP_PERSISTENT_DIR", folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("snmptrapd (Debian package snmptrapd)");
        let (mut child, (tell, lines)) = (child, channel());
        let out = BufReader::new(child.stdout.take().expect("its output"));
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
        let station = Self { child, at, lines, _folder: folder };
        station.line(|line| line.starts_with("NET-SNMP version")).map(|_| station)
    }

    /// The first line that is `wanted`; `None` if there is none in time, or it has ended.
    pub fn line(&self, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if wanted(&line) => return Some(line),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// The next notification's line.
    pub fn notification(&self) -> String {
        self.line(|line| line.contains("gantryAlarm")).expect("a notification")
    }
}

impl Drop for Snmptrapd {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A certificate authority of the tests, and a server that it vouches for on 127.0.0.1.
pub struct Authority {
    folder: TempDir,
    server: Arc<ServerConfig>,
}

impl Authority {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut params = CertificateParams::new(vec![]).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).expect("written");
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("parameters");
        let certificate = params.signed_by(&key, &issuer).expect("a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )
            .expect("a server");
        Self { folder, server: Arc::new(server) }
    }

    /// What those trust who trust it.
    pub fn file(&self) -> String {
        self.folder.path().join("ca.pem").display().to_string()
    }

    fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.server))
    }
}

/// A syslog server under TLS (RFC 5425). Each connection is hung up on after so many messages.
pub struct SyslogServer {
    /// Where it listens.
    pub port: u16,
    messages: mpsc::UnboundedReceiver<String>,
    hung_up: mpsc::UnboundedReceiver<()>,
}

impl SyslogServer {
    pub async fn start(authority: &Authority, messages_a_connection: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let ((tell, messages), (end, hung_up)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        let acceptor = authority.acceptor();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                for _ in 0..messages_a_connection {
                    let Some(message) = counted(&mut stream).await else { break };
                    if tell.send(message).is_err() {
                        return;
                    }
                }
                // Hung up on properly, as a server that is restarted does.
                let _ = stream.shutdown().await;
                let _ = end.send(());
            }
        });
        Self { port, messages, hung_up }
    }

    /// Waits until it has hung up once more.
    pub async fn has_hung_up(&mut self) {
        let next = tokio::time::timeout(PATIENCE, self.hung_up.recv());
        next.await.expect("an end in time").expect("a server");
    }

    /// The next message.
    pub async fn message(&mut self) -> String {
        let next = tokio::time::timeout(PATIENCE, self.messages.recv());
        next.await.expect("a message in time").expect("a server")
    }
}

/// One message after its length (RFC 5425 4.3); `None` at the end.
async fn counted(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut length = 0;
    loop {
        match stream.read_u8().await.ok()? {
            b' ' => break,
            digit => length = length * 10 + usize::from(digit.checked_sub(b'0').expect("a digit")),
        }
    }
    let mut message = vec![0; length];
    stream.read_exact(&mut message).await.ok()?;
    Some(String::from_utf8(message).expect("UTF-8"))
}

/// A post that a receiver of webhooks got.
#[derive(Debug, Clone)]
pub struct Post {
    pub head: String,
    pub body: Vec<u8>,
}

impl Post {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// A receiver of webhooks that answers with these statuses, one after the other, and with the last from then on.
pub struct HookServer {
    /// Where it listens.
    pub port: u16,
    posts: mpsc::UnboundedReceiver<Post>,
}

impl HookServer {
    pub async fn start(authority: &Authority, statuses: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (tell, posts) = mpsc::unbounded_channel();
        let (acceptor, mut statuses) = (authority.acceptor(), statuses.to_vec());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let Some(post) = post(&mut stream).await else { continue };
                let status = if statuses.len() > 1 { statuses.remove(0) } else { statuses[0] };
                if tell.send(post).is_err() {
                    return;
                }
                let answer =
                    format!("HTTP/1.1 {status} Said\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        Self { port, posts }
    }

    /// The next post.
    pub async fn post(&mut self) -> Post {
        let next = tokio::time::timeout(PATIENCE, self.posts.recv());
        next.await.expect("a post in time").expect("a server")
    }
}

async fn post(stream: &mut (impl AsyncRead + Unpin)) -> Option<Post> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).expect("UTF-8");
    let mut post = Post { head, body: Vec::new() };
    post.body = vec![0; post.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0)];
    stream.read_exact(&mut post.body).await.ok()?;
    Some(post)
}
