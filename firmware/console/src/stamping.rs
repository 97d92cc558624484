//! `gantry prove-stamps`: finds out at start who stamps the packets of each network card, switches the stamps on where the card
//! keeps its word, and writes down who it is and why.

use crate::files;
use crate::look;
use crate::places::Places;
use hal::Label;
use hal::timestamping::{Because, Proof, Prover};
use std::io;
use std::time::{Duration, Instant};

/// How long a link may take to come up.
const LINKS: Duration = Duration::from_secs(20);
/// How often it is looked at meanwhile.
const ROUND: Duration = Duration::from_millis(500);
/// Largest file of proofs.
const FILE_BYTES: usize = 16 * 1024;

/// Proves every card of the box and writes it down, a line a card. A card without a link is tried again for a while.
///
/// # Errors
/// If it cannot be written down.
pub fn run(places: &Places, prover: &mut dyn Prover) -> io::Result<Vec<Proof>> {
    let end = Instant::now() + LINKS;
    let names = look::interface_names(places);
    let mut cards: Vec<Label> = names.iter().filter_map(|name| Label::sanitised(name.as_str())).collect();
    let mut proofs: Vec<Proof> = Vec::new();
    loop {
        for card in std::mem::take(&mut cards) {
            let proof = prover.prove(&card);
            if matches!(proof.because, Because::NotTried { .. }) {
                cards.push(card);
            }
            proofs.retain(|other| other.nic != proof.nic);
            proofs.push(proof);
        }
        proofs.sort_by(|a, b| a.nic.as_str().cmp(b.nic.as_str()));
        let lines: String = proofs.iter().map(|proof| format!("{proof}\n")).collect();
        files::replace(&places.stamping(), &lines, 0o644)?;
        if cards.is_empty() || Instant::now() >= end {
            return Ok(proofs);
        }
        std::thread::park_timeout(ROUND);
    }
}

/// What was found out of the card `nic`: `hardware stamps of ptp0, as ...`.
#[must_use]
pub fn found(places: &Places, nic: &str) -> Option<String> {
    let text = files::read(&places.stamping(), FILE_BYTES).ok()?;
    text.lines().find_map(|line| line.strip_prefix(nic)?.strip_prefix(": ").map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hal::timestamping::{PtpIndex, Timestamping};

    /// A card without a link at first, one that keeps its word, and one that does not.
    struct Cards(u32);

    impl Prover for Cards {
        fn prove(&mut self, nic: &Label) -> Proof {
            self.0 += 1;
            let late = Because::NotTried { error: "the card has no link".to_owned() };
            let ms = Duration::from_millis;
            let (timestamping, because) = match nic.as_str() {
                "lan0" if self.0 == 1 => (Timestamping::Software, late),
                "lan1" => (Timestamping::Software, Because::NeverDelivered { waited: ms(600) }),
                _ => (Timestamping::Hardware(PtpIndex(0)), Because::Delivered { after: ms(1) }),
            };
            Proof { nic: nic.clone(), timestamping, because }
        }
    }

    #[test]
    fn each_card_is_proven_a_late_link_is_waited_for_and_a_lie_is_written_down() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places::below(folder.path());
        for card in ["lan0", "lan1"] {
            std::fs::create_dir_all(places.at("/sys/class/net").join(card).join("device")).unwrap();
        }
        std::fs::create_dir_all(places.answers()).unwrap();
        let proofs = run(&places, &mut Cards(0)).unwrap();
        assert_eq!(proofs.len(), 2);
        let found = |nic| found(&places, nic).unwrap();
        assert_eq!(found("lan0"), "hardware stamps of ptp0, as the card stamped a probe within 1ms");
        assert_eq!(found("lan1"), "software stamps, as the card says it stamps but did not within 600ms");
        assert_eq!(super::found(&places, "lan"), None);
    }
}
