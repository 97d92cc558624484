//! A line editor of its own: bounded, ASCII, with the keys of a terminal.

use super::Key;

/// Longest line, in characters.
pub const LINE_CHARS: usize = 512;

/// A line being typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineEditor {
    text: Vec<u8>,
    at: usize,
    most: usize,
    echo: Echo,
}

/// Whether what is typed is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Echo {
    /// It is.
    Shown,
    /// Stars are.
    Hidden,
}

impl LineEditor {
    /// An empty line that takes `most` characters.
    #[must_use]
    pub fn new(echo: Echo, most: usize) -> Self {
        Self { text: Vec::new(), at: 0, most: most.min(LINE_CHARS), echo }
    }

    /// With a text in it, the cursor behind it.
    #[must_use]
    pub fn with(mut self, text: &str) -> Self {
        self.text = text.bytes().filter(|b| matches!(b, b' '..=b'~')).take(self.most).collect();
        self.at = self.text.len();
        self
    }

    /// Takes a key; those that edit nothing are left alone.
    pub fn key(&mut self, key: Key) {
        match key {
            Key::Char(c) if matches!(c, ' '..='~') && self.text.len() < self.most => {
                self.text.insert(self.at, c as u8);
                self.at += 1;
            }
            Key::Backspace if self.at > 0 => {
                self.at -= 1;
                self.text.remove(self.at);
            }
            Key::Delete if self.at < self.text.len() => drop(self.text.remove(self.at)),
            Key::Left => self.at = self.at.saturating_sub(1),
            Key::Right => self.at = (self.at + 1).min(self.text.len()),
            Key::Start => self.at = 0,
            Key::End => self.at = self.text.len(),
            Key::KillLine => {
                self.text.drain(..self.at);
                self.at = 0;
            }
            Key::KillWord => {
                let before = &self.text[..self.at];
                let word_end = before.iter().rposition(|b| *b != b' ').map_or(0, |at| at + 1);
                let from = before[..word_end].iter().rposition(|b| *b == b' ').map_or(0, |at| at + 1);
                self.text.drain(from..self.at);
                self.at = from;
            }
            _ => {}
        }
    }

    /// What was typed.
    #[must_use]
    pub fn text(&self) -> String {
        self.text.iter().copied().map(char::from).collect()
    }

    /// As many columns of it as fit, and where in them the cursor stands.
    #[must_use]
    pub fn shown(&self, columns: usize) -> (String, usize) {
        let columns = columns.max(2);
        let from = (self.at + 1).saturating_sub(columns);
        let byte = |b: &u8| if self.echo == Echo::Hidden { '*' } else { char::from(*b) };
        (self.text[from..].iter().take(columns).map(byte).collect(), self.at - from)
    }

    /// Whether what is typed is shown.
    #[must_use]
    pub fn echo(&self) -> Echo {
        self.echo
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn typed(editor: &mut LineEditor, text: &str) {
        text.chars().for_each(|c| editor.key(Key::Char(c)));
    }

    #[test]
    fn a_line_is_edited_like_any_other() {
        let mut line = LineEditor::new(Echo::Shown, 40);
        typed(&mut line, "gantry network  st");
        [Key::Left, Key::Char('e'), Key::End].into_iter().for_each(|key| line.key(key));
        assert_eq!(line.text(), "gantry network  set");
        line.key(Key::KillWord);
        assert_eq!(line.text(), "gantry network  ");
        line.key(Key::KillWord);
        assert_eq!(line.text(), "gantry ");
        [Key::Start, Key::Delete, Key::Char('G'), Key::Right, Key::KillLine]
            .into_iter()
            .for_each(|key| line.key(key));
        assert_eq!(line.text(), "ntry ");
        assert_eq!(LineEditor::new(Echo::Shown, 3).with("abcdef\u{1b}").text(), "abc");
    }

    #[test]
    fn a_secret_shows_as_stars_and_a_long_line_shows_where_the_cursor_is() {
        let mut line = LineEditor::new(Echo::Hidden, 100);
        typed(&mut line, "hunter2");
        assert_eq!(line.shown(20), ("*******".to_owned(), 7));
        let line = LineEditor::new(Echo::Shown, 100).with("0123456789");
        assert_eq!(line.shown(5), ("6789".to_owned(), 4));
    }

    fn key() -> impl Strategy<Value = Key> {
        prop_oneof![
            any::<char>().prop_map(Key::Char),
            prop::sample::select(vec![
                Key::Backspace,
                Key::Delete,
                Key::Left,
                Key::Right,
                Key::Start,
                Key::End,
                Key::KillLine,
                Key::KillWord,
                Key::Up,
                Key::Select,
                Key::Tab,
            ]),
        ]
    }

    proptest! {
        #[test]
        fn no_keys_make_it_longer_than_it_takes_or_unprintable(keys in prop::collection::vec(key(), 0..200), columns in 0_usize..90) {
            let mut line = LineEditor::new(Echo::Shown, 16);
            for pressed in keys {
                line.key(pressed);
                let (shown, cursor) = line.shown(columns);
                prop_assert!(line.text().len() <= 16 && shown.len() <= columns.max(2) && cursor < columns.max(2));
                prop_assert!(line.text().chars().all(|c| matches!(c, ' '..='~')));
            }
        }
    }
}
