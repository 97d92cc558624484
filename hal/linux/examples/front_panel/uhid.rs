//! The bridge on this machine: to the kernel it is a USB device that somebody plugged in (`/dev/uhid`).
//!
//! Source: linux/uhid.h.

use crate::bridge::{Bridge, DESCRIPTOR, PRODUCT, REPORT_BYTES, VENDOR};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};

const EVENT_BYTES: usize = 4 + 4372;
const DATA_BYTES: usize = 4096;

const OUTPUT: u32 = 6;
const GET_REPORT: u32 = 9;
const GET_REPORT_REPLY: u32 = 10;
const CREATE2: u32 = 11;
const INPUT2: u32 = 12;
const SET_REPORT: u32 = 13;
const SET_REPORT_REPLY: u32 = 14;

/// Serves `bridge` until the kernel takes it away.
pub fn run(mut bridge: Bridge) -> io::Result<()> {
    let mut uhid = OpenOptions::new().read(true).write(true).open("/dev/uhid")?;
    uhid.write_all(&create())?;
    let mut event = vec![0; EVENT_BYTES];
    loop {
        let length = uhid.read(&mut event)?;
        take(&mut bridge, &event[..length], &mut uhid)?;
        bridge.tell();
    }
}

fn take(bridge: &mut Bridge, event: &[u8], uhid: &mut File) -> io::Result<()> {
    let (kind, body) = (number(event, 0), event.get(4..).unwrap_or_default());
    match kind {
        OUTPUT => {
            let length = usize::from(short(body, DATA_BYTES)).min(REPORT_BYTES);
            let Some(report) = bridge.output(&body[..length]) else { return Ok(()) };
            let mut event = INPUT2.to_le_bytes().to_vec();
            event.extend(u16::try_from(report.len()).unwrap_or(0).to_le_bytes());
            event.extend(report);
            uhid.write_all(&event)
        }
        GET_REPORT => {
            let data = bridge.feature(body.get(4).copied().unwrap_or(0));
            let mut reply = GET_REPORT_REPLY.to_le_bytes().to_vec();
            reply.extend(&body[..4]);
            reply.extend(u16::from(data.is_empty()).to_le_bytes());
            reply.extend(u16::try_from(data.len()).unwrap_or(0).to_le_bytes());
            reply.extend(data);
            uhid.write_all(&reply)
        }
        SET_REPORT => {
            let length = usize::from(short(body, 6)).min(REPORT_BYTES);
            bridge.set_feature(&body[8..8 + length]);
            let mut reply = SET_REPORT_REPLY.to_le_bytes().to_vec();
            reply.extend(&body[..4]);
            reply.extend([0, 0]);
            uhid.write_all(&reply)
        }
        _ => Ok(()),
    }
}

/// What makes the kernel see a CP2112.
fn create() -> Vec<u8> {
    let mut event = CREATE2.to_le_bytes().to_vec();
    let mut text = |text: &str, room: usize| {
        event.extend(text.as_bytes());
        event.extend(std::iter::repeat_n(0, room - text.len()));
    };
    text("Gantry front panel", 128);
    text("front-panel", 64);
    text("", 64);
    event.extend(u16::try_from(DESCRIPTOR.len()).unwrap_or(0).to_le_bytes());
    event.extend(3u16.to_le_bytes());
    for number in [VENDOR.into(), PRODUCT.into(), 0x0100u32, 0] {
        event.extend(number.to_le_bytes());
    }
    event.extend(DESCRIPTOR);
    event.resize(EVENT_BYTES, 0);
    event
}

fn number(bytes: &[u8], at: usize) -> u32 {
    [0, 1, 2, 3]
        .iter()
        .rev()
        .fold(0, |value, offset| value << 8 | bytes.get(at + offset).copied().map_or(0, u32::from))
}

fn short(bytes: &[u8], at: usize) -> u16 {
    [0, 1]
        .iter()
        .rev()
        .fold(0, |value, offset| value << 8 | bytes.get(at + offset).copied().map_or(0, u16::from))
}
