//! What a receiver counts of a stream (RFC 3550 6.4.1, A.1, A.3, A.8).

use crate::packet::SeqNo;
use crate::rtcp::Report;
use std::time::Duration;

/// A sequence number further off was not reached by loss (RFC 3550 A.1).
const MAX_DROPOUT: i64 = 3_000;

/// Counters of one SSRC.
#[derive(Debug, Default)]
pub(super) struct Reception {
    pub(super) ssrc: u32,
    seq: SeqNo,
    first: Option<i64>,
    highest: i64,
    received: u64,
    expected_before: u64,
    received_before: u64,
    /// Last transit, in ticks, modulo 2^32 as timestamps are.
    transit: Option<u32>,
    /// Jitter in 16ths of a tick (RFC 3550 A.8).
    jitter: u32,
    /// Middle of the last sender report's NTP time, and when it came, in 65536ths of a second.
    last_sr: Option<(u32, u32)>,
}

impl Reception {
    pub(super) fn of(ssrc: u32) -> Self {
        Self { ssrc, ..Self::default() }
    }

    /// Counts a packet. `arrived` is its arrival in ticks of the stream's clock.
    pub(super) fn packet(&mut self, sequence: u16, timestamp: u32, arrived: u32) {
        let full = self.seq.unwrap(sequence);
        if self.first.is_none() {
            self.first = Some(full);
            self.highest = full;
        }
        if (full - self.highest).abs() > MAX_DROPOUT {
            // the peer started over: what was expected so far stays so
            let expected = i64::try_from(self.expected()).unwrap_or(i64::MAX);
            self.first = Some(full - expected);
            self.highest = full;
        }
        self.first = self.first.map(|first| first.min(full));
        self.highest = self.highest.max(full);
        self.received += 1;
        let transit = arrived.wrapping_sub(timestamp);
        if let Some(before) = self.transit {
            let moved = (transit.wrapping_sub(before) as i32).unsigned_abs();
            // a timestamp that jumped is no jitter
            if moved < 1 << 24 {
                self.jitter = self.jitter.saturating_add(moved).saturating_sub((self.jitter + 8) >> 4);
            }
        }
        self.transit = Some(transit);
    }

    /// A sender report of this SSRC came at `now`, in 65536ths of a second.
    pub(super) fn sender_report(&mut self, ntp: u64, now: u32) {
        self.last_sr = Some(((ntp >> 16) as u32, now));
    }

    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Lost in all; duplicates make it less.
    pub(super) fn lost(&self) -> i64 {
        let expected = i64::try_from(self.expected()).unwrap_or(i64::MAX);
        expected.saturating_sub(i64::try_from(self.received).unwrap_or(i64::MAX))
    }

    pub(super) fn jitter(&self, clock: u32) -> Duration {
        Duration::from_secs_f64(f64::from(self.jitter >> 4) / f64::from(clock.max(1)))
    }

    fn expected(&self) -> u64 {
        self.first.map_or(0, |first| (self.highest - first + 1).unsigned_abs())
    }

    /// A report block for `from` to send at `now`; begins a new interval.
    pub(super) fn report(&mut self, from: u32, now: u32) -> Report {
        let expected = self.expected();
        let in_interval = expected.saturating_sub(self.expected_before);
        let received = self.received.saturating_sub(self.received_before);
        (self.expected_before, self.received_before) = (expected, self.received);
        let lost = in_interval.saturating_sub(received);
        let fraction = (lost << 8).checked_div(in_interval).unwrap_or(0).min(255);
        let (last_sr, delay) = self.last_sr.map_or((0, 0), |(sr, came)| (sr, now.wrapping_sub(came)));
        Report {
            from,
            about: self.ssrc,
            fraction_lost: u8::try_from(fraction).unwrap_or(u8::MAX),
            lost: i32::try_from(self.lost()).unwrap_or(i32::MAX),
            // the unwrapped numbers begin one cycle up
            highest: (self.highest - (1 << 16)) as u32,
            jitter: self.jitter >> 4,
            last_sr,
            delay_since_last_sr: delay,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_packets_are_counted_over_the_wrap_and_by_interval() {
        let mut reception = Reception::of(7);
        for n in 0..100_u32 {
            if n % 10 != 9 {
                reception.packet(65_500_u16.wrapping_add(n as u16), n * 160, n * 160);
            }
        }
        let report = reception.report(1, 0);
        // the last of the hundred is not missed yet
        assert_eq!((report.lost, report.fraction_lost), (9, (9 * 256 / 99) as u8));
        assert_eq!(report.highest, 65_500 + 98);
        let report = reception.report(1, 0);
        assert_eq!((report.lost, report.fraction_lost), (9, 0));
    }

    #[test]
    fn a_sender_that_starts_its_numbers_over_lost_nothing() {
        let mut reception = Reception::of(7);
        for n in (0..100_u16).chain(30_000..30_100).chain(5_000..5_100) {
            reception.packet(n, 0, 0);
        }
        assert_eq!(reception.lost(), 0);
    }

    #[test]
    fn jitter_is_what_rfc_3550_says_it_is() {
        let mut reception = Reception::of(7);
        for n in 0..1000_u32 {
            // every other packet comes 10 ms late
            reception.packet(n as u16, n * 160, n * 160 + n % 2 * 80);
        }
        let jitter = reception.jitter(8_000).as_millis();
        assert!((9..=10).contains(&jitter), "{jitter}");
    }

    #[test]
    fn a_report_says_how_long_ago_the_senders_was() {
        let mut reception = Reception::of(7);
        reception.packet(1, 1, 1);
        reception.sender_report(0x0001_2222_3333_0004, u32::MAX);
        let report = reception.report(1, 65_535);
        assert_eq!((report.last_sr, report.delay_since_last_sr), (0x2222_3333, 65_536));
    }
}
