//! How much may be sent, by the loss the peer reports (additive or rather gentle increase, decrease by half the loss)
//! and by the bounds it asks for (TMMBR, REMB).
//!
//! The thresholds are those of the loss-based part of draft-ietf-rmcat-gcc-02, section 6.

use std::time::{Duration, Instant};

/// No call is worth less.
const FLOOR_BPS: u64 = 64_000;
/// Loss below which more is tried, in 256ths: 2 %.
const LITTLE: u8 = 5;
/// Loss above which less is sent: 10 %.
const MUCH: u8 = 26;
/// In each second without loss, counting no more than so many between two reports.
const INCREASE: f64 = 1.08;
const MOST_SECONDS: f64 = 5.0;
/// Least time between two steps of either way.
const STEP: Duration = Duration::from_millis(900);
/// A change worth telling, as a part of the whole.
const WORTH: u64 = 20;

/// The estimate for one stream.
#[derive(Debug)]
pub(super) struct Bandwidth {
    max: u64,
    estimate: f64,
    asked: Option<u64>,
    remb: Option<u64>,
    told: u64,
    stepped: Option<Instant>,
}

impl Bandwidth {
    pub(super) fn new(max: u64) -> Self {
        Self { max, estimate: max as f64, asked: None, remb: None, told: max, stepped: None }
    }

    /// Signalling settled another bound.
    pub(super) fn set_max(&mut self, max: u64) {
        if max != self.max {
            *self = Self::new(max);
        }
    }

    /// The peer reported loss, in 256ths.
    pub(super) fn loss(&mut self, now: Instant, fraction: u8) -> Option<u64> {
        let since = self.stepped.map_or(STEP, |stepped| now.saturating_duration_since(stepped));
        if since < STEP {
            return None;
        }
        self.stepped = Some(now);
        let factor = match fraction {
            0..LITTLE => INCREASE.powf(since.as_secs_f64().min(MOST_SECONDS)),
            LITTLE..=MUCH => 1.0,
            _ => 1.0 - f64::from(fraction) / 512.0,
        };
        self.estimate = (self.estimate * factor).clamp(FLOOR_BPS as f64, self.max.max(FLOOR_BPS) as f64);
        self.tell()
    }

    /// The peer asked for no more than this (RFC 5104 4.2.1).
    pub(super) fn tmmbr(&mut self, bps: u64) -> Option<u64> {
        self.asked = Some(bps);
        self.tell()
    }

    /// The peer estimates that this much arrives.
    pub(super) fn remb(&mut self, bps: u64) -> Option<u64> {
        self.remb = Some(bps);
        self.tell()
    }

    fn value(&self) -> u64 {
        let bounds = self.max.min(self.asked.unwrap_or(u64::MAX)).min(self.remb.unwrap_or(u64::MAX));
        (self.estimate as u64).min(bounds).max(FLOOR_BPS)
    }

    fn tell(&mut self) -> Option<u64> {
        let value = self.value();
        let worth =
            value.abs_diff(self.told) >= self.told / WORTH || value == self.max && self.told != self.max;
        if !worth || value == self.told {
            return None;
        }
        self.told = value;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn much_loss_lowers_it_and_none_raises_it_up_to_what_was_settled() {
        let (mut bandwidth, mut now) = (Bandwidth::new(1_000_000), Instant::now());
        assert_eq!(bandwidth.loss(now, 128), Some(750_000));
        // too soon for another step
        assert_eq!(bandwidth.loss(now, 128), None);
        let mut last = 750_000;
        for _ in 0..10 {
            now += Duration::from_secs(1);
            if let Some(bps) = bandwidth.loss(now, 0) {
                assert!(bps > last);
                last = bps;
            }
        }
        assert_eq!(last, 1_000_000);
    }

    #[test]
    fn moderate_loss_changes_nothing_and_total_loss_ends_at_the_floor() {
        let (mut bandwidth, mut now) = (Bandwidth::new(1_000_000), Instant::now());
        assert_eq!(bandwidth.loss(now, 15), None);
        for _ in 0..20 {
            now += Duration::from_secs(1);
            bandwidth.loss(now, 255);
        }
        assert_eq!(bandwidth.told, FLOOR_BPS);
    }

    #[test]
    fn the_peers_bounds_hold_and_can_be_lifted() {
        let mut bandwidth = Bandwidth::new(1_000_000);
        assert_eq!(bandwidth.tmmbr(400_000), Some(400_000));
        assert_eq!(bandwidth.remb(300_000), Some(300_000));
        assert_eq!(bandwidth.remb(900_000), Some(400_000));
        assert_eq!(bandwidth.tmmbr(0), Some(FLOOR_BPS));
        assert_eq!(bandwidth.tmmbr(u64::MAX), Some(900_000));
    }
}
