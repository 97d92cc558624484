//! The command line against the real service.

#![allow(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

#[allow(dead_code, reason = "the terminal in front of the made box is for terminal.rs")]
mod made_box;

use made_box::{CODE, MadeBox, PASSWORD};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

#[test]
fn a_box_is_set_from_the_command_line() {
    let made = MadeBox::new();
    let set = made.said(&[
        "network",
        "set",
        "lan0.ipv4=192.0.2.10/24",
        "lan0.ipv4-gateway=192.0.2.1",
        "dns=192.0.2.53",
    ]);
    assert!(set.contains("lan0.ipv4: dhcp -> 192.0.2.10/24"), "{set}");
    assert!(made.said(&["network", "apply"]).contains("confirm within 120 s"));
    assert_eq!(made.said(&["network", "confirm"]), "the change stands\n");
    assert_eq!(made.json(&["network", "settings"])["lan0.ipv4-gateway"], "192.0.2.1");
    made.said(&["time", "ntp.example.com"]);
    made.said(&["network", "discard"]);
    assert_eq!(made.json(&["network", "settings"])["time"], "none");

    let status = made.json(&["status"]);
    assert_eq!(status["gateway"], "silent");
    assert!(status["alarms"].as_array().unwrap().iter().any(|alarm| alarm == "the gateway does not answer"));
    assert!(made.said(&["identity"]).contains("GW-00-4711"));
    assert_eq!(made.json(&["identity"])["identity"]["serial_number"], "GW-00-4711");
    assert_eq!(made.json(&["slots"])["slots"], serde_json::Value::Null);
    assert!(made.json(&["sensors"])["disks"].is_array());
    assert!(made.json(&["reasons"])["reasons"].is_array());
    let audit = made.json(&["audit"]);
    assert_eq!(audit["whole"], true);
    assert!(
        audit["lines"]
            .as_array()
            .unwrap()
            .iter()
            .any(|line| line["act"] == "confirm" && line["by"] == "command")
    );
}

#[test]
fn what_is_wrong_is_told_all_at_once_and_the_status_says_so() {
    let made = MadeBox::new();
    let output = made.gantry(&["network", "set", "lan0.ipv4=192.0.2.10", "dns=x y", "lan9.mtu=1500"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().filter(|line| line.starts_with("gantry: ")).count(), 3, "{said}");
    let output = made.gantry(&["network", "fly"]);
    assert_eq!(output.status.code(), Some(2));
    let output = made.gantry(&["network", "confirm", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stdout).unwrap().contains("\"problems\":[\"nothing is on trial"));
    for help in [&["--help"][..], &["network", "--help"], &["help", "reset"]] {
        assert!(made.gantry(help).status.success(), "{help:?}");
    }
}

#[test]
fn claim_password_and_reset_ask_their_questions() {
    let made = MadeBox::new();
    let wrong = made.answering(&["claim"], "1111-1111\n");
    assert_eq!(wrong.status.code(), Some(1));
    // The questions of the set-up that follow are not answered; the claim itself is done.
    made.answering(&["claim"], &format!("{CODE}\n{PASSWORD}\n{PASSWORD}\n"));
    let again = made.answering(&["claim"], &format!("{CODE}\n"));
    assert!(String::from_utf8(again.stderr).unwrap().contains("claimed already"));
    let new = "another horse battery";
    let output = made.answering(&["password"], &format!("{PASSWORD}\n{new}\nanother\n{new}\n{new}\n"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = made.answering(&["reset", "settings"], &format!("yes\nreset settings\n{CODE}\n"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(made.gantry(&["apply", "factory-reset"]).status.success());
    assert!(made.read("/told").contains("reboot"));
    assert!(made.places().settings().iter().all(|path| !path.exists()));
    let log = made.read("/var/lib/gantry/console/audit.log");
    for secret in [PASSWORD, new, "0815"] {
        assert!(!log.contains(secret), "{secret} is in the audit log");
    }
}

#[test]
fn a_support_bundle_is_written_without_the_gateways_secrets() {
    let made = MadeBox::new();
    let config = "gateway.domains = ['meet.example.com']\n[[tokens]]\nname = 't'\nvalue = 'planted-token-value'\ntrust = 'trusted'\n";
    made.put("/var/lib/gantry/gatewayd/gantry.toml", config);
    made.put("/usr/bin/journalctl", "#!/bin/sh\necho 'token planted-token-value seen'\n");
    let journal = made.places().at("/usr/bin/journalctl");
    std::fs::set_permissions(journal, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let file = made.json(&["support-bundle", "field.tar"])["file"].as_str().unwrap().to_owned();
    let bundle = std::fs::read(file).unwrap();
    let text = String::from_utf8_lossy(&bundle);
    assert!(text.contains("token [redacted] seen") && !text.contains("planted-token-value"));
    assert!(!made.gantry(&["support-bundle", "../x"]).status.success());
}

#[test]
fn asks_that_are_none_are_answered_and_a_line_without_end_is_hung_up_on() {
    let made = MadeBox::new();
    let mut stream = UnixStream::connect(made.places().socket()).unwrap();
    let mut read = BufReader::new(stream.try_clone().unwrap());
    let mut ask = |line: &[u8]| {
        stream.write_all(line).unwrap();
        let mut answer = String::new();
        read.read_line(&mut answer).unwrap();
        answer
    };
    assert!(ask(b"{\"ask\":\"facts\"}\n").contains("say hello first"));
    assert!(ask(b"\xff\xfe\n").contains("that is no ask"));
    assert!(ask(b"{\"ask\":\"login\",\"password\":7,\"x\":\"hunter2\"}\n").contains("that is no ask"));
    assert!(ask(b"{\"ask\":\"hello\",\"at\":\"command\"}\n").starts_with('{'));
    let endless = vec![b'x'; console::protocol::LINE_BYTES];
    assert!(ask(&endless).contains("has no end"));
    assert!(made.said(&["status"]).contains("Gateway"), "others are served");
}

#[test]
fn why_a_service_stopped_and_why_the_box_restarted_are_told() {
    let made = MadeBox::new();
    let stopped = made
        .command(&["record-stop", "gatewayd.service"])
        .env("SERVICE_RESULT", "signal")
        .env("EXIT_STATUS", "KILL")
        .output();
    assert!(stopped.unwrap().status.success());
    assert_eq!(made.said(&["record-start"]), "first start\n");
    made.said(&["record-end"]);
    made.boots("b0071e55-0000-4000-8000-000000000002");
    assert_eq!(made.said(&["record-start"]), "restart was asked for\n");
    let deadline = std::time::Instant::now() + made_box::PATIENCE;
    loop {
        let reasons = made.json(&["reasons"]);
        let words: Vec<_> = reasons["reasons"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| line["word"].as_str().unwrap())
            .collect();
        if words == ["asked-restart", "first-start", "service-killed"] {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{words:?}");
        std::thread::park_timeout(std::time::Duration::from_millis(100));
    }
}
