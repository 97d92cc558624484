//! What would happen, and what others have to do: the dry run of the rules, the DNS plan, the firewall plan.

use super::Admin;
use super::access::Role;
use super::body::Body;
use super::book::{Book, Method, Operation};
use super::problem::{FieldError, Problem, Sort};
use axum::Json;
use axum::extract::State;
use base::leg::{Dialled, Protocol};
use base::{Alias, Pii};
use domain::api::resource::{Calls, SpokenProtocol};
use domain::appliance::dns;
use domain::config::Config;
use domain::firewall::{Plan, served};
use domain::routing::{Direction, Outcome};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use utoipa::ToSchema;

/// A call that nobody makes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DryRun {
    /// What would be dialled.
    #[schema(min_length = 1, max_length = 512)]
    pub(super) alias: String,
    /// Who would dial; nobody in particular if left out.
    #[serde(default)]
    pub(super) caller: Option<String>,
    /// How; SIP if left out.
    #[serde(default)]
    pub(super) protocol: Option<SpokenProtocol>,
    /// From which address, for rules of a location.
    #[serde(default)]
    pub(super) source: Option<String>,
    /// Whether as a registered device.
    #[serde(default)]
    pub(super) registered: bool,
    /// Which way; incoming if left out.
    #[serde(default)]
    pub(super) calls: Option<Calls>,
}

/// What the rules say.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DryRunAnswer {
    /// The rule that takes the call.
    rule: Option<String>,
    /// What the alias becomes.
    becomes: Option<String>,
    /// What each rule says, up to the one that takes it.
    verdicts: Vec<RuleVerdict>,
}

/// What one rule says.
#[derive(Debug, Serialize, ToSchema)]
struct RuleVerdict {
    /// Its name.
    rule: String,
    /// Its priority.
    priority: u8,
    /// Whether it takes the call.
    takes: bool,
    /// Why, or why not.
    why: String,
}

/// A DNS record that callers look for.
#[derive(Debug, Serialize, ToSchema)]
struct DnsRecord {
    /// Its name.
    name: String,
    /// It as lines of a zone file.
    zone: String,
    /// Who looks for it.
    who: &'static str,
    /// Whether callers of this release look for it.
    served: bool,
}

/// The DNS plan.
#[derive(Debug, Serialize, ToSchema)]
struct DnsPlan {
    /// Every record of every gateway domain.
    records: Vec<DnsRecord>,
}

/// A line of the firewall plan.
#[derive(Debug, Serialize, ToSchema)]
struct PlannedFlow {
    /// Who is on the other side.
    with: String,
    /// `in` or `out`, seen from the box.
    way: String,
    /// `tcp` or `udp`.
    by: String,
    /// Ports it comes from; nothing for any.
    from_ports: Option<String>,
    /// Ports it goes to.
    to_ports: String,
    /// What for.
    why: &'static str,
}

/// The firewall plan.
#[derive(Debug, Serialize, ToSchema)]
struct FirewallPlan {
    /// Every flow.
    flows: Vec<PlannedFlow>,
    /// The same as a table to copy.
    table: String,
    /// The rules of the box's own filter (nftables).
    nftables: String,
}

/// Adds the routes.
pub fn add(book: &mut Book) {
    let view =
        |method, path: &str, tag, what: &str| Operation::new(method, path, tag, what).role(Role::Viewer);
    book.add(
        view(
            Method::Post,
            "/call-routing-rules:dry-run",
            "call-routing-rules",
            "Says which rule takes an alias, and why those before it do not",
        )
        .takes::<DryRun>()
        .gives::<DryRunAnswer>(),
        dry_run,
    );
    book.add(
        view(Method::Get, "/dns-plan", "plans", "The records that callers look for").gives::<DnsPlan>(),
        dns_plan,
    );
    book.add(
        view(Method::Get, "/firewall-plan", "plans", "The ports that the box is reached by and leaves by")
            .gives::<FirewallPlan>(),
        firewall_plan,
    );
}

/// A field of the request that is wrong.
pub(super) fn wrong(field: &str, message: String) -> Problem {
    let error = FieldError { resource: String::new(), field: field.to_owned(), message: message.clone() };
    Sort::Invalid.because(format!("{field} {message}")).of_fields(vec![error])
}

async fn dry_run(
    State(admin): State<Arc<Admin>>,
    Body(run): Body<DryRun>,
) -> Result<Json<DryRunAnswer>, Problem> {
    let (dialled, direction) = dialled(&run)?;
    Ok(Json(explained(&admin.configuration.now(), &dialled, direction)))
}

/// The call that `run` describes.
///
/// # Errors
/// If a field of it is wrong.
pub(super) fn dialled(run: &DryRun) -> Result<(Dialled, Direction), Problem> {
    let protocol = match run.protocol.unwrap_or(SpokenProtocol::Sip) {
        SpokenProtocol::Sip => Protocol::Sip,
        SpokenProtocol::H323 => Protocol::H323,
        SpokenProtocol::MsSip => Protocol::MsSip,
        SpokenProtocol::WebRtc => Protocol::WebRtc,
        SpokenProtocol::Rtmp => Protocol::Rtmp,
        SpokenProtocol::Teams => Protocol::Teams,
    };
    let alias =
        |field: &str, text: &str| Alias::parse(text, "sip").map_err(|error| wrong(field, error.to_string()));
    let source = run.source.as_deref().unwrap_or("0.0.0.0");
    let source: IpAddr =
        source.parse().map_err(|_| wrong("source", format!("{source:?} is no IP address")))?;
    let dialled = Dialled {
        alias: alias("alias", &run.alias)?,
        caller: alias("caller", run.caller.as_deref().unwrap_or("somebody@invalid.invalid"))?,
        display_name: Pii::new(""),
        protocol,
        source: SocketAddr::new(source, 0),
        registered: run.registered,
        user_agent: None,
    };
    let direction = match run.calls.unwrap_or(Calls::Incoming) {
        Calls::Incoming => Direction::Incoming,
        Calls::Outgoing => Direction::Outgoing,
    };
    Ok((dialled, direction))
}

/// What the rules of `config` say of a call.
pub(super) fn explained(config: &Config, dialled: &Dialled, direction: Direction) -> DryRunAnswer {
    let verdicts = config.router.explain(dialled, direction);
    let taken = verdicts.iter().find_map(|verdict| match &verdict.outcome {
        Outcome::Takes(becomes) => Some((verdict.rule.clone(), becomes.clone())),
        _ => None,
    });
    let (rule, becomes) = taken.unzip();
    let verdicts = verdicts.into_iter().map(|verdict| RuleVerdict {
        takes: matches!(verdict.outcome, Outcome::Takes(_)),
        why: verdict.outcome.to_string(),
        rule: verdict.rule,
        priority: verdict.priority,
    });
    DryRunAnswer { rule, becomes, verdicts: verdicts.collect() }
}

/// Every record that callers of `config`'s domains look for.
pub(super) fn planned(config: &Config) -> Vec<dns::Wanted> {
    let addresses: Vec<IpAddr> = config.gateway.public_address.into_iter().collect();
    config.gateway.domains.iter().flat_map(|domain| dns::plan(domain, &addresses)).collect()
}

async fn dns_plan(State(admin): State<Arc<Admin>>) -> Json<DnsPlan> {
    let records = planned(&admin.configuration.now()).into_iter().map(|wanted| DnsRecord {
        zone: wanted.to_string(),
        served: dns::is_served(&wanted),
        who: wanted.who,
        name: wanted.name,
    });
    Json(DnsPlan { records: records.collect() })
}

async fn firewall_plan(State(admin): State<Arc<Admin>>) -> Json<FirewallPlan> {
    let config = admin.configuration.now();
    let plan = Plan::new(&config, &served(&config));
    let flows = plan.flows().iter().map(|flow| PlannedFlow {
        with: flow.peer.to_string(),
        way: flow.way.to_string(),
        by: flow.transport.to_string(),
        from_ports: flow.from.map(|ports| ports.to_string()),
        to_ports: flow.to.to_string(),
        why: flow.why,
    });
    Json(FirewallPlan { flows: flows.collect(), table: plan.table(), nftables: plan.nftables() })
}
