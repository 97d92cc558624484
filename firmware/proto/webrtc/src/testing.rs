//! The far side of a session and the network between, for tests in virtual time: an ICE-lite server on str0m in frame mode.
//!
//! Behind the feature `testing`, which no program turns on.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use str0m::change::SdpOffer;
use str0m::channel::ChannelId;
use str0m::format::Codec as RtcCodec;
use str0m::media::{
    Direction, Frequency, KeyframeRequestKind, MediaKind as RtcKind, MediaTime as RtcTime, Mid, Rid,
};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc};

/// A server with one session.
#[derive(Debug)]
pub struct FarSide {
    rtc: Rtc,
    local: SocketAddr,
    channel: Option<ChannelId>,
    sounds: Vec<Mid>,
    pictures: Vec<Mid>,
    incoming: Vec<(Mid, RtcKind)>,
    /// When it wants to be turned.
    pub wake: Instant,
}

/// What the server heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A datagram it wants sent.
    Transmit(SocketAddr, Vec<u8>),
    /// ICE and DTLS are up.
    Connected,
    /// The data channel with this label is open.
    ChannelOpen(String),
    /// The client closed.
    Closed,
    /// A text on the data channel.
    Text(String),
    /// A frame.
    Frame(HeardFrame),
    /// The client can't decode the picture of the m-line with this mid.
    KeyframeWanted(String),
}

/// A frame the server received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeardFrame {
    /// The simulcast layer, of pictures.
    pub rid: Option<String>,
    /// Nanoseconds on the client's own clock when it was captured, by its sender report.
    pub captured_ns: Option<i128>,
    /// RTP timestamp.
    pub rtp: u64,
    /// The frame.
    pub data: Vec<u8>,
}

impl FarSide {
    /// Answers `offer` from the socket `local`.
    ///
    /// # Errors
    /// What str0m says is wrong with the offer.
    pub fn answer(now: Instant, local: SocketAddr, offer: &str) -> Result<(Self, String), String> {
        let offer = SdpOffer::from_sdp_string(offer).map_err(|error| error.to_string())?;
        let mut rtc = Rtc::builder()
            .set_ice_lite(true)
            .clear_codecs()
            .enable_opus(true, false)
            .enable_vp8(true)
            .set_rtcp_report_interval_audio(Duration::from_secs(1))
            .build(now);
        let candidate = Candidate::host(local, "udp").map_err(|error| error.to_string())?;
        rtc.add_local_candidate(candidate);
        let answer = rtc.sdp_api().accept_offer(offer).map_err(|error| error.to_string())?;
        let (sounds, pictures, incoming) = (Vec::new(), Vec::new(), Vec::new());
        let far = Self { rtc, local, channel: None, sounds, pictures, incoming, wake: now };
        Ok((far, answer.to_sdp_string()))
    }

    /// The mids of the slots with sound, and of those with pictures.
    #[must_use]
    pub fn slots(&self) -> (Vec<String>, Vec<String>) {
        let names = |mids: &[Mid]| mids.iter().map(ToString::to_string).collect();
        (names(&self.sounds), names(&self.pictures))
    }

    /// Takes a datagram.
    pub fn receive(&mut self, now: Instant, from: SocketAddr, data: &[u8]) {
        if let Ok(receive) = Receive::new(Protocol::Udp, from, self.local, data) {
            let _ = self.rtc.handle_input(Input::Receive(now, receive));
        }
    }

    /// Says something on the data channel.
    pub fn say(&mut self, text: &str) -> bool {
        let channel = self.channel.and_then(|id| self.rtc.channel(id));
        channel.is_some_and(|mut channel| matches!(channel.write(false, text.as_bytes()), Ok(true)))
    }

    /// Says something that is no text.
    pub fn say_binary(&mut self, bytes: &[u8]) -> bool {
        let channel = self.channel.and_then(|id| self.rtc.channel(id));
        channel.is_some_and(|mut channel| matches!(channel.write(true, bytes), Ok(true)))
    }

    /// Sends a sound in the slot `slot`, captured at `at`.
    pub fn send_sound(&mut self, slot: usize, at: Instant, rtp: u64, data: &[u8]) -> bool {
        let mid = self.sounds.get(slot).copied();
        mid.is_some_and(|mid| self.send(mid, RtcCodec::Opus, 48_000, at, rtp, data))
    }

    /// Sends a picture in the slot `slot`, captured at `at`.
    pub fn send_picture(&mut self, slot: usize, at: Instant, rtp: u64, data: &[u8]) -> bool {
        let mid = self.pictures.get(slot).copied();
        mid.is_some_and(|mid| self.send(mid, RtcCodec::Vp8, 90_000, at, rtp, data))
    }

    /// Asks the client for a key frame of this layer.
    pub fn ask_keyframe(&mut self, rid: &str) -> bool {
        let Some((mid, _)) = self.incoming.iter().find(|(_, kind)| *kind == RtcKind::Video) else {
            return false;
        };
        let writer = self.rtc.writer(*mid);
        writer.is_some_and(|mut writer| {
            writer.request_keyframe(Some(Rid::from(rid)), KeyframeRequestKind::Pli).is_ok()
        })
    }

    /// Says goodbye.
    pub fn close(&mut self) {
        let _ = self.rtc.close();
    }

    /// Lets time pass and hands out everything heard.
    pub fn turn(&mut self, now: Instant, mut heard: impl FnMut(Heard)) {
        loop {
            let _ = self.rtc.handle_input(Input::Timeout(now));
            self.wake = loop {
                match self.rtc.poll_output() {
                    Ok(Output::Timeout(at)) => break at,
                    Ok(Output::Transmit(transmit)) => {
                        heard(Heard::Transmit(transmit.destination, transmit.contents.into()));
                    }
                    Ok(Output::Event(event)) => {
                        if let Some(event) = self.event(event) {
                            heard(event);
                        }
                    }
                    Err(_) if !self.rtc.is_alive() => break now + Duration::from_secs(3600),
                    Err(_) => {}
                }
            };
            if self.wake > now {
                return;
            }
        }
    }

    fn send(&mut self, mid: Mid, codec: RtcCodec, hz: u32, at: Instant, rtp: u64, data: &[u8]) -> bool {
        let Some(writer) = self.rtc.writer(mid) else { return false };
        let pt =
            writer.payload_params().find(|params| params.spec().codec == codec).map(|params| params.pt());
        let (Some(pt), Some(frequency)) = (pt, Frequency::new(hz)) else { return false };
        writer.write(pt, at, RtcTime::new(rtp, frequency), data).is_ok()
    }

    fn event(&mut self, event: Event) -> Option<Heard> {
        match event {
            Event::Connected => Some(Heard::Connected),
            Event::Closed => Some(Heard::Closed),
            Event::MediaAdded(media) => {
                match (media.direction, media.kind) {
                    (Direction::SendOnly, RtcKind::Audio) => self.sounds.push(media.mid),
                    (Direction::SendOnly, RtcKind::Video) => self.pictures.push(media.mid),
                    (_, kind) => self.incoming.push((media.mid, kind)),
                }
                None
            }
            Event::ChannelOpen(id, label) => {
                self.channel = Some(id);
                Some(Heard::ChannelOpen(label))
            }
            Event::ChannelData(message) => String::from_utf8(message.data).ok().map(Heard::Text),
            Event::KeyframeRequest(request) => Some(Heard::KeyframeWanted(request.mid.to_string())),
            Event::MediaData(data) => {
                let captured_ns = data.last_sender_info.map(|info| {
                    let ntp = info.ntp_time.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                    let ticks = i128::from(data.time.numer()) - i128::from(info.rtp_time.numer());
                    i128::try_from(ntp.as_nanos()).unwrap_or(0)
                        + ticks * 1_000_000_000 / i128::from(data.time.denom())
                });
                Some(Heard::Frame(HeardFrame {
                    rid: data.rid.map(|rid| rid.to_string()),
                    captured_ns,
                    rtp: data.time.numer(),
                    data: data.data.to_vec(),
                }))
            }
            _ => None,
        }
    }
}

/// Says which datagrams get lost.
type Lose = Box<dyn FnMut(&[u8]) -> bool>;

/// One way of a network: a delay, and packets that get lost.
pub struct Link {
    /// How long a datagram takes.
    pub delay: Duration,
    lose: Lose,
    under_way: VecDeque<(Instant, SocketAddr, Vec<u8>)>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("delay", &self.delay)
            .field("under_way", &self.under_way.len())
            .finish_non_exhaustive()
    }
}

impl Link {
    /// A link that loses nothing.
    #[must_use]
    pub fn new(delay: Duration) -> Self {
        Self { delay, lose: Box::new(|_| false), under_way: VecDeque::new() }
    }

    /// From now on loses the datagrams that `lose` says.
    pub fn lose(&mut self, lose: impl FnMut(&[u8]) -> bool + 'static) {
        self.lose = Box::new(lose);
    }

    /// Puts a datagram on the link.
    pub fn send(&mut self, now: Instant, from: SocketAddr, data: Vec<u8>) {
        if !(self.lose)(&data) {
            self.under_way.push_back((now + self.delay, from, data));
        }
    }

    /// When the next datagram arrives.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.under_way.front().map(|(at, ..)| *at)
    }

    /// A datagram that has arrived.
    pub fn arrived(&mut self, now: Instant) -> Option<(SocketAddr, Vec<u8>)> {
        if self.next()? > now {
            return None;
        }
        self.under_way.pop_front().map(|(_, from, data)| (from, data))
    }
}

/// Bytes that pass for a VP8 frame (RFC 6386 9.1) of about `len`, with `number` in it.
#[must_use]
pub fn vp8_frame(key: bool, number: u32, len: usize) -> Vec<u8> {
    let mut frame = if key {
        vec![0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x00, 0x05, 0xd0, 0x02]
    } else {
        vec![0x11, 0x02, 0x00]
    };
    frame.extend_from_slice(&number.to_be_bytes());
    frame.resize(len.max(frame.len()), 0x55);
    frame
}

/// The number in a frame of [`vp8_frame`].
#[must_use]
pub fn vp8_number(frame: &[u8]) -> Option<u32> {
    let head = if frame.first()? & 1 == 0 { 10 } else { 3 };
    let number = frame.get(head..head + 4)?;
    Some(u32::from_be_bytes(number.try_into().ok()?))
}
