//! The only place with sockets: UDP in batches with kernel time stamps, signalling streams, HTTPS, names, and the pipes to workers.
//!
//! Unsafe code stands only in [`batch`], which hands arrays of message headers to `recvmmsg` and `sendmmsg`, and in one
//! line of [`poller`], which promises tokio that a descriptor stays open.

pub mod batch;
pub mod clock;
pub mod connection;
pub mod departure;
pub mod dns;
pub mod https;
pub mod pipe;
pub mod poller;
pub mod ports;
#[cfg(test)]
pub(crate) mod testing;
pub mod tls;
pub mod udp;
