//! A real terminal in front of the real programs: first claim to confirmed settings by typed keys alone, on a VT100 and on a
//! terminal that only prints; what its screens look like; and what comes back by itself.

#![allow(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod made_box;

use made_box::{CODE, Kind, MadeBox, PASSWORD, wait_for_file};
use std::fs;
use std::path::PathBuf;

/// Held against a picture of text in tests/golden; `UPDATE_GOLDEN=1` draws it anew.
fn golden(name: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, text).unwrap();
    } else {
        assert_eq!(text, fs::read_to_string(&path).unwrap_or_default(), "{name}");
    }
}

/// A made box lies on the disk of the machine that tests, and warns of it when that is full.
fn without_count(screen: &str) -> String {
    let mut words: Vec<_> = screen.split(' ').collect();
    for at in 1..words.len().saturating_sub(2) {
        if words[at] == "to" && words[at + 1] == "look" {
            words[at - 1] = "N";
        }
    }
    words.join(" ")
}

#[test]
fn a_box_is_claimed_and_set_up_on_a_vt100_by_keys_alone() {
    let made = MadeBox::new();
    let mut terminal = made.terminal(Kind::Vt100);
    let mut pictures = String::new();
    let mut picture = |name: &str, terminal: &mut made_box::Terminal| {
        terminal.quiet();
        pictures.push_str(&format!("### {name}\n{}", without_count(&terminal.shows())));
    };

    terminal.wait_for("This box is not claimed");
    terminal.wait_for("Esc: back");
    picture("unclaimed", &mut terminal);
    terminal.line("0000-0000");
    terminal.wait_for("that is not the code on this box's label");
    picture("a wrong code", &mut terminal);
    terminal.line(CODE);
    terminal.wait_for("New administrator password");
    terminal.line("short");
    terminal.wait_for("The same again");
    terminal.line("short");
    terminal.wait_for("fewer than 10 characters");
    terminal.line(PASSWORD);
    terminal.wait_for("The same again");
    terminal.line(PASSWORD);

    terminal.wait_for("Which interface");
    picture("which interface", &mut terminal);
    terminal.keys("\r");
    terminal.wait_for("IPv4 address of lan0");
    // What is offered is taken away first: ^U.
    terminal.line("\x15192.0.2.300/24");
    terminal.wait_for("no IPv4 address");
    terminal.line("\x15192.0.2.10/24");
    terminal.wait_for("  : 192.0.2.1\n");
    terminal.keys("\r");
    terminal.wait_for("DNS servers");
    terminal.line("\x15192.0.2.53");
    terminal.wait_for("Time servers");
    terminal.line("\x15192.0.2.123");
    terminal.wait_for("Host name");
    terminal.line("\x15rack-7");
    terminal.wait_for("lan0.ipv4: dhcp -> 192.0.2.10/24");
    terminal.wait_for("Apply now");
    picture("the difference", &mut terminal);
    terminal.keys("\r");
    terminal.wait_for("Does it work?");
    terminal.wait_for("A change is on trial");
    terminal.keys("\r");
    terminal.wait_for("The change stands.");
    picture("confirmed", &mut terminal);
    terminal.keys("\r");
    terminal.wait_for("Main menu");
    picture("the main menu", &mut terminal);
    golden("terminal-vt100.txt", &pictures);

    // What was asked of those that may is done by them, and networkd's files are there.
    let requests = made.places().requests();
    for what in ["network", "time", "host-name"] {
        wait_for_file(&requests.join(what));
        assert!(made.gantry(&["apply", what]).status.success(), "{what}");
    }
    assert!(
        made.read("/run/systemd/network/10-gantry-lan0.network")
            .contains("Address=192.0.2.10/24\nGateway=192.0.2.1\n")
    );
    assert_eq!(made.read("/proc/sys/kernel/hostname"), "rack-7");
    assert!(made.read("/told").contains("restart systemd-networkd.service"));
    let fields = made.json(&["network", "settings"]);
    assert_eq!((fields["dns"].as_str(), fields["time"].as_str()), (Some("192.0.2.53"), Some("192.0.2.123")));
    assert!(made.json(&["network", "changes"])["difference"].as_array().unwrap().is_empty());

    let text = String::from_utf8_lossy(&terminal.sent).into_owned();
    assert!(!text.contains(PASSWORD) && !text.contains("short"), "a password was shown");
    let seconds = terminal.sent.len() as f64 / 960.0;
    println!(
        "{} bytes from power-on to confirmed: {seconds:.1} s of a line at 9600 baud",
        terminal.sent.len()
    );
    assert!(terminal.sent.len() < 12_000);
}

#[test]
fn a_box_is_set_up_on_a_terminal_that_only_prints() {
    let made = MadeBox::new();
    let mut terminal = made.terminal(Kind::Dumb);
    let mut at = 0;
    let mut say = |wait: &str, line: &str, terminal: &mut made_box::Terminal| {
        at = terminal.wait_printed(at, wait);
        terminal.line(line);
    };
    say("The code on its label (8 digits, on the box's label):", CODE, &mut terminal);
    say("New administrator password", PASSWORD, &mut terminal);
    say("The same again", PASSWORD, &mut terminal);
    say("lan0 up, 1000 Mbit/s", "1", &mut terminal);
    say("IPv4 address of lan0 (dhcp, off or 192.0.2.10/24) [dhcp]:", "192.0.2.10/24", &mut terminal);
    say("Gateway (an address or none) [192.0.2.1]:", "", &mut terminal);
    say("DNS servers", "192.0.2.53", &mut terminal);
    say("Time servers", "none", &mut terminal);
    say("Host name", "", &mut terminal);
    say("choose (a number, b: back)>", "1", &mut terminal);
    say("A change is on trial", "1", &mut terminal);
    say("The change stands.", "", &mut terminal);
    // A command where a menu stands, and out again.
    say("== Main menu", "network changes", &mut terminal);
    say("nothing is changed", "reboot now", &mut terminal);
    say("reboot takes: [--now]", "exit", &mut terminal);
    say("== Main menu", "11", &mut terminal);
    at = terminal.wait_printed(at, "Password (it is not shown)");
    assert!(at > 0);
    assert_eq!(made.json(&["network", "settings"])["lan0.ipv4"], "192.0.2.10/24");

    let printed = String::from_utf8_lossy(&terminal.sent).into_owned();
    assert_eq!(
        printed.replace("\x1b[c", "").matches('\x1b').count(),
        0,
        "no escape codes but the question what it is"
    );
    assert!(!printed.contains(PASSWORD));
}

#[test]
fn a_service_that_dies_while_a_change_is_on_trial_counts_on_and_a_new_boot_takes_it_back() {
    let mut made = MadeBox::new();
    for words in [&["host-name", "wrong"][..], &["network", "apply"]] {
        made.said(words);
    }
    assert!(made.said(&["network", "changes"]).contains("on trial"));
    made.kill();
    made.start();
    let changes = made.said(&["network", "changes"]);
    assert!(changes.contains("on trial") && changes.contains("gantry-004711 -> wrong"), "{changes}");

    made.kill();
    made.boots("b0071e55-0000-4000-8000-000000000002");
    assert!(made.gantry(&["apply", "boot"]).status.success());
    assert_eq!(made.read("/proc/sys/kernel/hostname"), "gantry-004711", "even before the service runs");
    made.start();
    assert!(made.said(&["network", "changes"]).starts_with("nothing is changed"));
    let audit = made.said(&["audit"]);
    let words: Vec<_> = audit.split_ascii_whitespace().collect();
    assert!(words.join(" ").contains("the box restarted before anybody confirmed it"), "{audit}");
}

#[test]
fn a_terminal_outlives_its_service() {
    let mut made = MadeBox::new();
    assert!(made.answering(&["claim"], &format!("{CODE}\n{PASSWORD}\n{PASSWORD}\n")).status.code().is_some());
    let mut terminal = made.terminal(Kind::Vt100);
    terminal.wait_for("Password");
    terminal.line("wrong password");
    terminal.wait_for("! wrong password");
    terminal.line(PASSWORD);
    terminal.wait_for("Main menu");
    made.kill();
    terminal.wait_for("one moment");
    made.start();
    terminal.wait_for("(it is not shown)");
    terminal.line(PASSWORD);
    terminal.wait_for("Main menu");
    // ^L draws anew and asks again what the terminal is.
    terminal.keys("\x0c");
    terminal.quiet();
    terminal.wait_for("Main menu");
    terminal.keys(":");
    terminal.wait_for("Command line");
    terminal.line("slots");
    terminal.wait_for("cannot be read");
}

#[test]
fn noise_on_the_line_does_no_harm() {
    let made = MadeBox::new();
    let mut terminal = made.terminal(Kind::Vt100);
    terminal.wait_for("This box is not claimed");
    // What a wrong speed makes of a login prompt, and worse.
    let mut noise: Vec<u8> = (0..=255).collect();
    noise.extend(b"\x1b[999999999999999999999999;\x1b]0;evil\x07\x1bP\xff\xfe\x00\x9b31m");
    noise.extend([b'A'; 5_000]);
    let noise: String = noise.into_iter().map(char::from).collect();
    terminal.keys(&noise);
    terminal.quiet();
    terminal.keys("\x03");
    terminal.wait_for("This box is not claimed");
    terminal.line(CODE);
    terminal.wait_for("New administrator password");
}
