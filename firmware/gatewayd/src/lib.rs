//! The daemon: the only place with tokio, sockets, files and clocks.

pub mod net;
