//! A scene on a terminal that only prints: no escape codes, nothing is written over. A screen is printed when it is another one,
//! entries have numbers, and a line is typed and ended with Enter.
//!
//! ```text
//!  == Main menu
//!   1  Status
//!   2  Set up step by step
//!  choose>
//! ```

use crate::menu::cells::Cells;
use crate::menu::question::Editor;
use crate::menu::{Body, Key, Page, Scene};

/// How much text a screen shows at a time.
pub const PAGE: Page = Page { columns: 78, lines: 20 };

/// What is printed for `scene`, and the prompt below it. Seconds that count down are left out, so that a screen stays the
/// same while nothing happens.
#[must_use]
pub fn print(scene: &Scene) -> (String, String) {
    let mut text = format!("== {}\n", scene.title);
    let mut put = |line: &str| {
        text.push_str(line.trim_end());
        text.push('\n');
    };
    if scene.banner.is_some() {
        put("A change is on trial: confirm it within 120 s, or it is taken back.");
    }
    let prompt = match &scene.body {
        Body::Lines { lines, top } => {
            lines.iter().skip(*top).take(PAGE.lines).for_each(|line| put(line));
            let more = lines.len() > top + PAGE.lines;
            if more { "Enter: back, +: more>" } else { "Enter: back>" }.to_owned()
        }
        Body::Entries { entries, .. } => {
            for (index, (title, _, value)) in entries.iter().enumerate() {
                let value = value.as_ref().map_or(String::new(), |value| format!("  [{value}]"));
                put(&format!(" {:>2}  {title}{value}", index + 1));
            }
            "choose (a number, b: back, or a command)>".to_owned()
        }
        Body::Question { question, lines, editor, note } => {
            lines.iter().filter(|line| !line.starts_with("Seconds left")).for_each(|line| put(line));
            if let Editor::Cells(Cells::Choice(choice)) = editor {
                for (index, (_, label)) in choice.options.iter().enumerate() {
                    put(&format!(" {:>2}  {label}", index + 1));
                }
            }
            if let Some(note) = note {
                put(&format!("! {note}"));
            }
            match editor {
                Editor::Read => "Enter: go on>".to_owned(),
                Editor::Cells(_) => "choose (a number, b: back)>".to_owned(),
                Editor::Line(_) => {
                    let (hint, offer) = (question.hint(), question.offer());
                    let hint = if hint.is_empty() { hint } else { format!(" ({hint})") };
                    let offer = if offer.is_empty() { offer } else { format!(" [{offer}]") };
                    format!("{}{hint}{offer}:", question.label)
                }
            }
        }
        Body::Prompt { lines, .. } => {
            lines.iter().rev().take(PAGE.lines).rev().for_each(|line| put(line));
            "gantry>".to_owned()
        }
    };
    (text, prompt)
}

/// The keys that a typed line means in `scene`; those of a question's line first empty it.
#[must_use]
pub fn keys(scene: &Scene, line: &str) -> Vec<Key> {
    let word = line.trim();
    let typed = || word.chars().map(Key::Char);
    match &scene.body {
        Body::Lines { .. } if word == "+" => vec![Key::PageDown],
        Body::Lines { .. } => vec![Key::Select],
        Body::Entries { entries, at } => match word.parse::<usize>() {
            Ok(number) if (1..=entries.len()).contains(&number) => {
                let steps = (number - 1 + entries.len() - at) % entries.len();
                std::iter::repeat_n(Key::Down, steps).chain([Key::Select]).collect()
            }
            _ if word == "b" => vec![Key::Back],
            _ => Vec::new(),
        },
        Body::Question { editor, .. } => match editor {
            Editor::Read => vec![Key::Select],
            Editor::Cells(Cells::Choice(choice)) => match word.parse::<usize>() {
                Ok(number) if (1..=choice.options.len()).contains(&number) => {
                    let count = choice.options.len();
                    let steps = (number - 1 + count - choice.at) % count;
                    std::iter::repeat_n(Key::Down, steps).chain([Key::Select]).collect()
                }
                _ if word == "b" => vec![Key::Back],
                _ => Vec::new(),
            },
            Editor::Cells(_) => Vec::new(),
            // Nothing typed takes what is offered; a lone b goes back, as on every screen.
            Editor::Line(_) if word.is_empty() => vec![Key::Select],
            Editor::Line(_) if word == "b" => vec![Key::Back],
            Editor::Line(_) => [Key::End, Key::KillLine]
                .into_iter()
                .chain(line.trim_end_matches(['\r', '\n']).chars().map(Key::Char))
                .chain([Key::Select])
                .collect(),
        },
        Body::Prompt { .. } if word == "b" => vec![Key::Back],
        Body::Prompt { .. } => {
            [Key::End, Key::KillLine].into_iter().chain(typed()).chain([Key::Select]).collect()
        }
    }
}
