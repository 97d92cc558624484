//! What a worker promises of pictures, in virtual time.

#![allow(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

#[path = "../codecs/tests/pattern/mod.rs"]
mod pattern;
mod rig;

use base::{Codec, EncodedFrame, MediaTime, Size};
use bytes::Bytes;
use codecs::{Picture, h264};
use media_dsp::{Command, Fit, Layer, PictureSink, Rect, Report, SinkId, SourceId, SourceKind, Step, Tile};
use rig::{Camera, Rig, Screen, ms};
use std::path::Path;
use std::time::Duration;

const ROOM: u64 = 1;
const CANVAS: Size = Size::HD720;

fn tile(source: u64, rect: Rect) -> Tile {
    Tile { source: SourceId(source), rect, fit: Fit::Letterbox }
}

fn canvas(sink: u64, tiles: Vec<Tile>) -> PictureSink {
    PictureSink {
        sink: SinkId(sink),
        codec: Codec::H264,
        canvas: CANVAS,
        max_fps: 30,
        bps: 1_728_000,
        max_nal_bytes: Some(1180),
        tiles,
    }
}

/// One large, seven small in a row below.
fn one_and_seven() -> Vec<Tile> {
    let small = |n: u32| tile(u64::from(n) + 2, Rect::new(16 + n * 180, 612, 168, 94));
    std::iter::once(tile(1, Rect::new(112, 0, 1056, 594))).chain((0..7).map(small)).collect()
}

fn ladder(source: u64, bps: [u32; 3]) -> Step {
    let sizes = [Size::HD720, Size::P360, Size::P180];
    let layers = (0..3).map(|i| Layer { sink: SinkId(10 + i as u64), size: sizes[i], bps: bps[i] }).collect();
    Step::AddLadder { source: SourceId(source), codec: Codec::Vp8, max_fps: 30, layers }
}

/// The time of frame `n` at 30 per second.
fn nth(n: u64) -> Duration {
    Duration::from_nanos(1_000_000_000 * (n + 1) / 30)
}

/// The room sends pictures `from..to` of that size.
fn room_sends(rig: &mut Rig, camera: &mut Camera, width: u32, height: u32, numbers: std::ops::Range<u64>) {
    for n in numbers {
        rig.go(nth(n));
        let picture = pattern::picture(width, height, n as u16);
        if let Some(frame) = camera.shoot(&picture, rig.now(), Picture::Any) {
            rig.frame(ROOM, frame);
        }
    }
}

#[test]
fn h264_of_the_room_becomes_three_vp8_layers_each_readable_at_its_size() {
    let mut rig = Rig::new();
    rig.add_source(ROOM, SourceKind::Picture);
    rig.apply([ladder(ROOM, [1_500_000, 500_000, 150_000])]);
    let mut camera = Camera::new(Codec::H264, 1280, 720, Some(1180));
    room_sends(&mut rig, &mut camera, 1280, 720, 0..45);
    for (sink, size) in [(10, (1280, 720)), (11, (640, 360)), (12, (320, 180))] {
        let frames = rig.frames(sink);
        assert!(frames.len() >= 40, "layer {sink} has {} of 45 pictures", frames.len());
        let mut screen = Screen::new(Codec::Vp8);
        for (at, frame) in &frames {
            screen.look(frame);
            assert_eq!((screen.shown.width(), screen.shown.height()), size);
            let number = pattern::number(&screen.shown.view());
            let n = (at.as_nanos() * 30 + 500_000_000) / 1_000_000_000 - 1;
            assert!(number.is_some_and(|number| u128::from(number).abs_diff(n) <= 1), "{number:?} at {at:?}");
            assert_eq!(frame.captured.since_epoch(), *at, "captured is that of the room's picture");
        }
        assert!(pattern::bars_error(&screen.shown.view()) < 16);
    }
    assert_eq!(rig.graph.stats().sources[0].decode.count, 45);
    assert_eq!(rig.failures(), 0);
}

#[test]
fn a_small_source_is_never_made_larger_and_leaves_the_top_layer_still() {
    let mut rig = Rig::new();
    rig.add_source(ROOM, SourceKind::Picture);
    rig.apply([ladder(ROOM, [1_500_000, 500_000, 150_000])]);
    let mut camera = Camera::new(Codec::H264, 640, 360, None);
    room_sends(&mut rig, &mut camera, 640, 360, 0..10);
    assert_eq!(
        (rig.frames(10).len(), rig.frames(11).is_empty(), rig.frames(12).is_empty()),
        (0, false, false)
    );
    // 4:3 keeps its shape
    let mut camera = Camera::new(Codec::H264, 960, 720, None);
    room_sends(&mut rig, &mut camera, 960, 720, 10..20);
    let sizes: Vec<(u32, u32)> = [10, 11, 12]
        .into_iter()
        .map(|sink| {
            let mut screen = Screen::new(Codec::Vp8);
            let frames = rig.frames(sink);
            let last_key = frames.iter().rposition(|(_, frame)| frame.key).unwrap();
            screen.look(&frames[last_key].1);
            (screen.shown.width(), screen.shown.height())
        })
        .collect();
    assert_eq!(sizes, [(960, 720), (480, 360), (240, 180)]);
}

#[test]
fn a_key_picture_forced_on_one_layer_leaves_the_others_alone() {
    let mut rig = Rig::new();
    rig.add_source(ROOM, SourceKind::Picture);
    rig.apply([ladder(ROOM, [1_500_000, 500_000, 150_000])]);
    let mut camera = Camera::new(Codec::H264, 1280, 720, None);
    room_sends(&mut rig, &mut camera, 1280, 720, 0..20);
    rig.send(Command::ForceKey { sink: SinkId(11) });
    room_sends(&mut rig, &mut camera, 1280, 720, 20..40);
    let keys = |sink| rig.frames(sink).iter().filter(|(_, frame)| frame.key).count();
    assert_eq!([10, 11, 12].map(keys), [1, 2, 1]);
}

#[test]
fn a_key_picture_is_made_even_if_the_source_stands_still() {
    let mut rig = Rig::new();
    rig.add_source(ROOM, SourceKind::Picture);
    rig.apply([
        ladder(ROOM, [0, 500_000, 0]),
        Step::AddPicture(canvas(20, vec![tile(ROOM, Rect::whole(CANVAS))])),
    ]);
    let mut camera = Camera::new(Codec::H264, 1280, 720, None);
    room_sends(&mut rig, &mut camera, 1280, 720, 0..20);
    rig.go(ms(2_000));
    rig.send(Command::ForceKey { sink: SinkId(11) });
    rig.send(Command::ForceKey { sink: SinkId(20) });
    rig.go(ms(2_150));
    for (sink, codec) in [(11, Codec::Vp8), (20, Codec::H264)] {
        let (at, frame) = rig.frames(sink).pop().unwrap();
        assert!(frame.key && at >= ms(2_000), "sink {sink}: {frame:?} at {at:?}");
        let mut screen = Screen::new(codec);
        screen.look(&frame);
        assert_eq!(pattern::number(&screen.shown.view()), Some(19));
    }
}

#[test]
fn a_layer_without_bits_is_not_encoded_and_comes_back_with_a_key_picture() {
    let mut rig = Rig::new();
    rig.add_source(ROOM, SourceKind::Picture);
    rig.apply([ladder(ROOM, [1_500_000, 0, 150_000])]);
    let mut camera = Camera::new(Codec::H264, 1280, 720, None);
    room_sends(&mut rig, &mut camera, 1280, 720, 0..10);
    rig.send(Command::Bitrate { sink: SinkId(10), bps: 0 });
    rig.send(Command::Bitrate { sink: SinkId(11), bps: 500_000 });
    let before = rig.frames(10).len();
    assert!(rig.frames(11).is_empty());
    room_sends(&mut rig, &mut camera, 1280, 720, 10..20);
    assert_eq!(rig.frames(10).len(), before);
    assert!(rig.frames(11)[0].1.key);
    rig.send(Command::Bitrate { sink: SinkId(10), bps: 1_500_000 });
    room_sends(&mut rig, &mut camera, 1280, 720, 20..25);
    assert!(rig.frames(10)[before].1.key);
}

#[test]
fn p9_eight_pictures_are_composed_one_and_seven() {
    let mut rig = Rig::new();
    let sizes =
        [(1280, 720), (320, 180), (320, 180), (320, 180), (320, 240), (320, 180), (640, 360), (180, 320)];
    let mut cameras: Vec<Camera> = sizes.map(|(w, h)| Camera::new(Codec::Vp8, w, h, None)).into();
    (1..=8).for_each(|source| rig.add_source(source, SourceKind::Picture));
    rig.apply([Step::AddPicture(canvas(20, one_and_seven()))]);
    for n in 0..20_u64 {
        for (i, camera) in cameras.iter_mut().enumerate() {
            // each at its own phase
            rig.go(nth(n) + ms(i as u64 * 3));
            let number = ((i as u16 + 1) << 8) + n as u16;
            let picture = pattern::picture(sizes[i].0, sizes[i].1, number);
            if let Some(frame) = camera.shoot(&picture, rig.now(), Picture::Any) {
                rig.frame(i as u64 + 1, frame);
            }
        }
    }
    let mut screen = Screen::new(Codec::H264);
    rig.frames(20).iter().for_each(|(_, frame)| screen.look(frame));
    rig::write_png(&screen.shown, &Path::new(env!("CARGO_TARGET_TMPDIR")).join("one-and-seven.png"));
    // where each picture's own pixels are: the tiles, without the bars of those of another shape
    let places = [
        Rect::new(112, 0, 1056, 594),
        Rect::new(16, 612, 168, 94),
        Rect::new(196, 612, 168, 94),
        Rect::new(376, 612, 168, 94),
        Rect::new(576, 612, 126, 94),
        Rect::new(736, 612, 168, 94),
        Rect::new(916, 612, 168, 94),
        Rect::new(1154, 612, 52, 94),
    ];
    for (i, place) in places.iter().enumerate() {
        let part = screen.shown.view().part(place.x, place.y, place.width, place.height).unwrap();
        let number = pattern::number(&part);
        assert_eq!(number.map(|n| n >> 8), Some(i as u16 + 1), "tile {i}");
        assert!(
            number.is_some_and(|n| n & 0xff >= 17),
            "tile {i} is not older than three pictures: {number:?}"
        );
    }
    let background = screen.shown.view().luma_row(300)[50];
    assert!(background.abs_diff(36) < 4, "beside the tiles there is background: {background}");
    assert_eq!(rig.failures(), 0);
}

#[test]
fn nal_units_of_the_canvas_fit_the_packets_of_mode_0() {
    let mut rig = Rig::new();
    rig.add_source(ROOM, SourceKind::Picture);
    rig.apply([Step::AddPicture(canvas(20, vec![tile(ROOM, Rect::whole(CANVAS))]))]);
    let mut camera = Camera::new(Codec::Vp8, 1280, 720, None);
    room_sends(&mut rig, &mut camera, 1280, 720, 0..15);
    let frames = rig.frames(20);
    let longest = frames.iter().flat_map(|(_, f)| h264::nal_units(&f.data)).map(<[u8]>::len).max().unwrap();
    assert!(longest <= 1180, "{longest}");
    assert!(frames.iter().any(|(_, f)| h264::nal_units(&f.data).count() > 3), "pictures are sliced");
}

#[test]
fn the_canvas_is_made_in_the_instant_its_main_picture_comes() {
    let mut rig = Rig::new();
    rig.add_source(1, SourceKind::Picture);
    rig.add_source(2, SourceKind::Picture);
    rig.apply([Step::AddPicture(canvas(
        20,
        vec![tile(1, Rect::new(0, 0, 640, 360)), tile(2, Rect::new(640, 0, 640, 360))],
    ))]);
    let (mut main, mut other) =
        (Camera::new(Codec::Vp8, 640, 360, None), Camera::new(Codec::Vp8, 640, 360, None));
    let mut came = Vec::new();
    for n in 0..30 {
        // the main picture's arrivals jitter by 12 ms; the other tile's lie between them
        rig.go(nth(n) + ms([0, 5, 12, 3, 8][n as usize % 5]));
        let frame = main.shoot(&pattern::picture(640, 360, n as u16), rig.now(), Picture::Any);
        if let Some(frame) = frame {
            came.push(frame.captured);
            rig.frame(1, frame);
        }
        rig.go(nth(n) + ms(20));
        if let Some(frame) = other.shoot(&pattern::picture(640, 360, n as u16), rig.now(), Picture::Any) {
            rig.frame(2, frame);
        }
    }
    // after the first second's settling, none waits and none is made for the other tile's sake
    let made: Vec<(Duration, MediaTime)> = rig.frames(20).iter().map(|(at, f)| (*at, f.captured)).collect();
    let steady: Vec<_> = made.iter().filter(|(at, _)| *at > nth(4)).collect();
    assert!(steady.len() >= 22, "{}", steady.len());
    for (at, captured) in steady {
        assert!(came.contains(captured), "{captured:?} is no main picture");
        assert_eq!(*at, captured.since_epoch(), "it waited");
    }
}

#[test]
fn a_canvas_that_made_pictures_out_of_turn_is_on_time_again() {
    let mut rig = Rig::new();
    rig.add_source(1, SourceKind::Picture);
    rig.apply([Step::AddPicture(canvas(20, vec![tile(1, Rect::whole(CANVAS))]))]);
    let mut main = Camera::new(Codec::Vp8, 640, 360, None);
    for n in 0..60 {
        rig.go(nth(n));
        if let Some(frame) = main.shoot(&pattern::picture(640, 360, n as u16), rig.now(), Picture::Any) {
            rig.frame(1, frame);
        }
        // the room asks for a picture that stands alone, four times, each between two pictures
        if (20..24).contains(&n) {
            rig.go(nth(n) + ms(16));
            rig.send(Command::ForceKey { sink: SinkId(20) });
        }
    }
    let made: Vec<(Duration, MediaTime)> = rig.frames(20).iter().map(|(at, f)| (*at, f.captured)).collect();
    let after: Vec<_> = made.iter().filter(|(at, _)| *at > nth(30)).collect();
    assert!(after.len() >= 26, "{} of 29 pictures", after.len());
    for (at, captured) in after {
        assert_eq!(*at, captured.since_epoch(), "it waited");
    }
}

#[test]
fn other_tiles_drive_when_the_main_one_is_silent() {
    let mut rig = Rig::new();
    rig.add_source(1, SourceKind::Picture);
    rig.add_source(2, SourceKind::Picture);
    rig.apply([Step::AddPicture(canvas(
        20,
        vec![tile(1, Rect::new(0, 0, 640, 360)), tile(2, Rect::new(640, 0, 640, 360))],
    ))]);
    let (mut main, mut other) =
        (Camera::new(Codec::Vp8, 640, 360, None), Camera::new(Codec::Vp8, 640, 360, None));
    for n in 0..60 {
        rig.go(nth(n));
        let picture = pattern::picture(640, 360, n as u16);
        // main falls silent after a second
        if let Some(frame) = main.shoot(&picture, rig.now(), Picture::Any).filter(|_| n < 30) {
            rig.frame(1, frame);
        }
        rig.go(nth(n) + ms(10));
        if let Some(frame) = other.shoot(&picture, rig.now(), Picture::Any) {
            rig.frame(2, frame);
        }
    }
    let frames = rig.frames(20);
    let late = frames.iter().filter(|(at, _)| *at > nth(32)).count();
    assert!(late >= 24, "{late} pictures in the second without main");
    let mut screen = Screen::new(Codec::H264);
    frames.iter().for_each(|(_, frame)| screen.look(frame));
    let number = |x| pattern::number(&screen.shown.view().part(x, 0, 640, 360).unwrap());
    assert_eq!(number(0), Some(29), "main stays on its last picture");
    assert!(number(640).is_some_and(|n| n >= 58), "{:?}", number(640));
}

#[test]
fn no_more_pictures_are_made_than_the_peer_takes() {
    let mut rig = Rig::new();
    rig.add_source(ROOM, SourceKind::Picture);
    let slow = PictureSink { max_fps: 15, ..canvas(20, vec![tile(ROOM, Rect::whole(CANVAS))]) };
    rig.apply([Step::AddPicture(slow)]);
    let mut camera = Camera::new(Codec::Vp8, 640, 360, None);
    room_sends(&mut rig, &mut camera, 640, 360, 0..90);
    let frames = rig.frames(20);
    let busiest = (0..60).map(|n| {
        let second = nth(n)..nth(n) + ms(1000);
        frames.iter().filter(|(at, _)| second.contains(at)).count()
    });
    let busiest = busiest.max().unwrap();
    assert!((14..=16).contains(&busiest), "{busiest} in a second");
    // the last picture is shown although it came too soon
    rig.go(nth(90) + ms(50));
    let mut screen = Screen::new(Codec::H264);
    rig.frames(20).iter().for_each(|(_, frame)| screen.look(frame));
    assert_eq!(pattern::number(&screen.shown.view()), Some(89));
}

#[test]
fn two_canvases_that_show_one_source_share_its_decoding() {
    let mut rig = Rig::new();
    rig.add_source(ROOM, SourceKind::Picture);
    let whole = vec![tile(ROOM, Rect::whole(CANVAS))];
    rig.apply([Step::AddPicture(canvas(20, whole.clone())), Step::AddPicture(canvas(21, whole))]);
    let mut camera = Camera::new(Codec::Vp8, 640, 360, None);
    room_sends(&mut rig, &mut camera, 640, 360, 0..20);
    assert!(rig.frames(20).len() > 15 && rig.frames(21).len() > 15);
    assert_eq!(rig.graph.stats().sources[0].decode.count, rig.graph.stats().sources[0].frames);
    assert!(rig.graph.stats().sources[0].frames <= 20);
}

#[test]
fn a_layout_change_shows_at_once_and_forgets_who_has_gone() {
    let mut rig = Rig::new();
    rig.add_source(1, SourceKind::Picture);
    rig.add_source(2, SourceKind::Picture);
    let left = Rect::new(0, 0, 640, 360);
    let right = Rect::new(640, 0, 640, 360);
    rig.apply([Step::AddPicture(canvas(20, vec![tile(1, left), tile(2, right)]))]);
    for source in [1, 2] {
        let mut camera = Camera::new(Codec::Vp8, 640, 360, None);
        rig.go(ms(100 * source));
        let frame =
            camera.shoot(&pattern::picture(640, 360, source as u16), rig.now(), Picture::Any).unwrap();
        rig.frame(source, frame);
    }
    rig.go(ms(400));
    rig.apply([Step::RemoveSource(SourceId(1))]);
    rig.go(ms(1_500));
    let look = |rig: &Rig, rect: Rect| {
        let mut screen = Screen::new(Codec::H264);
        rig.frames(20).iter().for_each(|(_, frame)| screen.look(frame));
        pattern::number(&screen.shown.view().part(rect.x, rect.y, rect.width, rect.height).unwrap())
    };
    assert_eq!((look(&rig, left), look(&rig, right)), (Some(1), Some(2)), "it freezes until the next layout");
    let before = rig.frames(20).len();
    rig.apply([Step::SetLayout {
        sink: SinkId(20),
        canvas: CANVAS,
        tiles: vec![tile(1, right), tile(2, left)],
    }]);
    rig.go(ms(1_550));
    assert_eq!(rig.frames(20).len(), before + 1);
    assert!(!rig.frames(20)[before].1.key, "same size, no new key picture");
    assert_eq!(look(&rig, left), Some(2));
    let right_is = |rig: &Rig| {
        let mut screen = Screen::new(Codec::H264);
        rig.frames(20).iter().for_each(|(_, frame)| screen.look(frame));
        screen.shown.view().luma_row(100)[900]
    };
    assert!(right_is(&rig).abs_diff(36) < 6, "who has gone leaves background");
}

#[test]
fn a_canvas_without_sources_still_shows_its_background_every_second() {
    let mut rig = Rig::new();
    rig.apply([Step::AddPicture(canvas(20, vec![tile(1, Rect::whole(CANVAS))]))]);
    rig.go(ms(3_100));
    let frames = rig.frames(20);
    assert_eq!(frames.len(), 4);
    assert!(frames.windows(2).all(|w| w[0].1.captured < w[1].1.captured));
}

#[test]
fn a_vp8_source_with_a_gap_freezes_and_asks_until_a_key_picture_comes() {
    let mut rig = Rig::new();
    rig.add_source(ROOM, SourceKind::Picture);
    rig.apply([ladder(ROOM, [0, 500_000, 0])]);
    let mut camera = Camera::new(Codec::Vp8, 640, 360, None);
    room_sends(&mut rig, &mut camera, 640, 360, 0..10);
    let before = rig.frames(11).len();
    for n in 10..40 {
        rig.go(nth(n));
        if let Some(frame) = camera.shoot(&pattern::picture(640, 360, n as u16), rig.now(), Picture::Any) {
            rig.frame(ROOM, EncodedFrame { contiguous: n != 10, ..frame });
        }
    }
    assert_eq!(rig.frames(11).len(), before, "no smear is passed on");
    let asked = rig.count(|report| matches!(report, Report::KeyframeNeeded { source: SourceId(ROOM) }));
    assert_eq!(asked, 2, "once at once and once after half a second");
    rig.go(nth(40));
    let frame = camera.shoot(&pattern::picture(640, 360, 40), rig.now(), Picture::Key).unwrap();
    rig.frame(ROOM, frame);
    assert_eq!(rig.frames(11).len(), before + 1);
}

#[test]
fn pictures_that_are_read_each_5_ms_are_all_composed_in_the_instant_they_come() {
    let mut rig = Rig::new();
    rig.add_source(1, SourceKind::Picture);
    rig.apply([Step::AddPicture(canvas(20, vec![tile(1, Rect::whole(CANVAS))]))]);
    let mut main = Camera::new(Codec::Vp8, 640, 360, None);
    let mut came = Vec::new();
    for n in 0..150_u32 {
        let read = nth(n.into()).as_millis() as u64 / 5 * 5 + 5;
        rig.go(ms(read));
        if let Some(frame) = main.shoot(&pattern::picture(640, 360, n as u16), rig.now(), Picture::Any) {
            rig.frame(1, frame);
            came.push(ms(read));
        }
    }
    let made: Vec<Duration> = rig.frames(20).iter().map(|(at, _)| *at).collect();
    let missed: Vec<_> = came.iter().filter(|at| !made.contains(at)).collect();
    assert_eq!(missed, [] as [&Duration; 0], "of {} pictures", came.len());
}

#[test]
fn a_picture_that_freezes_stays_to_be_drawn_elsewhere_whatever_comes_that_shows_nothing() {
    for codec in [Codec::Vp8, Codec::H264] {
        let mut rig = Rig::new();
        rig.add_source(ROOM, SourceKind::Picture);
        rig.apply([Step::AddPicture(canvas(20, vec![tile(ROOM, Rect::whole(CANVAS))]))]);
        let mut camera = Camera::new(codec, 640, 360, None);
        room_sends(&mut rig, &mut camera, 640, 360, 0..20);
        // given a gap, a frame that shows nothing, and one of another codec
        let other = if codec == Codec::Vp8 { Codec::H264 } else { Codec::Vp8 };
        for (n, codec, contiguous) in [(20, codec, false), (21, codec, true), (22, other, true)] {
            rig.go(nth(n));
            let (time, data) = (rig.now(), bytes::Bytes::from_static(&[0, 0, 0, 1, 9, 0x10]));
            let frame = EncodedFrame { codec, captured: time, arrived: time, key: false, contiguous, data };
            rig.frame(ROOM, frame);
        }
        // when the layout changes
        let tiles = vec![tile(ROOM, Rect::whole(CANVAS))];
        rig.apply([Step::SetLayout { sink: SinkId(20), canvas: CANVAS, tiles }]);
        rig.go(ms(2_000));
        // then the last picture is drawn anew
        let mut screen = Screen::new(Codec::H264);
        rig.frames(20).iter().for_each(|(_, frame)| screen.look(frame));
        assert_eq!(pattern::number(&screen.shown.view()), Some(19), "{codec}");
    }
}

#[test]
fn an_h264_source_with_lost_slices_goes_on_and_asks_for_a_key_picture() {
    let mut rig = Rig::new();
    rig.add_source(ROOM, SourceKind::Picture);
    rig.apply([ladder(ROOM, [0, 500_000, 0])]);
    let mut camera = Camera::new(Codec::H264, 640, 360, Some(500));
    let mut sent = 0;
    for n in 0..60 {
        rig.go(nth(n));
        let Some(frame) = camera.shoot(&pattern::picture(640, 360, n as u16), rig.now(), Picture::Any) else {
            continue;
        };
        let units: Vec<&[u8]> = h264::nal_units(&frame.data).collect();
        let lose = n % 20 == 10 && units.len() > 1;
        let kept = units.iter().enumerate().filter(|(i, _)| !(lose && *i == units.len() / 2));
        let data: Vec<u8> = kept.flat_map(|(_, unit)| [&[0, 0, 0, 1], *unit].concat()).collect();
        sent += 1;
        rig.frame(ROOM, EncodedFrame { contiguous: !lose, data: Bytes::from(data), ..frame });
    }
    assert!(rig.frames(11).len() + 4 >= sent, "{} of {sent} pictures", rig.frames(11).len());
    assert!(rig.count(|report| matches!(report, Report::KeyframeNeeded { .. })) >= 1);
    assert!(rig.graph.stats().sources[0].concealed >= 1);
}

#[test]
fn garbage_for_a_thousand_frames_does_no_harm() {
    let mut rig = Rig::new();
    rig.add_source(ROOM, SourceKind::Picture);
    rig.apply([ladder(ROOM, [1_500_000, 500_000, 150_000])]);
    let mut state = 7_u32;
    let mut random = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize
    };
    for n in 0..1000_u64 {
        rig.go(ms(n * 5));
        let data: Vec<u8> = (0..random() % 200).map(|_| random() as u8).collect();
        let codec = if random() % 2 == 0 { Codec::Vp8 } else { Codec::H264 };
        let now = rig.now();
        let frame = EncodedFrame {
            codec,
            captured: now,
            arrived: now,
            key: random() % 2 == 0,
            contiguous: random() % 2 == 0,
            data: Bytes::from(data),
        };
        rig.frame(ROOM, frame);
    }
    // five seconds at one report each half second
    let asked = rig.count(|report| matches!(report, Report::KeyframeNeeded { .. }));
    assert!((5..=12).contains(&asked), "{asked}");
    let mut camera = Camera::new(Codec::H264, 640, 360, None);
    rig.go(ms(6_000));
    let frame = camera.shoot(&pattern::picture(640, 360, 5), rig.now(), Picture::Key).unwrap();
    rig.frame(ROOM, frame);
    assert!(!rig.frames(11).is_empty());
}

#[test]
fn steps_that_can_not_be_taken_are_told_and_the_others_are_taken() {
    let mut rig = Rig::new();
    rig.apply([
        Step::AddSource { source: SourceId(1), kind: SourceKind::Picture },
        Step::AddSource { source: SourceId(1), kind: SourceKind::Sound },
        Step::SetLayout { sink: SinkId(9), canvas: CANVAS, tiles: vec![] },
        Step::AddPicture(PictureSink { canvas: Size::new(8000, 8000), ..canvas(20, vec![]) }),
        Step::AddPicture(canvas(21, vec![tile(1, Rect::new(u32::MAX, u32::MAX, u32::MAX, u32::MAX)); 16])),
        Step::AddPicture(canvas(21, vec![])),
        Step::AddPicture(canvas(22, vec![tile(1, Rect::whole(CANVAS)); 17])),
    ]);
    assert_eq!(rig.failures(), 5, "{:?}", rig.reports);
    assert_eq!(rig.frames(21).len(), 1);
    let now = rig.now();
    rig.frame(
        77,
        EncodedFrame {
            codec: Codec::Vp8,
            captured: now,
            arrived: now,
            key: true,
            contiguous: true,
            data: Bytes::from_static(&[1]),
        },
    );
    assert_eq!(rig.graph.stats().stray, 1);
}

#[test]
fn a_worker_that_is_behind_encodes_fewer_pictures_and_decodes_them_all() {
    let mut rig = Rig::new();
    rig.add_source(ROOM, SourceKind::Picture);
    rig.apply([
        ladder(ROOM, [0, 500_000, 0]),
        Step::AddPicture(canvas(20, vec![tile(ROOM, Rect::whole(CANVAS))])),
    ]);
    let mut camera = Camera::new(Codec::H264, 640, 360, None);
    let mut sent = 0;
    for n in 0..60 {
        let arrived = MediaTime::from_duration(nth(n) + ms(1_000));
        let picture = pattern::picture(640, 360, n as u16);
        // each comes to the worker half a second after it came to the box
        rig.go(arrived.since_epoch() + ms(500));
        if let Some(frame) = camera.shoot(&picture, arrived, Picture::Any) {
            sent += 1;
            rig.frame(ROOM, frame);
        }
    }
    let made = [11, 20].map(|sink| rig.frames(sink).iter().filter(|(at, _)| *at > ms(1_500)).count());
    assert!(made.iter().all(|made| (12..=18).contains(made)), "{made:?} of {sent}");
    let stats = rig.graph.stats();
    assert_eq!((stats.sources[0].decode.count, stats.sources[0].broken), (sent, 0));
    assert!(stats.sinks.iter().filter(|sink| sink.frames > 0).all(|sink| sink.shed > 30));
}
