//! A bad network between a room and the gateway: loses, delays and reorders media, in user space.
//!
//! ```text
//!  room ──SIP──▶ relay ──SIP, with the media ports in its SDP exchanged──▶ gateway
//!  room ◀─RTP─▶ room side │ lose, delay │ gateway side ◀─RTP─▶ gateway
//! ```
//! SIP itself passes unharmed. The ports in the SDP are exchanged for others of five digits, so no length changes.

use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::Mutex;

const DATAGRAM: usize = 65_536;

/// How bad the network is now; may be changed while it works.
#[derive(Debug, Default)]
pub struct Weather {
    loss_per_mille: AtomicU32,
    jitter_ms: AtomicU32,
    random: AtomicU64,
    lost: AtomicU64,
    passed: AtomicU64,
}

impl Weather {
    /// From now on `loss_per_mille` of a thousand packets are lost and each is delayed by up to `jitter_ms`, so that they
    /// overtake one another.
    pub fn set(&self, loss_per_mille: u32, jitter_ms: u32) {
        self.loss_per_mille.store(loss_per_mille, Ordering::Relaxed);
        self.jitter_ms.store(jitter_ms, Ordering::Relaxed);
    }

    /// Packets lost and passed so far.
    #[must_use]
    pub fn figures(&self) -> (u64, u64) {
        (self.lost.load(Ordering::Relaxed), self.passed.load(Ordering::Relaxed))
    }

    /// `None` to lose the packet, or how long to keep it.
    fn fate(&self) -> Option<Duration> {
        // A linear congruence is random enough for weather, and the same in each run.
        let step = |state: u64| {
            Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
        };
        let state = self.random.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step).unwrap_or_default();
        let dice = (state >> 33) as u32;
        if dice % 1_000 < self.loss_per_mille.load(Ordering::Relaxed) {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        self.passed.fetch_add(1, Ordering::Relaxed);
        let jitter = self.jitter_ms.load(Ordering::Relaxed);
        Some(Duration::from_millis(u64::from(dice / 1_000 % (jitter + 1))))
    }
}

/// A running relay.
pub struct Relay {
    /// Where the room sends its SIP.
    pub sip: SocketAddr,
    /// The network between the two.
    pub weather: Arc<Weather>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One media socket on each side, and whom it talks to.
struct Line {
    room_side: Arc<UdpSocket>,
    gateway_side: Arc<UdpSocket>,
    room: Arc<Mutex<Option<SocketAddr>>>,
    gateway: Arc<Mutex<Option<SocketAddr>>>,
}

impl Relay {
    /// A relay in front of `gateway`.
    ///
    /// # Errors
    /// If no socket can be had.
    pub async fn start(gateway: SocketAddr) -> Result<Self> {
        let sip_socket = UdpSocket::bind("127.0.0.1:0").await.context("a socket for SIP")?;
        let sip = sip_socket.local_addr()?;
        let weather = Arc::new(Weather::default());
        let mut lines = Vec::new();
        for _ in 0..2 {
            let (room_rtp, room_rtcp) = pair().await?;
            let (gateway_rtp, gateway_rtcp) = pair().await?;
            lines.push(Line::start(room_rtp, gateway_rtp, &weather));
            lines.push(Line::start(room_rtcp, gateway_rtcp, &weather));
        }
        let task = tokio::spawn(signalling(sip_socket, gateway, lines));
        Ok(Self { sip, weather, task })
    }
}

impl Line {
    fn start(room_side: UdpSocket, gateway_side: UdpSocket, weather: &Arc<Weather>) -> Self {
        let line = Self {
            room_side: Arc::new(room_side),
            gateway_side: Arc::new(gateway_side),
            room: Arc::default(),
            gateway: Arc::default(),
        };
        tokio::spawn(carry(
            Arc::clone(&line.room_side),
            Arc::clone(&line.gateway_side),
            Arc::clone(&line.gateway),
            Arc::clone(weather),
        ));
        tokio::spawn(carry(
            Arc::clone(&line.gateway_side),
            Arc::clone(&line.room_side),
            Arc::clone(&line.room),
            Arc::clone(weather),
        ));
        line
    }
}

/// Carries what comes in on `from` out by `by` to whoever is known there, in this weather.
async fn carry(
    from: Arc<UdpSocket>,
    by: Arc<UdpSocket>,
    to: Arc<Mutex<Option<SocketAddr>>>,
    weather: Arc<Weather>,
) {
    let mut buffer = vec![0; DATAGRAM];
    while let Ok((length, _)) = from.recv_from(&mut buffer).await {
        let (Some(to), Some(delay)) = (*to.lock().await, weather.fate()) else { continue };
        let (data, by) = (buffer[..length].to_vec(), Arc::clone(&by));
        if delay.is_zero() {
            drop(by.send_to(&data, to).await);
        } else {
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                drop(by.send_to(&data, to).await);
            });
        }
    }
}

/// An even port and the next, both of five digits.
async fn pair() -> Result<(UdpSocket, UdpSocket)> {
    for _ in 0..256 {
        let even = UdpSocket::bind("127.0.0.1:0").await?;
        let port = even.local_addr()?.port();
        if port % 2 == 0
            && port >= 10_000
            && let Ok(odd) = UdpSocket::bind(("127.0.0.1", port + 1)).await
        {
            return Ok((even, odd));
        }
    }
    anyhow::bail!("no pair of ports is free")
}

/// Passes SIP on, both ways; the room is whoever does not come from the gateway.
async fn signalling(socket: UdpSocket, gateway: SocketAddr, lines: Vec<Line>) {
    let (mut buffer, mut room) = (vec![0; DATAGRAM], None);
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        let to_gateway = from != gateway;
        if to_gateway {
            room = Some(from);
        }
        let message = exchange_ports(&buffer[..length], &lines, to_gateway).await;
        if let Some(to) = if to_gateway { Some(gateway) } else { room } {
            drop(socket.send_to(&message, to).await);
        }
    }
}

/// Writes our ports in place of those in the SDP, and remembers whose they were.
async fn exchange_ports(message: &[u8], lines: &[Line], to_gateway: bool) -> Vec<u8> {
    let text = String::from_utf8_lossy(message);
    let mut out = Vec::new();
    for line in text.split_inclusive('\n') {
        let index = if line.starts_with("m=audio ") { 0 } else { 2 };
        let port =
            line.split(' ').nth(1).filter(|_| line.starts_with("m=audio ") || line.starts_with("m=video "));
        match port.and_then(|port| port.parse::<u16>().ok()).filter(|port| *port >= 10_000) {
            Some(port) => {
                for (offset, one) in lines[index..index + 2].iter().enumerate() {
                    let whose = if to_gateway { &one.room } else { &one.gateway };
                    *whose.lock().await = Some(SocketAddr::from(([127, 0, 0, 1], port + offset as u16)));
                }
                let side = if to_gateway { &lines[index].gateway_side } else { &lines[index].room_side };
                let ours = side.local_addr().map(|local| local.port()).unwrap_or(port);
                out.push(line.replacen(&port.to_string(), &ours.to_string(), 1));
            }
            None => out.push(line.to_owned()),
        }
    }
    out.concat().into_bytes()
}
