//! What one sender sends: its layers with their sizes, rates and key frames, and its sound.

use super::layers::Layer;
use super::vp8::{PictureSize, Vp8Packet};
use std::time::{Duration, Instant};
use str0m::media::{Mid, Rid};

/// A layer without a packet for this long is not offered to receivers.
const ALIVE: Duration = Duration::from_millis(1_500);
/// Between two key frame requests for one layer.
const KEY_REQUEST_GAP: Duration = Duration::from_millis(300);
/// Rates are counted over windows of this length.
const WINDOW: Duration = Duration::from_millis(1_000);

/// Bits, packets and frames per second of one stream.
#[derive(Debug, Default)]
pub struct Meter {
    /// Octets of payload since the beginning.
    pub bytes: u64,
    /// Packets since the beginning.
    pub packets: u64,
    /// Frames since the beginning.
    pub frames: u64,
    since: Option<Instant>,
    window: (u64, u64),
    rate: Option<(u64, f32)>,
}

impl Meter {
    /// Counts one packet.
    pub fn count(&mut self, now: Instant, octets: usize, starts_frame: bool) {
        let octets = octets as u64;
        self.bytes += octets;
        self.packets += 1;
        self.frames += u64::from(starts_frame);
        let since = *self.since.get_or_insert(now);
        let passed = now.saturating_duration_since(since);
        if passed >= WINDOW {
            let seconds = passed.as_secs_f64();
            self.rate = Some((
                (self.window.0 as f64 * 8.0 / seconds) as u64,
                (self.window.1 as f64 / seconds) as f32,
            ));
            self.window = (0, 0);
            self.since = Some(now);
        }
        self.window.0 += octets;
        self.window.1 += u64::from(starts_frame);
    }

    /// Bits per second over the last whole window; of the first window so far while there is none.
    #[must_use]
    pub fn bps(&self) -> u64 {
        self.rate.map_or(self.window.0 * 8, |(bps, _)| bps)
    }

    /// Frames per second over the last whole window.
    #[must_use]
    pub fn fps(&self) -> f32 {
        self.rate.map_or(self.window.1 as f32, |(_, fps)| fps)
    }
}

/// One simulcast layer as it arrives.
#[derive(Debug)]
pub struct LayerIn {
    /// The m-line it arrives on.
    pub mid: Mid,
    /// Its name; none without simulcast.
    pub rid: Option<Rid>,
    /// Size of the last key frame.
    pub size: Option<PictureSize>,
    /// Key frames since the beginning.
    pub keys: u64,
    /// How much arrives.
    pub meter: Meter,
    last: Instant,
    asked: Option<Instant>,
}

impl LayerIn {
    /// A layer whose first packet arrives now.
    #[must_use]
    pub fn new(now: Instant, mid: Mid, rid: Option<Rid>) -> Self {
        Self { mid, rid, size: None, keys: 0, meter: Meter::default(), last: now, asked: None }
    }

    /// Takes one packet; true if it begins the first key frame of the layer.
    pub fn take(&mut self, now: Instant, octets: usize, packet: Vp8Packet) -> bool {
        self.last = now;
        self.meter.count(now, octets, packet.starts_frame);
        let Some(size) = packet.key else { return false };
        self.size = Some(size);
        self.keys += 1;
        self.keys == 1
    }

    /// Whether packets came lately.
    #[must_use]
    pub fn is_alive(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) < ALIVE
    }

    /// Whether a key frame may be asked for now; remembers that it was.
    pub fn may_ask_key(&mut self, now: Instant) -> bool {
        let free = self.asked.is_none_or(|at| now.saturating_duration_since(at) >= KEY_REQUEST_GAP);
        if free {
            self.asked = Some(now);
        }
        free
    }

    /// As the layer choice sees it; none before its first key frame.
    #[must_use]
    pub fn offer(&self) -> Option<Layer> {
        self.size.map(|size| Layer { width: size.width, height: size.height, bps: self.meter.bps() })
    }
}

/// The layers that can be forwarded now, smallest first.
#[must_use]
pub fn offered(layers: &[LayerIn], now: Instant) -> Vec<&LayerIn> {
    let mut alive: Vec<_> =
        layers.iter().filter(|layer| layer.is_alive(now) && layer.size.is_some()).collect();
    alive.sort_by_key(|layer| layer.size.map(|size| u32::from(size.width) * u32::from(size.height)));
    alive
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(width: u16, height: u16) -> Vp8Packet {
        Vp8Packet { starts_frame: true, key: Some(PictureSize { width, height }) }
    }

    #[test]
    fn layers_are_offered_smallest_first_and_only_while_they_live() {
        let now = Instant::now();
        let mut layers = ["f", "q", "h"].map(|rid| LayerIn::new(now, "v".into(), Some(rid.into())));
        for (layer, size) in layers.iter_mut().zip([(640, 360), (160, 90), (320, 180)]) {
            assert!(layer.take(now, 100, key(size.0, size.1)));
        }
        let names = |now| offered(&layers, now).iter().map(|layer| layer.rid).collect::<Vec<_>>();
        assert_eq!(names(now), [Some("q".into()), Some("h".into()), Some("f".into())]);
        assert_eq!(names(now + ALIVE), []);
    }

    #[test]
    fn a_rate_is_that_of_the_last_second() {
        let start = Instant::now();
        let mut meter = Meter::default();
        for frame in 0..31 {
            meter.count(start + Duration::from_millis(frame * 1000 / 15), 1_000, true);
        }
        assert!((110_000..130_000).contains(&meter.bps()), "{}", meter.bps());
        assert!((14.0..16.0).contains(&meter.fps()), "{}", meter.fps());
    }

    #[test]
    fn key_frames_are_not_asked_for_more_often_than_they_can_come() {
        let now = Instant::now();
        let mut layer = LayerIn::new(now, "v".into(), None);
        assert!(layer.may_ask_key(now));
        assert!(!layer.may_ask_key(now + KEY_REQUEST_GAP / 2));
        assert!(layer.may_ask_key(now + KEY_REQUEST_GAP));
    }
}
