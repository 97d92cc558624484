//! The box's hardware as Linux shows it: what stands behind the traits of [`hal`] on a real box.
//!
//! ```text
//!  /dev/watchdogN, NOTIFY_SOCKET ─▶ watchdog      /sys/class/hwmon ─▶ hwmon
//!  /dev/i2c-N, /dev/gpiochipN, LCDd ─▶ panel      /sys/class/dmi, EEPROM ─▶ identity
//!  BGENV.DAT on BOOT-A, BOOT-B ─▶ ebg             SO_TIMESTAMPING, /dev/ptpN ─▶ stamping
//!  /sys/fs/pstore ─▶ pstore                       a boot image on the disk ─▶ image
//!  signs of life of a program's parts ─▶ vital    /run/gantry/notes ─▶ notes
//!  /sys/block ─▶ disk                            timesyncd, adjtimex ─▶ clock
//! ```
//!
//! Whatever is read from outside is taken for hostile: bounded in size and time, and a wrong value is no value. Every
//! backend takes the folders it works on, so that a test shows it a made tree.

pub mod clock;
pub mod disk;
pub mod ebg;
mod files;
pub mod hwmon;
pub mod identity;
pub mod image;
pub mod notes;
pub mod panel;
pub mod pstore;
pub mod stamping;
pub mod vital;
pub mod watchdog;
