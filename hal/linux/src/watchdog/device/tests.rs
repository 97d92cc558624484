//! A made sysfs, and a driver like the kernel's watchdog core behind the port.

use super::*;
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

const SECOND: Duration = Duration::from_secs(1);

fn made(attributes: &[(&str, &str)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("class/watchdog/watchdog0");
    fs::create_dir_all(&folder).unwrap();
    for (name, value) in attributes {
        fs::write(folder.join(name), value).unwrap();
    }
    root
}

const I6300ESB: &[(&str, &str)] = &[
    ("identity", "i6300ESB timer\n"),
    ("min_timeout", "1\n"),
    ("max_timeout", "2046\n"),
    ("nowayout", "0\n"),
    ("bootstatus", "32\n"),
    ("timeout", "30\n"),
];

fn device(attributes: &[(&str, &str)]) -> Device {
    let root = made(attributes);
    Device::numbered(root.path(), root.path(), 0).unwrap()
}

#[test]
fn what_it_is_is_read_without_opening_it() {
    let device = device(I6300ESB);
    assert_eq!(device.last_reset(), ResetCause::Watchdog);
    assert_eq!(
        device.info(),
        &Info {
            identity: Label::sanitised("i6300ESB timer").unwrap(),
            shortest: SECOND,
            longest: Some(2046 * SECOND),
            pretimeout: Pretimeout::NotOffered,
            way_out: WayOut::Stoppable,
        }
    );
}

#[test]
fn attributes_that_lack_or_lie_are_no_answer() {
    let odd = device(&[
        ("identity", "x\u{1b}[2J"),
        ("min_timeout", "-5"),
        ("max_timeout", "0"),
        ("nowayout", "1"),
        ("bootstatus", "99999999999999"),
        ("pretimeout", "0"),
    ]);
    assert_eq!(odd.last_reset(), ResetCause::NotTold);
    assert_eq!(
        odd.info(),
        &Info {
            identity: Label::sanitised("x?[2J").unwrap(),
            shortest: SECOND,
            longest: None,
            pretimeout: Pretimeout::Offered,
            way_out: WayOut::None,
        }
    );
    assert_eq!(device(&[("identity", "x")]).info().way_out, WayOut::NotTold);
    let root = made(&[]);
    let error = Device::numbered(root.path(), root.path(), 0).err().unwrap().to_string();
    assert!(error.contains("class/watchdog/watchdog0: read identity failed"), "{error}");
}

#[test]
fn each_cause_of_a_reset_is_told() {
    assert_eq!(cause(0), ResetCause::NotTold);
    assert_eq!(cause(0x20 | 0x01), ResetCause::Watchdog);
    assert_eq!(cause(0x8000 | 0x01), ResetCause::Overheated);
    assert_eq!(
        [2, 0x10, 0x40, 4, 8].map(cause),
        [
            ResetCause::FanFailed,
            ResetCause::PowerLow,
            ResetCause::PowerHigh,
            ResetCause::External,
            ResetCause::External
        ]
    );
}

#[test]
fn watchdogs_are_found_by_number_and_by_driver() {
    let root = made(I6300ESB);
    let other = root.path().join("class/watchdog/watchdog1");
    fs::create_dir_all(other.join("device")).unwrap();
    fs::write(other.join("identity"), "iTCO_wdt").unwrap();
    fs::create_dir_all(root.path().join("drivers/iTCO_wdt")).unwrap();
    symlink(root.path().join("drivers/iTCO_wdt"), other.join("device/driver")).unwrap();
    let all = Device::all(root.path(), root.path()).unwrap();
    assert_eq!(all.len(), 2);
    let found = Device::driven_by(root.path(), root.path(), "iTCO_wdt").unwrap();
    assert_eq!(found.info().identity.as_str(), "iTCO_wdt");
    assert!(Device::driven_by(root.path(), root.path(), "none").is_err());
    let bare = tempfile::tempdir().unwrap();
    assert!(Device::all(bare.path(), bare.path()).unwrap().is_empty());
}

#[test]
fn what_is_no_device_is_not_armed() {
    let root = made(I6300ESB);
    fs::write(root.path().join("watchdog0"), "").unwrap();
    let device = Box::new(Device::numbered(root.path(), root.path(), 0).unwrap());
    let error = device.arm(Config { timeout: 30 * SECOND, pretimeout: None }).err().unwrap().to_string();
    assert!(error.contains("watchdog0: open failed"), "{error}");
    assert_eq!(fs::read(root.path().join("watchdog0")).unwrap(), b"", "nothing was written to it");
}

/// What a driver under the kernel's watchdog core does.
#[derive(Debug, Clone)]
struct Driver {
    options: u32,
    no_way_out: bool,
    granularity: i32,
    refuses: Option<&'static str>,
    inside: Arc<Mutex<Inside>>,
}

#[derive(Debug, Default)]
struct Inside {
    running: bool,
    may_stop: bool,
    timeout: i32,
    pretimeout: i32,
    fed: usize,
}

impl Driver {
    fn open(options: u32) -> Self {
        let inside = Inside { running: true, timeout: 60, ..Inside::default() };
        let inside = Arc::new(Mutex::new(inside));
        Self { options, no_way_out: false, granularity: 1, refuses: None, inside }
    }

    fn with(options: u32, change: impl FnOnce(&mut Self)) -> Self {
        let mut driver = Self::open(options);
        change(&mut driver);
        driver
    }

    fn running(&self) -> bool {
        self.inside.lock().unwrap().running
    }

    fn refusing(&self, act: &str, errno: Errno) -> io::Result<()> {
        if self.refuses == Some(act) { Err(errno.into()) } else { Ok(()) }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // The last handle but the test's is the open file. Closing it stops a driver that may stop then; the permission is
        // used up only if there was something to stop.
        let mut inside = self.inside.lock().unwrap();
        if Arc::strong_count(&self.inside) == 2 && inside.running && !self.no_way_out {
            let allowed = std::mem::take(&mut inside.may_stop);
            inside.running = !allowed && self.options & ioctl::MAGICCLOSE != 0;
        }
    }
}

impl Port for Driver {
    fn options(&mut self) -> io::Result<u32> {
        self.refusing("options", Errno::ENOTTY)?;
        Ok(self.options)
    }

    fn set_timeout(&mut self, seconds: i32) -> io::Result<()> {
        self.refusing("timeout", Errno::EINVAL)?;
        let rounded = seconds.div_euclid(self.granularity) + i32::from(seconds % self.granularity > 0);
        self.inside.lock().unwrap().timeout = rounded * self.granularity;
        Ok(())
    }

    fn timeout(&mut self) -> io::Result<i32> {
        Ok(self.inside.lock().unwrap().timeout)
    }

    fn set_pretimeout(&mut self, seconds: i32) -> io::Result<()> {
        self.inside.lock().unwrap().pretimeout = seconds;
        Ok(())
    }

    fn pretimeout(&mut self) -> io::Result<i32> {
        Ok(self.inside.lock().unwrap().pretimeout)
    }

    fn time_left(&mut self) -> io::Result<i32> {
        Err(Errno::EOPNOTSUPP.into())
    }

    fn keep_alive(&mut self) -> io::Result<()> {
        self.refusing("feed", Errno::EIO)?;
        self.inside.lock().unwrap().fed += 1;
        Ok(())
    }

    fn disable(&mut self) -> io::Result<()> {
        self.refusing("disable", Errno::ENOTTY)?;
        if self.no_way_out {
            return Err(Errno::EBUSY.into());
        }
        self.inside.lock().unwrap().running = false;
        Ok(())
    }

    fn allow_close(&mut self) -> io::Result<()> {
        self.inside.lock().unwrap().may_stop = true;
        Ok(())
    }

    fn forbid_close(&mut self) -> io::Result<()> {
        self.inside.lock().unwrap().may_stop = false;
        Ok(())
    }
}

const ALL: u32 = ioctl::SETTIMEOUT | ioctl::MAGICCLOSE;

fn begun(driver: &Driver, way_out: WayOut, timeout: Duration) -> Result<Box<dyn Armed>, ArmError> {
    let info = Info { way_out, pretimeout: Pretimeout::Offered, ..device(I6300ESB).info };
    let config = Config { timeout, pretimeout: Some(5 * SECOND) };
    driver.inside.lock().unwrap().running = true;
    Running::begin(driver.clone(), info, "watchdog0".to_owned(), config).map(|running| Box::new(running) as _)
}

#[test]
fn it_is_fed_and_tells_what_it_really_took() {
    let driver = Driver::with(ALL, |driver| driver.granularity = 60);
    let mut armed = begun(&driver, WayOut::Stoppable, Duration::from_millis(44_001)).unwrap();
    assert_eq!(armed.actual(), Config { timeout: 60 * SECOND, pretimeout: Some(5 * SECOND) });
    armed.feed().unwrap();
    assert_eq!(driver.inside.lock().unwrap().fed, 2, "once when it was armed");
    assert_eq!(armed.time_left(), None);
}

#[test]
fn dropping_it_leaves_it_running_and_disarming_stops_it() {
    let driver = Driver::open(ALL);
    drop(begun(&driver, WayOut::Stoppable, 30 * SECOND).unwrap());
    assert!(driver.running());
    assert!(!driver.inside.lock().unwrap().may_stop, "the magic character was never written");

    for refuses in [None, Some("disable")] {
        let driver = Driver::with(ALL, |driver| driver.refuses = refuses);
        begun(&driver, WayOut::Stoppable, 30 * SECOND).unwrap().disarm().unwrap();
        assert!(!driver.running(), "{refuses:?}");
    }
}

#[test]
fn a_permission_to_stop_that_somebody_left_does_not_count() {
    let driver = Driver::open(ALL);
    driver.inside.lock().unwrap().may_stop = true;
    drop(begun(&driver, WayOut::Stoppable, 30 * SECOND).unwrap());
    assert!(driver.running());

    begun(&driver, WayOut::Stoppable, 30 * SECOND).unwrap().disarm().unwrap();
    assert!(!driver.running());
    drop(begun(&driver, WayOut::Stoppable, 30 * SECOND).unwrap());
    assert!(driver.running(), "nor one of our own");
}

#[test]
fn one_without_a_way_out_comes_back_armed() {
    for way_out in [WayOut::None, WayOut::NotTold] {
        let driver = Driver::with(ALL, |driver| driver.no_way_out = true);
        let refused = begun(&driver, way_out, 30 * SECOND).unwrap().disarm().unwrap_err();
        assert!(matches!(refused.why, CannotDisarmWhy::NoWayOut(_)), "{refused}");
        let mut still_armed = refused.still_armed;
        still_armed.feed().unwrap();
        assert!(driver.running());
        assert!(!driver.inside.lock().unwrap().may_stop);
    }
}

#[test]
fn one_that_would_stop_with_its_holder_is_not_armed() {
    let driver = Driver::open(ioctl::SETTIMEOUT);
    let error = begun(&driver, WayOut::Stoppable, 30 * SECOND).err().unwrap();
    assert!(error.to_string().contains("load its driver with nowayout=1"), "{error}");
    assert!(!driver.running());
    assert!(begun(&Driver::open(ioctl::SETTIMEOUT), WayOut::None, 30 * SECOND).is_ok());
}

#[test]
fn one_that_does_not_take_what_it_is_asked_is_stopped_again() {
    for (refuses, said) in [("timeout", "set the time-out failed"), ("feed", "feed failed")] {
        let driver = Driver::with(ALL, |driver| driver.refuses = Some(refuses));
        let error = begun(&driver, WayOut::Stoppable, 30 * SECOND).err().unwrap().to_string();
        assert!(error.contains(said), "{error}");
        assert!(!driver.running(), "{refuses}");
    }
    let driver = Driver::with(ALL, |driver| driver.refuses = Some("options"));
    assert!(
        begun(&driver, WayOut::Stoppable, 30 * SECOND)
            .err()
            .unwrap()
            .to_string()
            .contains("ask what it can do")
    );
}
