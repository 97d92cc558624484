//! SRTP and SRTCP (RFC 3711, RFC 6188, RFC 7714) keyed by the session description (RFC 4568).
//!
//! The cryptography is `rtc-srtp`'s over ring. This file keeps it safe against a hostile network:
//!
//! - it makes state for an SSRC before authentication, without bound, and lets a forged first packet place the replay
//!   window; so each SSRC gets a context of its own here, kept only once a packet of it proved authentic;
//! - it takes SRTCP whose E bit says "not encrypted" without looking at the tag; refused here, as we never negotiate
//!   `UNENCRYPTED_SRTCP`;
//! - it finds the payload by parsing header extensions; here the offset is computed.

pub mod sdes;

use crate::packet::{self, RtpHeader};
use bytes::Bytes;
use rtc_srtp::context::Context;
use rtc_srtp::crypto::RTCCryptoProvider;
use rtc_srtp::crypto::providers::RingProvider;
use rtc_srtp::option::{ContextOption, srtcp_replay_protection, srtp_replay_protection};
use rtc_srtp::protection_profile::ProtectionProfile;
pub use sdes::{CryptoAttribute, CryptoError, CryptoSuite};
use std::fmt;

/// Packets a replay window spans; wide enough for a picture's burst to be reordered.
const REPLAY_WINDOW: usize = 512;
/// Most SSRCs of a peer that keys are held for at a time; the one unused longest goes first.
const MAX_SOURCES: usize = 8;
/// RTCP header with its SSRC, and the SRTCP index; the tag comes on top.
const MIN_SRTCP_BYTES: usize = 8 + 4;

/// Keys in both directions.
#[derive(Debug, Clone, PartialEq)]
pub struct SrtpKeys {
    /// Ours, as we wrote it into our description.
    pub send: CryptoAttribute,
    /// The peer's, as it came.
    pub recv: CryptoAttribute,
}

/// Keys that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("srtp suite {suite}: {reason}; offer another suite")]
pub struct SrtpError {
    suite: CryptoSuite,
    reason: String,
}

/// Why a packet was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejected {
    /// Too short, or no packet of its kind.
    Malformed,
    /// Wrong tag, wrong key, or seen before.
    Unauthentic,
}

/// SRTP in both directions of one m-line.
pub struct SrtpSession {
    keys: SrtpKeys,
    send: Context,
    rtp: Vec<Source>,
    rtcp: Vec<Source>,
}

struct Source {
    ssrc: u32,
    context: Context,
}

impl fmt::Debug for SrtpSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SrtpSession").field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl SrtpSession {
    /// A session of `keys`.
    ///
    /// # Errors
    /// [`SrtpError`] if the library can't use them.
    pub fn new(keys: SrtpKeys) -> Result<Self, SrtpError> {
        let send = context(&keys.send)?;
        context(&keys.recv)?;
        Ok(Self { keys, send, rtp: Vec::new(), rtcp: Vec::new() })
    }

    /// Takes new keys; a direction whose key did not change keeps its rollover counters and replay windows.
    ///
    /// # Errors
    /// [`SrtpError`] if the library can't use them; the session stands as before.
    pub fn rekey(&mut self, keys: SrtpKeys) -> Result<(), SrtpError> {
        let send = (!keys.send.same_key(&self.keys.send)).then(|| context(&keys.send)).transpose()?;
        if !keys.recv.same_key(&self.keys.recv) {
            context(&keys.recv)?;
            self.rtp.clear();
            self.rtcp.clear();
        }
        if let Some(send) = send {
            self.send = send;
        }
        self.keys = keys;
        Ok(())
    }

    /// Protects an RTP packet of ours. `None` once the key is used up (2^48 packets) or if it is no packet.
    pub fn protect_rtp(&mut self, plain: &[u8]) -> Option<Bytes> {
        let header = library_header(plain)?;
        self.send.encrypt_rtp_with_header(plain, &header).ok().map(Into::into)
    }

    /// Protects an RTCP packet of ours.
    pub fn protect_rtcp(&mut self, plain: &[u8]) -> Option<Bytes> {
        self.send.encrypt_rtcp(plain).ok().map(Into::into)
    }

    /// Verifies and decrypts an RTP packet of the peer.
    ///
    /// # Errors
    /// [`Rejected`] if it is not the peer's, or was taken before.
    pub fn unprotect_rtp(&mut self, data: &[u8]) -> Result<Bytes, Rejected> {
        let header = library_header(data).ok_or(Rejected::Malformed)?;
        open(&mut self.rtp, &self.keys.recv, header.ssrc, |context| {
            context.decrypt_rtp_with_header(data, &header).ok().map(Into::into)
        })
    }

    /// Verifies and decrypts an RTCP packet of the peer.
    ///
    /// # Errors
    /// [`Rejected`] if it is not the peer's, is not encrypted, or was taken before.
    pub fn unprotect_rtcp(&mut self, data: &[u8]) -> Result<Bytes, Rejected> {
        let suite = self.keys.recv.suite();
        let index_at =
            data.len().checked_sub(suite.bytes_after_srtcp_index() + 4).ok_or(Rejected::Malformed)?;
        if data.len() < MIN_SRTCP_BYTES + suite.srtcp_tag_bytes() {
            return Err(Rejected::Malformed);
        }
        let encrypted = data.get(index_at).is_some_and(|first| first & 0x80 != 0);
        let ssrc = data
            .get(4..8)
            .and_then(|b| b.try_into().ok())
            .map(u32::from_be_bytes)
            .ok_or(Rejected::Malformed)?;
        if !encrypted {
            return Err(Rejected::Unauthentic);
        }
        open(&mut self.rtcp, &self.keys.recv, ssrc, |context| context.decrypt_rtcp(data).ok().map(Into::into))
    }
}

/// Opens a packet with the context of its SSRC, or with a fresh one that is kept if the packet proves authentic.
fn open(
    sources: &mut Vec<Source>,
    keys: &CryptoAttribute,
    ssrc: u32,
    decrypt: impl Fn(&mut Context) -> Option<Bytes>,
) -> Result<Bytes, Rejected> {
    if let Some(at) = sources.iter().position(|source| source.ssrc == ssrc) {
        let plain = decrypt(&mut sources[at].context).ok_or(Rejected::Unauthentic)?;
        sources[..=at].rotate_right(1);
        return Ok(plain);
    }
    let mut context = context(keys).map_err(|_| Rejected::Unauthentic)?;
    let plain = decrypt(&mut context).ok_or(Rejected::Unauthentic)?;
    sources.truncate(MAX_SOURCES - 1);
    sources.insert(0, Source { ssrc, context });
    Ok(plain)
}

fn context(attribute: &CryptoAttribute) -> Result<Context, SrtpError> {
    let suite = attribute.suite();
    let (key, salt) = attribute.master();
    let replay: (ContextOption, ContextOption) =
        (srtp_replay_protection(REPLAY_WINDOW), srtcp_replay_protection(REPLAY_WINDOW));
    Context::new(key, salt, profile(suite), Some(replay.0), Some(replay.1), RingProvider::new().crypto())
        .map_err(|error| SrtpError { suite, reason: error.to_string() })
}

/// The library's view of a header. It asks it for SSRC, sequence number and size only, so the words between the fixed
/// part and the payload are given as CSRCs, whatever they are: that keeps the size exact with any extension.
fn library_header(data: &[u8]) -> Option<rtc_rtp::header::Header> {
    let offset = packet::payload_offset(data)?;
    let RtpHeader { sequence, ssrc, .. } = packet::fixed_header(data)?;
    Some(rtc_rtp::header::Header {
        version: 2,
        sequence_number: sequence,
        ssrc,
        csrc: vec![0; (offset - packet::HEADER_BYTES) / 4],
        ..Default::default()
    })
}

const fn profile(suite: CryptoSuite) -> ProtectionProfile {
    match suite {
        CryptoSuite::AesCm128Sha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
        CryptoSuite::AesCm128Sha1_32 => ProtectionProfile::Aes128CmHmacSha1_32,
        CryptoSuite::AesCm256Sha1_80 => ProtectionProfile::Aes256CmHmacSha1_80,
        CryptoSuite::AesCm256Sha1_32 => ProtectionProfile::Aes256CmHmacSha1_32,
        CryptoSuite::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
        CryptoSuite::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{parse, write};
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::ChaCha12Rng;

    fn pair(suite: CryptoSuite) -> (SrtpSession, SrtpSession) {
        let mut rng = ChaCha12Rng::from_seed([3; 32]);
        let ours = CryptoAttribute::generate(1, suite, &mut rng);
        let theirs = CryptoAttribute::generate(1, suite, &mut rng);
        let here = SrtpSession::new(SrtpKeys { send: ours.clone(), recv: theirs.clone() }).unwrap();
        let there = SrtpSession::new(SrtpKeys { send: theirs, recv: ours }).unwrap();
        (here, there)
    }

    fn rtp(sequence: u16, ssrc: u32) -> Bytes {
        let header = RtpHeader { marker: false, payload_type: 96, sequence, timestamp: 7, ssrc };
        write(&header, b"", b"some sound or picture")
    }

    const RR: [u8; 8] = [0x80, 201, 0, 1, 0, 0, 0, 9];

    #[test]
    fn every_suite_takes_its_own_packets_and_refuses_what_was_tampered_with_or_replayed() {
        for suite in CryptoSuite::ALL {
            let (mut here, mut there) = pair(suite);
            let plain = rtp(1, 5);
            let sent = here.protect_rtp(&plain).unwrap();
            // when any one bit differs, then it is refused
            for at in 0..sent.len() {
                let mut forged = sent.to_vec();
                forged[at] ^= 0x10;
                assert!(there.unprotect_rtp(&forged).is_err(), "{suite} byte {at}");
            }
            // then the packet itself is still taken, once
            assert_eq!(there.unprotect_rtp(&sent), Ok(plain));
            assert_eq!(there.unprotect_rtp(&sent), Err(Rejected::Unauthentic));

            let report = here.protect_rtcp(&RR).unwrap();
            for at in 0..report.len() {
                let mut forged = report.to_vec();
                forged[at] ^= 0x80;
                assert!(there.unprotect_rtcp(&forged).is_err(), "{suite} byte {at}");
            }
            assert_eq!(there.unprotect_rtcp(&report).unwrap(), RR.as_slice());
            assert_eq!(there.unprotect_rtcp(&report), Err(Rejected::Unauthentic));
        }
    }

    #[test]
    fn a_forged_first_packet_does_not_lock_the_real_stream_out() {
        let (mut here, mut there) = pair(CryptoSuite::AesCm128Sha1_80);
        assert!(there.unprotect_rtp(&rtp(60_000, 5)).is_err());
        assert!(there.unprotect_rtp(&here.protect_rtp(&rtp(1, 5)).unwrap()).is_ok());
    }

    #[test]
    fn unencrypted_srtcp_is_refused_even_though_it_looks_valid() {
        for suite in CryptoSuite::ALL {
            let (_, mut there) = pair(suite);
            let mut forged = RR.to_vec();
            forged.extend([0; 40]);
            assert!(there.unprotect_rtcp(&forged).is_err());
        }
    }

    #[test]
    fn the_rollover_counter_follows_the_sequence_number_over_its_wrap_despite_reordering() {
        let (mut here, mut there) = pair(CryptoSuite::AeadAes256Gcm);
        let sent: Vec<_> =
            (65_000..66_000_u32).map(|seq| here.protect_rtp(&rtp(seq as u16, 5)).unwrap()).collect();
        for two in sent.chunks(2) {
            for packet in two.iter().rev() {
                assert!(there.unprotect_rtp(packet).is_ok());
            }
        }
    }

    #[test]
    fn a_header_extension_of_any_form_leaves_the_payload_in_its_place() {
        for suite in CryptoSuite::ALL {
            let (mut here, mut there) = pair(suite);
            // given a one-byte extension that ends early by id 15, which some parsers miscount
            let mut plain = vec![0x90, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5, 0xbe, 0xde, 0, 2];
            plain.extend([0xf0, 1, 2, 3, 4, 5, 6, 7]);
            plain.extend(*b"payload");
            let sent = here.protect_rtp(&plain).unwrap();
            assert_eq!(&sent[..24], &plain[..24]);
            assert_ne!(&sent[24..31], b"payload");
            assert_eq!(parse(&there.unprotect_rtp(&sent).unwrap()).unwrap().1, b"payload");
        }
    }

    #[test]
    fn forged_sources_leave_no_state_behind() {
        let (mut here, mut there) = pair(CryptoSuite::AesCm128Sha1_80);
        for ssrc in 0..100 {
            assert!(there.unprotect_rtp(&rtp(1, ssrc)).is_err());
        }
        assert!(there.rtp.is_empty());
        for ssrc in 0..100 {
            assert!(there.unprotect_rtp(&here.protect_rtp(&rtp(1, ssrc)).unwrap()).is_ok());
        }
        assert_eq!(there.rtp.len(), MAX_SOURCES);
    }

    #[test]
    fn rekeying_with_the_same_keys_goes_on_and_with_others_starts_anew() {
        let (mut here, mut there) = pair(CryptoSuite::AesCm128Sha1_80);
        let first = here.protect_rtp(&rtp(1, 5)).unwrap();
        there.unprotect_rtp(&first).unwrap();
        there.rekey(there.keys.clone()).unwrap();
        assert_eq!(there.unprotect_rtp(&first), Err(Rejected::Unauthentic));

        let (other, _) = pair(CryptoSuite::AeadAes128Gcm);
        here.rekey(other.keys.clone()).unwrap();
        let second = here.protect_rtp(&rtp(2, 5)).unwrap();
        assert_eq!(there.unprotect_rtp(&second), Err(Rejected::Unauthentic));
        there.rekey(SrtpKeys { send: other.keys.recv.clone(), recv: other.keys.send.clone() }).unwrap();
        assert!(there.unprotect_rtp(&second).is_ok());
    }

    proptest! {
        #[test]
        fn no_bytes_make_unprotecting_panic(
            data in proptest::collection::vec(any::<u8>(), 0..100),
            suite in 0..6_usize,
        ) {
            let (_, mut there) = pair(CryptoSuite::ALL[suite]);
            let mut looks_right = data.clone();
            if let [first, second, ..] = looks_right.as_mut_slice() {
                (*first, *second) = (0x80 | *first & 0x3f, 200);
            }
            for data in [data, looks_right] {
                prop_assert!(there.unprotect_rtp(&data).is_err());
                prop_assert!(there.unprotect_rtcp(&data).is_err());
            }
        }
    }
}
