//! Everything goes there and back, and what a worker can't mean is not taken.

use super::*;
use crate::{
    Clip, Fit, Layer, Listening, Mix, Opening, PictureSink, Rect, SinkId, SinkStats, SourceId, SourceKind,
    SourceStats, Stage, Stats, Step, Still, Tile,
};
use proptest::prelude::*;
use std::time::Duration;

fn frame(bytes: usize) -> EncodedFrame {
    EncodedFrame {
        codec: Codec::Vp8,
        captured: MediaTime(7_000_000_001),
        arrived: MediaTime(u64::MAX),
        key: true,
        contiguous: false,
        data: vec![9; bytes].into(),
    }
}

/// One of each, with everything in it.
fn commands() -> Vec<Command> {
    let (source, sink, canvas) = (SourceId(1 << 40), SinkId(3), Size::HD720);
    let tiles = vec![Tile { source, rect: Rect::whole(canvas), fit: Fit::Crop }];
    let picture = PictureSink {
        sink,
        codec: Codec::H264,
        canvas,
        max_fps: 30,
        bps: 1_700_000,
        max_nal_bytes: Some(1_188),
        tiles: tiles.clone(),
    };
    let mix = Mix {
        sink,
        codec: Codec::G722,
        frame_time: Duration::from_millis(20),
        bps: 64_000,
        expected_loss: 10,
        inputs: vec![source],
        own: Some(source),
        opening: Opening::FirstWord,
    };
    let layers = vec![Layer { sink, size: Size::P180, bps: 150_000 }];
    let still = Still::new(Size::new(4, 2), vec![16; 12].into()).expect("a still picture");
    let clip = Clip::from_pcm(8_000, &[0; 800]).expect("a clip");
    vec![
        Command::Apply(vec![
            Step::AddSource { source, kind: SourceKind::Picture },
            Step::Show { source, still },
            Step::Play { source, clip },
            Step::Listen { source, keys: Listening::On },
            Step::RemoveSource(source),
            Step::AddPicture(picture),
            Step::SetLayout { sink, canvas, tiles },
            Step::AddLadder { source, codec: Codec::Vp8, max_fps: 30, layers },
            Step::AddMix(mix),
            Step::SetMix { sink, inputs: vec![source; 3] },
            Step::ExpectLoss { sink, percent: 5 },
            Step::RemoveSink(sink),
        ]),
        Command::Frame { source, frame: frame(100_000) },
        Command::ForceKey { sink },
        Command::Bitrate { sink, bps: 0 },
    ]
}

fn reports() -> Vec<Report> {
    let (source, sink) = (SourceId(2), SinkId(1 << 50));
    let stage = Stage { count: 3, total: Duration::from_micros(5), longest: Duration::from_nanos(7) };
    let (size, why) = (Size::P360, "the encoder failed".to_owned());
    let of_source = SourceStats { source, frames: 1, concealed: 2, broken: 3, size, decode: stage };
    let of_sink = SinkStats {
        sink,
        frames: 1,
        keys: 2,
        bytes: 3,
        shed: 4,
        size,
        compose: stage,
        encode: stage,
        latency: stage,
    };
    vec![
        Report::Frame { sink, frame: frame(0) },
        Report::KeyframeNeeded { source },
        Report::Level { source, dbov: -127 },
        Report::Key { source, key: '#' },
        Report::Played { source },
        Report::Picture { source, size },
        Report::Stats(Stats { sources: vec![of_source], sinks: vec![of_sink], stray: 8, dropped: 9 }),
        Report::Failed { sink: None, source: Some(source), why: why.clone() },
        Report::Alive,
        Report::Died { why },
    ]
}

fn written<T: Message>(messages: &[T]) -> Vec<u8> {
    let mut out = Vec::new();
    messages.iter().for_each(|message| write(message, &mut out).expect("written"));
    out
}

/// What comes out if `bytes` arrive `piece` by `piece`.
fn read<T: Message>(bytes: &[u8], piece: usize) -> Result<Vec<T>, Malformed> {
    let (mut reader, mut rest, mut all) = (Reader::default(), bytes, Vec::new());
    while !rest.is_empty() {
        let room = reader.room();
        let count = room.len().min(piece).min(rest.len());
        room[..count].copy_from_slice(&rest[..count]);
        reader.filled(count);
        rest = &rest[count..];
        while let Some(message) = reader.message()? {
            all.push(message);
        }
    }
    Ok(all)
}

#[test]
fn every_command_and_report_is_read_back_however_it_was_cut() {
    for piece in [1, 3, 1_000, 1 << 20] {
        assert_eq!(read(&written(&commands()), piece).as_ref(), Ok(&commands()), "in pieces of {piece}");
        assert_eq!(read(&written(&reports()), piece).as_ref(), Ok(&reports()), "in pieces of {piece}");
    }
}

#[test]
fn a_still_picture_of_the_largest_size_passes_and_leaves_no_large_buffer_behind() {
    let size = Size::new(1_920, 1_088);
    let still = Still::new(size, vec![128; size.area() as usize * 3 / 2].into()).expect("a still picture");
    let command = Command::Apply(vec![Step::Show { source: SourceId(1), still }]);
    let bytes = written(std::slice::from_ref(&command));
    let mut reader = Reader::default();
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let room = reader.room();
        let count = room.len().min(rest.len());
        room[..count].copy_from_slice(&rest[..count]);
        reader.filled(count);
        rest = &rest[count..];
    }
    assert_eq!(reader.message(), Ok(Some(command)));
    assert_eq!(reader.room().len(), ROOM);
}

#[test]
fn what_a_worker_can_not_mean_is_not_taken() {
    let refused = |report: Report| read::<Report>(&written(&[report]), 1 << 20).is_err();
    let source = SourceId(1);
    assert!(refused(Report::Key { source, key: '\n' }), "no key");
    assert!(refused(Report::Frame { sink: SinkId(1), frame: frame(limits::VIDEO_FRAME_BYTES + 1) }));
    assert!(refused(Report::Died { why: "x".repeat(MAX_WORDS + 1) }));
    let long = (MAX_REPORT as u32 + 1).to_le_bytes();
    assert_eq!(read::<Report>(&long, 4), Err(Malformed::Length(MAX_REPORT + 1)));
    let Report::Stats(Stats { sources, .. }) = reports().swap_remove(6) else { panic!("no figures") };
    let sources = vec![sources[0]; MAX_SOURCES + 1];
    assert!(refused(Report::Stats(Stats { sources, ..Stats::default() })), "more than there can be");
    let why = "two\nlines, \u{1b}[31mred".to_owned();
    let told = read::<Report>(&written(&[Report::Died { why }]), 100);
    assert_eq!(told, Ok(vec![Report::Died { why: "two lines,  [31mred".into() }]));
    let mut behind = written(&[Report::Alive]);
    behind[0] += 1;
    behind.push(0);
    assert!(read::<Report>(&behind, 100).is_err(), "two in the length of one");
}

#[test]
fn a_message_that_is_too_long_is_not_begun() {
    let mut out = written(&[Report::Alive]);
    let before = out.clone();
    let sources = vec![SourceId(u64::MAX); MAX_MESSAGE / 9];
    let command = Command::Apply(vec![Step::SetMix { sink: SinkId(1), inputs: sources }]);
    assert!(matches!(write(&command, &mut out), Err(Malformed::Length(_))));
    assert_eq!(out, before);
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic_or_hold_more_than_came(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        piece in 1_usize..100,
    ) {
        if let Ok(reports) = read::<Report>(&bytes, piece) {
            prop_assert!(reports.len() * (LENGTH + 1) <= bytes.len());
        }
    }
}
