//! `gantry serve`: owns the settings, the audit log and the two minutes of a trial, and answers the skins and the command
//! line on a socket.
//!
//! ```text
//!  accept ─▶ a thread a connection ─Ask─▶ one thread with the desk ─▶ Store (disk, requests)
//!                   ▲   └─ Job (tests, views, bundles) done here      ▲
//!                   └────────────Answer───────────────────────────────┘◀─World─ a thread that looks
//! ```
//! Blocking threads and no runtime: there are at most a handful of connections, each waits for one person, and what must
//! not wait (the trial's end) is the desk thread's time-out.

use crate::desk::{Answer, Desk, Job, Peer, SessionId};
use crate::places::Places;
use crate::protocol::{Ask, LINE_BYTES, Reply};
use crate::store::{self, Store};
use crate::world::World;
use crate::{bundle, gateway, look, notes, paths, view};
use anyhow::{Context, Result, bail};
use base::Pulse;
use domain::appliance::Draft;
use domain::appliance::access::{Access, PasswordHash, WINDOW};
use domain::appliance::values::Server;
use hal::Label;
use hal::reason::{ClockWatch, Note, Noted};
use linux::notes::wall;
use linux::vital::{Part, Service};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::time::{Duration, Instant};

/// How often the box is looked at.
const LOOK: Duration = Duration::from_secs(2);
/// The desk's thread comes round at least so often.
const ROUND: Duration = Duration::from_secs(1);
/// The desk is taken for dead when it has not come round for so long; hashing two passwords on a slow machine takes seconds.
const DESK_DEADLINE: Duration = Duration::from_secs(20);
/// Who looks is taken for dead then; a gateway that does not answer takes ten seconds.
const LOOK_DEADLINE: Duration = Duration::from_secs(40);
/// Longest that a peer may take to read a reply.
const PATIENCE: Duration = Duration::from_secs(10);
/// This program's unit.
const UNIT: &str = "gantry-serve.service";

/// The parts that must live: the desk, and who looks at the box.
#[derive(Default)]
struct Vital {
    desk: Pulse,
    look: Pulse,
}

enum Message {
    Open(SessionId, Peer, SyncSender<Result<(), &'static str>>),
    Ask(SessionId, Ask, SyncSender<Answered>),
    Close(SessionId),
    Looked(Box<World>),
}

/// The desk's answer, with what a job needs.
struct Answered {
    answer: Answer,
    world: Arc<World>,
    time: Vec<Server>,
}

/// Serves for ever.
///
/// # Errors
/// If what is kept cannot be opened, or the socket cannot be made.
pub fn run(places: &Places) -> Result<()> {
    let names = look::interface_names(places);
    let first = look::world(places);
    let delivered = Draft::delivered(&names, first.identity.serial_number.as_deref());
    let (mut store, found) = Store::open(places.clone(), delivered).context("what the console keeps")?;
    let (boot, uptime) = store::boot(places);
    let begin = found.kept.begin(&boot, uptime);
    let now = Instant::now();
    let access = Access::new(found.verifier, found.owner, now + window_left(places, uptime));
    let mut desk = Desk::new(found.kept, access);
    desk.begin(now, begin, &mut store);

    let listener = open(&places.socket())?;
    let (sender, receiver) = channel();
    let look = sender.clone();
    let at = places.clone();
    std::thread::Builder::new().name("look".into()).spawn(move || keep_looking(&at, &look))?;
    let at = places.clone();
    std::thread::Builder::new().name("accept".into()).spawn(move || accept(&listener, &sender, &at))?;
    let vital = Vital::default();
    let part =
        |name: &str, silent, pulse: &Pulse| Part { name: name.to_owned(), silent, pulse: pulse.clone() };
    let parts = vec![part("desk", DESK_DEADLINE, &vital.desk), part("look", LOOK_DEADLINE, &vital.look)];
    Service { unit: UNIT, notes: places.notes() }.is_up(
        |name| std::env::var(name).ok(),
        parts,
        |line| eprintln!("{line}"),
    )?;
    println!("{}", serde_json::json!({ "ready": true, "socket": places.socket() }));
    let notices = Notices { places: places.clone(), clock: ClockWatch::default(), full: Vec::new() };
    turn(desk, store, first, &receiver, &vital, notices);
    bail!("the desk ended")
}

/// What is left of the first minute after power-on. Only the first start of this program in a boot opens it.
fn window_left(places: &Places, uptime: Duration) -> Duration {
    let path = places.requests().join(".since");
    let own = |path: &Path| {
        std::fs::symlink_metadata(path).is_ok_and(|found| found.uid() == nix::unistd::geteuid().as_raw())
    };
    if path.exists() {
        let since = crate::files::read(&path, 64)
            .ok()
            .filter(|_| own(&path))
            .and_then(|text| text.trim().parse().ok());
        let gone = since.map_or(WINDOW, |since| uptime.saturating_sub(Duration::from_millis(since)));
        return WINDOW.saturating_sub(gone);
    }
    match std::fs::write(&path, format!("{}\n", uptime.as_millis())) {
        Ok(()) => WINDOW,
        // Without a mark the next start could open it again.
        Err(_) => Duration::ZERO,
    }
}

/// Opens the socket at `path`, replacing one that a server before left behind.
fn open(path: &Path) -> Result<UnixListener> {
    if let Ok(found) = std::fs::symlink_metadata(path) {
        if !found.file_type().is_socket() {
            bail!("{} is there and is no socket; move it away", path.display());
        }
        if UnixStream::connect(path).is_ok() {
            bail!("another gantry serve answers on {}; stop it first", path.display());
        }
        std::fs::remove_file(path).with_context(|| format!("cannot replace {}", path.display()))?;
    }
    let listener = UnixListener::bind(path).with_context(|| format!("cannot open {}", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}

fn keep_looking(places: &Places, desk: &Sender<Message>) {
    let mut administrator = None;
    loop {
        let begun = Instant::now();
        tell_administrator(places, &mut administrator);
        if desk.send(Message::Looked(Box::new(look::world(places)))).is_err() {
            return;
        }
        // Not on the desk's time, and never busy.
        std::thread::park_timeout(LOOK.saturating_sub(begun.elapsed()).max(Duration::from_millis(200)));
    }
}

/// The box's administrator is the page's too: tells the gateway of a new password, once, as soon as it answers.
fn tell_administrator(places: &Places, told: &mut Option<PasswordHash>) {
    let owner = Store::owner(places);
    if let Some(hash) = owner.as_ref().filter(|_| owner != *told)
        && gateway::administrator(&places.gateway(), hash).is_ok()
    {
        *told = owner;
    }
}

/// The desk's thread.
fn turn(
    mut desk: Desk,
    mut store: Store,
    first: World,
    messages: &Receiver<Message>,
    vital: &Vital,
    mut notices: Notices,
) {
    let mut world = Arc::new(first);
    loop {
        let now = Instant::now();
        desk.tick(now, &mut store);
        vital.desk.beat();
        let wake = desk.wake().map_or(ROUND, |wake| wake.saturating_duration_since(now)).min(ROUND);
        let message = match messages.recv_timeout(wake) {
            Ok(message) => message,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let now = Instant::now();
        match message {
            Message::Open(id, peer, answer) => drop(answer.send(desk.open(now, id, peer))),
            Message::Close(id) => desk.close(id),
            Message::Looked(seen) => {
                vital.look.beat();
                notices.look(now, &seen);
                world = Arc::new(World { remarks: store.remarks.clone(), ..*seen });
            }
            Message::Ask(id, ask, answer) => {
                let said = desk.handle(now, id, ask, &world, &mut store);
                let time = desk.in_force().time.clone();
                // A connection that is gone meanwhile does not want it any more.
                drop(answer.send(Answered { answer: said, world: Arc::clone(&world), time }));
            }
        }
    }
}

/// What is noticed of the box, and written down when it happens.
struct Notices {
    places: Places,
    clock: ClockWatch,
    full: Vec<String>,
}

impl Notices {
    fn look(&mut self, now: Instant, world: &World) {
        if let Some(jump) = self.clock.look(now, wall()) {
            self.write(Noted::ClockJumped(jump));
        }
        let full: Vec<_> =
            world.disks.iter().filter(|disk| disk.used >= 98).map(|disk| disk.mount.clone()).collect();
        let newly: Vec<_> = full.iter().filter(|mount| !self.full.contains(mount)).cloned().collect();
        self.full = full;
        for mount in newly.iter().filter_map(|mount| Label::sanitised(mount)) {
            self.write(Noted::DiskFull { mount });
        }
    }

    fn write(&self, what: Noted) {
        let line = notes::of_note(&what);
        let noted = linux::notes::add(&self.places.notes(), "gantry-serve", &Note { at: wall(), what });
        let recorded = line.map_or(Ok(()), |line| notes::record(&self.places, &line));
        if let Err(error) = noted.and(recorded) {
            eprintln!("notes: {error}");
        }
    }
}

fn accept(listener: &UnixListener, desk: &Sender<Message>, places: &Places) {
    let mut next = 0;
    loop {
        let Ok((stream, _)) = listener.accept() else {
            // Out of descriptors, as a rule: some come back when connections end.
            std::thread::park_timeout(Duration::from_millis(100));
            continue;
        };
        next += 1;
        let (id, desk, places) = (SessionId(next), desk.clone(), places.clone());
        let serve = move || {
            let (answer, opened) = sync_channel(1);
            let known = desk.send(Message::Open(id, peer(&stream, &places), answer)).is_ok();
            match opened.recv() {
                Ok(Ok(())) if known => connection(stream, id, &desk, &places),
                Ok(Err(why)) => drop(write(&stream, &Reply::refused([why]))),
                _ => {}
            }
            drop(desk.send(Message::Close(id)));
        };
        let started = std::thread::Builder::new().name(format!("connection-{next}")).spawn(serve);
        if let Err(error) = started {
            eprintln!("a connection gets no thread: {error}");
        }
    }
}

/// By whom a connection was opened: the kernel says it. The gateway is who owns the folder of its state, which root made.
fn peer(stream: &UnixStream, places: &Places) -> Peer {
    let own = nix::unistd::geteuid().as_raw();
    let gateway = std::fs::metadata(places.gateway_state()).map(|found| found.uid()).ok();
    match getsockopt(stream, PeerCredentials) {
        Ok(peer) if peer.uid() == 0 || peer.uid() == own => Peer::Trusted,
        Ok(peer) if Some(peer.uid()) == gateway => Peer::Gateway,
        _ => Peer::Stranger,
    }
}

/// One connection, to its end.
fn connection(stream: UnixStream, id: SessionId, desk: &Sender<Message>, places: &Places) {
    let Ok(read) = stream.try_clone() else { return };
    if stream.set_write_timeout(Some(PATIENCE)).is_err() {
        return;
    }
    let mut read = BufReader::new(read);
    loop {
        let mut line = Vec::new();
        match (&mut read).take(LINE_BYTES as u64).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) if !line.ends_with(b"\n") => {
                drop(write(&stream, &Reply::refused(["that line has no end"])));
                return;
            }
            Ok(_) => {}
        }
        let reply = match serde_json::from_slice::<Ask>(&line) {
            Ok(ask) => answered(id, ask, desk, places),
            // What it was is not repeated: it may hold a password.
            Err(_) => Some(Reply::refused(["that is no ask"])),
        };
        let Some(reply) = reply else { return };
        if write(&stream, &reply).is_err() {
            return;
        }
    }
}

fn answered(id: SessionId, ask: Ask, desk: &Sender<Message>, places: &Places) -> Option<Reply> {
    let (answer, said) = sync_channel(1);
    desk.send(Message::Ask(id, ask, answer)).ok()?;
    let Answered { answer, world, time } = said.recv().ok()?;
    Some(match answer {
        Answer::Reply(reply) => reply,
        Answer::Job(job) => work(job, &world, &time, places),
    })
}

fn work(job: Job, world: &World, time: &[Server], places: &Places) -> Reply {
    match job {
        Job::Show(view) => view::make(view, world, &Store::audit_text(places)),
        Job::Test(which, to) => paths::test(which, to.as_deref(), world, time, places),
        Job::Bundle(file) => bundle::write(&file, world, time, places),
        Job::Forgive(address) => match gateway::forgive(&places.gateway(), address) {
            Ok(()) => Reply::said(format!("{address} is heard again")),
            Err(why) => Reply::refused([why]),
        },
        Job::Drain => match gateway::drain(&places.gateway()) {
            Ok(()) => Reply::said("no new calls are taken; those that stand may end"),
            Err(why) => Reply::refused([why]),
        },
    }
}

fn write(mut stream: &UnixStream, reply: &Reply) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    if line.len() >= LINE_BYTES {
        line = serde_json::to_vec(&Reply::refused(["the reply is too long to be sent"]))?;
    }
    line.push(b'\n');
    stream.write_all(&line)
}
