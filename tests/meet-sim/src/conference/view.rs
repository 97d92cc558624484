//! The conference as seen from outside: for tests, the control interface and the roster.

use super::{Conference, Person, space_of};
use crate::report::{MeetingInfo, ParticipantInfo, ReceivedStream, SentStream, Stage};
use crate::sfu::PeerId;
use crate::sfu::ingress::LayerIn;
use crate::sfu::layers::LayerChoice;
use crate::wire::{Member, ROSTER};
use std::time::Instant;

/// How a receiver watches somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watch {
    /// Size of the tile in pixels, width and height; without height it is not watched at all.
    pub shown: (u16, u16),
    /// The layer asked for.
    pub choice: LayerChoice,
}

impl Default for Watch {
    fn default() -> Self {
        Self { shown: (640, 360), choice: LayerChoice::Auto }
    }
}

impl Conference {
    /// All meetings.
    #[must_use]
    pub fn meetings(&self) -> Vec<MeetingInfo> {
        let count = |meeting: &str, stage| {
            self.people.values().filter(|p| p.meeting == meeting && p.stage == stage).count()
        };
        let info = |(id, meeting): (&String, &super::Meeting)| MeetingInfo {
            id: id.clone(),
            space: space_of(id),
            title: meeting.config.title.clone(),
            participants: count(id, Stage::Joined),
            waiting: count(id, Stage::Lobby),
            interop: meeting.config.interop,
            recording: meeting.recording,
            video_lock: meeting.config.video_lock,
            pin: meeting.config.pin.is_some(),
        };
        self.meetings.iter().map(info).collect()
    }

    /// Everybody in `meeting`, those in the lobby too, in the order in which they came.
    #[must_use]
    pub fn participants(&self, now: Instant, meeting: &str) -> Vec<ParticipantInfo> {
        let inside = self.people.values().filter(|person| person.meeting == meeting);
        inside.map(|person| self.info(now, person)).collect()
    }

    /// Who has this session, and where it stands.
    #[must_use]
    pub fn session(&self, session: &str) -> Option<(String, Stage)> {
        let person = self.people.values().find(|person| person.session == session)?;
        Some((person.device.clone(), person.stage))
    }

    /// Those who have joined, as `viewer` sees them: without itself.
    pub(super) fn members(&self, now: Instant, meeting: &str, viewer: PeerId) -> Vec<Member> {
        let others = self.people.iter().filter(|(id, person)| {
            **id != viewer && person.meeting == meeting && person.stage == Stage::Joined
        });
        others
            .take(ROSTER)
            .map(|(_, person)| Member {
                id: person.device.clone(),
                name: person.name.clone(),
                audio: !person.audio_muted && person.peer.loudness.is_heard(now),
                video: !person.video_muted && person.peer.layers.iter().any(|layer| layer.is_alive(now)),
            })
            .collect()
    }

    fn info(&self, now: Instant, person: &Person) -> ParticipantInfo {
        ParticipantInfo {
            device: person.device.clone(),
            name: person.name.clone(),
            kind: person.kind,
            call_id: person.call_id.clone(),
            stage: person.stage,
            connected: person.connected,
            audio_muted: person.audio_muted,
            video_muted: person.video_muted,
            sends: sends(now, person),
            receives: self.receives(person),
            estimate_bps: person.peer.estimate_bps(),
        }
    }

    fn receives(&self, person: &Person) -> Vec<ReceivedStream> {
        let device = |source: Option<PeerId>| Some(self.people.get(&source?)?.device.clone());
        let audio = person.peer.audio_slots.iter().map(|slot| ReceivedStream {
            mid: slot.mid.to_string(),
            codec: "opus".to_owned(),
            source: device(slot.source),
            rid: None,
            size: None,
            fps: slot.meter.fps(),
            bps: slot.meter.bps(),
            bytes: slot.meter.bytes,
            switches: 0,
        });
        let video = person.peer.video_slots.iter().map(|slot| ReceivedStream {
            mid: slot.mid.to_string(),
            codec: "VP8".to_owned(),
            source: device(slot.source),
            rid: slot.layer.flatten().map(|rid| rid.to_string()),
            size: slot.size,
            fps: slot.meter.fps(),
            bps: slot.meter.bps(),
            bytes: slot.meter.bytes,
            switches: slot.switches,
        });
        audio.chain(video).collect()
    }
}

fn sends(now: Instant, person: &Person) -> Vec<SentStream> {
    let sound = SentStream {
        codec: "opus".to_owned(),
        rid: None,
        size: None,
        fps: person.peer.audio.fps(),
        bps: person.peer.audio.bps(),
        bytes: person.peer.audio.bytes,
        packets: person.peer.audio.packets,
        frames: person.peer.audio.frames,
        key_frames: 0,
        alive: person.peer.loudness.is_heard(now),
    };
    let picture = |layer: &LayerIn| SentStream {
        codec: "VP8".to_owned(),
        rid: layer.rid.map(|rid| rid.to_string()),
        size: layer.size,
        fps: layer.meter.fps(),
        bps: layer.meter.bps(),
        bytes: layer.meter.bytes,
        packets: layer.meter.packets,
        frames: layer.meter.frames,
        key_frames: layer.keys,
        alive: layer.is_alive(now),
    };
    std::iter::once(sound).chain(person.peer.layers.iter().map(picture)).collect()
}
