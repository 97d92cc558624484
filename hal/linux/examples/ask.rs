//! `ask <socket> <line>`: sends a line to a socket in the file system and prints the line that answers it, for debug images and drills only.
//!
//! ```text
//!  ask /run/gantry/gatewayd.sock '{"get":"status"}'
//! ```

use std::io::{BufRead, BufReader, Error, Write};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Duration;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [socket, line] = &words[..] else {
        eprintln!("ask <socket> <line>");
        return ExitCode::FAILURE;
    };
    match ask(socket, line) {
        Ok(answer) => {
            println!("{}", answer.trim_end());
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("ask: {socket}: {why}");
            ExitCode::FAILURE
        }
    }
}

fn ask(socket: &str, line: &str) -> Result<String, Error> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("{line}\n").as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    Ok(answer)
}
