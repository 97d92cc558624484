//! The daemon: the only place with tokio, sockets, files and clocks.
//!
//! ```text
//!  main ─▶ start ─▶ shards (a thread each) ─▶ engine, media, net
//!            ├────▶ phonebook (a thread)
//!            └────▶ control socket, signals
//! ```

pub mod control;
pub mod engine;
pub mod log;
pub mod media;
pub mod net;
pub mod phonebook;
pub mod start;
