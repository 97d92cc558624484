//! The daemon: the only place with tokio, sockets, files and clocks.
//!
//! ```text
//!  main ─▶ start ─▶ shards (a thread each) ─▶ engine, media, net
//!            ├────▶ control socket, signals
//!            └────▶ admin: a thread with the API and the page, over the configuration in the store
//!            ├────▶ phonebook (a thread)
//!            └────▶ control socket, signals
//! ```

pub mod admin;
pub mod alarms;
pub mod certificates;
pub mod configuration;
pub mod console;
pub mod control;
pub mod engine;
pub mod licences;
pub mod log;
pub mod media;
pub mod net;
pub mod notify;
pub mod phonebook;
pub mod start;
pub mod themes;
