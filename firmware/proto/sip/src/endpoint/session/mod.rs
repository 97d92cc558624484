//! One INVITE session: the INVITE usage of a dialog, from the first request to the last (RFC 3261 13-15).
//!
//! ```text
//!  INVITE in ─▶ Incoming ──Accept──▶ Answered ──ACK──▶ Up ──BYE in──▶ Over
//!                  │ CANCEL, End        │ End           │ End, expired
//!                  ▼                    ▼               ▼
//!                Over               Hanging ──ACK──▶ Leaving ──BYE answered──▶ Over
//!
//!  Call ─▶ Calling ──2xx: ACK──▶ Up
//!             │ End                 ▲ (the 2xx was faster: ACK, BYE)
//!             ▼                     │
//!         Cancelling ──487──▶ Over  └──▶ Leaving
//! ```
//! The owner hears `Ended` once, at the moment the outcome is sure; what is left to be said on the wire goes on
//! without it. [`incoming`], [`outgoing`], [`change`] and [`ending`] hold the steps.

mod change;
mod ending;
mod incoming;
mod outgoing;
mod path;

use super::client::{ClientId, Purpose};
use super::core::{Core, Heard, Outcome};
use super::flow::{Flow, Hop};
use super::port::Outgoing;
use super::server::ServerId;
use crate::deadlines::Deadlines;
use crate::dialog::{Dialog, DialogId, Order};
use crate::digest::DigestClient;
use crate::headers::NameAddr;
use crate::message::{Method, Request, Response};
use crate::reliable;
use crate::session::{SessionCommand, SessionEvent};
use crate::timer::{Due, SessionTimer};
use base::ids::SessionId;
use base::machine::earliest;
use base::{Cause, Fault};
use bytes::Bytes;
use change::{Change, Ours, Theirs};
use incoming::Incoming;
use outgoing::Calling;
use path::Path;
use std::time::{Duration, Instant};

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// UAS: an INVITE is in hand, without final response.
    Incoming,
    /// UAS: the 2xx is sent, its ACK awaited.
    Answered,
    /// UAS: ended by its owner while the ACK is awaited; BYE follows it.
    Hanging,
    /// UAC: the INVITE is out, without final response.
    Calling,
    /// UAC: given up; CANCEL is out, or waits for a provisional response.
    Cancelling,
    /// Both sides agree.
    Up,
    /// BYE is out.
    Leaving,
    /// Nothing is left to do.
    Over,
}

/// A session's timers, besides those of RFC 4028 and RFC 3262.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timer {
    /// Repeat the 2xx: T1, doubling to T2.
    Again,
    /// No ACK came: 64 × T1.
    NoAck,
    /// Repeat 180, so that proxies keep waiting (13.3.1.1): one minute.
    Ring,
    /// Try again what glare refused (14.1).
    Glare,
    /// The callee or its answer to CANCEL takes too long.
    Unanswered,
}

/// Which side of the call the peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// It called us.
    Caller,
    /// We called it.
    Callee,
}

/// A 2xx to INVITE whose ACK is awaited.
#[derive(Debug)]
struct Unacked {
    tx: ServerId,
    seq: u32,
    interval: Duration,
    holds: Holds,
}

/// What a description is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Offer,
    Answer,
}

pub(super) struct Session {
    id: SessionId,
    role: Role,
    state: State,
    told_end: bool,
    dialog: Option<Dialog>,
    indexed: Vec<DialogId>,
    path: Path,
    peer_takes_update: bool,
    incoming: Option<Incoming>,
    calling: Option<Calling>,
    invite_seq: u32,
    unacked: Option<Unacked>,
    reliable: reliable::Sender,
    timer: SessionTimer,
    theirs: Theirs,
    ours: Option<Ours>,
    queued: Option<Change>,
    local_description: Bytes,
    digest: Option<DigestClient>,
    proofs: u32,
    bye_reason: Cause,
    deadlines: Deadlines<Timer>,
}

impl Session {
    fn new(id: SessionId, role: Role, state: State, path: Path) -> Self {
        Self {
            id,
            role,
            state,
            told_end: false,
            dialog: None,
            indexed: Vec::new(),
            path,
            peer_takes_update: false,
            incoming: None,
            calling: None,
            invite_seq: 0,
            unacked: None,
            reliable: reliable::Sender::default(),
            timer: SessionTimer::default(),
            theirs: Theirs::Nothing,
            ours: None,
            queued: None,
            local_description: Bytes::new(),
            digest: None,
            proofs: 0,
            bye_reason: Cause::CALLER_HUNG_UP,
            deadlines: Deadlines::default(),
        }
    }

    /// Begins the call of `outgoing`.
    pub fn call(core: &mut Core, outgoing: Outgoing, known: Option<(NameAddr, super::Flow)>) -> Self {
        outgoing::begin(core, outgoing, known)
    }

    /// Whether it can be forgotten.
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// When it wants to be woken.
    pub fn wake(&self) -> Option<Instant> {
        let session = earliest(self.timer.wake(), self.reliable.wake());
        earliest(self.deadlines.next(), session)
    }

    /// Takes what its owner wants.
    pub fn command(&mut self, core: &mut Core, command: SessionCommand) {
        use SessionCommand as C;
        match (self.state, command) {
            (State::Incoming, C::Ring) => self.ring(core),
            (State::Incoming, C::Accept(description)) => self.accept(core, description),
            (State::Answered | State::Up, C::Answer(description)) => self.answer_offer(core, description),
            (State::Answered | State::Up, C::RefuseOffer) => self.refuse_offer(core),
            (State::Answered | State::Up, C::Offer(description)) => {
                self.change(core, Change::offer(description));
            }
            (State::Answered | State::Up, C::Info { content_type, body }) => {
                self.send_info(core, content_type, body);
            }
            (State::Incoming | State::Answered | State::Calling | State::Up, C::End(cause)) => {
                self.end(core, cause)
            }

            // Ring and Accept come once and in order; what is asked of a session that ends is moot.
            (State::Answered | State::Up, C::Ring | C::Accept(_))
            | (
                State::Incoming | State::Calling,
                C::Answer(_) | C::RefuseOffer | C::Offer(_) | C::Info { .. },
            )
            | (State::Calling, C::Ring | C::Accept(_))
            | (State::Hanging | State::Cancelling | State::Leaving | State::Over, _) => {}
        }
    }

    /// Takes a request inside its dialog; ACK and CANCEL come by [`ack`](Self::ack) and
    /// [`cancelled`](Self::cancelled).
    pub fn request(&mut self, core: &mut Core, tx: ServerId, flow: Flow, request: Request) {
        if self.take_seq(&request) == Order::Old {
            let response = core.answer(&request, 500);
            return core.respond(tx, &response);
        }
        if self.peer_is_let_in() {
            core.let_in(tx);
        }
        self.path.follow(flow, &request);
        match (self.state, &request.method) {
            (State::Over, _) => self.refuse(core, tx, &request, 481),
            (_, Method::Bye) => self.bye_came(core, tx, &request),
            (_, Method::Options) => super::options(core, tx, &request),
            (State::Leaving | State::Hanging | State::Cancelling, _) => self.refuse(core, tx, &request, 481),

            (State::Incoming | State::Answered, Method::Prack) => self.prack_came(core, tx, &request),
            (State::Calling | State::Up, Method::Prack) => self.refuse(core, tx, &request, 481),
            (State::Answered | State::Up, Method::Invite) => self.reinvite_came(core, tx, request),
            // A second INVITE before the first is answered (14.2); one that crosses ours.
            (State::Incoming, Method::Invite) => self.refuse_for_now(core, tx, &request),
            (State::Calling, Method::Invite) => self.refuse(core, tx, &request, 491),
            (State::Incoming | State::Answered | State::Calling | State::Up, Method::Update) => {
                self.update_came(core, tx, request);
            }
            (State::Incoming | State::Answered | State::Calling | State::Up, Method::Info) => {
                self.info_came(core, tx, &request);
            }
            (State::Incoming | State::Answered | State::Calling | State::Up, _) => {
                super::not_taken(core, tx, &request);
            }
        }
    }

    /// Takes what came of a request it sent.
    pub fn heard(&mut self, core: &mut Core, heard: Heard) {
        if let Outcome::Response(response) = &heard.result
            && matches!(response.status, 401 | 407)
            && self.prove(core, &heard, response)
        {
            return;
        }
        match (heard.purpose, heard.result) {
            (Purpose::Invite, result) => self.invite_heard(core, heard.client, result),
            (Purpose::Reinvite | Purpose::Update, result) => self.change_heard(core, heard.client, result),
            (Purpose::Info, result) => self.info_heard(core, result),
            (Purpose::Bye, Outcome::Response(response)) if response.is_provisional() => {}
            (Purpose::Bye, _) => self.finish(core),
            (Purpose::Aside, _) => {}
        }
    }

    /// Takes the passing of time.
    pub fn timeout(&mut self, core: &mut Core) {
        while let Some(timer) = self.deadlines.take_due(core.now) {
            self.fired(core, timer);
        }
        while let Some(due) = self.reliable.take_due(core.now) {
            self.reliable_due(core, due);
        }
        while let Some(due) = self.timer.take_due(core.now) {
            match due {
                Due::Refresh => self.change(core, Change::refresh()),
                Due::Expired => self.expired(core),
            }
        }
    }

    fn fired(&mut self, core: &mut Core, timer: Timer) {
        match (timer, self.state) {
            (Timer::Again, State::Answered | State::Hanging | State::Up) => self.repeat_success(core),
            (Timer::NoAck, State::Answered | State::Hanging | State::Up) => self.ack_missing(core),
            (Timer::Ring, State::Incoming) => self.ring_on(core),
            (Timer::Glare, State::Up) => self.retry_change(core),
            (Timer::Unanswered, State::Calling) => self.callee_silent(core),
            (Timer::Unanswered, State::Cancelling) => self.cancel_unanswered(core),
            // Left over from a state that has passed.
            (Timer::Again | Timer::NoAck, _) | (Timer::Ring | Timer::Glare | Timer::Unanswered, _) => {}
        }
    }

    fn tell(&self, core: &mut Core, event: SessionEvent) {
        if !self.told_end {
            core.tell_session(self.id, event);
        }
    }

    fn tell_end(&mut self, core: &mut Core, cause: Cause) {
        self.tell(core, SessionEvent::Ended(cause));
        self.told_end = true;
    }

    /// Whether the peer is a party to the call by our own doing: we answered it, or made it. A caller that waits for
    /// our answer is not, though its early dialog exists.
    const fn peer_is_let_in(&self) -> bool {
        match self.state {
            State::Incoming | State::Over => false,
            State::Answered
            | State::Hanging
            | State::Calling
            | State::Cancelling
            | State::Up
            | State::Leaving => true,
        }
    }

    const fn peer_fault(&self) -> Fault {
        match self.role {
            Role::Caller => Fault::Caller,
            Role::Callee => Fault::Callee,
        }
    }

    fn refuse(&self, core: &mut Core, tx: ServerId, request: &Request, status: u16) {
        let response = core.answer(request, status);
        core.respond(tx, &response);
    }

    /// 500 with Retry-After of 0 to 10 s: an offer overlaps another one (14.2, RFC 3311 5.2).
    fn refuse_for_now(&self, core: &mut Core, tx: ServerId, request: &Request) {
        let wait = core.below(11);
        let response = core.answer(request, 500).with("Retry-After", wait);
        core.respond(tx, &response);
    }

    fn index(&mut self, core: &mut Core, dialog: DialogId) {
        if !self.indexed.contains(&dialog) {
            core.dialogs.insert(dialog.clone(), self.id);
            self.indexed.push(dialog);
        }
    }

    fn unindex(&mut self, core: &mut Core, but: Option<&DialogId>) {
        let id = self.id;
        self.indexed.retain(|dialog| {
            let keep = Some(dialog) == but;
            if !keep && core.dialogs.get(dialog) == Some(&id) {
                core.dialogs.remove(dialog);
            }
            keep
        });
    }

    /// The number of a request against those before it, in the dialog it came in.
    fn take_seq(&mut self, request: &Request) -> Order {
        let Ok(cseq) = request.headers.cseq() else { return Order::Old };
        let tag =
            request.headers.from().ok().and_then(|from| from.tag().map(str::to_owned)).unwrap_or_default();
        let early = self.calling.iter_mut().flat_map(|calling| calling.dialogs_mut());
        let mut dialogs = self.dialog.iter_mut().chain(early);
        dialogs
            .find(|dialog| dialog.remote_tag() == tag)
            .map_or(Order::Old, |dialog| dialog.take_seq(cseq.seq))
    }

    /// Notes what the peer can do.
    fn learn(&mut self, headers: &crate::headers::Headers) {
        if headers.has("Allow") {
            self.peer_takes_update = headers.allows(&Method::Update);
        }
    }

    /// A 2xx in this session: with Contact, and what we can do.
    fn success(&self, core: &Core, request: &Request) -> Response {
        let mut response = core.answer(request, 200);
        response.headers.copy("Record-Route", &request.headers);
        self.path.add_contact(core, &mut response.headers);
        response.with("Allow", super::core::allow()).with("Supported", super::core::EXTENSIONS)
    }

    /// Sends a request of its dialog, with credentials for whoever asked for them before.
    fn send(&mut self, core: &mut Core, purpose: Purpose, mut request: Request) -> ClientId {
        if let Some(digest) = &mut self.digest {
            digest.authorize(&mut request);
        }
        let uri = request.uri.clone();
        let hop = self.dialog.as_ref().map_or(Hop::Uri(uri), |dialog| self.path.hop(core, dialog));
        core.request(self.id, purpose, request, hop)
    }

    fn is_ours(&self, client: ClientId) -> bool {
        self.ours.as_ref().is_some_and(|ours| ours.client == client)
    }
}

/// The session description in a message, if there is one.
pub(super) fn description(body: &super::body::Body) -> Option<Bytes> {
    match body {
        super::body::Body::Description(bytes) => Some(bytes.clone()),
        super::body::Body::Nothing => None,
    }
}
