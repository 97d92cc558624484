//! What mail programs do to plain text, undone: quoted-printable leftovers, `>` before each line, spaces that are none.

use super::html::{self, Shape};
use super::links;

/// RFC 2045 6.7: encoded lines have at most 76 characters, the last of which is the `=`; some encoders count it apart.
const ENCODED_LINE: std::ops::RangeInclusive<usize> = 70..=77;

/// The text that a person sees of `raw`, with its links as they were: one space between words, no empty lines.
pub(super) fn seen(raw: &str) -> String {
    let decoded = if is_quoted_printable(raw) { quoted_printable(raw) } else { raw.to_owned() };
    let text = match Shape::of(&decoded) {
        Shape::Plain => decoded,
        shape => html::text(&decoded, shape),
    };
    tidy(&links::unwrapped(&text))
}

/// Whether an encoding was left in: every `=` is then `=3D`, and long lines end in one.
fn is_quoted_printable(raw: &str) -> bool {
    let soft = |line: &str| line.ends_with('=') && ENCODED_LINE.contains(&line.chars().count());
    raw.contains("=3D") || raw.lines().any(soft)
}

/// RFC 2045 6.7, leniently: what is no encoded octet stays.
pub(super) fn quoted_printable(raw: &str) -> String {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'=', [b'\r', b'\n', next @ ..] | [b'\n', next @ ..]) => rest = next,
            (b'=', [high, low, next @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digit = |byte: u8| {
                    u8::try_from(char::from(byte).to_digit(16).unwrap_or_default()).unwrap_or_default()
                };
                bytes.push(digit(*high) << 4 | digit(*low));
                rest = next;
            }
            _ => bytes.push(*first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Lines without quoting, each with one space between words, and without the characters that nobody sees.
fn tidy(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split(['\n', '\r', '\u{2028}', '\u{2029}']) {
        let begun = out.len();
        let line = line.trim_start_matches(|c: char| c == '>' || c.is_whitespace());
        for word in line.split(|c: char| c.is_whitespace() || c.is_control()) {
            let before = out.len();
            if before > begun {
                out.push(' ');
            }
            let spaced = out.len();
            out.extend(word.chars().filter(|c| !is_unseen(*c)));
            if out.len() == spaced {
                out.truncate(before);
            }
        }
        if out.len() > begun {
            out.push('\n');
        }
    }
    out
}

/// Joiners, soft hyphens, marks of direction and of byte order.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_and_spacing_go() {
        assert_eq!(seen("> > a\u{a0} b\r\n>\n\t>c \u{200b}\u{202f}d\n\n\ne"), "a b\nc d\ne\n");
        assert_eq!(seen("sip:12\u{200b}34@a.\u{ad}example"), "sip:1234@a.example\n");
        assert_eq!(seen(" \n\u{200b}\n"), "");
    }

    #[test]
    fn quoted_printable_leftovers_are_read() {
        let long = format!("{}https://meet.google.com/abc-d=\nefg-hij", "x ".repeat(23));
        assert!(seen(&long).ends_with("https://meet.google.com/abc-defg-hij\n"), "{}", seen(&long));
        assert_eq!(
            seen("<a href=3D\"https://a.example/?b=3D1\">c=C3=BC</a>"),
            "<https://a.example/?b=1> cü\n"
        );
    }

    #[test]
    fn an_equals_sign_alone_is_no_encoding() {
        assert_eq!(seen("https://a.example/?p=05abc=\nb"), "https://a.example/?p=05abc=\nb\n");
    }
}
