//! Who speaks: from the audio levels in the RTP packets (RFC 6464), smoothed, and slow to change its mind.

use std::time::{Duration, Instant};

/// One participant's loudness over the last moments.
#[derive(Debug, Clone, Copy)]
pub struct Loudness {
    score: f32,
    at: Option<Instant>,
}

/// Level in -dBov that a packet without a level, or silence, has.
pub const SILENCE: u8 = 127;
/// Loudness from which somebody counts as speaking: about -55 dBov.
const SPEAKS: f32 = 72.0;
/// How much louder another must be to take over.
const MARGIN: f32 = 6.0;
/// How long whoever speaks stays the active speaker at least.
pub const HOLD: Duration = Duration::from_millis(1_000);
/// Weight of one packet; at 50 packets a second half of it is forgotten in about 0.14 s.
const WEIGHT: f32 = 0.1;
/// After this without packets one is silent.
const STALE: Duration = Duration::from_millis(500);

impl Default for Loudness {
    fn default() -> Self {
        Self { score: 0.0, at: None }
    }
}

impl Loudness {
    /// Takes the level of one packet, in -dBov (0 is loudest, 127 silence).
    pub fn hear(&mut self, now: Instant, level: u8) {
        let loud = f32::from(SILENCE.saturating_sub(level.min(SILENCE)));
        self.score += (loud - self.score) * WEIGHT;
        self.at = Some(now);
    }

    /// Whether packets came lately.
    #[must_use]
    pub fn is_heard(&self, now: Instant) -> bool {
        self.at.is_some_and(|at| now.saturating_duration_since(at) < STALE)
    }

    /// From 0 (silent) to 127.
    #[must_use]
    pub fn score(&self, now: Instant) -> f32 {
        match self.at {
            Some(at) if now.saturating_duration_since(at) < STALE => self.score,
            _ => 0.0,
        }
    }
}

/// After this much silence nobody is the active speaker.
const QUIET: Duration = Duration::from_secs(2);

/// The active speaker of one meeting.
#[derive(Debug)]
pub struct Speaker<Id> {
    current: Option<(Id, Instant)>,
    quiet: Option<Instant>,
}

/// The active speaker is another now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<Id> {
    /// This one.
    To(Id),
    /// Nobody.
    Nobody,
}

impl<Id> Default for Speaker<Id> {
    fn default() -> Self {
        Self { current: None, quiet: None }
    }
}

impl<Id: Copy + Eq> Speaker<Id> {
    /// Who speaks now.
    #[must_use]
    pub fn current(&self) -> Option<Id> {
        self.current.map(|(id, _)| id)
    }

    /// Chooses among `loudness`; returns the speaker if it changed.
    pub fn elect(&mut self, now: Instant, loudness: &[(Id, f32)]) -> Option<Change<Id>> {
        let loudest = loudness.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1));
        let Some((loudest, score)) = loudest.filter(|(_, score)| *score >= SPEAKS) else {
            return self.fall_quiet(now, loudness);
        };
        self.quiet = None;
        if let Some((id, since)) = self.current
            && let Some((_, held)) = loudness.iter().find(|(other, _)| *other == id)
        {
            let early = now.saturating_duration_since(since) < HOLD;
            if id == loudest || early || score < held + MARGIN {
                return None;
            }
        }
        self.current = Some((loudest, now));
        Some(Change::To(loudest))
    }

    fn fall_quiet(&mut self, now: Instant, loudness: &[(Id, f32)]) -> Option<Change<Id>> {
        let (id, _) = self.current?;
        let since = *self.quiet.get_or_insert(now);
        let gone = loudness.iter().all(|(other, _)| *other != id);
        (gone || now.saturating_duration_since(since) >= QUIET).then(|| {
            (self.current, self.quiet) = (None, None);
            Change::Nobody
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_talks_becomes_the_speaker_and_a_cough_does_not_take_over() {
        let start = Instant::now();
        let mut speaker = Speaker::default();
        assert_eq!(speaker.elect(start, &[(1, 20.0), (2, 40.0)]), None);
        assert_eq!(speaker.elect(start, &[(1, 90.0), (2, 40.0)]), Some(Change::To(1)));
        let early = start + HOLD / 2;
        assert_eq!(speaker.elect(early, &[(1, 40.0), (2, 100.0)]), None);
        let later = start + HOLD;
        assert_eq!(speaker.elect(later, &[(1, 97.0), (2, 100.0)]), None);
        assert_eq!(speaker.elect(later, &[(1, 40.0), (2, 100.0)]), Some(Change::To(2)));
        assert_eq!(speaker.current(), Some(2));
    }

    #[test]
    fn a_pause_keeps_the_speaker_and_a_silence_does_not() {
        let start = Instant::now();
        let mut speaker = Speaker::default();
        speaker.elect(start, &[(1, 90.0), (2, 10.0)]);
        assert_eq!(speaker.elect(start, &[(1, 0.0), (2, 0.0)]), None);
        assert_eq!(speaker.elect(start + QUIET / 2, &[(1, 90.0), (2, 0.0)]), None);
        assert_eq!(speaker.elect(start + QUIET, &[(1, 0.0), (2, 0.0)]), None);
        assert_eq!(speaker.elect(start + QUIET * 2, &[(1, 0.0), (2, 0.0)]), Some(Change::Nobody));
        assert_eq!(speaker.current(), None);
    }

    #[test]
    fn whoever_left_is_replaced_at_once() {
        let start = Instant::now();
        let mut speaker = Speaker::default();
        speaker.elect(start, &[(1, 90.0), (2, 10.0)]);
        assert_eq!(speaker.elect(start, &[(2, 80.0)]), Some(Change::To(2)));
        assert_eq!(speaker.elect(start, &[]), Some(Change::Nobody));
    }

    #[test]
    fn loudness_rises_with_speech_and_falls_to_nothing_without_packets() {
        let start = Instant::now();
        let mut loudness = Loudness::default();
        for packet in 0..50 {
            loudness.hear(start + Duration::from_millis(20 * packet), 20);
        }
        assert!(loudness.score(start + Duration::from_secs(1)) > SPEAKS);
        assert!(loudness.score(start + Duration::from_secs(2)) < 1.0);
    }
}
