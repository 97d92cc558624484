//! A meeting processing rule (P6): as administrators write it, checked whole, and as it is asked.

use super::fields::Fields;
use super::find::{self, Address, PLACES};
use crate::routing::{PRIORITIES, RuleState, Search, Template};
use base::Alias;
use serde::{Deserialize, Serialize};

/// Longest name, in characters.
pub const NAME_CHARS: usize = 64;
/// Longest domain, in bytes (RFC 1035 2.3.4).
const DOMAIN_BYTES: usize = 253;

/// What makes an alias of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Unique among the rules.
    pub name: String,
    /// One of [`PRIORITIES`], lowest asked first.
    pub priority: u8,
    /// Whether it is asked at all.
    pub state: RuleState,
    /// What it looks for, and what becomes of it.
    pub kind: Kind,
}

/// What a rule looks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// A Meet link's code, as a guest of this domain.
    GoogleMeetSipGuestJoin {
        /// The guest domain.
        domain: Domain,
        /// Made of `code` and `domain`; `${code}@${domain}` without.
        template: Option<Fields>,
    },
    /// A `sip:` or `sips:` URI.
    SipUri {
        /// Only at this domain.
        domain: Option<Domain>,
        /// Made of `user` and `host`; `${user}@${host}` without.
        template: Option<Fields>,
    },
    /// An address at a domain, whether `sip:` stands before it or not.
    Domain {
        /// The domain.
        domain: Domain,
        /// Made of `user` and `host`; `${user}@${host}` without.
        template: Option<Fields>,
    },
    /// What a regex finds, replaced as in a Call Routing Rule.
    Regex {
        /// Looked for anywhere in the text.
        search: Search,
        /// What becomes of it.
        replace: Template,
    },
    /// What a regex with named groups finds, put into a template.
    Custom {
        /// Looked for anywhere in the text.
        search: Search,
        /// Made of the regex's named groups.
        template: Fields,
    },
}

/// A domain in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain(String);

/// A rule as administrators write it; what its type does not use is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Written {
    /// Unique among the rules.
    pub name: String,
    /// 1 to 200.
    pub priority: u8,
    /// Whether it is asked.
    pub enabled: bool,
    /// One of [`TYPES`].
    #[serde(rename = "type")]
    pub kind: String,
    /// Of `regex` and `custom`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
    /// Of `regex`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replace: Option<String>,
    /// Of all but `regex`; only `custom` must have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// Of `google-meet-sip-guest-join` and `domain`; `sip-uri` may have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
}

/// The types of rules, as they are written.
pub const TYPES: [&str; 5] = ["google-meet-sip-guest-join", "sip-uri", "domain", "regex", "custom"];

/// Something wrong in a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The field, such as `regex`.
    pub field: &'static str,
    /// What is wrong and the way out; follows the field's name in a sentence.
    pub message: String,
}

impl Domain {
    /// Reads a domain or address: `rooms.example.com`.
    ///
    /// # Errors
    /// What is wrong and the way out; follows the field's name in a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let lower = text.trim_end_matches('.').to_ascii_lowercase();
        let good = lower.len() <= DOMAIN_BYTES && lower.contains('.') && lower.split('.').all(label);
        good.then_some(Self(lower))
            .ok_or_else(|| format!("{text:?} is no domain; write a name such as \"rooms.example.com\""))
    }

    /// The domain.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Written {
    /// The rule that is meant.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn check(&self) -> Result<Rule, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut wrong = |field, message: String| problems.push(Problem { field, message });
        if self.name.trim().is_empty()
            || self.name.chars().count() > NAME_CHARS
            || self.name.chars().any(char::is_control)
        {
            wrong("name", format!("must have 1 to {NAME_CHARS} printable characters"));
        }
        if !PRIORITIES.contains(&self.priority) {
            let (first, last) = (PRIORITIES.start(), PRIORITIES.end());
            wrong("priority", format!("must be a whole number from {first} to {last}"));
        }
        let kind = self.meant(&|_| None, &mut wrong);
        match kind {
            Some(kind) if problems.is_empty() => Ok(Rule {
                name: self.name.clone(),
                priority: self.priority,
                state: if self.enabled { RuleState::Enabled } else { RuleState::Disabled },
                kind,
            }),
            _ => Err(problems),
        }
    }

    /// What it looks for, by its type; everything that is wrong is told. What was compiled before is `known`.
    pub(crate) fn meant(
        &self,
        known: &dyn Fn(&str) -> Option<Search>,
        wrong: &mut dyn FnMut(&'static str, String),
    ) -> Option<Kind> {
        let used: &[&str] = match self.kind.as_str() {
            "google-meet-sip-guest-join" | "sip-uri" | "domain" => &["domain", "template"],
            "regex" => &["regex", "replace"],
            "custom" => &["regex", "template"],
            other => {
                wrong(
                    "type",
                    format!("{other:?} is not known; take {}", TYPES.map(|t| format!("{t:?}")).join(", ")),
                );
                return None;
            }
        };
        let written = [
            ("regex", &self.regex),
            ("replace", &self.replace),
            ("template", &self.template),
            ("domain", &self.domain),
        ];
        for (field, value) in written {
            if value.is_some() && !used.contains(&field) {
                wrong(field, format!("is not used by type {:?}; leave it out", self.kind));
            }
        }
        match self.kind.as_str() {
            "google-meet-sip-guest-join" => {
                let domain = self.domain(Needed::Yes, wrong);
                let template = self.template(&["code", "domain"], wrong);
                Some(Kind::GoogleMeetSipGuestJoin { domain: domain?, template: template? })
            }
            "sip-uri" => {
                let domain = self
                    .domain
                    .is_none()
                    .then_some(None)
                    .or_else(|| self.domain(Needed::No, wrong).map(Some));
                let template = self.template(&["user", "host"], wrong);
                Some(Kind::SipUri { domain: domain?, template: template? })
            }
            "domain" => {
                let domain = self.domain(Needed::Yes, wrong);
                let template = self.template(&["user", "host"], wrong);
                Some(Kind::Domain { domain: domain?, template: template? })
            }
            "regex" => {
                let search = self.search(known, wrong)?;
                let replace = self.replace.as_deref().unwrap_or(r"\0");
                let replace =
                    search.template(replace).map_err(|error| wrong("replace", error.to_string())).ok()?;
                Some(Kind::Regex { search, replace })
            }
            _ => {
                let search = self.search(known, wrong)?;
                let Some(template) = self.template.as_deref() else {
                    wrong(
                        "template",
                        "is missing; write what is dialled, such as \"${id:digits}@rooms.example.com\""
                            .to_owned(),
                    );
                    return None;
                };
                let template = Fields::parse(template, |name| search.has_group(name), &search.groups())
                    .map_err(|error| wrong("template", error.to_string()))
                    .ok()?;
                Some(Kind::Custom { search, template })
            }
        }
    }

    fn domain(&self, needed: Needed, wrong: &mut dyn FnMut(&'static str, String)) -> Option<Domain> {
        match (&self.domain, needed) {
            (Some(domain), _) => Domain::parse(domain).map_err(|message| wrong("domain", message)).ok(),
            (None, Needed::Yes) => {
                wrong("domain", format!("is missing; type {:?} needs one", self.kind));
                None
            }
            (None, Needed::No) => None,
        }
    }

    /// `Some(None)` if there is none.
    fn template(
        &self,
        names: &[&str],
        wrong: &mut dyn FnMut(&'static str, String),
    ) -> Option<Option<Fields>> {
        let Some(template) = &self.template else { return Some(None) };
        Fields::parse(template, |name| names.contains(&name), &names.join(", "))
            .map_err(|error| wrong("template", error.to_string()))
            .ok()
            .map(Some)
    }

    fn search(
        &self,
        known: &dyn Fn(&str) -> Option<Search>,
        wrong: &mut dyn FnMut(&'static str, String),
    ) -> Option<Search> {
        let Some(regex) = self.regex.as_deref() else {
            wrong("regex", format!("is missing; type {:?} needs one", self.kind));
            return None;
        };
        known(regex)
            .map_or_else(|| Search::parse(regex), Ok)
            .map_err(|error| wrong("regex", format!("{regex:?} {error}")))
            .ok()
    }
}

/// Whether a field must be there.
#[derive(Clone, Copy)]
enum Needed {
    Yes,
    No,
}

impl Kind {
    /// What it searches for, where it does.
    pub(crate) fn search(&self) -> Option<&Search> {
        match self {
            Kind::Regex { search, .. } | Kind::Custom { search, .. } => Some(search),
            Kind::GoogleMeetSipGuestJoin { .. } | Kind::SipUri { .. } | Kind::Domain { .. } => None,
        }
    }

    /// What it makes of a text, the first place first; what can't be dialled is among it.
    pub(super) fn made(&self, text: &str) -> Vec<String> {
        match self {
            Kind::GoogleMeetSipGuestJoin { domain, template } => {
                find::meet_codes(text).iter().map(|code| guest(code, domain, template.as_ref())).collect()
            }
            Kind::SipUri { domain, template } => {
                let at = |address: &Address| domain.as_ref().is_none_or(|domain| domain.0 == address.host);
                let found = find::sip_uris(text).into_iter().filter(at);
                found.map(|address| dialled(&address, template.as_ref())).collect()
            }
            Kind::Domain { domain, template } => {
                let found = find::addresses_at(text, &domain.0).into_iter();
                found.map(|address| dialled(&address, template.as_ref())).collect()
            }
            Kind::Regex { search, replace } => search.replaced(text, replace, PLACES),
            Kind::Custom { search, template } => {
                let value = |groups: &[(String, String)], name: &str| {
                    let found = groups.iter().find(|(group, _)| group == name);
                    found.map(|(_, value)| value.clone()).unwrap_or_default()
                };
                let places = search.named(text, PLACES);
                places.iter().map(|groups| template.filled(|name| value(groups, name))).collect()
            }
        }
    }

    /// What it looks for, for people.
    pub(super) fn sought(&self) -> String {
        match self {
            Kind::GoogleMeetSipGuestJoin { .. } => {
                "a link to meet.google.com with a meeting's code".to_owned()
            }
            Kind::SipUri { domain: None, .. } => "a sip: URI".to_owned(),
            Kind::SipUri { domain: Some(domain), .. } => format!("a sip: URI at {:?}", domain.0),
            Kind::Domain { domain, .. } => format!("an address at {:?}", domain.0),
            Kind::Regex { search, .. } | Kind::Custom { search, .. } => {
                format!("what looks like {:?}", search.as_str())
            }
        }
    }
}

/// How a guest of a Meet meeting is dialled.
pub(super) fn guest(code: &str, domain: &Domain, template: Option<&Fields>) -> String {
    let value = |name: &str| if name == "code" { code.to_owned() } else { domain.0.clone() };
    template.map_or_else(|| format!("{code}@{}", domain.0), |template| template.filled(value))
}

/// How an address is dialled.
pub(super) fn dialled(address: &Address, template: Option<&Fields>) -> String {
    let Address { user, host } = address;
    let value = |name: &str| if name == "user" { user.clone() } else { host.clone() };
    template.map_or_else(|| format!("{user}@{host}"), |template| template.filled(value))
}

/// The first of these that can be dialled; else why the first can't.
pub(super) fn first_alias(made: Vec<String>) -> Result<Alias, Option<(String, String)>> {
    let mut refused = None;
    for text in made {
        match Alias::parse(&text, "sip") {
            // `1234@` and `@a.example` reach nobody.
            Ok(alias) if alias.user().is_empty() || alias.domain() == Some("") => {
                refused.get_or_insert((text, "half of the address is missing".to_owned()));
            }
            Ok(alias) => return Ok(alias),
            Err(error) => {
                refused.get_or_insert((text, error.to_string()));
            }
        }
    }
    Err(refused)
}
