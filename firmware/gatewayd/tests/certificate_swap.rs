//! A certificate is changed while everybody connects: the whole gateway in this process, peers that speak SIP over TLS to it.

use domain::appliance::instant::UnixTime;
use domain::certificate::request::{Draft, SubjectDraft, Usage};
use domain::certificate::{CsrRequest, KeyKind, Purpose};
use domain::config::Config;
use gatewayd::alarms::Places;
use gatewayd::certificates::{Credentials, DataKey, KeyStore};
use gatewayd::media::Isolation;
use gatewayd::net::tls;
use gatewayd::start::Gateway;
use rcgen::{BasicConstraints, CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair};
use rustls_pki_types::{CertificateDer, ServerName};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Longest wait for anything on loopback.
const PATIENCE: Duration = Duration::from_secs(20);
const DOMAIN: &str = "meet.example.com";
/// Peers that connect at the same time, over and over.
const PEERS: usize = 4;
const SWAPS: usize = 20;
/// Handshakes between two swaps, at least.
const BETWEEN: usize = 10;

/// An authority, and the box's keys that it signs certificates for.
struct Bench {
    issuer: Issuer<'static, KeyPair>,
    ca: PathBuf,
    keys: KeyStore,
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut params = CertificateParams::new(vec![]).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let ca = folder.path().join("ca.pem");
        std::fs::write(&ca, params.self_signed(&key).expect("a certificate").pem()).expect("written");
        let data_key = DataKey::load(&folder.path().join("data.key")).expect("a data key");
        let keys = KeyStore::open(&folder.path().join("keys"), Arc::new(data_key)).expect("a store");
        Self { issuer: Issuer::new(params, key), ca, keys, folder }
    }

    /// Has a new key's request signed, takes the chain into use and shows it; returns its leaf.
    fn swap(&mut self, credentials: &Credentials) -> CertificateDer<'static> {
        let kind = KeyKind::EcdsaP256;
        let draft = Draft { names: vec![DOMAIN.into()], key: Some(kind), subject: SubjectDraft::default() };
        let request = CsrRequest::new(&draft, Usage::Gateway).expect("a request");
        let id = self.keys.generate(kind).expect("a key");
        let pem = self.keys.csr(&id, &request).expect("a request");
        let signed = CertificateSigningRequestParams::from_pem(&pem).expect("a request");
        let signed = signed.signed_by(&self.issuer).expect("a certificate").pem();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
        let domains = [DOMAIN.to_owned()];
        self.keys.upload(signed.as_bytes(), Purpose::Domains(&domains), UnixTime(now)).expect("a good chain");
        let certified = self.keys.certified().expect("TLS takes it").expect("it is there");
        let leaf = certified.cert[0].clone();
        credentials.tls.replace(certified).expect("it can be served");
        leaf
    }

    /// A gateway that shows what is in `credentials`; the files that its configuration names are shown first.
    fn gateway(&self, credentials: &Credentials) -> Gateway {
        let first = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![DOMAIN.to_owned()]).expect("parameters");
        let chain = params.signed_by(&first, &self.issuer).expect("a certificate").pem();
        let file = |name: &str, text: &str| {
            let path = self.folder.path().join(name);
            std::fs::write(&path, text).expect("written");
            path.display().to_string()
        };
        let (chain, key) = (file("first.pem", &chain), file("first.key", &first.serialize_pem()));
        let text = format!(
            "[gateway]\ndomains = [\"{DOMAIN}\"]\npublic_address = \"127.0.0.1\"\nworkers = 1\n\
             [sip]\nudp = [\"127.0.0.1:0\"]\ntcp = []\ntls = [\"127.0.0.1:0\"]\ncertificate = {chain:?}\nkey = {key:?}\n\
             [[tokens]]\nname = \"test\"\nvalue = \"t\"\ntrust = \"trusted\"\n\
             [[connectors]]\nname = \"meet\"\nkind = \"interop\"\nurl = \"https://127.0.0.1:9\"\n\
             [[rules]]\nname = \"meetings\"\npriority = 100\n"
        );
        let config = Config::parse("test", &text).expect("a configuration");
        Gateway::start(Arc::new(config), credentials.clone(), Places::system(None), Isolation::Thread)
            .expect("it starts")
    }

    fn peer(&self, gateway: &Gateway) -> Peer {
        // One connector, so that sessions would be resumed.
        let connector = TlsConnector::from(tls::client(Some(&self.ca)).expect("trust"));
        Peer { connector, address: gateway.listening.tls[0] }
    }
}

/// Somebody who speaks SIP over TLS and trusts the authority alone.
#[derive(Clone)]
struct Peer {
    connector: TlsConnector,
    address: SocketAddr,
}

impl Peer {
    async fn connect(&self) -> Result<TlsStream<TcpStream>, std::io::Error> {
        let stream = TcpStream::connect(self.address).await?;
        self.connector.connect(ServerName::try_from(DOMAIN).expect("a name"), stream).await
    }

    /// Connects, asks, and is answered.
    async fn call(&self, branch: usize) -> Result<(), std::io::Error> {
        let mut stream = self.connect().await?;
        ask(&mut stream, branch).await
    }

    /// The leaf that a new connection is shown.
    async fn shown(&self) -> CertificateDer<'static> {
        let stream = self.connect().await.expect("a handshake");
        stream.get_ref().1.peer_certificates().expect("certificates")[0].clone()
    }
}

/// An OPTIONS and its answer.
async fn ask(stream: &mut TlsStream<TcpStream>, branch: usize) -> Result<(), std::io::Error> {
    let request = format!(
        "OPTIONS sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1:5061;branch=z9hG4bK-{branch}\r\nMax-Forwards: 70\r\n\
         From: <sip:a@example.com>;tag={branch}\r\nTo: <sip:{DOMAIN}>\r\nCall-ID: {branch}\r\nCSeq: 1 OPTIONS\r\n\
         Content-Length: 0\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let (mut answer, mut read) = (Vec::new(), [0; 2_048]);
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        let count =
            tokio::time::timeout(PATIENCE, stream.read(&mut read)).await.map_err(std::io::Error::other)??;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        answer.extend_from_slice(&read[..count]);
    }
    let text = String::from_utf8_lossy(&answer);
    if text.starts_with("SIP/2.0 200") { Ok(()) } else { Err(std::io::Error::other(text.into_owned())) }
}

/// Peers that connect and ask over and over until `stop`; counts what went well, and tells what did not.
async fn load(peer: Peer, own: usize, done: Arc<AtomicUsize>, stop: watch::Receiver<bool>) -> Vec<String> {
    let mut failures = Vec::new();
    let mut count = 0;
    while !*stop.borrow() {
        match peer.call(own * 1_000_000 + count).await {
            Ok(()) => drop(done.fetch_add(1, Ordering::Relaxed)),
            Err(error) => failures.push(error.to_string()),
        }
        count += 1;
    }
    failures
}

/// K2
#[test]
fn a_certificate_is_changed_under_load_without_one_failed_handshake() {
    let (mut bench, credentials) = (Bench::new(), Credentials::default());
    let gateway = bench.gateway(&credentials);
    let peer = bench.peer(&gateway);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("runtime");
    runtime.block_on(async {
        let mut standing = peer.connect().await.expect("a handshake");
        let (done, (stop, stopped)) = (Arc::new(AtomicUsize::new(0)), watch::channel(false));
        let peers: Vec<_> = (0..PEERS)
            .map(|own| tokio::spawn(load(peer.clone(), own + 1, Arc::clone(&done), stopped.clone())))
            .collect();
        let mut leaf = None;
        for swap in 0..SWAPS {
            let before = done.load(Ordering::Relaxed);
            let deadline = Instant::now() + PATIENCE;
            while done.load(Ordering::Relaxed) < before + BETWEEN {
                assert!(Instant::now() < deadline, "nobody gets through after {swap} changes");
                tokio::task::yield_now().await;
            }
            leaf = Some(bench.swap(&credentials));
            ask(&mut standing, swap).await.expect("who is connected stays so");
        }
        assert_eq!(Some(peer.shown().await), leaf, "whoever connects anew sees the new one");
        stop.send(true).expect("they listen");
        for peer in peers {
            assert_eq!(peer.await.expect("no panic"), Vec::<String>::new());
        }
        let count = done.load(Ordering::Relaxed);
        assert!(count >= SWAPS * BETWEEN, "{count} handshakes");
        println!("{count} handshakes while the certificate was changed {SWAPS} times");
        drop(standing);
        gateway.drain(Instant::now()).await;
    });
    gateway.join().expect("no bug");
}

/// K2
#[test]
fn a_session_that_began_under_the_old_certificate_is_not_resumed_under_the_new_one() {
    let (mut bench, credentials) = (Bench::new(), Credentials::default());
    let gateway = bench.gateway(&credentials);
    let peer = bench.peer(&gateway);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async {
        let resumed = async |branch: usize| {
            let mut stream = peer.connect().await.expect("a handshake");
            // Tickets come with the first data.
            ask(&mut stream, branch).await.expect("an answer");
            stream.get_ref().1.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
        };
        assert!(!resumed(1).await);
        assert!(resumed(2).await, "a session is resumed as long as nothing changes");
        let leaf = bench.swap(&credentials);
        assert!(!resumed(3).await);
        assert_eq!(peer.shown().await, leaf);
        gateway.drain(Instant::now()).await;
    });
    gateway.join().expect("no bug");
}
