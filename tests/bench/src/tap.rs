//! Every UDP packet on the loopback interface with the kernel's time: the one clock that all delays are measured by.

use anyhow::{Context, Result, ensure};
use std::io::Read;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A packet that was on the wire.
#[derive(Debug, Clone, PartialEq)]
pub struct Captured {
    /// Seconds since 1970.
    pub at: f64,
    /// Port it left by.
    pub from: u16,
    /// Port it went to.
    pub to: u16,
    /// What it carried.
    pub data: Vec<u8>,
}

/// A capture that runs. Dropping it ends it.
pub struct Tap {
    child: Child,
    packets: Arc<Mutex<Vec<Captured>>>,
    reader: Option<JoinHandle<()>>,
}

impl Tap {
    /// Begins to capture UDP on `lo`; returns once it does.
    ///
    /// # Errors
    /// If `dumpcap` can't be started or may not capture.
    pub fn start() -> Result<Self> {
        let mut child = Command::new("dumpcap")
            .args(["-q", "-i", "lo", "-P", "-B", "64", "-f", "udp", "-w", "-"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start dumpcap; install tshark")?;
        let mut output = child.stdout.take().context("no pipe")?;
        let mut header = [0; 24];
        let begun = output.read_exact(&mut header);
        ensure!(
            begun.is_ok() && header[..4] == [0xd4, 0xc3, 0xb2, 0xa1],
            "dumpcap does not capture on lo; run as root or as a member of the group wireshark"
        );
        let packets = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&packets);
        let reader = std::thread::Builder::new().name("tap".into()).spawn(move || read(output, &kept))?;
        Ok(Self { child, packets, reader: Some(reader) })
    }

    /// Ends it and hands out what it saw, by time.
    ///
    /// # Errors
    /// If it captured nothing.
    pub fn stop(mut self) -> Result<Vec<Captured>> {
        // dumpcap hands packets out a few times a second
        std::thread::sleep(Duration::from_millis(700));
        self.end();
        let mut packets = std::mem::take(&mut *self.packets.lock().unwrap_or_else(PoisonError::into_inner));
        packets.sort_by(|a, b| a.at.total_cmp(&b.at));
        ensure!(!packets.is_empty(), "nothing was captured on lo");
        Ok(packets)
    }

    fn end(&mut self) {
        let asked = Command::new("kill").arg("-INT").arg(self.child.id().to_string()).status();
        let deadline = Instant::now() + Duration::from_secs(3);
        while asked.is_ok() && Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        // It has ended, or does now.
        drop(self.child.kill());
        drop(self.child.wait());
        if let Some(reader) = self.reader.take() {
            drop(reader.join());
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        if self.reader.is_some() {
            self.end();
        }
    }
}

fn read(mut output: ChildStdout, packets: &Mutex<Vec<Captured>>) {
    let mut header = [0; 16];
    while output.read_exact(&mut header).is_ok() {
        let word =
            |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let mut frame = vec![0; word(8) as usize];
        if output.read_exact(&mut frame).is_err() {
            return;
        }
        let at = f64::from(word(0)) + f64::from(word(4)) / 1e6;
        if let Some(packet) = udp(at, &frame) {
            packets.lock().unwrap_or_else(PoisonError::into_inner).push(packet);
        }
    }
}

/// The UDP packet in an Ethernet frame with IPv4.
fn udp(at: f64, frame: &[u8]) -> Option<Captured> {
    let ip = frame.get(14..)?;
    let header = 4 * usize::from(ip.first()? & 0x0f);
    let [f0, f1, t0, t1, _, _, _, _, data @ ..] = ip.get(header..)? else { return None };
    let port = |high: &u8, low: &u8| u16::from_be_bytes([*high, *low]);
    (ip[0] >> 4 == 4 && *ip.get(9)? == 17).then(|| Captured {
        at,
        from: port(f0, f1),
        to: port(t0, t1),
        data: data.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_udp_packet_is_found_in_its_frame() {
        let mut frame = vec![0; 14];
        frame.extend_from_slice(&[0x45, 0, 0, 30, 0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1]);
        frame.extend_from_slice(&[0x13, 0xc4, 0x13, 0xc5, 0, 10, 0, 0, 7, 8]);
        let packet = udp(1.5, &frame).expect("a packet");
        assert_eq!(packet, Captured { at: 1.5, from: 5_060, to: 5_061, data: vec![7, 8] });
        frame[23] = 6;
        assert_eq!(udp(1.5, &frame), None);
        assert_eq!(udp(1.5, &frame[..20]), None);
    }
}
