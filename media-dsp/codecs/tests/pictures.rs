//! What the picture codecs promise: readable, at the rate asked for, in units of the length asked for, and unshaken by
//! loss and nonsense.

#![allow(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod pattern;

use codecs::h264::{self, nal_units};
use codecs::{DecodeError, Decoded, Encoded, Picture, VideoDecoder, VideoEncoder, VideoSettings, vp8};
use kernels::{I420, View};
use std::time::Duration;

fn settings(width: u32, height: u32, bps: u32) -> VideoSettings {
    VideoSettings { width, height, fps: 30, bps, max_nal_bytes: None }
}

fn at(frame: u64) -> Duration {
    Duration::from_millis(frame * 100 / 3)
}

fn h264(settings: VideoSettings) -> Box<dyn VideoEncoder> {
    Box::new(h264::Encoder::new(settings).unwrap())
}

fn vp8(settings: VideoSettings) -> Box<dyn VideoEncoder> {
    Box::new(vp8::Encoder::new(settings).unwrap())
}

type Pair = (&'static str, Box<dyn VideoEncoder>, Box<dyn VideoDecoder>);

fn pairs(settings: VideoSettings) -> Vec<Pair> {
    vec![
        ("H264", h264(settings), Box::new(h264::Decoder::new().unwrap())),
        ("VP8", vp8(settings), Box::new(vp8::Decoder::new().unwrap())),
    ]
}

fn encode(encoder: &mut dyn VideoEncoder, picture: &I420, n: u64, how: Picture) -> (Encoded, Vec<u8>) {
    encode_view(encoder, &picture.view(), n, how)
}

fn encode_view(encoder: &mut dyn VideoEncoder, view: &View<'_>, n: u64, how: Picture) -> (Encoded, Vec<u8>) {
    let mut out = Vec::new();
    let made = encoder.encode(view, at(n), how, &mut out).unwrap();
    assert_eq!(made == Encoded::Skipped, out.is_empty());
    (made, out)
}

/// Frames of the numbered pattern; what was skipped is left out.
fn stream(encoder: &mut dyn VideoEncoder, width: u32, height: u32, frames: u64) -> Vec<(u16, Vec<u8>)> {
    (0..frames)
        .map(|n| {
            let picture = grainy(width, height, n as u16);
            (n as u16, encode(encoder, &picture, n, Picture::Any).1)
        })
        .filter(|(_, frame)| !frame.is_empty())
        .collect()
}

/// The number that a decoder shows.
fn shown(decoder: &dyn VideoDecoder) -> Option<u16> {
    pattern::number(&decoder.picture()?)
}

/// The pattern with grain in its lower half, which no encoder gets for free.
fn grainy(width: u32, height: u32, number: u16) -> I420 {
    let mut picture = pattern::picture(width, height, number);
    let mut state = u32::from(number) * 2 + 1;
    let from = picture.view().strides()[0] * height as usize / 2;
    for byte in &mut picture.view_mut().planes()[0][from..] {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = byte.saturating_add((state >> 27) as u8);
    }
    picture
}

#[test]
fn numbers_and_colours_stay_readable_through_h264_then_vp8() {
    let mut first = (h264(settings(1280, 720, 1_500_000)), h264::Decoder::new().unwrap());
    let mut second = (vp8(settings(1280, 720, 1_500_000)), vp8::Decoder::new().unwrap());
    let mut read = 0;
    for n in 0..30 {
        let (made, frame) =
            encode(&mut *first.0, &pattern::picture(1280, 720, n), u64::from(n), Picture::Any);
        if made == Encoded::Skipped {
            continue;
        }
        assert_eq!(first.1.decode(&frame), Ok(Decoded::Whole));
        let middle = first.1.picture().unwrap();
        let (made, frame) = encode_view(&mut *second.0, &middle, u64::from(n), Picture::Any);
        if made == Encoded::Skipped {
            continue;
        }
        assert_eq!(second.1.decode(&frame), Ok(Decoded::Whole));
        let last = second.1.picture().unwrap();
        assert_eq!(pattern::number(&last), Some(n));
        assert!(pattern::bars_error(&last) <= 12, "picture {n}: {}", pattern::bars_error(&last));
        read += 1;
    }
    assert!(read >= 27, "{read} of 30 pictures came through");
}

#[test]
fn only_the_first_picture_and_those_asked_for_stand_alone() {
    for (name, mut encoder, _) in pairs(settings(640, 360, 500_000)) {
        for n in 0..40_u64 {
            let how = if n == 20 { Picture::Key } else { Picture::Any };
            // a cut at 10 must not make one
            let picture = pattern::picture(640, 360, if n < 10 { n as u16 } else { !(n as u16) });
            let (made, frame) = encode(&mut *encoder, &picture, n, how);
            assert_eq!(made == Encoded::Key, n == 0 || n == 20, "{name} picture {n}");
            if name == "H264" && made == Encoded::Key {
                let types: Vec<u8> = nal_units(&frame).map(|unit| unit[0] & 0x1f).collect();
                assert_eq!(types, [7, 8, 5], "SPS and PPS come with each IDR");
                let sps = nal_units(&frame).next().unwrap();
                assert_eq!((sps[1], sps[2] & 0x40), (66, 0x40), "constrained baseline");
            }
            if name == "VP8" {
                assert_eq!(vp8::is_key(&frame), made == Encoded::Key);
            }
        }
    }
}

#[test]
fn no_nal_unit_is_longer_than_packetization_mode_0_allows() {
    for limit in [h264::MIN_NAL_BYTES, 1100, 1180] {
        let mut encoder =
            h264(VideoSettings { max_nal_bytes: Some(limit), ..settings(1280, 720, 4_000_000) });
        let mut decoder = h264::Decoder::new().unwrap();
        let mut most = 0;
        for n in 0..12_u64 {
            let picture = grainy(1280, 720, n as u16);
            let how = if n % 6 == 3 { Picture::Key } else { Picture::Any };
            let (made, frame) = encode(&mut *encoder, &picture, n, how);
            if made == Encoded::Skipped {
                continue;
            }
            most = most.max(nal_units(&frame).map(<[u8]>::len).max().unwrap());
            assert_eq!(decoder.decode(&frame), Ok(Decoded::Whole));
        }
        assert!(most <= limit, "a unit of {most} bytes with a limit of {limit}");
        assert!(most > limit / 2, "units of {most} bytes waste a limit of {limit}");
    }
    let refused =
        h264::Encoder::new(VideoSettings { max_nal_bytes: Some(100), ..settings(640, 360, 500_000) });
    assert!(refused.is_err());
}

#[test]
fn a_new_bit_rate_takes_effect_at_once_and_without_a_new_key_picture() {
    for (name, mut encoder, _) in pairs(settings(640, 360, 1_000_000)) {
        let mut bytes = [0; 3];
        for n in 0..270_u64 {
            match n {
                90 => encoder.set_bitrate(250_000).unwrap(),
                180 => encoder.set_bitrate(800_000).unwrap(),
                _ => {}
            }
            let picture = grainy(640, 360, n as u16);
            let (made, frame) = encode(&mut *encoder, &picture, n, Picture::Any);
            assert!(made != Encoded::Key || n == 0, "{name} picture {n}");
            // the first second of each part is for settling
            if n % 90 >= 30 {
                bytes[(n / 90) as usize] += frame.len();
            }
        }
        let bps = bytes.map(|b| b * 8 / 2);
        assert!((700_000..1_300_000).contains(&bps[0]), "{name}: {bps:?}");
        assert!((150_000..350_000).contains(&bps[1]), "{name}: {bps:?}");
        assert!((550_000..1_050_000).contains(&bps[2]), "{name}: {bps:?}");
    }
}

#[test]
fn h264_pictures_with_lost_slices_are_concealed_and_shown() {
    let mut encoder = h264(VideoSettings { max_nal_bytes: Some(1000), ..settings(640, 360, 1_000_000) });
    let frames = stream(&mut *encoder, 640, 360, 90);
    let sliced = (20..frames.len()).filter(|&i| nal_units(&frames[i].1).count() > 2);
    let hurt: Vec<usize> = sliced.step_by(10).take(3).collect();
    assert_eq!(hurt.len(), 3, "there are slices to lose");
    let mut decoder = h264::Decoder::new().unwrap();
    let (mut pictures, mut concealed) = (0, 0);
    for (i, (_, frame)) in frames.iter().enumerate() {
        let units: Vec<&[u8]> = nal_units(frame).collect();
        let lossy: Vec<u8> = units
            .iter()
            .enumerate()
            .filter(|(slice, _)| !(hurt.contains(&i) && *slice == 1))
            .flat_map(|(_, unit)| [&[0, 0, 0, 1], *unit].concat())
            .collect();
        match decoder.decode(&lossy) {
            Ok(Decoded::Whole) => pictures += 1,
            Ok(Decoded::Concealed) => (pictures, concealed) = (pictures + 1, concealed + 1),
            _ => {}
        }
    }
    assert!(pictures >= frames.len() - 3, "{pictures} of {} shown", frames.len());
    assert!(concealed >= 2, "the loss is told");
    assert_eq!(shown(&decoder), frames.last().map(|f| f.0));
}

#[test]
fn a_lost_h264_picture_does_not_stop_those_after_it() {
    let mut encoder = h264(settings(640, 360, 1_000_000));
    let frames = stream(&mut *encoder, 640, 360, 60);
    let mut decoder = h264::Decoder::new().unwrap();
    let mut pictures = 0;
    for (i, (_, frame)) in frames.iter().enumerate() {
        if i != 20 && matches!(decoder.decode(frame), Ok(Decoded::Whole | Decoded::Concealed)) {
            pictures += 1;
        }
    }
    assert!(pictures >= frames.len() - 3, "{pictures} of {} shown", frames.len());
}

#[test]
fn a_decoder_that_begins_in_mid_stream_asks_for_a_key_picture() {
    for (name, mut encoder, mut decoder) in pairs(settings(320, 180, 300_000)) {
        let frames = stream(&mut *encoder, 320, 180, 10);
        for (_, frame) in &frames[1..] {
            assert_eq!(decoder.decode(frame), Err(DecodeError::NeedsKey), "{name}");
        }
        assert!(decoder.picture().is_none(), "{name} shows nothing");
        assert_eq!(decoder.decode(&frames[0].1), Ok(Decoded::Whole), "{name}");
        decoder.flush();
        assert_eq!(decoder.decode(&frames[1].1), Err(DecodeError::NeedsKey), "{name} after flush");
    }
}

#[test]
fn a_stream_that_changes_its_size_is_followed() {
    for (name, _, mut decoder) in pairs(settings(320, 180, 300_000)) {
        for (w, h) in [(320, 180), (1280, 720), (640, 360), (352, 288), (1920, 1080)] {
            let mut encoder = match name {
                "H264" => h264(settings(w, h, 1_000_000)),
                _ => vp8(settings(w, h, 1_000_000)),
            };
            let (_, frame) = encode(&mut *encoder, &pattern::picture(w, h, 77), 0, Picture::Any);
            assert_eq!(decoder.decode(&frame), Ok(Decoded::Whole), "{name} {w}x{h}");
            let shown = decoder.picture().unwrap();
            assert_eq!((shown.width(), shown.height(), pattern::number(&shown)), (w, h, Some(77)), "{name}");
        }
    }
}

#[test]
fn pictures_larger_than_1920x1088_are_refused_before_they_are_decoded() {
    let huge_vp8 = [0x10, 0, 0, 0x9d, 0x01, 0x2a, 0xff, 0x3f, 0xff, 0x3f, 9, 9, 9];
    assert_eq!(
        vp8::Decoder::new().unwrap().decode(&huge_vp8),
        Err(DecodeError::Size { width: 0x3fff, height: 0x3fff })
    );
    // an SPS of 2160 lines
    let huge_h264 = [
        0, 0, 0, 1, 0x67, 0x64, 0x00, 0x33, 0xac, 0xd9, 0x40, 0x40, 0x01, 0x0f, 0xcb, 0x01, 0x10, 0x00, 0x00,
        0x03,
    ];
    let refused = h264::Decoder::new().unwrap().decode(&huge_h264);
    assert!(matches!(refused, Err(DecodeError::Size { height: 2160, .. })), "{refused:?}");
    let long = vec![0; codecs::MAX_PICTURE_BYTES + 1];
    assert_eq!(h264::Decoder::new().unwrap().decode(&long), Err(DecodeError::TooLong(long.len())));
    assert!(
        h264::Encoder::new(settings(4096, 2160, 1)).is_err()
            && vp8::Encoder::new(settings(4096, 2160, 1)).is_err()
    );
    assert!(h264::Encoder::new(settings(0, 0, 1)).is_err() && vp8::Encoder::new(settings(0, 0, 1)).is_err());
}

#[test]
fn a_thousand_broken_frames_break_no_decoder() {
    for (name, mut encoder, mut decoder) in pairs(settings(320, 180, 300_000)) {
        let frames = stream(&mut *encoder, 320, 180, 20);
        let mut state = 12_345_u32;
        let mut random = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as usize
        };
        for round in 0..1000 {
            let mut frame = frames[random() % frames.len()].1.clone();
            match round % 4 {
                0 => frame = (0..random() % 300).map(|_| random() as u8).collect(),
                1 => frame.truncate(random() % frame.len()),
                _ => {
                    for _ in 0..1 + random() % 20 {
                        let at = random() % frame.len();
                        frame[at] = random() as u8;
                    }
                }
            }
            let _ = decoder.decode(&frame);
            // whatever it shows can be read from end to end
            shown(&*decoder);
        }
        // and it still decodes what is whole; a fresh start if what it was told has poisoned it
        decoder.flush();
        assert_eq!(decoder.decode(&frames[0].1), Ok(Decoded::Whole), "{name}");
        assert_eq!(shown(&*decoder), Some(frames[0].0), "{name}");
    }
}

#[test]
fn odd_sizes_go_through_vp8() {
    // peers crop as they like; our own encoders only ever make even sizes
    let mut encoder = vp8(settings(321, 181, 500_000));
    let (_, frame) = encode(&mut *encoder, &pattern::picture(321, 181, 5), 0, Picture::Any);
    let mut decoder = vp8::Decoder::new().unwrap();
    assert_eq!(decoder.decode(&frame), Ok(Decoded::Whole));
    let shown = decoder.picture().unwrap();
    assert_eq!((shown.width(), shown.height(), pattern::number(&shown)), (321, 181, Some(5)));
}

#[test]
fn a_picture_stays_until_another_frame_is_read_and_not_beyond() {
    for (name, mut encoder, mut decoder) in pairs(settings(320, 180, 300_000)) {
        let frames = stream(&mut *encoder, 320, 180, 3);
        // given a picture that is shown
        assert_eq!(decoder.decode(&frames[0].1), Ok(Decoded::Whole), "{name}");
        assert_eq!(shown(&*decoder), Some(frames[0].0), "{name}");
        // when a frame is refused unread, then it stays
        assert!(decoder.decode(&vec![0; codecs::MAX_PICTURE_BYTES + 1]).is_err(), "{name}");
        assert_eq!(shown(&*decoder), Some(frames[0].0), "{name}");
        // when a frame is read that shows nothing, then there is none
        let nothing = match name {
            "VP8" => vec![0x11, 0, 0],
            _ => vec![0, 0, 0, 1, 0x09, 0x10],
        };
        assert!(!matches!(decoder.decode(&nothing), Ok(Decoded::Whole)), "{name}");
        assert_eq!(shown(&*decoder), None, "{name}");
    }
    let mut encoder = vp8(settings(320, 180, 300_000));
    let (mut decoder, frames) = (vp8::Decoder::new().unwrap(), stream(&mut *encoder, 320, 180, 3));
    assert_eq!(decoder.decode(&frames[0].1), Ok(Decoded::Whole));
    // references are gone after a gap, what is shown is not
    decoder.flush();
    assert_eq!(decoder.decode(&frames[1].1), Err(DecodeError::NeedsKey));
    assert_eq!(shown(&decoder), Some(frames[0].0));
}
