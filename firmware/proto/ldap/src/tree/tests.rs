//! What stands where in a tree.

use super::*;
use crate::matching::Place;

const BASE: &str = "dc=meet,dc=example,dc=com";

fn contact(group: Option<&str>, name: &str) -> Contact {
    Contact {
        name: name.to_owned(),
        group: group.map(str::to_owned),
        uuid: "6ba7b810-9dad-11d1-80b4-00c04fd430c8".to_owned(),
        ..Contact::default()
    }
}

fn tree() -> Tree {
    let contacts = vec![
        contact(Some("Rome"), "b"),
        contact(None, "Reception"),
        contact(Some("Berlin"), "Huddle, small"),
        contact(Some("berlin"), "Boardroom"),
    ];
    Tree::new(BASE, "1", contacts).unwrap()
}

fn found(tree: &Tree, base: &str, scope: Scope) -> Vec<String> {
    let reach = tree.reach(&Dn::parse(base).unwrap(), scope).expect("a place");
    let (range, parent) = match reach {
        Reach::Range(range) => (range, None),
        Reach::Below(parent, range) => (range, Some(parent)),
        other => panic!("{other:?} is not in the list"),
    };
    let entries = range.filter_map(|place| tree.entry(place));
    entries.filter(|e| parent.is_none_or(|parent| e.parent == parent)).map(|e| e.dn.to_string()).collect()
}

#[test]
fn entries_stand_by_group_and_name_under_the_base() {
    let tree = tree();
    let all = [
        BASE,
        "cn=Reception,dc=meet,dc=example,dc=com",
        "ou=Berlin,dc=meet,dc=example,dc=com",
        "cn=Boardroom,ou=Berlin,dc=meet,dc=example,dc=com",
        "cn=Huddle\\2C small,ou=Berlin,dc=meet,dc=example,dc=com",
        "ou=Rome,dc=meet,dc=example,dc=com",
        "cn=b,ou=Rome,dc=meet,dc=example,dc=com",
    ];
    assert_eq!(found(&tree, BASE, Scope::Subtree), all);
    assert_eq!(found(&tree, "", Scope::Subtree), all, "a room without a base searches all");
    assert_eq!(found(&tree, "", Scope::One), [BASE]);
    assert_eq!(found(&tree, BASE, Scope::One), [all[1], all[2], all[5]]);
    assert_eq!(found(&tree, BASE, Scope::Base), [BASE]);
    let berlin = "OU=berlin, dc=Meet,dc=example,dc=com";
    assert_eq!(found(&tree, berlin, Scope::Subtree), all[2..5]);
    assert_eq!(found(&tree, berlin, Scope::One), all[3..5]);
    assert_eq!(found(&tree, all[4], Scope::Subtree), [all[4]]);
    assert_eq!(found(&tree, all[4], Scope::One), [""; 0]);
}

#[test]
fn the_lowest_name_above_what_is_not_there_is_told() {
    let tree = tree();
    let above = |text: &str| tree.reach(&Dn::parse(text).unwrap(), Scope::Base).expect_err("it is not there");
    assert_eq!(above("cn=x,cn=y,ou=Berlin,dc=meet,dc=example,dc=com"), "ou=Berlin,dc=meet,dc=example,dc=com");
    assert_eq!(above("ou=x,dc=meet,dc=example,dc=com"), BASE);
    assert_eq!(above("dc=example,dc=com"), "");
}

#[test]
fn k6_a_contact_is_a_person_with_the_attributes_of_h350() {
    let whole = Contact {
        name: "Boardroom".into(),
        group: Some("Berlin".into()),
        description: "2nd floor".into(),
        uuid: "6ba7b810-9dad-11d1-80b4-00c04fd430c8".into(),
        sip: vec!["sip:boardroom@example.com".into()],
        h323: vec!["boardroom".into()],
        numbers: vec!["+493012".into()],
    };
    let tree = Tree::new(BASE, "1", vec![whole]).unwrap();
    let dn = Dn::parse("cn=boardroom,ou=berlin,dc=meet,dc=example,dc=com").unwrap();
    let entry = tree.named(&dn).unwrap();
    let shown: Vec<_> =
        entry.values().map(|(a, v)| format!("{}: {}", a.definition().names[0], v.raw)).collect();
    assert_eq!(
        shown,
        [
            "objectClass: SIPIdentity",
            "objectClass: commObject",
            "objectClass: commURIObject",
            "objectClass: h323Identity",
            "objectClass: inetOrgPerson",
            "objectClass: organizationalPerson",
            "objectClass: person",
            "objectClass: top",
            "structuralObjectClass: inetOrgPerson",
            "hasSubordinates: FALSE",
            "subschemaSubentry: cn=Subschema",
            "cn: Boardroom",
            "sn: Boardroom",
            "ou: Berlin",
            "displayName: Boardroom",
            "description: 2nd floor",
            "telephoneNumber: +493012",
            "commUniqueId: 6ba7b810-9dad-11d1-80b4-00c04fd430c8",
            "commURI: ldap:///cn=Boardroom,ou=Berlin,dc=meet,dc=example,dc=com",
            "SIPIdentitySIPURI: sip:boardroom@example.com",
            "h323Identityh323-ID: boardroom",
            "h323IdentitydialedDigits: 493012",
            "entryUUID: 6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        ]
    );
}

#[test]
fn a_base_is_a_domains_a_units_or_an_organizations() {
    for (base, values) in [
        ("dc=meet,dc=com", &["organization", "dcObject"][..]),
        ("o=Example\\, Inc.", &["organization"]),
        ("OU=Phonebook,O=Example", &["organizationalUnit"]),
    ] {
        let tree = Tree::new(base, "1", Vec::new()).unwrap();
        let classes = tree.entry(0).unwrap().values().filter(|(a, _)| *a == Attribute::ObjectClass);
        let classes: Vec<_> = classes.map(|(_, value)| value.raw.to_string()).collect();
        assert!(values.iter().all(|value| classes.iter().any(|class| class == value)), "{classes:?}");
    }
    for base in ["", "cn=x", "nonsense", "l=here"] {
        assert_eq!(Tree::new(base, "1", Vec::new()).err(), Some(TreeError::Base(base.to_owned())));
    }
}

#[test]
fn the_user_is_named_by_its_name_under_the_base() {
    let tree = tree();
    let is_user = |text: &str| tree.is_user(&Dn::parse(text).unwrap(), "Rooms, all");
    assert!(is_user("cn=rooms\\, all,dc=meet,dc=example,dc=com"));
    assert!(is_user("UID=Rooms\\2c all,dc=meet,dc=example,dc=com"));
    assert!(!is_user("cn=rooms,dc=meet,dc=example,dc=com"));
    assert!(!is_user("cn=rooms\\, all,dc=example,dc=com"));
}

#[test]
fn the_revision_differs_when_an_entry_does() {
    let other = Tree::new(BASE, "1", vec![contact(Some("Rome"), "c")]).unwrap();
    assert_eq!(tree().revision(), tree().revision());
    assert_ne!(tree().revision(), other.revision());
}

#[test]
fn every_value_has_a_key_of_its_attribute() {
    let tree = tree();
    for entry in tree.entries.iter().chain([&tree.root, &tree.subschema]) {
        for (attribute, value) in entry.values() {
            assert_eq!(
                attribute.definition().rule.key(&value.raw, Place::Whole).as_deref(),
                Some(&*value.key),
                "{attribute:?} of {}",
                entry.dn
            );
        }
    }
}
