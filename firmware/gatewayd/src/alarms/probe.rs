//! Whether the conferences' servers answer, asked once a minute, so that it is known before a call needs them.

use super::Teller;
use crate::net::https::{Https, LocalPorts};
use base::leg::{HttpFailure, HttpRequest};
use bytes::Bytes;
use domain::alarm::{Fact, Health};
use domain::config::{Config, Connector};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// So many probes in a row that fail are told of; a call that fails is told of at once.
const FAILURES: u32 = 2;

/// Asks all of them.
pub(super) struct Probe {
    conferences: Vec<Conference>,
    teller: Teller,
}

#[derive(Clone)]
struct Conference {
    connector: Connector,
    ports: Arc<LocalPorts>,
    failures: Rc<Cell<u32>>,
    asking: Rc<Cell<Asking>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Asking {
    No,
    Yes,
}

impl Probe {
    pub(super) fn new(config: &Config, ports: &Arc<LocalPorts>, teller: &Teller) -> Self {
        let one = |connector: &Connector| Conference {
            connector: connector.clone(),
            ports: Arc::clone(ports),
            failures: Rc::default(),
            asking: Rc::new(Cell::new(Asking::No)),
        };
        Self { conferences: config.connectors.iter().map(one).collect(), teller: teller.clone() }
    }

    /// Asks each once, unless it is still being asked.
    pub(super) fn round(&self) {
        for conference in &self.conferences {
            if conference.asking.replace(Asking::Yes) == Asking::No {
                tokio::task::spawn_local(conference.clone().ask(self.teller.clone()));
            }
        }
    }
}

impl Conference {
    async fn ask(self, teller: Teller) {
        let health = self.health().await;
        self.asking.set(Asking::No);
        let failures = if health == Health::Good { 0 } else { self.failures.get().saturating_add(1) };
        self.failures.set(failures);
        if failures == 0 || failures >= FAILURES {
            teller.tell(Fact::MeetingService { connector: self.connector.name.clone(), health });
        }
    }

    async fn health(&self) -> Health {
        let https = match Https::new(self.connector.ca_file.as_deref(), Arc::clone(&self.ports)) {
            Ok(https) => https,
            Err(error) => return Health::Bad { why: format!("{error:#}") },
        };
        let request = HttpRequest {
            id: 0,
            method: "GET",
            url: format!("{}/", self.connector.url),
            headers: Vec::new(),
            body: Bytes::new(),
            timeout: PATIENCE,
        };
        let reply = https.fetch(request).await;
        health(&self.connector.url, reply.result.map(|response| response.status))
    }
}

/// What an answer, or none, says of a conference at `url`. Whatever it answers, it is there, unless it says itself that it is not well.
pub(crate) fn health(url: &str, answer: Result<u16, HttpFailure>) -> Health {
    let why = match answer {
        Ok(500..) => "answers that it is not well",
        Ok(_) => return Health::Good,
        Err(HttpFailure::Unreachable) => "cannot be reached; is TCP let through, and the name known?",
        Err(HttpFailure::Untrusted) => "has a certificate that is not trusted; is ca_file the right one?",
        Err(HttpFailure::TimedOut) => "does not answer in time",
        Err(HttpFailure::Broken) => "does not speak HTTPS as it should",
    };
    Health::Bad { why: format!("{url} {why}") }
}
