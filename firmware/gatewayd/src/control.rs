//! The control socket: a local stream on which tools ask how things are. One JSON object a line, both ways.
//!
//! ```text
//!  {"get":"status"}   ─▶   {"taking":"calls","sip":{...},"calls":[...],"held":{...},"ended":[...]}
//!  {"get":"alarms"}   ─▶   {"alarms":[...],"history":[...],"receivers":[...]}, as `domain::alarm` shows them
//!  {"do":{"acknowledge":7}}         ─▶   {"done":"acknowledge"}; somebody has seen alarm 7
//!  {"do":"drain"}     ─▶   {"done":"drain"}; from then on no new calls are taken until the daemon is started anew
//!  {"do":{"forgive":"192.0.2.1"}}   ─▶   {"done":"forgive"}; it is heard again, whatever it did
//!  {"do":{"user":{"name":..,"password":..,"role":"administrator"}}}   ─▶   {"done":"user"}: it may log in to the administration;
//!                                                                          "hash" in place of "password" for one that is hashed
//! ```
//! It is a file that only the daemon's user and group may open; whoever can open it may ask everything. A question that is
//! none is answered with what can be asked; who asks nothing, or does not read the answer, is hung up on.

use crate::admin;
use crate::admin::access::Role;
use crate::alarms::AlarmsHandle;
use crate::configuration::Configuration;
use crate::engine::event::Event;
use crate::net::departure::Departures;
use crate::start::Listening;
use anyhow::{Context, Result, bail};
use base::{Pulse, Secret};
use domain::alarm::{Alarm, AlarmId, PastAlarm};
use domain::appliance::access::PasswordHash;
use domain::defence::Blocked;
use domain::status::Snapshot;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tracing::{debug, warn};
use utoipa::ToSchema;

/// Longest question, in bytes.
const QUESTION_BYTES: u64 = 4_096;
/// Longest wait for a question, for a shard's answer, or for the asker to read it.
const PATIENCE: Duration = Duration::from_secs(5);
/// Askers at a time; more wait in the kernel.
const ASKERS: usize = 16;
/// The loop that takes askers comes round so often, to show that it lives.
const ROUND: Duration = Duration::from_millis(500);
/// Ended calls remembered.
pub const REMEMBERED: usize = 64;

/// How things are.
#[derive(Debug, Default, Serialize)]
pub struct Status {
    /// Whether new calls are taken.
    pub taking: Taking,
    /// The SIP addresses it is reached by.
    pub sip: Listening,
    /// Calls that stand, as the live view shows them.
    pub live: Snapshot,
    /// The same, one line a call.
    pub calls: Vec<String>,
    /// What is held for calls, by name; all zero when there is none.
    pub held: BTreeMap<&'static str, u64>,
    /// What the protocol keeps for a while after a call: SIP transactions absorb what comes late (RFC 3261 17, 32 s).
    pub lingering: BTreeMap<&'static str, u64>,
    /// Call licences (P15).
    pub licences: CallLicences,
    /// Calls that ended, the newest last; at most [`REMEMBERED`].
    pub ended: Vec<EndedCall>,
    /// When packets really left, of a sample of them.
    pub departures: Departed,
    /// Mean time from a picture's arrival to what was made of it, in milliseconds.
    pub picture_latency_ms: Option<f64>,
    /// Sources that are not heard (`domain::defence`), the latest last.
    pub blocked: Vec<BlockedSource>,
    /// How the key of what is secret is kept: `tpm2` or `unsealed file`; none without a store.
    pub sealed: Option<&'static str>,
    /// What was counted since the start.
    pub counters: BTreeMap<&'static str, u64>,
}

/// Call licences.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct CallLicences {
    /// Taken by calls, two each.
    pub taken: u64,
    /// There are, now; none for a box that is not metered.
    pub total: Option<u64>,
    /// Of these, free; none for a box that is not metered.
    pub free: Option<u64>,
}

impl CallLicences {
    /// Adds another shard's, which count against the same licences.
    fn add(&mut self, other: Self) {
        self.taken += other.taken;
        self.total = self.total.or(other.total);
        self.free = self.total.map(|total| total.saturating_sub(self.taken));
    }
}

/// A source that is not heard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct BlockedSource {
    /// Its address or network, and how it reached the box.
    pub source: String,
    /// What it did.
    pub why: &'static str,
    /// Messages and connections dropped since.
    pub dropped: u64,
    /// For how many seconds yet.
    pub seconds: u64,
}

impl From<Blocked> for BlockedSource {
    fn from(Blocked { source, offence, dropped, remaining }: Blocked) -> Self {
        Self { source: source.to_string(), why: offence.text(), dropped, seconds: remaining.as_secs() }
    }
}

/// Whether new calls are taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Taking {
    /// They are.
    #[default]
    Calls,
    /// A drain was asked for.
    Nothing,
}

/// When packets really left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Departed {
    /// Packets that network cards stamped.
    pub hardware: u64,
    /// Packets that the kernel stamped.
    pub software: u64,
    /// What the kernel's queues took on average, in microseconds.
    pub queued_us: Option<f64>,
}

impl Departed {
    /// Adds another shard's.
    fn add(&mut self, other: Self) {
        let total = |one: &Self| one.queued_us.map(|mean| mean * one.software as f64);
        let both = [total(self), total(&other)].into_iter().flatten().reduce(|a, b| a + b);
        self.hardware += other.hardware;
        self.software += other.software;
        self.queued_us = both.map(|total| total / self.software as f64);
    }
}

impl From<Departures> for Departed {
    fn from(departures: Departures) -> Self {
        Self {
            hardware: departures.hardware,
            software: departures.software,
            queued_us: departures.mean_queued().map(|queued| queued.as_secs_f64() * 1e6),
        }
    }
}

/// A drain that is asked for on the socket.
#[derive(Debug, Default)]
pub struct Drain {
    within: Duration,
    asked: AtomicBool,
}

/// What is asked on the socket.
#[derive(Clone)]
pub struct Asked {
    /// The shards.
    pub shards: Vec<mpsc::Sender<Event>>,
    /// A drain that is asked for.
    pub drain: Arc<Drain>,
    /// The SIP addresses.
    pub sip: Listening,
    /// The configuration, if it is kept in a store.
    pub configuration: Option<Arc<Configuration>>,
    /// The alarms.
    pub alarms: AlarmsHandle,
}

/// Who acknowledges an alarm here: whoever may open the socket has shown elsewhere who they are.
const WHO: &str = "control socket";

/// A call that is over.
#[derive(Debug, Clone, Serialize)]
pub struct EndedCall {
    /// Its number.
    pub id: u64,
    /// Why: `Fault/Kind`.
    pub cause: String,
    /// How long it was there, in seconds.
    pub seconds: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Question {
    Get(Topic),
    Do(Act),
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Topic {
    Status,
    Alarms,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Act {
    Drain,
    Forgive(IpAddr),
    Acknowledge(u64),
    User(NewUser),
}

/// A user of the administration, made or given a new password by whoever may open the socket.
#[derive(Deserialize)]
struct NewUser {
    name: String,
    #[serde(flatten)]
    proof: Proof,
    role: Role,
}

/// What a user is known by from then on.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Proof {
    Password(String),
    /// As the console keeps it.
    Hash(String),
}

impl Drain {
    /// One that lets calls go on for `within`.
    #[must_use]
    pub fn new(within: Duration) -> Self {
        Self { within, asked: AtomicBool::new(false) }
    }

    /// Whether it was asked for.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    /// Has every shard take no new calls, and end those that stand in time.
    async fn ask(&self, shards: &[mpsc::Sender<Event>]) {
        self.asked.store(true, Ordering::Release);
        let deadline = Instant::now() + self.within;
        for shard in shards {
            // A shard that is gone, or that does not listen, has nothing to drain.
            drop(tokio::time::timeout(PATIENCE, shard.send(Event::Drain { deadline })).await);
        }
    }
}

impl Status {
    /// Adds another shard's.
    fn add(&mut self, other: Status) {
        self.live.conferences.extend(other.live.conferences);
        self.live.unrouted.extend(other.live.unrouted);
        self.calls.extend(other.calls);
        other.held.into_iter().for_each(|(name, count)| *self.held.entry(name).or_default() += count);
        other
            .lingering
            .into_iter()
            .for_each(|(name, count)| *self.lingering.entry(name).or_default() += count);
        other.counters.into_iter().for_each(|(name, count)| *self.counters.entry(name).or_default() += count);
        self.licences.add(other.licences);
        self.ended.extend(other.ended);
        self.blocked.extend(other.blocked);
        self.departures.add(other.departures);
        self.picture_latency_ms = self.picture_latency_ms.or(other.picture_latency_ms);
    }
}

/// Opens the socket at `path`, replacing one that a daemon before left behind.
///
/// # Errors
/// If something else is there, a daemon that answers included, or the file cannot be made.
pub fn open(path: &Path) -> Result<UnixListener> {
    if let Ok(found) = std::fs::symlink_metadata(path) {
        if !found.file_type().is_socket() {
            bail!("{} is there and is no socket; name another file or move it away", path.display());
        }
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            bail!("a daemon answers on {} already; stop it first", path.display());
        }
        std::fs::remove_file(path).with_context(|| format!("cannot replace {}", path.display()))?;
    }
    let listener = UnixListener::bind(path).with_context(|| format!("cannot open {}", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}

/// Answers for ever, and beats `pulse` meanwhile: whether there is room for one more asker or not.
pub async fn serve(listener: UnixListener, asked: Asked, pulse: Pulse) {
    let (room, asked) = (Arc::new(Semaphore::new(ASKERS)), Arc::new(asked));
    let mut round = tokio::time::interval(ROUND);
    loop {
        let next = async {
            let permit = Arc::clone(&room).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, taken) = tokio::select! {
            next = next => next,
            _ = round.tick() => {
                pulse.beat();
                continue;
            }
        };
        match taken {
            Ok((stream, _)) => {
                let asked = Arc::clone(&asked);
                tokio::spawn(async move {
                    if let Err(error) = answer(stream, &asked).await {
                        debug!(%error, "control socket");
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                warn!(%error, "control socket");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn answer(stream: UnixStream, asked: &Asked) -> Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read.take(QUESTION_BYTES));
    loop {
        let mut line = Vec::new();
        let come = tokio::time::timeout(PATIENCE, read.read_until(b'\n', &mut line));
        if come.await.context("no question came")?? == 0 {
            return Ok(());
        }
        let whole = line.ends_with(b"\n");
        let mut answer = asked.answer(&line).await?;
        answer.push(b'\n');
        let told = tokio::time::timeout(PATIENCE, write.write_all(&answer));
        told.await.context("nobody reads the answer")??;
        if !whole {
            return Ok(());
        }
        read.get_mut().set_limit(QUESTION_BYTES);
    }
}

/// Makes a user, away from the loop that answers others: the password takes its time.
async fn set_user(configuration: Option<Arc<Configuration>>, user: NewUser) -> Result<(), String> {
    let configuration = configuration.ok_or("there is no store to keep users in; start with --store")?;
    let set = tokio::task::spawn_blocking(move || {
        let NewUser { name, proof, role } = user;
        let hash = match proof {
            Proof::Password(password) => admin::hashed(&Secret::new(password)),
            Proof::Hash(hash) => {
                PasswordHash::new(hash).map_err(|error| admin::Sort::Invalid.because(format!("hash {error}")))
            }
        };
        admin::set_user(&configuration, "console", &name, &hash?, role)
    });
    set.await.map_err(|_| "the user was not made".to_owned())?.map_err(|problem| problem.detail)
}

impl Asked {
    /// How things are.
    pub async fn status(&self) -> Status {
        let taking = if self.drain.is_asked() { Taking::Nothing } else { Taking::Calls };
        let sealed = self.configuration.as_ref().map(|kept| kept.secrets().protection().word());
        Status { taking, sealed, sip: self.sip.clone(), ..status(&self.shards).await }
    }

    async fn answer(&self, question: &[u8]) -> serde_json::Result<Vec<u8>> {
        let Self { shards, drain, alarms, configuration, .. } = self;
        match serde_json::from_slice::<Question>(question) {
            Ok(Question::Get(Topic::Status)) => serde_json::to_vec(&self.status().await),
            Ok(Question::Get(Topic::Alarms)) => {
                let (standing, history) = (alarms.list(), alarms.history());
                serde_json::to_vec(&serde_json::json!({
                    "alarms": standing.iter().map(Alarm::shown).collect::<Vec<_>>(),
                    "history": history.iter().map(PastAlarm::shown).collect::<Vec<_>>(),
                    "receivers": alarms.receivers().await,
                }))
            }
            Ok(Question::Do(Act::Drain)) => {
                drain.ask(shards).await;
                done("drain")
            }
            Ok(Question::Do(Act::Forgive(address))) => {
                for shard in shards {
                    // A shard that is gone holds nothing against anybody.
                    drop(tokio::time::timeout(PATIENCE, shard.send(Event::Forgive(address))).await);
                }
                // A shard answers this after what was sent to it before: who is told it is done is heard from then on.
                drop(self.status().await);
                done("forgive")
            }
            Ok(Question::Do(Act::Acknowledge(id))) => match alarms.acknowledge(AlarmId(id), WHO).await {
                Ok(()) => done("acknowledge"),
                Err(error) => wrong(error.to_string()),
            },
            Ok(Question::Do(Act::User(user))) => match set_user(configuration.clone(), user).await {
                Ok(()) => done("user"),
                Err(error) => wrong(error),
            },
            Err(error) => wrong(format!("this is no question ({error}); ask {{\"get\":\"status\"}}")),
        }
    }
}

fn done(what: &str) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&BTreeMap::from([("done", what)]))
}

fn wrong(why: String) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&BTreeMap::from([("error", why)]))
}

/// What all shards say together; one that does not answer in time is left out.
async fn status(shards: &[mpsc::Sender<Event>]) -> Status {
    let mut all = Status::default();
    for shard in shards {
        let (ask, told) = oneshot::channel();
        let asked = async {
            shard.send(Event::Ask(ask)).await.ok()?;
            told.await.ok()
        };
        if let Ok(Some(status)) = tokio::time::timeout(PATIENCE, asked).await {
            all.add(status);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarms::{self, Places};
    use base::Seed;
    use domain::alarm::Fact;
    use domain::config::Config;
    use serde_json::Value;
    use std::future::Future;
    use std::path::PathBuf;
    use std::sync::atomic::AtomicUsize;
    use tempfile::TempDir;

    const ASK: &[u8] = b"{\"get\":\"status\"}\n";

    /// A control socket in front of shards that each hold one port, and say so as long as they are.
    struct Rig {
        _folder: TempDir,
        path: PathBuf,
        drains: Arc<AtomicUsize>,
        alarms: AlarmsHandle,
    }

    impl Rig {
        fn new(shards: usize) -> Self {
            let drains = Arc::new(AtomicUsize::new(0));
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("control");
            let listener = open(&path).expect("a socket");
            let shards = (0..shards).map(|_| {
                let (sender, mut events) = mpsc::channel(4);
                let told = Arc::clone(&drains);
                tokio::spawn(async move {
                    while let Some(event) = events.recv().await {
                        match event {
                            Event::Ask(answer) => {
                                let held = BTreeMap::from([("media_ports", 1)]);
                                drop(answer.send(Status { held, ..Status::default() }));
                            }
                            Event::Drain { .. } => drop(told.fetch_add(1, Ordering::AcqRel)),
                            _ => return,
                        }
                    }
                });
                sender
            });
            let asked = asked(shards.collect());
            let alarms = asked.alarms.clone();
            tokio::spawn(serve(listener, asked, Pulse::default()));
            Self { _folder: folder, path, drains, alarms }
        }

        async fn connect(&self) -> BufReader<UnixStream> {
            BufReader::new(UnixStream::connect(&self.path).await.expect("a connection"))
        }
    }

    fn asked(shards: Vec<mpsc::Sender<Event>>) -> Asked {
        let udp = vec!["127.0.0.1:5060".parse().expect("an address")];
        let config = Arc::new(Config::parse("test", "gateway.domains = ['m.example']").expect("good"));
        let alarms = alarms::start(&config, Places::system(None), Seed([7; 32])).expect("alarms");
        Asked {
            shards,
            drain: Arc::default(),
            sip: Listening { udp, ..Listening::default() },
            configuration: None,
            alarms,
        }
    }

    async fn ask(stream: &mut BufReader<UnixStream>, question: &[u8]) -> Value {
        stream.get_mut().write_all(question).await.expect("written");
        let mut line = String::new();
        stream.read_line(&mut line).await.expect("an answer");
        serde_json::from_str(&line).expect("an object")
    }

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime").block_on(test);
    }

    #[test]
    fn a_question_is_answered_for_all_shards_together_and_another_may_follow() {
        run(async {
            let rig = Rig::new(2);
            let mut asker = rig.connect().await;
            for _ in 0..2 {
                let status = ask(&mut asker, ASK).await;
                assert_eq!(status["held"]["media_ports"], 2);
                assert_eq!(status["sip"]["udp"][0], "127.0.0.1:5060", "{status}");
            }
        });
    }

    #[test]
    fn a_drain_reaches_every_shard_and_is_told_of() {
        run(async {
            let rig = Rig::new(2);
            let mut asker = rig.connect().await;
            assert_eq!(ask(&mut asker, ASK).await["taking"], "calls");
            assert_eq!(ask(&mut asker, b"{\"do\":\"drain\"}\n").await["done"], "drain");
            // Each shard answers this one after what was sent to it before.
            assert_eq!(ask(&mut asker, ASK).await["taking"], "nothing");
            assert_eq!(rig.drains.load(Ordering::Acquire), 2);
        });
    }

    /// P17
    #[test]
    fn p17_alarms_are_listed_and_acknowledged() {
        run(async {
            let rig = Rig::new(1);
            let mut news = rig.alarms.subscribe();
            let why = "a scanner".to_owned();
            rig.alarms.teller().tell(Fact::ScannerBlocked { source: "192.0.2.1".into(), why });
            news.recv().await.expect("it is raised");
            let mut asker = rig.connect().await;
            let alarms = ask(&mut asker, b"{\"get\":\"alarms\"}\n").await;
            let found = &alarms["alarms"][0];
            assert_eq!(
                (&found["identifier"], &found["instance"]),
                (&"scanner_blocked".into(), &"192.0.2.1".into())
            );
            let acknowledge = format!("{{\"do\":{{\"acknowledge\":{}}}}}\n", found["id"]);
            assert_eq!(ask(&mut asker, acknowledge.as_bytes()).await["done"], "acknowledge");
            let again = ask(&mut asker, acknowledge.as_bytes()).await;
            assert!(again["error"].as_str().is_some_and(|text| text.contains("does not stand")), "{again}");
            let alarms = ask(&mut asker, b"{\"get\":\"alarms\"}\n").await;
            assert_eq!(alarms["alarms"], Value::Array(Vec::new()));
            assert_eq!(alarms["history"][0]["acknowledged_by"], WHO);
        });
    }

    #[test]
    fn garbage_is_told_what_can_be_asked_and_the_next_question_is_heard() {
        run(async {
            let rig = Rig::new(1);
            let mut asker = rig.connect().await;
            for garbage in [
                &b"\n"[..],
                b"{\n",
                b"{\"get\":\"secrets\"}\n",
                b"\xff\xfe\n",
                b"{\"get\":\"status\",\"x\":1}\n",
                b"{\"do\":\"fly\"}\n",
                b"{\"get\":\"status\",\"do\":\"drain\"}\n",
            ] {
                let answer = ask(&mut asker, garbage).await;
                assert!(answer["error"].as_str().is_some_and(|text| text.contains("ask {")), "{answer}");
            }
            assert_eq!(ask(&mut asker, ASK).await["held"]["media_ports"], 1);
        });
    }

    #[test]
    fn a_question_without_end_is_answered_once_and_hung_up_on() {
        run(async {
            let rig = Rig::new(1);
            let mut asker = rig.connect().await;
            let endless = vec![b'x'; QUESTION_BYTES as usize];
            assert!(ask(&mut asker, &endless).await["error"].is_string());
            let mut rest = String::new();
            assert_eq!(asker.read_line(&mut rest).await.unwrap_or(0), 0, "{rest}");
        });
    }

    #[test]
    fn who_asks_nothing_makes_room_for_others() {
        run(async {
            let rig = Rig::new(1);
            let mut silent = Vec::new();
            for _ in 0..ASKERS {
                silent.push(rig.connect().await);
            }
            let mut asker = rig.connect().await;
            tokio::time::pause();
            assert_eq!(ask(&mut asker, ASK).await["held"]["media_ports"], 1);
            assert_eq!(silent[0].read_line(&mut String::new()).await.unwrap_or(0), 0, "it is hung up on");
        });
    }

    #[test]
    fn a_shard_that_is_gone_is_left_out() {
        run(async {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("control");
            let (gone, _) = mpsc::channel(1);
            tokio::spawn(serve(open(&path).expect("a socket"), asked(vec![gone]), Pulse::default()));
            let mut asker = BufReader::new(UnixStream::connect(&path).await.expect("a connection"));
            assert_eq!(ask(&mut asker, ASK).await["calls"], Value::Array(Vec::new()));
        });
    }

    #[test]
    fn what_a_daemon_before_left_is_replaced_and_nothing_else_is() {
        run(async {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("control");
            drop(open(&path).expect("a socket"));
            let standing = open(&path).expect("nobody answers on the old one");
            let mode = std::fs::metadata(&path).expect("a file").permissions().mode();
            assert_eq!(mode & 0o777, 0o660);
            let error = open(&path).expect_err("one answers").to_string();
            assert!(error.contains("answers on"), "{error}");
            drop(standing);

            let file = folder.path().join("notes.txt");
            std::fs::write(&file, "precious").expect("written");
            let error = open(&file).expect_err("a file is there").to_string();
            assert!(error.contains("no socket"), "{error}");
            assert_eq!(std::fs::read_to_string(&file).expect("it is still there"), "precious");
        });
    }
}
