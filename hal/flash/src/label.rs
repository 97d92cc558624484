//! The label of a box: for people, and for whoever photographs it.

use crate::identity::Identity;
use qrcode::QrCode;
use qrcode::render::{svg, unicode};

/// A label, in the forms it is left in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// `label.txt`.
    pub text: String,
    /// `label.svg`: what a camera reads.
    pub svg: String,
    /// The same for a terminal that has Unicode.
    pub terminal: String,
}

impl Label {
    /// Of a box with the board's name and the release that was written.
    ///
    /// # Errors
    /// If there is more to say than a code holds.
    pub fn new(board: &str, who: &Identity, version: &str) -> Result<Self, String> {
        let Identity { serial, code } = who;
        let said = format!("GANTRY:SN={serial};CLAIM={code};BOARD={board}");
        let drawn = QrCode::new(said).map_err(|error| format!("the label's code: {error}"))?;
        Ok(Self {
            text: format!("Gantry  {board}\nS/N     {serial}\nClaim   {code}\nRelease {version}\n"),
            svg: drawn.render::<svg::Color<'_>>().min_dimensions(200, 200).build(),
            terminal: drawn.render::<unicode::Dense1x2>().build(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_says_who_the_box_is_and_what_claims_it() {
        let who = Identity { serial: "GX0001".into(), code: "1234-5678".into() };
        let label = Label::new("x86-rack", &who, "0.1.0").unwrap();
        assert_eq!(label.text, "Gantry  x86-rack\nS/N     GX0001\nClaim   1234-5678\nRelease 0.1.0\n");
        assert!(label.svg.starts_with("<?xml") && label.terminal.lines().count() > 10);
    }
}
