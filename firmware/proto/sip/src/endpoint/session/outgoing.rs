//! A call we make: 1xx and early dialogs, forks, 2xx and ACK, CANCEL (RFC 3261 13.2, 9.1; RFC 3262 section 4).

use super::path::{Back, Path};
use super::{Role, Session, State, Timer};
use crate::dialog::Dialog;
use crate::digest::DigestClient;
use crate::endpoint::body;
use crate::endpoint::client::{ClientId, Purpose};
use crate::endpoint::core::{Core, Outcome};
use crate::endpoint::flow::{Flow, Hop};
use crate::endpoint::port::{Event, Outgoing};
use crate::endpoint::route::Parcel;
use crate::headers::NameAddr;
use crate::message::{Method, Request, Response};
use crate::reliable::{Heard, Receiver};
use crate::session::SessionEvent;
use crate::status;
use crate::transaction::TRANSACTION_LIFE;
use base::{Cause, Fault, Kind};
use std::time::Duration;

/// How long a callee may ring.
const RING_LIMIT: Duration = Duration::from_secs(180);
/// Most forks of one call that are told apart.
const MAX_FORKS: usize = 16;

/// A call that is being made, and afterwards what is left of its forks.
#[derive(Debug)]
pub(super) struct Calling {
    pub client: ClientId,
    request: Request,
    hop: Hop,
    forks: Vec<Fork>,
    /// The fork whose reliable response already told us its answer.
    answered_early: Option<String>,
    pub provisional: bool,
    pub cancel_sent: bool,
    rang: bool,
    /// Forks that answered too late: acknowledged and hung up.
    dropped: Vec<String>,
}

#[derive(Debug)]
struct Fork {
    dialog: Dialog,
    receiver: Receiver,
}

impl Calling {
    pub(super) fn dialogs_mut(&mut self) -> impl Iterator<Item = &mut Dialog> {
        self.forks.iter_mut().map(|fork| &mut fork.dialog)
    }
}

/// Sends the INVITE; a device's registered contact and flow are in `known`.
pub(super) fn begin(core: &mut Core, outgoing: Outgoing, known: Option<(NameAddr, Flow)>) -> Session {
    let flow = known.as_ref().map(|(_, flow)| *flow).filter(|flow| core.is_open(*flow));
    let back = if flow.is_some() { Back::Symmetric } else { Back::ByContact };
    let path = Path { flow, back, scheme: outgoing.to.scheme.clone() };
    let mut session = Session::new(outgoing.id, Role::Callee, State::Calling, path);
    let seed = core.seed();
    session.digest = outgoing.login.map(|login| DigestClient::new(&login.user, login.password, seed));
    let target = known.as_ref().map_or(&outgoing.to, |(contact, _)| &contact.uri).clone();
    let tag = core.token();
    let mut request = Request::new(Method::Invite, target.clone());
    if let Some(proxy) = &outgoing.proxy {
        let mut proxy = proxy.clone();
        proxy.params.set("lr", None);
        request.headers.push("Route", NameAddr::new(proxy));
    }
    let call_id = core.token();
    request.headers.push("Max-Forwards", 70);
    request.headers.push("From", outgoing.from.with_tag(&tag));
    request.headers.push("To", NameAddr::new(outgoing.to));
    request.headers.push("Call-ID", call_id);
    request.headers.push("CSeq", "1 INVITE");
    session.timer.ask(&mut request.headers);
    let request = request.with_body("application/sdp", outgoing.offer.clone());
    session.local_description = outgoing.offer;
    session.invite_seq = 1;
    let hop = match (known, outgoing.proxy) {
        (Some((_, flow)), _) if core.is_open(flow) => Hop::Flow(flow),
        (Some(_), _) => Hop::Uri(target),
        (None, Some(proxy)) => Hop::Uri(proxy),
        (None, None) => Hop::Uri(target),
    };
    core.counters.sessions += 1;
    let client = core.request(session.id, Purpose::Invite, request.clone(), hop.clone());
    session.calling = Some(Calling {
        client,
        request,
        hop,
        forks: Vec::new(),
        answered_early: None,
        provisional: false,
        cancel_sent: false,
        rang: false,
        dropped: Vec::new(),
    });
    session.deadlines.arm(Timer::Unanswered, core.now + RING_LIMIT);
    session
}

impl Session {
    pub(super) fn invite_heard(&mut self, core: &mut Core, client: ClientId, result: Outcome) {
        // An INVITE that was sent again (with credentials, say) leaves its first copy behind.
        if self.calling.as_ref().is_none_or(|calling| calling.client != client) {
            return;
        }
        match (self.state, result) {
            (State::Calling, Outcome::Response(response)) if response.is_provisional() => {
                self.provisional_came(core, &response);
            }
            (State::Cancelling, Outcome::Response(response)) if response.is_provisional() => {
                if let Some(calling) = self.calling.as_mut().filter(|calling| !calling.cancel_sent) {
                    calling.provisional = true;
                    self.give_up_calling(core);
                }
            }
            (State::Calling, Outcome::Response(response)) if response.is_success() => {
                self.callee_answered(core, &response);
            }
            (State::Cancelling, Outcome::Response(response)) if response.is_success() => {
                self.callee_was_faster(core, &response);
            }
            (State::Up | State::Leaving, Outcome::Response(response)) if response.is_success() => {
                self.success_again(core, &response);
            }
            (State::Calling, Outcome::Response(response)) => self.callee_refused(core, &response),
            (State::Calling, Outcome::TimedOut) => {
                self.call_failed(core, Cause::new(Fault::Network, Kind::SignallingTimeout));
            }
            (State::Calling, Outcome::Undeliverable) => {
                self.call_failed(core, Cause::new(Fault::Network, Kind::Unreachable));
            }
            (State::Cancelling, _) => self.finish(core),
            // A session that stands, or never was a call of ours, has heard its final response.
            (State::Up | State::Leaving | State::Over, _)
            | (State::Incoming | State::Answered | State::Hanging, _) => {}
        }
    }

    fn provisional_came(&mut self, core: &mut Core, response: &Response) {
        let Some(calling) = &mut self.calling else { return };
        calling.provisional = true;
        self.path.flow = self.path.flow.or_else(|| core.flow_of(calling.client));
        if response.status == 180 && !std::mem::replace(&mut calling.rang, true) {
            core.tell(Event::Ringing(self.id));
        }
        let Some(fork) = fork_of(calling, response) else { return };
        let required = response.headers.require().iter().any(|tag| tag.eq_ignore_ascii_case("100rel"));
        let rseq = response.headers.rseq().ok().flatten().filter(|_| required);
        let dialog = fork.dialog.id();
        if let Some(rseq) = rseq
            && fork.receiver.take(rseq) == Heard::New
        {
            let rack = format!("{rseq} {} INVITE", self.invite_seq);
            let prack = fork.dialog.request(Method::Prack).with("RAck", rack);
            let hop = self.path.hop(core, &fork.dialog);
            core.request(self.id, Purpose::Aside, prack, hop);
            if let Ok(body::Body::Description(answer)) = body::read(&response.headers, &response.body)
                && calling.answered_early.is_none()
            {
                calling.answered_early = Some(dialog.remote_tag.clone());
                core.tell_session(self.id, SessionEvent::Answer(answer));
            }
        }
        self.index(core, dialog);
    }

    fn callee_answered(&mut self, core: &mut Core, response: &Response) {
        let Some(calling) = &mut self.calling else { return };
        let Ok(dialog) = winner(calling, response) else {
            return self.call_failed(core, Cause::new(Fault::Callee, Kind::ProtocolError));
        };
        self.path.flow = self.path.flow.or_else(|| core.flow_of(calling.client));
        let told = calling.answered_early.as_deref() == Some(dialog.remote_tag());
        let id = dialog.id();
        self.dialog = Some(dialog);
        self.index(core, id.clone());
        self.unindex(core, Some(&id));
        self.state = State::Up;
        self.deadlines.disarm(Timer::Unanswered);
        self.proofs = 0;
        self.learn(&response.headers);
        self.timer.answered(core.now, &response.headers);
        self.acknowledge(core);
        match body::read(&response.headers, &response.body) {
            Ok(body::Body::Description(answer)) if !told => self.tell(core, SessionEvent::Answer(answer)),
            Ok(body::Body::Description(_)) => {}
            Ok(body::Body::Nothing) if told => {}
            Ok(body::Body::Nothing) | Err(_) => {
                return self.end(core, Cause::new(Fault::Callee, Kind::ProtocolError));
            }
        }
        self.tell(core, SessionEvent::Confirmed);
        self.next_change(core);
    }

    /// The 2xx and our CANCEL crossed: the call stands, so it is acknowledged and ended (9.1).
    fn callee_was_faster(&mut self, core: &mut Core, response: &Response) {
        let Some(calling) = &mut self.calling else { return };
        let Ok(dialog) = winner(calling, response) else { return self.finish(core) };
        self.path.flow = self.path.flow.or_else(|| core.flow_of(calling.client));
        self.index(core, dialog.id());
        self.dialog = Some(dialog);
        self.acknowledge(core);
        self.send_bye(core);
    }

    /// A 2xx after the first: repeated because our ACK was lost, or from another fork (13.2.2.4).
    fn success_again(&mut self, core: &mut Core, response: &Response) {
        let tag = response.headers.to().ok().and_then(|to| to.tag().map(str::to_owned)).unwrap_or_default();
        if self.dialog.as_ref().is_some_and(|dialog| dialog.remote_tag() == tag) {
            return self.acknowledge(core);
        }
        let Some(calling) = &mut self.calling else { return };
        let Ok(mut fork) = Dialog::from_response(&calling.request, response) else { return };
        let hop = self.path.hop(core, &fork);
        core.travel(Parcel::Ack(Box::new(ack_of(&fork, &calling.request))), hop.clone());
        if calling.dropped.contains(&tag) || calling.dropped.len() >= MAX_FORKS {
            return;
        }
        calling.dropped.push(tag);
        let bye = fork.request(Method::Bye);
        core.request(self.id, Purpose::Aside, bye, hop);
    }

    fn callee_refused(&mut self, core: &mut Core, response: &Response) {
        if response.status == 422 && self.timer.raise(&response.headers) {
            return self.invite_again(core, |timer, request| timer.ask(&mut request.headers));
        }
        let reason = status::cause_of_reasons(&response.headers, Fault::Callee);
        self.call_failed(
            core,
            reason.unwrap_or_else(|| status::cause_of_status(response.status, Fault::Callee)),
        );
    }

    /// Sends the INVITE again, changed, as a new transaction with a new number (8.1.3.5).
    pub(super) fn invite_again(
        &mut self,
        core: &mut Core,
        alter: impl FnOnce(&crate::timer::SessionTimer, &mut Request),
    ) {
        let Some(calling) = &mut self.calling else { return };
        self.invite_seq += 1;
        calling.request.headers.set("CSeq", format_args!("{} INVITE", self.invite_seq));
        alter(&self.timer, &mut calling.request);
        if let Some(digest) = &mut self.digest {
            digest.authorize(&mut calling.request);
        }
        calling.forks.clear();
        calling.provisional = false;
        calling.client = core.request(self.id, Purpose::Invite, calling.request.clone(), calling.hop.clone());
        self.unindex(core, None);
    }

    fn call_failed(&mut self, core: &mut Core, why: Cause) {
        self.tell_end(core, why);
        self.finish(core);
    }

    pub(super) fn callee_silent(&mut self, core: &mut Core) {
        self.end(core, Cause::new(Fault::Callee, Kind::SignallingTimeout));
        if self.state == State::Cancelling {
            self.deadlines.arm(Timer::Unanswered, core.now + TRANSACTION_LIFE);
        }
    }

    fn acknowledge(&mut self, core: &mut Core) {
        let (Some(dialog), Some(calling)) = (&self.dialog, &self.calling) else { return };
        let hop = self.path.hop(core, dialog);
        core.travel(Parcel::Ack(Box::new(ack_of(dialog, &calling.request))), hop);
    }
}

/// The ACK for a 2xx carries the credentials of its INVITE (13.2.2.4).
fn ack_of(dialog: &Dialog, invite: &Request) -> Request {
    let seq = invite.headers.cseq().map_or(0, |cseq| cseq.seq);
    let mut ack = dialog.ack(seq);
    for name in ["Authorization", "Proxy-Authorization"] {
        ack.headers.copy(name, &invite.headers);
    }
    ack
}

/// The fork that a provisional response comes from, newly made if it is the first of it.
fn fork_of<'a>(calling: &'a mut Calling, response: &Response) -> Option<&'a mut Fork> {
    let tag = response.headers.to().ok()?.tag()?.to_owned();
    if let Some(at) = calling.forks.iter().position(|fork| fork.dialog.remote_tag() == tag) {
        return calling.forks.get_mut(at);
    }
    if calling.forks.len() >= MAX_FORKS {
        return None;
    }
    let dialog = Dialog::from_response(&calling.request, response).ok()?;
    calling.forks.push(Fork { dialog, receiver: Receiver::default() });
    calling.forks.last_mut()
}

/// The dialog of the fork that answered: as its early dialog counted, with route and target of the 2xx (13.2.2.4).
fn winner(calling: &mut Calling, response: &Response) -> Result<Dialog, crate::dialog::DialogError> {
    let mut dialog = Dialog::from_response(&calling.request, response)?;
    if let Some(early) = calling.forks.iter().find(|fork| fork.dialog.remote_tag() == dialog.remote_tag()) {
        dialog.continue_from(&early.dialog);
    }
    calling.forks.clear();
    Ok(dialog)
}
