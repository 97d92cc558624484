//! Asks the gateway's control socket: one JSON object a line, both ways (see `gatewayd`'s `control`).

use crate::world::{GatewayState, Taking};
use domain::appliance::access::PasswordHash;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Longest answer that is read, in bytes.
const ANSWER_BYTES: u64 = 4 * 1024 * 1024;
/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who administers the box by its page, with the password of its console.
pub const ADMINISTRATOR: &str = "admin";

/// Asks `question` and hands back the answer.
///
/// # Errors
/// If nobody answers in time, or not with an object.
pub fn ask(socket: &Path, question: &Value) -> Result<Value, String> {
    let said = || -> std::io::Result<String> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(format!("{question}\n").as_bytes())?;
        let mut line = String::new();
        BufReader::new(stream.take(ANSWER_BYTES)).read_line(&mut line)?;
        Ok(line)
    };
    let line = said().map_err(|error| format!("the gateway does not answer: {error}"))?;
    let answer: Value = serde_json::from_str(&line).map_err(|_| "the gateway's answer is none".to_owned())?;
    match answer.get("error").and_then(Value::as_str) {
        Some(error) => Err(format!("the gateway refuses: {error}")),
        None => Ok(answer),
    }
}

/// How the gateway is.
///
/// # Errors
/// As [`ask`].
pub fn state(socket: &Path) -> Result<GatewayState, String> {
    let status = ask(socket, &json!({ "get": "status" }))?;
    Ok(read(&status))
}

/// Tells the gateway to take no new calls.
///
/// # Errors
/// As [`ask`].
pub fn drain(socket: &Path) -> Result<(), String> {
    ask(socket, &json!({ "do": "drain" })).map(drop)
}

/// Tells the gateway to hear `address` again.
///
/// # Errors
/// As [`ask`].
pub fn forgive(socket: &Path, address: IpAddr) -> Result<(), String> {
    ask(socket, &json!({ "do": { "forgive": address } })).map(drop)
}

/// Tells the gateway who administers it: `admin`, with the password whose hash this is. Telling it again changes nothing.
///
/// # Errors
/// As [`ask`].
pub fn administrator(socket: &Path, hash: &PasswordHash) -> Result<(), String> {
    let user = json!({ "name": ADMINISTRATOR, "hash": hash.expose(), "role": "administrator" });
    ask(socket, &json!({ "do": { "user": user } })).map(drop)
}

fn read(status: &Value) -> GatewayState {
    let calls = status.get("calls").and_then(Value::as_array).into_iter().flatten();
    let blocked = status.get("blocked").and_then(Value::as_array).into_iter().flatten();
    let drained = status.get("taking").and_then(Value::as_str) == Some("nothing");
    GatewayState {
        calls: calls.filter_map(|call| call.as_str().map(tidy)).take(256).collect(),
        blocked: blocked.filter_map(blocked_line).take(256).collect(),
        taking: if drained { Taking::Nothing } else { Taking::Calls },
    }
}

/// Who is blocked, why, and for how long.
fn blocked_line(blocked: &Value) -> Option<String> {
    let text = |field: &str| blocked.get(field).and_then(Value::as_str).map(tidy);
    let number = |field: &str| blocked.get(field).and_then(Value::as_u64);
    let (source, why) = (text("source")?, text("why")?);
    Some(format!("{source}: {why}, {} dropped, for {} s", number("dropped")?, number("seconds")?))
}

/// A line of another program, fit for a terminal.
fn tidy(text: &str) -> String {
    text.chars().take(300).map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    /// A gateway that answers each question with the next of `answers`.
    fn gateway(answers: &'static [&'static str]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gatewayd.sock");
        let listener = UnixListener::bind(&path).unwrap();
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut line = String::new();
                BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        (folder, path)
    }

    #[test]
    fn a_gateway_tells_its_calls_and_whether_it_takes_more() {
        let (_folder, path) = gateway(&[
            "{\"calls\":[\"call-1 room\\u001b[2J: connected\"],\"taking\":\"nothing\",\"more\":1}\n",
        ]);
        let state = state(&path).unwrap();
        assert_eq!(state.calls, ["call-1 room?[2J: connected"]);
        assert_eq!(state.taking, Taking::Nothing);
    }

    #[test]
    fn who_is_blocked_is_told_in_a_line_and_heard_again_on_request() {
        let (_folder, path) = gateway(&[
            "{\"blocked\":[{\"source\":\"192.0.2.1 (datagrams)\",\"why\":\"wrong aliases\",\"dropped\":23,\
             \"seconds\":598},{\"source\":7}]}\n",
            "{\"done\":\"forgive\"}\n",
        ]);
        let blocked = state(&path).unwrap().blocked;
        assert_eq!(blocked, ["192.0.2.1 (datagrams): wrong aliases, 23 dropped, for 598 s"]);
        forgive(&path, "192.0.2.1".parse().unwrap()).unwrap();
    }

    #[test]
    fn a_gateway_that_is_away_or_talks_nonsense_is_told() {
        let folder = tempfile::tempdir().unwrap();
        assert!(state(&folder.path().join("none")).unwrap_err().starts_with("the gateway does not answer"));
        for (answers, part) in [
            (&["not json\n"][..], "is none"),
            (&["{\"error\":\"this is no question\"}\n"][..], "refuses: this is no question"),
            (&[""][..], "is none"),
        ] {
            let (_folder, path) = gateway(answers);
            assert!(drain(&path).unwrap_err().contains(part));
        }
    }
}
