//! The daemon with its store: on a disk that gets full, and without the key of what is secret.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(30);
/// Most changes until a full disk must have refused one: a page of it may have room for some.
const TRIES: usize = 40;

const CONFIG: &str = "[gateway]\ndomains = [\"meet.example.com\"]\npublic_address = \"127.0.0.1\"\nworkers = 1\n\
                      [sip]\nudp = [\"127.0.0.1:0\"]\ntcp = [\"127.0.0.1:0\"]\n[log]\nto = \"stderr\"\n\
                      [[tokens]]\nname = \"test\"\nvalue = \"PLANTED\"\ntrust = \"trusted\"\n\
                      [[connectors]]\nname = \"meet\"\nkind = \"interop\"\nurl = \"https://127.0.0.1:9\"\n\
                      [[rules]]\nname = \"meetings\"\npriority = 100\n";

/// A running daemon; it goes with this.
struct Daemon {
    child: Child,
    control: PathBuf,
    udp: String,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Daemon {
    /// Starts with its store in `folder`/store; `on` is how, with the daemon's words behind it.
    fn start(folder: &Path, on: &[&str]) -> Self {
        let config = folder.join("gantry.toml");
        std::fs::write(&config, CONFIG).expect("written");
        let control = folder.join("control");
        let mut words: Vec<_> = on.iter().map(|word| (*word).to_owned()).collect();
        words.push(env!("CARGO_BIN_EXE_gatewayd").to_owned());
        let store = folder.join("store");
        for (option, path) in [("--config", &config), ("--store", &store), ("--control", &control)] {
            words.extend([option.to_owned(), path.display().to_string()]);
        }
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).env_remove("CREDENTIALS_DIRECTORY");
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a process");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output"))
            .read_line(&mut line)
            .expect("its first line");
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        let udp = ready["sip"]["udp"][0].as_str().expect("an address").to_owned();
        Self { child, control, udp }
    }

    fn ask(&self, question: &Value) -> Value {
        let mut stream = UnixStream::connect(&self.control).expect("a control socket");
        writeln!(stream, "{question}").expect("asked");
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).expect("an answer");
        serde_json::from_str(&line).expect("an object")
    }

    /// Makes a change: a user more.
    fn add_user(&self, name: &str) -> Value {
        let user = json!({ "name": name, "password": "correct horse battery", "role": "viewer" });
        self.ask(&json!({ "do": { "user": user } }))
    }

    /// How often this alarm is in a list of the alarms.
    fn count(&self, list: &str, kind: &str, instance: &str) -> usize {
        let alarms = self.ask(&json!({ "get": "alarms" }));
        let is = |alarm: &&Value| alarm["identifier"] == kind && alarm["instance"] == instance;
        alarms[list].as_array().expect("a list").iter().filter(is).count()
    }

    fn wait(&self, what: &str, until: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !until(self) {
            assert!(Instant::now() < deadline, "{what}: {}", self.ask(&json!({ "get": "alarms" })));
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// The first line of the final answer to a call, and what follows.
    fn call(&self, alias: &str) -> String {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        let (own, name) = (socket.local_addr().expect("an address"), alias.replace('@', "-"));
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {} RTP/AVP 0\r\n",
            own.port()
        );
        let text = format!(
            "INVITE sip:{alias} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK-{name}\r\nMax-Forwards: 70\r\n\
             From: <sip:a@example.com>;tag={name}\r\nTo: <sip:{alias}>\r\nCall-ID: {name}\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:a@{own}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
            sdp.len()
        );
        socket.send_to(text.as_bytes(), &self.udp).expect("sent");
        let mut answer = [0; 4_096];
        loop {
            let count = socket.recv(&mut answer).expect("an answer");
            let answer = String::from_utf8_lossy(&answer[..count]).into_owned();
            if !answer.starts_with("SIP/2.0 1") {
                return answer;
            }
        }
    }
}

/// A6, P17
#[test]
fn a6_a_full_disk_refuses_a_change_with_an_alarm_that_ends_with_the_next_change_that_it_takes() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("store");
    std::fs::create_dir(&store).expect("made");
    // A disk of four megabytes that nobody else sees.
    let mount = format!("mount -t tmpfs -o size=4m tmpfs {} && exec \"$@\"", store.display());
    let daemon = Daemon::start(
        folder.path(),
        &["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", &mount, "sh"],
    );
    assert_eq!(daemon.add_user("ann"), json!({ "done": "user" }));
    let inside = PathBuf::from(format!("/proc/{}/root{}", daemon.child.id(), store.display()));
    let fill = inside.join("fill");
    let full = std::fs::write(&fill, vec![0; 8 * 1024 * 1024]).expect_err("it is full");
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    let refused = (0..TRIES)
        .map(|number| daemon.add_user(&format!("user {number}")))
        .find(|answer| answer.get("done").is_none());
    let refused = refused.expect("a full disk takes no change for ever");
    assert!(refused.to_string().contains("the disk is full"), "{refused}");
    daemon.wait("it stands", |daemon| daemon.count("alarms", "store", "configuration") == 1);
    // Once, however often it is tried.
    assert!(daemon.add_user("ben").get("done").is_none());
    assert_eq!(
        (daemon.count("alarms", "store", "configuration"), daemon.count("history", "store", "configuration")),
        (1, 0)
    );
    std::fs::remove_file(&fill).expect("removed");
    assert_eq!(daemon.add_user("ben"), json!({ "done": "user" }));
    // And readers see it: whoever is there already is not made again, but changed.
    let role = json!({ "name": "ben", "password": "correct horse battery", "role": "operator" });
    assert_eq!(daemon.ask(&json!({ "do": { "user": role } })), json!({ "done": "user" }));
    daemon.wait("it is over", |daemon| daemon.count("alarms", "store", "configuration") == 0);
    assert_eq!(daemon.count("history", "store", "configuration"), 1);
}

#[test]
fn a_damaged_copy_that_was_survived_is_an_event_among_the_alarms() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(Daemon::start(folder.path(), &[]));
    let kept = folder.path().join("store/v2");
    // What is newest stands in the journals, so the copy is not needed; and the index is gone.
    std::fs::write(kept.join("config.b"), "no snapshot at all").expect("written");
    std::fs::remove_dir_all(kept.join("live")).expect("removed");
    let daemon = Daemon::start(folder.path(), &[]);
    let told = |of| move |daemon: &Daemon| daemon.count("alarms", "store_mended", of) == 1;
    daemon.wait("the copy is told of", told("configuration"));
    daemon.wait("the index is told of", told("configuration index"));
}

#[test]
fn a_daemon_without_its_data_key_takes_calls_and_refuses_those_that_need_what_it_sealed() {
    let folder: TempDir = tempfile::tempdir().expect("a folder");
    drop(Daemon::start(folder.path(), &[]));
    std::fs::remove_file(folder.path().join("store/data.key")).expect("removed");
    let daemon = Daemon::start(folder.path(), &[]);
    daemon.wait("it is told", |daemon| daemon.count("alarms", "secrets_unreadable", "configuration") == 1);
    assert_eq!(daemon.ask(&json!({ "get": "status" }))["sealed"], "unsealed file");
    let refused = daemon.call("1234567890123@meet.example.com");
    assert!(refused.starts_with("SIP/2.0 503 Access token must be entered anew"), "{refused}");
    let unknown = daemon.call("nobody@meet.example.com");
    assert!(unknown.starts_with("SIP/2.0 404"), "{unknown}");
}
