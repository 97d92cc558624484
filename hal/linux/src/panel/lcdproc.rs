//! Panels that LCDproc drives (some seventy kinds): its client protocol over TCP, usually to `LCDd` on the box itself.
//!
//! ```text
//!  hello ─▶ ◀─ connect LCDproc 0.5.9 protocol 0.3 lcd wid 20 hgt 4 ...
//!  screen_add, widget_add, widget_set ... ─▶ ◀─ success, or huh? <why>
//!  client_add_key Up ... ─▶ ◀─ success ... ◀─ key Up
//! ```
//!
//! Source: LCDproc developer's guide, "The LCDproc protocol". LCDd says "success" once for each option of a command, so each
//! command here has one. It shows several clients in turn; our screen has the priority of one that is being used. When the
//! connection broke, the next act opens it anew.

use hal::DeviceError;
use hal::panel::{Act, Display, Geometry, Key, KeyEvent, Keys, Lit, Panel, Screen};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Where LCDd listens unless it is told otherwise.
pub const LCDD: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 13_666);

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest line taken.
const LINE_BYTES: usize = 1024;
/// Most keys kept until somebody asks; the oldest are forgotten.
const KEPT_KEYS: usize = 32;

/// What LCDd calls the four keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyNames {
    /// Each key and its name.
    pub names: [(Key, String); 4],
}

impl Default for KeyNames {
    /// What LCDd's own example calls them.
    fn default() -> Self {
        let names = [(Key::Up, "Up"), (Key::Down, "Down"), (Key::Select, "Enter"), (Key::Back, "Escape")];
        Self { names: names.map(|(key, name)| (key, name.to_owned())) }
    }
}

/// A connection to LCDd, as display and as keys.
#[derive(Clone)]
pub struct LcdProc {
    geometry: Geometry,
    inside: Arc<Mutex<Inside>>,
}

struct Inside {
    server: SocketAddr,
    key_names: KeyNames,
    connection: Option<Connection>,
    keys: VecDeque<KeyEvent>,
    light: Lit,
    patience: Duration,
}

struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
    geometry: Geometry,
    shown: Screen,
    patience: Duration,
}

/// A line of LCDd that matters.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Success,
    Huh(String),
    Key(String),
    Other,
}

impl LcdProc {
    /// Connects to LCDd.
    ///
    /// # Errors
    /// If it does not answer, or its display is too small.
    pub fn connect(server: SocketAddr, key_names: KeyNames) -> Result<Self, DeviceError> {
        Self::patiently(server, key_names, PATIENCE)
    }

    fn patiently(server: SocketAddr, key_names: KeyNames, patience: Duration) -> Result<Self, DeviceError> {
        let keys = VecDeque::new();
        let mut inside = Inside { server, key_names, connection: None, keys, light: Lit::On, patience };
        let geometry = inside.connected().map_err(|error| failed(server, "connect", error))?.geometry;
        Ok(Self { geometry, inside: Arc::new(Mutex::new(inside)) })
    }

    /// The panel it makes.
    #[must_use]
    pub fn panel(&self) -> Panel {
        Panel { display: Some(Box::new(self.clone())), lamps: None, keys: Some(Box::new(self.clone())) }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    fn connected(&mut self) -> io::Result<&mut Connection> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(self.server, &self.key_names, self.light, self.patience)?,
        };
        Ok(self.connection.insert(connection))
    }

    /// Does `act` over the connection; one that fails is closed, so that the next act opens it anew.
    fn over<T>(
        &mut self,
        act: &'static str,
        work: impl FnOnce(&mut Connection, &mut VecDeque<KeyEvent>, &KeyNames) -> io::Result<T>,
    ) -> Result<T, DeviceError> {
        let server = self.server;
        self.connected().map_err(|error| failed(server, act, error))?;
        let Self { connection, keys, key_names, .. } = self;
        let done = connection
            .as_mut()
            .map_or(Err(io::ErrorKind::NotConnected.into()), |connection| work(connection, keys, key_names));
        if done.is_err() {
            *connection = None;
        }
        done.map_err(|error| failed(server, act, error))
    }
}

impl Display for LcdProc {
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn show(&mut self, screen: &Screen) -> Result<(), DeviceError> {
        self.inside().over("show", |connection, keys, names| {
            let screen = screen.fitted(connection.geometry);
            let mut commands = Vec::new();
            for row in 0..screen.geometry().rows() {
                if screen.row(row) != connection.shown.row(row) {
                    let text = quoted(&screen.ascii_row(row));
                    commands.push(format!("widget_set g r{row} 1 {} {text}", row + 1));
                }
            }
            if screen.cursor() != connection.shown.cursor() {
                commands.extend(match screen.cursor() {
                    Some(at) => vec![
                        format!("screen_set g -cursor_x {}", at.column + 1),
                        format!("screen_set g -cursor_y {}", at.row + 1),
                        "screen_set g -cursor under".to_owned(),
                    ],
                    None => vec!["screen_set g -cursor off".to_owned()],
                });
            }
            connection.ask_all(&commands, |name| keep(keys, names, name))?;
            connection.shown = screen;
            Ok(())
        })
    }

    fn light(&mut self, lit: Lit) -> Result<(), DeviceError> {
        let mut inside = self.inside();
        inside.light = lit;
        inside.over("light", |connection, keys, names| {
            connection.ask_all(&[light_command(lit)], |name| keep(keys, names, name))
        })
    }
}

impl Keys for LcdProc {
    fn next(&mut self, wait: Duration) -> Result<Option<KeyEvent>, DeviceError> {
        let end = Instant::now() + wait;
        loop {
            // The lock is not held while waiting, so that the display can be used meanwhile.
            let stream = {
                let mut inside = self.inside();
                if let Some(event) = inside.keys.pop_front() {
                    return Ok(Some(event));
                }
                inside.over("read keys", |connection, _, _| connection.stream.try_clone())?
            };
            let left = end.saturating_duration_since(Instant::now());
            if !readable(&stream, left).map_err(|error| failed(self.inside().server, "read keys", error))? {
                return Ok(None);
            }
            self.inside().over("read keys", |connection, keys, names| {
                while let Some(said) = connection.said()? {
                    if let Said::Key(name) = said {
                        keep(keys, names, &name);
                    }
                }
                Ok(())
            })?;
        }
    }
}

impl Connection {
    fn open(server: SocketAddr, names: &KeyNames, light: Lit, patience: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&server, patience)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let geometry = Geometry::Small16x2;
        let mut new = Self { stream, unread: Vec::new(), geometry, shown: Screen::blank(geometry), patience };
        new.send("hello\n")?;
        new.geometry = geometry_of(&new.line_within(patience)?)?;
        new.shown = Screen::blank(new.geometry);
        let mut commands = vec![
            "client_set -name Gantry".to_owned(),
            "screen_add g".to_owned(),
            "screen_set g -priority foreground".to_owned(),
            "screen_set g -heartbeat off".to_owned(),
            light_command(light),
        ];
        commands.extend((0..new.geometry.rows()).map(|row| format!("widget_add g r{row} string")));
        let keys = names.names.iter().map(|(_, name)| format!(" {}", quoted(name)));
        commands.push(format!("client_add_key -exclusively{}", keys.collect::<String>()));
        new.ask_all(&commands, |_| {})?;
        Ok(new)
    }

    /// Sends every command and waits until each is answered; keys that come between are kept.
    fn ask_all(&mut self, commands: &[String], mut key: impl FnMut(&str)) -> io::Result<()> {
        let end = Instant::now() + self.patience;
        for command in commands {
            self.send(&format!("{command}\n"))?;
            loop {
                match said(&self.line_within(end.saturating_duration_since(Instant::now()))?) {
                    Said::Success => break,
                    Said::Huh(why) => {
                        return Err(io::Error::other(format!("{command:?} was refused: {why}")));
                    }
                    Said::Key(name) => key(&name),
                    Said::Other => {}
                }
            }
        }
        Ok(())
    }

    fn send(&mut self, text: &str) -> io::Result<()> {
        // A command is far shorter than the kernel's buffer; one that does not fit means that LCDd does not read.
        self.stream.write_all(text.as_bytes())
    }

    /// The next line that LCDd said already, if there is one.
    fn said(&mut self) -> io::Result<Option<Said>> {
        Ok(self.line()?.map(|line| said(&line)))
    }

    fn line_within(&mut self, patience: Duration) -> io::Result<String> {
        let end = Instant::now() + patience;
        loop {
            if let Some(line) = self.line()? {
                return Ok(line);
            }
            if !readable(&self.stream, end.saturating_duration_since(Instant::now()))? {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }

    fn line(&mut self) -> io::Result<Option<String>> {
        if !self.unread.contains(&b'\n') {
            let mut bytes = [0; LINE_BYTES];
            match self.stream.read(&mut bytes) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.unread.extend(&bytes[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') else {
            let too_long = io::Error::new(io::ErrorKind::InvalidData, "a line without end");
            return if self.unread.len() > LINE_BYTES { Err(too_long) } else { Ok(None) };
        };
        let line: Vec<_> = self.unread.drain(..=end).collect();
        Ok(Some(String::from_utf8_lossy(&line[..end]).trim().to_owned()))
    }
}

fn said(line: &str) -> Said {
    match line.split_once(' ').unwrap_or((line, "")) {
        ("success", "") => Said::Success,
        ("huh?", why) => Said::Huh(why.to_owned()),
        ("key", name) => Said::Key(name.to_owned()),
        _ => Said::Other,
    }
}

/// `connect LCDproc 0.5.9 protocol 0.3 lcd wid 20 hgt 4 cellwid 5 cellhgt 8`
fn geometry_of(line: &str) -> io::Result<Geometry> {
    let words: Vec<_> = line.split_ascii_whitespace().collect();
    let after = |name: &str| {
        let at = words.iter().position(|word| *word == name)?;
        words.get(at + 1)?.parse::<usize>().ok()
    };
    let size = words.first().filter(|word| **word == "connect").and_then(|_| after("wid").zip(after("hgt")));
    let Some((columns, rows)) = size else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it does not speak LCDproc's protocol"));
    };
    let small = || format!("its display has {columns}x{rows} characters, and 16x2 are needed");
    Geometry::within(columns, rows).ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, small()))
}

fn light_command(lit: Lit) -> String {
    format!("screen_set g -backlight {}", if lit == Lit::On { "on" } else { "off" })
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn keep(keys: &mut VecDeque<KeyEvent>, names: &KeyNames, name: &str) {
    let known = names.names.iter().filter(|(_, known)| known == name);
    for (key, _) in known {
        keys.extend([Act::Pressed, Act::Released].map(|act| KeyEvent { key: *key, act }));
    }
    while keys.len() > 2 * KEPT_KEYS {
        keys.pop_front();
    }
}

fn readable(stream: &TcpStream, wait: Duration) -> io::Result<bool> {
    let mut fds = [PollFd::new(stream.as_fd(), PollFlags::POLLIN)];
    let millis = u16::try_from(wait.as_millis()).unwrap_or(u16::MAX);
    match poll(&mut fds, PollTimeout::from(millis)) {
        Ok(ready) => Ok(ready > 0),
        Err(nix::Error::EINTR) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

fn failed(server: SocketAddr, act: &'static str, error: io::Error) -> DeviceError {
    DeviceError::new(format!("LCDd at {server}"), act, error)
}

#[cfg(test)]
mod tests;
