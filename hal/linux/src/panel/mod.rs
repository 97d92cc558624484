//! Front panels: an HD44780 display behind an I2C expander, lamps and keys on GPIO lines, and whatever LCDproc drives.

mod adapter;
mod gpio;
mod hd44780;
mod lcdproc;

pub use adapter::{bus_of, display_on};
pub use gpio::{Active, ChipName, Contacts, GpioKeys, GpioLamps, Line, Lines, Scanned};
pub use hd44780::{Hd44780, simulated};
pub use lcdproc::{KeyNames, LCDD, LcdProc};
