//! The fields of the settings as people name them: `host-name`, `dns`, `eth0.ipv4`. One name, one text form, everywhere.
//!
//! A field's text is what is shown, typed, keyed, compared and stored; what has no value reads `none`, `auto`, `off`.

use super::settings::{Draft, IDLE_MINUTES, Interface, Ipv4, Ipv6, PanelUse, Problem, Problems, Recovery};
use super::values::{
    self, DomainName, HostName, InterfaceName, Ipv4Net, Ipv6Net, Mtu, Server, VALUE_BYTES, VlanId, shown,
};
use std::fmt;

/// A field of the settings.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// The box's name.
    HostName,
    /// Something of an interface.
    Of(InterfaceName, Of),
    /// The DNS servers.
    Dns,
    /// The search domains.
    Search,
    /// The time servers.
    Time,
    /// What the front panel may do.
    Panel,
    /// Whether a password can be set anew by who stands before the box.
    Recovery,
    /// How long a session may stand idle.
    Idle,
}

/// What of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Of {
    /// Its VLAN.
    Vlan,
    /// Its IPv4 address.
    Ipv4,
    /// Its IPv4 gateway.
    Ipv4Gateway,
    /// Its IPv6 address.
    Ipv6,
    /// Its IPv6 gateway.
    Ipv6Gateway,
    /// Its MTU.
    Mtu,
}

impl Of {
    /// All of them, in the order in which they are set.
    pub const ALL: [Self; 6] =
        [Self::Vlan, Self::Ipv4, Self::Ipv4Gateway, Self::Ipv6, Self::Ipv6Gateway, Self::Mtu];

    /// As it is written in commands.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Vlan => "vlan",
            Self::Ipv4 => "ipv4",
            Self::Ipv4Gateway => "ipv4-gateway",
            Self::Ipv6 => "ipv6",
            Self::Ipv6Gateway => "ipv6-gateway",
            Self::Mtu => "mtu",
        }
    }
}

const BOX_FIELDS: [(&str, Field); 7] = [
    ("host-name", Field::HostName),
    ("dns", Field::Dns),
    ("search", Field::Search),
    ("time", Field::Time),
    ("panel", Field::Panel),
    ("recovery", Field::Recovery),
    ("idle-minutes", Field::Idle),
];

const PANEL: [(&str, PanelUse); 3] =
    [("full", PanelUse::Full), ("view", PanelUse::View), ("off", PanelUse::Off)];
const RECOVERY: [(&str, Recovery); 2] = [("allowed", Recovery::Allowed), ("disabled", Recovery::Disabled)];

impl Field {
    /// Every field of `draft`, in the order in which they are shown.
    #[must_use]
    pub fn all(draft: &Draft) -> Vec<Self> {
        let of = |interface: &Interface| {
            let name = interface.name.clone();
            Of::ALL.into_iter().map(move |of| Self::Of(name.clone(), of))
        };
        let interfaces = draft.interfaces.iter().flat_map(of);
        let rest = [Self::Dns, Self::Search, Self::Time, Self::Panel, Self::Recovery, Self::Idle];
        std::iter::once(Self::HostName).chain(interfaces).chain(rest).collect()
    }

    /// Reads a field's name.
    ///
    /// # Errors
    /// Which names there are.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some((_, field)) = BOX_FIELDS.iter().find(|(name, _)| *name == text) {
            return Ok(field.clone());
        }
        let known = || {
            let names: Vec<_> = BOX_FIELDS.iter().map(|(name, _)| *name).collect();
            let of: Vec<_> = Of::ALL.iter().map(|of| of.name()).collect();
            format!(
                "{} is no setting; take {}, or <interface>. and {}",
                shown(text),
                names.join(", "),
                of.join(", ")
            )
        };
        let (interface, of) = text.rsplit_once('.').ok_or_else(known)?;
        let of = Of::ALL.into_iter().find(|known| known.name() == of).ok_or_else(known)?;
        Ok(Self::Of(InterfaceName::parse(interface)?, of))
    }

    /// What may be written for it, as a hint.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::HostName => "letters, digits, hyphens",
            Self::Of(_, Of::Vlan) => "1-4094 or none",
            Self::Of(_, Of::Ipv4) => "dhcp, off or 192.0.2.10/24",
            Self::Of(_, Of::Ipv4Gateway) => "an address or none",
            Self::Of(_, Of::Ipv6) => "auto, dhcp, off or 2001:db8::10/64",
            Self::Of(_, Of::Ipv6Gateway) => "an address or none",
            Self::Of(_, Of::Mtu) => "576-9216 or auto",
            Self::Dns => "up to 3 addresses, or none",
            Self::Search => "up to 6 domains, or none",
            Self::Time => "up to 4 names or addresses, or none",
            Self::Panel => "full, view or off",
            Self::Recovery => "allowed or disabled",
            Self::Idle => "1-60",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Of(interface, of) => write!(f, "{interface}.{}", of.name()),
            other => {
                let named = BOX_FIELDS.iter().find(|(_, field)| field == other);
                f.write_str(named.map_or("", |(name, _)| name))
            }
        }
    }
}

impl Draft {
    /// The text of `field`; `None` for an interface that is not there.
    #[must_use]
    pub fn get(&self, field: &Field) -> Option<String> {
        let or = |text: Option<String>, without: &str| text.unwrap_or_else(|| without.to_owned());
        Some(match field {
            Field::HostName => self.host_name.to_string(),
            Field::Dns => list(&self.dns),
            Field::Search => list(&self.search),
            Field::Time => list(&self.time),
            Field::Panel => word_of(&PANEL, &self.panel),
            Field::Recovery => word_of(&RECOVERY, &self.recovery),
            Field::Idle => self.idle_minutes.to_string(),
            Field::Of(name, of) => {
                let interface = self.interface(name)?;
                match of {
                    Of::Vlan => or(interface.vlan.map(|vlan| vlan.to_string()), "none"),
                    Of::Ipv4 => interface.ipv4.to_string(),
                    Of::Ipv4Gateway => or(interface.ipv4_gateway.map(|gateway| gateway.to_string()), "none"),
                    Of::Ipv6 => interface.ipv6.to_string(),
                    Of::Ipv6Gateway => or(interface.ipv6_gateway.map(|gateway| gateway.to_string()), "none"),
                    Of::Mtu => or(interface.mtu.map(|mtu| mtu.to_string()), "auto"),
                }
            }
        })
    }

    /// Sets `field` to what `text` says. A gateway goes with the static address it belonged to.
    ///
    /// # Errors
    /// What is wrong; nothing is changed then.
    pub fn set(&mut self, field: &Field, text: &str) -> Result<(), Problem> {
        let wrong = |message| Problem { field: field.to_string(), message };
        if text.len() > VALUE_BYTES {
            return Err(wrong(format!("has {} bytes; at most {VALUE_BYTES} are taken", text.len())));
        }
        self.change(field, text.trim()).map_err(wrong)
    }

    fn change(&mut self, field: &Field, text: &str) -> Result<(), String> {
        match field {
            Field::HostName => self.host_name = HostName::parse(text)?,
            Field::Dns => self.dns = items(text, values::server_address)?,
            Field::Search => self.search = items(text, DomainName::parse)?,
            Field::Time => self.time = items(text, Server::parse)?,
            Field::Panel => self.panel = word(&PANEL, text)?,
            Field::Recovery => self.recovery = word(&RECOVERY, text)?,
            Field::Idle => self.idle_minutes = minutes(text)?,
            Field::Of(name, of) => {
                let names: Vec<_> = self.interfaces.iter().map(|i| i.name.to_string()).collect();
                let interface = self.interface_mut(name).ok_or_else(|| {
                    format!("is of an interface that is not there; take {}", names.join(", "))
                })?;
                change_interface(interface, *of, text)?;
            }
        }
        Ok(())
    }

    /// Sets several fields: all of them, or none.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn set_all<'t>(
        &mut self,
        changes: impl IntoIterator<Item = (&'t str, &'t str)>,
    ) -> Result<(), Problems> {
        let (mut changed, mut problems) = (self.clone(), Vec::new());
        for (name, text) in changes {
            let set = Field::parse(name)
                .map_err(|message| Problem { field: String::new(), message })
                .and_then(|field| changed.set(&field, text));
            problems.extend(set.err());
        }
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        *self = changed;
        Ok(())
    }

    /// Every field and its text, in the order in which they are shown.
    #[must_use]
    pub fn fields(&self) -> Vec<(Field, String)> {
        Field::all(self).into_iter().filter_map(|field| self.get(&field).map(|text| (field, text))).collect()
    }

    /// What `after` has otherwise, one readable line a field.
    #[must_use]
    pub fn difference(&self, after: &Self) -> Vec<String> {
        let (before, after) = (self.fields(), after.fields());
        let find = |list: &[(Field, String)], wanted: &Field| {
            list.iter().find(|(field, _)| field == wanted).map(|(_, text)| text.clone())
        };
        let gone = before.iter().filter(|(field, _)| find(&after, field).is_none());
        let gone = gone.map(|(field, text)| format!("{field}: {text} -> gone"));
        let changed = after.iter().filter_map(|(field, text)| match find(&before, field) {
            Some(old) if old == *text => None,
            Some(old) => Some(format!("{field}: {old} -> {text}")),
            None => Some(format!("{field}: new -> {text}")),
        });
        gone.chain(changed).collect()
    }
}

fn change_interface(interface: &mut Interface, of: Of, text: &str) -> Result<(), String> {
    match of {
        Of::Vlan => interface.vlan = unless("none", text, VlanId::parse)?,
        Of::Mtu => interface.mtu = unless("auto", text, Mtu::parse)?,
        Of::Ipv4Gateway => interface.ipv4_gateway = unless("none", text, values::gateway4)?,
        Of::Ipv6Gateway => interface.ipv6_gateway = unless("none", text, values::gateway6)?,
        Of::Ipv4 => {
            interface.ipv4 = Ipv4::parse(text)?;
            if !matches!(interface.ipv4, Ipv4::Static(_)) {
                interface.ipv4_gateway = None;
            }
        }
        Of::Ipv6 => {
            interface.ipv6 = Ipv6::parse(text)?;
            if !matches!(interface.ipv6, Ipv6::Static(_)) {
                interface.ipv6_gateway = None;
            }
        }
    }
    Ok(())
}

impl Ipv4 {
    /// Reads `off`, `dhcp` or an address with its prefix length.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            "dhcp" => Ok(Self::Dhcp),
            other => Ipv4Net::parse(other).map(Self::Static),
        }
    }
}

impl Ipv6 {
    /// Reads `off`, `auto`, `dhcp` or an address with its prefix length.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            "auto" => Ok(Self::Auto),
            "dhcp" => Ok(Self::Dhcp),
            other => Ipv6Net::parse(other).map(Self::Static),
        }
    }
}

impl fmt::Display for Ipv4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Dhcp => f.write_str("dhcp"),
            Self::Static(net) => net.fmt(f),
        }
    }
}

impl fmt::Display for Ipv6 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Auto => f.write_str("auto"),
            Self::Dhcp => f.write_str("dhcp"),
            Self::Static(net) => net.fmt(f),
        }
    }
}

fn list<T: ToString>(items: &[T]) -> String {
    if items.is_empty() {
        return "none".to_owned();
    }
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// Items between spaces or commas.
fn items<T>(text: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    if text == "none" {
        return Ok(Vec::new());
    }
    let words: Vec<_> = text.split([' ', ',', '\t']).filter(|word| !word.is_empty()).collect();
    if words.is_empty() {
        return Err("is empty; write none, or one or more with spaces between".to_owned());
    }
    words.into_iter().map(parse).collect()
}

fn unless<T>(
    without: &str,
    text: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, String> {
    if text == without { Ok(None) } else { parse(text).map(Some) }
}

fn word<T: Copy>(words: &[(&str, T)], text: &str) -> Result<T, String> {
    words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning).ok_or_else(|| {
        let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        format!("{} is not known; take {}", shown(text), known.join(", "))
    })
}

fn word_of<T: PartialEq>(words: &[(&str, T)], meaning: &T) -> String {
    words.iter().find(|(_, known)| known == meaning).map_or("", |(word, _)| *word).to_owned()
}

fn minutes(text: &str) -> Result<u16, String> {
    let (least, most) = (IDLE_MINUTES.start(), IDLE_MINUTES.end());
    let number =
        text.parse::<u16>().ok().filter(|number| IDLE_MINUTES.contains(number) && !text.starts_with('+'));
    number.ok_or_else(|| format!("{} is out of range; take {least} to {most} minutes", shown(text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn draft() -> Draft {
        let name = |text| InterfaceName::parse(text).unwrap();
        Draft::delivered(&[name("eth0"), name("eth1")], None)
    }

    #[test]
    fn a_difference_reads_line_by_line() {
        let before = draft();
        let mut after = before.clone();
        after
            .set_all([
                ("host-name", "rack-7"),
                ("eth0.ipv4", "192.0.2.10/24"),
                ("eth0.ipv4-gateway", "192.0.2.1"),
                ("eth0.vlan", "20"),
                ("dns", "192.0.2.53, 2001:db8::53"),
            ])
            .unwrap();
        after.interfaces.pop();
        assert_eq!(
            before.difference(&after),
            [
                "eth1.vlan: none -> gone",
                "eth1.ipv4: dhcp -> gone",
                "eth1.ipv4-gateway: none -> gone",
                "eth1.ipv6: auto -> gone",
                "eth1.ipv6-gateway: none -> gone",
                "eth1.mtu: auto -> gone",
                "host-name: gantry -> rack-7",
                "eth0.vlan: none -> 20",
                "eth0.ipv4: dhcp -> 192.0.2.10/24",
                "eth0.ipv4-gateway: none -> 192.0.2.1",
                "dns: none -> 192.0.2.53 2001:db8::53",
            ]
        );
        assert_eq!(before.difference(&before), Vec::<String>::new());
    }

    #[test]
    fn several_changes_are_made_all_or_none_and_every_mistake_is_told() {
        let before = draft();
        let mut after = before.clone();
        let problems = after
            .set_all([
                ("host-name", "fine"),
                ("eth0.ipv4", "192.0.2.10"),
                ("eth9.mtu", "1500"),
                ("dnss", "x"),
            ])
            .unwrap_err();
        assert_eq!(problems.0.len(), 3, "{problems}");
        assert!(
            problems.to_string().starts_with("eth0.ipv4 \"192.0.2.10\" has no prefix length"),
            "{problems}"
        );
        assert!(
            problems.to_string().contains("eth9.mtu is of an interface that is not there; take eth0, eth1")
        );
        assert!(problems.to_string().contains("\"dnss\" is no setting; take host-name, dns"), "{problems}");
        assert_eq!(after, before);
    }

    #[test]
    fn a_gateway_goes_with_the_static_address_it_belonged_to() {
        let mut draft = draft();
        draft.set_all([("eth0.ipv4", "192.0.2.10/24"), ("eth0.ipv4-gateway", "192.0.2.1")]).unwrap();
        draft.set_all([("eth0.ipv4", "dhcp")]).unwrap();
        assert!(draft.settle().is_ok());
    }

    #[test]
    fn every_field_has_a_name_that_reads_back_and_a_text_that_sets_the_same() {
        let mut full = draft();
        full.set_all([
            ("eth0.ipv4", "192.0.2.10/24"),
            ("eth0.ipv4-gateway", "192.0.2.1"),
            ("eth0.ipv6", "2001:db8::10/64"),
            ("eth0.ipv6-gateway", "fe80::1"),
            ("eth0.mtu", "9000"),
            ("eth0.vlan", "20"),
            ("search", "a.example b.example"),
            ("time", "ntp.example.com 192.0.2.123"),
            ("panel", "view"),
            ("recovery", "disabled"),
            ("idle-minutes", "5"),
        ])
        .unwrap();
        for draft in [draft(), full] {
            for (field, text) in draft.fields() {
                assert_eq!(Field::parse(&field.to_string()).as_ref(), Ok(&field));
                let mut again = draft.clone();
                again.set(&field, &text).unwrap_or_else(|problem| panic!("{problem}"));
                assert_eq!(again.get(&field), Some(text), "{field}");
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_typed_makes_a_setting_panic_or_stay_half_set(name in "[a-z0-9.-]{0,20}", text in any::<String>()) {
            let before = draft();
            let mut after = before.clone();
            let names = ["host-name", "dns", "time", "search", "eth0.ipv4", "eth0.ipv6", "eth0.mtu", "eth1.vlan", "idle-minutes", name.as_str()];
            for field in names {
                if after.set_all([("host-name", "x1"), (field, text.as_str())]).is_err() {
                    prop_assert_eq!(&after, &before);
                } else {
                    for (field, value) in after.fields() {
                        prop_assert!(before.clone().set(&field, &value).is_ok(), "{} {}", field, value);
                    }
                    after = before.clone();
                }
            }
        }
    }
}
