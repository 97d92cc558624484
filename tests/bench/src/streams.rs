//! Encoded streams as files have them, and as RTP has them.

use anyhow::{Context, Result, ensure};
use std::path::Path;

/// Longest payload sent.
const MTU: usize = 1_188;

/// The frames of an IVF file.
///
/// # Errors
/// If the file cannot be read or is no IVF.
pub fn ivf(path: &Path) -> Result<Vec<Vec<u8>>> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(bytes.starts_with(b"DKIF") && bytes.len() >= 32, "{} is no IVF", path.display());
    let (mut rest, mut frames) = (&bytes[32..], Vec::new());
    while let Some((header, body)) = rest.split_at_checked(12) {
        let size = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let (frame, after) = body.split_at_checked(size).context("IVF ends within a frame")?;
        frames.push(frame.to_vec());
        rest = after;
    }
    Ok(frames)
}

/// Writes frames of `width` by `height` as an IVF file of 30 pictures a second.
///
/// # Errors
/// If the file cannot be written.
pub fn write_ivf(path: &Path, frames: &[Vec<u8>], (width, height): (u32, u32)) -> Result<()> {
    let mut file = Vec::from(*b"DKIF\0\0\x20\0VP80");
    file.extend_from_slice(&(width as u16).to_le_bytes());
    file.extend_from_slice(&(height as u16).to_le_bytes());
    for number in [30, 1, frames.len() as u32, 0] {
        file.extend_from_slice(&number.to_le_bytes());
    }
    for (n, frame) in frames.iter().enumerate() {
        file.extend_from_slice(&(frame.len() as u32).to_le_bytes());
        file.extend_from_slice(&(n as u64).to_le_bytes());
        file.extend_from_slice(frame);
    }
    std::fs::write(path, file).with_context(|| format!("cannot write {}", path.display()))
}

/// The packets of an Ogg file (RFC 3533), the two header packets of Opus (RFC 7845) left out.
///
/// # Errors
/// If the file cannot be read or is no Ogg.
pub fn ogg_opus(path: &Path) -> Result<Vec<Vec<u8>>> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let (mut rest, mut packets, mut packet) = (&bytes[..], Vec::new(), Vec::new());
    while !rest.is_empty() {
        ensure!(rest.starts_with(b"OggS") && rest.len() > 27, "{} is no Ogg", path.display());
        let segments = usize::from(rest[26]);
        let (header, mut body) = rest.split_at_checked(27 + segments).context("Ogg ends within a header")?;
        for &lace in &header[27..] {
            let (part, after) = body.split_at_checked(usize::from(lace)).context("Ogg ends within a page")?;
            packet.extend_from_slice(part);
            if lace < 255 {
                packets.push(std::mem::take(&mut packet));
            }
            body = after;
        }
        rest = body;
    }
    packets.drain(..packets.len().min(2));
    Ok(packets)
}

/// The NAL units of each access unit of an Annex B stream; a picture begins with a slice whose first macroblock is 0.
#[must_use]
pub fn access_units(stream: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let (mut units, mut current, mut has_slice) = (Vec::new(), Vec::new(), false);
    for nal in codecs::h264::nal_units(stream) {
        let kind = nal[0] & 0x1f;
        let slice = matches!(kind, 1 | 5);
        let first = slice && nal.get(1).is_some_and(|byte| byte & 0x80 != 0);
        if has_slice && (first || !slice) {
            units.push(std::mem::take(&mut current));
            has_slice = false;
        }
        if slice || matches!(kind, 7 | 8) {
            current.push(nal.to_vec());
        }
        has_slice |= slice;
    }
    if has_slice {
        units.push(current);
    }
    units
}

/// One access unit in Annex B.
#[must_use]
pub fn annex_b(nals: &[Vec<u8>]) -> Vec<u8> {
    nals.iter().flat_map(|nal| [&[0, 0, 0, 1][..], nal].concat()).collect()
}

/// Payloads of one access unit: each NAL unit in a packet of its own, in FU-A if it is too long (RFC 6184).
#[must_use]
pub fn h264_payloads(nals: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    for nal in nals {
        if nal.len() <= MTU + 12 {
            payloads.push(nal.clone());
            continue;
        }
        let parts: Vec<&[u8]> = nal[1..].chunks(MTU - 2).collect();
        for (i, part) in parts.iter().enumerate() {
            let edge = u8::from(i == 0) << 7 | u8::from(i + 1 == parts.len()) << 6;
            payloads.push([&[nal[0] & 0xe0 | 28, edge | nal[0] & 0x1f], *part].concat());
        }
    }
    payloads
}

/// Payloads of one VP8 frame with the shortest descriptor (RFC 7741).
#[must_use]
pub fn vp8_payloads(frame: &[u8]) -> Vec<Vec<u8>> {
    let part = |(i, part): (usize, &[u8])| [&[if i == 0 { 0x10 } else { 0 }], part].concat();
    frame.chunks(MTU).enumerate().map(part).collect()
}

/// Appends what an RTP payload of VP8 holds to a frame.
pub fn unpack_vp8(payload: &[u8], frame: &mut Vec<u8>) {
    let Some(&first) = payload.first() else { return };
    let mut at = 1;
    if first & 0x80 != 0 {
        let extension = payload.get(1).copied().unwrap_or_default();
        at = 2;
        if extension & 0x80 != 0 {
            at += if payload.get(2).is_some_and(|id| id & 0x80 != 0) { 2 } else { 1 };
        }
        at += usize::from(extension & 0x40 != 0) + usize::from(extension & 0x30 != 0);
    }
    frame.extend_from_slice(payload.get(at..).unwrap_or_default());
}

/// What a reader needs of an RTP header (RFC 3550 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpHeader {
    /// Payload type.
    pub payload_type: u8,
    /// Last packet of a picture.
    pub marker: bool,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp.
    pub timestamp: u32,
    /// Source.
    pub ssrc: u32,
    /// Where the payload begins.
    pub payload: usize,
}

impl RtpHeader {
    /// Reads a packet's header; `None` if it is no RTP (RTCP is told by its type, RFC 5761).
    #[must_use]
    pub fn read(packet: &[u8]) -> Option<Self> {
        let [first, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3, ..] = *packet else { return None };
        if first >> 6 != 2 || (192..=223).contains(&second) {
            return None;
        }
        let mut payload = 12 + 4 * usize::from(first & 0x0f);
        if first & 0x10 != 0 {
            let words = packet.get(payload + 2..payload + 4)?;
            payload += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
        }
        (payload <= packet.len()).then_some(Self {
            payload_type: second & 0x7f,
            marker: second & 0x80 != 0,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([c0, c1, c2, c3]),
            payload,
        })
    }
}

/// Numbers the packets of one RTP stream.
#[derive(Debug, Clone)]
pub struct RtpWriter {
    payload_type: u8,
    ssrc: u32,
    sequence: u16,
}

impl RtpWriter {
    /// A stream of this payload type and source.
    #[must_use]
    pub const fn new(payload_type: u8, ssrc: u32) -> Self {
        Self { payload_type, ssrc, sequence: 0 }
    }

    /// The next packet.
    pub fn packet(&mut self, marker: bool, timestamp: u32, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x80, self.payload_type | u8::from(marker) << 7];
        packet.extend_from_slice(&self.sequence.to_be_bytes());
        packet.extend_from_slice(&timestamp.to_be_bytes());
        packet.extend_from_slice(&self.ssrc.to_be_bytes());
        packet.extend_from_slice(payload);
        self.sequence = self.sequence.wrapping_add(1);
        packet
    }

    /// The packets of one picture.
    pub fn picture(&mut self, timestamp: u32, payloads: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let last = payloads.len().saturating_sub(1);
        payloads.iter().enumerate().map(|(i, payload)| self.packet(i == last, timestamp, payload)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_come_out_of_rtp_as_they_went_in() {
        let nals = vec![vec![0x67, 1, 2], vec![0x68, 3], [&[0x65, 0x88][..], &[7; 5_000]].concat()];
        let mut stream = Vec::new();
        for payload in h264_payloads(&nals) {
            assert!(payload.len() <= 1_200);
            e2e::wire::unpack_h264(&payload, &mut stream);
        }
        assert_eq!(stream, annex_b(&nals));
        assert_eq!(access_units(&[annex_b(&nals), annex_b(&nals)].concat()), [nals.clone(), nals]);

        let (frame, mut back) = (vec![9; 3_000], Vec::new());
        vp8_payloads(&frame).iter().for_each(|payload| unpack_vp8(payload, &mut back));
        assert_eq!(back, frame);
    }

    #[test]
    fn a_picture_of_many_slices_is_one_access_unit() {
        let slice = |first: u8| vec![0x41, first, 1, 2];
        let stream = annex_b(&[slice(0x9a), slice(0x10), slice(0x20), slice(0x9a), slice(0x10)]);
        let lengths: Vec<usize> = access_units(&stream).iter().map(Vec::len).collect();
        assert_eq!(lengths, [3, 2]);
    }

    #[test]
    fn rtp_headers_are_read_as_written_and_rtcp_is_not_rtp() {
        let mut writer = RtpWriter::new(97, 5);
        let packets = writer.picture(3_000, &[vec![1], vec![2]]);
        let headers: Vec<_> = packets.iter().filter_map(|packet| RtpHeader::read(packet)).collect();
        assert_eq!(headers.iter().map(|header| header.marker).collect::<Vec<_>>(), [false, true]);
        assert!(
            headers.iter().all(|header| (header.ssrc, header.timestamp, header.payload) == (5, 3_000, 12))
        );
        assert_eq!(RtpHeader::read(&[0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]), None);
        assert_eq!(RtpHeader::read(&[0x90, 97, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), None);
    }

    #[test]
    fn ivf_files_are_read_as_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.ivf");
        let frames = vec![vec![1, 2, 3], vec![], vec![4; 100]];
        write_ivf(&path, &frames, (16, 16)).expect("written");
        assert_eq!(ivf(&path).expect("read"), frames);
    }
}
