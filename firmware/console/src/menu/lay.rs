//! Rows laid out as lines: side by side on a wide screen, one below the other on a display.

use super::Key;
use crate::protocol::Row;

/// How much of a text is seen at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Characters in a line.
    pub columns: usize,
    /// Lines of text at a time.
    pub lines: usize,
}

/// From how many columns on a label and its value stand side by side.
const WIDE: usize = 40;
/// Most columns of a label on a wide screen.
const LABEL: usize = 24;
/// Most lines that a text is laid out to.
const LINES: usize = 2_000;

/// `rows` as lines of at most as many characters as fit.
#[must_use]
pub fn lines(rows: &[Row], page: Page) -> Vec<String> {
    let columns = page.columns.max(8);
    let width = rows.iter().map(|row| row.label.chars().count()).max().unwrap_or(0).min(LABEL) + 2;
    let mut lines = Vec::new();
    for row in rows {
        if lines.len() >= LINES {
            break;
        }
        match (row.label.is_empty(), columns >= WIDE) {
            (true, _) => {
                let text = wrap(&row.value, columns);
                let filled = if page.lines == 2 { text.len().next_multiple_of(2) } else { text.len() };
                lines.extend(text.into_iter().chain(std::iter::repeat(String::new())).take(filled));
            }
            (false, true) => {
                let mut label = cut(&row.label, LABEL);
                for part in wrap(&row.value, columns - width) {
                    lines.push(format!("{label:<width$}{part}").trim_end().to_owned());
                    label.clear();
                }
            }
            // Each part of the value stands below its label, so that a display of two lines shows both.
            (false, false) if page.lines == 2 => {
                for part in wrap(&row.value, columns) {
                    lines.extend([cut(&row.label, columns), part]);
                }
            }
            (false, false) => {
                let together = format!("{}: {}", row.label, row.value);
                if together.chars().count() <= columns {
                    lines.push(together);
                } else {
                    lines.push(cut(&format!("{}:", row.label), columns));
                    lines.extend(wrap(&row.value, columns));
                }
            }
        }
    }
    lines
}

fn cut(text: &str, columns: usize) -> String {
    text.chars().take(columns).collect()
}

/// `text` in lines of at most `columns` characters, broken between words where there are some; at least one line.
#[must_use]
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        let mut used = 0;
        for (index, word) in paragraph.split(' ').enumerate() {
            let count = word.chars().count();
            if used > 0 && used + 1 + count > columns {
                lines.push(std::mem::take(&mut line).trim_end().to_owned());
                used = 0;
            } else if index > 0 && used < columns {
                line.push(' ');
                used += 1;
            }
            for character in word.chars() {
                if used == columns {
                    lines.push(std::mem::take(&mut line));
                    used = 0;
                }
                line.push(character);
                used += 1;
            }
        }
        lines.push(line.trim_end().to_owned());
        if lines.len() >= LINES {
            break;
        }
    }
    if lines.is_empty() {
        lines.push(String::new());
    }
    lines
}

/// Scrolls by a key; whether it was one that does.
pub fn scroll(top: &mut usize, count: usize, page: Page, key: Key) -> bool {
    let (step, whole) = if page.lines == 2 { (2, 2) } else { (1, page.lines.max(1)) };
    let last = count.saturating_sub(page.lines).next_multiple_of(step);
    *top = match key {
        Key::Up => top.saturating_sub(step),
        Key::Down => (*top + step).min(last),
        Key::PageUp | Key::Char('b') => top.saturating_sub(whole),
        Key::PageDown | Key::Char(' ') => (*top + whole).min(last),
        Key::Start => 0,
        Key::End => last,
        _ => return false,
    };
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SMALL: Page = Page { columns: 16, lines: 2 };
    const LARGE: Page = Page { columns: 20, lines: 4 };
    const WIDE_PAGE: Page = Page { columns: 78, lines: 17 };

    fn rows() -> Vec<Row> {
        vec![
            Row::new("eth0", "192.0.2.10/24"),
            Row::new("Serial number", "GW-00-4711"),
            Row::text("All is well today."),
        ]
    }

    #[test]
    fn rows_stand_side_by_side_where_there_is_room() {
        assert_eq!(
            lines(&rows(), WIDE_PAGE),
            ["eth0           192.0.2.10/24", "Serial number  GW-00-4711", "All is well today."]
        );
        assert_eq!(
            lines(&rows(), SMALL),
            ["eth0", "192.0.2.10/24", "Serial number", "GW-00-4711", "All is well", "today."]
        );
        assert_eq!(
            lines(&rows(), LARGE),
            ["eth0: 192.0.2.10/24", "Serial number:", "GW-00-4711", "All is well today."]
        );
    }

    #[test]
    fn long_words_are_broken_and_paragraphs_kept() {
        assert_eq!(wrap("0123456789abcdef0123 x", 16), ["0123456789abcdef", "0123 x"]);
        assert_eq!(wrap("a\n\nb", 10), ["a", "", "b"]);
        assert_eq!(wrap("  indented text", 12), ["  indented", "text"]);
        assert_eq!(wrap("", 10), [""]);
    }

    #[test]
    fn a_display_of_two_lines_is_scrolled_by_pairs() {
        let mut top = 0;
        for expected in [2, 4, 4] {
            assert!(scroll(&mut top, 6, SMALL, Key::Down));
            assert_eq!(top, expected);
        }
        assert!(!scroll(&mut top, 6, SMALL, Key::Select));
    }

    proptest! {
        #[test]
        fn nothing_is_wider_than_its_screen(label in ".{0,40}", value in "(?s).{0,200}", columns in 1_usize..90, count in 1_usize..20) {
            let page = Page { columns, lines: count };
            for line in lines(&[Row { label, value }], page) {
                prop_assert!(line.chars().count() <= columns.max(8), "{:?}", line);
            }
        }

        #[test]
        fn no_word_is_lost(text in "[a-z ]{0,80}", columns in 4_usize..30) {
            let kept: String = wrap(&text, columns).concat().chars().filter(|c| *c != ' ').collect();
            let all: String = text.chars().filter(|c| *c != ' ').collect();
            prop_assert_eq!(kept, all);
        }
    }
}
