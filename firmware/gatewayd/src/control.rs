//! The control socket: a local stream on which tools ask how things are. One JSON object a line, both ways.
//!
//! ```text
//!  {"get":"status"}   ─▶   {"calls":[...],"held":{...},"ended":[...]}
//! ```
//! It is a file that only the daemon's user and group may open; whoever can open it may ask everything.

use crate::engine::event::Event;
use anyhow::{Context, Result};
use domain::status::Snapshot;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

/// Longest question, in bytes.
const QUESTION_BYTES: u64 = 4_096;
/// Longest wait for a question or for a shard's answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Ended calls remembered.
pub const REMEMBERED: usize = 64;

/// How things are.
#[derive(Debug, Default, Serialize)]
pub struct Status {
    /// Calls that stand, as the live view shows them.
    pub live: Snapshot,
    /// The same, one line a call.
    pub calls: Vec<String>,
    /// What is held for calls, by name; all zero when there is none.
    pub held: BTreeMap<&'static str, u64>,
    /// What the protocol keeps for a while after a call: SIP transactions absorb what comes late (RFC 3261 17, 32 s).
    pub lingering: BTreeMap<&'static str, u64>,
    /// Calls that ended, the newest last; at most [`REMEMBERED`].
    pub ended: Vec<EndedCall>,
    /// Mean time from a picture's arrival to what was made of it, in milliseconds.
    pub picture_latency_ms: Option<f64>,
    /// What was counted since the start.
    pub counters: BTreeMap<&'static str, u64>,
}

/// A call that is over.
#[derive(Debug, Clone, Serialize)]
pub struct EndedCall {
    /// Its number.
    pub id: u64,
    /// Why: `Fault/Kind`.
    pub cause: String,
    /// How long it was there, in seconds.
    pub seconds: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    get: Topic,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Topic {
    Status,
}

impl Status {
    /// Adds another shard's.
    fn add(&mut self, other: Status) {
        self.live.conferences.extend(other.live.conferences);
        self.live.unrouted.extend(other.live.unrouted);
        self.calls.extend(other.calls);
        other.held.into_iter().for_each(|(name, count)| *self.held.entry(name).or_default() += count);
        other
            .lingering
            .into_iter()
            .for_each(|(name, count)| *self.lingering.entry(name).or_default() += count);
        other.counters.into_iter().for_each(|(name, count)| *self.counters.entry(name).or_default() += count);
        self.ended.extend(other.ended);
        self.picture_latency_ms = self.picture_latency_ms.or(other.picture_latency_ms);
    }
}

/// Opens the socket at `path`, replacing one that a daemon before left behind.
///
/// # Errors
/// If the file cannot be made.
pub fn open(path: &Path) -> Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot replace {}", path.display()));
        }
        _ => {}
    }
    let listener = UnixListener::bind(path).with_context(|| format!("cannot open {}", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}

/// Answers for ever.
pub async fn serve(listener: UnixListener, shards: Vec<mpsc::Sender<Event>>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let shards = shards.clone();
                tokio::spawn(async move {
                    if let Err(error) = answer(stream, &shards).await {
                        warn!(%error, "control socket");
                    }
                });
            }
            Err(error) => {
                warn!(%error, "control socket");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn answer(stream: UnixStream, shards: &[mpsc::Sender<Event>]) -> Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read.take(QUESTION_BYTES)).lines();
    while let Some(line) =
        tokio::time::timeout(PATIENCE, lines.next_line()).await.context("no question came")??
    {
        let mut answer = match serde_json::from_str::<Question>(&line) {
            Ok(Question { get: Topic::Status }) => serde_json::to_vec(&status(shards).await)?,
            Err(error) => serde_json::to_vec(&BTreeMap::from([(
                "error",
                format!("{line:?} is no question ({error}); ask {{\"get\":\"status\"}}"),
            )]))?,
        };
        answer.push(b'\n');
        write.write_all(&answer).await?;
        lines.get_mut().get_mut().set_limit(QUESTION_BYTES);
    }
    Ok(())
}

/// What all shards say together; one that does not answer in time is left out.
async fn status(shards: &[mpsc::Sender<Event>]) -> Status {
    let mut all = Status::default();
    for shard in shards {
        let (ask, told) = oneshot::channel();
        if shard.send(Event::Ask(ask)).await.is_ok()
            && let Ok(Ok(status)) = tokio::time::timeout(PATIENCE, told).await
        {
            all.add(status);
        }
    }
    all
}
