//! Changes of the configuration: how long the store takes beside a bare append to the same disk, and the API with a thousand rules;
//! and how long a thousand rules take to route a call.

use super::Bench;
use crate::report::Metric;
use crate::stats::{Spread, ratios};
use anyhow::{Context, Result, ensure};
use base::leg::{Dialled, Protocol};
use base::{Alias, Pii};
use domain::config::Config;
use domain::routing::Direction;
use e2e::api::Api;
use e2e::gateway::{ADMIN, DOMAIN, Gateway, GatewayConfig};
use e2e::lab::Lab;
use meet_sim::Simulator;
use serde_json::json;
use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use store::{Bodies, Documents, Edit, Expected, Key, Meaning, Revision, Store};

/// Rules of a large box.
const RULES: usize = 1_000;
/// Changes of a round.
const CHANGES: usize = 40;
/// Bytes that a change of one rule writes, with its line in the audit log.
const CHANGE_BYTES: usize = 700;
/// What a change may take beside the disk's own time, in milliseconds.
const GOAL_ACK: f64 = 20.0;
/// What a call may take to be routed, in microseconds.
const GOAL_ROUTE: f64 = 50.0;
/// Calls of a round.
const CALLS: usize = 20_000;

/// Measures the store.
///
/// # Errors
/// If the disk fails.
pub fn store(bench: &mut Bench) -> Result<Vec<Metric>> {
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for round in 0..bench.effort.rounds {
        let folder = tempfile::tempdir_in(&bench.work)?;
        ours.push(changes(folder.path(), round)?);
        bare.push(appends(folder.path())?);
    }
    let (ms, bare_ms) = (spread(&ours)?, spread(&bare)?);
    let beside = format!("append and fdatasync of as many bytes: {:.2} ms", bare_ms.median);
    Ok(vec![
        Metric::new("store.ack", "ms", ms).peer(beside),
        Metric::new("store.ack.vs_append", "ratio", spread(&ratios(&ours, &bare))?),
    ])
}

/// Measures a change by the API beside what the disk takes for it.
///
/// # Errors
/// If the gateway refuses.
pub fn api(bench: &mut Bench) -> Result<Vec<Metric>> {
    let lab = Lab::new("bench-api")?;
    let simulator = Simulator::start(meet_sim::Config::default())?;
    let ca = lab.path("ca.pem");
    std::fs::write(&ca, simulator.ca_pem())?;
    let (section, lines) = ADMIN;
    let mut extra = vec![(section, lines.to_owned())];
    extra.extend((0..RULES).map(|n| ("[[rules]]", rule(n))));
    let (conference, token) = (simulator.https_url(), "token-of-the-bench".to_owned());
    let gateway = Gateway::start(
        &lab,
        &GatewayConfig { conference, ca, token, certificate: None, extra, console: None, vendor_keys: None },
    )?;
    let (api, at) = (Api::open(&lab, &gateway)?, gateway.admin.context("it is administered")?);
    let (mut same, mut other) = (Vec::new(), Vec::new());
    for round in 0..bench.effort.rounds {
        let folder = tempfile::tempdir_in(&bench.work)?;
        let disk = appends(folder.path())?;
        let priority = 1 + round % 100;
        same.push(change(&api, at, &json!({ "priority": priority }))? - disk);
        // Another pattern has to be put together with all others.
        let regex = json!({ "match": { "regex": format!("x{round}([0-9]{{6}})@tenant7.example.com") } });
        other.push(change(&api, at, &regex)? - disk);
    }
    let beside = "beside an append and fdatasync";
    Ok(vec![
        Metric::new("api.ack.1000_rules", "ms", spread(&same)?).goal(GOAL_ACK).peer(beside),
        Metric::new("api.ack.1000_rules.pattern", "ms", spread(&other)?).goal(GOAL_ACK).peer(beside),
    ])
}

/// Measures how long a rule is looked for among a thousand.
///
/// # Errors
/// If the rules are none.
pub fn routing(bench: &mut Bench) -> Result<Vec<Metric>> {
    let rules: String = (0..RULES).map(|n| format!("[[rules]]\n{}", rule(n))).collect();
    let text = format!(
        "[gateway]\ndomains = [\"meet.example.com\"]\n[[tokens]]\nname = \"t\"\nvalue = \"v\"\ntrust = \"trusted\"\n\
         [[connectors]]\nname = \"meet\"\nkind = \"interop\"\nurl = \"https://c.example.com\"\n{rules}"
    );
    let config = Config::parse("bench", &text)?;
    let calls: Vec<_> =
        (0..RULES).map(|n| dialled(&format!("123456@tenant{n}.example.com"))).collect::<Result<_>>()?;
    let mut found = Vec::new();
    for _ in 0..bench.effort.rounds {
        let began = Instant::now();
        for n in 0..CALLS {
            let call = &calls[n * 7 % RULES];
            ensure!(
                config.router.route(call, Direction::Incoming).is_some(),
                "no rule takes {:?}",
                call.alias
            );
        }
        found.push(began.elapsed().as_secs_f64() * 1e6 / CALLS as f64);
    }
    Ok(vec![Metric::new("routing.1000_rules", "us", spread(&found)?).goal(GOAL_ROUTE)])
}

fn rule(n: usize) -> String {
    format!(
        "name = \"tenant {n}\"\npriority = {}\nreplace = \"\\\\1\"\n\
         match = {{ regex = \"([0-9]{{6}})@tenant{n}[.]example[.]com\" }}\n",
        1 + n % 200
    )
}

fn dialled(alias: &str) -> Result<Dialled> {
    Ok(Dialled {
        alias: Alias::parse(alias, "sip")?,
        caller: Alias::parse("room@example.com", "sip")?,
        display_name: Pii::new("Room"),
        protocol: Protocol::Sip,
        source: SocketAddr::from(([192, 0, 2, 1], 5060)),
        registered: false,
        user_agent: None,
    })
}

fn spread(values: &[f64]) -> Result<Spread> {
    Spread::of(values).context("no rounds")
}

/// Milliseconds of a change, the middle of many.
fn changes(folder: &Path, round: usize) -> Result<f64> {
    let (store, _) = Store::open(&folder.join("store"), 1, &OneSchema)?;
    let body = vec![b'x'; CHANGE_BYTES];
    middle(|n| {
        let key = Key::new("rules", &format!("{round} {}", n % 7))?;
        let edit = Edit::put(key, Expected::Anything, &body);
        store.change(&[edit], |_| Ok::<_, std::convert::Infallible>(()))?;
        Ok(())
    })
}

/// Milliseconds of an append of as many bytes that is made to last.
fn appends(folder: &Path) -> Result<f64> {
    let mut file = File::create(folder.join("bare"))?;
    let body = vec![b'x'; CHANGE_BYTES];
    middle(|_| {
        file.write_all(&body)?;
        Ok(file.sync_data()?)
    })
}

fn middle(mut change: impl FnMut(usize) -> Result<()>) -> Result<f64> {
    let mut took = Vec::new();
    for n in 0..CHANGES {
        let began = Instant::now();
        change(n)?;
        took.push(began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(spread(&took)?.median)
}

/// Milliseconds from a request that is sent whole to the first byte of its answer: TLS and curl itself are left out.
fn change(api: &Api, at: SocketAddr, patch: &serde_json::Value) -> Result<f64> {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--insecure", "--request", "PATCH", "--output", "/dev/null"]);
    command.args(["--write-out", "%{http_code} %{time_pretransfer} %{time_starttransfer}"]);
    command.args([
        "-H",
        &format!("Authorization: Bearer {}", api.token),
        "-H",
        "Content-Type: application/json",
    ]);
    let resolve = format!("{DOMAIN}:{}:{}", at.port(), at.ip());
    command.args(["--resolve", &resolve, "--data-binary", &patch.to_string()]);
    let output =
        command.arg(format!("{}/call-routing-rules/tenant%207", api.url())).output().context("curl")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let words: Vec<_> = text.split(' ').collect();
    ensure!(
        words.first() == Some(&"200"),
        "the change was refused: {text} {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let seconds = |at: usize| words.get(at).and_then(|word| word.parse::<f64>().ok()).context("no time");
    let took = Duration::try_from_secs_f64(seconds(2)? - seconds(1)?)?;
    Ok(took.as_secs_f64() * 1e3)
}

/// Documents of one schema only.
struct OneSchema;

impl Meaning for OneSchema {
    fn migrate(&self, from: u32, _: &Documents) -> Result<Bodies, String> {
        Err(format!("nobody knows schema {from}"))
    }

    fn last_change(&self, _: &Documents) -> Revision {
        Revision(0)
    }

    fn is_written(&self, _: &Key) -> bool {
        true
    }
}
