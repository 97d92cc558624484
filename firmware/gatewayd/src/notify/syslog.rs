//! Syslog: RFC 5424 messages, in datagrams (RFC 5426) or counted on a connection under TLS (RFC 5425).
//!
//! Syslog has no answers: what is written while the server hangs up is lost, and only the next message finds the connection gone.

use super::{Node, TRY, Undelivered};
use crate::net::https::LocalPorts;
use crate::net::tls;
use domain::alarm::{Change, Level, Notice};
use domain::config::notify::{Place, Syslog, SyslogTransport};
use rustls_pki_types::ServerName;
use std::fmt::Write as _;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Facility 3, system daemons (RFC 5424 6.2.1).
const DAEMON: u8 = 3;
/// The name of our structured data. 32473 is the number that IANA keeps for examples (RFC 5612): the project has none of its own.
const STRUCTURED: &str = "alarm@32473";
/// Longest host name (RFC 5424 6), in characters.
const HOST_CHARS: usize = 255;

/// A way to a syslog server.
pub(super) enum Line {
    Datagrams(Place),
    Tls { at: Place, tls: TlsConnector, ports: Arc<LocalPorts>, open: Option<Box<TlsStream<TcpStream>>> },
}

impl Line {
    pub(super) fn new(config: &Syslog, ports: &Arc<LocalPorts>) -> Result<Self, Undelivered> {
        let at = config.at.clone();
        match &config.transport {
            SyslogTransport::Udp => Ok(Self::Datagrams(at)),
            SyslogTransport::Tls { ca_file } => {
                let tls = tls::client(ca_file.as_deref())
                    .map_err(|error| Undelivered::again(format!("its authorities: {error:#}")))?;
                Ok(Self::Tls { at, tls: TlsConnector::from(tls), ports: Arc::clone(ports), open: None })
            }
        }
    }

    pub(super) async fn send(&mut self, node: &Node, notice: &Notice) -> Result<(), Undelivered> {
        let message = message(&node.name, notice);
        match self {
            Self::Datagrams(at) => super::datagram(at, message.as_bytes()).await,
            Self::Tls { at, tls, ports, open } => {
                if !still_open(open).await {
                    *open = None;
                }
                let stream = match open {
                    Some(stream) => stream,
                    None => open.insert(Box::new(connect(at, tls, ports).await?)),
                };
                // RFC 5425 4.3: how many octets, a space, and they.
                let frame = format!("{} {message}", message.len());
                let written = async {
                    stream.write_all(frame.as_bytes()).await?;
                    stream.flush().await
                };
                let written = tokio::time::timeout(TRY, written).await;
                let result = written.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
                result.map_err(|error| {
                    *open = None;
                    Undelivered::again(format!("{at} does not take it: {error}"))
                })
            }
        }
    }
}

/// Whether the server has not hung up since. It says nothing on this connection, so whatever can be read is its end.
async fn still_open(open: &mut Option<Box<TlsStream<TcpStream>>>) -> bool {
    let Some(stream) = open else { return false };
    poll_fn(|context| {
        let mut byte = [0; 1];
        let read = Pin::new(&mut *stream).poll_read(context, &mut ReadBuf::new(&mut byte));
        Poll::Ready(read.is_pending())
    })
    .await
}

async fn connect(
    at: &Place,
    tls: &TlsConnector,
    ports: &LocalPorts,
) -> Result<TlsStream<TcpStream>, Undelivered> {
    let attempt = async {
        let address = super::address(at).await?;
        let tcp = ports.connect(address).await.map_err(|error| format!("{at} is not reached: {error}"))?;
        let name = ServerName::try_from(at.host.clone()).map_err(|error| format!("{at}: {error}"))?;
        tls.connect(name, tcp).await.map_err(|error| format!("{at}: TLS: {error}"))
    };
    let result = tokio::time::timeout(TRY, attempt).await;
    result.unwrap_or_else(|_| Err(format!("{at} does not answer"))).map_err(Undelivered::again)
}

/// RFC 5424 6: one alarm's change.
fn message(host: &str, notice: &Notice) -> String {
    let (shown, alarm) = (notice.shown(), &notice.alarm);
    let severity = match (notice.change, alarm.level) {
        (Change::Cleared | Change::Acknowledged, _) => 6,
        (Change::Raised | Change::Changed, Level::Warning) => 5,
        (Change::Raised | Change::Changed, Level::Minor) => 4,
        (Change::Raised | Change::Changed, Level::Major) => 3,
        (Change::Raised | Change::Changed, Level::Critical) => 2,
    };
    let host: String = host.chars().filter(char::is_ascii_graphic).take(HOST_CHARS).collect();
    let host = if host.is_empty() { "-" } else { &host };
    let (priority, at, event) = (DAEMON * 8 + severity, notice.at, notice.change.word());
    let mut line = format!("<{priority}>1 {at} {host} gatewayd {} {event} [{STRUCTURED}", std::process::id());
    let seq = notice.seq.to_string();
    let (id, times) = (shown.id.to_string(), shown.times.to_string());
    for (name, value) in [
        ("seq", &*seq),
        ("id", &id),
        ("identifier", shown.identifier),
        ("level", shown.level.word()),
        ("instance", shown.instance),
        ("times", &times),
        ("raised", &shown.time_raised),
        ("by", shown.acknowledged_by.unwrap_or_default()),
    ] {
        parameter(&mut line, name, value);
    }
    // A text that is not plain ASCII begins with a byte order mark (RFC 5424 6.4).
    line + "] \u{feff}" + &alarm.to_string()
}

/// RFC 5424 6.3.3: `"`, `\` and `]` are escaped.
fn parameter(line: &mut String, name: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    // Writing into a string never fails.
    let _ = write!(line, " {name}=\"");
    for c in value.chars() {
        if matches!(c, '"' | '\\' | ']') {
            line.push('\\');
        }
        line.push(c);
    }
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::testing::notice;
    use domain::alarm::{Acknowledged, Alarm};
    use domain::appliance::instant::UnixTime;

    #[test]
    fn an_alarm_is_a_message_of_rfc_5424() {
        let pid = std::process::id();
        assert_eq!(
            message("box-1.example.com", &notice(9)),
            format!(
                "<28>1 2026-05-28T20:26:40Z box-1.example.com gatewayd {pid} alarm_raised [alarm@32473 seq=\"9\" id=\"9\" \
                 identifier=\"disk\" level=\"minor\" instance=\"/data\" times=\"1\" raised=\"2026-05-28T20:26:40Z\"] \
                 \u{feff}disk is nearly full: /data: 95 % are in use"
            )
        );
    }

    #[test]
    fn what_others_chose_cannot_end_a_field_early() {
        let mut notice = notice(9);
        notice.alarm.instance = "a\"] [b\\".into();
        let seen = Acknowledged { by: "ann".into(), at: UnixTime(0) };
        notice.alarm = Alarm { acknowledged: Some(seen), ..notice.alarm };
        notice.change = Change::Acknowledged;
        let line = message("", &notice);
        assert!(line.starts_with("<30>1 2026-05-28T20:26:40Z - gatewayd"), "{line}");
        assert!(line.contains(r#" instance="a\"\] [b\\" times"#) && line.contains(" by=\"ann\"]"), "{line}");
    }
}
