//! The plane with real workers: what goes in at one leg comes out at the other, and everything is given back.

use super::*;
use base::ids::ParticipantId;
use base::{Codec, Machine, MediaKind, MediaTime, Output, Size};
use bytes::Bytes;
use domain::layout;
use domain::media::{Composition, Down, Indicators, Ladder, Layer, Sound, Up};
use media_dsp::{Graph, PictureSink, graph};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

mod reception;

/// Longest wait for a worker; one that needs this long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

const AUDIO: StreamId = StreamId(0);
const VIDEO: StreamId = StreamId(1);
const UP_AUDIO: StreamId = StreamId(10);
const UP_LOW: StreamId = StreamId(11);
const UP_HIGH: StreamId = StreamId(12);
const VOICE: StreamId = StreamId(50);
const FACE: StreamId = StreamId(60);

/// A plane, its bell, and what it told.
struct Rig {
    plane: Plane,
    bell: mpsc::Receiver<()>,
    /// Once set, the first worker of pictures that has something to tell dies of it.
    deadly: Arc<AtomicBool>,
    told: Vec<PlaneEvent>,
    camera: Camera,
}

/// A peer that sends pictures: a graph that encodes an empty canvas whenever it is asked.
struct Camera {
    graph: Graph,
    epoch: Instant,
    shots: u32,
    codec: Codec,
}

impl Camera {
    fn new(codec: Codec, epoch: Instant) -> Self {
        let graph = Graph::new(epoch, Instant::now);
        let mut camera = Self { graph, epoch, shots: 0, codec };
        let (sink, canvas) = (SinkId(1), Size::P360);
        let picture = PictureSink {
            sink,
            codec,
            canvas,
            max_fps: 30,
            bps: 500_000,
            max_nal_bytes: None,
            tiles: vec![],
        };
        camera.turn(Command::Apply(vec![Step::AddPicture(picture)]));
        camera
    }

    fn turn(&mut self, command: Command) -> Option<EncodedFrame> {
        self.shots += 1;
        let (now, mut made) = (self.epoch + Duration::from_millis(40) * self.shots, None);
        self.graph.step(now, graph::Input::Command(command), |output| {
            if let Output::Event(Report::Frame { frame, .. }) = output {
                made = Some(frame);
            }
        });
        made
    }

    /// A picture that stands alone.
    fn shoot(&mut self) -> EncodedFrame {
        let made = self.turn(Command::ForceKey { sink: SinkId(1) });
        made.unwrap_or_else(|| panic!("no {} picture was made", self.codec))
    }
}

fn meeting() -> MeetingKey {
    MeetingKey { connector: "meet".into(), meeting: "1234567890123".into() }
}

fn recv(id: StreamId, kind: MediaKind, codec: Codec, who: Option<&str>) -> RecvStream {
    RecvStream { id, kind, codec, participant: who.map(|who| ParticipantId(who.into())) }
}

/// What a room sends, and what one other participant does.
fn received() -> HashMap<(Side, StreamId), RecvStream> {
    let who = Some("spaces/1/devices/2");
    let room =
        [recv(AUDIO, MediaKind::Audio, Codec::Pcmu, None), recv(VIDEO, MediaKind::Video, Codec::H264, None)];
    let meeting =
        [recv(VOICE, MediaKind::Audio, Codec::Opus, who), recv(FACE, MediaKind::Video, Codec::Vp8, who)];
    let room = room.into_iter().map(|stream| ((Side::Caller, stream.id), stream));
    room.chain(meeting.into_iter().map(|stream| ((Side::Conference, stream.id), stream))).collect()
}

fn sound(input: StreamId, sink: StreamId, codec: Codec) -> Option<Sound> {
    let (expected_loss, frame_time) = (0, Duration::from_millis(20));
    Some(Sound { inputs: vec![input], sink, codec, bps: 32_000, expected_loss, frame_time })
}

/// Sound and picture both ways; `shown` says whose picture the room sees.
fn plan(shown: &[StreamId]) -> MediaPlan {
    let rect = layout::Rect { x: 0, y: 0, size: Size::P360 };
    let tile = |stream: &StreamId| layout::Tile { stream: *stream, participant: None, rect };
    let layer = |sink, size| Layer { sink, size, bps: 200_000 };
    let layers = vec![layer(UP_LOW, Size::P180), layer(UP_HIGH, Size::P360)];
    MediaPlan {
        up: Up {
            sound: sound(AUDIO, UP_AUDIO, Codec::Opus),
            picture: Some(Ladder { source: VIDEO, codec: Codec::Vp8, max_fps: 30, layers }),
        },
        down: Down {
            sound: sound(VOICE, AUDIO, Codec::Pcmu),
            picture: Some(Composition {
                sink: VIDEO,
                codec: Codec::H264,
                canvas: Size::P360,
                max_fps: 30,
                bps: 500_000,
                max_nal_bytes: None,
                tiles: shown.iter().map(tile).collect(),
                indicators: Indicators::default(),
            }),
        },
        ..MediaPlan::default()
    }
}

impl Rig {
    fn new(pictures: usize) -> Self {
        let (ring, bell) = mpsc::channel();
        let deadly = Arc::new(AtomicBool::new(false));
        let dies = Arc::clone(&deadly);
        let wake: Arc<dyn Fn() + Send + Sync> = Arc::new(move || {
            let pictures = std::thread::current().name() == Some("pictures-1");
            assert!(!(pictures && dies.swap(false, Ordering::SeqCst)), "this worker was to die");
            // A rig that is gone hears nothing.
            let _ = ring.send(());
        });
        let epoch = Instant::now();
        let plane =
            Plane::new(pictures, epoch, Prompts::built_in().expect("prompts"), &Workers::Threads(wake));
        let plane = plane.expect("threads");
        Self { plane, bell, deadly, told: Vec::new(), camera: Camera::new(Codec::Vp8, epoch) }
    }

    fn apply(&mut self, call: u64, plan: MediaPlan) {
        self.plane.apply(CallId(call), &meeting(), plan, &received());
    }

    /// Until the bell rings; it may have rung for reports that are read already, so not for long.
    fn rest(&self) {
        let _ = self.bell.recv_timeout(Duration::from_millis(100));
    }

    fn poll(&mut self) {
        let told = &mut self.told;
        self.plane.poll(Instant::now(), |event| told.push(event));
    }

    /// Waits until the plane has told what `wanted` looks for, and forgets everything up to there.
    fn until<T>(&mut self, what: &str, mut wanted: impl FnMut(&PlaneEvent) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.poll();
            let found = self.told.iter().enumerate().find_map(|(at, event)| Some((at, wanted(event)?)));
            if let Some((at, found)) = found {
                self.told.drain(..=at);
                return found;
            }
            self.rest();
            assert!(Instant::now() < deadline, "{what} did not come; came: {:?}", self.told);
        }
    }

    fn frame_for(&mut self, call: u64, side: Side, stream: StreamId) -> EncodedFrame {
        let place = (CallId(call), side, stream);
        self.until(&format!("a frame for {place:?}"), |event| match event {
            PlaneEvent::Frame(at, frame) if *at == place => Some(frame.clone()),
            _ => None,
        })
    }

    /// A participant's picture arrives at this call.
    fn face(&mut self, call: u64) {
        let frame = self.camera.shoot();
        self.send((CallId(call), Side::Conference, FACE), frame);
    }

    /// A frame comes, and its worker is called for it at once, however long it might wait.
    fn send(&mut self, place: Place, frame: EncodedFrame) {
        let now = Instant::now();
        self.plane.frame(now, place, frame);
        self.plane.call(self.plane.wake().unwrap_or(now));
    }

    fn held(&self) -> (usize, usize) {
        let figures = self.plane.figures();
        (figures.sources, figures.sinks)
    }
}

fn voice(millis: u64) -> EncodedFrame {
    let time = MediaTime::from_duration(Duration::from_millis(millis));
    let data = Bytes::from(vec![0x55; 160]);
    EncodedFrame { codec: Codec::Pcmu, captured: time, arrived: time, key: true, contiguous: true, data }
}

#[test]
fn a_worker_speaks_for_what_it_was_given_and_for_nothing_of_anothers() {
    let mut rig = Rig::new(2);
    rig.apply(1, plan(&[FACE]));
    let (sink, owner, place) =
        rig.plane.sinks.iter().map(|(id, sink)| (*id, sink.lane, sink.place)).min().expect("a sink");
    let source = rig.plane.sources.of((CallId(1), Side::Caller, AUDIO)).expect("a source");
    let (frame, now) = (rig.camera.shoot(), Instant::now());
    for lane in (0..3).map(LaneId) {
        let mut told = Vec::new();
        let mut takes = |report| rig.plane.take(now, lane, report, &mut |event| told.push(event));
        takes(Report::Frame { sink, frame: frame.clone() });
        takes(Report::Key { source, key: '5' });
        let of_sink = (lane == owner).then(|| PlaneEvent::Frame(place, frame.clone()));
        let of_source = (lane == SOUND).then_some(PlaneEvent::Key((CallId(1), Side::Caller, AUDIO), '5'));
        assert_eq!(told, of_sink.into_iter().chain(of_source).collect::<Vec<_>>(), "{lane:?}");
    }
}

#[test]
fn frames_come_out_at_the_place_they_were_made_for_in_its_codec() {
    let mut rig = Rig::new(2);
    rig.apply(1, plan(&[FACE]));
    rig.send((CallId(1), Side::Caller, AUDIO), voice(0));
    assert_eq!(rig.frame_for(1, Side::Conference, UP_AUDIO).codec, Codec::Opus);
    assert_eq!(rig.frame_for(1, Side::Caller, AUDIO).codec, Codec::Pcmu);

    let mut room = Camera::new(Codec::H264, Instant::now());
    rig.send((CallId(1), Side::Caller, VIDEO), room.shoot());
    let low = rig.frame_for(1, Side::Conference, UP_LOW);
    rig.send((CallId(1), Side::Caller, VIDEO), room.shoot());
    let high = rig.frame_for(1, Side::Conference, UP_HIGH);
    assert_eq!((low.codec, low.key, high.codec), (Codec::Vp8, true, Codec::Vp8));

    rig.face(1);
    assert_eq!(rig.frame_for(1, Side::Caller, VIDEO).codec, Codec::H264);
}

#[test]
fn a_picture_beside_the_main_one_waits_for_it_and_not_for_long() {
    let mut rig = Rig::new(2);
    let (now, small) = (Instant::now(), StreamId(77));
    rig.apply(1, plan(&[FACE, small]));
    let frame = |rig: &mut Rig, stream| {
        let frame = rig.camera.shoot();
        rig.plane.frame(now, (CallId(1), Side::Conference, stream), frame);
        rig.plane.wake()
    };
    // when a small picture comes, then its worker is called later
    let due = frame(&mut rig, small).expect("it is to be called");
    assert!(due > now && due <= now + Duration::from_millis(40));
    rig.plane.call(now);
    assert_eq!(rig.plane.wake(), Some(due), "it was not called yet");
    // when the main one comes, then at once, and for both
    assert_eq!(frame(&mut rig, FACE), Some(now));
    rig.plane.call(now);
    assert_eq!(rig.plane.wake(), None);
    assert_eq!(rig.frame_for(1, Side::Caller, VIDEO).codec, Codec::H264);
    // when no main one comes, then when it has waited long enough
    frame(&mut rig, small);
    rig.plane.call(due);
    assert_eq!(rig.plane.wake(), None);
}

#[test]
fn frames_that_no_plan_names_go_nowhere() {
    let mut rig = Rig::new(1);
    rig.face(1);
    rig.plane.force_key((CallId(1), Side::Caller, VIDEO));
    assert_eq!(rig.held(), (0, 0));
}

#[test]
fn two_calls_in_one_meeting_decode_a_participant_once_and_both_see_it() {
    // Three lanes of pictures, and both calls stand before anybody shows a picture: they must still find each other.
    let mut rig = Rig::new(3);
    rig.apply(1, plan(&[]));
    rig.apply(2, plan(&[]));
    let (before, _) = rig.held();
    rig.apply(1, plan(&[FACE]));
    rig.apply(2, plan(&[FACE]));
    let (after, _) = rig.held();
    assert_eq!(after - before, 1, "one decoder for both");

    let picture = |rig: &Rig, call| {
        rig.plane
            .picture((CallId(call), Side::Conference, FACE), Direction::Receive)
            .map(|picture| picture.count)
    };
    rig.face(1);
    // Only the first call's copy was fed; the second call's picture changes with it.
    let count = |rig: &Rig| {
        rig.plane.picture((CallId(2), Side::Caller, VIDEO), Direction::Send).map(|sent| sent.size)
    };
    let deadline = Instant::now() + PATIENCE;
    while picture(&rig, 2) != Some(1) || count(&rig) != Some(Size::P360) {
        rig.poll();
        rig.rest();
        assert!(Instant::now() < deadline, "the second call's picture shows nobody");
    }
    rig.face(2);
    rig.plane.remove(CallId(1));
    rig.face(2);
    assert_eq!(rig.frame_for(2, Side::Caller, VIDEO).codec, Codec::H264);
}

#[test]
fn a_call_that_is_removed_gives_everything_back_and_the_others_go_on() {
    let mut rig = Rig::new(2);
    rig.apply(1, plan(&[FACE]));
    rig.apply(2, plan(&[FACE]));
    // Each room's sound and picture, and the participant's, once.
    assert_eq!(rig.held(), (6, 10));
    rig.plane.remove(CallId(1));
    assert_eq!(rig.held(), (4, 5));
    rig.told.clear();
    rig.frame_for(2, Side::Caller, AUDIO);
    rig.plane.remove(CallId(2));
    rig.plane.remove(CallId(2));
    assert_eq!(rig.held(), (0, 0));
}

#[test]
fn hold_gives_back_what_is_not_used_and_resume_begins_with_a_picture_that_stands_alone() {
    let mut rig = Rig::new(2);
    rig.apply(1, plan(&[FACE]));
    rig.face(1);
    rig.frame_for(1, Side::Caller, VIDEO);
    rig.apply(1, MediaPlan::default());
    assert_eq!(rig.held(), (0, 0));
    rig.apply(1, plan(&[FACE]));
    rig.told.clear();
    rig.face(1);
    assert!(rig.frame_for(1, Side::Caller, VIDEO).key);
}

#[test]
fn nothing_late_of_an_encoder_that_ended_comes_out_in_the_next_ones_place() {
    let mut rig = Rig::new(2);
    rig.apply(1, plan(&[FACE]));
    // Reports of the old encoders wait, unread, when the codecs change.
    rig.face(1);
    rig.bell.recv_timeout(PATIENCE).expect("a worker has something to tell");
    let mut new = plan(&[FACE]);
    new.down.sound = sound(VOICE, AUDIO, Codec::G722);
    if let Some(picture) = &mut new.down.picture {
        picture.codec = Codec::Vp8;
    }
    rig.apply(1, new);
    rig.face(1);
    let (mut heard, mut seen) = (0, 0);
    rig.until("sound and picture", |event| {
        let PlaneEvent::Frame((_, Side::Caller, stream), frame) = event else { return None };
        let codec = if *stream == AUDIO { Codec::G722 } else { Codec::Vp8 };
        assert_eq!(frame.codec, codec, "of an encoder that ended");
        *(if *stream == AUDIO { &mut heard } else { &mut seen }) += 1;
        (heard > 0 && seen > 0).then_some(())
    });
}

#[test]
fn who_shows_a_participant_larger_is_asked_for_a_picture_that_stands_alone() {
    let mut rig = Rig::new(1);
    rig.apply(1, plan(&[FACE]));
    let mut large = plan(&[FACE]);
    if let Some(picture) = &mut large.down.picture {
        picture.tiles[0].rect.size = Size::HD720;
    }
    rig.apply(2, large);
    let asked = rig.until("a request", |event| match event {
        PlaneEvent::KeyframeNeeded(place) => Some(*place),
        _ => None,
    });
    assert_eq!(asked, (CallId(2), Side::Conference, FACE));
}

#[test]
fn a_worker_that_dies_is_started_again_with_everything_it_had() {
    let mut rig = Rig::new(1);
    rig.apply(1, plan(&[FACE]));
    rig.face(1);
    rig.frame_for(1, Side::Caller, VIDEO);
    rig.frame_for(1, Side::Caller, AUDIO);

    rig.deadly.store(true, Ordering::SeqCst);
    rig.face(1);
    let died = PlaneEvent::WorkerDied("this worker was to die".into());
    rig.until("the end of a worker", |event| (*event == died).then_some(()));

    assert_eq!(rig.held(), (4, 5));
    assert!(rig.frame_for(1, Side::Caller, VIDEO).key, "the room's decoder begins anew with it");
    rig.face(1);
    let shown = |rig: &Rig| rig.plane.picture((CallId(1), Side::Conference, FACE), Direction::Receive);
    let deadline = Instant::now() + PATIENCE;
    while shown(&rig).is_none_or(|picture| picture.count == 0) {
        rig.poll();
        rig.rest();
        assert!(Instant::now() < deadline, "what is received is decoded again");
    }
    assert!(rig.told.iter().all(|event| !matches!(event, PlaneEvent::Failed(..))), "{:?}", rig.told);
}
