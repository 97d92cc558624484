//! From bytes to a [`SessionDescription`] (RFC 8866, read as generously as rooms need).
//!
//! An attribute that cannot be read counts as absent. Only what makes the `m=` sections unclear is an error.

use crate::description::{
    Bandwidth, Direction, Feedback, Format, Media, Origin, Proto, Rtcp, SessionDescription,
};
use crate::lines;
use crate::payload::Payload;
use base::{Secret, limits};
use std::net::IpAddr;

/// Why bytes are no session description.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// More than [`limits::SDP_BYTES`].
    #[error("session description has {0} bytes; at most {max} are taken", max = limits::SDP_BYTES)]
    TooLong(usize),
    /// More than [`limits::SDP_MEDIA`].
    #[error("session description has {0} media; at most {max} are taken", max = limits::SDP_MEDIA)]
    TooManyMedia(usize),
    /// A line that cannot be left out is broken.
    #[error("session description: {0}")]
    Line(String),
}

/// Most `a=crypto` lines of one media that are kept.
const CRYPTO_LINES: usize = 16;

impl SessionDescription {
    /// Reads `bytes`.
    ///
    /// # Errors
    /// [`ParseError`] if it is too long, has no `v=0`, or an `m=` line cannot be read.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        if bytes.len() > limits::SDP_BYTES {
            return Err(ParseError::TooLong(bytes.len()));
        }
        let session = sdp_types::Session::parse(&lines::cleaned(bytes))
            .map_err(|error| ParseError::Line(error.to_string()))?;
        if session.medias.len() > limits::SDP_MEDIA {
            return Err(ParseError::TooManyMedia(session.medias.len()));
        }
        let inherited = Inherited {
            addr: session.connection.as_ref().and_then(ip),
            direction: last_direction(&session.attributes).unwrap_or_default(),
        };
        Ok(Self {
            origin: origin(&session.origin),
            name: session.session_name,
            bandwidth: bandwidth(&session.bandwidths),
            media: session.medias.iter().map(|section| media(section, &inherited)).collect(),
        })
    }
}

/// What a section takes from the session where it says nothing itself.
struct Inherited {
    addr: Option<IpAddr>,
    direction: Direction,
}

fn origin(origin: &sdp_types::Origin) -> Origin {
    let addr = origin.unicast_address.parse().unwrap_or(Origin::default().addr);
    Origin { id: origin.sess_id.clone(), version: origin.sess_version, addr }
}

fn ip(connection: &sdp_types::Connection) -> Option<IpAddr> {
    connection.try_address().ok().map(|address| address.ip)
}

fn bandwidth(lines: &[sdp_types::Bandwidth]) -> Bandwidth {
    let first = |names: &[&str]| {
        let named =
            |line: &&sdp_types::Bandwidth| names.iter().any(|name| line.bwtype.eq_ignore_ascii_case(name));
        lines.iter().find(named).map(|line| line.bandwidth)
    };
    Bandwidth { as_kbps: first(&["AS", "CT"]), tias_bps: first(&["TIAS"]) }
}

fn media(section: &sdp_types::Media, inherited: &Inherited) -> Media {
    let proto = Proto::read(&section.proto);
    let attributes = Attributes(&section.attributes);
    let formats = if proto.is_rtp() { formats(&section.fmt, attributes) } else { Vec::new() };
    let addr = match section.connections.first() {
        Some(own) => ip(own),
        None => inherited.addr,
    };
    Media {
        formats,
        addr,
        rtcp: attributes.values("rtcp").next().and_then(rtcp),
        rtcp_mux: attributes.has("rtcp-mux"),
        direction: last_direction(&section.attributes).unwrap_or(inherited.direction),
        crypto: attributes
            .values("crypto")
            .take(CRYPTO_LINES)
            .map(|text| Secret::new(text.to_owned()))
            .collect(),
        bandwidth: bandwidth(&section.bandwidths),
        ptime: attributes.values("ptime").find_map(milliseconds),
        max_ptime: attributes.values("maxptime").find_map(milliseconds),
        content: attributes.values("content").next().and_then(|text| text.split(',').next()).map(lower),
        label: attributes.values("label").next().map(str::to_owned),
        ..Media::bare(&section.media, section.port, proto, section.fmt.clone())
    }
}

#[derive(Clone, Copy)]
struct Attributes<'a>(&'a [sdp_types::Attribute]);

impl<'a> Attributes<'a> {
    fn values(self, name: &'static str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |attribute| attribute.attribute.eq_ignore_ascii_case(name));
        named.filter_map(|attribute| attribute.value.as_deref().map(str::trim))
    }

    fn has(self, name: &str) -> bool {
        self.0.iter().any(|attribute| attribute.attribute.eq_ignore_ascii_case(name))
    }

    /// Values `<payload type> <rest>` of `name` that are about `pt`, without the number.
    fn about(self, name: &'static str, pt: u8) -> impl Iterator<Item = &'a str> {
        self.values(name).filter_map(move |value| {
            let (number, rest) = value.split_once(char::is_whitespace)?;
            (number.parse() == Ok(pt)).then_some(rest.trim())
        })
    }
}

fn last_direction(attributes: &[sdp_types::Attribute]) -> Option<Direction> {
    let read = |attribute: &sdp_types::Attribute| match &*attribute.attribute.to_ascii_lowercase() {
        "sendrecv" => Some(Direction::SendRecv),
        "sendonly" => Some(Direction::SendOnly),
        "recvonly" => Some(Direction::RecvOnly),
        "inactive" => Some(Direction::Inactive),
        _ => None,
    };
    attributes.iter().rev().find_map(read)
}

fn formats(fmt: &str, attributes: Attributes<'_>) -> Vec<Format> {
    let mut formats: Vec<Format> = Vec::new();
    for pt in fmt.split(' ').filter_map(|text| text.parse().ok()).filter(|pt| *pt < 128) {
        let known = formats.iter().any(|format| format.pt == pt);
        if !known && formats.len() < limits::SDP_FORMATS {
            formats.push(format(pt, attributes));
        }
    }
    formats
}

fn format(pt: u8, attributes: Attributes<'_>) -> Format {
    let mapped = attributes.about("rtpmap", pt).find_map(rtpmap);
    let (name, clock, channels) = mapped.unwrap_or_else(|| static_type(pt));
    let fmtp = attributes.about("fmtp", pt).next().map(str::to_owned);
    let payload = Payload::read(&name, clock, channels, fmtp.as_deref().unwrap_or_default());
    Format { pt, payload, name, clock, channels, fmtp, feedback: feedback(pt, attributes) }
}

/// `<name>/<clock>[/<channels>]`.
fn rtpmap(value: &str) -> Option<(String, u32, Option<u8>)> {
    let mut fields = value.split('/').map(str::trim);
    let name = fields.next()?.to_owned();
    let clock = fields.next()?.parse().ok()?;
    Some((name, clock, fields.next().and_then(|channels| channels.parse().ok())))
}

/// RFC 3551 table 4, as far as it is spoken here.
fn static_type(pt: u8) -> (String, u32, Option<u8>) {
    let name = match pt {
        0 => "PCMU",
        8 => "PCMA",
        9 => "G722",
        _ => "",
    };
    (name.to_owned(), 8_000, None)
}

/// RFC 4585 4.2, RFC 5104 7.1.
fn feedback(pt: u8, attributes: Attributes<'_>) -> Feedback {
    let mut feedback = Feedback::default();
    for value in attributes.values("rtcp-fb") {
        let mut words = value.split_whitespace();
        let about = words.next().is_some_and(|word| word == "*" || word.parse() == Ok(pt));
        let named = words.next().unwrap_or_default().to_ascii_lowercase();
        let parameter = words.next().unwrap_or_default().to_ascii_lowercase();
        match (about, &*named, &*parameter) {
            (true, "nack", "") => feedback.nack = true,
            (true, "nack", "pli") => feedback.pli = true,
            (true, "ccm", "fir") => feedback.fir = true,
            (true, "ccm", "tmmbr") => feedback.tmmbr = true,
            (true, "goog-remb", _) => feedback.remb = true,
            _ => {}
        }
    }
    feedback
}

/// `<port> [IN IP4 <address>]` (RFC 3605).
fn rtcp(value: &str) -> Option<Rtcp> {
    let mut words = value.split_whitespace();
    let port = words.next()?.parse().ok()?;
    let addr: Option<IpAddr> = words.nth(2).and_then(|text| text.parse().ok());
    Some(Rtcp { port, addr: addr.filter(|addr| !addr.is_unspecified()) })
}

/// Whole milliseconds; some peers write `20.0`.
fn milliseconds(value: &str) -> Option<u32> {
    value.split('.').next()?.parse().ok().filter(|ms| *ms > 0)
}

fn lower(text: &str) -> String {
    text.trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> SessionDescription {
        SessionDescription::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn sections_inherit_address_and_direction_and_may_overrule_them() {
        let text = "v=0\r\nc=IN IP4 10.0.0.1\r\na=sendonly\r\nm=audio 4000 RTP/AVP 0\r\n\
                    m=video 4002 RTP/AVP 96\r\nc=IN IP6 2001:db8::1\r\na=inactive\r\na=rtpmap:96 VP8/90000\r\n";
        let parsed = parse(text);
        assert_eq!(parsed.media[0].rtp_addr(), Some("10.0.0.1:4000".parse().unwrap()));
        assert_eq!(parsed.media[0].direction, Direction::SendOnly);
        assert_eq!(parsed.media[1].rtp_addr(), Some("[2001:db8::1]:4002".parse().unwrap()));
        assert_eq!(parsed.media[1].direction, Direction::Inactive);
    }

    #[test]
    fn static_payload_types_need_no_rtpmap() {
        let parsed = parse("v=0\r\nm=audio 4000 RTP/AVP 9 8 0 13 18\r\n");
        let payloads: Vec<_> = parsed.media[0].formats.iter().map(|format| format.payload.clone()).collect();
        assert_eq!(payloads, [Payload::G722, Payload::Pcma, Payload::Pcmu, Payload::Other, Payload::Other]);
    }

    #[test]
    fn feedback_of_a_star_is_of_every_format() {
        let parsed = parse(
            "v=0\r\nm=video 1 RTP/AVPF 96 97\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:97 H264/90000\r\n\
             a=rtcp-fb:* nack pli\r\na=rtcp-fb:97 ccm fir\r\na=rtcp-fb:96 nack\r\n",
        );
        let feedback: Vec<_> = parsed.media[0].formats.iter().map(|format| format.feedback).collect();
        assert_eq!(feedback[0], Feedback { nack: true, pli: true, ..Feedback::default() });
        assert_eq!(feedback[1], Feedback { pli: true, fir: true, ..Feedback::default() });
    }

    #[test]
    fn a_telephone_event_list_and_an_rtcp_address_are_read() {
        let parsed = parse(
            "v=0\r\nm=audio 1 RTP/AVP 101\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n\
             a=rtcp:5000 IN IP4 10.0.0.9\r\na=ptime:30.0\r\n",
        );
        assert_eq!(parsed.media[0].formats[0].payload, Payload::TelephoneEvent);
        assert_eq!(parsed.media[0].rtcp, Some(Rtcp { port: 5000, addr: Some("10.0.0.9".parse().unwrap()) }));
        assert_eq!(parsed.media[0].ptime, Some(30));
    }

    #[test]
    fn too_much_is_refused_by_name() {
        let long = vec![b'a'; limits::SDP_BYTES + 1];
        assert_eq!(SessionDescription::parse(&long), Err(ParseError::TooLong(long.len())));
        let many = format!("v=0\r\n{}", "m=audio 1 RTP/AVP 0\r\n".repeat(limits::SDP_MEDIA + 1));
        assert_eq!(SessionDescription::parse(many.as_bytes()), Err(ParseError::TooManyMedia(33)));
        let formats: Vec<String> = (0..128).map(|pt| pt.to_string()).collect();
        let wide = parse(&format!("v=0\r\nm=audio 1 RTP/AVP {}\r\n", formats.join(" ")));
        assert_eq!(wide.media[0].formats.len(), limits::SDP_FORMATS);
    }

    #[test]
    fn a_broken_media_line_is_an_error_because_the_others_would_shift() {
        for line in ["m=audio 70000 RTP/AVP 0", "m=audio", "m=", "m=audio x RTP/AVP 0"] {
            let text = format!("v=0\r\n{line}\r\nm=video 1 RTP/AVP 96\r\n");
            assert!(matches!(SessionDescription::parse(text.as_bytes()), Err(ParseError::Line(_))), "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let _ = SessionDescription::parse(&bytes);
        }

        #[test]
        fn no_lines_panic(lines in prop::collection::vec("(v=0|o=|s=|c=IN IP[46] |b=|t=|m=(audio|video) |a=(rtpmap|fmtp|rtcp-fb|rtcp|crypto|ptime|content):)?[ -~]{0,30}", 0..30)) {
            let _ = SessionDescription::parse(format!("v=0\r\n{}", lines.join("\r\n")).as_bytes());
        }
    }
}
