//! What the endpoint takes, does and tells.

use super::config::{Config, Login};
use super::flow::{Flow, Target};
use crate::headers::NameAddr;
use crate::locate;
use crate::session::{SessionCommand, SessionEvent};
use crate::uri::Uri;
use base::ids::SessionId;
use bytes::Bytes;
use std::time::Duration;

/// What the endpoint takes.
#[derive(Debug)]
pub enum Input<'a> {
    /// One message: a datagram, or what [`StreamFramer`](crate::framing::StreamFramer) cut out of a stream.
    Received {
        /// The way it came.
        flow: Flow,
        /// All of it.
        data: &'a [u8],
    },
    /// This connection is gone, or could not send.
    FlowClosed(Flow),
    /// What a session's owner wants.
    Session {
        /// Which session.
        id: SessionId,
        /// What.
        command: SessionCommand,
    },
    /// Call somebody.
    Call(Box<Outgoing>),
    /// The answer to [`Effect::Lookup`]: where to try, best first; empty if there is nothing.
    Resolved {
        /// Which question.
        id: RouteId,
        /// The answer.
        targets: Vec<locate::Target>,
    },
    /// The answer to [`Effect::Connect`].
    Connected {
        /// Which question.
        id: RouteId,
        /// The connection, or `None` if there can be none.
        flow: Option<Flow>,
    },
    /// Settings for everything that begins from now on.
    Configure(Box<Config>),
    /// Take no new calls; those that stand go on.
    Drain,
    /// The wake-up it asked for, or any later one.
    Timeout,
}

/// A call to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// What [`Endpoint::allocate`](super::Endpoint::allocate) gave; its events bear it.
    pub id: SessionId,
    /// Whom to call. A device that is registered here is called over the flow it keeps open.
    pub to: Uri,
    /// Who calls, name and address.
    pub from: NameAddr,
    /// Our offer.
    pub offer: Bytes,
    /// The proxy it goes through.
    pub proxy: Option<Uri>,
    /// How to answer challenges.
    pub login: Option<Login>,
}

/// Names a question of the endpoint about a way to somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteId(pub u64);

/// What the endpoint does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Send a message.
    Send {
        /// Over this flow.
        flow: Flow,
        /// All of it.
        data: Bytes,
    },
    /// Find where a URI leads with [`Locate`](locate::Locate); answer with [`Input::Resolved`].
    Lookup {
        /// Names the question.
        id: RouteId,
        /// The URI.
        uri: Uri,
    },
    /// Open a stream connection; answer with [`Input::Connected`].
    Connect {
        /// Names the question.
        id: RouteId,
        /// Where to.
        target: Target,
    },
}

/// What the endpoint tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Something of a session.
    Session {
        /// Which.
        id: SessionId,
        /// What.
        event: SessionEvent,
    },
    /// The far side of an outgoing call is being alerted.
    Ringing(SessionId),
    /// A device is registered, newly or again.
    Registered {
        /// The device's name.
        device: String,
        /// The way to it.
        flow: Flow,
        /// For how long.
        expires: Duration,
    },
    /// A device is registered no more.
    Unregistered {
        /// The device's name.
        device: String,
    },
    /// Somebody did what honest callers seldom do.
    Offence {
        /// Who.
        flow: Flow,
        /// What.
        what: Offence,
    },
    /// Somebody sent what is no message; it is answered where that is possible.
    Malformed {
        /// Who.
        flow: Flow,
        /// What is wrong with it.
        problem: String,
    },
}

/// What honest callers seldom do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offence {
    /// Said in User-Agent that it is a scanner. It got no answer.
    Scanner,
    /// Answered a challenge wrongly, or wanted to register as a device that is none of ours.
    WrongCredentials,
}
