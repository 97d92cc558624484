//! Keys of encrypted media (RFC 4568), as text: this crate places them, their owner makes and reads them.

use base::Secret;

/// Who makes and reads the values of `a=crypto`. `line` is the place of the `m=` section.
pub trait Keys {
    /// Our answer to one offered attribute, with its tag, or `None` if we do not take it (unknown suite, lifetime,
    /// MKI). Asked in the peer's order; the first that gets an answer is it.
    fn answer(&mut self, line: usize, offered: &str) -> Option<Secret<String>>;
    /// What we offer for a line, best first, each with its own tag.
    fn offer(&mut self, line: usize) -> Vec<Secret<String>>;
}

/// Nobody has keys: media is plain.
#[derive(Debug, Clone, Copy)]
pub struct NoKeys;

impl Keys for NoKeys {
    fn answer(&mut self, _line: usize, _offered: &str) -> Option<Secret<String>> {
        None
    }

    fn offer(&mut self, _line: usize) -> Vec<Secret<String>> {
        Vec::new()
    }
}

/// The two attributes both sides settled on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crypto {
    /// Ours: protects what we send.
    pub local: Secret<String>,
    /// The peer's: protects what it sends.
    pub remote: Secret<String>,
}

/// Tag of an `a=crypto` value: `1 AES_CM_128_HMAC_SHA1_80 inline:...`. It says which of ours was chosen; suites have
/// more than one spelling.
pub(super) fn tag(attribute: &str) -> Option<u32> {
    attribute.split_whitespace().next()?.parse().ok()
}
