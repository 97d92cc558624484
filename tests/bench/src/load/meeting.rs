//! People in a meeting of the simulator, without browsers: some play encoded clips, some watch one layer of somebody.
//!
//! All of them run on one thread, each with a socket and a WebRTC session of its own. Nothing is encoded or decoded.

use super::{Beat, PICTURE_TIME, SOUND_TIME};
use crate::load::player::APART;
use crate::settings::TICKS;
use anyhow::{Context, Result, ensure};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use str0m::change::SdpAnswer;
use str0m::channel::ChannelId;
use str0m::format::Codec;
use str0m::media::{Direction, Frequency, MediaKind, MediaTime, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc};

/// What somebody does in a meeting.
#[derive(Clone)]
pub enum Role {
    /// Plays pictures, sound or both.
    Plays {
        /// VP8 frames of a clip, if it has a camera.
        pictures: Option<Arc<Vec<Vec<u8>>>>,
        /// Opus packets of 20 ms, if it speaks, and how loud in dBov.
        sound: Option<(Arc<Vec<Vec<u8>>>, i8)>,
    },
    /// Watches `layer` (`high`, `mid`, `low`) of a participant.
    Watches {
        /// Whom, by its name in the meeting.
        participant: String,
        /// Which layer.
        layer: &'static str,
    },
}

/// A picture somebody was sent.
#[derive(Debug, Clone)]
pub struct Received {
    /// When its first packet came.
    pub at: Instant,
    /// RTP timestamp, extended.
    pub timestamp: u64,
    /// Nothing is missing before it.
    pub contiguous: bool,
    /// The VP8 frame.
    pub data: Arc<[u8]>,
}

/// What somebody did and saw.
#[derive(Debug, Default)]
pub struct Log {
    /// RTP timestamp and number of each picture sent.
    pub sent: Vec<(u32, u32)>,
    /// Pictures seen.
    pub received: Vec<Received>,
    /// How often a picture that stands alone was asked for.
    pub keys_asked: u32,
}

/// People in a meeting. Dropping it lets them leave.
pub struct Meeting {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    logs: Vec<Arc<Mutex<Log>>>,
    /// The ports of their media, in the order of their roles.
    pub ports: Vec<u16>,
}

impl Meeting {
    /// Lets one person for each of `roles` join `meeting` at the simulator's page, and waits until all are connected.
    ///
    /// # Errors
    /// If somebody can't join.
    pub fn gather(page: SocketAddr, meeting: &str, roles: Vec<Role>) -> Result<Self> {
        let join = |(n, role): (usize, &Role)| Person::join(page, meeting, n, role.clone());
        let mut people = roles.iter().enumerate().map(join).collect::<Result<Vec<_>>>()?;
        let logs = people.iter().map(|person| Arc::clone(&person.log)).collect();
        let ports = people.iter().map(|person| person.local.port()).collect();
        let deadline = Instant::now() + Duration::from_secs(15);
        while !people.iter().all(|person| person.connected) {
            ensure!(Instant::now() < deadline, "the people of the meeting do not connect");
            turn(&mut people)?;
        }
        let start = Instant::now();
        for (n, person) in people.iter_mut().enumerate() {
            person.begin(start + APART * n as u32);
        }
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("meeting".into()).spawn(move || {
            while !stopped.load(Ordering::Relaxed) && turn(&mut people).is_ok() {}
            people.iter_mut().for_each(Person::leave);
        })?;
        Ok(Self { stop, thread: Some(thread), logs, ports })
    }

    /// What the person of the `n`th role did and saw.
    pub fn log(&self, n: usize) -> MutexGuard<'_, Log> {
        self.logs[n].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether everybody is still there.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

impl Drop for Meeting {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Waits for the next thing to do and does it.
fn turn(people: &mut [Person]) -> Result<()> {
    let wake = people.iter().map(Person::wake).min().unwrap_or_else(Instant::now);
    let left = wake.saturating_duration_since(Instant::now());
    let mut polled: Vec<_> =
        people.iter().map(|person| PollFd::new(person.socket.as_fd(), PollFlags::POLLIN)).collect();
    let timeout =
        PollTimeout::try_from(left.as_micros().div_ceil(1_000).min(100)).unwrap_or(PollTimeout::ZERO);
    // Interrupted is as good as timed out.
    let _ = poll(&mut polled, timeout);
    people.iter_mut().try_for_each(Person::turn)
}

struct Person {
    role: Role,
    rtc: Rtc,
    socket: UdpSocket,
    local: SocketAddr,
    channel: ChannelId,
    sound: Option<(Mid, Pt)>,
    picture: Option<(Mid, Pt)>,
    wake: Instant,
    beats: Option<(Beat, Beat)>,
    /// The next picture of the clip.
    next: usize,
    connected: bool,
    log: Arc<Mutex<Log>>,
}

impl Person {
    fn join(page: SocketAddr, meeting: &str, n: usize, role: Role) -> Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0").context("a socket for media")?;
        let local = socket.local_addr()?;
        socket.set_nonblocking(true)?;
        let now = Instant::now();
        let mut rtc = Rtc::builder().clear_codecs().enable_opus(true, false).enable_vp8(true).build(now);
        rtc.add_local_candidate(Candidate::host(local, "udp")?);
        let mut changes = rtc.sdp_api();
        let channel = changes.add_channel("interop".to_owned());
        let mut add = |kind, direction| changes.add_media(kind, direction, None, None, None);
        let (sound, picture) = match &role {
            Role::Plays { pictures, sound } => (
                sound.as_ref().map(|_| add(MediaKind::Audio, Direction::SendOnly)),
                pictures.as_ref().map(|_| add(MediaKind::Video, Direction::SendOnly)),
            ),
            Role::Watches { .. } => {
                add(MediaKind::Video, Direction::RecvOnly);
                (None, None)
            }
        };
        let (offer, pending) = changes.apply().context("no offer")?;
        let body = serde_json::json!({ "meeting": meeting, "name": format!("Person {n}"), "sdpOffer": offer.to_sdp_string() });
        let reply = post(page, "/page/join", &body.to_string())?;
        let answer =
            reply["sdpAnswer"].as_str().with_context(|| format!("person {n} was refused: {reply}"))?;
        rtc.sdp_api().accept_answer(pending, SdpAnswer::from_sdp_string(answer)?)?;
        let pt = |codec| {
            let params = rtc.codec_config().params();
            params.iter().find(|params| params.spec().codec == codec).map(|params| params.pt())
        };
        let (opus, vp8) = (pt(Codec::Opus), pt(Codec::Vp8));
        Ok(Self {
            role,
            socket,
            local,
            channel,
            sound: sound.zip(opus),
            picture: picture.zip(vp8),
            rtc,
            wake: now,
            beats: None,
            next: 0,
            connected: false,
            log: Arc::default(),
        })
    }

    fn begin(&mut self, start: Instant) {
        self.beats = Some((Beat::new(start, PICTURE_TIME), Beat::new(start, SOUND_TIME)));
    }

    fn wake(&self) -> Instant {
        let due = |beats: &(Beat, Beat)| {
            let picture = self.picture.map(|_| beats.0.due());
            let sound = self.sound.map(|_| beats.1.due());
            picture.into_iter().chain(sound).min()
        };
        self.beats.as_ref().and_then(due).map_or(self.wake, |due| due.min(self.wake))
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&mut self) -> Result<()> {
        let mut buffer = [0; 2_048];
        while let Ok((length, source)) = self.socket.recv_from(&mut buffer) {
            let now = Instant::now();
            if let Ok(receive) = Receive::new(Protocol::Udp, source, self.local, &buffer[..length]) {
                self.rtc.handle_input(Input::Receive(now, receive))?;
                self.drain()?;
            }
        }
        let now = Instant::now();
        if now >= self.wake {
            self.rtc.handle_input(Input::Timeout(now))?;
            self.drain()?;
        }
        self.play(now)
    }

    fn drain(&mut self) -> Result<()> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(at) => {
                    self.wake = at;
                    return Ok(());
                }
                // A full socket buffer drops packets, as networks do.
                Output::Transmit(packet) => drop(self.socket.send_to(&packet.contents, packet.destination)),
                Output::Event(event) => self.on(event),
            }
        }
    }

    fn on(&mut self, event: Event) {
        match event {
            Event::Connected => self.connected = true,
            Event::ChannelOpen(id, _) if id == self.channel => self.watch(),
            Event::KeyframeRequest(_) => {
                self.next = 0;
                self.log().keys_asked += 1;
            }
            Event::MediaData(frame) => {
                let received = Received {
                    at: frame.network_time,
                    timestamp: frame.time.numer(),
                    contiguous: frame.contiguous,
                    data: frame.data,
                };
                self.log().received.push(received);
            }
            _ => {}
        }
    }

    fn watch(&mut self) {
        let Role::Watches { participant, layer } = &self.role else { return };
        let picture =
            serde_json::json!({ "participant": participant, "width": 1280, "height": 720, "layer": layer });
        let watch = serde_json::json!({ "type": "watch", "pictures": [picture] }).to_string();
        if let Some(mut channel) = self.rtc.channel(self.channel) {
            // The meeting is not over before it has begun.
            drop(channel.write(false, watch.as_bytes()));
        }
    }

    fn play(&mut self, now: Instant) -> Result<()> {
        let Role::Plays { pictures, sound } = self.role.clone() else { return Ok(()) };
        let Some((mut picture_beat, mut sound_beat)) = self.beats else { return Ok(()) };
        if let (Some((mid, pt)), Some(pictures)) = (self.picture, pictures) {
            while let Some(n) = picture_beat.stroke(now) {
                let timestamp = n.wrapping_mul(TICKS);
                let time = MediaTime::new(u64::from(timestamp), Frequency::NINETY_KHZ);
                let writer = self.rtc.writer(mid).context("no stream for pictures")?;
                writer.write(pt, now, time, pictures[self.next].as_slice())?;
                self.log().sent.push((timestamp, self.next as u32));
                self.next = (self.next + 1) % pictures.len();
                self.drain()?;
            }
        }
        if let (Some((mid, pt)), Some((packets, level))) = (self.sound, sound) {
            while let Some(n) = sound_beat.stroke(now) {
                let time = MediaTime::new(u64::from(n) * 960, Frequency::FORTY_EIGHT_KHZ);
                let writer = self.rtc.writer(mid).context("no stream for sound")?.audio_level(level, true);
                writer.write(pt, now, time, packets[n as usize % packets.len()].as_slice())?;
                self.drain()?;
            }
        }
        self.beats = Some((picture_beat, sound_beat));
        Ok(())
    }

    fn leave(&mut self) {
        // Whoever can't say goodbye is gone all the same.
        if self.rtc.close().is_ok() {
            drop(self.drain());
        }
    }
}

/// POSTs JSON and reads JSON, as HTTP/1.1 has it (RFC 9112).
fn post(to: SocketAddr, path: &str, body: &str) -> Result<serde_json::Value> {
    let mut stream = TcpStream::connect(to).context("the simulator's page")?;
    let length = body.len();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: {to}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).context("the simulator's answer")?;
    let (_, body) = reply.split_once("\r\n\r\n").context("the simulator's answer is no HTTP")?;
    serde_json::from_str(body).with_context(|| format!("the simulator's answer: {body}"))
}
