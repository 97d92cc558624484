//! The four keys of the front panel.

use crate::DeviceError;
use std::time::Duration;

/// A key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// The line, or the digit, above.
    Up,
    /// The line, or the digit, below.
    Down,
    /// Take it; go in.
    Select,
    /// Leave it; go out.
    Back,
}

/// What happened to a key, free of bouncing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyEvent {
    /// Which key.
    pub key: Key,
    /// What happened to it.
    pub act: Act,
}

/// What may happen to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Act {
    /// It went down.
    Pressed,
    /// It has been down for [`HOLD`](super::HOLD); told once.
    Held,
    /// It is still down; told every [`REPEAT`](super::REPEAT) after it was held.
    Repeated,
    /// It went up.
    Released,
}

/// The keys of a panel.
///
/// A panel that only knows presses (LCDproc) tells [`Act::Pressed`] and at once [`Act::Released`]; its repeats are presses.
pub trait Keys: Send {
    /// What happened next, at most `wait` from now; `None` if nothing did.
    ///
    /// # Errors
    /// If it does not answer. What was pressed meanwhile is lost.
    fn next(&mut self, wait: Duration) -> Result<Option<KeyEvent>, DeviceError>;
}

impl Key {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Up, Self::Down, Self::Select, Self::Back];

    /// Its name for machines to read: `up`, `down`, `select`, `back`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Select => "select",
            Self::Back => "back",
        }
    }
}
