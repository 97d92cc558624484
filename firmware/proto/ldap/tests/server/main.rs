//! The server as a client meets it: requests in octets, answers in octets, time that is handed in.

#![allow(clippy::disallowed_methods, reason = "virtual time must begin at some moment")]

mod connection;
mod rig;
mod search;
