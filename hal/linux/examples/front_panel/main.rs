//! A front panel for boxes that have none: a process that is a CP2112 bridge (USB to I2C and GPIO), with a display, lamps and keys
//! on it. The kernel's own hid-cp2112 then makes a real `/dev/i2c-N` and a real `/dev/gpiochipN` of it.
//!
//! ```text
//!  front_panel                 plugged into this machine, by /dev/uhid
//!  front_panel --usb <socket>  plugged into a virtual machine: QEMU listens there for a usb-redir device
//! ```
//! Behind the bridge are an HD44780 of 20x4 at 0x27, an EEPROM (24C02) at 0x50, lamps on lines 0 to 2 (status, alarm,
//! locate) and keys on lines 3 to 6 (up, down, back, select), which pull their line to ground when pressed.
//!
//! It reads commands from its input, a line each: `press <key> [<milliseconds>]`. It tells what changed on its output: `screen |row|row|...|`,
//! `lamp <name> on|off`, `released <key>`, `fault <what a real display would have missed>`.
//!
//! Source: Silicon Labs AN495 (CP2112 interface specification).

mod bridge;
mod uhid;
mod usb;

use bridge::{Bridge, Pins, press};
use std::error::Error;
use std::io::{self, BufRead};
use std::path::Path;
use std::sync::{Arc, Mutex};

fn main() -> Result<(), Box<dyn Error>> {
    let pins = Arc::new(Mutex::new(Pins::default()));
    let pressed = pins.clone();
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            press(&line, &pressed);
        }
    });
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [] => uhid::run(Bridge::new(pins))?,
        ["--usb", socket] => usb::run(Bridge::new(pins), Path::new(socket))?,
        _ => return Err("front_panel takes nothing, or --usb <socket>".into()),
    }
    Ok(())
}
