//! The service manager's watchdog, and what else it is told: sd_notify(3), sd_watchdog_enabled(3).
//!
//! A service with `WatchdogSec=` is restarted when it does not say `WATCHDOG=1` in time. Each message is a datagram to the
//! socket that `NOTIFY_SOCKET` names.

use hal::watchdog::{
    ArmError, Armed, CannotDisarm, CannotDisarmWhy, Config, Info, Pretimeout, ResetCause, Watchdog, WayOut,
};
use hal::{DeviceError, Label};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Longest text of a status.
const STATUS_CHARS: usize = 200;

/// Tells the service manager things. One that is not run by a service manager tells nobody, which is not an error.
#[derive(Debug)]
pub struct Notifier {
    to: Option<(UnixDatagram, SocketAddr)>,
}

/// The service manager's watchdog for this service.
#[derive(Debug)]
pub struct ServiceManager {
    notifier: Notifier,
    info: Info,
    configured: Duration,
}

impl Notifier {
    /// One that tells the socket that `variable` ("NOTIFY_SOCKET") names. Pass [`std::env::var`] with `.ok()`.
    ///
    /// # Errors
    /// If the name is there, but cannot be one of a socket.
    pub fn new(variable: impl Fn(&str) -> Option<String>) -> Result<Self, DeviceError> {
        let Some(name) = variable("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Ok(Self { to: None });
        };
        let failed = |error| DeviceError::new(format!("NOTIFY_SOCKET={name}"), "open", error);
        let address = match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
            [b'/', ..] => SocketAddr::from_pathname(&name),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        };
        let socket = UnixDatagram::unbound().and_then(|socket| {
            socket.set_nonblocking(true)?;
            Ok(socket)
        });
        Ok(Self { to: Some((socket.map_err(failed)?, address.map_err(failed)?)) })
    }

    /// The service is up.
    ///
    /// # Errors
    /// If the service manager does not take it.
    pub fn ready(&self) -> Result<(), DeviceError> {
        self.tell("READY=1")
    }

    /// The service ends, as it was asked to.
    ///
    /// # Errors
    /// If the service manager does not take it.
    pub fn stopping(&self) -> Result<(), DeviceError> {
        self.tell("STOPPING=1")
    }

    /// One line of how the service is; other characters than printable ones are replaced.
    ///
    /// # Errors
    /// If the service manager does not take it.
    pub fn status(&self, text: &str) -> Result<(), DeviceError> {
        let line = text.chars().take(STATUS_CHARS).map(|c| if c.is_control() { ' ' } else { c });
        self.tell(&format!("STATUS={}", line.collect::<String>()))
    }

    /// The service cannot go on: its watchdog bites now, instead of when it is hungry.
    ///
    /// # Errors
    /// If the service manager does not take it.
    pub fn stands_still(&self) -> Result<(), DeviceError> {
        self.tell("WATCHDOG=trigger")
    }

    fn tell(&self, message: &str) -> Result<(), DeviceError> {
        let Some((socket, address)) = &self.to else { return Ok(()) };
        let sent = socket.send_to_addr(message.as_bytes(), address);
        sent.map(drop).map_err(|error| DeviceError::new("service manager", "notify", error))
    }
}

impl ServiceManager {
    /// The watchdog that the service manager keeps for the process `own`; `None` if it keeps none. Pass
    /// [`std::env::var`] with `.ok()`, and [`std::process::id`].
    ///
    /// # Errors
    /// As [`Notifier::new`].
    pub fn new(variable: impl Fn(&str) -> Option<String>, own: u32) -> Result<Option<Self>, DeviceError> {
        let number = |name: &str| variable(name).and_then(|value| value.parse::<u64>().ok());
        let meant = variable("WATCHDOG_PID").is_none() || number("WATCHDOG_PID") == Some(own.into());
        let Some(micros) = number("WATCHDOG_USEC").filter(|micros| *micros > 0 && meant) else {
            return Ok(None);
        };
        let notifier = Notifier::new(variable)?;
        let Some(identity) = Label::sanitised("service manager").filter(|_| notifier.to.is_some()) else {
            return Ok(None);
        };
        let info = Info {
            identity,
            shortest: Duration::from_millis(1),
            longest: None,
            pretimeout: Pretimeout::NotOffered,
            way_out: WayOut::Stoppable,
        };
        Ok(Some(Self { notifier, info, configured: Duration::from_micros(micros) }))
    }

    /// The time-out that the unit asks for.
    #[must_use]
    pub fn configured(&self) -> Duration {
        self.configured
    }
}

impl Watchdog for ServiceManager {
    fn info(&self) -> &Info {
        &self.info
    }

    /// The service manager does not say why it started a service anew; its stop record does.
    fn last_reset(&self) -> ResetCause {
        ResetCause::NotTold
    }

    fn arm(self: Box<Self>, config: Config) -> Result<Box<dyn Armed>, ArmError> {
        self.info.check(config)?;
        if config.timeout != self.configured {
            let micros = u64::try_from(config.timeout.as_micros()).unwrap_or(u64::MAX);
            self.notifier.tell(&format!("WATCHDOG_USEC={micros}"))?;
        }
        let mut running = Running { notifier: self.notifier, actual: config };
        running.feed()?;
        Ok(Box::new(running))
    }
}

struct Running {
    notifier: Notifier,
    actual: Config,
}

impl Armed for Running {
    fn feed(&mut self) -> Result<(), DeviceError> {
        self.notifier.tell("WATCHDOG=1")
    }

    fn time_left(&mut self) -> Option<Duration> {
        None
    }

    fn actual(&self) -> Config {
        self.actual
    }

    fn disarm(self: Box<Self>) -> Result<(), CannotDisarm> {
        match self.notifier.tell("WATCHDOG_USEC=0") {
            Ok(()) => Ok(()),
            Err(error) => Err(CannotDisarm { still_armed: self, why: CannotDisarmWhy::Device(error) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hal::keeper::{Guard, Input};
    use std::time::Instant;

    const SECOND: Duration = Duration::from_secs(1);

    /// A service manager's side of the socket.
    struct Manager {
        socket: UnixDatagram,
        name: String,
        _folder: tempfile::TempDir,
    }

    impl Manager {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("notify");
            let socket = UnixDatagram::bind(&path).unwrap();
            socket.set_nonblocking(true).unwrap();
            Self { socket, name: path.to_str().unwrap().to_owned(), _folder: folder }
        }

        fn variable(
            &self,
            extra: &'static [(&'static str, &'static str)],
        ) -> impl Fn(&str) -> Option<String> {
            let socket = self.name.clone();
            move |name: &str| match name {
                "NOTIFY_SOCKET" => Some(socket.clone()),
                _ => extra.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()),
            }
        }

        fn heard(&self) -> Vec<String> {
            let mut buffer = [0; 1024];
            std::iter::from_fn(|| {
                let length = self.socket.recv(&mut buffer).ok()?;
                Some(String::from_utf8(buffer[..length].to_vec()).unwrap())
            })
            .collect()
        }
    }

    fn watchdog(manager: &Manager) -> Box<ServiceManager> {
        let variable = manager.variable(&[("WATCHDOG_USEC", "10000000"), ("WATCHDOG_PID", "77")]);
        Box::new(ServiceManager::new(variable, 77).unwrap().unwrap())
    }

    #[test]
    fn a_service_is_fed_by_its_keeper_as_by_any_watchdog() {
        let manager = Manager::new();
        let watchdog = watchdog(&manager);
        let config = Config { timeout: watchdog.configured(), pretimeout: None };
        assert_eq!(config.timeout, 10 * SECOND);
        let now = Instant::now();
        let mut guard = Guard::new(now, watchdog.arm(config).unwrap());
        let part = guard.keeper().add(now, "engine", 2 * SECOND);
        assert_eq!(manager.heard(), ["WATCHDOG=1"]);
        for second in 0..10 {
            guard.turn(now + SECOND * second, Input::Beat(part), |event| panic!("{event:?}")).unwrap();
        }
        assert_eq!(manager.heard(), ["WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"]);
        guard.turn(now + 20 * SECOND, Input::Tick, drop).unwrap();
        assert_eq!(manager.heard(), Vec::<String>::new());
    }

    #[test]
    fn another_time_out_is_asked_for_and_dropping_says_nothing() {
        let manager = Manager::new();
        let armed = watchdog(&manager).arm(Config { timeout: 3 * SECOND, pretimeout: None }).unwrap();
        assert_eq!(manager.heard(), ["WATCHDOG_USEC=3000000", "WATCHDOG=1"]);
        drop(armed);
        assert_eq!(manager.heard(), Vec::<String>::new());
        let armed = watchdog(&manager).arm(Config { timeout: 10 * SECOND, pretimeout: None }).unwrap();
        armed.disarm().unwrap();
        assert_eq!(manager.heard(), ["WATCHDOG=1", "WATCHDOG_USEC=0"]);
    }

    #[test]
    fn who_has_no_watchdog_gets_none() {
        let manager = Manager::new();
        let none = |extra, own| ServiceManager::new(manager.variable(extra), own).unwrap().is_none();
        assert!(none(&[], 77));
        assert!(none(&[("WATCHDOG_USEC", "0")], 77));
        assert!(none(&[("WATCHDOG_USEC", "soon")], 77));
        assert!(none(&[("WATCHDOG_USEC", "1000000"), ("WATCHDOG_PID", "78")], 77), "it is another's");
        assert!(!none(&[("WATCHDOG_USEC", "1000000")], 77));
        assert!(ServiceManager::new(|_| None, 77).unwrap().is_none());
    }

    #[test]
    fn what_is_told_is_one_message_each() {
        let manager = Manager::new();
        let notifier = Notifier::new(manager.variable(&[])).unwrap();
        notifier.ready().unwrap();
        notifier.status("two\nlines WATCHDOG=1").unwrap();
        notifier.stopping().unwrap();
        notifier.stands_still().unwrap();
        assert_eq!(
            manager.heard(),
            ["READY=1", "STATUS=two lines WATCHDOG=1", "STOPPING=1", "WATCHDOG=trigger"]
        );
    }

    #[test]
    fn abstract_sockets_are_reached_and_odd_names_refused() {
        let name = format!("gantry-test-{}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        Notifier::new(|_| Some(format!("@{name}"))).unwrap().ready().unwrap();
        let mut buffer = [0; 16];
        assert_eq!(socket.recv(&mut buffer).unwrap(), 7);
        let error = Notifier::new(|_| Some("vsock:2:1234".to_owned())).unwrap_err().to_string();
        assert!(error.starts_with("NOTIFY_SOCKET=vsock:2:1234: open failed"), "{error}");
        assert!(Notifier::new(|_| None).unwrap().ready().is_ok());
    }

    #[test]
    fn a_manager_that_is_gone_is_an_error() {
        let manager = Manager::new();
        let mut armed = watchdog(&manager).arm(Config { timeout: 10 * SECOND, pretimeout: None }).unwrap();
        drop(manager);
        assert!(armed.feed().unwrap_err().to_string().contains("service manager: notify failed"));
        assert!(armed.disarm().is_err());
    }
}
