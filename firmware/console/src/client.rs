//! The way to `gantry serve`: one line out, one line back.

use crate::protocol::{Ask, Facts, LINE_BYTES, Reply, Where};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Longest wait for a reply: longer than any way that is tried, or bundle that is put together.
const PATIENCE: Duration = Duration::from_secs(180);

/// A connection.
pub struct Client {
    read: BufReader<UnixStream>,
    write: UnixStream,
}

impl Client {
    /// Connects, and says where somebody stands.
    ///
    /// # Errors
    /// If nobody answers, or not as they should.
    pub fn connect(socket: &Path, at: Where) -> Result<Self, String> {
        let open = || -> std::io::Result<Self> {
            let write = UnixStream::connect(socket)?;
            write.set_read_timeout(Some(PATIENCE))?;
            write.set_write_timeout(Some(PATIENCE))?;
            Ok(Self { read: BufReader::new(write.try_clone()?), write })
        };
        let mut client = open()
            .map_err(|error| format!("gantry serve does not answer on {}: {error}", socket.display()))?;
        let reply = client.ask(&Ask::Hello { at })?;
        if reply.is_done() { Ok(client) } else { Err(reply.problems.join("; ")) }
    }

    /// Asks, and waits for the reply.
    ///
    /// # Errors
    /// If the connection broke; another one has to be made then.
    pub fn ask(&mut self, ask: &Ask) -> Result<Reply, String> {
        let line = serde_json::to_string(ask).map_err(|error| error.to_string())?;
        let mut exchange = || -> std::io::Result<String> {
            self.write.write_all(format!("{line}\n").as_bytes())?;
            let mut answer = String::new();
            (&mut self.read).take(LINE_BYTES as u64).read_line(&mut answer)?;
            Ok(answer)
        };
        let answer = exchange().map_err(|error| format!("gantry serve is gone: {error}"))?;
        if answer.is_empty() {
            return Err("gantry serve is gone".to_owned());
        }
        serde_json::from_str(&answer).map_err(|error| format!("gantry serve talks nonsense: {error}"))
    }

    /// What is known of the box.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub fn facts(&mut self) -> Result<Facts, String> {
        let reply = self.ask(&Ask::Facts)?;
        serde_json::from_value(reply.data).map_err(|error| format!("gantry serve talks nonsense: {error}"))
    }
}
