//! One connection to the phonebook: octets in, the machine turned, octets out.
//!
//! ```text
//!  read ─▶ turn ─▶ write ─▶ read ...                 (30 s for the first message and for the rest of each that has begun,
//!           ▲        │                                five minutes of silence between, 10 s for the peer to take a slice)
//!           └────────┘ while a search goes on; an abandon is read in between
//! ```

use super::listen::Server;
use base::{Machine, Output};
use bytes::Bytes;
use ldap::{Connection, Effect, Event, Input};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;
use tracing::{debug, info};

/// Longest wait for the first message, or for the rest of one.
const MESSAGE: Duration = Duration::from_secs(30);
/// Longest silence of a connection that has spoken.
const IDLE: Duration = Duration::from_secs(300);
/// Longest that a peer may take to read a slice; one that reads more slowly loses its connection.
const WRITE: Duration = Duration::from_secs(10);
const READ_BYTES: usize = 4 * 1024;

/// Why a connection ended, where the peer did not just close it.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("nothing came for too long")]
    Silent,
    #[error("the peer does not read what is written to it")]
    SlowReader,
    #[error("it broke: {0}")]
    Broken(#[from] std::io::Error),
    #[error("its source is blocked")]
    Blocked,
}

/// What a turn gave.
#[derive(Default)]
struct Turned {
    send: Vec<Bytes>,
    closes: bool,
    goes_on: bool,
}

/// Serves until the peer, the machine or a limit ends it.
pub(super) async fn serve<S>(server: &Server, mut stream: S, remote: SocketAddr) -> Result<(), End>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let ended = carry(server, &mut stream, remote).await;
    // The peer may be gone already, or take nothing; there is nobody to tell then.
    drop(tokio::time::timeout(WRITE, stream.shutdown()).await);
    ended
}

async fn carry<S>(server: &Server, stream: &mut S, remote: SocketAddr) -> Result<(), End>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut trees = server.trees.clone();
    let tree = trees.borrow_and_update().clone();
    let mut connection = Connection::new(server.service.clone(), tree);
    let (mut buffer, mut deadline) = (vec![0; READ_BYTES], Instant::now() + MESSAGE);
    let mut goes_on = false;
    loop {
        let read = if goes_on {
            tokio::select! {
                biased;
                read = stream.read(&mut buffer) => Some(read?),
                () = tokio::task::yield_now() => None,
            }
        } else {
            let read = tokio::time::timeout_at(deadline, stream.read(&mut buffer)).await;
            Some(read.map_err(|_| End::Silent)??)
        };
        if read == Some(0) {
            return Ok(());
        }
        if read.is_some() && !server.guard.hears(std::time::Instant::now(), remote) {
            return Err(End::Blocked);
        }
        let (mut turned, was_mid_message) = (Turned::default(), connection.is_mid_message());
        if trees.has_changed().unwrap_or(false) {
            let tree = trees.borrow_and_update().clone();
            turned.turn(server, &mut connection, remote, Input::Directory(tree));
        }
        let input = read.map_or(Input::Timeout, |count| Input::Received(&buffer[..count]));
        turned.turn(server, &mut connection, remote, input);
        goes_on = turned.goes_on;
        let wrote = write(stream, &turned.send).await?;
        if turned.closes {
            return Ok(());
        }
        // What came piecemeal does not put the end off.
        match (connection.is_mid_message(), was_mid_message) {
            (false, _) => deadline = Instant::now() + IDLE,
            (true, false) => deadline = Instant::now() + MESSAGE,
            (true, true) if wrote => deadline = Instant::now() + MESSAGE,
            (true, true) => {}
        }
    }
}

impl Turned {
    /// Turns the machine and adds what that gives.
    fn turn(&mut self, server: &Server, connection: &mut Connection, remote: SocketAddr, input: Input<'_>) {
        let (now, guard) = (std::time::Instant::now(), &server.guard);
        let wake = connection.step(now, input, |output| match output {
            Output::Effect(Effect::Send(bytes)) => self.send.push(bytes),
            Output::Effect(Effect::Close) => self.closes = true,
            Output::Event(Event::LoggedIn) => debug!(%remote, "logged in to the phonebook"),
            Output::Event(Event::WrongLogin) => {
                info!(%remote, "a wrong login to the phonebook");
                guard.wrong_login(now, remote);
            }
            Output::Event(Event::Searched { code, entries }) => {
                debug!(%remote, ?code, entries, "searched the phonebook");
                guard.count(|counts| counts.searches += 1);
            }
            Output::Event(Event::Malformed(problem)) => {
                debug!(%remote, problem, "malformed LDAP");
                guard.count(|counts| counts.malformed += 1);
            }
        });
        self.goes_on = wake.is_some();
    }
}

/// Writes what turns gave. Says whether there was anything.
async fn write<S: AsyncWrite + Unpin>(stream: &mut S, send: &[Bytes]) -> Result<bool, End> {
    if send.is_empty() {
        return Ok(false);
    }
    let write = async {
        for bytes in send {
            stream.write_all(bytes).await?;
        }
        stream.flush().await
    };
    tokio::time::timeout(WRITE, write).await.map_err(|_| End::SlowReader)??;
    Ok(true)
}

#[cfg(test)]
mod tests;
