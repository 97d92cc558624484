//! Changes that come back by themselves: whoever locks himself out of the box waits two minutes.
//!
//! ```text
//!              Stage                Apply                     Confirm
//!  STANDING ─────────▶ STAGED ───────────────▶ ON TRIAL ───────────────▶ STANDING (the new settings)
//!     ▲                 │  ▲ Stage               │
//!     └─────Discard─────┘  └─┘                   │ TakeBack, TRIAL runs out, the box restarts
//!     └──────────────────────────────────────────┘ (the settings before)
//! ```
//! What is in force and what it would go back to is kept on the disk ([`Record`]) before anything changes, so a box that
//! loses power on trial comes up with the settings before.

use super::settings::Settings;
use base::{Machine, Output};
use std::time::{Duration, Instant};

/// TRIAL: how long settings that nobody confirms stay in force.
pub const TRIAL: Duration = Duration::from_secs(120);

/// What is kept on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What somebody confirmed last.
    pub standing: Settings,
    /// What is in force instead, until it is confirmed.
    pub trial: Option<Settings>,
}

/// The machine that a box's settings go through.
#[derive(Debug, Clone)]
pub struct Commit {
    standing: Settings,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    Standing,
    Staged(Settings),
    OnTrial { settings: Settings, until: Instant },
}

/// Where a change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Nothing is changed.
    Standing,
    /// Changes are written down, and not in force.
    Staged,
    /// Changes are in force and go back unless confirmed by then.
    OnTrial {
        /// When they go back.
        until: Instant,
    },
}

/// What the machine takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitInput {
    /// The program begins, and knows how the last one ended.
    Begin(Begin),
    /// Write these changes down.
    Stage(Box<Settings>),
    /// Forget what is written down.
    Discard,
    /// Put it in force, on trial.
    Apply,
    /// The box is still reached: let it stand.
    Confirm,
    /// Go back now.
    TakeBack,
    /// The wake-up it asked for, or any later one.
    Timeout,
}

/// How the program finds the box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// The box has started anew: what was on trial is not in force any more.
    NewBoot,
    /// Only the program has: what was on trial still is, for so long.
    SameBoot {
        /// What is left of the trial.
        left: Duration,
    },
}

/// What the machine wants done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitEffect {
    /// Keep this on the disk. What follows must not be done before it is there.
    Keep(Box<Record>),
    /// Put this in force.
    PutInForce(Box<Settings>),
}

/// What the machine has to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitEvent {
    /// Changes were written down.
    Staged {
        /// Line by line.
        difference: Vec<String>,
    },
    /// What was written down is forgotten.
    Discarded,
    /// They are in force, on trial.
    Applied {
        /// Line by line.
        difference: Vec<String>,
    },
    /// They stand.
    Confirmed,
    /// The settings before are in force again.
    TakenBack(Why),
    /// That is not possible now.
    Refused(Refusal),
}

/// Why changes were taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Somebody asked for it.
    Asked,
    /// Nobody confirmed them in time.
    NotConfirmed,
    /// The box restarted before anybody confirmed them.
    Restarted,
}

/// Why the machine does not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is nothing to apply or discard.
    #[error("nothing is changed; set something first")]
    NothingStaged,
    /// There is nothing to confirm or take back.
    #[error("nothing is on trial; apply a change first")]
    NothingOnTrial,
    /// One change at a time.
    #[error("a change is on trial; confirm it or take it back first")]
    OnTrial,
}

impl Commit {
    /// With what the disk says.
    #[must_use]
    pub fn new(record: Record) -> Self {
        let Record { standing, trial } = record;
        // Until `Begin` says how the box was found, a trial is one that has run out.
        Self { standing, state: trial.map_or(State::Standing, State::Staged) }
    }

    /// What stands.
    #[must_use]
    pub fn standing(&self) -> &Settings {
        &self.standing
    }

    /// What is in force now.
    #[must_use]
    pub fn in_force(&self) -> &Settings {
        match &self.state {
            State::OnTrial { settings, .. } => settings,
            State::Standing | State::Staged(_) => &self.standing,
        }
    }

    /// What an administrator works on: what is written down or on trial, or what stands.
    #[must_use]
    pub fn latest(&self) -> &Settings {
        match &self.state {
            State::Standing => &self.standing,
            State::Staged(settings) | State::OnTrial { settings, .. } => settings,
        }
    }

    /// Where a change is.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match self.state {
            State::Standing => Stage::Standing,
            State::Staged(_) => Stage::Staged,
            State::OnTrial { until, .. } => Stage::OnTrial { until },
        }
    }

    /// What would change, or has on trial, line by line.
    #[must_use]
    pub fn difference(&self) -> Vec<String> {
        self.standing.difference(self.latest())
    }

    fn kept(&self, trial: Option<Settings>) -> CommitEffect {
        CommitEffect::Keep(Box::new(Record { standing: self.standing.clone(), trial }))
    }

    fn go_back(&mut self, why: Why, sink: &mut dyn FnMut(Output<CommitEffect, CommitEvent>)) -> State {
        sink(Output::Effect(self.kept(None)));
        sink(Output::Effect(CommitEffect::PutInForce(Box::new(self.standing.clone()))));
        sink(Output::Event(CommitEvent::TakenBack(why)));
        State::Standing
    }

    fn turn(
        &mut self,
        now: Instant,
        state: State,
        input: CommitInput,
        sink: &mut dyn FnMut(Output<CommitEffect, CommitEvent>),
    ) -> State {
        use CommitInput as In;
        let refuse = |sink: &mut dyn FnMut(Output<CommitEffect, CommitEvent>), refusal, state| {
            sink(Output::Event(CommitEvent::Refused(refusal)));
            state
        };
        match (state, input) {
            (State::Standing, In::Begin(_)) => {
                sink(Output::Effect(CommitEffect::PutInForce(Box::new(self.standing.clone()))));
                State::Standing
            }
            (State::Staged(_), In::Begin(Begin::NewBoot)) => self.go_back(Why::Restarted, sink),
            (State::Staged(settings), In::Begin(Begin::SameBoot { left })) => {
                State::OnTrial { settings, until: now + left.min(TRIAL) }
            }
            (state @ State::OnTrial { .. }, In::Begin(_)) => state,

            (State::Standing | State::Staged(_), In::Stage(settings)) => {
                let difference = self.standing.difference(&settings);
                let changed = !difference.is_empty();
                sink(Output::Event(CommitEvent::Staged { difference }));
                if changed { State::Staged(*settings) } else { State::Standing }
            }
            (state @ State::OnTrial { .. }, In::Stage(_) | In::Apply | In::Discard) => {
                refuse(sink, Refusal::OnTrial, state)
            }

            (state @ State::Standing, In::Discard | In::Apply) => refuse(sink, Refusal::NothingStaged, state),
            (State::Staged(_), In::Discard) => {
                sink(Output::Event(CommitEvent::Discarded));
                State::Standing
            }
            (State::Staged(settings), In::Apply) => {
                sink(Output::Effect(self.kept(Some(settings.clone()))));
                sink(Output::Effect(CommitEffect::PutInForce(Box::new(settings.clone()))));
                let difference = self.standing.difference(&settings);
                sink(Output::Event(CommitEvent::Applied { difference }));
                State::OnTrial { settings, until: now + TRIAL }
            }

            (State::OnTrial { settings, .. }, In::Confirm) => {
                self.standing = settings;
                sink(Output::Effect(self.kept(None)));
                sink(Output::Event(CommitEvent::Confirmed));
                State::Standing
            }
            (State::OnTrial { .. }, In::TakeBack) => self.go_back(Why::Asked, sink),
            (State::OnTrial { until, .. }, In::Timeout) if now >= until => {
                self.go_back(Why::NotConfirmed, sink)
            }
            (state @ (State::Standing | State::Staged(_)), In::Confirm | In::TakeBack) => {
                refuse(sink, Refusal::NothingOnTrial, state)
            }
            (state, In::Timeout) => state,
        }
    }
}

impl Machine for Commit {
    type Input<'a> = CommitInput;
    type Effect = CommitEffect;
    type Event = CommitEvent;

    fn step(
        &mut self,
        now: Instant,
        input: CommitInput,
        mut sink: impl FnMut(Output<CommitEffect, CommitEvent>),
    ) -> Option<Instant> {
        let state = std::mem::replace(&mut self.state, State::Standing);
        self.state = self.turn(now, state, input, &mut sink);
        match self.state {
            State::OnTrial { until, .. } => Some(until),
            State::Standing | State::Staged(_) => None,
        }
    }
}

impl Why {
    /// As it is told.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Asked => "the change was taken back, as asked",
            Self::NotConfirmed => "the change was taken back, as nobody confirmed it within 120 s",
            Self::Restarted => "the change was taken back, as the box restarted before anybody confirmed it",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::values::InterfaceName;
    use crate::appliance::{Draft, Settings};
    use proptest::prelude::*;

    fn named(host: &str) -> Settings {
        let mut draft = Draft::delivered(&[InterfaceName::parse("eth0").unwrap()], None);
        draft.set_all([("host-name", host)]).unwrap();
        draft.settle().unwrap()
    }

    /// A box whose disk and network are what the machine made of them.
    struct Rig {
        commit: Commit,
        disk: Record,
        in_force: Option<Settings>,
        now: Instant,
        wake: Option<Instant>,
        told: Vec<CommitEvent>,
    }

    impl Rig {
        fn new() -> Self {
            let disk = Record { standing: named("old"), trial: None };
            let commit = Commit::new(disk.clone());
            let mut rig =
                Self { commit, disk, in_force: None, now: Instant::now(), wake: None, told: Vec::new() };
            rig.step(CommitInput::Begin(Begin::NewBoot));
            rig
        }

        fn step(&mut self, input: CommitInput) {
            let (disk, in_force, told) = (&mut self.disk, &mut self.in_force, &mut self.told);
            self.wake = self.commit.step(self.now, input, |output| match output {
                Output::Effect(CommitEffect::Keep(record)) => *disk = *record,
                Output::Effect(CommitEffect::PutInForce(settings)) => *in_force = Some(*settings),
                Output::Event(event) => told.push(event),
            });
        }

        /// The program ends and begins again; a new boot also forgets what was in force.
        fn restart(&mut self, begin: Begin) {
            if begin == Begin::NewBoot {
                self.in_force = None;
            }
            self.commit = Commit::new(self.disk.clone());
            self.step(CommitInput::Begin(begin));
        }

        fn pass(&mut self, time: Duration) {
            self.now += time;
            if self.wake.is_some_and(|wake| wake <= self.now) {
                self.step(CommitInput::Timeout);
            }
        }

        fn apply(&mut self, host: &str) {
            self.step(CommitInput::Stage(Box::new(named(host))));
            self.step(CommitInput::Apply);
        }

        fn host(&self) -> &str {
            self.in_force.as_ref().map_or("", |settings| settings.host_name.as_str())
        }
    }

    #[test]
    fn a_change_that_nobody_confirms_comes_back_after_120_seconds() {
        let mut rig = Rig::new();
        rig.apply("new");
        assert_eq!(rig.host(), "new");
        rig.pass(TRIAL - Duration::from_millis(1));
        assert_eq!(rig.host(), "new");
        rig.pass(Duration::from_millis(1));
        assert_eq!(rig.host(), "old");
        assert_eq!(rig.told.last(), Some(&CommitEvent::TakenBack(Why::NotConfirmed)));
        assert_eq!(rig.disk, Record { standing: named("old"), trial: None });
    }

    #[test]
    fn a_confirmed_change_stands_through_time_and_restarts() {
        let mut rig = Rig::new();
        rig.apply("new");
        rig.pass(Duration::from_secs(119));
        rig.step(CommitInput::Confirm);
        rig.pass(TRIAL * 10);
        rig.restart(Begin::NewBoot);
        assert_eq!((rig.host(), rig.commit.stage()), ("new", Stage::Standing));
    }

    #[test]
    fn a_box_that_restarts_on_trial_comes_up_with_the_settings_before() {
        let mut rig = Rig::new();
        rig.apply("new");
        rig.restart(Begin::NewBoot);
        assert_eq!(rig.host(), "old");
        assert_eq!(rig.told.last(), Some(&CommitEvent::TakenBack(Why::Restarted)));
        assert_eq!(rig.disk.trial, None);
    }

    #[test]
    fn a_program_that_restarts_on_trial_counts_on_from_where_it_was() {
        let mut rig = Rig::new();
        rig.apply("new");
        rig.pass(Duration::from_secs(100));
        rig.restart(Begin::SameBoot { left: Duration::from_secs(20) });
        rig.pass(Duration::from_secs(19));
        assert_eq!(rig.host(), "new");
        rig.pass(Duration::from_secs(1));
        assert_eq!(rig.host(), "old");
        let mut rig = Rig::new();
        rig.apply("new");
        rig.restart(Begin::SameBoot { left: Duration::from_secs(9_999) });
        rig.pass(TRIAL);
        assert_eq!(rig.host(), "old", "no clock makes a trial longer");
    }

    #[test]
    fn the_disk_knows_of_a_trial_before_it_is_in_force() {
        let mut commit = Commit::new(Record { standing: named("old"), trial: None });
        let now = Instant::now();
        commit.step(now, CommitInput::Stage(Box::new(named("new"))), |_| ());
        let mut order = Vec::new();
        commit.step(now, CommitInput::Apply, |output| {
            order.push(match output {
                Output::Effect(CommitEffect::Keep(record)) => format!("keep {}", record.trial.is_some()),
                Output::Effect(CommitEffect::PutInForce(settings)) => format!("force {}", settings.host_name),
                Output::Event(_) => "told".to_owned(),
            });
        });
        assert_eq!(order, ["keep true", "force new", "told"]);
    }

    #[test]
    fn one_change_at_a_time() {
        let mut rig = Rig::new();
        rig.step(CommitInput::Apply);
        rig.step(CommitInput::Confirm);
        rig.step(CommitInput::Stage(Box::new(named("old"))));
        assert_eq!(rig.commit.stage(), Stage::Standing, "no change is no change");
        rig.apply("new");
        rig.step(CommitInput::Stage(Box::new(named("other"))));
        let refused: Vec<_> = rig
            .told
            .iter()
            .filter_map(|event| if let CommitEvent::Refused(refusal) = event { Some(*refusal) } else { None })
            .collect();
        assert_eq!(refused, [Refusal::NothingStaged, Refusal::NothingOnTrial, Refusal::OnTrial]);
        assert_eq!(rig.commit.difference(), ["host-name: old -> new"]);
        rig.step(CommitInput::TakeBack);
        assert_eq!(rig.host(), "old");
    }

    fn input() -> impl Strategy<Value = CommitInput> {
        prop_oneof![
            "[a-c]{1}".prop_map(|host| CommitInput::Stage(Box::new(named(&host)))),
            Just(CommitInput::Discard),
            Just(CommitInput::Apply),
            Just(CommitInput::Confirm),
            Just(CommitInput::TakeBack),
            Just(CommitInput::Timeout),
        ]
    }

    proptest! {
        /// Whatever is asked, with restarts and time between: after a restart or two quiet minutes the box has what was
        /// confirmed last, and nothing that was not confirmed.
        #[test]
        fn only_what_was_confirmed_outlasts_two_minutes_or_a_restart(
            steps in proptest::collection::vec((input(), 0_u64..150, any::<bool>()), 0..40),
        ) {
            let mut rig = Rig::new();
            let mut confirmed = named("old");
            for (input, seconds, restarts) in steps {
                let confirms = input == CommitInput::Confirm;
                let on_trial = matches!(rig.commit.stage(), Stage::OnTrial { .. }).then(|| rig.commit.latest().clone());
                rig.step(input);
                if let (true, Some(settings)) = (confirms, on_trial) {
                    confirmed = settings;
                }
                rig.pass(Duration::from_secs(seconds));
                if restarts {
                    rig.restart(Begin::NewBoot);
                    prop_assert_eq!(rig.in_force.as_ref(), Some(&confirmed));
                }
                prop_assert_eq!(rig.in_force.as_ref(), Some(rig.commit.in_force()));
                prop_assert_eq!(&rig.disk.standing, &confirmed);
            }
            rig.pass(TRIAL);
            prop_assert_eq!(rig.in_force.as_ref(), Some(&confirmed));
        }
    }
}
