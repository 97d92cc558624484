//! SNMP as net-snmp reads it: notifications of every version and level of security, and the MIB.

mod receivers;

use base::Secret;
use receivers::{Snmptrapd, mibs};
use snmp::gantry::{Change, Level, Notification};
use snmp::usm::{AuthProtocol, EngineId, EngineTime, Originator, Security};
use std::net::UdpSocket;
use std::process::Command;

const NOTIFICATION: Notification<'_> = Notification {
    change: Change::Raised,
    uptime: 12_345,
    node: "box-1",
    sequence: 7,
    id: 7,
    identifier: "disk",
    name: "disk is nearly full",
    level: Level::Minor,
    instance: "/data",
    details: "95 % are in use; räumen",
    times: 1,
    time_raised: "2026-01-01T00:00:00Z",
};

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

fn send(station: &Snmptrapd, datagram: &[u8]) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.send_to(datagram, station.at).expect("sent");
}

fn engine() -> EngineId {
    EngineId::of_node(*b"0123456789ab")
}

/// What a station of this configuration makes of a message of this user.
fn told(config: &str, security: &Security) -> String {
    let station = Snmptrapd::start(config);
    let mut originator = Originator::new(engine(), "gantry", security, 99).expect("an originator");
    let at = EngineTime { boots: 3, time: 600 };
    send(&station, &originator.message(at, &NOTIFICATION.trap(), 1));
    station.notification()
}

#[track_caller]
fn says_everything(line: &str) {
    for part in [
        "Timeticks: (12345) 0:02:03.45",
        "gantryAlarmRaised",
        "gantryNode.0 = STRING: box-1",
        "gantryAlarmId.0 = Gauge32: 7",
        "gantryAlarmIdentifier.0 = STRING: disk",
        "gantryAlarmLevel.0 = INTEGER: minor(5)",
        "gantryAlarmInstance.0 = STRING: /data",
        "gantryAlarmDetails.0 = STRING: 95 % are in use; räumen",
        "gantryAlarmTimeRaised.0 = STRING: 2026-01-01T00:00:00Z",
    ] {
        assert!(line.contains(part), "{part} is missing in {line}");
    }
}

#[test]
fn net_snmp_takes_a_notification_of_v2c_and_knows_its_names_by_the_mib() {
    let station = Snmptrapd::start("authCommunity log public");
    send(&station, &snmp::v2c(&secret("public"), &NOTIFICATION.trap(), 1));
    says_everything(&station.notification());
}

#[test]
fn net_snmp_takes_v3_without_authentication() {
    let user = format!("createUser -e {} gantry\nauthUser log gantry noauth", engine());
    says_everything(&told(&user, &Security::Open));
}

#[test]
fn net_snmp_takes_v3_with_either_authentication() {
    for (protocol, word) in [(AuthProtocol::Sha1, "SHA"), (AuthProtocol::Sha256, "SHA-256")] {
        let user =
            format!("createUser -e {} gantry {word} auth-password\nauthUser log gantry auth", engine());
        says_everything(&told(&user, &Security::Authenticated(protocol, secret("auth-password"))));
    }
}

#[test]
fn net_snmp_takes_v3_with_either_authentication_and_encryption() {
    for (auth, word) in [(AuthProtocol::Sha1, "SHA"), (AuthProtocol::Sha256, "SHA-256")] {
        let user = format!(
            "createUser -e {} gantry {word} auth-password AES privacy-password\nauthUser log gantry priv",
            engine()
        );
        let (auth_password, privacy_password) = (secret("auth-password"), secret("privacy-password"));
        says_everything(&told(&user, &Security::Encrypted { auth, auth_password, privacy_password }));
    }
}

#[test]
fn net_snmp_refuses_a_wrong_password_and_then_takes_the_right_one() {
    let config = format!(
        "createUser -e {} gantry SHA-256 auth-password AES privacy-password\nauthUser log gantry priv",
        engine()
    );
    let station = Snmptrapd::start(&config);
    let at = EngineTime { boots: 3, time: 600 };
    for (password, instance) in [("another-password", "/wrong"), ("auth-password", "/right")] {
        let security = Security::Encrypted {
            auth: AuthProtocol::Sha256,
            auth_password: secret(password),
            privacy_password: secret("privacy-password"),
        };
        let mut originator = Originator::new(engine(), "gantry", &security, 99).expect("an originator");
        let trap = Notification { instance, ..NOTIFICATION }.trap();
        send(&station, &originator.message(at, &trap, 1));
    }
    let line = station.notification();
    assert!(line.contains("/right"), "{line}");
}

#[test]
fn the_mib_translates_every_number_that_is_sent() {
    // Net-SNMP tells of each folder that it makes for itself.
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("cert_indexes")).expect("made");
    let translate = |arguments: &[&str]| {
        let output = Command::new("snmptranslate")
            .env("SNMP_PERSISTENT_DIR", folder.path())
            .args(["-M", &mibs(), "-m", "GANTRY-MIB", "-Pew"])
            .args(arguments)
            .output()
            .expect("snmptranslate (Debian package snmp)");
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    for (change, name) in [
        (Change::Raised, "gantryAlarmRaised"),
        (Change::Changed, "gantryAlarmChanged"),
        (Change::Acknowledged, "gantryAlarmAcknowledged"),
        (Change::Cleared, "gantryAlarmCleared"),
    ] {
        let trap = Notification { change, ..NOTIFICATION }.trap();
        assert_eq!(translate(&[&trap.oid.to_string()]), format!("GANTRY-MIB::{name}"));
    }
    let objects = [
        "gantryNode",
        "gantrySequence",
        "gantryAlarmId",
        "gantryAlarmIdentifier",
        "gantryAlarmName",
        "gantryAlarmLevel",
        "gantryAlarmInstance",
        "gantryAlarmDetails",
        "gantryAlarmTimes",
        "gantryAlarmTimeRaised",
    ];
    let trap = NOTIFICATION.trap();
    assert_eq!(trap.values.len(), objects.len());
    for ((oid, _), name) in trap.values.iter().zip(objects) {
        assert_eq!(translate(&[&oid.to_string()]), format!("GANTRY-MIB::{name}.0"));
        assert!(translate(&["-Td", &format!("GANTRY-MIB::{name}")]).contains("accessible-for-notify"));
    }
}
