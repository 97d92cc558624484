//! The tree that is searched: a base, an organizational unit for each group, and in it each contact as an inetOrgPerson with the
//! attributes of H.350; beside it the root DSE and the subschema (RFC 4512 5.1, 4.2).
//!
//! ```text
//!  dc=meet,dc=example,dc=com
//!   ├─ ou=Berlin ── cn=Boardroom, cn=Huddle ...
//!   └─ cn=Reception (a contact without a group)
//! ```
//! Entries stand in one list, each before those below it, by name; so a subtree is a range of it.

use crate::controls;
use crate::dn::{self, Dn, escaped};
use crate::entry::{Alike, Entry, Values, value};
use crate::matching::folded;
use crate::schema::{self, Attribute};
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;
use thiserror::Error;

/// Most entries: places in the list are told in 32 bits.
const MAX_ENTRIES: usize = 1_000_000;
/// Where the subschema is.
const SUBSCHEMA: &str = "cn=Subschema";

/// Somebody or something that can be dialled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contact {
    /// What it is called; unique within its group, but for case and spaces.
    pub name: String,
    /// The organizational unit it is in.
    pub group: Option<String>,
    /// What else is to be said; may be empty.
    pub description: String,
    /// A UUID that stays the same while the name and the group do (RFC 4530).
    pub uuid: String,
    /// Whole SIP URIs, with their scheme.
    pub sip: Vec<String>,
    /// H.323 identifiers, in ASCII.
    pub h323: Vec<String>,
    /// Numbers that are dialled, with or without a plus.
    pub numbers: Vec<String>,
}

/// Why no tree can be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TreeError {
    /// The base is no distinguished name, or is not a domain's, a unit's or an organization's.
    #[error(
        "base {0:?} is no distinguished name that begins with dc, ou or o; write such as \"dc=meet,dc=example,dc=com\""
    )]
    Base(String),
    /// There are more contacts than places.
    #[error("{0} contacts are too many; at most {MAX_ENTRIES} are taken")]
    TooMany(usize),
}

/// A directory as LDAP shows it; read only.
#[derive(Debug)]
pub struct Tree {
    base: Dn,
    base_text: String,
    entries: Vec<Entry>,
    /// By the key of a name; the first of two entries with one name.
    by_name: HashMap<String, u32>,
    root: Entry,
    subschema: Entry,
    revision: u64,
}

/// Where a search looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reach {
    RootDse,
    Subschema,
    /// These of the list.
    Range(Range<u32>),
    /// Those of the list that are directly below.
    Below(u32, Range<u32>),
}

/// How far below its base a search looks (RFC 4511 4.5.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    Base,
    One,
    Subtree,
}

impl Tree {
    /// Puts `contacts` under `base`. `version` is told in the root DSE.
    ///
    /// # Errors
    /// [`TreeError`] if the base is none, or contacts are too many.
    pub fn new(base: &str, version: &str, contacts: Vec<Contact>) -> Result<Self, TreeError> {
        let wrong = || TreeError::Base(base.to_owned());
        let name = Dn::parse(base).filter(|dn| !dn.is_root()).ok_or_else(wrong)?;
        if contacts.len() > MAX_ENTRIES / 2 {
            return Err(TreeError::TooMany(contacts.len()));
        }
        let mut planting = Planting::default();
        planting.unit(base, base_values(base).ok_or_else(wrong)?, !contacts.is_empty());
        let mut groups: BTreeMap<Option<String>, Vec<Contact>> = BTreeMap::new();
        for contact in contacts {
            groups.entry(contact.group.as_deref().map(folded)).or_default().push(contact);
        }
        for (_, mut contacts) in groups {
            // The group is called as its first contact calls it.
            let name = contacts.first().and_then(|contact| contact.group.clone());
            contacts.sort_by_cached_key(|contact| folded(&contact.name));
            planting.group(base, name.as_deref(), &contacts);
        }
        planting.entries[0].end = planting.place();
        Ok(Self::of(name, base, version, planting.entries))
    }

    fn of(base: Dn, base_text: &str, version: &str, entries: Vec<Entry>) -> Self {
        let (mut by_name, mut hasher) = (HashMap::with_capacity(entries.len()), DefaultHasher::new());
        for (place, entry) in (0..).zip(&entries) {
            let key = Dn::parse(&entry.dn).unwrap_or_default().key();
            by_name.entry(key).or_insert(place);
            entry.dn.hash(&mut hasher);
            entry.values().for_each(|(attribute, value)| (attribute as u8, &value.raw).hash(&mut hasher));
        }
        let (root, subschema) = (root_dse(base_text, version), subschema());
        Self {
            base,
            base_text: base_text.to_owned(),
            entries,
            by_name,
            root,
            subschema,
            revision: hasher.finish(),
        }
    }

    /// The name of its base, as it was given.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base_text
    }

    /// How many entries there are, base and groups counted.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none; never, since there is a base.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// A number that differs when the entries do.
    pub(crate) const fn revision(&self) -> u64 {
        self.revision
    }

    pub(crate) fn entry(&self, place: u32) -> Option<&Entry> {
        self.entries.get(usize::try_from(place).ok()?)
    }

    pub(crate) const fn root(&self) -> &Entry {
        &self.root
    }

    pub(crate) const fn subschema(&self) -> &Entry {
        &self.subschema
    }

    /// The entry of this name, for a comparison.
    pub(crate) fn named(&self, dn: &Dn) -> Option<&Entry> {
        if dn.is_root() {
            return Some(&self.root);
        }
        if is_subschema(dn) {
            return Some(&self.subschema);
        }
        self.entry(*self.by_name.get(&dn.key())?)
    }

    /// Where a search for `dn` looks; `Err` with the lowest name above it that there is. Below the root, which a room
    /// asks that was told no base, is all.
    pub(crate) fn reach(&self, dn: &Dn, scope: Scope) -> Result<Reach, &str> {
        let all = 0..u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        if dn.is_root() {
            return Ok(match scope {
                Scope::Base => Reach::RootDse,
                Scope::One => Reach::Range(0..1),
                Scope::Subtree => Reach::Range(all),
            });
        }
        if is_subschema(dn) {
            return Ok(if scope == Scope::One { Reach::Range(0..0) } else { Reach::Subschema });
        }
        let Some(place) = self.by_name.get(&dn.key()).copied() else { return Err(self.above(dn)) };
        let end = self.entry(place).map_or(place, |entry| entry.end);
        Ok(match scope {
            Scope::Base => Reach::Range(place..place + 1),
            Scope::One => Reach::Below(place, place + 1..end),
            Scope::Subtree => Reach::Range(place..end),
        })
    }

    fn above(&self, dn: &Dn) -> &str {
        let parents = std::iter::successors(Some(dn.parent()), |dn| Some(dn.parent()));
        let mut known = parents.take_while(|dn| !dn.is_root()).filter_map(|dn| self.by_name.get(&dn.key()));
        known.next().and_then(|place| self.entry(*place)).map_or("", |entry| &entry.dn)
    }

    /// Whether `dn` names the user `name` under the base: by `cn` or by `uid`.
    pub(crate) fn is_user(&self, dn: &Dn, name: &str) -> bool {
        let under = |kind: &str| Dn::parse(&format!("{kind}={},{}", escaped(name), self.base_text));
        dn.parent() == self.base && ["cn", "uid"].into_iter().any(|kind| under(kind).as_ref() == Some(dn))
    }
}

fn is_subschema(dn: &Dn) -> bool {
    Dn::parse(SUBSCHEMA).as_ref() == Some(dn)
}

/// Puts entries into the list.
#[derive(Default)]
struct Planting {
    entries: Vec<Entry>,
    /// What is alike in many entries, by the classes below top.
    shared: HashMap<Vec<&'static str>, Alike>,
}

impl Planting {
    /// The next entry's place; there are fewer than 32 bits hold.
    fn place(&self) -> u32 {
        u32::try_from(self.entries.len()).unwrap_or(u32::MAX)
    }

    /// An entry directly below the base, or the base itself, that others may be below. Its end is set when they are there.
    fn unit(&mut self, dn: &str, (classes, own): (Vec<&'static str>, Values), has_below: bool) {
        let shared = self.alike(classes, if has_below { "TRUE" } else { "FALSE" });
        let end = self.place() + 1;
        self.entries.push(Entry { dn: dn.into(), own: own.into(), shared, parent: 0, end });
    }

    /// One group and its contacts, or those without one.
    fn group(&mut self, base: &str, name: Option<&str>, contacts: &[Contact]) {
        let Some(name) = name else {
            contacts.iter().for_each(|contact| self.contact(base, contact, 0));
            return;
        };
        let (dn, place) = (format!("ou={},{base}", escaped(name)), self.place());
        self.unit(&dn, (vec!["organizationalUnit"], vec![value(Attribute::Ou, name)]), true);
        contacts.iter().for_each(|contact| self.contact(&dn, contact, place));
        let end = self.place();
        if let Some(unit) = usize::try_from(place).ok().and_then(|place| self.entries.get_mut(place)) {
            unit.end = end;
        }
    }

    fn contact(&mut self, above: &str, contact: &Contact, parent: u32) {
        let dn = format!("cn={},{above}", escaped(&contact.name));
        let mut classes = vec!["inetOrgPerson", "commURIObject", "commObject"];
        if !contact.h323.is_empty() || !contact.numbers.is_empty() {
            classes.push("h323Identity");
        }
        if !contact.sip.is_empty() {
            classes.push("SIPIdentity");
        }
        let (own, end) = (contact_values(&dn, contact), self.place() + 1);
        let shared = self.alike(classes, "FALSE");
        self.entries.push(Entry { dn: dn.into(), own: own.into(), shared, parent, end });
    }

    fn alike(&mut self, classes: Vec<&'static str>, has_below: &str) -> Alike {
        let make = |classes: &Vec<&'static str>| {
            let mut names: Vec<&str> = classes.iter().flat_map(|class| schema::lineage(class)).collect();
            names.sort_unstable();
            names.dedup();
            let mut values: Values = names.iter().map(|name| value(Attribute::ObjectClass, name)).collect();
            values.push(value(Attribute::StructuralObjectClass, classes.first().copied().unwrap_or("top")));
            values.push(value(Attribute::HasSubordinates, has_below));
            values.push(value(Attribute::SubschemaSubentry, SUBSCHEMA));
            values.into()
        };
        Arc::clone(self.shared.entry(classes).or_insert_with_key(make))
    }
}

/// The classes and values of the base, by what it is; `None` if it is of another kind.
fn base_values(base: &str) -> Option<(Vec<&'static str>, Values)> {
    let (kind, name) = dn::first_value(base)?;
    match schema::attribute_named(&kind)? {
        Attribute::Dc => {
            let values = vec![value(Attribute::O, &name), value(Attribute::Dc, &name)];
            Some((vec!["organization", "dcObject"], values))
        }
        Attribute::Ou => Some((vec!["organizationalUnit"], vec![value(Attribute::Ou, &name)])),
        Attribute::O => Some((vec!["organization"], vec![value(Attribute::O, &name)])),
        _ => None,
    }
}

/// What a room reads of a contact. The name is its surname as well: rooms look people up by the first letters of that.
fn contact_values(dn: &str, contact: &Contact) -> Values {
    let (_, name) = value(Attribute::Cn, &contact.name);
    let named = [Attribute::Cn, Attribute::Sn, Attribute::DisplayName];
    let mut values: Values = named.map(|attribute| (attribute, Arc::clone(&name))).into();
    let mut add = |attribute, text: &str| values.push(value(attribute, text));
    contact.group.iter().for_each(|group| add(Attribute::Ou, group));
    if !contact.description.is_empty() {
        add(Attribute::Description, &contact.description);
    }
    contact.numbers.iter().for_each(|number| add(Attribute::TelephoneNumber, number));
    add(Attribute::CommUniqueId, &contact.uuid);
    add(Attribute::CommUri, &own_url(dn));
    contact.sip.iter().for_each(|uri| add(Attribute::SipUri, uri));
    contact.h323.iter().for_each(|id| add(Attribute::H323Id, id));
    let digits = |number: &String| number.trim_start_matches('+').to_owned();
    contact.numbers.iter().for_each(|number| add(Attribute::DialedDigits, &digits(number)));
    add(Attribute::EntryUuid, &contact.uuid);
    values.sort_by_key(|(attribute, _)| *attribute);
    values
}

/// Where a person's conferencing is described (RFC 3944 4.2): in the same entry, on this server (RFC 4516).
fn own_url(dn: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~=,".contains(&byte);
    let octet = |byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    format!("ldap:///{}", dn.bytes().map(octet).collect::<String>())
}

fn single(dn: &str, own: Values) -> Entry {
    let (own, shared) = (own.into(), Vec::new().into());
    Entry { dn: dn.into(), own, shared, parent: 0, end: 0 }
}

/// What the server is and can (RFC 4512 5.1).
fn root_dse(base: &str, version: &str) -> Entry {
    let mut values = vec![
        value(Attribute::ObjectClass, "top"),
        value(Attribute::SubschemaSubentry, SUBSCHEMA),
        value(Attribute::NamingContexts, base),
        value(Attribute::SupportedLdapVersion, "3"),
    ];
    let oids = |attribute, oids: &'static [&str]| oids.iter().map(move |oid| value(attribute, oid));
    values.extend(oids(Attribute::SupportedControl, controls::SUPPORTED));
    values.extend(oids(Attribute::SupportedExtension, crate::answer::EXTENSIONS));
    values.extend(oids(Attribute::SupportedFeatures, crate::answer::FEATURES));
    values.push(value(Attribute::VendorName, "Gantry"));
    values.push(value(Attribute::VendorVersion, version));
    single("", values)
}

fn subschema() -> Entry {
    let mut values: Values =
        ["top", "subentry", "subschema"].map(|class| value(Attribute::ObjectClass, class)).into();
    values.push(value(Attribute::Cn, "Subschema"));
    values.push(value(Attribute::StructuralObjectClass, "subentry"));
    values.extend(schema::attribute_types().iter().map(|text| value(Attribute::TypeDefinitions, text)));
    values.extend(schema::object_classes().iter().map(|text| value(Attribute::ClassDefinitions, text)));
    single(SUBSCHEMA, values)
}

#[cfg(test)]
mod tests;
