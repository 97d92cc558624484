//! Connections without sockets, in time that stands still unless everybody waits.

use super::*;
use crate::phonebook::Guard;
use domain::config::Config;
use domain::defence::{Defence, Policy};
use ldap::Tree;
use ldap::ber::{BOOLEAN, ENUMERATED, INTEGER, OCTETS, Reader, SEQUENCE, Writer};
use std::future::Future;
use std::sync::Arc;
use tokio::io::DuplexStream;
use tokio::sync::watch;
use tokio::task::{JoinHandle, LocalSet};

const REMOTE: &str = "192.0.2.7:40000";

struct Rig {
    server: Server,
    trees: watch::Sender<Arc<Tree>>,
}

fn tree(entries: usize) -> Arc<Tree> {
    let contact = |n| ldap::Contact { name: format!("Room {n}"), ..ldap::Contact::default() };
    Arc::new(Tree::new("dc=example", "1", (0..entries).map(contact).collect()).expect("a tree"))
}

impl Rig {
    fn new(entries: usize) -> Self {
        let text = "[gateway]\ndomains = [\"meet.example.com\"]\n[phonebook]\nuser = \"u\"\npassword = \"p\"\nanonymous = true\n";
        let settings = Config::parse("gantry.toml", text).expect("a configuration").phonebook;
        let (trees, seen) = watch::channel(tree(entries));
        let guard = Guard::new(Defence::new(Policy { offences: 5, ..Policy::default() }));
        Self { server: Server::new(&settings, seen, guard), trees }
    }

    /// A peer whose line holds so many octets.
    fn peer(&self, line: usize) -> (DuplexStream, JoinHandle<Result<(), End>>) {
        let (peer, own) = tokio::io::duplex(line);
        let server = self.server.clone();
        let remote = REMOTE.parse().expect("an address");
        (peer, tokio::task::spawn_local(async move { serve(&server, own, remote).await }))
    }
}

fn run(test: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(true).build().expect("runtime");
    LocalSet::new().block_on(&runtime, test);
}

fn message(id: i32, operation: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.group(SEQUENCE, |w| {
        w.integer(INTEGER, id);
        operation(w);
    });
    writer.into_bytes()
}

fn bind(id: i32, password: &str) -> Vec<u8> {
    message(id, |w| {
        w.group(0x60, |w| {
            w.integer(INTEGER, 3);
            w.octets(OCTETS, b"u");
            w.octets(0x80, password.as_bytes());
        });
    })
}

fn search(id: i32) -> Vec<u8> {
    message(id, |w| {
        w.group(0x63, |w| {
            w.octets(OCTETS, b"dc=example");
            w.integer(ENUMERATED, 2);
            w.integer(ENUMERATED, 0);
            w.integer(INTEGER, 0);
            w.integer(INTEGER, 0);
            w.boolean(BOOLEAN, false);
            w.octets(0x87, b"cn");
            w.group(SEQUENCE, |_| {});
        });
    })
}

/// The next message's number and the tag of what it is.
async fn next(peer: &mut DuplexStream) -> Option<(i32, u8)> {
    let mut octets = Vec::new();
    let length = loop {
        octets.push(peer.read_u8().await.ok()?);
        if let Ok(Some(header)) = ldap::ber::header(&octets) {
            break header.contents;
        }
    };
    let mut contents = vec![0; length];
    peer.read_exact(&mut contents).await.ok()?;
    let mut reader = Reader::new(&contents);
    let id = reader.integer(INTEGER).expect("a number");
    Some((id, reader.peek().expect("a response")))
}

/// How long the connection lasts from now on.
async fn lasts(served: JoinHandle<Result<(), End>>) -> (Duration, Result<(), End>) {
    let began = Instant::now();
    let ended = served.await.expect("no bug");
    (began.elapsed(), ended)
}

#[test]
fn who_says_nothing_is_hung_up_on_after_thirty_seconds() {
    run(async {
        let (_peer, served) = Rig::new(1).peer(4_096);
        let (time, ended) = lasts(served).await;
        assert!(matches!(ended, Err(End::Silent)));
        assert_eq!(time.as_secs(), MESSAGE.as_secs());
    });
}

#[test]
fn what_comes_piecemeal_puts_the_end_off_by_nothing() {
    run(async {
        let (mut peer, served) = Rig::new(1).peer(4_096);
        let slow = tokio::task::spawn_local(async move {
            for octet in bind(1, "p").into_iter().take(20) {
                tokio::time::sleep(Duration::from_secs(3)).await;
                if peer.write_u8(octet).await.is_err() {
                    return;
                }
            }
        });
        let (time, ended) = lasts(served).await;
        assert!(matches!(ended, Err(End::Silent)));
        assert!(time <= MESSAGE + Duration::from_secs(3), "{time:?}");
        slow.abort();
    });
}

#[test]
fn who_has_spoken_may_be_silent_for_five_minutes() {
    run(async {
        let (mut peer, served) = Rig::new(1).peer(4_096);
        peer.write_all(&bind(1, "p")).await.expect("written");
        assert_eq!(next(&mut peer).await, Some((1, 0x61)));
        let (time, ended) = lasts(served).await;
        assert!(matches!(ended, Err(End::Silent)));
        assert_eq!(time.as_secs(), IDLE.as_secs());
    });
}

#[test]
fn who_does_not_read_is_cut_off_after_ten_seconds() {
    run(async {
        let (mut peer, served) = Rig::new(1_000).peer(1_024);
        peer.write_all(&search(1)).await.expect("written");
        let (time, ended) = lasts(served).await;
        assert!(matches!(ended, Err(End::SlowReader)));
        assert!(time <= 2 * WRITE, "{time:?}");
    });
}

#[test]
fn an_abandon_is_heard_while_a_search_goes_on() {
    run(async {
        let (mut peer, served) = Rig::new(10_000).peer(64 * 1024);
        peer.write_all(&search(1)).await.expect("written");
        assert_eq!(next(&mut peer).await, Some((1, 0x64)));
        let abandon = message(2, |w| w.octets(0x50, &[1]));
        peer.write_all(&[abandon, bind(3, "p")].concat()).await.expect("written");
        let mut entries = 1;
        while next(&mut peer).await == Some((1, 0x64)) {
            entries += 1;
        }
        assert!(entries < 5_000, "{entries} came");
        drop(peer);
        assert!(matches!(served.await.expect("no bug"), Ok(()) | Err(End::Broken(_))));
    });
}

#[test]
fn who_guesses_passwords_is_not_heard_any_more() {
    run(async {
        let rig = Rig::new(1);
        let (mut peer, served) = rig.peer(4_096);
        for guess in 1..=5 {
            peer.write_all(&bind(guess, "wrong")).await.expect("written");
            assert_eq!(next(&mut peer).await, Some((guess, 0x61)));
        }
        peer.write_all(&bind(6, "p")).await.expect("written");
        assert_eq!(next(&mut peer).await, None);
        assert!(matches!(lasts(served).await.1, Err(End::Blocked)));
        let (blocked, _) = rig.server.guard.blocked(std::time::Instant::now());
        assert_eq!(blocked.len(), 1);
        assert_eq!(rig.server.guard.counts().wrong_logins, 5);
    });
}

#[test]
fn another_directory_is_shown_on_connections_that_stand() {
    run(async {
        let rig = Rig::new(1);
        let (mut peer, _served) = rig.peer(4_096);
        let mut count = async |id| {
            peer.write_all(&search(id)).await.expect("written");
            let mut entries = 0;
            while next(&mut peer).await == Some((id, 0x64)) {
                entries += 1;
            }
            entries
        };
        assert_eq!(count(1).await, 1);
        rig.trees.send_replace(tree(3));
        assert_eq!(count(2).await, 3);
    });
}
