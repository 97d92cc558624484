//! What the API shows of a box whose data key is lost, and of a disk that takes no change.

use super::*;
use domain::alarm::AlarmKind;
use std::time::Duration;

/// Longest wait for the alarms, which are told by another thread.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until an alarm of this kind stands, or none does.
pub(super) async fn stands(bench: &Bench, kind: AlarmKind, wanted: bool) {
    let mut news = bench.admin.alarms.subscribe();
    let until = async {
        while bench.admin.alarms.list().iter().any(|alarm| alarm.kind == kind) != wanted {
            drop(news.recv().await);
        }
    };
    tokio::time::timeout(PATIENCE, until).await.expect("in time");
}

/// What is told of the configuration to the alarms, as it is while it is served.
fn told(bench: &Bench) {
    let teller = bench.admin.alarms.teller();
    let facts = bench.admin.configuration.facts();
    facts.into_iter().chain(bench.admin.trust.facts("meet.example.com")).for_each(|fact| teller.tell(fact));
}

#[test]
fn a_secret_that_can_not_be_opened_is_asked_for_until_it_is_entered_anew() {
    run(async {
        let bench = Bench::new();
        let folder = bench.closed();
        std::fs::remove_file(folder.path().join("data.key")).unwrap();
        let bench = Bench::of(folder);
        told(&bench);
        stands(&bench, AlarmKind::SecretsUnreadable, true).await;
        let ann = bench.administrator().await;
        let health = bench.ask(&ann, "GET", "/health", None).await;
        assert_eq!(health.body["sealed"], "unsealed file");
        let needed = health.body["unreadable_secrets"].as_array().unwrap().clone();
        assert_eq!(needed[0], json!({ "resource": "access-tokens/tenant a", "field": "value" }));
        assert_eq!(needed.len(), 2, "{needed:?}");
        let token = bench.ask(&ann, "GET", "/access-tokens/tenant%20a", None).await;
        assert_eq!(token.is(200).header("gantry-secret-needed-for"), "value");
        // What is not secret can be changed meanwhile.
        bench.ask(&ann, "POST", "/call-routing-rules", Some(rule("r", 1))).await.is(201);
        let value = json!({ "value": "ENTERED-ANEW" });
        bench.ask(&ann, "PATCH", "/access-tokens/tenant%20a", Some(value)).await.is(200);
        let token = bench.ask(&ann, "GET", "/access-tokens/tenant%20a", None).await;
        assert_eq!(token.header("gantry-secret-needed-for"), "");
        told(&bench);
        assert_eq!(bench.admin.configuration.standing().unreadable.len(), 1);
        stands(&bench, AlarmKind::SecretsUnreadable, true).await;
        let password = json!({ "password": "ENTERED-ANEW" });
        bench.ask(&ann, "PATCH", "/registrar-devices/board@meet.example.com", Some(password)).await.is(200);
        told(&bench);
        stands(&bench, AlarmKind::SecretsUnreadable, false).await;
    });
}

#[test]
fn a_disk_that_is_full_is_507_and_one_that_fails_503_and_both_say_that_nothing_was_changed() {
    use crate::configuration::NotDone;
    for (number, status) in [(28, 507), (122, 507), (27, 507), (5, 503), (30, 503)] {
        let problem = Problem::from(NotDone::Disk(std::io::Error::from_raw_os_error(number)));
        assert_eq!(problem.status, status, "{problem:?}");
        assert!(problem.detail.starts_with("nothing was changed, because the disk"), "{problem:?}");
    }
}
