//! How a shard's calls begin, are turned, and end.
//!
//! ```text
//!  Invite ─▶ incoming: four ports, a leg, a call ─▶ guarded ─┬─ wishes ─▶ grant ─▶ endpoint, request, licences, conference leg
//!                                                   ▲  │     └─ ended ──▶ forget: all is given back
//!                                                   └──┘ any work        panic ─▶ crashed: forget, and the caller is told
//! ```

use super::{Room, Shard, Slot};
use crate::alarms::watch::MEDIA_PORTS;
use crate::control::{EndedCall, REMEMBERED};
use crate::engine::call::{Call, Wish, Work};
use crate::engine::leg::CallerLeg;
use crate::engine::status;
use crate::media::Plane;
use crate::net::poller::Token;
use crate::net::ports::PooledUdp;
use base::ids::{CallId, SessionId};
use base::leg::{Join, Port};
use base::{Cause, Fault, Kind};
use domain::alarm::{Fact, Health};
use domain::appliance::instant::UnixTime;
use domain::call::{CallInput, Operator, State};
use domain::defence::Offence;
use domain::history::CallRecord;
use domain::media::Side;
use domain::status::Meter;
use meet::ConferenceLeg;
use rand::Rng;
use sip::endpoint::{Input, Transport};
use sip::session::SessionCommand;
use std::any::Any;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;
use tracing::{error, warn};

impl Shard {
    /// A new caller: it gets four media ports, or 503. It is routed in the same turn, so one that no rule takes gives
    /// them back at once.
    pub(super) fn incoming(&mut self, now: Instant, session: SessionId, from: (SocketAddr, Transport)) {
        let Some(sockets) = self.caller_sockets() else {
            warn!("no media port is free; a caller is refused");
            self.is_full();
            let full = SessionCommand::End(Cause::new(Fault::Gateway, Kind::NoCapacity));
            return self.endpoint(now, Input::Session { id: session, command: full });
        };
        let id = CallId(self.next_call);
        self.next_call += 1;
        let config = sip::leg::Config {
            silence: self.parts.config.media.silence,
            ..sip::leg::Config::new(
                self.parts.advertised,
                sockets.each_ref().map(|socket| socket.udp.local()),
                format!("{:016x}", self.rng.next_u64()),
            )
        };
        let leg = sip::leg::Leg::new(config, self.parts.epoch, self.seed());
        let machine = domain::call::Call::new(id, Arc::clone(&self.parts.config));
        let slot = Slot {
            call: Call::new(machine, session, CallerLeg::Sip(Box::new(leg)), sockets, now),
            wake: None,
            tokens: Vec::new(),
            from,
            stood: false,
            meters: (Meter::default(), Meter::default()),
            conference: Vec::new(),
        };
        self.sessions.insert(session, id);
        self.calls.insert(id, slot);
        for port in 0..4 {
            self.watch(id, Side::Caller, Port(port));
        }
        if let Some(deadline) = self.drain {
            self.turn(now, id, Work::Call(CallInput::Operator(Operator::Drain { deadline })));
        }
    }

    /// A caller is refused for want of ports.
    fn is_full(&mut self) {
        self.room = Room::None;
        let range = self.parts.config.media.ports;
        let why = format!("no port of {}-{} is free, and callers are refused", range.first, range.last);
        self.tell_room(Health::Bad { why });
    }

    fn tell_room(&self, health: Health) {
        self.parts.alarms.tell(Fact::Capacity { what: MEDIA_PORTS.to_owned(), health });
    }

    fn caller_sockets(&self) -> Option<[PooledUdp; 4]> {
        let (audio, audio_rtcp) = self.parts.ports.pair().ok()?;
        let (video, video_rtcp) = self.parts.ports.pair().ok()?;
        Some([audio, audio_rtcp, video, video_rtcp])
    }

    /// Hears from now on what comes on a call's socket.
    fn watch(&mut self, id: CallId, side: Side, port: Port) {
        let Some(slot) = self.calls.get_mut(&id) else { return };
        let Some(socket) = slot.call.socket(side, port) else { return };
        let token = Token(self.next_token);
        self.next_token += 1;
        match socket.udp.watch(&self.parts.poller, token) {
            Ok(()) => {
                slot.tokens.push(token);
                self.sockets.insert(token, (id, side, port));
            }
            Err(error) => error!(%error, "a media socket cannot be watched"),
        }
    }

    /// Turns a call so that a bug in it ends it alone, then does what it wishes and sends what it has to send.
    pub(super) fn guarded(
        &mut self,
        now: Instant,
        id: CallId,
        act: impl FnOnce(&mut Call, &mut Plane, &mut Vec<Wish>),
    ) {
        let Some(slot) = self.calls.get_mut(&id) else { return };
        let (call, plane, mut wishes) = (&mut slot.call, &mut self.parts.plane, Vec::new());
        let span = call.span();
        // What unwinds leaves the call half-turned, so it is not turned again, and what it wished is not done. The plane
        // forgets a call whole, however far it had come with it.
        let result = span.in_scope(|| {
            catch_unwind(AssertUnwindSafe(|| {
                act(call, plane, &mut wishes);
                call.flush();
            }))
        });
        if let Err(panic) = result {
            return self.crashed(now, id, &*panic);
        }
        wishes.into_iter().for_each(|wish| self.grant(now, id, wish));
        self.settle(now, id);
    }

    pub(super) fn grant(&mut self, now: Instant, id: CallId, wish: Wish) {
        // A wish before this one may have been the call's end.
        let Some(slot) = self.calls.get(&id) else { return };
        match wish {
            Wish::Session(command) => {
                let session = slot.call.session;
                self.endpoint(now, Input::Session { id: session, command });
            }
            Wish::Http { connector, request } => self.parts.joiner.fetch(&connector, id, request),
            // Licences are taken before anything of the conference is made (P15); `forget` gives them back.
            Wish::Join { connector, join } => {
                match self.licensed.take(id).and_then(|()| self.conference(now, &connector, join)) {
                    Ok((leg, socket)) => {
                        self.guarded(now, id, |call, plane, wishes| {
                            call.join(now, leg, socket, plane, |wish| wishes.push(wish));
                        });
                        self.watch(id, Side::Conference, Port(0));
                    }
                    Err(cause) => self.guarded(now, id, |call, plane, wishes| {
                        call.cannot_join(now, cause, plane, |wish| wishes.push(wish));
                    }),
                }
            }
        }
    }

    /// A conference leg with its socket.
    fn conference(
        &mut self,
        now: Instant,
        connector: &str,
        join: Join,
    ) -> Result<(ConferenceLeg, PooledUdp), Cause> {
        let seed = self.seed();
        let socket = self.parts.ports.single();
        let socket = socket.map_err(|error| {
            warn!(%error, "no port for the conference");
            self.is_full();
            Cause::new(Fault::Gateway, Kind::NoCapacity)
        })?;
        let leg = self.parts.joiner.leg(now, connector, join, socket.udp.local().port(), seed)?;
        Ok((leg, socket))
    }

    /// After a turn: the call's wake-up is noted, and a call that is over is forgotten.
    fn settle(&mut self, now: Instant, id: CallId) {
        let Some(slot) = self.calls.get_mut(&id) else { return };
        if !slot.stood && slot.call.machine().state() == State::Connected {
            slot.stood = true;
            self.parts.sip.call_began(slot.from.0);
        }
        // Whatever becomes of the call: who keys id after id is a guesser, though the last one is right.
        for _ in 0..std::mem::take(&mut slot.call.wrong_entries) {
            let (remote, transport) = slot.from;
            self.parts.sip.offended(now, remote, transport, Offence::WrongAlias);
        }
        if let Some(cause) = slot.call.ended {
            return self.forget(now, id, cause);
        }
        if let Some(moments) = slot.call.looks() {
            self.looks.want(now, moments);
        }
        let wake = slot.call.wake(now, self.beat);
        if wake != slot.wake {
            if let Some(old) = slot.wake {
                self.wakes.remove(&(old, id));
            }
            self.wakes.extend(wake.map(|at| (at, id)));
            slot.wake = wake;
        }
    }

    /// Gives back everything a call had.
    fn forget(&mut self, now: Instant, id: CallId, cause: Cause) {
        let Some(mut slot) = self.calls.remove(&id) else { return };
        self.tell_over(now, &mut slot, cause);
        if let Some(at) = slot.wake {
            self.wakes.remove(&(at, id));
        }
        for token in &slot.tokens {
            self.sockets.remove(token);
        }
        self.sessions.remove(&slot.call.session);
        self.parts.plane.remove(id);
        self.licensed.give_back(id);
        if std::mem::replace(&mut self.room, Room::Left) == Room::None {
            self.tell_room(Health::Good);
        }
        // What was keyed in a reception was counted when it was keyed.
        let guessed = matches!(cause.kind, Kind::NoRoute | Kind::MeetingNotFound)
            && slot.call.machine().reception().is_none();
        if slot.stood {
            self.parts.sip.call_ended(slot.from.0);
        } else if guessed {
            let (remote, transport) = slot.from;
            self.parts.sip.offended(now, remote, transport, Offence::WrongAlias);
        }
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

    /// Tells the history of a call that is over, as it stood at last.
    fn tell_over(&self, now: Instant, slot: &mut Slot, cause: Cause) {
        let lasted = now.saturating_duration_since(slot.call.began);
        let ended = crate::configuration::now();
        let record = CallRecord {
            seq: 0,
            began: UnixTime(ended.0.saturating_sub(lasted.as_secs())).to_string(),
            ended: ended.to_string(),
            seconds: lasted.as_secs_f64(),
            fault: format!("{:?}", cause.fault),
            cause: format!("{:?}", cause.kind),
            call: status::call(slot, &self.parts.plane, now),
        };
        // A history that can't keep up loses records and holds up no call.
        drop(self.parts.over.try_send(record));
    }

    /// A bug of ours: the call ends, its caller is told, the box goes on.
    fn crashed(&mut self, now: Instant, id: CallId, panic: &(dyn Any + Send)) {
        let text = panic.downcast_ref::<&str>().copied();
        let why = text.or_else(|| panic.downcast_ref::<String>().map(|text| &**text)).unwrap_or_default();
        error!(%id, why, "internal error: the call was ended, please report this");
        self.bugs += 1;
        self.parts.alarms.tell(Fact::InternalError {
            part: "call".into(),
            why: format!("{id} was ended by a bug, please report this: {why}"),
        });
        let cause = Cause::new(Fault::Gateway, Kind::InternalError);
        let session = self.calls.get(&id).map(|slot| slot.call.session);
        self.forget(now, id, cause);
        if let Some(id) = session {
            self.endpoint(now, Input::Session { id, command: SessionCommand::End(cause) });
        }
    }
}
