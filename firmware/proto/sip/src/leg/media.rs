//! The leg's media: lines as agreed, packets and frames through them, keys pressed, silence.

use super::info::{self, Info};
use super::line::{Line, rtp_config};
use super::{AUDIO, Effect, KeySource, Leg, Sink, State, VIDEO, derive, session};
use crate::session::SessionCommand;
use base::ids::StreamId;
use base::leg::{LegEffect, LegEvent, MediaState, Port, Transmit};
use base::{Cause, Fault, Kind, MediaKind, Output};
use bytes::Bytes;
use rtp::{Channel, Incoming, RtpOutput};
use sdp::Negotiated;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A key that comes by RTP and by INFO within this time was pressed once.
const SAME_KEY: Duration = Duration::from_secs(1);

/// What a new agreement changed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Changed {
    /// The picture goes elsewhere, otherwise, or again.
    pub(super) picture: bool,
}

impl Leg {
    /// Makes the lines what was agreed. All keys are read before the first line changes.
    pub(super) fn apply(&mut self, now: Instant, negotiated: Negotiated) -> Result<Changed, Cause> {
        let streams = [negotiated.audio, negotiated.video];
        let mut made = Vec::with_capacity(streams.len());
        for stream in streams {
            let config = stream.as_ref().map(|stream| rtp_config(stream, &self.config.cname)).transpose()?;
            made.push(stream.zip(config));
        }
        let mut changed = Changed::default();
        for (at, made) in made.into_iter().enumerate() {
            let Some((stream, config)) = made else {
                self.with_line(at, |line, out| {
                    line.session.bye(now, out);
                    None
                });
                self.lines[at] = None;
                continue;
            };
            match &mut self.lines[at] {
                Some(line) => {
                    changed.picture |= at == index(MediaKind::Video) && line.stream != stream;
                    line.take(stream, config)?;
                }
                None => {
                    let seed = derive(&mut self.rng);
                    self.lines[at] = Some(Line::new(stream, config, self.epoch, seed)?);
                }
            }
        }
        let expected = self.lines.iter().flatten().any(Line::expects_media);
        self.listening_since = expected.then_some(self.listening_since.unwrap_or(now));
        Ok(changed)
    }

    pub(super) fn tell_media(&mut self, now: Instant, changed: Changed, sink: Sink<'_>) {
        self.flush(now, sink);
        let state = MediaState {
            send: self.lines.iter().flatten().filter_map(Line::send_stream).collect(),
            recv: self.lines.iter().flatten().filter_map(Line::recv_stream).collect(),
        };
        let sends_picture = state.send.iter().any(|stream| stream.id == VIDEO);
        if state != self.told {
            self.told = state.clone();
            sink(Output::Event(LegEvent::Media(state)));
        }
        self.tell_bandwidth(sink);
        // Behind a new address or after hold sits a decoder that has seen nothing.
        if changed.picture && sends_picture {
            sink(Output::Event(LegEvent::KeyframeWanted(VIDEO)));
        }
    }

    pub(super) fn tell_bandwidth(&mut self, sink: Sink<'_>) {
        let sending = self.lines.iter().flatten().filter(|line| line.stream.direction.sends());
        let bps = sending.map(|line| line.bps).sum();
        if bps != self.told_bps {
            self.told_bps = bps;
            sink(Output::Event(LegEvent::Bandwidth(bps)));
        }
    }

    pub(super) fn packet(&mut self, now: Instant, port: Port, from: SocketAddr, data: &[u8], sink: Sink<'_>) {
        let channel = if port.0.is_multiple_of(2) { Channel::Rtp } else { Channel::Rtcp };
        let unheard = !self.hears_picture();
        self.with_line(usize::from(port.0 / 2), |line, out| {
            line.session.receive(now, Incoming { channel, from, data }, out)
        });
        self.flush(now, sink);
        if unheard && self.hears_picture() {
            self.refresh_picture(sink);
        }
    }

    /// Whether anything valid has come on the picture's line.
    fn hears_picture(&self) -> bool {
        self.lines[index(MediaKind::Video)]
            .as_ref()
            .is_some_and(|line| line.session.last_received().is_some())
    }

    /// A picture that stands alone, for a peer that may have missed the first one: it can't have been listening before
    /// its ACK, nor behind a NAT before its own first packet, and some rooms never ask.
    pub(super) fn refresh_picture(&self, sink: Sink<'_>) {
        if self.told.send.iter().any(|stream| stream.id == VIDEO) {
            sink(Output::Event(LegEvent::KeyframeWanted(VIDEO)));
        }
    }

    pub(super) fn timeout(&mut self, now: Instant, sink: Sink<'_>) {
        for at in 0..self.lines.len() {
            self.with_line(at, |line, out| line.session.timeout(now, out));
        }
        self.flush(now, sink);
        if self.silent_at().is_some_and(|deadline| deadline <= now) {
            self.end(now, Cause::new(Fault::Network, Kind::MediaTimeout), sink);
        }
    }

    /// When silence has lasted too long, if it counts.
    pub(super) fn silent_at(&self) -> Option<Instant> {
        let since = self.listening_since.filter(|_| matches!(self.state, State::OfferSent | State::Up))?;
        let heard = self.lines.iter().flatten().filter_map(|line| line.session.last_received()).max();
        Some(heard.map_or(since, |heard| heard.max(since)) + self.config.silence)
    }

    pub(super) fn press(&mut self, now: Instant, key: char, sink: Sink<'_>) {
        let by_rtp =
            self.lines[index(MediaKind::Audio)].as_mut().is_some_and(|line| line.session.press(now, key));
        if !by_rtp && let Some(body) = info::dtmf_relay(key) {
            sink(session(SessionCommand::Info { content_type: info::DTMF_RELAY, body }));
        }
    }

    pub(super) fn info(&mut self, now: Instant, content_type: &str, body: &[u8], sink: Sink<'_>) {
        match info::read(content_type, body) {
            Some(Info::Key(key)) => self.key(now, key, KeySource::Info, sink),
            Some(Info::PictureFastUpdate) => self.refresh_picture(sink),
            None => {}
        }
    }

    /// Tells a key, once where the peer sends it both ways.
    pub(super) fn key(&mut self, now: Instant, key: char, source: KeySource, sink: Sink<'_>) {
        let twin = self.last_key.is_some_and(|(last, by, at)| {
            last == key && by != source && now.saturating_duration_since(at) < SAME_KEY
        });
        if twin {
            self.last_key = None;
        } else {
            self.last_key = Some((key, source, now));
            sink(Output::Event(LegEvent::Dtmf(key)));
        }
    }

    /// Runs `act` on a line and keeps what it puts out for [`flush`](Self::flush).
    pub(super) fn with_line(
        &mut self,
        at: usize,
        act: impl FnOnce(&mut Line, &mut dyn FnMut(RtpOutput)) -> Option<Instant>,
    ) {
        let scratch = &mut self.scratch;
        if let Some(Some(line)) = self.lines.get_mut(at) {
            act(line, &mut |output| scratch.push((at, output)));
        }
    }

    pub(super) fn flush(&mut self, now: Instant, sink: Sink<'_>) {
        let mut outputs = std::mem::take(&mut self.scratch);
        for (at, output) in outputs.drain(..) {
            self.output(now, at, output, sink);
        }
        self.scratch = outputs;
    }

    pub(super) fn output(&mut self, now: Instant, at: usize, output: RtpOutput, sink: Sink<'_>) {
        let stream = stream_id(at);
        match output {
            RtpOutput::Packet { channel, to, data } => {
                let transmit = Transmit { port: port(at, channel), to, data };
                sink(Output::Effect(Effect::Leg(LegEffect::Transmit(transmit))));
            }
            RtpOutput::Frame(frame) => sink(Output::Effect(Effect::Leg(LegEffect::Frame { stream, frame }))),
            RtpOutput::Dtmf(key) => self.key(now, key, KeySource::Rtp, sink),
            RtpOutput::KeyframeWanted => sink(Output::Event(LegEvent::KeyframeWanted(stream))),
            RtpOutput::AskKeyframe => {
                let body = Bytes::from_static(info::PICTURE_FAST_UPDATE);
                sink(session(SessionCommand::Info { content_type: info::MEDIA_CONTROL, body }));
            }
            RtpOutput::Bandwidth(bps) => {
                if let Some(line) = &mut self.lines[at] {
                    line.bps = bps;
                }
                self.tell_bandwidth(sink);
            }
            RtpOutput::SoundLoss(percent) => sink(Output::Event(LegEvent::SoundLoss(percent))),
            // A room may drop a source and go on with another; only signalling ends a call.
            RtpOutput::Bye => {}
        }
    }
}

/// Place of a kind in [`Leg::lines`]; also its stream's number and half its ports'.
pub(super) const fn index(kind: MediaKind) -> usize {
    match kind {
        MediaKind::Audio => 0,
        MediaKind::Video | MediaKind::Content => 1,
    }
}

pub(super) const fn stream_id(at: usize) -> StreamId {
    if at == index(MediaKind::Audio) { AUDIO } else { VIDEO }
}

pub(super) const fn port(at: usize, channel: Channel) -> Port {
    match (at == index(MediaKind::Audio), channel) {
        (true, Channel::Rtp) => Port(0),
        (true, Channel::Rtcp) => Port(1),
        (false, Channel::Rtp) => Port(2),
        (false, Channel::Rtcp) => Port(3),
    }
}
