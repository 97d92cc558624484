//! The conference: meetings, their participants, and what passes between them.
//!
//! ```text
//!  join ─ untrusted token ─▶ lobby ─ admitted ─▶ joined ─ left, kicked, meeting over, connection lost ─▶ (gone)
//!     └── trusted, browser ───────────────────────▲   └── lobby: rejected, nobody came within 30 s ────▶ (gone)
//! ```
//! It owns no socket and no clock: the run loop hands it datagrams and the time, and sends what it finds in the outbox.

mod departing;
mod floor;
mod seats;
mod view;

use self::departing::Departing;
use crate::config::{Config, MeetingConfig, Trust};
use crate::report::{ClientKind, LeaveReason, SimEvent, Stage};
use crate::sfu::PeerId;
use crate::sfu::layers::LayerChoice;
use crate::sfu::peer::{Content, Happened, Incoming, Lost, Peer};
use crate::sfu::rewrite::Counters;
use crate::sfu::slot::Forwarded;
use crate::sfu::speaker::Speaker;
use crate::wire::{self, Heard, NAME_CHARS, Notice};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};
use str0m::Input;
use str0m::net::Transmit;
use tokio::sync::broadcast;

pub use view::Watch;

/// A connection must be up this long after its join.
const CONNECT_WITHIN: Duration = Duration::from_secs(20);
/// Between two rounds of speakers, seats and layers.
const ROUND: Duration = Duration::from_millis(100);
/// How long a connection was silent already when it is first noticed.
const SILENT_BEFORE: Duration = Duration::from_secs(15);
/// Events remembered for those who ask later.
const HISTORY: usize = 4_096;
/// More wrong messages than this end a session.
const WRONG_MESSAGES: u32 = 100;

/// All meetings and everybody in them.
pub struct Conference {
    config: Config,
    local: SocketAddr,
    meetings: BTreeMap<String, Meeting>,
    people: BTreeMap<PeerId, Person>,
    departing: Vec<Departing>,
    dirty: BTreeSet<PeerId>,
    outbox: Vec<Transmit>,
    events: broadcast::Sender<SimEvent>,
    history: VecDeque<SimEvent>,
    forgotten: u64,
    random: StdRng,
    next_peer: u32,
    next_round: Instant,
}

struct Meeting {
    config: MeetingConfig,
    recording: bool,
    ended: bool,
    speaker: Speaker<PeerId>,
    devices: u32,
}

struct Person {
    peer: Peer,
    meeting: String,
    device: String,
    session: String,
    name: String,
    kind: ClientKind,
    call_id: Option<String>,
    stage: Stage,
    since: Instant,
    connected: bool,
    silent: Option<Instant>,
    locked: Option<Instant>,
    channel_open: bool,
    wrong: u32,
    audio_muted: bool,
    video_muted: bool,
    spoke: Option<Instant>,
    watches: Vec<(String, Watch)>,
    named_layers: BTreeMap<String, LayerChoice>,
    shown: Option<Notice>,
    roster: Option<Notice>,
}

/// Somebody who wants to join.
#[derive(Debug, Clone)]
pub struct Join {
    /// The number that is dialled.
    pub meeting: String,
    /// The PIN, if one was given.
    pub pin: Option<String>,
    /// Shown to people.
    pub name: String,
    /// On what.
    pub kind: ClientKind,
    /// The gateway's name of the call.
    pub call_id: Option<String>,
    /// Joins at once or waits.
    pub trust: Trust,
    /// Session description.
    pub offer: String,
}

/// Somebody who was let in, or into the lobby.
#[derive(Debug, Clone)]
pub struct Joined {
    /// `spaces/<id>`.
    pub space: String,
    /// `spaces/<id>/devices/<id>`.
    pub device: String,
    /// Secret name of the session.
    pub session: String,
    /// Where it stands.
    pub stage: Stage,
    /// Session description.
    pub answer: String,
}

/// Why a join is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// No meeting has this number.
    UnknownMeeting,
    /// The meeting is over.
    Ended,
    /// The PIN is missing or wrong.
    BadPin,
    /// Gateways may not join (W4).
    InteropOff,
    /// The host keeps everybody's video off (W5).
    VideoLocked,
    /// Nobody else has room.
    Full,
    /// The session description is of no use.
    BadOffer(String),
}

impl Conference {
    /// A conference whose media come and go at `local`.
    #[must_use]
    pub fn new(now: Instant, config: Config, local: SocketAddr, events: broadcast::Sender<SimEvent>) -> Self {
        let meetings =
            config.meetings.iter().map(|meeting| (meeting.id.clone(), Meeting::new(meeting))).collect();
        Self {
            config,
            local,
            meetings,
            people: BTreeMap::new(),
            departing: Vec::new(),
            dirty: BTreeSet::new(),
            outbox: Vec::new(),
            events,
            history: VecDeque::new(),
            forgotten: 0,
            random: StdRng::from_seed(rand_seed()),
            next_peer: 1,
            next_round: now,
        }
    }

    /// What it was started with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Lets somebody in, or says why not.
    ///
    /// # Errors
    /// The reason to refuse.
    pub fn join(&mut self, now: Instant, join: Join) -> Result<Joined, Refusal> {
        let result = self.try_join(now, join);
        self.settle(now);
        result
    }

    fn try_join(&mut self, now: Instant, join: Join) -> Result<Joined, Refusal> {
        let inside = self.people.values().filter(|person| person.meeting == join.meeting).count();
        let meeting = self.meetings.get_mut(&join.meeting).ok_or(Refusal::UnknownMeeting)?;
        if meeting.ended {
            return Err(Refusal::Ended);
        }
        if meeting.config.pin.is_some() && meeting.config.pin != join.pin {
            return Err(Refusal::BadPin);
        }
        if join.kind == ClientKind::Gateway && !meeting.config.interop {
            return Err(Refusal::InteropOff);
        }
        if join.kind == ClientKind::Gateway && meeting.config.video_lock {
            return Err(Refusal::VideoLocked);
        }
        if inside >= meeting.config.capacity {
            return Err(Refusal::Full);
        }
        let first = Counters {
            seq: self.random.random_range(1..30_000),
            rtp: self.random.random(),
            picture: Some(self.random.random_range(0..0x7fff)),
            tl0: Some(self.random.random()),
        };
        let (peer, answer) = Peer::accept(now, self.local, &join.offer, first)
            .map_err(|error| Refusal::BadOffer(format!("{error:#}")))?;
        meeting.devices += 1;
        let space = space_of(&join.meeting);
        let device = format!("{space}/devices/{}", meeting.devices);
        let id = PeerId(self.next_peer);
        self.next_peer += 1;
        let stage = match join.trust {
            Trust::Trusted => Stage::Joined,
            Trust::Untrusted => Stage::Lobby,
        };
        let session: u128 = self.random.random();
        let person = Person {
            peer,
            meeting: join.meeting,
            device: device.clone(),
            session: format!("{session:032x}"),
            name: trimmed(&join.name, NAME_CHARS),
            kind: join.kind,
            call_id: join.call_id,
            stage,
            since: now,
            connected: false,
            silent: None,
            locked: None,
            channel_open: false,
            wrong: 0,
            audio_muted: false,
            video_muted: false,
            spoke: None,
            watches: Vec::new(),
            named_layers: BTreeMap::new(),
            shown: None,
            roster: None,
        };
        let session = person.session.clone();
        let (name, kind) = (person.name.clone(), person.kind);
        self.people.insert(id, person);
        self.dirty.insert(id);
        match stage {
            Stage::Lobby => self.publish(SimEvent::Waiting { device: device.clone(), name }),
            Stage::Joined => self.publish(SimEvent::Joined { device: device.clone(), name, kind }),
        }
        self.next_round = now;
        Ok(Joined { space, device, session, stage, answer })
    }

    /// Takes a datagram from `source`.
    pub fn receive(&mut self, now: Instant, datagram: Input<'_>) {
        let found = self.people.iter_mut().find(|(_, person)| person.peer.accepts(&datagram));
        if let Some((id, person)) = found {
            person.peer.receive(datagram);
            self.dirty.insert(*id);
            self.settle(now);
        } else if let Some(departing) = self.departing.iter_mut().find(|one| one.accepts(&datagram)) {
            departing.receive(now, datagram, &mut |transmit| self.outbox.push(transmit));
        }
    }

    /// Lets time pass; returns when to come back.
    pub fn tick(&mut self, now: Instant) -> Instant {
        let due = self.people.iter().filter(|(_, person)| person.peer.wake <= now).map(|(id, _)| *id);
        self.dirty.extend(due);
        self.depart(now);
        if now >= self.next_round {
            self.next_round = now + ROUND;
            self.round(now);
        }
        self.settle(now);
        let wakes = self.people.values().map(|person| person.peer.wake);
        let last_words = self.departing.iter().map(Departing::wake);
        wakes.chain(last_words).fold(self.next_round, Instant::min)
    }

    /// What is to be sent.
    pub fn take_outbox(&mut self) -> Vec<Transmit> {
        std::mem::take(&mut self.outbox)
    }

    /// Everybody is told that it is over; the last words go out with the next ticks.
    pub fn stop(&mut self, now: Instant) {
        let everybody: Vec<_> = self.people.keys().copied().collect();
        for id in everybody {
            self.remove(now, id, LeaveReason::Stopped);
        }
        self.settle(now);
    }

    /// Whether nobody is there, not even on the way out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.people.is_empty() && self.departing.is_empty()
    }

    fn settle(&mut self, now: Instant) {
        while let Some(id) = self.dirty.pop_first() {
            let Some(person) = self.people.get_mut(&id) else { continue };
            let mut told = Vec::new();
            person.peer.tick(now);
            person.peer.drain(now, &mut |transmit| self.outbox.push(transmit), &mut |it| told.push(it));
            for happened in told {
                self.on(now, id, happened);
            }
        }
    }

    fn on(&mut self, now: Instant, id: PeerId, happened: Happened) {
        match happened {
            Happened::Connected => {
                let Some(person) = self.people.get_mut(&id) else { return };
                person.connected = true;
                let device = person.device.clone();
                self.publish(SimEvent::Connected { device });
            }
            Happened::ChannelOpen => {
                let Some(person) = self.people.get_mut(&id) else { return };
                person.channel_open = true;
                self.greet(now, id);
            }
            Happened::Text(text) => match wire::read(&text) {
                Heard::Request(request) => self.take(now, id, request),
                Heard::Unknown => {}
                Heard::Wrong => self.count_wrong(now, id),
            },
            Happened::Silent(silent) => {
                if let Some(person) = self.people.get_mut(&id) {
                    person.silent = silent.then_some(now);
                }
            }
            Happened::Packet(incoming) => self.forward(now, id, &incoming),
            Happened::NeedsKey(mid) => {
                let slot = |person: &Person| {
                    let slot = person.peer.video_slots.iter().find(|slot| slot.mid == mid)?;
                    Some((slot.source?, slot.layer?))
                };
                if let Some((source, layer)) = self.people.get(&id).and_then(slot) {
                    self.ask_key(now, source, layer);
                }
            }
            Happened::Lost(lost) => {
                let reason = match lost {
                    Lost::Closed => LeaveReason::Left,
                    Lost::Vanished => LeaveReason::ConnectionLost,
                };
                self.remove(now, id, reason);
            }
        }
    }

    fn count_wrong(&mut self, now: Instant, id: PeerId) {
        let Some(person) = self.people.get_mut(&id) else { return };
        person.wrong += 1;
        if person.wrong > WRONG_MESSAGES {
            self.remove(now, id, LeaveReason::BrokeProtocol);
        }
    }

    fn forward(&mut self, now: Instant, from: PeerId, incoming: &Incoming) {
        let Some(sender) = self.people.get(&from) else { return };
        let (meeting, device) = (sender.meeting.clone(), sender.device.clone());
        if let Content::Picture { layer, vp8, first: true } = incoming.content
            && let Some(size) = vp8.key
        {
            let rid = layer.map(|rid| rid.to_string());
            self.publish(SimEvent::FirstFrame { device: device.clone(), rid, size });
            self.next_round = now;
        }
        if sender_stage(&self.people, from) != Some(Stage::Joined) {
            return;
        }
        let mut switched = Vec::new();
        for (id, receiver) in &mut self.people {
            if *id == from || receiver.stage != Stage::Joined || receiver.meeting != meeting {
                continue;
            }
            match receiver.peer.forward(now, from, incoming) {
                Forwarded::No => continue,
                Forwarded::Sent => {}
                Forwarded::Switched => switched.push(receiver.device.clone()),
            }
            self.dirty.insert(*id);
        }
        for receiver in switched {
            let Content::Picture { layer, .. } = incoming.content else { continue };
            let rid = layer.map(|rid| rid.to_string());
            self.publish(SimEvent::Switched { device: receiver, source: device.clone(), rid });
        }
    }

    fn ask_key(&mut self, now: Instant, source: PeerId, layer: crate::sfu::slot::LayerName) {
        if let Some(sender) = self.people.get_mut(&source) {
            sender.peer.ask_key(now, layer);
            self.dirty.insert(source);
        }
    }

    /// Takes somebody out, with a last word where it can still hear one.
    fn remove(&mut self, now: Instant, id: PeerId, reason: LeaveReason) {
        let Some(person) = self.people.remove(&id) else { return };
        for other in self.people.values_mut() {
            other.forget(id);
        }
        if reason != LeaveReason::ConnectionLost {
            let mut send = |transmit| self.outbox.push(transmit);
            self.departing.push(Departing::new(now, person.peer, Notice::ended(reason).text(), &mut send));
        }
        self.publish(SimEvent::Left { device: person.device, reason });
        self.next_round = now;
    }

    fn depart(&mut self, now: Instant) {
        let outbox = &mut self.outbox;
        self.departing.retain_mut(|departing| departing.tick(now, &mut |transmit| outbox.push(transmit)));
    }

    /// Tells listeners what happened, and remembers it for those who ask later.
    pub fn publish(&mut self, event: SimEvent) {
        self.history.push_back(event.clone());
        if self.history.len() > HISTORY {
            self.history.pop_front();
            self.forgotten += 1;
        }
        // Nobody listening is no error.
        let _ = self.events.send(event);
    }

    /// What happened from event number `since` on, and the number of the next.
    #[must_use]
    pub fn happened(&self, since: u64) -> (u64, Vec<SimEvent>) {
        let skip = usize::try_from(since.saturating_sub(self.forgotten)).unwrap_or(usize::MAX);
        let next = self.forgotten + self.history.len() as u64;
        (next, self.history.iter().skip(skip).cloned().collect())
    }

    fn tell(&mut self, id: PeerId, notice: &Notice) {
        let Some(person) = self.people.get_mut(&id) else { return };
        if !person.channel_open {
            return;
        }
        if person.peer.say(&notice.text()) {
            self.dirty.insert(id);
        }
    }

    fn tell_all(&mut self, meeting: &str, notice: &Notice) {
        for id in self.joined_in(meeting) {
            self.tell(id, notice);
        }
    }

    fn joined_in(&self, meeting: &str) -> Vec<PeerId> {
        let joined = |person: &Person| person.meeting == meeting && person.stage == Stage::Joined;
        self.people.iter().filter(|(_, person)| joined(person)).map(|(id, _)| *id).collect()
    }

    fn id_of(&self, device: &str) -> Option<PeerId> {
        self.people.iter().find(|(_, person)| person.device == device).map(|(id, _)| *id)
    }
}

impl Meeting {
    fn new(config: &MeetingConfig) -> Self {
        Self {
            config: config.clone(),
            recording: false,
            ended: false,
            speaker: Speaker::default(),
            devices: 0,
        }
    }
}

impl Person {
    fn watch_of(&self, device: &str) -> Watch {
        let watch = self.watches.iter().find(|(known, _)| known == device).map(|(_, watch)| *watch);
        let choice = self.named_layers.get(device).copied().unwrap_or_default();
        Watch { choice, ..watch.unwrap_or_default() }
    }

    fn forget(&mut self, id: PeerId) {
        for slot in self.peer.audio_slots.iter_mut().filter(|slot| slot.source == Some(id)) {
            slot.bind(None);
        }
        for slot in self.peer.video_slots.iter_mut().filter(|slot| slot.source == Some(id)) {
            slot.bind(None);
        }
    }
}

fn sender_stage(people: &BTreeMap<PeerId, Person>, id: PeerId) -> Option<Stage> {
    people.get(&id).map(|person| person.stage)
}

fn space_of(meeting: &str) -> String {
    format!("spaces/{meeting}")
}

fn trimmed(text: &str, most: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(most).collect()
}

fn rand_seed() -> [u8; 32] {
    let mut seed = [0; 32];
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    seed[..16].copy_from_slice(&since.as_nanos().to_le_bytes());
    seed[16..20].copy_from_slice(&std::process::id().to_le_bytes());
    seed
}
