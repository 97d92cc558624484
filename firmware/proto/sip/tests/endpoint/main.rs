//! The endpoint against itself and against hand-written peers, in virtual time.
#![allow(clippy::disallowed_methods, reason = "virtual time must begin at some moment")]
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod calls;
mod changes;
mod hostile;
mod lossy;
mod outgoing;
mod raw;
mod registration;
mod rig;
mod torture;
mod ways_back;
