//! Views: the box as rows for people and as data for programs. Pure; what is looked at comes in.

use crate::protocol::{Reply, Row, View};
use crate::world::{Gateway, Sync, Taking, World};
use domain::appliance::{Settings, audit, dns};
use hal::slots::{Slot, SlotStatus, Slots};
use serde_json::{Value, json};
use std::net::IpAddr;

/// Most reasons and audit lines that are shown.
const NEWEST: usize = 50;

/// Makes `view`. `audit` is the log's text, for the view that shows it.
#[must_use]
pub fn make(view: View, world: &World, audit: &str) -> Reply {
    match view {
        View::Status => status(world),
        View::Network => network(world),
        View::Slots => slots(world.slots),
        View::Reasons => reasons(world),
        View::Identity => identity(world),
        View::Sensors => sensors(world),
        View::Clock => clock(world),
        View::Audit => audited(audit),
        View::DnsPlan => dns_plan(world),
        // These two are the desk's own.
        View::Settings | View::Changes => Reply::default(),
    }
}

fn told(rows: Vec<Row>, data: Value) -> Reply {
    Reply { rows, data, problems: Vec::new() }
}

/// The settings, field by field.
#[must_use]
pub fn settings(settings: &Settings) -> Reply {
    let fields = settings.fields();
    let rows = fields.iter().map(|(field, text)| Row::new(field.to_string(), text)).collect();
    let data = fields.iter().map(|(field, text)| (field.to_string(), Value::from(text.as_str()))).collect();
    told(rows, Value::Object(data))
}

fn status(world: &World) -> Reply {
    let mut rows = Vec::new();
    let alarms = world.alarms();
    rows.push(Row::new("Gateway", world.summary()));
    if let Gateway::Answers(state) = &world.gateway {
        rows.extend(state.calls.iter().map(|call| Row::new("Call", call)));
        rows.extend(state.blocked.iter().map(|blocked| Row::new("Blocked", blocked)));
    }
    if !world.configured.domains.is_empty() {
        rows.push(Row::new("Domain", world.configured.domains.join(", ")));
    }
    rows.extend(alarms.iter().map(|alarm| Row::new("Alarm", alarm)));
    for nic in &world.nics {
        rows.push(Row::new(nic.name.as_str(), crate::menu::walk::nic_text(nic)));
    }
    rows.push(Row::new("Clock", clock_text(world)));
    let slot = world.slot().map_or_else(|| "none".to_owned(), |slot| slot.clone());
    rows.push(Row::new("Slot", &slot));
    rows.push(Row::new("Release", &world.identity.version));
    rows.push(Row::new("Up for", span(world.identity.uptime)));
    let (calls, blocked): (&[String], &[String]) = match &world.gateway {
        Gateway::Answers(state) => (&state.calls, &state.blocked),
        Gateway::Silent => (&[], &[]),
    };
    let data = json!({
        "gateway": gateway_word(&world.gateway), "calls": calls, "blocked": blocked, "alarms": alarms, "slot": world.slot(),
        "release": world.identity.version, "uptime_s": world.identity.uptime,
        "clock_in_sync": world.clock.sync == Sync::InSync, "interfaces": world.nics,
    });
    told(rows, data)
}

fn gateway_word(gateway: &Gateway) -> &'static str {
    match gateway {
        Gateway::Silent => "silent",
        Gateway::Answers(state) if state.taking == Taking::Nothing => "drained",
        Gateway::Answers(_) => "in-service",
    }
}

fn span(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes} min"),
        (0, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

fn network(world: &World) -> Reply {
    let mut rows = Vec::new();
    for nic in &world.nics {
        rows.push(Row::new(nic.name.as_str(), format!("{}, {}", nic.link, nic.mac)));
        rows.extend(nic.addresses.iter().map(|address| Row::new("  address", address)));
        rows.extend(nic.gateway.iter().map(|gateway| Row::new("  gateway", gateway)));
        rows.extend(nic.stamps.iter().map(|stamps| Row::new("  stamps", stamps)));
    }
    let dns = if world.dns.is_empty() { "none".to_owned() } else { world.dns.join(" ") };
    rows.push(Row::new("DNS servers", dns));
    told(rows, json!({ "interfaces": world.nics, "dns": world.dns }))
}

fn slots(slots: Option<Slots>) -> Reply {
    let Some(slots) = slots else {
        let text = "The bootloader's records cannot be read; this box may have started without it.";
        return told(vec![Row::text(text)], json!({ "slots": null }));
    };
    let mut rows = Vec::new();
    let mut data = serde_json::Map::new();
    for slot in [Slot::A, Slot::B] {
        let (state, revision) = match slots.of(slot) {
            SlotStatus::Known { state, revision } => (state.to_string(), Some(revision)),
            SlotStatus::Damaged => ("DAMAGED".to_owned(), None),
        };
        let mut text = state.clone();
        if let Some(revision) = revision {
            text.push_str(&format!(", revision {revision}"));
        }
        for (is, word) in [(slots.booted == Some(slot), "runs"), (slots.next() == Some(slot), "next")] {
            text.push_str(if is { ", " } else { "" });
            text.push_str(if is { word } else { "" });
        }
        rows.push(Row::new(format!("Slot {slot}"), text));
        data.insert(slot.to_string(), json!({ "state": state, "revision": revision }));
    }
    let name = |slot: Option<Slot>| slot.map(|slot| slot.to_string());
    data.insert("runs".into(), json!(name(slots.booted)));
    data.insert("next".into(), json!(name(slots.next())));
    told(rows, Value::Object(data))
}

fn reasons(world: &World) -> Reply {
    let newest: Vec<_> = world.reasons.iter().rev().take(NEWEST).collect();
    let mut rows: Vec<_> = newest
        .iter()
        .map(|line| {
            let from = line
                .fell_back_from
                .as_ref()
                .map_or(String::new(), |from| format!(" (fell back from slot {from})"));
            Row::new(line.at.as_str(), format!("{}{from}", line.text))
        })
        .collect();
    if rows.is_empty() {
        rows.push(Row::text("Nothing is written down."));
    }
    told(rows, json!({ "reasons": newest }))
}

fn identity(world: &World) -> Reply {
    let identity = &world.identity;
    let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
    let mut rows = vec![
        Row::new("Serial number", or(&identity.serial_number)),
        Row::new("Board", or(&identity.board)),
        Row::new("Asset tag", or(&identity.asset_tag)),
        Row::new("Release", &identity.version),
    ];
    rows.extend(world.nics.iter().map(|nic| Row::new(nic.name.as_str(), &nic.mac)));
    told(rows, json!({ "identity": identity, "interfaces": world.nics }))
}

fn sensors(world: &World) -> Reply {
    let row = |sensor: &crate::world::Sensor| {
        let remark =
            if sensor.verdict == "normal" { String::new() } else { format!(" ({})", sensor.verdict) };
        Row::new(sensor.name.as_str(), format!("{}{remark}", sensor.value))
    };
    let mut rows: Vec<_> = world.sensors.iter().map(row).collect();
    if rows.is_empty() {
        rows.push(Row::text("This box has no sensors."));
    }
    rows.extend(
        world.disks.iter().map(|disk| Row::new(disk.mount.as_str(), format!("{} % used", disk.used))),
    );
    told(rows, json!({ "sensors": world.sensors, "disks": world.disks }))
}

fn clock_text(world: &World) -> String {
    match (world.clock.sync, &world.clock.server) {
        (Sync::InSync, Some(server)) => format!("in sync with {server}"),
        (Sync::InSync, None) => "in sync".to_owned(),
        (Sync::NotInSync, Some(server)) => format!("not in sync; {server} is asked"),
        (Sync::NotInSync, None) => "not in sync".to_owned(),
    }
}

fn clock(world: &World) -> Reply {
    let rows = vec![
        Row::new("Clock", clock_text(world)),
        Row::text("test ntp asks a time server how far it is from right."),
    ];
    told(rows, json!({ "in_sync": world.clock.sync == Sync::InSync, "server": world.clock.server }))
}

fn audited(text: &str) -> Reply {
    let chain = audit::Chain::verify(text);
    let lines: Vec<audit::Line> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let newest: Vec<_> = lines.iter().rev().take(NEWEST).collect();
    let (said, good) = match &chain {
        Ok(chain) => (format!("Lines up to number {}, none edited.", chain.last_number()), true),
        Err(broken) => (broken.to_string(), false),
    };
    let mut rows = vec![Row::text(said)];
    rows.extend(newest.iter().map(|line| {
        let detail =
            if line.detail.is_empty() { String::new() } else { format!(": {}", line.detail.join("; ")) };
        Row::new(line.at.as_str(), format!("{} {}, {}{detail}", line.by, line.act, line.outcome))
    }));
    told(rows, json!({ "whole": good, "lines": newest }))
}

/// The box's own addresses, without prefix lengths and link-local ones.
#[must_use]
pub fn own_addresses(world: &World) -> Vec<IpAddr> {
    let addresses = world.nics.iter().flat_map(|nic| &nic.addresses);
    let parsed = addresses.filter_map(|address| address.split('/').next()?.parse::<IpAddr>().ok());
    parsed.filter(|address| !matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())).collect()
}

/// The addresses that callers are to find: the public one where there is one, or the box's own.
#[must_use]
pub fn seen_addresses(world: &World) -> Vec<IpAddr> {
    world.configured.public_address.map_or_else(|| own_addresses(world), |public| vec![public])
}

fn dns_plan(world: &World) -> Reply {
    let Some(domain) = world.configured.domains.first() else {
        return Reply::refused([
            "the gateway's domain is not known; set gateway.domains in its configuration",
        ]);
    };
    let plan = dns::plan(domain, &seen_addresses(world));
    let text: Vec<String> = plan.iter().map(ToString::to_string).collect();
    let lines: Vec<&str> = text.iter().flat_map(|record| record.lines()).collect();
    let rows = lines.iter().map(|line| Row::text(*line)).collect();
    told(rows, json!({ "domain": domain, "records": lines }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Nic;
    use crate::world::{Configured, ReasonLine};
    use hal::slots::SlotState;

    #[test]
    fn slots_say_which_runs_and_which_comes_next() {
        let a = SlotStatus::Known { state: SlotState::Failed, revision: 0 };
        let b = SlotStatus::Known { state: SlotState::Ok, revision: 3 };
        let reply = slots(Some(Slots { a, b, booted: Some(Slot::B) }));
        assert_eq!(reply.rows[0].value, "FAILED, revision 0");
        assert_eq!(reply.rows[1].value, "OK, revision 3, runs, next");
        assert_eq!(reply.data["runs"], "B");
        assert!(slots(None).rows[0].value.contains("cannot be read"));
    }

    #[test]
    fn reasons_come_newest_first_and_say_what_was_fallen_back_from() {
        let line = |at: &str, from: Option<&str>| ReasonLine {
            at: at.into(),
            word: "w".into(),
            text: "t".into(),
            what: "box".into(),
            slot: None,
            fell_back_from: from.map(str::to_owned),
        };
        let world = World { reasons: vec![line("1", None), line("2", Some("A"))], ..World::default() };
        let rows = reasons(&world).rows;
        assert_eq!((rows[0].label.as_str(), rows[0].value.as_str()), ("2", "t (fell back from slot A)"));
        assert_eq!(rows.len(), 2);
    }

    #[test]
    fn an_edited_audit_log_is_said_to_be() {
        let mut chain = audit::Chain::default();
        let act = audit::Act {
            by: "panel".into(),
            act: "apply".into(),
            outcome: "done".into(),
            detail: vec!["a".into()],
        };
        let text = chain.append(domain::appliance::instant::UnixTime(0), &act);
        assert!(audited(&text).rows[0].value.ends_with("none edited."));
        assert_eq!(audited(&text).rows[1].value, "panel apply, done: a");
        let edited = text.replace("panel", "serial");
        assert!(audited(&edited).rows[0].value.contains("damaged or edited"));
        assert_eq!(audited(&edited).data["whole"], false);
    }

    #[test]
    fn k3_the_plan_is_of_the_gateways_domain_and_the_boxs_addresses() {
        let nic = Nic { addresses: vec!["203.0.113.7/24".into(), "fe80::1/64".into()], ..Nic::default() };
        let configured = Configured { domains: vec!["meet.example.com".into()], ..Configured::default() };
        let mut world = World { nics: vec![nic], configured, ..World::default() };
        let rows = dns_plan(&world).rows;
        assert_eq!(rows[0].value, "meet.example.com. A 203.0.113.7");
        assert_eq!(rows.len(), 6);
        world.configured.public_address = Some([198, 51, 100, 7].into());
        assert_eq!(dns_plan(&world).rows[0].value, "meet.example.com. A 198.51.100.7");
        assert!(!dns_plan(&World::default()).is_done());
    }
}
