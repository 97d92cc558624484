//! Who is in which slot: each occupant of a slot is a stream of its own, whose name is never used again.

use super::wire::{SlotEntry, Source};
use base::ids::{ParticipantId, StreamId};
use base::leg::{RecvStream, StreamStats};
use base::{Codec, EncodedFrame, MediaKind};
use std::time::{Duration, Instant};
use webrtc::{RecvTrack, TrackStats};

/// The first name of a received stream; those below are of streams sent.
const FIRST: u32 = 16;
/// How long the first key frame of a new picture may take before it is asked for.
const PATIENCE: Duration = Duration::from_millis(300);

/// All slots.
#[derive(Debug)]
pub(crate) struct Streams {
    occupants: Vec<Option<Occupant>>,
    next: u32,
}

#[derive(Debug)]
struct Occupant {
    stream: StreamId,
    participant: ParticipantId,
    kind: MediaKind,
    /// Set until the first key frame: when to ask for it.
    waiting: Option<Instant>,
    /// The slot's figures when it moved in.
    before: Option<TrackStats>,
}

impl Streams {
    /// For `count` slots, all empty.
    pub fn new(count: usize) -> Self {
        Self { occupants: (0..count).map(|_| None).collect(), next: FIRST }
    }

    /// Takes the slots as they are now; returns the tracks whose occupant changed.
    pub fn assign(
        &mut self,
        now: Instant,
        entries: &[SlotEntry],
        slot: impl Fn(&str) -> Option<(RecvTrack, MediaKind)>,
        figures: &[TrackStats],
    ) -> Vec<RecvTrack> {
        let mut wanted: Vec<Option<(&ParticipantId, MediaKind)>> = vec![None; self.occupants.len()];
        for entry in entries {
            if let Some((track, kind)) = slot(&entry.mid)
                && let Some(wanted) = wanted.get_mut(usize::from(track.0))
            {
                *wanted = Some((&entry.participant, kind_of(kind, entry.source)));
            }
        }
        let mut changed = Vec::new();
        for (track, wanted) in (0_u8..).map(RecvTrack).zip(wanted) {
            let before = figures.iter().find(|stats| stats.track == webrtc::Track::Recv(track)).copied();
            if self.move_in(now, track, wanted, before) {
                changed.push(track);
            }
        }
        changed
    }

    /// The stream a frame belongs to; `None` if nobody is in the slot, or the picture has not begun yet.
    pub fn stream(&mut self, track: RecvTrack, frame: &EncodedFrame) -> Option<StreamId> {
        let occupant = self.occupants.get_mut(usize::from(track.0))?.as_mut()?;
        if frame.key {
            occupant.waiting = None;
        }
        occupant.waiting.is_none().then_some(occupant.stream)
    }

    /// The track that a stream is on now.
    pub fn track(&self, stream: StreamId) -> Option<RecvTrack> {
        let at = self
            .occupants
            .iter()
            .position(|occupant| occupant.as_ref().is_some_and(|occupant| occupant.stream == stream))?;
        u8::try_from(at).ok().map(RecvTrack)
    }

    /// The tracks whose first key frame is due to be asked for.
    pub fn impatient(&mut self, now: Instant) -> Vec<RecvTrack> {
        let tracks = (0_u8..).map(RecvTrack).zip(&mut self.occupants);
        let due = tracks.filter_map(|(track, occupant)| {
            let waiting = occupant.as_mut()?.waiting.as_mut().filter(|at| **at <= now)?;
            *waiting = now + 4 * PATIENCE;
            Some(track)
        });
        due.collect()
    }

    /// When a key frame is due to be asked for.
    pub fn wake(&self) -> Option<Instant> {
        self.occupants.iter().flatten().filter_map(|occupant| occupant.waiting).min()
    }

    /// All streams there are.
    pub fn recv(&self) -> Vec<RecvStream> {
        let occupants = self.occupants.iter().flatten();
        let streams = occupants.map(|occupant| RecvStream {
            id: occupant.stream,
            kind: occupant.kind,
            codec: codec(occupant.kind),
            participant: Some(occupant.participant.clone()),
        });
        streams.collect()
    }

    /// A slot's figures as its occupant's.
    pub fn figures(&self, track: RecvTrack, stats: &TrackStats) -> Option<StreamStats> {
        let occupant = self.occupants.get(usize::from(track.0))?.as_ref()?;
        let before = |field: fn(&TrackStats) -> u64| occupant.before.as_ref().map_or(0, field);
        Some(StreamStats {
            stream: occupant.stream,
            direction: stats.track.direction(),
            kind: occupant.kind,
            codec: stats.codec,
            packets: stats.packets.saturating_sub(before(|stats| stats.packets)),
            bytes: stats.bytes.saturating_sub(before(|stats| stats.bytes)),
            lost: stats.lost.saturating_sub(before(|stats| stats.lost)),
            jitter: stats.jitter,
            round_trip: stats.round_trip,
        })
    }

    fn move_in(
        &mut self,
        now: Instant,
        track: RecvTrack,
        wanted: Option<(&ParticipantId, MediaKind)>,
        before: Option<TrackStats>,
    ) -> bool {
        let Some(occupant) = self.occupants.get_mut(usize::from(track.0)) else { return false };
        let same = match (&occupant, wanted) {
            (None, None) => true,
            (Some(occupant), Some((participant, kind))) => {
                occupant.participant == *participant && occupant.kind == kind
            }
            _ => false,
        };
        if same {
            return false;
        }
        *occupant = wanted.map(|(participant, kind)| {
            let stream = StreamId(self.next);
            self.next = self.next.wrapping_add(1).max(FIRST);
            let waiting = (kind != MediaKind::Audio).then(|| now + PATIENCE);
            Occupant { stream, participant: participant.clone(), kind, waiting, before }
        });
        true
    }
}

const fn kind_of(slot: MediaKind, source: Source) -> MediaKind {
    match (slot, source) {
        (MediaKind::Audio, _) => MediaKind::Audio,
        (_, Source::Screen) => MediaKind::Content,
        (_, Source::Camera | Source::Other) => MediaKind::Video,
    }
}

const fn codec(kind: MediaKind) -> Codec {
    match kind {
        MediaKind::Audio => Codec::Opus,
        MediaKind::Video | MediaKind::Content => Codec::Vp8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::MediaTime;
    use bytes::Bytes;

    fn entry(mid: &str, device: u32, source: Source) -> SlotEntry {
        let participant = ParticipantId(format!("spaces/1/devices/{device}"));
        SlotEntry { mid: mid.to_owned(), participant, source }
    }

    fn slot(mid: &str) -> Option<(RecvTrack, MediaKind)> {
        match mid {
            "a" => Some((RecvTrack(0), MediaKind::Audio)),
            "v" => Some((RecvTrack(1), MediaKind::Video)),
            _ => None,
        }
    }

    fn picture(key: bool) -> EncodedFrame {
        let at = MediaTime(0);
        EncodedFrame {
            codec: Codec::Vp8,
            captured: at,
            arrived: at,
            key,
            contiguous: true,
            data: Bytes::new(),
        }
    }

    #[test]
    fn a_new_occupant_of_a_slot_is_a_new_stream_and_the_same_one_is_not() {
        let now = Instant::now();
        let mut streams = Streams::new(2);
        let both =
            [entry("a", 2, Source::Camera), entry("v", 2, Source::Camera), entry("?", 2, Source::Camera)];
        assert_eq!(streams.assign(now, &both, slot, &[]), [RecvTrack(0), RecvTrack(1)]);
        let first = streams.recv();
        assert!(streams.assign(now, &both, slot, &[]).is_empty());
        assert_eq!(streams.recv(), first);

        let other = [entry("a", 2, Source::Camera), entry("v", 3, Source::Camera)];
        assert_eq!(streams.assign(now, &other, slot, &[]), [RecvTrack(1)]);
        let second = streams.recv();
        assert_eq!(first[0], second[0]);
        assert_ne!(first[1].id, second[1].id);

        streams.assign(now, &both, slot, &[]);
        assert!(!first.iter().chain(&second).any(|stream| stream.id == streams.recv()[1].id));
    }

    #[test]
    fn a_picture_begins_with_its_key_frame_which_is_asked_for_if_it_does_not_come() {
        let now = Instant::now();
        let mut streams = Streams::new(2);
        streams.assign(now, &[entry("v", 2, Source::Screen)], slot, &[]);
        assert_eq!(streams.recv()[0].kind, MediaKind::Content);
        assert_eq!(streams.stream(RecvTrack(1), &picture(false)), None);
        assert!(streams.impatient(now).is_empty());
        assert_eq!(streams.impatient(streams.wake().unwrap()), [RecvTrack(1)]);
        let stream = streams.stream(RecvTrack(1), &picture(true)).unwrap();
        assert_eq!(streams.stream(RecvTrack(1), &picture(false)), Some(stream));
        assert_eq!(streams.wake(), None);
        assert_eq!(streams.track(stream), Some(RecvTrack(1)));
    }

    #[test]
    fn an_empty_slot_has_no_stream() {
        let now = Instant::now();
        let mut streams = Streams::new(2);
        streams.assign(now, &[entry("v", 2, Source::Camera)], slot, &[]);
        streams.assign(now, &[], slot, &[]);
        assert_eq!(streams.stream(RecvTrack(1), &picture(true)), None);
        assert!(streams.recv().is_empty());
    }
}
