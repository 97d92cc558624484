//! Real calls with real peers: what they need to be started, fed and judged.

pub mod pattern;
pub mod sound;
