//! A scene on a screen of 80 by 24.

use super::vt100::{COLUMNS, Grid, ROWS};
use crate::menu::cells::Cells;
use crate::menu::question::Editor;
use crate::menu::{Body, Page, Scene};
use crate::protocol::Facts;

/// Where the body begins.
const TOP: usize = 4;
/// Rows of the body.
const BODY: usize = ROWS - TOP - 3;
/// How much text a body shows.
pub const PAGE: Page = Page { columns: COLUMNS - 4, lines: BODY };

/// Draws `scene`.
#[must_use]
pub fn draw(scene: &Scene, facts: &Facts) -> Grid {
    let mut grid = Grid::blank();
    let slot = facts.slot.as_deref().map_or(String::new(), |slot| format!("  slot {slot}"));
    grid.write(0, 0, &format!("Gantry {}  {}{slot}", facts.version, facts.host_name));
    let right = if facts.alarms.is_empty() {
        facts.summary.clone()
    } else {
        format!("{}, {} to look at", facts.summary, facts.alarms.len())
    };
    grid.write(0, COLUMNS.saturating_sub(right.chars().count()), &right);
    grid.write(1, 0, &"-".repeat(COLUMNS));
    grid.write(2, 2, &scene.title);
    if let Some(banner) = &scene.banner {
        grid.write(ROWS - 3, 2, banner);
    }
    grid.write(ROWS - 2, 0, &"-".repeat(COLUMNS));
    match &scene.body {
        Body::Lines { lines, top } => {
            text(&mut grid, lines, *top);
            let more = lines.len() > top + BODY || *top > 0;
            let hint = if more { "up/down, space: scroll   Enter: back" } else { "Enter: back" };
            grid.write(ROWS - 1, 2, hint);
        }
        Body::Entries { entries, at } => {
            for (row, (title, _, value)) in entries.iter().take(BODY).enumerate() {
                let number = if row < 10 { char::from(b'0' + ((row + 1) % 10) as u8) } else { ' ' };
                grid.write(
                    TOP + row,
                    2,
                    &format!("{} {number}  {title}", if row == *at { '>' } else { ' ' }),
                );
                if let Some(value) = value {
                    grid.write(TOP + row, 44, value);
                }
            }
            grid.write(ROWS - 1, 2, "up/down or a number, Enter: choose   Esc or q: back   : command line");
        }
        Body::Question { question, lines, editor, note } => {
            text(&mut grid, lines, 0);
            let row = TOP + (lines.len() + usize::from(!lines.is_empty())).min(BODY - 4);
            editor_rows(&mut grid, row, editor);
            let hint = question.hint();
            if !hint.is_empty() {
                grid.write(row + 1, 4, &format!("({hint})"));
            }
            if let Some(note) = note {
                for (line, part) in crate::menu::lay::wrap(note, COLUMNS - 6).iter().take(2).enumerate() {
                    grid.write(ROWS - 5 + line, 2, &format!("! {part}"));
                }
            }
            let keys = match editor {
                Editor::Read => "Enter: go on",
                Editor::Cells(_) => "up/down, Enter: choose   Esc: back",
                Editor::Line(_) => "Enter: go on   Esc: back",
            };
            grid.write(ROWS - 1, 2, keys);
        }
        Body::Prompt { lines, editor } => {
            let room = BODY - 1;
            let newest = &lines[lines.len().saturating_sub(room)..];
            text(&mut grid, newest, 0);
            let row = TOP + newest.len();
            let (shown, cursor) = editor.shown(COLUMNS - 5);
            grid.write(row, 2, &format!("> {shown}"));
            grid.cursor = Some((row, 4 + cursor));
            grid.write(ROWS - 1, 2, "Enter: do it   Tab: complete   up/down: commands before   Esc: back");
        }
    }
    grid
}

fn text(grid: &mut Grid, lines: &[String], top: usize) {
    for (row, line) in lines.iter().skip(top).take(BODY).enumerate() {
        grid.write(TOP + row, 2, line);
    }
}

fn editor_rows(grid: &mut Grid, row: usize, editor: &Editor) {
    match editor {
        Editor::Read => {}
        Editor::Cells(Cells::Choice(choice)) => {
            for (index, (_, label)) in choice.options.iter().enumerate().take(ROWS - 4 - row) {
                let mark = if index == choice.at { '>' } else { ' ' };
                grid.write(row + index, 2, &format!("{mark} {}  {label}", index + 1));
            }
        }
        Editor::Cells(cells) => grid.write(row, 4, &cells.shown().0),
        Editor::Line(line) => {
            let (shown, cursor) = line.shown(COLUMNS - 7);
            grid.write(row, 2, &format!(": {shown}"));
            grid.cursor = Some((row, 4 + cursor));
        }
    }
}
