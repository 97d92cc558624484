//! The bridge in a virtual machine's USB socket: the side of usbredir that has the device.
//!
//! ```text
//!  ▶ hello, interfaces, endpoints, connect ▶      ◀ control: descriptors, feature reports ▶
//!  ◀ interrupt out: output report                 ▶ interrupt in: input report
//! ```
//! Source: usbredir protocol 0.7 (usb-redirection-protocol.md); USB 2.0 chapter 9; HID 1.11 section 7.

use crate::bridge::{Bridge, DESCRIPTOR, PRODUCT, REPORT_BYTES, VENDOR};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

const HELLO: u32 = 0;
const DEVICE_CONNECT: u32 = 1;
const INTERFACE_INFO: u32 = 4;
const EP_INFO: u32 = 5;
const SET_CONFIGURATION: u32 = 6;
const GET_CONFIGURATION: u32 = 7;
const CONFIGURATION_STATUS: u32 = 8;
const SET_ALT_SETTING: u32 = 9;
const GET_ALT_SETTING: u32 = 10;
const ALT_SETTING_STATUS: u32 = 11;
const START_INTERRUPT: u32 = 15;
const STOP_INTERRUPT: u32 = 16;
const INTERRUPT_STATUS: u32 = 17;
const CONTROL: u32 = 100;
const INTERRUPT: u32 = 103;

/// What we can do: tell the device's version and the endpoints' largest packets; and what QEMU's xHCI wants of each host: numbers of 64
/// bits, and lengths of 32, which a device without bulk endpoints never has.
const CAPABILITIES: u32 = 1 << 1 | 1 << 4 | 1 << 5 | 1 << 6;
const VERSION_BYTES: usize = 64;
/// Largest body that is taken.
const BODY_BYTES: u32 = 64 * 1024;

const SUCCESS: u8 = 0;
const STALL: u8 = 4;
const IN: u8 = 0x81;
const OUT: u8 = 0x01;
const FULL_SPEED: u8 = 1;
const HID: u8 = 3;
/// Milliseconds between two looks at an endpoint.
const INTERVAL: u8 = 1;

const TO_HOST: u8 = 0x80;
const GET_STATUS: (u8, u8) = (0x80, 0);
const GET_DESCRIPTOR: (u8, u8) = (0x80, 6);
const GET_HID_DESCRIPTOR: (u8, u8) = (0x81, 6);
const GET_REPORT: (u8, u8) = (0xa1, 1);
const SET_REPORT: (u8, u8) = (0x21, 9);
const SET_IDLE: (u8, u8) = (0x21, 10);

const STRINGS: [&str; 4] = ["", "Gantry", "Front panel", "front-panel"];

/// Serves `bridge` to the machine that listens at `socket`, until that ends.
pub fn run(bridge: Bridge, socket: &Path) -> io::Result<()> {
    let stream = UnixStream::connect(socket)?;
    let mut device = Device { bridge, stream, greeted: false, input: 0 };
    device.greet()?;
    while let Some((kind, id, body)) = device.receive()? {
        device.take(kind, id, &body)?;
        device.bridge.tell();
    }
    Ok(())
}

struct Device {
    bridge: Bridge,
    stream: UnixStream,
    /// The machine has said hello: numbers of packets have 64 bits from then on.
    greeted: bool,
    /// How many input reports were sent.
    input: u64,
}

impl Device {
    fn send(&mut self, kind: u32, id: u64, body: &[u8]) -> io::Result<()> {
        let length = u32::try_from(body.len()).unwrap_or(0);
        let mut packet: Vec<u8> = [kind, length].iter().flat_map(|number| number.to_le_bytes()).collect();
        packet.extend(&id.to_le_bytes()[..self.id_bytes()]);
        packet.extend(body);
        self.stream.write_all(&packet)
    }

    fn id_bytes(&self) -> usize {
        if self.greeted { 8 } else { 4 }
    }

    /// `None` when the machine is gone.
    fn receive(&mut self) -> io::Result<Option<(u32, u64, Vec<u8>)>> {
        let mut header = [0; 16];
        let count = 8 + self.id_bytes();
        match self.stream.read_exact(&mut header[..count]) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        let [k0, k1, k2, k3, l0, l1, l2, l3, id @ ..] = header;
        let length = u32::from_le_bytes([l0, l1, l2, l3]).min(BODY_BYTES);
        let mut body = vec![0; usize::try_from(length).unwrap_or(0)];
        self.stream.read_exact(&mut body)?;
        Ok(Some((u32::from_le_bytes([k0, k1, k2, k3]), u64::from_le_bytes(id), body)))
    }

    fn greet(&mut self) -> io::Result<()> {
        let mut hello = b"gantry front panel".to_vec();
        hello.resize(VERSION_BYTES, 0);
        hello.extend(CAPABILITIES.to_le_bytes());
        self.send(HELLO, 0, &hello)
    }

    fn plug_in(&mut self) -> io::Result<()> {
        // One interface of class HID; numbers, classes, subclasses and protocols of 32.
        let mut interfaces = 1u32.to_le_bytes().to_vec();
        for value in [0, HID, 0, 0] {
            let mut all = [0u8; 32];
            all[0] = value;
            interfaces.extend(all);
        }
        self.send(INTERFACE_INFO, 0, &interfaces)?;
        let endpoints = endpoints();
        self.send(EP_INFO, 0, &endpoints)?;
        let mut connect = vec![FULL_SPEED, 0, 0, 0];
        for number in [VENDOR, PRODUCT, 0x0100] {
            connect.extend(number.to_le_bytes());
        }
        self.send(DEVICE_CONNECT, 0, &connect)
    }

    fn take(&mut self, kind: u32, id: u64, body: &[u8]) -> io::Result<()> {
        let first = body.first().copied().unwrap_or(0);
        match kind {
            HELLO => {
                self.greeted = true;
                self.plug_in()
            }
            SET_CONFIGURATION => self.send(CONFIGURATION_STATUS, id, &[SUCCESS, first]),
            GET_CONFIGURATION => self.send(CONFIGURATION_STATUS, id, &[SUCCESS, 1]),
            SET_ALT_SETTING | GET_ALT_SETTING => self.send(ALT_SETTING_STATUS, id, &[SUCCESS, first, 0]),
            START_INTERRUPT | STOP_INTERRUPT => self.send(INTERRUPT_STATUS, id, &[SUCCESS, first]),
            CONTROL => self.control(id, body),
            INTERRUPT => {
                let Some((head, report)) = body.split_at_checked(4) else { return Ok(()) };
                let report = &report[..report.len().min(REPORT_BYTES)];
                let answer = self.bridge.output(report);
                self.send(INTERRUPT, id, &[head[0], SUCCESS, head[2], head[3]])?;
                answer.map_or(Ok(()), |report| self.input(&report))
            }
            _ => Ok(()),
        }
    }

    /// The kernel takes an input report whole, as the device would send it.
    fn input(&mut self, report: &[u8]) -> io::Result<()> {
        let mut whole = report.to_vec();
        whole.resize(REPORT_BYTES - 1, 0);
        let [low, high] = u16::try_from(whole.len()).unwrap_or(0).to_le_bytes();
        let body = [&[IN, SUCCESS, low, high], &whole[..]].concat();
        let id = self.input;
        self.input = self.input.wrapping_add(1);
        self.send(INTERRUPT, id, &body)
    }

    fn control(&mut self, id: u64, body: &[u8]) -> io::Result<()> {
        let Some((head, data)) = body.split_at_checked(10) else { return Ok(()) };
        let &[endpoint, request, kind, _, v0, v1, i0, i1, l0, l1] = head else { return Ok(()) };
        let asked = usize::from(u16::from_le_bytes([l0, l1]));
        let answer = match (kind, request) {
            GET_STATUS => Some(vec![0, 0]),
            GET_DESCRIPTOR | GET_HID_DESCRIPTOR => descriptor(v1, v0),
            GET_REPORT => Some(self.bridge.feature(v0)).filter(|report| !report.is_empty()),
            SET_REPORT => {
                self.bridge.set_feature(data);
                Some(Vec::new())
            }
            SET_IDLE => Some(Vec::new()),
            _ => None,
        };
        let status = if answer.is_some() { SUCCESS } else { STALL };
        let mut answer = answer.unwrap_or_default();
        answer.truncate(asked);
        let length = if kind & TO_HOST == 0 { data.len() } else { answer.len() };
        let [l0, l1] = u16::try_from(length).unwrap_or(0).to_le_bytes();
        let head = [endpoint, request, kind, status, v0, v1, i0, i1, l0, l1];
        self.send(CONTROL, id, &[&head[..], &answer].concat())
    }
}

/// Types, intervals, interfaces and largest packets of 32 endpoints: 0 to 15 out, then in.
fn endpoints() -> Vec<u8> {
    const NONE: u8 = 255;
    const INTERRUPT_TYPE: u8 = 3;
    let (control, used) = ([0, 16], [1, 17]);
    let mut kinds = [NONE; 32];
    let mut intervals = [0; 32];
    let mut largest = [0u16; 32];
    for at in control {
        kinds[at] = 0;
        largest[at] = 64;
    }
    for at in used {
        kinds[at] = INTERRUPT_TYPE;
        intervals[at] = INTERVAL;
        largest[at] = 64;
    }
    let mut all = [kinds, intervals, [0; 32]].concat();
    all.extend(largest.iter().flat_map(|size| size.to_le_bytes()));
    all
}

/// A descriptor of `kind` and number `index`; `None` if there is none.
fn descriptor(kind: u8, index: u8) -> Option<Vec<u8>> {
    let report = u16::try_from(DESCRIPTOR.len()).unwrap_or(0).to_le_bytes();
    let hid = [9, 0x21, 0x11, 0x01, 0, 1, 0x22, report[0], report[1]];
    match kind {
        // Device.
        1 => {
            let (vendor, product) = (VENDOR.to_le_bytes(), PRODUCT.to_le_bytes());
            let ids = [vendor[0], vendor[1], product[0], product[1], 0x00, 0x01];
            Some([&[18, 1, 0x00, 0x02, 0, 0, 0, 64][..], &ids, &[1, 2, 3, 1]].concat())
        }
        // Configuration: one interface, two endpoints.
        2 => {
            let interface = [9, 4, 0, 0, 2, HID, 0, 0, 0];
            let endpoint = |address| [7, 5, address, 3, 64, 0, INTERVAL];
            let rest = [&interface[..], &hid, &endpoint(IN), &endpoint(OUT)].concat();
            let total = u8::try_from(9 + rest.len()).unwrap_or(0);
            Some([&[9, 2, total, 0, 1, 1, 0, 0x80, 50][..], &rest].concat())
        }
        // Strings; the first says in which language.
        3 if index == 0 => Some(vec![4, 3, 0x09, 0x04]),
        3 => {
            let text: Vec<u8> =
                STRINGS.get(usize::from(index))?.encode_utf16().flat_map(u16::to_le_bytes).collect();
            Some([&[u8::try_from(text.len() + 2).ok()?, 3][..], &text].concat())
        }
        0x21 => Some(hid.to_vec()),
        0x22 => Some(DESCRIPTOR.to_vec()),
        _ => None,
    }
}
