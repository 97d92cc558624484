//! The skins: a scene of the menu as text on a screen. Pure; who writes the text is in [`crate::serial`] and
//! [`crate::panel`].

pub mod dumb;
pub mod keys;
pub mod lcd;
pub mod vt100;
pub mod wide;
