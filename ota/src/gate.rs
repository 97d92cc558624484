//! The health gate: whether this start of the box was a good one.
//!
//! ```text
//!            ┌─ Ask(check) ─▶ answer ─┐ each check again and again
//!  begin ─▶ Open ◀───────────────────┘
//!            ├── all have passed for `steady` ─────────▶ Good, for good
//!            └── `deadline`, on a slot that is on trial ─▶ Bad, with what did not pass
//! ```
//!
//! One pass is not enough: a service that crashes every few seconds answers in between. So all checks have to pass, again and
//! again, for a while in which none fails. A check that is not answered in time has failed.
//!
//! A slot that has proven itself before has no deadline: there is nothing better to go back to, and the gate waits until all is well.

use base::{Machine, Output, earliest};
use std::time::{Duration, Instant};

/// Something that a box in good health does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Check {
    /// The gateway answers SIP OPTIONS.
    Sip,
    /// The gateway answers on its control socket.
    Control,
    /// The services that the box cannot do without run, and none of them was started again.
    Services,
}

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It passed.
    Passed,
    /// It did not, and why.
    Failed(String),
}

/// How patient a gate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// From the answer to one asking of a check to its next.
    pub every: Duration,
    /// An answer that takes longer is none.
    pub answer: Duration,
    /// All must pass for so long without one that fails.
    pub steady: Duration,
    /// When the slot is given up, if it is on trial; `None` for one that has proven itself.
    pub deadline: Option<Instant>,
}

/// What a gate takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// What came of a check that was asked for.
    Answer(Check, Outcome),
    /// Nothing happened, but it is time.
    Tick,
}

/// What a gate wants done: the check made, and its outcome handed in as [`Input::Answer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask(pub Check);

/// What a gate tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A check fails that passed before, or passes that failed; another reason for failing is not told, as there may be one each second.
    Changed(Check, Outcome),
    /// It has decided, and asks nothing more.
    Decided(Verdict),
}

/// What a gate decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The start was a good one.
    Good,
    /// It was not: these did not pass, each with its last reason.
    Bad(Vec<(Check, String)>),
}

/// The gate.
#[derive(Debug, Clone)]
pub struct Gate {
    patience: Patience,
    checks: Vec<Made>,
    /// Since when all have passed.
    well: Option<Instant>,
    verdict: Option<Verdict>,
}

/// One check, and how it stands.
#[derive(Debug, Clone)]
struct Made {
    check: Check,
    doing: Doing,
    last: Option<Outcome>,
    /// When it passed last.
    passed: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    /// It is to be asked for then.
    Rests(Instant),
    /// It was asked for, and must be answered by then.
    Asked(Instant),
}

impl Check {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Sip, Self::Control, Self::Services];

    /// Its name, for people and for what is written down.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sip => "sip",
            Self::Control => "control",
            Self::Services => "services",
        }
    }
}

impl Gate {
    /// A gate of these checks, which are asked for from `now` on.
    #[must_use]
    pub fn new(now: Instant, patience: Patience, checks: &[Check]) -> Self {
        let made = |check: &Check| Made { check: *check, doing: Doing::Rests(now), last: None, passed: None };
        Self { patience, checks: checks.iter().map(made).collect(), well: None, verdict: None }
    }

    /// What it has decided.
    #[must_use]
    pub fn verdict(&self) -> Option<&Verdict> {
        self.verdict.as_ref()
    }

    /// Takes an answer, if it was asked for.
    fn answer(
        &mut self,
        now: Instant,
        check: Check,
        outcome: Outcome,
        sink: &mut impl FnMut(Output<Ask, Event>),
    ) {
        let next = Doing::Rests(now + self.patience.every);
        let asked = |made: &&mut Made| made.check == check && matches!(made.doing, Doing::Asked(_));
        if let Some(made) = self.checks.iter_mut().find(asked) {
            made.doing = next;
            made.takes(now, outcome, sink);
        }
    }

    /// Gives up those that are not answered, and asks for those that are due.
    fn turn(&mut self, now: Instant, sink: &mut impl FnMut(Output<Ask, Event>)) {
        let Patience { every, answer, .. } = self.patience;
        for made in &mut self.checks {
            match made.doing {
                Doing::Asked(by) if by <= now => {
                    made.doing = Doing::Rests(now + every);
                    made.takes(now, Outcome::Failed("no answer".to_owned()), sink);
                }
                Doing::Rests(until) if until <= now => {
                    made.doing = Doing::Asked(now + answer);
                    sink(Output::Effect(Ask(made.check)));
                }
                Doing::Asked(_) | Doing::Rests(_) => {}
            }
        }
    }

    fn decide(&mut self, now: Instant) -> Option<Verdict> {
        if self.checks.iter().all(|made| made.last == Some(Outcome::Passed)) {
            let since = *self.well.get_or_insert(now);
            // One that is being asked may not answer any more: it counts when it has.
            let steady =
                |made: &Made| made.passed.is_some_and(|passed| passed >= since + self.patience.steady);
            if self.checks.iter().all(steady) {
                return Some(Verdict::Good);
            }
        } else {
            self.well = None;
        }
        let over = self.patience.deadline.is_some_and(|deadline| deadline <= now);
        over.then(|| Verdict::Bad(self.checks.iter().filter_map(Made::fault).collect()))
    }

    fn wake(&self) -> Option<Instant> {
        let checks = self.checks.iter().map(|made| match made.doing {
            Doing::Rests(until) | Doing::Asked(until) => until,
        });
        earliest(checks.min(), self.patience.deadline)
    }
}

impl Made {
    fn takes(&mut self, now: Instant, outcome: Outcome, sink: &mut impl FnMut(Output<Ask, Event>)) {
        if outcome == Outcome::Passed {
            self.passed = Some(now);
        }
        let same = matches!(
            (&self.last, &outcome),
            (Some(Outcome::Passed), Outcome::Passed) | (Some(Outcome::Failed(_)), Outcome::Failed(_))
        );
        if !same {
            sink(Output::Event(Event::Changed(self.check, outcome.clone())));
        }
        self.last = Some(outcome);
    }

    /// Why it has not passed; `None` if it has, when it was asked for last.
    fn fault(&self) -> Option<(Check, String)> {
        match &self.last {
            Some(Outcome::Passed) => None,
            Some(Outcome::Failed(why)) => Some((self.check, why.clone())),
            None => Some((self.check, "no answer".to_owned())),
        }
    }
}

impl Machine for Gate {
    type Input<'a> = Input;
    type Effect = Ask;
    type Event = Event;

    fn step(
        &mut self,
        now: Instant,
        input: Input,
        mut sink: impl FnMut(Output<Ask, Event>),
    ) -> Option<Instant> {
        if self.verdict.is_some() {
            return None;
        }
        match input {
            Input::Answer(check, outcome) => self.answer(now, check, outcome, &mut sink),
            Input::Tick => {}
        }
        // Decided before anything is asked anew: who has decided asks nothing more.
        self.verdict = self.decide(now);
        if let Some(verdict) = &self.verdict {
            sink(Output::Event(Event::Decided(verdict.clone())));
            return None;
        }
        self.turn(now, &mut sink);
        self.wake()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A box whose checks answer at once, in virtual time.
    struct Box {
        gate: Gate,
        now: Instant,
        begun: Instant,
        wake: Option<Instant>,
        told: Vec<Event>,
    }

    impl Box {
        fn new(deadline: Option<Duration>) -> Self {
            let now = Instant::now();
            let patience = Patience {
                every: SECOND,
                answer: 5 * SECOND,
                steady: 10 * SECOND,
                deadline: deadline.map(|deadline| now + deadline),
            };
            let gate = Gate::new(now, patience, &Check::ALL);
            Self { gate, now, begun: now, wake: Some(now), told: Vec::new() }
        }

        fn on_trial() -> Self {
            Self::new(Some(300 * SECOND))
        }

        fn step(&mut self, input: Input) -> Vec<Check> {
            let (mut asked, told) = (Vec::new(), &mut self.told);
            self.wake = self.gate.step(self.now, input, |output| match output {
                Output::Effect(Ask(check)) => asked.push(check),
                Output::Event(event) => told.push(event),
            });
            asked
        }

        /// Goes on for `time`, or to the verdict; `health` says what a check finds at a second of the box's life, `None` is no
        /// answer at all.
        fn live(&mut self, time: Duration, health: impl Fn(u64, Check) -> Option<Outcome>) {
            let until = self.now + time;
            while let Some(wake) = self.wake.filter(|wake| *wake <= until) {
                self.now = self.now.max(wake);
                let mut asked = self.step(Input::Tick);
                while let Some(check) = asked.pop() {
                    let second = (self.now - self.begun).as_secs();
                    if let Some(outcome) = health(second, check) {
                        asked.extend(self.step(Input::Answer(check, outcome)));
                    }
                }
            }
            self.now = until.max(self.now);
        }

        fn verdict_after(&self) -> Option<(&Verdict, u64)> {
            Some((self.gate.verdict()?, (self.now - self.begun).as_secs()))
        }
    }

    fn failed(why: &str) -> Option<Outcome> {
        Some(Outcome::Failed(why.to_owned()))
    }

    fn well(_: u64, _: Check) -> Option<Outcome> {
        Some(Outcome::Passed)
    }

    #[test]
    fn a_box_that_is_well_from_some_moment_on_is_good_ten_seconds_later() {
        let mut good = Box::on_trial();
        good.live(
            40 * SECOND,
            |second, check| if second < 20 { failed("not yet") } else { well(second, check) },
        );
        assert_eq!(good.gate.verdict(), Some(&Verdict::Good));
        let mut early = Box::on_trial();
        early.live(
            29 * SECOND,
            |second, check| if second < 20 { failed("not yet") } else { well(second, check) },
        );
        assert_eq!(early.gate.verdict(), None, "it had passed for nine seconds only");
    }

    #[test]
    fn a_slot_on_trial_that_never_gets_well_is_bad_at_its_deadline_and_what_failed_is_named() {
        let mut bad = Box::on_trial();
        let health = |second, check| match check {
            Check::Sip => failed("nobody answers on 127.0.0.1:5060"),
            Check::Control => None,
            Check::Services => well(second, check),
        };
        bad.live(299 * SECOND, health);
        assert_eq!(bad.gate.verdict(), None, "it has its time");
        bad.live(2 * SECOND, health);
        let Some((Verdict::Bad(faults), _)) = bad.verdict_after() else { panic!("{:?}", bad.gate) };
        assert_eq!(
            faults,
            &[
                (Check::Sip, "nobody answers on 127.0.0.1:5060".to_owned()),
                (Check::Control, "no answer".to_owned())
            ]
        );
    }

    #[test]
    fn a_service_that_comes_back_again_and_again_is_not_well() {
        let mut flapping = Box::on_trial();
        flapping.live(301 * SECOND, |second, check| match check {
            Check::Services if second.is_multiple_of(8) => failed("gatewayd.service was started again"),
            _ => well(second, check),
        });
        assert!(matches!(flapping.gate.verdict(), Some(Verdict::Bad(_))), "{:?}", flapping.gate);
    }

    #[test]
    fn a_slot_that_has_proven_itself_is_never_given_up() {
        let mut proven = Box::new(None);
        proven.live(3_600 * SECOND, |_, _| failed("the network is away"));
        assert_eq!(proven.gate.verdict(), None);
        proven.live(11 * SECOND, well);
        assert_eq!(proven.gate.verdict(), Some(&Verdict::Good));
    }

    #[test]
    fn an_outcome_is_told_when_it_changes_and_an_answer_nobody_asked_for_is_none() {
        let mut told = Box::on_trial();
        let asked = told.step(Input::Answer(Check::Sip, Outcome::Passed));
        assert_eq!((&asked[..], &told.told[..]), (&Check::ALL[..], &[][..]), "it had not been asked");
        for check in asked {
            told.step(Input::Answer(check, Outcome::Failed("not yet".to_owned())));
        }
        told.live(5 * SECOND, |second, check| match check {
            Check::Sip if second < 4 => failed(if second < 2 { "not yet" } else { "still not" }),
            _ => well(second, check),
        });
        let of_sip: Vec<_> = told
            .told
            .iter()
            .filter_map(|event| match event {
                Event::Changed(Check::Sip, outcome) => Some(outcome.clone()),
                _ => None,
            })
            .collect();
        assert_eq!(of_sip, [Outcome::Failed("not yet".to_owned()), Outcome::Passed]);
    }

    #[test]
    fn who_has_decided_asks_nothing_more() {
        let mut good = Box::on_trial();
        good.live(60 * SECOND, well);
        assert_eq!(good.gate.verdict(), Some(&Verdict::Good));
        assert_eq!(good.step(Input::Tick), []);
        assert_eq!(good.wake, None);
        let decided = |event: &&Event| matches!(event, Event::Decided(_));
        assert_eq!(good.told.iter().filter(decided).count(), 1);
    }

    proptest! {
        /// Whatever the checks find, and whenever: a verdict comes by the deadline, and Good only if nothing failed in the last ten
        /// seconds before it.
        #[test]
        fn a_verdict_comes_in_time_and_good_means_that_nothing_failed_for_a_while(
            health in prop::collection::vec((0u8..8, 0u8..8, 0u8..8), 70),
        ) {
            let mut some = Box::new(Some(60 * SECOND));
            let found = |second: u64, check: Check| {
                let row = health[usize::try_from(second).unwrap().min(69)];
                match [row.0, row.1, row.2][check as usize] {
                    0 => failed("it fails"),
                    1 if second.is_multiple_of(3) => None,
                    _ => Some(Outcome::Passed),
                }
            };
            let mut good_at = None;
            for second in 0..=61u64 {
                some.live(SECOND, found);
                if some.gate.verdict() == Some(&Verdict::Good) {
                    good_at.get_or_insert(second);
                }
            }
            prop_assert!(some.gate.verdict().is_some(), "the deadline has gone by");
            if let Some(at) = good_at {
                for second in at.saturating_sub(9)..at {
                    for check in Check::ALL {
                        prop_assert!(!matches!(found(second, check), Some(Outcome::Failed(_))), "{check:?} failed at {second}, good at {at}");
                    }
                }
            }
        }
    }
}
