//! One call in the engine: the call machine, its two legs and their sockets, turned together.
//!
//! ```text
//!  Work ─▶ leg or call machine ─▶ outputs ─▶ more Work, packets, frames, requests ─▶ ... until nothing is left
//! ```
//! Turning is bounded: a round takes at most [`MOST_WORK`] pieces, far above what any input makes.

use super::leg::{CallerLeg, LegOutput, LegStep, step_conference};
use super::reading::{Moments, Pace, QUARTERS, Readings};
use crate::media::{MeetingKey, Plane, Urgency};
use crate::net::ports::PooledUdp;
use base::ids::{CallId, SessionId, StreamId};
use base::leg::{
    HttpReply, HttpRequest, Join, LegCommand, LegEffect, LegEvent, LegInput, Port, RecvStream, Transmit,
};
use base::machine::{Machine, Output, earliest};
use base::{Beat, Cause, EncodedFrame, MediaKind};
use domain::call::{self, CallEffect, CallEvent, CallInput};
use domain::media::{MediaPlan, Side};
use meet::ConferenceLeg;
use sip::session::{SessionCommand, SessionEvent};
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;
use tracing::{Span, debug, info};

/// Most pieces of work that one input may make; more means that two machines talk in a circle.
const MOST_WORK: usize = 4_096;

/// A call with everything it owns. Dropping it closes its sockets.
pub struct Call {
    id: CallId,
    /// The endpoint's session of its caller.
    pub session: SessionId,
    machine: call::Call,
    caller: CallerLeg,
    conference: Option<ConferenceLeg>,
    caller_sockets: [PooledUdp; 4],
    conference_socket: Option<PooledUdp>,
    received: HashMap<(Side, StreamId), RecvStream>,
    /// That of the conference's pictures which are worked on as soon as they come: its main one, as a rule.
    pace: Pace,
    wakes: Wakes,
    /// Work of the turn in hand; empty between turns.
    queue: VecDeque<Work>,
    /// Room for what a leg hands out, used again for every packet.
    outputs: Vec<LegOutput>,
    span: Span,
    /// When its INVITE came.
    pub began: Instant,
    /// What its caller keyed in vain and nobody has counted yet.
    pub wrong_entries: u32,
    /// How it ended, once it did.
    pub ended: Option<Cause>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Wakes {
    machine: Option<Instant>,
    caller: Option<Instant>,
    conference: Option<Instant>,
}

/// What happens to a call.
pub enum Work {
    /// Its SIP session tells something.
    Session(SessionEvent),
    /// A reply to its conference's request.
    Http(HttpReply),
    /// A frame for a leg.
    Frame(Side, StreamId, EncodedFrame),
    /// Something for the call machine.
    Call(CallInput),
    /// A command for a leg.
    Command(Side, LegCommand),
    /// Time passed.
    Timeout,
}

/// What a call wants of the shard.
pub enum Wish {
    /// A command for its SIP session.
    Session(SessionCommand),
    /// A request to be made.
    Http {
        /// For which connector.
        connector: String,
        /// It.
        request: HttpRequest,
    },
    /// The conference leg is to be made; answer with [`Call::join`] or [`Call::cannot_join`].
    Join {
        /// The connector's name.
        connector: String,
        /// With what.
        join: Join,
    },
}

impl Call {
    /// A call that has just come in.
    pub fn new(
        machine: call::Call,
        session: SessionId,
        caller: CallerLeg,
        caller_sockets: [PooledUdp; 4],
        now: Instant,
    ) -> Self {
        let id = machine.id();
        Self {
            id,
            session,
            machine,
            caller,
            conference: None,
            caller_sockets,
            conference_socket: None,
            received: HashMap::new(),
            pace: Pace::default(),
            wakes: Wakes::default(),
            queue: VecDeque::new(),
            outputs: Vec::new(),
            span: tracing::info_span!("call", %id),
            began: now,
            wrong_entries: 0,
            ended: None,
        }
    }

    /// What everything logged about it bears; whoever turns it enters this first.
    pub fn span(&self) -> Span {
        self.span.clone()
    }

    /// The call machine, to be read.
    pub fn machine(&self) -> &call::Call {
        &self.machine
    }

    /// The caller's leg, to be read.
    pub fn caller(&self) -> &CallerLeg {
        &self.caller
    }

    /// The conference's leg, to be read.
    pub fn conference(&self) -> Option<&ConferenceLeg> {
        self.conference.as_ref()
    }

    /// One of its sockets.
    pub fn socket(&mut self, side: Side, port: Port) -> Option<&mut PooledUdp> {
        match side {
            Side::Caller => self.caller_sockets.get_mut(usize::from(port.0)),
            Side::Conference => self.conference_socket.as_mut().filter(|_| port.0 == 0),
        }
    }

    /// When it is to be turned next: what is near when it wants to be, what can wait at a moment of its beat; its conference's leg at one at which
    /// its socket is looked at as well.
    pub fn wake(&self, now: Instant, beat: Beat) -> Option<Instant> {
        let parts = self.conference_socket.as_ref().and_then(|socket| socket.udp.reading().parts());
        let conference = self.moments(parts.unwrap_or(QUARTERS));
        let (all, near) = (Moments { rests: None, ..conference }, now + Beat::NEAR);
        let kept = |at: Instant, moments: Moments| if at < near { at } else { moments.at_or_after(beat, at) };
        let Wakes { machine, caller, conference: leg } = self.wakes;
        let others = earliest(machine, caller).map(|at| kept(at, all));
        earliest(others, leg.map(|at| kept(at, conference)))
    }

    /// So many moments in each step of the beat; fewer while the conference rests.
    fn moments(&self, parts: u32) -> Moments {
        Moments { parts, rests: self.pace.rests() }
    }

    /// The moments at which one of its sockets is looked at, if that is not told of.
    pub fn looks_at(&mut self, side: Side, port: Port) -> Option<Moments> {
        let parts = self.socket(side, port)?.udp.reading().parts()?;
        Some(self.moments(parts))
    }

    /// Gives it the conference leg it asked for.
    pub fn join(
        &mut self,
        now: Instant,
        leg: ConferenceLeg,
        socket: PooledUdp,
        plane: &mut Plane,
        wish: impl FnMut(Wish),
    ) {
        self.conference = Some(leg);
        self.conference_socket = Some(socket);
        // A new machine is turned once, so that it can say its first word.
        let mut turn = Turn { call: self, now, plane, wish };
        turn.leg(Side::Conference, LegStep::Leg(LegInput::Timeout));
        turn.finish();
    }

    /// The conference leg could not be made.
    pub fn cannot_join(&mut self, now: Instant, cause: Cause, plane: &mut Plane, wish: impl FnMut(Wish)) {
        let ended = CallInput::Leg(Side::Conference, LegEvent::Ended(cause));
        self.turn(now, Work::Call(ended), plane, wish);
    }

    /// A datagram came in on one of its sockets.
    pub fn packet(
        &mut self,
        now: Instant,
        (side, port): (Side, Port),
        (from, data): (SocketAddr, &[u8]),
        plane: &mut Plane,
        wish: impl FnMut(Wish),
    ) {
        let mut turn = Turn { call: self, now, plane, wish };
        turn.leg(side, LegStep::Leg(LegInput::Packet { port, from, data }));
        turn.finish();
    }

    /// Turns it with one piece of work and everything that follows from it.
    pub fn turn(&mut self, now: Instant, work: Work, plane: &mut Plane, wish: impl FnMut(Wish)) {
        self.queue.push_back(work);
        Turn { call: self, now, plane, wish }.finish();
    }

    /// Sends what its legs left on its sockets.
    pub fn flush(&mut self) {
        for socket in self.caller_sockets.iter_mut().chain(&mut self.conference_socket) {
            socket.udp.flush();
        }
    }

    fn set_reading(&mut self, plan: &MediaPlan) {
        let readings = Readings::of(plan);
        let [sound, ..] = &mut self.caller_sockets;
        sound.udp.set_reading(readings.room_sound);
        if let Some(conference) = &mut self.conference_socket {
            conference.udp.set_reading(readings.conference);
        }
    }

    /// The moments at which some of its sockets are looked at.
    pub fn looks(&self) -> Option<Moments> {
        let [sound, ..] = &self.caller_sockets;
        let sockets = std::iter::once(sound).chain(&self.conference_socket);
        sockets.filter_map(|socket| socket.udp.reading().parts()).max().map(|parts| self.moments(parts))
    }

    fn transmit(&mut self, side: Side, packet: Transmit) {
        if let Some(socket) = self.socket(side, packet.port) {
            socket.udp.queue(packet.to, packet.data);
        }
    }
}

/// One turn of a call: its work and where its wishes go.
struct Turn<'a, F> {
    call: &'a mut Call,
    now: Instant,
    plane: &'a mut Plane,
    wish: F,
}

impl<F: FnMut(Wish)> Turn<'_, F> {
    fn finish(&mut self) {
        let mut done = 0;
        while let Some(work) = self.call.queue.pop_front() {
            assert!(done < MOST_WORK, "the machines of a call talk in a circle");
            done += 1;
            self.work(work);
        }
    }

    fn work(&mut self, work: Work) {
        match work {
            Work::Session(event) => self.leg(Side::Caller, LegStep::Session(event)),
            Work::Http(reply) => self.leg(Side::Conference, LegStep::Http(reply)),
            Work::Frame(side, stream, frame) => {
                self.leg(side, LegStep::Leg(LegInput::Frame { stream, frame: &frame }));
            }
            Work::Command(side, command) => self.leg(side, LegStep::Leg(LegInput::Command(command))),
            Work::Call(input) => self.machine(input),
            Work::Timeout => {
                let due = |wake: Option<Instant>| wake.is_some_and(|wake| wake <= self.now);
                let (machine, caller) = (due(self.call.wakes.machine), due(self.call.wakes.caller));
                let conference = due(self.call.wakes.conference);
                if caller {
                    self.leg(Side::Caller, LegStep::Leg(LegInput::Timeout));
                }
                if conference {
                    self.leg(Side::Conference, LegStep::Leg(LegInput::Timeout));
                }
                if machine {
                    self.machine(CallInput::Timeout);
                }
            }
        }
    }

    fn leg(&mut self, side: Side, input: LegStep<'_>) {
        let call = &mut *self.call;
        let mut outputs = std::mem::take(&mut call.outputs);
        match side {
            Side::Caller => {
                call.wakes.caller = call.caller.step(self.now, input, |output| outputs.push(output))
            }
            Side::Conference => match &mut call.conference {
                Some(leg) => {
                    call.wakes.conference =
                        step_conference(leg, self.now, input, |output| outputs.push(output));
                }
                None => self.without_leg(input),
            },
        }
        outputs.drain(..).for_each(|output| self.leg_output(side, output));
        self.call.outputs = outputs;
    }

    /// A conference leg that was never made is over as soon as it is told to end.
    fn without_leg(&mut self, input: LegStep<'_>) {
        if let LegStep::Leg(LegInput::Command(LegCommand::End(cause))) = input {
            self.call.queue.push_back(Work::Call(CallInput::Leg(Side::Conference, LegEvent::Ended(cause))));
        }
    }

    fn leg_output(&mut self, side: Side, output: LegOutput) {
        match output {
            LegOutput::Effect(LegEffect::Transmit(packet)) => self.call.transmit(side, packet),
            LegOutput::Effect(LegEffect::Frame { stream, frame }) => {
                let picture = frame.codec.kind() == MediaKind::Video;
                let urgency = self.plane.frame(self.now, (self.call.id, side, stream), frame);
                if side == Side::Conference && picture && urgency == Some(Urgency::Now) {
                    self.call.pace.came(self.now);
                }
            }
            LegOutput::Session(command) => (self.wish)(Wish::Session(command)),
            LegOutput::Http(request) => {
                let connector =
                    self.call.machine.route().map_or("", |(_, connector, _)| connector).to_owned();
                (self.wish)(Wish::Http { connector, request });
            }
            LegOutput::Event(event) => {
                self.note(side, &event);
                self.call.queue.push_back(Work::Call(CallInput::Leg(side, event)));
            }
        }
    }

    fn note(&mut self, side: Side, event: &LegEvent) {
        debug!(?side, ?event, "leg");
        if let LegEvent::Media(state) = event {
            self.call.received.retain(|(of, _), _| *of != side);
            let streams = state.recv.iter().map(|stream| ((side, stream.id), stream.clone()));
            self.call.received.extend(streams);
        }
    }

    fn machine(&mut self, input: CallInput) {
        let mut outputs = Vec::new();
        self.call.wakes.machine = self.call.machine.step(self.now, input, |output| outputs.push(output));
        for output in outputs {
            match output {
                Output::Effect(CallEffect::Leg(side, command)) => {
                    self.call.queue.push_back(Work::Command(side, command))
                }
                Output::Effect(CallEffect::Join { connector, join }) => {
                    (self.wish)(Wish::Join { connector, join })
                }
                Output::Effect(CallEffect::Media(plan)) => self.plan(plan),
                Output::Effect(CallEffect::ForceKeyframe(side, stream)) => {
                    self.plane.force_key((self.call.id, side, stream));
                }
                Output::Event(event) => self.tell(event),
            }
        }
    }

    fn plan(&mut self, plan: MediaPlan) {
        debug!(?plan, "plan");
        self.call.set_reading(&plan);
        let meeting = match self.call.machine.route() {
            Some((_, connector, meeting)) => {
                MeetingKey { connector: connector.to_owned(), meeting: meeting.to_owned() }
            }
            None => MeetingKey::alone(self.call.id),
        };
        self.plane.apply(self.call.id, &meeting, plan, &self.call.received);
    }

    fn tell(&mut self, event: CallEvent) {
        match event {
            CallEvent::Received { reception } => {
                info!(reception, "a reception answers");
                if let Some(desk) = self.call.machine.reception() {
                    self.call.caller.set_reception(desk, &self.call.machine.config().sip);
                }
            }
            CallEvent::Routed { rule, tag, meeting } => {
                info!(rule, tag, meeting, "routed");
                if let Some(rule) = self.call.machine.rule() {
                    self.call.caller.set_policy(rule, &self.call.machine.config().sip);
                }
            }
            CallEvent::WrongEntry => {
                info!("what was keyed leads nowhere");
                self.call.wrong_entries += 1;
            }
            CallEvent::State(state) => info!(%state, "call"),
            CallEvent::Ended { cause, during } => {
                info!(%cause, %during, "call ended");
                self.call.ended = Some(cause);
            }
        }
    }
}
