//! The serial console: keys in, a screen out. A terminal that says what it is gets a screen of 80 by 24 that changes in
//! place; one that does not gets lines.
//!
//! ```text
//!  reads bytes (a thread) ─▶ KeyReader ─▶ Walk ─Ask─▶ gantry serve
//!                                          └─Scene─▶ wide ▶ Painter (differences)   or   dumb (lines)
//! ```

use crate::client::Client;
use crate::menu::line::{Echo, LineEditor};
use crate::menu::question::Editor;
use crate::menu::{Body, Key, Reach, Walk};
use crate::places::Places;
use crate::protocol::{Ask, Facts, Where};
use crate::skin::keys::{Got, KeyReader};
use crate::skin::{dumb, vt100, wide};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use std::io::{self, IsTerminal, Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How often the box is asked how it is.
const LOOK: Duration = Duration::from_secs(1);
/// After an escape nothing follows for so long: it was a key. At 9600 baud a byte takes one millisecond.
const ESCAPE: Duration = Duration::from_millis(60);
/// The server is told at most so often that somebody is there.
const AWAKE: Duration = Duration::from_secs(5);
/// A server that does not answer is tried again after so long.
const AGAIN: Duration = Duration::from_secs(2);
/// The question what a terminal is (DEC's primary device attributes); a VT100 and all after it answer.
const WHAT_ARE_YOU: &str = "\x1b[c";

/// What a terminal understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terminal {
    /// It is asked.
    Auto,
    /// Escape codes.
    Vt100,
    /// Lines.
    Dumb,
}

/// Runs until the line is hung up.
///
/// # Errors
/// If nothing can be written to the terminal any more.
pub fn run(places: &Places, terminal: Terminal) -> io::Result<()> {
    let _raw = Raw::enter();
    let bytes = reader()?;
    let mut screen = Screen::new(terminal);
    loop {
        let ended = match connect(places, &mut screen, &bytes)? {
            Some((client, facts)) => Sitting::new(client, facts, &mut screen).run(&bytes)?,
            None => return Ok(()),
        };
        if ended == Ended::HungUp {
            return Ok(());
        }
        screen.line("The box's set-up service restarts; one moment.")?;
    }
}

/// Puts the terminal into raw mode, and back.
struct Raw(Option<Termios>);

impl Raw {
    fn enter() -> Self {
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            return Self(None);
        }
        let Ok(before) = tcgetattr(&stdin) else { return Self(None) };
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        // The line's speed and its modem control stay as they are; a terminal that is pulled out hangs up.
        raw.control_flags = before.control_flags;
        let entered = tcsetattr(&stdin, SetArg::TCSANOW, &raw).is_ok();
        Self(entered.then_some(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // A terminal that is gone needs no putting back.
            let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, before);
        }
    }
}

/// Reads bytes in a thread, so that time passes while nobody types. The channel ends with the line.
fn reader() -> io::Result<Receiver<u8>> {
    let (sender, bytes) = channel();
    std::thread::Builder::new().name("keys".into()).spawn(move || {
        let mut buffer = [0; 256];
        while let Ok(count @ 1..) = io::stdin().lock().read(&mut buffer) {
            for byte in &buffer[..count] {
                if sender.send(*byte).is_err() {
                    return;
                }
            }
        }
    })?;
    Ok(bytes)
}

fn connect(
    places: &Places,
    screen: &mut Screen,
    bytes: &Receiver<u8>,
) -> io::Result<Option<(Client, Facts)>> {
    let mut told = false;
    loop {
        let connected = Client::connect(&places.socket(), Where::Serial)
            .and_then(|mut client| client.facts().map(|facts| (client, facts)));
        match connected {
            Ok(connected) => return Ok(Some(connected)),
            Err(why) if !told => {
                eprintln!("{why}");
                screen.line("The box starts; one moment.")?;
                told = true;
            }
            Err(_) => {}
        }
        // Keys that are typed meanwhile mean nothing.
        let begun = Instant::now();
        while let Some(left) = AGAIN.checked_sub(begun.elapsed()) {
            match bytes.recv_timeout(left) {
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
    }
}

#[derive(PartialEq, Eq)]
enum Ended {
    HungUp,
    ServerGone,
}

/// What the terminal shows, and how.
struct Screen {
    terminal: Terminal,
    kind: Terminal,
    painter: vt100::Painter,
    printed: String,
    said: Vec<String>,
    typed: LineEditor,
    asked: Option<Instant>,
}

impl Screen {
    fn new(terminal: Terminal) -> Self {
        let kind = if terminal == Terminal::Vt100 { Terminal::Vt100 } else { Terminal::Dumb };
        let typed = LineEditor::new(Echo::Shown, crate::menu::line::LINE_CHARS);
        let (painter, printed) = (vt100::Painter::default(), String::new());
        Self { terminal, kind, painter, printed, said: Vec::new(), typed, asked: None }
    }

    fn write(text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// A line outside of any screen.
    fn line(&mut self, text: &str) -> io::Result<()> {
        self.painter.forget();
        self.printed.clear();
        Self::write(&format!("\r\n{text}\r\n"))
    }

    /// Asks the terminal what it is, unless it was asked just now or need not be.
    fn ask(&mut self) -> io::Result<()> {
        let due = self.asked.is_none_or(|asked| asked.elapsed() > AGAIN);
        if self.terminal != Terminal::Auto || !due {
            return Ok(());
        }
        self.asked = Some(Instant::now());
        Self::write(WHAT_ARE_YOU)
    }

    fn is(&mut self, kind: Terminal) {
        if self.terminal == Terminal::Auto && self.kind != kind {
            self.kind = kind;
            self.painter.forget();
            self.printed.clear();
        }
    }

    fn anew(&mut self) {
        self.painter.forget();
        self.printed.clear();
    }

    fn show(&mut self, walk: &Walk) -> io::Result<()> {
        match self.kind {
            Terminal::Vt100 => {
                let out = self.painter.paint(&wide::draw(&walk.scene(), walk.known()));
                Self::write(&out)
            }
            Terminal::Auto | Terminal::Dumb => self.print(walk),
        }
    }

    /// Prints a screen if it is another one than before.
    fn print(&mut self, walk: &Walk) -> io::Result<()> {
        let scene = walk.scene();
        let (text, prompt) = dumb::print(&scene);
        if text == self.printed {
            return Ok(());
        }
        let mut out = String::from("\r\n");
        match &scene.body {
            // Of a prompt only what is new is printed.
            Body::Prompt { lines, .. } => {
                let new = lines.strip_prefix(self.said.as_slice()).unwrap_or(lines);
                new.iter().for_each(|line| out.push_str(&format!("{line}\r\n")));
                self.said.clone_from(lines);
            }
            _ => {
                self.said.clear();
                out.push_str(&text.replace('\n', "\r\n"));
            }
        }
        let echo = match &scene.body {
            Body::Question { editor: Editor::Line(line), .. } => line.echo(),
            _ => Echo::Shown,
        };
        self.typed = LineEditor::new(echo, crate::menu::line::LINE_CHARS);
        self.printed = text;
        Self::write(&format!("{out}{prompt} "))
    }

    /// Takes a key on a dumb terminal: a line is edited, and handed back when it is whole.
    fn typed(&mut self, key: Key) -> io::Result<Option<String>> {
        match key {
            Key::Select => {
                let line = self.typed.text();
                self.typed = LineEditor::new(self.typed.echo(), crate::menu::line::LINE_CHARS);
                Self::write("\r\n")?;
                return Ok(Some(line));
            }
            Key::Char(character) => {
                let before = self.typed.text().len();
                self.typed.key(key);
                if self.typed.text().len() > before {
                    let shown = if self.typed.echo() == Echo::Hidden { '*' } else { character };
                    Self::write(&shown.to_string())?;
                }
            }
            Key::Backspace if !self.typed.text().is_empty() => {
                self.typed.key(key);
                Self::write("\x08 \x08")?;
            }
            Key::KillLine => {
                let count = self.typed.text().len();
                self.typed.key(Key::KillLine);
                Self::write(&"\x08 \x08".repeat(count))?;
            }
            _ => {}
        }
        Ok(None)
    }
}

/// Somebody sits at the terminal while the server answers.
struct Sitting<'s> {
    client: Client,
    walk: Walk,
    screen: &'s mut Screen,
    awake: Instant,
}

impl<'s> Sitting<'s> {
    fn new(client: Client, facts: Facts, screen: &'s mut Screen) -> Self {
        let page = if screen.kind == Terminal::Vt100 { wide::PAGE } else { dumb::PAGE };
        let walk = Walk::new(Reach::Keyboard, page, facts);
        Self { client, walk, screen, awake: Instant::now() }
    }

    fn run(mut self, bytes: &Receiver<u8>) -> io::Result<Ended> {
        let mut keys = KeyReader::default();
        let mut looked = Instant::now();
        self.screen.anew();
        self.screen.ask()?;
        self.screen.show(&self.walk)?;
        loop {
            let wait = if keys.is_within() { ESCAPE } else { LOOK.saturating_sub(looked.elapsed()) };
            let got = match bytes.recv_timeout(wait) {
                Ok(byte) => keys.byte(byte),
                Err(RecvTimeoutError::Timeout) => keys.quiet(),
                Err(RecvTimeoutError::Disconnected) => return Ok(Ended::HungUp),
            };
            let done = match got {
                Some(got) => self.got(got)?,
                None => Ok(()),
            };
            let looks = looked.elapsed() >= LOOK;
            let seen = if looks { self.look() } else { Ok(()) };
            if looks {
                looked = Instant::now();
            }
            if let Err(why) = done.and(seen) {
                eprintln!("{why}");
                return Ok(Ended::ServerGone);
            }
            if got.is_some() || looks {
                self.screen.show(&self.walk)?;
            }
        }
    }

    /// The outer error is the terminal's, the inner one the server's.
    fn got(&mut self, got: Got) -> io::Result<Result<(), String>> {
        match got {
            Got::Vt100 => {
                self.screen.is(Terminal::Vt100);
                self.walk.turn_page(wide::PAGE);
                Ok(Ok(()))
            }
            Got::Interrupt => {
                self.walk.home();
                self.screen.anew();
                Ok(Ok(()))
            }
            Got::Key(Key::Redraw) => {
                // Perhaps another terminal was plugged in.
                self.screen.is(Terminal::Dumb);
                self.walk.turn_page(dumb::PAGE);
                self.screen.anew();
                self.screen.asked = None;
                self.screen.ask()?;
                Ok(Ok(()))
            }
            Got::Key(key) if self.screen.kind == Terminal::Vt100 => Ok(self.press(key)),
            Got::Key(key) => {
                let Some(line) = self.screen.typed(key)? else { return Ok(Ok(())) };
                self.screen.ask()?;
                let done = self.line(&line);
                // Whatever the line did, the screen below it is printed again.
                self.screen.printed.clear();
                Ok(done)
            }
        }
    }

    /// A line that was typed on a dumb terminal.
    fn line(&mut self, line: &str) -> Result<(), String> {
        let keys = dumb::keys(&self.walk.scene(), line);
        if keys.is_empty() && !line.trim().is_empty() {
            let ask = self.walk.command_line(line);
            return self.follow(ask);
        }
        keys.into_iter().try_for_each(|key| self.press(key))
    }

    fn press(&mut self, key: Key) -> Result<(), String> {
        if self.awake.elapsed() > AWAKE {
            self.awake = Instant::now();
            self.client.ask(&Ask::Awake)?;
        }
        let ask = self.walk.key(key);
        self.follow(ask)
    }

    fn follow(&mut self, mut ask: Option<Ask>) -> Result<(), String> {
        while let Some(asked) = ask {
            let reply = self.client.ask(&asked)?;
            self.walk.facts(self.client.facts()?);
            ask = self.walk.reply(reply);
        }
        Ok(())
    }

    fn look(&mut self) -> Result<(), String> {
        self.walk.facts(self.client.facts()?);
        Ok(())
    }
}
