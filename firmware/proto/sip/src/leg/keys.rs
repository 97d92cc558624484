//! The leg's SRTP keys (RFC 4568): made once for each line and suite, so that a re-INVITE does not change them.

use base::{Secret, Seed};
use rand::SeedableRng;
use rand::rngs::ChaCha12Rng;
use rtp::{CryptoAttribute, CryptoSuite};
use sdp::Keys;
use std::fmt;

/// What our offers hold, best first. Few, because old rooms read only so many lines, and in an order in which
/// what every room has stands before what a mobile link would like.
const OFFERED: [CryptoSuite; 3] =
    [CryptoSuite::AeadAes256Gcm, CryptoSuite::AesCm128Sha1_80, CryptoSuite::AesCm128Sha1_32];

pub(super) struct LegKeys {
    rng: ChaCha12Rng,
    answered: Vec<(usize, CryptoAttribute)>,
    offered: Vec<(usize, Vec<CryptoAttribute>)>,
}

impl LegKeys {
    pub(super) fn new(seed: Seed) -> Self {
        Self { rng: ChaCha12Rng::from_seed(seed.0), answered: Vec::new(), offered: Vec::new() }
    }
}

impl fmt::Debug for LegKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl Keys for LegKeys {
    fn answer(&mut self, line: usize, offered: &str) -> Option<Secret<String>> {
        let theirs = CryptoAttribute::parse(offered).ok()?;
        let had = self
            .answered
            .iter()
            .find(|(at, ours)| *at == line && ours.tag() == theirs.tag() && ours.suite() == theirs.suite());
        if let Some((_, ours)) = had {
            return Some(ours.to_sdp());
        }
        let ours = CryptoAttribute::answer(&theirs, &mut self.rng);
        // One for each line: a peer that goes through suites or tags keeps the last.
        self.answered.retain(|(at, _)| *at != line);
        self.answered.push((line, ours.clone()));
        Some(ours.to_sdp())
    }

    fn offer(&mut self, line: usize) -> Vec<Secret<String>> {
        if !self.offered.iter().any(|(at, _)| *at == line) {
            let tags = 1_u32..;
            let made =
                tags.zip(OFFERED).map(|(tag, suite)| CryptoAttribute::generate(tag, suite, &mut self.rng));
            self.offered.push((line, made.collect()));
        }
        let of_line = self.offered.iter().find(|(at, _)| *at == line);
        of_line.map(|(_, made)| made.iter().map(CryptoAttribute::to_sdp).collect()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_re_invite_with_the_same_suite_keeps_our_key() {
        let mut keys = LegKeys::new(Seed([3; 32]));
        let offered = keys.offer(0);
        assert_eq!(offered, keys.offer(0));
        assert_ne!(offered, keys.offer(1));
        let first = keys.answer(0, offered[1].expose()).unwrap();
        assert_eq!(Some(&first), keys.answer(0, offered[1].expose()).as_ref());
        assert_ne!(Some(&first), keys.answer(1, offered[1].expose()).as_ref());
        assert_eq!(keys.answer(0, "1 NULL inline:x"), None);
    }
}
