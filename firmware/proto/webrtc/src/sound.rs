//! Received sound on its way through the jitter buffer: packets as they come in, frames at a steady pace out.

use base::{Beat, Codec, EncodedFrame, MediaTime};
use bytes::Bytes;
use rtp::jitter::{JitterBuffer, Playout};
use std::time::{Duration, Instant};

const HZ: u32 = 48_000;

/// The sound of one receive m-line.
#[derive(Debug)]
pub(crate) struct Sound {
    buffer: JitterBuffer<EncodedFrame>,
    last: Option<(u32, MediaTime)>,
}

impl Sound {
    /// Sound that is played out on `beat`.
    pub fn new(beat: Beat) -> Self {
        Self { buffer: JitterBuffer::new(HZ, beat), last: None }
    }

    /// Takes the packet with this sequence number and timestamp.
    pub fn push(&mut self, now: Instant, sequence: u16, timestamp: u32, frame: EncodedFrame) {
        self.buffer.push(now, sequence, timestamp, frame);
    }

    /// Hands out what is due; an empty frame stands for a lost one.
    pub fn play(&mut self, now: Instant, arrived: MediaTime, mut out: impl FnMut(EncodedFrame)) {
        while let Some(playout) = self.buffer.pop(now) {
            match playout {
                Playout::Frame { timestamp, payload, contiguous } => {
                    self.last = Some((timestamp, payload.captured));
                    out(EncodedFrame { contiguous, ..payload });
                }
                Playout::Lost { timestamp } => out(self.concealment(timestamp, arrived)),
            }
        }
    }

    /// Somebody else's sound from here on; what was learnt of the network stays.
    pub fn restart(&mut self) {
        self.buffer.reset();
        self.last = None;
    }

    pub fn wake(&self) -> Option<Instant> {
        self.buffer.poll_at()
    }

    fn concealment(&self, timestamp: u32, arrived: MediaTime) -> EncodedFrame {
        let captured = self.last.map_or(arrived, |(then, captured)| {
            let ticks = timestamp.wrapping_sub(then).cast_signed();
            captured + Duration::from_nanos(u64::try_from(ticks).unwrap_or(0) * 1_000_000_000 / u64::from(HZ))
        });
        EncodedFrame {
            codec: Codec::Opus,
            captured,
            arrived,
            key: true,
            contiguous: true,
            data: Bytes::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_packet_is_one_empty_frame_at_its_own_time() {
        let start = Instant::now();
        let mut sound = Sound::new(Beat::of(start));
        let ms = Duration::from_millis;
        for n in (0..10_u32).filter(|n| *n != 5) {
            let captured = MediaTime::from_duration(ms(20 * u64::from(n)));
            let frame = EncodedFrame {
                codec: Codec::Opus,
                captured,
                arrived: captured,
                key: true,
                contiguous: true,
                data: Bytes::from_static(b"opus"),
            };
            sound.push(start + ms(20 * u64::from(n)), n as u16, 960 * n, frame);
        }
        let mut heard = Vec::new();
        while let Some(at) = sound.wake().filter(|at| *at < start + ms(600)) {
            let before = heard.len();
            sound.play(at, MediaTime::at(start, at), |frame| heard.push(frame));
            if heard.iter().filter(|frame| !frame.data.is_empty()).count() == 9 || heard.len() == before {
                break;
            }
        }
        let lost: Vec<_> = heard.iter().filter(|frame| frame.data.is_empty()).collect();
        assert_eq!(lost.len(), 1);
        assert_eq!(lost[0].captured.since_epoch(), ms(100));
    }
}
