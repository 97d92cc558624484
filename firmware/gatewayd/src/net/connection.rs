//! Signalling connections: TCP and TLS streams, each a task that cuts messages out and writes messages in.
//!
//! ```text
//!  accept or connect ─▶ TLS handshake ─▶ Opened ─▶ Message ... ─▶ Closed
//!                       (10 s)                     (30 s for the first message and for the rest of each that has begun,
//!                                                   an hour of silence between, 10 s for the peer to take what is written)
//! ```
//! Connections are bounded in all and for each peer's address, so that nobody can hold them all.

use super::tls::Certificates;
use crate::engine::event::Event;
use bytes::Bytes;
use sip::endpoint::{Flow, Transport};
use sip::framing::{Frame, FramingError, PONG, StreamFramer};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;
use tracing::debug;

/// Longest that a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Longest wait for the first message, or for the rest of one.
const MESSAGE: Duration = Duration::from_secs(30);
/// Longest silence of a connection that has spoken.
const IDLE: Duration = Duration::from_secs(3_600);
/// Longest that a peer may take to read what is written to it; one that reads more slowly loses its connection.
const WRITE: Duration = Duration::from_secs(10);
/// Messages waiting to be written; a peer that lets more wait loses its connection, too.
const WRITES: usize = 64;
const READ_BYTES: usize = 4 * 1024;

/// A connection that is up.
#[derive(Debug)]
pub struct Connection {
    /// Its name.
    pub flow: Flow,
    /// Takes what is to be written; dropping it closes the connection.
    pub writer: mpsc::Sender<Bytes>,
}

/// What all connections of a shard share.
#[derive(Clone)]
pub struct Connections {
    events: mpsc::Sender<Event>,
    /// As many as may be open at a time.
    room: Arc<Semaphore>,
    peers: Arc<Peers>,
    next: Arc<AtomicU64>,
}

/// How many connections each peer's address has.
pub(crate) struct Peers {
    most: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection's right to be; dropping it gives it back.
pub(crate) struct Seat {
    peers: Arc<Peers>,
    peer: IpAddr,
    _permit: OwnedSemaphorePermit,
}

/// Why a connection ended, where the peer did not just close it.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("nothing came for too long")]
    Silent,
    #[error("the peer does not read what is written to it")]
    SlowReader,
    #[error("it broke: {0}")]
    Broken(#[from] std::io::Error),
    #[error("{0}")]
    Framing(#[from] FramingError),
    #[error("the shard is gone, or gave it up")]
    GivenUp,
}

impl Connections {
    /// At most `limit` connections, and `each` for one peer's address, whose events go to `events`.
    #[must_use]
    pub fn new(events: mpsc::Sender<Event>, limit: usize, each: usize) -> Self {
        let peers = Arc::new(Peers::new(each));
        Self { events, room: Arc::new(Semaphore::new(limit)), peers, next: Arc::new(AtomicU64::new(1)) }
    }

    /// Takes connections on `listener` for ever; with `tls`, over TLS. While there is no room they wait in the kernel.
    pub async fn accept(self, listener: TcpListener, tls: Option<Certificates>) {
        loop {
            let Ok(permit) = Arc::clone(&self.room).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, remote)) => {
                    let Some(seat) = self.peers.seat(remote.ip(), permit) else {
                        debug!(%remote, "one connection too many from this address");
                        continue;
                    };
                    let (this, tls) = (self.clone(), tls.clone());
                    tokio::task::spawn_local(async move { this.serve(stream, remote, tls, seat).await });
                }
                Err(error) => {
                    // Out of descriptors, as a rule: the next try waits until some connection has ended.
                    debug!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn serve(self, stream: TcpStream, remote: SocketAddr, tls: Option<Certificates>, seat: Seat) {
        let Ok(local) = stream.local_addr() else { return };
        if stream.set_nodelay(true).is_err() {
            return;
        }
        match tls {
            None => {
                let flow = self.name(Transport::Tcp, local, remote);
                self.take(stream, flow, seat).await;
            }
            Some(tls) => match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
                Ok(Ok(stream)) => {
                    let flow = self.name(Transport::Tls, local, remote);
                    self.take(stream, flow, seat).await;
                }
                Ok(Err(error)) => debug!(%remote, %error, "TLS handshake failed"),
                Err(_) => debug!(%remote, "TLS handshake took too long"),
            },
        }
    }

    /// Opens a connection of our own over an established stream and returns its flow; `None` if there is no room. It is
    /// told of before it is returned: whoever hears of its flow afterwards and sends over it finds its writer.
    pub async fn adopt<S>(
        &self,
        stream: S,
        transport: Transport,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Option<Flow>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let permit = Arc::clone(&self.room).try_acquire_owned().ok()?;
        let seat = self.peers.seat(remote.ip(), permit)?;
        let flow = self.name(transport, local, remote);
        let writes = self.open(flow).await?;
        let this = self.clone();
        tokio::task::spawn_local(async move { this.pump(stream, flow, seat, writes).await });
        Some(flow)
    }

    fn name(&self, transport: Transport, local: SocketAddr, remote: SocketAddr) -> Flow {
        Flow { transport, local, remote, connection: self.next.fetch_add(1, Ordering::Relaxed) }
    }

    /// Tells of a connection, and returns what is to be written to it; `None` if the shard is gone.
    async fn open(&self, flow: Flow) -> Option<mpsc::Receiver<Bytes>> {
        let (writer, writes) = mpsc::channel(WRITES);
        self.events.send(Event::Opened(Connection { flow, writer })).await.ok()?;
        Some(writes)
    }

    /// Tells of a connection and serves it to its end.
    async fn take<S>(self, stream: S, flow: Flow, seat: Seat)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if let Some(writes) = self.open(flow).await {
            self.pump(stream, flow, seat, writes).await;
        }
    }

    /// Carries the messages of a connection that was told of, closes it and tells of its end.
    async fn pump<S>(self, mut stream: S, flow: Flow, seat: Seat, writes: mpsc::Receiver<Bytes>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if let Err(why) = self.carry(&mut stream, flow, writes).await {
            debug!(remote = %flow.remote, %why, "connection closed");
        }
        // The peer may be gone already, or take nothing; there is nobody to tell then.
        drop(tokio::time::timeout(WRITE, stream.shutdown()).await);
        drop((stream, seat));
        drop(self.events.send(Event::Closed(flow)).await);
    }

    /// Carries messages both ways until the stream ends, the shard drops the writer, or the peer breaks the rules.
    async fn carry<S>(&self, stream: &mut S, flow: Flow, mut writes: mpsc::Receiver<Bytes>) -> Result<(), End>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (mut framer, mut buffer) = (StreamFramer::new(), vec![0; READ_BYTES]);
        let (mut spoken, mut deadline) = (false, Instant::now() + MESSAGE);
        loop {
            tokio::select! {
                read = tokio::time::timeout_at(deadline, stream.read(&mut buffer)) => {
                    let count = read.map_err(|_| End::Silent)??;
                    if count == 0 {
                        return Ok(());
                    }
                    let (mut frames, mid_message) = (Vec::new(), framer.is_mid_message());
                    let framed = framer.push(&buffer[..count], |frame| frames.push(frame));
                    let whole = frames.iter().any(|frame| matches!(frame, Frame::Message(_)));
                    for frame in frames {
                        self.deliver(stream, flow, frame).await?;
                    }
                    framed?;
                    spoken |= whole;
                    // What came piecemeal does not put the end off; a peer that never says anything gets no hour.
                    match framer.is_mid_message() {
                        true if whole || (spoken && !mid_message) => deadline = Instant::now() + MESSAGE,
                        false if spoken => deadline = Instant::now() + IDLE,
                        true | false => {}
                    }
                }
                write = writes.recv() => write_all(stream, &write.ok_or(End::GivenUp)?).await?,
            }
        }
    }

    async fn deliver<S>(&self, stream: &mut S, flow: Flow, frame: Frame) -> Result<(), End>
    where
        S: AsyncWrite + Unpin,
    {
        match frame {
            Frame::Message(data) => {
                self.events.send(Event::Message { flow, data }).await.map_err(|_| End::GivenUp)
            }
            Frame::Ping => write_all(stream, PONG).await,
            Frame::Pong => Ok(()),
        }
    }
}

async fn write_all<S: AsyncWrite + Unpin>(stream: &mut S, data: &[u8]) -> Result<(), End> {
    let write = async {
        stream.write_all(data).await?;
        stream.flush().await
    };
    Ok(tokio::time::timeout(WRITE, write).await.map_err(|_| End::SlowReader)??)
}

impl Peers {
    /// At most so many for each.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, open: Mutex::new(HashMap::new()) }
    }

    /// `None` if this peer has as many as it may have.
    pub(crate) fn seat(self: &Arc<Self>, peer: IpAddr, permit: OwnedSemaphorePermit) -> Option<Seat> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(peer).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Seat { peers: Arc::clone(self), peer, _permit: permit })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.peers.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::testing::{Authority, locally};
    use crate::net::tls;
    use rustls_pki_types::ServerName;
    use tokio_rustls::TlsConnector;

    const OPTIONS: &[u8] = b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 0\r\n\r\n";
    /// Longest wait for anything on loopback, in time that is not stopped.
    const PATIENCE: Duration = Duration::from_secs(20);

    struct Rig {
        events: mpsc::Receiver<Event>,
        address: SocketAddr,
    }

    impl Rig {
        async fn new(limit: usize, each: usize, tls: Option<Certificates>) -> Self {
            let (sender, events) = mpsc::channel(16);
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("an address");
            tokio::task::spawn_local(Connections::new(sender, limit, each).accept(listener, tls));
            Self { events, address }
        }

        async fn connect(&self) -> TcpStream {
            TcpStream::connect(self.address).await.expect("a connection")
        }

        async fn next(&mut self) -> Event {
            tokio::time::timeout(PATIENCE, self.events.recv()).await.expect("in time").expect("an event")
        }

        async fn opened(&mut self) -> Connection {
            match self.next().await {
                Event::Opened(connection) => connection,
                _ => panic!("no connection was opened"),
            }
        }

        async fn message(&mut self) -> Bytes {
            match self.next().await {
                Event::Message { data, .. } => data,
                _ => panic!("no message came"),
            }
        }

        async fn closed(&mut self) -> Flow {
            match self.next().await {
                Event::Closed(flow) => flow,
                _ => panic!("the connection is not closed"),
            }
        }
    }

    #[test]
    fn messages_go_both_ways_and_the_end_is_told() {
        locally(async {
            let mut rig = Rig::new(8, 8, None).await;
            let mut peer = rig.connect().await;
            let connection = rig.opened().await;
            assert_eq!(connection.flow.transport, Transport::Tcp);
            assert_eq!(connection.flow.remote, peer.local_addr().expect("an address"));
            peer.write_all(&OPTIONS[..10]).await.expect("written");
            peer.write_all(&OPTIONS[10..]).await.expect("written");
            assert_eq!(rig.message().await, OPTIONS);
            connection.writer.send(Bytes::from_static(b"answer")).await.expect("taken");
            let mut read = [0; 6];
            peer.read_exact(&mut read).await.expect("an answer");
            assert_eq!(&read, b"answer");
            drop(peer);
            assert_eq!(rig.closed().await, connection.flow);
        });
    }

    #[test]
    fn a_keep_alive_is_answered_and_is_no_message() {
        locally(async {
            let mut rig = Rig::new(8, 8, None).await;
            let mut peer = rig.connect().await;
            let _connection = rig.opened().await;
            peer.write_all(b"\r\n\r\n").await.expect("written");
            let mut pong = [0; 2];
            peer.read_exact(&mut pong).await.expect("a pong");
            assert_eq!(&pong, PONG);
        });
    }

    #[test]
    fn a_stream_that_cannot_be_read_any_further_is_closed() {
        locally(async {
            let mut rig = Rig::new(8, 8, None).await;
            let mut peer = rig.connect().await;
            let connection = rig.opened().await;
            peer.write_all(b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: many\r\n\r\n")
                .await
                .expect("written");
            assert_eq!(rig.closed().await, connection.flow);
            assert_eq!(peer.read(&mut [0; 16]).await.expect("an end"), 0);
        });
    }

    #[test]
    fn a_connection_the_shard_drops_is_closed() {
        locally(async {
            let mut rig = Rig::new(8, 8, None).await;
            let mut peer = rig.connect().await;
            drop(rig.opened().await.writer);
            rig.closed().await;
            assert_eq!(peer.read(&mut [0; 16]).await.expect("an end"), 0);
        });
    }

    #[test]
    fn who_connects_and_never_says_anything_is_closed_whatever_keeps_it_alive() {
        locally(async {
            let mut rig = Rig::new(8, 8, None).await;
            let mut peer = rig.connect().await;
            let connection = rig.opened().await;
            peer.write_all(b"\r\n\r\n").await.expect("written");
            peer.read_exact(&mut [0; 2]).await.expect("a pong");
            let before = Instant::now();
            tokio::time::pause();
            assert_eq!(rig.events.recv().await.map(|event| matches!(event, Event::Closed(_))), Some(true));
            assert!(before.elapsed() <= MESSAGE + Duration::from_secs(1), "{:?}", before.elapsed());
            drop(connection);
        });
    }

    #[test]
    fn who_begins_a_message_must_end_it_in_time_however_it_dribbles() {
        locally(async {
            let mut rig = Rig::new(8, 8, None).await;
            let mut peer = rig.connect().await;
            let _connection = rig.opened().await;
            peer.write_all(OPTIONS).await.expect("written");
            rig.message().await;
            tokio::time::pause();
            let before = Instant::now();
            let dribble = async {
                for byte in OPTIONS {
                    if peer.write_all(&[*byte]).await.is_err() {
                        break;
                    }
                    tokio::time::sleep(Duration::from_secs(5)).await;
                }
            };
            let (_, end) = tokio::join!(dribble, rig.events.recv());
            assert!(matches!(end, Some(Event::Closed(_))), "the rest of a message is not awaited for ever");
            assert!(before.elapsed() >= MESSAGE);
        });
    }

    #[test]
    fn a_slow_reader_loses_its_connection() {
        locally(async {
            let mut rig = Rig::new(8, 8, None).await;
            let mut peer = rig.connect().await;
            let connection = rig.opened().await;
            peer.write_all(OPTIONS).await.expect("written");
            rig.message().await;
            // More than the kernel's buffers of both ends hold.
            let megabyte = Bytes::from(vec![b'x'; 1 << 20]);
            for _ in 0..32 {
                connection.writer.send(megabyte.clone()).await.expect("there is room to wait");
            }
            tokio::time::pause();
            let end = tokio::time::timeout(IDLE / 2, rig.events.recv()).await;
            assert!(matches!(end, Ok(Some(Event::Closed(_)))), "the connection stays");
            drop(peer);
        });
    }

    #[test]
    fn there_is_room_for_so_many_connections_and_the_next_waits() {
        locally(async {
            let mut rig = Rig::new(1, 8, None).await;
            let first = rig.connect().await;
            let Connection { flow, writer: _writer } = rig.opened().await;
            let mut second = rig.connect().await;
            second.write_all(OPTIONS).await.expect("the kernel takes it");
            assert!(rig.events.try_recv().is_err(), "nothing is heard of it");
            drop(first);
            assert_eq!(rig.closed().await, flow);
            let next = rig.opened().await;
            assert_ne!(next.flow.connection, flow.connection);
            assert_eq!(rig.message().await, OPTIONS);
        });
    }

    #[test]
    fn one_address_cannot_hold_all_connections() {
        locally(async {
            let mut rig = Rig::new(8, 1, None).await;
            let first = rig.connect().await;
            let kept = rig.opened().await;
            let mut second = rig.connect().await;
            assert_eq!(second.read(&mut [0; 16]).await.unwrap_or(0), 0, "it is closed at once");
            drop(first);
            rig.closed().await;
            let _third = rig.connect().await;
            rig.opened().await;
            drop(kept);
        });
    }

    #[test]
    fn tls_carries_the_same_and_what_is_no_handshake_is_closed() {
        locally(async {
            let authority = Authority::new();
            let server = authority.server("gateway.example.com");
            let mut rig = Rig::new(8, 8, Some(server)).await;
            let mut garbage = rig.connect().await;
            garbage.write_all(OPTIONS).await.expect("written");
            let mut rest = Vec::new();
            // An alert, a reset or nothing: the end is what counts.
            drop(garbage.read_to_end(&mut rest).await);
            let connector = TlsConnector::from(tls::client(Some(&authority.file())).expect("trust"));
            let name = ServerName::try_from("gateway.example.com").expect("a name");
            let mut peer = connector.connect(name, rig.connect().await).await.expect("a handshake");
            peer.write_all(OPTIONS).await.expect("written");
            peer.flush().await.expect("written");
            let connection = rig.opened().await;
            assert_eq!(connection.flow.transport, Transport::Tls);
            assert_eq!(rig.message().await, OPTIONS);
        });
    }
}
