//! What a browser in probe mode measured of what it sees and hears, as it reported it.
//!
//! All times are milliseconds of that browser's own clock (`performance.now()`).

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most entries of each kind kept of one remote; the oldest go first.
const ENTRIES: usize = 20_000;
/// Most remotes of one browser.
const REMOTES: usize = 64;
/// Most browsers kept.
const BROWSERS: usize = 256;

/// All that one browser reported.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ProbeReport {
    /// The browser's device.
    pub participant: String,
    /// How it sees and hears each of the others, by device.
    pub remotes: BTreeMap<String, RemoteProbe>,
}

/// How a browser sees and hears one other.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RemoteProbe {
    /// The name shown.
    pub name: String,
    /// Each picture presented.
    pub frames: Vec<FrameSeen>,
    /// The strongest pitch, every 100 ms.
    pub pitches: Vec<Pitch>,
    /// When beeps began.
    pub beeps: Vec<f64>,
    /// When the flash lit up.
    pub flashes: Vec<f64>,
    /// The newest statistics of the browser for its picture.
    pub video: Option<InboundVideo>,
    /// The newest statistics of the browser for its sound.
    pub audio: Option<InboundAudio>,
}

/// One picture presented.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FrameSeen {
    /// Media time in seconds.
    pub media_time: f64,
    /// When it was presented, in milliseconds.
    pub at: f64,
    /// The test pattern's number, if it could be read.
    pub number: Option<u16>,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

/// The strongest pitch of a moment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Pitch {
    /// When, in milliseconds.
    pub at: f64,
    /// Hz.
    pub hz: f32,
    /// Level in dB below full scale, negative.
    pub db: f32,
}

/// `RTCInboundRtpStreamStats` of a picture.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InboundVideo {
    /// When, in milliseconds.
    pub at: f64,
    /// Pixels across.
    pub frame_width: u32,
    /// Pixels down.
    pub frame_height: u32,
    /// Frames decoded in all.
    pub frames_decoded: u64,
    /// Frames dropped in all.
    pub frames_dropped: u64,
    /// Frames per second.
    pub frames_per_second: f64,
    /// Key frames decoded in all.
    pub key_frames_decoded: u64,
    /// Times that the picture stood still.
    pub freeze_count: u64,
    /// Octets in all.
    pub bytes_received: u64,
    /// Packets lost in all.
    pub packets_lost: i64,
    /// Key frame requests sent.
    pub pli_count: u64,
    /// NTP time of the sender at which the frame shown now was captured, in milliseconds.
    pub estimated_playout_timestamp: f64,
}

/// `RTCInboundRtpStreamStats` of sound.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InboundAudio {
    /// When, in milliseconds.
    pub at: f64,
    /// Octets in all.
    pub bytes_received: u64,
    /// Packets lost in all.
    pub packets_lost: i64,
    /// Samples made up in all.
    pub concealed_samples: u64,
    /// Samples in all.
    pub total_samples_received: u64,
    /// Level, 0 to 1.
    pub audio_level: f64,
    /// NTP time of the sender at which the sound heard now was captured, in milliseconds.
    pub estimated_playout_timestamp: f64,
}

/// Reports and snapshots of all browsers.
#[derive(Debug, Default)]
pub struct Probes {
    reports: BTreeMap<String, ProbeReport>,
    snapshots: BTreeMap<(String, String), Vec<u8>>,
}

impl Probes {
    /// Adds what `participant` measured since its last report.
    pub fn add(&mut self, participant: &str, remotes: BTreeMap<String, RemoteProbe>) {
        if self.reports.len() >= BROWSERS && !self.reports.contains_key(participant) {
            return;
        }
        let report = self.reports.entry(participant.to_owned()).or_default();
        participant.clone_into(&mut report.participant);
        for (device, news) in remotes {
            if report.remotes.len() >= REMOTES && !report.remotes.contains_key(&device) {
                continue;
            }
            let known = report.remotes.entry(device).or_default();
            known.name = news.name;
            append(&mut known.frames, news.frames);
            append(&mut known.pitches, news.pitches);
            append(&mut known.beeps, news.beeps);
            append(&mut known.flashes, news.flashes);
            known.video = news.video.or(known.video.take());
            known.audio = news.audio.or(known.audio.take());
        }
    }

    /// Keeps the newest picture (PNG) that `participant` sees of `remote`.
    pub fn keep_snapshot(&mut self, participant: &str, remote: &str, png: Vec<u8>) {
        let key = (participant.to_owned(), remote.to_owned());
        if self.snapshots.len() < BROWSERS * REMOTES || self.snapshots.contains_key(&key) {
            self.snapshots.insert(key, png);
        }
    }

    /// All that `participant` reported.
    #[must_use]
    pub fn report(&self, participant: &str) -> Option<ProbeReport> {
        self.reports.get(participant).cloned()
    }

    /// The newest picture (PNG) that `participant` sees of `remote`.
    #[must_use]
    pub fn snapshot(&self, participant: &str, remote: &str) -> Option<Vec<u8>> {
        self.snapshots.get(&(participant.to_owned(), remote.to_owned())).cloned()
    }
}

fn append<T>(known: &mut Vec<T>, news: Vec<T>) {
    known.extend(news);
    let surplus = known.len().saturating_sub(ENTRIES);
    known.drain(..surplus);
}

impl RemoteProbe {
    /// How much later the sound is than the picture, in milliseconds, for each flash with a beep within half a second.
    #[must_use]
    pub fn lip_skews(&self) -> Vec<f64> {
        let nearest = |flash: &f64| {
            let skews = self.beeps.iter().map(|beep| beep - flash).filter(|skew| skew.abs() < 500.0);
            skews.min_by(|a, b| a.abs().total_cmp(&b.abs()))
        };
        self.flashes.iter().filter_map(nearest).collect()
    }

    /// The numbers read from the test pattern, in the order in which they were seen.
    #[must_use]
    pub fn numbers(&self) -> Vec<u16> {
        self.frames.iter().filter_map(|frame| frame.number).collect()
    }

    /// The size of the picture presented last.
    #[must_use]
    pub fn last_size(&self) -> Option<(u32, u32)> {
        self.frames.last().map(|frame| (frame.width, frame.height))
    }

    /// The share of the pitches from `since` (milliseconds) on that are within `hz` ± `within`.
    #[must_use]
    pub fn share_at(&self, hz: f32, within: f32, since: f64) -> f32 {
        let heard = self.pitches.iter().filter(|pitch| pitch.at >= since);
        let (right, all) = heard.fold((0_u32, 0_u32), |(right, all), pitch| {
            (right + u32::from((pitch.hz - hz).abs() <= within), all + 1)
        });
        if all == 0 { 0.0 } else { right as f32 / all as f32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_add_up_and_stay_bounded() {
        let mut probes = Probes::default();
        let news = RemoteProbe { beeps: vec![1.0; ENTRIES], ..RemoteProbe::default() };
        for _ in 0..3 {
            probes.add("a", BTreeMap::from([("b".to_owned(), news.clone())]));
        }
        let report = probes.report("a").unwrap();
        assert_eq!(report.remotes["b"].beeps.len(), ENTRIES);
        assert_eq!(probes.report("b"), None);
    }

    #[test]
    fn lips_are_measured_from_each_flash_to_its_beep() {
        let probe = RemoteProbe {
            flashes: vec![1_000.0, 2_000.0, 9_000.0],
            beeps: vec![1_020.0, 1_985.0],
            ..RemoteProbe::default()
        };
        assert_eq!(probe.lip_skews(), [20.0, -15.0]);
    }
}
