//! Responses whose connection is gone (RFC 3261 18.2.2, RFC 3263 section 5): where they go, and who gets none.

use super::rig::{Lone, PEER, in_dialog, sdp};
use base::ids::SessionId;
use base::limits::SIP_WAYS_BACK;
use base::{Cause, Fault, Kind, Seed};
use sip::endpoint::{Config, Effect, Flow, Input, Listen, RouteId, Target, Transport};
use sip::locate::{self, Locate, Progress, Question, Records, Srv};
use sip::message::{Message, Response};
use sip::session::{SessionCommand, SessionEvent};
use std::net::SocketAddr;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const LOST: SessionEvent = SessionEvent::Ended(Cause::new(Fault::Network, Kind::ConnectionLost));

fn via(text: &str, sent_by: &str) -> String {
    text.replace("SIP/2.0/UDP 198.51.100.9:5060", sent_by)
}

fn invite(sent_by: &str) -> String {
    via(&in_dialog("INVITE", "inv", 1, "", "", "v=0 offer\r\n"), sent_by)
}

fn speaks_tls(config: &mut Config) {
    let tcp = config.listen[1].clone();
    config.listen.push(Listen { transport: Transport::Tls, ..tcp });
}

/// A call with this Via whose connection closes before it is answered.
fn cut_off(transport: Transport, sent_by: &str) -> (Lone, SessionId) {
    cut_off_from(PEER, transport, sent_by)
}

fn cut_off_from(source: &str, transport: Transport, sent_by: &str) -> (Lone, SessionId) {
    let mut lone = Lone::with(transport, speaks_tls);
    lone.flow.remote = source.parse().unwrap();
    lone.receive(&invite(sent_by));
    let id = lone.session();
    lone.session_events();
    close(&mut lone);
    (lone, id)
}

fn close(lone: &mut Lone) {
    let flow = lone.flow;
    lone.input(Input::FlowClosed(flow));
    lone.effects.clear();
}

fn accept(lone: &mut Lone, id: SessionId) {
    lone.command(id, SessionCommand::Accept(sdp("answer")));
}

/// The one connection that is asked for.
fn connect(lone: &mut Lone) -> (RouteId, Target) {
    match std::mem::take(&mut lone.effects).as_slice() {
        [Effect::Connect { id, target }] => (*id, target.clone()),
        other => panic!("no single connection: {other:?}"),
    }
}

/// Where the one connection that is asked for leads; there is none.
fn refused(lone: &mut Lone) -> String {
    let (id, target) = connect(lone);
    lone.input(Input::Connected { id, flow: None });
    match target.transport {
        Transport::Tls => format!("tls {} as {}", target.remote, target.tls_name),
        other => format!("{other} {}", target.remote),
    }
}

/// The connection that is asked for stands from now on.
fn connected(lone: &mut Lone, connection: u64) -> Flow {
    let (id, target) = connect(lone);
    let flow = Flow { transport: target.transport, remote: target.remote, connection, ..lone.flow };
    lone.input(Input::Connected { id, flow: Some(flow) });
    flow
}

/// Statuses sent since the last look, with the flows they went over.
fn sent(lone: &mut Lone) -> Vec<(Flow, u16)> {
    let status = |effect| match effect {
        Effect::Send { flow, data } => match Message::parse(&data).unwrap() {
            Message::Response(response) => (flow, response.status),
            Message::Request(request) => panic!("{} was sent", request.method),
        },
        other => panic!("{other:?}"),
    };
    std::mem::take(&mut lone.effects).into_iter().map(status).collect()
}

/// The To tag of a response of ours.
fn tag(response: &Response) -> String {
    response.headers.to().unwrap().tag().unwrap().to_owned()
}

/// Looks up what is asked as the daemon does; the questions that this took.
fn look_up(lone: &mut Lone, answer: impl Fn(&Question) -> Records) -> Vec<Question> {
    let Some(Effect::Lookup { id, uri }) = lone.effects.pop() else {
        panic!("no look-up: {:?}", lone.effects)
    };
    let spoken = [locate::Transport::Tls, locate::Transport::Tcp, locate::Transport::Udp];
    let mut locate = Locate::new(&uri, &spoken, Seed([1; 32])).unwrap();
    let (mut progress, mut asked) = (locate.start(), Vec::new());
    let targets = loop {
        match progress {
            Progress::Targets(targets) => break targets,
            Progress::Wait => panic!("nothing is open"),
            Progress::Ask(questions) => {
                progress = Progress::Wait;
                for question in questions {
                    progress = locate.answer(&question, answer(&question));
                    asked.push(question);
                }
            }
        }
    };
    lone.input(Input::Resolved { id, targets });
    asked
}

fn addresses<const N: usize>(all: [&str; N]) -> Records {
    Records::Addresses(all.iter().map(|ip| ip.parse().unwrap()).collect())
}

#[test]
fn a_200_whose_connection_closed_goes_to_the_source_at_the_port_of_sent_by() {
    // given a room that leaves by a port of its own and listens at another
    let (mut lone, id) = cut_off_from("198.51.100.9:40123", Transport::Tcp, "SIP/2.0/TCP 198.51.100.9:5070");
    // when its call is answered after its connection closed
    accept(&mut lone, id);
    // then the answer goes over a new one
    let fresh = connected(&mut lone, 2);
    assert_eq!((fresh.transport, fresh.remote), (Transport::Tcp, "198.51.100.9:5070".parse().unwrap()));
    assert_eq!(sent(&mut lone), [(fresh, 200)]);
}

#[test]
fn without_a_port_in_sent_by_the_source_is_tried_at_that_of_the_transport() {
    for (transport, expected) in [(Transport::Tcp, 5060), (Transport::Tls, 5061)] {
        let (mut lone, id) = cut_off(transport, "SIP/2.0/TCP proxy.example.com");
        accept(&mut lone, id);
        assert_eq!(connect(&mut lone).1.remote, SocketAddr::from(([198, 51, 100, 9], expected)));
    }
}

#[test]
fn where_the_source_takes_no_connection_srv_and_a_of_sent_by_lead_on() {
    let (mut lone, id) = cut_off(Transport::Tcp, "SIP/2.0/TCP proxy.example.com");
    accept(&mut lone, id);
    refused(&mut lone);
    let asked = look_up(&mut lone, |question| match question {
        Question::Srv(_) => Records::Srv(vec![
            Srv { priority: 2, weight: 0, port: 5082, target: "two.example.com".into() },
            Srv { priority: 1, weight: 0, port: 5081, target: "one.example.com".into() },
        ]),
        Question::Addresses(host) if host == "one.example.com" => addresses(["203.0.113.1"]),
        Question::Addresses(_) => addresses(["203.0.113.2"]),
        Question::Naptr(_) => panic!("the transport is known"),
    });
    assert_eq!(asked[0], Question::Srv("_sip._tcp.proxy.example.com".into()));
    assert_eq!(refused(&mut lone), "tcp 203.0.113.1:5081");
    let second = connected(&mut lone, 2);
    assert_eq!(second.remote, "203.0.113.2:5082".parse().unwrap());
    assert_eq!(sent(&mut lone), [(second, 200)]);
}

#[test]
fn a_sent_by_with_a_port_is_looked_up_by_address_alone() {
    let (mut lone, id) = cut_off(Transport::Tcp, "SIP/2.0/TCP proxy.example.com:5099");
    accept(&mut lone, id);
    refused(&mut lone);
    let asked = look_up(&mut lone, |_| addresses(["203.0.113.1"]));
    assert_eq!(asked, [Question::Addresses("proxy.example.com".into())]);
    assert_eq!(connect(&mut lone).1.remote, "203.0.113.1:5099".parse().unwrap());
}

#[test]
fn a_sent_by_that_is_an_address_is_not_looked_up_nor_tried_twice() {
    let (mut lone, id) = cut_off(Transport::Tcp, "SIP/2.0/TCP 203.0.113.4:5070");
    accept(&mut lone, id);
    assert_eq!(refused(&mut lone), "tcp 198.51.100.9:5070");
    assert_eq!(refused(&mut lone), "tcp 203.0.113.4:5070");
    assert_eq!(lone.session_events(), [LOST]);

    let (mut lone, id) = cut_off(Transport::Tcp, "SIP/2.0/TCP 198.51.100.9:5070");
    accept(&mut lone, id);
    refused(&mut lone);
    assert_eq!(lone.session_events(), [LOST]);
}

#[test]
fn over_tls_it_stays_tls_and_every_certificate_must_bear_the_host_of_sent_by() {
    let (mut lone, id) = cut_off(Transport::Tls, "SIP/2.0/TLS proxy.example.com");
    accept(&mut lone, id);
    assert_eq!(refused(&mut lone), "tls 198.51.100.9:5061 as proxy.example.com");
    let asked = look_up(&mut lone, |question| match question {
        Question::Srv(_) => {
            Records::Srv(vec![Srv { priority: 1, weight: 0, port: 5071, target: "one.example.net".into() }])
        }
        _ => addresses(["203.0.113.1"]),
    });
    assert_eq!(asked[0], Question::Srv("_sips._tcp.proxy.example.com".into()));
    assert_eq!(refused(&mut lone), "tls 203.0.113.1:5071 as proxy.example.com");

    let (mut lone, id) = cut_off(Transport::Tls, "SIP/2.0/TLS [2001:db8::9]");
    accept(&mut lone, id);
    assert_eq!(refused(&mut lone), "tls 198.51.100.9:5061 as 2001:db8::9");
}

#[test]
fn the_200_is_repeated_over_the_new_connection_until_its_ack() {
    let (mut lone, id) = cut_off(Transport::Tcp, "SIP/2.0/TCP 198.51.100.9:5060");
    accept(&mut lone, id);
    // Nothing else is asked for while the connection is awaited.
    let (route, target) = connect(&mut lone);
    lone.run(2 * SECOND);
    assert!(lone.effects.is_empty(), "{:?}", lone.effects);
    let fresh = Flow { remote: target.remote, connection: 2, ..lone.flow };
    lone.input(Input::Connected { id: route, flow: Some(fresh) });
    assert_eq!(sent(&mut lone), [(fresh, 200)]);
    lone.run(6 * SECOND);
    assert_eq!(sent(&mut lone), [(fresh, 200), (fresh, 200)]);
    lone.run(4 * SECOND);
    let tag = tag(&lone.responses().remove(0));
    lone.flow = fresh;
    lone.receive(&in_dialog("ACK", "ack", 1, &tag, "", ""));
    assert_eq!(lone.session_events(), [SessionEvent::Confirmed]);
    lone.run(20 * SECOND);
    assert!(lone.effects.is_empty(), "{:?}", lone.effects);
}

#[test]
fn a_200_that_was_sent_before_its_connection_closed_is_repeated_over_a_new_one() {
    let mut lone = Lone::over(Transport::Tcp);
    lone.receive(&invite("SIP/2.0/TCP 198.51.100.9:5060"));
    let id = lone.session();
    accept(&mut lone, id);
    close(&mut lone);
    lone.run(SECOND);
    let fresh = connected(&mut lone, 2);
    assert_eq!(sent(&mut lone), [(fresh, 200)]);
}

#[test]
fn who_asks_again_over_a_new_connection_meanwhile_is_answered_over_that() {
    let (mut lone, id) = cut_off(Transport::Tcp, "SIP/2.0/TCP 198.51.100.9:5060");
    accept(&mut lone, id);
    let (route, target) = connect(&mut lone);
    // when a stranger asks, then it is answered nothing
    let own = Flow { remote: "198.51.100.9:40000".parse().unwrap(), connection: 2, ..lone.flow };
    lone.flow = Flow { remote: "203.0.113.66:40000".parse().unwrap(), connection: 3, ..own };
    lone.receive(&invite("SIP/2.0/TCP 198.51.100.9:5060"));
    assert_eq!(sent(&mut lone), []);
    // when the peer does, then it has its answer, and what is found later takes nothing of it away
    lone.flow = own;
    lone.receive(&invite("SIP/2.0/TCP 198.51.100.9:5060"));
    assert_eq!(sent(&mut lone), [(own, 200)]);
    let late = Flow { remote: target.remote, connection: 4, ..own };
    lone.input(Input::Connected { id: route, flow: Some(late) });
    lone.run(SECOND);
    assert_eq!(sent(&mut lone), [(own, 200)]);
}

#[test]
fn when_every_way_fails_the_call_ends_at_once_and_is_told_why() {
    let (mut lone, id) = cut_off(Transport::Tcp, "SIP/2.0/TCP proxy.example.com");
    accept(&mut lone, id);
    refused(&mut lone);
    look_up(&mut lone, |question| match question {
        Question::Srv(_) => Records::Srv(Vec::new()),
        _ => addresses(["203.0.113.1", "203.0.113.2"]),
    });
    refused(&mut lone);
    assert!(lone.session_events().is_empty());
    refused(&mut lone);
    assert_eq!(lone.session_events(), [LOST]);
    assert_eq!(lone.endpoint.counters().undeliverable, 1);
    lone.run(100 * SECOND);
    assert!(lone.endpoint.is_idle(), "{:?}", lone.endpoint.gauges());
}

#[test]
fn a_look_up_or_a_connection_that_nobody_answers_is_no_way_either() {
    let (mut lone, id) = cut_off(Transport::Tcp, "SIP/2.0/TCP proxy.example.com");
    accept(&mut lone, id);
    refused(&mut lone);
    let Some(Effect::Lookup { id, .. }) = lone.effects.pop() else { panic!("no look-up") };
    lone.input(Input::Resolved { id, targets: Vec::new() });
    assert_eq!(lone.session_events(), [LOST]);

    let (mut lone, id) = cut_off(Transport::Tcp, "SIP/2.0/TCP proxy.example.com");
    accept(&mut lone, id);
    lone.run(200 * SECOND);
    assert!(matches!(lone.session_events().as_slice(), [SessionEvent::Ended(_)]));
    assert!(lone.endpoint.is_idle(), "{:?}", lone.endpoint.gauges());
}

#[test]
fn a_200_that_may_have_arrived_waits_for_its_ack_though_no_way_is_left() {
    // given a room behind a NAT, whose 200 went out before its connection broke
    let mut lone = Lone::over(Transport::Tcp);
    lone.receive(&invite("SIP/2.0/TCP 10.0.0.7:5060"));
    let id = lone.session();
    accept(&mut lone, id);
    let tag = tag(&lone.responses().remove(1));
    lone.session_events();
    close(&mut lone);
    // when nobody can connect to it
    lone.run(SECOND);
    refused(&mut lone);
    lone.run(5 * SECOND);
    assert!(lone.session_events().is_empty());
    // then the ACK that it sends over its own new connection is in time
    lone.flow.connection = 2;
    lone.receive(&in_dialog("ACK", "ack", 1, &tag, "", ""));
    assert_eq!(lone.session_events(), [SessionEvent::Confirmed]);
}

#[test]
fn a_transaction_seeks_one_other_way_and_no_third() {
    let (mut lone, id) = cut_off(Transport::Tcp, "SIP/2.0/TCP proxy.example.com");
    accept(&mut lone, id);
    let fresh = connected(&mut lone, 2);
    assert_eq!(sent(&mut lone), [(fresh, 200)]);
    lone.input(Input::FlowClosed(fresh));
    lone.run(30 * SECOND);
    assert!(lone.effects.is_empty(), "{:?}", lone.effects);
}

#[test]
fn what_a_peer_asks_in_a_call_that_stands_is_answered_over_a_new_connection() {
    for (method, answered) in [("INVITE", 200), ("UPDATE", 200)] {
        let mut lone = Lone::over(Transport::Tcp);
        lone.receive(&invite("SIP/2.0/TCP 198.51.100.9:5060"));
        let id = lone.session();
        accept(&mut lone, id);
        let tag = tag(&lone.responses().remove(1));
        lone.receive(&in_dialog("ACK", "ack", 1, &tag, "", ""));
        let offer = in_dialog(method, "more", 2, &tag, "", "v=0 hold\r\n");
        lone.receive(&via(&offer, "SIP/2.0/TCP 198.51.100.9:5060"));
        close(&mut lone);
        lone.command(id, SessionCommand::Answer(sdp("held")));
        let fresh = connected(&mut lone, 2);
        assert_eq!(sent(&mut lone), [(fresh, answered)], "{method}");
        assert_eq!(lone.endpoint.gauges().server_transactions, if method == "UPDATE" { 1 } else { 2 });
    }
}

#[test]
fn an_update_whose_answer_finds_no_way_ends_with_its_transaction_and_not_the_call() {
    let mut lone = Lone::over(Transport::Tcp);
    lone.receive(&invite("SIP/2.0/TCP 198.51.100.9:5060"));
    let id = lone.session();
    accept(&mut lone, id);
    let tag = tag(&lone.responses().remove(1));
    lone.receive(&in_dialog("ACK", "ack", 1, &tag, "", ""));
    lone.receive(&in_dialog("UPDATE", "more", 2, &tag, "", "v=0 hold\r\n"));
    lone.session_events();
    close(&mut lone);
    lone.command(id, SessionCommand::Answer(sdp("held")));
    let before = lone.endpoint.gauges().server_transactions;
    refused(&mut lone);
    assert_eq!(lone.endpoint.gauges().server_transactions, before - 1);
    assert_eq!(lone.endpoint.counters().undeliverable, 1);
    assert!(lone.session_events().is_empty());
}

#[test]
fn a_refused_strangers_answer_opens_nothing() {
    let refusals = [
        SessionCommand::End(Cause::new(Fault::Gateway, Kind::NoRoute)),
        SessionCommand::End(Cause::new(Fault::Callee, Kind::CallRejected)),
        SessionCommand::End(Cause::new(Fault::Gateway, Kind::InternalError)),
        SessionCommand::Ring,
    ];
    for refusal in refusals {
        let (mut lone, id) = cut_off(Transport::Tcp, "SIP/2.0/TCP proxy.example.com");
        lone.command(id, refusal.clone());
        assert!(lone.effects.is_empty(), "{refusal:?}: {:?}", lone.effects);
        assert_eq!(lone.endpoint.counters().undeliverable, 1);
        lone.run(40 * SECOND);
        assert!(lone.effects.is_empty(), "{refusal:?}: {:?}", lone.effects);
    }
}

#[test]
fn a_caller_that_waits_for_its_answer_is_let_in_by_no_request_of_its_own() {
    // given a caller that rings, and so knows the tag of its early dialog
    let mut lone = Lone::over(Transport::Tcp);
    let reliably = in_dialog("INVITE", "inv", 1, "", "Require: 100rel\r\n", "v=0 offer\r\n");
    lone.receive(&via(&reliably, "SIP/2.0/TCP proxy.example.com"));
    let id = lone.session();
    lone.command(id, SessionCommand::Ring);
    let tag = tag(&lone.responses().remove(1));
    // when it asks for something there and closes
    lone.receive(&via(&in_dialog("UPDATE", "up", 2, &tag, "", ""), "SIP/2.0/TCP proxy.example.com"));
    assert_eq!(lone.responses().len(), 1);
    close(&mut lone);
    // then neither the 180 that repeats nor the 504 in the end leads anywhere
    lone.run(40 * SECOND);
    assert!(lone.effects.is_empty(), "{:?}", lone.effects);
}

#[test]
fn a_received_that_the_peer_wrote_itself_leads_nowhere() {
    // given a Via to which the box has nothing to add: sent-by is the source, and rport is not asked for
    let mut lone = Lone::over(Transport::Tcp);
    let forged = invite("SIP/2.0/TCP 198.51.100.9:5060;received=10.0.0.5;maddr=10.0.0.6");
    lone.receive(&forged.replace(";rport", ""));
    let id = lone.session();
    lone.session_events();
    close(&mut lone);
    accept(&mut lone, id);
    assert_eq!(refused(&mut lone), "tcp 198.51.100.9:5060");
    assert_eq!(lone.session_events(), [LOST]);
}

#[test]
fn a_caller_from_the_world_is_not_answered_at_addresses_of_the_box_its_link_or_its_site() {
    let inner =
        ["127.0.0.1", "10.0.0.5", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "0.0.0.0"];
    for address in inner {
        let (mut lone, id) = cut_off(Transport::Tcp, &format!("SIP/2.0/TCP {address}:22"));
        accept(&mut lone, id);
        assert_eq!(refused(&mut lone), "tcp 198.51.100.9:22");
        assert_eq!(lone.session_events(), [LOST], "{address}");
    }
    let (mut lone, id) = cut_off(Transport::Tcp, "SIP/2.0/TCP rebound.example.com:22");
    accept(&mut lone, id);
    refused(&mut lone);
    look_up(&mut lone, |_| {
        addresses([
            "10.0.0.5",
            "::1",
            "::ffff:10.0.0.5",
            "fe80::1",
            "fd00::1",
            "::",
            "224.0.0.1",
            "203.0.113.8",
        ])
    });
    assert_eq!(refused(&mut lone), "tcp 203.0.113.8:22");
    assert_eq!(lone.session_events(), [LOST]);
}

#[test]
fn a_caller_in_the_site_is_answered_in_the_site() {
    let (mut lone, id) =
        cut_off_from("10.0.0.9:5060", Transport::Tcp, "SIP/2.0/TCP cluster.example.com:5060");
    accept(&mut lone, id);
    refused(&mut lone);
    look_up(&mut lone, |_| addresses(["127.0.0.1", "10.0.0.10"]));
    assert_eq!(connect(&mut lone).1.remote, "10.0.0.10:5060".parse().unwrap());
}

#[test]
fn a_name_with_many_addresses_costs_four_connections_and_none_of_another_transport() {
    let (mut lone, id) = cut_off(Transport::Tcp, "SIP/2.0/TCP many.example.com:5060");
    accept(&mut lone, id);
    refused(&mut lone);
    let Some(Effect::Lookup { id, .. }) = lone.effects.pop() else { panic!("no look-up") };
    let target = |transport, last| locate::Target {
        transport,
        address: SocketAddr::from(([203, 0, 113, last], 5060)),
        tls_name: None,
    };
    let others = [target(locate::Transport::Udp, 1), target(locate::Transport::Tls, 2)];
    let many = (3..30).map(|last| target(locate::Transport::Tcp, last));
    lone.input(Input::Resolved { id, targets: others.into_iter().chain(many).collect() });
    for last in 3..7 {
        assert_eq!(refused(&mut lone), format!("tcp 203.0.113.{last}:5060"));
    }
    assert_eq!(lone.session_events(), [LOST]);
}

#[test]
fn so_many_responses_seek_a_way_at_a_time_and_the_next_one_when_it_is_repeated() {
    let mut lone = Lone::over(Transport::Tcp);
    for n in 0..=SIP_WAYS_BACK {
        let call = invite("SIP/2.0/TCP proxy.example.com")
            .replace("z9hG4bKinv", &format!("z9hG4bK{n}"))
            .replace("Call-ID: call", &format!("Call-ID: {n}"));
        lone.receive(&call);
    }
    close(&mut lone);
    for id in lone.ids.clone() {
        accept(&mut lone, id);
    }
    let asked = std::mem::take(&mut lone.effects);
    assert_eq!(asked.len(), SIP_WAYS_BACK);
    let Some(Effect::Connect { id, target }) = asked.first() else { panic!("no connection") };
    let fresh = Flow { remote: target.remote, connection: 2, ..lone.flow };
    lone.input(Input::Connected { id: *id, flow: Some(fresh) });
    assert_eq!(sent(&mut lone).len(), 1);
    lone.run(SECOND);
    // The first is repeated, and the last goes over the connection that stands by now.
    assert_eq!(sent(&mut lone), [(fresh, 200), (fresh, 200)]);
}
