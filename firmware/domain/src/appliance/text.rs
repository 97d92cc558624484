//! Settings as one TOML text: what is stored, sent to the programs that act on it, and shown.
//!
//! ```toml
//! host-name = "gantry-004711"
//! dns = ["192.0.2.53"]
//! time = ["ntp.example.com"]
//!
//! [[interfaces]]
//! name = "eth0"
//! vlan = 20
//! ipv4 = "192.0.2.10/24"
//! ipv4-gateway = "192.0.2.1"
//! ipv6 = "auto"
//! ```
//! What is left out is as on a new box, an interface's addresses are off.

use super::field::{Field, Of};
use super::settings::{Draft, Interface, Problem, Problems, Settings};
use super::values::{InterfaceName, shown};
use crate::config::read::{Document, Section};
use std::fmt::Write;
use toml::de::DeValue;

/// Longest text of settings that is read, in bytes.
pub const SETTINGS_BYTES: usize = 32 * 1024;

const BOX: [(&str, Field); 7] = [
    ("host-name", Field::HostName),
    ("dns", Field::Dns),
    ("search", Field::Search),
    ("time", Field::Time),
    ("panel", Field::Panel),
    ("recovery", Field::Recovery),
    ("idle-minutes", Field::Idle),
];

impl Settings {
    /// Reads settings.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn parse(text: &str) -> Result<Self, Problems> {
        if text.len() > SETTINGS_BYTES {
            let message = format!("settings have {} bytes; at most {SETTINGS_BYTES} are taken", text.len());
            return Err(Problems(vec![Problem { field: String::new(), message }]));
        }
        let (document, table) = Document::parse(text);
        let draft = {
            let root = document.root(&table);
            read(&root)
        };
        let problems = document.into_problems();
        if !problems.is_empty() {
            let told = |problem: crate::config::Problem| Problem {
                message: format!("{} (line {})", problem.message, problem.line),
                field: problem.field,
            };
            return Err(Problems(problems.into_iter().map(told).collect()));
        }
        draft.settle()
    }

    /// As text that reads back the same.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        write(self, &mut text);
        text
    }
}

/// What could be read; the problems are in the document.
fn read(root: &Section<'_, '_>) -> Draft {
    let mut draft = Draft::delivered(&[], None);
    for section in root.sections("interfaces") {
        let name = section.need(
            "name",
            |value| string(value).and_then(InterfaceName::parse),
            "write eth0 or the like",
        );
        let Some(name) = name else { continue };
        draft.interfaces.push(Interface::off(name.clone()));
        for of in Of::ALL {
            let Some(text) = section.take(of.name(), as_typed) else { continue };
            if let Err(problem) = draft.set(&Field::Of(name.clone(), of), &text) {
                section.wrong(of.name(), problem.message);
            }
        }
    }
    for (key, field) in BOX {
        let Some(text) = root.take(key, as_typed) else { continue };
        if let Err(problem) = draft.set(&field, &text) {
            root.wrong(key, problem.message);
        }
    }
    draft.interfaces.sort_by(|a, b| a.name.cmp(&b.name));
    draft
}

fn string<'v>(value: &'v DeValue<'_>) -> Result<&'v str, String> {
    value.as_str().ok_or_else(|| format!("must be a string, found {}", value.type_str()))
}

/// A string, a number or an array of strings, as somebody would type it.
fn as_typed(value: &DeValue<'_>) -> Result<String, String> {
    if let Some(number) = value.as_integer() {
        return Ok(number.as_str().to_owned());
    }
    let Some(items) = value.as_array() else { return string(value).map(str::to_owned) };
    let mut words = Vec::new();
    for item in items.as_ref() {
        let word = string(item.get_ref())?;
        if word.is_empty() || word == "none" || word.contains([' ', ',', '\t']) {
            return Err(format!("holds {}, which is not one value", shown(word)));
        }
        words.push(word);
    }
    Ok(if words.is_empty() { "none".to_owned() } else { words.join(" ") })
}

fn write(draft: &Draft, text: &mut String) {
    let mut line = |written: std::fmt::Arguments<'_>| {
        // Writing to a string cannot fail.
        let _ = text.write_fmt(written);
    };
    for (key, field) in &BOX {
        let value = draft.get(field).unwrap_or_default();
        match field {
            Field::Dns | Field::Search | Field::Time => {
                let items: Vec<_> = value
                    .split(' ')
                    .filter(|item| *item != "none")
                    .map(|item| format!("\"{item}\""))
                    .collect();
                line(format_args!("{key} = [{}]\n", items.join(", ")));
            }
            Field::Idle => line(format_args!("{key} = {value}\n")),
            _ => line(format_args!("{key} = \"{value}\"\n")),
        }
    }
    for interface in &draft.interfaces {
        line(format_args!("\n[[interfaces]]\nname = \"{}\"\n", interface.name));
        for of in Of::ALL {
            let value = draft.get(&Field::Of(interface.name.clone(), of)).unwrap_or_default();
            let said = !(value == "none" || value == "off" || (of == Of::Mtu && value == "auto"));
            match of {
                _ if !said => {}
                Of::Vlan | Of::Mtu => line(format_args!("{} = {value}\n", of.name())),
                _ => line(format_args!("{} = \"{value}\"\n", of.name())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(super) const FULL: &str = r#"host-name = "rack-7"
dns = ["192.0.2.53", "2001:db8::53"]
search = ["example.com"]
time = ["ntp.example.com", "192.0.2.123"]
panel = "view"
recovery = "disabled"
idle-minutes = 5

[[interfaces]]
name = "eth0"
vlan = 20
ipv4 = "192.0.2.10/24"
ipv4-gateway = "192.0.2.1"
ipv6 = "2001:db8::10/64"
ipv6-gateway = "fe80::1"
mtu = 9000

[[interfaces]]
name = "eth1"
ipv4 = "dhcp"
ipv6 = "auto"

[[interfaces]]
name = "eth2"
"#;

    #[test]
    fn settings_are_written_as_they_are_read() {
        let settings = Settings::parse(FULL).unwrap();
        assert_eq!(settings.to_toml(), FULL);
        assert!(settings.interfaces[2].is_off());
    }

    #[test]
    fn what_is_left_out_is_as_on_a_new_box() {
        let settings = Settings::parse("[[interfaces]]\nname = 'eth0'\nipv4 = 'dhcp'\n").unwrap();
        assert_eq!(settings.host_name.as_str(), "gantry");
        assert_eq!(settings.idle_minutes, 10);
        assert!(settings.dns.is_empty());
    }

    #[test]
    fn every_mistake_is_told_with_its_field_and_line() {
        let text = "host-name = 'a b'\ndns = ['x y']\nidel-minutes = 3\n[[interfaces]]\nname = 'eth0'\nipv4 = '1.2.3'\nvlan = 5000\n[[interfaces]]\nmtu = 1500\n";
        let problems = Settings::parse(text).unwrap_err().to_string();
        for part in [
            "host-name \"a b\" is no host name",
            "dns holds \"x y\", which is not one value (line 2)",
            "idel-minutes is unknown; did you mean \"idle-minutes\"? (line 3)",
            "interfaces[0].ipv4 \"1.2.3\" has no prefix length",
            "interfaces[0].vlan \"5000\" is no VLAN",
            "interfaces[1].name is missing",
        ] {
            assert!(problems.contains(part), "{part} is not in:\n{problems}");
        }
        let cross = "[[interfaces]]\nname = 'eth0'\nipv4 = '192.0.2.1/24'\nipv4-gateway = '10.0.0.1'\n";
        assert!(
            Settings::parse(cross).unwrap_err().to_string().contains("eth0.ipv4-gateway 10.0.0.1 is not in")
        );
        assert!(Settings::parse(&"#".repeat(SETTINGS_BYTES + 1)).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            drop(Settings::parse(&text));
        }

        #[test]
        fn a_damaged_text_is_refused_or_reads_back_the_same(at in 0..FULL.len(), with in any::<char>()) {
            let damaged: String = FULL.char_indices().map(|(i, c)| if i == at { with } else { c }).collect();
            if let Ok(settings) = Settings::parse(&damaged) {
                prop_assert_eq!(Settings::parse(&settings.to_toml()), Ok(settings));
            }
        }
    }
}
