//! Call routing (P4): which rule takes a call, and what becomes of its alias.
//!
//! Rules are asked by priority, lowest first, then in the order they were written; the first that matches takes the
//! call. All patterns are searched in a few searches, so the time hardly grows with their number: a thousand rules route in 12 to 15 µs
//! where each call meets another of a thousand tenants' patterns (`cargo xtask bench routing`). The search builds its tables as it meets
//! new texts, so the very first calls take up to 1.5 ms.

mod pattern;
mod rule;

pub use pattern::{Pattern, PatternError, Search, Template, TemplateError};
pub use rule::{
    AliasForm, CALL_RATES_KBPS, CallType, Callers, Direction, Encryption, Location, Match, Network,
    PRIORITIES, Rule, RuleState, Target,
};

use base::Alias;
use base::Secret;
use base::leg::{Dialled, Protocol};
use pattern::Patterns;
use std::fmt;

/// The group of a pattern whose text is the meeting's PIN: it goes to the conference apart from the id (W2).
pub const PIN_GROUP: &str = "pin";
/// Longest meeting id, in characters.
const MEETING_CHARS: usize = 64;

/// All rules, ready to route.
#[derive(Debug, Clone)]
pub struct Router {
    rules: Vec<Rule>,
    locations: Vec<Location>,
    aliases: Sieve,
    full_uris: Sieve,
}

/// The patterns that see one form of the alias, and whose they are.
#[derive(Debug, Clone)]
struct Sieve {
    patterns: Patterns,
    rules: Vec<usize>,
}

/// What the rules say about a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision<'a> {
    /// The rule that takes it.
    pub rule: &'a Rule,
    /// What the alias became: the meeting's id for a conference, else an alias to call.
    pub alias: String,
    /// The PIN that stood in the alias.
    pub pin: Option<Secret<String>>,
}

/// What one rule says about a call, for the dry run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The rule's name.
    pub rule: String,
    /// The rule's priority.
    pub priority: u8,
    /// Whether it takes the call, and if not, why.
    pub outcome: Outcome,
}

/// Whether a rule takes a call, and if not, why: the first thing that stands against it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It takes it; the alias becomes this.
    Takes(String),
    /// It is disabled.
    Disabled,
    /// The call goes the other way.
    WrongDirection(Direction),
    /// The caller is not registered here.
    NotRegistered,
    /// It takes other protocols only.
    WrongProtocol(Protocol),
    /// The caller is elsewhere: in this location, or in none.
    WrongLocation(Option<String>),
    /// The alias does not look like its pattern.
    NoMatch {
        /// What the pattern saw.
        seen: String,
        /// The pattern.
        pattern: String,
    },
    /// The alias matched, but became something that can't be called.
    BadResult(String),
}

impl Router {
    /// Takes `rules` in the order they were written.
    ///
    /// # Errors
    /// [`PatternError::TooLarge`] if their patterns are, taken together.
    pub fn new(rules: Vec<Rule>, locations: Vec<Location>) -> Result<Self, PatternError> {
        Self::after(None, rules, locations)
    }

    /// As [`new`](Self::new), faster where the patterns are those of `before`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn after(
        before: Option<&Self>,
        mut rules: Vec<Rule>,
        locations: Vec<Location>,
    ) -> Result<Self, PatternError> {
        rules.sort_by_key(|rule| rule.priority);
        let aliases = Sieve::new(&rules, AliasForm::Alias, before.map(|before| &before.aliases.patterns))?;
        let full_uris =
            Sieve::new(&rules, AliasForm::FullUri, before.map(|before| &before.full_uris.patterns))?;
        Ok(Self { rules, locations, aliases, full_uris })
    }

    /// The rules in the order they are asked.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rule that takes this call and what it makes of the alias; `None` if no rule does.
    #[must_use]
    pub fn route(&self, call: &Dialled, direction: Direction) -> Option<Decision<'_>> {
        let location = self.location(call);
        let by_alias = self.first(&self.aliases, call.alias.short(), call, direction, location);
        let by_uri = if self.full_uris.rules.is_empty() {
            None
        } else {
            self.first(&self.full_uris, &call.alias.full(), call, direction, location)
        };
        let (_, decision) = match (by_alias, by_uri) {
            (Some(a), Some(b)) => Some(if a.0 < b.0 { a } else { b }),
            (a, b) => a.or(b),
        }?;
        Some(decision)
    }

    /// What each rule says about this call, up to the one that takes it.
    #[must_use]
    pub fn explain(&self, call: &Dialled, direction: Direction) -> Vec<Verdict> {
        let location = self.location(call);
        let mut verdicts = Vec::new();
        for rule in &self.rules {
            let outcome = match rule.take(call, direction, location) {
                Ok(decision) => Outcome::Takes(decision.alias),
                Err(outcome) => outcome,
            };
            let taken = matches!(outcome, Outcome::Takes(_));
            verdicts.push(Verdict { rule: rule.name.clone(), priority: rule.priority, outcome });
            if taken {
                break;
            }
        }
        verdicts
    }

    fn first(
        &self,
        sieve: &Sieve,
        seen: &str,
        call: &Dialled,
        direction: Direction,
        location: Option<&str>,
    ) -> Option<(usize, Decision<'_>)> {
        sieve.patterns.matches(seen).find_map(|index| {
            let place = *sieve.rules.get(index)?;
            let decision = self.rules.get(place)?.take(call, direction, location).ok()?;
            Some((place, decision))
        })
    }

    fn location(&self, call: &Dialled) -> Option<&str> {
        let source = call.source.ip();
        let holds = |location: &&Location| location.networks.iter().any(|network| network.contains(source));
        self.locations.iter().find(holds).map(|location| location.name.as_str())
    }
}

impl Sieve {
    fn new(rules: &[Rule], form: AliasForm, before: Option<&Patterns>) -> Result<Self, PatternError> {
        let of_form = || rules.iter().enumerate().filter(move |(_, rule)| rule.matches.form == form);
        Ok(Self {
            patterns: Patterns::new(of_form().map(|(_, rule)| &rule.matches.pattern), before)?,
            rules: of_form().map(|(place, _)| place).collect(),
        })
    }
}

impl Rule {
    fn take(
        &self,
        call: &Dialled,
        direction: Direction,
        location: Option<&str>,
    ) -> Result<Decision<'_>, Outcome> {
        self.admits(call, direction, location)?;
        let Match { form, pattern, .. } = &self.matches;
        let seen = match form {
            AliasForm::Alias => call.alias.short().to_owned(),
            AliasForm::FullUri => call.alias.full(),
        };
        if !pattern.matches(&seen) {
            return Err(Outcome::NoMatch { seen, pattern: pattern.as_str().to_owned() });
        }
        let replaced = pattern.replace(&seen, &self.replace).unwrap_or_default();
        let alias = match &self.target {
            Target::Conference { .. } => meeting_id(&replaced),
            Target::Device { .. } | Target::External { .. } => {
                Alias::parse(&replaced, "sip").ok().map(|alias| alias.short().to_owned())
            }
        };
        let alias = alias.ok_or(Outcome::BadResult(replaced))?;
        let pin = pattern.group(&seen, PIN_GROUP).filter(|pin| !pin.is_empty()).map(Secret::new);
        Ok(Decision { rule: self, alias, pin })
    }

    fn admits(&self, call: &Dialled, direction: Direction, location: Option<&str>) -> Result<(), Outcome> {
        let Match { directions, callers, protocols, locations, .. } = &self.matches;
        if self.state == RuleState::Disabled {
            return Err(Outcome::Disabled);
        }
        if !directions.contains(&direction) {
            return Err(Outcome::WrongDirection(direction));
        }
        if *callers == Callers::Registered && !call.registered {
            return Err(Outcome::NotRegistered);
        }
        if !protocols.contains(&call.protocol) {
            return Err(Outcome::WrongProtocol(call.protocol));
        }
        if !locations.is_empty() && !location.is_some_and(|location| locations.contains(location)) {
            return Err(Outcome::WrongLocation(location.map(str::to_owned)));
        }
        Ok(())
    }
}

/// The meeting in what an alias became: without scheme and domain, letters, digits and hyphens.
fn meeting_id(replaced: &str) -> Option<String> {
    let alias = Alias::parse(replaced, "sip").ok()?;
    let id = alias.user();
    let good =
        (1..=MEETING_CHARS).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    good.then(|| id.to_owned())
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {:?} (priority {}) {}", self.rule, self.priority, self.outcome)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Takes(alias) => write!(f, "takes the call; the alias becomes {alias:?}"),
            Outcome::Disabled => f.write_str("is disabled"),
            Outcome::WrongDirection(Direction::Incoming) => f.write_str("takes outgoing calls only"),
            Outcome::WrongDirection(Direction::Outgoing) => f.write_str("takes incoming calls only"),
            Outcome::NotRegistered => f.write_str("takes registered devices only, and the caller is none"),
            Outcome::WrongProtocol(protocol) => write!(f, "does not take {} calls", protocol_name(*protocol)),
            Outcome::WrongLocation(Some(location)) => {
                write!(f, "does not take calls from location {location:?}")
            }
            Outcome::WrongLocation(None) => {
                f.write_str("takes calls from its locations only, and the caller is in none")
            }
            Outcome::NoMatch { seen, pattern } => write!(f, "does not match: {seen:?} is not {pattern:?}"),
            Outcome::BadResult(result) => {
                write!(f, "matches, but its replace string makes {result:?}, which can't be called")
            }
        }
    }
}

/// What a protocol is called in configurations and messages.
#[must_use]
pub fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Sip => "sip",
        Protocol::H323 => "h323",
        Protocol::MsSip => "ms-sip",
        Protocol::WebRtc => "webrtc",
        Protocol::Rtmp => "rtmp",
        Protocol::Teams => "teams",
        Protocol::Meet => "meet",
    }
}

#[cfg(test)]
mod tests;
