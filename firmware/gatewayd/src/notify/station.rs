//! SNMP notifications over UDP.

use super::{Node, Undelivered};
use domain::alarm::{Change, Level, Notice};
use domain::config::notify::{Place, Snmp, SnmpAuth, SnmpSecurity, SnmpVersion};
use snmp::gantry::{self, Notification};
use snmp::usm::{AuthProtocol, EngineTime, Originator, Security};
use std::time::Instant;

/// A way to a station.
pub(super) struct Station {
    at: Place,
    speech: Speech,
}

enum Speech {
    V2c(base::Secret<String>),
    V3(Box<Originator>),
}

impl Station {
    /// `salt` must be random (RFC 3826 3.1.1.1).
    pub(super) fn new(config: &Snmp, node: &Node, salt: u64) -> Result<Self, Undelivered> {
        let speech = match &config.version {
            SnmpVersion::V2c { community } => Speech::V2c(community.clone()),
            SnmpVersion::V3 { user, security } => {
                let originator = Originator::new(node.engine.clone(), user, &security_of(security), salt);
                let originator = originator.map_err(|error| Undelivered::again(error.to_string()))?;
                Speech::V3(Box::new(originator))
            }
        };
        Ok(Self { at: config.at.clone(), speech })
    }

    pub(super) async fn send(&mut self, node: &Node, notice: &Notice) -> Result<(), Undelivered> {
        let up = Instant::now().saturating_duration_since(node.started);
        // Hundredths of a second begin anew after 497 days, as RFC 3418 2 says.
        let uptime = u32::try_from(up.as_millis() / 10 % (1 << 32)).unwrap_or_default();
        let trap = trap(node, notice, uptime);
        let number = i32::try_from(notice.seq & 0x7fff_ffff).unwrap_or_default();
        let datagram = match &mut self.speech {
            Speech::V2c(community) => snmp::v2c(community, &trap, number),
            Speech::V3(originator) => {
                let time = u32::try_from(up.as_secs()).unwrap_or(u32::MAX).min(0x7fff_ffff);
                originator.message(EngineTime { boots: node.boots, time }, &trap, number)
            }
        };
        super::datagram(&self.at, &datagram).await
    }
}

/// `notice` as the MIB has it.
fn trap(node: &Node, Notice { seq, change, alarm, .. }: &Notice, uptime: u32) -> snmp::Trap {
    let notification = Notification {
        change: match change {
            Change::Raised => gantry::Change::Raised,
            Change::Changed => gantry::Change::Changed,
            Change::Acknowledged => gantry::Change::Acknowledged,
            Change::Cleared => gantry::Change::Cleared,
        },
        uptime,
        node: &node.name,
        sequence: *seq,
        id: alarm.id.0,
        identifier: alarm.kind.identifier(),
        name: alarm.kind.name(),
        level: match alarm.level {
            Level::Warning => gantry::Level::Warning,
            Level::Minor => gantry::Level::Minor,
            Level::Major => gantry::Level::Major,
            Level::Critical => gantry::Level::Critical,
        },
        instance: &alarm.instance,
        details: &alarm.details,
        times: alarm.times,
        time_raised: &alarm.raised.to_string(),
    };
    notification.trap()
}

fn security_of(security: &SnmpSecurity) -> Security {
    let protocol = |auth: SnmpAuth| match auth {
        SnmpAuth::Sha1 => AuthProtocol::Sha1,
        SnmpAuth::Sha256 => AuthProtocol::Sha256,
    };
    match security {
        SnmpSecurity::Open => Security::Open,
        SnmpSecurity::Authenticated(auth, password) => {
            Security::Authenticated(protocol(*auth), password.clone())
        }
        SnmpSecurity::Encrypted { auth, auth_password, privacy_password } => Security::Encrypted {
            auth: protocol(*auth),
            auth_password: auth_password.clone(),
            privacy_password: privacy_password.clone(),
        },
    }
}
