//! How a session ends: by its owner, by the peer, by time (RFC 3261 section 15).

use super::change::Theirs;
use super::{Session, State, Timer};
use crate::endpoint::client::Purpose;
use crate::endpoint::core::Core;
use crate::endpoint::server::ServerId;
use crate::message::{Method, Request};
use crate::status;
use crate::transaction::TRANSACTION_LIFE;
use base::{Cause, Fault, Kind};

impl Session {
    /// Its owner ends it, or we must.
    pub(super) fn end(&mut self, core: &mut Core, why: Cause) {
        self.tell_end(core, why);
        self.bye_reason = why;
        match self.state {
            State::Incoming => self.refuse_invite_for(core, why),
            // BYE must wait for the ACK (15).
            State::Answered => self.state = State::Hanging,
            State::Up => self.send_bye(core),
            State::Calling => self.give_up_calling(core),
            State::Hanging | State::Cancelling | State::Leaving | State::Over => {}
        }
    }

    pub(super) fn expired(&mut self, core: &mut Core) {
        match self.state {
            State::Up | State::Answered => self.end(core, Cause::new(Fault::Network, Kind::SessionExpired)),
            State::Incoming
            | State::Hanging
            | State::Calling
            | State::Cancelling
            | State::Leaving
            | State::Over => {}
        }
    }

    pub(super) fn send_bye(&mut self, core: &mut Core) {
        self.drop_pending(core);
        self.state = State::Leaving;
        let Some(dialog) = &mut self.dialog else { return self.finish(core) };
        let mut bye = dialog.request(Method::Bye);
        for reason in status::reasons(self.bye_reason) {
            bye.headers.push("Reason", reason);
        }
        self.send(core, Purpose::Bye, bye);
    }

    pub(super) fn bye_came(&mut self, core: &mut Core, tx: ServerId, request: &Request) {
        self.refuse(core, tx, request, 200);
        let why = status::cause_of_reasons(&request.headers, self.peer_fault());
        self.tell_end(core, why.unwrap_or(Cause::new(self.peer_fault(), Kind::HungUp)));
        match self.state {
            State::Incoming => self.refuse_invite(core, 487),
            // The callee hangs up before it answers; its final response to the INVITE is still to come.
            State::Calling => self.give_up_calling(core),
            // Our own BYE crosses it and is answered, or not.
            State::Leaving | State::Cancelling => {}
            State::Answered | State::Hanging | State::Up | State::Over => self.finish(core),
        }
    }

    /// Gives up a call of ours: CANCEL needs a provisional response first (9.1).
    pub(super) fn give_up_calling(&mut self, core: &mut Core) {
        self.state = State::Cancelling;
        let Some(calling) = &mut self.calling else { return self.finish(core) };
        if core.is_seeking(calling.client) {
            core.abandon(calling.client);
            return self.finish(core);
        }
        if calling.provisional {
            calling.cancel_sent = true;
            core.cancel(calling.client, self.bye_reason);
            self.deadlines.arm(Timer::Unanswered, core.now + TRANSACTION_LIFE);
        }
    }

    /// The INVITE counts as cancelled when nothing comes of it (9.1).
    pub(super) fn cancel_unanswered(&mut self, core: &mut Core) {
        if let Some(calling) = &self.calling {
            core.abandon(calling.client);
        }
        self.finish(core);
    }

    /// Answers what the peer still waits for (15.1.2).
    fn drop_pending(&mut self, core: &mut Core) {
        match std::mem::replace(&mut self.theirs, Theirs::Nothing) {
            Theirs::Nothing => {}
            Theirs::Reinvite { tx, request, .. } | Theirs::Update { tx, request, .. } => {
                self.refuse(core, tx, &request, 487);
            }
        }
        self.ours = None;
        self.queued = None;
        self.unacked = None;
        self.timer.stop();
        self.reliable.stop();
        self.deadlines.clear();
    }

    /// Nothing is left to do.
    pub(super) fn finish(&mut self, core: &mut Core) {
        self.drop_pending(core);
        self.unindex(core, None);
        self.state = State::Over;
    }
}
