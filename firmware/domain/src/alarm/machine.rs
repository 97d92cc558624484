//! The machine: facts and time in, notices out.

use super::fact::{Fact, Finding, Judgement};
use super::kind::{AlarmKind, Family, Nature};
use super::{
    Acknowledged, Alarm, AlarmId, Change, DETAILS_CHARS, INSTANCE_CHARS, MAX_HISTORY, MAX_MOMENTS,
    MAX_STANDING, Notice, OTHERS, PastAlarm, Saved,
};
use crate::appliance::instant::UnixTime;
use base::Machine;
use base::machine::{Output, earliest};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;
use std::time::Instant;

/// What the machine takes, and what the wall clock says then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The wall clock's time.
    pub at: UnixTime,
    /// What.
    pub what: AlarmInput,
}

/// What the machine takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlarmInput {
    /// How something stands, or what happened.
    Fact(Fact),
    /// All that facts of this family are about from now on: what is not among them is gone, and its alarms with it.
    Subjects(Family, BTreeSet<String>),
    /// Somebody has seen an alarm. One that is not there, or was seen before, stays as it is.
    Acknowledge {
        /// Which.
        id: AlarmId,
        /// Who.
        by: String,
    },
    /// Time passed.
    Timeout,
}

/// What makes two alarms the same.
type Key = (AlarmKind, String);

/// All alarms of a box.
#[derive(Debug, Default)]
pub struct Alarms {
    sequence: u64,
    suspected: BTreeMap<Key, Suspected>,
    standing: BTreeMap<Key, Standing>,
    history: VecDeque<PastAlarm>,
    unraised: u64,
}

/// Bad, but not for long enough.
#[derive(Debug)]
struct Suspected {
    raise_at: Instant,
    finding: Finding,
}

#[derive(Debug)]
struct Standing {
    alarm: Alarm,
    /// When it is cleared, if its cause stays away until then.
    clear_at: Option<Instant>,
}

impl Alarms {
    /// Goes on where `saved` was. What is too much in it is left out, and what stands twice stands once.
    #[must_use]
    pub fn restore(saved: Saved) -> Self {
        let mut alarms = Self { sequence: saved.sequence, ..Self::default() };
        let past = saved.history.iter().map(|past| past.alarm.id);
        let last = saved.standing.iter().map(|alarm| alarm.id).chain(past).max();
        alarms.sequence = alarms.sequence.max(last.map_or(0, |id| id.0));
        let skip = saved.history.len().saturating_sub(MAX_HISTORY);
        alarms.history = saved.history.into_iter().skip(skip).collect();
        for alarm in saved.standing.into_iter().take(MAX_STANDING) {
            let key = (alarm.kind, alarm.instance.clone());
            alarms.standing.entry(key).or_insert(Standing { alarm, clear_at: None });
        }
        alarms
    }

    /// What [`restore`](Self::restore) goes on from.
    #[must_use]
    pub fn save(&self) -> Saved {
        let history = self.history.iter().cloned().collect();
        Saved { sequence: self.sequence, standing: self.standing(), history }
    }

    /// What stands, the oldest first.
    #[must_use]
    pub fn standing(&self) -> Vec<Alarm> {
        let mut alarms: Vec<_> = self.standing.values().map(|standing| standing.alarm.clone()).collect();
        alarms.sort_by_key(|alarm| alarm.id);
        alarms
    }

    /// What is over, the latest last.
    pub fn history(&self) -> impl ExactSizeIterator<Item = &PastAlarm> {
        self.history.iter()
    }

    /// Alarms that were not raised because [`MAX_STANDING`] stood.
    #[must_use]
    pub const fn unraised(&self) -> u64 {
        self.unraised
    }

    fn wake(&self) -> Option<Instant> {
        let raise = self.suspected.values().map(|suspected| suspected.raise_at).min();
        earliest(raise, self.standing.values().filter_map(|standing| standing.clear_at).min())
    }
}

impl Machine for Alarms {
    type Input<'a> = Told;
    type Effect = Infallible;
    type Event = Notice;

    fn step(
        &mut self,
        now: Instant,
        Told { at, what }: Told,
        mut sink: impl FnMut(Output<Infallible, Notice>),
    ) -> Option<Instant> {
        let mut turn = Turn { alarms: self, now, at, tell: |notice| sink(Output::Event(notice)) };
        turn.due();
        match what {
            AlarmInput::Fact(fact) => turn.fact(fact),
            AlarmInput::Subjects(family, instances) => turn.subjects(family, instances),
            AlarmInput::Acknowledge { id, by } => turn.acknowledge(id, by),
            AlarmInput::Timeout => {}
        }
        // What has neither patience nor hold is due at once.
        turn.due();
        self.wake()
    }
}

/// One turn of the machine: its time, and where its notices go.
struct Turn<'a, F> {
    alarms: &'a mut Alarms,
    now: Instant,
    at: UnixTime,
    tell: F,
}

impl<F: FnMut(Notice)> Turn<'_, F> {
    fn fact(&mut self, fact: Fact) {
        match fact.judge(self.at) {
            Judgement::Stands { family, instance, finding } => {
                let instance = tidy(&instance, INSTANCE_CHARS);
                let found = finding.as_ref().map(|finding| finding.kind);
                for kind in family.kinds().iter().filter(|kind| Some(**kind) != found) {
                    self.good((*kind, instance.clone()));
                }
                if let Some(finding) = finding {
                    self.bad((finding.kind, instance), finding);
                }
            }
            Judgement::Happened { instance, finding } => self.happened(&instance, finding),
        }
    }

    fn subjects(&mut self, family: Family, instances: BTreeSet<String>) {
        let known: BTreeSet<_> = instances.iter().map(|name| tidy(name, INSTANCE_CHARS)).collect();
        let keys = self.alarms.standing.keys().chain(self.alarms.suspected.keys());
        let gone = keys.filter(|(kind, name)| family.kinds().contains(kind) && !known.contains(name));
        for key in gone.cloned().collect::<Vec<_>>() {
            self.alarms.suspected.remove(&key);
            self.clear(&key);
        }
    }

    fn good(&mut self, key: Key) {
        self.alarms.suspected.remove(&key);
        if let Some(standing) = self.alarms.standing.get_mut(&key) {
            standing.clear_at.get_or_insert(self.now + key.0.hold());
        }
    }

    fn bad(&mut self, key: Key, finding: Finding) {
        if self.alarms.standing.contains_key(&key) {
            return self.again(&key, finding);
        }
        let raise_at = self.now + key.0.patience();
        let suspected = Suspected { raise_at, finding };
        let known = self.alarms.suspected.entry(key);
        known.and_modify(|known| known.finding = suspected.finding.clone()).or_insert(suspected);
    }

    /// What stands is told again: only another level is news.
    fn again(&mut self, key: &Key, finding: Finding) {
        let Some(standing) = self.alarms.standing.get_mut(key) else { return };
        standing.clear_at = None;
        let alarm = &mut standing.alarm;
        (alarm.details, alarm.last) = (tidy(&finding.details, DETAILS_CHARS), self.at);
        if alarm.level != finding.level {
            alarm.level = finding.level;
            let alarm = alarm.clone();
            self.notice(Change::Changed, alarm);
        }
    }

    fn happened(&mut self, instance: &str, finding: Finding) {
        let own = (finding.kind, tidy(instance, INSTANCE_CHARS));
        let others = (finding.kind, OTHERS.to_owned());
        let of_kind = self.alarms.standing.keys().filter(|(kind, _)| *kind == finding.kind).count();
        let key =
            if of_kind < MAX_MOMENTS - 1 || self.alarms.standing.contains_key(&own) { own } else { others };
        if let Some(standing) = self.alarms.standing.get_mut(&key) {
            standing.alarm.times = standing.alarm.times.saturating_add(1);
            self.again(&key, finding);
        } else {
            self.raise(key, finding);
        }
    }

    fn acknowledge(&mut self, id: AlarmId, by: String) {
        let found = self.alarms.standing.values_mut().find(|standing| standing.alarm.id == id);
        let Some(Standing { alarm, .. }) = found.filter(|found| found.alarm.acknowledged.is_none()) else {
            return;
        };
        alarm.acknowledged = Some(Acknowledged { by: tidy(&by, INSTANCE_CHARS), at: self.at });
        let alarm = alarm.clone();
        let key = (alarm.kind, alarm.instance.clone());
        self.notice(Change::Acknowledged, alarm);
        if key.0.nature() == Nature::Moment {
            self.clear(&key);
        }
    }

    /// Raises and clears what has waited long enough.
    fn due(&mut self) {
        let now = self.now;
        let ripe = self.alarms.suspected.extract_if(.., |_, suspected| suspected.raise_at <= now);
        for (key, suspected) in ripe.collect::<Vec<_>>() {
            self.raise(key, suspected.finding);
        }
        let over = |standing: &Standing| standing.clear_at.is_some_and(|at| at <= now);
        let over = self.alarms.standing.iter().filter(|(_, standing)| over(standing));
        for key in over.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            self.clear(&key);
        }
    }

    fn raise(&mut self, key: Key, finding: Finding) {
        if self.alarms.standing.len() >= MAX_STANDING {
            self.alarms.unraised += 1;
            return;
        }
        let (kind, instance) = key.clone();
        let alarm = Alarm {
            id: AlarmId(self.alarms.sequence + 1),
            kind,
            level: finding.level,
            instance,
            details: tidy(&finding.details, DETAILS_CHARS),
            raised: self.at,
            times: 1,
            last: self.at,
            acknowledged: None,
        };
        self.alarms.standing.insert(key, Standing { alarm: alarm.clone(), clear_at: None });
        self.notice(Change::Raised, alarm);
    }

    fn clear(&mut self, key: &Key) {
        let Some(Standing { alarm, .. }) = self.alarms.standing.remove(key) else { return };
        if self.alarms.history.len() >= MAX_HISTORY {
            self.alarms.history.pop_front();
        }
        self.alarms.history.push_back(PastAlarm { alarm: alarm.clone(), cleared: self.at });
        self.notice(Change::Cleared, alarm);
    }

    fn notice(&mut self, change: Change, alarm: Alarm) {
        self.alarms.sequence += 1;
        let (seq, at) = (self.alarms.sequence, self.at);
        (self.tell)(Notice { seq, at, change, alarm });
    }
}

/// `text` on one line, at most `most` characters long: peers choose some of it, and it goes to terminals and logs.
fn tidy(text: &str, most: usize) -> String {
    text.chars().take(most).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
