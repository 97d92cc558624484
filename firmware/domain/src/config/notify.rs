//! Whom the box tells its alarms to: `[[notify]]`, each a syslog server, a station for SNMP, or a webhook.

use super::read::Section;
use super::values;
use crate::alarm::Level;
use base::Secret;
use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use toml::de::DeValue;

/// Most of them.
pub const MAX_SINKS: usize = 16;
/// Shortest password of SNMPv3, in bytes (RFC 3414 11.2).
const SNMP_PASSWORD_BYTES: usize = 8;
/// Longest user name of SNMPv3, in bytes (RFC 3414 5).
const SNMP_USER_BYTES: usize = 32;
/// Shortest secret of a webhook, in bytes: half of what its signature is made of.
const WEBHOOK_SECRET_BYTES: usize = 16;
/// The port of syslog over UDP (RFC 5426 3.3).
const SYSLOG_UDP: u16 = 514;
/// The port of syslog over TLS (RFC 5425 4.1).
const SYSLOG_TLS: u16 = 6514;
/// The port of notifications (RFC 3417 3.1).
const SNMP_TRAP: u16 = 162;

/// Somebody who is told of alarms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sink {
    /// Unique among them.
    pub name: String,
    /// The least level that is told.
    pub least: Level,
    /// Where and how.
    pub to: Destination,
}

/// Where alarms are told to, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A syslog server (RFC 5424).
    Syslog(Syslog),
    /// A station that takes SNMP notifications.
    Snmp(Snmp),
    /// A server that takes JSON by HTTPS.
    Webhook(Webhook),
}

/// A syslog server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Syslog {
    /// Where it is.
    pub at: Place,
    /// How messages travel.
    pub transport: SyslogTransport,
}

/// How syslog travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyslogTransport {
    /// A datagram each; nobody hears of one that is lost (RFC 5426).
    Udp,
    /// A connection under TLS (RFC 5425).
    Tls {
        /// PEM file of the authorities its certificate is checked against, beside the public ones.
        ca_file: Option<PathBuf>,
    },
}

/// A station for SNMP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snmp {
    /// Where it is.
    pub at: Place,
    /// Which SNMP it speaks.
    pub version: SnmpVersion,
}

/// Which SNMP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnmpVersion {
    /// RFC 1901: everything in clear.
    V2c {
        /// What stands for a password, and is no secret on the way.
        community: Secret<String>,
    },
    /// RFC 3414.
    V3 {
        /// As the station knows it.
        user: String,
        /// What it takes.
        security: SnmpSecurity,
    },
}

/// A user's security level (RFC 3411 3.4.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnmpSecurity {
    /// noAuthNoPriv.
    Open,
    /// authNoPriv.
    Authenticated(SnmpAuth, Secret<String>),
    /// authPriv, with AES-128.
    Encrypted {
        /// By which hash.
        auth: SnmpAuth,
        /// With which password.
        auth_password: Secret<String>,
        /// The password of the encryption.
        privacy_password: Secret<String>,
    },
}

/// How SNMPv3 proves who has sent a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnmpAuth {
    /// HMAC-SHA-96 (RFC 3414).
    Sha1,
    /// HMAC-192-SHA-256 (RFC 7860).
    Sha256,
}

/// A server that takes JSON by HTTPS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Absolute, `https`.
    pub url: String,
    /// What its signatures are made with.
    pub secret: Secret<String>,
    /// PEM file of the authorities its certificate is checked against, beside the public ones.
    pub ca_file: Option<PathBuf>,
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// A name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Syslog,
    Snmp,
    Webhook,
}

#[derive(Clone, Copy)]
enum Transport {
    Udp,
    Tls,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    V2c,
    V3,
}

const KINDS: &[(&str, Kind)] = &[("syslog", Kind::Syslog), ("snmp", Kind::Snmp), ("webhook", Kind::Webhook)];
const LEVELS: &[(&str, Level)] = &[
    ("warning", Level::Warning),
    ("minor", Level::Minor),
    ("major", Level::Major),
    ("critical", Level::Critical),
];
const TRANSPORTS: &[(&str, Transport)] = &[("udp", Transport::Udp), ("tls", Transport::Tls)];
const VERSIONS: &[(&str, Version)] = &[("v2c", Version::V2c), ("v3", Version::V3)];
const AUTHS: &[(&str, SnmpAuth)] = &[("sha-256", SnmpAuth::Sha256), ("sha-1", SnmpAuth::Sha1)];
/// Every field of any kind: where the kind is wrong, none of them can be.
const FIELDS: &[&str] = &[
    "address",
    "transport",
    "ca_file",
    "version",
    "community",
    "user",
    "auth",
    "auth_password",
    "privacy_password",
    "url",
    "secret",
];

/// Reads all of `[[notify]]`.
pub(super) fn read(root: &Section<'_, '_>) -> Vec<Sink> {
    let sections = root.sections("notify");
    if sections.len() > MAX_SINKS {
        root.wrong("notify", format!("has {} receivers; at most {MAX_SINKS} are taken", sections.len()));
    }
    let mut names = BTreeSet::new();
    let mut sinks = Vec::new();
    for s in &sections {
        let sink = sink(s);
        if let Some(sink) = &sink
            && !names.insert(sink.name.clone())
        {
            s.wrong("name", format!("{:?} is already a receiver's; give each its own", sink.name));
        }
        sinks.extend(sink);
    }
    sinks
}

fn sink(s: &Section<'_, '_>) -> Option<Sink> {
    let name = s.need("name", values::name, "alarms about it name it");
    let kind = s.need("kind", values::word(KINDS), "take \"syslog\", \"snmp\" or \"webhook\"");
    let least = s.take("least", values::word(LEVELS)).unwrap_or(Level::Warning);
    let to = match kind {
        Some(Kind::Syslog) => syslog(s).map(Destination::Syslog),
        Some(Kind::Snmp) => snmp(s).map(Destination::Snmp),
        Some(Kind::Webhook) => webhook(s).map(Destination::Webhook),
        None => {
            for field in FIELDS {
                s.has(field);
            }
            None
        }
    };
    Some(Sink { name: name?, least, to: to? })
}

fn syslog(s: &Section<'_, '_>) -> Option<Syslog> {
    let transport = s.take("transport", values::word(TRANSPORTS));
    let transport = if s.has("transport") { transport } else { Some(Transport::Udp) };
    let ca_file = s.take("ca_file", values::path);
    let port = match transport {
        Some(Transport::Udp) if s.has("ca_file") => {
            s.wrong("ca_file", "means nothing over UDP; remove it, or set transport = \"tls\"");
            SYSLOG_UDP
        }
        Some(Transport::Udp) | None => SYSLOG_UDP,
        Some(Transport::Tls) => SYSLOG_TLS,
    };
    let at = s.need("address", place(port), "write the server's host and perhaps a port");
    let transport = match transport? {
        Transport::Udp => SyslogTransport::Udp,
        Transport::Tls => SyslogTransport::Tls { ca_file },
    };
    Some(Syslog { at: at?, transport })
}

fn snmp(s: &Section<'_, '_>) -> Option<Snmp> {
    let at = s.need("address", place(SNMP_TRAP), "write the station's host and perhaps a port");
    let version = s.take("version", values::word(VERSIONS));
    let version = if s.has("version") { version? } else { Version::V3 };
    let (useless, other): (&[&'static str], _) = match version {
        Version::V2c => (&["user", "auth", "auth_password", "privacy_password"], "v3"),
        Version::V3 => (&["community"], "v2c"),
    };
    for field in useless.iter().filter(|field| s.has(field)) {
        s.wrong(field, format!("means nothing in this version; remove it, or set version = {other:?}"));
    }
    let version = match version {
        Version::V2c => {
            let community = s.need("community", values::secret, "write what the station takes");
            SnmpVersion::V2c { community: community? }
        }
        Version::V3 => {
            let (user, security) = (s.need("user", user, "write the name the station knows"), security(s));
            SnmpVersion::V3 { user: user?, security: security? }
        }
    };
    Some(Snmp { at: at?, version })
}

fn security(s: &Section<'_, '_>) -> Option<SnmpSecurity> {
    let password = secret_of(SNMP_PASSWORD_BYTES);
    let auth = s.take("auth", values::word(AUTHS));
    let auth = if s.has("auth") { auth } else { Some(SnmpAuth::Sha256) };
    let auth_password = s.take("auth_password", &password);
    let privacy_password = s.take("privacy_password", &password);
    match (s.has("auth_password"), s.has("privacy_password")) {
        (false, false) if s.has("auth") => {
            s.lacks("auth_password", "is missing; auth needs one, or remove auth");
            None
        }
        (false, false) => Some(SnmpSecurity::Open),
        (true, false) => Some(SnmpSecurity::Authenticated(auth?, auth_password?)),
        (true, true) => Some(SnmpSecurity::Encrypted {
            auth: auth?,
            auth_password: auth_password?,
            privacy_password: privacy_password?,
        }),
        (false, true) => {
            s.lacks("auth_password", "is missing; SNMP encrypts only what it authenticates");
            None
        }
    }
}

fn webhook(s: &Section<'_, '_>) -> Option<Webhook> {
    let url = s.need("url", values::https, "write where alarms are posted to, https://...");
    let way_out = "write what the receiver checks signatures with";
    let secret = s.need("secret", secret_of(WEBHOOK_SECRET_BYTES), way_out);
    let ca_file = s.take("ca_file", values::path);
    Some(Webhook { url: url?, secret: secret?, ca_file })
}

/// A secret of at least so many bytes.
fn secret_of(least: usize) -> impl Fn(&DeValue<'_>) -> Result<Secret<String>, String> {
    move |value| {
        let secret = values::secret(value)?;
        if secret.expose().len() < least {
            return Err(format!(
                "has fewer than {least} bytes (not shown: it is a secret); take a longer one"
            ));
        }
        Ok(secret)
    }
}

fn user(value: &DeValue<'_>) -> Result<String, String> {
    let name = values::name(value)?;
    if name.len() > SNMP_USER_BYTES {
        return Err(format!("has more than {SNMP_USER_BYTES} bytes; shorten it"));
    }
    Ok(name)
}

/// A host and perhaps a port, else `port`.
fn place(port: u16) -> impl Fn(&DeValue<'_>) -> Result<Place, String> {
    move |value| {
        let text = values::host(value)?;
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Place { host: address.ip().to_string(), port: address.port() });
        }
        if text.parse::<IpAddr>().is_ok() {
            return Ok(Place { host: text, port });
        }
        let own = text.split_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
        let (host, port) = own.unwrap_or((&text, port));
        Ok(Place { host: host.to_owned(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn read(text: &str) -> Result<Vec<Sink>, Vec<String>> {
        let text = format!("gateway.domains = [\"m.example\"]\n{text}");
        let lines = |problems: crate::config::Problems| {
            problems.list.iter().map(|problem| format!("{} {}", problem.field, problem.message)).collect()
        };
        Config::parse("gantry.toml", &text).map(|config| config.notify).map_err(lines)
    }

    fn one(text: &str) -> Sink {
        let mut sinks = read(&format!("[[notify]]\nname = \"a\"\n{text}")).unwrap();
        assert_eq!(sinks.len(), 1);
        sinks.remove(0)
    }

    fn wrong(text: &str) -> Vec<String> {
        read(&format!("[[notify]]\nname = \"a\"\n{text}")).unwrap_err()
    }

    #[test]
    fn each_kind_has_the_ports_and_security_of_its_rfc() {
        let syslog =
            |more: &str| one(&format!("kind = \"syslog\"\naddress = \"log.example.com\"\n{more}")).to;
        let at = |port| Place { host: "log.example.com".into(), port };
        let udp = Syslog { at: at(514), transport: SyslogTransport::Udp };
        assert_eq!(syslog(""), Destination::Syslog(udp));
        let tls = Syslog { at: at(6514), transport: SyslogTransport::Tls { ca_file: None } };
        assert_eq!(syslog("transport = \"tls\""), Destination::Syslog(tls));

        let sink = one("kind = \"snmp\"\naddress = \"192.0.2.1\"\nuser = \"gantry\"\nleast = \"major\"");
        assert_eq!(sink.least, Level::Major);
        let version = SnmpVersion::V3 { user: "gantry".into(), security: SnmpSecurity::Open };
        let at = Place { host: "192.0.2.1".into(), port: 162 };
        assert_eq!(sink.to, Destination::Snmp(Snmp { at, version }));
        let secret = |text: &str| Secret::new(text.to_owned());
        let sink =
            one("kind = \"snmp\"\naddress = \"[::1]:1162\"\nversion = \"v2c\"\ncommunity = \"public\"");
        let at = Place { host: "::1".into(), port: 1162 };
        assert_eq!(at.to_string(), "[::1]:1162");
        let version = SnmpVersion::V2c { community: secret("public") };
        assert_eq!(sink.to, Destination::Snmp(Snmp { at, version }));

        let sink = one("kind = \"snmp\"\naddress = \"n.example.com:1162\"\nuser = \"u\"\nauth = \"sha-1\"\n\
                        auth_password = \"12345678\"\nprivacy_password = \"abcdefgh\"");
        let security = SnmpSecurity::Encrypted {
            auth: SnmpAuth::Sha1,
            auth_password: secret("12345678"),
            privacy_password: secret("abcdefgh"),
        };
        let at = Place { host: "n.example.com".into(), port: 1162 };
        let version = SnmpVersion::V3 { user: "u".into(), security };
        assert_eq!(sink.to, Destination::Snmp(Snmp { at, version }));

        let sink = one(
            "kind = \"webhook\"\nurl = \"https://ops.example.com/alarms\"\nsecret = \"0123456789abcdef\"",
        );
        assert_eq!(sink.least, Level::Warning);
        assert!(
            matches!(sink.to, Destination::Webhook(hook) if hook.url == "https://ops.example.com/alarms")
        );
    }

    #[test]
    fn everything_wrong_is_told_at_once_with_a_way_out() {
        assert_eq!(
            wrong("kind = \"pager\"\naddress = \"a.b\"\nport = 1"),
            [
                "notify[0].kind \"pager\" is not known; take \"syslog\", \"snmp\", \"webhook\"",
                "notify[0].port is unknown; known here: address, auth, auth_password, ca_file, community, kind, least, name, privacy_password, secret, transport, url, user, version",
            ]
        );
        assert_eq!(
            wrong("kind = \"syslog\"\nca_file = \"x\"\nleast = \"info\"\ncommunity = \"x\""),
            [
                "notify[0].address is missing; write the server's host and perhaps a port",
                "notify[0].ca_file means nothing over UDP; remove it, or set transport = \"tls\"",
                "notify[0].least \"info\" is not known; take \"warning\", \"minor\", \"major\", \"critical\"",
                "notify[0].community is unknown; known here: address, ca_file, kind, least, name, transport",
            ]
        );
        assert_eq!(
            wrong("kind = \"snmp\"\naddress = \"a.b\"\nprivacy_password = \"abcdefgh\"\ncommunity = \"x\""),
            [
                "notify[0].auth_password is missing; SNMP encrypts only what it authenticates",
                "notify[0].user is missing; write the name the station knows",
                "notify[0].community means nothing in this version; remove it, or set version = \"v2c\"",
            ]
        );
        assert_eq!(
            wrong("kind = \"webhook\"\nurl = \"http://a.b\"\nsecret = \"hunter2\""),
            [
                "notify[0].url \"http://a.b\" is no https URL; only https:// is spoken, keys travel on it",
                "notify[0].secret has fewer than 16 bytes (not shown: it is a secret); take a longer one",
            ]
        );
    }

    #[test]
    fn names_are_given_once_and_there_are_not_too_many() {
        let one = "[[notify]]\nname = \"a\"\nkind = \"syslog\"\naddress = \"a.b\"\n";
        assert_eq!(
            read(&one.repeat(2)),
            Err(vec!["notify[1].name \"a\" is already a receiver's; give each its own".to_owned()])
        );
        let many = (0..17).map(|number| one.replace("\"a\"", &format!("\"{number}\""))).collect::<String>();
        assert_eq!(read(&many), Err(vec!["notify has 17 receivers; at most 16 are taken".to_owned()]));
    }
}
