//! A search that goes on: slice by slice over the tree, within its limits, and from page to page (RFC 2696).
//!
//! A page's cookie tells all there is to know (where to go on, of which search, over which state of the tree), so pages may be asked for on
//! another connection, and nothing is kept for a room that never asks for the next one.

use crate::ber::{INTEGER, OCTETS, SEQUENCE, SET, Writer};
use crate::controls::{Paged, page_done};
use crate::dn::Dn;
use crate::entry::Entry;
use crate::filter::{Filter, Truth};
use crate::message::{SEARCH_DONE, SEARCH_ENTRY, Search};
use crate::result::{Outcome, ResultCode, response};
use crate::selection::Selection;
use crate::tree::{Reach, Tree};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Parts of filters held against entries in one slice; a few milliseconds.
const SLICE_TERMS: usize = 20_000;
/// Octets of entries after which a slice ends.
const SLICE_BYTES: usize = 32 * 1024;
/// Longest that a search goes on.
pub const SEARCH_TIME: Duration = Duration::from_secs(30);

/// A search between two slices.
#[derive(Debug)]
pub(crate) struct Running {
    pub id: i32,
    tree: Arc<Tree>,
    reach: Reach,
    filter: Filter,
    selection: Selection,
    types_only: bool,
    deadline: Instant,
    /// Entries that may still be sent.
    left: u32,
    /// The place that is looked at next.
    next: u32,
    /// Entries sent, in earlier pages too.
    sent: u32,
    page: Option<Page>,
}

#[derive(Debug)]
struct Page {
    /// Entries that fit it still.
    left: u32,
    /// What the search is known by.
    request: u64,
}

/// How a slice ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Slice {
    /// There is more to look at.
    More,
    /// The result is written; so many entries were sent.
    Done(ResultCode, u32),
}

impl Running {
    /// Begins a search; `Err` if it can't be, or needs no look at entries.
    pub(crate) fn begin(
        now: Instant,
        id: i32,
        tree: &Arc<Tree>,
        search: Search<'_>,
        paged: Option<&Paged>,
    ) -> Result<Self, Outcome> {
        let invalid = || Outcome::new(ResultCode::InvalidDnSyntax, "the base is no distinguished name");
        let base = Dn::parse(search.base).ok_or_else(invalid)?;
        let reach = tree.reach(&base, search.scope).map_err(|above| Outcome {
            code: ResultCode::NoSuchObject,
            matched: above.to_owned(),
            text: "",
        })?;
        let limit = if search.size_limit == 0 { u32::MAX } else { search.size_limit };
        let asked = Duration::from_secs(u64::from(search.time_limit));
        let time = if asked.is_zero() { SEARCH_TIME } else { asked.min(SEARCH_TIME) };
        let mut running = Self {
            id,
            tree: Arc::clone(tree),
            next: 0,
            reach,
            filter: search.filter,
            selection: search.selection,
            types_only: search.types_only,
            deadline: now + time,
            left: limit,
            sent: 0,
            page: None,
        };
        running.next = running.range().start;
        let request = known_by(&base, search.scope, search.filter_octets);
        // A page that holds all that may be sent is no page (RFC 2696 3).
        if let Some(paged) = paged.filter(|paged| paged.size < limit) {
            running.turn_to(paged, request)?;
        }
        Ok(running)
    }

    fn turn_to(&mut self, paged: &Paged, request: u64) -> Result<(), Outcome> {
        if !paged.cookie.is_empty() {
            let lost = "the cookie is of another search, or the phonebook has changed; begin again";
            let lost = || Outcome::new(ResultCode::UnwillingToPerform, lost);
            let cookie = Cookie::read(&paged.cookie).ok_or_else(lost)?;
            if cookie.request != request || cookie.revision != self.tree.revision() {
                return Err(lost());
            }
            let Range { start, end } = self.range();
            self.next = cookie.next.clamp(start, end);
            self.sent = cookie.sent;
            self.left = self.left.saturating_sub(cookie.sent);
            // No more pages are wanted.
            if paged.size == 0 {
                self.next = end;
            }
        }
        self.page = Some(Page { left: paged.size, request });
        Ok(())
    }

    fn range(&self) -> Range<u32> {
        match &self.reach {
            Reach::RootDse | Reach::Subschema => 0..1,
            Reach::Range(range) | Reach::Below(_, range) => range.clone(),
        }
    }

    /// Looks at some more entries and writes those that are found; at the end the result, too.
    pub(crate) fn slice(&mut self, now: Instant, writer: &mut Writer) -> Slice {
        let each = self.filter.terms();
        let mut terms = SLICE_TERMS;
        let end = self.range().end;
        while self.next < end {
            if now >= self.deadline {
                return self.done(writer, ResultCode::TimeLimitExceeded, &[]);
            }
            if terms == 0 || writer.len() >= SLICE_BYTES {
                return Slice::More;
            }
            terms = terms.saturating_sub(each);
            let tree = Arc::clone(&self.tree);
            if let Some(entry) = self.found(&tree) {
                if self.left == 0 {
                    return self.done(writer, ResultCode::SizeLimitExceeded, &[]);
                }
                if let Some(Page { left: 0, request }) = self.page {
                    let (revision, next, sent) = (self.tree.revision(), self.next, self.sent);
                    let cookie = Cookie { revision, request, next, sent }.octets();
                    return self.done(writer, ResultCode::Success, &cookie);
                }
                self.write(entry, writer);
                self.left -= 1;
                self.sent = self.sent.saturating_add(1);
                if let Some(page) = &mut self.page {
                    page.left -= 1;
                }
            }
            self.next += 1;
        }
        self.done(writer, ResultCode::Success, &[])
    }

    /// The entry that is next, if it is within reach and the filter is true of it.
    fn found<'t>(&self, tree: &'t Tree) -> Option<&'t Entry> {
        let entry = match &self.reach {
            Reach::RootDse => tree.root(),
            Reach::Subschema => tree.subschema(),
            Reach::Range(_) => tree.entry(self.next)?,
            Reach::Below(parent, _) => tree.entry(self.next).filter(|entry| entry.parent == *parent)?,
        };
        (self.filter.holds(entry) == Truth::True).then_some(entry)
    }

    fn write(&self, entry: &Entry, writer: &mut Writer) {
        writer.group(SEQUENCE, |w| {
            w.integer(INTEGER, self.id);
            w.group(SEARCH_ENTRY, |w| {
                w.octets(OCTETS, entry.dn.as_bytes());
                w.group(SEQUENCE, |w| self.attributes(entry, w));
            });
        });
    }

    fn attributes(&self, entry: &Entry, writer: &mut Writer) {
        let mut values = entry.values().filter(|(attribute, _)| self.selection.wants(*attribute)).peekable();
        while let Some((attribute, first)) = values.next() {
            writer.group(SEQUENCE, |w| {
                w.octets(OCTETS, attribute.definition().names[0].as_bytes());
                w.group(SET, |w| {
                    let mut next = Some(first);
                    while let Some(value) = next {
                        if !self.types_only {
                            w.octets(OCTETS, value.raw.as_bytes());
                        }
                        next = values.next_if(|(same, _)| *same == attribute).map(|(_, value)| value);
                    }
                });
            });
        }
    }

    fn done(&self, writer: &mut Writer, code: ResultCode, cookie: &[u8]) -> Slice {
        let controls = |w: &mut Writer| {
            if self.page.is_some() {
                page_done(w, cookie);
            }
        };
        response(writer, self.id, SEARCH_DONE, &Outcome::new(code, ""), |_| {}, controls);
        Slice::Done(code, self.sent)
    }
}

/// A number for what is searched; two searches that differ have one seldom.
fn known_by(base: &Dn, scope: crate::tree::Scope, filter: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (base, scope, filter).hash(&mut hasher);
    hasher.finish()
}

/// Where the next page begins.
#[derive(Debug, PartialEq, Eq)]
struct Cookie {
    revision: u64,
    request: u64,
    next: u32,
    sent: u32,
}

impl Cookie {
    fn octets(&self) -> [u8; 24] {
        let mut octets = [0; 24];
        octets[..8].copy_from_slice(&self.revision.to_be_bytes());
        octets[8..16].copy_from_slice(&self.request.to_be_bytes());
        octets[16..20].copy_from_slice(&self.next.to_be_bytes());
        octets[20..].copy_from_slice(&self.sent.to_be_bytes());
        octets
    }

    fn read(octets: &[u8]) -> Option<Self> {
        let octets: &[u8; 24] = octets.try_into().ok()?;
        let (revision, rest) = octets.split_first_chunk()?;
        let (request, rest) = rest.split_first_chunk()?;
        let (next, rest) = rest.split_first_chunk()?;
        let (sent, _) = rest.split_first_chunk()?;
        Some(Self {
            revision: u64::from_be_bytes(*revision),
            request: u64::from_be_bytes(*request),
            next: u32::from_be_bytes(*next),
            sent: u32::from_be_bytes(*sent),
        })
    }
}
