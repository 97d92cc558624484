//! The desk: takes every ask, decides whether who asks may, and does it. No I/O of its own, so it is tried in virtual time.
//!
//! ```text
//!  connection ─Ask─▶ Desk ─▶ Commit, Access       (what becomes of it)
//!                     ├────▶ Outside: keep, request, audit, hash
//!                     └────▶ Reply, or a Job that the connection does itself (tests, views, bundles take time)
//! ```
//! Who asks is known by two things: by whom the connection was opened ([`Peer`]), which the kernel says, and what was
//! proven on it since (a password, a code, keys held).

mod acts;
mod session;
#[cfg(test)]
mod tests;

pub use session::{Peer, Session};

use crate::protocol::{
    Ask, Authority, Facts, Locate, Ownership, Path, Reply, Stage as StageFact, View, Where,
};
use crate::world::World;
use base::{Machine, Output, Secret, Seed, earliest};
use domain::appliance::access::{Access, PasswordHash};
use domain::appliance::audit::Act;
use domain::appliance::commit::{Begin, Commit, CommitEffect, CommitEvent, CommitInput, Stage};
use domain::appliance::record::Kept;
use domain::appliance::request::Request;
use domain::appliance::settings::{Problems, Recovery};
use domain::appliance::values::InterfaceName;
use domain::appliance::{Draft, Settings};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Most connections at a time.
pub const SESSIONS: usize = 16;
/// Most of them opened by other users of the box, so that there is room for the console itself.
const OTHERS: usize = SESSIONS / 2;
/// How long the locate lamp may blink at most.
const LOCATE_MOST: Duration = Duration::from_secs(3_600 * 12);

/// Which connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// What the desk has done by others.
pub trait Outside {
    /// Keeps the settings on the disk.
    ///
    /// # Errors
    /// Why they could not be kept; what stood before is still there then.
    fn keep_settings(&mut self, record: &domain::appliance::commit::Record) -> Result<(), String>;
    /// Keeps the administrator's hash on the disk.
    ///
    /// # Errors
    /// As [`keep_settings`](Self::keep_settings).
    fn keep_owner(&mut self, hash: &PasswordHash) -> Result<(), String>;
    /// Asks those that may for something.
    ///
    /// # Errors
    /// Why it could not be asked.
    fn request(&mut self, request: &Request) -> Result<(), String>;
    /// Writes down who did what.
    fn audit(&mut self, act: &Act);
    /// Makes a hash of a password.
    ///
    /// # Errors
    /// If there is no memory or randomness for it.
    fn hash(&mut self, password: &Secret<String>) -> Result<PasswordHash, String>;
    /// Whether a password is the one that was hashed.
    fn matches(&mut self, password: &Secret<String>, hash: &PasswordHash) -> bool;
    /// Randomness.
    fn seed(&mut self) -> Seed;
}

/// What comes of an ask.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// This is told.
    Reply(Reply),
    /// This is allowed; the connection does it, as it takes time.
    Job(Job),
}

/// What a connection does itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Job {
    /// Make a view.
    Show(View),
    /// Try a way.
    Test(Path, Option<String>),
    /// Put a support bundle together.
    Bundle(String),
    /// Tell the gateway to take no new calls.
    Drain,
    /// Tell the gateway to hear this address again.
    Forgive(IpAddr),
}

/// The desk.
#[derive(Clone)]
pub struct Desk {
    commit: Commit,
    access: Access,
    sessions: BTreeMap<SessionId, Session>,
    locate_until: Option<Instant>,
    wake: Option<Instant>,
}

impl Desk {
    /// With what the disk says.
    #[must_use]
    pub fn new(kept: Kept, access: Access) -> Self {
        let commit = Commit::new(kept.record);
        Self { commit, access, sessions: BTreeMap::new(), locate_until: None, wake: None }
    }

    /// The program begins.
    pub fn begin(&mut self, now: Instant, begin: Begin, outside: &mut dyn Outside) {
        self.turn(now, "box", CommitInput::Begin(begin), outside);
    }

    /// A connection was opened.
    ///
    /// # Errors
    /// If there are too many.
    pub fn open(&mut self, now: Instant, id: SessionId, peer: Peer) -> Result<(), &'static str> {
        let others = self.sessions.values().filter(|session| session.peer != Peer::Trusted).count();
        if self.sessions.len() >= SESSIONS || (peer != Peer::Trusted && others >= OTHERS) {
            return Err("too many connections; close one first");
        }
        self.sessions.insert(id, Session::new(peer, now));
        Ok(())
    }

    /// A connection was closed.
    pub fn close(&mut self, id: SessionId) {
        self.sessions.remove(&id);
    }

    /// The settings in force.
    #[must_use]
    pub fn in_force(&self) -> &Settings {
        self.commit.in_force()
    }

    /// When it wants to be turned next.
    #[must_use]
    pub fn wake(&self) -> Option<Instant> {
        let idle = Duration::from_secs(60 * u64::from(self.commit.in_force().idle_minutes));
        let locked = self.sessions.values().filter_map(|session| session.locks_at(idle)).min();
        earliest(earliest(self.wake, locked), self.locate_until)
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Instant, outside: &mut dyn Outside) {
        self.turn(now, "box", CommitInput::Timeout, outside);
        self.locate_until = self.locate_until.filter(|until| now < *until);
        let idle = Duration::from_secs(60 * u64::from(self.commit.in_force().idle_minutes));
        for session in self.sessions.values_mut() {
            if session.locks_at(idle).is_some_and(|at| now >= at) {
                session.lock();
                let minutes = self.commit.in_force().idle_minutes;
                outside.audit(&act(
                    session.name(),
                    "lock",
                    "done",
                    vec![format!("idle for {minutes} minutes")],
                ));
            }
        }
    }

    /// Takes an ask.
    pub fn handle(
        &mut self,
        now: Instant,
        id: SessionId,
        ask: Ask,
        world: &World,
        outside: &mut dyn Outside,
    ) -> Answer {
        self.tick(now, outside);
        if !self.sessions.contains_key(&id) {
            return refuse("this connection is closed");
        }
        if ask != Ask::Facts
            && let Some(session) = self.sessions.get_mut(&id)
        {
            session.seen(now);
        }
        self.know(world);
        if let Err(why) = self.allows(id, &ask) {
            return refuse(why);
        }
        self.act(now, id, ask, world, outside)
    }

    /// What connection `id` may know of the box.
    fn facts(&self, now: Instant, id: SessionId, world: &World) -> Facts {
        let session = self.sessions.get(&id);
        let latest = self.commit.latest();
        let stage = match self.commit.stage() {
            Stage::Standing => StageFact::Standing,
            Stage::Staged => StageFact::Staged,
            Stage::OnTrial { until } => StageFact::OnTrial(seconds_up(until.saturating_duration_since(now))),
        };
        let in_force = self.commit.in_force();
        let panel = in_force.get(&domain::appliance::Field::Panel).unwrap_or_default();
        let recovery = self.access.window(now, in_force.recovery);
        Facts {
            version: world.identity.version.clone(),
            host_name: in_force.host_name.to_string(),
            serial_number: world.identity.serial_number.clone(),
            ownership: if self.access.is_claimed() { Ownership::Claimed } else { Ownership::Unclaimed },
            panel_digits: self.access.panel_digits(),
            authority: session.map_or(Authority::Nobody, Session::authority),
            panel,
            stage,
            difference: self.commit.difference(),
            fields: latest.fields().into_iter().map(|(field, text)| (field.to_string(), text)).collect(),
            interfaces: world.nics.clone(),
            dns: world.dns.clone(),
            recovery_left: recovery.map(seconds_up),
            locate: if self.locate_until.is_some() { Locate::On } else { Locate::Off },
            alarms: self.alarms(world),
            summary: world.summary(),
            calls: world.calls(),
            slot: world.slot(),
        }
    }

    fn alarms(&self, world: &World) -> Vec<String> {
        let mut alarms = world.alarms();
        let (codes, passwords) = self.access.wrong_tries();
        if codes + passwords >= 5 {
            alarms.push(format!("{} wrong codes or passwords were tried", codes + passwords));
        }
        alarms
    }

    /// Settings know every interface the box has.
    fn know(&mut self, world: &World) {
        let names: Vec<_> =
            world.nics.iter().filter_map(|nic| InterfaceName::parse(&nic.name).ok()).collect();
        if names.iter().all(|name| self.commit.standing().interface(name).is_some())
            || self.commit.stage() != Stage::Standing
        {
            return;
        }
        let mut draft = self.commit.standing().edit();
        draft.know(&names);
        if let Ok(settings) = draft.settle() {
            let record = domain::appliance::commit::Record { standing: settings, trial: None };
            self.commit = Commit::new(record);
        }
    }

    /// Turns the settings' machine: does what it wants done, writes down what it tells.
    ///
    /// What cannot be kept on the disk is not done, and the machine is as it was.
    fn turn(&mut self, now: Instant, by: &str, input: CommitInput, outside: &mut dyn Outside) -> Turned {
        let before = self.commit.clone();
        let mut turned = Turned::default();
        let mut outputs = Vec::new();
        let wake = self.commit.step(now, input, |output| outputs.push(output));
        for output in outputs {
            match output {
                Output::Effect(CommitEffect::Keep(record)) => {
                    if let Err(why) = outside.keep_settings(&record) {
                        self.commit = before;
                        turned.problems.push(format!("the settings could not be kept: {why}"));
                        return turned;
                    }
                }
                Output::Effect(CommitEffect::PutInForce(settings)) => {
                    turned.problems.extend(put_in_force(&settings, outside));
                }
                Output::Event(event) => {
                    note(by, &event, outside);
                    turned.events.push(event);
                }
            }
        }
        self.wake = wake;
        turned
    }

    fn recovery(&self) -> Recovery {
        self.commit.in_force().recovery
    }
}

/// What came of a turn of the settings' machine.
#[derive(Default)]
struct Turned {
    events: Vec<CommitEvent>,
    problems: Vec<String>,
}

fn put_in_force(settings: &Settings, outside: &mut dyn Outside) -> Vec<String> {
    let requests = [
        Request::HostName(settings.clone()),
        Request::Network(settings.clone()),
        Request::Time(settings.clone()),
    ];
    requests.iter().filter_map(|request| outside.request(request).err()).collect()
}

/// The audit line of what the settings' machine told.
fn note(by: &str, event: &CommitEvent, outside: &mut dyn Outside) {
    let line = match event {
        CommitEvent::Staged { difference } => act(by, "set", "done", difference.clone()),
        CommitEvent::Discarded => act(by, "discard", "done", Vec::new()),
        CommitEvent::Applied { difference } => act(by, "apply", "on trial", difference.clone()),
        CommitEvent::Confirmed => act(by, "confirm", "done", Vec::new()),
        CommitEvent::TakenBack(why) => act(by, "take-back", "done", vec![why.sentence().to_owned()]),
        CommitEvent::Refused(_) => return,
    };
    outside.audit(&line);
}

fn act(by: &str, what: &str, outcome: &str, detail: Vec<String>) -> Act {
    Act { by: by.to_owned(), act: what.to_owned(), outcome: outcome.to_owned(), detail }
}

fn refuse(why: impl ToString) -> Answer {
    Answer::Reply(Reply::refused([why]))
}

fn seconds_up(time: Duration) -> u64 {
    time.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX)
}

/// A draft changed by what somebody typed, if it is right as a whole.
fn changed(draft: Draft, changes: &[(String, String)]) -> Result<Settings, Problems> {
    let mut draft = draft;
    draft.set_all(changes.iter().map(|(field, text)| (field.as_str(), text.as_str())))?;
    draft.settle()
}

/// Who is at a connection, as the audit log calls him.
fn who(at: Option<Where>) -> &'static str {
    at.map_or("unknown", Where::name)
}
