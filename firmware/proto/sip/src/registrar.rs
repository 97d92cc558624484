//! The registrar (RFC 3261 section 10): which device is where, and the flow that leads there (RFC 5626's idea).
//!
//! ```text
//!  REGISTER ─▶ check Call-ID and CSeq order, expiry ─▶ add, refresh, remove bindings ─▶ 200 with all of them
//!                 └ 423 too brief, 400 bad *, 500 out of order, 503 full
//! ```
//! A device is its user name: who may use it is decided before a request comes here.

use crate::deadlines::Schedule;
use crate::endpoint::Flow;
use crate::headers::NameAddr;
use crate::message::Request;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Shortest registration taken; shorter ones get 423.
pub const MIN_EXPIRES: u32 = 60;
/// Registration given when none is asked for.
pub const DEFAULT_EXPIRES: u32 = 3600;
/// Longest registration given.
pub const MAX_EXPIRES: u32 = 7200;
/// Most devices.
pub const MAX_DEVICES: usize = 4096;
/// Most contacts of one device.
pub const MAX_BINDINGS: usize = 8;

/// One contact of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The contact as the device wrote it, without `expires`.
    pub contact: NameAddr,
    /// The way its REGISTER came: where calls to it go.
    pub flow: Flow,
    expires_at: Instant,
    call_id: String,
    seq: u32,
}

impl Binding {
    /// Seconds it has left, rounded up.
    #[must_use]
    pub fn remaining(&self, now: Instant) -> u64 {
        let left = self.expires_at.saturating_duration_since(now);
        left.as_secs() + u64::from(left.subsec_nanos() > 0)
    }
}

/// What a REGISTER did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It only asked.
    Fetched,
    /// The device is reachable for this long.
    Registered(Duration),
    /// Its last contact is gone.
    Unregistered,
}

/// Why a REGISTER is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 400: a contact can't be read, or `*` stands with an expiry other than 0.
    #[error("contact is malformed")]
    Malformed,
    /// 423.
    #[error("expiry is below {MIN_EXPIRES} s")]
    TooBrief,
    /// 500: a newer REGISTER of the same Call-ID was seen (10.3 step 7).
    #[error("an older register than one already seen")]
    OutOfOrder,
    /// 503.
    #[error("no room for another device or contact")]
    Full,
}

/// All bindings.
#[derive(Debug, Default)]
pub struct Registrar {
    devices: HashMap<String, Vec<Binding>>,
    numbers: HashMap<u64, String>,
    number_of: HashMap<String, u64>,
    last_number: u64,
    expiries: Schedule<u64>,
}

/// One contact of a request, checked.
struct Wanted {
    contact: NameAddr,
    seconds: u32,
}

impl Registrar {
    /// Takes a REGISTER of `device` that came over `flow`.
    ///
    /// # Errors
    /// [`Refusal`]; then nothing is changed.
    pub fn register(
        &mut self,
        now: Instant,
        device: &str,
        request: &Request,
        flow: Flow,
    ) -> Result<Change, Refusal> {
        self.prune(now, device);
        let call_id = request.headers.call_id().map_err(|_| Refusal::Malformed)?.to_owned();
        let seq = request.headers.cseq().map_err(|_| Refusal::Malformed)?.seq;
        let mut bindings = self.devices.get(device).cloned().unwrap_or_default();
        if request.headers.is_star_contact() {
            if request.headers.expires() != Some(0) {
                return Err(Refusal::Malformed);
            }
            if bindings.iter().any(|binding| binding.call_id == call_id && binding.seq >= seq) {
                return Err(Refusal::OutOfOrder);
            }
            self.store(device, Vec::new());
            return Ok(Change::Unregistered);
        }
        let wanted = wanted(request)?;
        if wanted.is_empty() {
            return Ok(Change::Fetched);
        }
        for Wanted { contact, seconds } in wanted {
            let same = |binding: &Binding| same_contact(&binding.contact, &contact);
            if bindings.iter().any(|b| same(b) && b.call_id == call_id && b.seq >= seq) {
                return Err(Refusal::OutOfOrder);
            }
            bindings.retain(|binding| !same(binding));
            if seconds > 0 {
                let expires_at = now + Duration::from_secs(u64::from(seconds));
                bindings.push(Binding { contact, flow, expires_at, call_id: call_id.clone(), seq });
            }
        }
        let is_new = !self.devices.contains_key(device);
        if bindings.len() > MAX_BINDINGS || (is_new && self.devices.len() >= MAX_DEVICES) {
            return Err(Refusal::Full);
        }
        let longest = bindings.iter().map(|b| b.expires_at.saturating_duration_since(now)).max();
        self.store(device, bindings);
        Ok(longest.map_or(Change::Unregistered, Change::Registered))
    }

    /// The contacts of `device`, the newest last.
    #[must_use]
    pub fn bindings(&self, device: &str) -> &[Binding] {
        self.devices.get(device).map_or(&[], Vec::as_slice)
    }

    /// The newest way to `device`.
    #[must_use]
    pub fn find(&self, now: Instant, device: &str) -> Option<&Binding> {
        self.bindings(device).iter().rev().find(|binding| binding.expires_at > now)
    }

    /// Whether `device` is registered over a flow from the same address as `flow`.
    #[must_use]
    pub fn is_behind(&self, now: Instant, device: &str, flow: Flow) -> bool {
        let same =
            |binding: &&Binding| binding.expires_at > now && binding.flow.remote.ip() == flow.remote.ip();
        self.bindings(device).iter().any(|binding| same(&binding))
    }

    /// How many devices are registered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.devices.len()
    }

    /// Nobody is registered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.devices.is_empty()
    }

    /// When the next binding expires.
    #[must_use]
    pub fn wake(&self) -> Option<Instant> {
        self.expiries.next()
    }

    /// Takes out what expired until `now`, telling each device that is gone altogether.
    pub fn expire(&mut self, now: Instant, mut gone: impl FnMut(&str)) {
        while let Some(number) = self.expiries.take_due(now) {
            let Some(device) = self.numbers.get(&number).cloned() else { continue };
            self.prune(now, &device);
            if !self.devices.contains_key(&device) {
                gone(&device);
            }
        }
    }

    fn prune(&mut self, now: Instant, device: &str) {
        if let Some(bindings) = self.devices.remove(device) {
            let left = bindings.into_iter().filter(|binding| binding.expires_at > now).collect();
            self.store(device, left);
        }
    }

    fn store(&mut self, device: &str, bindings: Vec<Binding>) {
        let next = bindings.iter().map(|binding| binding.expires_at).min();
        match self.number_of.get(device).copied() {
            Some(number) => self.expiries.set(number, next),
            None if next.is_some() => {
                self.last_number += 1;
                self.numbers.insert(self.last_number, device.to_owned());
                self.number_of.insert(device.to_owned(), self.last_number);
                self.expiries.set(self.last_number, next);
            }
            None => {}
        }
        if bindings.is_empty() {
            self.devices.remove(device);
            if let Some(number) = self.number_of.remove(device) {
                self.numbers.remove(&number);
            }
        } else {
            self.devices.insert(device.to_owned(), bindings);
        }
    }
}

/// The contacts of a request with their expiry in seconds: their own, the header's, or ours (10.3 step 7).
fn wanted(request: &Request) -> Result<Vec<Wanted>, Refusal> {
    let contacts = request.headers.contacts().map_err(|_| Refusal::Malformed)?;
    let common = request.headers.expires().unwrap_or(DEFAULT_EXPIRES);
    let check = |mut contact: NameAddr| {
        let own = contact.params.get("expires").map(|text| text.parse().unwrap_or(DEFAULT_EXPIRES));
        let seconds: u32 = own.unwrap_or(common);
        contact.params.remove("expires");
        match seconds {
            0 => Ok(Wanted { contact, seconds }),
            1..MIN_EXPIRES => Err(Refusal::TooBrief),
            _ => Ok(Wanted { contact, seconds: seconds.min(MAX_EXPIRES) }),
        }
    };
    if contacts.len() > MAX_BINDINGS {
        return Err(Refusal::Full);
    }
    contacts.into_iter().map(check).collect()
}

/// A device that changes its address keeps its `+sip.instance` (RFC 5626 4.1), so it takes the place of its old self.
fn same_contact(a: &NameAddr, b: &NameAddr) -> bool {
    let instance = |contact: &NameAddr| contact.params.unquoted("+sip.instance");
    let reg_id = |contact: &NameAddr| contact.params.unquoted("reg-id");
    match (instance(a), instance(b)) {
        (Some(one), Some(other)) => one == other && reg_id(a) == reg_id(b),
        _ => a.uri.equivalent(&b.uri),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Transport;
    use crate::message::Message;

    fn flow(port: u16) -> Flow {
        let remote = std::net::SocketAddr::from(([192, 0, 2, 9], port));
        let local = std::net::SocketAddr::from(([192, 0, 2, 1], 5060));
        Flow { transport: Transport::Udp, local, remote, connection: 0 }
    }

    fn register(call_id: &str, seq: u32, lines: &str) -> Request {
        let text = format!(
            "REGISTER sip:box SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK{seq}\r\nMax-Forwards: 70\r\n\
             From: <sip:room@box>;tag=1\r\nTo: <sip:room@box>\r\nCall-ID: {call_id}\r\nCSeq: {seq} REGISTER\r\n\
             {lines}Content-Length: 0\r\n\r\n"
        );
        match Message::parse(text.as_bytes()) {
            Ok(Message::Request(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_binding_is_added_refreshed_fetched_and_removed() {
        let now = Instant::now();
        let mut registrar = Registrar::default();
        let mut go =
            |seq, lines: &str| registrar.register(now, "room", &register("c", seq, lines), flow(5060));
        let hour = Change::Registered(Duration::from_secs(3600));
        assert_eq!(go(1, "Contact: <sip:room@10.0.0.1>\r\n"), Ok(hour));
        let minute = Change::Registered(Duration::from_secs(60));
        assert_eq!(go(2, "Contact: <sip:room@10.0.0.1>;expires=60\r\n"), Ok(minute));
        assert_eq!(go(3, ""), Ok(Change::Fetched));
        assert_eq!(go(4, "Contact: <sip:room@10.0.0.1>\r\nExpires: 0\r\n"), Ok(Change::Unregistered));
        assert!(registrar.is_empty() && registrar.wake().is_none());
    }

    #[test]
    fn all_bindings_are_removed_by_a_star_with_expiry_zero_alone() {
        let now = Instant::now();
        let mut registrar = Registrar::default();
        let both = "Contact: <sip:room@10.0.0.1>, <sip:room@10.0.0.2>\r\n";
        registrar.register(now, "room", &register("c", 1, both), flow(5060)).unwrap();
        assert_eq!(registrar.bindings("room").len(), 2);
        let star = register("c", 2, "Contact: *\r\n");
        assert_eq!(registrar.register(now, "room", &star, flow(5060)), Err(Refusal::Malformed));
        let star = register("c", 3, "Contact: *\r\nExpires: 0\r\n");
        assert_eq!(registrar.register(now, "room", &star, flow(5060)), Ok(Change::Unregistered));
    }

    #[test]
    fn what_is_too_brief_or_out_of_order_changes_nothing() {
        let now = Instant::now();
        let mut registrar = Registrar::default();
        let brief = register("c", 1, "Contact: <sip:room@10.0.0.1>;expires=30\r\n");
        assert_eq!(registrar.register(now, "room", &brief, flow(5060)), Err(Refusal::TooBrief));
        let good = register("c", 5, "Contact: <sip:room@10.0.0.1>\r\n");
        registrar.register(now, "room", &good, flow(5060)).unwrap();
        let old = register("c", 4, "Contact: <sip:room@10.0.0.1>;expires=0\r\n");
        assert_eq!(registrar.register(now, "room", &old, flow(5060)), Err(Refusal::OutOfOrder));
        assert_eq!(registrar.bindings("room").len(), 1);
    }

    #[test]
    fn a_device_that_is_not_refreshed_expires_and_is_told_once() {
        let now = Instant::now();
        let mut registrar = Registrar::default();
        let request = register("c", 1, "Contact: <sip:room@10.0.0.1>;expires=90\r\n");
        registrar.register(now, "room", &request, flow(5060)).unwrap();
        let end = now + Duration::from_secs(90);
        assert_eq!(registrar.wake(), Some(end));
        let mut gone = Vec::new();
        registrar.expire(end, |device| gone.push(device.to_owned()));
        assert_eq!(gone, ["room"]);
        assert!(registrar.is_empty() && registrar.wake().is_none());
    }

    #[test]
    fn a_device_that_moves_takes_the_place_of_its_old_self() {
        let now = Instant::now();
        let mut registrar = Registrar::default();
        for (seq, ip, port) in [(1, "10.0.0.1", 5060), (2, "10.0.0.2", 40_000)] {
            let line = format!("Contact: <sip:room@{ip}>;+sip.instance=\"<urn:uuid:1>\"\r\n");
            registrar.register(now, "room", &register("c", seq, &line), flow(port)).unwrap();
        }
        assert_eq!(registrar.bindings("room").len(), 1);
        assert_eq!(registrar.find(now, "room").unwrap().flow.remote.port(), 40_000);
    }

    #[test]
    fn the_tables_are_bounded() {
        let now = Instant::now();
        let mut registrar = Registrar::default();
        let contacts: Vec<_> = (0..9).map(|n| format!("<sip:room@10.0.0.{n}>")).collect();
        let line = format!("Contact: {}\r\n", contacts.join(", "));
        let request = register("c", 1, &line);
        assert_eq!(registrar.register(now, "room", &request, flow(5060)), Err(Refusal::Full));
    }
}
