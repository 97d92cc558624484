//! Answering: which offered line and format is taken, and what we write in its place (RFC 3264 6).

use super::keys::{Crypto, Keys};
use super::stream::{Dtmf, Stream};
use super::{Encryption, Negotiator, Refusal, same_family};
use crate::description::{Bandwidth, Direction, Feedback, Format, Media, Rtcp, SessionDescription};
use crate::h264::{H264Params, PacketizationMode, Profile};
use crate::payload::{OpusParams, Payload, Vp8Params};
use crate::picture::macroblocks;
use base::{Codec, MediaKind, Secret, Size};
use std::time::Duration;

/// RTCP feedback we read and write.
pub(super) const OUR_FEEDBACK: Feedback =
    Feedback { nack: false, pli: true, fir: true, tmmbr: true, remb: true };

impl Negotiator {
    /// The first line of `kind` that we can take; an encrypted one before a plain one where encryption is wanted.
    pub(super) fn first_acceptable(
        &self,
        offer: &SessionDescription,
        kind: MediaKind,
        keys: &mut impl Keys,
    ) -> Result<(Media, Stream), Refusal> {
        let mut best: Result<(Media, Stream), Refusal> = Err(Refusal::NoMedia);
        let lines = offer.media.iter().enumerate();
        for (line, media) in lines.filter(|(_, media)| media.kind() == Some(kind) && media.port != 0) {
            let taken = self.accept(line, media, &offer.bandwidth, keys);
            let better = match (&best, &taken) {
                (Err(Refusal::NoMedia), _) | (Err(_), Ok(_)) => true,
                (Ok((_, old)), Ok((_, new))) => old.crypto.is_none() && new.crypto.is_some(),
                _ => false,
            };
            if better {
                best = taken;
            }
        }
        best
    }

    fn accept(
        &self,
        line: usize,
        offered: &Media,
        session: &Bandwidth,
        keys: &mut impl Keys,
    ) -> Result<(Media, Stream), Refusal> {
        let kind = offered.kind().ok_or(Refusal::NoMedia)?;
        let ports = self.ports(kind);
        if !same_family(offered.addr, ports.rtp) {
            return Err(Refusal::AddressFamily);
        }
        let chosen = self.choose(kind, offered).ok_or(Refusal::Codec)?;
        let codec = chosen.payload.codec().ok_or(Refusal::Codec)?;
        let crypto = self.answer_crypto(line, offered, keys)?;
        let event = telephone_event(offered, codec);

        let format = self.answered(chosen);
        let feedback = format.feedback;
        let formats = std::iter::once(format).chain(event.map(answered_event)).collect();
        let mut answer = Media::rtp(&offered.name, ports.rtp.port(), offered.proto.clone(), formats);
        answer.addr = Some(ports.rtp.ip());
        answer.rtcp_mux = offered.rtcp_mux;
        answer.rtcp = explicit_rtcp(ports, offered.rtcp_mux);
        answer.direction = answer_direction(offered);
        answer.crypto = crypto.iter().map(|crypto| crypto.local.clone()).collect();
        answer.ptime = (kind == MediaKind::Audio).then(|| ptime_ms(offered, codec));
        answer.bandwidth = self.own_bandwidth(kind);
        answer.content = offered.content.clone();

        let dtmf = event.map(|event| Dtmf { send_pt: event.pt, recv_pt: event.pt, clock: event.clock });
        let mut stream = self.stream(line, offered, chosen, session);
        stream.recv = vec![(chosen.pt, codec)];
        stream.direction = answer.direction;
        stream.rtcp_mux = offered.rtcp_mux;
        stream.crypto = crypto;
        stream.feedback = feedback;
        stream.dtmf = dtmf;
        Ok((answer, stream))
    }

    /// What `theirs` says about sending to it by `format`. Our side of it is for the caller to fill in.
    pub(super) fn stream(&self, line: usize, theirs: &Media, format: &Format, session: &Bandwidth) -> Stream {
        let kind = theirs.kind().unwrap_or(MediaKind::Audio);
        let codec = format.payload.codec().unwrap_or(Codec::Pcmu);
        let (max_size, max_fps) = self.picture(&format.payload);
        Stream {
            line,
            kind,
            codec,
            send_pt: format.pt,
            recv: Vec::new(),
            direction: theirs.direction.reversed(),
            remote_rtp: theirs.rtp_addr(),
            remote_rtcp: theirs.rtcp_addr(),
            rtcp_mux: false,
            crypto: None,
            feedback: Feedback::default(),
            dtmf: None,
            h264: match &format.payload {
                Payload::H264(params) => Some(*params),
                _ => None,
            },
            fmtp: format.fmtp.clone(),
            max_bps: self.send_bps(kind, theirs, session, &format.payload),
            max_size,
            max_fps,
            ptime: Duration::from_millis(u64::from(ptime_ms(theirs, codec))),
        }
    }

    /// The offered format we like best: our order of codecs, then by [`rank`], then the peer's order.
    pub(super) fn choose<'a>(&self, kind: MediaKind, offered: &'a Media) -> Option<&'a Format> {
        self.codecs(kind)
            .iter()
            .find_map(|codec| {
                let of_codec = offered.formats.iter().filter(|format| format.payload.codec() == Some(*codec));
                of_codec
                    .filter_map(|format| Some((rank(&format.payload)?, format)))
                    .min_by_key(|(rank, _)| *rank)
            })
            .map(|(_, format)| format)
    }

    fn answered(&self, offered: &Format) -> Format {
        let payload = self.own_payload(&offered.payload);
        let feedback = match payload.codec().map(Codec::kind) {
            Some(MediaKind::Video) => offered.feedback.and(OUR_FEEDBACK),
            _ => Feedback::default(),
        };
        Format { fmtp: payload.fmtp(), payload, feedback, ..offered.clone() }
    }

    /// What we declare for receiving the payload the peer offered as `theirs`.
    fn own_payload(&self, theirs: &Payload) -> Payload {
        let caps = &self.caps;
        match theirs {
            Payload::H264(params) => {
                Payload::H264(params.answer(caps.max_size, caps.max_fps, caps.video_bps))
            }
            Payload::Vp8(_) => Payload::Vp8(self.own_vp8()),
            Payload::Opus(_) => Payload::Opus(OWN_OPUS),
            other => other.clone(),
        }
    }

    pub(super) fn own_vp8(&self) -> Vp8Params {
        Vp8Params { max_fs: Some(macroblocks(self.caps.max_size)), max_fr: Some(self.caps.max_fps) }
    }

    pub(super) fn own_bandwidth(&self, kind: MediaKind) -> Bandwidth {
        match kind {
            MediaKind::Audio => Bandwidth::default(),
            MediaKind::Video | MediaKind::Content => Bandwidth::of(self.caps.video_bps),
        }
    }

    fn picture(&self, payload: &Payload) -> (Size, u32) {
        let (cap, fps) = (self.caps.max_size, self.caps.max_fps);
        match payload {
            Payload::H264(params) => params.picture_limits().best(cap, fps),
            Payload::Vp8(params) => params.picture_limits().best(cap, fps),
            _ => (Size::new(0, 0), 0),
        }
    }

    /// The least of what we, the peer's line, its session and its format say.
    fn send_bps(&self, kind: MediaKind, theirs: &Media, session: &Bandwidth, payload: &Payload) -> u64 {
        let of_format = match payload {
            Payload::H264(params) => Some(params.max_bps()),
            Payload::Opus(params) => params.max_average_bitrate.map(u64::from),
            Payload::G722 | Payload::Pcma | Payload::Pcmu => return 64_000,
            _ => None,
        };
        let of_session = session.bps().filter(|_| kind != MediaKind::Audio);
        let limits = [theirs.bandwidth.bps(), of_session, of_format.filter(|bps| *bps > 0)];
        limits.into_iter().flatten().fold(self.bps(kind), u64::min)
    }

    fn answer_crypto(
        &self,
        line: usize,
        offered: &Media,
        keys: &mut impl Keys,
    ) -> Result<Option<Crypto>, Refusal> {
        match (self.caps.encryption, offered.proto.is_secure()) {
            (Encryption::Off, true) => return Err(Refusal::Encryption),
            (Encryption::Off, false) => return Ok(None),
            (Encryption::On | Encryption::BestEffort, _) => {}
        }
        let answer = offered.crypto.iter().find_map(|remote: &Secret<String>| {
            let local = keys.answer(line, remote.expose())?;
            Some(Crypto { local, remote: remote.clone() })
        });
        match (answer, self.caps.encryption, offered.proto.is_secure()) {
            (Some(crypto), ..) => Ok(Some(crypto)),
            (None, Encryption::BestEffort, false) => Ok(None),
            (None, ..) => Err(Refusal::Encryption),
        }
    }
}

/// What we declare for receiving Opus.
pub(super) const OWN_OPUS: OpusParams =
    OpusParams { stereo: false, in_band_fec: true, max_average_bitrate: None, max_playback_rate: None };

/// How well a format of one codec suits us, least best; `None` if not at all.
///
/// H.264: our encoder makes constrained baseline, which every decoder of baseline, main and high takes, and our
/// decoder reads all four; mode 1 lets a NAL unit span packets.
fn rank(payload: &Payload) -> Option<u8> {
    let Payload::H264(params) = payload else { return Some(0) };
    let profile = match params.profile() {
        Profile::ConstrainedBaseline => 0,
        Profile::Baseline => 2,
        Profile::Main => 4,
        Profile::High => 6,
        Profile::Other => return None,
    };
    match params.packetization_mode {
        PacketizationMode::NonInterleaved => Some(profile),
        PacketizationMode::SingleNal => Some(profile + 1),
        PacketizationMode::Other(_) => None,
    }
}

impl H264Params {
    /// Modes and profiles we take at all.
    pub(super) fn is_spoken(&self) -> bool {
        rank(&Payload::H264(*self)).is_some()
    }
}

/// Named events with the clock of `codec`, as RFC 4733 2.1 wants, or else any.
pub(super) fn telephone_event(media: &Media, codec: Codec) -> Option<&Format> {
    let events = || media.formats.iter().filter(|format| format.payload == Payload::TelephoneEvent);
    events().find(|format| format.clock == codec.rtp_clock()).or_else(|| events().next())
}

fn answered_event(offered: &Format) -> Format {
    Format { fmtp: offered.payload.fmtp(), feedback: Feedback::default(), ..offered.clone() }
}

/// `a=rtcp` where the port is not the one after RTP's.
pub(super) fn explicit_rtcp(ports: super::LocalPorts, muxed: bool) -> Option<Rtcp> {
    let usual =
        ports.rtp.port().checked_add(1) == Some(ports.rtcp.port()) && ports.rtp.ip() == ports.rtcp.ip();
    let addr = (ports.rtp.ip() != ports.rtcp.ip()).then(|| ports.rtcp.ip());
    (!usual && !muxed).then(|| Rtcp { port: ports.rtcp.port(), addr })
}

/// We take part as far as the peer allows; who gave an address of zeros receives nothing.
fn answer_direction(offered: &Media) -> Direction {
    let sends = offered.direction.receives() && !offered.on_zero_address();
    Direction::from_flows(sends, offered.direction.sends())
}

/// How much sound the peer wants in a packet, in milliseconds that the codec can do.
fn ptime_ms(theirs: &Media, codec: Codec) -> u32 {
    let most = theirs.max_ptime.unwrap_or(60).clamp(10, 60);
    let wanted = theirs.ptime.unwrap_or(20).clamp(10, most);
    match (codec, wanted) {
        (Codec::Opus, 10..20) => 10,
        (Codec::Opus, 20..40) => 20,
        (Codec::Opus, 40..60) => 40,
        (_, wanted) => wanted / 10 * 10,
    }
}
