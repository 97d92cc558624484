//! A gateway as PROTOCOL.md describes it: three layers and one sound out, slots in, one data channel.

use super::clip::Clip;
use super::https::{self, Answer};
use meet_sim::Simulator;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::net::UdpSocket;
use std::time::{Duration, Instant};
use str0m::change::SdpAnswer;
use str0m::channel::ChannelId;
use str0m::format::Codec;
use str0m::media::{Direction, Frequency, MediaKind, MediaTime, Mid, Pt, Rid, Simulcast, SimulcastLayer};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc};

/// Layers and their sizes.
pub const LAYERS: [(&str, u16, u16); 3] = [("q", 320, 180), ("h", 640, 360), ("f", 1280, 720)];
const FRAME: Duration = Duration::from_nanos(33_333_333);
const SOUND: Duration = Duration::from_millis(20);

/// What a gateway asks for when it joins.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The body, but for the offer.
    pub body: Value,
    /// The meeting in the URL.
    pub meeting: String,
    /// The JWT, if one is sent.
    pub jwt: Option<String>,
}

impl Ask {
    /// To join `meeting` as `name` with `token`.
    pub fn new(meeting: &str, name: &str, token: &str) -> Self {
        let body = json!({
            "version": 1, "callId": format!("call-{name}"), "displayName": name, "accessToken": token,
            "trust": "trusted", "maxBitrate": 2_000_000,
        });
        Self { body, meeting: meeting.to_owned(), jwt: None }
    }

    /// The same with another value of `field`.
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.body[field] = value.into();
        self
    }
}

/// One frame received.
#[derive(Debug, Clone)]
pub struct Received {
    /// No frame is missing before it.
    pub contiguous: bool,
    /// Size, if it is a VP8 key frame.
    pub key: Option<(u16, u16)>,
    /// Media time in seconds.
    pub at: f64,
    /// How many messages had come by then.
    pub messages: usize,
}

/// A gateway in a meeting.
pub struct Gateway {
    rtc: Rtc,
    socket: UdpSocket,
    channel: ChannelId,
    sound: (Mid, Pt),
    picture: (Mid, Pt),
    start: Instant,
    frames: u32,
    sounds: u32,
    wants_key: HashMap<Rid, bool>,
    sends: bool,
    clip: Option<Clip>,
    /// Reply to the join.
    pub reply: Value,
    /// Messages of the data channel.
    pub messages: Vec<Value>,
    /// Frames by m-line.
    pub received: BTreeMap<String, Vec<Received>>,
    /// Key frames asked for, by layer.
    pub keys_asked: BTreeMap<String, u32>,
    /// ICE and DTLS are up.
    pub connected: bool,
    /// The far side said goodbye.
    pub closed: bool,
}

impl Gateway {
    /// Joins, or hands back the refusal.
    pub fn join(simulator: &Simulator, ask: &Ask) -> Result<Self, Answer> {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut rtc =
            Rtc::builder().clear_codecs().enable_opus(true, false).enable_vp8(true).build(Instant::now());
        rtc.add_local_candidate(Candidate::host(socket.local_addr().unwrap(), "udp").unwrap());
        let mut changes = rtc.sdp_api();
        let sound = changes.add_media(MediaKind::Audio, Direction::SendOnly, None, None, None);
        let mut simulcast = Simulcast::new();
        for (rid, ..) in LAYERS {
            simulcast.add_send_layer(SimulcastLayer::new(rid));
        }
        let picture = changes.add_media(MediaKind::Video, Direction::SendOnly, None, None, Some(simulcast));
        for _ in 0..3 {
            changes.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None);
        }
        for _ in 0..8 {
            changes.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
        }
        let channel = changes.add_channel("interop".to_owned());
        let (offer, pending) = changes.apply().unwrap();
        let mut body = ask.body.clone();
        if body["sdpOffer"].is_null() {
            body["sdpOffer"] = offer.to_sdp_string().into();
        }
        let path = format!("/interop/v1/meetings/{}:join", ask.meeting);
        let answer = https::request(simulator, "POST", &path, ask.jwt.as_deref(), &body.to_string());
        if answer.status != 200 {
            return Err(answer);
        }
        let sdp = SdpAnswer::from_sdp_string(answer.body["sdpAnswer"].as_str().unwrap()).unwrap();
        rtc.sdp_api().accept_answer(pending, sdp).unwrap();
        let pt = |codec| {
            let params = rtc.codec_config().params();
            params.iter().find(|params| params.spec().codec == codec).unwrap().pt()
        };
        let (opus, vp8) = (pt(Codec::Opus), pt(Codec::Vp8));
        Ok(Self {
            rtc,
            socket,
            channel,
            sound: (sound, opus),
            picture: (picture, vp8),
            start: Instant::now(),
            frames: 0,
            sounds: 0,
            wants_key: HashMap::new(),
            sends: true,
            clip: None,
            reply: answer.body,
            messages: Vec::new(),
            received: BTreeMap::new(),
            keys_asked: BTreeMap::new(),
            connected: false,
            closed: false,
        })
    }

    /// Its own name in the meeting.
    pub fn device(&self) -> String {
        self.reply["participant"].as_str().unwrap().to_owned()
    }

    /// Sends no media from now on.
    pub fn hush(&mut self) {
        self.sends = false;
    }

    /// Sends `clip` over and over instead of pictures that nobody can decode.
    pub fn play(&mut self, clip: Clip) {
        self.clip = Some(clip);
    }

    /// Sends a message on the data channel.
    pub fn say(&mut self, message: &Value) {
        let mut channel = self.rtc.channel(self.channel).unwrap();
        channel.write(false, message.to_string().as_bytes()).unwrap();
    }

    /// The newest message of this type.
    pub fn newest(&self, kind: &str) -> Option<&Value> {
        self.messages.iter().rev().find(|message| message["type"] == kind)
    }

    /// The state it was told last.
    pub fn state(&self) -> &str {
        self.newest("state").and_then(|message| message["state"].as_str()).unwrap_or_default()
    }

    /// The m-line of this kind in which `device` was put, by the newest `slots`.
    pub fn slot_of(&self, device: &str, kind: MediaKind) -> Option<String> {
        let slots = self.newest("slots")?["slots"].as_array()?.clone();
        let of_kind = |mid: &str| self.rtc.media(Mid::from(mid)).is_some_and(|media| media.kind() == kind);
        let mut mids = slots.iter().filter(|slot| slot["participant"] == device);
        mids.find_map(|slot| slot["mid"].as_str().filter(|mid| of_kind(mid)).map(str::to_owned))
    }

    /// The frames of `device` of this kind.
    pub fn from(&self, device: &str, kind: MediaKind) -> &[Received] {
        let slot = self.slot_of(device, kind);
        slot.and_then(|mid| self.received.get(&mid)).map(Vec::as_slice).unwrap_or_default()
    }

    /// The size of the last key frame of `device`.
    pub fn size_of(&self, device: &str) -> Option<(u16, u16)> {
        self.from(device, MediaKind::Video).iter().rev().find_map(|frame| frame.key)
    }

    /// Works on the connection until `now`, handling what comes and sending what is due.
    pub fn turn(&mut self) {
        let now = Instant::now();
        self.rtc.handle_input(Input::Timeout(now)).unwrap();
        self.drain();
        if self.connected && self.sends {
            self.send_media(now);
        }
        self.socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        let mut buffer = [0; 2_048];
        while let Ok((length, source)) = self.socket.recv_from(&mut buffer) {
            let local = self.socket.local_addr().unwrap();
            if let Ok(receive) = Receive::new(Protocol::Udp, source, local, &buffer[..length]) {
                self.rtc.handle_input(Input::Receive(Instant::now(), receive)).unwrap();
                self.drain();
            }
            self.socket.set_nonblocking(true).unwrap();
        }
        self.socket.set_nonblocking(false).unwrap();
    }

    fn drain(&mut self) {
        loop {
            match self.rtc.poll_output().unwrap() {
                Output::Timeout(_) => return,
                Output::Transmit(packet) => {
                    // A simulator that was killed refuses packets.
                    let _ = self.socket.send_to(&packet.contents, packet.destination);
                }
                Output::Event(event) => self.on(event),
            }
        }
    }

    fn on(&mut self, event: Event) {
        match event {
            Event::Connected => {
                self.connected = true;
                self.start = Instant::now();
            }
            Event::Closed => self.closed = true,
            Event::ChannelData(data) => self.messages.push(serde_json::from_slice(&data.data).unwrap()),
            Event::KeyframeRequest(asked) => {
                let rid = asked.rid.unwrap();
                self.wants_key.insert(rid, true);
                *self.keys_asked.entry(rid.to_string()).or_default() += 1;
            }
            Event::MediaData(frame) => {
                let video = self.rtc.media(frame.mid).unwrap().kind() == MediaKind::Video;
                let key = (video && frame.data[0] & 1 == 0).then(|| {
                    let u16_at = |at: usize| u16::from_le_bytes([frame.data[at], frame.data[at + 1]]);
                    (u16_at(6), u16_at(8))
                });
                let received = Received {
                    contiguous: frame.contiguous,
                    key,
                    at: frame.time.as_seconds(),
                    messages: self.messages.len(),
                };
                self.received.entry(frame.mid.to_string()).or_default().push(received);
            }
            _ => {}
        }
    }

    fn send_media(&mut self, now: Instant) {
        while now >= self.start + FRAME * self.frames {
            for (rid, width, height) in LAYERS {
                let rid = Rid::from(rid);
                let key = self.frames == 0 || self.wants_key.insert(rid, false) == Some(true);
                let data = match &self.clip {
                    None => picture(key, width, height),
                    Some(clip) => match clip.picture(rid, self.frames) {
                        Some(data) => data,
                        None => continue,
                    },
                };
                let (mid, pt) = self.picture;
                let at = self.start + FRAME * self.frames;
                let time = MediaTime::new(u64::from(self.frames) * 3_000, Frequency::NINETY_KHZ);
                // None once the session is closed.
                let Some(writer) = self.rtc.writer(mid) else { return };
                writer.rid(rid).write(pt, at, time, data).unwrap();
                self.drain();
            }
            self.frames += 1;
        }
        while now >= self.start + SOUND * self.sounds {
            let at = self.start + SOUND * self.sounds;
            let time = MediaTime::new(u64::from(self.sounds) * 960, Frequency::FORTY_EIGHT_KHZ);
            let sound = self.clip.as_ref().map_or_else(|| vec![0xfc; 60], |clip| clip.sound(self.sounds));
            let Some(writer) = self.rtc.writer(self.sound.0) else { return };
            writer.audio_level(-20, true).write(self.sound.1, at, time, sound).unwrap();
            self.drain();
            self.sounds += 1;
        }
    }
}

/// A frame with a true VP8 header and nothing behind it: nobody decodes it here.
fn picture(key: bool, width: u16, height: u16) -> Vec<u8> {
    let [w0, w1] = width.to_le_bytes();
    let [h0, h1] = height.to_le_bytes();
    let mut data = vec![if key { 0x10 } else { 0x11 }, 0, 0, 0x9d, 0x01, 0x2a, w0, w1, h0, h1];
    data.resize(usize::from(width) * if key { 8 } else { 2 }, 0);
    data
}

/// Turns all `gateways` until `done`, at most ten seconds; false if it was not done by then.
pub fn until(gateways: &mut [&mut Gateway], done: impl Fn(&[&mut Gateway]) -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        for gateway in gateways.iter_mut() {
            gateway.turn();
        }
        if done(gateways) {
            return true;
        }
    }
    false
}
