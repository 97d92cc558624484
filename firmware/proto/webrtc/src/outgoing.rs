//! The picture on its way out: layers that wait for room, what is still in str0m's pacer, and requests for key frames.

use crate::cap::{Cap, Picture};
use crate::keyframes::INTERVAL;
use crate::peer::Layer;
use crate::unsent::Unsent;
use base::{EncodedFrame, earliest};
use rtp::Throttle;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use str0m::Rtc;
use str0m::media::{Frequency, MediaTime, Mid, Pt, Rid};

/// Longest a picture waits for room; after that its layer is skipped until the next key frame.
const HOLD: Duration = Duration::from_millis(250);
/// Most pictures of one layer waiting.
const HELD: usize = 16;
/// Least time between skipping a layer and asking for the key frame that revives it.
const REVIVE: Duration = Duration::from_millis(1_000);
/// What str0m has not sent by then it has thrown away.
const STUCK: Duration = Duration::from_secs(3);

/// What may be sent next.
pub(crate) enum Verdict {
    /// This picture.
    Send {
        /// In this layer.
        rid: Rid,
        /// The picture.
        frame: EncodedFrame,
    },
    /// Nothing now.
    Nothing,
}

/// All layers of the one picture sent.
#[derive(Debug)]
pub(crate) struct Outgoing {
    mid: Option<Mid>,
    layers: Vec<Way>,
    skipped: u64,
}

#[derive(Debug)]
struct Way {
    rid: Rid,
    ssrc: Option<u32>,
    held: VecDeque<(Instant, EncodedFrame)>,
    pacing: VecDeque<Pacing>,
    /// Set when a picture was skipped: what follows can't be decoded until a key frame.
    broken: bool,
    revive: Option<Instant>,
    keys: Throttle,
}

/// A picture that str0m has and has not sent whole.
#[derive(Debug)]
struct Pacing {
    since: Instant,
    rtp: u32,
    bytes: u64,
}

impl Outgoing {
    pub fn new(mid: Option<Mid>, layers: &[Layer]) -> Self {
        let layers = layers.iter().map(|layer| Way::new(layer.rid)).collect();
        Self { mid, layers, skipped: 0 }
    }

    pub const fn mid(&self) -> Option<Mid> {
        self.mid
    }

    pub const fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The index of the layer called `rid`.
    pub fn layer(&self, rid: Rid) -> Option<u8> {
        self.layers.iter().position(|way| way.rid == rid).and_then(|at| u8::try_from(at).ok())
    }

    /// Notes which SSRC each layer has, once the answer is taken, and withholds its stream.
    pub fn learn_ssrcs(&mut self, rtc: &mut Rtc, unsent: &mut Unsent) {
        let Some(mid) = self.mid else { return };
        for way in &mut self.layers {
            way.ssrc = rtc.direct_api().stream_tx_by_mid(mid, Some(way.rid)).map(|stream| *stream.ssrc());
            unsent.withhold(rtc, mid, Some(way.rid));
        }
    }

    /// Takes a picture; [`next`](Outgoing::next) gives it back when there is room.
    pub fn push(&mut self, now: Instant, layer: usize, frame: &EncodedFrame) {
        let Some(way) = self.layers.get_mut(layer) else { return };
        if frame.data.is_empty() {
            return;
        }
        if frame.key {
            self.skipped += way.held.len() as u64;
            way.held.clear();
            way.broken = false;
            way.revive = None;
        }
        if way.broken {
            self.skipped += 1;
        } else if way.held.len() < HELD {
            way.held.push_back((now, frame.clone()));
        } else {
            self.skipped += 1 + way.skip(now);
        }
    }

    /// The next picture that has room, the smallest layer first. What waited too long is skipped.
    pub fn next(&mut self, now: Instant, cap: &mut Cap) -> Verdict {
        let mut queued = self.queued(now);
        for smaller in 0..self.layers.len() {
            let way = &mut self.layers[smaller];
            let Some((since, frame)) = way.held.front() else { continue };
            if cap.admits(now, picture(smaller, frame), queued) {
                let Some((_, frame)) = way.held.pop_front() else { continue };
                let bytes = cap.wire_bytes(frame.data.len());
                way.pacing.push_back(Pacing { since: now, rtp: frame.captured.rtp(VP8_HZ), bytes });
                return Verdict::Send { rid: way.rid, frame };
            }
            if *since + HOLD <= now {
                self.skipped += way.skip(now);
            } else {
                // What waits in a smaller layer is not overtaken by a larger one.
                queued += way.held.iter().map(|(_, frame)| cap.wire_bytes(frame.data.len())).sum::<u64>();
            }
        }
        Verdict::Nothing
    }

    /// A packet of a picture leaves, `bytes` long on the wire.
    pub fn leaves(&mut self, rtp_packet: &[u8], bytes: u64) {
        let Some(([_, marker, ..], rest)) = rtp_packet.split_first_chunk::<4>() else { return };
        let Some((rtp, rest)) = rest.split_first_chunk::<4>() else { return };
        let Some((ssrc, _)) = rest.split_first_chunk::<4>() else { return };
        let (rtp, ssrc) = (u32::from_be_bytes(*rtp), u32::from_be_bytes(*ssrc));
        if let Some(way) = self.layers.iter_mut().find(|way| way.ssrc == Some(ssrc)) {
            way.leaves(rtp, bytes, marker & 0x80 != 0);
        }
    }

    /// The peer wants a key frame of the layer `rid`; which layer to pass on now, if any.
    pub fn ask_key(&mut self, now: Instant, mid: Mid, rid: Option<Rid>) -> Option<u8> {
        if Some(mid) != self.mid {
            return None;
        }
        let layer = self.layer(rid?)?;
        self.layers.get_mut(usize::from(layer))?.keys.ask(now).then_some(layer)
    }

    /// A layer whose key frame is due to be asked for now.
    pub fn key_due(&mut self, now: Instant) -> Option<u8> {
        let at = self.layers.iter_mut().position(|way| {
            if way.revive.is_some_and(|at| at <= now) {
                way.revive = None;
                way.keys.ask(now)
            } else {
                way.keys.timeout(now)
            }
        })?;
        u8::try_from(at).ok()
    }

    /// When there is something to do.
    pub fn wake(&self, cap: &Cap) -> Option<Instant> {
        let queued = self.layers.iter().flat_map(|way| &way.pacing).map(|pacing| pacing.bytes).sum();
        self.layers.iter().enumerate().fold(None, |wake, (smaller, way)| {
            let held = way.held.front().map(|(since, frame)| {
                let room = cap.admits_at(picture(smaller, frame), queued);
                room.map_or(*since + HOLD, |at| at.min(*since + HOLD))
            });
            earliest(wake, earliest(held, earliest(way.revive, way.keys.due())))
        })
    }

    /// Bytes in the pacer.
    fn queued(&mut self, now: Instant) -> u64 {
        for way in &mut self.layers {
            while way.pacing.front().is_some_and(|pacing| pacing.since + STUCK <= now) {
                way.pacing.pop_front();
            }
        }
        self.layers.iter().flat_map(|way| &way.pacing).map(|pacing| pacing.bytes).sum()
    }
}

const VP8_HZ: u32 = 90_000;

impl Way {
    fn new(rid: &str) -> Self {
        Self {
            rid: Rid::from(rid),
            ssrc: None,
            held: VecDeque::new(),
            pacing: VecDeque::new(),
            broken: false,
            revive: None,
            keys: Throttle::new(INTERVAL),
        }
    }

    /// Gives up what waits; returns how many pictures that were.
    fn skip(&mut self, now: Instant) -> u64 {
        let count = self.held.len() as u64;
        self.held.clear();
        self.broken = true;
        self.revive = Some(now + REVIVE);
        count
    }

    fn leaves(&mut self, rtp: u32, bytes: u64, last: bool) {
        let Some(at) = self.pacing.iter().position(|pacing| pacing.rtp == rtp) else { return };
        self.pacing.drain(..at);
        if last {
            self.pacing.pop_front();
        } else if let Some(pacing) = self.pacing.front_mut() {
            pacing.bytes = pacing.bytes.saturating_sub(bytes);
        }
    }
}

const fn picture(smaller: usize, frame: &EncodedFrame) -> Picture {
    Picture { smaller, len: frame.data.len(), key: frame.key }
}

/// Hands a frame to str0m; says whether it was taken. Sender reports are made from `captured` and the frame's timestamp, so
/// they must be the same moment, and not in the future.
pub(crate) fn write(
    rtc: &mut Rtc,
    mid: Mid,
    rid: Option<Rid>,
    pt: Pt,
    captured: Instant,
    frame: &EncodedFrame,
) -> bool {
    let Some(writer) = rtc.writer(mid) else { return false };
    let writer = match rid {
        Some(rid) => writer.rid(rid),
        None => writer,
    };
    let hz = frame.codec.rtp_clock();
    let Some(frequency) = Frequency::new(hz) else { return false };
    let time = MediaTime::new(frame.captured.rtp(hz).into(), frequency);
    writer.write(pt, captured, time, Arc::<[u8]>::from(&*frame.data)).is_ok()
}
