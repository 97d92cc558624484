//! The DNS plan of the gateway's domain (K3): which records callers look for, and what is missing or wrong in live DNS.

use std::fmt;
use std::net::IpAddr;

/// A record that callers look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its name, without a dot at its end.
    pub name: String,
    /// What it must say.
    pub says: Says,
    /// Who looks for it.
    pub who: &'static str,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
    /// The box's addresses (A, AAAA).
    Addresses(Vec<IpAddr>),
    /// The service is at this port of this host (SRV, RFC 2782).
    Service {
        /// The host.
        target: String,
        /// The port.
        port: u16,
    },
}

/// A record that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundService {
    /// The host.
    pub target: String,
    /// The port.
    pub port: u16,
}

/// What of a wanted record is in live DNS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Live {
    /// Addresses, for [`Says::Addresses`].
    Addresses(Vec<IpAddr>),
    /// Services, for [`Says::Service`].
    Services(Vec<FoundService>),
    /// Nobody answered, or not in time.
    NoAnswer(String),
}

impl Live {
    /// What was found, each as people read it: addresses, or `host:port`.
    #[must_use]
    pub fn listed(&self) -> Vec<String> {
        match self {
            Live::Addresses(found) => found.iter().map(ToString::to_string).collect(),
            Live::Services(found) => found.iter().map(ToString::to_string).collect(),
            Live::NoAnswer(_) => Vec::new(),
        }
    }
}

impl fmt::Display for FoundService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", tidy(&self.target), self.port)
    }
}

/// What a record is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It is as planned.
    Good,
    /// It is not there.
    Missing,
    /// It says something else.
    Wrong,
    /// It could not be asked for.
    Unknown,
}

/// What callers look for, in the order of REQUIREMENTS K3: for `domain`, served by a box with `addresses`.
///
/// H.323's records come first in nobody's search yet: this release takes SIP calls, and says so where it checks.
#[must_use]
pub fn plan(domain: &str, addresses: &[IpAddr]) -> Vec<Wanted> {
    let service = |service: &str, port, who| Wanted {
        name: format!("{service}.{domain}"),
        says: Says::Service { target: domain.to_owned(), port },
        who,
    };
    vec![
        Wanted { name: domain.to_owned(), says: Says::Addresses(addresses.to_vec()), who: "every caller" },
        service("_h323cs._tcp", 1720, "H.323 callers"),
        service("_h323ls._udp", 1719, "H.323 gatekeepers"),
        service("_sip._tcp", 5060, "SIP callers over TCP"),
        service("_sips._tcp", 5061, "SIP callers over TLS"),
        service("_sipfederationtls._tcp", 5061, "Skype for Business"),
    ]
}

/// Whether callers of this release look for it.
#[must_use]
pub fn is_served(wanted: &Wanted) -> bool {
    !wanted.name.starts_with("_h323") && !wanted.name.starts_with("_sipfederationtls")
}

/// Holds `live` against what was wanted: what it is worth, and a sentence that says so.
#[must_use]
pub fn judge(wanted: &Wanted, live: &Live) -> (Verdict, String) {
    let Wanted { name, says, who } = wanted;
    match (says, live) {
        (_, Live::NoAnswer(why)) => (Verdict::Unknown, format!("{name}: nobody says ({why})")),
        (Says::Addresses(own), Live::Addresses(found)) => {
            let kind = "A/AAAA";
            let listed = list(found);
            if found.is_empty() {
                return (Verdict::Missing, format!("{name} {kind} is missing; add {}", or_the_boxes(own)));
            }
            let strangers: Vec<_> = found.iter().filter(|address| !own.contains(address)).copied().collect();
            if own.is_empty() {
                (Verdict::Good, format!("{name} {kind} leads to {listed}"))
            } else if strangers.is_empty() {
                (Verdict::Good, format!("{name} {kind} leads here ({listed})"))
            } else {
                let all = list(&strangers);
                (
                    Verdict::Wrong,
                    format!(
                        "{name} {kind} leads to {all}, which is not this box; change it to {}",
                        or_the_boxes(own)
                    ),
                )
            }
        }
        (Says::Service { target, port }, Live::Services(found)) => {
            let line = format!("SRV 10 10 {port} {target}.");
            if found.is_empty() {
                return (
                    Verdict::Missing,
                    format!("{name} is missing, so {who} do not find the box; add {line}"),
                );
            }
            let good = found.iter().any(|found| found.port == *port && same_name(&found.target, target));
            let listed = live.listed().join(", ");
            if good {
                (Verdict::Good, format!("{name} leads to {listed}"))
            } else {
                (
                    Verdict::Wrong,
                    format!("{name} leads to {listed}, and not to {target}:{port}; change it to {line}"),
                )
            }
        }
        (Says::Addresses(_), Live::Services(_)) | (Says::Service { .. }, Live::Addresses(_)) => {
            (Verdict::Unknown, format!("{name}: another record was asked for"))
        }
    }
}

fn list(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn or_the_boxes(own: &[IpAddr]) -> String {
    if own.is_empty() { "the box's address".to_owned() } else { list(own) }
}

fn same_name(a: &str, b: &str) -> bool {
    a.trim_end_matches('.').eq_ignore_ascii_case(b.trim_end_matches('.'))
}

/// A name from the network, made printable.
fn tidy(name: &str) -> String {
    name.trim_end_matches('.').chars().take(253).map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect()
}

impl fmt::Display for Wanted {
    /// As a line of a zone file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match &self.says {
            Says::Addresses(addresses) if addresses.is_empty() => {
                write!(f, "{name}. A/AAAA <the box's address>")
            }
            Says::Addresses(addresses) => {
                for (index, address) in addresses.iter().enumerate() {
                    let (newline, kind) =
                        (if index == 0 { "" } else { "\n" }, if address.is_ipv4() { "A" } else { "AAAA" });
                    write!(f, "{newline}{name}. {kind} {address}")?;
                }
                Ok(())
            }
            Says::Service { target, port } => write!(f, "{name}. SRV 10 10 {port} {target}."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOX: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 7));

    #[test]
    fn k3_the_plan_names_every_record() {
        let lines: Vec<_> = plan("meet.example.com", &[BOX]).iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "meet.example.com. A 203.0.113.7",
                "_h323cs._tcp.meet.example.com. SRV 10 10 1720 meet.example.com.",
                "_h323ls._udp.meet.example.com. SRV 10 10 1719 meet.example.com.",
                "_sip._tcp.meet.example.com. SRV 10 10 5060 meet.example.com.",
                "_sips._tcp.meet.example.com. SRV 10 10 5061 meet.example.com.",
                "_sipfederationtls._tcp.meet.example.com. SRV 10 10 5061 meet.example.com.",
            ]
        );
    }

    #[test]
    fn k3_a_record_that_is_missing_or_wrong_is_told_with_what_to_write() {
        let plan = plan("meet.example.com", &[BOX]);
        let sip = &plan[3];
        let found = |target: &str, port| Live::Services(vec![FoundService { target: target.into(), port }]);
        assert_eq!(judge(sip, &found("Meet.Example.com.", 5060)).0, Verdict::Good);
        let (verdict, said) = judge(sip, &found("old.example.com.", 5060));
        assert_eq!(verdict, Verdict::Wrong);
        assert!(
            said.ends_with("not to meet.example.com:5060; change it to SRV 10 10 5060 meet.example.com."),
            "{said}"
        );
        assert_eq!(judge(sip, &found("meet.example.com.", 5080)).0, Verdict::Wrong);
        let (verdict, said) = judge(sip, &Live::Services(Vec::new()));
        assert_eq!(verdict, Verdict::Missing);
        assert!(said.starts_with("_sip._tcp.meet.example.com is missing, so SIP callers over TCP"), "{said}");
        let (verdict, said) = judge(&plan[0], &Live::Addresses(vec![[192, 0, 2, 1].into(), BOX]));
        assert_eq!(verdict, Verdict::Wrong);
        assert!(
            said.contains("leads to 192.0.2.1, which is not this box; change it to 203.0.113.7"),
            "{said}"
        );
        assert_eq!(judge(&plan[0], &Live::Addresses(vec![BOX])).0, Verdict::Good);
        assert_eq!(Live::Addresses(vec![BOX]).listed(), ["203.0.113.7"]);
        assert_eq!(found("Old.example.com.", 5080).listed(), ["Old.example.com:5080"]);
        assert_eq!(judge(&plan[0], &Live::Addresses(Vec::new())).0, Verdict::Missing);
        assert_eq!(judge(sip, &Live::NoAnswer("timed out".into())).0, Verdict::Unknown);
    }

    #[test]
    fn names_from_the_network_cannot_draw_on_the_screen() {
        let plan = plan("a.example", &[]);
        let evil = Live::Services(vec![FoundService { target: "x\u{1b}[2J\n.".into(), port: 1 }]);
        assert!(!judge(&plan[3], &evil).1.chars().any(char::is_control));
        assert!(!evil.listed().concat().chars().any(char::is_control));
    }
}
