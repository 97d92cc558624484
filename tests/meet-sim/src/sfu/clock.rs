//! When a packet was captured, on the simulator's clock, from the sender's RTCP reports (RFC 3550 6.4.1).
//!
//! Each SSRC of a sender counts RTP time from its own random origin. A sender report ties that origin to the sender's
//! wall clock, which is one for all its streams. What is forwarded is stamped by that wall clock shifted onto ours, so
//! sound and picture of one sender keep their distance whichever layer is forwarded.
//!
//! The shift stands still from the first packet on: receivers take all our reports for one clock, and one that moves in its
//! first seconds leads them astray for many more. It is the first packet's transit less some room, so that packets which
//! are quicker were not captured in the future; one that is quicker still moves it after all. It creeps upwards, so that a
//! sender whose clock runs slow is not held to a transit of an hour ago.

use std::time::{Duration, Instant};

/// A sender's wall clock as it was in its last report for a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Sender's wall clock, since the Unix epoch.
    pub wall: Duration,
    /// The stream's RTP time at that moment.
    pub rtp: u32,
}

/// Capture times of everything one sender sends.
#[derive(Debug)]
pub struct SenderClock {
    epoch: Instant,
    shift: Option<Shift>,
}

#[derive(Debug, Clone, Copy)]
struct Shift {
    /// Arrival less sender's wall clock, in nanoseconds since [`SenderClock::epoch`].
    nanos: i128,
    at: Instant,
}

/// How fast the shift may grow, as a part of the time passed: more than any crystal is off.
const CREEP: i128 = 10_000;
/// How much quicker than the first packet later ones may be.
const ROOM: Duration = Duration::from_millis(250);
/// A capture further than this before its arrival comes from a nonsense report.
const MOST_TRANSIT: Duration = Duration::from_secs(2);

impl SenderClock {
    /// A clock that counts from `epoch`, a moment before the first packet.
    #[must_use]
    pub fn new(epoch: Instant) -> Self {
        Self { epoch, shift: None }
    }

    /// When the packet with RTP time `rtp` of a clock of `hz` was captured; by its arrival while there is no report.
    pub fn captured(&mut self, arrival: Instant, report: Option<Report>, rtp: u32, hz: u32) -> Instant {
        let undated = arrival.checked_sub(ROOM).unwrap_or(arrival);
        let Some(report) = report.filter(|_| hz > 0) else { return undated };
        let ticks = i128::from(rtp.wrapping_sub(report.rtp).cast_signed());
        let wall = nanos(report.wall) + ticks * 1_000_000_000 / i128::from(hz);
        let arrived = nanos(arrival.saturating_duration_since(self.epoch));
        let transit = arrived - wall;
        let shift = match self.shift {
            Some(known) => {
                let crept = known.nanos + nanos(arrival.saturating_duration_since(known.at)) / CREEP;
                crept.min(transit)
            }
            None => transit - nanos(ROOM),
        };
        let ago = u64::try_from(transit - shift).map(Duration::from_nanos).ok();
        let Some(ago) = ago.filter(|ago| *ago <= MOST_TRANSIT) else { return undated };
        self.shift = Some(Shift { nanos: shift, at: arrival });
        arrival.checked_sub(ago).unwrap_or(arrival)
    }
}

fn nanos(duration: Duration) -> i128 {
    i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALL: Duration = Duration::from_secs(1_800_000_000);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn sound_and_picture_captured_together_are_stamped_together_whatever_their_transit() {
        let epoch = Instant::now();
        let mut clock = SenderClock::new(epoch);
        let sound = Report { wall: WALL, rtp: 4_000_000_000 };
        let picture = Report { wall: WALL + ms(500), rtp: 77 };

        let first = clock.captured(epoch + ms(1_010), Some(sound), 4_000_000_000 + 48_000, 48_000);
        let picture = clock.captured(epoch + ms(1_090), Some(picture), 77 + 45_000, 90_000);

        assert_eq!(first, epoch + ms(1_010) - ROOM);
        // All but the creep.
        assert!(
            picture.saturating_duration_since(first) < Duration::from_micros(10),
            "{:?}",
            picture - first
        );
    }

    #[test]
    fn a_slow_first_packet_does_not_make_the_next_ones_late() {
        let epoch = Instant::now();
        let mut clock = SenderClock::new(epoch);
        let report = Some(Report { wall: WALL, rtp: 0 });
        let first = clock.captured(epoch + ms(1_200), report, 0, 90_000);
        let second = clock.captured(epoch + ms(1_040), report, 40 * 90, 90_000);
        assert!((second - first).abs_diff(ms(40)) < Duration::from_micros(100), "{:?}", second - first);
    }

    #[test]
    fn no_capture_lies_in_the_future() {
        let epoch = Instant::now();
        let mut clock = SenderClock::new(epoch);
        let report = Some(Report { wall: WALL, rtp: 0 });
        clock.captured(epoch + ms(1_000), report, 0, 90_000);
        let early = clock.captured(epoch + ms(1_130), report, 900 * 90, 90_000);
        assert_eq!(early, epoch + ms(1_130));
        let next = clock.captured(epoch + ms(1_260), report, 1_000 * 90, 90_000);
        assert!(next <= epoch + ms(1_231), "{:?}", next - epoch);
    }

    #[test]
    fn without_a_report_or_with_a_nonsense_one_the_arrival_serves() {
        let epoch = Instant::now();
        let mut clock = SenderClock::new(epoch);
        let arrival = epoch + ms(5_000);
        assert_eq!(clock.captured(arrival, None, 5, 90_000), arrival - ROOM);
        let report = Some(Report { wall: WALL, rtp: 0 });
        assert_eq!(clock.captured(arrival, report, 0, 90_000), arrival - ROOM);
        let nonsense = clock.captured(arrival, report, 90_000u32.wrapping_mul(u32::MAX - 4), 90_000);
        assert_eq!(nonsense, arrival - ROOM);
    }
}
