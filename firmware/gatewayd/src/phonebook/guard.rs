//! Who guesses the phonebook's password is not heard any more (`domain::defence`), by LDAP and by HTTPS alike; and what is counted.

use domain::defence::{Blocked, Defence, Offence, Path};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tracing::warn;

/// What was counted since the start, and what is open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections that are open.
    pub connections: u64,
    /// Searches that ended.
    pub searches: u64,
    /// Wrong names and passwords.
    pub wrong_logins: u64,
    /// What was no LDAP.
    pub malformed: u64,
}

/// The phonebook's defence; every copy is the same one.
#[derive(Debug, Clone)]
pub struct Guard(Arc<Mutex<(Defence, Counts)>>);

impl Guard {
    /// One that holds `defence`.
    #[must_use]
    pub fn new(defence: Defence) -> Self {
        Self(Arc::new(Mutex::new((defence, Counts::default()))))
    }

    /// Whether `remote` is heard.
    #[must_use]
    pub fn hears(&self, now: Instant, remote: SocketAddr) -> bool {
        self.lock().0.hears(now, remote, Path::Connection)
    }

    /// `remote` gave a wrong name or password.
    pub fn wrong_login(&self, now: Instant, remote: SocketAddr) {
        let mut inside = self.lock();
        inside.1.wrong_logins += 1;
        if let Some(source) = inside.0.note(now, remote, Path::Connection, Offence::WrongLogin) {
            let why = Offence::WrongLogin.text();
            warn!(%source, why, "blocked: the phonebook does not hear it for a while");
        }
    }

    /// Forgets what is held against `address`. Says whether anything was.
    pub fn forgive(&self, address: IpAddr) -> bool {
        self.lock().0.forgive(address)
    }

    /// Who is blocked, and how many connections and messages were dropped so far.
    #[must_use]
    pub fn blocked(&self, now: Instant) -> (Vec<Blocked>, u64) {
        let inside = self.lock();
        (inside.0.blocked(now), inside.0.dropped())
    }

    /// What was counted.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.lock().1
    }

    /// Counts.
    pub(super) fn count(&self, count: impl FnOnce(&mut Counts)) {
        count(&mut self.lock().1);
    }

    fn lock(&self) -> MutexGuard<'_, (Defence, Counts)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
