//! The SIP side on loopback, turned by hand: a room whose connection closes before its call is answered.

use super::*;
use crate::alarms::{self, AlarmsHandle, Places};
use crate::net::testing::{Authority, locally};
use crate::net::tls::{self, Certificates};
use base::{Cause, Fault, Kind, Seed};
use rustls_pki_types::ServerName;
use sip::session::SessionCommand;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Longest wait for anything on loopback.
const PATIENCE: Duration = Duration::from_secs(20);

struct Rig {
    sip: SipSide,
    events: mpsc::Receiver<Event>,
    told: Vec<(SessionId, SessionEvent)>,
    gateway: SocketAddr,
    /// Where the room listens.
    room: TcpListener,
    authority: Authority,
    _alarms: AlarmsHandle,
}

impl Rig {
    async fn new(transport: Transport) -> Self {
        let text = "[gateway]\ndomains = [\"meet.example.com\"]\n";
        let config = Arc::new(Config::parse("test", text).expect("a configuration"));
        let alarms = alarms::start(&config, Places::system(None), Seed([7; 32])).expect("alarms");
        let (sender, events) = mpsc::channel(16);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let gateway = listener.local_addr().expect("an address");
        let (authority, connections) = (Authority::new(), Connections::new(sender.clone(), 8, 8));
        let shown = (transport == Transport::Tls).then(|| authority.server("gateway.example.com"));
        tokio::task::spawn_local(connections.clone().accept(listener, shown));
        let dialer = Dialer {
            connections,
            tls: TlsConnector::from(tls::client(Some(&authority.file())).expect("trust")),
            ports: Arc::new(LocalPorts::new(33_000..=39_999)),
            names: Names::system(Seed([7; 32])),
            events: sender,
        };
        let listen = Listen { transport, local: gateway, host: gateway.ip().into(), port: gateway.port() };
        let endpoint = Endpoint::new(endpoint_config(&config, vec![listen]), Seed([7; 32]), Instant::now());
        let defence = (Defence::new(config.defence.clone()), alarms.teller());
        let poller = Poller::new().expect("a poller");
        let sip = SipSide::new(endpoint, Vec::new(), dialer, defence, &poller).expect("a SIP side");
        let room = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Self { sip, events, told: Vec::new(), gateway, room, authority, _alarms: alarms }
    }

    async fn turn(&mut self) {
        let event = tokio::time::timeout(PATIENCE, self.events.recv()).await;
        let now = Instant::now();
        let told = match event.expect("in time").expect("an event") {
            Event::Opened(connection) => {
                self.sip.opened(now, connection);
                Vec::new()
            }
            Event::Message { flow, data } => self.sip.message(now, flow, &data),
            Event::Closed(flow) => self.sip.closed(now, flow),
            Event::Connected { id, flow } => self.sip.step(now, Input::Connected { id, flow }),
            _ => panic!("nothing else happens here"),
        };
        self.told.extend(told);
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.gateway).await.expect("a connection")
    }

    /// The call of a room that closes its connection and is answered then.
    async fn cut_off<S>(&mut self, mut stream: S, sent_by: &str)
    where
        S: AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        let invite = format!(
            "INVITE sip:1234@meet.example.com SIP/2.0\r\nVia: SIP/2.0/{sent_by};branch=z9hG4bKa\r\n\
             Max-Forwards: 70\r\nFrom: <sip:room@example.com>;tag=room\r\nTo: <sip:1234@meet.example.com>\r\n\
             Call-ID: call\r\nCSeq: 1 INVITE\r\nContact: <sip:room@127.0.0.1:9;transport=tcp>\r\n\
             Content-Length: 0\r\n\r\n"
        );
        stream.write_all(invite.as_bytes()).await.expect("written");
        stream.flush().await.expect("written");
        while self.told.is_empty() {
            self.turn().await;
        }
        drop(stream);
        while self.sip.connections() > 0 {
            self.turn().await;
        }
        let (id, _) = self.told.remove(0);
        let command = SessionCommand::Accept(Bytes::from_static(b"v=0\r\n"));
        let told = self.sip.step(Instant::now(), Input::Session { id, command });
        self.told.extend(told);
    }

    /// Turns until the room was sent something, and returns that.
    async fn answered(mut self, shown: Option<Certificates>) -> String {
        let room = self.room;
        self.room = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let answer = async {
            let (mut stream, _) = room.accept().await.expect("a connection");
            match shown {
                None => first_of(&mut stream).await,
                Some(shown) => first_of(&mut shown.accept(stream).await.expect("a handshake")).await,
            }
        };
        let turning = async {
            loop {
                self.turn().await;
            }
        };
        tokio::select! {
            answer = answer => answer,
            () = turning => unreachable!("it turns for ever"),
        }
    }

    fn room_port(&self) -> u16 {
        self.room.local_addr().expect("an address").port()
    }
}

async fn first_of(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut text = vec![0; 4_096];
    let count = stream.read(&mut text).await.expect("an answer");
    String::from_utf8_lossy(&text[..count]).into_owned()
}

#[test]
fn a_200_whose_connection_closed_arrives_over_a_new_one() {
    locally(async {
        let mut rig = Rig::new(Transport::Tcp).await;
        let (stream, sent_by) = (rig.connect().await, format!("TCP 127.0.0.1:{}", rig.room_port()));
        rig.cut_off(stream, &sent_by).await;
        let answer = rig.answered(None).await;
        assert!(answer.starts_with("SIP/2.0 200 "), "{answer}");
    });
}

#[test]
fn over_tls_it_goes_to_whoever_proves_to_be_sent_by() {
    locally(async {
        let (mut rig, sent_by) = over_tls("room.example.com").await;
        let shown = rig.authority.server("room.example.com");
        let stream = handshake(&rig).await;
        rig.cut_off(stream, &sent_by).await;
        let answer = rig.answered(Some(shown)).await;
        assert!(answer.starts_with("SIP/2.0 200 "), "{answer}");
    });
}

#[test]
fn over_tls_nobody_else_gets_it_and_the_call_ends() {
    locally(async {
        let (mut rig, sent_by) = over_tls("127.0.0.1").await;
        let shown = rig.authority.server("somebody.example.com");
        let stream = handshake(&rig).await;
        rig.cut_off(stream, &sent_by).await;
        let (stream, _) = rig.room.accept().await.expect("a connection");
        assert!(shown.accept(stream).await.is_err(), "the box trusts a stranger's name");
        while rig.told.is_empty() {
            rig.turn().await;
        }
        let lost = SessionEvent::Ended(Cause::new(Fault::Network, Kind::ConnectionLost));
        assert_eq!(rig.told.remove(0).1, lost);
    });
}

/// A rig over TLS, and the sent-by of a room called `name` in it.
async fn over_tls(name: &str) -> (Rig, String) {
    let rig = Rig::new(Transport::Tls).await;
    let sent_by = format!("TLS {name}:{}", rig.room_port());
    (rig, sent_by)
}

async fn handshake(rig: &Rig) -> tokio_rustls::client::TlsStream<TcpStream> {
    let connector = rig.sip.dialer.tls.clone();
    let name = ServerName::try_from("gateway.example.com").expect("a name");
    connector.connect(name, rig.connect().await).await.expect("a handshake")
}
