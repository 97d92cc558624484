//! Calls that are over: the newest in memory, and on the disk a line each, in two files that take turns.

use domain::history::CallRecord;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tracing::warn;

/// Records that are shown.
const KEPT: usize = 10_000;
/// A file this large is put away, and the one put away before is gone.
const FILE_BYTES: u64 = 16 * 1024 * 1024;
/// Longest line that is read, in bytes.
const LINE_BYTES: usize = 64 * 1024;

/// The history.
pub struct History(Mutex<Inner>);

struct Inner {
    folder: PathBuf,
    records: VecDeque<CallRecord>,
    next: u64,
    file: Option<File>,
}

impl History {
    /// What is kept in `folder`. What can't be read of it is left out, and told.
    #[must_use]
    pub fn open(folder: &Path) -> Self {
        let mut records = VecDeque::new();
        for name in ["calls.old.jsonl", "calls.jsonl"] {
            read(&folder.join(name), &mut records);
        }
        let next = records.back().map_or(1, |record: &CallRecord| record.seq + 1);
        Self(Mutex::new(Inner { folder: folder.to_owned(), records, next, file: None }))
    }

    /// Keeps one more.
    pub fn add(&self, mut record: CallRecord) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        record.seq = inner.next;
        inner.next += 1;
        if let Err(error) = inner.write(&record) {
            // It is still shown until the next start.
            warn!(%error, "the call history could not be written");
        }
        inner.records.push_back(record);
        if inner.records.len() > KEPT {
            inner.records.pop_front();
        }
    }

    /// The newest before `before`, the newest first.
    #[must_use]
    pub fn newest(&self, before: Option<u64>, limit: usize) -> Vec<CallRecord> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let older = |record: &&CallRecord| before.is_none_or(|before| record.seq < before);
        inner.records.iter().rev().filter(older).take(limit).cloned().collect()
    }
}

impl Inner {
    fn write(&mut self, record: &CallRecord) -> std::io::Result<()> {
        let path = self.folder.join("calls.jsonl");
        if self.file.as_ref().is_some_and(|file| file.metadata().is_ok_and(|meta| meta.len() >= FILE_BYTES)) {
            self.file = None;
            std::fs::rename(&path, self.folder.join("calls.old.jsonl"))?;
        }
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        let mut file = match self.file.take() {
            Some(file) => file,
            None => {
                let file = OpenOptions::new().create(true).append(true).read(true).open(&path)?;
                // Half a line that a power cut left is ended, so that the next one is whole.
                line.insert(0, b'\n');
                file
            }
        };
        file.write_all(&line)?;
        self.file = Some(file);
        Ok(())
    }
}

fn read(path: &Path, records: &mut VecDeque<CallRecord>) {
    let Ok(file) = File::open(path) else { return };
    let mut unreadable = 0_usize;
    for line in BufReader::new(file).split(b'\n').map_while(Result::ok) {
        match serde_json::from_slice(&line) {
            _ if line.is_empty() => {}
            Ok(record) if line.len() <= LINE_BYTES => records.push_back(record),
            _ => unreadable += 1,
        }
        if records.len() > KEPT {
            records.pop_front();
        }
    }
    if unreadable > 0 {
        // A power cut leaves half a line.
        warn!(path = %path.display(), unreadable, "lines of the call history could not be read");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(caller: &str) -> CallRecord {
        serde_json::from_value(serde_json::json!({
            "began": "2026-11-27T10:00:00Z", "ended": "2026-11-27T10:01:00Z", "seconds": 60.0, "fault": "Caller", "cause": "HungUp",
            "call": {
                "id": 1, "state": "ended", "age_s": 60, "alias": "1@m.example", "caller": caller, "display_name": null, "rule": "meetings",
                "layout": "1+7", "legs": [], "participants": [],
            },
        }))
        .unwrap()
    }

    #[test]
    fn a_history_goes_on_after_a_restart_and_half_a_line() {
        // Given a history of three, whose last line was cut.
        let folder = tempfile::tempdir().unwrap();
        let history = History::open(folder.path());
        for caller in ["a", "b", "c"] {
            history.add(record(caller));
        }
        let path = folder.path().join("calls.jsonl");
        let text = std::fs::read(&path).unwrap();
        std::fs::write(&path, &text[..text.len() - 20]).unwrap();
        // When it is opened anew and goes on.
        let history = History::open(folder.path());
        history.add(record("d"));
        // Then what was whole is there, and numbers go on.
        let newest = history.newest(None, 10);
        let seen: Vec<_> = newest.iter().map(|r| (r.seq, r.call.caller.clone().unwrap())).collect();
        assert_eq!(seen, [(3, "d".to_owned()), (2, "b".to_owned()), (1, "a".to_owned())]);
        assert_eq!(history.newest(Some(3), 1)[0].seq, 2);
        assert_eq!(History::open(folder.path()).newest(None, 10), newest);
    }
}
