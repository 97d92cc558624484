//! What a box tells by SNMP: the notifications and objects of `GANTRY-MIB.txt`, beside this crate's sources.
//!
//! The project has no enterprise number of its own. It uses net-snmp's playpen, 1.3.6.1.4.1.8072.9999.9999, which is meant for
//! trying things out: a station that watches other software there too can see the same numbers mean something else. With a
//! number of its own only [`ENTERPRISE`] and one line of the MIB change.

use crate::oid::Oid;
use crate::trap::{Trap, Value};

/// `netSnmpPlaypen`.
pub const ENTERPRISE: &[u32] = &[1, 3, 6, 1, 4, 1, 8072, 9999, 9999];
/// `gantryMIB` below it.
const MIB: u32 = 1;
/// `gantryNotifications` below that, with the zero that RFC 2578 8.5 asks for.
const NOTIFICATIONS: u32 = 0;
/// `gantryObjects`.
const OBJECTS: u32 = 1;
/// Longest text (`SnmpAdminString`, RFC 3411 5), in octets.
const TEXT_OCTETS: usize = 255;

/// What became of an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// `gantryAlarmRaised`.
    Raised,
    /// `gantryAlarmChanged`.
    Changed,
    /// `gantryAlarmAcknowledged`.
    Acknowledged,
    /// `gantryAlarmCleared`.
    Cleared,
}

/// How grave it is: `gantryAlarmLevel`, with the numbers of `ItuPerceivedSeverity` (RFC 3877).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Level {
    /// 6.
    Warning,
    /// 5.
    Minor,
    /// 4.
    Major,
    /// 3.
    Critical,
}

/// A notification of an alarm, as its fields are called in the MIB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification<'a> {
    /// What became of it.
    pub change: Change,
    /// How long the box has been up, in hundredths of a second.
    pub uptime: u32,
    /// `gantryNode`.
    pub node: &'a str,
    /// `gantrySequence`, modulo 2^32.
    pub sequence: u64,
    /// `gantryAlarmId`, modulo 2^32.
    pub id: u64,
    /// `gantryAlarmIdentifier`.
    pub identifier: &'a str,
    /// `gantryAlarmName`.
    pub name: &'a str,
    /// `gantryAlarmLevel`.
    pub level: Level,
    /// `gantryAlarmInstance`.
    pub instance: &'a str,
    /// `gantryAlarmDetails`.
    pub details: &'a str,
    /// `gantryAlarmTimes`.
    pub times: u32,
    /// `gantryAlarmTimeRaised`, in RFC 3339.
    pub time_raised: &'a str,
}

impl Notification<'_> {
    /// It as it is sent. A text that is too long is cut.
    #[must_use]
    pub fn trap(&self) -> Trap {
        let number = match self.change {
            Change::Raised => 1,
            Change::Changed => 2,
            Change::Acknowledged => 3,
            Change::Cleared => 4,
        };
        let level = match self.level {
            Level::Critical => 3,
            Level::Major => 4,
            Level::Minor => 5,
            Level::Warning => 6,
        };
        let values = [
            text(self.node),
            Value::Unsigned(low(self.sequence)),
            Value::Unsigned(low(self.id)),
            text(self.identifier),
            text(self.name),
            Value::Integer(level),
            text(self.instance),
            text(self.details),
            Value::Unsigned(self.times),
            text(self.time_raised),
        ];
        // Objects that are only told in notifications are scalars, so each has the instance 0.
        let named = (1_u32..).zip(values).map(|(object, value)| (under(&[OBJECTS, object, 0]), value));
        Trap { uptime: self.uptime, oid: under(&[NOTIFICATIONS, number]), values: named.collect() }
    }
}

fn under(numbers: &[u32]) -> Oid {
    Oid::known(&[ENTERPRISE, &[MIB], numbers])
}

fn low(number: u64) -> u32 {
    u32::try_from(number & u64::from(u32::MAX)).unwrap_or_default()
}

fn text(text: &str) -> Value {
    Value::Octets(text.as_bytes()[..text.floor_char_boundary(TEXT_OCTETS)].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Notification<'_> = Notification {
        change: Change::Raised,
        uptime: 0,
        node: "box",
        sequence: 1,
        id: 1,
        identifier: "disk",
        name: "disk is nearly full",
        level: Level::Minor,
        instance: "/data",
        details: "",
        times: 1,
        time_raised: "2026-01-01T00:00:00Z",
    };

    #[test]
    fn our_numbers_are_identifiers() {
        for change in [Change::Raised, Change::Changed, Change::Acknowledged, Change::Cleared] {
            let trap = Notification { change, ..QUIET }.trap();
            for oid in trap.values.iter().map(|(oid, _)| oid).chain([&trap.oid]) {
                let numbers: Vec<u32> =
                    oid.to_string().split('.').map(|part| part.parse().unwrap()).collect();
                assert_eq!(Oid::new(&numbers).as_ref(), Ok(oid));
            }
        }
    }

    #[test]
    fn long_texts_are_cut_between_characters_and_great_numbers_go_round() {
        let details = "€".repeat(100);
        let trap = Notification { details: &details, sequence: (1 << 32) + 5, ..QUIET }.trap();
        assert_eq!(trap.values[1].1, Value::Unsigned(5));
        assert_eq!(trap.values[7].1, Value::Octets("€".repeat(85).into_bytes()));
    }
}
