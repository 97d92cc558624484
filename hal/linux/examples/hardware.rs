//! Says what each backend finds on the machine it runs on: to bring up a board, and to try the backends in a guest.
//!
//! ```text
//!  hardware                          everything that can be read
//!  hardware arm <seconds> <warning>  arms the first watchdog and ends without disarming it: the machine restarts
//!  hardware disarm <seconds>         arms the first watchdog, feeds it, and stops it again
//!  hardware panel <i2c> <chip>       shows a screen on the display at 0x27, lights the lamps, tells what is pressed
//!  hardware eeprom <i2c>             writes an identity to the EEPROM at 0x50 and reads it back
//! ```

use hal::Label;
use hal::identity::{Identified, Identity};
use hal::panel::{Act, Display, Geometry, Key, Keys, Lamp, Lamps, Lit, Screen};
use hal::sensors::Sensors;
use hal::timestamping::{Prover, PtpClock, Timestamping};
use hal::watchdog::{Config, Watchdog};
use linux::hwmon::Hwmon;
use linux::identity::{Addressing, Fields, I2cEeprom, Smbios};
use linux::panel::{Active, ChipName, GpioKeys, GpioLamps, Hd44780, Line, Lines};
use linux::pstore::Pstore;
use linux::stamping::{LinuxProver, Phc};
use linux::watchdog::Device;
use linux_embedded_hal::{Delay, I2cdev};
use std::error::Error;
use std::path::Path;
use std::time::Duration;

type Done = Result<(), Box<dyn Error>>;

fn main() -> Done {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [] => everything(),
        ["arm", seconds, warning] => arm(seconds, warning),
        ["disarm", seconds] => disarm(seconds),
        ["panel", bus, chip] => panel(bus, chip),
        ["eeprom", bus] => eeprom(bus),
        _ => Err("hardware [arm <seconds> <warning> | disarm <seconds> | panel <i2c> <chip> | eeprom <i2c>]"
            .into()),
    }
}

fn everything() -> Done {
    let (sys, dev) = (Path::new("/sys"), Path::new("/dev"));
    for watchdog in Device::all(sys, dev)? {
        println!("watchdog: {:?}, last reset {:?}", watchdog.info(), watchdog.last_reset());
    }
    for reading in Hwmon::new(sys).read()? {
        println!("sensor: {reading} {:?} {:?}", reading.limits, reading.verdict());
    }
    println!("identity: {:?}", Smbios::new(sys, Fields::default()).read()?);
    for dump in Pstore::new(sys).dumps()? {
        println!("pstore: {:?}", dump.panic());
    }
    let cards = std::fs::read_dir(sys.join("class/net"))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    for nic in cards.filter_map(|name| Label::sanitised(&name)) {
        let proof = LinuxProver.prove(&nic);
        println!("stamps: {proof}");
        if let Timestamping::Hardware(clock) = proof.timestamping {
            let mut clock = Phc::open(dev, clock)?;
            println!("clock: {} says {:?}, offset {:?}", clock.index(), clock.now()?, clock.offset()?);
        }
    }
    Ok(())
}

fn first() -> Result<Box<dyn Watchdog>, Box<dyn Error>> {
    Ok(Box::new(Device::numbered(Path::new("/sys"), Path::new("/dev"), 0)?))
}

fn arm(seconds: &str, warning: &str) -> Done {
    let warning = Duration::from_secs(warning.parse()?);
    let pretimeout = Some(warning).filter(|warning| !warning.is_zero());
    let config = Config { timeout: Duration::from_secs(seconds.parse()?), pretimeout };
    let mut armed = first()?.arm(config)?;
    println!("armed: {:?}, left {:?}", armed.actual(), armed.time_left());
    Ok(())
}

fn disarm(seconds: &str) -> Done {
    let config = Config { timeout: Duration::from_secs(seconds.parse()?), pretimeout: None };
    let mut armed = first()?.arm(config)?;
    armed.feed()?;
    println!("armed: {:?}, left {:?}", armed.actual(), armed.time_left());
    println!("disarmed: {:?}", armed.disarm());
    Ok(())
}

fn panel(bus: &str, chip: &str) -> Done {
    let dev = Path::new("/dev");
    let mut display = Hd44780::new(I2cdev::new(bus)?, Delay, 0x27, Geometry::Large20x4);
    let line = |offset| Line { offset, active: Active::High };
    let chip = ChipName(chip.to_owned());
    let lamps = [(Lamp::Status, line(0)), (Lamp::Alarm, line(1)), (Lamp::Locate, line(2))];
    let mut lamps = GpioLamps::new(dev, &Lines { chip: chip.clone(), parts: lamps.to_vec() })?;
    let keys = [(Key::Up, line(3)), (Key::Down, line(4)), (Key::Back, line(5)), (Key::Select, line(6))];
    let mut keys = GpioKeys::new(dev, &Lines { chip, parts: keys.to_vec() })?;
    display.show(&Screen::of(Geometry::Large20x4, ["Gantry 1.0 \\~", "▲▼✓✗ 21.5°C", "press back to end"]))?;
    for lamp in lamps.present().to_vec() {
        lamps.set(lamp, Lit::On)?;
    }
    lamps.set(Lamp::Alarm, Lit::Off)?;
    println!("shown");
    while let Some(event) = keys.next(Duration::from_secs(30))? {
        println!("key: {} {:?}", event.key.name(), event.act);
        display.show(&Screen::of(Geometry::Large20x4, ["Gantry 1.0 \\~", event.key.name()]))?;
        if (event.key, event.act) == (Key::Back, Act::Released) {
            break;
        }
    }
    Ok(())
}

fn eeprom(bus: &str) -> Done {
    let mut eeprom = I2cEeprom::new(I2cdev::new(bus)?, Delay, 0x50, Addressing::OneByte);
    println!("before: {:?}", eeprom.read());
    let who = Identified { serial: Label::sanitised("GW-0042"), ..Identified::default() };
    eeprom.write(&who)?;
    println!("after: {:?}", eeprom.read()?);
    Ok(())
}
