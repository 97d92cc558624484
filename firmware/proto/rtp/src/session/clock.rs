//! The peer's clock: RTP timestamps to the box's media time.
//!
//! With a sender report (RFC 3550 6.4.1) a timestamp becomes the peer's wall clock, and that the box's by the least
//! difference between when its reports were stamped and when they came. Reports of sound and picture carry the same
//! wall clock, so their frames meet on the box's and lips follow. Before the first report, the least transit of the
//! packets serves.

use crate::least::Least;
use crate::packet::Timestamp;
use base::MediaTime;

const SECOND: i128 = 1_000_000_000;
/// Packets' least transit is of one to two such spans.
const PACKET_SPAN_NS: i64 = 4_000_000_000;
/// Reports come every few seconds.
const REPORT_SPAN_NS: i64 = 30_000_000_000;
/// A transit this far off means that timestamps started over.
const JUMP_NS: i64 = 2_000_000_000;
/// A report whose clock says something this far from what the packets say is broken (some peers send zeros).
const SANE_NS: i64 = 1_000_000_000;

/// Maps one stream's timestamps.
#[derive(Debug)]
pub(super) struct PeerClock {
    hz: u32,
    ts: Timestamp,
    transit: Least,
    report: Option<Point>,
    /// Box time less the peer's wall clock.
    offset: Least,
}

/// A moment in the peer's two clocks: wall clock in nanoseconds and unwrapped timestamp.
#[derive(Debug, Clone, Copy)]
struct Point {
    wall: i64,
    ts: i64,
}

impl PeerClock {
    pub(super) fn new(hz: u32) -> Self {
        Self {
            hz: hz.max(1),
            ts: Timestamp::default(),
            transit: Least::over(PACKET_SPAN_NS),
            report: None,
            offset: Least::over(REPORT_SPAN_NS),
        }
    }

    pub(super) fn hz(&self) -> u32 {
        self.hz
    }

    /// A packet came.
    pub(super) fn packet(&mut self, arrived: MediaTime, timestamp: u32) {
        let arrived = signed(arrived);
        let transit = arrived.saturating_sub(self.ns(self.ts.peek(timestamp)));
        if self.transit.get().is_some_and(|least| (transit - least).abs() > JUMP_NS) {
            *self = Self { offset: self.offset, ..Self::new(self.hz) };
        }
        let ts = self.ts.unwrap(timestamp);
        self.transit.put(arrived, arrived.saturating_sub(self.ns(ts)));
    }

    /// A sender report came.
    pub(super) fn report(&mut self, arrived: MediaTime, ntp: u64, timestamp: u32) {
        // seconds go round after 136 years; a call does not notice
        let wall = i64::try_from((i128::from(ntp) * SECOND) >> 32).unwrap_or(i64::MAX);
        let point = Point { wall, ts: self.ts.peek(timestamp) };
        let offset = signed(arrived).saturating_sub(wall);
        if self.offset.get().is_some_and(|least| (offset - least).abs() > JUMP_NS) {
            self.offset.forget();
        }
        self.offset.put(signed(arrived), offset);
        self.report = (ntp != 0).then_some(point);
    }

    /// When the frame of `timestamp` was captured.
    pub(super) fn captured(&self, timestamp: u32) -> MediaTime {
        let ts = self.ts.peek(timestamp);
        let by_packets = self.transit.get().map(|least| self.ns(ts).saturating_add(least));
        let by_report = self.by_report(ts);
        let chosen = match (by_report, by_packets) {
            (Some(report), Some(packets)) if (report - packets).abs() > SANE_NS => packets,
            (Some(report), _) => report,
            (None, packets) => packets.unwrap_or(0),
        };
        MediaTime(u64::try_from(chosen).unwrap_or(0))
    }

    fn by_report(&self, ts: i64) -> Option<i64> {
        let point = self.report?;
        let wall = point.wall.saturating_add(self.ns(ts - point.ts));
        Some(wall.saturating_add(self.offset.get()?))
    }

    fn ns(&self, ticks: i64) -> i64 {
        i64::try_from(i128::from(ticks) * SECOND / i128::from(self.hz)).unwrap_or(i64::MAX)
    }
}

fn signed(time: MediaTime) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

/// The wall clock we put into our own reports: the media clock on top of a fixed date. RFC 3550 4 lets any clock serve;
/// what counts is that all our streams share it.
pub(super) fn ntp(now: MediaTime) -> u64 {
    const BASE_SECONDS: u64 = 3_900_000_000;
    let (seconds, rest) = (now.0 / 1_000_000_000, now.0 % 1_000_000_000);
    (BASE_SECONDS.wrapping_add(seconds) << 32) | ((rest << 32) / 1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(ms: u64) -> MediaTime {
        MediaTime::from_duration(Duration::from_millis(ms))
    }

    /// Sound and picture of one peer, whose wall clock is 1 000 000 s, timestamps are random, and network takes 40 ms.
    fn peer_ntp(ms: u64) -> u64 {
        (1_000_000_u64 << 32) + ((ms << 32) / 1000)
    }

    #[test]
    fn sound_and_picture_of_one_moment_meet_once_both_sent_a_report() {
        let (mut sound, mut picture) = (PeerClock::new(48_000), PeerClock::new(90_000));
        let ts = |base: u32, hz: u32, ms: u64| base.wrapping_add((u64::from(hz) * ms / 1000) as u32);
        for n in 0..100_u64 {
            let sent = n * 20;
            // the encoder holds the picture back by 150 ms, the network jitters
            sound.packet(at(sent + 40 + n % 7), ts(u32::MAX - 99, 48_000, sent));
            picture.packet(at(sent + 190 + n % 5), ts(77, 90_000, sent));
        }
        let apart = |a: MediaTime, b: MediaTime| a.0.abs_diff(b.0) / 1_000_000;
        let (heard, seen) =
            (sound.captured(ts(u32::MAX - 99, 48_000, 900)), picture.captured(ts(77, 90_000, 900)));
        assert_eq!(apart(heard, seen), 150);
        for ms in [2_000_u64, 4_000, 6_000] {
            sound.report(at(ms + 40 + ms % 3), peer_ntp(ms), ts(u32::MAX - 99, 48_000, ms));
            picture.report(at(ms + 45 - ms / 1_500), peer_ntp(ms), ts(77, 90_000, ms));
        }
        let (heard, seen) =
            (sound.captured(ts(u32::MAX - 99, 48_000, 900)), picture.captured(ts(77, 90_000, 900)));
        assert!(apart(heard, seen) <= 2, "{heard:?} {seen:?}");
        assert!(apart(heard, at(940)) <= 2, "{heard:?}");
    }

    #[test]
    fn a_report_with_a_broken_clock_changes_nothing() {
        let mut clock = PeerClock::new(8_000);
        clock.packet(at(100), 800);
        let before = clock.captured(800);
        clock.report(at(200), 0, 12345);
        assert_eq!(clock.captured(800), before);
        clock.report(at(200), peer_ntp(5), 3_000_000_000);
        assert_eq!(clock.captured(800), before);
    }

    #[test]
    fn timestamps_that_start_over_are_followed() {
        let mut clock = PeerClock::new(8_000);
        clock.packet(at(1_000), 8_000);
        clock.packet(at(1_020), 3_000_000_000);
        assert_eq!(clock.captured(3_000_000_160), at(1_040));
    }

    #[test]
    fn our_wall_clock_goes_on_with_the_media_clock() {
        assert_eq!(ntp(at(1_500)) - ntp(at(1_000)), 1 << 31);
    }
}
