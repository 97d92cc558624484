//! Encoded media as it travels between legs and the media plane.
//!
//! A frame is plain data: it crosses a ring to a worker that may be another process, so nothing in it points
//! into anybody's memory and its time is a number, not an `Instant`.

use bytes::Bytes;
use std::fmt;
use std::time::{Duration, Instant};

/// Sound or picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MediaKind {
    /// Sound.
    Audio,
    /// The people.
    Video,
    /// What somebody presents.
    Content,
}

/// How a frame is encoded. The payload layout of each is fixed so that the two ends of a ring agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Codec {
    /// ITU-T H.264; `data` is one access unit in Annex B byte-stream format, start codes included.
    H264,
    /// RFC 6386; `data` is one whole frame.
    Vp8,
    /// RFC 6716; `data` is one packet, mono or stereo, 48 kHz clock.
    Opus,
    /// ITU-T G.722 at 64 kbit/s; two samples per octet at 16 kHz (RTP clock 8 kHz, RFC 3551 4.5.2).
    G722,
    /// ITU-T G.711 A-law, 8 kHz, one sample per octet.
    Pcma,
    /// ITU-T G.711 µ-law, 8 kHz, one sample per octet.
    Pcmu,
}

impl Codec {
    /// Sound or picture.
    #[must_use]
    pub const fn kind(self) -> MediaKind {
        match self {
            Codec::H264 | Codec::Vp8 => MediaKind::Video,
            Codec::Opus | Codec::G722 | Codec::Pcma | Codec::Pcmu => MediaKind::Audio,
        }
    }

    /// RTP clock rate in Hz (RFC 3551, RFC 7587, RFC 6184, RFC 7741).
    #[must_use]
    pub const fn rtp_clock(self) -> u32 {
        match self {
            Codec::H264 | Codec::Vp8 => 90_000,
            Codec::Opus => 48_000,
            Codec::G722 | Codec::Pcma | Codec::Pcmu => 8_000,
        }
    }

    /// Sampling rate in Hz of the sound itself, 0 for pictures.
    #[must_use]
    pub const fn sample_rate(self) -> u32 {
        match self {
            Codec::H264 | Codec::Vp8 => 0,
            Codec::Opus => 48_000,
            Codec::G722 => 16_000,
            Codec::Pcma | Codec::Pcmu => 8_000,
        }
    }
}

/// Encoding names as SDP spells them (RFC 3551, RFC 6184, RFC 7587, RFC 7741).
impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Codec::H264 => "H264",
            Codec::Vp8 => "VP8",
            Codec::Opus => "opus",
            Codec::G722 => "G722",
            Codec::Pcma => "PCMA",
            Codec::Pcmu => "PCMU",
        })
    }
}

/// Width and height of a picture in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Size {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

impl Size {
    /// 1280 by 720.
    pub const HD720: Size = Size::new(1280, 720);
    /// 640 by 360.
    pub const P360: Size = Size::new(640, 360);
    /// 320 by 180.
    pub const P180: Size = Size::new(320, 180);

    /// A size of `width` by `height` pixels.
    #[must_use]
    pub const fn new(width: u32, height: u32) -> Self {
        Self { width, height }
    }

    /// Pixels in all.
    #[must_use]
    pub const fn area(self) -> u64 {
        self.width as u64 * self.height as u64
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// A moment on the box's media clock: nanoseconds since the daemon's epoch.
///
/// The epoch is one `Instant` taken at start and handed to every leg, so a time means the same in each leg, in the
/// media plane and in a worker process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct MediaTime(pub u64);

impl MediaTime {
    /// `at` on the clock that began at `epoch`; what lies before the epoch is the epoch.
    #[must_use]
    pub fn at(epoch: Instant, at: Instant) -> Self {
        Self::from_duration(at.saturating_duration_since(epoch))
    }

    /// `since` the epoch.
    #[must_use]
    pub fn from_duration(since: Duration) -> Self {
        Self(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }

    /// Back to the engine's clock.
    #[must_use]
    pub fn to_instant(self, epoch: Instant) -> Instant {
        epoch + self.since_epoch()
    }

    /// How long after the epoch.
    #[must_use]
    pub const fn since_epoch(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// How long this is after `earlier`, zero if it is not.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Ticks of a clock of `hz` since the epoch, wrapping as RTP timestamps do.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "RTP timestamps wrap at 32 bits")]
    pub const fn rtp(self, hz: u32) -> u32 {
        (self.0 as u128 * hz as u128 / 1_000_000_000) as u32
    }
}

impl std::ops::Add<Duration> for MediaTime {
    type Output = Self;
    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(Self::from_duration(by).0))
    }
}

/// One encoded picture, or one packet's worth of sound.
#[derive(Clone, PartialEq, Eq)]
pub struct EncodedFrame {
    /// How `data` is encoded.
    pub codec: Codec,
    /// When it was captured, on the box's media clock. Sound and picture of one source share this clock, so lips
    /// follow from it.
    pub captured: MediaTime,
    /// When the last packet of it reached the box; `captured` for frames the box made itself.
    pub arrived: MediaTime,
    /// For pictures: decodable without any other. Always true for sound.
    pub key: bool,
    /// False if frames between the one before and this one are missing, so the decoder must conceal.
    pub contiguous: bool,
    /// The frame itself, in the layout that its [`Codec`] fixes. Empty sound is one lost packet to be concealed.
    pub data: Bytes,
}

impl fmt::Debug for EncodedFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.key { " key" } else { "" };
        let gap = if self.contiguous { "" } else { " after a gap" };
        write!(f, "{}{mark}{gap} {} bytes at {:?}", self.codec, self.data.len(), self.captured.since_epoch())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_time_counts_rtp_ticks_and_wraps_as_rtp_does() {
        let second = MediaTime(1_000_000_000);
        assert_eq!(second.rtp(90_000), 90_000);
        assert_eq!((second + Duration::from_millis(20)).rtp(48_000), 48_960);
        let two_days = MediaTime::from_duration(Duration::from_secs(2 * 86_400));
        let wrapped = (2 * 86_400 * 90_000_u64 % (1 << 32)) as u32;
        assert_eq!(two_days.rtp(90_000), wrapped);
    }

    #[test]
    fn media_time_goes_to_the_engines_clock_and_back() {
        let epoch = Instant::now();
        let at = epoch + Duration::from_micros(1_234_567);
        assert_eq!(MediaTime::at(epoch, at).to_instant(epoch), at);
        assert_eq!(MediaTime::at(at, epoch), MediaTime(0));
    }
}
