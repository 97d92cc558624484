//! Values that never print: tokens, passwords, keys; and the seed of a machine's randomness.

use std::fmt;

/// A value that its owner may read and nobody can print.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps `value`.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself; the name is long so that each use is seen in review.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl Secret<String> {
    /// Whether somebody gave this very value; takes a time that does not tell where the two begin to differ.
    #[must_use]
    pub fn is(&self, given: &[u8]) -> bool {
        let right = self.0.as_bytes();
        let difference = given.iter().zip(right).fold(0, |all, (a, b)| all | (a ^ b));
        (given.len() == right.len()) & (std::hint::black_box(difference) == 0)
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// What a machine's random numbers grow from: the OS gives one to each machine, a test gives a fixed one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seed(pub [u8; 32]);

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[seed]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_prints() {
        let token = Secret::new("hunter2".to_owned());
        assert_eq!(format!("{token:?} {:?}", Seed([7; 32])), "[secret] [seed]");
        assert_eq!(token.expose(), "hunter2");
    }

    #[test]
    fn a_secret_is_what_is_the_same_to_its_end() {
        let token = Secret::new("hunter2".to_owned());
        assert!(token.is(b"hunter2"));
        for other in [&b""[..], b"hunter", b"hunter3", b"hunter22", b"Hunter2"] {
            assert!(!token.is(other));
        }
    }
}
