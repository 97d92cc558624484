//! What peers send that the grammar does not allow and that is taken all the same, and what they cannot take, each with its
//! evidence.
//!
//! | quirk | seen from | read as |
//! |---|---|---|
//! | header bytes that are no UTF-8 | room systems with display names in Latin-1 | Latin-1, byte by byte ([`text`]) |
//! | `[2001:db8:::192.0.2.1]` | RFC 3261's own grammar, RFC 5118 4.10 | without the third colon ([`ipv6`]) |
//! | `received=[2001:db8::1]` | half the stacks of SIPit 18, RFC 5118 4.5 | with or without brackets ([`ipv6`]) |
//! | `sip:room@domain@gateway` | rooms that dial `user@domain` through a gateway by address | the last `@` ends the user ([`split_user`]) |
//! | spaces round the Request-URI or behind `SIP/2.0` | RFC 4475 3.1.2.9, 3.1.2.10 | left out ([`trim_start_line`]) |
//! | `Bell, Alexander <sip:..>` without quotes | RFC 4475 3.1.2.15 | quotes inferred, in [`NameAddr`](crate::headers::NameAddr) |
//! | a datagram whose last header line is not followed by an empty one | RFC 4475's own baddn | no body ([`ends_a_line`]) |
//! | lines that end in a bare LF | hand-written clients | as CRLF, in [`message`](crate::message) |
//! | datagrams of NUL or CRLF only | NAT keep-alives of phones, RFC 5626 4.4.1 | keep-alive ([`is_keep_alive`]) |
//! | no Content-Length on a stream, and no body | minimal stacks in keep-alive OPTIONS | 0, in [`framing`](crate::framing) |
//! | a device that gives up when any challenge names another algorithm than MD5 | baresip 1.0 (libre 1.1): "Function not implemented" | it is offered MD5 alone ([`knows_md5_alone`]) |
//! | `algorithm="MD5"`, `qop=auth` the wrong way round about quotes | RFC 2617-era registrars | either, in [`digest`](crate::digest) |
//! | a User-Agent that is a scanner's | SIPVicious as delivered, and its kin | no answer ([`is_scanner`]) |

use std::borrow::Cow;
use std::net::Ipv6Addr;

/// A header block as text: bytes that are no UTF-8 are read as Latin-1.
pub(crate) fn text(head: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(head) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(head.len() + 16);
    for chunk in head.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|byte| char::from(*byte)));
    }
    Cow::Owned(out)
}

/// An IPv6 address without its brackets; a colon too many before an embedded IPv4 address is left out.
pub(crate) fn ipv6(text: &str) -> Option<Ipv6Addr> {
    text.parse()
        .ok()
        .or_else(|| text.contains(":::").then(|| text.replacen(":::", "::", 1).parse().ok()).flatten())
}

/// What stands before and behind the `@` that ends the user.
///
/// A user may hold `;`, `?` and `/`, so the first `@` ends it; more of them are taken into the user as long as they
/// stand where a host must.
pub(crate) fn split_user(rest: &str) -> (Option<&str>, &str) {
    let Some(mut at) = rest.find('@') else { return (None, rest) };
    while let Some(next) = rest.get(at + 1..).and_then(|tail| tail.find(['@', ';', '?'])) {
        match rest.as_bytes().get(at + 1 + next) {
            Some(b'@') => at += 1 + next,
            _ => break,
        }
    }
    (rest.get(..at), rest.get(at + 1..).unwrap_or(""))
}

/// A part of the start line without the spaces round it.
pub(crate) fn trim_start_line(part: &str) -> &str {
    part.trim_matches([' ', '\t'])
}

/// Whether header lines are complete, though the empty line behind them may be missing.
pub(crate) fn ends_a_line(head: &[u8]) -> bool {
    head.ends_with(b"\n")
}

/// Whether a datagram is only there to keep a NAT's mapping alive.
pub(crate) fn is_keep_alive(datagram: &[u8]) -> bool {
    datagram.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0))
}

/// Whether a device of this name cannot choose among challenges: RFC 2617 3.2.1 has it ignore algorithms that it does not
/// know, but it gives up on the first of them.
pub(crate) fn knows_md5_alone(user_agent: &str) -> bool {
    user_agent.starts_with("baresip ")
}

/// Whether somebody says that it looks for what can be broken into. Who hides that is found by what it does.
pub(crate) fn is_scanner(user_agent: &str) -> bool {
    // SIPVicious (also under its older names), sipcli and VaxSIP in the mass scans of toll fraud, sip-scan, SIP Army Knife.
    const NAMES: [&str; 8] = [
        "friendly-scanner",
        "friendly-request",
        "sipvicious",
        "sundayddr",
        "sipcli",
        "vaxsipuseragent",
        "sip-scan",
        "siparmyknife",
    ];
    let user_agent = user_agent.to_ascii_lowercase();
    NAMES.iter().any(|name| user_agent.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latin_1_and_utf_8_are_both_read() {
        assert_eq!(text("Fran\u{e7}ois".as_bytes()), "François");
        assert_eq!(text(b"Fran\xe7ois"), "François");
    }

    #[test]
    fn a_third_colon_before_an_ipv4_tail_is_left_out() {
        assert_eq!(ipv6("2001:db8:::192.0.2.1"), "2001:db8::192.0.2.1".parse().ok());
        assert_eq!(ipv6("2001:::::1"), None);
    }

    #[test]
    fn the_last_at_sign_of_a_doubly_qualified_user_ends_it() {
        assert_eq!(split_user("room@example.com@192.0.2.1;x=1"), (Some("room@example.com"), "192.0.2.1;x=1"));
        assert_eq!(split_user("a;b=c@h?x=y@z"), (Some("a;b=c"), "h?x=y@z"));
        assert_eq!(split_user("host"), (None, "host"));
    }

    #[test]
    fn keep_alives_are_told_from_messages() {
        assert!(is_keep_alive(b"\r\n\r\n") && is_keep_alive(&[0; 4]) && is_keep_alive(b""));
        assert!(!is_keep_alive(b"\r\nINVITE"));
    }
}
