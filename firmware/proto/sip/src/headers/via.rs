//! Via: which way a request came, so that its response goes back (RFC 3261 20.42, RFC 3581).

use super::HeaderError;
use crate::message::lex;
use crate::uri::{Host, Params, read_host_port};
use rsip::Transport;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The transport a Via names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ViaTransport {
    /// One that RFC 3261, 4168 or 7118 defines.
    Known(Transport),
    /// Any other token.
    Other(String),
}

/// The `rport` parameter (RFC 3581).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rport {
    /// Not there.
    Absent,
    /// There without a value: the client asks for it.
    Asked,
    /// The port the request came from.
    Port(u16),
}

/// One Via element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Via {
    /// The transport.
    pub transport: ViaTransport,
    /// The host of sent-by.
    pub host: Host,
    /// The port of sent-by, if one is written.
    pub port: Option<u16>,
    /// `branch`, `received`, `rport`, `maddr`, `ttl` and others.
    pub params: Params,
}

/// What every branch made by RFC 3261's rules begins with (8.1.1.7).
pub const MAGIC_COOKIE: &str = "z9hG4bK";

impl Via {
    /// `SIP/2.0/<transport> <host>:<port>;branch=<branch>;rport`.
    #[must_use]
    pub fn new(transport: Transport, host: Host, port: Option<u16>, branch: &str) -> Self {
        let mut params = Params::new();
        params.set("branch", Some(branch));
        params.set("rport", None);
        Self { transport: ViaTransport::Known(transport), host, port, params }
    }

    /// Reads one element.
    ///
    /// # Errors
    /// [`HeaderError`] if it is not `SIP/2.0/<transport> <sent-by>` with parameters.
    pub fn parse(text: &str) -> Result<Self, HeaderError> {
        read(text).map_err(|problem| HeaderError::new("Via", text, problem))
    }

    /// The transaction's branch.
    #[must_use]
    pub fn branch(&self) -> Option<&str> {
        self.params.get("branch").filter(|branch| !branch.is_empty())
    }

    /// The branch if it was made by RFC 3261's rules: the magic cookie with something behind it. Without one the
    /// request is matched as RFC 2543's are (17.2.3).
    #[must_use]
    pub fn rfc3261_branch(&self) -> Option<&str> {
        let cookie = |b: &&str| {
            b.len() > MAGIC_COOKIE.len() && b.get(..7).is_some_and(|c| c.eq_ignore_ascii_case(MAGIC_COOKIE))
        };
        self.branch().filter(cookie)
    }

    /// Where the request came from as the next hop saw it, IPv6 with or without brackets.
    #[must_use]
    pub fn received(&self) -> Option<IpAddr> {
        Host::parse(self.params.get("received")?)?.ip()
    }

    /// Whether and how `rport` is there.
    #[must_use]
    pub fn rport(&self) -> Rport {
        match self.params.get("rport") {
            None => Rport::Absent,
            Some(value) => lex::number(value).map_or(Rport::Asked, Rport::Port),
        }
    }

    /// Where responses go if not to sent-by (multicast).
    #[must_use]
    pub fn maddr(&self) -> Option<Host> {
        Host::parse(self.params.get("maddr")?)
    }

    /// Time to live of multicast.
    #[must_use]
    pub fn ttl(&self) -> Option<u8> {
        lex::number(self.params.get("ttl")?)
    }

    /// Notes where the request really came from, as the server transport must (RFC 3261 18.2.1, RFC 3581 4):
    /// `received` if sent-by is not that address, and `rport` if the client asked for it.
    pub fn set_source(&mut self, source: SocketAddr) {
        let asked = self.rport() != Rport::Absent;
        if asked || self.host.ip() != Some(source.ip()) {
            self.params.set("received", Some(&source.ip().to_string()));
        }
        if asked {
            self.params.set("rport", Some(&source.port().to_string()));
        }
    }

    /// The port of sent-by, or its transport's own.
    #[must_use]
    pub fn port_or_default(&self) -> u16 {
        let default = match &self.transport {
            ViaTransport::Known(transport) => u16::from(transport.default_port()),
            ViaTransport::Other(_) => 5060,
        };
        self.port.unwrap_or(default)
    }
}

impl fmt::Display for ViaTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(transport) => write!(f, "{transport}"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} {}", self.transport, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        write!(f, "{}", self.params)
    }
}

/// White space may stand round each `/` of `SIP/2.0/UDP`.
fn read(text: &str) -> Result<Via, &'static str> {
    let (name, rest) = text.split_once('/').ok_or("it does not begin with SIP/2.0/")?;
    let (version, rest) = rest.split_once('/').ok_or("it does not begin with SIP/2.0/")?;
    if !lex::trim(name).eq_ignore_ascii_case("SIP") || lex::trim(version) != "2.0" {
        return Err("its protocol is not SIP/2.0");
    }
    let rest = lex::trim(rest);
    let (transport, rest) = rest.split_once([' ', '\t']).ok_or("no sent-by behind the transport")?;
    if !lex::is_token(transport) {
        return Err("the transport is no token");
    }
    let transport =
        transport.parse().map_or_else(|_| ViaTransport::Other(transport.to_owned()), ViaTransport::Known);
    let (sent_by, params) = match rest.split_once(';') {
        Some((sent_by, params)) => (sent_by, Params::parse(params)?),
        None => (rest, Params::new()),
    };
    let (host, port) = read_host_port(lex::trim(sent_by))?;
    Ok(Via { transport, host, port, params })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_may_stand_anywhere_rfc_3261_lets_it() {
        let via = Via::parse("SIP  /   2.0  /UDP     [2001:db8::9] : 5070 ;rport ;branch=z9hG4bKx").unwrap();
        assert_eq!(via.to_string(), "SIP/2.0/UDP [2001:db8::9]:5070;rport;branch=z9hG4bKx");
        assert_eq!((via.rport(), via.rfc3261_branch()), (Rport::Asked, Some("z9hG4bKx")));
    }

    #[test]
    fn the_source_is_noted_as_rfc_3581_says() {
        let mut via = Via::parse("SIP/2.0/TCP 10.0.0.1;rport;branch=z9hG4bKx").unwrap();
        via.set_source("[2001:db8::1]:4000".parse().unwrap());
        assert_eq!(via.to_string(), "SIP/2.0/TCP 10.0.0.1;rport=4000;branch=z9hG4bKx;received=2001:db8::1");
        assert_eq!(via.received(), "2001:db8::1".parse().ok());

        let mut plain = Via::parse("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx").unwrap();
        plain.set_source("192.0.2.1:5060".parse().unwrap());
        assert!(!plain.params.has("received"));
    }

    #[test]
    fn a_cookie_alone_is_no_branch_of_rfc_3261() {
        assert_eq!(Via::parse("SIP/2.0/UDP h;branch=z9hG4bK").unwrap().rfc3261_branch(), None);
        assert_eq!(Via::parse("SIP/2.0/UDP h;branch=1").unwrap().rfc3261_branch(), None);
    }

    #[test]
    fn what_is_no_via_is_refused() {
        for bad in [
            "",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "SIP/2.0/UDP h;;",
            "HTTP/1.1/TCP h",
            "SIP/2.0/U(P h",
            "SIP/3.0/UDP h",
        ] {
            assert!(Via::parse(bad).is_err(), "{bad}");
        }
    }
}
