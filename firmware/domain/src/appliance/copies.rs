//! Two copies of a text, each with its checksum, written in turn: whenever the power goes, one of them is whole.
//!
//! ```text
//!  # gantry 1 <number> <sha-256 of what follows>
//!  what follows
//! ```
//! The whole one with the higher number counts; the other one is written next.

use super::digest::sha256_hex;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copy {
    /// The first.
    A,
    /// The second.
    B,
}

/// What the two copies say together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newest {
    /// Its text; `None` if neither copy is whole.
    pub text: Option<String>,
    /// Which copy is written next.
    pub next: Copy,
    /// The number it is written with.
    pub number: u64,
    /// Copies that are there and not whole.
    pub damaged: Vec<Copy>,
}

impl Copy {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// `text` as it is written into a copy.
#[must_use]
pub fn seal(number: u64, text: &str) -> String {
    format!("# gantry 1 {number} {}\n{text}", sha256_hex(&[&number.to_string(), "\n", text]))
}

/// What a copy says, if it is whole.
#[must_use]
pub fn open(copy: &str) -> Option<(u64, &str)> {
    let (head, text) = copy.split_once('\n')?;
    let mut words = head.strip_prefix("# gantry 1 ")?.split(' ');
    let (number, sum) = (words.next()?, words.next()?);
    let whole = words.next().is_none() && sha256_hex(&[number, "\n", text]) == sum;
    whole.then_some((number.parse().ok()?, text))
}

/// What both copies say together; `None` for one that is not there.
#[must_use]
pub fn newest(a: Option<&str>, b: Option<&str>) -> Newest {
    let read = |copy: Option<&str>| copy.and_then(open).map(|(number, text)| (number, text.to_owned()));
    let damaged = [(a, Copy::A), (b, Copy::B)];
    let damaged = damaged.into_iter().filter(|(copy, _)| copy.is_some_and(|copy| open(copy).is_none()));
    let damaged = damaged.map(|(_, which)| which).collect();
    let (text, latest, number) = match (read(a), read(b)) {
        (None, None) => (None, Copy::B, 0),
        (Some((number, text)), None) => (Some(text), Copy::A, number),
        (None, Some((number, text))) => (Some(text), Copy::B, number),
        (Some((a, text)), Some((b, _))) if a >= b => (Some(text), Copy::A, a),
        (Some(_), Some((number, text))) => (Some(text), Copy::B, number),
    };
    Newest { text, next: latest.other(), number: number.saturating_add(1), damaged }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_newer_whole_copy_counts_and_the_other_is_written_next() {
        let (old, new) = (seal(1, "old\n"), seal(2, "new\n"));
        let both = newest(Some(&old), Some(&new));
        assert_eq!((both.text.as_deref(), both.next, both.number), (Some("new\n"), Copy::A, 3));
        let turned = newest(Some(&new), Some(&old));
        assert_eq!((turned.text.as_deref(), turned.next), (Some("new\n"), Copy::B));
        let fresh = newest(None, None);
        assert_eq!((fresh.text, fresh.next, fresh.number), (None, Copy::A, 1));
    }

    proptest! {
        /// The copy being written is cut, torn or garbage; the other one is what it was.
        #[test]
        fn whatever_becomes_of_the_copy_being_written_one_text_is_whole(
            cut in 0_usize..200, garbage in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let old = seal(6, "host-name = \"a\"\n");
            let written = seal(7, "host-name = \"b\"\n");
            let mut torn = written.as_bytes()[..cut.min(written.len())].to_vec();
            torn.extend(garbage);
            let torn = String::from_utf8_lossy(&torn).into_owned();
            let found = newest(Some(&old), Some(&torn));
            if torn == written {
                prop_assert_eq!(found.text.as_deref(), Some("host-name = \"b\"\n"));
            } else {
                prop_assert_eq!(found.text.as_deref(), Some("host-name = \"a\"\n"));
                prop_assert_eq!(found.next, Copy::B);
                prop_assert_eq!(found.damaged, vec![Copy::B]);
            }
        }
    }
}
