//! Messages (RFC 4511 4.1.1): where one ends, and what it asks.

use crate::ber::{self, BOOLEAN, ENUMERATED, INTEGER, Malformed, OCTETS, Reader, SEQUENCE, Tag};
use crate::controls::{CONTROLS, Controls};
use crate::filter::Filter;
use crate::selection::Selection;
use crate::tree::Scope;

/// BindRequest and its response.
pub(crate) const BIND: (Tag, Tag) = (0x60, 0x61);
const UNBIND: Tag = 0x42;
/// SearchRequest.
pub(crate) const SEARCH: Tag = 0x63;
/// SearchResultEntry.
pub(crate) const SEARCH_ENTRY: Tag = 0x64;
/// SearchResultDone.
pub(crate) const SEARCH_DONE: Tag = 0x65;
/// CompareRequest and its response.
pub(crate) const COMPARE: (Tag, Tag) = (0x6e, 0x6f);
const ABANDON: Tag = 0x50;
/// ExtendedRequest and its response.
pub(crate) const EXTENDED: (Tag, Tag) = (0x77, 0x78);
/// Modify, add, delete and modifyDN, with their responses.
const WRITES: [(Tag, Tag); 4] = [(0x66, 0x67), (0x68, 0x69), (0x4a, 0x6b), (0x6c, 0x6d)];

/// A message that was read.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    pub id: i32,
    pub request: Request<'a>,
    pub controls: Controls,
}

/// What is asked.
#[derive(Debug)]
pub(crate) enum Request<'a> {
    Bind {
        version: i32,
        name: &'a str,
        authentication: Authentication<'a>,
    },
    Unbind,
    Search(Box<Search<'a>>),
    Compare {
        name: &'a str,
        attribute: &'a str,
        value: &'a [u8],
    },
    Abandon(i32),
    Extended {
        name: &'a str,
    },
    /// Something that would write; its response's tag.
    Write(Tag),
    /// It can't be read; its response's tag.
    Broken(Tag, Malformed),
}

/// How somebody shows who it is.
#[derive(Debug)]
pub(crate) enum Authentication<'a> {
    Simple(&'a [u8]),
    Other,
}

/// A search (RFC 4511 4.5.1).
#[derive(Debug)]
pub(crate) struct Search<'a> {
    pub base: &'a str,
    pub scope: Scope,
    /// Most entries; 0 for no limit.
    pub size_limit: u32,
    /// In seconds; 0 for no limit.
    pub time_limit: u32,
    pub types_only: bool,
    pub filter: Filter,
    pub selection: Selection,
    /// The filter as it came, by which two requests are held to be the same.
    pub filter_octets: &'a [u8],
}

/// How long the message at the beginning of `data` is, in octets; `None` while that can't be told.
///
/// # Errors
/// [`Malformed`] if none begins there, or it is longer than `most`.
pub(crate) fn measure(data: &[u8], most: usize) -> Result<Option<usize>, Malformed> {
    if data.first().is_some_and(|tag| *tag != SEQUENCE) {
        return Err(Malformed("no LDAP message begins here"));
    }
    let Some(header) = ber::header(data)? else { return Ok(None) };
    let length = header.octets.saturating_add(header.contents);
    if length > most { Err(Malformed("a message that is too long")) } else { Ok(Some(length)) }
}

impl<'a> Message<'a> {
    /// Reads a whole message.
    ///
    /// # Errors
    /// [`Malformed`] if not even its number and kind can be told.
    pub(crate) fn read(data: &'a [u8]) -> Result<Self, Malformed> {
        let mut message = Reader::new(data).inner(SEQUENCE)?;
        let id = message.integer(INTEGER)?;
        if id <= 0 {
            return Err(Malformed("a request whose number is not positive"));
        }
        let (tag, contents) = message.any()?;
        let controls = match message.take_if(CONTROLS)? {
            Some(list) => Controls::read(Reader::new(list)),
            None => Ok(Controls::default()),
        };
        let answer = answer_to(tag);
        let request = match (read_request(tag, contents), &controls, answer) {
            (Err(problem), _, Some(answer)) => Request::Broken(answer, problem),
            (_, Err(problem), Some(answer)) => Request::Broken(answer, *problem),
            (request, _, _) => request?,
        };
        Ok(Self { id, request, controls: controls.unwrap_or_default() })
    }
}

/// The tag of the response, if the request has one.
fn answer_to(tag: Tag) -> Option<Tag> {
    let pairs = [BIND, COMPARE, EXTENDED, (SEARCH, SEARCH_DONE)];
    pairs.into_iter().chain(WRITES).find(|(request, _)| *request == tag).map(|(_, response)| response)
}

fn read_request(tag: Tag, contents: &[u8]) -> Result<Request<'_>, Malformed> {
    let mut reader = Reader::new(contents);
    if let Some((_, response)) = WRITES.into_iter().find(|(request, _)| *request == tag) {
        return Ok(Request::Write(response));
    }
    match tag {
        _ if tag == BIND.0 => bind(&mut reader),
        UNBIND => Ok(Request::Unbind),
        SEARCH => search(contents).map(|search| Request::Search(Box::new(search))),
        _ if tag == COMPARE.0 => {
            let name = reader.text(OCTETS)?;
            let mut assertion = reader.inner(SEQUENCE)?;
            let (attribute, value) = (assertion.text(OCTETS)?, assertion.take(OCTETS)?);
            Ok(Request::Compare { name, attribute, value })
        }
        ABANDON => ber::integer(contents).map(Request::Abandon),
        _ if tag == EXTENDED.0 => reader.text(0x80).map(|name| Request::Extended { name }),
        _ => Err(Malformed("an operation of an unknown kind")),
    }
}

fn bind<'a>(reader: &mut Reader<'a>) -> Result<Request<'a>, Malformed> {
    const SIMPLE: Tag = 0x80;
    let (version, name) = (reader.integer(INTEGER)?, reader.text(OCTETS)?);
    let authentication = match reader.any()? {
        (SIMPLE, password) => Authentication::Simple(password),
        _ => Authentication::Other,
    };
    Ok(Request::Bind { version, name, authentication })
}

fn search(contents: &[u8]) -> Result<Search<'_>, Malformed> {
    let mut reader = Reader::new(contents);
    let base = reader.text(OCTETS)?;
    let scope = match reader.integer(ENUMERATED)? {
        0 => Scope::Base,
        1 => Scope::One,
        2 => Scope::Subtree,
        _ => return Err(Malformed("a search of an unknown scope")),
    };
    // There are no aliases to dereference.
    reader.integer(ENUMERATED)?;
    let mut limit =
        || u32::try_from(reader.integer(INTEGER)?).map_err(|_| Malformed("a limit below nothing"));
    let (size_limit, time_limit) = (limit()?, limit()?);
    let types_only = reader.boolean(BOOLEAN)?;
    let (_, filter_octets) = reader.clone().any()?;
    let filter = Filter::read(&mut reader)?;
    let selection = Selection::read(&mut reader.inner(SEQUENCE)?)?;
    Ok(Search { base, scope, size_limit, time_limit, types_only, filter, selection, filter_octets })
}
