//! Every message of RFC 4475 and RFC 5118 through the whole endpoint.

#[path = "../support/mod.rs"]
mod support;

use super::rig::Lone;
use base::Secret;
use sip::endpoint::{Input, Transport};
use support::{OnWire, vectors};

fn answers(bytes: &[u8]) -> Vec<u16> {
    let mut lone = Lone::with(Transport::Udp, |config| {
        config.devices.insert("j.user".into(), Secret::new("secret".into()));
    });
    let flow = lone.flow;
    lone.input(Input::Received { flow, data: bytes });
    lone.statuses()
}

fn check(suite: &str) {
    let mut wrong = Vec::new();
    for vector in vectors(suite) {
        let got = answers(&vector.bytes);
        let right = match (&vector.wire, got.as_slice()) {
            (OnWire::Nothing, sent) => sent.is_empty(),
            (OnWire::Any, []) => false,
            (OnWire::Any, sent) => sent.iter().all(|status| ![400, 416, 501, 505].contains(status)),
            (OnWire::OneOf(statuses), sent) => sent.last().is_some_and(|status| statuses.contains(status)),
        };
        if !right {
            wrong.push(format!("{}: sent {got:?}, expected {:?}", vector.name, vector.wire));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_rfc_4475_message_gets_the_answer_the_rfc_asks_for() {
    check("rfc4475");
}

#[test]
fn every_rfc_5118_message_gets_the_answer_the_rfc_asks_for() {
    check("rfc5118");
}
