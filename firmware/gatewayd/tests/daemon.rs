//! The daemon as a process: what it says of its configuration, and how signals end it.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest wait for the process.
const PATIENCE: Duration = Duration::from_secs(20);

const CONFIG: &str = "[gateway]\ndomains = [\"meet.example.com\"]\npublic_address = \"127.0.0.1\"\nworkers = 1\n\
                      [sip]\nudp = [\"127.0.0.1:0\"]\ntcp = [\"127.0.0.1:0\"]\n[log]\nto = \"stderr\"\n\
                      [[tokens]]\nname = \"test\"\nvalue = \"t\"\ntrust = \"trusted\"\n\
                      [[connectors]]\nname = \"meet\"\nkind = \"interop\"\nurl = \"https://127.0.0.1:9\"\n\
                      [[rules]]\nname = \"meetings\"\npriority = 100\n";

/// A running daemon; it goes with this.
struct Daemon {
    child: Child,
    udp: SocketAddr,
    tcp: SocketAddr,
    _folder: TempDir,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It has ended already, as a rule.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Somebody who speaks SIP over UDP.
struct Peer(UdpSocket);

impl Peer {
    fn at(address: &str) -> Self {
        let socket = UdpSocket::bind((address, 0)).expect("a port");
        socket.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        Self(socket)
    }

    fn send(&self, daemon: &Daemon, method: &str, name: &str, more: &str) {
        let own = self.0.local_addr().expect("an address");
        let text = format!(
            "{method} sip:nobody@example.com SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK-{name}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:a@example.com>;tag={name}\r\nTo: <sip:nobody@example.com>\r\n\
             Call-ID: {name}\r\nCSeq: 1 {method}\r\nContact: <sip:a@{own}>\r\n{more}Content-Length: 0\r\n\r\n"
        );
        self.0.send_to(text.as_bytes(), daemon.udp).expect("sent");
    }

    /// The final answer's.
    fn status(&self) -> String {
        let mut answer = [0; 4_096];
        loop {
            let count = self.0.recv(&mut answer).expect("an answer");
            let answer = String::from_utf8_lossy(&answer[..count]);
            let status = answer.split(' ').nth(1).expect("a status");
            if !status.starts_with('1') {
                return status.to_owned();
            }
        }
    }

    /// Whether nothing has come.
    fn heard_nothing(&self) -> bool {
        self.0.set_nonblocking(true).expect("a socket");
        self.0.recv(&mut [0; 4_096]).is_err()
    }
}

fn ask(control: &Path, question: &str) -> serde_json::Value {
    let mut stream = UnixStream::connect(control).expect("a control socket");
    stream.write_all(question.as_bytes()).expect("asked");
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).expect("an answer");
    serde_json::from_str(&line).expect("an object")
}

fn gatewayd(config: &str, more: &[&str]) -> (Command, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("gantry.toml");
    std::fs::write(&file, config).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatewayd"));
    command.arg("--config").arg(file).args(more).stdout(Stdio::piped()).stderr(Stdio::piped());
    (command, folder)
}

impl Daemon {
    /// Takes calls.
    fn start() -> Self {
        Self::with(&[])
    }

    fn with(more: &[&str]) -> Self {
        Self::of(CONFIG, more)
    }

    fn of(config: &str, more: &[&str]) -> Self {
        let (mut command, folder) = gatewayd(config, more);
        let mut child = command.stderr(Stdio::null()).spawn().expect("a process");
        let mut line = String::new();
        let out = child.stdout.take().expect("its output");
        BufReader::new(out).read_line(&mut line).expect("its first line");
        let ready: serde_json::Value = serde_json::from_str(&line).expect("one object");
        let address = |transport: &str| {
            let text = ready["sip"][transport][0].as_str();
            text.and_then(|text| text.parse().ok()).expect("an address")
        };
        Self { child, udp: address("udp"), tcp: address("tcp"), _folder: folder }
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a process id");
        kill(Pid::from_raw(pid), signal).expect("it is there");
    }

    /// Calls what nobody routes. The answer is the status; SIP keeps the call for a while, as nobody confirms it.
    fn call(&self, name: &str) -> String {
        let peer = Peer::at("127.0.0.1");
        peer.send(self, "INVITE", name, "");
        peer.status()
    }

    fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(Instant::now() < deadline, "it goes on");
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_signal_drains_an_idle_daemon_at_once() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut daemon = Daemon::start();
        daemon.signal(signal);
        assert!(daemon.ended().success());
    }
}

#[test]
fn a_second_signal_ends_a_daemon_that_is_still_draining_and_says_so() {
    let mut daemon = Daemon::start();
    assert_eq!(daemon.call("before"), "404");
    daemon.signal(Signal::SIGTERM);
    let drains = (0..1_000).any(|call| daemon.call(&call.to_string()) == "503");
    assert!(drains, "it takes calls on");
    assert!(daemon.child.try_wait().expect("a child").is_none(), "SIP still absorbs what comes late");
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.ended().code(), Some(1));
}

#[test]
fn a_daemon_that_is_drained_by_its_control_socket_stays_and_takes_no_calls_until_it_is_told_to_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("control");
    let mut daemon = Daemon::with(&["--control", path.to_str().expect("a path")]);
    let ask = |question: &str| ask(&path, question);
    assert_eq!(ask("{\"get\":\"status\"}\n")["taking"], "calls");
    assert_eq!(ask("{\"do\":\"drain\"}\n")["done"], "drain");
    assert_eq!(ask("{\"get\":\"status\"}\n")["taking"], "nothing");
    assert!(daemon.child.try_wait().expect("a child").is_none(), "it stays, so that nobody starts it anew");
    daemon.signal(Signal::SIGTERM);
    assert!(daemon.ended().success());
}

/// The box itself is blocked like anybody, so that loopback addresses can be hostile.
fn blocks_all(offences: &str) -> String {
    format!("{CONFIG}[defence]\nallow = []\noffences = {offences}\n")
}

#[test]
fn a_scanner_gets_no_answer_and_is_not_heard_any_more_while_its_neighbour_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let control = folder.path().join("control");
    let daemon = Daemon::of(&blocks_all("200"), &["--control", control.to_str().expect("a path")]);
    let (scanner, room) = (Peer::at("127.0.0.2"), Peer::at("127.0.0.3"));
    scanner.send(&daemon, "OPTIONS", "scan", "User-Agent: friendly-scanner\r\n");
    scanner.send(&daemon, "OPTIONS", "hidden", "User-Agent: a harmless phone\r\n");
    // The room's message is read after the scanner's.
    room.send(&daemon, "OPTIONS", "room", "");
    assert_eq!(room.status(), "200");
    assert!(scanner.heard_nothing());
    let status = ask(&control, "{\"get\":\"status\"}\n");
    assert_eq!(status["blocked"][0]["source"], "127.0.0.2 (datagrams)");
    assert_eq!(
        (&status["blocked"][0]["why"], &status["counters"]["sip_dropped"]),
        (&"a scanner".into(), &1.into())
    );
    // An operator forgives it.
    assert_eq!(ask(&control, "{\"do\":{\"forgive\":\"127.0.0.2\"}}\n")["done"], "forgive");
    let back = Peer::at("127.0.0.2");
    back.send(&daemon, "OPTIONS", "back", "");
    assert_eq!(back.status(), "200");
}

#[test]
fn who_guesses_aliases_is_blocked_within_20_requests() {
    let folder = tempfile::tempdir().expect("a folder");
    let control = folder.path().join("control");
    let config = blocks_all("10");
    let daemon = Daemon::of(&config, &["--control", control.to_str().expect("a path")]);
    let (guesser, room) = (Peer::at("127.0.0.2"), Peer::at("127.0.0.3"));
    for guess in 0..10 {
        guesser.send(&daemon, "INVITE", &format!("guess{guess}"), "");
        assert_eq!(guesser.status(), "404");
        guesser.send(&daemon, "ACK", &format!("guess{guess}"), "");
    }
    let last = Peer::at("127.0.0.2");
    last.send(&daemon, "INVITE", "guess10", "");
    room.send(&daemon, "OPTIONS", "room", "");
    assert_eq!(room.status(), "200");
    assert!(last.heard_nothing());
    let status = ask(&control, "{\"get\":\"status\"}\n");
    assert_eq!(
        (&status["blocked"][0]["why"], status["blocked"].as_array().map(Vec::len)),
        (&"wrong aliases".into(), Some(1))
    );
}

#[test]
fn a_connection_of_somebody_who_guessed_by_connections_is_closed() {
    let daemon = Daemon::of(&blocks_all("5"), &[]);
    let tcp = daemon.tcp;
    let guess = |number: usize| -> std::io::Result<String> {
        let mut stream = connect(tcp);
        let own = stream.local_addr().expect("an address");
        let text = format!(
            "INVITE sip:{number}@example.com SIP/2.0\r\nVia: SIP/2.0/TCP {own};branch=z9hG4bK-{number}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:a@example.com>;tag=a\r\nTo: <sip:{number}@example.com>\r\n\
             Call-ID: {number}\r\nCSeq: 1 INVITE\r\nContact: <sip:a@{own};transport=tcp>\r\nContent-Length: 0\r\n\r\n"
        );
        stream.write_all(text.as_bytes())?;
        let mut said = String::new();
        BufReader::new(stream).read_line(&mut said).map(|_| said)
    };
    for number in 0..5 {
        assert!(guess(number).expect("an answer").starts_with("SIP/2.0"), "guess {number}");
    }
    // Closed before or after it is written to, or reset because what it sent was not read.
    assert_eq!(guess(5).unwrap_or_default(), "");
}

fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    stream
}

#[test]
fn a_configuration_is_checked_without_taking_calls() {
    let (mut good, _folder) = gatewayd(CONFIG, &["--check"]);
    let output = good.output().expect("a process");
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains(": good"));

    let (mut bad, _folder) = gatewayd(&CONFIG.replace("priority = 100", "priority = \"high\""), &["--check"]);
    let output = bad.output().expect("a process");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("priority"), "{output:?}");
}

#[test]
fn an_address_that_is_taken_is_named_and_nothing_runs() {
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let at = taken.local_addr().expect("an address").to_string();
    let (mut command, _folder) = gatewayd(&CONFIG.replacen("127.0.0.1:0", &at, 1), &[]);
    let mut child = command.spawn().expect("a process");
    let mut said = String::new();
    child.stderr.take().expect("its errors").read_to_string(&mut said).expect("text");
    assert_eq!(child.wait().expect("an end").code(), Some(1));
    assert!(said.contains(&at), "{said}");
}
