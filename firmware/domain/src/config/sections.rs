//! The sections of a configuration, and what they must be to one another.

use super::phonebook::phonebook;
use super::read::{Document, Mark, Section, nearest};
use super::receptions;
use super::{
    Admin, CertificateFiles, Config, Connector, ConnectorKind, Device, Gateway, Lobby, Log, LogLevel,
    LogTarget, MAX_RULES, Media, PortRange, Problem, Sip, System, SystemKind, Token, notify, otj, values,
};
use crate::defence::Policy;
use crate::routing::{
    AliasForm, CALL_RATES_KBPS, CallType, Callers, Direction, Encryption, Location, Match, PRIORITIES,
    Pattern, Router, Rule, RuleState, Target, Template,
};
use base::leg::{Protocol, Trust};
use base::{Alias, limits};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
/// Least session interval that RFC 4028 5 allows.
const MIN_SESSION: Duration = Duration::from_secs(90);
/// Most gateway domains.
const MAX_DOMAINS: usize = 16;
const DAY: Duration = Duration::from_secs(86_400);

pub(super) const ENCRYPTIONS: &[(&str, Encryption)] =
    &[("on", Encryption::On), ("off", Encryption::Off), ("best-effort", Encryption::BestEffort)];
const LOBBIES: &[(&str, Lobby)] = &[("rings", Lobby::Rings), ("shown", Lobby::Shown)];
const CALL_TYPES: &[(&str, CallType)] =
    &[("audio", CallType::Audio), ("video", CallType::Video), ("auto", CallType::Auto)];
const ALIAS_FORMS: &[(&str, AliasForm)] = &[("alias", AliasForm::Alias), ("full-uri", AliasForm::FullUri)];
const SYSTEMS: &[(&str, SystemKind)] = &[
    ("sip-proxy", SystemKind::SipProxy),
    ("h323-gatekeeper", SystemKind::H323Gatekeeper),
    ("turn-server", SystemKind::TurnServer),
];
const LEVELS: &[(&str, LogLevel)] = &[
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
];
const LOG_TARGETS: &[(&str, LogTarget)] =
    &[("auto", LogTarget::Auto), ("journal", LogTarget::Journal), ("stderr", LogTarget::Stderr)];

/// What a rule's target is, as written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TargetKind {
    Conference,
    Device,
    External,
}

const TARGETS: &[(&str, TargetKind)] = &[
    ("conference", TargetKind::Conference),
    ("device", TargetKind::Device),
    ("external", TargetKind::External),
];

/// Rules of the configuration before, by their patterns: compiling a thousand takes long, and a change seldom changes many.
type Known<'a> = HashMap<&'a str, &'a Rule>;

/// Reads the whole text, or says everything that is wrong with it. What was compiled for `before` is taken again.
pub(super) fn read(text: &str, before: Option<&Config>) -> Result<Config, Vec<Problem>> {
    let (document, table) = Document::parse(text);
    let config = {
        let root = document.root(&table);
        config(&document, &root, before)
    };
    let problems = document.into_problems();
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        _ => Err(problems),
    }
}

/// `None` only with a problem noted.
fn config(document: &Document<'_>, root: &Section<'_, '_>, before: Option<&Config>) -> Option<Config> {
    let before_otj = before.map(|before| &before.otj);
    let before = before.map(|before| &before.router);
    let known: Known<'_> = before
        .into_iter()
        .flat_map(Router::rules)
        .map(|rule| (rule.matches.pattern.as_str(), rule))
        .collect();
    let mut names = Names::default();
    let gateway = gateway(root);
    let signalling_ports = root.section("signalling").take("ports", values::ports);
    let signalling_ports = signalling_ports.unwrap_or(PortRange { first: 33_000, last: 39_999 });
    let media = media(root, signalling_ports);
    let sip = sip(root, media.ports, signalling_ports);
    let admin = admin(root, &sip, media.ports, signalling_ports);
    let defence = defence(root);
    let (phonebook, unseen) = phonebook(document, root, &gateway, &sip, (media.ports, signalling_ports));
    let tokens = root.sections("tokens").iter().filter_map(|s| token(document, s, &mut names)).collect();
    let connectors =
        root.sections("connectors").iter().filter_map(|s| connector(document, s, &mut names)).collect();
    let systems = root.sections("systems").iter().filter_map(|s| system(document, s, &mut names)).collect();
    let locations =
        root.sections("locations").iter().filter_map(|s| location(document, s, &mut names)).collect();
    let devices = root.sections("devices").iter().filter_map(|s| device(document, s, &mut names)).collect();
    let themes =
        root.sections("themes").iter().filter_map(|s| receptions::theme(document, s, &mut names)).collect();
    let desks = root.sections("receptions");
    let receptions =
        desks.iter().filter_map(|s| receptions::desk(document, s, &gateway, &mut names)).collect();
    let otj = otj::read(document, root, before_otj, &mut names);
    let sections = root.sections("rules");
    if sections.len() > MAX_RULES {
        root.wrong("rules", format!("has {} rules; at most {MAX_RULES} are taken", sections.len()));
        return None;
    }
    let rules = sections.iter().filter_map(|s| rule(document, s, (&gateway, &known), &mut names)).collect();
    let mut warnings = names.unused(document);
    warnings.extend(unseen);
    if sections.is_empty() {
        warnings.push(root.mark("rules").note(document, "are missing: every call is refused; add [[rules]]"));
    }
    warnings.extend(sections.iter().filter_map(|s| not_yet_placed(document, s)));
    if !sip.tls.is_empty() && sip.certificate.is_none() {
        let message = "has no certificate file: callers are shown what was uploaded to the box";
        warnings.push(root.section("sip").mark("tls").note(document, message));
    }
    let router = Router::after(before, rules, locations)
        .map_err(|error| root.wrong("rules", format!("regexes, taken together: {error}")))
        .ok()?;
    let (notify, log) = (notify::read(root), log(root));
    Some(Config {
        gateway,
        sip,
        media,
        admin,
        defence,
        phonebook,
        signalling_ports,
        tokens,
        connectors,
        systems,
        devices,
        themes,
        receptions,
        router,
        otj: otj?,
        notify,
        log,
        unreadable: BTreeSet::new(),
        warnings,
    })
}

/// Rules may be written for every target, but so far calls are placed into conferences only.
fn not_yet_placed(document: &Document<'_>, s: &Section<'_, '_>) -> Option<Problem> {
    let (word, _) =
        TARGETS.iter().find(|(_, kind)| Some(*kind) == s.take("target", values::word(TARGETS)))?;
    let message = format!("{word:?} is kept, but this release refuses the calls it takes (no route)");
    (*word != "conference").then(|| s.mark("target").note(document, message))
}

fn gateway(root: &Section<'_, '_>) -> Gateway {
    let s = root.section("gateway");
    let domains = s.list("domains", values::domain).unwrap_or_default();
    if !s.has("domains") {
        s.lacks(
            "domains",
            "is missing; write the names callers dial, such as domains = [\"meet.example.com\"]",
        );
    } else if domains.len() > MAX_DOMAINS {
        s.wrong("domains", format!("has {} names; at most {MAX_DOMAINS} are taken", domains.len()));
    }
    let mut seen = BTreeSet::new();
    if let Some(twice) = domains.iter().find(|domain| !seen.insert(*domain)) {
        s.wrong("domains", format!("holds {twice:?} twice; remove one"));
    }
    Gateway {
        domains,
        public_address: s.take("public_address", values::public_address),
        meeting_digits: s.take("meeting_digits", values::number(4..=20)).unwrap_or(13),
        lobby: s.take("lobby", values::word(LOBBIES)).unwrap_or(Lobby::Rings),
        workers: s.take("workers", values::number(1..=256_i64)).and_then(|n| usize::try_from(n).ok()),
        drain: s.take("drain", values::duration(Duration::ZERO..=DAY)).unwrap_or(30 * SECOND),
    }
}

fn admin(root: &Section<'_, '_>, sip: &Sip, media: PortRange, signalling: PortRange) -> Admin {
    let s = root.section("admin");
    let listen = s.list("listen", values::listen).unwrap_or_default();
    let others: Vec<_> = sip.tcp.iter().chain(&sip.tls).copied().collect();
    listeners(&s, "listen", &listen, &others, media, signalling);
    Admin { listen }
}

fn defence(root: &Section<'_, '_>) -> Policy {
    let mut policy = Policy::default();
    let s = root.section("defence");
    policy.enabled = s.take("enabled", values::boolean).unwrap_or(policy.enabled);
    policy.offences = s.take("offences", values::number(5..=200)).unwrap_or(policy.offences);
    policy.window = s.take("window", values::duration(10 * SECOND..=DAY)).unwrap_or(policy.window);
    policy.block = s.take("block", values::duration(10 * SECOND..=DAY)).unwrap_or(policy.block);
    if let Some(allow) = s.list("allow", values::network) {
        policy.allow = allow;
    }
    policy
}

fn media(root: &Section<'_, '_>, signalling: PortRange) -> Media {
    let mut media =
        Media { ports: PortRange { first: 40_000, last: 49_999 }, silence: limits::MEDIA_SILENCE };
    let s = root.section("media");
    media.ports = s.take("ports", values::ports).unwrap_or(media.ports);
    media.silence = s.take("silence", values::duration(5 * SECOND..=HOUR)).unwrap_or(media.silence);
    if media.ports.count() < 16 {
        s.wrong(
            "ports",
            format!("holds {} ports; a call takes up to 6, so give at least 16", media.ports.count()),
        );
    }
    if media.ports.first <= signalling.last && signalling.first <= media.ports.last {
        let PortRange { first, last } = signalling;
        s.wrong("ports", format!("overlaps the signalling ports {first}-{last}; move one of them"));
    }
    media
}

fn sip(root: &Section<'_, '_>, media: PortRange, signalling: PortRange) -> Sip {
    let everywhere = |port| vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)];
    let mut sip = Sip {
        udp: everywhere(5060),
        tcp: everywhere(5060),
        tls: Vec::new(),
        certificate: None,
        session_timer: 1800 * SECOND,
        encryption: Encryption::BestEffort,
    };
    let s = root.section("sip");
    sip.udp = s.list("udp", values::listen).unwrap_or(sip.udp);
    sip.tcp = s.list("tcp", values::listen).unwrap_or(sip.tcp);
    sip.certificate = certificate(&s);
    let tls = s.list("tls", values::listen);
    sip.tls = tls.unwrap_or_else(|| if sip.certificate.is_some() { everywhere(5061) } else { Vec::new() });
    sip.session_timer =
        s.take("session_timer", values::duration(MIN_SESSION..=DAY)).unwrap_or(sip.session_timer);
    sip.encryption = s.take("encryption", values::word(ENCRYPTIONS)).unwrap_or(sip.encryption);
    if sip.udp.is_empty() && sip.tcp.is_empty() && sip.tls.is_empty() {
        s.wrong(
            "udp",
            "and tcp and tls are all empty: nobody could call; leave one out to listen on its usual port",
        );
    }
    listeners(&s, "udp", &sip.udp, &[], media, signalling);
    listeners(&s, "tcp", &sip.tcp, &[], media, signalling);
    listeners(&s, "tls", &sip.tls, &sip.tcp, media, signalling);
    sip
}

fn certificate(s: &Section<'_, '_>) -> Option<CertificateFiles> {
    let chain = s.take("certificate", values::path);
    let key = s.take("key", values::path);
    match (s.has("certificate"), s.has("key")) {
        (true, false) => s.wrong("certificate", "has no key beside it; add key = \"<file>\""),
        (false, true) => s.wrong("key", "has no certificate beside it; add certificate = \"<file>\""),
        (true, true) | (false, false) => {}
    }
    Some(CertificateFiles { chain: chain?, key: key? })
}

pub(super) fn listeners(
    s: &Section<'_, '_>,
    key: &'static str,
    own: &[SocketAddr],
    others: &[SocketAddr],
    media: PortRange,
    signalling: PortRange,
) {
    let mut seen: BTreeSet<_> = others.iter().filter(|address| address.port() != 0).collect();
    for address in own {
        // Port 0 lets the system choose, for tests and benches.
        if address.port() != 0 && !seen.insert(address) {
            s.wrong(key, format!("listens on {address} twice; remove one"));
        }
        for (ports, what) in [(media, "media"), (signalling, "signalling")] {
            if ports.contains(address.port()) {
                s.wrong(
                    key,
                    format!("listens on {address}, which is one of the {what} ports; move one of them"),
                );
            }
        }
    }
}

fn token(document: &Document<'_>, s: &Section<'_, '_>, names: &mut Names) -> Option<Token> {
    let name = s.need("name", values::name, "rules name tokens by it");
    let value = s.need("value", values::secret, "paste what the conference's administrator gave");
    let trust = s.need("trust", values::word(values::TRUSTS), "take \"trusted\" or \"untrusted\"");
    let name = names.enter(document, NameOf::Token, s.mark("name"), name?);
    Some(Token { name, value: value?, trust: trust? })
}

fn connector(document: &Document<'_>, s: &Section<'_, '_>, names: &mut Names) -> Option<Connector> {
    let name = s.need("name", values::name, "rules name connectors by it");
    let kind = s.need("kind", values::word(&[("interop", ConnectorKind::Interop)]), "take \"interop\"");
    let url = s.need("url", values::https, "write where the conference is, https://...");
    let ca_file = s.take("ca_file", values::path);
    let gateway_key_file = s.take("gateway_key_file", values::path);
    let name = names.enter(document, NameOf::Connector, s.mark("name"), name?);
    Some(Connector { name, kind: kind?, url: url?, ca_file, gateway_key_file })
}

fn system(document: &Document<'_>, s: &Section<'_, '_>, names: &mut Names) -> Option<System> {
    let name = s.need("name", values::name, "rules name systems by it");
    let kind =
        s.need("kind", values::word(SYSTEMS), "take \"sip-proxy\", \"h323-gatekeeper\" or \"turn-server\"");
    let address = s.need("address", values::host, "write its host and perhaps a port");
    let kinds = SYSTEMS.iter().map(|(_, kind)| *kind).filter(|known| kind.is_none_or(|kind| kind == *known));
    let name = name?;
    for kind in kinds {
        names.enter(document, NameOf::system(kind), s.mark("name"), name.clone());
    }
    Some(System { name, kind: kind?, address: address? })
}

fn location(document: &Document<'_>, s: &Section<'_, '_>, names: &mut Names) -> Option<Location> {
    let name = s.need("name", values::name, "rules name locations by it");
    let networks = s.list("networks", values::network).unwrap_or_default();
    if !s.has("networks") {
        s.lacks("networks", "is missing; write the location's networks, such as [\"10.1.0.0/16\"]");
    }
    Some(Location { name: names.enter(document, NameOf::Location, s.mark("name"), name?), networks })
}

fn device(document: &Document<'_>, s: &Section<'_, '_>, names: &mut Names) -> Option<Device> {
    let alias = s.need("alias", values::name, "write what it is dialled by, such as room@meet.example.com");
    let user = s.take("user", values::name);
    let password = s.need("password", values::secret, "a device without one could be anybody");
    let alias = alias?;
    if let Err(error) = Alias::parse(&alias, "sip") {
        s.wrong("alias", error.to_string());
    }
    let user = user.unwrap_or_else(|| alias.split('@').next().unwrap_or(&alias).to_owned());
    let alias = names.enter(document, NameOf::Device, s.mark("alias"), alias);
    Some(Device { alias, user, password: password? })
}

fn log(root: &Section<'_, '_>) -> Log {
    let s = root.section("log");
    Log {
        level: s.take("level", values::word(LEVELS)).unwrap_or(LogLevel::Info),
        to: s.take("to", values::word(LOG_TARGETS)).unwrap_or(LogTarget::Auto),
    }
}

fn rule(
    document: &Document<'_>,
    s: &Section<'_, '_>,
    around: (&Gateway, &Known<'_>),
    names: &mut Names,
) -> Option<Rule> {
    let name = s.need("name", values::name, "the dry run and the logs name rules by it");
    let priority = s.need("priority", values::number(PRIORITIES), "take 1 to 200; the lowest is asked first");
    let matched = rule_match(document, &s.section("match"), around, names);
    s.has("replace");
    let replace =
        matched.as_ref().and_then(|(matched, unsaid)| rule_replace(s, &matched.pattern, unsaid.clone()));
    let target = rule_target(document, s, names);
    let theme = s.take("theme", values::name);
    if let Some(theme) = &theme {
        names.used(document, NameOf::Theme, &s.mark("theme"), theme);
    }
    let kbps = |key| s.take(key, values::number(CALL_RATES_KBPS)).map(|rate: u32| u64::from(rate) * 1000);
    let rule = Rule {
        name: name.clone().unwrap_or_default(),
        description: s.take("description", values::text).unwrap_or_default(),
        tag: s.take("tag", values::text).unwrap_or_default(),
        state: match s.take("enabled", values::boolean) {
            Some(false) => RuleState::Disabled,
            Some(true) | None => RuleState::Enabled,
        },
        treat_as: match s.take("treat_as_trusted", values::boolean) {
            Some(true) => Trust::Trusted,
            Some(false) | None => Trust::Untrusted,
        },
        call_type: s.take("call_type", values::word(CALL_TYPES)).unwrap_or(CallType::Auto),
        encryption: s.take("encryption", values::word(ENCRYPTIONS)),
        max_in_bps: kbps("max_in_kbps"),
        max_out_bps: kbps("max_out_kbps"),
        theme,
        priority: priority?,
        matches: matched?.0,
        replace: replace?,
        target: target?,
    };
    let name = names.enter(document, NameOf::Rule, s.mark("name"), name?);
    Some(Rule { name, ..rule })
}

/// What the rule matches, and what becomes of the alias if the rule does not say.
fn rule_match(
    document: &Document<'_>,
    s: &Section<'_, '_>,
    around: (&Gateway, &Known<'_>),
    names: &mut Names,
) -> Option<(Match, Template)> {
    let directions = s.list("calls", values::word(values::DIRECTIONS));
    let protocols = s.list("protocols", values::word(values::PROTOCOLS));
    for (key, empty) in [
        ("calls", directions.as_ref().is_some_and(Vec::is_empty)),
        ("protocols", protocols.as_ref().is_some_and(Vec::is_empty)),
    ] {
        if empty {
            s.wrong(key, "is empty: the rule could take no call; leave it out, or set enabled = false");
        }
    }
    let locations = s.list("locations", values::name).unwrap_or_default();
    for location in &locations {
        names.used(document, NameOf::Location, &s.mark("locations"), location);
    }
    let form = s.take("alias", values::word(ALIAS_FORMS)).unwrap_or(AliasForm::Alias);
    if form == AliasForm::FullUri && !s.has("regex") {
        s.lacks("regex", "is missing; alias = \"full-uri\" needs one, such as 'sip:([0-9]{13})@.*'");
    }
    let callers = match s.take("registered_only", values::boolean) {
        Some(true) => Callers::Registered,
        Some(false) | None => Callers::Any,
    };
    let (pattern, replace) = rule_pattern(s, around)?;
    let every = || values::PROTOCOLS.iter().map(|(_, protocol)| *protocol).collect();
    let matched = Match {
        directions: directions.unwrap_or_else(|| vec![Direction::Incoming]).into_iter().collect(),
        callers,
        protocols: protocols.map_or_else(every, |protocols| protocols.into_iter().collect()),
        locations: locations.into_iter().collect(),
        form,
        pattern,
    };
    Some((matched, replace))
}

/// The rule's pattern; without one, a meeting id at one of the gateway's domains or its address (K1, W2, W3).
fn rule_pattern(
    s: &Section<'_, '_>,
    (gateway, known): (&Gateway, &Known<'_>),
) -> Option<(Pattern, Template)> {
    if !s.has("regex") {
        let address = gateway.public_address.map(|address| match address {
            IpAddr::V4(v4) => v4.to_string(),
            IpAddr::V6(v6) => format!("[{v6}]"),
        });
        let hosts = gateway.domains.iter().take(MAX_DOMAINS).cloned().chain(address);
        let pattern = Pattern::of_meetings(gateway.meeting_digits, hosts);
        let replace = Template::parse(r"\1", &pattern).ok()?;
        return Some((pattern, replace));
    }
    let text = s.take("regex", values::text)?;
    let known = known.get(text.as_str()).map(|rule| rule.matches.pattern.clone());
    match known.map_or_else(|| Pattern::parse(&text), Ok) {
        Ok(pattern) => Some((pattern, Template::whole())),
        Err(error) => {
            s.wrong("regex", format!("{text:?} {error}"));
            None
        }
    }
}

fn rule_replace(rule: &Section<'_, '_>, pattern: &Pattern, unsaid: Template) -> Option<Template> {
    if !rule.has("replace") {
        return Some(unsaid);
    }
    let text = rule.take("replace", values::text)?;
    match Template::parse(&text, pattern) {
        Ok(template) => Some(template),
        Err(error) => {
            rule.wrong("replace", format!("{text:?} {error}"));
            None
        }
    }
}

fn rule_target(document: &Document<'_>, s: &Section<'_, '_>, names: &mut Names) -> Option<Target> {
    let kind = s.take("target", values::word(TARGETS));
    let mut named = |key: &'static str, of: NameOf| {
        let name = s.take(key, values::name)?;
        names.used(document, of, &s.mark(key), &name);
        Some(name)
    };
    let connector = named("connector", NameOf::Connector);
    let token = named("token", NameOf::Token);
    let sip_proxy = named("sip_proxy", NameOf::SipProxy);
    let h323_gatekeeper = named("h323_gatekeeper", NameOf::H323Gatekeeper);
    let turn_server = named("turn_server", NameOf::TurnServer);
    let protocol = s.take("outgoing_protocol", values::word(values::PROTOCOLS));
    let kind = if s.has("target") { kind? } else { TargetKind::Conference };
    let useless: &[&'static str] = match kind {
        TargetKind::Conference => &["outgoing_protocol", "sip_proxy", "h323_gatekeeper", "turn_server"],
        TargetKind::Device => &["connector", "token", "sip_proxy", "h323_gatekeeper", "turn_server"],
        TargetKind::External => &["connector", "token"],
    };
    for key in useless.iter().filter(|key| s.has(key)) {
        let (word, _) = TARGETS.iter().find(|(_, target)| *target == kind)?;
        s.wrong(key, format!("means nothing for target {word:?}; remove it, or change the target"));
    }
    let protocol = protocol.unwrap_or(Protocol::Sip);
    Some(match kind {
        TargetKind::Conference => Target::Conference {
            connector: match connector {
                Some(connector) => connector,
                None if s.has("connector") => return None,
                None => names.only(s, NameOf::Connector, "connector")?,
            },
            token: match token {
                Some(token) => token,
                None if s.has("token") => return None,
                None => names.only(s, NameOf::Token, "token")?,
            },
        },
        TargetKind::Device => Target::Device { protocol },
        TargetKind::External => Target::External { protocol, sip_proxy, h323_gatekeeper, turn_server },
    })
}

/// What a name is the name of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NameOf {
    Token,
    Connector,
    SipProxy,
    H323Gatekeeper,
    TurnServer,
    Location,
    Device,
    Theme,
    Reception,
    ReceptionAlias,
    Rule,
    MeetingRule,
}

impl NameOf {
    fn system(kind: SystemKind) -> Self {
        match kind {
            SystemKind::SipProxy => NameOf::SipProxy,
            SystemKind::H323Gatekeeper => NameOf::H323Gatekeeper,
            SystemKind::TurnServer => NameOf::TurnServer,
        }
    }

    /// The kind in words, and where such are written.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            NameOf::Token => ("token", "tokens"),
            NameOf::Connector => ("connector", "connectors"),
            NameOf::SipProxy => ("SIP proxy", "systems"),
            NameOf::H323Gatekeeper => ("H.323 gatekeeper", "systems"),
            NameOf::TurnServer => ("TURN server", "systems"),
            NameOf::Location => ("location", "locations"),
            NameOf::Device => ("device", "devices"),
            NameOf::Theme => ("theme", "themes"),
            NameOf::Reception | NameOf::ReceptionAlias => ("reception", "receptions"),
            NameOf::Rule => ("rule", "rules"),
            NameOf::MeetingRule => ("meeting processing rule", "otj_rules"),
        }
    }
}

/// Every name that was given, where, and whether anybody used it.
#[derive(Default)]
pub(super) struct Names(BTreeMap<NameOf, BTreeMap<String, (Mark, Used)>>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Used {
    No,
    Yes,
}

impl Names {
    pub(super) fn enter(&mut self, document: &Document<'_>, of: NameOf, mark: Mark, name: String) -> String {
        let (what, _) = of.words();
        let given = self.0.entry(of).or_default();
        if given.contains_key(&name) {
            mark.suspect(document, format!("{name:?} is already a {what}'s; give each its own"));
        } else {
            given.insert(name.clone(), (mark, Used::No));
        }
        name
    }

    pub(super) fn used(&mut self, document: &Document<'_>, of: NameOf, mark: &Mark, name: &str) {
        let given = self.0.entry(of).or_default();
        if let Some((_, used)) = given.get_mut(name) {
            *used = Used::Yes;
            return;
        }
        let (what, section) = of.words();
        let known: BTreeSet<&str> = given.keys().map(String::as_str).collect();
        let way_out = match nearest(name, &known) {
            Some(near) => format!("did you mean {near:?}?"),
            None if known.is_empty() => format!("there is none yet, add it as [[{section}]]"),
            None => format!("there are {}; or add it as [[{section}]]", Vec::from_iter(known).join(", ")),
        };
        mark.suspect(document, format!("{name:?} is no {what}; {way_out}"));
    }

    /// The only one there is, for a field that may then be left out.
    fn only(&mut self, s: &Section<'_, '_>, of: NameOf, key: &'static str) -> Option<String> {
        let (what, section) = of.words();
        let given = self.0.entry(of).or_default();
        match (given.len(), given.iter_mut().next()) {
            (1, Some((name, (_, used)))) => {
                *used = Used::Yes;
                return Some(name.clone());
            }
            (0, _) => {
                s.lacks(key, format!("is missing, and there is no {what} to take; add one as [[{section}]]"))
            }
            (count, _) => {
                s.lacks(key, format!("is missing, and there are {count} of [[{section}]]; name one"))
            }
        }
        None
    }

    fn unused(&self, document: &Document<'_>) -> Vec<Problem> {
        let named_by_nobody = |of: &NameOf| {
            matches!(
                of,
                NameOf::Rule
                    | NameOf::MeetingRule
                    | NameOf::Device
                    | NameOf::Reception
                    | NameOf::ReceptionAlias
            )
        };
        let named_by_rules = self.0.iter().filter(|(of, _)| !named_by_nobody(of));
        let unused =
            named_by_rules.flat_map(|(_, given)| given.values()).filter(|(_, used)| *used == Used::No);
        unused.map(|(mark, _)| mark.note(document, "is named by no rule")).collect()
    }
}
