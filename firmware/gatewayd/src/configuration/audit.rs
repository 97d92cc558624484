//! The audit log as documents of the store: `audit/<number>`, each a line of the chain (`domain::appliance::audit`).

use domain::appliance::audit::{Act, Chain, Line};
use domain::appliance::instant::UnixTime;
use std::collections::VecDeque;
use store::{Documents, Edit, Expected, Key};

/// Lines that are kept; the journal has those before them.
pub const AUDIT_KEPT: usize = 10_000;
/// Where they are kept.
const COLLECTION: &str = "audit";

/// The log, with its end.
#[derive(Default)]
pub struct Trail {
    chain: Chain,
    lines: VecDeque<Line>,
    trouble: Option<String>,
}

/// A line that is not written yet.
pub struct Next {
    chain: Chain,
    line: Option<Line>,
}

impl Trail {
    /// The log as it was kept. One that was edited goes on behind its last line, and says where it was.
    pub fn read(documents: &Documents) -> Self {
        let kept = documents.iter().filter(|(key, _)| key.collection() == COLLECTION);
        let texts: Vec<_> =
            kept.map(|(_, document)| String::from_utf8_lossy(&document.body).into_owned()).collect();
        let lines: VecDeque<Line> = texts.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
        match Chain::verify(&texts.concat()) {
            Ok(chain) => Self { chain, lines, trouble: None },
            Err(broken) => {
                let last = texts.last().and_then(|last| Chain::verify(last).ok()).unwrap_or_default();
                Self { chain: last, lines, trouble: Some(broken.to_string()) }
            }
        }
    }

    /// The line for `act`, and the edit that writes it. It is the last one only once it is [`add`](Self::add)ed.
    pub fn line(&self, at: UnixTime, act: &Act) -> (Next, Edit) {
        let mut chain = self.chain.clone();
        let text = chain.append(at, act);
        let line = serde_json::from_str(&text).ok();
        let edit = Edit::put(key(chain.last_number()), Expected::Absent, text.as_bytes());
        (Next { chain, line }, edit)
    }

    /// Takes a line that is on the disk now.
    pub fn add(&mut self, next: Next) {
        self.chain = next.chain;
        self.lines.extend(next.line);
        while self.lines.len() > AUDIT_KEPT {
            self.lines.pop_front();
        }
    }

    /// What removes the line that goes when one more comes.
    pub fn outgrown(&self) -> Option<Edit> {
        let oldest = self.lines.front().filter(|_| self.lines.len() >= AUDIT_KEPT)?;
        Some(Edit::remove(key(oldest.seq), Expected::Anything))
    }

    /// The newest lines before `before`, the newest first.
    pub fn lines(&self, before: Option<u64>, limit: usize) -> Vec<Line> {
        let older = |line: &&Line| before.is_none_or(|before| line.seq < before);
        self.lines.iter().rev().filter(older).take(limit).cloned().collect()
    }

    /// Where it was edited or damaged.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }
}

/// Numbers of equal length, so that they stand in their order.
fn key(number: u64) -> Key {
    #[allow(clippy::expect_used, reason = "a number of twenty digits is an id")]
    Key::new(COLLECTION, &format!("{number:020}")).expect("digits")
}
