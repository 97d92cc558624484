//! Telling others of alarms: syslog, SNMP, webhooks.
//!
//! ```text
//!  alarms ─notice─▶ Sinks ─▶ queue, one a receiver ─▶ deliver ─▶ syslog, station, webhook
//!                                                       │  ▲
//!                    Fact::Delivery ◀── three in a row ─┘  └─ waits longer with each failure
//! ```
//! Each receiver has a queue and a task of its own, so none holds up another. A notice is tried until it is taken; when too many wait the
//! oldest are dropped and counted. Nobody hears of a datagram that is lost on its way. A receiver that is set otherwise keeps what waits for
//! it: whoever mends an address loses nothing.

mod backoff;
mod queue;
mod station;
mod syslog;
pub mod webhook;

pub use queue::WAITING;
pub use webhook::SIGNATURE;

use crate::net::https::LocalPorts;
use backoff::Backoff;
use base::Seed;
use domain::alarm::{Fact, Health, Notice};
use domain::config::notify::{Destination, Place, Sink};
use queue::Queue;
use rand::rngs::ChaCha12Rng;
use rand::{Rng, SeedableRng};
use snmp::usm::EngineId;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::task::AbortHandle;
use tracing::{info, warn};

/// Longest that one try may take.
const TRY: Duration = Duration::from_secs(10);
/// So many tries that failed in a row are told of.
pub const FAILURES: u32 = 3;

/// Who tells.
#[derive(Debug)]
pub struct Node {
    /// Its host name.
    pub name: String,
    /// Its name as an SNMP engine.
    pub engine: EngineId,
    /// How often that engine has started (RFC 3414 2.2.2); it must grow from start to start.
    pub boots: u32,
    /// When it started this time.
    pub started: Instant,
}

/// Everybody who is told of alarms.
pub struct Sinks {
    outlets: Vec<Outlet>,
    node: Arc<Node>,
    ports: Arc<LocalPorts>,
    rng: ChaCha12Rng,
    tell: Rc<dyn Fn(Fact)>,
}

/// A receiver, and what delivers to it for as long as this is there.
struct Outlet {
    sink: Sink,
    queue: Queue,
    delivery: AbortHandle,
}

/// How a receiver is doing.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Figures {
    /// Its name.
    pub name: String,
    /// Notices that wait.
    pub waiting: usize,
    /// Notices that it never got: too many waited, or it refused them for good.
    pub dropped: u64,
}

/// Why a receiver did not take a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Undelivered {
    why: String,
    next: Next,
}

/// What becomes of a notice that was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// It is tried again.
    Again,
    /// It would be refused again.
    Never,
}

impl Undelivered {
    fn again(why: impl Into<String>) -> Self {
        Self { why: why.into(), next: Next::Again }
    }

    fn never(why: impl Into<String>) -> Self {
        Self { why: why.into(), next: Next::Never }
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.delivery.abort();
    }
}

impl Sinks {
    /// Nobody yet. TLS and HTTPS leave by `ports`; how a receiver stands goes to `tell`, and what must be random grows from `seed`.
    pub fn new(node: Arc<Node>, ports: Arc<LocalPorts>, seed: Seed, tell: impl Fn(Fact) + 'static) -> Self {
        let rng = ChaCha12Rng::from_seed(seed.0);
        Self { outlets: Vec::new(), node, ports, rng, tell: Rc::new(tell) }
    }

    /// Tells these from now on and nobody else, in tasks of the local set that this is called in.
    pub fn configure(&mut self, sinks: &[Sink]) {
        let mut before = std::mem::take(&mut self.outlets);
        for sink in sinks {
            let known = before.iter().position(|outlet| outlet.sink.name == sink.name);
            let outlet = match known.map(|at| before.swap_remove(at)) {
                Some(same) if same.sink == *sink => same,
                other => self.open(sink, other.map(|other| other.queue.clone()).unwrap_or_default()),
            };
            self.outlets.push(outlet);
        }
    }

    fn open(&mut self, sink: &Sink, queue: Queue) -> Outlet {
        let mut own = [0; 32];
        self.rng.fill_bytes(&mut own);
        let delivery = Delivery {
            name: sink.name.clone(),
            to: sink.to.clone(),
            way: None,
            node: Arc::clone(&self.node),
            ports: Arc::clone(&self.ports),
            backoff: Backoff::new(ChaCha12Rng::from_seed(own)),
            known: Known::Nothing,
        };
        let Node { name, engine, boots, .. } = &*self.node;
        // Stations must be told by which name they know the box.
        info!(receiver = sink.name, node = name, %engine, boots, "is told of alarms");
        let tell = Rc::clone(&self.tell);
        let task = tokio::task::spawn_local(delivery.run(queue.clone(), move |fact| tell(fact)));
        Outlet { sink: sink.clone(), queue, delivery: task.abort_handle() }
    }

    /// Tells everybody who wants to hear of this level.
    pub fn tell(&self, notice: &Arc<Notice>) {
        let interested = self.outlets.iter().filter(|outlet| notice.alarm.level >= outlet.sink.least);
        interested.for_each(|outlet| outlet.queue.push(Arc::clone(notice)));
    }

    /// How everybody is doing.
    #[must_use]
    pub fn figures(&self) -> Vec<Figures> {
        let one = |Outlet { sink, queue, .. }: &Outlet| {
            let (waiting, dropped) = queue.figures();
            Figures { name: sink.name.clone(), waiting, dropped }
        };
        self.outlets.iter().map(one).collect()
    }
}

/// What brings notices to one receiver.
struct Delivery {
    name: String,
    to: Destination,
    way: Option<Way>,
    node: Arc<Node>,
    ports: Arc<LocalPorts>,
    backoff: Backoff,
    known: Known,
}

/// A way that is made at the first try, and again after what it needs was not there.
enum Way {
    Syslog(syslog::Line),
    Snmp(station::Station),
    Webhook(webhook::Hook),
}

/// What was told of the receiver.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Nothing,
    Good,
    Bad,
}

impl Delivery {
    async fn run(mut self, queue: Queue, tell: impl Fn(Fact)) {
        loop {
            let notice = queue.oldest().await;
            match self.attempt(&notice).await {
                Ok(()) => {
                    queue.taken(&notice);
                    self.good(&tell);
                }
                Err(Undelivered { why, next: Next::Never }) => {
                    warn!(receiver = self.name, seq = notice.seq, why, "a notice was refused and is dropped");
                    queue.refused(&notice);
                    // It answers, so the next one may do better.
                    self.good(&tell);
                }
                Err(Undelivered { why, next: Next::Again }) => {
                    let wait = self.backoff.failed();
                    self.bad(why, &tell);
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    fn good(&mut self, tell: &impl Fn(Fact)) {
        self.backoff.succeeded();
        if self.known != Known::Good {
            if self.known == Known::Bad {
                info!(receiver = self.name, "alarms are delivered again");
            }
            self.known = Known::Good;
            tell(Fact::Delivery { sink: self.name.clone(), health: Health::Good });
        }
    }

    fn bad(&mut self, why: String, tell: &impl Fn(Fact)) {
        if self.known != Known::Bad && self.backoff.failures() >= FAILURES {
            warn!(receiver = self.name, why, "alarms are not delivered");
            self.known = Known::Bad;
            tell(Fact::Delivery { sink: self.name.clone(), health: Health::Bad { why } });
        }
    }

    async fn attempt(&mut self, notice: &Notice) -> Result<(), Undelivered> {
        let way = match &mut self.way {
            Some(way) => way,
            None => {
                let made = match &self.to {
                    Destination::Syslog(config) => Way::Syslog(syslog::Line::new(config, &self.ports)?),
                    Destination::Snmp(config) => {
                        Way::Snmp(station::Station::new(config, &self.node, self.backoff.random())?)
                    }
                    Destination::Webhook(config) => Way::Webhook(webhook::Hook::new(config, &self.ports)?),
                };
                self.way.insert(made)
            }
        };
        match way {
            Way::Syslog(line) => line.send(&self.node, notice).await,
            Way::Snmp(station) => station.send(&self.node, notice).await,
            Way::Webhook(hook) => hook.send(&self.node, notice).await,
        }
    }
}

/// Where `at` is now: names may come to lead elsewhere.
async fn address(at: &Place) -> Result<SocketAddr, String> {
    let found = tokio::net::lookup_host((&*at.host, at.port)).await;
    let mut found = found.map_err(|error| format!("{at} is not found: {error}"))?;
    found.next().ok_or_else(|| format!("{at} has no address"))
}

/// One datagram to `at`.
async fn datagram(at: &Place, data: &[u8]) -> Result<(), Undelivered> {
    let attempt = async {
        let to = address(at).await?;
        let any: SocketAddr =
            if to.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
        let sent = async { UdpSocket::bind(any).await?.send_to(data, to).await };
        sent.await.map(drop).map_err(|error| format!("{at} is not reached: {error}"))
    };
    let result = tokio::time::timeout(TRY, attempt).await;
    result.unwrap_or_else(|_| Err(format!("{at} is not found in time"))).map_err(Undelivered::again)
}

#[cfg(test)]
pub(crate) mod testing {
    //! A notice for tests.

    use domain::alarm::{Alarm, AlarmId, AlarmKind, Change, Level, Notice};
    use domain::appliance::instant::UnixTime;

    pub fn notice(seq: u64) -> Notice {
        let at = UnixTime(1_780_000_000);
        let alarm = Alarm {
            id: AlarmId(seq),
            kind: AlarmKind::Disk,
            level: Level::Minor,
            instance: "/data".into(),
            details: "95 % are in use".into(),
            raised: at,
            times: 1,
            last: at,
            acknowledged: None,
        };
        Notice { seq, at, change: Change::Raised, alarm }
    }
}
