//! The way to the names: every record that the gateway's domain needs (K3), asked of the box's own resolver.

use super::{Step, Went};
use crate::view::seen_addresses;
use crate::world::World;
use domain::appliance::dns::{self, FoundService, Live, Says, Verdict, Wanted};
use domain::appliance::values::DomainName;
use hickory_resolver::TokioResolver;
use hickory_resolver::net::NetError;
use hickory_resolver::proto::rr::{RData, RecordType};
use std::net::IpAddr;
use std::time::Duration;

/// Longest wait for one record.
const PATIENCE: Duration = Duration::from_secs(5);

/// A resolver with the box's own servers.
///
/// # Errors
/// If it has none.
pub fn resolver() -> Result<TokioResolver, String> {
    let made = TokioResolver::builder_tokio().and_then(|builder| builder.build());
    made.map_err(|error| format!("the box has no name servers ({error}); set dns"))
}

/// The addresses of `host`, which may be one.
///
/// # Errors
/// If nobody says.
pub async fn addresses(resolver: &TokioResolver, host: &str) -> Result<Vec<IpAddr>, String> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse() {
        return Ok(vec![address]);
    }
    let asked = tokio::time::timeout(PATIENCE, resolver.lookup_ip(host));
    match asked.await {
        Ok(Ok(found)) => Ok(found.iter().collect()),
        Ok(Err(error)) => Err(format!("{host} is not found ({error})")),
        Err(_) => Err(format!(
            "nobody says where {host} is within {} s; look at dns and gateway",
            PATIENCE.as_secs()
        )),
    }
}

/// Tries every record of the plan.
pub(super) async fn test(to: Option<&str>, world: &World) -> Vec<Step> {
    let domain = match to.map(DomainName::parse) {
        Some(Ok(domain)) => domain.to_string(),
        Some(Err(why)) => return vec![Step::new("Domain", Went::Badly, why)],
        None => match world.configured.domains.first() {
            Some(domain) => domain.clone(),
            None => {
                return vec![Step::new(
                    "Domain",
                    Went::Badly,
                    "the gateway has none yet; give one: test dns <domain>",
                )];
            }
        },
    };
    match resolver() {
        Ok(resolver) => with(&resolver, &domain, &seen_addresses(world)).await,
        Err(why) => vec![Step::new("Name servers", Went::Badly, why)],
    }
}

async fn with(resolver: &TokioResolver, domain: &str, own: &[IpAddr]) -> Vec<Step> {
    let mut steps = Vec::new();
    for wanted in dns::plan(domain, own) {
        let live = ask(resolver, &wanted).await;
        let silent = matches!(live, Live::NoAnswer(_));
        steps.push(step(&wanted, &live));
        if silent && steps.len() == 1 {
            // Where the first question is not answered, the others would each take as long.
            break;
        }
    }
    steps
}

fn step(wanted: &Wanted, live: &Live) -> Step {
    let (verdict, said) = dns::judge(wanted, live);
    let what = match &wanted.says {
        Says::Addresses(_) => "A, AAAA".to_owned(),
        Says::Service { .. } => wanted.name.split('.').next().unwrap_or_default().to_owned(),
    };
    let went = match verdict {
        Verdict::Good => Went::Well,
        Verdict::Missing | Verdict::Wrong if !dns::is_served(wanted) => Went::Unknown,
        Verdict::Missing | Verdict::Wrong => Went::Badly,
        Verdict::Unknown => Went::Badly,
    };
    let remark = if went == Went::Unknown { " (such callers are not served yet)" } else { "" };
    Step::new(what, went, format!("{said}{remark}"))
}

async fn ask(resolver: &TokioResolver, wanted: &Wanted) -> Live {
    // With its dot, so that no search domain is put behind it.
    let name = format!("{}.", wanted.name);
    let asked = async {
        match wanted.says {
            Says::Addresses(_) => match resolver.lookup_ip(name.as_str()).await {
                Ok(found) => Live::Addresses(found.iter().collect()),
                Err(error) => nothing(&error, Live::Addresses(Vec::new())),
            },
            Says::Service { .. } => match resolver.lookup(name.as_str(), RecordType::SRV).await {
                Ok(found) => Live::Services(
                    found.answers().iter().filter_map(|record| service(&record.data)).collect(),
                ),
                Err(error) => nothing(&error, Live::Services(Vec::new())),
            },
        }
    };
    let late =
        || Live::NoAnswer(format!("no answer within {} s; look at dns and gateway", PATIENCE.as_secs()));
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| late())
}

/// That there is none is an answer; anything else is not.
fn nothing(error: &NetError, none: Live) -> Live {
    if error.is_no_records_found() || error.is_nx_domain() { none } else { Live::NoAnswer(error.to_string()) }
}

fn service(data: &RData) -> Option<FoundService> {
    let RData::SRV(found) = data else { return None };
    Some(FoundService { target: found.target.to_utf8(), port: found.port })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
    use hickory_resolver::net::runtime::TokioRuntimeProvider;
    use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
    use hickory_resolver::proto::rr::{Name, Record, rdata};
    use std::net::Ipv4Addr;
    use tokio::net::UdpSocket;

    const OWN: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));

    /// A resolver that asks a server on loopback.
    async fn zone(zone: fn(&str, RecordType) -> Vec<RData>) -> TokioResolver {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = socket.local_addr().unwrap().port();
        tokio::spawn(async move {
            let mut buffer = [0; 1_024];
            while let Ok((count, from)) = socket.recv_from(&mut buffer).await {
                let asked = Message::from_vec(&buffer[..count]).unwrap();
                let mut answer = Message::response(asked.metadata.id, OpCode::Query);
                let mut any = false;
                for query in &asked.queries {
                    let name = query.name().to_utf8().trim_end_matches('.').to_owned();
                    let found = zone(&name, query.query_type());
                    any |= !found.is_empty();
                    answer.add_answers(
                        found.into_iter().map(|data| Record::from_rdata(query.name().clone(), 60, data)),
                    );
                    answer.add_query(query.clone());
                }
                if !any {
                    answer.metadata.response_code = ResponseCode::NXDomain;
                }
                socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
            }
        });
        let mut udp = ConnectionConfig::udp();
        udp.port = port;
        let server = NameServerConfig::new(IpAddr::V4(Ipv4Addr::LOCALHOST), true, vec![udp]);
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).build().unwrap()
    }

    fn run<T>(test: impl std::future::Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
    }

    fn records(name: &str, of: RecordType) -> Vec<RData> {
        let srv = |port, target: &str| {
            vec![RData::SRV(rdata::SRV::new(10, 10, port, Name::from_utf8(target).unwrap()))]
        };
        match (name, of) {
            ("meet.example.com", RecordType::A) => vec![RData::A(rdata::A::new(203, 0, 113, 7))],
            ("_sip._tcp.meet.example.com", RecordType::SRV) => srv(5060, "meet.example.com."),
            ("_sips._tcp.meet.example.com", RecordType::SRV) => srv(5061, "old.example.com."),
            _ => Vec::new(),
        }
    }

    #[test]
    fn k3_live_records_are_held_against_the_plan() {
        let steps = run(async { with(&zone(records).await, "meet.example.com", &[OWN]).await });
        let went: Vec<_> = steps.iter().map(|step| (step.what.as_str(), step.went)).collect();
        assert_eq!(
            went,
            [
                ("A, AAAA", Went::Well),
                ("_h323cs", Went::Unknown),
                ("_h323ls", Went::Unknown),
                ("_sip", Went::Well),
                ("_sips", Went::Badly),
                ("_sipfederationtls", Went::Unknown),
            ]
        );
        assert!(
            steps[1].said.contains("is missing")
                && steps[1].said.ends_with("(such callers are not served yet)")
        );
        assert!(
            steps[4].said.contains("old.example.com:5061, and not to meet.example.com:5061"),
            "{}",
            steps[4].said
        );
    }

    #[test]
    fn k3_a_domain_that_nobody_knows_is_missing_not_silent() {
        let steps = run(async { with(&zone(|_, _| Vec::new()).await, "meet.example.com", &[OWN]).await });
        assert_eq!(steps.len(), 6);
        assert!(steps[0].said.contains("A/AAAA is missing; add 203.0.113.7"), "{}", steps[0].said);
    }

    #[test]
    fn what_is_typed_must_be_a_domain() {
        let steps = run(test(Some("a b; c"), &World::default()));
        assert_eq!(steps[0].went, Went::Badly);
        assert!(run(test(None, &World::default()))[0].said.contains("test dns <domain>"));
    }
}
