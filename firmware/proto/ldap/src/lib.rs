//! LDAP v3, the server's side (RFC 4511 to 4515): what room systems ask a phonebook, answered from a tree that is read only.
//!
//! ```text
//!  bytes ─▶ frame ─▶ message ─▶ Connection ─┬─▶ answers (bind, compare, extended, what would write)
//!                                           └─▶ search ─▶ filter over the Tree's entries ─▶ bytes
//!  contacts ─▶ Tree (entries as inetOrgPerson with the attributes of H.350)
//! ```
//! [`Connection`] is a machine: bytes in, bytes out. A search is done in slices, so that one over a large tree holds up nobody and no more is
//! written than the peer has taken. Every size that a peer can choose is bounded: frames, terms and depth of a filter, names, requests that wait.
//!
//! BER is our own ([`ber`]): LDAP uses a small part of it (definite lengths, tags of one octet). ldap3_proto 0.9, the crate that reads it all, brings
//! tokio into pure code and parses a message that is not all there from its beginning each time more of it comes.
//!
//! Deliberately absent: writing, SASL, StartTLS (LDAPS has a port of its own), referrals, aliases, extensible matching (undefined, as RFC 4511
//! 4.5.1.7.7 allows).

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "virtual time must begin at some moment"))]

mod answer;
pub mod ber;
mod connection;
mod controls;
mod dn;
mod entry;
mod filter;
mod matching;
mod message;
mod result;
mod schema;
mod search;
mod selection;
mod tree;

pub use connection::{Anonymous, Connection, Effect, Event, Input, Login, MAX_FRAME, MAX_WAITING, Service};
pub use dn::Dn;
pub use result::ResultCode;
pub use search::SEARCH_TIME;
pub use tree::{Contact, Tree, TreeError};

/// The definitions of H.350 as this server publishes them, each a line for `slapd.conf`; for who compares the two.
#[must_use]
pub fn h350_schema() -> Vec<String> {
    schema::h350()
}
