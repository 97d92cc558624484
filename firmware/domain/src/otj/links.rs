//! Links as they were before a mail filter rewrote them: the filter's own address goes, its target stays.
//!
//! | filter | what a rewritten link looks like |
//! |---|---|
//! | Microsoft Safe Links | `https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2F...&data=...` |
//! | Google Calendar, Gmail | `https://www.google.com/url?q=https://...&sa=D` |
//! | Proofpoint | `https://urldefense.proofpoint.com/v2/url?u=https-3A__...`, `https://urldefense.com/v3/__https://...__;!!` |
//! | Barracuda, Trend Micro, Slack | a parameter, as Safe Links |
//! | Cisco Secure Email | `https://secure-web.cisco.com/1abc.../https%3A%2F%2F...` |
//!
//! Filters that keep the target to themselves (Mimecast) can't be read here.

use regex::Regex;
use std::sync::LazyLock;

/// Filters behind filters: so many are unwrapped.
const LAYERS: usize = 4;

static LINK: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"(?i-u:https?://)[^\s<>"]+"#).expect("a fixed regex compiles"));

/// How a filter hides a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrap {
    /// Percent-encoded in one of these parameters.
    Parameter(&'static [&'static str]),
    /// In `u`, with `-` for `%` and `_` for `/`; or as it is, in version 1.
    Proofpoint2,
    /// Between `__` and `__;`.
    Proofpoint3,
    /// Percent-encoded after the last slash.
    LastSegment,
}

/// The host, or what it ends in, and how the path begins.
const FILTERS: &[(&str, &str, Wrap)] = &[
    ("safelinks.protection.outlook.com", "", Wrap::Parameter(&["url"])),
    ("safelinks.protection.office365.us", "", Wrap::Parameter(&["url"])),
    ("statics.teams.cdn.office.net", "", Wrap::Parameter(&["url"])),
    ("www.google.com", "/url", Wrap::Parameter(&["q", "url"])),
    ("linkprotect.cudasvc.com", "/url", Wrap::Parameter(&["a"])),
    ("ctp.trendmicro.com", "", Wrap::Parameter(&["url"])),
    ("slack-redir.net", "/link", Wrap::Parameter(&["url"])),
    ("urldefense.proofpoint.com", "", Wrap::Proofpoint2),
    ("urldefense.com", "/v3/", Wrap::Proofpoint3),
    ("urldefense.us", "/v3/", Wrap::Proofpoint3),
    ("secure-web.cisco.com", "", Wrap::LastSegment),
];

/// `text` with every rewritten link as it was.
pub(super) fn unwrapped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for found in LINK.find_iter(text) {
        out.push_str(&text[done..found.start()]);
        let mut link = found.as_str().to_owned();
        for _ in 0..LAYERS {
            let Some(target) = target(&link) else { break };
            link = target;
        }
        out.push_str(&link);
        done = found.end();
    }
    out.push_str(&text[done..]);
    out
}

/// Where a link leads that a filter rewrote; `None` for one that none did.
fn target(link: &str) -> Option<String> {
    let (_, rest) = link.split_once("://")?;
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = host.to_ascii_lowercase();
    let of =
        |name: &str| host.strip_suffix(name).is_some_and(|front| front.is_empty() || front.ends_with('.'));
    let (.., wrap) = FILTERS.iter().find(|(name, start, _)| of(name) && path.starts_with(start))?;
    let target = match wrap {
        Wrap::Parameter(names) => decoded(names.iter().find_map(|name| parameter(path, name))?),
        Wrap::Proofpoint2 => {
            let hidden = parameter(path, "u")?;
            match path.starts_with("/v2/") {
                true => decoded(&hidden.replace('-', "%").replace('_', "/")),
                false => decoded(hidden),
            }
        }
        Wrap::Proofpoint3 => path.split_once("__")?.1.rsplit_once("__;")?.0.to_owned(),
        Wrap::LastSegment => decoded(path.rsplit_once('/')?.1),
    };
    target.contains(':').then_some(target)
}

/// The parameter `name` of a query (or of what some filters call a path).
fn parameter<'p>(path: &'p str, name: &str) -> Option<&'p str> {
    let (_, query) = path.split_once('?')?;
    query.split(['&', '#']).find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// Percent-decoded, up to what no link holds: so a link can't bring lines of its own.
pub(super) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        match (first, after) {
            (b'%', [high, low, next @ ..]) if hex(high).is_some() && hex(low).is_some() => {
                bytes.push(hex(high).unwrap_or_default() << 4 | hex(low).unwrap_or_default());
                rest = next;
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    let end = text.find(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '"'));
    text[..end.unwrap_or(text.len())].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_filters_link_is_read() {
        let meet = "https://meet.google.com/abc-defg-hij";
        for link in [
            "https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fmeet.google.com%2Fabc-defg-hij&data=05%7C01",
            "https://nam02.safelinks.protection.outlook.com/ap/t-59584e83/?url=https%3A%2F%2Fmeet.google.com%2Fabc-defg-hij&x=1",
            "https://www.google.com/url?q=https://meet.google.com/abc-defg-hij&sa=D&source=calendar",
            "https://urldefense.proofpoint.com/v2/url?u=https-3A__meet.google.com_abc-2Ddefg-2Dhij&d=DwMF",
            "https://urldefense.proofpoint.com/v1/url?u=https%3A//meet.google.com/abc-defg-hij&k=x",
            "https://urldefense.com/v3/__https://meet.google.com/abc-defg-hij__;!!AbC!xyz$",
            "https://linkprotect.cudasvc.com/url?a=https%3a%2f%2fmeet.google.com%2fabc-defg-hij&c=E",
            "https://secure-web.cisco.com/1aBc/https%3A%2F%2Fmeet.google.com%2Fabc-defg-hij",
        ] {
            assert_eq!(unwrapped(&format!("a <{link}> b")), format!("a <{meet}> b"), "{link}");
        }
    }

    #[test]
    fn a_link_behind_two_filters_is_read_and_a_hundred_layers_are_not() {
        let mut link = "https://meet.google.com/abc-defg-hij".to_owned();
        let wrap = |link: &str| {
            let encoded =
                link.replace('%', "%25").replace(':', "%3A").replace('/', "%2F").replace('?', "%3F");
            format!("https://a.safelinks.protection.outlook.com/?url={}", encoded.replace('=', "%3D"))
        };
        link = wrap(&wrap(&link));
        assert_eq!(unwrapped(&link), "https://meet.google.com/abc-defg-hij");
        for _ in 0..LAYERS {
            link = wrap(&link);
        }
        assert!(unwrapped(&link).contains("safelinks"));
    }

    #[test]
    fn other_links_stay_as_they_are() {
        for text in [
            "https://evilsafelinks.protection.outlook.com/?url=x:y",
            "https://www.google.com/search?q=https://a.example",
            "https://meet.google.com/abc-defg-hij?authuser=0",
            "https://a.safelinks.protection.outlook.com/?data=1",
            "https://",
            "no link",
        ] {
            assert_eq!(unwrapped(text), text);
        }
    }

    #[test]
    fn a_link_brings_no_lines_of_its_own() {
        let link =
            "https://a.safelinks.protection.outlook.com/?url=https%3A%2F%2Fa.example%0Asip:1@b.example";
        assert_eq!(unwrapped(link), "https://a.example");
    }
}
