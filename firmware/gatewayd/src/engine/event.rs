//! Everything that can happen to a shard, as one closed enum.

use crate::control::Status;
use crate::media::prompts::Prompts;
use crate::net::connection::Connection;
use crate::net::poller::Ready;
use base::ids::CallId;
use base::leg::HttpReply;
use bytes::Bytes;
use domain::config::Config;
use domain::licence::Licences;
use sip::endpoint::{Flow, RouteId};
use sip::locate::Target;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::oneshot;

/// Something happened.
pub enum Event {
    /// UDP sockets can be read, or written again.
    Sockets(Vec<Ready>),
    /// A signalling connection is up, ours or a peer's.
    Opened(Connection),
    /// A whole SIP message came on a connection.
    Message {
        /// Which.
        flow: Flow,
        /// It.
        data: Bytes,
    },
    /// A connection is gone, or could not be made.
    Closed(Flow),
    /// A name was looked up for the SIP endpoint.
    Resolved {
        /// The endpoint's question.
        id: RouteId,
        /// Where to try, best first.
        targets: Vec<Target>,
    },
    /// A connection that the SIP endpoint wanted is up, or there can be none.
    Connected {
        /// The endpoint's question.
        id: RouteId,
        /// It.
        flow: Option<Flow>,
    },
    /// What came of a conference leg's request.
    Http {
        /// Whose.
        call: CallId,
        /// It.
        reply: HttpReply,
    },
    /// A media worker has something to tell.
    Reports,
    /// The time that some machine asked for has come, or sockets were not read to their end in the turn before.
    Wake,
    /// What is held against this address is forgotten.
    Forgive(IpAddr),
    /// An operator ends this call.
    HangUp(CallId),
    /// New calls are taken by this configuration; those that stand keep theirs.
    Configure(Arc<Config>),
    /// From now on these licences count; calls that stand go on.
    Licences(Arc<Licences>),
    /// From now on these prompts are shown and said; calls that are shown others keep them.
    Prompts(Prompts),
    /// Somebody wants to know how things are.
    Ask(oneshot::Sender<Status>),
    /// Take no new calls; end those that stand at the deadline.
    Drain {
        /// When.
        deadline: Instant,
    },
}
