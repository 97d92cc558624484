//! A screen of 80 by 24 on a VT100: only what differs from what the terminal shows is sent, and every byte is counted.
//!
//! At 9600 baud a terminal takes 960 bytes a second. A whole screen is about a second and a half; moving the mark of a menu is two
//! cells, which nobody notices.

use std::fmt::Write;

/// Columns of the screen.
pub const COLUMNS: usize = 80;
/// Rows of the screen.
pub const ROWS: usize = 24;

/// A screen of text, with a cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grid {
    cells: Vec<u8>,
    /// Row and column of the cursor, from 0; `None` hides it in the corner.
    pub cursor: Option<(usize, usize)>,
}

impl Grid {
    /// An empty screen.
    #[must_use]
    pub fn blank() -> Self {
        Self { cells: vec![b' '; COLUMNS * ROWS], cursor: None }
    }

    /// Writes `text` into `row` from `column` on; what is not ASCII becomes `?`, what does not fit is cut off.
    pub fn write(&mut self, row: usize, column: usize, text: &str) {
        if row >= ROWS || column >= COLUMNS {
            return;
        }
        let cells = &mut self.cells[row * COLUMNS + column..(row + 1) * COLUMNS];
        for (cell, character) in cells.iter_mut().zip(text.chars()) {
            *cell = if matches!(character, ' '..='~') { character as u8 } else { b'?' };
        }
    }

    /// A row.
    #[must_use]
    pub fn row(&self, row: usize) -> &[u8] {
        self.cells.chunks_exact(COLUMNS).nth(row).unwrap_or_default()
    }

    /// The rows as text, without spaces at their ends.
    #[must_use]
    pub fn text(&self) -> String {
        let row = |row: usize| String::from_utf8_lossy(self.row(row)).trim_end().to_owned() + "\n";
        (0..ROWS).map(row).collect()
    }
}

/// Keeps what the terminal shows, and says what to send so that it shows something else.
#[derive(Default, Debug, Clone)]
pub struct Painter {
    shown: Option<Grid>,
    sent: u64,
}

impl Painter {
    /// What the terminal shows is not known any more.
    pub fn forget(&mut self) {
        self.shown = None;
    }

    /// How many bytes were sent so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// What to send so that the terminal shows `grid`.
    pub fn paint(&mut self, grid: &Grid) -> String {
        let mut out = String::new();
        let before = self.shown.take().unwrap_or_else(|| {
            // Reset attributes, clear, cursor home.
            out.push_str("\x1b[m\x1b[2J\x1b[H");
            Grid { cursor: Some((0, 0)), ..Grid::blank() }
        });
        let mut at = before.cursor;
        for row in 0..ROWS {
            paint_row(&mut out, &mut at, row, before.row(row), grid.row(row));
        }
        let rests = grid.cursor.unwrap_or((ROWS - 1, 0));
        if at != Some(rests) {
            go(&mut out, &mut at, rests);
        }
        self.shown = Some(Grid { cursor: Some(rests), ..grid.clone() });
        self.sent += out.len() as u64;
        out
    }
}

/// Rewrites what differs in a row; short gaps are written over rather than jumped.
fn paint_row(out: &mut String, at: &mut Option<(usize, usize)>, row: usize, before: &[u8], after: &[u8]) {
    // The last cell of the last row is never written: a terminal would scroll.
    let end = if row + 1 == ROWS { COLUMNS - 1 } else { COLUMNS };
    let written =
        |cells: &[u8]| cells[..end].iter().rposition(|cell| *cell != b' ').map_or(0, |last| last + 1);
    let (was, is) = (written(before), written(after));
    let mut column = 0;
    while column < is {
        if before[column] == after[column] {
            column += 1;
            continue;
        }
        let mut stop = column + 1;
        let mut same = 0;
        for (next, cell) in after.iter().enumerate().take(is).skip(column + 1) {
            if before[next] == *cell {
                same += 1;
                if same > 6 {
                    break;
                }
            } else {
                same = 0;
                stop = next + 1;
            }
        }
        go(out, at, (row, column));
        out.extend(after[column..stop].iter().copied().map(char::from));
        // Behind the last column a terminal's cursor is where terminals differ.
        *at = (stop < COLUMNS).then_some((row, stop));
        column = stop;
    }
    if was > is {
        go(out, at, (row, is));
        out.push_str("\x1b[K");
    }
}

/// Moves the cursor by the shortest way.
fn go(out: &mut String, at: &mut Option<(usize, usize)>, to: (usize, usize)) {
    let (row, column) = to;
    match *at {
        Some(now) if now == to => {}
        Some((now_row, now_column)) if now_row == row && now_column > column && now_column - column <= 3 => {
            (column..now_column).for_each(|_| out.push('\x08'));
        }
        Some((now_row, _)) if column == 0 && row == now_row => out.push('\r'),
        Some((now_row, _)) if column == 0 && row == now_row + 1 => out.push_str("\r\n"),
        _ => {
            let (row, column) = (row + 1, column + 1);
            // Writing to a string cannot fail.
            let _ = match (row, column) {
                (1, 1) => write!(out, "\x1b[H"),
                (_, 1) => write!(out, "\x1b[{row}H"),
                _ => write!(out, "\x1b[{row};{column}H"),
            };
        }
    }
    *at = Some(to);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn terminal() -> vt100::Parser {
        vt100::Parser::new(24.try_into().unwrap(), 80.try_into().unwrap(), 0)
    }

    fn shows(terminal: &vt100::Parser) -> String {
        terminal.screen().rows(0, 80).map(|row| row.trim_end().to_owned() + "\n").collect()
    }

    #[test]
    fn moving_a_mark_is_a_few_bytes() {
        let mut painter = Painter::default();
        let with_mark = |at: usize| {
            let mut grid = Grid::blank();
            for row in 0..10 {
                grid.write(row + 3, 4, &format!("{row}  an entry of the menu"));
            }
            grid.write(at + 3, 2, ">");
            grid
        };
        let mut terminal = terminal();
        terminal.process(painter.paint(&with_mark(0)).as_bytes());
        let moved = painter.paint(&with_mark(1));
        terminal.process(moved.as_bytes());
        assert!(moved.len() <= 24, "{} bytes: {moved:?}", moved.len());
        assert_eq!(shows(&terminal), with_mark(1).text());
        assert_eq!(painter.paint(&with_mark(1)), "");
    }

    #[test]
    fn typing_at_the_end_of_a_line_sends_what_was_typed() {
        let mut painter = Painter::default();
        let mut grid = Grid::blank();
        grid.write(20, 2, "name: gantr");
        grid.cursor = Some((20, 13));
        painter.paint(&grid);
        grid.write(20, 13, "y");
        grid.cursor = Some((20, 14));
        assert_eq!(painter.paint(&grid), "y");
        grid.write(20, 13, " ");
        grid.cursor = Some((20, 13));
        assert!(painter.paint(&grid).len() <= 8, "a letter back");
    }

    fn grid() -> impl Strategy<Value = Grid> {
        let line = (0..ROWS, 0..COLUMNS, "\\PC{0,90}");
        (prop::collection::vec(line, 0..12), prop::option::of((0..ROWS, 0..COLUMNS))).prop_map(
            |(lines, cursor)| {
                let mut grid = Grid::blank();
                lines.iter().for_each(|(row, column, text)| grid.write(*row, *column, text));
                grid.cursor = cursor;
                grid
            },
        )
    }

    proptest! {
        /// Whatever is shown after whatever: a terminal shows it, and the cursor stands where it should.
        #[test]
        fn a_terminal_shows_what_was_painted(grids in prop::collection::vec(grid(), 1..6)) {
            let (mut painter, mut terminal) = (Painter::default(), terminal());
            for mut grid in grids {
                // That cell is never written.
                let last = grid.cells.len() - 1;
                grid.cells[last] = b' ';
                terminal.process(painter.paint(&grid).as_bytes());
                prop_assert_eq!(shows(&terminal), grid.text());
                if let Some((row, column)) = grid.cursor {
                    let at = terminal.screen().cursor_position();
                    prop_assert_eq!((usize::from(at.0), usize::from(at.1)), (row, column));
                }
            }
            prop_assert!(painter.sent() > 0);
        }
    }
}
