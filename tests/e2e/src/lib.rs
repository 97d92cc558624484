//! Real calls with real peers: what they need to be started, fed and judged.

pub mod api;
pub mod browser;
pub mod devtools;
pub mod gateway;
pub mod impair;
pub mod keypad;
pub mod lab;
pub mod page;
pub mod pattern;
pub mod picture;
pub mod process;
pub mod referee;
pub mod room;
pub mod scene;
pub mod set_up;
pub mod signalling;
pub mod sipp;
pub mod sound;
pub mod wire;
