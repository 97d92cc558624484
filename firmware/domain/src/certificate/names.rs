//! Which of a certificate's names count for a domain: RFC 5922 7.1 and 7.2 in SIP, RFC 9525 elsewhere.

/// The names of a leaf that can be those of a domain, in lower case, without a dot at the end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct LeafNames {
    /// `dNSName`.
    pub dns: Vec<String>,
    /// Hosts of SIP URIs that name a domain and nobody in it.
    pub sip: Vec<String>,
}

/// How a domain stands in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// In SIP and elsewhere.
    Named,
    /// In SIP only.
    SipOnly,
    /// As a DNS name, beside which there are SIP URIs.
    BesideSipUris,
    /// By this wildcard only.
    Wildcard(String),
    /// Not at all.
    Absent,
}

impl LeafNames {
    /// How `domain` stands in them. It is in SIP if it is one of the SIP URIs, or one of the DNS names where there is no SIP
    /// URI (RFC 5922 7.1); a wildcard matches nothing (7.2).
    pub fn standing(&self, domain: &str) -> Standing {
        let domain = plain(domain);
        let (in_dns, in_sip) = (self.dns.contains(&domain), self.sip.contains(&domain));
        if in_sip {
            return if in_dns { Standing::Named } else { Standing::SipOnly };
        }
        if in_dns {
            return if self.sip.is_empty() { Standing::Named } else { Standing::BesideSipUris };
        }
        let names = self.sip.iter().chain(&self.dns);
        let wildcard = names.into_iter().find(|name| covers(name, &domain));
        wildcard.map_or(Standing::Absent, |name| Standing::Wildcard(name.clone()))
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.dns.is_empty() && self.sip.is_empty()
    }
}

/// As names are compared: in lower case, without the dot of the root.
pub(super) fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// Whether a name with a wildcard would be this domain's in HTTPS (RFC 9525 6.3): the `*` is one whole label.
fn covers(name: &str, domain: &str) -> bool {
    let rest = domain.split_once('.').map(|(_, rest)| rest);
    name.strip_prefix("*.").is_some_and(|suffix| rest == Some(suffix))
}

/// The domain that a SIP URI names; `None` for one with a user part, which names somebody in it, and for other schemes, `sips`
/// among them (RFC 5922 7.1).
pub(super) fn sip_domain(uri: &str) -> Option<String> {
    let (scheme, rest) = uri.split_once(':')?;
    if !scheme.eq_ignore_ascii_case("sip") || rest.contains('@') {
        return None;
    }
    let host = rest.split([':', ';', '?']).next()?;
    (!host.is_empty()).then(|| plain(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dns: &[&str], sip: &[&str]) -> LeafNames {
        let own = |names: &[&str]| names.iter().map(|name| plain(name)).collect();
        LeafNames { dns: own(dns), sip: own(sip) }
    }

    #[test]
    fn a_dns_name_counts_in_sip_only_where_no_sip_uri_stands_beside_it() {
        assert_eq!(names(&["Meet.Example.com."], &[]).standing("meet.example.COM"), Standing::Named);
        assert_eq!(names(&["a.b"], &["x.y"]).standing("a.b"), Standing::BesideSipUris);
        assert_eq!(names(&["a.b"], &["a.b"]).standing("a.b"), Standing::Named);
        assert_eq!(names(&["x.y"], &["a.b"]).standing("a.b"), Standing::SipOnly);
        assert_eq!(names(&["x.y"], &[]).standing("a.b"), Standing::Absent);
    }

    #[test]
    fn a_wildcard_is_told_from_no_name_at_all() {
        let wildcard = names(&["*.example.com"], &[]);
        assert_eq!(wildcard.standing("meet.example.com"), Standing::Wildcard("*.example.com".to_owned()));
        for other in ["example.com", "a.meet.example.com", "meet.example.org"] {
            assert_eq!(wildcard.standing(other), Standing::Absent, "{other}");
        }
    }

    #[test]
    fn a_sip_uri_names_a_domain_if_it_names_nobody_in_it() {
        assert_eq!(sip_domain("sip:Meet.Example.com"), Some("meet.example.com".to_owned()));
        assert_eq!(sip_domain("SIP:a.b:5061;transport=tls"), Some("a.b".to_owned()));
        for other in ["sips:a.b", "sip:me@a.b", "xmpp:a.b", "sip:", "a.b", ""] {
            assert_eq!(sip_domain(other), None, "{other}");
        }
    }
}
