//! A screenful of text: what the menu draws and a display shows.

use super::charset::{ascii_of, code_of};
use std::fmt;

/// How much text a display shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Geometry {
    /// Two rows of sixteen characters.
    Small16x2,
    /// Four rows of twenty characters.
    Large20x4,
}

/// A place on a screen, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cell {
    /// From the top.
    pub row: usize,
    /// From the left.
    pub column: usize,
}

/// A screenful of characters, each of which the display can show (see [`code_of`]).
#[derive(Clone, PartialEq, Eq)]
pub struct Screen {
    geometry: Geometry,
    /// Row after row.
    cells: Vec<char>,
    cursor: Option<Cell>,
}

impl Geometry {
    /// Characters in a row.
    #[must_use]
    pub fn columns(self) -> usize {
        match self {
            Self::Small16x2 => 16,
            Self::Large20x4 => 20,
        }
    }

    /// Rows.
    #[must_use]
    pub fn rows(self) -> usize {
        match self {
            Self::Small16x2 => 2,
            Self::Large20x4 => 4,
        }
    }

    /// The largest that fits into a display of so many columns and rows; `None` if it is too small for any.
    #[must_use]
    pub fn within(columns: usize, rows: usize) -> Option<Self> {
        [Self::Large20x4, Self::Small16x2]
            .into_iter()
            .find(|geometry| geometry.columns() <= columns && geometry.rows() <= rows)
    }
}

impl Screen {
    /// An empty screen.
    #[must_use]
    pub fn blank(geometry: Geometry) -> Self {
        Self { geometry, cells: vec![' '; geometry.columns() * geometry.rows()], cursor: None }
    }

    /// A screen of `lines`; what does not fit is cut off, and what cannot be shown becomes `?`.
    #[must_use]
    pub fn of<S: AsRef<str>>(geometry: Geometry, lines: impl IntoIterator<Item = S>) -> Self {
        let mut screen = Self::blank(geometry);
        for (row, line) in lines.into_iter().take(geometry.rows()).enumerate() {
            screen.write(Cell { row, column: 0 }, line.as_ref());
        }
        screen
    }

    /// Writes `text` from `at` to the right, at most to the end of the row. What cannot be shown becomes `?`.
    pub fn write(&mut self, at: Cell, text: &str) {
        let columns = self.geometry.columns();
        if at.row >= self.geometry.rows() || at.column >= columns {
            return;
        }
        let row = &mut self.cells[at.row * columns..(at.row + 1) * columns];
        for (cell, character) in row[at.column..].iter_mut().zip(text.chars()) {
            *cell = if code_of(character).is_some() { character } else { '?' };
        }
    }

    /// Shows the cursor at `at`, or no cursor for a place that is not on the screen.
    pub fn put_cursor(&mut self, at: Option<Cell>) {
        self.cursor = at.filter(|at| at.row < self.geometry.rows() && at.column < self.geometry.columns());
    }

    /// Where the cursor is, if it is shown.
    #[must_use]
    pub fn cursor(&self) -> Option<Cell> {
        self.cursor
    }

    /// Its geometry.
    #[must_use]
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Row `row`, all of its columns; empty for a row that is not there.
    #[must_use]
    pub fn row(&self, row: usize) -> &[char] {
        self.cells.chunks_exact(self.geometry.columns()).nth(row).unwrap_or_default()
    }

    /// Row `row` for a display that shows plain ASCII.
    #[must_use]
    pub fn ascii_row(&self, row: usize) -> String {
        self.row(row).iter().map(|&character| ascii_of(character)).collect()
    }

    /// The same text on another geometry: cut off, or filled with spaces.
    #[must_use]
    pub fn fitted(&self, geometry: Geometry) -> Self {
        let rows = (0..self.geometry.rows()).map(|row| self.row(row).iter().collect::<String>());
        let mut screen = Self::of(geometry, rows);
        screen.put_cursor(self.cursor);
        screen
    }
}

impl fmt::Display for Screen {
    /// The rows between bars, for golden pictures of text; the cursor is not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in 0..self.geometry.rows() {
            writeln!(f, "|{}|", self.row(row).iter().collect::<String>())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{self}cursor {:?}", self.cursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_are_cut_off_and_filled_up() {
        let screen = Screen::of(Geometry::Small16x2, ["Gantry 1.0 with a long tail", "▲ 10 °C é", "no room"]);
        assert_eq!(screen.to_string(), "|Gantry 1.0 with |\n|▲ 10 °C ?       |\n");
        assert_eq!(screen.ascii_row(1), "^ 10 oC ?       ");
        assert_eq!(screen.ascii_row(2), "");
    }

    #[test]
    fn text_is_written_where_it_is_said() {
        let mut screen = Screen::blank(Geometry::Large20x4);
        screen.write(Cell { row: 3, column: 18 }, "OKAY");
        screen.write(Cell { row: 4, column: 0 }, "below");
        screen.write(Cell { row: 0, column: 20 }, "beside");
        assert_eq!(screen.row(3).iter().collect::<String>(), "                  OK");
        assert_eq!(screen.row(0).iter().collect::<String>().trim(), "");
    }

    #[test]
    fn a_cursor_off_the_screen_is_none() {
        let mut screen = Screen::blank(Geometry::Small16x2);
        screen.put_cursor(Some(Cell { row: 1, column: 15 }));
        assert_eq!(screen.cursor(), Some(Cell { row: 1, column: 15 }));
        assert_eq!(screen.fitted(Geometry::Large20x4).cursor(), screen.cursor());
        screen.put_cursor(Some(Cell { row: 2, column: 0 }));
        assert_eq!(screen.cursor(), None);
    }

    #[test]
    fn the_largest_geometry_that_fits_is_taken() {
        assert_eq!(Geometry::within(20, 4), Some(Geometry::Large20x4));
        assert_eq!(Geometry::within(40, 2), Some(Geometry::Small16x2));
        assert_eq!(Geometry::within(16, 1), None);
    }

    proptest! {
        #[test]
        fn whatever_is_written_can_be_shown(
            lines in prop::collection::vec(any::<String>(), 0..6), row in 0usize..8, column in 0usize..30,
        ) {
            let mut screen = Screen::of(Geometry::Large20x4, &lines);
            screen.write(Cell { row, column }, lines.first().map_or("", String::as_str));
            for row in 0..4 {
                prop_assert_eq!(screen.row(row).len(), 20);
                prop_assert!(screen.row(row).iter().all(|&c| code_of(c).is_some()));
                prop_assert!(screen.ascii_row(row).bytes().all(|b| b == b' ' || b.is_ascii_graphic()));
            }
        }
    }
}
