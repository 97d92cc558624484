//! Alarms on their way to whoever is told of them: real stations and servers at the other end.

mod receivers;

use base::Seed;
use domain::alarm::{AlarmId, AlarmKind, Change, Fact, Health, Notice};
use domain::config::Config;
use gatewayd::alarms::{self, AlarmsHandle, NotAcknowledged, Places};
use gatewayd::notify::{FAILURES, SIGNATURE, WAITING};
use hmac::{Hmac, KeyInit, Mac};
use receivers::{Authority, HookServer, PATIENCE, Post, Snmptrapd, SyslogServer};
use sha2::Sha256;
use std::future::Future;
use std::net::UdpSocket;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::sync::broadcast::Receiver;

const SECRET: &str = "sixteen bytes or more";

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(test);
}

/// The alarms of a box with these receivers, and a state folder.
struct Rig {
    alarms: AlarmsHandle,
    news: Receiver<Arc<Notice>>,
    folder: TempDir,
}

impl Rig {
    fn new(receivers: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let alarms = start(receivers, folder.path());
        let news = alarms.subscribe();
        Self { alarms, news, folder }
    }

    fn tell(&self, fact: Fact) {
        self.alarms.teller().tell(fact);
    }

    /// Waits for the next notice of this kind.
    async fn heard(&mut self, kind: AlarmKind, change: Change) -> Arc<Notice> {
        let found = async {
            loop {
                let notice = self.news.recv().await.expect("a notice");
                if (notice.alarm.kind, notice.change) == (kind, change) {
                    return notice;
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.expect("a notice in time")
    }
}

fn config(receivers: &str) -> Arc<Config> {
    let text = format!("[gateway]\ndomains = [\"meet.example.com\"]\n{receivers}");
    Arc::new(Config::parse("test", &text).unwrap_or_else(|problems| panic!("{problems}")))
}

fn start(receivers: &str, folder: &Path) -> AlarmsHandle {
    // What this machine shows of itself is of no interest here.
    let place = |name: &str| folder.join(name);
    let state = Some(folder.to_owned());
    let places =
        Places { state, disk: None, sys: place("sys"), run: place("run"), reasons: place("reasons.jsonl") };
    alarms::start(&config(receivers), places, Seed([7; 32])).expect("alarms")
}

fn bug(number: usize) -> Fact {
    Fact::InternalError { part: format!("part {number}"), why: "a deliberate bug".into() }
}

fn hook(server: &HookServer, authority: &Authority) -> String {
    format!(
        "[[notify]]\nname = \"ops\"\nkind = \"webhook\"\nurl = \"https://127.0.0.1:{}/alarms\"\nsecret = \"{SECRET}\"\nca_file = \"{}\"\n",
        server.port,
        authority.file()
    )
}

fn is_signed(post: &Post) -> bool {
    let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any key").chain_update(&post.body);
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    post.header(SIGNATURE) == Some(&format!("sha256={hex}"))
}

/// P17
#[test]
fn p17_an_alarm_about_what_was_taken_out_of_the_configuration_ends() {
    run(async {
        let folder = tempfile::tempdir().expect("a folder");
        let connector =
            "[[connectors]]\nname = \"meet\"\nkind = \"interop\"\nurl = \"https://127.0.0.1:1\"\n";
        let alarms = start(connector, folder.path());
        let mut notices = alarms.subscribe();
        let health = Health::Bad { why: "nobody answers".into() };
        alarms.teller().tell(Fact::MeetingService { connector: "meet".into(), health });
        assert_eq!(notices.recv().await.expect("a notice").change, Change::Raised);
        alarms.configure(config("")).await;
        assert_eq!(notices.recv().await.expect("a notice").change, Change::Cleared);
        assert!(alarms.list().is_empty(), "{:?}", alarms.list());
    });
}

/// P17
#[test]
fn p17_a_station_hears_of_an_alarm_by_snmp_v2c_and_another_by_v3_signed_and_encrypted() {
    run(async {
        let old = Snmptrapd::start("authCommunity log public");
        // A station must know the user with the box's engine, which the box logs at its start.
        let engine = alarms::engine_id();
        let new = Snmptrapd::start(&format!(
            "createUser -e {engine} gantry SHA-256 auth-password AES privacy-password\nauthUser log gantry priv"
        ));
        let rig = Rig::new(&format!(
            "[[notify]]\nname = \"old\"\nkind = \"snmp\"\naddress = \"{}\"\nversion = \"v2c\"\ncommunity = \"public\"\n\
             [[notify]]\nname = \"new\"\nkind = \"snmp\"\naddress = \"{}\"\nuser = \"gantry\"\n\
             auth_password = \"auth-password\"\nprivacy_password = \"privacy-password\"\n",
            old.at, new.at
        ));
        rig.tell(bug(1));
        for station in [&old, &new] {
            let line = station.notification();
            for part in ["gantryAlarmRaised", "STRING: internal_error", "STRING: part 1", "INTEGER: major(4)"]
            {
                assert!(line.contains(part), "{part} is missing in {line}");
            }
        }
        let id = rig.alarms.list()[0].id;
        rig.alarms.acknowledge(id, "ann").await.expect("it stands");
        assert!(new.notification().contains("gantryAlarmAcknowledged"));
        assert!(new.notification().contains("gantryAlarmCleared"));
    });
}

/// P17
#[test]
fn p17_a_syslog_server_under_tls_hears_of_alarms_and_of_the_next_ones_after_it_hung_up() {
    run(async {
        let authority = Authority::new();
        let mut server = SyslogServer::start(&authority, 2).await;
        let rig = Rig::new(&format!(
            "[[notify]]\nname = \"log\"\nkind = \"syslog\"\ntransport = \"tls\"\naddress = \"127.0.0.1:{}\"\nca_file = \"{}\"\n",
            server.port,
            authority.file()
        ));
        for number in 0..5 {
            rig.tell(bug(number));
            let message = server.message().await;
            let wanted = format!("alarm_raised [alarm@32473 seq=\"{0}\" id=\"{0}\"", number + 1);
            assert!(message.starts_with("<27>1 20") && message.contains(&wanted), "{message}");
            assert!(
                message.ends_with(&format!("internal error: part {number}: a deliberate bug")),
                "{message}"
            );
            if number % 2 == 1 {
                // What is written while a server hangs up is lost, and nobody can know.
                server.has_hung_up().await;
            }
        }
    });
}

#[test]
fn a_syslog_server_hears_of_alarms_by_datagrams_from_the_level_that_it_wants() {
    run(async {
        let server = UdpSocket::bind("127.0.0.1:0").expect("a port");
        server.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        let rig = Rig::new(&format!(
            "[[notify]]\nname = \"log\"\nkind = \"syslog\"\naddress = \"{}\"\nleast = \"major\"\n",
            server.local_addr().expect("an address")
        ));
        rig.tell(Fact::ScannerBlocked { source: "192.0.2.1".into(), why: "a scanner".into() });
        rig.tell(bug(1));
        let mut message = [0; 2_048];
        let count = server.recv(&mut message).expect("a message");
        let message = String::from_utf8_lossy(&message[..count]).into_owned();
        assert!(message.contains("internal_error") && message.contains(" seq=\"2\""), "{message}");
    });
}

/// P17
#[test]
fn p17_a_webhook_that_fails_twice_gets_the_same_signed_post_until_it_takes_it() {
    run(async {
        let authority = Authority::new();
        let mut server = HookServer::start(&authority, &[500, 503, 204]).await;
        let rig = Rig::new(&hook(&server, &authority));
        rig.tell(bug(1));
        rig.tell(bug(2));
        let posts = [server.post().await, server.post().await, server.post().await];
        for post in &posts {
            assert!(post.head.starts_with("POST /alarms HTTP/1.1\r\n") && is_signed(post), "{post:?}");
            assert_eq!(post.body, posts[0].body);
        }
        let said = posts[0].json();
        assert_eq!((&said["seq"], &said["event"]), (&1.into(), &"alarm_raised".into()));
        assert_eq!((&said["data"]["instance"], &said["data"]["level"]), (&"part 1".into(), &"major".into()));
        assert!(said["node"].as_str().is_some_and(|node| !node.is_empty()), "{said}");
        assert!(said["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{said}");
        assert_eq!(server.post().await.json()["seq"], 2);
        assert!(!rig.alarms.list().iter().any(|alarm| alarm.kind == AlarmKind::DeliveryFailing));
    });
}

/// P17
#[test]
fn p17_a_receiver_that_goes_on_failing_is_an_alarm_once_until_it_takes_what_waited() {
    run(async {
        let authority = Authority::new();
        let failing = vec![500; FAILURES as usize];
        let mut server = HookServer::start(&authority, &[failing, vec![200]].concat()).await;
        let mut rig = Rig::new(&hook(&server, &authority));
        rig.tell(bug(1));
        let raised = rig.heard(AlarmKind::DeliveryFailing, Change::Raised).await;
        assert_eq!((&*raised.alarm.instance, &*raised.alarm.details), ("ops", "it answers 500"));
        let cleared = rig.heard(AlarmKind::DeliveryFailing, Change::Cleared).await;
        assert_eq!(cleared.alarm.id, raised.alarm.id);
        for _ in 0..FAILURES {
            assert_eq!(server.post().await.json()["seq"], 1);
        }
        // What it had missed comes in order, its own alarm included.
        for seq in 1..=3 {
            assert_eq!(server.post().await.json()["seq"], seq);
        }
    });
}

/// P17
#[test]
fn p17_a_receiver_whose_address_is_mended_gets_what_waited_and_one_that_is_taken_out_hears_no_more() {
    run(async {
        let authority = Authority::new();
        let mut server = HookServer::start(&authority, &[200]).await;
        let there = hook(&server, &authority);
        let mut rig = Rig::new(&there.replace(&format!("127.0.0.1:{}", server.port), "127.0.0.1:1"));
        rig.tell(bug(1));
        rig.heard(AlarmKind::InternalError, Change::Raised).await;
        rig.alarms.configure(config(&there)).await;
        assert_eq!(server.post().await.json()["data"]["instance"], "part 1");
        // The same again changes nothing.
        rig.alarms.configure(config(&there)).await;
        rig.tell(bug(2));
        assert_eq!(server.post().await.json()["data"]["instance"], "part 2");
        rig.alarms.configure(config("")).await;
        assert_eq!(rig.alarms.receivers().await, []);
        rig.tell(bug(3));
        while rig.heard(AlarmKind::InternalError, Change::Raised).await.alarm.instance != "part 3" {}
        rig.alarms.configure(config(&there)).await;
        rig.tell(bug(4));
        assert_eq!(server.post().await.json()["data"]["instance"], "part 4");
    });
}

#[test]
fn a_post_that_is_refused_for_good_holds_up_no_other() {
    run(async {
        let authority = Authority::new();
        let mut server = HookServer::start(&authority, &[422, 200]).await;
        let rig = Rig::new(&hook(&server, &authority));
        rig.tell(bug(1));
        rig.tell(bug(2));
        assert_eq!(server.post().await.json()["seq"], 1);
        assert_eq!(server.post().await.json()["seq"], 2);
        let receivers = rig.alarms.receivers().await;
        assert_eq!((&*receivers[0].name, receivers[0].dropped), ("ops", 1));
    });
}

#[test]
fn a_receiver_that_is_not_there_holds_up_no_other_and_what_waits_for_it_is_bounded() {
    run(async {
        let authority = Authority::new();
        let mut server = HookServer::start(&authority, &[200]).await;
        let gone = "[[notify]]\nname = \"gone\"\nkind = \"webhook\"\nurl = \"https://127.0.0.1:1\"\nsecret = \"sixteen bytes or more\"\n";
        let rig = Rig::new(&format!("{gone}{}", hook(&server, &authority)));
        for number in 0..WAITING + 10 {
            let health = Health::Bad { why: "refused".into() };
            rig.tell(Fact::MeetingService { connector: format!("connector {number}"), health });
            server.post().await;
        }
        let receivers = rig.alarms.receivers().await;
        let gone = receivers.iter().find(|receiver| receiver.name == "gone").expect("it is shown");
        assert!(gone.waiting == WAITING && gone.dropped >= 10, "{gone:?}");
    });
}

/// P17
#[test]
fn p17_after_a_restart_alarms_and_their_history_are_there_and_numbers_go_on() {
    run(async {
        let mut rig = Rig::new("");
        rig.tell(bug(1));
        rig.tell(bug(2));
        rig.heard(AlarmKind::InternalError, Change::Raised).await;
        rig.heard(AlarmKind::InternalError, Change::Raised).await;
        rig.alarms.acknowledge(AlarmId(1), "ann").await.expect("it stands");
        assert_eq!(
            rig.alarms.acknowledge(AlarmId(1), "ann").await,
            Err(NotAcknowledged::Unknown(AlarmId(1)))
        );
        let (before, history) = (rig.alarms.list(), rig.alarms.history());
        let Rig { alarms, folder, .. } = rig;
        drop(alarms);

        let alarms = start("", folder.path());
        let mut news = alarms.subscribe();
        alarms.teller().tell(bug(3));
        let notice = news.recv().await.expect("a notice");
        assert_eq!(notice.seq, 5, "1 and 2 raised, 1 acknowledged and cleared");
        assert_eq!((alarms.history(), &alarms.list()[..1]), (history, &before[..]));
    });
}
