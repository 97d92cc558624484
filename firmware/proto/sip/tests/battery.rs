//! The 23 messages that real rooms, proxies and Skype for Business send and that parsers stumble over: all must be read,
//! and what matters in each must come out. rsip is counted beside.
#![allow(clippy::unwrap_used, reason = "in a test, what cannot be read fails it")]

use rsip::headers::ToTypedHeader;
use rsip::prelude::HeadersExt;
use sip::framing;
use sip::headers::{AuthScheme, Rport, ViaTransport};
use sip::message::{Message, Method, Request, Response};
use sip::uri::{Host, Scheme};

struct Case {
    name: &'static str,
    bytes: Vec<u8>,
    /// Whether we read what matters in it.
    ours: fn(&Message) -> bool,
    /// Whether rsip does.
    rsip: fn(&rsip::SipMessage) -> bool,
}

fn request(message: &Message) -> &Request {
    match message {
        Message::Request(request) => request,
        Message::Response(_) => panic!("a request was sent"),
    }
}

fn response(message: &Message) -> &Response {
    match message {
        Message::Response(response) => response,
        Message::Request(_) => panic!("a response was sent"),
    }
}

/// An INVITE with the usual headers, some of them replaced or added by `lines`.
fn invite(uri: &str, lines: &[&str]) -> Vec<u8> {
    message(&format!("INVITE {uri} SIP/2.0"), "INVITE", lines)
}

fn message(start: &str, method: &str, lines: &[&str]) -> Vec<u8> {
    let usual = [
        ("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa"),
        ("Max-Forwards", "70"),
        ("From", "<sip:room@example.com>;tag=1"),
        ("To", "<sip:1234567890123@meet.example.com>"),
        ("Call-ID", "a84b4c76e66710"),
        ("CSeq", &format!("1 {method}")),
        ("Contact", "<sip:room@192.0.2.1>"),
    ];
    let replaced = |name: &str| {
        let long = |line: &&&str| line.split(':').next().is_some_and(|n| n.trim().eq_ignore_ascii_case(name));
        lines.iter().find(long).is_some()
    };
    let mut out = format!("{start}\r\n");
    for (name, value) in usual.iter().filter(|(name, _)| !replaced(name)) {
        out += &format!("{name}: {value}\r\n");
    }
    lines.iter().for_each(|line| out += &format!("{line}\r\n"));
    out += "Content-Length: 0\r\n\r\n";
    out.into_bytes()
}

fn unauthorized(challenge: &str) -> Vec<u8> {
    message("SIP/2.0 401 Unauthorized", "REGISTER", &[&format!("WWW-Authenticate: {challenge}")])
}

fn rsip_request(message: &rsip::SipMessage) -> Option<&rsip::Request> {
    match message {
        rsip::SipMessage::Request(request) => Some(request),
        rsip::SipMessage::Response(_) => None,
    }
}

fn rsip_via(message: &rsip::SipMessage) -> Option<rsip::typed::Via> {
    message.via_header().ok()?.typed().ok()
}

fn rsip_contact(message: &rsip::SipMessage) -> Option<rsip::typed::Contact> {
    message.contact_header().ok()?.typed().ok()
}

fn rsip_challenge(message: &rsip::SipMessage) -> bool {
    message.www_authenticate_header().is_some_and(|header| header.typed().is_ok())
}

#[allow(clippy::too_many_lines, reason = "a flat table, one entry a message")]
fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "plain INVITE",
            bytes: invite("sip:1234567890123@meet.example.com", &[]),
            ours: |m| request(m).uri.user.as_deref() == Some("1234567890123"),
            rsip: |m| rsip_via(m).is_some() && rsip_contact(m).is_some(),
        },
        Case {
            name: "IPv6 in Request-URI",
            bytes: invite("sip:room@[2001:db8::10]:5070", &[]),
            ours: |m| request(m).uri.host == Host::V6("2001:db8::10".parse().unwrap()) && request(m).uri.port == Some(5070),
            rsip: |_| true,
        },
        Case {
            name: "IPv6 in Via and Contact",
            bytes: invite(
                "sip:a@h",
                &["Via: SIP/2.0/TLS [2001:db8::9:1]:5061;branch=z9hG4bKb", "Contact: <sip:r@[2001:db8::9:1]:5061;transport=tls>"],
            ),
            ours: |m| {
                m.headers().top_via().unwrap().port == Some(5061)
                    && m.headers().contacts().unwrap()[0].uri.host.ip() == "2001:db8::9:1".parse().ok()
            },
            rsip: |m| rsip_via(m).is_some() && rsip_contact(m).is_some(),
        },
        Case {
            name: "compact names",
            bytes: b"INVITE sip:a@h SIP/2.0\r\nv: SIP/2.0/UDP h;branch=z9hG4bKc\r\nf: <sip:x@h>;tag=1\r\nt: <sip:a@h>\r\n\
                i: cid\r\nCSeq: 1 INVITE\r\nm: <sip:x@h>\r\nk: timer,100rel\r\nc: application/sdp\r\nl: 2\r\n\r\nv="
                .to_vec(),
            ours: |m| {
                m.headers().call_id() == Ok("cid")
                    && m.headers().supported() == ["timer", "100rel"]
                    && request(m).body.as_ref() == b"v="
            },
            rsip: |m| m.call_id_header().is_ok() && m.via_header().is_ok(),
        },
        Case {
            name: "folded header and space before the colon",
            bytes: invite("sip:a@h", &["Subject : hello\r\n\t world", "Via: SIP/2.0/UDP h\r\n ;branch=z9hG4bKd"]),
            ours: |m| m.headers().get("subject") == Some("hello world") && m.headers().top_via().unwrap().branch() == Some("z9hG4bKd"),
            rsip: |m| rsip_via(m).is_some(),
        },
        Case {
            name: "tel URI",
            bytes: invite("tel:+31-20-1234;phone-context=example.com", &["From: <tel:+3120555>;tag=1"]),
            ours: |m| {
                request(m).uri.scheme == Scheme::Tel
                    && request(m).uri.user.as_deref() == Some("+31-20-1234")
                    && request(m).uri.params.get("phone-context") == Some("example.com")
            },
            rsip: |_| true,
        },
        Case {
            name: "urn URI",
            bytes: invite("urn:service:sos", &[]),
            ours: |m| request(m).uri.to_string() == "urn:service:sos",
            rsip: |_| true,
        },
        Case {
            name: "algorithm=SHA-256",
            bytes: unauthorized(r#"Digest realm="r", nonce="n", algorithm=SHA-256, qop="auth""#),
            ours: |m| m.headers().www_authenticate()[0].params.get("algorithm") == Some("SHA-256"),
            rsip: rsip_challenge,
        },
        Case {
            name: "qop with two values",
            bytes: unauthorized(r#"Digest realm="r", nonce="n", algorithm=MD5, qop="auth,auth-int""#),
            ours: |m| m.headers().www_authenticate()[0].params.unquoted("qop").as_deref() == Some("auth,auth-int"),
            rsip: rsip_challenge,
        },
        Case {
            name: "+sip.instance",
            bytes: invite("sip:a@h", &[r#"Contact: <sip:r@192.0.2.1>;+sip.instance="<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>";reg-id=1"#]),
            ours: |m| {
                let contact = m.headers().contacts().unwrap().remove(0);
                contact.params.unquoted("+sip.instance").is_some_and(|urn| urn.starts_with("<urn:uuid:"))
                    && contact.params.get("reg-id") == Some("1")
            },
            rsip: |m| rsip_contact(m).is_some(),
        },
        Case {
            name: "display name with comma and <",
            bytes: invite("sip:a@h", &[r#"From: "Boardroom, 4th \"a<b\"" <sip:room@example.com>;tag=1"#]),
            ours: |m| m.headers().from().unwrap().display.as_deref() == Some(r#"Boardroom, 4th "a<b""#),
            rsip: |m| {
                let from = m.from_header().ok().and_then(|from| from.typed().ok());
                from.and_then(|from| from.display_name).as_deref() == Some(r#"Boardroom, 4th "a<b""#)
            },
        },
        Case {
            name: "Contact list",
            bytes: invite("sip:a@h", &["Contact: <sip:a@192.0.2.1>;q=0.5, \"B, C\" <sip:b@192.0.2.2>"]),
            ours: |m| m.headers().contacts().unwrap().len() == 2,
            rsip: |m| rsip_contact(m).is_some(),
        },
        Case {
            name: "Via list",
            bytes: invite("sip:a@h", &["Via: SIP/2.0/TCP p.example.com;branch=z9hG4bKe, SIP/2.0/UDP h;branch=z9hG4bKf"]),
            ours: |m| m.headers().via().unwrap().len() == 2,
            // It reads the first and keeps none of the others.
            rsip: |m| rsip_via(m).is_some_and(|via| via.to_string().contains("z9hG4bKf")),
        },
        Case {
            name: "URI parameters and headers",
            bytes: invite("sip:a@h", &["Contact: <sip:r@192.0.2.1;x=y?h=1&Subject=a%20b>"]),
            ours: |m| {
                let uri = m.headers().contacts().unwrap().remove(0).uri;
                uri.params.get("x") == Some("y") && uri.headers.len() == 2
            },
            rsip: |m| rsip_contact(m).is_some_and(|contact| contact.to_string().contains("h=1")),
        },
        Case {
            name: "Via with rport",
            bytes: invite("sip:a@h", &["Via: SIP/2.0/UDP 10.0.0.1:5060;rport;branch=z9hG4bKg"]),
            ours: |m| m.headers().top_via().unwrap().rport() == Rport::Asked,
            rsip: |m| rsip_via(m).is_some(),
        },
        Case {
            name: "received=[IPv6] and LWS before ;branch",
            bytes: invite("sip:a@h", &["Via: SIP/2.0/UDP h ;branch=z9hG4bKh ;received=[2001:db8::9:255]"]),
            ours: |m| {
                let via = m.headers().top_via().unwrap();
                via.received() == "2001:db8::9:255".parse().ok() && via.branch() == Some("z9hG4bKh")
            },
            rsip: |m| {
                rsip_via(m).is_some_and(|via| via.branch().is_some() && via.received().is_ok_and(|ip| ip.is_some()))
            },
        },
        Case {
            name: "NTLM and Kerberos challenges",
            bytes: message(
                "SIP/2.0 401 Unauthorized",
                "REGISTER",
                &[
                    r#"WWW-Authenticate: NTLM realm="SIP Communications Service", targetname="fe.example.com", version=4"#,
                    r#"WWW-Authenticate: Kerberos realm="SIP Communications Service", targetname="sip/fe.example.com", version=4"#,
                ],
            ),
            ours: |m| {
                let challenges = m.headers().www_authenticate();
                challenges.len() == 2 && challenges[0].scheme == AuthScheme::Other("NTLM".into())
            },
            rsip: rsip_challenge,
        },
        Case {
            name: "unknown methods BENOTIFY and SERVICE",
            bytes: message("BENOTIFY sip:a@h SIP/2.0", "BENOTIFY", &["Allow: INVITE, BENOTIFY, SERVICE"]),
            ours: |m| {
                request(m).method == Method::Other("BENOTIFY".into()) && m.headers().allows(&Method::Other("SERVICE".into()))
            },
            rsip: |_| true,
        },
        Case {
            name: "header that is no UTF-8",
            bytes: {
                let mut bytes = invite("sip:a@h", &["From: \"Caf?\" <sip:room@example.com>;tag=1"]);
                let at = bytes.iter().position(|b| *b == b'?').unwrap();
                bytes[at] = 0xe9;
                bytes
            },
            ours: |m| m.headers().from().unwrap().display.as_deref() == Some("Café"),
            rsip: |m| m.from_header().is_ok(),
        },
        Case {
            name: "transport=foo and an unknown Via transport",
            bytes: invite("sip:a@h;transport=foo", &["Via: SIP/2.0/FOO h;branch=z9hG4bKi"]),
            ours: |m| {
                request(m).uri.params.get("transport") == Some("foo")
                    && m.headers().top_via().unwrap().transport == ViaTransport::Other("FOO".into())
            },
            rsip: |m| rsip_request(m).is_some() && rsip_via(m).is_some(),
        },
        Case {
            name: "leading CRLF",
            bytes: [b"\r\n\r\n".to_vec(), invite("sip:a@h", &[])].concat(),
            ours: |m| request(m).method == Method::Invite,
            rsip: |_| true,
        },
        Case {
            name: "bytes past Content-Length",
            bytes: [invite("sip:a@h", &[]), b"INVITE sip:other@h SIP/2.0\r\n".to_vec()].concat(),
            ours: |m| request(m).body.is_empty(),
            rsip: |m| rsip_request(m).is_some_and(|request| request.body.is_empty()),
        },
        Case {
            name: "reason phrase in the peer's words",
            bytes: message("SIP/2.0 486 Occupe Ici", "INVITE", &[]),
            ours: |m| (response(m).status, response(m).reason.as_str()) == (486, "Occupe Ici"),
            rsip: |m| m.to_string().contains("Occupe Ici"),
        },
    ]
}

fn read_by_rsip(case: &Case) -> bool {
    rsip::SipMessage::try_from(case.bytes.as_slice()).is_ok_and(|message| (case.rsip)(&message))
}

#[test]
fn all_23_messages_of_the_battery_are_read_where_rsip_reads_few() {
    let cases = cases();
    let mut failed = Vec::new();
    for case in &cases {
        match framing::datagram(&case.bytes) {
            Ok(Some(message)) if (case.ours)(&message) => {}
            other => failed.push(format!("{}: {other:?}", case.name)),
        }
    }
    let theirs: Vec<_> = cases.iter().filter(|case| read_by_rsip(case)).map(|case| case.name).collect();
    println!("ours {} of {}, rsip {}: {theirs:?}", cases.len() - failed.len(), cases.len(), theirs.len());
    assert_eq!(cases.len(), 23);
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(theirs.len() < cases.len());
}

#[test]
fn every_message_of_the_battery_is_written_and_read_back_the_same() {
    for case in cases() {
        let message = Message::parse(&case.bytes).unwrap();
        assert_eq!(Message::parse(&message.to_bytes()).as_ref(), Ok(&message), "{}", case.name);
    }
}

/// rsip as a second opinion: what we write of an ordinary message it reads as we meant it.
#[test]
fn what_we_write_of_an_ordinary_call_rsip_reads_as_meant() {
    let bytes =
        invite("sip:1234567890123@meet.example.com", &["Via: SIP/2.0/TCP 192.0.2.1:5070;branch=z9hG4bKz"]);
    let ours = Message::parse(&bytes).unwrap();
    let theirs = rsip::SipMessage::try_from(ours.to_bytes().as_ref()).unwrap();
    let via = rsip_via(&theirs).unwrap();
    assert_eq!(
        (via.transport, via.branch().map(ToString::to_string)),
        (rsip::Transport::Tcp, Some("z9hG4bKz".into()))
    );
    assert_eq!(theirs.cseq_header().unwrap().typed().unwrap().seq, 1);
    let answer = Response::to(request(&ours), 180, "").with_to_tag("t").to_bytes();
    match rsip::SipMessage::try_from(answer.as_ref()).unwrap() {
        rsip::SipMessage::Response(response) => assert_eq!(response.status_code, rsip::StatusCode::Ringing),
        rsip::SipMessage::Request(_) => panic!("a response was written"),
    }
}
