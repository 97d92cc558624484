//! The four transaction machines of RFC 3261 17 with the Accepted states of RFC 6026.
//!
//! ```text
//!               INVITE                      anything else
//!  client  [client_invite]  A B D M    [client_non_invite]  E F K
//!  server  [server_invite]  G H I L    [server_non_invite]  J
//! ```
//!
//! A machine here knows neither messages nor flows: it is told *that* a provisional response came and says *that*
//! the request goes out again. Which bytes those are, its owner (the endpoint) keeps. [`ServerKey`] and
//! [`ClientKey`] say which messages belong to one transaction (17.1.3, 17.2.3).

pub mod client_invite;
pub mod client_non_invite;
mod key;
pub mod server_invite;
pub mod server_non_invite;

pub use key::{ClientKey, MergeKey, ServerKey};

use client_invite::ClientInvite;
use client_non_invite::ClientNonInvite;
use server_invite::ServerInvite;
use server_non_invite::ServerNonInvite;
use std::time::{Duration, Instant};

/// What every branch of ours begins with (RFC 3261 8.1.1.7).
pub const MAGIC_COOKIE: &str = "z9hG4bK";
/// Round-trip estimate (RFC 3261 17.1.1.1).
pub const T1: Duration = Duration::from_millis(500);
/// Longest interval between retransmissions of non-INVITE requests and INVITE responses.
pub const T2: Duration = Duration::from_secs(4);
/// Longest time a message stays in the network.
pub const T4: Duration = Duration::from_secs(5);
/// 64 × T1: how long a transaction is tried (timers B, F, H, J, L, M).
pub const TRANSACTION_LIFE: Duration = Duration::from_secs(32);
/// Timer D over unreliable transports: at least 32 s.
pub const TIMER_D: Duration = Duration::from_secs(32);

/// Whether a transport delivers, or the transaction must repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reliability {
    /// TCP, TLS.
    Reliable,
    /// UDP.
    Unreliable,
}

/// The three kinds of response a transaction tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// 100-199.
    Provisional,
    /// 200-299.
    Success,
    /// 300-699.
    Failure,
}

impl Class {
    /// Of a status code.
    #[must_use]
    pub const fn of(status: u16) -> Self {
        match status {
            0..200 => Class::Provisional,
            200..300 => Class::Success,
            _ => Class::Failure,
        }
    }
}

/// What a server transaction wants done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerAction {
    /// Send the last response given to it (again).
    Send,
    /// Hand the ACK to the transaction user: it is for a 2xx.
    PassAck,
    /// The response can't be delivered over this transport.
    TransportFailed,
    /// No ACK came for the final response (timer H).
    TimedOut,
    /// It is over; forget it.
    Terminated,
}

/// What a client transaction wants done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAction {
    /// Send the request again.
    Send,
    /// Send the ACK for the response at hand (17.1.1.3).
    Ack,
    /// Hand the response to the transaction user.
    Pass,
    /// The request can't be delivered.
    TransportFailed,
    /// No response came (timers B, F).
    TimedOut,
    /// It is over; forget it.
    Terminated,
}

/// What comes to a server transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerInput {
    /// Its request, again.
    Request,
    /// An ACK that matches it.
    Ack,
    /// The transaction user answers.
    Respond(Class),
    /// The transport can't deliver.
    TransportError,
    /// Time passed.
    Timeout,
}

/// What comes to a client transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientInput {
    /// A response that matches it.
    Response(Class),
    /// The transport can't deliver.
    TransportError,
    /// Time passed.
    Timeout,
}

/// A server transaction of either kind.
#[derive(Debug)]
pub enum Server {
    /// For INVITE.
    Invite(ServerInvite),
    /// For everything else.
    NonInvite(ServerNonInvite),
}

impl Server {
    /// Takes one input.
    pub fn step(&mut self, now: Instant, input: ServerInput, act: impl FnMut(ServerAction)) {
        match self {
            Server::Invite(machine) => machine.step(now, input, act),
            Server::NonInvite(machine) => machine.step(now, input, act),
        }
    }

    /// When its next timer fires.
    #[must_use]
    pub fn wake(&self) -> Option<Instant> {
        match self {
            Server::Invite(machine) => machine.wake(),
            Server::NonInvite(machine) => machine.wake(),
        }
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_terminated(&self) -> bool {
        match self {
            Server::Invite(machine) => machine.state() == server_invite::State::Terminated,
            Server::NonInvite(machine) => machine.state() == server_non_invite::State::Terminated,
        }
    }

    /// Whether a final response was given to it.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        match self {
            Server::Invite(machine) => machine.state() != server_invite::State::Proceeding,
            Server::NonInvite(machine) => !matches!(
                machine.state(),
                server_non_invite::State::Trying | server_non_invite::State::Proceeding
            ),
        }
    }
}

/// A client transaction of either kind.
#[derive(Debug)]
pub enum Client {
    /// For INVITE.
    Invite(ClientInvite),
    /// For everything else.
    NonInvite(ClientNonInvite),
}

impl Client {
    /// Takes one input.
    pub fn step(&mut self, now: Instant, input: ClientInput, act: impl FnMut(ClientAction)) {
        match self {
            Client::Invite(machine) => machine.step(now, input, act),
            Client::NonInvite(machine) => machine.step(now, input, act),
        }
    }

    /// When its next timer fires.
    #[must_use]
    pub fn wake(&self) -> Option<Instant> {
        match self {
            Client::Invite(machine) => machine.wake(),
            Client::NonInvite(machine) => machine.wake(),
        }
    }

    /// Whether a final response came, or it was given up.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        match self {
            Client::Invite(machine) => {
                !matches!(machine.state(), client_invite::State::Calling | client_invite::State::Proceeding)
            }
            Client::NonInvite(machine) => !matches!(
                machine.state(),
                client_non_invite::State::Trying | client_non_invite::State::Proceeding
            ),
        }
    }
}
