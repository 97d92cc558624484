//! Conference legs: made by a connector's name, and their requests carried out.

use super::event::Event;
use crate::alarms::{Teller, probe};
use crate::certificates::HeldToken;
use crate::net::https::{Https, LocalPorts};
use anyhow::{Context, Result};
use base::ids::CallId;
use base::leg::{HttpRequest, Join};
use base::{Cause, Fault, Kind, Secret, Seed};
use domain::alarm::Fact;
use domain::config::{Config, ConnectorKind};
use meet::interop::{self, BaseUrl, GatewayToken};
use meet::{ConferenceLeg, Connector, ConnectorContext, Connectors};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::mpsc;

/// Where the box is, seen from conferences.
#[derive(Debug, Clone, Copy)]
pub struct Whereabouts {
    /// The box's own address.
    pub host: IpAddr,
    /// What it looks like from outside, where that is another one.
    pub public: Option<IpAddr>,
    /// The media clock's beginning.
    pub epoch: Instant,
}

/// What every connector of the configuration needs to be used.
pub struct Joiner {
    connectors: HashMap<String, Conference>,
    whereabouts: Whereabouts,
    ports: Arc<LocalPorts>,
    unix_at_epoch: Duration,
    events: mpsc::Sender<Event>,
    gateway_token: HeldToken,
    alarms: Teller,
}

/// A connector and the way to its conference.
pub(crate) struct Conference {
    connector: Connectors,
    https: Https,
    url: String,
}

impl Joiner {
    /// Reads the files that the connectors of `config` name; requests leave by `ports`. Connectors without a key of their own sign
    /// with what `gateway_token` holds when they join (P3). What comes of them is told to `alarms`.
    ///
    /// # Errors
    /// If one cannot be read; the message names the connector.
    pub fn new(
        config: &Config,
        whereabouts: Whereabouts,
        ports: &Arc<LocalPorts>,
        events: mpsc::Sender<Event>,
        gateway_token: HeldToken,
        alarms: Teller,
    ) -> Result<Self> {
        let connectors = connectors(config, ports)?;
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let unix_at_epoch = unix.saturating_sub(whereabouts.epoch.elapsed());
        let ports = Arc::clone(ports);
        Ok(Self { connectors, whereabouts, ports, unix_at_epoch, events, gateway_token, alarms })
    }

    /// Goes on with the connectors of `config`. Those that are gone are kept while calls stand: they still leave by them.
    ///
    /// # Errors
    /// If a file cannot be read; all stays as it was then.
    pub fn configure(&mut self, config: &Config, calls_stand: bool) -> Result<()> {
        let connectors = connectors(config, &self.ports)?;
        if !calls_stand {
            self.connectors.clear();
        }
        self.connectors.extend(connectors);
        Ok(())
    }

    /// A leg of the connector called `name`, whose media leave by the socket on `port`.
    ///
    /// # Errors
    /// The cause of the call's end, if there can be no leg.
    pub fn leg(
        &self,
        now: Instant,
        name: &str,
        join: Join,
        port: u16,
        seed: Seed,
    ) -> Result<ConferenceLeg, Cause> {
        let conference = self.connectors.get(name).ok_or(Cause::new(Fault::Gateway, Kind::InternalError))?;
        let Whereabouts { host, public, epoch } = self.whereabouts;
        let context = ConnectorContext {
            bound: SocketAddr::new(host, port),
            public: public.map(|public| SocketAddr::new(public, port)),
            epoch,
            unix_at_epoch: self.unix_at_epoch,
            seed,
        };
        let Connectors::Interop(config) = &conference.connector;
        if config.gateway_token.is_some() {
            return conference.connector.join(now, join, context);
        }
        let signed = interop::Config { gateway_token: self.gateway_token.current(), ..config.clone() };
        signed.join(now, join, context)
    }

    /// Carries out a request; its reply comes as an event.
    pub fn fetch(&self, connector: &str, call: CallId, request: HttpRequest) {
        let Some(Conference { https, url, .. }) = self.connectors.get(connector) else { return };
        let (https, events, alarms) = (https.clone(), self.events.clone(), self.alarms.clone());
        let (connector, url) = (connector.to_owned(), url.clone());
        tokio::task::spawn_local(async move {
            let reply = https.fetch(request).await;
            let answer = reply.result.as_ref().map(|response| response.status).map_err(|failure| *failure);
            alarms.tell(Fact::MeetingService { connector, health: probe::health(&url, answer) });
            drop(events.send(Event::Http { call, reply }).await);
        });
    }
}

/// The connectors of `config`, by name.
pub(crate) fn connectors(config: &Config, ports: &Arc<LocalPorts>) -> Result<HashMap<String, Conference>> {
    let mut connectors = HashMap::new();
    for connector in &config.connectors {
        let name = || format!("connector {:?}", connector.name);
        let https = Https::new(connector.ca_file.as_deref(), Arc::clone(ports)).with_context(name)?;
        let ConnectorKind::Interop = connector.kind;
        let made = Connectors::Interop(interop(connector).with_context(name)?);
        let conference = Conference { connector: made, https, url: connector.url.clone() };
        connectors.insert(connector.name.clone(), conference);
    }
    Ok(connectors)
}

fn interop(connector: &domain::config::Connector) -> Result<interop::Config> {
    let base_url = BaseUrl::parse(&connector.url)?;
    let token = connector.gateway_key_file.as_deref().map(|path| -> Result<GatewayToken> {
        let pem = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        // One file holds the key and, where the conference wants it, the chain behind it.
        Ok(GatewayToken::new(&connector.name, &Secret::new(pem.clone()), &pem)?)
    });
    Ok(interop::Config {
        base_url,
        gateway_token: token.transpose()?,
        timeouts: interop::Timeouts::default(),
    })
}
