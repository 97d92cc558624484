//! Signalling connections: TCP and TLS streams, each a task that cuts messages out and writes messages in.
//!
//! ```text
//!  accept or connect ─▶ TLS handshake ─▶ Opened ─▶ Message ... ─▶ Closed
//!                       (10 s)                     (silence: 30 s before the first message, within one and
//!                                                   an hour otherwise)
//! ```

use crate::engine::event::Event;
use bytes::Bytes;
use rustls::ServerConfig;
use sip::endpoint::{Flow, Transport};
use sip::framing::{Frame, PONG, StreamFramer};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tracing::debug;

/// Longest that a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Longest wait for the first message, or for the rest of one.
const MESSAGE: Duration = Duration::from_secs(30);
/// Longest silence of a connection that has spoken.
const IDLE: Duration = Duration::from_secs(3_600);
/// Messages waiting to be written; a peer that reads more slowly loses its connection.
const WRITES: usize = 64;
const READ_BYTES: usize = 16 * 1024;

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
    next: Arc<AtomicU64>,
}

impl Connections {
    /// At most `limit` connections, whose events go to `events`.
    #[must_use]
    pub fn new(events: mpsc::Sender<Event>, limit: usize) -> Self {
        Self { events, room: Arc::new(Semaphore::new(limit)), next: Arc::new(AtomicU64::new(1)) }
    }

    /// Takes connections on `listener` for ever; with `tls`, over TLS.
    pub async fn accept(self, listener: TcpListener, tls: Option<Arc<ServerConfig>>) {
        let acceptor = tls.map(TlsAcceptor::from);
        loop {
            let Ok(permit) = Arc::clone(&self.room).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, remote)) => {
                    let (this, acceptor) = (self.clone(), acceptor.clone());
                    tokio::task::spawn_local(
                        async move { this.serve(stream, remote, acceptor, permit).await },
                    );
                }
                Err(error) => {
                    // Out of descriptors, as a rule: the next try waits until some connection has ended.
                    debug!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn serve(
        self,
        stream: TcpStream,
        remote: SocketAddr,
        tls: Option<TlsAcceptor>,
        permit: OwnedSemaphorePermit,
    ) {
        let Ok(local) = stream.local_addr() else { return };
        if stream.set_nodelay(true).is_err() {
            return;
        }
        match tls {
            None => self.run(stream, Transport::Tcp, local, remote, permit).await,
            Some(acceptor) => match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => self.run(stream, Transport::Tls, local, remote, permit).await,
                Ok(Err(error)) => debug!(%remote, %error, "TLS handshake failed"),
                Err(_) => debug!(%remote, "TLS handshake took too long"),
            },
        }
    }

    /// Opens a connection of our own over an established stream and returns its flow.
    #[must_use]
    pub fn adopt<S>(
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
        let flow = self.name(transport, local, remote);
        let this = self.clone();
        tokio::task::spawn_local(async move { this.pump(stream, flow, permit).await });
        Some(flow)
    }

    fn name(&self, transport: Transport, local: SocketAddr, remote: SocketAddr) -> Flow {
        Flow { transport, local, remote, connection: self.next.fetch_add(1, Ordering::Relaxed) }
    }

    async fn run<S>(
        self,
        stream: S,
        transport: Transport,
        local: SocketAddr,
        remote: SocketAddr,
        permit: OwnedSemaphorePermit,
    ) where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let flow = self.name(transport, local, remote);
        self.pump(stream, flow, permit).await;
    }

    /// Carries messages both ways until the stream ends, the shard drops the writer, or the peer breaks the rules.
    async fn pump<S>(self, mut stream: S, flow: Flow, permit: OwnedSemaphorePermit)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (writer, mut writes) = mpsc::channel(WRITES);
        if self.events.send(Event::Opened(Connection { flow, writer })).await.is_err() {
            return;
        }
        let (mut framer, mut buffer, mut patience) = (StreamFramer::new(), vec![0; READ_BYTES], MESSAGE);
        loop {
            tokio::select! {
                read = tokio::time::timeout(patience, stream.read(&mut buffer)) => {
                    let Ok(Ok(count)) = read else { break };
                    if count == 0 {
                        break;
                    }
                    let mut frames = Vec::new();
                    let framed = framer.push(&buffer[..count], |frame| frames.push(frame));
                    for frame in frames {
                        let delivered = match frame {
                            Frame::Message(data) => self.events.send(Event::Message { flow, data }).await.is_ok(),
                            Frame::Ping => stream.write_all(PONG).await.is_ok(),
                            Frame::Pong => true,
                        };
                        if !delivered {
                            break;
                        }
                    }
                    if let Err(error) = framed {
                        debug!(remote = %flow.remote, %error, "connection closed");
                        break;
                    }
                    patience = if framer.is_mid_message() { MESSAGE } else { IDLE };
                }
                write = writes.recv() => {
                    let Some(data) = write else { break };
                    if stream.write_all(&data).await.is_err() || stream.flush().await.is_err() {
                        break;
                    }
                }
            }
        }
        // The peer may be gone already; there is nobody to tell then.
        drop(stream.shutdown().await);
        drop(permit);
        drop(self.events.send(Event::Closed(flow)).await);
    }
}
