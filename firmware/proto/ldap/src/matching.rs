//! How values are compared: prepared strings (RFC 4518) and the matching rules of RFC 4517 that the schema names.
//!
//! Each value has a *key*, made once; two values match if their keys are equal, and a substring is looked for in the key.

use unicode_normalization::UnicodeNormalization;

/// A matching rule, for all that an attribute can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// caseIgnoreMatch and its kin.
    CaseIgnore,
    /// caseIgnoreIA5Match: the same, and a value beyond ASCII is none.
    CaseIgnoreAscii,
    /// caseExactMatch.
    CaseExact,
    /// telephoneNumberMatch: spaces and hyphens do not count.
    Telephone,
    /// Equality of names that the schema knows (objectIdentifierMatch).
    ObjectClass,
    /// Equality of what has one spelling: numbers, booleans, OIDs.
    Word,
    /// uuidMatch (RFC 4530): letters of either case.
    Uuid,
    /// Equality of distinguished names.
    Name,
}

/// Where in a value a piece of a substring assertion stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Whole,
    Initial,
    Any,
    Final,
}

impl Rule {
    /// Whether values have an order.
    pub(crate) const fn has_order(self) -> bool {
        matches!(self, Self::CaseIgnore | Self::CaseExact)
    }

    /// Whether there is a substring rule beside the one for equality.
    pub(crate) const fn is_for_strings(self) -> bool {
        matches!(self, Self::CaseIgnore | Self::CaseIgnoreAscii | Self::CaseExact | Self::Telephone)
    }

    /// The key of a value or an assertion; `None` if it is no value of such an attribute.
    pub(crate) fn key(self, text: &str, place: Place) -> Option<String> {
        match self {
            Self::CaseIgnore => Some(spaced(&folded(text), place)),
            Self::CaseIgnoreAscii => text.is_ascii().then(|| spaced(&folded(text), place)),
            Self::CaseExact => Some(spaced(&mapped(text).nfkc().collect::<String>(), place)),
            Self::Telephone => {
                let digits = folded(text).chars().filter(|c| !c.is_whitespace() && !is_hyphen(*c)).collect();
                Some(digits).filter(|digits: &String| !digits.is_empty())
            }
            Self::ObjectClass => {
                crate::schema::class_named(text).map(|class| class.name.to_ascii_lowercase())
            }
            Self::Word => Some(text.trim().to_ascii_lowercase()),
            Self::Uuid => uuid(text),
            Self::Name => crate::dn::Dn::parse(text).map(|dn| dn.key()),
        }
    }
}

/// Mapped, without case, in normal form (RFC 4518 2.2 and 2.3).
pub(crate) fn folded(text: &str) -> String {
    if text.is_ascii() && !text.bytes().any(|byte| byte.is_ascii_control()) {
        return text.to_ascii_lowercase();
    }
    // Lower case of the upper case folds what has no lower case of its own, such as a sharp s against SS.
    mapped(text).nfkc().flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfkc().collect()
}

/// White space becomes a space; what is invisible is dropped (RFC 4518 2.2).
fn mapped(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().filter(|c| !is_invisible(*c)).map(|c| if c.is_whitespace() { ' ' } else { c })
}

fn is_invisible(c: char) -> bool {
    let mark = matches!(c, '\u{ad}' | '\u{34f}' | '\u{1806}' | '\u{180b}'..='\u{180e}' | '\u{200b}'..='\u{200f}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
        || c == '\u{fffc}';
    mark || (c.is_control() && !c.is_whitespace())
}

/// The hyphens that telephoneNumberMatch passes over (RFC 4518 2.6.3).
const fn is_hyphen(c: char) -> bool {
    matches!(c, '-' | '\u{58a}' | '\u{2010}' | '\u{2011}' | '\u{2212}' | '\u{fe63}' | '\u{ff0d}')
}

/// Insignificant space (RFC 4518 2.6.1): a whole value begins and ends with one, and has two between its words, so that a piece
/// which ends with a space matches before a word and at the end.
fn spaced(text: &str, place: Place) -> String {
    let mut words = text.split(' ').filter(|word| !word.is_empty());
    let Some(first) = words.next() else {
        return if place == Place::Whole { "  ".to_owned() } else { " ".to_owned() };
    };
    let before = matches!(place, Place::Whole | Place::Initial) || text.starts_with(' ');
    let after = matches!(place, Place::Whole | Place::Final) || text.ends_with(' ');
    let mut key = String::with_capacity(text.len() + 2);
    key.push_str(if before { " " } else { "" });
    key.push_str(first);
    for word in words {
        key.push_str("  ");
        key.push_str(word);
    }
    key.push_str(if after { " " } else { "" });
    key
}

/// 32 hexadecimal digits in lower case.
fn uuid(text: &str) -> Option<String> {
    let groups = [8, 4, 4, 4, 12];
    let parts: Vec<&str> = text.split('-').collect();
    let good = parts.len() == groups.len()
        && parts
            .iter()
            .zip(groups)
            .all(|(part, digits)| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_hexdigit()));
    good.then(|| parts.concat().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> String {
        Rule::CaseIgnore.key(text, Place::Whole).unwrap()
    }

    #[test]
    fn case_spaces_and_the_way_an_accent_is_written_do_not_count() {
        assert_eq!(whole("Board  Room "), whole(" board room"));
        assert_eq!(whole("Stra\u{df}e"), whole("STRASSE"));
        assert_eq!(whole("Andr\u{e9}"), whole("ANDRE\u{301}"));
        assert_eq!(whole("a\tb\u{a0}c\u{200b}"), whole("A B C"));
        assert_eq!(whole("\u{fb01}n"), whole("fin"));
        assert_ne!(whole("ab"), whole("a b"));
        assert_eq!(whole(""), whole("   "));
    }

    #[test]
    fn exact_rules_keep_case() {
        let exact = |text| Rule::CaseExact.key(text, Place::Whole);
        assert_ne!(exact("sip:A@b"), exact("sip:a@b"));
        assert_eq!(exact(" sip:a@b "), exact("sip:a@b"));
    }

    #[test]
    fn a_piece_that_ends_with_a_space_is_found_before_a_word_and_at_the_end() {
        let key = whole("Board Room");
        let piece = |text, place| Rule::CaseIgnore.key(text, place).unwrap();
        assert!(key.contains(&piece("board ", Place::Any)));
        assert!(key.contains(&piece("room ", Place::Any)));
        assert!(key.contains(&piece(" room", Place::Any)));
        assert!(!key.contains(&piece("boar ", Place::Any)));
        assert!(key.starts_with(&piece("  board r", Place::Initial)));
        assert!(key.ends_with(&piece("d room", Place::Final)));
    }

    #[test]
    fn telephone_numbers_are_the_same_with_and_without_spaces_and_hyphens() {
        let key = |text| Rule::Telephone.key(text, Place::Whole);
        assert_eq!(key("+49 30-1234"), key("+49301234"));
        assert_eq!(key(" - "), None);
    }

    #[test]
    fn what_is_no_value_of_the_attribute_has_no_key() {
        assert_eq!(Rule::CaseIgnoreAscii.key("Andr\u{e9}", Place::Whole), None);
        assert_eq!(Rule::ObjectClass.key("nobody", Place::Whole), None);
        assert_eq!(Rule::ObjectClass.key("2.5.6.6", Place::Whole).as_deref(), Some("person"));
        assert_eq!(Rule::Uuid.key("1234", Place::Whole), None);
        let (a, b) = ("6BA7B810-9DAD-11D1-80B4-00C04FD430C8", "6ba7b810-9dad-11d1-80b4-00c04fd430c8");
        assert_eq!(Rule::Uuid.key(a, Place::Whole), Rule::Uuid.key(b, Place::Whole));
    }
}
