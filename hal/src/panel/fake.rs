//! A panel that a test looks at and presses.

use super::{Act, Display, Geometry, Key, KeyEvent, Keys, Lamp, Lamps, Lit, Panel, Screen};
use crate::DeviceError;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The tester's side of a whole panel; clones are the same panel.
#[derive(Clone)]
pub struct FakePanel {
    geometry: Geometry,
    inside: Arc<Mutex<Inside>>,
}

struct Inside {
    screen: Screen,
    light: Lit,
    lamps: BTreeMap<Lamp, Lit>,
    keys: VecDeque<KeyEvent>,
    waited: Duration,
    answers: Answers,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Answers {
    Yes,
    No,
}

impl FakePanel {
    /// A panel with a blank display.
    #[must_use]
    pub fn new(geometry: Geometry) -> Self {
        let inside = Inside {
            screen: Screen::blank(geometry),
            light: Lit::Off,
            lamps: BTreeMap::new(),
            keys: VecDeque::new(),
            waited: Duration::ZERO,
            answers: Answers::Yes,
        };
        Self { geometry, inside: Arc::new(Mutex::new(inside)) }
    }

    /// The program's side of it.
    #[must_use]
    pub fn panel(&self) -> Panel {
        Panel {
            display: Some(Box::new(self.clone())),
            lamps: Some(Box::new(self.clone())),
            keys: Some(Box::new(self.clone())),
        }
    }

    /// Presses and releases a key.
    pub fn press(&self, key: Key) {
        let acts = [Act::Pressed, Act::Released];
        self.inside().keys.extend(acts.map(|act| KeyEvent { key, act }));
    }

    /// Holds a key for so long that it is held, then releases it.
    pub fn hold(&self, key: Key) {
        let acts = [Act::Pressed, Act::Held, Act::Released];
        self.inside().keys.extend(acts.map(|act| KeyEvent { key, act }));
    }

    /// What it shows.
    #[must_use]
    pub fn screen(&self) -> Screen {
        self.inside().screen.clone()
    }

    /// Whether the display's light is on.
    #[must_use]
    pub fn lit(&self) -> Lit {
        self.inside().light
    }

    /// Whether a lamp shines.
    #[must_use]
    pub fn lamp(&self, lamp: Lamp) -> Lit {
        self.inside().lamps.get(&lamp).copied().unwrap_or(Lit::Off)
    }

    /// How long its holder has waited for keys in vain; virtual time goes on by as much.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.inside().waited
    }

    /// From now on nothing on it answers.
    pub fn unplug(&self) {
        self.inside().answers = Answers::No;
    }

    /// From now on it answers again, with a display that lost its text.
    pub fn plug(&self) {
        let mut inside = self.inside();
        inside.answers = Answers::Yes;
        inside.screen = Screen::blank(self.geometry);
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answering(&self, act: &'static str) -> Result<MutexGuard<'_, Inside>, DeviceError> {
        let inside = self.inside();
        match inside.answers {
            Answers::Yes => Ok(inside),
            Answers::No => Err(DeviceError::new("fake panel", act, std::io::ErrorKind::NotConnected)),
        }
    }
}

impl Display for FakePanel {
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn show(&mut self, screen: &Screen) -> Result<(), DeviceError> {
        self.answering("show")?.screen = screen.fitted(self.geometry);
        Ok(())
    }

    fn light(&mut self, lit: Lit) -> Result<(), DeviceError> {
        self.answering("light")?.light = lit;
        Ok(())
    }
}

impl Lamps for FakePanel {
    fn present(&self) -> &[Lamp] {
        &Lamp::ALL
    }

    fn set(&mut self, lamp: Lamp, lit: Lit) -> Result<(), DeviceError> {
        self.answering("set lamp")?.lamps.insert(lamp, lit);
        Ok(())
    }
}

impl Keys for FakePanel {
    fn next(&mut self, wait: Duration) -> Result<Option<KeyEvent>, DeviceError> {
        let mut inside = self.answering("read keys")?;
        let event = inside.keys.pop_front();
        if event.is_none() {
            inside.waited += wait;
        }
        Ok(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_lit_and_pressed_is_seen_on_the_other_side() {
        let fake = FakePanel::new(Geometry::Small16x2);
        let Panel { mut display, mut lamps, mut keys } = fake.panel();
        let (display, lamps, keys) =
            (display.as_mut().unwrap(), lamps.as_mut().unwrap(), keys.as_mut().unwrap());

        display.show(&Screen::of(Geometry::Large20x4, ["Gantry"])).unwrap();
        lamps.set(Lamp::Locate, Lit::On).unwrap();
        fake.press(Key::Down);

        assert_eq!(fake.screen(), Screen::of(Geometry::Small16x2, ["Gantry"]));
        assert_eq!((fake.lamp(Lamp::Locate), fake.lamp(Lamp::Alarm)), (Lit::On, Lit::Off));
        let second = Duration::from_secs(1);
        assert_eq!(keys.next(second).unwrap(), Some(KeyEvent { key: Key::Down, act: Act::Pressed }));
        assert_eq!(keys.next(second).unwrap(), Some(KeyEvent { key: Key::Down, act: Act::Released }));
        assert_eq!(fake.waited(), Duration::ZERO);
        assert_eq!(keys.next(second).unwrap(), None);
        assert_eq!(fake.waited(), second);
    }

    #[test]
    fn an_unplugged_panel_is_an_error_and_comes_back_blank() {
        let fake = FakePanel::new(Geometry::Small16x2);
        let mut display = fake.panel().display.unwrap();
        display.show(&Screen::of(Geometry::Small16x2, ["Gantry"])).unwrap();
        fake.unplug();
        assert!(display.show(&Screen::blank(Geometry::Small16x2)).is_err());
        fake.plug();
        assert_eq!(fake.screen(), Screen::blank(Geometry::Small16x2));
        assert!(display.light(Lit::On).is_ok());
        assert_eq!(fake.lit(), Lit::On);
    }

    #[test]
    fn no_panel_is_a_value() {
        assert!(Panel::absent().is_absent());
        assert!(!FakePanel::new(Geometry::Small16x2).panel().is_absent());
    }
}
