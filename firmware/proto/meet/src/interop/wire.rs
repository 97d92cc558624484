//! The protocol's JSON, read into types that can't be wrong and written from ours (PROTOCOL.md sections 1 and 4).
//!
//! Any bytes at all may come in: everything is bounded before it is kept, and nothing panics.

use base::ids::ParticipantId;
use base::leg::{Join, Participant, Trust, Watch};
use base::{Pii, limits};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The protocol's version.
pub const VERSION: u32 = 1;
/// Longest participant id, in bytes.
const ID_BYTES: usize = 256;
/// Longest session path, in bytes.
const SESSION_BYTES: usize = 256;
/// Longest chat text, in characters.
pub const CHAT_CHARS: usize = 4096;
/// Most slots in a `slots` message.
const SLOTS: usize = 32;
/// Longest mid, in bytes.
const MID_BYTES: usize = 16;
/// Longest code or reason, in bytes.
const CODE_BYTES: usize = 64;
/// Most pictures in a `watch` message.
const PICTURES: usize = 8;

/// Why bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Longer than [`limits::CONFERENCE_MESSAGE_BYTES`].
    #[error("message has {0} bytes; at most {max} are taken", max = limits::CONFERENCE_MESSAGE_BYTES)]
    TooLong(usize),
    /// Not JSON, or not with these fields.
    #[error("message is no JSON of this protocol: {0}")]
    Json(String),
    /// A field's value is outside its bounds.
    #[error("field {0} is out of bounds")]
    Field(&'static str),
}

/// The answer to a join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinReply {
    /// Our own name in the meeting.
    pub participant: ParticipantId,
    /// Path that ends the session when deleted.
    pub session: String,
    /// The answer to our offer.
    pub sdp_answer: String,
    /// Where we are.
    pub place: Place,
}

/// Where we are in the meeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In it.
    Joined,
    /// In its lobby; the conference lets us wait this long, if it says so.
    Lobby(Option<Duration>),
}

/// Why a join was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What decides, if the body was one of the protocol's.
    pub code: Option<String>,
}

/// What the conference tells on the data channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerMessage {
    /// We are here now.
    Place(Place),
    /// We are out, and why.
    Ended(Option<String>),
    /// Everybody there.
    Roster(Vec<Participant>),
    /// Who is in which slot.
    Slots(Vec<SlotEntry>),
    /// Who speaks.
    Speaker(Option<ParticipantId>),
    /// Somebody wrote.
    Chat {
        /// Shown to people.
        name: Pii,
        /// What.
        text: Pii,
    },
    /// What people must be told of.
    Indicators {
        /// Being recorded.
        recording: bool,
        /// Being streamed.
        streaming: bool,
    },
    /// Whether the host turned participants' video off.
    VideoLock(bool),
    /// A type of a later version.
    Unknown,
}

/// Somebody's media in a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotEntry {
    /// The slot's m-line.
    pub mid: String,
    /// Whose.
    pub participant: ParticipantId,
    /// From where.
    pub source: Source,
}

/// Where a picture comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// A camera.
    #[default]
    Camera,
    /// Something presented.
    Screen,
    /// A source of a later version.
    #[serde(other)]
    Other,
}

/// Reads the body of a 200 answer to a join.
///
/// # Errors
/// [`WireError`] if it is not what section 1 says.
pub fn parse_join_reply(body: &[u8]) -> Result<JoinReply, WireError> {
    let raw: RawReply = read(body)?;
    if raw.sdp_answer.len() > 64 * 1024 {
        return Err(WireError::Field("sdpAnswer"));
    }
    Ok(JoinReply {
        participant: participant_id(raw.participant, "participant")?,
        session: session_path(raw.session)?,
        sdp_answer: raw.sdp_answer,
        place: match raw.state {
            RawPlace::Joined => Place::Joined,
            RawPlace::Lobby => Place::Lobby(seconds(raw.lobby_deadline_seconds)),
        },
    })
}

/// Reads the body of any other answer; what is no problem of this protocol has no code.
#[must_use]
pub fn parse_problem(body: &[u8]) -> Problem {
    let raw: Result<RawProblem, _> = read(body);
    Problem { code: raw.ok().map(|raw| raw.code).filter(|code| code.len() <= CODE_BYTES) }
}

/// Reads a message from the data channel.
///
/// # Errors
/// [`WireError`] if it is not what section 4 says; an unknown type is none.
pub fn parse_server_message(text: &[u8]) -> Result<ServerMessage, WireError> {
    Ok(match read(text)? {
        RawMessage::State { state: RawState::Joined, .. } => ServerMessage::Place(Place::Joined),
        RawMessage::State { state: RawState::Lobby, .. } => ServerMessage::Place(Place::Lobby(None)),
        RawMessage::State { state: RawState::Ended, reason } => {
            ServerMessage::Ended(reason.filter(|reason| reason.len() <= CODE_BYTES))
        }
        RawMessage::Roster { participants } => ServerMessage::Roster(roster(participants)?),
        RawMessage::Slots { slots } => ServerMessage::Slots(slot_entries(slots)?),
        RawMessage::Speaker { participant } => {
            ServerMessage::Speaker(participant.map(|id| participant_id(id, "participant")).transpose()?)
        }
        RawMessage::Chat { name, text } => {
            ServerMessage::Chat { name: person(&name), text: Pii::new(printable(&text, CHAT_CHARS)) }
        }
        RawMessage::Indicators { recording, streaming } => ServerMessage::Indicators { recording, streaming },
        RawMessage::VideoLock { locked } => ServerMessage::VideoLock(locked),
        RawMessage::Unknown => ServerMessage::Unknown,
    })
}

/// The body of a join request; the meeting id stands in the URL.
pub(crate) fn join_body(join: &Join, call_id: &str, max_bps: u64, offer: &str) -> Bytes {
    let name: String = printable(join.display_name.reveal(), limits::NAME_CHARS);
    write(&JoinBody {
        version: VERSION,
        call_id,
        display_name: if name.is_empty() { "Room" } else { &name },
        access_token: join.access_token.expose(),
        pin: join.pin.as_ref().map(|pin| pin.expose().as_str()),
        trust: match join.trust {
            Trust::Trusted => "trusted",
            Trust::Untrusted => "untrusted",
        },
        max_bitrate: max_bps,
        sdp_offer: offer,
    })
    .into()
}

/// Whether a meeting id can stand in a join's URL.
pub(crate) fn is_meeting_id(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(is_id_byte)
}

/// A `watch` message.
pub(crate) fn watch(wanted: &[Watch]) -> String {
    let pictures = wanted.iter().take(PICTURES).map(|watch| Picture {
        participant: &watch.participant.0,
        width: watch.size.width,
        height: watch.size.height,
    });
    write(&ClientMessage::Watch { pictures: pictures.collect() })
}

/// A `chat` message.
pub(crate) fn chat(text: &Pii) -> String {
    write(&ClientMessage::Chat { text: &printable(text.reveal(), CHAT_CHARS) })
}

/// A `dtmf` message; `None` for what is no key.
pub(crate) fn dtmf(key: char) -> Option<String> {
    matches!(key, '0'..='9' | '*' | '#' | 'A'..='D').then(|| write(&ClientMessage::Dtmf { key }))
}

/// A `leave` message.
pub(crate) fn leave() -> String {
    write(&ClientMessage::Leave)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawReply {
    participant: String,
    session: String,
    sdp_answer: String,
    state: RawPlace,
    lobby_deadline_seconds: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum RawPlace {
    Joined,
    Lobby,
}

#[derive(Deserialize)]
struct RawProblem {
    code: String,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
enum RawMessage {
    State {
        state: RawState,
        reason: Option<String>,
    },
    Roster {
        participants: Vec<RawParticipant>,
    },
    Slots {
        slots: Vec<RawSlot>,
    },
    Speaker {
        participant: Option<String>,
    },
    Chat {
        name: String,
        text: String,
    },
    Indicators {
        recording: bool,
        streaming: bool,
    },
    VideoLock {
        locked: bool,
    },
    #[serde(other)]
    Unknown,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum RawState {
    Joined,
    Lobby,
    Ended,
}

#[derive(Deserialize)]
struct RawParticipant {
    id: String,
    name: String,
    audio: bool,
    video: bool,
}

#[derive(Deserialize)]
struct RawSlot {
    mid: String,
    participant: String,
    source: Option<Source>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JoinBody<'a> {
    version: u32,
    call_id: &'a str,
    display_name: &'a str,
    access_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pin: Option<&'a str>,
    trust: &'static str,
    max_bitrate: u64,
    sdp_offer: &'a str,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
enum ClientMessage<'a> {
    Watch { pictures: Vec<Picture<'a>> },
    Chat { text: &'a str },
    Dtmf { key: char },
    Leave,
}

#[derive(Serialize)]
struct Picture<'a> {
    participant: &'a str,
    width: u32,
    height: u32,
}

fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, WireError> {
    if bytes.len() > limits::CONFERENCE_MESSAGE_BYTES {
        return Err(WireError::TooLong(bytes.len()));
    }
    serde_json::from_slice(bytes).map_err(|error| WireError::Json(error.to_string()))
}

/// Our own types always serialise: they hold strings and numbers only.
fn write<T: Serialize>(message: &T) -> String {
    serde_json::to_string(message).unwrap_or_default()
}

fn roster(raw: Vec<RawParticipant>) -> Result<Vec<Participant>, WireError> {
    if raw.len() > limits::ROSTER {
        return Err(WireError::Field("participants"));
    }
    let participants = raw.into_iter().map(|raw| {
        Ok(Participant {
            id: participant_id(raw.id, "id")?,
            name: person(&raw.name),
            audio: raw.audio,
            video: raw.video,
        })
    });
    participants.collect()
}

fn slot_entries(raw: Vec<RawSlot>) -> Result<Vec<SlotEntry>, WireError> {
    if raw.len() > SLOTS {
        return Err(WireError::Field("slots"));
    }
    let entries = raw.into_iter().map(|raw| {
        if raw.mid.is_empty() || raw.mid.len() > MID_BYTES {
            return Err(WireError::Field("mid"));
        }
        let participant = participant_id(raw.participant, "participant")?;
        Ok(SlotEntry { mid: raw.mid, participant, source: raw.source.unwrap_or_default() })
    });
    entries.collect()
}

/// `spaces/<id>/devices/<id>`.
fn participant_id(text: String, field: &'static str) -> Result<ParticipantId, WireError> {
    let ids = text.strip_prefix("spaces/").and_then(|rest| rest.split_once("/devices/"));
    let good = ids.is_some_and(|(space, device)| {
        let id = |id: &str| !id.is_empty() && id.bytes().all(is_id_byte);
        id(space) && id(device)
    });
    if good && text.len() <= ID_BYTES { Ok(ParticipantId(text)) } else { Err(WireError::Field(field)) }
}

/// An absolute path and nothing that would lead elsewhere when it is put behind the host.
fn session_path(path: String) -> Result<String, WireError> {
    let allowed = |b: u8| is_id_byte(b) || matches!(b, b'/' | b'.' | b':' | b'~');
    let good = path.len() <= SESSION_BYTES
        && path.starts_with("/interop/v1/sessions/")
        && !path.contains("..")
        && !path.contains("//")
        && path.bytes().all(allowed);
    if good { Ok(path) } else { Err(WireError::Field("session")) }
}

const fn is_id_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')
}

fn seconds(number: Option<f64>) -> Option<Duration> {
    number.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}

fn person(name: &str) -> Pii {
    Pii::new(printable(name, limits::NAME_CHARS))
}

/// `text` without control characters (a line break becomes a space), cut to `max` characters.
fn printable(text: &str, max: usize) -> String {
    let spaced = text.chars().map(|c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c });
    spaced.filter(|c| !c.is_control()).take(max).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::ids::CallId;
    use base::{Secret, Size};
    use proptest::prelude::*;

    const REPLY: &str = r#"{"participant":"spaces/1234567890123/devices/5","session":"/interop/v1/sessions/9f86d081",
        "sdpAnswer":"v=0\r\n","state":"lobby","lobbyDeadlineSeconds":30,"iceServers":[],"later":{"x":1}}"#;

    #[test]
    fn the_documents_join_reply_is_read() {
        let reply = parse_join_reply(REPLY.as_bytes()).unwrap();
        assert_eq!(reply.participant.0, "spaces/1234567890123/devices/5");
        assert_eq!(reply.place, Place::Lobby(Some(Duration::from_secs(30))));
        assert_eq!(reply.sdp_answer, "v=0\r\n");
    }

    #[test]
    fn a_session_that_leads_elsewhere_is_refused() {
        for path in [
            "//evil.example/",
            "https://evil",
            "/interop/v1/sessions/../../x",
            "/interop/v1/sessions/a?b",
            "",
            "/x",
        ] {
            let body = REPLY.replace("/interop/v1/sessions/9f86d081", path);
            assert_eq!(parse_join_reply(body.as_bytes()), Err(WireError::Field("session")), "{path}");
        }
    }

    #[test]
    fn a_participant_is_a_device_of_a_space_and_nothing_else() {
        for id in [
            "spaces//devices/1",
            "spaces/1/devices/",
            "devices/1",
            "spaces/1/devices/1/2",
            "spaces/ä/devices/1",
        ] {
            let body = REPLY.replace("spaces/1234567890123/devices/5", id);
            assert_eq!(parse_join_reply(body.as_bytes()), Err(WireError::Field("participant")), "{id}");
        }
    }

    #[test]
    fn the_documents_messages_are_read() {
        let read = |text: &str| parse_server_message(text.as_bytes()).unwrap();
        assert_eq!(read(r#"{"type":"state","state":"joined"}"#), ServerMessage::Place(Place::Joined));
        assert_eq!(
            read(r#"{"type":"state","state":"ended","reason":"REMOVED"}"#),
            ServerMessage::Ended(Some("REMOVED".to_owned()))
        );
        let roster = read(
            r#"{"type":"roster","participants":[{"id":"spaces/1/devices/2","name":"A\u0007da\n","audio":true,"video":false}]}"#,
        );
        let ServerMessage::Roster(participants) = roster else { panic!("{roster:?}") };
        assert_eq!(participants[0].name.reveal(), "Ada ");
        let slots = read(
            r#"{"type":"slots","slots":[{"mid":"a1","participant":"spaces/1/devices/2"},{"mid":"v1","participant":"spaces/1/devices/2","source":"screen"}]}"#,
        );
        let ServerMessage::Slots(slots) = slots else { panic!("{slots:?}") };
        assert_eq!((slots[0].source, slots[1].source), (Source::Camera, Source::Screen));
        assert_eq!(read(r#"{"type":"speaker"}"#), ServerMessage::Speaker(None));
        assert_eq!(read(r#"{"type":"speaker","participant":null}"#), ServerMessage::Speaker(None));
        assert_eq!(read(r#"{"type":"videoLock","locked":true}"#), ServerMessage::VideoLock(true));
    }

    #[test]
    fn an_unknown_type_is_no_error_and_a_missing_one_is() {
        assert_eq!(parse_server_message(br#"{"type":"tomorrow","x":[1]}"#), Ok(ServerMessage::Unknown));
        assert!(matches!(parse_server_message(br#"{"x":1}"#), Err(WireError::Json(_))));
    }

    #[test]
    fn what_is_too_long_or_too_many_is_refused() {
        let long = vec![b' '; limits::CONFERENCE_MESSAGE_BYTES + 1];
        assert_eq!(parse_server_message(&long), Err(WireError::TooLong(long.len())));
        let one = r#"{"id":"spaces/1/devices/2","name":"","audio":true,"video":true}"#;
        let many = vec![one; limits::ROSTER + 1].join(",");
        let roster = format!(r#"{{"type":"roster","participants":[{many}]}}"#);
        assert_eq!(parse_server_message(roster.as_bytes()), Err(WireError::Field("participants")));
    }

    #[test]
    fn deep_nesting_is_refused_and_not_recursed_into() {
        let deep = format!(r#"{{"type":"chat","name":{}"#, "[".repeat(100_000));
        assert!(parse_server_message(deep.as_bytes()).is_err());
    }

    #[test]
    fn a_problem_has_a_code_or_none() {
        let problem = parse_problem(br#"{"status":404,"code":"MEETING_NOT_FOUND","detail":"x"}"#);
        assert_eq!(problem.code.as_deref(), Some("MEETING_NOT_FOUND"));
        assert_eq!(parse_problem(b"<html>").code, None);
    }

    #[test]
    fn our_messages_are_the_documents() {
        let watch_one =
            Watch { participant: ParticipantId("spaces/1/devices/2".to_owned()), size: Size::HD720 };
        assert_eq!(
            watch(&[watch_one]),
            r#"{"type":"watch","pictures":[{"participant":"spaces/1/devices/2","width":1280,"height":720}]}"#
        );
        assert_eq!(leave(), r#"{"type":"leave"}"#);
        assert_eq!(dtmf('#').as_deref(), Some(r##"{"type":"dtmf","key":"#"}"##));
        assert_eq!(dtmf('x'), None);
        let join = Join {
            call: CallId(7),
            meeting: "123".to_owned(),
            pin: None,
            display_name: Pii::new("Board\"room"),
            trust: Trust::Trusted,
            access_token: Secret::new("tok".to_owned()),
            max_bps: 2_000_000,
        };
        let body = join_body(&join, "call-7", 2_000_000, "v=0\r\n");
        assert_eq!(
            std::str::from_utf8(&body).unwrap(),
            r#"{"version":1,"callId":"call-7","displayName":"Board\"room","accessToken":"tok","trust":"trusted","maxBitrate":2000000,"sdpOffer":"v=0\r\n"}"#
        );
    }

    proptest! {
        #[test]
        fn no_bytes_panic_the_parsers(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            let _ = parse_join_reply(&bytes);
            let _ = parse_server_message(&bytes);
            let _ = parse_problem(&bytes);
        }

        #[test]
        fn no_almost_good_message_panics_the_parser(at in 0_usize..200, byte in any::<u8>()) {
            let mut text = br#"{"type":"slots","slots":[{"mid":"a1","participant":"spaces/1/devices/2","source":"screen"}]}"#.to_vec();
            let at = at % text.len();
            text[at] = byte;
            let _ = parse_server_message(&text);
        }
    }
}
