//! A connection, and what was proven on it.

use super::who;
use crate::protocol::{Authority, Where};
use domain::appliance::access::{Door, Proof};
use std::time::{Duration, Instant};

/// By whom a connection was opened, as the kernel says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// By root, or by the console's own user.
    Trusted,
    /// By the gateway, for an administrator who sits at the page. It may look at everything; what changes something is done on the
    /// administrator's own word, the password, so that a gateway in the wrong hands holds no power over the box.
    Gateway,
    /// By another user of the box: a service. It may look at the status.
    Stranger,
}

/// A connection.
#[derive(Debug, Clone)]
pub struct Session {
    /// By whom it was opened.
    pub peer: Peer,
    /// Where somebody stands.
    pub at: Option<Where>,
    /// What was proven, and not used yet.
    pub proof: Option<Proof>,
    authority: Authority,
    last: Instant,
}

impl Session {
    /// Nobody has said anything yet.
    #[must_use]
    pub fn new(peer: Peer, now: Instant) -> Self {
        Self { peer, at: None, proof: None, authority: Authority::Nobody, last: now }
    }

    /// Says where somebody stands. A command line of the box's own needs no password.
    pub fn hello(&mut self, at: Where) {
        self.lock();
        self.at = Some(at);
        if at == Where::Command && self.peer == Peer::Trusted {
            self.authority = Authority::Administrator;
        }
    }

    /// Where somebody stands, as the audit log calls it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        who(self.at)
    }

    /// Through which door he came.
    #[must_use]
    pub fn door(&self) -> Door {
        match self.at {
            Some(Where::Panel) => Door::Panel,
            Some(Where::Serial | Where::Command | Where::Page) | None => Door::Serial,
        }
    }

    /// What he may do.
    #[must_use]
    pub fn authority(&self) -> Authority {
        self.authority
    }

    /// He has proven himself.
    pub fn grant(&mut self, authority: Authority) {
        self.authority = authority;
        self.proof = None;
    }

    /// Somebody is there.
    pub fn seen(&mut self, now: Instant) {
        self.last = self.last.max(now);
    }

    /// Nobody is there any more.
    pub fn lock(&mut self) {
        self.authority = Authority::Nobody;
        self.proof = None;
    }

    /// When it is locked if nobody is seen until then; a command line never is, as it ends.
    #[must_use]
    pub fn locks_at(&self, idle: Duration) -> Option<Instant> {
        let open = self.authority > Authority::Nobody && self.at != Some(Where::Command);
        open.then(|| self.last + idle)
    }
}
