//! The port every leg is behind: one side of a call, whatever protocol it speaks.
//!
//! A leg is a [`Machine`](crate::Machine). Besides what its own protocol needs (SIP sessions, HTTP replies) it takes
//! [`LegInput`], does [`LegEffect`] and tells [`LegEvent`]. Encoded frames are effects: they go to the media
//! plane and never through the call.
//!
//! ```text
//!            Incoming / Lobby        Connected           Ended
//!  (new) ─────────▶ (early) ─────────────▶ (up) ─────────────▶ (over: takes everything, does nothing)
//!            Ring, Accept, End       RequestKeyframe, Watch, End
//! ```
//!
//! State is told as whole snapshots ([`LegEvent::Media`], [`LegEvent::Roster`]), never as differences, so that a
//! reader can't get out of step; whoever needs a difference makes it.

use crate::ids::{CallId, ParticipantId, StreamId};
use crate::{Alias, Cause, Codec, EncodedFrame, MediaKind, Pii, Secret, Size};
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// One of the leg's own media sockets, as an index into the addresses it was made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Port(pub u8);

/// A packet to be sent from one of the leg's media sockets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// Which socket it leaves by.
    pub port: Port,
    /// Where it goes.
    pub to: SocketAddr,
    /// The whole datagram.
    pub data: Bytes,
}

/// What every leg takes.
#[derive(Debug)]
pub enum LegInput<'a> {
    /// What the call wants of it.
    Command(LegCommand),
    /// A datagram that came in on one of its media sockets.
    Packet {
        /// Which socket it came in by.
        port: Port,
        /// Who sent it.
        from: SocketAddr,
        /// The whole datagram, at most [`limits::DATAGRAM_BYTES`](crate::limits::DATAGRAM_BYTES).
        data: &'a [u8],
    },
    /// A frame to be sent to the peer on one of the [`SendStream`]s it announced. Frames of other streams are dropped.
    Frame {
        /// Which of its send streams.
        stream: StreamId,
        /// The frame.
        frame: &'a EncodedFrame,
    },
    /// The wake-up it asked for, or any later one.
    Timeout,
}

/// What every leg does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LegEffect {
    /// A packet for the peer.
    Transmit(Transmit),
    /// A frame from the peer, on one of the [`RecvStream`]s it announced.
    Frame {
        /// Which of its receive streams.
        stream: StreamId,
        /// The frame.
        frame: EncodedFrame,
    },
}

/// What every leg tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LegEvent {
    /// Somebody calls. Answer with [`LegCommand::Ring`], then `Accept` or `End`.
    Incoming(Dialled),
    /// The far side is being alerted.
    Ringing,
    /// The conference holds us in its lobby until somebody admits us, or until this moment.
    Lobby {
        /// When waiting ends.
        until: Instant,
    },
    /// The leg is up both ways.
    Connected,
    /// What is now sent and received, whole. Told on connection and after every change (hold, codec, streams).
    Media(MediaState),
    /// The far side needs a picture that stands alone on this send stream.
    KeyframeWanted(StreamId),
    /// How much may be sent to the far side now, over all streams, in bits per second.
    Bandwidth(u64),
    /// How much of the sound sent to the far side is to be expected to get lost, in percent. None until told otherwise.
    SoundLoss(u8),
    /// Who is in the conference, whole, ourselves left out; at most [`limits::ROSTER`](crate::limits::ROSTER).
    Roster(Vec<Participant>),
    /// Who speaks now.
    Speaker(ParticipantId),
    /// A key was pressed: `0`-`9`, `*`, `#`, `A`-`D`.
    Dtmf(char),
    /// Somebody wrote something.
    Chat {
        /// Who.
        from: Pii,
        /// What.
        text: Pii,
    },
    /// Whether the meeting is being recorded or streamed (P13).
    Indicators {
        /// Being recorded.
        recording: bool,
        /// Being streamed.
        streaming: bool,
    },
    /// The leg is over. Always the last event, told exactly once.
    Ended(Cause),
}

/// What a call may ask of a leg. A leg that can't do it (see [`Caps`]) ignores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LegCommand {
    /// Tell the caller that it rings.
    Ring,
    /// Take the call.
    Accept,
    /// End the leg, whatever its state, and tell the peer why. [`LegEvent::Ended`] follows with the same cause.
    End(Cause),
    /// Ask the far side for a picture that stands alone on this receive stream.
    RequestKeyframe(StreamId),
    /// Which participants' pictures are wanted and how large, best first.
    Watch(Vec<Watch>),
    /// Press a key.
    Dtmf(char),
    /// Write to the conference.
    Chat(Pii),
}

/// A picture that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    /// Whose.
    pub participant: ParticipantId,
    /// How large it will be shown.
    pub size: Size,
}

/// A call that came in, before anybody decided about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialled {
    /// What was dialled.
    pub alias: Alias,
    /// The caller's own alias.
    pub caller: Alias,
    /// The caller's name as it gives it, or its alias.
    pub display_name: Pii,
    /// How it called.
    pub protocol: Protocol,
    /// Where its signalling came from.
    pub source: SocketAddr,
    /// It is a device registered here.
    pub registered: bool,
    /// The make and version it names itself by, if any.
    pub user_agent: Option<String>,
}

/// How a leg speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// RFC 3261.
    Sip,
    /// ITU-T H.323.
    H323,
    /// Skype for Business.
    MsSip,
    /// A browser.
    WebRtc,
    /// RTMP.
    Rtmp,
    /// Microsoft Teams.
    Teams,
    /// A conference, through a connector.
    Meet,
}

/// Whether a caller joins a conference directly or waits in its lobby (W1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Trust {
    /// Joins directly.
    Trusted,
    /// Waits to be admitted.
    Untrusted,
}

/// What a connector needs to join a meeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Join {
    /// The call this is for; the conference shows it to support people.
    pub call: CallId,
    /// The meeting's id.
    pub meeting: String,
    /// The meeting's PIN, where the conference wants one apart from the id.
    pub pin: Option<Secret<String>>,
    /// The name shown to the other participants.
    pub display_name: Pii,
    /// Whether we ask to join directly; the conference decides by the token.
    pub trust: Trust,
    /// The access token's value.
    pub access_token: Secret<String>,
    /// Most bits per second sent to the conference, over any second.
    pub max_bps: u64,
}

/// What a leg can do at all. The call asks these, never the protocol's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// Sound can be sent.
    pub send_audio: bool,
    /// How many sizes of one picture can be sent at once; 0 for none.
    pub send_video_layers: u8,
    /// Most sounds received at once.
    pub recv_audios: u8,
    /// Most pictures received at once.
    pub recv_videos: u8,
    /// Content can be sent and received.
    pub content: bool,
    /// There is chat.
    pub chat: bool,
    /// There is a roster.
    pub roster: bool,
    /// There is a lobby.
    pub lobby: bool,
    /// Keys can be sent.
    pub dtmf_out: bool,
}

/// Everything a leg sends and receives now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MediaState {
    /// What we may send; a stream that is on hold is not listed.
    pub send: Vec<SendStream>,
    /// What we receive.
    pub recv: Vec<RecvStream>,
}

/// A stream we may send to the peer, and how it wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendStream {
    /// Its name in [`LegInput::Frame`].
    pub id: StreamId,
    /// Sound, people or content.
    pub kind: MediaKind,
    /// How it must be encoded.
    pub codec: Codec,
    /// Most bits per second of encoded media.
    pub max_bps: u64,
    /// Largest picture, of [`MediaKind::Video`] and [`MediaKind::Content`]; zero for sound.
    pub max_size: Size,
    /// Most pictures per second, zero for sound.
    pub max_fps: u32,
    /// Longest NAL unit in bytes where the packets can't split one (RFC 6184 packetization-mode 0).
    pub max_nal_bytes: Option<usize>,
    /// How much sound one frame holds; 20 ms unless the peer asked otherwise (`a=ptime`).
    pub frame_time: Duration,
}

/// A stream the peer sends us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecvStream {
    /// Its name in [`LegEffect::Frame`].
    pub id: StreamId,
    /// Sound, people or content.
    pub kind: MediaKind,
    /// How it is encoded; may change from frame to frame, the frame's own field is the truth.
    pub codec: Codec,
    /// Whose it is, where the peer is a conference.
    pub participant: Option<ParticipantId>,
}

/// Somebody in the conference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participant {
    /// `spaces/<id>/devices/<id>`.
    pub id: ParticipantId,
    /// The name others see.
    pub name: Pii,
    /// Sends sound.
    pub audio: bool,
    /// Sends a picture.
    pub video: bool,
}

/// Which way a stream goes, seen from the box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// Box to peer.
    Send,
    /// Peer to box.
    Receive,
}

/// Live figures of one stream (P8). Counters run from the start of the stream.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamStats {
    /// Which stream.
    pub stream: StreamId,
    /// Which way.
    pub direction: Direction,
    /// Sound, people or content.
    pub kind: MediaKind,
    /// How it is encoded.
    pub codec: Codec,
    /// Packets sent or received.
    pub packets: u64,
    /// Octets of RTP payload sent or received.
    pub bytes: u64,
    /// Packets lost: seen by us when receiving, reported by the peer when sending.
    pub lost: u64,
    /// Interarrival jitter (RFC 3550 6.4.1): ours when receiving, the peer's when sending.
    pub jitter: Duration,
    /// Round trip to the peer, once known.
    pub round_trip: Option<Duration>,
}

/// A leg that has statistics; every leg does.
pub trait Leg {
    /// What it can do.
    fn caps(&self) -> Caps;
    /// Its streams' figures now.
    fn stats(&self) -> Vec<StreamStats>;
}

/// An HTTP request a conference leg wants made; the daemon owns the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// Chosen by the leg; the reply carries it.
    pub id: u64,
    /// `GET`, `POST`, `PATCH` or `DELETE`.
    pub method: &'static str,
    /// Absolute URL, `https`.
    pub url: String,
    /// Header fields; values may be secret.
    pub headers: Vec<(&'static str, Secret<String>)>,
    /// Body, empty for none.
    pub body: Bytes,
    /// When to give up.
    pub timeout: Duration,
}

/// What came of an [`HttpRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpReply {
    /// The request's.
    pub id: u64,
    /// The answer, or why there is none.
    pub result: Result<HttpResponse, HttpFailure>,
}

/// An HTTP answer, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// Status code.
    pub status: u16,
    /// Body, at most [`limits::CONFERENCE_MESSAGE_BYTES`](crate::limits::CONFERENCE_MESSAGE_BYTES).
    pub body: Bytes,
}

/// Why no HTTP answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpFailure {
    /// No connection: refused, unreachable, name unknown.
    Unreachable,
    /// The far side's certificate was not good.
    Untrusted,
    /// No answer in time.
    TimedOut,
    /// The answer was too long or no HTTP.
    Broken,
}
