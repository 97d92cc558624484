//! Editors for four keys: up and down turn what is under the cursor, select goes on, back goes back.
//!
//! ```text
//!  an offer        192.168.1.1   select takes it; up or down begins to change it
//!  an address      192.168.|0|00.010  digit by digit; the first turn chooses how it begins: 192.168, 10, 172.16, any
//!  a code          |0|000        digit by digit
//!  a text          gantry|-|     letter by letter; select behind the last one takes it
//!  a choice        < static >
//! ```
//! Holding select takes what stands there, wherever the cursor is, once it was moved: a key that is held a little too long
//! does not answer the next question.

use super::Key;
use std::net::Ipv4Addr;

/// What came of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is still being edited.
    Stay,
    /// This was meant.
    Take(String),
    /// Nothing was meant.
    Leave,
}

/// An editor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cells {
    /// One of some words.
    Choice(Choice),
    /// An IPv4 address.
    Address(Address),
    /// Digits.
    Digits(Digits),
    /// A text out of an alphabet.
    Letters(Letters),
}

/// One of some words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Each with what is shown for it.
    pub options: Vec<(String, String)>,
    /// Which is meant.
    pub at: usize,
}

/// An IPv4 address, digit by digit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    octets: [u8; 4],
    cursor: Cursor,
    /// Where editing an offer begins: the first digit that the network leaves open.
    open: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cursor {
    /// It is as offered.
    Offer,
    /// How it begins is chosen.
    Beginning(usize),
    /// One of its twelve digits.
    Digit(usize),
}

/// How an address may begin, and the first digit that leaves open.
const BEGINNINGS: [([u8; 4], usize); 4] =
    [([192, 168, 0, 10], 6), ([10, 0, 0, 10], 3), ([172, 16, 0, 10], 3), ([0, 0, 0, 0], 0)];

/// Digits of a fixed number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digits {
    digits: Vec<u8>,
    at: usize,
}

/// A text out of an alphabet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letters {
    alphabet: &'static [u8],
    text: Vec<u8>,
    most: usize,
    at: Option<usize>,
}

impl Cells {
    /// Takes a key.
    pub fn key(&mut self, key: Key) -> Outcome {
        match self {
            Self::Choice(choice) => choice.key(key),
            Self::Address(address) => address.key(key),
            Self::Digits(digits) => digits.key(key),
            Self::Letters(letters) => letters.key(key),
        }
    }

    /// What is shown, and where in it the cursor stands.
    #[must_use]
    pub fn shown(&self) -> (String, Option<usize>) {
        match self {
            Self::Choice(choice) => (choice.label().to_owned(), None),
            Self::Address(address) => address.shown(),
            Self::Digits(digits) => {
                let text = digits.digits.iter().map(|digit| char::from(b'0' + digit)).collect();
                (text, Some(digits.at))
            }
            Self::Letters(letters) => letters.shown(),
        }
    }

    /// What the keys do now, for a hint of at most 20 characters.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Choice(_) => "up/down, select",
            Self::Address(Address { cursor: Cursor::Offer, .. })
            | Self::Letters(Letters { at: None, .. }) => "select=ok up=change",
            Self::Address(Address { cursor: Cursor::Beginning(_), .. }) => "how does it begin?",
            Self::Address(_) | Self::Digits(_) | Self::Letters(_) => "select=next digit",
        }
    }
}

impl Choice {
    /// Of `options`, the first of which is meant unless somebody turns.
    #[must_use]
    pub fn of(options: Vec<(String, String)>) -> Self {
        Self { options, at: 0 }
    }

    /// Beginning at the option whose value is `value`.
    #[must_use]
    pub fn at(mut self, value: &str) -> Self {
        self.at = self.options.iter().position(|(known, _)| known == value).unwrap_or(0);
        self
    }

    /// What is shown for the one that is meant.
    #[must_use]
    pub fn label(&self) -> &str {
        self.options.get(self.at).map_or("", |(_, label)| label)
    }

    fn key(&mut self, key: Key) -> Outcome {
        let count = self.options.len().max(1);
        match key {
            Key::Up => self.at = (self.at + count - 1) % count,
            Key::Down => self.at = (self.at + 1) % count,
            Key::Select => {
                return self
                    .options
                    .get(self.at)
                    .map_or(Outcome::Leave, |(value, _)| Outcome::Take(value.clone()));
            }
            Key::Char(c) => {
                let wanted = c
                    .to_digit(10)
                    .and_then(|digit| usize::try_from(digit).ok())
                    .and_then(|n| n.checked_sub(1));
                if let Some(wanted) = wanted.filter(|wanted| *wanted < self.options.len()) {
                    self.at = wanted;
                    return Outcome::Take(self.options[wanted].0.clone());
                }
            }
            Key::Back => return Outcome::Leave,
            _ => {}
        }
        Outcome::Stay
    }
}

impl Address {
    /// An address that nobody has an idea of.
    #[must_use]
    pub fn blank() -> Self {
        let (octets, open) = BEGINNINGS[0];
        Self { octets, cursor: Cursor::Beginning(0), open }
    }

    /// An address that may be meant, in a network whose prefix has `prefix` bits.
    #[must_use]
    pub fn offer(address: Ipv4Addr, prefix: u8) -> Self {
        let open = usize::from(prefix.min(24) / 8) * 3;
        Self { octets: address.octets(), cursor: Cursor::Offer, open }
    }

    fn digit(&self, index: usize) -> u8 {
        let octet = self.octets[index / 3];
        [octet / 100, octet / 10 % 10, octet % 10][index % 3]
    }

    /// Turns a digit to the next one that leaves the octet at most 255; a digit above takes those below with it.
    fn turn(&mut self, index: usize, step: u8) {
        let octet = u16::from(self.octets[index / 3]);
        let (hundreds, tens, ones) = (octet / 100, octet / 10 % 10, octet % 10);
        let (digit, most) = match index % 3 {
            0 => (hundreds, 2),
            1 => (tens, if hundreds == 2 { 5 } else { 9 }),
            _ => (ones, if hundreds == 2 && tens == 5 { 5 } else { 9 }),
        };
        let turned = (digit + u16::from(step)) % (most + 1);
        let turned = if step > 1 { (digit + most) % (most + 1) } else { turned };
        let octet = match index % 3 {
            0 => turned * 100 + tens * 10 + ones,
            1 => hundreds * 100 + turned * 10 + ones,
            _ => hundreds * 100 + tens * 10 + turned,
        };
        self.octets[index / 3] = u8::try_from(octet.min(255)).unwrap_or(u8::MAX);
    }

    fn key(&mut self, key: Key) -> Outcome {
        let take = |octets: [u8; 4]| Outcome::Take(Ipv4Addr::from(octets).to_string());
        match (key, self.cursor) {
            (Key::Accept, Cursor::Digit(_)) | (Key::Select, Cursor::Offer) => return take(self.octets),
            (Key::Up | Key::Down, Cursor::Offer) => self.cursor = Cursor::Digit(self.open),
            (Key::Back, Cursor::Offer | Cursor::Beginning(_) | Cursor::Digit(0)) => return Outcome::Leave,
            (Key::Up, Cursor::Beginning(at)) => self.begin((at + 1) % BEGINNINGS.len()),
            (Key::Down, Cursor::Beginning(at)) => self.begin((at + BEGINNINGS.len() - 1) % BEGINNINGS.len()),
            (Key::Select, Cursor::Beginning(_)) => self.cursor = Cursor::Digit(self.open),
            (Key::Up, Cursor::Digit(at)) => self.turn(at, 1),
            (Key::Down, Cursor::Digit(at)) => self.turn(at, 9),
            (Key::Select, Cursor::Digit(11)) => return take(self.octets),
            (Key::Select, Cursor::Digit(at)) => self.cursor = Cursor::Digit(at + 1),
            (Key::Back, Cursor::Digit(at)) => self.cursor = Cursor::Digit(at - 1),
            _ => {}
        }
        Outcome::Stay
    }

    fn begin(&mut self, at: usize) {
        (self.octets, self.open) = BEGINNINGS[at];
        self.cursor = Cursor::Beginning(at);
    }

    fn shown(&self) -> (String, Option<usize>) {
        let digits: Vec<char> = (0..12).map(|index| char::from(b'0' + self.digit(index))).collect();
        let padded =
            digits.chunks(3).map(|octet| octet.iter().collect::<String>()).collect::<Vec<_>>().join(".");
        match self.cursor {
            Cursor::Offer => (Ipv4Addr::from(self.octets).to_string(), None),
            Cursor::Beginning(_) if self.open == 0 => ("any".to_owned(), None),
            Cursor::Beginning(_) => (padded, None),
            Cursor::Digit(at) => (padded, Some(at + at / 3)),
        }
    }
}

impl Digits {
    /// So many digits, all 0.
    #[must_use]
    pub fn zero(count: usize) -> Self {
        Self { digits: vec![0; count.max(1)], at: 0 }
    }

    /// As many digits as `number` is to have, from a number.
    #[must_use]
    pub fn of(number: u32, count: usize) -> Self {
        let text = format!("{number:0count$}");
        let digits = text.bytes().rev().take(count.max(1)).map(|b| b - b'0').collect::<Vec<_>>();
        Self { digits: digits.into_iter().rev().collect(), at: 0 }
    }

    fn text(&self) -> String {
        self.digits.iter().map(|digit| char::from(b'0' + digit)).collect()
    }

    fn key(&mut self, key: Key) -> Outcome {
        match key {
            Key::Up => self.digits[self.at] = (self.digits[self.at] + 1) % 10,
            Key::Down => self.digits[self.at] = (self.digits[self.at] + 9) % 10,
            Key::Accept if self.at > 0 => return Outcome::Take(self.text()),
            Key::Select if self.at + 1 == self.digits.len() => return Outcome::Take(self.text()),
            Key::Select => self.at += 1,
            Key::Back if self.at == 0 => return Outcome::Leave,
            Key::Back => self.at -= 1,
            _ => {}
        }
        Outcome::Stay
    }
}

impl Letters {
    /// Letters, digits and hyphens: a host name.
    pub const HOST: &'static [u8] = b"abcdefghijklmnopqrstuvwxyz0123456789-";
    /// A name or an address of either family.
    pub const SERVER: &'static [u8] = b"abcdefghijklmnopqrstuvwxyz0123456789-.:";
    /// An IPv6 address with its prefix length.
    pub const IPV6: &'static [u8] = b"0123456789abcdef:/";

    /// A text out of `alphabet`, as offered, of at most `most` characters.
    #[must_use]
    pub fn offer(alphabet: &'static [u8], text: &str, most: usize) -> Self {
        let text: Vec<u8> = text.bytes().filter(|b| alphabet.contains(b)).take(most).collect();
        let at = if text.is_empty() { Some(0) } else { None };
        Self { alphabet, text, most, at }
    }

    fn text(&self) -> String {
        self.text.iter().copied().map(char::from).collect()
    }

    fn key(&mut self, key: Key) -> Outcome {
        match (key, self.at) {
            (Key::Accept, Some(1..)) | (Key::Select, None) => return Outcome::Take(self.text()),
            (Key::Up | Key::Down, None) => self.at = Some(0),
            (Key::Up, Some(at)) => self.turn(at, 1),
            (Key::Down, Some(at)) => self.turn(at, self.alphabet.len()),
            (Key::Select, Some(at)) if at >= self.text.len() => return Outcome::Take(self.text()),
            (Key::Select, Some(at)) => self.at = Some(at + 1),
            (Key::Back, None | Some(0)) => return Outcome::Leave,
            (Key::Back, Some(at)) => self.at = Some(at - 1),
            _ => {}
        }
        Outcome::Stay
    }

    /// The alphabet and, at the end of the text, nothing: turning a letter to nothing cuts the text there.
    fn turn(&mut self, at: usize, step: usize) {
        let count = self.alphabet.len() + 1;
        let now = self.text.get(at).and_then(|b| self.alphabet.iter().position(|known| known == b));
        let next = (now.unwrap_or(self.alphabet.len()) + step) % count;
        match self.alphabet.get(next) {
            Some(letter) if at < self.text.len() => self.text[at] = *letter,
            Some(letter) if self.text.len() < self.most => self.text.push(*letter),
            Some(_) => {}
            None => self.text.truncate(at),
        }
    }

    fn shown(&self) -> (String, Option<usize>) {
        match self.at {
            Some(at) if at >= self.text.len() => (format!("{}_", self.text()), Some(at)),
            at => (self.text(), at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn press(cells: &mut Cells, keys: &str) -> Outcome {
        let mut outcome = Outcome::Stay;
        for key in keys.chars() {
            outcome = cells.key(match key {
                'u' => Key::Up,
                'd' => Key::Down,
                's' => Key::Select,
                'S' => Key::Accept,
                _ => Key::Back,
            });
        }
        outcome
    }

    #[test]
    fn an_address_is_keyed_digit_by_digit() {
        let mut cells = Cells::Address(Address::blank());
        assert_eq!(cells.shown(), ("192.168.000.010".to_owned(), None));
        assert_eq!(press(&mut cells, "s"), Outcome::Stay);
        assert_eq!(cells.shown().1, Some(8), "behind 192.168.");
        assert_eq!(press(&mut cells, "ussssuuuusddd"), Outcome::Stay);
        assert_eq!(cells.shown().0, "192.168.100.057");
        assert_eq!(press(&mut cells, "s"), Outcome::Take("192.168.100.57".into()));
    }

    #[test]
    fn a_digit_never_makes_more_than_255() {
        let mut cells = Cells::Address(Address::offer(Ipv4Addr::new(192, 0, 2, 99), 24));
        press(&mut cells, "uuu");
        assert_eq!(cells.shown().0, "192.000.002.255", "a hundred more twice, cut to 255");
        press(&mut cells, "suuuuuu");
        assert_eq!(cells.shown().0, "192.000.002.255", "0 to 5 and back");
        press(&mut cells, "su");
        assert_eq!(cells.shown().0, "192.000.002.250");
        press(&mut cells, "d");
        assert_eq!(cells.shown().0, "192.000.002.255");
    }

    #[test]
    fn an_offer_is_taken_with_one_key_and_changed_where_its_network_is_open() {
        let mut cells = Cells::Address(Address::offer(Ipv4Addr::new(192, 0, 2, 1), 24));
        assert_eq!(cells.shown(), ("192.0.2.1".to_owned(), None));
        assert_eq!(press(&mut cells.clone(), "s"), Outcome::Take("192.0.2.1".into()));
        press(&mut cells, "u");
        assert_eq!(cells.shown(), ("192.000.002.001".to_owned(), Some(12)));
        assert_eq!(press(&mut cells, "sS"), Outcome::Take("192.0.2.1".into()), "holding takes it as it is");
    }

    #[test]
    fn any_address_can_be_keyed() {
        let mut cells = Cells::Address(Address::blank());
        press(&mut cells, "d");
        assert_eq!(cells.shown().0, "any");
        assert_eq!(press(&mut cells, "sb"), Outcome::Leave);
        let mut cells = Cells::Address(Address::blank());
        press(&mut cells, "dsuussuuussssususuuusssu");
        assert_eq!(cells.shown().0, "203.000.113.001");
    }

    #[test]
    fn a_text_is_keyed_letter_by_letter_and_cut_by_turning_to_nothing() {
        let mut cells = Cells::Letters(Letters::offer(Letters::HOST, "gw-1", 20));
        assert_eq!(press(&mut cells.clone(), "s"), Outcome::Take("gw-1".into()));
        press(&mut cells, "ussssu");
        assert_eq!(cells.shown(), ("gw-1a".to_owned(), Some(4)));
        press(&mut cells, "d");
        assert_eq!(cells.shown(), ("gw-1_".to_owned(), Some(4)));
        press(&mut cells, "bd");
        assert_eq!(cells.shown(), ("gw-0".to_owned(), Some(3)));
        assert_eq!(press(&mut cells, "ss"), Outcome::Take("gw-0".into()));
    }

    #[test]
    fn digits_and_choices_turn_round() {
        let mut cells = Cells::Digits(Digits::zero(4));
        assert_eq!(press(&mut cells, "dsuusss"), Outcome::Take("9200".into()));
        let mut cells = Cells::Digits(Digits::of(20, 4));
        assert_eq!(cells.shown(), ("0020".to_owned(), Some(0)));
        assert_eq!(press(&mut cells, "S"), Outcome::Stay, "held from the question before");
        assert_eq!(press(&mut cells, "sS"), Outcome::Take("0020".into()));
        let options = ["a", "b", "c"].map(|word| (word.to_owned(), word.to_uppercase())).to_vec();
        let mut cells = Cells::Choice(Choice::of(options).at("b"));
        assert_eq!(cells.shown().0, "B");
        assert_eq!(press(&mut cells, "ddds"), Outcome::Take("b".into()));
    }

    proptest! {
        /// Any address is keyed in at most 12 turns to the right and five turns a digit.
        #[test]
        fn every_address_is_within_reach(address in any::<u32>()) {
            let wanted = Ipv4Addr::from(address);
            let mut cells = Cells::Address(Address::blank());
            press(&mut cells, "ds");
            let mut pressed = 2;
            let mut outcome = Outcome::Stay;
            for index in 0..12 {
                let octet = wanted.octets()[index / 3];
                let digit = [octet / 100, octet / 10 % 10, octet % 10][index % 3];
                while let Cells::Address(address) = &cells && address.digit(index) != digit {
                    let now = address.digit(index);
                    let up = (digit + 10 - now) % 10 <= 5;
                    cells.key(if up { Key::Up } else { Key::Down });
                    pressed += 1;
                    prop_assert!(pressed < 200);
                }
                outcome = cells.key(Key::Select);
                pressed += 1;
            }
            prop_assert_eq!(outcome, Outcome::Take(wanted.to_string()));
        }

        #[test]
        fn no_keys_break_an_editor(keys in "[udsbS]{0,120}", which in 0_usize..4) {
            let mut cells = match which {
                0 => Cells::Address(Address::blank()),
                1 => Cells::Digits(Digits::zero(8)),
                2 => Cells::Letters(Letters::offer(Letters::SERVER, "ntp.example.com", 20)),
                _ => Cells::Choice(Choice::of(vec![("x".into(), "X".into())])),
            };
            press(&mut cells, &keys);
            let (text, cursor) = cells.shown();
            prop_assert!(cursor.is_none_or(|at| at < text.len()));
            prop_assert!(text.len() <= 21);
        }
    }
}
