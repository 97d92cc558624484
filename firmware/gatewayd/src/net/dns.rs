//! Names: what the SIP endpoint asks for by RFC 3263, looked up by hickory.

use anyhow::{Context, Result};
use base::Seed;
use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::{RData, RecordType};
use rand::rngs::ChaCha12Rng;
use rand::{Rng, SeedableRng};
use sip::locate::{Locate, Naptr, Progress, Question, Records, Srv, Target, Transport};
use sip::uri::Uri;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Looks up names with the system's servers.
#[derive(Clone)]
pub struct Names {
    resolver: TokioResolver,
    rng: Arc<Mutex<ChaCha12Rng>>,
}

impl Names {
    /// The servers of `/etc/resolv.conf`. Must be made inside a runtime.
    ///
    /// # Errors
    /// If that file cannot be read.
    pub fn system(seed: Seed) -> Result<Self> {
        let resolver = TokioResolver::builder_tokio().and_then(|builder| builder.build());
        let resolver = resolver.context("the name servers of /etc/resolv.conf")?;
        Ok(Self { resolver, rng: Arc::new(Mutex::new(ChaCha12Rng::from_seed(seed.0))) })
    }

    /// Where `uri` leads, best first; nothing if it leads nowhere.
    pub async fn locate(&self, uri: Uri) -> Vec<Target> {
        let supported = [Transport::Tls, Transport::Tcp, Transport::Udp];
        let Ok(mut locate) = Locate::new(&uri, &supported, self.seed()) else { return Vec::new() };
        let (mut progress, mut open) = (locate.start(), VecDeque::new());
        loop {
            match progress {
                Progress::Targets(targets) => return targets,
                Progress::Ask(questions) => open.extend(questions),
                Progress::Wait => {}
            }
            let Some(question) = open.pop_front() else { return Vec::new() };
            let records = self.ask(&question).await;
            progress = locate.answer(&question, records);
        }
    }

    async fn ask(&self, question: &Question) -> Records {
        match question {
            Question::Naptr(domain) => Records::Naptr(self.records(domain, RecordType::NAPTR, naptr).await),
            Question::Srv(name) => Records::Srv(self.records(name, RecordType::SRV, srv).await),
            Question::Addresses(host) => {
                let found = self.resolver.lookup_ip(host.as_str()).await;
                Records::Addresses(found.map(|found| found.iter().collect()).unwrap_or_default())
            }
        }
    }

    async fn records<T>(&self, name: &str, of: RecordType, read: impl Fn(&RData) -> Option<T>) -> Vec<T> {
        let Ok(found) = self.resolver.lookup(name, of).await else { return Vec::new() };
        found.answers().iter().filter_map(|record| read(&record.data)).collect()
    }

    fn seed(&self) -> Seed {
        let mut seed = [0; 32];
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut seed);
        Seed(seed)
    }
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
