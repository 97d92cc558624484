//! P6 by the API: meeting processing rules are resources like others, and an invitation is tried without anybody being called.

use super::*;

const CALENDAR: &str = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:Plan\r\nDTSTART:20261105T140000Z\r\nDTEND:20261105T150000Z\r\n\
                        DESCRIPTION:Join by https://meet.google.com/abc-defg-hij\\nMeeting ID: 123 456 7890 123\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";

fn bridge() -> Value {
    json!({
        "name": "our bridge", "priority": 10, "type": "custom", "regex": "Meeting ID: (?<id>[0-9 ]+)",
        "template": "${id:digits}@meet.example.com",
    })
}

impl Bench {
    async fn try_invitation(&self, by: &Caller, body: &str) -> Answer {
        self.ask(by, "POST", "/meeting-processing-rules:dry-run", Some(json!({ "body": body }))).await
    }
}

/// P6
#[test]
fn p6_an_invitation_is_tried_with_the_rule_that_finds_its_alias_why_others_do_not_and_where_it_leads() {
    run(async {
        let bench = Bench::new();
        let ann = bench.administrator().await;
        bench.ask(&ann, "POST", "/meeting-processing-rules", Some(bridge())).await.is(201);
        let off = json!({ "name": "off", "priority": 5, "type": "sip-uri", "enabled": false });
        bench.ask(&ann, "POST", "/meeting-processing-rules", Some(off)).await.is(201);

        let told = bench.try_invitation(&ann, CALENDAR).await;

        let told = &told.is(200).body;
        assert_eq!((&told["subject"], &told["cancelled"]), (&json!("Plan"), &json!(false)));
        assert_eq!(told["starts"], json!({ "at": "2026-11-05T14:00:00", "clock": "utc" }));
        assert_eq!(
            (&told["alias"], &told["rule"]),
            (&json!("1234567890123@meet.example.com"), &json!("our bridge"))
        );
        let verdicts: Vec<_> = told["verdicts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (one["rule"].as_str(), one["gives"].as_bool().unwrap(), one["why"].as_str().unwrap()))
            .collect();
        assert_eq!(verdicts[0], (Some("off"), false, "is disabled"));
        assert_eq!(verdicts[1], (Some("our bridge"), true, "gives \"1234567890123@meet.example.com\""));
        assert_eq!(verdicts[2], (None, false, "is not asked: one before it gave the alias"));
        // And it is routed as if somebody had dialled it.
        assert_eq!(told["routing"]["rule"], "meetings");
        assert_eq!(told["routing"]["becomes"], "1234567890123");
    });
}

/// P6
#[test]
fn p6_default_processing_is_a_setting_and_plain_text_is_an_invitation_too() {
    run(async {
        let bench = Bench::new();
        let ann = bench.administrator().await;
        let body = "Join: https://meet.google.com/abc-defg-hij";
        let nobody = bench.try_invitation(&ann, body).await;
        assert_eq!((&nobody.is(200).body["alias"], &nobody.body["routing"]), (&Value::Null, &Value::Null));
        assert!(nobody.body["verdicts"][0]["why"].as_str().unwrap().contains("no guest domain"));

        let settings = json!({ "guest_domain": "guests.example.com" });
        bench.ask(&ann, "PUT", "/settings/one-touch-join", Some(settings)).await.is(200);
        let guest = bench.try_invitation(&ann, body).await;
        assert_eq!(
            (&guest.body["alias"], &guest.body["rule"]),
            (&json!("abc-defg-hij@guests.example.com"), &Value::Null)
        );
        assert_eq!(guest.body["routing"]["rule"], Value::Null, "no Call Routing Rule takes it");
        assert_eq!(guest.body["routing"]["verdicts"][0]["rule"], "meetings");

        bench
            .ask(&ann, "PUT", "/settings/one-touch-join", Some(json!({ "default_processing": false })))
            .await
            .is(200);
        assert_eq!(bench.try_invitation(&ann, body).await.body["verdicts"][0]["why"], "is disabled");
        let refused = json!({ "guest_domain": "nowhere" });
        let refused = bench.ask(&ann, "PUT", "/settings/one-touch-join", Some(refused)).await;
        let error = &refused.is(422).body["errors"][0];
        assert_eq!(
            (&error["resource"], &error["field"]),
            (&json!("settings/one-touch-join"), &json!("guest_domain"))
        );
    });
}

/// P6
#[test]
fn p6_a_wrong_rule_is_told_with_every_field_at_once() {
    run(async {
        let bench = Bench::new();
        let ann = bench.administrator().await;
        let wrong = json!({ "name": "r", "priority": 0, "type": "custom", "regex": "(", "replace": "x" });
        let told = bench.ask(&ann, "POST", "/meeting-processing-rules", Some(wrong)).await;
        let errors = told.is(422).body["errors"].as_array().unwrap().clone();
        let mut fields: Vec<_> = errors.iter().map(|error| error["field"].as_str().unwrap()).collect();
        fields.sort_unstable();
        assert_eq!(fields, ["priority", "regex", "replace"]);
        assert!(errors.iter().all(|error| error["resource"] == "meeting-processing-rules/r"), "{errors:?}");
        let telepathy = json!({ "name": "r", "priority": 1, "type": "telepathy" });
        bench.ask(&ann, "POST", "/meeting-processing-rules", Some(telepathy)).await.is(422);
    });
}

#[test]
fn an_invitation_is_bounded_and_whoever_would_dial_it_is_checked_too() {
    run(async {
        let bench = Bench::new();
        let vic = bench.logged_in("vic", access::Role::Viewer).await;
        let longest = "ü".repeat(128 * 1024);
        bench.try_invitation(&vic, &longest).await.is(200);
        let told = bench.try_invitation(&vic, &format!("{longest}x")).await;
        assert_eq!(told.is(422).body["errors"][0]["field"], "body");
        bench.try_invitation(&vic, &"x".repeat(2 * 1024 * 1024)).await.is(413);
        let run = json!({ "body": "sip:1@a.example", "source": "somewhere" });
        let told = bench.ask(&vic, "POST", "/meeting-processing-rules:dry-run", Some(run)).await;
        assert_eq!(told.is(422).body["errors"][0]["field"], "source");
    });
}
