//! The front panel: four keys in, a small screen and lamps out.
//!
//! A panel that is not there, or stops answering, is looked for again; the box does not need it.

use crate::client::Client;
use crate::look;
use crate::menu::{Reach, Walk};
use crate::places::Places;
use crate::protocol::{Ask, Facts, Locate, Where};
use crate::skin::lcd::{self, Meant, PanelKeys};
use anyhow::Result;
use base::Pulse;
use hal::DeviceError;
use hal::panel::{Blink, Geometry, Lamp, Lit, Panel};
use linux::vital::{Part, Service};
use std::time::{Duration, Instant};

/// How often the box is asked how it is.
const LOOK: Duration = Duration::from_secs(1);
/// Longest wait for a key before something else is done.
const WAIT: Duration = Duration::from_millis(100);
/// A panel, or a server, that does not answer is tried again after so long.
const AGAIN: Duration = Duration::from_secs(3);
/// Nobody pressed a key for so long: the light goes out, and the panel shows how the box is.
const DARK: Duration = Duration::from_secs(120);
/// This program comes round at least so often, even while the server puts a bundle together for somebody.
const DEADLINE: Duration = Duration::from_secs(200);
/// This program's unit.
const UNIT: &str = "gantry-panel.service";

/// Runs for ever.
///
/// # Errors
/// If the service manager cannot be told that it runs.
pub fn run(places: &Places) -> Result<()> {
    let vital = Pulse::default();
    let part = Part { name: "panel".to_owned(), silent: DEADLINE, pulse: vital.clone() };
    Service { unit: UNIT, notes: places.notes() }.is_up(
        |name| std::env::var(name).ok(),
        vec![part],
        |line| eprintln!("{line}"),
    )?;
    let board = look::board(places);
    loop {
        vital.beat();
        let opened = board.as_ref().map_or_else(|| Ok(Panel::absent()), |board| open(&board.panel, places));
        let served = match opened {
            Ok(panel) if panel.display.is_none() => Ok(()),
            Ok(panel) => Showing::new(panel).and_then(|mut showing| showing.run(places, &vital)),
            Err(error) => Err(Stopped::Panel(error)),
        };
        match served {
            Ok(()) => {}
            Err(Stopped::Panel(error)) => eprintln!("panel: {error}"),
            Err(Stopped::Server(error)) => eprintln!("{error}"),
        }
        rest(&vital, AGAIN);
    }
}

/// Waits, alive.
fn rest(vital: &Pulse, time: Duration) {
    let begun = Instant::now();
    while let Some(left) = time.checked_sub(begun.elapsed()).filter(|left| !left.is_zero()) {
        std::thread::park_timeout(left.min(LOOK));
        vital.beat();
    }
}

/// Why a panel is not shown any more.
#[derive(Debug)]
pub enum Stopped {
    /// It does not answer.
    Panel(DeviceError),
    /// The server does not.
    Server(String),
}

impl From<DeviceError> for Stopped {
    fn from(error: DeviceError) -> Self {
        Self::Panel(error)
    }
}

/// The panel as the board's description has it.
///
/// # Errors
/// If it is not there.
pub fn open(panel: &board::Panel, places: &Places) -> Result<Panel, DeviceError> {
    use board::Panel as Is;
    let geometry =
        |columns: u8, rows: u8| Geometry::within(columns.into(), rows.into()).unwrap_or(Geometry::Small16x2);
    match panel {
        Is::None => Ok(Panel::absent()),
        Is::Lcdproc { server } => Ok(linux::panel::LcdProc::connect(*server, lcdproc_keys())?.panel()),
        Is::I2cHd44780 { adapter, address, columns, rows, lines } => {
            behind_i2c(adapter, *address, geometry(*columns, *rows), lines, places)
        }
        Is::Uhid { address, columns, rows, lines } => {
            behind_i2c("CP2112 SMBus Bridge", *address, geometry(*columns, *rows), lines, places)
        }
    }
}

/// What LCDd calls the keys of most panels.
fn lcdproc_keys() -> linux::panel::KeyNames {
    linux::panel::KeyNames::default()
}

fn behind_i2c(
    adapter: &str,
    address: board::I2cAddress,
    geometry: Geometry,
    lines: &board::PanelLines,
    places: &Places,
) -> Result<Panel, DeviceError> {
    use hal::panel::Key;
    use linux::panel::{Active, ChipName, GpioKeys, GpioLamps, Line, Lines};
    let (dev, sys) = (places.at("/dev"), places.at("/sys"));
    let line = |number: board::Line, active| Line { offset: number.0, active };
    let chip = || ChipName(lines.chip.clone());
    let lamps =
        [(Lamp::Status, lines.led_ready), (Lamp::Alarm, lines.led_alarm), (Lamp::Locate, lines.led_locate)];
    let keys = [
        (Key::Up, lines.key_up),
        (Key::Down, lines.key_down),
        (Key::Select, lines.key_enter),
        (Key::Back, lines.key_back),
    ];
    // A key's contact pulls its line to ground; a lamp shines when its line is high.
    let lamps =
        Lines { chip: chip(), parts: lamps.map(|(lamp, at)| (lamp, line(at, Active::High))).to_vec() };
    let keys = Lines { chip: chip(), parts: keys.map(|(key, at)| (key, line(at, Active::Low))).to_vec() };
    Ok(Panel {
        display: Some(linux::panel::display_on(&dev, &sys, adapter, address.number(), geometry)?),
        lamps: Some(Box::new(GpioLamps::new(&dev, &lamps)?)),
        keys: Some(Box::new(GpioKeys::new(&dev, &keys)?)),
    })
}

/// A panel that is there, and what it shows.
struct Showing {
    panel: Panel,
    geometry: Geometry,
    keys: PanelKeys,
    begun: Instant,
    touched: Instant,
    lit: Lit,
    lamps: Vec<(Lamp, Lit)>,
}

impl Showing {
    fn new(panel: Panel) -> Result<Self, Stopped> {
        let geometry = panel.display.as_ref().map_or(Geometry::Small16x2, |display| display.geometry());
        let now = Instant::now();
        Ok(Self {
            panel,
            geometry,
            keys: PanelKeys::default(),
            begun: now,
            touched: now,
            lit: Lit::Off,
            lamps: Vec::new(),
        })
    }

    fn run(&mut self, places: &Places, vital: &Pulse) -> Result<(), Stopped> {
        self.say(&["Gantry", "starts ..."])?;
        self.light(Lit::On)?;
        let mut client = loop {
            match Client::connect(&places.socket(), Where::Panel) {
                Ok(client) => break client,
                Err(_) => rest(vital, AGAIN),
            }
        };
        let facts = client.facts().map_err(Stopped::Server)?;
        let mut walk = Walk::new(Reach::FourKeys, lcd::page(self.geometry), facts);
        let mut looked = Instant::now();
        loop {
            vital.beat();
            self.show(&walk)?;
            let key = self.next_key(vital)?;
            if let Some(meant) = key {
                self.press(meant, &mut walk, &mut client)?;
            }
            if looked.elapsed() >= LOOK || key.is_some() {
                walk.facts(client.facts().map_err(Stopped::Server)?);
                looked = Instant::now();
            }
            if self.touched.elapsed() > DARK && self.lit == Lit::On {
                self.light(Lit::Off)?;
                walk.home();
            }
        }
    }

    fn next_key(&mut self, vital: &Pulse) -> Result<Option<Meant>, Stopped> {
        let Some(keys) = &mut self.panel.keys else {
            rest(vital, WAIT);
            return Ok(None);
        };
        Ok(keys.next(WAIT)?.and_then(|event| self.keys.event(event)))
    }

    fn press(&mut self, meant: Meant, walk: &mut Walk, client: &mut Client) -> Result<(), Stopped> {
        let dark = self.lit == Lit::Off;
        self.touched = Instant::now();
        self.light(Lit::On)?;
        let ask = match meant {
            Meant::Recover => walk.held(),
            // The key that switches the light on does nothing else.
            Meant::Key(_) if dark => None,
            Meant::Key(key) => walk.key(key),
        };
        client.ask(&Ask::Awake).map_err(Stopped::Server)?;
        follow(walk, client, ask).map_err(Stopped::Server)
    }

    fn show(&mut self, walk: &Walk) -> Result<(), Stopped> {
        let facts = walk.known();
        if let Some(display) = &mut self.panel.display {
            display.show(&lcd::draw(&walk.scene(), facts.stage, self.geometry))?;
        }
        let since = self.begun.elapsed();
        for (lamp, blink) in lamps(facts) {
            let (lit, _) = blink.at(since);
            if self.lamps.contains(&(lamp, lit)) {
                continue;
            }
            if let Some(lamps) = &mut self.panel.lamps {
                lamps.set(lamp, lit)?;
            }
            self.lamps.retain(|(known, _)| *known != lamp);
            self.lamps.push((lamp, lit));
        }
        Ok(())
    }

    fn say(&mut self, lines: &[&str]) -> Result<(), Stopped> {
        if let Some(display) = &mut self.panel.display {
            display.show(&hal::panel::Screen::of(self.geometry, lines))?;
        }
        Ok(())
    }

    fn light(&mut self, lit: Lit) -> Result<(), Stopped> {
        if self.lit != lit
            && let Some(display) = &mut self.panel.display
        {
            display.light(lit)?;
            self.lit = lit;
        }
        Ok(())
    }
}

/// What each lamp tells.
#[must_use]
pub fn lamps(facts: &Facts) -> [(Lamp, Blink); 4] {
    let status = match (facts.calls, facts.summary.as_str()) {
        (_, "drained") => Blink::Slow,
        (Some(_), _) => Blink::On,
        (None, _) => Blink::Off,
    };
    let alarm = if facts.alarms.is_empty() { Blink::Off } else { Blink::On };
    let locate = if facts.locate == Locate::On { Blink::Fast } else { Blink::Off };
    [(Lamp::Power, Blink::On), (Lamp::Status, status), (Lamp::Alarm, alarm), (Lamp::Locate, locate)]
}

fn follow(walk: &mut Walk, client: &mut Client, mut ask: Option<Ask>) -> Result<(), String> {
    while let Some(asked) = ask {
        let reply = client.ask(&asked)?;
        walk.facts(client.facts()?);
        ask = walk.reply(reply);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lamps_tell_what_they_are_for() {
        let facts = Facts { calls: Some(0), summary: "no calls".into(), ..Facts::default() };
        assert_eq!(
            lamps(&facts)[1..],
            [(Lamp::Status, Blink::On), (Lamp::Alarm, Blink::Off), (Lamp::Locate, Blink::Off)]
        );
        let facts = Facts {
            calls: Some(1),
            summary: "drained".into(),
            alarms: vec!["x".into()],
            locate: Locate::On,
            ..facts
        };
        assert_eq!(
            lamps(&facts)[1..],
            [(Lamp::Status, Blink::Slow), (Lamp::Alarm, Blink::On), (Lamp::Locate, Blink::Fast)]
        );
        assert_eq!(lamps(&Facts::default())[1], (Lamp::Status, Blink::Off));
    }
}
