//! The bridge itself: what a CP2112 does with a report, and what hangs on it.

use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::I2c;
use hal::panel::{Geometry, Key, Lamp};
use linux::panel::simulated::Simulated;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const DISPLAY: u8 = 0x27;
const EEPROM: u8 = 0x50;
const EEPROM_PAGE: usize = 8;
const LAMPS: [Lamp; 3] = [Lamp::Status, Lamp::Alarm, Lamp::Locate];
const KEYS: [Key; 4] = [Key::Up, Key::Down, Key::Back, Key::Select];
const FIRST_KEY: usize = 3;
const PRESS: Duration = Duration::from_millis(120);

const GPIO_CONFIG: u8 = 0x02;
const GPIO_GET: u8 = 0x03;
const GPIO_SET: u8 = 0x04;
const VERSION: u8 = 0x05;
const SMBUS_CONFIG: u8 = 0x06;
const READ: u8 = 0x10;
const WRITE_READ: u8 = 0x11;
const FORCE_SEND: u8 = 0x12;
const READ_RESPONSE: u8 = 0x13;
const WRITE: u8 = 0x14;
const STATUS: u8 = 0x15;
const STATUS_RESPONSE: u8 = 0x16;
const LOCK: u8 = 0x20;

/// Most bytes of a report, with its number.
pub const REPORT_BYTES: usize = 64;
/// Its maker's and its product's number (Silicon Laboratories).
pub const VENDOR: u16 = 0x10c4;
pub const PRODUCT: u16 = 0xea90;

/// Two input reports, of 62 bytes each behind their number.
#[rustfmt::skip]
pub const DESCRIPTOR: &[u8] = &[
    0x06, 0x00, 0xff, 0x09, 0x01, 0xa1, 0x01, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08, 0x95, 0x3e,
    0x85, READ_RESPONSE, 0x09, 0x01, 0x81, 0x02,
    0x85, STATUS_RESPONSE, 0x09, 0x01, 0x81, 0x02,
    0xc0,
];

/// The GPIO lines, shared with whoever presses keys.
pub type SharedPins = Arc<Mutex<Pins>>;

/// `press <key> [<milliseconds>]`
pub fn press(line: &str, pins: &Mutex<Pins>) {
    let words: Vec<_> = line.split_ascii_whitespace().collect();
    let ["press", name, length @ ..] = &words[..] else {
        eprintln!("{line:?} is not: press <key> [<milliseconds>]");
        return;
    };
    let Some(key) = KEYS.iter().position(|key| key.name() == *name) else {
        eprintln!("{name:?} is none of up, down, back, select");
        return;
    };
    let length = length.first().and_then(|ms| ms.parse().ok()).map_or(PRESS, Duration::from_millis);
    locked(pins).keys[key] = Some(Instant::now() + length);
    // The next command comes after the release, as one finger would do it.
    std::thread::park_timeout(length + PRESS);
    println!("released {name}");
}

fn locked(pins: &Mutex<Pins>) -> MutexGuard<'_, Pins> {
    pins.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The GPIO lines.
#[derive(Default)]
pub struct Pins {
    /// Which are outputs.
    outputs: u8,
    /// What the outputs say.
    latch: u8,
    /// Until when each key is down.
    keys: [Option<Instant>; 4],
}

impl Pins {
    /// An input is pulled up; a key pulls its line to ground.
    fn levels(&self) -> u8 {
        let now = Instant::now();
        let down = |key: &Option<Instant>| key.is_some_and(|until| until > now);
        let grounded: u8 = self
            .keys
            .iter()
            .enumerate()
            .map(|(number, key)| u8::from(down(key)) << (FIRST_KEY + number))
            .sum();
        (self.latch & self.outputs) | (!grounded & !self.outputs)
    }
}

/// A CP2112 with a display, an EEPROM, lamps and keys.
pub struct Bridge {
    pins: SharedPins,
    display: Simulated,
    eeprom: Eeprom,
    smbus: [u8; 13],
    /// The display's time goes on as ours does.
    last: Instant,
    /// What the last transfer read; `None` if nobody answered.
    outcome: Option<Vec<u8>>,
    told: (String, u8, usize),
}

struct Eeprom {
    cells: [u8; 256],
    at: usize,
}

impl Eeprom {
    fn write(&mut self, bytes: &[u8]) {
        let Some((place, data)) = bytes.split_first() else { return };
        self.at = usize::from(*place);
        for byte in data {
            self.cells[self.at] = *byte;
            self.at = self.at / EEPROM_PAGE * EEPROM_PAGE + (self.at + 1) % EEPROM_PAGE;
        }
    }

    fn read(&mut self, length: usize) -> Vec<u8> {
        let begin = self.at;
        self.at = (begin + length) % self.cells.len();
        (0..length).map(|offset| self.cells[(begin + offset) % self.cells.len()]).collect()
    }
}

impl Bridge {
    pub fn new(pins: SharedPins) -> Self {
        Self {
            pins,
            display: Simulated::new(DISPLAY, Geometry::Large20x4),
            eeprom: Eeprom { cells: [0xff; 256], at: 0 },
            smbus: [0; 13],
            last: Instant::now(),
            outcome: None,
            told: (String::new(), 0, 0),
        }
    }

    /// A feature report that is asked for; empty if there is none of this number.
    pub fn feature(&self, report: u8) -> Vec<u8> {
        let pins = locked(&self.pins);
        match report {
            GPIO_CONFIG => vec![report, pins.outputs, 0, 0, 0],
            GPIO_GET => vec![report, pins.levels()],
            VERSION => vec![report, 0x0c, 0x03],
            // What could be written once in a bridge has been written.
            LOCK => vec![report, 0],
            SMBUS_CONFIG => [&[report], &self.smbus[..]].concat(),
            _ => Vec::new(),
        }
    }

    /// Takes a feature report.
    pub fn set_feature(&mut self, report: &[u8]) {
        let mut pins = locked(&self.pins);
        match report {
            [GPIO_CONFIG, outputs, ..] => pins.outputs = *outputs,
            [GPIO_SET, value, mask, ..] => pins.latch = (pins.latch & !mask) | (value & mask),
            [SMBUS_CONFIG, config @ ..] if config.len() == self.smbus.len() => {
                self.smbus.copy_from_slice(config);
            }
            _ => {}
        }
    }

    /// Takes an output report; the input report that answers it, if one does.
    pub fn output(&mut self, report: &[u8]) -> Option<Vec<u8>> {
        match report {
            [WRITE, address, length, data @ ..] => {
                let data = &data[..usize::from(*length).min(data.len())];
                self.outcome = self.transfer(address >> 1, data, 0);
                None
            }
            [READ, address, high, low, ..] => {
                let length = usize::from(u16::from_be_bytes([*high, *low])).min(512);
                self.outcome = self.transfer(address >> 1, &[], length);
                None
            }
            [WRITE_READ, address, high, low, written, data @ ..] => {
                let length = usize::from(u16::from_be_bytes([*high, *low])).min(512);
                let data = &data[..usize::from(*written).min(data.len())];
                self.outcome = self.transfer(address >> 1, data, length);
                None
            }
            [STATUS, ..] => Some(self.status().to_vec()),
            [FORCE_SEND, high, low, ..] => {
                let most = usize::from(u16::from_be_bytes([*high, *low])).min(61);
                let read = self.outcome.get_or_insert_default();
                let chunk: Vec<_> = read.drain(..most.min(read.len())).collect();
                let mut report = vec![READ_RESPONSE, 2, u8::try_from(chunk.len()).unwrap_or(0)];
                report.extend(chunk);
                Some(report)
            }
            _ => None,
        }
    }

    /// Complete, or complete with an error; how many bytes were read.
    fn status(&self) -> [u8; 7] {
        let (state, read) = self.outcome.as_ref().map_or((3, 0), |read| (2, read.len()));
        let [high, low] = u16::try_from(read).unwrap_or(0).to_be_bytes();
        [STATUS_RESPONSE, state, 5, 0, 0, high, low]
    }

    fn transfer(&mut self, address: u8, written: &[u8], length: usize) -> Option<Vec<u8>> {
        match address {
            EEPROM => {
                self.eeprom.write(written);
                Some(self.eeprom.read(length))
            }
            _ => {
                let passed = std::mem::replace(&mut self.last, Instant::now()).elapsed();
                self.display.delay().delay_us(u32::try_from(passed.as_micros()).unwrap_or(u32::MAX));
                let mut read = vec![0; length];
                let done = match length {
                    0 => self.display.write(address, written),
                    _ => self.display.read(address, &mut read),
                };
                done.ok().map(|()| read)
            }
        }
    }

    /// Tells what changed since the last time.
    pub fn tell(&mut self) {
        let screen = self.display.screen();
        let rows = (0..4).map(|row| screen.row(row).iter().collect::<String>()).collect::<Vec<_>>().join("|");
        let lamps = {
            let pins = locked(&self.pins);
            pins.latch & pins.outputs
        };
        let faults = self.display.faults();
        if rows != self.told.0 {
            println!("screen |{rows}|");
        }
        for (number, lamp) in
            LAMPS.iter().enumerate().filter(|(number, _)| (lamps ^ self.told.1) >> number & 1 == 1)
        {
            println!("lamp {} {}", lamp.name(), if lamps >> number & 1 == 1 { "on" } else { "off" });
        }
        for fault in faults.iter().skip(self.told.2) {
            println!("fault {fault}");
        }
        self.told = (rows, lamps, faults.len());
    }
}
