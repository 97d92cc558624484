//! What the machine lets in and what not, and the machine against its definition.

use super::*;
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn defence() -> Defence {
    Defence::new(Policy::default())
}

/// Notes `count` wrong aliases of `remote`, a second apart; the time after them.
fn guess(defence: &mut Defence, mut now: Instant, remote: &str, count: usize) -> (Instant, Option<Source>) {
    let mut blocked = None;
    for _ in 0..count {
        blocked = blocked.or(defence.note(now, at(remote), Path::Datagrams, Offence::WrongAlias));
        now += SECOND;
    }
    (now, blocked)
}

#[test]
fn who_guesses_ten_aliases_within_ten_minutes_is_not_heard_for_ten_minutes() {
    let (mut defence, start) = (defence(), Instant::now());
    let (now, blocked) = guess(&mut defence, start, "192.0.2.1:5060", 9);
    assert!(blocked.is_none() && defence.hears(now, at("192.0.2.1:5060"), Path::Datagrams));
    let (now, blocked) = guess(&mut defence, now, "192.0.2.1:5061", 1);
    assert_eq!(blocked.unwrap().to_string(), "192.0.2.1 (datagrams)");
    assert!(!defence.hears(now, at("192.0.2.1:9"), Path::Datagrams), "from whatever port");
    assert!(defence.hears(now, at("192.0.2.2:5060"), Path::Datagrams), "its neighbour");
    let listed = defence.blocked(now);
    assert_eq!((listed.len(), listed[0].dropped, listed[0].remaining), (1, 1, 10 * MINUTE - SECOND));
    // Trying on doesn't make it longer.
    assert!(!defence.hears(now + 9 * MINUTE, at("192.0.2.1:9"), Path::Datagrams));
    assert!(defence.hears(now + 10 * MINUTE, at("192.0.2.1:9"), Path::Datagrams));
    assert_eq!((defence.blocked(now + 10 * MINUTE), defence.dropped()), (vec![], 2));
}

#[test]
fn a_room_that_mistypes_now_and_then_is_never_blocked() {
    let (mut defence, mut now) = (defence(), Instant::now());
    for _ in 0..200 {
        let blocked = defence.note(now, at("192.0.2.1:5060"), Path::Connection, Offence::WrongAlias);
        assert_eq!(blocked, None);
        now += 70 * SECOND;
    }
}

#[test]
fn a_scanner_is_blocked_at_its_first_message() {
    let (mut defence, now) = (defence(), Instant::now());
    let blocked = defence.note(now, at("192.0.2.1:5060"), Path::Datagrams, Offence::Scanner);
    assert!(blocked.is_some() && !defence.hears(now, at("192.0.2.1:5060"), Path::Datagrams));
}

#[test]
fn forged_datagrams_block_no_connection_and_no_standing_call() {
    let (mut defence, now) = (defence(), Instant::now());
    defence.call_began(at("192.0.2.1:5060"));
    let (now, blocked) = guess(&mut defence, now, "192.0.2.1:7", 10);
    assert!(blocked.is_some());
    assert!(defence.hears(now, at("192.0.2.1:50000"), Path::Connection));
    assert!(defence.hears(now, at("192.0.2.1:5060"), Path::Datagrams), "it has a call");
    assert!(!defence.hears(now, at("192.0.2.1:7"), Path::Datagrams));
    defence.call_ended(at("192.0.2.1:5060"));
    assert!(!defence.hears(now, at("192.0.2.1:5060"), Path::Datagrams), "its call is over");
}

#[test]
fn who_guesses_by_connections_is_not_heard_by_datagrams_either() {
    let (mut defence, now) = (defence(), Instant::now());
    for _ in 0..10 {
        defence.note(now, at("192.0.2.1:5060"), Path::Connection, Offence::WrongCredentials);
    }
    assert!(!defence.hears(now, at("192.0.2.1:5060"), Path::Connection));
    assert!(!defence.hears(now, at("192.0.2.1:5060"), Path::Datagrams));
}

#[test]
fn networks_that_are_allowed_are_never_blocked_and_a_policy_that_is_off_blocks_nobody() {
    let now = Instant::now();
    let allow = vec![Network::parse("10.0.0.0/8").unwrap()];
    let mut some = Defence::new(Policy { allow, ..Policy::default() });
    assert_eq!(guess(&mut some, now, "10.1.2.3:5060", 50).1, None);
    assert_eq!(guess(&mut some, now, "[::ffff:10.1.2.3]:5060", 50).1, None);
    assert!(guess(&mut some, now, "127.0.0.1:5060", 50).1.is_some());
    assert_eq!(guess(&mut defence(), now, "127.0.0.1:5060", 50).1, None, "the box itself, as delivered");
    let mut off = Defence::new(Policy { enabled: false, ..Policy::default() });
    assert_eq!(off.note(now, at("192.0.2.1:1"), Path::Datagrams, Offence::Scanner), None);
}

#[test]
fn an_ipv6_customer_is_one_source_however_many_addresses_it_uses() {
    let (mut defence, now) = (defence(), Instant::now());
    for host in 1..=10 {
        let remote = at(&format!("[2001:db8:0:1::{host}]:5060"));
        defence.note(now, remote, Path::Datagrams, Offence::WrongCredentials);
    }
    assert!(!defence.hears(now, at("[2001:db8:0:1:ffff::9]:5060"), Path::Datagrams));
    assert!(defence.hears(now, at("[2001:db8:0:2::1]:5060"), Path::Datagrams));
    assert_eq!(defence.blocked(now)[0].source.to_string(), "2001:db8:0:1::/64 (datagrams)");
}

#[test]
fn an_operator_forgives() {
    let (mut defence, now) = (defence(), Instant::now());
    let (now, _) = guess(&mut defence, now, "192.0.2.1:5060", 10);
    assert!(defence.forgive("192.0.2.1".parse().unwrap()));
    assert!(defence.hears(now, at("192.0.2.1:5060"), Path::Datagrams));
    assert!(!defence.forgive("192.0.2.1".parse().unwrap()), "nothing is held against it any more");
}

#[test]
fn a_flood_of_sources_takes_no_more_memory_than_the_bound() {
    let (mut defence, mut now) = (defence(), Instant::now());
    for number in 0..u32::try_from(MAX_SOURCES + 100).unwrap() {
        let remote = SocketAddr::new(IpAddr::V4((0x0b00_0000 + number).into()), 5060);
        defence.note(now, remote, Path::Datagrams, Offence::WrongAlias);
        now += Duration::from_millis(1);
    }
    assert_eq!((defence.records.len(), defence.quiet.len()), (MAX_SOURCES, MAX_SOURCES));
}

proptest! {
    /// The machine against its definition: somebody is heard unless their last offences say otherwise.
    #[test]
    fn a_source_is_blocked_exactly_when_its_definition_says_so(
        steps in proptest::collection::vec((0..3u8, 0..200u64, any::<bool>()), 1..120),
    ) {
        let (mut defence, start) = (defence(), Instant::now());
        let policy = Policy::default();
        let mut now = start;
        // For each source: its offences that count, and until when it is blocked.
        let mut model: HashMap<u8, (Vec<Instant>, Option<Instant>)> = HashMap::new();
        for (who, seconds, offends) in steps {
            now += Duration::from_secs(seconds);
            let remote = SocketAddr::new(IpAddr::V4([192, 0, 2, who].into()), 5060);
            let (offences, blocked) = model.entry(who).or_default();
            if blocked.is_some_and(|until| now >= until) {
                (*offences, *blocked) = (Vec::new(), None);
            }
            let heard = defence.hears(now, remote, Path::Datagrams);
            prop_assert_eq!(heard, blocked.is_none());
            if offends && heard {
                offences.retain(|at| now - *at < policy.window);
                offences.push(now);
                if offences.len() >= usize::from(policy.offences) {
                    *blocked = Some(now + policy.block);
                }
                let newly = defence.note(now, remote, Path::Datagrams, Offence::WrongAlias).is_some();
                prop_assert_eq!(newly, blocked.is_some());
            }
            let counted = model.values().filter(|(_, blocked)| blocked.is_some_and(|until| until > now)).count();
            prop_assert_eq!(defence.blocked(now).len(), counted);
        }
    }
}
