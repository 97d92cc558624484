//! A front panel for boxes that have none: a process that is a CP2112 bridge (USB to I2C and GPIO) to the kernel, by
//! `/dev/uhid`. The kernel's own hid-cp2112 then makes a real `/dev/i2c-N` and a real `/dev/gpiochipN` of it.
//!
//! Behind the bridge are an HD44780 of 20x4 at 0x27, an EEPROM (24C02) at 0x50, lamps on lines 0 to 2 (status, alarm,
//! locate) and keys on lines 3 to 6 (up, down, back, select), high when pressed.
//!
//! It reads commands from its input, a line each: `press <key> [<milliseconds>]`. It tells what changed on its output: `screen |row|row|...|`,
//! `lamp <name> on|off`, `fault <what a real display would have missed>`.
//!
//! Sources: Silicon Labs AN495 (CP2112 interface specification), linux/uhid.h.

use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::I2c;
use hal::panel::{Geometry, Key, Lamp};
use linux::panel::simulated::Simulated;
use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const DISPLAY: u8 = 0x27;
const EEPROM: u8 = 0x50;
const EEPROM_PAGE: usize = 8;
const LAMPS: [Lamp; 3] = [Lamp::Status, Lamp::Alarm, Lamp::Locate];
const KEYS: [Key; 4] = [Key::Up, Key::Down, Key::Back, Key::Select];
const FIRST_KEY: usize = 3;
const PRESS: Duration = Duration::from_millis(120);

const EVENT_BYTES: usize = 4 + 4372;
const DATA_BYTES: usize = 4096;

const UHID_OUTPUT: u32 = 6;
const UHID_GET_REPORT: u32 = 9;
const UHID_GET_REPORT_REPLY: u32 = 10;
const UHID_CREATE2: u32 = 11;
const UHID_INPUT2: u32 = 12;
const UHID_SET_REPORT: u32 = 13;
const UHID_SET_REPORT_REPLY: u32 = 14;

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

/// Two input reports, of 62 bytes each behind their number.
const DESCRIPTOR: &[u8] = &[
    0x06,
    0x00,
    0xff,
    0x09,
    0x01,
    0xa1,
    0x01,
    0x15,
    0x00,
    0x26,
    0xff,
    0x00,
    0x75,
    0x08,
    0x95,
    0x3e, //
    0x85,
    READ_RESPONSE,
    0x09,
    0x01,
    0x81,
    0x02,
    0x85,
    STATUS_RESPONSE,
    0x09,
    0x01,
    0x81,
    0x02,
    0xc0,
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut uhid = OpenOptions::new().read(true).write(true).open("/dev/uhid")?;
    uhid.write_all(&create())?;
    let pins = Arc::new(Mutex::new(Pins::default()));
    let pressed = pins.clone();
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            press(&line, &pressed);
        }
    });
    let mut bridge = Bridge::new(pins);
    let mut event = vec![0; EVENT_BYTES];
    loop {
        let length = uhid.read(&mut event)?;
        bridge.take(&event[..length], &mut uhid)?;
        bridge.tell();
    }
}

/// `press <key> [<milliseconds>]`
fn press(line: &str, pins: &Mutex<Pins>) {
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
    let until = Instant::now() + length;
    pins.lock().unwrap_or_else(PoisonError::into_inner).keys[key] = Some(until);
    // The next command comes after the release, as one finger would do it.
    std::thread::park_timeout(length + PRESS);
}

/// The GPIO lines.
#[derive(Default)]
struct Pins {
    /// Which are outputs.
    outputs: u8,
    /// What the outputs say.
    latch: u8,
    /// Until when each key is down.
    keys: [Option<Instant>; 4],
}

impl Pins {
    fn levels(&self) -> u8 {
        let now = Instant::now();
        let down = |key: &Option<Instant>| key.is_some_and(|until| until > now);
        let keys =
            self.keys.iter().enumerate().map(|(number, key)| u8::from(down(key)) << (FIRST_KEY + number));
        (self.latch & self.outputs) | (keys.sum::<u8>() & !self.outputs)
    }
}

struct Bridge {
    pins: Arc<Mutex<Pins>>,
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
    fn new(pins: Arc<Mutex<Pins>>) -> Self {
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

    fn take(&mut self, event: &[u8], uhid: &mut File) -> io::Result<()> {
        let (kind, body) = (number(event, 0), event.get(4..).unwrap_or_default());
        match kind {
            UHID_OUTPUT => {
                let length = usize::from(short(body, DATA_BYTES)).min(64);
                self.output(&body[..length], uhid)
            }
            UHID_GET_REPORT => {
                let data = self.feature(body.get(4).copied().unwrap_or(0));
                let mut reply = UHID_GET_REPORT_REPLY.to_le_bytes().to_vec();
                reply.extend(&body[..4]);
                reply.extend(u16::from(data.is_empty()).to_le_bytes());
                reply.extend(u16::try_from(data.len()).unwrap_or(0).to_le_bytes());
                reply.extend(data);
                uhid.write_all(&reply)
            }
            UHID_SET_REPORT => {
                let length = usize::from(short(body, 6)).min(64);
                self.set_feature(&body[8..8 + length]);
                let mut reply = UHID_SET_REPORT_REPLY.to_le_bytes().to_vec();
                reply.extend(&body[..4]);
                reply.extend([0, 0]);
                uhid.write_all(&reply)
            }
            _ => Ok(()),
        }
    }

    fn feature(&self, report: u8) -> Vec<u8> {
        let pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
        match report {
            GPIO_CONFIG => vec![report, pins.outputs, 0, 0, 0],
            GPIO_GET => vec![report, pins.levels()],
            VERSION => vec![report, 0x0c, 0x03],
            SMBUS_CONFIG => [&[report], &self.smbus[..]].concat(),
            _ => Vec::new(),
        }
    }

    fn set_feature(&mut self, report: &[u8]) {
        let mut pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
        match report {
            [GPIO_CONFIG, outputs, ..] => pins.outputs = *outputs,
            [GPIO_SET, value, mask, ..] => pins.latch = (pins.latch & !mask) | (value & mask),
            [SMBUS_CONFIG, config @ ..] if config.len() == self.smbus.len() => {
                self.smbus.copy_from_slice(config)
            }
            _ => {}
        }
    }

    fn output(&mut self, report: &[u8], uhid: &mut File) -> io::Result<()> {
        match report {
            [WRITE, address, length, data @ ..] => {
                let data = &data[..usize::from(*length).min(data.len())];
                self.outcome = self.transfer(address >> 1, data, 0);
            }
            [READ, address, high, low, ..] => {
                let length = usize::from(u16::from_be_bytes([*high, *low])).min(512);
                self.outcome = self.transfer(address >> 1, &[], length);
            }
            [WRITE_READ, address, high, low, written, data @ ..] => {
                let length = usize::from(u16::from_be_bytes([*high, *low])).min(512);
                let data = &data[..usize::from(*written).min(data.len())];
                self.outcome = self.transfer(address >> 1, data, length);
            }
            [STATUS, ..] => return input(uhid, &self.status()),
            [FORCE_SEND, high, low, ..] => {
                let most = usize::from(u16::from_be_bytes([*high, *low])).min(61);
                let read = self.outcome.get_or_insert_default();
                let chunk: Vec<_> = read.drain(..most.min(read.len())).collect();
                let mut report = vec![READ_RESPONSE, 2, u8::try_from(chunk.len()).unwrap_or(0)];
                report.extend(chunk);
                return input(uhid, &report);
            }
            _ => {}
        }
        Ok(())
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

    fn tell(&mut self) {
        let screen = self.display.screen();
        let rows = (0..4).map(|row| screen.row(row).iter().collect::<String>()).collect::<Vec<_>>().join("|");
        let lamps = {
            let pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
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

/// What makes the kernel see a CP2112.
fn create() -> Vec<u8> {
    let mut event = UHID_CREATE2.to_le_bytes().to_vec();
    let mut text = |text: &str, room: usize| {
        event.extend(text.as_bytes());
        event.extend(std::iter::repeat_n(0, room - text.len()));
    };
    text("Gantry front panel", 128);
    text("front-panel", 64);
    text("", 64);
    event.extend(u16::try_from(DESCRIPTOR.len()).unwrap_or(0).to_le_bytes());
    event.extend(3u16.to_le_bytes());
    for number in [0x10c4u32, 0xea90, 0x0100, 0] {
        event.extend(number.to_le_bytes());
    }
    event.extend(DESCRIPTOR);
    event.resize(EVENT_BYTES, 0);
    event
}

fn input(uhid: &mut File, report: &[u8]) -> io::Result<()> {
    let mut event = UHID_INPUT2.to_le_bytes().to_vec();
    event.extend(u16::try_from(report.len()).unwrap_or(0).to_le_bytes());
    event.extend(report);
    uhid.write_all(&event)
}

fn number(bytes: &[u8], at: usize) -> u32 {
    [0, 1, 2, 3]
        .iter()
        .rev()
        .fold(0, |value, offset| value << 8 | bytes.get(at + offset).copied().map_or(0, u32::from))
}

fn short(bytes: &[u8], at: usize) -> u16 {
    [0, 1]
        .iter()
        .rev()
        .fold(0, |value, offset| value << 8 | bytes.get(at + offset).copied().map_or(0, u16::from))
}
