//! A connection: who may ask, what is answered, and what is no LDAP.

use crate::rig::*;
use base::Machine;
use ldap::ber::{ENUMERATED, INTEGER, OCTETS, SEQUENCE, Writer};
use ldap::{Anonymous, Event, Input, MAX_FRAME, MAX_WAITING};
use proptest::prelude::*;
use std::sync::Arc;

const USER: &str = "cn=rooms,dc=meet,dc=example,dc=com";

fn strict() -> Client {
    Client::of(Anonymous::Refused, tree(rooms()))
}

#[test]
fn the_user_logs_in_by_its_name_or_its_distinguished_name() {
    for name in ["rooms", USER, "UID=Rooms, dc=meet,dc=example,dc=com"] {
        let mut client = strict();
        assert_eq!(client.bind(name, "open sesame"), 0, "{name}");
        assert_eq!(client.events, [Event::LoggedIn]);
        assert_eq!(client.search(&Search::default()).code, 0);
    }
}

#[test]
fn a_wrong_name_or_password_is_refused_told_and_logs_out() {
    let mut client = strict();
    assert_eq!(client.bind("rooms", "open sesame"), 0);
    for (name, password) in [("rooms", "open sesam"), ("room", "open sesame"), ("rooms", "open sesame!")] {
        assert_eq!(client.bind(name, password), 49);
        assert_eq!(client.events.last(), Some(&Event::WrongLogin));
        assert_eq!(client.search(&Search::default()).code, 8);
    }
    assert!(!client.server.is_logged_in());
}

#[test]
fn who_gives_no_name_is_let_in_only_where_that_is_allowed() {
    assert_eq!(Client::new().bind("", ""), 0);
    let mut client = strict();
    assert_eq!(client.bind("", ""), 48);
    assert_eq!(client.search(&Search::default()).code, 8);
    let root = Search { base: "", scope: 0, attributes: &["supportedLDAPVersion"], ..Search::default() };
    assert_eq!(client.search(&root).code, 0, "how to log in can be read");
    assert_eq!(client.found[0].attributes, [("supportedLDAPVersion".to_owned(), vec!["3".to_owned()])]);
}

#[test]
fn a_name_without_a_password_is_not_taken_for_a_login() {
    let mut client = Client::new();
    assert_eq!(client.bind("rooms", ""), 53);
    assert!(client.events.is_empty(), "nobody guessed");
}

#[test]
fn other_versions_and_other_ways_to_log_in_are_refused() {
    let mut client = Client::new();
    assert_eq!(client.ask(bind(2, "", "")).code, 2);
    let said = client.ask(|w| {
        w.group(0x60, |w| {
            w.integer(INTEGER, 3);
            w.octets(OCTETS, b"");
            w.group(0xa3, |w| w.octets(OCTETS, b"EXTERNAL"));
        });
    });
    assert_eq!((said.tag, said.code), (0x61, 7));
}

#[test]
fn who_am_i_tells_who() {
    let mut client = Client::new();
    let who = |client: &mut Client| {
        let said = client.ask(|w| w.group(0x77, |w| w.octets(0x80, b"1.3.6.1.4.1.4203.1.11.3")));
        (said.tag, said.code, said.extended)
    };
    assert_eq!(who(&mut client), (0x78, 0, Some(String::new())));
    client.bind("rooms", "open sesame");
    assert_eq!(who(&mut client), (0x78, 0, Some("u:rooms".to_owned())));
}

#[test]
fn starttls_is_refused_as_what_is_not_known() {
    let mut client = Client::new();
    let said = client.ask(|w| w.group(0x77, |w| w.octets(0x80, b"1.3.6.1.4.1.1466.20037")));
    assert_eq!((said.tag, said.code), (0x78, 2));
    assert_eq!(client.bind("", ""), 0, "the connection goes on");
}

#[test]
fn what_would_write_is_refused_by_its_own_response() {
    let mut client = Client::new();
    let entry = |tag| move |w: &mut Writer| w.group(tag, |w| w.octets(OCTETS, USER.as_bytes()));
    for (request, response) in [(0x66, 0x67), (0x68, 0x69), (0x6c, 0x6d)] {
        let said = client.ask(entry(request));
        assert_eq!((said.tag, said.code), (response, 53), "{request:x}");
    }
    let said = client.ask(|w| w.octets(0x4a, USER.as_bytes()));
    assert_eq!((said.tag, said.code), (0x6b, 53), "delete");
}

#[test]
fn a_comparison_is_true_false_or_told_why_not() {
    let mut client = Client::new();
    let mut compare = |name: &str, attribute: &str, value: &str| {
        let said = client.ask(|w| {
            w.group(0x6e, |w| {
                w.octets(OCTETS, name.as_bytes());
                w.group(SEQUENCE, |w| {
                    w.octets(OCTETS, attribute.as_bytes());
                    w.octets(OCTETS, value.as_bytes());
                });
            });
        });
        assert_eq!(said.tag, 0x6f);
        said.code
    };
    let huddle = "cn=huddle,ou=berlin,dc=meet,dc=example,dc=com";
    assert_eq!(compare(huddle, "CN", "HUDDLE"), 6);
    assert_eq!(compare(huddle, "cn", "board"), 5);
    assert_eq!(compare(huddle, "mail", "x"), 16);
    assert_eq!(compare(huddle, "sAMAccountName", "x"), 17);
    assert_eq!(compare("cn=nobody", "cn", "x"), 32);
    assert_eq!(compare("nonsense", "cn", "x"), 34);
}

#[test]
fn a_critical_control_that_is_not_known_is_refused_and_another_passed_over() {
    const SORT: &str = "1.2.840.113556.1.4.473";
    let mut client = Client::new();
    let mut with = |critical| {
        let id = client.number();
        let wanted = Search::default();
        client.send(&message(id, search(&wanted), |w| w.group(0xa0, control(SORT, critical, None))));
        client.answer(id).code
    };
    assert_eq!((with(true), with(false)), (12, 0));
    let id = client.number();
    let paged = page(10, b"");
    client.send(&message(id, bind(3, "", ""), |w| w.group(0xa0, control(PAGED, true, Some(&paged)))));
    assert_eq!(client.answer(id).code, 12, "a bind has no pages");
}

#[test]
fn a_request_that_can_not_be_read_is_answered_and_the_connection_goes_on() {
    let mut client = Client::new();
    let said = client.ask(|w| w.group(0x63, |w| w.octets(OCTETS, b"dc=com")));
    assert_eq!((said.tag, said.code), (0x65, 2));
    assert!(!client.closed);
    assert_eq!(client.search(&Search::default()).code, 0);
}

#[test]
fn what_is_no_ldap_is_told_and_closed() {
    let huge = [0x30, 0x83, 0x10, 0, 0];
    let unknown = message(1, |w| w.octets(0x7e, b""), |_| {});
    let zero = message(0, bind(3, "", ""), |_| {});
    for (what, octets) in [
        ("a web browser", b"GET / HTTP/1.1\r\n\r\n".as_slice()),
        ("a message of a megabyte, before it is kept", &huge),
        ("an operation of an unknown kind", &unknown),
        ("a number that stands for notices", &zero),
        ("a length without an end", &[0x30, 0x80]),
    ] {
        let mut client = Client::new();
        client.send(octets);
        assert!(client.closed, "{what}");
        let notice = client.said.last().expect("a notice");
        assert_eq!((notice.id, notice.code), (0, 2), "{what}");
        assert_eq!(notice.extended.as_deref(), Some("1.3.6.1.4.1.1466.20036"));
        client.step(Input::Received(b"more"));
        assert_eq!(client.wake, None, "nothing is heard any more");
    }
}

#[test]
fn octets_come_in_any_pieces() {
    let mut client = Client::new();
    let bytes = message(1, bind(3, "rooms", "open sesame"), |_| {});
    for octet in &bytes {
        assert!(client.said.is_empty());
        client.send(std::slice::from_ref(octet));
    }
    assert_eq!(client.answer(1).code, 0);
    assert!(!client.server.is_mid_message());
    let both = [bytes.as_slice(), &message(2, bind(3, "", ""), |_| {}), &bytes[..5]].concat();
    client.send(&both);
    assert_eq!(client.answer(2).code, 0);
    assert!(client.server.is_mid_message());
}

#[test]
fn requests_behind_a_search_wait_in_turn_and_too_many_are_refused() {
    let mut client = Client::new();
    let many: Vec<u8> = (1..).take(MAX_WAITING).flat_map(|id| message(id, bind(3, "", ""), |_| {})).collect();
    client.send(&many);
    let ids: Vec<_> = client.said.iter().map(|said| said.id).collect();
    assert_eq!(ids, Vec::from_iter((1..).take(MAX_WAITING)));
    client.send(&[many.as_slice(), &message(99, bind(3, "", ""), |_| {})].concat());
    assert!(client.closed);
    assert_eq!(client.said.last().map(|said| (said.id, said.code)), Some((0, 51)));
    let large = vec![b'x'; MAX_FRAME - 100];
    let large = message(1, |w| w.group(0x66, |w| w.octets(OCTETS, &large)), |_| {});
    let mut client = Client::new();
    client.send(&large.repeat(3));
    assert!(client.closed, "by their size as well");
}

#[test]
fn an_unbind_closes_without_a_word() {
    let mut client = Client::new();
    client.send(&message(1, |w| w.octets(0x42, b""), |_| {}));
    assert!(client.closed && client.said.is_empty());
}

#[test]
fn an_abandoned_search_says_no_more_and_what_waits_goes_on() {
    let many = (0..5_000).map(|n| contact("all", &format!("Room {n}"))).collect();
    let mut client = Client::of(Anonymous::Allowed, tree(many));
    let wanted = Search { attributes: &["*"], ..Search::default() };
    client.step(Input::Received(&message(1, search(&wanted), |_| {})));
    assert!(client.wake.is_some() && !client.found.is_empty());
    let then = [
        message(2, bind(3, "", ""), |_| {}),
        message(3, search(&wanted), |_| {}),
        message(4, |w| w.octets(0x50, &[1]), |_| {}),
        message(5, |w| w.octets(0x50, &[3]), |_| {}),
    ];
    client.send(&then.concat());
    assert_eq!(client.said.iter().map(|said| said.id).collect::<Vec<_>>(), [2]);
    assert!(client.found.len() < 5_000);
}

#[test]
fn a_new_directory_is_searched_from_then_on_and_an_old_search_keeps_its_own() {
    let many = (0..5_000).map(|n| contact("all", &format!("Room {n}"))).collect();
    let mut client = Client::of(Anonymous::Allowed, tree(many));
    client.step(Input::Received(&message(1, search(&Search::default()), |_| {})));
    client.step(Input::Directory(tree(rooms())));
    client.rest();
    assert_eq!(client.found.len(), 5_002);
    assert_eq!(client.names("(cn=*)").len(), 4);
}

/// What a stranger sends: requests with some octets changed.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let request = prop_oneof![
        any::<(String, String)>().prop_map(|(name, password)| message(1, bind(3, &name, &password), |_| {})),
        "[a-z]{0,3}".prop_map(|piece| {
            let filter = format!("(&(objectClass=*)(!(cn=*{piece}*))(sn>=b))");
            message(7, search(&Search { filter: &filter, ..Search::default() }), |w| {
                w.group(0xa0, control(PAGED, true, Some(&page(2, b""))));
            })
        }),
        Just(message(2, |w| w.group(0x6e, |w| w.integer(ENUMERATED, 1)), |_| {})),
    ];
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    (prop::collection::vec(request, 1..4), changes).prop_map(|(requests, changes)| {
        let mut octets = requests.concat();
        for (at, octet) in changes {
            let at = at.index(octets.len());
            octets[at] = octet;
        }
        octets
    })
}

proptest! {
    /// Nothing that comes upsets the machine; it gets done or closes, and the same octets in pieces are answered alike.
    #[test]
    fn no_octets_upset_a_connection(octets in hostile(), cut in any::<prop::sample::Index>()) {
        let directory = tree(rooms());
        let mut whole = Client::of(Anonymous::Allowed, Arc::clone(&directory));
        whole.send(&octets);
        let mut pieces = Client::of(Anonymous::Allowed, directory);
        let (first, last) = octets.split_at(cut.index(octets.len()));
        pieces.step(Input::Received(first));
        pieces.step(Input::Received(last));
        pieces.rest();
        let done = |client: &Client| client.closed || client.wake.is_none();
        prop_assert!(done(&whole) && done(&pieces));
        // In pieces more may be answered before the connection is closed.
        prop_assert!(whole.closed || (&whole.said, &whole.found) == (&pieces.said, &pieces.found));
    }

    #[test]
    fn no_noise_upsets_a_connection(octets: Vec<u8>) {
        let mut client = Client::new();
        let sent = [&[0x30][..], &octets].concat();
        client.server.step(client.now, Input::Received(&sent), |_| {});
    }
}
