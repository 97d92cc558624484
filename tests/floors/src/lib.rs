//! Holds the plan of the house: who may know whom, where outside crates come in, and how files look.
//!
//! [`plan`] is the plan, one line for each thing that is allowed. The other modules find what departs from it and say
//! so with the way out. They look at plain data, so that each has a test with a planted fault; `tests/house.rs` shows
//! them the real workspace.

pub mod edges;
pub mod manifests;
pub mod plan;
pub mod sources;
