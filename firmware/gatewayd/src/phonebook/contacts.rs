//! An entry of the phonebook as LDAP shows it: the only place that knows both.

use domain::phonebook::{Entry, PhoneAlias};
use ldap::Contact;

/// `entry`, with each alias where its kind of room looks for it.
pub(super) fn contact(entry: &Entry) -> Contact {
    let mut contact = Contact {
        name: entry.name.clone(),
        group: entry.group.clone(),
        description: entry.description.clone(),
        uuid: entry.id().to_string(),
        ..Contact::default()
    };
    for alias in &entry.aliases {
        match alias {
            PhoneAlias::Sip(uri) => contact.sip.push(uri.clone()),
            PhoneAlias::H323(id) => contact.h323.push(id.clone()),
            PhoneAlias::Number(number) => contact.numbers.push(number.clone()),
        }
    }
    contact
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k6_each_alias_is_where_its_kind_of_room_looks_for_it() {
        let aliases = ["sip:b@example.com", "h323:b", "+49 30 12", "c@example.com"];
        let entry = Entry {
            name: "Boardroom".into(),
            group: Some("Berlin".into()),
            description: "2nd floor".into(),
            aliases: aliases.iter().map(|alias| PhoneAlias::parse(alias).expect("an alias")).collect(),
            tags: vec!["large".into()],
        };
        let contact = contact(&entry);
        assert_eq!(contact.sip, ["sip:b@example.com", "sip:c@example.com"]);
        assert_eq!((contact.h323, contact.numbers), (vec!["b".to_owned()], vec!["+493012".to_owned()]));
        assert_eq!(contact.uuid, entry.id().to_string());
    }
}
