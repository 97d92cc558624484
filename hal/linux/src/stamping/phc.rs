//! The clock of a network card, `/dev/ptpN`, read as any clock is (Documentation/driver-api/ptp.rst).

use hal::DeviceError;
use hal::timestamping::{Offset, PtpClock, PtpIndex};
use nix::fcntl::OFlag;
use nix::time::{ClockId, clock_gettime};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

/// Readings of which the quickest counts.
const READINGS: usize = 5;

/// The clock of a network card.
#[derive(Debug)]
pub struct Phc {
    index: PtpIndex,
    clock: ClockId,
    name: String,
    /// Keeps the clock's number alive.
    _file: Option<File>,
}

impl Phc {
    /// Opens the clock `index` under `dev` (`/dev`).
    ///
    /// # Errors
    /// If there is none, or it may not be read.
    pub fn open(dev: &Path, index: PtpIndex) -> Result<Self, DeviceError> {
        let path = dev.join(index.to_string());
        let name = path.display().to_string();
        let failed = |error: io::Error| DeviceError::new(name.clone(), "open", error);
        let flags = OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path).map_err(failed)?;
        if !file.metadata().map_err(failed)?.file_type().is_char_device() {
            return Err(failed(io::ErrorKind::InvalidInput.into()));
        }
        // FD_TO_CLOCKID of linux/posix-timers.h.
        let clock = ClockId::from_raw((!file.as_raw_fd() << 3) | 3);
        Ok(Self { index, clock, name, _file: Some(file) })
    }

    fn read(&self, clock: ClockId) -> Result<Duration, DeviceError> {
        let failed = |error: io::Error| DeviceError::new(self.name.clone(), "read", error);
        let time = clock_gettime(clock).map_err(|error| failed(error.into()))?;
        let seconds = u64::try_from(time.tv_sec()).map_err(|_| failed(io::ErrorKind::InvalidData.into()))?;
        Ok(Duration::new(seconds, u32::try_from(time.tv_nsec()).unwrap_or(0)))
    }
}

impl PtpClock for Phc {
    fn index(&self) -> PtpIndex {
        self.index
    }

    fn now(&mut self) -> Result<Duration, DeviceError> {
        self.read(self.clock)
    }

    fn offset(&mut self) -> Result<Offset, DeviceError> {
        let system = ClockId::CLOCK_REALTIME;
        let mut best: Option<Offset> = None;
        for _ in 0..READINGS {
            let (before, at, after) = (self.read(system)?, self.read(self.clock)?, self.read(system)?);
            let window = after.saturating_sub(before);
            let middle = before + window / 2;
            let apart = i64::try_from(at.abs_diff(middle).as_nanos()).unwrap_or(i64::MAX);
            let reading = Offset { nanos: if at < middle { -apart } else { apart }, window };
            best = Some(best.filter(|best| best.window <= window).unwrap_or(reading));
        }
        best.ok_or_else(|| DeviceError::new(self.name.clone(), "read", io::ErrorKind::InvalidData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing_in(clock: ClockId) -> Phc {
        Phc { index: PtpIndex(0), clock, name: "ptp0".to_owned(), _file: None }
    }

    #[test]
    fn the_offset_of_the_systems_own_clock_is_within_its_window() {
        let offset = standing_in(ClockId::CLOCK_REALTIME).offset().unwrap();
        assert!(u128::from(offset.nanos.unsigned_abs()) <= offset.window.as_nanos(), "{offset:?}");
    }

    #[test]
    fn the_offset_of_another_clock_leads_back_to_the_systems_time() {
        // Since boot, so far behind the system's; it stands in for a card's clock.
        let mut boot = standing_in(ClockId::CLOCK_BOOTTIME);
        let offset = boot.offset().unwrap();
        assert!(offset.nanos < 0);
        let system = standing_in(ClockId::CLOCK_REALTIME).now().unwrap();
        let brought = offset.to_system(boot.now().unwrap());
        assert!(brought.abs_diff(system) < Duration::from_secs(1), "{:?}", brought.abs_diff(system));
    }

    #[test]
    fn what_is_no_clock_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Phc::open(folder.path(), PtpIndex(0)).unwrap_err().to_string().contains("ptp0: open failed"));
        std::fs::write(folder.path().join("ptp0"), "").unwrap();
        assert!(Phc::open(folder.path(), PtpIndex(0)).is_err());
        assert!(Phc::open(Path::new("/dev"), PtpIndex(4_000_000)).is_err());
    }
}
