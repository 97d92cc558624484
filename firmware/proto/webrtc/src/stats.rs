//! Figures of one stream, from str0m's statistics and our own counting (P8).

use crate::peer::{RecvTrack, SendTrack, Track};
use base::{Codec, MediaKind};
use std::time::Duration;
use str0m::stats::{MediaEgressStats, MediaIngressStats};

/// Figures of one stream. Counters run from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrackStats {
    /// Which stream, and which way.
    pub track: Track,
    /// How it is encoded.
    pub codec: Codec,
    /// Packets.
    pub packets: u64,
    /// Octets of payload.
    pub bytes: u64,
    /// Packets lost: never come, or reported by the peer.
    pub lost: u64,
    /// Interarrival jitter (RFC 3550 6.4.1), ours or the peer's.
    pub jitter: Duration,
    /// Round trip, once known.
    pub round_trip: Option<Duration>,
}

impl TrackStats {
    pub(crate) fn sent(track: SendTrack, stats: &MediaEgressStats, round_trip: Option<Duration>) -> Self {
        let codec = match track {
            SendTrack::Sound => Codec::Opus,
            SendTrack::Layer(_) => Codec::Vp8,
        };
        Self {
            track: Track::Send(track),
            codec,
            packets: stats.packets,
            bytes: stats.bytes,
            lost: stats.remote.as_ref().map_or(0, |remote| remote.packets_lost),
            jitter: stats.remote.as_ref().map_or(Duration::ZERO, |remote| ticks(remote.jitter, codec)),
            round_trip: stats.rtt.or(round_trip),
        }
    }

    pub(crate) fn received(
        track: RecvTrack,
        kind: MediaKind,
        lost: u64,
        stats: &MediaIngressStats,
        round_trip: Option<Duration>,
    ) -> Self {
        let codec = if kind == MediaKind::Audio { Codec::Opus } else { Codec::Vp8 };
        Self {
            track: Track::Recv(track),
            codec,
            packets: stats.packets,
            bytes: stats.bytes,
            lost,
            jitter: ticks(stats.jitter, codec),
            round_trip: stats.rtt.or(round_trip),
        }
    }
}

fn ticks(jitter: u32, codec: Codec) -> Duration {
    Duration::from_nanos(u64::from(jitter) * 1_000_000_000 / u64::from(codec.rtp_clock()))
}
