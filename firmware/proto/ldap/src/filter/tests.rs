//! Filters as they come from the wire, within their bounds, and what they are true of.

use super::*;
use crate::ber::Writer;
use crate::entry::value;
use proptest::prelude::*;

fn entry(values: &[(Attribute, &str)]) -> Entry {
    let own: Vec<_> = values.iter().map(|(attribute, text)| value(*attribute, text)).collect();
    Entry { dn: "cn=x".into(), own: own.into(), shared: Vec::new().into(), parent: 0, end: 0 }
}

fn boardroom() -> Entry {
    entry(&[
        (Attribute::ObjectClass, "person"),
        (Attribute::Cn, "Board Room Berlin"),
        (Attribute::Ou, "Germany"),
        (Attribute::TelephoneNumber, "+49 30 12-34"),
        (Attribute::SipUri, "sip:Board@example.com"),
    ])
}

fn compared(tag: Tag, name: &str, value: &str) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.group(tag, |w| {
        w.octets(OCTETS, name.as_bytes());
        w.octets(OCTETS, value.as_bytes());
    });
    writer.into_bytes()
}

fn substrings(name: &str, pieces: &[(Tag, &str)]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.group(SUBSTRINGS, |w| {
        w.octets(OCTETS, name.as_bytes());
        w.group(SEQUENCE, |w| pieces.iter().for_each(|(tag, text)| w.octets(*tag, text.as_bytes())));
    });
    writer.into_bytes()
}

fn joined(tag: Tag, parts: &[Vec<u8>]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.octets(tag, &parts.concat());
    writer.into_bytes()
}

fn exists(name: &str) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.octets(PRESENT, name.as_bytes());
    writer.into_bytes()
}

fn read(octets: &[u8]) -> Result<Filter, Malformed> {
    Filter::read(&mut Reader::new(octets))
}

fn truth(octets: &[u8]) -> Truth {
    read(octets).expect("a filter").holds(&boardroom())
}

#[test]
fn values_are_equal_whatever_their_case_and_spaces() {
    assert_eq!(truth(&compared(EQUAL, "CN", " board  ROOM berlin")), Truth::True);
    assert_eq!(truth(&compared(EQUAL, "commonName", "board room")), Truth::False);
    assert_eq!(truth(&compared(EQUAL, "telephoneNumber", "+49301234")), Truth::True);
    assert_eq!(truth(&compared(EQUAL, "objectclass", "PERSON")), Truth::True);
    assert_eq!(truth(&compared(EQUAL, "SIPIdentitySIPURI", "sip:board@example.com")), Truth::False);
    assert_eq!(truth(&compared(APPROXIMATE, "cn", "board room berlin")), Truth::True);
}

#[test]
fn what_is_asked_of_a_type_is_asked_of_those_under_it() {
    assert_eq!(truth(&compared(EQUAL, "name", "germany")), Truth::True);
    assert_eq!(truth(&exists("name")), Truth::True);
    assert_eq!(truth(&compared(EQUAL, "cn", "germany")), Truth::False);
}

#[test]
fn pieces_are_found_in_their_order_and_do_not_overlap() {
    let cn = |pieces: &[(Tag, &str)]| truth(&substrings("cn", pieces));
    assert_eq!(cn(&[(INITIAL, "board")]), Truth::True);
    assert_eq!(cn(&[(INITIAL, "oard")]), Truth::False);
    assert_eq!(cn(&[(FINAL, "LIN")]), Truth::True);
    assert_eq!(cn(&[(ANY, "room"), (ANY, "ber")]), Truth::True);
    assert_eq!(cn(&[(ANY, "ber"), (ANY, "room")]), Truth::False);
    assert_eq!(cn(&[(INITIAL, "b"), (ANY, "room"), (FINAL, "berlin")]), Truth::True);
    assert_eq!(cn(&[(INITIAL, "board room ber"), (FINAL, "berlin")]), Truth::False, "they overlap");
    assert_eq!(cn(&[(ANY, "room"), (ANY, "oom")]), Truth::False, "it is there once");
    assert_eq!(cn(&[(ANY, "board "), (ANY, " room")]), Truth::True, "one space is for both (RFC 4518 2.6.1)");
    assert_eq!(truth(&substrings("telephoneNumber", &[(ANY, "3012")])), Truth::True);
}

#[test]
fn names_have_an_order_and_numbers_have_none() {
    assert_eq!(truth(&compared(AT_LEAST, "cn", "b")), Truth::True);
    assert_eq!(truth(&compared(AT_LEAST, "cn", "c")), Truth::False);
    assert_eq!(truth(&compared(AT_MOST, "cn", "board room berlin")), Truth::True);
    assert_eq!(truth(&compared(AT_MOST, "cn", "a")), Truth::False);
    assert_eq!(truth(&compared(AT_LEAST, "telephoneNumber", "1")), Truth::Undefined);
}

#[test]
fn what_is_not_known_is_undefined_and_its_opposite_is_too() {
    for unknown in [
        compared(EQUAL, "sAMAccountName", "x"),
        compared(EQUAL, "objectClass", "user"),
        compared(EQUAL, "cn;binary", "x"),
        compared(EQUAL, "mail", "andr\u{e9}@example.com"),
        substrings("objectClass", &[(ANY, "per")]),
        joined(EXTENSIBLE, &[]),
    ] {
        assert_eq!(truth(&unknown), Truth::Undefined);
        assert_eq!(truth(&joined(NOT, std::slice::from_ref(&unknown))), Truth::Undefined);
        let known = compared(EQUAL, "cn", "board room berlin");
        assert_eq!(truth(&joined(OR, &[unknown.clone(), known.clone()])), Truth::True);
        assert_eq!(truth(&joined(AND, &[unknown, known])), Truth::Undefined);
    }
    assert_eq!(truth(&exists("sAMAccountName")), Truth::Undefined);
    assert_eq!(truth(&exists("mail")), Truth::False);
    assert_eq!(truth(&compared(EQUAL, "cn;lang-de", "x")), Truth::False);
}

#[test]
fn lists_without_parts_are_true_and_false_as_rfc_4526_says() {
    assert_eq!(truth(&joined(AND, &[])), Truth::True);
    assert_eq!(truth(&joined(OR, &[])), Truth::False);
}

#[test]
fn depth_and_parts_are_bounded() {
    let nested = |depth| (1..depth).fold(exists("cn"), |inner, _| joined(NOT, &[inner]));
    assert!(read(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(read(&nested(MAX_DEPTH + 1)), Err(Malformed("a filter that is nested too deep")));
    let wide = |parts| joined(OR, &vec![exists("cn"); parts]);
    assert!(read(&wide(MAX_TERMS - 1)).is_ok());
    assert_eq!(read(&wide(MAX_TERMS)), Err(Malformed("a filter of too many parts")));
    let pieces = vec![(ANY, "x"); MAX_TERMS];
    assert!(read(&substrings("cn", &pieces)).is_err());
}

#[test]
fn broken_filters_are_refused() {
    for broken in [
        joined(0xaa, &[]),
        joined(NOT, &[]),
        joined(NOT, &[exists("cn"), exists("sn")]),
        substrings("cn", &[]),
        substrings("cn", &[(ANY, "a"), (INITIAL, "b")]),
        substrings("cn", &[(FINAL, "a"), (ANY, "b")]),
        compared(EQUAL, "cn", "x")[..4].to_vec(),
    ] {
        assert!(read(&broken).is_err(), "{broken:?}");
    }
}

fn any_filter() -> impl Strategy<Value = Filter> {
    let leaf = prop_oneof![
        Just(compared(EQUAL, "cn", "board room berlin")),
        Just(compared(EQUAL, "cn", "other")),
        Just(compared(EQUAL, "nothing", "known")),
        Just(exists("ou")),
    ];
    let leaf = leaf.prop_map(|octets| read(&octets).expect("a filter"));
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Filter::And),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Filter::Or),
            inner.prop_map(|one| Filter::Not(Box::new(one))),
        ]
    })
}

fn not(filter: &Filter) -> Filter {
    Filter::Not(Box::new(filter.clone()))
}

proptest! {
    /// De Morgan's laws hold in the three-valued logic.
    #[test]
    fn a_list_is_the_opposite_of_the_list_of_opposites(list in prop::collection::vec(any_filter(), 0..5)) {
        let opposites = list.iter().map(not).collect();
        let both = Filter::And(list);
        prop_assert_eq!(not(&both).holds(&boardroom()), Filter::Or(opposites).holds(&boardroom()));
    }

    #[test]
    fn no_octets_upset_the_reader(octets: Vec<u8>) {
        drop(read(&octets));
    }

    /// Pieces cut out of a value are found in it.
    #[test]
    fn a_value_has_its_own_pieces(value in "[a-zA-Z ]{3,12}", cut in 1usize..11) {
        let cut = cut.min(value.len() - 1);
        let (first, last) = value.split_at(cut);
        let named = entry(&[(Attribute::Cn, &value)]);
        let filter = read(&substrings("cn", &[(INITIAL, first), (FINAL, last)])).expect("a filter");
        // A space that was cut in two counts on either side (RFC 4518 2.6.1).
        let is_clean = !first.ends_with(' ') && !last.starts_with(' ') && !first.trim().is_empty();
        prop_assert!(!is_clean || filter.holds(&named) == Truth::True, "{first:?} {last:?}");
        let filter = read(&substrings("cn", &[(ANY, value.trim())]));
        prop_assert!(value.trim().is_empty() || filter.expect("a filter").holds(&named) == Truth::True);
    }
}
