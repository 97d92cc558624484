//! The EEPROM that holds the identity record: read and written over I2C, or read through the kernel's own driver.

use super::record::{Contents, RECORD_BYTES, RecordError, read_record, write_record};
use crate::files;
use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::{Error as _, ErrorKind, I2c};
use hal::DeviceError;
use hal::identity::{Identified, Identity, IdentityError};
use std::io;
use std::path::{Path, PathBuf};

/// Bytes read in one go; adapters on USB take 60 at most.
const CHUNK_BYTES: usize = 32;
/// Bytes that every EEPROM of the family writes in one go.
const PAGE_BYTES: usize = 8;
/// A write is over after 5 ms, 10 ms in old ones; so often it is asked.
const POLLS: u32 = 40;

/// How an EEPROM is told which byte is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressing {
    /// By one byte: 24C01 and 24C02.
    OneByte,
    /// By two: 24C32 and larger.
    TwoBytes,
}

/// An EEPROM that the kernel drives (at24): a file under `/sys/bus/i2c/devices`.
#[derive(Debug, Clone)]
pub struct Eeprom {
    path: PathBuf,
}

/// An EEPROM on an I2C bus, such as [`linux_embedded_hal::I2cdev`].
#[derive(Debug)]
pub struct I2cEeprom<B, D> {
    bus: B,
    delay: D,
    address: u8,
    addressing: Addressing,
}

impl Eeprom {
    /// The EEPROM at `address` of bus `bus`, as `sys` (`/sys`) shows it.
    #[must_use]
    pub fn new(sys: &Path, bus: u32, address: u8) -> Self {
        Self { path: sys.join(format!("bus/i2c/devices/{bus}-{address:04x}/eeprom")) }
    }
}

impl Identity for Eeprom {
    fn read(&mut self) -> Result<Identified, IdentityError> {
        let device = self.path.display().to_string();
        match files::read(&self.path, RECORD_BYTES) {
            Ok(bytes) => identified(device, &bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Identified::default()),
            Err(error) => Err(DeviceError::new(device, "read", error).into()),
        }
    }
}

impl<B: I2c, D: DelayNs> I2cEeprom<B, D> {
    /// The EEPROM at `address` of `bus`.
    pub fn new(bus: B, delay: D, address: u8, addressing: Addressing) -> Self {
        Self { bus, delay, address, addressing }
    }

    /// Writes who the box is, and reads it back.
    ///
    /// # Errors
    /// If it does not fit, or the EEPROM does not take it.
    pub fn write(&mut self, who: &Identified) -> Result<(), IdentityError> {
        let record = write_record(who).map_err(|error| damaged(self.name(), error))?;
        for (number, page) in record.chunks(PAGE_BYTES).enumerate() {
            let mut message = self.place(number * PAGE_BYTES);
            message.extend(page);
            self.patiently("write", |bus, address| bus.write(address, &message))?;
        }
        // The EEPROM does not answer while it writes its last page.
        let mut first = [0];
        let place = self.place(0);
        self.patiently("read back", |bus, address| bus.write_read(address, &place, &mut first))?;
        match self.bytes()?.get(..record.len()) == Some(&record[..]) {
            true => Ok(()),
            false => Err(IdentityError::Damaged {
                device: self.name(),
                what: "it reads back otherwise".to_owned(),
            }),
        }
    }

    fn bytes(&mut self) -> Result<Vec<u8>, DeviceError> {
        let mut bytes = vec![0; RECORD_BYTES];
        for (number, chunk) in bytes.chunks_mut(CHUNK_BYTES).enumerate() {
            let place = self.place(number * CHUNK_BYTES);
            self.bus
                .write_read(self.address, &place, chunk)
                .map_err(|error| DeviceError::new(self.name(), "read", kind(error.kind())))?;
        }
        Ok(bytes)
    }

    /// Asks again while the EEPROM is busy writing: it then does not acknowledge its address.
    fn patiently(
        &mut self,
        act: &'static str,
        mut ask: impl FnMut(&mut B, u8) -> Result<(), B::Error>,
    ) -> Result<(), DeviceError> {
        let mut polls = 0;
        loop {
            match ask(&mut self.bus, self.address).map_err(|error| error.kind()) {
                Ok(()) => return Ok(()),
                Err(ErrorKind::NoAcknowledge(_)) if polls < POLLS => {
                    polls += 1;
                    self.delay.delay_us(500);
                }
                Err(error) => return Err(DeviceError::new(self.name(), act, kind(error))),
            }
        }
    }

    fn place(&self, at: usize) -> Vec<u8> {
        let [high, low] = u16::try_from(at).unwrap_or(0).to_be_bytes();
        match self.addressing {
            Addressing::OneByte => vec![low],
            Addressing::TwoBytes => vec![high, low],
        }
    }

    fn name(&self) -> String {
        format!("EEPROM at {:#04x}", self.address)
    }
}

impl<B: I2c + Send, D: DelayNs + Send> Identity for I2cEeprom<B, D> {
    fn read(&mut self) -> Result<Identified, IdentityError> {
        let bytes = self.bytes()?;
        identified(self.name(), &bytes)
    }
}

fn identified(device: String, bytes: &[u8]) -> Result<Identified, IdentityError> {
    match read_record(bytes) {
        Ok(Contents::Record(who)) => Ok(*who),
        Ok(Contents::Blank) => Ok(Identified::default()),
        Err(error) => Err(damaged(device, error)),
    }
}

fn damaged(device: String, error: RecordError) -> IdentityError {
    IdentityError::Damaged { device, what: error.to_string() }
}

/// What the bus says, in the words of the standard library.
pub(crate) fn kind(kind: ErrorKind) -> io::Error {
    let what = match kind {
        ErrorKind::NoAcknowledge(_) => io::ErrorKind::NotConnected,
        ErrorKind::Bus | ErrorKind::ArbitrationLoss | ErrorKind::Overrun => io::ErrorKind::BrokenPipe,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(what, kind.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_hal::i2c::{ErrorType, NoAcknowledgeSource, Operation};
    use hal::Label;
    use std::fs;

    /// A 24Cxx as its data sheet has it: pages wrap round, and while it writes it does not answer.
    struct Chip {
        addressing: Addressing,
        cells: Vec<u8>,
        busy: u32,
        at: usize,
        writes: usize,
    }

    impl Chip {
        fn new(addressing: Addressing) -> Self {
            let size = if addressing == Addressing::OneByte { 256 } else { 4096 };
            Self { addressing, cells: vec![0xff; size], busy: 0, at: 0, writes: 0 }
        }
    }

    impl ErrorType for Chip {
        type Error = ErrorKind;
    }

    impl I2c for Chip {
        fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), ErrorKind> {
            if address != 0x50 || self.busy > 0 {
                self.busy = self.busy.saturating_sub(1);
                return Err(ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address));
            }
            for operation in operations {
                match operation {
                    Operation::Write(bytes) => {
                        let width = if self.addressing == Addressing::OneByte { 1 } else { 2 };
                        let (place, data) = bytes.split_at(width);
                        self.at =
                            place.iter().fold(0, |at, byte| at << 8 | usize::from(*byte)) % self.cells.len();
                        for byte in data {
                            self.cells[self.at] = *byte;
                            let page = self.at / PAGE_BYTES;
                            self.at = page * PAGE_BYTES + (self.at + 1) % PAGE_BYTES;
                        }
                        if !data.is_empty() {
                            (self.busy, self.writes) = (11, self.writes + 1);
                        }
                    }
                    Operation::Read(bytes) => {
                        for byte in bytes.iter_mut() {
                            *byte = self.cells[self.at];
                            self.at = (self.at + 1) % self.cells.len();
                        }
                    }
                }
            }
            Ok(())
        }
    }

    /// Waits in no time.
    struct Instantly;

    impl DelayNs for Instantly {
        fn delay_ns(&mut self, _: u32) {}
    }

    fn who() -> Identified {
        Identified {
            serial: Label::sanitised("GW-0042"),
            board: Label::sanitised("arm-rack"),
            ..Identified::default()
        }
    }

    #[test]
    fn what_is_written_over_the_bus_is_read_over_the_bus() {
        for addressing in [Addressing::OneByte, Addressing::TwoBytes] {
            let mut eeprom = I2cEeprom::new(Chip::new(addressing), Instantly, 0x50, addressing);
            assert_eq!(eeprom.read().unwrap(), Identified::default(), "it is blank");
            eeprom.write(&who()).unwrap();
            assert_eq!(eeprom.read().unwrap(), who());
            assert_eq!(eeprom.bus.writes, write_record(&who()).unwrap().len().div_ceil(PAGE_BYTES));
        }
    }

    #[test]
    fn one_that_does_not_answer_or_is_damaged_is_named() {
        let mut absent = I2cEeprom::new(Chip::new(Addressing::OneByte), Instantly, 0x51, Addressing::OneByte);
        assert!(absent.read().unwrap_err().to_string().starts_with("EEPROM at 0x51: read failed"));
        assert!(absent.write(&who()).unwrap_err().to_string().starts_with("EEPROM at 0x51: write failed"));
        let mut eeprom = I2cEeprom::new(Chip::new(Addressing::OneByte), Instantly, 0x50, Addressing::OneByte);
        eeprom.write(&who()).unwrap();
        eeprom.bus.cells[15] ^= 1;
        let error = eeprom.read().unwrap_err().to_string();
        assert_eq!(
            error,
            "EEPROM at 0x50: the identity record is damaged (its checksum is wrong); write it anew with the flashing tool"
        );
    }

    #[test]
    fn the_kernels_own_driver_shows_the_same_record() {
        let root = tempfile::tempdir().unwrap();
        let mut eeprom = Eeprom::new(root.path(), 3, 0x50);
        assert_eq!(eeprom.read().unwrap(), Identified::default(), "a board without one says nothing");
        let folder = root.path().join("bus/i2c/devices/3-0050");
        fs::create_dir_all(&folder).unwrap();
        let mut cells = write_record(&who()).unwrap();
        cells.resize(32_768, 0xff);
        fs::write(folder.join("eeprom"), cells).unwrap();
        assert_eq!(eeprom.read().unwrap(), who());
    }
}
