//! A running simulator: its thread, its sockets, and the handle by which tests drive it.

use crate::conference::{Conference, Refusal};
use crate::config::Config;
use crate::jwt::Verifier;
use crate::probe::{ProbeReport, Probes};
use crate::report::{LeaveReason, MeetingInfo, ParticipantInfo, SimEvent};
use crate::server;
use crate::sfu::layers::LayerChoice;
use crate::tls::Identity;
use anyhow::{Context, Result};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use str0m::Input;
use str0m::net::{Protocol, Receive};
use tokio::sync::{Notify, broadcast, oneshot};

/// Events kept for a listener that is slow.
const EVENTS: usize = 4_096;
/// Longest a stop waits for the last words of everybody.
const STOP_WITHIN: Duration = Duration::from_millis(800);

/// A running simulator. Dropping it stops it at once, as [`kill`](Simulator::kill) does.
pub struct Simulator {
    shared: Arc<Shared>,
    addresses: Addresses,
    end: Option<oneshot::Sender<End>>,
    thread: Option<JoinHandle<()>>,
}

/// Where a simulator listens.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// The gateways' interface.
    pub https: SocketAddr,
    /// The page and the control interface.
    pub http: SocketAddr,
    /// All media.
    pub udp: SocketAddr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Clean,
    Sudden,
}

/// What the run loop, the HTTP handlers and the handle share.
pub(crate) struct Shared {
    conference: Mutex<Conference>,
    pub(crate) probes: Mutex<Probes>,
    pub(crate) verifier: Option<Mutex<Verifier>>,
    pub(crate) events: broadcast::Sender<SimEvent>,
    pub(crate) ca_pem: String,
    changed: Notify,
}

impl Shared {
    /// Does `work` on the conference, then sends what came of it.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Conference, Instant) -> T) -> T {
        let result = work(&mut locked(&self.conference), Instant::now());
        self.changed.notify_one();
        result
    }

    /// Tells listeners that a gateway proved itself.
    pub(crate) fn proven(&self, gateway: String, call_id: &str) {
        // Without listeners there is nobody to tell.
        drop(self.events.send(SimEvent::Proven { gateway, call_id: call_id.to_owned() }));
    }

    /// Tells listeners that a join was refused.
    pub(crate) fn refused(&self, meeting: &str, code: &str) {
        let event = SimEvent::Refused { meeting: meeting.to_owned(), code: code.to_owned() };
        self.with(|conference, _| conference.publish(event));
    }

    /// What happened from event number `since` on, and the number of the next.
    pub(crate) fn happened(&self, since: u64) -> (u64, Vec<SimEvent>) {
        locked(&self.conference).happened(since)
    }
}

/// The lock, whoever panicked while holding it: what it guards is valid between any two statements that may panic.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Simulator {
    /// Starts a simulator on a thread of its own; it listens when this returns.
    ///
    /// # Errors
    /// If an address is taken or the configuration can't be used.
    pub fn start(config: Config) -> Result<Self> {
        let bind = |port: u16, what: &str| {
            let address = SocketAddr::new(config.address, port);
            (address, format!("listening on {address} for {what}; choose another port or 0"))
        };
        let (address, problem) = bind(config.https_port, "HTTPS");
        let https = TcpListener::bind(address).context(problem)?;
        let (address, problem) = bind(config.http_port, "HTTP");
        let http = TcpListener::bind(address).context(problem)?;
        let (address, problem) = bind(config.udp_port, "media");
        let udp = UdpSocket::bind(address).context(problem)?;
        https.set_nonblocking(true)?;
        http.set_nonblocking(true)?;
        udp.set_nonblocking(true)?;
        let addresses =
            Addresses { https: https.local_addr()?, http: http.local_addr()?, udp: udp.local_addr()? };
        let identity = Identity::generate(&config.names, config.address)?;
        let verifier = config.gateways.as_ref().map(Verifier::new).transpose()?;
        let (events, _) = broadcast::channel(EVENTS);
        let media = config.media_address.unwrap_or(addresses.udp.ip());
        let media = SocketAddr::new(media, addresses.udp.port());
        let conference = Conference::new(Instant::now(), config, media, events.clone());
        let shared = Arc::new(Shared {
            conference: Mutex::new(conference),
            probes: Mutex::default(),
            verifier: verifier.map(Mutex::new),
            events,
            ca_pem: identity.ca_pem.clone(),
            changed: Notify::new(),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("meet-sim")
            .enable_all()
            .build()
            .context("starting the simulator's runtime")?;
        let (end, ended) = oneshot::channel();
        let inner = shared.clone();
        let thread = std::thread::Builder::new().name("meet-sim".to_owned()).spawn(move || {
            let how = runtime.block_on(serve(inner, identity, https, http, (udp, media), ended));
            match how {
                End::Clean => runtime.shutdown_timeout(Duration::from_millis(500)),
                End::Sudden => runtime.shutdown_background(),
            }
        })?;
        Ok(Self { shared, addresses, end: Some(end), thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// `https://127.0.0.1:<port>`, for gateways.
    #[must_use]
    pub fn https_url(&self) -> String {
        format!("https://{}", self.addresses.https)
    }

    /// `http://127.0.0.1:<port>`, for browsers and for the control interface.
    #[must_use]
    pub fn page_url(&self) -> String {
        format!("http://{}", self.addresses.http)
    }

    /// The page with `meeting` and `name` filled in, joining by itself and measuring.
    #[must_use]
    pub fn probe_url(&self, meeting: &str, name: &str) -> String {
        format!("{}/?meeting={meeting}&name={}&autojoin=1&probe=1", self.page_url(), escaped(name))
    }

    /// The CA that gateways must trust, PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.shared.ca_pem
    }

    /// What happens from now on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<SimEvent> {
        self.shared.events.subscribe()
    }

    /// All meetings.
    #[must_use]
    pub fn meetings(&self) -> Vec<MeetingInfo> {
        self.shared.with(|conference, _| conference.meetings())
    }

    /// Everybody in `meeting`, those in the lobby too, with what they send and are sent.
    #[must_use]
    pub fn participants(&self, meeting: &str) -> Vec<ParticipantInfo> {
        self.shared.with(|conference, now| conference.participants(now, meeting))
    }

    /// The participant of `meeting` that has this name.
    #[must_use]
    pub fn participant_named(&self, meeting: &str, name: &str) -> Option<ParticipantInfo> {
        self.participants(meeting).into_iter().find(|participant| participant.name == name)
    }

    /// Lets `device` in from the lobby; false if it does not wait there.
    pub fn admit(&self, device: &str) -> bool {
        self.shared.with(|conference, now| conference.admit(now, device))
    }

    /// Turns `device` away; false if nobody has this name.
    pub fn reject(&self, device: &str) -> bool {
        self.shared.with(|conference, now| conference.expel(now, device, LeaveReason::Rejected))
    }

    /// Removes `device`; false if nobody has this name.
    pub fn kick(&self, device: &str) -> bool {
        self.shared.with(|conference, now| conference.expel(now, device, LeaveReason::Kicked))
    }

    /// Ends `meeting` for everybody; later joins are told that it is over.
    pub fn end_meeting(&self, meeting: &str) -> bool {
        self.shared.with(|conference, now| conference.end_meeting(now, meeting))
    }

    /// Opens `meeting` again.
    pub fn reopen_meeting(&self, meeting: &str) -> bool {
        self.shared.with(|conference, _| conference.reopen(meeting))
    }

    /// Begins or ends the recording of `meeting`.
    pub fn set_recording(&self, meeting: &str, on: bool) -> bool {
        self.shared.with(|conference, now| conference.set_recording(now, meeting, on))
    }

    /// Switches interoperability of `meeting` on, or off and puts gateways out.
    pub fn set_interop(&self, meeting: &str, on: bool) -> bool {
        self.shared.with(|conference, now| conference.set_interop(now, meeting, on))
    }

    /// The host of `meeting` turns participants' video off, or back on.
    pub fn set_video_lock(&self, meeting: &str, locked: bool) -> bool {
        self.shared.with(|conference, now| conference.set_video_lock(now, meeting, locked))
    }

    /// Chooses which layer of `source` is sent to `device`.
    pub fn set_layer(&self, device: &str, source: &str, layer: LayerChoice) -> bool {
        self.shared.with(|conference, now| conference.set_layer(now, device, source, layer))
    }

    /// What the browser `device` measured so far.
    #[must_use]
    pub fn probe(&self, device: &str) -> Option<ProbeReport> {
        locked(&self.shared.probes).report(device)
    }

    /// The newest picture (PNG) that the browser `device` sees of `remote`.
    #[must_use]
    pub fn snapshot(&self, device: &str, remote: &str) -> Option<Vec<u8>> {
        locked(&self.shared.probes).snapshot(device, remote)
    }

    /// Ends it with a last word to everybody; returns when all sockets are closed.
    pub fn stop(mut self) {
        self.end(End::Clean);
    }

    /// Ends it as a crash would: sockets closed, nobody told.
    pub fn kill(mut self) {
        self.end(End::Sudden);
    }

    fn end(&mut self, how: End) {
        if let Some(end) = self.end.take() {
            // An error means that the thread is gone already.
            let _ = end.send(how);
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.end(End::Sudden);
    }
}

async fn serve(
    shared: Arc<Shared>,
    identity: Identity,
    https: TcpListener,
    http: TcpListener,
    (udp, media): (UdpSocket, SocketAddr),
    ended: oneshot::Receiver<End>,
) -> End {
    let servers = server::Servers::start(&shared, &identity, https, http);
    let media = forward(&shared, udp, media);
    tokio::pin!(media);
    let how = tokio::select! {
        () = &mut media => End::Sudden,
        how = ended => how.unwrap_or(End::Sudden),
    };
    if how == End::Clean {
        shared.with(|conference, now| conference.stop(now));
        let farewell = async {
            while !shared.with(|conference, _| conference.is_empty()) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            () = &mut media => {}
            () = farewell => {}
            () = tokio::time::sleep(STOP_WITHIN) => {}
        }
    }
    servers.end();
    how
}

/// Hands datagrams and the time to the conference, and its packets to the network, for ever. To those in a meeting the
/// socket is at `local`.
async fn forward(shared: &Shared, socket: UdpSocket, local: SocketAddr) {
    const AT_ONCE: usize = 64;
    let Ok(socket) = tokio::net::UdpSocket::from_std(socket) else { return };
    let mut buffer = vec![0; 2_048];
    loop {
        let (wake, outbox) = {
            let mut conference = locked(&shared.conference);
            (conference.tick(Instant::now()), conference.take_outbox())
        };
        for packet in outbox {
            // A full socket buffer drops packets, as networks do.
            let _ = socket.try_send_to(&packet.contents, packet.destination);
        }
        tokio::select! {
            () = tokio::time::sleep_until(wake.into()) => {}
            () = shared.changed.notified() => {}
            ready = socket.readable() => {
                if ready.is_err() {
                    return;
                }
                for _ in 0..AT_ONCE {
                    let Ok((length, source)) = socket.try_recv_from(&mut buffer) else { break };
                    take(shared, &buffer[..length], source, local);
                }
            }
        }
    }
}

fn take(shared: &Shared, datagram: &[u8], source: SocketAddr, local: SocketAddr) {
    let now = Instant::now();
    // What is no STUN, DTLS or SRTP is nobody's.
    if let Ok(receive) = Receive::new(Protocol::Udp, source, local, datagram) {
        locked(&shared.conference).receive(now, Input::Receive(now, receive));
    }
}

impl Refusal {
    /// Code and HTTP status of the `interop` protocol, section 1.
    #[must_use]
    pub fn code(&self) -> (&'static str, u16) {
        match self {
            Refusal::UnknownMeeting => ("MEETING_NOT_FOUND", 404),
            Refusal::Ended => ("MEETING_ENDED", 410),
            Refusal::BadPin => ("BAD_PIN", 403),
            Refusal::InteropOff => ("INTEROP_DISABLED", 403),
            Refusal::VideoLocked => ("VIDEO_LOCKED", 403),
            Refusal::Full => ("MEETING_FULL", 409),
            Refusal::BadOffer(_) => ("BAD_OFFER", 422),
        }
    }
}

fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
