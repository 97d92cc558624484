//! Who did what to the box: one JSON object a line, each with the digest of the one before, so that an edit is seen.
//!
//! ```text
//!  {"seq":7,"at":"2026-11-26T17:12:03Z","by":"serial","act":"confirm","outcome":"done","detail":[...],"before":"9f..","sum":"41.."}
//! ```
//! `sum` is SHA-256 over the line without it; `before` is the `sum` of the line before. A cut at the end cannot be seen in
//! the lines alone: the journal has the same lines, and the console shows the last number.

use super::digest::sha256_hex;
use super::instant::UnixTime;
use serde::{Deserialize, Serialize};

/// Longest line that is read, in bytes.
pub const LINE_BYTES: usize = 16 * 1024;
/// Most details of one act that are kept, and most characters of each.
const DETAILS: usize = 64;
const DETAIL_CHARS: usize = 200;
/// What the first line has before it.
const BEGINNING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// An act, before it has its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// Who: `serial`, `panel`, `command`, `box`.
    pub by: String,
    /// What: `claim`, `apply`, `reboot`.
    pub act: String,
    /// What came of it: `done`, or why not.
    pub outcome: String,
    /// What exactly, line by line; never a secret.
    pub detail: Vec<String>,
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Its number, from 1.
    pub seq: u64,
    /// When, by the box's clock, which may have been wrong.
    pub at: String,
    /// Who.
    pub by: String,
    /// What.
    pub act: String,
    /// What came of it.
    pub outcome: String,
    /// What exactly.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub detail: Vec<String>,
    /// The sum of the line before.
    pub before: String,
    /// The sum of this one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sum: String,
}

/// Where the log goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    seq: u64,
    last: String,
}

/// A log that was damaged or edited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the audit log {what}: it was damaged or edited")]
pub struct Broken {
    /// Which line of the text, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

impl Default for Chain {
    fn default() -> Self {
        Self { seq: 0, last: BEGINNING.to_owned() }
    }
}

impl Chain {
    /// The last line's number; 0 before the first.
    #[must_use]
    pub fn last_number(&self) -> u64 {
        self.seq
    }

    /// The line for `act`, with its line feed; it is the last one now.
    pub fn append(&mut self, at: UnixTime, act: &Act) -> String {
        let tidy = |text: &str| -> String {
            text.chars().take(DETAIL_CHARS).map(|c| if c.is_control() { '?' } else { c }).collect()
        };
        let mut line = Line {
            seq: self.seq + 1,
            at: at.to_string(),
            by: tidy(&act.by),
            act: tidy(&act.act),
            outcome: tidy(&act.outcome),
            detail: act.detail.iter().take(DETAILS).map(|detail| tidy(detail)).collect(),
            before: self.last.clone(),
            sum: String::new(),
        };
        line.sum = line.digest();
        (self.seq, self.last) = (line.seq, line.sum.clone());
        let mut text = serde_json::to_string(&line).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Where the log goes on after `text`, which may begin in the middle of the chain: what was before it is in an older
    /// file.
    ///
    /// # Errors
    /// The first line that is not what it was.
    pub fn verify(text: &str) -> Result<Self, Broken> {
        let mut chain: Option<Self> = None;
        for (index, raw) in text.lines().enumerate() {
            let broken = |what| Broken { line: index + 1, what };
            if raw.len() > LINE_BYTES {
                return Err(broken("is too long"));
            }
            let line: Line = serde_json::from_str(raw).map_err(|_| broken("is no line of it"))?;
            if line.digest() != line.sum {
                return Err(broken("is not what was written"));
            }
            let follows = match &chain {
                Some(chain) => line.before == chain.last && line.seq == chain.seq + 1,
                None => line.seq > 1 || line.before == BEGINNING,
            };
            if !follows {
                return Err(broken("does not follow the one before"));
            }
            chain = Some(Self { seq: line.seq, last: line.sum });
        }
        if !text.is_empty() && !text.ends_with('\n') {
            return Err(Broken { line: text.lines().count(), what: "has no end" });
        }
        Ok(chain.unwrap_or_default())
    }
}

impl Line {
    fn digest(&self) -> String {
        let bare = Self { sum: String::new(), ..self.clone() };
        sha256_hex(&[&serde_json::to_string(&bare).unwrap_or_default()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn act(what: &str) -> Act {
        Act {
            by: "serial".into(),
            act: what.into(),
            outcome: "done".into(),
            detail: vec!["eth0.ipv4: dhcp -> off".into()],
        }
    }

    fn log(acts: &[&str]) -> String {
        let mut chain = Chain::default();
        acts.iter().enumerate().map(|(i, what)| chain.append(UnixTime(i as u64), &act(what))).collect()
    }

    #[test]
    fn a_log_verifies_and_goes_on_where_it_ended() {
        let text = log(&["claim", "apply", "confirm"]);
        let mut chain = Chain::verify(&text).unwrap();
        assert_eq!(chain.last_number(), 3);
        let longer = text.clone() + &chain.append(UnixTime(9), &act("reboot"));
        assert_eq!(Chain::verify(&longer).unwrap().last_number(), 4);
        assert_eq!(Chain::verify("").unwrap(), Chain::default());
        let newer_file: String = longer.lines().skip(2).map(|line| format!("{line}\n")).collect();
        assert_eq!(Chain::verify(&newer_file), Chain::verify(&longer));
    }

    #[test]
    fn an_edit_a_swap_and_a_gap_are_seen() {
        let text = log(&["claim", "apply", "confirm", "reboot"]);
        let lines: Vec<&str> = text.lines().collect();
        let join = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        let edited = text.replacen("\"by\":\"serial\"", "\"by\":\"nobody\"", 1);
        assert_eq!(Chain::verify(&edited), Err(Broken { line: 1, what: "is not what was written" }));
        let gap = join(&[lines[0], lines[1], lines[3]]);
        assert_eq!(Chain::verify(&gap), Err(Broken { line: 3, what: "does not follow the one before" }));
        let swapped = join(&[lines[0], lines[2], lines[1], lines[3]]);
        assert!(Chain::verify(&swapped).is_err());
        let cut = &text[..text.len() - 1];
        assert_eq!(Chain::verify(cut).unwrap_err().what, "has no end");
    }

    #[test]
    fn what_was_typed_cannot_make_a_line_of_its_own() {
        let mut chain = Chain::default();
        let evil = Act {
            outcome: "x\n{\"seq\":2}\u{1b}[2J".into(),
            detail: vec!["y".repeat(9_999); 999],
            ..act("z")
        };
        let line = chain.append(UnixTime(0), &evil);
        assert_eq!(line.lines().count(), 1);
        assert!(line.len() < LINE_BYTES && !line.contains('\u{1b}'));
        assert!(Chain::verify(&line).is_ok());
    }

    proptest! {
        #[test]
        fn whatever_one_letter_becomes_it_is_seen(at in any::<proptest::sample::Index>(), with in any::<char>()) {
            let text = log(&["claim", "apply", "confirm"]);
            let at = at.index(text.len() - 1);
            let edited: String = text.char_indices().map(|(i, c)| if i == at { with } else { c }).collect();
            prop_assume!(edited != text);
            prop_assert!(Chain::verify(&edited).is_err());
        }
    }
}
