//! A call that comes in: 100, 180, 2xx until ACK, CANCEL (RFC 3261 13.3, 9.2; RFC 3262).

use super::path::Path;
use super::{Holds, Role, Session, State, Timer, Unacked, description};
use crate::dialog::Dialog;
use crate::endpoint::body::Body;
use crate::endpoint::core::Core;
use crate::endpoint::flow::Flow;
use crate::endpoint::server::ServerId;
use crate::message::{Request, Response};
use crate::reliable::Due;
use crate::session::SessionEvent;
use crate::status;
use crate::timer::{Agreed, MIN_SE, TooSmall};
use crate::transaction::{T1, T2, TRANSACTION_LIFE};
use base::ids::SessionId;
use base::leg::Dialled;
use base::{Cause, Fault, Kind};
use bytes::Bytes;
use std::time::Duration;

/// How often 180 is repeated.
const RING_AGAIN: Duration = Duration::from_secs(60);

/// An INVITE in hand.
#[derive(Debug)]
pub(super) struct Incoming {
    pub tx: ServerId,
    request: Request,
    provisional: Demand,
    holds: Holds,
    agreed: Option<Agreed>,
}

/// How the caller wants provisional responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Demand {
    /// As they are.
    Plain,
    /// Reliably: it says `Require: 100rel`.
    Reliable,
    /// Reliably, but it made no offer: the first reliable response would have to hold ours (13.2.1), which stands in
    /// the 2xx here; so it hears 100 until then.
    None,
}

impl Session {
    /// Takes a new call, or says what to answer instead.
    pub fn incoming(
        core: &mut Core,
        id: SessionId,
        tx: ServerId,
        flow: Flow,
        request: Request,
        body: &Body,
        dialled: Dialled,
    ) -> Result<Self, Response> {
        let via = request.headers.top_via().map_err(|_| core.answer(&request, 400))?;
        let mut session =
            Self::new(id, Role::Caller, State::Incoming, Path::of_request(flow, &via, &request.uri));
        let agreed =
            session.timer.propose(&request.headers).map_err(|small| too_small(core, &request, small))?;
        let tag = core.answer(&request, 200).headers.to().ok().and_then(|to| to.tag().map(str::to_owned));
        let first = core.below(1 << 30);
        let dialog = Dialog::from_invite(&request, &tag.unwrap_or_default(), first).map_err(|error| {
            let mut response = core.answer(&request, 400);
            response.reason = error.to_string();
            response
        })?;
        session.learn(&request.headers);
        session.invite_seq = request.headers.cseq().map_or(0, |cseq| cseq.seq);
        session.index(core, dialog.id());
        session.dialog = Some(dialog);

        let offer = description(body);
        let requires = request.headers.require().iter().any(|tag| tag.eq_ignore_ascii_case("100rel"));
        let provisional = match (requires, &offer) {
            (false, _) => Demand::Plain,
            (true, Some(_)) => Demand::Reliable,
            (true, None) => Demand::None,
        };
        let holds = if offer.is_some() { Holds::Answer } else { Holds::Offer };
        let trying = core.answer(&request, 100);
        core.respond(tx, &trying);
        session.incoming = Some(Incoming { tx, request, provisional, holds, agreed });
        core.counters.sessions += 1;
        session.tell(core, SessionEvent::Invite { dialled, offer, transport: flow.transport });
        Ok(session)
    }

    pub(super) fn ring(&mut self, core: &mut Core) {
        let Some(incoming) = &self.incoming else { return };
        let (tx, demand) = (incoming.tx, incoming.provisional);
        let mut response = core.answer(&incoming.request, 180);
        response.headers.copy("Record-Route", &incoming.request.headers);
        self.path.add_contact(core, &mut response.headers);
        match demand {
            Demand::None => {}
            Demand::Plain => {
                core.respond(tx, &response);
                self.deadlines.arm(Timer::Ring, core.now + RING_AGAIN);
            }
            Demand::Reliable => {
                let first = core.below(1 << 20) + 1;
                let Some(rseq) = self.reliable.send(core.now, first) else { return };
                let response = response.with("Require", "100rel").with("RSeq", rseq);
                core.respond(tx, &response);
            }
        }
    }

    pub(super) fn ring_on(&mut self, core: &mut Core) {
        if let Some(incoming) = &self.incoming {
            core.resend_provisional(incoming.tx);
            self.deadlines.arm(Timer::Ring, core.now + RING_AGAIN);
        }
    }

    pub(super) fn reliable_due(&mut self, core: &mut Core, due: Due) {
        let Some(tx) = self.incoming.as_ref().map(|incoming| incoming.tx) else { return };
        match due {
            Due::Again => core.resend_provisional(tx),
            Due::GaveUp => {
                self.tell_end(core, Cause::new(Fault::Network, Kind::SignallingTimeout));
                self.refuse_invite(core, 504);
            }
        }
    }

    pub(super) fn accept(&mut self, core: &mut Core, answer: Bytes) {
        let Some(incoming) = self.incoming.take() else { return };
        self.reliable.stop();
        self.deadlines.disarm(Timer::Ring);
        let mut response = self.success(core, &incoming.request).with_body("application/sdp", answer.clone());
        self.timer.accept(core.now, incoming.agreed, &mut response.headers);
        self.local_description = answer;
        core.let_in(incoming.tx);
        core.respond(incoming.tx, &response);
        self.await_ack(core, incoming.tx, self.invite_seq, incoming.holds);
        self.state = State::Answered;
    }

    /// Repeats a 2xx until its ACK comes (13.3.1.4).
    pub(super) fn await_ack(&mut self, core: &Core, tx: ServerId, seq: u32, holds: Holds) {
        self.unacked = Some(Unacked { tx, seq, interval: T1, holds });
        self.deadlines.arm(Timer::Again, core.now + T1);
        self.deadlines.arm(Timer::NoAck, core.now + TRANSACTION_LIFE);
    }

    pub(super) fn repeat_success(&mut self, core: &mut Core) {
        let Some(unacked) = &mut self.unacked else { return };
        unacked.interval = (unacked.interval * 2).min(T2);
        self.deadlines.arm(Timer::Again, core.now + unacked.interval);
        core.resend_success(unacked.tx);
    }

    /// The ACK for a 2xx of ours.
    pub fn ack(&mut self, core: &mut Core, request: &Request, body: &Body) {
        let seq = request.headers.cseq().map_or(0, |cseq| cseq.seq);
        let Some(unacked) = self.unacked.take_if(|unacked| unacked.seq == seq) else {
            core.counters.stray += 1;
            return;
        };
        self.stop_waiting_for_ack();
        match (unacked.holds, description(body)) {
            (Holds::Offer, Some(answer)) => self.tell(core, SessionEvent::Answer(answer)),
            (Holds::Offer, None) if self.state != State::Hanging => {
                self.acknowledged(core);
                return self.end(core, Cause::new(self.peer_fault(), Kind::ProtocolError));
            }
            (Holds::Offer, None) | (Holds::Answer, _) => {}
        }
        self.acknowledged(core);
    }

    fn stop_waiting_for_ack(&mut self) {
        self.deadlines.disarm(Timer::Again);
        self.deadlines.disarm(Timer::NoAck);
    }

    /// A newer INVITE of the peer shows that it has our 2xx, though the ACK is lost (RFC 5407 3.1.4). False if that
    /// 2xx held our offer, whose answer is then missing.
    pub(super) fn acknowledged_by_implication(&mut self, core: &mut Core) -> bool {
        match &self.unacked {
            None => true,
            Some(unacked) if unacked.holds == Holds::Offer => false,
            Some(_) => {
                self.unacked = None;
                self.stop_waiting_for_ack();
                self.acknowledged(core);
                true
            }
        }
    }

    fn acknowledged(&mut self, core: &mut Core) {
        match self.state {
            State::Answered => {
                self.state = State::Up;
                self.tell(core, SessionEvent::Confirmed);
                self.next_change(core);
            }
            State::Hanging => self.send_bye(core),
            State::Up => self.next_change(core),
            State::Incoming | State::Calling | State::Cancelling | State::Leaving | State::Over => {}
        }
    }

    pub(super) fn ack_missing(&mut self, core: &mut Core) {
        self.give_up_ack(core, Cause::new(Fault::Network, Kind::SignallingTimeout));
    }

    /// No way led to the peer for a response. Without its 2xx there is no ACK and so no call; whatever else it misses,
    /// it asks for again or gives up by itself.
    pub fn undelivered(&mut self, core: &mut Core, tx: ServerId) {
        if self.unacked.as_ref().is_some_and(|unacked| unacked.tx == tx) {
            self.give_up_ack(core, Cause::new(Fault::Network, Kind::ConnectionLost));
        }
    }

    fn give_up_ack(&mut self, core: &mut Core, cause: Cause) {
        self.unacked = None;
        self.stop_waiting_for_ack();
        if self.state != State::Hanging {
            self.bye_reason = cause;
        }
        self.tell_end(core, cause);
        self.send_bye(core);
    }

    /// CANCEL came for the INVITE of `tx`; its own 200 is sent already.
    pub fn cancelled(&mut self, core: &mut Core, tx: ServerId, request: &Request) {
        let ours = self.incoming.as_ref().is_some_and(|incoming| incoming.tx == tx);
        if ours && self.state == State::Incoming {
            let reason = status::cause_of_reasons(&request.headers, self.peer_fault());
            self.tell_end(core, reason.unwrap_or(Cause::new(Fault::Caller, Kind::Cancelled)));
            self.refuse_invite(core, 487);
        } else {
            self.reinvite_cancelled(core, tx);
        }
    }

    /// The final response to the INVITE in hand, and nothing after it.
    pub(super) fn refuse_invite(&mut self, core: &mut Core, status: u16) {
        if let Some(incoming) = self.incoming.take() {
            let response = core.answer(&incoming.request, status);
            core.respond(incoming.tx, &response);
        }
        self.finish(core);
    }

    /// The final response that `why` is on the wire.
    pub(super) fn refuse_invite_for(&mut self, core: &mut Core, why: Cause) {
        if let Some(incoming) = self.incoming.take() {
            let response = core.answer_for(&incoming.request, why);
            core.respond(incoming.tx, &response);
        }
        self.finish(core);
    }

    pub(super) fn prack_came(&mut self, core: &mut Core, tx: ServerId, request: &Request) {
        let rack = request.headers.rack().ok().flatten();
        let fits = rack.is_some_and(|rack| self.reliable.take_prack(&rack, self.invite_seq));
        // Our reliable responses hold no description, so a PRACK has none to answer (RFC 3262 section 5).
        let status = match (fits, request.body.is_empty()) {
            (false, _) => 481,
            (true, true) => 200,
            (true, false) => 488,
        };
        self.refuse(core, tx, request, status);
    }

    /// What waited for the session to be up.
    pub(super) fn next_change(&mut self, core: &mut Core) {
        if let Some(change) = self.queued.take() {
            self.change(core, change);
        }
    }
}

/// 422 with the smallest interval we take (RFC 4028 section 9).
pub(super) fn too_small(core: &Core, request: &Request, _: TooSmall) -> Response {
    core.answer(request, 422).with("Min-SE", MIN_SE)
}
