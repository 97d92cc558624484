//! The configuration in its store.
