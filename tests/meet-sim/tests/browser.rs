//! People on the page, in real browsers: they see and hear each other and the rooms, in the size they ask for.

mod support;

use meet_sim::probe::RemoteProbe;
use meet_sim::{Config, LayerChoice, MeetingConfig, Simulator, TokenConfig};
use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};
use support::browser::Browser;
use support::clip::Clip;
use support::gateway::{Ask, Gateway};

const MEETING: &str = "1234567890123";
const PATIENCE: Duration = Duration::from_secs(40);

fn config() -> Config {
    Config {
        meetings: vec![MeetingConfig::new(MEETING)],
        tokens: vec![TokenConfig::trusted("corp", "tok")],
        ..Config::default()
    }
}

/// One test with browsers at a time, also among processes: what they measure is real time.
#[allow(clippy::unwrap_used, reason = "a test fails where its helper does")]
fn turn() -> File {
    let file = File::create(Path::new(env!("CARGO_TARGET_TMPDIR")).join("browsers.lock")).unwrap();
    file.lock().unwrap();
    file
}

/// Looks again and again until there is something to be seen.
fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "{what} did not come within {PATIENCE:?}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn sees(simulator: &Simulator, device: &str, remote: &str) -> Option<RemoteProbe> {
    simulator.probe(device)?.remotes.remove(remote)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What was shown between the last but `frames` and the last runs on without a jump of more than a few frames.
fn assert_moves(remote: &RemoteProbe, frames: usize, modulus: i32) {
    let numbers = remote.numbers();
    let last = &numbers[numbers.len() - frames..];
    let steps = last.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).rem_euclid(modulus));
    let steps: Vec<_> = steps.collect();
    assert!(steps.iter().all(|step| *step < 12), "{last:?}");
    assert!(steps.iter().sum::<i32>() as usize >= frames / 2, "it moves: {last:?}");
    assert!(numbers.len() * 10 >= remote.frames.len() * 9, "the pattern is read in nearly all frames");
}

#[test]
fn two_browsers_see_and_hear_each_other_and_switch_between_three_layers() {
    let _turn = turn();
    let simulator = Simulator::start(config()).unwrap();
    let small = "size=960x540&fps=15";
    let _a = Browser::open("ada", &format!("{}&{small}&hz=1000", simulator.probe_url(MEETING, "Ada")));
    let _b = Browser::open("ben", &format!("{}&{small}&hz=700", simulator.probe_url(MEETING, "Ben")));
    let device = |name| wait(name, || simulator.participant_named(MEETING, name)).device;
    let (ada, ben) = (device("Ada"), device("Ben"));

    for (viewer, remote, hz, name) in [(&ben, &ada, 1_000.0, "Ada"), (&ada, &ben, 700.0, "Ben")] {
        let seen = wait("a hundred frames and three seconds of sound", || {
            sees(&simulator, viewer, remote)
                .filter(|seen| seen.numbers().len() > 100 && seen.pitches.len() > 30)
        });
        assert_eq!(seen.name, name);
        assert_moves(&seen, 60, 1 << 16);
        let since = seen.pitches[seen.pitches.len() - 20].at;
        assert!(seen.share_at(hz, 10.0, since) > 0.6, "{hz} Hz in {:?}", seen.pitches);
    }

    for (layer, size) in
        [(LayerChoice::Low, (240, 135)), (LayerChoice::High, (960, 540)), (LayerChoice::Mid, (480, 270))]
    {
        wait("all three layers", || {
            let sends = simulator.participant_named(MEETING, "Ada")?.sends;
            (sends.iter().filter(|stream| stream.rid.is_some() && stream.alive).count() == 3).then_some(())
        });
        assert!(simulator.set_layer(&ben, &ada, layer));
        wait(&format!("{layer:?}"), || (sees(&simulator, &ben, &ada)?.last_size()? == size).then_some(()));
    }
    let seen = sees(&simulator, &ben, &ada).unwrap();
    assert_eq!(seen.video.clone().unwrap_or_default().freeze_count, 0, "no switch stops the picture");
    keep_snapshot(&simulator, &ben, &ada, "ben-sees-ada.png");
}

#[test]
fn a_browser_sees_and_hears_a_room_with_its_lips_in_time() {
    let _turn = turn();
    let simulator = Simulator::start(config()).unwrap();
    let clip = Clip::encode(&[("q", 320, 180), ("h", 640, 360)]);
    let _a = Browser::open("eve", &format!("{}&size=320x180&fps=10", simulator.probe_url(MEETING, "Eve")));
    let eve = wait("Eve", || simulator.participant_named(MEETING, "Eve")).device;
    let mut room = Gateway::join(&simulator, &Ask::new(MEETING, "Room", "tok")).unwrap();
    room.play(clip);
    let device = room.device();
    let seen = wait("a median of nine lip skews within 40 ms", || {
        room.turn();
        let seen = sees(&simulator, &eve, &device)?;
        let skews = seen.lip_skews();
        let skew = median(skews.get(skews.len().checked_sub(9)?..)?.to_vec());
        // Chromium moves sound and picture together over its first seconds, and a busy machine sets it back.
        (skews.len() > 12 && skew.abs() <= 40.0).then_some(seen)
    });
    assert_moves(&seen, 60, 300);
    let since = seen.pitches[seen.pitches.len() - 40].at;
    assert!(seen.share_at(Clip::HZ, 10.0, since) > 0.6, "{:?}", seen.pitches);
    keep_snapshot(&simulator, &eve, &device, "eve-sees-room.png");
}

#[allow(clippy::unwrap_used, reason = "a test fails where its helper does")]
fn keep_snapshot(simulator: &Simulator, device: &str, remote: &str, file: &str) {
    let png = simulator.snapshot(device, remote).unwrap();
    assert!(png.starts_with(b"\x89PNG"));
    std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join(file), png).unwrap();
}
