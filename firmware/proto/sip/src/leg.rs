//! The SIP side of a call behind [`base::leg`]: what a session negotiates becomes media, and media becomes frames.
//!
//! It sits between the endpoint ([`crate::session`]), which knows transactions, and [`rtp`], which knows packets; its
//! own are offer and answer (RFC 3264, 6337), hold and resume, keyframe requests (RFC 5168), keys pressed (RFC 4733,
//! INFO) and silence.
//!
//! ```text
//!        Invite            Accept (offer in INVITE): 200 with answer
//!  Idle ───────▶ Incoming ─────────────────────────────────────────▶ Up ──┐ Offer, OfferWanted, Answer: new media
//!                   │                                                 ▲ └─◀┘
//!                   └──Accept (no offer): 200 with ours──▶ OfferSent ──┘ Answer (in ACK)
//!  any ──End, no codec, silence──▶ Ending ──session Ended──▶ Over
//! ```
//! The leg is [`Connected`](LegEvent::Connected) as soon as both descriptions are known, which is with our 200 (or with
//! the ACK that answers our offer): the caller is ready from its offer on, and its first picture need not wait for
//! the ACK. An ACK that never comes ends the session by the endpoint.

mod config;
mod info;
mod keys;
mod line;
mod media;
#[cfg(test)]
mod tests;

pub use config::{Config, Policy};
pub use info::INFO_TYPES;

use crate::session::{SessionCommand, SessionEvent};
use base::ids::StreamId;
use base::leg::{Caps, Direction, LegCommand, LegEffect, LegEvent, LegInput, MediaState, StreamStats};
use base::{Cause, Fault, Kind, Machine, MediaKind, Output, Seed, earliest};
use bytes::Bytes;
use keys::LegKeys;
use line::Line;
use media::{Changed, index, stream_id};
use rand::rngs::ChaCha12Rng;
use rand::{Rng, SeedableRng};
use rtp::RtpOutput;
use sdp::{Negotiator, Refusal, SessionDescription};
use std::time::Instant;

/// Sound, in both directions.
pub const AUDIO: StreamId = StreamId(0);
/// People, in both directions.
pub const VIDEO: StreamId = StreamId(1);

/// What the leg takes.
#[derive(Debug)]
pub enum Input<'a> {
    /// From the call, the network and the clock. [`Port`] 0 is sound's RTP, 1 its RTCP, 2 picture's RTP, 3 its RTCP.
    Leg(LegInput<'a>),
    /// From its session.
    Session(SessionEvent),
}

/// What the leg does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// To the network and the media plane.
    Leg(LegEffect),
    /// To its session.
    Session(SessionCommand),
}

/// One call from or to a SIP peer.
#[derive(Debug)]
pub struct Leg {
    config: Config,
    epoch: Instant,
    rng: ChaCha12Rng,
    keys: LegKeys,
    negotiator: Negotiator,
    state: State,
    lines: [Option<Line>; 2],
    told: MediaState,
    told_bps: u64,
    /// Since when media is expected and silence counts.
    listening_since: Option<Instant>,
    last_key: Option<(char, KeySource, Instant)>,
    scratch: Vec<(usize, RtpOutput)>,
}

#[derive(Debug)]
enum State {
    Idle,
    Incoming { offer: Option<Bytes> },
    OfferSent,
    Up,
    Ending,
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeySource {
    Rtp,
    Info,
}

type Sink<'s> = &'s mut dyn FnMut(Output<Effect, LegEvent>);

impl Leg {
    /// A leg of `config`. `epoch` is the box's media clock; `seed` grows its keys, SSRCs and ids.
    #[must_use]
    pub fn new(config: Config, epoch: Instant, seed: Seed) -> Self {
        let mut rng = ChaCha12Rng::from_seed(seed.0);
        let keys = LegKeys::new(derive(&mut rng));
        let negotiator = Negotiator::new(config.capabilities(), config.local(), rng.next_u64());
        Self {
            config,
            epoch,
            rng,
            keys,
            negotiator,
            state: State::Idle,
            lines: [None, None],
            told: MediaState::default(),
            told_bps: 0,
            listening_since: None,
            last_key: None,
            scratch: Vec::new(),
        }
    }

    /// Takes the policy of the rule that the call was routed by. Has no effect once the call is accepted.
    pub fn set_policy(&mut self, policy: Policy) {
        if matches!(self.state, State::Idle | State::Incoming { .. }) {
            self.config.policy = policy;
            self.negotiator =
                Negotiator::new(self.config.capabilities(), self.config.local(), self.rng.next_u64());
        }
    }

    fn command(&mut self, now: Instant, command: LegCommand, sink: Sink<'_>) {
        match (&self.state, command) {
            (State::Incoming { .. }, LegCommand::Ring) => self.ring(now, sink),
            (State::Incoming { .. }, LegCommand::Accept) => self.accept(now, sink),
            (State::Idle, LegCommand::End(cause)) => self.over(cause, sink),
            (State::Incoming { .. } | State::OfferSent | State::Up, LegCommand::End(cause)) => {
                self.end(now, cause, sink);
            }
            (State::Up, LegCommand::RequestKeyframe(VIDEO)) => {
                self.with_line(index(MediaKind::Video), |line, out| line.session.request_keyframe(now, out));
                self.flush(now, sink);
            }
            (State::Up, LegCommand::Dtmf(key)) => self.press(now, key, sink),
            // Over and Ending take everything and do nothing; the rest a SIP peer has no notion of.
            (
                _,
                LegCommand::Ring
                | LegCommand::Accept
                | LegCommand::End(_)
                | LegCommand::RequestKeyframe(_)
                | LegCommand::Dtmf(_)
                | LegCommand::Watch(_)
                | LegCommand::Chat(_),
            ) => {}
        }
    }

    fn session(&mut self, now: Instant, event: SessionEvent, sink: Sink<'_>) {
        match (&self.state, event) {
            (State::Over, _) => {}
            (_, SessionEvent::Ended(cause)) => self.over(cause, sink),
            (State::Idle, SessionEvent::Invite { dialled, offer, transport: _ }) => {
                self.state = State::Incoming { offer };
                sink(Output::Event(LegEvent::Incoming(dialled)));
            }
            (State::OfferSent, SessionEvent::Answer(answer)) => self.first_answer(now, &answer, sink),
            (State::Up, SessionEvent::Answer(answer)) => self.later_answer(now, &answer, sink),
            (State::Up, SessionEvent::Offer(offer)) => self.later_offer(now, &offer, sink),
            (State::Up, SessionEvent::OfferWanted) => self.offer_again(sink),
            (State::Up, SessionEvent::OfferRefused(_)) => self.negotiator.withdraw(),
            (State::Up, SessionEvent::Confirmed) => self.refresh_picture(sink),
            (State::Up | State::OfferSent, SessionEvent::Info { content_type, body }) => {
                self.info(now, &content_type, &body, sink);
            }
            // An offer before the first exchange is complete is against RFC 6337 2.2; the session stands.
            (
                State::Incoming { .. } | State::OfferSent,
                SessionEvent::Offer(_) | SessionEvent::OfferWanted,
            ) => {
                sink(session(SessionCommand::RefuseOffer));
            }
            (State::Idle | State::Incoming { .. } | State::OfferSent | State::Up | State::Ending, _) => {}
        }
    }

    /// Rings, unless it is already clear that there is nothing in common: better no conference than a silent one.
    fn ring(&mut self, now: Instant, sink: Sink<'_>) {
        let State::Incoming { offer } = &self.state else { return };
        let mut negotiator = Negotiator::new(self.config.capabilities(), self.config.local(), 0);
        let mut keys = LegKeys::new(derive(&mut self.rng));
        let mut try_offer = |offer| negotiator.answer(&parse(offer)?, &mut keys).map_err(cause);
        match offer.as_deref().map(&mut try_offer) {
            Some(Err(cause)) => self.end(now, cause, sink),
            Some(Ok(_)) | None => sink(session(SessionCommand::Ring)),
        }
    }

    fn accept(&mut self, now: Instant, sink: Sink<'_>) {
        let State::Incoming { offer } = std::mem::replace(&mut self.state, State::OfferSent) else { return };
        let Some(offer) = offer else {
            return match self.negotiator.offer(&mut self.keys) {
                Ok(ours) => {
                    self.listening_since = Some(now);
                    sink(session(SessionCommand::Accept(ours.to_bytes().into())));
                }
                Err(refusal) => self.end(now, cause(refusal), sink),
            };
        };
        match self.answered(now, &offer) {
            Ok((answer, _)) => {
                sink(session(SessionCommand::Accept(answer)));
                self.connected(now, sink);
            }
            Err(cause) => self.end(now, cause, sink),
        }
    }

    fn first_answer(&mut self, now: Instant, answer: &[u8], sink: Sink<'_>) {
        match self.take_answer(now, answer) {
            Ok(_) => self.connected(now, sink),
            Err(cause) => self.end(now, cause, sink),
        }
    }

    fn connected(&mut self, now: Instant, sink: Sink<'_>) {
        self.state = State::Up;
        sink(Output::Event(LegEvent::Connected));
        self.tell_media(now, Changed::default(), sink);
    }

    fn later_offer(&mut self, now: Instant, offer: &[u8], sink: Sink<'_>) {
        match self.answered(now, offer) {
            Ok((answer, changed)) => {
                sink(session(SessionCommand::Answer(answer)));
                self.tell_media(now, changed, sink);
            }
            Err(_) => sink(session(SessionCommand::RefuseOffer)),
        }
    }

    fn later_answer(&mut self, now: Instant, answer: &[u8], sink: Sink<'_>) {
        // An answer that takes nothing leaves what there is (RFC 3264 8); silence will end a call without media.
        if let Ok(changed) = self.take_answer(now, answer) {
            self.tell_media(now, changed, sink);
        }
    }

    fn offer_again(&mut self, sink: Sink<'_>) {
        match self.negotiator.offer(&mut self.keys) {
            Ok(ours) => sink(session(SessionCommand::Answer(ours.to_bytes().into()))),
            Err(_) => sink(session(SessionCommand::RefuseOffer)),
        }
    }

    fn answered(&mut self, now: Instant, offer: &[u8]) -> Result<(Bytes, Changed), Cause> {
        let (answer, negotiated) = self.negotiator.answer(&parse(offer)?, &mut self.keys).map_err(cause)?;
        let changed = self.apply(now, negotiated)?;
        Ok((answer.to_bytes().into(), changed))
    }

    fn take_answer(&mut self, now: Instant, answer: &[u8]) -> Result<Changed, Cause> {
        let parsed = parse(answer).inspect_err(|_| self.negotiator.withdraw())?;
        let negotiated = self.negotiator.take_answer(&parsed).map_err(cause)?;
        self.apply(now, negotiated)
    }

    /// Says goodbye on all lines and ends the session; [`LegEvent::Ended`] comes when the session says so.
    fn end(&mut self, now: Instant, cause: Cause, sink: Sink<'_>) {
        for at in 0..self.lines.len() {
            self.with_line(at, |line, out| {
                line.session.bye(now, out);
                None
            });
        }
        self.flush(now, sink);
        self.state = State::Ending;
        sink(session(SessionCommand::End(cause)));
    }

    fn over(&mut self, cause: Cause, sink: Sink<'_>) {
        self.state = State::Over;
        sink(Output::Event(LegEvent::Ended(cause)));
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
        let sink: Sink<'_> = &mut sink;
        match (&self.state, input) {
            (_, Input::Session(event)) => self.session(now, event, sink),
            (_, Input::Leg(LegInput::Command(command))) => self.command(now, command, sink),
            (State::Up, Input::Leg(LegInput::Packet { port, from, data })) => {
                self.packet(now, port, from, data, sink)
            }
            (State::Up, Input::Leg(LegInput::Frame { stream, frame })) => {
                let at = usize::try_from(stream.0).unwrap_or(usize::MAX);
                self.with_line(at, |line, out| line.session.send(now, frame, out));
                self.flush(now, sink);
            }
            (State::OfferSent | State::Up, Input::Leg(LegInput::Timeout)) => self.timeout(now, sink),
            (_, Input::Leg(LegInput::Packet { .. } | LegInput::Frame { .. } | LegInput::Timeout)) => {}
        }
        match self.state {
            State::OfferSent | State::Up => {
                let lines = self.lines.iter().flatten().filter_map(|line| line.session.poll_at());
                lines.fold(self.silent_at(), |wake, at| earliest(wake, Some(at)))
            }
            State::Idle | State::Incoming { .. } | State::Ending | State::Over => None,
        }
    }
}

impl base::leg::Leg for Leg {
    fn caps(&self) -> Caps {
        let policy = &self.config.policy;
        Caps {
            send_audio: !policy.audio.is_empty(),
            send_video_layers: u8::from(!policy.video.is_empty()),
            recv_audios: u8::from(!policy.audio.is_empty()),
            recv_videos: u8::from(!policy.video.is_empty()),
            content: false,
            chat: false,
            roster: false,
            lobby: false,
            dtmf_out: true,
        }
    }

    fn stats(&self) -> Vec<StreamStats> {
        let lines =
            self.lines.iter().enumerate().filter_map(|(at, line)| Some((stream_id(at), line.as_ref()?)));
        lines
            .flat_map(|(id, line)| {
                [Direction::Send, Direction::Receive]
                    .into_iter()
                    .filter_map(move |direction| line.session.stream_stats(id, direction))
            })
            .collect()
    }
}

fn session(command: SessionCommand) -> Output<Effect, LegEvent> {
    Output::Effect(Effect::Session(command))
}

fn parse(bytes: &[u8]) -> Result<SessionDescription, Cause> {
    SessionDescription::parse(bytes).map_err(|_| Cause::new(Fault::Caller, Kind::ProtocolError))
}

fn cause(refusal: Refusal) -> Cause {
    match refusal {
        Refusal::Codec | Refusal::Encryption | Refusal::AddressFamily | Refusal::NoMedia => {
            Cause::new(Fault::Caller, Kind::NotAcceptable)
        }
        Refusal::OfferPending | Refusal::NoOffer => Cause::new(Fault::Caller, Kind::ProtocolError),
    }
}

fn derive(rng: &mut ChaCha12Rng) -> Seed {
    let mut seed = [0; 32];
    rng.fill_bytes(&mut seed);
    Seed(seed)
}
