//! What a box in good health does: each check as the gate asks for it, with an outcome within two seconds.

use ota::gate::{Check, Outcome};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Longest wait for an answer.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// An OPTIONS over UDP is sent again after so long (RFC 3261 17.1.2.1, T1).
const T1: Duration = Duration::from_millis(500);
/// Longest answer that is read, in bytes.
const ANSWER_BYTES: u64 = 4 * 1024 * 1024;
/// The services that a box cannot do without: it takes calls, can be set up, is on the network, is shut to what it does not
/// offer, and says what happened.
const SERVICES: &[&str] = &[
    "gatewayd.service",
    "gantry-serve.service",
    "gantry-firewall.service",
    "systemd-networkd.service",
    "systemd-journald.service",
];

/// Makes checks, and knows what it found before.
pub struct Checks {
    root: PathBuf,
    sip: Sip,
    started: BTreeMap<&'static str, String>,
    asked: u64,
}

/// Where the gateway says that it listens.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
struct Sip {
    #[serde(default)]
    udp: Vec<SocketAddr>,
    #[serde(default)]
    tcp: Vec<SocketAddr>,
    #[serde(default)]
    tls: Vec<SocketAddr>,
}

#[derive(Deserialize)]
struct Status {
    taking: String,
    #[serde(default)]
    sip: Sip,
}

impl Checks {
    /// Those of the box whose files begin at `root`.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), sip: Sip::default(), started: BTreeMap::new(), asked: 0 }
    }

    /// Makes one.
    pub fn make(&mut self, check: Check) -> Outcome {
        let made = match check {
            Check::Control => self.control(),
            Check::Sip => self.options(),
            Check::Services => self.services(),
        };
        made.map_or_else(Outcome::Failed, |()| Outcome::Passed)
    }

    /// Asks the gateway how it is.
    fn control(&mut self) -> Result<(), String> {
        let path = self.root.join("run/gantry/gatewayd.sock");
        let asked = || -> std::io::Result<String> {
            let mut stream = UnixStream::connect(&path)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            stream.write_all(b"{\"get\":\"status\"}\n")?;
            let mut line = String::new();
            BufReader::new(stream.take(ANSWER_BYTES)).read_line(&mut line)?;
            Ok(line)
        };
        let line = asked().map_err(|error| format!("{}: {error}", path.display()))?;
        let status: Status =
            serde_json::from_str(&line).map_err(|error| format!("its answer is none: {error}"))?;
        if !matches!(&*status.taking, "calls" | "nothing") {
            return Err("its answer is none".to_owned());
        }
        self.sip = status.sip;
        Ok(())
    }

    /// Asks for the gateway's options over SIP, where it says that it listens.
    fn options(&mut self) -> Result<(), String> {
        self.asked += 1;
        let id = format!("gate-{}-{}", std::process::id(), self.asked);
        match (self.sip.udp.first(), self.sip.tcp.first(), self.sip.tls.first()) {
            (Some(at), ..) => over_udp(reached(*at), &id),
            (None, Some(at), _) => over_tcp(reached(*at), &id),
            // Whose certificate it has is not the question: that it takes a connection has to do.
            (None, None, Some(at)) => TcpStream::connect_timeout(&reached(*at), PATIENCE)
                .map(drop)
                .map_err(|error| format!("{at}: {error}")),
            (None, None, None) => Err("the gateway has not said where it listens".to_owned()),
        }
    }

    /// Looks whether the services run, and are those that ran before. The service manager leaves a link for each unit that is
    /// active, to the number of its start, so that the journal can tell one start from another (`/run/systemd/units`).
    fn services(&mut self) -> Result<(), String> {
        let mut faults = Vec::new();
        for unit in SERVICES {
            let link = self.root.join("run/systemd/units").join(format!("invocation:{unit}"));
            let start = std::fs::read_link(link).ok().map(|to| to.to_string_lossy().into_owned());
            let before = match &start {
                Some(start) => self.started.insert(unit, start.clone()),
                None => self.started.remove(unit),
            };
            match (before, start) {
                (_, None) => faults.push(format!("{unit} does not run")),
                (Some(before), Some(start)) if before != start => {
                    faults.push(format!("{unit} was started again"));
                }
                (_, Some(_)) => {}
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(faults.join(", ")) }
    }
}

/// An address on which the box itself reaches what listens on `at`.
fn reached(at: SocketAddr) -> SocketAddr {
    let host = match at.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    };
    SocketAddr::new(host, at.port())
}

fn request(to: SocketAddr, own: SocketAddr, transport: &str, id: &str) -> String {
    format!(
        "OPTIONS sip:{to} SIP/2.0\r\nVia: SIP/2.0/{transport} {own};branch=z9hG4bK-{id};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:gate@{own}>;tag={id}\r\nTo: <sip:{to}>\r\nCall-ID: {id}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
}

/// Whether this is a final answer to the question `id`: any, as one that answers is alive.
fn answers(text: &str, id: &str) -> bool {
    let status = text.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3)?.parse::<u16>().ok());
    let ours = text.lines().any(|line| {
        line.split_once(':').is_some_and(|(name, value)| {
            matches!(&*name.trim().to_ascii_lowercase(), "call-id" | "i") && value.trim() == id
        })
    });
    status.is_some_and(|status| status >= 200) && ours
}

fn over_udp(to: SocketAddr, id: &str) -> Result<(), String> {
    let ask = || -> std::io::Result<bool> {
        let any: IpAddr =
            if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect(to)?;
        let text = request(to, socket.local_addr()?, "UDP", id);
        let (begun, mut buffer) = (Instant::now(), [0; 8_192]);
        while begun.elapsed() < PATIENCE {
            // Refused, as long as nobody listens yet.
            let _ = socket.send(text.as_bytes());
            let again = Instant::now() + T1;
            while let Some(left) = again.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
            {
                socket.set_read_timeout(Some(left))?;
                match socket.recv(&mut buffer) {
                    Ok(count) if answers(&String::from_utf8_lossy(&buffer[..count]), id) => return Ok(true),
                    Ok(_) => {}
                    Err(_) => std::thread::park_timeout(Duration::from_millis(20)),
                }
            }
        }
        Ok(false)
    };
    match ask() {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("nobody answers SIP OPTIONS on udp {to}")),
        Err(error) => Err(format!("udp {to}: {error}")),
    }
}

fn over_tcp(to: SocketAddr, id: &str) -> Result<(), String> {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(request(to, stream.local_addr()?, "TCP", id).as_bytes())?;
        let (mut heard, mut buffer) = (Vec::new(), [0; 8_192]);
        while heard.len() < buffer.len() && !heard.windows(4).any(|end| end == b"\r\n\r\n") {
            match stream.read(&mut buffer)? {
                0 => break,
                count => heard.extend_from_slice(&buffer[..count]),
            }
        }
        Ok(answers(&String::from_utf8_lossy(&heard), id))
    };
    match ask() {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("no answer to SIP OPTIONS on tcp {to}")),
        Err(error) => Err(format!("tcp {to}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    fn made_box() -> (tempfile::TempDir, Checks) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("run/gantry")).unwrap();
        std::fs::create_dir_all(folder.path().join("run/systemd/units")).unwrap();
        let checks = Checks::new(folder.path());
        (folder, checks)
    }

    fn why(outcome: Outcome) -> String {
        match outcome {
            Outcome::Failed(why) => why,
            Outcome::Passed => panic!("it passed"),
        }
    }

    /// A gateway that answers one question on its control socket.
    fn gateway(root: &Path, answer: String) {
        let path = root.join("run/gantry/gatewayd.sock");
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(path).unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).unwrap();
            assert_eq!(line, "{\"get\":\"status\"}\n");
            stream.write_all(answer.as_bytes()).unwrap();
        });
    }

    #[test]
    fn a_gateway_that_answers_says_where_it_is_asked_for_its_options() {
        let (folder, mut checks) = made_box();
        assert!(why(checks.make(Check::Control)).contains("gatewayd.sock"));
        assert_eq!(why(checks.make(Check::Sip)), "the gateway has not said where it listens");
        gateway(folder.path(), "{\"taking\":\"maybe\"}\n".to_owned());
        assert_eq!(why(checks.make(Check::Control)), "its answer is none");

        let room = UdpSocket::bind("127.0.0.1:0").unwrap();
        let at = room.local_addr().unwrap();
        let status = format!(
            "{{\"taking\":\"calls\",\"sip\":{{\"udp\":[\"0.0.0.0:{}\"],\"tcp\":[],\"tls\":[]}},\"calls\":[]}}\n",
            at.port()
        );
        gateway(folder.path(), status);
        assert_eq!(checks.make(Check::Control), Outcome::Passed);
        let silent = why(checks.make(Check::Sip));
        assert_eq!(silent, format!("nobody answers SIP OPTIONS on udp {at}"), "it is open, and nobody reads");

        std::thread::spawn(move || {
            let mut buffer = [0; 4_096];
            loop {
                let (count, from) = room.recv_from(&mut buffer).unwrap();
                let asked = String::from_utf8_lossy(&buffer[..count]).into_owned();
                let id = asked.lines().find_map(|line| line.strip_prefix("Call-ID: ")).unwrap();
                // What is late, of somebody else, and not final is no answer.
                for answer in [
                    "SIP/2.0 200 OK\r\nCall-ID: another\r\n\r\n".to_owned(),
                    format!("SIP/2.0 100 Trying\r\nCall-ID: {id}\r\n\r\n"),
                    format!("SIP/2.0 200 OK\r\ni: {id}\r\n\r\n"),
                ] {
                    room.send_to(answer.as_bytes(), from).unwrap();
                }
            }
        });
        assert_eq!(checks.make(Check::Sip), Outcome::Passed);
    }

    #[test]
    fn a_gateway_without_udp_is_asked_over_tcp() {
        let (_folder, mut checks) = made_box();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        checks.sip.tcp = vec![at];
        std::thread::spawn(move || {
            for answer in ["SIP/2.0 404 Not Found\r\n", "HTTP/1.1 200 OK\r\n"] {
                let (mut stream, _) = listener.accept().unwrap();
                let mut buffer = [0; 4_096];
                let count = stream.read(&mut buffer).unwrap();
                let asked = String::from_utf8_lossy(&buffer[..count]).into_owned();
                let id = asked.lines().find(|line| line.starts_with("Call-ID: ")).unwrap();
                stream.write_all(format!("{answer}{id}\r\n\r\n").as_bytes()).unwrap();
            }
        });
        assert_eq!(checks.make(Check::Sip), Outcome::Passed, "whoever answers is alive");
        assert_eq!(why(checks.make(Check::Sip)), format!("no answer to SIP OPTIONS on tcp {at}"));
    }

    #[test]
    fn services_that_do_not_run_or_were_started_again_are_named() {
        let (folder, mut checks) = made_box();
        let units = folder.path().join("run/systemd/units");
        let start = |unit: &str, number: &str| {
            let link = units.join(format!("invocation:{unit}"));
            let _ = std::fs::remove_file(&link);
            std::os::unix::fs::symlink(number, link).unwrap();
        };
        SERVICES.iter().for_each(|unit| start(unit, "1"));
        assert_eq!(checks.make(Check::Services), Outcome::Passed);
        std::fs::remove_file(units.join("invocation:gatewayd.service")).unwrap();
        assert_eq!(why(checks.make(Check::Services)), "gatewayd.service does not run");
        start("gatewayd.service", "2");
        assert_eq!(checks.make(Check::Services), Outcome::Passed, "it was not there before");
        start("gatewayd.service", "3");
        start("gantry-serve.service", "2");
        assert_eq!(
            why(checks.make(Check::Services)),
            "gatewayd.service was started again, gantry-serve.service was started again"
        );
        assert_eq!(checks.make(Check::Services), Outcome::Passed);
    }
}
