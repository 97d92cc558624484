//! What comes in on one receive m-line: str0m's frames become ours, with the time of capture on our clock.

use crate::clock::{PeerClock, Report, StreamClock};
use crate::keyframes::Wanted;
use crate::sound::Sound;
use base::{Beat, Codec, EncodedFrame, MediaKind, MediaTime, earliest, limits};
use bytes::Bytes;
use std::time::Instant;
use str0m::format::Codec as RtcCodec;
use str0m::media::{MediaData, Mid};

/// One receive m-line.
#[derive(Debug)]
pub(crate) struct Slot {
    mid: Mid,
    name: String,
    kind: MediaKind,
    clock: StreamClock,
    wanted: Wanted,
    sound: Sound,
    loss: Loss,
}

/// What became of a frame.
pub(crate) enum Delivery {
    /// A picture, at once.
    Frame(EncodedFrame),
    /// Sound: it waits in the jitter buffer.
    Later,
    /// Nothing we can use.
    Dropped,
}

/// Counts what never came, by sequence numbers.
#[derive(Debug, Default)]
struct Loss {
    first: Option<u64>,
    highest: u64,
    taken: u64,
}

impl Slot {
    pub fn new(mid: Mid, kind: MediaKind, beat: Beat) -> Self {
        Self {
            mid,
            name: mid.to_string(),
            kind,
            clock: StreamClock::default(),
            wanted: Wanted::default(),
            sound: Sound::new(beat),
            loss: Loss::default(),
        }
    }

    pub const fn mid(&self) -> Mid {
        self.mid
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub const fn kind(&self) -> MediaKind {
        self.kind
    }

    /// Packets that never came.
    pub fn lost(&self) -> u64 {
        self.loss.lost()
    }

    /// Takes a frame of str0m's.
    pub fn deliver(&mut self, now: Instant, data: MediaData, clock: &mut PeerClock) -> Delivery {
        let codec = match data.params.spec().codec {
            RtcCodec::Opus => Codec::Opus,
            RtcCodec::Vp8 => Codec::Vp8,
            _ => return Delivery::Dropped,
        };
        if data.data.is_empty() || data.data.len() > limits::VIDEO_FRAME_BYTES {
            return Delivery::Dropped;
        }
        let (first, last) = (**data.seq_range.start(), **data.seq_range.end());
        self.loss.note(first, last);
        let report =
            data.last_sender_info.map(|info| Report { ntp: info.ntp_time, rtp: wrap(info.rtp_time.numer()) });
        let rtp = wrap(data.time.numer());
        let captured = clock.captured(&mut self.clock, report, rtp, codec.rtp_clock(), data.network_time);
        let key = codec.kind() == MediaKind::Audio || data.is_keyframe();
        // Sound may have waited on its socket for the beat; its jitter is that of the network alone.
        let came = if codec.kind() == MediaKind::Audio { data.network_time } else { now };
        let frame = EncodedFrame {
            codec,
            captured,
            arrived: clock.at(came),
            key,
            contiguous: data.contiguous,
            data: Bytes::from_owner(data.data),
        };
        if codec.kind() == MediaKind::Audio {
            self.sound.push(came, sequence(first), rtp, frame);
            return Delivery::Later;
        }
        if key {
            self.wanted.came();
        } else if !frame.contiguous {
            self.wanted.want(now);
        }
        Delivery::Frame(frame)
    }

    /// Plays the sound that is due.
    pub fn play(&mut self, now: Instant, arrived: MediaTime, out: impl FnMut(EncodedFrame)) {
        self.sound.play(now, arrived, out);
    }

    /// Somebody else's media from here on.
    pub fn restart(&mut self) {
        self.sound.restart();
    }

    pub fn want_key(&mut self, now: Instant) {
        if self.kind != MediaKind::Audio {
            self.wanted.want(now);
        }
    }

    /// Whether to ask the peer for a key frame now.
    pub fn key_due(&mut self, now: Instant) -> bool {
        self.wanted.timeout(now)
    }

    pub fn wake(&self) -> Option<Instant> {
        earliest(self.wanted.due(), self.sound.wake())
    }
}

impl Loss {
    fn note(&mut self, start: u64, end: u64) {
        self.first.get_or_insert(start);
        self.highest = self.highest.max(end);
        self.taken += end.saturating_sub(start) + 1;
    }

    fn lost(&self) -> u64 {
        let Some(first) = self.first else { return 0 };
        (self.highest.saturating_sub(first) + 1).saturating_sub(self.taken)
    }
}

/// The sequence number as it is on the wire.
#[allow(clippy::cast_possible_truncation, reason = "RTP sequence numbers wrap at 16 bits")]
const fn sequence(extended: u64) -> u16 {
    extended as u16
}

/// The timestamp as it is on the wire.
#[allow(clippy::cast_possible_truncation, reason = "RTP timestamps wrap at 32 bits")]
const fn wrap(extended: u64) -> u32 {
    extended as u32
}
