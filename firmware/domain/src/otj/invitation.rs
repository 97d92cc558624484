//! An invitation: the body of a calendar's event, whatever it is written in, as one text in which rules search.
//!
//! ```text
//!  bytes ─┬─ iCalendar ─▶ event ─▶ its texts ─┐
//!         └─ HTML, plain ─────────────────────┴▶ decoded ▶ tags off ▶ links as they were ▶ tidy ─▶ text
//! ```
//! Whatever comes, reading takes time linear in the body, of which [`BODY_BYTES`] are read.

use super::calendar::{self, Event, Moment, Standing};
use super::plain;
use base::{Pii, limits};

/// Most bytes of a body that are read; what is beyond is cut off.
pub const BODY_BYTES: usize = 1024 * 1024;
/// Most bytes of text that rules search in; invitations stay below 20 KiB.
pub const TEXT_BYTES: usize = 64 * 1024;

/// An event, and the text in which it may say how to join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// What it is about, at most [`limits::NAME_CHARS`] characters; empty if it doesn't say.
    pub subject: Pii,
    /// When it begins, if it says.
    pub starts: Option<Moment>,
    /// When it ends, if it says.
    pub ends: Option<Moment>,
    /// Whether it takes place.
    pub standing: Standing,
    text: Pii,
}

impl Invitation {
    /// Reads `body`: an iCalendar object, HTML or plain text. There is no body that can't be read; one that says nothing has
    /// an empty text.
    #[must_use]
    pub fn read(body: &[u8]) -> Self {
        let body = &body[..body.len().min(BODY_BYTES)];
        if calendar::is_calendar(body) {
            Self::of_event(calendar::read(body))
        } else {
            Self {
                subject: Pii::new(""),
                starts: None,
                ends: None,
                standing: Standing::Held,
                text: Pii::new(cut(plain::seen(&String::from_utf8_lossy(body)))),
            }
        }
    }

    fn of_event(event: Event) -> Self {
        let mut text = String::new();
        for part in event.parts {
            if text.len() < TEXT_BYTES {
                text.push_str(&plain::seen(&part));
            }
        }
        let subject = plain::seen(&event.subject).replace('\n', " ");
        let subject: String = subject.trim().chars().take(limits::NAME_CHARS).collect();
        let Event { starts, ends, standing, .. } = event;
        Self { subject: Pii::new(subject), starts, ends, standing, text: Pii::new(cut(text)) }
    }

    /// What rules search in: lines with one space between words, links as they were before mail filters, those of HTML in
    /// `< >`.
    #[must_use]
    pub fn text(&self) -> &str {
        self.text.reveal()
    }
}

/// At most [`TEXT_BYTES`], whole characters.
fn cut(mut text: String) -> String {
    let mut end = text.len().min(TEXT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calendar_html_and_plain_text_are_read_as_the_same_text() {
        let calendar = b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:Plan\r\nDESCRIPTION:Join\\nsip:1@a.exam\r\n ple\r\nEND:VEVENT\r\n";
        let html = b"<html><body>Join<br>sip:1@a.example</body></html>";
        let plain = b"> Join\r\n> sip:1@a.example\r\n";
        for body in [&calendar[..], html, plain] {
            assert_eq!(Invitation::read(body).text(), "Join\nsip:1@a.example\n");
        }
        assert_eq!(Invitation::read(calendar).subject.reveal(), "Plan");
    }

    #[test]
    fn who_meets_whom_is_in_no_log() {
        let invitation = Invitation::read(b"BEGIN:VEVENT\nSUMMARY:Merger\nDESCRIPTION:of Ada\nEND:VEVENT");
        let printed = format!("{invitation:?}");
        assert!(!printed.contains("Merger") && !printed.contains("Ada"), "{printed}");
    }

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        let long = "ü ".repeat(BODY_BYTES);
        let text = Invitation::read(long.as_bytes()).text().to_owned();
        assert!(text.len() <= TEXT_BYTES && text.len() > TEXT_BYTES - 4, "{}", text.len());
        let calendar = format!("BEGIN:VEVENT\nSUMMARY:{long}\nEND:VEVENT");
        assert_eq!(
            Invitation::read(calendar.as_bytes()).subject.reveal().chars().count(),
            limits::NAME_CHARS
        );
    }
}
