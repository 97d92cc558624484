//! The box itself: what it is set to, how a change comes back by itself, who may change it, and what is written down of it.
//!
//! ```text
//!  typed, keyed ─▶ Draft ─settle▶ Settings ─▶ Commit (120 s) ─PutInForce─▶ Request ─▶ networkd's files
//!  label's code, password ─▶ Access ─▶ who may                 └─Keep────▶ Kept, in two Copies
//!  every act ─▶ audit (chained)       everything ─▶ bundle (redacted)
//! ```
//! Nothing here reads a clock, a file or a socket: the console does, and hands in what it read.

pub mod access;
pub mod audit;
pub mod bundle;
pub mod commit;
pub mod copies;
pub(crate) mod digest;
pub mod dns;
pub mod field;
pub mod guard;
pub mod instant;
pub mod networkd;
pub mod password;
pub mod record;
pub mod request;
pub mod settings;
pub mod sntp;
pub mod stun;
pub mod text;
pub mod values;

pub use digest::hex;
pub use field::{Field, Of};
pub use settings::{Draft, Settings};
