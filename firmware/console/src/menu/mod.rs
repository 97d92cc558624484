//! The one menu model of the box: screens, actions and forms as pure data, and the walk through them. No I/O.
//!
//! ```text
//!            Facts (how the box is), Reply (what came of an ask)
//!                  ▼
//!  Key ─▶ Walk ─▶ Ask ─▶ gantry serve            skins: serial (VT100, dumb), panel (16x2, 20x4), command line
//!          └────▶ Scene ─▶ a skin draws it
//! ```
//! Three skins stand on it: whatever can be done at one can be done at each, within what its keys allow ([`Reach`]). The
//! command line has no walk; it runs the same forms and asks the same.

pub mod cells;
pub mod form;
pub mod lay;
pub mod line;
pub mod question;
#[cfg(test)]
mod tests;
pub mod tree;
pub mod walk;

pub use form::{FormKind, Step, step};
pub use lay::Page;
pub use question::{Kind, Question};
pub use tree::{Entry, Item, Menu, entries};
pub use walk::{Body, Scene, Walk};

/// What somebody can key in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Anything, on a keyboard.
    Keyboard,
    /// Up, down, select, back.
    FourKeys,
}

/// A key, on a keyboard or a panel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// One up, or one more.
    Up,
    /// One down, or one less.
    Down,
    /// Take it, go in.
    Select,
    /// Out again.
    Back,
    /// Take what stands there, wherever the cursor is (select, held).
    Accept,
    /// All the way out (back, held).
    Home,
    /// A character.
    Char(char),
    /// One to the left.
    Left,
    /// One to the right.
    Right,
    /// To the beginning.
    Start,
    /// To the end.
    End,
    /// Away with the character before.
    Backspace,
    /// Away with the character under the cursor.
    Delete,
    /// Away with all before.
    KillLine,
    /// Away with the word before.
    KillWord,
    /// The next word that fits.
    Tab,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// Draw everything anew.
    Redraw,
}
