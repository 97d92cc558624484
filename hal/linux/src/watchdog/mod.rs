//! Watchdogs: the hardware's (`/dev/watchdogN`) and the service manager's.

mod device;
mod ioctl;
mod service;

pub use device::Device;
pub use service::{Notifier, ServiceManager};
