//! Who stamps packets with their time: the network card, or the kernel where the card does not, or only says it does.

use crate::{DeviceError, Label};
use std::fmt;
use std::time::Duration;

/// Who stamps the packets of a network card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timestamping {
    /// The card, by its own clock.
    Hardware(PtpIndex),
    /// The kernel.
    Software,
}

/// Which clock: the N of `/dev/ptpN`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PtpIndex(pub u32);

/// What was found out about a card at start, by sending a packet through it and waiting for its stamp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Which card.
    pub nic: Label,
    /// Who stamps its packets from now on.
    pub timestamping: Timestamping,
    /// Why that.
    pub because: Because,
}

/// Why packets are stamped by whom they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Because {
    /// The card stamped the probe.
    Delivered {
        /// So long after it was sent.
        after: Duration,
    },
    /// The card does not say that it can.
    NotOffered,
    /// The card says that it can, but would not be switched on.
    Refused {
        /// What the system says.
        error: String,
    },
    /// The card says that it can, was switched on, and did not stamp the probe.
    NeverDelivered {
        /// So long was waited.
        waited: Duration,
    },
    /// No probe could be sent: the card has no link or no address, or is not there.
    NotTried {
        /// What the system says.
        error: String,
    },
}

/// Finds out who stamps a card's packets.
pub trait Prover: Send {
    /// Sends a probe through `nic` and waits for its stamp, at most for a second. Never an error: what goes wrong means
    /// software stamps, and the reason says what it was.
    fn prove(&mut self, nic: &Label) -> Proof;
}

/// The clock of a network card.
pub trait PtpClock: Send {
    /// Which one.
    fn index(&self) -> PtpIndex;

    /// Its time, since its own epoch (TAI or just power on, as its maker likes).
    ///
    /// # Errors
    /// If it does not answer.
    fn now(&mut self) -> Result<Duration, DeviceError>;

    /// How far it is from the system's clock.
    ///
    /// # Errors
    /// If it does not answer.
    fn offset(&mut self) -> Result<Offset, DeviceError>;
}

/// How far a clock is from the system's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offset {
    /// The clock's time minus the system's, in nanoseconds.
    pub nanos: i64,
    /// How long it took to read both; the offset is true to half of it.
    pub window: Duration,
}

impl Offset {
    /// What the system's clock said when this clock said `at`.
    #[must_use]
    pub fn to_system(self, at: Duration) -> Duration {
        let shift = Duration::from_nanos(self.nanos.unsigned_abs());
        if self.nanos < 0 { at.saturating_add(shift) } else { at.saturating_sub(shift) }
    }
}

impl fmt::Display for PtpIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ptp{}", self.0)
    }
}

impl fmt::Display for Proof {
    /// `eth0: software stamps, as the card says it stamps but did not within 500ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { nic, timestamping, because } = self;
        match timestamping {
            Timestamping::Hardware(clock) => write!(f, "{nic}: hardware stamps of {clock}, as ")?,
            Timestamping::Software => write!(f, "{nic}: software stamps, as ")?,
        }
        match because {
            Because::Delivered { after } => write!(f, "the card stamped a probe within {after:?}"),
            Because::NotOffered => f.write_str("the card does not offer any"),
            Because::Refused { error } => write!(f, "the card would not be switched on: {error}"),
            Because::NeverDelivered { waited } => {
                write!(f, "the card says it stamps but did not within {waited:?}")
            }
            Because::NotTried { error } => write!(f, "no probe could be sent: {error}"),
        }
    }
}

/// A prover that finds what a test told it to.
#[derive(Debug, Clone)]
pub struct FakeProver {
    /// Who stamps.
    pub timestamping: Timestamping,
    /// Why.
    pub because: Because,
}

impl Prover for FakeProver {
    fn prove(&mut self, nic: &Label) -> Proof {
        Proof { nic: nic.clone(), timestamping: self.timestamping, because: self.because.clone() }
    }
}

/// A clock that stands where a test put it.
#[derive(Debug, Clone, Copy)]
pub struct FakePtpClock {
    /// Which one.
    pub index: PtpIndex,
    /// What it says.
    pub now: Duration,
    /// How far from the system's clock it says it is.
    pub offset: Offset,
}

impl PtpClock for FakePtpClock {
    fn index(&self) -> PtpIndex {
        self.index
    }

    fn now(&mut self) -> Result<Duration, DeviceError> {
        Ok(self.now)
    }

    fn offset(&mut self) -> Result<Offset, DeviceError> {
        Ok(self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_brought_to_the_systems_time_both_ways() {
        let at = Duration::from_secs(1000);
        let offset = |nanos| Offset { nanos, window: Duration::ZERO };
        assert_eq!(offset(37_000_000_000).to_system(at), Duration::from_secs(963));
        assert_eq!(offset(-5_000_000_000).to_system(at), Duration::from_secs(1005));
        assert_eq!(offset(i64::MAX).to_system(at), Duration::ZERO, "nonsense saturates");
        assert!(offset(i64::MIN).to_system(Duration::MAX) == Duration::MAX);
    }

    #[test]
    fn a_proof_says_who_stamps_and_why() {
        let lied = FakeProver {
            timestamping: Timestamping::Software,
            because: Because::NeverDelivered { waited: Duration::from_millis(500) },
        };
        let mut prover: Box<dyn Prover> = Box::new(lied);
        let proof = prover.prove(&Label::sanitised("eth0").unwrap());
        assert_eq!(
            proof.to_string(),
            "eth0: software stamps, as the card says it stamps but did not within 500ms"
        );
    }
}
