//! A hardware watchdog, `/dev/watchdogN`.
//!
//! Opening it starts it, so what it is and what it says of the last reset is read from sysfs. It is stopped by an explicit
//! [`Armed::disarm`] only: closing it, by dropping or dying, leaves it running, and a driver that would stop then is not
//! armed at all.

use super::ioctl::{self, Port};
use crate::files;
use hal::watchdog::{
    ArmError, Armed, CannotDisarm, CannotDisarmWhy, Config, Info, Pretimeout, ResetCause, Watchdog, WayOut,
};
use hal::{DeviceError, Label};
use nix::errno::Errno;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A watchdog of the hardware that is not held by anybody yet.
pub struct Device {
    node: PathBuf,
    info: Info,
    last_reset: ResetCause,
}

impl Device {
    /// Watchdog `number`, as `sys` (`/sys`) tells of it and `dev` (`/dev`) opens it.
    ///
    /// # Errors
    /// If there is none of that number.
    pub fn numbered(sys: &Path, dev: &Path, number: u32) -> Result<Self, DeviceError> {
        let name = format!("watchdog{number}");
        let attributes = sys.join("class/watchdog").join(&name);
        let identity = files::label(&attributes.join("identity")).ok_or_else(|| {
            DeviceError::new(attributes.display().to_string(), "read identity", io::ErrorKind::NotFound)
        })?;
        let seconds = |name: &str| files::number(&attributes.join(name)).map(Duration::from_secs);
        let info = Info {
            identity,
            shortest: seconds("min_timeout").unwrap_or(Duration::ZERO).max(Duration::from_secs(1)),
            longest: seconds("max_timeout").filter(|longest| !longest.is_zero()),
            pretimeout: match attributes.join("pretimeout").exists() {
                true => Pretimeout::Offered,
                false => Pretimeout::NotOffered,
            },
            way_out: match files::number::<u32>(&attributes.join("nowayout")) {
                Some(0) => WayOut::Stoppable,
                Some(_) => WayOut::None,
                None => WayOut::NotTold,
            },
        };
        let last_reset = cause(files::number(&attributes.join("bootstatus")).unwrap_or(0));
        Ok(Self { node: dev.join(name), info, last_reset })
    }

    /// Every watchdog, by its number.
    ///
    /// # Errors
    /// If they cannot be listed; a kernel without any is an empty list.
    pub fn all(sys: &Path, dev: &Path) -> Result<Vec<Self>, DeviceError> {
        let class = sys.join("class/watchdog");
        let entries = match files::entries(&class) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(DeviceError::new(class.display().to_string(), "list", error)),
        };
        let numbers =
            entries.iter().filter_map(|path| files::name(path).strip_prefix("watchdog")?.parse().ok());
        Ok(numbers.filter_map(|number| Self::numbered(sys, dev, number).ok()).collect())
    }

    /// The first watchdog that `driver` drives, as board descriptions name it: `i6300esb`.
    ///
    /// # Errors
    /// If none does.
    pub fn driven_by(sys: &Path, dev: &Path, driver: &str) -> Result<Self, DeviceError> {
        let class = sys.join("class/watchdog");
        let named = || DeviceError::new(format!("watchdog of {driver}"), "find", io::ErrorKind::NotFound);
        let driven = |path: &PathBuf| {
            let link = std::fs::read_link(path.join("device/driver")).ok();
            link.is_some_and(|link| files::name(&link) == driver)
        };
        let path =
            files::entries(&class).ok().and_then(|paths| paths.into_iter().find(driven)).ok_or_else(named)?;
        let number = files::name(&path).strip_prefix("watchdog").and_then(|number| number.parse().ok());
        Self::numbered(sys, dev, number.ok_or_else(named)?)
    }
}

impl Watchdog for Device {
    fn info(&self) -> &Info {
        &self.info
    }

    fn last_reset(&self) -> ResetCause {
        self.last_reset
    }

    fn arm(self: Box<Self>, config: Config) -> Result<Box<dyn Armed>, ArmError> {
        self.info.check(config)?;
        let node = self.node.display().to_string();
        let flags = nix::fcntl::OFlag::O_CLOEXEC | nix::fcntl::OFlag::O_NONBLOCK;
        let opened = OpenOptions::new().write(true).custom_flags(flags.bits()).open(&self.node);
        let file = opened.map_err(|error| DeviceError::new(&*node, "open", error))?;
        if !file.metadata().is_ok_and(|metadata| metadata.file_type().is_char_device()) {
            return Err(DeviceError::new(node, "open", io::ErrorKind::InvalidInput).into());
        }
        Ok(Box::new(Running::begin(file, self.info, node, config)?))
    }
}

/// An opened one.
struct Running<P: Port> {
    port: P,
    node: String,
    identity: Label,
    way_out: WayOut,
    actual: Config,
}

impl<P: Port> Running<P> {
    /// Sets up one that was opened just now. If it does not do as it is asked, it is stopped again where it lets itself be.
    fn begin(mut port: P, info: Info, node: String, config: Config) -> Result<Self, ArmError> {
        let options =
            port.options().map_err(|error| DeviceError::new(&*node, "ask what it can do", error))?;
        let mut running = Self { port, node, identity: info.identity, way_out: info.way_out, actual: config };
        if options & ioctl::MAGICCLOSE == 0 && running.way_out != WayOut::None {
            let identity = running.identity.clone();
            running.stop()?;
            return Err(ArmError::StopsWhenClosed { identity });
        }
        match running.set_up(options, config) {
            Ok(actual) => {
                running.actual = actual;
                Ok(running)
            }
            Err((act, error)) => {
                // What it did not take is what counts; that it may not stop either is told by its log.
                drop(running.stop());
                Err(DeviceError::new(running.node, act, error).into())
            }
        }
    }

    fn set_up(&mut self, options: u32, config: Config) -> Result<Config, (&'static str, io::Error)> {
        let port = &mut self.port;
        port.forbid_close().map_err(|error| ("feed", error))?;
        if options & ioctl::SETTIMEOUT != 0 {
            port.set_timeout(whole_seconds(config.timeout)).map_err(|error| ("set the time-out", error))?;
        }
        if let Some(pretimeout) = config.pretimeout {
            port.set_pretimeout(whole_seconds(pretimeout)).map_err(|error| ("set the warning", error))?;
        }
        port.keep_alive().map_err(|error| ("feed", error))?;
        let timeout = port.timeout().map_or(config.timeout, seconds);
        // The kernel can warn for a driver that cannot, which the driver's own flags do not tell.
        let pretimeout = port.pretimeout().ok().map(seconds);
        Ok(Config { timeout, pretimeout: pretimeout.filter(|pretimeout| !pretimeout.is_zero()) })
    }

    /// Stops it. Drivers that do not use the kernel's watchdog core know the magic close only.
    fn stop(&mut self) -> Result<(), DeviceError> {
        let stopped = match self.port.disable() {
            Err(error) if is(&error, Errno::ENOTTY) || is(&error, Errno::EOPNOTSUPP) => {
                self.port.allow_close()
            }
            stopped => stopped,
        };
        stopped.map_err(|error| DeviceError::new(&*self.node, "stop", error))
    }
}

impl<P: Port + 'static> Armed for Running<P> {
    fn feed(&mut self) -> Result<(), DeviceError> {
        self.port.keep_alive().map_err(|error| DeviceError::new(self.node.clone(), "feed", error))
    }

    fn time_left(&mut self) -> Option<Duration> {
        self.port.time_left().ok().map(seconds)
    }

    fn actual(&self) -> Config {
        self.actual
    }

    fn disarm(mut self: Box<Self>) -> Result<(), CannotDisarm> {
        let why = match self.way_out {
            WayOut::None => CannotDisarmWhy::NoWayOut(self.identity.clone()),
            WayOut::Stoppable | WayOut::NotTold => match self.stop() {
                Ok(()) => return Ok(()),
                Err(error) if is(&error.source, Errno::EBUSY) => {
                    CannotDisarmWhy::NoWayOut(self.identity.clone())
                }
                Err(error) => error.into(),
            },
        };
        Err(CannotDisarm { still_armed: self, why })
    }
}

/// What the flags of `bootstatus` say; its own bite counts most.
fn cause(flags: u32) -> ResetCause {
    [
        (ioctl::CARDRESET, ResetCause::Watchdog),
        (ioctl::OVERHEAT, ResetCause::Overheated),
        (ioctl::FANFAULT, ResetCause::FanFailed),
        (ioctl::POWERUNDER, ResetCause::PowerLow),
        (ioctl::POWEROVER, ResetCause::PowerHigh),
        (ioctl::EXTERN, ResetCause::External),
    ]
    .into_iter()
    .find(|(flag, _)| flags & flag != 0)
    .map_or(ResetCause::NotTold, |(_, cause)| cause)
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno as i32)
}

/// Seconds as the kernel counts them, never less than was asked for.
fn whole_seconds(duration: Duration) -> i32 {
    let up = u64::from(duration.subsec_nanos() > 0);
    i32::try_from(duration.as_secs().saturating_add(up)).unwrap_or(i32::MAX)
}

fn seconds(value: i32) -> Duration {
    Duration::from_secs(value.max(0).unsigned_abs().into())
}

#[cfg(test)]
mod tests;
