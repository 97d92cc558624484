//! One endpoint and a peer written by hand: the answers of RFC 3261 8.2 and what rooms really send.

use super::rig::{Lone, PEER, in_dialog, request, sdp};
use base::{Cause, Fault, Kind};
use sip::endpoint::{Effect, Event, Flow, Input, Offence, Transport};
use sip::message::{Method, Response};
use sip::session::{SessionCommand, SessionEvent};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn invite(lines: &str) -> String {
    in_dialog("INVITE", "inv", 1, "", lines, "v=0 offer\r\n")
}

/// A call of the peer that stands; the To tag and the 2xx.
fn up(lone: &mut Lone, lines: &str) -> (String, Response) {
    lone.receive(&invite(lines));
    let id = lone.session();
    lone.responses();
    lone.command(id, SessionCommand::Accept(sdp("answer")));
    let ok = lone.responses().remove(0);
    let tag = ok.headers.to().unwrap().tag().unwrap().to_owned();
    lone.receive(&in_dialog("ACK", "ack", 1, &tag, "", ""));
    assert_eq!(lone.session_events().last(), Some(&SessionEvent::Confirmed));
    (tag, ok)
}

#[test]
fn options_says_what_is_taken_inside_and_outside_a_dialog() {
    let mut lone = Lone::new();
    let outside = lone.answer(&request("OPTIONS", "o", ""));
    assert_eq!(outside.status, 200);
    for name in ["Allow", "Accept", "Supported"] {
        assert!(outside.headers.has(name), "{name}");
    }
    let (tag, _) = up(&mut lone, "");
    assert_eq!(lone.answer(&in_dialog("OPTIONS", "o2", 2, &tag, "", "")).status, 200);
}

#[test]
fn what_is_not_taken_is_refused_by_its_own_status() {
    let mut lone = Lone::new();
    let cases = [
        ("BENOTIFY", 405),
        ("REFER", 405),
        ("MESSAGE", 405),
        ("PUBLISH", 405),
        ("SUBSCRIBE", 489),
        ("NOTIFY", 489),
        ("BYE", 481),
        ("UPDATE", 481),
        ("PRACK", 481),
        ("INFO", 481),
        ("CANCEL", 481),
    ];
    for (method, status) in cases {
        assert_eq!(lone.answer(&request(method, method, "")).status, status, "{method}");
    }
    let refused = lone.answer(&request("FOO", "foo", ""));
    assert!(refused.headers.allows(&Method::Invite));
}

#[test]
fn unknown_extensions_schemes_and_bodies_are_refused_by_name() {
    let mut lone = Lone::new();
    let extension = lone.answer(&request("INVITE", "a", "Require: 100rel, nothing\r\n"));
    assert_eq!((extension.status, extension.headers.unsupported()), (420, vec!["nothing"]));
    let scheme = request("INVITE", "b", "").replacen("sip:meeting@192.0.2.1 SIP", "http://x/ SIP", 1);
    assert_eq!(lone.answer(&scheme.replace("Call-ID: call", "Call-ID: other")).status, 416);
    let body = in_dialog("INVITE", "c", 9, "", "", "hello").replace("application/sdp", "text/plain");
    let refused = lone.answer(&body);
    assert_eq!((refused.status, refused.headers.get("Accept")), (415, Some("application/sdp")));
    let accept = in_dialog("INVITE", "d", 10, "", "Accept: text/plain\r\n", "");
    assert_eq!(lone.answer(&accept).status, 406);
}

#[test]
fn the_same_request_by_another_way_is_a_loop() {
    let mut lone = Lone::new();
    lone.receive(&invite(""));
    assert_eq!(lone.answer(&invite("").replace("z9hG4bKinv", "z9hG4bKother")).status, 482);
}

#[test]
fn a_retransmission_gets_the_same_answer_and_makes_no_second_call() {
    let mut lone = Lone::new();
    lone.receive(&invite(""));
    assert_eq!(lone.responses().len(), 1);
    assert_eq!(lone.answer(&invite("")).status, 100);
    assert_eq!(lone.session_events().len(), 1);
    assert_eq!(lone.endpoint.counters().retransmissions_in, 1);
}

#[test]
fn responses_go_back_to_where_the_request_came_from_with_rport() {
    let mut lone = Lone::new();
    lone.flow.remote = "203.0.113.77:33333".parse().unwrap();
    let flow = lone.flow;
    lone.receive(&request("OPTIONS", "o", ""));
    let Some(Effect::Send { flow: back, data }) = lone.effects.first() else { panic!("nothing sent") };
    assert_eq!(*back, flow);
    let text = String::from_utf8_lossy(data);
    assert!(text.contains("rport=33333") && text.contains("received=203.0.113.77"), "{text}");
}

#[test]
fn a_response_whose_connection_is_gone_goes_to_sent_by() {
    let mut lone = Lone::over(Transport::Tcp);
    lone.receive(&invite("").replace("SIP/2.0/UDP", "SIP/2.0/TCP"));
    let id = lone.session();
    let flow = lone.flow;
    lone.input(Input::FlowClosed(flow));
    lone.effects.clear();
    lone.command(id, SessionCommand::Accept(sdp("answer")));
    let Some(Effect::Connect { id: route, target }) = lone.effects.first().cloned() else {
        panic!("no connect")
    };
    assert_eq!((target.transport, target.remote), (Transport::Tcp, PEER.parse().unwrap()));
    lone.effects.clear();
    let fresh = Flow { connection: 2, ..flow };
    lone.input(Input::Connected { id: route, flow: Some(fresh) });
    assert!(matches!(lone.effects.first(), Some(Effect::Send { flow, .. }) if *flow == fresh));
}

#[test]
fn an_invite_without_an_offer_gets_ours_and_the_ack_brings_the_answer() {
    let mut lone = Lone::new();
    lone.receive(&in_dialog("INVITE", "inv", 1, "", "", ""));
    let id = lone.session();
    assert!(matches!(lone.session_events().first(), Some(SessionEvent::Invite { offer: None, .. })));
    lone.responses();
    lone.command(id, SessionCommand::Accept(sdp("ours")));
    let tag = lone.responses().remove(0).headers.to().unwrap().tag().unwrap().to_owned();
    lone.receive(&in_dialog("ACK", "ack", 1, &tag, "", "v=0 theirs\r\n"));
    assert_eq!(lone.session_events(), [SessionEvent::Answer(sdp("theirs")), SessionEvent::Confirmed]);
}

#[test]
fn a_required_reliable_180_repeats_until_its_prack() {
    let mut lone = Lone::new();
    lone.receive(&invite("Require: 100rel\r\n"));
    let id = lone.session();
    lone.responses();
    lone.command(id, SessionCommand::Ring);
    let ringing = lone.responses().remove(0);
    assert_eq!((ringing.status, ringing.headers.require()), (180, vec!["100rel"]));
    let rseq = ringing.headers.rseq().unwrap().unwrap();
    let tag = ringing.headers.to().unwrap().tag().unwrap().to_owned();
    lone.run(SECOND);
    assert_eq!(lone.responses().len(), 1);
    let wrong = format!("RAck: {} 1 INVITE\r\n", rseq + 1);
    assert_eq!(lone.answer(&in_dialog("PRACK", "p1", 2, &tag, &wrong, "")).status, 481);
    let right = format!("RAck: {rseq} 1 INVITE\r\n");
    assert_eq!(lone.answer(&in_dialog("PRACK", "p2", 3, &tag, &right, "")).status, 200);
    lone.run(20 * SECOND);
    assert!(lone.responses().is_empty());
    lone.command(id, SessionCommand::Accept(sdp("answer")));
    assert_eq!(lone.responses().remove(0).status, 200);
}

#[test]
fn a_reliable_180_without_any_prack_refuses_the_call_after_32_seconds() {
    let mut lone = Lone::new();
    lone.receive(&invite("Require: 100rel\r\n"));
    let id = lone.session();
    lone.command(id, SessionCommand::Ring);
    lone.run(33 * SECOND);
    assert!(lone.responses().iter().any(|response| response.status == 504));
    let timeout = SessionEvent::Ended(Cause::new(Fault::Network, Kind::SignallingTimeout));
    assert_eq!(lone.session_events().last(), Some(&timeout));
    lone.run(40 * SECOND);
    assert!(lone.endpoint.is_idle());
}

#[test]
fn a_reinvite_with_an_offer_one_without_and_one_cancelled() {
    let mut lone = Lone::new();
    let (tag, _) = up(&mut lone, "");
    lone.receive(&in_dialog("INVITE", "r1", 2, &tag, "", "v=0 hold\r\n"));
    assert_eq!(lone.session_events(), [SessionEvent::Offer(sdp("hold"))]);
    let id = lone.session();
    lone.responses();
    lone.command(id, SessionCommand::Answer(sdp("held")));
    assert_eq!(lone.responses().remove(0).body, sdp("held"));
    lone.receive(&in_dialog("ACK", "ra1", 2, &tag, "", ""));

    lone.receive(&in_dialog("INVITE", "r2", 3, &tag, "", ""));
    assert_eq!(lone.session_events(), [SessionEvent::OfferWanted]);
    lone.command(id, SessionCommand::Answer(sdp("ours")));
    lone.receive(&in_dialog("ACK", "ra2", 3, &tag, "", "v=0 theirs\r\n"));
    assert_eq!(lone.session_events(), [SessionEvent::Answer(sdp("theirs"))]);

    lone.receive(&in_dialog("INVITE", "r3", 4, &tag, "", "v=0 more\r\n"));
    lone.responses();
    lone.receive(&in_dialog("CANCEL", "r3", 4, &tag, "", ""));
    let statuses: Vec<_> = lone.responses().iter().map(|response| response.status).collect();
    assert_eq!(statuses, [200, 487]);
    lone.session_events();
    lone.command(id, SessionCommand::Answer(sdp("late")));
    assert!(lone.responses().is_empty());
}

#[test]
fn overlapping_offers_of_the_peer_are_told_to_come_back() {
    let mut lone = Lone::new();
    let (tag, _) = up(&mut lone, "");
    lone.receive(&in_dialog("INVITE", "r1", 2, &tag, "", "v=0 one\r\n"));
    let second = lone.answer(&in_dialog("UPDATE", "u1", 3, &tag, "", "v=0 two\r\n"));
    assert_eq!(second.status, 500);
    assert!(second.headers.retry_after().is_some_and(|seconds| seconds <= 10));
}

#[test]
fn an_update_before_the_answer_refreshes_the_target_but_may_not_offer() {
    let mut lone = Lone::new();
    lone.receive(&invite(""));
    let id = lone.session();
    lone.responses();
    lone.command(id, SessionCommand::Ring);
    let tag = lone.responses().remove(0).headers.to().unwrap().tag().unwrap().to_owned();
    assert_eq!(lone.answer(&in_dialog("UPDATE", "u1", 2, &tag, "", "v=0 two\r\n")).status, 500);
    assert_eq!(lone.answer(&in_dialog("UPDATE", "u2", 3, &tag, "", "")).status, 200);
}

#[test]
fn an_old_number_in_a_dialog_is_refused() {
    let mut lone = Lone::new();
    let (tag, _) = up(&mut lone, "");
    assert_eq!(lone.answer(&in_dialog("OPTIONS", "o1", 7, &tag, "", "")).status, 200);
    assert_eq!(lone.answer(&in_dialog("OPTIONS", "o2", 6, &tag, "", "")).status, 500);
}

#[test]
fn an_unknown_dialog_is_481_even_for_invite() {
    let mut lone = Lone::new();
    assert_eq!(lone.answer(&in_dialog("INVITE", "x", 5, "nobody", "", "")).status, 481);
    assert_eq!(lone.answer(&in_dialog("BYE", "y", 6, "nobody", "", "")).status, 481);
    lone.receive(&in_dialog("ACK", "z", 6, "nobody", "", ""));
    assert!(lone.responses().is_empty());
    assert_eq!(lone.endpoint.counters().stray, 1);
}

#[test]
fn a_session_timer_is_granted_to_the_caller_and_its_silence_ends_the_call() {
    let mut lone = Lone::new();
    let (_, ok) = up(&mut lone, "Supported: timer\r\nSession-Expires: 120\r\n");
    assert_eq!(ok.headers.get("Session-Expires"), Some("120;refresher=uac"));
    lone.run(88 * SECOND);
    let expired = SessionEvent::Ended(Cause::new(Fault::Network, Kind::SessionExpired));
    assert_eq!(lone.session_events(), [expired]);
    let bye = lone.requests().into_iter().find(|request| request.method == Method::Bye).unwrap();
    assert!(
        bye.headers.reasons().iter().any(|reason| reason.protocol == "Q.850" && reason.cause == Some(102))
    );
}

#[test]
fn a_session_timer_below_90_seconds_is_422_with_min_se() {
    let mut lone = Lone::new();
    let refused = lone.answer(&invite("Supported: timer\r\nSession-Expires: 30\r\n"));
    assert_eq!((refused.status, refused.headers.min_se().unwrap()), (422, Some(90)));
}

#[test]
fn a_bye_tells_its_reason() {
    let mut lone = Lone::new();
    let (tag, _) = up(&mut lone, "");
    let reason = "Reason: Q.850;cause=102;text=\"timer\"\r\n";
    assert_eq!(lone.answer(&in_dialog("BYE", "b", 2, &tag, reason, "")).status, 200);
    let expired = SessionEvent::Ended(Cause::new(Fault::Network, Kind::SessionExpired));
    assert_eq!(lone.session_events(), [expired]);
}

#[test]
fn requests_follow_the_route_set_and_strict_routers_get_their_way() {
    let mut lone = Lone::new();
    up(&mut lone, "Record-Route: <sip:203.0.113.5;lr>\r\n");
    let id = lone.session();
    lone.effects.clear();
    lone.command(id, SessionCommand::End(Cause::CALLER_HUNG_UP));
    let Some(Effect::Send { flow, .. }) = lone.effects.first() else { panic!("nothing sent") };
    assert_eq!(flow.remote, "203.0.113.5:5060".parse().unwrap());
    let bye = lone.requests().remove(0);
    assert_eq!(bye.uri.to_string(), "sip:guest@198.51.100.9:5060");

    let mut lone = Lone::new();
    up(&mut lone, "Record-Route: <sip:203.0.113.5>\r\n");
    let id = lone.session();
    lone.effects.clear();
    lone.command(id, SessionCommand::End(Cause::CALLER_HUNG_UP));
    let bye = lone.requests().remove(0);
    assert_eq!(bye.uri.to_string(), "sip:203.0.113.5");
    assert_eq!(bye.headers.get("Route"), Some("<sip:guest@198.51.100.9:5060>"));
}

#[test]
fn k5_requests_follow_a_peer_whose_nat_moved_it() {
    let mut lone = Lone::new();
    let (tag, _) = up(&mut lone, "");
    let id = lone.session();
    lone.flow.remote = "203.0.113.77:41000".parse().unwrap();
    assert_eq!(lone.answer(&in_dialog("UPDATE", "u", 2, &tag, "", "")).status, 200);
    lone.effects.clear();
    lone.command(id, SessionCommand::End(Cause::CALLER_HUNG_UP));
    let Some(Effect::Send { flow, .. }) = lone.effects.first() else { panic!("nothing sent") };
    assert_eq!(*flow, lone.flow);
}

#[test]
fn a_peer_without_rport_is_called_back_at_its_contact_unless_it_is_behind_a_nat() {
    let contact = "Contact: <sip:guest@198.51.100.9:5070>\r\n";
    for (source, expected) in [(PEER, "198.51.100.9:5070"), ("203.0.113.77:41000", "203.0.113.77:41000")] {
        let mut lone = Lone::new();
        lone.flow.remote = source.parse().unwrap();
        lone.receive(&invite(contact).replace(";rport", ""));
        let id = lone.session();
        lone.command(id, SessionCommand::Accept(sdp("answer")));
        let tag = lone.responses().last().unwrap().headers.to().unwrap().tag().unwrap().to_owned();
        lone.receive(&in_dialog("ACK", "ack", 1, &tag, "", "").replace(";rport", ""));
        lone.effects.clear();
        lone.command(id, SessionCommand::End(Cause::CALLER_HUNG_UP));
        let Some(Effect::Send { flow, .. }) = lone.effects.first() else { panic!("nothing sent") };
        assert_eq!(flow.remote, expected.parse().unwrap());
    }
}

#[test]
fn malformed_and_stray_messages_are_counted_and_change_nothing() {
    let mut lone = Lone::new();
    lone.receive("nonsense\r\n\r\n");
    assert!(matches!(lone.events.first(), Some(Event::Malformed { .. })));
    let bad = request("OPTIONS", "o", "").replace("CSeq: 1 OPTIONS", "CSeq: x OPTIONS");
    lone.receive(&bad);
    assert_eq!(lone.statuses(), [400]);
    lone.receive(
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKnone\r\nFrom: <sip:a@b>;tag=1\r\n\
         To: <sip:c@d>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n",
    );
    assert!(lone.sent().is_empty());
    let counters = lone.endpoint.counters();
    assert_eq!((counters.malformed, counters.stray), (2, 1));
    assert!(lone.endpoint.is_idle());
}

#[test]
fn a_scanner_is_told_of_gets_no_answer_and_costs_no_memory() {
    let names = ["friendly-scanner", "SIPVicious", "sipcli/v1.8", "VaxSIPUserAgent/3.1"];
    for (method, name) in ["OPTIONS", "REGISTER", "INVITE", "FOO"].into_iter().zip(names) {
        let mut lone = Lone::new();
        lone.receive(&request(method, "scan", &format!("User-Agent: {name}\r\n")));
        assert_eq!(lone.events, [Event::Offence { flow: lone.flow, what: Offence::Scanner }]);
        assert!(lone.sent().is_empty() && lone.endpoint.is_idle(), "{name}");
    }
    let mut lone = Lone::new();
    let room = request("OPTIONS", "room", "User-Agent: Cisco-CE/ce9.15\r\n");
    assert_eq!(lone.answer(&room).status, 200);
}

#[test]
fn over_its_bound_the_endpoint_answers_503_without_memory() {
    let mut lone = Lone::new();
    for n in 0..base::limits::SIP_TRANSACTIONS {
        lone.receive(
            &request("OPTIONS", &format!("n{n}"), "").replace("Call-ID: call", &format!("Call-ID: {n}")),
        );
    }
    lone.effects.clear();
    let refused = lone.answer(&request("OPTIONS", "one-more", ""));
    assert_eq!((refused.status, refused.headers.retry_after().is_some()), (503, true));
    assert_eq!(lone.endpoint.gauges().server_transactions, base::limits::SIP_TRANSACTIONS);
    lone.run(33 * SECOND);
    assert!(lone.endpoint.is_idle());
}

#[test]
fn a_merely_malformed_stream_of_requests_never_panics() {
    let mut lone = Lone::new();
    let (tag, _) = up(&mut lone, "");
    for method in ["INVITE", "UPDATE", "PRACK", "INFO", "BYE", "OPTIONS", "REFER", "CANCEL", "ACK"] {
        for (n, lines) in ["Contact: *\r\n", "Session-Expires: x\r\n", "RAck: 1\r\n", "Content-Type: x\r\n"]
            .iter()
            .enumerate()
        {
            lone.receive(&in_dialog(method, &format!("{method}{n}"), 20, &tag, lines, "body"));
        }
    }
    let id = lone.session();
    lone.command(id, SessionCommand::End(Cause::CALLER_HUNG_UP));
    lone.run(100 * SECOND);
    assert!(lone.endpoint.is_idle(), "{:?}", lone.endpoint.gauges());
}
