//! The desk in virtual time.
