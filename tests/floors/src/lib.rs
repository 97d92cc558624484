//! floors
