//! Changes of a session that stands: offers and refreshes by re-INVITE and UPDATE, both ways (RFC 3261 14, RFC 3311,
//! RFC 4028, RFC 6337), and INFO.
//!
//! ```text
//!             theirs: Nothing ─offer in─▶ Reinvite, Update ─Answer, RefuseOffer─▶ Nothing
//!  our offer while theirs runs, or an ACK is awaited: queued
//!  their offer while ours runs: 491        while theirs runs: 500, Retry-After
//!  our offer answered 491: again after 2.1-4 s if we made the Call-ID, else 0-2 s
//! ```

use super::incoming::too_small;
use super::{Holds, Role, Session, State, Timer, description};
use crate::endpoint::body::{self, Body};
use crate::endpoint::client::{ClientId, Purpose};
use crate::endpoint::core::{Core, Heard, Outcome};
use crate::endpoint::route::Parcel;
use crate::endpoint::server::ServerId;
use crate::message::{Method, Request, Response};
use crate::session::SessionEvent;
use crate::timer::Agreed;
use base::{Cause, Fault, Kind};
use bytes::Bytes;
use std::time::Duration;

/// How often one change is tried against glare.
const MAX_TRIES: u8 = 5;
/// How often challenges are answered without a success in between: two servers on the way, and a stale nonce.
const MAX_PROOFS: u32 = 3;

/// A change of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    what: What,
    tries: u8,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    /// The owner's offer.
    Offer(Bytes),
    /// Nothing new: the session timer wants it.
    Refresh,
}

/// Our change that is under way.
#[derive(Debug)]
pub(super) struct Ours {
    pub client: ClientId,
    change: Change,
}

/// The peer's change that its owner has to answer.
#[derive(Debug)]
pub(super) enum Theirs {
    Nothing,
    Reinvite { tx: ServerId, request: Request, agreed: Option<Agreed>, holds: Holds },
    Update { tx: ServerId, request: Request, agreed: Option<Agreed> },
}

impl Change {
    pub(super) const fn offer(description: Bytes) -> Self {
        Self { what: What::Offer(description), tries: 0 }
    }

    pub(super) const fn refresh() -> Self {
        Self { what: What::Refresh, tries: 0 }
    }
}

/// Whether the peer may make an offer now (RFC 6337 section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    Open,
    /// Ours is under way.
    Glare,
    /// The one before is not answered yet.
    Busy,
}

/// The peer's changes.
impl Session {
    fn gate(&self) -> Gate {
        let our_offer_unanswered = self.unacked.as_ref().is_some_and(|unacked| unacked.holds == Holds::Offer);
        match (self.state, &self.theirs) {
            (State::Incoming, _) | (_, Theirs::Reinvite { .. } | Theirs::Update { .. }) => Gate::Busy,
            (State::Calling, Theirs::Nothing) => Gate::Glare,
            (_, Theirs::Nothing) if self.ours.is_some() || our_offer_unanswered => Gate::Glare,
            (_, Theirs::Nothing) => Gate::Open,
        }
    }

    pub(super) fn reinvite_came(&mut self, core: &mut Core, tx: ServerId, request: Request) {
        match self.gate() {
            Gate::Open => {}
            Gate::Glare => return self.refuse(core, tx, &request, 491),
            Gate::Busy => return self.refuse_for_now(core, tx, &request),
        }
        let body = match body::read(&request.headers, &request.body) {
            Ok(body) => body,
            Err(refusal) => return core.respond(tx, &refusal.answer(core, &request)),
        };
        let agreed = match self.timer.propose(&request.headers) {
            Ok(agreed) => agreed,
            Err(small) => return core.respond(tx, &too_small(core, &request, small)),
        };
        if !self.acknowledged_by_implication(core) {
            return self.refuse(core, tx, &request, 491);
        }
        self.learn(&request.headers);
        let trying = core.answer(&request, 100);
        core.respond(tx, &trying);
        core.own_invite(tx, self.id);
        let (holds, event) = match description(&body) {
            Some(offer) => (Holds::Answer, SessionEvent::Offer(offer)),
            None => (Holds::Offer, SessionEvent::OfferWanted),
        };
        self.theirs = Theirs::Reinvite { tx, request, agreed, holds };
        self.tell(core, event);
    }

    pub(super) fn update_came(&mut self, core: &mut Core, tx: ServerId, request: Request) {
        let body = match body::read(&request.headers, &request.body) {
            Ok(body) => body,
            Err(refusal) => return core.respond(tx, &refusal.answer(core, &request)),
        };
        let agreed = match self.timer.propose(&request.headers) {
            Ok(agreed) => agreed,
            Err(small) => return core.respond(tx, &too_small(core, &request, small)),
        };
        self.learn(&request.headers);
        let Body::Description(offer) = body else {
            return self.accept_update(core, tx, &request, agreed, None);
        };
        match self.gate() {
            Gate::Open => {
                self.theirs = Theirs::Update { tx, request, agreed };
                self.tell(core, SessionEvent::Offer(offer));
            }
            Gate::Glare => self.refuse(core, tx, &request, 491),
            Gate::Busy => self.refuse_for_now(core, tx, &request),
        }
    }

    fn accept_update(
        &mut self,
        core: &mut Core,
        tx: ServerId,
        request: &Request,
        agreed: Option<Agreed>,
        answer: Option<Bytes>,
    ) {
        let mut response = self.success(core, request);
        // A session refresh counts only while the session stands; before, its INVITE settles the timer.
        if matches!(self.state, State::Up | State::Answered) {
            self.timer.accept(core.now, agreed, &mut response.headers);
        }
        if let Some(answer) = answer {
            self.local_description = answer.clone();
            response = response.with_body("application/sdp", answer);
        }
        self.refresh_target(request);
        core.respond(tx, &response);
    }

    /// The owner answers the peer's offer, or makes the one it was asked for.
    pub(super) fn answer_offer(&mut self, core: &mut Core, answer: Bytes) {
        match std::mem::replace(&mut self.theirs, Theirs::Nothing) {
            Theirs::Nothing => {}
            Theirs::Update { tx, request, agreed } => {
                self.accept_update(core, tx, &request, agreed, Some(answer));
                self.next_change(core);
            }
            Theirs::Reinvite { tx, request, agreed, holds } => {
                let mut response = self.success(core, &request).with_body("application/sdp", answer.clone());
                self.timer.accept(core.now, agreed, &mut response.headers);
                self.local_description = answer;
                self.refresh_target(&request);
                core.respond(tx, &response);
                let seq = request.headers.cseq().map_or(0, |cseq| cseq.seq);
                self.await_ack(core, tx, seq, holds);
            }
        }
    }

    pub(super) fn refuse_offer(&mut self, core: &mut Core) {
        match std::mem::replace(&mut self.theirs, Theirs::Nothing) {
            Theirs::Nothing => {}
            Theirs::Reinvite { tx, request, .. } | Theirs::Update { tx, request, .. } => {
                self.refuse(core, tx, &request, 488);
                self.next_change(core);
            }
        }
    }

    /// The owner's answer to it comes too late and goes nowhere.
    pub(super) fn reinvite_cancelled(&mut self, core: &mut Core, cancelled: ServerId) {
        match std::mem::replace(&mut self.theirs, Theirs::Nothing) {
            Theirs::Reinvite { tx, request, .. } if tx == cancelled => {
                self.refuse(core, tx, &request, 487);
                self.next_change(core);
            }
            other => self.theirs = other,
        }
    }

    fn refresh_target(&mut self, request: &Request) {
        if let Some(dialog) = &mut self.dialog {
            dialog.refresh_target(request.headers.contacts());
        }
    }

    pub(super) fn info_came(&mut self, core: &mut Core, tx: ServerId, request: &Request) {
        let kind = request.headers.content_type().ok().flatten().map(|kind| kind.essence);
        let Some(content_type) = kind.filter(|_| !request.body.is_empty()) else {
            return self.refuse(core, tx, request, 200);
        };
        if !core.config.info_types.contains(&content_type.as_str()) {
            let accept = core.config.info_types.join(", ");
            let response = core.answer(request, 415).with("Accept", accept);
            return core.respond(tx, &response);
        }
        self.refuse(core, tx, request, 200);
        self.tell(core, SessionEvent::Info { content_type, body: request.body.clone() });
    }
}

/// Our changes.
impl Session {
    /// Makes `change`, now or as soon as nothing else is under way. A refresh gives way to whatever waits.
    pub(super) fn change(&mut self, core: &mut Core, change: Change) {
        let free = self.state == State::Up
            && self.ours.is_none()
            && self.unacked.is_none()
            && matches!(self.theirs, Theirs::Nothing)
            && !self.deadlines.is_armed(Timer::Glare);
        if free {
            return self.send_change(core, change);
        }
        if change.what != What::Refresh || self.queued.is_none() {
            self.queued = Some(change);
        }
    }

    fn send_change(&mut self, core: &mut Core, change: Change) {
        let by_update = self.peer_takes_update;
        let (method, purpose) = match by_update {
            true => (Method::Update, Purpose::Update),
            false => (Method::Invite, Purpose::Reinvite),
        };
        let description = match &change.what {
            What::Offer(offer) => Some(offer.clone()),
            // UPDATE refreshes without a description; re-INVITE repeats the one that stands (RFC 4028 7.4).
            What::Refresh => (!by_update).then(|| self.local_description.clone()),
        };
        let Some(dialog) = &mut self.dialog else { return };
        let mut request = dialog.request(method);
        self.timer.ask(&mut request.headers);
        if let Some(description) = description {
            request = request.with_body("application/sdp", description);
        }
        let client = self.send(core, purpose, request);
        self.ours = Some(Ours { client, change });
    }

    pub(super) fn retry_change(&mut self, core: &mut Core) {
        self.next_change(core);
    }

    pub(super) fn change_heard(&mut self, core: &mut Core, client: ClientId, result: Outcome) {
        let response = match result {
            Outcome::Response(response) if response.is_provisional() => return,
            Outcome::Response(response) => response,
            Outcome::TimedOut | Outcome::Undeliverable => return self.change_lost(core, client),
        };
        let of_invite = response.headers.cseq().is_ok_and(|cseq| cseq.method == Method::Invite);
        if of_invite && response.is_success() {
            self.acknowledge_change(core, &response);
        }
        let Some(ours) = self.ours.take_if(|ours| ours.client == client) else { return };
        match (self.state, response.status) {
            (State::Up, 200..300) => self.change_accepted(core, ours, &response),
            (State::Up, 491) => self.glare(core, ours),
            (State::Up, 422) if self.timer.raise(&response.headers) => self.change_again(core, ours),
            (State::Up, 405 | 501) if of_invite => self.change_refused(core, &ours, response.status),
            (State::Up, 405 | 501) => {
                self.peer_takes_update = false;
                self.change_again(core, ours);
            }
            (State::Up, 408 | 481) => self.peer_is_gone(core, response.status),
            (State::Up, status) => self.change_refused(core, &ours, status),
            (_, _) => {}
        }
    }

    /// Also for a 2xx that comes again because the ACK was lost.
    fn acknowledge_change(&mut self, core: &mut Core, response: &Response) {
        let (Some(dialog), Ok(cseq)) = (&mut self.dialog, response.headers.cseq()) else { return };
        dialog.refresh_target(response.headers.contacts());
        let hop = self.path.hop(core, dialog);
        core.travel(Parcel::Ack(Box::new(dialog.ack(cseq.seq))), hop);
    }

    fn change_accepted(&mut self, core: &mut Core, ours: Ours, response: &Response) {
        self.proofs = 0;
        self.learn(&response.headers);
        self.timer.answered(core.now, &response.headers);
        if let Some(dialog) = &mut self.dialog {
            dialog.refresh_target(response.headers.contacts());
        }
        let answer = body::read(&response.headers, &response.body).ok().as_ref().and_then(description);
        match (ours.change.what, answer) {
            (What::Offer(offer), Some(answer)) => {
                self.local_description = offer;
                self.tell(core, SessionEvent::Answer(answer));
            }
            (What::Offer(_), None) => self.tell(core, SessionEvent::OfferRefused(response.status)),
            // The owner made no offer and the description is the one that stands.
            (What::Refresh, _) => {}
        }
        self.next_change(core);
    }

    fn change_refused(&mut self, core: &mut Core, ours: &Ours, status: u16) {
        match ours.change.what {
            What::Offer(_) => self.tell(core, SessionEvent::OfferRefused(status)),
            What::Refresh => self.timer.retry(core.now),
        }
        self.next_change(core);
    }

    fn change_again(&mut self, core: &mut Core, ours: Ours) {
        let tries = ours.change.tries.saturating_add(1);
        if tries > MAX_TRIES {
            return self.change_refused(core, &ours, 491);
        }
        self.send_change(core, Change { tries, ..ours.change });
    }

    fn glare(&mut self, core: &mut Core, ours: Ours) {
        let tries = ours.change.tries.saturating_add(1);
        if tries > MAX_TRIES {
            return self.change_refused(core, &ours, 491);
        }
        // In steps of 10 ms; who made the Call-ID waits longer (14.1).
        let steps = match self.role {
            Role::Callee => 210 + core.below(191),
            Role::Caller => core.below(201),
        };
        self.deadlines.arm(Timer::Glare, core.now + Duration::from_millis(u64::from(steps) * 10));
        if self.queued.is_none() {
            self.queued = Some(Change { tries, ..ours.change });
        }
    }

    fn change_lost(&mut self, core: &mut Core, client: ClientId) {
        if self.is_ours(client) && self.state == State::Up {
            self.peer_is_gone(core, 408);
        }
    }

    /// Nobody answers in the dialog any more (12.2.1.2, RFC 5057).
    fn peer_is_gone(&mut self, core: &mut Core, status: u16) {
        let kind = if status == 481 { Kind::ConnectionLost } else { Kind::SignallingTimeout };
        self.end(core, Cause::new(Fault::Network, kind));
    }

    pub(super) fn send_info(&mut self, core: &mut Core, content_type: &str, body: Bytes) {
        let Some(dialog) = &mut self.dialog else { return };
        let request = dialog.request(Method::Info).with_body(content_type, body);
        self.send(core, Purpose::Info, request);
    }

    pub(super) fn info_heard(&mut self, core: &mut Core, result: Outcome) {
        match result {
            Outcome::Response(response) if response.status == 481 && self.state == State::Up => {
                self.peer_is_gone(core, 481);
            }
            // An INFO that is refused or lost is no reason to end a call.
            Outcome::Response(_) | Outcome::TimedOut | Outcome::Undeliverable => {}
        }
    }

    /// Answers a challenge by sending the request again with credentials (22.2). False if that can't be done.
    pub(super) fn prove(&mut self, core: &mut Core, heard: &Heard, response: &Response) -> bool {
        let waiting = match heard.purpose {
            Purpose::Invite => {
                self.state == State::Calling
                    && self.calling.as_ref().is_some_and(|calling| calling.client == heard.client)
            }
            Purpose::Reinvite | Purpose::Update => self.is_ours(heard.client) && self.state == State::Up,
            Purpose::Bye => self.state == State::Leaving,
            Purpose::Info => self.state == State::Up,
            Purpose::Aside => false,
        };
        let Some(request) = heard.request.as_deref().filter(|_| waiting && self.proofs < MAX_PROOFS) else {
            return false;
        };
        let Some(digest) = &mut self.digest else { return false };
        if digest.challenged(request, response).is_err() {
            return false;
        }
        self.proofs += 1;
        if heard.purpose == Purpose::Invite {
            self.invite_again(core, |_, _| {});
            return true;
        }
        let Some(dialog) = &mut self.dialog else { return false };
        let mut request = request.clone();
        let seq = dialog.next_seq();
        request.headers.set("CSeq", format_args!("{seq} {}", request.method));
        let client = self.send(core, heard.purpose, request);
        if let Some(ours) = self.ours.as_mut().filter(|ours| ours.client == heard.client) {
            ours.client = client;
        }
        true
    }
}
