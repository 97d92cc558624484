//! From the kernel's wall-clock stamps to the engine's monotonic clock.
//!
//! `SO_TIMESTAMPING` stamps packets in `CLOCK_REALTIME`, which steps when NTP steps; machines live on
//! `Instant`. A pair of both clocks, read once per batch, turns one into the other, so a step can only ever spoil the
//! packets of one batch, and then by no more than [`MAX_AGE`].

use nix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant, SystemTime};

/// Oldest age a stamp is believed to have; an older one means that the wall clock was stepped.
pub const MAX_AGE: Duration = Duration::from_millis(200);

/// Both clocks, read together.
#[derive(Debug, Clone, Copy)]
pub struct ClockPair {
    monotonic: Instant,
    wall: Duration,
}

impl ClockPair {
    /// Reads both clocks.
    #[must_use]
    pub fn read() -> Self {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { monotonic: Instant::now(), wall }
    }

    /// The monotonic half: now.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.monotonic
    }

    /// When a packet stamped `stamp` (since the Unix epoch) came in; now, if it has no stamp or an impossible one.
    #[must_use]
    pub fn arrival(&self, stamp: Option<Duration>) -> Instant {
        let age = stamp.and_then(|stamp| self.wall.checked_sub(stamp)).filter(|age| *age <= MAX_AGE);
        self.monotonic.checked_sub(age.unwrap_or_default()).unwrap_or(self.monotonic)
    }
}

/// So often both clocks are read, and the two readings that are closest to each other are taken.
const READINGS: usize = 5;

/// `at` as nanoseconds of `CLOCK_MONOTONIC`, which all processes of the box share; an [`Instant`] is one process's.
///
/// # Errors
/// If the kernel has no such clock.
pub fn to_monotonic(at: Instant) -> nix::Result<u64> {
    let (now, clock) = together()?;
    let nanos = if at <= now { clock.checked_sub(now - at) } else { clock.checked_add(at - now) };
    Ok(nanos.map_or(0, |nanos| u64::try_from(nanos.as_nanos()).unwrap_or(u64::MAX)))
}

/// Back from [`to_monotonic`], in whichever process.
///
/// # Errors
/// If the kernel has no such clock.
pub fn from_monotonic(nanos: u64) -> nix::Result<Instant> {
    let ((now, clock), at) = (together()?, Duration::from_nanos(nanos));
    let instant = if at <= clock { now.checked_sub(clock - at) } else { now.checked_add(at - clock) };
    Ok(instant.unwrap_or(now))
}

/// Both clocks at one moment, as nearly as they can be read.
fn together() -> nix::Result<(Instant, Duration)> {
    let read = || {
        let (before, clock) = (Instant::now(), clock_gettime(ClockId::CLOCK_MONOTONIC)?);
        let gap = before.elapsed();
        Ok((gap, (before + gap / 2, Duration::from(clock))))
    };
    let readings = (0..READINGS).map(|_| read()).collect::<nix::Result<Vec<_>>>()?;
    let closest = readings.into_iter().min_by_key(|(gap, _)| *gap);
    closest.map(|(_, both)| both).ok_or(nix::errno::Errno::EINVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_goes_to_another_process_and_comes_back() {
        let now = Instant::now();
        for at in [now, now - Duration::from_secs(1), now + Duration::from_secs(3_600)] {
            let back = from_monotonic(to_monotonic(at).expect("a clock")).expect("a clock");
            let off = if back > at { back - at } else { at - back };
            assert!(off < Duration::from_millis(1), "{off:?}");
        }
    }

    #[test]
    fn a_stamp_counts_back_from_now_unless_the_wall_clock_was_stepped() {
        let clocks = ClockPair { monotonic: Instant::now(), wall: Duration::from_secs(1_000) };
        let age = |stamp| clocks.now() - clocks.arrival(stamp);
        assert_eq!(age(Some(Duration::from_millis(999_990))), Duration::from_millis(10));
        assert_eq!(age(Some(Duration::from_secs(900))), Duration::ZERO, "stepped forward");
        assert_eq!(age(Some(Duration::from_secs(1_100))), Duration::ZERO, "stepped back");
        assert_eq!(age(None), Duration::ZERO);
    }
}
