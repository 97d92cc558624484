//! A PCF8574 with an HD44780 behind it, for tests and for the virtual rig: what is sent to it can be read off its glass.
//!
//! It is strict: what a real display would miss, since it is still busy or was not started as its data sheet asks, is a fault.

use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::{ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation};
use hal::panel::{Cell, GLYPHS, Geometry, Lit, Screen, shown_as};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A byte on a bus of 100 kHz: eight bits and an acknowledgement.
const BYTE_NS: u64 = 90_000;
/// Before this the display does not listen after power on.
const POWER_ON_NS: u64 = 40_000_000;
const INSTRUCTION_NS: u64 = 37_000;
const CLEAR_NS: u64 = 1_520_000;
/// Characters of one line of the controller.
const LINE: usize = 0x28;

/// A display that was powered just now; clones are the same one.
#[derive(Debug, Clone)]
pub struct Simulated {
    address: u8,
    inside: Arc<Mutex<Inside>>,
}

/// Lets the display's time pass.
#[derive(Debug, Clone)]
pub struct SimulatedDelay(Arc<Mutex<Inside>>);

#[derive(Debug)]
struct Inside {
    geometry: Geometry,
    now_ns: u64,
    busy_until_ns: u64,
    plugged: bool,
    pins: u8,
    bytes: usize,
    faults: Vec<String>,
    chip: Chip,
}

/// The controller.
#[derive(Debug)]
struct Chip {
    width: Width,
    text: [u8; 2 * LINE],
    glyphs: [u8; 64],
    at: Address,
    on: bool,
    underline: bool,
    /// How often "eight bits" was said since power on.
    starts: usize,
}

#[derive(Debug, Clone, Copy)]
enum Width {
    Eight,
    /// Four bits, perhaps with the high half of a byte already there.
    Four(Option<u8>),
}

#[derive(Debug, Clone, Copy)]
enum Address {
    Text(usize),
    Glyph(usize),
}

impl Simulated {
    /// A display at `address`.
    #[must_use]
    pub fn new(address: u8, geometry: Geometry) -> Self {
        let inside = Inside {
            geometry,
            now_ns: 0,
            busy_until_ns: POWER_ON_NS,
            plugged: true,
            pins: 0xff,
            bytes: 0,
            faults: Vec::new(),
            chip: Chip::powered(),
        };
        Self { address, inside: Arc::new(Mutex::new(inside)) }
    }

    /// What lets its time pass.
    #[must_use]
    pub fn delay(&self) -> SimulatedDelay {
        SimulatedDelay(self.inside.clone())
    }

    /// What stands on the glass, with the cursor if it is shown. A character that is none of ours shows as `?`.
    #[must_use]
    pub fn screen(&self) -> Screen {
        let inside = self.inside();
        let (geometry, chip) = (inside.geometry, &inside.chip);
        let mut screen = Screen::blank(geometry);
        for row in 0..geometry.rows() {
            let begin = line_of(geometry, row);
            let codes = &chip.text[begin..begin + geometry.columns()];
            let text: String = codes.iter().map(|code| chip.shows(*code)).collect();
            if chip.on {
                screen.write(Cell { row, column: 0 }, &text);
            }
        }
        screen.put_cursor(chip.cursor(geometry));
        screen
    }

    /// Whether its light is on.
    #[must_use]
    pub fn light(&self) -> Lit {
        if self.inside().pins & 0b1000 == 0 { Lit::Off } else { Lit::On }
    }

    /// Bytes taken from the bus so far.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.inside().bytes
    }

    /// What a real display would have missed.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        self.inside().faults.clone()
    }

    /// From now on it does not answer.
    pub fn unplug(&self) {
        self.inside().plugged = false;
    }

    /// It answers again, and was powered just now.
    pub fn plug(&self) {
        let mut inside = self.inside();
        inside.plugged = true;
        inside.chip = Chip::powered();
        inside.busy_until_ns = inside.now_ns + POWER_ON_NS;
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a row begins in the controller's memory.
fn line_of(geometry: Geometry, row: usize) -> usize {
    (row % 2) * LINE + (row / 2) * geometry.columns()
}

impl Chip {
    fn powered() -> Self {
        Self {
            width: Width::Eight,
            text: [b' '; 2 * LINE],
            glyphs: [0; 64],
            at: Address::Text(0),
            on: false,
            underline: false,
            starts: 0,
        }
    }

    /// The character that a code shows; one of our glyphs only if its dots are there.
    fn shows(&self, code: u8) -> char {
        let own = GLYPHS.get(usize::from(code)).map(|glyph| glyph.rows);
        let begin = usize::from(code % 8) * 8;
        let dots = &self.glyphs[begin..begin + 8];
        shown_as(code).filter(|_| own.is_none_or(|rows| rows == dots)).unwrap_or('?')
    }

    fn cursor(&self, geometry: Geometry) -> Option<Cell> {
        let Address::Text(at) = self.at else { return None };
        let here = |row: usize| Some(Cell { row, column: at.checked_sub(line_of(geometry, row))? });
        let fits = |cell: &Cell| cell.column < geometry.columns();
        (0..geometry.rows()).filter_map(here).find(fits).filter(|_| self.underline && self.on)
    }

    /// E fell with these four lines; returns how long the chip is busy then.
    fn clocked(&mut self, high: u8, data: bool, faults: &mut Vec<String>) -> u64 {
        match self.width {
            Width::Eight => self.instruction(high, faults),
            Width::Four(None) => {
                self.width = Width::Four(Some(high));
                0
            }
            Width::Four(Some(first)) => {
                self.width = Width::Four(None);
                let byte = first | high >> 4;
                if data { self.data(byte) } else { self.instruction(byte, faults) }
            }
        }
    }

    fn data(&mut self, byte: u8) -> u64 {
        match self.at {
            Address::Text(at) => {
                self.text[at] = byte;
                self.at = Address::Text((at + 1) % (2 * LINE));
            }
            Address::Glyph(at) => {
                self.glyphs[at] = byte & 0x1f;
                self.at = Address::Glyph((at + 1) % 64);
            }
        }
        INSTRUCTION_NS
    }

    fn instruction(&mut self, byte: u8, faults: &mut Vec<String>) -> u64 {
        match byte {
            0x80.. => {
                let (line, column) = (usize::from(byte >> 6 & 1), usize::from(byte & 0x3f));
                if column >= LINE {
                    faults.push(format!("there is no cell {byte:#04x}"));
                }
                self.at = Address::Text(line * LINE + column % LINE);
            }
            0x40.. => self.at = Address::Glyph(usize::from(byte & 0x3f)),
            0x30.. => {
                self.width = Width::Eight;
                self.starts += 1;
                // The first wait is the longest: 4.1 ms, then 100 µs.
                return if self.starts == 1 { 4_100_000 } else { 100_000 };
            }
            0x20.. => {
                if self.starts < 3 {
                    faults.push(format!("four bits were asked for after {} starts", self.starts));
                }
                if matches!(self.width, Width::Four(_)) && byte & 0x08 == 0 {
                    faults.push("one line was asked for".to_owned());
                }
                self.width = Width::Four(None);
            }
            0x08..=0x0f => {
                self.on = byte & 0x04 != 0;
                self.underline = byte & 0x02 != 0;
            }
            0x04..=0x07 if byte != 0x06 => {
                faults.push(format!("text would not run to the right ({byte:#04x})"))
            }
            0x01 => {
                self.text = [b' '; 2 * LINE];
                self.at = Address::Text(0);
                return CLEAR_NS;
            }
            _ => {}
        }
        INSTRUCTION_NS
    }
}

impl Inside {
    fn write(&mut self, pins: u8) {
        self.now_ns += BYTE_NS;
        self.bytes += 1;
        let fell = self.pins & 0b0100 != 0 && pins & 0b0100 == 0;
        let before = std::mem::replace(&mut self.pins, pins);
        if !fell || before & 0b0010 != 0 {
            return;
        }
        if self.now_ns < self.busy_until_ns {
            let early = self.busy_until_ns - self.now_ns;
            self.faults.push(format!("{before:#010b} came {early} ns too early"));
        }
        let busy = self.chip.clocked(before & 0xf0, before & 0b0001 != 0, &mut self.faults);
        self.busy_until_ns = self.now_ns + busy;
    }
}

impl ErrorType for Simulated {
    type Error = ErrorKind;
}

impl I2c for Simulated {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), ErrorKind> {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        if address != self.address || !inside.plugged {
            return Err(ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address));
        }
        inside.now_ns += BYTE_NS;
        for operation in operations {
            match operation {
                Operation::Write(bytes) => bytes.iter().for_each(|byte| inside.write(*byte)),
                Operation::Read(bytes) => bytes.fill(inside.pins),
            }
        }
        Ok(())
    }
}

impl DelayNs for SimulatedDelay {
    fn delay_ns(&mut self, ns: u32) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).now_ns += u64::from(ns);
    }
}
