//! One entry of the tree: its name and its values, each with the key it is compared by.

use crate::matching::Place;
use crate::schema::Attribute;
use std::sync::Arc;

/// A value and its key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Value {
    pub raw: Box<str>,
    /// Empty if the value is none of its attribute's, which then equals nothing that is asked.
    pub key: Box<str>,
}

/// Values while an entry is made.
pub(crate) type Values = Vec<(Attribute, Arc<Value>)>;

/// Values that many entries have alike, such as their classes.
pub(crate) type Alike = Arc<[(Attribute, Arc<Value>)]>;

/// An entry.
#[derive(Debug)]
pub(crate) struct Entry {
    pub dn: Box<str>,
    /// By attribute.
    pub own: Box<[(Attribute, Arc<Value>)]>,
    /// Likewise, and none of it is in `own`.
    pub shared: Alike,
    /// The entry above; the first entry's own place.
    pub parent: u32,
    /// The first entry after it that is not below it.
    pub end: u32,
}

impl Entry {
    /// All values; those of one attribute are neighbours.
    pub(crate) fn values(&self) -> impl Iterator<Item = (Attribute, &Value)> {
        self.shared.iter().chain(&self.own).map(|(attribute, value)| (*attribute, &**value))
    }
}

/// `text` as a value of `attribute`.
pub(crate) fn value(attribute: Attribute, text: &str) -> (Attribute, Arc<Value>) {
    let key = attribute.definition().rule.key(text, Place::Whole).unwrap_or_default();
    (attribute, Arc::new(Value { raw: text.into(), key: key.into() }))
}
