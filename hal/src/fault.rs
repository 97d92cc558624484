//! What a device did wrong: which one, at what, and what the system says of it.

use std::io;

/// A device, or the file that stands for it, did not do what it was asked.
///
/// The box goes on without it: whoever gets one raises an alarm and tries again later.
#[derive(Debug, thiserror::Error)]
#[error("{device}: {act} failed: {source}")]
pub struct DeviceError {
    /// Which device: a path, or a bus and an address.
    pub device: String,
    /// What was asked of it, such as "feed".
    pub act: &'static str,
    /// What the system says.
    #[source]
    pub source: io::Error,
}

impl DeviceError {
    /// `device` failed at `act`.
    #[must_use]
    pub fn new(device: impl Into<String>, act: &'static str, source: impl Into<io::Error>) -> Self {
        Self { device: device.into(), act, source: source.into() }
    }
}
