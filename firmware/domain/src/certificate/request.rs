//! What a certificate request says (PKCS #10, RFC 2986): names, subject and use, validated before a key signs it.

use super::key::KeyKind;
use crate::appliance::values::{DomainName, shown};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Most names of a request.
pub const REQUEST_NAMES: usize = 32;

/// A request as an administrator fills it in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = CertificateRequest)]
pub struct Draft {
    /// The gateway domains, and other names the box is reached by.
    pub names: Vec<String>,
    /// The kind of key.
    pub key: Option<KeyKind>,
    /// Whose certificate it shall be.
    pub subject: SubjectDraft,
}

/// Whose certificate it shall be; empty fields are left out (RFC 5280 A.1 bounds them).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = CertificateSubject)]
pub struct SubjectDraft {
    /// Up to 64 characters; without one, the first name is taken where it fits.
    pub common_name: String,
    /// Up to 64 characters.
    pub organisation: String,
    /// Up to 64 characters.
    pub organisational_unit: String,
    /// Up to 128 characters.
    pub locality: String,
    /// Up to 128 characters.
    pub state: String,
    /// Two letters (ISO 3166-1).
    pub country: String,
}

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Usage {
    /// A certificate for the gateway's domains: server and client (K2).
    Gateway,
    /// A gateway token: it signs what the box shows to the conference (P3).
    GatewayToken,
}

/// A request that can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsrRequest {
    names: Vec<DomainName>,
    key: KeyKind,
    subject: Vec<(Attribute, String)>,
    usage: Usage,
}

/// A part of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Attribute {
    /// `C`
    Country,
    /// `ST`
    State,
    /// `L`
    Locality,
    /// `O`
    Organisation,
    /// `OU`
    OrganisationalUnit,
    /// `CN`
    CommonName,
}

/// What is wrong with one field of a [`Draft`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{field} {message}")]
pub struct FieldProblem {
    /// Where: `subject.country`, `names[2]`.
    pub field: String,
    /// The rest of a sentence that begins with the field.
    pub message: String,
}

impl CsrRequest {
    /// Reads a draft.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once.
    pub fn new(draft: &Draft, usage: Usage) -> Result<Self, Vec<FieldProblem>> {
        let mut problems = Vec::new();
        let names = names(draft, usage, &mut problems);
        let subject = subject(draft, usage, &names, &mut problems);
        if draft.key.is_none() {
            let kinds = KeyKind::ALL.map(KeyKind::name).join(", ");
            problems.push(problem("key", format!("is missing; take one of {kinds}")));
        }
        match draft.key {
            Some(key) if problems.is_empty() => Ok(Self { names, key, subject, usage }),
            _ => Err(problems),
        }
    }

    /// The subject alternative names.
    #[must_use]
    pub fn names(&self) -> &[DomainName] {
        &self.names
    }

    /// The kind of key that signs it.
    #[must_use]
    pub const fn key(&self) -> KeyKind {
        self.key
    }

    /// The subject's parts, in the order in which they are written.
    #[must_use]
    pub fn subject(&self) -> &[(Attribute, String)] {
        &self.subject
    }

    /// What it is for.
    #[must_use]
    pub const fn usage(&self) -> Usage {
        self.usage
    }
}

fn problem(field: impl Into<String>, message: impl Into<String>) -> FieldProblem {
    FieldProblem { field: field.into(), message: message.into() }
}

fn names(draft: &Draft, usage: Usage, problems: &mut Vec<FieldProblem>) -> Vec<DomainName> {
    let mut names = Vec::<DomainName>::new();
    match (usage, draft.names.len()) {
        (Usage::GatewayToken, 1..) => {
            problems.push(problem(
                "names",
                "stand in no gateway token; leave them out, and write subject.common_name",
            ));
        }
        (Usage::Gateway, 0) => {
            problems.push(problem("names", "is empty; write the gateway domains, such as meet.example.com"));
        }
        (Usage::Gateway, count) if count > REQUEST_NAMES => {
            problems.push(problem("names", format!("holds {count}; at most {REQUEST_NAMES} are taken")));
        }
        (Usage::Gateway | Usage::GatewayToken, _) => {
            for (index, text) in draft.names.iter().enumerate() {
                match name(text) {
                    Ok(name) if names.contains(&name) => {
                        let message = format!("{} stands there twice; remove one", shown(text));
                        problems.push(problem(format!("names[{index}]"), message));
                    }
                    Ok(name) => names.push(name),
                    Err(message) => problems.push(problem(format!("names[{index}]"), message)),
                }
            }
        }
    }
    names
}

fn name(text: &str) -> Result<DomainName, String> {
    if text.contains('*') {
        let why = "is a wildcard, which SIP matches with nothing (RFC 5922 7.2); write each name";
        return Err(format!("{} {why}", shown(text)));
    }
    let name = DomainName::parse(text)?;
    if !name.as_str().contains('.') {
        return Err(format!(
            "{} has one part only; write the whole name, such as meet.example.com",
            shown(text)
        ));
    }
    Ok(name)
}

/// The parts of a subject, in the order of RFC 4519's examples, with the most characters of each.
fn subject(
    draft: &Draft,
    usage: Usage,
    names: &[DomainName],
    problems: &mut Vec<FieldProblem>,
) -> Vec<(Attribute, String)> {
    let of = &draft.subject;
    let mut subject = Vec::new();
    if let Some(country) = country(&of.country, problems) {
        subject.push((Attribute::Country, country));
    }
    for (attribute, field, text, most) in [
        (Attribute::State, "state", &of.state, 128),
        (Attribute::Locality, "locality", &of.locality, 128),
        (Attribute::Organisation, "organisation", &of.organisation, 64),
        (Attribute::OrganisationalUnit, "organisational_unit", &of.organisational_unit, 64),
        (Attribute::CommonName, "common_name", &of.common_name, 64),
    ] {
        let text = text.trim();
        if text.chars().count() > most || text.chars().any(char::is_control) {
            let message = format!("{} must have at most {most} printable characters", shown(text));
            problems.push(problem(format!("subject.{field}"), message));
        } else if !text.is_empty() {
            subject.push((attribute, text.to_owned()));
        }
    }
    if of.common_name.trim().is_empty() {
        match (usage, names.first().filter(|name| name.as_str().len() <= 64)) {
            (Usage::GatewayToken, _) => {
                let message = "is missing; write the gateway's name, by which the conference knows it";
                problems.push(problem("subject.common_name", message));
            }
            (Usage::Gateway, Some(name)) => subject.push((Attribute::CommonName, name.as_str().to_owned())),
            // Names alone will do (RFC 5280 4.2.1.6).
            (Usage::Gateway, None) => {}
        }
    }
    subject
}

fn country(text: &str, problems: &mut Vec<FieldProblem>) -> Option<String> {
    let country = text.trim().to_ascii_uppercase();
    if country.is_empty() {
        return None;
    }
    if country.len() != 2 || !country.bytes().all(|b| b.is_ascii_uppercase()) {
        let message = format!("{} is no country; write its two letters, such as CH", shown(text));
        problems.push(problem("subject.country", message));
        return None;
    }
    Some(country)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> Draft {
        let names = vec!["Meet.example.com".to_owned(), "skype.example.com".to_owned()];
        Draft { names, key: Some(KeyKind::EcdsaP256), subject: SubjectDraft::default() }
    }

    #[test]
    fn a_request_without_a_common_name_takes_the_first_domain() {
        let request = CsrRequest::new(&draft(), Usage::Gateway).unwrap();
        assert_eq!(request.subject(), [(Attribute::CommonName, "meet.example.com".to_owned())]);
        let mut long = draft();
        long.names = vec![format!("{}.example.com", "a".repeat(63))];
        assert!(CsrRequest::new(&long, Usage::Gateway).unwrap().subject().is_empty());
    }

    #[test]
    fn all_that_is_wrong_with_a_request_is_told_at_once() {
        let wrong = Draft {
            names: vec![
                "*.example.com".into(),
                "a.b".into(),
                "A.b.".into(),
                "meet".into(),
                "10.0.0.1".into(),
            ],
            key: None,
            subject: SubjectDraft {
                country: "Switzerland".into(),
                organisation: "o".repeat(65),
                locality: "a\nb".into(),
                ..SubjectDraft::default()
            },
        };
        let problems = CsrRequest::new(&wrong, Usage::Gateway).unwrap_err();
        let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
        let wanted = [
            "names[0]",
            "names[2]",
            "names[3]",
            "names[4]",
            "subject.country",
            "subject.locality",
            "subject.organisation",
            "key",
        ];
        assert_eq!(fields, wanted);
        assert!(
            problems[0].to_string().starts_with("names[0] \"*.example.com\" is a wildcard"),
            "{}",
            problems[0]
        );
    }

    #[test]
    fn a_gateway_token_has_a_name_and_no_domains() {
        let mut token = draft();
        let fields = |draft: &Draft| {
            let problems = CsrRequest::new(draft, Usage::GatewayToken).unwrap_err();
            problems.into_iter().map(|problem| problem.field).collect::<Vec<_>>()
        };
        assert_eq!(fields(&token), ["names", "subject.common_name"]);
        token.names.clear();
        token.subject.common_name = "gateway-1".to_owned();
        let request = CsrRequest::new(&token, Usage::GatewayToken).unwrap();
        assert_eq!((request.names(), request.usage()), (&[][..], Usage::GatewayToken));
    }

    #[test]
    fn no_request_and_too_many_names_are_refused() {
        let mut none = draft();
        none.names.clear();
        assert!(CsrRequest::new(&none, Usage::Gateway).unwrap_err()[0].message.contains("is empty"));
        none.names = (0..33).map(|n| format!("n{n}.example.com")).collect();
        assert!(CsrRequest::new(&none, Usage::Gateway).unwrap_err()[0].message.contains("at most 32"));
    }

    #[test]
    fn key_kinds_are_read_as_they_are_written() {
        for kind in KeyKind::ALL {
            let text = serde_json::to_string(&kind).unwrap();
            assert_eq!(text, format!("\"{kind}\""));
            assert_eq!(serde_json::from_str::<KeyKind>(&text).unwrap(), kind);
        }
    }
}
