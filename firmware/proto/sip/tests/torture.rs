//! RFC 4475 and RFC 5118 at the parser: every message gets what its RFC asks.
#![allow(clippy::unwrap_used, reason = "in a test, what cannot be read fails it")]

mod support;

use sip::headers::Rport;
use sip::message::{Answer, Message, Method, Request};
use support::{AtParser, OnWire, vectors};

fn accepted(name: &str) -> Request {
    let vector =
        vectors("rfc4475").into_iter().chain(vectors("rfc5118")).find(|v| v.name == name).expect(name);
    match Message::parse(&vector.bytes) {
        Ok(Message::Request(request)) => request,
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn every_rfc_4475_and_5118_message_gets_what_its_rfc_asks_of_a_parser() {
    let all: Vec<_> = vectors("rfc4475").into_iter().chain(vectors("rfc5118")).collect();
    assert_eq!((vectors("rfc4475").len(), all.len()), (49, 61));
    let mut wrong = Vec::new();
    for vector in &all {
        let parsed = Message::parse(&vector.bytes);
        let outcome = match &parsed {
            Ok(message) => {
                assert_eq!(matches!(message, Message::Request(_)), vector.is_request, "{}", vector.name);
                AtParser::Accept
            }
            Err(error) => match error.answer {
                Answer::Reject(status) => AtParser::Reject(status),
                Answer::Drop => AtParser::Drop,
            },
        };
        if outcome != vector.parser {
            wrong.push(format!(
                "{}: {outcome:?} ({:?}), should be {:?}",
                vector.name,
                parsed.err(),
                vector.parser
            ));
        }
        if let OnWire::OneOf(statuses) = &vector.wire {
            assert!(!statuses.is_empty());
        }
    }
    assert!(wrong.is_empty(), "{} of {} wrong:\n{}", wrong.len(), all.len(), wrong.join("\n"));
}

#[test]
fn what_is_rejected_can_be_answered_with_what_could_be_read() {
    for vector in vectors("rfc4475") {
        let AtParser::Reject(status) = vector.parser else { continue };
        let error = Message::parse(&vector.bytes).expect_err(&vector.name);
        let answer = error.response("totag").unwrap_or_else(|| panic!("{}: no answer", vector.name));
        assert_eq!(answer.status, status, "{}", vector.name);
        assert!(answer.headers.has("Via"), "{}", vector.name);
        assert_eq!(answer.headers.has("Call-ID"), vector.name != "insuf", "{}", vector.name);
        assert!(!answer.reason.is_empty());
    }
}

#[test]
fn every_accepted_message_is_written_and_read_back_the_same() {
    for vector in vectors("rfc4475").into_iter().chain(vectors("rfc5118")) {
        if let Ok(message) = Message::parse(&vector.bytes) {
            assert_eq!(Message::parse(&message.to_bytes()).as_ref(), Ok(&message), "{}", vector.name);
        }
    }
}

/// 3.1.1.1: folding, odd spacing, compact names, lists, leading zeros.
#[test]
fn the_short_tortuous_invite_is_read_whole() {
    let request = accepted("wsinv");
    assert_eq!(request.headers.to().unwrap().tag(), Some("1918181833n"));
    assert_eq!(request.headers.from().unwrap().display.as_deref(), Some(r#"J Rosenberg \""#));
    assert_eq!(request.headers.max_forwards(), Ok(Some(68)));
    assert_eq!(request.headers.cseq().unwrap().seq, 9);
    let hosts: Vec<_> = request.headers.via().unwrap().iter().map(|via| via.host.to_string()).collect();
    assert_eq!(hosts, ["192.0.2.2", "spindle.example.com", "192.168.255.111"]);
    assert_eq!(request.headers.top_via().unwrap().rport(), Rport::Absent);
    assert_eq!(request.headers.top_via().unwrap().branch(), Some("390skdjuw"));
    assert_eq!(request.headers.get("Subject"), Some(""));
    assert_eq!(request.headers.get("NewFangledHeader"), Some("newfangled value continued newfangled value"));
    assert_eq!(request.headers.get("UnknownHeaderWithUnusualValue"), Some(";;,,;;,;"));
    assert_eq!(request.headers.route().unwrap().len(), 1);
    let contact = request.headers.contacts().unwrap().remove(0);
    assert_eq!((contact.params.get("secondparam"), contact.params.get("q")), (Some(""), Some("0.33")));
    assert_eq!(request.body.len(), 150);
}

/// 3.1.1.3 to 3.1.1.5: escapes are kept, and a method is no place for them.
#[test]
fn escapes_mean_something_in_uris_only() {
    let request = accepted("esc01");
    assert_eq!(request.uri.user_decoded().as_deref(), Some("sips:user@example.com"));
    let null = accepted("escnull");
    assert_eq!(null.headers.to().unwrap().uri.user_decoded().as_deref(), Some("null-\0-null"));
    assert_eq!(accepted("esc02").method, Method::Other("RE%47IST%45R".into()));
}

/// 3.1.1.8: the second request in the datagram is not there.
#[test]
fn what_stands_behind_the_content_length_is_dropped() {
    let request = accepted("dblreq");
    assert_eq!((request.method, request.body.len()), (Method::Register, 0));
}

/// 3.1.1.9.
#[test]
fn a_semicolon_before_the_at_sign_belongs_to_the_user() {
    let uri = accepted("semiuri").uri;
    assert_eq!(uri.user.as_deref(), Some("user;par=u%40example.net"));
    assert!(uri.params.is_empty());
}

/// 3.1.1.11: a body of octets, CR and NUL among them.
#[test]
fn a_binary_body_is_kept_octet_for_octet() {
    let vector = vectors("rfc4475").into_iter().find(|v| v.name == "mpart01").unwrap();
    let request = accepted("mpart01");
    assert!(vector.bytes.ends_with(&request.body) && request.body.len() == 553);
}

/// 3.1.1.12 and 3.1.1.13.
#[test]
fn reason_phrases_are_kept_and_may_be_missing() {
    let reason = |name: &str| {
        let vector = vectors("rfc4475").into_iter().find(|v| v.name == name).unwrap();
        match Message::parse(&vector.bytes) {
            Ok(Message::Response(response)) => (response.status, response.reason),
            other => panic!("{other:?}"),
        }
    };
    let (status, text) = reason("unreason");
    assert!(status == 200 && text.starts_with('=') && text.contains('н'), "{text}");
    assert_eq!(reason("noreason"), (100, String::new()));
}

/// 3.3.12 to 3.3.14: which parameters are the header's and which the address's.
#[test]
fn contact_parameters_and_uri_parameters_are_told_apart() {
    let contact = |name: &str| accepted(name).headers.contacts().unwrap().remove(0);
    assert!(contact("cparam01").params.has("unknownparam") && contact("cparam01").uri.params.is_empty());
    assert!(contact("cparam02").uri.params.has("unknownparam") && contact("cparam02").params.is_empty());
    assert_eq!(
        contact("regescrt").uri.headers,
        [("Route".to_owned(), "%3Csip:sip.example.com%3E".to_owned())]
    );
}
