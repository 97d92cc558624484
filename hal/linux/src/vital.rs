//! Signs of life to the service manager: a thread of its own feeds its watchdog while every vital part of the program comes
//! round, so that no part need know of watchdogs, and none can feed for another.
//!
//! ```text
//!  part: Pulse::beat ─▶ watch (a thread, twice a second) ─▶ hal::keeper ─▶ WATCHDOG=1
//!                                                              ├ starved, recovered ─▶ a note, a line of the log
//!                                                              └ starved for long ───▶ WATCHDOG=trigger
//! ```
//! The note is written before feeding stops, so that whoever writes down why the service ended can name the part.

use crate::notes;
use crate::watchdog::{Notifier, ServiceManager};
use base::Pulse;
use base::pulse::Sign;
use hal::keeper::{Event, Guard, Input, PartId};
use hal::reason::{Note, Noted};
use hal::watchdog::{ArmError, Config, Watchdog};
use hal::{DeviceError, Label};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How often the thread comes round.
const ROUND: Duration = Duration::from_millis(500);
/// A part that is silent for so long after it was named will not come back: the service manager need not wait until the watchdog is
/// hungry.
const LOST: Duration = Duration::from_secs(5);
/// A thread that comes round so late was stopped with the whole program; its parts could not show life either.
const STOPPED: Duration = Duration::from_secs(2);

/// A vital part of a program.
#[derive(Debug, Clone)]
pub struct Part {
    /// What it is called when it starves.
    pub name: String,
    /// How long it may show no life.
    pub silent: Duration,
    /// Its signs of life.
    pub pulse: Pulse,
}

/// The service whose parts they are.
#[derive(Debug, Clone)]
pub struct Service {
    /// Its unit: "gatewayd.service".
    pub unit: &'static str,
    /// The folder for notes.
    pub notes: PathBuf,
}

/// Why no signs of life can be given.
#[derive(Debug, thiserror::Error)]
pub enum VitalError {
    /// The service manager does not listen.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// Its watchdog cannot be armed.
    #[error(transparent)]
    Arm(#[from] ArmError),
    /// There is no thread left.
    #[error("the thread that feeds the watchdog cannot be started: {0}")]
    Thread(#[from] io::Error),
}

impl Service {
    /// Tells the service manager that the service is up, and keeps its watchdog from now on while all `parts` live; `log` is
    /// told who starves and who is back. Without a watchdog nothing is watched, without a service manager nobody is told. Pass
    /// [`std::env::var`] with `.ok()` for `variable`.
    ///
    /// # Errors
    /// If the service manager does not listen, or there is no thread left.
    pub fn is_up(
        self,
        variable: impl Fn(&str) -> Option<String> + Copy,
        parts: Vec<Part>,
        log: impl FnMut(&str) + Send + 'static,
    ) -> Result<(), VitalError> {
        if let Some(manager) = ServiceManager::new(variable, std::process::id())? {
            let (now, timeout) = (Instant::now(), manager.configured());
            let guard = Guard::new(now, Box::new(manager).arm(Config { timeout, pretimeout: None })?);
            let notifier = Notifier::new(variable)?;
            let mut watch = Watch::new(now, guard, self, parts, log);
            watch.give_up = Box::new(move || drop(notifier.stands_still()));
            notes::forget(&watch.service.notes, &watch.by());
            std::thread::Builder::new().name("vital".into()).spawn(move || watch.run())?;
        }
        Ok(Notifier::new(variable)?.ready()?)
    }
}

/// The thread's state.
struct Watch<L> {
    guard: Guard,
    service: Service,
    parts: Vec<(PartId, Pulse, Sign)>,
    turned: Instant,
    /// Since when a part has starved.
    starves: Option<Instant>,
    give_up: Box<dyn FnMut() + Send>,
    log: L,
}

impl<L: FnMut(&str)> Watch<L> {
    fn new(now: Instant, mut guard: Guard, service: Service, parts: Vec<Part>, log: L) -> Self {
        let parts = parts.into_iter().map(|Part { name, silent, pulse }| {
            let sign = pulse.sign();
            (guard.keeper().add(now, &name, silent), pulse, sign)
        });
        let parts = parts.collect();
        Self { guard, service, parts, turned: now, starves: None, give_up: Box::new(|| {}), log }
    }

    fn run(mut self) {
        loop {
            std::thread::park_timeout(ROUND);
            self.turn(Instant::now());
        }
    }

    fn turn(&mut self, now: Instant) {
        let stopped = now.saturating_duration_since(self.turned) >= STOPPED;
        self.turned = now;
        let mut ended = Vec::new();
        for (id, pulse, seen) in &mut self.parts {
            let sign = pulse.sign();
            let before = std::mem::replace(seen, sign);
            match sign {
                Sign::Rounds(_) if sign != before || stopped => self.guard.keeper().beat(now, *id),
                Sign::Ended if sign != before => ended.push(Input::Retire(*id)),
                Sign::Rounds(_) | Sign::Ended => {}
            }
        }
        for input in ended.into_iter().chain([Input::Tick]) {
            let mut told = Vec::new();
            let fed = self.guard.turn(now, input, |event| told.push(event));
            told.iter().for_each(|event| self.note(event));
            if let Err(error) = fed {
                (self.log)(&format!("the watchdog could not be fed: {error}"));
            }
        }
        if self.guard.keeper().starving().next().is_none() {
            self.starves = None;
        } else if now.saturating_duration_since(*self.starves.get_or_insert(now)) >= LOST {
            (self.give_up)();
        }
    }

    /// Whose notes they are.
    fn by(&self) -> String {
        format!("{}-vital", self.service.unit.trim_end_matches(".service"))
    }

    fn note(&mut self, event: &Event) {
        let unit = Label::sanitised(self.service.unit);
        let (text, what) = match event {
            Event::Starved { name, silent, .. } => (
                format!(
                    "{name} shows no life for {:.1} s: the watchdog is not fed any more",
                    silent.as_secs_f32()
                ),
                unit.zip(Label::sanitised(name)).map(|(unit, part)| Noted::Starved { unit, part }),
            ),
            Event::Recovered { name, .. } => (
                format!("{name} is back"),
                unit.zip(Label::sanitised(name)).map(|(unit, part)| Noted::Recovered { unit, part }),
            ),
        };
        (self.log)(&text);
        let Some(what) = what else { return };
        if let Err(error) = notes::add(&self.service.notes, &self.by(), &Note { at: notes::wall(), what }) {
            (self.log)(&format!("no note in {}: {error}", self.service.notes.display()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hal::watchdog::{Doing, FakeWatchdog, WayOut};
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Arc, mpsc};

    const SECOND: Duration = Duration::from_secs(1);

    type Log = Box<dyn FnMut(&str)>;

    /// A program of two parts, its watchdog of ten seconds, and what it told.
    struct Program {
        folder: tempfile::TempDir,
        fake: FakeWatchdog,
        watch: Watch<Log>,
        engine: Pulse,
        control: Pulse,
        told: mpsc::Receiver<String>,
        now: Instant,
    }

    impl Program {
        fn new() -> Self {
            let (folder, fake) = (tempfile::tempdir().unwrap(), FakeWatchdog::new(WayOut::None));
            let now = Instant::now();
            let config = Config { timeout: 10 * SECOND, pretimeout: None };
            let guard = Guard::new(now, fake.watchdog().arm(config).unwrap());
            let (engine, control) = (Pulse::default(), Pulse::default());
            let part = |name: &str, pulse: &Pulse| Part {
                name: name.to_owned(),
                silent: 2 * SECOND,
                pulse: pulse.clone(),
            };
            let parts = vec![part("engine", &engine), part("control", &control)];
            let service = Service { unit: "gatewayd.service", notes: folder.path().to_owned() };
            let (tell, told) = mpsc::channel();
            let log: Log = Box::new(move |line| tell.send(line.to_owned()).unwrap());
            let watch = Watch::new(now, guard, service, parts, log);
            Self { folder, fake, watch, engine, control, told, now }
        }

        /// Half a second goes by, in which these parts come round.
        fn round(&mut self, alive: &[&Pulse]) {
            alive.iter().for_each(|pulse| pulse.beat());
            self.now += ROUND;
            self.watch.turn(self.now);
            self.fake.advance(ROUND);
        }
    }

    #[test]
    fn a_program_is_fed_while_all_its_parts_come_round() {
        let mut program = Program::new();
        let (engine, control) = (program.engine.clone(), program.control.clone());
        (0..100).for_each(|_| program.round(&[&engine, &control]));
        assert_ne!(program.fake.doing(), Doing::Bitten);
        assert_eq!(program.told.try_iter().count(), 0);
    }

    #[test]
    fn one_part_that_stands_still_is_named_given_up_after_seven_seconds_and_fed_no_more_meanwhile() {
        let mut program = Program::new();
        let (engine, control) = (program.engine.clone(), program.control.clone());
        (0..13).for_each(|_| program.round(&[&engine, &control]));
        let given_up = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&given_up);
        program.watch.give_up = Box::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let mut rounds = (1..).map(|round| {
            program.round(&[&control]);
            (round, given_up.load(Ordering::Relaxed) > 0, program.fake.doing() == Doing::Bitten)
        });
        let lost = rounds.find(|(_, lost, _)| *lost).map(|(round, ..)| round);
        assert_eq!(lost, Some(14), "half seconds: two to be named, five to be lost");
        let bitten = rounds.find(|(.., bitten)| *bitten).map(|(round, ..)| round);
        assert!(bitten.is_some_and(|round| round <= 25), "{bitten:?} half seconds, were it not given up");
        let told: Vec<_> = program.told.try_iter().collect();
        assert_eq!(told, ["engine shows no life for 2.0 s: the watchdog is not fed any more"]);
        let noted: Vec<_> = notes::all(program.folder.path()).into_iter().map(|note| note.what).collect();
        let label = |text| Label::sanitised(text).unwrap();
        assert_eq!(noted, [Noted::Starved { unit: label("gatewayd.service"), part: label("engine") }]);
    }

    #[test]
    fn a_part_that_was_only_slow_is_back_and_the_program_lives() {
        let mut program = Program::new();
        let (engine, control) = (program.engine.clone(), program.control.clone());
        (0..10).for_each(|_| program.round(&[&control]));
        (0..100).for_each(|_| program.round(&[&engine, &control]));
        assert_ne!(program.fake.doing(), Doing::Bitten);
        assert_eq!(program.told.try_iter().last().as_deref(), Some("engine is back"));
    }

    #[test]
    fn a_part_that_ended_on_purpose_is_not_missed() {
        let mut program = Program::new();
        let control = program.control.clone();
        program.engine.end();
        (0..100).for_each(|_| program.round(&[&control]));
        assert_ne!(program.fake.doing(), Doing::Bitten);
        assert_eq!(program.told.try_iter().count(), 0);
    }

    #[test]
    fn a_program_that_was_stopped_as_a_whole_and_goes_on_accuses_none_of_its_parts() {
        let mut program = Program::new();
        let (engine, control) = (program.engine.clone(), program.control.clone());
        program.round(&[&engine, &control]);
        program.now += 5 * SECOND;
        program.round(&[]);
        assert_eq!(program.told.try_iter().count(), 0, "they had no more time than who looks");
        (0..5).for_each(|_| program.round(&[&control]));
        assert_eq!(program.told.try_iter().count(), 1, "from then on they have to show life again");
    }
}
