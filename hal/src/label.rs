//! A short text that came from outside: a serial number, a sensor's name. Safe to print on any terminal or display.

use std::fmt;

/// Most characters of a [`Label`].
pub const LABEL_CHARS: usize = 64;

/// What boards say when their maker filled in nothing; compared in lower case.
const PLACEHOLDERS: &[&str] = &[
    "none",
    "n/a",
    "na",
    "unknown",
    "default string",
    "not specified",
    "not available",
    "not applicable",
    "to be filled by o.e.m.",
    "to be filled by oem",
    "system serial number",
    "system product name",
    "system manufacturer",
    "base board serial number",
    "chassis serial number",
    "asset tag",
    "no asset tag",
    "no asset information",
    "0123456789",
    "123456789",
    "0",
    "invalid",
];

/// One line of printable ASCII, 1 to [`LABEL_CHARS`] characters, without spaces at its ends.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Label(String);

impl Label {
    /// What of `raw` can be shown: other characters become `?`, runs of spaces one space, and the rest is cut off.
    /// `None` if nothing is left.
    #[must_use]
    pub fn sanitised(raw: &str) -> Option<Self> {
        let mut text = String::new();
        let words = raw.split(|c: char| c.is_whitespace() || c == '\0').filter(|word| !word.is_empty());
        for word in words {
            if !text.is_empty() {
                text.push(' ');
            }
            let room = LABEL_CHARS.saturating_sub(text.len());
            text.extend(word.chars().take(room).map(|c| if c.is_ascii_graphic() { c } else { '?' }));
            if text.len() >= LABEL_CHARS {
                break;
            }
        }
        let text = text.trim_end();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// Like [`sanitised`](Self::sanitised), but `None` also for what makers leave in when they fill in nothing
    /// ("To Be Filled By O.E.M.", "Default string", the same character four times or more).
    #[must_use]
    pub fn filled_in(raw: &str) -> Option<Self> {
        let one_character = |text: &str| text.len() >= 4 && text.bytes().all(|b| b == text.as_bytes()[0]);
        Self::sanitised(raw).filter(|Label(text)| {
            !one_character(text) && !PLACEHOLDERS.contains(&&*text.to_ascii_lowercase())
        })
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(raw: &str) -> Option<String> {
        Label::sanitised(raw).map(|label| label.to_string())
    }

    #[test]
    fn what_cannot_be_shown_is_marked_and_spaces_are_one() {
        assert_eq!(shown("  GW-1\t 0042\n").as_deref(), Some("GW-1 0042"));
        assert_eq!(shown("a\u{1b}[2Jb").as_deref(), Some("a?[2Jb"));
        assert_eq!(shown("caf\u{e9}").as_deref(), Some("caf?"));
        assert_eq!(shown("x\0\0\0").as_deref(), Some("x"));
        assert_eq!(shown(" \n\0"), None);
    }

    #[test]
    fn what_makers_leave_in_is_not_an_answer() {
        for left in
            ["To Be Filled By O.E.M.", "Default string", " None ", "0123456789", "INVALID", "00000000"]
        {
            assert_eq!(Label::filled_in(left), None, "{left}");
        }
        assert_eq!(
            Label::filled_in("SN 0123456789").map(|label| label.to_string()).as_deref(),
            Some("SN 0123456789")
        );
    }

    proptest! {
        #[test]
        fn a_label_is_always_one_short_printable_line(raw in any::<String>()) {
            if let Some(label) = Label::sanitised(&raw) {
                let text = label.as_str();
                prop_assert!((1..=LABEL_CHARS).contains(&text.len()));
                prop_assert!(text.chars().all(|c| c == ' ' || c.is_ascii_graphic()));
                prop_assert_eq!(text.trim(), text);
                prop_assert_eq!(Label::sanitised(text), Some(label.clone()), "it is its own label");
            }
        }
    }
}
