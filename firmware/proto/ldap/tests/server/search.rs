//! Searches as room systems send them, their limits, and their pages.

use crate::rig::*;
use ldap::{Anonymous, Event, Input, ResultCode, SEARCH_TIME};
use proptest::prelude::*;
use std::time::Duration;

fn attributes(client: &mut Client, names: &[&str]) -> Vec<String> {
    let said = client.search(&Search { filter: "(cn=huddle)", attributes: names, ..Search::default() });
    assert_eq!(said.code, 0);
    client.found[0].attributes.iter().map(|(name, values)| format!("{name}={}", values.join("|"))).collect()
}

/// K6: the queries of Poly, Cisco, LifeSize and Avaya (Radvision) room systems.
#[test]
fn k6_the_queries_of_room_systems_find_what_they_look_for() {
    let mut client = Client::new();
    let able = ["cn=Abbey,ou=Rome", "cn=Able,ou=Rome"];
    let board = ["cn=Board Room,ou=Berlin"];
    for (filter, wanted) in [
        ("(&(objectClass=person)(sn=ab*))", &able[..]),
        ("(&(objectclass=inetOrgPerson)(|(cn=ab*)(sn=ab*)(displayName=ab*)))", &able),
        ("(&(objectClass=h323Identity)(cn=*b*e*))", &able),
        ("(|(cn=*oar*)(telephoneNumber=*oar*))", &board),
        ("(&(objectClass=commObject)(SIPIdentitySIPURI=sip:board.room@example.com))", &board),
        ("(h323IdentityH323-ID=BOARD.ROOM)", &board),
        ("(&(sn=b*)(|(h323IdentitydialedDigits=*)(SIPIdentitySIPURI=*))(!(ou=rome)))", &board),
        ("(&(|(objectClass=user)(objectClass=person))(displayName=board room))", &board),
        ("(ou=rome)", &["ou=Rome", able[0], able[1]]),
        ("(sn>=b)", &[board[0], "cn=Huddle,ou=Berlin"]),
        ("(sn<=abbey)", &["cn=Abbey,ou=Rome"]),
        ("(cn=nobody*)", &[]),
    ] {
        assert_eq!(client.names(filter), wanted, "{filter}");
    }
    assert_eq!(client.names("(telephoneNumber=*301234)").len(), 4);
    assert_eq!(client.names("(objectClass=*)").len(), 7);
}

#[test]
fn attributes_are_told_as_they_were_asked_for() {
    let mut client = Client::new();
    assert_eq!(attributes(&mut client, &["CN", "surname", "nothing"]), ["cn=Huddle", "sn=Huddle"]);
    assert_eq!(attributes(&mut client, &["1.1"]), [""; 0]);
    assert_eq!(attributes(&mut client, &["name"]), ["cn=Huddle", "sn=Huddle", "ou=Berlin"]);
    let names = |shown: Vec<String>| -> Vec<String> {
        shown.iter().filter_map(|one| one.split_once('=')).map(|(name, _)| name.to_owned()).collect()
    };
    let user = names(attributes(&mut client, &[]));
    assert_eq!(user, names(attributes(&mut client, &["*"])));
    assert!(user.contains(&"SIPIdentitySIPURI".to_owned()) && !user.contains(&"entryUUID".to_owned()));
    let operational = names(attributes(&mut client, &["+"]));
    assert_eq!(operational, ["structuralObjectClass", "hasSubordinates", "subschemaSubentry", "entryUUID"]);
    let both = names(attributes(&mut client, &["*", "entryUUID"]));
    assert_eq!(both.len(), user.len() + 1);
}

#[test]
fn types_only_leaves_the_values_out() {
    let mut client = Client::new();
    let wanted =
        Search { filter: "(cn=huddle)", types_only: true, attributes: &["cn", "ou"], ..Search::default() };
    client.search(&wanted);
    assert_eq!(client.found[0].attributes, [("cn".to_owned(), vec![]), ("ou".to_owned(), vec![])]);
}

#[test]
fn the_root_dse_and_the_subschema_tell_what_the_server_can() {
    let mut client = Client::new();
    let root = Search { base: "", scope: 0, attributes: &["+"], ..Search::default() };
    assert_eq!(client.search(&root).code, 0);
    let shown = format!("{:?}", client.found);
    for wanted in [BASE, "\"3\"", PAGED, "cn=Subschema", "1.3.6.1.4.1.4203.1.11.3", "Gantry", "\"1.0\""] {
        assert!(shown.contains(wanted), "{wanted} is missing in {shown}");
    }
    let schema = Search {
        base: "cn=subschema",
        scope: 0,
        filter: "(objectClass=subschema)",
        attributes: &["attributeTypes", "objectClasses"],
        ..Search::default()
    };
    assert_eq!(client.search(&schema).code, 0);
    let shown = format!("{:?}", client.found);
    assert!(shown.contains("NAME 'SIPIdentitySIPURI'") && shown.contains("NAME 'commObject'"), "{shown}");
}

#[test]
fn a_base_that_is_not_there_is_told_with_the_nearest_above() {
    let mut client = Client::new();
    let said = client.search(&Search { base: "ou=x,dc=meet,dc=example,dc=com", ..Search::default() });
    assert_eq!((said.code, said.matched.as_str()), (32, BASE));
    assert_eq!(client.search(&Search { base: "nonsense", ..Search::default() }).code, 34);
}

#[test]
fn a_search_looks_as_far_below_its_base_as_it_was_told() {
    let mut client = Client::new();
    let mut count = |base: &str, scope| {
        assert_eq!(client.search(&Search { base, scope, ..Search::default() }).code, 0);
        client.found.len()
    };
    let berlin = "ou=berlin,dc=meet,dc=example,dc=com";
    assert_eq!((count(BASE, 0), count(BASE, 1), count(BASE, 2)), (1, 2, 7));
    assert_eq!((count(berlin, 0), count(berlin, 1), count(berlin, 2)), (1, 2, 3));
}

#[test]
fn no_more_is_sent_than_the_size_limit_allows() {
    let mut client = Client::new();
    let with = |size| Search { size, filter: "(cn=*)", ..Search::default() };
    assert_eq!((client.search(&with(3)).code, client.found.len()), (4, 3));
    assert_eq!((client.search(&with(4)).code, client.found.len()), (0, 4));
    assert_eq!((client.search(&with(0)).code, client.found.len()), (0, 4));
}

fn many(count: usize) -> Vec<ldap::Contact> {
    (0..count).map(|n| contact("all", &format!("Room {n:05}"))).collect()
}

#[test]
fn a_search_ends_at_its_time_limit_or_the_servers() {
    for (asked, after) in [(1, Duration::from_secs(1)), (0, SEARCH_TIME), (3_600, SEARCH_TIME)] {
        let mut client = Client::of(Anonymous::Allowed, tree(many(5_000)));
        let wanted = Search { time: asked, attributes: &["*"], ..Search::default() };
        client.step(Input::Received(&message(1, search(&wanted), |_| {})));
        client.later(after - Duration::from_millis(1));
        client.step(Input::Timeout);
        assert!(client.said.is_empty(), "{asked}");
        client.later(Duration::from_millis(1));
        client.step(Input::Timeout);
        assert_eq!(client.answer(1).code, 3, "{asked}");
    }
}

#[test]
fn a_slice_looks_at_a_bounded_part_and_writes_a_bounded_amount() {
    let mut client = Client::of(Anonymous::Allowed, tree(many(20_000)));
    let wanted = Search { filter: "(|(cn=x*)(sn=x*)(displayName=x*))", ..Search::default() };
    client.step(Input::Received(&message(1, search(&wanted), |_| {})));
    assert!(client.said.is_empty(), "20,002 entries are too many for one slice");
    client.rest();
    assert_eq!(client.events, [Event::Searched { code: ResultCode::Success, entries: 0 }]);
    let wanted = Search { attributes: &["*"], ..Search::default() };
    client.step(Input::Received(&message(2, search(&wanted), |_| {})));
    assert!((10..200).contains(&client.found.len()), "{}", client.found.len());
    client.rest();
    assert_eq!(client.found.len(), 20_002);
}

#[test]
fn k6_a_phonebook_is_read_in_pages() {
    let mut client = Client::of(Anonymous::Allowed, tree(many(1_000)));
    let wanted = Search { filter: "(cn=*)", ..Search::default() };
    let (mut cookie, mut names, mut pages) = (Vec::new(), Vec::new(), 0);
    loop {
        let said = client.paged(&wanted, 300, &cookie);
        assert_eq!(said.code, 0);
        names.extend(client.found.iter().map(|found| found.dn.clone()));
        pages += 1;
        cookie = said.cookie.expect("the control");
        if cookie.is_empty() {
            break;
        }
    }
    assert_eq!((pages, names.len()), (4, 1_000));
    assert!(names.is_sorted());
}

#[test]
fn a_page_can_be_asked_for_on_another_connection_but_not_of_another_search_or_state() {
    let directory = tree(many(10));
    let mut one = Client::of(Anonymous::Allowed, directory.clone());
    let wanted = Search { filter: "(cn=*)", ..Search::default() };
    let cookie = one.paged(&wanted, 4, &[]).cookie.expect("a cookie");
    let mut other = Client::of(Anonymous::Allowed, directory);
    assert_eq!((other.paged(&wanted, 4, &cookie).code, other.found.len()), (0, 4));
    let another = Search { filter: "(sn=*)", ..Search::default() };
    assert_eq!(other.paged(&another, 4, &cookie).code, 53);
    assert_eq!(other.paged(&wanted, 4, b"guess").code, 53);
    other.step(Input::Directory(tree(many(11))));
    assert_eq!(other.paged(&wanted, 4, &cookie).code, 53);
}

#[test]
fn the_size_limit_counts_over_all_pages_and_a_page_above_it_is_none() {
    let mut client = Client::of(Anonymous::Allowed, tree(many(10)));
    let wanted = Search { filter: "(cn=*)", size: 6, ..Search::default() };
    let said = client.paged(&wanted, 4, &[]);
    assert_eq!((said.code, client.found.len()), (0, 4));
    let said = client.paged(&wanted, 4, &said.cookie.expect("a cookie"));
    assert_eq!((said.code, client.found.len()), (4, 2));
    let said = client.paged(&wanted, 6, &[]);
    assert_eq!((said.code, client.found.len(), said.cookie), (4, 6, None));
}

#[test]
fn a_page_of_nothing_ends_a_search() {
    let mut client = Client::of(Anonymous::Allowed, tree(many(10)));
    let wanted = Search { filter: "(cn=*)", ..Search::default() };
    let cookie = client.paged(&wanted, 4, &[]).cookie.expect("a cookie");
    let said = client.paged(&wanted, 0, &cookie);
    assert_eq!((said.code, client.found.len(), said.cookie), (0, 0, Some(vec![])));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Pages of any size hold together what one search finds.
    #[test]
    fn pages_are_the_search_cut_in_pieces(count in 0usize..40, size in 1i32..12) {
        let mut client = Client::of(Anonymous::Allowed, tree(many(count)));
        let wanted = Search { filter: "(cn=*1*)", ..Search::default() };
        client.search(&wanted);
        let all = client.found.clone();
        let (mut cookie, mut found) = (Vec::new(), Vec::new());
        loop {
            let said = client.paged(&wanted, size, &cookie);
            prop_assert!(client.found.len() <= usize::try_from(size).expect("positive"));
            found.extend(client.found.clone());
            cookie = said.cookie.expect("the control");
            if cookie.is_empty() {
                break;
            }
        }
        prop_assert_eq!(found, all);
    }
}
