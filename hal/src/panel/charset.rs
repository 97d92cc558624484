//! What an HD44780 with the Japanese ROM (A00) can show: most of ASCII, some Latin letters, and eight glyphs of our own.
//!
//! Source: Hitachi HD44780U data sheet ADE-207-272(Z), table 4 (ROM code A00). It has no backslash and no tilde, so two of
//! our own glyphs are those; all of printable ASCII can then be shown.

/// A glyph of our own: eight rows of five dots, the highest bit of the five on the left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glyph {
    /// The character it stands for.
    pub is: char,
    /// What a display of plain ASCII shows in its place.
    pub ascii: char,
    /// Its dots, top to bottom.
    pub rows: [u8; 8],
}

/// The glyphs of our own, by their code (0 to 7).
pub const GLYPHS: [Glyph; 8] = [
    Glyph {
        is: '\\',
        ascii: '\\',
        rows: [0b00000, 0b10000, 0b01000, 0b00100, 0b00010, 0b00001, 0b00000, 0b00000],
    },
    Glyph {
        is: '~',
        ascii: '~',
        rows: [0b00000, 0b00000, 0b01000, 0b10101, 0b00010, 0b00000, 0b00000, 0b00000],
    },
    Glyph {
        is: '▲',
        ascii: '^',
        rows: [0b00000, 0b00100, 0b00100, 0b01110, 0b01110, 0b11111, 0b00000, 0b00000],
    },
    Glyph {
        is: '▼',
        ascii: 'v',
        rows: [0b00000, 0b11111, 0b01110, 0b01110, 0b00100, 0b00100, 0b00000, 0b00000],
    },
    Glyph {
        is: '✓',
        ascii: '*',
        rows: [0b00000, 0b00001, 0b00011, 0b10110, 0b11100, 0b01000, 0b00000, 0b00000],
    },
    Glyph {
        is: '✗',
        ascii: 'x',
        rows: [0b00000, 0b11011, 0b01110, 0b00100, 0b01110, 0b11011, 0b00000, 0b00000],
    },
    Glyph {
        is: '●',
        ascii: 'o',
        rows: [0b00000, 0b01110, 0b11111, 0b11111, 0b11111, 0b01110, 0b00000, 0b00000],
    },
    Glyph {
        is: '○',
        ascii: '.',
        rows: [0b00000, 0b01110, 0b10001, 0b10001, 0b10001, 0b01110, 0b00000, 0b00000],
    },
];

/// What is not ASCII and yet in the ROM: the character, its code, and what plain ASCII shows in its place.
const ROM: &[(char, u8, char)] = &[
    ('→', 0x7e, '>'),
    ('←', 0x7f, '<'),
    ('¥', 0x5c, 'Y'),
    ('·', 0xa5, '.'),
    ('°', 0xdf, 'o'),
    ('α', 0xe0, 'a'),
    ('ä', 0xe1, 'a'),
    ('ß', 0xe2, 's'),
    ('ε', 0xe3, 'e'),
    ('µ', 0xe4, 'u'),
    ('σ', 0xe5, 's'),
    ('ρ', 0xe6, 'p'),
    ('√', 0xe8, 'v'),
    ('¢', 0xec, 'c'),
    ('ñ', 0xee, 'n'),
    ('ö', 0xef, 'o'),
    ('θ', 0xf2, 'o'),
    ('∞', 0xf3, '8'),
    ('Ω', 0xf4, 'O'),
    ('ü', 0xf5, 'u'),
    ('Σ', 0xf6, 'S'),
    ('π', 0xf7, 'p'),
    ('÷', 0xfd, '/'),
    ('█', 0xff, '#'),
];

/// The code of a character, if the display can show it.
#[must_use]
pub fn code_of(character: char) -> Option<u8> {
    if let Some(own) = (0u8..).zip(&GLYPHS).find(|(_, glyph)| glyph.is == character) {
        return Some(own.0);
    }
    match character {
        ' '..='}' => u8::try_from(character).ok(),
        _ => ROM.iter().find(|(is, ..)| *is == character).map(|(_, code, _)| *code),
    }
}

/// The character that a code shows; codes 8 to 15 show the glyphs 0 to 7 again. `None` for what we never send.
#[must_use]
pub fn shown_as(code: u8) -> Option<char> {
    match code {
        0..=15 => GLYPHS.get(usize::from(code % 8)).map(|glyph| glyph.is),
        0x20..=0x7d if code != 0x5c => Some(char::from(code)),
        _ => ROM.iter().find(|(_, known, _)| *known == code).map(|(is, ..)| *is),
    }
}

/// What a display of plain ASCII shows for a character that [`code_of`] knows.
pub(super) fn ascii_of(character: char) -> char {
    let own = GLYPHS.iter().find(|glyph| glyph.is == character).map(|glyph| glyph.ascii);
    let rom = || ROM.iter().find(|(is, ..)| *is == character).map(|(.., ascii)| *ascii);
    own.or_else(rom).unwrap_or(if character.is_ascii_graphic() { character } else { ' ' })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_printable_ascii_can_be_shown() {
        for character in ' '..='~' {
            let code = code_of(character).unwrap_or_else(|| panic!("{character:?} has no code"));
            assert_eq!(shown_as(code), Some(character));
            assert_eq!(ascii_of(character), character);
        }
    }

    #[test]
    fn what_is_shown_is_what_was_meant_and_no_code_means_two() {
        let mut taken = Vec::new();
        let all = ROM.iter().map(|(is, ..)| *is).chain(GLYPHS.iter().map(|glyph| glyph.is));
        for character in all {
            let code = code_of(character).unwrap_or_else(|| panic!("{character:?} has no code"));
            assert_eq!(shown_as(code), Some(character));
            assert!(!taken.contains(&code), "code {code:#x} is taken twice");
            assert!(ascii_of(character).is_ascii_graphic());
            taken.push(code);
        }
    }

    #[test]
    fn what_the_rom_lacks_has_no_code() {
        for character in ['é', '\n', '\u{1b}', '漢', '\u{7f}'] {
            assert_eq!(code_of(character), None, "{character:?}");
        }
    }

    #[test]
    fn glyphs_are_five_dots_wide_and_leave_the_cursor_its_row() {
        for glyph in GLYPHS {
            assert!(glyph.rows.iter().all(|row| *row < 32), "{:?}", glyph.is);
            assert_eq!(glyph.rows[7], 0, "{:?}", glyph.is);
        }
    }
}
