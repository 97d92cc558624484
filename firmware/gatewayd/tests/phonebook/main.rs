//! The phonebook (K6) of a real daemon, asked by Debian's own LDAP tools.

mod referee;
mod rig;

use rig::*;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const LOGIN: &str = "user = \"rooms\"\npassword = \"open sesame\"\n";

/// K6
#[test]
fn k6_everybody_looks_where_there_is_no_user_and_nobody_else_where_there_is() {
    let open = Daemon::start("", &rooms());
    assert_eq!(open.count("(objectClass=person)"), 4);
    let shut = Daemon::start(LOGIN, &rooms());
    let said = shut.search(&["(cn=*)"]);
    assert_eq!((said.code, said.entries().len()), (48, 0), "an anonymous bind is refused: {said:?}");
    let both = Daemon::start(&format!("{LOGIN}anonymous = true\n"), &rooms());
    assert_eq!(both.count("(objectClass=person)"), 4);
}

#[test]
fn the_user_logs_in_by_its_name_or_its_distinguished_name_and_nobody_else_does() {
    let daemon = Daemon::start(LOGIN, &rooms());
    let login = |name: &str, password: &str| daemon.search(&["-D", name, "-w", password, "(cn=abbey)", "cn"]);
    for name in [USER, "uid=rooms,dc=meet,dc=example,dc=com", "rooms"] {
        let said = login(name, PASSWORD);
        assert_eq!((said.code, said.entries().len()), (0, 1), "{name}: {said:?}");
    }
    for (name, password) in [(USER, "guess"), ("cn=admin,dc=example", PASSWORD), ("room", PASSWORD)] {
        assert_eq!(login(name, password).code, 49, "{name}");
    }
    let mut who = tool("ldapwhoami", &daemon.url());
    let who: Said = who.args(["-D", USER, "-w", PASSWORD]).output().expect("ldapwhoami").into();
    assert_eq!(who.out.trim(), "u:rooms");
    assert_eq!(daemon.ask("{\"get\":\"status\"}")["counters"]["phonebook_wrong_logins"], 3);
}

#[test]
fn k6_ldaps_shows_the_certificate_of_sip() {
    let daemon = Daemon::secure(LOGIN, &rooms());
    let with = |authority: &std::path::Path| {
        let mut command = tool("ldapsearch", &daemon.secure_url());
        command.env_remove("LDAPNOINIT").env("LDAPTLS_CACERT", authority).env("LDAPTLS_REQCERT", "demand");
        command.args(["-LLL", "-b", BASE, "-D", USER, "-w", PASSWORD, "(cn=*)", "cn"]);
        Said::from(command.output().expect("ldapsearch"))
    };
    let said = with(&daemon.authority());
    assert_eq!((said.code, said.entries().len()), (0, 4), "{said:?}");
    let other = Daemon::secure("", &rooms());
    assert_ne!(with(&other.authority()).code, 0, "it is not the other's authority that signed it");
    let mut plain = tool("ldapsearch", &daemon.url());
    let plain: Said = plain.args(["-ZZ", "-b", BASE]).output().expect("ldapsearch").into();
    assert_ne!(plain.code, 0, "StartTLS is refused: {plain:?}");
}

/// K6: what Poly, Cisco, LifeSize and Avaya (Radvision) room systems send.
#[test]
fn k6_the_queries_of_room_systems_are_answered() {
    let daemon = Daemon::start("", &rooms());
    for (filter, wanted) in [
        ("(&(objectClass=person)(sn=ab*))", 1),
        ("(&(objectclass=inetOrgPerson)(|(cn=*o*)(sn=*o*)(givenName=*o*)(mail=*o*)))", 2),
        ("(|(cn=*oar*)(telephoneNumber=*oar*))", 1),
        ("(|(cn=*4930*)(telephoneNumber=*4930*))", 1),
        ("(&(objectClass=commObject)(SIPIdentitySIPURI=*))", 2),
        ("(&(objectClass=h323Identity)(|(h323IdentityH323-ID=ab*)(h323IdentitydialedDigits=49*)))", 2),
        ("(&(|(objectClass=user)(objectClass=person))(!(telephoneNumber=*))(displayName=h*))", 1),
        ("(ou=berlin)", 3),
        ("(cn=Huddle, small)", 1),
        ("(sn>=h)", 2),
        ("(cn~=reception)", 1),
        ("(cn=nobody)", 0),
    ] {
        assert_eq!(daemon.count(filter), wanted, "{filter}");
    }
    let said = daemon.search(&["(cn=board room)", "*", "+"]);
    for line in [
        "telephoneNumber: +49301234",
        "SIPIdentitySIPURI: sip:board@example.com",
        "h323Identityh323-ID: board",
        "h323IdentitydialedDigits: 49301234",
        "commURI: ldap:///cn=Board%20Room,ou=Berlin,dc=meet,dc=example,dc=com",
        "objectClass: commObject",
        "structuralObjectClass: inetOrgPerson",
    ] {
        assert!(said.out.lines().any(|own| own == line), "{line} is missing in {}", said.out);
    }
}

fn thousand() -> String {
    let one = |n: usize| {
        let uri = format!("sip:room{n}@example.com");
        entry(
            Some(&format!("Floor {}", n / 100)),
            &format!("Room {n:04}"),
            &[&uri, &format!("{}", 7_000 + n)],
            "",
        )
    };
    (0..1_000).map(one).collect()
}

/// K6
#[test]
fn k6_a_thousand_entries_are_found_in_one_piece_and_in_pages() {
    let daemon = Daemon::start("", &thousand());
    assert_eq!(daemon.count("(objectClass=person)"), 1_000);
    assert_eq!(daemon.count("(objectClass=*)"), 1_011);
    assert_eq!(daemon.count("(&(ou=floor 3)(cn=room 03*))"), 100);
    for size in ["pr=100/noprompt", "!pr=333/noprompt", "pr=5000/noprompt"] {
        let said = daemon.search(&["-E", size, "(objectClass=person)", "cn"]);
        assert_eq!((said.code, said.entries().len()), (0, 1_000), "{size}");
    }
}

#[test]
fn limits_that_a_client_sets_are_kept() {
    let daemon = Daemon::start("", &thousand());
    let said = daemon.search(&["-z", "10", "(cn=*)", "cn"]);
    assert_eq!((said.code, said.entries().len()), (4, 10));
    let said = daemon.search(&["-z", "250", "-E", "pr=100/noprompt", "(cn=*)", "cn"]);
    assert_eq!((said.code, said.entries().len()), (4, 250));
    let said = daemon.search(&["-z", "1000", "-l", "20", "(cn=*)", "cn"]);
    assert_eq!((said.code, said.entries().len()), (0, 1_000));
    let said = daemon.search(&["-A", "(cn=room 0001)", "cn"]);
    assert!(said.out.contains("cn:\n") && !said.out.contains("cn: "), "types only: {}", said.out);
}

#[test]
fn what_is_not_done_here_is_refused_by_its_own_code() {
    let daemon = Daemon::start("", &rooms());
    assert_eq!(daemon.search(&["-E", "!sss=cn", "(cn=*)"]).code, 12, "sorting, critical");
    assert_eq!(daemon.search(&["-E", "sss=cn", "(cn=*)"]).code, 0, "sorting, if possible");
    assert_eq!(daemon.search(&["-b", "ou=nowhere,dc=meet,dc=example,dc=com", "(cn=*)"]).code, 32);
    assert_eq!(daemon.search(&["-b", "nonsense", "(cn=*)"]).code, 34);
    let run = |name: &str, arguments: &[&str]| {
        tool(name, &daemon.url()).args(arguments).output().expect("a tool").status.code()
    };
    assert_eq!(run("ldapdelete", &["cn=Abbey,ou=Rome,dc=meet,dc=example,dc=com"]), Some(53));
    assert_eq!(run("ldapmodrdn", &["cn=Abbey,ou=Rome,dc=meet,dc=example,dc=com", "cn=Abbot"]), Some(53));
    assert_eq!(run("ldapcompare", &["cn=Abbey,ou=Rome,dc=meet,dc=example,dc=com", "cn:ABBEY"]), Some(6));
    assert_eq!(run("ldapcompare", &["cn=Abbey,ou=Rome,dc=meet,dc=example,dc=com", "cn:abbot"]), Some(5));
    assert_eq!(daemon.count("(objectClass=person)"), 4);
}

#[test]
fn who_guesses_the_password_is_not_heard_until_it_is_forgiven() {
    let daemon = Daemon::start(&format!("{LOGIN}[defence]\nallow = []\noffences = 5\n"), &rooms());
    let login = |password: &str| daemon.search(&["-D", USER, "-w", password, "(cn=*)"]).code;
    for guess in 0..5 {
        assert_eq!(login(&format!("guess {guess}")), 49);
    }
    assert!((254..=255).contains(&login(PASSWORD)), "the tool's own codes for a server that isn't there");
    let status = daemon.ask("{\"get\":\"status\"}");
    assert_eq!(status["blocked"][0]["source"], "127.0.0.1 (connections)");
    assert_eq!(status["blocked"][0]["why"], "wrong logins");
    assert!(status["counters"]["phonebook_dropped"].as_u64() > Some(0));
    assert_eq!(daemon.ask("{\"do\":{\"forgive\":\"127.0.0.1\"}}")["done"], "forgive");
    assert_eq!(login(PASSWORD), 0);
}

#[test]
fn a_message_too_long_is_refused_at_its_first_octets_and_others_are_served_on() {
    let daemon = Daemon::start("", &rooms());
    let mut stream = TcpStream::connect(daemon.address()).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out");
    stream.write_all(&[0x30, 0x84, 0x10, 0, 0, 0]).expect("written");
    let mut said = Vec::new();
    stream.read_to_end(&mut said).expect("closed by the server");
    assert!(String::from_utf8_lossy(&said).contains("1.3.6.1.4.1.1466.20036"), "a notice of disconnection");
    assert_eq!(daemon.count("(objectClass=person)"), 4);
    assert_eq!(daemon.ask("{\"get\":\"status\"}")["counters"]["phonebook_malformed"], 1);
}
