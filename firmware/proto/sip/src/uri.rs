//! A SIP, SIPS, tel or other URI (RFC 3261 19.1, RFC 3966), with IPv6 hosts and parameters kept.
//!
//! Parts are held as they stand on the wire, escapes included, so that a URI is written as it was read.

mod params;

pub use params::Params;

use crate::message::lex;
use crate::quirks;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a URI begins with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `sip`.
    Sip,
    /// `sips`: TLS on every hop (RFC 3261 26.2.2, RFC 5630).
    Sips,
    /// `tel` (RFC 3966).
    Tel,
    /// Any other, in lower case.
    Other(String),
}

/// Where a URI or a Via points.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A host or domain name, as written.
    Name(String),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address, in brackets on the wire.
    V6(Ipv6Addr),
    /// None: tel and other URIs that have no host.
    None,
}

/// A URI.
///
/// `==` compares what is written; [`equivalent`](Uri::equivalent) is RFC 3261's comparison.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Uri {
    /// Its scheme.
    pub scheme: Scheme,
    /// The user, escapes kept; the number of a tel URI; everything behind the scheme of any other URI.
    pub user: Option<String>,
    /// The password, escapes kept.
    pub password: Option<String>,
    /// The host; [`Host::None`] in tel and other URIs only.
    pub host: Host,
    /// The port, if one is written.
    pub port: Option<u16>,
    /// URI parameters (`;transport=tcp`).
    pub params: Params,
    /// URI headers (`?subject=x`), names and values with their escapes.
    pub headers: Vec<(String, String)>,
}

/// Why a text is no URI.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("uri {text:?}: {problem}")]
pub struct UriError {
    /// The text, or its first 80 characters.
    pub text: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl Uri {
    /// `sip:user@host:port`, or without a user.
    #[must_use]
    pub fn sip(user: Option<&str>, host: Host, port: Option<u16>) -> Self {
        Self {
            scheme: Scheme::Sip,
            user: user.map(escape_user),
            password: None,
            host,
            port,
            params: Params::default(),
            headers: Vec::new(),
        }
    }

    /// Reads a URI.
    ///
    /// # Errors
    /// [`UriError`] if it has no scheme, white space, `<` or `>`, or a host or port that is none.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        read(text).map_err(|problem| UriError { text: text.chars().take(80).collect(), problem })
    }

    /// Whether it says `sips`.
    #[must_use]
    pub fn is_sips(&self) -> bool {
        self.scheme == Scheme::Sips
    }

    /// The user with its escapes decoded; bytes that are no UTF-8 become U+FFFD.
    #[must_use]
    pub fn user_decoded(&self) -> Option<String> {
        self.user.as_deref().map(unescape)
    }

    /// Whether it has the `lr` parameter of a loose router (RFC 3261 16.12).
    #[must_use]
    pub fn is_loose_router(&self) -> bool {
        self.params.has("lr")
    }

    /// Whether both name the same resource by RFC 3261 19.1.4.
    ///
    /// The relation is not transitive, which is why it is not `==`.
    #[must_use]
    pub fn equivalent(&self, other: &Self) -> bool {
        self.scheme == other.scheme
            && same_opt(self.user.as_deref(), other.user.as_deref(), |a, b| unescape(a) == unescape(b))
            && same_opt(self.password.as_deref(), other.password.as_deref(), |a, b| {
                unescape(a) == unescape(b)
            })
            && self.host.same(&other.host)
            && self.port == other.port
            && same_params(&self.params, &other.params)
            && same_headers(&self.headers, &other.headers)
    }
}

impl Host {
    /// Reads `example.com`, `192.0.2.1`, `[2001:db8::1]` or a bare IPv6 address.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(inner) = text.strip_prefix('[') {
            return quirks::ipv6(inner.strip_suffix(']')?).map(Self::V6);
        }
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Some(Self::from(ip));
        }
        let named = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        (!text.is_empty() && text.len() <= 255 && text.bytes().all(named))
            .then(|| Self::Name(text.to_owned()))
    }

    /// The address, if it is one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::V4(ip) => Some(IpAddr::V4(*ip)),
            Self::V6(ip) => Some(IpAddr::V6(*ip)),
            Self::Name(_) | Self::None => None,
        }
    }

    /// As a certificate bears it: an IPv6 address without brackets.
    #[must_use]
    pub fn certified(&self) -> String {
        match self {
            Self::V6(ip) => ip.to_string(),
            Self::Name(_) | Self::V4(_) | Self::None => self.to_string(),
        }
    }

    /// Whether both are the same host: names compare without regard to case.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(a), Self::Name(b)) => a.eq_ignore_ascii_case(b),
            (a, b) => a == b,
        }
    }
}

impl From<IpAddr> for Host {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::V4(ip),
            IpAddr::V6(ip) => Self::V6(ip),
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sip => "sip",
            Self::Sips => "sips",
            Self::Tel => "tel",
            Self::Other(name) => name,
        })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::V4(ip) => write!(f, "{ip}"),
            Self::V6(ip) => write!(f, "[{ip}]"),
            Self::None => Ok(()),
        }
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.scheme)?;
        if let Some(user) = &self.user {
            f.write_str(user)?;
            if let Some(password) = &self.password {
                write!(f, ":{password}")?;
            }
            if self.host != Host::None {
                f.write_str("@")?;
            }
        }
        write!(f, "{}", self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        write!(f, "{}", self.params)?;
        for (at, (name, value)) in self.headers.iter().enumerate() {
            write!(f, "{}{name}={value}", if at == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}

impl std::str::FromStr for Uri {
    type Err = UriError;
    fn from_str(text: &str) -> Result<Self, UriError> {
        Self::parse(text)
    }
}

fn read(text: &str) -> Result<Uri, &'static str> {
    if text.bytes().any(|b| b.is_ascii_control() || matches!(b, b' ' | b'<' | b'>' | b'"')) {
        return Err("white space, quotes, angle brackets and control characters must be escaped");
    }
    let (scheme, rest) = text.split_once(':').ok_or("no scheme; write sip:user@host")?;
    let lower = scheme.to_ascii_lowercase();
    match lower.as_str() {
        "sip" => read_sip(Scheme::Sip, rest),
        "sips" => read_sip(Scheme::Sips, rest),
        "tel" => read_tel(rest),
        _ => read_other(lower, rest),
    }
}

fn read_sip(scheme: Scheme, rest: &str) -> Result<Uri, &'static str> {
    let (userinfo, rest) = quirks::split_user(rest);
    let (user, password) = match userinfo.map(|u| u.split_once(':').map_or((u, None), |(u, p)| (u, Some(p))))
    {
        None => (None, None),
        Some(("", _)) => return Err("the user before @ is empty; leave the @ out"),
        Some((user, password)) => (Some(user.to_owned()), password.map(str::to_owned)),
    };
    let (rest, headers) = rest.split_once('?').map_or((rest, None), |(rest, headers)| (rest, Some(headers)));
    let (hostport, params) = rest.split_once(';').map_or((rest, None), |(host, params)| (host, Some(params)));
    let (host, port) = read_host_port(hostport)?;
    Ok(Uri {
        scheme,
        user,
        password,
        host,
        port,
        params: params.map_or(Ok(Params::new()), Params::parse)?,
        headers: headers.map_or_else(Vec::new, read_headers),
    })
}

/// `host[:port]`, where white space may stand round the colon (RFC 3261 25.1 `sent-by`).
pub(crate) fn read_host_port(text: &str) -> Result<(Host, Option<u16>), &'static str> {
    let (host, port) = match text.rfind(':') {
        Some(at) if !text.get(at..).unwrap_or("").contains(']') => {
            text.split_at_checked(at).unwrap_or((text, ""))
        }
        _ => (text, ""),
    };
    let host = lex::trim(host);
    if host.contains(':') && !host.starts_with('[') {
        return Err("an IPv6 address must stand in [ ]");
    }
    let host = Host::parse(host).ok_or("the host is no name, IPv4 address or [IPv6 address]")?;
    let port = match port.strip_prefix(':') {
        None => None,
        Some(digits) => Some(lex::number(lex::trim(digits)).ok_or("the port is no number up to 65535")?),
    };
    Ok((host, port))
}

fn read_tel(rest: &str) -> Result<Uri, &'static str> {
    let (number, params) = rest.split_once(';').map_or((rest, None), |(n, p)| (n, Some(p)));
    let digit = |b: u8| b.is_ascii_hexdigit() || matches!(b, b'+' | b'-' | b'.' | b'(' | b')' | b'*' | b'#');
    if number.is_empty() || !number.bytes().all(digit) {
        return Err("a tel uri is digits, * and #, with + in front if global");
    }
    let params = params.map_or(Ok(Params::new()), Params::parse)?;
    Ok(Uri { params, ..opaque(Scheme::Tel, number) })
}

fn read_other(scheme: String, rest: &str) -> Result<Uri, &'static str> {
    let starts = scheme.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
    if !starts || !scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')) {
        return Err("no scheme; write sip:user@host");
    }
    match rest {
        "" => Err("nothing stands behind the scheme"),
        rest => Ok(opaque(Scheme::Other(scheme), rest)),
    }
}

fn opaque(scheme: Scheme, rest: &str) -> Uri {
    Uri {
        scheme,
        user: Some(rest.to_owned()),
        password: None,
        host: Host::None,
        port: None,
        params: Params::new(),
        headers: Vec::new(),
    }
}

fn read_headers(text: &str) -> Vec<(String, String)> {
    let pair = |piece: &str| {
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        (name.to_owned(), value.to_owned())
    };
    text.split('&').filter(|piece| !piece.is_empty()).map(pair).collect()
}

fn same_opt(a: Option<&str>, b: Option<&str>, same: impl Fn(&str, &str) -> bool) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => same(a, b),
        (a, b) => a == b,
    }
}

/// Parameters in both must agree; of those in one only, these five still tell URIs apart.
fn same_params(a: &Params, b: &Params) -> bool {
    let telling = |name: &str| {
        ["transport", "user", "ttl", "method", "maddr"].iter().any(|t| t.eq_ignore_ascii_case(name))
    };
    let covers = |a: &Params, b: &Params| {
        a.iter().all(|(name, value)| match b.get(name) {
            Some(other) => unescape(value.unwrap_or("")).eq_ignore_ascii_case(&unescape(other)),
            None => !telling(name),
        })
    };
    covers(a, b) && covers(b, a)
}

fn same_headers(a: &[(String, String)], b: &[(String, String)]) -> bool {
    let has = |set: &[(String, String)], (name, value): &(String, String)| {
        set.iter().any(|(n, v)| n.eq_ignore_ascii_case(name) && unescape(v) == unescape(value))
    };
    a.len() == b.len() && a.iter().all(|pair| has(b, pair)) && b.iter().all(|pair| has(a, pair))
}

/// Decodes `%hh`; what is no escape stays as it is.
#[must_use]
pub fn unescape(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = bytes.get(at + 1..at + 3).and_then(|h| std::str::from_utf8(h).ok());
        let decoded = hex.filter(|h| h.bytes().all(|b| b.is_ascii_hexdigit()));
        match decoded.and_then(|h| u8::from_str_radix(h, 16).ok()) {
            Some(value) if byte == b'%' => {
                out.push(value);
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Escapes what a user part may not hold (RFC 3261 25.1 `user`).
#[must_use]
pub fn escape_user(text: &str) -> String {
    use fmt::Write as _;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&b);
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b if plain(b) => out.push(char::from(b)),
            b => write!(out, "%{b:02X}").unwrap_or(()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        Uri::parse(text).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn every_part_of_a_uri_is_read_and_written_as_it_stood() {
        let text = "sips:alice;day=tue:pw@[2001:db8::1]:5061;transport=tcp;lr?subject=x%20y&to=z";
        let read = uri(text);
        assert_eq!(read.user.as_deref(), Some("alice;day=tue"));
        assert_eq!((read.password.as_deref(), read.port), (Some("pw"), Some(5061)));
        assert_eq!(read.host, Host::V6("2001:db8::1".parse().unwrap()));
        assert!(read.is_loose_router() && read.is_sips());
        assert_eq!(read.headers[0], ("subject".to_owned(), "x%20y".to_owned()));
        assert_eq!(read.to_string(), text);
    }

    /// The examples of RFC 3261 19.1.4, equal ones first.
    #[test]
    fn uris_are_equivalent_as_rfc_3261_19_1_4_says() {
        let equal = [
            ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
            ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;newparam=5"),
            (
                "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
                "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
            ),
            (
                "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
                "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
            ),
        ];
        for (a, b) in equal {
            assert!(uri(a).equivalent(&uri(b)) && uri(b).equivalent(&uri(a)), "{a} and {b}");
        }
        let different = [
            ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
            ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
            ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
            ("sip:bob@biloxi.com", "sips:bob@biloxi.com"),
        ];
        for (a, b) in different {
            assert!(!uri(a).equivalent(&uri(b)) && !uri(b).equivalent(&uri(a)), "{a} and {b}");
        }
    }

    #[test]
    fn a_user_from_outside_is_escaped_and_reads_back_as_it_was() {
        let built = Uri::sip(Some("a b@c:é"), Host::Name("h".into()), None);
        assert_eq!(built.to_string(), "sip:a%20b%40c%3A%C3%A9@h");
        assert_eq!(uri(&built.to_string()).user_decoded().as_deref(), Some("a b@c:é"));
    }

    #[test]
    fn what_is_no_uri_is_refused() {
        let bad = [
            "",
            "sip",
            "sip:",
            "sip:@h",
            "sip:a@",
            "sip:a@h:0x",
            "sip:a@h:65536",
            "sip:a@[::1",
            "sip:a@2001:db8::10",
            "sip:a@h;;x",
            "sip:a b@h",
            "<sip:a@h>",
            "1x:y",
            "tel:",
            "tel:hello",
            "sip:a@h;x=\"y",
        ];
        for text in bad {
            assert!(Uri::parse(text).is_err(), "{text:?}");
        }
        assert_eq!(
            Uri::parse("nothing").unwrap_err().to_string(),
            "uri \"nothing\": no scheme; write sip:user@host"
        );
    }

    #[test]
    fn escapes_that_are_none_stay() {
        assert_eq!(unescape("100%"), "100%");
        assert_eq!(unescape("%zz%41%f"), "%zzA%f");
        assert_eq!(unescape("%+1"), "%+1");
    }
}
