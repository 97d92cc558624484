//! The loop: asks what the gate wants asked, does what it decides, and shows that it lives.

use crate::checks::Checks;
use crate::hardware::Second;
use crate::note;
use anyhow::{Context, Result};
use base::{Machine, Output, Pulse};
use domain::appliance::request::{Haste, Request, What};
use hal::slots::{BootControl, Slot, SlotState, SlotStatus, SlotsError};
use linux::ebg::EfiBootGuard;
use linux::vital::{Part, Service};
use ota::gate::{Ask, Check, Event, Gate, Input, Outcome, Patience, Verdict};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// This program's unit.
const UNIT: &str = "otad.service";
/// The loop comes round at least so often.
const ROUND: Duration = Duration::from_secs(1);
/// It stands still when it has not come round for so long: three checks that are not answered take six seconds.
const SILENT: Duration = Duration::from_secs(8);
/// All checks must pass for so long.
const STEADY: Duration = Duration::from_secs(5);
/// A slot on trial is given up when the box has run for so long without being well: from power-on, so that this program's own crash
/// gives it no more time. A box checks its disks and starts its services in a fraction of that.
const DEADLINE: Duration = Duration::from_secs(300);
/// What could not be done is tried again after so long.
const AGAIN: Duration = Duration::from_secs(10);

/// Goes on until it is ended.
///
/// # Errors
/// If the kernel does not say which start this is, or the service manager does not listen.
pub fn run(root: &Path) -> Result<()> {
    let now = Instant::now();
    let control = Box::new(EfiBootGuard::of_box(root));
    let mut watch = Watch::begin(now, root, control)?;
    let pulse = Pulse::default();
    let part = Part { name: "round".to_owned(), silent: SILENT, pulse: pulse.clone() };
    let service = Service { unit: UNIT, notes: root.join("run/gantry/notes") };
    service.is_up(|name| std::env::var(name).ok(), vec![part], log)?;
    let mut second = Second::of_box(root, now, log);
    loop {
        let wake = watch.turn();
        let now = Instant::now();
        pulse.beat();
        if let Some(second) = &mut second {
            second.round(now, log);
        }
        let left = wake.map_or(ROUND, |wake| wake.saturating_duration_since(now));
        std::thread::park_timeout(left.min(ROUND));
    }
}

fn log(line: &str) {
    eprintln!("{line}");
}

/// How the running slot stands with its bootloader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It is being tried: what fails now is given up.
    OnTrial(Slot),
    /// It has proven itself, or it is no slot at all; nothing is given up.
    Kept,
}

/// The gate, and what is to be done about its verdict.
struct Watch {
    root: PathBuf,
    boot: String,
    control: Box<dyn BootControl>,
    standing: Standing,
    gate: Gate,
    checks: Checks,
    doing: Doing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    /// The gate is open, or what it decided is to be done now.
    Work,
    /// It could not be done; it is tried again then.
    Again(Instant),
    /// All is done.
    Done,
}

impl Watch {
    fn begin(now: Instant, root: &Path, mut control: Box<dyn BootControl>) -> Result<Self> {
        let of_kernel = |path: &str| {
            std::fs::read_to_string(root.join(path)).with_context(|| format!("cannot read {path}"))
        };
        let boot = of_kernel("proc/sys/kernel/random/boot_id")?.trim().to_owned();
        let uptime = of_kernel("proc/uptime")?;
        let uptime = uptime.split(' ').next().and_then(|seconds| seconds.parse::<f64>().ok());
        let uptime = uptime.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let uptime = uptime.context("proc/uptime says nothing")?;
        let standing = standing(&mut *control);
        let deadline = match standing {
            Standing::OnTrial(_) => Some(now + DEADLINE.saturating_sub(uptime)),
            Standing::Kept => None,
        };
        let patience = Patience { every: ROUND, answer: 4 * ROUND, steady: STEADY, deadline };
        let gate = Gate::new(now, patience, &[Check::Control, Check::Sip, Check::Services]);
        log(&match standing {
            Standing::OnTrial(slot) => {
                format!(
                    "slot {slot} is on trial: it has {} s to get well",
                    DEADLINE.saturating_sub(uptime).as_secs()
                )
            }
            Standing::Kept => "this start is of a slot that has proven itself, or of none".to_owned(),
        });
        let (root, checks) = (root.to_owned(), Checks::new(root));
        Ok(Self { root, boot, control, standing, gate, checks, doing: Doing::Work })
    }

    /// One round. Returns when the next is due, if it is before the next second.
    fn turn(&mut self) -> Option<Instant> {
        let wake = self.ask_all();
        let due = match self.doing {
            Doing::Work => true,
            Doing::Again(at) => at <= Instant::now(),
            Doing::Done => false,
        };
        if let Some(verdict) = self.gate.verdict().cloned().filter(|_| due) {
            self.doing = match self.carry_out(&verdict) {
                Ok(()) => Doing::Done,
                Err(error) => {
                    log(&format!("{error:#}; it is tried again in {} s", AGAIN.as_secs()));
                    Doing::Again(Instant::now() + AGAIN)
                }
            };
        }
        wake
    }

    /// Makes the checks that are due, and hands in what came of them.
    fn ask_all(&mut self) -> Option<Instant> {
        let mut inputs = vec![Input::Tick];
        let mut wake = None;
        while let Some(input) = inputs.pop() {
            let mut asked = Vec::new();
            wake = self.gate.step(Instant::now(), input, |output| match output {
                Output::Effect(Ask(check)) => asked.push(check),
                Output::Event(Event::Changed(check, Outcome::Passed)) => {
                    log(&format!("{}: well", check.name()));
                }
                Output::Event(Event::Changed(check, Outcome::Failed(why))) => {
                    log(&format!("{}: {why}", check.name()));
                }
                Output::Event(Event::Decided(_)) => {}
            });
            for check in asked {
                inputs.push(Input::Answer(check, self.checks.make(check)));
            }
        }
        wake
    }

    fn carry_out(&mut self, verdict: &Verdict) -> Result<()> {
        match verdict {
            Verdict::Good => {
                match self.control.mark_good() {
                    Ok(()) => log("this start was a good one: the slot is kept"),
                    Err(SlotsError::NotFromSlot) => log("this start was a good one, though not of a slot"),
                    Err(error) => return Err(error).context("the slot cannot be marked good"),
                }
                note::well(&self.root, &self.boot).context("that it is well cannot be noted")
            }
            Verdict::Bad(faults) => {
                let Standing::OnTrial(slot) = self.standing else { return Ok(()) };
                let said: Vec<_> =
                    faults.iter().map(|(check, why)| format!("{}: {why}", check.name())).collect();
                log(&format!("slot {slot} is given up: {}", said.join("; ")));
                self.control.mark_failed(slot).context("the slot cannot be given up")?;
                let names = faults.iter().map(|(check, _)| check.name()).collect();
                // The box restarts even where nobody can be told why.
                note::gave_up(&self.root, &self.boot, names).unwrap_or_else(|error| log(&error.to_string()));
                self.restart()
            }
        }
    }

    /// Asks for a restart, as the console does. One that does not come is asked for again.
    fn restart(&self) -> Result<()> {
        let (folder, text) = (self.root.join("run/gantry/apply"), Request::Reboot(Haste::Now).to_text(1));
        note::replace(&folder, What::Reboot.name(), &text).context("nobody can be asked for a restart")?;
        anyhow::bail!("a restart is asked for")
    }
}

/// Whether the running slot is on trial. A record that cannot be read gives nothing up.
fn standing(control: &mut dyn BootControl) -> Standing {
    let slots = match control.slots() {
        Ok(slots) => slots,
        Err(error) => {
            log(&error.to_string());
            return Standing::Kept;
        }
    };
    let on_trial = |slot: &Slot| {
        matches!(slots.of(*slot), SlotStatus::Known { state: SlotState::Testing | SlotState::Installed, .. })
    };
    slots.booted.filter(on_trial).map_or(Standing::Kept, Standing::OnTrial)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hal::slots::{FakeBootControl, Slots};
    use std::os::unix::net::UnixListener;

    const OK: SlotStatus = SlotStatus::Known { state: SlotState::Ok, revision: 1 };
    const TESTING: SlotStatus = SlotStatus::Known { state: SlotState::Testing, revision: 2 };

    /// A made box that has run for `uptime` seconds.
    fn made_box(uptime: f64) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for path in [
            "proc/sys/kernel/random",
            "run/gantry/apply",
            "run/gantry/notes",
            "run/systemd/units",
            "var/lib/gantry/otad",
        ] {
            std::fs::create_dir_all(folder.path().join(path)).unwrap();
        }
        std::fs::write(folder.path().join("proc/uptime"), format!("{uptime:.2} 1.00\n")).unwrap();
        std::fs::write(folder.path().join("proc/sys/kernel/random/boot_id"), "boot-7\n").unwrap();
        folder
    }

    fn slots(b: SlotStatus) -> FakeBootControl {
        FakeBootControl::new(Slots { a: OK, b, booted: Some(Slot::B) })
    }

    fn watch(folder: &tempfile::TempDir, slots: &FakeBootControl) -> Watch {
        Watch::begin(Instant::now(), folder.path(), Box::new(slots.clone())).unwrap()
    }

    fn life(folder: &tempfile::TempDir) -> Option<String> {
        std::fs::read_to_string(folder.path().join("var/lib/gantry/otad/life.json")).ok()
    }

    fn asked(folder: &tempfile::TempDir) -> Option<Request> {
        let text = std::fs::read_to_string(folder.path().join("run/gantry/apply/reboot")).ok()?;
        Some(Request::parse(What::Reboot, &text).unwrap().1)
    }

    /// What a box in good health shows: a gateway on both its sockets, and services that run.
    fn gets_well(folder: &tempfile::TempDir) {
        let room = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let status =
            format!("{{\"taking\":\"calls\",\"sip\":{{\"udp\":[\"{}\"]}}}}\n", room.local_addr().unwrap());
        std::thread::spawn(move || {
            let mut buffer = [0; 4_096];
            while let Ok((count, from)) = room.recv_from(&mut buffer) {
                let asked = String::from_utf8_lossy(&buffer[..count]).into_owned();
                let id = asked.lines().find(|line| line.starts_with("Call-ID: ")).unwrap().to_owned();
                room.send_to(format!("SIP/2.0 200 OK\r\n{id}\r\n\r\n").as_bytes(), from).unwrap();
            }
        });
        let listener = UnixListener::bind(folder.path().join("run/gantry/gatewayd.sock")).unwrap();
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                std::io::Write::write_all(&mut stream, status.as_bytes()).unwrap();
            }
        });
        for unit in ["gatewayd", "gantry-serve", "gantry-firewall", "systemd-networkd", "systemd-journald"] {
            let link = folder.path().join(format!("run/systemd/units/invocation:{unit}.service"));
            std::os::unix::fs::symlink("1", link).unwrap();
        }
    }

    fn turns(watch: &mut Watch, longest: Duration) {
        let end = Instant::now() + longest;
        while watch.gate.verdict().is_none() && Instant::now() < end {
            watch.turn();
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }

    #[test]
    fn a_slot_on_trial_whose_box_is_well_is_marked_good_and_that_is_noted() {
        let (folder, slots) = (made_box(20.0), slots(TESTING));
        let mut watch = watch(&folder, &slots);
        assert_eq!(watch.standing, Standing::OnTrial(Slot::B));
        gets_well(&folder);
        turns(&mut watch, Duration::from_secs(30));
        let state = slots.clone().slots().unwrap().b;
        assert_eq!(state, SlotStatus::Known { state: SlotState::Ok, revision: 2 });
        assert_eq!(life(&folder).as_deref(), Some("{\"boot\":\"boot-7\",\"reached\":\"well\"}"));
        assert_eq!(asked(&folder), None);
    }

    #[test]
    fn a_slot_on_trial_that_is_not_well_in_time_is_given_up_and_a_restart_is_asked_for() {
        // Half a second is left of its time.
        let (folder, slots) = (made_box(299.5), slots(TESTING));
        let mut watch = watch(&folder, &slots);
        turns(&mut watch, Duration::from_secs(30));
        let failed = SlotStatus::Known { state: SlotState::Failed, revision: 0 };
        assert_eq!(slots.clone().slots().unwrap().b, failed);
        assert_eq!(
            life(&folder).as_deref(),
            Some("{\"boot\":\"boot-7\",\"gave_up\":[\"control\",\"sip\",\"services\"]}")
        );
        assert_eq!(asked(&folder), Some(Request::Reboot(Haste::Now)));
        assert_eq!(slots.restart(), Some(Slot::A));
        assert!(matches!(watch.doing, Doing::Again(_)), "one that does not come is asked for again");
    }

    #[test]
    fn a_slot_that_has_proven_itself_is_not_given_up_however_bad_it_is() {
        let (folder, slots) = (made_box(10_000.0), slots(OK));
        let mut watch = watch(&folder, &slots);
        turns(&mut watch, Duration::from_secs(3));
        assert_eq!((watch.gate.verdict(), life(&folder), asked(&folder)), (None, None, None));
        gets_well(&folder);
        turns(&mut watch, Duration::from_secs(30));
        assert_eq!(life(&folder).as_deref(), Some("{\"boot\":\"boot-7\",\"reached\":\"well\"}"));
    }

    #[test]
    fn the_only_slot_that_could_boot_is_kept_though_it_is_bad() {
        let none = SlotStatus::Known { state: SlotState::Failed, revision: 0 };
        let slots = FakeBootControl::new(Slots { a: none, b: TESTING, booted: Some(Slot::B) });
        let folder = made_box(400.0);
        let mut watch = watch(&folder, &slots);
        turns(&mut watch, Duration::from_secs(30));
        assert!(matches!(watch.gate.verdict(), Some(Verdict::Bad(_))));
        assert_eq!(slots.clone().slots().unwrap().b, TESTING);
        assert_eq!((life(&folder), asked(&folder)), (None, None), "a restart would change nothing");
    }
}
