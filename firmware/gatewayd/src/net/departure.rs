//! When packets really leave: stamps of a sample of what is sent (`SO_TIMESTAMPING`, Documentation/networking/timestamping.rst).
//!
//! ```text
//!  sendmmsg ── kernel's queues ──▶ driver ── card's queue ──▶ wire
//!  asked                           software stamp            hardware stamp, in the card's own clock
//! ```
//! Stamps come back on the socket's error queue. A card that does not stamp, or whose stamps are not switched on because it was
//! found to lie, leaves the kernel's stamp alone.

use super::batch::{self, Sent};
use std::os::fd::BorrowedFd;
use std::time::{Duration, SystemTime};

/// One packet of so many is stamped: about one a second of a picture's stream.
const EVERY: u32 = 256;
/// How often a packet's stamps are looked for: they come within a millisecond, two at most, or not at all.
const LOOKS: u8 = 16;

/// What is known of when packets left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Departures {
    /// Packets that the card stamped.
    pub hardware: u64,
    /// Packets that the kernel stamped.
    pub software: u64,
    /// From sending to the kernel's stamp, over all of those: what the kernel's queues took.
    pub queued: Duration,
}

impl Departures {
    /// Adds those of another socket.
    pub fn add(&mut self, other: Self) {
        self.hardware += other.hardware;
        self.software += other.software;
        self.queued += other.queued;
    }

    /// What the kernel's queues took on average.
    #[must_use]
    pub fn mean_queued(&self) -> Option<Duration> {
        let nanos = self.queued.as_nanos().checked_div(u128::from(self.software))?;
        Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}

/// Chooses which packets of a socket are stamped, and reads their stamps.
#[derive(Debug, Default)]
pub struct Sampler {
    sent: u32,
    /// When the packet whose stamps are awaited was sent, since the Unix epoch.
    asked: Duration,
    /// How often its stamps are looked for yet.
    looks: u8,
}

impl Sampler {
    /// Whether the next packet is to be stamped; from now on its stamps are awaited.
    pub fn ask(&mut self) -> bool {
        let due = self.sent == 0;
        if due {
            self.asked = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            self.looks = LOOKS;
        }
        due
    }

    /// So many packets were sent.
    pub fn sent(&mut self, count: usize) {
        let count = u32::try_from(count).unwrap_or(EVERY);
        let sent = self.sent.saturating_add(count);
        self.sent = if sent >= EVERY { 0 } else { sent };
    }

    /// The stamps that came back meanwhile. Nothing is read where none is awaited.
    pub fn collect(&mut self, fd: BorrowedFd<'_>) -> Departures {
        let mut departures = Departures::default();
        let Some(looks) = self.looks.checked_sub(1) else { return departures };
        self.looks = looks;
        let asked = self.asked;
        batch::stamps(fd, |sent| match sent {
            Sent::Hardware(_) => departures.hardware += 1,
            Sent::Software(at) => {
                departures.software += 1;
                // The wall clock may have been stepped in between.
                departures.queued += at.checked_sub(asked).unwrap_or_default().min(Duration::from_secs(1));
            }
        });
        departures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_packet_is_stamped_and_then_one_of_so_many() {
        let mut sampler = Sampler::default();
        let asked: Vec<u32> = (0..EVERY * 2 + 1)
            .filter(|_| {
                let asked = sampler.ask();
                sampler.sent(1);
                asked
            })
            .collect();
        assert_eq!(asked, [0, EVERY, EVERY * 2]);
        sampler.sent(usize::MAX);
        assert!(sampler.ask(), "whatever was sent at once counts as one round");
    }

    #[test]
    fn the_mean_is_over_what_the_kernel_stamped() {
        let mut all = Departures::default();
        assert_eq!(all.mean_queued(), None);
        all.add(Departures { hardware: 2, software: 1, queued: Duration::from_micros(10) });
        all.add(Departures { hardware: 0, software: 1, queued: Duration::from_micros(20) });
        assert_eq!((all.hardware, all.mean_queued()), (2, Some(Duration::from_micros(15))));
    }
}
