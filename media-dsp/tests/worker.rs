//! What the thread round a graph promises.

#![allow(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

#[path = "../codecs/tests/pattern/mod.rs"]
mod pattern;
mod rig;

use base::pulse::Sign;
use base::{Codec, MediaTime, Pulse, Size};
use codecs::Picture;
use media_dsp::{Command, Layer, Report, SinkId, SourceId, SourceKind, Step, Worker};
use rig::Camera;
use std::sync::mpsc;
use std::time::{Duration, Instant};

#[test]
fn a_worker_wakes_its_engine_when_a_frame_is_ready_and_ends_when_it_is_dropped() {
    let epoch = Instant::now();
    let (woken, wakes) = mpsc::channel();
    let worker = Worker::spawn(
        "media-test",
        epoch,
        Pulse::default(),
        Box::new(move || {
            let _ = woken.send(());
        }),
    )
    .unwrap();
    let layers = vec![Layer { sink: SinkId(10), size: Size::P180, bps: 150_000 }];
    worker.send(Command::Apply(vec![
        Step::AddSource { source: SourceId(1), kind: SourceKind::Picture },
        Step::AddLadder { source: SourceId(1), codec: Codec::Vp8, max_fps: 30, layers },
    ]));
    let mut camera = Camera::new(Codec::H264, 320, 180, None);
    let now = MediaTime::at(epoch, Instant::now());
    let frame = camera.shoot(&pattern::picture(320, 180, 3), now, Picture::Any).unwrap();
    assert!(worker.send(Command::Frame { source: SourceId(1), frame }));
    let deadline = Instant::now() + Duration::from_secs(20);
    let made = std::iter::from_fn(|| worker.recv(deadline)).find_map(|report| match report {
        Report::Frame { sink, frame } => Some((sink, frame)),
        _ => None,
    });
    let (sink, frame) = made.unwrap();
    assert_eq!((sink, frame.key, frame.captured), (SinkId(10), true, now));
    assert!(wakes.recv_timeout(Duration::from_secs(20)).is_ok());
    drop(worker);
    assert!(wakes.iter().count() < 100, "the waker goes with the worker");
}

#[test]
fn a_worker_that_panics_says_so_last_and_takes_nothing_more() {
    let waker = Box::new(|| panic!("the waker broke"));
    let worker = Worker::spawn("media-test", Instant::now(), Pulse::default(), waker).unwrap();
    // a step that fails makes a report, and the report calls the waker
    worker.send(Command::Apply(vec![Step::SetMix { sink: SinkId(1), inputs: vec![] }]));
    let deadline = Instant::now() + Duration::from_secs(20);
    let last = std::iter::from_fn(|| worker.recv(deadline)).last();
    assert_eq!(last, Some(Report::Died { why: "the waker broke".to_owned() }));
    assert!(!worker.send(Command::ForceKey { sink: SinkId(1) }));
}

#[test]
fn a_worker_shows_that_it_lives_while_it_has_nothing_to_do_and_not_while_it_stands_still() {
    let (pulse, rounds) = (Pulse::default(), |pulse: &Pulse| match pulse.sign() {
        Sign::Rounds(count) => count,
        Sign::Ended => panic!("a worker does not end its pulse; its owner does"),
    });
    let (hold, held) = mpsc::channel::<()>();
    let (said, stands) = mpsc::channel();
    // A bell that nobody answers: the worker's thread waits in it, as in any lock that is never given back.
    let waker = Box::new(move || {
        let _ = said.send(());
        let _ = held.recv();
    });
    let worker = Worker::spawn("media-test", Instant::now(), pulse.clone(), waker).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while rounds(&pulse) < 3 {
        assert!(Instant::now() < deadline, "an idle worker does not come round");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    worker.send(Command::Apply(vec![Step::SetMix { sink: SinkId(1), inputs: vec![] }]));
    stands.recv_timeout(Duration::from_secs(20)).unwrap();
    let before = rounds(&pulse);
    std::thread::park_timeout(Duration::from_millis(1_500));
    assert_eq!(rounds(&pulse), before, "three rounds' time has gone");
    drop(hold);
    while rounds(&pulse) == before {
        assert!(Instant::now() < deadline, "it goes on when it may");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}
