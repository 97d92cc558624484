//! Signs of life to the service manager: a thread of its own feeds its watchdog while every vital part beats, so that a part
//! may work for a while (hash a password, wait for a reply) without being taken for dead.

use crate::notes;
use crate::places::Places;
use anyhow::Result;
use hal::Label;
use hal::keeper::{Event, Guard, Input, PartId};
use hal::reason::{Note, Noted};
use hal::watchdog::{Config, Watchdog};
use linux::watchdog::{Notifier, ServiceManager};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often the thread comes round.
const ROUND: Duration = Duration::from_millis(500);

/// The vital parts of this program.
#[derive(Clone)]
pub struct Vital {
    beats: Arc<[AtomicU64]>,
}

impl Vital {
    /// Tells the service manager that the service is up, and watches `parts` from now on: each a name and how long it may be
    /// silent. Without a watchdog nothing is watched.
    ///
    /// # Errors
    /// If the service manager does not listen, or there is no thread left.
    pub fn start(places: &Places, unit: &'static str, parts: &[(&str, Duration)]) -> Result<Self> {
        let variable = |name: &str| std::env::var(name).ok();
        let beats: Arc<[AtomicU64]> = parts.iter().map(|_| AtomicU64::new(0)).collect();
        if let Some(manager) = ServiceManager::new(variable, std::process::id())? {
            let (now, timeout) = (Instant::now(), manager.configured());
            let mut guard = Guard::new(now, Box::new(manager).arm(Config { timeout, pretimeout: None })?);
            let ids = parts.iter().map(|(name, silent)| guard.keeper().add(now, name, *silent)).collect();
            let (places, beats) = (places.clone(), Arc::clone(&beats));
            std::thread::Builder::new().name("vital".into()).spawn(move || watch(guard, ids, &beats, &places, unit))?;
        }
        Notifier::new(variable)?.ready()?;
        Ok(Self { beats })
    }

    /// Part number `part` has done its round.
    pub fn beat(&self, part: usize) {
        if let Some(beats) = self.beats.get(part) {
            beats.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn watch(mut guard: Guard, ids: Vec<PartId>, beats: &[AtomicU64], places: &Places, unit: &str) {
    let mut seen: Vec<u64> = vec![0; ids.len()];
    loop {
        std::thread::park_timeout(ROUND);
        let now = Instant::now();
        let mut inputs = vec![Input::Tick];
        for ((id, beats), seen) in ids.iter().zip(beats).zip(&mut seen) {
            let count = beats.load(Ordering::Relaxed);
            if count != std::mem::replace(seen, count) {
                inputs.push(Input::Beat(*id));
            }
        }
        // The tick comes last: a part that has just beaten is not found silent.
        for input in inputs.into_iter().rev() {
            if let Err(error) = guard.turn(now, input, |event| note(places, unit, &event)) {
                eprintln!("watchdog: {error}");
            }
        }
    }
}

/// Which part starved, for whoever asks why the program was ended.
fn note(places: &Places, unit: &str, event: &Event) {
    eprintln!("{event:?}");
    let (Event::Starved { name, .. } | Event::Recovered { name, .. }) = event;
    let (Some(unit), Some(part)) = (Label::sanitised(unit), Label::sanitised(name)) else { return };
    let by = unit.as_str().trim_end_matches(".service").to_owned();
    let what = match event {
        Event::Starved { .. } => Noted::Starved { unit, part },
        Event::Recovered { .. } => Noted::Recovered { unit, part },
    };
    if let Err(error) = notes::add(places, &by, &Note { at: notes::wall(), what }) {
        eprintln!("notes: {error}");
    }
}
