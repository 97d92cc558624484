//! Bytes and sequences that no honest peer sends.

use super::rig::{Lone, in_dialog, request, sdp};
use base::Cause;
use proptest::prelude::*;
use sip::endpoint::{Effect, Flow, Input, RouteId, Transport};
use sip::locate;
use sip::session::{SessionCommand, SessionEvent};
use std::time::Duration;

const METHODS: [&str; 12] = [
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "OPTIONS",
    "REGISTER",
    "PRACK",
    "UPDATE",
    "INFO",
    "REFER",
    "SUBSCRIBE",
    "FOO",
];
const LINES: [&str; 12] = [
    "",
    "Require: 100rel\r\n",
    "Contact: *\r\nExpires: 0\r\n",
    "Contact: <sip:x@10.0.0.1>;expires=90\r\n",
    "Session-Expires: 90;refresher=uas\r\nSupported: timer\r\n",
    "Session-Expires: 4294967295;refresher=uas\r\nMin-SE: 4294967295\r\nSupported: timer\r\n",
    "RAck: 4294967295 1 INVITE\r\n",
    "Record-Route: <sip:203.0.113.9>, <sip:203.0.113.8;lr>\r\n",
    "Record-Route: <sip:name.example.com;transport=tcp;lr>\r\n",
    "Content-Encoding: gzip\r\n",
    "Reason: Q.850;cause=65535\r\n",
    "Authorization: Digest username=\"room\"\r\n",
];

#[derive(Debug, Clone)]
enum Move {
    Send {
        method: usize,
        lines: usize,
        branch: u8,
        seq: u32,
        known_tag: u8,
        body: bool,
    },
    Own(u8),
    Wait(u32),
    Close,
    /// What the box asked last of a way leads here.
    Way(Leads),
}

#[derive(Debug, Clone, Copy)]
enum Leads {
    Nowhere,
    ToAConnection,
    ToAddresses,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let seq = prop_oneof![1_u32..6, Just(u32::MAX)];
    let send = (0..METHODS.len(), 0..LINES.len(), 0_u8..6, seq, 0_u8..3, any::<bool>()).prop_map(
        |(method, lines, branch, seq, known_tag, body)| Move::Send {
            method,
            lines,
            branch,
            seq,
            known_tag,
            body,
        },
    );
    let other = prop_oneof![
        4 => any::<u8>().prop_map(Move::Own),
        2 => (0_u32..40_000).prop_map(Move::Wait),
        1 => Just(Move::Close),
        1 => prop_oneof![Just(Leads::Nowhere), Just(Leads::ToAConnection), Just(Leads::ToAddresses)]
            .prop_map(Move::Way),
    ];
    prop::collection::vec(prop_oneof![3 => send, 1 => other], 1..40)
}

fn own(choice: u8) -> SessionCommand {
    match choice % 8 {
        0 => SessionCommand::Ring,
        1 | 2 => SessionCommand::Accept(sdp("accept")),
        3 => SessionCommand::Answer(sdp("answer")),
        4 => SessionCommand::RefuseOffer,
        5 => SessionCommand::Offer(sdp("offer")),
        6 => SessionCommand::Info { content_type: "application/x", body: sdp("info") },
        _ => SessionCommand::End(Cause::CALLER_HUNG_UP),
    }
}

fn lead(lone: &mut Lone, id: RouteId, leads: Leads) {
    let remote = lone.flow.remote;
    let target = locate::Target { transport: locate::Transport::Tcp, address: remote, tls_name: None };
    match leads {
        Leads::Nowhere => lone.input(Input::Connected { id, flow: None }),
        Leads::ToAddresses => lone.input(Input::Resolved { id, targets: vec![target; 3] }),
        Leads::ToAConnection => {
            let flow = Flow { transport: Transport::Tcp, connection: id.0 + 1, ..lone.flow };
            lone.input(Input::Connected { id, flow: Some(flow) });
        }
    }
}

fn play(moves: &[Move], transport: Transport) -> Lone {
    let mut lone = Lone::over(transport);
    let (mut tag, mut asked) = (String::new(), Vec::new());
    for step in moves {
        match step {
            Move::Send { method, lines, branch, seq, known_tag, body } => {
                let to_tag = if *known_tag > 0 { tag.as_str() } else { "" };
                let body = if *body { "v=0 x\r\n" } else { "" };
                let (method, lines) = (METHODS[*method], LINES[*lines]);
                let text = in_dialog(method, &branch.to_string(), *seq, to_tag, lines, body);
                let sent_by = if branch % 2 == 0 { "198.51.100.9:5060" } else { "name.example.com" };
                lone.receive(&text.replace("UDP 198.51.100.9:5060", &format!("UDP {sent_by}")));
            }
            Move::Own(choice) => {
                for id in lone.ids.clone() {
                    lone.command(id, own(*choice));
                }
            }
            Move::Wait(millis) => lone.run(Duration::from_millis(u64::from(*millis))),
            Move::Close => {
                let flow = lone.flow;
                lone.input(Input::FlowClosed(flow));
            }
            Move::Way(leads) => {
                if let Some(id) = asked.pop() {
                    lead(&mut lone, id, *leads);
                }
            }
        }
        asked.extend(lone.effects.iter().filter_map(|effect| match effect {
            Effect::Lookup { id, .. } | Effect::Connect { id, .. } => Some(*id),
            Effect::Send { .. } => None,
        }));
        let new = lone.responses().iter().rev().find_map(|r| r.headers.to().ok()?.tag().map(str::to_owned));
        tag = new.unwrap_or(tag);
    }
    for id in lone.ids.clone() {
        lone.command(id, SessionCommand::End(Cause::CALLER_HUNG_UP));
    }
    // Registrations last longest: two hours.
    lone.run(Duration::from_secs(7300));
    lone
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_requests_panics_or_leaves_anything_behind(moves in moves(), tcp in any::<bool>()) {
        let mut lone = play(&moves, if tcp { Transport::Tcp } else { Transport::Udp });
        prop_assert!(lone.endpoint.is_idle(), "{:?}", lone.endpoint.gauges());
        prop_assert_eq!(lone.wake, None);
        let begun = lone.ids.len();
        let ended = lone.session_events().iter().filter(|e| matches!(e, SessionEvent::Ended(_))).count();
        prop_assert_eq!(begun, ended);
    }

    #[test]
    fn no_change_to_the_bytes_of_a_request_panics(
        method in 0..METHODS.len(),
        lines in 0..LINES.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let mut lone = Lone::new();
        let mut bytes = request(METHODS[method], "b", LINES[lines]).into_bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let flow = lone.flow;
        lone.input(Input::Received { flow, data: &bytes });
        lone.run(Duration::from_secs(1));
    }
}
