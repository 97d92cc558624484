//! A search's filter (RFC 4511 4.5.1.7): read from the wire within bounds, held against entries in three-valued logic.

use crate::ber::{self, Malformed, OCTETS, Reader, SEQUENCE, Tag};
use crate::entry::Entry;
use crate::matching::{Place, Rule};
use crate::schema::{self, Attribute, AttributeSet};

/// Deepest nesting of `and`, `or` and `not`.
pub(crate) const MAX_DEPTH: usize = 16;
/// Most parts of a filter, pieces of substrings counted.
pub(crate) const MAX_TERMS: usize = 256;

const AND: Tag = 0xa0;
const OR: Tag = 0xa1;
const NOT: Tag = 0xa2;
const EQUAL: Tag = 0xa3;
const SUBSTRINGS: Tag = 0xa4;
const AT_LEAST: Tag = 0xa5;
const AT_MOST: Tag = 0xa6;
const PRESENT: Tag = 0x87;
const APPROXIMATE: Tag = 0xa8;
const EXTENSIBLE: Tag = 0xa9;
const INITIAL: Tag = 0x80;
const ANY: Tag = 0x81;
const FINAL: Tag = 0x82;

/// A filter whose attributes are known and whose assertions are prepared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Filter {
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    Present(AttributeSet),
    Test(AttributeSet, Assertion),
    /// The same for every entry.
    Constant(Truth),
}

/// What is asked of a value's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Assertion {
    Equal(String),
    AtLeast(String),
    AtMost(String),
    Pieces { initial: Option<String>, any: Vec<String>, last: Option<String> },
}

/// True, false, or neither (RFC 4511 4.5.1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Truth {
    True,
    False,
    Undefined,
}

impl Filter {
    /// Reads the filter that is next.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut terms = 0;
        Self::nested(reader, MAX_DEPTH, &mut terms)
    }

    fn nested(reader: &mut Reader<'_>, depth: usize, terms: &mut usize) -> Result<Self, Malformed> {
        let depth = depth.checked_sub(1).ok_or(Malformed("a filter that is nested too deep"))?;
        count(terms)?;
        let (tag, contents) = reader.any()?;
        let mut inner = Reader::new(contents);
        let filter = match tag {
            AND => Self::And(Self::list(&mut inner, depth, terms)?),
            OR => Self::Or(Self::list(&mut inner, depth, terms)?),
            NOT => Self::Not(Box::new(Self::nested(&mut inner, depth, terms)?)),
            PRESENT => return Ok(present(ber::text(contents)?)),
            // Without an approximate rule it is equality (RFC 4511 4.5.1.7.6).
            EQUAL | APPROXIMATE => compared(&mut inner, |_| true, Assertion::Equal)?,
            AT_LEAST => compared(&mut inner, Rule::has_order, Assertion::AtLeast)?,
            AT_MOST => compared(&mut inner, Rule::has_order, Assertion::AtMost)?,
            SUBSTRINGS => pieces(&mut inner, terms)?,
            EXTENSIBLE => return Ok(Self::Constant(Truth::Undefined)),
            _ => return Err(Malformed("a filter of an unknown kind")),
        };
        if inner.is_empty() { Ok(filter) } else { Err(Malformed("a filter with more than belongs to it")) }
    }

    fn list(inner: &mut Reader<'_>, depth: usize, terms: &mut usize) -> Result<Vec<Self>, Malformed> {
        let mut list = Vec::new();
        while !inner.is_empty() {
            list.push(Self::nested(inner, depth, terms)?);
        }
        Ok(list)
    }

    /// That `attribute` has this value.
    pub(crate) fn equal(attribute: Attribute, value: &[u8]) -> Self {
        let key = |value| attribute.definition().rule.key(value, Place::Whole);
        let key = std::str::from_utf8(value).ok().and_then(key);
        let test = |key| Self::Test(attribute.with_subtypes(), Assertion::Equal(key));
        key.map_or(Self::Constant(Truth::Undefined), test)
    }

    /// Parts that are held against each entry.
    pub(crate) fn terms(&self) -> usize {
        1 + match self {
            Self::And(list) | Self::Or(list) => list.iter().map(Self::terms).sum(),
            Self::Not(one) => one.terms(),
            Self::Test(_, Assertion::Pieces { any, .. }) => any.len(),
            Self::Present(_) | Self::Test(..) | Self::Constant(_) => 0,
        }
    }

    /// Holds it against `entry`.
    pub(crate) fn holds(&self, entry: &Entry) -> Truth {
        match self {
            Self::And(list) => decide(list, entry, Truth::False, Truth::True),
            Self::Or(list) => decide(list, entry, Truth::True, Truth::False),
            Self::Not(one) => match one.holds(entry) {
                Truth::True => Truth::False,
                Truth::False => Truth::True,
                Truth::Undefined => Truth::Undefined,
            },
            Self::Present(attributes) => {
                Truth::from(entry.values().any(|(attribute, _)| attributes.contains(attribute)))
            }
            Self::Test(attributes, assertion) => {
                let mut values = entry.values().filter(|(attribute, _)| attributes.contains(*attribute));
                Truth::from(values.any(|(_, value)| assertion.holds(&value.key)))
            }
            Self::Constant(truth) => *truth,
        }
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// `decisive` if any part is, `otherwise` if all are, and undefined between. An empty list is `otherwise` (RFC 4526).
fn decide(list: &[Filter], entry: &Entry, decisive: Truth, otherwise: Truth) -> Truth {
    let mut result = otherwise;
    for part in list {
        match part.holds(entry) {
            truth if truth == decisive => return decisive,
            Truth::Undefined => result = Truth::Undefined,
            Truth::True | Truth::False => {}
        }
    }
    result
}

impl Assertion {
    fn holds(&self, key: &str) -> bool {
        match self {
            Self::Equal(wanted) => key == wanted,
            Self::AtLeast(least) => key >= least.as_str(),
            Self::AtMost(most) => key <= most.as_str(),
            Self::Pieces { initial, any, last } => {
                let Some(mut rest) = key.strip_prefix(initial.as_deref().unwrap_or_default()) else {
                    return false;
                };
                for piece in any {
                    let Some(at) = rest.find(piece.as_str()) else { return false };
                    rest = &rest[at + piece.len()..];
                }
                rest.ends_with(last.as_deref().unwrap_or_default())
            }
        }
    }
}

fn count(terms: &mut usize) -> Result<(), Malformed> {
    *terms += 1;
    if *terms > MAX_TERMS { Err(Malformed("a filter of too many parts")) } else { Ok(()) }
}

/// What an attribute description names.
enum Described {
    Known(Attribute, AttributeSet),
    /// An attribute with a language (RFC 3866), which no entry here has.
    Absent,
    Unknown,
}

fn described(text: &str) -> Described {
    let (name, options) = text.split_once(';').map_or((text, None), |(name, options)| (name, Some(options)));
    let language = |option: &str| option.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("lang-"));
    match (schema::attribute_named(name), options) {
        (Some(attribute), None) => Described::Known(attribute, attribute.with_subtypes()),
        (Some(_), Some(options)) if options.split(';').all(language) => Described::Absent,
        (Some(_) | None, _) => Described::Unknown,
    }
}

fn present(text: &str) -> Filter {
    match described(text) {
        Described::Known(_, attributes) => Filter::Present(attributes),
        Described::Absent => Filter::Constant(Truth::False),
        Described::Unknown => Filter::Constant(Truth::Undefined),
    }
}

/// One value against the attribute's; undefined where the attribute has no rule for it, or the value is none of such an attribute.
fn compared(
    inner: &mut Reader<'_>,
    can_be: impl FnOnce(Rule) -> bool,
    assertion: impl FnOnce(String) -> Assertion,
) -> Result<Filter, Malformed> {
    let (name, value) = (inner.text(OCTETS)?, inner.take(OCTETS)?);
    Ok(match described(name) {
        Described::Known(attribute, attributes) => {
            let rule = attribute.definition().rule;
            let value = std::str::from_utf8(value).ok().filter(|_| can_be(rule));
            let key = value.and_then(|value| rule.key(value, Place::Whole));
            key.map_or(Filter::Constant(Truth::Undefined), |key| Filter::Test(attributes, assertion(key)))
        }
        Described::Absent => Filter::Constant(Truth::False),
        Described::Unknown => Filter::Constant(Truth::Undefined),
    })
}

fn pieces(inner: &mut Reader<'_>, terms: &mut usize) -> Result<Filter, Malformed> {
    let name = inner.text(OCTETS)?;
    let mut list = inner.inner(SEQUENCE)?;
    let described = described(name);
    let rule = match described {
        Described::Known(attribute, _) => {
            Some(attribute.definition().rule).filter(|rule| rule.is_for_strings())
        }
        Described::Absent | Described::Unknown => None,
    };
    let (mut initial, mut any, mut last, mut good) = (None, Vec::new(), None, rule.is_some());
    if list.is_empty() {
        return Err(Malformed("a substring filter without pieces"));
    }
    while !list.is_empty() {
        count(terms)?;
        let (tag, octets) = list.any()?;
        let place = match tag {
            INITIAL if initial.is_none() && any.is_empty() && last.is_none() => Place::Initial,
            ANY if last.is_none() => Place::Any,
            FINAL if last.is_none() => Place::Final,
            _ => return Err(Malformed("the pieces of a substring filter are out of order")),
        };
        let text = std::str::from_utf8(octets).ok().filter(|text| !text.is_empty());
        let key = rule.and_then(|rule| rule.key(text?, place));
        good &= key.is_some();
        let key = key.unwrap_or_default();
        match place {
            Place::Initial => initial = Some(key),
            Place::Final => last = Some(key),
            Place::Whole | Place::Any => any.push(key),
        }
    }
    Ok(match described {
        Described::Known(_, attributes) if good => {
            Filter::Test(attributes, Assertion::Pieces { initial, any, last })
        }
        Described::Absent => Filter::Constant(Truth::False),
        Described::Known(..) | Described::Unknown => Filter::Constant(Truth::Undefined),
    })
}

#[cfg(test)]
mod tests;
