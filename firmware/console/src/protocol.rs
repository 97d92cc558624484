//! What the skins and the command line ask of `gantry serve`, and what it tells: one JSON object a line, both ways.
//!
//! ```text
//!  {"ask":"set","changes":[["eth0.ipv4","192.0.2.10/24"]]}   ─▶   {"rows":[...],"data":{...}}  or  {"problems":[...]}
//! ```
//! The first line of a connection says where somebody stands ([`Ask::Hello`]). What that allows is decided by the server,
//! by who opened the connection and by what was proven on it since.

use domain::appliance::request::{Haste, Tier};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::net::Ipv4Addr;

/// Longest line either way, in bytes.
pub const LINE_BYTES: usize = 256 * 1024;
/// Longest text of one answer in an [`Ask`], in bytes.
pub const TEXT_BYTES: usize = 1024;

/// A password or code on its way: it never prints.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Ask {
    /// Who is there.
    Hello {
        /// Where.
        at: Where,
    },
    /// All that a menu shows of the box.
    Facts,
    /// Something in full.
    Show {
        /// What.
        view: View,
    },
    /// The label's code.
    Prove {
        /// For what.
        purpose: Purpose,
        /// It.
        code: Hidden,
    },
    /// The panel's keys were held.
    Held,
    /// The administrator's password from now on, after a proof; made up here if none is given.
    Own {
        /// It.
        password: Option<Hidden>,
    },
    /// The administrator is there.
    Login {
        /// The password.
        password: Hidden,
    },
    /// Nobody is there any more.
    Logout,
    /// Somebody pressed a key: the session is not idle.
    Awake,
    /// Write changes down.
    Set {
        /// Fields and their texts.
        changes: Vec<(String, String)>,
    },
    /// Forget what is written down.
    Discard,
    /// Put it in force, on trial.
    Apply,
    /// Let it stand.
    Confirm,
    /// Go back.
    TakeBack,
    /// Change the password.
    Password {
        /// The one until now.
        old: Hidden,
        /// The one from now on.
        new: Hidden,
    },
    /// Forget settings, or everything.
    Reset {
        /// Which.
        tier: Tier,
        /// What was typed to show that it is meant.
        phrase: String,
        /// The label's code.
        code: Hidden,
    },
    /// Restart the box.
    Reboot {
        /// How.
        haste: Haste,
    },
    /// Switch the box off.
    PowerOff {
        /// How.
        haste: Haste,
    },
    /// Take no new calls.
    Drain,
    /// Take calls again.
    Resume,
    /// Have the gateway hear somebody again whom it blocked.
    Forgive {
        /// Whom.
        address: IpAddr,
    },
    /// Blink, so that somebody finds the box.
    Locate {
        /// For how many minutes; 0 ends it.
        minutes: u16,
    },
    /// Try a way.
    Test {
        /// Which.
        which: Path,
        /// Where to, if not as configured.
        to: Option<String>,
    },
    /// Put a support bundle together.
    Bundle {
        /// Its file's name.
        file: String,
    },
}

/// Where somebody stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Where {
    /// At the serial console.
    Serial,
    /// At the front panel.
    Panel,
    /// At a command line.
    Command,
    /// At the administration's page or API, which the gateway serves.
    Page,
}

/// What a code is given for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// To claim the box.
    Claim,
    /// To set a lost password anew.
    Recover,
    /// To change something at the panel.
    Unlock,
}

/// What can be shown in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum View {
    /// How the box is.
    Status,
    /// Interfaces, addresses, routes, servers as they are.
    Network,
    /// The settings as they would be applied.
    Settings,
    /// What is changed and where the change is.
    Changes,
    /// The two slots.
    Slots,
    /// Why it restarted.
    Reasons,
    /// Which box this is.
    Identity,
    /// Temperatures, fans, voltages.
    Sensors,
    /// The clock and where it is set from.
    Clock,
    /// Who did what.
    Audit,
    /// The records its domain needs.
    DnsPlan,
}

/// A way that can be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Path {
    /// To the gateway of its network.
    Gateway,
    /// To its domain's records.
    Dns,
    /// To the time servers.
    Ntp,
    /// To the conference.
    Conference,
}

/// What is told.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// For people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<Row>,
    /// For programs.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub data: serde_json::Value,
    /// Why it was not done; empty if it was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// A line for people: what, and how it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// What; may be empty.
    pub label: String,
    /// How it is.
    pub value: String,
}

/// All that a menu shows of the box.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// The release.
    pub version: String,
    /// The box's name in force.
    pub host_name: String,
    /// Its serial number.
    pub serial_number: Option<String>,
    /// Whether it has an owner.
    pub ownership: Ownership,
    /// How many digits of the code the panel asks for; none if the box has no code.
    pub panel_digits: Option<usize>,
    /// What this connection may do.
    pub authority: Authority,
    /// What the panel may do: `full`, `view`, `off`.
    pub panel: String,
    /// Where a change is.
    pub stage: Stage,
    /// What is changed, line by line.
    pub difference: Vec<String>,
    /// Every field of the latest settings and its text.
    pub fields: Vec<(String, String)>,
    /// The interfaces as they are.
    pub interfaces: Vec<Nic>,
    /// The DNS servers in force, learned ones included.
    pub dns: Vec<String>,
    /// How long a lost password can still be set anew, in seconds.
    pub recovery_left: Option<u64>,
    /// Whether the locate lamp blinks.
    pub locate: Locate,
    /// What somebody should look at.
    pub alarms: Vec<String>,
    /// How the gateway is, in a few words.
    pub summary: String,
    /// Calls that stand, if the gateway says so.
    pub calls: Option<u64>,
    /// The slot that runs.
    pub slot: Option<String>,
}

/// Whether the box has an owner.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ownership {
    /// Nobody's.
    #[default]
    Unclaimed,
    /// Somebody's.
    Claimed,
}

/// What a connection may do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Authority {
    /// Look.
    #[default]
    Nobody,
    /// Change the box, at the panel.
    Unlocked,
    /// Everything.
    Administrator,
}

/// Whether the locate lamp blinks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Locate {
    /// It does not.
    #[default]
    Off,
    /// It does.
    On,
}

/// Where a change is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Nothing is changed.
    #[default]
    Standing,
    /// Written down.
    Staged,
    /// In force, on trial for so many seconds more.
    OnTrial(u64),
}

/// An interface as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nic {
    /// Its name.
    pub name: String,
    /// Its hardware address.
    pub mac: String,
    /// Its link: `up, 1000 Mbit/s` or `down`.
    pub link: String,
    /// Its addresses, with prefix lengths.
    pub addresses: Vec<String>,
    /// Its IPv4 gateway.
    pub gateway: Option<Ipv4Addr>,
    /// Who stamps its packets, and why, once that was found out.
    pub stamps: Option<String>,
}

impl Reply {
    /// Done, and nothing more to say.
    #[must_use]
    pub fn said(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { data: serde_json::json!({ "done": text }), rows: vec![Row::text(text)], problems: Vec::new() }
    }

    /// Not done.
    #[must_use]
    pub fn refused(problems: impl IntoIterator<Item = impl ToString>) -> Self {
        Self {
            problems: problems.into_iter().map(|problem| problem.to_string()).collect(),
            ..Self::default()
        }
    }

    /// Whether it was done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.problems.is_empty()
    }
}

impl Row {
    /// What, and how it is.
    #[must_use]
    pub fn new(label: impl Into<String>, value: impl ToString) -> Self {
        Self { label: label.into(), value: value.to_string() }
    }

    /// A sentence.
    #[must_use]
    pub fn text(value: impl Into<String>) -> Self {
        Self { label: String::new(), value: value.into() }
    }
}

impl Facts {
    /// The text of a field of the latest settings.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str())
    }
}

impl View {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Status,
        Self::Network,
        Self::Settings,
        Self::Changes,
        Self::Slots,
        Self::Reasons,
        Self::Identity,
        Self::Sensors,
        Self::Clock,
        Self::Audit,
        Self::DnsPlan,
    ];
}

impl Where {
    /// As the audit log calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Serial => "serial",
            Self::Panel => "panel",
            Self::Command => "command",
            Self::Page => "page",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_and_replies_cross_as_one_line_and_no_password_prints() {
        let asks = [
            Ask::Hello { at: Where::Serial },
            Ask::Login { password: Hidden("hunter2hunter2".into()) },
            Ask::Set { changes: vec![("eth0.ipv4".into(), "dhcp\n".into())] },
            Ask::Reset {
                tier: Tier::Everything,
                phrase: "reset everything".into(),
                code: Hidden("4711".into()),
            },
            Ask::Own { password: None },
        ];
        for ask in asks {
            let line = serde_json::to_string(&ask).unwrap();
            assert!(!line.contains('\n'));
            assert_eq!(serde_json::from_str::<Ask>(&line).unwrap(), ask);
            assert!(!format!("{ask:?}").contains("hunter2") && !format!("{ask:?}").contains("4711"));
        }
        let facts = Facts { stage: Stage::OnTrial(97), ..Facts::default() };
        assert_eq!(serde_json::from_value::<Facts>(serde_json::to_value(&facts).unwrap()).unwrap(), facts);
        for wrong in
            ["{\"ask\":\"fly\"}", "{\"ask\":\"set\"}", "{\"ask\":\"locate\",\"minutes\":1,\"x\":2}", "{}"]
        {
            assert!(serde_json::from_str::<Ask>(wrong).is_err(), "{wrong}");
        }
    }
}
