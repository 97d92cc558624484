//! Offering: all we can do, each line in its place and each payload type under its number (RFC 3264 5, 8), and
//! what the peer's answer makes of it.

use super::accept::{OUR_FEEDBACK, OWN_OPUS, explicit_rtcp, telephone_event};
use super::keys::{Crypto, Keys, tag};
use super::stream::{Dtmf, Negotiated, Stream};
use super::{Encryption, Negotiator, Refusal, same_family};
use crate::description::{Direction, Feedback, Format, Media, Proto, SessionDescription};
use crate::h264::{H264Params, PacketizationMode};
use crate::payload::Payload;
use base::{Codec, MediaKind};

impl Negotiator {
    pub(super) fn propose(&self, keys: &mut impl Keys) -> Vec<Media> {
        let mut media: Vec<Media> = match &self.agreed {
            Some((ours, _)) => ours.media.iter().map(Media::declined).collect(),
            None => Vec::new(),
        };
        for kind in [MediaKind::Audio, MediaKind::Video] {
            if self.codecs(kind).is_empty() {
                continue;
            }
            match self.place(kind) {
                Some(line) => {
                    if let Some(place) = media.get_mut(line) {
                        *place = self.proposed(kind, line, keys);
                    }
                }
                None => media.push(self.proposed(kind, media.len(), keys)),
            }
        }
        media
    }

    /// The line `kind` had: the one in use, else the first that could be.
    fn place(&self, kind: MediaKind) -> Option<usize> {
        let (ours, theirs) = self.agreed.as_ref()?;
        let of_kind = |line: &usize| {
            let media = theirs.media.get(*line).or(ours.media.get(*line));
            media.is_some_and(|media| media.kind() == Some(kind) && media.proto.is_rtp())
        };
        let lines = || (0..ours.media.len()).filter(of_kind);
        lines()
            .find(|line| ours.media.get(*line).is_some_and(|media| media.port != 0))
            .or_else(|| lines().next())
    }

    fn proposed(&self, kind: MediaKind, line: usize, keys: &mut impl Keys) -> Media {
        let ports = self.ports(kind);
        let crypto = match self.caps.encryption {
            Encryption::Off => Vec::new(),
            Encryption::On | Encryption::BestEffort => keys.offer(line),
        };
        let proto = match self.caps.encryption {
            Encryption::On => Proto::RtpSavp,
            Encryption::Off | Encryption::BestEffort => Proto::RtpAvp,
        };
        let name = if kind == MediaKind::Audio { "audio" } else { "video" };
        let mut media = Media::rtp(name, ports.rtp.port(), proto, self.formats(kind, line));
        media.addr = Some(ports.rtp.ip());
        media.rtcp = explicit_rtcp(ports, false);
        media.rtcp_mux = true;
        media.crypto = crypto;
        media.ptime = (kind == MediaKind::Audio).then_some(20);
        media.bandwidth = self.own_bandwidth(kind);
        media
    }

    fn formats(&self, kind: MediaKind, line: usize) -> Vec<Format> {
        let mut numbers = Numbers::new(self, line);
        let mut formats = Vec::new();
        for payload in self.codecs(kind).iter().flat_map(|codec| self.offered_payloads(*codec)) {
            let feedback = if kind == MediaKind::Video { OUR_FEEDBACK } else { Feedback::default() };
            let clock = payload.codec().map_or(8_000, Codec::rtp_clock);
            formats.extend(numbers.take(&payload, clock).map(|pt| Format::new(pt, payload, feedback)));
        }
        if kind == MediaKind::Audio {
            // RFC 4733 2.1: one of each clock in use, the usual one first.
            let mut clocks: Vec<u32> = formats.iter().map(|format| format.clock).collect();
            clocks.sort_unstable();
            clocks.dedup();
            let events = clocks.into_iter().filter_map(|clock| {
                let pt = numbers.take(&Payload::TelephoneEvent, clock)?;
                Some(Format::new(pt, Payload::TelephoneEvent, Feedback::default()).with_clock(clock))
            });
            formats.extend(events.collect::<Vec<_>>());
        }
        formats
    }

    fn offered_payloads(&self, codec: Codec) -> Vec<Payload> {
        let caps = &self.caps;
        let h264 =
            |mode| Payload::H264(H264Params::receiver(caps.max_size, caps.max_fps, caps.video_bps, mode));
        match codec {
            Codec::H264 => vec![h264(PacketizationMode::NonInterleaved), h264(PacketizationMode::SingleNal)],
            Codec::Vp8 => vec![Payload::Vp8(self.own_vp8())],
            Codec::Opus => vec![Payload::Opus(OWN_OPUS)],
            Codec::G722 => vec![Payload::G722],
            Codec::Pcma => vec![Payload::Pcma],
            Codec::Pcmu => vec![Payload::Pcmu],
        }
    }

    /// What the peer's `answer` makes of our `offer`.
    pub(super) fn settle(
        &self,
        offer: &SessionDescription,
        answer: &SessionDescription,
    ) -> Result<Negotiated, Refusal> {
        let mut negotiated = Negotiated::default();
        let mut refusal = Refusal::NoMedia;
        for (line, (ours, theirs)) in offer.media.iter().zip(&answer.media).enumerate() {
            if ours.port == 0 || theirs.port == 0 {
                continue;
            }
            match self.settle_line(line, ours, theirs, &answer.bandwidth) {
                Ok(stream) => negotiated.put(stream),
                Err(why) if refusal == Refusal::NoMedia => refusal = why,
                Err(_) => {}
            }
        }
        if negotiated.is_empty() { Err(refusal) } else { Ok(negotiated) }
    }

    fn settle_line(
        &self,
        line: usize,
        ours: &Media,
        theirs: &Media,
        session: &crate::Bandwidth,
    ) -> Result<Stream, Refusal> {
        let kind = ours.kind().filter(|kind| theirs.kind() == Some(*kind)).ok_or(Refusal::NoMedia)?;
        if !same_family(theirs.addr, self.ports(kind).rtp) {
            return Err(Refusal::AddressFamily);
        }
        // The answerer's order is its preference; what we did not offer does not count.
        let known = |format: &&Format| counterpart(ours, format).is_some();
        let chosen = theirs.formats.iter().find(known).ok_or(Refusal::Codec)?;
        let codec = chosen.payload.codec().ok_or(Refusal::Codec)?;
        let mut stream = self.stream(line, theirs, chosen, session);
        stream.recv = theirs.formats.iter().filter_map(|format| counterpart(ours, format)).collect();
        stream.recv.dedup();
        let sends = theirs.direction.receives() && !theirs.on_zero_address();
        stream.direction = Direction::from_flows(sends, theirs.direction.sends());
        stream.rtcp_mux = ours.rtcp_mux && theirs.rtcp_mux;
        stream.crypto = self.settle_crypto(ours, theirs)?;
        stream.feedback = chosen.feedback.and(OUR_FEEDBACK);
        stream.dtmf = telephone_event(theirs, codec).and_then(|event| {
            let mine =
                telephone_event(ours, codec).filter(|mine| mine.clock == event.clock).or_else(|| {
                    ours.formats
                        .iter()
                        .find(|mine| mine.payload == Payload::TelephoneEvent && mine.clock == event.clock)
                })?;
            Some(Dtmf { send_pt: event.pt, recv_pt: mine.pt, clock: event.clock })
        });
        Ok(stream)
    }

    fn settle_crypto(&self, ours: &Media, theirs: &Media) -> Result<Option<Crypto>, Refusal> {
        let chosen = theirs.crypto.first().and_then(|remote| {
            let chosen = tag(remote.expose())?;
            let ours = ours.crypto.iter().find(|local| tag(local.expose()) == Some(chosen))?;
            Some(Crypto { local: ours.clone(), remote: remote.clone() })
        });
        match (chosen, self.caps.encryption) {
            (Some(crypto), _) => Ok(Some(crypto)),
            (None, Encryption::On) => Err(Refusal::Encryption),
            (None, _) if theirs.proto.is_secure() => Err(Refusal::Encryption),
            (None, _) => Ok(None),
        }
    }
}

/// Our number and codec for a format of the peer's answer: by number, or by what it is where the peer uses its own
/// numbers (RFC 3264 6.1).
fn counterpart(ours: &Media, theirs: &Format) -> Option<(u8, Codec)> {
    let codec = theirs.payload.codec()?;
    let same = |mine: &&Format| same_payload(&mine.payload, &theirs.payload);
    let by_number =
        ours.formats.iter().find(|mine| mine.pt == theirs.pt && mine.payload.codec() == Some(codec));
    by_number.or_else(|| ours.formats.iter().find(same)).map(|mine| (mine.pt, codec))
}

fn same_payload(a: &Payload, b: &Payload) -> bool {
    match (a, b) {
        (Payload::H264(a), Payload::H264(b)) => a.packetization_mode == b.packetization_mode && b.is_spoken(),
        (a, b) => a.codec().is_some() && a.codec() == b.codec(),
    }
}

/// A number must not change from one profile to another (RFC 6184 8.2.2).
fn same_profile(a: &Payload, b: &Payload) -> bool {
    match (a, b) {
        (Payload::H264(a), Payload::H264(b)) => a.profile() == b.profile(),
        _ => true,
    }
}

/// Payload type numbers of one line: a number once given keeps its meaning (RFC 3264 8.3.2).
struct Numbers<'a> {
    ours: &'a [Format],
    theirs: &'a [Format],
    taken: Vec<u8>,
}

impl<'a> Numbers<'a> {
    fn new(negotiator: &'a Negotiator, line: usize) -> Self {
        let formats = |description: &'a SessionDescription| {
            description.media.get(line).map(|media| &*media.formats).unwrap_or_default()
        };
        match &negotiator.agreed {
            Some((ours, theirs)) => Self { ours: formats(ours), theirs: formats(theirs), taken: Vec::new() },
            None => Self { ours: &[], theirs: &[], taken: Vec::new() },
        }
    }

    /// A number for `payload`, its own if it had one; `None` only if all are used up.
    fn take(&mut self, payload: &Payload, clock: u32) -> Option<u8> {
        let is_it = |format: &&Format| {
            let same = same_payload(&format.payload, payload) && same_profile(&format.payload, payload);
            (same || (format.payload == *payload && format.clock == clock))
                && !self.taken.contains(&format.pt)
        };
        let had =
            self.ours.iter().find(is_it).or_else(|| self.theirs.iter().find(is_it)).map(|format| format.pt);
        let free = |pt: &u8| {
            let used = self.ours.iter().chain(self.theirs).any(|format| format.pt == *pt);
            !used && !self.taken.contains(pt)
        };
        let pt = had.or_else(|| usual(payload, clock).chain(96..128).find(free))?;
        self.taken.push(pt);
        Some(pt)
    }
}

/// Numbers that are fixed by RFC 3551 or that everybody uses.
fn usual(payload: &Payload, clock: u32) -> impl Iterator<Item = u8> + use<> {
    let pt = match payload {
        Payload::Pcmu => Some(0),
        Payload::Pcma => Some(8),
        Payload::G722 => Some(9),
        Payload::TelephoneEvent if clock == 8_000 => Some(101),
        Payload::Opus(_) => Some(111),
        _ => None,
    };
    pt.into_iter()
}
