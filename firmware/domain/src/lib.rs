//! Gateway logic, pure: what a call is, which rule takes it, what the room sees, and what the administrator is told.
//!
//! Nothing here knows a protocol, a socket or a codec: calls speak [`base::leg`], and the engine holds both ends.
//!
//! ```text
//!  config (one text) ─▶ Arc<Config> ─▶ routing ─▶ call ─▶ leg commands
//!                                  reception ─────▶│ └──▶ media (the plan of what flows; prompt, theme)
//!                                      layout ◀────┘ └──▶ status (what the live view shows)
//! ```
//!
//! Start with [`call::Call`]; the operator's side starts with [`config::Config`].

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "virtual time must begin at some moment"))]

pub mod alarm;
pub mod api;
pub mod appliance;
pub mod call;
pub mod certificate;
pub mod config;
pub mod defence;
pub mod firewall;
pub mod history;
pub mod layout;
pub mod licence;
pub mod media;
pub mod otj;
pub mod phonebook;
pub mod prompt;
pub mod reception;
pub mod routing;
pub mod status;
pub mod theme;
