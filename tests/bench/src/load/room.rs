//! A room that calls the gateway: plays an encoded clip and speech as RTP, and keeps what it is sent.

use super::sip::Dialog;
use super::{Beat, PICTURE_TIME, SOUND_TIME};
use crate::settings::{ROOM_BPS, TICKS};
use crate::streams::{self, RtpHeader, RtpWriter};
use anyhow::{Context, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const H264: u8 = 97;
const G722: u8 = 9;
/// Most pictures kept.
const KEEP: usize = 3_000;

/// What a room plays.
#[derive(Clone)]
pub struct Program {
    /// Its access units; empty for a call without pictures.
    pub pictures: Arc<Vec<Vec<Vec<u8>>>>,
    /// G.722 in packets of 20 ms.
    pub sound: Arc<Vec<Vec<u8>>>,
}

/// A picture the room was sent.
#[derive(Debug, Clone)]
pub struct Shown {
    /// When its first packet came.
    pub first: Instant,
    /// When its last packet came.
    pub last: Instant,
    /// RTP timestamp.
    pub timestamp: u32,
    /// Annex B.
    pub data: Vec<u8>,
}

/// What a room has seen and done so far.
#[derive(Debug, Default)]
pub struct Log {
    /// Pictures, oldest first.
    pub shown: Vec<Shown>,
    /// Octets of H.264 received.
    pub picture_bytes: u64,
    /// Packets of sound received.
    pub sounds: u64,
    /// RTP timestamp and number of each picture sent.
    pub sent: Vec<(u32, u32)>,
    /// How often a picture that stands alone was asked for.
    pub keys_asked: u32,
    /// The far side hung up.
    pub hung_up: bool,
}

/// A call of a room. Dropping it hangs up.
pub struct Room {
    log: Arc<Mutex<Log>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// When the INVITE was sent.
    pub dialled: Instant,
    /// From the INVITE to its 200.
    pub answered_after: Duration,
    /// Where it takes pictures.
    pub video: SocketAddr,
    /// Where the gateway takes its pictures.
    pub gateway_video: Option<SocketAddr>,
}

impl Room {
    /// Calls `alias` at `proxy` and plays `program` in a loop until dropped.
    ///
    /// # Errors
    /// If the call is refused.
    pub fn call(proxy: SocketAddr, alias: &str, program: &Program) -> Result<Self> {
        let (audio, audio_rtcp) = pair()?;
        let (video, video_rtcp) = pair()?;
        let offer = offer(&audio, (!program.pictures.is_empty()).then_some(&video))?;
        let dialled = Instant::now();
        let dialog = Dialog::invite(proxy, alias, &offer)?;
        let (log, stop) = (Arc::new(Mutex::new(Log::default())), Arc::new(AtomicBool::new(false)));
        let (answered_after, gateway_video) = (dialog.answered_after, dialog.answer.video);
        let at = video.local_addr()?;
        let player = Player {
            to: (dialog.answer.audio, dialog.answer.video),
            dialog,
            sockets: [audio, audio_rtcp, video, video_rtcp],
            program: program.clone(),
            sound: RtpWriter::new(G722, 0x0a0d_1001),
            picture: RtpWriter::new(H264, 0x0a0d_1002),
            next: 0,
            open: None,
            log: Arc::clone(&log),
        };
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("room".into()).spawn(move || player.run(&stopped))?;
        Ok(Self { log, stop, thread: Some(thread), dialled, answered_after, video: at, gateway_video })
    }

    /// What it has seen.
    pub fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hangs up and waits until that is done.
    pub fn hang_up(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.hang_up();
    }
}

struct Player {
    dialog: Dialog,
    /// Sound, its RTCP, pictures, their RTCP.
    sockets: [UdpSocket; 4],
    to: (Option<SocketAddr>, Option<SocketAddr>),
    program: Program,
    sound: RtpWriter,
    picture: RtpWriter,
    /// The next picture of the clip.
    next: usize,
    /// The picture that is coming in.
    open: Option<Shown>,
    log: Arc<Mutex<Log>>,
}

impl Player {
    fn run(mut self, stop: &AtomicBool) {
        let start = Instant::now();
        let (mut pictures, mut sounds) = (Beat::new(start, PICTURE_TIME), Beat::new(start, SOUND_TIME));
        while !stop.load(Ordering::Relaxed) {
            let now = Instant::now();
            while let Some(n) = pictures.stroke(now) {
                self.send_picture(n);
            }
            while let Some(n) = sounds.stroke(now) {
                self.send_sound(n);
            }
            self.wait(pictures.due().min(sounds.due()));
            self.receive();
            if self.dialog.serve() {
                self.log().hung_up = true;
                return;
            }
        }
        // A gateway that is gone already does not answer.
        drop(self.dialog.bye());
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, until: Instant) {
        let sockets = self.sockets.iter().chain([self.dialog.socket()]);
        let mut polled: Vec<_> =
            sockets.map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)).collect();
        let left = until.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left.as_micros().div_ceil(1_000)).unwrap_or(PollTimeout::ZERO);
        // Interrupted is as good as timed out.
        let _ = poll(&mut polled, timeout);
    }

    fn send_picture(&mut self, n: u32) {
        let Some(to) = self.to.1 else { return };
        let count = self.program.pictures.len();
        let Some(unit) = self.program.pictures.get(self.next) else { return };
        let timestamp = n.wrapping_mul(TICKS);
        for packet in self.picture.picture(timestamp, &streams::h264_payloads(unit)) {
            drop(self.sockets[2].send_to(&packet, to));
        }
        self.log().sent.push((timestamp, self.next as u32));
        self.next = (self.next + 1) % count;
    }

    fn send_sound(&mut self, n: u32) {
        let Some(to) = self.to.0 else { return };
        let Some(payload) = self.program.sound.get(n as usize % self.program.sound.len().max(1)) else {
            return;
        };
        // the clock of G.722 runs at 8000 Hz (RFC 3551 4.5.2)
        let packet = self.sound.packet(n == 0, n.wrapping_mul(160), payload);
        drop(self.sockets[0].send_to(&packet, to));
    }

    fn receive(&mut self) {
        let mut buffer = [0; 2_048];
        while self.sockets[0].recv(&mut buffer).is_ok() {
            self.log().sounds += 1;
        }
        while self.sockets[1].recv(&mut buffer).is_ok() {}
        while let Ok(length) = self.sockets[2].recv(&mut buffer) {
            self.take_picture(Instant::now(), &buffer[..length]);
        }
        while let Ok(length) = self.sockets[3].recv(&mut buffer) {
            if wants_key(&buffer[..length]) {
                self.next = 0;
                self.log().keys_asked += 1;
            }
        }
    }

    fn take_picture(&mut self, now: Instant, packet: &[u8]) {
        let Some(header) = RtpHeader::read(packet) else { return };
        let payload = &packet[header.payload..];
        let open = match self.open.take() {
            Some(open) if open.timestamp == header.timestamp => Some(open),
            Some(open) => {
                self.keep(open);
                None
            }
            None => None,
        };
        let new = || Shown { first: now, last: now, timestamp: header.timestamp, data: Vec::new() };
        let mut open = open.unwrap_or_else(new);
        open.last = now;
        e2e::wire::unpack_h264(payload, &mut open.data);
        self.log().picture_bytes += payload.len() as u64;
        if header.marker {
            self.keep(open);
        } else {
            self.open = Some(open);
        }
    }

    fn keep(&self, shown: Shown) {
        let mut log = self.log();
        if log.shown.len() < KEEP {
            log.shown.push(shown);
        }
    }
}

/// Whether an RTCP packet asks for a picture that stands alone: PLI (RFC 4585) or FIR (RFC 5104).
fn wants_key(mut rest: &[u8]) -> bool {
    while let [first, kind, high, low, ..] = *rest {
        if kind == 206 && matches!(first & 0x1f, 1 | 4) {
            return true;
        }
        let length = 4 * (usize::from(u16::from_be_bytes([high, low])) + 1);
        let Some(next) = rest.get(length..) else { return false };
        rest = next;
    }
    false
}

/// Neighbouring ports for RTP and RTCP.
fn pair() -> Result<(UdpSocket, UdpSocket)> {
    for _ in 0..256 {
        let rtp = UdpSocket::bind("127.0.0.1:0").context("a socket for media")?;
        let port = rtp.local_addr()?.port();
        if port % 2 == 1 || port == u16::MAX {
            continue;
        }
        if let Ok(rtcp) = UdpSocket::bind(("127.0.0.1", port + 1)) {
            rtp.set_nonblocking(true)?;
            rtcp.set_nonblocking(true)?;
            return Ok((rtp, rtcp));
        }
    }
    anyhow::bail!("no two neighbouring ports are free")
}

fn offer(audio: &UdpSocket, video: Option<&UdpSocket>) -> Result<String> {
    let (audio, rate) = (audio.local_addr()?.port(), ROOM_BPS);
    let sound = format!(
        "v=0\r\no=bench 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {audio} RTP/AVP {G722}\r\n\
         a=rtpmap:{G722} G722/8000\r\na=ptime:20\r\n"
    );
    let Some(video) = video else { return Ok(sound) };
    let port = video.local_addr()?.port();
    Ok(format!(
        "{sound}m=video {port} RTP/AVP {H264}\r\nb=TIAS:{rate}\r\na=rtpmap:{H264} H264/90000\r\n\
         a=fmtp:{H264} profile-level-id=42801f;packetization-mode=1\r\na=rtcp-fb:{H264} nack pli\r\n\
         a=rtcp-fb:{H264} ccm fir\r\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_for_a_key_is_found_behind_a_report() {
        let report = [0x80, 201, 0, 1, 0, 0, 0, 1];
        let pli = [0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2];
        assert!(wants_key(&[&report[..], &pli].concat()));
        assert!(!wants_key(&report));
        assert!(!wants_key(&[0x81, 206]) && !wants_key(&[]));
    }
}
