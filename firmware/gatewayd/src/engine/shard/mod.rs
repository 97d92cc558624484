//! A shard: one thread, one loop, and the calls it owns.
//!
//! ```text
//!  wait for the first of: sockets, channel, workers, time ─▶ Event ─▶ handle ─▶ turn calls, endpoint, plane ─▶ flush ─┐
//!     ▲────────────────────────────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//! Nothing that waits can starve the rest: what is ready is taken in no fixed order, and of each socket a little a turn.
//! How calls begin, are turned and end is in [`life`]: a call is turned under `catch_unwind`, so our own bug ends that one
//! call and is told, and the others go on.

mod life;
#[cfg(test)]
mod tests;

use super::call::{Call, Work};
use super::event::Event;
use super::join::Joiner;
use super::licensed::Licensed;
use super::reading::Looks;
use super::sip_side::SipSide;
use super::status;
use crate::alarms::Teller;
use crate::control::EndedCall;
use crate::media::{Plane, PlaneEvent};
use crate::net::batch::{BATCH, Receiver};
use crate::net::clock::ClockPair;
use crate::net::departure::Departures;
use crate::net::poller::{Poller, Ready, Token};
use crate::net::ports::Ports;
use crate::net::udp::Waiting;
use base::ids::{CallId, SessionId};
use base::leg::Port;
use base::machine::earliest;
use base::{Beat, Pulse, Seed, limits};
use domain::alarm::Fact;
use domain::call::{CallInput, Operator};
use domain::config::Config;
use domain::history::CallRecord;
use domain::media::Side;
use domain::status::{Meter, Stream};
use rand::rngs::ChaCha12Rng;
use rand::{Rng, SeedableRng};
use sip::endpoint::{Input, Transport};
use sip::session::SessionEvent;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc};
use tracing::{debug, error, info, warn};

/// The first token of a media socket; those below are the endpoint's.
const MEDIA_TOKENS: u64 = 1 << 16;
/// Batches read from one socket in one turn.
const BATCHES: usize = 2;
/// Longest that a drained shard stays when no call is left, so that SIP transactions can absorb what comes late: 64 T1
/// (RFC 3261 17) and a little. Who goes on sending requests does not hold it up.
const LINGER: Duration = Duration::from_secs(33);

/// A shard that has nothing to do comes round so often all the same, to show that it lives.
const ROUND: Duration = Duration::from_millis(500);

/// Everything a shard is made of.
pub struct Parts {
    /// What the operator decided.
    pub config: Arc<Config>,
    /// The media clock's beginning, the same for all legs.
    pub epoch: Instant,
    /// The SIP endpoint and its sockets.
    pub sip: SipSide,
    /// The media plane.
    pub plane: Plane,
    /// Rung by the plane's workers, if they are threads, and for those that have told much and have more.
    pub reports: Arc<Notify>,
    /// The media ports.
    pub ports: Ports,
    /// Where peers are told to send media.
    pub advertised: IpAddr,
    /// Makes conference legs and their requests.
    pub joiner: Joiner,
    /// Watches the UDP sockets.
    pub poller: Poller,
    /// Where calls that are over are told to; one that nobody takes is lost.
    pub over: mpsc::Sender<CallRecord>,
    /// What happens.
    pub events: mpsc::Receiver<Event>,
    /// What the shard's randomness grows from.
    pub seed: Seed,
    /// Hears what is wrong.
    pub alarms: Teller,
}

/// A shard at work.
pub struct Shard {
    parts: Parts,
    calls: HashMap<CallId, Slot>,
    sessions: HashMap<SessionId, CallId>,
    sockets: HashMap<Token, (CallId, Side, Port)>,
    wakes: BTreeSet<(Instant, CallId)>,
    beat: Beat,
    /// When sockets that are read on the beat are looked at.
    looks: Looks,
    /// When what it sent really left.
    pub(super) departures: Departures,
    /// What sessions told and nobody has read yet.
    told: VecDeque<(SessionId, SessionEvent)>,
    /// Sockets that have something, or may have.
    unread: VecDeque<Token>,
    receiver: Receiver,
    rng: ChaCha12Rng,
    next_call: u64,
    next_token: u64,
    drain: Option<Instant>,
    /// When it ends at the latest, once it is drained and no call is left.
    lingers: Option<Instant>,
    pub(super) ended: VecDeque<EndedCall>,
    pub(super) bugs: u64,
    /// Who holds call licences.
    pub(super) licensed: Licensed,
    room: Room,
    pulse: Pulse,
}

/// Whether the last call that wanted media ports got them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    Left,
    None,
}

/// A call and what the shard knows besides.
pub(super) struct Slot {
    pub(super) call: Call,
    wake: Option<Instant>,
    tokens: Vec<Token>,
    /// Where its caller's signalling comes from, and how.
    from: (SocketAddr, Transport),
    /// Whether the caller is in the meeting, or was.
    stood: bool,
    pub(super) meters: (Meter, Meter),
    /// The streams of its conference's leg, as they were last looked at.
    pub(super) conference: Vec<Stream>,
}

impl Shard {
    /// A shard with no calls.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let (rng, beat, next_call) = (ChaCha12Rng::from_seed(parts.seed.0), Beat::of(parts.epoch), 1);
        let (licensed, looks) = (Licensed::new(parts.alarms.clone()), Looks::new(beat, parts.epoch));
        Self {
            parts,
            calls: HashMap::new(),
            sessions: HashMap::new(),
            sockets: HashMap::new(),
            wakes: BTreeSet::new(),
            beat,
            looks,
            departures: Departures::default(),
            told: VecDeque::new(),
            unread: VecDeque::new(),
            receiver: Receiver::new(BATCH, limits::DATAGRAM_BYTES),
            rng,
            next_call,
            next_token: MEDIA_TOKENS,
            drain: None,
            lingers: None,
            ended: VecDeque::new(),
            bugs: 0,
            licensed,
            room: Room::Left,
            pulse: Pulse::default(),
        }
    }

    /// Turns until it is drained: no calls are left and none are taken.
    pub async fn run(mut self) {
        while !self.is_over(Instant::now()) {
            let event = self.next().await;
            self.handle(Instant::now(), event);
            self.pulse.beat();
        }
        self.pulse.end();
    }

    /// Its signs of life, and those of its workers: each with a name.
    pub fn vital(&self, name: &str) -> Vec<(String, Pulse)> {
        let own = (name.to_owned(), self.pulse.clone());
        std::iter::once(own).chain(self.parts.plane.vital()).collect()
    }

    fn is_over(&self, now: Instant) -> bool {
        let lingered = self.lingers.is_some_and(|until| until <= now);
        self.drain.is_some() && self.calls.is_empty() && (lingered || self.parts.sip.endpoint().is_idle())
    }

    async fn next(&mut self) -> Event {
        let call = self.wakes.first().map(|(at, _)| *at);
        let media = earliest(self.looks.next(), self.parts.plane.wake());
        let wake = earliest(earliest(call, media), earliest(self.parts.sip.wake(), self.lingers));
        let round = Instant::now() + ROUND;
        let until = wake.map_or(round, |wake| wake.min(round));
        tokio::select! {
            ready = self.parts.poller.wait(until) => Event::Sockets(ready.unwrap_or_default()),
            () = self.parts.reports.notified() => Event::Reports,
            Some(event) = self.parts.events.recv() => event,
            () = tokio::task::yield_now(), if !self.unread.is_empty() => Event::Wake,
        }
    }

    /// Takes one event and everything that follows from it.
    fn handle(&mut self, now: Instant, event: Event) {
        match event {
            Event::Sockets(ready) => {
                let mut told = false;
                for ready in ready {
                    if self.parts.plane.ready(ready) {
                        told |= ready.readable;
                    } else {
                        self.socket(ready);
                    }
                }
                if told {
                    self.reports(now);
                }
            }
            Event::Reports => self.reports(now),
            Event::Opened(connection) => self.parts.sip.opened(now, connection),
            Event::Message { flow, data } => {
                let told = self.parts.sip.message(now, flow, &data);
                self.told.extend(told);
            }
            Event::Closed(flow) => {
                let told = self.parts.sip.closed(now, flow);
                self.told.extend(told);
            }
            Event::Resolved { id, targets } => self.endpoint(now, Input::Resolved { id, targets }),
            Event::Connected { id, flow } => {
                // One that was refused when it opened, or is closed already, leads nowhere.
                let flow = flow.filter(|flow| self.parts.sip.is_connected(*flow));
                self.endpoint(now, Input::Connected { id, flow });
            }
            Event::Http { call, reply } => self.turn(now, call, Work::Http(reply)),
            Event::Wake => {}
            Event::Forgive(address) => {
                if self.parts.sip.forgive(address) {
                    info!(%address, "heard again: an operator forgave it");
                }
            }
            Event::HangUp(id) => self.turn(now, id, Work::Call(CallInput::Operator(Operator::HangUp))),
            Event::Configure(config) => self.configure(now, config),
            Event::Licences(licences) => self.licensed.put_in_force(now, licences),
            Event::Prompts(prompts) => self.parts.plane.set_prompts(prompts),
            Event::Ask(answer) => drop(answer.send(status::read(self, now))),
            Event::Drain { deadline } => self.drain(now, deadline),
        }
        let looked = self.read_on_the_beat(now);
        self.read_sockets();
        self.read_sessions(now);
        self.wake(now);
        if looked {
            self.look_again(now);
        }
        self.parts.plane.call(now);
        self.licensed.look_if_due(now);
        if self.drain.is_some() && self.calls.is_empty() {
            self.lingers.get_or_insert(now + LINGER);
        }
    }

    fn endpoint(&mut self, now: Instant, input: Input<'_>) {
        let told = self.parts.sip.step(now, input);
        self.told.extend(told);
    }

    /// What sessions told may make them tell more; this goes on until all is read.
    fn read_sessions(&mut self, now: Instant) {
        while let Some((session, event)) = self.told.pop_front() {
            if let SessionEvent::Invite { dialled, transport, .. } = &event {
                self.incoming(now, session, (dialled.source, *transport));
            }
            match self.sessions.get(&session) {
                Some(call) => self.turn(now, *call, Work::Session(event)),
                // Of a call that was refused or has ended.
                None => debug!(%session, "nobody hears what this session tells"),
            }
        }
    }

    /// Turns what is due, each once: a machine that wants to be woken in the past again waits for the next turn.
    fn wake(&mut self, now: Instant) {
        if self.parts.sip.wake().is_some_and(|at| at <= now) {
            self.endpoint(now, Input::Timeout);
            self.read_sessions(now);
        }
        let due = self.wakes.iter().take_while(|(at, _)| *at <= now).map(|(_, call)| *call);
        for call in due.collect::<Vec<_>>() {
            self.turn(now, call, Work::Timeout);
            self.read_sessions(now);
        }
    }

    /// Notes which sockets can be read; those that can be written again are.
    fn socket(&mut self, ready: Ready) {
        let sip = self.parts.sip.owns(ready.token);
        if ready.readable && !self.unread.contains(&ready.token) {
            self.unread.push_back(ready.token);
        }
        if ready.writable && sip {
            self.parts.sip.writable(ready.token);
        } else if ready.writable
            && let Some((call, ..)) = self.sockets.get(&ready.token)
            && let Some(slot) = self.calls.get_mut(call)
        {
            slot.call.flush();
        }
    }

    /// Looks at the sockets that nobody tells of, each when it is time; says whether it was for any.
    fn read_on_the_beat(&mut self, now: Instant) -> bool {
        let Some(look) = self.looks.begin(now) else { return false };
        for (token, (call, side, port)) in &self.sockets {
            let slot = self.calls.get_mut(call);
            let moments = slot.and_then(|slot| slot.call.looks_at(*side, *port));
            if moments.is_some_and(|moments| look.takes(moments)) && !self.unread.contains(token) {
                self.unread.push_back(*token);
            }
        }
        true
    }

    /// When the next look is: known when all that came with the last one has been read.
    fn look_again(&mut self, now: Instant) {
        self.looks.end();
        for moments in self.calls.values().filter_map(|slot| slot.call.looks()) {
            self.looks.want(now, moments);
        }
    }

    /// Reads a little from each socket that has something, so that a flood on one does not starve the others. What is left
    /// waits for the next turn.
    fn read_sockets(&mut self) {
        for _ in 0..self.unread.len() {
            let Some(token) = self.unread.pop_front() else { return };
            let mut waiting = Waiting::More;
            for _ in 0..BATCHES {
                if waiting == Waiting::More {
                    waiting = self.read(token);
                }
            }
            if waiting == Waiting::More {
                self.unread.push_back(token);
            }
        }
    }

    /// Reads one batch.
    fn read(&mut self, token: Token) -> Waiting {
        if self.parts.sip.owns(token) {
            return self.parts.sip.readable(token, &mut self.told);
        }
        let Some((id, side, port)) = self.sockets.get(&token).copied() else { return Waiting::Nothing };
        let Some(slot) = self.calls.get_mut(&id) else { return Waiting::Nothing };
        let Some(socket) = slot.call.socket(side, port) else { return Waiting::Nothing };
        let waiting = socket.udp.receive(&mut self.receiver);
        self.departures.add(socket.udp.departures());
        let clocks = ClockPair::read();
        let receiver = std::mem::take(&mut self.receiver);
        self.guarded(clocks.now(), id, |call, plane, wishes| {
            for datagram in receiver.datagrams() {
                let arrival = clocks.arrival(datagram.stamp);
                let packet = (datagram.from, datagram.data);
                call.packet(arrival, (side, port), packet, plane, |wish| wishes.push(wish));
            }
        });
        self.receiver = receiver;
        waiting
    }

    fn turn(&mut self, now: Instant, id: CallId, work: Work) {
        self.guarded(now, id, |call, plane, wishes| call.turn(now, work, plane, |wish| wishes.push(wish)));
    }

    fn reports(&mut self, now: Instant) {
        let mut told = Vec::new();
        if self.parts.plane.poll(now, |event| told.push(event)) {
            // The others come first.
            self.parts.reports.notify_one();
        }
        for event in told {
            match event {
                PlaneEvent::Frame((call, side, stream), frame) => {
                    self.turn(now, call, Work::Frame(side, stream, frame));
                }
                PlaneEvent::KeyframeNeeded((call, side, stream)) => {
                    self.turn(now, call, Work::Call(CallInput::KeyframeNeeded(side, stream)));
                }
                PlaneEvent::Key((call, side, _), key) => {
                    self.turn(now, call, Work::Call(CallInput::Tone(side, key)));
                }
                PlaneEvent::Said(call, number) => self.turn(now, call, Work::Call(CallInput::Said(number))),
                PlaneEvent::WorkerDied(why) => {
                    error!(why, "a media worker died; another takes its place");
                    let why = format!("a media worker died, and another took its place: {why}");
                    self.parts.alarms.tell(Fact::InternalError { part: "media".into(), why });
                }
                PlaneEvent::Failed(call, why) => warn!(?call, why, "media"),
            }
        }
    }

    /// New calls are taken by `config`; those that stand keep the one they began with.
    fn configure(&mut self, now: Instant, config: Arc<Config>) {
        if let Err(error) = self.parts.joiner.configure(&config, !self.calls.is_empty()) {
            error!(%error, "the connectors stay as they were");
        }
        let told = self.parts.sip.configure(now, &config);
        self.told.extend(told);
        self.parts.config = config;
        info!("configured anew");
    }

    fn drain(&mut self, now: Instant, deadline: Instant) {
        info!(calls = self.calls.len(), "draining: no new calls are taken");
        self.drain = Some(deadline);
        self.endpoint(now, Input::Drain);
        let calls: Vec<CallId> = self.calls.keys().copied().collect();
        for call in calls {
            self.turn(now, call, Work::Call(CallInput::Operator(Operator::Drain { deadline })));
        }
    }

    fn seed(&mut self) -> Seed {
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        Seed(seed)
    }

    pub(super) fn parts(&self) -> &Parts {
        &self.parts
    }

    pub(super) fn slots(&mut self) -> (impl Iterator<Item = &mut Slot>, &Plane) {
        (self.calls.values_mut(), &self.parts.plane)
    }
}
