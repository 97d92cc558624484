//! An I2C bus found by its adapter's name, as board descriptions have it, and the display on it.

use super::Hd44780;
use crate::files;
use hal::DeviceError;
use hal::panel::{Display, Geometry};
use linux_embedded_hal::{Delay, I2cdev};
use std::io;
use std::path::Path;

/// Most buses that are looked at.
const BUSES: usize = 64;

/// The number of the bus whose adapter's name begins with `adapter`, as `sys` (`/sys`) tells of it; `None` if there is none.
#[must_use]
pub fn bus_of(sys: &Path, adapter: &str) -> Option<u32> {
    let buses = files::entries(&sys.join("bus/i2c/devices")).unwrap_or_default();
    let mut numbers: Vec<u32> = buses
        .iter()
        .take(BUSES)
        .filter(|bus| {
            files::attribute(&bus.join("name")).is_some_and(|name| name.trim().starts_with(adapter))
        })
        .filter_map(|bus| files::name(bus).strip_prefix("i2c-")?.parse().ok())
        .collect();
    numbers.sort_unstable();
    numbers.first().copied()
}

/// The HD44780 display at `address` of that bus, opened through `dev` (`/dev`).
///
/// # Errors
/// If there is no such bus, or it cannot be opened. Whether a display answers is seen when something is shown.
pub fn display_on(
    dev: &Path,
    sys: &Path,
    adapter: &str,
    address: u8,
    geometry: Geometry,
) -> Result<Box<dyn Display>, DeviceError> {
    let missing = || DeviceError::new(format!("I2C adapter {adapter:?}"), "find", io::ErrorKind::NotFound);
    let path = dev.join(format!("i2c-{}", bus_of(sys, adapter).ok_or_else(missing)?));
    let bus = I2cdev::new(&path)
        .map_err(|error| DeviceError::new(path.display().to_string(), "open", io::Error::other(error)))?;
    Ok(Box::new(Hd44780::new(bus, Delay, address, geometry)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_bus_is_found_by_its_adapters_name() {
        let sys = tempfile::tempdir().unwrap();
        for (bus, name) in
            [("i2c-0", "SMBus I801 adapter at 0700\n"), ("i2c-7", "CP2112 SMBus Bridge on hidraw0\n")]
        {
            let folder = sys.path().join("bus/i2c/devices").join(bus);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("name"), name).unwrap();
        }
        assert_eq!(bus_of(sys.path(), "CP2112 SMBus Bridge"), Some(7));
        assert_eq!(bus_of(sys.path(), "Synopsys"), None);
        let gone = display_on(Path::new("/nonexistent"), sys.path(), "CP2112", 0x27, Geometry::Small16x2);
        assert!(gone.err().is_some_and(|error| error.to_string().contains("i2c-7")));
    }
}
