//! The messages of the data channel: section 4 of the `interop` protocol (firmware/proto/meet/PROTOCOL.md).
//!
//! Written from that document, apart from the gateway's own implementation, so that the one judges the other. Browsers on
//! the page speak the same, with `mute` and a named layer in `watch` beside it; gateways ignore neither, they never send them.

use crate::report::LeaveReason;
use crate::sfu::layers::LayerChoice;
use serde::{Deserialize, Serialize};

/// Largest message taken, in octets.
pub const MESSAGE_BYTES: usize = 16_384;
/// Longest chat text, in characters.
pub const CHAT_CHARS: usize = 4_096;
/// Longest name, in characters.
pub const NAME_CHARS: usize = 128;
/// Most pictures asked for.
pub const PICTURES: usize = 8;
/// Most participants told of.
pub const ROSTER: usize = 1_024;

/// Server to client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Notice {
    /// Where the client stands.
    State {
        /// `joined`, `lobby` or `ended`.
        state: &'static str,
        /// Why, when ended.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'static str>,
    },
    /// Everybody else who has joined.
    Roster {
        /// Them.
        participants: Vec<Member>,
    },
    /// Who is in which slot; an empty slot is not listed.
    Slots {
        /// The slots.
        slots: Vec<SlotLine>,
    },
    /// Who speaks now, if anybody.
    Speaker {
        /// Who.
        #[serde(skip_serializing_if = "Option::is_none")]
        participant: Option<String>,
    },
    /// Somebody wrote.
    Chat {
        /// Who.
        from: String,
        /// Shown to people.
        name: String,
        /// What.
        text: String,
    },
    /// What people must be told of.
    Indicators {
        /// The meeting is being recorded.
        recording: bool,
        /// The meeting is being streamed.
        streaming: bool,
    },
    /// The host turned participants' video off, or back on.
    VideoLock {
        /// Off.
        locked: bool,
    },
}

/// A participant as the others see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// `spaces/<id>/devices/<id>`.
    pub id: String,
    /// Shown to people.
    pub name: String,
    /// Whether it sends sound now.
    pub audio: bool,
    /// Whether it sends a picture now.
    pub video: bool,
}

/// A slot with somebody in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SlotLine {
    /// The m-line.
    pub mid: String,
    /// Who is in it.
    pub participant: String,
    /// `camera`.
    pub source: &'static str,
}

/// Client to server.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Request {
    /// Which pictures are wanted and how large, best first.
    Watch {
        /// The pictures.
        pictures: Vec<Picture>,
    },
    /// A text for everybody.
    Chat {
        /// The text.
        text: String,
    },
    /// A key was pressed in the room.
    Dtmf {
        /// The key.
        key: String,
    },
    /// Goodbye.
    Leave,
    /// Microphone or camera was turned off or on (pages only).
    Mute {
        /// The microphone is off.
        audio: bool,
        /// The camera is off.
        video: bool,
    },
}

/// One picture that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Picture {
    /// Whose.
    pub participant: String,
    /// How wide it will be shown, in pixels.
    pub width: u16,
    /// How high it will be shown, in pixels.
    pub height: u16,
    /// Which layer, by name (pages only).
    #[serde(default)]
    pub layer: Option<LayerChoice>,
}

/// What a text from a client is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A message.
    Request(Request),
    /// A message of a type this version does not know.
    Unknown,
    /// No message at all.
    Wrong,
}

impl Notice {
    /// The client is in the meeting.
    pub const JOINED: Notice = Notice::State { state: "joined", reason: None };
    /// The client waits to be admitted.
    pub const LOBBY: Notice = Notice::State { state: "lobby", reason: None };

    /// The client's session is over.
    #[must_use]
    pub fn ended(reason: LeaveReason) -> Self {
        Notice::State { state: "ended", reason: Some(reason_code(reason)) }
    }

    /// As it goes over the channel.
    #[must_use]
    pub fn text(&self) -> String {
        // Strings, numbers and booleans only: this can't fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

const fn reason_code(reason: LeaveReason) -> &'static str {
    match reason {
        LeaveReason::MeetingEnded => "MEETING_ENDED",
        LeaveReason::Kicked => "REMOVED",
        LeaveReason::Rejected => "REJECTED",
        LeaveReason::LobbyTimeout => "LOBBY_TIMEOUT",
        LeaveReason::VideoLocked => "VIDEO_LOCKED",
        LeaveReason::InteropDisabled => "INTEROP_DISABLED",
        LeaveReason::Left => "LEFT",
        LeaveReason::ConnectionLost
        | LeaveReason::NeverConnected
        | LeaveReason::BrokeProtocol
        | LeaveReason::Stopped => "SERVER_ERROR",
    }
}

/// Reads a text from a client.
#[must_use]
pub fn read(text: &str) -> Heard {
    const KNOWN: [&str; 5] = ["watch", "chat", "dtmf", "leave", "mute"];
    if text.len() > MESSAGE_BYTES {
        return Heard::Wrong;
    }
    let Ok(value) = serde_json::from_str::<serde_json::Value>(text) else { return Heard::Wrong };
    let Some(kind) = value.get("type").and_then(|kind| kind.as_str()) else { return Heard::Wrong };
    if !KNOWN.contains(&kind) {
        return Heard::Unknown;
    }
    match serde_json::from_value(value) {
        Ok(request) if is_within_limits(&request) => Heard::Request(request),
        _ => Heard::Wrong,
    }
}

fn is_within_limits(request: &Request) -> bool {
    match request {
        Request::Watch { pictures } => pictures.len() <= PICTURES,
        Request::Chat { text } => text.chars().count() <= CHAT_CHARS,
        Request::Dtmf { key } => key.len() == 1 && "0123456789*#ABCD".contains(key.as_str()),
        Request::Leave | Request::Mute { .. } => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_are_written_as_the_protocol_shows_them() {
        let device = "spaces/1234567890123/devices/2".to_owned();
        let member = Member { id: device.clone(), name: "Ada".to_owned(), audio: true, video: true };
        let slot = SlotLine { mid: "v1".to_owned(), participant: device.clone(), source: "camera" };
        for (notice, text) in [
            (Notice::JOINED, r#"{"type":"state","state":"joined"}"#),
            (Notice::ended(LeaveReason::Left), r#"{"type":"state","state":"ended","reason":"LEFT"}"#),
            (
                Notice::Roster { participants: vec![member] },
                r#"{"type":"roster","participants":[{"id":"spaces/1234567890123/devices/2","name":"Ada","audio":true,"video":true}]}"#,
            ),
            (
                Notice::Slots { slots: vec![slot] },
                r#"{"type":"slots","slots":[{"mid":"v1","participant":"spaces/1234567890123/devices/2","source":"camera"}]}"#,
            ),
            (Notice::Speaker { participant: None }, r#"{"type":"speaker"}"#),
            (
                Notice::Indicators { recording: false, streaming: false },
                r#"{"type":"indicators","recording":false,"streaming":false}"#,
            ),
            (Notice::VideoLock { locked: true }, r#"{"type":"videoLock","locked":true}"#),
        ] {
            assert_eq!(notice.text(), text);
        }
    }

    #[test]
    fn requests_are_read_as_the_protocol_shows_them() {
        let watch =
            r#"{"type":"watch","pictures":[{"participant":"spaces/1/devices/2","width":1280,"height":720}]}"#;
        let picture =
            Picture { participant: "spaces/1/devices/2".to_owned(), width: 1280, height: 720, layer: None };
        assert_eq!(read(watch), Heard::Request(Request::Watch { pictures: vec![picture] }));
        assert_eq!(read(r#"{"type":"leave","more":1}"#), Heard::Request(Request::Leave));
        assert_eq!(
            read(r#"{"type":"dtmf","key":"A"}"#),
            Heard::Request(Request::Dtmf { key: "A".to_owned() })
        );
    }

    #[test]
    fn an_unknown_type_is_not_wrong_and_nonsense_is() {
        assert_eq!(read(r#"{"type":"wave"}"#), Heard::Unknown);
        let long = format!(r#"{{"type":"chat","text":"{}"}}"#, "x".repeat(CHAT_CHARS + 1));
        for text in
            ["", "[]", "{}", r#"{"type":3}"#, r#"{"type":"dtmf","key":"X"}"#, r#"{"type":"chat"}"#, &long]
        {
            assert_eq!(read(text), Heard::Wrong, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text: String, number: i64) {
            let _ = read(&text);
            let _ = read(&format!(r#"{{"type":"watch","pictures":[{{"participant":{text:?},"width":{number},"height":1}}]}}"#));
        }
    }
}
