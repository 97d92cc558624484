//! Whatever comes in: no bytes panic, and what is taken is written and read back the same.
#![allow(clippy::unwrap_used, reason = "in a test, what cannot be read fails it")]

mod support;

use proptest::prelude::*;
use sip::framing::{self, StreamFramer};
use sip::headers::{Challenge, Credentials, NameAddr, Via};
use sip::message::{Message, Request, Response};
use sip::uri::Uri;
use support::vectors;

/// Reads everything there is to read in a message.
fn read_all(message: &Message) {
    let headers = message.headers();
    let _ = (headers.via(), headers.from(), headers.to(), headers.call_id(), headers.cseq());
    let _ =
        (headers.max_forwards(), headers.contacts(), headers.route(), headers.record_route(), headers.path());
    let _ =
        (headers.content_type(), headers.session_expires(), headers.min_se(), headers.rseq(), headers.rack());
    let _ =
        (headers.supported(), headers.require(), headers.allow(), headers.expires(), headers.retry_after());
    let _ = (headers.www_authenticate(), headers.proxy_authenticate(), headers.reasons(), headers.replaces());
    let _ =
        (headers.authorization(), headers.proxy_authorization(), headers.refer_to(), headers.user_agent());
    if let Message::Request(request) = message {
        let _ = Response::to(request, 200, "").with_to_tag("t").to_bytes();
        let _ = (request.uri.user_decoded(), request.uri.equivalent(&request.uri));
    }
}

fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    match framing::datagram(bytes) {
        Ok(None) => {}
        Ok(Some(message)) => {
            read_all(&message);
            let written = message.to_bytes();
            let again = Message::parse(&written);
            prop_assert_eq!(
                again.as_ref(),
                Ok(&message),
                "written as {:?}",
                String::from_utf8_lossy(&written)
            );
        }
        Err(error) => {
            let answer = error.response("t").map(|response| response.to_bytes());
            if let Some(answer) = answer {
                let text = String::from_utf8_lossy(&answer).into_owned();
                prop_assert!(text.starts_with("SIP/2.0 "), "{text}");
            }
        }
    }
    let _ = StreamFramer::new().push(bytes, |_| ());
    Ok(())
}

/// One change to a message: bytes put in, taken out, or doubled.
#[derive(Debug, Clone)]
enum Change {
    Set(usize, u8),
    Insert(usize, Vec<u8>),
    Remove(usize, usize),
    Double(usize, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let telling = prop::sample::select(b"\r\n \t:;,<>\"\\=?@%[]/\0\xff09azAZ".to_vec());
    let pieces: Vec<&[u8]> =
        vec![b"\r\n ", b"\r\n\r\n", b";;", b",,", b"\"", b"<", b"::", b"%", b"l: 5\r\n", b"v: ", b"@@"];
    prop_oneof![
        (any::<usize>(), telling).prop_map(|(at, byte)| Change::Set(at, byte)),
        (any::<usize>(), prop::sample::select(pieces))
            .prop_map(|(at, piece)| Change::Insert(at, piece.to_vec())),
        (any::<usize>(), 1usize..40).prop_map(|(at, len)| Change::Remove(at, len)),
        (any::<usize>(), 1usize..80).prop_map(|(at, len)| Change::Double(at, len)),
    ]
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    let size = bytes.len().max(1);
    match change {
        Change::Set(at, byte) => {
            if let Some(old) = bytes.get_mut(at % size) {
                *old = *byte;
            }
        }
        Change::Insert(at, piece) => {
            let at = at % size;
            bytes.splice(at..at, piece.iter().copied());
        }
        Change::Remove(at, len) => {
            let at = at % size;
            bytes.drain(at..(at + len).min(bytes.len()));
        }
        Change::Double(at, len) => {
            let at = at % size;
            let copy = bytes[at..(at + len).min(bytes.len())].to_vec();
            bytes.splice(at..at, copy);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        check(&bytes)?;
    }

    #[test]
    fn no_change_to_a_torture_message_panics_or_reads_back_differently(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec(change(), 0..6),
    ) {
        let all = vectors("rfc4475");
        let mut bytes = which.get(&all).bytes.clone();
        changes.iter().for_each(|change| apply(&mut bytes, change));
        check(&bytes)?;
    }

    #[test]
    fn a_uri_is_written_as_it_was_read(text in "(sips?|tel|urn|x+-.):[ -~é]{0,40}") {
        if let Ok(uri) = Uri::parse(&text) {
            prop_assert_eq!(Uri::parse(&uri.to_string()), Ok(uri.clone()));
            prop_assert!(uri.equivalent(&uri));
        }
    }

    #[test]
    fn values_are_written_as_they_were_read(text in "[ -~é]{0,60}") {
        if let Ok(address) = NameAddr::parse("To", &text) {
            prop_assert_eq!(NameAddr::parse("To", &address.to_string()), Ok(address));
        }
        if let Ok(via) = Via::parse(&format!("SIP/2.0/UDP {text}")) {
            prop_assert_eq!(Via::parse(&via.to_string()), Ok(via));
        }
        if let Ok(challenge) = Challenge::parse(&text) {
            prop_assert_eq!(Challenge::parse(&challenge.to_string()), Ok(challenge));
        }
        if let Ok(credentials) = Credentials::parse(&text) {
            prop_assert_eq!(Credentials::parse(&credentials.to_string()), Ok(credentials));
        }
    }

    #[test]
    fn a_message_that_was_built_is_read_back_the_same(
        display in "[ -~é]{0,20}",
        user in "[ -~]{1,20}",
        value in "[ -~\\r\\n\\t]{0,40}",
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let uri = Uri::sip(Some(&user), sip::uri::Host::parse("2001:db8::1").unwrap(), Some(5060));
        let address = NameAddr::new(uri.clone()).with_display(&display).with_tag("1");
        let request = Request::new(sip::message::Method::Options, uri)
            .with("Via", "SIP/2.0/UDP h;branch=z9hG4bKx")
            .with("From", &address)
            .with("To", &address)
            .with("Call-ID", "x@y")
            .with("CSeq", "1 OPTIONS")
            .with("Subject", &value)
            .with_body("text/plain", body);
        let request = Message::from(request);
        prop_assert_eq!(Message::parse(&request.to_bytes()), Ok(request));
    }
}

#[test]
fn a_message_of_headers_only_is_bounded_in_number_and_size() {
    let mut bytes = b"OPTIONS sip:a@h SIP/2.0\r\nVia: SIP/2.0/UDP h\r\n".to_vec();
    (0..300).for_each(|_| bytes.extend_from_slice(b"X: y\r\n"));
    bytes.extend_from_slice(b"\r\n");
    let error = Message::parse(&bytes).unwrap_err();
    assert_eq!(error.response("t").map(|response| response.status), Some(513));
    let error = Message::parse(
        &[b"OPTIONS sip:a@h SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nX: ".as_slice(), &[b'a'; 70_000]].concat(),
    );
    assert!(error.is_err());
}
