//! Where a request goes: RFC 3263 as a machine that asks DNS questions and takes the answers.
//!
//! ```text
//!  uri ─┬─ address ──────────────────────────────────────────────▶ Targets
//!       ├─ name with port ───────────────────────────┐
//!       ├─ name with transport ──────────▶ SRV ──────┤  none: the name itself, default port
//!       └─ name alone ─▶ NAPTR ──────────▶ SRV ──────┴─▶ A, AAAA ─▶ Targets
//!                        none: SRV for every transport
//! ```
//! Names of TLS certificates are those of the URI, never those DNS gave (RFC 5922 7.2). A question that was not answered
//! counts as answered with nothing.

use crate::uri::{Host, Scheme, Uri};
use base::Seed;
use rand::rngs::ChaCha12Rng;
use rand::{RngExt, SeedableRng};
pub use rsip::Transport;
use std::net::{IpAddr, SocketAddr};

/// Most NAPTR and SRV records of one answer that are looked at.
const RECORDS: usize = 32;
/// Most addresses of one name.
const ADDRESSES: usize = 16;
/// Most targets in all.
const TARGETS: usize = 32;

/// What DNS is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// NAPTR records of this domain.
    Naptr(String),
    /// SRV records of this name, `_sip._udp.example.com`.
    Srv(String),
    /// A and AAAA records of this host, in the order they should be tried.
    Addresses(String),
}

/// A NAPTR record (RFC 3403).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naptr {
    /// Lowest first.
    pub order: u16,
    /// Lowest first among those of one order.
    pub preference: u16,
    /// `s` for those that SIP uses.
    pub flags: String,
    /// `SIP+D2U`, `SIP+D2T`, `SIPS+D2T` ...
    pub service: String,
    /// The name whose SRV records to ask for.
    pub replacement: String,
}

/// An SRV record (RFC 2782).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Srv {
    /// Lowest first.
    pub priority: u16,
    /// Share of the traffic among those of one priority.
    pub weight: u16,
    /// Port.
    pub port: u16,
    /// Host, or `.` if the service is not there.
    pub target: String,
}

/// What DNS answered; empty for nothing, a failure or a time-out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Records {
    /// To [`Question::Naptr`].
    Naptr(Vec<Naptr>),
    /// To [`Question::Srv`].
    Srv(Vec<Srv>),
    /// To [`Question::Addresses`].
    Addresses(Vec<IpAddr>),
}

/// Somewhere to send the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// How.
    pub transport: Transport,
    /// Where.
    pub address: SocketAddr,
    /// With TLS, the name the certificate must bear: the URI's host, a domain or an address.
    pub tls_name: Option<String>,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Ask these, and bring each answer to [`Locate::answer`].
    Ask(Vec<Question>),
    /// Wait for the questions still open.
    Wait,
    /// Try these in order; none means that there is nowhere to send it.
    Targets(Vec<Target>),
}

/// Why a URI can lead nowhere, whatever DNS says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocateError {
    /// Only sip and sips URIs have a host.
    #[error("uri scheme {0:?} cannot be located; route tel uris by a rule to a sip uri")]
    Scheme(String),
    /// The transport is none that is spoken here.
    #[error("transport {0:?} is not spoken here; use udp, tcp or tls")]
    Transport(String),
}

/// One look-up.
#[derive(Debug)]
pub struct Locate {
    tls_name: String,
    secure: bool,
    supported: Vec<Transport>,
    random: ChaCha12Rng,
    state: State,
}

#[derive(Debug)]
enum State {
    Numeric(Target),
    Naptr { domain: String },
    Srv { domain: String, queries: Vec<SrvQuery>, chosen: Option<Transport> },
    Addresses { candidates: Vec<Candidate>, names: Vec<(String, Option<Vec<IpAddr>>)> },
    Done,
}

#[derive(Debug)]
struct SrvQuery {
    name: String,
    transport: Transport,
    records: Option<Vec<Srv>>,
}

#[derive(Debug)]
struct Candidate {
    transport: Transport,
    host: String,
    port: u16,
}

impl Locate {
    /// A look-up of `uri`: a Request-URI or the first Route. `supported` are the transports spoken here, the preferred
    /// first; [`start`](Self::start) it next.
    ///
    /// # Errors
    /// [`LocateError`] if its scheme or transport rules it out.
    pub fn new(uri: &Uri, supported: &[Transport], seed: Seed) -> Result<Self, LocateError> {
        let secure = match &uri.scheme {
            Scheme::Sip => false,
            Scheme::Sips => true,
            other => return Err(LocateError::Scheme(other.to_string())),
        };
        let host = match uri.params.get("maddr").and_then(Host::parse) {
            Some(maddr) => maddr,
            None => uri.host.clone(),
        };
        let wanted = wanted_transport(uri, secure)?;
        let fixed = match (wanted, host.ip().is_some() || uri.port.is_some()) {
            (Some(transport), _) => Some(transport),
            (None, true) => Some(if secure { Transport::Tls } else { Transport::Udp }),
            (None, false) => None,
        };
        if let Some(transport) = fixed.filter(|transport| !supported.contains(transport)) {
            return Err(LocateError::Transport(transport.to_string().to_ascii_lowercase()));
        }
        let tls_name = uri.host.certified();
        let usable = |t: &&Transport| !secure || t.is_secure();
        let mut locate = Self {
            tls_name,
            secure,
            supported: supported.iter().filter(usable).copied().collect(),
            random: ChaCha12Rng::from_seed(seed.0),
            state: State::Done,
        };
        locate.state = locate.first_state(&host, uri.port, fixed);
        Ok(locate)
    }

    /// The first step.
    pub fn start(&mut self) -> Progress {
        match &self.state {
            State::Numeric(target) => {
                let target = target.clone();
                self.state = State::Done;
                Progress::Targets(vec![target])
            }
            State::Naptr { domain } => Progress::Ask(vec![Question::Naptr(domain.clone())]),
            State::Srv { queries, .. } => {
                Progress::Ask(queries.iter().map(|query| Question::Srv(query.name.clone())).collect())
            }
            State::Addresses { names, .. } => {
                Progress::Ask(names.iter().map(|(name, _)| Question::Addresses(name.clone())).collect())
            }
            State::Done => Progress::Targets(Vec::new()),
        }
    }

    /// Takes an answer. One that was not asked for changes nothing.
    pub fn answer(&mut self, question: &Question, records: Records) -> Progress {
        match (std::mem::replace(&mut self.state, State::Done), question, records) {
            (State::Naptr { domain }, Question::Naptr(asked), Records::Naptr(found)) if *asked == domain => {
                self.after_naptr(domain, found)
            }
            (State::Srv { domain, mut queries, chosen }, Question::Srv(name), Records::Srv(found)) => {
                for query in queries.iter_mut().filter(|query| query.name.eq_ignore_ascii_case(name)) {
                    query.records.get_or_insert_with(|| found.iter().take(RECORDS).cloned().collect());
                }
                self.after_srv(domain, queries, chosen)
            }
            (
                State::Addresses { candidates, mut names },
                Question::Addresses(name),
                Records::Addresses(found),
            ) => {
                for (_, ips) in names.iter_mut().filter(|(known, _)| known.eq_ignore_ascii_case(name)) {
                    ips.get_or_insert_with(|| found.iter().take(ADDRESSES).copied().collect());
                }
                self.after_addresses(candidates, names)
            }
            (state @ State::Done, ..) => {
                self.state = state;
                Progress::Targets(Vec::new())
            }
            (state, ..) => {
                self.state = state;
                Progress::Wait
            }
        }
    }

    fn first_state(&self, host: &Host, port: Option<u16>, fixed: Option<Transport>) -> State {
        match (host, host.ip(), port, fixed) {
            (_, Some(ip), port, Some(transport)) => {
                let port = port.unwrap_or_else(|| transport.default_port().into());
                State::Numeric(self.target(transport, SocketAddr::new(ip, port)))
            }
            (Host::Name(name), None, Some(port), Some(transport)) => one_host(name, port, transport),
            (Host::Name(name), None, None, Some(transport)) => {
                let queries = vec![srv_query(transport, name)];
                State::Srv { domain: name.clone(), queries, chosen: Some(transport) }
            }
            (Host::Name(name), None, None, None) => State::Naptr { domain: name.clone() },
            _ => State::Done,
        }
    }

    /// RFC 3263 4.1: the records whose service is spoken here, by order and preference; without any, SRV for each.
    fn after_naptr(&mut self, domain: String, mut found: Vec<Naptr>) -> Progress {
        found.truncate(RECORDS);
        found.sort_by_key(|record| (record.order, record.preference));
        let usable = |record: Naptr| {
            let transport = service_transport(&record.service).filter(|t| self.supported.contains(t))?;
            let is_srv = record.flags.eq_ignore_ascii_case("s");
            is_srv.then(|| SrvQuery { name: undotted(&record.replacement), transport, records: None })
        };
        let mut queries: Vec<SrvQuery> = found.into_iter().filter_map(usable).collect();
        if queries.is_empty() {
            queries = self.supported.iter().map(|transport| srv_query(*transport, &domain)).collect();
        }
        self.state = State::Srv { domain, queries, chosen: None };
        self.start()
    }

    /// Once every SRV question is answered: their hosts in order, or the domain itself if there are none.
    fn after_srv(&mut self, domain: String, queries: Vec<SrvQuery>, chosen: Option<Transport>) -> Progress {
        if queries.iter().any(|query| query.records.is_none()) {
            self.state = State::Srv { domain, queries, chosen };
            return Progress::Wait;
        }
        let answered =
            queries.iter().any(|query| query.records.as_ref().is_some_and(|found| !found.is_empty()));
        if !answered {
            let transport = chosen.unwrap_or(if self.secure { Transport::Tls } else { Transport::Udp });
            if !self.supported.contains(&transport) {
                return Progress::Targets(Vec::new());
            }
            self.state = one_host(&domain, transport.default_port().into(), transport);
            return self.start();
        }
        let mut candidates = Vec::new();
        for query in queries {
            for record in self.in_order(query.records.unwrap_or_default()) {
                candidates.push(Candidate {
                    transport: query.transport,
                    host: undotted(&record.target),
                    port: record.port,
                });
            }
        }
        candidates.retain(|candidate| !candidate.host.is_empty());
        candidates.truncate(TARGETS);
        self.resolve(candidates)
    }

    fn resolve(&mut self, candidates: Vec<Candidate>) -> Progress {
        if candidates.is_empty() {
            return Progress::Targets(Vec::new());
        }
        let mut names: Vec<(String, Option<Vec<IpAddr>>)> = Vec::new();
        for candidate in &candidates {
            if !names.iter().any(|(name, _)| name.eq_ignore_ascii_case(&candidate.host)) {
                names.push((candidate.host.clone(), None));
            }
        }
        self.state = State::Addresses { candidates, names };
        self.start()
    }

    fn after_addresses(
        &mut self,
        candidates: Vec<Candidate>,
        names: Vec<(String, Option<Vec<IpAddr>>)>,
    ) -> Progress {
        if names.iter().any(|(_, ips)| ips.is_none()) {
            self.state = State::Addresses { candidates, names };
            return Progress::Wait;
        }
        let mut targets = Vec::new();
        for candidate in &candidates {
            let known = names.iter().find(|(name, _)| name.eq_ignore_ascii_case(&candidate.host));
            for ip in known.and_then(|(_, ips)| ips.as_deref()).unwrap_or(&[]) {
                targets.push(self.target(candidate.transport, SocketAddr::new(*ip, candidate.port)));
            }
        }
        targets.truncate(TARGETS);
        Progress::Targets(targets)
    }

    /// RFC 2782: by priority, and among equals drawn by weight; those of weight 0 come first into the draw, where they
    /// are seldom taken.
    fn in_order(&mut self, mut records: Vec<Srv>) -> Vec<Srv> {
        records.sort_by_key(|record| (record.priority, record.weight));
        let mut ordered = Vec::with_capacity(records.len());
        while let Some(priority) = records.first().map(|record| record.priority) {
            let equals = records.iter().take_while(|record| record.priority == priority);
            let total: u32 = equals.clone().map(|record| u32::from(record.weight)).sum();
            let drawn = self.random.random_range(0..=total);
            let mut running = 0;
            let at = equals.clone().position(|record| {
                running += u32::from(record.weight);
                running >= drawn
            });
            ordered.push(records.remove(at.unwrap_or(0)));
        }
        ordered
    }

    fn target(&self, transport: Transport, address: SocketAddr) -> Target {
        let tls_name = transport.is_secure().then(|| self.tls_name.clone());
        Target { transport, address, tls_name }
    }
}

/// The transport the URI asks for. sips means TLS whatever TCP-like transport it names (RFC 3261 26.2.2).
fn wanted_transport(uri: &Uri, secure: bool) -> Result<Option<Transport>, LocateError> {
    let Some(text) = uri.params.get("transport") else { return Ok(None) };
    let unknown = || LocateError::Transport(text.to_owned());
    let transport = text.parse::<Transport>().map_err(|_| unknown())?;
    match (transport, secure) {
        (Transport::Tcp, true) => Ok(Some(Transport::Tls)),
        (Transport::Ws, true) => Ok(Some(Transport::Wss)),
        (transport, true) if !transport.is_secure() => Err(unknown()),
        (transport, _) => Ok(Some(transport)),
    }
}

fn one_host(name: &str, port: u16, transport: Transport) -> State {
    State::Addresses {
        candidates: vec![Candidate { transport, host: name.to_owned(), port }],
        names: vec![(name.to_owned(), None)],
    }
}

fn srv_query(transport: Transport, domain: &str) -> SrvQuery {
    let scheme = if transport.is_secure() { "_sips" } else { "_sip" };
    let protocol = transport.protocol().to_string().to_ascii_lowercase();
    SrvQuery { name: format!("{scheme}._{protocol}.{domain}"), transport, records: None }
}

/// RFC 3263 4.1, RFC 4168, RFC 7118.
fn service_transport(service: &str) -> Option<Transport> {
    match service.to_ascii_uppercase().as_str() {
        "SIP+D2U" => Some(Transport::Udp),
        "SIP+D2T" => Some(Transport::Tcp),
        "SIPS+D2T" => Some(Transport::Tls),
        _ => None,
    }
}

fn undotted(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    const ALL: &[Transport] = &[Transport::Udp, Transport::Tcp, Transport::Tls];

    /// A zone: what DNS answers.
    #[derive(Default)]
    struct Zone {
        naptr: HashMap<&'static str, Vec<Naptr>>,
        srv: HashMap<&'static str, Vec<Srv>>,
        hosts: HashMap<&'static str, Vec<&'static str>>,
        asked: Vec<Question>,
    }

    impl Zone {
        fn locate(&mut self, uri: &str) -> Vec<String> {
            let uri = Uri::parse(uri).unwrap();
            let mut locate = Locate::new(&uri, ALL, Seed([7; 32])).unwrap();
            let mut progress = locate.start();
            loop {
                match progress {
                    Progress::Targets(targets) => return targets.iter().map(show).collect(),
                    Progress::Wait => panic!("nothing is open"),
                    Progress::Ask(questions) => {
                        progress = Progress::Wait;
                        for question in questions {
                            let records = self.lookup(&question);
                            self.asked.push(question.clone());
                            progress = locate.answer(&question, records);
                        }
                    }
                }
            }
        }

        fn lookup(&self, question: &Question) -> Records {
            match question {
                Question::Naptr(name) => {
                    Records::Naptr(self.naptr.get(name.as_str()).cloned().unwrap_or_default())
                }
                Question::Srv(name) => Records::Srv(self.srv.get(name.as_str()).cloned().unwrap_or_default()),
                Question::Addresses(name) => {
                    let ips = self.hosts.get(name.as_str()).cloned().unwrap_or_default();
                    Records::Addresses(ips.iter().map(|ip| ip.parse().unwrap()).collect())
                }
            }
        }
    }

    fn show(target: &Target) -> String {
        let name = target.tls_name.as_ref().map_or(String::new(), |name| format!(" as {name}"));
        format!("{} {}{name}", target.transport, target.address)
    }

    fn srv(priority: u16, weight: u16, port: u16, target: &str) -> Srv {
        Srv { priority, weight, port, target: target.to_owned() }
    }

    fn naptr(order: u16, preference: u16, service: &str, replacement: &str) -> Naptr {
        let (service, replacement) = (service.to_owned(), replacement.to_owned());
        Naptr { order, preference, flags: "s".to_owned(), service, replacement }
    }

    /// The example of RFC 3263 4.1 and 4.2.
    fn example() -> Zone {
        let mut zone = Zone::default();
        let records = vec![
            naptr(100, 50, "SIP+D2U", "_sip._udp.example.com."),
            naptr(50, 50, "SIPS+D2T", "_sips._tcp.example.com."),
            naptr(90, 50, "SIP+D2T", "_sip._tcp.example.com"),
            naptr(10, 50, "SIP+D2W", "_sip._ws.example.com"),
        ];
        zone.naptr.insert("example.com", records);
        zone.srv.insert("_sips._tcp.example.com", vec![srv(0, 1, 5061, "server1.example.com.")]);
        zone.srv.insert("_sip._tcp.example.com", vec![srv(0, 1, 5060, "server1.example.com.")]);
        zone.srv.insert(
            "_sip._udp.example.com",
            vec![srv(1, 0, 5060, "server2.example.com."), srv(0, 1, 5070, "server1.example.com.")],
        );
        zone.hosts.insert("server1.example.com", vec!["2001:db8::1", "192.0.2.1"]);
        zone.hosts.insert("server2.example.com", vec!["192.0.2.2"]);
        zone.hosts.insert("example.com", vec!["192.0.2.9"]);
        zone
    }

    #[test]
    fn naptr_chooses_the_transport_srv_the_host_and_the_certificate_bears_the_uris_name() {
        let expected = [
            "TLS [2001:db8::1]:5061 as example.com",
            "TLS 192.0.2.1:5061 as example.com",
            "TCP [2001:db8::1]:5060",
            "TCP 192.0.2.1:5060",
            "UDP [2001:db8::1]:5070",
            "UDP 192.0.2.1:5070",
            "UDP 192.0.2.2:5060",
        ];
        assert_eq!(example().locate("sip:room@example.com"), expected);
        assert_eq!(example().locate("sips:room@example.com"), expected[..2]);
    }

    #[test]
    fn an_address_needs_no_dns_at_all() {
        let mut zone = Zone::default();
        assert_eq!(zone.locate("sip:a@192.0.2.1"), ["UDP 192.0.2.1:5060"]);
        assert_eq!(zone.locate("sip:a@[2001:db8::1]:5070;transport=tcp"), ["TCP [2001:db8::1]:5070"]);
        assert_eq!(zone.locate("sips:a@[2001:db8::1]"), ["TLS [2001:db8::1]:5061 as 2001:db8::1"]);
        assert_eq!(
            zone.locate("sip:a@example.com;maddr=192.0.2.7;transport=tls"),
            ["TLS 192.0.2.7:5061 as example.com"]
        );
        assert!(zone.asked.is_empty());
    }

    #[test]
    fn a_port_skips_naptr_and_srv() {
        let mut zone = example();
        assert_eq!(zone.locate("sip:a@example.com:5080"), ["UDP 192.0.2.9:5080"]);
        assert_eq!(zone.asked, [Question::Addresses("example.com".into())]);
    }

    #[test]
    fn a_transport_skips_naptr_and_falls_back_to_the_host_itself() {
        let mut zone = example();
        assert_eq!(zone.locate("sip:a@example.com;transport=TCP").len(), 2);
        assert_eq!(zone.asked[0], Question::Srv("_sip._tcp.example.com".into()));
        zone.srv.clear();
        assert_eq!(zone.locate("sips:a@example.com;transport=tcp"), ["TLS 192.0.2.9:5061 as example.com"]);
    }

    #[test]
    fn without_naptr_every_transport_is_asked_for_and_without_srv_it_is_udp() {
        let mut zone = example();
        zone.naptr.clear();
        assert_eq!(zone.locate("sip:a@example.com")[0], "UDP [2001:db8::1]:5070");
        let asked: Vec<_> = zone.asked[1..4].to_vec();
        let names = ["_sip._udp.example.com", "_sip._tcp.example.com", "_sips._tcp.example.com"];
        assert_eq!(asked, names.map(|name| Question::Srv(name.into())));
        zone.srv.clear();
        assert_eq!(zone.locate("sip:a@example.com"), ["UDP 192.0.2.9:5060"]);
        assert_eq!(zone.locate("sips:a@example.com"), ["TLS 192.0.2.9:5061 as example.com"]);
    }

    #[test]
    fn a_dot_says_that_the_service_is_not_there() {
        let mut zone = example();
        zone.srv.insert("_sip._tcp.example.com", vec![srv(0, 0, 0, ".")]);
        assert!(zone.locate("sip:a@example.com;transport=tcp").is_empty());
    }

    #[test]
    fn weights_share_the_load_in_their_proportion() {
        let uri = Uri::parse("sip:h").unwrap();
        let mut locate = Locate::new(&uri, ALL, Seed([3; 32])).unwrap();
        let records = vec![srv(0, 75, 1, "big"), srv(0, 25, 2, "small"), srv(1, 9, 3, "last")];
        let mut big = 0;
        for _ in 0..1000 {
            let order = locate.in_order(records.clone());
            assert_eq!(order[2].target, "last");
            big += u32::from(order[0].target == "big");
        }
        assert!((700..800).contains(&big), "{big} of 1000");
    }

    #[test]
    fn what_cannot_be_located_is_refused_by_name() {
        let refuse = |uri: &str| Locate::new(&Uri::parse(uri).unwrap(), ALL, Seed([0; 32])).unwrap_err();
        assert_eq!(refuse("tel:+4930123"), LocateError::Scheme("tel".into()));
        assert_eq!(refuse("sip:h;transport=foo"), LocateError::Transport("foo".into()));
        assert_eq!(refuse("sip:h;transport=sctp"), LocateError::Transport("sctp".into()));
        assert_eq!(refuse("sips:h;transport=udp"), LocateError::Transport("udp".into()));
    }

    #[test]
    fn answers_nobody_asked_for_change_nothing() {
        let uri = Uri::parse("sip:example.com").unwrap();
        let mut locate = Locate::new(&uri, ALL, Seed([0; 32])).unwrap();
        let _ = locate.start();
        let stray = Question::Addresses("example.com".into());
        assert_eq!(locate.answer(&stray, Records::Addresses(Vec::new())), Progress::Wait);
        let asked = Question::Naptr("example.com".into());
        assert!(matches!(locate.answer(&asked, Records::Naptr(Vec::new())), Progress::Ask(_)));
    }
}
