//! Gateway logic, pure: what a call is, which rule takes it, what the room sees, and what the administrator is told.
//!
//! Nothing here knows a protocol, a socket or a codec: calls speak [`base::leg`], and the engine holds both ends.
//!
//! ```text
//!  config (one text) ─▶ Arc<Config> ─▶ routing ─▶ call ─▶ leg commands
//!                                                  │ └──▶ media (the plan of what flows)
//!                                      layout ◀────┘ └──▶ status (what the live view shows)
//! ```
//!
//! Start with [`call::Call`]; the operator's side starts with [`config::Config`].

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "virtual time must begin at some moment"))]

pub mod alarm;
pub mod appliance;
pub mod call;
pub mod config;
pub mod defence;
pub mod firewall;
pub mod layout;
pub mod media;
pub mod routing;
pub mod status;
