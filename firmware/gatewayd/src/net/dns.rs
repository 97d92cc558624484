//! Names: what the SIP endpoint asks for by RFC 3263, looked up by hickory.
//!
//! A box that has no name servers yet takes calls all the same: addresses need none, and the servers are looked for again
//! with each name. Whether the DNS plan is in live DNS is asked by [`live`], anew each time.

pub mod live;
#[cfg(test)]
pub(crate) mod testing;

use base::Seed;
use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::{RData, RecordType};
use rand::rngs::ChaCha12Rng;
use rand::{Rng, SeedableRng};
use sip::locate::{Locate, Naptr, Progress, Question, Records, Srv, Target, Transport};
use sip::uri::Uri;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tracing::warn;

/// Longest that finding the way to one URI may take.
const LOCATE: Duration = Duration::from_secs(20);

/// Looks up names.
#[derive(Clone)]
pub struct Names {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    resolver: Option<TokioResolver>,
    rng: ChaCha12Rng,
}

impl Names {
    /// With the servers of `/etc/resolv.conf`, as soon as there are any. Must be used inside a runtime.
    #[must_use]
    pub fn system(seed: Seed) -> Self {
        Self::new(None, seed)
    }

    fn new(resolver: Option<TokioResolver>, seed: Seed) -> Self {
        let inner = Inner { resolver, rng: ChaCha12Rng::from_seed(seed.0) };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    /// Where `uri` leads, best first; nothing if it leads nowhere, or nobody says so in time.
    pub async fn locate(&self, uri: Uri) -> Vec<Target> {
        tokio::time::timeout(LOCATE, self.find(uri)).await.unwrap_or_default()
    }

    async fn find(&self, uri: Uri) -> Vec<Target> {
        let supported = [Transport::Tls, Transport::Tcp, Transport::Udp];
        let (seed, resolver) = self.start();
        let Ok(mut locate) = Locate::new(&uri, &supported, seed) else { return Vec::new() };
        let (mut progress, mut open) = (locate.start(), VecDeque::new());
        loop {
            match progress {
                Progress::Targets(targets) => return targets,
                Progress::Ask(questions) => open.extend(questions),
                Progress::Wait => {}
            }
            let Some(question) = open.pop_front() else { return Vec::new() };
            let records = match &resolver {
                Some(resolver) => ask(resolver, &question).await,
                None => unanswered(&question),
            };
            progress = locate.answer(&question, records);
        }
    }

    fn start(&self) -> (Seed, Option<TokioResolver>) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.resolver.is_none() {
            inner.resolver = system_resolver();
        }
        let mut seed = [0; 32];
        inner.rng.fill_bytes(&mut seed);
        (Seed(seed), inner.resolver.clone())
    }
}

fn system_resolver() -> Option<TokioResolver> {
    let made = TokioResolver::builder_tokio().and_then(|builder| builder.build());
    made.inspect_err(|error| warn!(%error, "no name servers in /etc/resolv.conf: names lead nowhere")).ok()
}

async fn ask(resolver: &TokioResolver, question: &Question) -> Records {
    match question {
        Question::Naptr(domain) => Records::Naptr(records(resolver, domain, RecordType::NAPTR, naptr).await),
        Question::Srv(name) => Records::Srv(records(resolver, name, RecordType::SRV, srv).await),
        Question::Addresses(host) => {
            let found = resolver.lookup_ip(host.as_str()).await;
            Records::Addresses(found.map(|found| found.iter().collect()).unwrap_or_default())
        }
    }
}

/// A question that nobody answers counts as answered with nothing.
fn unanswered(question: &Question) -> Records {
    match question {
        Question::Naptr(_) => Records::Naptr(Vec::new()),
        Question::Srv(_) => Records::Srv(Vec::new()),
        Question::Addresses(_) => Records::Addresses(Vec::new()),
    }
}

async fn records<T>(
    resolver: &TokioResolver,
    name: &str,
    of: RecordType,
    read: impl Fn(&RData) -> Option<T>,
) -> Vec<T> {
    let Ok(found) = resolver.lookup(name, of).await else { return Vec::new() };
    found.answers().iter().filter_map(|record| read(&record.data)).collect()
}

fn naptr(data: &RData) -> Option<Naptr> {
    let RData::NAPTR(found) = data else { return None };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some(Naptr {
        order: found.order,
        preference: found.preference,
        flags: text(&found.flags),
        service: text(&found.services),
        replacement: found.replacement.to_utf8(),
    })
}

fn srv(data: &RData) -> Option<Srv> {
    let RData::SRV(found) = data else { return None };
    let (priority, weight, port) = (found.priority, found.weight, found.port);
    Some(Srv { priority, weight, port, target: found.target.to_utf8() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::dns::testing::{Zone, serve};
    use crate::net::testing::locally;
    use hickory_resolver::net::runtime::TokioRuntimeProvider;
    use hickory_resolver::proto::rr::{Name, rdata};

    /// Names that ask a server on loopback, which answers with what `zone` says.
    async fn names(zone: fn(&str, RecordType) -> Zone) -> Names {
        let config = serve(zone).await;
        let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        Names::new(Some(builder.build().expect("a resolver")), Seed([7; 32]))
    }

    fn name(text: &str) -> Name {
        Name::from_utf8(text).expect("a name")
    }

    fn uri(text: &str) -> Uri {
        Uri::parse(text).expect("a uri")
    }

    /// A domain that wants TCP, at two hosts.
    fn zone(asked: &str, of: RecordType) -> Zone {
        Zone::Says(match (asked, of) {
            ("example.com", RecordType::NAPTR) => vec![RData::NAPTR(rdata::NAPTR::new(
                10,
                10,
                Box::from(*b"s"),
                Box::from(*b"SIP+D2T"),
                Box::from(*b""),
                name("_sip._tcp.example.com."),
            ))],
            ("_sip._tcp.example.com", RecordType::SRV) => vec![
                RData::SRV(rdata::SRV::new(20, 0, 5_080, name("second.example.com."))),
                RData::SRV(rdata::SRV::new(10, 0, 5_070, name("first.example.com."))),
            ],
            ("first.example.com", RecordType::A) => vec![RData::A(rdata::A::new(192, 0, 2, 1))],
            ("second.example.com", RecordType::A) => vec![RData::A(rdata::A::new(192, 0, 2, 2))],
            _ => Vec::new(),
        })
    }

    #[test]
    fn a_domain_leads_by_naptr_and_srv_to_its_hosts_in_order() {
        locally(async {
            let found = names(zone).await.locate(uri("sip:room@example.com")).await;
            let seen: Vec<_> =
                found.iter().map(|target| (target.transport, target.address.to_string())).collect();
            let tcp = |address: &str| (Transport::Tcp, address.to_owned());
            assert_eq!(seen, [tcp("192.0.2.1:5070"), tcp("192.0.2.2:5080")]);
        });
    }

    #[test]
    fn a_name_that_nobody_knows_leads_nowhere() {
        locally(async {
            assert_eq!(names(zone).await.locate(uri("sip:room@nowhere.example.com")).await, []);
        });
    }

    #[test]
    fn an_address_needs_no_name_server() {
        locally(async {
            let found = Names::new(None, Seed([7; 32])).locate(uri("sip:room@192.0.2.9:5062")).await;
            let seen: Vec<_> = found.iter().map(|target| target.address.to_string()).collect();
            assert_eq!(seen, ["192.0.2.9:5062"]);
        });
    }
}
