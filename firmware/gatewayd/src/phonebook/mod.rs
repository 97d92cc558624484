//! The phonebook (K6) at its sockets: LDAP and LDAPS for rooms, and what HTTPS answers.
//!
//! ```text
//!  domain::phonebook::Directory ─contacts─▶ ldap::Tree ─┐ (replaced while it runs)
//!  TCP, TLS ─▶ listen (bounded, who guesses is not heard) ─▶ serve: ldap::Connection, turned
//! ```
//! It has a thread and a runtime of its own, so that a search over twenty thousand entries costs no call a packet. A bug ends one
//! connection: each is a task.

mod contacts;
mod guard;
pub mod https;
mod listen;
mod serve;

pub use guard::Guard;

use crate::control::Status;
use crate::engine::event::Event;
use crate::net::tls::Certificates;
use anyhow::{Context, Result};
use domain::config::Config;
use domain::defence::Defence;
use domain::phonebook::{Directory, Phonebook as Settings};
use ldap::Tree;
use listen::Server;
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::LocalSet;
use tracing::info;

/// Its thread's name.
const THREAD: &str = "phonebook";
/// Questions waiting for it.
const EVENTS: usize = 16;

/// The addresses it is looked up at.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Listening {
    /// Over TCP.
    pub ldap: Vec<SocketAddr>,
    /// Over TLS.
    pub ldaps: Vec<SocketAddr>,
}

/// Sockets that are bound, before anything runs.
pub struct Bound {
    ldap: Vec<TcpListener>,
    ldaps: Vec<TcpListener>,
}

/// A phonebook that is served. It ends when this goes.
pub struct Phonebook {
    /// Where it is looked up.
    pub listening: Listening,
    /// Takes what shards take of who asks: [`Event::Ask`] and [`Event::Forgive`]; all else is passed over.
    pub events: mpsc::Sender<Event>,
    /// Who guesses; shared with what answers over HTTPS.
    pub guard: Guard,
    settings: Settings,
    trees: watch::Sender<Arc<Tree>>,
    /// Its loop ends when this goes; who asks may keep a way to it for longer.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Where new entries are put.
#[derive(Clone)]
pub struct Shelf {
    base: String,
    trees: watch::Sender<Arc<Tree>>,
}

/// Binds what `config` names.
///
/// # Errors
/// If an address is taken.
pub fn bind(config: &Config) -> Result<Bound> {
    let listen = |addresses: &[SocketAddr], what: &str| -> Result<Vec<TcpListener>> {
        let one = |at: &SocketAddr| {
            let listener = TcpListener::bind(at)
                .with_context(|| format!("cannot serve the phonebook by {what} on {at}"))?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        addresses.iter().map(one).collect()
    };
    let Settings { ldap, ldaps, .. } = &config.phonebook;
    Ok(Bound { ldap: listen(ldap, "LDAP")?, ldaps: listen(ldaps, "LDAPS")? })
}

impl Bound {
    fn listening(&self) -> Result<Listening> {
        let of = |listeners: &[TcpListener]| -> std::io::Result<Vec<SocketAddr>> {
            listeners.iter().map(TcpListener::local_addr).collect()
        };
        Ok(Listening { ldap: of(&self.ldap)?, ldaps: of(&self.ldaps)? })
    }
}

impl Phonebook {
    /// Serves `config`'s phonebook on what was bound; LDAPS with the certificate in `tls`.
    ///
    /// # Errors
    /// If the thread can't be started.
    pub fn start(config: &Config, bound: Bound, tls: Certificates) -> Result<Self> {
        let settings = config.phonebook.clone();
        let listening = bound.listening()?;
        let guard = Guard::new(Defence::new(config.defence.clone()));
        let (trees, seen) = watch::channel(Arc::new(tree(settings.base.as_str(), &settings.directory)?));
        let ((events, asked), (stop, stopped)) = (mpsc::channel(EVENTS), oneshot::channel());
        let server = Server::new(&settings, seen, guard.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name(THREAD.into()).spawn(move || {
            LocalSet::new().block_on(&runtime, async {
                tokio::select! {
                    () = run(server, bound, tls, asked) => {}
                    _ = stopped => {}
                }
            });
        })?;
        if listening != Listening::default() {
            info!(?listening, entries = settings.directory.entries().len(), "the phonebook is looked up");
        }
        Ok(Self { listening, events, guard, settings, trees, stop: Some(stop), thread: Some(thread) })
    }

    /// Shows these entries from now on. Searches that go on keep what they began with.
    ///
    /// # Errors
    /// If the base is none, which no configuration has.
    pub fn replace(&mut self, directory: Arc<Directory>) -> Result<()> {
        self.shelf().show(&directory)?;
        self.settings.directory = directory;
        Ok(())
    }

    /// Where others put new entries.
    #[must_use]
    pub fn shelf(&self) -> Shelf {
        Shelf { base: self.settings.base.as_str().to_owned(), trees: self.trees.clone() }
    }

    /// What it is set to, and its entries as they are now.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }
}

impl Shelf {
    /// Shows these entries from now on. Searches that go on keep what they began with.
    ///
    /// # Errors
    /// If the base is none, which no configuration has.
    pub fn show(&self, directory: &Directory) -> Result<()> {
        self.trees.send_replace(Arc::new(tree(&self.base, directory)?));
        Ok(())
    }
}

impl Drop for Phonebook {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // What it panicked with was logged; nobody else is there to be told.
            drop(thread.join());
        }
    }
}

fn tree(base: &str, directory: &Directory) -> Result<Tree> {
    let contacts = directory.entries().iter().map(contacts::contact).collect();
    Ok(Tree::new(base, env!("CARGO_PKG_VERSION"), contacts)?)
}

/// Accepts, and answers who asks, until nobody can ask any more.
async fn run(server: Server, bound: Bound, tls: Certificates, mut asked: mpsc::Receiver<Event>) {
    let plain = bound.ldap.into_iter().map(|listener| (listener, None));
    let secure = bound.ldaps.into_iter().map(|listener| (listener, Some(tls.clone())));
    for (listener, tls) in plain.chain(secure) {
        tokio::task::spawn_local(server.clone().accept(listener, tls));
    }
    while let Some(event) = asked.recv().await {
        match event {
            Event::Ask(answer) => drop(answer.send(status(&server.guard))),
            Event::Forgive(address) if server.guard.forgive(address) => {
                info!(%address, "heard again by the phonebook: an operator forgave it");
            }
            _ => {}
        }
    }
}

/// What it adds to the answer of the control socket.
fn status(guard: &Guard) -> Status {
    let (blocked, dropped) = guard.blocked(Instant::now());
    let counts = guard.counts();
    Status {
        blocked: blocked.into_iter().map(Into::into).collect(),
        counters: BTreeMap::from([
            ("phonebook_connections", counts.connections),
            ("phonebook_dropped", dropped),
            ("phonebook_malformed", counts.malformed),
            ("phonebook_searches", counts.searches),
            ("phonebook_wrong_logins", counts.wrong_logins),
        ]),
        ..Status::default()
    }
}
