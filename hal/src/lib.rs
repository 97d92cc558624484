//! The box's hardware as contracts: watchdogs, front panel, sensors, identity, slots, clocks, and why it last restarted.
//!
//! Every trait is object-safe, and beside each stands a fake that a test drives in virtual time. The real ones are in
//! `hal/linux`. Nothing here knows a file, a socket or a clock.
//!
//! ```text
//!  vital parts ─beat─▶ keeper ─feed─▶ Watchdog        (fed only while every part lives)
//!  menu ─Screen─▶ Panel { display, leds, keys } ─KeyEvent─▶ menu
//!  health gate ─mark good─▶ BootControl ─Slots─┐
//!  bootstatus, pstore, stop records, notes ────┴──▶ reason: why the box restarted
//! ```
//!
//! Start with [`watchdog`] and [`keeper`]; the console starts with [`panel`].

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "virtual time must begin at some moment"))]

pub mod fault;
pub mod identity;
pub mod keeper;
pub mod label;
pub mod panel;
pub mod reason;
pub mod sensors;
pub mod slots;
pub mod timestamping;
pub mod watchdog;

pub use fault::DeviceError;
pub use label::Label;
