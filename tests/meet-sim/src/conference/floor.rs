//! What goes on in a meeting: who speaks, who sits in whose slots, what people say and ask for.

use super::view::Watch;
use super::{CONNECT_WITHIN, Conference, Person, SILENT_BEFORE, seats, trimmed};
use crate::report::{ClientKind, LeaveReason, SimEvent, Stage};
use crate::sfu::PeerId;
use crate::sfu::layers::{self, LayerChoice};
use crate::sfu::speaker::Change;
use crate::wire::{CHAT_CHARS, Notice, Request, SlotLine};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Added to the loudness of who is heard already, so that two of the same loudness do not take turns.
const HEARD_BONUS: f32 = 10.0;
/// How long a gateway may take to leave by itself when the host locks video.
const LOCKED_FOR: Duration = Duration::from_secs(3);

impl Conference {
    /// A round every tenth of a second: deadlines, speakers, seats, layers, key frames.
    pub(super) fn round(&mut self, now: Instant) {
        self.deadlines(now);
        let meetings: Vec<String> = self.meetings.keys().cloned().collect();
        for meeting in &meetings {
            self.elect(now, meeting);
        }
        for id in self.people.keys().copied().collect::<Vec<_>>() {
            self.show_roster(now, id);
            self.seat(now, id);
            self.choose_layers(now, id);
        }
    }

    fn deadlines(&mut self, now: Instant) {
        let lobby = self.config.lobby;
        let consent = self.config.consent.saturating_sub(SILENT_BEFORE);
        let passed = |since: Instant, limit: Duration| now.saturating_duration_since(since) >= limit;
        let over = |person: &Person| {
            if person.stage == Stage::Lobby && passed(person.since, lobby) {
                Some(LeaveReason::LobbyTimeout)
            } else if !person.connected && passed(person.since, CONNECT_WITHIN) {
                Some(LeaveReason::NeverConnected)
            } else if person.silent.is_some_and(|since| passed(since, consent)) {
                Some(LeaveReason::ConnectionLost)
            } else if person.locked.is_some_and(|since| passed(since, LOCKED_FOR)) {
                Some(LeaveReason::VideoLocked)
            } else {
                None
            }
        };
        let ended: Vec<_> =
            self.people.iter().filter_map(|(id, person)| Some((*id, over(person)?))).collect();
        for (id, reason) in ended {
            self.remove(now, id, reason);
        }
    }

    fn elect(&mut self, now: Instant, meeting: &str) {
        let joined = self.joined_in(meeting);
        let loudness: Vec<_> = joined
            .iter()
            .filter_map(|id| Some((*id, self.people.get(id)?.peer.loudness.score(now))))
            .collect();
        let Some(known) = self.meetings.get_mut(meeting) else { return };
        let device = match known.speaker.elect(now, &loudness) {
            None => return,
            Some(Change::Nobody) => None,
            Some(Change::To(elected)) => self.people.get_mut(&elected).map(|person| {
                person.spoke = Some(now);
                person.device.clone()
            }),
        };
        self.publish(SimEvent::Speaker { meeting: meeting.to_owned(), device: device.clone() });
        // A speaker isn't told of itself.
        for id in joined {
            let own = self.people.get(&id).is_some_and(|person| Some(&person.device) == device.as_ref());
            if !own {
                self.tell(id, &Notice::Speaker { participant: device.clone() });
            }
        }
    }

    fn seat(&mut self, now: Instant, id: PeerId) {
        let Some(person) = self.people.get(&id) else { return };
        // Nobody is put into a slot before its receiver can be told so.
        if person.stage != Stage::Joined || !person.channel_open {
            return;
        }
        let others: Vec<PeerId> =
            self.joined_in(&person.meeting).into_iter().filter(|other| *other != id).collect();
        let (seen, heard) = (self.ranked_by_sight(id, &others), self.ranked_by_sound(now, id, &others));
        let Some(person) = self.people.get_mut(&id) else { return };
        let mut video: Vec<_> = person.peer.video_slots.iter().map(|slot| slot.source).collect();
        let mut audio: Vec<_> = person.peer.audio_slots.iter().map(|slot| slot.source).collect();
        seats::assign(&mut video, &seen);
        if video.len() == audio.len() {
            // As many of each: they are pairs, so that a browser can keep lips and voice of one together.
            audio.clone_from(&video);
        } else {
            seats::assign(&mut audio, &heard);
        }
        for (slot, source) in person.peer.video_slots.iter_mut().zip(video) {
            slot.bind(source);
        }
        for (slot, source) in person.peer.audio_slots.iter_mut().zip(audio) {
            slot.bind(source);
        }
        self.show_slots(id);
    }

    /// Those the viewer asked for, best first; then those with a picture, by who spoke last; then whoever came first.
    fn ranked_by_sight(&self, viewer: PeerId, others: &[PeerId]) -> Vec<PeerId> {
        let watches = self.people.get(&viewer).map(|person| person.watches.as_slice()).unwrap_or_default();
        let mut ranked = others.to_vec();
        ranked.sort_by_key(|id| {
            let person = self.people.get(id);
            let asked = watches.iter().position(|(device, _)| person.is_some_and(|p| p.device == *device));
            let dark = person.is_none_or(|person| person.video_muted || person.peer.layers.is_empty());
            (asked.unwrap_or(usize::MAX), dark, Reverse(person.and_then(|person| person.spoke)), *id)
        });
        ranked
    }

    fn ranked_by_sound(&self, now: Instant, listener: PeerId, others: &[PeerId]) -> Vec<PeerId> {
        let heard = |id: PeerId| {
            let slots = self.people.get(&listener).map(|person| person.peer.audio_slots.as_slice());
            slots.unwrap_or_default().iter().any(|slot| slot.source == Some(id))
        };
        let mut ranked: Vec<_> = others
            .iter()
            .filter_map(|id| {
                let score = self.people.get(id)?.peer.loudness.score(now);
                Some((*id, score + if heard(*id) { HEARD_BONUS } else { 0.0 }))
            })
            .collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
        ranked.into_iter().map(|(id, _)| id).collect()
    }

    fn show_slots(&mut self, id: PeerId) {
        let Some(person) = self.people.get(&id) else { return };
        let audio = person.peer.audio_slots.iter().map(|slot| (slot.mid, slot.source));
        let video = person.peer.video_slots.iter().map(|slot| (slot.mid, slot.source));
        let slots = audio.chain(video).filter_map(|(mid, source)| {
            let participant = self.people.get(&source?)?.device.clone();
            Some(SlotLine { mid: mid.to_string(), participant, source: "camera" })
        });
        let notice = Notice::Slots { slots: slots.collect() };
        let Some(person) = self.people.get_mut(&id) else { return };
        if person.shown.as_ref() != Some(&notice) {
            person.shown = Some(notice.clone());
            self.tell(id, &notice);
        }
    }

    fn choose_layers(&mut self, now: Instant, id: PeerId) {
        let Some(receiver) = self.people.get(&id) else { return };
        let mut wishes = Vec::new();
        for (at, slot) in receiver.peer.video_slots.iter().enumerate() {
            let Some(source) = slot.source.and_then(|id| self.people.get(&id)) else { continue };
            let watch = receiver.watch_of(&source.device);
            if watch.shown.1 == 0 {
                continue;
            }
            let wish = source.peer.wish(now, watch.choice, watch.shown, slot.layer);
            wishes.push((at, watch.shown.1, wish, source.peer.layer_names(now)));
        }
        // The largest tile is served first.
        wishes.sort_by_key(|(at, height, _, _)| (Reverse(*height), *at));
        let plain: Vec<_> = wishes.iter().map(|(_, _, wish, _)| wish.clone()).collect();
        let Some(receiver) = self.people.get_mut(&id) else { return };
        let chosen = layers::choose(&plain, receiver.peer.budget_bps(now));
        let desired = layers::desired_bps(&plain);
        let mut targets = BTreeMap::new();
        for ((at, _, _, names), chosen) in wishes.iter().zip(chosen) {
            if let Some(name) = chosen.and_then(|index| names.get(index)) {
                targets.insert(*at, *name);
            }
        }
        let Some(receiver) = self.people.get_mut(&id) else { return };
        receiver.peer.set_desired_bps(desired);
        let mut keys = Vec::new();
        for (at, slot) in receiver.peer.video_slots.iter_mut().enumerate() {
            slot.target = targets.get(&at).copied();
            if let (Some(source), Some(layer)) = (slot.source, slot.waits_for()) {
                keys.push((source, layer));
            }
        }
        self.dirty.insert(id);
        for (source, layer) in keys {
            self.ask_key(now, source, layer);
        }
    }

    /// Tells somebody whose channel has just opened how things stand.
    pub(super) fn greet(&mut self, now: Instant, id: PeerId) {
        match self.people.get(&id).map(|person| person.stage) {
            Some(Stage::Joined) => self.welcome(now, id),
            Some(Stage::Lobby) => self.tell(id, &Notice::LOBBY),
            None => {}
        }
    }

    fn welcome(&mut self, now: Instant, id: PeerId) {
        self.tell(id, &Notice::JOINED);
        self.show_roster(now, id);
        self.seat(now, id);
        let Some(meeting) = self.people.get(&id).and_then(|person| self.meetings.get(&person.meeting)) else {
            return;
        };
        let speaker = meeting.speaker.current().filter(|speaker| *speaker != id);
        let (recording, locked) = (meeting.recording, meeting.config.video_lock);
        self.tell(id, &Notice::Indicators { recording, streaming: false });
        if locked {
            self.tell(id, &Notice::VideoLock { locked });
        }
        if let Some(speaker) = speaker.and_then(|id| self.people.get(&id)) {
            let participant = Some(speaker.device.clone());
            self.tell(id, &Notice::Speaker { participant });
        }
        self.next_round = now;
    }

    fn show_roster(&mut self, now: Instant, id: PeerId) {
        let Some(person) = self.people.get(&id) else { return };
        if person.stage != Stage::Joined || !person.channel_open {
            return;
        }
        let notice = Notice::Roster { participants: self.members(now, &person.meeting, id) };
        let Some(person) = self.people.get_mut(&id) else { return };
        if person.roster.as_ref() != Some(&notice) {
            person.roster = Some(notice.clone());
            self.tell(id, &notice);
        }
    }

    /// Does what somebody asks for over the data channel.
    pub(super) fn take(&mut self, now: Instant, id: PeerId, request: Request) {
        let Some(person) = self.people.get_mut(&id) else { return };
        let (device, name, meeting) = (person.device.clone(), person.name.clone(), person.meeting.clone());
        match request {
            Request::Leave => self.remove(now, id, LeaveReason::Left),
            Request::Watch { pictures } => {
                for picture in &pictures {
                    if let Some(layer) = picture.layer {
                        person.named_layers.insert(picture.participant.clone(), layer);
                    }
                }
                let watch = |shown| Watch { shown, choice: LayerChoice::Auto };
                person.watches = pictures
                    .into_iter()
                    .map(|picture| (picture.participant, watch((picture.width, picture.height))))
                    .collect();
                self.next_round = now;
            }
            Request::Dtmf { key } => self.publish(SimEvent::Dtmf { device, key }),
            Request::Mute { audio, video } => {
                (person.audio_muted, person.video_muted) = (audio, video);
                self.publish(SimEvent::Muted { device, audio, video });
                self.next_round = now;
            }
            // Whoever waits in the lobby has nobody to write to.
            Request::Chat { .. } if person.stage == Stage::Lobby => {}
            Request::Chat { text } => {
                let text = trimmed(&text, CHAT_CHARS);
                self.publish(SimEvent::Chat { device: device.clone(), text: text.clone() });
                for other in self.joined_in(&meeting).into_iter().filter(|other| *other != id) {
                    let notice =
                        Notice::Chat { from: device.clone(), name: name.clone(), text: text.clone() };
                    self.tell(other, &notice);
                }
            }
        }
    }

    /// Lets somebody in from the lobby; false if nobody of this name waits there.
    pub fn admit(&mut self, now: Instant, device: &str) -> bool {
        let Some(id) = self.id_of(device) else { return false };
        let Some(person) = self.people.get_mut(&id).filter(|person| person.stage == Stage::Lobby) else {
            return false;
        };
        person.stage = Stage::Joined;
        let (name, kind) = (person.name.clone(), person.kind);
        self.publish(SimEvent::Joined { device: device.to_owned(), name, kind });
        self.welcome(now, id);
        self.settle(now);
        true
    }

    /// Takes somebody out; false if nobody has this name.
    pub fn expel(&mut self, now: Instant, device: &str, reason: LeaveReason) -> bool {
        let id = self.id_of(device);
        if let Some(id) = id {
            self.remove(now, id, reason);
            self.settle(now);
        }
        id.is_some()
    }

    /// Ends a meeting for everybody in it; false if there is none of this number.
    pub fn end_meeting(&mut self, now: Instant, meeting: &str) -> bool {
        let inside = self.people.iter().filter(|(_, person)| person.meeting == meeting);
        for id in inside.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.remove(now, id, LeaveReason::MeetingEnded);
        }
        self.settle(now);
        self.meetings.get_mut(meeting).map(|meeting| meeting.ended = true).is_some()
    }

    /// Opens a meeting again that was ended; false if there is none of this number.
    pub fn reopen(&mut self, meeting: &str) -> bool {
        self.meetings.get_mut(meeting).map(|meeting| meeting.ended = false).is_some()
    }

    /// Begins or ends recording; false if there is no such meeting.
    pub fn set_recording(&mut self, now: Instant, meeting: &str, on: bool) -> bool {
        let Some(known) = self.meetings.get_mut(meeting) else { return false };
        known.recording = on;
        self.publish(SimEvent::Recording { meeting: meeting.to_owned(), on });
        self.tell_all(meeting, &Notice::Indicators { recording: on, streaming: false });
        self.settle(now);
        true
    }

    /// Lets gateways in from now on, or puts out those that are in; false if there is no such meeting.
    pub fn set_interop(&mut self, now: Instant, meeting: &str, on: bool) -> bool {
        let Some(known) = self.meetings.get_mut(meeting) else { return false };
        known.config.interop = on;
        for id in self.gateways_in(meeting).into_iter().filter(|_| !on) {
            self.remove(now, id, LeaveReason::InteropDisabled);
        }
        self.settle(now);
        true
    }

    /// The host turns participants' video off, or back on: gateways must leave, as nobody can keep their rooms from
    /// sending. False if there is no such meeting.
    pub fn set_video_lock(&mut self, now: Instant, meeting: &str, locked: bool) -> bool {
        let Some(known) = self.meetings.get_mut(meeting) else { return false };
        known.config.video_lock = locked;
        self.tell_all(meeting, &Notice::VideoLock { locked });
        for id in self.gateways_in(meeting) {
            if let Some(person) = self.people.get_mut(&id) {
                person.locked = locked.then_some(now);
            }
        }
        self.settle(now);
        true
    }

    fn gateways_in(&self, meeting: &str) -> Vec<PeerId> {
        let gateway = |person: &Person| person.meeting == meeting && person.kind == ClientKind::Gateway;
        self.people.iter().filter(|(_, person)| gateway(person)).map(|(id, _)| *id).collect()
    }

    /// Chooses the layer `device` is sent of `source`; false if nobody has this name.
    pub fn set_layer(&mut self, now: Instant, device: &str, source: &str, layer: LayerChoice) -> bool {
        let Some(id) = self.id_of(device) else { return false };
        let Some(person) = self.people.get_mut(&id) else { return false };
        person.named_layers.insert(source.to_owned(), layer);
        self.publish(SimEvent::Layer { device: device.to_owned(), source: source.to_owned(), layer });
        self.next_round = now;
        self.dirty.insert(id);
        self.settle(now);
        true
    }
}
