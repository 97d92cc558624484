//! A scene on a display of 16 by 2 or 20 by 4 characters.

use crate::menu::question::Editor;
use crate::menu::{Body, Key, Page, Scene};
use crate::protocol::Stage;
use hal::panel::{Act, Cell, Geometry, Key as PanelKey, KeyEvent, Screen};

/// How much text a display shows.
#[must_use]
pub fn page(geometry: Geometry) -> Page {
    Page { columns: geometry.columns(), lines: geometry.rows() }
}

/// Draws `scene`.
#[must_use]
pub fn draw(scene: &Scene, stage: Stage, geometry: Geometry) -> Screen {
    let (columns, rows) = (geometry.columns(), geometry.rows());
    let mut screen = Screen::blank(geometry);
    let write = |screen: &mut Screen, row: usize, text: &str| screen.write(Cell { row, column: 0 }, text);
    match &scene.body {
        Body::Lines { lines, top } => {
            for (row, line) in lines.iter().skip(*top).take(rows).enumerate() {
                write(&mut screen, row, line);
            }
            arrows(&mut screen, *top > 0, lines.len() > top + rows);
        }
        Body::Entries { entries, at } => {
            // On two rows the menu's name and the entry that is meant; on four as many as fit.
            let title = match stage {
                Stage::OnTrial(left) => format!("On trial {left} s"),
                Stage::Standing | Stage::Staged => scene.title.clone(),
            };
            write(&mut screen, 0, &title);
            let room = rows - 1;
            let top = (at / room) * room;
            for (row, (index, (_, short, value))) in
                entries.iter().enumerate().skip(top).take(room).enumerate()
            {
                let value = value
                    .as_ref()
                    .filter(|_| columns >= 20)
                    .map_or(String::new(), |value| format!(" {value}"));
                let mark = if index == *at { '>' } else { ' ' };
                write(&mut screen, row + 1, &format!("{mark}{short}{value}"));
            }
            arrows(&mut screen, *at > 0, at + 1 < entries.len());
        }
        Body::Question { question, lines, editor, note } => {
            let head = note.as_ref().map_or_else(|| question.short.clone(), |note| format!("! {note}"));
            match editor {
                Editor::Read => read(&mut screen, &question.short, lines),
                Editor::Line(_) => write(&mut screen, 0, &question.short),
                Editor::Cells(cells) => {
                    write(&mut screen, 0, &head);
                    let row = if rows == 2 { 1 } else { 2 };
                    if rows == 4 {
                        let seen = if note.is_some() {
                            &question.short
                        } else {
                            lines.first().unwrap_or(&question.short)
                        };
                        let seen = if *seen == question.short && note.is_none() { "" } else { seen.as_str() };
                        write(&mut screen, 1, seen);
                        write(&mut screen, 3, cells.hint());
                    }
                    let (text, cursor) = cells.shown();
                    let from = cursor.map_or(0, |cursor| (cursor + 1).saturating_sub(columns));
                    let part: String = text.chars().skip(from).take(columns).collect();
                    match cursor {
                        Some(cursor) => {
                            write(&mut screen, row, &part);
                            screen.put_cursor(Some(Cell { row, column: cursor - from }));
                        }
                        None => write(&mut screen, row, &format!(">{part}")),
                    }
                }
            }
        }
        // A panel has no prompt.
        Body::Prompt { .. } => {}
    }
    screen
}

/// Something that is read: its name, and what there is to read.
fn read(screen: &mut Screen, short: &str, lines: &[String]) {
    let rows = screen.geometry().rows();
    // On two rows the last line is the one that counts: the password below its label.
    let from = lines.len().saturating_sub(if rows == 2 { 1 } else { 2 });
    screen.write(Cell { row: 0, column: 0 }, short);
    for (row, line) in lines[from..].iter().enumerate() {
        screen.write(Cell { row: row + 1, column: 0 }, line);
    }
    if rows == 4 {
        screen.write(Cell { row: 3, column: 0 }, "select=noted");
    }
}

fn arrows(screen: &mut Screen, above: bool, below: bool) {
    let (columns, rows) = (screen.geometry().columns(), screen.geometry().rows());
    if above {
        screen.write(Cell { row: 0, column: columns - 1 }, "▲");
    }
    if below {
        screen.write(Cell { row: rows - 1, column: columns - 1 }, "▼");
    }
}

/// The keys of a panel as the menu's, and which of them are down.
#[derive(Debug, Clone, Default)]
pub struct PanelKeys {
    held: Vec<PanelKey>,
}

/// What a panel's key means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meant {
    /// A key of the menu.
    Key(Key),
    /// Up and down are held together: a lost password is to be set anew.
    Recover,
}

impl PanelKeys {
    /// Takes what happened to a key.
    pub fn event(&mut self, event: KeyEvent) -> Option<Meant> {
        let KeyEvent { key, act } = event;
        let plain = match key {
            PanelKey::Up => Key::Up,
            PanelKey::Down => Key::Down,
            PanelKey::Select => Key::Select,
            PanelKey::Back => Key::Back,
        };
        match act {
            Act::Pressed => Some(Meant::Key(plain)),
            Act::Repeated => (key == PanelKey::Up || key == PanelKey::Down).then_some(Meant::Key(plain)),
            Act::Released => {
                self.held.retain(|held| *held != key);
                None
            }
            Act::Held => {
                self.held.push(key);
                let both = self.held.contains(&PanelKey::Up) && self.held.contains(&PanelKey::Down);
                match key {
                    _ if both => Some(Meant::Recover),
                    PanelKey::Select => Some(Meant::Key(Key::Accept)),
                    PanelKey::Back => Some(Meant::Key(Key::Home)),
                    PanelKey::Up | PanelKey::Down => None,
                }
            }
        }
    }
}
