//! Dialogs (RFC 3261 section 12): who talks with whom, by which way, in which order.
//!
//! ```text
//!  UAS: INVITE in ──▶ early ──2xx──▶ confirmed ──BYE──▶ gone
//!  UAC: 1xx with a tag ─▶ early ──2xx──▶ confirmed
//! ```
//! Whether it is early or confirmed is the session's state; a [`Dialog`] holds what both have.

use crate::headers::{HeaderError, NameAddr};
use crate::message::{Method, Request, Response};
use crate::uri::Uri;

/// Most hops of a route set that are kept.
pub const MAX_ROUTES: usize = 32;

/// What names a dialog at our end (12).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DialogId {
    /// Call-ID.
    pub call_id: String,
    /// The tag we gave.
    pub local_tag: String,
    /// The tag the peer gave; empty for peers of RFC 2543.
    pub remote_tag: String,
}

impl DialogId {
    /// The dialog that an incoming `request` belongs to; `None` if it has no To tag.
    #[must_use]
    pub fn of_request(request: &Request) -> Option<Self> {
        let headers = &request.headers;
        Some(Self {
            call_id: headers.call_id().ok()?.to_owned(),
            local_tag: headers.to().ok()?.tag()?.to_owned(),
            remote_tag: headers.from().ok()?.tag().unwrap_or_default().to_owned(),
        })
    }
}

/// How a request's number stands to those before it (12.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// It is newer than all before.
    Next,
    /// It is older than one already seen: answer 500.
    Old,
}

/// Why no dialog can be made of a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialogError {
    /// A header is missing or malformed.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// It has no Contact to send requests to.
    #[error("no contact; a dialog needs exactly one")]
    NoContact,
    /// It has no To tag.
    #[error("no to tag; a response to invite must have one")]
    NoTag,
    /// Its route is longer than [`MAX_ROUTES`].
    #[error("{0} record-route entries; at most {MAX_ROUTES} are taken")]
    TooManyRoutes(usize),
}

/// One dialog, at our end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialog {
    call_id: String,
    local: NameAddr,
    remote: NameAddr,
    local_seq: u32,
    remote_seq: Option<u32>,
    remote_target: Uri,
    routes: Vec<NameAddr>,
}

impl Dialog {
    /// The dialog that answering `invite` with `tag` makes (12.1.1). Our own numbers begin at `local_seq`.
    ///
    /// # Errors
    /// [`DialogError`] if From, To, Contact or Record-Route can't be read, or the route is too long.
    pub fn from_invite(invite: &Request, tag: &str, local_seq: u32) -> Result<Self, DialogError> {
        let headers = &invite.headers;
        Ok(Self {
            call_id: headers.call_id()?.to_owned(),
            local: headers.to()?.with_tag(tag),
            remote: headers.from()?,
            local_seq,
            remote_seq: Some(headers.cseq()?.seq),
            remote_target: match one_contact(headers.contacts()?) {
                Ok(target) => target,
                // Peers of RFC 2543 may leave it out and are then reached by From (its section 6.13).
                Err(_) => headers.from()?.uri,
            },
            routes: bounded(headers.record_route()?)?,
        })
    }

    /// The dialog that a response to our `invite` makes (12.1.2).
    ///
    /// # Errors
    /// [`DialogError`] if To, Contact or Record-Route can't be read, or To has no tag.
    pub fn from_response(invite: &Request, response: &Response) -> Result<Self, DialogError> {
        let headers = &response.headers;
        let remote = headers.to()?;
        if remote.tag().is_none() {
            return Err(DialogError::NoTag);
        }
        let mut routes = bounded(headers.record_route()?)?;
        routes.reverse();
        Ok(Self {
            call_id: invite.headers.call_id()?.to_owned(),
            local: invite.headers.from()?,
            remote,
            local_seq: invite.headers.cseq()?.seq,
            remote_seq: None,
            remote_target: one_contact(headers.contacts()?)?,
            routes,
        })
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> DialogId {
        DialogId {
            call_id: self.call_id.clone(),
            local_tag: self.local.tag().unwrap_or_default().to_owned(),
            remote_tag: self.remote.tag().unwrap_or_default().to_owned(),
        }
    }

    /// The tag the peer gave.
    #[must_use]
    pub fn remote_tag(&self) -> &str {
        self.remote.tag().unwrap_or_default()
    }

    /// Where its requests go at first: the first route, else the remote target.
    #[must_use]
    pub fn next_hop(&self) -> &Uri {
        self.routes.first().map_or(&self.remote_target, |route| &route.uri)
    }

    /// Whether requests go through proxies.
    #[must_use]
    pub fn is_routed(&self) -> bool {
        !self.routes.is_empty()
    }

    /// Takes note of the number of an incoming request (12.2.2). ACK and CANCEL repeat a number and are not asked.
    pub fn take_seq(&mut self, seq: u32) -> Order {
        match self.remote_seq {
            Some(last) if seq <= last => Order::Old,
            _ => {
                self.remote_seq = Some(seq);
                Order::Next
            }
        }
    }

    /// A target refresh: requests go to this Contact from now on (12.2.1.2, 12.2.2).
    pub fn refresh_target(&mut self, contacts: Result<Vec<NameAddr>, HeaderError>) {
        if let Ok(target) = contacts.map_err(DialogError::from).and_then(one_contact) {
            self.remote_target = target;
        }
    }

    /// Goes on with the numbers of the early dialog that this one was (13.2.2.4).
    pub fn continue_from(&mut self, early: &Self) {
        self.local_seq = self.local_seq.max(early.local_seq);
        self.remote_seq = self.remote_seq.max(early.remote_seq);
    }

    /// Our next request in this dialog, without Via and Contact.
    pub fn request(&mut self, method: Method) -> Request {
        let seq = self.next_seq();
        self.numbered(method, seq)
    }

    /// The number for our next request, when that is one made before and sent again with credentials.
    pub fn next_seq(&mut self) -> u32 {
        self.local_seq = self.local_seq.saturating_add(1);
        self.local_seq
    }

    /// The ACK for a 2xx to our INVITE numbered `seq` (13.2.2.4).
    #[must_use]
    pub fn ack(&self, seq: u32) -> Request {
        self.numbered(Method::Ack, seq)
    }

    /// 12.2.1.1: a loose first route leaves the target in the Request-URI, a strict one takes its place.
    fn numbered(&self, method: Method, seq: u32) -> Request {
        let strict = self.routes.first().filter(|first| !first.uri.is_loose_router());
        let (uri, routes) = match strict {
            None => (self.remote_target.clone(), self.routes.clone()),
            Some(first) => {
                let mut uri = first.uri.clone();
                uri.headers.clear();
                uri.params.remove("method");
                let target = NameAddr::new(self.remote_target.clone());
                (uri, self.routes.iter().skip(1).cloned().chain([target]).collect())
            }
        };
        let mut request = Request::new(method.clone(), uri);
        for route in routes {
            request.headers.push("Route", route);
        }
        request.headers.push("Max-Forwards", 70);
        request.headers.push("From", &self.local);
        request.headers.push("To", &self.remote);
        request.headers.push("Call-ID", &self.call_id);
        request.headers.push("CSeq", format_args!("{seq} {method}"));
        request
    }
}

fn one_contact(contacts: Vec<NameAddr>) -> Result<Uri, DialogError> {
    contacts.into_iter().next().map(|contact| contact.uri).ok_or(DialogError::NoContact)
}

fn bounded(routes: Vec<NameAddr>) -> Result<Vec<NameAddr>, DialogError> {
    match routes.len() {
        0..=MAX_ROUTES => Ok(routes),
        many => Err(DialogError::TooManyRoutes(many)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;

    fn invite(record_route: &str) -> Request {
        let text = format!(
            "INVITE sip:room@box.example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKa\r\n{record_route}\
             Max-Forwards: 70\r\nFrom: <sip:a@example.com>;tag=1\r\nTo: <sip:room@box.example.com>\r\nCall-ID: c1\r\n\
             CSeq: 7 INVITE\r\nContact: <sip:a@192.0.2.9>\r\nContent-Length: 0\r\n\r\n"
        );
        match Message::parse(text.as_bytes()) {
            Ok(Message::Request(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_loose_route_set_is_written_as_route_headers_and_leaves_the_target_alone() {
        let routes = "Record-Route: <sip:p2.example.com;lr>, <sip:p1.example.com;lr>\r\n";
        let mut dialog = Dialog::from_invite(&invite(routes), "t", 1).unwrap();
        let bye = dialog.request(Method::Bye);
        assert_eq!(bye.uri.to_string(), "sip:a@192.0.2.9");
        let route: Vec<_> = bye.headers.all("Route").collect();
        assert_eq!(route, ["<sip:p2.example.com;lr>", "<sip:p1.example.com;lr>"]);
        assert_eq!(dialog.next_hop().to_string(), "sip:p2.example.com;lr");
    }

    #[test]
    fn a_strict_router_takes_the_request_uri_and_the_target_ends_the_route() {
        let routes = "Record-Route: <sip:p2.example.com>, <sip:p1.example.com;lr>\r\n";
        let mut dialog = Dialog::from_invite(&invite(routes), "t", 1).unwrap();
        let bye = dialog.request(Method::Bye);
        assert_eq!(bye.uri.to_string(), "sip:p2.example.com");
        let route: Vec<_> = bye.headers.all("Route").collect();
        assert_eq!(route, ["<sip:p1.example.com;lr>", "<sip:a@192.0.2.9>"]);
    }

    #[test]
    fn numbers_count_up_on_both_sides_and_old_ones_are_told_apart() {
        let mut dialog = Dialog::from_invite(&invite(""), "t", 100).unwrap();
        assert_eq!(dialog.request(Method::Info).headers.cseq().unwrap().to_string(), "101 INFO");
        assert_eq!(dialog.request(Method::Bye).headers.cseq().unwrap().to_string(), "102 BYE");
        assert_eq!(dialog.take_seq(7), Order::Old);
        assert_eq!((dialog.take_seq(9), dialog.take_seq(8)), (Order::Next, Order::Old));
    }

    #[test]
    fn our_requests_swap_from_and_to_and_carry_both_tags() {
        let mut dialog = Dialog::from_invite(&invite(""), "ours", 1).unwrap();
        let bye = dialog.request(Method::Bye);
        assert_eq!(bye.headers.from().unwrap().tag(), Some("ours"));
        assert_eq!(bye.headers.to().unwrap().tag(), Some("1"));
    }
}
