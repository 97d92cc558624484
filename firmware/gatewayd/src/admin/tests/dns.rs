//! K3 by the API: the DNS plan is held against what a real name server says.

use super::*;
use crate::net::dns::testing::{Zone, serve};
use crate::net::testing::locally;
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType, rdata};

fn zone(asked: &str, of: RecordType) -> Zone {
    let srv = |target: &str| {
        let target = Name::from_utf8(target).unwrap();
        Zone::Says(vec![RData::SRV(rdata::SRV::new(10, 10, 5061, target))])
    };
    match (asked, of) {
        ("meet.example.com", RecordType::A) => Zone::Says(vec![RData::A(rdata::A::new(203, 0, 113, 7))]),
        ("meet.example.com", _) => Zone::Says(Vec::new()),
        ("_sips._tcp.meet.example.com", _) => srv("meet.example.com."),
        ("_sipfederationtls._tcp.meet.example.com", _) => srv("old.example.com."),
        ("_h323ls._udp.meet.example.com", _) => Zone::Fails(ResponseCode::ServFail),
        _ => Zone::Fails(ResponseCode::NXDomain),
    }
}

/// K3
#[test]
fn k3_the_plan_is_held_against_live_dns_and_each_record_says_what_was_found() {
    locally(async {
        let bench = Bench::checking(LiveDns::Of(serve(zone).await));
        let otto = bench.logged_in("otto", access::Role::Operator).await;

        let told = bench.ask(&otto, "POST", "/dns-plan:check", None).await;

        let records = told.is(200).body["records"].as_array().unwrap().clone();
        let planned = bench.ask(&otto, "GET", "/dns-plan", None).await.body["records"].clone();
        let names = |of: &[Value]| of.iter().map(|record| record["name"].clone()).collect::<Vec<_>>();
        assert_eq!(names(&records), names(planned.as_array().unwrap()));
        let of = |start: &str| {
            records.iter().find(|record| record["name"].as_str().unwrap().starts_with(start)).unwrap()
        };
        assert_eq!(
            (&of("meet.")["verdict"], &of("meet.")["found"]),
            (&json!("as-planned"), &json!(["203.0.113.7"]))
        );
        assert_eq!(of("_sips.")["verdict"], "as-planned");
        assert_eq!((&of("_sip.")["verdict"], &of("_sip.")["found"]), (&json!("missing"), &json!([])));
        let federation = of("_sipfederationtls.");
        assert_eq!(
            (&federation["verdict"], &federation["found"]),
            (&json!("differs"), &json!(["old.example.com:5061"]))
        );
        assert!(federation["text"].as_str().unwrap().contains("change it to SRV 10 10 5061"), "{federation}");
        let silent = of("_h323ls.");
        assert_eq!(silent["verdict"], "not-told");
        assert!(
            silent["text"].as_str().unwrap().contains("nobody says (DNS error: error response"),
            "{silent}"
        );
    });
}

/// K3
#[test]
fn k3_name_servers_are_asked_by_operators_alone_and_not_too_often() {
    locally(async {
        let bench = Bench::checking(LiveDns::Of(serve(zone).await));
        let vic = bench.logged_in("vic", access::Role::Viewer).await;
        let otto = bench.logged_in("otto", access::Role::Operator).await;
        bench.ask(&vic, "POST", "/dns-plan:check", None).await.is(403);
        let both = tokio::join!(
            bench.ask(&otto, "POST", "/dns-plan:check", None),
            bench.ask(&otto, "POST", "/dns-plan:check", None)
        );
        both.0.is(200);
        assert!(both.1.is(429).text.contains("being asked already"), "{}", both.1.text);
        let again = bench.ask(&otto, "POST", "/dns-plan:check", None).await;
        assert!(again.is(429).text.contains("was checked just now"), "{}", again.text);
    });
}
