//! A caller in a Virtual Reception, with real workers: it sees and hears the prompt, and its meeting after it (P5).

use super::*;
use base::Pii;
use domain::prompt::{Prompt, Showing};

/// The prompt of a caller that sends sound, and what it keyed.
fn prompted(prompt: Prompt, keyed: &str, says: Option<u32>) -> MediaPlan {
    let mut plan = plan(&[]);
    plan.up = Up::default();
    if let Some(sound) = &mut plan.down.sound {
        sound.inputs.clear();
    }
    plan.prompt = Some(Showing { prompt, theme: None, keyed: Pii::new(keyed), says });
    plan.keys = Some(AUDIO);
    plan
}

fn alone(rig: &mut Rig, call: u64, plan: MediaPlan) {
    rig.plane.apply(CallId(call), &MeetingKey::alone(CallId(call)), plan, &received());
}

/// Octets of the next picture that the caller gets.
fn picture(rig: &mut Rig, call: u64) -> usize {
    rig.frame_for(call, Side::Caller, VIDEO).data.len()
}

/// P5
#[test]
fn p5_the_prompt_is_seen_and_heard_and_its_end_is_told() {
    let mut rig = Rig::new(2);
    alone(&mut rig, 1, prompted(Prompt::Connecting, "", Some(7)));
    assert!(picture(&mut rig, 1) > 2_000, "there is something in the picture");
    rig.frame_for(1, Side::Caller, AUDIO);
    assert_eq!(rig.held(), (3, 2), "the prompt's picture and voice, and the caller's sound");
    rig.until("the end of the voice", |event| (*event == PlaneEvent::Said(CallId(1), 7)).then_some(()));
    alone(&mut rig, 1, prompted(Prompt::Connecting, "", None));
    assert_eq!(rig.held(), (2, 2));
    rig.plane.remove(CallId(1));
    assert_eq!(rig.held(), (0, 0));
}

/// P5
#[test]
fn p5_a_voice_that_was_cut_short_is_not_the_end_of_the_next() {
    let mut rig = Rig::new(1);
    alone(&mut rig, 1, prompted(Prompt::Connecting, "", Some(1)));
    alone(&mut rig, 1, prompted(Prompt::Welcome, "1", None));
    alone(&mut rig, 1, prompted(Prompt::Connecting, "1", Some(2)));
    let first = rig.until("the end of a voice", |event| match event {
        PlaneEvent::Said(_, number) => Some(*number),
        _ => None,
    });
    assert_eq!(first, 2);
}

/// P5
#[test]
fn p5_the_room_goes_on_with_the_same_encoders_in_its_meeting() {
    let mut rig = Rig::new(2);
    alone(&mut rig, 1, prompted(Prompt::Welcome, "123", Some(1)));
    assert!(rig.frame_for(1, Side::Caller, VIDEO).key);
    rig.apply(1, plan(&[FACE]));
    rig.face(1);
    assert!(!rig.frame_for(1, Side::Caller, VIDEO).key, "no new picture encoder");
    assert_eq!(rig.held(), (4, 5));
    rig.plane.remove(CallId(1));
    assert_eq!(rig.held(), (0, 0));
}

/// P5
#[test]
fn p5_who_comes_into_a_meeting_that_is_worked_on_elsewhere_sees_it_all_the_same() {
    let mut rig = Rig::new(3);
    rig.apply(1, plan(&[FACE]));
    for call in 2..=4 {
        alone(&mut rig, call, prompted(Prompt::Welcome, "", None));
        picture(&mut rig, call);
    }
    for call in 2..=4 {
        rig.apply(call, plan(&[FACE]));
    }
    assert_eq!(rig.held().0, 2 + 4 * 2, "one face and one voice for all four, each room's sound and picture");
    for call in 2..=4 {
        let empty = rig.frame_for(call, Side::Caller, VIDEO);
        rig.face(1);
        rig.until("the face", |event| match event {
            PlaneEvent::Frame(at, frame) if *at == (CallId(call), Side::Caller, VIDEO) => {
                (frame.captured > empty.captured).then_some(())
            }
            _ => None,
        });
    }
}

/// P5
#[test]
fn a_prompt_is_shown_and_said_again_by_a_worker_that_was_started_anew() {
    let mut rig = Rig::new(1);
    alone(&mut rig, 1, prompted(Prompt::Welcome, "", None));
    picture(&mut rig, 1);
    rig.deadly.store(true, Ordering::SeqCst);
    rig.plane.force_key((CallId(1), Side::Caller, VIDEO));
    rig.until("the restart", |event| matches!(event, PlaneEvent::WorkerDied(_)).then_some(()));
    let again = rig.frame_for(1, Side::Caller, VIDEO);
    assert!(again.key && again.data.len() > 2_000);
}

/// P5
#[test]
fn p5_keys_are_heard_in_the_callers_sound() {
    let mut rig = Rig::new(1);
    alone(&mut rig, 1, prompted(Prompt::Welcome, "", None));
    for packet in 0..20 {
        let sample = |i: u64| {
            let sine = |hz: f64| (std::f64::consts::TAU * hz * (packet * 160 + i) as f64 / 8_000.0).sin();
            (sine(770.0) + sine(1_336.0)) * 6_000.0
        };
        let data: Vec<u8> = (0..160).map(|i| mu_law(sample(i) as i32)).collect();
        rig.send((CallId(1), Side::Caller, AUDIO), EncodedFrame { data: data.into(), ..voice(packet * 20) });
    }
    let key = rig.until("a key", |event| match event {
        PlaneEvent::Key(place, key) => Some((*place, *key)),
        _ => None,
    });
    assert_eq!(key, ((CallId(1), Side::Caller, AUDIO), '5'));
}

/// ITU-T G.711.
fn mu_law(sample: i32) -> u8 {
    let magnitude = sample.abs().min(32_635) + 132;
    let exponent = (31 - magnitude.leading_zeros() as i32 - 7).clamp(0, 7);
    let sign = if sample < 0 { 0x80 } else { 0 };
    !(sign | (exponent << 4) as u8 | (magnitude >> (exponent + 3) & 0x0f) as u8)
}
