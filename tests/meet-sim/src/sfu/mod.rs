//! The forwarding of media: each participant's packets go to the slots of the others, renumbered, never decoded.

pub mod clock;
pub mod ingress;
pub mod layers;
pub mod peer;
pub mod rewrite;
pub mod slot;
pub mod speaker;
pub mod unreported;
pub mod vp8;

/// A participant, unique over the life of a simulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(pub u32);
