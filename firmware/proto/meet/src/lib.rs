//! meet
