//! Which attributes of an entry a search wants (RFC 4511 4.5.1.8, RFC 3673).

use crate::ber::{Malformed, OCTETS, Reader};
use crate::schema::{self, Attribute, AttributeSet, Usage};

/// Most names in the list.
const MAX_NAMES: usize = 256;

/// The attributes that are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Selection {
    named: AttributeSet,
    every_user: bool,
    every_operational: bool,
}

impl Selection {
    /// Reads the list; an empty one wants every user attribute, `1.1` by itself none. What is not known is passed over.
    pub(crate) fn read(list: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (mut selection, mut names) = (Self { every_user: list.is_empty(), ..Self::default() }, 0);
        while !list.is_empty() {
            names += 1;
            if names > MAX_NAMES {
                return Err(Malformed("a list of too many attributes"));
            }
            match list.text(OCTETS)? {
                "*" => selection.every_user = true,
                "+" => selection.every_operational = true,
                name => {
                    let known = schema::attribute_named(name).map(Attribute::with_subtypes);
                    selection.named = selection.named.union(known.unwrap_or_default());
                }
            }
        }
        Ok(selection)
    }

    /// Whether `attribute` is wanted.
    pub(crate) fn wants(self, attribute: Attribute) -> bool {
        let every = match attribute.definition().usage {
            Usage::User => self.every_user,
            Usage::Operation | Usage::Server => self.every_operational,
        };
        every || self.named.contains(attribute)
    }
}
