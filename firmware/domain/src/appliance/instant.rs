//! A moment as people and logs write it: RFC 3339 in UTC, from seconds since 1970.

use std::fmt;

/// Seconds since 1970 in UTC, as the box's clock says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixTime(pub u64);

impl UnixTime {
    /// This second of that day in UTC; `None` if no calendar has it, or it is before 1970 or after 9999. A leap second counts
    /// as the next one.
    #[must_use]
    pub fn of((year, month, day): (u16, u8, u8), (hour, minute, second): (u8, u8, u8)) -> Option<Self> {
        let good_time = hour < 24 && minute < 60 && second <= 60;
        if !good_time || !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || day == 0 {
            return None;
        }
        let days = days((year.into(), month.into(), day.into()));
        let exists = date(days) == (year.into(), month.into(), day.into());
        let time = u64::from(hour) * 3_600 + u64::from(minute) * 60 + u64::from(second);
        exists.then_some(Self(days * 86_400 + time))
    }

    /// Reads what [`Display`](fmt::Display) writes, `2026-11-05T14:00:00Z`, or a day alone, which is its first second.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (day, time) = match text.split_once('T') {
            Some((day, time)) => (day, time.strip_suffix('Z')?),
            None => (text, "00:00:00"),
        };
        let [year, month, day] = numbers(day, '-', [4, 2, 2])?;
        let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
        let small = |number: u16| u8::try_from(number).ok();
        Self::of((year, small(month)?, small(day)?), (small(hour)?, small(minute)?, small(second)?))
    }
}

/// Three numbers of so many digits, with `between` between them.
fn numbers(text: &str, between: char, digits: [usize; 3]) -> Option<[u16; 3]> {
    let parts: Vec<_> = text.split(between).collect();
    let parts = <[&str; 3]>::try_from(parts).ok()?;
    let mut numbers = [0; 3];
    for ((number, part), digits) in numbers.iter_mut().zip(parts).zip(digits) {
        if part.len() != digits || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    Some(numbers)
}

/// Days since 1970-01-01 of a day since then: [`date`] the other way, `days_from_civil`.
fn days((year, month, day): (u64, u64, u64)) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The calendar after Howard Hinnant's `civil_from_days`: eras of 400 years that begin in March.
fn date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}

impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Later than the year 9999 is no time that a clock means.
        let seconds = self.0.min(253_402_300_799);
        let ((year, month, day), time) = (date(seconds / 86_400), seconds % 86_400);
        let (hour, minute, second) = (time / 3_600, time / 60 % 60, time % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

impl serde::Serialize for UnixTime {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for UnixTime {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("{text:?} is no moment of RFC 3339 in UTC")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_date_1_writes_them() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (u64::MAX, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(UnixTime(seconds).to_string(), text);
            let read_back = UnixTime::parse(text).map(|moment| moment.0);
            assert_eq!(read_back, Some(seconds.min(253_402_300_799)), "{text}");
        }
        assert_eq!(UnixTime::parse("2024-02-29"), Some(UnixTime(1_709_164_800)));
    }

    #[test]
    fn what_no_calendar_has_is_no_moment() {
        for text in [
            "",
            "2023-02-29",
            "2024-13-01",
            "2024-00-01",
            "2024-01-00",
            "2024-04-31",
            "1969-12-31",
            "2024-1-1",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:60:00Z",
            "2024-01-01T00:00:00",
            "2024-01-01T00:00:00+01:00",
            "+024-01-01",
            "2024-01-01-01",
        ] {
            assert_eq!(UnixTime::parse(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_second_is_written_and_read_back(seconds in 0_u64..253_402_300_800) {
            proptest::prop_assert_eq!(UnixTime::parse(&UnixTime(seconds).to_string()), Some(UnixTime(seconds)));
        }
    }
}
