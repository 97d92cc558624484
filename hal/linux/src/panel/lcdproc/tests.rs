//! Against the real LCDd, which drives a Matrix Orbital display at the other end of a pseudo terminal; and against a server
//! that misbehaves, which the real one does not.

use super::*;
use hal::panel::Cell;
use nix::pty::openpty;
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use std::fs::File;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Condvar;
use std::sync::mpsc::channel;
use std::thread;

const LONG: Duration = Duration::from_secs(20);

/// A Matrix Orbital display of 20x4 as its manual has it: text as it comes, and commands after 0xfe.
struct Glass {
    master: File,
    seen: Arc<(Mutex<Seen>, Condvar)>,
}

struct Seen {
    cells: [[u8; 20]; 4],
    at: (usize, usize),
    underline: bool,
    /// Written to at all.
    awake: bool,
}

impl Glass {
    /// The display, and the terminal to find it at.
    fn new() -> (Self, File, String) {
        let pty = openpty(None, None).unwrap();
        let mut raw = tcgetattr(&pty.slave).unwrap();
        cfmakeraw(&mut raw);
        tcsetattr(&pty.slave, SetArg::TCSANOW, &raw).unwrap();
        let name = nix::unistd::ttyname(&pty.slave).unwrap().display().to_string();
        let seen = Seen { cells: [[b' '; 20]; 4], at: (0, 0), underline: false, awake: false };
        let glass =
            Self { master: File::from(pty.master), seen: Arc::new((Mutex::new(seen), Condvar::new())) };
        let (reader, seen) = (glass.master.try_clone().unwrap(), glass.seen.clone());
        thread::spawn(move || {
            let mut bytes = io::BufReader::new(reader).bytes().map_while(Result::ok);
            while let Some(byte) = bytes.next() {
                let mut parameters = |count: usize| bytes.by_ref().take(count).collect::<Vec<_>>();
                let command = (byte == 0xfe).then(|| parameters(1)[0]);
                let parameters = parameters(match command {
                    Some(b'P' | b'Y' | 0x99 | b'B' | b'~') => 1,
                    Some(b'G') => 2,
                    Some(b'N') => 9,
                    _ => 0,
                });
                let (lock, changed) = &*seen;
                lock.lock().unwrap_or_else(PoisonError::into_inner).take(byte, command, &parameters);
                changed.notify_all();
            }
        });
        (glass, File::from(pty.slave), name)
    }

    /// Waits until what is seen is as wanted.
    #[track_caller]
    fn wait(&self, what: &str, wanted: impl Fn(&Seen) -> bool) {
        let (lock, changed) = &*self.seen;
        let (seen, late) =
            changed.wait_timeout_while(lock.lock().unwrap(), LONG, |seen| !wanted(seen)).unwrap();
        assert!(!late.timed_out(), "{what} was not seen, but {:?}", seen.rows());
    }

    fn press(&self, letter: u8) {
        (&self.master).write_all(&[letter]).unwrap();
    }
}

impl Seen {
    fn take(&mut self, byte: u8, command: Option<u8>, parameters: &[u8]) {
        self.awake = true;
        let place = |number: u8| usize::from(number).saturating_sub(1);
        match (command, parameters) {
            (None, _) => {
                let (column, row) = self.at;
                if let Some(cell) = self.cells.get_mut(row).and_then(|row| row.get_mut(column)) {
                    *cell = byte;
                }
                self.at.0 += 1;
            }
            (Some(b'G'), [column, row]) => self.at = (place(*column), place(*row)),
            (Some(b'X'), _) => self.cells = [[b' '; 20]; 4],
            (Some(b'J'), _) => self.underline = true,
            (Some(b'K'), _) => self.underline = false,
            _ => {}
        }
    }

    fn rows(&self) -> [String; 4] {
        self.cells.map(|row| String::from_utf8_lossy(&row).into_owned())
    }
}

/// LCDd with that display.
struct Lcdd {
    process: Child,
    glass: Glass,
    address: SocketAddr,
    _slave: File,
    _folder: tempfile::TempDir,
}

impl Lcdd {
    fn start() -> Self {
        let (glass, slave, terminal) = Glass::new();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let drivers = ["x86_64", "aarch64"].map(|arch| format!("/usr/lib/{arch}-linux-gnu/lcdproc/"));
        let drivers = drivers.iter().find(|path| std::path::Path::new(path).exists());
        let drivers = drivers.unwrap_or_else(|| panic!("no LCDd; apt-get install lcdproc"));
        let config = folder.path().join("LCDd.conf");
        let text = format!(
            "[server]\nDriverPath={drivers}\nDriver=MtxOrb\nBind=127.0.0.1\nPort={}\nUser=root\nServerScreen=no\n\
             ReportToSyslog=no\n[MtxOrb]\nDevice={terminal}\nSize=20x4\nType=lcd\nSpeed=19200\n\
             KeyMap_A=Up\nKeyMap_B=Down\nKeyMap_C=Enter\nKeyMap_D=Escape\n",
            address.port()
        );
        std::fs::write(&config, text).unwrap();
        let process = Command::new("LCDd")
            .args(["-f", "-c", config.to_str().unwrap()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("LCDd: {error}; apt-get install lcdproc"));
        let lcdd = Self { process, glass, address, _slave: slave, _folder: folder };
        // It listens before it wakes its display.
        lcdd.glass.wait("a sign of life", |seen| seen.awake);
        lcdd
    }
}

impl Drop for Lcdd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn the_real_lcdd_shows_our_screens_and_tells_our_keys() {
    let lcdd = Lcdd::start();
    let connection = LcdProc::connect(lcdd.address, KeyNames::default()).unwrap();
    let Panel { display, keys, .. } = connection.panel();
    let (mut display, mut keys) = (display.unwrap(), keys.unwrap());
    assert_eq!(display.geometry(), Geometry::Large20x4);

    let lines = ["Gantry {1.0} \"quoted\"", "▲ calls 3 \\ ~", "", "20 characters in all"];
    let screen = Screen::of(Geometry::Large20x4, lines);
    display.show(&screen).unwrap();
    let rows: Vec<_> = (0..4).map(|row| screen.ascii_row(row)).collect();
    lcdd.glass.wait("the screen", |seen| seen.rows().iter().eq(&rows));

    for (letter, key) in [(b'A', Key::Up), (b'B', Key::Down), (b'C', Key::Select), (b'D', Key::Back)] {
        lcdd.glass.press(letter);
        for act in [Act::Pressed, Act::Released] {
            assert_eq!(keys.next(LONG).unwrap(), Some(KeyEvent { key, act }));
        }
    }
    assert_eq!(keys.next(Duration::ZERO).unwrap(), None);

    let mut later = Screen::of(Geometry::Large20x4, ["Gantry", "10.0.0.1"]);
    later.put_cursor(Some(Cell { row: 1, column: 3 }));
    display.show(&later).unwrap();
    display.light(Lit::Off).unwrap();
    lcdd.glass.wait("the cursor", |seen| seen.underline && seen.rows()[1].starts_with("10.0.0.1"));
    later.put_cursor(None);
    display.show(&later).unwrap();
    lcdd.glass.wait("no cursor", |seen| !seen.underline && seen.rows()[0].trim_end() == "Gantry");
}

/// A server that says `lines` at once and then answers "success" to every command until `then`.
fn server(lines: &'static str, then: Then) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut answers = stream.try_clone().unwrap();
            let _ = answers.write_all(lines.as_bytes());
            let mut heard = 0;
            for byte in io::BufReader::new(stream).bytes().map_while(Result::ok) {
                if byte != b'\n' {
                    continue;
                }
                heard += 1;
                match then {
                    Then::CloseAfter(count) if heard > count => break,
                    Then::Silence => {}
                    // The first line is the greeting, which was answered already.
                    _ if heard > 1 => drop(answers.write_all(b"success\n")),
                    _ => {}
                }
            }
        }
    });
    address
}

#[derive(Clone, Copy)]
enum Then {
    Success,
    CloseAfter(usize),
    Silence,
}

const HELLO: &str = "connect LCDproc 0.5.9 protocol 0.3 lcd wid 16 hgt 2 cellwid 5 cellhgt 8\n";

fn connect(lines: &'static str, then: Then) -> Result<LcdProc, DeviceError> {
    let patience = if matches!(then, Then::Silence) { Duration::from_millis(100) } else { LONG };
    LcdProc::patiently(server(lines, then), KeyNames::default(), patience)
}

#[test]
fn a_connection_that_breaks_is_opened_anew_at_the_next_act() {
    // The greeting, eight commands to set up, and two rows of text.
    let mut panel = connect(HELLO, Then::CloseAfter(11)).unwrap();
    assert_eq!(Display::geometry(&panel), Geometry::Small16x2);
    let outcomes: Vec<_> =
        (0..6).map(|n| panel.show(&Screen::of(Geometry::Small16x2, [n.to_string()])).is_ok()).collect();
    assert_eq!(outcomes, [true, true, false, true, true, false]);
}

#[test]
fn a_server_that_does_not_answer_or_says_nonsense_is_an_error_in_time() {
    for (lines, then, said) in [
        ("", Then::Silence, "connect failed: timed out"),
        (HELLO, Then::Silence, "connect failed: timed out"),
        ("SSH-2.0-OpenSSH\n", Then::Success, "does not speak LCDproc's protocol"),
        ("connect wid x hgt 2\n", Then::Success, "does not speak LCDproc's protocol"),
        ("connect lcd wid 8 hgt 1\n", Then::Success, "16x2 are needed"),
    ] {
        let error = connect(lines, then).err().unwrap().to_string();
        assert!(error.starts_with("LCDd at 127.0.0.1:") && error.contains(said), "{error}");
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    assert!(LcdProc::connect(address, KeyNames::default()).is_err());
}

#[test]
fn a_line_without_end_is_an_error() {
    static LONG_LINE: [u8; 4 * LINE_BYTES] = [b'x'; 4 * LINE_BYTES];
    let lines = std::str::from_utf8(&LONG_LINE).unwrap();
    let error = connect(lines, Then::Success).err().unwrap().to_string();
    assert!(error.contains("a line without end"), "{error}");
}

#[test]
fn keys_nobody_asked_for_are_bounded_and_unknown_ones_passed_over() {
    let mut kept = VecDeque::new();
    let names = KeyNames::default();
    keep(&mut kept, &names, "Left");
    assert!(kept.is_empty());
    for _ in 0..1000 {
        keep(&mut kept, &names, "Up");
    }
    assert_eq!(kept.len(), 2 * KEPT_KEYS);
    assert_eq!(kept[0].act, Act::Pressed, "no press is cut in half");
}

#[test]
fn the_display_can_be_used_while_somebody_waits_for_a_key() {
    let panel = connect(HELLO, Then::Success).unwrap();
    let (mut display, mut keys) = (panel.clone(), panel);
    let (done, waits) = channel();
    let waiting = thread::spawn(move || {
        done.send(()).unwrap();
        keys.next(LONG).is_ok()
    });
    waits.recv().unwrap();
    let begun = Instant::now();
    display.show(&Screen::of(Geometry::Small16x2, ["Gantry"])).unwrap();
    assert!(begun.elapsed() < LONG / 2, "it waited for the key");
    drop(display);
    drop(waiting);
}
