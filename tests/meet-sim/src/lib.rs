//! meet-sim
