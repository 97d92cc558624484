//! `gantry`: sets the box up and keeps it, at its serial console, its front panel and its command line.
//!
//! ```text
//!  gantry serial ─┐                          ┌─▶ /run/gantry/apply/* ─▶ gantry apply (root, for a moment)
//!  gantry panel ──┼─▶ gantry serve (the desk)┼─▶ settings in two copies, audit log
//!  gantry <command>┘   one JSON line each way└─▶ the gateway's control socket
//! ```
//! One menu model ([`menu`]) and three skins over it ([`skin`], [`words`]); one process, `gantry serve`, owns what is shared:
//! settings, the 120 s of a trial, sessions and the audit log ([`desk`], [`serve`]). The skins are its clients, so a change that
//! is on trial is seen, and confirmed, from wherever somebody stands, and a skin that dies takes nothing with it.
//!
//! Everything runs on blocking threads: each connection waits for one person. Only ways that are tried ([`paths`]) turn a
//! small tokio runtime for as long as they take, for the resolver and its time-outs.

pub mod apply;
pub mod bundle;
pub mod client;
pub mod data_key;
pub mod desk;
pub mod files;
pub mod gateway;
pub mod life;
pub mod look;
pub mod menu;
pub mod notes;
pub mod panel;
pub mod paths;
pub mod places;
pub mod protocol;
pub mod serial;
pub mod serve;
pub mod skin;
pub mod stamping;
pub mod store;
#[cfg(test)]
mod testing;
pub mod view;
pub mod words;
pub mod world;
