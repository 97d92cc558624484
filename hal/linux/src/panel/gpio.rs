//! Lamps and keys on GPIO lines (`/dev/gpiochipN`).
//!
//! An edge only wakes: what counts is the level that is read then, through [`Debounce`], so that edges that come too many,
//! too few or from nowhere (some bridges begin with one) do no harm.

use crate::files;
use base::{Machine, Output};
use hal::DeviceError;
use hal::panel::{Debounce, Key, KeyEvent, Keys, Lamp, Lamps, Level, Lit};
use linux_embedded_hal::gpio_cdev::{
    self, Chip, EventRequestFlags, LineEventHandle, LineHandle, LineRequestFlags,
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::VecDeque;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// Who holds the lines, as the kernel shows it.
const CONSUMER: &str = "gantry";
/// Most edges taken from a line at once.
const EDGES: usize = 64;
/// Most chips that are looked at.
const CHIPS: usize = 64;

/// Which chip: its label begins so ("cp2112_gpio"), or its name is this ("gpiochip0").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChipName(pub String);

/// One line of a chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// Its number on the chip.
    pub offset: u32,
    /// Which level means "lit" or "pressed".
    pub active: Active,
}

/// Which level means something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Active {
    /// The high one.
    High,
    /// The low one, as for a key against ground.
    Low,
}

/// What hangs on which line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines<Part> {
    /// The chip.
    pub chip: ChipName,
    /// Each part and its line.
    pub parts: Vec<(Part, Line)>,
}

/// Lamps on GPIO lines.
pub struct GpioLamps {
    present: Vec<Lamp>,
    handles: Vec<LineHandle>,
}

impl GpioLamps {
    /// Takes the lines; all lamps are off then.
    ///
    /// # Errors
    /// If the chip or a line is not there, or somebody else holds it.
    pub fn new(dev: &Path, lines: &Lines<Lamp>) -> Result<Self, DeviceError> {
        let mut chip = find(dev, &lines.chip)?;
        let mut handles = Vec::new();
        for (lamp, line) in &lines.parts {
            let flags = LineRequestFlags::OUTPUT | polarity(line.active);
            let handle = chip.get_line(line.offset).and_then(|line| line.request(flags, 0, CONSUMER));
            handles
                .push(handle.map_err(|error| failed(&chip, lamp.name(), "take the line of a lamp", &error))?);
        }
        Ok(Self { present: lines.parts.iter().map(|(lamp, _)| *lamp).collect(), handles })
    }
}

impl Lamps for GpioLamps {
    fn present(&self) -> &[Lamp] {
        &self.present
    }

    fn set(&mut self, lamp: Lamp, lit: Lit) -> Result<(), DeviceError> {
        let value = u8::from(lit == Lit::On);
        for (_, handle) in self.present.iter().zip(&self.handles).filter(|(present, _)| **present == lamp) {
            let set = handle.set_value(value);
            set.map_err(|error| DeviceError::new(format!("lamp {}", lamp.name()), "set", plain(&error)))?;
        }
        Ok(())
    }
}

/// The contacts of some keys.
pub trait Contacts: Send {
    /// The time now.
    fn now(&self) -> Instant;

    /// Waits until a contact may have changed, at most for `wait`.
    ///
    /// # Errors
    /// If the contacts do not answer.
    fn wait(&mut self, wait: Duration) -> Result<(), DeviceError>;

    /// The level of each contact.
    ///
    /// # Errors
    /// If the contacts do not answer.
    fn levels(&mut self) -> Result<Vec<Level>, DeviceError>;
}

/// Keys read off their contacts, without bouncing.
pub struct Scanned<C> {
    contacts: C,
    keys: Vec<Debounce>,
    events: VecDeque<KeyEvent>,
}

/// Keys on GPIO lines.
pub type GpioKeys = Scanned<GpioContacts>;

/// The contacts of keys on GPIO lines.
pub struct GpioContacts {
    names: Vec<Key>,
    handles: Vec<LineEventHandle>,
}

impl<C: Contacts> Scanned<C> {
    /// The keys whose contacts are these, in the order of [`Contacts::levels`].
    pub fn over(contacts: C, keys: &[Key]) -> Self {
        let now = contacts.now();
        let keys = keys.iter().map(|key| Debounce::new(*key, now)).collect();
        Self { contacts, keys, events: VecDeque::new() }
    }

    /// Looks at every contact; returns when to look again even if nothing changes.
    fn look(&mut self) -> Result<Option<Instant>, DeviceError> {
        let levels = self.contacts.levels()?;
        let now = self.contacts.now();
        let mut wake = None;
        for (key, level) in self.keys.iter_mut().zip(levels) {
            let next = key.step(now, Some(level), |output| {
                let Output::Event(event) = output;
                self.events.push_back(event);
            });
            wake = base::earliest(wake, next);
        }
        Ok(wake)
    }
}

impl GpioKeys {
    /// Takes the lines.
    ///
    /// # Errors
    /// If the chip or a line is not there, or somebody else holds it.
    pub fn new(dev: &Path, lines: &Lines<Key>) -> Result<Self, DeviceError> {
        let mut chip = find(dev, &lines.chip)?;
        let mut handles = Vec::new();
        for (key, line) in &lines.parts {
            let flags = LineRequestFlags::INPUT | polarity(line.active);
            let edges = EventRequestFlags::BOTH_EDGES;
            let handle = chip.get_line(line.offset).and_then(|line| line.events(flags, edges, CONSUMER));
            let handle =
                handle.map_err(|error| failed(&chip, key.name(), "take the line of a key", &error))?;
            nonblocking(&handle).map_err(|error| DeviceError::new("keys", "open", error))?;
            handles.push(handle);
        }
        let names: Vec<_> = lines.parts.iter().map(|(key, _)| *key).collect();
        Ok(Self::over(GpioContacts { names: names.clone(), handles }, &names))
    }
}

impl<C: Contacts> Keys for Scanned<C> {
    fn next(&mut self, wait: Duration) -> Result<Option<KeyEvent>, DeviceError> {
        let end = self.contacts.now() + wait;
        loop {
            let wake = self.look()?;
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            let now = self.contacts.now();
            if now >= end {
                return Ok(None);
            }
            let until = wake.map_or(end, |wake| wake.min(end));
            self.contacts.wait(until.saturating_duration_since(now))?;
        }
    }
}

impl Contacts for GpioContacts {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wait(&mut self, wait: Duration) -> Result<(), DeviceError> {
        let mut fds: Vec<_> =
            self.handles.iter().map(|handle| PollFd::new(handle.as_fd(), PollFlags::POLLIN)).collect();
        // A millisecond more, as poll counts whole ones and would come back just too early.
        let millis = u16::try_from(wait.as_millis().saturating_add(1)).unwrap_or(u16::MAX);
        match poll(&mut fds, PollTimeout::from(millis)) {
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(error) => return Err(DeviceError::new("keys", "wait", error)),
        }
        for handle in &self.handles {
            // Edges are only there to wake; a line that has none left says so.
            let mut edges = [0; 16 * EDGES];
            let _ = handle.file().read(&mut edges);
        }
        Ok(())
    }

    fn levels(&mut self) -> Result<Vec<Level>, DeviceError> {
        let level = |(key, handle): (&Key, &LineEventHandle)| match handle.get_value() {
            Ok(0) => Ok(Level::Up),
            Ok(_) => Ok(Level::Down),
            Err(error) => Err(DeviceError::new(format!("key {}", key.name()), "read", plain(&error))),
        };
        self.names.iter().zip(&self.handles).map(level).collect()
    }
}

fn find(dev: &Path, wanted: &ChipName) -> Result<Chip, DeviceError> {
    let missing = |error: io::Error| DeviceError::new(format!("GPIO chip {:?}", wanted.0), "find", error);
    let entries = files::entries(dev).map_err(missing)?;
    let chips = entries.iter().filter(|path| files::name(path).starts_with("gpiochip")).take(CHIPS);
    chips
        .filter_map(|path| Chip::new(path).ok())
        .find(|chip| chip.label().starts_with(&wanted.0) || chip.name() == wanted.0)
        .ok_or_else(|| missing(io::ErrorKind::NotFound.into()))
}

fn polarity(active: Active) -> LineRequestFlags {
    match active {
        Active::High => LineRequestFlags::empty(),
        Active::Low => LineRequestFlags::ACTIVE_LOW,
    }
}

fn nonblocking(handle: &LineEventHandle) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    fcntl(handle.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(())
}

fn failed(chip: &Chip, part: &str, act: &'static str, error: &gpio_cdev::Error) -> DeviceError {
    DeviceError::new(format!("{} {} ({part})", chip.name(), chip.label()), act, plain(error))
}

fn plain(error: &gpio_cdev::Error) -> io::Error {
    io::Error::other(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hal::panel::Act;

    /// Contacts whose levels change at set times, in virtual time.
    struct Script {
        start: Instant,
        now: Instant,
        /// Milliseconds, which contact, its level.
        changes: Vec<(u64, usize, Level)>,
        waits: usize,
    }

    impl Script {
        fn new(changes: &[(u64, usize, Level)]) -> Self {
            let start = Instant::now();
            Self { start, now: start, changes: changes.to_vec(), waits: 0 }
        }

        fn at(&self, ms: u64) -> Instant {
            self.start + Duration::from_millis(ms)
        }
    }

    impl Contacts for Script {
        fn now(&self) -> Instant {
            self.now
        }

        fn wait(&mut self, wait: Duration) -> Result<(), DeviceError> {
            self.waits += 1;
            let end = self.now + wait;
            let change = self.changes.iter().map(|(ms, ..)| self.at(*ms)).find(|at| *at > self.now);
            self.now = change.map_or(end, |change| change.min(end));
            Ok(())
        }

        fn levels(&mut self) -> Result<Vec<Level>, DeviceError> {
            let level = |contact: usize| {
                let past =
                    |(ms, which, _): &&(u64, usize, Level)| *which == contact && self.at(*ms) <= self.now;
                self.changes.iter().rfind(past).map_or(Level::Up, |(.., level)| *level)
            };
            Ok(vec![level(0), level(1)])
        }
    }

    fn keys(changes: &[(u64, usize, Level)]) -> Scanned<Script> {
        Scanned::over(Script::new(changes), &[Key::Up, Key::Select])
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn presses_that_bounce_are_told_once_and_in_order() {
        let mut keys = keys(&[
            (100, 1, Level::Down),
            (103, 1, Level::Up),
            (105, 1, Level::Down),
            (300, 0, Level::Down),
            (400, 1, Level::Up),
            (410, 0, Level::Up),
        ]);
        let mut told = Vec::new();
        while let Some(KeyEvent { key, act }) = keys.next(SECOND).unwrap() {
            told.push((key, act));
        }
        assert_eq!(
            told,
            [
                (Key::Select, Act::Pressed),
                (Key::Up, Act::Pressed),
                (Key::Select, Act::Released),
                (Key::Up, Act::Released)
            ]
        );
    }

    #[test]
    fn a_held_key_repeats_without_an_edge() {
        let mut keys = keys(&[(0, 0, Level::Down)]);
        let acts: Vec<_> = (0..4).map(|_| keys.next(2 * SECOND).unwrap().unwrap().act).collect();
        assert_eq!(acts, [Act::Pressed, Act::Held, Act::Repeated, Act::Repeated]);
    }

    #[test]
    fn nothing_is_told_after_the_wait_and_no_time_is_wasted() {
        let mut keys = keys(&[]);
        let before = keys.contacts.now;
        assert_eq!(keys.next(SECOND).unwrap(), None);
        assert_eq!(keys.contacts.now - before, SECOND);
        assert_eq!(keys.contacts.waits, 1);
        assert_eq!(keys.next(Duration::ZERO).unwrap(), None);
    }

    #[test]
    fn a_chip_that_is_not_there_is_named() {
        let bare = tempfile::tempdir().unwrap();
        std::fs::write(bare.path().join("gpiochip0"), "no device").unwrap();
        let chip = ChipName("cp2112_gpio".to_owned());
        let error = GpioKeys::new(bare.path(), &Lines { chip: chip.clone(), parts: vec![] }).err().unwrap();
        assert!(error.to_string().starts_with("GPIO chip \"cp2112_gpio\": find failed"), "{error}");
        assert!(GpioLamps::new(bare.path(), &Lines { chip, parts: vec![] }).is_err());
    }
}
