//! The DNS plan held against live DNS (K3): each record is asked for anew, past the hosts file and what the box was told before.

use domain::appliance::dns::{FoundService, Live, Says, Wanted};
use futures_util::{StreamExt, stream};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Longest wait for one record.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest wait for all of them.
const WHOLE: Duration = Duration::from_secs(20);
/// Records asked for at a time.
const AT_ONCE: usize = 8;
/// Most records of one check: sixteen domains with their six.
const MOST: usize = 96;

/// Which name servers are asked.
#[derive(Debug, Clone, Default)]
pub enum LiveDns {
    /// Those of `/etc/resolv.conf`, as it is then.
    #[default]
    System,
    /// These.
    Of(ResolverConfig),
}

impl LiveDns {
    /// What live DNS says of each record, in their order; of those beyond the most that are asked for, that they were not.
    pub async fn ask(&self, wanted: &[Wanted]) -> Vec<Live> {
        let resolver = match self.resolver() {
            Ok(resolver) => resolver,
            Err(error) => {
                let why = format!("the box has no name servers ({error}); set its dns");
                return wanted.iter().map(|_| Live::NoAnswer(why.clone())).collect();
            }
        };
        let whole = Instant::now() + WHOLE;
        let asked = wanted.iter().take(MOST).cloned().map(|one| ask(resolver.clone(), one, whole));
        let mut told: Vec<_> = stream::iter(asked).buffered(AT_ONCE).collect().await;
        told.resize_with(wanted.len(), || Live::NoAnswer(format!("a check asks for {MOST} records")));
        told
    }

    /// Made anew for each check: it remembers no answer, and knows the name servers as they are now.
    fn resolver(&self) -> Result<TokioResolver, NetError> {
        let mut builder = match self {
            Self::System => TokioResolver::builder_tokio()?,
            Self::Of(config) => {
                TokioResolver::builder_with_config(config.clone(), TokioRuntimeProvider::default())
            }
        };
        builder.options_mut().use_hosts_file = ResolveHosts::Never;
        builder.build()
    }
}

async fn ask(resolver: TokioResolver, wanted: Wanted, whole: Instant) -> Live {
    // With its dot, so that no search domain is put behind it.
    let name = format!("{}.", wanted.name);
    let asked = async {
        match wanted.says {
            Says::Addresses(_) => {
                let (v4, v6) = tokio::join!(
                    records(&resolver, &name, RecordType::A, address),
                    records(&resolver, &name, RecordType::AAAA, address)
                );
                match (v4, v6) {
                    (Ok(v4), Ok(v6)) => Live::Addresses(v4.into_iter().chain(v6).collect()),
                    // Who has one kind of address is found by it, whatever became of the other question.
                    (Ok(some), Err(_)) | (Err(_), Ok(some)) if !some.is_empty() => Live::Addresses(some),
                    (Err(why), _) | (_, Err(why)) => Live::NoAnswer(why),
                }
            }
            Says::Service { .. } => records(&resolver, &name, RecordType::SRV, service)
                .await
                .map_or_else(Live::NoAnswer, Live::Services),
        }
    };
    let late = || Live::NoAnswer("no answer in time; look at the box's dns and gateway".to_owned());
    timeout_at(whole.min(Instant::now() + PATIENCE), asked).await.unwrap_or_else(|_| late())
}

/// The records of a name; that there are none is an answer, anything else is not.
async fn records<T>(
    resolver: &TokioResolver,
    name: &str,
    of: RecordType,
    read: impl Fn(&RData) -> Option<T>,
) -> Result<Vec<T>, String> {
    match resolver.lookup(name, of).await {
        Ok(found) => Ok(found.answers().iter().filter_map(|record| read(&record.data)).collect()),
        Err(error) if error.is_no_records_found() || error.is_nx_domain() => Ok(Vec::new()),
        Err(error) => Err(error.to_string()),
    }
}

fn address(data: &RData) -> Option<IpAddr> {
    match data {
        RData::A(v4) => Some(IpAddr::V4(v4.0)),
        RData::AAAA(v6) => Some(IpAddr::V6(v6.0)),
        _ => None,
    }
}

fn service(data: &RData) -> Option<FoundService> {
    let RData::SRV(found) = data else { return None };
    Some(FoundService { target: found.target.to_utf8(), port: found.port })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::dns::testing::{Zone, serve};
    use crate::net::testing::locally;
    use domain::appliance::dns::{Verdict, judge, plan};
    use hickory_resolver::proto::op::ResponseCode;
    use hickory_resolver::proto::rr::{Name, rdata};

    const BOX: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 7));

    fn srv(port: u16, target: &str) -> Zone {
        let target = Name::from_utf8(target).expect("a name");
        Zone::Says(vec![RData::SRV(rdata::SRV::new(10, 10, port, target))])
    }

    fn zone(asked: &str, of: RecordType) -> Zone {
        match (asked, of) {
            ("meet.example.com", RecordType::A) => Zone::Says(vec![RData::A(rdata::A::new(203, 0, 113, 7))]),
            ("_sip._tcp.meet.example.com", RecordType::SRV) => srv(5060, "meet.example.com."),
            ("_sips._tcp.meet.example.com", RecordType::SRV) => srv(5061, "old.example.com."),
            ("_h323cs._tcp.meet.example.com", _) => Zone::Fails(ResponseCode::ServFail),
            ("meet.example.com", _) => Zone::Says(Vec::new()),
            _ => Zone::Fails(ResponseCode::NXDomain),
        }
    }

    async fn verdicts(dns: &LiveDns) -> Vec<Verdict> {
        let wanted = plan("meet.example.com", &[BOX]);
        let told = dns.ask(&wanted).await;
        wanted.iter().zip(&told).map(|(wanted, live)| judge(wanted, live).0).collect()
    }

    /// K3
    #[test]
    fn k3_each_record_is_as_planned_missing_wrong_or_not_told() {
        locally(async {
            let dns = LiveDns::Of(serve(zone).await);
            let [address, h323cs, h323ls, sip, sips, federation] = verdicts(&dns).await[..] else {
                panic!("six records");
            };
            assert_eq!((address, sip), (Verdict::Good, Verdict::Good));
            assert_eq!((h323ls, federation), (Verdict::Missing, Verdict::Missing));
            assert_eq!((sips, h323cs), (Verdict::Wrong, Verdict::Unknown));
        });
    }

    /// K3
    #[test]
    fn k3_what_was_answered_before_is_asked_for_anew() {
        use std::sync::atomic::{AtomicBool, Ordering};
        static MENDED: AtomicBool = AtomicBool::new(false);
        fn mended(asked: &str, of: RecordType) -> Zone {
            match (asked, of) {
                ("_sips._tcp.meet.example.com", _) if MENDED.load(Ordering::Acquire) => {
                    srv(5061, "meet.example.com.")
                }
                _ => zone(asked, of),
            }
        }
        locally(async {
            let dns = LiveDns::Of(serve(mended).await);
            assert_eq!(verdicts(&dns).await[4], Verdict::Wrong);
            MENDED.store(true, Ordering::Release);
            assert_eq!(verdicts(&dns).await[4], Verdict::Good);
        });
    }

    #[test]
    fn who_does_not_answer_is_waited_for_so_long_and_no_longer() {
        locally(async {
            let dns = LiveDns::Of(serve(|_, _| Zone::Silent).await);
            tokio::time::pause();
            let begun = Instant::now();
            let many: Vec<_> = (0..20).flat_map(|n| plan(&format!("d{n}.example.com"), &[BOX])).collect();
            let told = dns.ask(&many).await;
            assert_eq!(told.len(), many.len());
            assert!(told.iter().all(|live| matches!(live, Live::NoAnswer(_))), "{told:?}");
            assert!(begun.elapsed() <= WHOLE + PATIENCE, "{:?}", begun.elapsed());
            let Some(Live::NoAnswer(why)) = told.last() else { panic!("{told:?}") };
            assert_eq!(why, "a check asks for 96 records");
        });
    }
}
