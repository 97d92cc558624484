//! `gantry`: sets the box up and keeps it, at its serial console, its front panel and its command line.
pub mod desk;
pub mod menu;
pub mod protocol;
pub mod skin;
pub mod view;
pub mod words;
pub mod world;
