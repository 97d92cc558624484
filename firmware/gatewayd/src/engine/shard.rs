//! A shard: one thread, one loop, and the calls it owns.
//!
//! ```text
//!  wait for the first of: sockets, channel, workers, time ─▶ Event ─▶ handle ─▶ turn calls, endpoint, plane ─▶ flush ─┐
//!     ▲────────────────────────────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//! A call is turned under `catch_unwind`: our own bug ends that one call and is told, and the others go on.

use super::call::{Call, Wish, Work};
use super::event::Event;
use super::join::Joiner;
use super::leg::CallerLeg;
use super::sip_side::SipSide;
use super::status;
use crate::control::{EndedCall, REMEMBERED};
use crate::media::{Plane, PlaneEvent};
use crate::net::batch::Receiver;
use crate::net::clock::ClockPair;
use crate::net::poller::{Poller, Ready, Token};
use crate::net::ports::{PooledUdp, Ports};
use base::ids::{CallId, SessionId};
use base::leg::Port;
use base::machine::earliest;
use base::{Cause, Fault, Kind, Seed};
use domain::call::{CallInput, Operator};
use domain::config::Config;
use domain::media::Side;
use domain::status::Meter;
use rand::rngs::ChaCha12Rng;
use rand::{Rng, SeedableRng};
use sip::endpoint::Input;
use sip::session::{SessionCommand, SessionEvent};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{Notify, mpsc};
use tracing::{error, info, warn};

/// The first token of a media socket; those below are the endpoint's.
const MEDIA_TOKENS: u64 = 1 << 16;

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
    /// Rung by the plane's workers.
    pub reports: Arc<Notify>,
    /// The media ports.
    pub ports: Ports,
    /// Where peers are told to send media.
    pub advertised: IpAddr,
    /// Makes conference legs and their requests.
    pub joiner: Joiner,
    /// Watches the UDP sockets.
    pub poller: Poller,
    /// What happens.
    pub events: mpsc::Receiver<Event>,
    /// What the shard's randomness grows from.
    pub seed: Seed,
}

/// A shard at work.
pub struct Shard {
    parts: Parts,
    calls: HashMap<CallId, Slot>,
    sessions: HashMap<SessionId, CallId>,
    sockets: HashMap<Token, (CallId, Side, Port)>,
    wakes: BTreeSet<(Instant, CallId)>,
    /// What sessions told and nobody has read yet.
    told: VecDeque<(SessionId, SessionEvent)>,
    receiver: Receiver,
    rng: ChaCha12Rng,
    next_call: u64,
    next_token: u64,
    drain: Option<Instant>,
    pub(super) ended: VecDeque<EndedCall>,
    pub(super) bugs: u64,
}

/// A call and what the shard knows besides.
pub(super) struct Slot {
    pub(super) call: Call,
    wake: Option<Instant>,
    tokens: Vec<Token>,
    pub(super) meters: (Meter, Meter),
}

impl Shard {
    /// A shard with no calls.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let (rng, next_call) = (ChaCha12Rng::from_seed(parts.seed.0), 1);
        Self {
            parts,
            calls: HashMap::new(),
            sessions: HashMap::new(),
            sockets: HashMap::new(),
            wakes: BTreeSet::new(),
            told: VecDeque::new(),
            receiver: Receiver::default(),
            rng,
            next_call,
            next_token: MEDIA_TOKENS,
            drain: None,
            ended: VecDeque::new(),
            bugs: 0,
        }
    }

    /// Turns until it is drained: no calls are left and none are taken.
    pub async fn run(mut self) {
        while self.drain.is_none() || !self.is_empty() {
            let event = self.next().await;
            self.handle(event);
        }
    }

    fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.parts.sip.endpoint().is_idle()
    }

    async fn next(&mut self) -> Event {
        let first = self.wakes.first().map(|(at, _)| *at);
        let wake = earliest(first, self.parts.sip.wake());
        let sleep = async {
            match wake {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            ready = self.parts.poller.wait() => Event::Sockets(ready.unwrap_or_default()),
            () = self.parts.reports.notified() => Event::Reports,
            Some(event) = self.parts.events.recv() => event,
            () = sleep => Event::Wake,
        }
    }

    /// Takes one event and everything that follows from it.
    fn handle(&mut self, event: Event) {
        let now = Instant::now();
        match event {
            Event::Sockets(ready) => ready.into_iter().for_each(|ready| self.socket(ready)),
            Event::Reports => self.reports(now),
            Event::Opened(connection) => self.parts.sip.opened(connection),
            Event::Message { flow, data } => self.endpoint(now, Input::Received { flow, data: &data }),
            Event::Closed(flow) => {
                let told = self.parts.sip.closed(now, flow);
                self.told.extend(told);
            }
            Event::Resolved { id, targets } => self.endpoint(now, Input::Resolved { id, targets }),
            Event::Connected { id, flow } => self.endpoint(now, Input::Connected { id, flow }),
            Event::Http { call, reply } => self.turn(now, call, Work::Http(reply)),
            Event::Wake => {}
            Event::Ask(answer) => drop(answer.send(status::read(self, now))),
            Event::Drain { deadline } => self.drain(now, deadline),
        }
        self.read_sessions(now);
        self.wake(now);
    }

    fn endpoint(&mut self, now: Instant, input: Input<'_>) {
        let told = self.parts.sip.step(now, input);
        self.told.extend(told);
    }

    /// What sessions told may make them tell more; this goes on until all is read.
    fn read_sessions(&mut self, now: Instant) {
        while let Some((session, event)) = self.told.pop_front() {
            if matches!(event, SessionEvent::Invite { .. }) {
                self.incoming(now, session);
            }
            match self.sessions.get(&session) {
                Some(call) => self.turn(now, *call, Work::Session(event)),
                None => warn!(%session, "event of a session without a call"),
            }
        }
    }

    fn wake(&mut self, now: Instant) {
        if self.parts.sip.wake().is_some_and(|at| at <= now) {
            self.endpoint(now, Input::Timeout);
            self.read_sessions(now);
        }
        while let Some((at, call)) = self.wakes.first().copied()
            && at <= now
        {
            self.wakes.pop_first();
            self.turn(now, call, Work::Timeout);
            self.read_sessions(now);
        }
    }

    /// A new caller: it gets four media ports, or 503.
    fn incoming(&mut self, now: Instant, session: SessionId) {
        let Some(sockets) = self.caller_sockets() else {
            warn!("no media port is free; a caller is refused");
            let full = SessionCommand::End(Cause::new(Fault::Gateway, Kind::NoCapacity));
            return self.endpoint(now, Input::Session { id: session, command: full });
        };
        let id = CallId(self.next_call);
        self.next_call += 1;
        let mut addresses = sockets.iter().map(|socket| socket.udp.local());
        let addresses = std::array::from_fn(|_| addresses.next().expect("four sockets were taken"));
        let cname = format!("{:016x}", self.rng.next_u64());
        let config = sip::leg::Config {
            silence: self.parts.config.media.silence,
            ..sip::leg::Config::new(self.parts.advertised, addresses, cname)
        };
        let leg = sip::leg::Leg::new(config, self.parts.epoch, self.seed());
        let machine = domain::call::Call::new(id, Arc::clone(&self.parts.config));
        let mut slot = Slot {
            call: Call::new(machine, session, CallerLeg::Sip(Box::new(leg)), sockets, now),
            wake: None,
            tokens: Vec::new(),
            meters: (Meter::default(), Meter::default()),
        };
        for port in 0..4 {
            self.watch(&mut slot, id, Side::Caller, Port(port));
        }
        self.sessions.insert(session, id);
        self.calls.insert(id, slot);
        if let Some(deadline) = self.drain {
            self.turn(now, id, Work::Call(CallInput::Operator(Operator::Drain { deadline })));
        }
    }

    fn caller_sockets(&self) -> Option<Vec<PooledUdp>> {
        let (audio, audio_rtcp) = self.parts.ports.pair().ok()?;
        let (video, video_rtcp) = self.parts.ports.pair().ok()?;
        Some(vec![audio, audio_rtcp, video, video_rtcp])
    }

    fn watch(&mut self, slot: &mut Slot, call: CallId, side: Side, port: Port) {
        let Some(socket) = slot.call.socket(side, port) else { return };
        let token = Token(self.next_token);
        self.next_token += 1;
        match self.parts.poller.add(&socket.udp, token) {
            Ok(()) => {
                slot.tokens.push(token);
                self.sockets.insert(token, (call, side, port));
            }
            Err(error) => error!(%error, "a media socket cannot be watched"),
        }
    }

    fn socket(&mut self, ready: Ready) {
        if self.parts.sip.owns(ready.token) {
            if ready.writable {
                self.parts.sip.writable(ready.token);
            }
            if ready.readable {
                let told = self.parts.sip.readable(ready.token, &mut self.receiver);
                self.told.extend(told);
            }
            return;
        }
        let Some((call, side, port)) = self.sockets.get(&ready.token).copied() else { return };
        if ready.readable {
            self.packets(call, side, port);
        } else if let Some(slot) = self.calls.get_mut(&call) {
            slot.call.flush();
        }
    }

    /// Reads everything that waits on a call's socket.
    fn packets(&mut self, id: CallId, side: Side, port: Port) {
        loop {
            let waiting = self.calls.get(&id).and_then(|slot| slot.call.socket(side, port));
            if !waiting.is_some_and(|socket| socket.udp.receive(&mut self.receiver)) {
                return;
            }
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
        }
    }

    fn turn(&mut self, now: Instant, id: CallId, work: Work) {
        self.guarded(now, id, |call, plane, wishes| call.turn(now, work, plane, |wish| wishes.push(wish)));
    }

    /// Turns a call so that a bug in it ends it alone, then does what it wishes and sends what it has to send.
    fn guarded(&mut self, now: Instant, id: CallId, act: impl FnOnce(&mut Call, &mut Plane, &mut Vec<Wish>)) {
        let Some(slot) = self.calls.get_mut(&id) else { return };
        let (call, plane, mut wishes) = (&mut slot.call, &mut self.parts.plane, Vec::new());
        // What unwinds leaves the call half-turned, so it is not turned again; the plane only ever takes whole steps.
        let result = catch_unwind(AssertUnwindSafe(|| {
            act(call, plane, &mut wishes);
            call.flush();
        }));
        if result.is_err() {
            return self.crashed(now, id);
        }
        wishes.into_iter().for_each(|wish| self.grant(now, id, wish));
        self.settle(now, id);
    }

    fn grant(&mut self, now: Instant, id: CallId, wish: Wish) {
        match wish {
            Wish::Session(command) => {
                if let Some(slot) = self.calls.get(&id) {
                    let session = slot.call.session;
                    self.endpoint(now, Input::Session { id: session, command });
                }
            }
            Wish::Http { connector, request } => self.parts.joiner.fetch(&connector, id, request),
            Wish::Join { connector, join } => {
                let seed = self.seed();
                let made = self.parts.ports.single().map_err(|error| {
                    warn!(%error, "no port for the conference");
                    Cause::new(Fault::Gateway, Kind::NoCapacity)
                });
                let made = made.and_then(|socket| {
                    let leg =
                        self.parts.joiner.leg(now, &connector, join, socket.udp.local().port(), seed)?;
                    Ok((leg, socket))
                });
                match made {
                    Ok((leg, socket)) => {
                        self.guarded(now, id, |call, plane, wishes| {
                            call.join(now, leg, socket, plane, |wish| wishes.push(wish));
                        });
                        if let Some(mut slot) = self.calls.remove(&id) {
                            self.watch(&mut slot, id, Side::Conference, Port(0));
                            self.calls.insert(id, slot);
                        }
                    }
                    Err(cause) => self.guarded(now, id, |call, plane, wishes| {
                        call.cannot_join(now, cause, plane, |wish| wishes.push(wish));
                    }),
                }
            }
        }
    }

    /// After a turn: the call's wake-up is noted, and a call that is over is forgotten.
    fn settle(&mut self, now: Instant, id: CallId) {
        let Some(slot) = self.calls.get_mut(&id) else { return };
        if let Some(cause) = slot.call.ended {
            return self.forget(now, id, cause);
        }
        let wake = slot.call.wake();
        if wake != slot.wake {
            if let Some(old) = slot.wake {
                self.wakes.remove(&(old, id));
            }
            self.wakes.extend(wake.map(|at| (at, id)));
            slot.wake = wake;
        } else if let Some(at) = wake {
            self.wakes.insert((at, id));
        }
    }

    /// Gives back everything a call had.
    fn forget(&mut self, now: Instant, id: CallId, cause: Cause) {
        let Some(slot) = self.calls.remove(&id) else { return };
        if let Some(at) = slot.wake {
            self.wakes.remove(&(at, id));
        }
        for token in &slot.tokens {
            self.sockets.remove(token);
        }
        self.sessions.remove(&slot.call.session);
        self.parts.plane.remove(id);
        let seconds = now.saturating_duration_since(slot.call.began).as_secs_f64();
        if self.ended.len() == REMEMBERED {
            self.ended.pop_front();
        }
        self.ended.push_back(EndedCall {
            id: id.0,
            cause: format!("{:?}/{:?}", cause.fault, cause.kind),
            seconds,
        });
    }

    /// A bug of ours: the call ends, its caller is told, the box goes on.
    fn crashed(&mut self, now: Instant, id: CallId) {
        error!(%id, "internal error: the call was ended, please report this");
        self.bugs += 1;
        let cause = Cause::new(Fault::Gateway, Kind::InternalError);
        let session = self.calls.get(&id).map(|slot| slot.call.session);
        self.forget(now, id, cause);
        if let Some(id) = session {
            let told = self.parts.sip.step(now, Input::Session { id, command: SessionCommand::End(cause) });
            // The session's own end has no call to go to any more.
            self.told.extend(told.into_iter().filter(|(told, _)| *told != id));
        }
    }

    fn reports(&mut self, now: Instant) {
        let mut told = Vec::new();
        self.parts.plane.poll(|event| told.push(event));
        for event in told {
            match event {
                PlaneEvent::Frame((call, side, stream), frame) => {
                    self.turn(now, call, Work::Frame(side, stream, frame));
                }
                PlaneEvent::KeyframeNeeded((call, side, stream)) => {
                    self.turn(now, call, Work::Call(CallInput::KeyframeNeeded(side, stream)));
                }
                PlaneEvent::WorkerRestarted(why) => error!(why, "a media worker died and was started again"),
                PlaneEvent::Failed(call, why) => warn!(?call, why, "media"),
            }
        }
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
