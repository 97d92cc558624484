//! What becomes of each ask.

use super::session::Peer;
use super::{Answer, Desk, Job, LOCATE_MOST, Outside, SessionId, act, changed, refuse};
use crate::protocol::{Ask, Authority, Hidden, Purpose as Asked, Reply, Row, TEXT_BYTES, View, Where};
use crate::view;
use crate::world::World;
use base::Secret;
use domain::appliance::access::{self, Denied, Purpose};
use domain::appliance::commit::{CommitEvent, CommitInput, Stage, TRIAL};
use domain::appliance::request::{Request, Tier};
use domain::appliance::settings::PanelUse;
use std::time::{Duration, Instant};

impl Desk {
    /// Whether who asks may ask this.
    pub(super) fn allows(&self, id: SessionId, ask: &Ask) -> Result<(), &'static str> {
        let Some(session) = self.sessions.get(&id) else { return Err("this connection is closed") };
        let (authority, at) = (session.authority(), session.at);
        let Some(at) = at else {
            return if matches!(ask, Ask::Hello { .. }) { Ok(()) } else { Err("say hello first") };
        };
        let looks = matches!(ask, Ask::Hello { .. } | Ask::Facts | Ask::Show { view: View::Status });
        let stranger = match session.peer {
            Peer::Trusted => false,
            Peer::Gateway => at != Where::Page,
            Peer::Stranger => true,
        };
        if stranger {
            return if looks { Ok(()) } else { Err("this user of the box may only look at the status") };
        }
        if at == Where::Page {
            return page_allows(authority, ask);
        }
        let panel = self.commit.in_force().panel;
        if at == Where::Panel && panel == PanelUse::Off && self.access.is_claimed() {
            let fine =
                matches!(ask, Ask::Hello { .. } | Ask::Facts | Ask::Awake | Ask::Held | Ask::Own { .. });
            return if fine { Ok(()) } else { Err("the panel is switched off in the settings") };
        }
        let proves = matches!(
            ask,
            Ask::Prove { .. } | Ask::Held | Ask::Own { .. } | Ask::Login { .. } | Ask::Logout | Ask::Awake
        );
        if looks || proves {
            return Ok(());
        }
        if matches!(ask, Ask::Show { .. } | Ask::Test { .. }) && at == Where::Panel {
            return Ok(());
        }
        match authority {
            Authority::Nobody if at == Where::Panel => Err("unlock the panel first"),
            Authority::Nobody => Err("log in first"),
            Authority::Unlocked if panel == PanelUse::View => {
                Err("the panel may only show; see the settings")
            }
            Authority::Unlocked if matches!(ask, Ask::Password { .. }) => {
                Err("a password is changed at the serial console")
            }
            Authority::Unlocked | Authority::Administrator => Ok(()),
        }
    }

    pub(super) fn act(
        &mut self,
        now: Instant,
        id: SessionId,
        ask: Ask,
        world: &World,
        outside: &mut dyn Outside,
    ) -> Answer {
        let by = self.sessions.get(&id).map_or("unknown", super::Session::name);
        match ask {
            Ask::Hello { at } => {
                if let Some(session) = self.sessions.get_mut(&id) {
                    session.hello(at);
                }
                Answer::Reply(Reply::default())
            }
            Ask::Awake => Answer::Reply(Reply::default()),
            Ask::Facts => {
                let data = serde_json::to_value(self.facts(now, id, world)).unwrap_or_default();
                Answer::Reply(Reply { data, ..Reply::default() })
            }
            Ask::Show { view: View::Settings } => Answer::Reply(view::settings(self.commit.latest())),
            Ask::Show { view: View::Changes } => Answer::Reply(self.changes(now)),
            Ask::Show { view } => Answer::Job(Job::Show(view)),
            Ask::Prove { purpose, code } => self.prove(now, id, purpose, code, outside),
            Ask::Held => self.held(now, id, outside),
            Ask::Own { password } => self.own(now, id, password, outside),
            Ask::Login { password } => self.login(now, id, password, outside),
            Ask::Logout => {
                if let Some(session) = self.sessions.get_mut(&id) {
                    session.lock();
                }
                outside.audit(&act(by, "logout", "done", Vec::new()));
                Answer::Reply(Reply::said("logged out"))
            }
            Ask::Set { changes } => self.set(now, by, &changes, outside),
            Ask::Discard => self.commit_ask(now, by, CommitInput::Discard, outside),
            Ask::Apply => self.commit_ask(now, by, CommitInput::Apply, outside),
            Ask::Confirm => self.commit_ask(now, by, CommitInput::Confirm, outside),
            Ask::TakeBack => self.commit_ask(now, by, CommitInput::TakeBack, outside),
            Ask::Password { old, new } => self.password(now, by, old, new, outside),
            Ask::Reset { tier, phrase, code } => self.reset(now, id, tier, &phrase, code, outside),
            Ask::Reboot { haste } => request(by, &Request::Reboot(haste), "the box restarts", outside),
            Ask::PowerOff { haste } => {
                request(by, &Request::PowerOff(haste), "the box switches itself off", outside)
            }
            Ask::Resume => request(by, &Request::Resume, "the gateway takes calls again", outside),
            Ask::Locate { minutes } => self.locate(now, by, minutes, outside),
            Ask::Drain => {
                outside.audit(&act(by, "drain", "asked", Vec::new()));
                Answer::Job(Job::Drain)
            }
            Ask::Forgive { address } => {
                outside.audit(&act(by, "forgive", "asked", vec![address.to_string()]));
                Answer::Job(Job::Forgive(address))
            }
            Ask::Test { which, to } => {
                if to.as_ref().is_some_and(|to| to.len() > TEXT_BYTES) {
                    return refuse("that is too long");
                }
                let detail = to.iter().map(|to| format!("to {}", access::harmless(to))).collect();
                outside.audit(&act(by, "test", &format!("{which:?}").to_lowercase(), detail));
                Answer::Job(Job::Test(which, to))
            }
            Ask::Bundle { file } => match bundle_name(&file) {
                Ok(name) => {
                    outside.audit(&act(by, "support-bundle", "asked", vec![name.clone()]));
                    Answer::Job(Job::Bundle(name))
                }
                Err(why) => refuse(why),
            },
        }
    }

    fn changes(&self, now: Instant) -> Reply {
        let lines = self.commit.difference();
        let stage = match self.commit.stage() {
            Stage::Standing => "nothing is changed".to_owned(),
            Stage::Staged => "written down, and not in force; apply it".to_owned(),
            Stage::OnTrial { until } => {
                let left = super::seconds_up(until.saturating_duration_since(now));
                format!("in force, on trial for {left} s more; confirm it")
            }
        };
        let mut rows = vec![Row::text(stage.clone())];
        rows.extend(lines.iter().map(|line| Row::text(line.as_str())));
        let warnings = self.commit.latest().warnings();
        rows.extend(warnings.iter().map(|warning| Row::new("Warning", warning)));
        let warned: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        let data = serde_json::json!({ "stage": stage, "difference": lines, "warnings": warned });
        Reply { rows, data, problems: Vec::new() }
    }

    fn prove(
        &mut self,
        now: Instant,
        id: SessionId,
        asked: Asked,
        code: Hidden,
        outside: &mut dyn Outside,
    ) -> Answer {
        let recovery = self.recovery();
        let Some(session) = self.sessions.get_mut(&id) else { return refuse("this connection is closed") };
        let (purpose, what) = match asked {
            Asked::Claim => (Purpose::Claim, "claim"),
            Asked::Recover => (Purpose::Recover, "recover"),
            Asked::Unlock => (Purpose::Unlock, "unlock"),
        };
        let (by, door) = (session.name(), session.door());
        match self.access.prove(now, door, purpose, &secret(code), recovery) {
            Ok(proof) => {
                if asked == Asked::Unlock {
                    session.grant(Authority::Unlocked);
                    outside.audit(&act(by, what, "done", Vec::new()));
                } else {
                    session.proof = Some(proof);
                    outside.audit(&act(by, what, "the code was right", Vec::new()));
                }
                Answer::Reply(Reply::said("the code is right"))
            }
            Err(denied) => deny(by, what, &denied, outside),
        }
    }

    fn held(&mut self, now: Instant, id: SessionId, outside: &mut dyn Outside) -> Answer {
        let recovery = self.recovery();
        let Some(session) = self.sessions.get_mut(&id) else { return refuse("this connection is closed") };
        if session.at != Some(Where::Panel) {
            return refuse("only the panel has keys to hold");
        }
        match self.access.held(now, recovery) {
            Ok(proof) => {
                session.proof = Some(proof);
                outside.audit(&act("panel", "recover", "keys were held after power-on", Vec::new()));
                Answer::Reply(Reply::said("a new password can be set"))
            }
            Err(denied) => deny("panel", "recover", &denied, outside),
        }
    }

    /// Sets the administrator's password after a proof: the one that was typed, or one that is made up and told once.
    fn own(
        &mut self,
        now: Instant,
        id: SessionId,
        password: Option<Hidden>,
        outside: &mut dyn Outside,
    ) -> Answer {
        let Some(session) = self.sessions.get(&id) else { return refuse("this connection is closed") };
        let (by, proof) = (session.name(), session.proof.clone());
        let Some(proof) = proof else { return deny(by, "own", &Denied::ProofOver, outside) };
        let made_up = password.is_none().then(|| access::made_up(outside.seed()));
        let chosen = made_up.clone().unwrap_or_else(|| secret(password.unwrap_or(Hidden(String::new()))));
        let set = access::check_password(&chosen).map_err(|denied| denied.to_string()).and_then(|()| {
            let hash = outside.hash(&chosen)?;
            let before = self.access.clone();
            self.access.set_owner(now, &proof, hash.clone()).map_err(|denied| denied.to_string())?;
            outside.keep_owner(&hash).map_err(|why| {
                self.access = before;
                format!("the password could not be kept: {why}")
            })
        });
        if let Err(why) = set {
            outside.audit(&act(by, "own", &why, Vec::new()));
            return refuse(why);
        }
        outside.audit(&act(by, "own", "done", vec!["the administrator's password is set".to_owned()]));
        if let Some(session) = self.sessions.get_mut(&id) {
            let panel = session.at == Some(Where::Panel);
            session.grant(if panel { Authority::Unlocked } else { Authority::Administrator });
        }
        Answer::Reply(match made_up {
            Some(password) => {
                let rows = vec![Row::new("Password", password.expose())];
                Reply { rows, data: serde_json::json!({ "done": "claimed" }), problems: Vec::new() }
            }
            None => Reply::said("the password is set"),
        })
    }

    /// Whether `password` is the administrator's.
    fn is_owner(
        &mut self,
        now: Instant,
        password: &Secret<String>,
        outside: &mut dyn Outside,
    ) -> Result<(), Denied> {
        let hash = self.access.may_try(now)?;
        let right = outside.matches(password, &hash);
        self.access.tried(now, right)
    }

    fn login(&mut self, now: Instant, id: SessionId, password: Hidden, outside: &mut dyn Outside) -> Answer {
        let by = self.sessions.get(&id).map_or("unknown", super::Session::name);
        match self.is_owner(now, &secret(password), outside) {
            Ok(()) => {
                if let Some(session) = self.sessions.get_mut(&id) {
                    session.grant(Authority::Administrator);
                }
                outside.audit(&act(by, "login", "done", Vec::new()));
                Answer::Reply(Reply::said("logged in"))
            }
            Err(denied) => deny(by, "login", &denied, outside),
        }
    }

    fn password(
        &mut self,
        now: Instant,
        by: &str,
        old: Hidden,
        new: Hidden,
        outside: &mut dyn Outside,
    ) -> Answer {
        let (old, new) = (secret(old), secret(new));
        if let Err(denied) = access::check_password(&new).and_then(|()| self.is_owner(now, &old, outside)) {
            return deny(by, "password", &denied, outside);
        }
        let kept = outside.hash(&new).and_then(|hash| outside.keep_owner(&hash).map(|()| hash));
        match kept {
            Ok(hash) => {
                self.access.change_owner(hash);
                outside.audit(&act(by, "password", "done", Vec::new()));
                Answer::Reply(Reply::said("the password is changed"))
            }
            Err(why) => {
                outside.audit(&act(by, "password", &why, Vec::new()));
                refuse(format!("the password could not be kept: {why}"))
            }
        }
    }

    fn set(
        &mut self,
        now: Instant,
        by: &str,
        changes: &[(String, String)],
        outside: &mut dyn Outside,
    ) -> Answer {
        match changed(self.commit.latest().edit(), changes) {
            Ok(settings) => self.commit_ask(now, by, CommitInput::Stage(Box::new(settings)), outside),
            Err(problems) => Answer::Reply(Reply::refused(problems.0)),
        }
    }

    fn commit_ask(
        &mut self,
        now: Instant,
        by: &str,
        input: CommitInput,
        outside: &mut dyn Outside,
    ) -> Answer {
        let turned = self.turn(now, by, input, outside);
        if !turned.problems.is_empty() {
            return Answer::Reply(Reply::refused(turned.problems));
        }
        let Some(event) = turned.events.first() else { return Answer::Reply(Reply::default()) };
        let lines = |said: &str, difference: &[String]| {
            let mut rows = vec![Row::text(said)];
            rows.extend(difference.iter().map(|line| Row::text(line.as_str())));
            let data = serde_json::json!({ "done": said, "difference": difference });
            Answer::Reply(Reply { rows, data, problems: Vec::new() })
        };
        match event {
            CommitEvent::Refused(refusal) => refuse(refusal),
            CommitEvent::Staged { difference } if difference.is_empty() => {
                lines("that is how it is already", &[])
            }
            CommitEvent::Staged { difference } => lines("written down; apply puts it in force", difference),
            CommitEvent::Discarded => lines("forgotten", &[]),
            CommitEvent::Applied { difference } => {
                lines(&format!("in force, on trial: confirm within {} s", TRIAL.as_secs()), difference)
            }
            CommitEvent::Confirmed => lines("the change stands", &[]),
            CommitEvent::TakenBack(why) => lines(why.sentence(), &[]),
        }
    }

    fn reset(
        &mut self,
        now: Instant,
        id: SessionId,
        tier: Tier,
        phrase: &str,
        code: Hidden,
        outside: &mut dyn Outside,
    ) -> Answer {
        let Some(session) = self.sessions.get(&id) else { return refuse("this connection is closed") };
        let (by, door, recovery) = (session.name(), session.door(), self.recovery());
        if let Err(why) = tier.confirm(phrase) {
            return refuse(why);
        }
        if let Err(denied) = self.access.prove(now, door, Purpose::Reset, &secret(code), recovery) {
            return deny(by, "reset", &denied, outside);
        }
        request(by, &Request::FactoryReset(tier), "the box forgets and restarts", outside)
    }

    fn locate(&mut self, now: Instant, by: &str, minutes: u16, outside: &mut dyn Outside) -> Answer {
        let time = Duration::from_secs(60 * u64::from(minutes)).min(LOCATE_MOST);
        self.locate_until = (!time.is_zero()).then(|| now + time);
        let said = if time.is_zero() {
            "the box does not blink any more".to_owned()
        } else {
            format!("the box blinks for {} minutes", time.as_secs() / 60)
        };
        outside.audit(&act(by, "locate", &said, Vec::new()));
        Answer::Reply(Reply::said(said))
    }
}

/// What is done at the page: everything but what proves that somebody stands before the box.
fn page_allows(authority: Authority, ask: &Ask) -> Result<(), &'static str> {
    match ask {
        Ask::Hello { .. } | Ask::Facts | Ask::Show { .. } | Ask::Login { .. } | Ask::Logout | Ask::Awake => {
            Ok(())
        }
        Ask::Prove { .. } | Ask::Held | Ask::Own { .. } | Ask::Reset { .. } => {
            Err("this is done at the box itself, at its serial console or front panel")
        }
        _ if authority == Authority::Administrator => Ok(()),
        _ => Err("the password of the box's administrator is needed"),
    }
}

fn secret(Hidden(text): Hidden) -> Secret<String> {
    Secret::new(text)
}

fn deny(by: &str, what: &str, denied: &Denied, outside: &mut dyn Outside) -> Answer {
    outside.audit(&act(by, what, &denied.to_string(), Vec::new()));
    refuse(denied)
}

fn request(by: &str, request: &Request, said: &str, outside: &mut dyn Outside) -> Answer {
    let detail = match request {
        Request::Reboot(haste) | Request::PowerOff(haste) => vec![format!("{haste:?}").to_lowercase()],
        Request::FactoryReset(tier) => vec![tier.phrase().to_owned()],
        _ => Vec::new(),
    };
    // It is written down first: afterwards there may be nobody to do so.
    outside.audit(&act(by, request.what().name(), "asked", detail));
    match outside.request(request) {
        Ok(()) => Answer::Reply(Reply::said(said)),
        Err(why) => {
            outside.audit(&act(by, request.what().name(), &why, Vec::new()));
            refuse(why)
        }
    }
}

/// A name within the bundles' folder, and nowhere else.
fn bundle_name(file: &str) -> Result<String, String> {
    let good = (1..=64).contains(&file.len())
        && file.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        && !file.starts_with('.');
    let tar = if file.ends_with(".tar") { file.to_owned() } else { format!("{file}.tar") };
    if good {
        Ok(tar)
    } else {
        Err("a bundle's name has letters, digits, hyphens and dots, such as support.tar".to_owned())
    }
}
