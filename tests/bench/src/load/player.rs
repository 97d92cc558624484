//! Plays encoded pictures as plain RTP to a peer, on the beat, and remembers which picture had which timestamp.

use super::{Beat, PICTURE_TIME};
use crate::settings::TICKS;
use crate::streams::RtpWriter;
use anyhow::{Context, Result};
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// One stream: the payloads of each picture, and where they go.
pub struct Track {
    /// Payloads of each picture of a clip that is played in a loop.
    pub pictures: Vec<Vec<Vec<u8>>>,
    /// Payload type.
    pub payload_type: u8,
    /// Where they go.
    pub to: SocketAddr,
}

/// A running player. Dropping it stops it.
pub struct Player {
    stop: Arc<AtomicBool>,
    sent: Arc<Mutex<Vec<(u32, u32)>>>,
    thread: Option<JoinHandle<()>>,
    /// The ports it sends from, in the order of the tracks.
    pub ports: Vec<u16>,
}

impl Player {
    /// Plays `tracks`, each a little after the one before, as senders that know nothing of each other do.
    ///
    /// # Errors
    /// If there are no sockets or threads.
    pub fn start(tracks: Vec<Track>) -> Result<Self> {
        let sockets = tracks.iter().map(|_| UdpSocket::bind("127.0.0.1:0")).collect::<Result<Vec<_>, _>>();
        let sockets = sockets.context("sockets to play from")?;
        let ports =
            sockets.iter().map(|socket| Ok(socket.local_addr()?.port())).collect::<Result<Vec<_>>>()?;
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (stopped, log) = (Arc::clone(&stop), Arc::clone(&sent));
        let thread = std::thread::Builder::new()
            .name("player".into())
            .spawn(move || play(&tracks, &sockets, &stopped, &log))?;
        Ok(Self { stop, sent, thread: Some(thread), ports })
    }

    /// RTP timestamp and number of each picture of the first track that was sent.
    #[must_use]
    pub fn sent(&self) -> Vec<(u32, u32)> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// How much later than the one before it a track begins; not a part of the time between two pictures.
pub const APART: Duration = Duration::from_micros(3_700);

fn play(tracks: &[Track], sockets: &[UdpSocket], stop: &AtomicBool, log: &Mutex<Vec<(u32, u32)>>) {
    let start = Instant::now();
    let writer = |(n, track): (usize, &Track)| {
        let beat = Beat::new(start + APART * n as u32, PICTURE_TIME);
        (RtpWriter::new(track.payload_type, 0x0b00_0000 + n as u32), beat)
    };
    let mut writers: Vec<_> = tracks.iter().enumerate().map(writer).collect();
    while !stop.load(Ordering::Relaxed) {
        let now = Instant::now();
        for (n, ((track, socket), (writer, beat))) in tracks.iter().zip(sockets).zip(&mut writers).enumerate()
        {
            while let Some(stroke) = beat.stroke(now) {
                let number = stroke as usize % track.pictures.len();
                let timestamp = stroke.wrapping_mul(TICKS);
                for packet in writer.picture(timestamp, &track.pictures[number]) {
                    drop(socket.send_to(&packet, track.to));
                }
                if n == 0 {
                    log.lock().unwrap_or_else(PoisonError::into_inner).push((timestamp, number as u32));
                }
            }
        }
        let due = writers.iter().map(|(_, beat)| beat.due()).min().unwrap_or(now);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}
