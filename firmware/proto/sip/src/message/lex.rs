//! The smallest pieces of RFC 3261 section 25: tokens, white space, quoted strings, lists and parameters.

/// Whether `text` is a token: one or more of RFC 3261's token characters.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// RFC 3261 25.1 `token`.
pub(crate) const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~')
}

/// Linear white space once lines are unfolded.
pub(crate) const fn is_lws(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// `text` without the white space around it.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r', '\n'])
}

/// Where `wanted` first stands in `text` outside quoted strings and, unless it is `<` itself, outside `<...>`.
pub(crate) fn find_outside(text: &str, wanted: u8) -> Option<usize> {
    let (mut quoted, mut escaped, mut angle) = (false, false, false);
    for (at, byte) in text.bytes().enumerate() {
        if quoted {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
            continue;
        }
        if byte == wanted && (!angle || wanted == b'>') {
            return Some(at);
        }
        match byte {
            b'"' if !angle => quoted = true,
            b'<' => angle = true,
            b'>' => angle = false,
            _ => {}
        }
    }
    None
}

/// The elements of a list: what stands between `separator`s that are outside quoted strings and `<...>`, trimmed.
pub(crate) fn split(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let current = rest?;
        match find_outside(current, separator) {
            Some(at) => {
                rest = current.get(at + 1..);
                Some(trim(current.get(..at).unwrap_or("")))
            }
            None => {
                rest = None;
                Some(trim(current))
            }
        }
    })
}

/// Takes a quoted string off the front of `text`, which begins with `"`: the string with its quotes, and the rest.
pub(crate) fn take_quoted(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return text.split_at_checked(at + 1),
            _ => {}
        }
    }
    None
}

/// What a quoted string says; a text without quotes says itself.
pub(crate) fn unquote(text: &str) -> String {
    let Some(inner) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return text.to_owned();
    };
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}

/// `text` as a quoted string. Control characters, which no quoted string may hold, become spaces.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_ascii_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A decimal number of digits only, with any number of leading zeros; `None` if it is none or too large for `T`.
pub(crate) fn number<T: TryFrom<u64>>(text: &str) -> Option<T> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse::<u64>().ok().and_then(|n| T::try_from(n).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_split_only_outside_quotes_and_angle_brackets() {
        let list = r#""a, \"b" <sip:x;y=1,2>;q=1 , <sip:z>,"#;
        let parts: Vec<_> = split(list, b',').collect();
        assert_eq!(parts, [r#""a, \"b" <sip:x;y=1,2>;q=1"#, "<sip:z>", ""]);
    }

    #[test]
    fn quoting_and_unquoting_are_inverse() {
        for text in ["", "plain", r#"a "b" \ c"#, "é, <x>"] {
            assert_eq!(unquote(&quote(text)), text);
        }
        assert_eq!(unquote("token"), "token");
    }

    #[test]
    fn an_unfinished_quoted_string_is_seen() {
        assert_eq!(take_quoted(r#""abc\""#), None);
        assert_eq!(take_quoted(r#""a" b"#), Some((r#""a""#, " b")));
    }

    #[test]
    fn numbers_have_digits_only_and_fit() {
        assert_eq!(number::<u32>("0068"), Some(68));
        assert_eq!(number::<u32>("36893488147419103232"), None);
        assert_eq!(number::<u8>("256"), None);
        assert_eq!(number::<u8>("+1"), None);
        assert_eq!(number::<u8>(""), None);
    }
}
