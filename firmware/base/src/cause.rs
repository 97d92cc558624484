//! Why a call ended or was refused: whose fault, and what happened.
//!
//! Each protocol maps this to its own answer in one table: SIP status and Q.850 in `sip`, H.225 in `h323`.

use std::fmt;

/// Whose doing the end of a call was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// The room that called: hung up, sent nonsense, offered no codec we have.
    Caller,
    /// The conference, by its own rules or a person in it.
    Callee,
    /// The box: its configuration, its capacity, its bugs.
    Gateway,
    /// What lies between: timeouts, lost connections.
    Network,
    /// A service the box depends on: the conference's servers, DNS.
    Upstream,
    /// The box's administrator.
    Operator,
}

/// What happened. One idea has one name here; each protocol's table says what it is on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// An ordinary hang-up.
    HungUp,
    /// The caller gave up before the answer (SIP CANCEL).
    Cancelled,
    /// No rule takes the alias.
    NoRoute,
    /// A Virtual Reception's caller keyed nothing (P5).
    NothingKeyed,
    /// The conference does not know this meeting.
    MeetingNotFound,
    /// The conference does not take our token.
    BadToken,
    /// The access token is sealed by a key that is lost; the administrator must enter it anew.
    TokenUnreadable,
    /// The conference or its host refused or removed the caller (P11).
    CallRejected,
    /// Nobody admitted the caller from the lobby in time (P6).
    LobbyTimeout,
    /// Interoperability is switched off on the conference side (W4).
    InteropDisabled,
    /// The meeting takes no more participants.
    MeetingFull,
    /// The meeting ended.
    MeetingEnded,
    /// The conference's servers cannot be reached, or answer nonsense.
    Unreachable,
    /// A connection that stood was lost.
    ConnectionLost,
    /// No media came for too long.
    MediaTimeout,
    /// The session timer ran out (RFC 4028).
    SessionExpired,
    /// Signalling that must be answered was not.
    SignallingTimeout,
    /// No codec, address family or encryption in common.
    NotAcceptable,
    /// The peer broke its protocol beyond repair.
    ProtocolError,
    /// The caller must prove who it is and did not.
    Unauthorized,
    /// The box is full: ports or processor.
    NoCapacity,
    /// No call licence is free (P15).
    NoLicence,
    /// The box is being drained for a restart.
    Draining,
    /// Our own bug, caught.
    InternalError,
}

/// Why a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cause {
    /// Whose doing it was.
    pub fault: Fault,
    /// What happened.
    pub kind: Kind,
}

impl Cause {
    /// The room hung up.
    pub const CALLER_HUNG_UP: Cause = Cause::new(Fault::Caller, Kind::HungUp);

    /// `kind`, by `fault`.
    #[must_use]
    pub const fn new(fault: Fault, kind: Kind) -> Self {
        Self { fault, kind }
    }

    /// A sentence for logs, pages and SIP reason phrases.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self.kind {
            Kind::HungUp => "call disconnected",
            Kind::Cancelled => "caller gave up before the answer",
            Kind::NoRoute => "no routing rule takes this alias",
            Kind::NothingKeyed => "no meeting id was keyed",
            Kind::MeetingNotFound => "meeting not found",
            Kind::BadToken => "access token refused by the conference",
            Kind::TokenUnreadable => "access token must be entered anew",
            Kind::CallRejected => "call rejected",
            Kind::LobbyTimeout => "nobody admitted the caller in time",
            Kind::InteropDisabled => "interoperability is off for this meeting",
            Kind::MeetingFull => "meeting is full",
            Kind::MeetingEnded => "meeting ended",
            Kind::Unreachable => "conference unreachable",
            Kind::ConnectionLost => "connection lost",
            Kind::MediaTimeout => "no media received",
            Kind::SessionExpired => "session timer expired",
            Kind::SignallingTimeout => "signalling timed out",
            Kind::NotAcceptable => "no media format in common",
            Kind::ProtocolError => "protocol error",
            Kind::Unauthorized => "authentication failed",
            Kind::NoCapacity => "gateway is full",
            Kind::NoLicence => "no call licence is free",
            Kind::Draining => "gateway is shutting down",
            Kind::InternalError => "internal error",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?})", self.text(), self.fault)
    }
}
