//! Who the box is: SMBIOS and the network cards as the kernel shows them, and a record in an EEPROM.

mod eeprom;
mod record;
mod smbios;

pub(crate) use eeprom::kind;
pub use eeprom::{Addressing, Eeprom, I2cEeprom};
pub use record::{Contents, RECORD_BYTES, RecordError, read_record, write_record};
pub use smbios::{Fields, Smbios};
