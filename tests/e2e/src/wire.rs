//! Media as it is on the wire, for rooms played from a capture and for reading what a room was sent.
//!
//! Written apart from the product's own packetisers, from RFC 6184 and RFC 3551, so that the one judges the other; the
//! decoding is ffmpeg's.

use crate::pattern::{self, Luma, Reading};
use crate::referee::RtpPacket;
use crate::sound::Sound;
use anyhow::{Context, Result, ensure};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// Longest payload written.
const MTU: usize = 1_200;

/// A packet to be played, at a time counted from the start.
#[derive(Debug, Clone, PartialEq)]
pub struct Played {
    /// Seconds from the start.
    pub at: f64,
    /// The RTP packet.
    pub data: Vec<u8>,
}

/// Writes one RTP header and payload.
fn rtp(payload_type: u8, marker: bool, sequence: u16, timestamp: u32, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type | u8::from(marker) << 7];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&timestamp.to_be_bytes());
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}

/// Splits an Annex B stream into its NAL units.
#[must_use]
pub fn nal_units(stream: &[u8]) -> Vec<&[u8]> {
    let starts: Vec<usize> =
        stream.windows(3).enumerate().filter(|(_, w)| *w == [0, 0, 1]).map(|(i, _)| i + 3).collect();
    let ends = starts.iter().skip(1).map(|next| next - 3).chain([stream.len()]);
    let unit = |(start, end): (&usize, usize)| {
        let unit = &stream[*start..end];
        let zeroes = unit.iter().rev().take_while(|byte| **byte == 0).count();
        &unit[..unit.len() - zeroes]
    };
    starts.iter().zip(ends).map(unit).filter(|unit| !unit.is_empty()).collect()
}

/// One picture: the parameter sets before it and its slices.
struct AccessUnit<'a> {
    sets: Vec<&'a [u8]>,
    slices: Vec<&'a [u8]>,
}

/// The pictures of an Annex B stream. An encoder with several threads makes several slices of each.
fn access_units(stream: &[u8]) -> Vec<AccessUnit<'_>> {
    let (mut pictures, mut sets): (Vec<AccessUnit<'_>>, _) = (Vec::new(), Vec::new());
    for unit in nal_units(stream) {
        match (unit[0] & 0x1f, pictures.last_mut()) {
            (7 | 8, _) => sets.push(unit),
            // first_mb_in_slice (H.264 7.3.3) of 0 is the single bit 1: here a picture begins.
            (1 | 5, Some(picture)) if unit.get(1).is_some_and(|bits| bits & 0x80 == 0) => {
                picture.slices.push(unit);
            }
            (1 | 5, _) => {
                pictures.push(AccessUnit { sets: std::mem::take(&mut sets), slices: vec![unit] });
            }
            _ => {}
        }
    }
    pictures
}

/// Packs an Annex B stream for packetization-mode 1: parameter sets together in a STAP-A, long slices in FU-A. All slices of
/// a picture have its time.
#[must_use]
pub fn pack_h264(stream: &[u8], fps: u32, payload_type: u8) -> Vec<Played> {
    let (mut packets, mut sequence) = (Vec::new(), 0_u16);
    for (picture, unit) in (0_u32..).zip(access_units(stream)) {
        let at = f64::from(picture) / f64::from(fps);
        let timestamp = picture * (90_000 / fps);
        let sets = (!unit.sets.is_empty()).then(|| stap_a(&unit.sets));
        let payloads: Vec<Vec<u8>> =
            sets.into_iter().chain(unit.slices.iter().flat_map(|slice| fu_a(slice))).collect();
        for (i, payload) in payloads.iter().enumerate() {
            let marker = i + 1 == payloads.len();
            packets.push(Played {
                at,
                data: rtp(payload_type, marker, sequence, timestamp, 0x1234_5678, payload),
            });
            sequence = sequence.wrapping_add(1);
        }
    }
    packets
}

fn stap_a(units: &[&[u8]]) -> Vec<u8> {
    let mut payload = vec![0x78];
    for unit in units {
        payload.extend_from_slice(&(unit.len() as u16).to_be_bytes());
        payload.extend_from_slice(unit);
    }
    payload
}

fn fu_a(unit: &[u8]) -> Vec<Vec<u8>> {
    if unit.len() <= MTU {
        return vec![unit.to_vec()];
    }
    let (header, body) = (unit[0], &unit[1..]);
    let parts: Vec<&[u8]> = body.chunks(MTU - 2).collect();
    let fragment = |(i, part): (usize, &&[u8])| {
        let start = u8::from(i == 0) << 7;
        let end = u8::from(i + 1 == parts.len()) << 6;
        [&[header & 0xe0 | 28, start | end | header & 0x1f], *part].concat()
    };
    parts.iter().enumerate().map(fragment).collect()
}

/// Packs sound as G.711 µ-law, 20 ms a packet.
#[must_use]
pub fn pack_pcmu(sound: &Sound) -> Vec<Played> {
    let encoded: Vec<u8> = sound.samples.iter().map(|sample| mu_law((sample * 32_767.0) as i16)).collect();
    let packet = |(i, payload): (usize, &[u8])| Played {
        at: i as f64 * 0.02,
        data: rtp(0, i == 0, i as u16, i as u32 * 160, 0x8765_4321, payload),
    };
    encoded.chunks_exact(160).enumerate().map(packet).collect()
}

/// ITU-T G.711 µ-law.
fn mu_law(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = i32::from(sample).abs().min(32_635) + 132;
    let exponent = (31 - magnitude.leading_zeros() as i32 - 7).clamp(0, 7);
    let mantissa = magnitude >> (exponent + 3) & 0x0f;
    !(sign | (exponent << 4) as u8 | mantissa as u8)
}

/// Port that a capture file's first stream goes to; sipp moves all ports of a file by the same distance.
pub const FIRST_PORT: u16 = 6_000;

/// Writes streams as a capture file (Ethernet, IPv4, UDP) that sipp plays: the first one to the port of the line it is
/// played on, each further one two ports above.
///
/// # Errors
/// If the file cannot be written.
pub fn write_pcap(streams: &[Vec<Played>], path: &Path) -> Result<()> {
    let ports = (FIRST_PORT..).step_by(2);
    let mut packets: Vec<(u16, &Played)> = ports
        .zip(streams)
        .flat_map(|(port, stream)| stream.iter().map(move |packet| (port, packet)))
        .collect();
    packets.sort_by(|(_, a), (_, b)| a.at.total_cmp(&b.at));
    let mut file = Vec::new();
    file.extend_from_slice(&[
        0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0, 0, 0,
    ]);
    for (port, packet) in packets {
        let udp = packet.data.len() as u16 + 8;
        let micros = (packet.at * 1e6).round() as u64;
        let length = u32::from(udp) + 34;
        for word in [(micros / 1_000_000) as u32, (micros % 1_000_000) as u32, length, length] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        file.extend_from_slice(&[0; 12]);
        file.extend_from_slice(&[8, 0, 0x45, 0]);
        file.extend_from_slice(&(udp + 20).to_be_bytes());
        file.extend_from_slice(&[0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1]);
        for half in [port, port, udp, 0] {
            file.extend_from_slice(&half.to_be_bytes());
        }
        file.extend_from_slice(&packet.data);
    }
    std::fs::write(path, file).with_context(|| format!("cannot write {}", path.display()))
}

/// A picture that a room was sent.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenPicture {
    /// When its last packet was on the wire, in seconds since the epoch.
    pub at: f64,
    /// Its RTP timestamp.
    pub timestamp: u32,
    /// What it showed.
    pub picture: Luma,
}

impl SeenPicture {
    /// The test pattern, if it fills the picture.
    #[must_use]
    pub fn reading(&self) -> Option<Reading> {
        pattern::read(&self.picture)
    }
}

/// Decodes the H.264 pictures in `packets` (one stream, any packetization-mode) with ffmpeg.
///
/// # Errors
/// If ffmpeg fails or gives another number of pictures than were sent.
pub fn h264_pictures(packets: &[RtpPacket]) -> Result<Vec<SeenPicture>> {
    let (mut stream, mut times) = (Vec::new(), Vec::new());
    for packet in packets {
        unpack_h264(&packet.payload, &mut stream);
        if packet.marker {
            times.push((packet.at, packet.timestamp));
        }
    }
    let (size, frames) = decode_grey(&stream)?;
    ensure!(
        frames.len().abs_diff(times.len()) <= 2,
        "{} pictures sent, {} decoded",
        times.len(),
        frames.len()
    );
    let picture = |((at, timestamp), pixels): ((f64, u32), Vec<u8>)| {
        let picture = Luma { width: size.0, height: size.1, pixels };
        SeenPicture { at, timestamp, picture }
    };
    Ok(times.into_iter().zip(frames).map(picture).collect())
}

/// Appends what an RTP payload of H.264 holds to an Annex B stream (RFC 6184: single NAL unit, STAP-A, FU-A).
pub fn unpack_h264(payload: &[u8], stream: &mut Vec<u8>) {
    const START: [u8; 4] = [0, 0, 0, 1];
    match payload.first().map(|header| header & 0x1f) {
        Some(24) => {
            let mut rest = &payload[1..];
            while let [high, low, tail @ ..] = rest {
                let length = usize::from(u16::from_be_bytes([*high, *low])).min(tail.len());
                stream.extend_from_slice(&START);
                stream.extend_from_slice(&tail[..length]);
                rest = &tail[length..];
            }
        }
        Some(28) if payload.len() > 2 => {
            if payload[1] & 0x80 != 0 {
                stream.extend_from_slice(&START);
                stream.push(payload[0] & 0xe0 | payload[1] & 0x1f);
            }
            stream.extend_from_slice(&payload[2..]);
        }
        Some(1..=23) => {
            stream.extend_from_slice(&START);
            stream.extend_from_slice(payload);
        }
        _ => {}
    }
}

type Frames = ((usize, usize), Vec<Vec<u8>>);

/// Decodes Annex B to grey pictures through YUV4MPEG, whose header says the size.
fn decode_grey(stream: &[u8]) -> Result<Frames> {
    let arguments = ["-v", "error", "-f", "h264", "-i", "-", "-fps_mode", "passthrough"];
    let output = pipe(
        "ffmpeg",
        &[&arguments[..], &["-f", "yuv4mpegpipe", "-strict", "-1", "-pix_fmt", "gray", "-"]].concat(),
        stream,
    )?;
    let header_end = output.iter().position(|byte| *byte == b'\n').context("ffmpeg decoded nothing")?;
    let header = String::from_utf8_lossy(&output[..header_end]);
    let number = |key: char| header.split(' ').find_map(|word| word.strip_prefix(key)?.parse::<usize>().ok());
    let size = (number('W').context("no width")?, number('H').context("no height")?);
    let frame = size.0 * size.1 + b"FRAME\n".len();
    let frames = output[header_end + 1..]
        .chunks_exact(frame)
        .map(|frame| frame[b"FRAME\n".len()..].to_vec())
        .collect();
    Ok((size, frames))
}

/// The sound in `packets` of one stream, decoded by ffmpeg; `format` is ffmpeg's name of the raw codec (`mulaw`, `alaw`,
/// `g722`). Sample `i` came with packet `i / samples_per_packet`.
///
/// # Errors
/// If ffmpeg fails.
pub fn raw_sound(packets: &[RtpPacket], format: &str, rate: u32) -> Result<Sound> {
    let encoded: Vec<u8> = packets.iter().flat_map(|packet| packet.payload.iter().copied()).collect();
    let rate_text = rate.to_string();
    let input: &[&str] = match format {
        "g722" => &["-v", "error", "-f", "g722", "-i", "-"],
        other => &["-v", "error", "-f", other, "-ar", &rate_text, "-ac", "1", "-i", "-"],
    };
    let output = pipe("ffmpeg", &[input, &["-f", "s16le", "-ar", &rate_text, "-"]].concat(), &encoded)?;
    let sample = |pair: &[u8]| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32_768.0;
    Ok(Sound { rate, samples: output.chunks_exact(2).map(sample).collect() })
}

fn pipe(program: &str, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    let mut stdin = child.stdin.take().context("no pipe")?;
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let mut output = Vec::new();
    child.stdout.take().context("no pipe")?.read_to_end(&mut output)?;
    let ended = child.wait()?;
    // A reader that has enough closes the pipe early; what counts is what it made of the input.
    drop(writer.join());
    ensure!(ended.success() || !output.is_empty(), "{program} failed: {ended}");
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{picture, sound};

    #[test]
    fn the_slices_of_a_picture_share_its_time() {
        let unit = |header: u8, first: u8| [&[0, 0, 1, header, first][..], &[0x55; 20]].concat();
        // two pictures of two slices each, the first with its sets
        let (sets, idr, slice) = ([unit(0x67, 0x42), unit(0x68, 0xce)], 0x65, 0x41);
        let slices = [unit(idr, 0x88), unit(idr, 0x0f), unit(slice, 0x9a), unit(slice, 0x0e)];
        let packets = pack_h264(&[sets.concat(), slices.concat()].concat(), 30, 97);
        let times: Vec<_> =
            received(&packets).iter().map(|packet| (packet.timestamp, packet.marker)).collect();
        assert_eq!(times, [(0, false), (0, false), (0, true), (3_000, false), (3_000, true)]);
    }

    fn received(played: &[Played]) -> Vec<RtpPacket> {
        let packet = |played: &Played| RtpPacket {
            at: played.at,
            from: 1,
            to: 2,
            ssrc: 3,
            sequence: u16::from_be_bytes([played.data[2], played.data[3]]),
            timestamp: u32::from_be_bytes([played.data[4], played.data[5], played.data[6], played.data[7]]),
            marker: played.data[1] & 0x80 != 0,
            payload_type: played.data[1] & 0x7f,
            payload: played.data[12..].to_vec(),
        };
        played.iter().map(packet).collect()
    }

    #[test]
    fn pictures_packed_with_fu_a_and_stap_a_are_read_back_with_their_numbers() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pattern.h264");
        let output = [
            "-c:v",
            "libx264",
            "-profile:v",
            "baseline",
            "-g",
            "15",
            "-f",
            "h264",
            path.to_str().expect("text"),
        ];
        picture::make_video(640, 360, 30, 30, &output).expect("encoded");
        let packets = pack_h264(&std::fs::read(&path).expect("read"), 30, 97);
        let kinds: std::collections::BTreeSet<u8> =
            packets.iter().map(|packet| packet.data[12] & 0x1f).collect();
        assert!(kinds.contains(&24) && kinds.contains(&28), "kinds of payload: {kinds:?}");
        let seen = h264_pictures(&received(&packets)).expect("decoded");
        let numbers: Vec<_> = seen.iter().filter_map(|seen| Some(seen.reading()?.number)).collect();
        assert_eq!(numbers, (0..30).collect::<Vec<_>>());
    }

    #[test]
    fn sound_packed_as_pcmu_is_heard_at_its_pitch() {
        let sound = sound::tone(8_000, 1.0, 440.0, false);
        let heard = raw_sound(&received(&pack_pcmu(&sound)), "mulaw", 8_000).expect("decoded");
        assert!(heard.share_with(440.0, 0.0) > 0.9);
        assert!((heard.level(440.0, 0.0, 1.0) - sound.level(440.0, 0.0, 1.0)).abs() < 0.01);
    }
}
