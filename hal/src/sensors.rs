//! Temperatures, fans and voltages, with their names and limits.

use crate::{DeviceError, Label};
use std::fmt;

/// Most readings of one box; more are left out.
pub const READINGS: usize = 256;

/// The box's sensors.
pub trait Sensors: Send {
    /// What they say now, at most [`READINGS`], in the same order each time. A sensor that does not answer is a
    /// [`Reading`] without a value, not an error. No sensors at all is an empty list.
    ///
    /// # Errors
    /// If the sensors cannot even be listed.
    fn read(&mut self) -> Result<Vec<Reading>, DeviceError>;
}

/// One sensor and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The chip it belongs to: "coretemp", "nct6798".
    pub chip: Label,
    /// Its name on the chip: "Package id 0", "fan1".
    pub label: Label,
    /// What it measures.
    pub quantity: Quantity,
    /// What it says, in the unit of [`Quantity`]; `None` if it does not answer or says itself that it is broken.
    pub value: Option<i64>,
    /// What is normal for it.
    pub limits: Limits,
}

/// What a sensor measures, and in what unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Quantity {
    /// In thousandths of a degree Celsius.
    Temperature,
    /// In revolutions per minute.
    Fan,
    /// In thousandths of a volt.
    Voltage,
}

/// What is normal for a sensor, in the unit of its [`Quantity`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Lowest normal value.
    pub low: Option<i64>,
    /// Highest normal value.
    pub high: Option<i64>,
    /// From here on it is dangerous.
    pub critical: Option<i64>,
}

/// What to make of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Within its limits, or without any.
    Normal,
    /// The sensor does not answer.
    Silent,
    /// Outside its limits.
    Warning,
    /// Dangerous: too hot, or a fan with a lower limit that stands still.
    Critical,
}

impl Reading {
    /// What to make of it.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let Limits { low, high, critical } = self.limits;
        let Some(value) = self.value else { return Verdict::Silent };
        let stalled = self.quantity == Quantity::Fan && value == 0 && low.is_some_and(|low| low > 0);
        if stalled || critical.is_some_and(|critical| value >= critical) {
            Verdict::Critical
        } else if low.is_some_and(|low| value < low) || high.is_some_and(|high| value > high) {
            Verdict::Warning
        } else {
            Verdict::Normal
        }
    }
}

impl fmt::Display for Reading {
    /// `coretemp Package id 0: 41.5 °C`, without the limits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: ", self.chip, self.label)?;
        let thousandths = |value: i64| {
            let sign = if value < 0 { "-" } else { "" };
            (sign, value.unsigned_abs() / 1000, value.unsigned_abs() % 1000)
        };
        match (self.value, self.quantity) {
            (None, _) => f.write_str("no answer"),
            (Some(value), Quantity::Temperature) => {
                let (sign, whole, rest) = thousandths(value);
                write!(f, "{sign}{whole}.{} °C", rest / 100)
            }
            (Some(value), Quantity::Fan) => write!(f, "{value} rpm"),
            (Some(value), Quantity::Voltage) => {
                let (sign, whole, rest) = thousandths(value);
                write!(f, "{sign}{whole}.{:02} V", rest / 10)
            }
        }
    }
}

/// Sensors that say what a test told them to.
#[derive(Debug, Clone, Default)]
pub struct FakeSensors {
    /// What they say.
    pub readings: Vec<Reading>,
}

impl Sensors for FakeSensors {
    fn read(&mut self) -> Result<Vec<Reading>, DeviceError> {
        Ok(self.readings.iter().take(READINGS).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(quantity: Quantity, value: Option<i64>, limits: Limits) -> Reading {
        let label = |text| Label::sanitised(text).unwrap();
        Reading { chip: label("chip"), label: label("one"), quantity, value, limits }
    }

    #[test]
    fn a_reading_is_judged_by_its_limits() {
        let limits = Limits { low: Some(5_000), high: Some(80_000), critical: Some(95_000) };
        let verdict = |value| reading(Quantity::Temperature, value, limits).verdict();
        assert_eq!(verdict(Some(40_000)), Verdict::Normal);
        assert_eq!(verdict(Some(80_000)), Verdict::Normal);
        assert_eq!(verdict(Some(80_001)), Verdict::Warning);
        assert_eq!(verdict(Some(4_999)), Verdict::Warning);
        assert_eq!(verdict(Some(95_000)), Verdict::Critical);
        assert_eq!(verdict(None), Verdict::Silent);
        assert_eq!(reading(Quantity::Voltage, Some(i64::MAX), Limits::default()).verdict(), Verdict::Normal);
    }

    #[test]
    fn a_fan_that_stands_still_is_dangerous_only_where_it_should_turn() {
        let with = Limits { low: Some(600), ..Limits::default() };
        assert_eq!(reading(Quantity::Fan, Some(0), with).verdict(), Verdict::Critical);
        assert_eq!(reading(Quantity::Fan, Some(500), with).verdict(), Verdict::Warning);
        assert_eq!(reading(Quantity::Fan, Some(0), Limits::default()).verdict(), Verdict::Normal);
    }

    #[test]
    fn a_reading_is_shown_in_its_unit() {
        let shown = |quantity, value| reading(quantity, value, Limits::default()).to_string();
        assert_eq!(shown(Quantity::Temperature, Some(41_550)), "chip one: 41.5 °C");
        assert_eq!(shown(Quantity::Temperature, Some(-500)), "chip one: -0.5 °C");
        assert_eq!(shown(Quantity::Fan, Some(1_200)), "chip one: 1200 rpm");
        assert_eq!(shown(Quantity::Voltage, Some(12_034)), "chip one: 12.03 V");
        assert_eq!(shown(Quantity::Voltage, None), "chip one: no answer");
    }

    #[test]
    fn the_fake_says_what_it_was_told() {
        let told = reading(Quantity::Fan, Some(900), Limits::default());
        let mut sensors: Box<dyn Sensors> = Box::new(FakeSensors { readings: vec![told.clone()] });
        assert_eq!(sensors.read().unwrap(), [told]);
    }
}
