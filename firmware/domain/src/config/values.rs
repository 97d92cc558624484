//! What a single value of a configuration may be: text in, a type that cannot be wrong out.
//!
//! Each function's error follows the field's name in a sentence and ends with the way out.

use super::PortRange;
use base::Secret;
use base::leg::{Protocol, Trust};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use toml::de::DeValue;

use crate::routing::{Direction, Network};

type Value<'a> = DeValue<'a>;

/// Longest name, in characters.
const NAME_CHARS: usize = 64;
/// Longest other text, in characters.
const TEXT_CHARS: usize = 1000;
/// Longest secret, in bytes.
const SECRET_BYTES: usize = 4096;

fn string<'v>(value: &'v Value<'_>) -> Result<&'v str, String> {
    value.as_str().ok_or_else(|| format!("must be a string, found {}", value.type_str()))
}

/// Any text.
pub(super) fn text(value: &Value<'_>) -> Result<String, String> {
    let text = string(value)?;
    if text.chars().count() > TEXT_CHARS {
        return Err(format!("has more than {TEXT_CHARS} characters; shorten it"));
    }
    Ok(text.to_owned())
}

/// A text by which something is called.
pub(super) fn name(value: &Value<'_>) -> Result<String, String> {
    let name = string(value)?;
    if name.trim().is_empty() || name.chars().count() > NAME_CHARS || name.chars().any(char::is_control) {
        return Err(format!("must have 1 to {NAME_CHARS} printable characters"));
    }
    Ok(name.to_owned())
}

/// A value that never prints.
pub(super) fn secret(value: &Value<'_>) -> Result<Secret<String>, String> {
    let text = string(value)?;
    if text.is_empty() || text.len() > SECRET_BYTES || text.chars().any(char::is_control) {
        return Err(format!(
            "must have 1 to {SECRET_BYTES} printable characters (not shown: it is a secret)"
        ));
    }
    Ok(Secret::new(text.to_owned()))
}

/// A path of a file.
pub(super) fn path(value: &Value<'_>) -> Result<PathBuf, String> {
    match string(value)? {
        "" => Err("is empty; write the path of a file, or leave the field out".to_owned()),
        path => Ok(PathBuf::from(path)),
    }
}

/// A whole number of `range`.
pub(super) fn number<T>(range: std::ops::RangeInclusive<T>) -> impl Fn(&Value<'_>) -> Result<T, String>
where
    T: TryFrom<i64> + PartialOrd + std::fmt::Display,
{
    move |value| {
        let out_of_range = || format!("must be a whole number from {} to {}", range.start(), range.end());
        let integer =
            value.as_integer().ok_or_else(|| format!("{}, found {}", out_of_range(), value.type_str()))?;
        let number = i64::from_str_radix(integer.as_str(), integer.radix()).map_err(|_| out_of_range())?;
        T::try_from(number).ok().filter(|number| range.contains(number)).ok_or_else(out_of_range)
    }
}

/// `true` or `false`.
pub(super) fn boolean(value: &Value<'_>) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| format!("must be true or false, found {}", value.type_str()))
}

/// A time in `range`, with its unit: `500ms`, `30s`, `15m`, `1h`.
pub(super) fn duration(
    range: std::ops::RangeInclusive<Duration>,
) -> impl Fn(&Value<'_>) -> Result<Duration, String> {
    move |value| {
        let text =
            string(value).map_err(|error| format!("{error}; write a time with its unit, such as \"30s\""))?;
        let time = time(text)
            .ok_or_else(|| format!("{text:?} is no time; write \"500ms\", \"30s\", \"15m\" or \"1h\""))?;
        if !range.contains(&time) {
            return Err(format!("{text:?} is out of range; take {:?} to {:?}", range.start(), range.end()));
        }
        Ok(time)
    }
}

fn time(text: &str) -> Option<Duration> {
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let (count, unit) = text.split_at(unit);
    let count: u64 = count.parse().ok()?;
    let milliseconds = match unit.trim_start() {
        "ms" => Some(count),
        "s" => count.checked_mul(1000),
        "m" | "min" => count.checked_mul(60_000),
        "h" => count.checked_mul(3_600_000),
        _ => None,
    };
    milliseconds.map(Duration::from_millis)
}

/// Ports from the first to the last: `"40000-49999"`.
pub(super) fn ports(value: &Value<'_>) -> Result<PortRange, String> {
    let text = string(value)?;
    let bounds = text.split_once('-').and_then(|(first, last)| {
        Some((first.trim().parse::<u16>().ok()?, last.trim().parse::<u16>().ok()?))
    });
    let (first, last) = bounds.ok_or_else(|| format!("{text:?} is no port range; write \"40000-49999\""))?;
    if first < 1024 {
        return Err(format!(
            "{text:?} begins below 1024, where other services listen; begin at 1024 or above"
        ));
    }
    if last < first {
        return Err(format!("{text:?} ends before it begins; write the lower port first"));
    }
    Ok(PortRange { first, last })
}

/// An address to listen on: `0.0.0.0:5060`, `[::]:5060`.
pub(super) fn listen(value: &Value<'_>) -> Result<SocketAddr, String> {
    let text = string(value)?;
    let way_out = "write an IP address and a port, such as \"0.0.0.0:5060\" or \"[::]:5060\"";
    text.parse().map_err(|_| format!("{text:?} is no address; {way_out}"))
}

/// An IP address that others can reach.
pub(super) fn public_address(value: &Value<'_>) -> Result<IpAddr, String> {
    let text = string(value)?;
    let address: IpAddr =
        text.parse().map_err(|_| format!("{text:?} is no IP address; names are not resolved here"))?;
    if address.is_unspecified() || address.is_multicast() {
        return Err(format!("{text:?} can't be reached by anybody; write the address callers see"));
    }
    Ok(address)
}

/// An IP network.
pub(super) fn network(value: &Value<'_>) -> Result<Network, String> {
    let text = string(value)?;
    Network::parse(text).ok_or_else(|| {
        format!("{text:?} is no network; write \"10.1.0.0/16\", with zeros after the prefix, or one address")
    })
}

/// A DNS name of at least two labels (RFC 1035 2.3.1, RFC 1123 2.1), in lower case.
pub(super) fn domain(value: &Value<'_>) -> Result<String, String> {
    let text = string(value)?.trim_end_matches('.').to_ascii_lowercase();
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let good = text.len() <= 253
        && text.contains('.')
        && text.split('.').all(label)
        && text.parse::<IpAddr>().is_err();
    good.then_some(text.clone())
        .ok_or_else(|| format!("{text:?} is no domain; write a name such as \"meet.example.com\""))
}

/// A host and perhaps a port: `proxy.example.com`, `192.0.2.1:5061`, `[2001:db8::1]:5061`.
pub(super) fn host(value: &Value<'_>) -> Result<String, String> {
    let text = string(value)?;
    let named = || {
        let (name, port) = text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
        let good_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
        good_port && domain(&DeValue::String(name.into())).is_ok()
    };
    if text.parse::<SocketAddr>().is_ok() || text.parse::<IpAddr>().is_ok() || named() {
        return Ok(text.to_owned());
    }
    Err(format!(
        "{text:?} is no host; write \"proxy.example.com\", \"proxy.example.com:5061\" or an IP address"
    ))
}

/// An absolute `https` URL, without user, query and fragment.
pub(super) fn https(value: &Value<'_>) -> Result<String, String> {
    let text = string(value)?;
    if text.contains('@') {
        return Err("holds a user or password (not shown); keep secrets in [[tokens]]".to_owned());
    }
    let Some(rest) = text.strip_prefix("https://") else {
        return Err(format!("{text:?} is no https URL; only https:// is spoken, keys travel on it"));
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let good_path = !path.contains(['?', '#']) && !text.chars().any(|c| c.is_whitespace() || c.is_control());
    let good_host = authority == "localhost"
        || authority.strip_prefix("localhost:").is_some_and(|port| port.parse::<u16>().is_ok())
        || host(&DeValue::String(bare(authority).into())).is_ok();
    if !good_path || !good_host {
        return Err(format!(
            "{text:?} is no https URL; write \"https://conference.example.com\" and perhaps a path"
        ));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// `[::1]` without its brackets, if it has no port.
fn bare(authority: &str) -> &str {
    authority.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(authority)
}

/// One of the words, each with its meaning.
pub(super) fn word<T: Copy>(words: &'static [(&'static str, T)]) -> impl Fn(&Value<'_>) -> Result<T, String> {
    move |value| {
        let text = string(value)?;
        let found = words.iter().find(|(word, _)| *word == text);
        found.map(|(_, meaning)| *meaning).ok_or_else(|| {
            let known: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            format!("{text:?} is not known; take {}", known.join(", "))
        })
    }
}

/// The protocols a rule can match.
pub(super) const PROTOCOLS: &[(&str, Protocol)] = &[
    ("sip", Protocol::Sip),
    ("h323", Protocol::H323),
    ("ms-sip", Protocol::MsSip),
    ("webrtc", Protocol::WebRtc),
    ("rtmp", Protocol::Rtmp),
    ("teams", Protocol::Teams),
];
/// Which way a call goes.
pub(super) const DIRECTIONS: &[(&str, Direction)] =
    &[("incoming", Direction::Incoming), ("outgoing", Direction::Outgoing)];
/// What a token is worth.
pub(super) const TRUSTS: &[(&str, Trust)] = &[("trusted", Trust::Trusted), ("untrusted", Trust::Untrusted)];

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> DeValue<'_> {
        DeValue::String(text.into())
    }

    #[test]
    fn times_have_units() {
        assert_eq!(time("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(time("30 s"), Some(Duration::from_secs(30)));
        assert_eq!(time("15m"), time("900s"));
        assert_eq!(time("1h"), time("60min"));
        for text in ["30", "", "s", "-1s", "1d", "99999999999999999999s", "18446744073709551615h"] {
            assert_eq!(time(text), None, "{text}");
        }
    }

    #[test]
    fn domains_and_hosts_are_what_dns_takes() {
        assert_eq!(domain(&value("Meet.Example.COM.")).as_deref(), Ok("meet.example.com"));
        for text in ["", "meet", "a..b", "-a.b", "a_b.c", "10.0.0.1", "a.b:5060", "a.b@c.d"] {
            assert!(domain(&value(text)).is_err(), "{text}");
        }
        for text in ["a.b", "a.b:5061", "10.0.0.1", "10.0.0.1:5061", "[::1]:5061", "::1"] {
            assert!(host(&value(text)).is_ok(), "{text}");
        }
        for text in ["a.b:0", "a.b:x", "", "a b.c", "[::1"] {
            assert!(host(&value(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn connectors_are_reached_by_https_only_and_no_password_stands_in_a_url() {
        assert_eq!(https(&value("https://a.b/x/")).as_deref(), Ok("https://a.b/x"));
        for text in
            ["https://127.0.0.1:8443", "https://localhost:8443", "https://[::1]:8443/a", "https://[::1]/"]
        {
            assert!(https(&value(text)).is_ok(), "{text}");
        }
        for text in
            ["http://a.b", "https://", "https://a.b?x", "https://a.b/ c", "ftp://a.b", "https://[::1/"]
        {
            assert!(https(&value(text)).is_err(), "{text}");
        }
        let refused = https(&value("https://me:hunter2@a.b")).unwrap_err();
        assert!(!refused.contains("hunter2"));
    }
}
