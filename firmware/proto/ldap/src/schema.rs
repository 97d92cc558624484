//! What attributes and classes there are (RFC 4512, 4519, 2798; RFC 3944 and ITU-T H.350.1 for what conferencing needs), how
//! each is compared, and how that is published.
//!
//! H.350 makes commObject and its kin structural, for entries apart from people's. Here one entry is both, as the phonebooks that room systems
//! are tried against have it, so these classes are published as auxiliary. Strings have an ordering rule, which RFC 4519 leaves
//! out: rooms leaf through a list with `(cn>=m)`.

use crate::matching::Rule;

/// An attribute type that this server knows; a number below 64, so that a set fits a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Attribute {
    ObjectClass,
    Name,
    Cn,
    Sn,
    Ou,
    O,
    Dc,
    DisplayName,
    Description,
    TelephoneNumber,
    CommUniqueId,
    CommUri,
    SipUri,
    H323Id,
    DialedDigits,
    GivenName,
    Mail,
    Uid,
    Title,
    L,
    St,
    Mobile,
    HomePhone,
    EmployeeNumber,
    DepartmentNumber,
    StructuralObjectClass,
    HasSubordinates,
    SubschemaSubentry,
    EntryUuid,
    NamingContexts,
    SupportedLdapVersion,
    SupportedControl,
    SupportedExtension,
    SupportedFeatures,
    VendorName,
    VendorVersion,
    TypeDefinitions,
    ClassDefinitions,
}

/// Who an attribute is for (RFC 4512 3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Usage {
    User,
    Operation,
    Server,
}

/// A set of attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct AttributeSet(u64);

/// How an attribute type is defined.
#[derive(Debug)]
pub(crate) struct Definition {
    pub attribute: Attribute,
    /// The first is the one that is told.
    pub names: &'static [&'static str],
    pub oid: &'static str,
    pub rule: Rule,
    pub usage: Usage,
    syntax: &'static str,
}

/// An object class.
#[derive(Debug)]
pub(crate) struct Class {
    pub name: &'static str,
    oid: &'static str,
    above: Option<&'static str>,
    kind: &'static str,
    must: &'static str,
    may: &'static str,
}

const STRING: &str = "15";
const IA5: &str = "26";
const OID: &str = "38";
const DN: &str = "12";

const fn define(
    attribute: Attribute,
    names: &'static [&'static str],
    oid: &'static str,
    rule: Rule,
    syntax: &'static str,
) -> Definition {
    Definition { attribute, names, oid, rule, usage: Usage::User, syntax }
}

const fn kept_by_server(usage: Usage, definition: Definition) -> Definition {
    Definition { usage, ..definition }
}

use Attribute as A;
use Rule as R;
use Usage::{Operation, Server};

/// By [`Attribute`].
static ATTRIBUTES: [Definition; 38] = [
    define(A::ObjectClass, &["objectClass"], "2.5.4.0", R::ObjectClass, OID),
    define(A::Name, &["name"], "2.5.4.41", R::CaseIgnore, STRING),
    define(A::Cn, &["cn", "commonName"], "2.5.4.3", R::CaseIgnore, STRING),
    define(A::Sn, &["sn", "surname"], "2.5.4.4", R::CaseIgnore, STRING),
    define(A::Ou, &["ou", "organizationalUnitName"], "2.5.4.11", R::CaseIgnore, STRING),
    define(A::O, &["o", "organizationName"], "2.5.4.10", R::CaseIgnore, STRING),
    define(A::Dc, &["dc", "domainComponent"], "0.9.2342.19200300.100.1.25", R::CaseIgnoreAscii, IA5),
    define(A::DisplayName, &["displayName"], "2.16.840.1.113730.3.1.241", R::CaseIgnore, STRING),
    define(A::Description, &["description"], "2.5.4.13", R::CaseIgnore, STRING),
    define(A::TelephoneNumber, &["telephoneNumber"], "2.5.4.20", R::Telephone, "50"),
    define(A::CommUniqueId, &["commUniqueId"], "0.0.8.350.1.1.2.1.1", R::CaseIgnoreAscii, IA5),
    define(A::CommUri, &["commURI"], "0.0.8.350.1.1.1.1.1", R::CaseExact, STRING),
    define(A::SipUri, &["SIPIdentitySIPURI"], "0.0.8.350.1.1.6.1.1", R::CaseExact, STRING),
    define(A::H323Id, &["h323Identityh323-ID"], "0.0.8.350.1.1.3.1.2", R::CaseIgnoreAscii, IA5),
    define(A::DialedDigits, &["h323IdentitydialedDigits"], "0.0.8.350.1.1.3.1.3", R::CaseIgnoreAscii, IA5),
    define(A::GivenName, &["givenName", "gn"], "2.5.4.42", R::CaseIgnore, STRING),
    define(A::Mail, &["mail", "rfc822Mailbox"], "0.9.2342.19200300.100.1.3", R::CaseIgnoreAscii, IA5),
    define(A::Uid, &["uid", "userid"], "0.9.2342.19200300.100.1.1", R::CaseIgnore, STRING),
    define(A::Title, &["title"], "2.5.4.12", R::CaseIgnore, STRING),
    define(A::L, &["l", "localityName"], "2.5.4.7", R::CaseIgnore, STRING),
    define(A::St, &["st", "stateOrProvinceName"], "2.5.4.8", R::CaseIgnore, STRING),
    define(A::Mobile, &["mobile", "mobileTelephoneNumber"], "0.9.2342.19200300.100.1.41", R::Telephone, "50"),
    define(
        A::HomePhone,
        &["homePhone", "homeTelephoneNumber"],
        "0.9.2342.19200300.100.1.20",
        R::Telephone,
        "50",
    ),
    define(A::EmployeeNumber, &["employeeNumber"], "2.16.840.1.113730.3.1.3", R::CaseIgnore, STRING),
    define(A::DepartmentNumber, &["departmentNumber"], "2.16.840.1.113730.3.1.2", R::CaseIgnore, STRING),
    kept_by_server(
        Operation,
        define(A::StructuralObjectClass, &["structuralObjectClass"], "2.5.21.9", R::ObjectClass, OID),
    ),
    kept_by_server(Operation, define(A::HasSubordinates, &["hasSubordinates"], "2.5.18.9", R::Word, "7")),
    kept_by_server(Operation, define(A::SubschemaSubentry, &["subschemaSubentry"], "2.5.18.10", R::Name, DN)),
    kept_by_server(
        Operation,
        define(A::EntryUuid, &["entryUUID"], "1.3.6.1.1.16.4", R::Uuid, "1.3.6.1.1.16.1"),
    ),
    kept_by_server(
        Server,
        define(A::NamingContexts, &["namingContexts"], "1.3.6.1.4.1.1466.101.120.5", R::Name, DN),
    ),
    kept_by_server(
        Server,
        define(
            A::SupportedLdapVersion,
            &["supportedLDAPVersion"],
            "1.3.6.1.4.1.1466.101.120.15",
            R::Word,
            "27",
        ),
    ),
    kept_by_server(
        Server,
        define(A::SupportedControl, &["supportedControl"], "1.3.6.1.4.1.1466.101.120.13", R::Word, OID),
    ),
    kept_by_server(
        Server,
        define(A::SupportedExtension, &["supportedExtension"], "1.3.6.1.4.1.1466.101.120.7", R::Word, OID),
    ),
    kept_by_server(
        Server,
        define(A::SupportedFeatures, &["supportedFeatures"], "1.3.6.1.4.1.4203.1.3.5", R::Word, OID),
    ),
    kept_by_server(Server, define(A::VendorName, &["vendorName"], "1.3.6.1.1.4", R::CaseExact, STRING)),
    kept_by_server(Server, define(A::VendorVersion, &["vendorVersion"], "1.3.6.1.1.5", R::CaseExact, STRING)),
    kept_by_server(Operation, define(A::TypeDefinitions, &["attributeTypes"], "2.5.21.5", R::Word, "3")),
    kept_by_server(Operation, define(A::ClassDefinitions, &["objectClasses"], "2.5.21.6", R::Word, "37")),
];

const fn class(
    name: &'static str,
    oid: &'static str,
    above: &'static str,
    kind: &'static str,
    must: &'static str,
    may: &'static str,
) -> Class {
    Class { name, oid, above: Some(above), kind, must, may }
}

/// The classes of entries here. What they may hold is cut to the attributes that are known.
static CLASSES: &[Class] = &[
    Class { name: "top", oid: "2.5.6.0", above: None, kind: "ABSTRACT", must: "objectClass", may: "" },
    class("person", "2.5.6.6", "top", "STRUCTURAL", "sn $ cn", "telephoneNumber $ description"),
    class(
        "organizationalPerson",
        "2.5.6.7",
        "person",
        "STRUCTURAL",
        "",
        "title $ telephoneNumber $ ou $ st $ l",
    ),
    class(
        "inetOrgPerson",
        "2.16.840.1.113730.3.2.2",
        "organizationalPerson",
        "STRUCTURAL",
        "",
        "departmentNumber $ displayName $ employeeNumber $ givenName $ homePhone $ mail $ mobile $ o $ uid",
    ),
    class("organization", "2.5.6.4", "top", "STRUCTURAL", "o", "telephoneNumber $ st $ l $ description"),
    class(
        "organizationalUnit",
        "2.5.6.5",
        "top",
        "STRUCTURAL",
        "ou",
        "telephoneNumber $ st $ l $ description",
    ),
    class("dcObject", "1.3.6.1.4.1.1466.344", "top", "AUXILIARY", "dc", ""),
    class("subschema", "2.5.20.1", "top", "AUXILIARY", "", "attributeTypes $ objectClasses"),
    class("subentry", "2.5.17.0", "top", "STRUCTURAL", "cn", ""),
    class("commURIObject", "0.0.8.350.1.1.1.2.1", "top", "AUXILIARY", "", "commURI"),
    class("commObject", "0.0.8.350.1.1.2.2.1", "top", "AUXILIARY", "commUniqueId", ""),
    class(
        "h323Identity",
        "0.0.8.350.1.1.3.2.1",
        "top",
        "AUXILIARY",
        "",
        "h323Identityh323-ID $ h323IdentitydialedDigits",
    ),
    class("SIPIdentity", "0.0.8.350.1.1.6.2.1", "top", "AUXILIARY", "", "SIPIdentitySIPURI"),
];

/// Attribute types under `name` (RFC 4519 2.18): what is asked of it is asked of each.
const NAMES: &[Attribute] = &[A::Name, A::Cn, A::Sn, A::Ou, A::O, A::Title, A::L, A::St, A::GivenName];

impl Attribute {
    pub(crate) fn definition(self) -> &'static Definition {
        &ATTRIBUTES[self as usize]
    }

    /// It and the types under it (RFC 4512 2.5.1).
    pub(crate) fn with_subtypes(self) -> AttributeSet {
        if self == A::Name { NAMES.iter().copied().collect() } else { AttributeSet::from_iter([self]) }
    }
}

impl AttributeSet {
    pub(crate) fn insert(&mut self, attribute: Attribute) {
        self.0 |= 1 << attribute as u8;
    }

    pub(crate) const fn contains(self, attribute: Attribute) -> bool {
        self.0 >> attribute as u8 & 1 == 1
    }

    pub(crate) const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl FromIterator<Attribute> for AttributeSet {
    fn from_iter<I: IntoIterator<Item = Attribute>>(attributes: I) -> Self {
        let mut set = Self::default();
        attributes.into_iter().for_each(|attribute| set.insert(attribute));
        set
    }
}

/// The attribute of this name or OID, in any case.
pub(crate) fn attribute_named(name: &str) -> Option<Attribute> {
    let named =
        |d: &&Definition| d.oid == name || d.names.iter().any(|known| known.eq_ignore_ascii_case(name));
    ATTRIBUTES.iter().find(named).map(|definition| definition.attribute)
}

/// The class of this name or OID, in any case.
pub(crate) fn class_named(name: &str) -> Option<&'static Class> {
    CLASSES.iter().find(|class| class.oid == name || class.name.eq_ignore_ascii_case(name))
}

/// The class and all above it, as an entry of it must list them.
pub(crate) fn lineage(name: &str) -> Vec<&'static str> {
    let above = |class: &&'static Class| class.above.and_then(class_named);
    std::iter::successors(class_named(name), above).map(|class| class.name).collect()
}

/// Every attribute type as the subschema tells it (RFC 4512 4.1.2).
pub(crate) fn attribute_types() -> Vec<String> {
    ATTRIBUTES.iter().map(Definition::text).collect()
}

/// Every class as the subschema tells it (RFC 4512 4.1.1).
pub(crate) fn object_classes() -> Vec<String> {
    CLASSES.iter().map(Class::text).collect()
}

/// What of it is H.350's, as lines for `slapd.conf`.
pub(crate) fn h350() -> Vec<String> {
    let is_its = |oid: &str| oid.starts_with("0.0.8.350.");
    let types = ATTRIBUTES.iter().filter(|definition| is_its(definition.oid));
    let classes = CLASSES.iter().filter(|class| is_its(class.oid));
    let types = types.map(|definition| format!("attributetype {}", definition.text()));
    types.chain(classes.map(|class| format!("objectclass {}", class.text()))).collect()
}

impl Definition {
    fn text(&self) -> String {
        let names: Vec<_> = self.names.iter().map(|name| format!("'{name}'")).collect();
        let names = if names.len() == 1 { names.concat() } else { format!("( {} )", names.join(" ")) };
        let above =
            if NAMES.contains(&self.attribute) && self.attribute != A::Name { " SUP name" } else { "" };
        let number = self.syntax;
        let syntax =
            if number.contains('.') { String::new() } else { "1.3.6.1.4.1.1466.115.121.1.".to_owned() };
        let usage = match self.usage {
            Usage::User => "",
            Usage::Operation => " NO-USER-MODIFICATION USAGE directoryOperation",
            Usage::Server => " NO-USER-MODIFICATION USAGE dSAOperation",
        };
        let rules = rules(self.rule, self.syntax);
        format!("( {} NAME {names}{above}{rules} SYNTAX {syntax}{number}{usage} )", self.oid)
    }
}

/// The names of a rule and its kin (RFC 4517 4.2).
fn rules(rule: Rule, syntax: &str) -> &'static str {
    match rule {
        R::CaseIgnore => {
            " EQUALITY caseIgnoreMatch ORDERING caseIgnoreOrderingMatch SUBSTR caseIgnoreSubstringsMatch"
        }
        R::CaseIgnoreAscii => " EQUALITY caseIgnoreIA5Match SUBSTR caseIgnoreIA5SubstringsMatch",
        R::CaseExact => {
            " EQUALITY caseExactMatch ORDERING caseExactOrderingMatch SUBSTR caseExactSubstringsMatch"
        }
        R::Telephone => " EQUALITY telephoneNumberMatch SUBSTR telephoneNumberSubstringsMatch",
        R::ObjectClass => " EQUALITY objectIdentifierMatch",
        R::Word if syntax == OID => " EQUALITY objectIdentifierMatch",
        R::Word if syntax == "7" => " EQUALITY booleanMatch",
        R::Word if syntax == "27" => " EQUALITY integerMatch",
        R::Word => " EQUALITY objectIdentifierFirstComponentMatch",
        R::Uuid => " EQUALITY uuidMatch",
        R::Name => " EQUALITY distinguishedNameMatch",
    }
}

impl Class {
    fn text(&self) -> String {
        let above = self.above.map_or_else(String::new, |above| format!(" SUP {above}"));
        let list = |word: &str, list: &str| match list {
            "" => String::new(),
            list if list.contains('$') => format!(" {word} ( {list} )"),
            one => format!(" {word} {one}"),
        };
        let (must, may) = (list("MUST", self.must), list("MAY", self.may));
        format!("( {} NAME '{}'{above} {}{must}{may} )", self.oid, self.name, self.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_its_names_and_fits_a_set() {
        for (at, definition) in ATTRIBUTES.iter().enumerate() {
            assert_eq!(definition.attribute as usize, at, "{definition:?}");
        }
        const { assert!(ATTRIBUTES.len() <= 64) };
    }

    #[test]
    fn what_a_class_holds_is_known() {
        for class in CLASSES {
            let lists = class.must.split(" $ ").chain(class.may.split(" $ "));
            for name in lists.filter(|name| !name.is_empty()) {
                assert!(attribute_named(name).is_some(), "{} of {}", name, class.name);
            }
            assert_eq!(lineage(class.name).last(), Some(&"top"));
        }
    }

    #[test]
    fn attributes_are_known_by_every_name_in_any_case() {
        assert_eq!(attribute_named("COMMONNAME"), Some(A::Cn));
        assert_eq!(attribute_named("h323IdentityH323-ID"), Some(A::H323Id));
        assert_eq!(attribute_named("2.5.4.3"), Some(A::Cn));
        assert_eq!(attribute_named("sAMAccountName"), None);
    }

    #[test]
    fn definitions_are_written_as_rfc_4512_asks() {
        assert_eq!(
            A::Cn.definition().text(),
            "( 2.5.4.3 NAME ( 'cn' 'commonName' ) SUP name EQUALITY caseIgnoreMatch ORDERING \
             caseIgnoreOrderingMatch SUBSTR caseIgnoreSubstringsMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )"
        );
        assert_eq!(
            class_named("h323identity").unwrap().text(),
            "( 0.0.8.350.1.1.3.2.1 NAME 'h323Identity' SUP top AUXILIARY MAY ( h323Identityh323-ID $ \
             h323IdentitydialedDigits ) )"
        );
    }
}
