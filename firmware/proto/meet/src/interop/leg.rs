//! A leg in a meeting, by the `interop` protocol.
//!
//! ```text
//!        POST        200 joined             ICE, DTLS up
//!  New ──────▶ Joining ─────────▶ Connecting ───────────▶ Joined
//!                 │  200 lobby        ▲ state joined         │
//!                 └──────────▶ Lobby ─┘ (transport not up)   │
//!                 │              │ 30 s, refused             │ End, ended, lost, videoLock
//!                 │ refused      ▼                           ▼
//!                 └─────────────────────▶ Leaving ──────▶ Over
//!                                          DELETE answered, or 2 s
//! ```
//!
//! The transport comes up while the leg waits in the lobby, so that being admitted is heard at once. Only `Leaving` waits for
//! the conference's word, and never longer than [`Timeouts::leave`](super::Timeouts::leave).

use super::layers::{self, layers};
use super::refusal::{self, CALL_REJECTED, LOBBY_TIMEOUT, PROTOCOL_ERROR, UNREACHABLE};
use super::streams::Streams;
use super::token::Purpose;
use super::wire::{self, JoinReply, Place, ServerMessage};
use super::{AUDIO_SLOTS, BaseUrl, CAPS, Config, Timeouts, VIDEO_SLOTS};
use crate::{ConnectorContext, Effect, Input};
use base::ids::{ParticipantId, StreamId};
use base::leg::{
    Caps, HttpReply, HttpRequest, HttpResponse, Join, LegCommand, LegEffect, LegEvent, LegInput, MediaState,
    Port, StreamStats, Transmit, Watch,
};
use base::{Cause, EncodedFrame, Fault, Kind, Machine, Output, Secret, earliest, limits};
use bytes::Bytes;
use rand::rngs::ChaCha20Rng;
use rand::{Rng, SeedableRng};
use std::time::{Duration, Instant};
use webrtc::{FIRST_ESTIMATE_BPS, Layer, Lost, Offer, Peer, RecvTrack, SendTrack, Track};

/// The data channel's label.
const CHANNEL: &str = "interop";
/// Wrong messages on the data channel that are borne.
const WRONG_MESSAGES: u32 = 100;
/// Least time between two `watch` messages; the newest waits.
const WATCH_EVERY: Duration = Duration::from_millis(200);
/// Most chat texts and keys sent in one second.
const TEXTS_PER_SECOND: u32 = 5;
/// A change of the estimate that is told: one part in this many.
const BANDWIDTH_STEP: u64 = 20;
/// What the answer to the join request may be late.
const GRACE: Duration = Duration::from_secs(1);

/// The request that joins.
const JOIN_REQUEST: u64 = 1;
/// The request that leaves.
const LEAVE_REQUEST: u64 = 2;

/// What went wrong on a leg without ending it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Messages on the data channel that are none of the protocol's.
    pub wrong_messages: u32,
    /// Frames from slots nobody is in, or before a picture's first key frame.
    pub early_frames: u64,
    /// Chat texts and keys not sent because there were too many.
    pub dropped_texts: u64,
    /// The transport's own.
    pub transport: webrtc::Counters,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Joining { until: Instant },
    Lobby { until: Instant },
    Connecting,
    Joined,
    Leaving { cause: Cause, until: Instant },
    Over,
}

/// One participant's leg.
#[derive(Debug)]
pub struct Leg {
    state: State,
    timeouts: Timeouts,
    base_url: BaseUrl,
    request: Option<HttpRequest>,
    session: Option<String>,
    me: Option<ParticipantId>,
    peer: Peer,
    peer_wake: Option<Instant>,
    connected: bool,
    channel_open: bool,
    layers: Vec<Layer>,
    streams: Streams,
    max_bps: u64,
    told_bps: u64,
    /// Pictures wanted that the conference was not told of yet, and since when.
    watch: Option<(Instant, Vec<Watch>)>,
    watched: Option<Instant>,
    texts: Allowance,
    figures: Figures,
}

/// So many in each second.
#[derive(Debug, Default)]
struct Allowance {
    since: Option<Instant>,
    used: u32,
}

impl Leg {
    /// A leg that will join; its first step sends the request.
    ///
    /// # Errors
    /// [`Kind::MeetingNotFound`] if the meeting id can't be one; [`Kind::InternalError`] if the socket's address is
    /// of no use or the gateway token doesn't sign.
    pub fn new(now: Instant, config: &Config, join: Join, context: ConnectorContext) -> Result<Self, Cause> {
        if !wire::is_meeting_id(&join.meeting) {
            return Err(Cause::new(Fault::Caller, Kind::MeetingNotFound));
        }
        let max_bps = join.max_bps.min(limits::CONFERENCE_BPS);
        let layers = layers(max_bps);
        let offer = Offer {
            layers: layers.clone(),
            recv_audios: AUDIO_SLOTS,
            recv_videos: VIDEO_SLOTS,
            channel: CHANNEL,
        };
        let ConnectorContext { bound, public, epoch, .. } = context;
        let transport = webrtc::Config { bound, public, epoch, max_bps, offer };
        let internal = Cause::new(Fault::Gateway, Kind::InternalError);
        let (peer, sdp) = Peer::offer(now, &transport).map_err(|_| internal)?;
        let request = join_request(now, config, &join, &context, max_bps, &sdp).ok_or(internal)?;
        Ok(Self {
            state: State::New,
            timeouts: config.timeouts,
            base_url: config.base_url.clone(),
            request: Some(request),
            session: None,
            me: None,
            peer,
            peer_wake: None,
            connected: false,
            channel_open: false,
            streams: Streams::new(usize::from(AUDIO_SLOTS + VIDEO_SLOTS)),
            layers,
            max_bps,
            told_bps: 0,
            watch: None,
            watched: None,
            texts: Allowance::default(),
            figures: Figures::default(),
        })
    }

    /// Our own name in the meeting, once joined or in the lobby.
    #[must_use]
    pub fn participant(&self) -> Option<&ParticipantId> {
        self.me.as_ref()
    }

    /// What went wrong so far.
    #[must_use]
    pub fn figures(&self) -> Figures {
        Figures { transport: self.peer.counters(), ..self.figures }
    }
}

/// The inputs, one by one.
impl Leg {
    fn input(&mut self, now: Instant, input: Input<'_>, sink: &mut Sink<'_>) {
        match (self.state, input) {
            (State::Over, _) => {}
            (_, Input::Leg(LegInput::Command(LegCommand::End(cause)))) => self.leave(now, cause, sink),
            (State::New, input) => {
                self.begin(now, sink);
                self.input(now, input, sink);
            }
            (State::Joining { .. }, Input::Http(reply)) if reply.id == JOIN_REQUEST => {
                self.joined_http(now, reply, sink)
            }
            (State::Leaving { cause, until }, Input::Http(reply)) => {
                self.left_http(cause, until, reply, sink)
            }
            (_, Input::Http(_)) => {}
            (State::Leaving { .. }, Input::Leg(_)) => {}
            (_, Input::Leg(LegInput::Packet { port: _, from, data })) => {
                self.peer(now, webrtc::Input::Packet { from, data }, sink);
            }
            (State::Joined, Input::Leg(LegInput::Frame { stream, frame })) => {
                self.frame(now, stream, frame, sink)
            }
            (_, Input::Leg(LegInput::Frame { .. })) => {}
            (_, Input::Leg(LegInput::Command(command))) => self.command(now, command, sink),
            (_, Input::Leg(LegInput::Timeout)) => {
                if self.peer_wake.is_some_and(|at| at <= now) {
                    self.peer(now, webrtc::Input::Timeout, sink);
                }
            }
        }
    }

    fn begin(&mut self, now: Instant, sink: &mut Sink<'_>) {
        self.state = State::Joining { until: now + self.timeouts.join + GRACE };
        if let Some(request) = self.request.take() {
            sink(Output::Effect(Effect::Http(request)));
        }
    }

    fn joined_http(&mut self, now: Instant, reply: HttpReply, sink: &mut Sink<'_>) {
        match reply.result {
            Ok(HttpResponse { status: 200, body }) => match wire::parse_join_reply(&body) {
                Ok(reply) => self.accepted(now, reply, sink),
                Err(_) => self.end(PROTOCOL_ERROR, sink),
            },
            Ok(HttpResponse { status, body }) => {
                let problem = wire::parse_problem(&body);
                self.end(refusal::of_join(status, problem.code.as_deref()), sink);
            }
            Err(failure) => self.end(refusal::of_http(failure), sink),
        }
    }

    fn accepted(&mut self, now: Instant, reply: JoinReply, sink: &mut Sink<'_>) {
        self.session = Some(reply.session);
        self.me = Some(reply.participant);
        self.state = State::Connecting;
        if let Place::Lobby(theirs) = reply.place {
            let wait = theirs.map_or(self.timeouts.lobby, |theirs| theirs.min(self.timeouts.lobby));
            self.lobby(now + wait, sink);
        }
        self.peer(now, webrtc::Input::Answer(&reply.sdp_answer), sink);
    }

    /// An answer while leaving: to the `DELETE`, or to the join that was under way when the leg was ended.
    fn left_http(&mut self, cause: Cause, until: Instant, reply: HttpReply, sink: &mut Sink<'_>) {
        match (reply.id, reply.result) {
            (LEAVE_REQUEST, _) => self.end(cause, sink),
            (JOIN_REQUEST, Ok(HttpResponse { status: 200, body })) => {
                self.session = wire::parse_join_reply(&body).ok().map(|reply| reply.session);
                if self.session.is_none() {
                    self.end(cause, sink);
                } else {
                    self.delete(sink);
                    self.state = State::Leaving { cause, until };
                }
            }
            (JOIN_REQUEST, _) => self.end(cause, sink),
            _ => {}
        }
    }

    fn frame(&mut self, now: Instant, stream: StreamId, frame: &EncodedFrame, sink: &mut Sink<'_>) {
        if let Some(track) = layers::track(stream, self.layers.len()) {
            self.peer(now, webrtc::Input::Frame { track, frame }, sink);
        }
    }

    fn command(&mut self, now: Instant, command: LegCommand, sink: &mut Sink<'_>) {
        match command {
            // A conference leg calls, it is not called; `End` is taken in every state, before this.
            LegCommand::Ring | LegCommand::Accept | LegCommand::End(_) => {}
            LegCommand::RequestKeyframe(stream) => {
                if let Some(track) = self.streams.track(stream) {
                    self.peer(now, webrtc::Input::RequestKeyframe(track), sink);
                }
            }
            LegCommand::Watch(wanted) => {
                let most = usize::from(VIDEO_SLOTS);
                self.watch = Some((now, wanted.into_iter().take(most).collect()));
            }
            LegCommand::Dtmf(key) => {
                if let Some(text) = wire::dtmf(key) {
                    self.text(now, &text, sink);
                }
            }
            LegCommand::Chat(text) => self.text(now, &wire::chat(&text), sink),
        }
    }

    fn text(&mut self, now: Instant, text: &str, sink: &mut Sink<'_>) {
        if self.state == State::Joined && self.channel_open && self.texts.take(now) {
            self.peer(now, webrtc::Input::Text(text), sink);
        } else {
            self.figures.dropped_texts += 1;
        }
    }
}

/// The transport.
impl Leg {
    /// Turns the transport with one input and deals with all it says.
    fn peer(&mut self, now: Instant, input: webrtc::Input<'_>, sink: &mut Sink<'_>) {
        let mut outputs = Vec::new();
        self.peer_wake = self.peer.step(now, input, |output| outputs.push(output));
        // In their order: what the conference says of a slot holds for the frames after it.
        for output in outputs {
            match output {
                Output::Effect(webrtc::Effect::Transmit { to, data }) => {
                    let transmit = Transmit { port: Port(0), to, data };
                    sink(Output::Effect(Effect::Leg(LegEffect::Transmit(transmit))));
                }
                Output::Effect(webrtc::Effect::Frame { track, frame }) => self.received(track, frame, sink),
                Output::Event(event) => self.transport(now, event, sink),
            }
        }
    }

    fn received(&mut self, track: RecvTrack, frame: EncodedFrame, sink: &mut Sink<'_>) {
        match self.streams.stream(track, &frame) {
            Some(stream) if self.state == State::Joined => {
                sink(Output::Effect(Effect::Leg(LegEffect::Frame { stream, frame })));
            }
            _ => self.figures.early_frames += 1,
        }
    }

    fn transport(&mut self, now: Instant, event: webrtc::Event, sink: &mut Sink<'_>) {
        match event {
            webrtc::Event::BadAnswer(_) => {
                self.delete(sink);
                self.end(Cause::new(Fault::Upstream, Kind::NotAcceptable), sink);
            }
            webrtc::Event::Connected => {
                self.connected = true;
                if self.state == State::Connecting {
                    self.enter(sink);
                }
            }
            webrtc::Event::ChannelOpen => self.channel_open = true,
            webrtc::Event::ChannelClosed => self.lost(Lost::Closed, sink),
            webrtc::Event::Text(text) => match wire::parse_server_message(text.as_bytes()) {
                Ok(message) => self.message(now, message, sink),
                Err(_) => self.wrong_message(now, sink),
            },
            webrtc::Event::BadMessage => self.wrong_message(now, sink),
            webrtc::Event::KeyframeWanted(track) => {
                if self.state == State::Joined {
                    sink(Output::Event(LegEvent::KeyframeWanted(layers::stream(track))));
                }
            }
            webrtc::Event::Estimate(bps) => self.estimate(bps, sink),
            webrtc::Event::SoundLoss(percent) => {
                if self.state == State::Joined {
                    sink(Output::Event(LegEvent::SoundLoss(percent)));
                }
            }
            webrtc::Event::Lost(lost) => self.lost(lost, sink),
        }
    }

    fn wrong_message(&mut self, now: Instant, sink: &mut Sink<'_>) {
        self.figures.wrong_messages += 1;
        if self.figures.wrong_messages > WRONG_MESSAGES {
            self.leave(now, PROTOCOL_ERROR, sink);
        }
    }

    fn estimate(&mut self, bps: u64, sink: &mut Sink<'_>) {
        let bps = webrtc::media_bps(bps.min(self.max_bps));
        let changed = bps.abs_diff(self.told_bps) > self.told_bps / BANDWIDTH_STEP;
        if changed && self.state == State::Joined {
            self.told_bps = bps;
            sink(Output::Event(LegEvent::Bandwidth(bps)));
        } else if self.state != State::Joined {
            self.told_bps = bps;
        }
    }

    fn lost(&mut self, lost: Lost, sink: &mut Sink<'_>) {
        match self.state {
            State::Leaving { .. } | State::Over => {}
            _ => {
                // The conference may well live, with us as a ghost in its roster.
                self.delete(sink);
                self.end(refusal::of_loss(lost), sink);
            }
        }
    }
}

/// What the conference says.
impl Leg {
    fn message(&mut self, now: Instant, message: ServerMessage, sink: &mut Sink<'_>) {
        match (self.state, message) {
            (State::Leaving { .. } | State::Over, _) | (_, ServerMessage::Unknown) => {}
            (_, ServerMessage::Ended(reason)) => self.ended(now, reason.as_deref(), sink),
            (_, ServerMessage::VideoLock(true)) => self.leave(now, CALL_REJECTED, sink),
            (State::Lobby { .. }, ServerMessage::Place(Place::Joined)) => {
                self.state = State::Connecting;
                if self.connected {
                    self.enter(sink);
                }
            }
            (State::Connecting, ServerMessage::Place(Place::Lobby(_))) => {
                self.lobby(now + self.timeouts.lobby, sink);
            }
            (_, ServerMessage::Place(_) | ServerMessage::VideoLock(false)) => {}
            (State::Joined, ServerMessage::Slots(entries)) => self.slots(now, &entries, sink),
            (State::Joined, message) => self.tell(message, sink),
            (_, _) => self.figures.wrong_messages += 1,
        }
    }

    fn tell(&self, message: ServerMessage, sink: &mut Sink<'_>) {
        let event = match message {
            ServerMessage::Roster(mut participants) => {
                participants.retain(|participant| Some(&participant.id) != self.me.as_ref());
                LegEvent::Roster(participants)
            }
            ServerMessage::Speaker(Some(participant)) => LegEvent::Speaker(participant),
            ServerMessage::Chat { name, text } => LegEvent::Chat { from: name, text },
            ServerMessage::Indicators { recording, streaming } => {
                LegEvent::Indicators { recording, streaming }
            }
            _ => return,
        };
        sink(Output::Event(event));
    }

    fn slots(&mut self, now: Instant, entries: &[wire::SlotEntry], sink: &mut Sink<'_>) {
        let peer = &self.peer;
        let slot = |mid: &str| {
            let track = peer.track(mid)?;
            let (_, kind) = peer.slot(track)?;
            Some((track, kind))
        };
        let changed = self.streams.assign(now, entries, slot, peer.stats());
        if changed.is_empty() {
            return;
        }
        self.tell_media(sink);
        for track in changed {
            self.peer(now, webrtc::Input::Restart(track), sink);
        }
    }

    fn ended(&mut self, now: Instant, reason: Option<&str>, sink: &mut Sink<'_>) {
        let cause = refusal::of_end(reason);
        self.peer(now, webrtc::Input::Close, sink);
        self.end(cause, sink);
    }
}

/// The turns of the state.
impl Leg {
    fn lobby(&mut self, until: Instant, sink: &mut Sink<'_>) {
        self.state = State::Lobby { until };
        sink(Output::Event(LegEvent::Lobby { until }));
    }

    fn enter(&mut self, sink: &mut Sink<'_>) {
        self.state = State::Joined;
        sink(Output::Event(LegEvent::Connected));
        self.tell_media(sink);
        if self.told_bps == 0 {
            self.told_bps = webrtc::media_bps(self.max_bps.min(FIRST_ESTIMATE_BPS));
        }
        sink(Output::Event(LegEvent::Bandwidth(self.told_bps)));
    }

    fn tell_media(&self, sink: &mut Sink<'_>) {
        let layers = if self.peer.sends_picture() { &*self.layers } else { &[] };
        let media = MediaState { send: layers::send_streams(layers), recv: self.streams.recv() };
        sink(Output::Event(LegEvent::Media(media)));
    }

    /// Goes, and says so to the conference; ends when it has answered, or soon.
    fn leave(&mut self, now: Instant, cause: Cause, sink: &mut Sink<'_>) {
        let before = self.state;
        match before {
            State::Leaving { .. } | State::Over => return,
            State::New => return self.end(cause, sink),
            _ => {}
        }
        self.state = State::Leaving { cause, until: now + self.timeouts.leave };
        if self.channel_open {
            self.peer(now, webrtc::Input::Text(&wire::leave()), sink);
        }
        self.peer(now, webrtc::Input::Close, sink);
        if !matches!(before, State::Joining { .. }) {
            self.delete(sink);
        }
    }

    /// Asks the conference once to end the session, if there is one.
    fn delete(&mut self, sink: &mut Sink<'_>) {
        if let Some(session) = self.session.take() {
            sink(Output::Effect(Effect::Http(HttpRequest {
                id: LEAVE_REQUEST,
                method: "DELETE",
                url: format!("{}{session}", self.base_url.as_str()),
                headers: Vec::new(),
                body: Bytes::new(),
                timeout: self.timeouts.leave,
            })));
        }
    }

    fn end(&mut self, cause: Cause, sink: &mut Sink<'_>) {
        if self.state != State::Over {
            self.state = State::Over;
            sink(Output::Event(LegEvent::Ended(cause)));
        }
    }

    /// What is due by the leg's own clocks.
    fn timers(&mut self, now: Instant, sink: &mut Sink<'_>) {
        match self.state {
            State::Joining { until } if until <= now => self.end(UNREACHABLE, sink),
            State::Lobby { until } if until <= now => self.leave(now, LOBBY_TIMEOUT, sink),
            State::Leaving { cause, until } if until <= now => self.end(cause, sink),
            State::Joined => {
                for track in self.streams.impatient(now) {
                    self.peer(now, webrtc::Input::RequestKeyframe(track), sink);
                }
                self.send_watch(now, sink);
            }
            _ => {}
        }
    }

    fn send_watch(&mut self, now: Instant, sink: &mut Sink<'_>) {
        if self.state != State::Joined || self.watch_due().is_none_or(|at| at > now) {
            return;
        }
        if let Some((_, wanted)) = self.watch.take() {
            self.watched = Some(now);
            self.peer(now, webrtc::Input::Text(&wire::watch(&wanted)), sink);
        }
    }

    /// When the waiting `watch` may be sent.
    fn watch_due(&self) -> Option<Instant> {
        let (Some((since, _)), true) = (&self.watch, self.channel_open) else { return None };
        Some(self.watched.map_or(*since, |last| last + WATCH_EVERY))
    }

    fn wake(&self) -> Option<Instant> {
        let own = match self.state {
            State::New | State::Over => return None,
            State::Joining { until } | State::Lobby { until } => Some(until),
            State::Leaving { until, .. } => return Some(until),
            State::Connecting => None,
            State::Joined => earliest(self.streams.wake(), self.watch_due()),
        };
        earliest(own, self.peer_wake)
    }
}

impl Machine for Leg {
    type Input<'a> = Input<'a>;
    type Effect = Effect;
    type Event = LegEvent;

    fn step(
        &mut self,
        now: Instant,
        input: Input<'_>,
        mut sink: impl FnMut(Output<Effect, LegEvent>),
    ) -> Option<Instant> {
        self.input(now, input, &mut sink);
        self.timers(now, &mut sink);
        self.wake()
    }
}

impl base::leg::Leg for Leg {
    fn caps(&self) -> Caps {
        CAPS
    }

    fn stats(&self) -> Vec<StreamStats> {
        let stats = self.peer.stats().iter().filter_map(|stats| match stats.track {
            Track::Send(track) => Some(sent(track, stats)),
            Track::Recv(track) => self.streams.figures(track, stats),
        });
        stats.collect()
    }
}

type Sink<'s> = dyn FnMut(Output<Effect, LegEvent>) + 's;

impl Allowance {
    fn take(&mut self, now: Instant) -> bool {
        if self.since.is_none_or(|since| since + Duration::from_secs(1) <= now) {
            *self = Self { since: Some(now), used: 0 };
        }
        self.used += 1;
        self.used <= TEXTS_PER_SECOND
    }
}

fn sent(track: SendTrack, stats: &webrtc::TrackStats) -> StreamStats {
    StreamStats {
        stream: layers::stream(track),
        direction: stats.track.direction(),
        kind: stats.codec.kind(),
        codec: stats.codec,
        packets: stats.packets,
        bytes: stats.bytes,
        lost: stats.lost,
        jitter: stats.jitter,
        round_trip: stats.round_trip,
    }
}

fn join_request(
    now: Instant,
    config: &Config,
    join: &Join,
    context: &ConnectorContext,
    max_bps: u64,
    offer: &str,
) -> Option<HttpRequest> {
    let base = config.base_url.as_str();
    let call_id = join.call.to_string();
    let mut headers = vec![("Content-Type", Secret::new("application/json".to_owned()))];
    if let Some(token) = &config.gateway_token {
        let mut random = ChaCha20Rng::from_seed(context.seed.0);
        let id = format!("{:016x}{:016x}", random.next_u64(), random.next_u64());
        let purpose = Purpose {
            audience: &format!("{base}/interop/v1"),
            meeting: &join.meeting,
            call_id: &call_id,
            id: &id,
            now: context.unix_at_epoch + now.saturating_duration_since(context.epoch),
        };
        let jwt = token.sign(&purpose).ok()?;
        headers.push(("Authorization", Secret::new(format!("Bearer {}", jwt.expose()))));
    }
    Some(HttpRequest {
        id: JOIN_REQUEST,
        method: "POST",
        url: format!("{base}/interop/v1/meetings/{}:join", join.meeting),
        headers,
        body: wire::join_body(join, &call_id, max_bps, offer),
        timeout: config.timeouts.join,
    })
}
