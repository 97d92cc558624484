//! The peer's clock on ours: sender reports (RFC 3550 6.4.1) put sound and picture on one time line.
//!
//! A report says which NTP time a stream's RTP timestamp stands for. All of a peer's streams share its NTP clock, so one
//! offset from that clock to ours serves them all and lips follow. The offset is the least delay seen lately
//! (arrival minus capture): what came faster than the rest waited least. It moves by 2 ms a second at most, so that times don't
//! stumble, and jumps only when it is wrong by more than 200 ms.

use base::MediaTime;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long one of the two halves of the search for the least delay lasts.
const HALF: Duration = Duration::from_secs(4);
/// Nanoseconds the offset may move in one second.
const SLEW_NS_PER_S: i64 = 2_000_000;
/// An offset that is wrong by more jumps.
const JUMP_NS: i64 = 200_000_000;
/// A timestamp farther from its report than this is not of the report's time line.
const REPORT_REACH_NS: i64 = 120_000_000_000;
/// A stream without reports whose own time line strays this far from its arrivals starts a new one.
const STRAY_NS: i64 = 1_000_000_000;

/// A stream's newest sender report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// The peer's NTP clock.
    pub ntp: SystemTime,
    /// The stream's RTP timestamp at that time.
    pub rtp: u32,
}

/// The peer's clock, shared by its streams.
#[derive(Debug)]
pub struct PeerClock {
    epoch: Instant,
    offset: Option<Offset>,
}

#[derive(Debug)]
struct Offset {
    ns: i64,
    moved: Instant,
    half_since: Instant,
    least: i64,
    least_before: i64,
}

/// One stream's time line, for as long as it has no report.
#[derive(Debug, Default)]
pub struct StreamClock {
    anchor: Option<(u32, i64)>,
}

impl PeerClock {
    /// For a box whose media clock began at `epoch`.
    #[must_use]
    pub const fn new(epoch: Instant) -> Self {
        Self { epoch, offset: None }
    }

    /// When the frame with timestamp `rtp` on a clock of `hz`, whose first packet came at `arrived`, was captured.
    pub fn captured(
        &mut self,
        stream: &mut StreamClock,
        report: Option<Report>,
        rtp: u32,
        hz: u32,
        arrived: Instant,
    ) -> MediaTime {
        let arrived_ns = nanos(arrived.saturating_duration_since(self.epoch));
        let ns = match report.and_then(|report| report.ntp_of(rtp, hz)) {
            Some(ntp) => ntp.saturating_add(self.offset(arrived, arrived_ns.saturating_sub(ntp))),
            None => stream.captured(rtp, hz, arrived_ns),
        };
        stream.anchor = Some((rtp, ns));
        MediaTime(u64::try_from(ns).unwrap_or(0))
    }

    /// `at` on the box's media clock.
    #[must_use]
    pub fn at(&self, at: Instant) -> MediaTime {
        MediaTime::at(self.epoch, at)
    }

    fn offset(&mut self, now: Instant, sample: i64) -> i64 {
        let offset = self.offset.get_or_insert(Offset {
            ns: sample,
            moved: now,
            half_since: now,
            least: sample,
            least_before: sample,
        });
        offset.follow(now, sample);
        offset.ns
    }
}

impl Offset {
    fn follow(&mut self, now: Instant, sample: i64) {
        if now.saturating_duration_since(self.half_since) > HALF {
            self.least_before = self.least;
            self.least = sample;
            self.half_since = now;
        }
        self.least = self.least.min(sample);
        let goal = self.least.min(self.least_before);
        let elapsed = nanos(now.saturating_duration_since(self.moved)).min(1_000_000_000);
        let reach = elapsed * (SLEW_NS_PER_S / 1_000_000) / 1_000;
        let off = goal.saturating_sub(self.ns);
        self.ns = if off.unsigned_abs() > JUMP_NS.unsigned_abs() {
            goal
        } else {
            self.ns.saturating_add(off.clamp(-reach, reach))
        };
        self.moved = self.moved.max(now);
    }
}

impl StreamClock {
    fn captured(&mut self, rtp: u32, hz: u32, arrived_ns: i64) -> i64 {
        let Some((rtp_then, ns_then)) = self.anchor else { return arrived_ns };
        let ns = ns_then.saturating_add(ticks_ns(rtp.wrapping_sub(rtp_then), hz));
        if ns.saturating_sub(arrived_ns).unsigned_abs() > STRAY_NS.unsigned_abs() { arrived_ns } else { ns }
    }
}

impl Report {
    /// The peer's NTP time at `rtp`, in nanoseconds since 1970.
    fn ntp_of(self, rtp: u32, hz: u32) -> Option<i64> {
        let ntp = nanos(self.ntp.duration_since(UNIX_EPOCH).ok()?);
        let since = ticks_ns(rtp.wrapping_sub(self.rtp), hz);
        (since.unsigned_abs() < REPORT_REACH_NS.unsigned_abs()).then(|| ntp.saturating_add(since))
    }
}

/// A difference of RTP timestamps, the nearer way round, in nanoseconds.
fn ticks_ns(difference: u32, hz: u32) -> i64 {
    let ticks = i64::from(difference.cast_signed());
    ticks * 1_000_000_000 / i64::from(hz.max(1))
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HZ: u32 = 90_000;
    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn sound_and_picture_captured_together_get_the_same_time_whatever_their_delays() {
        let epoch = Instant::now();
        let mut clock = PeerClock::new(epoch);
        let (mut sound, mut picture) = (StreamClock::default(), StreamClock::default());
        let ntp = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        for n in 0..100_u64 {
            let at = ms(20 * n);
            let sound_report = Report { ntp, rtp: 5_000 };
            let picture_report = Report { ntp, rtp: u32::MAX - 100 };
            let a = clock.captured(
                &mut sound,
                Some(sound_report),
                5_000 + 48 * 20 * n as u32,
                48_000,
                epoch + at + ms(30),
            );
            let v = clock.captured(
                &mut picture,
                Some(picture_report),
                (u32::MAX - 100).wrapping_add(90 * 20 * n as u32),
                HZ,
                epoch + at + ms(30 + n % 7 * 12),
            );
            assert!(a.0.abs_diff(v.0) < 2_000_000, "{a:?} {v:?}");
        }
    }

    #[test]
    fn without_reports_a_stream_keeps_its_own_spacing() {
        let epoch = Instant::now();
        let mut clock = PeerClock::new(epoch);
        let mut stream = StreamClock::default();
        let first = clock.captured(&mut stream, None, 0, HZ, epoch + ms(10));
        let late = clock.captured(&mut stream, None, 3_000, HZ, epoch + ms(200));
        assert_eq!(late.0 - first.0, 33_333_333);
        let far = clock.captured(&mut stream, None, 6_000, HZ, epoch + ms(5_000));
        assert_eq!(far.since_epoch(), ms(5_000));
    }

    #[test]
    fn a_drifting_clock_is_followed_slowly_and_a_step_at_once() {
        let epoch = Instant::now();
        let mut clock = PeerClock::new(epoch);
        let mut stream = StreamClock::default();
        let ntp = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let mut at = |now: Duration, behind: Duration| {
            let rtp = (now - behind).as_millis() as u32 * 90;
            clock.captured(&mut stream, Some(Report { ntp, rtp: 0 }), rtp, HZ, epoch + now).since_epoch()
        };
        let first = at(ms(1_000), ms(0));
        assert_eq!(first, ms(1_000));
        let soon = at(ms(2_000), ms(50));
        assert!(soon <= ms(1_952), "not yet followed: {soon:?}");
        for second in 3..60 {
            at(ms(second * 1_000), ms(50));
        }
        let followed = at(ms(60_000), ms(50));
        assert!(followed >= ms(59_998), "followed by then: {followed:?}");
        let stepped = at(ms(61_000), ms(0));
        assert!(stepped >= ms(60_998), "{stepped:?}");
    }

    proptest! {
        #[test]
        fn no_report_or_timestamp_upsets_the_clock(
            steps in prop::collection::vec((any::<u64>(), any::<u32>(), any::<u32>(), any::<bool>(), any::<u32>()), 1..50)
        ) {
            let epoch = Instant::now();
            let mut clock = PeerClock::new(epoch);
            let mut stream = StreamClock::default();
            for (ntp, rtp, at, reported, hz) in steps {
                let report = reported.then(|| Report { ntp: UNIX_EPOCH + Duration::from_nanos(ntp), rtp });
                clock.captured(&mut stream, report, rtp.wrapping_mul(7), hz, epoch + Duration::from_micros(at.into()));
            }
        }
    }
}
