//! What the simulator tells its user: who is in a meeting, what flows, what happened.

use crate::sfu::layers::LayerChoice;
use crate::sfu::vp8::PictureSize;
use serde::{Deserialize, Serialize};

/// One meeting as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeetingInfo {
    /// The number that is dialled.
    pub id: String,
    /// `spaces/<id>`.
    pub space: String,
    /// Shown to people.
    pub title: String,
    /// How many have joined.
    pub participants: usize,
    /// How many wait in the lobby.
    pub waiting: usize,
    /// Whether gateways may join.
    pub interop: bool,
    /// Whether it is being recorded.
    pub recording: bool,
    /// Whether the host keeps everybody's video off.
    pub video_lock: bool,
    /// Whether it wants a PIN.
    pub pin: bool,
}

/// What kind of client somebody is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientKind {
    /// A gateway, for a room system behind it.
    Gateway,
    /// The simulator's page.
    Browser,
}

/// Where somebody stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Waits to be admitted.
    Lobby,
    /// In the meeting.
    Joined,
}

/// One participant as it is now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParticipantInfo {
    /// `spaces/<id>/devices/<id>`.
    pub device: String,
    /// Shown to people.
    pub name: String,
    /// On what.
    pub kind: ClientKind,
    /// The gateway's name of the call.
    pub call_id: Option<String>,
    /// Where it stands.
    pub stage: Stage,
    /// Whether its connection is up.
    pub connected: bool,
    /// Its microphone is off.
    pub audio_muted: bool,
    /// Its camera is off.
    pub video_muted: bool,
    /// What it sends.
    pub sends: Vec<SentStream>,
    /// What it is sent.
    pub receives: Vec<ReceivedStream>,
    /// Bits per second its network is measured to carry towards it.
    pub estimate_bps: u64,
}

/// One stream from a participant to the simulator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SentStream {
    /// `opus` or `VP8`.
    pub codec: String,
    /// The simulcast layer's name.
    pub rid: Option<String>,
    /// Size by the last key frame.
    pub size: Option<PictureSize>,
    /// Frames per second (packets for sound) over the last second.
    pub fps: f32,
    /// Bits per second over the last second.
    pub bps: u64,
    /// Octets of payload since the beginning.
    pub bytes: u64,
    /// Packets since the beginning.
    pub packets: u64,
    /// Frames since the beginning.
    pub frames: u64,
    /// Key frames since the beginning.
    pub key_frames: u64,
    /// Whether packets came lately.
    pub alive: bool,
}

/// One slot from the simulator to a participant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReceivedStream {
    /// The slot's m-line.
    pub mid: String,
    /// `opus` or `VP8`.
    pub codec: String,
    /// Whose.
    pub source: Option<String>,
    /// The simulcast layer that is forwarded.
    pub rid: Option<String>,
    /// Size by the last key frame.
    pub size: Option<PictureSize>,
    /// Frames per second over the last second.
    pub fps: f32,
    /// Bits per second over the last second.
    pub bps: u64,
    /// Octets of payload since the beginning.
    pub bytes: u64,
    /// Changes of layer or sender since the beginning.
    pub switches: u64,
}

/// Why somebody is no longer in a meeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaveReason {
    /// It said so.
    Left,
    /// Its connection was lost.
    ConnectionLost,
    /// Its connection never came up.
    NeverConnected,
    /// Somebody removed it.
    Kicked,
    /// Somebody turned it away in the lobby.
    Rejected,
    /// Nobody admitted it in time.
    LobbyTimeout,
    /// The meeting ended.
    MeetingEnded,
    /// The host keeps everybody's video off.
    VideoLocked,
    /// Gateways may no longer join.
    InteropDisabled,
    /// It sent too much that is no message.
    BrokeProtocol,
    /// The simulator stops.
    Stopped,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum SimEvent {
    /// Somebody waits in the lobby.
    Waiting {
        /// Who.
        device: String,
        /// Shown to people.
        name: String,
    },
    /// Somebody is in the meeting.
    Joined {
        /// Who.
        device: String,
        /// Shown to people.
        name: String,
        /// On what.
        kind: ClientKind,
    },
    /// Somebody's media connection is up.
    Connected {
        /// Who.
        device: String,
    },
    /// Somebody is gone.
    Left {
        /// Who.
        device: String,
        /// Why.
        reason: LeaveReason,
    },
    /// A gateway proved itself by its JWT.
    Proven {
        /// The gateway's name.
        gateway: String,
        /// Its name of the call.
        call_id: String,
    },
    /// A join was refused.
    Refused {
        /// The meeting asked for.
        meeting: String,
        /// The code of the answer.
        code: String,
    },
    /// The first whole picture of a layer.
    FirstFrame {
        /// Whose.
        device: String,
        /// The layer.
        rid: Option<String>,
        /// Its size.
        size: PictureSize,
    },
    /// A receiver is sent another layer or another sender in a slot.
    Switched {
        /// The receiver.
        device: String,
        /// The sender.
        source: String,
        /// The layer.
        rid: Option<String>,
    },
    /// Another one speaks, or nobody.
    Speaker {
        /// The meeting.
        meeting: String,
        /// Who.
        device: Option<String>,
    },
    /// Somebody wrote.
    Chat {
        /// Who.
        device: String,
        /// What.
        text: String,
    },
    /// Somebody pressed a key in a room.
    Dtmf {
        /// Who.
        device: String,
        /// The key.
        key: String,
    },
    /// Somebody turned microphone or camera off or on.
    Muted {
        /// Who.
        device: String,
        /// Its microphone is off.
        audio: bool,
        /// Its camera is off.
        video: bool,
    },
    /// Recording began or ended.
    Recording {
        /// The meeting.
        meeting: String,
        /// Whether it is being recorded.
        on: bool,
    },
    /// Somebody's layer was chosen for a receiver.
    Layer {
        /// The receiver.
        device: String,
        /// The sender.
        source: String,
        /// What was chosen.
        layer: LayerChoice,
    },
}
