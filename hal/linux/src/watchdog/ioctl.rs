//! What the kernel is asked of a watchdog: linux/watchdog.h, Documentation/watchdog/watchdog-api.rst.

use nix::errno::Errno;
use nix::libc::c_int;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;

/// It noticed that the box was too hot.
pub(super) const OVERHEAT: u32 = 0x0001;
/// A fan failed.
pub(super) const FANFAULT: u32 = 0x0002;
/// A line from outside, one or the other.
pub(super) const EXTERN: u32 = 0x0004 | 0x0008;
/// A voltage was too low.
pub(super) const POWERUNDER: u32 = 0x0010;
/// It made the last reset.
pub(super) const CARDRESET: u32 = 0x0020;
/// A voltage was too high.
pub(super) const POWEROVER: u32 = 0x0040;
/// Its time-out can be set.
pub(super) const SETTIMEOUT: u32 = 0x0080;
/// It stops on closing only when it was told to.
pub(super) const MAGICCLOSE: u32 = 0x0100;

const DISABLECARD: c_int = 0x0001;

/// `struct watchdog_info`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WatchdogInfo {
    options: u32,
    firmware_version: u32,
    identity: [u8; 32],
}

nix::ioctl_read!(get_support, b'W', 0, WatchdogInfo);
nix::ioctl_read!(set_options, b'W', 4, c_int);
nix::ioctl_read!(keep_alive, b'W', 5, c_int);
nix::ioctl_readwrite!(set_timeout, b'W', 6, c_int);
nix::ioctl_read!(get_timeout, b'W', 7, c_int);
nix::ioctl_readwrite!(set_pretimeout, b'W', 8, c_int);
nix::ioctl_read!(get_pretimeout, b'W', 9, c_int);
nix::ioctl_read!(get_time_left, b'W', 10, c_int);

/// An opened watchdog: it runs since it was opened.
pub(super) trait Port: Send {
    /// What it can do.
    fn options(&mut self) -> io::Result<u32>;
    /// Sets the time-out; returns what it took.
    fn set_timeout(&mut self, seconds: i32) -> io::Result<()>;
    /// The time-out in force.
    fn timeout(&mut self) -> io::Result<i32>;
    /// Sets how long before the end it warns.
    fn set_pretimeout(&mut self, seconds: i32) -> io::Result<()>;
    /// How long before the end it warns.
    fn pretimeout(&mut self) -> io::Result<i32>;
    /// What is left.
    fn time_left(&mut self) -> io::Result<i32>;
    /// Starts its time anew.
    fn keep_alive(&mut self) -> io::Result<()>;
    /// Stops it.
    fn disable(&mut self) -> io::Result<()>;
    /// Lets it stop when it is closed.
    fn allow_close(&mut self) -> io::Result<()>;
    /// Takes that back. The kernel remembers a permission that was not used, even for whoever opens it next.
    fn forbid_close(&mut self) -> io::Result<()>;
}

impl Port for File {
    fn options(&mut self) -> io::Result<u32> {
        let mut info = WatchdogInfo { options: 0, firmware_version: 0, identity: [0; 32] };
        // SAFETY: the descriptor is open, and the kernel writes a watchdog_info of the size that the number states.
        unsafe { get_support(self.as_raw_fd(), &raw mut info) }.map_err(io::Error::from)?;
        Ok(info.options)
    }

    fn set_timeout(&mut self, seconds: i32) -> io::Result<()> {
        let mut value = seconds;
        // SAFETY: the descriptor is open, and the kernel reads and writes one int.
        ask(unsafe { set_timeout(self.as_raw_fd(), &raw mut value) })
    }

    fn timeout(&mut self) -> io::Result<i32> {
        let mut value = 0;
        // SAFETY: the descriptor is open, and the kernel writes one int.
        ask(unsafe { get_timeout(self.as_raw_fd(), &raw mut value) })?;
        Ok(value)
    }

    fn set_pretimeout(&mut self, seconds: i32) -> io::Result<()> {
        let mut value = seconds;
        // SAFETY: the descriptor is open, and the kernel reads and writes one int.
        ask(unsafe { set_pretimeout(self.as_raw_fd(), &raw mut value) })
    }

    fn pretimeout(&mut self) -> io::Result<i32> {
        let mut value = 0;
        // SAFETY: the descriptor is open, and the kernel writes one int.
        ask(unsafe { get_pretimeout(self.as_raw_fd(), &raw mut value) })?;
        Ok(value)
    }

    fn time_left(&mut self) -> io::Result<i32> {
        let mut value = 0;
        // SAFETY: the descriptor is open, and the kernel writes one int.
        ask(unsafe { get_time_left(self.as_raw_fd(), &raw mut value) })?;
        Ok(value)
    }

    fn keep_alive(&mut self) -> io::Result<()> {
        let mut value = 0;
        // SAFETY: the descriptor is open, and the kernel does not look at the int.
        ask(unsafe { keep_alive(self.as_raw_fd(), &raw mut value) })
    }

    fn disable(&mut self) -> io::Result<()> {
        let mut value = DISABLECARD;
        // SAFETY: the descriptor is open, and the kernel reads one int (the number says that it writes one; it does not).
        ask(unsafe { set_options(self.as_raw_fd(), &raw mut value) })
    }

    fn allow_close(&mut self) -> io::Result<()> {
        self.write_all(b"V")
    }

    fn forbid_close(&mut self) -> io::Result<()> {
        self.write_all(b"\0")
    }
}

fn ask(answer: Result<c_int, Errno>) -> io::Result<()> {
    answer.map(drop).map_err(io::Error::from)
}
