//! How the box is, as far as it was last looked at: what the menus, views and alarms are made of. Plain data; who looks is
//! in [`crate::look`].

use crate::protocol::Nic;
use hal::slots::Slots;
use serde::{Deserialize, Serialize};

/// How the box is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct World {
    /// Which box it is.
    pub identity: Identity,
    /// Its interfaces.
    pub nics: Vec<Nic>,
    /// The name servers in force, learned ones included.
    pub dns: Vec<String>,
    /// The gateway.
    pub gateway: Gateway,
    /// What it is configured for.
    pub configured: Configured,
    /// The slots, if the bootloader's records can be read.
    pub slots: Option<Slots>,
    /// The clock.
    pub clock: Clock,
    /// Its sensors, each with what to make of it.
    pub sensors: Vec<Sensor>,
    /// Its disks.
    pub disks: Vec<Disk>,
    /// Why it and its services stopped, the newest last.
    pub reasons: Vec<ReasonLine>,
    /// What those who act for the console could not do.
    pub failed: Vec<String>,
    /// What else somebody should look at.
    pub remarks: Vec<String>,
}

/// Which box it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// The release.
    pub version: String,
    /// The board it was built for.
    pub board: Option<String>,
    /// Its serial number.
    pub serial_number: Option<String>,
    /// What its owner calls it.
    pub asset_tag: Option<String>,
    /// How long it has run, in seconds.
    pub uptime: u64,
}

/// The gateway, as its control socket says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Gateway {
    /// It does not answer.
    #[default]
    Silent,
    /// It answers.
    Answers(GatewayState),
}

/// What the gateway says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GatewayState {
    /// Calls that stand, one line each.
    pub calls: Vec<String>,
    /// Who is not heard, one line each.
    pub blocked: Vec<String>,
    /// Whether it takes new ones.
    pub taking: Taking,
}

/// What the gateway's configuration says that matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configured {
    /// Its domains.
    pub domains: Vec<String>,
    /// The address callers see, if it is not the box's own.
    pub public_address: Option<std::net::IpAddr>,
    /// The conferences it can join: name and URL.
    pub connectors: Vec<(String, String)>,
    /// Ports that its own connections leave by.
    pub signalling: PortRange,
    /// Ports that media flow by.
    pub media: PortRange,
}

/// Ports from the first to the last, both in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    /// The lowest.
    pub first: u16,
    /// The highest.
    pub last: u16,
}

/// Without a configuration, as a gateway has it by default (REQUIREMENTS K4).
impl Default for Configured {
    fn default() -> Self {
        Self {
            domains: Vec::new(),
            public_address: None,
            connectors: Vec::new(),
            signalling: PortRange { first: 33_000, last: 39_999 },
            media: PortRange { first: 40_000, last: 49_999 },
        }
    }
}

/// Whether the gateway takes new calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Taking {
    /// It does.
    #[default]
    Calls,
    /// It was drained.
    Nothing,
}

/// The clock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clock {
    /// Whether it was set by a server since the box started.
    pub sync: Sync,
    /// The server that is asked, if any is.
    pub server: Option<String>,
}

/// Whether the clock can be trusted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sync {
    /// A server set it.
    InSync,
    /// None did.
    #[default]
    NotInSync,
}

/// A sensor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sensor {
    /// Which.
    pub name: String,
    /// What it says.
    pub value: String,
    /// What to make of it: `normal`, `silent`, `warning`, `critical`.
    pub verdict: String,
}

/// A disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Disk {
    /// Where it is mounted.
    pub mount: String,
    /// How much of it is used, in percent.
    pub used: u8,
}

/// Why the box or a service stopped: a line of `reasons.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasonLine {
    /// When it was written down, by the box's clock.
    pub at: String,
    /// One word for programs.
    pub word: String,
    /// A sentence.
    pub text: String,
    /// What stopped: `box`, or a unit.
    pub what: String,
    /// The slot that ran, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<String>,
    /// The slot that was meant to run and does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fell_back_from: Option<String>,
}

/// A disk that is used as much as this is told of.
const FULL: u8 = 90;
/// Reasons that are no fault.
const ORDERLY: &[&str] = &[
    "first-start",
    "asked-restart",
    "asked-power-off",
    "asked-update",
    "asked-switch-slot",
    "asked-factory-reset",
];

impl World {
    /// What somebody should look at, the worst first.
    #[must_use]
    pub fn alarms(&self) -> Vec<String> {
        let mut alarms = Vec::new();
        match &self.gateway {
            Gateway::Silent => alarms.push("the gateway does not answer".to_owned()),
            Gateway::Answers(state) if state.taking == Taking::Nothing => {
                alarms.push("the gateway is drained and takes no calls".to_owned());
            }
            Gateway::Answers(state) => match state.blocked.as_slice() {
                [] => {}
                [one] => alarms.push(format!("somebody is blocked: {one}")),
                [.., last] => {
                    alarms.push(format!("{} are blocked, the last of them {last}", state.blocked.len()));
                }
            },
        }
        alarms.extend(self.failed.iter().cloned());
        for sensor in
            self.sensors.iter().filter(|sensor| matches!(sensor.verdict.as_str(), "critical" | "warning"))
        {
            alarms.push(format!("{}: {} ({})", sensor.name, sensor.value, sensor.verdict));
        }
        for disk in self.disks.iter().filter(|disk| disk.used >= FULL) {
            alarms.push(format!("{} is {} % full", disk.mount, disk.used));
        }
        if self.clock.sync == Sync::NotInSync {
            alarms.push("the clock is not in sync".to_owned());
        }
        if let Some(last) = self.reasons.iter().rev().find(|line| line.what == "box")
            && !ORDERLY.contains(&last.word.as_str())
        {
            alarms.push(format!("last restart: {}", last.text));
        }
        alarms.extend(self.remarks.iter().cloned());
        alarms
    }

    /// How the gateway is, in a few words.
    #[must_use]
    pub fn summary(&self) -> String {
        match &self.gateway {
            Gateway::Silent => "not in service".to_owned(),
            Gateway::Answers(state) if state.taking == Taking::Nothing => "drained".to_owned(),
            Gateway::Answers(state) => match state.calls.len() {
                0 => "no calls".to_owned(),
                1 => "1 call".to_owned(),
                count => format!("{count} calls"),
            },
        }
    }

    /// Calls that stand, if the gateway says so.
    #[must_use]
    pub fn calls(&self) -> Option<u64> {
        match &self.gateway {
            Gateway::Silent => None,
            Gateway::Answers(state) => u64::try_from(state.calls.len()).ok(),
        }
    }

    /// The slot that runs.
    #[must_use]
    pub fn slot(&self) -> Option<String> {
        self.slots.and_then(|slots| slots.booted).map(|slot| slot.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn well() -> World {
        World {
            gateway: Gateway::Answers(GatewayState::default()),
            clock: Clock { sync: Sync::InSync, server: None },
            ..World::default()
        }
    }

    #[test]
    fn a_box_that_is_well_raises_nothing() {
        assert_eq!(well().alarms(), Vec::<String>::new());
        assert_eq!(well().summary(), "no calls");
    }

    #[test]
    fn k7_a_clock_that_is_not_in_sync_raises_an_alarm() {
        let world = World { clock: Clock::default(), ..well() };
        assert_eq!(world.alarms(), ["the clock is not in sync"]);
    }

    #[test]
    fn p17_who_is_blocked_raises_an_alarm() {
        let blocked = |lines: &[&str]| {
            let blocked = lines.iter().map(|line| (*line).to_owned()).collect();
            World { gateway: Gateway::Answers(GatewayState { blocked, ..GatewayState::default() }), ..well() }
        };
        assert_eq!(
            blocked(&["192.0.2.1: a scanner"]).alarms(),
            ["somebody is blocked: 192.0.2.1: a scanner"]
        );
        assert_eq!(blocked(&["one", "two"]).alarms(), ["2 are blocked, the last of them two"]);
    }

    #[test]
    fn everything_that_is_wrong_is_told() {
        let line = |word: &str, text: &str| ReasonLine {
            at: String::new(),
            word: word.into(),
            text: text.into(),
            what: "box".into(),
            slot: None,
            fell_back_from: None,
        };
        let world = World {
            gateway: Gateway::Silent,
            disks: vec![Disk { mount: "/data".into(), used: 97 }, Disk { mount: "/".into(), used: 10 }],
            sensors: vec![Sensor { name: "fan1".into(), value: "0 rpm".into(), verdict: "critical".into() }],
            reasons: vec![line("power-lost", "power was lost"), line("kernel-panic", "kernel panic: x")],
            failed: vec!["network: could not be restarted".into()],
            ..well()
        };
        assert_eq!(
            world.alarms(),
            [
                "the gateway does not answer",
                "network: could not be restarted",
                "fan1: 0 rpm (critical)",
                "/data is 97 % full",
                "last restart: kernel panic: x",
            ]
        );
        let orderly = World { reasons: vec![line("asked-restart", "restart was asked for")], ..well() };
        assert_eq!(orderly.alarms(), Vec::<String>::new());
    }
}
