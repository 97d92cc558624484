//! From a configuration to running shards.

use crate::admin::{self, Admin, History, Trust};
use crate::alarms::{self, AlarmsHandle, Places, Teller};
use crate::certificates::Credentials;
use crate::configuration::Configuration;
use crate::console::Console;
use crate::control::{self, Asked};
use crate::engine::event::Event;
use crate::engine::join::{Joiner, Whereabouts};
use crate::engine::shard::{Parts, Shard};
use crate::engine::sip_side::{Dialer, SipSide, endpoint_config};
use crate::licences::Licensing;
use crate::media::prompts::Prompts;
use crate::media::{Isolation, Plane, Workers};
use crate::net::connection::Connections;
use crate::net::dns::Names;
use crate::net::https::LocalPorts;
use crate::net::poller::Poller;
use crate::net::ports::Ports;
use crate::net::tls::{self, Certificates};
use crate::net::udp::Udp;
use crate::phonebook::{self, Phonebook};
use crate::themes::Themes;
use anyhow::{Context, Result};
use base::{Pulse, Seed, limits};
use domain::config::Config;
use domain::defence::Defence;
use domain::history::CallRecord;
use domain::licence::Licences;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use sip::endpoint::{Endpoint, Listen, Transport};
use sip::uri::Host;
use std::future::{Future, poll_fn};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::Instant;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Notify, mpsc, watch};
use tokio_rustls::TlsConnector;
use tracing::{info, warn};

/// Events waiting for a shard; who sends more waits.
const EVENTS: usize = 1_024;
/// The shard's name: its thread's, and in the log.
const SHARD: &str = "shard-1";
/// Most signalling connections from one address: a site behind one NAT has that many rooms, and four such fit.
const PEER_CONNECTIONS: usize = limits::SIP_CONNECTIONS / 4;

/// The SIP addresses the box is reached by.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Listening {
    /// Over UDP.
    pub udp: Vec<SocketAddr>,
    /// Over TCP.
    pub tcp: Vec<SocketAddr>,
    /// Over TLS.
    pub tls: Vec<SocketAddr>,
}

/// Sockets that are bound, before any loop runs.
pub(crate) struct Bound {
    udp: Vec<Udp>,
    tcp: Vec<std::net::TcpListener>,
    tls: Vec<std::net::TcpListener>,
    credentials: Credentials,
}

/// A running gateway.
pub struct Gateway {
    /// Where it is reached.
    pub listening: Listening,
    /// Ways to its shards.
    pub events: Vec<mpsc::Sender<Event>>,
    /// What rooms look others up in; it ends with the gateway.
    pub phonebook: Phonebook,
    shards: Vec<JoinHandle<Result<()>>>,
    over: Option<mpsc::Receiver<CallRecord>>,
    credentials: Credentials,
    /// What is wrong with the box.
    pub alarms: AlarmsHandle,
    /// What must live, by name: each shard's loop, which signals and carries, its workers, and the control socket's loop.
    pub vital: Vec<(String, Pulse)>,
}

impl Gateway {
    /// Starts everything. What is replaced in `credentials` later is used from then on; where the configuration names files,
    /// theirs are taken first. Alarms are found and kept at `places`; callers see and hear what is built in until themes are shown (`themes::show`).
    /// Media workers are as far apart from this program as `isolation` says.
    ///
    /// # Errors
    /// If an address is taken, a file cannot be read or a thread cannot be started; nothing runs then.
    pub fn start(
        config: Arc<Config>,
        credentials: Credentials,
        places: Places,
        isolation: Isolation,
    ) -> Result<Self> {
        hide_memory();
        raise_descriptors();
        let bound = bind(&config, credentials.clone())?;
        let listening = bound.listening()?;
        let looked_up = phonebook::bind(&config)?;
        let phonebook = Phonebook::start(&config, looked_up, credentials.tls.clone())?;
        let (sender, receiver) = mpsc::channel(EVENTS);
        let events = sender.clone();
        let (over, ended) = mpsc::channel(EVENTS);
        let alarms = alarms::start(&config, places, random_seed()?)?;
        let teller = alarms.teller();
        let (ready, up) = std::sync::mpsc::channel();
        let shard = std::thread::Builder::new().name(SHARD.into()).spawn(move || {
            // A task of the runtime's own, and not the future that it blocks on: that one is woken by a write to the runtime's own
            // descriptor, each time, and an empty round of its loop.
            let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
            let turns = async move {
                match shard(config, bound, (sender, receiver), over, (teller, isolation)) {
                    Ok(shard) => {
                        drop(ready.send(Ok(shard.vital(SHARD))));
                        shard.run().await;
                    }
                    Err(error) => drop(ready.send(Err(error))),
                }
            };
            let turned = runtime.block_on(async { tokio::task::spawn_local(turns).await });
            if let Some(panic) = turned.err().and_then(|error| error.try_into_panic().ok()) {
                std::panic::resume_unwind(panic);
            }
            Ok(())
        })?;
        let vital = up.recv().context("the shard ended before it began")??;
        info!(?listening, "taking calls");
        Ok(Self {
            listening,
            events: vec![events],
            phonebook,
            shards: vec![shard],
            over: Some(ended),
            credentials,
            alarms,
            vital,
        })
    }

    /// From now on these licences count (P15); until it is called, nothing is metered. Calls that stand go on.
    pub async fn license(&self, licences: Arc<Licences>) {
        for shard in &self.events {
            // A shard that is gone takes no call.
            drop(shard.send(Event::Licences(Arc::clone(&licences))).await);
        }
        self.alarms.license(licences).await;
    }

    /// Waits until a shard is gone: of itself none goes before it is drained, so that is a bug.
    pub async fn ended(&self) {
        let mut gone: Vec<_> = self.events.iter().map(|shard| Box::pin(shard.closed())).collect();
        poll_fn(|context| {
            let any = gone.iter_mut().any(|gone| gone.as_mut().poll(context).is_ready());
            if any { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Takes no new calls and ends those that stand at `deadline`.
    pub async fn drain(&self, deadline: Instant) {
        for shard in &self.events {
            // A shard that is gone has nothing to drain.
            drop(shard.send(Event::Drain { deadline }).await);
        }
    }

    /// Waits for the end of all shards.
    ///
    /// # Errors
    /// If one ended by a bug.
    pub fn join(self) -> Result<()> {
        for shard in self.shards {
            shard.join().map_err(|_| anyhow::anyhow!("a shard panicked"))??;
        }
        Ok(())
    }

    /// Opens the control socket at `path` and answers on it from now on. Must be called inside a runtime.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn control(&mut self, path: &Path, asked: Asked) -> Result<()> {
        let (listener, pulse) = (control::open(path)?, Pulse::default());
        self.vital.push(("control".to_owned(), pulse.clone()));
        tokio::spawn(control::serve(listener, asked, pulse));
        Ok(())
    }

    /// What tools may ask of it; a drain that is asked for is `drain`.
    #[must_use]
    pub fn asked(&self, drain: Arc<control::Drain>, configuration: Option<Arc<Configuration>>) -> Asked {
        // The phonebook tells of itself as a shard does; what is for calls it passes over.
        let shards = self.events.iter().chain([&self.phonebook.events]).cloned().collect();
        Asked { shards, drain, sip: self.listening.clone(), configuration, alarms: self.alarms.clone() }
    }

    /// Serves the administration of `configuration`, whose folder is `folder`, in a thread of its own. Returns where it is reached.
    ///
    /// # Errors
    /// If an address is taken, or there is no certificate to show.
    pub fn administer(
        &mut self,
        configuration: &Arc<Configuration>,
        folder: &Path,
        (trust, licensing, themes): (Trust, Licensing, Themes),
        asked: Asked,
        console: Console,
    ) -> Result<Vec<SocketAddr>> {
        let config = configuration.now();
        let listeners = admin::bind(&config.admin.listen)?;
        let addresses = listeners.addresses()?;
        if !addresses.is_empty() {
            admin::certificate(&config, folder, &self.credentials.tls)?;
        }
        let tls = self.credentials.tls.clone();
        let (live, seen) = watch::channel(Arc::default());
        let history = History::open(folder);
        let administration = Arc::new(Admin::new(admin::Parts {
            configuration: Arc::clone(configuration),
            shards: self.events.clone(),
            history,
            trust,
            licensing,
            themes,
            alarms: self.alarms.clone(),
            live: seen,
            dns: admin::Checks::default(),
            console,
        }));
        let over = self.over.take().context("the administration is served already")?;
        let shelf = self.phonebook.shelf();
        std::thread::Builder::new().name("admin".into()).spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let (router, _) = admin::routes(&administration);
                listeners.serve(&administration, &router, &tls)?;
                admin::follow(administration, asked, live, over, shelf).await;
                anyhow::Ok(())
            })
        })?;
        info!(?addresses, "administration");
        Ok(addresses)
    }
}

impl Bound {
    pub(crate) fn listening(&self) -> Result<Listening> {
        let of = |listeners: &[std::net::TcpListener]| -> std::io::Result<Vec<SocketAddr>> {
            listeners.iter().map(std::net::TcpListener::local_addr).collect()
        };
        let udp = self.udp.iter().map(Udp::local).collect();
        Ok(Listening { udp, tcp: of(&self.tcp)?, tls: of(&self.tls)? })
    }
}

pub(crate) fn bind(config: &Config, credentials: Credentials) -> Result<Bound> {
    let udp = config
        .sip
        .udp
        .iter()
        .map(|at| Udp::bind(*at).with_context(|| format!("cannot take SIP over UDP on {at}")));
    let udp = udp.collect::<Result<Vec<_>>>()?;
    let listen = |addresses: &[SocketAddr], what: &str| -> Result<Vec<std::net::TcpListener>> {
        let one = |at: &SocketAddr| {
            let listener = std::net::TcpListener::bind(at)
                .with_context(|| format!("cannot take SIP over {what} on {at}"))?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        addresses.iter().map(one).collect()
    };
    if let Some(files) = &config.sip.certificate {
        credentials.tls.replace(tls::from_files(&files.chain, &files.key)?)?;
    }
    let (tcp, tls) = (listen(&config.sip.tcp, "TCP")?, listen(&config.sip.tls, "TLS")?);
    Ok(Bound { udp, tcp, tls, credentials })
}

/// Makes the shard, inside its own runtime.
pub(crate) fn shard(
    config: Arc<Config>,
    bound: Bound,
    (sender, events): (mpsc::Sender<Event>, mpsc::Receiver<Event>),
    over: mpsc::Sender<CallRecord>,
    (alarms, isolation): (Teller, Isolation),
) -> Result<Shard> {
    let epoch = Instant::now();
    let advertised = config.gateway.public_address.unwrap_or_else(outward_address);
    let (poller, reports) = (Poller::new()?, Arc::new(Notify::new()));
    let workers = match isolation {
        Isolation::Thread => threads(&reports),
        Isolation::Process => Workers::Processes(poller.registry()),
    };
    let plane = plane(&config, epoch, &workers)?;
    let signalling = config.signalling_ports;
    let leave_by = Arc::new(LocalPorts::new(signalling.first..=signalling.last));
    let endpoint =
        Endpoint::new(endpoint_config(&config, listen(&config, &bound, advertised)?), random_seed()?, epoch);
    let connections = Connections::new(sender.clone(), limits::SIP_CONNECTIONS, PEER_CONNECTIONS);
    let dialer = Dialer {
        connections: connections.clone(),
        tls: TlsConnector::from(tls::client(None)?),
        ports: Arc::clone(&leave_by),
        names: Names::system(random_seed()?),
        events: sender.clone(),
    };
    accept(&connections, bound.tcp, None)?;
    accept(&connections, bound.tls, Some(bound.credentials.tls))?;
    let defence = (Defence::new(config.defence.clone()), alarms.clone());
    let mut sip = SipSide::new(endpoint, bound.udp, dialer, defence, &poller)?;
    sip.excuse(&config);
    let joiner = Joiner::new(
        &config,
        whereabouts(&config, epoch),
        &leave_by,
        sender,
        bound.credentials.gateway_token,
        alarms.clone(),
    )?;
    let (seed, ports) = (random_seed()?, media_ports(&config)?);
    Ok(Shard::new(Parts {
        config,
        epoch,
        sip,
        plane,
        reports,
        ports,
        advertised,
        joiner,
        poller,
        over,
        events,
        seed,
        alarms,
    }))
}

/// Workers that are threads and ring `reports`.
fn threads(reports: &Arc<Notify>) -> Workers {
    let bell = Arc::clone(reports);
    Workers::Threads(Arc::new(move || bell.notify_one()))
}

/// The media plane, with a worker for pictures for each processor.
fn plane(config: &Config, epoch: Instant, workers: &Workers) -> Result<Plane> {
    let processors = || std::thread::available_parallelism().ok().map(usize::from);
    let pictures = config.gateway.workers.or_else(processors);
    Plane::new(pictures.unwrap_or(1), epoch, Prompts::built_in()?, workers).context("media workers")
}

/// The media ports, from a random one on.
fn media_ports(config: &Config) -> Result<Ports> {
    let Seed([a, b, c, d, ..]) = random_seed()?;
    let range = config.media.ports.first..=config.media.ports.last;
    Ok(Ports::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), &range, u32::from_le_bytes([a, b, c, d])))
}

/// Takes connections on all of these from now on.
fn accept(
    connections: &Connections,
    listeners: Vec<std::net::TcpListener>,
    tls: Option<Certificates>,
) -> Result<()> {
    for listener in listeners {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        tokio::task::spawn_local(connections.clone().accept(listener, tls.clone()));
    }
    Ok(())
}

/// The addresses that callers are told to reach the box by.
fn listen(config: &Config, bound: &Bound, advertised: IpAddr) -> Result<Vec<Listen>> {
    let listening = bound.listening()?;
    let of = |transport: Transport, addresses: &[SocketAddr]| -> Vec<Listen> {
        let host = |local: SocketAddr| if local.ip().is_unspecified() { advertised } else { local.ip() };
        let public = |local: SocketAddr| config.gateway.public_address.unwrap_or_else(|| host(local));
        let listen = |local: &SocketAddr| Listen {
            transport,
            local: *local,
            host: Host::from(public(*local)),
            port: local.port(),
        };
        addresses.iter().map(listen).collect()
    };
    let mut listen = of(Transport::Udp, &listening.udp);
    listen.extend(of(Transport::Tcp, &listening.tcp));
    listen.extend(of(Transport::Tls, &listening.tls));
    Ok(listen)
}

/// The box's own address, and the public one where that is not the box's own.
fn whereabouts(config: &Config, epoch: Instant) -> Whereabouts {
    let own = |address: &IpAddr| std::net::UdpSocket::bind((*address, 0)).is_ok();
    match config.gateway.public_address {
        Some(public) if own(&public) => Whereabouts { host: public, public: None, epoch },
        public => Whereabouts { host: outward_address(), public, epoch },
    }
}

/// The address that the way to the outside begins at.
fn outward_address() -> IpAddr {
    let probe = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        // Connecting a UDP socket sends nothing; the kernel only chooses the address it would send from.
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        socket.local_addr()
    });
    probe.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |local| local.ip())
}

/// What this process knows are tokens and keys: no core is written of it, and nobody without the right to everything looks into its memory.
fn hide_memory() {
    let hidden = setrlimit(Resource::RLIMIT_CORE, 0, 0).and_then(|()| nix::sys::prctl::set_dumpable(false));
    if let Err(error) = hidden {
        warn!(%error, "a crash may leave this process's memory behind");
    }
}

/// As many descriptors as the system allows: each call takes five sockets, and the usual limit of 1024 is for programs
/// that use `select`.
fn raise_descriptors() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        warn!(%error, "the number of open files stays limited");
    }
}

fn random_seed() -> Result<Seed> {
    let mut seed = [0; 32];
    let mut file = std::fs::File::open("/dev/urandom").context("the system's randomness")?;
    std::io::Read::read_exact(&mut file, &mut seed).context("the system's randomness")?;
    Ok(Seed(seed))
}
