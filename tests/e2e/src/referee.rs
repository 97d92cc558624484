//! The referee on the wire: tshark captures loopback and says what was there. It knows nothing of our code.

use crate::lab::Lab;
use crate::process::Process;
use anyhow::{Context, Result, bail, ensure};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A running capture.
pub struct Capture {
    process: Process,
    path: PathBuf,
    /// Sends datagrams to itself; what was sent before one that is in the file is in the file, too.
    marker: UdpSocket,
}

/// What marks the beginning and the end of a capture.
const BEGIN: &[u8] = b"gantry-e2e: the capture runs";
const END: &[u8] = b"gantry-e2e: the capture is whole";

/// One RTP packet as tshark dissected it.
#[derive(Debug, Clone, PartialEq)]
pub struct RtpPacket {
    /// Seconds since the epoch.
    pub at: f64,
    /// UDP port it left from.
    pub from: u16,
    /// UDP port it went to.
    pub to: u16,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Sequence number.
    pub sequence: u16,
    /// RTP timestamp.
    pub timestamp: u32,
    /// Marker bit.
    pub marker: bool,
    /// Payload type.
    pub payload_type: u8,
    /// What it carries.
    pub payload: Vec<u8>,
}

impl Capture {
    /// Captures what `filter` (pcap syntax) lets through on loopback, into an artefact of this name.
    ///
    /// # Errors
    /// If tshark does not come up.
    pub fn start(lab: &Lab, name: &str, filter: &str) -> Result<Self> {
        let path = lab.artefact(name);
        let marker = UdpSocket::bind("127.0.0.1:0").context("a socket for the capture's marks")?;
        let filter = format!("({filter}) or udp port {}", marker.local_addr()?.port());
        let process = Process::start("tshark", |command| {
            command.args(["-i", "lo", "-q", "-B", "32", "-f", &filter, "-w"]).arg(&path);
        })?;
        process.wait_for("Capturing on", Duration::from_secs(20))?;
        let capture = Self { process, path, marker };
        capture.wait_marked(BEGIN)?;
        Ok(capture)
    }

    /// Sends `mark` until it is in the file: tshark says that it captures before it does, and is handed packets in blocks.
    fn wait_marked(&self, mark: &[u8]) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(20);
        self.marker.set_read_timeout(Some(Duration::from_millis(50)))?;
        while Instant::now() < deadline {
            self.marker.send_to(mark, self.marker.local_addr()?)?;
            // Nobody else sends here: this waits, and empties the socket.
            drop(self.marker.recv(&mut [0; 64]));
            drop(self.marker.recv(&mut [0; 64]));
            let file = std::fs::read(&self.path).unwrap_or_default();
            if file.windows(mark.len()).any(|window| window == mark) {
                return Ok(());
            }
        }
        bail!("tshark captures nothing on loopback; it printed:\n{}", self.process.printed())
    }

    /// Ends it; what was captured can then be asked.
    ///
    /// # Errors
    /// If tshark does not end.
    pub fn stop(mut self) -> Result<Evidence> {
        self.wait_marked(END)?;
        // INT is how tshark is asked to write its buffers out and close the file.
        self.process.signal("INT")?;
        self.process.wait(Duration::from_secs(20))?;
        Ok(Evidence { path: self.path.clone() })
    }
}

/// A finished capture.
pub struct Evidence {
    path: PathBuf,
}

impl Evidence {
    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The values of `fields` in every packet that `filter` (display syntax) lets through; one row a packet.
    ///
    /// # Errors
    /// If tshark refuses.
    pub fn fields(&self, filter: &str, decode_as: &[String], fields: &[&str]) -> Result<Vec<Vec<String>>> {
        let mut command = Command::new("tshark");
        command.arg("-r").arg(&self.path).args(["-Y", filter, "-T", "fields", "-E", "separator=/t"]);
        command.args(decode_as.iter().flat_map(|rule| ["-d", rule]));
        command.args(fields.iter().flat_map(|field| ["-e", field]));
        let output = command.output().context("cannot start tshark")?;
        ensure!(output.status.success(), "tshark: {}", String::from_utf8_lossy(&output.stderr));
        let rows = String::from_utf8_lossy(&output.stdout);
        Ok(rows.lines().map(|row| row.split('\t').map(str::to_owned).collect()).collect())
    }

    /// The RTP packets to or from UDP port `port`, in the order of their capture.
    ///
    /// # Errors
    /// If tshark refuses.
    pub fn rtp(&self, port: u16) -> Result<Vec<RtpPacket>> {
        let fields = [
            "frame.time_epoch",
            "udp.srcport",
            "udp.dstport",
            "rtp.ssrc",
            "rtp.seq",
            "rtp.timestamp",
            "rtp.marker",
            "rtp.p_type",
            "rtp.payload",
        ];
        let rows =
            self.fields(&format!("rtp && udp.port=={port}"), &[format!("udp.port=={port},rtp")], &fields)?;
        Ok(rows.iter().filter_map(|row| parse_rtp(row)).collect())
    }

    /// The RTCP sender reports that left UDP port `from`, in the order of their capture.
    ///
    /// # Errors
    /// If tshark refuses.
    pub fn sender_reports(&self, from: u16) -> Result<Vec<SenderReport>> {
        let fields =
            ["rtcp.senderssrc", "rtcp.timestamp.ntp.msw", "rtcp.timestamp.ntp.lsw", "rtcp.timestamp.rtp"];
        let filter = format!("rtcp.pt==200 && udp.srcport=={from}");
        let rows = self.fields(&filter, &[format!("udp.port=={from},rtcp")], &fields)?;
        Ok(rows.iter().filter_map(|row| parse_report(row)).collect())
    }

    /// SIP messages: `INVITE`, `200 INVITE`, `BYE` and so on, in order.
    ///
    /// # Errors
    /// If tshark refuses.
    pub fn sip(&self, port: u16) -> Result<Vec<String>> {
        let decode = [format!("udp.port=={port},sip"), format!("tcp.port=={port},sip")];
        let rows = self.fields("sip", &decode, &["sip.Status-Code", "sip.CSeq.method"])?;
        let name = |row: &Vec<String>| row.join(" ").trim().to_owned();
        Ok(rows.iter().map(name).collect())
    }
}

/// An RTCP sender report: the moment at which a timestamp was captured, on the sender's clock.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SenderReport {
    /// Whose.
    pub ssrc: u32,
    /// Seconds on the sender's clock.
    pub ntp: f64,
    /// The RTP timestamp of that moment.
    pub timestamp: u32,
}

impl SenderReport {
    /// When `timestamp` was captured, in seconds on the sender's clock, for a stream of `clock` Hz.
    #[must_use]
    pub fn captured(&self, timestamp: u32, clock: f64) -> f64 {
        self.ntp + f64::from(timestamp.wrapping_sub(self.timestamp) as i32) / clock
    }
}

fn parse_report(row: &[String]) -> Option<SenderReport> {
    let [ssrc, seconds, fraction, timestamp] = row else { return None };
    let first = |text: &String| text.split(',').next().map(str::to_owned);
    let ssrc = u32::from_str_radix(first(ssrc)?.trim_start_matches("0x"), 16).ok()?;
    let (seconds, fraction): (f64, f64) = (first(seconds)?.parse().ok()?, first(fraction)?.parse().ok()?);
    Some(SenderReport {
        ssrc,
        ntp: seconds + fraction / 4_294_967_296.0,
        timestamp: first(timestamp)?.parse().ok()?,
    })
}

fn parse_rtp(row: &[String]) -> Option<RtpPacket> {
    let [at, from, to, ssrc, sequence, timestamp, marker, payload_type, payload] = row else { return None };
    let hex = payload.replace(':', "");
    let byte = |at: usize| hex.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    Some(RtpPacket {
        at: at.parse().ok()?,
        from: from.parse().ok()?,
        to: to.parse().ok()?,
        ssrc: u32::from_str_radix(ssrc.trim_start_matches("0x"), 16).ok()?,
        sequence: sequence.parse().ok()?,
        timestamp: timestamp.parse().ok()?,
        marker: marker == "1" || marker == "True",
        payload_type: payload_type.parse().ok()?,
        payload: (0..hex.len()).step_by(2).map_while(byte).collect(),
    })
}
