//! Break-in defence: who guesses too often is not heard any more.
//!
//! ```text
//!             an offence: so many within the window, or one that only a scanner commits
//!  heard ─────────────────────────────────────────────────────────────────────────────▶ blocked
//!    ▲                                                                                     │
//!    └───────────────── its time is over, or an operator forgives ◀────────────────────────┘
//! ```
//! A source is an IPv4 address or an IPv6 network of 64 bits, and how it reaches the box: the sender of a datagram may be forged, so what
//! came in datagrams blocks datagrams alone; what came by connections blocks both. Who has a call that a rule took is heard by the address of that call whatever others behind
//! the same one do, and networks that the operator allows are never blocked. Sources that are remembered are bounded; the one whose
//! last offence is the oldest is forgotten first.

use crate::routing::Network;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

/// Most sources that are remembered.
pub const MAX_SOURCES: usize = 16_384;

/// What the operator decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Whether anybody is blocked at all.
    pub enabled: bool,
    /// So many offences within the window block a source, 5 to 200.
    pub offences: u16,
    /// How long an offence counts.
    pub window: Duration,
    /// How long a source is blocked. Trying on doesn't make it longer: a device that was given the right password is back in time.
    pub block: Duration,
    /// Networks that are never blocked.
    pub allow: Vec<Network>,
}

/// How a source reaches the box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Path {
    /// By datagrams, whose sender may be forged.
    Datagrams,
    /// By a connection, whose other end is where it says.
    Connection,
}

/// What somebody did that honest callers seldom do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Offence {
    /// Dialled what no rule takes, or a meeting that is none.
    WrongAlias,
    /// Gave a wrong password or PIN, or tried to register as nobody that is known.
    WrongCredentials,
    /// Gave a wrong name or password to look something up or to administer.
    WrongLogin,
    /// Called itself by the name of a scanner; that alone blocks.
    Scanner,
}

/// Who is meant: an address, or its network where one customer has a whole one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source {
    address: IpAddr,
    path: Path,
}

/// A source that is blocked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// Who.
    pub source: Source,
    /// For what at last.
    pub offence: Offence,
    /// How many messages or connections were not heard since.
    pub dropped: u64,
    /// How long it lasts.
    pub remaining: Duration,
}

/// Who did what, and who is not heard.
#[derive(Debug)]
pub struct Defence {
    policy: Policy,
    records: HashMap<Source, Record>,
    /// The records by their last offence.
    quiet: BTreeSet<(Instant, Source)>,
    /// Callers with a call that a rule took, and how many.
    standing: HashMap<SocketAddr, usize>,
    dropped: u64,
}

/// What is known of a source.
#[derive(Debug)]
struct Record {
    /// When it offended last; it is blocked from then on.
    touched: Instant,
    /// When it offended within the window; no more than the policy's number.
    offences: VecDeque<Instant>,
    blocked: Option<(Offence, u64)>,
}

impl Source {
    /// The source that `address` belongs to.
    #[must_use]
    pub fn of(address: IpAddr, path: Path) -> Self {
        let address = match address.to_canonical() {
            IpAddr::V6(address) => {
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::from(u64::MAX) << 64)))
            }
            v4 @ IpAddr::V4(_) => v4,
        };
        Self { address, path }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = if self.address.is_ipv6() { "/64" } else { "" };
        let path = match self.path {
            Path::Datagrams => "datagrams",
            Path::Connection => "connections",
        };
        write!(f, "{}{prefix} ({path})", self.address)
    }
}

impl Offence {
    /// What it is, as an alarm and the list of the blocked say it.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::WrongAlias => "wrong aliases",
            Self::WrongCredentials => "wrong credentials",
            Self::WrongLogin => "wrong logins",
            Self::Scanner => "a scanner",
        }
    }
}

impl Default for Policy {
    /// Ten within ten minutes, for ten minutes; the box itself is never blocked.
    fn default() -> Self {
        const TEN_MINUTES: Duration = Duration::from_secs(600);
        let own = ["127.0.0.0/8", "::1"].into_iter().filter_map(Network::parse).collect();
        Self { enabled: true, offences: 10, window: TEN_MINUTES, block: TEN_MINUTES, allow: own }
    }
}

impl Defence {
    /// One that nobody has offended yet.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self { policy, records: HashMap::new(), quiet: BTreeSet::new(), standing: HashMap::new(), dropped: 0 }
    }

    /// Whether what `remote` sends is heard.
    pub fn hears(&mut self, now: Instant, remote: SocketAddr, path: Path) -> bool {
        // Most of what comes is from somebody of whom nothing is known.
        if self.records.is_empty() {
            return true;
        }
        let held_against = match path {
            Path::Datagrams => [Path::Datagrams, Path::Connection].as_slice(),
            Path::Connection => &[Path::Connection],
        };
        let standing = self.standing.contains_key(&remote);
        for path in held_against {
            let source = Source::of(remote.ip(), *path);
            self.lapse(now, source);
            let blocked = self.records.get_mut(&source).and_then(|record| record.blocked.as_mut());
            if let Some((_, dropped)) = blocked.filter(|_| !standing) {
                *dropped += 1;
                self.dropped += 1;
                return false;
            }
        }
        true
    }

    /// Notes what `remote` did. Says who is blocked for it, if somebody is from now on.
    pub fn note(&mut self, now: Instant, remote: SocketAddr, path: Path, offence: Offence) -> Option<Source> {
        let allowed = self.policy.allow.iter().any(|network| network.contains(remote.ip()));
        if !self.policy.enabled || allowed {
            return None;
        }
        let source = Source::of(remote.ip(), path);
        self.lapse(now, source);
        self.make_room(source);
        let (window, most) = (self.policy.window, usize::from(self.policy.offences));
        let record = self.records.entry(source).or_insert_with(|| Record {
            touched: now,
            offences: VecDeque::new(),
            blocked: None,
        });
        if record.blocked.is_some() {
            return None;
        }
        while record.offences.front().is_some_and(|at| now.saturating_duration_since(*at) >= window) {
            record.offences.pop_front();
        }
        record.offences.push_back(now);
        let blocks = record.offences.len() >= most || offence == Offence::Scanner;
        record.blocked = blocks.then_some((offence, 0));
        self.touch(now, source);
        blocks.then_some(source)
    }

    /// A rule took a call of `remote`: it is heard until as many calls of it have ended.
    pub fn call_began(&mut self, remote: SocketAddr) {
        *self.standing.entry(remote).or_default() += 1;
    }

    /// A call that a rule had taken is over.
    pub fn call_ended(&mut self, remote: SocketAddr) {
        if let Some(count) = self.standing.get_mut(&remote) {
            *count -= 1;
            if *count == 0 {
                self.standing.remove(&remote);
            }
        }
    }

    /// Goes on by another policy. Who is blocked stays so, unless nobody is to be.
    pub fn set_policy(&mut self, policy: Policy) {
        if !policy.enabled {
            self.records.clear();
            self.quiet.clear();
        }
        self.policy = policy;
    }

    /// Forgets what is held against `address`. Says whether anything was.
    pub fn forgive(&mut self, address: IpAddr) -> bool {
        let paths = [Path::Datagrams, Path::Connection].into_iter();
        paths.filter(|path| self.forget(Source::of(address, *path))).count() > 0
    }

    /// Who is blocked, the latest last.
    #[must_use]
    pub fn blocked(&self, now: Instant) -> Vec<Blocked> {
        let blocked = |(touched, source): &(Instant, Source)| {
            let (offence, dropped) = self.records.get(source)?.blocked?;
            let remaining = self.policy.block.saturating_sub(now.saturating_duration_since(*touched));
            (!remaining.is_zero()).then_some(Blocked { source: *source, offence, dropped, remaining })
        };
        self.quiet.iter().filter_map(blocked).collect()
    }

    /// Messages and connections that were not heard since the start.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    fn touch(&mut self, now: Instant, source: Source) {
        if let Some(record) = self.records.get_mut(&source) {
            self.quiet.remove(&(record.touched, source));
            record.touched = now;
            self.quiet.insert((now, source));
        }
    }

    fn forget(&mut self, source: Source) -> bool {
        let Some(record) = self.records.remove(&source) else { return false };
        self.quiet.remove(&(record.touched, source))
    }

    /// Forgets `source` if it was quiet for so long, or blocked for so long, that nothing counts any more.
    fn lapse(&mut self, now: Instant, source: Source) {
        let Some(record) = self.records.get(&source) else { return };
        let lasts = if record.blocked.is_some() { self.policy.block } else { self.policy.window };
        if now.saturating_duration_since(record.touched) >= lasts {
            self.forget(source);
        }
    }

    /// Forgets the one whose last offence is the oldest, if a new one has no room.
    fn make_room(&mut self, source: Source) {
        if self.records.len() >= MAX_SOURCES
            && !self.records.contains_key(&source)
            && let Some((_, oldest)) = self.quiet.first().copied()
        {
            self.forget(oldest);
        }
    }
}

#[cfg(test)]
mod tests;
