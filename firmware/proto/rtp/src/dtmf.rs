//! Keys as RTP events (RFC 4733): received and sent.
//!
//! ```text
//!  event (8) | E R volume (6) | duration in ticks (16)
//! ```
//!
//! Receiving tells a key at the first packet of it that arrives, whichever that is, and once. Sending makes 100 ms of it,
//! a packet each 20 ms and the last three times, then 60 ms of nothing.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The keys by their event code (RFC 4733 3.2).
const KEYS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D'];
/// Packets of the same key no further apart are the same press, even if the timestamp changed: events longer than the
/// duration field go on so (RFC 4733 2.5.1.3), and some peers stamp each packet anew.
const SAME_PRESS: Duration = Duration::from_millis(120);
/// Most keys waiting to be sent.
const MAX_QUEUE: usize = 64;
const PACKET_EVERY: Duration = Duration::from_millis(20);
/// Packets while the key is down; the last is sent three times.
const PACKETS: u32 = 5;
const END_PACKETS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(60);
/// -10 dBm0.
const VOLUME: u8 = 10;

/// The event code of a key; lower case letters are taken too.
#[must_use]
pub fn event(key: char) -> Option<u8> {
    let key = key.to_ascii_uppercase();
    KEYS.iter().position(|known| *known == key).and_then(|at| u8::try_from(at).ok())
}

/// An event packet's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Event code; 0-15 are keys.
    pub code: u8,
    /// The key was released.
    pub end: bool,
    /// Since the press, in ticks.
    pub duration: u16,
}

/// Reads an event packet's payload. `None` if it is too short.
#[must_use]
pub fn parse(payload: &[u8]) -> Option<Event> {
    let &[code, flags, high, low] = payload.first_chunk::<4>()?;
    Some(Event { code, end: flags & 0x80 != 0, duration: u16::from_be_bytes([high, low]) })
}

impl Event {
    /// The payload of its packet.
    #[must_use]
    pub fn write(self) -> [u8; 4] {
        let [high, low] = self.duration.to_be_bytes();
        [self.code, u8::from(self.end) << 7 | VOLUME, high, low]
    }
}

/// Tells presses from event packets.
#[derive(Debug, Default)]
pub struct Receiver {
    last: Option<Press>,
}

#[derive(Debug, Clone, Copy)]
struct Press {
    code: u8,
    timestamp: u32,
    ended: bool,
    at: Instant,
}

impl Receiver {
    /// Takes an event packet; returns the key if it is a new press.
    pub fn push(&mut self, now: Instant, timestamp: u32, payload: &[u8]) -> Option<char> {
        let event = parse(payload)?;
        let key = KEYS.get(usize::from(event.code));
        if let Some(last) = &mut self.last {
            let newer = timestamp.wrapping_sub(last.timestamp) as i32;
            let recent = now.saturating_duration_since(last.at) < SAME_PRESS;
            let same = newer == 0 || newer > 0 && last.code == event.code && !last.ended && recent;
            if same {
                *last = Press { timestamp, ended: last.ended || event.end, at: now, ..*last };
                return None;
            }
            // a packet of an earlier press that was overtaken
            if newer < 0 && recent {
                return None;
            }
        }
        self.last = Some(Press { code: event.code, timestamp, ended: event.end, at: now });
        key.copied()
    }
}

/// An event packet to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outgoing {
    /// Its payload.
    pub event: Event,
    /// When the key was pressed: the timestamp of all its packets.
    pub pressed: Instant,
    /// The first packet bears the marker.
    pub first: bool,
}

/// Sends keys, one after the other.
#[derive(Debug)]
pub struct Sender {
    clock: u32,
    queue: VecDeque<u8>,
    current: Option<Current>,
    free_at: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Current {
    code: u8,
    pressed: Instant,
    sent: u32,
}

impl Sender {
    /// A sender for an event clock of `clock` Hz.
    #[must_use]
    pub fn new(clock: u32) -> Self {
        Self { clock, queue: VecDeque::new(), current: None, free_at: None }
    }

    /// Its event clock in Hz.
    #[must_use]
    pub fn clock(&self) -> u32 {
        self.clock
    }

    /// Queues a key. `false` if it is none or too many wait.
    pub fn press(&mut self, now: Instant, key: char) -> bool {
        let Some(code) = event(key).filter(|_| self.queue.len() < MAX_QUEUE) else { return false };
        self.queue.push_back(code);
        self.free_at.get_or_insert(now);
        true
    }

    /// Whether a key is being sent: sound pauses meanwhile, so that it is not heard twice.
    #[must_use]
    pub fn is_sending(&self) -> bool {
        self.current.is_some()
    }

    /// The next event packet, if it is due; call until `None`.
    pub fn pop(&mut self, now: Instant) -> Option<Outgoing> {
        if self.poll_at()? > now {
            return None;
        }
        let current = match self.current {
            Some(current) => current,
            None => Current { code: self.queue.pop_front()?, pressed: now, sent: 0 },
        };
        let sent = current.sent + 1;
        let (end, last) = (sent >= PACKETS, sent >= PACKETS + END_PACKETS - 1);
        let lasted = PACKET_EVERY * sent.min(PACKETS);
        let duration = (lasted.as_millis() * u128::from(self.clock) / 1000).min(u128::from(u16::MAX)) as u16;
        self.current = (!last).then_some(Current { sent, ..current });
        if last {
            self.free_at = Some(now + PAUSE);
        }
        let event = Event { code: current.code, end, duration };
        Some(Outgoing { event, pressed: current.pressed, first: sent == 1 })
    }

    /// When the next event packet is due.
    #[must_use]
    pub fn poll_at(&self) -> Option<Instant> {
        match self.current {
            // the end is sent thrice at once (RFC 4733 2.5.1.4 allows any spacing)
            Some(Current { pressed, sent, .. }) => Some(pressed + PACKET_EVERY * sent.min(PACKETS - 1)),
            None if self.queue.is_empty() => None,
            None => self.free_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: Duration = Duration::from_millis(1);

    fn packet(code: u8, end: bool, duration: u16) -> [u8; 4] {
        Event { code, end, duration }.write()
    }

    #[test]
    fn a_key_is_told_once_whatever_is_repeated_or_lost() {
        let (mut receiver, now) = (Receiver::default(), Instant::now());
        // given a press whose first packets were lost and whose end came three times
        assert_eq!(receiver.push(now, 100, &packet(5, false, 480)), Some('5'));
        for _ in 0..3 {
            assert_eq!(receiver.push(now + 20 * MS, 100, &packet(5, true, 800)), None);
        }
        // when the same key is pressed again, even at once, it is told again
        assert_eq!(receiver.push(now + 60 * MS, 1_000, &packet(5, true, 800)), Some('5'));
        // and a packet of the first that was overtaken is not
        assert_eq!(receiver.push(now + 61 * MS, 100, &packet(5, true, 800)), None);
    }

    #[test]
    fn a_key_held_longer_than_the_duration_field_is_one_press() {
        let (mut receiver, now) = (Receiver::default(), Instant::now());
        assert_eq!(receiver.push(now, 0, &packet(11, false, 160)), Some('#'));
        for n in 1..1000_u32 {
            let ticks = n * 160;
            let (segment, duration) = (ticks / 65_535 * 65_535, ticks % 65_535);
            assert_eq!(receiver.push(now + 20 * MS * n, segment, &packet(11, false, duration as u16)), None);
        }
    }

    #[test]
    fn other_events_and_short_packets_are_no_keys() {
        let (mut receiver, now) = (Receiver::default(), Instant::now());
        assert_eq!(receiver.push(now, 0, &packet(16, true, 160)), None);
        assert_eq!(receiver.push(now, 0, &[1, 2, 3]), None);
        assert_eq!([event('d'), event('*'), event('x')], [Some(15), Some(10), None]);
    }

    #[test]
    fn what_is_sent_is_received_in_order_even_if_half_is_lost() {
        for lose in 0..2 {
            let (mut sender, mut receiver, start) = (Sender::new(8_000), Receiver::default(), Instant::now());
            assert!("12#2".chars().all(|key| sender.press(start, key)));
            let (mut heard, mut packets) = (String::new(), 0);
            while let Some(now) = sender.poll_at() {
                let Some(out) = sender.pop(now) else { continue };
                let timestamp = out.pressed.duration_since(start).as_millis() as u32 * 8;
                packets += 1;
                if packets % 2 == lose {
                    heard.extend(receiver.push(now, timestamp, &out.event.write()));
                }
            }
            assert_eq!((heard.as_str(), packets), ("12#2", 4 * (PACKETS + END_PACKETS - 1)));
        }
    }

    #[test]
    fn an_event_lasts_100_ms_with_the_marker_on_its_first_packet() {
        let (mut sender, start) = (Sender::new(48_000), Instant::now());
        sender.press(start, '7');
        let mut out = Vec::new();
        while let Some(now) = sender.poll_at() {
            out.extend(sender.pop(now).map(|o| (now.duration_since(start).as_millis(), o.first, o.event)));
        }
        let e = |end, duration| Event { code: 7, end, duration };
        assert_eq!(out[0], (0, true, e(false, 960)));
        assert_eq!(out[3], (60, false, e(false, 3840)));
        assert_eq!(out[4..], [(80, false, e(true, 4800)); 3]);
        assert!(!sender.press(start, 'x'));
    }

    proptest! {
        #[test]
        fn no_packets_make_it_panic(
            packets in proptest::collection::vec((any::<u32>(), proptest::collection::vec(any::<u8>(), 0..6)), 0..50),
        ) {
            let (mut receiver, now) = (Receiver::default(), Instant::now());
            for (timestamp, payload) in packets {
                receiver.push(now, timestamp, &payload);
            }
        }
    }
}
