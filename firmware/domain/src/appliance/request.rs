//! What the console asks the programs to do that may: one JSON object in a file, read again with the same suspicion as if
//! anybody had written it.
//!
//! ```text
//!  console (unprivileged) ─/run/gantry/apply/<what>─▶ path unit ─▶ gantry apply <what> (root): read, check, act, answer
//! ```

use super::settings::Settings;
use super::values::shown;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest request, in bytes.
pub const REQUEST_BYTES: usize = 64 * 1024;

/// What can be asked for; also the name of the request's file and of `gantry apply`'s word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// Put the network's settings in force.
    Network,
    /// Put the clock's settings in force.
    Time,
    /// Set the host name.
    HostName,
    /// Restart the box.
    Reboot,
    /// Switch the box off.
    PowerOff,
    /// Forget settings, or everything.
    FactoryReset,
    /// Take calls again after a drain.
    Resume,
}

/// A request that is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Put the network's settings in force.
    Network(Settings),
    /// Put the clock's settings in force.
    Time(Settings),
    /// Set the host name.
    HostName(Settings),
    /// Restart the box.
    Reboot(Haste),
    /// Switch the box off.
    PowerOff(Haste),
    /// Forget settings, or everything.
    FactoryReset(Tier),
    /// Take calls again.
    Resume,
}

/// How a box goes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Haste {
    /// Calls may end first, as long as the configuration lets them.
    Drained,
    /// At once.
    Now,
}

/// What a factory reset forgets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// Address, DNS, time, host name: as delivered. The administrator, the gateway's configuration and the logs stay.
    Settings,
    /// All the box ever learned but its identity: it is unclaimed again.
    Everything,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The request's number.
    pub id: u64,
    /// Empty, or what went wrong.
    pub error: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    id: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    settings: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    haste: Option<Haste>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tier: Option<Tier>,
}

impl What {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Network,
        Self::Time,
        Self::HostName,
        Self::Reboot,
        Self::PowerOff,
        Self::FactoryReset,
        Self::Resume,
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Time => "time",
            Self::HostName => "host-name",
            Self::Reboot => "reboot",
            Self::PowerOff => "power-off",
            Self::FactoryReset => "factory-reset",
            Self::Resume => "resume",
        }
    }

    /// Reads its name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|what| what.name() == text)
    }
}

impl Request {
    /// What it asks for.
    #[must_use]
    pub fn what(&self) -> What {
        match self {
            Self::Network(_) => What::Network,
            Self::Time(_) => What::Time,
            Self::HostName(_) => What::HostName,
            Self::Reboot(_) => What::Reboot,
            Self::PowerOff(_) => What::PowerOff,
            Self::FactoryReset(_) => What::FactoryReset,
            Self::Resume => What::Resume,
        }
    }

    /// As the file's text, under the number `id`.
    #[must_use]
    pub fn to_text(&self, id: u64) -> String {
        let mut written = Written { id, settings: None, haste: None, tier: None };
        match self {
            Self::Network(settings) | Self::Time(settings) | Self::HostName(settings) => {
                written.settings = Some(settings.to_toml());
            }
            Self::Reboot(haste) | Self::PowerOff(haste) => written.haste = Some(*haste),
            Self::FactoryReset(tier) => written.tier = Some(*tier),
            Self::Resume => {}
        }
        serde_json::to_string(&written).unwrap_or_default()
    }

    /// Reads the text of the file called `what`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(what: What, text: &str) -> Result<(u64, Self), String> {
        if text.len() > REQUEST_BYTES {
            return Err(format!("the request has {} bytes; at most {REQUEST_BYTES} are taken", text.len()));
        }
        let no_request =
            |error: serde_json::Error| format!("the request is none: {}", shown(&error.to_string()));
        let Written { id, settings, haste, tier } = serde_json::from_str(text).map_err(no_request)?;
        let settings = settings.map(|text| Settings::parse(&text)).transpose();
        let settings = settings.map_err(|problems| problems.to_string())?;
        let request = match (what, settings, haste, tier) {
            (What::Network, Some(settings), None, None) => Self::Network(settings),
            (What::Time, Some(settings), None, None) => Self::Time(settings),
            (What::HostName, Some(settings), None, None) => Self::HostName(settings),
            (What::Reboot, None, Some(haste), None) => Self::Reboot(haste),
            (What::PowerOff, None, Some(haste), None) => Self::PowerOff(haste),
            (What::FactoryReset, None, None, Some(tier)) => Self::FactoryReset(tier),
            (What::Resume, None, None, None) => Self::Resume,
            _ => return Err(format!("the request does not say what {what} needs, and only that")),
        };
        Ok((id, request))
    }
}

impl Tier {
    /// What must be typed to show that it is meant.
    #[must_use]
    pub fn phrase(self) -> &'static str {
        match self {
            Self::Settings => "reset settings",
            Self::Everything => "reset everything",
        }
    }

    /// Whether `typed` shows that it is meant.
    ///
    /// # Errors
    /// What must be typed.
    pub fn confirm(self, typed: &str) -> Result<(), String> {
        let meant = typed.trim().eq_ignore_ascii_case(self.phrase());
        if meant { Ok(()) } else { Err(format!("type {:?} to show that it is meant", self.phrase())) }
    }

    /// What it does, in sentences.
    #[must_use]
    pub fn consequences(self) -> &'static [&'static str] {
        match self {
            Self::Settings => &[
                "Address, VLAN, DNS, time servers and host name go back to as delivered.",
                "The password, the gateway's configuration and the logs stay.",
                "The box restarts.",
            ],
            Self::Everything => &[
                "Settings, password, the gateway's configuration, its keys and all logs are erased.",
                "The box is unclaimed again; its serial number and label code stay.",
                "The box restarts.",
            ],
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::Draft;
    use crate::appliance::values::InterfaceName;
    use proptest::prelude::*;

    fn requests() -> Vec<Request> {
        let settings = || Draft::delivered(&[InterfaceName::parse("eth0").unwrap()], None).settle().unwrap();
        vec![
            Request::Network(settings()),
            Request::Time(settings()),
            Request::HostName(settings()),
            Request::Reboot(Haste::Drained),
            Request::PowerOff(Haste::Now),
            Request::FactoryReset(Tier::Everything),
            Request::Resume,
        ]
    }

    #[test]
    fn requests_read_back_and_under_no_other_name() {
        for request in requests() {
            let text = request.to_text(7);
            assert_eq!(Request::parse(request.what(), &text), Ok((7, request.clone())), "{text}");
            assert_eq!(What::parse(request.what().name()), Some(request.what()));
            for other in What::ALL.into_iter().filter(|other| *other != request.what()) {
                let same_form = matches!(
                    (request.what(), other),
                    (
                        What::Network | What::Time | What::HostName,
                        What::Network | What::Time | What::HostName
                    ) | (What::Reboot | What::PowerOff, What::Reboot | What::PowerOff)
                );
                assert_eq!(Request::parse(other, &text).is_ok(), same_form, "{} as {other}", request.what());
            }
        }
    }

    #[test]
    fn what_anybody_could_have_written_is_refused() {
        for text in [
            "",
            "{}",
            "[]",
            "{\"id\":1}",
            "{\"id\":1,\"haste\":\"never\"}",
            "{\"id\":-1,\"haste\":\"now\"}",
            "{\"id\":1,\"haste\":\"now\",\"tier\":\"everything\"}",
            "{\"id\":1,\"haste\":\"now\",\"x\":1}",
        ] {
            assert!(Request::parse(What::Reboot, text).is_err(), "{text}");
        }
        let wrong = "{\"id\":1,\"settings\":\"[[interfaces]]\\nname='eth0'\\nipv4='1.2.3.4'\"}";
        let error = Request::parse(What::Network, wrong).unwrap_err();
        assert!(error.contains("interfaces[0].ipv4") && error.contains("prefix"), "{error}");
    }

    #[test]
    fn a_reset_is_typed_in_words() {
        assert_eq!(Tier::Everything.confirm(" Reset Everything "), Ok(()));
        assert!(Tier::Everything.confirm("reset settings").is_err());
        assert!(Tier::Settings.confirm("y").unwrap_err().contains("reset settings"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_or_restart_the_box(text in any::<String>()) {
            prop_assert!(Request::parse(What::Reboot, &text).is_err());
        }
    }
}
