//! `a=crypto` (RFC 4568): the attribute's text to a key and back.
//!
//! ```text
//! a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:<base64 of key and salt>|2^20|1:4 WSH=128
//!          tag suite                 key                             |life|MKI session parameters
//! ```

use base::Secret;
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use rand::Rng;
use std::fmt;

/// Longest attribute read, in bytes.
const MAX_BYTES: usize = 512;
/// Peers write keys with and without the padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// How packets are encrypted and authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CryptoSuite {
    /// RFC 4568: the suite everybody has.
    AesCm128Sha1_80,
    /// RFC 4568: a tag of four bytes on RTP.
    AesCm128Sha1_32,
    /// RFC 6188.
    AesCm256Sha1_80,
    /// RFC 6188: a tag of four bytes on RTP.
    AesCm256Sha1_32,
    /// RFC 7714.
    AeadAes128Gcm,
    /// RFC 7714.
    AeadAes256Gcm,
}

impl CryptoSuite {
    /// All, best first: as we offer them.
    pub const ALL: [CryptoSuite; 6] = [
        CryptoSuite::AeadAes256Gcm,
        CryptoSuite::AeadAes128Gcm,
        CryptoSuite::AesCm256Sha1_80,
        CryptoSuite::AesCm128Sha1_80,
        CryptoSuite::AesCm256Sha1_32,
        CryptoSuite::AesCm128Sha1_32,
    ];

    /// Its registered name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            CryptoSuite::AesCm128Sha1_80 => "AES_CM_128_HMAC_SHA1_80",
            CryptoSuite::AesCm128Sha1_32 => "AES_CM_128_HMAC_SHA1_32",
            CryptoSuite::AesCm256Sha1_80 => "AES_256_CM_HMAC_SHA1_80",
            CryptoSuite::AesCm256Sha1_32 => "AES_256_CM_HMAC_SHA1_32",
            CryptoSuite::AeadAes128Gcm => "AEAD_AES_128_GCM",
            CryptoSuite::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    /// Master key in bytes.
    #[must_use]
    pub const fn key_bytes(self) -> usize {
        match self {
            CryptoSuite::AesCm128Sha1_80 | CryptoSuite::AesCm128Sha1_32 | CryptoSuite::AeadAes128Gcm => 16,
            CryptoSuite::AesCm256Sha1_80 | CryptoSuite::AesCm256Sha1_32 | CryptoSuite::AeadAes256Gcm => 32,
        }
    }

    /// Master salt in bytes.
    #[must_use]
    pub const fn salt_bytes(self) -> usize {
        if self.is_aead() { 12 } else { 14 }
    }

    pub(super) const fn srtcp_tag_bytes(self) -> usize {
        if self.is_aead() { 16 } else { 10 }
    }

    /// SHA-1 suites put the tag behind the SRTCP index (RFC 3711 3.4), GCM in front of it (RFC 7714 9.2).
    pub(super) const fn bytes_after_srtcp_index(self) -> usize {
        if self.is_aead() { 0 } else { 10 }
    }

    const fn is_aead(self) -> bool {
        matches!(self, CryptoSuite::AeadAes128Gcm | CryptoSuite::AeadAes256Gcm)
    }

    /// The suite and the name as written; the RFC 6188 suites are often written the other way round.
    fn parse(text: &str) -> Option<(Self, &'static str)> {
        match text {
            "AES_CM_256_HMAC_SHA1_80" => Some((CryptoSuite::AesCm256Sha1_80, "AES_CM_256_HMAC_SHA1_80")),
            "AES_CM_256_HMAC_SHA1_32" => Some((CryptoSuite::AesCm256Sha1_32, "AES_CM_256_HMAC_SHA1_32")),
            _ => Self::ALL.into_iter().find(|suite| suite.name() == text).map(|suite| (suite, suite.name())),
        }
    }
}

impl fmt::Display for CryptoSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One `a=crypto` attribute: what one side encrypts with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CryptoAttribute {
    tag: u32,
    suite: CryptoSuite,
    spelling: &'static str,
    /// Master key, then master salt.
    key: Secret<Vec<u8>>,
}

/// Why an attribute can't be used; the m-line's next one may.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// More than it could need.
    #[error("crypto attribute has {0} bytes; at most {MAX_BYTES} are read")]
    TooLong(usize),
    /// Not `tag suite key`.
    #[error("crypto attribute is not \"tag suite inline:key\"")]
    Syntax,
    /// A suite we lack.
    #[error("crypto suite {0:?} is not supported; offer AES_CM_128_HMAC_SHA1_80")]
    Suite(String),
    /// Not base64, or not as long as the suite wants.
    #[error("crypto key is not {wanted} bytes of base64")]
    Key {
        /// Bytes of key and salt.
        wanted: usize,
    },
    /// Several keys, or a master key identifier in packets.
    #[error("crypto attribute uses a master key identifier; offer one without")]
    Mki,
    /// A session parameter that must be honoured and is not known.
    #[error("crypto session parameter {0:?} is not supported; offer without it")]
    Parameter(String),
}

impl CryptoAttribute {
    /// Reads the attribute's value, with or without `crypto:` in front. Lifetimes are read over: 2^48 packets are never
    /// reached in a call, and shorter ones are not observed by the peers that write them.
    ///
    /// # Errors
    /// [`CryptoError`] with the reason it can't be used.
    pub fn parse(text: &str) -> Result<Self, CryptoError> {
        if text.len() > MAX_BYTES {
            return Err(CryptoError::TooLong(text.len()));
        }
        let mut words =
            text.trim().trim_start_matches("a=").trim_start_matches("crypto:").split_ascii_whitespace();
        let tag = words.next().filter(|tag| tag.len() <= 9).and_then(|tag| tag.parse().ok());
        let (Some(tag), Some(suite), Some(key)) = (tag, words.next(), words.next()) else {
            return Err(CryptoError::Syntax);
        };
        let (suite, spelling) =
            CryptoSuite::parse(suite).ok_or_else(|| CryptoError::Suite(suite.to_owned()))?;
        let key = parse_key(key, suite)?;
        words.try_for_each(check_parameter)?;
        Ok(Self { tag, suite, spelling, key: Secret::new(key) })
    }

    /// A new key for an offer.
    pub fn generate(tag: u32, suite: CryptoSuite, rng: &mut impl Rng) -> Self {
        Self { tag, suite, spelling: suite.name(), key: random_key(suite, rng) }
    }

    /// A new key for the answer to `offered`: its tag and suite, spelled as it was (RFC 4568 5.1.2).
    pub fn answer(offered: &Self, rng: &mut impl Rng) -> Self {
        Self { key: random_key(offered.suite, rng), ..offered.clone() }
    }

    /// Its number among the m-line's attributes.
    #[must_use]
    pub fn tag(&self) -> u32 {
        self.tag
    }

    /// Its suite.
    #[must_use]
    pub fn suite(&self) -> CryptoSuite {
        self.suite
    }

    /// The attribute's value for a session description: `1 AES_CM_128_HMAC_SHA1_80 inline:...`.
    #[must_use]
    pub fn to_sdp(&self) -> Secret<String> {
        let key = base64::engine::general_purpose::STANDARD.encode(self.key.expose());
        Secret::new(format!("{} {} inline:{key}", self.tag, self.spelling))
    }

    pub(super) fn same_key(&self, other: &Self) -> bool {
        self.suite == other.suite && self.key == other.key
    }

    /// Master key and master salt.
    pub(super) fn master(&self) -> (&[u8], &[u8]) {
        self.key.expose().split_at(self.suite.key_bytes())
    }
}

fn random_key(suite: CryptoSuite, rng: &mut impl Rng) -> Secret<Vec<u8>> {
    let mut key = vec![0; suite.key_bytes() + suite.salt_bytes()];
    rng.fill_bytes(&mut key);
    Secret::new(key)
}

/// `inline:<key||salt>["|" lifetime]["|" MKI ":" length]`, RFC 4568 6.1.
fn parse_key(text: &str, suite: CryptoSuite) -> Result<Vec<u8>, CryptoError> {
    let (method, info) = text.split_once(':').ok_or(CryptoError::Syntax)?;
    if !method.eq_ignore_ascii_case("inline") {
        return Err(CryptoError::Syntax);
    }
    if info.contains(';') {
        return Err(CryptoError::Mki);
    }
    let mut fields = info.split('|');
    let wanted = suite.key_bytes() + suite.salt_bytes();
    let key = fields.next().and_then(|key| BASE64.decode(key).ok()).filter(|key| key.len() == wanted);
    if fields.any(|field| field.contains(':')) {
        return Err(CryptoError::Mki);
    }
    key.ok_or(CryptoError::Key { wanted })
}

/// RFC 4568 6.3: what is not known must be refused, unless it begins with a hyphen.
fn check_parameter(parameter: &str) -> Result<(), CryptoError> {
    let harmless = parameter.starts_with('-') || parameter.starts_with("WSH=") || parameter == "KDR=0";
    if harmless { Ok(()) } else { Err(CryptoError::Parameter(parameter.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::ChaCha12Rng;

    const RFC_KEY: &str = "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

    fn parse(rest: &str) -> Result<CryptoAttribute, CryptoError> {
        CryptoAttribute::parse(rest)
    }

    #[test]
    fn an_attribute_reads_as_it_was_written() {
        let mut rng = ChaCha12Rng::from_seed([1; 32]);
        for suite in CryptoSuite::ALL {
            let made = CryptoAttribute::generate(3, suite, &mut rng);
            assert_eq!(parse(made.to_sdp().expose()), Ok(made.clone()));
            assert!(!format!("{made:?}").contains(&made.to_sdp().expose()[30..]));
        }
    }

    #[test]
    fn lifetimes_and_window_hints_are_read_over() {
        let plain = parse(&format!("1 AES_CM_128_HMAC_SHA1_80 {RFC_KEY}")).unwrap();
        for tail in ["|2^20", "|1048576", "|2^31 WSH=128", " KDR=0 -FUTURE=1"] {
            assert_eq!(
                parse(&format!("crypto:1 AES_CM_128_HMAC_SHA1_80 {RFC_KEY}{tail}")),
                Ok(plain.clone())
            );
        }
    }

    #[test]
    fn what_we_cannot_do_is_refused_with_its_reason() {
        let suite = "1 AES_CM_128_HMAC_SHA1_80";
        assert_eq!(parse(&format!("{suite} {RFC_KEY}|2^20|1:4")), Err(CryptoError::Mki));
        assert_eq!(parse(&format!("{suite} {RFC_KEY}|1:4")), Err(CryptoError::Mki));
        assert_eq!(parse(&format!("{suite} {RFC_KEY}|2^20|1:4;{RFC_KEY}|2^20|2:4")), Err(CryptoError::Mki));
        assert!(matches!(
            parse(&format!("{suite} {RFC_KEY} UNENCRYPTED_SRTCP")),
            Err(CryptoError::Parameter(_))
        ));
        assert!(matches!(parse(&format!("{suite} {RFC_KEY} KDR=8")), Err(CryptoError::Parameter(_))));
        assert!(matches!(parse(&format!("1 F8_128_HMAC_SHA1_80 {RFC_KEY}")), Err(CryptoError::Suite(_))));
        assert_eq!(parse(&format!("{suite} inline:AAAA")), Err(CryptoError::Key { wanted: 30 }));
        assert_eq!(parse("1"), Err(CryptoError::Syntax));
        assert_eq!(parse(&"9".repeat(2000)), Err(CryptoError::TooLong(2000)));
    }

    #[test]
    fn an_answer_keeps_tag_and_spelling_of_the_offer_and_has_its_own_key() {
        let mut rng = ChaCha12Rng::from_seed([1; 32]);
        let theirs = CryptoAttribute::generate(7, CryptoSuite::AesCm256Sha1_80, &mut rng);
        let text = theirs.to_sdp().expose().replace("AES_256_CM", "AES_CM_256");
        let ours = CryptoAttribute::answer(&parse(&text).unwrap(), &mut rng);
        assert!(ours.to_sdp().expose().starts_with("7 AES_CM_256_HMAC_SHA1_80 inline:"));
        assert!(!ours.same_key(&theirs));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC*", tail in "[0-9A-Za-z+/=|:;^ ]{0,80}") {
            let _ = parse(&text);
            let _ = parse(&format!("1 AES_CM_128_HMAC_SHA1_80 inline:{tail}"));
        }
    }
}
