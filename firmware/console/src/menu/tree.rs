//! The tree of screens: what stands on each, what it leads to, and which command does the same.

use super::form::FormKind;
use super::{Reach, form};
use crate::protocol::{Ask, Authority, Facts, Locate, Path, Stage, View};
use domain::appliance::Of;
use domain::appliance::request::Tier;

/// A screen of entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Menu {
    /// The first one.
    Main,
    /// Interfaces, and what is set for all of them.
    Network,
    /// One interface.
    Nic(String),
    /// A change on its way.
    Changes,
    /// Ways that can be tried.
    Tests,
    /// The box.
    System,
    /// How it goes down.
    Power,
    /// Who may do what.
    Access,
    /// How it forgets.
    Reset,
}

/// What an entry leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// Another screen.
    Menu(Menu),
    /// Something to read.
    View(View),
    /// Something to fill in.
    Form(FormKind),
    /// Something that is done at once.
    Ask(Ask),
    /// The prompt for commands.
    CommandLine,
}

/// An entry of a screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// On a wide screen.
    pub title: String,
    /// In at most 14 characters.
    pub short: String,
    /// How it is set now, where it is a setting.
    pub value: Option<String>,
    /// Where it leads.
    pub item: Item,
}

/// What an entry needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: it only shows.
    Nothing,
    /// Who may change the box.
    Authority,
}

impl Item {
    /// What it needs.
    #[must_use]
    pub fn needs(&self) -> Needs {
        match self {
            Self::Menu(_) | Self::View(_) | Self::CommandLine | Self::Ask(Ask::Test { .. } | Ask::Logout) => {
                Needs::Nothing
            }
            Self::Form(_) | Self::Ask(_) => Needs::Authority,
        }
    }
}

impl Menu {
    /// What stands above it.
    #[must_use]
    pub fn title(&self) -> String {
        match self {
            Self::Main => "Main menu".to_owned(),
            Self::Network => "Network".to_owned(),
            Self::Nic(name) => format!("Interface {name}"),
            Self::Changes => "Changes".to_owned(),
            Self::Tests => "Tests".to_owned(),
            Self::System => "System".to_owned(),
            Self::Power => "Power".to_owned(),
            Self::Access => "Access".to_owned(),
            Self::Reset => "Factory reset".to_owned(),
        }
    }
}

fn entry(title: impl Into<String>, short: impl Into<String>, item: Item) -> Entry {
    Entry { title: title.into(), short: short.into(), value: None, item }
}

fn setting(facts: &Facts, title: &str, short: &str, field: &str) -> Entry {
    let value = facts.field(field).map(str::to_owned);
    Entry { value, ..entry(title, short, Item::Form(FormKind::Field(field.to_owned()))) }
}

/// What stands on `menu` now.
#[must_use]
pub fn entries(menu: &Menu, facts: &Facts, reach: Reach) -> Vec<Entry> {
    let mut list = all(menu, facts, reach);
    if reach == Reach::FourKeys && facts.panel == "view" {
        list.retain(|entry| {
            entry.item.needs() == Needs::Nothing
                && !matches!(entry.item, Item::Menu(Menu::Changes | Menu::Power | Menu::Access | Menu::Reset))
        });
    }
    list
}

fn all(menu: &Menu, facts: &Facts, reach: Reach) -> Vec<Entry> {
    let view = |title: &str, short: &str, view| entry(title, short, Item::View(view));
    let form = |title: &str, short: &str, kind| entry(title, short, Item::Form(kind));
    match menu {
        Menu::Main => main(facts, reach),
        Menu::Network => {
            let nic = |nic: &String| {
                let value = facts.field(&format!("{nic}.ipv4")).map(str::to_owned);
                Entry {
                    value,
                    ..entry(format!("Interface {nic}"), nic.clone(), Item::Menu(Menu::Nic(nic.clone())))
                }
            };
            let mut list: Vec<_> = form::interfaces(facts).iter().map(nic).collect();
            list.extend([
                setting(facts, "DNS servers", "DNS servers", "dns"),
                setting(facts, "Search domains", "Search domains", "search"),
                setting(facts, "Time servers", "Time servers", "time"),
                setting(facts, "Host name", "Host name", "host-name"),
                view("As it is now", "As it is now", View::Network),
            ]);
            list
        }
        Menu::Nic(name) => {
            let titles = [
                (Of::Ipv4, "IPv4 address", "IPv4"),
                (Of::Ipv4Gateway, "IPv4 gateway", "IPv4 gateway"),
                (Of::Ipv6, "IPv6 address", "IPv6"),
                (Of::Ipv6Gateway, "IPv6 gateway", "IPv6 gateway"),
                (Of::Vlan, "VLAN", "VLAN"),
                (Of::Mtu, "MTU", "MTU"),
            ];
            let one = |(of, title, short): (Of, &str, &str)| {
                setting(facts, title, short, &format!("{name}.{}", of.name()))
            };
            titles.into_iter().map(one).collect()
        }
        Menu::Changes => changes(facts),
        Menu::Tests => vec![
            test("Gateway: does the network's router answer?", "Gateway", Path::Gateway),
            test("DNS: are the domain's records there and right?", "DNS", Path::Dns),
            test("NTP: is the clock right?", "NTP", Path::Ntp),
            test("Conference: is it reached by TCP and UDP?", "Conference", Path::Conference),
            view("DNS plan: the records the domain needs", "DNS plan", View::DnsPlan),
        ],
        Menu::System => vec![
            view("Identity: serial number, addresses, release", "Identity", View::Identity),
            view("Slots: which release runs, which comes next", "Slots", View::Slots),
            view("Reasons: why the box or a service restarted", "Reasons", View::Reasons),
            view("Sensors: temperatures, fans, voltages", "Sensors", View::Sensors),
            view("Clock", "Clock", View::Clock),
            view("Audit log: who did what", "Audit log", View::Audit),
            locate(facts),
            form("Support bundle", "Support bundle", FormKind::Bundle),
        ],
        Menu::Power => vec![
            form("Drain: take no new calls", "Drain", FormKind::Drain),
            entry("Resume: take calls again", "Resume", Item::Ask(Ask::Resume)),
            form("Restart", "Restart", FormKind::Reboot),
            form("Power off", "Power off", FormKind::PowerOff),
        ],
        Menu::Access => access(facts, reach),
        Menu::Reset => vec![
            form("Settings: address, DNS, time, host name", "Settings", FormKind::Reset(Tier::Settings)),
            form("Everything: the box is as delivered", "Everything", FormKind::Reset(Tier::Everything)),
        ],
    }
}

fn main(facts: &Facts, reach: Reach) -> Vec<Entry> {
    let go = |title: &str, short: &str, menu| entry(title, short, Item::Menu(menu));
    let mut list = Vec::new();
    match facts.stage {
        Stage::OnTrial(_) => {
            list.push(entry("Confirm the change: let it stand", "Confirm change", Item::Ask(Ask::Confirm)));
        }
        Stage::Staged => {
            list.push(entry("Apply the change, on trial", "Apply change", Item::Form(FormKind::Apply)))
        }
        Stage::Standing => {}
    }
    list.extend([
        entry("Status", "Status", Item::View(View::Status)),
        entry("Set up step by step", "Set up", Item::Form(FormKind::Wizard)),
        go("Network", "Network", Menu::Network),
        go("Changes", "Changes", Menu::Changes),
        go("Tests", "Tests", Menu::Tests),
        go("System", "System", Menu::System),
        go("Power", "Power", Menu::Power),
        go("Access", "Access", Menu::Access),
        go("Factory reset", "Factory reset", Menu::Reset),
    ]);
    if reach == Reach::Keyboard {
        list.push(entry("Command line", "Command line", Item::CommandLine));
    }
    if facts.authority > Authority::Nobody {
        let (title, short) = match reach {
            Reach::Keyboard => ("Log out", "Log out"),
            Reach::FourKeys => ("Lock", "Lock"),
        };
        list.push(entry(title, short, Item::Ask(Ask::Logout)));
    }
    list
}

fn changes(facts: &Facts) -> Vec<Entry> {
    let mut list = vec![entry("Show what is changed", "Show", Item::View(View::Changes))];
    match facts.stage {
        Stage::Standing => {}
        Stage::Staged => list.extend([
            entry("Apply, on trial for 120 s", "Apply", Item::Form(FormKind::Apply)),
            entry("Discard", "Discard", Item::Ask(Ask::Discard)),
        ]),
        Stage::OnTrial(_) => list.extend([
            entry("Confirm: let it stand", "Confirm", Item::Ask(Ask::Confirm)),
            entry("Take it back now", "Take back", Item::Ask(Ask::TakeBack)),
        ]),
    }
    list.push(entry("Show all settings", "All settings", Item::View(View::Settings)));
    list
}

fn access(facts: &Facts, reach: Reach) -> Vec<Entry> {
    let settings = [
        setting(facts, "Front panel: full, view or off", "Front panel", "panel"),
        setting(facts, "Setting a lost password anew", "Lost password", "recovery"),
        setting(facts, "Minutes until an idle session is locked", "Idle minutes", "idle-minutes"),
    ];
    let password = entry("Change the password", "Password", Item::Form(FormKind::Password));
    let own = (reach == Reach::Keyboard).then_some(password);
    own.into_iter().chain(settings).collect()
}

fn test(title: &str, short: &str, which: Path) -> Entry {
    entry(title, short, Item::Ask(Ask::Test { which, to: None }))
}

fn locate(facts: &Facts) -> Entry {
    match facts.locate {
        Locate::Off => {
            entry("Locate: blink for 15 minutes", "Locate on", Item::Ask(Ask::Locate { minutes: 15 }))
        }
        Locate::On => entry("Locate: stop blinking", "Locate off", Item::Ask(Ask::Locate { minutes: 0 })),
    }
}
