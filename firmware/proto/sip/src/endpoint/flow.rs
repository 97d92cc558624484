//! Ways between the box and its peers: transports, flows, targets.

use crate::locate;
use crate::transaction::Reliability;
use crate::uri::{Host, Uri};
use std::fmt;
use std::net::SocketAddr;

/// A transport protocol that SIP runs over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A stream in the clear.
    Tcp,
    /// A stream over TLS.
    Tls,
}

impl Transport {
    /// Whether it delivers.
    #[must_use]
    pub const fn reliability(self) -> Reliability {
        match self {
            Transport::Udp => Reliability::Unreliable,
            Transport::Tcp | Transport::Tls => Reliability::Reliable,
        }
    }

    /// 5060, or 5061 for TLS (RFC 3261 19.1.2).
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Transport::Udp | Transport::Tcp => 5060,
            Transport::Tls => 5061,
        }
    }

    /// As a Via names it.
    pub(super) const fn via(self) -> rsip::Transport {
        match self {
            Transport::Udp => rsip::Transport::Udp,
            Transport::Tcp => rsip::Transport::Tcp,
            Transport::Tls => rsip::Transport::Tls,
        }
    }

    /// As the `transport` parameter of a URI names it.
    #[must_use]
    pub const fn param(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
        }
    }

    /// What a URI asks for: `sips` and `transport=`; `None` if it leaves the choice to RFC 3263.
    #[must_use]
    pub fn asked_by(uri: &Uri) -> Option<Self> {
        let param = uri.params.get("transport").map(str::to_ascii_lowercase);
        match (uri.is_sips(), param.as_deref()) {
            (true, _) | (false, Some("tls")) => Some(Transport::Tls),
            (false, Some("tcp")) => Some(Transport::Tcp),
            (false, Some("udp")) => Some(Transport::Udp),
            (false, _) => None,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.param())
    }
}

/// One way to one peer: a pair of addresses, and for streams one connection between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flow {
    /// How.
    pub transport: Transport,
    /// Our address.
    pub local: SocketAddr,
    /// The peer's address.
    pub remote: SocketAddr,
    /// Which connection, never used twice; 0 for UDP.
    pub connection: u64,
}

/// One place a message may be sent to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// How.
    pub transport: Transport,
    /// Where.
    pub remote: SocketAddr,
    /// The name that its TLS certificate must prove (RFC 5922 7.2): the host of the URI, an address if it is one.
    pub tls_name: String,
}

impl Target {
    /// What a look-up found; `None` for transports we do not speak.
    pub(super) fn of_lookup(found: locate::Target) -> Option<Self> {
        let transport = match found.transport {
            rsip::Transport::Udp => Transport::Udp,
            rsip::Transport::Tcp => Transport::Tcp,
            rsip::Transport::Tls => Transport::Tls,
            _ => return None,
        };
        let tls_name = found.tls_name.unwrap_or_else(|| found.address.ip().to_string());
        Some(Self { transport, remote: found.address, tls_name })
    }
}

/// Where a message is to go, before it is known which flow that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hop {
    /// Over this flow.
    Flow(Flow),
    /// To the host that this URI names, by RFC 3263.
    Uri(Uri),
}

/// The target that `uri` names by address, without any lookup; `None` if it has a host name.
pub(super) fn literal_target(uri: &Uri) -> Option<Target> {
    let host = uri.params.get("maddr").and_then(Host::parse);
    let ip = host.as_ref().unwrap_or(&uri.host).ip()?;
    let transport = Transport::asked_by(uri).unwrap_or(Transport::Udp);
    let port = uri.port.unwrap_or(transport.default_port());
    Some(Target { transport, remote: SocketAddr::new(ip, port), tls_name: uri.host.certified() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_in_a_uri_needs_no_lookup() {
        let target = |text: &str| literal_target(&Uri::parse(text).unwrap()).map(|t| (t.transport, t.remote));
        let at = |transport, remote: &str| Some((transport, remote.parse().unwrap()));
        assert_eq!(target("sip:a@192.0.2.1"), at(Transport::Udp, "192.0.2.1:5060"));
        assert_eq!(
            target("sip:a@[2001:db8::1]:5070;transport=TCP"),
            at(Transport::Tcp, "[2001:db8::1]:5070")
        );
        assert_eq!(target("sips:a@192.0.2.1"), at(Transport::Tls, "192.0.2.1:5061"));
        assert_eq!(target("sip:a@example.com"), None);
    }

    #[test]
    fn the_certificate_of_an_address_bears_it_without_brackets() {
        let name = |text: &str| literal_target(&Uri::parse(text).unwrap()).unwrap().tls_name;
        assert_eq!(name("sips:a@[2001:db8::1]"), "2001:db8::1");
        assert_eq!(name("sips:a@example.com;maddr=192.0.2.1"), "example.com");
    }
}
