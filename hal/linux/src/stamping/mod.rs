//! Who stamps packets: what a network card says of itself, whether it does it, and its clock.

mod ethtool;
mod links;
mod phc;
mod probe;

pub use links::Links;
pub use phc::Phc;
pub use probe::{PROBE_PATIENCE, Stamper, stamp_of_probe};

use ethtool::{Card, Link, Offer};
use hal::Label;
use hal::timestamping::{Because, Proof, Prover, PtpIndex, Timestamping};
use std::io;

/// Proves the stamps of the network cards of this box. To switch a card's stamps on needs the right to set up the network
/// (`CAP_NET_ADMIN`); without it, a card that is not switched on already is refused.
#[derive(Debug, Clone, Copy, Default)]
pub struct LinuxProver;

impl Prover for LinuxProver {
    fn prove(&mut self, nic: &Label) -> Proof {
        let (timestamping, because) = match proven(nic) {
            Ok((clock, because @ Because::Delivered { .. })) => (Timestamping::Hardware(clock), because),
            Ok((_, because)) | Err(because) => (Timestamping::Software, because),
        };
        Proof { nic: nic.clone(), timestamping, because }
    }
}

/// The card's clock and what came of its probe, or why none was sent.
fn proven(nic: &Label) -> Result<(PtpIndex, Because), Because> {
    let not_tried = |error: io::Error| Because::NotTried { error: error.to_string() };
    let refused = |error: io::Error| Because::Refused { error: error.to_string() };
    let card = Card::named(nic.as_str()).map_err(not_tried)?;
    let clock = match card.offer().map_err(not_tried)? {
        Offer::HardwareTransmit(clock) => clock,
        Offer::Nothing => return Err(Because::NotOffered),
    };
    if card.link().map_err(not_tried)? == Link::Down {
        return Err(Because::NotTried { error: "the card has no link".to_owned() });
    }
    let before = card.switch_on().map_err(refused)?;
    let because = match stamp_of_probe(nic.as_str(), Stamper::Card, PROBE_PATIENCE) {
        Ok(Some(stamped)) => Because::Delivered { after: stamped.after },
        Ok(None) => Because::NeverDelivered { waited: PROBE_PATIENCE },
        Err(error) => Because::NotTried { error: error.to_string() },
    };
    if !matches!(because, Because::Delivered { .. }) {
        // A card that only says that it stamps is left as it was found.
        drop(card.restore(before));
    }
    Ok((clock, because))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_that_is_not_there_means_software_stamps_and_says_so() {
        let nic = Label::sanitised("nosuch0").unwrap();
        let proof = LinuxProver.prove(&nic);
        assert_eq!(proof.timestamping, Timestamping::Software);
        assert!(
            matches!(&proof.because, Because::NotTried { error } if error.contains("No such device")),
            "{proof}"
        );
        let long = Label::sanitised("a-name-that-no-card-can-have").unwrap();
        assert!(matches!(LinuxProver.prove(&long).because, Because::NotTried { .. }));
    }

    #[test]
    fn the_loopback_offers_no_hardware_stamps() {
        let proof = LinuxProver.prove(&Label::sanitised("lo").unwrap());
        assert_eq!(proof.because, Because::NotOffered);
        assert_eq!(proof.to_string(), "lo: software stamps, as the card does not offer any");
    }
}
