//! The whole configuration of a gateway, from one TOML text: everything wrong in it is told at once, each with line,
//! field and a way out, and nothing is half-applied.
//!
//! A [`Config`] is immutable and handed out as `Arc<Config>`; a call keeps the one it began with. Reading files is the
//! daemon's: paths in here are paths, not contents. `examples/gantry.toml` beside this crate shows every field.

pub mod documents;
pub mod notify;
mod otj;
mod phonebook;
pub(crate) mod read;
mod receptions;
pub mod schema;
mod sections;
mod values;

pub use read::{Problem, Problems};

use crate::api::Kind;
use crate::defence;
use crate::otj::Rules;
use crate::phonebook::Phonebook;
use crate::reception::Desk;
use crate::routing::{Encryption, Router};
use base::leg::Trust;
use base::{Alias, Secret};
use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Largest configuration text taken, in bytes.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Most rules.
pub const MAX_RULES: usize = 5_000;

/// Everything the operator decides.
#[derive(Debug, Clone)]
pub struct Config {
    /// The box itself.
    pub gateway: Gateway,
    /// Signalling with SIP callers.
    pub sip: Sip,
    /// Media.
    pub media: Media,
    /// The administration by HTTPS.
    pub admin: Admin,
    /// Who is not heard any more.
    pub defence: defence::Policy,
    /// Whom rooms can look up, and how (K6).
    pub phonebook: Phonebook,
    /// Ports that connections and requests of the box's own leave by.
    pub signalling_ports: PortRange,
    /// Access tokens (P2).
    pub tokens: Vec<Token>,
    /// The conferences the box can join.
    pub connectors: Vec<Connector>,
    /// Proxies, gatekeepers and TURN servers that rules name.
    pub systems: Vec<System>,
    /// Devices that may register.
    pub devices: Vec<Device>,
    /// Sets of pictures and voices for the prompts.
    pub themes: Vec<Theme>,
    /// The Virtual Receptions (P5); their aliases come before the rules.
    pub receptions: Vec<Desk>,
    /// The Call Routing Rules (P4) and the locations they name.
    pub router: Router,
    /// How an invitation becomes an alias (P6).
    pub otj: Rules,
    /// Whom alarms are told to.
    pub notify: Vec<notify::Sink>,
    /// What is logged.
    pub log: Log,
    /// Resources whose secret is kept but can't be opened, by name: something that nobody can guess stands for it.
    pub unreadable: BTreeSet<(Kind, String)>,
    /// What is allowed but hardly meant.
    pub warnings: Vec<Problem>,
}

/// The box itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// The gateway domains (K1), lower case, at least one.
    pub domains: Vec<String>,
    /// The address callers and conferences see, where it is not the box's own.
    pub public_address: Option<IpAddr>,
    /// How many digits a meeting id has (W2).
    pub meeting_digits: u8,
    /// How many codec workers there are; `None` for one per processor.
    pub workers: Option<usize>,
    /// What a caller that dialled a meeting meets while it waits in the lobby.
    pub lobby: Lobby,
    /// How long calls may go on after a shutdown was asked for.
    pub drain: Duration,
}

/// What a caller that dialled a meeting meets while somebody must admit it (W1, P6). One from a Virtual Reception always sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lobby {
    /// It rings; who is not admitted is refused, with the reason.
    Rings,
    /// It is answered, sees and hears that it waits, and whether it was admitted.
    Shown,
}

/// Signalling with SIP callers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sip {
    /// Where UDP is listened on.
    pub udp: Vec<SocketAddr>,
    /// Where TCP is listened on.
    pub tcp: Vec<SocketAddr>,
    /// Where TLS is listened on; empty without a certificate.
    pub tls: Vec<SocketAddr>,
    /// The chain and the key for TLS, both PEM.
    pub certificate: Option<CertificateFiles>,
    /// How long a session may go on without a refresh (RFC 4028).
    pub session_timer: Duration,
    /// Whether media with callers are encrypted, where no rule says otherwise.
    pub encryption: Encryption,
}

/// Where a certificate is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// PEM file of the chain, own certificate first.
    pub chain: PathBuf,
    /// PEM file of its private key.
    pub key: PathBuf,
}

/// Media.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// Ports that media flow by.
    pub ports: PortRange,
    /// Longest silence of all media before a call is given up.
    pub silence: Duration,
}

/// The administration by HTTPS: the page and the API.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Admin {
    /// Where it is listened on; empty for nowhere.
    pub listen: Vec<SocketAddr>,
}

/// Ports from the first to the last, both in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortRange {
    /// The lowest.
    pub first: u16,
    /// The highest.
    pub last: u16,
}

impl PortRange {
    /// How many there are.
    #[must_use]
    pub fn count(self) -> usize {
        usize::from(self.last - self.first) + 1
    }

    /// Whether `port` is one of them.
    #[must_use]
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

/// `443`, or `40000-49999`.
impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

/// An access token (P2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Unique among the tokens.
    pub name: String,
    /// What the conference is shown.
    pub value: Secret<String>,
    /// What the conference grants it (W1).
    pub trust: Trust,
}

/// A conference the box can join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connector {
    /// Unique among the connectors.
    pub name: String,
    /// How it speaks.
    pub kind: ConnectorKind,
    /// Where it is: an absolute `https` URL without a slash at its end.
    pub url: String,
    /// PEM file of the authorities its certificate is checked against; `None` for the public ones.
    pub ca_file: Option<PathBuf>,
    /// PEM file of the key that signs this gateway's tokens (P3).
    pub gateway_key_file: Option<PathBuf>,
}

/// How a conference speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectorKind {
    /// Gantry's own documented protocol.
    Interop,
}

/// Another system that rules send calls or media through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct System {
    /// Unique among the systems.
    pub name: String,
    /// What it is.
    pub kind: SystemKind,
    /// Host and perhaps port.
    pub address: String,
}

/// What another system is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SystemKind {
    /// RFC 3261 16.
    SipProxy,
    /// ITU-T H.323.
    H323Gatekeeper,
    /// RFC 8656.
    TurnServer,
}

/// A device that may register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its alias: `room@meet.example.com`.
    pub alias: String,
    /// The user name of its digest (RFC 3261 22).
    pub user: String,
    /// The password of its digest.
    pub password: Secret<String>,
}

/// A set of pictures and voices for the prompts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Theme {
    /// Unique among the themes.
    pub name: String,
    /// Where files of its own are: `welcome.png`, `welcome.wav` and so on. What was uploaded comes before them.
    pub folder: Option<PathBuf>,
}

/// What is logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The least level logged.
    pub level: LogLevel,
    /// Where to.
    pub to: LogTarget,
}

/// Least level logged; each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// What failed.
    Error,
    /// What may fail.
    Warn,
    /// Calls.
    Info,
    /// Decisions inside calls.
    Debug,
    /// Packets.
    Trace,
}

/// Where logs go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogTarget {
    /// To the journal where there is one, else to standard error.
    Auto,
    /// To the journal.
    Journal,
    /// To standard error.
    Stderr,
}

impl Config {
    /// Reads `text`, which is called `file` in messages.
    ///
    /// # Errors
    /// [`Problems`]: everything that is wrong, at once.
    pub fn parse(file: &str, text: &str) -> Result<Self, Problems> {
        Self::parse_after(None, file, text)
    }

    /// As [`parse`](Self::parse), faster where much is as it was `before`.
    fn parse_after(before: Option<&Self>, file: &str, text: &str) -> Result<Self, Problems> {
        let problems = |list| Problems { file: file.to_owned(), list };
        if text.len() > MAX_BYTES {
            let message = format!("has {} bytes; at most {MAX_BYTES} are taken", text.len());
            return Err(problems(vec![Problem { line: 1, field: String::new(), message }]));
        }
        sections::read(text, before).map_err(problems)
    }

    /// What of this holds only after a restart, where `running` is what the gateway was started with.
    #[must_use]
    pub fn waits_for_restart(&self, running: &Self) -> Vec<&'static str> {
        let (now, then) = (self, running);
        let listening =
            |config: &Self| (config.sip.udp.clone(), config.sip.tcp.clone(), config.sip.tls.clone());
        let waits = [
            ("where SIP is listened on", listening(now) != listening(then)),
            ("the files of the certificate", now.sip.certificate != then.sip.certificate),
            ("the media ports", now.media.ports != then.media.ports),
            ("the signalling ports", now.signalling_ports != then.signalling_ports),
            ("the public address", now.gateway.public_address != then.gateway.public_address),
            ("how many codec workers there are", now.gateway.workers != then.gateway.workers),
            ("how long a drain takes", now.gateway.drain != then.gateway.drain),
            ("where the administration is listened on", now.admin != then.admin),
            ("how the phonebook is looked up", !now.phonebook.is_served_as(&then.phonebook)),
            ("the log", now.log != then.log),
        ];
        waits.into_iter().filter(|(_, differs)| *differs).map(|(what, _)| what).collect()
    }

    /// The token called `name`.
    #[must_use]
    pub fn token(&self, name: &str) -> Option<&Token> {
        self.tokens.iter().find(|token| token.name == name)
    }

    /// The Virtual Reception that `alias` leads to.
    #[must_use]
    pub fn reception(&self, alias: &Alias) -> Option<&Desk> {
        self.receptions.iter().find(|desk| desk.answers(alias))
    }

    /// The connector called `name`.
    #[must_use]
    pub fn connector(&self, name: &str) -> Option<&Connector> {
        self.connectors.iter().find(|connector| connector.name == name)
    }
}

#[cfg(test)]
mod tests;
