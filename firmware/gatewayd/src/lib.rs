//! The daemon: the only place with tokio, sockets, files and clocks.
//!
//! ```text
//!  main ─▶ start ─▶ shards (a thread each) ─▶ engine, media, net
//!            └────▶ control socket, signals
//! ```

pub mod alarms;
pub mod control;
pub mod engine;
pub mod log;
pub mod media;
pub mod net;
pub mod notify;
pub mod start;
