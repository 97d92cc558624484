//! One-Touch Join (P6): the body of a calendar's event becomes the alias to dial.
//!
//! ```text
//!  body ─▶ Invitation (subject, start, end, one text) ─▶ rules by priority ─▶ default processing ─▶ Alias ─▶ routing
//!                                                         the first that gives an alias wins
//! ```
//! Rules are the administrator's; default processing, where it is on, comes after them and looks for a `sip:` URI first, else
//! for a Meet link, whose code becomes `<code>@<guest domain>`. What comes out is an alias like one that was dialled: the
//! Call Routing Rules decide what becomes of it, so an invitation gets nobody anywhere that dialling wouldn't.
//!
//! A body is written by anybody. Reading and searching take time linear in it (the `regex` crate has no back-references), a
//! body of 1 MiB and its text of 64 KiB are the most that is looked at, and each rule tries at most 64 places.

mod calendar;
mod fields;
mod find;
mod html;
mod invitation;
mod links;
mod plain;
mod rule;

pub use calendar::{Clock, Moment, Standing};
pub use fields::{Fields, FieldsError, TEMPLATE_BYTES};
pub use invitation::{BODY_BYTES, Invitation, TEXT_BYTES};
pub use rule::{Domain, Kind, NAME_CHARS, Problem, Rule, TYPES, Written};

use crate::routing::RuleState;
use base::Alias;
use std::fmt;

/// Most rules.
pub const MAX_RULES: usize = 200;

/// The meeting processing rules, ready to be asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    rules: Vec<Rule>,
    default: DefaultProcessing,
}

/// What is done where no rule gives an alias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DefaultProcessing {
    /// Nothing.
    Off,
    /// A `sip:` URI is dialled; else a Meet link's code at the guest domain, if there is one.
    On {
        /// Where guests of Meet meetings are dialled.
        guest_domain: Option<Domain>,
    },
}

/// Why rules can't stand together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// More than [`MAX_RULES`].
    #[error("there are {0} meeting processing rules; at most {MAX_RULES} are taken")]
    TooMany(usize),
    /// Two have the same name.
    #[error("two meeting processing rules are called {0:?}; give one of them another name")]
    SameName(String),
}

/// The alias that an invitation gives, and who found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<'r> {
    /// What to dial.
    pub alias: Alias,
    /// Who made it.
    pub by: By<'r>,
}

/// Who is asked for an alias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By<'r> {
    /// A rule.
    Rule {
        /// Its name.
        name: &'r str,
        /// Its priority.
        priority: u8,
    },
    /// Default processing.
    Default,
}

/// What one of them says about an invitation, for the dry run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict<'r> {
    /// Who.
    pub by: By<'r>,
    /// Whether it gives an alias, and if not, why.
    pub outcome: Outcome,
}

/// Whether an alias is given, and if not, why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// This is dialled.
    Gives(Alias),
    /// It is disabled, or off.
    Disabled,
    /// What it looks for is not in the invitation.
    NotFound {
        /// What it looks for.
        sought: String,
    },
    /// It found something that can't be dialled.
    Unusable {
        /// What it made of it.
        made: String,
        /// What is wrong with that.
        why: String,
    },
    /// One before it gave the alias.
    NotAsked,
}

impl Rules {
    /// Takes `rules` in the order they were written.
    ///
    /// # Errors
    /// [`RulesError`] if there are too many, or two of a name.
    pub fn new(mut rules: Vec<Rule>, default: DefaultProcessing) -> Result<Self, RulesError> {
        if rules.len() > MAX_RULES {
            return Err(RulesError::TooMany(rules.len()));
        }
        let mut names: Vec<_> = rules.iter().map(|rule| rule.name.as_str()).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(RulesError::SameName(twice[0].to_owned()));
        }
        rules.sort_by_key(|rule| rule.priority);
        Ok(Self { rules, default })
    }

    /// The rules in the order they are asked.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The alias that `invitation` gives; `None` if nobody finds one.
    #[must_use]
    pub fn alias(&self, invitation: &Invitation) -> Option<Found<'_>> {
        self.asked().find_map(|asked| match asked.outcome(invitation.text()) {
            Outcome::Gives(alias) => Some(Found { alias, by: asked.by() }),
            _ => None,
        })
    }

    /// What each rule says about `invitation`, and default processing last.
    #[must_use]
    pub fn explain(&self, invitation: &Invitation) -> Vec<Verdict<'_>> {
        let mut given = false;
        self.asked()
            .map(|asked| {
                let outcome = if given { Outcome::NotAsked } else { asked.outcome(invitation.text()) };
                given |= matches!(outcome, Outcome::Gives(_));
                Verdict { by: asked.by(), outcome }
            })
            .collect()
    }

    fn asked(&self) -> impl Iterator<Item = Asked<'_>> {
        self.rules.iter().map(Asked::Rule).chain(std::iter::once(Asked::Default(&self.default)))
    }
}

/// Who is asked.
#[derive(Clone, Copy)]
enum Asked<'r> {
    Rule(&'r Rule),
    Default(&'r DefaultProcessing),
}

impl<'r> Asked<'r> {
    fn by(self) -> By<'r> {
        match self {
            Asked::Rule(rule) => By::Rule { name: &rule.name, priority: rule.priority },
            Asked::Default(_) => By::Default,
        }
    }

    fn outcome(self, text: &str) -> Outcome {
        let (made, sought) = match self {
            Asked::Rule(Rule { state: RuleState::Disabled, .. }) | Asked::Default(DefaultProcessing::Off) => {
                return Outcome::Disabled;
            }
            Asked::Rule(rule) => (rule.kind.made(text), rule.kind.sought()),
            Asked::Default(DefaultProcessing::On { guest_domain }) => by_default(text, guest_domain.as_ref()),
        };
        match rule::first_alias(made) {
            Ok(alias) => Outcome::Gives(alias),
            Err(None) => Outcome::NotFound { sought },
            Err(Some((made, why))) => Outcome::Unusable { made, why },
        }
    }
}

/// P6: what can be dialled without a rule, and what was looked for.
fn by_default(text: &str, guest_domain: Option<&Domain>) -> (Vec<String>, String) {
    let mut made: Vec<_> = find::sip_uris(text).iter().map(|address| rule::dialled(address, None)).collect();
    let Some(domain) = guest_domain else {
        return (made, "a sip: URI (there is no guest domain for Meet links)".to_owned());
    };
    made.extend(find::meet_codes(text).iter().map(|code| rule::guest(code, domain, None)));
    (made, "a sip: URI or a link to meet.google.com with a meeting's code".to_owned())
}

impl fmt::Display for Verdict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.by {
            By::Rule { name, priority } => write!(f, "rule {name:?} (priority {priority}) {}", self.outcome),
            By::Default => write!(f, "default processing {}", self.outcome),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Gives(alias) => write!(f, "gives {:?}", alias.short()),
            Outcome::Disabled => f.write_str("is disabled"),
            Outcome::NotFound { sought } => write!(f, "does not find {sought}"),
            Outcome::Unusable { made, why } => write!(f, "makes {made:?}, which can't be dialled: {why}"),
            Outcome::NotAsked => f.write_str("is not asked: one before it gave the alias"),
        }
    }
}

#[cfg(test)]
mod tests;
