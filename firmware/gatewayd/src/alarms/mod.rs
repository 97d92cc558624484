//! The alarms of the box (P17): one thread that owns the machine, looks at the box, and has everybody told.
//!
//! ```text
//!  shards ─Teller─▶ ┌────────┐ ─notice─▶ notify::Sinks (syslog, SNMP, webhooks)
//!  watch, probe ──▶ │ Keeper │ ─notice─▶ AlarmsHandle::subscribe
//!  acknowledge ───▶ └────────┘ ─state──▶ AlarmsHandle::list, history;  memory (alarms.json)
//! ```
//! Telling never waits: when the thread does not keep up, what is told is dropped and counted in the log. How things stand is told
//! again soon anyway.

mod memory;
pub(crate) mod probe;
pub(crate) mod watch;

use crate::net::https::LocalPorts;
use crate::notify::{Figures, Sinks};
use anyhow::{Context, Result};
use base::machine::Output;
use base::{Machine, Seed};
use domain::alarm::{
    Alarm, AlarmId, AlarmInput, Alarms, Change, Fact, Health, Level, Notice, PastAlarm, Told,
};
use domain::appliance::instant::UnixTime;
use domain::config::Config;
use domain::licence::Licences;
use memory::Memory;
use probe::Probe;
use snmp::usm::EngineId;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use thiserror::Error;
use tokio::sync::{broadcast, mpsc, oneshot, watch as published};
use tokio::task::LocalSet;
use tokio::time::MissedTickBehavior;
use tracing::{error, info, warn};
pub(crate) use watch::GATEWAY_TOKEN;
use watch::Watch;

/// What is told and waits to be heard.
const TOLD: usize = 1_024;
/// Notices that a subscriber may be behind.
const BEHIND: usize = 256;
/// The box is looked at so often.
const ROUND: Duration = Duration::from_secs(60);

/// Where the box tells how it is.
#[derive(Debug, Clone)]
pub struct Places {
    /// Where the daemon keeps what must outlive a restart; `None` to forget it.
    pub state: Option<PathBuf>,
    /// Whose file system must not get full; `None` to watch none.
    pub disk: Option<PathBuf>,
    /// `/sys`.
    pub sys: PathBuf,
    /// `/run`.
    pub run: PathBuf,
    /// Why the box and its services stopped, as the console writes it down.
    pub reasons: PathBuf,
}

impl Places {
    /// Those of the system.
    #[must_use]
    pub fn system(state: Option<&Path>) -> Self {
        Self {
            state: state.map(Path::to_owned),
            disk: state.map(Path::to_owned),
            sys: "/sys".into(),
            run: "/run".into(),
            reasons: "/var/lib/gantry/reasons.jsonl".into(),
        }
    }
}

/// Tells the alarms how things stand. Clones tell the same ones.
#[derive(Debug, Clone)]
pub struct Teller(mpsc::WeakSender<Message>);

impl Teller {
    /// Tells; never waits.
    pub fn tell(&self, fact: Fact) {
        self.input(AlarmInput::Fact(fact));
    }

    fn input(&self, input: AlarmInput) {
        // Without the alarms there is nobody to tell.
        if let Some(sender) = self.0.upgrade()
            && sender.try_send(Message::Input(input)).is_err()
        {
            warn!("the alarms do not keep up; something that was told them is lost");
        }
    }
}

/// Shows the alarms and takes what people do with them. The alarms go on for as long as one of these is there.
#[derive(Debug, Clone)]
pub struct AlarmsHandle {
    sender: mpsc::Sender<Message>,
    shown: published::Receiver<Arc<View>>,
    notices: broadcast::Sender<Arc<Notice>>,
}

/// Why an alarm was not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotAcknowledged {
    /// It is over, or never was.
    #[error("alarm {0} does not stand; list the alarms for those that do")]
    Unknown(AlarmId),
    /// The alarms are gone, which is a bug.
    #[error("nobody keeps the alarms any more; restart the gateway")]
    Gone,
}

#[derive(Debug, Default)]
struct View {
    standing: Vec<Alarm>,
    history: Vec<PastAlarm>,
}

#[derive(Debug)]
enum Message {
    Input(AlarmInput),
    Acknowledge { id: AlarmId, by: String, answer: oneshot::Sender<Result<(), NotAcknowledged>> },
    Receivers(oneshot::Sender<Vec<Figures>>),
    Configure(Arc<Config>),
    License(Arc<Licences>),
}

impl AlarmsHandle {
    /// What stands, the oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<Alarm> {
        self.shown.borrow().standing.clone()
    }

    /// What is over, the latest last.
    #[must_use]
    pub fn history(&self) -> Vec<PastAlarm> {
        self.shown.borrow().history.clone()
    }

    /// Notes that `who` has seen alarm `id`.
    ///
    /// # Errors
    /// If it does not stand.
    pub async fn acknowledge(&self, id: AlarmId, who: &str) -> Result<(), NotAcknowledged> {
        let (answer, told) = oneshot::channel();
        let message = Message::Acknowledge { id, by: who.to_owned(), answer };
        self.sender.send(message).await.map_err(|_| NotAcknowledged::Gone)?;
        told.await.unwrap_or(Err(NotAcknowledged::Gone))
    }

    /// Every change from now on. Who falls far behind loses some, and hears that it did.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Notice>> {
        self.notices.subscribe()
    }

    /// How those are doing that alarms are told to.
    pub async fn receivers(&self) -> Vec<Figures> {
        let (answer, told) = oneshot::channel();
        if self.sender.send(Message::Receivers(answer)).await.is_err() {
            return Vec::new();
        }
        told.await.unwrap_or_default()
    }

    /// Watches what `config` names from now on and tells whom it names; alarms about what it names no more end.
    pub async fn configure(&self, config: Arc<Config>) {
        // Alarms that are gone watch nothing.
        drop(self.sender.send(Message::Configure(config)).await);
    }

    /// Watches the ends of these licences from now on, and how many access tokens there may be by them.
    pub async fn license(&self, licences: Arc<Licences>) {
        // Alarms that are gone watch nothing.
        drop(self.sender.send(Message::License(licences)).await);
    }

    /// A way to tell how things stand.
    #[must_use]
    pub fn teller(&self) -> Teller {
        Teller(self.sender.downgrade())
    }
}

/// The name of this box as an SNMP engine, by which stations must know its user.
#[must_use]
pub fn engine_id() -> EngineId {
    watch::node(0).engine
}

/// Starts the alarms in a thread of their own. They go on where `places.state` says they were.
///
/// # Errors
/// If there can be no thread. Whatever else is not there becomes an alarm.
pub fn start(config: &Arc<Config>, places: Places, seed: Seed) -> Result<AlarmsHandle> {
    let (sender, inbox) = mpsc::channel(TOLD);
    let (publish, shown) = published::channel(Arc::default());
    let (notices, _) = broadcast::channel(BEHIND);
    let handle = AlarmsHandle { sender, shown, notices: notices.clone() };
    let (teller, config) = (handle.teller(), Arc::clone(config));
    let (ready, up) = std::sync::mpsc::channel();
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => return drop(ready.send(Err(error))),
        };
        LocalSet::new().block_on(&runtime, async move {
            let keeper = Keeper::new(&config, places, seed, &teller, publish, notices);
            drop(ready.send(Ok(())));
            keeper.run(inbox).await;
        });
        // A look-up of a name may still go on; nobody waits for it.
        runtime.shutdown_background();
    };
    std::thread::Builder::new().name("alarms".into()).spawn(work).context("the thread of the alarms")?;
    up.recv().context("the alarms ended before they began")?.context("the alarms")?;
    Ok(handle)
}

/// Owns the machine.
struct Keeper {
    alarms: Alarms,
    wake: Option<Instant>,
    memory: Memory,
    sinks: Sinks,
    watch: Watch,
    probe: Probe,
    ports: Arc<LocalPorts>,
    teller: Teller,
    publish: published::Sender<Arc<View>>,
    notices: broadcast::Sender<Arc<Notice>>,
}

impl Keeper {
    fn new(
        config: &Arc<Config>,
        places: Places,
        seed: Seed,
        teller: &Teller,
        publish: published::Sender<Arc<View>>,
        notices: broadcast::Sender<Arc<Notice>>,
    ) -> Self {
        let (mut memory, saved) = Memory::open(places.state.as_deref());
        let node = Arc::new(watch::node(memory.boots(unix_now())));
        let signalling = config.signalling_ports;
        let ports = Arc::new(LocalPorts::new(signalling.first..=signalling.last));
        let tell = {
            let teller = teller.clone();
            move |fact| teller.tell(fact)
        };
        let mut sinks = Sinks::new(node, Arc::clone(&ports), seed, tell);
        sinks.configure(&config.notify);
        Self {
            alarms: Alarms::restore(saved),
            wake: None,
            memory,
            sinks,
            watch: Watch::new(config, places),
            probe: Probe::new(config, &ports, teller),
            ports,
            teller: teller.clone(),
            publish,
            notices,
        }
    }

    async fn run(mut self, mut inbox: mpsc::Receiver<Message>) {
        let mut round = tokio::time::interval(ROUND);
        round.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let idle = tokio::time::Instant::now() + ROUND;
            let wake = self.wake.map_or(idle, Into::into);
            tokio::select! {
                message = inbox.recv() => match message {
                    Some(message) => self.hear(message),
                    None => return,
                },
                () = tokio::time::sleep_until(wake) => self.step(AlarmInput::Timeout),
                _ = round.tick() => self.look(),
            }
        }
    }

    fn hear(&mut self, message: Message) {
        match message {
            Message::Input(input) => self.step(input),
            Message::Acknowledge { id, by, answer } => {
                let stands = self.alarms.standing().iter().any(|alarm| alarm.id == id);
                if stands {
                    self.step(AlarmInput::Acknowledge { id, by });
                }
                let told = if stands { Ok(()) } else { Err(NotAcknowledged::Unknown(id)) };
                // Whoever asked may have gone.
                let _ = answer.send(told);
            }
            Message::Receivers(answer) => drop(answer.send(self.sinks.figures())),
            Message::Configure(config) => {
                self.probe = Probe::new(&config, &self.ports, &self.teller);
                self.sinks.configure(&config.notify);
                self.watch.configure(config);
                self.look();
            }
            Message::License(licences) => {
                self.watch.license(licences);
                self.look();
            }
        }
    }

    /// Looks at the box, and has the conferences asked.
    fn look(&mut self) {
        self.watch.subjects().into_iter().for_each(|input| self.step(input));
        let facts = self.watch.facts(self.memory.seen());
        if let Some(seen) = facts.seen {
            self.memory.set_seen(seen);
        }
        facts.list.into_iter().for_each(|fact| self.step(AlarmInput::Fact(fact)));
        self.probe.round();
    }

    fn step(&mut self, what: AlarmInput) {
        let now = tokio::time::Instant::now().into_std();
        let mut heard = Vec::new();
        let told = Told { at: unix_now(), what };
        self.wake = self.alarms.step(now, told, |output| match output {
            Output::Event(notice) => heard.push(Arc::new(notice)),
            Output::Effect(never) => match never {},
        });
        let view =
            View { standing: self.alarms.standing(), history: self.alarms.history().cloned().collect() };
        self.publish.send_replace(Arc::new(view));
        for notice in &heard {
            log(notice);
            self.sinks.tell(notice);
            // Nobody may have subscribed.
            drop(self.notices.send(Arc::clone(notice)));
        }
        if !heard.is_empty() {
            self.remember();
        }
    }

    /// Writes everything down. That it cannot be is an alarm too, which is told once like any other.
    fn remember(&mut self) {
        let health = match self.memory.write(&self.alarms.save()) {
            Ok(()) => Health::Good,
            Err(error) => Health::Bad { why: format!("alarms are not kept over a restart: {error:#}") },
        };
        self.teller.tell(Fact::Store { name: "alarms".into(), health });
    }
}

fn log(notice: &Notice) {
    let Notice { seq, change, alarm, .. } = notice;
    let (id, kind, level, change) = (alarm.id.0, alarm.kind.identifier(), alarm.level.word(), *change);
    match (change, alarm.level) {
        (Change::Raised | Change::Changed, Level::Major | Level::Critical) => {
            error!(seq, id, kind, level, "{}: {alarm}", change.word());
        }
        (Change::Raised | Change::Changed, Level::Warning | Level::Minor) => {
            warn!(seq, id, kind, level, "{}: {alarm}", change.word());
        }
        (Change::Acknowledged | Change::Cleared, _) => {
            info!(seq, id, kind, level, "{}: {alarm}", change.word());
        }
    }
}

fn unix_now() -> UnixTime {
    UnixTime(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs())
}
