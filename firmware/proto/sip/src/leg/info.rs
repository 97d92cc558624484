//! INFO bodies that rooms send: keys, and the wish for a new picture (RFC 5168).
//!
//! `application/dtmf-relay` holds `Signal=5` and `Duration=160` on lines of their own, `application/dtmf` one key.
//! Neither has an RFC; both are as Cisco gateways write them.

use bytes::Bytes;

/// The media types of INFO bodies taken here; others are to be refused with 415.
pub const INFO_TYPES: [&str; 3] = [MEDIA_CONTROL, DTMF_RELAY, DTMF];

pub(super) const MEDIA_CONTROL: &str = "application/media_control+xml";
pub(super) const DTMF_RELAY: &str = "application/dtmf-relay";
const DTMF: &str = "application/dtmf";

/// RFC 5168 7.1.
pub(super) const PICTURE_FAST_UPDATE: &[u8] = b"<?xml version=\"1.0\" encoding=\"utf-8\" ?>\r\n\
<media_control>\r\n<vc_primitive>\r\n<to_encoder>\r\n<picture_fast_update/>\r\n</to_encoder>\r\n</vc_primitive>\r\n\
</media_control>\r\n";

/// What an INFO says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Info {
    /// A key was pressed.
    Key(char),
    /// A picture that stands alone is wanted.
    PictureFastUpdate,
}

/// Reads a body; `None` for what says nothing we act on.
pub(super) fn read(content_type: &str, body: &[u8]) -> Option<Info> {
    let text = std::str::from_utf8(body).ok()?;
    match content_type {
        MEDIA_CONTROL => text.contains("picture_fast_update").then_some(Info::PictureFastUpdate),
        DTMF_RELAY | DTMF => signal(text).map(Info::Key),
        _ => None,
    }
}

/// The body that presses `key`; `None` if there is no such key.
pub(super) fn dtmf_relay(key: char) -> Option<Bytes> {
    let key = key_of(key.encode_utf8(&mut [0; 4]))?;
    Some(format!("Signal={key}\r\nDuration=160\r\n").into())
}

fn signal(text: &str) -> Option<char> {
    let named = text.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        name.trim().eq_ignore_ascii_case("signal").then_some(value)
    });
    key_of(named.unwrap_or(text).trim())
}

/// A key by its name, or by its RFC 4733 event number.
fn key_of(text: &str) -> Option<char> {
    const KEYS: &str = "0123456789*#ABCD";
    let by_number = || text.parse().ok().and_then(|event| KEYS.chars().nth(event));
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(key), None) => Some(key.to_ascii_uppercase()).filter(|key| KEYS.contains(*key)),
        _ => by_number(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_in_every_form_they_are_written() {
        let key = |content_type, body: &str| read(content_type, body.as_bytes());
        assert_eq!(key(DTMF_RELAY, "Signal=5\r\nDuration=160\r\n"), Some(Info::Key('5')));
        assert_eq!(key(DTMF_RELAY, "Signal= *\nDuration= 250"), Some(Info::Key('*')));
        assert_eq!(key(DTMF_RELAY, "signal=11"), Some(Info::Key('#')));
        assert_eq!(key(DTMF, "d\r\n"), Some(Info::Key('D')));
        assert_eq!(key(DTMF, "10"), Some(Info::Key('*')));
        assert_eq!(key(DTMF, "16"), None);
        assert_eq!(key(DTMF_RELAY, ""), None);
        assert_eq!(key("text/plain", "5"), None);
    }

    #[test]
    fn our_own_bodies_are_read_back() {
        assert_eq!(read(MEDIA_CONTROL, PICTURE_FAST_UPDATE), Some(Info::PictureFastUpdate));
        assert_eq!(read(DTMF_RELAY, &dtmf_relay('#').unwrap()), Some(Info::Key('#')));
        assert_eq!(dtmf_relay('x'), None);
    }

    #[test]
    fn an_encoders_error_report_is_no_wish_for_a_picture() {
        let report = b"<media_control><general_error>codec</general_error></media_control>";
        assert_eq!(read(MEDIA_CONTROL, report), None);
        assert_eq!(read(MEDIA_CONTROL, &[0xff, 0xfe]), None);
    }
}
