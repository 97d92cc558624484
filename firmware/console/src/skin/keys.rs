//! Keys out of the bytes that a terminal sends: VT100 and its like, or a dumb one.

use crate::menu::Key;

/// Longest escape sequence, in bytes; what goes on longer is thrown away to its end.
const SEQUENCE: usize = 16;

/// Reads keys, byte by byte.
#[derive(Debug, Clone, Default)]
pub struct KeyReader {
    state: State,
    after_return: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum State {
    #[default]
    Plain,
    Escape,
    Sequence(Vec<u8>),
    /// ESC O: one byte more.
    Single,
}

/// What came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Got {
    /// A key.
    Key(Key),
    /// The terminal says what it is: it understands escape sequences.
    Vt100,
    /// The line was broken off (^C, or a break).
    Interrupt,
}

impl KeyReader {
    /// Takes a byte.
    pub fn byte(&mut self, byte: u8) -> Option<Got> {
        let line_feed_of_return = std::mem::take(&mut self.after_return) && byte == b'\n';
        match std::mem::take(&mut self.state) {
            State::Plain if line_feed_of_return => None,
            State::Plain => self.plain(byte),
            State::Escape => match byte {
                b'[' => {
                    self.state = State::Sequence(Vec::new());
                    None
                }
                b'O' => {
                    self.state = State::Single;
                    None
                }
                0x1b => {
                    self.state = State::Escape;
                    Some(Got::Key(Key::Back))
                }
                // Escape by itself, and then another key: the escape counts, the key too in a moment.
                _ => Some(Got::Key(Key::Back)),
            },
            State::Single => arrow(byte).map(Got::Key),
            State::Sequence(mut bytes) => {
                if (0x40..=0x7e).contains(&byte) {
                    return sequence(&bytes, byte);
                }
                if bytes.len() < SEQUENCE {
                    bytes.push(byte);
                }
                self.state = State::Sequence(bytes);
                None
            }
        }
    }

    /// Nothing came for a while: an escape that began nothing was a key by itself.
    pub fn quiet(&mut self) -> Option<Got> {
        match std::mem::take(&mut self.state) {
            State::Escape => Some(Got::Key(Key::Back)),
            State::Plain | State::Single | State::Sequence(_) => None,
        }
    }

    /// Whether a sequence has begun and not ended.
    #[must_use]
    pub fn is_within(&self) -> bool {
        self.state != State::Plain
    }

    fn plain(&mut self, byte: u8) -> Option<Got> {
        let key = match byte {
            b'\r' => {
                self.after_return = true;
                Key::Select
            }
            b'\n' => Key::Select,
            0x1b => {
                self.state = State::Escape;
                return None;
            }
            0x03 | 0x00 => return Some(Got::Interrupt),
            0x08 | 0x7f => Key::Backspace,
            0x01 => Key::Start,
            0x05 => Key::End,
            0x02 => Key::Left,
            0x06 => Key::Right,
            0x04 => Key::Delete,
            0x15 => Key::KillLine,
            0x17 => Key::KillWord,
            0x10 => Key::Up,
            0x0e => Key::Down,
            0x0c => Key::Redraw,
            b'\t' => Key::Tab,
            b' '..=b'~' => Key::Char(char::from(byte)),
            _ => return None,
        };
        Some(Got::Key(key))
    }
}

fn arrow(byte: u8) -> Option<Key> {
    Some(match byte {
        b'A' => Key::Up,
        b'B' => Key::Down,
        b'C' => Key::Right,
        b'D' => Key::Left,
        b'H' => Key::Start,
        b'F' => Key::End,
        b'M' => Key::Select,
        _ => return None,
    })
}

fn sequence(bytes: &[u8], end: u8) -> Option<Got> {
    let key = match (bytes, end) {
        // The answer to "what are you": ESC [ ? 1 ; 2 c.
        ([b'?', ..], b'c') => return Some(Got::Vt100),
        ([], _) => arrow(end)?,
        (b"1" | b"7", b'~') => Key::Start,
        (b"4" | b"8", b'~') => Key::End,
        (b"3", b'~') => Key::Delete,
        (b"5", b'~') => Key::PageUp,
        (b"6", b'~') => Key::PageDown,
        _ => return None,
    };
    Some(Got::Key(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8]) -> Vec<Got> {
        let mut reader = KeyReader::default();
        let mut got: Vec<_> = bytes.iter().filter_map(|byte| reader.byte(*byte)).collect();
        got.extend(reader.quiet());
        got
    }

    #[test]
    fn keys_of_terminals_are_understood() {
        let key = |key| vec![Got::Key(key)];
        assert_eq!(read(b"\x1b[A"), key(Key::Up));
        assert_eq!(read(b"\x1bOB"), key(Key::Down));
        assert_eq!(read(b"\x1b[5~"), key(Key::PageUp));
        assert_eq!(read(b"\x1b"), key(Key::Back));
        assert_eq!(read(b"\x7f"), key(Key::Backspace));
        assert_eq!(read(b"\r\n"), key(Key::Select), "one line end is one key");
        assert_eq!(read(b"\n\n"), [Got::Key(Key::Select), Got::Key(Key::Select)]);
        assert_eq!(read(b"\x1b[?1;2c"), [Got::Vt100]);
        assert_eq!(read(b"\x03"), [Got::Interrupt]);
        assert_eq!(read(b"a\x1b[Zb"), [Got::Key(Key::Char('a')), Got::Key(Key::Char('b'))]);
    }

    #[test]
    fn a_sequence_without_end_is_thrown_away() {
        let mut endless = b"\x1b[".to_vec();
        endless.extend([b'1'; 5_000]);
        let mut reader = KeyReader::default();
        assert!(endless.iter().all(|byte| reader.byte(*byte).is_none()));
        assert_eq!(reader.byte(b'~'), None);
        assert_eq!(reader.byte(b'x'), Some(Got::Key(Key::Char('x'))));
    }

    proptest! {
        #[test]
        fn whatever_comes_only_printable_characters_are_typed(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for got in read(&bytes) {
                if let Got::Key(Key::Char(c)) = got {
                    prop_assert!(matches!(c, ' '..='~'));
                }
            }
        }
    }
}
