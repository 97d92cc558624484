//! The built-in prompts are whole, and what is keyed is seen in them.

use super::*;
use base::{Machine, Output};
use media_dsp::{Command, Graph, Listening, Report, SourceId, SourceKind, Step, graph};
use std::time::{Duration, Instant};

const LIST: &str = include_str!("../../../prompts/list.txt");

/// Most bytes of all built-in prompts.
const MOST_BYTES: usize = 800_000;

/// P5
#[test]
fn p5_the_built_in_prompts_are_whole_and_are_what_their_list_says() {
    let files = BUILT_IN
        .iter()
        .flat_map(|(name, png, clip)| [(format!("{name}.png"), *png), (format!("{name}.clip"), *clip)]);
    let files: Vec<_> = std::iter::once(("keys.png".to_owned(), KEYS_PNG)).chain(files).collect();
    assert_eq!(files.len(), 1 + 2 * Prompt::ALL.len());
    let lines: Vec<String> = files
        .iter()
        .map(|(name, bytes)| format!("{:08x} {:>7} {name}", crc32fast::hash(bytes), bytes.len()))
        .collect();
    assert_eq!(LIST.lines().collect::<Vec<_>>(), lines, "make them with `cargo xtask prompts`");
    assert!(files.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() < MOST_BYTES);

    let prompts = Prompts::built_in().expect("prompts");
    for prompt in Prompt::ALL {
        let picture = prompts.picture(None, prompt, "").expect("a picture");
        assert_eq!(picture.size(), Size::HD720, "{prompt:?}");
        let lasts = prompts.voice(None, prompt).expect("a voice").duration();
        assert!(
            (Duration::from_secs(2)..Duration::from_secs(12)).contains(&lasts),
            "{prompt:?} lasts {lasts:?}"
        );
    }
}

/// Bright pixels in a part of a picture.
fn bright(still: &Still, x: std::ops::Range<u32>, y: std::ops::Range<u32>) -> usize {
    let width = still.size().width;
    let pixels = y.flat_map(|y| x.clone().map(move |x| (y * width + x) as usize));
    pixels.filter(|at| still.planes()[*at] > 180).count()
}

/// P5
#[test]
fn p5_what_is_keyed_is_seen_in_its_field_and_only_there() {
    let prompts = Prompts::built_in().expect("prompts");
    let seen = |keyed: &str| prompts.picture(None, Prompt::Welcome, keyed).expect("a picture");
    let (left, top, width, height) = FIELD;
    let field = |still: &Still| bright(still, left..left + width, top..top + height);
    let (none, one, thirteen) = (seen(""), seen("1"), seen("1234567890123"));
    assert_eq!(field(&none), 0);
    assert!(field(&one) > 200 && field(&thirteen) > 10 * field(&one) / 2);
    let all = |still: &Still| bright(still, 0..1_280, 0..720);
    assert_eq!(all(&thirteen) - field(&thirteen), all(&none), "the rest is as it was");
    let most = seen(&"8".repeat(32));
    assert_eq!(all(&most) - field(&most), all(&none), "more than have room stay in the field");
    assert_eq!(field(&most), field(&seen(&"8".repeat(20))), "the last twenty");
    let middle = |still: &Still| {
        (bright(still, left..640, top..top + height), bright(still, 640..left + width, top..top + height))
    };
    let (before, after) = middle(&seen("0000"));
    assert!(before.abs_diff(after) < before / 8, "in the middle: {before} and {after}");
}

/// P5: a room's microphone hears what we say.
#[test]
fn p5_what_the_box_says_holds_no_keys() {
    let prompts = Prompts::built_in().expect("prompts");
    for prompt in Prompt::ALL {
        let (epoch, source) = (Instant::now(), SourceId(1));
        let (mut graph, mut keys, mut played) = (Graph::new(epoch, Instant::now), String::new(), 0);
        let clip = prompts.voice(None, prompt).expect("a voice");
        let steps = vec![
            Step::AddSource { source, kind: SourceKind::Sound },
            Step::Listen { source, keys: Listening::On },
            Step::Play { source, clip },
        ];
        let (mut now, mut input) = (epoch, graph::Input::Command(Command::Apply(steps)));
        while played == 0 {
            let wake = graph.step(now, input, |Output::Event(report)| match report {
                Report::Key { key, .. } => keys.push(key),
                Report::Played { .. } => played += 1,
                _ => {}
            });
            (now, input) = (wake.expect("it plays"), graph::Input::Timeout);
        }
        assert_eq!(keys, "", "{prompt:?}");
    }
}
