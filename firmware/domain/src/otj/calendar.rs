//! An iCalendar object (RFC 5545) as far as a room needs it: the first event, when it is, and where it may say how to join.
//!
//! Lines are unfolded (3.1) and texts unescaped (3.3.11). A time with a TZID is the wall clock's there: its zone is ignored.
//! Later events, such as the exceptions of a series, and what stands inside an event (alarms) are not read.

use super::plain;
use crate::appliance::instant::UnixTime;
use std::borrow::Cow;

/// Most properties of an event that are read for how to join.
const PARTS: usize = 64;
/// Where an event may say how to join, most telling first; the body stands before the place.
const SAYS_HOW: &[&str] = &[
    "CONFERENCE",
    "X-GOOGLE-CONFERENCE",
    "X-MICROSOFT-SKYPETEAMSMEETINGURL",
    "DESCRIPTION",
    "X-ALT-DESC",
    "LOCATION",
    "URL",
];

/// A moment of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Seconds since 1970 on the clock that it is told by.
    pub at: UnixTime,
    /// Which clock that is.
    pub clock: Clock,
}

/// Which clock tells a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// UTC.
    Utc,
    /// The clock on the wall where the event takes place.
    Wall,
    /// A calendar: the event is a matter of whole days there.
    Calendar,
}

/// Whether an event takes place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// As far as is known.
    Held,
    /// It was called off (`METHOD:CANCEL`, `STATUS:CANCELLED`).
    Cancelled,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) subject: String,
    pub(super) starts: Option<Moment>,
    pub(super) ends: Option<Moment>,
    pub(super) standing: Standing,
    /// The texts that may say how to join, most telling first.
    pub(super) parts: Vec<String>,
}

/// Whether `body` is an iCalendar object with an event in it.
pub(super) fn is_calendar(body: &[u8]) -> bool {
    lines(body).any(|line| line.trim_ascii().eq_ignore_ascii_case(b"BEGIN:VEVENT"))
}

fn lines(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    body.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// The first event of `body`.
pub(super) fn read(body: &[u8]) -> Event {
    let mut reading = Reading {
        event: Event {
            subject: String::new(),
            starts: None,
            ends: None,
            standing: Standing::Held,
            parts: Vec::new(),
        },
        parts: Vec::new(),
        length: None,
        within: Within::Calendar,
    };
    for line in unfolded(body) {
        let line = String::from_utf8_lossy(&line);
        if let Some(property) = Property::read(&line) {
            reading.take(&property);
        }
        if reading.within == Within::Done {
            break;
        }
    }
    reading.finish()
}

/// Content lines: one that begins with a space or tab goes on the one before; a quoted-printable one (vCalendar 1.0) goes
/// on after its `=`.
fn unfolded(body: &[u8]) -> Vec<Vec<u8>> {
    let mut whole: Vec<Vec<u8>> = Vec::new();
    let mut soft = false;
    for line in lines(body) {
        let folded = line.first().is_some_and(|first| matches!(first, b' ' | b'\t'));
        match whole.last_mut() {
            Some(last) if soft => {
                last.extend_from_slice(b"\n");
                last.extend_from_slice(line);
            }
            Some(last) if folded => last.extend_from_slice(&line[1..]),
            _ if line.is_empty() => {}
            _ => whole.push(line.to_vec()),
        }
        soft = line.ends_with(b"=") && whole.last().is_some_and(|last| says_quoted_printable(last));
    }
    whole
}

/// Whether a line's parameters name the encoding; they stand at its beginning.
fn says_quoted_printable(line: &[u8]) -> bool {
    let end = line.iter().take(128).position(|byte| *byte == b':').unwrap_or(0);
    line[..end].to_ascii_uppercase().windows(16).any(|window| window == b"QUOTED-PRINTABLE")
}

/// `name;parameters:value`
struct Property<'l> {
    name: String,
    parameters: &'l str,
    value: &'l str,
}

impl<'l> Property<'l> {
    fn read(line: &'l str) -> Option<Self> {
        let line = line.trim_start_matches('\u{feff}');
        let end = line.find(|c: char| !c.is_ascii_alphanumeric() && c != '-')?;
        let (name, rest) = line.split_at(end);
        let colon = colon(rest)?;
        let parameters = rest[..colon].strip_prefix(';').unwrap_or_default();
        (rest.starts_with([';', ':']) && !name.is_empty()).then(|| Self {
            name: name.to_ascii_uppercase(),
            parameters,
            value: &rest[colon + 1..],
        })
    }

    /// As a person reads it.
    fn text(&self) -> String {
        let value: Cow<'_, str> = if self.parameters.to_ascii_uppercase().contains("QUOTED-PRINTABLE") {
            plain::quoted_printable(self.value).into()
        } else {
            self.value.into()
        };
        unescaped(&value)
    }

    /// RFC 5545 3.3.4 and 3.3.5: `20261105`, `20261105T140000`, `20261105T140000Z`.
    fn moment(&self) -> Option<Moment> {
        let value = self.value.trim();
        let (day, time) = match value.split_once(['T', 't']) {
            Some((day, time)) => (day, Some(time)),
            None => (value, None),
        };
        let (time, clock) = match time {
            None => ("000000", Clock::Calendar),
            Some(time) => match time.strip_suffix(['Z', 'z']) {
                Some(time) => (time, Clock::Utc),
                None => (time, Clock::Wall),
            },
        };
        let two = |text: &str, at: usize| text.get(at..at + 2)?.parse::<u8>().ok();
        let good =
            |text: &str, digits: usize| text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
        if !good(day, 8) || !good(time, 6) {
            return None;
        }
        let day = (day.get(..4)?.parse().ok()?, two(day, 4)?, two(day, 6)?);
        let at = UnixTime::of(day, (two(time, 0)?, two(time, 2)?, two(time, 4)?))?;
        Some(Moment { at, clock })
    }

    /// RFC 5545 3.3.6 in seconds: `PT1H30M`, `P1D`, `P2W`.
    fn duration(&self) -> Option<u64> {
        let mut rest = self.value.trim().trim_start_matches('+').strip_prefix(['P', 'p'])?;
        let mut seconds: u64 = 0;
        while let Some(c) = rest.chars().next() {
            if matches!(c, 'T' | 't') {
                rest = &rest[1..];
                continue;
            }
            let (count, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
            let unit = match after.chars().next()?.to_ascii_uppercase() {
                'W' => 604_800,
                'D' => 86_400,
                'H' => 3_600,
                'M' => 60,
                'S' => 1,
                _ => return None,
            };
            seconds = seconds.checked_add(count.parse::<u64>().ok()?.checked_mul(unit)?)?;
            rest = &after[1..];
        }
        Some(seconds)
    }
}

/// The colon before the value: the first outside of quotes (3.2); of a line whose quote never closes, the first.
fn colon(rest: &str) -> Option<usize> {
    let mut quoted = false;
    let outside = rest.bytes().position(|byte| {
        quoted ^= byte == b'"';
        byte == b':' && !quoted
    });
    outside.or_else(|| rest.find(':'))
}

/// RFC 5545 3.3.11.
fn unescaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n' | 'N') => out.push('\n'),
                Some(other) => out.push(other),
                None => {}
            },
            other => out.push(other),
        }
    }
    out
}

/// Where in the object the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    /// Outside of events.
    Calendar,
    /// In the event, and so many components deeper.
    Event(usize),
    /// Behind it.
    Done,
}

struct Reading {
    event: Event,
    parts: Vec<(usize, String)>,
    length: Option<u64>,
    within: Within,
}

impl Reading {
    fn take(&mut self, property: &Property<'_>) {
        let component = || property.value.trim().to_ascii_uppercase();
        match (self.within, property.name.as_str()) {
            (Within::Calendar, "BEGIN") if component() == "VEVENT" => self.within = Within::Event(0),
            (Within::Calendar, "METHOD") if component() == "CANCEL" => {
                self.event.standing = Standing::Cancelled;
            }
            (Within::Event(depth), "BEGIN") => self.within = Within::Event(depth.saturating_add(1)),
            (Within::Event(0), "END") => self.within = Within::Done,
            (Within::Event(depth), "END") => self.within = Within::Event(depth - 1),
            (Within::Event(0), _) => self.note(property),
            (Within::Calendar | Within::Event(_) | Within::Done, _) => {}
        }
    }

    fn note(&mut self, property: &Property<'_>) {
        match property.name.as_str() {
            "SUMMARY" => self.event.subject = property.text(),
            "DTSTART" => self.event.starts = property.moment(),
            "DTEND" => self.event.ends = property.moment(),
            "DURATION" => self.length = property.duration(),
            "STATUS" if property.value.trim().eq_ignore_ascii_case("CANCELLED") => {
                self.event.standing = Standing::Cancelled;
            }
            name => {
                let rank = SAYS_HOW.iter().position(|known| *known == name);
                if let Some(rank) = rank.filter(|_| self.parts.len() < PARTS) {
                    self.parts.push((rank, property.text()));
                }
            }
        }
    }

    fn finish(mut self) -> Event {
        self.parts.sort_by_key(|(rank, _)| *rank);
        self.event.parts = self.parts.into_iter().map(|(_, text)| text).collect();
        if let (None, Some(starts), Some(length)) = (self.event.ends, self.event.starts, self.length) {
            let at = UnixTime(starts.at.0.saturating_add(length));
            self.event.ends = Some(Moment { at, ..starts });
        }
        self.event
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(lines: &str) -> Event {
        let body = format!("BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n{lines}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n");
        assert!(is_calendar(body.as_bytes()));
        read(body.as_bytes())
    }

    fn starts(line: &str) -> Option<(String, Clock)> {
        event(line).starts.map(|moment| (moment.at.to_string(), moment.clock))
    }

    #[test]
    fn lines_are_unfolded_even_within_a_character_and_texts_unescaped() {
        let folded = b"BEGIN:VEVENT\r\nSUMMARY:Gr\xc3\r\n \xbc\xc3\x9fe\\, alle\\; \\\\o/\\Nzwei\r\n\t drei\r\nEND:VEVENT";
        assert_eq!(read(folded).subject, "Grüße, alle; \\o/\nzwei drei");
    }

    #[test]
    fn parameters_may_hold_colons_in_quotes() {
        let read = event("DESCRIPTION;ALTREP=\"cid:part1@example.com\";LANGUAGE=de:sip:1@a.example");
        assert_eq!(read.parts, ["sip:1@a.example"]);
        assert_eq!(event("DESCRIPTION;ALTREP=\"cid:never closed").parts, ["never closed"]);
    }

    #[test]
    fn times_are_told_by_the_clock_that_they_name() {
        let told = |text: &str, clock| Some((text.to_owned(), clock));
        assert_eq!(starts("DTSTART:20261105T140000Z"), told("2026-11-05T14:00:00Z", Clock::Utc));
        assert_eq!(
            starts("DTSTART;TZID=\"Europe/Berlin\":20261105T140000"),
            told("2026-11-05T14:00:00Z", Clock::Wall)
        );
        assert_eq!(starts("DTSTART;VALUE=DATE:20261105"), told("2026-11-05T00:00:00Z", Clock::Calendar));
        for bad in
            ["DTSTART:2026", "DTSTART:20261305T000000Z", "DTSTART:20261105Tü0000", "DTSTART:", "DTSTART:T"]
        {
            assert_eq!(starts(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_event_with_a_duration_ends_after_it() {
        for (duration, seconds) in
            [("PT1H30M", 5_400), ("P1D", 86_400), ("P1W", 604_800), ("+P1DT1S", 86_401)]
        {
            let read = event(&format!("DTSTART:19700101T000000Z\r\nDURATION:{duration}"));
            assert_eq!(read.ends.map(|ends| ends.at), Some(UnixTime(seconds)), "{duration}");
        }
        for bad in ["-PT1H", "PT", "P1", "1H", "PT99999999999999999999H", "P30500568904943W"] {
            let read = event(&format!("DTSTART:19700101T000000Z\r\nDURATION:{bad}"));
            assert!(read.ends.is_none_or(|ends| ends.at.0 == 0 || bad == "P30500568904943W"), "{bad}");
        }
    }

    #[test]
    fn alarms_zones_and_later_events_are_not_read() {
        let body = "BEGIN:VTIMEZONE\nDTSTART:16010101T000000\nEND:VTIMEZONE\nBEGIN:VEVENT\nSUMMARY:one\nBEGIN:VALARM\n\
                    DESCRIPTION:alarm\nEND:VALARM\nDESCRIPTION:body\nEND:VEVENT\nBEGIN:VEVENT\nSUMMARY:two\nEND:VEVENT";
        let read = read(body.as_bytes());
        assert_eq!((read.subject.as_str(), read.starts), ("one", None));
        assert_eq!(read.parts, ["body"]);
    }

    #[test]
    fn what_says_how_to_join_stands_before_where_the_room_is() {
        let read = event("LOCATION:place\r\nDESCRIPTION:body\r\nCONFERENCE;VALUE=URI:sip:1@a.example");
        assert_eq!(read.parts, ["sip:1@a.example", "body", "place"]);
    }

    #[test]
    fn an_event_that_was_called_off_says_so() {
        assert_eq!(event("STATUS:CANCELLED").standing, Standing::Cancelled);
        assert_eq!(event("STATUS:CONFIRMED").standing, Standing::Held);
        assert_eq!(read(b"METHOD:CANCEL\nBEGIN:VEVENT\nEND:VEVENT").standing, Standing::Cancelled);
    }

    #[test]
    fn the_older_calendars_quoted_printable_is_read() {
        let lines = "DESCRIPTION;ENCODING=QUOTED-PRINTABLE:Join=0D=0Asip:1=\r\n234@a.example\r\nLOCATION:x";
        assert_eq!(event(lines).parts, ["Join\r\nsip:1234@a.example", "x"]);
    }
}
