//! One m-line of a call: what was agreed about it, and the RTP session that carries it.

use super::media::{index, stream_id};
use base::ids::StreamId;
use base::leg::{RecvStream, SendStream};
use base::{Cause, Codec, Fault, Kind, MediaKind, Seed};
use bytes::Bytes;
use rtp::{
    CryptoAttribute, DtmfFormat, Format, H264Mode, KeyframeRequests, RecvFormat, Remote, RtcpTransport,
    RtpSession, SendFormat, SrtpKeys,
};
use sdp::Stream;
use sdp::h264::PacketizationMode;
use std::time::{Duration, Instant};

/// One m-line of a call.
#[derive(Debug)]
pub(super) struct Line {
    /// What was agreed.
    pub(super) stream: Stream,
    /// Its packets.
    pub(super) session: RtpSession,
    /// How much may be sent now, in bits per second.
    pub(super) bps: u64,
}

impl Line {
    pub(super) fn new(
        stream: Stream,
        config: rtp::Config,
        epoch: Instant,
        seed: Seed,
    ) -> Result<Self, Cause> {
        let bps = stream.max_bps;
        let session = RtpSession::new(config, epoch, seed).map_err(|_| UNUSABLE_KEYS)?;
        Ok(Self { stream, session, bps })
    }

    /// Goes on as newly agreed.
    pub(super) fn take(&mut self, stream: Stream, config: rtp::Config) -> Result<(), Cause> {
        self.session.reconfigure(config).map_err(|_| UNUSABLE_KEYS)?;
        if self.stream.max_bps != stream.max_bps {
            self.bps = stream.max_bps;
        }
        self.stream = stream;
        Ok(())
    }

    /// Media flows both ways. A peer that holds us, or only listens, may be silent.
    pub(super) fn expects_media(&self) -> bool {
        self.stream.direction.receives() && self.stream.direction.sends()
    }

    fn id(&self) -> StreamId {
        stream_id(index(self.stream.kind))
    }

    pub(super) fn send_stream(&self) -> Option<SendStream> {
        let stream = &self.stream;
        let single =
            stream.h264.is_some_and(|params| params.packetization_mode == PacketizationMode::SingleNal);
        stream.direction.sends().then(|| SendStream {
            id: self.id(),
            kind: stream.kind,
            codec: stream.codec,
            max_bps: stream.max_bps,
            max_size: stream.max_size,
            max_fps: stream.max_fps,
            max_nal_bytes: single.then_some(rtp::packet::MAX_PAYLOAD),
            frame_time: stream.ptime,
        })
    }

    pub(super) fn recv_stream(&self) -> Option<RecvStream> {
        let stream = &self.stream;
        let codec = stream.recv.first().map_or(stream.codec, |(_, codec)| *codec);
        let told = RecvStream { id: self.id(), kind: stream.kind, codec, participant: None };
        stream.direction.receives().then_some(told)
    }
}

const UNUSABLE_KEYS: Cause = Cause::new(Fault::Caller, Kind::NotAcceptable);

/// What was agreed, in [`rtp`]'s words.
pub(super) fn rtp_config(stream: &Stream, cname: &str) -> Result<rtp::Config, Cause> {
    let (sends, receives) = (stream.direction.sends(), stream.direction.receives());
    Ok(rtp::Config {
        kind: stream.kind,
        send: sends.then(|| send_format(stream)),
        recv: if receives { recv_formats(stream) } else { Vec::new() },
        dtmf: stream.dtmf.map(|dtmf| DtmfFormat { payload_type: dtmf.send_pt, clock: dtmf.clock }),
        remote: Remote { rtp: stream.remote_rtp, rtcp: stream.remote_rtcp },
        rtcp: if stream.rtcp_mux { RtcpTransport::Muxed } else { RtcpTransport::Separate },
        keyframe_requests: keyframe_requests(stream),
        srtp: srtp_keys(stream)?,
        cname: cname.to_owned(),
        max_bps: stream.max_bps,
    })
}

fn send_format(stream: &Stream) -> SendFormat {
    let h264 = match stream.h264.map(|params| params.packetization_mode) {
        Some(PacketizationMode::NonInterleaved) => H264Mode::NonInterleaved,
        Some(PacketizationMode::SingleNal | PacketizationMode::Other(_)) | None => H264Mode::SingleNal,
    };
    let frame_time = match stream.kind {
        MediaKind::Audio => stream.ptime,
        MediaKind::Video | MediaKind::Content => Duration::from_secs(1) / stream.max_fps.max(1),
    };
    SendFormat { payload_type: stream.send_pt, codec: stream.codec, h264, frame_time }
}

fn recv_formats(stream: &Stream) -> Vec<RecvFormat> {
    let media = stream.recv.iter().map(|(payload_type, codec)| RecvFormat {
        payload_type: *payload_type,
        format: Format::Media(*codec),
        parameter_sets: if *codec == Codec::H264 { parameter_sets(stream) } else { Vec::new() },
    });
    let events = stream.dtmf.map(|dtmf| RecvFormat {
        payload_type: dtmf.recv_pt,
        format: Format::TelephoneEvent,
        parameter_sets: Vec::new(),
    });
    media.chain(events).collect()
}

/// Parameter sets that the peer gives in its description rather than in its stream.
fn parameter_sets(stream: &Stream) -> Vec<Bytes> {
    let parameters = stream.fmtp.iter().flat_map(|fmtp| fmtp.split(';'));
    let mut sprop = parameters.filter_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("sprop-parameter-sets").then(|| value.trim())
    });
    sprop.next().map(rtp::payload::h264::sprop).unwrap_or_default()
}

fn keyframe_requests(stream: &Stream) -> KeyframeRequests {
    match (stream.feedback.pli, stream.feedback.fir) {
        (true, _) => KeyframeRequests::Pli,
        (false, true) => KeyframeRequests::Fir,
        (false, false) => KeyframeRequests::Signalling,
    }
}

fn srtp_keys(stream: &Stream) -> Result<Option<SrtpKeys>, Cause> {
    let Some(crypto) = &stream.crypto else { return Ok(None) };
    let parse = |text: &str| CryptoAttribute::parse(text).map_err(|_| UNUSABLE_KEYS);
    let keys = SrtpKeys { send: parse(crypto.local.expose())?, recv: parse(crypto.remote.expose())? };
    if keys.send.suite() != keys.recv.suite() {
        return Err(UNUSABLE_KEYS);
    }
    Ok(Some(keys))
}
