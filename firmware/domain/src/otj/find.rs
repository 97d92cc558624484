//! What can be dialled, found in an invitation's text: SIP addresses, Meet codes, addresses at a domain.

use super::links;
use regex::{Captures, Regex};
use std::sync::LazyLock;

/// Most places of one kind that are tried in a text.
pub(super) const PLACES: usize = 64;

/// A user and where it is: `1234567890123` at `meet.example.com`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) user: String,
    /// In lower case.
    pub(super) host: String,
}

/// RFC 3261 25.1, with `#`, which people write as it is; without the signs that end a sentence.
static SIP: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i-u:sips?:(?://)?([a-z0-9_.!~*+$&=%#-]{1,200})@([a-z0-9](?:[a-z0-9.-]{0,252})|\[[0-9a-f:.]{2,45}\]))([;?:][^\s<>]*)?",
    )
});
static MEET: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?:^|[^a-zA-Z0-9.-])(?i-u:meet\.google\.com/(?:_meet/)?([a-z]{3}-[a-z]{4}-[a-z]{3}|[a-z]{10}))(?:[^a-zA-Z0-9_/-]|/[^a-zA-Z0-9]|/?$)",
    )
});
static PLAIN: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?i-u)([a-z0-9_][a-z0-9_.+#%-]{0,199})@([a-z0-9](?:[a-z0-9.-]{0,252}))"));

fn regex(source: &str) -> Regex {
    Regex::new(source).expect("a fixed regex compiles")
}

/// `sip:` and `sips:` URIs with a user, in their order; without port, parameters and password, as a call that is routed
/// has none. Skype for Business's addresses of people and conferences are none that a room can dial.
pub(super) fn sip_uris(text: &str) -> Vec<Address> {
    let dialled = |found: &Captures<'_>| {
        let begin = found.get(0)?.start();
        let rest = found.get(3).map_or("", |rest| rest.as_str());
        let of_skype = ["conf:", "im:"].iter().any(|before| ends_with(&text[..begin], before))
            || rest.to_ascii_lowercase().contains("gruu");
        let within_a_word = text[..begin].ends_with(|c: char| c.is_ascii_alphanumeric());
        (!of_skype && !within_a_word).then(|| address(found)).flatten()
    };
    SIP.captures_iter(text).filter_map(|found| dialled(&found)).take(PLACES).collect()
}

/// Codes of Meet links, in lower case, in their order.
pub(super) fn meet_codes(text: &str) -> Vec<String> {
    MEET.captures_iter(text).take(PLACES).map(|found| found[1].to_ascii_lowercase()).collect()
}

/// Addresses at `domain`, which is in lower case, in their order; with or without `sip:`, but none that letters are sent to.
pub(super) fn addresses_at(text: &str, domain: &str) -> Vec<Address> {
    let dialled = |found: &Captures<'_>| {
        let letters = ends_with(&text[..found.get(0)?.start()], "mailto:");
        address(found).filter(|address| !letters && address.host == domain)
    };
    PLAIN.captures_iter(text).filter_map(|found| dialled(&found)).take(PLACES).collect()
}

fn address(found: &Captures<'_>) -> Option<Address> {
    let user = links::decoded(&found[1]);
    let host = found[2].trim_end_matches(['.', '-']).to_ascii_lowercase();
    let good = !user.is_empty() && !user.contains('@') && !host.contains("..");
    // What could not be decoded whole is somebody else's address.
    let whole = found[1].contains('%') || user == found[1];
    (good && whole).then_some(Address { user, host })
}

fn ends_with(text: &str, end: &str) -> bool {
    let tail = text.len().checked_sub(end.len()).and_then(|from| text.get(from..));
    tail.is_some_and(|tail| tail.eq_ignore_ascii_case(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sip(text: &str) -> Vec<String> {
        sip_uris(text).into_iter().map(|Address { user, host }| format!("{user}@{host}")).collect()
    }

    #[test]
    fn sip_uris_are_found_however_they_stand_in_a_sentence() {
        for text in [
            "Dial sip:123@a.example.",
            "(sip:123@a.example)",
            "<SIP:123@A.Example;transport=tls>",
            "SIPS:123@a.example:5061?subject=x",
            "SIP-Adresse:sip:123@a.example",
            "sip://123@a.example, or",
            "sip:%31%32%33@a.example",
        ] {
            assert_eq!(sip(text), ["123@a.example"], "{text}");
        }
        assert_eq!(sip("sip:a##b@192.0.2.1 sip:c@[2001:db8::1]:5060"), ["a##b@192.0.2.1", "c@[2001:db8::1]"]);
    }

    #[test]
    fn what_no_room_can_dial_is_no_sip_uri() {
        for text in [
            "conf:sip:bob@a.example;gruu;opaque=app:conf:focus:id:X1",
            "sip:bob@a.example;gruu;opaque=app:conf:focus:id:X1",
            "im:sip:bob@a.example",
            "gossip:bob@a.example",
            "sip:a.example",
            "sip:@a.example",
            "sip:bob@",
            "sip:a%40b@c.example",
            "sip:a..b@c..example",
        ] {
            assert_eq!(sip(text), <[&str; 0]>::default(), "{text}");
        }
    }

    #[test]
    fn meet_codes_are_found_and_other_pages_of_meet_are_not() {
        for text in [
            "https://meet.google.com/abc-defg-hij",
            "http://MEET.google.com/ABC-defg-hij?hs=122&authuser=0.",
            "meet.google.com/abc-defg-hij/",
            "<https://meet.google.com/_meet/abc-defg-hij>",
        ] {
            assert_eq!(meet_codes(text), ["abc-defg-hij"], "{text}");
        }
        assert_eq!(meet_codes("meet.google.com/abcdefghij"), ["abcdefghij"]);
        for text in [
            "https://tel.meet/abc-defg-hij?pin=1",
            "https://meet.google.com/lookup/abcdefghij",
            "https://meet.google.com/tel/abc-defg-hij",
            "https://meet.google.com/landing",
            "https://meet.google.com/abc-defg-hijk",
            "https://notmeet.google.com/abc-defg-hij",
            "https://meet.google.com.example.org/abc-defg-hij",
        ] {
            assert_eq!(meet_codes(text), <[&str; 0]>::default(), "{text}");
        }
    }

    #[test]
    fn addresses_at_a_domain_are_found_and_those_for_letters_are_not() {
        let text = "mailto:bob@a.example Bob <bob@b.example> dial:123.456@A.example. or x@sub.a.example 789@a.example";
        let users: Vec<_> = addresses_at(text, "a.example").into_iter().map(|address| address.user).collect();
        assert_eq!(users, ["123.456", "789"]);
    }
}
