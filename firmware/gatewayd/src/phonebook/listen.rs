//! Connections to the phonebook: taken, bounded in all and for each peer's address, with TLS where it is LDAPS.

use super::Guard;
use super::serve;
use crate::net::connection::{Peers, Seat};
use crate::net::tls::Certificates;
use base::limits;
use domain::phonebook::{Phonebook, Strangers};
use ldap::{Anonymous, Login, Service, Tree};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tracing::{debug, warn};

/// Longest that a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Most connections from one address: a site behind one NAT has that many rooms, and four such fit.
const PEER_CONNECTIONS: usize = limits::PHONEBOOK_CONNECTIONS / 4;

/// What all connections share.
#[derive(Clone)]
pub(super) struct Server {
    pub service: Arc<Service>,
    pub trees: watch::Receiver<Arc<Tree>>,
    pub guard: Guard,
    room: Arc<Semaphore>,
    peers: Arc<Peers>,
}

impl Server {
    pub(super) fn new(settings: &Phonebook, trees: watch::Receiver<Arc<Tree>>, guard: Guard) -> Self {
        let login = settings.login.as_ref();
        let login = login.map(|l| Login { user: l.user.clone(), password: l.password.clone() });
        let anonymous = match settings.strangers {
            Strangers::Served => Anonymous::Allowed,
            Strangers::Refused => Anonymous::Refused,
        };
        Self {
            service: Arc::new(Service { anonymous, login }),
            trees,
            guard,
            room: Arc::new(Semaphore::new(limits::PHONEBOOK_CONNECTIONS)),
            peers: Arc::new(Peers::new(PEER_CONNECTIONS)),
        }
    }

    /// Takes connections for ever. While there is no room they wait in the kernel.
    pub(super) async fn accept(self, listener: std::net::TcpListener, tls: Option<Certificates>) {
        let listener = match TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return warn!(%error, "the phonebook cannot be served"),
        };
        loop {
            let Ok(permit) = Arc::clone(&self.room).acquire_owned().await else { return };
            match listener.accept().await {
                // Who is blocked is not even told so.
                Ok((_, remote)) if !self.guard.hears(Instant::now(), remote) => {}
                Ok((stream, remote)) => {
                    let Some(seat) = self.peers.seat(remote.ip(), permit) else {
                        debug!(%remote, "one connection too many from this address");
                        continue;
                    };
                    let (this, tls) = (self.clone(), tls.clone());
                    tokio::task::spawn_local(async move { this.open(stream, remote, tls, seat).await });
                }
                Err(error) => {
                    // Out of descriptors, as a rule: the next try waits until some connection has ended.
                    debug!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn open(self, stream: TcpStream, remote: SocketAddr, tls: Option<Certificates>, seat: Seat) {
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let _counted = Counted::new(&self.guard);
        let ended = match tls {
            None => serve::serve(&self, stream, remote).await,
            Some(tls) => match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
                Ok(Ok(stream)) => serve::serve(&self, stream, remote).await,
                Ok(Err(error)) => Err(serve::End::Broken(error)),
                Err(_) => Err(serve::End::Silent),
            },
        };
        if let Err(why) = ended {
            debug!(%remote, %why, "connection to the phonebook closed");
        }
        drop(seat);
    }
}

/// A connection as it is counted, however it ends.
struct Counted(Guard);

impl Counted {
    fn new(guard: &Guard) -> Self {
        guard.count(|counts| counts.connections += 1);
        Self(guard.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.count(|counts| counts.connections -= 1);
    }
}
