//! The box's own set-up (`gantry serve`), asked for whoever sits at the page: one JSON object a line, both ways.
//!
//! ```text
//!  {"ask":"hello","at":"page"} ─▶ {"ask":"login","password":...}? ─▶ the ask ─▶ {"rows":[...],"data":{...},"problems":[...]}
//! ```
//! The gateway holds no power over the box: it may look, and what changes something carries the administrator's password, which the
//! set-up proves itself. A connection lives for one ask.

use base::Secret;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// Longest answer that is read, in bytes; the set-up writes no longer ones.
const ANSWER_BYTES: u64 = 256 * 1024;
/// Longest wait for one that is at hand.
const SOON: Duration = Duration::from_secs(15);
/// Longest wait for one that takes work: ways that are tried, a support bundle.
const WORK: Duration = Duration::from_secs(180);

/// Where it is asked; nowhere if this gateway runs on no box of its own.
#[derive(Debug, Clone, Default)]
pub struct Console(Option<PathBuf>);

/// What it tells.
#[derive(Debug, Default, Deserialize)]
pub struct Reply {
    /// For people.
    #[serde(default)]
    pub rows: Vec<Row>,
    /// For programs.
    #[serde(default)]
    pub data: Value,
    #[serde(default)]
    problems: Vec<String>,
}

/// A line for people: what, and how it is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Row {
    /// What; may be empty.
    pub label: String,
    /// How it is.
    pub value: String,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// There is nobody to ask.
    #[error(
        "this gateway runs on no box that could be set up from here; start it with --console <socket> where one is"
    )]
    NoBox,
    /// It does not answer, or not as it should.
    #[error("the box's set-up does not answer: {0}")]
    Silent(String),
    /// The password is not the administrator's, or too many were wrong.
    #[error("{0}")]
    Denied(String),
    /// It does not do it; each reason.
    #[error("{}", .0.join("; "))]
    Refused(Vec<String>),
}

impl Console {
    /// At this socket.
    #[must_use]
    pub const fn at(socket: Option<PathBuf>) -> Self {
        Self(socket)
    }

    /// Asks what anybody at the page may.
    ///
    /// # Errors
    /// See [`Unanswered`].
    pub async fn look(&self, ask: Value) -> Result<Reply, Unanswered> {
        self.converse(None, ask, SOON).await
    }

    /// Asks on the administrator's word.
    ///
    /// # Errors
    /// See [`Unanswered`].
    pub async fn act(&self, password: &Secret<String>, ask: Value) -> Result<Reply, Unanswered> {
        self.converse(Some(password), ask, SOON).await
    }

    /// The same, for what takes its time.
    ///
    /// # Errors
    /// See [`Unanswered`].
    pub async fn work(&self, password: &Secret<String>, ask: Value) -> Result<Reply, Unanswered> {
        self.converse(Some(password), ask, WORK).await
    }

    async fn converse(
        &self,
        password: Option<&Secret<String>>,
        ask: Value,
        patience: Duration,
    ) -> Result<Reply, Unanswered> {
        let socket = self.0.as_deref().ok_or(Unanswered::NoBox)?;
        let mut line = Line::open(socket).await?;
        line.ask(&json!({ "ask": "hello", "at": "page" }), SOON).await?.done()?;
        if let Some(password) = password {
            let login = json!({ "ask": "login", "password": password.expose() });
            let denied = |refused| match refused {
                Unanswered::Refused(problems) => Unanswered::Denied(problems.join("; ")),
                other => other,
            };
            line.ask(&login, SOON).await?.done().map_err(denied)?;
        }
        line.ask(&ask, patience).await?.done()
    }
}

impl Reply {
    fn done(self) -> Result<Self, Unanswered> {
        if self.problems.is_empty() { Ok(self) } else { Err(Unanswered::Refused(self.problems)) }
    }
}

struct Line(BufReader<UnixStream>);

impl Line {
    async fn open(socket: &Path) -> Result<Self, Unanswered> {
        let stream = timeout(SOON, UnixStream::connect(socket)).await.map_err(|_| late(SOON))?;
        Ok(Self(BufReader::new(stream.map_err(silent)?)))
    }

    async fn ask(&mut self, ask: &Value, patience: Duration) -> Result<Reply, Unanswered> {
        timeout(patience, self.exchange(ask)).await.map_err(|_| late(patience))?
    }

    async fn exchange(&mut self, ask: &Value) -> Result<Reply, Unanswered> {
        self.0.write_all(format!("{ask}\n").as_bytes()).await.map_err(silent)?;
        let mut answer = Vec::new();
        (&mut self.0).take(ANSWER_BYTES).read_until(b'\n', &mut answer).await.map_err(silent)?;
        serde_json::from_slice(&answer)
            .map_err(|_| Unanswered::Silent("what it says is no answer".to_owned()))
    }
}

fn silent(error: std::io::Error) -> Unanswered {
    Unanswered::Silent(error.to_string())
}

fn late(patience: Duration) -> Unanswered {
    Unanswered::Silent(format!("nothing within {} s", patience.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::UnixListener;

    /// A set-up that notes what it is asked, and answers each time with the next of `answers`.
    fn set_up(
        answers: &'static [&'static str],
    ) -> (tempfile::TempDir, Console, tokio::task::JoinHandle<Vec<Value>>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("console.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let heard = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let (mut stream, mut heard) = (BufReader::new(stream), Vec::new());
            for answer in answers {
                let mut line = String::new();
                stream.read_line(&mut line).await.unwrap();
                heard.push(serde_json::from_str(&line).unwrap());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            heard
        });
        (folder, Console::at(Some(path)), heard)
    }

    fn password() -> Secret<String> {
        Secret::new("correct horse battery".to_owned())
    }

    #[tokio::test]
    async fn what_changes_something_goes_with_the_password_and_what_looks_goes_without() {
        let (_folder, console, heard) = set_up(&["{}\n", "{}\n", "{\"data\":{\"done\":\"it blinks\"}}\n"]);
        let ask = json!({ "ask": "locate", "minutes": 5 });
        let reply = console.act(&password(), ask.clone()).await.unwrap();
        assert_eq!(reply.data["done"], "it blinks");
        let login = json!({ "ask": "login", "password": "correct horse battery" });
        assert_eq!(heard.await.unwrap(), [json!({ "ask": "hello", "at": "page" }), login, ask]);

        let (_folder, console, heard) =
            set_up(&["{}\n", "{\"rows\":[{\"label\":\"Slot\",\"value\":\"A\"}]}\n"]);
        let reply = console.look(json!({ "ask": "show", "view": "slots" })).await.unwrap();
        assert_eq!(reply.rows, [Row { label: "Slot".to_owned(), value: "A".to_owned() }]);
        assert_eq!(heard.await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn a_wrong_password_a_refusal_and_silence_are_told_apart() {
        let (_folder, console, _) = set_up(&["{}\n", "{\"problems\":[\"that password is wrong\"]}\n"]);
        let denied = console.act(&password(), json!({ "ask": "apply" })).await.unwrap_err();
        assert!(matches!(&denied, Unanswered::Denied(why) if why == "that password is wrong"), "{denied}");
        let (_folder, console, _) = set_up(&["{}\n", "{}\n", "{\"problems\":[\"one\",\"two\"]}\n"]);
        let refused = console.act(&password(), json!({ "ask": "apply" })).await.unwrap_err();
        assert_eq!(refused.to_string(), "one; two");
        let (_folder, console, _) = set_up(&["not json\n"]);
        let silent = console.look(json!({ "ask": "facts" })).await.unwrap_err();
        assert!(silent.to_string().contains("no answer"), "{silent}");
        let folder = tempfile::tempdir().unwrap();
        let gone = Console::at(Some(folder.path().join("nobody")));
        assert!(matches!(gone.look(json!({ "ask": "facts" })).await, Err(Unanswered::Silent(_))));
        assert!(matches!(Console::default().look(Value::Null).await, Err(Unanswered::NoBox)));
    }
}
