//! Conference legs: made by a connector's name, and their requests carried out.

use super::event::Event;
use super::leg::ConferenceLeg;
use crate::net::https::{Https, LocalPorts};
use anyhow::{Context, Result};
use base::ids::CallId;
use base::leg::{HttpRequest, Join};
use base::{Cause, Fault, Kind, Seed};
use domain::config::{Config, ConnectorKind};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc;

/// What every connector of the configuration needs to be used.
pub struct Joiner {
    connectors: HashMap<String, Connector>,
    advertised: IpAddr,
    epoch: Instant,
    events: mpsc::Sender<Event>,
}

struct Connector {
    https: Https,
    interop: meet::interop::Config,
}

impl Joiner {
    /// Reads the files that the connectors of `config` name.
    ///
    /// # Errors
    /// If one cannot be read; the message names the connector.
    pub fn new(config: &Config, advertised: IpAddr, epoch: Instant, events: mpsc::Sender<Event>) -> Result<Self> {
        let ports = Arc::new(LocalPorts::new(config.signalling_ports.first..=config.signalling_ports.last));
        let mut connectors = HashMap::new();
        for connector in &config.connectors {
            let ConnectorKind::Interop = connector.kind;
            let name = || format!("connector {:?}", connector.name);
            let https = Https::new(connector.ca_file.as_deref(), Arc::clone(&ports)).with_context(name)?;
            let interop = interop(connector).with_context(name)?;
            connectors.insert(connector.name.clone(), Connector { https, interop });
        }
        Ok(Self { connectors, advertised, epoch, events })
    }

    /// A leg of the connector called `name`.
    ///
    /// # Errors
    /// The cause of the call's end, if there can be no leg.
    pub fn leg(&self, name: &str, join: Join, local: SocketAddr, seed: Seed) -> Result<ConferenceLeg, Cause> {
        let bug = Cause::new(Fault::Gateway, Kind::InternalError);
        let connector = self.connectors.get(name).ok_or(bug)?;
        let advertised = SocketAddr::new(self.advertised, local.port());
        let context = meet::Context { local, advertised, epoch: self.epoch, seed };
        let leg = meet::interop::Leg::new(connector.interop.clone(), join, context);
        Ok(ConferenceLeg::Interop(Box::new(leg)))
    }

    /// Carries out a request; its reply comes as an event.
    pub fn fetch(&self, connector: &str, call: CallId, request: HttpRequest) {
        let Some(connector) = self.connectors.get(connector) else { return };
        let (https, events) = (connector.https.clone(), self.events.clone());
        tokio::task::spawn_local(async move {
            let reply = https.fetch(request).await;
            drop(events.send(Event::Http { call, reply }).await);
        });
    }
}

fn interop(connector: &domain::config::Connector) -> Result<meet::interop::Config> {
    let mut config = meet::interop::Config::new(connector.url.clone());
    if let Some(path) = &connector.gateway_key_file {
        let pem = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        config.gateway_token = Some(meet::interop::GatewayToken::from_pem(&pem)?);
    }
    Ok(config)
}
