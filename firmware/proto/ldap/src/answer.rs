//! What is answered at once: bind (RFC 4513), compare, extended operations.

use crate::ber::Writer;
use crate::connection::{Anonymous, Service};
use crate::dn::Dn;
use crate::filter::{Filter, Truth};
use crate::message::{Authentication, EXTENDED};
use crate::result::{Outcome, ResultCode, response};
use crate::schema;
use crate::tree::Tree;

/// Who am I (RFC 4532).
const WHO_AM_I: &str = "1.3.6.1.4.1.4203.1.11.3";
/// Extended operations that the root DSE names.
pub(crate) const EXTENSIONS: &[&str] = &[WHO_AM_I];
/// Features that the root DSE names: `+` for all operational attributes (RFC 3673), filters that are always true or false (RFC 4526).
pub(crate) const FEATURES: &[&str] = &["1.3.6.1.4.1.4203.1.5.1", "1.3.6.1.4.1.4203.1.5.3"];
/// Tells the peer why its connection is closed (RFC 4511 4.4.1).
const DISCONNECTION: &str = "1.3.6.1.4.1.1466.20036";

/// Who speaks on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identity {
    Nobody,
    /// The phonebook's user.
    User,
}

/// A bind: who it is now, and what is answered.
pub(crate) fn bind(
    service: &Service,
    tree: &Tree,
    version: i32,
    name: &str,
    authentication: &Authentication<'_>,
) -> (Identity, Outcome) {
    let refused = |code, text| (Identity::Nobody, Outcome::new(code, text));
    if version != 3 {
        return refused(ResultCode::ProtocolError, "only LDAP version 3 is spoken");
    }
    let Authentication::Simple(password) = authentication else {
        return refused(ResultCode::AuthMethodNotSupported, "only simple binds are taken");
    };
    match (name, *password) {
        ("", []) if service.anonymous == Anonymous::Allowed => {
            (Identity::Nobody, Outcome::new(ResultCode::Success, ""))
        }
        ("", []) => refused(ResultCode::InappropriateAuthentication, "a user and a password are needed here"),
        // A client that forgot its password must not believe that it was right (RFC 4513 5.1.2).
        (_, []) => refused(ResultCode::UnwillingToPerform, "a password is needed with a name"),
        (name, password) if is_right(service, tree, name, password) => {
            (Identity::User, Outcome::new(ResultCode::Success, ""))
        }
        _ => refused(ResultCode::InvalidCredentials, ""),
    }
}

/// The user is called by the name that is configured, by its distinguished name under the base, or by one that is itself configured.
fn is_right(service: &Service, tree: &Tree, name: &str, password: &[u8]) -> bool {
    let Some(login) = &service.login else { return false };
    let named = name == login.user
        || Dn::parse(name).is_some_and(|dn| {
            tree.is_user(&dn, &login.user) || Dn::parse(&login.user).is_some_and(|user| user == dn)
        });
    named & login.password.is(password)
}

/// A comparison (RFC 4511 4.10).
pub(crate) fn compare(tree: &Tree, name: &str, attribute: &str, value: &[u8]) -> Outcome {
    let Some(dn) = Dn::parse(name) else {
        return Outcome::new(ResultCode::InvalidDnSyntax, "the entry's name is no distinguished name");
    };
    let Some(entry) = tree.named(&dn) else { return Outcome::new(ResultCode::NoSuchObject, "") };
    let Some(known) = schema::attribute_named(attribute) else {
        return Outcome::new(ResultCode::UndefinedAttributeType, "");
    };
    let held = known.with_subtypes();
    if !entry.values().any(|(attribute, _)| held.contains(attribute)) {
        return Outcome::new(ResultCode::NoSuchAttribute, "");
    }
    match Filter::equal(known, value).holds(entry) {
        Truth::True => Outcome::new(ResultCode::CompareTrue, ""),
        Truth::False | Truth::Undefined => Outcome::new(ResultCode::CompareFalse, ""),
    }
}

/// An extended operation.
pub(crate) fn extended(writer: &mut Writer, id: i32, name: &str, identity: Identity, service: &Service) {
    const NAME: u8 = 0x8a;
    const VALUE: u8 = 0x8b;
    let who = match (identity, &service.login) {
        (Identity::User, Some(login)) if Dn::parse(&login.user).is_some() => format!("dn:{}", login.user),
        (Identity::User, Some(login)) => format!("u:{}", login.user),
        (Identity::User, None) | (Identity::Nobody, _) => String::new(),
    };
    let (outcome, value) = match name {
        WHO_AM_I => (Outcome::new(ResultCode::Success, ""), Some(who)),
        // StartTLS is answered so where there is none (RFC 4511 4.14.2).
        _ => (Outcome::new(ResultCode::ProtocolError, "this extended operation is not known"), None),
    };
    let more = |w: &mut Writer| match value {
        Some(value) => w.octets(VALUE, value.as_bytes()),
        None => w.octets(NAME, name.as_bytes()),
    };
    response(writer, id, EXTENDED.1, &outcome, more, |_| {});
}

/// The notice that the connection is closed, and why.
pub(crate) fn disconnection(writer: &mut Writer, code: ResultCode, text: &'static str) {
    const NAME: u8 = 0x8a;
    let name = |w: &mut Writer| w.octets(NAME, DISCONNECTION.as_bytes());
    response(writer, 0, EXTENDED.1, &Outcome::new(code, text), name, |_| {});
}

/// Any other response.
pub(crate) fn plain(writer: &mut Writer, id: i32, tag: u8, outcome: &Outcome) {
    response(writer, id, tag, outcome, |_| {}, |_| {});
}
