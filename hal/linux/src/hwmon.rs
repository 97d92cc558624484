//! Temperatures, fans and voltages as the kernel's hwmon tells them (Documentation/hwmon/sysfs-interface.rst).

use crate::files;
use hal::sensors::{Limits, Quantity, READINGS, Reading, Sensors};
use hal::{DeviceError, Label};
use std::io;
use std::path::{Path, PathBuf};

/// Most chips of one box.
const CHIPS: usize = 64;

/// The sensors under `class/hwmon` of a sysfs.
#[derive(Debug, Clone)]
pub struct Hwmon {
    class: PathBuf,
}

impl Hwmon {
    /// The sensors that `sys` (`/sys`) tells of.
    #[must_use]
    pub fn new(sys: &Path) -> Self {
        Self { class: sys.join("class/hwmon") }
    }
}

impl Sensors for Hwmon {
    fn read(&mut self) -> Result<Vec<Reading>, DeviceError> {
        let chips = match files::entries(&self.class) {
            Ok(chips) => chips,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(DeviceError::new(self.class.display().to_string(), "list", error)),
        };
        let readings = chips.iter().take(CHIPS).flat_map(|chip| of_chip(chip));
        Ok(readings.take(READINGS).collect())
    }
}

fn of_chip(folder: &Path) -> Vec<Reading> {
    let named = files::label(&folder.join("name")).or_else(|| Label::sanitised(files::name(folder)));
    let (Some(chip), Ok(entries)) = (named, files::entries(folder)) else { return Vec::new() };
    let inputs = entries.iter().filter_map(|path| files::name(path).strip_suffix("_input"));
    inputs.filter_map(|sensor| of_sensor(folder, &chip, sensor)).collect()
}

/// The reading of a sensor such as `temp1`; `None` for a kind that is not looked at.
fn of_sensor(folder: &Path, chip: &Label, sensor: &str) -> Option<Reading> {
    let kind = sensor.trim_end_matches(|c: char| c.is_ascii_digit());
    let quantity = match kind {
        "temp" => Quantity::Temperature,
        "fan" => Quantity::Fan,
        "in" => Quantity::Voltage,
        _ => return None,
    };
    let number = |what: &str| files::number::<i64>(&folder.join(format!("{sensor}_{what}")));
    let broken = number("fault").is_some_and(|fault| fault != 0);
    let label = files::label(&folder.join(format!("{sensor}_label"))).or_else(|| Label::sanitised(sensor))?;
    Some(Reading {
        chip: chip.clone(),
        label,
        quantity,
        value: number("input").filter(|_| !broken),
        limits: Limits { low: number("min"), high: number("max"), critical: number("crit") },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hal::sensors::Verdict;
    use std::fs;
    use tempfile::TempDir;

    fn made(files: &[(&str, &str)]) -> TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join("class/hwmon").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn shown(root: &TempDir) -> Vec<String> {
        let readings = Hwmon::new(root.path()).read().unwrap();
        readings.iter().map(|reading| format!("{reading} {:?}", reading.verdict())).collect()
    }

    #[test]
    fn every_kind_is_read_in_order_with_its_limits() {
        let root = made(&[
            ("hwmon10/name", "nct6798\n"),
            ("hwmon10/fan1_input", "0\n"),
            ("hwmon10/fan1_min", "600\n"),
            ("hwmon10/fan10_input", "900\n"),
            ("hwmon10/fan2_input", "1200\n"),
            ("hwmon10/in0_input", "11200\n"),
            ("hwmon10/in0_label", "+12V\n"),
            ("hwmon10/in0_min", "11400\n"),
            ("hwmon10/pwm1", "128\n"),
            ("hwmon10/power1_input", "55\n"),
            ("hwmon2/name", "coretemp\n"),
            ("hwmon2/temp1_input", "96000\n"),
            ("hwmon2/temp1_label", "Package id 0\n"),
            ("hwmon2/temp1_max", "80000\n"),
            ("hwmon2/temp1_crit", "95000\n"),
        ]);
        assert_eq!(
            shown(&root),
            [
                "coretemp Package id 0: 96.0 °C Critical",
                "nct6798 fan1: 0 rpm Critical",
                "nct6798 fan2: 1200 rpm Normal",
                "nct6798 fan10: 900 rpm Normal",
                "nct6798 +12V: 11.20 V Warning",
            ]
        );
    }

    #[test]
    fn a_sensor_that_is_broken_or_talks_nonsense_is_silent() {
        let root = made(&[
            ("hwmon0/temp1_input", "25000"),
            ("hwmon0/temp1_fault", "1"),
            ("hwmon0/temp2_input", "999999999999999999999999"),
            ("hwmon0/temp3_input", ""),
            ("hwmon0/temp3_label", "\u{1b}]0;evil\u{7}"),
        ]);
        assert_eq!(
            shown(&root),
            [
                "hwmon0 temp1: no answer Silent",
                "hwmon0 temp2: no answer Silent",
                "hwmon0 ?]0;evil?: no answer Silent",
            ]
        );
    }

    #[test]
    fn a_box_without_sensors_has_none_and_one_with_too_many_is_bounded() {
        assert_eq!(shown(&tempfile::tempdir().unwrap()), Vec::<String>::new());
        let names: Vec<_> = (0..400).map(|n| format!("hwmon0/in{n}_input")).collect();
        let files: Vec<_> = names.iter().map(|name| (name.as_str(), "1")).collect();
        let root = made(&files);
        let readings = Hwmon::new(root.path()).read().unwrap();
        assert_eq!(readings.len(), READINGS);
        assert!(readings.iter().all(|reading| reading.verdict() == Verdict::Normal));
    }
}
