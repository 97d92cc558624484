//! P15 by the API: licences are uploaded, listed with what they are worth, and removed; access tokens stay within them.

use super::*;
use crate::licences::tests::Vendor;
use domain::licence::{Allowance, VendorKey};

const SERIAL: &str = "GB-1";

/// A box that knows a vendor's key, with nothing but its folder's licences so far.
fn metered(folder: TempDir, file: Option<&str>) -> Bench {
    let key = VendorKey::parse(&Vendor::new().key()).unwrap();
    let mut licences = Licences::new(vec![key], Some(SERIAL.to_owned()));
    if let Some(file) = file {
        licences.add(file, crate::licences::now()).unwrap();
    }
    Bench::licensed(folder, licences)
}

fn bench() -> Bench {
    metered(tempfile::tempdir().unwrap(), None)
}

/// From the first to the last day.
fn licence(id: &str, calls: u32, tokens: u32, days: (&str, &str)) -> String {
    Vendor::new().sign(json!({
        "id": id, "holder": "Example Ltd", "counts": { "calls": calls, "gateway-tokens": tokens },
        "not_before": days.0, "not_after": days.1,
    }))
}

const LONG: (&str, &str) = ("2020-01-01", "9000-12-31");

impl Bench {
    async fn upload(&self, by: &Caller, file: &str) -> Answer {
        self.ask(by, "POST", "/licences", Some(json!({ "file": file }))).await
    }

    /// The licences that the shard heard of last.
    fn heard(&mut self) -> Option<Arc<Licences>> {
        let mut last = None;
        while let Ok(event) = self.events.try_recv() {
            if let Event::Licences(licences) = event {
                last = Some(licences);
            }
        }
        last
    }
}

fn items(status: &Value) -> Vec<(&str, &str, &str)> {
    let items = status["items"].as_array().unwrap().iter();
    items
        .map(|item| {
            (item["id"].as_str().unwrap(), item["worth"].as_str().unwrap(), item["came_by"].as_str().unwrap())
        })
        .collect()
}

#[test]
fn p15_without_a_vendors_key_nothing_is_metered_and_the_status_says_so() {
    run(async {
        let mut bench = Bench::new();
        let ann = bench.administrator().await;
        let status = bench.ask(&ann, "GET", "/licences", None).await;
        assert_eq!(status.is(200).body["metering"], "unmetered");
        assert!(status.body["text"].as_str().unwrap().contains("nothing is metered"), "{}", status.text);
        assert_eq!(status.body["calls"], json!({ "licensed": null, "used": 0, "free": null, "missing": 0 }));
        assert_eq!(status.body["access_tokens"]["used"], 1);
        let refused = bench.upload(&ann, &licence("a", 2, 1, LONG)).await;
        assert!(refused.is(422).text.contains("nobody, so nothing is metered"), "{}", refused.text);
        assert!(bench.heard().is_none());
    });
}

#[test]
fn p15_a_licence_that_is_uploaded_holds_at_once_is_listed_and_outlives_a_restart() {
    run(async {
        let mut bench = bench();
        let ann = bench.administrator().await;
        let before = bench.ask(&ann, "GET", "/licences", None).await;
        assert_eq!(before.is(200).body["metering"], "metered");
        assert_eq!(before.body["vendors"], json!(["acme"]));
        assert_eq!(before.body["serial"], SERIAL);
        assert_eq!(
            before.body["access_tokens"],
            json!({ "licensed": 0, "used": 1, "free": 0, "missing": 1 })
        );

        let uploaded = bench.upload(&ann, &licence("GL-1", 20, 3, LONG)).await;

        assert_eq!(items(&uploaded.is(200).body), [("GL-1", "counts", "upload")]);
        assert_eq!(uploaded.body["calls"], json!({ "licensed": 20, "used": 0, "free": 20, "missing": 0 }));
        assert_eq!(uploaded.body["access_tokens"]["free"], 2);
        assert_eq!(uploaded.body["items"][0]["holder"], "Example Ltd");
        assert_eq!(uploaded.body["changes_at"], "9001-01-01T00:00:00Z");
        let heard = bench.heard().expect("the shard hears of it before the answer");
        assert_eq!(heard.entitlement(crate::licences::now()).calls, Allowance::Of(20));
        let audit = bench.ask(&ann, "GET", "/audit?limit=1", None).await;
        assert_eq!(audit.body["items"][0]["act"], "add-licence");
        assert!(audit.text.contains("GL-1 of Example Ltd: 20 calls, 3 access tokens"), "{}", audit.text);

        let bench = metered(bench.closed(), None);
        let ann = bench.administrator().await;
        let after = bench.ask(&ann, "GET", "/licences", None).await;
        assert_eq!(items(&after.body), [("GL-1", "counts", "upload")]);
    });
}

/// P15
#[test]
fn p15_what_is_no_licence_for_this_box_now_is_refused_with_its_own_sentence_and_changes_nothing() {
    run(async {
        let mut bench = bench();
        let ann = bench.administrator().await;
        let good = licence("GL-1", 20, 3, LONG);
        let (signed, _) = good.rsplit_once('.').unwrap();
        let (_, other) =
            licence("GL-2", 20, 3, LONG).rsplit_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        let bound = Vendor::new().licence("GL-3", 2, "9000", Some("GB-2"));
        for (file, says) in [
            (format!("{signed}.{other}"), "is not as \"acme\" signed it"),
            (bound, "is for the box \"GB-2\", and this one is \"GB-1\""),
            (licence("GL-4", 2, 0, ("2020-01-01", "2020-12-31")), "expired: it was valid until 2020-12-31"),
            (licence("GL-5", 2, 0, ("8999-01-01", "9000-12-31")), "is not valid before 8999-01-01"),
            ("-----BEGIN CERTIFICATE-----".to_owned(), "this licence can't be read"),
        ] {
            let refused = bench.upload(&ann, &file).await;
            let error = &refused.is(422).body["errors"][0];
            assert_eq!(error["field"], "file");
            assert!(error["message"].as_str().unwrap().contains(says), "{says}: {}", refused.text);
        }
        let status = bench.ask(&ann, "GET", "/licences", None).await;
        assert_eq!(items(&status.body), []);
        assert!(bench.heard().is_none(), "no shard was bothered");
        let audit = bench.ask(&ann, "GET", "/audit?limit=1", None).await;
        assert_ne!(audit.body["items"][0]["act"], "add-licence");
    });
}

#[test]
fn p15_a_licence_whose_first_day_is_yet_to_come_is_kept_if_that_is_meant() {
    run(async {
        let bench = bench();
        let ann = bench.administrator().await;
        let body = json!({ "file": licence("next", 2, 0, ("8999-01-01", "9000-12-31")), "early": "keep" });
        let kept = bench.ask(&ann, "POST", "/licences", Some(body)).await;
        assert_eq!(items(&kept.is(200).body), [("next", "later", "upload")]);
        assert_eq!(kept.body["calls"]["licensed"], 0);
        assert_eq!(kept.body["changes_at"], "8999-01-01T00:00:00Z");
    });
}

#[test]
fn p15_a_licence_that_is_here_counts_once_and_one_that_is_removed_no_more() {
    run(async {
        let mut bench = metered(tempfile::tempdir().unwrap(), Some(&licence("of the folder", 4, 0, LONG)));
        let ann = bench.administrator().await;
        let file = licence("a/b", 20, 3, LONG);
        bench.upload(&ann, &file).await.is(200);
        let again = bench.upload(&ann, &file).await;
        assert!(again.is(409).text.contains("is here already"), "{}", again.text);
        let folder = bench.ask(&ann, "DELETE", "/licences/of%20the%20folder", None).await;
        assert!(folder.is(409).text.contains("remove that file"), "{}", folder.text);

        bench.ask(&ann, "DELETE", "/licences/a%2Fb", None).await.is(204);

        let heard = bench.heard().expect("the shard hears of it");
        assert_eq!(heard.entitlement(crate::licences::now()).calls, Allowance::Of(4));
        let audit = bench.ask(&ann, "GET", "/audit?limit=1", None).await;
        assert_eq!(audit.body["items"][0]["act"], "remove-licence");
        bench.ask(&ann, "DELETE", "/licences/a%2Fb", None).await.is(404);
        let status = bench.ask(&ann, "GET", "/licences", None).await;
        assert_eq!(items(&status.body), [("of the folder", "counts", "folder")]);
        bench.upload(&ann, &file).await.is(200);
    });
}

#[test]
fn p15_one_that_this_box_cannot_take_any_more_is_listed_with_the_reason_until_it_is_removed() {
    run(async {
        let bench = bench();
        let ann = bench.administrator().await;
        bench.upload(&ann, &Vendor::new().licence("bound", 2, "9000", Some(SERIAL))).await.is(200);
        // The box forgets its serial number.
        let key = VendorKey::parse(&Vendor::new().key()).unwrap();
        let bench = Bench::licensed(bench.closed(), Licences::new(vec![key], None));
        let ann = bench.administrator().await;
        let status = bench.ask(&ann, "GET", "/licences", None).await;
        assert_eq!(items(&status.body), [("bound", "unusable", "upload")]);
        assert!(status.text.contains("this one is without a serial number"), "{}", status.text);
        bench.ask(&ann, "DELETE", "/licences/bound", None).await.is(204);
        let status = bench.ask(&ann, "GET", "/licences", None).await;
        assert_eq!(items(&status.body), []);
    });
}

/// P15
#[test]
fn p15_an_access_token_beyond_what_is_licensed_is_refused_and_those_that_are_there_may_be_changed() {
    run(async {
        let bench = bench();
        let ann = bench.administrator().await;
        let token = |name: &str| json!({ "name": name, "value": "v", "trust": "trusted" });
        let one = |name: &str| bench.ask(&ann, "POST", "/access-tokens", Some(token(name)));
        // A rule that names no token means the only one.
        let named = json!({ "token": "tenant a" });
        bench.ask(&ann, "PATCH", "/call-routing-rules/meetings", Some(named)).await.is(200);

        let refused = one("b").await;
        assert_eq!(
            refused.is(422).body["detail"],
            "2 access tokens are more than the 0 that gateway-token licences allow; remove one or add a licence"
        );
        bench
            .ask(&ann, "PATCH", "/access-tokens/tenant%20a", Some(json!({ "trust": "untrusted" })))
            .await
            .is(200);

        bench.upload(&ann, &licence("tokens", 0, 2, LONG)).await.is(200);
        one("b").await.is(201);
        one("c").await.is(422);
        bench.ask(&ann, "DELETE", "/access-tokens/b", None).await.is(204);
        one("c").await.is(201);

        // Nor does an archive bring more than is licensed by then.
        let with = json!({ "passphrase": "correct horse battery" });
        let export = bench.ask(&ann, "POST", "/backup:export", Some(with)).await.is(200).body.clone();
        bench.ask(&ann, "DELETE", "/access-tokens/c", None).await.is(204);
        bench.ask(&ann, "DELETE", "/licences/tokens", None).await.is(204);
        let import = json!({ "archive": export, "passphrase": "correct horse battery" });
        let refused = bench.ask(&ann, "POST", "/backup:import", Some(import.clone())).await;
        assert!(refused.is(422).text.contains("2 access tokens are more than the 0"), "{}", refused.text);
        bench.upload(&ann, &licence("tokens", 0, 2, LONG)).await.is(200);
        bench.ask(&ann, "POST", "/backup:import", Some(import)).await.is(200);
    });
}

#[test]
fn p15_licences_are_seen_by_all_and_changed_by_administrators_alone() {
    run(async {
        let bench = bench();
        let viewer = bench.logged_in("vic", access::Role::Viewer).await;
        let operator = bench.logged_in("otto", access::Role::Operator).await;
        bench.ask(&viewer, "GET", "/licences", None).await.is(200);
        for caller in [&viewer, &operator] {
            bench.upload(caller, &licence("a", 2, 0, LONG)).await.is(403);
            bench.ask(caller, "DELETE", "/licences/a", None).await.is(403);
        }
    });
}
