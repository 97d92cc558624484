//! What an administrator's tools see: the resources of the configuration, how each is kept, and how a body becomes a document.
//!
//! ```text
//!  body ─▶ Kind::shape ─▶ document (the store keeps it) ─┐
//!                                     all documents ─────┴▶ config::documents ─▶ Config
//! ```
//! A [`Kind`] is one sort of resource. Its documents are kept in a collection, one for each name; settings there is one of are documents of
//! the collection `settings`.

mod kind;
pub mod resource;
pub mod settings;

pub use kind::{Kind, Misshapen, SETTINGS};
