//! The front panel: a small text display, lamps and four keys, each of which a board may lack.
//!
//! A panel that is not there is a value ([`Panel::absent`]), not an error: the menu then simply has nobody to show itself to.

mod charset;
mod debounce;
mod fake;
mod keys;
mod lamps;
mod screen;

pub use charset::{GLYPHS, Glyph, code_of, shown_as};
pub use debounce::{BOUNCE, Debounce, HOLD, Level, REPEAT};
pub use fake::FakePanel;
pub use keys::{Act, Key, KeyEvent, Keys};
pub use lamps::{Blink, Lamp, Lamps, Lit};
pub use screen::{Cell, Geometry, Screen};

use crate::DeviceError;

/// The parts of a front panel that are there.
#[derive(Default)]
pub struct Panel {
    /// The text display.
    pub display: Option<Box<dyn Display>>,
    /// The lamps.
    pub lamps: Option<Box<dyn Lamps>>,
    /// The keys.
    pub keys: Option<Box<dyn Keys>>,
}

impl Panel {
    /// A box without a panel.
    #[must_use]
    pub fn absent() -> Self {
        Self::default()
    }

    /// Whether there is any part of one.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        self.display.is_none() && self.lamps.is_none() && self.keys.is_none()
    }
}

/// A text display.
pub trait Display: Send {
    /// How much text it shows.
    fn geometry(&self) -> Geometry;

    /// Shows `screen`; only what differs from what it shows already is sent. A screen of another geometry is cut off or
    /// filled with spaces.
    ///
    /// # Errors
    /// If it does not answer. The next call shows everything anew, so trying again is enough.
    fn show(&mut self, screen: &Screen) -> Result<(), DeviceError>;

    /// Switches its light. A display without a light does nothing.
    ///
    /// # Errors
    /// If it does not answer.
    fn light(&mut self, lit: Lit) -> Result<(), DeviceError>;
}
