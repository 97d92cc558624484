//! An HD44780 display (or one that is like it) behind a PCF8574 expander on an I2C bus, wired as the usual backpack is:
//!
//! | P7 P6 P5 P4 | P3 | P2 | P1 | P0 |
//! |---|---|---|---|---|
//! | D7 D6 D5 D4 | light | E | R/W | RS |
//!
//! Source: Hitachi HD44780U data sheet ADE-207-272(Z): figure 24 (starting in four bits), table 6 (instructions). What the
//! display is told takes it 37 µs (at 270 kHz; 50 µs are allowed for), clearing 1.52 ms; each byte on the bus takes 90 µs at
//! 100 kHz, the most a PCF8574 does, so only the long ones are waited for.

pub mod simulated;

use crate::identity::kind;
use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::{Error as _, I2c};
use hal::DeviceError;
use hal::panel::{Cell, Display, GLYPHS, Geometry, Lit, Screen, code_of};

const REGISTER_SELECT: u8 = 0b0001;
const ENABLE: u8 = 0b0100;
const LIGHT: u8 = 0b1000;

const CLEAR: u8 = 0x01;
const ENTRY_LEFT_TO_RIGHT: u8 = 0x06;
const DISPLAY_ON: u8 = 0x0c;
const UNDERLINE: u8 = 0x02;
const FOUR_BITS_TWO_LINES: u8 = 0x28;
const GLYPH_ADDRESS: u8 = 0x40;
const TEXT_ADDRESS: u8 = 0x80;

/// Most bytes of one message: adapters on USB take 60, and a byte of text takes four.
const MESSAGE_BYTES: usize = 48;
/// Longest time for an instruction other than clearing.
const INSTRUCTION_US: u32 = 50;
/// Longest time for clearing.
const CLEAR_US: u32 = 2_000;

/// A display on a bus, such as [`linux_embedded_hal::I2cdev`].
#[derive(Debug)]
pub struct Hd44780<B, D> {
    bus: B,
    delay: D,
    address: u8,
    geometry: Geometry,
    light: Lit,
    /// What it shows; `None` while that is not known and it must be started anew.
    shown: Option<Screen>,
}

impl<B: I2c, D: DelayNs> Hd44780<B, D> {
    /// The display at `address` of `bus` (0x20 to 0x27; 0x38 to 0x3f for a PCF8574A). Nothing is sent yet.
    pub fn new(bus: B, delay: D, address: u8, geometry: Geometry) -> Self {
        Self { bus, delay, address, geometry, light: Lit::On, shown: None }
    }

    /// The bus again.
    pub fn into_bus(self) -> B {
        self.bus
    }

    /// Starts it, whatever state it is in, and gives it our glyphs.
    fn start(&mut self) -> Result<Screen, B::Error> {
        // Three times "eight bits" brings it to a known state, even from the middle of a byte; the waits are the data sheet's.
        self.delay.delay_ms(50);
        for wait in [4_500, 150, 150] {
            self.nibble(0x30)?;
            self.delay.delay_us(wait);
        }
        self.nibble(0x20)?;
        self.delay.delay_us(150);
        for instruction in [FOUR_BITS_TWO_LINES, DISPLAY_ON, CLEAR] {
            self.instruct(instruction)?;
        }
        self.delay.delay_us(CLEAR_US);
        self.instruct(ENTRY_LEFT_TO_RIGHT)?;
        self.instruct(GLYPH_ADDRESS)?;
        for glyph in &GLYPHS {
            self.data(&glyph.rows)?;
        }
        Ok(Screen::blank(self.geometry))
    }

    fn draw(&mut self, shown: &Screen, screen: &Screen) -> Result<(), B::Error> {
        for row in 0..self.geometry.rows() {
            for (column, codes) in changed_runs(shown.row(row), screen.row(row)) {
                self.instruct(TEXT_ADDRESS | self.place(Cell { row, column }))?;
                self.data(&codes)?;
            }
        }
        match screen.cursor() {
            // Writing moves the cursor, so it is put back after every change.
            Some(at) => {
                self.instruct(TEXT_ADDRESS | self.place(at))?;
                if shown.cursor().is_none() {
                    self.instruct(DISPLAY_ON | UNDERLINE)?;
                }
            }
            None if shown.cursor().is_some() => self.instruct(DISPLAY_ON)?,
            None => {}
        }
        Ok(())
    }

    /// The address of a cell: rows 0 and 2 are one line of the controller, 1 and 3 the other.
    fn place(&self, at: Cell) -> u8 {
        let line = if at.row.is_multiple_of(2) { 0x00 } else { 0x40 };
        let half = if at.row >= 2 { self.geometry.columns() } else { 0 };
        line + u8::try_from(half + at.column).unwrap_or(0)
    }

    fn instruct(&mut self, instruction: u8) -> Result<(), B::Error> {
        let bytes = self.byte(instruction, 0);
        self.bus.write(self.address, &bytes)?;
        self.delay.delay_us(INSTRUCTION_US);
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), B::Error> {
        for bytes in bytes.chunks(MESSAGE_BYTES / 4) {
            let message: Vec<_> = bytes.iter().flat_map(|byte| self.byte(*byte, REGISTER_SELECT)).collect();
            self.bus.write(self.address, &message)?;
        }
        self.delay.delay_us(INSTRUCTION_US);
        Ok(())
    }

    fn nibble(&mut self, high: u8) -> Result<(), B::Error> {
        let bytes = self.clocked(high, 0);
        self.bus.write(self.address, &bytes)
    }

    /// The high half, then the low half.
    fn byte(&self, byte: u8, select: u8) -> [u8; 4] {
        let [[a, b], [c, d]] = [byte & 0xf0, byte << 4].map(|half| self.clocked(half, select));
        [a, b, c, d]
    }

    /// The display takes what stands on its lines when E falls.
    fn clocked(&self, high: u8, select: u8) -> [u8; 2] {
        let lines = high | select | self.light_bit();
        [lines | ENABLE, lines]
    }

    fn light_bit(&self) -> u8 {
        match self.light {
            Lit::On => LIGHT,
            Lit::Off => 0,
        }
    }

    fn failed(&self, act: &'static str, error: &B::Error) -> DeviceError {
        DeviceError::new(format!("display at {:#04x}", self.address), act, kind(error.kind()))
    }
}

impl<B: I2c + Send, D: DelayNs + Send> Display for Hd44780<B, D> {
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn show(&mut self, screen: &Screen) -> Result<(), DeviceError> {
        let screen = screen.fitted(self.geometry);
        // Until all is drawn nothing is known of what it shows.
        let shown = match self.shown.take() {
            Some(shown) => Ok(shown),
            None => self.start(),
        };
        let drawn = shown.and_then(|shown| self.draw(&shown, &screen));
        drawn.map_err(|error| self.failed("show", &error))?;
        self.shown = Some(screen);
        Ok(())
    }

    fn light(&mut self, lit: Lit) -> Result<(), DeviceError> {
        self.light = lit;
        let lines = self.light_bit();
        self.bus.write(self.address, &[lines]).map_err(|error| self.failed("light", &error))
    }
}

/// The runs of cells that differ: where each begins, and its codes.
fn changed_runs(old: &[char], new: &[char]) -> Vec<(usize, Vec<u8>)> {
    let mut runs: Vec<(usize, Vec<u8>)> = Vec::new();
    for (column, (old, new)) in old.iter().zip(new).enumerate() {
        let code = code_of(*new).unwrap_or(b'?');
        match runs.last_mut() {
            _ if old == new => {}
            Some((begin, codes)) if *begin + codes.len() == column => codes.push(code),
            _ => runs.push((column, vec![code])),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::simulated::{Simulated, SimulatedDelay};
    use super::*;
    use proptest::prelude::*;

    const ADDRESS: u8 = 0x27;

    fn display(geometry: Geometry) -> (Hd44780<Simulated, SimulatedDelay>, Simulated) {
        let simulated = Simulated::new(ADDRESS, geometry);
        let delay = simulated.delay();
        (Hd44780::new(simulated.clone(), delay, ADDRESS, geometry), simulated)
    }

    #[test]
    fn what_is_shown_stands_on_the_glass() {
        for geometry in [Geometry::Small16x2, Geometry::Large20x4] {
            let (mut display, glass) = display(geometry);
            let screen = Screen::of(
                geometry,
                ["Gantry 1.0 \\~|{}", "▲▼✓✗●○ 21.5°C", "third äöüß", "fourth row, all 20 ."],
            );
            display.show(&screen).unwrap();
            assert_eq!(glass.screen(), screen);
            assert_eq!(glass.faults(), Vec::<String>::new());
        }
    }

    #[test]
    fn only_what_changed_is_sent() {
        let (mut display, glass) = display(Geometry::Large20x4);
        display.show(&Screen::of(Geometry::Large20x4, ["12:00:00", "calls 3"])).unwrap();
        let before = glass.bytes();
        let later = Screen::of(Geometry::Large20x4, ["12:00:01", "calls 3"]);
        display.show(&later).unwrap();
        assert_eq!(glass.bytes() - before, 8, "an address and a character");
        assert_eq!(glass.screen(), later);
        display.show(&later).unwrap();
        assert_eq!(glass.bytes() - before, 8);
    }

    #[test]
    fn the_cursor_is_shown_moved_and_hidden() {
        let (mut display, glass) = display(Geometry::Large20x4);
        let mut screen = Screen::of(Geometry::Large20x4, ["address", "10.0.0.1"]);
        for at in [Some(Cell { row: 1, column: 3 }), Some(Cell { row: 3, column: 19 }), None] {
            screen.put_cursor(at);
            display.show(&screen).unwrap();
            assert_eq!(glass.screen(), screen);
        }
        assert_eq!(glass.faults(), Vec::<String>::new());
    }

    #[test]
    fn the_light_goes_off_and_stays_off_while_text_is_shown() {
        let (mut display, glass) = display(Geometry::Small16x2);
        display.show(&Screen::of(Geometry::Small16x2, ["on"])).unwrap();
        assert_eq!(glass.light(), Lit::On);
        display.light(Lit::Off).unwrap();
        display.show(&Screen::of(Geometry::Small16x2, ["off"])).unwrap();
        assert_eq!(glass.light(), Lit::Off);
        assert_eq!(glass.screen(), Screen::of(Geometry::Small16x2, ["off"]));
    }

    #[test]
    fn a_display_that_comes_back_is_started_and_shown_all_of_it() {
        let (mut display, glass) = display(Geometry::Small16x2);
        let screen = Screen::of(Geometry::Small16x2, ["Gantry", "slot A"]);
        display.show(&screen).unwrap();
        glass.unplug();
        let error =
            display.show(&Screen::of(Geometry::Small16x2, ["Gantry", "slot B"])).unwrap_err().to_string();
        assert!(error.starts_with("display at 0x27: show failed"), "{error}");
        glass.plug();
        display.show(&screen).unwrap();
        assert_eq!(glass.screen(), screen);
        assert_eq!(glass.faults(), Vec::<String>::new());
    }

    #[test]
    fn one_that_lost_half_a_byte_is_in_step_again_after_its_next_start() {
        let (mut display, glass) = display(Geometry::Small16x2);
        display.show(&Screen::of(Geometry::Small16x2, ["Gantry"])).unwrap();
        glass.clone().write(ADDRESS, &[0x4d, 0x49]).unwrap();
        display.shown = None;
        let screen = Screen::of(Geometry::Small16x2, ["in step"]);
        display.show(&screen).unwrap();
        assert_eq!(glass.screen(), screen);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_screens_one_after_another_stand_on_the_glass(
            screens in prop::collection::vec((prop::collection::vec("[ -~▲▼✓✗●○äß°→]{0,22}", 0..5), prop::option::of((0usize..5, 0usize..21))), 1..6),
        ) {
            let (mut display, glass) = display(Geometry::Large20x4);
            for (lines, cursor) in screens {
                let mut screen = Screen::of(Geometry::Large20x4, lines);
                screen.put_cursor(cursor.map(|(row, column)| Cell { row, column }));
                display.show(&screen).unwrap();
                prop_assert_eq!(glass.screen(), screen);
                prop_assert_eq!(glass.faults(), Vec::<String>::new());
            }
        }
    }
}
