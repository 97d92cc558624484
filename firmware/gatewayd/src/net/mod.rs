//! The only place with sockets: UDP in batches with kernel time stamps, signalling streams, HTTPS, names.
//!
//! Unsafe code stands only in [`batch`], which hands arrays of message headers to `recvmmsg` and `sendmmsg`.

pub mod batch;
pub mod clock;
pub mod connection;
pub mod dns;
pub mod https;
pub mod ports;
pub mod tls;
pub mod udp;
